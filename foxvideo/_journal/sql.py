"""The tables of the journal, and everything that is read from them or written to them.

What belongs here: the schema, and functions of a connection that is inside a transaction. What must not: threads,
transactions and files (``sqlite.py``), and what one may do with a row (``record.py``).
"""

import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from foxvideo._journal.record import Ask, Mine, RecordStatus, Right, TaskRecord, right
from foxvideo._transfer.part import SavedFile
from foxvideo.errors import KeyStateError

if TYPE_CHECKING:
    from sqlite3 import Connection

VERSION = 1
APPLICATION = 0x464F5856  # "FOXV": this file is no other program's
SCHEMA = """
CREATE TABLE tasks (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    origin TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    model TEXT NOT NULL,
    request TEXT NOT NULL,
    token TEXT NOT NULL,
    status TEXT NOT NULL,
    owner TEXT,
    task_id TEXT,
    credits REAL,
    reply BLOB,
    error TEXT,
    planned REAL NOT NULL,
    sent REAL,
    accepted REAL,
    ended REAL,
    UNIQUE (key, attempt)
);
CREATE INDEX tasks_by_id ON tasks (task_id) WHERE task_id IS NOT NULL;
CREATE INDEX tasks_owned ON tasks (owner) WHERE owner IS NOT NULL;
CREATE INDEX tasks_running ON tasks (number) WHERE status = 'accepted';
CREATE TABLE files (
    task_id TEXT NOT NULL,
    place INTEGER NOT NULL,
    path TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    saved REAL NOT NULL,
    PRIMARY KEY (task_id, place)
);
CREATE TABLE uploads (
    sha256 TEXT NOT NULL,
    origin TEXT NOT NULL,
    url TEXT NOT NULL,
    uploaded REAL NOT NULL,
    PRIMARY KEY (sha256, origin)
);
CREATE TABLE durations (
    number INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    record TEXT NOT NULL,
    ended REAL NOT NULL
);
"""
_ROWS = """
    SELECT tasks.*, (SELECT path FROM files WHERE files.task_id = tasks.task_id ORDER BY place LIMIT 1) AS file,
        (SELECT count(*) FROM files WHERE files.task_id = tasks.task_id) AS saved
    FROM tasks
"""
_NOTHING = "(status IN ('refused', 'withdrawn') OR (status = 'planned' AND owner IS NULL))"
_SETTLED = f"(status IN ('completed', 'failed', 'cancelled') OR {_NOTHING})"
_LONGEST = 48 * 3600.0  # seconds; after that nothing is left of a task that could be fetched
Lives = Callable[[str], bool]


# --- Submits -----------------------------------------------------------------------------------------------------


def claim(db: "Connection", ask: Ask, *, owner: str, lives: Lives, now: float) -> Mine | TaskRecord:
    """Make the row of a key the owner's to send, or return it as it is.

    Raises:
        KeyConflict: The key is another request's, or another origin's.
    """
    row = look(db, ask.key, lives=lives)
    attempt, token = 1, uuid.uuid4().hex
    if row is not None:
        match right(row, ask):
            case Right.NONE:
                return row
            case Right.TAKE:
                change(db, row.number, {"status": RecordStatus.PLANNED, "owner": owner, "error": None, "ended": None})
                return Mine(row.number, row.token)
        (last,) = db.execute("SELECT max(attempt) FROM tasks WHERE key = ?", (row.key,)).fetchone()
        attempt = last + 1
        if row.status is RecordStatus.UNCERTAIN:  # should the service read it, it sees that this is a repeat
            token = row.token
    number = _insert(db, ask, attempt, status=RecordStatus.PLANNED, owner=owner, token=token, planned=now)
    return Mine(number, token)


def begin(db: "Connection", ask: Ask, *, owner: str, token: str, now: float) -> int:
    """Note that the request of a submit that is nobody else's is about to leave; return the number of its row."""
    return _insert(db, ask, 1, status=RecordStatus.SENDING, owner=owner, token=token, planned=now, sent=now)


def sending(db: "Connection", number: int, *, owner: str, now: float) -> bool:
    """Note that a request is about to leave; False where the row is not the owner's to send any more."""
    query = "UPDATE tasks SET status = 'sending', sent = ? WHERE number = ? AND status = 'planned' AND owner = ?"
    return db.execute(query, (now, number, owner)).rowcount == 1


def change(db: "Connection", number: int, changes: Mapping[str, Any], *, owner: str | None = None) -> None:
    """Change columns of a row; with an owner, only while it is that one's, or nobody's."""
    columns = ", ".join(f"{name} = ?" for name in changes)
    whose = "(? IS NULL OR owner IS NULL OR owner = ?)"
    query = f"UPDATE tasks SET {columns} WHERE number = ? AND {whose}"  # noqa: S608 - our names
    db.execute(query, (*changes.values(), number, owner, owner))


def ended(db: "Connection", task_id: str, changes: Mapping[str, Any]) -> None:
    """Change columns of every row of a task."""
    for (number,) in db.execute("SELECT number FROM tasks WHERE task_id = ?", (task_id,)).fetchall():
        change(db, number, changes)


def update(db: "Connection", row: TaskRecord, changes: Mapping[str, Any]) -> TaskRecord:
    """Change columns of a row, and return it as it is then."""
    change(db, row.number, changes)
    return attrs.evolve(row, **changes)


def adopt(db: "Connection", key: str, task_id: str, *, origin: str, lives: Lives, now: float) -> TaskRecord:
    """Note that an uncertain submit made a task.

    Raises:
        KeyStateError: There is no uncertain submit under the key, or the id is another submit's.
    """
    row = uncertain(db, key, origin=origin, lives=lives)
    other = db.execute("SELECT key FROM tasks WHERE task_id = ? AND number != ?", (task_id, row.number)).fetchone()
    if other is not None:
        what = f"the task {task_id} was made by the submit {other[0]!r}"
        raise KeyStateError(what, key=key, submitted=row.status.submitted)
    return update(db, row, {"status": RecordStatus.ACCEPTED, "task_id": task_id, "error": None, "accepted": now})


def uncertain(db: "Connection", key: str, *, origin: str, lives: Lives) -> TaskRecord:
    """Return the newest row of a key, which is uncertain.

    Raises:
        KeyStateError: It is not, or there is none; a row that is being sent is not, while its owner lives.
    """
    row = look(db, key, lives=lives)
    if row is None or row.status is not RecordStatus.UNCERTAIN:
        found = "is not in the journal" if row is None else f"is {row.status}"
        raise KeyStateError(
            f"the submit {found}, not uncertain",
            submitted="no" if row is None else row.status.submitted,
            key=key,
            task_id=None if row is None else row.task_id,
        )
    if row.origin != origin:
        raise KeyStateError(f"the submit went to {row.origin}", key=key, submitted=row.status.submitted)
    return row


def newest(db: "Connection", key: str) -> TaskRecord | None:
    """Return the last attempt under a key; None if there is none.

    One that made nothing does not hide an earlier one that did, or may have.
    """
    order = f"ORDER BY {_NOTHING}, attempt DESC"
    found = db.execute(f"{_ROWS} WHERE key = ? {order} LIMIT 1", (key,)).fetchone()
    return None if found is None else TaskRecord(**found)


def look(db: "Connection", key: str, *, lives: Lives) -> TaskRecord | None:
    """Return the last attempt under a key, with what its owner's death makes of it; None if there is none."""
    row = newest(db, key)
    settled = None if row is None else _settled(db, row, lives)
    # What a dead owner has not sent has made nothing, and hides no earlier attempt.
    return settled if settled is row else newest(db, key)


def rows(db: "Connection", *, key: str | None, running: bool, lives: Lives) -> tuple[TaskRecord, ...]:
    """Return rows in the order of planning.

    Args:
        db: The database.
        key: Of this key alone; None for all.
        running: Only those that are accepted and not known to have ended.
        lives: Whether an owner lives.
    """
    for found in db.execute(f"{_ROWS} WHERE owner IS NOT NULL").fetchall():
        _settled(db, TaskRecord(**found), lives)
    which = "status = 'accepted'" if running else "? IS NULL OR key = ?"
    query = f"{_ROWS} WHERE {which} ORDER BY number"
    return tuple(TaskRecord(**found) for found in db.execute(query, () if running else (key, key)))


def forget(db: "Connection", before: float, *, lives: Lives, now: float) -> int:
    """Delete what is settled since before a time, and return how many submits that were.

    That is what has ended and what made nothing, and in the end what was accepted, since links live 24 hours. What is
    uncertain stays.
    """
    rows(db, key=None, running=True, lives=lives)  # a dead owner has no rows
    which = f"({_SETTLED} AND coalesce(ended, planned) < ? OR status = 'accepted' AND accepted < ?)"
    times = (before, min(before, now - _LONGEST))
    db.execute(f"DELETE FROM files WHERE task_id IN (SELECT task_id FROM tasks WHERE {which})", times)  # noqa: S608 - ours
    db.execute("DELETE FROM uploads WHERE uploaded < ?", (before,))
    return db.execute(f"DELETE FROM tasks WHERE {which}", times).rowcount  # noqa: S608 - our text


def _settled(db: "Connection", row: TaskRecord, lives: Lives) -> TaskRecord:
    """Take a row away from a dead owner: what was planned is free, what was being sent is uncertain."""
    if row.owner is None or lives(row.owner):
        return row
    if row.status is RecordStatus.SENDING:
        why = "submit: the client that sent it died before the reply"
        return update(db, row, {"owner": None, "status": RecordStatus.UNCERTAIN, "error": why})
    return update(db, row, {"owner": None})


def _insert(db: "Connection", ask: Ask, attempt: int, **more: object) -> int:
    values = {
        "key": ask.key,
        "attempt": attempt,
        "origin": ask.origin,
        "fingerprint": ask.fingerprint,
        "model": ask.model,
        "request": ask.request,
        **more,
    }
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    return db.execute(f"INSERT INTO tasks ({names}) VALUES ({marks})", tuple(values.values())).lastrowid or 0  # noqa: S608 - our names


# --- Files and durations -----------------------------------------------------------------------------------------


def saved(db: "Connection", task_id: str, place: int, *, path: str, size: int, sha256: str, now: float) -> None:
    """Note where a result of a task was saved."""
    db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", (task_id, place, path, size, sha256, now))


def files(db: "Connection", task_id: str) -> Mapping[int, SavedFile]:
    """Return what was saved of a task, by the number of the result."""
    found = db.execute("SELECT place, path, size, sha256 FROM files WHERE task_id = ?", (task_id,)).fetchall()
    return {place: SavedFile(Path(path), size, sha256) for place, path, size, sha256 in found}


def uploaded(db: "Connection", sha256: str, origin: str, url: str, *, now: float) -> None:
    """Note under which URL a content was uploaded."""
    db.execute("INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?)", (sha256, origin, url, now))


def upload(db: "Connection", sha256: str, origin: str, since: float) -> str | None:
    """Return the URL of a content that was uploaded after a time; None if there is none."""
    query = "SELECT url FROM uploads WHERE sha256 = ? AND origin = ? AND uploaded > ?"
    found = db.execute(query, (sha256, origin, since)).fetchone()
    return None if found is None else found[0]


def forget_uploads(db: "Connection", urls: Iterable[str]) -> None:
    """Forget uploads that the service does not find any more."""
    db.executemany("DELETE FROM uploads WHERE url = ?", [(url,) for url in urls])


def learn(db: "Connection", model: str, record: str, *, now: float) -> None:
    """Note how a task of a model went, as the schedule tells it."""
    db.execute("INSERT INTO durations (model, record, ended) VALUES (?, ?, ?)", (model, record, now))


def learned(db: "Connection", most: int) -> tuple[str, ...]:
    """Return the newest records, the oldest of them first."""
    query = "SELECT record FROM durations ORDER BY number DESC LIMIT ?"
    return tuple(record for (record,) in db.execute(query, (most,)).fetchall()[::-1])
