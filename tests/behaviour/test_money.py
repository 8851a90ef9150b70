"""What a submit costs: how often it is sent, what it makes, and what its caller hears, whatever breaks."""

import asyncio
import email.utils
import json
import logging
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
from aiohttp import web

from foxvideo import (
    AuthenticationError,
    BadReply,
    Client,
    Every,
    FoxError,
    GrokTextToVideo,
    InsufficientCredits,
    InvalidRequest,
    ModelUnavailable,
    RateLimited,
    ServiceUnavailable,
    SubmitUncertain,
    Video,
)
from foxvideo.emulator import Emulator, Fault, Faults

SHOT = GrokTextToVideo(prompt="A fox trots through snow")
LATER = 3600.0  # seconds after which a silent repeat would have been seen

LOST = [
    Fault("reset"),
    Fault("hang"),
    Fault("error", status=408),
    Fault("error", status=500),
    Fault("error", status=503, retry_after="1"),
    Fault("html", status=200),
    Fault("html", status=502),
    Fault("html", status=504),
    Fault("html", status=524),
    Fault("half_body"),
    Fault("garbage"),
    Fault("empty"),
    Fault("redirect", status=302),
    Fault("redirect", status=303),
]
REFUSED: list[tuple[Fault, type[FoxError]]] = [
    (Fault("error", status=400), InvalidRequest),
    (Fault("error", status=401), AuthenticationError),
    (Fault("error", status=402), InsufficientCredits),
    (Fault("error", status=403), AuthenticationError),
    (Fault("error", status=404), BadReply),
    (Fault("error", status=413), InvalidRequest),
    (Fault("error", status=422), InvalidRequest),
    (Fault("error", status=422, code="model_not_found"), ModelUnavailable),
    (Fault("html", status=403), BadReply),
    (Fault("html", status=413), InvalidRequest),
    (Fault("cloudflare"), AuthenticationError),
    (Fault("redirect", status=301), BadReply),
    (Fault("redirect", status=307), BadReply),
    (Fault("redirect", status=308), BadReply),
]


def _name(value: object) -> str:
    if isinstance(value, Fault):
        return f"{value.how}-{value.status}" + (f"-{value.code}" if value.code else "")
    return str(getattr(value, "__name__", value))


@attrs.define(eq=False)
class Gateway:
    """A service that gives the answers of a list to submits, then accepts; what it accepted is completed at once."""

    url: str
    answers: list[web.Response] = attrs.field(factory=list)
    heard: list[web.Request] = attrs.field(factory=list)

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """Take down a submit and give the next answer."""
        self.heard.append(request)
        if self.answers:
            return self.answers.pop(0)
        return web.json_response({"id": f"task-unified-{len(self.heard)}", "status": "pending"})

    async def task(self, request: web.Request) -> web.StreamResponse:
        """Show a completed task."""
        results = [{"url": f"{self.url}/video.mp4"}]
        return web.json_response({"id": request.match_info["id"], "status": "completed", "results": results})


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """Run a gateway with scripted answers."""
    made = Gateway("")
    app = web.Application()
    app.add_routes([web.post("/v1/videos/generations", made.submit), web.get("/v1/tasks/{id}", made.task)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
def free_port() -> int:
    """Return a port of this machine that refuses connections."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        _, port = bound.getsockname()
    return int(port)


async def _error(client: Client) -> FoxError:
    with pytest.raises(FoxError) as caught:
        await client.generate(SHOT)
    return caught.value


def _now() -> float:
    return asyncio.get_running_loop().time()


# --- One submit, one fault -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("fault", LOST, ids=_name)
async def test_a_submit_whose_answer_is_lost_is_uncertain_and_never_sent_again(
    fault: Fault, after: bool, client: Client, fox: Emulator
) -> None:
    """Whether the task was made or not, one POST left, and the caller hears that nobody knows."""
    fox.fail_next("submit", attrs.evolve(fault, after=after))

    error = await _error(client)
    await asyncio.sleep(LATER)

    assert (type(error), error.submitted) == (SubmitUncertain, "unknown")
    assert (fox.ledger.submitted, fox.ledger.charged) == (1, int(after))
    assert "do not repeat it blindly" in error.hint
    assert len(client.unfinished()) == 1


@pytest.mark.parametrize(("fault", "kind"), REFUSED, ids=_name)
async def test_a_refused_submit_says_that_nothing_was_made_and_is_not_sent_again(
    fault: Fault, kind: type[FoxError], client: Client, fox: Emulator
) -> None:
    """The error is the one that tells what to do."""
    fox.fail_next("submit", fault)

    error = await _error(client)
    await asyncio.sleep(LATER)

    assert (type(error), error.submitted) == (kind, "no")
    assert (fox.ledger.submitted, fox.ledger.charged) == (1, 0)
    assert client.unfinished() == ()


async def test_half_a_reply_that_shows_the_id_gives_the_id(client: Client, fox: Emulator) -> None:
    """A paid task that is known by its id can be followed."""
    fox.fail_next("submit", Fault("half_body", after=True))

    error = await _error(client)

    assert isinstance(error, SubmitUncertain)
    assert error.task_id in fox.ledger.tasks
    assert (await client.task(error.task_id or "")).id == error.task_id


@pytest.mark.parametrize("told", [{}, {"error": {"message": "No balance."}}, {"status": "moderating"}])
async def test_a_reply_of_success_without_a_documented_status_is_uncertain_and_has_its_id(
    told: dict[str, object], gateway: Gateway
) -> None:
    """Such a task may have been made or not."""
    gateway.answers = [web.json_response({"id": "task-unified-7"} | told)]

    async with Client("sk-1", gateway.url) as client:
        error = await _error(client)

    assert (type(error), error.submitted, error.task_id) == (SubmitUncertain, "unknown", "task-unified-7")
    assert len(gateway.heard) == 1


async def test_a_reply_of_success_without_an_id_is_uncertain(gateway: Gateway) -> None:
    """There is nothing to follow, and perhaps something was paid."""
    gateway.answers = [web.json_response({"status": "pending"})]

    async with Client("sk-1", gateway.url) as client:
        error = await _error(client)

    assert (type(error), error.submitted, len(gateway.heard)) == (SubmitUncertain, "unknown", 1)


# --- Many at once --------------------------------------------------------------------------------------------------


async def test_videos_come_though_thirty_per_cent_of_the_queries_fail() -> None:
    """A read that fails is not a video that failed."""
    broken = [
        Fault("reset"),
        Fault("rate_limit"),
        Fault("error"),
        Fault("html", status=502),
        Fault("half_body"),
        Fault("hang"),
    ]
    faults = Faults(seed=1, poll=dict.fromkeys(broken, 0.05))
    async with (
        Emulator(render=False, faults=faults) as fox,
        Client(fox.api_key, fox.base_url, schedule=Every(2)) as client,
    ):
        videos = await asyncio.gather(*(client.generate(_shot(number)) for number in range(60)))

    assert len({video.id for video in videos}) == fox.ledger.charged == fox.ledger.submitted == 60


async def test_no_task_is_made_twice_though_thirty_per_cent_of_the_submits_lose_their_answer() -> None:
    """Every prompt is paid for once, and each of the lost is told."""
    broken = [
        Fault("reset", after=True),
        Fault("hang", after=True),
        Fault("error", status=500, after=True),
        Fault("html", status=502, after=True),
        Fault("garbage", after=True),
        Fault("half_body", after=True),
    ]
    faults = Faults(seed=2, submit=dict.fromkeys(broken, 0.05))
    async with (
        Emulator(render=False, faults=faults) as fox,
        Client(fox.api_key, fox.base_url, schedule=Every(2)) as client,
    ):
        outcomes = await asyncio.gather(
            *(client.generate(_shot(number)) for number in range(60)), return_exceptions=True
        )
        await asyncio.sleep(LATER)

    made = Counter(record.body["prompt"] for record in fox.ledger.tasks.values())
    kinds = Counter(map(type, outcomes))
    assert set(made.values()) == {1}
    assert (len(made), fox.ledger.submitted) == (60, 60)
    assert kinds.keys() == {Video, SubmitUncertain}
    assert kinds[SubmitUncertain] > 10
    assert {error.submitted for error in outcomes if isinstance(error, SubmitUncertain)} == {"unknown"}


def _shot(number: int) -> GrokTextToVideo:
    return GrokTextToVideo(prompt=f"Fox number {number}")


# --- Sent again: what certainly made nothing -----------------------------------------------------------------------


async def test_a_refused_connection_is_tried_again_and_then_told(
    free_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing left, so that four attempts cost nothing."""
    caplog.set_level(logging.DEBUG, "foxvideo")

    async with Client("sk-1", f"http://127.0.0.1:{free_port}") as client:
        error = await _error(client)

    assert (type(error), error.submitted) == (ServiceUnavailable, "no")
    assert "could not connect" in str(error)
    assert sum("POST /v1/videos/generations" in message for message in caplog.messages) == 4


async def test_a_submit_arrives_once_the_service_listens(free_port: int) -> None:
    """The refused attempts cost nothing, and one task is made."""
    async with Client("sk-1", f"http://127.0.0.1:{free_port}", submit_attempts=20) as client:
        task = client.submit(SHOT)
        await asyncio.sleep(0.5)
        async with Emulator(api_key="sk-1", port=free_port, render=False) as fox:
            video = await task

    assert list(fox.ledger.tasks) == [video.id]


@pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "date"])
async def test_a_submit_waits_as_long_as_retry_after_says(as_date: bool, client: Client, fox: Emulator) -> None:
    """In both forms of the header."""
    wish = email.utils.formatdate(time.time() + 30, usegmt=True) if as_date else "30"
    fox.fail_next("submit", Fault("rate_limit", retry_after=wish))
    began = _now()

    await client.submit(SHOT).wait_accepted()

    assert 28.5 <= _now() - began <= 31.0
    assert (fox.ledger.submitted, fox.ledger.charged) == (2, 1)


async def test_a_rate_limit_without_a_wish_is_waited_out(client: Client, fox: Emulator) -> None:
    """Refused before anything was made, so it is sent again."""
    fox.fail_next("submit", Fault("rate_limit"), times=3)

    await client.generate(SHOT)

    assert (fox.ledger.submitted, fox.ledger.charged) == (4, 1)


@pytest.mark.parametrize(
    ("options", "sent"),
    [({}, 4), ({"submit_attempts": 1}, 1), ({"submit_attempts": 2}, 2)],
    ids=str,
)
async def test_a_rate_limit_that_stays_ends_after_as_many_submits_as_asked_for(
    options: dict[str, int], sent: int, fox: Emulator
) -> None:
    """And says how long the service wants one to wait."""
    fox.fail_next("submit", Fault("rate_limit", retry_after="7"), times=9)

    async with Client(fox.api_key, fox.base_url, **options) as client:  # type: ignore[arg-type]
        error = await _error(client)

    assert isinstance(error, RateLimited)
    assert (error.submitted, error.retry_after) == ("no", 7.0)
    assert (fox.ledger.submitted, fox.ledger.charged) == (sent, 0)


BUSY = [
    Fault("rate_limit", retry_after="7"),
    Fault("rate_limit"),
    Fault("error", status=422, code="no_compatible_channel"),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("attempts", [1, 4])
@pytest.mark.parametrize("fault", BUSY, ids=_name)
async def test_a_refusal_that_is_not_trusted_is_uncertain_and_never_sent_again(
    fault: Fault, attempts: int, after: bool, fox: Emulator
) -> None:
    """Nobody promises that it made nothing; and here it did make something, or it did not."""
    fox.fail_next("submit", attrs.evolve(fault, after=after))

    async with Client(fox.api_key, fox.base_url, trust_refusals=False, submit_attempts=attempts) as client:
        error = await _error(client)
        await asyncio.sleep(LATER)

    assert (type(error), error.submitted) == (SubmitUncertain, "unknown")
    assert (fox.ledger.submitted, fox.ledger.charged) == (1, int(after))
    assert len(client.unfinished()) == 1


@pytest.mark.parametrize("fault", BUSY, ids=_name)
async def test_a_refusal_that_is_not_trusted_keeps_its_key_from_being_bought_again(
    fault: Fault, fox: Emulator, journal: Path
) -> None:
    """Until somebody has looked."""
    fox.fail_next("submit", attrs.evolve(fault, after=True))

    for _ in range(2):
        async with Client(fox.api_key, fox.base_url, journal=journal, trust_refusals=False) as client:
            with pytest.raises(SubmitUncertain):
                await client.generate(SHOT, key="shot-1")

    assert (fox.ledger.submitted, fox.ledger.charged) == (1, 1)


async def test_a_missing_channel_is_asked_for_again_slowly(client: Client, fox: Emulator) -> None:
    """It is not back within a second."""
    fox.fail_next("submit", Fault("error", status=422, code="no_compatible_channel"))
    began = _now()

    await client.submit(SHOT).wait_accepted()

    assert _now() - began >= 15.0
    assert (fox.ledger.submitted, fox.ledger.charged) == (2, 1)


async def test_a_channel_that_stays_missing_is_told(client: Client, fox: Emulator) -> None:
    """With the way to find another model."""
    fox.fail_next("submit", Fault("error", status=422, code="no_compatible_channel"), times=9)

    error = await _error(client)

    assert isinstance(error, ModelUnavailable)
    assert (error.submitted, error.code) == ("no", "no_compatible_channel")
    assert "client.models()" in error.hint
    assert (fox.ledger.submitted, fox.ledger.charged) == (4, 0)


# --- On the wire ---------------------------------------------------------------------------------------------------


async def test_all_attempts_of_a_submit_carry_one_idempotency_key_and_no_other_submit_does(gateway: Gateway) -> None:
    """Should the service ever read it, a repeat is harmless."""
    gateway.answers = [web.Response(status=429) for _ in range(2)]

    async with Client("sk-1", gateway.url) as client:
        await client.generate(SHOT)
        await client.generate(SHOT)

    first, again, once_more, other = (request.headers["Idempotency-Key"] for request in gateway.heard)
    assert first == again == once_more != other
    assert 16 <= len(first) <= 96


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_submit_follows_no_redirect(status: int, gateway: Gateway) -> None:
    """A body that was sent to one host is not carried to another."""
    strangers: list[asyncio.StreamWriter] = []

    async def stranger(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        strangers.append(writer)
        writer.close()

    async with await asyncio.start_server(stranger, "127.0.0.1", 0) as elsewhere:
        target = f"http://127.0.0.1:{elsewhere.sockets[0].getsockname()[1]}/v1/videos/generations"
        gateway.answers = [web.Response(status=status, headers={"Location": target})]
        async with Client("sk-1", gateway.url) as client:
            error = await _error(client)
            await asyncio.sleep(LATER)

    assert error.http_status == status
    assert len(gateway.heard) == 1
    assert strangers == []


async def test_a_kept_connection_that_the_server_drops_makes_no_submit_uncertain() -> None:
    """Each submit has a connection of its own, on which nothing was asked before."""
    connections = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, promise to stay, and drop the next one."""
        nonlocal connections
        connections += 1
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        body = json.dumps({"id": f"task-{connections}", "status": "pending"}).encode()
        kept = f"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(kept.encode() + body)
        await reader.read(1)
        writer.close()

    async with await asyncio.start_server(once, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Client("sk-1", url) as client:
            ids = [await client.submit(SHOT).wait_accepted() for _ in range(5)]
        await asyncio.sleep(0.1)  # lets the server see that the client has left

    assert ids == [f"task-{number}" for number in range(1, 6)]
    assert connections == 5
