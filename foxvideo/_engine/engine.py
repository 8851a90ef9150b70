"""From an accepted task to its end: asking after it, the registry of living handles, and closing.

What belongs here: carrying out the verdicts of ``_wire/verdict.py`` on the handles of ``task.py``. What must not: what
comes before an acceptance (``submission.py``), rules about replies, delays or times, and waiting (``task.py``).
"""

import asyncio
import contextlib
import functools
import logging
import weakref

import attrs

from foxvideo._engine.dispatcher import Dispatcher, Kind
from foxvideo._engine.outcome import broken, failed, log_end, name, reason, settled
from foxvideo._engine.submission import Submits
from foxvideo._http import Transport
from foxvideo._journal import TaskRecord
from foxvideo._journal.recorder import Forgetful, recalled_request
from foxvideo._transfer.upload import Uploads
from foxvideo._wire.verdict import AskAgain, judge_read, judge_state
from foxvideo.errors import ClientClosed, FoxError, SubmitUncertain, TaskAbandoned, TaskFailed, TaskTimeout
from foxvideo.requests.generic import VideoRequest
from foxvideo.schedule.base import Schedule, clip
from foxvideo.state import Status, TaskState
from foxvideo.task import Stage, VideoTask
from foxvideo.video import Video

_log = logging.getLogger("foxvideo")

_OWN_DOING = (TaskAbandoned, ClientClosed)  # ends that the caller brought about


@attrs.define(eq=False, kw_only=True)
class Lifecycle:
    """Drives the tasks of one client.

    Attributes:
        transport: The connections.
        schedule: When to ask.
        submit_attempts: How often a submit may be sent in all.
        retry_429: Whether a submit that got a 429 may be sent again.
        sync_upstream: Whether queries ask the service to look upstream.
        max_requests: Most requests in flight.
        max_active: Most submitted tasks that have not ended; None for no limit.
        upload_limit: Most bytes of a local file; None for no limit of ours.
        books: What is written down, with or without a journal.
        submits: What comes before an acceptance.
        uploads: Local files on their way to the service.
        unfinished: Every task that may exist and is not known to have ended, by id where there is one.
        closed: Whether nothing new is begun.
    """

    transport: Transport
    schedule: Schedule
    submit_attempts: int
    retry_429: bool
    sync_upstream: bool
    max_requests: int
    max_active: int | None
    upload_limit: int | None = None
    books: Forgetful = attrs.field(factory=Forgetful)
    submits: Submits = attrs.field(init=False)
    uploads: Uploads = attrs.field(init=False)
    unfinished: dict[object, VideoTask] = attrs.field(factory=dict, init=False, repr=False)
    closed: bool = attrs.field(default=False, init=False)
    _loop: asyncio.AbstractEventLoop | None = attrs.field(default=None, init=False, repr=False)
    _dispatcher: Dispatcher[VideoTask] = attrs.field(init=False, repr=False)
    _handles: "weakref.WeakValueDictionary[str, VideoTask]" = attrs.field(
        factory=weakref.WeakValueDictionary, init=False, repr=False
    )
    _unlooked: dict[VideoTask, None] = attrs.field(factory=dict, init=False, repr=False)
    _closing: asyncio.Event = attrs.field(factory=asyncio.Event, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.uploads = Uploads(self.transport, self.upload_limit, self.books)
        self._dispatcher = Dispatcher(self.max_requests, self.max_active, self._run, self.expire)
        self.submits = Submits(
            life=self,
            transport=self.transport,
            dispatcher=self._dispatcher,
            uploads=self.uploads,
            books=self.books,
            attempts=self.submit_attempts,
            retry_429=self.retry_429,
        )

    # --- Beginnings ---

    @property
    def bound(self) -> bool:
        """Whether something runs for this client on an event loop."""
        return self._loop is not None and not self.closed

    def bind(self) -> None:
        """Begin to work on the running loop, unless that has begun.

        Raises:
            ClientClosed: The client is closed.
            RuntimeError: The client belongs to another loop, or none runs.
        """
        if self.closed:
            raise ClientClosed("the client is closed, nothing was sent", submitted="no")
        self.now()
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._dispatcher.start()
            self.books.recall(self.schedule.learn)

    def now(self) -> float:
        """Return the seconds of the loop's clock; raise RuntimeError on another loop than the client's."""
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop:
            raise RuntimeError("this client belongs to another event loop; make one client for each loop")
        return loop.time()

    def submit(
        self,
        request: VideoRequest,
        timeout: float | None,
        *,
        key: str | None = None,
        retry_failed: bool = False,
        risk: bool = False,
    ) -> VideoTask:
        """Begin a task with a request that passed its checks."""
        self.bind()
        return self.submits.begin(request, timeout, key=key, retry_failed=retry_failed, risk=risk)

    def task(self, task_id: str, timeout: float | None) -> VideoTask:
        """Return the living handle of an id, or a new one that asks once somebody waits."""
        if (known := self.known(task_id)) is not None:
            return known
        task = VideoTask(None, self, timeout, id=task_id, stage=Stage.ACCEPTED)
        self._handles[task_id] = task
        return task

    def remembered(self, row: TaskRecord, timeout: float | None) -> VideoTask:
        """Return the handle of a row that has an id."""
        task = self.task(row.task_id or "", timeout)
        task._key, task.request = task._key or row.key, task.request or recalled_request(row)
        return task

    def follow(self, task: VideoTask) -> None:
        """Begin to ask after a task, unless that has begun or it has ended.

        Raises:
            RuntimeError: The client belongs to another loop, so that the end would never be heard of in this one.
        """
        if task.done():
            return
        now = self.now()
        if task._following:
            return
        if self.closed:
            self.end(task, ClientClosed("the client is closed", submitted="yes" if task._id else "no"))
            return
        self.bind()
        if task._plan is not None:
            self.submits.follow(task, task._plan)
            return
        task._following, task._since = True, now
        self.unfinished[task._id] = task
        if task._deadline is None:
            self.set_deadline(task, now)
        self._dispatcher.queue(Kind.POLL, task)

    # --- Requests ---

    def _run(self, kind: Kind, task: VideoTask) -> asyncio.Task[None]:
        if kind is Kind.SUBMIT and task._plan is not None:
            return self.submits.run(task, task._plan)
        request = asyncio.create_task(self._poll(task))
        request.add_done_callback(functools.partial(self._ran, task))
        return request

    def _ran(self, task: VideoTask, request: asyncio.Task[None]) -> None:
        """End a task if a query for it was cut by the event loop, or broke unforeseen."""
        error = asyncio.CancelledError() if request.cancelled() else request.exception()
        if error is not None:
            self.end(task, broken(task, error))

    def known(self, task_id: str) -> VideoTask | None:
        """Return the living handle of an id; one that ended without a terminal status is none."""
        task = self.unfinished.get(task_id)
        return self._handles.get(task_id) if task is None or task.done() else task

    def admit(self, task: VideoTask, task_id: str) -> None:
        """Give a task its id, under which it is known from now on."""
        self.unfinished.pop(task, None)
        self.unfinished[task_id] = task
        task._id, task._since, task._stage, task._plan = task_id, self.now(), Stage.ACCEPTED, None

    def accept(self, task: VideoTask, state: TaskState) -> None:
        """Go on with a task that has just been accepted."""
        now = self.now()
        self._carry_out(task, judge_state(state, task._trouble, now), now)

    async def _poll(self, task: VideoTask) -> None:
        """Ask once, and do what the answer means."""
        started = self.now()
        answer = await self.transport.task(task._id or "", sync_upstream=self.sync_upstream and task._trouble.sync)
        if task.done():
            return
        now = self.now()
        verdict = judge_read(answer, task._id or "", task._trouble, now)
        if isinstance(verdict, AskAgain) and verdict.limited:
            self.slow_down(Kind.POLL, started, verdict.after or 0.0)
        else:
            self._dispatcher.passed(Kind.POLL, started)
        self._carry_out(task, verdict, now)

    def slow_down(self, kind: Kind, started: float, wait: float) -> None:
        """Take a 429 to a request that left at ``started`` into account."""
        if (gap := self._dispatcher.limited(kind, started, wait)) is not None:
            _log.warning("429: %s requests wait %.1f s, then leave %.1f s apart", kind.name.lower(), wait, gap)

    def _carry_out(self, task: VideoTask, verdict: AskAgain | TaskState | FoxError, now: float) -> None:
        match verdict:
            case TaskState():
                self.end_as(task, verdict)
            case AskAgain():
                self._ask_again(task, verdict, now)
            case _:
                self.end(task, verdict)

    def _ask_again(self, task: VideoTask, verdict: AskAgain, now: float) -> None:
        task._trouble = verdict.trouble
        if verdict.state is not None:
            task._observe(verdict.state)
        due = self._next_look(task, now) if verdict.after is None else now + verdict.after
        if task._deadline is not None and task._timeout is not None:
            due = clip(due, now, task._deadline, task._timeout)
            if due >= task._deadline:
                return  # the deadline has an entry of its own
        self._dispatcher.at(due, Kind.POLL, task)

    def _next_look(self, task: VideoTask, now: float) -> float:
        age = now - task._since
        next_age, task._memo = self.schedule.next_age(task.asked, age, task.state, task._memo)
        if not next_age > age:  # nor is NaN
            raise ValueError(f"{self.schedule!r}: the next age {next_age!r} is not above {age!r}")
        return task._since + next_age

    # --- Ends ---

    def end_as(self, task: VideoTask, state: TaskState, *, written: bool = False) -> None:
        """End a task as a terminal state tells, and learn from it."""
        task._observe(state)
        done = state.status is Status.COMPLETED
        video = Video.of(state, task.request, self.transport, self.books.saved) if done else None
        self.end(task, video or failed(state), written=written)
        if (record := self.schedule.ended(task.asked, self.now() - task._since, task._memo)) is not None:
            self.books.learned(task.request_model, record)

    def end(self, task: VideoTask, outcome: Video | FoxError, *, written: bool = False) -> None:
        """End a task for this side, once; keep it in ``unfinished`` where it may go on at the service.

        Args:
            task: Which.
            outcome: What it ends with.
            written: Whether the journal knows that already.
        """
        if task.done():
            return
        seconds = self.now() - task._since if task._following else 0.0
        if isinstance(outcome, FoxError):
            outcome.name(task_id=task._id, key=task._key)
            if outcome.credits_reserved is None and task.state is not None:
                outcome.credits_reserved = task.state.credits_reserved
            if not isinstance(outcome, _OWN_DOING):
                self._unlooked[task] = None
        if settled(outcome):
            self.unfinished.pop(task._id or task, None)
        if task._id is not None and isinstance(outcome, Video | TaskFailed):
            self._handles.setdefault(task._id, task)
        elif task._id is not None and self._handles.get(task._id) is task:
            del self._handles[task._id]
        if self.submits.keys.get(task._key or "") is task:
            del self.submits.keys[task._key or ""]
        if not written:
            self.books.ended(task, outcome)
        task._end(outcome)
        self.deactivate(task)
        self._dispatcher.ended()
        log_end(task, outcome, seconds)

    def settle(self, key: str) -> None:
        """Drop the uncertain handles of a key: another one stands for it now."""
        for entry, task in list(self.unfinished.items()):
            if task._key == key and isinstance(task._outcome, SubmitUncertain):
                del self.unfinished[entry]

    def deactivate(self, task: VideoTask) -> None:
        """Count a task no more against ``max_active``."""
        if task._active:
            task._active = False
            self._dispatcher.release()

    def set_deadline(self, task: VideoTask, start: float) -> None:
        """Let the time of a task run from here."""
        if task._timeout is not None:
            task._deadline = start + task._timeout
            self._dispatcher.at(task._deadline, Kind.DEADLINE, task)

    def expire(self, task: VideoTask) -> None:
        """End a wait whose deadline has passed; a request that is being sent is let end first, it may bring an id."""
        if task._stage is Stage.PLANNED and task._plan is not None and task._plan.elsewhere:
            error = TaskTimeout(f"another client did not send it within {task._timeout:g} s", submitted="unknown")
            self.submits.withdraw(task, error)
        elif task._stage is Stage.PLANNED:
            self.submits.withdraw(
                task, TaskTimeout(f"not accepted within {task._timeout:g} s, nothing was made", submitted="no")
            )
        elif task._stage is Stage.ACCEPTED:
            last = f", last status {task.state.status_text}" if task.state else ""
            trouble = f", last query: {task._trouble.error.what}" if task._trouble.error else ""
            self.end(task, TaskTimeout(f"not ended within {task._timeout:g} s{last}{trouble}", submitted="yes"))

    def abandon(self, task: VideoTask) -> None:
        """Give a task up; one that is being sent ends when its answer is there."""
        if task.done():
            return
        self.now()
        self.submits.withdraw(task, TaskAbandoned("withdrawn, nothing was sent", submitted="no"))
        if task._plan is not None:
            task._plan.abandoned = True
        else:  # it was accepted, or has just been withdrawn
            self.end(task, TaskAbandoned(f"given up, still running as {task._id}", submitted="yes"))

    def looked(self, task: VideoTask) -> None:
        """Take note that somebody knows how a task ended."""
        self._unlooked.pop(task, None)

    async def close(self) -> None:
        """End everything: withdraw what is planned, let requests of submits end, name what is unfinished."""
        self.now()
        if self.closed:
            await self._closing.wait()
            return
        self.closed = True
        try:
            for task in list(self.unfinished.values()):
                self.submits.withdraw(task, ClientClosed("the client was closed before it was sent", submitted="no"))
            await self._dispatcher.stop()
            if self.submits.running:
                await asyncio.wait(self.submits.running, timeout=self.transport.request_timeout)
        finally:
            await self._shut()

    async def _shut(self) -> None:
        for task in list(self.unfinished.values()):
            if task._stage is Stage.SENDING:
                error = SubmitUncertain("submit: the client was closed before the reply", submitted="unknown")
                self.submits.cut(task, error)
            else:
                self.end(task, ClientClosed("the client was closed, the task goes on", submitted="yes"))
        self._report()
        requests = list(self._dispatcher.in_flight)
        for request in requests:
            request.cancel()
        async with contextlib.AsyncExitStack() as stack:  # each is closed, even if another is cut
            stack.callback(self._closing.set)
            stack.push_async_callback(self.books.close)
            stack.push_async_callback(self.transport.close)
            stack.push_async_callback(self.uploads.close)
            await asyncio.gather(*requests, *self.submits.preparing, return_exceptions=True)

    def _report(self) -> None:
        if self.unfinished:
            names = ", ".join(name(task) for task in self.unfinished.values())
            _log.warning("closed with %d unfinished: %s", len(self.unfinished), names)
        if self._unlooked:
            names = ", ".join(f"{name(task)}: {reason(task)}" for task in self._unlooked)
            _log.warning("%d failed and nobody looked: %s", len(self._unlooked), names)
