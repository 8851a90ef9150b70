"""Each end is handed over to ``on_end`` until that returns, whatever becomes of the process; with every store."""

import asyncio
import functools
import logging
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from databases import old
from journals import left_by_the_dead, sql
from waiting import now, warned

from foxvideo import (
    Client,
    Every,
    GrokImageToVideo,
    GrokTextToVideo,
    Limits,
    RecordStatus,
    VideoTask,
)
from foxvideo._engine import handover
from foxvideo._journal import Place
from foxvideo.emulator import Emulator, Fault

KEY = "sk-emulator"
SHOT = GrokTextToVideo(prompt="A kite")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def kind(request: pytest.FixtureRequest) -> str:
    """Run each test that uses a journal with every store."""
    return str(request.param)


@pytest.fixture
async def fox() -> AsyncIterator[Emulator]:
    """Run an emulator whose tasks take ten seconds."""
    async with Emulator(seconds=10, render=False) as running:
        yield running


@attrs.define
class Told:
    """What a function was called with, and how often it raises first."""

    fails: int = 0
    tasks: list[VideoTask] = attrs.field(factory=list)
    calls: list[float] = attrs.field(factory=list)
    threads: set[int] = attrs.field(factory=set)

    def function(self, task: VideoTask) -> None:
        """Note it."""
        self.threads.add(threading.get_ident())
        self.fails -= 1
        if self.fails >= 0:
            raise ValueError("not today")
        self.tasks.append(task)

    async def coroutine(self, task: VideoTask) -> None:
        """Note it, and when."""
        self.calls.append(now())
        self.function(task)

    def ends(self) -> list[tuple[str | None, str]]:
        """Return the keys, and what came of them."""
        return sorted((task.key, type(task.exception() or task.result()).__name__) for task in self.tasks)


def opened(fox: Emulator, journal: Place | None, on_end: Any, **options: Any) -> Client:  # noqa: ANN401 - options of a client
    """Open a client that polls every two seconds."""
    return Client(KEY, fox.base_url, journal=journal, on_end=on_end, schedule=Every(2), **options)


async def settled(client: Client) -> None:
    """Wait until nothing is on its way."""
    for _ in range(10_000):
        stats = client.stats()
        if not (stats.running or stats.sending or stats.waiting or stats.handing_over):
            return
        await asyncio.sleep(0.5)


KINDS: dict[str, Callable[[Told], Any]] = {
    "function": lambda told: told.function,
    "coroutine function": lambda told: told.coroutine,
    "partial": lambda told: functools.partial(told.coroutine),
    "a function that returns a coroutine": lambda told: lambda task: told.coroutine(task),  # noqa: PLW0108 - it is no coroutine function
}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
async def test_each_end_is_handed_over_once_where_nothing_goes_wrong(
    make: Callable[[Told], Any], fox: Emulator
) -> None:
    """Whatever it is, as a handle that has ended; functions in a thread, coroutine functions in the loop."""
    told = Told()
    fox.fail_next("submit", Fault("reset", after=True))
    fox.fail_next("submit", Fault("error", status=402))
    async with opened(fox, None, make(told)) as client:
        tasks = [client.submit(SHOT) for _ in range(5)]
        ids = [await task.wait_accepted() for task in tasks[2:]]
        fox.fail(ids[0])
        fox.cancel(ids[1])
        await settled(client)

    assert sorted(name for _, name in told.ends()) == [
        "InsufficientCredits",
        "SubmitUncertain",
        "TaskCancelled",
        "TaskFailed",
        "Video",
    ]
    assert set(told.tasks) == set(tasks)
    in_loop = make(told) is not told.function and told.threads == {threading.get_ident()}
    assert in_loop == bool(told.calls)


async def test_what_has_not_ended_is_not_handed_over(fox: Emulator) -> None:
    """Neither what the caller took back or gave up, nor a wait that is over."""
    told = Told()
    async with opened(fox, None, told.function, max_active=3) as client:
        accepted = [client.submit(SHOT, timeout=4) for _ in range(3)]
        waiting = client.submit(SHOT)
        await accepted[0].wait_accepted()
        accepted[0].abandon()
        assert waiting.withdraw()
        await asyncio.sleep(5)
        client.submit(SHOT)
    assert told.tasks == []


async def test_an_error_that_was_handed_over_is_not_called_unretrieved(
    fox: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody knows of it."""
    async with opened(fox, None, Told().function) as client:
        fox.fail(await client.submit(SHOT).wait_accepted())
        await settled(client)
    assert warned(caplog) == []


async def test_a_function_that_raises_is_called_again_ever_more_slowly_and_that_is_shown(
    fox: Emulator, path: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """Until it returned, and then not any more."""
    told = Told(fails=6)
    async with opened(fox, path, told.coroutine) as client:
        await client.generate(SHOT, key="shot-1")
        await settled(client)
        await asyncio.sleep(400)

    assert (len(told.calls), len(told.tasks)) == (7, 1)
    gaps = [two - one for one, two in zip(told.calls, told.calls[1:], strict=False)]
    assert all(gap >= 0.5 for gap in gaps)
    assert max(gaps) > 2
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 6
    assert "on_end is not done with task-" in errors[0].getMessage()
    assert errors[0].exc_info is not None
    assert sql(path, "SELECT handed FROM tasks") == [("completed",)]


async def test_what_was_not_handed_over_is_by_the_next_client_and_then_no_more(
    fox: Emulator, path: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """Each kind of end; a client with no such function asks for none."""
    broken, told, late = Told(fails=10**6), Told(), Told()
    async with opened(fox, path, None) as client:
        await client.generate(SHOT, key="before")
    fox.fail_next("submit", Fault("reset", after=True))
    fox.fail_next("submit", Fault("error", status=402))
    async with opened(fox, path, broken.function) as client:
        tasks = [client.submit(SHOT, key=f"shot-{number}") for number in range(5)]
        ids = [await task.wait_accepted() for task in tasks[2:]]
        fox.fail(ids[0])
        fox.cancel(ids[1])
        await asyncio.sleep(20)
    assert sum("the client was closed" in line for line in warned(caplog)) == 5
    polled = fox.ledger.polled

    async with opened(fox, path, None) as client:
        await client.working().__aenter__()
        await asyncio.sleep(20)
    async with opened(fox, path, told.function) as client:
        await client.balance()
        await asyncio.sleep(20)
    async with opened(fox, path, late.function) as client:
        await client.balance()
        await asyncio.sleep(20)

    assert told.ends() == [
        ("shot-0", "SubmitUncertain"),
        ("shot-1", "TaskNotFound"),
        ("shot-2", "TaskFailed"),
        ("shot-3", "TaskCancelled"),
        ("shot-4", "Video"),
    ]
    assert late.tasks == []
    assert (fox.ledger.charged, fox.ledger.polled) == (5, polled)
    refused = next(task for task in told.tasks if task.key == "shot-1").exception()
    assert "no task was made" in str(refused)


async def test_what_ended_while_nobody_ran_is_followed_and_handed_over(fox: Emulator, path: Place) -> None:
    """From the first use of the client on, also what a client without such a function had submitted."""
    async with opened(fox, path, None) as client:
        await client.submit(SHOT, key="one").wait_accepted()
    async with opened(fox, path, Told().function) as client:
        await client.submit(SHOT, key="two").wait_accepted()
    await asyncio.sleep(60)

    told = Told()
    async with opened(fox, path, told.function) as client:
        await client.balance()
        await asyncio.sleep(5)
    assert told.ends() == [("one", "Video"), ("two", "Video")]
    assert [task.request and task.request.model for task in told.tasks] == [SHOT.model] * 2


async def test_an_end_that_the_death_of_a_client_made_is_handed_over(fox: Emulator, path: Place) -> None:
    """What was being sent is uncertain; once a person has decided, its end is another one."""
    async with opened(fox, path, Told().function) as client:
        assert client.journal is not None
        task_id = await client.submit(SHOT, key="shot-1").wait_accepted()
    sql(path, "UPDATE tasks SET task_id = NULL, accepted = NULL, reply = NULL")
    left_by_the_dead(path, RecordStatus.SENDING)
    told = Told()
    async with opened(fox, path, told.function) as client:
        await client.history()
        if isinstance(path, str):
            old(path)
        await asyncio.sleep(15)
        assert told.ends() == [("shot-1", "SubmitUncertain")]
        await client.adopt("shot-1", task_id)
        await asyncio.sleep(30)
    assert told.ends()[1:] == [("shot-1", "Video")]


async def test_of_several_clients_only_one_hands_an_end_over(fox: Emulator, path: Place) -> None:
    """Also where another one waits for the same task."""
    one, two = Told(), Told()
    async with opened(fox, path, one.function) as first, opened(fox, path, two.function) as second:
        tasks = [first.submit(SHOT, key=f"shot-{number}") for number in range(3)]
        await asyncio.gather(*(task.wait_accepted() for task in tasks))
        joined = [second.submit(SHOT, key="shot-0"), second.task(key="shot-1"), second.task(tasks[2].id)]
        await asyncio.gather(*joined)
        await settled(first)
        await asyncio.sleep(10)
    assert len(one.tasks) == 3
    assert two.tasks == []


async def test_a_file_is_there_before_its_end_is_handed_over(fox: Emulator, path: Place, tmp_path: Path) -> None:
    """Where the client saves; one that cannot be saved is no reason to tell nobody."""
    sizes: list[int | None] = []

    def function(task: VideoTask) -> None:
        file = task.result().file
        sizes.append(None if file is None else file.path.stat().st_size)

    async with opened(fox, path, function, save_to=tmp_path / "clips") as client:
        await client.generate(SHOT)
        fox.fail_next("result", Fault("error", status=404), times=100)
        await asyncio.gather(client.generate(SHOT), return_exceptions=True)
        await settled(client)
    assert sizes[0] is not None
    assert sizes[1:] == [None]


async def test_a_file_that_cannot_be_uploaded_ends_its_submission(fox: Emulator, tmp_path: Path, path: Place) -> None:
    """Nothing was sent, and whoever waits for no handle hears of it all the same."""
    told = Told()
    async with opened(fox, path, told.function) as client:
        client.submit(GrokImageToVideo(prompt="A kite", image_url=tmp_path / "none.png"))
        await settled(client)
    assert [name for _, name in told.ends()] == ["UploadError"]


async def test_a_function_that_hangs_holds_up_no_other_end_and_not_the_close_for_long(
    fox: Emulator, path: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it did not return from is handed over by the next client."""
    told, again = Told(), Told()

    async def hanging(task: VideoTask) -> None:
        if task.key == "shot-0":
            await asyncio.sleep(10**6)
        told.function(task)

    async with opened(fox, path, hanging) as client:
        await asyncio.gather(*(client.generate(SHOT, key=f"shot-{number}") for number in range(3)))
        await asyncio.sleep(1)
        assert len(told.tasks) == 2
        began = now()
    assert now() - began <= handover._CLOSING_SECONDS + 3
    async with opened(fox, path, again.function) as client:
        await client.balance()
        await asyncio.sleep(5)
    assert again.ends() == [("shot-0", "Video")]


async def test_a_function_may_go_on_with_its_client_while_that_is_closed(fox: Emulator, tmp_path: Path) -> None:
    """A chain of two, and a file of its own choice."""
    files: list[Any] = []

    async def chain(task: VideoTask) -> None:
        files.append(await task.result().save(tmp_path / f"{len(files)}.mp4"))
        if len(files) < 3:
            await client.generate(SHOT)

    async with opened(fox, None, chain) as client:
        await client.generate(SHOT)
    assert [file.path.exists() for file in files] == [True] * 3
    assert fox.ledger.charged == 3


async def test_many_slow_calls_run_at_once_and_no_more_than_the_bound(fox: Emulator) -> None:
    """A hundred ends are done in seven turns, not in a hundred."""
    running: list[int] = [0, 0]

    async def slow(_: VideoTask) -> None:
        running[0] += 1
        running[1] = max(running)
        await asyncio.sleep(1)
        running[0] -= 1

    async with opened(fox, None, slow) as client:
        await asyncio.gather(*(client.generate(SHOT) for _ in range(100)))
        began = now()
        await settled(client)
        assert now() - began <= 8
    assert running[1] == 16


async def test_what_was_not_handed_over_is_not_forgotten(fox: Emulator, path: Place) -> None:
    """However old it is."""
    async with opened(fox, path, Told(fails=10**6).function) as client:
        fox.fail(await client.submit(SHOT, key="shot-1").wait_accepted())
        await asyncio.sleep(5)
    async with opened(fox, path, None) as client:
        assert client.journal is not None
        assert await client.journal.forget(10.0**12) == 0
    async with opened(fox, path, Told().function) as client:
        assert client.journal is not None
        await client.balance()
        await asyncio.sleep(5)
        assert await client.journal.forget(10.0**12) == 1


async def test_a_record_that_is_damaged_keeps_no_other_end_back(fox: Emulator, path: Place) -> None:
    """Whoever repairs it finds it handed over by the next look."""
    async with opened(fox, path, Told(fails=10**6).function) as client:
        await asyncio.gather(*(client.generate(SHOT, key=f"shot-{number}") for number in range(3)))
    sql(path, "UPDATE tasks SET reply = ? WHERE key = ?", b"{", "shot-1")
    told = Told()
    async with opened(fox, path, told.function) as client:
        await client.history()
        await asyncio.sleep(5)
        assert [key for key, _ in told.ends()] == ["shot-0", "shot-2"]
        sql(path, "UPDATE tasks SET reply = NULL WHERE key = ?", "shot-1")
        await asyncio.sleep(30)
    assert [key for key, _ in told.ends()] == ["shot-0", "shot-1", "shot-2"]


async def test_an_end_that_waits_for_the_limits_is_told_as_any_other(fox: Emulator, path: Place) -> None:
    """The limits let nothing out: that is an end."""
    told = Told()
    async with opened(fox, path, told.function) as client:
        await client.set_limits(Limits(max_credits=1.0))
        await asyncio.gather(client.generate(SHOT, key="one"), return_exceptions=True)
        await asyncio.gather(client.generate(SHOT, key="two"), return_exceptions=True)
        await settled(client)
    names = [name for _, name in told.ends()]
    assert names[-1] == "LimitReached"
    assert fox.ledger.charged == names.count("Video")
