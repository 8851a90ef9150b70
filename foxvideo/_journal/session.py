"""One connection to PostgreSQL, in one thread, and the lease by which this client is known to live.

All that waits goes out together, in a pipeline: one way to the server and one commit for sixteen statements. A
connection that breaks is made anew, and what was not answered is asked again, for as long as ``patience``: every
statement finds its own first try. A claim that fails all the same may have been carried out: before anything else is
asked it is undone.

The lease is renewed by the thread, so a busy event loop loses it no more than a busy database does. What it is worth is
counted here on a clock that runs while the machine sleeps, and from *before* the database was asked: a process that was
stopped for longer knows that others may have taken it for dead, before it sends anything.
"""

import contextlib
import logging
import os
import socket
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from foxvideo._journal import lease, owners, pgsql
from foxvideo._journal.lease import Row, Statement
from foxvideo._journal.schema import storable
from foxvideo._journal.work import Work, Worker
from foxvideo.errors import FoxError, JournalError

if TYPE_CHECKING:
    import psycopg

_log = logging.getLogger("foxvideo")

_PIPELINE = 16  # statements: more would wait for each other's locks in one transaction
_BEATS = 5  # in each lease
_MARGIN = 0.9  # of a lease, after which nothing is sent any more
_FIRST_PAUSE = 0.05  # seconds until a connection is tried once more; doubles
_POOLER = "behind a PgBouncer before 1.21 the URL needs ?prepare=no"
_INIT = "a role that may create a schema runs: foxvideo journal init"


def boot_time() -> float:
    """Return seconds that also pass while this process is stopped or this machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)  # Linux; the monotonic clock stands still in a suspended machine
    return time.monotonic() if clock is None else time.clock_gettime(clock)


@attrs.define(eq=False)
class Session(Worker):
    """What one process has open of a journal in PostgreSQL.

    Attributes:
        options: How to connect, as ``psycopg.connect`` takes it.
        where: The database, as an error shows it.
        lease: Seconds without a word after which others take this client for dead.
        patience: Seconds to wait for a database that is away.
        owner: The name under which this client owns records; a new one once it was taken for dead.
        used: Whether anything was begun.
        commits: How many transactions were sent.
    """

    options: Mapping[str, Any] = attrs.field(repr=False)
    where: str
    lease: float
    patience: float
    _names: list[str] = attrs.field(factory=list, init=False)
    _kept_alive: bool = attrs.field(default=False, init=False)
    _valid_until: float = attrs.field(default=0.0, init=False)
    _renew_at: float = attrs.field(default=0.0, init=False)
    _gone: threading.Event = attrs.field(factory=threading.Event, init=False)
    _undo: list[Statement] = attrs.field(factory=list, init=False)
    _asked_at: float | None = attrs.field(default=None, init=False)  # of what is not answered yet
    _connection: "psycopg.Connection[dict[str, Any]] | None" = attrs.field(default=None, init=False)

    def still_mine(self, owner: str) -> bool:
        """Whether nobody can have taken this client for dead since it wrote something down under a name."""
        valid = boot_time() < self._valid_until  # first: the thread may give it a new name, and a lease for that, now
        return valid and owner == self.owner

    # --- In the thread ---

    def _failed(self, work: Work, error: Exception) -> JournalError:
        what, hint = told(error)
        return work.failed(f"{self.where}: {what}", hint)

    def _outcomes(self, batch: Sequence[Work]) -> Sequence[object]:
        """Run operations side by side, each in its own order, and return what each comes to."""
        outcomes: dict[int, object] = {}
        running = {number: work.operation(*work.args, **work.kwargs) for number, work in enumerate(batch)}
        asked: dict[int, Sequence[Row] | Exception | None] = dict.fromkeys(running)
        while asked:
            statements: dict[int, Statement] = {}
            for number, answer in asked.items():
                try:
                    go_on = running[number].throw if isinstance(answer, Exception) else running[number].send
                    statements[number] = go_on(answer)
                except StopIteration as end:
                    outcomes[number] = end.value
                except FoxError as error:
                    outcomes[number] = error.fresh()
                except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for an answer
                    if isinstance(error, lease.GivenUp):
                        self._undo.append(error.undo)
                    outcomes[number] = self._failed(batch[number], error)
            asked = dict(zip(statements, self._ask(list(statements.values())), strict=True))
        return [outcomes[number] for number in range(len(batch))]

    def _ask(self, statements: Sequence[Statement]) -> "Sequence[Sequence[Row] | Exception]":
        answers: list[Sequence[Row] | Exception] = []
        for place in range(0, len(statements), _PIPELINE):
            answers += self._answered(statements[place : place + _PIPELINE])
        return answers

    def _answered(self, statements: Sequence[Statement]) -> "Sequence[Sequence[Row] | Exception]":
        """Run statements, again and again while the database is away; each ends with its rows or with an error."""
        try:
            import psycopg  # noqa: PLC0415 - an extra
        except ImportError as error:
            return [error] * len(statements)
        end, again, pause = time.monotonic() + self.patience, False, 0.0
        while True:
            try:
                connection = self._ready()
                self._asked_at = time.monotonic()
                try:
                    with connection.pipeline():
                        self.commits += 1
                        cursors = [connection.execute(*self._filled(one, again=again)) for one in statements]
                    return [cursor.fetchall() for cursor in cursors]
                except psycopg.OperationalError:
                    again = True  # the reply may be lost of what was done
                    raise
                except psycopg.Error as error:
                    if len(statements) == 1:
                        return [error]
                    # One of them fails, and with it all: each for itself, which does no harm twice.
                    return [found for one in statements for found in self._answered([one])]
            except psycopg.OperationalError as error:
                self._drop()
                if self._closing.is_set() or time.monotonic() >= end:
                    away = lease.Away(sent=again)
                    away.__cause__ = error
                    return [away] * len(statements)
                if pause > _FIRST_PAUSE:  # what is back at once is not worth a word
                    _log.warning("%s: %s; submissions wait until it is back", self.where, told(error)[0])
                pause = min(max(2 * pause, _FIRST_PAUSE), self.lease / _BEATS)
                self._closing.wait(pause)
            except (psycopg.Error, JournalError) as error:
                self._drop()
                return [error] * len(statements)
            finally:
                self._asked_at = None

    def _filled(self, statement: Statement, *, again: bool) -> tuple[Any, Mapping[str, object]]:
        query, values = statement
        given = {name: storable(value) for name, value in values.items()}
        return query, {"me": self.owner, "names": self._names, "lease": self.lease, "again": again} | given

    # --- The connection, and the lease ---

    def _ready(self) -> "psycopg.Connection[dict[str, Any]]":
        if not self._kept_alive:  # before anything is asked that may never be answered
            threading.Thread(
                target=_keep_alive, args=(weakref.ref(self), self._closing, self._gone), daemon=True
            ).start()
            self._kept_alive = True
        connection = self._connection or self._connected()
        if boot_time() >= self._renew_at:
            self._asked_at = time.monotonic()
            self._beat(connection)
        while self._undo:
            self._asked_at = time.monotonic()
            connection.execute(*self._filled(self._undo[0], again=True))
            del self._undo[0]
        return connection

    def _connected(self) -> "psycopg.Connection[dict[str, Any]]":
        import psycopg  # noqa: PLC0415 - an extra
        from psycopg.rows import dict_row  # noqa: PLC0415

        with contextlib.ExitStack() as undo:
            connection = psycopg.connect(**self.options, autocommit=True, row_factory=dict_row)
            undo.callback(self._drop)
            self._asked_at, self._connection = time.monotonic(), connection  # from now on its silence is noticed
            found = connection.execute(
                "SELECT version, pg_is_in_recovery() AS standby FROM foxvideo.journal"
            ).fetchone()
            if found is None or found["standby"]:
                raise JournalError("the database is a standby", submitted="no", hint="name the primary")
            if (version := found["version"]) != pgsql.VERSION:
                newer = version > pgsql.VERSION
                what = f"the journal there is of {'a newer' if newer else 'an older'} foxvideo (version {version})"
                raise JournalError(what, submitted="no", hint="update foxvideo" if newer else "name another database")
            undo.pop_all()
        return connection

    def _beat(self, connection: "psycopg.Connection[dict[str, Any]]") -> None:
        """Renew the lease; a client that was taken for dead meanwhile becomes a new owner."""
        asked_at = boot_time()  # before, so that the lease is never believed to be longer than it is
        if not self._names or not connection.execute(*self._filled((lease.BEAT, {}), again=False)).fetchall():
            if self._names:
                self.owner = owners.new_name()
            self._names.append(self.owner)  # first: where the answer is lost it may be known, and is heard of next time
            here = f"{socket.gethostname()}, process {os.getpid()}"
            connection.execute(*self._filled((lease.JOIN, {"place": here}), again=False))
        self._valid_until = asked_at + self.lease * _MARGIN
        self._renew_at = asked_at + self.lease / _BEATS

    def keep_alive(self) -> None:
        """Renew the lease in the thread, unless what is going on there does."""
        with contextlib.suppress(RuntimeError):  # it was closed meanwhile
            self._thread.submit(self._renew)

    def cut_silent(self) -> None:
        """Close a connection that has not answered for ``patience`` seconds: a network can lose packets silently.

        Nor for a beat: who looks only that often cannot tell a silence from a moment.
        """
        asked_at, connection = self._asked_at, self._connection
        longest = max(self.patience, self.lease / _BEATS)
        if connection is None or asked_at is None or time.monotonic() - asked_at < longest:
            return
        with contextlib.suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)  # whoever waits for an answer hears that there will be none

    def _renew(self) -> None:
        if self._closing.is_set() or (self._connection is None and not self._undo):
            return
        try:
            self._ready()
        except Exception:  # noqa: BLE001 - whoever wants something next will hear of it
            self._drop()
        finally:
            self._asked_at = None

    def _let_go(self) -> None:
        if self._undo:
            with contextlib.suppress(Exception):  # else whoever takes this client for dead cannot know
                self._ready()
        if self._connection is not None and self._names:
            self._asked_at = time.monotonic()
            with contextlib.suppress(Exception):  # else others find out, a lease later
                self._connection.execute(*self._filled((lease.LEAVE, {}), again=True))
        self._drop()
        self._valid_until = 0.0
        self._gone.set()

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.close()
            self._connection = None


def _keep_alive(session: "weakref.ref[Session]", closing: threading.Event, gone: threading.Event) -> None:
    """Have the lease of a session renewed, and its silence noticed, for as long as somebody holds it."""
    while not gone.is_set() and (held := session()) is not None:
        pause = held.lease / _BEATS
        held.keep_alive()
        held.cut_silent()
        del held
        if closing.wait(pause):
            gone.wait(pause)  # what is on its way may hang even now


def told(error: Exception) -> tuple[str, str]:
    """Return what happened, and what to do next."""
    if isinstance(error, lease.Away) and isinstance(error.__cause__, Exception):
        return told(error.__cause__)
    if isinstance(error, JournalError):
        return error.what, error.hint
    if isinstance(error, ImportError):
        return "a journal in PostgreSQL needs psycopg", "pip install 'foxvideo[postgres]'"
    name, words = type(error).__name__, " ".join(str(error).split())
    known = {
        "UndefinedTable": ("the database has no journal of foxvideo", _INIT),
        "InvalidSchemaName": ("the database has no journal of foxvideo", _INIT),
        "DuplicateSchema": ("the database has a journal already", "use it as it is"),
        "InsufficientPrivilege": (words, "grant it to this role: foxvideo journal init --print shows what there is"),
        "ReadOnlySqlTransaction": ("the database takes no writes", "name the primary"),
        "InvalidSqlStatementName": (words, _POOLER),
        "DuplicatePreparedStatement": (words, _POOLER),
    }
    return known.get(name, (f"{name}: {words}", "check the database, and try again"))
