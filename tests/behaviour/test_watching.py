"""``generate(watch=...)``: each state as it comes, and a function that harms nothing."""

import asyncio

import pytest
from waiting import warned

from foxvideo import Client, GrokTextToVideo, SubmitUncertain, TaskFailed, TaskState
from foxvideo.emulator import Emulator, Fault

SHOT = GrokTextToVideo(prompt="A kite")


async def test_each_state_is_told_up_to_the_last(client: Client, fox: Emulator) -> None:
    """With status and progress; to functions and to coroutine functions."""
    seen: list[tuple[str, float | None]] = []

    async def watch(state: TaskState) -> None:
        await asyncio.sleep(0)
        seen.append((state.status, state.progress))

    await client.generate(SHOT, watch=watch)
    first = list(seen)
    await client.generate(SHOT, watch=lambda state: seen.append((state.status, state.progress)))
    assert first == seen[len(first) :]
    assert [status for status, _ in first] == ["pending", *["processing"] * (len(first) - 2), "completed"]
    assert [progress for _, progress in first] == sorted(progress or 0.0 for _, progress in first)


async def test_a_function_that_raises_ends_nothing(
    client: Client, fox: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """It is one line of the log."""
    video = await client.generate(SHOT, watch=lambda state: state.results[7])
    assert video.url
    assert warned(caplog) == ["watch raised; the task goes on"]


async def test_an_end_without_a_video_is_raised_as_ever(client: Client, fox: Emulator) -> None:
    """A failure, and a submission that is uncertain."""
    seen: list[TaskState] = []
    fox.fail_next("submit", Fault("reset", after=True))
    with pytest.raises(SubmitUncertain):
        await client.generate(SHOT, watch=seen.append)
    making = asyncio.create_task(client.generate(SHOT, watch=seen.append))
    await asyncio.sleep(1)
    fox.fail(list(fox.ledger.tasks)[-1])
    with pytest.raises(TaskFailed):
        await making
    assert seen[-1].status == "failed"


async def test_cancelling_withdraws_what_was_not_sent(fox: Emulator) -> None:
    """As without a function."""
    async with Client(fox.api_key, fox.base_url, max_active=1) as client:
        client.submit(SHOT)
        making = asyncio.create_task(client.generate(SHOT, watch=print))
        await asyncio.sleep(1)
        making.cancel()
        await asyncio.wait({making})
        assert len(client.unfinished()) == 1
    assert fox.ledger.charged == 1
