"""Faults below HTTP, by a server that is a bare socket: what was sent, what the caller got, what ``submitted`` says.

One submit whose reply is lost is one POST, counted at the socket, in each of these.
"""

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import attrs
import pytest
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult

from foxvideo import BadReply, Client, Every, FoxError, GrokTextToVideo, ServiceUnavailable, SubmitUncertain

SHOT = GrokTextToVideo(prompt="A fox trots through snow")
ACCEPTED = b'{"id": "task-unified-1790000001-k3v9q2ma", "status": "pending"}'
COMPLETED = b'{"id": "task-unified-1790000001-k3v9q2ma", "status": "completed", "results": [{"url": "http://x/y.mp4"}]}'

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@attrs.define
class Wire:
    """A server that counts the requests that arrive, and then does as it is told.

    Attributes:
        behave: What it does with a connection once it has read a request.
        requests: First lines of the requests that arrived.
        connections: How many connections were made.
    """

    behave: Behaviour
    requests: list[str] = attrs.field(factory=list)
    connections: int = 0
    port: int = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.requests.append(head.split(b" HTTP")[0].decode())
                length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                if length:
                    await reader.readexactly(int(length[0].split(b":")[1]))
                await self.behave(reader, writer)
                if writer.is_closing():
                    break
        writer.close()

    @asynccontextmanager
    async def serving(self, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
        """Listen, and give the address."""
        server = await asyncio.start_server(self.connected, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        finally:
            server.close()
            server.close_clients() if hasattr(server, "close_clients") else None
            await server.wait_closed()


def _reply(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _half_the_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(_reply(ACCEPTED)[:40])
    await writer.drain()
    writer.close()


async def _half_the_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(_reply(ACCEPTED)[:-30])
    await writer.drain()
    writer.close()


async def _reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.close()


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for byte in _reply(ACCEPTED * 50):
        writer.write(bytes([byte]))
        await asyncio.sleep(1)


async def _silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 smtp.example.com ESMTP\r\n\r\n")
    writer.close()


async def _gateway_page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(_reply(b"<html>Bad gateway</html>", "502 Bad Gateway"))


@pytest.mark.parametrize(
    "behave",
    [_close, _half_the_headers, _half_the_body, _reset, _drip, _silence, _nonsense, _gateway_page],
    ids=lambda behave: behave.__name__.strip("_"),
)
async def test_a_submit_whose_reply_is_lost_is_one_post_and_uncertain(behave: Behaviour) -> None:
    """The server has read the request, so it may have acted: it is not sent again."""
    wire = Wire(behave)
    async with wire.serving() as url, Client("sk-1", url) as client:
        with pytest.raises(SubmitUncertain) as caught:
            await client.generate(SHOT)

    assert caught.value.submitted == "unknown"
    assert wire.requests == ["POST /v1/videos/generations"]
    assert client.unfinished()[0].id is None


async def test_a_connection_that_is_closed_before_the_request_is_read_is_uncertain() -> None:
    """Whether the server read what was sent cannot be known from here."""
    wire = Wire(_close)

    async def slam(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire.connections += 1
        writer.close()

    server = await asyncio.start_server(slam, "127.0.0.1", 0)
    async with server, Client("sk-1", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
        with pytest.raises(SubmitUncertain):
            await client.generate(SHOT)

    assert wire.connections == 1


@pytest.mark.parametrize("status", ["301 Moved Permanently", "307 Temporary Redirect", "308 Permanent Redirect"])
async def test_a_redirect_is_not_followed_and_made_nothing(status: str) -> None:
    """Otherwise aiohttp would repeat the POST elsewhere, or turn it into a GET."""
    elsewhere = Wire(_gateway_page)

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_reply(b"", status, f"Location: http://127.0.0.1:{elsewhere.port}/"))

    wire = Wire(redirect)
    async with elsewhere.serving(), wire.serving() as url, Client("sk-1", url) as client:
        with pytest.raises(BadReply, match="redirected to") as caught:
            await client.generate(SHOT)

    assert caught.value.submitted == "no"
    assert (len(wire.requests), elsewhere.requests) == (1, [])


async def test_a_kept_connection_that_was_dropped_never_carries_a_submit() -> None:
    """The server promises to keep the connection, and closes it right after each reply."""

    async def answer_and_drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = ACCEPTED if wire.requests[-1].startswith("POST") else COMPLETED
        writer.write(_reply(body, "200 OK", "Connection: keep-alive"))
        await writer.drain()
        writer.close()

    wire = Wire(answer_and_drop)
    async with wire.serving() as url, Client("sk-1", url, schedule=Every(1)) as client:
        for _ in range(10):
            await client.generate(SHOT)

    assert wire.requests.count("POST /v1/videos/generations") == 10


async def test_a_bad_certificate_sends_nothing() -> None:
    """The handshake fails before a byte of the request leaves."""
    wire = Wire(_close)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with wire.serving(context) as url, Client("sk-1", url, submit_attempts=2) as client:
        with pytest.raises(ServiceUnavailable) as caught:
            await client.generate(SHOT)

    assert caught.value.submitted == "no"
    assert wire.requests == []


async def test_a_trusted_certificate_is_taken_from_the_connector() -> None:
    """``connector`` is how a certificate authority of one's own is trusted."""
    authority = trustme.CA()
    server, trusting = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(trusting)
    wire = Wire(_gateway_page)
    connector = functools.partial(aiohttp.TCPConnector, ssl=trusting)
    async with wire.serving(server) as url, Client("sk-1", url, connector=connector) as client:
        with pytest.raises(SubmitUncertain, match="Bad gateway"):
            await client.generate(SHOT)

    assert len(wire.requests) == 1


async def test_a_proxy_that_refuses_the_tunnel_sent_nothing() -> None:
    """It answers CONNECT with a page, so the service never saw a byte."""
    proxy = Wire(_gateway_page)
    async with proxy.serving() as url, Client("sk-1", "https://192.0.2.1", proxy=url, submit_attempts=1) as client:
        with pytest.raises(ServiceUnavailable) as caught:
            await client.generate(SHOT)

    assert caught.value.submitted == "no"
    assert proxy.requests == ["CONNECT 192.0.2.1:443"]


async def test_a_proxy_that_answers_a_page_in_place_of_the_service_is_uncertain() -> None:
    """Without TLS the proxy gets the request itself, and may have passed it on."""
    proxy = Wire(_gateway_page)
    async with proxy.serving() as url, Client("sk-1", "http://192.0.2.1", proxy=url) as client:
        with pytest.raises(SubmitUncertain):
            await client.generate(SHOT)

    assert proxy.requests == ["POST http://192.0.2.1/v1/videos/generations"]


class _TwoAddresses(AbstractResolver):
    """Resolves every name to an IPv6 and an IPv4 address of this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return ::1 first; nothing listens there."""
        found: list[ResolveResult] = []
        for address, kind in (("::1", socket.AF_INET6), ("127.0.0.1", socket.AF_INET)):
            found.append(ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=0))
        return found

    async def close(self) -> None:
        """Hold nothing."""


async def test_a_host_whose_first_address_refuses_is_reached_by_the_second() -> None:
    """IPv6 refused, then IPv4: one connection, one POST."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_reply(ACCEPTED if wire.requests[-1].startswith("POST") else COMPLETED))

    def connector(**options: bool) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(resolver=_TwoAddresses(), **options)  # type: ignore[arg-type]

    wire = Wire(accept)
    async with wire.serving():
        address = f"http://foxapi.test:{wire.port}"
        async with Client("sk-1", address, connector=connector, schedule=Every(1)) as client:
            await client.generate(SHOT)

    assert wire.requests.count("POST /v1/videos/generations") == 1


async def test_polls_survive_what_would_make_a_submit_uncertain() -> None:
    """A read that fails is not a video that failed."""
    broken: list[Behaviour] = [_close, _half_the_headers, _half_the_body, _reset, _nonsense, _gateway_page]
    faults = iter(broken * 2)

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if wire.requests[-1].startswith("POST"):
            writer.write(_reply(ACCEPTED))
        elif fault := next(faults, None):
            await fault(reader, writer)
        else:
            writer.write(_reply(COMPLETED))

    wire = Wire(behave)
    async with wire.serving() as url, Client("sk-1", url, schedule=Every(1)) as client:
        video = await client.generate(SHOT)

    assert video.url == "http://x/y.mp4"
    assert wire.requests.count("POST /v1/videos/generations") == 1


async def test_every_error_of_the_wire_is_an_error_of_foxvideo() -> None:
    """No exception of aiohttp leaves the package."""
    for behave in (_close, _half_the_headers, _reset, _nonsense):
        async with Wire(behave).serving() as url, Client("sk-1", url) as client:
            with pytest.raises(FoxError):
                await client.models()
            with pytest.raises(FoxError):
                await client.upload(b"a picture")
