"""One poll of a task and what it means: from an acceptance to the end.

Out of scope: rules about replies and delays (``_wire/verdict.py``), when to poll (``schedule/``), and what an end does
(``jobs.py``).
"""

import asyncio
import functools
import weakref

import attrs

from foxvideo._aio import begun, loop_time
from foxvideo._engine.dispatcher import Dispatcher, Kind
from foxvideo._engine.ends import broken
from foxvideo._engine.job import Job
from foxvideo._engine.jobs import Jobs
from foxvideo._engine.silence import Silence
from foxvideo._engine.timers import Work
from foxvideo._http import Transport
from foxvideo._listeners import kind_of, why
from foxvideo._wire.verdict import PollAgain, poll_verdict, state_verdict
from foxvideo.errors import FoxError, TaskTimeout
from foxvideo.events import EventKind
from foxvideo.schedule.base import Learning, clip
from foxvideo.state import TaskState

_HINT_SECONDS = 10.0  # between two polls of a task that callbacks bring about: anybody may send them


@attrs.frozen(eq=False)
class Hint:
    """One poll beside the schedule, in line for its turn.

    Attributes:
        job: What is polled.
    """

    job: Job

    def done(self) -> bool:
        """Whether there is nothing to poll any more."""
        return self.job.done()


@attrs.define(eq=False, kw_only=True)
class Polling:
    """Follows the accepted tasks of one client.

    Attributes:
        jobs: The registry.
        dispatcher: Who may send when.
        transport: The connections.
        schedule: When to poll.
        sync_upstream: Whether polls ask the service to look upstream.
        silence: Whether it answers.
    """

    jobs: Jobs
    dispatcher: Dispatcher[Work]
    transport: Transport
    schedule: Learning
    sync_upstream: bool
    silence: Silence = attrs.field(init=False)
    _hinted: "weakref.WeakKeyDictionary[Job, float]" = attrs.field(
        factory=weakref.WeakKeyDictionary, init=False, repr=False
    )

    def __attrs_post_init__(self) -> None:
        self.silence = Silence(self.jobs.listeners)

    def follow(self, job: Job) -> None:
        """Begin to poll an accepted task at once, whose time runs from now."""
        now = loop_time()
        job.followed = True
        if not job.since:
            job.since = now
        if job.id is not None:
            self.jobs.unfinished[job.id] = job
        self.jobs.tell(EventKind.FOLLOWED, job, traceparent=job.traceparent)
        self.jobs.start_clock(job, now)
        self.dispatcher.queue(Kind.POLL, job)

    def accepted(self, job: Job, state: TaskState) -> None:
        """Go on with a task that has just been accepted."""
        now = loop_time()
        self._carry_out(job, state_verdict(state, job.failures, now), now)

    def hint(self, job: Job) -> None:
        """Poll a task that is followed once more than its schedule says, at once; at most every ten seconds."""
        now = loop_time()
        if job.followed and job.id is not None and now >= self._hinted.get(job, now):
            self._hinted[job] = now + _HINT_SECONDS
            self.jobs.tell(EventKind.RECEIVED, job)
            self.dispatcher.queue(Kind.POLL, Hint(job), first=True)

    def run(self, job: Job, *, hinted: bool = False) -> "asyncio.Task[None]":
        """Start a poll whose turn has come; of one beside the schedule only good news counts."""
        poll = begun(self._poll(job, hinted=hinted))
        poll.add_done_callback(functools.partial(self._ran, job))
        return poll

    def _ran(self, job: Job, poll: "asyncio.Task[None]") -> None:
        """End a job whose poll was cut by the event loop, or broke in a way that nobody foresaw."""
        error = asyncio.CancelledError() if poll.cancelled() else poll.exception()
        if error is not None and not job.done():
            self.jobs.end(job, broken(job, error))

    async def _poll(self, job: Job, *, hinted: bool) -> None:
        started, task_id = loop_time(), job.id or ""
        answer = await self.transport.task(task_id, sync_upstream=self.sync_upstream and job.failures.sync)
        if job.done():
            return
        now = loop_time()
        verdict = poll_verdict(answer, task_id, job.failures, now, known=job.known, before=job.state)
        if isinstance(verdict, PollAgain) and verdict.limited:
            slow_down(self.jobs, Kind.POLL, started, verdict.after or 0.0)
        else:
            self.dispatcher.passed(Kind.POLL, started)
        self._listen(verdict, now)
        self._tell(job, verdict, now)
        if not hinted or isinstance(verdict, TaskState):
            self._carry_out(job, verdict, now)
        elif isinstance(verdict, PollAgain) and verdict.state is not None:
            job.observe(verdict.state)

    def _listen(self, verdict: PollAgain | TaskState | FoxError, now: float) -> None:
        """Take note of whether the service answered; an error that ends a wait may be the last of many failed polls."""
        if isinstance(verdict, FoxError):
            return
        failed = verdict.failures.error if isinstance(verdict, PollAgain) and verdict.state is None else None
        if failed is not None:
            self.silence.unheard(now, why(failed))
        elif self.silence.since is not None:
            self.silence.heard()

    def _tell(self, job: Job, verdict: PollAgain | TaskState | FoxError, now: float) -> None:
        if not self.jobs.listeners.heard(EventKind.POLLED):
            return
        told = verdict.state or verdict.failures.error if isinstance(verdict, PollAgain) else verdict
        status = told.status.value if isinstance(told, TaskState) else None
        progress = told.progress if isinstance(told, TaskState) else None
        error = kind_of(told) if isinstance(told, FoxError) else None
        seconds = now - job.since
        self.jobs.tell(EventKind.POLLED, job, status=status, progress=progress, error=error, seconds=seconds)

    def _carry_out(self, job: Job, verdict: PollAgain | TaskState | FoxError, now: float) -> None:
        match verdict:
            case TaskState():
                self.jobs.end_as(job, verdict)
            case PollAgain():
                self._poll_again(job, verdict, now)
            case _:
                self.jobs.end(job, verdict)

    def _poll_again(self, job: Job, verdict: PollAgain, now: float) -> None:
        job.failures = verdict.failures
        if verdict.state is not None:
            job.observe(verdict.state)
        due = self._next_poll(job, now) if verdict.after is None else now + verdict.after
        if job.deadline is not None and job.timeout is not None:
            due = clip(due, now, job.deadline, job.timeout)
            if due >= job.deadline:
                return  # the deadline has an entry of its own
        self.dispatcher.at(due, Kind.POLL, job)

    def _next_poll(self, job: Job, now: float) -> float:
        age = now - job.since
        next_age, job.memo = self.schedule.step(job.asked, age, job.state, job.memo)
        if not next_age > age:  # NaN compares as False
            raise ValueError(f"{self.schedule!r}: the next age {next_age!r} is not above {age!r}")
        return job.since + next_age

    def expire(self, job: Job) -> None:
        """End a wait whose deadline has passed; the task goes on at the service."""
        last = f", last status {job.state.status_text}" if job.state else ""
        failure = f", last poll: {job.failures.error.what}" if job.failures.error else ""
        self.jobs.end(job, TaskTimeout(f"not ended within {job.timeout:g} s{last}{failure}", submitted="yes"))
        if job.id is not None:
            self.jobs.recorder.unfollow(job.id)


def slow_down(jobs: Jobs, kind: Kind, started: float, wait: float) -> None:
    """Take a 429 to a request that left at ``started`` into account."""
    gap = jobs.dispatcher.limited(kind, started, wait)
    slower = None if gap is None else f"leave {gap:.1f} s apart"
    jobs.listeners.emit(EventKind.LIMITED, request=kind.name.lower(), seconds=wait, why=slower)
