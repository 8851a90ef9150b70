"""What goes on where something below breaks: the journal's disk for a while, or the dispatcher for good."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest

from foxvideo import Client, Every, FoxError, GrokTextToVideo, JournalError, RecordStatus
from foxvideo.emulator import Emulator

SHOT = GrokTextToVideo(prompt="A fox trots through snow")
KITE = GrokTextToVideo(prompt="A kite")


def opened(fox: Emulator, path: Path) -> Client:
    """Return a client that remembers."""
    return Client(fox.api_key, fox.base_url, schedule=Every(1), journal=path)


def run_sql(path: Path, statement: str) -> None:
    """Do something to the journal from outside."""
    with contextlib.closing(sqlite3.connect(path)) as journal, journal:
        journal.execute(statement)


def refuse(path: Path, status: str) -> None:
    """Let the disk take no record of this status any more."""
    run_sql(
        path,
        f"CREATE TRIGGER refuse_{status} BEFORE UPDATE OF status ON tasks WHEN NEW.status = '{status}' "
        "BEGIN SELECT RAISE(ROLLBACK, 'disk full'); END",
    )


def heal(path: Path, status: str) -> None:
    """Let it take them again."""
    run_sql(path, f"DROP TRIGGER refuse_{status}")


async def test_an_id_that_the_disk_refused_is_written_at_the_next_chance(fox: Emulator, tmp_path: Path) -> None:
    """Meanwhile nothing new is sent, and what comes later waits behind it."""
    path = tmp_path / "videos.db"
    async with opened(fox, path) as client:
        await client.history()
        refuse(path, "accepted")
        task = client.submit(SHOT, key="shot-1")
        video = await task
        with pytest.raises(JournalError) as refused:
            await client.generate(KITE, key="shot-2")
        assert (refused.value.submitted, fox.ledger.charged) == ("no", 1)
        heal(path, "accepted")
        await asyncio.sleep(60)

        assert [(record.status, record.task_id) for record in await client.history(key="shot-1")] == [
            (RecordStatus.COMPLETED, video.id)
        ]
        await client.generate(KITE, key="shot-3")


async def test_two_ids_that_the_disk_refused_are_both_written(fox: Emulator, tmp_path: Path) -> None:
    """Those that were on their way when it broke."""
    path = tmp_path / "videos.db"
    async with opened(fox, path) as client:
        await client.history()
        refuse(path, "accepted")
        ids = await asyncio.gather(
            client.submit(SHOT, key="shot-1").wait_accepted(), client.submit(KITE, key="shot-2").wait_accepted()
        )
        heal(path, "accepted")

    async with opened(fox, path) as client:
        assert {record.task_id for record in await client.history()} == set(ids)


async def test_an_end_that_the_disk_refused_is_written_later(fox: Emulator, tmp_path: Path) -> None:
    """Whoever waits for the video hears of it at once."""
    path = tmp_path / "videos.db"
    async with opened(fox, path) as client:
        await client.history()
        refuse(path, "completed")
        await client.generate(SHOT, key="shot-1")
        await asyncio.sleep(1)
        heal(path, "completed")
        await asyncio.sleep(60)

        assert [record.status for record in await client.history()] == [RecordStatus.COMPLETED]


async def test_what_could_never_be_written_is_told_at_the_end(
    fox: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log is then the one place that knows the id."""
    path = tmp_path / "videos.db"
    async with opened(fox, path) as client:
        await client.history()
        refuse(path, "accepted")
        task_id = await client.submit(SHOT, key="shot-1").wait_accepted()

    assert any("only this line knows" in line and task_id in line for line in caplog.messages)


async def test_whoever_waits_hears_that_the_dispatcher_broke(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing would be sent any more, so nobody is left waiting; and no word denies what was paid for."""
    accepted = client.submit(SHOT)
    task_id = await accepted.wait_accepted()

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(client._engine.dispatcher, "_run", broken)
    unsent = client.submit(KITE)
    for task, submitted, id_ in ((accepted, "yes", task_id), (unsent, "no", None)):
        with pytest.raises(FoxError, match="the dispatcher broke") as told:
            await task
        assert (told.value.submitted, told.value.task_id) == (submitted, id_)
