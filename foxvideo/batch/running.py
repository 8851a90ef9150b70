"""The run: rows in, outcomes out, as many alive at once as allowed.

What belongs here: what is begun when, and what is left behind when it stops. What must not: the way of one row
(``journey.py``), and what is shown (``cli/``).
"""

import asyncio
import contextlib
import functools
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs

from foxvideo._journal import Journal
from foxvideo.batch.budget import Budget, Verdict
from foxvideo.batch.journey import Journey, Submitter, Watch, quiet
from foxvideo.batch.records import Outcome, Results
from foxvideo.batch.rows import TALLY, BadRow, Keys, Row
from foxvideo.batch.scratch import scratch
from foxvideo.errors import InvalidRequest, UploadError
from foxvideo.requests.generic import Request, VideoRequest, check

T = TypeVar("T")
Item = Row | BadRow | VideoRequest | Mapping[str, object]
Items = Iterable[Item] | AsyncIterable[Item]
"""What a batch takes: the rows of a ``Manifest``, or requests, which are named by their content."""


@attrs.define(eq=False)
class Batch(AsyncIterator[Outcome]):
    """A run over some rows: ``async for outcome in batch`` yields how each ended, as it ends; once.

    Cancelling it withdraws what was not sent and follows nothing any more; the journal has all of it, and another run
    over the same rows goes on. Who leaves the loop early says so with ``aclose``, or uses ``contextlib.aclosing``; else
    that happens a little later, and until then no other batch may begin in the folder.
    """

    _order: "Order"
    _outcomes: AsyncGenerator[Outcome, None] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        # The generator knows the order and not the batch: so it ends when nobody holds the batch any more.
        self._outcomes = self._order.outcomes()

    @property
    def halted(self) -> str:
        """Why it began nothing more: its budget, a full disk, a key that is refused; empty if it did not."""
        return self._order.halted

    def stop(self) -> None:
        """Begin nothing new; the loop ends when what is under way has ended."""
        self._order.stop()

    async def aclose(self) -> None:
        """Leave at once: what was not sent is withdrawn, and the rest is left to another run."""
        await self._outcomes.aclose()

    async def __anext__(self) -> Outcome:
        return await anext(self._outcomes)


@attrs.define(eq=False, kw_only=True)
class Order:
    """What a batch was asked for, and how far it is; ``Client.batch`` has the attributes."""

    client: Submitter
    journal: Journal
    items: Items
    folder: Path
    max_active: int
    max_credits: float | None
    retry_failed: bool
    check: bool
    timeout: float | None
    watch: Watch = quiet
    _stopped: bool = attrs.field(default=False, init=False)
    _journey: Journey | None = attrs.field(default=None, init=False)

    @property
    def halted(self) -> str:
        """Why nothing more is begun; empty while more is."""
        return self._journey.halted if self._journey else ""

    def stop(self) -> None:
        """Begin nothing new."""
        self._stopped = True
        if self._journey is not None:
            self._journey.halt("stopped")

    async def outcomes(self) -> AsyncGenerator[Outcome, None]:
        """Yield how each row ended, as it ends."""
        await asyncio.to_thread(self.folder.mkdir, parents=True, exist_ok=True)
        with Results.opened(self.folder) as results, scratch(TALLY) as tally:
            journey = self._journey = Journey(
                client=self.client,
                journal=self.journal,
                folder=self.folder,
                results=results,
                budget=await self._budget(),
                retry_failed=self.retry_failed,
                timeout=self.timeout,
                watch=self.watch,
            )
            if self._stopped:
                self.stop()
            rows = _named(self.items, Keys(tally), documented=self.check)
            running = _Running(journey, self.max_active, rows)
            async with contextlib.aclosing(rows), contextlib.aclosing(running.outcomes()) as outcomes:
                async for outcome in outcomes:
                    yield outcome

    async def _budget(self) -> Budget:
        """Return the budget, less what all runs in this folder have reserved."""
        budget = Budget(self.max_credits)
        if budget.limit is not None:
            for row in await self.journal.rows():
                if row.credits is not None:
                    budget.add(row.model, row.credits)
        return budget


@attrs.define(eq=False)
class _Running:
    """Rows on their way, ``most`` at once."""

    journey: Journey
    most: int
    rows: AsyncIterator[Row | BadRow]
    _ended: deque[Outcome] = attrs.field(factory=deque, init=False)
    _alive: set[asyncio.Task[Outcome | None]] = attrs.field(factory=set, init=False)
    _reading: asyncio.Task[Row | BadRow | None] | None = attrs.field(default=None, init=False)
    _next: Row | BadRow | None = attrs.field(default=None, init=False)
    _exhausted: bool = attrs.field(default=False, init=False)

    async def outcomes(self) -> AsyncGenerator[Outcome, None]:
        news = self.journey.news
        try:
            while True:
                news.clear()
                self._collect()  # before anything is begun, or a place that has just come free would be overlooked
                await self._fill()
                while self._ended:
                    yield self._ended.popleft()
                if not self._alive and (self._exhausted or self.journey.halted):
                    return
                await news.wait()
        finally:
            leaving = [*self._alive, *([self._reading] if self._reading else [])]
            for task in leaving:
                task.cancel()
            await asyncio.gather(*leaving, return_exceptions=True)

    async def _fill(self) -> None:
        """Begin what may be begun now."""
        while not self.journey.halted and len(self._alive) < self.most:
            if self._next is None:
                self._read()
            match self._next:
                case None:
                    return
                case BadRow() as row:
                    self._ended.append(self.journey.refused(row))
                case row:
                    if await self.journey.verdict(row) is not Verdict.GO:
                        return
                    self._begin(row)
            self._next = None

    def _read(self) -> None:
        """Take the next row over if it is there, else have it read."""
        if self._reading is None and not self._exhausted:
            self._reading = asyncio.create_task(_next(self.rows))
            self._reading.add_done_callback(lambda _: self.journey.news.set())
        elif self._reading is not None and self._reading.done():
            reading, self._reading = self._reading, None
            self._next = reading.result()
            self._exhausted = self._next is None

    def _begin(self, row: Row) -> None:
        task = asyncio.create_task(self.journey.go(row))
        task.add_done_callback(lambda _: self.journey.news.set())
        self._alive.add(task)

    def _collect(self) -> None:
        """Take over what has ended."""
        over = {task for task in self._alive if task.done()}
        self._alive -= over
        self._ended.extend(outcome for task in over if (outcome := task.result()) is not None)


async def _next(rows: AsyncIterator[T]) -> T | None:
    return await anext(rows, None)


async def _named(items: Items, keys: Keys, *, documented: bool) -> AsyncGenerator[Row | BadRow, None]:
    """Yield rows; a request gets its number and its key."""
    number = 0
    async with contextlib.aclosing(_read(items)) as read:
        async for item in read:
            number += 1
            if isinstance(item, Row | BadRow):
                yield item
            else:
                yield await _to_the_end(functools.partial(_row, item, number, keys, documented=documented))


async def _to_the_end(work: Callable[[], T]) -> T:
    """Run something in a thread, and do not leave before it has ended: what it uses is closed then."""
    doing = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(doing)
    finally:
        await asyncio.wait({doing})


async def _read(items: Items) -> AsyncGenerator[Item, None]:
    """Yield what is asked for; what is no asynchronous iterable is read in a thread, since it may read files."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
        return
    reading: Iterator[Item] = iter(items)
    try:
        while (taken := await asyncio.to_thread(lambda: next(reading, None))) is not None:
            yield taken
    finally:
        if (close := getattr(reading, "close", None)) is not None:
            with contextlib.suppress(ValueError):  # a thread is still inside it, and the last to hold it
                close()


def _row(item: VideoRequest | Mapping[str, object], number: int, keys: Keys, *, documented: bool) -> Row | BadRow:
    try:
        request: Any = Request.from_mapping(item) if isinstance(item, Mapping) else item
        check(request, documented=documented)
        return Row(number, None, keys.key(request), request)
    except (InvalidRequest, UploadError) as error:
        return BadRow.of(number, None, error)
