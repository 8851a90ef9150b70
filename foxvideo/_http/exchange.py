"""One POST, as it is seen from here: whether it may have left, what arrived, and when to stop waiting for more.

Everything is an observation of aiohttp by means that it offers to anybody: a trace, a request class, a protocol.
"""

import asyncio
import contextlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING

import aiohttp
import attrs

from foxvideo._wire.reply import Reply
from foxvideo._wire.salvage import salvaged

if TYPE_CHECKING:
    from aiohttp.connector import Connection

_MOST_BYTES = 1 << 20  # that are recorded; the reply to a submission is 1 KB
_ONE_MORE_TURN = 1.0  # seconds
_GRACE_SECONDS = 1.0  # for what may follow a reply that is as long as it said and makes no sense


class HeldBack(Exception):
    """A request did not leave, since it was not to leave any more."""


@attrs.define(eq=False)
class Exchange:
    """What is known of one POST.

    Attributes:
        reply_seconds: How long its reply may take, from when the last piece of the request was handed over.
        may_leave: Asked once the connection stands, right before the first byte.
        sent: Whether it may have left.
        raw: What arrived, at most 1 MiB.
        bound: Cuts the waiting: for a connection at first, then for the reply.
    """

    reply_seconds: float
    may_leave: Callable[[], bool] = lambda: True
    sent: bool = False
    raw: bytearray = attrs.field(factory=bytearray)
    bound: asyncio.Timeout | None = None
    _alarm: asyncio.TimerHandle | None = None

    async def watch(self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        """Have the request tell what arrives, and send it."""
        if isinstance(request, Overheard):
            request.raw = self.raw
        return await send(request)

    def left(self) -> None:
        """Note that a piece of the request is about to be handed to a connection; the time of the reply begins anew."""
        assert self.bound is not None  # noqa: S101 - it is inside of it
        if not self.sent and not self.may_leave():  # money: whoever waited or was stopped may send it no more
            raise HeldBack
        self.stop()
        self.bound.reschedule(None)
        self._alarm = asyncio.get_running_loop().call_later(self.reply_seconds, self._late)
        self.sent = True

    def stop(self) -> None:
        """Stop the time of the reply."""
        if self._alarm is not None:
            self._alarm.cancel()

    def _late(self) -> None:
        # The loop calls what is due before it looks what has arrived. Where the process was stopped for longer than the
        # time that was left, the reply may lie in the buffer of the socket.
        if self.bound is not None:
            self.bound.reschedule(asyncio.get_running_loop().time() + _ONE_MORE_TURN)


async def _left(_session: object, context: SimpleNamespace, _: object) -> None:
    context.trace_request_ctx.left()


def tracing() -> aiohttp.TraceConfig:
    """Return what tells an exchange that its request leaves: aiohttp says so before the bytes are written."""
    config = aiohttp.TraceConfig()
    config.on_request_headers_sent.append(_left)
    config.on_request_chunk_sent.append(_left)
    return config


class Overheard(aiohttp.ClientRequest):
    """A request whose reply is recorded byte by byte, before aiohttp has a word to say about it."""

    raw: bytearray | None = None

    async def send(self, conn: "Connection") -> aiohttp.ClientResponse:
        """Send it over a connection."""
        transport = conn.transport
        if transport is None or transport.is_closing():
            raise aiohttp.ClientConnectionError("the connection was closed before anything was sent")
        if self.raw is not None and isinstance(conn.protocol, asyncio.Protocol):
            with contextlib.suppress(AttributeError, NotImplementedError):  # a foreign transport may not offer it
                transport.set_protocol(_Recorder(conn.protocol, self.raw))
        return await super().send(conn)


class _Recorder(asyncio.Protocol):
    """Stands between a transport and aiohttp's protocol: records what arrives, and hands it on once it is a reply.

    aiohttp closes a connection at the first byte that it does not like, and what was still to come is lost with it. So
    it is given nothing before the reply is whole, the connection has ended, or there is more than anybody reads.
    """

    def __init__(self, protocol: asyncio.Protocol, raw: bytearray) -> None:
        self._protocol, self._raw = protocol, raw
        self._handed_on = False
        self._grace: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Record; hand on if that completes a reply."""
        self._raw += data[: _MOST_BYTES - len(self._raw)]
        if self._handed_on:
            self._protocol.data_received(data)
            return
        reply = salvaged(bytes(self._raw))
        if len(self._raw) >= _MOST_BYTES or (reply is not None and reply.complete and _makes_sense(reply)):
            self._hand_on()
        elif reply is not None and reply.complete and self._grace is None:
            # As long as it said, and not JSON: the length may be too small.
            self._grace = asyncio.get_running_loop().call_later(_GRACE_SECONDS, self._hand_on)

    def eof_received(self) -> bool | None:
        """Hand on."""
        self._hand_on()
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand on."""
        self._hand_on()
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """Hand on."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Hand on."""
        self._protocol.resume_writing()

    def _hand_on(self) -> None:
        if self._grace is not None:
            self._grace.cancel()
        if not self._handed_on and self._raw:
            self._handed_on = True
            self._protocol.data_received(bytes(self._raw))


def _makes_sense(reply: Reply) -> bool:
    return not reply.ok or isinstance(reply.json(), dict)
