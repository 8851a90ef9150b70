"""Keys: the same key is the same task, now, later, and in another client; and what the journal has to do with it."""

import asyncio
import contextlib
import json
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import journals
import pytest
from waiting import ended, now, warned

from foxvideo import (
    Client,
    ClientClosed,
    Every,
    FoxError,
    GrokImageToVideo,
    GrokTextToVideo,
    InvalidRequest,
    JournalError,
    KeyConflict,
    KeyStateError,
    RecordStatus,
    Request,
    SubmitUncertain,
    TaskAbandoned,
    TaskCancelled,
    TaskFailed,
    TaskNotFound,
    TaskRecord,
    TaskTimeout,
    Video,
    VideoTask,
    _locks,
)
from foxvideo._engine import submission
from foxvideo._journal import Place, SqliteStore, owners
from foxvideo._journal.recorder import JournalRecorder
from foxvideo.emulator import Emulator, Fault
from foxvideo.media import LocalMedia

SHOT = GrokTextToVideo(prompt="A fox trots through snow")
OTHER = GrokTextToVideo(prompt="A kite")
LOCAL = GrokImageToVideo(prompt="It goes on", image_url=b"a picture")
DAY = 24 * 3600.0


def opened(fox: Emulator, folder: Path, **options: Any) -> Client:  # noqa: ANN401 - options of all types
    """Return a client that remembers in a folder, or in its database."""
    return Client(fox.api_key, fox.base_url, schedule=Every(2), journal=journal_of(folder), **options)


DATABASES: dict[Path, str] = {}
# For tests that reach into a file: they forge its locks, or make its disk refuse.
in_a_file = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def journal_of(folder: Path) -> Place:
    """Return where a test's journal lies."""
    return DATABASES.get(folder, folder / "videos.db")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def kind(request: pytest.FixtureRequest) -> str:
    """Run each test that remembers with every store."""
    return str(request.param)


@pytest.fixture
def tmp_path(kind: str, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder in memory, where there is one: every commit is synced, and these are many."""
    shared = Path("/dev/shm")  # noqa: S108 - the folder in it has a name of its own
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as name:
        folder = Path(name)
        if kind == "postgres":
            DATABASES[folder] = f"{request.getfixturevalue('database')}?lease=1"
        yield folder
        DATABASES.pop(folder, None)


@pytest.fixture
async def keeper(fox: Emulator, tmp_path: Path) -> AsyncIterator[Client]:
    """Open a client that remembers."""
    async with opened(fox, tmp_path) as client:
        yield client


@pytest.fixture
async def slow() -> AsyncIterator[Emulator]:
    """An emulator that takes two seconds for each answer."""
    async with Emulator(seconds=10.0, latency=2.0, render=False) as emulator:
        yield emulator


def sql(folder: Path, statement: str, *values: object) -> list[Any]:
    """Run a statement behind the client's back, and return what it finds."""
    place = journal_of(folder)
    return journals.sql(place.partition("?")[0] if isinstance(place, str) else place, statement, *values)


async def until(true: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)


async def sending(client: Client, key: str | None = "shot-1") -> VideoTask:
    """Submit a task, and return it as soon as its request is on its way."""
    task = client.submit(SHOT, key=key)
    await until(lambda: "being sent" in repr(task))
    return task


async def uncertain(client: Client, fox: Emulator, key: str = "shot-1") -> VideoTask:
    """Submit a task whose reply is lost although it was made."""
    fox.fail_next("submit", Fault("reset", after=True))
    task = client.submit(SHOT, key=key)
    assert isinstance(await ended(task), SubmitUncertain)
    return task


async def newest(client: Client) -> TaskRecord:
    """Return the last row."""
    return (await client.history())[-1]


@contextlib.asynccontextmanager
async def another(folder: Path, owner: str = "another") -> AsyncIterator[str]:
    """Be another client that lives, and that has the row of a key."""
    held = owners.hold(owners.path_of(folder / "videos.db", owner))
    try:
        yield owner
    finally:
        _locks.release(held)


# --- One key, one task ---


async def test_the_same_key_is_the_same_handle_while_it_runs(fox: Emulator, keeper: Client) -> None:
    """One payment, one poll loop."""
    task = keeper.submit(SHOT, key="shot-1")
    assert keeper.submit(SHOT, key="shot-1") == task
    assert keeper.task(key="shot-1") == task
    await task
    assert fox.ledger.charged == 1


async def test_a_key_is_the_same_task_however_its_request_is_written(fox: Emulator, keeper: Client) -> None:
    """As a class, as a mapping, and with its fields in another order."""
    mapping = {"prompt": SHOT.prompt, "model": SHOT.model}
    ways: list[Any] = [SHOT, mapping, Request(SHOT.model, prompt=SHOT.prompt)]
    videos = await asyncio.gather(*(keeper.generate(way, key="shot-1") for way in ways))
    assert len({video.id for video in videos}) == 1
    assert fox.ledger.charged == 1


async def test_a_key_with_local_files_is_paid_for_once(fox: Emulator, keeper: Client) -> None:
    """Which of their contents is meant is compared on the disk, so these are two handles of one task."""
    first, second = await asyncio.gather(*(keeper.generate(LOCAL, key="shot-1") for _ in range(2)))
    assert first == second
    assert fox.ledger.charged == 1


async def test_a_handle_whose_files_take_long_joins_the_one_that_is_being_sent(
    slow: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it was asked for first."""
    digests, calls = submission._digests, iter([0.05, 0.0])

    def slowly(media: Mapping[int, LocalMedia], *, check: bool) -> dict[int, str]:
        time.sleep(next(calls))
        return digests(media, check=check)

    monkeypatch.setattr(submission, "_digests", slowly)
    async with opened(slow, tmp_path) as client:
        first, second = await asyncio.gather(*(client.generate(LOCAL, key="shot-1") for _ in range(2)))
    assert first == second
    assert slow.ledger.charged == 1


async def test_two_handles_of_one_task_share_what_becomes_of_it(fox: Emulator, keeper: Client) -> None:
    """States, and an error that names the task and the key; it is unfinished once."""
    first, second = (keeper.submit(LOCAL, key="shot-1") for _ in range(2))
    assert first != second
    task_id = await second.wait_accepted()
    await asyncio.sleep(0.2)
    assert (first.id, second.id) == (task_id, task_id)
    assert [task.id for task in keeper.unfinished()] == [task_id]
    fox.fail(task_id, "moderation", "No foxes.")
    errors = [await ended(first), await ended(second)]
    assert {(type(error), error.task_id, error.key) for error in errors} == {(TaskFailed, task_id, "shot-1")}
    assert first.state == second.state
    assert keeper.unfinished() == ()


async def test_two_handles_of_one_key_are_one_task(fox: Emulator, keeper: Client) -> None:
    """Whoever gives it up gives it up for both, and it can be followed again."""
    first, second = (keeper.submit(LOCAL, key="shot-1") for _ in range(2))
    await asyncio.gather(first.wait_accepted(), second.wait_accepted())
    assert (first.id, first.state) == (second.id, second.state)
    second.abandon()
    assert isinstance(await ended(first), TaskAbandoned)
    assert isinstance(await keeper.task(key="shot-1"), Video)
    assert fox.ledger.charged == 1


async def test_both_of_two_handles_end_when_the_client_is_closed(fox: Emulator, tmp_path: Path) -> None:
    """With the id, which is unfinished once."""
    async with opened(fox, tmp_path) as client:
        first, second = (client.submit(LOCAL, key="shot-1") for _ in range(2))
        task_id = await second.wait_accepted()
        await asyncio.sleep(0.2)
    errors = [await ended(first), await ended(second)]
    assert {(type(error), error.task_id) for error in errors} == {(ClientClosed, task_id)}
    assert [task.id for task in client.unfinished()] == [task_id]


async def test_many_clients_of_one_process_buy_a_key_once(fox: Emulator, tmp_path: Path) -> None:
    """All at the same moment; each gets all the videos."""
    clients = [opened(fox, tmp_path) for _ in range(3)]
    async with contextlib.AsyncExitStack() as stack:
        for client in clients:
            await stack.enter_async_context(client)
        wanted = [client.generate(SHOT, key=f"shot-{number}") for client in clients for number in range(8)]
        videos = await asyncio.gather(*wanted)
    assert fox.ledger.submitted == fox.ledger.charged == 8
    assert len({video.id for video in videos}) == 8
    assert videos[:8] == videos[8:16] == videos[16:]


async def test_a_completed_key_is_answered_without_a_request(fox: Emulator, tmp_path: Path) -> None:
    """In the same client and in the next one."""
    async with opened(fox, tmp_path) as client:
        video = await client.generate(SHOT, key="shot-1")
        polled = fox.ledger.polled
        assert await client.generate(SHOT, key="shot-1") == video
    async with opened(fox, tmp_path) as client:
        assert await client.generate(SHOT, key="shot-1") == video
        assert (await client.task(key="shot-1")).url == video.url
        (row,) = await client.history()
    assert (row.status, row.task_id, row.attempt) == (RecordStatus.COMPLETED, video.id, 1)
    assert (fox.ledger.charged, fox.ledger.polled) == (1, polled)


@pytest.mark.parametrize("where", ["same handle", "same client", "next client"])
async def test_a_link_that_may_be_dead_is_asked_for_anew(fox: Emulator, tmp_path: Path, where: str) -> None:
    """A query is free; nothing is bought."""
    async with opened(fox, tmp_path) as client:
        handle = client.submit(SHOT, key="shot-1")
        await handle
        if where != "same handle":
            del handle
        if where != "next client":
            await until_old(tmp_path)
            polled = fox.ledger.polled
            assert isinstance(await client.generate(SHOT, key="shot-1"), Video)
    if where == "next client":
        await until_old(tmp_path)
        polled = fox.ledger.polled
        async with opened(fox, tmp_path) as client:
            assert isinstance(await client.generate(SHOT, key="shot-1"), Video)
    assert (fox.ledger.charged, fox.ledger.polled) == (1, polled + 1)


async def until_old(folder: Path) -> None:
    """Let a day pass for what is in the journal."""
    sql(folder, "UPDATE tasks SET accepted = accepted - ?", DAY)


async def test_a_link_of_a_day_less_an_hour_is_still_used(fox: Emulator, tmp_path: Path) -> None:
    """It is certain to live."""
    async with opened(fox, tmp_path) as client:
        await client.generate(SHOT, key="shot-1")
        sql(tmp_path, "UPDATE tasks SET accepted = accepted - ?", DAY - 2 * 3600)
        polled = fox.ledger.polled
        await client.generate(SHOT, key="shot-1")
    assert fox.ledger.polled == polled


async def test_a_running_key_is_followed_by_the_next_client(fox: Emulator, tmp_path: Path) -> None:
    """It is not bought again."""
    async with opened(fox, tmp_path) as client:
        task_id = await client.submit(SHOT, key="shot-1").wait_accepted()
    async with opened(fox, tmp_path) as client:
        task = client.submit(SHOT, key="shot-1")
        assert await task.wait_accepted() == task_id
        assert client.unfinished() == (task,)
        assert (await task).request == SHOT
    assert fox.ledger.charged == 1


async def test_a_key_joins_the_living_handle_of_its_id(fox: Emulator, tmp_path: Path) -> None:
    """Also where nobody waits for that one; the task is asked for once."""
    async with opened(fox, tmp_path) as client:
        task_id = await client.submit(SHOT, key="shot-1").wait_accepted()
    async with opened(fox, tmp_path) as client:
        by_id = client.task(task_id)
        task = client.submit(SHOT, key="shot-1")
        assert isinstance(await task, Video)
        assert by_id.done()
        assert fox.ledger.tasks[task_id].polls == 6
        assert client.task(task_id) == by_id


async def test_a_handle_that_ends_takes_no_other_out_of_the_registry(fox: Emulator, tmp_path: Path) -> None:
    """Or an id would have two poll loops."""
    async with opened(fox, tmp_path) as client:
        first, second = (client.submit(LOCAL, key="shot-1") for _ in range(2))
        task_id = await first.wait_accepted()
        await second.wait_accepted()
        await asyncio.sleep(0.2)
        living = client.task(task_id)
        living.abandon()
        fresh = client.task(task_id)
        await asyncio.gather(ended(first), ended(second))
        assert client.task(task_id) == fresh
        await fresh


async def test_a_task_that_ended_under_its_id_has_ended_under_its_key(fox: Emulator, tmp_path: Path) -> None:
    """Whoever followed it."""
    async with opened(fox, tmp_path) as client:
        task_id = await client.submit(SHOT, key="shot-1").wait_accepted()
    async with opened(fox, tmp_path) as client:
        await client.task(task_id)
        assert (await newest(client)).status is RecordStatus.COMPLETED


async def test_a_task_whose_submit_told_no_status_is_followed_by_its_key(fox: Emulator, tmp_path: Path) -> None:
    """Its id is enough."""
    async with opened(fox, tmp_path) as client:
        task_id = await client.submit(SHOT, key="shot-1").wait_accepted()
    sql(tmp_path, "UPDATE tasks SET reply = ?", json.dumps({"id": task_id}).encode())
    async with opened(fox, tmp_path) as client:
        assert (await client.generate(SHOT, key="shot-1")).id == task_id


async def test_an_outcome_that_cannot_be_read_is_an_error(fox: Emulator, tmp_path: Path) -> None:
    """It is not taken for another."""
    async with opened(fox, tmp_path) as client:
        video = await client.generate(SHOT, key="shot-1")
        await client.history()  # once it was written
        sql(tmp_path, "UPDATE tasks SET reply = ?", b"{")
        with pytest.raises(JournalError, match="damaged") as caught:
            await client.generate(SHOT, key="shot-1")
    assert (caught.value.task_id, caught.value.key) == (video.id, "shot-1")
    assert fox.ledger.charged == 1


async def test_an_outcome_that_was_not_written_down_is_asked_for(fox: Emulator, tmp_path: Path) -> None:
    """The id is there."""
    async with opened(fox, tmp_path) as client:
        video = await client.generate(SHOT, key="shot-1")
        await client.history()  # once it was written
        sql(tmp_path, "UPDATE tasks SET reply = NULL")
        assert (await client.generate(SHOT, key="shot-1")).id == video.id
    assert fox.ledger.charged == 1


# --- Another request ---


async def test_another_request_under_a_key_is_refused_with_nothing_sent(fox: Emulator, keeper: Client) -> None:
    """It names the task that has the key."""
    video = await keeper.generate(SHOT, key="shot-1")
    with pytest.raises(KeyConflict) as caught:
        await keeper.generate(LOCAL, key="shot-1")
    assert (caught.value.task_id, caught.value.key, caught.value.submitted) == (video.id, "shot-1", "yes")
    assert fox.ledger.charged == 1


async def test_another_request_is_refused_while_the_first_runs_too(fox: Emulator, keeper: Client) -> None:
    """The first goes on."""
    task = keeper.submit(SHOT, key="shot-1")
    assert isinstance(await ended(keeper.submit(OTHER, key="shot-1")), KeyConflict)
    assert isinstance(await task, Video)
    assert fox.ledger.charged == 1


async def test_a_file_is_the_same_by_its_content(fox: Emulator, keeper: Client, tmp_path: Path) -> None:
    """Not by its name; another content under the key is another request."""
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    first.write_bytes(b"one")
    second.write_bytes(b"one")
    video = await keeper.generate(GrokImageToVideo(prompt="Go", image_url=first), key="shot-1")
    assert (await keeper.generate(GrokImageToVideo(prompt="Go", image_url=second), key="shot-1")) == attrs.evolve(
        video, request=GrokImageToVideo(prompt="Go", image_url=second)
    )
    second.write_bytes(b"two")
    with pytest.raises(KeyConflict):
        await keeper.generate(GrokImageToVideo(prompt="Go", image_url=second), key="shot-1")
    assert fox.ledger.charged == 1


async def test_a_key_is_of_one_host(fox: Emulator, tmp_path: Path) -> None:
    """Neither a submit nor a look asks another for its task."""
    async with opened(fox, tmp_path) as client:
        task_id = await client.submit(SHOT, key="shot-1").wait_accepted()
    async with Emulator(render=False) as other, opened(other, tmp_path) as client:
        for verb in ("submit", "task"):
            error = await ended(client.submit(SHOT, key="shot-1") if verb == "submit" else client.task(key="shot-1"))
            assert isinstance(error, KeyConflict)
            assert (error.task_id, error.submitted, fox.base_url in str(error)) == (task_id, "yes", True)
        assert await client.resume() == ()
        assert (other.ledger.submitted, other.ledger.polled) == (0, 0)


@pytest.mark.parametrize("key", ["", " ", "a\nb", "\ud800", "x" * 201, "auto-1"])
async def test_what_is_no_name_is_no_key(fox: Emulator, keeper: Client, key: str) -> None:
    """Refused at once."""
    with pytest.raises(ValueError, match=r"a key is a printable text|are foxvideo's own"):
        keeper.submit(SHOT, key=key)
    assert keeper.unfinished() == ()


@pytest.mark.parametrize("key", ["x", "x" * 200, "Einstellung 7: Füchse", "a/b:c"])
async def test_any_other_text_is_a_key(fox: Emulator, keeper: Client, key: str) -> None:
    """As it stands."""
    await keeper.submit(SHOT, key=key).wait_accepted()
    assert (await newest(keeper)).key == key


async def test_without_a_journal_there_are_no_keys(client: Client) -> None:
    """Nothing would remember them."""
    with pytest.raises(ValueError, match="needs a journal"):
        client.submit(SHOT, key="shot-1")
    with pytest.raises(ValueError, match="needs a journal"):
        client.task(key="shot-1")
    verbs = (client.history(), client.resume(), client.adopt("a", "task-1"), client.resubmit("a"))
    for verb in verbs:
        with pytest.raises(ValueError, match="needs a journal"):
            await verb
    with pytest.raises(ValueError, match="not both"):
        client.task("task-1", key="shot-1")
    assert client.unfinished() == ()


# --- What came to nothing ---


@pytest.mark.parametrize("kind", [TaskFailed, TaskCancelled])
async def test_a_failed_key_fails_again_without_a_request(fox: Emulator, tmp_path: Path, kind: type[FoxError]) -> None:
    """A new attempt is a new, paid task, and so has to be asked for."""
    async with opened(fox, tmp_path) as client:
        task = client.submit(SHOT, key="shot-1")
        task_id = await task.wait_accepted()
        if kind is TaskFailed:
            fox.fail(task_id, "moderation", "No foxes.")
        else:
            fox.cancel(task_id)
        first = await ended(task)
    polled = fox.ledger.polled
    async with opened(fox, tmp_path) as client:
        again = await ended(client.submit(SHOT, key="shot-1"))
        assert isinstance(await ended(client.task(key="shot-1")), kind)
        assert client.unfinished() == ()
    assert (type(again), again.what, again.task_id, again.key) == (kind, first.what, task_id, "shot-1")
    assert (fox.ledger.charged, fox.ledger.polled) == (1, polled)


async def test_a_failed_key_is_tried_anew_where_that_is_asked_for(fox: Emulator, tmp_path: Path) -> None:
    """Once; the history keeps both attempts."""
    async with opened(fox, tmp_path) as client:
        task = client.submit(SHOT, key="shot-1")
        fox.fail(await task.wait_accepted())
        await ended(task)
        video = await client.generate(SHOT, key="shot-1", retry_failed=True)
        assert await client.generate(SHOT, key="shot-1", retry_failed=True) == video
        first, second = await client.history()
    assert (first.status, first.attempt, first.task_id) == (RecordStatus.FAILED, 1, task.id)
    assert (second.status, second.attempt, second.task_id) == (RecordStatus.COMPLETED, 2, video.id)
    assert first.error
    assert fox.ledger.charged == 2


async def test_two_who_ask_for_a_new_attempt_at_once_pay_for_one(fox: Emulator, tmp_path: Path) -> None:
    """The second of them waits for the first, also where its attempt fails before it looks."""
    async with opened(fox, tmp_path) as one, opened(fox, tmp_path) as two:
        task = one.submit(SHOT, key="shot-1")
        fox.fail(await task.wait_accepted())
        await ended(task)
        fox.fail_next("submit", Fault("hang"))
        first = one.submit(SHOT, key="shot-1", retry_failed=True)
        await until(lambda: "being sent" in repr(first))
        second = two.submit(SHOT, key="shot-1", retry_failed=True)
        await asyncio.sleep(1)
        sql(tmp_path, "UPDATE tasks SET owner = NULL, status = 'failed', task_id = 'task-x' WHERE attempt = 2")
        await asyncio.sleep(2)
        assert fox.ledger.submitted == 2
        assert (await two.history())[-1].attempt == 2
        second.abandon()
        await ended(second)
        await ended(first)


async def test_a_refused_key_is_sent_anew(fox: Emulator, keeper: Client) -> None:
    """Nothing had been made; the history keeps the refusal."""
    fox.fail_next("submit", Fault("error", status=402))
    error = await ended(keeper.submit(SHOT, key="shot-1"))
    assert error.submitted == "no"
    assert isinstance(await keeper.generate(SHOT, key="shot-1"), Video)
    first, second = await keeper.history()
    assert (first.status, first.error, first.owner) == (RecordStatus.REFUSED, error.what, None)
    assert (second.status, second.attempt) == (RecordStatus.COMPLETED, 2)
    assert fox.ledger.charged == 1


async def test_a_withdrawn_key_is_sent_when_it_is_asked_for_again(fox: Emulator, tmp_path: Path) -> None:
    """In the same row, since nothing had been sent."""
    async with opened(fox, tmp_path, max_active=1) as client:
        await client.submit(OTHER, key="shot-0").wait_accepted()
        task = client.submit(SHOT, key="shot-1")
        await asyncio.sleep(0.1)
        task.abandon()
        assert isinstance(await ended(task), TaskAbandoned)
        assert (await newest(client)).status is RecordStatus.WITHDRAWN
        assert isinstance(await client.generate(SHOT, key="shot-1"), Video)
        _, row = await client.history()
    assert (row.status, row.attempt, fox.ledger.submitted) == (RecordStatus.COMPLETED, 1, 2)


@pytest.mark.parametrize("steps", range(12))
async def test_a_key_given_up_at_any_step_can_be_asked_for_again(fox: Emulator, keeper: Client, steps: int) -> None:
    """No row is left that nobody works on."""
    task = keeper.submit(SHOT, key="shot-1")
    for _ in range(steps):
        await asyncio.sleep(0)
    task.abandon()
    again = keeper.submit(SHOT, key="shot-1")
    if again != task:  # else it was on its way, and was given up by name
        assert isinstance(await again, Video)
        assert fox.ledger.charged == 1
    await ended(task)


# --- Uncertain ---


async def test_an_uncertain_key_stays_uncertain_without_a_request(fox: Emulator, tmp_path: Path) -> None:
    """Asked for by either verb, now and after a restart; what happened is told in the same words."""
    async with opened(fox, tmp_path) as client:
        first = await ended(await uncertain(client, fox))
    for _ in range(2):
        async with opened(fox, tmp_path) as client:
            for task in (client.submit(SHOT, key="shot-1"), client.task(key="shot-1")):
                error = await ended(task)
                assert isinstance(error, SubmitUncertain)
                assert (error.what, error.key, error.submitted) == (first.what, "shot-1", "unknown")
                assert task in client.unfinished()
            assert await client.resume() == ()
    assert (fox.ledger.submitted, fox.ledger.polled) == (1, 0)


async def test_retry_failed_is_no_leave_to_repeat_what_is_uncertain(fox: Emulator, keeper: Client) -> None:
    """It may be paid for."""
    await uncertain(keeper, fox)
    assert isinstance(await ended(keeper.submit(SHOT, key="shot-1", retry_failed=True)), SubmitUncertain)
    assert fox.ledger.submitted == 1


async def test_an_uncertain_key_adopts_the_id_that_was_found(fox: Emulator, tmp_path: Path) -> None:
    """From then on it is a task like any other."""
    async with opened(fox, tmp_path) as client:
        await uncertain(client, fox)
        (task_id,) = fox.ledger.tasks
        task = await client.adopt("shot-1", task_id)
        assert task.request is not None
        assert (task.id, task.key, task.request.model) == (task_id, "shot-1", SHOT.model)
        video = await task
        assert await client.generate(SHOT, key="shot-1") == attrs.evolve(video, request=SHOT)
    assert fox.ledger.submitted == 1


async def test_what_cannot_be_adopted_is_refused(fox: Emulator, keeper: Client) -> None:
    """No id, an id of another submit, and what is not uncertain."""
    other = await keeper.generate(SHOT, key="shot-0")
    await uncertain(keeper, fox)
    for key, task_id in (("shot-1", "no id"), ("shot-1", other.id), ("shot-0", "task-1"), ("shot-9", "task-1")):
        with pytest.raises(InvalidRequest) as caught:
            await keeper.adopt(key, task_id)
        assert caught.value.key == key
    assert (await newest(keeper)).status is RecordStatus.UNCERTAIN


async def test_an_uncertain_key_is_sent_again_on_an_explicit_word(fox: Emulator, keeper: Client) -> None:
    """With the same idempotency key, in case the service reads it; twice paid, as was risked."""
    await uncertain(keeper, fox)
    task = await keeper.resubmit("shot-1")
    assert isinstance(await task, Video)
    first, second = await keeper.history()
    assert (first.status, second.status, second.attempt) == (RecordStatus.UNCERTAIN, RecordStatus.COMPLETED, 2)
    tokens = {record.headers["Idempotency-Key"] for record in fox.ledger.tasks.values()}
    assert (fox.ledger.charged, tokens) == (2, {first.token})


async def test_a_submit_without_a_key_is_resubmitted_by_the_name_that_it_got(fox: Emulator, keeper: Client) -> None:
    """Which its error tells."""
    fox.fail_next("submit", Fault("reset"))
    error = await ended(keeper.submit(SHOT))
    assert error.key is not None
    assert isinstance(await (await keeper.resubmit(error.key)), Video)


async def test_local_files_are_needed_again_to_resubmit(fox: Emulator, keeper: Client) -> None:
    """The journal has but their hashes, and knows others from them."""
    fox.fail_next("submit", Fault("reset"))
    await ended(keeper.submit(LOCAL, key="shot-1"))
    with pytest.raises(KeyStateError, match="local files"):
        await keeper.resubmit("shot-1")
    assert isinstance(await ended(await keeper.resubmit("shot-1", SHOT)), KeyConflict)
    assert isinstance(await (await keeper.resubmit("shot-1", LOCAL)), Video)
    assert fox.ledger.charged == 1


async def test_what_is_not_uncertain_is_not_resubmitted(fox: Emulator, keeper: Client, tmp_path: Path) -> None:
    """Neither what is done, nor what nobody knows, nor what a living client is sending."""
    await keeper.generate(SHOT, key="shot-0")
    for key in ("shot-0", "shot-9"):
        with pytest.raises(InvalidRequest, match=r"not uncertain|not in the journal"):
            await keeper.resubmit(key)
    fox.fail_next("submit", Fault("hang"))
    task = await sending(keeper)
    async with opened(fox, tmp_path) as other:
        with pytest.raises(InvalidRequest, match="is sending"):
            await other.resubmit("shot-1")
        with pytest.raises(InvalidRequest, match="is sending"):
            await other.adopt("shot-1", "task-1")
    await ended(task)


async def test_a_refused_repeat_leaves_the_key_uncertain(fox: Emulator, keeper: Client) -> None:
    """The first submit may still have made a task, and can still be adopted."""
    await uncertain(keeper, fox)
    fox.fail_next("submit", Fault("error", status=402))
    await ended(await keeper.resubmit("shot-1"))
    assert isinstance(await ended(keeper.submit(SHOT, key="shot-1")), SubmitUncertain)
    (task_id,) = fox.ledger.tasks
    assert isinstance(await (await keeper.adopt("shot-1", task_id)), Video)
    assert fox.ledger.charged == 1


async def test_a_late_reply_still_makes_an_uncertain_row_certain(slow: Emulator, tmp_path: Path) -> None:
    """Also where another took the client for dead meanwhile."""
    async with opened(slow, tmp_path) as client:
        task = await sending(client)
        await asyncio.sleep(0.5)
        sql(tmp_path, "UPDATE tasks SET status = 'uncertain', owner = NULL, error = 'taken for dead'")
        task_id = await task.wait_accepted()
        row = await newest(client)
    assert (row.status, row.task_id, row.error) == (RecordStatus.ACCEPTED, task_id, None)
    assert row.credits_reserved == 12.5


async def test_a_late_refusal_makes_an_uncertain_row_certain_too(slow: Emulator, tmp_path: Path) -> None:
    """Nothing was made."""
    slow.fail_next("submit", Fault("error", status=402))
    async with opened(slow, tmp_path) as client:
        task = await sending(client)
        sql(tmp_path, "UPDATE tasks SET status = 'uncertain', owner = NULL")
        await ended(task)
        assert (await newest(client)).status is RecordStatus.REFUSED


async def test_an_id_that_a_broken_reply_showed_is_kept(fox: Emulator, tmp_path: Path) -> None:
    """Followed by it, the key becomes certain by itself."""
    fox.fail_next("submit", Fault("half_body", after=True))
    async with opened(fox, tmp_path) as client:
        error = await ended(client.submit(SHOT, key="shot-1"))
        assert isinstance(error, SubmitUncertain)
    (task_id,) = fox.ledger.tasks
    async with opened(fox, tmp_path) as client:
        again = await ended(client.submit(SHOT, key="shot-1"))
        assert again.task_id == error.task_id
        if error.task_id is not None:
            await client.task(task_id)
            assert isinstance(await client.generate(SHOT, key="shot-1"), Video)


# --- By key alone ---


async def test_an_unknown_key_is_not_found(fox: Emulator, keeper: Client) -> None:
    """Nothing is sent for it."""
    with pytest.raises(TaskNotFound, match="no submission under this key"):
        await keeper.task(key="shot-1")
    assert (fox.ledger.submitted, fox.ledger.polled) == (0, 0)


WITHOUT_A_TASK = {
    RecordStatus.PLANNED: TaskNotFound,
    RecordStatus.SENDING: SubmitUncertain,  # its owner is dead
    RecordStatus.REFUSED: TaskNotFound,
    RecordStatus.WITHDRAWN: TaskNotFound,
    RecordStatus.UNCERTAIN: SubmitUncertain,
}


@pytest.mark.parametrize("status", WITHOUT_A_TASK)
async def test_a_key_that_made_no_task_says_so(fox: Emulator, tmp_path: Path, status: RecordStatus) -> None:
    """Or that it may have."""
    async with opened(fox, tmp_path) as client:
        await client.submit(SHOT, key="shot-1").wait_accepted()
    sql(tmp_path, "UPDATE tasks SET status = ?, task_id = NULL, owner = 'dead'", status)
    submitted = fox.ledger.submitted
    async with opened(fox, tmp_path) as client:
        task = client.task(key="shot-1")
        assert task.request is None
        error = await ended(task)
    assert type(error) is WITHOUT_A_TASK[status]
    assert (error.key, fox.ledger.submitted, fox.ledger.polled) == ("shot-1", submitted, 0)


@pytest.mark.parametrize("status", ["accepted", "completed", "failed"])
async def test_a_key_that_made_a_task_is_that_task(fox: Emulator, tmp_path: Path, status: str) -> None:
    """With the request that was asked for."""
    async with opened(fox, tmp_path) as client:
        task = client.submit(SHOT, key="shot-1")
        task_id = await task.wait_accepted()
        if status == "failed":
            fox.fail(task_id)
            await ended(task)
        elif status == "completed":
            await task
    async with opened(fox, tmp_path) as client:
        found = client.task(key="shot-1")
        assert await found.wait_accepted() == task_id
        assert found.request == Request(SHOT.model, prompt=SHOT.prompt)
        if status == "failed":
            assert isinstance(await ended(found), TaskFailed)
        else:
            assert (await found).id == task_id
    assert fox.ledger.charged == 1


async def test_a_key_is_looked_up_when_somebody_waits(fox: Emulator, keeper: Client) -> None:
    """And can be followed like any task."""
    task = keeper.task(key="shot-1")
    video = await keeper.generate(SHOT, key="shot-1")
    assert await task == attrs.evolve(video, request=task.request)
    assert [state.progress for state in [state async for state in keeper.task(key="shot-1")]] == [100]


async def test_a_look_for_a_key_may_be_given_up(fox: Emulator, keeper: Client) -> None:
    """Before it has begun, and while it waits."""
    task = keeper.task(key="shot-1")
    task.abandon()
    assert isinstance(await ended(task), TaskAbandoned)


async def test_on_a_closed_client_a_key_is_not_looked_up(fox: Emulator, keeper: Client) -> None:
    """The journal is closed as well."""
    task = keeper.task(key="shot-1")
    await keeper.close()
    assert isinstance(await ended(task), ClientClosed)
    for verb in (keeper.history(), keeper.resume(), keeper.adopt("a", "task-1"), keeper.resubmit("a")):
        with pytest.raises(ClientClosed):
            await verb


# --- Resuming ---


async def test_resume_hands_back_what_runs_and_submits_nothing(fox: Emulator, tmp_path: Path) -> None:
    """With key and request, also of a submit without a key; what is over or uncertain is not among them."""
    async with opened(fox, tmp_path) as client:
        await client.generate(SHOT, key="done")
        await uncertain(client, fox, "lost")
        running = [client.submit(SHOT, key="runs"), client.submit(LOCAL, key="local"), client.submit(OTHER)]
        ids = [await task.wait_accepted() for task in running]
        assert running[2].key is not None
    submitted = fox.ledger.submitted
    async with opened(fox, tmp_path) as client:
        tasks = await client.resume()
        assert client.unfinished() == ()
        by_key = {task.key: task for task in tasks}
        assert set(by_key) == {"runs", "local", running[2].key}
        assert {task.id for task in tasks} == set(ids)
        assert by_key["runs"].request == Request(SHOT.model, prompt=SHOT.prompt)
        assert by_key["local"].request is None
        assert await client.resume() == tasks
        assert all([isinstance(await task, Video) for task in tasks])
        assert await client.resume() == ()
    assert fox.ledger.submitted == submitted


async def test_a_key_of_a_handle_by_id_is_told_by_resume(fox: Emulator, tmp_path: Path) -> None:
    """The living handle learns its name."""
    async with opened(fox, tmp_path) as client:
        task_id = await client.submit(SHOT, key="shot-1").wait_accepted()
    async with opened(fox, tmp_path) as client:
        living = client.task(task_id)
        (task,) = await client.resume()
        assert task == living
        assert living.key == "shot-1"


async def test_history_tells_every_attempt(fox: Emulator, keeper: Client) -> None:
    """In the order of planning, with what was asked for and when."""
    await keeper.generate(SHOT, key="shot-1")
    await keeper.generate(OTHER, key="shot-2")
    rows = await keeper.history()
    assert [row.key for row in rows] == ["shot-1", "shot-2"]
    row = rows[0]
    assert json.loads(row.request) == {"model": SHOT.model, "prompt": SHOT.prompt}
    assert (row.model, row.origin, row.credits_reserved, row.owner) == (SHOT.model, fox.base_url, 12.5, None)
    assert row.sent is not None
    assert row.accepted is not None
    assert row.ended is not None
    assert row.planned <= row.sent <= row.accepted <= row.ended <= time.time()


# --- Who waits, and who gives up ---


async def test_a_cancelled_generate_does_not_withdraw_what_another_waits_for(fox: Emulator, keeper: Client) -> None:
    """Neither before it is sent nor after a 429."""
    first = asyncio.create_task(keeper.generate(SHOT, key="shot-1"))
    await asyncio.sleep(0)
    second = asyncio.create_task(keeper.generate(SHOT, key="shot-1"))
    await asyncio.sleep(0)
    first.cancel()
    assert isinstance(await second, Video)
    assert first.cancelled()


async def test_a_generate_that_was_cancelled_while_it_was_sent_goes_on_for_the_next(
    slow: Emulator, tmp_path: Path
) -> None:
    """It would not be sent again after a 429, but now somebody waits again."""
    slow.fail_next("submit", Fault("rate_limit", retry_after="1"))
    async with opened(slow, tmp_path) as client:
        first = asyncio.create_task(client.generate(SHOT, key="shot-1"))
        await until(lambda: any("being sent" in repr(task) for task in client.unfinished()))
        first.cancel()
        await asyncio.wait([first])
        assert isinstance(await client.generate(SHOT, key="shot-1"), Video)
    assert (slow.ledger.submitted, slow.ledger.charged) == (2, 1)


async def test_a_generate_of_its_own_that_is_cancelled_is_withdrawn(fox: Emulator, tmp_path: Path) -> None:
    """Nothing was sent; the row says so."""
    async with opened(fox, tmp_path, max_active=1) as client:
        await client.submit(OTHER).wait_accepted()
        work = asyncio.create_task(client.generate(SHOT, key="shot-1"))
        await asyncio.sleep(0.1)
        work.cancel()
        await asyncio.wait([work])
        row = await newest(client)
    assert (row.key, row.status, row.owner) == ("shot-1", RecordStatus.WITHDRAWN, None)
    assert fox.ledger.charged == 1


# --- Closing ---


async def test_closing_leaves_each_row_where_it_stands(
    slow: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Planned is withdrawn, what is being sent is waited for, accepted stays, and nobody owns anything."""
    client = opened(slow, tmp_path, max_active=2)
    accepted = client.submit(SHOT, key="accepted")
    await accepted.wait_accepted()
    being_sent = await sending(client, "sending")
    planned = client.submit(SHOT, key="planned")
    await asyncio.sleep(0.1)
    unclaimed = client.submit(SHOT, key="unclaimed")
    await client.close()
    rows = {key: (status, owner) for key, status, owner in sql(tmp_path, "SELECT key, status, owner FROM tasks")}
    assert rows.pop("unclaimed", None) in {None, ("withdrawn", None), ("planned", client._store.owner)}  # type: ignore[union-attr]
    assert rows == {"accepted": ("accepted", None), "sending": ("accepted", None), "planned": ("withdrawn", None)}
    # Of the last key nothing is known: the journal was not asked yet whether it has an earlier attempt.
    assert [(await ended(task)).submitted for task in (planned, unclaimed)] == ["no", "unknown"]
    assert (await ended(being_sent)).task_id == being_sent.id
    assert not list(tmp_path.glob("*.lock"))
    assert warned(caplog, logging.ERROR) == []
    async with opened(slow, tmp_path) as again:
        videos = await asyncio.gather(*(again.generate(SHOT, key=key) for key in ("planned", "unclaimed", "sending")))
    assert len({video.id for video in videos}) == 3
    assert slow.ledger.charged == 4


@pytest.mark.parametrize("steps", range(8))
async def test_closing_at_any_step_of_a_claim_is_quiet(
    fox: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture, steps: int
) -> None:
    """And leaves a row, if any, that the next client can send."""
    client = opened(fox, tmp_path)
    task = client.submit(SHOT, key="shot-1")
    for _ in range(steps):
        await asyncio.sleep(0)
    await client.close()
    await ended(task)
    assert warned(caplog, logging.ERROR) == []
    async with opened(fox, tmp_path) as again:
        await again.submit(SHOT, key="shot-1").wait_accepted()
    assert fox.ledger.charged == 1


async def test_a_submit_that_is_still_being_sent_when_the_close_gives_up_is_uncertain(
    fox: Emulator, tmp_path: Path
) -> None:
    """On the disk as well."""
    fox.fail_next("submit", Fault("hang", after=True))
    client = opened(fox, tmp_path, request_timeout=5.0)
    task = await sending(client)
    closing = asyncio.create_task(client.close())
    await asyncio.sleep(1)
    closing.cancel()
    await asyncio.wait([closing])
    assert isinstance(await ended(task), SubmitUncertain)
    assert sql(tmp_path, "SELECT status, owner FROM tasks") == [("uncertain", None)]


# --- Other clients ---


async def owned_by_another(fox: Emulator, folder: Path, status: str) -> None:
    """Leave the row of a key that was never accepted, and that another client has."""
    async with opened(fox, folder) as client:
        await client.submit(SHOT, key="shot-1").wait_accepted()
    sql(folder, "UPDATE tasks SET status = ?, owner = 'another', task_id = NULL, accepted = NULL", status)


@pytest.mark.parametrize("verb", ["submit", "task"])
@pytest.mark.parametrize("status", ["planned", "sending"])
async def test_a_close_ends_a_wait_for_another_client_at_once(
    fox: Emulator, tmp_path: Path, status: str, verb: str
) -> None:
    """Nothing of ours was sent."""
    await owned_by_another(fox, tmp_path, status)
    async with another(tmp_path):
        client = opened(fox, tmp_path)
        task = client.submit(SHOT, key="shot-1") if verb == "submit" else client.task(key="shot-1")
        waiter = asyncio.create_task(ended(task))
        await asyncio.sleep(3)
        began = now()
        await client.close()
        assert now() == began
        assert isinstance(await waiter, ClientClosed)
    assert sql(tmp_path, "SELECT status, owner FROM tasks") == [(status, "another")]
    assert fox.ledger.submitted == 1


@pytest.mark.parametrize("verb", ["submit", "task"])
@in_a_file
async def test_a_wait_for_another_client_has_a_deadline(fox: Emulator, tmp_path: Path, verb: str) -> None:
    """It may be stopped for ever; what becomes of its task is not known."""
    await owned_by_another(fox, tmp_path, "sending")
    async with another(tmp_path), opened(fox, tmp_path, task_timeout=100.0) as client:
        task = client.submit(SHOT, key="shot-1") if verb == "submit" else client.task(key="shot-1")
        error = await ended(task)
        assert isinstance(error, TaskTimeout)
        assert (error.submitted, error.key) == ("unknown", "shot-1")
        assert 100 <= now() < 101
        await asyncio.sleep(0.1)
        assert len(client._engine.submissions.preparing) == 0
    assert sql(tmp_path, "SELECT status, owner FROM tasks") == [("sending", "another")]


async def test_what_another_client_gives_up_is_sent(fox: Emulator, tmp_path: Path) -> None:
    """Its planned row is taken over when it dies, and only then."""
    await owned_by_another(fox, tmp_path, "planned")
    async with opened(fox, tmp_path) as client:
        async with another(tmp_path):
            task = client.submit(SHOT, key="shot-1")
            await asyncio.sleep(5)
            assert fox.ledger.submitted == 1
        assert isinstance(await task, Video)
        (row,) = await client.history()
    assert (row.attempt, fox.ledger.submitted) == (1, 2)


async def test_what_another_client_was_sending_when_it_died_is_uncertain(fox: Emulator, tmp_path: Path) -> None:
    """For who waited for it, too."""
    await owned_by_another(fox, tmp_path, "sending")
    async with opened(fox, tmp_path) as client:
        async with another(tmp_path):
            task = client.submit(SHOT, key="shot-1")
            await asyncio.sleep(5)
            assert not task.done()
        assert isinstance(await ended(task), SubmitUncertain)
    assert fox.ledger.submitted == 1


@in_a_file
async def test_leave_to_pay_again_is_used_up_by_another_client_that_has_it_too(fox: Emulator, tmp_path: Path) -> None:
    """Its repeat came to nothing certain either; a third attempt was nobody's word."""
    await owned_by_another(fox, tmp_path, "uncertain")
    sql(tmp_path, "UPDATE tasks SET owner = NULL")
    async with opened(fox, tmp_path) as client:
        submissions = client._engine.submissions
        sql(tmp_path, "UPDATE tasks SET status = 'sending', owner = 'another'")
        async with another(tmp_path):
            job = submissions.begin(SHOT, 60.0, key="shot-1", retry_failed=False, risk=True, check=True)
            await asyncio.sleep(3)
        assert isinstance(await ended(VideoTask(job, client._engine)), SubmitUncertain)
    assert fox.ledger.submitted == 1


async def test_a_row_taken_over_before_it_was_sent_is_not_sent_here(fox: Emulator, tmp_path: Path) -> None:
    """The other's task is followed instead, and nothing of the other's is written over."""
    async with another(tmp_path), opened(fox, tmp_path, max_active=1) as client:
        first = client.submit(OTHER, key="shot-0")
        task_id = await first.wait_accepted()
        task = client.submit(SHOT, key="shot-1")
        await asyncio.sleep(0.1)
        sql(tmp_path, "UPDATE tasks SET owner = 'another', status = 'sending' WHERE key = 'shot-1'")
        await first
        await asyncio.sleep(3)
        assert fox.ledger.submitted == 1
        assert not task.done()
        sql(tmp_path, "UPDATE tasks SET owner = NULL, status = 'accepted', task_id = ? WHERE key = 'shot-1'", task_id)
        assert (await task).id == task_id
    assert fox.ledger.submitted == 1


@pytest.mark.parametrize("end", ["abandon", "close", "deadline"])
async def test_a_row_that_was_taken_over_is_not_withdrawn_with_the_handle(
    fox: Emulator, tmp_path: Path, end: str
) -> None:
    """A third client would take it for free, and send it once more."""
    async with another(tmp_path):
        client = opened(fox, tmp_path, max_active=1, task_timeout=50.0)
        first = client.submit(OTHER, key="shot-0")
        await first.wait_accepted()
        task = client.submit(SHOT, key="shot-1")
        await asyncio.sleep(0.1)
        sql(tmp_path, "UPDATE tasks SET owner = 'another', status = 'sending' WHERE key = 'shot-1'")
        await first
        await asyncio.sleep(3)
        if end == "abandon":
            task.abandon()
        elif end == "deadline":
            error = await ended(task)
            assert (type(error), error.submitted) == (TaskTimeout, "unknown")
        await client.close()
        await ended(task)
        assert sql(tmp_path, "SELECT status, owner FROM tasks WHERE key = 'shot-1'") == [("sending", "another")]
    assert fox.ledger.submitted == 1


# --- Where the disk fails ---


REFUSING = (
    "CREATE TRIGGER refuse BEFORE UPDATE ON tasks WHEN NEW.status = '{}' BEGIN SELECT RAISE({}, 'disk full'); END"
)


@pytest.mark.parametrize("how", ["ABORT", "ROLLBACK"])
@in_a_file
async def test_where_it_cannot_be_written_that_a_request_leaves_none_leaves(
    fox: Emulator, tmp_path: Path, how: str
) -> None:
    """A repeat is safe, and works once the disk does."""
    async with opened(fox, tmp_path) as client:
        await client.history()
        sql(tmp_path, REFUSING.format("sending", how))
        error = await ended(client.submit(SHOT, key="shot-1"))
        assert isinstance(error, JournalError)
        assert (error.submitted, error.key, fox.ledger.submitted) == ("no", "shot-1", 0)
        assert client.unfinished() == ()
        sql(tmp_path, "DROP TRIGGER refuse")
        assert isinstance(await client.generate(SHOT, key="shot-1"), Video)
    assert fox.ledger.submitted == 1


@in_a_file
async def test_an_id_that_cannot_be_written_is_shouted_out_kept_and_written_later(
    fox: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its task goes on; what would be sent meanwhile is not; once the disk is well again nothing is missing."""
    async with opened(fox, tmp_path, max_active=1) as client:
        await client.history()
        sql(tmp_path, REFUSING.format("accepted", "ABORT"))
        tasks = [client.submit(SHOT, key=f"shot-{number}") for number in range(3)]
        video = await tasks[0]
        (task_id,) = fox.ledger.tasks
        assert (video.id, tasks[0].id) == (task_id, task_id)
        (line,) = warned(caplog, logging.CRITICAL)
        assert task_id in line
        late = await ended(tasks[1])
        assert (type(late), late.submitted, fox.ledger.submitted) == (JournalError, "no", 1)

        sql(tmp_path, "DROP TRIGGER refuse")
        await asyncio.sleep(120)

        row = (await client.history())[0]
        assert (row.key, row.status, row.task_id) == ("shot-0", RecordStatus.COMPLETED, task_id)
        assert (await client.generate(SHOT, key="shot-0")).id == task_id
        assert isinstance(await client.generate(SHOT, key="shot-1"), Video)
    assert any("can be written again" in line for line in warned(caplog, logging.WARNING))


@in_a_file
async def test_an_id_that_could_never_be_written_is_shouted_out_once_more_at_the_end(
    fox: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And the journal calls the record what it knows of it, so that nothing is bought twice."""
    async with opened(fox, tmp_path) as client:
        await client.history()
        sql(tmp_path, REFUSING.format("accepted", "ABORT"))
        task_id = await client.submit(SHOT, key="shot-0").wait_accepted()
    assert any("only this line knows" in line and task_id in line for line in warned(caplog, logging.CRITICAL))
    sql(tmp_path, "DROP TRIGGER refuse")
    async with opened(fox, tmp_path) as client:
        assert isinstance(await ended(client.submit(SHOT, key="shot-0")), SubmitUncertain)
        assert isinstance(await (await client.adopt("shot-0", task_id)), Video)
    assert fox.ledger.submitted == 1


@in_a_file
async def test_a_429_that_cannot_be_written_down_ends_the_submit(fox: Emulator, tmp_path: Path) -> None:
    """Nothing was made, and it is not sent again."""
    fox.fail_next("submit", Fault("rate_limit", retry_after="1"))
    async with opened(fox, tmp_path) as client:
        await client.history()
        refuse = "BEFORE UPDATE ON tasks WHEN OLD.status = 'sending' BEGIN SELECT RAISE(ABORT, 'full'); END"
        sql(tmp_path, f"CREATE TRIGGER refuse {refuse}")
        error = await ended(client.submit(SHOT, key="shot-1"))
        assert isinstance(error, JournalError)
        assert error.submitted == "no"
        assert fox.ledger.charged == 0


@attrs.define
class Slow:
    """A disk that answers to one kind of write when it is told to."""

    begun: asyncio.Event = attrs.field(factory=asyncio.Event)
    done: asyncio.Event = attrs.field(factory=asyncio.Event)

    @classmethod
    def to(cls, name: str, monkeypatch: pytest.MonkeyPatch) -> "Slow":
        """Slow one method of the journal down."""
        disk, quick = cls(), getattr(SqliteStore, name)

        async def wait(written: asyncio.Future[object]) -> object:
            disk.begun.set()
            await disk.done.wait()
            return await written

        monkeypatch.setattr(
            SqliteStore, name, lambda *given, **named: asyncio.ensure_future(wait(quick(*given, **named)))
        )
        return disk


@in_a_file
async def test_an_id_that_is_still_on_its_way_to_the_disk_survives_a_close_that_is_cut(
    fox: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handle has it, and so has the journal in the end."""
    disk = Slow.to("accepted", monkeypatch)
    client = opened(fox, tmp_path)
    task = client.submit(SHOT, key="shot-1")
    await disk.begun.wait()
    assert task.id is None
    closing = asyncio.create_task(client.close())
    await asyncio.sleep(1)
    closing.cancel()
    await asyncio.wait([closing])
    error = await ended(task)
    assert isinstance(error, ClientClosed)
    assert (error.task_id, error.submitted) == (task.id, "yes")
    assert client.unfinished() == (task,)
    assert sql(tmp_path, "SELECT status, task_id FROM tasks") == [("accepted", task.id)]


@in_a_file
async def test_a_reply_that_was_written_down_after_the_close_gave_up_changes_no_end(
    fox: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was told already."""
    disk = Slow.to("accepted", monkeypatch)
    async with opened(fox, tmp_path) as client:
        task = client.submit(SHOT, key="shot-1")
        await disk.begun.wait()
        client._engine.jobs.end(task._job, ClientClosed("closed", submitted="no"), written=True)
        disk.done.set()
        await asyncio.sleep(1)
        assert isinstance(await ended(task), ClientClosed)
        assert task.id is None


@in_a_file
async def test_what_is_given_up_while_a_429_is_written_down_is_not_sent_again(
    fox: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row says that nothing was made."""
    fox.fail_next("submit", Fault("rate_limit", retry_after="1"))
    disk = Slow.to("move", monkeypatch)
    async with opened(fox, tmp_path) as client:
        task = client.submit(SHOT, key="shot-1")
        await disk.begun.wait()
        task.abandon()
        assert isinstance(await ended(task), TaskAbandoned)
        disk.done.set()
        await asyncio.sleep(10)
        row = await newest(client)
    assert (row.status, row.owner, fox.ledger.submitted) == (RecordStatus.WITHDRAWN, None, 1)
    assert row.sent is not None


@in_a_file
async def test_what_is_given_up_while_its_leaving_is_written_down_does_not_leave(
    fox: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row says that nothing was sent."""
    disk = Slow.to("sending", monkeypatch)
    async with opened(fox, tmp_path) as client:
        task = client.submit(SHOT, key="shot-1")
        await disk.begun.wait()
        task.abandon()
        assert isinstance(await ended(task), TaskAbandoned)
        disk.done.set()
        await asyncio.sleep(1)
        row = await newest(client)
    assert (row.status, row.owner, fox.ledger.submitted) == (RecordStatus.WITHDRAWN, None, 0)


@pytest.mark.parametrize("verb", ["submit", "task"])
@in_a_file
async def test_a_row_whose_end_was_not_written_down_is_no_endless_wait(
    fox: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture, verb: str
) -> None:
    """Who asks for its key is told, and the next client makes of it what it can."""
    fox.fail_next("submit", Fault("error", status=402))
    async with opened(fox, tmp_path, task_timeout=None) as client:
        await client.history()
        sql(tmp_path, REFUSING.format("refused' OR NEW.status = 'withdrawn", "ABORT"))
        await ended(client.submit(SHOT, key="shot-1"))
        await client.history()
        assert any("the journal cannot be written" in line for line in warned(caplog, logging.CRITICAL))
        asked = client.submit(SHOT, key="shot-1") if verb == "submit" else client.task(key="shot-1")
        error = await ended(asked)
        assert isinstance(error, JournalError)
        assert (error.submitted, error.key) == ("unknown", "shot-1")
        assert now() < 2
    assert fox.ledger.submitted == 1


async def test_a_journal_that_cannot_be_opened_lets_nothing_be_sent(fox: Emulator, tmp_path: Path) -> None:
    """The client itself opens and closes all the same."""
    async with Client(fox.api_key, fox.base_url, journal=tmp_path / "nowhere" / "videos.db") as client:
        for task in (client.submit(SHOT), client.submit(SHOT, key="shot-1"), client.task(key="shot-1")):
            error = await ended(task)
            assert isinstance(error, JournalError)
            # Of a key that the journal may know something is known only when it can be read.
            assert error.submitted == ("no" if error.key is None else "unknown")
        for verb in (client.history(), client.resume(), client.adopt("a", "task-1"), client.resubmit("a")):
            with pytest.raises(JournalError):
                await verb
        assert client.unfinished() == ()
    assert fox.ledger.submitted == 0


# --- On the wire, and on the disk ---


async def test_a_submit_goes_out_under_one_idempotency_key(fox: Emulator, tmp_path: Path) -> None:
    """Through a 429, a close, and a restart."""
    fox.fail_next("submit", Fault("rate_limit", retry_after="1000"))
    async with opened(fox, tmp_path) as client:
        client.submit(SHOT, key="shot-1")
        await until(lambda: fox.ledger.submitted)
        await asyncio.sleep(1)
        (row,) = await client.history()
        assert row.status is RecordStatus.PLANNED
        assert row.sent is not None
        await asyncio.sleep(1000)
    (record,) = fox.ledger.tasks.values()
    assert record.headers["Idempotency-Key"] == row.token
    assert 16 <= len(row.token) <= 96


async def test_a_dead_clients_planned_submit_goes_out_under_its_own_idempotency_key(
    fox: Emulator, tmp_path: Path
) -> None:
    """It may have been sent before a 429."""
    await owned_by_another(fox, tmp_path, "planned")
    (token,) = (record.headers["Idempotency-Key"] for record in fox.ledger.tasks.values())
    async with opened(fox, tmp_path) as client:
        await client.submit(SHOT, key="shot-1").wait_accepted()
    assert [record.headers["Idempotency-Key"] for record in fox.ledger.tasks.values()] == [token, token]


async def test_a_body_on_the_wire_is_the_request_of_the_row(fox: Emulator, keeper: Client) -> None:
    """Its fields in the order of their names."""
    shot = attrs.evolve(SHOT, duration=4, aspect_ratio="1:1")
    await keeper.submit(shot, key="shot-1").wait_accepted()
    (record,) = fox.ledger.tasks.values()
    assert list(record.body) == ["aspect_ratio", "duration", "model", "prompt"]
    assert json.loads((await newest(keeper)).request) == record.body


@pytest.mark.parametrize("check", [True, False])
async def test_a_text_that_utf_8_cannot_spell_is_refused_and_takes_no_key(keeper: Client, *, check: bool) -> None:
    """A strict server would answer with an error, after which nobody knows what was made."""
    with pytest.raises(InvalidRequest, match="half of a surrogate pair") as refused:
        keeper.submit(Request("veo-3", prompt="half a smile \ud83d"), key="shot-1", check=check)
    assert refused.value.submitted == "no"
    assert await keeper.history() == ()


async def test_an_error_that_utf_8_cannot_spell_is_remembered(fox: Emulator, tmp_path: Path) -> None:
    """The service may say anything."""
    async with opened(fox, tmp_path) as client:
        task = client.submit(SHOT, key="shot-1")
        fox.fail(await task.wait_accepted(), "odd", "half a smile \ud83d")
        await ended(task)
        row = await newest(client)
    assert (row.status, row.error) == (RecordStatus.FAILED, "failed: odd: half a smile \\ud83d")


@in_a_file
async def test_the_api_key_stands_nowhere_in_the_journal(tmp_path: Path) -> None:
    """Neither in the file nor in its log, whatever became of the submits."""
    secret = "sk-9f8e7d6c5b4a39281706"  # noqa: S105 - the emulator's
    async with Emulator(api_key=secret, seconds=10.0, render=False) as fox, opened(fox, tmp_path) as client:
        await client.generate(LOCAL, key="done")
        await uncertain(client, fox)
        fox.fail_next("submit", Fault("error", status=402))
        await ended(client.submit(SHOT, key="refused"))
        await client.history()
        written = b"".join(found.read_bytes() for found in tmp_path.iterdir())
    written += b"".join(found.read_bytes() for found in tmp_path.iterdir())
    assert b"refused" in written
    assert secret.encode() not in written


@in_a_file
async def test_uploads_are_remembered_for_a_day_and_a_host(fox: Emulator, tmp_path: Path) -> None:
    """The service drops the oldest of them when it is full."""
    async with SqliteStore(tmp_path / "videos.db") as journal:
        recorder = JournalRecorder(journal, fox.base_url)
        recorder.uploaded("new", "https://files/new")
        recorder.uploaded("old", "https://files/old")
        await journal.records()
        sql(tmp_path, "UPDATE uploads SET uploaded = uploaded - ? WHERE sha256 = 'old'", DAY)
        assert [await recorder.upload(content) for content in ("new", "old")] == ["https://files/new", None]
        assert await JournalRecorder(journal, "http://elsewhere").upload("new") is None
        recorder.forget_uploads(["https://files/new"])
        assert await recorder.upload("new") is None


async def test_an_uncertain_key_is_unfinished_once_however_often_it_is_asked_for(keeper: Client, fox: Emulator) -> None:
    """And no more once its fate is decided."""
    await uncertain(keeper, fox)
    for _ in range(3):
        with pytest.raises(SubmitUncertain):
            await keeper.generate(SHOT, key="shot-1")
    assert [task.key for task in keeper.unfinished()] == ["shot-1"]
    await (await keeper.resubmit("shot-1"))
    assert keeper.unfinished() == ()


async def test_an_adopted_key_is_unfinished_no_more(keeper: Client, fox: Emulator) -> None:
    """Others stay."""
    await uncertain(keeper, fox)
    await uncertain(keeper, fox, "shot-2")
    await (await keeper.adopt("shot-1", next(iter(fox.ledger.tasks))))
    assert [task.key for task in keeper.unfinished()] == ["shot-2"]


async def test_states_videos_records_and_errors_are_the_same_json_everywhere(fox: Emulator, tmp_path: Path) -> None:
    """A service shows them as they are, and the command line prints no others."""
    fox.fail_next("submit", Fault("error", status=400), times=1)
    async with opened(fox, tmp_path) as client:
        error = await ended(client.submit(SHOT))
        video = await client.generate(SHOT, key="shot-1")
        state = await client.look(key="shot-1")
        (*_, record) = await client.history()
    told = [each.as_dict() for each in (error, video, state, record) if not isinstance(each, BaseException)]
    assert isinstance(error, FoxError)
    for values in (error.as_dict(), *told):
        assert values["schema"] == 1
        assert json.loads(json.dumps(values)) == values
    assert {values.get("id", values.get("task_id")) for values in told} == {video.id}
    assert {values["status"] for values in told} == {"completed"}
    assert {values["credits_reserved"] for values in told} == {video.credits_reserved}
    assert told[0]["created"] == told[1]["created"]
