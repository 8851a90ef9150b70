"""From submit to the end: what is done for one task, and in which order.

What belongs here: carrying out the verdicts of ``retry.py`` on the handles of ``task.py``, the registry of living
handles, and closing. What must not: rules about replies, delays or times; waiting (``task.py``).

A submit costs money, so its request runs in a task of its own that no waiter can cut. If the event loop itself cuts
it, the outcome is *uncertain*, and is logged.
"""

import asyncio
import contextlib
import contextvars
import functools
import logging
import secrets
import weakref

import attrs

from foxvideo.dispatcher import Dispatcher, Kind
from foxvideo.errors import (
    ClientClosed,
    FoxError,
    InvalidRequest,
    RateLimited,
    SubmitUncertain,
    TaskAbandoned,
    TaskFailed,
    TaskTimeout,
)
from foxvideo.outcomes import broken, failed, log_end, name, reason, settled
from foxvideo.requests import VideoRequest, media_of
from foxvideo.retry import AskAgain, SendAgain, judge_read, judge_state, judge_submit
from foxvideo.schedule import Schedule, clip
from foxvideo.states import Status, TaskState
from foxvideo.task import Plan, Stage, VideoTask
from foxvideo.transfers import Uploads
from foxvideo.transport import Transport
from foxvideo.video import Video
from foxvideo.wire import encode

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
    uploads: Uploads = attrs.field(init=False)
    unfinished: dict[object, VideoTask] = attrs.field(factory=dict, init=False, repr=False)
    closed: bool = attrs.field(default=False, init=False)
    _loop: asyncio.AbstractEventLoop | None = attrs.field(default=None, init=False, repr=False)
    _dispatcher: Dispatcher[VideoTask] = attrs.field(init=False, repr=False)
    _handles: "weakref.WeakValueDictionary[str, VideoTask]" = attrs.field(
        factory=weakref.WeakValueDictionary, init=False, repr=False
    )
    _unlooked: dict[VideoTask, None] = attrs.field(factory=dict, init=False, repr=False)
    _submits: set[asyncio.Task[None]] = attrs.field(factory=set, init=False, repr=False)
    _closing: asyncio.Event = attrs.field(factory=asyncio.Event, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.uploads = Uploads(self.transport)
        self._dispatcher = Dispatcher(self.max_requests, self.max_active, self._run, self._expire)

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
            raise ClientClosed("the client is closed, nothing was sent")
        self._now()
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._dispatcher.start()

    def _now(self) -> float:
        loop = asyncio.get_running_loop()
        if self._loop not in {None, loop}:
            raise RuntimeError("this client belongs to another event loop; make one client for each loop")
        return loop.time()

    def submit(self, request: VideoRequest, timeout: float | None) -> VideoTask:
        """Begin a task with a request that passed its checks."""
        self.bind()
        media = media_of(request)
        plan = Plan(contextvars.copy_context(), secrets.token_hex(16), None if media else encode(request, {}))
        task = VideoTask(request, self, timeout, plan=plan, following=True)
        self.unfinished[task] = task
        if media:
            plan.preparing = asyncio.create_task(self._prepare(task, plan, request))
            plan.preparing.add_done_callback(functools.partial(self._ran, task))
        else:
            self._dispatcher.queue(Kind.SUBMIT, task)
        return task

    def task(self, task_id: str, timeout: float | None) -> VideoTask:
        """Return the living handle of an id, or a new one that asks once somebody waits."""
        if (known := self._handles.get(task_id)) is not None:
            return known
        task = VideoTask(None, self, timeout, id=task_id, stage=Stage.ACCEPTED)
        self._handles[task_id] = task
        return task

    def follow(self, task: VideoTask) -> None:
        """Begin to ask after a task, unless that has begun or it has ended.

        Raises:
            RuntimeError: The client belongs to another loop, so that the end would never be heard of in this one.
        """
        if task.done():
            return
        now = self._now()
        if task._following:
            return
        if self.closed:
            self._end(task, ClientClosed("the client is closed", submitted="yes"))
            return
        self.bind()
        task._following, task._since = True, now
        self.unfinished[task.id] = task
        self._set_deadline(task, now)
        self._dispatcher.queue(Kind.POLL, task)

    async def _prepare(self, task: VideoTask, plan: Plan, request: VideoRequest) -> None:
        """Upload the local files of a request, then let its submit wait for its turn."""
        links = {key: await self.uploads.link(media) for key, media in media_of(request).items()}
        plan.body = encode(request, links)
        self._dispatcher.queue(Kind.SUBMIT, task)

    # --- Requests ---

    def _run(self, kind: Kind, task: VideoTask) -> asyncio.Task[None]:
        if kind is Kind.POLL or task._plan is None:
            request = asyncio.create_task(self._poll(task))
        else:
            task._active = True
            request = asyncio.create_task(self._submit(task, task._plan), context=task._plan.context)
            self._submits.add(request)
        request.add_done_callback(functools.partial(self._ran, task))
        return request

    def _ran(self, task: VideoTask, request: asyncio.Task[None]) -> None:
        """End a task if the upload or request for it was cut by the event loop, or broke unforeseen."""
        self._submits.discard(request)
        error = asyncio.CancelledError() if request.cancelled() else request.exception()
        if error is not None:
            self._end(task, broken(task, error))

    async def _submit(self, task: VideoTask, plan: Plan) -> None:
        """Send one attempt, and do what its answer means."""
        if task.done():  # withdrawn after its turn had come
            return
        started = self._now()
        task._stage = Stage.SENDING
        plan.attempts += 1
        if task._deadline is None:
            self._set_deadline(task, started)
        answer = await self.transport.submit(plan.body or b"", plan.idempotency_key)
        verdict = judge_submit(answer, attempt=plan.attempts, attempts=self.submit_attempts, retry_429=self.retry_429)
        match verdict:
            case TaskState():
                self._dispatcher.passed(Kind.SUBMIT, started)
                self._accept(task, plan, verdict)
            case SendAgain():
                self._send_again(task, plan, verdict, started)
            case _:
                self._refuse(task, plan, verdict, started)

    def _accept(self, task: VideoTask, plan: Plan, state: TaskState) -> None:
        now = self._now()
        del self.unfinished[task]
        self.unfinished[state.id] = self._handles[state.id] = task
        task._id, task._since, task._stage, task._plan = state.id, now, Stage.ACCEPTED, None
        _log.info("accepted %s (%s)", state.id, state.model or task.request_model)
        self._carry_out(task, judge_state(state, task._trouble, now), now)
        if plan.abandoned:
            self.abandon(task)
        elif task._deadline is not None and task._deadline <= now:
            self._expire(task)

    def _send_again(self, task: VideoTask, plan: Plan, verdict: SendAgain, started: float) -> None:
        now = self._now()
        task._stage = Stage.PLANNED
        self._deactivate(task)
        _log.debug("submit of %s again in %.1f s: %s", task.request_model, verdict.after, verdict.error.what)
        if verdict.limited:
            self._slow_down(Kind.SUBMIT, started, verdict.after)
        if self.closed:
            self._end(task, ClientClosed("the client was closed, nothing was made"))
        elif plan.once:
            self._end(task, TaskAbandoned("withdrawn, nothing was made"))
        elif task._deadline is not None and task._deadline <= now:
            self._expire(task)
        elif verdict.limited:
            self._dispatcher.queue(Kind.SUBMIT, task, first=True)
        else:
            self._dispatcher.at(now + verdict.after, Kind.SUBMIT, task)

    def _refuse(self, task: VideoTask, plan: Plan, error: FoxError, started: float) -> None:
        if isinstance(error, RateLimited):
            self._slow_down(Kind.SUBMIT, started, error.retry_after or 0.0)
        if isinstance(error, InvalidRequest) and error.code == "invalid_image_url" and plan.body:
            self.uploads.forget(plan.body)
        if plan.abandoned and error.submitted == "no":
            error = TaskAbandoned("withdrawn, nothing was made")
        self._end(task, error)

    async def _poll(self, task: VideoTask) -> None:
        """Ask once, and do what the answer means."""
        started = self._now()
        answer = await self.transport.task(task._id or "", sync_upstream=self.sync_upstream and task._trouble.sync)
        if task.done():
            return
        now = self._now()
        verdict = judge_read(answer, task._id or "", task._trouble, now)
        if isinstance(verdict, AskAgain) and verdict.limited:
            self._slow_down(Kind.POLL, started, verdict.after or 0.0)
        else:
            self._dispatcher.passed(Kind.POLL, started)
        self._carry_out(task, verdict, now)

    def _slow_down(self, kind: Kind, started: float, wait: float) -> None:
        if (gap := self._dispatcher.limited(kind, started, wait)) is not None:
            _log.warning("429: %s requests wait %.1f s, then leave %.1f s apart", kind.name.lower(), wait, gap)

    def _carry_out(self, task: VideoTask, verdict: AskAgain | TaskState | FoxError, now: float) -> None:
        match verdict:
            case TaskState():
                task._observe(verdict)
                done = verdict.status is Status.COMPLETED
                self._end(task, Video.of(verdict, task.request, self.transport) if done else failed(verdict))
            case AskAgain():
                self._ask_again(task, verdict, now)
            case _:
                self._end(task, verdict)

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
        next_age = self.schedule.next_age(task.request_model, age, task.state)
        if not next_age > age:  # nor is NaN
            raise ValueError(f"{self.schedule!r}: the next age {next_age!r} is not above {age!r}")
        return task._since + next_age

    # --- Ends ---

    def _end(self, task: VideoTask, outcome: Video | FoxError) -> None:
        """End a task for this side, once; keep it in ``unfinished`` where it may go on at the service."""
        if task.done():
            return
        seconds = self._now() - task._since if task._following else 0.0
        if isinstance(outcome, FoxError):
            outcome.task_id = outcome.task_id or task._id
            if outcome.credits_reserved is None and task.state is not None:
                outcome.credits_reserved = task.state.credits_reserved
            if not isinstance(outcome, _OWN_DOING):
                self._unlooked[task] = None
        if settled(outcome):
            self.unfinished.pop(task._id or task, None)
        if task._id is not None and not isinstance(outcome, Video | TaskFailed):
            self._handles.pop(task._id, None)
        task._end(outcome)
        self._deactivate(task)
        self._dispatcher.ended()
        log_end(task, outcome, seconds)

    def _deactivate(self, task: VideoTask) -> None:
        if task._active:
            task._active = False
            self._dispatcher.release()

    def _set_deadline(self, task: VideoTask, start: float) -> None:
        if task._timeout is not None:
            task._deadline = start + task._timeout
            self._dispatcher.at(task._deadline, Kind.DEADLINE, task)

    def _expire(self, task: VideoTask) -> None:
        """End a wait whose deadline has passed; a request that is being sent is let end first, it may bring an id."""
        if task._stage is Stage.PLANNED:
            self._end(task, TaskTimeout(f"not accepted within {task._timeout:g} s, nothing was made"))
        elif task._stage is Stage.ACCEPTED:
            last = f", last status {task.state.status_text}" if task.state else ""
            trouble = f", last query: {task._trouble.error.what}" if task._trouble.error else ""
            self._end(task, TaskTimeout(f"not ended within {task._timeout:g} s{last}{trouble}", submitted="yes"))

    def abandon(self, task: VideoTask) -> None:
        """Give a task up; one that is being sent ends when its answer is there."""
        if task.done():
            return
        self._now()
        self.withdraw(task, TaskAbandoned("withdrawn, nothing was sent"))
        if task._plan is not None:
            task._plan.abandoned = True
        else:  # it was accepted, or has just been withdrawn
            self._end(task, TaskAbandoned(f"given up, still running as {task._id}", submitted="yes"))

    def withdraw(self, task: VideoTask, error: FoxError) -> None:
        """End a task of which nothing was sent; one that is being sent goes on, but is not sent again."""
        plan = task._plan
        if plan is None:
            return
        plan.once = True
        if task._stage is Stage.PLANNED:
            self._end(task, error)
            if plan.preparing is not None:
                plan.preparing.cancel()

    def looked(self, task: VideoTask) -> None:
        """Take note that somebody knows how a task ended."""
        self._unlooked.pop(task, None)

    async def close(self) -> None:
        """End everything: withdraw what is planned, let requests of submits end, name what is unfinished."""
        self._now()
        if self.closed:
            await self._closing.wait()
            return
        self.closed = True
        try:
            for task in list(self.unfinished.values()):
                self.withdraw(task, ClientClosed("the client was closed before it was sent"))
            await self._dispatcher.stop()
            if self._submits:
                await asyncio.wait(self._submits, timeout=self.transport.request_timeout)
        finally:
            await self._shut()

    async def _shut(self) -> None:
        for task in list(self.unfinished.values()):
            if task._stage is Stage.SENDING:
                self._end(
                    task,
                    SubmitUncertain("submit: the client was closed before the reply", submitted="unknown"),
                )
            else:
                self._end(task, ClientClosed("the client was closed, the task goes on", submitted="yes"))
        self._report()
        requests = list(self._dispatcher.in_flight)
        for request in requests:
            request.cancel()
        async with contextlib.AsyncExitStack() as stack:  # each is closed, even if another is cut
            stack.callback(self._closing.set)
            stack.push_async_callback(self.transport.close)
            stack.push_async_callback(self.uploads.close)
            await asyncio.gather(*requests, return_exceptions=True)

    def _report(self) -> None:
        if self.unfinished:
            names = ", ".join(name(task) for task in self.unfinished.values())
            _log.warning("closed with %d unfinished: %s", len(self.unfinished), names)
        if self._unlooked:
            names = ", ".join(f"{name(task)}: {reason(task)}" for task in self._unlooked)
            _log.warning("%d failed and nobody looked: %s", len(self._unlooked), names)
