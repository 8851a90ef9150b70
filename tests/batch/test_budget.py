"""How much more may be spent, over plain values."""

from collections.abc import Iterable
from typing import Any

import attrs
import pytest
from hypothesis import given, settings, strategies as st

from foxvideo import RecordStatus, TaskRecord
from foxvideo.batch import Ending, Outcome
from foxvideo.batch.budget import Budget, Verdict, count_earlier
from foxvideo.requests.price import PriceClass, price_class

GO, WAIT, STOP = Verdict
FOX, LONG_FOX, OWL = PriceClass("fox", "short"), PriceClass("fox", "long"), PriceClass("owl", "short")
ANY = PriceClass("fox", "any", predictable=False)


def budget(limit: float | None, told: Iterable[tuple[PriceClass, float | None]] = ()) -> Budget:
    """Return a budget in which tasks have been told, or not."""
    made = Budget(limit)
    for number, (price, reserved) in enumerate(told):
        made.add(("earlier", number), price, reserved)
    return made


def test_without_a_limit_anything_goes() -> None:
    """Even where nobody says what it costs."""
    assert budget(None, [(FOX, None)]).verdict(FOX) is GO


# --- One after another -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", [FOX, LONG_FOX, OWL, ANY])
def test_a_task_of_unknown_price_goes_out_alone(other: PriceClass) -> None:
    """Nothing else goes out, of whatever class, until somebody tells what it reserved."""
    spent = budget(100, [(OWL, 1)])

    assert spent.verdict(FOX) is GO
    spent.begin(1, FOX)
    assert spent.verdict(other) is WAIT
    spent.tell(1, 10)
    assert spent.verdict(other) is GO


@pytest.mark.parametrize("price", [LONG_FOX, OWL, ANY])
def test_a_task_of_unknown_price_waits_for_what_is_under_way(price: PriceClass) -> None:
    """Also where another class of its model is known."""
    spent = budget(100, [(FOX, 10)])
    spent.begin(1, FOX)

    assert spent.verdict(price) is WAIT
    spent.tell(1, 10)
    assert spent.verdict(price) is GO


def test_where_the_model_decides_the_length_every_task_goes_out_alone() -> None:
    """What one cost tells nothing about the next."""
    spent = budget(100, [(ANY, 10), (ANY, 10)])

    assert spent.verdict(ANY) is GO
    spent.begin(1, ANY)
    assert spent.verdict(ANY) is WAIT


def test_a_submission_that_made_nothing_lets_the_next_one_go() -> None:
    """It costs nothing."""
    spent = budget(100)
    spent.begin(1, FOX)
    spent.drop(1)

    assert spent.verdict(OWL) is GO
    assert spent.expected == 0


# --- What counts -------------------------------------------------------------------------------------------------


def test_what_is_under_way_counts_as_the_largest_of_its_class() -> None:
    """It stops waiting where less is told."""
    spent = budget(50, [(FOX, 10), (FOX, 5)])
    for name in (1, 2, 3):
        assert spent.verdict(FOX) is GO
        spent.begin(name, FOX)

    assert spent.verdict(FOX) is WAIT
    spent.tell(1, 5)
    assert spent.verdict(FOX) is GO


@pytest.mark.parametrize(
    ("told", "price", "expected"),
    [
        ([(FOX, 10), (LONG_FOX, 30)], FOX, 10),
        ([(FOX, 10), (OWL, 30)], LONG_FOX, 10),
        ([(FOX, 10), (OWL, 30)], PriceClass("bear", "short"), 30),
        ([(ANY, 10), (FOX, 3)], ANY, 10),
        ([], FOX, 0),
    ],
)
def test_what_nobody_told_counts_as_the_largest_of_its_like(
    told: list[tuple[PriceClass, float]], price: PriceClass, expected: float
) -> None:
    """Of its class, else of its model, else of all."""
    spent = budget(1000, told)
    before = spent.expected
    spent.add("untold", price, None)

    assert spent.expected - before == expected


def test_exactly_the_limit_may_be_reserved() -> None:
    """Ten times a tenth is one."""
    spent = budget(1, [(FOX, 0.1)] * 9)

    assert spent.verdict(FOX) is GO
    spent.add("last", FOX, 0.1)
    assert spent.verdict(FOX) is STOP


def test_a_limit_that_is_reached_lets_nothing_of_unknown_price_through() -> None:
    """A limit of nothing buys nothing; what is known to be free costs nothing."""
    assert budget(0).verdict(FOX) is STOP
    assert budget(10, [(FOX, 10)]).verdict(OWL) is STOP
    assert budget(0, [(FOX, 0)]).verdict(FOX) is GO


def test_what_does_not_fit_leaves_room_for_what_does() -> None:
    """A limit is not used up by the first task that is too large for the rest of it."""
    spent = budget(45, [(LONG_FOX, 30), (FOX, 5)])

    assert spent.verdict(LONG_FOX) is STOP
    assert spent.reason == "35 of 45 credits are reserved or may be, and one more fox of 30 would pass it"
    assert spent.verdict(FOX) is GO


@pytest.mark.parametrize("told", [None, float("nan"), float("inf"), -5.0])
def test_what_can_be_no_price_is_not_told(told: float | None) -> None:
    """The service may say anything."""
    spent = budget(100)
    spent.begin(1, FOX)
    spent.tell(1, told)

    assert spent.verdict(FOX) is WAIT
    assert spent.told == 0


def test_what_a_task_reserved_counts_once() -> None:
    """Every poll tells it again, and also of a task that was counted already."""
    spent = budget(100, [(FOX, 10)])
    spent.begin(1, FOX)
    for _ in range(3):
        spent.tell(1, 10)
        spent.tell(("earlier", 0), 10)
        spent.follow(1)

    assert spent.expected == 20
    assert spent.verdict(OWL) is GO


def test_the_largest_that_was_told_of_a_task_counts() -> None:
    """A later reply may say more; one that says less promises nothing."""
    spent = budget(100)
    spent.begin(1, FOX)
    for told in (10, 30, 0):
        spent.tell(1, told)

    assert spent.expected == 30
    spent.begin(2, FOX)
    assert spent.expected == 60


# --- What is never told ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("price", [FOX, LONG_FOX, OWL, ANY])
def test_where_one_of_unknown_price_is_never_told_no_other_of_unknown_price_goes_out(price: PriceClass) -> None:
    """The limit could be passed by each of them."""
    spent = budget(1000)
    spent.begin(1, FOX)
    spent.leave(1)

    assert spent.verdict(price) is STOP
    assert spent.reason == "nobody has told what a task reserved, and the price of one more is not known either"


def test_what_is_never_told_does_not_stop_tasks_whose_price_is_known() -> None:
    """Their sum is."""
    spent = budget(45, [(FOX, 10), (OWL, None)])

    assert spent.verdict(FOX) is GO
    spent.add("more", FOX, 20)
    assert spent.verdict(FOX) is STOP


def test_a_task_of_an_earlier_run_may_be_told_late() -> None:
    """While it is followed it is waited for."""
    spent = budget(100, [(FOX, None)])

    assert spent.verdict(OWL) is STOP
    spent.follow(("earlier", 0))
    assert spent.verdict(OWL) is WAIT
    spent.tell(("earlier", 0), 60)
    assert spent.verdict(OWL) is GO
    assert spent.expected == 60


# --- Earlier runs ------------------------------------------------------------------------------------------------


def record(key: str, status: str, credits_: float | None = None, **values: Any) -> TaskRecord:  # noqa: ANN401 - of a record
    """Return what the journal knows of a submission."""
    text = '{"model": "fox", "duration": 5, "prompt": "A fox"}'
    base = {"number": 1, "attempt": 1, "origin": "", "fingerprint": "", "model": "fox", "request": text, "token": ""}
    times = {"planned": 1.0, "sent": None, "accepted": None, "ended": None}
    told = {"owner": None, "task_id": None, "credits_reserved": credits_, "reply": None, "error": None}
    return TaskRecord(**base | times | told | values, key=key, status=RecordStatus(status))  # type: ignore[arg-type]


def earlier(records: Iterable[TaskRecord], outcomes: Iterable[Outcome] = ()) -> Budget:
    """Return a budget of a thousand with what earlier runs may have reserved."""
    spent = Budget(1000)
    count_earlier(spent, records, outcomes)
    return spent


@pytest.mark.parametrize("status", list(RecordStatus))
def test_every_record_that_may_be_paid_for_counts(status: RecordStatus) -> None:
    """The service promises no refund of a failed task, and what was being sent may have arrived."""
    spent = earlier([record("one", "completed", 10), record("two", status)])

    nothing = status in {RecordStatus.PLANNED, RecordStatus.WITHDRAWN, RecordStatus.REFUSED}
    assert spent.expected == (10 if nothing else 20)


def test_all_attempts_under_a_key_count() -> None:
    """One that failed, and the one that was made anew."""
    assert earlier([record("one", "failed", 10), record("one", "accepted", 10, attempt=2)]).expected == 20


def test_prices_are_learned_from_the_journal() -> None:
    """The next run needs no task that goes out alone."""
    spent = earlier([record("one", "completed", 10)])
    like = price_class({"model": "fox", "duration": 5, "prompt": "Another fox"})

    for name in (1, 2):
        assert spent.verdict(like) is GO
        spent.begin(name, like)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "[" * 100_000])
def test_a_record_that_is_damaged_foretells_no_price(text: str) -> None:
    """What it reserved counts all the same."""
    spent = earlier([record("one", "completed", 10, request=text)])

    assert spent.expected == 10
    assert not any(price.predictable for price in spent._prices)


def outcome(key: str, **values: Any) -> Outcome:  # noqa: ANN401 - of an outcome
    """Return a line of results.jsonl."""
    return Outcome(row=1, key=key, **{"status": Ending.COMPLETED, "model": "fox"} | values)


def test_what_the_results_alone_know_counts() -> None:
    """The journal may have been lost, or be an older copy of itself."""
    known = record("one", "completed", 10, task_id="task-1", planned=5.0)
    outcomes = [
        outcome("one", id="task-1", credits_reserved=10),
        outcome("one", id="task-2", credits_reserved=30),
        outcome("one", status=Ending.UNCERTAIN, planned=5.0),
        outcome("two", status=Ending.UNCERTAIN, planned=6.0),
    ]

    spent = earlier([known], outcomes)

    assert spent.expected == 10 + 30 + 30
    assert spent.verdict(OWL) is STOP


# --- Whatever happens --------------------------------------------------------------------------------------------


@attrs.frozen
class Shot:
    """What a row is, and what becomes of its submission."""

    price: PriceClass
    fate: str  # told, late (by a later run), never, lost, refused
    ends: int  # so many other rows begin before its fate is known


CLASSES = [PriceClass(model, fields, predictable) for model in "ab" for fields in "xy" for predictable in (True, False)]
SHOTS = st.builds(
    Shot,
    price=st.sampled_from(CLASSES),
    fate=st.sampled_from(["told", "told", "told", "late", "never", "lost", "refused"]),
    ends=st.integers(0, 4),
)
AMOUNTS = st.sampled_from([0.0, 0.1, 1.0, 2.5, 7.0, 30.0, 99.9])


@attrs.define
class World:
    """A service with its prices, and what a journal remembers of it."""

    prices: dict[PriceClass, float]
    records: list[tuple[PriceClass, float | None, str, float]] = attrs.field(factory=list)
    blind: list[float] = attrs.field(factory=list)  # what each task reserved that went out while its price was unknown

    def cost(self, price: PriceClass, luck: float) -> float:
        """Return what a task reserves; where its class foretells nothing, anything."""
        return self.prices[price] if price.predictable else luck

    def run(self, limit: float, shots: Iterable[tuple[Shot, float]]) -> int:
        """Take rows to their ends as a batch does, and return how many were submitted."""
        spent, sent = Budget(limit), 0
        for number, (price, told, _, _) in enumerate(self.records):
            spent.add(number, price, told)
        under_way: list[tuple[int, Shot, float]] = []
        for shot, luck in shots:
            while (verdict := spent.verdict(shot.price)) is WAIT:
                assert under_way, "it waits for nothing"
                self.settle(spent, *under_way.pop(0))
            if verdict is STOP:
                continue
            name = len(self.records)
            cost = self.cost(shot.price, luck)
            if shot.fate != "refused" and not spent._knows(shot.price):
                assert not under_way, "one of unknown price is not alone"
                self.blind.append(cost)
            sent += 1
            spent.begin(name, shot.price)
            self.records.append((shot.price, None, shot.fate, cost if shot.fate != "refused" else 0.0))
            under_way.append((name, shot, cost))
            while len(under_way) > shot.ends:
                self.settle(spent, *under_way.pop(0))
        for ended in under_way:
            self.settle(spent, *ended)
        self.records = [record for record in self.records if record[2] != "refused"]
        # What was told late is in the journal when the next run begins.
        self.records = [
            (price, cost if fate == "late" else told, fate, cost) for price, told, fate, cost in self.records
        ]
        return sent

    def settle(self, spent: Budget, name: int, shot: Shot, cost: float) -> None:
        """Let the fate of a submission be known."""
        if shot.fate == "refused":
            spent.drop(name)
        elif shot.fate == "told":
            spent.tell(name, cost)
            price, _, fate, _ = self.records[name]
            self.records[name] = (price, cost, fate, cost)
        spent.leave(name)

    @property
    def reserved(self) -> float:
        """What all that may have been made reserved."""
        return sum(cost for _, _, _, cost in self.records)


@settings(max_examples=400)
@given(
    limit=st.one_of(AMOUNTS, st.floats(0, 200)),
    prices=st.lists(AMOUNTS, min_size=len(CLASSES), max_size=len(CLASSES)),
    runs=st.lists(st.lists(st.tuples(SHOTS, AMOUNTS), max_size=12), min_size=1, max_size=4),
)
def test_all_runs_together_pass_the_limit_by_one_task_of_unknown_price_at_most(
    limit: float, prices: list[float], runs: list[list[tuple[Shot, float]]]
) -> None:
    """Whatever tasks cost, and whatever is told of them when, or never."""
    world = World(dict(zip(CLASSES, prices, strict=True)))

    for shots in runs:
        world.run(limit, shots)

        assert world.reserved <= limit + max(world.blind, default=0.0) + 1e-6


@settings(max_examples=200)
@given(
    price=st.floats(0.5, 20),
    limit=st.floats(0, 100),
    shots=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1)), min_size=30, max_size=30),
)
def test_a_limit_can_be_used_to_the_last_task_that_fits(
    price: float, limit: float, shots: list[tuple[int, int]]
) -> None:
    """Where everything is told, nothing that fits is left undone."""
    world = World(dict.fromkeys(CLASSES, price))
    rows = [(Shot(CLASSES[0 if even else 2], "told", ends), 0.0) for ends, even in shots]

    sent = world.run(limit, rows)

    left = limit - world.reserved
    assert sent == 30 or left < price or limit == 0
