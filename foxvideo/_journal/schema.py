"""The tables of a journal in SQLite, how they are opened, and the one way by which statements reach them.

Out of scope: what the statements say (``sql.py``), and when a transaction begins and ends (``writer.py``).
"""

import contextlib
import functools
import math
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from foxvideo._journal import trouble
from foxvideo._journal.record import UNHEARD, TaskRecord
from foxvideo.errors import JournalError

if TYPE_CHECKING:
    import sqlite3

VERSION = 5
_OLDEST = (3, 31, 0)  # of 2020
APPLICATION = 0x464F5856  # "FOXV": this file is no other program's
SCHEMA = f"""
CREATE TABLE journal (
    identity TEXT NOT NULL
);
CREATE TABLE tasks (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    origin TEXT NOT NULL,
    account TEXT NOT NULL,
    kind TEXT,
    fingerprint TEXT NOT NULL,
    model TEXT NOT NULL,
    request TEXT NOT NULL,
    token TEXT NOT NULL,
    status TEXT NOT NULL,
    owner TEXT,
    task_id TEXT,
    adopted INTEGER NOT NULL DEFAULT 0,
    credits_reserved REAL,
    reply BLOB,
    error TEXT,
    links INTEGER,
    follower TEXT,
    planned REAL NOT NULL,
    sent REAL,
    accepted REAL,
    ended REAL,
    handed TEXT,
    traceparent TEXT,
    UNIQUE (key, attempt)
);
CREATE INDEX tasks_by_id ON tasks (task_id) WHERE task_id IS NOT NULL;
CREATE INDEX tasks_owned ON tasks (owner) WHERE owner IS NOT NULL;
CREATE INDEX tasks_running ON tasks (number) WHERE status = 'accepted';
CREATE INDEX tasks_active ON tasks (account) WHERE status IN ('sending', 'accepted', 'uncertain');
CREATE INDEX tasks_unheard ON tasks (number) WHERE {UNHEARD};
CREATE TABLE limits (
    account TEXT PRIMARY KEY,
    max_active INTEGER,
    per_second REAL,
    max_credits REAL,
    since REAL,
    halted TEXT,
    gap REAL NOT NULL DEFAULT 0,
    not_before REAL NOT NULL DEFAULT 0,
    slowed REAL NOT NULL DEFAULT 0,
    version INTEGER NOT NULL DEFAULT 1
);
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
_LARGEST = 2**63 - 1
_MOMENT = 0.005  # seconds
_MOVING = ("status", "owner", "follower", "task_id", "adopted", "error", "sent", "accepted", "ended", "handed")


def connect(path: Path, patience: float) -> "sqlite3.Connection":
    """Open a file that is a journal, or empty.

    Args:
        path: The file.
        patience: Seconds to wait for another process that writes.

    Raises:
        JournalError: The file is another program's, or of another version; it stays as it is.
        sqlite3.Error: It is no database, or cannot be used.
    """
    import sqlite3  # noqa: PLC0415 - most programs that import foxvideo have no journal

    if sqlite3.sqlite_version_info < _OLDEST:
        what = f"this Python has SQLite {sqlite3.sqlite_version}, and the journal needs {'.'.join(map(str, _OLDEST))}"
        raise JournalError(what, submitted="no", hint="use a Python that is built with a newer SQLite")
    with contextlib.ExitStack() as undo:
        db = sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
        undo.callback(db.close)
        db.row_factory = sqlite3.Row
        prepare(db)  # before anything is changed, or it would be in a file that is not ours
        _begin_log(db, patience)
        db.execute("PRAGMA synchronous = FULL")
        undo.pop_all()
    return db


def _begin_log(db: "sqlite3.Connection", patience: float) -> None:
    """Write ahead; SQLite itself does not wait here for another client that has just made the file."""
    end = time.monotonic() + patience
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except Exception as error:
            if not trouble.busy(error) or time.monotonic() > end:
                raise
            time.sleep(_MOMENT)
        else:
            return


def prepare(db: "sqlite3.Connection") -> None:
    """Make the tables in a new file.

    Raises:
        JournalError: The file is another program's, or of another version; it stays as it is.
    """
    if _told(db) == (APPLICATION, VERSION):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        (made,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        match _told(db):
            case (0, 0) if not made:
                _make(db)
            case (application, _) if application != APPLICATION:
                raise JournalError("the file is a database of something else", submitted="no", hint="name another file")
            case (_, version) if version != VERSION:
                newer = version > VERSION
                what = f"the file is of {'a newer' if newer else 'an older'} foxvideo (version {version})"
                raise JournalError(what, submitted="no", hint="update foxvideo" if newer else "name another file")
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _told(db: "sqlite3.Connection") -> tuple[int, int]:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return application, version


def _make(db: "sqlite3.Connection") -> None:
    for statement in SCHEMA.split(";"):
        db.execute(statement)
    db.execute("INSERT INTO journal VALUES (?)", (uuid.uuid4().hex,))
    db.execute(f"PRAGMA application_id = {APPLICATION}")
    db.execute(f"PRAGMA user_version = {VERSION}")


def storable(value: object) -> object:
    """Return what SQL can hold of a value, so that whatever a server says can be written down.

    Text loses NUL and lone surrogates to their escapes; a number beyond 64 bits becomes a float, or None where no
    float holds it either.
    """
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode().replace("\0", "\\x00")
        case float() if not math.isfinite(value):
            return None
        case int() if not -_LARGEST <= value <= _LARGEST:
            try:
                return float(value)
            except OverflowError:
                return None
        case _:
            return value


@functools.lru_cache
def _insertion(names: tuple[str, ...]) -> str:
    return f"INSERT INTO tasks ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - our names


@functools.lru_cache
def _change(names: tuple[str, ...], condition: str) -> str:
    return f"UPDATE tasks SET {', '.join(f'{name} = ?' for name in names)} WHERE {condition}"  # noqa: S608 - our names


@attrs.frozen(eq=False)
class Transaction:
    """What operations work in; all that they write is written at once, or none of it.

    Attributes:
        db: The connection.
        owner: Who works.
        lives: Whether an owner lives.
        now: Unix seconds.
    """

    db: "sqlite3.Connection"
    owner: str
    lives: Callable[[str], bool]
    now: float

    def run(self, statement: str, *values: object) -> "sqlite3.Cursor":
        """Run a statement; values that SQL does not hold are made storable here."""
        try:
            return self.db.execute(statement, values)
        except (UnicodeEncodeError, OverflowError):  # before it began
            return self.db.execute(statement, [storable(value) for value in values])

    def one(self, query: str, *values: object) -> TaskRecord | None:
        """Return the first record that a query finds; None if it finds none."""
        found = self.run(query, *values).fetchone()
        return None if found is None else TaskRecord(**found)

    def insert(self, columns: Mapping[str, object]) -> int:
        """Make a record, and return its number."""
        return self.run(_insertion(tuple(columns)), *columns.values()).lastrowid or 0

    def update(self, columns: Mapping[str, object], condition: str, *values: object) -> bool:
        """Change columns of the records that meet a condition, and return whether any does."""
        return self.run(_change(tuple(columns), condition), *columns.values(), *values).rowcount > 0

    def write(self, record: TaskRecord) -> TaskRecord:
        """Write what moves may have changed of a record, and return it."""
        self.update({name: getattr(record, name) for name in _MOVING}, "number = ?", record.number)
        return record
