"""A journal is one, whatever it is called, and what is written lies where the next client looks."""

import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from journals import CLAIM, bring, claiming, log, newest, seen_by_another, sql

from foxvideo import JournalError, RecordStatus, TaskRecord
from foxvideo._journal import Mine, SqliteStore, owners
from foxvideo._journal.place import Place
from foxvideo._journal.schema import Transaction

# --- One journal by several names ---


def by_link(path: Path) -> Path:
    """Lead to a file by a symbolic link from elsewhere."""
    link = path.parent.parent / "link.db"
    link.symlink_to(path)
    return link


def by_links(path: Path) -> Path:
    """Lead to it by a link to a link."""
    link = path.parent.parent / "second.db"
    link.symlink_to(by_link(path))
    return link


def by_folder(path: Path) -> Path:
    """Lead to it through a folder that is a link."""
    (folder := path.parent.parent / "folder").symlink_to(path.parent)
    return folder / path.name


def by_way_round(path: Path) -> Path:
    """Lead to it by a path that goes up and down."""
    return path.parent / ".." / path.parent.name / path.name


NAMES = [by_link, by_links, by_folder, by_way_round]


@pytest.mark.parametrize("other_name", NAMES)
@pytest.mark.parametrize("turned", [False, True])
async def test_a_living_client_is_seen_to_live_whatever_the_journal_is_called(
    path: Path, other_name: Callable[[Path], Path], *, turned: bool
) -> None:
    """What it sends is not uncertain to another process, and its files lie in one place."""
    path.touch()
    names = (path, other_name(path))
    mine, its = reversed(names) if turned else names
    async with SqliteStore(mine) as store:
        await bring(store, RecordStatus.SENDING)
        assert await seen_by_another(its) == {"shot-1": ["sending", store.owner]}
        beside = {found.name for found in path.parent.iterdir()}
        lock = owners.path_of(path, store.owner).name
        assert beside == {"videos.db", "videos.db-wal", "videos.db-shm", lock}


async def test_a_journal_is_where_it_was_named_whatever_folder_one_works_in_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path is that of the moment when it was given."""
    monkeypatch.chdir(path.parent)
    store = SqliteStore("videos.db")
    monkeypatch.chdir("/")
    async with store:
        await bring(store, RecordStatus.SENDING)
        monkeypatch.chdir(path.parent.parent)
        await bring(store, RecordStatus.SENDING, "shot-2")
        found = await seen_by_another("home/../home/videos.db", path.parent.parent)
        assert found == {key: ["sending", store.owner] for key in ("shot-1", "shot-2")}


async def test_a_link_that_leads_to_nothing_yet_makes_the_journal_where_it_leads(path: Path) -> None:
    """And it stays a link."""
    link = by_link(path)
    async with SqliteStore(link) as store:
        assert isinstance(await store.claim(CLAIM), Mine)
    assert link.is_symlink()
    assert sql(path, "SELECT count(*) FROM tasks") == [(1,)]


async def test_a_journal_with_two_names_of_one_rank_is_refused(store: SqliteStore, path: Path) -> None:
    """Each would get a log of its own; who has it open goes on."""
    await bring(store, RecordStatus.SENDING)
    other = path.parent.parent / "other.db"
    other.hardlink_to(path)
    found = await seen_by_another(other)
    assert "2 names" in str(found)
    assert "2 names" in str(await seen_by_another(path))
    assert isinstance(await store.claim(claiming(key="shot-2")), Mine)
    assert not list(other.parent.glob("other.db-*"))
    other.unlink()
    assert await seen_by_another(path) == {
        key: [status, store.owner] for key, status in (("shot-1", "sending"), ("shot-2", "planned"))
    }


# --- A file that is not there any more ---


def replaced(path: Path) -> None:
    """Put a copy in the place of a file."""
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").replace(path)


def emptied(path: Path, away: Callable[[Path], object]) -> None:
    """Put an empty folder in the place of something."""
    away(path)
    path.mkdir()


def without(path: Path, *suffixes: str) -> None:
    """Remove files of a journal."""
    for suffix in suffixes:
        log(path, suffix).unlink()


GONE: dict[str, Callable[[Path], object]] = {
    "removed": Path.unlink,
    "removed with its log": lambda path: without(path, "", "-wal", "-shm"),
    "moved": lambda path: path.rename(path.with_name("away.db")),
    "moved to another folder": lambda path: path.rename(path.parent.parent / "away.db"),
    "replaced": replaced,
    "replaced by a folder": lambda path: emptied(path, Path.unlink),
    "folder moved": lambda path: path.parent.rename(path.parent.with_name("away")),
    "folder removed": lambda path: shutil.rmtree(path.parent),
    "folder replaced": lambda path: emptied(path.parent, lambda folder: folder.rename(folder.with_name("away"))),
    "log removed": lambda path: without(path, "-wal"),
    "log replaced": lambda path: replaced(log(path, "-wal")),
    "index removed": lambda path: without(path, "-shm"),
    "index replaced": lambda path: replaced(log(path, "-shm")),
}


@pytest.mark.parametrize("how", GONE)
async def test_nothing_is_sent_once_the_journal_is_not_where_the_next_one_looks(
    store: SqliteStore, path: Path, how: str
) -> None:
    """An id is not taken for written, either, and keeps its error."""
    planned = await bring(store, RecordStatus.PLANNED, "shot-0")
    sending = await bring(store, RecordStatus.SENDING)
    GONE[how](path)
    for sent in (
        store.claim(claiming(key="shot-2")),
        store.begin(claiming(key="shot-3"), "t"),
        store.sending(planned.number),
    ):
        with pytest.raises(JournalError, match=r"removed|moved|replaced|folder") as caught:
            await sent
        assert (caught.value.submitted, str(path) in str(caught.value)) == ("no", True)
        assert "make a new one" in caught.value.hint
    told = store.accepted(sending.number, "task-1", credits_reserved=None, reply=None)
    ended = store.ended("task-1", RecordStatus.FAILED, reply=None, links=None, credits_reserved=None, error=None)
    for written in (told, ended):
        with pytest.raises(JournalError) as caught:
            await written
        assert (caught.value.submitted, caught.value.task_id) == ("yes", "task-1")


@pytest.mark.parametrize("what", ["link removed", "link turned", "folder turned"])
async def test_nothing_is_sent_once_the_name_leads_elsewhere(path: Path, ram: Path, what: str) -> None:
    """The next client that is given it would find another journal."""
    (ram / "other").mkdir()
    (ram / "other" / "videos.db").touch()
    name = by_folder(path) if what == "folder turned" else by_link(path)
    async with SqliteStore(name) as store:
        await store.look("shot-1")
        link = name.parent if what == "folder turned" else name
        leads = link.readlink()
        link.unlink()
        if what != "link removed":
            link.symlink_to(ram / "other" / ("" if what == "folder turned" else "videos.db"))
        with pytest.raises(JournalError, match="leads elsewhere"):
            await store.claim(CLAIM)
        link.unlink(missing_ok=True)
        link.symlink_to(leads)
        assert isinstance(await store.claim(CLAIM), Mine)


@pytest.mark.parametrize("what", ["file", "folder"])
async def test_a_journal_that_comes_back_is_written_again(store: SqliteStore, path: Path, what: str) -> None:
    """What was kept meanwhile finds its record."""
    record = await bring(store, RecordStatus.SENDING)
    moving = path if what == "file" else path.parent
    away = moving.rename(moving.with_name("away"))
    with pytest.raises(JournalError):
        await store.accepted(record.number, "task-1", credits_reserved=None, reply=None)
    away.rename(moving)
    await store.accepted(record.number, "task-1", credits_reserved=None, reply=None)
    assert (await newest(store)).task_id == "task-1"


async def test_a_journal_that_was_replaced_is_not_written_to_by_who_had_the_old_one(
    store: SqliteStore, path: Path
) -> None:
    """Its numbers mean other records there; what the new one has in its log stays there when the old one is closed."""
    record = await bring(store, RecordStatus.SENDING)
    without(path, "", "-wal", "-shm")
    async with SqliteStore(path) as new:
        await bring(new, RecordStatus.SENDING, "another")
        with pytest.raises(JournalError, match="replaced"):
            await store.accepted(record.number, "task-1", credits_reserved=None, reply=None)
        await store.close()
        assert log(path, "-wal").stat().st_size > 0
        assert await seen_by_another(path) == {"another": ["sending", new.owner]}


async def test_a_connection_that_broke_is_not_made_anew_to_another_journal(store: SqliteStore, path: Path) -> None:
    """Though it may have got the number of the same inode."""
    await bring(store, RecordStatus.SENDING)
    store._here()._disconnect()
    sql(path, "UPDATE journal SET identity = 'another'")
    with pytest.raises(JournalError, match="another journal"):
        await store.look("shot-1")


async def test_a_file_that_is_replaced_while_it_is_opened_is_not_used(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next try opens what lies there."""
    connect = sqlite3.connect

    def late(*given: object, **named: object) -> sqlite3.Connection:
        db = connect(*given, **named)  # type: ignore[call-overload]
        replaced(path)
        return db  # type: ignore[no-any-return]

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", late)
        with pytest.raises(JournalError, match=r"replaced|readonly"):  # it depends on how far SQLite has come
            await store.claim(CLAIM)
    assert isinstance(await store.claim(CLAIM), Mine)


async def test_a_log_that_goes_while_it_is_opened_is_not_used(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next try makes another."""
    opened = Place.opened

    def late(place: Place) -> None:
        without(path, "-wal")
        opened(place)

    with monkeypatch.context() as patch:
        patch.setattr(Place, "opened", late)
        with pytest.raises(JournalError, match="-wal was removed"):
            await store.claim(CLAIM)
    assert isinstance(await store.claim(CLAIM), Mine)


async def test_a_file_that_goes_while_it_is_written_is_not_taken_for_written(store: SqliteStore, path: Path) -> None:
    """To sync may take long."""
    await store.look("shot-1")

    def meanwhile(tx: Transaction) -> None:
        path.rename(path.with_name("away.db"))
        time.sleep(0.06)

    claim, moving = store.claim(CLAIM), store._do("no", meanwhile)
    for written in (claim, moving):
        with pytest.raises(JournalError, match="removed or moved"):
            await written


# --- A lock that somebody removed ---


async def test_a_client_whose_lock_was_removed_takes_it_anew(store: SqliteStore, path: Path) -> None:
    """What nobody has taken from it meanwhile is still its own."""
    planned = await bring(store, RecordStatus.PLANNED)
    lock = owners.path_of(path, store.owner)
    lock.unlink()
    assert await store.sending(planned.number)
    assert owners.lives(lock)
    assert await seen_by_another(path) == {"shot-1": ["sending", store.owner]}


async def test_what_another_took_from_a_client_whose_lock_was_removed_is_not_sent(
    store: SqliteStore, path: Path
) -> None:
    """It counted as dead, and one submission is uncertain; a late id settles that."""
    planned = await bring(store, RecordStatus.PLANNED)
    sending = await bring(store, RecordStatus.SENDING, "shot-2")
    owners.path_of(path, store.owner).unlink()
    async with SqliteStore(path) as other:
        assert isinstance(await other.claim(CLAIM), Mine)
        assert (await newest(other, "shot-2")).status is RecordStatus.UNCERTAIN
        assert not await store.sending(planned.number)
        assert isinstance(await store.claim(CLAIM), TaskRecord)
        await store.accepted(sending.number, "task-2", credits_reserved=None, reply=None)
        assert (await newest(other, "shot-2")).task_id == "task-2"
