"""What the end of a task means, in one table.

Whoever has to know whether a task may still end, whether its key may be sent again, which exit code a command has or
what a row of a batch came to asks here. An outcome is a ``Video`` or an error; an error is told by its class and by
what it says of money.

===============================  ============  =======  ==================  =========
outcome                          end           settled  may be sent again   exit code
===============================  ============  =======  ==================  =========
``Video``                        completed     yes      no                  0
``TaskFailed``                   failed        yes      a new, paid task    1
``TaskCancelled``                cancelled     yes      a new, paid task    1
``SubmitUncertain``              uncertain     no       a person decides    4
any other error that says "no"   nothing made  yes      yes                 1
any other error                  going on      no       no: follow it       5
===============================  ============  =======  ==================  =========

A wait that was lost (``TaskNotFound``, ``TaskTimeout``, ...) says nothing about its task, so it is *going on*.
"""

import asyncio
import enum

from foxvideo._engine.job import UNSENT, Job, Stage
from foxvideo.errors import (
    ClientClosed,
    FoxError,
    Submitted,
    SubmitUncertain,
    TaskCancelled,
    TaskFailed,
)
from foxvideo.state import Status, TaskState
from foxvideo.video import Video


class End(enum.Enum):
    """What is known of a task once waiting for it has ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNCERTAIN = "uncertain"
    NOTHING_MADE = "nothing made"
    GOING_ON = "going on"

    @property
    def settled(self) -> bool:
        """Whether nothing is left that could still end, or be decided."""
        return self not in {End.UNCERTAIN, End.GOING_ON}

    @property
    def exit_code(self) -> int:
        """What a command ends with, where the error itself says no more."""
        return _EXIT_CODES[self]

    @property
    def terminal(self) -> bool:
        """Whether the service said how the task ended."""
        return self in {End.COMPLETED, End.FAILED, End.CANCELLED}


_EXIT_CODES = {
    End.COMPLETED: 0,
    End.FAILED: 1,
    End.CANCELLED: 1,
    End.NOTHING_MADE: 1,
    End.UNCERTAIN: 4,
    End.GOING_ON: 5,
}


def end_of(outcome: Video | FoxError) -> End:
    """Return what an outcome means."""
    match outcome:
        case Video():
            return End.COMPLETED
        case TaskCancelled():
            return End.CANCELLED
        case TaskFailed():
            return End.FAILED
        case SubmitUncertain():
            return End.UNCERTAIN
        case _:
            return End.NOTHING_MADE if outcome.submitted == "no" else End.GOING_ON


def failed(state: TaskState) -> TaskFailed:
    """Return the error that a failed or cancelled state tells."""
    code = state.problem.code if state.problem else None
    message = state.problem.message if state.problem else ""
    kind = TaskCancelled if state.status is Status.CANCELLED else TaskFailed
    reason = ": ".join(filter(None, (code, message))) or "the service gave no reason"
    return kind(
        f"{state.status_text}: {reason}",
        submitted="yes",
        code=code,
        message=message,
        state=state,
        body=state.raw,
        task_id=state.id,
        credits_reserved=state.credits_reserved,
    )


def broken(job: Job, error: BaseException) -> FoxError:
    """Return the error of a job whose work was cut by the event loop, or ended in an exception nobody foresaw.

    The word on money is about this attempt alone: ``Jobs.end`` adds what the journal knows of the key.
    """
    if isinstance(error, FoxError) and job.stage in UNSENT:
        return error
    submitted: Submitted = "no" if job.stage in UNSENT else "yes"
    broken: FoxError
    if job.stage is Stage.SENDING:
        # Between the first byte and the reply nobody can tell whether the service acted.
        broken = SubmitUncertain(f"submission: cut on this side: {error!r}", submitted="unknown")
    elif isinstance(error, asyncio.CancelledError):
        broken = ClientClosed("cut by the event loop", submitted=submitted)
    else:
        broken = FoxError(f"cannot go on: {error!r}", submitted=submitted)
    broken.__cause__ = error
    return broken
