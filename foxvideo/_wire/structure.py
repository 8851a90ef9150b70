"""Decoded JSON to the values of ``state.py``, whatever shape it came in.

Everything may be missing, null, of another type, or a number that makes no sense, and is then read as *not told*:
https://docs.foxapi.cc/pages/en/api-manual/task-management/get-task-detail
"""

import functools
import math
import sys
from collections.abc import Mapping
from typing import TypeGuard

from foxvideo.state import LINK_KEYS, Result, Status, TaskProblem, TaskState, Usage, moment

_LONGEST_ID = 200
_MOST_INTEGER = 2**63 - 1  # what SQL, and most languages, can hold

# The four words of the current page and `cancelled` of an older one. The rest is what the gateway said before:
# https://docs.aihubmax.com
STATUSES: Mapping[str, Status] = {status.value: status for status in Status if status is not Status.UNKNOWN} | {
    "canceled": Status.CANCELLED,
    "queued": Status.PENDING,
    "pendding": Status.PENDING,
    "running": Status.PROCESSING,
    "error": Status.FAILED,
}


def text(value: object) -> str | None:
    """Read a text; a whole number counts as one, since ids and codes come as both."""
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def number(value: object) -> float | None:
    """Read a finite number that is not negative and fits SQL, also from a text such as ``"40%"``."""
    if value is None or (type(value) is int and 0 <= value <= _MOST_INTEGER):
        return value  # as nearly every number is
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        read = float(value.strip().removesuffix("%")) if isinstance(value, str) else value
        if read > _MOST_INTEGER:
            read = float(read)
        return read if math.isfinite(read) and read >= 0 else None  # whole ones stay so, small ones cost nothing
    except (ValueError, OverflowError):
        return None


def mapping(value: object) -> dict[str, object]:
    """Read an object; anything else is an empty one."""
    return value if isinstance(value, dict) else {}


def is_task_id(value: object) -> TypeGuard[str]:
    """Whether a value can be a task's id: opaque, but it must fit into the path of a URL and into a line."""
    if not isinstance(value, str) or len(value) > _LONGEST_ID:
        return False
    return value.isprintable() and " " not in value and bool(value.strip("."))


def documented(value: object) -> Status | None:
    """Read a status; None for a word that the service is not known to use, or for no word."""
    return STATUSES.get(value.strip().lower()) if isinstance(value, str) else None


def task_state(reply: Mapping[str, object], task_id: str, body: bytes, *, whole: bool = True) -> TaskState:
    """Return the state that a decoded reply tells of the task with this id.

    Args:
        reply: The reply.
        task_id: The task.
        body: The reply as it came.
        whole: Whether a state keeps that of a task that runs, too.
    """
    get = reply.get
    status, progress, info, usage, problem = map(get, ("status", "progress", "task_info", "usage", "error"))
    progress, known = number(progress), documented(status) or Status.UNKNOWN
    return TaskState(
        id=task_id,
        status=known,
        status_text=_word(status) or Status.UNKNOWN.value,
        progress=None if progress is None else min(progress, 100.0),
        results=_results(reply),
        problem=_problem(problem) if problem else None,
        usage=_usage(usage) if isinstance(usage, dict) else None,
        estimated_time=number(info.get("estimated_time")) if isinstance(info, dict) else None,
        model=_word(get("model")),
        created=moment(number(get("created"))),
        body=body if whole or known.terminal else b"{}",
    )


def _word(value: object) -> str | None:
    """Read a text that is the same for many tasks, so that they share it in memory, too."""
    return sys.intern(word) if (word := text(value)) else None


def _problem(value: object) -> TaskProblem | None:
    if isinstance(value, str) and value:
        return TaskProblem(message=value)
    if not (fields := mapping(value)):
        return None
    return TaskProblem(text(fields.get("code")), text(fields.get("message")) or "")


def _usage(told: Mapping[str, object]) -> Usage | None:
    return _shared(number(told.get("credits_reserved")), text(told.get("user_group"))) if told else None


@functools.lru_cache(maxsize=256)
def _shared(credits_reserved: float | None, user_group: str | None) -> Usage:
    """Return a usage that all tasks with the same one share in memory."""
    return Usage(credits_reserved, user_group)


# --- Results ---------------------------------------------------------------------------------------------------------


def _results(reply: Mapping[str, object]) -> tuple[Result, ...]:
    """Read the results, in the four shapes that were seen, in the order of trust."""
    if not any(map(reply.get, ("results", "result_data", "output"))):
        return ()
    output = mapping(reply.get("output"))
    several = filter(_is_link, _items(output.get("urls")))
    shapes: tuple[list[object], ...] = (
        _items(reply.get("results")),
        _items(reply.get("result_data")),
        [*(output | {"url": url} for url in several)] or [output],
    )
    # An item that says nothing but names a link is a file that is not there yet, beside others that are.
    return next(
        (
            tuple(result for item in shape if (result := _result(item)) and (result.incomplete or _says(item)))
            for shape in shapes
            if any(map(_says, shape))
        ),
        (),
    )


def _items(value: object) -> list[object]:
    if isinstance(value, dict | str):
        return [value]
    return value if isinstance(value, list) else []


def _says(item: object) -> bool:
    """Whether a result says anything at all."""
    if isinstance(item, str):
        return bool(item.strip())
    return any(value not in (None, "", [], {}) for value in mapping(item).values())


def _result(item: object) -> Result | None:
    if isinstance(item, str):
        return Result(item, {"url": item}) if item.strip() else None
    if not (fields := mapping(item)):
        return None
    # The page has `url`; live readers of other kinds of task look for the others. No link is sought under any other
    # name: a speech result has that of its *input*.
    return Result(next(filter(_is_link, map(fields.get, LINK_KEYS)), None), fields)


def _is_link(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value.strip())
