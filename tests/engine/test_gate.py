"""The one gate: every request of the API passes one bound, and every read is repeated by one verdict."""

import asyncio
from pathlib import Path

import pytest

from foxvideo import (
    AuthenticationError,
    Client,
    ClientClosed,
    Every,
    GrokTextToVideo,
    ServiceUnavailable,
    Status,
    SubmitUncertain,
    TaskNotFound,
)
from foxvideo.emulator import BLIPS, Emulator, Fault

SHOT = GrokTextToVideo(prompt="A fox trots through snow")


async def test_no_request_of_the_api_passes_beside_the_bound() -> None:
    """Submissions, polls, looks, models, balance and prices together."""
    async with (
        Emulator(seconds=5.0, latency=0.2, render=False) as fox,
        Client(fox.api_key, fox.base_url, schedule=Every(1), max_requests=3) as client,
    ):
        task_id = await client.submit(SHOT).wait_accepted()
        reads = [
            read()
            for read in (client.models, client.balance, client.prices, lambda: client.look(task_id))
            for _ in range(5)
        ]
        await asyncio.gather(*reads, *(client.generate(SHOT) for _ in range(5)))

    assert fox.ledger.max_in_flight == 3


@pytest.mark.parametrize(
    "fault", [Fault("error", status=503), Fault("reset"), Fault("rate_limit"), Fault("html")], ids=str
)
async def test_a_read_that_fails_is_repeated(client: Client, fox: Emulator, fault: Fault) -> None:
    """As a poll is."""
    task_id = await client.submit(SHOT).wait_accepted()
    for kind in ("models", "account", "poll"):
        fox.fail_next(kind, fault, times=2)

    assert await client.models()
    assert (await client.balance()).dollars is not None
    assert (await client.look(task_id)).id == task_id


async def test_a_read_that_stays_broken_ends_within_seconds(client: Client, fox: Emulator) -> None:
    """And says what the service said."""
    fox.fail_next("models", Fault("error", status=503), times=99)
    began = asyncio.get_running_loop().time()

    with pytest.raises(ServiceUnavailable, match="503"):
        await client.models()

    assert asyncio.get_running_loop().time() - began < 120


async def test_a_key_that_is_refused_is_told_at_once(fox: Emulator) -> None:
    """Asking again changes nothing."""
    async with Client("sk-another-key", fox.base_url) as client:
        with pytest.raises(AuthenticationError):
            await client.models()


async def test_closing_ends_a_read_that_waits_for_its_turn() -> None:
    """Whoever waits hears of it."""
    async with Emulator(latency=30.0, render=False) as fox:
        client = Client(fox.api_key, fox.base_url, max_requests=1)
        reads = [asyncio.ensure_future(client.models()) for _ in range(3)]
        await asyncio.sleep(1)
        await client.close()
        ended = await asyncio.gather(*reads, return_exceptions=True)

    assert all(isinstance(error, ClientClosed) for error in ended)


async def test_a_read_that_nobody_waits_for_takes_no_turn() -> None:
    """It is passed over."""
    async with (
        Emulator(latency=1.0, render=False) as fox,
        Client(fox.api_key, fox.base_url, max_requests=1) as client,
    ):
        first, second = (asyncio.ensure_future(client.models()) for _ in range(2))
        await asyncio.sleep(0.5)
        second.cancel()
        await first
        await asyncio.sleep(3)

    assert second.cancelled()


async def test_a_read_that_breaks_within_ends_with_that(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is, it belongs to whoever asked."""

    async def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(type(client._engine.transport), "get", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        await client.models()


async def test_closing_ends_a_read_that_is_under_way() -> None:
    """Nobody needs its answer."""
    async with Emulator(latency=30.0, render=False) as fox:
        client = Client(fox.api_key, fox.base_url)
        reading = asyncio.create_task(client.models())
        await asyncio.sleep(1)
        await client.close()
        with pytest.raises(ClientClosed):
            await reading


# --- One look ---


async def test_a_look_is_one_question_with_one_answer(client: Client, fox: Emulator) -> None:
    """It waits for no end and begins to follow nothing."""
    task_id = await client.submit(SHOT).wait_accepted()
    async with Client(fox.api_key, fox.base_url) as other:
        state = await other.look(task_id)
        assert other.unfinished() == ()

    assert (state.id, state.status) == (task_id, Status.PENDING)


async def test_a_look_at_what_does_not_exist_is_answered_at_once(client: Client, fox: Emulator) -> None:
    """A wait is patient with a 404; a look says what the service said."""
    with pytest.raises(TaskNotFound):
        await client.look("task-unified-1-nobody")

    assert fox.ledger.polled == 1


async def test_a_look_by_key_says_what_the_journal_knows(fox: Emulator, tmp_path: Path) -> None:
    """A task, an uncertain submission, or nothing."""
    async with Client(fox.api_key, fox.base_url, journal=tmp_path / "videos.db") as client:
        task_id = await client.submit(SHOT, key="made").wait_accepted()
        fox.fail_next("submit", Fault("reset", after=True))
        with pytest.raises(SubmitUncertain):
            await client.generate(SHOT, key="lost")

        assert (await client.look(key="made")).id == task_id
        with pytest.raises(SubmitUncertain) as lost:
            await client.look(key="lost")
        with pytest.raises(TaskNotFound) as nothing:
            await client.look(key="nobody")

    assert (lost.value.submitted, lost.value.key) == ("unknown", "lost")
    assert nothing.value.submitted == "no"


@pytest.mark.parametrize("names", [{}, {"task_id": "task-1", "key": "shot-1"}, {"task_id": "a b"}], ids=str)
async def test_a_look_names_one_task(client: Client, names: dict[str, str]) -> None:
    """By its id or by its key."""
    with pytest.raises(ValueError, match="task id"):
        await client.look(**names)


# --- Blips ---


@pytest.mark.parametrize("fault", BLIPS.values(), ids=BLIPS)
async def test_a_running_task_outlasts_a_blip_of_its_polls(fault: Fault) -> None:
    """A gateway that restarts says strange things for some seconds; the task is among the unfinished meanwhile."""
    async with (
        Emulator(seconds=60.0, render=False) as fox,
        Client(fox.api_key, fox.base_url, schedule=Every(1)) as client,
    ):
        task = client.submit(SHOT)
        await asyncio.sleep(5)
        fox.blip("poll", fault, seconds=20.0)
        await asyncio.sleep(15)
        assert client.unfinished() == (task,)

        video = await task

    assert video.url
