"""What is written down about a task, and when.

What belongs here: the moments at which the lifecycle tells the journal something, and the same moments without a
journal. What must not: SQL (````), and doing anything to a task (``_engine/engine.py``).
"""

import asyncio
import functools
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping

import attrs

from foxvideo._journal import Ask, Journal, Mine, RecordStatus, TaskRecord
from foxvideo._transfer.part import SavedFile
from foxvideo._transfer.upload import REMEMBERED_SECONDS, digest
from foxvideo._wire.decode import Reply, encode, read_task
from foxvideo.errors import FoxError, JournalError, KeyConflict, SubmitUncertain, TaskCancelled, TaskFailed
from foxvideo.requests.generic import Request, VideoRequest
from foxvideo.requests.validation import LocalMedia
from foxvideo.state import LINK_SECONDS, TaskState
from foxvideo.task import Plan, VideoTask
from foxvideo.video import Video

_log = logging.getLogger("foxvideo")

_LESSONS = 1000  # ended tasks that the schedule learns from at the start
_UNSENT: Mapping[str, object] = {"status": RecordStatus.WITHDRAWN, "owner": None}
_LOCAL = '{"sha256": '  # what stands for a local file in the request of a row


class Forgetful:
    """No journal: nothing is written down, and every submit is new."""

    owner: str | None = None
    failure: JournalError | None = None

    def claim(self, task: VideoTask, plan: Plan) -> "asyncio.Future[Mine | TaskRecord] | None":
        """Make the key of a task this client's to send, or return its row; None where there is nothing to claim."""

    async def describe(self, request: VideoRequest, plan: Plan) -> None:
        """Note in the plan what local files a request has."""

    async def look(self, key: str) -> TaskRecord | None:
        """Return the row of a key; None if there is none."""

    async def sending(self, task: VideoTask, plan: Plan) -> bool:  # noqa: ARG002 - there is nothing to write
        """Write down that a request is about to leave; False where it is not this client's to send any more."""
        return True

    def unsent(self, row: int | None) -> None:
        """Write down that a request did not leave after all, without waiting for the disk."""

    async def planned(self, plan: Plan) -> None:
        """Write down that a request made nothing and will be sent again."""

    async def accepted(self, plan: Plan, state: TaskState) -> None:
        """Write down the id."""

    def ended(self, task: VideoTask, outcome: Video | FoxError) -> None:
        """Write down how a task ended, without waiting for the disk."""

    def learned(self, model: str, record: str) -> None:
        """Write down what a task of a model taught the schedule, without waiting for the disk."""

    def recall(self, learn: Callable[[str], None]) -> None:
        """Have the schedule learn what was written down, as soon as it is read."""

    async def upload(self, sha256: str) -> str | None:
        """Return the URL under which a content was uploaded in the last 24 hours; None if that is not known."""

    def uploaded(self, sha256: str, url: str) -> None:
        """Write down under which URL a content was uploaded, without waiting for the disk."""

    def forget_uploads(self, urls: Iterable[str]) -> None:
        """Forget uploads that the service does not find any more, without waiting for the disk."""

    def saved(self, task_id: str, place: int, file: SavedFile) -> None:
        """Write down where a result was saved, without waiting for the disk."""

    async def files(self, task_id: str, /) -> Mapping[int, SavedFile]:  # noqa: ARG002 - nothing is known
        """Return what was saved of a task, by the number of the result."""
        return {}

    async def close(self) -> None:
        """Write what waits."""


@attrs.define(eq=False)
class Bookkeeper(Forgetful):
    """The journal of a client that works with one origin.

    Attributes:
        journal: What is written.
        origin: The ``base_url``.
        failure: What broke the journal after a request had been sent; nothing new is sent from then on.
    """

    journal: Journal
    origin: str
    failure: JournalError | None = None

    @property
    def owner(self) -> str:  # type: ignore[override]
        """The name under which the client owns rows."""
        return self.journal.owner

    def claim(self, task: VideoTask, plan: Plan) -> "asyncio.Future[Mine | TaskRecord] | None":
        """Make the key of a task this client's to send, or return its row; None where there is nothing to claim.

        A submit without a key is new, and is written down as it is sent. The future may raise ``KeyConflict``, and
        ``JournalError`` where nothing may be sent.
        """
        return None if task.key is None else self.journal.claim(self._ask(task, plan, task.key))

    async def describe(self, request: VideoRequest, plan: Plan) -> None:
        """Note in the plan what local files a request has, by their content.

        Raises:
            UploadError: A local file cannot be read.
        """
        plan.text = await asyncio.to_thread(_describe, request, plan.media)

    def _ask(self, task: VideoTask, plan: Plan, key: str) -> Ask:
        text = plan.text or plan.body or b""
        return Ask(
            key=key,
            origin=self.origin,
            fingerprint=hashlib.sha256(text).hexdigest(),
            model=_storable(task.request_model),
            request=text.decode(),
            retry_failed=plan.retry_failed,
            risk=plan.risk,
        )

    async def look(self, key: str) -> TaskRecord | None:
        """Return the row of a key; None if there is none.

        Raises:
            KeyConflict: The task is another origin's.
            JournalError: The journal cannot be used.
        """
        row = await self.journal.look(key)
        if row is not None and row.origin != self.origin:
            raise KeyConflict(
                f"the key belongs to a task at {row.origin}",
                task_id=row.task_id,
                key=key,
                submitted=row.status.submitted,
            )
        return row

    async def sending(self, task: VideoTask, plan: Plan) -> bool:
        """Write down that a request is about to leave; False where it is not this client's to send any more."""
        if self.failure is not None:
            raise JournalError(f"not sent, since the journal failed before: {self.failure.what}", submitted="no")
        if plan.row is not None:
            if not await self.journal.sending(plan.row):
                plan.row = None  # what becomes of it is for another client to say
            return plan.row is not None
        task._key = f"auto-{plan.idempotency_key}"
        plan.row = await self.journal.begin(self._ask(task, plan, task._key), plan.idempotency_key)
        return True

    def unsent(self, row: int | None) -> None:
        """Write down that a request did not leave after all, without waiting for the disk."""
        # No row has the number 0. Should it fail: what a client that is gone has planned is free anyway.
        self.journal.change(row or 0, _UNSENT)

    async def planned(self, plan: Plan) -> None:
        """Write down that a request made nothing and will be sent again."""
        assert plan.row is not None  # noqa: S101 - it was sent
        await self.journal.change(plan.row, {"status": RecordStatus.PLANNED})

    async def accepted(self, plan: Plan, state: TaskState) -> None:
        """Write down the id; shown to nobody before.

        Raises:
            JournalError: The disk failed after the money was spent; nothing new is sent from then on.
        """
        assert plan.row is not None  # noqa: S101 - it was sent
        changes = {
            "status": RecordStatus.ACCEPTED,
            "owner": None,
            "task_id": state.id,
            "credits": state.credits_reserved,
            "reply": state.body,
            "error": None,
            "accepted": time.time(),
        }
        try:
            await asyncio.shield(self.journal.accepted(plan.row, changes))
        except JournalError as error:
            _log.critical("accepted %s, but the journal cannot be written: %s", state.id, error.what)
            self.failure = error
            raise

    def ended(self, task: VideoTask, outcome: Video | FoxError) -> None:
        """Write down how a task ended, without waiting for the disk."""
        changes, row = _changes(task, outcome), None if task._plan is None else task._plan.row
        if changes is None:
            return
        if task.id is not None:
            self._later(self.journal.ended(task.id, changes))
        elif row is not None:
            self._later(self.journal.change(row, changes))

    def learned(self, model: str, record: str) -> None:
        """Write down what a task of a model taught the schedule, without waiting for the disk."""
        self._later(self.journal.learn(_storable(model), record))

    def recall(self, learn: Callable[[str], None]) -> None:
        """Have the schedule learn what was written down, as soon as it is read."""
        self.journal.learned(_LESSONS).add_done_callback(functools.partial(_teach, learn))

    async def upload(self, sha256: str) -> str | None:
        """Return the URL under which a content was uploaded in the last 24 hours; None if that is not known."""
        return await self.journal.upload(sha256, self.origin, time.time() - REMEMBERED_SECONDS)

    def uploaded(self, sha256: str, url: str) -> None:
        """Write down under which URL a content was uploaded, without waiting for the disk."""
        self._later(self.journal.uploaded(sha256, self.origin, url))

    def forget_uploads(self, urls: Iterable[str]) -> None:
        """Forget uploads that the service does not find any more, without waiting for the disk."""
        self._later(self.journal.forget_uploads(urls))

    def saved(self, task_id: str, place: int, file: SavedFile) -> None:
        """Write down where a result was saved, without waiting for the disk; not any more once the client is closed."""
        if not self.journal.closed:
            self._later(self.journal.saved(task_id, place, file.path, file.size, file.sha256))

    async def files(self, task_id: str, /) -> Mapping[int, SavedFile]:
        """Return what was saved of a task, by the number of the result."""
        return await self.journal.files(task_id)

    def _later(self, written: "asyncio.Future[None]") -> None:
        written.add_done_callback(_complain)

    async def close(self) -> None:
        """Write what waits, and give up what this client owned."""
        await self.journal.close()


def _complain(written: "asyncio.Future[None]") -> None:
    error = None if written.cancelled() else written.exception()
    if error is not None:
        _log.error("something was not written down: %s", str(error))


def _teach(learn: Callable[[str], None], read: "asyncio.Future[tuple[str, ...]]") -> None:
    if not read.cancelled() and read.exception() is None:  # else whoever needs the journal will hear of it
        for record in read.result():
            learn(record)


def _changes(task: VideoTask, outcome: Video | FoxError) -> dict[str, object] | None:
    """Return what an end changes in the journal; None where a task goes on."""
    if isinstance(outcome, SubmitUncertain):
        why = _storable(outcome.what)
        return {"status": RecordStatus.UNCERTAIN, "owner": None, "error": why, "task_id": outcome.task_id}
    if isinstance(outcome, Video | TaskFailed):
        body = task.state.body if task.state else None
        error = None if isinstance(outcome, Video) else _storable(outcome.what)
        return {"status": _ENDS[type(outcome)], "reply": body, "error": error, "ended": time.time()}
    if task.id is None and outcome.submitted == "no":
        sent = task._plan is not None and task._plan.attempts > 0
        status = RecordStatus.REFUSED if sent else RecordStatus.WITHDRAWN
        return {"status": status, "owner": None, "error": _storable(outcome.what), "ended": time.time()}
    return None


_ENDS: Mapping[type, RecordStatus] = {
    Video: RecordStatus.COMPLETED,
    TaskFailed: RecordStatus.FAILED,
    TaskCancelled: RecordStatus.CANCELLED,
}


def _describe(request: VideoRequest, media: Mapping[int, LocalMedia]) -> bytes:
    """Return the request as JSON, local files by their content."""
    return encode(request, {place: {"sha256": digest(local)} for place, local in media.items()})


def _storable(text: str) -> str:
    """Return a text without lone surrogates, which UTF-8 cannot spell."""
    return text.encode(errors="backslashreplace").decode()


def recalled_state(row: TaskRecord) -> TaskState | None:
    """Return the state that was written down last; None if there is none.

    Raises:
        JournalError: The row is damaged.
    """
    if row.reply is None:
        return None
    try:
        return read_task(Reply(200, {}, row.reply), row.task_id or "")
    except FoxError as error:
        raise JournalError(
            "the row of the task is damaged", task_id=row.task_id, key=row.key, submitted="yes"
        ) from error


def recalled_request(row: TaskRecord) -> Request | None:
    """Return what was asked for; None where local files were part of it, which the journal does not keep."""
    return None if _LOCAL in row.request else Request.from_mapping(json.loads(row.request))


def unsaved(row: TaskRecord) -> bool:
    """Whether a row is of a completed task of whose files not all were saved.

    Raises:
        JournalError: The row is damaged.
    """
    if row.status is not RecordStatus.COMPLETED:
        return False
    state = recalled_state(row)
    return state is not None and row.saved < len(state.urls)


def expired(row: TaskRecord, now: float) -> bool:
    """Whether the links of a task that has ended are dead for sure, at a time in Unix seconds."""
    return now - (row.ended or 0.0) > LINK_SECONDS
