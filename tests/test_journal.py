"""The memory on disk: its rows, its tables, its owners and its file."""

import asyncio
import concurrent.futures
import contextlib
import fcntl
import itertools
import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from foxvideo import InvalidRequest, JournalError, KeyConflict, KeyStateError, RecordStatus, TaskRecord
from foxvideo._journal import Ask, Journal, Mine, owners, sql as tables, sqlite as file
from foxvideo._journal.record import Right, right

ORIGIN = "https://api.foxapi.cc"
ASK = Ask(key="shot-1", origin=ORIGIN, fingerprint="f", model="grok", request='{"prompt": "A fox"}')
NOBODY = 65534


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder in memory, where there is one: every commit is synced, and these are many."""
    shared = Path("/dev/shm")  # noqa: S108 - the folder in it has a name of its own
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal of a test lies."""
    return tmp_path / "videos.db"


@pytest.fixture
async def journal(path: Path) -> AsyncIterator[Journal]:
    """Open a journal that waits for nobody for long."""
    async with Journal(path, patience=0.05) as opened:
        yield opened


def asking(**changes: Any) -> Ask:  # noqa: ANN401 - fields of all types
    """Ask for something else."""
    return attrs.evolve(ASK, **changes)


def sql(path: Path, statement: str, *values: object) -> list[Any]:
    """Run a statement in a connection of its own, and return what it finds."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        return db.execute(statement, values).fetchall()


def files(path: Path) -> dict[str, bytes]:
    """Return all that lies beside a file, and the file."""
    return {found.name: found.read_bytes() for found in path.parent.iterdir()}


def left_by_the_dead(path: Path, status: RecordStatus, key: str = "shot-1") -> None:
    """Give the row of a key to an owner that died: its lock file is there, and nobody holds it."""
    owners.path_of(path, "dead").touch()
    sql(path, "UPDATE tasks SET status = ?, owner = 'dead' WHERE key = ?", status, key)


async def newest(journal: Journal, key: str = "shot-1") -> TaskRecord:
    """Return the row that counts for a key."""
    row = await journal.look(key)
    assert row is not None
    return row


async def settle(journal: Journal, status: RecordStatus, key: str = "shot-1", **columns: object) -> TaskRecord:
    """Claim a key, and note what became of it."""
    row, mine = await claimed(journal, asking(key=key))
    assert mine
    await journal.change(row.number, {"status": status, "owner": None, **columns})
    return await newest(journal, key)


async def claimed(journal: Journal, ask: Ask) -> tuple[TaskRecord, bool]:
    """Claim a key; return its row, and whether that is now the client's to send."""
    found = await journal.claim(ask)
    rows = {row.number: row for row in await journal.rows()}
    return rows[found.number], isinstance(found, Mine)


def refused(error: JournalError, path: Path) -> None:
    """Assert that an error says that nothing was sent, and names the file."""
    assert (error.submitted, str(path) in str(error)) == ("no", True)


# --- Opening ---


async def test_nothing_is_opened_before_the_first_use(path: Path) -> None:
    """A client that submits nothing leaves nothing behind."""
    async with Journal(path):
        pass
    assert not path.exists()


async def test_a_new_file_is_for_its_owner_alone(journal: Journal, path: Path) -> None:
    """And so are those that SQLite puts beside it, and the lock."""
    umask = os.umask(0)
    try:
        await journal.claim(ASK)
    finally:
        os.umask(umask)
    modes = {found.name: stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}
    assert set(modes) == {"videos.db", "videos.db-wal", "videos.db-shm", owners.path_of(path, journal.owner).name}


async def test_every_commit_is_synced(journal: Journal) -> None:
    """An id that was seen survives the loss of power."""
    await journal.claim(ASK)
    assert journal._connection is not None
    (level,) = journal._connection.execute("PRAGMA synchronous").fetchone()
    (mode,) = journal._connection.execute("PRAGMA journal_mode").fetchone()
    assert (level, mode) == (2, "wal")


async def test_what_was_written_is_there_when_it_is_opened_again(journal: Journal, path: Path) -> None:
    """Under the name of another owner."""
    row, _ = await claimed(journal, ASK)
    await journal.close()
    async with Journal(path) as again:
        assert await again.look("shot-1") == attrs.evolve(row, owner=None)
        assert again.owner != journal.owner


async def test_a_journal_of_a_newer_version_is_refused_and_left_alone(journal: Journal, path: Path) -> None:
    """Its tables may mean something else."""
    await journal.claim(ASK)
    await journal.close()
    sql(path, f"PRAGMA user_version = {tables.VERSION + 1}")
    before = files(path)
    async with Journal(path) as old:
        with pytest.raises(JournalError, match="newer foxvideo") as caught:
            await old.claim(asking(key="shot-2"))
    refused(caught.value, path)
    assert files(path) == before


FOREIGN = {
    "rollback": ("CREATE TABLE bookmarks (url TEXT)", "INSERT INTO bookmarks VALUES ('x')"),
    "wal": ("PRAGMA journal_mode = WAL", "CREATE TABLE bookmarks (url TEXT)", "INSERT INTO bookmarks VALUES ('x')"),
    "empty": ("PRAGMA application_id = 7", "VACUUM"),
    "versioned": ("PRAGMA user_version = 1",),
}


@pytest.mark.parametrize("kind", FOREIGN)
async def test_a_database_of_something_else_is_refused_and_left_alone(path: Path, kind: str) -> None:
    """Byte for byte, and with nothing beside it."""
    for statement in FOREIGN[kind]:
        sql(path, statement)
    before = files(path)
    async with Journal(path) as journal:
        with pytest.raises(JournalError, match="something else") as caught:
            await journal.claim(ASK)
    refused(caught.value, path)
    assert files(path) == before


@pytest.mark.parametrize(
    "content", [b"hello", b"a" * 5000, b"SQLite format 3\0" + b"x" * 5000], ids=["5", "5000", "db"]
)
async def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    """Whatever it is, it is not ours."""
    path.write_bytes(content)
    async with Journal(path) as journal:
        with pytest.raises(JournalError, match=r"not a database|malformed|unsupported") as caught:
            await journal.claim(ASK)
    refused(caught.value, path)
    assert files(path) == {path.name: content}


async def test_a_journal_whose_pages_were_damaged_says_so(journal: Journal, path: Path) -> None:
    """The head of the file is whole, what follows is not."""
    for number in range(40):
        await journal.claim(asking(key=f"shot-{number}", request="x" * 500))
    await journal.close()
    content = path.read_bytes()
    path.write_bytes(content[:4096] + os.urandom(len(content) - 4096))
    async with Journal(path) as damaged:
        with pytest.raises(JournalError) as caught:
            await damaged.claim(ASK)
    assert caught.value.submitted == "no"


async def test_a_folder_in_its_place_is_an_error(path: Path) -> None:
    """Which stays as it is."""
    path.mkdir()
    async with Journal(path) as journal:
        with pytest.raises(JournalError, match="unable to open") as caught:
            await journal.claim(ASK)
    refused(caught.value, path)
    assert not list(path.iterdir())


async def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    """It is not made."""
    path = tmp_path / "nowhere" / "videos.db"
    async with Journal(path) as journal:
        with pytest.raises(JournalError, match="No such file") as caught:
            await journal.claim(ASK)
    refused(caught.value, path)
    assert not path.parent.exists()


async def test_a_journal_that_could_not_be_opened_may_be_tried_again(tmp_path: Path) -> None:
    """Once what was wrong is mended."""
    path = tmp_path / "later" / "videos.db"
    async with Journal(path) as journal:
        with pytest.raises(JournalError):
            await journal.claim(ASK)
        path.parent.mkdir()
        _, mine = await claimed(journal, ASK)
        assert mine


# --- A disk that does not do what it should ---


@pytest.mark.parametrize("opened", [True, False])
async def test_who_waits_too_long_for_another_that_writes_is_told(
    journal: Journal, path: Path, *, opened: bool
) -> None:
    """And goes on once that has ended."""
    async with Journal(path) as first:
        await first.claim(asking(key="shot-0"))
    if opened:
        await journal.look("shot-0")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="locked") as caught:
            await journal.claim(ASK)
        refused(caught.value, path)
        other.execute("ROLLBACK")
    assert isinstance(await journal.claim(ASK), Mine)


async def test_the_loop_does_not_wait_for_another_that_writes(path: Path) -> None:
    """Only who asked the journal does."""
    async with Journal(path, patience=5.0) as journal:
        await journal.look("shot-1")
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            claim = journal.claim(ASK)
            for _ in range(3):
                time.sleep(0.002)  # noqa: ASYNC251 - the thread runs, the loop could
                await asyncio.sleep(0)
            assert not claim.done()
            other.execute("ROLLBACK")
        assert isinstance(await claim, Mine)


@pytest.mark.parametrize("patient", [True, False])
async def test_the_switch_to_a_log_waits_for_another_client_that_makes_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, *, patient: bool
) -> None:
    """SQLite itself does not where that one is about to write."""
    migrate = file._migrate
    others: list[sqlite3.Connection] = []

    def interrupted(db: sqlite3.Connection) -> None:
        migrate(db)
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        others.append(other)

    monkeypatch.setattr(file, "_migrate", interrupted)
    monkeypatch.setattr(time, "sleep", lambda _: others[0].execute("ROLLBACK") if patient else None)
    async with Journal(path, patience=0.02) as journal:
        if patient:
            assert isinstance(await journal.claim(ASK), Mine)
        else:
            with pytest.raises(JournalError, match="locked"):
                await journal.claim(ASK)
    others[0].close()


async def test_clients_that_make_the_file_at_once_all_can_use_it(tmp_path: Path) -> None:
    """None of them finds it half made."""

    async def claimed(path: Path, key: str) -> bool:
        async with Journal(path) as journal:
            return isinstance(await journal.claim(asking(key=key)), Mine)

    for number in range(3):
        path = tmp_path / f"{number}.db"
        assert await asyncio.gather(*(claimed(path, f"shot-{each}") for each in range(6))) == [True] * 6
        assert sql(path, "SELECT count(*) FROM tasks") == [(6,)]


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Let this process have no rights but those that a file gives to everybody."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("folder", [0o777, 0o555], ids=["file", "both"])
async def test_a_file_that_cannot_be_written_is_an_error(folder: int) -> None:
    """What cannot be written down is not sent."""
    place = Path(tempfile.mkdtemp())  # not in the folder of the tests, which only its owner can enter
    try:
        path = place / "videos.db"
        async with Journal(path) as first:
            await first.claim(ASK)
        path.chmod(0o444)
        place.chmod(folder)
        journal = Journal(path, patience=0.05)
        with unprivileged():
            with pytest.raises(JournalError, match=r"readonly|unable to open|Permission") as caught:
                await journal.claim(asking(key="shot-2"))
            await journal.close()
        refused(caught.value, path)
    finally:
        place.chmod(0o777)
        shutil.rmtree(place)


async def test_a_folder_that_cannot_be_written_is_an_error() -> None:
    """There is no file yet, and none is made."""
    place = Path(tempfile.mkdtemp())
    try:
        place.chmod(0o555)
        journal = Journal(place / "videos.db")
        with unprivileged():
            with pytest.raises(JournalError, match="Permission denied"):
                await journal.claim(ASK)
            await journal.close()
        assert not list(place.iterdir())
    finally:
        place.chmod(0o777)
        shutil.rmtree(place)


@contextlib.contextmanager
def full(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_is_an_error_for_all_that_was_asked_for(journal: Journal, path: Path) -> None:
    """Nothing of it is half written, and it goes on once there is space."""
    await journal.claim(ASK)
    with full(path.with_name("videos.db-wal").stat().st_size):
        asked = [journal.claim(asking(key=f"shot-{number}", request="x" * 9000)) for number in (2, 3)]
        errors = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(error, JournalError) and error.submitted == "no" for error in errors)
    assert [row.key for row in await journal.rows()] == ["shot-1"]
    assert isinstance(await journal.claim(asking(key="shot-2")), Mine)


async def test_a_disk_that_undoes_all_in_the_middle_is_an_error_for_all(journal: Journal) -> None:
    """Nothing that came before it in the same transaction is taken for written."""
    await journal.look("shot-1")
    assert journal._connection is not None

    def broken(db: sqlite3.Connection) -> None:
        db.execute("ROLLBACK")  # as SQLite itself does where a page cannot be written
        raise sqlite3.OperationalError("disk I/O error")

    asked = (journal.claim(ASK), journal._do(broken), journal.claim(asking(key="shot-2")))
    errors: list[object] = list(await asyncio.gather(*asked, return_exceptions=True))
    assert [isinstance(error, JournalError) and "disk I/O error" in str(error) for error in errors] == [True] * 3
    assert await journal.rows() == ()


async def test_a_commit_that_fails_undoes_all_and_the_next_one_is_written(journal: Journal) -> None:
    """The transaction is not left open."""
    await journal.look("shot-1")
    db = journal._connection
    assert db is not None
    for statement in (
        "PRAGMA foreign_keys = ON",
        "CREATE TABLE parents (number INTEGER PRIMARY KEY)",
        "CREATE TABLE children (parent INTEGER REFERENCES parents (number) DEFERRABLE INITIALLY DEFERRED)",
    ):
        db.execute(statement)
    orphan = journal._do(lambda db: db.execute("INSERT INTO children VALUES (1)").rowcount)
    for failed in (journal.claim(ASK), orphan):
        with pytest.raises(JournalError, match="FOREIGN KEY"):
            await failed
    assert await journal.rows() == ()
    assert isinstance(await journal.claim(ASK), Mine)


async def test_a_full_disk_within_the_file_itself(journal: Journal) -> None:
    """SQLite counts pages before it writes them."""
    await journal.claim(ASK)
    assert journal._connection is not None
    journal._connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(JournalError, match="full"):
        await journal.claim(asking(key="shot-2", request="x" * 9000))
    journal._connection.execute("PRAGMA max_page_count = 1000000")
    assert [row.key for row in await journal.rows()] == ["shot-1"]


# --- One thread, many who ask ---


async def test_many_submits_are_synced_at_once(journal: Journal) -> None:
    """A commit costs as much as many rows."""
    await journal.look("shot-1")
    before = journal.commits
    await asyncio.gather(*(journal.claim(asking(key=f"shot-{number}")) for number in range(300)))
    assert journal.commits - before <= 3
    assert len(await journal.rows()) == 300


async def test_an_error_undoes_nothing_but_itself(journal: Journal) -> None:
    """Whatever else is in the same transaction is written."""
    row, _ = await claimed(journal, ASK)
    conflict = journal.claim(asking(fingerprint="other"))
    surrogate = journal.claim(asking(key="shot-2", model="\ud800"))
    half = journal.change(row.number, {"status": "accepted", "no_such_column": 1})
    huge = journal.saved("task-1", 0, Path("a.mp4"), 2**70, "0")
    good = journal.claim(asking(key="shot-3"))
    with pytest.raises(KeyConflict):
        await conflict
    for broken in (surrogate, half, huge):
        with pytest.raises(JournalError, match="cannot write this down"):
            await broken
    assert isinstance(await good, Mine)
    assert {row.key: row.status for row in await journal.rows()} == {"shot-1": "planned", "shot-3": "planned"}


async def test_who_asks_is_answered_even_where_an_error_was_not_foreseen(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it would wait for ever."""

    def broken(_: object) -> None:
        raise ZeroDivisionError("unforeseen")

    monkeypatch.setattr(file, "_migrate", broken)
    with pytest.raises(JournalError, match="unforeseen"):
        await journal.claim(ASK)


async def test_cancelling_one_who_waits_undoes_nothing(journal: Journal) -> None:
    """It is written all the same, and the others are answered."""
    gone, stays = journal.claim(ASK), journal.claim(asking(key="shot-2"))
    gone.cancel()
    assert isinstance(await stays, Mine)
    assert len(await journal.rows()) == 2


async def test_an_error_that_nobody_waits_for_is_no_noise(journal: Journal) -> None:
    """The loop would complain, and fail this test."""
    await journal.claim(ASK)
    _ = journal.claim(asking(fingerprint="other"))
    await journal.rows()


def test_what_was_asked_for_is_written_although_the_loop_has_ended(path: Path) -> None:
    """Nobody hears of it."""
    journal = Journal(path)
    loop = asyncio.new_event_loop()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        async def main() -> None:
            _ = journal.claim(ASK)

        loop.run_until_complete(main())
        loop.run_until_complete(asyncio.sleep(0))  # it is handed to the thread
        loop.close()
        other.execute("ROLLBACK")
    journal._thread.submit(journal._shut, loop).result()
    assert sql(path, "SELECT key FROM tasks") == [("shot-1",)]


# --- Closing ---


async def test_closing_writes_what_waits_and_may_be_done_twice(journal: Journal, path: Path) -> None:
    """Nothing is left beside the file."""
    _ = journal.claim(ASK)
    await journal.close()
    await journal.close()
    assert [found.name for found in path.parent.iterdir()] == ["videos.db"]
    assert sql(path, "SELECT key FROM tasks") == [("shot-1",)]


async def test_a_closed_journal_says_so(journal: Journal) -> None:
    """It is not opened again."""
    await journal.close()
    with pytest.raises(JournalError, match="is closed"):
        await journal.claim(ASK)


async def test_a_close_that_is_cut_closes_all_the_same(journal: Journal, path: Path) -> None:
    """The thread goes on."""
    await journal.claim(ASK)
    closing = asyncio.create_task(journal.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await asyncio.to_thread(journal._thread.shutdown)
    assert [found.name for found in path.parent.iterdir()] == ["videos.db"]


async def test_a_lock_that_cannot_be_removed_is_let_go(journal: Journal, path: Path) -> None:
    """The next one who opens the journal removes it."""
    await journal.claim(ASK)
    lock = owners.path_of(path, journal.owner)
    lock.unlink()
    lock.mkdir()
    await journal.close()
    assert journal._lock is None
    lock.rmdir()


# --- Owners ---


async def test_two_clients_of_one_process_are_two_owners(journal: Journal, path: Path) -> None:
    """A row that one of them sends is not the other's."""
    row, _ = await claimed(journal, ASK)
    async with Journal(path) as other:
        assert await claimed(other, ASK) == (row, False)
        assert not await other.sending(row.number)
        assert await journal.sending(row.number)
        assert (await newest(other)).status is RecordStatus.SENDING
    assert (await newest(journal)).owner == journal.owner


async def test_another_process_does_not_take_the_log_away_from_two_clients_of_one(journal: Journal, path: Path) -> None:
    """The system frees the locks of all that a process has open on a file when it closes it once."""
    look = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM tasks').fetchone())"

    async def seen_by_another() -> str:
        command = [sys.executable, "-c", look, str(path)]
        found = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
        return found.stdout.strip()

    await journal.claim(ASK)
    async with Journal(path) as second:
        await second.claim(asking(key="shot-2"))
        assert await seen_by_another() == "(2,)"
        await journal.claim(asking(key="shot-3"))
        assert await seen_by_another() == "(3,)"


async def test_what_a_dead_owner_planned_is_free(journal: Journal, path: Path) -> None:
    """It was never sent, so its token stays, too."""
    row, _ = await claimed(journal, ASK)
    left_by_the_dead(path, RecordStatus.PLANNED)
    assert await claimed(journal, ASK) == (row, True)
    assert not owners.path_of(path, "dead").exists()


@pytest.mark.parametrize("ask", ["claim", "look", "rows", "uncertain"])
async def test_what_a_dead_owner_was_sending_is_uncertain(journal: Journal, path: Path, ask: str) -> None:
    """Whoever looks first finds out."""
    await journal.claim(ASK)
    left_by_the_dead(path, RecordStatus.SENDING)
    match ask:
        case "claim":
            row, mine = await claimed(journal, ASK)
            assert not mine
        case "look":
            row = await newest(journal)
        case "rows":
            (row,) = await journal.rows()
        case _:
            row = await journal.uncertain("shot-1", ORIGIN)
    assert (row.status, row.owner) == (RecordStatus.UNCERTAIN, None)
    assert "died before the reply" in str(row.error)
    assert sql(path, "SELECT status FROM tasks") == [("uncertain",)]


async def test_an_owner_without_a_lock_file_is_dead(journal: Journal, path: Path) -> None:
    """Another has looked at it before."""
    await journal.claim(ASK)
    sql(path, "UPDATE tasks SET owner = 'gone'")
    assert isinstance(await journal.claim(ASK), Mine)


async def test_opening_removes_the_locks_of_the_dead_alone(tmp_path: Path) -> None:
    """Also where the name of the file has letters that a pattern reads otherwise."""
    path = tmp_path / "v[1]*?.db"
    async with Journal(path) as living:
        await living.claim(ASK)
        owners.path_of(path, "dead").touch()
        other = owners.path_of(tmp_path / "v1xx.db", "dead")
        other.touch()
        async with Journal(path) as second:
            await second.look("shot-1")
            assert not owners.path_of(path, "dead").exists()
            assert owners.lives(owners.path_of(path, living.owner))
        assert other.exists()


def test_a_new_lock_that_was_taken_for_a_dead_one_is_made_again(tmp_path: Path) -> None:
    """The one who looks may lock the new file first, and remove it."""
    path = tmp_path / "new.lock"
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        looking = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(looking, fcntl.LOCK_EX)
        holding = thread.submit(owners.hold, path)
        with pytest.raises(TimeoutError):
            holding.result(0.02)
        path.unlink()
        os.close(looking)
        held = holding.result(5)
    try:
        assert owners.lives(path)
    finally:
        os.close(held)
    assert not owners.lives(path)
    assert not path.exists()


def test_a_new_lock_whose_place_another_has_taken_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it locked must be what lies there."""
    path = tmp_path / "new.lock"
    flock = fcntl.flock
    seen: list[int] = []

    def replaced(descriptor: int, operation: int) -> None:
        flock(descriptor, operation)
        if not seen:
            path.unlink()
            path.touch()
        seen.append(descriptor)

    monkeypatch.setattr(fcntl, "flock", replaced)
    held = owners.hold(path)
    assert len(seen) == 2
    assert os.path.samestat(os.fstat(held), path.stat())
    os.close(held)


def test_a_lock_that_the_system_refuses_leaves_nothing_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems have no locks."""

    def refuse(descriptor: int, _: int) -> None:
        opened.append(descriptor)
        raise OSError("no locks available")

    opened: list[int] = []
    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="no locks"):
        owners.hold(tmp_path / "new.lock")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])


# --- What a key may have ---


@pytest.mark.parametrize("status", RecordStatus)
@pytest.mark.parametrize("leave", ["", "retry_failed", "risk"])
def test_what_is_bought_anew_was_allowed_to_be(status: RecordStatus, leave: str) -> None:
    """The whole table: nothing under way, accepted or completed is ever sent again."""
    for owned, sent in itertools.product((True, False), repeat=2):
        row = TaskRecord(
            number=1, key="shot-1", attempt=1, origin=ORIGIN, fingerprint="f", model="grok", request="{}", token="t",
            status=status, owner="living" if owned else None, task_id=None, credits=None, reply=None, error=None,
            planned=0.0, sent=1.0 if sent else None, accepted=None, ended=None,
        )  # fmt: skip
        expected = {
            RecordStatus.PLANNED: Right.NONE if owned else Right.TAKE,
            RecordStatus.REFUSED: Right.ANEW if sent or owned else Right.TAKE,
            RecordStatus.WITHDRAWN: Right.ANEW if sent or owned else Right.TAKE,
            RecordStatus.FAILED: Right.ANEW if leave == "retry_failed" else Right.NONE,
            RecordStatus.CANCELLED: Right.ANEW if leave == "retry_failed" else Right.NONE,
            RecordStatus.UNCERTAIN: Right.ANEW if leave == "risk" else Right.NONE,
        }
        assert right(row, asking(**({leave: True} if leave else {}))) is expected.get(status, Right.NONE)


@pytest.mark.parametrize("other", [{"fingerprint": "g"}, {"origin": "http://elsewhere"}], ids=["request", "origin"])
async def test_a_key_is_of_one_request_for_one_host(journal: Journal, other: dict[str, str]) -> None:
    """Whatever became of it."""
    await settle(journal, RecordStatus.FAILED, task_id="task-1")
    with pytest.raises(KeyConflict) as caught:
        await journal.claim(asking(retry_failed=True, **other))
    assert (caught.value.task_id, caught.value.key, caught.value.submitted) == ("task-1", "shot-1", "yes")
    assert "grok at https://api.foxapi.cc" in str(caught.value)


async def test_a_submit_without_a_key_is_written_down_as_it_is_sent(journal: Journal) -> None:
    """Its row is never planned, and its key is taken from nobody."""
    number = await journal.begin(ASK, "token")
    row = await newest(journal)
    assert (row.number, row.status, row.owner, row.token) == (number, RecordStatus.SENDING, journal.owner, "token")
    with pytest.raises(JournalError, match="UNIQUE"):
        await journal.begin(ASK, "token")


async def test_a_withdrawn_row_is_taken_again_as_if_nothing_had_been(journal: Journal) -> None:
    """Nothing of its end is left."""
    before = await settle(journal, RecordStatus.WITHDRAWN, ended=5.0, error="withdrawn")
    row, mine = await claimed(journal, ASK)
    assert (mine, row.number, row.token, row.attempt) == (True, before.number, before.token, 1)
    assert (row.status, row.error, row.ended) == ("planned", None, None)
    assert await newest(journal) == row


@pytest.mark.parametrize("nothing", [RecordStatus.WITHDRAWN, RecordStatus.REFUSED, RecordStatus.PLANNED])
@pytest.mark.parametrize(("made", "leave"), [(RecordStatus.FAILED, "retry_failed"), (RecordStatus.UNCERTAIN, "risk")])
async def test_an_attempt_that_made_nothing_hides_no_earlier_one(
    journal: Journal, made: RecordStatus, leave: str, nothing: RecordStatus
) -> None:
    """Else a later submit of the key would pay without leave for what failed, or may be paid for already."""
    first = await settle(journal, made)
    anew = asking(**{leave: True})
    second, mine = await claimed(journal, anew)
    assert (mine, second.attempt) == (True, 2)
    await journal.change(second.number, {"status": nothing, "owner": None, "sent": 1.0})
    assert await claimed(journal, ASK) == (first, False)
    third, mine = await claimed(journal, anew)
    assert (mine, third.attempt) == (True, 3)
    assert [row.attempt for row in await journal.rows(key="shot-1")] == [1, 2, 3]


async def test_only_an_uncertain_attempt_hands_its_token_on(journal: Journal) -> None:
    """A service that reads it sees a repeat there, and a new task everywhere else."""
    lost = await settle(journal, RecordStatus.UNCERTAIN, "lost")
    failed = await settle(journal, RecordStatus.FAILED, "failed")
    again, _ = await claimed(journal, asking(key="lost", risk=True))
    anew, _ = await claimed(journal, asking(key="failed", retry_failed=True))
    assert again.token == lost.token
    assert anew.token != failed.token


async def test_only_what_is_planned_by_its_owner_is_sent(journal: Journal, path: Path) -> None:
    """Once, however often it is said."""
    row, _ = await claimed(journal, ASK)
    sql(path, "UPDATE tasks SET owner = 'other'")
    assert not await journal.sending(row.number)
    sql(path, "UPDATE tasks SET owner = ?", journal.owner)
    assert await journal.sending(row.number)
    assert not await journal.sending(row.number)
    assert (await newest(journal)).sent == pytest.approx(time.time(), abs=60)


async def test_what_another_client_took_over_is_not_changed_but_for_an_id(journal: Journal, path: Path) -> None:
    """An id is worth money, everything else is that client's to say."""
    row, _ = await claimed(journal, ASK)
    async with Journal(path) as other:
        await other.look("shot-1")
        sql(path, "UPDATE tasks SET owner = ?", other.owner)
        await journal.change(row.number, {"status": RecordStatus.WITHDRAWN, "owner": None})
        assert (await newest(journal)).status is RecordStatus.PLANNED
        await journal.accepted(row.number, {"status": RecordStatus.ACCEPTED, "owner": None, "task_id": "task-1"})
        assert (await newest(journal)).task_id == "task-1"


# --- Adopting ---


async def test_an_uncertain_submit_takes_the_id_that_its_caller_found(journal: Journal) -> None:
    """From then on it is like any other."""
    await settle(journal, RecordStatus.UNCERTAIN, error="lost")
    row = await journal.adopt("shot-1", "task-1", ORIGIN)
    assert (row.status, row.task_id, row.error) == ("accepted", "task-1", None)
    assert row.accepted == pytest.approx(time.time(), abs=60)
    assert await journal.rows(running=True) == (row,)


async def test_an_id_of_another_submit_is_not_adopted(journal: Journal) -> None:
    """One task is one row's."""
    await settle(journal, RecordStatus.COMPLETED, "shot-0", task_id="task-1")
    await settle(journal, RecordStatus.UNCERTAIN)
    with pytest.raises(KeyStateError, match="task-1 was made by the submit 'shot-0'") as caught:
        await journal.adopt("shot-1", "task-1", ORIGIN)
    assert (caught.value.key, caught.value.submitted) == ("shot-1", "unknown")
    assert (await newest(journal)).status is RecordStatus.UNCERTAIN


async def test_an_uncertain_submit_may_be_given_the_id_that_its_broken_reply_showed(journal: Journal) -> None:
    """It stands in its own row."""
    await settle(journal, RecordStatus.UNCERTAIN, task_id="task-1")
    assert (await journal.adopt("shot-1", "task-1", ORIGIN)).status is RecordStatus.ACCEPTED


@pytest.mark.parametrize("status", [status for status in RecordStatus if status != RecordStatus.UNCERTAIN])
async def test_only_what_is_uncertain_is_adopted(journal: Journal, status: RecordStatus) -> None:
    """What is being sent is not, while its owner lives."""
    row, _ = await claimed(journal, ASK)
    await journal.change(row.number, {"status": status, "task_id": "task-1"})
    with pytest.raises(InvalidRequest, match=f"is {status}, not uncertain"):
        await journal.adopt("shot-1", "task-2", ORIGIN)
    assert (await newest(journal)).status is status


async def test_neither_an_unknown_key_nor_another_host_is_adopted(journal: Journal) -> None:
    """The id would be asked for where it is not."""
    with pytest.raises(InvalidRequest, match="not in the journal"):
        await journal.uncertain("shot-1", ORIGIN)
    await settle(journal, RecordStatus.UNCERTAIN)
    with pytest.raises(InvalidRequest, match=f"went to {ORIGIN}"):
        await journal.uncertain("shot-1", "http://elsewhere")


# --- Ends, files, uploads, durations ---


async def test_an_end_is_noted_in_the_row_of_its_task_alone(journal: Journal) -> None:
    """By its id, under which anybody may have followed it."""
    await settle(journal, RecordStatus.ACCEPTED, task_id="task-1")
    await settle(journal, RecordStatus.ACCEPTED, "shot-2", task_id="task-2")
    await journal.ended("task-1", {"status": RecordStatus.COMPLETED, "ended": 5.0})
    assert [row.key for row in await journal.rows(running=True)] == ["shot-2"]
    assert (await newest(journal)).ended == 5.0


async def test_a_row_tells_where_its_first_result_was_saved_last(journal: Journal, tmp_path: Path) -> None:
    """By an absolute path."""
    await settle(journal, RecordStatus.COMPLETED, task_id="task-1")
    assert (await newest(journal)).file is None
    for place, name in ((1, "second.mp4"), (0, "old.mp4"), (0, "first.mp4")):
        await journal.saved("task-1", place, Path(name), 5, "0")
    assert (await newest(journal)).file == str(Path("first.mp4").absolute())


async def test_an_upload_is_remembered_for_its_host_and_its_time(journal: Journal) -> None:
    """Until it is forgotten."""
    await journal.uploaded("hash", ORIGIN, "https://files/1")
    assert await journal.upload("hash", ORIGIN, 0.0) == "https://files/1"
    assert await journal.upload("hash", "http://elsewhere", 0.0) is None
    assert await journal.upload("hash", ORIGIN, time.time() + 60) is None
    await journal.forget_uploads(["https://files/1", "https://files/2"])
    assert await journal.upload("hash", ORIGIN, 0.0) is None


async def test_the_newest_durations_are_handed_back_in_their_order(journal: Journal) -> None:
    """The schedule learns from them."""
    for number in range(4):
        await journal.learn("grok", str(number))
    assert await journal.learned(3) == ("1", "2", "3")


async def test_only_what_is_settled_and_old_is_forgotten(journal: Journal, path: Path) -> None:
    """What may be paid for, or runs, is not; what was accepted so long ago that nothing is left to fetch is."""
    for status in RecordStatus:
        await settle(journal, status, status, task_id=f"task-{status}", ended=5.0)
        await journal.saved(f"task-{status}", 0, Path("a.mp4"), 5, "0")
    await settle(journal, RecordStatus.WITHDRAWN, "new")
    await journal.uploaded("hash", ORIGIN, "https://files/1")
    await settle(journal, RecordStatus.ACCEPTED, "old", accepted=5.0)
    sql(path, "UPDATE tasks SET accepted = ? WHERE key = 'accepted'", time.time())
    assert await journal.forget(10.0) == 7
    assert {row.key for row in await journal.rows()} == {"sending", "accepted", "uncertain", "new"}
    assert sql(path, "SELECT count(*) FROM files") == [(3,)]
    assert await journal.upload("hash", ORIGIN, 0.0) is not None
    assert await journal.forget(time.time() + 60) == 1
    assert await journal.upload("hash", ORIGIN, 0.0) is None


def test_the_secrets_of_a_row_do_not_show() -> None:
    """Its request may quote a prompt."""
    shown = {field.name for field in attrs.fields(TaskRecord) if field.repr}
    assert not shown & {"request", "reply", "token", "fingerprint"}
