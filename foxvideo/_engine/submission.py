"""From a request to an accepted task: claiming its key, uploading its files, sending it, and what the answer means.

What belongs here: carrying out the verdicts of ``verdict.judge_submit``, in the order that keeps the money safe. What
must not: rules about replies and delays (``_wire/verdict.py``), what is on the disk (``_journal/recorder.py``), and
everything after the acceptance (``engine.py``).

A submit costs money, so its request runs in a task of its own that no waiter can cut. If the event loop itself cuts
it, the outcome is *uncertain*, and is logged.
"""

import asyncio
import contextvars
import functools
import logging
import secrets
from collections.abc import Coroutine
from typing import Any

import attrs

from foxvideo._engine.dispatcher import Dispatcher, Kind
from foxvideo._engine.lookup import Follower, Recalls, share
from foxvideo._engine.outcome import broken
from foxvideo._http import Transport
from foxvideo._journal.record import Mine, TaskRecord
from foxvideo._journal.recorder import Forgetful
from foxvideo._transfer.upload import Uploads
from foxvideo._wire.decode import encode
from foxvideo._wire.verdict import SendAgain, judge_submit
from foxvideo.errors import (
    ClientClosed,
    FoxError,
    InvalidRequest,
    JournalError,
    RateLimited,
    TaskAbandoned,
    TaskNotFound,
)
from foxvideo.requests.generic import VideoRequest, media_of
from foxvideo.state import TaskState
from foxvideo.task import Plan, Stage, VideoTask

_log = logging.getLogger("foxvideo")


@attrs.define(eq=False, kw_only=True)
class Submits:
    """The submits of one client.

    Attributes:
        life: Who follows and ends the tasks.
        transport: The connections.
        dispatcher: Who may send when.
        uploads: Local files on their way to the service.
        books: What is written down, with or without a journal.
        attempts: How often a submit may be sent in all.
        retry_429: Whether one that got a 429 may be sent again.
        keys: The living handle of each key.
        recalls: What the journal knows of keys that are asked for again.
        running: Requests that are under way.
        preparing: What comes before them.
    """

    life: Follower
    transport: Transport
    dispatcher: Dispatcher[VideoTask]
    uploads: Uploads
    books: Forgetful
    attempts: int
    retry_429: bool
    keys: dict[str, VideoTask] = attrs.field(factory=dict, init=False, repr=False)
    recalls: Recalls = attrs.field(init=False, repr=False)
    running: set[asyncio.Task[None]] = attrs.field(factory=set, init=False, repr=False)
    preparing: set[asyncio.Task[None]] = attrs.field(factory=set, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.recalls = Recalls(self.life, self.books, self.keys)

    # --- Beginnings ---

    def begin(
        self, request: VideoRequest, timeout: float | None, *, key: str | None, retry_failed: bool, risk: bool
    ) -> VideoTask:
        """Begin a task with a request that passed its checks; the same key and request is the same task.

        Raises:
            JournalError: The journal failed before, so that nothing new is sent.
        """
        if self.books.failure is not None:
            raise JournalError(
                f"nothing was sent, since the journal failed before: {self.books.failure.what}", key=key, submitted="no"
            )
        media = media_of(request)
        if key is not None and (living := self.keys.get(key)) is not None and living.request == request and not media:
            share(living)
            return living
        plan = Plan(contextvars.copy_context(), secrets.token_hex(16), media, retry_failed=retry_failed, risk=risk)
        task = VideoTask(request, self.life, timeout, key=key, plan=plan, following=True)
        self.life.unfinished[task] = task
        if key is not None:
            self.keys.setdefault(key, task)
        if media:
            self._prepare(task, plan, self._describe(task, plan, request))
        else:
            if key is not None:  # else it is encoded when it is sent: a hundred thousand may wait for that
                plan.body = encode(request, {})
            self._claim(task, plan)
        return task

    def _prepare(self, task: VideoTask, plan: Plan, work: Coroutine[Any, Any, None]) -> None:
        """Do what takes time before a submit may wait for its turn, in a task that can be cancelled."""
        plan.preparing = asyncio.create_task(work)
        self.preparing.add(plan.preparing)
        plan.preparing.add_done_callback(functools.partial(self._ran, task))

    async def _describe(self, task: VideoTask, plan: Plan, request: VideoRequest) -> None:
        await self.books.describe(request, plan)
        self._claim(task, plan)

    def _claim(self, task: VideoTask, plan: Plan) -> None:
        """Claim the key of a task, if it has one."""
        claim = self.books.claim(task, plan)
        if claim is None:
            self._queue(task, plan)
        else:
            claim.add_done_callback(functools.partial(self._claimed, task, plan))

    def _claimed(self, task: VideoTask, plan: Plan, claim: "asyncio.Future[Mine | TaskRecord]") -> None:
        error = claim.exception()
        found = None if error is not None else claim.result()
        if task.done():  # withdrawn meanwhile
            self.books.unsent(found.number if isinstance(found, Mine) else None)
        elif isinstance(found, Mine):
            plan.row, plan.idempotency_key, plan.elsewhere = found.number, found.token, False
            self.keys[task.key or ""] = task
            self._queue(task, plan)
        elif isinstance(found, TaskRecord):
            self._prepare(task, plan, self._known(task, plan, found))
        else:
            self.life.end(task, broken(task, error or asyncio.CancelledError()))

    def _queue(self, task: VideoTask, plan: Plan) -> None:
        if plan.media and plan.body is None and task.request is not None:
            self._prepare(task, plan, self._upload(task, plan, task.request))
        else:
            self.dispatcher.queue(Kind.SUBMIT, task)

    async def _upload(self, task: VideoTask, plan: Plan, request: VideoRequest) -> None:
        links = {place: await self.uploads.link(media) for place, media in plan.media.items()}
        plan.body = encode(request, links)
        self.dispatcher.queue(Kind.SUBMIT, task)

    # --- What the journal knows ---

    def look_up(self, key: str, timeout: float | None) -> VideoTask:
        """Return the living handle of a key, or a new one that looks into the journal once somebody waits."""
        if (living := self.keys.get(key)) is not None:
            share(living)
            return living
        plan = Plan(contextvars.copy_context(), "")
        return VideoTask(None, self.life, timeout, key=key, plan=plan)

    def follow(self, task: VideoTask, plan: Plan) -> None:
        """Begin to look a key up."""
        task._following = True
        self.life.unfinished[task] = task
        self.recalls.elsewhere(task, plan)
        self._prepare(task, plan, self._look(task, plan))

    async def _look(self, task: VideoTask, plan: Plan) -> None:
        row = await self.books.look(task.key or "")
        if row is None:
            self.life.end(task, TaskNotFound("the journal has no submit under this key", submitted="no"))
        elif not await self.recalls.recall(task, plan, row):
            self._prepare(task, plan, self._look(task, plan))

    async def _known(self, task: VideoTask, plan: Plan, row: TaskRecord) -> None:
        if not await self.recalls.recall(task, plan, row):
            self._claim(task, plan)

    # --- Requests ---

    def run(self, task: VideoTask, plan: Plan) -> asyncio.Task[None]:
        """Start the request of a task whose turn has come."""
        task._active = True
        request = asyncio.create_task(self._submit(task, plan), context=plan.context)
        self.running.add(request)
        request.add_done_callback(functools.partial(self._ran, task))
        return request

    def _ran(self, task: VideoTask, request: asyncio.Task[None]) -> None:
        """End a task if the work for it was cut by the event loop, or broke unforeseen."""
        self.running.discard(request)
        self.preparing.discard(request)
        error = asyncio.CancelledError() if request.cancelled() else request.exception()
        if error is not None:
            self.cut(task, broken(task, error))

    def cut(self, task: VideoTask, error: FoxError) -> None:
        """End a task that cannot go on; if it was accepted meanwhile, with its id."""
        state = task._plan.state if task._plan is not None else None
        if state is not None:
            self.life.admit(task, state.id)
            if not isinstance(error, JournalError):
                error = ClientClosed("the client was closed, the task goes on", submitted="yes")
        self.life.end(task, error)

    async def _submit(self, task: VideoTask, plan: Plan) -> None:
        """Send one attempt, and do what its answer means."""
        if task.done():  # withdrawn after its turn had come
            return
        started = self.life.now()
        if task._deadline is None:
            self.life.set_deadline(task, started)
        if plan.body is None and task.request is not None:
            plan.body = encode(task.request, {})
        if not await self.books.sending(task, plan):  # another client took it over
            plan.elsewhere = True
            self.life.deactivate(task)
            self._claim(task, plan)
            return
        if task.done():  # withdrawn while that was written down
            self.books.unsent(plan.row)
            return
        task._stage = Stage.SENDING
        plan.attempts += 1
        answer = await self.transport.submit(plan.body or b"", plan.idempotency_key)
        verdict = judge_submit(answer, attempt=plan.attempts, attempts=self.attempts, retry_429=self.retry_429)
        match verdict:
            case TaskState():
                self.dispatcher.passed(Kind.SUBMIT, started)
                plan.state = verdict
                await self.books.accepted(plan, verdict)
                self._accept(task, plan, verdict)
            case SendAgain():
                await self._send_again(task, plan, verdict, started)
            case _:
                self._refuse(task, plan, verdict, started)

    def _accept(self, task: VideoTask, plan: Plan, state: TaskState) -> None:
        if task.done():  # closed while that was written down
            return
        self.life.admit(task, state.id)
        _log.info("accepted %s (%s)", state.id, state.model or task.request_model)
        self.life.accept(task, state)
        if plan.abandoned:
            task.abandon()
        elif task._deadline is not None and task._deadline <= self.life.now():
            self.life.expire(task)

    async def _send_again(self, task: VideoTask, plan: Plan, verdict: SendAgain, started: float) -> None:
        task._stage = Stage.PLANNED
        self.life.deactivate(task)
        _log.debug("submit of %s again in %.1f s: %s", task.request_model, verdict.after, verdict.error.what)
        if verdict.limited:
            self.life.slow_down(Kind.SUBMIT, started, verdict.after)
        due = self.life.now() + verdict.after
        await self.books.planned(plan)
        if task.done():  # withdrawn while that was written down
            return
        if self.life.closed:
            self.life.end(task, ClientClosed("the client was closed, nothing was made", submitted="no"))
        elif plan.once:
            self.life.end(task, TaskAbandoned("withdrawn, nothing was made", submitted="no"))
        elif task._deadline is not None and task._deadline <= self.life.now():
            self.life.expire(task)
        elif verdict.limited:
            self.dispatcher.queue(Kind.SUBMIT, task, first=True)
        else:
            self.dispatcher.at(due, Kind.SUBMIT, task)

    def _refuse(self, task: VideoTask, plan: Plan, error: FoxError, started: float) -> None:
        if isinstance(error, RateLimited):
            self.life.slow_down(Kind.SUBMIT, started, error.retry_after or 0.0)
        if isinstance(error, InvalidRequest) and error.code == "invalid_image_url" and plan.body:
            self.uploads.forget(plan.body)
        if plan.abandoned and error.submitted == "no":
            error = TaskAbandoned("withdrawn, nothing was made", submitted="no")
        self.life.end(task, error)

    def give_up(self, task: VideoTask) -> None:
        """Withdraw a task since who asked for it has gone, unless it was asked for more than once."""
        if task._plan is not None and not task._plan.shared:
            self.withdraw(task, TaskAbandoned("withdrawn, nothing was sent", submitted="no"))

    def withdraw(self, task: VideoTask, error: FoxError) -> None:
        """End a task of which nothing was sent; one that is being sent goes on, but is not sent again."""
        plan = task._plan
        if plan is None:
            return
        plan.once = True
        if task._stage is Stage.PLANNED:
            self.life.end(task, error)
            if plan.preparing is not None:
                plan.preparing.cancel()
