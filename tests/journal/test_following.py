"""Who follows what was accepted: one client at a time, and another one once that is gone; in every store."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from databases import execute, opened
from journals import CLAIM, ORIGIN, bring, sql

from foxvideo import Client, Every, GrokTextToVideo, RecordStatus, TaskTimeout
from foxvideo._engine.takeup import pause_after
from foxvideo._journal import Place, Store
from foxvideo._journal.record import DEAD_SECONDS
from foxvideo.emulator import Emulator
from foxvideo.media import SavedFile

KEY = "sk-emulator"
ALL: dict[str, Any] = {"most": None, "unsaved_since": None, "mine": True}


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """Run each test that uses a journal with every store."""
    return str(request.param)


@pytest.fixture
async def fox() -> AsyncIterator[Emulator]:
    """Run an emulator."""
    async with Emulator(render=False) as running:
        yield running


async def test_what_was_accepted_is_followed_by_the_one_that_had_it_accepted(store: Store, path: Place) -> None:
    """It is given back to that one alone, as long as it lives."""
    record = await bring(store, RecordStatus.ACCEPTED)
    assert record.follower == store.owner
    async with opened(path) as other:
        assert await other.follow(ORIGIN, **ALL) == ()
        assert await store.follow(ORIGIN, **ALL) == (record,)
        assert await store.follow(ORIGIN, **ALL | {"mine": False}) == ()


async def test_two_who_ask_at_once_share_what_nobody_follows(store: Store, path: Place) -> None:
    """Each record has one follower, and nothing is left out; the oldest come first."""
    async with opened(path) as gone:
        for number in range(6):
            await bring(gone, RecordStatus.ACCEPTED, f"shot-{number}")
        await bring(gone, RecordStatus.FAILED, "failed")
    async with opened(path) as other:
        one, two = await asyncio.gather(
            store.follow(ORIGIN, **ALL | {"most": 2}), other.follow(ORIGIN, **ALL | {"most": 2})
        )
        rest = await other.follow(ORIGIN, **ALL | {"mine": False})
        assert {record.follower for record in one} == {store.owner}
        assert {record.follower for record in (*two, *rest)} == {other.owner}
        assert sorted(record.key for record in (*one, *two, *rest)) == [f"shot-{number}" for number in range(6)]
        assert await other.follow("https://elsewhere", **ALL) == ()


@pytest.mark.parametrize(
    ("since", "saved", "taken"), [(0.0, 0, True), (0.0, 1, False), (None, 0, False), (9e9, 0, False)]
)
async def test_what_was_completed_lately_and_not_saved_may_be_taken_up_too(
    since: float | None, saved: int, taken: bool, store: Store, path: Place
) -> None:
    """By a client that saves; its links live for a day."""
    async with opened(path) as gone:
        record = await bring(gone, RecordStatus.COMPLETED)
        for place in range(saved):
            await gone.saved(record.task_id or "", place, SavedFile(Path("a.mp4"), 5, "0"))
    found = await store.follow(ORIGIN, **ALL | {"unsaved_since": since})
    assert [one.key for one in found] == ([CLAIM.key] if taken else [])


async def test_another_client_carries_on_by_itself(path: Place, fox: Emulator, tmp_path: Path) -> None:
    """What a client that is gone had accepted is followed and saved, without a word from anybody."""
    options: dict[str, Any] = {"journal": path, "schedule": Every(1.0)}
    async with Client(KEY, fox.base_url, **options) as gone:
        ids = [await gone.submit(GrokTextToVideo(prompt=f"A kite {n}")).wait_accepted() for n in range(5)]
    async with Client(KEY, fox.base_url, save_to=tmp_path / "clips", **options) as other, other.working(most=3):
        await asyncio.sleep(300)
        records = await other.history()
        assert {record.status for record in records} == {RecordStatus.COMPLETED}
    assert sorted(file.stem for file in (tmp_path / "clips").glob("*.mp4")) == sorted(ids)
    assert fox.ledger.charged == 5


async def test_what_a_living_client_follows_is_left_to_it(path: Place, fox: Emulator) -> None:
    """Nobody polls twice; when it goes, the other takes over."""
    options: dict[str, Any] = {"journal": path, "schedule": Every(1.0)}
    shot = GrokTextToVideo(prompt="A kite")
    async with Client(KEY, fox.base_url, **options) as other:
        async with Client(KEY, fox.base_url, **options) as one:
            await one.submit(shot, key="shot-1").wait_accepted()
            async with other.working():
                await asyncio.sleep(3)
                assert other.stats().running == 0
            assert await other.resume() == ()
        async with other.working():
            await asyncio.sleep(3)
            assert other.stats().running == 1
        (task,) = await other.resume()
        await task
    assert fox.ledger.charged == 1


async def test_a_database_that_is_away_for_a_while_ends_no_working(
    database: str, fox: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks again later."""
    monkeypatch.setattr("foxvideo._journal.postgres._PATIENCE", 0.05)
    options: dict[str, Any] = {"journal": database, "schedule": Every(1.0)}
    async with Client(KEY, fox.base_url, **options) as one:
        await one.submit(GrokTextToVideo(prompt="A kite"), key="shot-1").wait_accepted()
    async with Client(KEY, fox.base_url, **options) as other, other.working():
        execute(database, "ALTER SCHEMA foxvideo RENAME TO elsewhere")
        await asyncio.sleep(5)
        assert other.stats().running == 0
        execute(database, "ALTER SCHEMA elsewhere RENAME TO foxvideo")
        await asyncio.sleep(5)
        assert other.stats().running == 1


async def test_what_is_so_old_that_nothing_is_left_is_not_passed_round(store: Store, path: Place) -> None:
    """Whoever asks for it by himself has it all the same."""
    async with opened(path) as gone:
        await bring(gone, RecordStatus.ACCEPTED)
    sql(path, "UPDATE tasks SET accepted = accepted - ?", DEAD_SECONDS + 60)
    assert await store.follow(ORIGIN, **ALL | {"mine": False}) == ()
    assert len(await store.follow(ORIGIN, **ALL)) == 1


async def test_a_client_that_lets_go_of_a_task_leaves_it_to_others(store: Store, path: Place) -> None:
    """Its own alone."""
    await bring(store, RecordStatus.ACCEPTED)
    async with opened(path) as other:
        await other.unfollow(f"task-{CLAIM.key}")
        assert await other.follow(ORIGIN, **ALL) == ()
        await store.unfollow(f"task-{CLAIM.key}")
        assert [record.key for record in await other.follow(ORIGIN, **ALL)] == [CLAIM.key]


async def test_a_task_whose_wait_ended_is_followed_by_another_client(path: Place, fox: Emulator) -> None:
    """The wait was one client's; the task goes on, and its end is worth writing down."""
    options: dict[str, Any] = {"journal": path, "schedule": Every(1.0)}
    async with Client(KEY, fox.base_url, **options) as one, Client(KEY, fox.base_url, **options) as other:
        task = one.submit(GrokTextToVideo(prompt="A kite"), key="shot-1", timeout=2.0)
        with pytest.raises(TaskTimeout):
            await task
        async with other.working():
            await asyncio.sleep(300)
        (record,) = await other.history()
        assert record.status is RecordStatus.COMPLETED
    assert fox.ledger.charged == 1


def test_a_full_journal_is_looked_through_less_often() -> None:
    """Each client spends little of its time on it, and never waits for long."""
    assert pause_after(0.0005) == 1.0
    assert pause_after(0.02) == 4.0
    assert pause_after(3.0) == 10.0


async def test_followers_of_every_kind_are_told_apart(store: Store, path: Place) -> None:
    """Those who live, those who are gone, and nobody; however many there are, in whatever order."""
    async with opened(path) as other:
        for number in range(4):
            await bring(other, RecordStatus.ACCEPTED, f"its-{number}")
            async with opened(path) as gone:
                await bring(gone, RecordStatus.ACCEPTED, f"gone-{number}")
            await bring(store, RecordStatus.ACCEPTED, f"mine-{number}")
        await bring(other, RecordStatus.UNCERTAIN, "adopted")
        await other.adopt("adopted", "task-adopted", ORIGIN)
        found = await store.follow(ORIGIN, **ALL | {"mine": False})
        assert [record.key for record in found] == [*(f"gone-{n}" for n in range(4)), "adopted"]
        found = await store.follow(ORIGIN, **ALL)
        assert len(found) == 9


@pytest.mark.parametrize("most", [0, -1, 1.5, "many"])
async def test_how_many_is_a_number_from_1(most: Any) -> None:  # noqa: ANN401 - anything
    """It is refused at once, and so is a client without a journal."""
    client = Client(KEY)
    with pytest.raises((ValueError, TypeError)):
        async with client.working(most=most):
            pass
    with pytest.raises(ValueError, match="journal"):
        async with client.working():
            pass
