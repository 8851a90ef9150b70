"""What a local file holds: opened without hanging, read piece by piece, and held against what it was before.

Everything here blocks, and runs in a thread.
"""

import errno
import hashlib
import io
import os
import stat
from collections.abc import Callable
from pathlib import Path

import attrs

from foxvideo._transfer.format import HEAD, no_upload
from foxvideo.errors import UploadError
from foxvideo.media import LocalMedia, Pinned, SavedFile

PIECE = 1 << 18
_CHECK = "check the file; with check=False it is uploaded all the same"
_KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"))
_READING = os.O_RDONLY | getattr(os, "O_BINARY", 0)
# A pipe that nobody writes to, and many a device, would hold up whoever opens it.
_SAFELY = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0)


def special(mode: int) -> str | None:
    """Say what a path leads to that is no regular file, from its ``st_mode``; None for a regular file."""
    if stat.S_ISREG(mode):
        return None
    return next((name for is_one, name in _KINDS if is_one(mode)), "a device")


def open_regular(path: "str | os.PathLike[str]", flags: int = _READING, mode: int = 0o666) -> int:
    """Open a regular file and return its descriptor; never hangs.

    Raises:
        OSError: It cannot be opened, or is no regular file.
    """
    try:
        found = special(Path(path).stat().st_mode)  # looked at first: opening alone can set a device off
    except FileNotFoundError:
        found = None
    if found is None:
        descriptor = os.open(path, flags | _SAFELY, mode)
        found = special(os.fstat(descriptor).st_mode)
        if found is None:
            return descriptor
        os.close(descriptor)
    kind = IsADirectoryError if found == "a folder" else OSError
    raise kind(errno.EINVAL if kind is OSError else errno.EISDIR, f"is {found}, not a regular file", os.fspath(path))


def reading(path: "str | os.PathLike[str]") -> io.FileIO:
    """Open a regular file to be read; raise as ``open_regular``."""
    return io.FileIO(open_regular(path))


@attrs.frozen
class Content:
    """What media hold, as it was when they were looked at.

    Attributes:
        media: The media.
        size: Their bytes.
        digest: Their SHA-256, in hexadecimal.
        head: Their first bytes.
    """

    media: LocalMedia = attrs.field(repr=False)
    size: int
    digest: str
    head: bytes = attrs.field(repr=False)

    @classmethod
    def of(cls, media: LocalMedia, *, expected: str | None = None, check: bool = False) -> "Content":
        """Read media once, to know what they hold; a file in constant memory.

        Args:
            media: A file or bytes.
            expected: The digest that they must have, as a ``Pinned`` file has one; None for any.
            check: Whether what is certainly no picture, video or sound is refused: the service takes any bytes, and a
                task that cannot read them is paid for.

        Raises:
            UploadError: The file cannot be read, is too large, holds something else than it did, or is no media.
        """
        expected = media.sha256 if isinstance(media, Pinned) and expected is None else expected
        content = cls._read_once(media)
        if expected not in (None, content.digest):
            raise UploadError(f"{called(media)} changed since its task was described", submitted="no")
        if check and (what := no_upload(content.head, _suffix(media))) is not None:
            raise UploadError(f"{called(media)} is {what}, not a picture, video or sound", submitted="no", hint=_CHECK)
        return content

    @classmethod
    def _read_once(cls, media: LocalMedia) -> "Content":
        if isinstance(media, bytes):
            return cls(media, len(media), hashlib.sha256(media).hexdigest(), media[:HEAD])
        try:
            with reading(media) as file:
                head = file.read(HEAD) or b""
                file.seek(0)
                size, digest = _hashed(file.read)
        except (OSError, ValueError) as error:  # a path with a null byte is a ValueError
            raise _unreadable(media, error) from error
        return cls(media, size, digest, head)

    def piece(self, offset: int, most: int = PIECE) -> bytes:
        """Return the bytes from a place on, which must end where they ended before.

        Raises:
            UploadError: The file cannot be read, or has another length now.
        """
        wanted = min(most, self.size - offset)
        if isinstance(self.media, bytes):
            return self.media[offset : offset + wanted]
        last = offset + wanted == self.size
        try:
            with reading(self.media) as file:
                file.seek(offset)
                piece = file.read(wanted + last) or b""
        except (OSError, ValueError) as error:
            raise _unreadable(self.media, error) from error
        if len(piece) != wanted:
            raise self.changed()
        return piece

    def changed(self) -> UploadError:
        """Return the error that the media are not any more what they were."""
        return UploadError(f"{called(self.media)} changed while it was uploaded", submitted="no")


def digest(media: LocalMedia, *, expected: str | None = None, check: bool = False) -> str:
    """Return the SHA-256 of local media, in hexadecimal; reads a file in constant memory.

    Args:
        media: A file or bytes.
        expected: What it must be, as for a ``Pinned`` file; None for anything.
        check: As for ``Content.of``.

    Raises:
        UploadError: As for ``Content.of``.
    """
    return Content.of(media, expected=expected, check=check).digest


def saved_file(path: Path) -> SavedFile:
    """Return a file that is on the disk as one that was saved; reads it.

    Raises:
        OSError: It cannot be read, or is no regular file.
    """
    with reading(path) as file:
        return SavedFile(path, *_hashed(file.read))


def called(media: LocalMedia) -> str:
    """Name media in an error."""
    return f"<{len(media)} bytes>" if isinstance(media, bytes) else repr(os.fspath(media))


def _suffix(media: LocalMedia) -> str:
    return "" if isinstance(media, bytes) else Path(media).suffix


def _hashed(read: Callable[[int], bytes | None]) -> tuple[int, str]:
    size, found = 0, hashlib.sha256()
    while piece := read(PIECE):
        size += len(piece)
        found.update(piece)
    return size, found.hexdigest()


def _unreadable(media: LocalMedia, error: Exception) -> UploadError:
    return UploadError(f"could not read {called(media)}: {getattr(error, 'strerror', None) or error}", submitted="no")
