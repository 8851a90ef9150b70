"""A video that is not whole yet: its bytes beside the target, hidden, until they are the target.

The file, its lock, and its notes together survive the death of the process. Beside ``cat.mp4`` lie ``.cat.mp4.part``,
the bytes, and ``.cat.mp4.part.json``, what the host said of them. The second is locked as long as somebody writes the
first; the system frees a lock when its process dies, however it dies. Everything here blocks, and runs in a thread.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import attrs
from cattrs.preconf.json import make_converter

from foxvideo import _locks
from foxvideo._transfer.content import open_regular, reading
from foxvideo._transfer.format import HEAD, incomplete, no_media
from foxvideo._transfer.resume import Facts, Interrupted
from foxvideo._transfer.target import NOTES, PART, exists, hidden, looked_at, rename_new, same_bytes
from foxvideo.media import SavedFile

_PIECE = 1 << 20
_LONGEST_NOTES = 1 << 16
_CLOSED = -1  # no descriptor: the system refuses it
_CONVERTER = make_converter()
_OPENING = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class Hash(Protocol):
    """As in ``hashlib``."""

    def update(self, data: bytes, /) -> None:
        """Take in more bytes."""

    def hexdigest(self) -> str:
        """Return the digest of all bytes so far."""
        ...


@attrs.frozen
class _Notes:
    """What stands beside the bytes.

    Attributes:
        name: Of the target.
        facts: What the host said of the video.
    """

    name: str
    facts: Facts


@attrs.define(eq=False, kw_only=True)
class Part:
    """The part of one video that is on the disk. Its methods must not run at the same time.

    A file that lies at the target already is never lost: if it is this very video it counts as saved, and any other is
    kept, and refused, unless ``overwrite`` is set.

    Attributes:
        path: The target.
        source: Which video this is.
        overwrite: Whether an existing file is replaced.
        named: Whether ``path`` is the whole name; else the suffix follows from the video's type.
        mends: Whether the name is this video's alone, so that the beginning of it, which a crash may have left there,
            is replaced.
        wanted: How many bytes the task says that it has; None if it does not.
        new_hash: Makes what the bytes are hashed with.
        facts: What the host said of the video; None before it said anything.
        size: Bytes on the disk.
        stopped: Set from outside to leave long work early.
    """

    path: Path
    source: str
    overwrite: bool = False
    named: bool = True
    mends: bool = False
    wanted: int | None = None
    new_hash: Callable[[], Hash] = hashlib.sha256
    facts: Facts | None = attrs.field(default=None, init=False)
    size: int = attrs.field(default=0, init=False)
    stopped: bool = attrs.field(default=False, init=False)
    _hash: Hash = attrs.field(init=False)
    _notes: int = attrs.field(default=_CLOSED, init=False)
    _bytes: int = attrs.field(default=_CLOSED, init=False)
    _ours: bool = attrs.field(default=False, init=False)

    @property
    def target(self) -> Path | None:
        """What the part becomes; None as long as that hangs on the type of the video, and nobody told it."""
        if self.named:
            return self.path
        return self.path.with_name(self.path.name + self.facts.suffix) if self.facts else None

    @property
    def total(self) -> int | None:
        """The bytes of the whole video; None as long as nobody told."""
        return self.facts.total if self.facts else None

    @property
    def whole(self) -> bool:
        """Whether no byte is missing, as far as the host told the length."""
        return self.total == self.size

    def open(self) -> bool:
        """Take hold of what is there already, unless another holds it: then return False.

        Raises:
            FileExistsError: Another file lies at the target.
            OSError: Nothing can be written there.
        """
        self.facts, self.size, self._ours = None, 0, False
        self._notes = open_regular(hidden(self.path, NOTES), _OPENING)
        if not self._locked(self._notes):
            os.close(self._notes)
            self._notes = _CLOSED
            return False
        self._refuse_other()
        self._bytes = open_regular(hidden(self.path, PART), _OPENING)
        self._ours = True
        self._hash = self.new_hash()
        facts, there = self._noted(), os.fstat(self._bytes).st_size
        if facts is None or not self._fits(facts, there):
            os.ftruncate(self._bytes, 0)
            return True
        self.facts, self.size = facts, there
        self.learn(self.wanted)
        self._refuse_other()
        while not self.stopped and (piece := os.read(self._bytes, _PIECE)):
            self._hash.update(piece)
        return True

    def _fits(self, facts: Facts, there: int) -> bool:
        """Whether bytes on the disk are the beginning of this video, and can be gone on with."""
        return (
            facts.source == self.source
            and facts.validator is not None
            and there <= (there if facts.total is None else facts.total)
            and (self.wanted is None or facts.total in (None, self.wanted))
        )

    def learn(self, total: int | None) -> None:
        """Take note of how long the video is, which a host may tell late."""
        if self.facts is not None and self.facts.total is None:
            self.facts = attrs.evolve(self.facts, total=total)

    def begin(self, facts: Facts) -> None:
        """Drop what is there for a video from its first byte on.

        Raises:
            FileExistsError: Another file lies at the target.
        """
        self.size, self._hash, self.facts = 0, self.new_hash(), facts
        self._refuse_other()
        os.ftruncate(self._bytes, 0)
        os.lseek(self._bytes, 0, os.SEEK_SET)
        # The notes change while there is no byte that they could be wrong about.
        os.ftruncate(self._notes, 0)
        os.lseek(self._notes, 0, os.SEEK_SET)
        os.write(self._notes, _CONVERTER.dumps(_Notes(self.path.name, facts)).encode())

    def drop(self) -> None:
        """Forget what is there: it is no part of the video."""
        self.size, self._hash, self.facts = 0, self.new_hash(), None
        os.ftruncate(self._notes, 0)
        os.ftruncate(self._bytes, 0)

    def write(self, chunks: Sequence[bytes]) -> None:
        """Append bytes; those that the disk still took count, whatever it says to the others."""
        for chunk in chunks:
            left = memoryview(chunk)
            while left:
                written = os.write(self._bytes, left)
                self._hash.update(left[:written])  # type: ignore[arg-type] # any buffer
                self.size += written
                left = left[written:]

    def check(self) -> None:
        """Make sure that what is there is a video, and all of it, as far as that can be told.

        Raises:
            Interrupted: It is not; nothing of it is kept, except for the beginning of one whose length nobody told.
        """
        other = no_media(self._read(0, HEAD), self.facts.kind if self.facts else "")
        cut = incomplete(self._read, self.size)
        os.lseek(self._bytes, self.size, os.SEEK_SET)
        if other or (cut and self.total is not None):
            self.drop()
        if other or cut:
            raise Interrupted(other or cut or "")

    def publish(self) -> SavedFile:
        """Give the whole video its name, on the disk for good.

        Raises:
            FileExistsError: Another file lies at the target.
        """
        os.fsync(self._bytes)
        self._refuse_other()
        target, part = self.target or self.path, hidden(self.path, PART)
        os.close(self._bytes)  # Windows renames no open file
        self._bytes = _CLOSED
        if self.overwrite:
            part.replace(target)
        else:
            self._name(part, target)
        self.facts = None
        _sync_folder(target.parent)
        return SavedFile(target, self.size, self._hash.hexdigest())

    def _name(self, part: Path, target: Path) -> None:
        """Give the part its name, unless another file has it."""
        try:
            rename_new(part, target)
        except FileExistsError:
            there = same_bytes(target, part)
            if there is None or not (there == self.size or self.mends):
                raise exists(target) from None
            if there != self.size:
                part.replace(target)

    def close(self) -> None:
        """Let go; what cannot be gone on with is removed."""
        if self._notes == _CLOSED:
            return
        if self._bytes != _CLOSED:
            os.close(self._bytes)
        try:
            self._clear_away()
        finally:
            os.close(self._notes)
            self._notes = self._bytes = _CLOSED

    def _clear_away(self) -> None:
        if self._ours and not (self.facts and self.facts.validator and self.size):
            hidden(self.path, PART).unlink(missing_ok=True)
            os.ftruncate(self._notes, 0)
        if not os.fstat(self._notes).st_size:
            with contextlib.suppress(PermissionError):  # Windows removes no open file; empty notes do no harm
                hidden(self.path, NOTES).unlink(missing_ok=True)

    def _locked(self, descriptor: int) -> bool:
        try:
            # Who held it before may have removed it while this one opened it.
            return _locks.lock(descriptor, wait=False) and _locks.lies_at(descriptor, hidden(self.path, NOTES))
        except OSError:  # a file system without locks: as good as it gets
            return True

    def _noted(self) -> Facts | None:
        os.lseek(self._notes, 0, os.SEEK_SET)
        notes = _read_notes(os.read(self._notes, _LONGEST_NOTES))
        return notes.facts if notes is not None and notes.name == self.path.name else None

    def _read(self, place: int, most: int) -> bytes:
        os.lseek(self._bytes, place, os.SEEK_SET)
        return os.read(self._bytes, most)

    def _refuse_other(self) -> None:
        """Refuse what lies at the target and is not this video for sure."""
        target = self.target
        found = None if target is None else looked_at(target)
        if target is None or found is None or self.overwrite:
            return
        total = self.wanted if self.total is None else self.total
        if total is not None and found != total and not (self.mends and found < total):
            raise exists(target)


def damaged(path: Path) -> bool:
    """Whether a file that was a video is empty or zeros by now, or lacks its end; False for no file, and any other.

    Raises:
        OSError: It cannot be read, or is no regular file.
    """
    if (size := looked_at(path)) is None:
        return False
    with reading(path) as file:

        def read(place: int, most: int) -> bytes:
            file.seek(place)
            return file.read(most) or b""

        return not any(read(0, HEAD)) or incomplete(read, size) is not None


def begun(folder: Path, source: str) -> Path | None:
    """Return the target in a folder under which a video was begun and not finished; None for none; blocks."""
    for notes in _all_notes(folder):
        if notes.facts.source == source:
            return folder / notes.name
    return None


def _all_notes(folder: Path) -> Iterator[_Notes]:
    for path in folder.glob(f".*{NOTES}"):
        with contextlib.suppress(OSError), reading(path) as file:
            if (notes := _read_notes(file.read(_LONGEST_NOTES) or b"")) is not None:
                yield notes


def _read_notes(text: bytes) -> _Notes | None:
    """Read notes; None for what cannot be read: a video is rather fetched anew than put together wrong."""
    try:
        notes = _CONVERTER.loads(text, _Notes)
    except Exception:  # noqa: BLE001 - whatever is wrong with it
        return None
    return notes if notes.name == Path(notes.name).name else None


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # pragma: no branch - elsewhere a folder cannot be opened
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
