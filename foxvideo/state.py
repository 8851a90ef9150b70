"""What the service says about a task, as frozen values.

``client.look`` returns a ``TaskState``, ``async for state in task`` yields one for each change, and ``task.state`` is
the newest. Statuses that the service invents later arrive as ``Status.UNKNOWN``, with its own word in ``status_text``;
such a task is polled on.

The state of *this* side, such as a deadline that has passed, is not here: it is an error of the handle
(``foxvideo.errors``).
"""

import datetime as dt
import enum
import json
from collections.abc import Mapping

import attrs

__all__ = ["Result", "Status", "TaskProblem", "TaskState", "Usage"]

LINK_SECONDS = 24 * 3600.0
"""How long the link of a result lives; the page that says so does not say from when on:
https://docs.foxapi.cc/pages/en/api-manual/task-management/get-task-detail"""
LINK_KEYS = ("url", "video_url", "audio_url", "image_url")
"""Under which keys a result has its link, the most trusted first."""
_EMPTY: tuple[object, ...] = (None, [], {})


class Status(enum.StrEnum):
    """Where a task stands: https://docs.foxapi.cc/pages/en/api-manual/task-management/get-task-detail.

    Attributes:
        PENDING: It waits for its turn.
        PROCESSING: It runs.
        COMPLETED: It has ended, and made something.
        FAILED: It has ended, and made nothing.
        CANCELLED: It was cancelled; in an older page of the documentation only.
        UNKNOWN: Any word that foxvideo does not know. The task counts as running, and ``TaskState.status_text`` has
            the word.
    """

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def terminal(self) -> bool:
        """Whether the task has ended: completed, failed or cancelled."""
        return self in _TERMINAL


_TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})


@attrs.frozen
class Result:
    """One thing that a task made.

    Attributes:
        url: Where the video, picture or sound lies; None for a result that is no file, such as a voice.
        fields: Every key that the service sent for it, unknown ones included: ``seed``, ``voice_id``, ...
    """

    url: str | None
    fields: Mapping[str, object] = attrs.field(factory=dict, hash=False, repr=False)

    @property
    def incomplete(self) -> bool:
        """Whether it names a link and has none: the file is not there yet."""
        named = [self.fields[key] for key in (*LINK_KEYS, "urls") if key in self.fields]
        return self.url is None and bool(named) and all(map(_is_empty, named))


@attrs.frozen
class TaskProblem:
    """Why a task failed, in the service's words.

    Attributes:
        code: A word of an open set, such as ``generation_failed``; None if not given.
        message: A sentence; empty if not given.
    """

    code: str | None = None
    message: str = ""


@attrs.frozen
class Usage:
    """What the service says about money.

    Attributes:
        credits_reserved: Credits reserved at submit, not the final cost; the unit is not documented. None if
            not told.
        user_group: The price group of the key; None if not told.
    """

    credits_reserved: float | None = None
    user_group: str | None = None


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class TaskState:
    """One snapshot of a task.

    Attributes:
        id: The task's id, opaque.
        status: One of the known statuses.
        status_text: The service's own word for it.
        progress: Per cent, 0 to 100, as told: it may stand still or step back. None if not told.
        results: What the task made so far; empty until it is completed.
        problem: Why it failed; None if it has not, or gave no reason.
        usage: What was reserved for it; None if not told.
        estimated_time: Seconds from submit to the end as the service guesses; None if not told.
        model: The model really used, which may differ from the one asked for; None if not told.
        created: When the task was made; None if not told.
        body: The reply as JSON, in bytes; ``raw`` is it as a dictionary. ``{}`` while the task runs.
    """

    id: str
    status: Status
    status_text: str
    progress: float | None = None
    results: tuple[Result, ...] = ()
    problem: TaskProblem | None = None
    usage: Usage | None = None
    estimated_time: float | None = None
    model: str | None = None
    created: dt.datetime | None = None
    # As bytes, and kept by a handle only once the task has ended: a hundred thousand may be pending.
    body: bytes = b"{}"

    def __repr__(self) -> str:
        progress = "" if self.progress is None else f" {self.progress:g} %"
        problem = f": {self.problem.code or self.problem.message[:60]}" if self.problem else ""
        return f"<TaskState {self.id} {self.status_text}{progress}{problem}>"

    @property
    def raw(self) -> Mapping[str, object]:
        """The whole reply, decoded afresh at each call; empty in ``VideoTask.state`` while the task runs."""
        reply = decoded(self.body)
        return reply if isinstance(reply, dict) else {}

    @property
    def credits_reserved(self) -> float | None:
        """Credits reserved at submit; None if not told."""
        return self.usage.credits_reserved if self.usage else None

    @property
    def urls(self) -> tuple[str, ...]:
        """The links of the results, each once, in their order."""
        return links(self.results)

    def as_dict(self) -> dict[str, object]:
        """Return the state as JSON has it, with times in ISO 8601; what was not told is None."""
        return {
            "schema": 1,
            "id": self.id,
            "model": self.model,
            "status": self.status.value,
            "status_text": self.status_text,
            "progress": self.progress,
            "urls": list(self.urls),
            "results": [dict(result.fields) for result in self.results],
            "problem": attrs.asdict(self.problem) if self.problem else None,
            "credits_reserved": self.credits_reserved,
            "estimated_time": self.estimated_time,
            "created": shown(self.created),
        }


@attrs.frozen(kw_only=True)
class Stats:
    """What a client is doing, in numbers: ``client.stats()``.

    Attributes:
        waiting: Tasks that are not sent yet.
        sending: Submissions that have left and have no reply yet.
        running: Tasks that the service has accepted and that are followed.
        left: Tasks that may exist and are not followed any more: uncertain, timed out, abandoned.
        requests: Requests that are in flight, at most ``max_requests``.
        saving: Videos that are being saved.
        uploads: Uploads that are remembered, so that the same content is not uploaded again; 10,000 at most.
        silent_for: Seconds since the service last answered a poll; None while it answers.
        handing_over: Ends that ``on_end`` has not returned for yet.
        events_dropped: Events that ``on_event`` was too slow for.
        hook_errors: How often ``on_event`` raised.
    """

    waiting: int
    sending: int
    running: int
    left: int
    requests: int
    saving: int = 0
    uploads: int
    silent_for: float | None
    handing_over: int = 0
    events_dropped: int = 0
    hook_errors: int = 0


def moment(seconds: float | None) -> dt.datetime | None:
    """Return Unix seconds as a time in UTC; None for none, and for a number that is no time."""
    try:
        return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def shown(time: dt.datetime | None) -> str | None:
    """Return a time in ISO 8601, None for none."""
    return None if time is None else time.isoformat()


def decoded(body: bytes) -> object:
    """Return the decoded JSON of a reply, whose whole numbers may have any length.

    Raises:
        ValueError: It is not JSON.
        RecursionError: It is nested too deeply.
    """
    try:
        return json.loads(body)
    except ValueError:  # among other reasons, since Python reads no more than 4,300 digits at once
        return json.loads(body, parse_int=_whole)


def _whole(digits: str) -> float:
    try:
        return int(digits)
    except ValueError:
        return float(digits)  # infinite, most likely


def _is_empty(value: object) -> bool:
    return not value.strip() if isinstance(value, str) else value in _EMPTY


def links(results: tuple[Result, ...]) -> tuple[str, ...]:
    """Return the links of results, each once, in their order."""
    return tuple(dict.fromkeys(result.url for result in results if result.url))
