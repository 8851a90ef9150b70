"""Replies that were documented once and then broken: by mutation of the recorded samples, in JSON, bytes and HTTP.

Whatever arrives, reading it ends in a value or in a ``FoxError``, soon, with a bounded number of bytes, and a submit
never succeeds without an id.
"""

import asyncio
import json
import zlib

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from multidict import CIMultiDict
from replies import READERS, SAMPLES

from foxvideo import Client, FoxError, GrokTextToVideo, SubmitUncertain
from foxvideo._wire.reply import Reply
from foxvideo._wire.verdict import NO_FAILURES, poll_verdict, submit_verdict
from foxvideo.testing.clock import run

SHOT = GrokTextToVideo(prompt="A fox trots through snow")

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)


def _paths(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Return the way to every place in a decoded reply."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] + [longer for key, item in inside for longer in _paths(item, (*path, key))]


@st.composite
def mutated(draw: st.DrawFn, body: bytes) -> bytes:
    """Break a reply in one to three places of its JSON: drop, retype, nest, duplicate or blow up what is there."""
    reply = json.loads(body)
    for _ in range(draw(st.integers(1, 3))):
        *way, last = ("root", *draw(st.sampled_from(_paths(reply))))
        holder: object = {"root": reply}
        root = holder
        for key in way:
            holder = holder[key]  # type: ignore[index]
        old = holder[last]  # type: ignore[index]
        mutations: list[object] = [
            draw(values),
            [old],
            {"data": old},
            [old, old],
            (str(old) * 300)[:100_000],
            10**400,
            None,
        ]
        if draw(st.integers(0, 4)) == 0 and isinstance(holder, dict) and last != "root":
            del holder[last]
        else:
            holder[last] = draw(st.sampled_from(mutations))  # type: ignore[index]
        reply = root["root"]  # type: ignore[index]
    return json.dumps(reply).encode()


@st.composite
def garbled(draw: st.DrawFn, body: bytes) -> bytes:
    """Break a reply in its bytes: truncate, insert, swap, or put it into another encoding."""
    broken = draw(st.sampled_from([body, body.decode().encode("utf-16"), b"\xef\xbb\xbf" + body, body * 2]))
    cut = draw(st.integers(0, len(broken)))
    noise = draw(st.binary(max_size=6))
    return draw(
        st.sampled_from([broken[:cut], broken[:cut] + noise + broken[cut:], noise, broken[cut:] + broken[:cut]])
    )


bodies = st.sampled_from(sorted(SAMPLES.values())).flatmap(lambda body: mutated(body) | garbled(body))
headers = st.dictionaries(
    st.sampled_from(["Content-Type", "Retry-After", "x-request-id", "Location"]),
    st.sampled_from(["", "nan", "-1", "1e999", "Wed, 99 Foo 2026", "text/html", "\x00", "0" * 4000]),
)
replies = st.builds(
    Reply,
    st.sampled_from([200, 200, 200, 201, 204, 301, 303, 400, 401, 402, 403, 404, 413, 422, 429, 500, 502, 503, 999, 0]),
    headers.map(CIMultiDict),
    bodies,
    st.booleans() | st.just(value=True),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(replies)
def test_no_broken_reply_raises_outside_the_tree(reply: Reply) -> None:
    """Each reader returns its value or raises a FoxError whose sentence is one short line."""
    errors: list[FoxError] = []
    for read in READERS.values():
        try:
            read(reply)
        except FoxError as error:
            errors.append(error)

    assert all(len(str(error).splitlines()) == 1 and len(str(error)) < 2000 for error in errors)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(replies)
def test_no_broken_reply_to_a_submit_is_a_success_without_an_id(reply: Reply) -> None:
    """It is accepted with an id, or refused, or uncertain; and it is never sent again after a reply of success."""
    verdict = submit_verdict(reply, attempt=1, attempts=4, trust_refusals=True)

    if hasattr(verdict, "id"):
        assert verdict.id
        assert reply.ok
        assert reply.complete
    elif reply.ok:
        assert isinstance(verdict, SubmitUncertain)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(replies, st.sampled_from(["task-unified-1790000001-k3v9q2ma", "task-unified-1"]))
def test_no_broken_reply_to_a_query_breaks_the_wait(reply: Reply, task_id: str) -> None:
    """It is a state, leave to ask again, or an error that carries the id."""
    verdict = poll_verdict(reply, task_id, NO_FAILURES, 0.0, known=True)

    if isinstance(verdict, FoxError):
        assert verdict.task_id == task_id


async def _serve(answer: bytes, *, endless: bytes = b"") -> asyncio.Server:
    """Answer every request with these bytes; then, if asked to, without end."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length:")[1].split()[0]))
        writer.write(answer)
        while endless and not writer.is_closing():
            writer.write(endless)
            try:
                await writer.drain()
            except OSError:
                break
        writer.close()

    return await asyncio.start_server(connected, "127.0.0.1", 0)


BODY = SAMPLES["submit-pending"]
SHORT = zlib.compress(BODY, wbits=31)


def _http(body: bytes, *headers: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode() + body


@pytest.mark.parametrize(
    ("answer", "endless"),
    [
        pytest.param(_http(b"no gzip at all", "Content-Encoding: gzip", "Content-Length: 14"), b"", id="gzip garbage"),
        pytest.param(
            _http(SHORT[:-9], "Content-Encoding: gzip", f"Content-Length: {len(SHORT)}"), b"", id="half a gzip"
        ),
        pytest.param(_http(BODY, f"Content-Length: {len(BODY) + 99}"), b"", id="shorter than it says"),
        pytest.param(_http(BODY, f"Content-Length: {len(BODY) - 9}"), b"", id="longer than it says"),
        pytest.param(_http(BODY, "Content-Length: minus one"), b"", id="no number"),
        pytest.param(_http(b"{", "Content-Type: application/json"), b" " * 65536, id="endless body"),
        pytest.param(
            _http(b"", "Transfer-Encoding: chunked"), b"ffff\r\n" + b" " * 65535 + b"\r\n", id="endless chunks"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"X-Header: value\r\n", id="endless headers"),
        pytest.param(_http(b"zz\r\n", "Transfer-Encoding: chunked"), b"", id="bad chunk"),
        pytest.param(
            _http(zlib.compress(b" " * 50_000_000, wbits=31), "Content-Encoding: gzip"), b"", id="a small bomb"
        ),
    ],
)
def test_a_submit_with_a_broken_reply_ends_uncertain_and_soon(answer: bytes, endless: bytes) -> None:
    """No reply hangs or is read without end, and none is taken for a success."""

    async def submit() -> None:
        server = await _serve(answer, endless=endless)
        async with server, Client("sk-1", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
            with pytest.raises(SubmitUncertain):
                await client.generate(SHOT)

    run(submit())
