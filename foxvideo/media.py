"""Files as you hold them: local media on their way in, saved videos on their way out."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

import attrs

__all__ = ["LocalMedia", "Media", "Progress", "SavedFile"]

LocalMedia = os.PathLike[str] | bytes
"""A local file, or the bytes of one: it is uploaded before the request is sent."""

Media = str | LocalMedia | bytearray | memoryview | IO[bytes]
"""A picture or video: a public http(s) URL, or a local file or its bytes, which are uploaded first.

A file that is open for reading as bytes, and whatever else holds bytes, is read whole as the request is made, so it may
be closed then. For what is large, a path takes less memory and holds up no event loop.
"""

Progress = Callable[[int, int | None], object]
"""Called with the bytes on the disk so far, and those of the whole video, None where the host does not tell."""


@attrs.frozen
class _Path(os.PathLike[str]):
    """What goes wherever a path does."""

    path: Path = attrs.field(converter=Path)

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __str__(self) -> str:
        return str(self.path)


@attrs.frozen
class SavedFile(_Path):
    """A file that was saved, whole and on the disk; goes wherever a path does: ``open(saved)``, ``Path(saved)``.

    Attributes:
        path: Where it lies, as it was asked for.
        size: Its bytes.
        sha256: The SHA-256 of its content, in hexadecimal.
    """

    size: int
    sha256: str


@attrs.frozen
class Pinned(_Path):
    """A local file whose content is known: wherever it is read, its content must still be that one.

    A request that was named by the content of its files holds these, so that a file which is replaced later is never
    uploaded under the old one's name: reading it raises ``UploadError``.

    Attributes:
        path: The file.
        sha256: The SHA-256 that its content must have, in hexadecimal.
    """

    sha256: str
