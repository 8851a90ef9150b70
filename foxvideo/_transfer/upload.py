"""Local media on their way to the service: the same bytes once, however many requests need them.

What belongs here: what a file holds, and bringing it up in constant memory. What must not: what the service's answer
means (``_wire/decode.py``), whether to try again (``_wire/verdict.py``), and HTTP itself (``_http.py``).
"""

import asyncio
import hashlib
import json
import logging
import os
import re
import secrets
import stat
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import aiohttp
import attrs

from foxvideo._http import Transport
from foxvideo._wire.verdict import WELL, AskAgain, judge_upload
from foxvideo.errors import ClientClosed, UploadError
from foxvideo.requests.validation import LocalMedia, show

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter

_log = logging.getLogger("foxvideo")

_AT_ONCE = 4  # bounded apart from requests, so that a large file holds up no query
_PIECE = 1 << 18
_STALL_SECONDS = 60.0  # for one piece
REMEMBERED_SECONDS = 24 * 3600.0  # an upload lives 72 hours, but the oldest are dropped when the storage is full


class Memory(Protocol):
    """Remembers beyond the life of a client under which URL a content lies at the service."""

    async def upload(self, digest: str, /) -> str | None:
        """Return the URL of a content that was uploaded within the last 24 hours; None if none is known."""

    def uploaded(self, digest: str, url: str, /) -> None:
        """Take note that a content was uploaded just now."""

    def forget_uploads(self, urls: Collection[str], /) -> None:
        """Forget those of these URLs that are known."""


class _Nothing:
    """The memory of a client that has none."""

    async def upload(self, _: str, /) -> str | None:
        """Know nothing."""

    def uploaded(self, _: str, __: str, /) -> None:
        """Take no note."""

    def forget_uploads(self, _: Collection[str], /) -> None:
        """Forget nothing."""


@attrs.frozen
class _Content:
    """What is to be uploaded, as it was when it was looked at."""

    media: LocalMedia = attrs.field(repr=False)
    size: int
    digest: str


@attrs.define(eq=False)
class Uploads:
    """Uploads of one client.

    An upload costs nothing, so it is repeated like a read.

    Attributes:
        limit: Most bytes of one file; None for no limit of ours.
        memory: Remembers what other clients uploaded; this client's own uploads are remembered in any case.
    """

    _transport: Transport
    limit: int | None = None
    memory: Memory = attrs.field(factory=_Nothing)
    _known: dict[str, tuple[float, str]] = attrs.field(factory=dict, init=False)
    _flights: dict[str, asyncio.Task[str]] = attrs.field(factory=dict, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _slots: asyncio.Semaphore = attrs.field(factory=lambda: asyncio.Semaphore(_AT_ONCE), init=False)

    async def link(self, media: LocalMedia) -> str:
        """Return a URL under which the service can read a local file; uploaded unless its content already was.

        Cancelling one who waits leaves the upload to the others that need it.

        Raises:
            UploadError: The file cannot be read, is too large, or the service did not take it.
            ClientClosed: The client was closed meanwhile.
            FoxError: The service refuses the key, or cannot be reached.
        """
        async with self._slots:
            content = await asyncio.to_thread(_look, media, self.limit)
        if self._closed:
            raise ClientClosed("the client was closed before a file was uploaded", submitted="no")
        flight = self._flights.get(content.digest)
        if flight is None:
            flight = self._flights[content.digest] = asyncio.create_task(self._bring(content))
            flight.add_done_callback(lambda flight: self._landed(content.digest, flight))
        await asyncio.wait({flight})
        if flight.cancelled():
            raise ClientClosed("the client was closed while a file was uploaded", submitted="no")
        return flight.result()

    def forget(self, body: bytes) -> None:
        """Upload anew next time what a body links to, because the service calls a link invalid."""
        texts = {json.loads(text) for text in re.findall(rb'"(?:[^"\\]|\\.)*"', body)}
        self._known = {digest: known for digest, known in self._known.items() if known[1] not in texts}
        self.memory.forget_uploads(texts)

    async def close(self) -> None:
        """Cut uploads that are under way; those that wait for a place are not begun."""
        self._closed = True
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _landed(self, digest: str, flight: asyncio.Task[str]) -> None:
        del self._flights[digest]
        if not flight.cancelled():
            flight.exception()  # looks at an error that nobody may be left to wait for

    async def _bring(self, content: _Content) -> str:
        clock = asyncio.get_running_loop()
        since, known = self._known.get(content.digest, (0.0, ""))
        if known and clock.time() - since <= REMEMBERED_SECONDS:
            return known
        if (remembered := await self.memory.upload(content.digest)) is not None:
            return remembered
        async with self._slots:
            url = await self._upload(content)
        self._known[content.digest] = (clock.time(), url)
        self.memory.uploaded(content.digest, url)
        _log.debug("uploaded %d bytes: %s", content.size, url)
        return url

    async def _upload(self, content: _Content) -> str:
        clock, trouble = asyncio.get_running_loop(), WELL
        while True:
            sent = _Sent(content)
            with aiohttp.MultipartWriter("form-data") as form:
                form.append_payload(sent)
            answer = await self._transport.upload(form)
            verdict = judge_upload(answer, trouble, clock.time())
            sent.check(whole=isinstance(verdict, str))
            match verdict:
                case str():
                    return verdict
                case AskAgain():
                    trouble = verdict.trouble
                    await asyncio.sleep(verdict.after or 0.0)
                case _:
                    raise verdict


class _Sent(aiohttp.Payload):
    """A content as the body of an upload: read piece by piece, and held against what was looked at before.

    No file stays open between two pieces, so nothing is left open however the sending ends.
    """

    _default_content_type = "application/octet-stream"
    _value: _Content

    def __init__(self, content: _Content) -> None:
        super().__init__(content)
        self._error: UploadError | None = None
        self._hash = hashlib.sha256()
        suffix = ".bin" if isinstance(content.media, bytes) else Path(content.media).suffix.lower()
        # Whoever knows the URL can fetch the file, so its name is random.
        self.set_content_disposition("form-data", name="file", filename=f"{secrets.token_hex(16)}{suffix}")

    @property
    def size(self) -> int:
        """How many bytes are announced."""
        return self._value.size

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002 - aiohttp's
        """Refuse: media are no text."""
        raise TypeError("media are no text")

    async def write(self, writer: "AbstractStreamWriter") -> None:
        """Send the content, as long as it is the one that was announced."""
        for offset in range(0, self.size, _PIECE):
            try:
                piece = await asyncio.to_thread(self._piece, offset)
            except UploadError as error:
                self._error = error
                raise OSError(error.what) from None  # aiohttp ends the request
            async with asyncio.timeout(_STALL_SECONDS):
                await writer.write(piece)

    def check(self, *, whole: bool) -> None:
        """Make sure that what was sent is what was looked at.

        Args:
            whole: Whether all of it was sent.

        Raises:
            UploadError: It is not.
        """
        if self._error is not None:
            raise self._error
        if whole and self._hash.hexdigest() != self._value.digest:
            raise _changed(self._value.media)

    def _piece(self, offset: int) -> bytes:
        wanted = min(_PIECE, self.size - offset)
        if isinstance(self._value.media, bytes):
            piece = self._value.media[offset : offset + wanted]
        else:
            piece = _read(self._value.media, offset, wanted, last=offset + wanted == self.size)
        self._hash.update(piece)
        return piece


def digest(media: LocalMedia) -> str:
    """Return the SHA-256 of local media, in hexadecimal; reads a file in constant memory, and blocks.

    Raises:
        UploadError: The file cannot be read.
    """
    return _look(media, None).digest


def _look(media: LocalMedia, limit: int | None) -> _Content:
    """Read media once, to know what they hold."""
    if isinstance(media, bytes):
        _refuse_large(media, len(media), limit)
        return _Content(media, len(media), hashlib.sha256(media).hexdigest())
    try:
        with Path(media).open("rb", buffering=0) as file:
            told = os.fstat(file.fileno())
            if not stat.S_ISREG(told.st_mode):
                raise UploadError(f"{_called(media)} is no regular file", submitted="no")
            _refuse_large(media, told.st_size, limit)
            found, size = hashlib.sha256(), 0
            while piece := file.read(_PIECE):
                found.update(piece)
                size += len(piece)
    except (OSError, ValueError) as error:  # a path with a null byte is a ValueError
        raise _unreadable(media, error) from error
    return _Content(media, size, found.hexdigest())


def _read(path: "os.PathLike[str]", offset: int, wanted: int, *, last: bool) -> bytes:
    """Read a piece of a file, which must end where it ended before."""
    try:
        with Path(path).open("rb", buffering=0) as file:
            file.seek(offset)
            piece = file.read(wanted + last) or b""
    except OSError as error:
        raise _unreadable(path, error) from error
    if len(piece) != wanted:
        raise _changed(path)
    return piece


def _refuse_large(media: LocalMedia, size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        raise UploadError(f"{_called(media)} has {size} bytes, and upload_limit allows {limit}", submitted="no")


def _unreadable(media: LocalMedia, error: Exception) -> UploadError:
    return UploadError(f"could not read {_called(media)}: {getattr(error, 'strerror', None) or error}", submitted="no")


def _changed(media: LocalMedia) -> UploadError:
    return UploadError(f"{_called(media)} changed while it was uploaded", submitted="no")


def _called(media: LocalMedia) -> str:
    return show(media) if isinstance(media, bytes) else repr(str(Path(media)))
