"""Every error of foxvideo, in one tree; each says what happened to your money and what to do next.

## Three questions

| question | where the answer is |
|---|---|
| What happened? | ``str(error)``: one line |
| Does a task exist, and may it have cost money? | ``error.submitted``: ``"no"``, ``"yes"`` or ``"unknown"`` |
| What do I do now? | ``error.hint``, for somebody who writes Python |

``error.task_id`` and ``error.key`` name the task, and ``error.as_dict()`` is all of it as JSON, for a log or a web
page.

```python
from foxvideo import FoxError, SubmitUncertain

try:
    video = await client.generate(shots[0], key="shot-17")
except SubmitUncertain as error:
    print("look at the console of the account:", error.key)
except FoxError as error:
    print(error, error.submitted, error.hint)
```

## When may I send it again?

Only after ``error.submitted == "no"``. Then nothing was made, for certain: the request was refused, or it never left.
After ``"yes"`` go on with the task that exists: ``client.task(error.task_id)``. After ``"unknown"`` look at the
console of your account first.

With a key you may call ``client.generate`` again after any error: the journal knows what was bought under the key, and
buys it at most once (``foxvideo.client``).

## What the client does by itself

It sends a submission again, four times in all, only where nothing can have been made: the connection did not stand, or
the service refused it with a 429 or with a 422 that says that no channel is free. Between two attempts it waits
longer each time, and at least as long as the service says. A poll, an upload or a download is repeated freely, since it
costs nothing. A task that failed is never bought again.

## The tree

```text
FoxError
├── InvalidRequest        fix the request (a ValueError too)
│   ├── KeyConflict       this key is another request's
│   └── KeyStateError     the key is not in the state that this call needs
├── AuthenticationError   fix the key, or the User-Agent
├── InsufficientCredits   pay
├── LimitReached          raise the limits that your clients share, or go on after a halt
├── ModelUnavailable      choose another model, or wait
├── RateLimited           slow down
├── SubmitUncertain       look before you repeat: a task may exist and may be paid for
├── TaskFailed            read why
│   └── TaskCancelled     the service says that it was cancelled
├── TaskTimeout           resume by id (a TimeoutError too)
├── TaskAbandoned         you gave it up
├── TaskNotFound          not a task of this key
├── ResultsMissing        completed, but there is nothing to fetch
├── ServiceUnavailable    try again later
├── BadReply              the answer did not come from FoxAPI
├── UploadError           a local file could not be uploaded
├── DownloadError         a result could not be saved
│   └── ResultExpired     its link is dead
├── ClientClosed          the client was closed
└── JournalError          the memory on disk cannot be read or written
```

A wrong argument of Python raises ``ValueError`` or ``TypeError``, a file that cannot be written ``OSError``: before
anything is paid for, or with a note that names the task.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, Self, TypedDict, Unpack

import attrs

if TYPE_CHECKING:
    from foxvideo.state import TaskState

__all__ = [
    "AuthenticationError",
    "BadReply",
    "ClientClosed",
    "DownloadError",
    "FieldFault",
    "FoxError",
    "InsufficientCredits",
    "InvalidRequest",
    "JournalError",
    "KeyConflict",
    "KeyStateError",
    "LimitReached",
    "ModelUnavailable",
    "RateLimited",
    "ResultExpired",
    "ResultsMissing",
    "ServiceUnavailable",
    "SubmitUncertain",
    "Submitted",
    "TaskAbandoned",
    "TaskCancelled",
    "TaskFailed",
    "TaskNotFound",
    "TaskTimeout",
    "UploadError",
]

Submitted = Literal["no", "unknown", "yes"]
"""Whether a task exists, and may have cost money."""

_LONGEST = 1000  # characters of a sentence that str() shows; the attribute has them all
_LONGEST_NAME = 200


class Context(TypedDict, total=False):
    """What any error may carry beside its sentence and its word on money."""

    hint: str | None
    task_id: str | None
    key: str | None
    http_status: int | None
    request_id: str | None
    body: object
    credits_reserved: float | None


class FoxError(Exception):
    """Base of all errors of foxvideo; ``str()`` is the fact in one line, ``hint`` is what to do next.

    Attributes:
        what: What happened, in one sentence.
        hint: What to do next, for somebody who writes Python; empty where there is nothing to do.
        submitted: Does a task exist, and may it have cost money? It speaks of the key or the id that the error names,
            not only of this call. ``"no"``: certainly not, a repeat is safe. ``"unknown"``: perhaps. ``"yes"``: it
            does. An error that names a task is never ``"no"``.
        task_id: The id of the task; None while there is none.
        key: The caller's key for the task; None without a journal.
        http_status: The HTTP status of the reply; None where no reply arrived.
        request_id: The service's name for the request, for its support; None if it gave none.
        body: What the server said: the decoded JSON, else a short snippet of text; None without a reply.
        credits_reserved: Credits that the service reserved for the task; None if it did not say.
        advice: The hint of this class of errors, where an error has none of its own.
    """

    advice: ClassVar[str] = ""  # the hint where whoever raises gives none; it says nothing about money

    def __init__(self, what: str, *, submitted: Submitted, **context: Unpack[Context]) -> None:
        super().__init__(what)
        self.what = what
        hint = context.get("hint")
        self.hint: str = self.advice if hint is None else hint
        self.submitted: Submitted = submitted
        self.task_id: str | None = None
        self.key: str | None = None
        self.http_status: int | None = context.get("http_status")
        self.request_id: str | None = context.get("request_id")
        self.body: object = context.get("body")
        self.credits_reserved: float | None = context.get("credits_reserved")
        self.name(task_id=context.get("task_id"), key=context.get("key"))

    def name(self, *, task_id: str | None = None, key: str | None = None, before: Submitted = "no") -> Self:
        """Say which task the error is about, as far as it does not say so itself, and return it.

        Whoever knows the id or the key calls this, so that the word on money can only become more careful.

        Args:
            task_id: The id of the task; None if there is none.
            key: The key of the task; None without a journal.
            before: What earlier attempts under the key came to: an attempt that made nothing does not undo them.
        """
        self.task_id, self.key = self.task_id or task_id, self.key or key
        if self.submitted == "no":
            self.submitted = "yes" if self.task_id else before
        return self

    def __str__(self) -> str:
        facts = (
            self.task_id,
            f"key {self.key}" if self.key else None,
            f"HTTP {self.http_status}" if self.http_status else None,
            f"request {self.request_id}" if self.request_id else None,
        )
        where = ", ".join(_shown(fact, _LONGEST_NAME) for fact in facts if fact)
        return _shown(self.what, _LONGEST) + (f" ({where})" if where else "")

    def as_dict(self) -> dict[str, object]:
        """Return the error as JSON has it; what an error does not carry is None."""
        return {
            "schema": 1,
            "error": type(self).__name__,
            "message": str(self),
            "hint": self.hint,
            "submitted": self.submitted,
            "task_id": self.task_id,
            "key": self.key,
            "http_status": self.http_status,
            "request_id": self.request_id,
            "credits_reserved": self.credits_reserved,
            "code": getattr(self, "code", None),
            "faults": [attrs.asdict(fault) for fault in getattr(self, "faults", ())],
        }

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, dict(self.__dict__))

    def fresh(self) -> Self:
        """Return the error without the traceback of an earlier raise, to raise it once more."""
        return self.with_traceback(None)


def _shown(text: str, most: int) -> str:
    """Return a text that any terminal and log can show: one line, no control characters, no lone surrogates."""
    line = " ".join(text[: 4 * most].split())
    line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)
    return line if len(line) <= most else f"{line[: most - 3]}..."


def _rebuild(kind: type[FoxError], what: str, attributes: Mapping[str, object]) -> FoxError:
    error = kind(what, submitted="unknown")
    error.__dict__.update(attributes)
    return error


@attrs.frozen
class FieldFault:
    """One thing wrong with one field of a request.

    Attributes:
        field: The field's name on the wire, with an index in a list: ``reference_image_urls[2]``.
        value: What was given, as a short repr; None for a missing field.
        allowed: What would be right, in words.
    """

    field: str
    value: str | None
    allowed: str

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.field} is missing: {self.allowed}"
        return f"{self.field}={self.value}: {self.allowed}"


class InvalidRequest(FoxError, ValueError):
    """The request cannot work as it is.

    Attributes:
        faults: All faults found on this side, in the order of the fields; empty where the service refused.
        code: The service's own word (``error.code``); None for a local check.
    """

    advice: ClassVar[str] = "fix the request and submit it again"

    def __init__(
        self,
        what: str,
        *,
        submitted: Submitted,
        faults: tuple[FieldFault, ...] = (),
        code: str | None = None,
        **context: Unpack[Context],
    ) -> None:
        super().__init__(what, submitted=submitted, **context)
        self.faults = faults
        self.code = code


class KeyConflict(InvalidRequest):
    """The key names another request, or the same one for another host, in this journal."""

    advice: ClassVar[str] = "use another key for another request"


class KeyStateError(InvalidRequest):
    """The key is not in the state that this call needs: ``adopt`` and ``resubmit`` are for uncertain submissions.

    It is an error about the call: ``submitted`` tells what the journal knows of the key.
    """

    advice: ClassVar[str] = "client.history() shows what the journal knows of each key"


class AuthenticationError(FoxError):
    """The service does not take this key, or Cloudflare does not take this client."""

    advice: ClassVar[str] = "check the API key (FOXAPI_API_KEY) and base_url"


class InsufficientCredits(FoxError):
    """The balance is too low."""

    advice: ClassVar[str] = "top up the account, then submit again"


class LimitReached(FoxError):
    """The limits that all clients with this journal share let nothing more out, until somebody changes them.

    The budget is used up, or the service refused the account (401, 402) and its submissions were halted.
    """

    advice: ClassVar[str] = "await client.set_limits(...) changes the limits, await client.go_on() ends a halt"


class ModelUnavailable(FoxError):
    """No channel serves this model for this key at the moment.

    Attributes:
        code: ``error.code``, such as ``model_not_found`` or ``no_compatible_channel``; None if not given.
    """

    advice: ClassVar[str] = "await client.models() lists what this key may call"

    def __init__(self, what: str, *, submitted: Submitted, code: str | None = None, **context: Unpack[Context]) -> None:
        super().__init__(what, submitted=submitted, **context)
        self.code = code


class RateLimited(FoxError):
    """The service answered 429 to the last attempt.

    Attributes:
        retry_after: Seconds that the service asked to wait; None if it did not say.
    """

    advice: ClassVar[str] = "lower max_requests or wait, then submit again"

    def __init__(
        self, what: str, *, submitted: Submitted, retry_after: float | None = None, **context: Unpack[Context]
    ) -> None:
        super().__init__(what, submitted=submitted, **context)
        self.retry_after = retry_after


class SubmitUncertain(FoxError):
    """The request left and no usable answer came back: a task may exist, and may be paid for.

    With ``Client(trust_refusals=False)`` a 429 and a 422 *no channel* count as such, too.

    FoxAPI has no list of tasks and no idempotency key, so this cannot be looked up by a program.
    ``task_id`` is set in the rare case that a broken reply still showed it.
    """

    advice: ClassVar[str] = (
        "do not repeat it blindly: look at the console or the balance first; "
        "with a journal, then say client.adopt(key, id) or client.resubmit(key)"
    )


class TaskFailed(FoxError):
    """The task ended without a video. It is never bought again by itself.

    Attributes:
        code: The service's ``error.code``, an open set of words; None if not given.
        message: The service's ``error.message``; empty if not given.
        state: The last state, as the service sent it.
    """

    advice: ClassVar[str] = "a new attempt is a new, paid task"

    def __init__(
        self,
        what: str,
        *,
        submitted: Submitted,
        code: str | None = None,
        message: str = "",
        state: "TaskState | None" = None,
        **context: Unpack[Context],
    ) -> None:
        super().__init__(what, submitted=submitted, **context)
        self.code = code
        self.message = message
        self.state = state


class TaskCancelled(TaskFailed):
    """The service says that the task was cancelled; foxvideo has no way to ask for that."""


class TaskTimeout(FoxError, TimeoutError):
    """The deadline passed on this side; the task may go on, and stays paid for."""

    advice: ClassVar[str] = (
        "do not submit it again where there is an id: await client.task(error.task_id) goes on waiting"
    )


class TaskAbandoned(FoxError):
    """``abandon()`` was called. The service cannot cancel a task that it has accepted."""


class TaskNotFound(FoxError):
    """The service knows no such task for this key, and said so repeatedly."""

    advice: ClassVar[str] = "check the id, and that the key and base_url are those it was submitted with"


class ResultsMissing(FoxError):
    """The task is completed, but the service shows no result."""

    advice: ClassVar[str] = "ask again later with client.task(error.task_id)"


class ServiceUnavailable(FoxError):
    """The service could not be reached or stayed broken."""

    advice: ClassVar[str] = "try again later"


class BadReply(FoxError):
    """The answer is not one that FoxAPI gives: a proxy, a portal, or a wrong base_url."""

    advice: ClassVar[str] = "check base_url and the proxies on the way"


class UploadError(FoxError):
    """A local file could not be uploaded, so the task was not submitted."""

    advice: ClassVar[str] = "check the file, then submit again"


class DownloadError(FoxError):
    """A result could not be saved; the task is complete and its link lives 24 hours."""

    advice: ClassVar[str] = "save again, the video is still on the server"


class ResultExpired(DownloadError):
    """The link to a result is dead, and the task gave no fresh one."""

    advice: ClassVar[str] = "links live 24 hours; a lost one cannot be made anew"


class ClientClosed(FoxError):
    """The client was closed before the task ended."""

    advice: ClassVar[str] = "go on with client.task(error.task_id) in a new client where there is an id"


class JournalError(FoxError):
    """The memory on disk cannot be read or written. What cannot be written down is not sent."""

    advice: ClassVar[str] = "check the file, its folder and the space on its disk"
