"""The engine of one client: what its verbs set in motion, which loop it runs on, and its end.

It puts the rooms below it together in time; each rule is theirs.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable

import attrs

from foxvideo._aio import loop_time
from foxvideo._engine.dispatcher import Dispatcher, Kind
from foxvideo._engine.gate import Gate, Read
from foxvideo._engine.job import UNSENT, Job, Stage
from foxvideo._engine.jobs import Jobs
from foxvideo._engine.polling import Hint, Polling
from foxvideo._engine.submission import Submissions, abandon
from foxvideo._engine.timers import Work
from foxvideo._http import Transport
from foxvideo._journal.recorder import Recorder
from foxvideo._transfer.upload import Uploads
from foxvideo.errors import ClientClosed, FoxError, Submitted, SubmitUncertain, TaskAbandoned
from foxvideo.events import EventKind
from foxvideo.requests.generic import VideoRequest
from foxvideo.schedule.base import Learning
from foxvideo.state import Stats

_closing_apart: set[asyncio.Task[None]] = set()  # the loop itself would forget them


@attrs.define(eq=False, kw_only=True)
class Engine:
    """Drives the jobs of one client.

    Attributes:
        jobs: The registry.
        submissions: From a request to an acceptance.
        polling: From an acceptance to the end.
        gate: Reads that belong to no job.
        dispatcher: Who may send when.
        uploads: Local files on their way to the service.
        recorder: What is written down.
        schedule: When to poll.
        transport: The connections.
        began: Called once the loop is known.
        ended: Awaited before the journal is closed.
        closed: Whether nothing new is begun.
    """

    jobs: Jobs
    submissions: Submissions
    polling: Polling
    gate: Gate
    dispatcher: Dispatcher[Work]
    uploads: Uploads
    recorder: Recorder
    schedule: Learning
    transport: Transport
    began: Callable[[], None] | None = attrs.field(default=None, init=False, repr=False)
    ended: Callable[[], Awaitable[None]] | None = attrs.field(default=None, init=False, repr=False)
    closed: bool = attrs.field(default=False, init=False)
    _loop: asyncio.AbstractEventLoop | None = attrs.field(default=None, init=False, repr=False)
    _closing: asyncio.Event = attrs.field(factory=asyncio.Event, init=False, repr=False)

    # --- What is going on ---

    @property
    def silent_for(self) -> float | None:
        """Seconds for which no poll was answered; None while polls are, and once the client is closed.

        Any thread may read it, as a progress display does.
        """
        return None if self._loop is None or self.closed else self.polling.silence.seconds(self._loop.time())

    def stats(self) -> Stats:
        """Return what is going on now; any thread may call it."""
        jobs = list(self.jobs.unfinished.values())
        stages = Counter(job.stage for job in jobs if not job.done())
        return Stats(
            waiting=sum(stages[stage] for stage in UNSENT),
            sending=stages[Stage.SENDING],
            running=stages[Stage.ACCEPTED],
            left=sum(job.done() for job in jobs),
            requests=len(self.dispatcher.in_flight),
            uploads=self.uploads.remembered,
            silent_for=self.silent_for,
        )

    # --- The loop ---

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
        self._check_loop()
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self.transport.bind()
            self.dispatcher.start(self._run, self._expire, self._break)
            self.recorder.recall(self.schedule.learn)
            if self.began is not None:
                self.began()

    def _check_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop:
            raise RuntimeError("this client belongs to another event loop; make one client for each loop")

    # --- What the dispatcher calls ---

    def _run(self, kind: Kind, work: Work) -> "asyncio.Task[None]":
        """Start the request of an entry whose turn has come."""
        if isinstance(work, Read):
            return self.gate.run(work)
        if isinstance(work, Hint):
            return self.polling.run(work.job, hinted=True)
        assert isinstance(work, Job)  # noqa: S101 - there are no others
        if kind is Kind.SUBMIT and work.submission is not None:
            return self.submissions.run(work, work.submission)
        return self.polling.run(work)

    def _expire(self, work: Work) -> None:
        """End a wait whose deadline has passed; a request that is being sent is let end first: it may bring an id."""
        assert isinstance(work, Job)  # noqa: S101 - only jobs have deadlines
        if not self.jobs.expired(work, loop_time()):
            return  # its time stood still for a while
        if work.stage in UNSENT:
            self.submissions.expire(work)
        elif work.stage is Stage.ACCEPTED:
            self.polling.expire(work)

    def _break(self, error: BaseException) -> None:
        """End everything: the dispatcher broke, so that nothing would ever be sent again."""
        self.jobs.listeners.emit(EventKind.BROKEN, why=f"the dispatcher broke: {error!r}")
        for job in list(self.jobs.unfinished.values()):
            if job.stage is not Stage.SENDING:  # its request runs by itself
                submitted: Submitted = "no" if job.stage in UNSENT else "yes"
                self.jobs.end(job, FoxError(f"the dispatcher broke: {error!r}", submitted=submitted))

    # --- Verbs ---

    def submit(
        self,
        request: VideoRequest,
        timeout: float | None,
        *,
        key: str | None = None,
        retry_failed: bool = False,
        risk: bool = False,
        check: bool = True,
    ) -> Job:
        """Begin a job with a request that passed its checks."""
        self.bind()
        return self.submissions.begin(request, timeout, key=key, retry_failed=retry_failed, risk=risk, check=check)

    def follow(self, job: Job) -> None:
        """Begin to work on a job that was named by its id or key, unless that has begun or it has ended.

        Raises:
            RuntimeError: The client belongs to another loop, so that the end would never be heard of in this one.
        """
        if job.done():
            return
        self._check_loop()
        if job.followed:
            return
        if self.closed:
            self.jobs.end(job, ClientClosed("the client is closed", submitted="no"))
            return
        self.bind()
        if job.submission is not None:
            self.submissions.find(job, job.submission)
        else:
            self.polling.follow(job)

    def hint(self, task_id: str) -> Job | None:
        """Poll a task at once, if it is followed here; return its job, None if it is unknown here."""
        self.bind()
        job = self.jobs.find(task_id)
        if job is not None and not job.done():
            self.polling.hint(job)
        return job

    def abandon(self, job: Job) -> None:
        """Give a job up; one that is being sent ends when its answer is there."""
        if job.done():
            return
        self._check_loop()
        if job.stage is Stage.ACCEPTED:
            abandon(self.jobs, job)
        elif not self.withdraw(job) and job.submission is not None:
            job.submission.abandoned = True

    def withdraw(self, job: Job) -> bool:
        """End a job unless its request has left; return whether it is ended."""
        if not job.done():
            self.submissions.withdraw(job, TaskAbandoned("withdrawn, nothing was sent", submitted="no"))
        return job.done()

    async def close(self) -> None:
        """End everything: withdraw what is not sent, let submissions under way end, name what is unfinished."""
        self._check_loop()
        if self.closed:
            await self._closing.wait()
            return
        self.closed = self.submissions.closed = True
        try:
            self.gate.close()
            for job in list(self.jobs.unfinished.values()):
                self.submissions.withdraw(job, ClientClosed("the client was closed before it was sent", submitted="no"))
            await self.dispatcher.stop()
            if self.submissions.running:
                # A little longer than the reply's own deadline, which knows better what had arrived by then.
                await asyncio.wait(self.submissions.running, timeout=self.transport.request_timeout + 2.0)
        finally:
            await self._shut()

    def let_go(self) -> None:
        """Close what nobody holds any more; not while a task is going on, since somebody may hold its handle."""
        loop = self._loop
        if loop is not None and loop.is_running() and not self.jobs.unfinished:
            loop.call_soon_threadsafe(self._close_apart)

    def _close_apart(self) -> None:
        closing = asyncio.create_task(self.close())
        _closing_apart.add(closing)
        closing.add_done_callback(_closing_apart.discard)

    async def _shut(self) -> None:
        for job in list(self.jobs.unfinished.values()):
            if job.stage is Stage.SENDING:
                error = SubmitUncertain("submission: the client was closed before the reply", submitted="unknown")
                self.submissions.cut(job, error)
            else:
                self.jobs.end(job, ClientClosed("the client was closed, the task goes on", submitted="yes"))
        self.jobs.report()
        requests = list(self.dispatcher.in_flight)
        for request in requests:
            request.cancel()
        async with contextlib.AsyncExitStack() as stack:  # each is closed, even if another is cut
            stack.callback(self._closing.set)
            stack.push_async_callback(self.recorder.close)
            if self.ended is not None:
                stack.push_async_callback(self.ended)
            stack.push_async_callback(self.transport.close)
            stack.push_async_callback(self.uploads.close)
            await asyncio.gather(*requests, *self.submissions.preparing, return_exceptions=True)
