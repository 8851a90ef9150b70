"""The verbs of a store, each handed on to the operation of its name: what both stores have in common."""

import abc
import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, ClassVar, Generic, Self, TypeVar

import attrs

from foxvideo._journal.limits import AccountUse, Limits, Wait
from foxvideo._journal.record import DEFAULT_ACCOUNT, MOVES, Claim, Mine, RecordStatus, TaskRecord
from foxvideo._journal.store import Store
from foxvideo._journal.work import Work, Worker
from foxvideo.errors import JournalError, Submitted
from foxvideo.media import SavedFile

W = TypeVar("W", bound=Worker)


@attrs.define(eq=False)
class Verbs(Store, Generic[W]):
    """A ``Store`` whose verbs are functions of a module, done by a worker in each process.

    Attributes:
        operations: The module; its functions have the names of the verbs.
        closed: Whether nothing more is written.
    """

    operations: ClassVar[ModuleType]
    closed: bool = attrs.field(default=False, init=False)
    _workers: dict[int, W] = attrs.field(factory=dict, init=False, repr=False)  # by process

    @property
    @abc.abstractmethod
    def place(self) -> str:
        """Where the journal lies, as an error shows it."""

    @abc.abstractmethod
    def _open(self) -> W:
        """Return a worker that has not begun anything."""

    @property
    def owner(self) -> str:
        return self._here().owner

    @property
    def commits(self) -> int:
        """How many transactions there were, each synced to the disk."""
        return self._here().commits

    def claim(self, claim: Claim) -> asyncio.Future[Mine | TaskRecord]:
        return self._do("no", self.operations.claim, claim)

    def begin(self, claim: Claim, token: str) -> asyncio.Future[Mine | Wait]:
        return self._do("no", self.operations.begin, claim, token)

    def sending(self, number: int) -> asyncio.Future[bool | Wait]:
        return self._do("no", self.operations.sending, number)

    def move(
        self, number: int, to: RecordStatus, *, error: str | None = None, task_id: str | None = None
    ) -> asyncio.Future[bool]:
        submitted = "no" if to is RecordStatus.SENDING else to.submitted  # it does not leave then
        return self._do(submitted, self.operations.move, number, to, error=error, task_id=task_id)

    def accepted(
        self, number: int, task_id: str, *, credits_reserved: float | None, reply: bytes | None
    ) -> asyncio.Future[None]:
        return self._do(
            "yes", self.operations.accepted, number, task_id=task_id, credits_reserved=credits_reserved, reply=reply
        )

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
        return self._do("yes", self.operations.ended, to, told, task_id=task_id, error=error)

    def uncertain(self, key: str, origin: str) -> asyncio.Future[TaskRecord]:
        return self._do("unknown", self.operations.uncertain, key, origin=origin)

    def adopt(self, key: str, task_id: str, origin: str) -> asyncio.Future[TaskRecord]:
        return self._do("unknown", self.operations.adopt, key, task_id, origin=origin)

    def look(self, key: str) -> asyncio.Future[TaskRecord | None]:
        return self._do("no", self.operations.look, key)

    def records(
        self,
        *,
        running: bool = False,
        key: str | None = None,
        status: RecordStatus | None = None,
        limit: int | None = None,
    ) -> asyncio.Future[tuple[TaskRecord, ...]]:
        return self._do("no", self.operations.records, running=running, key=key, status=status, limit=limit)

    def follow(
        self,
        origin: str,
        account: str = DEFAULT_ACCOUNT,
        *,
        most: int | None,
        unsaved_since: float | None,
        mine: bool,
        hand_over: bool = False,
        unsure: bool = False,
    ) -> asyncio.Future[tuple[TaskRecord, ...]]:
        which = {"most": most, "unsaved_since": unsaved_since, "mine": mine, "hand_over": hand_over, "unsure": unsure}
        return self._do("no", self.operations.follow, origin, account, **which)

    def handed(self, to: RecordStatus, *, number: int | None, task_id: str | None) -> asyncio.Future[None]:
        submitted: Submitted = "unknown" if task_id is None else "yes"
        return self._do(submitted, self.operations.handed, to, number=number, task_id=task_id)

    def unfollow(self, task_id: str) -> asyncio.Future[None]:
        return self._do("yes", self.operations.unfollow, task_id)

    def set_limits(self, account: str, limits: Limits) -> asyncio.Future[None]:
        return self._do("no", self.operations.set_limits, account, limits)

    def limits(self, account: str) -> asyncio.Future[AccountUse]:
        return self._do("no", self.operations.limits, account)

    def halt(self, account: str, why: str | None) -> asyncio.Future[None]:
        return self._do("no", self.operations.halt, account, why)

    def slow_down(self, account: str, seconds: float, ago: float) -> asyncio.Future[None]:
        return self._do("no", self.operations.slow_down, account, seconds, ago)

    def identity(self) -> asyncio.Future[str]:
        return self._do("no", self.operations.identity)

    def forget(self, before: float) -> asyncio.Future[int]:
        return self._do("no", self.operations.forget, before)

    def saved(self, task_id: str, place: int, file: SavedFile) -> asyncio.Future[None]:
        whole = attrs.evolve(file, path=file.path.absolute())
        return self._do("yes", self.operations.saved, task_id=task_id, place=place, file=whole)

    def files(self, task_id: str) -> asyncio.Future[Mapping[int, SavedFile]]:
        return self._do("yes", self.operations.files, task_id=task_id)

    def uploaded(self, sha256: str, origin: str, url: str) -> asyncio.Future[None]:
        return self._do("no", self.operations.uploaded, sha256, origin, url)

    def upload(self, sha256: str, origin: str, since: float) -> asyncio.Future[str | None]:
        return self._do("no", self.operations.upload, sha256, origin, since)

    def forget_uploads(self, names: Iterable[str]) -> asyncio.Future[None]:
        return self._do("no", self.operations.forget_uploads, tuple(names))

    def learn(self, model: str, record: str) -> asyncio.Future[None]:
        return self._do("no", self.operations.learn, model, record)

    def learned(self, most: int) -> asyncio.Future[tuple[str, ...]]:
        return self._do("no", self.operations.learned, most)

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            worker = self._workers.get(os.getpid())
            if worker is not None and worker.used:
                await worker.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _do(
        self, submitted: Submitted, operation: Callable[..., Any], *args: object, **kwargs: object
    ) -> asyncio.Future[Any]:
        """Have an operation done; ``submitted`` is what an error says of money where that fails."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        work = Work(submitted, operation, args, kwargs, future)
        try:
            self._refuse_closed()
            self._here().do(work)
        except JournalError as error:
            future.set_exception(work.failed(f"{self.place}: {error.what}", error.hint))
            future.exception()  # nobody may be left to look at it
        return future

    def _refuse_closed(self) -> None:
        if self.closed:
            raise JournalError("the journal is closed", submitted="no", hint="make a new client")

    def _here(self) -> W:
        """Return what this process has open."""
        here = self._workers.get(os.getpid())
        if here is None:
            if any(worker.used for worker in self._workers.values()):
                what = "the journal was opened before this process was forked"
                raise JournalError(what, submitted="no", hint="make a client of its own in each process")
            here = self._workers.setdefault(os.getpid(), self._open())
        return here
