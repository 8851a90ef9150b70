"""What the reply to each kind of request says: a value, or an error.

A function answers one question: it is handed an answer and returns what was asked for, or raises what the answer means.
Only a task's ``id`` and ``status`` are counted on; no reply, however broken, raises anything but a ``FoxError``.
"""

import re
from collections.abc import Collection, Mapping
from http import HTTPStatus

from foxvideo._wire.refusal import is_busy, refusal, said
from foxvideo._wire.reply import Answer, NoReply, Reply
from foxvideo._wire.salvage import task_id_in
from foxvideo._wire.structure import STATUSES, documented, is_task_id, mapping, task_state, text
from foxvideo.errors import (
    BadReply,
    Context,
    FoxError,
    InvalidRequest,
    ServiceUnavailable,
    SubmitUncertain,
    TaskNotFound,
    UploadError,
)
from foxvideo.state import Status, TaskState, decoded

# The sets that decide about money. Nothing was made: FoxAPI's own refusals,
# https://docs.foxapi.cc/pages/en/api-manual/task-management/error-codes, and those of any HTTP server that did not take
# the request in, https://www.rfc-editor.org/rfc/rfc9110#section-15.5. Not among them are 408 and 425, which a proxy may
# send after it has passed the request on, and 409, which says that something is there already.
_REFUSED = frozenset({400, 401, 402, 403, 404, 405, 407, 411, 413, 414, 415, 422, 429, 431})
# Moved elsewhere, not acted on: https://www.rfc-editor.org/rfc/rfc9110#section-15.4. After a 302 or a 303 a server may
# well have acted, and sends its client to look at the result.
_MOVED = frozenset({301, 307, 308})
_WEB_URL = re.compile(r"https?://[^/?#\s]+", re.IGNORECASE)
_LONGEST_SHOWN = 200
_ENDING = ("results", "result_data", "output", "error")  # what a task that simply runs on has none of
# By its word as it stands in the reply, the one that all states share and what it means.
_RUNNING = {word: (word, status) for word, status in STATUSES.items() if not status.terminal}


# --- Submissions -----------------------------------------------------------------------------------------------------


def read_submit(answer: Answer, *, trust_refusals: bool) -> TaskState:
    """Return the first state of the task that a submission made: POST /v1/videos/generations.

    Args:
        answer: What came back.
        trust_refusals: Whether 429 and *no channel* are believed to make nothing.

    Raises:
        SubmitUncertain: A task may have been made. It carries the id, where anything of the reply shows one.
        FoxError: It was certainly not made; ``submitted`` is ``"no"``.
    """
    if isinstance(answer, NoReply):
        raise _unanswered(answer)
    if answer.status in _REFUSED | _MOVED:
        raise _refused(answer, trust_refusals=trust_refusals)
    reply = _unwrapped(answer, "id", "task_id")
    # A status that no page has is as good as none: what the service made of the request is then anybody's guess, and
    # the id is on the error for whoever looks it up.
    if answer.ok and documented(reply.get("status")) and (task_id := next(filter(is_task_id, _ids(reply)), None)):
        return task_state(reply, task_id, answer.body)
    raise _uncertain(answer)


def _unanswered(answer: NoReply) -> FoxError:
    if not answer.sent:
        return ServiceUnavailable(f"could not connect: {answer.reason}", submitted="no")
    task_id = task_id_in(answer.body, any_id=False)
    return SubmitUncertain(f"sent, and no reply came: {answer.reason}", submitted="unknown", task_id=task_id)


def _refused(reply: Reply, *, trust_refusals: bool) -> FoxError:
    error = refusal(reply)
    if trust_refusals or not (is_busy(error) or _is_half_a_422(reply)):
        return error
    uncertain = SubmitUncertain(
        f"refused, which may have made a task all the same: {error.what}",
        **said(reply).context(reply),
        submitted="unknown",
    )
    uncertain.__cause__ = error
    return uncertain


def _is_half_a_422(reply: Reply) -> bool:
    """Whether it may be a *no channel* whose code did not arrive."""
    return reply.status == HTTPStatus.UNPROCESSABLE_ENTITY and not reply.complete and said(reply).code is None


def _uncertain(reply: Reply) -> SubmitUncertain:
    body = said(reply)
    fault = "" if reply.complete else "it broke off: "
    what = f"the reply does not say whether a task was made: {fault}{body.message}"
    error = SubmitUncertain(what, **body.context(reply), submitted="unknown")
    # A broken reply may still show the id, and that is worth money.
    return error.name(task_id=task_id_in(reply.body, any_id=reply.ok))


# --- Tasks -----------------------------------------------------------------------------------------------------------


def read_task(answer: Answer, task_id: str, *, whole: bool = True) -> TaskState:
    """Return the state that a poll tells: GET /v1/tasks/{task_id}.

    Args:
        answer: What came back.
        task_id: The task that was polled.
        whole: Whether the state of a task that runs keeps the reply, too; that of one that has ended does.

    Raises:
        TaskNotFound: The service itself says that there is no such task; a page or an empty 404 may come from anybody.
        FoxError: The poll failed; that says nothing about the task.
    """
    if isinstance(answer, Reply) and answer.status == HTTPStatus.NOT_FOUND and mapping(answer.json()):
        body = said(answer)
        raise TaskNotFound(body.message, **body.context(answer), submitted="no")
    reply = _expect(answer)
    found = _unwrapped(reply, "id", "task_id", "status")
    status = found.get("status")
    if not isinstance(status, str) or not status.strip():
        raise _bad(reply, "no status in the reply")
    if found.get("id") != task_id:
        ids = _ids(found)
        if ids and task_id not in ids:
            raise _bad(reply, f"the reply is about {ids[0][:_LONGEST_SHOWN]}")
        if not ids and documented(status) is Status.FAILED:  # as any gateway may say of a request: {"status": "error"}
            raise _bad(reply, "the reply does not name the task that failed")
    return task_state(found, task_id, reply.body, whole=whole)


def read_running(answer: Answer, before: TaskState) -> TaskState | None:
    """Return what ``read_task`` would, without its care, where a poll tells that a task simply runs on.

    Nearly every poll does: it says what the last one said, and perhaps another status or more progress.

    Args:
        answer: What came back.
        before: The state that the task was last seen in, without its reply.

    Returns:
        The state, the very same where nothing is new; None for whatever is to be looked at with care.
    """
    found = answer.json() if isinstance(answer, Reply) and answer.status == HTTPStatus.OK else None
    if not isinstance(found, dict) or found.get("id") != before.id or any(map(found.get, _ENDING)):
        return None
    status, progress = found.get("status"), found.get("progress")
    running = _RUNNING.get(status) if isinstance(status, str) else None
    if running is None or type(progress) is not int or not 0 <= progress <= 100:  # noqa: PLR2004 - per cent
        return None
    usage, info, seen = found.get("usage") or {}, found.get("task_info") or {}, before.usage
    if not isinstance(usage, dict) or not isinstance(info, dict):
        return None
    # The rest is compared as it came with how it was read before: where these are equal, it would be read alike.
    known = (
        seen and seen.credits_reserved,
        seen and seen.user_group,
        before.estimated_time,
        before.created and before.created.timestamp(),
        before.model,
    )
    told = (
        usage.get("credits_reserved"),
        usage.get("user_group"),
        info.get("estimated_time"),
        found.get("created"),
        found.get("model"),
    )
    if told != known or bool in map(type, told) or bool(usage) is (seen is None):  # True is equal to 1, and no number
        return None
    same = progress == before.progress and running == (before.status_text, before.status)
    if same and not before.results and before.problem is None and before.body == b"{}":
        return before
    return TaskState(
        id=before.id,
        status_text=running[0],
        status=running[1],
        progress=progress,
        usage=seen,
        estimated_time=before.estimated_time,
        model=before.model,
        created=before.created,
    )


def named_tasks(body: object) -> tuple[str, ...]:
    """Return the ids of tasks that a callback names, whatever it is: JSON in bytes or as text, or decoded already.

    It has the shape of the reply to a poll, and nothing says who sent it.
    """
    if isinstance(body, bytes | bytearray | str):
        try:
            body = decoded(body.encode() if isinstance(body, str) else bytes(body))
        except (ValueError, RecursionError):
            return ()
    outer = dict(body) if isinstance(body, Mapping) else {}
    found = (name for level in (outer, mapping(outer.get("data"))) for name in _ids(level))
    return tuple(dict.fromkeys(filter(is_task_id, found)))


# --- Uploads and lists -----------------------------------------------------------------------------------------------


def read_upload(answer: Answer) -> str:
    """Return the URL of an uploaded file: POST /v1/files/upload/stream.

    Raises:
        UploadError: The service does not take this file: too large, no place left, or not a kind that it knows.
        FoxError: The upload failed.
    """
    try:
        reply = _expect(answer)
    except FoxError as error:
        if _is_untaken(error):
            told: Context = {"http_status": error.http_status, "request_id": error.request_id, "body": error.body}
            raise UploadError(error.what, **told, submitted="no") from None
        raise
    url = _unwrapped(reply, "url").get("url")
    if not isinstance(url, str) or not _WEB_URL.match(url):
        raise _bad(reply, "no URL in the reply")
    return url


def _is_untaken(error: FoxError) -> bool:
    # A 403 in JSON is a full storage: https://docs.foxapi.cc/pages/en/api-manual/file-management/upload-stream
    full = error.http_status == HTTPStatus.FORBIDDEN and isinstance(error.body, dict)
    return full or isinstance(error, InvalidRequest)


def read_models(answer: Answer) -> tuple[str, ...]:
    """Return the ids that the key may call: GET /v1/models.

    Raises:
        FoxError: The request failed.
    """
    rows, _ = read_rows(answer)
    return tuple(name for row in rows if (name := text(mapping(row).get("id"))))


def read_rows(answer: Answer) -> tuple[list[object], dict[str, object]]:
    """Return the list under ``data``, and what is beside it.

    Raises:
        FoxError: The request failed, or there is no list.
    """
    reply = _expect(answer)
    told = mapping(reply.json())
    rows = told.pop("data", None)
    if not isinstance(rows, list):
        raise _bad(reply, "no list in the reply")
    return rows, told


def read_object(answer: Answer, *, names: Collection[str] = ()) -> dict[str, object]:
    """Return the object of a reply, also where it is wrapped in ``data``.

    Args:
        answer: What came back.
        names: What it has at least one of; without names, any object that is not empty will do.

    Raises:
        FoxError: The request failed, or there is no such object.
    """
    reply = _expect(answer)
    told = _unwrapped(reply, *names)
    if not (told.keys() & set(names) if names else told):
        raise _bad(reply, f"none of {', '.join(names)} in the reply" if names else "nothing in the reply")
    return told


# --- Parts -----------------------------------------------------------------------------------------------------------


def _expect(answer: Answer) -> Reply:
    """Return a reply of success that arrived whole, else raise what it means."""
    if isinstance(answer, NoReply):
        raise ServiceUnavailable(answer.reason, submitted="no")
    if not answer.ok:
        raise refusal(answer)
    if not answer.complete:
        raise _bad(answer, "the reply broke off")
    return answer


def _unwrapped(reply: Reply, *names: str) -> dict[str, object]:
    """Return the object of a reply, also where it is wrapped in ``data``: the one that tells the first of the names."""
    outer = mapping(reply.json())
    if names and outer.get(names[0]) is not None:
        return outer
    levels = (outer, mapping(outer.get("data")))
    return next((level for name in names for level in levels if level.get(name) is not None), outer)


def _ids(reply: Mapping[str, object]) -> list[str]:
    return [found for found in (text(reply.get("id")), text(reply.get("task_id"))) if found]


def _bad(reply: Reply, what: str) -> BadReply:
    body = said(reply)
    return BadReply(f"{what}: {body.message}", **body.context(reply), submitted="no")
