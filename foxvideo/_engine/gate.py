"""The one gate of reads that belong to no job: models, balance, prices, one look at a task, a fresh link.

Each passes the dispatcher's semaphore and pace like every poll, and the same verdict decides whether it is repeated.

Out of scope: what a reply says (``_wire/decode.py``).
"""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import attrs

from foxvideo._aio import loop_time
from foxvideo._engine.dispatcher import Dispatcher, Kind
from foxvideo._engine.timers import Work
from foxvideo._http import Transport
from foxvideo._listeners import Listeners
from foxvideo._wire.decode import read_task
from foxvideo._wire.reply import Answer
from foxvideo._wire.verdict import NO_FAILURES, PollAgain, ReadAgain, poll_verdict, read_verdict
from foxvideo.errors import ClientClosed, FoxError
from foxvideo.events import EventKind
from foxvideo.state import TaskState

T = TypeVar("T")

_PATIENCE = 10.0  # seconds of failures after which a read is given up


@attrs.define(eq=False)
class Read:
    """One request in line for its turn.

    Attributes:
        send: Sends it.
        answer: What came back.
        started: When it left, in seconds of the loop's clock.
    """

    send: Callable[[], Coroutine[Any, Any, Answer]]
    answer: "asyncio.Future[Answer]"
    started: float = 0.0

    def done(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.answer.done()


@attrs.define(eq=False)
class Gate:
    """Reads of one client.

    Attributes:
        transport: The connections.
        dispatcher: Who may send when.
        sync_upstream: Whether a look at a task asks the service to look upstream.
        listeners: Who hears of a 429.
    """

    transport: Transport
    dispatcher: Dispatcher[Work]
    sync_upstream: bool = True
    listeners: Listeners = attrs.field(factory=Listeners)
    _waiting: dict[Read, None] = attrs.field(factory=dict, init=False, repr=False)
    _closed: bool = attrs.field(default=False, init=False)

    async def read(self, target: str, decode: Callable[[Answer], T]) -> T:
        """GET something of the API; what fails is repeated for ten seconds.

        Args:
            target: Its quoted path and query.
            decode: Reads the answer, or raises what it means.

        Raises:
            ClientClosed: The client was closed meanwhile.
            FoxError: As ``decode`` raised it.
        """
        failures = NO_FAILURES
        while True:
            answer, started = await self._get(functools.partial(self.transport.get, target))
            verdict = read_verdict(answer, decode, failures, loop_time(), patience=_PATIENCE)
            if not isinstance(verdict, ReadAgain):
                break
            self._slow_down(started, verdict.after if verdict.limited else None)
            failures = verdict.failures
            await asyncio.sleep(verdict.after)
        if isinstance(verdict, FoxError):
            raise verdict.fresh()
        self._slow_down(started, None)
        return verdict

    async def look(self, task_id: str) -> TaskState:
        """Ask once where a task stands.

        Raises:
            TaskNotFound: The service knows no such task.
            FoxError: The service refuses the key, or cannot be reached.
        """
        try:
            query = "?sync_upstream=true" if self.sync_upstream else ""
            target = f"{self.transport.task_target(task_id)}{query}"
            return await self.read(target, functools.partial(read_task, task_id=task_id))
        except FoxError as error:
            raise error.name(task_id=task_id) from error.__cause__

    async def fresh(self, task_id: str) -> TaskState:
        """Return the state of a task that has ended, with links that are alive; repeated like a poll of it.

        Raises:
            FoxError: As a wait for the task ends.
        """
        failures = NO_FAILURES
        while True:
            # Without sync_upstream: it does nothing for a task that has ended.
            answer, started = await self._get(functools.partial(self.transport.task, task_id, sync_upstream=False))
            verdict = poll_verdict(answer, task_id, failures, loop_time(), known=True)
            match verdict:
                case TaskState():
                    self._slow_down(started, None)
                    return verdict
                case PollAgain(state=None):
                    self._slow_down(started, verdict.after if verdict.limited else None)
                    failures = verdict.failures
                    await asyncio.sleep(verdict.after or 0.0)
                case PollAgain():  # it runs: there is no fresh link
                    assert verdict.state is not None  # noqa: S101 - for the type checker
                    return verdict.state
                case _:
                    raise verdict.fresh()

    async def _get(self, send: Callable[[], Coroutine[Any, Any, Answer]]) -> tuple[Answer, float]:
        """Send a request when its turn has come, and return what came back, and when it was sent."""
        if self._closed or not self.dispatcher.here:
            # A video may outlive its client, and the loop of its client: its request has a connection of its own.
            return await send(), loop_time()
        read = Read(send, asyncio.get_running_loop().create_future())
        self._waiting[read] = None
        try:
            self.dispatcher.queue(Kind.POLL, read)
            return await read.answer, read.started
        finally:
            del self._waiting[read]

    def _slow_down(self, started: float, limited: float | None) -> None:
        """Tell the pace of polls that the service let a request through, or said *too fast*."""
        if self._closed or not self.dispatcher.here:
            return
        if limited is None:
            self.dispatcher.passed(Kind.POLL, started)
        else:
            self.dispatcher.limited(Kind.POLL, started, limited)
            self.listeners.emit(EventKind.LIMITED, request="poll", seconds=limited)

    def run(self, read: Read) -> "asyncio.Task[None]":
        """Start the request of a read whose turn has come."""
        return asyncio.create_task(self._send(read))

    async def _send(self, read: Read) -> None:
        read.started = loop_time()
        try:
            answer = await read.send()
        except asyncio.CancelledError:
            if not read.answer.done():
                read.answer.set_exception(_closed())
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to whoever waits
            if not read.answer.done():
                read.answer.set_exception(error)
        else:
            if not read.answer.done():
                read.answer.set_result(answer)

    def close(self) -> None:
        """End what waits; what is read later has no turn to wait for."""
        self._closed = True
        for read in self._waiting:
            if not read.answer.done():
                read.answer.set_exception(_closed())


def _closed() -> ClientClosed:
    return ClientClosed("the client was closed", submitted="unknown")
