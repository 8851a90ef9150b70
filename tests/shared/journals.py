"""What the tests of the journal share: claims, and records in any state."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import attrs

from foxvideo import RecordStatus, TaskRecord
from foxvideo._journal import Claim, Mine, SqliteStore, owners

ORIGIN = "https://api.foxapi.cc"
CLAIM = Claim(key="shot-1", origin=ORIGIN, fingerprint="f", model="grok", request='{"prompt": "A fox"}')


def claiming(**changes: Any) -> Claim:  # noqa: ANN401 - fields of all types
    """Claim something else."""
    return attrs.evolve(CLAIM, **changes)


def sql(path: Path, statement: str, *values: object) -> list[Any]:
    """Run a statement in a connection of its own, and return what it finds."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        return db.execute(statement, values).fetchall()


def left_by_the_dead(path: Path, status: RecordStatus, key: str = "shot-1", owner: str = "d" * 32) -> Path:
    """Give the record of a key to an owner that died: its lock file is there, and nobody holds it."""
    lock = owners.path_of(path, owner)
    lock.touch()
    sql(path, "UPDATE tasks SET status = ?, owner = ? WHERE key = ?", status, owner, key)
    return lock


async def newest(store: SqliteStore, key: str = "shot-1") -> TaskRecord:
    """Return the record that stands for a key."""
    record = await store.look(key)
    assert record is not None
    return record


async def claimed(store: SqliteStore, claim: Claim = CLAIM) -> tuple[TaskRecord, bool]:
    """Claim a key; return its record, and whether that is now the client's to send."""
    found = await store.claim(claim)
    records = {record.number: record for record in await store.records()}
    return records[found.number], isinstance(found, Mine)


async def bring(
    store: SqliteStore,
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
