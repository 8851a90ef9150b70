"""What the end of a task means: one table, which everybody asks."""

import asyncio

import pytest

from foxvideo import (
    BadReply,
    ClientClosed,
    FoxError,
    InsufficientCredits,
    JournalError,
    RateLimited,
    SubmitUncertain,
    TaskAbandoned,
    TaskCancelled,
    TaskFailed,
    TaskNotFound,
    TaskTimeout,
    Video,
)
from foxvideo._engine.ends import End, broken, end_of
from foxvideo._engine.job import Job, Stage, Submission

VIDEO = Video(id="t", model="m", request=None, results=(), credits_reserved=None, created=None, source=None)
TABLE = [
    (VIDEO, End.COMPLETED, True, 0),
    (TaskFailed("x", submitted="yes"), End.FAILED, True, 1),
    (TaskCancelled("x", submitted="yes"), End.CANCELLED, True, 1),
    (SubmitUncertain("x", submitted="unknown"), End.UNCERTAIN, False, 4),
    (SubmitUncertain("x", submitted="unknown", task_id="task-1"), End.UNCERTAIN, False, 4),
    (InsufficientCredits("x", submitted="no"), End.NOTHING_MADE, True, 1),
    (RateLimited("x", submitted="no"), End.NOTHING_MADE, True, 1),
    (TaskAbandoned("x", submitted="no"), End.NOTHING_MADE, True, 1),
    (TaskTimeout("x", submitted="yes"), End.GOING_ON, False, 5),
    (TaskAbandoned("x", submitted="yes"), End.GOING_ON, False, 5),
    (ClientClosed("x", submitted="unknown"), End.GOING_ON, False, 5),
    (TaskNotFound("x", submitted="yes", task_id="task-1"), End.GOING_ON, False, 5),
    (JournalError("x", submitted="unknown"), End.GOING_ON, False, 5),
    (BadReply("x", submitted="yes"), End.GOING_ON, False, 5),
]


@pytest.mark.parametrize(("outcome", "end", "settled", "code"), TABLE, ids=lambda value: type(value).__name__)
def test_an_outcome_means_one_thing(outcome: Video | FoxError, end: End, settled: bool, code: int) -> None:
    """A wait that was lost is never settled, and what is uncertain neither."""
    found = end_of(outcome)
    assert (found, found.settled, found.exit_code) == (end, settled, code)


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.ENDED])
@pytest.mark.parametrize(
    "error", [asyncio.CancelledError(), ZeroDivisionError("odd"), JournalError("x", submitted="no")]
)
def test_what_breaks_while_a_request_is_under_way_is_uncertain_and_nothing_else(
    stage: Stage, error: BaseException
) -> None:
    """Before it left nothing was made, and after an acceptance the task goes on."""
    submission = None if stage is Stage.ACCEPTED else Submission(None, "")  # type: ignore[arg-type]
    job = Job(None, None, stage=stage, submission=submission, id="task-1" if stage is Stage.ACCEPTED else None)

    found = broken(job, error)

    expected = {Stage.SENDING: End.UNCERTAIN, Stage.ACCEPTED: End.GOING_ON}.get(stage, End.NOTHING_MADE)
    assert end_of(found) is expected
    assert found is error or found.__cause__ is error
