"""What a disk does to a journal, and the one thread that writes it."""

import asyncio
import contextlib
import os
import resource
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from journals import CLAIM, bring, claimed, claiming, connection, refused, sql

from foxvideo import JournalError, KeyConflict, RecordStatus
from foxvideo._journal import Mine, SqliteStore, schema
from foxvideo._journal.schema import Transaction

NOBODY = 65534


# --- A disk that does not do what it should ---


@pytest.mark.parametrize("opened", [True, False])
async def test_who_waits_too_long_for_another_that_writes_is_told(
    store: SqliteStore, path: Path, *, opened: bool
) -> None:
    """And goes on once that has ended."""
    async with SqliteStore(path) as first:
        await first.claim(claiming(key="shot-0"))
    if opened:
        await store.look("shot-0")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="locked") as caught:
            await store.claim(CLAIM)
        refused(caught.value, path)
        other.execute("ROLLBACK")
    assert isinstance(await store.claim(CLAIM), Mine)


async def test_an_id_that_could_not_be_written_can_be_written_later(store: SqliteStore, path: Path) -> None:
    """The error carries it, and says that it is paid for."""
    record = await bring(store, RecordStatus.SENDING)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError) as caught:
            await store.accepted(record.number, "task-1", credits_reserved=None, reply=None)
        assert (caught.value.task_id, caught.value.submitted) == ("task-1", "yes")
        other.execute("ROLLBACK")
    await store.accepted(record.number, "task-1", credits_reserved=None, reply=None)
    assert [found.task_id for found in await store.records(running=True)] == ["task-1"]


@pytest.mark.parametrize(
    ("verb", "money"), [("sending", "no"), ("uncertain", "unknown"), ("planned", "no"), ("decide", "unknown")]
)
async def test_an_error_says_of_money_what_its_verb_is_about(
    store: SqliteStore, path: Path, verb: str, money: str
) -> None:
    """What is not written down as leaving does not leave; what is uncertain stays so."""
    record = await bring(store, RecordStatus.SENDING)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError) as caught:
            await (
                store.uncertain("shot-1", "x") if verb == "decide" else store.move(record.number, RecordStatus(verb))
            )
        assert caught.value.submitted == money


async def test_the_loop_does_not_wait_for_another_that_writes(path: Path) -> None:
    """Only who asked the journal does."""
    async with SqliteStore(path, patience=5.0) as store:
        await store.look("shot-1")
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            claim = store.claim(CLAIM)
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
    prepare = schema.prepare
    others: list[sqlite3.Connection] = []

    def interrupted(db: sqlite3.Connection) -> None:
        prepare(db)
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        others.append(other)

    monkeypatch.setattr(schema, "prepare", interrupted)
    monkeypatch.setattr(time, "sleep", lambda _: others[0].execute("ROLLBACK") if patient else None)
    async with SqliteStore(path, patience=0.02) as store:
        if patient:
            assert isinstance(await store.claim(CLAIM), Mine)
        else:
            with pytest.raises(JournalError, match="locked"):
                await store.claim(CLAIM)
    others[0].close()


async def test_clients_that_make_the_file_at_once_all_can_use_it(ram: Path) -> None:
    """None of them finds it half made."""

    async def claimed(path: Path, key: str) -> bool:
        async with SqliteStore(path) as store:
            return isinstance(await store.claim(claiming(key=key)), Mine)

    for number in range(3):
        path = ram / f"{number}.db"
        assert await asyncio.gather(*(claimed(path, f"shot-{each}") for each in range(6))) == [True] * 6
        assert sql(path, "SELECT count(*) FROM tasks") == [(6,)]
        assert sql(path, "SELECT count(*) FROM journal") == [(1,)]


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
async def test_a_file_that_cannot_be_written_is_an_error_until_it_can(folder: int) -> None:
    """What cannot be written down is not sent."""
    holder = Path(tempfile.mkdtemp())  # not in the folder of the tests, which only its owner can enter
    try:
        path = holder / "videos.db"
        async with SqliteStore(path) as first:
            await first.claim(CLAIM)
        path.chmod(0o444)
        holder.chmod(folder)
        store = SqliteStore(path, patience=0.05)
        with unprivileged(), pytest.raises(JournalError, match="cannot be written") as caught:
            await store.claim(claiming(key="shot-2"))
        refused(caught.value, path)
        path.chmod(0o666)
        holder.chmod(0o777)
        with unprivileged():
            assert isinstance(await store.claim(claiming(key="shot-2")), Mine)
            await store.close()
    finally:
        holder.chmod(0o777)
        shutil.rmtree(holder)


async def test_a_folder_that_cannot_be_written_is_an_error() -> None:
    """There is no file yet, and none is made."""
    holder = Path(tempfile.mkdtemp())
    try:
        holder.chmod(0o555)
        store = SqliteStore(holder / "videos.db")
        with unprivileged():
            with pytest.raises(JournalError, match="Permission denied"):
                await store.claim(CLAIM)
            await store.close()
        assert not list(holder.iterdir())
    finally:
        holder.chmod(0o777)
        shutil.rmtree(holder)


@contextlib.contextmanager
def full(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_is_an_error_for_all_that_was_asked_for(store: SqliteStore, path: Path) -> None:
    """Nothing of it is half written, and it goes on once there is space."""
    await store.claim(CLAIM)
    with full(path.with_name("videos.db-wal").stat().st_size):
        asked = [store.claim(claiming(key=f"shot-{number}", request="x" * 9000)) for number in (2, 3)]
        errors = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(error, JournalError) and error.submitted == "no" for error in errors)
    assert [record.key for record in await store.records()] == ["shot-1"]
    assert isinstance(await store.claim(claiming(key="shot-2")), Mine)


async def test_a_disk_that_undoes_all_in_the_middle_is_an_error_for_all(store: SqliteStore) -> None:
    """Nothing that came before it in the same transaction is taken for written."""
    await store.look("shot-1")

    def broken(tx: Transaction) -> None:
        tx.db.execute("ROLLBACK")  # as SQLite itself does where a page cannot be written
        raise sqlite3.OperationalError("disk I/O error")

    asked = (store.claim(CLAIM), store._do("no", broken), store.claim(claiming(key="shot-2")))
    errors: list[object] = list(await asyncio.gather(*asked, return_exceptions=True))
    assert [isinstance(error, JournalError) and "disk I/O error" in str(error) for error in errors] == [True] * 3
    assert await store.records() == ()


async def test_a_disk_that_fails_one_operation_fails_all_and_the_file_is_opened_anew(store: SqliteStore) -> None:
    """Nobody needs a new client for that."""

    def broken(_: Transaction) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error

    await store.look("shot-1")
    before = connection(store)
    errors = await asyncio.gather(store.claim(CLAIM), store._do("no", broken), return_exceptions=True)
    assert all(isinstance(error, JournalError) and "disk I/O error" in str(error) for error in errors)
    assert await store.records() == ()
    assert connection(store) is not before


async def test_a_disk_that_cannot_be_written_for_a_while_is_an_error_for_all_and_then_none(store: SqliteStore) -> None:
    """The same client goes on."""
    await store.look("shot-1")
    connection(store).execute("PRAGMA query_only = ON")  # SQLite says the same where the disk is read-only
    asked = [store.claim(claiming(key=f"shot-{number}")) for number in range(2)]
    errors = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(error, JournalError) and "readonly" in str(error) for error in errors)
    assert isinstance(await store.claim(CLAIM), Mine)


@pytest.mark.parametrize("column", ["status", "reply"])
@pytest.mark.parametrize("verb", ["accepted", "ended"])
async def test_a_disk_that_undoes_all_while_a_reply_is_written_leaves_the_record_as_it_was(
    store: SqliteStore, path: Path, verb: str, column: str
) -> None:
    """It is no value that could be left out, and the same call works once the disk does."""
    before = await bring(store, RecordStatus.SENDING if verb == "accepted" else RecordStatus.ACCEPTED, reply=None)
    refuse = f"BEFORE UPDATE OF {column} ON tasks WHEN CAST(NEW.reply AS TEXT) = 'x' OR '{column}' = 'status'"
    sql(path, f"CREATE TRIGGER refuse {refuse} BEGIN SELECT RAISE(ROLLBACK, 'disk full'); END")

    def written() -> asyncio.Future[None]:
        if verb == "accepted":
            return store.accepted(before.number, "task-1", credits_reserved=None, reply=b"x")
        told = {"links": 1, "credits_reserved": None, "error": None}
        return store.ended("task-shot-1", RecordStatus.COMPLETED, reply=b"x", **told)  # type: ignore[arg-type]

    with pytest.raises(JournalError, match="disk full"):
        await written()
    assert await store.look("shot-1") == before
    sql(path, "DROP TRIGGER refuse")
    await written()
    after = await store.look("shot-1")
    assert after is not None
    assert after.reply == b"x"


async def test_a_connection_that_broke_is_made_anew(store: SqliteStore, path: Path) -> None:
    """Without a new client; what it owns stays its own."""
    record, _ = await claimed(store)
    before = connection(store)
    before.close()
    with pytest.raises(JournalError, match="closed database"):
        await store.look("shot-1")
    assert await store.sending(record.number)
    assert connection(store) is not before
    assert len(list(path.parent.glob("*.lock"))) == 1


async def test_a_commit_that_fails_undoes_all_and_the_next_one_is_written(store: SqliteStore) -> None:
    """The transaction is not left open."""
    await store.look("shot-1")
    for statement in (
        "PRAGMA foreign_keys = ON",
        "CREATE TABLE parents (number INTEGER PRIMARY KEY)",
        "CREATE TABLE children (parent INTEGER REFERENCES parents (number) DEFERRABLE INITIALLY DEFERRED)",
    ):
        connection(store).execute(statement)
    orphan = store._do("no", lambda tx: tx.db.execute("INSERT INTO children VALUES (1)").rowcount)
    for failed in (store.claim(CLAIM), orphan):
        with pytest.raises(JournalError, match="FOREIGN KEY"):
            await failed
    assert await store.records() == ()
    assert isinstance(await store.claim(CLAIM), Mine)


async def test_a_full_disk_within_the_file_itself(store: SqliteStore) -> None:
    """SQLite counts pages before it writes them."""
    await store.claim(CLAIM)
    connection(store).execute("PRAGMA max_page_count = 1")
    with pytest.raises(JournalError, match="full") as caught:
        await store.claim(claiming(key="shot-2", request="x" * 9000))
    assert "room" in caught.value.hint
    connection(store).execute("PRAGMA max_page_count = 1000000")
    assert [record.key for record in await store.records()] == ["shot-1"]


# --- One thread, many who ask ---


async def test_many_submissions_are_synced_at_once(store: SqliteStore) -> None:
    """A commit costs as much as many records."""
    await store.look("shot-1")
    before = store.commits
    await asyncio.gather(*(store.claim(claiming(key=f"shot-{number}")) for number in range(300)))
    assert store.commits - before <= 3
    assert len(await store.records()) == 300


async def test_an_error_undoes_nothing_but_itself(store: SqliteStore) -> None:
    """Whatever else is in the same transaction is written, and what failed half way is undone whole."""

    def halfway(tx: Transaction) -> None:
        tx.run("UPDATE tasks SET error = 'half'")
        tx.run("UPDATE nothing")

    await store.claim(CLAIM)
    conflict = store.claim(claiming(fingerprint="other"))
    broken = [store._do("no", halfway), store._do("no", lambda tx: tx.run("SELECT ?", object()).fetchone())]
    good = store.claim(claiming(key="shot-3"))
    with pytest.raises(KeyConflict):
        await conflict
    for future in broken:
        with pytest.raises(JournalError, match="cannot write this down"):
            await future
    assert isinstance(await good, Mine)
    assert {record.key: record.error for record in await store.records()} == {"shot-1": None, "shot-3": None}


async def test_who_asks_is_answered_even_where_an_error_was_not_foreseen(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it would wait for ever."""

    def broken(_: object) -> None:
        raise ZeroDivisionError("unforeseen")

    monkeypatch.setattr(schema, "prepare", broken)
    with pytest.raises(JournalError, match="unforeseen"):
        await store.claim(CLAIM)


async def test_who_asks_is_answered_where_the_system_gives_no_thread(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the next one may have better luck."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(JournalError, match="new thread"):
            await store.claim(CLAIM)
    assert isinstance(await store.claim(CLAIM), Mine)


async def test_cancelling_one_who_waits_undoes_nothing(store: SqliteStore) -> None:
    """It is written all the same, and the others are answered."""
    gone, stays = store.claim(CLAIM), store.claim(claiming(key="shot-2"))
    gone.cancel()
    assert isinstance(await stays, Mine)
    assert len(await store.records()) == 2


async def test_an_error_that_nobody_waits_for_is_no_noise(store: SqliteStore) -> None:
    """The loop would complain, and fail this test."""
    await store.claim(CLAIM)
    _ = store.claim(claiming(fingerprint="other"))
    await store.records()


def test_what_was_asked_for_is_written_although_the_loop_has_ended(path: Path) -> None:
    """Nobody hears of it."""
    store = SqliteStore(path)
    loop = asyncio.new_event_loop()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        async def main() -> None:
            _ = store.claim(CLAIM)

        loop.run_until_complete(main())
        loop.run_until_complete(asyncio.sleep(0))  # it is handed to the thread
        loop.close()
        other.execute("ROLLBACK")
    writer = store._here()
    writer._thread.submit(writer.shut).result()
    assert sql(path, "SELECT key FROM tasks") == [("shot-1",)]


def test_a_loop_that_ended_before_its_work_was_begun_does_not_keep_the_next_one_waiting(path: Path) -> None:
    """Whoever asks next takes that along."""
    store = SqliteStore(path)
    loop = asyncio.new_event_loop()

    def ask() -> None:
        _ = store.claim(CLAIM)
        loop.stop()

    loop.call_soon(ask)
    loop.run_forever()
    loop.close()  # before it handed anything over

    async def go_on() -> int:
        async with asyncio.timeout(5), store:
            return len(await store.records())

    assert asyncio.run(go_on()) == 1


def test_two_loops_are_each_told_what_they_asked_for(path: Path) -> None:
    """Though one thread does the work of both."""
    store, ready = SqliteStore(path), threading.Barrier(2)

    async def ask(name: str) -> list[str]:
        await store.look("x")
        ready.wait(5)
        found = await asyncio.gather(*(store.claim(claiming(key=f"{name}-{number}")) for number in range(50)))
        assert all(isinstance(each, Mine) for each in found)
        return [record.key for record in await store.records() if record.key.startswith(name)]

    told: dict[str, list[str]] = {}
    threads = [
        threading.Thread(target=lambda name=name: told.update({name: asyncio.run(ask(name))})) for name in ("a", "b")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    asyncio.run(store.close())
    assert {name: len(keys) for name, keys in told.items()} == {"a": 50, "b": 50}
