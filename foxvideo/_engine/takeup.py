"""What no living client follows any more: found in the journal, again and again, and followed here.

Out of scope: how a task is followed (``polling.py``), and how its end is handed over (``handover.py``).
"""

import asyncio
import contextlib
import time

import attrs

from foxvideo._engine.autosave import Autosave
from foxvideo._engine.engine import Engine
from foxvideo._engine.handover import HandOver
from foxvideo._engine.job import Job
from foxvideo._engine.lookup import Lookup
from foxvideo._journal.record import TaskRecord
from foxvideo._journal.store import Store
from foxvideo._transfer.target import Target
from foxvideo.errors import JournalError
from foxvideo.state import LINK_SECONDS

_SECONDS, _MOST_SECONDS = 1.0, 10.0  # between two looks
_SHARE = 1 / 200  # of its time, at most, that a client spends looking
MOST = 10_000
"""Tasks that a client follows before it takes up another one, unless it is told another number."""


@attrs.define(eq=False, kw_only=True)
class TakeUp:
    """Takes up tasks for one client.

    Attributes:
        store: The journal.
        account: Whose tasks.
        engine: Follows them.
        lookup: Makes jobs of records.
        autosave: Saves what goes into a folder.
        hand_over: Hands their ends over; None where nobody asked for that.
        timeout: Seconds that each may take; None for no limit.
        save_to: The folder; None for none.
    """

    store: Store
    account: str
    engine: Engine
    lookup: Lookup
    autosave: Autosave
    hand_over: HandOver | None
    timeout: float | None
    save_to: Target | None
    _working: asyncio.Task[None] | None = attrs.field(default=None, init=False, repr=False)
    _unsure: bool = attrs.field(default=False, init=False)  # a look failed, and may have taken something up

    def begin(self, most: int = MOST) -> None:
        """Begin to look, unless that has begun."""
        if self._working is None:
            self._working = asyncio.get_running_loop().create_task(self._work(most), name="foxvideo working")

    async def stop(self) -> None:
        """Look no more; what was taken up is followed on."""
        if self._working is not None:
            self._working.cancel()
            await asyncio.wait({self._working})
            self._working = None

    async def _work(self, most: int) -> None:
        """Take up what nobody follows, again and again; a journal that cannot be used is tried again."""
        while not self.engine.closed:
            pause, began = _SECONDS, time.monotonic()
            with contextlib.suppress(JournalError):  # whoever submits hears of it, and the store says so
                if (room := most - self.engine.stats().running) > 0:
                    await self.look(room)
                    pause = pause_after(time.monotonic() - began)
            await asyncio.sleep(pause)

    async def look(self, most: int) -> None:
        """Take up what nobody follows, once: at most so many tasks."""
        for job in await self.once(most, mine=False):
            self.engine.follow(job)

    async def once(self, most: int | None, *, mine: bool) -> list[Job]:
        """Become the follower of what no living client follows, and return it; what goes into a folder is followed.

        Args:
            most: At most so many; None for all.
            mine: Also what this client follows already, and what is so old that nothing can be left of it.
        """
        since = None if self.save_to is None else time.time() - LINK_SECONDS
        asked = self.hand_over is not None
        unsure = self._unsure
        try:
            records = await self.store.follow(
                self.engine.transport.base_url,
                self.account,
                most=most,
                unsaved_since=since,
                mine=mine,
                hand_over=asked,
                unsure=unsure,
            )
        except BaseException:
            self._unsure = True
            raise
        if unsure:
            self._unsure = False
        jobs = []
        for record in records:
            try:
                jobs.append(await self._job(record, handed=asked and not mine))
            except JournalError:  # one that cannot be read keeps no other from being followed
                await self.store.unfollow(record.task_id or "")
        for job in jobs:
            if self.save_to is not None and job.id is not None:
                self.autosave.when_done(job, self.save_to)
                self.engine.follow(job)
        return jobs

    async def _job(self, record: TaskRecord, *, handed: bool) -> Job:
        if handed and record.unheard:
            job = await self.lookup.recalled(record, self.timeout)
            if self.hand_over is not None and job.done():
                self.hand_over.put(job, record.status, record.number)
        else:
            job = self.lookup.remembered(record, self.timeout)
        job.mine = True
        return job


def pause_after(took: float) -> float:
    """Return the seconds until the next look, after one that took so long.

    The fuller a journal is and the more clients it has, the longer a look takes, and the less often each has to look.
    """
    return min(max(_SECONDS, took / _SHARE), _MOST_SECONDS)
