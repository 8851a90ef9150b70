"""What a client does, as events: for your own metrics, dashboards and traces.

```python
from foxvideo.events import Event, EventKind

seconds: list[float] = []


def on_event(event: Event) -> None:
    if event.kind is EventKind.ENDED and event.seconds is not None:
        seconds.append(event.seconds)


async with Client(on_event=on_event) as observed:
    await observed.generate(shots[0])
print(max(seconds))
```

The log lines of the logger ``foxvideo`` are made from the same events, so what you count and what you read agree; each
record of the log has its event as an attribute of that name. Prompts, links and API keys are in none of them.

## The hook

- **A function is called in a thread of its own**, one event after another, in their order. It may block; nothing waits
  for it. It must not touch the event loop: ``asyncio.AbstractEventLoop.call_soon_threadsafe`` is the way there.
- **A coroutine function is awaited in the client's event loop**, one event at a time.
- A hook that raises harms nothing: the first time is an ERROR in the log, and ``client.stats().hook_errors`` counts
  all.
- A hook that is slow harms nothing: 10,000 events wait for it, what comes then is dropped and counted in
  ``client.stats().events_dropped``. ``close()`` gives it 5 seconds for what waits.

Events are for watching. What has to be done for each task that ends, after a crash too, is for ``Client(on_end=...)``
(``foxvideo.client``).

## Which there are

``EventKind`` lists them. A task that is submitted and made goes through *queued*, *submitted*, *accepted*, *polled* as
often as it takes, and *ended*; those of one task have the same ``number``, and the same ``task_id`` once there is one.
"""

import datetime as dt
import enum
import logging
from collections.abc import Callable

import attrs

__all__ = ["Event", "EventKind", "Hook"]


class EventKind(enum.StrEnum):
    """What happened.

    Attributes:
        QUEUED: ``submit`` or ``generate`` was called for a new task.
        FOLLOWED: A task that was submitted before is followed again, by its id or from the journal.
        HELD: The limits of the account let its submission wait.
        SUBMITTED: Its request leaves; ``attempt`` counts.
        REPEATED: Nothing was made, and it will be sent again in ``seconds``.
        ACCEPTED: It has an id; ``seconds`` is what the reply took.
        POLLED: One poll was answered, or failed; ``seconds`` is the age of the task.
        RECEIVED: A callback of the service lets the client poll it at once.
        JOINED: It is the same task as another one of this client, whose events go on.
        RECALLED: The journal knows how it ended, so nothing is sent.
        ENDED: Waiting for it is over, ``seconds`` after its acceptance. A task that was
            not joined or recalled has this or *uncertain*, once.
        UNCERTAIN: Its submission was lost: a task may have been made.
        SAVED: A result is on the disk, after ``seconds``.
        UNSAVED: Saving a result into ``save_to`` failed.
        HANDED_OVER: ``on_end`` returned for it.
        NOT_HANDED_OVER: ``on_end`` raised, and is called again in ``seconds``; by the next client where they are None.
        LIMITED: A 429: requests of a kind wait ``seconds``.
        SILENT: No poll of any task was answered for ``seconds``.
        ANSWERED: The service answers again.
        UPLOADED: A local file is at the service.
        UNWRITTEN: The journal takes no writes.
        WRITTEN: It takes them again.
        CLOSED: The client was closed, and tasks go on without it.
        UNRETRIEVED: The client was closed, and nobody had asked for the errors of some tasks.
        BROKEN: A defect of foxvideo.
    """

    QUEUED = "queued"
    FOLLOWED = "followed"
    HELD = "held"
    SUBMITTED = "submitted"
    REPEATED = "repeated"
    ACCEPTED = "accepted"
    POLLED = "polled"
    RECEIVED = "received"
    JOINED = "joined"
    RECALLED = "recalled"
    ENDED = "ended"
    UNCERTAIN = "uncertain"
    SAVED = "saved"
    UNSAVED = "unsaved"
    HANDED_OVER = "handed over"
    NOT_HANDED_OVER = "not handed over"
    LIMITED = "limited"
    SILENT = "silent"
    ANSWERED = "answered"
    UPLOADED = "uploaded"
    UNWRITTEN = "unwritten"
    WRITTEN = "written"
    CLOSED = "closed"
    UNRETRIEVED = "unretrieved"
    BROKEN = "broken"


@attrs.frozen(kw_only=True, slots=False)  # without slots it is made in a third of the time
class Event:
    """One thing that happened. What a kind does not tell is None.

    Attributes:
        kind: What happened.
        at: When, in Unix seconds.
        number: The same for all events of one task, as long as this client knows it; an id comes only later.
        task_id: The id of the task; None until it is accepted.
        key: Your key for the task; a generated one without one of yours; None without a journal.
        model: The model that was asked for; empty where only the id is known.
        attempt: How often the submission was sent, this time included.
        request: ``"submit"`` or ``"poll"``: which requests are slowed down.
        status: How a task ended: ``completed``, ``failed``, ``cancelled``, ``nothing made``, or ``going on`` where only
            the wait is over. Of a poll, what the service said; None where the poll failed.
        progress: Per cent, as the service told it.
        error: The class of the error, its code and its HTTP status, in one line.
        why: A few words for people.
        seconds: What ``EventKind`` says of it.
        credits_reserved: Credits that the service reserved for the task.
        size: Bytes of a file.
        count: How many tasks it is about.
        traceparent: The trace under which a task was submitted that is followed again, as W3C writes it:
            https://www.w3.org/TR/trace-context/
    """

    kind: EventKind
    at: float
    number: int | None = None
    task_id: str | None = None
    key: str | None = None
    model: str | None = None
    attempt: int | None = None
    request: str | None = None
    status: str | None = None
    progress: float | None = None
    error: str | None = None
    why: str | None = None
    seconds: float | None = None
    credits_reserved: float | None = None
    size: int | None = None
    count: int | None = None
    traceparent: str | None = None

    def as_dict(self) -> dict[str, object]:
        """Return what is told as JSON has it, with the time in ISO 8601."""
        told = {name: value for name, value in attrs.asdict(self).items() if value is not None}
        at = dt.datetime.fromtimestamp(self.at, dt.UTC).isoformat()
        return {"schema": 1, **told, "kind": self.kind.value, "at": at}


Hook = Callable[[Event], object]
"""Called with each event, a function or a coroutine function: ``Client(on_event=...)``."""

_PLAIN = (logging.DEBUG, "{kind} {task}")
_LINES = {
    EventKind.HELD: (logging.DEBUG, "submission of {model} waits {seconds:.1f} s: {why}"),
    EventKind.REPEATED: (logging.DEBUG, "submission of {model} again in {seconds:.1f} s: {why}"),
    EventKind.ACCEPTED: (logging.INFO, "{kind} {task}"),
    EventKind.POLLED: (logging.DEBUG, "{kind} {task}: {told}"),
    EventKind.ENDED: (logging.INFO, "{how}: {task} after {seconds:.1f} s"),
    EventKind.UNCERTAIN: (logging.WARNING, "uncertain submission of {model}: {why}{named}"),
    EventKind.SAVED: (logging.DEBUG, "saved {size} bytes of {task_id} in {seconds:.1f} s"),
    EventKind.UNSAVED: (logging.WARNING, "not saved: {task_id}: {why}"),
    EventKind.NOT_HANDED_OVER: (logging.ERROR, "on_end is not done with {task}: {why}"),
    EventKind.LIMITED: (logging.WARNING, "429: {request} requests wait {seconds:.1f} s{slower}"),
    EventKind.SILENT: (logging.WARNING, "no answer for {seconds:.0f} s, still trying: {why}"),
    EventKind.ANSWERED: (logging.INFO, "the service answers again"),
    EventKind.UPLOADED: (logging.DEBUG, "uploaded {size} bytes"),
    EventKind.UNWRITTEN: (logging.CRITICAL, "{why}"),
    EventKind.WRITTEN: (logging.WARNING, "the journal can be written again; nothing is missing in it"),
    EventKind.CLOSED: (logging.WARNING, "closed with {count} unfinished: {why}"),
    EventKind.UNRETRIEVED: (logging.WARNING, "{count} failed and their errors were never retrieved: {why}"),
    EventKind.BROKEN: (logging.CRITICAL, "{why}"),
}


def highest(kind: EventKind) -> int:
    """Return the highest level at which events of a kind are logged."""
    return _LINES.get(kind, _PLAIN)[0]


def level(event: Event) -> int:
    """Return the level of the line about an event."""
    match event:
        case Event(kind=EventKind.ENDED, task_id=None):  # what was never sent is of interest for debugging alone
            return logging.DEBUG
        case Event(kind=EventKind.LIMITED, why=None):  # no slower than before: a burst of 429s is one warning
            return logging.DEBUG
    return highest(event.kind)


def line(event: Event) -> str:
    """Return the line about an event."""
    progress = "" if event.progress is None else f" {event.progress:g} %"
    names = [*filter(None, (event.task_id, event.key and f"key {event.key}"))]
    values = attrs.asdict(event) | {
        "kind": event.kind.value,
        "task": f"{event.task_id or 'a submission'} ({event.model or 'model unknown'})",
        "model": event.model or "model unknown",
        "seconds": event.seconds or 0.0,
        "how": event.error.partition(" ")[0] if event.error else event.status,
        "told": event.error or f"{event.status}{progress}",
        "named": f" ({', '.join(names)})" if names else "",
        "slower": f", then {event.why}" if event.why else "",
    }
    return _LINES.get(event.kind, _PLAIN)[1].format_map(values)
