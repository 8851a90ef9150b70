"""The run: rows in, outcomes out, as many at once as allowed.

Out of scope: the way of one row (``row.py``), and what is shown (``cli/``).
"""

import asyncio
import contextlib
import os
import weakref
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import EllipsisType
from typing import TYPE_CHECKING, TypeVar, cast

import attrs

from foxvideo._aio import in_thread
from foxvideo._journal import Store
from foxvideo._options import count, flag, path, seconds
from foxvideo._transfer.target import Target
from foxvideo.batch import naming
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
    _name: str
    _retry_failed: bool
    _check: bool
    _timeout: float | EllipsisType | None
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
            await in_thread(Target(self._folder, folder=True).check)  # before anything is paid for
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
            await in_thread(count_earlier, budget, await self._journal.records(), results.tasks())
        context = Context(
            client=self._client,
            journal=self._journal,
            folder=self._folder,
            name=self._name,
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
                yield await in_thread(_row, item, number, times, documented=documented)


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
        while (taken := await in_thread(lambda: next(reading, _END))) is not _END:
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


def run(
    client: "Client",
    rows: Items,
    into: str | os.PathLike[str],
    *,
    max_active: int = 64,
    max_credits: float | None = None,
    retry_failed: bool = False,
    timeout: float | EllipsisType | None = ...,
    check: bool = True,
    name: str = naming.DEFAULT,
    watch: Watch | None = None,
) -> Batch:
    """Make a video of each row and save it in a folder.

    It yields how each row ended, as it ends::

        async for outcome in batch.run(client, rows, into="clips/"):
            print(outcome.row, outcome.status, outcome.file or outcome.error)

    The key of a row's task is made from the row's content, so that the same rows again go on where the last run
    stopped, and buy nothing twice; of equal rows the second is ``#2``. Each outcome is also a line of
    ``results.jsonl`` in the folder. What that file knows is not bought again either, should the journal be lost.
    Rows are read as they are needed.

    Args:
        client: A client that has a journal.
        rows: A ``Manifest``, or requests, of an iterable or an asynchronous one. One that is not asynchronous is read
            in a thread.
        into: The folder; made if need be.
        max_active: Most rows that are submitted and not saved yet.
        max_credits: What all tasks in the journal and the folder together may reserve; None for no limit. A task whose
            price was never told counts as the largest of its like. A task whose price is not known, by model and every
            field that may set it, goes out alone: it is the only one that may pass the limit.
        retry_failed: Whether rows whose task failed in a former run are tried anew: new, paid tasks.
        timeout: Seconds for each task, None for no limit; the client's ``task_timeout`` if not given.
        check: Whether requests are checked against the documentation; a manifest has its own word on that.
        name: What the videos are called: a template of ``{row}``, ``{key}``, ``{words}`` (of the picture's name, or
            else the first of the prompt), ``{model}`` and columns such as ``{#scene}``; ``{row:03}`` counts 001, 002.
            A digest of the task's id is always added. A row that is complete keeps its file's name.
        watch: Is told where a row stands: the row, a word such as ``saving``, and per cent or None.

    Raises:
        ValueError: There is no journal, or an option is out of its range.
        TypeError: The rows are no rows, or an option is of another type.
    """
    if client.journal is None:
        raise ValueError("a batch needs a journal: Client(journal='videos.db')")
    if not isinstance(timeout, EllipsisType | None):
        seconds("timeout", timeout)
    return Batch(
        client=client,
        journal=client.journal,
        items=rows,
        folder=path("into", into),
        max_active=count("max_active", max_active),
        max_credits=max_credits,
        retry_failed=flag("retry_failed", retry_failed),
        timeout=timeout,
        check=flag("check", check),
        name=naming.template(name),
        watch=watch or quiet,
    )
