"""A journal in PostgreSQL: who lives, who may send, and what is true when the database or a client goes away."""

import asyncio
import contextlib
import logging
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from databases import execute, old
from forking import forked
from journals import CLAIM, bring, claimed, claiming, newest, sql
from lines import Line

from foxvideo import Client, Every, GrokTextToVideo, JournalError, Limits, RecordStatus, SubmitUncertain, Video
from foxvideo._journal import Mine, PostgresStore, lease, session
from foxvideo._journal.inspection import findings, inspect
from foxvideo._journal.postgres import Database, init
from foxvideo._journal.record import DIED
from foxvideo._journal.session import Session
from foxvideo.emulator import Emulator, Fault

Make = Callable[..., Client]

KEY = "sk-emulator"
SHOT = GrokTextToVideo(prompt="A kite")


def _session(store: PostgresStore) -> Session:
    return store._here()


def die(url: str, store: PostgresStore) -> None:
    """Let the lease of a client run out, in the eyes of others who have been heard for long."""
    execute(url, "UPDATE owners SET until = clock_timestamp() - interval '1 s' WHERE id = ?", store.owner)
    execute(url, "UPDATE owners SET since = since - interval '1 hour' WHERE id != ?", store.owner)


@pytest.fixture
def client(fox: Emulator) -> Callable[..., Client]:
    """Return what makes a client of the emulator."""

    def make(journal: str, **options: Any) -> Client:  # noqa: ANN401 - of all types
        return Client(KEY, fox.base_url, journal=journal, schedule=Every(1.0), **options)

    return make


@pytest.fixture
async def fox() -> Any:  # noqa: ANN401 - an emulator, in time
    """Run an emulator."""
    async with Emulator(render=False) as running:
        yield running


# --- Who lives -------------------------------------------------------------------------------------------------------


async def test_the_living_keep_what_they_are_sending(database: str) -> None:
    """Whoever looks, and however often."""
    async with PostgresStore(database) as one, PostgresStore(database) as other:
        record = await bring(one, RecordStatus.SENDING)
        await other.records()
        old(database)
        assert await newest(other) == record
        assert not await other.sending(record.number)


@pytest.mark.parametrize("status", [RecordStatus.PLANNED, RecordStatus.SENDING])
async def test_what_a_silent_client_had_is_free_or_uncertain(status: RecordStatus, database: str) -> None:
    """Once another who was heard of for a whole lease looks."""
    async with PostgresStore(database) as silent, PostgresStore(database) as other:
        record = await bring(silent, status)
        await other.identity()
        die(database, silent)
        after = await newest(other)
        assert after.number == record.number
        assert after.owner is None
        assert after.status is (RecordStatus.UNCERTAIN if status is RecordStatus.SENDING else RecordStatus.PLANNED)
        claimed = await other.claim(CLAIM)
        assert isinstance(claimed, Mine) is (status is RecordStatus.PLANNED)


async def test_nobody_judges_who_was_not_heard_for_a_whole_lease(database: str) -> None:
    """The first one that comes back after the database was away would take all others for dead."""
    async with PostgresStore(database) as silent, PostgresStore(database) as newcomer:
        record = await bring(silent, RecordStatus.SENDING)
        execute(database, "UPDATE owners SET until = clock_timestamp() - interval '1 s'")
        await newcomer.identity()
        assert await newest(newcomer) == record
        assert await newcomer.records() == (record,)


async def test_a_gap_begins_the_time_of_a_judge_anew(database: str) -> None:
    """It is not heard of without a gap then."""
    async with PostgresStore(database) as store:
        await store.identity()
        execute(database, "UPDATE owners SET since = since - interval '1 hour', until = until - interval '1 hour'")
        _session(store)._renew_at = 0.0
        await store.identity()
        ((heard,),) = execute(database, "SELECT clock_timestamp() - since < interval '1 minute' FROM owners")
        assert heard


async def test_a_client_that_was_taken_for_dead_becomes_a_new_owner(database: str) -> None:
    """Its old name never comes back, and what it had planned is anybody's."""
    async with PostgresStore(database) as store, PostgresStore(database) as other:
        record, before = await bring(store, RecordStatus.PLANNED), store.owner
        await other.identity()
        die(database, store)
        await other.records()
        _session(store)._renew_at = 0.0
        assert not await store.sending(record.number)
        assert store.owner != before
        assert isinstance(await store.claim(CLAIM), Mine)
        assert await store.sending(record.number)


async def test_who_did_not_send_may_say_so_as_long_as_nobody_decided(database: str) -> None:
    """The sender alone: a lost reply of another is not for it to judge."""
    async with PostgresStore(database) as store, PostgresStore(database) as other:
        record = await bring(store, RecordStatus.SENDING)
        await other.identity()
        die(database, store)
        assert (await newest(other)).status is RecordStatus.UNCERTAIN
        assert not await other.move(record.number, RecordStatus.PLANNED)
        _session(store)._renew_at = 0.0
        assert await store.move(record.number, RecordStatus.PLANNED)
        assert (await newest(other)).owner == store.owner

        await store.sending(record.number)
        die(database, store)
        claim = claiming(risk=True)
        assert isinstance(await other.claim(claim), Mine | type(record))
        assert isinstance(await other.claim(claim), Mine | type(record))
        _session(store)._renew_at = 0.0
        assert not await store.move(record.number, RecordStatus.PLANNED)


async def test_closing_gives_up_what_a_client_has(database: str) -> None:
    """Nobody has to wait for its lease to run out."""
    async with PostgresStore(database) as store:
        await bring(store, RecordStatus.PLANNED)
    async with PostgresStore(database) as other:
        assert isinstance(await other.claim(CLAIM), Mine)
    assert execute(database, "SELECT * FROM owners") == []


# --- Who may send ----------------------------------------------------------------------------------------------------


async def test_one_key_is_one_task_on_however_many_machines(database: str, client: Make, fox: Emulator) -> None:
    """All of them hear of its end."""
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(client(database)) for _ in range(6)]
        videos = await asyncio.gather(*(one.generate(SHOT, key="order-17") for one in clients))
    assert fox.ledger.charged == 1
    assert len({video.id for video in videos}) == 1


@pytest.mark.parametrize("held_back_by", ["its clock", "its name", "nothing"])
async def test_a_client_that_was_stopped_before_it_sent_sends_no_more(
    held_back_by: str, database: str, client: Make, fox: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person has had it made meanwhile. Without the look at its own clock and name, it is paid for twice."""
    held_back = held_back_by != "nothing"
    if not held_back:
        monkeypatch.setattr(PostgresStore, "still_mine", lambda *_: True)
    async with client(database) as zombie, client(database) as person:
        store = zombie.journal
        assert isinstance(store, PostgresStore)
        sending = store.sending
        made: list[Video] = []

        def stopped(number: int) -> "asyncio.Future[bool]":
            async def while_it_was_stopped() -> bool:
                assert await sending(number)
                await person.history()
                die(database, store)
                assert [record.key for record in await person.uncertain()] == ["order-17"]
                made.append(await (await person.resubmit("order-17", SHOT)))
                _session(store)._valid_until = 0.0
                if held_back_by == "its name":  # its thread may renew the lease before its loop wakes
                    _session(store)._renew_at = 0.0
                    await store.identity()
                return True

            object.__setattr__(store, "sending", sending)
            return asyncio.ensure_future(while_it_was_stopped())

        monkeypatch.setattr(store, "sending", stopped)
        end = await zombie.generate(SHOT, key="order-17")

    assert fox.ledger.charged == (1 if held_back else 2)
    assert (end.id == made[0].id) is held_back


async def test_a_client_that_was_stopped_and_not_taken_for_dead_sends_once(
    database: str, client: Make, fox: Emulator
) -> None:
    """It bears witness that nothing left, renews its lease, and goes on."""
    async with client(database) as stopped:
        await stopped.history()
        store = stopped.journal
        ask, asked = PostgresStore.still_mine, 0

        def once(self: PostgresStore, owner: str) -> bool:
            nonlocal asked
            asked += 1
            return asked > 1 and ask(self, owner)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(store), "still_mine", once)
            await stopped.generate(SHOT, key="order-17")
    assert (fox.ledger.charged, asked) == (1, 2)


# --- When the database goes away -------------------------------------------------------------------------------------


@pytest.fixture
def losing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what loses a reply of the database, the next or a later one: all was done, and the connection breaks."""
    real = psycopg.Connection.pipeline

    def lose(later: int = 0, meanwhile: Callable[[], None] = lambda: None) -> None:
        @contextlib.contextmanager
        def pipeline(self: "psycopg.Connection[Any]") -> Iterator[object]:
            nonlocal later
            with real(self) as running:
                yield running
            later -= 1
            if later >= 0:
                return
            monkeypatch.setattr(psycopg.Connection, "pipeline", real)
            self.close()
            meanwhile()
            raise psycopg.OperationalError("the connection is lost")

        monkeypatch.setattr(psycopg.Connection, "pipeline", pipeline)

    return lose


VERBS: dict[str, tuple[RecordStatus | None, Callable[[PostgresStore], Any], RecordStatus]] = {
    "claim": (None, lambda store: store.claim(CLAIM), RecordStatus.PLANNED),
    "take": (RecordStatus.WITHDRAWN, lambda store: store.claim(CLAIM), RecordStatus.PLANNED),
    "again": (RecordStatus.REFUSED, lambda store: store.claim(CLAIM), RecordStatus.PLANNED),
    "risk": (RecordStatus.UNCERTAIN, lambda store: store.claim(claiming(risk=True)), RecordStatus.PLANNED),
    "begin": (None, lambda store: store.begin(CLAIM, "t" * 32), RecordStatus.SENDING),
    "sending": (RecordStatus.PLANNED, lambda store: store.sending(1), RecordStatus.SENDING),
    "planned": (RecordStatus.SENDING, lambda store: store.move(1, RecordStatus.PLANNED), RecordStatus.PLANNED),
    "refused": (RecordStatus.SENDING, lambda store: store.move(1, RecordStatus.REFUSED), RecordStatus.REFUSED),
    "accepted": (
        RecordStatus.SENDING,
        lambda store: store.accepted(1, "task-1", credits_reserved=1.0, reply=b"{}"),
        RecordStatus.ACCEPTED,
    ),
    "too late": (
        RecordStatus.COMPLETED,
        lambda store: store.accepted(1, "task-2", credits_reserved=1.0, reply=b"{}"),
        RecordStatus.ACCEPTED,
    ),
    "adopt": (
        RecordStatus.UNCERTAIN,
        lambda store: store.adopt("shot-1", "task-1", CLAIM.origin),
        RecordStatus.ACCEPTED,
    ),
}


async def _prepare(store: PostgresStore, verb: str, database: str) -> None:
    """Bring a record to where a verb begins."""
    before, _, _ = VERBS[verb]
    if before is not None:
        await bring(store, before)
    if verb == "take":  # it was never sent
        execute(database, "UPDATE tasks SET sent = NULL")


@pytest.mark.parametrize("limits", [None, Limits(max_active=1, per_second=0.001)], ids=["free", "limited"])
@pytest.mark.parametrize("later", [0, 1, 2])
@pytest.mark.parametrize("verb", VERBS)
async def test_a_verb_whose_reply_was_lost_finds_its_own_first_try(
    verb: str, later: int, limits: Limits | None, database: str, losing: Callable[..., None]
) -> None:
    """It comes to what it would have come to, and makes nothing twice: it has the place that it took the first time."""
    _, act, after = VERBS[verb]
    async with PostgresStore(database) as store:
        await _prepare(store, verb, database)
        if limits is not None:
            await store.set_limits("default", limits)
        before_all = len(await store.records())
        losing(later)
        came_to = await act(store)
        assert came_to is None or came_to is True or isinstance(came_to, Mine) or came_to.status is after
        records = await store.records()
        assert records[-1].status is after
        assert len(records) - before_all == (1 if verb in {"claim", "begin", "again", "risk", "too late"} else 0)
        if isinstance(came_to, Mine):
            assert records[-1].owner == store.owner
            assert came_to.number == records[-1].number


FOLLOW: dict[str, Any] = {"most": 2, "unsaved_since": 0.0, "mine": False}


@pytest.mark.parametrize("hand_over", [False, True])
async def test_what_was_taken_up_though_the_reply_was_lost_is_followed(
    hand_over: bool, database: str, losing: Callable[..., None]
) -> None:
    """Else its follower would live, not know of it, and keep it from all others until its links are dead."""
    async with PostgresStore(database, patience=1.0) as store:
        await bring(store, RecordStatus.ACCEPTED, "its own")
        async with PostgresStore(database) as gone:
            for number in range(3):
                await bring(gone, RecordStatus.ACCEPTED, f"shot-{number}")
            await bring(gone, RecordStatus.COMPLETED, "unsaved")
        losing(1 if hand_over else 0)
        found = await store.follow(CLAIM.origin, **FOLLOW, hand_over=hand_over)
        assert [record.key for record in found] == ["its own", "shot-0", "shot-1"]
        rest = await store.follow(CLAIM.origin, **FOLLOW, hand_over=hand_over)
        assert [record.key for record in rest] == ["shot-2", "unsaved"]
        assert await store.follow(CLAIM.origin, **FOLLOW, hand_over=hand_over) == ()


async def test_all_that_may_be_taken_up_is_though_the_reply_was_lost(
    database: str, losing: Callable[..., None]
) -> None:
    """Without a bound there is none, the second time too."""
    async with PostgresStore(database, patience=1.0) as store:
        for number in range(3):
            await bring(store, RecordStatus.ACCEPTED, f"shot-{number}")
        losing()
        found = await store.follow(CLAIM.origin, **FOLLOW | {"most": None, "mine": True})
        assert [record.key for record in found] == ["shot-0", "shot-1", "shot-2"]


async def test_what_was_not_taken_up_since_the_question_was_lost_is_taken_up_now(
    database: str, losing: Callable[..., None]
) -> None:
    """The second time is the first then, and the bound is kept."""
    async with PostgresStore(database, patience=1.0) as store:
        async with PostgresStore(database) as gone:
            for number in range(3):
                await bring(gone, RecordStatus.ACCEPTED, f"shot-{number}")
        losing(0, lambda: execute(database, "UPDATE tasks SET follower = NULL"))
        found = await store.follow(CLAIM.origin, **FOLLOW)
        assert [record.key for record in found] == ["shot-0", "shot-1"]


async def test_what_a_look_took_up_before_the_database_went_away_is_followed_once_it_is_back(
    database: str, client: Make, losing: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look failed, and had been carried out."""
    monkeypatch.setattr("foxvideo._journal.postgres._PATIENCE", 0.05)
    async with client(database) as gone:
        await gone.submit(SHOT).wait_accepted()
    async with client(database) as other:
        await other.history()
        losing(0, lambda: allow(database, connections=False))
        async with other.working():
            await asyncio.sleep(3)
            assert other.stats().running == 0
            allow(database, connections=True)
            assert sql(database, "SELECT follower FROM tasks") == [(other.journal.owner,)]  # type: ignore[union-attr]
            await asyncio.sleep(60)
            assert sql(database, "SELECT status FROM tasks") == [("completed",)]


@pytest.mark.parametrize("former", [False, True], ids=["its first name", "another one"])
async def test_a_client_that_did_not_hear_that_it_was_let_in_is_in(
    former: bool, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the name that it gave, and no other one: what it then claims is its own."""
    real = psycopg.Connection.execute

    def lose(self: "psycopg.Connection[Any]", query: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        found = real(self, query, *args, **kwargs)
        if query == lease.JOIN:
            monkeypatch.setattr(psycopg.Connection, "execute", real)
            raise psycopg.OperationalError("the connection is lost")
        return found

    async with PostgresStore(database, patience=1.0) as store:
        if former:
            await store.records()
            execute(database, "DELETE FROM owners")
            _session(store)._renew_at = 0.0
        monkeypatch.setattr(psycopg.Connection, "execute", lose)
        await claimed(store)
        assert execute(database, "SELECT id FROM owners") == [(store.owner,)]
        assert await store.sending(1)
        assert (await newest(store)).owner == store.owner
        assert store.owner in _session(store)._names


def _bury(database: str) -> None:
    """Take everybody for dead."""
    execute(database, "DELETE FROM owners")
    execute(
        database,
        """UPDATE tasks SET owner = NULL, error = CASE status WHEN 'sending' THEN ? END,
        status = CASE status WHEN 'sending' THEN 'uncertain' ELSE status END WHERE owner IS NOT NULL""",
        DIED,
    )


def allow(database: str, *, connections: bool) -> None:
    """Let a database have connections, or none."""
    server, _, name = database.rpartition("/")
    execute(f"{server}/postgres", f"ALTER DATABASE {name} ALLOW_CONNECTIONS {connections}")
    execute(f"{server}/postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ?", name)


@pytest.mark.parametrize("verb", ["claim", "take", "again", "risk", "begin", "sending"])
async def test_a_first_try_is_found_though_its_client_was_taken_for_dead_since(
    verb: str, database: str, losing: Callable[..., None]
) -> None:
    """The database was away for longer than the lease; nothing has left, so nothing is uncertain."""
    _, act, after = VERBS[verb]
    async with PostgresStore(database) as store:
        await _prepare(store, verb, database)

        def bury() -> None:
            _bury(database)
            _session(store)._renew_at = 0.0

        former = store.owner
        losing(0 if verb in {"begin", "sending"} else 1, bury)
        came_to = await act(store)
        assert came_to is True or isinstance(came_to, Mine)
        assert store.owner != former
        record = (await store.records())[-1]
        assert (record.status, record.owner, record.error) == (after, store.owner, None)
        assert record.status is RecordStatus.SENDING or await store.sending(record.number)


async def test_a_connection_that_broke_is_made_anew_unnoticed(database: str) -> None:
    """A restart of the database costs a moment."""
    async with PostgresStore(database, patience=5.0) as store:
        await store.claim(CLAIM)
        execute(database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'foxvideo'")
        assert await store.sending(1)


async def test_an_id_that_comes_while_the_database_is_away_is_written_later(
    database: str, client: Make, fox: Emulator, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And following goes on meanwhile; nothing is submitted that could not be written down."""
    monkeypatch.setattr("foxvideo._journal.postgres._PATIENCE", 0.05)
    async with client(database) as one:
        store = one.journal
        assert store is not None
        real, gone = store.accepted, asyncio.Event()

        def away(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the verb has it
            if not gone.is_set():  # as the reply comes; it is written again later
                allow(database, connections=False)
            gone.set()
            return real(*args, **kwargs)

        monkeypatch.setattr(store, "accepted", away)
        video = await one.generate(SHOT, key="order-17")
        with pytest.raises(JournalError) as refused:
            await one.generate(GrokTextToVideo(prompt="Another"), key="order-18")
        assert refused.value.submitted == "unknown"  # what came of the key before cannot be looked up
        assert fox.ledger.charged == 1
        allow(database, connections=True)
        await asyncio.sleep(120)
        (record,) = await one.history(key="order-17")
        assert (record.status, record.task_id) == (RecordStatus.COMPLETED, video.id)
    assert any("but the journal cannot be written" in line.message for line in caplog.records)


@pytest.mark.parametrize("buried", [False, True])
@pytest.mark.parametrize("verb", ["claim", "take", "again", "risk", "begin"])
async def test_what_a_claim_made_that_failed_is_given_back_once_the_database_is_back(
    verb: str, buried: bool, database: str, losing: Callable[..., None]
) -> None:
    """Nothing leaves for it, so it is neither uncertain nor in anybody's way, and the next claim succeeds."""
    _, act, after = VERBS[verb]
    async with PostgresStore(database, patience=0.05) as store:
        await _prepare(store, verb, database)

        def lost() -> None:
            if buried:
                _bury(database)
                _session(store)._renew_at = 0.0
            allow(database, connections=False)

        losing(0 if verb == "begin" else 1, lost)
        with pytest.raises(JournalError):
            await act(store)
        allow(database, connections=True)
        made = (await store.records())[-1]
        assert (made.status.nothing_made or made.status is RecordStatus.PLANNED, made.owner) == (True, None)
        again = store.begin(claiming(key="auto-2"), "u" * 32) if verb == "begin" else act(store)
        assert isinstance(await again, Mine)
        assert (await store.records())[-1].status is after


@pytest.mark.parametrize("since", ["owner = 'another'", "owner = NULL, status = 'accepted', task_id = 'task-1'"])
@pytest.mark.parametrize("verb", ["claim", "begin"])
async def test_nothing_is_given_back_that_another_client_has_gone_on_with(
    verb: str, since: str, database: str, losing: Callable[..., None]
) -> None:
    """It may have taken this one for dead."""
    _, act, _ = VERBS[verb]
    before: list[Any] = []
    async with PostgresStore(database, patience=0.05) as store:
        await store.records()

        def lost() -> None:
            execute(database, "INSERT INTO owners VALUES ('another', now(), now() + interval '1 hour')")
            execute(database, f"UPDATE tasks SET {since}")  # noqa: S608 - ours
            before.extend(sql(database, "SELECT status, owner, task_id FROM tasks"))
            allow(database, connections=False)

        losing(0 if verb == "begin" else 1, lost)
        with pytest.raises(JournalError):
            await act(store)
        allow(database, connections=True)
        await store.records()
        assert sql(database, "SELECT status, owner, task_id FROM tasks") == before


async def test_what_was_given_up_is_given_back_as_the_client_closes(
    database: str, client: Make, fox: Emulator, losing: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nobody could know that it has never left."""
    monkeypatch.setattr("foxvideo._journal.postgres._PATIENCE", 0.05)
    async with client(database) as one:
        await one.history()
        losing(0, lambda: allow(database, connections=False))
        with pytest.raises(JournalError) as failed:
            await one.generate(SHOT)
        assert failed.value.submitted == "no"
        allow(database, connections=True)
    assert sql(database, "SELECT status, owner FROM tasks") == [("withdrawn", None)]
    assert fox.ledger.charged == 0


@pytest.mark.parametrize("later", [0, 1, 2])
async def test_a_key_whose_claim_failed_is_submitted_once_the_database_is_back(
    later: int, database: str, client: Make, losing: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same client, and charged once: whichever reply was lost."""
    monkeypatch.setattr("foxvideo._journal.postgres._PATIENCE", 0.05)
    async with client(database) as one:
        await one.history()
        losing(later, lambda: allow(database, connections=False))
        with pytest.raises(JournalError):
            await one.generate(SHOT, key="order-17")
        allow(database, connections=True)
        video = await one.generate(SHOT, key="order-17")
        assert sql(database, "SELECT task_id FROM tasks WHERE task_id IS NOT NULL") == [(video.id,)]


@pytest.fixture
async def line(database: str) -> AsyncIterator[Line]:
    """Lead to the database through something that can fall silent."""
    async with Line.to(database) as line:
        yield line


@pytest.mark.real_clock
async def test_a_database_that_falls_silent_is_one_that_is_away(line: Line) -> None:
    """Nobody waits for a lost packet for ever: neither who asks, nor who closes; and when it is back, all goes on."""
    async with PostgresStore(f"{line.url}?lease=1", patience=0.5) as store:
        await store.claim(CLAIM)
        line.silent = True
        with pytest.raises(JournalError):
            async with asyncio.timeout(10):
                await store.sending(1)
        line.silent = False
        line.cut()
        assert (await newest(store)).status in {RecordStatus.PLANNED, RecordStatus.SENDING}
        line.silent = True
        async with asyncio.timeout(10):
            await store.close()


@contextlib.contextmanager
def held(database: str, table: str) -> Iterator[psycopg.Connection[Any]]:
    """Have whoever asks a table wait, until what is yielded commits: a database that is busy, or hangs."""
    with psycopg.connect(database) as admin:
        admin.execute(f"LOCK TABLE foxvideo.{table} IN ACCESS EXCLUSIVE MODE".encode())
        yield admin


@pytest.mark.real_clock
@pytest.mark.parametrize("table", ["journal", "owners"])
async def test_a_database_that_hangs_while_connecting_is_one_that_is_away(table: str, database: str) -> None:
    """Whether it is asked what it is, or is told who comes."""
    async with PostgresStore(f"{database}?lease=1", patience=0.3) as store:
        with held(database, table), pytest.raises(JournalError):
            async with asyncio.timeout(10):
                await store.claim(CLAIM)
        assert isinstance(await store.claim(CLAIM), Mine)


@pytest.mark.real_clock
async def test_a_database_that_hangs_while_the_lease_is_renewed_is_one_that_is_away(database: str) -> None:
    """Whoever asks next waits for that, since there is one connection."""
    async with PostgresStore(f"{database}?lease=1", patience=0.3) as store:
        await store.claim(CLAIM)
        with held(database, "owners"):
            while _session(store)._asked_at is None:  # noqa: ASYNC110 - a thread sets it
                await asyncio.sleep(0.01)
            with pytest.raises(JournalError):
                async with asyncio.timeout(10):
                    await store.look("shot-1")


@pytest.mark.real_clock
async def test_a_database_that_takes_its_time_to_connect_is_asked_all_the_same(database: str) -> None:
    """That time is not taken for silence, and patience is for what is away."""
    async with PostgresStore(database, patience=0.05) as store:
        with held(database, "journal") as admin:
            asyncio.get_running_loop().call_later(0.3, admin.commit)
            assert await store.look("shot-1") is None


async def test_what_counts_is_on_the_disk_whatever_the_role_is_set_to(database: str) -> None:
    """Only a commit that was synced may let a request leave; that of the role is overruled for each statement."""
    name = database.rpartition("/")[2]
    execute(
        database,
        """
        ALTER DATABASE %s SET synchronous_commit = 'off';
        CREATE TABLE seen (said text);
        CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN INSERT INTO foxvideo.seen VALUES (current_setting(''synchronous_commit'')); RETURN NULL; END';
        CREATE TRIGGER see AFTER INSERT OR UPDATE ON tasks FOR EACH STATEMENT EXECUTE FUNCTION see();
        """.replace("%s", name),
    )
    async with PostgresStore(database) as store:
        for status in RecordStatus:
            await bring(store, status, status)
        await store.begin(claiming(key="auto-1"), "t" * 32)
        await store.adopt("uncertain", "task-1", CLAIM.origin)
    assert {said for (said,) in execute(database, "SELECT said FROM seen")} == {"on"}
    assert execute(database, "SHOW synchronous_commit") == [("off",)]


# --- What is no journal ----------------------------------------------------------------------------------------------


def _plain(url: str) -> str:
    execute(url, "DROP SCHEMA foxvideo CASCADE")
    return url


def _newer(url: str) -> str:
    execute(url, "UPDATE journal SET version = 99")
    return url


def _unknown(url: str) -> str:
    return f"{url}_gone"


def _nobody(url: str) -> str:
    execute(url, "DROP ROLE IF EXISTS guest", *())
    execute(url, "CREATE ROLE guest LOGIN PASSWORD 'hush'")
    return url.replace("fox@", "guest:hush@")


UNFIT: dict[str, tuple[Callable[[str], str], str, str]] = {
    "no tables": (_plain, "has no journal", "foxvideo journal init"),
    "of a newer foxvideo": (_newer, "a newer foxvideo (version 99)", "update foxvideo"),
    "no such database": (_unknown, "does not exist", "check the database"),
    "no rights": (_nobody, "permission denied", "grant it"),
}


@pytest.mark.parametrize("case", UNFIT)
async def test_a_database_that_is_no_journal_says_so_before_anything_is_sent(
    case: str, databases: Callable[[], str], client: Make, fox: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """In one sentence with the next step, and without the password."""
    spoil, what, hint = UNFIT[case]
    caplog.set_level(logging.DEBUG)
    url = spoil(databases())
    store = PostgresStore(url, patience=0.05)
    with pytest.raises(JournalError) as caught:
        await store.claim(CLAIM)
    await store.close()
    assert what in caught.value.what
    assert hint in caught.value.hint
    assert caught.value.submitted == "no"
    assert "hush" not in str(caught.value) + repr(store) + repr(caught.value) + caplog.text
    assert fox.ledger.charged == 0


async def test_without_psycopg_the_extra_is_named(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The four packages of the base are enough for everything else."""
    async with PostgresStore(database) as store:
        monkeypatch.setitem(sys.modules, "psycopg", None)
        with pytest.raises(JournalError, match="needs psycopg") as caught:
            await store.claim(CLAIM)
        monkeypatch.undo()
    assert caught.value.hint == "pip install 'foxvideo[postgres]'"


@pytest.mark.parametrize(
    ("query", "what"),
    [("lease=soon", "seconds"), ("lease=0.1", "1 to 3600"), ("lease=nan", "1 to"), ("prepare=1", "yes")],
)
def test_options_that_are_none_are_refused_at_once(query: str, what: str) -> None:
    """When the client is made."""
    with pytest.raises(ValueError, match=what) as caught:
        Client(KEY, journal=f"postgresql://fox:hush@db.internal/studio?{query}")
    assert "hush" not in str(caught.value)


def test_a_url_may_say_how_long_a_lease_is_and_that_nothing_is_prepared() -> None:
    """What is libpq's stays in it."""
    found = Database.of("postgres://fox:hush@db/studio?sslmode=require&lease=5&prepare=no")
    assert (found.url, found.lease, found.prepare) == ("postgres://fox:hush@db/studio?sslmode=require", 5.0, False)
    assert found.where == "postgres://fox@db/studio"
    assert "hush" not in repr(found)


def test_tables_are_made_once(database: str) -> None:
    """A second time changes nothing."""
    with pytest.raises(JournalError, match="has a journal already"):
        init(database)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.real_clock
def test_a_store_that_was_opened_before_a_fork_says_so_in_the_child(database: str) -> None:
    """The connection is its parent's, and so is the lease."""

    async def main() -> None:
        async with PostgresStore(database) as store:
            await store.claim(CLAIM)

            def child() -> object:
                async def look() -> str:
                    with pytest.raises(JournalError) as caught:
                        await store.look("shot-1")
                    return caught.value.what

                return asyncio.run(look())

            said = await asyncio.to_thread(forked, child)
            assert "before this process was forked" in str(said)
            assert await store.sending(1)

    asyncio.run(main())


async def test_who_asks_is_answered_where_the_system_gives_no_thread(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a file; and the next one may have better luck."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async with PostgresStore(database) as store:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(JournalError, match="new thread"):
                await store.claim(CLAIM)
        assert isinstance(await store.claim(CLAIM), Mine)


async def test_the_lease_is_renewed_though_the_loop_is_busy(database: str) -> None:
    """The thread does it, on its own clock."""
    async with PostgresStore(f"{database}?lease=1") as store:
        await store.identity()
        first = _session(store)._valid_until
        end = session.boot_time() + 5
        while _session(store)._valid_until == first:
            assert session.boot_time() < end
        assert store.still_mine(store.owner)


def test_nothing_is_connected_before_the_first_use(tmp_path: Path) -> None:
    """A URL of a database that is not there harms nobody who does not use it."""
    Client(KEY, journal="postgresql://nobody@127.0.0.1:1/none")
    assert list(tmp_path.iterdir()) == []


async def test_an_uncertain_submission_is_decided_on_another_machine(
    database: str, client: Make, fox: Emulator
) -> None:
    """With its key, its request and its error."""
    fox.fail_next("submit", Fault("reset", after=True))
    async with client(database) as one:
        with pytest.raises(SubmitUncertain):
            await one.generate(SHOT, key="order-17")
    async with client(database) as other:
        (record,) = await other.uncertain()
        assert (record.key, record.model) == ("order-17", SHOT.model)
        (task_id,) = fox.ledger.tasks
        video = await (await other.adopt("order-17", task_id))
    assert video.id == task_id


# --- What doctor finds -----------------------------------------------------------------------------------------------

FINE = {"version": "15.1", "major": 15, "now": 1000.0, "synchronous": "", "standbys": 0, "closed": None}
FINDINGS: dict[str, tuple[dict[str, Any], str, bool]] = {
    "too old": ({"version": "12.4", "major": 12}, "12.4 is too old", True),
    "no rights": ({"closed": "owners, tasks"}, "may not change owners, tasks", True),
    "an asynchronous standby": ({"standbys": 1}, "forgets the last commits", False),
    "a clock that is late": ({"now": 1060.0}, "-60 s off", False),
    "a clock that is early": ({"now": 940.0}, "+60 s off", False),
}


@pytest.mark.parametrize("case", FINDINGS)
def test_what_may_cost_money_some_day_is_found(case: str) -> None:
    """And what to do about it is said."""
    told, what, fatal = FINDINGS[case]
    (finding,) = findings(FINE | told, 1000.0)
    assert what in finding.what
    assert (bool(finding.advice), finding.fatal) == (True, fatal)


def test_a_database_that_is_fine_is_fine(database: str) -> None:
    """A standby that is waited for, too."""
    assert inspect(database) == ()
    assert list(findings(FINE | {"standbys": 1, "synchronous": "*"}, 1004.0)) == []


def test_the_rights_of_a_role_are_looked_at(database: str) -> None:
    """Before the first submission needs them."""
    url = _nobody(database)
    execute(database, "GRANT USAGE ON SCHEMA foxvideo TO guest; GRANT SELECT ON ALL TABLES IN SCHEMA foxvideo TO guest")
    (finding,) = inspect(url)
    assert finding.what == "this role may not change durations, files, limits, owners, tasks, uploads"
    execute(database, "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA foxvideo TO guest")
    assert inspect(url) == ()


async def test_a_role_with_these_rights_can_do_all(database: str) -> None:
    """They are what the tables' file says."""
    url = _nobody(database)
    execute(
        database,
        "GRANT USAGE ON SCHEMA foxvideo TO guest;"
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA foxvideo TO guest",
    )
    async with PostgresStore(url) as store:
        for status in RecordStatus:
            assert (await bring(store, status, status)).status is status
        await store.learn("m", "{}")
        await store.forget(0.0)
