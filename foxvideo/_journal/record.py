"""What the journal knows of a submission, what may become of it, and what a key may have, as plain values.

The whole life of a record, which ``MOVES`` has as a table::

    planned ─┬─> sending ─┬─> accepted ─┬─> completed
             │            │             ├─> failed
             │            │             └─> cancelled
             │            ├─> uncertain ─┬─> accepted
             │            │              └─> refused
             │            ├─> refused ───> planned
             │            ├─> withdrawn
             │            └─> planned
             └─> withdrawn ───> planned

*Planned*: a client owns it and will send it, or nobody does. *Sending* is on the disk, synced, before the first byte of
the request leaves, so a record that was never *sending* made nothing for certain. From there it goes back to *planned*
where the service turned the request away and it will be sent again; to *refused* or *withdrawn* where nothing was made;
to *accepted* where the reply brought an id; and to *uncertain* where the reply was lost or its owner died. A late reply
or a person settles an *uncertain* record, or a person leaves it as it is and has another attempt made.

*Refused* and *withdrawn* records are *planned* again only if they were never sent; else their key gets a new attempt.
The three ends of an accepted task stay as they are: a newer reply may only refresh them.
"""

import enum
import json
import os
from collections.abc import Iterable, Mapping
from typing import Required, TypedDict

import attrs

from foxvideo.errors import KeyConflict, KeyStateError, Submitted
from foxvideo.state import moment, shown

DEAD_SECONDS = 48 * 3600.0
"""After that nothing is left of a task that could be fetched: links live 24 hours."""
UPLOAD_SECONDS = 72 * 3600.0
"""As long as the service keeps an upload."""
DEFAULT_ACCOUNT = "default"
"""The name of the account where neither the caller nor ``FOXVIDEO_ACCOUNT`` says one."""
MOST_LESSONS = 1000
"""Of the schedule that are kept."""
DIED = "submit: the client that sent it died before the reply"
"""Why a record is uncertain that was taken from a dead owner."""


def account_name(given: str | None) -> str:
    """Return the name of the account: the given one, else that of the environment."""
    return given or os.environ.get("FOXVIDEO_ACCOUNT") or DEFAULT_ACCOUNT


class RecordStatus(enum.StrEnum):
    """Where a submission stands, as far as the disk knows.

    Attributes:
        PLANNED: It will be sent, or was turned away and will be sent again. Nothing was made.
        SENDING: It is being sent, or was when its process died.
        ACCEPTED: The service gave it an id; its task runs.
        COMPLETED: Its task ended with a result.
        FAILED: Its task failed.
        CANCELLED: The service says that its task was cancelled.
        REFUSED: The service refused it. Nothing was made.
        WITHDRAWN: It was taken back before it was sent. Nothing was made.
        UNCERTAIN: It left, and no answer came back: a task may exist, and may have cost money.
    """

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
        if self in {RecordStatus.SENDING, RecordStatus.UNCERTAIN}:
            return "unknown"
        return "no" if self is RecordStatus.PLANNED or self.nothing_made else "yes"

    @property
    def under_way(self) -> bool:
        """Whether a client may own the record, to send it."""
        return self is RecordStatus.PLANNED or self is RecordStatus.SENDING

    @property
    def nothing_made(self) -> bool:
        """Whether the submission ended without a task."""
        return self is RecordStatus.REFUSED or self is RecordStatus.WITHDRAWN

    @property
    def lost(self) -> bool:
        """Whether the task ended without a result."""
        return self is RecordStatus.FAILED or self is RecordStatus.CANCELLED

    @property
    def over(self) -> bool:
        """Whether the task ended, well or not."""
        return self is RecordStatus.COMPLETED or self.lost

    @property
    def decided(self) -> bool:
        """Whether this is an end that is handed over to ``on_end``: an uncertain one is for a person to decide."""
        return self.over or self is RecordStatus.REFUSED or self is RecordStatus.UNCERTAIN


_DECIDED = ", ".join(f"'{status}'" for status in RecordStatus if status.decided)
UNHEARD = f"handed != status AND status IN ({_DECIDED})"
"""``TaskRecord.unheard``, in SQL."""

MOVES: Mapping[RecordStatus, frozenset[RecordStatus]] = {
    RecordStatus.PLANNED: frozenset({RecordStatus.SENDING, RecordStatus.WITHDRAWN}),
    RecordStatus.SENDING: frozenset(
        {
            RecordStatus.PLANNED,
            RecordStatus.ACCEPTED,
            RecordStatus.REFUSED,
            RecordStatus.WITHDRAWN,
            RecordStatus.UNCERTAIN,
        }
    ),
    RecordStatus.UNCERTAIN: frozenset({RecordStatus.ACCEPTED, RecordStatus.REFUSED}),
    RecordStatus.ACCEPTED: frozenset({RecordStatus.COMPLETED, RecordStatus.FAILED, RecordStatus.CANCELLED}),
    RecordStatus.REFUSED: frozenset({RecordStatus.PLANNED}),
    RecordStatus.WITHDRAWN: frozenset({RecordStatus.PLANNED}),
    RecordStatus.COMPLETED: frozenset(),
    RecordStatus.FAILED: frozenset(),
    RecordStatus.CANCELLED: frozenset(),
}

SOURCES: Mapping[RecordStatus, frozenset[RecordStatus]] = {
    to: frozenset(status for status, targets in MOVES.items() if to in targets) for to in RecordStatus
}
"""``MOVES`` the other way round: from where a record may come."""


@attrs.frozen(kw_only=True)
class TaskRecord:
    """One attempt under one key.

    Attributes:
        number: Of the record in its journal, rising in the order of planning.
        key: The caller's name for the task, or a generated one that begins with ``auto-``.
        attempt: 1 for the first under its key.
        origin: The ``base_url`` that it was sent to.
        account: The name of the account that pays, as the client was told it.
        kind: The same for all tasks that should cost the same; None where nothing tells what one costs.
        fingerprint: Of the request: of what it asks for, and of the content of its local files.
        model: The model that was asked for.
        request: The request as JSON; a local file stands as ``{"sha256": "..."}``.
        token: The idempotency key that goes out with it.
        status: Where it stands.
        owner: The client that will send or is sending it; None where no client is.
        follower: The client that waits for its end, or did; None where none does.
        task_id: The task's id; None while there is none.
        adopted: Whether a person gave it its id.
        credits_reserved: Credits that the service reserved; None if not told.
        reply: The last reply that told a state; None before the first.
        error: Why it was refused, failed or is uncertain; None otherwise.
        links: How many results the completed task has; None if it is not completed, or that is not known.
        file: Where its first result was saved last; None if none was.
        saved: How many of its results were saved.
        planned: Unix seconds, as all times here.
        sent: When it last was about to be sent; None if never.
        accepted: When its id came; None if never.
        ended: When its end was first heard of; None if not yet.
        handed: As what end it was handed over to ``on_end`` last, empty before the first; None where nobody asked for
            that.
        traceparent: The trace under which it was submitted, as W3C writes it; None where nobody traced it.
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
    follower: str | None = None
    task_id: str | None
    adopted: bool = attrs.field(default=False, converter=bool)
    credits_reserved: float | None
    reply: bytes | None = attrs.field(repr=False)
    error: str | None
    links: int | None = None
    file: str | None = attrs.field(default=None, converter=attrs.converters.optional(os.fsdecode))
    account: str = DEFAULT_ACCOUNT
    kind: str | None = attrs.field(default=None, repr=False)
    saved: int = 0
    planned: float
    sent: float | None
    accepted: float | None
    ended: float | None
    handed: str | None = attrs.field(default=None, repr=False)
    traceparent: str | None = attrs.field(default=None, repr=False)

    def as_dict(self) -> dict[str, object]:
        """Return the record as JSON has it, with times in ISO 8601; what is not known is None."""
        times = {name: shown(moment(getattr(self, name))) for name in ("planned", "sent", "accepted", "ended")}
        return {
            "schema": 1,
            "task_id": self.task_id,
            "key": self.key,
            "attempt": self.attempt,
            "model": self.model,
            "status": self.status.value,
            "credits_reserved": self.credits_reserved,
            "file": self.file,
            "error": self.error,
            "base_url": self.origin,
            "account": self.account,
            "request": json.loads(self.request),
            **times,
        }

    @property
    def unsaved(self) -> bool:
        """Whether the task is completed and a result of it may not have been saved."""
        return self.status is RecordStatus.COMPLETED and (self.links is None or self.saved < self.links)

    @property
    def unheard(self) -> bool:
        """Whether it has an end that was not handed over to ``on_end``, and somebody asked for that."""
        return self.handed is not None and self.status.decided and self.handed != self.status

    @property
    def unconfirmed(self) -> bool:
        """Whether the id is a person's word that no reply has confirmed, so that it may be put right."""
        return self.status is RecordStatus.ACCEPTED and self.adopted and self.reply is None


def undecided(records: Iterable[TaskRecord]) -> tuple[TaskRecord, ...]:
    """Return the records that are uncertain and wait for a decision: nothing was made since under their keys."""
    standing = {record.key: record for record in records if not record.status.nothing_made}
    return tuple(record for record in standing.values() if record.status is RecordStatus.UNCERTAIN)


class Effects(TypedDict, total=False):
    """What a move sets beside the error and the id."""

    status: Required[RecordStatus]
    owner: Required[str | None]
    sent: float
    accepted: float
    ended: Required[float | None]


def effects_of(to: RecordStatus, *, owner: str | None, now: float) -> Effects:
    """Return what a move sets, wherever the record comes from.

    Args:
        to: Where it goes.
        owner: Who moves it.
        now: Unix seconds.
    """
    ends = to.nothing_made or to.over
    effects = Effects(status=to, owner=owner if to.under_way else None, ended=now if ends else None)
    if to is RecordStatus.SENDING:
        effects["sent"] = now
    elif to is RecordStatus.ACCEPTED:
        effects["accepted"] = now
    return effects


def move_of(
    record: TaskRecord,
    to: RecordStatus,
    *,
    owner: str | None,
    now: float,
    error: str | None = None,
    task_id: str | None = None,
) -> TaskRecord:
    """Return what a record becomes.

    Args:
        record: What it is.
        to: Where it goes.
        owner: Who moves it.
        now: Unix seconds.
        error: Why; None where that needs no reason.
        task_id: Its id; None for the one that it has.

    Raises:
        ValueError: The move is not in ``MOVES``, a record that was sent would be planned once more, or one without an
            id would be accepted.
    """
    sent_before = record.status.nothing_made and record.sent is not None
    has_id = task_id or record.task_id
    if to not in MOVES[record.status] or sent_before or (to is RecordStatus.ACCEPTED and not has_id):
        raise ValueError(f"a record that is {record.status} cannot become {to}")
    return attrs.evolve(record, **effects_of(to, owner=owner, now=now), error=error, task_id=has_id)


@attrs.frozen
class Mine:
    """A record that is now the claiming client's to send.

    Attributes:
        number: Of the record.
        token: The idempotency key to send.
        before: What earlier attempts under the key came to, for errors of this one: ``"unknown"`` while one of them is
            uncertain and undecided, else ``"no"``.
    """

    number: int
    token: str
    before: Submitted = "no"


@attrs.frozen(kw_only=True)
class Claim:
    """What a client wants to submit.

    Attributes:
        key: Its name.
        origin: Where it goes.
        fingerprint: As in ``TaskRecord``.
        model: The model.
        request: As in ``TaskRecord``.
        account: Likewise.
        kind: Likewise.
        hand_over: Whether its end is to be handed over to ``on_end``, by this client or by one that comes after it.
        traceparent: As in ``TaskRecord``.
        retry_failed: Whether a task that failed is tried anew.
        risk: Whether an uncertain one is, too: the explicit decision to risk paying twice.
    """

    key: str
    origin: str
    fingerprint: str
    model: str
    request: str
    account: str = DEFAULT_ACCOUNT
    kind: str | None = None
    hand_over: bool = False
    traceparent: str | None = None
    retry_failed: bool = False
    risk: bool = False

    @property
    def handed(self) -> str | None:
        """What stands in a record that is planned: nothing was handed over yet."""
        return "" if self.hand_over else None


def check_origin(record: TaskRecord, origin: str, account: str) -> None:
    """Make sure that a client may speak of the task of a record.

    Raises:
        KeyConflict: It went to another origin, or is another account's.
    """
    if record.origin != origin:
        raise _conflict(record, f"a task at {record.origin}")
    if record.account != account:
        raise _conflict(record, f"a task of the account {record.account!r}")


def _conflict(record: TaskRecord, whose: str) -> KeyConflict:
    what = f"the key belongs to {whose}"
    return KeyConflict(what, submitted=record.status.submitted, task_id=record.task_id, key=record.key)


class Right(enum.Enum):
    """What a claim gives a client on the record that stands for its key."""

    TAKE = "send this attempt: no client does"
    ANEW = "plan another attempt"
    READ = "take the record as it is"


def right(record: TaskRecord, claim: Claim) -> Right:
    """Decide what a claim gives on the record that stands for its key, whose owner lives if it has one.

    Raises:
        KeyConflict: The key is another request's, another origin's, or another account's.
    """
    check_origin(record, claim.origin, claim.account)
    if record.fingerprint != claim.fingerprint:
        raise _conflict(record, f"another request, for {record.model}")
    unsent = record.status is RecordStatus.PLANNED or (record.status.nothing_made and record.sent is None)
    if record.owner is None and unsent:
        return Right.TAKE
    again = record.status.nothing_made
    again |= claim.retry_failed and record.status.lost
    again |= claim.risk and record.status is RecordStatus.UNCERTAIN
    return Right.ANEW if again else Right.READ


def to_decide(record: TaskRecord | None, key: str, origin: str, *, adopted: bool = False) -> TaskRecord:
    """Return the record that stands for a key, if it is for a person to decide.

    Args:
        record: The record; None where there is none.
        key: The key.
        origin: Where the person's client works.
        adopted: Whether an id that a person gave before may be put right.

    Raises:
        KeyStateError: It is not uncertain, there is none, its owner may still hear the reply, or it is another
            origin's.
    """
    if record is None:
        raise KeyStateError("the submission is not in the journal", key=key, submitted="no")
    if record.status is not RecordStatus.UNCERTAIN and not (adopted and record.unconfirmed):
        what = f"the submission is {record.status}, not uncertain"
    elif record.origin != origin:
        what = f"the submission went to {record.origin}"
    else:
        return record
    raise KeyStateError(what, key=key, task_id=record.task_id, submitted=record.status.submitted)


def made_by(other: str, record: TaskRecord, task_id: str) -> KeyStateError:
    """Return the error that an id is in a record of another key than the one that it was given for."""
    what = f"the task {task_id} was made by the submission {other!r}"
    return KeyStateError(what, key=record.key, submitted=record.status.submitted)
