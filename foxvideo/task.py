"""The handle: one task as its owner sees it.

What belongs here: waiting, following, and reading where a task stands. What must not: requests, retries and money
(``_engine/engine.py``), which drives the handle through the methods under *For the lifecycle*.
"""

import asyncio
import contextvars
import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Mapping
from typing import Protocol

import attrs

from foxvideo._wire.verdict import WELL, Trouble
from foxvideo.errors import FoxError, TaskFailed
from foxvideo.requests.generic import VideoRequest, duration_of
from foxvideo.requests.validation import LocalMedia
from foxvideo.schedule.base import Asked
from foxvideo.state import Status, TaskState
from foxvideo.video import Video


class Stage(enum.Enum):
    """Where a task stands on this side."""

    PLANNED = "waiting to be sent"
    SENDING = "being sent"
    ACCEPTED = "accepted"
    ENDED = "ended"


@attrs.define(eq=False)
class Plan:
    """What only a task that is not accepted yet needs.

    Attributes:
        context: The context of whoever submitted, for the request's own task.
        idempotency_key: The same for every attempt; the service does not promise to read it.
        media: The local files of the request, as ``requests.media_of`` found them.
        body: The JSON to send; None until it is needed, or while files are being uploaded.
        attempts: How often it was sent.
        once: Whether nobody waits for it any more, so that it is not sent again.
        abandoned: Whether it was given up while it was being sent.
        preparing: What comes before its turn: claiming its key, uploading its files; None without.
        retry_failed: Whether a task under its key that failed is tried anew.
        risk: Whether one that is uncertain is, too.
        text: What the journal keeps instead of the body, where that links to uploaded files; None otherwise.
        row: Its number in the journal; None without one.
        state: What an acceptance told that is not written down yet; None otherwise.
        elsewhere: Whether another client is sending it.
        look: Seconds until its row is looked at again, if so.
        shared: Whether it was asked for more than once, so that no single caller can withdraw it.
    """

    context: contextvars.Context
    idempotency_key: str
    media: Mapping[int, LocalMedia] = attrs.field(factory=dict)
    body: bytes | None = None
    attempts: int = 0
    once: bool = False
    abandoned: bool = False
    preparing: asyncio.Task[None] | None = None
    retry_failed: bool = False
    risk: bool = False
    text: bytes | None = None
    row: int | None = None
    state: TaskState | None = None
    elsewhere: bool = False
    look: float = 0.05
    shared: bool = False


class Owner(Protocol):
    """Who drives a handle."""

    def follow(self, task: "VideoTask") -> None:
        """Begin to ask after a task, unless that has begun or it has ended; raise on another loop."""

    def abandon(self, task: "VideoTask") -> None:
        """Give a task up."""

    def looked(self, task: "VideoTask") -> None:
        """Take note that somebody knows how a task ended."""


@attrs.define(eq=False, repr=False)
class VideoTask(Awaitable[Video]):
    """One task, from submit to its end; awaitable as often as you like, by as many as you like.

    ``await task`` returns the ``Video`` or raises the ``FoxError`` that it ended with. Cancelling one who waits
    leaves the task and all others who wait alone. ``async for state in task`` follows it: first where it stands, then
    every change, last the state that it ended with; a slow reader gets the newest. A failed task ends the loop
    quietly, its last state says so; an end without a terminal status raises.

    It is no ``Future``: for ``asyncio.wait`` use ``asyncio.ensure_future(task)``.
    """

    request: VideoRequest | None
    _owner: Owner
    _timeout: float | None
    _key: str | None = None
    _id: str | None = None
    _state: TaskState | None = None
    _stage: Stage = Stage.PLANNED
    _plan: Plan | None = None
    _outcome: Video | FoxError | None = None
    _trouble: Trouble = WELL
    _memo: bytes = b""
    _active: bool = False
    _following: bool = False
    _since: float = 0.0
    _deadline: float | None = None
    _waiters: list[asyncio.Future[None]] | None = None
    _watchers: list[asyncio.Future[None]] | None = None
    _listeners: list[Callable[["VideoTask"], None]] | None = None

    # --- What a user reads ---

    @property
    def id(self) -> str | None:
        """The task's id; None until the service has accepted it."""
        return self._id

    @property
    def key(self) -> str | None:
        """The caller's name for the task; a generated one once the journal has it; None without a journal."""
        return self._key

    @property
    def state(self) -> TaskState | None:
        """The newest state that the service told; None before the first."""
        return self._state

    @property
    def status(self) -> Status | None:
        """The newest status that the service told; None before the first."""
        return self._state.status if self._state else None

    def done(self) -> bool:
        """Whether awaiting it would answer at once."""
        return self._outcome is not None

    def exception(self) -> FoxError | None:
        """Return the error that it ended with, or None if it ended well.

        Raises:
            asyncio.InvalidStateError: It has not ended.
        """
        if self._outcome is None:
            raise asyncio.InvalidStateError(f"{self!r} has not ended")
        self._owner.looked(self)
        return self._outcome if isinstance(self._outcome, FoxError) else None

    def __repr__(self) -> str:
        name = self._id or self.request_model or self._key
        match self._outcome:
            case None if self._state is not None:
                progress = "" if self._state.progress is None else f" {self._state.progress:g} %"
                where = f"{self._state.status_text}{progress}"
            case None:
                where = self._stage.value
            case Video():
                where = "completed"
            case error:
                where = type(error).__name__
        return f"<VideoTask {name} {where}>"

    # --- What a user does ---

    def __await__(self) -> Generator[object, None, Video]:
        return self._wait().__await__()

    def __aiter__(self) -> AsyncIterator[TaskState]:
        self._owner.follow(self)
        return _States(self)

    async def wait_accepted(self) -> str:
        """Wait until the service has accepted the task.

        Cancelling it leaves the task alone.

        Returns:
            The id.

        Raises:
            FoxError: It ended before it was accepted.
        """
        while self._id is None:
            self._owner.follow(self)
            if isinstance(self._outcome, FoxError):
                self._owner.looked(self)
                raise self._outcome.fresh()
            await self._change()
        return self._id

    def abandon(self) -> None:
        """Give the task up: its waiters get ``TaskAbandoned``.

        What was not sent yet is withdrawn. **The service cannot cancel**: a task that was accepted runs on and is
        paid for; ``client.task(id)`` follows it again. A task that has ended stays as it is.
        """
        self._owner.abandon(self)

    # --- For the lifecycle ---

    @property
    def request_model(self) -> str:
        """The model that was asked for; empty for a task that is followed by its id alone."""
        return self.request.model if self.request else ""

    @property
    def asked(self) -> Asked:
        """What the schedule has to know of the request."""
        return Asked(self.request_model, None if self.request is None else duration_of(self.request))

    async def _wait(self) -> Video:
        self._owner.follow(self)
        while (outcome := self._outcome) is None:
            self._waiters = self._waiters or []
            await _join(self._waiters)
        self._owner.looked(self)
        if isinstance(outcome, Video):
            return outcome
        raise outcome.fresh()

    def _listen(self, listener: Callable[["VideoTask"], None]) -> None:
        """Have a function called when the task ends; at once if it has."""
        self._owner.follow(self)
        if self._outcome is not None:
            listener(self)
        else:
            self._listeners = [*(self._listeners or ()), listener]

    def _unlisten(self, listener: Callable[["VideoTask"], None]) -> None:
        self._listeners = [other for other in self._listeners or () if other != listener] or None

    async def _change(self) -> None:
        self._watchers = self._watchers or []
        await _join(self._watchers)

    def _observe(self, state: TaskState) -> None:
        """Take a state over, and tell those who follow if it is news."""
        if self._state is None or _news(self._state) != _news(state):
            self._state = state if state.status.terminal else attrs.evolve(state, body=b"{}")
            _wake(self._watchers)

    def _end(self, outcome: Video | FoxError) -> None:
        """Store the outcome as a value, and wake everybody."""
        self._outcome, self._stage, self._plan = outcome, Stage.ENDED, None
        _wake(self._waiters)
        _wake(self._watchers)
        for listener in self._listeners or ():
            listener(self)


def _news(state: TaskState) -> tuple[object, ...]:
    return state.status_text, state.progress, state.results, state.status


async def _join(waiting: list[asyncio.Future[None]]) -> None:
    """Wait in a list of futures, one for each who waits, so that cancelling one is nobody else's matter."""
    future = asyncio.get_running_loop().create_future()
    waiting.append(future)
    try:
        await future
    finally:
        waiting.remove(future)


def _wake(waiting: list[asyncio.Future[None]] | None) -> None:
    for future in waiting or ():
        if not future.done():
            future.set_result(None)


@attrs.define
class _States(AsyncIterator[TaskState]):
    """The states of a task, as long as it lasts."""

    _task: VideoTask
    _last: TaskState | None = None

    async def __anext__(self) -> TaskState:
        task = self._task
        while task._state is None or task._state is self._last:
            if task.done():
                self._finish()
            await task._change()
        self._last = task._state
        return self._last

    def _finish(self) -> None:
        error = self._task.exception()
        if error is None or isinstance(error, TaskFailed):
            raise StopAsyncIteration
        raise error.fresh()


async def as_completed(tasks: Iterable[VideoTask]) -> AsyncIterator[VideoTask]:
    """Yield tasks in the order in which they end, well or not; each once."""
    ended: asyncio.Queue[VideoTask] = asyncio.Queue()
    awaited = dict.fromkeys(tasks)
    try:
        for task in awaited:
            task._listen(ended.put_nowait)
        for _ in awaited:
            yield await ended.get()
    finally:
        for task in awaited:
            task._unlisten(ended.put_nowait)
