"""The run: rows in, outcomes out, as many at once as allowed.

Out of scope: the way of one row (``row.py``), and what is shown (``cli/``).
"""

import asyncio
import contextlib
import weakref
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import attrs

from foxvideo._journal import Store
from foxvideo._transfer.target import Target
from foxvideo.batch.budget import Budget, Verdict, count_earlier
from foxvideo.batch.results import Ending, Outcome, Results
from foxvideo.batch.row import Context, RowRun, Watch, quiet
from foxvideo.batch.rows import BadRow, Row, name_row
from foxvideo.errors import InvalidRequest, JournalError
from foxvideo.requests.generic import Request, VideoRequest, check
from foxvideo.requests.validation import show

if TYPE_CHECKING:
    from foxvideo.client import Client

T = TypeVar("T")
_END = object()
Item = Row | BadRow | VideoRequest | Mapping[str, object]
Items = Iterable[Item] | AsyncIterable[Item]
"""What a batch takes: the rows of a ``Manifest``, or requests, which get their keys from their content."""


@attrs.define(eq=False, kw_only=True)
class Batch(AsyncIterable[Outcome]):
    """A run over some rows: ``async for outcome in batch`` yields how each ended, as it ends; once.

    Cancelling it withdraws what was not sent and, once the replies to submissions under way are there, follows nothing
    any more; the journal has all of it, and another run over the same rows goes on. If you leave the loop early, the
    same happens as soon as nobody holds the iterator any more; ``await batch.aclose()`` waits for it, and until it is
    done no other batch may begin in the folder.

    Attributes:
        left: Outcomes that were not handed out, since the run was left: how rows stood that were under way, and those
            that had just ended. Each is also in ``results.jsonl``.
    """

    left: list[Outcome] = attrs.field(factory=list, init=False, repr=False)
    _client: "Client"
    _journal: Store
    _items: Items
    _folder: Path
    _max_active: int
    _max_credits: float | None
    _retry_failed: bool
    _check: bool
    _timeout: float | None
    _watch: Watch = quiet
    _stopped: str = attrs.field(default="", init=False)
    _context: Context | None = attrs.field(default=None, init=False, repr=False)
    # Weak, so that the run ends when nobody iterates any more.
    _outcomes: "weakref.ref[AsyncGenerator[Outcome, None]] | None" = attrs.field(default=None, init=False, repr=False)
    _begun: bool = attrs.field(default=False, init=False, repr=False)
    _leaving: bool = attrs.field(default=False, init=False, repr=False)
    _over: asyncio.Event = attrs.field(factory=asyncio.Event, init=False, repr=False)
    _alive: "dict[asyncio.Task[Outcome | None], RowRun]" = attrs.field(factory=dict, init=False, repr=False)
    _ended: deque[Outcome] = attrs.field(factory=deque, init=False, repr=False)
    _reading: "asyncio.Task[Row | BadRow | None] | None" = attrs.field(default=None, init=False, repr=False)
    _exhausted: bool = attrs.field(default=False, init=False, repr=False)
    _next: RowRun | BadRow | None = attrs.field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        several = isinstance(self._items, Iterable | AsyncIterable)
        if not several or isinstance(self._items, str | bytes | Mapping):
            raise TypeError(f"rows must be a Manifest or an iterable of requests, not {show(self._items)}")
        if self._max_active < 1:
            raise ValueError(f"max_active must be above 0, not {self._max_active!r}")
        if self._max_credits is not None and not self._max_credits >= 0:
            raise ValueError(f"max_credits must not be below 0, not {self._max_credits!r}")

    # --- What a user does ---

    @property
    def halted(self) -> str:
        """Why it began, or bought, nothing more: its budget, a full disk, a refused key; empty if it did not."""
        context = self._context
        return self._stopped or ("" if context is None else context.halted or context.withheld or context.budget.reason)

    def __aiter__(self) -> AsyncGenerator[Outcome, None]:
        if self._outcomes is not None:
            raise RuntimeError("a batch runs once: make another one")
        outcomes = self._run()
        self._outcomes = weakref.ref(outcomes)
        return outcomes

    def stop(self) -> None:
        """Begin nothing new; the loop ends when what is under way has ended."""
        self._stopped = self.halted or "stopped"
        if self._context is not None:
            self._context.halt(self._stopped)

    async def aclose(self) -> None:
        """Leave at once: what was not sent is withdrawn, and the rest is left to another run.

        May be called twice, and from another task than the one that iterates, whose loop then ends.
        """
        outcomes = None if self._outcomes is None else self._outcomes()
        if outcomes is not None and not getattr(outcomes, "ag_running", False):
            await outcomes.aclose()
        elif self._begun:  # somebody waits for an outcome, or the loop is closing an iterator that nobody holds
            self._leaving = True
            if self._context is not None:
                self._context.news.set()
            await self._over.wait()

    # --- The run ---

    async def _run(self) -> AsyncGenerator[Outcome, None]:
        self._begun = True
        with contextlib.ExitStack() as stack:
            stack.callback(self._over.set)
            await asyncio.to_thread(Target(self._folder, folder=True).check)  # before anything is paid for
            results = stack.enter_context(Results.opened(self._folder))
            context = self._context = await self._prepared(results)
            async with contextlib.aclosing(_numbered(self._items, documented=self._check)) as rows:
                try:
                    while not self._leaving:
                        context.news.clear()
                        self._collect()  # before anything is begun, or a place that just came free would be overlooked
                        await self._fill(context, rows)
                        for run in self._alive.values() if context.halted or context.withheld else ():
                            run.withdraw()
                        while self._ended:
                            yield self._ended.popleft()
                        if not self._alive and (context.halted or (self._exhausted and self._next is None)):
                            return
                        await context.news.wait()
                finally:
                    await self._leave()

    async def _prepared(self, results: Results) -> Context:
        """Return what all rows share; the budget has what all runs in this folder may have reserved."""
        budget = Budget(self._max_credits)
        if budget.limit is not None:
            await asyncio.to_thread(count_earlier, budget, await self._journal.records(), results.tasks())
        context = Context(
            client=self._client,
            journal=self._journal,
            folder=self._folder,
            results=results,
            budget=budget,
            retry_failed=self._retry_failed,
            timeout=self._timeout,
            watch=self._watch,
        )
        if self._stopped:
            context.halt(self._stopped)
        return context

    async def _fill(self, context: Context, rows: AsyncGenerator[Row | BadRow, None]) -> None:
        """Begin what may be begun now."""
        while not context.halted and len(self._alive) < self._max_active:
            if self._next is None:
                await self._take(context, rows)
            match self._next:
                case None:
                    return
                case BadRow() as row:
                    self._refuse(context, row)
                case run:
                    verdict = await run.verdict()
                    if verdict is Verdict.WAIT:
                        return
                    if verdict is Verdict.GO:
                        self._begin(context, run)
            self._next = None

    async def _take(self, context: Context, rows: AsyncGenerator[Row | BadRow, None]) -> None:
        """Take the next row over if it has been read, else have it read."""
        if self._reading is None and not self._exhausted:
            self._reading = asyncio.create_task(_next(rows))
            self._reading.add_done_callback(lambda _: context.news.set())
        elif self._reading is not None and self._reading.done():
            reading, self._reading = self._reading, None
            row = reading.result()
            self._exhausted = row is None
            try:
                self._next = await RowRun.planned(row, context) if isinstance(row, Row) else row
            except JournalError as error:
                context.halt(str(error))

    def _refuse(self, context: Context, row: BadRow) -> None:
        """Write down a row that cannot be sent."""
        faults = "; ".join(row.faults)
        outcome = Outcome(row=row.number, line=row.line, key=None, status=Ending.INVALID, error=faults)
        try:
            context.results.add(outcome)
        except OSError as error:
            context.halt(f"the results cannot be written: {error}")
        self._ended.append(outcome)

    def _begin(self, context: Context, run: RowRun) -> None:
        task = asyncio.create_task(run.go())
        task.add_done_callback(lambda _: context.news.set())
        self._alive[task] = run

    def _collect(self) -> None:
        """Take over what has ended."""
        for task in [task for task in self._alive if task.done()]:
            del self._alive[task]
            if (outcome := task.result()) is not None:
                self._ended.append(outcome)

    async def _leave(self) -> None:
        """Leave what is under way; each row says where it stands."""
        tasks = [*self._alive, *([self._reading] if self._reading else [])]
        for task in tasks:
            task.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            over = [
                task.result() for task in self._alive if task.done() and not task.cancelled() and not task.exception()
            ]
            self.left += [*self._ended, *(outcome for outcome in over if outcome is not None)]


async def _next(rows: AsyncGenerator[T, None]) -> T | None:
    return await anext(rows, None)


async def _numbered(items: Items, *, documented: bool) -> AsyncGenerator[Row | BadRow, None]:
    """Yield rows; a request gets its number and its key."""
    number, times = 0, Counter[str]()
    async with contextlib.aclosing(_read(items)) as read:
        async for item in read:
            number += 1
            if isinstance(item, Row | BadRow):
                yield item
            else:
                yield await asyncio.to_thread(_row, item, number, times, documented=documented)


async def _read(items: Items) -> AsyncGenerator[Item, None]:
    """Yield what is asked for; what is no asynchronous iterable is read in a thread, since it may read files."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
        return
    if isinstance(items, Sequence):  # which has its items at hand
        for item in items:
            yield item
        return
    reading: Iterator[Item] = iter(items)
    try:
        while (taken := await asyncio.to_thread(lambda: next(reading, _END))) is not _END:
            yield cast("Item", taken)
    finally:
        if (close := getattr(reading, "close", None)) is not None:
            with contextlib.suppress(ValueError):  # a thread is still inside it, and the last to hold it
                close()


def _row(
    item: VideoRequest | Mapping[str, object], number: int, times: Counter[str], *, documented: bool
) -> Row | BadRow:
    if not isinstance(item, VideoRequest | Mapping):
        return BadRow(number, None, (f"{show(item)} is neither a request nor a mapping",))
    try:
        request = Request.from_mapping(item) if isinstance(item, Mapping) else item
        check(request, documented=documented)
    except InvalidRequest as error:
        return BadRow.of(number, None, error)
    return name_row(number, None, request, times, check=documented)
