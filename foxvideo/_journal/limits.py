"""What an account may have at once, how fast and for how much: the rule by which one more submission leaves, or waits.

All clients that share a journal share these limits. The rule is pure. A store counts, asks it, and writes down what it
decided together with *sending*, and only if nobody was let through since it counted: two clients never take one place.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Self

import attrs

from foxvideo.errors import LimitReached

FULL_SECONDS = 1.0
"""Until a client asks again for a place that only the end of a task makes free."""
EASING = 0.9
"""Of the pause between two submissions after a 429, with each that leaves."""
FIRST_GAP, MOST_GAP, LEAST_GAP = 0.1, 10.0, 0.01
"""Seconds of that pause."""
LONGEST_TASK = 3600.0
"""An uncertain submission counts as active for so long: there may be a task."""


def _positive(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ValueError(f"{attribute.name} must be above 0, not {value!r}")


def _count(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError(f"{attribute.name} must be a whole number of at least 1, not {value!r}")


def _moment(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is not None and (not isinstance(value, dt.datetime) or value.tzinfo is None):
        raise ValueError(f"{attribute.name} must be a datetime with a time zone, not {value!r}")


@attrs.frozen(kw_only=True)
class Limits:
    """What all clients together that share a journal may do with one account; None is no limit.

    Attributes:
        max_active: Most tasks that are submitted and have not ended. A submission whose outcome is uncertain counts for
            an hour.
        per_second: Most submissions in a second; below 1 for fewer, as 0.5 for one in two seconds.
        max_credits: Most credits that tasks may reserve. What is not told yet counts as the largest that a task with
            the same price-setting fields reserved; a combination that is new goes out alone.
        since: From when on ``max_credits`` counts, with a time zone; None for everything in the journal.
    """

    max_active: int | None = attrs.field(default=None, validator=_count)
    per_second: float | None = attrs.field(default=None, validator=_positive)
    max_credits: float | None = attrs.field(default=None, validator=_positive)
    since: dt.datetime | None = attrs.field(default=None, validator=_moment)


@attrs.frozen(kw_only=True)
class AccountUse:
    """Where an account stands.

    Attributes:
        limits: Its limits.
        active: Tasks that count against ``max_active`` now.
        credits_reserved: Credits that tasks have reserved, or may have, as ``max_credits`` counts them.
        gap: Seconds between two submissions since the service answered 429; 0 for none.
        halted: Why nothing is submitted until somebody says so; None while that is not so.
    """

    limits: Limits
    active: int
    credits_reserved: float
    gap: float = 0.0
    halted: str | None = None


@attrs.frozen
class Wait:
    """No place now.

    Attributes:
        seconds: After that it may be asked for again.
        why: What is in the way.
    """

    seconds: float
    why: str


@attrs.frozen(kw_only=True)
class Standing:
    """What a store has of an account's limits.

    Attributes:
        limits: As somebody set them.
        halted: As in ``AccountUse``.
        gap: Likewise.
        not_before: No submission leaves earlier, in Unix seconds.
        version: Another one after each change.
    """

    limits: Limits = Limits()
    halted: str | None = None
    gap: float = 0.0
    not_before: float = 0.0
    version: int = 0

    @classmethod
    def of(cls, row: Mapping[str, Any] | None) -> Self | None:
        """Return what a row of the table says; None where it has no limits, or there is none."""
        if row is None or row["version"] is None:
            return None
        since = None if row["since"] is None else dt.datetime.fromtimestamp(row["since"], dt.UTC)
        limits = Limits(
            max_active=row["max_active"],
            per_second=row["per_second"],
            max_credits=row["max_credits"],
            since=since,
        )
        moving = {name: row[name] for name in ("halted", "gap", "not_before", "version")}
        return cls(limits=limits, **moving)

    @property
    def since(self) -> float:
        """From when on the budget counts, in Unix seconds."""
        return 0.0 if self.limits.since is None else self.limits.since.timestamp()


@attrs.frozen(kw_only=True)
class Spent:
    """What the tasks of one kind have come to: those that cost the same.

    Attributes:
        kind: The name of the kind; None where nothing tells what one costs.
        model: Their model.
        price: The largest that one has reserved; None where nobody was told.
        told: Credits that were reserved since the budget counts.
        untold: Tasks since then of which nobody was told what they reserved.
        pending: Those among them that may still be told.
    """

    kind: str | None
    model: str
    price: float | None
    told: float
    untold: int
    pending: int

    @property
    def known(self) -> bool:
        """Whether one more costs what another has."""
        return self.kind is not None and self.price is not None


def reserved(spent: Sequence[Spent]) -> float:
    """Return what tasks may have reserved; an untold one counts as the largest of its kind, model, or of all."""
    largest = max((one.price for one in spent if one.price is not None), default=0.0)

    def price(one: Spent) -> float:
        if one.price is not None:
            return one.price
        return max((o.price for o in spent if o.model == one.model and o.price is not None), default=largest)

    return round(sum(one.told + one.untold * price(one) for one in spent if one.untold or one.told), 6)


def admitted(standing: Standing, active: int, spent: Sequence[Spent], kind: str | None, now: float) -> Standing | Wait:
    """Decide whether one more submission may leave; what becomes of the account then, or for how long it waits.

    Args:
        standing: Its limits.
        active: Tasks that have not ended.
        spent: What those of each kind have come to; only looked at where there is a budget.
        kind: Of the one more.
        now: Unix seconds.

    Raises:
        LimitReached: It may not leave until somebody changes the limits.
    """
    limits = standing.limits
    if standing.halted is not None:
        raise halted(standing.halted)
    if limits.max_credits is not None:
        of_kind = next((one for one in spent if one.kind == kind and one.known), None)
        pending = any(one.pending for one in spent)
        if pending and (of_kind is None or any(one.pending and not one.known for one in spent)):
            return Wait(FULL_SECONDS, "a task of unknown price goes out alone")
        expected = reserved(spent)
        if of_kind is None:
            over = any(one.untold and not one.known for one in spent) or expected >= limits.max_credits
        else:
            over = round(expected + (of_kind.price or 0.0), 6) > limits.max_credits
        if over and pending:
            return Wait(FULL_SECONDS, "what is under way may come to less than expected")
        if over:
            raise used_up(expected, limits.max_credits)
    if limits.max_active is not None and active >= limits.max_active:
        return Wait(FULL_SECONDS, f"{active} tasks of the account are active")
    if standing.not_before > now:
        return Wait(standing.not_before - now, "the account's pace")
    step = max(standing.gap, 1 / limits.per_second if limits.per_second else 0.0)
    gap = standing.gap * EASING
    return attrs.evolve(standing, gap=gap if gap >= LEAST_GAP else 0.0, not_before=now + step)


def use_of(standing: Standing | None, active: int, spent: Sequence[Spent]) -> AccountUse:
    """Return where an account stands; without limits it has none of its own."""
    one = standing or Standing()
    return AccountUse(
        limits=one.limits, active=active, credits_reserved=reserved(spent), gap=one.gap, halted=one.halted
    )


def columns_of(limits: Limits) -> dict[str, int | float | None]:
    """Return limits as the columns of a table have them."""
    since = None if limits.since is None else limits.since.timestamp()
    return {
        "max_active": limits.max_active,
        "per_second": limits.per_second,
        "max_credits": limits.max_credits,
        "since": since,
    }


def halted(why: str) -> LimitReached:
    """Return the error that an account is halted."""
    return LimitReached(f"submissions of the account are halted: {why}", submitted="no")


def used_up(expected: float, most: float) -> LimitReached:
    """Return the error that the budget of an account is used up."""
    what = f"the account's budget: {expected:g} of {most:g} credits may be reserved, and one more task could exceed it"
    return LimitReached(what, submitted="no")
