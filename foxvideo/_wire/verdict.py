"""Whether to try again, and how long to wait: pure verdicts over replies, with the time passed in.

The question behind every verdict is *could the server have acted?* A submit costs money and FoxAPI has no
idempotency key, so a submit goes out again only if it certainly did not arrive or was refused with nothing made.
A read is free of that: a read that fails is not a video that failed.

What belongs here: verdicts and delays. What must not: clocks, sleeping, sockets, and when to ask after a task that
is well (``schedule/``).
"""

import itertools
from collections.abc import Callable

import attrs
import backoff

from foxvideo._wire.decode import Answer, NoReply, read_submit, read_task, read_upload
from foxvideo.errors import (
    AuthenticationError,
    BadReply,
    FoxError,
    ModelUnavailable,
    RateLimited,
    ResultsMissing,
    ServiceUnavailable,
    TaskNotFound,
)
from foxvideo.state import Status, TaskState

Jitter = Callable[[float], float]
"""Spreads a delay in seconds, so that many clients do not come back in one instant."""

_SLOWLY = 15.0  # a channel that is missing now is not back within a second
_MISSES = 3  # 404s in a row before a task counts as unknown: a fresh one may lag
_FAILURES = 10  # failed reads in a row before a wait ends, if they also lasted
_FAILING_SECONDS = 300.0
_GRACE = 60.0  # seconds for the results of a completed task to show up
_GRACE_INTERVAL = 3.0


def delay(failures: int, jitter: Jitter = backoff.full_jitter, *, first: float = 1.0, most: float = 60.0) -> float:
    """Return the seconds to wait after that many failures in a row: doubling, bounded, jittered."""
    waits = backoff.expo(factor=first, max_value=most)
    next(waits)  # backoff's generators begin with an empty value
    return jitter(next(itertools.islice(waits, max(failures, 1) - 1, None)))


@attrs.frozen
class SendAgain:
    """A submit may be repeated: nothing was made.

    Attributes:
        after: Seconds to wait first.
        limited: The service asked everybody to slow down, not this request alone.
        error: What this attempt ended with.
    """

    after: float
    limited: bool
    error: FoxError


def judge_submit(
    answer: Answer,
    *,
    attempt: int,
    attempts: int,
    retry_429: bool = True,
    jitter: Jitter = backoff.full_jitter,
) -> TaskState | SendAgain | FoxError:
    """Decide what the answer to a submit means.

    Args:
        answer: What came back.
        attempt: How often this submit was sent, 1 for the first time.
        attempts: How often it may be sent in all.
        retry_429: Whether a 429 counts as *refused before anything was made*.
        jitter: Spreads the delays.

    Returns:
        The task's first state, or leave to send again, or the error to end with.
    """
    try:
        return read_submit(answer)
    except FoxError as error:
        last = attempt >= attempts
        if error.submitted != "no" or last:
            return error
        if isinstance(error, RateLimited) and retry_429:
            wait = delay(attempt, jitter) if error.retry_after is None else error.retry_after
            return SendAgain(wait, limited=True, error=error)
        if isinstance(error, ModelUnavailable) and error.code == "no_compatible_channel":
            return SendAgain(_SLOWLY + delay(attempt, jitter, first=_SLOWLY), limited=False, error=error)
        if isinstance(answer, NoReply):
            return SendAgain(delay(attempt, jitter), limited=False, error=error)
        return error


@attrs.frozen
class Trouble:
    """What went wrong with the reads of one task lately; all zero while nothing does.

    Attributes:
        failures: Failed reads in a row.
        since: When that row began, in the seconds of the caller's clock.
        misses: 404s in a row.
        empty_since: When the task first showed as completed without results.
        sync: Whether the next query asks with ``sync_upstream``.
        error: What the last failed read ended with.
    """

    failures: int = 0
    since: float = 0.0
    misses: int = 0
    empty_since: float | None = None
    sync: bool = True
    error: FoxError | None = attrs.field(default=None, eq=False)


WELL = Trouble()


@attrs.frozen
class AskAgain:
    """A task has not ended, as far as this read tells.

    Attributes:
        trouble: What to pass in with the next answer.
        state: What the server said; None where the read failed.
        after: Seconds to wait; None leaves it to the schedule.
        limited: The service asked everybody to slow down.
    """

    trouble: Trouble
    state: TaskState | None = None
    after: float | None = None
    limited: bool = False


def judge_read(
    answer: Answer, task_id: str, trouble: Trouble, now: float, jitter: Jitter = backoff.full_jitter
) -> AskAgain | TaskState | FoxError:
    """Decide what the answer to a task query means.

    Args:
        answer: What came back.
        task_id: The task that was asked for.
        trouble: What the last verdict handed back; ``WELL`` at first.
        now: Seconds of a clock that never steps.
        jitter: Spreads the delays.

    Returns:
        Leave to ask again, or the terminal state, or the error that ends the wait (not the task).
    """
    try:
        state = read_task(answer, task_id)
    except FoxError as error:
        return _judge_failure(error.name(task_id=task_id), trouble, now, jitter)
    return judge_state(state, trouble, now)


def judge_upload(
    answer: Answer, trouble: Trouble, now: float, jitter: Jitter = backoff.full_jitter
) -> AskAgain | str | FoxError:
    """Decide what the answer to an upload means: what makes a read be repeated does so here, since both cost nothing.

    Args:
        answer: What came back.
        trouble: What the last verdict handed back; ``WELL`` at first.
        now: Seconds of a clock that never steps.
        jitter: Spreads the delays.

    Returns:
        Leave to send again, or the URL of the file, or the error to end with.
    """
    try:
        return read_upload(answer)
    except (BadReply, RateLimited, ServiceUnavailable) as error:
        return _judge_failure(error, trouble, now, jitter, "uploads")
    except FoxError as error:
        return error


def judge_state(state: TaskState, trouble: Trouble, now: float) -> AskAgain | TaskState | FoxError:
    """Decide whether a task has ended; the arguments and the answer are those of ``judge_read``."""
    if state.status is not Status.COMPLETED or state.results:
        return state if state.status.terminal else AskAgain(WELL, state)
    return _judge_empty(state, trouble, now)


def _judge_failure(
    error: FoxError, trouble: Trouble, now: float, jitter: Jitter, doing: str = "task queries"
) -> AskAgain | FoxError:
    if isinstance(error, AuthenticationError):
        return error
    misses = trouble.misses + 1 if isinstance(error, TaskNotFound) else 0
    if misses >= _MISSES:
        return error
    since = trouble.since if trouble.failures else now
    failures = trouble.failures + 1
    if failures >= _FAILURES and now - since >= _FAILING_SECONDS and not misses:
        return _unavailable(error, f"{failures} {doing} in a row failed within {now - since:.0f} s")
    limited = isinstance(error, RateLimited)
    asked = error.retry_after if isinstance(error, RateLimited) else None
    return AskAgain(
        attrs.evolve(trouble, failures=failures, since=since, misses=misses, error=error),
        after=delay(failures, jitter) if asked is None else asked,
        limited=limited,
    )


def _unavailable(error: FoxError, what: str) -> ServiceUnavailable:
    ended = ServiceUnavailable(
        f"{what}, the last one: {error.what}",
        submitted=error.submitted,
        task_id=error.task_id,
        http_status=error.http_status,
        request_id=error.request_id,
        body=error.body,
    )
    ended.__cause__ = error
    return ended


def _judge_empty(state: TaskState, trouble: Trouble, now: float) -> AskAgain | FoxError:
    """Decide about a task that is completed and shows no results; they often follow within seconds.

    Several live clients of the service have seen it; asked again without ``sync_upstream``, it usually has them.
    """
    first = trouble.empty_since is None
    since = now if trouble.empty_since is None else trouble.empty_since
    if now - since >= _GRACE:
        return ResultsMissing(
            f"completed, but without results for {now - since:.0f} s",
            submitted="yes",
            task_id=state.id,
            body=dict(state.raw),
            credits_reserved=state.credits_reserved,
        )
    return AskAgain(
        Trouble(empty_since=since, sync=not first),
        state=attrs.evolve(state, status=Status.PROCESSING),
        after=0.0 if first else _GRACE_INTERVAL,
    )


@attrs.frozen
class Pace:
    """How fast requests of one kind may leave, after the service said *too fast*.

    Attributes:
        not_before: No request leaves earlier, in the seconds of the caller's clock.
        gap: Seconds between two requests; 0 for no limit of ours.
        limited_at: When the gap last grew: answers to requests that left earlier do not let it grow again.
    """

    not_before: float = 0.0
    gap: float = 0.0
    limited_at: float = float("-inf")

    def limited(self, started: float, now: float, wait: float) -> "Pace":
        """Return the pace after a 429 to a request that left at ``started``: wait, then go at half the speed."""
        not_before = max(self.not_before, now + wait)
        if started < self.limited_at:
            return attrs.evolve(self, not_before=not_before)
        return Pace(not_before, min(max(2 * self.gap, _FIRST_GAP), _MOST_GAP), now)

    def passed(self, started: float) -> "Pace":
        """Return the pace after a request that left at ``started`` and was let through: a degree faster.

        One that left before the last 429 says nothing about the pace since.
        """
        if started < self.limited_at:
            return self
        gap = self.gap * _EASING
        return attrs.evolve(self, gap=gap if gap >= _LEAST_GAP else 0.0)

    def started(self, now: float) -> "Pace":
        """Return the pace after a request left."""
        return attrs.evolve(self, not_before=max(self.not_before, now + self.gap)) if self.gap else self


_FIRST_GAP = 0.1
_MOST_GAP = 10.0
_LEAST_GAP = 0.01
_EASING = 0.8
