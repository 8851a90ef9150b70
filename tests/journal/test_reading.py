"""What the store tells of its records, what the death of an owner makes of them, and what it forgets."""

import os
import time
from pathlib import Path

import pytest
from databases import old, opened
from journals import CLAIM, ORIGIN, bring, claimed, claiming, left_by_the_dead, newest, sql

from foxvideo import RecordStatus, TaskRecord
from foxvideo._journal import Mine, Place, SqliteStore, Store, owners
from foxvideo.media import SavedFile

HOUR = 3600.0


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """Run each test that uses a journal with every store."""
    return str(request.param)


def video(path: Path | str) -> SavedFile:
    """Return a file that was saved."""
    return SavedFile(Path(path), 5, "0")


async def saved(store: Store, task_id: str, places: int = 1) -> None:
    """Write down that some results of a task were saved."""
    for place in range(places):
        await store.saved(task_id, place, video(f"{place}.mp4"))


def aged(path: Place, seconds: float, key: str | None = None) -> None:
    """Let the records of a key, or all, be older."""
    times = ("planned", "sent", "accepted", "ended")
    changes = ", ".join(f"{name} = {name} - {seconds}" for name in times)
    sql(path, f"UPDATE tasks SET {changes} WHERE ? IS NULL OR key = ?", key, key)  # noqa: S608 - ours


# --- Owners ---


async def test_two_clients_of_one_process_are_two_owners(store: Store, path: Place) -> None:
    """A record that one of them sends is not the other's."""
    record, _ = await claimed(store)
    async with opened(path) as other:
        assert await claimed(other) == (record, False)
        assert not await other.sending(record.number)
        assert await store.sending(record.number)
        assert (await newest(other)).status is RecordStatus.SENDING
    assert (await newest(store)).owner == store.owner


async def test_what_a_dead_owner_planned_is_free(store: Store, path: Place) -> None:
    """It was never sent, so its token stays, too."""
    record, _ = await claimed(store)
    lock = left_by_the_dead(path, RecordStatus.PLANNED)
    assert await claimed(store) == (record, True)
    assert lock is None or not lock.exists()


@pytest.mark.parametrize("verb", ["claim", "look", "records", "uncertain", "adopt"])
async def test_what_a_dead_owner_was_sending_is_uncertain(store: Store, path: Place, verb: str) -> None:
    """Whoever looks first finds out, of all its records at once."""
    for key in ("shot-1", "shot-2"):
        await store.claim(claiming(key=key))
        left_by_the_dead(path, RecordStatus.SENDING, key)
    match verb:
        case "claim":
            assert isinstance(await store.claim(CLAIM), TaskRecord)
        case "look":
            await store.look("shot-1")
        case "records":
            await store.records(limit=1)
        case "uncertain":
            await store.uncertain("shot-1", ORIGIN)
        case _:
            await store.adopt("shot-1", "task-1", ORIGIN)
    rows = sql(path, "SELECT status, owner, error FROM tasks ORDER BY number")
    assert rows[1] == ("uncertain", None, "submit: the client that sent it died before the reply")
    assert verb == "adopt" or rows[0] == rows[1]


async def test_an_owner_without_a_lock_file_is_dead(store: Store, path: Place) -> None:
    """Another has looked at it before."""
    await store.claim(CLAIM)
    sql(path, "UPDATE tasks SET owner = 'gone'")
    old(path)
    assert isinstance(await store.claim(CLAIM), Mine)


async def test_opening_removes_the_locks_of_the_dead_alone(ram: Path) -> None:
    """Also where the name of the file has letters that a pattern reads otherwise."""
    path, dead = ram / "v[1]*?.db", "d" * 32
    async with SqliteStore(path) as living:
        await living.claim(CLAIM)
        owners.path_of(path, dead).touch()
        others = [owners.path_of(ram / "v1xx.db", dead), path.with_name(f"{path.name}.mine.lock")]
        for other in others:
            other.touch()
        async with SqliteStore(path) as second:
            await second.look("shot-1")
            assert not owners.path_of(path, dead).exists()
            assert owners.lives(owners.path_of(path, living.owner))
        assert all(other.exists() for other in others)


# --- Reading ---


async def test_records_are_chosen_by_status_key_and_number(store: Store) -> None:
    """In the order of planning; a limit keeps the newest."""
    for status in RecordStatus:
        await bring(store, status, status)
    await bring(store, RecordStatus.ACCEPTED, "failed", retry_failed=True)
    everything = await store.records()
    assert [record.number for record in everything] == list(range(1, 11))
    assert await store.records(limit=3) == everything[-3:]
    assert await store.records(limit=0) == ()
    assert [record.key for record in await store.records(running=True)] == ["accepted", "failed"]
    assert [record.key for record in await store.records(running=True, limit=1)] == ["failed"]
    assert [record.attempt for record in await store.records(key="failed")] == [1, 2]
    assert [record.attempt for record in await store.records(key="failed", status=RecordStatus.FAILED)] == [1]
    for status in RecordStatus:
        assert {record.status for record in await store.records(status=status)} == {status}


async def test_a_record_tells_where_its_first_result_was_saved_last(store: Store) -> None:
    """By an absolute path, and how many were."""
    await bring(store, RecordStatus.COMPLETED, task_id="task-1", links=2)
    assert (await newest(store)).file is None
    for place, name in ((1, "second.mp4"), (0, "old.mp4"), (0, "first.mp4")):
        await store.saved("task-1", place, video(name))
    record = await newest(store)
    assert (record.file, record.saved, record.unsaved) == (str(Path("first.mp4").absolute()), 2, False)
    found = await store.files("task-1")
    assert {place: file.path.name for place, file in found.items()} == {0: "first.mp4", 1: "second.mp4"}


async def test_a_file_whose_name_is_no_text_is_found_again(store: Store) -> None:
    """Not every system keeps names in Unicode."""
    await bring(store, RecordStatus.COMPLETED, task_id="task-1")
    path = Path(os.fsdecode(b"/videos/caf\xe9.mp4"))
    await store.saved("task-1", 0, video(path))
    assert (await store.files("task-1"))[0].path == path
    assert (await newest(store)).file == str(path)


async def test_a_journal_that_was_made_anew_is_another_one(store: Store, path: Place, elsewhere: Place) -> None:
    """Its name lasts as long as its file."""
    name = await store.identity()
    async with opened(path) as same, opened(elsewhere) as other:
        assert await same.identity() == name
        assert await other.identity() != name


async def test_an_upload_is_remembered_for_its_host_and_its_time(store: Store, path: Place) -> None:
    """Until it is forgotten, or the service has dropped it."""
    await store.uploaded("hash", ORIGIN, "https://files/1")
    assert await store.upload("hash", ORIGIN, 0.0) == "https://files/1"
    assert await store.upload("hash", "http://elsewhere", 0.0) is None
    assert await store.upload("hash", ORIGIN, time.time() + 60) is None
    await store.forget_uploads(["https://files/1", "https://files/2"])
    assert await store.upload("hash", ORIGIN, 0.0) is None
    await store.uploaded("old", ORIGIN, "https://files/old")
    sql(path, "UPDATE uploads SET uploaded = uploaded - ?", 73 * HOUR)
    await store.uploaded("new", ORIGIN, "https://files/new")
    assert [await store.upload(name, ORIGIN, 0.0) for name in ("old", "new")] == [None, "https://files/new"]


async def test_the_newest_durations_are_handed_back_in_their_order(store: Store, path: Place) -> None:
    """The schedule learns from them; a journal does not grow with them for ever."""
    for number in range(1010):
        _ = store.learn("grok", str(number))
    assert await store.learned(3) == ("1007", "1008", "1009")
    assert sql(path, "SELECT count(*), min(CAST(record AS integer)) FROM durations") == [(1000, 10)]


# --- Forgetting ---


async def left(store: Store) -> set[str]:
    """Return the keys that are not forgotten."""
    return {record.key for record in await store.records()}


async def test_what_can_neither_be_fetched_nor_decided_is_forgotten(store: Store, path: Place) -> None:
    """A month later, with its files and the uploads of that time; what may be paid for or is under way stays."""
    for status in RecordStatus:
        record = await bring(store, status, status)
        await saved(store, record.task_id or "task-elsewhere")
    await store.uploaded("hash", ORIGIN, "https://files/1")
    await store.learn("grok", "1")
    aged(path, 30 * 24 * HOUR)
    await bring(store, RecordStatus.WITHDRAWN, "new")
    assert await store.forget(time.time() - HOUR) == 6
    assert await left(store) == {"planned", "sending", "uncertain", "new"}
    assert sql(path, "SELECT task_id FROM files") == [("task-elsewhere",)]
    assert await store.upload("hash", ORIGIN, 0.0) is not None
    assert await store.learned(9) == ("1",)
    assert await store.forget(time.time() + HOUR) == 1
    assert await store.upload("hash", ORIGIN, 0.0) is None


@pytest.mark.parametrize(
    ("status", "links", "videos", "hours", "forgotten"),
    [
        (RecordStatus.COMPLETED, 2, 2, 13, True),
        (RecordStatus.COMPLETED, 2, 1, 13, False),
        (RecordStatus.COMPLETED, 2, 0, 47, False),
        (RecordStatus.COMPLETED, 2, 0, 49, True),
        (RecordStatus.COMPLETED, 0, 0, 13, True),
        (RecordStatus.COMPLETED, None, 1, 47, False),
        (RecordStatus.COMPLETED, None, 0, 49, True),
        (RecordStatus.FAILED, None, 0, 13, True),
        (RecordStatus.ACCEPTED, None, 0, 47, False),
        (RecordStatus.ACCEPTED, None, 0, 49, True),
        (RecordStatus.COMPLETED, 1, 1, 11, False),
    ],
)
async def test_what_can_still_be_fetched_is_not_forgotten(  # noqa: PLR0917 - a table
    store: Store,
    path: Place,
    status: RecordStatus,
    links: int | None,
    videos: int,
    hours: float,
    *,
    forgotten: bool,
) -> None:
    """A link is dead for sure 48 hours after the end, whatever shorter time is asked for: here 12 hours."""
    await bring(store, status, links=links)
    await saved(store, "task-shot-1", videos)
    aged(path, hours * HOUR)
    assert await store.forget(time.time() - 12 * HOUR) == forgotten
    assert await left(store) == (set() if forgotten else {"shot-1"})
    assert sql(path, "SELECT count(*) FROM files") == [(0 if forgotten else videos,)]


@pytest.mark.parametrize("made", [RecordStatus.COMPLETED, RecordStatus.FAILED, RecordStatus.CANCELLED])
async def test_an_uncertain_attempt_that_a_later_one_decided_goes_with_it(
    store: Store, path: Place, made: RecordStatus
) -> None:
    """Or it would stand for the key once more."""
    await bring(store, RecordStatus.UNCERTAIN)
    await bring(store, made, risk=True)
    aged(path, 100 * HOUR)
    assert await store.forget(time.time()) == 2
    assert await store.records() == ()


@pytest.mark.parametrize("nothing", [RecordStatus.REFUSED, RecordStatus.WITHDRAWN, RecordStatus.UNCERTAIN])
async def test_an_undecided_attempt_keeps_all_of_its_key(store: Store, path: Place, nothing: RecordStatus) -> None:
    """The person who decides sees what was done about it."""
    await bring(store, RecordStatus.FAILED)
    await bring(store, RecordStatus.UNCERTAIN, retry_failed=True)
    await bring(store, nothing, risk=True)
    aged(path, 1000 * HOUR)
    assert await store.forget(time.time()) == 0
    assert len(await store.records()) == 3


async def test_a_young_attempt_keeps_all_of_its_key(store: Store, path: Place) -> None:
    """They go together, or not at all."""
    await bring(store, RecordStatus.FAILED)
    aged(path, 1000 * HOUR)
    await bring(store, RecordStatus.FAILED, retry_failed=True)
    assert await store.forget(time.time() - HOUR) == 0
    assert await store.forget(time.time() + HOUR) == 2


async def test_what_a_dead_client_was_sending_is_not_forgotten(store: Store, path: Place) -> None:
    """It is uncertain, whenever somebody looks."""
    await bring(store, RecordStatus.PLANNED)
    await bring(store, RecordStatus.PLANNED, "shot-2")
    left_by_the_dead(path, RecordStatus.SENDING)
    left_by_the_dead(path, RecordStatus.PLANNED, "shot-2")
    aged(path, 1000 * HOUR)
    assert await store.forget(time.time()) == 1
    assert (await newest(store)).status is RecordStatus.UNCERTAIN


async def test_the_number_of_a_forgotten_record_is_not_given_again(store: Store, path: Place) -> None:
    """A late reply would be written into another record."""
    first = await bring(store, RecordStatus.WITHDRAWN)
    assert await store.forget(time.time() + HOUR) == 1
    assert (await bring(store, RecordStatus.PLANNED)).number > first.number


async def test_files_of_tasks_that_the_journal_never_knew_go_with_their_time(store: Store, path: Place) -> None:
    """A task may be followed by its id alone."""
    await saved(store, "task-elsewhere")
    assert await store.forget(time.time() - HOUR) == 0
    assert len(await store.files("task-elsewhere")) == 1
    assert await store.forget(time.time() + HOUR) == 0
    assert await store.files("task-elsewhere") == {}
