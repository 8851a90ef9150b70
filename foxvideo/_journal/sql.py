"""The verbs of ``store.py`` in SQLite: functions of a transaction.

Each refuses before it writes, so that a refusal undoes nothing. A record's rules are those of ``record.py``; where a
move is one statement, its WHERE clause is the table ``MOVES``.
"""

import os
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs

from foxvideo._journal.limits import Wait
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
    move_of,
    right,
    to_decide,
)
from foxvideo._journal.schema import Transaction, storable
from foxvideo._journal.sql_limits import halt, limits, set_limits, slow_down, take_place
from foxvideo.errors import JournalError
from foxvideo.media import SavedFile

__all__ = ["halt", "limits", "set_limits", "slow_down"]  # verbs, too

_RECORDS = """
    SELECT tasks.*, (SELECT path FROM files WHERE files.task_id = tasks.task_id ORDER BY place LIMIT 1) AS file,
        (SELECT count(*) FROM files WHERE files.task_id = tasks.task_id) AS saved
    FROM tasks
"""
_NOTHING_MADE = "(status IN ('refused', 'withdrawn') OR (status = 'planned' AND owner IS NULL))"
# What a record needs to be forgotten; a comparison with NULL is not true, so what is not known stays.
_MAY_GO = """(
    status IN ('refused', 'withdrawn') AND coalesce(ended, planned) < :before
    OR status = 'planned' AND owner IS NULL AND planned < :before
    OR status IN ('failed', 'cancelled') AND ended < :before
    OR status = 'completed' AND ended < :before AND (
        ended < :dead OR (SELECT count(*) FROM files WHERE files.task_id = tasks.task_id) >= links
    )
    OR status = 'accepted' AND accepted < :before AND accepted < :dead
    OR status = 'uncertain' AND planned < :before AND EXISTS (
        SELECT 1 FROM tasks AS later WHERE later.key = tasks.key AND later.attempt > tasks.attempt
        AND later.status IN ('accepted', 'completed', 'failed', 'cancelled')
    )
)"""


def identity(tx: Transaction) -> str:
    """Return the name of the journal itself."""
    (name,) = tx.run("SELECT identity FROM journal").fetchone()
    return str(name)


# --- Submissions ---


def claim(tx: Transaction, claim: Claim) -> Mine | TaskRecord:
    """Make an attempt under a key the owner's to send, or return the record that stands for the key.

    Raises:
        KeyConflict: The key is another request's, or another origin's.
    """
    record = look(tx, claim.key)
    if record is None:
        return _plan(tx, claim, 1, uuid.uuid4().hex)
    match right(record, claim):
        case Right.READ:
            return record
        case Right.TAKE:
            again = record.status.nothing_made
            take = move_of(record, RecordStatus.PLANNED, owner=tx.owner, now=tx.now) if again else record
            if claim.hand_over:
                take = attrs.evolve(take, follower=tx.owner, handed=claim.handed)
            tx.write(attrs.evolve(take, owner=tx.owner))
            return Mine(record.number, record.token)
    undecided = record.status is RecordStatus.UNCERTAIN
    # The token of an uncertain attempt goes out again: should the service read it, it sees that this is a repeat.
    token = record.token if undecided else uuid.uuid4().hex
    mine = _plan(tx, claim, _last_attempt(tx, record.key) + 1, token)
    return attrs.evolve(mine, before="unknown" if undecided else "no")


def begin(tx: Transaction, claim: Claim, token: str) -> Mine | Wait:
    """Note that the request of a submission under a new key is about to leave.

    Raises:
        LimitReached: The account lets nothing more out.
    """
    if (wait := take_place(tx, claim.account, claim.kind)) is not None:
        return wait
    return _plan(tx, claim, 1, token, RecordStatus.SENDING)


def _plan(tx: Transaction, claim: Claim, attempt: int, token: str, status: RecordStatus = RecordStatus.PLANNED) -> Mine:
    columns: dict[str, object] = {
        "key": claim.key,
        "attempt": attempt,
        "origin": claim.origin,
        "account": claim.account,
        "kind": claim.kind,
        "fingerprint": claim.fingerprint,
        "model": claim.model,
        "request": claim.request,
        "token": token,
        "planned": tx.now,
        "follower": tx.owner if claim.hand_over else None,
        "handed": claim.handed,
        "traceparent": claim.traceparent,
    }
    return Mine(tx.insert({**columns, **effects_of(status, owner=tx.owner, now=tx.now)}), token)


def _last_attempt(tx: Transaction, key: str) -> int:
    (last,) = tx.run("SELECT max(attempt) FROM tasks WHERE key = ?", key).fetchone()
    return int(last)


def sending(tx: Transaction, number: int) -> bool | Wait:
    """Note that a request is about to leave; False where the record is not the owner's to send any more.

    Raises:
        LimitReached: The account lets nothing more out.
    """
    query = "SELECT account, kind FROM tasks WHERE number = ? AND status = 'planned' AND owner = ?"
    if (found := tx.run(query, number, tx.owner).fetchone()) is None:
        return False
    if (wait := take_place(tx, found["account"], found["kind"])) is not None:
        return wait
    return tx.run("UPDATE tasks SET status = 'sending', sent = ? WHERE number = ?", tx.now, number).rowcount > 0


def move(tx: Transaction, number: int, to: RecordStatus, *, error: str | None, task_id: str | None) -> bool:
    """Change the status of a record along ``MOVES`` while it is the owner's or nobody's; return whether it moved."""
    if to is RecordStatus.SENDING:  # what is nobody's is nobody's to send
        return sending(tx, number) is True
    sources = ", ".join(f"'{status}'" for status in sorted(SOURCES[to]) if not status.nothing_made)
    condition = f"number = ? AND status IN ({sources}) AND (owner IS NULL OR owner = ?)"
    columns: dict[str, object] = {**effects_of(to, owner=tx.owner, now=tx.now), "error": error}
    if task_id is not None:
        columns["task_id"] = task_id
    elif to is RecordStatus.ACCEPTED:
        condition += " AND task_id IS NOT NULL"
    return tx.update(columns, condition, number, tx.owner)


def accepted(
    tx: Transaction, number: int, *, task_id: str, credits_reserved: float | None, reply: bytes | None
) -> None:
    """Note the id that a reply brought, whoever has the record.

    Raises:
        JournalError: There is no such record.
    """
    try:
        done = _accept(tx, number, task_id, {"credits_reserved": storable(credits_reserved), "reply": reply})
    except Exception:
        if not tx.db.in_transaction:  # the disk has undone everything
            raise
        done = _accept(tx, number, task_id, {})  # whatever else cannot be stored, the id can
    if not done:
        _accept_apart(tx, number, task_id)


def _accept(tx: Transaction, number: int, task_id: str, told: Mapping[str, object]) -> bool:
    effects = effects_of(RecordStatus.ACCEPTED, owner=None, now=tx.now)
    columns = {**effects, "follower": tx.owner, "task_id": task_id, "adopted": False, "error": None, **told}
    again = "status = 'accepted' AND (task_id = ? OR (adopted AND reply IS NULL))"  # a person's word yields to a reply
    return tx.update(columns, f"number = ? AND (status IN ('sending', 'uncertain') OR {again})", number, task_id)


def _accept_apart(tx: Transaction, number: int, task_id: str) -> None:
    """Note an id whose record has come to another end: as one more attempt, since it is worth money, too."""
    record = tx.one(f"{_RECORDS} WHERE number = ?", number)
    if record is None:
        raise JournalError(f"the journal has no record {number}", task_id=task_id, submitted="yes")
    if record.task_id == task_id:  # whose end was heard of meanwhile
        return
    names = (
        *("key", "origin", "account", "kind", "fingerprint", "model", "request"),
        *("token", "planned", "sent", "traceparent"),
    )
    columns = {name: getattr(record, name) for name in names}
    columns |= {"attempt": _last_attempt(tx, record.key) + 1, "task_id": task_id, "follower": tx.owner}
    columns["handed"] = None if record.handed is None else ""
    tx.insert({**columns, **effects_of(RecordStatus.ACCEPTED, owner=None, now=tx.now)})


def ended(tx: Transaction, to: RecordStatus, told: Mapping[str, object], *, task_id: str, error: str | None) -> None:
    """Note how a task ended in every record that has its id, or refresh what is noted there."""
    tx.run(
        """UPDATE tasks SET status = ?, owner = NULL, error = ?, accepted = coalesce(accepted, ?),
        ended = coalesce(ended, ?) WHERE task_id = ? AND status IN ('accepted', 'uncertain', ?)""",
        *(to, error, tx.now, tx.now, task_id, to),
    )
    known = {name: value for name, value in told.items() if value is not None}
    if isinstance(credits_ := storable(known.pop("credits_reserved", None)), int | float):
        # What was reserved once stays so: nobody promises that a task which failed costs nothing.
        before = tx.run("SELECT max(credits_reserved) FROM tasks WHERE task_id = ?", task_id).fetchone()[0]
        known["credits_reserved"] = max(before, credits_) if isinstance(before, int | float) else credits_
    try:
        tx.update({"status": to, **known}, "task_id = ? AND status = ?", task_id, to)
    except Exception:
        if not tx.db.in_transaction:
            raise
        # Else the end is noted, whatever cannot be stored beside it.


# --- What only a person can decide ---


def uncertain(tx: Transaction, key: str, *, origin: str) -> TaskRecord:
    """Return the record that stands for a key, which is uncertain.

    Raises:
        KeyStateError: It is not, there is none, its owner may still hear the reply, or it is another origin's.
    """
    return to_decide(look(tx, key), key, origin)


def adopt(tx: Transaction, key: str, task_id: str, *, origin: str) -> TaskRecord:
    """Note that an uncertain submission made a task, or put the id right that a person gave it before.

    Raises:
        KeyStateError: As in ``uncertain``, or the id is in a record of another key.
    """
    record = to_decide(look(tx, key), key, origin, adopted=True)
    other = tx.run("SELECT key FROM tasks WHERE task_id = ? AND key != ?", task_id, key).fetchone()
    if other is not None:
        raise made_by(other[0], record, task_id)
    if record.status is RecordStatus.UNCERTAIN:
        record = move_of(record, RecordStatus.ACCEPTED, owner=None, now=tx.now, task_id=task_id)
    # Without a follower, so that whoever works follows it.
    return tx.write(attrs.evolve(record, follower=None, task_id=task_id, accepted=tx.now, adopted=True))


# --- Reading ---


def look(tx: Transaction, key: str) -> TaskRecord | None:
    """Return the record that stands for a key, with what its owner's death makes of it; None if there is none.

    That is the newest attempt, but one that made nothing hides no earlier one that did, or may have.
    """
    while True:
        record = tx.one(f"{_RECORDS} WHERE key = ? ORDER BY {_NOTHING_MADE}, attempt DESC LIMIT 1", key)
        if record is None or record.owner is None or tx.lives(record.owner):
            return record
        _bury(tx, record.owner)  # and another attempt may stand for the key then


def records(
    tx: Transaction, *, running: bool, key: str | None, status: RecordStatus | None, limit: int | None
) -> tuple[TaskRecord, ...]:
    """Return records in the order of planning, the newest of them where there is a limit."""
    _bury_the_dead(tx)
    standing = RecordStatus.ACCEPTED if running else status
    # A status stands in the text, so that the index of those that run is used.
    where = "TRUE" if standing is None else f"status = '{standing}'"
    query = f"{_RECORDS} WHERE {where} AND (? IS NULL OR key = ?) ORDER BY number DESC LIMIT ?"
    found = tx.run(query, key, key, -1 if limit is None else limit).fetchall()
    return tuple(TaskRecord(**row) for row in reversed(found))


def follow(
    tx: Transaction,
    origin: str,
    account: str,
    *,
    most: int | None,
    unsaved_since: float | None,
    mine: bool,
    hand_over: bool,
    unsure: bool,  # noqa: ARG001 - what failed was not done
) -> tuple[TaskRecord, ...]:
    """Make the owner the follower of records that no other living client follows, and return them."""
    if hand_over:
        _bury_the_dead(tx)  # which makes ends that are uncertain
    open_ones = """origin = :origin AND account = :account AND (
        status = 'accepted' AND (:mine OR accepted > :young)
        OR status = 'completed' AND ended > :since AND (
            links IS NULL OR (SELECT count(*) FROM files WHERE files.task_id = tasks.task_id) < links)
        OR :hand_over AND NOT :mine AND """
    open_ones += f"{UNHEARD})"
    given = {"origin": origin, "account": account, "me": tx.owner, "mine": mine, "hand_over": hand_over}
    given |= {"since": unsaved_since, "young": tx.now - DEAD_SECONDS}  # nothing is later than NULL
    followers = f"SELECT DISTINCT follower FROM tasks WHERE {open_ones} AND follower != :me"  # noqa: S608 - ours
    for (follower,) in tx.db.execute(followers, given).fetchall():
        if not tx.lives(follower):
            tx.run("UPDATE tasks SET follower = NULL WHERE follower = ?", follower)
    query = (
        f"{_RECORDS} WHERE {open_ones} AND (follower IS NULL OR :mine AND follower = :me) ORDER BY number LIMIT :most"
    )
    found = tx.db.execute(query, given | {"most": -1 if most is None else most}).fetchall()
    tx.db.executemany("UPDATE tasks SET follower = ? WHERE number = ?", [(tx.owner, row["number"]) for row in found])
    if hand_over:
        asked = "UPDATE tasks SET handed = '' WHERE number = ? AND status = 'accepted' AND handed IS NULL"
        tx.db.executemany(asked, [(row["number"],) for row in found])
    return tuple(attrs.evolve(TaskRecord(**row), follower=tx.owner) for row in found)


def handed(tx: Transaction, to: RecordStatus, *, number: int | None, task_id: str | None) -> None:
    """Note as what end a record was handed over."""
    which = "number = ?" if task_id is None else "task_id = ?"
    tx.run(f"UPDATE tasks SET handed = ? WHERE {which} AND handed IS NOT NULL", to, task_id or number)  # noqa: S608 - ours


def unfollow(tx: Transaction, task_id: str) -> None:
    """Let another client follow a task that the owner follows."""
    tx.run("UPDATE tasks SET follower = NULL WHERE task_id = ? AND follower = ?", task_id, tx.owner)


def _bury_the_dead(tx: Transaction) -> None:
    for (owner,) in tx.run("SELECT DISTINCT owner FROM tasks WHERE owner IS NOT NULL").fetchall():
        if not tx.lives(owner):
            _bury(tx, owner)


def _bury(tx: Transaction, owner: str) -> None:
    """Take its records from a dead owner: what was planned is free, what was being sent is uncertain."""
    uncertain = effects_of(RecordStatus.UNCERTAIN, owner=None, now=tx.now)
    tx.update({**uncertain, "error": DIED}, "owner = ? AND status = 'sending'", owner)
    tx.update({"owner": None}, "owner = ?", owner)


# --- Forgetting ---


def forget(tx: Transaction, before: float) -> int:
    """Delete what was settled before a time and can be neither fetched nor decided; return how many records that were.

    The attempts under a key go together or not at all, or an earlier one would stand for the key again.
    """
    _bury_the_dead(tx)
    stay = f"SELECT key FROM tasks WHERE {_MAY_GO} IS NOT TRUE OR {UNHEARD}"  # noqa: S608 - ours
    times = {"before": before, "dead": tx.now - DEAD_SECONDS}
    gone = tx.db.execute(f"SELECT number, task_id FROM tasks WHERE key NOT IN ({stay})", times).fetchall()  # noqa: S608 - ours
    tx.db.executemany("DELETE FROM tasks WHERE number = ?", [(number,) for number, _ in gone])
    tx.db.executemany("DELETE FROM files WHERE task_id = ?", [(task_id,) for _, task_id in gone if task_id])
    known = "SELECT task_id FROM tasks WHERE task_id IS NOT NULL"
    tx.run(f"DELETE FROM files WHERE saved < ? AND task_id NOT IN ({known})", before)  # noqa: S608 - our text
    tx.run("DELETE FROM uploads WHERE uploaded < ?", before)
    return len(gone)


# --- Files, uploads, durations ---


def saved(tx: Transaction, task_id: str, place: int, file: SavedFile) -> None:
    """Note where a result of a task was saved; a name that is no text is kept as its bytes."""
    name = str(file.path)
    path = name if storable(name) == name else os.fsencode(name)
    values = (task_id, place, path, file.size, file.sha256, tx.now)
    tx.run("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", *values)


def files(tx: Transaction, task_id: str) -> Mapping[int, SavedFile]:
    """Return what was saved of a task, by the number of the result."""
    found = tx.run("SELECT place, path, size, sha256 FROM files WHERE task_id = ?", task_id).fetchall()
    return {place: SavedFile(Path(os.fsdecode(path)), size, sha256) for place, path, size, sha256 in found}


def uploaded(tx: Transaction, sha256: str, origin: str, url: str) -> None:
    """Note under which URL a content was uploaded, and drop what the service has dropped."""
    tx.run("DELETE FROM uploads WHERE uploaded < ?", tx.now - UPLOAD_SECONDS)
    tx.run("INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?)", sha256, origin, url, tx.now)


def upload(tx: Transaction, sha256: str, origin: str, since: float) -> str | None:
    """Return the URL of a content that was uploaded after a time; None if there is none."""
    query = "SELECT url FROM uploads WHERE sha256 = ? AND origin = ? AND uploaded > ?"
    found = tx.run(query, sha256, origin, since).fetchone()
    return None if found is None else found[0]


def forget_uploads(tx: Transaction, names: Iterable[str]) -> None:
    """Forget uploads that the service may not find any more, by their URLs or by their contents."""
    for name in names:
        tx.run("DELETE FROM uploads WHERE ? IN (url, sha256)", name)


def learn(tx: Transaction, model: str, record: str) -> None:
    """Note how a task of a model went, and drop the oldest of such notes."""
    tx.run("INSERT INTO durations (model, record, ended) VALUES (?, ?, ?)", model, record, tx.now)
    tx.run("DELETE FROM durations WHERE number <= (SELECT max(number) FROM durations) - ?", MOST_LESSONS)


def learned(tx: Transaction, most: int) -> tuple[str, ...]:
    """Return the newest notes, the oldest of them first."""
    query = "SELECT record FROM durations ORDER BY number DESC LIMIT ?"
    return tuple(record for (record,) in tx.run(query, most).fetchall()[::-1])
