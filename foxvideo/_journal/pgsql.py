"""The verbs of ``store.py`` in PostgreSQL: generators that yield one statement after another and are sent its rows.

Every statement is a transaction of its own, so no client holds one open while it computes or is stopped. What was
decided on rows that another client may have changed meanwhile stands in the WHERE clause once more; where it does not
hold any more, the verb looks again. A statement whose reply was lost is sent again with ``again`` set, and finds its
own first try. The rules are those of ``record.py``; where a move is one statement, its WHERE clause is ``MOVES``.

All times are the database's, since the clocks of machines differ.
"""

import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import attrs

from foxvideo._journal.lease import ALIVE, DURABLE, NOW, Away, GivenUp, Row, Statement, Verb, reap
from foxvideo._journal.limits import Standing, Wait
from foxvideo._journal.pgsql_limits import (
    AGAIN,
    ANY_PLACE,
    UNLIMITED,
    UNLIMITED_RECORD,
    halt,
    let_out,
    limits,
    set_limits,
    slow_down,
    taken,
)
from foxvideo._journal.record import (
    DEAD_SECONDS,
    DIED,
    MOST_LESSONS,
    SOURCES,
    UNHEARD,
    UPLOAD_SECONDS,
    Claim,
    Mine,
    RecordStatus,
    Right,
    TaskRecord,
    effects_of,
    made_by,
    right,
    to_decide,
)
from foxvideo.errors import JournalError
from foxvideo.media import SavedFile

__all__ = ["halt", "limits", "set_limits", "slow_down"]  # verbs, too

VERSION = 3
SCHEMA = Path(__file__).with_name("postgres.sql")

_RECORD = """
    t.number, t.key, t.attempt, t.origin, t.account, t.kind, t.fingerprint, t.model, t.request, t.token, t.status,
    t.owner, t.follower, t.task_id, t.adopted, t.credits_reserved, t.reply, t.error, t.links, t.planned, t.sent,
    t.accepted, t.ended, t.handed, t.traceparent,
    (SELECT path FROM foxvideo.files f WHERE f.task_id = t.task_id ORDER BY place LIMIT 1) AS file,
    (SELECT count(*) FROM foxvideo.files f WHERE f.task_id = t.task_id) AS saved"""
_NOTHING_MADE = "(t.status IN ('refused', 'withdrawn') OR (t.status = 'planned' AND t.owner IS NULL))"
_LOST = "it was not sent, since the database went away"
_LOOKS = 100  # at a key that others change; each time one of them was quicker
# Whether it was taken from this client as *uncertain*, under whatever name it was sent.
_TAKEN = f"(t.status = 'uncertain' AND t.error = '{DIED}' AND t.sender = ANY(%(names)s))"
_LAST = "NOT EXISTS (SELECT 1 FROM foxvideo.tasks later WHERE later.key = t.key AND later.attempt > t.attempt)"
# Whether a record is as the first try of the same statement left it, or as the death of its owner did since, under a
# name that this client had: nothing has left for it then, and nobody has decided anything.
_FIRST_TRY = f"""(
    %(again)s AND t.task_id IS NULL AND (t.owner IS NULL OR t.owner = ANY(%(names)s))
    AND (t.status != 'uncertain' OR {_TAKEN}) AND {_LAST}
)"""
_UNHEARD = UNHEARD.replace("handed", "t.handed", 1).replace("status", "t.status")
# What a record needs to be forgotten; a comparison with NULL is not true, so what is not known stays.
_MAY_GO = f"""(
    t.status IN ('refused', 'withdrawn') AND coalesce(t.ended, t.planned) < %(before)s
    OR t.status = 'planned' AND t.owner IS NULL AND t.planned < %(before)s
    OR t.status IN ('failed', 'cancelled') AND t.ended < %(before)s
    OR t.status = 'completed' AND t.ended < %(before)s AND (
        t.ended < {NOW} - {DEAD_SECONDS}
        OR (SELECT count(*) FROM foxvideo.files f WHERE f.task_id = t.task_id) >= t.links
    )
    OR t.status = 'accepted' AND t.accepted < %(before)s AND t.accepted < {NOW} - {DEAD_SECONDS}
    OR t.status = 'uncertain' AND t.planned < %(before)s AND EXISTS (
        SELECT 1 FROM foxvideo.tasks AS later WHERE later.key = t.key AND later.attempt > t.attempt
        AND later.status IN ('accepted', 'completed', 'failed', 'cancelled')
    )
)"""


class _Now(float):
    """A time that the database fills in."""


_AT = _Now()


def _changes(columns: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """Return the SET clause of a change, and what it is given; the names are ours."""
    names = ", ".join(f"{name} = {NOW if isinstance(to, _Now) else f'%(set_{name})s'}" for name, to in columns.items())
    return names, {f"set_{name}": to for name, to in columns.items() if not isinstance(to, _Now)}


def identity() -> Verb[str]:
    """Return the name of the journal itself."""
    (found,) = yield "SELECT identity FROM foxvideo.journal", {}
    return str(found["identity"])


_ACCEPTED_APART = f"""
    WITH {DURABLE}, had AS (SELECT * FROM foxvideo.tasks WHERE number = %(number)s),
    known AS (
        SELECT had.number FROM had JOIN foxvideo.tasks t ON t.key = had.key WHERE t.task_id = %(task_id)s
    ),
    made AS (
        INSERT INTO foxvideo.tasks
        (key, attempt, origin, account, kind, fingerprint, model, request, token, status, follower, task_id, planned,
            sent, accepted, handed, traceparent)
        SELECT key, (SELECT max(attempt) + 1 FROM foxvideo.tasks t WHERE t.key = had.key), origin, account, kind,
            fingerprint, model, request, token, 'accepted', %(me)s, %(task_id)s, planned, sent, {NOW},
            CASE WHEN handed IS NOT NULL THEN '' END, traceparent
        FROM had, durable WHERE durable.it = 'on' AND NOT EXISTS (SELECT 1 FROM known)
        ON CONFLICT (key, attempt) DO NOTHING RETURNING number
    )
    SELECT number FROM made UNION ALL SELECT number FROM known
"""

# --- Submissions ---


def claim(claim: Claim) -> Verb[Mine | TaskRecord]:
    """Make an attempt under a key the owner's to send, or return the record that stands for the key.

    Raises:
        KeyConflict: The key is another request's, another origin's, or another account's.
        JournalError: This client was taken for dead, and is about to be a new owner.
    """
    token = uuid.uuid4().hex
    for _ in range(_LOOKS):
        found = yield from _standing(claim.key)
        record = _record(found) if found else None
        if found is None or record is None:
            mine = yield from _plan(claim, 1, token)
        elif record.token == token and record.status.under_way:  # the reply to the first try was lost
            return Mine(record.number, token)
        else:
            match right(record, claim):
                case Right.READ:
                    return record
                case Right.TAKE:
                    mine = yield from _take(record, claim)
                case _:
                    # The token of an uncertain attempt goes out again: the service may see that this is a repeat.
                    undecided = record.status is RecordStatus.UNCERTAIN
                    again = record.token if undecided else token
                    mine = yield from _plan(claim, found["last"] + 1, again, after=record)
                    mine = mine and attrs.evolve(mine, before="unknown" if undecided else "no")
        if mine is not None:
            return mine
    raise _silent()


def _silent() -> JournalError:
    return JournalError("this client was not heard of for too long", submitted="no", hint="submit it again")


def _plan(
    claim: Claim,
    attempt: int,
    token: str,
    *,
    after: TaskRecord | None = None,
    status: RecordStatus = RecordStatus.PLANNED,
    place: Statement = ANY_PLACE,
) -> Verb[Mine | None]:
    """Make a record, if nobody has made that attempt, and the record after which it comes still stands as it did.

    Where it is about to leave, it takes a place, as ``taken`` says; what the first try of the statement made has one.
    """
    names = ("key", "origin", "account", "kind", "fingerprint", "model", "request", "handed", "traceparent")
    free, values = place
    given = {name: getattr(claim, name) for name in names}
    sent = status is RecordStatus.SENDING
    before = "SELECT 0 AS number"
    if after is not None:
        before = "SELECT number FROM foxvideo.tasks WHERE number = %(after)s AND status = %(stood)s FOR SHARE"
    statement = (
        f"""WITH {DURABLE}, {ALIVE}, {free}, before AS MATERIALIZED ({before})
        INSERT INTO foxvideo.tasks AS t
            (key, attempt, origin, account, kind, fingerprint, model, request, token, status, owner, sender, planned,
            sent, follower, handed, traceparent)
        SELECT %(key)s, %(attempt)s, %(origin)s, %(account)s, %(kind)s, %(fingerprint)s, %(model)s, %(request)s,
            %(token)s, %(status)s, me.id, {"me.id" if sent else "NULL"}, me.at, {"me.at" if sent else "NULL"},
            {"me.id" if claim.hand_over else "NULL"}, %(handed)s, %(traceparent)s
        FROM me CROSS JOIN durable CROSS JOIN before LEFT JOIN free ON true WHERE durable.it = 'on' AND (
            free.it OR %(again)s AND EXISTS (SELECT 1 FROM foxvideo.tasks WHERE key = %(key)s AND attempt = %(attempt)s)
        )
        ON CONFLICT (key, attempt) DO UPDATE
            SET status = excluded.status, owner = excluded.owner, sender = excluded.sender, error = NULL,
                follower = excluded.follower
            WHERE t.token = excluded.token AND {_FIRST_TRY} AND (t.status = excluded.status OR t.status = 'uncertain')
        RETURNING number""",
        given
        | dict(values)
        | {"attempt": attempt, "token": token, "status": status}
        | ({} if after is None else {"after": after.number, "stood": after.status}),
    )
    made = {"key": claim.key, "attempt": attempt, "stood": status}
    found = yield from _or_give_back(statement, "t.key = %(key)s AND t.attempt = %(attempt)s", made)
    return Mine(found[0]["number"], token) if found else None


def _or_give_back(statement: Statement, which: str, made: Mapping[str, object]) -> Verb[Sequence[Row]]:
    """Ask for a record; where that fails and may have been carried out, the record is withdrawn later.

    Nothing leaves for a claim that failed, so the record must not stand in anybody's way, or become uncertain.

    Args:
        statement: Asks for it.
        which: The condition that finds the record.
        made: The values in that condition, and as ``stood`` the status that the statement gives to the record.
    """
    try:
        return (yield statement)
    except Away as away:
        if not away.sent:
            raise
        changes, to = _changes({**effects_of(RecordStatus.WITHDRAWN, owner=None, now=_AT), "error": _LOST})
        undo = f"""WITH {DURABLE} UPDATE foxvideo.tasks t SET {changes} FROM durable
            WHERE durable.it = 'on' AND {which} AND t.task_id IS NULL
            AND (t.status = %(stood)s AND t.owner = ANY(%(names)s) OR {_TAKEN} AND {_LAST}) RETURNING number"""
        raise GivenUp((undo, {**made, **to})) from away.__cause__


def _take(record: TaskRecord, claim: Claim) -> Verb[Mine | None]:
    """Make a record that was never sent, and is nobody's, the owner's to send."""
    statement = (
        f"""WITH {DURABLE}, {ALIVE}
        UPDATE foxvideo.tasks SET status = 'planned', owner = me.id, error = NULL, ended = NULL
            {", follower = me.id, handed = ''" if claim.hand_over else ""} FROM me, durable
        WHERE number = %(number)s AND durable.it = 'on' AND sent IS NOT DISTINCT FROM %(sent)s
        AND (owner IS NULL OR (owner = ANY(%(names)s) AND %(again)s)) AND status IN ('planned', 'refused', 'withdrawn')
        RETURNING number""",
        {"number": record.number, "sent": record.sent},
    )
    made = {"number": record.number, "stood": RecordStatus.PLANNED}
    found = yield from _or_give_back(statement, "t.number = %(number)s", made)
    return Mine(record.number, record.token) if found else None


def begin(claim: Claim, token: str) -> Verb[Mine | Wait]:
    """Note that the request of a submission under a new key is about to leave.

    Raises:
        JournalError: This client was taken for dead, and is about to be a new owner.
        LimitReached: The account lets nothing more out.
    """
    place = UNLIMITED
    for _ in range(_LOOKS):
        mine = yield from _plan(claim, 1, token, status=RecordStatus.SENDING, place=place)
        if mine is not None:
            return mine
        match (yield from let_out(claim.account, claim.kind)):
            case None:
                raise _silent()
            case Wait() as wait:
                return wait
            case Standing() as after:
                place = taken(claim.account, after)
    return AGAIN


def sending(number: int) -> Verb[bool | Wait]:
    """Note that a request is about to leave; False where the record is not the owner's to send any more.

    Raises:
        LimitReached: The account lets nothing more out.
    """
    found = yield _sending(number, UNLIMITED_RECORD)
    for _ in range(_LOOKS):
        if found:
            return True
        query = """SELECT account, kind FROM foxvideo.tasks
            WHERE number = %(number)s AND status = 'planned' AND owner = %(me)s"""
        if not (mine := (yield query, {"number": number})):
            return False
        match (yield from let_out(mine[0]["account"], mine[0]["kind"])):
            case None:
                return False
            case Wait() as wait:
                return wait
            case Standing() as after:
                found = yield _sending(number, taken(mine[0]["account"], after))
    return AGAIN


def _sending(number: int, place: Statement) -> Statement:
    free, values = place
    return (
        f"""WITH {DURABLE}, {ALIVE}, {free}
        UPDATE foxvideo.tasks t SET status = 'sending', owner = me.id, sender = me.id, sent = {NOW}, error = NULL
        FROM me CROSS JOIN durable LEFT JOIN free ON true WHERE t.number = %(number)s AND durable.it = 'on'
        AND (t.status = 'planned' AND t.owner = me.id AND free.it OR {_FIRST_TRY}
            AND t.status IN ('sending', 'uncertain') AND t.sender = ANY(%(names)s)) RETURNING t.number""",
        {"number": number, **values},
    )


def move(number: int, to: RecordStatus, *, error: str | None, task_id: str | None) -> Verb[bool]:
    """Change the status of a record along ``MOVES`` while it is the owner's or nobody's; return whether it moved.

    Of one that was taken from it as *uncertain*, its very sender may bear witness that nothing was made.
    """
    if to is RecordStatus.SENDING:  # what is nobody's is nobody's to send
        return (yield from sending(number)) is True
    sources = ", ".join(f"'{status}'" for status in sorted(SOURCES[to]) if not status.nothing_made) or "NULL"
    columns: dict[str, object] = {**effects_of(to, owner=None, now=_AT), "error": error}
    del columns["owner"]
    if task_id is not None:
        columns["task_id"] = task_id
    changes, given = _changes(columns)
    witness = f"OR ({_TAKEN} AND t.task_id IS NULL AND {_LAST})"
    found = yield (
        f"""WITH {DURABLE}
        UPDATE foxvideo.tasks t SET owner = {"%(me)s" if to.under_way else "NULL"}, {changes} FROM durable
        WHERE number = %(number)s AND durable.it = 'on' AND (
            ((t.status IN ({sources}) OR (%(again)s AND t.status = %(set_status)s))
                AND (t.owner IS NULL OR t.owner = ANY(%(names)s)))
            {witness if to in _NOT_MADE else ""}
        ) {"AND t.task_id IS NOT NULL" if to is RecordStatus.ACCEPTED and task_id is None else ""}
        RETURNING number""",
        given | {"number": number},
    )
    return bool(found)


_NOT_MADE = frozenset({RecordStatus.PLANNED, RecordStatus.REFUSED, RecordStatus.WITHDRAWN})


def accepted(number: int, *, task_id: str, credits_reserved: float | None, reply: bytes | None) -> Verb[None]:
    """Note the id that a reply brought, whoever has the record.

    Raises:
        JournalError: There is no such record.
    """
    try:
        found = yield _acceptance(number, task_id, {"credits_reserved": credits_reserved, "reply": reply})
    except Away:
        raise
    except Exception:  # noqa: BLE001 - whatever else cannot be stored, the id can
        found = yield _acceptance(number, task_id, {})
    while not found:  # the record has come to another end: the id is one more attempt, since it is worth money, too
        found = yield _ACCEPTED_APART, {"number": number, "task_id": task_id}
        if not found and not (yield "SELECT 1 AS it FROM foxvideo.tasks WHERE number = %(number)s", {"number": number}):
            raise JournalError(f"the journal has no record {number}", task_id=task_id, submitted="yes")


def _acceptance(number: int, task_id: str, told: Mapping[str, object]) -> Statement:
    known = {"task_id": task_id, "adopted": False, "error": None, **told}
    changes, given = _changes({**effects_of(RecordStatus.ACCEPTED, owner=None, now=_AT), **known})
    changes += ", follower = %(me)s"
    return (
        f"""WITH {DURABLE} UPDATE foxvideo.tasks SET {changes} FROM durable
        WHERE number = %(number)s AND durable.it = 'on' AND (status IN ('sending', 'uncertain')
            OR (status = 'accepted' AND (task_id = %(set_task_id)s OR (adopted AND reply IS NULL))))
        RETURNING number""",
        given | {"number": number},
    )


def ended(to: RecordStatus, told: Mapping[str, object], *, task_id: str, error: str | None) -> Verb[None]:
    """Note how a task ended in every record that has its id, or refresh what is noted there."""
    known = {name: value for name, value in told.items() if value is not None and name != "credits_reserved"}
    try:
        yield _end(to, known, told["credits_reserved"], task_id=task_id, error=error)
    except Away:
        raise
    except Exception:  # noqa: BLE001 - the end is noted, whatever cannot be stored beside it
        yield _end(to, {}, None, task_id=task_id, error=error)


def _end(
    to: RecordStatus, known: Mapping[str, object], credits_: object, *, task_id: str, error: str | None
) -> Statement:
    changes, given = _changes(known)
    # What was reserved once stays so: nobody promises that a task which failed costs nothing.
    return (
        f"""WITH {DURABLE} UPDATE foxvideo.tasks SET {changes}{", " if changes else ""}
            status = %(to)s, owner = NULL, accepted = coalesce(accepted, {NOW}), ended = coalesce(ended, {NOW}),
            error = %(error)s,
            credits_reserved = CASE WHEN %(credits)s::float8 IS NULL THEN credits_reserved ELSE greatest(
                %(credits)s, (SELECT max(t.credits_reserved) FROM foxvideo.tasks t WHERE t.task_id = %(task_id)s)
            ) END
        FROM durable WHERE task_id = %(task_id)s AND durable.it = 'on'
        AND status IN ('accepted', 'uncertain', %(to)s) RETURNING number""",
        given | {"to": to, "task_id": task_id, "error": error, "credits": credits_},
    )


# --- What only a person can decide ---


def uncertain(key: str, *, origin: str) -> Verb[TaskRecord]:
    """Return the record that stands for a key, which is uncertain.

    Raises:
        KeyStateError: It is not, there is none, its owner may still hear the reply, or it is another origin's.
    """
    return to_decide((yield from look(key)), key, origin)


def adopt(key: str, task_id: str, *, origin: str) -> Verb[TaskRecord]:
    """Note that an uncertain submission made a task, or put the id right that a person gave it before.

    Raises:
        KeyStateError: As in ``uncertain``, or the id is in a record of another key.
    """
    while True:
        record = to_decide((yield from look(key)), key, origin, adopted=True)
        other = yield (
            "SELECT key FROM foxvideo.tasks WHERE task_id = %(task_id)s AND key != %(key)s",
            {"task_id": task_id, "key": key},
        )
        if other:
            raise made_by(other[0]["key"], record, task_id)
        found = yield (
            f"""WITH {DURABLE} UPDATE foxvideo.tasks SET status = 'accepted', owner = NULL, error = NULL, ended = NULL,
                task_id = %(task_id)s, accepted = {NOW}, adopted = true, follower = NULL -- whoever works follows it
            FROM durable WHERE number = %(number)s AND status = %(status)s AND durable.it = 'on'
            AND reply IS NOT DISTINCT FROM %(reply)s RETURNING number""",
            {"number": record.number, "status": record.status, "task_id": task_id, "reply": record.reply},
        )
        if found:
            made = yield from look(key)
            assert made is not None  # noqa: S101 - for the type checker: it was changed just now
            return made


# --- Reading ---


def look(key: str) -> Verb[TaskRecord | None]:
    """Return the record that stands for a key, with what its owner's death makes of it; None if there is none.

    That is the newest attempt, but one that made nothing hides no earlier one that did, or may have.
    """
    found = yield from _standing(key)
    return _record(found) if found else None


def _standing(key: str) -> Verb[Row | None]:
    query = f"""SELECT {_RECORD}, max(t.attempt) OVER () AS last, t.owner IS NULL OR EXISTS (
            SELECT 1 FROM foxvideo.owners o WHERE o.id = t.owner AND o.until > clock_timestamp()
        ) AS lives FROM foxvideo.tasks t WHERE t.key = %(key)s ORDER BY {_NOTHING_MADE}, t.attempt DESC LIMIT 1"""
    found = yield query, {"key": key}
    if found and not found[0]["lives"] and (yield from reap()):
        found = yield query, {"key": key}  # and another attempt may stand for the key now
    return found[0] if found else None


def _record(row: Row) -> TaskRecord:
    return TaskRecord(**{name: value for name, value in row.items() if name not in {"lives", "last", "taker"}})


def records(
    *, running: bool, key: str | None, status: RecordStatus | None, limit: int | None
) -> Verb[tuple[TaskRecord, ...]]:
    """Return records in the order of planning, the newest of them where there is a limit."""
    yield from reap()
    standing = RecordStatus.ACCEPTED if running else status
    conditions = [
        *([] if standing is None else [f"t.status = '{standing}'"]),  # in the text, so that the index is used
        *([] if key is None else ["t.key = %(key)s"]),
    ]
    where, most = " AND ".join(conditions) or "true", {"key": key, "limit": limit}
    query = f"SELECT {_RECORD} FROM foxvideo.tasks t WHERE {where} ORDER BY t.number DESC LIMIT %(limit)s"
    found = yield query, most
    return tuple(map(_record, reversed(found)))


# Whose records the client wants that it follows itself: also where it may have become their follower a moment ago, and
# the reply was lost; else it would keep them from all others, and not follow them.
_OWN = "((%(mine)s OR %(again)s) AND t.follower = ANY(%(names)s))"
# The records that a client may take over, found by their followers: a million records have a thousand followers, and
# the index finds each of them in one step. "gone" are those that do not live, and perhaps the client itself.
_FOLLOWERS = f"""
    followers AS (
        (SELECT follower FROM foxvideo.tasks WHERE status = 'accepted' AND follower IS NOT NULL
            ORDER BY follower LIMIT 1)
        UNION ALL
        SELECT (
            SELECT t.follower FROM foxvideo.tasks t WHERE t.status = 'accepted' AND t.follower > before.follower
            ORDER BY t.follower LIMIT 1
        ) FROM followers before WHERE before.follower IS NOT NULL
    ),
    gone AS MATERIALIZED (
        SELECT follower FROM followers t WHERE follower IS NOT NULL AND ({_OWN}
            OR NOT EXISTS (SELECT 1 FROM foxvideo.owners o WHERE o.id = follower AND o.until > clock_timestamp()))
    ),
    candidates AS MATERIALIZED (
        SELECT number FROM foxvideo.tasks WHERE status = 'accepted' AND follower IS NULL
        UNION ALL
        SELECT number FROM foxvideo.tasks
        WHERE status = 'accepted' AND follower = ANY(ARRAY(SELECT follower FROM gone))
        UNION ALL
        SELECT number FROM foxvideo.tasks WHERE status = 'completed' AND ended > %(since)s"""

# All that may be of a first try, and no more than was wanted of what is not.
_LIMIT = """LIMIT CASE WHEN %(again)s THEN greatest(%(most)s, (
    SELECT count(*) FROM foxvideo.tasks own
    WHERE own.number = ANY(ARRAY(SELECT number FROM candidates)) AND own.follower = ANY(%(names)s)
)) ELSE %(most)s END"""


def follow(
    origin: str,
    account: str,
    *,
    most: int | None,
    unsaved_since: float | None,
    mine: bool,
    hand_over: bool,
    unsure: bool,
) -> Verb[tuple[TaskRecord, ...]]:
    """Make the owner the follower of records that no other living client follows, and return them."""
    ends = hand_over and not mine
    if ends:
        yield from reap()  # which makes ends that are uncertain
    given = {"origin": origin, "account": account, "most": most, "since": unsaved_since, "mine": mine}
    if unsure:
        given["again"] = True
    asked = ", handed = CASE WHEN t.status = 'accepted' THEN coalesce(t.handed, '') ELSE t.handed END"
    found = yield (
        f"""WITH RECURSIVE {DURABLE}, {ALIVE}, {_FOLLOWERS}
            {f"UNION ALL SELECT number FROM foxvideo.tasks WHERE {UNHEARD}" if ends else ""}), free AS MATERIALIZED (
            SELECT t.number FROM foxvideo.tasks t
            WHERE t.number = ANY(ARRAY(SELECT number FROM candidates))
            AND t.origin = %(origin)s AND t.account = %(account)s AND (
                t.status = 'accepted' AND (%(mine)s OR t.accepted > {NOW} - {DEAD_SECONDS})
                OR t.status = 'completed' AND t.ended > %(since)s AND (t.links IS NULL OR
                    (SELECT count(*) FROM foxvideo.files f WHERE f.task_id = t.task_id) < t.links)
                {f"OR {_UNHEARD}" if ends else ""}
            ) AND (t.follower IS NULL OR {_OWN} OR NOT EXISTS (
                SELECT 1 FROM foxvideo.owners o WHERE o.id = t.follower AND o.until > clock_timestamp()
            )) ORDER BY (%(again)s AND t.follower = ANY(%(names)s)) IS NOT TRUE, t.number
            {_LIMIT if most is not None else ""} FOR UPDATE SKIP LOCKED
        ), taken AS (
            UPDATE foxvideo.tasks t SET follower = me.id {asked if hand_over else ""} FROM me, free, durable
            WHERE t.number = free.number AND durable.it = 'on' RETURNING t.number, t.follower AS taker
        )
        SELECT {_RECORD}, taken.taker FROM foxvideo.tasks t JOIN taken ON taken.number = t.number ORDER BY t.number""",
        given,
    )
    return tuple(attrs.evolve(_record(row), follower=row["taker"]) for row in found)


def handed(to: RecordStatus, *, number: int | None, task_id: str | None) -> Verb[None]:
    """Note as what end a record was handed over."""
    which = "number = %(number)s" if task_id is None else "task_id = %(task_id)s"
    yield (
        f"UPDATE foxvideo.tasks SET handed = %(to)s WHERE {which} AND handed IS NOT NULL RETURNING number",
        {"to": to, "number": number, "task_id": task_id},
    )


def unfollow(task_id: str) -> Verb[None]:
    """Let another client follow a task that the owner follows."""
    yield (
        """UPDATE foxvideo.tasks SET follower = NULL WHERE task_id = %(task_id)s AND follower = ANY(%(names)s)
        RETURNING number""",
        {"task_id": task_id},
    )


# --- Forgetting ---


def forget(before: float) -> Verb[int]:
    """Delete what was settled before a time and can be neither fetched nor decided; return how many records that were.

    The attempts under a key go together or not at all, or an earlier one would stand for the key again.
    """
    yield from reap()
    found = yield (
        f"""WITH gone AS (
            DELETE FROM foxvideo.tasks d WHERE NOT EXISTS (
                SELECT 1 FROM foxvideo.tasks t WHERE t.key = d.key AND ({_MAY_GO} IS NOT TRUE OR {_UNHEARD})
            ) RETURNING task_id
        ), files AS (
            DELETE FROM foxvideo.files f WHERE f.task_id IN (SELECT task_id FROM gone) OR (
                f.saved < %(before)s AND NOT EXISTS (SELECT 1 FROM foxvideo.tasks t WHERE t.task_id = f.task_id)
            )
        ), uploads AS (DELETE FROM foxvideo.uploads WHERE uploaded < %(before)s)
        SELECT count(*) AS gone FROM gone""",
        {"before": before},
    )
    return int(found[0]["gone"])


# --- Files, uploads, durations ---


def saved(task_id: str, place: int, file: SavedFile) -> Verb[None]:
    """Note where a result of a task was saved."""
    yield (
        f"""INSERT INTO foxvideo.files VALUES (%(task_id)s, %(place)s, %(path)s, %(size)s, %(sha256)s, {NOW})
        ON CONFLICT (task_id, place) DO UPDATE SET path = excluded.path, size = excluded.size, sha256 = excluded.sha256,
            saved = excluded.saved RETURNING place""",
        {
            "task_id": task_id,
            "place": place,
            "path": os.fsencode(file.path),
            "size": file.size,
            "sha256": file.sha256,
        },
    )


def files(task_id: str) -> Verb[Mapping[int, SavedFile]]:
    """Return what was saved of a task, by the number of the result."""
    query = "SELECT place, path, size, sha256 FROM foxvideo.files WHERE task_id = %(task_id)s"
    found = yield query, {"task_id": task_id}
    return {row["place"]: SavedFile(Path(os.fsdecode(row["path"])), row["size"], row["sha256"]) for row in found}


def uploaded(sha256: str, origin: str, url: str) -> Verb[None]:
    """Note under which URL a content was uploaded, and drop what the service has dropped."""
    yield (
        f"""WITH old AS (DELETE FROM foxvideo.uploads WHERE uploaded < {NOW} - {UPLOAD_SECONDS}
            AND (sha256, origin) IS DISTINCT FROM (%(sha256)s, %(origin)s))
        INSERT INTO foxvideo.uploads VALUES (%(sha256)s, %(origin)s, %(url)s, {NOW})
        ON CONFLICT (sha256, origin) DO UPDATE SET url = excluded.url, uploaded = excluded.uploaded RETURNING sha256""",
        {"sha256": sha256, "origin": origin, "url": url},
    )


def upload(sha256: str, origin: str, since: float) -> Verb[str | None]:
    """Return the URL of a content that was uploaded after a time; None if there is none."""
    query = (
        "SELECT url FROM foxvideo.uploads WHERE sha256 = %(sha256)s AND origin = %(origin)s AND uploaded > %(since)s"
    )
    found = yield query, {"sha256": sha256, "origin": origin, "since": since}
    return found[0]["url"] if found else None


def forget_uploads(names: Iterable[str]) -> Verb[None]:
    """Forget uploads that the service may not find any more, by their URLs or by their contents."""
    query = "DELETE FROM foxvideo.uploads WHERE url = ANY(%(gone)s) OR sha256 = ANY(%(gone)s) RETURNING sha256"
    yield query, {"gone": list(names)}


def learn(model: str, record: str) -> Verb[None]:
    """Note how a task of a model went, and drop the oldest of such notes."""
    yield (
        f"""WITH old AS (DELETE FROM foxvideo.durations WHERE number <= (
            SELECT max(number) FROM foxvideo.durations) + 1 - {MOST_LESSONS})
        INSERT INTO foxvideo.durations (model, record, ended) VALUES (%(model)s, %(record)s, {NOW})
        RETURNING number""",
        {"model": model, "record": record},
    )


def learned(most: int) -> Verb[tuple[str, ...]]:
    """Return the newest notes, the oldest of them first."""
    found = yield "SELECT record FROM foxvideo.durations ORDER BY number DESC LIMIT %(most)s", {"most": most}
    return tuple(row["record"] for row in reversed(found))
