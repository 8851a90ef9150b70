"""Whether the service answers: what is told of an outage, and how often."""

import asyncio
import logging

import pytest

from foxvideo import Client, GrokTextToVideo, ServiceUnavailable, Stats, SubmitUncertain
from foxvideo._engine.silence import Silence
from foxvideo.emulator import Emulator, Fault

SHOT = GrokTextToVideo(prompt="A fox trots through snow")


def test_an_outage_is_told_once_and_its_end_once(caplog: pytest.LogCaptureFixture) -> None:
    """A thousand tasks that all wait would else be a thousand lines each second."""
    caplog.set_level(logging.INFO, "foxvideo")
    silence = Silence()
    for now in range(100, 200):
        silence.unheard(float(now), "HTTP 502")
    assert silence.seconds(200.0) == 100.0
    for _ in range(3):
        silence.heard()
    assert silence.seconds(300.0) is None
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "no answer for 20 s, still trying: HTTP 502" in caplog.text


def test_a_short_outage_is_not_worth_a_word(caplog: pytest.LogCaptureFixture) -> None:
    """The next poll may well be answered."""
    caplog.set_level(logging.INFO, "foxvideo")
    silence = Silence()
    for start in (0.0, 100.0):
        silence.unheard(start, "HTTP 502")
        silence.unheard(start + 19.0, "HTTP 502")
        silence.heard()
    assert caplog.records == []


@pytest.mark.parametrize(
    ("fault", "times"),  # aiohttp itself asks again after a reset
    [(Fault("html", status=502), 60), (Fault("reset"), 120), (Fault("error", status=500), 60)],
)
async def test_whoever_waits_can_see_that_the_service_is_silent(
    fault: Fault, times: int, fox: Emulator, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Else a bar stands at "pending" for an hour, and nobody knows why."""
    caplog.set_level(logging.WARNING, "foxvideo")
    tasks = [client.submit(SHOT) for _ in range(5)]
    for task in tasks:
        await task.wait_accepted()
    assert [task.silent_for for task in tasks] == [None] * 5

    fox.fail_next("poll", fault, times=times)
    silent = []
    for task in tasks:
        task.add_done_callback(lambda task: silent.append(task.silent_for))
    for task in tasks:
        await task
    assert "no answer for" in caplog.text
    assert sum("no answer for" in record.getMessage() for record in caplog.records) == 1
    assert (tasks[0].silent_for, client.stats().silent_for) == (None, None)


async def test_a_wait_that_is_given_up_is_no_answer(
    fox: Emulator, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """The log would else say that the service answers, at the moment when it is given up."""
    caplog.set_level(logging.INFO, "foxvideo")
    task = client.submit(SHOT)
    await task.wait_accepted()
    fox.fail_next("poll", Fault("html", status=502), times=1000)
    with pytest.raises(ServiceUnavailable):
        await task
    assert "no answer for" in caplog.text
    assert "answers again" not in caplog.text
    # Displays draw in a thread of their own, which has no loop.
    silent_for, stats = await asyncio.to_thread(lambda: (task.silent_for, client.stats()))
    assert silent_for is not None
    assert silent_for > 20.0
    assert stats.silent_for == silent_for


async def test_a_client_tells_what_it_is_doing(fox: Emulator, client: Client) -> None:
    """An operator sees what piles up; at the end nothing does."""
    assert client.stats() == Stats(waiting=0, sending=0, running=0, left=0, requests=0, uploads=0, silent_for=None)
    fox.fail_next("submit", Fault("reset", after=True))
    lost, *tasks = (client.submit(SHOT) for _ in range(5))
    assert client.stats().waiting == 5
    with pytest.raises(SubmitUncertain):
        await lost
    for task in tasks:
        await task.wait_accepted()
    assert (client.stats().running, client.stats().left) == (4, 1)
    for task in tasks:
        await task
    await asyncio.sleep(1)
    stats = client.stats()
    assert (stats.waiting, stats.sending, stats.running, stats.left, stats.requests) == (0, 0, 0, 1, 0)
