"""What to do with a key that the journal knows: a pure decision, and carrying it out.

Nothing here sends a submission. A record that another client is working on is looked at again a little later; its
client may be stopped for ever, so the time of whoever waits runs.
"""

import asyncio
import enum
import time
from collections.abc import Mapping
from contextvars import Context

import attrs

from foxvideo._aio import loop_time
from foxvideo._engine.job import Job, Stage, Submission
from foxvideo._engine.jobs import Jobs
from foxvideo._engine.polling import Polling
from foxvideo._journal.record import RecordStatus, TaskRecord
from foxvideo._journal.recorder import Recorder, recalled_request, recalled_state, recalled_uploads
from foxvideo.errors import JournalError, SubmitUncertain, TaskNotFound
from foxvideo.media import SavedFile
from foxvideo.state import LINK_SECONDS, TaskState

_USABLE_SECONDS = LINK_SECONDS - 3600.0  # a link that is about to die is fetched anew
_RAREST_LOOK = 1.0  # seconds between two looks at a record that another client is working on


class Next(enum.Enum):
    """What a record means for whoever names its key."""

    WAIT = "another client sends it, or this one in another job"
    DECIDE = "it is uncertain: a person decides"
    NOTHING = "no task was made"
    RECALL = "it has ended, and the journal knows how"
    FOLLOW = "it has an id: poll it"


def next_of(record: TaskRecord, state: TaskState | None, now: float) -> Next:
    """Return what a record means.

    Args:
        record: The latest of its key.
        state: The last state of it that was written down; None if there is none.
        now: Unix seconds.
    """
    if record.status.under_way and record.owner is not None:
        return Next.WAIT
    if record.status is RecordStatus.UNCERTAIN:
        return Next.DECIDE
    if record.task_id is None:
        return Next.NOTHING
    if state is None or not record.status.over or _stale(record, state, now):
        return Next.FOLLOW
    return Next.RECALL


def _stale(record: TaskRecord, state: TaskState, now: float) -> bool:
    """Whether the links that were written down may be dead by now."""
    created = state.created.timestamp() if state.created else None
    made = min(filter(None, (created, record.accepted)), default=0.0)
    return record.status is RecordStatus.COMPLETED and now - made > _USABLE_SECONDS


@attrs.define(eq=False, kw_only=True)
class Lookup:
    """What the journal of one client knows.

    Attributes:
        jobs: The registry.
        polling: Follows tasks that have an id.
        recorder: What is written down.
    """

    jobs: Jobs
    polling: Polling
    recorder: Recorder

    async def find(self, job: Job) -> None:
        """Go on with the task of a key that was looked up by name, or end as the journal says.

        Raises:
            KeyConflict: The task is another origin's.
            JournalError: The journal cannot be read.
        """
        found = False
        while not found and not job.done():
            record = await self.recorder.look(job.key or "")
            if record is None:
                self._nothing_made(job, "the journal has no submission under this key")
                return
            found = await self.resolve(job, record)

    async def resolve(self, job: Job, record: TaskRecord) -> bool:
        """Go on with a task that the journal knows, or end with what it knows.

        Returns:
            False where the record was being worked on, so that it has to be looked at again now.

        Raises:
            JournalError: It was worked on here, and what became of it could not be written down; or it is damaged.
        """
        state = recalled_state(record) if record.status.over else None
        match next_of(record, state, time.time()):
            case Next.WAIT:
                return await self._wait(job, record)
            case Next.DECIDE:
                self.jobs.settle(record.key)
                why = record.error or "submission: the reply was lost"
                error = SubmitUncertain(why, submitted="unknown", task_id=record.task_id)
                self.jobs.end(job, error, written=True)
            case Next.NOTHING:
                self._nothing_made(job, f"no task was made under this key: {record.error or 'it was never sent'}")
            case action:
                files = await self.recorder.files(record.task_id or "") if record.saved else {}
                if not job.done():
                    self._remember(job, record, state, files, recall=action is Next.RECALL)
        return True

    def _nothing_made(self, job: Job, why: str) -> None:
        if job.submission is not None:
            job.submission.before = "no"
        self.jobs.end(
            job,
            TaskNotFound(why, submitted="no", hint="client.history() shows the keys that the journal has"),
            written=True,
        )

    async def _wait(self, job: Job, record: TaskRecord) -> bool:
        """Wait for what comes of a record that is being worked on, here or by another client."""
        living = self.jobs.by_key.get(record.key)
        if living is not None and living is not job:
            self.jobs.join(job, living)
            return True
        submission = job.submission
        assert submission is not None  # noqa: S101 - it is not accepted
        if record.owner == self.recorder.owner and submission.look == _RAREST_LOOK:
            what = "what became of the last submission under this key is not written down yet"
            raise JournalError(what, submitted="unknown", key=record.key)
        if job.stage is Stage.PREPARING:
            job.move(Stage.ELSEWHERE)
        submission.before = None  # another client may be buying it now
        self.jobs.start_clock(job, loop_time())
        # The attempt that was asked for is being made: should it come to nothing, nobody asked for another.
        submission.retry_failed = submission.risk = False
        await asyncio.sleep(submission.look)
        submission.look = min(2 * submission.look, _RAREST_LOOK)
        return False

    def _remember(
        self,
        job: Job,
        record: TaskRecord,
        state: TaskState | None,
        files: Mapping[int, SavedFile],
        *,
        recall: bool,
    ) -> None:
        """Go on with a task that has an id, or end as it did."""
        task_id = record.task_id or ""
        job.request = job.request or recalled_request(record)
        job.uploads = job.uploads or recalled_uploads(record)
        job.traceparent = record.traceparent
        known = self.jobs.find(task_id)
        if known is not None and not (known.done() and state is not None):  # else its links may be dead
            self.jobs.join(job, known)
            return
        self.jobs.admit(job, task_id, self.accepted_at(record))
        if recall and state is not None:
            self.jobs.end_as(job, state, written=True, seen=record.ended, files=files)
        else:
            self.polling.follow(job)

    def remembered(self, record: TaskRecord, timeout: float | None) -> Job:
        """Return the job of a record that has an id; nobody follows it yet."""
        job = self.jobs.named(record.task_id or "", timeout)
        job.key, job.request = job.key or record.key, job.request or recalled_request(record)
        job.uploads = job.uploads or recalled_uploads(record)
        job.traceparent = record.traceparent
        job.since = job.since or self.accepted_at(record)
        return job

    async def recalled(self, record: TaskRecord, timeout: float | None) -> Job:  # noqa: ASYNC109 - the task's
        """Return the job of a record that has an end, ended as the journal says; polled where that does not say how.

        Raises:
            JournalError: The journal cannot be read.
        """
        if not record.status.over:
            job = Job(recalled_request(record), timeout, key=record.key, submission=Submission(Context(), ""))
            await self.resolve(job, record)
            return job
        job = self.remembered(record, timeout)
        if (state := recalled_state(record)) is not None and not job.followed and not job.done():
            files = await self.recorder.files(state.id) if record.saved else {}
            self.jobs.end_as(job, state, written=True, seen=record.ended, files=files)
        return job

    def accepted_at(self, record: TaskRecord) -> float:
        """Return when a task was accepted, in seconds of the loop's clock: its age counts from then."""
        now = loop_time()
        return now - max(time.time() - record.accepted, 0.0) if record.accepted else now
