"""Ends on their way to ``on_end``: each at least once, until the function of the caller returned.

The journal knows what was handed over, so what a crash cuts is handed over by the next client. Without a journal that
ends with the process.

Out of scope: which tasks of others are taken up (``takeup.py``).
"""

import asyncio
import contextlib
import contextvars
import functools
import inspect
from collections.abc import Callable
from typing import Any

import attrs

from foxvideo._aio import in_daemon, loop_time
from foxvideo._engine.autosave import Autosave
from foxvideo._engine.job import Job
from foxvideo._engine.jobs import Jobs
from foxvideo._journal.record import RecordStatus
from foxvideo._listeners import is_async, kind_of
from foxvideo._wire.verdict import delay
from foxvideo.events import EventKind

_AT_ONCE = 16  # calls that run; those that wait to be repeated are not counted
_SLOWEST = 300.0  # seconds between two calls for one end
_CLOSING_SECONDS = 30.0
_MOMENT = 1.0  # for an end that the close itself has brought about


@attrs.define(eq=False, kw_only=True)
class HandOver:
    """Hands the ends of one client's tasks over.

    Attributes:
        jobs: The registry, which tells what happens.
        autosave: What is to be on the disk first.
        function: The caller's.
        handle: Makes what it is called with.
    """

    jobs: Jobs
    autosave: Autosave
    function: Callable[[Any], object]
    handle: Callable[[Job], object]
    _awaited: bool = attrs.field(init=False)
    _running: set[asyncio.Task[None]] = attrs.field(factory=set, init=False, repr=False)
    _slots: asyncio.Semaphore = attrs.field(factory=lambda: asyncio.Semaphore(_AT_ONCE), init=False, repr=False)
    _end: float = attrs.field(default=0.0, init=False)  # of the patience, once it is closing
    _closing: asyncio.Event = attrs.field(factory=asyncio.Event, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._awaited = is_async(self.function)

    @property
    def running(self) -> int:
        """How many ends are on their way."""
        return len(self._running)

    def put(self, job: Job, to: RecordStatus, record: int | None) -> None:
        """Hand over the end of a job that has ended.

        Args:
            job: Which.
            to: How it ended.
            record: The number of its record, where it has no id.
        """
        call = asyncio.create_task(self._hand_over(job, to, record), context=contextvars.Context())
        self._running.add(call)
        call.add_done_callback(functools.partial(self._ended, job))

    async def _hand_over(self, job: Job, to: RecordStatus, record: int | None) -> None:
        await self.autosave.settled(job.id)
        failures = 0
        while (error := await self._call(job)) is not None:
            failures += 1
            wait = None if self._closing.is_set() else delay(failures, most=_SLOWEST)
            again = "the client was closed" if wait is None else f"called again in {wait:.1f} s"
            self.jobs.tell(
                EventKind.NOT_HANDED_OVER, job, cause=error, seconds=wait, why=f"it raised {kind_of(error)}; {again}"
            )
            if wait is None:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), wait)
        self.jobs.retrieved(job)
        if to is not RecordStatus.WITHDRAWN:  # else nothing is to be remembered
            self.jobs.recorder.handed(to, record=record, task_id=job.id)
        self.jobs.tell(EventKind.HANDED_OVER, job)

    async def _call(self, job: Job) -> BaseException | None:
        """Call the function once; return what it raised."""
        async with self._slots:
            try:
                handle = self.handle(job)
                found = self.function(handle) if self._awaited else await in_daemon(self.function, handle)
                if inspect.isawaitable(found):
                    await found
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                return error  # its own doing
            except Exception as error:  # noqa: BLE001 - the caller's, whatever it is
                return error
        return None

    def _ended(self, job: Job, call: "asyncio.Task[None]") -> None:
        self._running.discard(call)
        error = asyncio.CancelledError() if call.cancelled() else call.exception()
        if error is not None:
            self.jobs.tell(EventKind.NOT_HANDED_OVER, job, why="cut, since the client was closed")

    async def drain(self) -> None:
        """Wait for what is on its way, half a minute at most: each end is tried once more at once, and not again."""
        if not self._closing.is_set():
            self._closing.set()
            self._end = loop_time() + _CLOSING_SECONDS
        while self._running and (left := self._end - loop_time()) > 0:  # one call may bring about the next
            await asyncio.wait(self._running, timeout=left, return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """Cut what is on its way, but for a moment for what has come since ``drain``."""
        try:
            await self.drain()
            if self._running:
                await asyncio.wait(self._running, timeout=_MOMENT)
        finally:
            for call in self._running:
                call.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
