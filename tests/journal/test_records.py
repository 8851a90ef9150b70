"""What may become of a record, and what a claim gives, as plain values."""

import itertools
import re
from collections.abc import Iterator

import attrs
import pytest
from journals import CLAIM, ORIGIN, claiming

from foxvideo import KeyConflict, RecordStatus, TaskRecord
from foxvideo._journal import record as records
from foxvideo._journal.record import MOVES, SOURCES, Right, move_of, right


def record(status: RecordStatus, **known: object) -> TaskRecord:
    """Return a record that nobody owns."""
    fields: dict[str, object] = {
        "number": 1, "key": "shot-1", "attempt": 1, "origin": ORIGIN, "fingerprint": "f", "model": "grok",
        "request": "{}", "token": "t", "owner": None, "task_id": None, "credits_reserved": None, "reply": None,
        "error": "why", "planned": 0.0, "sent": None, "accepted": None, "ended": None,
    }  # fmt: skip
    return TaskRecord(status=status, **fields | known)  # type: ignore[arg-type]


# --- Moves ---


def drawn(diagram: str) -> Iterator[tuple[str, str]]:
    """Yield the arrows of a diagram: from the word before a line's branch, or before the branch that is above it."""
    stems: dict[int, str] = {}
    for line in diagram.splitlines():
        before = ""
        for found in re.finditer(r"(?P<word>[a-z]+)|(?P<branch>[┬├└])", line):
            if found["word"]:
                if before:
                    yield before, found["word"]
                before = found["word"]
            else:
                before = stems[found.start()] = before if found["branch"] == "┬" else stems[found.start()]


def test_the_diagram_shows_the_moves() -> None:
    """All of them, and no other."""
    assert records.__doc__ is not None
    _, _, diagram = records.__doc__.partition("::\n")
    diagram, _, _ = diagram.lstrip("\n").partition("\n\n")
    assert sorted(drawn(diagram)) == sorted((str(status), str(to)) for status in MOVES for to in MOVES[status])


def test_every_status_has_its_moves_and_its_sources() -> None:
    """The two tables are one."""
    assert set(MOVES) == set(SOURCES) == set(RecordStatus)
    pairs = set(itertools.product(RecordStatus, repeat=2))
    assert {(status, to) for status, to in pairs if to in MOVES[status]} == {
        (status, to) for status, to in pairs if status in SOURCES[to]
    }


@pytest.mark.parametrize("to", RecordStatus)
@pytest.mark.parametrize("status", RecordStatus)
def test_a_move_is_legal_or_raises(status: RecordStatus, to: RecordStatus) -> None:
    """What it sets follows from where it goes."""
    before = record(status, owner="me" if status.under_way else None, task_id="task-1", accepted=None, ended=1.0)
    if to not in MOVES[status]:
        with pytest.raises(ValueError, match=f"is {status} cannot become {to}"):
            move_of(before, to, owner="me", now=5.0)
        return
    after = move_of(before, to, owner="me", now=5.0, error="because")
    assert (after.status, after.error, after.task_id) == (to, "because", "task-1")
    assert after.owner == ("me" if to.under_way else None)
    assert after.sent == (5.0 if to is RecordStatus.SENDING else None)
    assert after.accepted == (5.0 if to is RecordStatus.ACCEPTED else None)
    assert after.ended == (5.0 if to.over or to.nothing_made else None)


@pytest.mark.parametrize("status", [RecordStatus.REFUSED, RecordStatus.WITHDRAWN])
def test_what_was_sent_is_not_planned_once_more(status: RecordStatus) -> None:
    """Its key gets another attempt."""
    with pytest.raises(ValueError, match="cannot become planned"):
        move_of(record(status, sent=1.0), RecordStatus.PLANNED, owner="me", now=5.0)


def test_nothing_is_accepted_without_an_id() -> None:
    """It could never be asked for."""
    with pytest.raises(ValueError, match="cannot become accepted"):
        move_of(record(RecordStatus.SENDING), RecordStatus.ACCEPTED, owner="me", now=5.0)
    accepted = move_of(record(RecordStatus.SENDING), RecordStatus.ACCEPTED, owner="me", now=5.0, task_id="task-1")
    assert accepted.task_id == "task-1"


# --- Groups ---


def test_every_status_says_what_it_means_for_money() -> None:
    """Nothing that may have made a task says no."""
    said = {status: status.submitted for status in RecordStatus}
    assert {status for status, money in said.items() if money == "no"} == {"planned", "refused", "withdrawn"}
    assert {status for status, money in said.items() if money == "unknown"} == {"sending", "uncertain"}


@pytest.mark.parametrize(
    ("group", "members"),
    [
        ("under_way", {"planned", "sending"}),
        ("nothing_made", {"refused", "withdrawn"}),
        ("lost", {"failed", "cancelled"}),
        ("over", {"completed", "failed", "cancelled"}),
    ],
)
def test_every_status_knows_its_groups(group: str, members: set[str]) -> None:
    """Nobody else keeps such a list."""
    assert {status for status in RecordStatus if getattr(status, group)} == members


@pytest.mark.parametrize(
    ("status", "links", "saved", "unsaved"),
    [
        (RecordStatus.COMPLETED, 2, 1, True),
        (RecordStatus.COMPLETED, 2, 2, False),
        (RecordStatus.COMPLETED, 0, 0, False),
        (RecordStatus.COMPLETED, None, 1, True),
        (RecordStatus.FAILED, None, 0, False),
        (RecordStatus.ACCEPTED, None, 0, False),
    ],
)
def test_a_completed_task_is_unsaved_until_all_its_results_are_saved(
    status: RecordStatus, links: int | None, saved: int, *, unsaved: bool
) -> None:
    """Where nobody knows how many there are, some may be left."""
    assert record(status, links=links, saved=saved).unsaved is unsaved


@pytest.mark.parametrize(
    ("known", "unconfirmed"),
    [({"adopted": True}, True), ({"adopted": True, "reply": b"{}"}, False), ({"adopted": False}, False)],
)
def test_an_id_is_a_persons_word_until_a_reply_confirms_it(known: dict[str, object], *, unconfirmed: bool) -> None:
    """Only then may it be put right."""
    assert record(RecordStatus.ACCEPTED, **known).unconfirmed is unconfirmed
    assert not record(RecordStatus.COMPLETED, **known).unconfirmed


def test_the_secrets_of_a_record_do_not_show() -> None:
    """Its request may quote a prompt."""
    shown = {field.name for field in attrs.fields(TaskRecord) if field.repr}
    assert not shown & {"request", "reply", "token", "fingerprint"}


# --- What a claim gives ---


@pytest.mark.parametrize("status", RecordStatus)
@pytest.mark.parametrize("leave", ["", "retry_failed", "risk"])
def test_what_is_bought_anew_was_allowed_to_be(status: RecordStatus, leave: str) -> None:
    """The whole table: nothing under way, accepted or completed is ever sent again."""
    for owned, sent in itertools.product((True, False), repeat=2):
        found = record(status, owner="living" if owned else None, sent=1.0 if sent else None)
        expected = {
            RecordStatus.PLANNED: Right.READ if owned else Right.TAKE,
            RecordStatus.REFUSED: Right.ANEW if sent or owned else Right.TAKE,
            RecordStatus.WITHDRAWN: Right.ANEW if sent or owned else Right.TAKE,
            RecordStatus.FAILED: Right.ANEW if leave == "retry_failed" else Right.READ,
            RecordStatus.CANCELLED: Right.ANEW if leave == "retry_failed" else Right.READ,
            RecordStatus.UNCERTAIN: Right.ANEW if leave == "risk" else Right.READ,
        }
        assert right(found, claiming(**({leave: True} if leave else {}))) is expected.get(status, Right.READ)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"fingerprint": "g"}, "another request, for grok"),
        ({"origin": "http://elsewhere"}, f"a task at {ORIGIN}"),
        ({"account": "studio"}, "a task of the account 'default'"),
    ],
    ids=["request", "origin", "account"],
)
@pytest.mark.parametrize("status", RecordStatus)
def test_a_key_is_of_one_request_for_one_host_and_one_account(
    status: RecordStatus, other: dict[str, str], says: str
) -> None:
    """The error says of money what the record knows."""
    with pytest.raises(KeyConflict, match=says) as caught:
        right(record(status), claiming(retry_failed=True, risk=True, **other))
    assert (caught.value.key, caught.value.submitted) == (CLAIM.key, status.submitted)
