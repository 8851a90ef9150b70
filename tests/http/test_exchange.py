"""One POST: whether it may have left, what arrived of its reply, and how long that is waited for."""

import asyncio
import functools
import os
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import stopped
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult
from certificates import serving
from replies import ID
from sockets import Server, Speak, drop, fetch, hang, now, opened, replied, reset, submit, unanswered, whole

from foxvideo import FoxError, SubmitUncertain
from foxvideo._http import Transport
from foxvideo._wire.decode import read_submit
from foxvideo._wire.reply import NoReply

BODY = f'{{"object": "video.generation.task", "id": "{ID}", "status": "pending", "progress": 0}}'.encode()


# --- What did not leave ----------------------------------------------------------------------------------------------


class Foreign(Exception):
    """An exception that nobody has heard of."""


ANYTHING: list[Exception] = [
    RuntimeError("odd"),
    ValueError("odd"),
    KeyError("odd"),
    Foreign("odd"),
    OSError(5, "odd"),
    TimeoutError(),
    EOFError(),
    AssertionError("odd"),
    aiohttp.ClientError("odd"),
    aiohttp.ClientPayloadError("odd"),
    aiohttp.ServerDisconnectedError("odd"),
    aiohttp.ClientOSError(5, "odd"),
    aiohttp.SocketTimeoutError("odd"),
    ssl.SSLError(1, "odd"),
    UnicodeError("label too long"),
]


class Connector(aiohttp.TCPConnector):
    """A connector of somebody else, which does as it is told in place of connecting."""

    do: Callable[[], Awaitable[Any]]

    async def connect(self, *_: Any, **__: Any) -> Any:  # noqa: ANN401 - aiohttp's
        """Do it."""
        return await self.do()


class Inner(aiohttp.TCPConnector):
    """One that breaks inside of what aiohttp has around it."""

    do: Callable[[], Awaitable[Any]]

    async def _create_connection(self, *_: Any, **__: Any) -> Any:  # noqa: ANN401 - aiohttp's
        return await self.do()


class Resolver(AbstractResolver):
    """A resolver of somebody else."""

    def __init__(self, do: Callable[[], Awaitable[Any]]) -> None:
        self.do = do

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        """Do as it is told."""
        found: list[ResolveResult] = await self.do()
        return found

    async def close(self) -> None:
        """Hold nothing."""


def broken(how: str, do: Callable[[], Awaitable[Any]]) -> Callable[..., aiohttp.BaseConnector]:
    """Return a maker of connectors that break in one of their parts."""

    def make(**options: Any) -> aiohttp.BaseConnector:  # noqa: ANN401 - aiohttp's
        if how == "resolver":
            return aiohttp.TCPConnector(resolver=Resolver(do), **options)
        connector = (Connector if how == "connect" else Inner)(**options)
        connector.do = do
        return connector

    return make


@pytest.mark.parametrize("how", ["connect", "connection", "resolver"])
@pytest.mark.parametrize("error", ANYTHING, ids=lambda error: type(error).__name__)
async def test_whatever_breaks_before_the_request_leaves_nothing_left(error: Exception, how: str) -> None:
    """Not the exception tells that, but that no header was handed over."""

    async def fail() -> None:
        raise error

    async with opened("http://fox.invalid", connector=broken(how, fail)) as transport:
        answers = await submit(transport), await transport.get("/v1/models")
        with pytest.raises(aiohttp.ClientError):
            await fetch(transport, "http://videos.invalid/a.mp4")

    assert not unanswered(answers[0]).sent
    assert isinstance(answers[1], NoReply)
    with pytest.raises(FoxError) as caught:
        read_submit(answers[0], trust_refusals=True)
    assert caught.value.submitted == "no"


@pytest.mark.parametrize("how", ["connect", "connection", "resolver"])
async def test_a_connector_that_hangs_is_left_after_a_while(how: str) -> None:
    """Also where it heeds no timeout of aiohttp."""
    began = now()

    async with opened("http://fox.invalid", connector=broken(how, asyncio.Event().wait)) as transport:
        answer = unanswered(await submit(transport))

    assert not answer.sent
    assert now() - began <= 31


@pytest.mark.parametrize("error", ANYTHING, ids=lambda error: type(error).__name__)
async def test_a_connector_that_cannot_be_made_sends_nothing(error: Exception) -> None:
    """It is made at the first request."""

    def make(**_: Any) -> aiohttp.BaseConnector:  # noqa: ANN401 - aiohttp's
        raise error

    async with opened("http://fox.invalid", connector=make) as transport:
        assert not unanswered(await submit(transport)).sent
        assert isinstance(await transport.get("/v1/models"), NoReply)
        with pytest.raises(aiohttp.ClientError):
            await fetch(transport, "http://videos.invalid/a.mp4")


async def test_a_refused_connection_proves_that_nothing_was_sent() -> None:
    """Nobody listens."""
    async with Server().running() as gone:
        url = gone.url

    async with opened(url) as transport:
        answer = unanswered(await submit(transport))

    assert not answer.sent
    assert "ClientConnectorError" in answer.reason


async def test_a_connection_that_is_never_made_proves_that_nothing_was_sent(server: Server) -> None:
    """Here the server listens, and answers no handshake; however short the wait for a reply is."""
    await asyncio.sleep(0.5)  # aiohttp rounds the end of a wait up to whole seconds
    began = now()

    async with opened(server.url.replace("http:", "https:"), request_timeout=0.01) as transport:
        answer = unanswered(await submit(transport))

    assert not answer.sent
    assert 15.0 <= now() - began <= 17.0


@pytest.mark.parametrize("pinned", [False, True], ids=["untrusted", "another fingerprint"])
async def test_a_server_that_is_not_trusted_gets_no_request(pinned: bool, authority: trustme.CA) -> None:
    """The handshake ends before a byte of the request leaves."""
    connector = functools.partial(aiohttp.TCPConnector, ssl=aiohttp.Fingerprint(b"\0" * 32) if pinned else True)

    async with Server(tls=serving(authority)).running() as server, opened(server.url, connector=connector) as transport:
        answer = unanswered(await submit(transport))

    assert not answer.sent
    assert server.heard == []


async def test_a_connection_that_was_closed_before_the_request_left_carried_nothing(server: Server) -> None:
    """Such as one that a balancer without servers takes and drops at once."""

    class Slow(aiohttp.TCPConnector):
        async def connect(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - aiohttp's
            connection = await super().connect(*args, **options)
            assert connection.transport is not None
            connection.transport.close()
            return connection

    async with opened(server.url, connector=Slow) as transport:
        assert not unanswered(await submit(transport)).sent
    assert server.heard == []


# --- What may have left ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [drop, reset, hang, b"220 ftp.example.com ready\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"\0"],
    ids=["dropped", "reset", "silent", "not HTTP", "an interim reply alone", "a null"],
)
async def test_a_submission_without_a_reply_may_have_arrived(
    answer: bytes | Speak, server: Server, transport: Transport
) -> None:
    """So it counts as sent."""
    server.answer = answer

    assert unanswered(await submit(transport)).sent
    assert len(server.heard) == 1


async def test_a_request_that_is_cut_while_it_is_sent_may_have_arrived(server: Server, transport: Transport) -> None:
    """Cancelling leaves open what became of it."""
    server.answer = hang
    task = asyncio.ensure_future(submit(transport))
    await asyncio.sleep(1)
    assert len(server.heard) == 1

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


# --- How long a reply is waited for ----------------------------------------------------------------------------------


async def test_a_reply_is_waited_for_as_long_as_asked_and_one_turn_more(server: Server, transport: Transport) -> None:
    """Then nobody knows whether the request was taken."""
    server.answer = hang
    began = now()

    assert unanswered(await submit(transport)).sent
    assert now() - began == pytest.approx(61.0, abs=0.5)


@pytest.mark.parametrize("beginning", [b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", b""], ids=["body", "head"])
async def test_a_reply_that_comes_in_drops_is_waited_for_no_longer(
    beginning: bytes, server: Server, transport: Transport
) -> None:
    """Each drop comes in time, the whole never would."""

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        for byte in b"HTTP/1.1 200 OK\r\n" + b"x" * 5000:
            writer.write(bytes([byte]))
            await asyncio.sleep(10)

    server.answer = drip
    began = now()

    answer = await submit(transport)

    assert now() - began == pytest.approx(61.0, abs=0.5)
    with pytest.raises(SubmitUncertain):
        read_submit(answer, trust_refusals=True)


async def test_the_time_of_a_reply_begins_when_the_request_left(server: Server) -> None:
    """However long connecting took."""

    class Slow(aiohttp.TCPConnector):
        async def connect(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - aiohttp's
            await asyncio.sleep(20)
            return await super().connect(*args, **options)

    async def late(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(9)
        writer.write(whole(BODY))

    server.answer = late
    async with opened(server.url, request_timeout=10.0, connector=Slow) as transport:
        assert replied(await submit(transport)).body == BODY


async def test_the_reply_to_an_upload_that_drips_ends_after_five_minutes(server: Server, transport: Transport) -> None:
    """Counted from the last piece of the file."""

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n")
        while True:
            writer.write(b" ")
            await asyncio.sleep(10)

    class Late(aiohttp.BytesPayload):
        async def write(self, writer: Any) -> None:  # noqa: ANN401 - aiohttp's
            await writer.write(b"con")
            await asyncio.sleep(200)
            await writer.write(b"tent")

    server.answer = drip
    began = now()
    with aiohttp.MultipartWriter("form-data") as form:
        form.append_payload(Late(b"content"))

        answer = replied(await transport.upload(form))

    assert not answer.complete
    assert now() - began == pytest.approx(501, abs=2)


@pytest.mark.real_clock
@pytest.mark.parametrize("how", ["stopped", "blocked"])
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="a process cannot be stopped here")
async def test_a_process_that_stood_still_past_the_deadline_finds_the_reply_that_arrived_meanwhile(how: str) -> None:
    """It lies in the buffer of its socket."""
    blocked = "0.8" if how == "blocked" else "0"

    async def answer(writer: asyncio.StreamWriter) -> None:
        if how == "stopped":
            await asyncio.sleep(0.1)  # until it waits in the selector
            os.kill(process.pid, signal.SIGSTOP)
            await asyncio.sleep(0.05)  # until it stands still
        else:
            await asyncio.sleep(0.4)  # its loop is blocked from 0.2 s on, and its deadline was 0.4 s
        writer.write(whole(BODY))
        await writer.drain()
        if how == "stopped":
            await asyncio.sleep(0.8)
            os.kill(process.pid, signal.SIGCONT)

    async with Server(answer).running() as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, Path(stopped.__file__), server.url, "0.4", blocked, stdout=asyncio.subprocess.PIPE
        )
        try:
            printed, _ = await asyncio.wait_for(process.communicate(), 20)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    assert printed.strip() == BODY
