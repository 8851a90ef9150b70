"""From a request to an accepted task: claim its key, upload its files, send it once, and do what the answer means.

A submission costs money, so the order of its steps is what this room is about:

1. the key is claimed, so that no other client sends it meanwhile;
2. local files are uploaded: what was named by its content, and nothing else;
3. *sending* is on the disk before the first byte leaves;
4. the request runs in a task of its own that no waiter can cut; if the event loop itself cuts it, the outcome is
   *uncertain*, and is logged;
5. the id is on the disk before anybody sees it.

Out of scope: rules about replies and delays (``_wire/verdict.py``), and everything after the acceptance.
"""

import asyncio
import contextvars
import functools
import json
import secrets
from collections.abc import Coroutine, Mapping
from typing import Any

import attrs

from foxvideo._aio import in_thread, loop_time
from foxvideo._engine.dispatcher import Dispatcher, Kind
from foxvideo._engine.ends import broken
from foxvideo._engine.job import NO_FILES, UNSENT, Job, Stage, Submission
from foxvideo._engine.jobs import Jobs, share
from foxvideo._engine.lookup import Lookup
from foxvideo._engine.polling import Polling, slow_down
from foxvideo._engine.timers import Work
from foxvideo._http import Transport
from foxvideo._journal.limits import Wait
from foxvideo._journal.record import Mine, RecordStatus, TaskRecord
from foxvideo._journal.recorder import Recorder
from foxvideo._listeners import kind_of
from foxvideo._transfer.content import digest
from foxvideo._transfer.upload import Uploads
from foxvideo._wire.encode import encode
from foxvideo._wire.verdict import SubmitAgain, submit_verdict
from foxvideo.errors import (
    ClientClosed,
    FoxError,
    InvalidRequest,
    RateLimited,
    TaskAbandoned,
    TaskTimeout,
)
from foxvideo.events import EventKind
from foxvideo.media import LocalMedia
from foxvideo.requests.generic import VideoRequest, media_of
from foxvideo.state import TaskState


@attrs.define(eq=False, kw_only=True)
class Submissions:
    """The submissions of one client.

    Attributes:
        jobs: The registry.
        lookup: What the journal knows of keys that are asked for again.
        polling: Goes on with what was accepted.
        dispatcher: Who may send when.
        transport: The connections.
        uploads: Local files on their way to the service.
        recorder: What is written down.
        attempts: How often a submission may be sent in all.
        trust_refusals: Whether a 429 and a missing channel make nothing, as far as is known.
        idempotent: Whether the service recognises a repeat by its ``Idempotency-Key``.
        running: Requests that are under way.
        preparing: What comes before them.
        closed: Whether nothing is sent again.
    """

    jobs: Jobs
    lookup: Lookup
    polling: Polling
    dispatcher: Dispatcher[Work]
    transport: Transport
    uploads: Uploads
    recorder: Recorder
    attempts: int
    trust_refusals: bool
    idempotent: bool
    running: set[asyncio.Task[None]] = attrs.field(factory=set, init=False, repr=False)
    preparing: set[asyncio.Task[None]] = attrs.field(factory=set, init=False, repr=False)
    closed: bool = attrs.field(default=False, init=False)

    # --- Beginnings ---

    def begin(
        self,
        request: VideoRequest,
        timeout: float | None,
        *,
        key: str | None,
        retry_failed: bool,
        risk: bool,
        check: bool,
    ) -> Job:
        """Begin with a request that passed its checks; the same key and request is the same task."""
        media = media_of(request) or NO_FILES
        if (
            key is not None
            and (living := self.jobs.by_key.get(key)) is not None
            and living.request == request
            and not media
        ):
            share(living)
            return living
        submission = Submission(
            contextvars.copy_context(),
            secrets.token_hex(16),
            media,
            retry_failed=retry_failed,
            risk=risk,
            check=check,
        )
        job = Job(request, timeout, key=key, submission=submission, followed=True)
        self.jobs.begin(job)
        self.jobs.tell(EventKind.QUEUED, job)
        if key is None:
            self._queue(job, submission)
            return job
        self.jobs.by_key.setdefault(key, job)
        if media:
            self._prepare(job, submission, self._describe(job, submission, request))
        else:
            submission.body = encode(request, {})
            self._claim(job, submission, submission.body)
        return job

    def look_up(self, key: str, timeout: float | None) -> Job:
        """Return the living job of a key, or a new one that looks into the journal once somebody waits."""
        if (living := self.jobs.by_key.get(key)) is not None:
            share(living)
            return living
        return Job(None, timeout, key=key, submission=Submission(contextvars.copy_context(), ""))

    def find(self, job: Job, submission: Submission) -> None:
        """Begin to look a key up."""
        job.followed = True
        self.jobs.begin(job)
        self.jobs.start_clock(job, loop_time())
        self._prepare(job, submission, self.lookup.find(job))

    def _prepare(self, job: Job, submission: Submission, work: Coroutine[Any, Any, None]) -> None:
        """Do what takes time before a submission may wait for its turn, in a task that can be cancelled."""
        submission.preparing = asyncio.create_task(work)
        self.preparing.add(submission.preparing)
        submission.preparing.add_done_callback(functools.partial(self._ran, job))

    async def _describe(self, job: Job, submission: Submission, request: VideoRequest) -> None:
        """Name local files by their content, and claim the key for a request of just these."""
        try:
            submission.digests = await in_thread(_digests, submission.media, check=submission.check)
        except FoxError:
            # The error is about the key, too, of which the journal may know more than this attempt.
            record = await self.recorder.look(job.key or "")
            submission.before = "no" if record is None else record.status.submitted
            raise
        self._claim(job, submission, _named(request, submission.digests))

    def _claim(self, job: Job, submission: Submission, named: bytes) -> None:
        """Claim the key of a job for the request that these bytes name."""
        claim = self.recorder.claim(
            job.key or "",
            job.model,
            named,
            retry_failed=submission.retry_failed,
            risk=submission.risk,
            traceparent=self.jobs.traceparent(job),
        )
        if claim is None:
            self._queue(job, submission)
        else:
            claim.add_done_callback(functools.partial(self._claimed, job, submission, named))

    def _claimed(
        self, job: Job, submission: Submission, named: bytes, claim: "asyncio.Future[Mine | TaskRecord]"
    ) -> None:
        error = claim.exception()
        found = None if error is not None else claim.result()
        if job.done():  # withdrawn meanwhile
            if isinstance(found, Mine):
                self.recorder.move(found.number, RecordStatus.WITHDRAWN)
                if found.before == "no":  # now it is known: nothing can come of this key
                    self.jobs.unfinished.pop(job, None)
        elif isinstance(found, Mine):
            submission.record, submission.idempotency_key, submission.before = found.number, found.token, found.before
            job.mine = True
            self.jobs.by_key[job.key or ""] = job
            if job.stage is Stage.ELSEWHERE:
                job.move(Stage.PREPARING)
            self._queue(job, submission)
        elif isinstance(found, TaskRecord):
            self._prepare(job, submission, self._known(job, submission, named, found))
        else:
            self.jobs.end(job, broken(job, error or asyncio.CancelledError()))

    async def _known(self, job: Job, submission: Submission, named: bytes, record: TaskRecord) -> None:
        if not await self.lookup.resolve(job, record) and not job.done():
            self._claim(job, submission, named)

    def _queue(self, job: Job, submission: Submission) -> None:
        if submission.media and submission.body is None and job.request is not None:
            self._prepare(job, submission, self._upload(job, submission, job.request))
            return
        job.move(Stage.QUEUED)
        self.dispatcher.queue(Kind.SUBMIT, job)

    async def _upload(self, job: Job, submission: Submission, request: VideoRequest) -> None:
        links = {
            place: await self.uploads.link(media, submission.digests.get(place), check=submission.check)
            for place, media in submission.media.items()
        }
        submission.body, submission.links = encode(request, links), json.dumps(list(links.values())).encode()
        self._queue(job, submission)

    # --- Requests ---

    def run(self, job: Job, submission: Submission) -> "asyncio.Task[None]":
        """Start the request of a job whose turn has come."""
        job.active = True
        request = asyncio.create_task(self._submit(job, submission), context=submission.context)
        self.running.add(request)
        request.add_done_callback(functools.partial(self._ran, job))
        return request

    def _ran(self, job: Job, work: "asyncio.Task[None]") -> None:
        """End a job whose work was cut by the event loop, or broke in a way that nobody foresaw."""
        self.running.discard(work)
        self.preparing.discard(work)
        error = asyncio.CancelledError() if work.cancelled() else work.exception()
        if error is not None and not job.done():
            self.cut(job, broken(job, error))

    def cut(self, job: Job, error: FoxError) -> None:
        """End a job that cannot go on; if it was accepted meanwhile, with its id."""
        state = job.submission.state if job.submission is not None else None
        if state is not None:
            self.jobs.admit(job, state.id, loop_time())
            error = ClientClosed("the client was closed, the task goes on", submitted="yes")
        self.jobs.end(job, error)

    async def _submit(self, job: Job, submission: Submission) -> None:
        """Send one attempt, and do what its answer means."""
        if job.done():  # withdrawn after its turn had come
            return
        started = loop_time()
        # The time runs before anything is written down: a disk that hangs must not make a wait endless.
        self.jobs.start_clock(job, started)
        if submission.body is None and job.request is not None:
            submission.body = encode(job.request, {})  # not earlier: a hundred thousand may wait for their turn
        body = submission.body or b""
        if not await self._may_leave(job, submission, body):
            return
        # From here to the reply there is no way back: whatever happens, a task may exist.
        job.move(Stage.SENDING)
        submission.attempts += 1
        self.jobs.tell(EventKind.SUBMITTED, job, attempt=submission.attempts)
        answer = await self.transport.submit(
            body, submission.idempotency_key, functools.partial(self.recorder.still_mine, submission.owner)
        )
        verdict = submit_verdict(
            answer,
            attempt=submission.attempts,
            attempts=self.attempts,
            trust_refusals=self.trust_refusals,
            idempotent=self.idempotent,
            before="no" if submission.lost is None else "unknown",
        )
        match verdict:
            case TaskState():
                self.dispatcher.passed(Kind.SUBMIT, started)
                # Kept before the disk is waited for: whatever cuts this task now, the id is not lost.
                submission.state = verdict
                await self.recorder.accepted(submission.record, verdict)
                self._accept(job, submission, verdict, started)
            case SubmitAgain():
                await self._send_again(job, submission, verdict, started)
            case _:
                self._refuse(job, submission, verdict, started)

    async def _may_leave(self, job: Job, submission: Submission, body: bytes) -> bool:
        """Write down that a request is about to leave; return whether it may.

        Raises:
            JournalError: It cannot be written down.
            LimitReached: The limits of the account do not let it leave.
        """
        mine: bool | Wait = True
        if submission.lost is None:  # else the record is *sending* still
            mine = await self._write_down(job, submission, body)
        if isinstance(mine, Wait):
            self._put_back(job, submission, mine)
            return False
        if not mine:
            # Another client took it over, which had reason to think that this one is dead: what it says counts.
            submission.record = submission.before = None
            self.jobs.release(job)
            job.move(Stage.PREPARING)
            if submission.media and job.request is not None:
                body = _named(job.request, submission.digests)
            self._claim(job, submission, body)
            return False
        if job.done():  # withdrawn while that was written down
            if submission.record is not None:
                self.recorder.move(submission.record, RecordStatus.WITHDRAWN)
            return False
        return True

    async def _write_down(self, job: Job, submission: Submission, body: bytes) -> bool | Wait:
        # Before, so that it is never the later name of one who was taken for dead in between: held back once too often
        # costs an attempt, once too seldom costs a video.
        submission.owner = self.recorder.owner
        if submission.record is not None:
            return await self.recorder.sending(submission.record)
        trace = self.jobs.traceparent(job)
        written = await self.recorder.begin(submission.idempotency_key, job.model, body, trace)
        if isinstance(written, Wait):
            return written
        if written is not None:
            job.key, submission.record = written
            job.mine = True
        submission.before = "no"  # a key of its own has no earlier attempts
        return True

    def _put_back(self, job: Job, submission: Submission, wait: Wait) -> None:
        """Let a job wait for its turn once more, since the account has no place for it now."""
        if job.done():  # withdrawn while that was asked
            return
        self.jobs.tell(EventKind.HELD, job, seconds=wait.seconds, why=wait.why)
        self.jobs.release(job)
        if not submission.attempts:
            self.jobs.stop_clock(job)
        self.dispatcher.hold(Kind.SUBMIT, wait.seconds)
        self.dispatcher.queue(Kind.SUBMIT, job, first=True)

    def _accept(self, job: Job, submission: Submission, state: TaskState, started: float) -> None:
        if job.done():  # closed while that was written down
            return
        now = loop_time()
        model = state.model or job.model
        reserved = state.credits_reserved
        self.jobs.tell(
            EventKind.ACCEPTED, job, task_id=state.id, model=model, seconds=now - started, credits_reserved=reserved
        )
        self.jobs.admit(job, state.id, now)
        if job.done():  # it joined another job of the same id
            return
        self.polling.accepted(job, state)
        if submission.abandoned:
            abandon(self.jobs, job)
        elif job.deadline is not None and job.deadline <= now and not job.done():
            self.polling.expire(job)

    async def _send_again(self, job: Job, submission: Submission, verdict: SubmitAgain, started: float) -> None:
        now = loop_time()
        if verdict.limited:
            slow_down(self.jobs, Kind.SUBMIT, started, verdict.after)
            self.recorder.refused(verdict.error, verdict.after, now - started)
        if job.done():  # closed meanwhile
            return
        if verdict.made == "unknown":  # the service recognises the repeat; until it answers, a task may exist
            submission.lost = verdict.error
        if (error := self._last_word(job, submission, now)) is not None:
            self.jobs.end(job, error)
            return
        self.jobs.tell(EventKind.REPEATED, job, seconds=verdict.after, why=kind_of(verdict.error))
        job.move(Stage.QUEUED)
        self.jobs.release(job)
        if submission.record is not None and submission.lost is None:
            # Else the record stays *sending*: should this process die now, a task may exist.
            await self.recorder.planned(submission.record)
            if job.done():  # withdrawn while that was written down
                return
        if verdict.limited:
            self.dispatcher.queue(Kind.SUBMIT, job, first=True)
        else:
            self.dispatcher.at(now + verdict.after, Kind.SUBMIT, job)

    def _last_word(self, job: Job, submission: Submission, now: float) -> FoxError | None:
        """Return why a submission is not sent again; None if it is."""
        if self.closed:
            return ClientClosed("the client was closed, nothing was made", submitted="no")
        if submission.once:
            return TaskAbandoned("withdrawn, nothing was made", submitted="no")
        if job.deadline is not None and job.deadline <= now:
            return TaskTimeout(f"not accepted within {job.timeout:g} s, nothing was made", submitted="no")
        return None

    def _refuse(self, job: Job, submission: Submission, error: FoxError, started: float) -> None:
        refused = error.__cause__ or error  # a 429 that is not trusted stands behind a SubmitUncertain
        wait = 0.0
        if isinstance(refused, RateLimited):
            wait = refused.retry_after or 0.0
            slow_down(self.jobs, Kind.SUBMIT, started, wait)
        if isinstance(refused, FoxError):
            self.recorder.refused(refused, wait, loop_time() - started)
        if isinstance(error, InvalidRequest):  # it may speak of a file that the service has dropped, in any words
            self.uploads.forget(submission.links)
        if submission.abandoned and error.submitted == "no":
            error = TaskAbandoned("withdrawn, nothing was made", submitted="no")
        self.jobs.end(job, error)

    # --- Withdrawing ---

    def give_up(self, job: Job) -> None:
        """Withdraw a job whose caller has gone, unless it was asked for more than once."""
        if job.submission is not None and not job.submission.shared:
            self.withdraw(job, TaskAbandoned("withdrawn, nothing was sent", submitted="no"))

    def withdraw(self, job: Job, error: FoxError) -> None:
        """End a job of which nothing was sent; one that is being sent goes on, but is not sent again."""
        submission = job.submission
        if submission is None:
            return
        submission.once = True
        if job.stage in UNSENT:
            self.jobs.end(job, error)
            if submission.preparing is not None:
                submission.preparing.cancel()

    def expire(self, job: Job) -> None:
        """End a wait whose deadline has passed before an acceptance; a request that has left may bring an id."""
        if job.stage is Stage.ELSEWHERE:
            what = f"another client did not send it within {job.timeout:g} s"
        else:
            what = f"not accepted within {job.timeout:g} s, nothing was made"
        self.withdraw(job, TaskTimeout(what, submitted="no"))


def abandon(jobs: Jobs, job: Job) -> None:
    """Give up a task that was accepted; the service cannot cancel it."""
    jobs.end(job, TaskAbandoned(f"given up, still running as {job.id}", submitted="yes"))


def _named(request: VideoRequest, digests: Mapping[int, str]) -> bytes:
    """Return what a key is claimed for: the request, with its local files named by their content."""
    return encode(request, {place: {"sha256": sha256} for place, sha256 in digests.items()})


def _digests(media: Mapping[int, LocalMedia], *, check: bool) -> dict[int, str]:
    """Return what local files hold; reads them, and blocks.

    Raises:
        UploadError: One cannot be read, or is no media.
    """
    return {place: digest(local, check=check) for place, local in media.items()}
