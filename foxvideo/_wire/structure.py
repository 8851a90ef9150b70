"""From decoded JSON to the values of ``state.py``, whatever shape it came in.

What belongs here: lenient readers, the shapes of results, and the one cattrs converter. What must not: HTTP, bytes and
errors (``decode.py``).

Everything may be missing, null, or of another type, and is then read as *not told*. Names:
https://docs.foxapi.cc/pages/en/api-manual/task-management/get-task-detail
"""

import functools
import math
import sys
from collections.abc import Mapping
from typing import TypeGuard

import cattrs
from cattrs.gen import make_dict_structure_fn, override

from foxvideo.state import Result, Status, TaskProblem, TaskState, Usage


def text(value: object, _: object = None) -> str | None:
    """Read a text; a number counts as one, since ids and codes come as both."""
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def _word(value: object, _: object = None) -> str | None:
    """Read a text that is the same for many tasks, so that they share it in memory, too."""
    return sys.intern(word) if (word := text(value)) else None


def number(value: object, _: object = None) -> float | None:
    """Read a finite number that is not negative, also from a text such as ``"40%"``."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        read = float(value.strip().removesuffix("%")) if isinstance(value, str) else value
        return read if math.isfinite(read) and read >= 0 else None  # whole ones stay so, small ones cost nothing
    except (ValueError, OverflowError):
        return None


def _progress(value: object, _: object = None) -> float | None:
    read = number(value)
    return None if read is None else min(read, 100.0)


_STATUSES: Mapping[str, Status] = {status.value: status for status in Status} | {"canceled": Status.CANCELLED}


def _status(value: object, _: object = None) -> Status:
    return _STATUSES.get((text(value) or "").strip().lower(), Status.UNKNOWN)


def mapping(value: object) -> dict[str, object]:
    """Read an object; anything else is an empty one."""
    return value if isinstance(value, dict) else {}


def _items(value: object) -> list[object]:
    if isinstance(value, dict | str):
        return [value]
    return value if isinstance(value, list) else []


def _result(item: object) -> Result | None:
    """Read one result; None for one that says nothing."""
    if isinstance(item, str):
        return Result(item, {"url": item}) if item.strip() else None
    fields = mapping(item)
    if all(value in (None, "", [], {}) for value in fields.values()):
        return None
    # https://docs.foxapi.cc/pages/en/api-manual/task-management/get-task-detail has `url`; live readers of other
    # kinds of task look for the others.
    urls = (fields.get(key) for key in ("url", "video_url", "audio_url", "image_url"))
    return Result(next((url for url in urls if _is_link(url)), None), fields)


def _is_link(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value.strip())


def _results(reply: Mapping[str, object]) -> list[object]:
    """Find the results, in the four shapes that were seen, in the order of trust."""
    if not any(map(reply.get, ("results", "result_data", "output"))):
        return []
    output = mapping(reply.get("output"))
    several = filter(_is_link, _items(output.get("urls")))
    shapes: tuple[list[object], ...] = (
        _items(reply.get("results")),
        _items(reply.get("result_data")),
        [*(output | {"url": url} for url in several)] or [output],
    )
    return next((shape for shape in shapes if any(map(_result, shape))), [])


@functools.lru_cache(maxsize=256)
def _shared(usage: Usage) -> Usage:
    return usage


def _make_converter() -> cattrs.Converter:
    """Return the converter that turns decoded JSON into the values of ``state.py``."""
    converter = cattrs.Converter(detailed_validation=False)  # no reader refuses anything
    converter.register_structure_hook(
        Usage,
        make_dict_structure_fn(
            Usage,
            converter,
            credits_reserved=override(struct_hook=number),
            user_group=override(struct_hook=text),
        ),
    )
    structure_usage = converter.get_structure_hook(Usage)

    def to_usage(value: object) -> Usage | None:
        # The same for many tasks: they share it in memory.
        return _shared(structure_usage(value, Usage)) if mapping(value) else None

    converter.register_structure_hook(
        TaskState,
        make_dict_structure_fn(
            TaskState,
            converter,
            id=override(struct_hook=lambda value, _: value),
            status=override(struct_hook=_status),
            status_text=override(struct_hook=lambda value, _: _word(value) or Status.UNKNOWN.value),
            progress=override(struct_hook=_progress),
            results=override(struct_hook=lambda items, _: tuple(filter(None, map(_result, items)))),
            problem=override(struct_hook=lambda value, _: _problem(value)),
            usage=override(struct_hook=lambda value, _: to_usage(value)),
            estimated_time=override(struct_hook=number),
            model=override(struct_hook=_word),
            created=override(struct_hook=number),
            body=override(struct_hook=lambda value, _: value),
        ),
    )
    return converter


def _problem(value: object) -> TaskProblem | None:
    if isinstance(value, str) and value:
        return TaskProblem(message=value)
    if not (fields := mapping(value)):
        return None
    return TaskProblem(text(fields.get("code")), text(fields.get("message")) or "")


_TO_STATE = _make_converter().get_structure_hook(TaskState)


def task_state(reply: Mapping[str, object], task_id: str, body: bytes) -> TaskState:
    """Return the state that a decoded reply tells of the task with this id; ``body`` is the reply as it came."""
    flat = {
        "id": task_id,
        "status": reply.get("status"),
        "status_text": reply.get("status"),
        "progress": reply.get("progress"),
        "results": _results(reply),
        "problem": reply.get("error"),
        "usage": reply.get("usage"),
        "estimated_time": mapping(reply.get("task_info")).get("estimated_time"),
        "model": reply.get("model"),
        "created": reply.get("created"),
        "body": body,
    }
    state: TaskState = _TO_STATE(flat, TaskState)
    return state
