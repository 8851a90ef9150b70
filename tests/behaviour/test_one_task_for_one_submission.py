"""One submission is one task, whatever the service does with its replies: end to end, against the emulator."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from foxvideo import Client, Every, FoxError, GrokTextToVideo, RecordStatus, SubmitUncertain, TaskAbandoned, Video
from foxvideo.emulator import FALSE_REFUSALS, Emulator, Fault

SHOT = GrokTextToVideo(prompt="A fox trots through snow")


@pytest.fixture
async def replaying() -> AsyncIterator[Emulator]:
    """A service that honours ``Idempotency-Key``."""
    async with Emulator(seconds=10.0, render=False, idempotent=True) as emulator:
        yield emulator


def _opened(fox: Emulator, folder: Path, **options: object) -> Client:
    return Client(fox.api_key, fox.base_url, schedule=Every(2), journal=folder / "videos.db", **options)  # type: ignore[arg-type]


# --- A service that recognises repeats ---


@pytest.mark.parametrize("fault", [Fault("reset", after=True), Fault("error", status=503, after=True), Fault("reset")])
async def test_a_lost_reply_is_asked_for_again_with_the_same_key(
    replaying: Emulator, tmp_path: Path, fault: Fault
) -> None:
    """One charge, and the video; the record is *sending* until the answer is there."""
    replaying.fail_next("submit", fault)
    async with _opened(replaying, tmp_path, idempotent=True) as client:
        video = await client.generate(SHOT, key="shot-1")
        (record,) = await client.history()

    assert replaying.ledger.charged == 1
    assert (record.status, record.task_id) == (RecordStatus.COMPLETED, video.id)


async def test_a_reply_that_stays_lost_is_uncertain(replaying: Emulator, tmp_path: Path) -> None:
    """And resubmit, which sends the same key, buys nothing twice."""
    replaying.fail_next("submit", Fault("reset", after=True), times=2)
    async with _opened(replaying, tmp_path, idempotent=True, submit_attempts=2) as client:
        with pytest.raises(SubmitUncertain):
            await client.generate(SHOT, key="shot-1")
        video = await (await client.resubmit("shot-1"))

    assert isinstance(video, Video)
    assert replaying.ledger.charged == 1


@pytest.mark.parametrize("code", ["paid_outcome_unknown", "idempotency_conflict"])
async def test_a_conflict_about_the_key_is_uncertain_and_not_repeated(
    replaying: Emulator, tmp_path: Path, code: str
) -> None:
    """The service itself does not know."""
    replaying.fail_next("submit", Fault("error", status=409, code=code), times=9)
    async with _opened(replaying, tmp_path, idempotent=True) as client:
        with pytest.raises(SubmitUncertain):
            await client.generate(SHOT, key="shot-1")

    assert replaying.ledger.submitted == 1


@pytest.mark.parametrize("how", ["abandon", "close", "refused"])
async def test_what_waits_to_ask_again_for_a_lost_reply_never_says_that_nothing_was_made(
    replaying: Emulator, tmp_path: Path, how: str
) -> None:
    """Given up, closed, or refused at the next attempt: the first one may have made a task."""
    replaying.fail_next("submit", Fault("reset", after=True))
    if how == "refused":
        replaying.fail_next("submit", Fault("error", status=402))
    client = _opened(replaying, tmp_path, idempotent=True)
    task = client.submit(SHOT, key="shot-1")
    while not replaying.ledger.charged:  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    if how == "abandon":
        task.abandon()
    if how != "refused":
        await client.close()
    error = await _raised(task)
    await client.close()

    assert isinstance(error, SubmitUncertain | TaskAbandoned)
    assert error.submitted == "unknown"
    async with _opened(replaying, tmp_path) as again:
        (record,) = await again.uncertain()
    assert record.key == "shot-1"


async def _raised(task: object) -> FoxError | None:
    try:
        await task  # type: ignore[misc]
    except FoxError as error:
        return error
    return None


# --- A service that does not ---


async def test_without_being_told_so_no_lost_reply_is_asked_for_again(fox: Emulator, tmp_path: Path) -> None:
    """FoxAPI has no idempotency key: a repeat may pay twice."""
    fox.fail_next("submit", Fault("reset", after=True))
    async with _opened(fox, tmp_path) as client:
        with pytest.raises(SubmitUncertain):
            await client.generate(SHOT, key="shot-1")

    assert (fox.ledger.submitted, fox.ledger.charged) == (1, 1)


@pytest.mark.parametrize("fault", FALSE_REFUSALS.values(), ids=FALSE_REFUSALS)
async def test_a_refusal_that_made_a_task_buys_twice_only_where_refusals_are_trusted(
    fault: Fault, tmp_path: Path
) -> None:
    """That is what trusting them costs, should the service ever lie; distrust makes them uncertain."""
    charged = {}
    for trust in (True, False):
        async with Emulator(seconds=10.0, render=False) as fox:
            fox.fail_next("submit", fault)
            async with _opened(fox, tmp_path / str(trust), trust_refusals=trust) as client:
                (tmp_path / str(trust)).mkdir()
                await _raised(client.submit(SHOT, key="shot-1"))
                states = [record.status for record in await client.history()]
            charged[trust] = fox.ledger.charged
            assert states == [RecordStatus.COMPLETED if trust else RecordStatus.UNCERTAIN]
    assert charged == {True: 2, False: 1}


@pytest.mark.parametrize("key", ["shot-2", None])
async def test_an_id_that_comes_twice_is_one_task_with_two_handles(
    fox: Emulator, tmp_path: Path, key: str | None
) -> None:
    """Whoever waits for either hears of its end, also when the client is closed."""
    async with _opened(fox, tmp_path) as client:
        first = client.submit(SHOT, key="shot-1")
        await first.wait_accepted()
        fox.fail_next("submit", Fault("same_id"))
        second = client.submit(SHOT, key=key)
        assert await second.wait_accepted() == first.id
        first_video, second_video = await asyncio.gather(first, second)
        records = await client.history()

    assert first_video == second_video
    assert fox.ledger.charged == 1
    assert {record.task_id for record in records} == {first.id}
    assert {record.status for record in records} == {RecordStatus.COMPLETED}
