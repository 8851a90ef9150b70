"""All jobs of one client: by id, by key, and what becomes of each when it ends.

Everything above ends jobs through ``Jobs.end``, once each: there the registries, the journal, the log and the schedule
hear of it, in this order. Nothing here waits.

Out of scope: what an end means (``ends.py``), and what brings it about.
"""

import time
import weakref
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import attrs

from foxvideo._aio import loop_time
from foxvideo._engine.dispatcher import Dispatcher, Kind
from foxvideo._engine.ends import End, end_of, failed
from foxvideo._engine.job import Job, Stage
from foxvideo._engine.timers import Work
from foxvideo._journal.record import RecordStatus
from foxvideo._journal.recorder import Recorder
from foxvideo._listeners import Listeners, kind_of, why
from foxvideo._transfer.upload import Uploads
from foxvideo.errors import ClientClosed, FoxError, SubmitUncertain, TaskAbandoned, TaskNotFound, TaskTimeout
from foxvideo.events import EventKind
from foxvideo.media import SavedFile
from foxvideo.schedule.base import Learning
from foxvideo.state import LINK_SECONDS, Status, TaskState
from foxvideo.video import Source, Video

_OWN_DOING = (TaskAbandoned, ClientClosed)  # ends that the caller brought about
_STOPPED = float("inf")  # the deadline of a job whose time stands still
_MOST_UNRETRIEVED = 1000  # errors that are kept for the last line of the log
_SETTLING_SECONDS = 300.0  # a link may answer 403 or 404 for so long after the end of its task: it is not there yet
_TERMINAL = {
    End.COMPLETED: RecordStatus.COMPLETED,
    End.FAILED: RecordStatus.FAILED,
    End.CANCELLED: RecordStatus.CANCELLED,
}


@attrs.define(eq=False, kw_only=True)
class Jobs:
    """The registry.

    Attributes:
        recorder: Writes down what happens.
        dispatcher: Who may send when.
        schedule: Learns from those that end.
        source: Where videos fetch their files.
        uploads: Forgets what the service may have dropped.
        listeners: Who hears of what happens.
        hand_over: Hands an end over to ``on_end``: of a job, with the number of its record; None where nobody asks.
        unfinished: Every job that may exist at the service and is not known to have ended, by its id where it has one.
        by_key: The living job of each key.
    """

    recorder: Recorder
    dispatcher: Dispatcher[Work]
    schedule: Learning
    source: Source
    uploads: Uploads
    listeners: Listeners
    hand_over: Callable[[Job, RecordStatus, int | None], None] | None = attrs.field(default=None, init=False)
    unfinished: dict[object, Job] = attrs.field(factory=dict, init=False, repr=False)
    by_key: dict[str, Job] = attrs.field(factory=dict, init=False, repr=False)
    _by_id: "weakref.WeakValueDictionary[str, Job]" = attrs.field(
        factory=weakref.WeakValueDictionary, init=False, repr=False
    )
    _unretrieved: dict[int, str] = attrs.field(factory=dict, init=False, repr=False)
    _tickets: int = attrs.field(default=0, init=False)

    def tell(self, kind: EventKind, job: Job, **told: Any) -> None:  # noqa: ANN401 - the fields of Event
        """Tell what happened to a job."""
        if self.listeners.heard(kind):
            named = {"task_id": job.id, "key": job.key, "model": job.model, **told}
            self.listeners.emit(kind, number=id(job), **named)

    def traceparent(self, job: Job) -> str | None:
        """Return the trace of a job for the journal; None where nobody traces."""
        telemetry = self.listeners.telemetry
        return None if telemetry is None else telemetry.traceparent(id(job))

    # --- Registries ---

    def begin(self, job: Job) -> None:
        """Take in a job that has no id yet."""
        self.unfinished[job] = job

    def find(self, task_id: str) -> Job | None:
        """Return the job of an id that lives, or that the service said to have ended; None if there is none."""
        living = self.unfinished.get(task_id)
        return living if living is not None and not living.done() else self._by_id.get(task_id)

    def named(self, task_id: str, timeout: float | None) -> Job:
        """Return the job of an id, or a new one, which nobody follows yet."""
        job = self.find(task_id)
        if job is None:
            job = Job(None, timeout, id=task_id, stage=Stage.ACCEPTED)
            self._by_id[task_id] = job
        return job

    def admit(self, job: Job, task_id: str, since: float) -> None:
        """Give a job its id, under which it is known from now on.

        Where the id is that of another living job, the two are one task: the service told it twice, and whoever waits
        for either hears of its end.

        Args:
            job: Which.
            task_id: The id.
            since: When the task was accepted, in seconds of the loop's clock.
        """
        self.unfinished.pop(job, None)
        living = self.find(task_id)
        if living is not None and living is not job and not living.done():
            self.join(job, living)
            return
        job.move(Stage.ACCEPTED)
        job.uploads = job.uploads if job.submission is None else job.submission.links
        job.id, job.since, job.submission = task_id, since, None
        self.unfinished[task_id] = job

    def join(self, job: Job, living: Job) -> None:
        """Let a job be another one of the same task."""
        share(living)
        self.unfinished.pop(job.id or job, None)
        if job.key is not None and self.by_key.get(job.key) is job:
            del self.by_key[job.key]
        living.key = living.key or job.key
        living.request = living.request or job.request
        living.mine |= job.mine
        self.tell(EventKind.JOINED, job, task_id=living.id)
        job.join(living)
        self.release(job)
        self.dispatcher.ended()

    def settle(self, key: str) -> None:
        """Drop the uncertain jobs of a key: another one stands for it now."""
        for entry, job in list(self.unfinished.items()):
            if job.key == key and isinstance(job.outcome, SubmitUncertain):
                del self.unfinished[entry]

    # --- Ends ---

    def end_as(
        self,
        job: Job,
        state: TaskState,
        *,
        written: bool = False,
        seen: float | None = None,
        files: Mapping[int, SavedFile] = MappingProxyType({}),
    ) -> None:
        """End a job as a terminal state tells, and learn from it.

        Args:
            job: Which.
            state: Its last one.
            written: Whether the journal knows that already.
            seen: When the end was first heard of, in Unix seconds; None for now.
            files: What is known to have been saved of it.
        """
        now = loop_time()
        job.observe(state)
        if state.status is Status.COMPLETED:
            settling = _settling_until(state, seen, time.time())
            video = Video.of(state, job.request, self.source, settling_until=settling, files=files)
            self.end(job, video, written=written)
        else:
            if not written:  # whatever it says, the service may have dropped what it was to read
                self.uploads.forget(job.uploads)
            self.end(job, failed(state), written=written)
        if (record := self.schedule.ended(job.asked, now - job.since, job.memo)) is not None:
            self.recorder.learn(job.model, record)

    def end(self, job: Job, outcome: Video | FoxError, *, written: bool = False) -> None:
        """End a job for this side, once; keep it in ``unfinished`` where it may go on at the service.

        Args:
            job: Which.
            outcome: What it ends with; an error says of money what came of this attempt.
            written: Whether the journal knows that already.
        """
        if job.done():
            return
        seconds = loop_time() - job.since if job.id and job.followed else 0.0
        outcome = _with_lost(job, outcome)
        attempt = end_of(outcome)
        if isinstance(outcome, FoxError):
            self._name(job, outcome)
        end = end_of(outcome)
        if not written:
            self._write(job, outcome, attempt)
        settled = end.settled or (attempt is End.NOTHING_MADE and not _may_exist(job))
        self._register(job, outcome, settled=settled, terminal=end.terminal)
        record = None if job.submission is None else job.submission.record
        to = None if written else _handed(job, outcome, attempt)
        job.end(outcome)
        self.release(job)
        self.dispatcher.ended()
        if written:  # it was told when it happened
            self.tell(EventKind.RECALLED, job, status=end.value)
        else:
            self._tell_end(job, outcome, end, seconds)
        # With a journal, what another client submitted is that one's to hand over, or its successor's.
        ours = job.mine or self.recorder.owner is None or to is RecordStatus.WITHDRAWN
        if to is not None and ours and self.hand_over is not None:
            self.hand_over(job, to, record)

    def _tell_end(self, job: Job, outcome: Video | FoxError, end: End, seconds: float) -> None:
        error = None if isinstance(outcome, Video) else outcome
        told = {
            "error": error and kind_of(error),
            "credits_reserved": outcome.credits_reserved,
            "seconds": seconds if job.id else None,
        }
        if error is not None and end is End.UNCERTAIN:
            self.tell(EventKind.UNCERTAIN, job, **told | {"task_id": error.task_id, "why": why(error)})
        else:
            self.tell(EventKind.ENDED, job, status=end.value, **told)

    def _name(self, job: Job, error: FoxError) -> None:
        """Say whom an error is about, and what the journal knows of the key beside this attempt."""
        error.name(task_id=job.id, key=job.key, before=job.least)
        if error.credits_reserved is None and job.state is not None:
            error.credits_reserved = job.state.credits_reserved

    def _write(self, job: Job, outcome: Video | FoxError, attempt: End) -> None:
        record = None if job.submission is None else job.submission.record
        why = None if isinstance(outcome, Video) else outcome.what
        if attempt.terminal:
            if job.state is not None:
                self.recorder.ended(job.state, _TERMINAL[attempt], why)
        elif record is None or job.id is not None:
            return
        elif attempt is End.UNCERTAIN:
            task_id = None if isinstance(outcome, Video) else outcome.task_id
            self.recorder.move(record, RecordStatus.UNCERTAIN, error=why, task_id=task_id)
        elif attempt is End.NOTHING_MADE:
            # Only the service refuses; what never left was withdrawn.
            refused = job.stage is Stage.SENDING
            self.recorder.move(record, RecordStatus.REFUSED if refused else RecordStatus.WITHDRAWN, error=why)

    def _register(self, job: Job, outcome: Video | FoxError, *, settled: bool, terminal: bool) -> None:
        if settled or (isinstance(outcome, TaskNotFound) and not job.known):
            self.unfinished.pop(job.id or job, None)
        if job.id is not None and terminal:
            self._by_id.setdefault(job.id, job)
        elif job.id is not None and self._by_id.get(job.id) is job:
            del self._by_id[job.id]  # the wait has ended, not the task: the next one who asks polls anew
        if job.key is not None and self.by_key.get(job.key) is job:
            del self.by_key[job.key]
        if isinstance(outcome, FoxError) and not isinstance(outcome, _OWN_DOING):
            self._tickets += 1
            if len(self._unretrieved) < _MOST_UNRETRIEVED:
                job.ticket = self._tickets
                # As text: neither the error nor the request, which may hold a picture, has to stay in memory for it.
                self._unretrieved[job.ticket] = f"{_name(job, outcome)}: {kind_of(outcome)}"

    def retrieved(self, job: Job) -> None:
        """Hear that somebody knows how a job ended."""
        if self._unretrieved.pop(job.ticket, None) is not None:
            job.ticket = 0

    def release(self, job: Job) -> None:
        """Count a job no more against ``max_active``."""
        if job.active:
            job.active = False
            self.dispatcher.release()

    def start_clock(self, job: Job, now: float) -> None:
        """Let the time of a job run from now, unless it runs."""
        if job.timeout is None:
            return
        if job.deadline is None:
            self.dispatcher.at(now + job.timeout, Kind.DEADLINE, job)
        if job.deadline in {None, _STOPPED}:
            job.deadline = now + job.timeout

    def stop_clock(self, job: Job) -> None:
        """Let the time of a job not run while it waits for its turn once more."""
        if job.deadline is not None:
            job.deadline = _STOPPED

    def expired(self, job: Job, now: float) -> bool:
        """Whether the time of a job is over; if not, it is asked again then."""
        if job.deadline is None or job.timeout is None or job.deadline <= now:
            return True
        self.dispatcher.at(min(job.deadline, now + job.timeout), Kind.DEADLINE, job)
        return False

    def report(self) -> None:
        """Tell what is left: what is unfinished, and the errors that nobody retrieved."""
        if self.unfinished:
            names = ", ".join(_name(job, job.outcome) for job in self.unfinished.values())
            self.listeners.emit(EventKind.CLOSED, count=len(self.unfinished), why=names)
        if self._unretrieved:
            told = ", ".join(self._unretrieved.values())
            self.listeners.emit(EventKind.UNRETRIEVED, count=len(self._unretrieved), why=told)


def _settling_until(state: TaskState, seen: float | None, now: float) -> float | None:
    """Return until when, on the monotonic clock, the links of a completed task may not work yet; None for no longer."""
    if state.created is not None and now - state.created.timestamp() > LINK_SECONDS:
        return None
    return time.monotonic() + _SETTLING_SECONDS - (0.0 if seen is None else now - seen)


def _with_lost(job: Job, outcome: Video | FoxError) -> Video | FoxError:
    """Return what an outcome is, seen that an earlier attempt may have been accepted."""
    lost = job.submission.lost if job.submission is not None else None
    if lost is None or end_of(outcome) is not End.NOTHING_MADE:
        return outcome
    assert isinstance(outcome, FoxError)  # noqa: S101 - nothing was made
    what = f"{lost.what}; then {outcome.what}"
    return SubmitUncertain(what, submitted="unknown", task_id=lost.task_id, http_status=lost.http_status)


def _handed(job: Job, outcome: Video | FoxError, attempt: End) -> RecordStatus | None:
    """Return as what end a job is handed over to ``on_end``; None where its task goes on, or the caller ended it."""
    if attempt.terminal:
        return _TERMINAL[attempt]
    if attempt is End.UNCERTAIN:
        return RecordStatus.UNCERTAIN
    if attempt is End.GOING_ON or isinstance(outcome, (*_OWN_DOING, TaskTimeout)):
        return None
    return RecordStatus.REFUSED if job.stage is Stage.SENDING else RecordStatus.WITHDRAWN


def _may_exist(job: Job) -> bool:
    """Whether a task may exist under the key of a job that itself made nothing."""
    return job.stage is Stage.ELSEWHERE or (job.submission is not None and job.submission.before == "unknown")


def share(job: Job) -> None:
    """Mark a job as shared: cancelling one caller no longer withdraws it."""
    if job.submission is not None:
        job.submission.shared, job.submission.once = True, job.submission.abandoned


def _name(job: Job, outcome: Video | FoxError | None) -> str:
    """Name a task in the log: by its id, where one was seen, and its model."""
    seen = outcome.task_id if isinstance(outcome, FoxError) else None
    nameless = "an uncertain submission" if isinstance(outcome, SubmitUncertain) else "a submission"
    return f"{job.id or seen or nameless} ({job.model or 'model unknown'})"
