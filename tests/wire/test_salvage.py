"""What is saved of a reply that broke: its status, its body, and above all the id of a paid task."""

import json
import time
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import given, settings, strategies as st
from replies import ID

from foxvideo._wire.reply import Reply
from foxvideo._wire.salvage import salvaged, task_id_in

BODY = json.dumps({"object": "video.generation.task", "id": ID, "status": "pending", "progress": 0}).encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def wire(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return a reply as it travels."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body


def whole(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return a reply with the length of its body."""
    return wire(body, f"Content-Length: {len(body)}", *headers, status=status)


def chunks(pieces: Iterable[bytes]) -> bytes:
    """Return pieces of a body as chunks; an empty one is the last."""
    return b"".join(b"%x;a=b\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


def compressed(body: bytes, window: int) -> bytes:
    """Compress a body: 31 is gzip, 15 zlib, -15 neither's frame."""
    packer = zlib.compressobj(wbits=window)
    return packer.compress(body) + packer.flush()


def saved(raw: bytes) -> Reply:
    """Return what is saved of a reply that has a status line."""
    reply = salvaged(raw)
    assert reply is not None
    return reply


# --- Any reply that was cut behind its id ---


@st.composite
def texts(draw: st.DrawFn) -> tuple[bytes, bytes, str]:
    """Make the JSON of a reply: up to the end of its id, the rest, and the id."""
    values = st.none() | st.integers() | st.text(max_size=12) | st.just('"id": "task-no"')
    around = st.dictionaries(st.sampled_from(["object", "model", "status", "usage", "x"]), values, max_size=3)
    name, value = draw(st.sampled_from(["id", "task_id"])), draw(st.sampled_from([ID, "17", 17, "a/b?c", "task-é"]))
    before = "".join(f"{json.dumps(key)}: {json.dumps(told)}, " for key, told in draw(around).items())
    spaces, plain = draw(st.sampled_from(["", " ", "\n\t"])), draw(st.booleans())
    begin = f'{{{before}"{name}"{spaces}:{spaces}{json.dumps(value, ensure_ascii=plain)}{spaces},'
    return begin.encode(), f'"results": {json.dumps(draw(around))}}}'.encode(), str(value)


@st.composite
def cut_behind_the_id(draw: st.DrawFn) -> tuple[bytes, str]:
    """Make a reply of success in any framing and coding that was cut, and the id that is in it."""
    begin, rest, id_ = draw(texts())
    headers = draw(st.lists(st.sampled_from(["X-A: b", "Server: cloudflare", "x-empty:", "Not a header"]), max_size=3))
    if coding := draw(st.sampled_from(["", "gzip", "deflate", "raw deflate"])):
        packer = zlib.compressobj(wbits={"gzip": 31, "deflate": 15, "raw deflate": -15}[coding])
        begin, rest = packer.compress(begin) + packer.flush(zlib.Z_SYNC_FLUSH), packer.compress(rest) + packer.flush()
        headers.append(f"content-encoding: {coding.split()[-1]}")
    if draw(st.booleans()):
        size = draw(st.integers(1, 40))
        begin, rest = (
            chunks(half[place : place + size] for place in range(0, len(half), size)) for half in (begin, rest)
        )
        rest += b"0\r\n\r\n"
        headers.append("Transfer-Encoding: Chunked")
    else:
        length = len(begin + rest) + draw(st.sampled_from([-9, -1, 0, 99]))
        headers += draw(st.sampled_from([[], [f"Content-Length: {length}"]]))
    status = draw(st.sampled_from(["200 OK", "201", "202 Accepted"]))
    return wire(begin + rest[: draw(st.integers(0, len(rest)))], *headers, status=status), id_


@settings(deadline=None, max_examples=400)
@given(cut_behind_the_id())
def test_an_id_that_arrived_is_found_however_it_came_and_wherever_it_was_cut(sent: tuple[bytes, str]) -> None:
    """Split over chunks, compressed, behind any headers."""
    raw, id_ = sent
    assert task_id_in(saved(raw).body, any_id=True) == id_


@settings(deadline=None, max_examples=200)
@given(cut_behind_the_id(), st.sampled_from(["500", "502 Bad Gateway", "302 Found", "409 Conflict"]))
def test_behind_any_other_status_only_an_id_of_a_task_counts(sent: tuple[bytes, str], status: str) -> None:
    """Any error may have an "id" in it."""
    raw, id_ = sent
    reply = saved(raw.replace(raw.split(b"\r\n")[0], f"HTTP/1.1 {status}".encode(), 1))
    assert task_id_in(reply.body, any_id=False) == (id_ if id_.startswith("task-") else None)


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", HEAD, HEAD + b"\r\n", wire(b"", "Transfer-Encoding: chunked")]))
def test_any_bytes_are_searched_without_an_error(noise: bytes, head: bytes) -> None:
    """There is something to save or there is not."""
    reply = salvaged(head + noise)
    assert reply is None or 100 <= reply.status <= 999
    task_id_in(noise, any_id=True)


# --- What is whole after all ---

GOOD = {
    "as it should be": whole(BODY),
    "no length but chunks": wire(chunks([BODY[:9], BODY[9:], b""]), "Transfer-Encoding: chunked"),
    "gzip": whole(compressed(BODY, 31), "Content-Encoding: gzip"),
    "zlib": whole(compressed(BODY, 15), "Content-Encoding: deflate"),
    "deflate": whole(compressed(BODY, -15), "Content-Encoding: deflate"),
    "gzip called deflate": whole(compressed(BODY, 31), "Content-Encoding: deflate"),
    "gzip twice": whole(compressed(compressed(BODY, 31), 31), "Content-Encoding: gzip, gzip"),
    "gzip in name only": whole(BODY, "Content-Encoding: gzip"),
    "br in name only": whole(BODY, "Content-Encoding: br"),
    "bytes behind the end": whole(BODY) + b"\r\n\r\n<html>",
    "bytes behind the last chunk": wire(chunks([BODY, b""]), "Transfer-Encoding: chunked") + b"junk",
    "a long header": whole(BODY, f"Content-Security-Policy: {'x' * 100_000}"),
    "many headers": whole(BODY, *(f"X-{number}: y" for number in range(3000))),
    "bare newlines": whole(BODY).replace(b"\r\n", b"\n"),
    "early hints before": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + whole(BODY),
    "continue before": b"HTTP/1.1 100 Continue\r\n\r\n" + whole(BODY),
    "an empty line before": b"\r\n" + whole(BODY),
    "HTTP/2 said so": whole(BODY).replace(b"HTTP/1.1", b"HTTP/2"),
    "no reason": whole(BODY, status="200"),
}


@pytest.mark.parametrize("raw", GOOD.values(), ids=GOOD)
def test_a_reply_that_merely_came_in_bent_http_is_whole(raw: bytes) -> None:
    """It is a reply like any other."""
    reply = saved(raw)
    assert (reply.status, reply.complete, reply.body) == (200, True, BODY)


BAD = {
    "cut": whole(BODY)[:-1],
    "a length too small by one": wire(BODY, f"Content-Length: {len(BODY) - 1}"),
    "a length far too small": wire(BODY, "Content-Length: 5"),
    "a length too large": wire(BODY, f"Content-Length: {len(BODY) + 1}"),
    "a length that is none": wire(BODY, "Content-Length: many"),
    "no length": wire(BODY),
    "chunks without an end": wire(chunks([BODY]), "Transfer-Encoding: chunked"),
    "a chunk too small by one": wire(
        chunks([BODY]).replace(b"%x" % len(BODY), b"%x" % (len(BODY) - 1), 1) + b"0\r\n\r\n",
        "Transfer-Encoding: chunked",
    ),
    "chunks in name only": wire(BODY, "Transfer-Encoding: chunked"),
    "gzip without its end": whole(compressed(BODY, 31)[:-4], "Content-Encoding: gzip"),
}


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD)
def test_a_reply_that_is_not_whole_shows_its_id_all_the_same(raw: bytes) -> None:
    """No more is believed of it."""
    reply = saved(raw)
    assert (reply.status, reply.complete) == (200, False)
    assert task_id_in(reply.body, any_id=True) == ID


UNTOLD = {
    "gzip": compressed(BODY, 31),
    "zlib": compressed(BODY, 15),
    "deflate": compressed(BODY, -15),
    "chunks": chunks([BODY[:30], BODY[30:60], BODY[60:], b""]),
    "chunks of gzip": chunks([compressed(BODY, 31)]),
    "UTF-16": BODY.decode().encode("utf-16"),
    "UTF-32": BODY.decode().encode("utf-32-le"),
    "escaped": BODY.replace(b"task-", rb"\u0074ask\u002d"),
    "in a list": b"[%s]" % BODY,
    "as text in text": b'"{"id": 1}" ' + BODY,
}


@pytest.mark.parametrize("body", UNTOLD.values(), ids=UNTOLD)
def test_an_id_is_found_in_what_no_header_told_of(body: bytes) -> None:
    """A proxy may have lost the header."""
    assert task_id_in(body, any_id=True) == ID


# --- Which id ---


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"id": "17", "task": {"id": ID}}, ID),
        ({"request": {"id": "req-1"}, "id": "17"}, "17"),
        ({"error": {"id": "e"}, "data": {"task_id": "d"}}, "e"),
        ({"id": 17}, "17"),
        ({"id": 1.5}, None),
        ({"id": True, "task_id": None}, None),
        ({"id": "a b"}, None),
        ({"id": ".."}, None),
        ({"id": "x" * 201}, None),
        ({"message": f'say "id": "{ID}"'}, None),
        ({"file_id": ID, "ids": [ID]}, None),
    ],
)
def test_an_id_that_begins_as_those_of_tasks_goes_first_then_the_outermost(body: object, expected: str | None) -> None:
    """And only what can be an id at all."""
    assert task_id_in(json.dumps(body).encode(), any_id=True) == expected


@pytest.mark.parametrize("half", [b'{"id": "task-unified-17900', b'{"id": 17', b'{"id": "caf\xe9"}', b'{"id"', b""])
def test_half_an_id_is_none(half: bytes) -> None:
    """Its end did not come, or a letter of it."""
    assert task_id_in(half, any_id=True) is None


# --- What a status line says ---


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 422 Unprocessable",
        b"HTTP/1.1 422 \r\n",
        b"HTTP/1.1 422 Unprocessable\r\nContent-Ty",
        b'HTTP/1.1 422 Unprocessable\r\nContent-Length: 90\r\n\r\n{"error": {"mess',
    ],
)
def test_the_status_of_a_refusal_is_known_wherever_it_was_cut_behind_it(raw: bytes) -> None:
    """What follows only says why."""
    reply = saved(raw)
    assert (reply.status, reply.complete) == (422, False)


@pytest.mark.parametrize(
    "raw", [b"", b"HTTP/1.1 42", b"HTTP/1.1 422", b"HTTP/1.1 4220 \r\n", b"220 smtp\r\n", b"<html>"]
)
def test_what_has_no_status_line_is_no_reply(raw: bytes) -> None:
    """A line that is cut in its status may have gone on."""
    assert salvaged(raw) is None


@pytest.mark.parametrize("status", [204, 304])
def test_a_reply_that_has_no_body_is_whole_with_its_head(status: int) -> None:
    """It need not say how long it is not."""
    reply = saved(wire(b"", "X: y", status=f"{status} -"))
    assert (reply.status, reply.complete, reply.body) == (status, True, b"")


def test_headers_are_read_as_far_as_they_came() -> None:
    """In any case of letters; half a line is left out."""
    reply = saved(b"HTTP/1.1 429 -\r\nRETRY-after: 7\r\nx-request-id: req")
    assert dict(reply.headers) == {"RETRY-after": "7"}
    assert reply.headers["Retry-After"] == "7"


MIB = 1 << 20
HOSTILE = {
    "quotes": b'"' * MIB,
    "escaped quotes": b'\\"' * (MIB // 2),
    "ids without an end": b'"id":"' * (MIB // 6),
    "ids of escapes": (b'"id":"' + b"\\u0061" * 150) * (MIB // 906),
    "digits": b'"id":' + b"9" * MIB,
    "spaces": b'"id"' + b" " * MIB,
    "braces": b"{" * MIB,
    "chunks of one": b"1\r\n{\r\n" * (MIB // 6),
    "a chunk size without an end": b"f" * MIB,
    "newlines": b"1\r\na" + b"\r\n" * (MIB // 2),
    "a bomb": compressed(b" " * (64 * MIB), 31),
    "gzip of noise": b"\x1f\x8b\x08\x00" + bytes(range(256)) * 4096,
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_the_search_takes_no_longer_than_the_bytes_are_worth(body: bytes) -> None:
    """The event loop waits for it."""
    began = time.process_time()
    for headers in ("X: y", "Transfer-Encoding: chunked", "Content-Encoding: gzip"):
        task_id_in(saved(wire(body, headers)).body, any_id=True)
    assert time.process_time() - began < 10.0  # what is looked at anew at each byte takes minutes
