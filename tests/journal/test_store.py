"""The verbs of the store: what becomes of records, and whose they are to send."""

import itertools
import json
import time
from typing import Any

import attrs
import pytest
from databases import opened
from journals import CLAIM, ORIGIN, bring, claimed, claiming, newest, sql

from foxvideo import InvalidRequest, JournalError, KeyConflict, KeyStateError, RecordStatus, TaskRecord
from foxvideo._journal import Mine, Place, PostgresStore, SqliteStore, Store
from foxvideo._journal.record import MOVES

TOLD: dict[str, Any] = {"reply": None, "links": None, "credits_reserved": None, "error": None}
PAIRS = [(status, to) for status, to in itertools.product(RecordStatus, repeat=2) if to is not status]


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """Run each test that uses a journal with every store."""
    return str(request.param)


@pytest.mark.parametrize(
    ("made", "own"), [(SqliteStore, {"path", "commits"}), (PostgresStore, {"url", "database", "commits"})]
)
def test_every_store_is_a_store(made: type[Store], own: set[str]) -> None:
    """Its verbs are all there, and none beside them that nobody described."""
    verbs, shared = {name for name in vars(Store) if not name.startswith("_")}, {"operations", "place", "patience"}
    offered = {name for name in dir(made) if not name.startswith("_")}
    assert offered - verbs == own | shared
    assert not verbs & {name for name in verbs if getattr(made, name) is getattr(Store, name, None)}


# --- Moves ---


@pytest.mark.parametrize(("status", "to"), [pair for pair in PAIRS if pair[1] in MOVES[pair[0]]])
async def test_every_legal_move_is_made(store: Store, path: Place, status: RecordStatus, to: RecordStatus) -> None:
    """Owner and times follow from the status; what made nothing is planned again by a claim."""
    before = await bring(store, status)
    if status.nothing_made:
        sql(path, "UPDATE tasks SET sent = NULL")
        assert isinstance(await store.claim(CLAIM), Mine)
    else:
        assert await store.move(before.number, to, error="because", task_id="task-1" if to == "accepted" else None)
    after = await newest(store)
    assert (after.number, after.status) == (before.number, to)
    assert after.owner == (store.owner if to.under_way else None)
    assert after.error == (None if status.nothing_made or to is RecordStatus.SENDING else "because")
    assert (after.ended is not None) == (to.over or to.nothing_made)
    now = {"sending": after.sent, "accepted": after.accepted}.get(to, after.ended)
    assert now is None or now == pytest.approx(time.time(), abs=60)


@pytest.mark.parametrize(
    ("status", "to"), [(status, to) for status, to in PAIRS if to not in MOVES[status] or status.nothing_made]
)
async def test_an_illegal_move_leaves_the_record_as_it_is(store: Store, status: RecordStatus, to: RecordStatus) -> None:
    """And says that it did not move; what made nothing is planned by a claim alone, which looks at its key."""
    before = await bring(store, status)
    assert not await store.move(before.number, to, error="because", task_id="task-1")
    assert await newest(store) == before


@pytest.mark.parametrize("status", RecordStatus)
async def test_a_record_does_not_move_to_where_it_is(store: Store, status: RecordStatus) -> None:
    """A planned one is not sent twice, an end is not ended once more."""
    before = await bring(store, status)
    assert not await store.move(before.number, status, error="because")
    assert await newest(store) == before


async def test_nothing_is_accepted_without_an_id(store: Store) -> None:
    """Neither from sending nor from uncertain, unless a broken reply has shown one."""
    record = await bring(store, RecordStatus.SENDING)
    assert not await store.move(record.number, RecordStatus.ACCEPTED)
    assert await store.move(record.number, RecordStatus.UNCERTAIN, task_id="task-1")
    assert await store.move(record.number, RecordStatus.ACCEPTED)
    assert (await newest(store)).task_id == "task-1"


async def test_a_record_that_is_not_there_does_not_move(store: Store) -> None:
    """Its number belongs to nobody."""
    assert not await store.move(7, RecordStatus.WITHDRAWN)
    assert not await store.sending(7)
    with pytest.raises(JournalError, match="no record 7") as caught:
        await store.accepted(7, "task-1", credits_reserved=None, reply=None)
    assert (caught.value.submitted, caught.value.task_id) == ("yes", "task-1")


@pytest.mark.parametrize(("status", "to"), [pair for pair in PAIRS if pair[0].under_way and pair[1] in MOVES[pair[0]]])
async def test_what_another_client_owns_is_not_moved(
    store: Store, path: Place, status: RecordStatus, to: RecordStatus
) -> None:
    """It is for that one to say."""
    record = await bring(store, status)
    async with opened(path) as other:
        assert not await other.move(record.number, to, task_id="task-1")
        assert not await other.sending(record.number)
    assert await newest(store) == record


async def test_what_nobody_owns_is_nobodys_to_send(store: Store, path: Place) -> None:
    """It must be claimed first."""
    record = await bring(store, RecordStatus.PLANNED)
    sql(path, "UPDATE tasks SET owner = NULL")
    assert not await store.sending(record.number)
    assert not await store.move(record.number, RecordStatus.SENDING)
    assert await store.move(record.number, RecordStatus.WITHDRAWN)


async def test_what_is_planned_is_sent_once_however_often_it_is_said(store: Store) -> None:
    """Until the service has turned it away."""
    record = await bring(store, RecordStatus.PLANNED)
    assert await store.sending(record.number)
    assert not await store.sending(record.number)
    assert await store.move(record.number, RecordStatus.PLANNED)
    assert await store.sending(record.number)


@pytest.mark.parametrize("to", [to for to in RecordStatus if not to.over])
async def test_a_task_ends_at_an_end_alone(store: Store, to: RecordStatus) -> None:
    """Anything else is a mistake of the program, which hears of it at once."""
    with pytest.raises(ValueError, match="does not end"):
        store.ended("task-1", to, **TOLD)


# --- Ids and ends ---


@pytest.mark.parametrize("status", [RecordStatus.SENDING, RecordStatus.UNCERTAIN])
async def test_an_id_is_written_down_whoever_has_the_record(store: Store, path: Place, status: RecordStatus) -> None:
    """Another client may have taken this one for dead, and the record for uncertain."""
    record = await bring(store, status)
    async with opened(path) as other:
        await other.accepted(record.number, "task-1", credits_reserved=12.5, reply=b"{}")
    after = await newest(store)
    assert (after.status, after.task_id, after.credits_reserved, after.reply) == ("accepted", "task-1", 12.5, b"{}")
    assert (after.owner, after.error, after.adopted) == (None, None, False)


async def test_an_id_may_be_written_down_twice(store: Store) -> None:
    """Who did not hear that it was written says it again, also when the task is over."""
    record = await bring(store, RecordStatus.ACCEPTED, task_id="task-1")
    await store.accepted(record.number, "task-1", credits_reserved=12.5, reply=b"{}")
    assert (await newest(store)).status is RecordStatus.ACCEPTED
    await store.ended("task-1", RecordStatus.COMPLETED, **TOLD)
    over = await newest(store)
    await store.accepted(record.number, "task-1", credits_reserved=1.0, reply=b"{}")
    assert await store.records() == (over,)


async def test_a_reply_knows_better_than_a_person(store: Store) -> None:
    """The id that was adopted gives way."""
    record = await bring(store, RecordStatus.UNCERTAIN)
    await store.adopt("shot-1", "task-typo", ORIGIN)
    await store.accepted(record.number, "task-1", credits_reserved=None, reply=b"{}")
    (after,) = await store.records()
    assert (after.task_id, after.adopted) == ("task-1", False)


@pytest.mark.parametrize("status", [status for status in RecordStatus if status not in {"sending", "uncertain"}])
async def test_an_id_that_comes_too_late_for_its_record_becomes_an_attempt_of_its_own(
    store: Store, status: RecordStatus
) -> None:
    """What the record says stays, and a second task that is paid for is not lost."""
    record = await bring(store, status, task_id="task-0")
    await store.accepted(record.number, "task-1", credits_reserved=None, reply=None)
    first, second = await store.records()
    assert first == record
    assert (second.key, second.attempt, second.status, second.task_id) == ("shot-1", 2, "accepted", "task-1")
    assert (second.request, second.token, second.planned) == (first.request, first.token, first.planned)


async def test_an_end_is_noted_in_every_record_of_its_task_alone(store: Store, path: Place) -> None:
    """By its id, under which anybody may have followed it; what is uncertain and has that id is certain then."""
    await bring(store, RecordStatus.ACCEPTED, "shot-1", task_id="task-1")
    await bring(store, RecordStatus.ACCEPTED, "shot-2", task_id="task-2")
    doubt = await bring(store, RecordStatus.UNCERTAIN, "shot-3")
    sql(path, "UPDATE tasks SET task_id = 'task-1' WHERE number = ?", doubt.number)
    told: dict[str, Any] = {"reply": b'{"a": 1}', "links": 2, "credits_reserved": 3.5, "error": None}
    await store.ended("task-1", RecordStatus.COMPLETED, **told)
    assert [record.key for record in await store.records(running=True)] == ["shot-2"]
    for key in ("shot-1", "shot-3"):
        record = await newest(store, key)
        assert (record.status, record.reply, record.links, record.credits_reserved) == (
            "completed",
            b'{"a": 1}',
            2,
            12.5,  # which is more than what the end told
        )
        assert record.ended == pytest.approx(time.time(), abs=60)
        assert (record.error, record.accepted is None) == (None, False)


@pytest.mark.parametrize(("told", "noted"), [(0.0, 12.5), (float("nan"), 12.5), (None, 12.5), (12.5, 12.5), (40, 40)])
async def test_an_end_takes_back_nothing_of_what_was_reserved(store: Store, told: float | None, noted: float) -> None:
    """Nobody promises that a task which failed costs nothing, so a limit goes on counting it."""
    record = await bring(store, RecordStatus.SENDING)
    await store.accepted(record.number, "task-1", credits_reserved=12.5, reply=None)
    await store.ended("task-1", RecordStatus.FAILED, reply=None, links=None, credits_reserved=told, error="no")
    assert (await newest(store)).credits_reserved == noted


@pytest.mark.parametrize("status", [status for status in RecordStatus if status.over])
async def test_an_end_is_refreshed_by_the_same_end_alone(store: Store, status: RecordStatus) -> None:
    """A newer reply may have fresh links; the time of the end stays, and so does what is not told."""
    before = await bring(store, status)
    for other in MOVES[RecordStatus.ACCEPTED] - {status}:
        await store.ended("task-shot-1", other, reply=b"other", links=9, credits_reserved=9.0, error="other")
    assert await newest(store) == before
    await store.ended("task-shot-1", status, reply=b"newer", links=None, credits_reserved=None, error="still")
    assert await newest(store) == attrs.evolve(before, reply=b"newer", error="still")


@pytest.mark.parametrize("credits_reserved", [10**19, 10**400, -(10**400), float("nan"), float("inf"), {"a": 1}])
@pytest.mark.parametrize("reply", [b"{}", ["no", "bytes"]])
async def test_an_id_and_an_end_are_written_down_whatever_else_the_reply_told(
    store: Store,
    credits_reserved: Any,  # noqa: ANN401 - as below
    reply: Any,  # noqa: ANN401 - nonsense of all types
) -> None:
    """Only they are worth money."""
    record = await bring(store, RecordStatus.SENDING)
    await store.accepted(record.number, "task-1", credits_reserved=credits_reserved, reply=reply)
    assert ((await newest(store)).status, (await newest(store)).task_id) == ("accepted", "task-1")
    told = {"reply": reply, "links": 10**30, "credits_reserved": credits_reserved, "error": "\0 \ud800"}
    await store.ended("task-1", RecordStatus.FAILED, **told)
    after = await newest(store)
    assert (after.status, after.error) == ("failed", "\\x00 \\ud800")
    json.dumps(after.credits_reserved, allow_nan=False)


async def test_texts_that_sql_cannot_spell_are_written_down(store: Store) -> None:
    """A service, and a person, may say anything."""
    odd = "half a smile \ud83d and a null \0"
    await store.claim(claiming(key=odd, model=odd, request=odd))
    await store.uploaded(odd, odd, odd)
    await store.learn(odd, odd)
    (record,) = await store.records()
    assert record.model == "half a smile \\ud83d and a null \\x00"
    assert await store.upload(odd, odd, 0.0) == record.model
    assert await store.look(odd) == record


# --- Claims ---


async def test_a_submission_without_a_key_is_written_down_as_it_is_sent(store: Store) -> None:
    """Its record is never planned, and its key is taken from nobody."""
    mine = await store.begin(CLAIM, "token")
    record = await newest(store)
    assert mine == Mine(record.number, "token", "no")
    assert (record.status, record.owner, record.token) == (RecordStatus.SENDING, store.owner, "token")
    assert record.sent == record.planned
    with pytest.raises(JournalError, match=r"UNIQUE|not heard of"):
        await store.begin(CLAIM, "token")


async def test_a_withdrawn_record_is_taken_again_as_if_nothing_had_been(store: Store) -> None:
    """Nothing of its end is left."""
    before = await bring(store, RecordStatus.WITHDRAWN)
    record, mine = await claimed(store)
    assert (mine, record.number, record.token, record.attempt) == (True, before.number, before.token, 1)
    assert (record.status, record.error, record.ended) == ("planned", None, None)
    assert await newest(store) == record


@pytest.mark.parametrize("nothing", [RecordStatus.WITHDRAWN, RecordStatus.REFUSED, RecordStatus.PLANNED])
@pytest.mark.parametrize(("made", "leave"), [(RecordStatus.FAILED, "retry_failed"), (RecordStatus.UNCERTAIN, "risk")])
async def test_an_attempt_that_made_nothing_hides_no_earlier_one(
    store: Store, path: Place, made: RecordStatus, leave: str, nothing: RecordStatus
) -> None:
    """Else a later claim of the key would pay without leave for what failed, or may be paid for already."""
    first = await bring(store, made)
    second = await bring(store, nothing, retry_failed=True, risk=True)
    assert second.attempt == 2
    sql(path, "UPDATE tasks SET owner = NULL")
    assert await claimed(store) == (first, False)
    third, mine = await claimed(store, claiming(**{leave: True}))
    assert (mine, third.attempt) == (True, 3)
    assert [record.attempt for record in await store.records(key="shot-1")] == [1, 2, 3]


async def test_only_an_uncertain_attempt_hands_its_token_on(store: Store) -> None:
    """A service that reads it sees a repeat there, and a new task everywhere else."""
    lost = await bring(store, RecordStatus.UNCERTAIN, "lost")
    failed = await bring(store, RecordStatus.FAILED, "failed")
    again, _ = await claimed(store, claiming(key="lost", risk=True))
    anew, _ = await claimed(store, claiming(key="failed", retry_failed=True))
    assert again.token == lost.token
    assert anew.token != failed.token


async def test_a_claim_tells_whether_an_earlier_attempt_is_undecided(store: Store) -> None:
    """So that an error of the new one does not say that nothing was made under the key."""

    async def before(**leave: bool) -> str:
        found = await store.claim(claiming(**leave))
        assert isinstance(found, Mine)
        return found.before

    assert await before() == "no"
    (record,) = await store.records()
    await store.sending(record.number)
    await store.move(record.number, RecordStatus.UNCERTAIN)
    for _ in range(2):  # that the first repeat came to nothing decides nothing
        assert await before(risk=True) == "unknown"
        await store.move((await newest(store)).number, RecordStatus.WITHDRAWN)
    await bring(store, RecordStatus.FAILED, risk=True)
    assert await before(retry_failed=True) == "no"


async def test_the_key_of_another_request_is_refused(store: Store) -> None:
    """With what the journal knows of money."""
    await bring(store, RecordStatus.FAILED, task_id="task-1")
    with pytest.raises(KeyConflict) as caught:
        await store.claim(claiming(fingerprint="g"))
    assert (caught.value.task_id, caught.value.key, caught.value.submitted) == ("task-1", "shot-1", "yes")


# --- Adopting ---


async def test_an_uncertain_submission_takes_the_id_that_its_caller_found(store: Store) -> None:
    """From then on it is like any other."""
    await bring(store, RecordStatus.UNCERTAIN)
    record = await store.adopt("shot-1", "task-1", ORIGIN)
    assert (record.status, record.task_id, record.error, record.adopted) == ("accepted", "task-1", None, True)
    assert record.accepted == pytest.approx(time.time(), abs=60)
    assert await store.records(running=True) == (record,)


async def test_an_adopted_id_can_be_put_right(store: Store) -> None:
    """As often as need be, until a reply has told of it."""
    await bring(store, RecordStatus.UNCERTAIN)
    for task_id in ("task-typo", "task-other", "task-1"):
        assert (await store.adopt("shot-1", task_id, ORIGIN)).task_id == task_id
    await store.ended("task-typo", RecordStatus.FAILED, **TOLD)
    assert (await newest(store)).status is RecordStatus.ACCEPTED
    await store.ended("task-1", RecordStatus.COMPLETED, **TOLD)
    with pytest.raises(KeyStateError, match="is completed, not uncertain"):
        await store.adopt("shot-1", "task-2", ORIGIN)


async def test_an_id_that_a_reply_brought_is_not_put_right(store: Store) -> None:
    """Nobody has adopted it."""
    await bring(store, RecordStatus.ACCEPTED, task_id="task-1", reply=None)
    with pytest.raises(KeyStateError, match="is accepted, not uncertain") as caught:
        await store.adopt("shot-1", "task-2", ORIGIN)
    assert (caught.value.key, caught.value.task_id, caught.value.submitted) == ("shot-1", "task-1", "yes")


@pytest.mark.parametrize("origin", [ORIGIN, "http://elsewhere"])
async def test_an_id_of_another_submission_is_not_adopted(store: Store, origin: str) -> None:
    """One task is one key's; a host may have two names, so it does not matter where that one went."""
    await bring(store, RecordStatus.COMPLETED, "shot-0", task_id="task-1", origin=origin)
    await bring(store, RecordStatus.UNCERTAIN)
    with pytest.raises(KeyStateError, match="task-1 was made by the submission 'shot-0'") as caught:
        await store.adopt("shot-1", "task-1", ORIGIN)
    assert (caught.value.key, caught.value.submitted) == ("shot-1", "unknown")
    assert (await newest(store)).status is RecordStatus.UNCERTAIN


async def test_an_uncertain_submission_may_be_given_the_id_that_its_broken_reply_showed(store: Store) -> None:
    """It stands in its own record, or in that of an earlier attempt."""
    record = await bring(store, RecordStatus.SENDING)
    await store.move(record.number, RecordStatus.UNCERTAIN, task_id="task-1")
    await bring(store, RecordStatus.UNCERTAIN, risk=True)
    adopted = await store.adopt("shot-1", "task-1", ORIGIN)
    assert (adopted.status, adopted.attempt) == (RecordStatus.ACCEPTED, 2)


@pytest.mark.parametrize("status", [status for status in RecordStatus if status is not RecordStatus.UNCERTAIN])
@pytest.mark.parametrize("verb", ["adopt", "uncertain"])
async def test_only_what_is_uncertain_is_decided(store: Store, status: RecordStatus, verb: str) -> None:
    """What is being sent is not, while its owner lives; the error says of money what the record knows."""
    record = await bring(store, status)
    with pytest.raises(InvalidRequest, match=f"is {status}, not uncertain") as caught:
        await (store.uncertain("shot-1", ORIGIN) if verb == "uncertain" else store.adopt("shot-1", "task-2", ORIGIN))
    assert isinstance(caught.value, KeyStateError)
    assert (caught.value.key, caught.value.submitted) == ("shot-1", status.submitted)
    assert await newest(store) == record


@pytest.mark.parametrize("verb", ["adopt", "uncertain"])
async def test_neither_an_unknown_key_nor_another_host_is_decided(store: Store, verb: str) -> None:
    """The id would be asked for where it is not."""

    async def decide(origin: str) -> TaskRecord:
        return await (store.uncertain("shot-1", origin) if verb == "uncertain" else store.adopt("shot-1", "t", origin))

    with pytest.raises(KeyStateError, match="not in the journal") as caught:
        await decide(ORIGIN)
    assert (caught.value.key, caught.value.submitted) == ("shot-1", "no")
    await bring(store, RecordStatus.UNCERTAIN)
    with pytest.raises(KeyStateError, match=f"went to {ORIGIN}") as caught:
        await decide("http://elsewhere")
    assert (caught.value.key, caught.value.submitted) == ("shot-1", "unknown")
