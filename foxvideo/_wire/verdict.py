"""Whether to try again, and how long to wait: pure verdicts over answers, with the time passed in.

The question behind every verdict is *could the server have acted?* A submission costs money, so it goes out again only
if it certainly did not arrive, was refused with nothing made, or if the service promises that one idempotency key makes
one task. A read is free of that: a read that fails is not a video that failed.

Patience is time. The number of failures is only asked for beside it, so that a machine that slept, and sees two
failures an hour apart, does not take that for an hour of failures.
"""

import itertools
from collections.abc import Callable
from http import HTTPStatus
from typing import Literal, TypeVar

import attrs
import backoff

from foxvideo._wire.decode import read_running, read_submit, read_task, read_upload
from foxvideo._wire.refusal import is_busy
from foxvideo._wire.reply import Answer, NoReply
from foxvideo.errors import (
    BadReply,
    FoxError,
    ModelUnavailable,
    RateLimited,
    ResultsMissing,
    ServiceUnavailable,
    SubmitUncertain,
    TaskNotFound,
)
from foxvideo.state import Status, TaskState

T = TypeVar("T")
Made = Literal["no", "unknown"]
Jitter = Callable[[float], float]
"""Spreads a delay in seconds, so that many clients do not come back in one instant."""

_SHORTEST = 0.5  # seconds between two attempts at the least: jitter, or a Retry-After of 0, may say none at all
_SLOWLY = 15.0  # a channel that is missing now is not back within a second

# How long the service has to go on saying so before a wait ends, in seconds: for an id that nobody here has seen, and
# for a task that was accepted here or seen before. A gateway that restarts, or a firewall in a mood, is back by then.
_MISSING_SECONDS = {False: 60.0, True: 300.0}  # 404
_DENIED_SECONDS = {False: 0.0, True: 60.0}  # 401 and 403
_REFUSALS = 3
_FAILING_SECONDS = 300.0  # everything else
_FAILURES = 10
_DENIED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})

_GRACE = 60.0  # seconds for the results of a completed task to show up
_GRACE_INTERVAL = 3.0
_NOT_FILES = frozenset({"voice_id", "character_id", "element_id", "profile_id", "text"})  # results without a link


def delay(
    failures: int,
    jitter: Jitter = backoff.full_jitter,
    *,
    asked: float | None = None,
    first: float = 1.0,
    most: float = 60.0,
) -> float:
    """Return the seconds to wait after that many failures in a row: doubling, jittered, half a second at least.

    Args:
        failures: How many; 1 after the first.
        jitter: Spreads the delay.
        asked: Seconds that the server asked for: a lower bound, and never a reason to come back sooner.
        first: The delay after the first failure, before jitter.
        most: The longest delay of our own.
    """
    waits = backoff.expo(factor=first, max_value=most)
    next(waits)  # backoff's generators begin with an empty value
    own = jitter(next(itertools.islice(waits, max(failures, 1) - 1, None)))
    return max(own, asked or 0.0, _SHORTEST)


# --- Submissions -----------------------------------------------------------------------------------------------------


@attrs.frozen
class SubmitAgain:
    """A submission may be repeated.

    Attributes:
        after: Seconds to wait first.
        limited: Whether the service asked everybody to slow down, not this request alone.
        error: What this attempt ended with; it may carry an id that a broken reply showed.
        made: Whether a task may exist meanwhile: ``"no"``, or ``"unknown"``, and then only the idempotency key makes
            the repeat safe, and the key must not be given to another attempt.
    """

    after: float
    limited: bool
    error: FoxError
    made: Made = "no"


def submit_verdict(
    answer: Answer,
    *,
    attempt: int,
    attempts: int,
    trust_refusals: bool,
    idempotent: bool = False,
    before: Made = "no",
    jitter: Jitter = backoff.full_jitter,
) -> TaskState | SubmitAgain | FoxError:
    """Decide what the answer to a submission means.

    Args:
        answer: What came back.
        attempt: How often this submission was sent, 1 for the first time.
        attempts: How often it may be sent in all.
        trust_refusals: Whether 429 and *no channel* are believed to make nothing. Where not, either is uncertain.
        idempotent: Whether the service promises that one ``Idempotency-Key`` makes one task, so that a submission whose
            reply was lost may be repeated with the same key. FoxAPI does not; EvoLink does: https://docs.evolink.ai.
        before: What earlier attempts of this submission came to: ``made`` of their verdicts.
        jitter: Spreads the delays.

    Returns:
        The task's first state, or leave to submit again, or the error to end with.
    """
    try:
        return read_submit(answer, trust_refusals=trust_refusals)
    except FoxError as error:
        lost = error.submitted == "unknown"
        made: Made = "unknown" if lost or before == "unknown" else "no"
        again = _may_repeat_lost(answer) and idempotent if lost else _may_repeat_refused(answer, error)
        if again and attempt < attempts:
            wait = _wait_to_submit(error, attempt, jitter)
            return SubmitAgain(wait, limited=isinstance(error, RateLimited), error=error, made=made)
        return error if lost or made == "no" else _after_lost(error)


def _may_repeat_refused(answer: Answer, error: FoxError) -> bool:
    """Whether a submission that made nothing may succeed later."""
    return isinstance(answer, NoReply) or is_busy(error)


def _may_repeat_lost(answer: Answer) -> bool:
    """Whether a submission whose outcome is unknown may be repeated under the same idempotency key.

    A 409 may not: EvoLink's ``paid_outcome_unknown`` and ``idempotency_conflict`` say that the key itself is in doubt.
    Nor may a refusal that is not trusted, which was understood and answered.
    """
    if isinstance(answer, NoReply):
        return True
    broken = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status == HTTPStatus.REQUEST_TIMEOUT
    return broken or answer.ok


def _wait_to_submit(error: FoxError, attempt: int, jitter: Jitter) -> float:
    if isinstance(error, ModelUnavailable):
        return _SLOWLY + delay(attempt, jitter, first=_SLOWLY)
    return delay(attempt, jitter, asked=error.retry_after if isinstance(error, RateLimited) else None)


def _after_lost(error: FoxError) -> SubmitUncertain:
    """Return what a refusal means after an attempt whose reply was lost: that one may have made a task."""
    ended = SubmitUncertain(
        f"the reply to an earlier attempt was lost; the last one ended with: {error.what}",
        submitted="unknown",
        http_status=error.http_status,
        request_id=error.request_id,
        body=error.body,
    )
    ended.__cause__ = error
    return ended


# --- Reads -----------------------------------------------------------------------------------------------------------


@attrs.frozen
class Failures:
    """What went wrong with the reads of one thing lately; all zero while nothing does.

    Attributes:
        count: Failed reads in a row.
        since: When that row began, in the seconds of the caller's clock.
        refusals: Of these the last ones that were a 401, 403 or 404, in a row.
        refused_since: When that row began.
        empty_since: When the task first showed as completed without results.
        sync: Whether the next poll is sent with ``sync_upstream``.
        error: What the last failed read ended with.
    """

    count: int = 0
    since: float = 0.0
    refusals: int = 0
    refused_since: float = 0.0
    empty_since: float | None = None
    sync: bool = True
    error: FoxError | None = attrs.field(default=None, eq=False)

    def and_one(self, error: FoxError, now: float) -> "Failures":
        """Return the failures with one more."""
        refused = _is_refused(error)
        return attrs.evolve(
            self,
            count=self.count + 1,
            since=self.since if self.count else now,
            refusals=self.refusals + 1 if refused else 0,
            refused_since=self.refused_since if self.refusals else now,
            error=error,
        )


NO_FAILURES = Failures()


@attrs.frozen
class ReadAgain:
    """A read or an upload has failed, and may be repeated.

    Attributes:
        failures: What to pass in with the next answer.
        after: Seconds to wait.
        limited: Whether the service asked everybody to slow down.
    """

    failures: Failures
    after: float
    limited: bool


@attrs.frozen
class PollAgain:
    """A task has not ended, as far as this poll tells.

    Attributes:
        failures: What to pass in with the next answer.
        state: What the server said; None where the poll failed.
        after: Seconds to wait; None leaves it to the schedule.
        limited: Whether the service asked everybody to slow down.
    """

    failures: Failures
    state: TaskState | None = None
    after: float | None = None
    limited: bool = False


def poll_verdict(
    answer: Answer,
    task_id: str,
    failures: Failures,
    now: float,
    *,
    known: bool,
    before: TaskState | None = None,
    jitter: Jitter = backoff.full_jitter,
) -> PollAgain | TaskState | FoxError:
    """Decide what the answer to a poll means.

    Args:
        answer: What came back.
        task_id: The task that was polled.
        failures: What the last verdict handed back; ``NO_FAILURES`` at first.
        now: Seconds of a clock that never steps.
        known: Whether the task exists for sure: it was accepted here, seen before, or is in the journal.
        before: The state that it was last seen in, which only makes this quicker; None for none.
        jitter: Spreads the delays.

    Returns:
        Leave to poll again, or the terminal state, or the error that ends the wait (not the task).
    """
    if before is not None and before.id == task_id and (running := read_running(answer, before)) is not None:
        return PollAgain(NO_FAILURES, running)
    try:
        state = read_task(answer, task_id, whole=False)
    except FoxError as error:
        return _failed_poll(error.name(task_id=task_id), failures, now, jitter, known=known)
    return state_verdict(state, failures, now)


def read_verdict(
    answer: Answer,
    read: Callable[[Answer], T],
    failures: Failures,
    now: float,
    *,
    patience: float,
    jitter: Jitter = backoff.full_jitter,
) -> ReadAgain | T | FoxError:
    """Decide what the answer to any other read means: models, balance, prices, a fresh link.

    Args:
        answer: What came back.
        read: Returns the value that it holds, or raises what it means; a function of ``decode.py``.
        failures: What the last verdict handed back; ``NO_FAILURES`` at first.
        now: Seconds of a clock that never steps.
        patience: Seconds of failures after which the last of them is returned.
        jitter: Spreads the delays.

    Returns:
        Leave to read again, or the value, or the error to end with. What asking again would not change ends it at once.
    """
    try:
        return read(answer)
    except (BadReply, RateLimited, ServiceUnavailable) as error:
        more = failures.and_one(error, now)
        return error if now - more.since >= patience else _again(more, error, jitter)
    except FoxError as error:
        return error


def upload_verdict(
    answer: Answer, failures: Failures, now: float, jitter: Jitter = backoff.full_jitter
) -> ReadAgain | str | FoxError:
    """Decide what the answer to an upload means. An upload costs nothing, so it is repeated as a read is.

    Returns:
        Leave to upload again, or the URL of the file, or the error to end with.
    """
    verdict = read_verdict(answer, read_upload, failures, now, patience=_FAILING_SECONDS, jitter=jitter)
    if isinstance(verdict, BadReply | RateLimited | ServiceUnavailable):
        return _unavailable(verdict, "uploads", failures.and_one(verdict, now), now)
    return verdict


def state_verdict(state: TaskState, failures: Failures, now: float) -> PollAgain | TaskState | FoxError:
    """Decide whether a task has ended; the arguments and the answer are those of ``poll_verdict``."""
    if state.status is Status.COMPLETED and (not state.results or any(result.incomplete for result in state.results)):
        return _without_results(state, failures, now)
    return state if state.status.terminal else PollAgain(NO_FAILURES, state)


def _again(failures: Failures, error: FoxError, jitter: Jitter) -> ReadAgain:
    limited = isinstance(error, RateLimited)
    asked = error.retry_after if isinstance(error, RateLimited) else None
    return ReadAgain(failures, delay(failures.count, jitter, asked=asked), limited)


def _is_refused(error: FoxError) -> bool:
    return isinstance(error, TaskNotFound) or error.http_status in _DENIED


def _failed_poll(
    error: FoxError, failures: Failures, now: float, jitter: Jitter, *, known: bool
) -> PollAgain | FoxError:
    more = failures.and_one(error, now)
    failing, refused = now - more.since, now - more.refused_since
    if _is_refused(error):
        patience = (_MISSING_SECONDS if isinstance(error, TaskNotFound) else _DENIED_SECONDS)[known]
        if refused >= patience and (more.refusals >= _REFUSALS or not patience):
            return error
    elif failing >= _FAILING_SECONDS and more.count >= _FAILURES:
        return _unavailable(error, "polls", more, now)
    again = _again(more, error, jitter)
    return PollAgain(more, after=again.after, limited=again.limited)


def _unavailable(error: FoxError, doing: str, failures: Failures, now: float) -> ServiceUnavailable:
    ended = ServiceUnavailable(
        f"{failures.count} {doing} in a row failed within {now - failures.since:.0f} s, the last one: {error.what}",
        submitted=error.submitted,
        task_id=error.task_id,
        http_status=error.http_status,
        request_id=error.request_id,
        body=error.body,
    )
    ended.__cause__ = error
    return ended


def _without_results(state: TaskState, failures: Failures, now: float) -> PollAgain | TaskState | FoxError:
    """Decide about a task that is completed and shows no results, or names a link that is not there yet.

    They often follow within seconds. Several live clients of the service have seen it; polled again without
    ``sync_upstream``, it usually has them.
    """
    first = failures.empty_since is None
    since = now if failures.empty_since is None else failures.empty_since
    if now - since < _GRACE:
        return PollAgain(
            Failures(empty_since=since, sync=not first),
            state=attrs.evolve(state, status=Status.PROCESSING),
            after=0.0 if first else _GRACE_INTERVAL,
        )
    if any(result.url or result.fields.keys() & _NOT_FILES for result in state.results):
        return state  # what is there is all that there will be
    return ResultsMissing(
        f"completed, but without results for {now - since:.0f} s",
        submitted="yes",
        task_id=state.id,
        body=dict(state.raw),
        credits_reserved=state.credits_reserved,
    )
