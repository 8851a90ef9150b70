"""A film that is not whole yet: its bytes beside the target, hidden, until they are the target.

What belongs here: the file, its lock, and its notes, which together survive the death of the process. What must not:
HTTP, and the event loop: everything here blocks, and runs in a thread.

Beside ``cat.mp4`` lie ``.cat.mp4.part``, the bytes, and ``.cat.mp4.part.json``, what the host said of them. The second
is locked as long as somebody writes the first; the system frees a lock when its process dies, however it dies.
"""

import contextlib
import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import attrs
from cattrs.preconf.json import make_converter

from foxvideo._transfer.resume import Facts

_PIECE = 1 << 20
_PART, _NOTES = ".part", ".part.json"
_LONGEST_NOTES = 1 << 16
_CLOSED = -1  # no descriptor: the system refuses it
_CONVERTER = make_converter()
_OPENING = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)

if sys.platform == "win32":  # pragma: no cover - another system's half
    import msvcrt

    def _lock(descriptor: int) -> None:
        # Others cannot read what is locked, so it is a byte far behind the notes.
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Hash(Protocol):
    """As in ``hashlib``."""

    def update(self, data: bytes, /) -> None:
        """Take in more bytes."""

    def hexdigest(self) -> str:
        """Return the digest of all bytes so far."""
        ...


@attrs.frozen
class SavedFile(os.PathLike[str]):
    """A file that was saved, whole and on the disk; goes wherever a path does: ``open(saved)``, ``Path(saved)``.

    Attributes:
        path: Where it lies, as it was asked for.
        size: Its bytes.
        sha256: The SHA-256 of its content, in hexadecimal.
    """

    path: Path
    size: int
    sha256: str

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __str__(self) -> str:
        return str(self.path)


@attrs.define(eq=False, kw_only=True)
class Part:
    """The part of one film that is on the disk. Its methods must not run at the same time.

    Attributes:
        path: The target.
        source: Which film this is.
        overwrite: Whether an existing target is replaced.
        named: Whether ``path`` is the whole name; else the suffix follows from the film's type.
        new_hash: Makes what the bytes are hashed with.
        facts: What the host said of the film; None before it said anything.
        size: Bytes on the disk.
        stopped: Set from outside to leave long work early.
    """

    path: Path
    source: str
    overwrite: bool
    named: bool = True
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
        """What the part becomes; None as long as that hangs on the type of the film, and nobody told it."""
        if self.named:
            return self.path
        return self.path.with_name(self.path.name + self.facts.suffix) if self.facts else None

    @property
    def total(self) -> int | None:
        """The bytes of the whole film; None as long as nobody told."""
        return self.facts.total if self.facts else None

    @property
    def whole(self) -> bool:
        """Whether no byte is missing, as far as the host told the length."""
        return self.total == self.size

    def open(self) -> bool:
        """Take hold of what is there already, unless another holds it: then return False.

        Raises:
            FileExistsError: The target exists, and may not be replaced.
        """
        self.facts, self.size, self._ours = None, 0, False
        self._notes = os.open(self._beside(_NOTES), _OPENING, 0o666)
        if not self._locked(self._notes):
            os.close(self._notes)
            self._notes = _CLOSED
            return False
        self._refuse_existing()
        self._bytes = os.open(self._beside(_PART), _OPENING, 0o666)
        self._ours = True
        self._hash = self.new_hash()
        facts, there = self._noted(), os.fstat(self._bytes).st_size
        if facts is None or facts.source != self.source or not facts.validator or there > (facts.total or there):
            os.ftruncate(self._bytes, 0)
            return True
        self.facts, self.size = facts, there
        self._refuse_existing()
        while not self.stopped and (piece := os.read(self._bytes, _PIECE)):
            self._hash.update(piece)
        return True

    def learn(self, total: int | None) -> None:
        """Take note of how long the film is, which a host may tell late."""
        if self.facts is not None and self.facts.total is None:
            self.facts = attrs.evolve(self.facts, total=total)

    def begin(self, facts: Facts) -> None:
        """Drop what is there for a film from its first byte on.

        Raises:
            FileExistsError: The target exists, and may not be replaced.
        """
        self.size, self._hash, self.facts = 0, self.new_hash(), facts
        self._refuse_existing()
        os.ftruncate(self._bytes, 0)
        os.lseek(self._bytes, 0, os.SEEK_SET)
        # The notes change while there is no byte that they could be wrong about.
        os.ftruncate(self._notes, 0)
        os.lseek(self._notes, 0, os.SEEK_SET)
        os.write(self._notes, _CONVERTER.dumps(facts).encode())

    def drop(self) -> None:
        """Forget what is there: it is no part of the film."""
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

    def publish(self) -> SavedFile:
        """Give the whole film its name, on the disk for good.

        Raises:
            FileExistsError: The target has come into being meanwhile, and may not be replaced.
        """
        os.fsync(self._bytes)
        self._refuse_existing()
        target = self.target or self.path
        os.close(self._bytes)  # Windows renames no open file
        self._bytes = _CLOSED
        self._beside(_PART).replace(target)
        self.facts = None
        _sync_folder(target.parent)
        return SavedFile(target, self.size, self._hash.hexdigest())

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
            self._beside(_PART).unlink(missing_ok=True)
            os.ftruncate(self._notes, 0)
        if not os.fstat(self._notes).st_size:
            with contextlib.suppress(PermissionError):  # Windows removes no open file; empty notes do no harm
                self._beside(_NOTES).unlink(missing_ok=True)

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(f".{self.path.name}{suffix}")

    def _locked(self, descriptor: int) -> bool:
        try:
            _lock(descriptor)
        except (BlockingIOError, PermissionError):  # the second is what Windows says
            return False
        except OSError:  # a file system without locks: as good as it gets
            return True
        # Who held it before may have removed it while this one opened it.
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(descriptor), self._beside(_NOTES).stat())
        return False

    def _noted(self) -> Facts | None:
        os.lseek(self._notes, 0, os.SEEK_SET)
        return _facts(os.read(self._notes, _LONGEST_NOTES))

    def _refuse_existing(self) -> None:
        target = self.target
        if not self.overwrite and target is not None and target.exists():
            raise FileExistsError(f"{target} exists; pass overwrite=True to replace it")


def begun(folder: Path, source: str) -> Path | None:
    """Return the target in a folder under which a film was begun and not finished; None for none; blocks."""
    for notes in folder.glob(f".*{_NOTES}"):
        with contextlib.suppress(OSError), notes.open("rb") as file:
            facts = _facts(file.read(_LONGEST_NOTES))
            if facts is not None and facts.source == source:
                return folder / notes.name[1 : -len(_NOTES)]
    return None


def _facts(notes: bytes) -> Facts | None:
    """Read notes; None for what cannot be read: a film is rather fetched anew than put together wrong."""
    try:
        return _CONVERTER.loads(notes, Facts)
    except Exception:  # noqa: BLE001 - whatever is wrong with it
        return None


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # pragma: no branch - elsewhere a folder cannot be opened
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
