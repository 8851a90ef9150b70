"""What waits for a store's thread, and how it hears what became of it."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from foxvideo.errors import JournalError, Submitted

if TYPE_CHECKING:
    import asyncio


@attrs.define(eq=False)
class Work:
    """One operation that waits for its turn.

    Attributes:
        submitted: What an error says of money where it cannot be done.
        operation: What is done.
        args: What it is given.
        kwargs: The same; the id of a task among it stands in that error, too.
        future: What it comes to.
    """

    submitted: Submitted
    operation: Callable[..., Any]
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    future: "asyncio.Future[Any]"

    def failed(self, what: str, hint: str) -> JournalError:
        """Return the error that this operation ends with."""
        task_id = self.kwargs.get("task_id")
        told = JournalError(what, submitted=self.submitted, hint=hint)
        return told.name(task_id=None if task_id is None else str(task_id))


def deliver(batch: Sequence[Work], outcomes: Sequence[object]) -> None:
    """Tell each loop what the operations came to that were asked for on it."""
    told: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], object]]] = {}
    for work, outcome in zip(batch, outcomes, strict=True):
        told.setdefault(work.future.get_loop(), []).append((work.future, outcome))
    for loop, ends in told.items():
        with contextlib.suppress(RuntimeError):  # it is closed; what was written is written
            loop.call_soon_threadsafe(_end, ends)


def _end(ends: "Sequence[tuple[asyncio.Future[Any], object]]") -> None:
    for future, outcome in ends:
        if future.done():
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
            future.exception()  # nobody may be left to look at it
        else:
            future.set_result(outcome)
