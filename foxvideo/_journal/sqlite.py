"""A store in one SQLite file, which clients of many processes of one machine may share."""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

import attrs

from foxvideo._journal import sql
from foxvideo._journal.record import MOVES, Claim, Mine, RecordStatus, TaskRecord
from foxvideo._journal.schema import Transaction
from foxvideo._journal.store import Store
from foxvideo._journal.writer import Work, Writer
from foxvideo.errors import JournalError, Submitted
from foxvideo.media import SavedFile

T = TypeVar("T")
P = ParamSpec("P")


def _absolute(path: "str | os.PathLike[str]") -> Path:
    return Path(path).absolute()


@attrs.define(eq=False)
class SqliteStore(Store):
    """A ``Store`` in one file; each verb is described there.

    The file is made with mode 0600 where there is none; its folder must exist, on a local disk. It goes by its real
    path, so it does not matter by which name or link it is opened. What was opened belongs to the process that did it:
    a child that is forked later gets ``JournalError``. A store that has done nothing yet works in both.

    Beside what the file or its disk may say, ``JournalError`` is raised where it is no journal, of another version,
    locked for longer than ``patience``, or where the file, its log or its folder was removed, moved or replaced while
    this client had it open: then nothing of what is asked for is written, until the same file is back.

    Attributes:
        path: The file.
        patience: Seconds to wait for another process that writes.
        closed: Whether nothing more is written; what this client owned is free.
    """

    path: Path = attrs.field(converter=_absolute)
    patience: float = attrs.field(default=30.0, kw_only=True)
    closed: bool = attrs.field(default=False, init=False)
    _writers: dict[int, Writer] = attrs.field(factory=dict, init=False, repr=False)  # by process

    @property
    def owner(self) -> str:
        return self._writer().owner

    @property
    def commits(self) -> int:
        """How often something was synced to the disk."""
        return self._writer().commits

    def claim(self, claim: Claim) -> asyncio.Future[Mine | TaskRecord]:
        return self._do("no", sql.claim, claim)

    def begin(self, claim: Claim, token: str) -> asyncio.Future[Mine]:
        return self._do("no", sql.begin, claim, token)

    def sending(self, number: int) -> asyncio.Future[bool]:
        return self._do("no", sql.sending, number)

    def move(
        self, number: int, to: RecordStatus, *, error: str | None = None, task_id: str | None = None
    ) -> asyncio.Future[bool]:
        submitted = "no" if to is RecordStatus.SENDING else to.submitted  # it does not leave then
        return self._do(submitted, sql.move, number, to, error=error, task_id=task_id)

    def accepted(
        self, number: int, task_id: str, *, credits_reserved: float | None, reply: bytes | None
    ) -> asyncio.Future[None]:
        return self._do("yes", sql.accepted, number, task_id=task_id, credits_reserved=credits_reserved, reply=reply)

    def ended(
        self,
        task_id: str,
        to: RecordStatus,
        *,
        reply: bytes | None,
        links: int | None,
        credits_reserved: float | None,
        error: str | None,
    ) -> asyncio.Future[None]:
        if to not in MOVES[RecordStatus.ACCEPTED]:
            raise ValueError(f"a task does not end as {to}")
        told = {"reply": reply, "links": links, "credits_reserved": credits_reserved}
        return self._do("yes", sql.ended, to, told, task_id=task_id, error=error)

    def uncertain(self, key: str, origin: str) -> asyncio.Future[TaskRecord]:
        return self._do("unknown", sql.uncertain, key, origin=origin)

    def adopt(self, key: str, task_id: str, origin: str) -> asyncio.Future[TaskRecord]:
        return self._do("unknown", sql.adopt, key, task_id, origin=origin)

    def look(self, key: str) -> asyncio.Future[TaskRecord | None]:
        return self._do("no", sql.look, key)

    def records(
        self,
        *,
        running: bool = False,
        key: str | None = None,
        status: RecordStatus | None = None,
        limit: int | None = None,
    ) -> asyncio.Future[tuple[TaskRecord, ...]]:
        return self._do("no", sql.records, running=running, key=key, status=status, limit=limit)

    def identity(self) -> asyncio.Future[str]:
        return self._do("no", sql.identity)

    def forget(self, before: float) -> asyncio.Future[int]:
        return self._do("no", sql.forget, before)

    def saved(self, task_id: str, place: int, file: SavedFile) -> asyncio.Future[None]:
        whole = attrs.evolve(file, path=file.path.absolute())
        return self._do("yes", sql.saved, task_id=task_id, place=place, file=whole)

    def files(self, task_id: str) -> asyncio.Future[Mapping[int, SavedFile]]:
        return self._do("yes", sql.files, task_id=task_id)

    def uploaded(self, sha256: str, origin: str, url: str) -> asyncio.Future[None]:
        return self._do("no", sql.uploaded, sha256, origin, url)

    def upload(self, sha256: str, origin: str, since: float) -> asyncio.Future[str | None]:
        return self._do("no", sql.upload, sha256, origin, since)

    def forget_uploads(self, names: Iterable[str]) -> asyncio.Future[None]:
        return self._do("no", sql.forget_uploads, tuple(names))

    def learn(self, model: str, record: str) -> asyncio.Future[None]:
        return self._do("no", sql.learn, model, record)

    def learned(self, most: int) -> asyncio.Future[tuple[str, ...]]:
        return self._do("no", sql.learned, most)

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            writer = self._writers.get(os.getpid())
            if writer is not None and writer.used:
                await writer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _do(
        self,
        submitted: Submitted,
        operation: Callable[Concatenate[Transaction, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> asyncio.Future[T]:
        """Have an operation done in a transaction; ``submitted`` is what an error says of money where that fails."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        work = Work(submitted, operation, args, kwargs, future)
        try:
            self._refuse_closed()
            self._writer().do(work)
        except JournalError as error:
            future.set_exception(work.failed(self.path, error))
            future.exception()  # nobody may be left to look at it
        return future

    def _refuse_closed(self) -> None:
        if self.closed:
            raise JournalError("the journal is closed", submitted="no", hint="make a new client")

    def _writer(self) -> Writer:
        """Return what this process has open."""
        here = self._writers.get(os.getpid())
        if here is None:
            if any(writer.used for writer in self._writers.values()):
                what = "the journal was opened before this process was forked"
                raise JournalError(what, submitted="no", hint="make a client of its own in each process")
            here = self._writers.setdefault(os.getpid(), Writer(self.path, self.patience))
        return here
