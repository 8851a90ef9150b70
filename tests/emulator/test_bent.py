"""Good answers of the emulator around which HTTP or JSON is broken: the id is in the bytes."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from foxvideo.emulator import BENT, Emulator, Fault

SUBMIT = "/v1/videos/generations"
TEXT = {"model": "grok-imagine-text-to-video", "prompt": "A kite"}
USAGE = {"credits_reserved": 12.5, "user_group": "default"}


def session(fox: Emulator, **options: Any) -> aiohttp.ClientSession:  # noqa: ANN401
    """Return a session that holds the key."""
    headers = {"Authorization": f"Bearer {fox.api_key}", "User-Agent": "foxvideo/1.0"}
    return aiohttp.ClientSession(fox.base_url, headers=headers, **options)


@pytest.fixture
async def fox() -> AsyncIterator[Emulator]:
    """An emulator whose videos are few bytes."""
    async with Emulator(seconds=0.0, video=b"0123456789") as emulator:
        yield emulator


@pytest.fixture
async def web(fox: Emulator) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with it."""
    async with session(fox, timeout=aiohttp.ClientTimeout(total=None)) as made:
        yield made


async def raw(fox: Emulator, fault: Fault) -> tuple[dict[str, str], bytes]:
    """Submit past every library, and return the headers, in small letters, and all bytes that follow them."""
    fox.fail_next("submit", fault)
    body = json.dumps(TEXT)
    head = (
        f"POST {SUBMIT} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {fox.api_key}\r\n"
        "User-Agent: foxvideo/1.0\r\nContent-Type: application/json\r\nConnection: close\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", int(fox.base_url.rpartition(":")[2]))
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    said = await reader.read()
    writer.close()
    await writer.wait_closed()
    told, _, rest = said.partition(b"\r\n\r\n")
    status, *lines = told.decode().split("\r\n")
    assert status == "HTTP/1.1 200 OK"
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}, rest


def unchunked(content: bytes) -> bytes:
    """Return what has arrived of a body in chunks."""
    body = b""
    while content:
        size, _, rest = content.partition(b"\r\n")
        body += rest[: int(size, 16)]
        content = rest[int(size, 16) + 2 :]
    return body


@pytest.mark.parametrize("name", BENT)
async def test_a_bent_reply_has_the_id_of_a_task_that_was_made(fox: Emulator, name: str) -> None:
    """Read without mercy for HTTP and JSON, it is there, whole."""
    headers, body = await raw(fox, BENT[name])

    if "transfer-encoding" in headers:
        body = unchunked(body)
    if body.startswith(b"\x1f\x8b"):
        body = zlib.decompressobj(wbits=31).decompress(body)
    (task_id,) = fox.ledger.tasks
    assert body.startswith(b'{"id":"%b",' % task_id.encode())
    assert (fox.ledger.charged, fox.ledger.reserved) == (1, 12.5)


async def test_a_length_is_one_too_small(fox: Emulator) -> None:
    """The body is whole."""
    headers, body = await raw(fox, Fault("short_length"))

    assert int(headers["content-length"]) == len(body) - 1
    assert json.loads(body)["status"] == "pending"


async def test_text_trails_behind_the_body(fox: Emulator) -> None:
    """The length is right."""
    headers, body = await raw(fox, Fault("trailing"))

    length = int(headers["content-length"])
    assert json.loads(body[:length])["status"] == "pending"
    assert body[length:] == b"\r\n<!-- served by 127.0.0.1 -->\r\n"


@pytest.mark.parametrize("size", [9 * 1024, 64 * 1024])
async def test_a_header_is_long(fox: Emulator, size: int) -> None:
    """Longer than aiohttp takes unless it is told to."""
    headers, body = await raw(fox, Fault("long_header", size=size))

    assert headers["content-security-policy"] == "x" * size
    assert json.loads(body)["status"] == "pending"


async def test_gzip_is_a_name_only(fox: Emulator) -> None:
    """The body is plain JSON."""
    headers, body = await raw(fox, Fault("false_gzip"))

    assert (headers["content-encoding"], json.loads(body)["status"]) == ("gzip", "pending")


@pytest.mark.parametrize("at", [None, 60])
async def test_gzip_is_cut(fox: Emulator, at: int | None) -> None:
    """HTTP is whole: the length is that of what is left."""
    headers, body = await raw(fox, Fault("cut_gzip", at=at))

    assert (headers["content-encoding"], int(headers["content-length"])) == ("gzip", len(body))
    assert at is None or len(body) == at
    with pytest.raises(EOFError):
        gzip.decompress(body)


@pytest.mark.parametrize("at", [None, 5, 60])
async def test_a_chunk_ends_within_the_id_and_the_next_is_cut(fox: Emulator, at: int | None) -> None:
    """It announces all the rest."""
    headers, body = await raw(fox, Fault("cut_chunk", at=at))

    first, second = body.split(b"\r\n")[1::2]
    whole = 12 + int(body.split(b"\r\n")[2], 16)
    assert headers["transfer-encoding"] == "chunked"
    assert first == b'{"id":"task-'
    assert len(first + second) == {None: whole // 2, 5: 12, 60: 60}[at]


@pytest.mark.parametrize("how", ["short_length", "trailing", "long_header", "false_gzip", "cut_chunk"])
async def test_aiohttp_refuses_what_http_forbids(fox: Emulator, web: aiohttp.ClientSession, how: str) -> None:
    """So the fault does reach the other side of a client."""
    fox.fail_next("submit", Fault(how))  # type: ignore[arg-type]

    with pytest.raises(aiohttp.ClientError):
        async with web.post(SUBMIT, json=TEXT) as reply:
            await reply.read()
    assert fox.ledger.charged == 1


@pytest.mark.parametrize(
    ("fault", "changed"),
    [
        (Fault("fields", without=("status", "usage")), {"status": ..., "usage": ...}),
        (Fault("fields", fields={"status": None}), {"status": None}),
        (Fault("fields", fields={"data": {"x": "y"}}, without=("status",)), {"status": ..., "data": {"x": "y"}}),
        (Fault("fields", fields={"usage": {"more": [1, {}]}}), {"usage": USAGE | {"more": [1, {}]}}),
        (Fault("fields", fields={"usage": 3}, without=("usage",)), {"usage": 3}),
        (Fault("fields", fields={"progress": {"is": "Infinity"}}), {"progress": {"is": "Infinity"}}),
        (Fault("fields", fields={"created": 10**30}), {"created": 10**30}),
        (
            Fault("fields", fields={"usage": {"credits_reserved": 10**400}}),
            {"usage": USAGE | {"credits_reserved": 10**400}},
        ),
        (Fault("fields"), {}),
    ],
)
async def test_a_reply_has_other_fields(fox: Emulator, fault: Fault, changed: dict[str, Any]) -> None:
    """Laid over the good ones, objects within objects, after some are taken away."""
    _, good = await raw(fox, Fault("slow", seconds=0))
    _, body = await raw(fox, fault)

    told, usual = json.loads(body), json.loads(good) | changed
    usual["id"] = told["id"]
    usual["created"] = changed.get("created", told["created"])
    assert told == {name: value for name, value in usual.items() if value is not ...}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"progress": 1e999}, b'"progress":1e999'),
        ('{"progress": -1e400, "created": 1E+5}', b'"progress":-1e400,"created":1E+5'),
        ({"progress": -1e999}, b'"progress":-1e999'),
        ('{"created": %s}' % ("9" * 5000), b'"created":' + b"9" * 5000),
    ],
)
async def test_a_number_goes_out_as_it_is_written(fox: Emulator, fields: Any, text: bytes) -> None:  # noqa: ANN401
    """Larger than Python reads, writes or counts; infinity as a number that JSON permits."""
    _, body = await raw(fox, Fault("fields", fields=fields))

    assert text in body


@pytest.mark.parametrize("fields", ["", "[]", "{", "3", [1]])
def test_fields_must_be_an_object(fields: Any) -> None:  # noqa: ANN401
    """A slip of the pen is no plan."""
    with pytest.raises(ValueError, match="fields: must be a JSON object"):
        Fault("fields", fields=fields)


def test_a_fault_with_fields_is_a_key() -> None:
    """Of a plan; a mapping and its text are the same."""
    assert {Fault("fields", fields={"a": 1}): 1}[Fault("fields", fields='{"a": 1}')] == 1


async def test_a_poll_is_bent_like_a_submission(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """Another id, a status of another world, a link that is null; and it counts as told, unlike what is cut."""
    async with web.post(SUBMIT, json=TEXT) as reply:
        task_id = (await reply.json())["id"]
    path = f"/v1/tasks/{task_id}?sync_upstream=true"
    fox.fail_next("poll", Fault("half_body"))
    with pytest.raises(aiohttp.ClientError):
        async with web.get(path) as reply:
            await reply.read()
    assert not fox.ledger.tasks[task_id].told

    fox.fail_next("poll", Fault("fields", fields={"id": "task-of-another", "results": [{"url": None, "seed": 5}]}))
    async with web.get(path) as reply:
        told = await reply.json()

    assert (told["id"], told["results"], told["status"]) == ("task-of-another", [{"url": None, "seed": 5}], "completed")
    assert fox.ledger.tasks[task_id].told


@pytest.mark.parametrize("content", [b"\0\0\0\x18ftyp", b"[1]"])
async def test_what_is_no_object_keeps_its_fields(content: bytes) -> None:
    """A video has none, and is offered whole."""
    async with Emulator(seconds=0.0, video=content) as fox, session(fox) as web:
        url = await link(web)
        fox.fail_next("result", Fault("fields", fields={"id": 1}))

        async with web.get(url) as reply:
            assert await reply.read() == content
        assert fox.ledger.downloaded == 1


@pytest.mark.parametrize("how", ["short_length", "trailing", "cut_chunk", "cut_gzip", "false_gzip"])
async def test_a_video_can_be_bent_as_well(fox: Emulator, web: aiohttp.ClientSession, how: str) -> None:
    """And is not counted as offered."""
    url = await link(web)
    fox.fail_next("result", Fault(how))  # type: ignore[arg-type]

    try:
        async with web.get(url) as reply:
            body = await reply.read()
    except aiohttp.ClientError:
        body = b""

    assert body != b"0123456789"
    assert fox.ledger.downloaded == 0


@pytest.mark.parametrize(("at", "first"), [(None, 1), (50, 51)])
async def test_an_answer_drips(fox: Emulator, web: aiohttp.ClientSession, at: int | None, first: int) -> None:
    """One byte after each pause, from a place on, until it is whole."""
    loop, moments = asyncio.get_running_loop(), []
    fox.fail_next("submit", Fault("drip", seconds=10, at=at))
    body = b""

    async with web.post(SUBMIT, json=TEXT) as reply:
        began = loop.time()
        while piece := await reply.content.readany():
            body += piece
            moments.append((round(loop.time() - began), len(body)))

    assert json.loads(body)["id"] in fox.ledger.tasks
    assert moments[-1] == (10 * (len(body) - (at or 0)), len(body))
    assert (10, first) in moments


@pytest.mark.parametrize("kind", ["poll", "upload", "result"])
async def test_every_kind_of_answer_can_drip(fox: Emulator, web: aiohttp.ClientSession, kind: Any) -> None:  # noqa: ANN401
    """Each is whole in the end; a file was stored, a task was told, a video was offered."""
    url, (task_id,) = await link(web), fox.ledger.tasks
    fox.ledger.tasks[task_id].told = False
    fox.fail_next(kind, Fault("drip", seconds=60))
    loop = asyncio.get_running_loop()
    began = loop.time()
    form = aiohttp.FormData()
    form.add_field("file", b"x", filename="x.png")

    async with {
        "poll": lambda: web.get(f"/v1/tasks/{task_id}"),
        "upload": lambda: web.post("/v1/files/upload/stream", data=form),
        "result": lambda: web.get(url),
    }[kind]() as reply:
        body = await reply.read()

    assert loop.time() - began == pytest.approx(60 * len(body), abs=1)
    ledger = fox.ledger
    assert (ledger.tasks[task_id].told, ledger.uploaded, ledger.downloaded) == tuple(
        kind == one for one in ("poll", "upload", "result")
    )


async def test_what_drips_ends_when_the_emulator_closes() -> None:
    """It breaks off."""
    async with Emulator(render=False) as fox, session(fox) as web:
        fox.fail_next("submit", Fault("drip", seconds=1e6, at=20))
        async with web.post(SUBMIT, json=TEXT) as reply:
            assert len(await reply.content.readany()) == 20
            loop = asyncio.get_running_loop()
            began = loop.time()

            await fox.__aexit__(None, None, None)

            assert loop.time() - began < 0.4
            with pytest.raises(aiohttp.ClientError):
                await reply.content.read()


@pytest.mark.parametrize("seconds", [0.2, 1.0])
async def test_nobody_has_to_wait_for_what_drips(
    fox: Emulator, seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    """The other side may leave at any byte."""
    async with session(fox, timeout=aiohttp.ClientTimeout(total=seconds)) as web:
        fox.fail_next("submit", Fault("drip", seconds=0.1))
        with pytest.raises(TimeoutError):
            async with web.post(SUBMIT, json=TEXT) as reply:
                await reply.read()
    await asyncio.sleep(100)

    assert (fox.ledger.in_flight, caplog.records) == (0, [])


async def test_a_submission_that_is_refused_is_not_bent(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """There is no good answer."""
    fox.fail_next("submit", Fault("fields", without=("error",)))

    async with web.post(SUBMIT, json={"model": "veo-3.1"}) as reply:
        assert (reply.status, "error" in await reply.json()) == (422, True)


def test_an_unknown_fault_is_refused_with_those_that_exist() -> None:
    """In one plain line."""
    with pytest.raises(ValueError, match=r"^how: 'no such kind' is none of reset, hang, error, .*, fields$"):
        Fault("no such kind")  # type: ignore[arg-type]


async def link(web: aiohttp.ClientSession) -> str:
    """Make a task, and return the path of its video."""
    async with web.post(SUBMIT, json=TEXT) as reply:
        task_id = (await reply.json())["id"]
    async with web.get(f"/v1/tasks/{task_id}?sync_upstream=true") as reply:
        url = (await reply.json())["results"][0]["url"]
    return f"/output/{url.rpartition('/')[2]}"
