"""The memory on disk, which knows every submission before it is sent.

``record.py`` has the values and rules, ``store.py`` the interface of a store, and ``recorder.py`` what is written down
when.
The store in SQLite is ``sqlite.py``: its verbs are functions of a transaction (``sql.py``, ``schema.py``), which one
thread carries out (``writer.py``) in a file whose place it watches (``place.py``), under the names of living owners
(``owners.py``).
The store in PostgreSQL is ``postgres.py``: its verbs yield statements (``pgsql.py``), which one thread sends over one
connection (``session.py``), under a lease that says who lives (``lease.py``).
Both hand on their verbs in the same way (``verbs.py``, ``work.py``).
"""

from pathlib import Path

from foxvideo._journal.postgres import PostgresStore, is_postgres
from foxvideo._journal.record import Claim, Mine, RecordStatus, TaskRecord
from foxvideo._journal.sqlite import SqliteStore
from foxvideo._journal.store import Store

Place = Path | str
"""Where a journal lies: a file, or the URL of a PostgreSQL database."""


def store_at(place: Place) -> SqliteStore | PostgresStore:
    """Return the store of a place, which is opened at its first use.

    Raises:
        ValueError: It is a URL with options that are none.
    """
    return PostgresStore(str(place)) if is_postgres(place) else SqliteStore(place)


__all__ = [
    "Claim",
    "Mine",
    "Place",
    "PostgresStore",
    "RecordStatus",
    "SqliteStore",
    "Store",
    "TaskRecord",
    "is_postgres",
    "store_at",
]
