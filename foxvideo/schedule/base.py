"""When to poll a task again: what a schedule is, and the plain one.

A schedule is told what is known of a task and answers with the age at which to poll next. It knows no clock, so the
same schedule runs in a simulation:

>>> class Doubling(Schedule):
...     def next_age(self, asked, age, state):
...         return 2 * age + 5

Out of scope: the one that learns (``adaptive.py``), and what to do after a poll that failed (``_wire/verdict.py``).
"""

import inspect
from typing import NamedTuple, Protocol, cast

import attrs

from foxvideo.state import TaskState

_LAST_LOOK = 1.0  # seconds before a deadline at which a task is polled once more


class Asked(NamedTuple):
    """What was asked for, as far as tasks alike can be expected to take alike.

    Attributes:
        model: The model; empty where a task is followed by its id alone.
        duration: Seconds of video; None where the request has none.
    """

    model: str
    duration: float | None = None


class Schedule(Protocol):
    """When to poll a task. One object serves all tasks of a client, on its event loop alone."""

    def next_age(self, asked: Asked, age: float, state: TaskState | None) -> float:
        """Return the age, in seconds, at which to poll next.

        It is called when a task was accepted, and after each poll that found it running. It must be quick: a hundred
        thousand tasks may be pending.

        Args:
            asked: What the task was asked for.
            age: Seconds since the task was accepted; it grows from call to call.
            state: The newest state; None before the first.

        Returns:
            An age larger than ``age``.
        """
        ...


class Learning(Schedule, Protocol):
    """A schedule that keeps something of each task, and learns from those that end."""

    def step(self, asked: Asked, age: float, state: TaskState | None, memo: bytes) -> tuple[float, bytes]:
        """Return the age at which to poll next, and what to remember of the task until then.

        Args:
            asked: As for ``next_age``.
            age: As for ``next_age``.
            state: As for ``next_age``.
            memo: What the last call for this task returned; empty at the first. A hundred thousand are kept.
        """
        ...

    def ended(self, asked: Asked, age: float, memo: bytes) -> str | None:
        """Hear that a task was seen to have ended, well or not, some time after it was last seen running.

        Args:
            asked: What the task was asked for.
            age: Seconds since it was accepted, when its end was seen.
            memo: What the last ``step`` for it returned; empty if there was none.

        Returns:
            What the journal shall keep for ``learn``; None for nothing.
        """
        ...

    def learn(self, text: str) -> None:
        """Hear, before or while tasks run, what an earlier ``ended`` returned, perhaps in another process.

        Args:
            text: As it was returned, by this schedule or another one: what makes no sense has to be passed over.
        """
        ...


@attrs.frozen
class Every(Schedule):
    """Poll at a fixed interval.

    Attributes:
        seconds: Between two polls, above 0. Those that come due within an eighth of a second leave together.
    """

    seconds: float = attrs.field(validator=attrs.validators.gt(0))

    def next_age(self, asked: Asked, age: float, state: TaskState | None) -> float:  # noqa: ARG002 - the interface
        """Return the age one interval on."""
        return age + self.seconds


@attrs.frozen
class Forgetful(Learning):
    """A schedule of ``next_age`` alone, which keeps nothing of a task and learns nothing."""

    schedule: Schedule

    def next_age(self, asked: Asked, age: float, state: TaskState | None) -> float:
        """Return what the schedule says."""
        return self.schedule.next_age(asked, age, state)

    def step(self, asked: Asked, age: float, state: TaskState | None, memo: bytes) -> tuple[float, bytes]:
        """Return what the schedule says, and remember nothing."""
        return self.schedule.next_age(asked, age, state), memo

    def ended(self, asked: Asked, age: float, memo: bytes) -> None:
        """Learn nothing."""

    def learn(self, text: str) -> None:
        """Learn nothing."""

    def __repr__(self) -> str:
        return repr(self.schedule)


def learning(schedule: Schedule) -> Learning:
    """Return a schedule as one that may learn; one that has not all that this takes learns nothing."""
    learns = all(callable(getattr(schedule, verb, None)) for verb in ("step", "ended", "learn"))
    return cast("Learning", schedule) if learns else Forgetful(schedule)


def check(schedule: object) -> None:
    """Refuse what is no schedule, with ``ValueError``."""
    next_age = None if isinstance(schedule, type) else getattr(schedule, "next_age", None)
    try:
        inspect.signature(next_age).bind("asked", "age", "state")  # type: ignore[arg-type]
    except (TypeError, ValueError):
        what = "an object with next_age(asked, age, state), such as foxvideo.Every(5)"
        raise ValueError(f"schedule must be {what}, not {schedule!r:.80}") from None


def clip(due: float, now: float, deadline: float, timeout: float) -> float:
    """Return when to poll, so that the last poll falls shortly before the deadline rather than after it.

    Args:
        due: When the schedule would poll.
        now: The present.
        deadline: When the wait ends.
        timeout: How long the wait lasts in all.

    Returns:
        ``due``, or the time of the last poll, or the deadline itself where that poll has been.
    """
    last_look = deadline - min(_LAST_LOOK, timeout / 2)
    if due <= last_look:
        return due
    return last_look if now < last_look else deadline
