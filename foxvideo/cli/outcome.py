"""What a command tells its caller: an exit code, a line, or an object of JSON.

=====  ==============================================================================================
code   outcome
=====  ==============================================================================================
0      all is well
1      the task failed, or any other error
2      bad input: the command line, a file, or ``InvalidRequest``
3      ``AuthenticationError``, ``InsufficientCredits`` or ``LimitReached``
4      ``SubmitUncertain``: a task may have been made and may be paid for
5      waiting ended and the task may go on: ``TaskTimeout``, ``TaskAbandoned``, ``ClientClosed``, ...
130    interrupted with Ctrl-C
=====  ==============================================================================================

What belongs here: pure functions from errors and outcomes to codes, texts and JSON, and what to type next. What
must not: printing (``command.py``), and what a command does.
"""

import enum
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from foxvideo._engine.ends import end_of
from foxvideo._journal.postgres import shown
from foxvideo.errors import (
    AuthenticationError,
    ClientClosed,
    DownloadError,
    FoxError,
    InsufficientCredits,
    InvalidRequest,
    JournalError,
    KeyConflict,
    KeyStateError,
    LimitReached,
    ModelUnavailable,
    ResultsMissing,
    SubmitUncertain,
    TaskFailed,
    TaskNotFound,
    TaskTimeout,
    UploadError,
)
from foxvideo.video import Video

KEYS_PAGE = "https://api.foxapi.cc/console/token"
NO_KEY = f"keys are made at {KEYS_PAGE}; foxvideo demo needs none"

# What to do, for somebody in a shell where the library's hint is for somebody in Python.
_SHELL_HINTS: Mapping[type[FoxError], str] = {
    SubmitUncertain: "do not repeat it blindly: look at the console or the balance first",
    KeyConflict: "give another request another --key",
    KeyStateError: "foxvideo tasks shows the state of every key",
    LimitReached: "foxvideo limits shows why, and changes them; foxvideo limits --go-on ends a halt",
    TaskTimeout: "do not submit it again where there is an id",
    ClientClosed: "go on by its id where there is one",
    ResultsMissing: "ask again later",
    ModelUnavailable: "choose another model, or wait",
}
_IN_SHELL = {
    " (pass check=False to send it all the same)": "",
    "pass api_key or set FOXAPI_API_KEY": "set FOXAPI_API_KEY",
    "pass overwrite=True to replace it": "--overwrite replaces it",
    "; for a local file pass a pathlib.Path": ", or a local file",
}
_KEPT = ("base_url", "journal")  # options without which the next command would look elsewhere


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
        case AuthenticationError() | InsufficientCredits() | LimitReached():
            return Exit.REFUSED
        case FoxError() if not isinstance(error, DownloadError | ResultsMissing | TaskNotFound | JournalError):
            return Exit(end_of(error).exit_code)
        case _:
            return Exit.FAILED


def message(error: Exception) -> str:
    """Return what happened, in one line."""
    text = str(error)
    if isinstance(error, click.ClickException):
        text = error.format_message()
    elif isinstance(error, OSError) and isinstance(error.filename, str) and error.strerror:
        text = f"{error.filename}: {error.strerror}"
    return " ".join(in_shell_words(text).split()) or type(error).__name__


def in_shell_words(text: str) -> str:
    """Return a text of the library without what only Python can type."""
    for python, shell in _IN_SHELL.items():
        text = text.replace(python, shell)
    return text


def shell_hint(error: Exception) -> str:
    """Return what to do next, in the words of a shell; empty where there is nothing to do."""
    if not isinstance(error, FoxError):
        return ""
    if "check=False" in error.hint:  # which is Python; what to type follows
        return ""
    return _SHELL_HINTS.get(type(error), error.hint) if error.hint == error.advice else error.hint


def next_command(options: Mapping[str, Any], *words: str) -> str:
    """Return a command that works with the same host and journal as the one with these options."""
    for name in _KEPT:
        if options.get(name):
            words = (*words, f"--{name.replace('_', '-')}", shown(options[name]))
    return shlex.join(["foxvideo", *words])


def fetching(error: Exception, options: Mapping[str, Any]) -> str | None:
    """Return the command that goes on with the task that an error names.

    Args:
        error: What a command ended with.
        options: Its parameters; ``output``, ``overwrite``, ``base_url`` and ``journal`` are taken over.

    Returns:
        The command; None where there is no task, or nothing to wait for.
    """
    if not isinstance(error, FoxError) or isinstance(error, TaskFailed | TaskNotFound | KeyConflict):
        return None
    if error.task_id is not None:
        words = ["fetch", error.task_id]
    elif isinstance(error, TaskTimeout) and error.key and error.submitted != "no":  # another process is sending it
        words = ["fetch", "--key", error.key]
    else:
        return None
    command = next_command(options, *words)
    if options.get("overwrite"):
        command += " --overwrite"
    if options.get("output"):
        command += f" -o {shlex.quote(str(options['output']))}"
    return command


def hints(error: Exception, options: Mapping[str, Any]) -> Iterator[str]:
    """Say what to do next, and what to type."""
    yield from filter(None, [shell_hint(error), *_typed(error, options)])
    yield from _going_on(error, options)


def _typed(error: Exception, options: Mapping[str, Any]) -> Iterator[str]:
    match error:
        case AuthenticationError(http_status=None):
            yield NO_KEY
        case AuthenticationError() | ModelUnavailable():
            yield "foxvideo doctor tells what this key may do"
        case InvalidRequest(faults=faults) if any("check=False" in fault.allowed for fault in faults):
            yield "--no-check sends it all the same"
        case UploadError() if "check=False" in error.hint:
            yield "--no-check uploads it all the same"
        case KeyConflict():
            yield f"the keys in use: {next_command(_journal_of(options), 'tasks')}"
        case JournalError():
            yield f"what is wrong with it: {next_command(_journal_of(options), 'doctor')}"
        case OSError() if "journal" in options and not isinstance(error, FoxError):  # such as no space
            yield f"what was made is not lost: {next_command(options, 'resume')}"
        case TaskFailed(key=str(key)) if "retry_failed" in options and key == options.get("key"):
            yield "--retry-failed makes it anew, which is paid anew"


def _going_on(error: Exception, options: Mapping[str, Any]) -> Iterator[str]:
    if command := fetching(error, options):
        yield f"go on with: {command}"
    if exit_code(error) in {Exit.STILL_RUNNING, Exit.INTERRUPTED} and getattr(error, "submitted", "no") == "yes":
        yield f"or, with all that is unfinished: {next_command(options, 'resume')}"
    yield from _decisions(error, options)


def _decisions(error: Exception, options: Mapping[str, Any]) -> Iterator[str]:
    """Say how to decide what a submission without a reply was."""
    if isinstance(error, SubmitUncertain | Interrupted) and error.submitted == "unknown" and error.key:
        task_id = error.task_id or "ID"
        yield f"if it was made: {next_command(options, 'adopt', error.key, task_id)}"
        yield f"if it was not: {next_command(options, 'resubmit', error.key)}"


def _journal_of(options: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"journal": options.get("journal")}


def error_as_json(error: Exception, options: Mapping[str, Any]) -> dict[str, object]:
    """Return an error as ``--json`` prints it; what an error does not carry is null."""
    told = error.as_dict() if isinstance(error, FoxError) else dict(_NOTHING_KNOWN) | {"error": type(error).__name__}
    return told | {
        "message": message(error),
        "hint": shell_hint(error),
        "go_on": fetching(error, options),
        "exit_code": int(exit_code(error)),
    }


# A bad command line sends nothing; of an error of the system nobody knows.
_NOTHING_KNOWN: Mapping[str, object] = FoxError("", submitted="unknown").as_dict()


def video_as_json(video: Video, files: Sequence[Path]) -> dict[str, object]:
    """Return a completed task and its files as ``--json`` prints them."""
    return video.as_dict() | {"files": [str(file) for file in files]}
