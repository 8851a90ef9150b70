"""What stands in the way of a journal in PostgreSQL, or may some day: looked at before anything depends on it."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from foxvideo._journal.postgres import Database, connected

_OLDEST = 13  # of PostgreSQL: the first that makes random names by itself
_CLOCK_SECONDS = 5.0
_QUERY = """
    SELECT current_setting('server_version') AS version, extract(epoch FROM clock_timestamp())::float8 AS now,
        current_setting('server_version_num')::integer / 10000 AS major,
        current_setting('synchronous_standby_names') AS synchronous,
        (SELECT count(*) FROM pg_stat_replication) AS standbys,
        (SELECT string_agg(tablename, ', ' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'foxvideo' AND NOT (
            has_table_privilege(format('%I.%I', schemaname, tablename), 'SELECT') AND (tablename = 'journal' OR
            has_table_privilege(format('%I.%I', schemaname, tablename), 'INSERT') AND
            has_table_privilege(format('%I.%I', schemaname, tablename), 'UPDATE') AND
            has_table_privilege(format('%I.%I', schemaname, tablename), 'DELETE')))) AS closed
"""


_WORKERS = """
    SELECT o.id, o.place, extract(epoch FROM o.since)::float8 AS since,
        extract(epoch FROM clock_timestamp() - o.until)::float8 AS silent,
        (SELECT count(*) FROM foxvideo.tasks t WHERE t.owner = o.id AND t.status = 'planned') AS planned,
        (SELECT count(*) FROM foxvideo.tasks t WHERE t.owner = o.id AND t.status = 'sending') AS sending,
        (SELECT count(*) FROM foxvideo.tasks t WHERE t.follower = o.id AND t.status = 'accepted') AS following
    FROM foxvideo.owners o ORDER BY o.since
"""


@attrs.frozen
class Worker:
    """One client of the journal.

    Attributes:
        id: Its name in the journal.
        place: The machine and the process; None if not told.
        since: From when on it was heard of without a gap, in Unix seconds.
        silent: Seconds since its lease ended; negative while it lives.
        planned: Submissions that wait in it.
        sending: Submissions that are under way.
        following: Accepted tasks that it follows.
    """

    id: str
    place: str | None
    since: float
    silent: float
    planned: int
    sending: int
    following: int

    @property
    def lives(self) -> bool:
        """Whether its lease holds."""
        return self.silent < 0


def workers(url: str) -> tuple[Worker, ...]:
    """Return the clients of a journal, the oldest first; what nobody has reaped yet is among them. Blocks.

    Raises:
        JournalError: It cannot be reached.
    """
    with connected(Database.of(url)) as connection:
        return tuple(Worker(**row) for row in connection.execute(_WORKERS).fetchall())


@attrs.frozen
class Finding:
    """One thing that should be otherwise.

    Attributes:
        what: What was found.
        advice: What to do about it.
        fatal: Whether nothing can be submitted until then.
    """

    what: str
    advice: str
    fatal: bool = False


def inspect(url: str) -> tuple[Finding, ...]:
    """Look at a database, and change nothing; blocks.

    Raises:
        JournalError: It cannot be reached.
    """
    with connected(Database.of(url)) as connection:
        found = connection.execute(_QUERY).fetchone()
    return tuple(findings(found, time.time()))


def findings(found: Mapping[str, Any], now: float) -> Iterator[Finding]:
    """Yield what should be otherwise.

    Args:
        found: What the database told.
        now: This machine's time, in Unix seconds.
    """
    if found["major"] < _OLDEST:
        yield Finding(f"PostgreSQL {found['version']} is too old", f"{_OLDEST} or newer is needed", fatal=True)
    if found["closed"]:
        yield Finding(
            f"this role may not change {found['closed']}",
            "GRANT USAGE ON SCHEMA foxvideo, and SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA foxvideo",
            fatal=True,
        )
    if found["standbys"] and not found["synchronous"]:
        yield Finding(
            "a standby follows asynchronously: a failover forgets the last commits, and what they knew is bought again",
            "set synchronous_standby_names",
        )
    if abs(off := now - found["now"]) > _CLOCK_SECONDS:
        yield Finding(f"the clock of this machine is {off:+.0f} s off the database's", "set the clocks by NTP")
