"""The key goes to the service and nowhere else: into no log, error, repr, pickle or other host, whatever breaks."""

import asyncio
import base64
import contextlib
import logging
import pickle
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import attrs
import pytest
from aiohttp import web

from foxvideo import Client, Every, FoxError, GrokImageToVideo, GrokTextToVideo, TaskFailed
from foxvideo._http import Transport
from foxvideo.emulator import Emulator, Fault

KEY = "sk-Top/Secret+0123456789~abc="
SHOT = GrokTextToVideo(prompt="A fox trots through snow")
LOCAL = GrokImageToVideo(prompt="It goes on", image_url=b"a picture")

FAULTS = [
    Fault("reset"),
    Fault("hang"),
    *(Fault("error", status=status) for status in (400, 401, 402, 403, 404, 413, 422, 500, 503)),
    Fault("error", status=422, code="model_not_found"),
    *(Fault("html", status=status) for status in (200, 403, 502)),
    Fault("half_body"),
    Fault("garbage"),
    Fault("empty"),
    Fault("rate_limit", retry_after="1"),
    *(Fault("redirect", status=status) for status in (301, 302, 307)),
    Fault("cloudflare"),
]


def _spellings() -> Iterator[str]:
    """Return ways in which a key could show."""
    yield KEY
    yield repr(KEY)[1:-1]
    yield quote(KEY, safe="")
    yield base64.b64encode(KEY.encode()).decode().rstrip("=")
    yield base64.b64encode(f"Bearer {KEY}".encode()).decode().rstrip("=")[:-1]


def _leaks(*texts: str) -> list[str]:
    return [text for text in texts for spelling in _spellings() if spelling in text]


def _faces(error: BaseException | None) -> Iterator[str]:
    """Return all that an error shows of itself and of those behind it."""
    if error is None:
        return
    yield str(error)
    yield repr(error)
    yield repr(error.args)
    yield repr(vars(error))
    yield "".join(traceback.format_exception(error))
    if isinstance(error, FoxError):
        yield pickle.dumps(error).decode("latin-1")
    yield from _faces(error.__cause__)
    yield from _faces(error.__context__)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Hear all loggers, to the last detail."""
    caplog.set_level(logging.DEBUG)
    return caplog


def _records(log: pytest.LogCaptureFixture) -> list[str]:
    return [f"{record.getMessage()} {record.__dict__!r}" for record in log.records]


@pytest.fixture
async def fox() -> AsyncIterator[Emulator]:
    """Run an emulator with a key of the usual length."""
    async with Emulator(api_key=KEY, seconds=10.0, render=False) as emulator:
        yield emulator


@pytest.fixture
async def client(fox: Emulator) -> AsyncIterator[Client]:
    """Open a client with that key."""
    async with Client(KEY, fox.base_url, schedule=Every(2), task_timeout=600.0) as opened:
        yield opened


async def _try(what: Awaitable[object]) -> FoxError | None:
    try:
        await what
    except FoxError as error:
        return error
    return None


# --- A day in the life ---------------------------------------------------------------------------------------------


async def test_success_shows_the_key_nowhere(
    client: Client, fox: Emulator, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    """From an upload to the saved video."""
    task = client.submit(LOCAL)
    states = [state async for state in task]
    video = await task
    await video.save(tmp_path / "fox.mp4")

    shown = [repr(thing) for thing in (client, task, states, [state.raw for state in states], video, vars(client))]
    assert _leaks(*shown, pickle.dumps(video).decode("latin-1"), *_records(log)) == []
    assert len(log.records) > 5
    assert fox.ledger.leaks == []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.how}-{fault.status}")
async def test_no_fault_brings_the_key_to_light(
    fault: Fault, client: Client, fox: Emulator, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    """At a submit, a query, an upload, a download and the list of models."""
    video = await client.generate(SHOT)
    for kind in ("submit", "poll", "upload", "result", "models"):
        fox.fail_next(kind, fault, times=4)

    errors = [
        await _try(client.models()),
        await _try(video.save(tmp_path / "fox.mp4")),
        await _try(client.generate(LOCAL)),
        await _try(client.generate(SHOT)),
        await _try(client.task(video.id)),
    ]

    assert any(errors)
    assert _leaks(*(face for error in errors for face in _faces(error)), *_records(log)) == []
    assert fox.ledger.leaks == []


async def test_no_end_of_a_task_brings_the_key_to_light(fox: Emulator, log: pytest.LogCaptureFixture) -> None:
    """Failed, cancelled, timed out, abandoned, unknown, closed; and a submit that nobody saw end."""
    async with Client(KEY, fox.base_url, schedule=Every(2)) as client:
        failed, cancelled, abandoned, closed = (client.submit(SHOT) for _ in range(4))
        fox.fail(await failed.wait_accepted())
        fox.cancel(await cancelled.wait_accepted())
        await abandoned.wait_accepted()
        abandoned.abandon()
        errors = [
            await _try(failed),
            await _try(cancelled),
            await _try(abandoned),
            await _try(client.generate(SHOT, timeout=1.0)),
            await _try(client.task("task-unknown")),
        ]
        fox.finish(await closed.wait_accepted())
        last = client.submit(SHOT)
        fox.fail_next("submit", Fault("hang"))
        await asyncio.sleep(0)
    errors.append(await _try(last))

    assert None not in errors
    assert isinstance(errors[0], TaskFailed)
    assert _leaks(*(face for error in errors for face in _faces(error)), *_records(log)) == []


# --- Servers that give it away -------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Echo:
    """A server that says what it was told, everywhere it can; ECHO in its body stands for that."""

    status: int
    body: str

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer with the key in the body and in each header that a client reads."""
        told = request.headers.get("Authorization", "")
        headers = {"Location": f"https://example.com/{told}", "x-request-id": told, "Retry-After": told}
        return web.Response(status=self.status, body=self.body.replace("ECHO", told).encode(), headers=headers)


BODIES = {
    "text": "you are ECHO",
    "error": '{"error": {"message": "bad key ECHO", "code": "ECHO"}}',
    "task": '{"id": "task-1", "status": "ECHO", "model": "ECHO", "x": "ECHO"}',
    "failed": '{"id": "task-1", "status": "failed", "error": {"code": "ECHO", "message": "ECHO"}}',
    "half": '{"id": "ECHO',
}


@pytest.mark.parametrize("status", [200, 307, 400, 401, 403, 404, 422, 429, 500, 503])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_server_that_echoes_the_key_does_not_bring_it_to_light(
    status: int, body: str, log: pytest.LogCaptureFixture
) -> None:
    """In its body, in a header, in the target of a redirect."""
    async with (
        _serving(Echo(status, body)) as url,
        Client(KEY, url, schedule=Every(2), task_timeout=30.0) as client,
    ):
        tasks = [client.submit(SHOT), client.submit(LOCAL), client.task("task-1")]
        errors = [await _try(task) for task in tasks] + [await _try(client.models())]
        shown = [repr(task) + repr(task.state and (task.state, task.state.raw)) for task in tasks]

    assert any(errors)
    assert _leaks(*shown, *(face for error in errors for face in _faces(error)), *_records(log)) == []


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": lambda text: quote(text, safe=""),
    "slashes": lambda text: text.replace("/", "\\/"),
    "unicode": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text),
}


@pytest.mark.parametrize("key", ["sk-1", "sk-4f9a1c77b2d", KEY])
@pytest.mark.parametrize("status", [200, 400, 401, 422, 429, 500])
@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
async def test_an_echoed_key_of_any_length_and_spelling_is_in_no_error_log_or_journal(
    key: str, status: int, spell: Callable[[str], str], log: pytest.LogCaptureFixture, journal: Path
) -> None:
    """Decoded or not."""
    told = f"Bearer {spell(key)}"
    echo = Echo(status, f'{{"error": {{"message": "bad key {told}", "code": "{told}"}}, "x": "{told}"}}')
    async with _serving(echo) as url, Client(key, url, journal=journal, submit_attempts=1) as client:
        errors = [await _try(client.generate(SHOT, key="shot")), await _try(client.models())]
        rows = [repr(row) for row in await client.history()]

    assert None not in errors
    shown = [*(face for error in errors for face in _faces(error)), *_records(log), *rows]
    assert [text for text in shown for form in (key, spell(key)) if f"Bearer {form}" in text] == []


@contextlib.asynccontextmanager
async def _serving(echo: Echo) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", echo.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.parametrize(
    ("scheme", "reply"),
    [
        ("http", b"no HTTP at all\r\n\r\n"),
        ("http", b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"),
        ("http", b""),
        ("https", b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"),
    ],
    ids=["no HTTP", "no length", "nothing", "no tunnel"],
)
async def test_what_aiohttp_says_about_a_broken_reply_does_not_bring_the_key_to_light(
    scheme: str, reply: bytes, log: pytest.LogCaptureFixture
) -> None:
    """Its exceptions hold the headers of the request."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        proxy = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Client(KEY, f"{scheme}://fox.invalid", proxy=proxy) as client:
            errors = [await _try(client.generate(SHOT)), await _try(client.models())]
        await asyncio.sleep(0.1)

    assert None not in errors
    assert _leaks(*(face for error in errors for face in _faces(error)), *_records(log)) == []


# --- What holds it -------------------------------------------------------------------------------------------------


def test_what_holds_the_key_does_not_show_it() -> None:
    """Neither client nor connections."""
    client, transport = Client(KEY, "https://fox.example"), Transport("https://fox.example", KEY, 60.0, 15.0)

    assert _leaks(repr(client), str(client), repr(transport), repr(vars(client))) == []


def test_what_holds_the_key_cannot_be_pickled() -> None:
    """A pickle is a file, or goes to another process."""
    with pytest.raises(TypeError):
        pickle.dumps(Client(KEY, "https://fox.example"))
