"""The one thread of a process that reads and writes a journal, in SQLite.

It takes all that waits into one transaction, so that a hundred submissions at once are synced to the disk once (group
commit). ``sqlite3`` is imported when a journal is opened, not before.

SQLite must not see a fork (https://www.sqlite.org/howtocorrupt.html, 2.6): a child would believe that it has the locks
of its parent, for that connection and for its own ones to the same file. So whoever forks waits until nothing is being
written and closes all connections first, which the parent opens again when it needs them.
"""

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from foxvideo import _locks
from foxvideo._journal import owners, schema, trouble
from foxvideo._journal.place import ANEW, Place
from foxvideo._journal.schema import Transaction
from foxvideo._journal.work import Work, Worker
from foxvideo.errors import FoxError, JournalError

if TYPE_CHECKING:
    import sqlite3

_LONG = 0.05  # seconds after which a check is worth nothing any more: a slow disk, a laptop that slept


@attrs.define(eq=False)
class Writer(Worker):
    """What one process has open of a journal for one client.

    Attributes:
        path: Where the journal was said to be.
        patience: Seconds to wait for another process that writes.
    """

    path: Path
    patience: float
    _place: Place | None = attrs.field(default=None, init=False)
    _identity: str | None = attrs.field(default=None, init=False)
    _lock: int | None = attrs.field(default=None, init=False)
    _lock_path: Path = attrs.field(factory=Path, init=False)
    _connection: "sqlite3.Connection | None" = attrs.field(default=None, init=False)
    _idle: threading.RLock = attrs.field(factory=threading.RLock, init=False)  # or held by the thread while it works

    def __attrs_post_init__(self) -> None:
        with _forking:
            _writers.add(self)

    # --- In the thread ---

    def _outcomes(self, batch: Sequence[Work]) -> Sequence[object]:
        with self._idle:
            return self._transact(batch)

    def _let_go(self) -> None:
        with self._idle:
            self._disconnect()
        if self._lock is not None:
            owners.drop(self._lock, self._lock_path)
            self._lock = None

    def _transact(self, batch: Sequence[Work]) -> Sequence[object]:
        """Run all that waits in one transaction, and return what each comes to."""
        failed: dict[int, Exception] = {}
        try:
            while (outcomes := self._run(batch, failed)) is None:
                pass
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for an answer
            if trouble.may_break(error):  # then the next operation opens the file once more
                self._disconnect()
            return [self._failed(work, error) for work in batch]
        self.commits += 1
        return outcomes

    def _run(self, batch: Sequence[Work], failed: dict[int, Exception]) -> Sequence[object] | None:
        """Run a batch without what failed before; None where something else failed, so that all has been undone."""
        db, before = self._connected(), len(failed)
        db.execute("BEGIN IMMEDIATE")
        try:
            self._check()
            checked = time.monotonic()
            tx = Transaction(db, self.owner, self._lives, time.time())
            outcomes = [self._attempt(tx, number, work, failed) for number, work in enumerate(batch)]
            if len(failed) > before:
                return None
            db.execute("COMMIT")
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")
        if time.monotonic() - checked > _LONG:
            self._check()
        return outcomes

    def _attempt(self, tx: Transaction, number: int, work: Work, failed: dict[int, Exception]) -> object:
        """Return what an operation comes to; an error of the disk undoes the whole transaction."""
        if number not in failed:
            try:
                return work.operation(tx, *work.args, **work.kwargs)
            except FoxError as error:  # it refuses, and has written nothing
                return error.fresh()
            except Exception as error:
                if not tx.db.in_transaction or trouble.of_the_disk(error):
                    raise
                failed[number] = error
        return self._failed(work, failed[number], "cannot write this down: ")

    def _failed(self, work: Work, error: Exception, doing: str = "") -> JournalError:
        """Return what an error of the journal means for an operation."""
        what, hint = trouble.told(error)
        return work.failed(f"{self.path}: {doing}{what}", hint)

    def _check(self) -> None:
        """Make sure that what is written is found, and that this client is seen to live, before anything is sent.

        A lock that somebody has removed is taken anew: whoever took this client for dead meanwhile has its records
        marked so, in a transaction, and ``sending`` sees that.
        """
        assert self._place is not None  # noqa: S101 - it is open
        self._place.check()
        if self._lock is None or not _locks.lies_at(self._lock, self._lock_path):
            self._take_lock(self._place.real)

    def _take_lock(self, journal: Path) -> None:
        if self._lock is not None:
            _locks.release(self._lock)
            self._lock = None
        self._lock_path = owners.path_of(journal, self.owner)
        self._lock = owners.hold(self._lock_path)

    def _lives(self, owner: str) -> bool:
        assert self._place is not None  # noqa: S101 - it is open
        return owner == self.owner or owners.lives(owners.path_of(self._place.real, owner))

    # --- Around a fork ---

    def stop(self) -> None:
        """Wait until nothing is being written, which ``patience`` bounds, and close the connection."""
        self._idle.acquire()
        self._disconnect()

    def go_on(self) -> None:
        """Write again."""
        self._idle.release()

    # --- The connection ---

    def _connected(self) -> "sqlite3.Connection":
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _open(self) -> "sqlite3.Connection":
        place = self._place or Place.of(self.path)
        place.prepare()
        with contextlib.ExitStack() as undo:
            db = schema.connect(place.real, self.patience)
            undo.callback(db.close)
            db.execute("BEGIN IMMEDIATE")  # now there is a log, too
            place.opened()
            (identity,) = db.execute("SELECT identity FROM journal").fetchone()
            db.execute("ROLLBACK")
            if self._identity not in {None, identity}:  # an inode may be another file's by now
                raise JournalError("the file was replaced by another journal", submitted="no", hint=ANEW)
            owners.sweep(place.real)
            undo.pop_all()
        self._place, self._identity = place, identity
        return db

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(Exception):  # what is broken may not even close
                self._connection.close()
            self._connection = None


_writers: "weakref.WeakSet[Writer]" = weakref.WeakSet()
_forking = threading.RLock()  # and whoever makes a writer waits until that is over
_stopped: list[Writer] = []


def _before_fork() -> None:
    _forking.acquire()
    for writer in list(_writers):
        writer.stop()
        _stopped.append(writer)


def _in_parent() -> None:
    while _stopped:
        _stopped.pop().go_on()
    _forking.release()


def _in_child() -> None:
    _stopped.clear()
    _writers.clear()  # they are the parent's
    _forking.release()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
