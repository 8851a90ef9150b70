"""Local media on their way to the service: the same bytes once, however many requests need them.

Out of scope: what the service's answer means and whether to try again (``_wire/``), and what a file holds
(``content.py``).
"""

import asyncio
import copy
import hashlib
import json
import re
import secrets
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import aiohttp
import attrs

from foxvideo._aio import heed, in_thread
from foxvideo._http import Transport
from foxvideo._listeners import Listeners
from foxvideo._transfer.content import PIECE, Content
from foxvideo._wire.reply import Answer, NoReply
from foxvideo._wire.verdict import NO_FAILURES, ReadAgain, upload_verdict
from foxvideo.errors import ClientClosed, FoxError, UploadError
from foxvideo.events import EventKind
from foxvideo.media import LocalMedia

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter

_AT_ONCE = 4  # bounded apart from requests, so that a large file holds up no poll
_STALL_SECONDS = 60.0  # for one piece
_REPLY_SECONDS = 300.0  # for connecting, and for the whole reply
_MOST_REMEMBERED = 10_000
REMEMBERED_SECONDS = 24 * 3600.0  # an upload lives 72 hours, but the oldest are dropped when the storage is full


class Memory(Protocol):
    """Remembers beyond the life of a client under which URL a content lies at the service."""

    async def upload(self, digest: str, /) -> str | None:
        """Return the URL of a content that was uploaded within the last 24 hours; None if none is known."""

    def uploaded(self, digest: str, url: str, /) -> None:
        """Take note that a content was uploaded just now."""

    def forget_uploads(self, names: Collection[str], /) -> None:
        """Forget those of these URLs and digests that are known."""


class _Nothing:
    """The memory of a client that has none."""

    async def upload(self, _: str, /) -> str | None:
        """Know nothing."""

    def uploaded(self, _: str, __: str, /) -> None:
        """Take no note."""

    def forget_uploads(self, _: Collection[str], /) -> None:
        """Forget nothing."""


@attrs.define(eq=False)
class _Flight:
    """One upload, for all who need it.

    Attributes:
        content: What goes up.
        task: The upload.
        changed: Whether it ended because the file is not any more what it was.
    """

    content: Content
    task: asyncio.Task[str] = attrs.field(init=False)
    changed: bool = attrs.field(default=False, init=False)


@attrs.define(eq=False)
class Uploads:
    """Uploads of one client.

    An upload costs nothing, so it is repeated like a read.

    Attributes:
        memory: Remembers what other clients uploaded; this client's own uploads are remembered in any case.
        limit: Most bytes of one file; None for no limit of ours.
        listeners: Who hears of an upload.
    """

    _transport: Transport
    memory: Memory = attrs.field(factory=_Nothing)
    limit: int | None = None
    listeners: Listeners = attrs.field(factory=Listeners)
    _known: dict[str, tuple[float, str]] = attrs.field(factory=dict, init=False)
    _flights: dict[str, _Flight] = attrs.field(factory=dict, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _slots: asyncio.Semaphore = attrs.field(factory=lambda: asyncio.Semaphore(_AT_ONCE), init=False)

    @property
    def remembered(self) -> int:
        """How many uploads are known, 10,000 at most."""
        return len(self._known)

    async def link(self, media: LocalMedia, expected: str | None = None, *, check: bool = False) -> str:
        """Return a URL under which the service can read a local file; uploaded unless its content already was.

        Cancelling one who waits leaves the upload to the others that need it.

        Args:
            media: The file, or its bytes.
            expected: The SHA-256 that its request was named by, in hexadecimal; None if it has no name.
            check: Whether what is certainly no picture, video or sound is refused.

        Raises:
            UploadError: The file cannot be read, is too large, or does not hold what was expected; or the service did
                not take it.
            ClientClosed: The client was closed meanwhile.
            FoxError: The service refuses the key, or cannot be reached.
        """
        async with self._slots:
            content = await in_thread(Content.of, media, expected=expected, check=check)
        while True:
            flight = self._flight(content)
            await asyncio.wait({flight.task})
            if flight.task.cancelled():
                raise ClientClosed("the client was closed while a file was uploaded", submitted="no")
            error = flight.task.exception()
            if error is None:
                return flight.task.result()
            if flight.changed and flight.content.media is not media:
                continue  # it was another file of the same content that changed
            # Each who waits gets an error of its own, since it will name that one's task.
            raise copy.copy(error) if isinstance(error, FoxError) else error from error.__cause__

    def forget(self, body: bytes) -> None:
        """Upload anew next time the files of a request: the service may have dropped them.

        It may do so at any time, so whoever is refused with words about the request, or has a task that failed, calls
        this: another upload costs nothing, another task with a dead link would.

        Args:
            body: The request as JSON: as it was sent, with URLs, or as the journal has it, with digests.
        """
        names = {json.loads(text) for text in re.findall(rb'"(?:[^"\\]|\\.)*"', body)}
        if names:
            self._known = {name: known for name, known in self._known.items() if not {name, known[1]} & names}
            self.memory.forget_uploads(names)

    async def close(self) -> None:
        """Cut uploads that are under way; those that wait for a place are not begun."""
        self._closed = True
        tasks = [flight.task for flight in self._flights.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _flight(self, content: Content) -> _Flight:
        """Return the upload of a content, which is begun unless it is under way."""
        if self._closed:
            raise ClientClosed("the client was closed before a file was uploaded", submitted="no")
        if (flight := self._flights.get(content.digest)) is None:
            flight = self._flights[content.digest] = _Flight(content)
            flight.task = asyncio.create_task(self._bring(flight))
            flight.task.add_done_callback(heed)
            flight.task.add_done_callback(lambda _: self._flights.pop(content.digest))
        return flight

    async def _bring(self, flight: _Flight) -> str:
        clock, content = asyncio.get_running_loop(), flight.content
        since, known = self._known.get(content.digest, (0.0, ""))
        if known and clock.time() - since <= REMEMBERED_SECONDS:
            return known
        if (remembered := await self.memory.upload(content.digest)) is not None:
            return remembered
        async with self._slots:
            url = await self._upload(flight)
        self._remember(content.digest, url, clock.time())
        self.memory.uploaded(content.digest, url)
        self.listeners.emit(EventKind.UPLOADED, size=content.size)
        return url

    def _remember(self, digest: str, url: str, now: float) -> None:
        """Remember an upload, and drop those that are too old or too many: the oldest come first."""
        self._known.pop(digest, None)
        self._known[digest] = (now, url)
        while True:
            oldest, (since, _) = next(iter(self._known.items()))
            if now - since <= REMEMBERED_SECONDS and len(self._known) <= _MOST_REMEMBERED:
                return
            del self._known[oldest]

    async def _upload(self, flight: _Flight) -> str:
        clock, failures = asyncio.get_running_loop(), NO_FAILURES
        while True:
            sent = _Sent(flight.content)
            answer = await self._send(sent)
            verdict = upload_verdict(answer, failures, clock.time())
            if (error := sent.fault(whole=isinstance(verdict, str))) is not None:
                flight.changed = True
                raise error
            match verdict:
                case str():
                    return verdict
                case ReadAgain():
                    failures = verdict.failures
                    await asyncio.sleep(verdict.after)
                case _:
                    raise verdict

    async def _send(self, sent: "_Sent") -> Answer:
        """Send a file once, in a time that hangs on its size; a reply may come in drops, too."""
        with aiohttp.MultipartWriter("form-data") as form:
            form.append_payload(sent)
        pieces = sent.size // PIECE + 1
        try:
            async with asyncio.timeout(pieces * _STALL_SECONDS + _REPLY_SECONDS):
                return await self._transport.upload(form)
        except TimeoutError:
            return NoReply(sent=True, reason="the reply came too slowly")


class _Sent(aiohttp.Payload):
    """A content as the body of an upload: read piece by piece, and held against what was looked at before.

    No file stays open between two pieces, so nothing is left open however the sending ends.
    """

    _default_content_type = "application/octet-stream"
    _value: Content

    def __init__(self, content: Content) -> None:
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
        for offset in range(0, self.size, PIECE):
            try:
                piece = await in_thread(self._value.piece, offset)
            except UploadError as error:
                self._error = error
                raise OSError(error.what) from None  # aiohttp ends the request
            self._hash.update(piece)
            async with asyncio.timeout(_STALL_SECONDS):
                await writer.write(piece)

    def fault(self, *, whole: bool) -> UploadError | None:
        """Return the error that what was sent is not what was looked at; None where it is.

        Args:
            whole: Whether all of it was sent.
        """
        if self._error is None and whole and self._hash.hexdigest() != self._value.digest:
            return self._value.changed()
        return self._error
