"""How much more may be spent: the rule behind ``max_credits``, over plain values.

The service tells what a task reserved when it has accepted it, or later, or never. So one task of each price class goes
out alone to learn its price, and whatever nobody told counts as the largest of its like. What all tasks can have
reserved then passes the limit by at most one task: one that went out alone while nobody knew its price.
"""

import enum
import json
import math
from collections import Counter
from collections.abc import Hashable, Iterable
from decimal import Decimal

import attrs

from foxvideo._journal import TaskRecord
from foxvideo.batch.results import Outcome, in_journal
from foxvideo.requests.price import PriceClass, price_class


class Verdict(enum.Enum):
    """Whether one more task may be submitted."""

    GO = "submit it"
    WAIT = "wait for what is under way"
    STOP = "do not submit it"


def _exact(credits_: float) -> Decimal:
    """Return a number as it reads, so that ten times 0.1 is 1."""
    return Decimal(repr(float(credits_)))


def _limit(credits_: float | None) -> Decimal | None:
    return None if credits_ is None else _exact(credits_)


@attrs.define
class Budget:
    """What all tasks of a folder have reserved, or may have.

    A task has a name, which is any hashable value. It is *open* while nobody has told what it reserved, and *active*
    while that may still be told in this run.

    Attributes:
        limit: Credits that all tasks together may reserve; None for no limit.
        told: What they have reserved as far as told.
        reason: Why the last task that was refused may not go out; empty while all may.
    """

    limit: Decimal | None = attrs.field(converter=_limit)
    told: Decimal = Decimal(0)
    reason: str = ""
    _open: dict[Hashable, PriceClass] = attrs.field(factory=dict, init=False)
    _closed: dict[Hashable, tuple[PriceClass, Decimal]] = attrs.field(factory=dict, init=False)
    _active: set[Hashable] = attrs.field(factory=set, init=False)
    _counts: Counter[PriceClass] = attrs.field(factory=Counter, init=False)  # of the open ones
    _prices: dict[PriceClass, Decimal] = attrs.field(factory=dict, init=False)  # the largest that was told
    _largest: dict[str, Decimal] = attrs.field(factory=dict, init=False)  # the same by model

    # --- What may go out ---

    def verdict(self, price: PriceClass) -> Verdict:
        """Say whether a task of a price class may be submitted now."""
        if self.limit is None:
            return Verdict.GO
        unknown = not self._knows(price)
        if self._active and (unknown or not all(self._knows(self._open[name]) for name in self._active)):
            return Verdict.WAIT  # a task of unknown price goes out alone
        if unknown:
            untold = sum(count for other, count in self._counts.items() if not self._knows(other))
            reason = self._unknown(untold) if untold else self._spent() if self.expected >= self.limit else ""
        else:
            reason = self._spent(price) if self.expected + self._prices[price] > self.limit else ""
        if not reason:
            return Verdict.GO
        if self._active:
            return Verdict.WAIT  # it may come to less than expected
        self.reason = reason
        return Verdict.STOP

    @property
    def expected(self) -> Decimal:
        """What all tasks have reserved, where an open one counts as the largest of its class, model, or of all."""
        return self.told + sum((count * self._estimate(price) for price, count in self._counts.items()), Decimal(0))

    def _knows(self, price: PriceClass) -> bool:
        return price.predictable and price in self._prices

    def _estimate(self, price: PriceClass) -> Decimal:
        if price in self._prices:
            return self._prices[price]
        return self._largest.get(price.model, max(self._largest.values(), default=Decimal(0)))

    def _unknown(self, untold: int) -> str:
        tasks = "what a task" if untold == 1 else f"what {untold} tasks"
        return f"nobody has told {tasks} reserved, and the price of one more is not known either"

    def _spent(self, price: PriceClass | None = None) -> str:
        more = "" if price is None else f", and one more {price.model} of {float(self._prices[price]):g} would pass it"
        return f"{float(self.expected):g} of {float(self.limit or 0):g} credits are reserved or may be{more}"

    # --- What happened ---

    def add(self, name: Hashable, price: PriceClass, credits_: float | None) -> None:
        """Count a task that may have reserved something, as far as that was told."""
        self._open[name] = price
        self._counts[price] += 1
        self.tell(name, credits_)

    def begin(self, name: Hashable, price: PriceClass) -> None:
        """Count a task that is about to be submitted."""
        self.add(name, price, None)
        self.follow(name)

    def follow(self, name: Hashable) -> None:
        """Note that a task is followed, so that what it reserved may still be told."""
        if name in self._open:
            self._active.add(name)

    def tell(self, name: Hashable, credits_: float | None) -> None:
        """Note what a task reserved: the largest that was told of it; None, and what can be no price, tells nothing."""
        if credits_ is None or not math.isfinite(credits_) or credits_ < 0:
            return
        if name in self._open:
            self._closed[name] = self._close(name), Decimal(0)
        if name not in self._closed:
            return
        price, before = self._closed[name]
        reserved = max(before, _exact(credits_))
        self._closed[name] = price, reserved
        self.told += reserved - before
        self._prices[price] = max(reserved, self._prices.get(price, reserved))
        self._largest[price.model] = max(reserved, self._largest.get(price.model, reserved))

    def leave(self, name: Hashable) -> None:
        """Note that nothing more will be told of a task in this run."""
        self._active.discard(name)

    def drop(self, name: Hashable) -> None:
        """Note that a submission made no task."""
        if name in self._open:
            self._close(name)

    def _close(self, name: Hashable) -> PriceClass:
        price = self._open.pop(name)
        self._active.discard(name)
        self._counts[price] -= 1
        if not self._counts[price]:
            del self._counts[price]
        return price


# --- Earlier runs ------------------------------------------------------------------------------------------------


def count_earlier(budget: Budget, records: Iterable[TaskRecord], outcomes: Iterable[Outcome]) -> None:
    """Count what earlier runs may have reserved.

    A failed task counts what it reserved: the service promises no refund.

    Args:
        budget: Where it counts.
        records: All records of the journal.
        outcomes: What ``results.jsonl`` tells of tasks; those that the journal does not know count, too.
    """
    attempts: dict[str | None, list[TaskRecord]] = {}
    for record in records:
        attempts.setdefault(record.key, []).append(record)
        if record.status.submitted != "no":
            budget.add(charge_of(record), _class_of(record), record.credits_reserved)
    for outcome in outcomes:
        if not in_journal(outcome, attempts.get(outcome.key, ())):
            price = PriceClass(outcome.model or "", predictable=False)
            budget.add(outcome.id or outcome.key, price, outcome.credits_reserved)


def charge_of(record: TaskRecord) -> Hashable:
    """Return the name of a record's task in the budget."""
    return record.key, record.attempt


def _class_of(record: TaskRecord) -> PriceClass:
    try:
        return price_class(json.loads(record.request))
    except (ValueError, AttributeError, RecursionError):  # damaged: nothing is known of its price
        return PriceClass(record.model, predictable=False)
