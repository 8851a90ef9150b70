"""What is written down about tasks, and when: between the engine and a store.

The engine tells plain values; a recorder adds where the client works, makes texts storable and keeps what a disk could
not take. **Nothing about money is dropped while the process lives**: a write that fails after a request has left waits
in memory, in order, and is tried again until the store takes it. What cannot be written down *before* a request leaves
is an error, and the request does not leave.

Out of scope: SQL and files (the stores), and jobs (``_engine/``).
"""

import asyncio
import functools
import hashlib
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import attrs

from foxvideo._journal.limits import Wait
from foxvideo._journal.record import DEFAULT_ACCOUNT, Claim, Mine, RecordStatus, TaskRecord, check_origin
from foxvideo._journal.store import Store
from foxvideo._listeners import Listeners
from foxvideo._transfer.upload import REMEMBERED_SECONDS
from foxvideo._wire.decode import read_task
from foxvideo._wire.reply import Reply
from foxvideo.errors import AuthenticationError, FoxError, InsufficientCredits, JournalError, RateLimited
from foxvideo.events import EventKind
from foxvideo.media import SavedFile
from foxvideo.requests.generic import Request
from foxvideo.requests.price import price_class
from foxvideo.state import LINK_SECONDS, TaskState

_log = logging.getLogger("foxvideo")

_LESSONS = 1000  # ended tasks that the schedule learns from at the start
_LOCAL = '{"sha256": '  # what stands for a local file in the request of a record
_FIRST_RETRY = 1.0  # seconds until a write that failed is tried again; doubles
_SLOWEST_RETRY = 60.0

Write = Callable[[], "asyncio.Future[None] | asyncio.Future[bool]"]


class Recorder(Protocol):
    """What the engine has written down; without a journal, nothing is."""

    @property
    def owner(self) -> str | None:
        """The name under which this client owns records; None without a journal."""

    def still_mine(self, owner: str | None) -> bool:
        """Whether what was written down as *sending* may still leave: asked right before it does.

        Args:
            owner: ``owner``, as it was before that was written down.
        """

    def claim(
        self, key: str, model: str, body: bytes, *, retry_failed: bool, risk: bool, traceparent: str | None = None
    ) -> "asyncio.Future[Mine | TaskRecord] | None":
        """Make a key this client's to send, or return its record; None without a journal."""

    async def look(self, key: str) -> TaskRecord | None:
        """Return the latest record of a key; None if there is none."""

    async def begin(
        self, token: str, model: str, body: bytes, traceparent: str | None = None
    ) -> tuple[str, int] | Wait | None:
        """Write down that a request without a key is about to leave; return its key and number, None without a journal.

        Raises:
            JournalError: It cannot be written down, so it must not leave.
            LimitReached: The limits of the account do not let it leave.
        """

    async def sending(self, record: int) -> bool | Wait:
        """Write down that a request is about to leave; False where the record is not this client's to send any more.

        Raises:
            JournalError: It cannot be written down, so it must not leave.
            LimitReached: The limits of the account do not let it leave.
        """

    def refused(self, error: FoxError, wait: float, ago: float) -> None:
        """Tell all clients of the account that the service said *too fast*, or takes nothing from it at all.

        Args:
            error: What it said to a submission.
            wait: Seconds to wait before the next one, where it was too fast.
            ago: Seconds since the submission left.
        """

    async def planned(self, record: int) -> None:
        """Write down that a request made nothing and will be sent again.

        Raises:
            JournalError: It cannot be written down, so it must not be sent again.
        """

    async def accepted(self, record: int | None, state: TaskState) -> None:
        """Write down the id, which nobody is shown before; if the disk refuses, it is kept and tried again."""

    def move(self, record: int, to: RecordStatus, *, error: str | None = None, task_id: str | None = None) -> None:
        """Write down where a record stands, without waiting for the disk."""

    def ended(self, state: TaskState, to: RecordStatus, error: str | None) -> None:
        """Write down how a task ended, without waiting for the disk."""

    def learn(self, model: str, lesson: str) -> None:
        """Write down what a task taught the schedule, without waiting for the disk."""

    def recall(self, learn: Callable[[str], None]) -> None:
        """Have the schedule learn what was written down, as soon as it is read."""

    async def upload(self, sha256: str) -> str | None:
        """Return the URL under which a content was uploaded in the last 24 hours; None if that is not known."""

    def uploaded(self, sha256: str, url: str) -> None:
        """Write down under which URL a content was uploaded, without waiting for the disk."""

    def forget_uploads(self, names: Iterable[str]) -> None:
        """Forget uploads that the service may not find any more, without waiting for the disk."""

    def saved(self, task_id: str, place: int, file: SavedFile) -> None:
        """Write down where a result was saved, without waiting for the disk."""

    async def files(self, task_id: str) -> Mapping[int, SavedFile]:
        """Return what was saved of a task, by the number of the result."""

    def unfollow(self, task_id: str) -> None:
        """Let another client follow a task whose end nobody here waits for any more."""

    def handed(self, to: RecordStatus, *, record: int | None, task_id: str | None) -> None:
        """Write down as what end a task was handed over, without waiting for the disk."""

    async def close(self) -> None:
        """Write what waits, and give up what this client owned."""


class NullRecorder(Recorder):
    """No journal: nothing is written down, and every submission is new."""

    @property
    def owner(self) -> None:
        """Nobody."""
        return

    def still_mine(self, owner: str | None) -> bool:  # noqa: ARG002 - there is none
        """Let it leave."""
        return True

    def claim(
        self, key: str, model: str, body: bytes, *, retry_failed: bool, risk: bool, traceparent: str | None = None
    ) -> None:
        """Claim nothing: there are no keys."""

    async def look(self, key: str) -> None:
        """Find nothing."""

    async def begin(self, token: str, model: str, body: bytes, traceparent: str | None = None) -> None:
        """Let it leave."""

    async def sending(self, record: int) -> bool:  # noqa: ARG002 - there is none
        """Let it leave."""
        return True

    def refused(self, error: FoxError, wait: float, ago: float) -> None:
        """Tell nobody."""

    async def planned(self, record: int) -> None:
        """Write nothing."""

    async def accepted(self, record: int | None, state: TaskState) -> None:
        """Write nothing."""

    def move(self, record: int, to: RecordStatus, *, error: str | None = None, task_id: str | None = None) -> None:
        """Write nothing."""

    def ended(self, state: TaskState, to: RecordStatus, error: str | None) -> None:
        """Write nothing."""

    def learn(self, model: str, lesson: str) -> None:
        """Write nothing."""

    def recall(self, learn: Callable[[str], None]) -> None:
        """Know nothing."""

    async def upload(self, sha256: str) -> None:
        """Know nothing."""

    def uploaded(self, sha256: str, url: str) -> None:
        """Write nothing."""

    def forget_uploads(self, names: Iterable[str]) -> None:
        """Forget nothing."""

    def saved(self, task_id: str, place: int, file: SavedFile) -> None:
        """Write nothing."""

    async def files(self, task_id: str) -> Mapping[int, SavedFile]:  # noqa: ARG002 - nothing is known
        """Know nothing."""
        return {}

    def unfollow(self, task_id: str) -> None:
        """Follow nothing."""

    def handed(self, to: RecordStatus, *, record: int | None, task_id: str | None) -> None:
        """Write nothing."""

    async def close(self) -> None:
        """Close nothing."""


@attrs.define(eq=False)
class JournalRecorder(Recorder):
    """Writes into a store, for a client that works with one origin and one account.

    Attributes:
        store: Where records lie.
        origin: The ``base_url``.
        account: The name of the account.
        listeners: Who hears of a store that takes nothing.
        hand_over: Whether the ends of tasks are to be handed over to ``on_end``.
    """

    store: Store
    origin: str
    account: str = DEFAULT_ACCOUNT
    listeners: Listeners = attrs.field(factory=Listeners)
    hand_over: bool = False
    _backlog: deque[tuple[str, Write]] = attrs.field(factory=deque, init=False)
    _flushing: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False)
    _retrying: asyncio.Task[None] | None = attrs.field(default=None, init=False)
    _told: bool = attrs.field(default=False, init=False)

    @property
    def owner(self) -> str:
        """The name under which this client owns records."""
        return self.store.owner

    def still_mine(self, owner: str | None) -> bool:
        """Whether what was written down as *sending* may still leave: asked right before it does."""
        return owner is not None and self.store.still_mine(owner)

    # --- Before a request leaves: what cannot be written down is an error ---

    def claim(
        self, key: str, model: str, body: bytes, *, retry_failed: bool, risk: bool, traceparent: str | None = None
    ) -> "asyncio.Future[Mine | TaskRecord]":
        """Make a key this client's to send, or return its record.

        The future may raise ``KeyConflict``, and ``JournalError`` where nothing may be sent.
        """
        return self.store.claim(self._claim(key, model, body, traceparent, retry_failed=retry_failed, risk=risk))

    def _claim(
        self,
        key: str,
        model: str,
        body: bytes,
        traceparent: str | None,
        *,
        retry_failed: bool = False,
        risk: bool = False,
    ) -> Claim:
        return Claim(
            key=key,
            origin=self.origin,
            fingerprint=hashlib.sha256(body).hexdigest(),
            model=model,
            request=body.decode(),
            account=self.account,
            kind=_kind(body),
            hand_over=self.hand_over,
            traceparent=traceparent,
            retry_failed=retry_failed,
            risk=risk,
        )

    async def look(self, key: str) -> TaskRecord | None:
        """Return the latest record of a key; None if there is none.

        Raises:
            KeyConflict: The task is another origin's, or another account's.
            JournalError: The journal cannot be used.
        """
        record = await self.store.look(key)
        if record is not None:
            check_origin(record, self.origin, self.account)
        return record

    async def begin(
        self, token: str, model: str, body: bytes, traceparent: str | None = None
    ) -> tuple[str, int] | Wait:
        """Write down that a request without a key is about to leave; return its key and number."""
        await self._ready()
        key = f"auto-{token}"
        begun = await self.store.begin(self._claim(key, model, body, traceparent), token)
        return begun if isinstance(begun, Wait) else (key, begun.number)

    async def sending(self, record: int) -> bool | Wait:
        """Write down that a request is about to leave; False where the record is not this client's any more."""
        await self._ready()
        return await self.store.sending(record)

    async def _ready(self) -> None:
        """Write what waits. Else a write that is late could undo what is written down from here on.

        Raises:
            JournalError: The store does not take it.
        """
        if self._backlog and not await self._flush():
            raise JournalError("not sent, since the journal cannot be written", submitted="no")

    async def planned(self, record: int) -> None:
        """Write down that a request made nothing and will be sent again."""
        await self.store.move(record, RecordStatus.PLANNED)

    # --- After it left: nothing is dropped ---

    async def accepted(self, record: int | None, state: TaskState) -> None:
        """Write down the id, which nobody is shown before; if the disk refuses, it is kept and tried again."""
        if record is None:
            return
        write = functools.partial(
            self.store.accepted, record, state.id, credits_reserved=state.credits_reserved, reply=state.body
        )
        if self._backlog:  # what came first is written first
            self._keep(f"accepted {state.id}", write)
            return
        try:
            # Shielded: whoever stops waiting must not stop the writing of an id.
            await asyncio.shield(write())
        except JournalError as error:
            self._failed(f"accepted {state.id}", write, error)

    def move(self, record: int, to: RecordStatus, *, error: str | None = None, task_id: str | None = None) -> None:
        """Write down where a record stands, without waiting for the disk."""
        if to is RecordStatus.WITHDRAWN and self.store.closed:
            return  # what a client that is gone has planned is anybody's
        self._later(
            f"{to} of record {record}", functools.partial(self.store.move, record, to, error=error, task_id=task_id)
        )

    def ended(self, state: TaskState, to: RecordStatus, error: str | None) -> None:
        """Write down how a task ended, without waiting for the disk."""
        write = functools.partial(
            self.store.ended,
            state.id,
            to,
            reply=state.body,
            links=len(state.urls),
            credits_reserved=state.credits_reserved,
            error=error,
        )
        self._later(f"{to} {state.id}", write)

    def saved(self, task_id: str, place: int, file: SavedFile) -> None:
        """Write down where a result was saved, without waiting for the disk; not any more once the client is closed."""
        if not self.store.closed:
            write = functools.partial(self.store.saved, task_id, place, file)
            self._later(f"file of {task_id}", write)

    def _later(self, what: str, write: Write) -> None:
        if self._backlog:
            self._keep(what, write)
            return
        writing = write()
        writing.add_done_callback(functools.partial(self._written, what, write))

    def _written(self, what: str, write: Write, written: "asyncio.Future[None] | asyncio.Future[bool]") -> None:
        error = None if written.cancelled() else written.exception()
        if isinstance(error, JournalError):
            self._failed(what, write, error)

    def _failed(self, what: str, write: Write, error: JournalError) -> None:
        if self.store.closed:
            self.listeners.emit(EventKind.UNWRITTEN, why=f"not written down: {what}: {error.what}")
            return
        if not self._told:  # once for each time the disk fails, with the first thing that it did not take
            trouble = f"{what}, but the journal cannot be written; it is tried again: {error.what}"
            self.listeners.emit(EventKind.UNWRITTEN, why=trouble)
        self._told = True
        self._keep(what, write)

    def _keep(self, what: str, write: Write) -> None:
        self._backlog.append((what, write))
        if self._retrying is None:
            self._retrying = asyncio.get_running_loop().create_task(self._retry(), name="foxvideo journal")

    async def _retry(self) -> None:
        """Write the backlog, oldest first, as soon as the store takes it."""
        wait = _FIRST_RETRY
        try:
            while self._backlog:
                await asyncio.sleep(wait)
                if await self._flush():
                    self.listeners.emit(EventKind.WRITTEN)
                    self._told = False
                wait = min(2 * wait, _SLOWEST_RETRY)
        finally:
            self._retrying = None

    async def _flush(self) -> bool:
        """Write as much of the backlog as the store takes; return whether that is all of it."""
        async with self._flushing:  # one at a time: what two wrote at once would be taken off twice
            while self._backlog:
                try:
                    await self._backlog[0][1]()
                except JournalError:
                    return False
                self._backlog.popleft()
        return True

    # --- What may be lost ---

    def refused(self, error: FoxError, wait: float, ago: float) -> None:
        """Tell all clients of the account that the service said *too fast*, or takes nothing from it at all."""
        match error:
            case RateLimited():
                self.store.slow_down(self.account, wait, ago).add_done_callback(_complain)
            case InsufficientCredits() | AuthenticationError(http_status=401):
                self.store.halt(self.account, error.what).add_done_callback(_complain)

    def learn(self, model: str, lesson: str) -> None:
        """Write down what a task taught the schedule, without waiting for the disk."""
        self.store.learn(model, lesson).add_done_callback(_complain)

    def recall(self, learn: Callable[[str], None]) -> None:
        """Have the schedule learn what was written down, as soon as it is read."""
        self.store.learned(_LESSONS).add_done_callback(functools.partial(_teach, learn))

    async def upload(self, sha256: str) -> str | None:
        """Return the URL under which a content was uploaded in the last 24 hours; None if that is not known."""
        return await self.store.upload(sha256, self.origin, time.time() - REMEMBERED_SECONDS)

    def uploaded(self, sha256: str, url: str) -> None:
        """Write down under which URL a content was uploaded, without waiting for the disk."""
        self.store.uploaded(sha256, self.origin, url).add_done_callback(_complain)

    def forget_uploads(self, names: Iterable[str]) -> None:
        """Forget uploads that the service may not find any more, without waiting for the disk."""
        self.store.forget_uploads(names).add_done_callback(_complain)

    async def files(self, task_id: str) -> Mapping[int, SavedFile]:
        """Return what was saved of a task, by the number of the result."""
        return await self.store.files(task_id)

    def unfollow(self, task_id: str) -> None:
        """Let another client follow a task whose end nobody here waits for any more."""
        self.store.unfollow(task_id).add_done_callback(_complain)

    def handed(self, to: RecordStatus, *, record: int | None, task_id: str | None) -> None:
        """Write down as what end a task was handed over, without waiting for the disk."""
        write = functools.partial(self.store.handed, to, number=record, task_id=task_id)
        self._later(f"handed over {task_id or f'record {record}'}", write)

    async def close(self) -> None:
        """Write what waits, and give up what this client owned."""
        if self._retrying is not None:
            self._retrying.cancel()
        try:
            if not await self._flush():
                lost = ", ".join(what for what, _ in self._backlog)
                trouble = f"closed, and the journal could not be written; only this line knows: {lost}"
                self.listeners.emit(EventKind.UNWRITTEN, why=trouble)
        finally:
            await self.store.close()


def _kind(body: bytes) -> str | None:
    """Return the name of all tasks that should cost what this one does; None where nothing tells."""
    price = price_class(json.loads(body))
    return price.fields if price.predictable else None


def _complain(written: "asyncio.Future[None]") -> None:
    error = None if written.cancelled() else written.exception()
    if error is not None:
        _log.error("journal write failed: %s", str(error))


def _teach(learn: Callable[[str], None], read: "asyncio.Future[tuple[str, ...]]") -> None:
    if not read.cancelled() and read.exception() is None:  # else whoever needs the journal will hear of it
        for lesson in read.result():
            learn(lesson)


def recalled_state(record: TaskRecord) -> TaskState | None:
    """Return the state that was written down last; None if there is none.

    Raises:
        JournalError: The record is damaged.
    """
    if record.reply is None:
        return None
    try:
        return read_task(Reply(200, {}, record.reply), record.task_id or "")
    except FoxError as error:
        what = "the record of the task is damaged"
        raise JournalError(what, submitted="yes", task_id=record.task_id, key=record.key) from error


def recalled_request(record: TaskRecord) -> Request | None:
    """Return what was asked for; None where local files were part of it, which the journal does not keep."""
    return None if _LOCAL in record.request else Request.from_mapping(json.loads(record.request))


def recalled_uploads(record: TaskRecord) -> bytes:
    """Return what was asked for, as JSON, if local files were part of it; they stand as their digests."""
    return record.request.encode() if _LOCAL in record.request else b""


def expired(record: TaskRecord, now: float) -> bool:
    """Whether the links of a task that has ended are dead for sure, at a time in Unix seconds."""
    return now - (record.ended or 0.0) > LINK_SECONDS
