"""The journal's one file, and the one thread that opens, reads and writes it.

What belongs here: opening, transactions, and closing. What must not: SQL (``sql.py``).

The event loop never waits on the disk. Whatever is asked for waits in a list; the thread takes all that waits into one
transaction, so that a hundred submits at once are synced to the disk once (group commit).
"""

import asyncio
import concurrent.futures
import contextlib
import functools
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import attrs

from foxvideo._journal import owners, sql as tables
from foxvideo._journal.record import Ask, Mine, TaskRecord
from foxvideo.errors import FoxError, JournalError

if TYPE_CHECKING:
    import sqlite3

    from foxvideo._transfer.part import SavedFile

T = TypeVar("T")
Operation = Callable[["sqlite3.Connection"], T]

_MOMENT = 0.005  # seconds


def _absolute(path: "str | os.PathLike[str]") -> Path:
    return Path(path).absolute()


@attrs.define(eq=False)
class Journal:
    """One client's view of a journal file, which clients of many processes may share.

    Nothing is opened before the first use. Every method but ``close`` hands back a future that is done once the disk
    has it; cancelling one who waits undoes nothing. Each may raise ``JournalError``: the file is no journal, of a newer
    foxvideo, locked for longer than ``patience``, not writable, or the disk is full.

    Attributes:
        path: The file, made with mode 0600 where there is none; its folder must exist.
        patience: Seconds to wait for another process that writes.
        owner: The name under which this client owns rows.
        commits: How often something was synced to the disk.
        closed: Whether nothing more is written; what this client owned is free.
    """

    path: Path = attrs.field(converter=_absolute)
    patience: float = attrs.field(default=30.0, kw_only=True)
    owner: str = attrs.field(factory=lambda: uuid.uuid4().hex, init=False)
    commits: int = attrs.field(default=0, init=False)
    closed: bool = attrs.field(default=False, init=False)
    _connection: "sqlite3.Connection | None" = attrs.field(default=None, init=False, repr=False)
    _lock: int | None = attrs.field(default=None, init=False, repr=False)
    _waiting: "list[tuple[Operation[Any], asyncio.Future[Any]]]" = attrs.field(factory=list, init=False, repr=False)
    _working: bool = attrs.field(default=False, init=False, repr=False)
    _mutex: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)
    _thread: concurrent.futures.ThreadPoolExecutor = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "foxvideo-journal")

    # --- What can be asked ---

    def claim(self, ask: Ask) -> "asyncio.Future[Mine | TaskRecord]":
        """Make the row of a key this client's to send, or return it as it is, or raise ``KeyConflict``."""
        return self._do(functools.partial(tables.claim, ask=ask, owner=self.owner, lives=self._lives, now=time.time()))

    def begin(self, ask: Ask, token: str) -> "asyncio.Future[int]":
        """Note that the request of a new submit is about to leave; return the number of its row."""
        return self._do(functools.partial(tables.begin, ask=ask, owner=self.owner, token=token, now=time.time()))

    def sending(self, number: int) -> "asyncio.Future[bool]":
        """Note that a request is about to leave; False where the row is not this client's to send any more."""
        return self._do(functools.partial(tables.sending, number=number, owner=self.owner, now=time.time()))

    def change(self, number: int, changes: Mapping[str, Any]) -> "asyncio.Future[None]":
        """Change columns of a row, unless another client has taken it over."""
        return self._do(functools.partial(tables.change, number=number, changes=changes, owner=self.owner))

    def accepted(self, number: int, changes: Mapping[str, Any]) -> "asyncio.Future[None]":
        """Change columns of a row, whoever has it: an id is worth money."""
        return self._do(functools.partial(tables.change, number=number, changes=changes))

    def ended(self, task_id: str, changes: Mapping[str, Any]) -> "asyncio.Future[None]":
        """Change columns of every row of a task."""
        return self._do(functools.partial(tables.ended, task_id=task_id, changes=changes))

    def adopt(self, key: str, task_id: str, origin: str) -> "asyncio.Future[TaskRecord]":
        """Note that an uncertain submit made a task, or raise ``InvalidRequest``."""
        change = functools.partial(tables.adopt, key=key, task_id=task_id, origin=origin)
        return self._do(functools.partial(change, lives=self._lives, now=time.time()))

    def uncertain(self, key: str, origin: str) -> "asyncio.Future[TaskRecord]":
        """Return the newest row of a key, or raise ``InvalidRequest`` where it is not uncertain."""
        return self._do(functools.partial(tables.uncertain, key=key, origin=origin, lives=self._lives))

    def look(self, key: str) -> "asyncio.Future[TaskRecord | None]":
        """Return the newest row of a key; None if there is none."""
        return self._do(functools.partial(tables.look, key=key, lives=self._lives))

    def rows(self, *, key: str | None = None, running: bool = False) -> "asyncio.Future[tuple[TaskRecord, ...]]":
        """Return rows in the order of planning: all, or those of a key, or those that are accepted and not ended."""
        return self._do(functools.partial(tables.rows, key=key, running=running, lives=self._lives))

    def forget(self, before: float) -> "asyncio.Future[int]":
        """Delete what is settled since before a time (Unix seconds), and return how many submits that were."""
        return self._do(functools.partial(tables.forget, before=before, lives=self._lives, now=time.time()))

    def saved(self, task_id: str, place: int, path: Path, size: int, sha256: str) -> "asyncio.Future[None]":
        """Note where a result was saved."""
        note = functools.partial(tables.saved, task_id=task_id, place=place, path=str(path.absolute()))
        return self._do(functools.partial(note, size=size, sha256=sha256, now=time.time()))

    def files(self, task_id: str) -> "asyncio.Future[Mapping[int, SavedFile]]":
        """Return what was saved of a task, by the number of the result; the paths are absolute."""
        return self._do(functools.partial(tables.files, task_id=task_id))

    def uploaded(self, sha256: str, origin: str, url: str) -> "asyncio.Future[None]":
        """Note under which URL a content was uploaded."""
        return self._do(functools.partial(tables.uploaded, sha256=sha256, origin=origin, url=url, now=time.time()))

    def upload(self, sha256: str, origin: str, since: float) -> "asyncio.Future[str | None]":
        """Return the URL of a content that was uploaded after a time (Unix seconds); None if there is none."""
        return self._do(functools.partial(tables.upload, sha256=sha256, origin=origin, since=since))

    def forget_uploads(self, urls: Iterable[str]) -> "asyncio.Future[None]":
        """Forget uploads that the service does not find any more."""
        return self._do(functools.partial(tables.forget_uploads, urls=tuple(urls)))

    def learn(self, model: str, record: str) -> "asyncio.Future[None]":
        """Note how a task of a model went."""
        return self._do(functools.partial(tables.learn, model=model, record=record, now=time.time()))

    def learned(self, most: int) -> "asyncio.Future[tuple[str, ...]]":
        """Return the newest notes of ``learn``, the oldest of them first."""
        return self._do(functools.partial(tables.learned, most=most))

    async def close(self) -> None:
        """Write what waits, and let go of what this client owned; may be called twice, and is not cut by cancelling."""
        if not self.closed:
            self.closed = True
            loop = asyncio.get_running_loop()
            await asyncio.shield(loop.run_in_executor(self._thread, self._shut, loop))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # --- The thread ---

    def _do(self, operation: Operation[T]) -> "asyncio.Future[T]":
        """Run something in one transaction with all that waits; its error undoes nothing else."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        future.add_done_callback(_look)
        if self.closed:
            future.set_exception(JournalError(f"{self.path}: the journal is closed", submitted="no"))
            return future
        with self._mutex:
            self._waiting.append((operation, future))
            begin, self._working = not self._working, True
        if begin:  # once everything that is ready now has asked, too
            loop.call_soon(self._begin, loop)
        return future

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self.closed:  # then closing writes all that waits
            loop.run_in_executor(self._thread, self._work, loop)

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            with self._mutex:
                batch, self._waiting = self._waiting, []
                self._working = bool(batch)
            if not batch:
                return
            outcomes = self._transact([operation for operation, _ in batch])
            with contextlib.suppress(RuntimeError):  # the loop is closed; what was written is written
                loop.call_soon_threadsafe(_deliver, [future for _, future in batch], outcomes)

    def _transact(self, operations: list[Operation[Any]]) -> list[Any]:
        try:
            db = self._connection or self._open()
            db.execute("BEGIN IMMEDIATE")
            try:
                outcomes = [self._attempt(db, operation) for operation in operations]
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for an answer
            return [JournalError(f"{self.path}: {error}", submitted="no") for _ in operations]
        self.commits += 1
        return outcomes

    def _attempt(self, db: "sqlite3.Connection", operation: Operation[Any]) -> object:
        """Run one operation; an error of its own is its outcome, an error of the disk undoes the whole transaction.

        Operations refuse before they write, so that there is nothing to undo for one alone.
        """
        try:
            return operation(db)
        except FoxError as error:
            return error.fresh()
        except Exception as error:  # such as a text that is no UTF-8
            if not db.in_transaction:
                raise
            return JournalError(f"{self.path}: cannot write this down: {error}", submitted="no")

    def _open(self) -> "sqlite3.Connection":
        import sqlite3  # noqa: PLC0415 - most programs that import foxvideo have no journal

        _make(self.path)
        with contextlib.ExitStack() as undo:
            db = sqlite3.connect(self.path, timeout=self.patience, isolation_level=None, check_same_thread=False)
            undo.callback(db.close)
            db.row_factory = sqlite3.Row
            _migrate(db)  # before anything is changed, or it would be in a file that is not ours
            _begin_log(db, self.patience)
            db.execute("PRAGMA synchronous = FULL")
            owners.sweep(self.path)
            self._lock = owners.hold(owners.path_of(self.path, self.owner))
            undo.pop_all()
        self._connection = db
        return db

    def _lives(self, owner: str) -> bool:
        return owner == self.owner or owners.lives(owners.path_of(self.path, owner))

    def _shut(self, loop: asyncio.AbstractEventLoop) -> None:
        self._work(loop)
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._lock is not None:
            with contextlib.suppress(OSError):  # whoever opens the journal next removes it
                owners.path_of(self.path, self.owner).unlink()
            os.close(self._lock)
            self._lock = None
        self._thread.shutdown(wait=False)


_making = threading.Lock()


def _make(path: Path) -> None:
    """Make the file where there is none, for its owner alone.

    One that exists is not opened: closing it again would free the locks that SQLite holds on it for the other clients
    of this process, and another process would then take their log away: https://www.sqlite.org/howtocorrupt.html, 2.2.
    """
    with _making, contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _begin_log(db: "sqlite3.Connection", patience: float) -> None:
    """Write ahead; SQLite itself does not wait here for another client that has just made the file."""
    import sqlite3  # noqa: PLC0415 - see above

    end = time.monotonic() + patience
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(_MOMENT)
        else:
            return


def _migrate(db: "sqlite3.Connection") -> None:
    """Make the tables in a new file; refuse a file that is not this program's, or of a later one."""
    import sqlite3  # noqa: PLC0415 - see above

    db.execute("BEGIN IMMEDIATE")
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (made,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application != tables.APPLICATION and (made or application or version):
            raise sqlite3.DatabaseError("the file is a database of something else")
        if version > tables.VERSION:
            raise sqlite3.DatabaseError(f"the file is of a newer foxvideo (version {version}); update foxvideo")
        if not made:
            for statement in tables.SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {tables.APPLICATION}")
            db.execute(f"PRAGMA user_version = {tables.VERSION}")
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _deliver(futures: "list[asyncio.Future[Any]]", outcomes: list[Any]) -> None:
    for future, outcome in zip(futures, outcomes, strict=True):
        if future.done():
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def _look(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled():
        future.exception()  # nobody may be left to look at it
