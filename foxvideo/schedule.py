"""When to ask after a task again.

A schedule is told what is known of a task and answers with the age at which to ask next; it knows no clock, so the
same schedule runs in a simulation. What belongs here: schedules. What must not: what to do after a read that
failed (``retry.py``).

To write one, give any object a method ``next_age`` as in ``Schedule``.
"""

import random
from typing import NamedTuple, Protocol

import attrs

from foxvideo.states import TaskState

_LAST_LOOK = 1.0  # seconds before a deadline at which a task is asked after once more


class Kind(NamedTuple):
    """Which tasks can be expected to take alike.

    Attributes:
        model: The model that was asked for; empty where a task is followed by its id alone.
        asked: The duration that was asked for, in seconds; None where none was.
    """

    model: str
    asked: float | None = None


class Schedule(Protocol):
    """When to ask after a task."""

    def next_age(self, model: str, age: float, state: TaskState | None) -> float:
        """Return the age, in seconds, at which to ask next.

        Args:
            model: The model that was asked for; empty where a task is followed by its id alone.
            age: Seconds since the task was accepted, or since it is followed; at the first call 0.
            state: The newest state; None before the first.

        Returns:
            An age larger than ``age``.
        """
        ...


@attrs.frozen
class Every:
    """Ask at a fixed interval.

    Attributes:
        seconds: Between two queries, above 0.
    """

    seconds: float = attrs.field(validator=attrs.validators.gt(0))

    def next_age(self, model: str, age: float, state: TaskState | None) -> float:  # noqa: ARG002 - the interface
        """Return the age one interval on."""
        return age + self.seconds


@attrs.frozen
class Growing:
    """Ask after a third of the estimate, then every 5 s, growing to every 10 s.

    The first query comes after ``min(max(estimated_time / 3, 3), 15)`` seconds; all are jittered by a tenth, so
    that a wave of equal tasks does not come due in one instant.
    """

    _random: random.Random = attrs.field(factory=random.Random, repr=False, eq=False)

    def next_age(self, model: str, age: float, state: TaskState | None) -> float:  # noqa: ARG002 - the interface
        """Return the age at which to ask next."""
        estimate = state.estimated_time if state and state.estimated_time else 45.0
        wait = min(max(age / 6, 5.0), 10.0) if age > 0 else min(max(estimate / 3, 3.0), 15.0)
        return age + wait * self._random.uniform(0.9, 1.1)


def clip(due: float, now: float, deadline: float, timeout: float) -> float:
    """Return when to ask, so that the last look falls shortly before the deadline rather than after it.

    Args:
        due: When the schedule would ask.
        now: The present.
        deadline: When the wait ends.
        timeout: How long the wait lasts in all.

    Returns:
        ``due``, or the time of the last look, or the deadline itself when that look was already taken.
    """
    last_look = deadline - min(_LAST_LOOK, timeout / 2)
    if due <= last_look:
        return due
    return last_look if now < last_look else deadline
