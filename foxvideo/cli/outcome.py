"""What a command tells its caller: an exit code, a line, or an object of JSON.

=====  ==============================================================================================
code   outcome
=====  ==============================================================================================
0      all is well
1      the task failed, or any other error
2      bad input: the command line, a file, or ``InvalidRequest``
3      ``AuthenticationError`` or ``InsufficientCredits``
4      ``SubmitUncertain``: a task may have been made and may be paid for
5      waiting ended and the task may go on: ``TaskTimeout``, ``TaskAbandoned``, ``ClientClosed``, and
       ``ServiceUnavailable`` where the error names a task
130    interrupted with Ctrl-C
=====  ==============================================================================================

What belongs here: pure functions from errors and outcomes to codes, texts and JSON. What must not: printing
(``command.py``), and what a command does.
"""

import enum
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import click

from foxvideo.errors import (
    AuthenticationError,
    ClientClosed,
    FoxError,
    InsufficientCredits,
    InvalidRequest,
    ModelUnavailable,
    ServiceUnavailable,
    SubmitUncertain,
    TaskAbandoned,
    TaskFailed,
    TaskNotFound,
    TaskTimeout,
)
from foxvideo.states import TaskState
from foxvideo.video import Video

KEYS_PAGE = "https://api.foxapi.cc/console/token"
NO_KEY = f"keys are made at {KEYS_PAGE}; foxvideo demo needs none"


class Exit(enum.IntEnum):
    """How a command ends."""

    OK = 0
    FAILED = 1
    BAD_INPUT = 2
    REFUSED = 3
    UNCERTAIN = 4
    STILL_RUNNING = 5
    INTERRUPTED = 130


class Interrupted(FoxError):
    """Somebody pressed Ctrl-C."""


def exit_code(error: Exception) -> Exit:
    """Return the code that an error ends a command with."""
    match error:
        case Interrupted():
            return Exit.INTERRUPTED
        case click.UsageError() | InvalidRequest():
            return Exit.BAD_INPUT
        case AuthenticationError() | InsufficientCredits():
            return Exit.REFUSED
        case SubmitUncertain():
            return Exit.UNCERTAIN
        case TaskTimeout() | TaskAbandoned() | ClientClosed() | ServiceUnavailable(task_id=str()):
            return Exit.STILL_RUNNING
        case _:
            return Exit.FAILED


def message(error: Exception) -> str:
    """Return what happened, in one line."""
    text = error.format_message() if isinstance(error, click.ClickException) else str(error)
    return " ".join(text.split()) or type(error).__name__


def fetching(error: Exception, options: Mapping[str, Any]) -> str | None:
    """Return the command that goes on with the task that an error names.

    Args:
        error: What a command ended with.
        options: Its parameters; ``output``, ``overwrite`` and ``base_url`` are taken over.

    Returns:
        The command; None where there is no task, or nothing to wait for.
    """
    if not isinstance(error, FoxError) or error.task_id is None or isinstance(error, TaskFailed | TaskNotFound):
        return None
    words = ["foxvideo", "fetch", error.task_id]
    if options.get("base_url"):
        words += ["--base-url", options["base_url"]]
    if options.get("overwrite"):
        words += ["--overwrite"]
    if options.get("output"):
        words += ["-o", str(options["output"])]
    return shlex.join(words)


def hints(error: Exception, options: Mapping[str, Any]) -> Iterator[str]:
    """Say what to type next."""
    match error:
        case AuthenticationError(http_status=None):
            yield NO_KEY
        case AuthenticationError() | ModelUnavailable():
            yield "foxvideo doctor tells what this key may do"
        case InvalidRequest(faults=faults) if any("check=False" in fault.allowed for fault in faults):
            yield "--no-check sends it all the same"
    if command := fetching(error, options):
        yield f"go on with: {command}"


def error_as_json(error: Exception, options: Mapping[str, Any]) -> dict[str, object]:
    """Return an error as ``--json`` prints it; what an error does not carry is null."""
    told = {
        name: getattr(error, name, None)
        for name in ("task_id", "submitted", "code", "http_status", "request_id", "credits_reserved")
    }
    faults = error.faults if isinstance(error, InvalidRequest) else ()
    return {
        "error": type(error).__name__,
        "message": message(error),
        **told,
        "submitted": told["submitted"] or "no",
        "faults": [attrs.asdict(fault) for fault in faults],
        "go_on": fetching(error, options),
        "exit_code": int(exit_code(error)),
    }


def video_as_json(video: Video, files: Sequence[Path]) -> dict[str, object]:
    """Return a completed task and its files as ``--json`` prints them."""
    return {
        "task_id": video.task_id,
        "model": video.model,
        "status": "completed",
        "files": [str(file) for file in files],
        "urls": list(video.urls),
        "results": [dict(result.fields) for result in video.results],
        "credits_reserved": video.credits_reserved,
        "expires_at": video.expires_at.isoformat() if video.expires_at else None,
    }


def state_as_json(state: TaskState) -> dict[str, object]:
    """Return where a task stands as ``--json`` prints it."""
    return {
        "task_id": state.id,
        "model": state.model,
        "status": state.status.value,
        "status_text": state.status_text,
        "progress": state.progress,
        "urls": list(state.urls),
        "results": [dict(result.fields) for result in state.results],
        "problem": attrs.asdict(state.problem) if state.problem else None,
        "credits_reserved": state.credits_reserved,
        "estimated_time": state.estimated_time,
        "created": state.created,
    }
