"""Whatever is wrong with the reply to a submission: an id that arrived is the task's, or stands on the error."""

import asyncio
import functools
import zlib
from typing import Any

import aiohttp
import pytest
import trustme
from certificates import serving, trusting
from replies import ID
from sockets import Server, Speak, drop, hang, opened, replied, reset, submit, whole

from foxvideo import FoxError, SubmitUncertain
from foxvideo._http import Transport
from foxvideo._wire.decode import read_submit
from foxvideo._wire.reply import Answer, Reply

BODY = f'{{"object": "video.generation.task", "id": "{ID}", "status": "pending", "progress": 0}}'.encode()


def found(answer: Answer) -> str | None:
    """Return the id that an answer gives, as that of a task or on its error."""
    try:
        return read_submit(answer, trust_refusals=True).id
    except FoxError as error:
        return error.task_id


def packed(body: bytes) -> bytes:
    """Compress with gzip."""
    packer = zlib.compressobj(wbits=31)
    return packer.compress(body) + packer.flush()


def chunked(body: bytes, size: int) -> bytes:
    """Return the chunks of a body, without the last one."""
    pieces = (body[place : place + size] for place in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


def http(body: bytes, *headers: str) -> bytes:
    """Return a reply with these headers alone."""
    return "\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode() + body


ACCEPTED = {
    "well": whole(BODY),
    "a header of 9 KB": whole(BODY, f"Content-Security-Policy: {'x' * 9000}"),
    "a header of 90 KB": whole(BODY, f"Content-Security-Policy: {'x' * 90_000}"),
    "1,000 headers": whole(BODY, *(f"X-{number}: y" for number in range(1000))),
    "gzip in name only": whole(BODY, "Content-Encoding: gzip"),
    "deflate in name only": whole(BODY, "Content-Encoding: deflate"),
    "br in name only": whole(BODY, "Content-Encoding: br"),
    "gzip": whole(packed(BODY), "Content-Encoding: gzip"),
    "gzip called deflate": whole(packed(BODY), "Content-Encoding: deflate"),
    "bytes behind the end": whole(BODY) + b"<html>",
    "bytes behind the last chunk": http(chunked(BODY, 9) + b"0\r\n\r\njunk", "Transfer-Encoding: chunked"),
    "a second reply": whole(BODY) + whole(b"{}", status="500 Oops"),
    "two lengths": whole(BODY, f"Content-Length: {len(BODY)}"),
    "a bad header name": whole(BODY, "Bad Name: x"),
    "a bad header value": whole(BODY, "X: \x01"),
    "no protocol version": whole(BODY).replace(b"HTTP/1.1", b"HTTP/9.9"),
}
SHOWN = {
    "a length too small by one": http(BODY, f"Content-Length: {len(BODY) - 1}"),
    "a length far too small": http(BODY, "Content-Length: 3"),
    "a length too large": http(BODY, f"Content-Length: {len(BODY) + 1}"),
    "a length that is none": http(BODY, "Content-Length: many"),
    "half a body": whole(BODY)[:-9],
    "half a body in chunks": http(chunked(BODY, 7)[:-30], "Transfer-Encoding: chunked"),
    "a bad chunk behind it": http(chunked(BODY, 7) + b"zz\r\n", "Transfer-Encoding: chunked"),
    "gzip that no header told of": whole(packed(BODY)),
    "not HTTP": BODY,
}
EITHER = {
    "two different lengths": whole(BODY, "Content-Length: 3"),
    "two different lengths, the small one first": http(BODY, "Content-Length: 3", f"Content-Length: {len(BODY)}"),
    "gzip without its end": whole(packed(BODY)[:-4], "Content-Encoding: gzip"),
    "both framings": whole(chunked(BODY, 9) + b"0\r\n\r\n", "Transfer-Encoding: chunked"),
    "both framings, but no chunks": whole(BODY, "Transfer-Encoding: chunked"),
}


def _spoken(raw: bytes, pieces: int, end: Speak) -> Speak:
    async def speak(writer: asyncio.StreamWriter) -> None:
        for place in range(0, len(raw), pieces):
            writer.write(raw[place : place + pieces])
            await writer.drain()
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        await end(writer)

    return speak


ENDINGS = {"closed": drop, "reset": reset, "silent": hang}


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
@pytest.mark.parametrize("pieces", [1 << 20, 40], ids=["at once", "in pieces"])
@pytest.mark.parametrize("raw", ACCEPTED.values(), ids=ACCEPTED)
async def test_a_reply_that_merely_came_in_bent_http_is_an_acceptance(
    raw: bytes, pieces: int, end: Speak, server: Server, transport: Transport
) -> None:
    """It is whole, and it has an id and a status."""
    server.answer = _spoken(raw, max(pieces, len(raw) // 200), end)

    answer = await submit(transport)

    assert read_submit(answer, trust_refusals=True).id == ID


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
@pytest.mark.parametrize("pieces", [1 << 20, 40], ids=["at once", "in pieces"])
@pytest.mark.parametrize("raw", SHOWN.values(), ids=SHOWN)
async def test_an_id_in_a_reply_that_is_not_whole_is_on_the_error(
    raw: bytes, pieces: int, end: Speak, server: Server, transport: Transport
) -> None:
    """It is worth money."""
    server.answer = _spoken(raw, pieces, end)

    answer = await submit(transport)

    with pytest.raises(SubmitUncertain) as caught:
        read_submit(answer, trust_refusals=True)
    assert caught.value.task_id == ID


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
@pytest.mark.parametrize("pieces", [1 << 20, 40], ids=["at once", "in pieces"])
@pytest.mark.parametrize("raw", EITHER.values(), ids=EITHER)
async def test_an_id_is_found_where_a_reply_contradicts_itself(
    raw: bytes, pieces: int, end: Speak, server: Server, transport: Transport
) -> None:
    """As that of a task, or on the error."""
    server.answer = _spoken(raw, pieces, end)

    assert found(await submit(transport)) == ID


@pytest.mark.parametrize(
    "raw", [ACCEPTED["bytes behind the end"], SHOWN["half a body in chunks"]], ids=["whole", "half"]
)
async def test_an_id_is_kept_behind_tls_too(raw: bytes, authority: trustme.CA) -> None:
    """What is recorded has been decrypted."""
    connector = functools.partial(aiohttp.TCPConnector, ssl=trusting(authority))
    speak = _spoken(raw, 40, drop)

    async with (
        Server(speak, tls=serving(authority)).running() as server,
        opened(server.url, connector=connector) as transport,
    ):
        answer = await submit(transport)

    assert found(answer) == ID


@pytest.mark.parametrize(
    "raw", [whole(b'{"error": {"mess', status="422 -"), http(b"").replace(b"200 OK", b"401 -")[:-2]]
)
@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
async def test_a_refusal_whose_body_breaks_off_is_that_refusal(
    raw: bytes, end: Speak, server: Server, transport: Transport
) -> None:
    """Its status has arrived."""
    server.answer = _spoken(raw.replace(b"Content-Length: 16", b"Content-Length: 99"), 1 << 20, end)

    answer = replied(await submit(transport))

    with pytest.raises(FoxError) as caught:
        read_submit(answer, trust_refusals=True)
    assert (caught.value.submitted, caught.value.http_status) == ("no", answer.status)


async def test_a_reply_without_an_end_is_kept_as_far_as_a_megabyte(server: Server, transport: Transport) -> None:
    """The id is at its beginning."""

    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(http(BODY[:-1]))
        while True:
            writer.write(b" " * 65536)
            await writer.drain()

    server.answer = endless

    answer = replied(await submit(transport))

    assert len(answer.body) <= 1 << 20
    with pytest.raises(SubmitUncertain) as caught:
        read_submit(answer, trust_refusals=True)
    assert caught.value.task_id == ID


async def test_a_transport_that_cannot_be_overheard_is_used_all_the_same(server: Server) -> None:
    """What a foreign connector brings may offer less."""

    class Deaf(aiohttp.TCPConnector):
        async def connect(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - aiohttp's
            connection = await super().connect(*args, **options)
            transport = connection.transport
            assert transport is not None
            assert connection.protocol is not None
            connection.protocol.transport = Through(transport)  # type: ignore[assignment]
            return connection

    class Through:
        def __init__(self, inner: asyncio.Transport) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of any kind
            if name == "set_protocol":
                raise AttributeError(name)
            return getattr(self._inner, name)

    server.answer = whole(BODY)
    async with opened(server.url, connector=Deaf) as transport:
        assert replied(await submit(transport)).body == BODY


async def test_what_came_before_the_deadline_is_a_reply(server: Server, transport: Transport) -> None:
    """It is whole, though the connection stays open and more was announced elsewhere."""

    async def speak(writer: asyncio.StreamWriter) -> None:
        writer.write(http(BODY))  # it ends where the connection does
        await hang(writer)

    server.answer = speak

    answer = replied(await submit(transport))

    assert isinstance(answer, Reply)
    with pytest.raises(SubmitUncertain) as caught:
        read_submit(answer, trust_refusals=True)
    assert caught.value.task_id == ID
