"""What an account may have at once, how fast and for how much: the rule, and how both stores keep it."""

import asyncio
import datetime as dt
import itertools
import time
from typing import Any

import attrs
import pytest
from databases import opened
from hypothesis import given, strategies as st
from journals import bring, claiming, sql

from foxvideo import FoxError, JournalError, LimitReached, Limits, RecordStatus
from foxvideo._journal import Mine, Place, Store
from foxvideo._journal.limits import EASING, LONGEST_TASK, AccountUse, Spent, Standing, Wait, admitted, reserved
from foxvideo._journal.record import DEAD_SECONDS

A = "default"
SPENT = Spent(kind="k", model="grok", price=10.0, told=0.0, untold=0, pending=0)


# --- The rule ---


@pytest.mark.parametrize("value", [0, -1, True, "3", 1.5])
def test_a_number_of_tasks_is_whole_and_positive(value: Any) -> None:  # noqa: ANN401 - anything
    """Its name is said."""
    with pytest.raises(ValueError, match="max_active"):
        Limits(max_active=value)


@pytest.mark.parametrize("value", [0, -1, True, "3", float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["per_second", "max_credits"])
def test_a_rate_and_a_budget_are_positive_numbers(name: str, value: object) -> None:
    """Their names are said."""
    with pytest.raises(ValueError, match=name):
        Limits(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["2026-11-01", 5.0, dt.datetime(2026, 11, 1)])  # noqa: DTZ001 - that is the point
def test_a_day_has_a_time_zone(value: Any) -> None:  # noqa: ANN401 - anything
    """Else it would be another one on each machine."""
    with pytest.raises(ValueError, match="since"):
        Limits(since=value)


def test_without_limits_everything_leaves() -> None:
    """At once."""
    assert admitted(Standing(), 10**6, (), "k", 5.0) == Standing(not_before=5.0)


@given(st.integers(1, 50), st.integers(0, 100))
def test_a_place_is_there_below_the_limit_alone(most: int, active: int) -> None:
    """However many are active."""
    after = admitted(Standing(limits=Limits(max_active=most)), active, (), "k", 5.0)
    assert isinstance(after, Wait) is (active >= most)


@given(st.floats(0.01, 100), st.lists(st.floats(0, 5), min_size=2, max_size=30), st.floats(0, 2))
def test_two_submissions_are_as_far_apart_as_rate_and_pace_say(rate: float, pauses: list[float], gap: float) -> None:
    """Whoever asks too early is told when to ask again, and the pace eases with each that leaves."""
    standing, now, left = Standing(limits=Limits(per_second=rate), gap=gap), 0.0, []
    for pause in pauses:
        now += pause
        after = admitted(standing, 0, (), "k", now)
        if isinstance(after, Wait):
            now += after.seconds
            after = admitted(standing, 0, (), "k", now + 1e-9)
        assert isinstance(after, Standing)
        assert after.gap <= standing.gap * EASING
        left.append((now, max(1 / rate, standing.gap)))
        standing = after
    for (one, least), (two, _) in itertools.pairwise(left):
        assert two - one >= least - 1e-6


def test_an_account_that_is_halted_lets_nothing_out() -> None:
    """And says why."""
    with pytest.raises(LimitReached, match="no credits") as caught:
        admitted(Standing(halted="no credits"), 0, (), "k", 5.0)
    assert caught.value.submitted == "no"


@pytest.mark.parametrize(
    ("spent", "kind", "goes"),
    [
        ((), "k", True),  # the first one, alone
        ((attrs.evolve(SPENT, told=90.0),), "k", True),
        ((attrs.evolve(SPENT, told=91.0),), "k", False),
        ((attrs.evolve(SPENT, told=91.0, untold=1, pending=1),), "k", None),
        ((attrs.evolve(SPENT, told=70.0, untold=2, pending=2),), "k", True),
        ((attrs.evolve(SPENT, told=10.0, untold=1, pending=1),), "other", None),  # what it costs is not known
        ((attrs.evolve(SPENT, told=10.0),), "other", True),
        ((attrs.evolve(SPENT, told=100.0),), "other", False),
        ((attrs.evolve(SPENT, price=None, untold=1),), "other", False),  # two whose price nobody knows
        ((attrs.evolve(SPENT, price=None, untold=1, pending=1),), "k", None),
        ((attrs.evolve(SPENT, kind=None, told=10.0),), None, True),  # these differ each time
        ((attrs.evolve(SPENT, kind=None, told=10.0), attrs.evolve(SPENT, untold=1, pending=1)), None, None),
    ],
)
def test_a_budget_lets_out_what_cannot_pass_it(spent: tuple[Spent, ...], kind: str | None, goes: bool | None) -> None:
    """None is for later, once it is told what those under way have come to."""
    standing = Standing(limits=Limits(max_credits=100.0))
    if goes is False:
        with pytest.raises(LimitReached, match="budget"):
            admitted(standing, 0, spent, kind, 5.0)
    else:
        assert isinstance(admitted(standing, 0, spent, kind, 5.0), Wait) is (goes is None)


def test_what_nobody_told_counts_as_the_largest_of_its_like() -> None:
    """Of its kind, else of its model, else of all."""
    others = (SPENT, attrs.evolve(SPENT, kind="l", price=20.0), attrs.evolve(SPENT, model="veo", price=99.0))
    untold = attrs.evolve(SPENT, price=None, untold=2)
    assert reserved((attrs.evolve(SPENT, untold=2),)) == 20.0
    assert reserved((*others, attrs.evolve(untold, kind="m"))) == 40.0
    assert reserved((*others, attrs.evolve(untold, model="kling"))) == 198.0
    assert reserved((untold,)) == 0.0


@given(
    st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=60),
    st.tuples(*[st.floats(0.5, 40)] * 3),
    st.floats(1, 200),
)
def test_a_budget_is_passed_by_one_task_of_unknown_price_at_most(
    asked: list[tuple[int, bool]], prices: tuple[float, ...], most: float
) -> None:
    """Whatever is asked for in whatever order, and whenever it is told what was reserved."""
    told: list[int] = []
    pending: list[int] = []
    strangers = 0.0
    for kind, tell in asked:
        spent = tuple(
            Spent(
                kind=str(one),
                model="m",
                price=prices[one] if one in told else None,
                told=prices[one] * told.count(one),
                untold=pending.count(one),
                pending=pending.count(one),
            )
            for one in {*told, *pending}
        )
        try:
            after = admitted(Standing(limits=Limits(max_credits=most)), 0, spent, str(kind), 5.0)
        except LimitReached:
            after = None
        if isinstance(after, Standing):
            if kind not in told:
                assert not pending, "alone"
                strangers = prices[kind]
            pending.append(kind)
        if tell:
            told += pending
            pending = []
        assert sum(prices[one] for one in (*told, *pending)) <= most + strangers + 1e-3


# --- The stores ---


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """Run each test that uses a journal with every store."""
    return str(request.param)


async def begin(store: Store, key: str, **changes: Any) -> Mine | Wait:  # noqa: ANN401 - fields of all types
    """Have a request without a key of its own leave."""
    return await store.begin(claiming(key=key, **changes), f"token of {key}")


async def test_clients_never_take_one_place_together(store: Store, path: Place) -> None:
    """Whoever finds none has written nothing; a place is free again once a task has ended."""
    async with opened(path) as other:
        await store.set_limits(A, Limits(max_active=3))
        found = await asyncio.gather(*(begin((store, other)[n % 2], f"auto-{n}") for n in range(12)))
        mine = [one for one in found if isinstance(one, Mine)]
        assert (len(mine), len(await store.records())) == (3, 3)
        assert all(isinstance(one, Mine) or one.seconds > 0 for one in found)
        assert (await other.limits(A)).active == 3
        await store.accepted(mine[0].number, "task-1", credits_reserved=1.0, reply=None)
        assert isinstance(await begin(other, "auto-12"), Wait)
        await store.ended("task-1", RecordStatus.COMPLETED, reply=None, links=1, credits_reserved=None, error=None)
        assert isinstance(await begin(other, "auto-12"), Mine)


async def test_a_key_that_finds_no_place_stays_planned(store: Store) -> None:
    """It is sent once there is one, and not before."""
    await store.set_limits(A, Limits(max_active=1))
    one = await store.claim(claiming(key="one"))
    two = await store.claim(claiming(key="two"))
    assert isinstance(one, Mine)
    assert isinstance(two, Mine)
    assert await store.sending(one.number) is True
    assert isinstance(await store.sending(two.number), Wait)
    assert await store.move(two.number, RecordStatus.SENDING) is False
    assert [record.status for record in await store.records(key="two")] == [RecordStatus.PLANNED]
    assert await store.move(one.number, RecordStatus.REFUSED)
    assert await store.sending(two.number) is True
    assert await store.sending(one.number) is False


@pytest.mark.parametrize(
    ("status", "age", "counts"),
    [
        (RecordStatus.SENDING, 10**6, True),
        (RecordStatus.ACCEPTED, 3600.0, True),
        (RecordStatus.ACCEPTED, DEAD_SECONDS + 60, False),
        (RecordStatus.UNCERTAIN, 60.0, True),
        (RecordStatus.UNCERTAIN, LONGEST_TASK + 60, False),
        (RecordStatus.PLANNED, 60.0, False),
        (RecordStatus.COMPLETED, 60.0, False),
        (RecordStatus.REFUSED, 60.0, False),
    ],
)
async def test_what_may_still_run_is_active(
    status: RecordStatus, age: float, counts: bool, store: Store, path: Place
) -> None:
    """What nobody will hear of any more is not, or it would take a place for ever."""
    await bring(store, status)
    sql(path, "UPDATE tasks SET sent = sent - ?, accepted = accepted - ?", age, age)
    await store.set_limits(A, Limits(max_active=1))
    assert (await store.limits(A)).active == counts
    assert isinstance(await begin(store, "auto-1"), Wait) is counts


async def test_an_account_has_limits_of_its_own(store: Store) -> None:
    """Another one has none, and its tasks do not count."""
    await store.set_limits(A, Limits(max_active=1))
    for number in range(3):
        assert isinstance(await begin(store, f"auto-{number}", account="studio"), Mine)
    assert isinstance(await begin(store, "auto-3"), Mine)
    assert isinstance(await begin(store, "auto-4"), Wait)
    assert (await store.limits("studio")).active == 3
    assert await store.limits("nobody") == AccountUse(limits=Limits(), active=0, credits_reserved=0.0)


async def test_limits_are_there_as_they_were_set(store: Store, path: Place) -> None:
    """For every client; the newest count, and a halt stays one."""
    since = dt.datetime(2026, 11, 1, 8, 30, tzinfo=dt.UTC)
    every = Limits(max_active=40, per_second=2.5, max_credits=5000.0, since=since)
    await store.set_limits(A, every)
    await store.halt(A, "no credits")
    async with opened(path) as other:
        assert await other.limits(A) == AccountUse(limits=every, active=0, credits_reserved=0.0, halted="no credits")
        await other.set_limits(A, Limits(max_active=5))
    assert await store.limits(A) == AccountUse(
        limits=Limits(max_active=5), active=0, credits_reserved=0.0, halted="no credits"
    )


async def test_a_halt_holds_all_clients_until_somebody_says_go_on(store: Store, path: Place) -> None:
    """What was planned stays planned."""
    await store.set_limits(A, Limits())
    async with opened(path) as other:
        mine = await other.claim(claiming(key="one"))
        assert isinstance(mine, Mine)
        await store.halt(A, "the key was refused")
        for ask in (other.sending(mine.number), begin(other, "auto-1")):
            with pytest.raises(LimitReached, match="the key was refused") as caught:
                await ask
            assert not isinstance(caught.value, JournalError)
        assert [record.status for record in await other.records()] == [RecordStatus.PLANNED]
        await store.halt(A, None)
        assert await other.sending(mine.number) is True


async def test_without_limits_there_is_no_halt_and_no_pace(store: Store) -> None:
    """A client alone keeps its own."""
    await store.halt(A, "the key was refused")
    await store.slow_down(A, 5.0, 0.0)
    assert isinstance(await begin(store, "auto-1"), Mine)
    assert (await store.limits(A)).halted is None


async def test_a_429_of_one_client_slows_all_of_them_once(store: Store, path: Place) -> None:
    """Two requests that were under way together are one reason."""
    await store.set_limits(A, Limits())
    async with opened(path) as other:
        await asyncio.gather(store.slow_down(A, 0.0, 5.0), other.slow_down(A, 30.0, 5.0))
        assert (await other.limits(A)).gap == pytest.approx(0.1)
        wait = await begin(other, "auto-1")
        assert isinstance(wait, Wait)
        assert 25 < wait.seconds <= 30
        await other.slow_down(A, 0.0, -1.0)
        assert (await store.limits(A)).gap == pytest.approx(0.2)


async def test_a_rate_is_one_for_all(store: Store, path: Place) -> None:
    """Whoever is too early is told for how long."""
    await store.set_limits(A, Limits(per_second=0.01))
    async with opened(path) as other:
        assert isinstance(await begin(store, "auto-1"), Mine)
        wait = await begin(other, "auto-2")
        assert isinstance(wait, Wait)
        assert 90 < wait.seconds <= 100


async def test_a_budget_counts_what_was_told_and_what_may_have_been(store: Store, path: Place) -> None:
    """Since a time; refunds are nobody's promise, so a task that failed counts."""
    await bring(store, RecordStatus.FAILED, "failed", kind="k")
    await bring(store, RecordStatus.REFUSED, "refused", kind="k")
    await bring(store, RecordStatus.UNCERTAIN, "uncertain", kind="k")
    await bring(store, RecordStatus.COMPLETED, "old", kind="k")
    sql(path, "UPDATE tasks SET sent = sent - 1000 WHERE key = 'old'")
    since = dt.datetime.fromtimestamp(time.time() - 500, dt.UTC)
    await store.set_limits(A, Limits(max_credits=37.5, since=since))
    assert (await store.limits(A)).credits_reserved == 25.0
    assert isinstance(await begin(store, "auto-1", kind="k"), Mine)
    assert isinstance(await begin(store, "auto-2", kind="k"), Wait)
    number = (await store.records(key="auto-1"))[0].number
    await store.accepted(number, "task-1", credits_reserved=12.5, reply=None)
    with pytest.raises(LimitReached, match="budget") as caught:
        await begin(store, "auto-2", kind="k")
    assert isinstance(caught.value, FoxError)
    await store.set_limits(A, Limits(max_credits=1000.0))
    assert (await store.limits(A)).credits_reserved == 50.0


async def test_only_tasks_of_the_account_are_taken_up(store: Store, path: Place) -> None:
    """The key of another account would not find them."""
    async with opened(path) as gone:
        await bring(gone, RecordStatus.ACCEPTED, "one")
        await bring(gone, RecordStatus.ACCEPTED, "two", account="studio")
    which: dict[str, Any] = {"most": None, "unsaved_since": None, "mine": True}
    found = await store.follow(claiming().origin, "studio", **which)
    assert [record.key for record in found] == ["two"]
