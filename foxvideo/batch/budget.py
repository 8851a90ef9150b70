"""How much more may be spent: ``--max-credits``.

What belongs here: the rule, over plain values. What must not: tasks.

The service tells what a task reserved only when it has accepted it. So what is under way counts as much as the largest
of its model that was told so far, and a model of which nothing was told yet goes out alone.
"""

import enum
from collections import Counter

import attrs


class Verdict(enum.Enum):
    """Whether one more task may be submitted."""

    GO = "submit it"
    WAIT = "wait for what is under way"
    STOP = "submit nothing more"


@attrs.define
class Budget:
    """Credits, and what became of them.

    Attributes:
        limit: What all tasks together may reserve; None for no limit.
        reported: What they have reserved as far as told.
        reason: Why no more may be spent; empty while more may.
    """

    limit: float | None
    reported: float = 0.0
    reason: str = ""
    _largest: dict[str, float] = attrs.field(factory=dict, init=False)
    _open: Counter[str] = attrs.field(factory=Counter, init=False)

    def verdict(self, model: str) -> Verdict:
        """Say whether a task of a model may be submitted now."""
        if self.limit is None:
            return Verdict.GO
        if self.reason:
            return Verdict.STOP
        under_way = [name for name, tasks in self._open.items() if tasks]
        if any(name not in self._largest for name in under_way) or (under_way and model not in self._largest):
            return Verdict.WAIT
        expected = self.reported + sum(self._open[name] * self._largest[name] for name in under_way)
        more = self._largest.get(model, 0.0)
        if expected + more <= self.limit and expected < self.limit:
            return Verdict.GO
        if under_way:
            return Verdict.WAIT
        self.reason = f"{self.reported:g} credits are reserved, and one more {model} would pass the {self.limit:g}"
        return Verdict.STOP

    def begin(self, model: str) -> None:
        """Take note that a task is submitted."""
        self._open[model] += 1

    def report(self, model: str, reserved: float) -> None:
        """Take note of what a task that was begun reserved."""
        self._open[model] -= 1
        self.add(model, reserved)

    def add(self, model: str, reserved: float) -> None:
        """Take note of what a task of an earlier run reserved."""
        self.reported += reserved
        self._largest[model] = max(reserved, self._largest.get(model, 0.0))

    def nothing_made(self, model: str) -> None:
        """Take note that no task came of a submit."""
        self._open[model] -= 1

    def silence(self, model: str) -> None:
        """Take note that a task may exist and that nobody said what it reserved."""
        self._open[model] -= 1
        self.reported += self._largest.get(model, 0.0)
        self.reason = self.reason or "the service does not say what a task reserves, so no limit can be kept"
