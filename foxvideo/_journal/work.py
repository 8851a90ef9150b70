"""What waits for a store's thread, that thread, and how whoever asked hears what became of it."""

import abc
import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from foxvideo._journal import owners
from foxvideo.errors import JournalError, Submitted


@attrs.define(eq=False)
class Work:
    """One operation that waits for its turn.

    Attributes:
        submitted: What an error says of money where it cannot be done.
        operation: What is done.
        args: What it is given.
        kwargs: The same; the id of a task among it stands in that error, too.
        future: What it comes to.
    """

    submitted: Submitted
    operation: Callable[..., Any]
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    future: "asyncio.Future[Any]"

    def failed(self, what: str, hint: str) -> JournalError:
        """Return the error that this operation ends with."""
        task_id = self.kwargs.get("task_id")
        told = JournalError(what, submitted=self.submitted, hint=hint)
        return told.name(task_id=None if task_id is None else str(task_id))


@attrs.define(eq=False)
class Worker(abc.ABC):
    """One thread of one process, which does for one client what waits, in batches, in the order of the calls.

    Attributes:
        owner: The name under which the client owns records.
        commits: How many transactions there were.
        used: Whether anything was begun, so that there may be a thread, a connection, and a sign of life.
    """

    owner: str = attrs.field(factory=owners.new_name, init=False)
    commits: int = attrs.field(default=0, init=False)
    used: bool = attrs.field(default=False, init=False)
    _waiting: list[Work] = attrs.field(factory=list, init=False)
    _closing: threading.Event = attrs.field(factory=threading.Event, init=False)
    _scheduled: asyncio.AbstractEventLoop | None = attrs.field(default=None, init=False)
    _mutex: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _thread: concurrent.futures.ThreadPoolExecutor = attrs.field(
        factory=lambda: concurrent.futures.ThreadPoolExecutor(1, "foxvideo-journal"), init=False
    )

    @abc.abstractmethod
    def _outcomes(self, batch: Sequence[Work]) -> Sequence[object]:
        """Do a batch, and return what each operation of it comes to; in the thread."""

    @abc.abstractmethod
    def _failed(self, work: Work, error: Exception) -> JournalError:
        """Return what an error of the store means for an operation."""

    @abc.abstractmethod
    def _let_go(self) -> None:
        """Close the connection, and give up what the client owns; in the thread."""

    # --- On the event loop ---

    def do(self, work: Work) -> None:
        """Do an operation together with all that waits; its error undoes nothing else."""
        self.used = True
        loop = work.future.get_loop()
        with self._mutex:
            self._waiting.append(work)
            begin, self._scheduled = self._scheduled is not loop, loop
        if begin:  # once everything that is ready now has asked, too
            loop.call_soon(self._begin, loop)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._closing.is_set():  # which writes all that waits
            return
        try:
            loop.run_in_executor(self._thread, self._work)
        except RuntimeError as error:  # the system gives no thread
            while batch := self._taken():
                _deliver(batch, [self._failed(work, error) for work in batch])

    async def close(self) -> None:
        """Write what waits, and let go of everything; not cut by cancelling."""
        self._closing.set()
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, self.shut))

    # --- In the thread ---

    def _work(self) -> None:
        while batch := self._taken():
            try:
                outcomes = self._outcomes(batch)
            except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for an answer
                outcomes = [self._failed(work, error) for work in batch]
            _deliver(batch, outcomes)

    def _taken(self) -> Sequence[Work]:
        """Take all that waits; once that is nothing, the next who asks begins anew."""
        with self._mutex:
            batch, self._waiting = self._waiting, []
            if not batch:
                self._scheduled = None
            return batch

    def shut(self) -> None:
        """Write what waits, and let go of everything."""
        self._work()
        self._let_go()
        self._thread.shutdown(wait=False)


def _deliver(batch: Sequence[Work], outcomes: Sequence[object]) -> None:
    """Tell each loop what the operations came to that were asked for on it."""
    told: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], object]]] = {}
    for work, outcome in zip(batch, outcomes, strict=True):
        told.setdefault(work.future.get_loop(), []).append((work.future, outcome))
    for loop, ends in told.items():
        with contextlib.suppress(RuntimeError):  # it is closed; what was written is written
            loop.call_soon_threadsafe(_end, ends)


def _end(ends: "Sequence[tuple[asyncio.Future[Any], object]]") -> None:
    for future, outcome in ends:
        if future.done():
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
            future.exception()  # nobody may be left to look at it
        else:
            future.set_result(outcome)
