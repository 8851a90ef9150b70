"""The file of a journal: what may be opened, and what is left when it is closed."""

import asyncio
import contextlib
import os
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from journals import CLAIM, claimed, claiming, connection, refused, sql

from foxvideo import JournalError
from foxvideo._journal import Mine, SqliteStore, owners, place, schema
from foxvideo._journal.writer import Writer


def files(path: Path) -> dict[str, bytes]:
    """Return all that lies beside a file, and the file."""
    return {found.name: found.read_bytes() for found in path.parent.iterdir()}


# --- Opening ---


async def test_nothing_is_opened_before_the_first_use(path: Path) -> None:
    """A client that submits nothing leaves nothing behind, and needs no thread."""
    threads = threading.active_count()
    async with SqliteStore(path) as store:
        assert len(store.owner) == 32
        assert store.commits == 0
    assert not path.exists()
    assert threading.active_count() <= threads  # one of another test may have ended meanwhile


async def test_a_sqlite_that_is_too_old_says_so_at_once(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not with a syntax error of some statement later; no file is made."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 30, 1))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.30.1")
    with pytest.raises(JournalError, match=r"SQLite 3\.30\.1, and the journal needs 3\.31\.0"):
        await store.claim(CLAIM)


async def test_a_new_file_is_for_its_owner_alone(store: SqliteStore, path: Path) -> None:
    """And so are those that SQLite puts beside it, and the lock."""
    umask = os.umask(0)
    try:
        await store.claim(CLAIM)
    finally:
        os.umask(umask)
    modes = {found.name: stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}
    assert set(modes) == {"videos.db", "videos.db-wal", "videos.db-shm", owners.path_of(path, store.owner).name}


async def test_a_new_file_can_be_made_on_a_system_that_must_open_it_for_that(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its name only when it is closed again, and one name only."""

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "mknod", refuse)
    await store.claim(CLAIM)
    assert (path.stat().st_nlink, stat.S_IMODE(path.stat().st_mode)) == (1, 0o600)
    assert {found.name for found in path.parent.iterdir() if not found.name.startswith("videos.db")} == set()


async def test_a_file_that_has_just_been_made_may_have_two_names_for_a_moment(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever makes it elsewhere is about to remove the first."""
    path.touch()
    first = path.with_name("first")
    first.hardlink_to(path)
    monkeypatch.setattr(time, "sleep", lambda _: first.unlink(missing_ok=True))
    assert isinstance(await store.claim(CLAIM), Mine)


async def test_every_commit_is_synced(store: SqliteStore) -> None:
    """An id that was seen survives the loss of power."""
    await store.claim(CLAIM)
    (level,) = connection(store).execute("PRAGMA synchronous").fetchone()
    (mode,) = connection(store).execute("PRAGMA journal_mode").fetchone()
    assert (level, mode) == (2, "wal")


async def test_what_was_written_is_there_when_it_is_opened_again(store: SqliteStore, path: Path) -> None:
    """Under the name of another owner."""
    record, _ = await claimed(store)
    await store.close()
    async with SqliteStore(path) as again:
        found = await again.look("shot-1")
        assert found is not None
        assert (found.number, found.token, found.owner) == (record.number, record.token, None)
        assert again.owner != record.owner


@pytest.mark.parametrize(("version", "says"), [(schema.VERSION + 1, "a newer"), (1, "an older"), (0, "an older")])
async def test_a_journal_of_another_version_is_refused_and_left_alone(
    store: SqliteStore, path: Path, version: int, says: str
) -> None:
    """Its tables may mean something else."""
    await store.claim(CLAIM)
    await store.close()
    sql(path, f"PRAGMA user_version = {version}")
    before = files(path)
    async with SqliteStore(path) as other:
        with pytest.raises(JournalError, match=f"{says} foxvideo") as caught:
            await other.claim(claiming(key="shot-2"))
    refused(caught.value, path)
    assert files(path) == before


FOREIGN = {
    "rollback": ("CREATE TABLE bookmarks (url TEXT)", "INSERT INTO bookmarks VALUES ('x')"),
    "wal": ("PRAGMA journal_mode = WAL", "CREATE TABLE bookmarks (url TEXT)", "INSERT INTO bookmarks VALUES ('x')"),
    "empty": ("PRAGMA application_id = 7", "VACUUM"),
    "versioned": (f"PRAGMA user_version = {schema.VERSION}",),
}


@pytest.mark.parametrize("kind", FOREIGN)
async def test_a_database_of_something_else_is_refused_and_left_alone(path: Path, kind: str) -> None:
    """Byte for byte, and with nothing beside it."""
    for statement in FOREIGN[kind]:
        sql(path, statement)
    before = files(path)
    async with SqliteStore(path) as store:
        with pytest.raises(JournalError, match="something else") as caught:
            await store.claim(CLAIM)
    refused(caught.value, path)
    assert files(path) == before


@pytest.mark.parametrize(
    "content", [b"hello", b"a" * 5000, b"SQLite format 3\0" + b"x" * 5000], ids=["5", "5000", "db"]
)
async def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    """Whatever it is, it is not ours."""
    path.write_bytes(content)
    async with SqliteStore(path) as store:
        with pytest.raises(JournalError, match=r"not a database|malformed|unsupported") as caught:
            await store.claim(CLAIM)
    refused(caught.value, path)
    assert files(path) == {path.name: content}


async def test_a_journal_whose_pages_were_damaged_says_so(store: SqliteStore, path: Path) -> None:
    """The head of the file is whole, what follows is not."""
    for number in range(40):
        await store.claim(claiming(key=f"shot-{number}", request="x" * 500))
    await store.close()
    content = path.read_bytes()
    path.write_bytes(content[:4096] + os.urandom(len(content) - 4096))
    async with SqliteStore(path) as damaged:
        with pytest.raises(JournalError) as caught:
            await damaged.claim(CLAIM)
    refused(caught.value, path)


def put_there(path: Path, kind: str) -> None:
    """Put something at a path that is no file."""
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "socket":
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as bound:
                bound.bind(str(path))
        case "device":
            path.symlink_to("/dev/null")
        case "circle":
            path.symlink_to(path)


@pytest.mark.parametrize("kind", ["folder", "pipe", "socket", "device", "circle"])
@pytest.mark.parametrize("linked", [False, True])
async def test_what_is_no_file_is_refused_before_it_is_opened(path: Path, kind: str, *, linked: bool) -> None:
    """Opening a pipe may hang, and writing to a device does who knows what."""
    there = path.with_name("there") if linked else path
    put_there(there, kind)
    if linked:
        path.symlink_to(there)
    async with SqliteStore(path) as store:
        with pytest.raises(JournalError, match="circle|levels" if kind == "circle" else f"is a {kind}") as caught:
            await store.claim(CLAIM)
    refused(caught.value, path)


async def test_a_missing_folder_is_an_error(ram: Path) -> None:
    """It is not made."""
    path = ram / "nowhere" / "videos.db"
    async with SqliteStore(path) as store:
        with pytest.raises(JournalError, match="No such file") as caught:
            await store.claim(CLAIM)
    refused(caught.value, path)
    assert not path.parent.exists()


async def test_a_journal_that_could_not_be_opened_may_be_tried_again(ram: Path) -> None:
    """Once what was wrong is mended."""
    path = ram / "later" / "videos.db"
    async with SqliteStore(path) as store:
        with pytest.raises(JournalError):
            await store.claim(CLAIM)
        path.parent.write_text("not yet")
        with pytest.raises(JournalError):
            await store.claim(CLAIM)
        path.parent.unlink()
        path.parent.mkdir()
        path.write_text("not yet")
        with pytest.raises(JournalError):
            await store.claim(CLAIM)
        path.unlink()
        assert isinstance(await store.claim(CLAIM), Mine)


# --- Closing ---


async def test_closing_writes_what_waits_and_may_be_done_twice(store: SqliteStore, path: Path) -> None:
    """Nothing is left beside the file."""
    _ = store.claim(CLAIM)
    await store.close()
    await store.close()
    assert [found.name for found in path.parent.iterdir()] == ["videos.db"]
    assert sql(path, "SELECT key FROM tasks") == [("shot-1",)]


async def test_a_closed_journal_says_so(store: SqliteStore) -> None:
    """It is not opened again."""
    await store.close()
    with pytest.raises(JournalError, match="is closed") as caught:
        await store.claim(CLAIM)
    refused(caught.value, store.path)
    with pytest.raises(JournalError, match="is closed") as caught:
        await store.accepted(1, "task-1", credits_reserved=None, reply=None)
    assert (caught.value.task_id, caught.value.submitted) == ("task-1", "yes")


async def test_a_close_that_is_cut_closes_all_the_same(store: SqliteStore, path: Path) -> None:
    """The thread goes on."""
    await store.claim(CLAIM)
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await asyncio.to_thread(store._here()._thread.shutdown)
    assert [found.name for found in path.parent.iterdir()] == ["videos.db"]


async def test_a_lock_that_cannot_be_removed_is_let_go(store: SqliteStore, path: Path) -> None:
    """The next one who opens the journal removes it."""
    await store.claim(CLAIM)
    lock = owners.path_of(path, store.owner)
    lock.unlink()
    lock.mkdir()
    await store.close()
    assert store._here()._lock is None
    lock.rmdir()


async def test_another_process_does_not_take_the_log_away_from_two_clients_of_one(
    store: SqliteStore, path: Path
) -> None:
    """The system frees the locks of all that a process has open on a file when it closes it once."""
    look = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM tasks').fetchone())"

    async def seen_by_another() -> str:
        command = [sys.executable, "-c", look, str(path)]
        found = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
        return found.stdout.strip()

    await store.claim(CLAIM)
    async with SqliteStore(path) as second:
        await second.claim(claiming(key="shot-2"))
        assert await seen_by_another() == "(2,)"
        await store.claim(claiming(key="shot-3"))
        assert await seen_by_another() == "(3,)"


def test_a_writer_that_was_never_used_has_nothing_to_close(path: Path) -> None:
    """No thread is started for that."""
    store = SqliteStore(path)
    assert isinstance(store._here(), Writer)
    asyncio.run(store.close())
    assert not place._found(path)
