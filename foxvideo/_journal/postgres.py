"""A store in a PostgreSQL database, which clients on many machines may share.

Its verbs are in ``pgsql.py``, the connection and the lease in ``session.py``, the tables in ``postgres.sql``.
"""

import contextlib
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any, ClassVar, TypeGuard
from urllib.parse import parse_qsl, urlencode, urlsplit

import attrs

from foxvideo._journal import pgsql
from foxvideo._journal.session import Session, told
from foxvideo._journal.verbs import Verbs
from foxvideo.errors import JournalError

_URL = re.compile(r"postgres(ql)?://")
_LEASE = 10.0
_SHORTEST_LEASE = 1.0
_PATIENCE = 30.0


def is_postgres(place: object) -> TypeGuard[str]:
    """Whether what names a journal is the URL of a PostgreSQL database."""
    return isinstance(place, str) and _URL.match(place) is not None


def shown(place: object) -> str:
    """Return a place as it may be shown: the URL of a database without its password, and what may hold another."""
    if not is_postgres(place):
        return str(place)
    parts = urlsplit(place)
    user, at, host = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{user.partition(':')[0]}{at}{host}{parts.path}"


@attrs.frozen
class Database:
    """Where a journal lies.

    Attributes:
        url: What psycopg connects to; holds the password.
        where: The same, as an error shows it.
        lease: Seconds without a word after which others take a client for dead.
        prepare: Whether statements are prepared; not behind a PgBouncer before 1.21.
    """

    url: str = attrs.field(repr=False)
    where: str
    lease: float
    prepare: bool

    @classmethod
    def of(cls, url: str) -> "Database":
        """Return the database that a URL names; ``lease`` and ``prepare`` in its query are foxvideo's own.

        Raises:
            ValueError: They are no number of seconds, and neither yes nor no.
        """
        try:
            parts = urlsplit(url)
            where, options = shown(url), dict(parse_qsl(parts.query, keep_blank_values=True))
        except ValueError:
            raise ValueError("journal must be a path or the URL of a PostgreSQL database") from None
        try:
            lease = float(options.pop("lease", _LEASE))
            prepare = {"yes": True, "no": False}[options.pop("prepare", "yes")]
        except (ValueError, KeyError):
            raise ValueError(f"journal {where}: lease is a number of seconds, prepare is yes or no") from None
        if not _SHORTEST_LEASE <= lease <= 3600:  # noqa: PLR2004 - an hour
            raise ValueError(f"journal {where}: lease must be 1 to 3600 seconds")
        return cls(parts._replace(query=urlencode(options)).geturl(), where, lease, prepare)

    def options(self) -> dict[str, Any]:
        """Return what ``psycopg.connect`` takes."""
        return {
            "conninfo": self.url,
            "connect_timeout": 10,
            "application_name": "foxvideo",
            "prepare_threshold": 5 if self.prepare else None,
        }


@attrs.define(eq=False)
class PostgresStore(Verbs[Session]):
    """A ``Store`` in a database; each verb is described there.

    Nothing is connected before the first use. What was opened belongs to the process that did it: a child that is
    forked later gets ``JournalError``.

    A client is known to live as long as it was heard of within its lease. Where it was not, since its process was
    stopped or the database was away, another may take what it had planned, and calls *uncertain* what it was sending.

    Attributes:
        url: Of the database; beside what libpq knows, its query may have ``lease``, seconds, and ``prepare=no``.
        database: What that says.
        patience: Seconds to wait for a database that is away, before a verb fails.
    """

    operations: ClassVar[ModuleType] = pgsql
    url: str = attrs.field(repr=False)
    patience: float = attrs.field(factory=lambda: _PATIENCE, kw_only=True)
    database: Database = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.database = Database.of(self.url)

    @property
    def place(self) -> str:
        """The database, as an error shows it."""
        return self.database.where

    def still_mine(self, owner: str) -> bool:
        return self._here().still_mine(owner)

    def _open(self) -> Session:
        database = self.database
        return Session(database.options(), database.where, database.lease, self.patience)


@contextlib.contextmanager
def connected(database: Database) -> Iterator[Any]:
    """Connect to a database for a moment; rows are mappings. What breaks is a ``JournalError``."""
    try:
        import psycopg  # noqa: PLC0415 - an extra
        from psycopg.rows import dict_row  # noqa: PLC0415

        with psycopg.connect(**database.options(), row_factory=dict_row) as connection:
            yield connection
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        what, hint = told(error)
        raise JournalError(f"{database.where}: {what}", submitted="no", hint=hint) from None


def has_journal(url: str) -> bool:
    """Whether a database has the tables of a journal; blocks.

    Raises:
        JournalError: It cannot be reached.
    """
    with connected(Database.of(url)) as connection:
        found = connection.execute("SELECT count(*) AS them FROM pg_tables WHERE schemaname = 'foxvideo'").fetchone()
    return bool(found["them"])


def init(url: str) -> None:
    """Make the tables of a journal in a database.

    Raises:
        JournalError: There are some already, the role may not, or the database cannot be reached.
    """
    with connected(Database.of(url)) as connection:
        connection.execute(pgsql.SCHEMA.read_text(encoding="utf-8").encode())
