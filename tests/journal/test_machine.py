"""Two clients that die and judge each other, and a person: no id is lost, and nothing is bought twice unasked."""

import contextlib
import sqlite3
from collections import Counter
from typing import Any

import attrs
from hypothesis import settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule
from journals import ORIGIN, claiming

from foxvideo import KeyStateError, RecordStatus, TaskRecord
from foxvideo._journal import Mine, schema, sql
from foxvideo._journal.record import MOVES
from foxvideo._journal.schema import Transaction

KEYS = st.sampled_from(["shot-1", "shot-2"])
CLIENTS = st.sampled_from(["one", "other"])
DAY = 24 * 3600.0


@attrs.frozen
class Sent:
    """A request that has left.

    Attributes:
        client: Who sent it.
        record: The number of its record.
        key: Its key.
        task_id: What it made; None if the service refused it.
    """

    client: str
    record: int
    key: str
    task_id: str | None


class Journal(RuleBasedStateMachine):
    """What the engine may do with a journal, and what the world may do to it."""

    mine: Bundle[tuple[str, Mine, str]] = Bundle("mine")
    sent: Bundle[Sent] = Bundle("sent")

    def __init__(self) -> None:
        super().__init__()
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        self.db.row_factory = sqlite3.Row
        schema.prepare(self.db)
        self.now = 0.0
        self.names = {"one": "one-0", "other": "other-0"}
        self.dead: set[str] = set()
        self.permitted: set[int] = set()  # records that somebody risked to pay for once more
        self.bought: dict[int, str] = {}  # records for which a task was made, and their keys
        self.told: dict[str, str] = {}  # ids that a reply brought, and their keys
        self.seen: dict[int, TaskRecord] = {}

    def teardown(self) -> None:
        """Close the database."""
        self.db.close()

    def tx(self, client: str) -> Transaction:
        """Return a transaction of a client, a second later than the last."""
        self.now += 1
        return Transaction(self.db, self.names[client], lambda owner: owner not in self.dead, self.now)

    @rule(target=mine, client=CLIENTS, key=KEYS, leave=st.sampled_from(["", "retry_failed", "risk"]))
    def claim(self, client: str, key: str, leave: str) -> Any:  # noqa: ANN401 - of hypothesis
        """Claim a key, with or without leave to pay once more."""
        before = sql.look(self.tx(client), key)
        found = sql.claim(self.tx(client), claiming(key=key, **({leave: True} if leave else {})))
        if not isinstance(found, Mine):
            return multiple()
        if before is not None and (before.status.lost or before.status is RecordStatus.UNCERTAIN):
            assert leave, "bought once more without leave"
            assert found.before == ("unknown" if before.status is RecordStatus.UNCERTAIN else "no")
            self.permitted.add(found.number)
        return self.names[client], found, key

    @rule(target=sent, mine=consumes(mine), fate=st.sampled_from(["made", "made", "refused"]))
    def send(self, mine: tuple[str, Mine, str], fate: str) -> Any:  # noqa: ANN401 - of hypothesis
        """Let a request leave, if its client lives and may send it; the service makes a task, or refuses."""
        owner, found, key = mine
        client = owner.partition("-")[0]
        if owner in self.dead or not sql.sending(self.tx(client), found.number):
            return multiple()
        assert owner == self.names[client]
        if fate == "made":
            assert found.number not in self.bought, "bought twice"
            assert key not in self.bought.values() or found.number in self.permitted, "bought once more without leave"
            self.bought[found.number] = key
        return Sent(owner, found.number, key, f"task-{self.now:g}" if fate == "made" else None)

    @rule(mine=consumes(mine))
    def withdraw(self, mine: tuple[str, Mine, str]) -> None:
        """Give a claim back."""
        owner, found, _ = mine
        if owner not in self.dead:
            sql.move(self.tx(owner.partition("-")[0]), found.number, RecordStatus.WITHDRAWN, error=None, task_id=None)

    @rule(sent=consumes(sent), end=st.sampled_from(["reply", "reply", "lost", "again"]))
    def hear(self, sent: Sent, end: str) -> None:
        """Hear the reply, if the client still lives; a refusal may come with leave to send again."""
        if sent.client in self.dead:
            return
        tx = self.tx(sent.client.partition("-")[0])
        if end == "lost":
            sql.move(tx, sent.record, RecordStatus.UNCERTAIN, error="lost", task_id=None)
        elif sent.task_id is not None:
            sql.accepted(tx, sent.record, task_id=sent.task_id, credits_reserved=None, reply=b"{}")
            self.told[sent.task_id] = sent.key
        elif end == "again" and sql.move(tx, sent.record, RecordStatus.PLANNED, error=None, task_id=None):
            sql.move(tx, sent.record, RecordStatus.WITHDRAWN, error=None, task_id=None)
        else:
            sql.move(tx, sent.record, RecordStatus.REFUSED, error=None, task_id=None)

    @rule(client=CLIENTS)
    def die(self, client: str) -> None:
        """Let a client die, and start it anew under another name."""
        self.dead.add(self.names[client])
        self.names[client] = f"{client}-{len(self.dead)}"

    @rule(client=CLIENTS, key=KEYS, task_id=st.sampled_from(["task-found", "task-typo"]))
    def adopt(self, client: str, key: str, task_id: str) -> None:
        """Let a person say what an uncertain submission made."""
        with contextlib.suppress(KeyStateError):
            sql.adopt(self.tx(client), key, f"{task_id}-{key}", origin=ORIGIN)

    @rule(client=CLIENTS, key=KEYS, to=st.sampled_from(sorted(MOVES[RecordStatus.ACCEPTED])))
    def end(self, client: str, key: str, to: RecordStatus) -> None:
        """Let the task of a key end."""
        record = sql.look(self.tx(client), key)
        if record is not None and record.task_id is not None:
            told = {"reply": b"{}", "links": 1}
            sql.ended(self.tx(client), to, told, task_id=record.task_id, error=None)

    @rule(client=CLIENTS)
    def look(self, client: str) -> None:
        """Read everything, which judges the dead."""
        sql.records(self.tx(client), running=False, key=None, status=None, limit=None)

    @initialize(client=CLIENTS)
    def begin(self, client: str) -> None:
        """Begin with nothing."""
        assert sql.forget(self.tx(client), self.now) == 0

    @rule(client=CLIENTS, days=st.integers(0, 5))
    def forget(self, client: str, days: int) -> None:
        """Wait some days, and forget what was settled before."""
        before = sql.records(self.tx(client), running=False, key=None, status=None, limit=None)
        self.now += days * DAY
        count = sql.forget(self.tx(client), self.now - DAY)
        after = {record.number for record in self.records()}
        gone = [record for record in before if record.number not in after]
        assert count == len(gone)
        assert not {record.key for record in gone} & {record.key for record in self.records()}
        stood = {record.key: record for record in before if not record.status.nothing_made}
        for record in gone:
            assert stood.get(record.key, record).status is not RecordStatus.UNCERTAIN, "an undecided one was forgotten"
            assert not record.status.under_way or record.owner is None
            assert not record.unsaved or (record.ended or 0.0) < self.now - 2 * DAY
            assert record.status is not RecordStatus.ACCEPTED or (record.accepted or 0.0) < self.now - 2 * DAY
            self.seen.pop(record.number, None)
        forgotten = {record.task_id for record in gone}
        self.told = {task_id: key for task_id, key in self.told.items() if task_id not in forgotten}
        # A key that is forgotten is a new one.
        self.bought = {number: key for number, key in self.bought.items() if number in after}

    def records(self) -> list[TaskRecord]:
        """Return all records as they are."""
        return [TaskRecord(**row) for row in self.db.execute(f"{sql._RECORDS} ORDER BY number").fetchall()]

    @invariant()
    def no_id_is_lost(self) -> None:
        """What a reply brought stands under its key, and nowhere else."""
        known = {record.task_id: record.key for record in self.records() if record.task_id is not None}
        for task_id, key in self.told.items():
            assert known.get(task_id) == key

    @invariant()
    def one_attempt_at_a_time_is_under_way(self) -> None:
        """Whoever owns it."""
        owned = Counter(record.key for record in self.records() if record.owner is not None)
        assert all(count == 1 for count in owned.values())
        assert all(record.status.under_way for record in self.records() if record.owner is not None)

    @invariant()
    def records_move_as_they_may(self) -> None:
        """Several moves may lie between two looks."""
        for record in self.records():
            before = self.seen.get(record.number)
            assert before is None or record.status in reachable(before.status)
            assert record.attempt >= 1
            assert (record.task_id is not None) or record.status not in {"accepted", "completed", "failed", "cancelled"}
            self.seen[record.number] = record


def reachable(status: RecordStatus) -> set[RecordStatus]:
    """Return where a record may get to."""
    found = {status}
    while more := {to for each in found for to in MOVES[each]} - found:
        found |= more
    return found


TestJournal = Journal.TestCase
TestJournal.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
