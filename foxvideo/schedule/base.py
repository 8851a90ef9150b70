"""When to ask after a task again.

A schedule is told what is known of a task and answers with the age at which to ask next; it knows no clock, so the
same schedule runs in a simulation. What belongs here: what a schedule is, and the plain one. What must not: the one
that learns (``adaptive.py``), and what to do after a read that failed (``_wire/verdict.py``).

To write one, derive from ``Schedule`` and give it a ``next_age``; what it wants to keep of a task it returns as a memo,
and gets back with the next call:

>>> class Doubling(Schedule):
...     def next_age(self, asked, age, state, memo):
...         return 2 * age + 5, memo
"""

from typing import NamedTuple, Protocol

import attrs

from foxvideo.state import TaskState

_LAST_LOOK = 1.0  # seconds before a deadline at which a task is asked after once more


class Asked(NamedTuple):
    """What was asked for, as far as tasks alike can be expected to take alike.

    Attributes:
        model: The model; empty where a task is followed by its id alone.
        duration: Seconds of video; None where the request has none.
    """

    model: str
    duration: float | None = None


class Schedule(Protocol):
    """When to ask after a task. One object serves all tasks of a client, on its event loop alone."""

    def next_age(self, asked: Asked, age: float, state: TaskState | None, memo: bytes) -> tuple[float, bytes]:
        """Return the age, in seconds, at which to ask next, and what to remember of the task until then.

        Is called when a task was accepted, and whenever it was seen running; must be quick, a hundred thousand tasks
        may be pending.

        Args:
            asked: What the task was asked for.
            age: Seconds since it was accepted, or since it is followed; ascends from call to call.
            state: The newest state; None before the first.
            memo: What the last call for this task returned; empty at the first. A hundred thousand are kept.

        Returns:
            An age larger than ``age``, and a memo.
        """
        ...

    def ended(self, asked: Asked, age: float, memo: bytes) -> str | None:  # noqa: ARG002 - the interface
        """Hear that a task was seen to have ended, well or not, some time after it was last seen running.

        Args:
            asked: What the task was asked for.
            age: Seconds since it was accepted, when its end was seen.
            memo: What the last call of ``next_age`` for it returned; empty if there was none.

        Returns:
            What the journal shall keep for ``learn``; None for nothing.
        """
        return None

    def learn(self, text: str) -> None:  # noqa: ARG002 - the interface
        """Hear, before or while tasks run, what an earlier ``ended`` returned, perhaps in another process.

        Args:
            text: As it was returned, by this schedule or another one: what makes no sense has to be passed over.
        """
        return


@attrs.frozen
class Every(Schedule):
    """Ask at a fixed interval.

    Attributes:
        seconds: Between two queries, above 0. Where several come due within an eighth of a second, they leave together.
    """

    seconds: float = attrs.field(validator=attrs.validators.gt(0))

    def next_age(self, asked: Asked, age: float, state: TaskState | None, memo: bytes) -> tuple[float, bytes]:  # noqa: ARG002 - the interface
        """Return the age one interval on."""
        return age + self.seconds, memo


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
