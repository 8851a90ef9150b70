"""A table on the disk for what grows with the manifest.

What belongs here: the temporary database. What must not: anything that should outlive the process.

A Python ``dict`` takes some 100 bytes for each row of a manifest; this takes 20 on the disk and a few megabytes of
cache in all, for a few microseconds each.
"""

import contextlib
import sqlite3
from collections.abc import Iterator

_CACHE_KILOBYTES = 8192


@contextlib.contextmanager
def scratch(schema: str) -> Iterator[sqlite3.Connection]:
    """Open a database without a name, which lies in a temporary file and is gone when it is closed.

    It may be used by any thread, one at a time.
    """
    with contextlib.closing(sqlite3.connect("", isolation_level=None, check_same_thread=False)) as db:
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        db.execute(f"PRAGMA cache_size = -{_CACHE_KILOBYTES}")
        db.execute("BEGIN")
        db.execute(schema)
        yield db
