"""A server that is a bare socket, and a transport that talks to it."""

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import attrs
import yarl

from foxvideo._http import Transport
from foxvideo._transfer.answer import followed
from foxvideo._wire.reply import Answer, NoReply, Reply

KEY = "sk-0123456789abcdefghij"

Speak = Callable[[asyncio.StreamWriter], Awaitable[None]]


def whole(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return a reply with the length of its body."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


OK = whole(b'{"status": "pending"}')


@attrs.define(eq=False)
class Server:
    """Answers every request with the same bytes, or as a function says, and remembers what it heard."""

    answer: bytes | Speak = OK
    tls: ssl.SSLContext | None = None
    heard: list[str] = attrs.field(factory=list)
    connections: int = 0
    url: str = ""
    _talks: dict["asyncio.Task[Any] | None", asyncio.StreamWriter] = attrs.field(factory=dict)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Server"]:
        """Listen on a free port of this machine."""
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0, ssl=self.tls)
        scheme = "https" if self.tls else "http"
        self.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for talk, writer in self._talks.items():
                if talk:
                    talk.cancel()
                writer.transport.abort()
            await asyncio.sleep(0.1)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._talks[asyncio.current_task()] = writer
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"(?i)content-length: (\d+)", head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                self.heard.append((head + body).decode())
                await self._answer(writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        if isinstance(self.answer, bytes):
            writer.write(self.answer)
            await writer.drain()
        else:
            await self.answer(writer)


async def hang(_: asyncio.StreamWriter) -> None:
    """Say nothing."""
    await asyncio.Event().wait()


async def drop(writer: asyncio.StreamWriter) -> None:
    """Close the connection."""
    writer.close()


async def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.close()


@contextlib.asynccontextmanager
async def opened(
    url: str,
    request_timeout: float = 60.0,
    **options: Any,  # noqa: ANN401 - options of Transport
) -> AsyncIterator[Transport]:
    """Open connections, and close them."""
    transport = Transport(url, KEY, request_timeout, 15.0, **options)
    try:
        yield transport
    finally:
        await transport.close()


def replied(answer: Answer) -> Reply:
    """Return the reply that an answer is."""
    assert isinstance(answer, Reply)
    return answer


def unanswered(answer: Answer) -> NoReply:
    """Return how a request got no reply."""
    assert isinstance(answer, NoReply)
    return answer


def now() -> float:
    """Return the seconds of the loop's clock."""
    return asyncio.get_running_loop().time()


async def fetch(transport: Transport, url: str) -> bytes:
    """Return the bytes of a result, wherever its link leads."""
    async with followed(transport, yarl.URL(url), {}) as response:
        return await response.read()


async def submit(transport: Transport) -> Answer:
    """Send a submission."""
    return await transport.submit(b'{"model": "m"}', "idem")
