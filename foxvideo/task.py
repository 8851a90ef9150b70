"""The handle of one task: await it, follow it, or leave it.

``client.submit`` returns a ``VideoTask`` at once, like ``asyncio.create_task``. A handle only waits and reads:
dropping it, or cancelling a waiter, does not stop the task. Any number of coroutines may await it, as often as they
like.

## Follow a task

```python
task = client.submit(shots[0])
print(await task.wait_accepted())  # the id: from here on the task exists, and is paid for
async for state in task:  # first where it stands, then every change
    print(state.status, state.progress)
video = task.result()
```

## Wait for some time only

A timeout of yours ends your wait, not the task. The handle is still good afterwards:

```python
task = client.submit(shots[1])
try:
    async with asyncio.timeout(5):
        video = await task
except TimeoutError:
    video = await task
```

``timeout=`` of ``client.submit`` is another thing: after that many seconds the *client* stops polling, and the handle
ends in ``TaskTimeout``. The task goes on at the service. ``client.task(error.task_id)`` follows it again.

## Stop a task

The service cannot cancel. ``task.withdraw`` takes back a task that was not sent yet, and leaves all others alone.
``task.abandon`` gives it up in any case: its waiters get ``TaskAbandoned``, and what was accepted is paid for.
"""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable

import attrs

from foxvideo._engine.engine import Engine
from foxvideo._engine.job import Job
from foxvideo.errors import FoxError, TaskFailed
from foxvideo.requests.generic import VideoRequest
from foxvideo.state import Status, TaskState
from foxvideo.video import Video

_log = logging.getLogger("foxvideo")

Callback = Callable[["VideoTask"], object]
"""Called with the handle of a task that has ended."""


Watch = Callable[[TaskState], object]
"""Called with each new state of a task; a function or a coroutine function."""


@attrs.frozen(eq=False, repr=False)
class VideoTask(Awaitable[Video]):
    """One task, from its submission to its end; awaitable as often as you like, by as many as you like.

    ``await task`` returns the ``Video`` or raises the ``FoxError`` that it ended with. Cancelling a waiter leaves the
    task and all other waiters alone. ``async for state in task`` follows it: first where it stands, then every change,
    last the state that it ended with; a slow reader gets the newest. A failed task ends the loop quietly, since its
    last state says so; an end without a terminal status raises.

    Handles of one task are equal, unless it was asked for twice and only its id showed that it is one. Any of them may
    be passed to ``asyncio.gather`` and ``asyncio.as_completed``.
    """

    _asked_for: Job
    _engine: Engine

    @property
    def _job(self) -> Job:
        return self._asked_for.canonical

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VideoTask) and self._asked_for is other._asked_for

    def __hash__(self) -> int:
        return hash(self._asked_for)

    # --- What a user reads ---

    @property
    def request(self) -> VideoRequest | None:
        """What was asked for; None where only the id or the key is known."""
        return self._job.request

    @property
    def id(self) -> str | None:
        """The task's id; None until the service has accepted it."""
        return self._job.id

    @property
    def key(self) -> str | None:
        """The caller's key for the task; a generated one once the journal has it; None without a journal."""
        return self._job.key

    @property
    def state(self) -> TaskState | None:
        """The newest state that the service told; None before the first."""
        return self._job.state

    @property
    def status(self) -> Status | None:
        """The newest status that the service told; None before the first."""
        state = self._job.state
        return state.status if state else None

    @property
    def silent_for(self) -> float | None:
        """Seconds since the service last answered a poll of this client; None while it answers.

        After 20 seconds the logger ``foxvideo`` has a WARNING. Polls go on until the task's timeout.
        """
        return self._engine.silent_for

    def done(self) -> bool:
        """Whether awaiting it would answer at once."""
        return self._job.done()

    def exception(self) -> FoxError | None:
        """Return the error that it ended with, or None if it ended well.

        Raises:
            asyncio.InvalidStateError: It has not ended.
        """
        job = self._job
        if job.outcome is None:
            raise asyncio.InvalidStateError(f"{self!r} has not ended")
        self._engine.jobs.retrieved(job)
        return job.outcome if isinstance(job.outcome, FoxError) else None

    def result(self) -> Video:
        """Return the video of a task that has ended, or raise the error that it ended with.

        Raises:
            asyncio.InvalidStateError: It has not ended.
            FoxError: What it ended with.
        """
        if (error := self.exception()) is not None:
            raise error.fresh()
        video = self._job.outcome
        assert isinstance(video, Video)  # noqa: S101 - it ended well
        return video

    def __repr__(self) -> str:
        job = self._job
        name = job.id or job.model or job.key
        match job.outcome:
            case None if job.state is not None:
                progress = "" if job.state.progress is None else f" {job.state.progress:g} %"
                where = f"{job.state.status_text}{progress}"
            case None:
                where = job.stage.value
            case Video():
                where = "completed"
            case error:
                where = type(error).__name__
        return f"<VideoTask {name} {where}>"

    # --- What a user does ---

    def __await__(self) -> Generator[object, None, Video]:
        return self._wait().__await__()

    async def _wait(self) -> Video:
        while not (job := self._job).done():
            self._engine.follow(job)
            await job.ended()
        return self.result()

    def __aiter__(self) -> AsyncIterator[TaskState]:
        self._engine.follow(self._job)
        return _States(self, self._asked_for)

    async def wait_accepted(self) -> str:
        """Wait until the service has accepted the task.

        Cancelling it leaves the task alone.

        Returns:
            The id.

        Raises:
            FoxError: It ended before it was accepted.
        """
        while (job := self._job).id is None:
            self._engine.follow(job)
            if job.outcome is not None:
                self.result()
            if not job.done():
                await job.changed()
        return job.id

    def abandon(self) -> None:
        """Give the task up: its waiters get ``TaskAbandoned``.

        What was not sent yet is withdrawn. **The service cannot cancel**: a task that was accepted runs on and is
        paid for; ``client.task(id)`` follows it again. A task that has ended stays as it is.
        """
        self._engine.abandon(self._job)

    def withdraw(self) -> bool:
        """Take the task back if nothing was sent for it yet; return whether it has ended.

        One that is being sent goes on, and brings its id.
        """
        return self._engine.withdraw(self._job)

    def add_done_callback(self, callback: Callback) -> None:
        """Have a function called with this handle when the task ends, well or not; at once if it has."""
        self._engine.follow(self._job)
        self._job.listen(_Call(self, callback))

    def remove_done_callback(self, callback: Callback) -> None:
        """Have a function not called any more."""
        self._job.unlisten(_Call(self, callback))


@attrs.frozen
class _Call:
    """A callback of one handle; equal for equal ones, so that it can be removed."""

    task: VideoTask
    callback: Callback

    def __call__(self, _: Job) -> None:
        self.callback(self.task)


@attrs.define
class _States(AsyncIterator[TaskState]):
    """The states of a task, as long as it lasts."""

    _task: VideoTask
    _job: Job
    _last: TaskState | None = None

    async def __anext__(self) -> TaskState:
        while (state := self._job.canonical.state) is None or state is self._last:
            if self._job.canonical.done():
                self._finish()
            await self._job.canonical.changed()
        self._last = state
        return state

    def _finish(self) -> None:
        error = self._task.exception()
        if error is None or isinstance(error, TaskFailed):
            raise StopAsyncIteration
        raise error.fresh()


async def watched(task: VideoTask, watch: Watch) -> Video:
    """Wait for a task, and have a function called with each of its states; what that raises is one line of the log."""
    try:
        async for state in task:
            found = watch(state)
            if inspect.isawaitable(found):
                await found
    except FoxError:
        pass  # which awaiting the task raises, too
    except Exception:  # noqa: BLE001 - the caller's, whatever it is
        _log.exception("watch raised; the task goes on")
    return await task


async def as_completed(tasks: Iterable[VideoTask]) -> AsyncIterator[VideoTask]:
    """Yield tasks in the order in which they end, well or not; each once. Stopping early stops no task."""
    ended: asyncio.Queue[VideoTask] = asyncio.Queue()
    awaited = dict.fromkeys(tasks)
    try:
        for task in awaited:
            task.add_done_callback(ended.put_nowait)
        for _ in awaited:
            yield await ended.get()
    finally:
        for task in awaited:
            task.remove_done_callback(ended.put_nowait)
