"""A journal around a fork: whoever has it open keeps it, and its children neither use nor close it."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from forking import forked
from journals import bring, claiming, log, seen_by_another, sql

from foxvideo import RecordStatus
from foxvideo._journal import SqliteStore, owners


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
