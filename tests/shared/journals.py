"""What the tests of the journal share: a place in memory, claims, and records in any state."""

import asyncio
import contextlib
import json
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from databases import execute, old, opened

from foxvideo import JournalError, RecordStatus, TaskRecord
from foxvideo._journal import Claim, Mine, Place, SqliteStore, Store, owners

ORIGIN = "https://api.foxapi.cc"
CLAIM = Claim(key="shot-1", origin=ORIGIN, fingerprint="f", model="grok", request='{"prompt": "A fox"}')


@pytest.fixture
def ram() -> Iterator[Path]:
    """Make a folder in memory, where there is such a thing: every commit is synced, and tests have many."""
    shared = Path("/dev/shm")  # noqa: S108 - the folder in it has a name of its own
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def kind() -> str:
    """Say what keeps the journal; a module whose tests are for every store has a fixture of its own for that."""
    return "sqlite"


@pytest.fixture
def path(kind: str, ram: Path, request: pytest.FixtureRequest) -> Any:  # noqa: ANN401 - a path, or the URL of a database
    """Say where the journal of a test lies, alone in its folder or its database."""
    if kind == "postgres":
        return request.getfixturevalue("database")
    (ram / "home").mkdir()
    return ram / "home" / "videos.db"


@pytest.fixture
def elsewhere(kind: str, ram: Path, request: pytest.FixtureRequest) -> Any:  # noqa: ANN401 - as above
    """Say where another journal may lie."""
    return request.getfixturevalue("databases")() if kind == "postgres" else ram / "other.db"


@pytest.fixture
async def store(path: Place) -> AsyncIterator[Any]:
    """Open a journal that waits for nobody for long."""
    async with opened(path) as store:
        yield store


def claiming(**changes: Any) -> Claim:  # noqa: ANN401 - fields of all types
    """Claim something else."""
    return attrs.evolve(CLAIM, **changes)


def sql(path: Place, statement: str, *values: object) -> list[Any]:
    """Run a statement in a connection of its own, and return what it finds."""
    if isinstance(path, str):
        return execute(path, statement, *values)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        return db.execute(statement, values).fetchall()


def left_by_the_dead(path: Place, status: RecordStatus, key: str = "shot-1", owner: str = "d" * 32) -> Path | None:
    """Give the record of a key to an owner that died: its lock file is there, and nobody holds it; return that.

    In a database it is a lease that ran out, and all who live have been heard for long.
    """
    sql(path, "UPDATE tasks SET status = ?, owner = ? WHERE key = ?", status, owner, key)
    if isinstance(path, str):
        execute(path, "INSERT INTO owners VALUES (?, now(), now() - interval '1 s') ON CONFLICT DO NOTHING", owner)
        old(path)
        return None
    lock = owners.path_of(path, owner)
    lock.touch()
    return lock


async def newest(store: Store, key: str = "shot-1") -> TaskRecord:
    """Return the record that stands for a key."""
    record = await store.look(key)
    assert record is not None
    return record


async def claimed(store: Store, claim: Claim = CLAIM) -> tuple[TaskRecord, bool]:
    """Claim a key; return its record, and whether that is now the client's to send."""
    found = await store.claim(claim)
    records = {record.number: record for record in await store.records()}
    return records[found.number], isinstance(found, Mine)


async def bring(
    store: Store,
    status: RecordStatus,
    key: str = "shot-1",
    *,
    task_id: str | None = None,
    reply: bytes | None = b"{}",
    links: int | None = 1,
    **claim: Any,  # noqa: ANN401 - fields of all types
) -> TaskRecord:
    """Claim a key, and go the way to a status; what is accepted has the id ``task-KEY``, unless another is given."""
    number, task_id = (await store.claim(claiming(key=key, **claim))).number, task_id or f"task-{key}"
    if status not in {RecordStatus.PLANNED, RecordStatus.WITHDRAWN}:
        assert await store.sending(number)
    if status in {RecordStatus.REFUSED, RecordStatus.WITHDRAWN, RecordStatus.UNCERTAIN}:
        assert await store.move(number, status, error=f"it is {status}")
    if status is RecordStatus.ACCEPTED or status.over:
        await store.accepted(number, task_id, credits_reserved=12.5, reply=reply)
    if status.over:
        await store.ended(task_id, status, reply=reply, links=links, credits_reserved=None, error=None)
    (record,) = [record for record in await store.records(key=key) if record.number == number]
    return record


def refused(error: JournalError, path: Path) -> None:
    """Assert that an error says that nothing was sent, names the file, and tells the next step."""
    assert (error.submitted, str(path) in str(error), bool(error.hint)) == ("no", True, True)


def connection(store: SqliteStore) -> sqlite3.Connection:
    """Return the connection of a store that is open."""
    db = store._here()._connection
    assert db is not None
    return db


def log(path: Path, suffix: str) -> Path:
    """Return where a file of SQLite lies beside a journal."""
    return path.with_name(path.name + suffix)


_READ = """
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
        [sys.executable, "-c", _READ, str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    return json.loads(found.stdout)
