"""What the journal knows of a submit, and what a key may have, as plain values.

What belongs here: the row, the question, and the rule that answers it. What must not: SQL (``sql.py``).
"""

import enum

import attrs

from foxvideo.errors import KeyConflict, Submitted


class RecordStatus(enum.StrEnum):
    """Where a submit stands, as far as the disk knows."""

    PLANNED = "planned"
    SENDING = "sending"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    UNCERTAIN = "uncertain"

    @property
    def submitted(self) -> Submitted:
        """What an error about a key in this state says of money."""
        if self in _NOTHING_MADE or self is RecordStatus.PLANNED:
            return "no"
        return "unknown" if self in {RecordStatus.SENDING, RecordStatus.UNCERTAIN} else "yes"


UNDER_WAY = frozenset({RecordStatus.PLANNED, RecordStatus.SENDING})
OVER = frozenset({RecordStatus.COMPLETED, RecordStatus.FAILED, RecordStatus.CANCELLED})
_LOST = frozenset({RecordStatus.FAILED, RecordStatus.CANCELLED})
_NOTHING_MADE = frozenset({RecordStatus.REFUSED, RecordStatus.WITHDRAWN})


@attrs.frozen(kw_only=True)
class TaskRecord:
    """One attempt under one key.

    Attributes:
        number: Of the row, rising in the order of planning.
        key: The caller's name for the task, or a generated one that begins with ``auto-``.
        attempt: 1 for the first under its key.
        origin: The ``base_url`` that it was sent to.
        fingerprint: Of the request: of what it asks for, and of the content of its local files.
        model: The model that was asked for.
        request: The request as JSON; a local file stands as ``{"sha256": "..."}``.
        token: The idempotency key that goes out with it.
        status: Where it stands.
        owner: The client that will send or is sending it; None where no client is.
        task_id: The task's id; None while there is none.
        credits: Credits reserved; None if not told.
        reply: The last reply that told a state; None before the first.
        error: Why it was refused, failed or is uncertain; None otherwise.
        file: Where its first result was saved last; None if none was.
        saved: How many of its results were saved.
        planned: Unix seconds, as all times here.
        sent: When it last was about to be sent; None if never.
        accepted: When its id came; None if never.
        ended: When its end was heard of; None if not yet.
    """

    number: int
    key: str
    attempt: int
    origin: str
    fingerprint: str = attrs.field(repr=False)
    model: str
    request: str = attrs.field(repr=False)
    token: str = attrs.field(repr=False)
    status: RecordStatus = attrs.field(converter=RecordStatus)
    owner: str | None
    task_id: str | None
    credits: float | None
    reply: bytes | None = attrs.field(repr=False)
    error: str | None
    file: str | None = None
    saved: int = 0
    planned: float
    sent: float | None
    accepted: float | None
    ended: float | None


@attrs.frozen
class Mine:
    """A row that is now the asking client's to send.

    Attributes:
        number: Of the row.
        token: The idempotency key to send.
    """

    number: int
    token: str


@attrs.frozen(kw_only=True)
class Ask:
    """What somebody wants to submit.

    Attributes:
        key: Its name.
        origin: Where it goes.
        fingerprint: As in ``TaskRecord``.
        model: The model.
        request: As in ``TaskRecord``.
        retry_failed: Whether a task that failed is tried anew.
        risk: Whether an uncertain one is, too: the explicit decision to risk paying twice.
    """

    key: str
    origin: str
    fingerprint: str
    model: str
    request: str
    retry_failed: bool = False
    risk: bool = False


class Right(enum.Enum):
    """What one who asks may do with the newest row of a key."""

    TAKE = "send it: nobody does"
    ANEW = "make another attempt"
    NONE = "take it as it is"


def right(row: TaskRecord, ask: Ask) -> Right:
    """Decide what one who asks may do with the newest row of the key, whose owner lives if it has one.

    Raises:
        KeyConflict: The key is another request's, or another origin's.
    """
    if (row.origin, row.fingerprint) != (ask.origin, ask.fingerprint):
        what = f"{row.model} at {row.origin}"
        raise KeyConflict(
            f"the key belongs to another request, for {what}",
            task_id=row.task_id,
            key=row.key,
            submitted=row.status.submitted,
        )
    if row.owner is None and (row.status is RecordStatus.PLANNED or (row.status in _NOTHING_MADE and row.sent is None)):
        return Right.TAKE
    again = row.status in _NOTHING_MADE
    again |= ask.retry_failed and row.status in _LOST
    again |= ask.risk and row.status is RecordStatus.UNCERTAIN
    return Right.ANEW if again else Right.NONE
