"""Rows: requests in their order, each with the key that its content gives it.

The key is made from the fields and from the content of local files, so that the same row is the same task in every run,
wherever it stands and whatever its files are called.
"""

import functools
import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from foxvideo._transfer.content import digest
from foxvideo._wire.encode import encode
from foxvideo.errors import InvalidRequest, UploadError
from foxvideo.media import LocalMedia, Pinned
from foxvideo.requests.generic import Request, VideoRequest, media_of

_KEY_BYTES = 8  # among a million rows, two different ones share a key with a chance of 1 in 37 million
_DIGESTS = 4096  # of files, so that one picture in many rows is read once


@attrs.frozen
class Row:
    """One row of a manifest, checked.

    Attributes:
        number: Its place among the rows, from 1.
        line: The line on which it begins, from 1; None where there is no file.
        key: The key of its task, made from its content; a second row of the same content has ``#2`` behind it.
        request: What it asks for; its local files are ``Pinned`` to the content that made the key.
        notes: What its columns say that begin with ``#``; never sent.
    """

    number: int
    line: int | None
    key: str
    request: VideoRequest
    notes: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class BadRow:
    """One row that cannot be sent.

    Attributes:
        number: Its place among the rows, from 1.
        line: The line on which it begins, from 1; None where there is no file.
        faults: What is wrong with it.
    """

    number: int
    line: int | None
    faults: tuple[str, ...]

    @classmethod
    def of(cls, number: int, line: int | None, error: InvalidRequest | UploadError) -> "BadRow":
        """Return the row that an error is about."""
        faults = error.faults if isinstance(error, InvalidRequest) else ()
        return cls(number, line, tuple(map(str, faults)) or (error.what,))


def name_row(
    number: int, line: int | None, request: VideoRequest | InvalidRequest, times: Counter[str], *, check: bool = True
) -> Row | BadRow:
    """Return a row with its key; reads its local files, and blocks for as long.

    Args:
        number: Its place among the rows.
        line: The line on which it begins; None where there is no file.
        request: What it asks for, or what is wrong with that.
        times: How often each content stood in the rows before; counts this one.
        check: Whether local files that are certainly no media make it a bad row.
    """
    if isinstance(request, InvalidRequest):
        return BadRow.of(number, line, request)
    try:
        request = pinned(request, check=check)
    except UploadError as error:
        return BadRow.of(number, line, error)
    key = hashlib.sha256(described(request)).digest()[:_KEY_BYTES].hex()
    times[key] += 1
    return Row(number, line, key if times[key] == 1 else f"{key}#{times[key]}", request)


def pinned(request: VideoRequest, *, check: bool = False) -> VideoRequest:
    """Return a request whose local files are held to the content that they have now; reads them.

    The key of a row is made from that content, so nothing else may be uploaded under it.

    Raises:
        UploadError: A local file cannot be read, or ``check`` holds and it is certainly no media.
    """
    files: dict[int, Pinned] = {}
    for place, media in media_of(request).items():
        if not isinstance(media, bytes):
            files[place] = _pinned(media, check=check)
        elif check:
            digest(media, check=True)
    if not files:
        return request

    def held(value: Any) -> Any:  # noqa: ANN401 - the value's own type
        match value:
            case Mapping():
                return {name: held(item) for name, item in value.items()}
            case list() | tuple():
                return [held(item) for item in value]
            case _:
                return files.get(id(value), value)

    if isinstance(request, Request):
        return Request(request.model, **held(request.fields))
    return attrs.evolve(
        request, **{field.name: held(getattr(request, field.name)) for field in attrs.fields(type(request))}
    )


def _pinned(path: os.PathLike[str], *, check: bool = False) -> Pinned:
    if isinstance(path, Pinned):
        return path
    file = Path(path)
    try:
        found = file.stat()
    except (OSError, ValueError):
        return Pinned(file, digest(file, check=check))  # which says what is wrong with it
    return Pinned(file, _sha256(file, found.st_mtime_ns, found.st_size, check))


def described(request: VideoRequest) -> bytes:
    """Return a pinned request as the journal keeps it: as JSON, with local files by their content."""
    return encode(request, {place: {"sha256": _content(media)} for place, media in media_of(request).items()})


def _content(media: LocalMedia) -> str:
    return digest(media) if isinstance(media, bytes) else _pinned(media).sha256


@functools.lru_cache(_DIGESTS)
def _sha256(path: Path, changed: int, size: int, check: bool) -> str:  # noqa: ARG001 - another time, another content
    return digest(path, check=check)
