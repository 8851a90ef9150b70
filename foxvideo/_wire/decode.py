"""Between values and bytes: requests become JSON, replies become values or errors.

What belongs here: what a status, its headers and its body mean, with the page it comes from. What must not: the
shape of a task in JSON (``structure.py``), sockets (``_http.py``), and whether to try again (``verdict.py``).

Only a task's ``id`` and ``status`` are counted on. Everything else may be missing, null, or of another type, and
is then read as *not told*; no reply, however broken, raises anything but a ``FoxError``.
"""

import datetime as dt
import email.utils
import json
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus

import attrs

from foxvideo._wire.structure import mapping, task_state, text
from foxvideo.errors import (
    AuthenticationError,
    BadReply,
    Context,
    FoxError,
    InsufficientCredits,
    InvalidRequest,
    ModelUnavailable,
    RateLimited,
    ServiceUnavailable,
    SubmitUncertain,
    TaskNotFound,
    UploadError,
)
from foxvideo.requests.generic import VideoRequest, fields_of
from foxvideo.requests.validation import is_local, is_web_url
from foxvideo.state import TaskState

_SNIPPET = 200  # characters of an unreadable body that an error keeps
_MOST_SECONDS = 120.0  # no Retry-After holds us longer
_MOST_LEVELS = 64  # of a reply; the longest sample has 6, and Python itself gives up at some hundreds
_LONGEST_ID = 200


@attrs.frozen
class Reply:
    """One HTTP reply, as it arrived.

    Attributes:
        status: The HTTP status.
        headers: A mapping that does not mind upper and lower case.
        body: The bytes, decompressed.
        complete: False where the connection broke in the middle of the body, or the body was longer than a reply
            of FoxAPI can be.
        received: Wall clock at arrival, Unix seconds; a date in Retry-After is measured against it.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes
    complete: bool = True
    received: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the status is one of success."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


@attrs.frozen
class NoReply:
    """A request that got no reply.

    Attributes:
        sent: Whether the service may have received it: False only where that is certain.
        reason: What happened, in words.
        cause: The exception that told, to chain from.
    """

    sent: bool
    reason: str
    cause: BaseException | None = attrs.field(default=None, repr=False)


Answer = Reply | NoReply


# --- Requests --------------------------------------------------------------------------------------------------


def encode(request: VideoRequest, links: Mapping[int, object]) -> bytes:
    """Return the JSON body of a submit.

    Args:
        request: A request that passed ``requests.check``.
        links: What stands for each local file, by the ``id()`` that ``requests.media_of`` gave it: its URL.
    """

    def sendable(value: object) -> object:
        if is_local(value):
            return links[id(value)]
        if isinstance(value, Mapping):
            return {name: sendable(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [sendable(item) for item in value]
        return value

    body = {name: sendable(value) for name, value in fields_of(request).items()} | {"model": request.model}
    return json.dumps(body, allow_nan=False, sort_keys=True).encode()


def is_task_id(text: object) -> bool:
    """Whether a text can be a task's id: opaque, but it must fit into the path of a URL and into a line."""
    if not isinstance(text, str) or len(text) > _LONGEST_ID:
        return False
    return text.isprintable() and " " not in text and bool(text.strip("."))


# --- What a reply says -----------------------------------------------------------------------------------------


def _decoded(reply: Reply) -> object:
    """Decode the JSON; None where it is none, or nested so deeply that working with it could fail."""
    if not reply.complete:
        return None
    try:
        value: object = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    # What has few brackets is not deep, and that is every reply of a task that is well.
    few = reply.body.count(b"{") + reply.body.count(b"[") <= _MOST_LEVELS
    return value if few or _is_shallow(value, _MOST_LEVELS) else None


def _is_shallow(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    items = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_shallow(item, levels - 1) for item in items)


def _snippet(reply: Reply) -> str:
    return " ".join(reply.body[: 4 * _SNIPPET].decode(errors="replace").split())[:_SNIPPET]


def retry_after(reply: Reply) -> float | None:
    """Return the seconds that Retry-After asks for, 0 to 120; None if it is absent or makes no sense.

    Both forms of https://www.rfc-editor.org/rfc/rfc9110#field.retry-after are read.
    """
    value = reply.headers.get("Retry-After", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = _unix_time(value) - reply.received
        except (ValueError, OverflowError):
            return None
    return min(seconds, _MOST_SECONDS) if seconds >= 0 else None  # NaN compares as False


def _unix_time(date: str) -> float:
    moment = email.utils.parsedate_to_datetime(date)
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()


@attrs.frozen
class _Refusal:
    """What an error body says: https://docs.foxapi.cc/pages/en/api-manual/task-management/error-codes."""

    message: str
    code: str | None
    kind: str | None
    decoded: object
    request_id: str | None

    @classmethod
    def of(cls, reply: Reply) -> "_Refusal":
        decoded = _decoded(reply)
        outer = mapping(decoded)
        error = outer.get("error")
        inner = mapping(error)
        detail = outer.get("detail")
        texts = (
            inner.get("message"),
            error if isinstance(error, str) else None,
            outer.get("message"),
            detail if isinstance(detail, str) or not detail else json.dumps(detail, ensure_ascii=False),
            _snippet(reply),
        )
        message = next((text for text in map(text, texts) if text), "an empty body")
        named = re.search(r"request[_ ]id:\s*([\w.-]+)", message)
        return cls(
            message=" ".join(message.split())[: 2 * _SNIPPET],
            code=text(inner.get("code")) or text(outer.get("code")),
            kind=text(inner.get("type")),
            decoded=_snippet(reply) if decoded is None else decoded,
            request_id=reply.headers.get("x-request-id") or (named[1] if named else None),
        )

    def context(self, reply: Reply) -> Context:
        return {"http_status": reply.status, "request_id": self.request_id, "body": self.decoded}


_NO_CHANNEL = frozenset({"model_not_found", "no_compatible_channel", "no_available_model"})


def refusal(reply: Reply, doing: str) -> FoxError:  # noqa: PLR0911 - a table, a row each
    """Return the error that a reply other than the wanted one means.

    Args:
        reply: The reply.
        doing: What was asked, to begin the sentence with: ``"submit"``.
    """
    said = _Refusal.of(reply)
    what, context = f"{doing}: {said.message}", said.context(reply)
    match reply.status:
        case 400 | 422:
            if said.code in _NO_CHANNEL or said.kind == "service_unavailable_error":
                return ModelUnavailable(what, code=said.code, **context, submitted="no")
            return InvalidRequest(what, code=said.code, **context, submitted="no")
        case 401:
            return AuthenticationError(what, **context, submitted="no")
        case 402:
            return InsufficientCredits(what, **context, submitted="no")
        case 403:
            return _forbidden(reply, what, context)
        case 413:
            return InvalidRequest(
                f"{doing}: the body is too large: {said.message}", code=said.code, **context, submitted="no"
            )
        case 429:
            return RateLimited(what, retry_after=retry_after(reply), **context, submitted="no")
        case status if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            target = reply.headers.get("Location", "nowhere")[:_SNIPPET]
            return BadReply(
                f"{doing}: redirected to {target}, which is not followed: is base_url right?", **context, submitted="no"
            )
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return ServiceUnavailable(what, **context, submitted="no")
    return BadReply(what, **context, submitted="no")


_OTHER_CLIENT = re.compile(rb"error[ -]code\W+1010\b", re.IGNORECASE)  # Cloudflare, as text or as a page


def _forbidden(reply: Reply, what: str, context: Context) -> FoxError:
    if _OTHER_CLIENT.search(reply.body):
        return AuthenticationError(
            f"{what}: Cloudflare refuses this User-Agent, pass another as Client(user_agent=...)",
            **context,
            submitted="no",
        )
    if isinstance(context["body"], dict):
        return AuthenticationError(what, **context, submitted="no")
    return BadReply(what, **context, submitted="no")


# Nothing was made: FoxAPI's own refusals and those of any HTTP server that did not take the request in.
_REFUSED = frozenset({400, 401, 402, 403, 404, 405, 407, 411, 413, 414, 415, 422, 429, 431})
# Moved elsewhere, not acted on. After a 302 or a 303 a server may well have acted.
_MOVED = frozenset({301, 307, 308})


def read_submit(answer: Answer) -> TaskState:
    """Return the first state of the task that a submit made.

    Raises:
        SubmitUncertain: A task may have been made.
        FoxError: It was certainly not made; ``submitted`` is ``"no"``.
    """
    if isinstance(answer, NoReply):
        if answer.sent:
            raise SubmitUncertain(f"submit: {answer.reason}", submitted="unknown") from answer.cause
        raise ServiceUnavailable(f"submit: could not connect: {answer.reason}", submitted="no") from answer.cause
    if answer.status in _REFUSED | _MOVED:
        raise refusal(answer, "submit")
    reply = _unwrapped(answer, "id", "task_id")
    if answer.ok and (task_id := next(filter(is_task_id, _ids(reply)), None)):
        return task_state(reply, task_id, answer.body)
    raise _uncertain(answer)


def _ids(reply: Mapping[str, object]) -> Iterator[str]:
    return filter(None, map(text, (reply.get("id"), reply.get("task_id"))))


def _uncertain(reply: Reply) -> SubmitUncertain:
    said = _Refusal.of(reply)
    cut = "" if reply.complete else "the reply was cut: "
    error = SubmitUncertain(f"submit: {cut}{said.message}", **said.context(reply), submitted="unknown")
    error.submitted = "unknown"
    # A reply that was cut may still show the id, and that is worth money.
    if seen := re.search(rb'"(?:task_)?id"\s*:\s*"(task-[\w.-]{1,190})"', reply.body):
        error.task_id = seen[1].decode()
    return error


def _unwrapped(reply: Reply, *names: str) -> dict[str, object]:
    """Return the object of a reply, also where it is wrapped in ``data``: the one that tells the first of the names."""
    outer = mapping(_decoded(reply))
    levels = (outer, mapping(outer.get("data")))
    return next((level for name in names for level in levels if level.get(name) is not None), outer)


def read_task(answer: Answer, task_id: str) -> TaskState:
    """Return the state that a task query tells: GET /v1/tasks/{task_id}.

    Raises:
        FoxError: The query failed; that says nothing about the task.
    """
    if isinstance(answer, Reply) and answer.status == HTTPStatus.NOT_FOUND and mapping(_decoded(answer)):
        said = _Refusal.of(answer)
        raise TaskNotFound(f"task query: {said.message}", **said.context(answer), submitted="no")
    reply = _expect(answer, "task query")
    found = _unwrapped(reply, "id", "task_id", "status")
    status = found.get("status")
    if not isinstance(status, str) or not status.strip():
        raise _bad(reply, "task query: no status in the reply")
    if (named := list(_ids(found))) and task_id not in named:
        raise _bad(reply, f"task query: the reply is about {named[0][:_LONGEST_ID]}")
    return task_state(found, task_id, reply.body)


def read_upload(answer: Answer) -> str:
    """Return the URL of an uploaded file: POST /v1/files/upload/stream.

    Raises:
        UploadError: The service does not take this file: too large, no place left, or not a kind that it knows.
        FoxError: The upload failed.
    """
    try:
        reply = _expect(answer, "upload")
    except FoxError as error:
        if _is_untaken(error):
            told: Context = {"http_status": error.http_status, "request_id": error.request_id, "body": error.body}
            raise UploadError(error.what, **told, submitted="no") from None
        raise
    url = _unwrapped(reply, "url").get("url")
    if not isinstance(url, str) or not is_web_url(url):
        raise _bad(reply, "upload: no URL in the reply")
    return url


def _is_untaken(error: FoxError) -> bool:
    # A 403 in JSON is a full storage: https://docs.foxapi.cc/pages/en/api-manual/file-management/upload-stream
    full = error.http_status == HTTPStatus.FORBIDDEN and isinstance(error.body, dict)
    return full or isinstance(error, InvalidRequest)


def read_models(answer: Answer) -> tuple[str, ...]:
    """Return the ids that the key may call: GET /v1/models.

    Raises:
        FoxError: The query failed.
    """
    rows, _ = read_rows(answer, "models")
    return tuple(name for row in rows if (name := text(mapping(row).get("id"))))


def read_rows(answer: Answer, doing: str) -> tuple[list[object], dict[str, object]]:
    """Return the list under ``data``, and what is beside it.

    Raises:
        FoxError: The query failed, or there is no list.
    """
    reply = _expect(answer, doing)
    told = mapping(_decoded(reply))
    rows = told.pop("data", None)
    if not isinstance(rows, list):
        raise _bad(reply, f"{doing}: no list in the reply")
    return rows, told


def read_object(answer: Answer, doing: str, *names: str) -> dict[str, object]:
    """Return the object of a reply, also where it is wrapped in ``data``: the one that has one of these names.

    Raises:
        FoxError: The query failed, or no object has one of the names. Without names, any that is not empty will do.
    """
    reply = _expect(answer, doing)
    told = _unwrapped(reply, *names)
    if not (told.keys() & names if names else told):
        raise _bad(reply, f"{doing}: nothing of it in the reply")
    return told


def _expect(answer: Answer, doing: str) -> Reply:
    """Return a reply of success that arrived whole, else raise what it means."""
    if isinstance(answer, NoReply):
        raise ServiceUnavailable(f"{doing}: {answer.reason}", submitted="no") from answer.cause
    if answer.ok and answer.complete:
        return answer
    if answer.ok:
        raise _bad(answer, f"{doing}: the reply was cut")
    raise refusal(answer, doing)


def _bad(reply: Reply, what: str) -> BadReply:
    said = _Refusal.of(reply)
    return BadReply(f"{what}: {said.message}", **said.context(reply), submitted="no")
