"""A journal is one, whatever it is called, and what is written lies where the next client looks."""

import asyncio
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from journals import CLAIM, bring, claiming, newest, sql

from foxvideo import JournalError, RecordStatus, TaskRecord
from foxvideo._journal import Mine, SqliteStore, owners
from foxvideo._journal.place import Place
from foxvideo._journal.schema import Transaction


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder in memory, where there is one: every commit is synced, and these are many."""
    shared = Path("/dev/shm")  # noqa: S108 - the folder in it has a name of its own
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal of a test lies."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home" / "videos.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """Open a journal."""
    async with SqliteStore(path, patience=1.0) as opened:
        yield opened


PROGRAM = """
import asyncio, json, os, sys
from foxvideo._journal import SqliteStore

async def main():
    async with SqliteStore(sys.argv[1], patience=1.0) as store:
        return {record.key: (str(record.status), record.owner) for record in await store.records()}

try:
    print(json.dumps(asyncio.run(main())))
except Exception as error:
    print(json.dumps(str(error)))
"""


async def seen_by_another(path: Path | str, folder: Path | None = None) -> object:
    """Return what another process finds in a journal: the status and owner of each key, or an error."""
    found = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", PROGRAM, str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    return json.loads(found.stdout)


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


def log(path: Path, suffix: str) -> Path:
    """Return where a file of SQLite lies beside a journal."""
    return path.with_name(path.name + suffix)


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
async def test_nothing_is_sent_once_the_name_leads_elsewhere(path: Path, tmp_path: Path, what: str) -> None:
    """The next client that is given it would find another journal."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "videos.db").touch()
    name = by_folder(path) if what == "folder turned" else by_link(path)
    async with SqliteStore(name) as store:
        await store.look("shot-1")
        link = name.parent if what == "folder turned" else name
        leads = link.readlink()
        link.unlink()
        if what != "link removed":
            link.symlink_to(tmp_path / "other" / ("" if what == "folder turned" else "videos.db"))
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
    store._writer()._disconnect()
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


# --- Forks ---


def forked(work: Callable[[], object]) -> object:
    """Do something in a forked child, and return what it says as JSON has it: an error as its text."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            said = work()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            said = f"{type(error).__name__}: {error}"
        os.write(writing, json.dumps(said).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return json.loads(said)


async def sent(store: SqliteStore, key: str) -> str:
    """Send a submission within five seconds, and return who did."""
    async with asyncio.timeout(5):
        await bring(store, RecordStatus.SENDING, key)
        return store.owner


def closed(store: SqliteStore) -> None:
    """Close a store within five seconds."""

    async def close() -> None:
        async with asyncio.timeout(5):
            await store.close()

    asyncio.run(close())


pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="there is no fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def test_a_store_that_was_made_before_a_fork_works_in_both(path: Path) -> None:
    """As two owners."""
    store = SqliteStore(path)
    names = {asyncio.run(sent(store, "parent"))}
    fresh = SqliteStore(path)
    names |= {str(forked(lambda: asyncio.run(sent(fresh, f"child-{os.getpid()}")))) for _ in range(2)}
    names |= {asyncio.run(sent(fresh, "parent-2"))}
    assert len(names) == 4
    assert all(len(name) == 32 for name in names)
    assert sql(path, "SELECT count(*) FROM tasks") == [(4,)]
    for each in (store, fresh):
        closed(each)


def test_a_store_whose_owner_was_only_named_before_a_fork_works_in_both(path: Path) -> None:
    """Under a name of its own in each."""
    store = SqliteStore(path)
    name = store.owner
    assert forked(lambda: asyncio.run(sent(store, "child"))) != name
    assert asyncio.run(sent(store, "parent")) == name
    closed(store)


def test_a_store_that_was_opened_before_a_fork_says_so_in_the_child(path: Path) -> None:
    """Whatever it is asked for; closing it there closes nothing of the parent's."""
    store = SqliteStore(path)
    asyncio.run(sent(store, "parent"))
    for ask in (lambda: asyncio.run(sent(store, "child")), lambda: store.owner):
        said = str(forked(ask))
        assert "JournalError" in said
        assert "before this process was forked" in said
    assert forked(lambda: closed(store)) is None
    assert len(asyncio.run(sent(store, "parent-2"))) == 32
    assert owners.lives(owners.path_of(path, store.owner))
    closed(store)


def test_a_child_can_make_a_store_of_its_own_while_its_parent_writes(path: Path) -> None:
    """At any moment."""
    store = SqliteStore(path)

    async def write_and_fork() -> list[object]:
        said = []
        for number in range(8):
            writing = [store.claim(claiming(key=f"{number}-{each}")) for each in range(50)]
            await asyncio.sleep(0.0005 * number)
            said.append(forked(lambda: asyncio.run(sent(SqliteStore(path), f"child-{os.getpid()}"))))
            await asyncio.gather(*writing)
        await store.close()
        return said

    assert all(len(str(name)) == 32 for name in asyncio.run(write_and_fork()))
    assert sql(path, "SELECT count(*) FROM tasks") == [(408,)]


HEIR = """
import asyncio, os, signal, sys
from foxvideo._journal import Claim, SqliteStore

store = SqliteStore(sys.argv[1])

async def send(key):
    mine = await store.claim(Claim(key=key, origin="o", fingerprint="f", model="m", request="{}"))
    await store.sending(mine.number)

asyncio.run(send("shot-1"))
parent, (reading, writing) = os.getpid(), os.pipe()
if not os.fork():
    os.close(writing)
    os.read(reading, 1)  # until the parent is dead
    print("child", flush=True)
    sys.stdin.read()
    sys.exit()  # as programs end, with all that they have
asyncio.run(send("shot-2"))
print("parent", flush=True)
os.kill(parent, signal.SIGKILL)
"""


@contextlib.contextmanager
def heir(path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Run a program whose forked child outlives it, until its end is allowed."""
    command = [sys.executable, "-W", "ignore", "-c", HEIR, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:  # noqa: S603
        assert program.stdin is not None
        assert program.stdout is not None
        assert [program.stdout.readline() for _ in range(2)] == ["parent\n", "child\n"]
        yield program
        program.stdin.close()
        assert program.stdout.read() == ""  # the child has ended, too


@pytest.mark.real_clock
async def test_a_child_does_not_keep_its_dead_parent_alive(path: Path) -> None:
    """What that was sending is uncertain at once."""
    with heir(path):
        async with SqliteStore(path) as store:
            assert {record.status for record in await store.records()} == {RecordStatus.UNCERTAIN}
            assert len(await store.records()) == 2


@pytest.mark.real_clock
async def test_the_end_of_a_child_leaves_the_log_of_its_dead_parent_as_it_is(path: Path) -> None:
    """Nobody else has it open, so SQLite would take it away."""
    with heir(path):
        before = {suffix: log(path, suffix).read_bytes() for suffix in ("", "-wal")}
    assert {suffix: log(path, suffix).read_bytes() for suffix in ("", "-wal")} == before
    assert len(before["-wal"]) > 0
    assert await seen_by_another(path) == {key: ["uncertain", None] for key in ("shot-1", "shot-2")}


@pytest.mark.real_clock
async def test_a_child_does_not_close_what_others_still_write(path: Path) -> None:
    """Nor what it believes to be locked."""
    async with SqliteStore(path) as store:
        await bring(store, RecordStatus.PLANNED, "shot-0")
        with heir(path):
            pass
        before = log(path, "-wal").stat()
        await bring(store, RecordStatus.SENDING, "shot-3")
        assert os.path.samestat(before, log(path, "-wal").stat())
        found = await seen_by_another(path)
        assert found == {"shot-0": ["planned", store.owner], "shot-3": ["sending", store.owner]} | {
            key: ["uncertain", None] for key in ("shot-1", "shot-2")
        }
