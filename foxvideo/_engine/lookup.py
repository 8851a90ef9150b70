"""What the journal knows of a key that is asked for: going on with it, or ending as it did.

What belongs here: the way from a row to a handle. What must not: sending (``submission.py``), and what stands in a row
(``_journal/``).
"""

import asyncio
import contextlib
import time
from typing import Protocol

import attrs

from foxvideo._engine.dispatcher import Kind
from foxvideo._journal.record import OVER, UNDER_WAY, RecordStatus, TaskRecord
from foxvideo._journal.recorder import Forgetful, recalled_request, recalled_state
from foxvideo.errors import FoxError, JournalError, SubmitUncertain, TaskNotFound
from foxvideo.state import LINK_SECONDS, TaskState
from foxvideo.task import Owner, Plan, Stage, VideoTask
from foxvideo.video import Video

_USABLE_SECONDS = LINK_SECONDS - 3600.0  # a link that is about to die is asked for anew
_RAREST_LOOK = 1.0  # seconds between two looks at a row that another client is working on


class Follower(Owner, Protocol):
    """Who follows a task once it is accepted, and ends it."""

    closed: bool
    unfinished: dict[object, VideoTask]

    def now(self) -> float:
        """Return the seconds of the loop's clock."""

    def known(self, task_id: str) -> VideoTask | None:
        """Return the living handle of an id."""

    def admit(self, task: VideoTask, task_id: str) -> None:
        """Give a task its id."""

    def accept(self, task: VideoTask, state: TaskState) -> None:
        """Go on with a task that has just been accepted."""

    def end(self, task: VideoTask, outcome: Video | FoxError, *, written: bool = False) -> None:
        """End a task for this side."""

    def end_as(self, task: VideoTask, state: TaskState, *, written: bool = False) -> None:
        """End a task as a terminal state tells."""

    def settle(self, key: str) -> None:
        """Drop the uncertain handles of a key: another one stands for it now."""

    def set_deadline(self, task: VideoTask, start: float) -> None:
        """Let the time of a task run from here."""

    def expire(self, task: VideoTask) -> None:
        """End a wait whose deadline has passed."""

    def deactivate(self, task: VideoTask) -> None:
        """Count a task no more against ``max_active``."""

    def slow_down(self, kind: Kind, started: float, wait: float) -> None:
        """Take a 429 into account."""


@attrs.define(eq=False)
class Recalls:
    """What the journal of one client knows.

    Attributes:
        life: Who follows and ends the tasks.
        books: What is written down.
        keys: The living handle of each key.
    """

    life: Follower
    books: Forgetful
    keys: dict[str, VideoTask] = attrs.field(repr=False)

    async def recall(self, task: VideoTask, plan: Plan, row: TaskRecord) -> bool:
        """Go on with a task that the journal knows, or end with what it knows.

        Returns:
            False where the row was being worked on, so that it has to be looked at again now.

        Raises:
            JournalError: It was worked on here, and what became of it could not be written down.
        """
        if row.status in UNDER_WAY and row.owner is not None:
            return await self._wait(task, plan, row)
        if row.status is RecordStatus.UNCERTAIN:
            why = row.error or "submit: the reply was lost"
            self.life.settle(row.key)
            self.life.end(task, SubmitUncertain(why, submitted="unknown", task_id=row.task_id), written=True)
        elif row.task_id is None:
            self.life.end(
                task,
                TaskNotFound(f"no task was made under this key: {row.error or 'it was never sent'}", submitted="no"),
            )
        else:
            await self._remember(task, row)
        return True

    async def _wait(self, task: VideoTask, plan: Plan, row: TaskRecord) -> bool:
        """Wait for what comes of a row that is being worked on, here or by another client."""
        living = self.keys.get(row.key)
        if living is not None and living is not task:
            await self._end_with(task, living)
            return True
        if row.owner == self.books.owner and plan.look == _RAREST_LOOK:
            raise JournalError(
                "what became of the last submit under this key was not written down", submitted="unknown"
            )
        self.elsewhere(task, plan)
        # The attempt that was asked for is being made: should it come to nothing, nobody asked for another.
        plan.retry_failed = plan.risk = False
        await asyncio.sleep(plan.look)
        plan.look = min(2 * plan.look, _RAREST_LOOK)
        return False

    def elsewhere(self, task: VideoTask, plan: Plan) -> None:
        """Take note that it is for another client to send a task; it may be stopped for ever, so the time runs."""
        plan.elsewhere = True
        if task._deadline is None:
            self.life.set_deadline(task, self.life.now())

    async def _remember(self, task: VideoTask, row: TaskRecord) -> None:
        """Go on with a task that has an id, or end as it did."""
        task_id = row.task_id or ""
        state = recalled_state(row) if row.status in OVER else None
        task.request = task.request or recalled_request(row)
        known = self.life.known(task_id)
        if known is not None and not (known.done() and state):  # else its links may be dead
            await self._end_with(task, known)
        elif state is not None and not _stale(row, state):
            self.life.admit(task, task_id)
            self.life.end_as(task, state, written=True)
        else:
            self.life.admit(task, task_id)
            task._following = False
            self.life.follow(task)

    async def _end_with(self, task: VideoTask, living: VideoTask) -> None:
        """Let a handle go and end as another of the same task does."""
        share(living)
        with contextlib.suppress(FoxError):
            task_id = await living.wait_accepted()
            self.life.unfinished.pop(task, None)
            task._id, task._stage, task._plan = task_id, Stage.ACCEPTED, None
            async for state in living:
                task._observe(state)
        assert living._outcome is not None  # noqa: S101 - it has ended, or its states would not
        self.life.end(task, living._outcome, written=True)


def share(living: VideoTask) -> None:
    """Take note that one more waits for a task, which may have been given up, but not by name."""
    if living._plan is not None:
        living._plan.shared, living._plan.once = True, living._plan.abandoned


def _stale(row: TaskRecord, state: TaskState) -> bool:
    """Whether the links that were written down may be dead by now."""
    made = min(filter(None, (state.created, row.accepted)), default=0.0)
    return row.status is RecordStatus.COMPLETED and time.time() - made > _USABLE_SECONDS
