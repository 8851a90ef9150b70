"""What the end of a task means: as an error, for what is still unfinished, and in the log.

What belongs here: pure functions from what happened to an outcome. What must not: ending a task (``engine.py``).
"""

import asyncio
import logging

from foxvideo.errors import (
    ClientClosed,
    FoxError,
    JournalError,
    SubmitUncertain,
    TaskCancelled,
    TaskFailed,
    TaskNotFound,
)
from foxvideo.state import Status, TaskState
from foxvideo.task import Stage, VideoTask
from foxvideo.video import Video

_log = logging.getLogger("foxvideo")


def failed(state: TaskState) -> TaskFailed:
    """Return the error that a failed or cancelled state tells."""
    code = state.problem.code if state.problem else None
    message = state.problem.message if state.problem else ""
    kind = TaskCancelled if state.status is Status.CANCELLED else TaskFailed
    reason = ": ".join(filter(None, (code, message))) or "the service gave no reason"
    return kind(
        f"{state.status_text}: {reason}", code=code, message=message, state=state, body=state.raw, submitted="yes"
    )


def broken(task: VideoTask, error: BaseException) -> FoxError:
    """Say what it means that work on a task was cut by the loop, or ended in an error."""
    broken: FoxError
    if isinstance(error, FoxError) and task._stage is Stage.PLANNED:
        return error
    if isinstance(error, JournalError):  # the disk broke after the service had accepted the task
        return JournalError(error.what, submitted="yes")
    if task._stage is Stage.SENDING:
        broken = SubmitUncertain(f"submit: cut on this side: {error!r}", submitted="unknown")
    elif isinstance(error, asyncio.CancelledError):
        broken = ClientClosed("cut by the event loop", submitted="yes" if task.id else "no")
    else:
        broken = FoxError(f"cannot go on: {error!r}", submitted="yes" if task.id else "no")
    broken.__cause__ = error
    return broken


def name(task: VideoTask) -> str:
    """Name a task in the log: by its id, where one was seen, and its model."""
    seen = task._outcome.task_id if isinstance(task._outcome, FoxError) else None
    nameless = "an uncertain submit" if isinstance(task._outcome, SubmitUncertain) else "a submit"
    return f"{task.id or seen or nameless} ({task.request_model or 'model unknown'})"


def reason(task: VideoTask) -> str:
    """Name an error in the log: by its class and the service's code, since a message may quote a prompt."""
    return " ".join(filter(None, (type(task._outcome).__name__, getattr(task._outcome, "code", None))))


def settled(outcome: Video | FoxError) -> bool:
    """Whether it is known that no task is left that could still end."""
    return isinstance(outcome, Video | TaskFailed | TaskNotFound) or outcome.submitted == "no"


def log_end(task: VideoTask, outcome: Video | FoxError, seconds: float) -> None:
    """Write the one line about the end of a task; what was never sent has none."""
    if isinstance(outcome, SubmitUncertain):
        # As text: a record that somebody keeps must not keep an error, and with it the frames of a whole loop.
        _log.warning("uncertain submit of %s: %s", task.request_model, str(outcome))
    elif task.id is not None:
        how = "completed" if isinstance(outcome, Video) else type(outcome).__name__
        _log.info("%s: %s (%s) after %.1f s", how, task.id, task.request_model, seconds)
