"""One task as the engine knows it: its stage, its numbers, and who waits for it.

The whole life of a job, and nothing else is legal::

    PREPARING ──> QUEUED ──> SENDING ──> ACCEPTED ──> ENDED
    PREPARING ──> ELSEWHERE | ACCEPTED | ENDED
    ELSEWHERE ──> PREPARING | ACCEPTED | ENDED
    QUEUED ─────> PREPARING | ENDED
    SENDING ────> QUEUED | ENDED

*Preparing* claims the key and uploads local files; *elsewhere* waits for another client that sends the same key;
*queued* waits for its turn; *sending* lasts from right before the first byte leaves until the reply is there: only then
can money be lost. A job goes back from *sending* to *queued* only where nothing was made, or where the service
recognises a repeat. What a task costs is decided before *accepted*; what comes after costs nothing.

A ``VideoTask`` is a handle on a job, and there may be several. Two jobs that turn out to be one task become one:
``join`` sends whoever waits for the one to the other.

Out of scope: requests and verdicts; a job does nothing by itself.
"""

import asyncio
import contextvars
import enum
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import attrs

from foxvideo._wire.verdict import NO_FAILURES, Failures
from foxvideo.errors import FoxError, Submitted
from foxvideo.media import LocalMedia
from foxvideo.requests.generic import VideoRequest, duration_of
from foxvideo.schedule.base import Asked
from foxvideo.state import TaskState
from foxvideo.video import Video


class Stage(enum.Enum):
    """Where a task stands on this side."""

    PREPARING = "being prepared"
    ELSEWHERE = "being sent by another client"
    QUEUED = "waiting to be sent"
    SENDING = "being sent"
    ACCEPTED = "accepted"
    ENDED = "ended"


MOVES: Mapping[Stage, frozenset[Stage]] = {
    Stage.PREPARING: frozenset({Stage.QUEUED, Stage.ELSEWHERE, Stage.ACCEPTED, Stage.ENDED}),
    Stage.ELSEWHERE: frozenset({Stage.PREPARING, Stage.ACCEPTED, Stage.ENDED}),
    Stage.QUEUED: frozenset({Stage.SENDING, Stage.PREPARING, Stage.ENDED}),
    Stage.SENDING: frozenset({Stage.QUEUED, Stage.ACCEPTED, Stage.ENDED}),
    Stage.ACCEPTED: frozenset({Stage.ENDED}),
    Stage.ENDED: frozenset(),
}
UNSENT = frozenset({Stage.PREPARING, Stage.ELSEWHERE, Stage.QUEUED})  # by this client


class IllegalMoveError(RuntimeError):
    """A job was to go where it cannot: a defect of foxvideo."""


NO_FILES: Mapping[int, Any] = MappingProxyType({})  # one for all: a hundred thousand may wait for their turn


@attrs.define(eq=False)
class Submission:
    """What only a job that is not accepted yet needs.

    Attributes:
        context: The context of the caller, for the request's own task.
        idempotency_key: The same for every attempt; the service does not promise to read it.
        media: The local files of the request, as ``requests.media_of`` found them.
        digests: What these files held when the key was claimed, by the same keys: that and nothing else is uploaded.
        links: The URLs under which they were uploaded, as JSON.
        body: The JSON to send; None until it is needed, or while files are being uploaded.
        attempts: How often it was sent.
        preparing: The task that claims the key or uploads the files; None without.
        retry_failed: Whether a task under the key that failed is tried anew.
        risk: Whether one that is uncertain is, too: the caller's decision to risk paying twice.
        check: Whether local files that are certainly no media are refused.
        record: The number of its record, once that is this client's to send; None without.
        owner: The name of this client in the journal before it last wrote down that the request leaves; None without.
        before: What earlier attempts under the key came to; None as long as the journal was not asked, or another
            client sends the key.
        lost: What became of an earlier attempt whose reply was lost, while it is asked for again; None otherwise.
        state: An acceptance that is not written down yet; None otherwise.
        shared: Whether it was asked for more than once, so that no single caller can withdraw it.
        once: Whether nobody waits for it any more, so that it is not sent again.
        abandoned: Whether it was given up while it was being sent.
        look: Seconds until the record is looked at again, while another client sends it.
    """

    context: contextvars.Context
    idempotency_key: str
    media: Mapping[int, LocalMedia] = NO_FILES
    digests: Mapping[int, str] = NO_FILES
    links: bytes = b""
    body: bytes | None = None
    attempts: int = 0
    preparing: asyncio.Task[None] | None = None
    retry_failed: bool = False
    risk: bool = False
    check: bool = True
    record: int | None = None
    owner: str | None = None
    before: Submitted | None = None
    lost: FoxError | None = None
    state: TaskState | None = None
    shared: bool = False
    once: bool = False
    abandoned: bool = False
    look: float = 0.05


Listener = Callable[["Job"], None]


@attrs.define(eq=False, repr=False)
class Job:
    """One task.

    Attributes:
        request: What was asked for; None for a task that is followed by its id or key alone.
        timeout: Seconds that it may take; None for no limit.
        key: The caller's key for it; a generated one once the journal has it; None without a journal.
        id: The task's id; None until the service has accepted it.
        stage: Where it stands; changed by ``move`` alone.
        submission: What it needs until it is accepted; None from then on.
        state: The newest state that the service told; None before the first.
        outcome: How it ended; None until then.
        joined: The job that it turned out to be; None for one of its own.
        failures: What went wrong with its latest polls.
        memo: What the schedule keeps of it.
        since: When it was accepted, in seconds of the loop's clock.
        deadline: When waiting for it ends; None before its time runs, and for no limit.
        active: Whether it counts against ``max_active``.
        mine: Whether its end is this client's to hand over to ``on_end``, and not another's that follows it.
        followed: Whether the engine works on it; a task named by its id or key waits for somebody who cares.
        traceparent: The trace under which another client submitted it, from the journal; None where none is known.
        uploads: JSON that names the uploads it needs, by URL or content: should it fail, they may have been dropped.
        ticket: Its number among the errors that nobody has retrieved; 0 for none.
    """

    request: VideoRequest | None
    timeout: float | None
    key: str | None = None
    id: str | None = None
    stage: Stage = Stage.PREPARING
    submission: Submission | None = None
    state: TaskState | None = None
    outcome: Video | FoxError | None = None
    joined: "Job | None" = None
    failures: Failures = NO_FAILURES
    memo: bytes = b""
    since: float = 0.0
    deadline: float | None = None
    active: bool = False
    mine: bool = False
    followed: bool = False
    traceparent: str | None = None
    uploads: bytes = b""
    ticket: int = 0
    _waiters: list[asyncio.Future[None]] | None = None
    _watchers: list[asyncio.Future[None]] | None = None
    _listeners: list[Listener] | None = None

    def move(self, to: Stage) -> None:
        """Change the stage.

        Raises:
            IllegalMoveError: ``MOVES`` does not have it; the stage stays as it is.
        """
        if to not in MOVES[self.stage]:
            raise IllegalMoveError(f"a task cannot go from {self.stage.name} to {to.name}")
        self.stage = to

    @property
    def canonical(self) -> "Job":
        """The job that stands for the task: this one, unless it has joined another."""
        job = self
        while job.joined is not None:
            job = job.joined
        return job

    def done(self) -> bool:
        """Whether it has ended, for itself or as another."""
        return self.stage is Stage.ENDED

    @property
    def model(self) -> str:
        """The model that was asked for; empty for a task that is followed by its id or key alone."""
        return self.request.model if self.request else ""

    @property
    def asked(self) -> Asked:
        """What the schedule has to know of the request."""
        return Asked(self.model, None if self.request is None else duration_of(self.request))

    @property
    def known(self) -> bool:
        """Whether there is, or was, such a task for sure: it was accepted here or seen, or the journal has it."""
        return self.request is not None or self.key is not None or self.state is not None

    @property
    def least(self) -> Submitted:
        """The least that an error may say of its key, whatever came of this attempt.

        A key whose record was not seen may be uncertain, and another client may be sending it.
        """
        if self.key is None or self.submission is None:
            return "no"
        return self.submission.before or "unknown"

    # --- Who waits ---

    async def ended(self) -> None:
        """Wait until it has ended, or has joined another job."""
        if not self.done():
            self._waiters = self._waiters or []
            await _wait_among(self._waiters)

    async def changed(self) -> None:
        """Wait until it has another state, or has ended."""
        self._watchers = self._watchers or []
        try:
            await _wait_among(self._watchers)
        finally:
            self._watchers = self._watchers or None  # a hundred thousand may be pending

    def listen(self, listener: Listener) -> None:
        """Have a function called when it ends; at once if it has."""
        if self.done():
            listener(self)
        else:
            self._listeners = [*(self._listeners or ()), listener]

    def unlisten(self, listener: Listener) -> None:
        """Have a function not called any more."""
        self._listeners = [other for other in self._listeners or () if other != listener] or None

    # --- What happens to it ---

    def observe(self, state: TaskState) -> None:
        """Take a state over, and tell those who follow if it is news."""
        before = self.state
        if state is before:
            return
        if (
            before is None
            or before.progress != state.progress
            or before.status_text != state.status_text
            or before.status is not state.status
            or before.results != state.results
        ):
            # The whole reply is kept only once nothing follows: a hundred thousand may be pending.
            brief = state.status.terminal or state.body == b"{}"
            self.state = state if brief else attrs.evolve(state, body=b"{}")
            _wake(self._watchers)

    def end(self, outcome: Video | FoxError) -> None:
        """Keep an outcome as a value, and wake everybody."""
        self.move(Stage.ENDED)
        self.outcome, self.submission = outcome, None
        self._tell(self)

    def join(self, other: "Job") -> None:
        """Become another job of the same task: whoever waits for this one waits for that one."""
        self.move(Stage.ENDED)
        self.joined, self.submission = other, None
        listeners, self._listeners = self._listeners, None
        for listener in listeners or ():
            other.listen(listener)
        self._tell(other)

    def _tell(self, job: "Job") -> None:
        _wake(self._waiters)
        _wake(self._watchers)
        for listener in self._listeners or ():
            listener(job)
        self._listeners = None


async def _wait_among(waiting: list[asyncio.Future[None]]) -> None:
    """Wait in a list of futures, one for each waiter, so that cancelling one leaves the others alone."""
    future = asyncio.get_running_loop().create_future()
    waiting.append(future)
    try:
        await future
    finally:
        waiting.remove(future)


def _wake(waiting: list[asyncio.Future[None]] | None) -> None:
    for future in waiting or ():
        if not future.done():
            future.set_result(None)
