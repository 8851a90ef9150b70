"""The way of one row: submitted under its key or followed by its id, saved, and told.

Out of scope: what is to be done with it (``way.py``), and which row is next (``batch.py``).
"""

import asyncio
import functools
import json
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from types import EllipsisType
from typing import TYPE_CHECKING, Any

import attrs

from foxvideo._aio import in_thread
from foxvideo._engine.ends import End, end_of
from foxvideo._journal import Store, TaskRecord
from foxvideo.batch.budget import Budget, Verdict, charge_of
from foxvideo.batch.results import Ending, Outcome, Results
from foxvideo.batch.rows import Row, described
from foxvideo.batch.saving import save
from foxvideo.batch.way import Way, latest_attempt, makes_video, way
from foxvideo.errors import (
    AuthenticationError,
    ClientClosed,
    FoxError,
    InsufficientCredits,
    JournalError,
    LimitReached,
    TaskAbandoned,
    TaskFailed,
)
from foxvideo.requests.generic import VideoRequest, fields_of
from foxvideo.requests.price import PriceClass, price_class
from foxvideo.task import VideoTask
from foxvideo.video import Video

if TYPE_CHECKING:
    from foxvideo.client import Client

Watch = Callable[[Row, str, float | None], None]
"""Is told where a row stands: the row, a word, and per cent or None."""

WITHDRAWN = "withdrawn"
_LEFT_UNSAVED: dict[str, Any] = {"status": Ending.UNSAVED, "error": "left before its video was saved"}
_LEFT_UNFINISHED: dict[str, Any] = {"status": Ending.UNFINISHED, "error": "left, its task goes on"}
_LEFT_UNCERTAIN: dict[str, Any] = {"status": Ending.UNCERTAIN, "error": "left before it was known what was made"}
_LEFT_ALONE = (
    "it may have been paid for, and this journal does not know it: where it made no task, remove its line from "
    "results.jsonl"
)
_ENDINGS = {
    End.COMPLETED: Ending.COMPLETED,
    End.FAILED: Ending.FAILED,
    End.CANCELLED: Ending.CANCELLED,
    End.UNCERTAIN: Ending.UNCERTAIN,
    End.NOTHING_MADE: Ending.REFUSED,
    End.GOING_ON: Ending.UNFINISHED,
}
_HOPELESS = (AuthenticationError, JournalError, ClientClosed)  # no other row would fare better


@attrs.define(eq=False, kw_only=True)
class Context:
    """What all rows of a run share.

    Attributes:
        client: Submits and follows.
        journal: The client's.
        folder: Where videos go.
        name: What they are called, as a template.
        results: What is written down.
        budget: What may be spent.
        retry_failed: Whether a task that failed in a former run is bought again.
        timeout: Seconds that a task may take; None for no limit, an ellipsis for the client's own.
        watch: Is told where a row stands.
        news: Set whenever something may let another row begin, or has ended.
        halted: Why nothing more is begun; empty while all is well.
        withheld: Why nothing more is bought; empty while all is well.
    """

    client: "Client"
    journal: Store
    folder: Path
    name: str
    results: Results
    budget: Budget
    retry_failed: bool
    timeout: float | EllipsisType | None
    watch: Watch
    news: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    halted: str = attrs.field(default="", init=False)
    withheld: str = attrs.field(default="", init=False)

    def halt(self, reason: str) -> None:
        """Begin nothing more; the first reason stays."""
        self.halted = self.halted or reason
        self.news.set()

    def withhold(self, reason: str) -> None:
        """Buy nothing more; what is paid for goes on. The first reason stays."""
        self.withheld = self.withheld or reason
        self.news.set()


@attrs.define(eq=False)
class RowRun:
    """One row on its way.

    Attributes:
        context: What it shares with the others.
        row: The row.
        way: What is to be done.
        known: What a former run came to; None for nothing.
        record: What the journal knows; None for nothing.
    """

    context: Context
    row: Row
    way: Way
    known: Outcome | None
    record: TaskRecord | None
    _charge: Hashable = attrs.field(init=False)  # its name in the budget
    _price: PriceClass | None = attrs.field(default=None, init=False)
    _task: VideoTask | None = attrs.field(default=None, init=False)
    _video: Video | None = attrs.field(default=None, init=False)

    @classmethod
    async def planned(cls, row: Row, context: Context) -> "RowRun":
        """Look up what is known of a row, and decide.

        Raises:
            JournalError: The journal cannot be read.
        """
        known = context.results.find(row.key)
        size = _size(context.folder / known.file) if known is not None and known.file else None
        decide = functools.partial(way, known, size=size, retry_failed=context.retry_failed)
        if decide(()) is Way.KEEP:  # nobody needs to be asked
            return cls(context, row, Way.KEEP, known, None)
        attempts = await context.journal.records(key=row.key)
        return cls(context, row, decide(attempts), known, latest_attempt(attempts))

    def __attrs_post_init__(self) -> None:
        match self.way:
            case Way.FOLLOW if self.known is not None:
                self._charge = self.known.id
            case Way.RESUME if self.record is not None:
                self._charge = charge_of(self.record)
            case _:
                self._charge = object()

    async def verdict(self) -> Verdict:
        """Say whether the row may begin now; where it may and costs something, the budget has it from here on."""
        budget = self.context.budget
        if self.way is not Way.BUY:
            budget.follow(self._charge)
            return Verdict.GO
        if self.context.withheld:
            return Verdict.STOP
        if budget.limit is None:
            return Verdict.GO
        if self._price is None:
            self._price = price_class(json.loads(await in_thread(described, self.row.request)))
        verdict = budget.verdict(self._price)
        if verdict is Verdict.GO:
            budget.begin(self._charge, self._price)
        return verdict

    def withdraw(self) -> None:
        """Withdraw the task if it was not sent yet; one that is being sent brings an id, and goes on."""
        if self.way is Way.BUY and self._task is not None and self._task.id is None:
            self._task.withdraw()

    async def go(self) -> Outcome | None:
        """Take the row to its end, and write that down.

        Cancelling it leaves the task alone, withdraws it if it was not sent, and tells where it stands; where it is
        being sent, once the reply is there. Cancelling it once more does not wait for that.

        Returns:
            How it ended; None where nothing was sent.
        """
        try:
            found = await self._found()
        except asyncio.CancelledError:
            found = await self._left()
        self._settle(found)
        if found is None:
            self._tell_watch(WITHDRAWN)
            return None
        outcome = await self._outcome(found)
        try:
            self.context.results.add(outcome)
        except OSError as error:
            self.context.halt(f"the results cannot be written: {error}")
        return outcome

    async def _found(self) -> dict[str, Any] | None:
        """Return what is to be told of the row; None where nothing was sent."""
        if self.way is Way.LEAVE:
            return {"status": Ending.UNCERTAIN, "error": _LEFT_ALONE}
        if self.way is Way.KEEP:
            return {}
        try:
            self._video = await self._made()
            return await self._saved(self._video)
        except FoxError as error:
            if isinstance(error, _HOPELESS):
                self.context.halt(str(error))
            elif isinstance(error, InsufficientCredits | LimitReached):
                self.context.withhold(str(error))
            return _told_of(error)

    # --- The task ---

    async def _made(self) -> Video:
        """Have the video made, or follow the task that makes it."""
        self._tell_watch("submitting" if self.way is Way.BUY else "looking up")
        if self.way is Way.FOLLOW and self.known is not None:
            return await self._followed(self.context.client.task(self.known.id, timeout=self.context.timeout))
        task = self.context.client.submit(
            self.row.request,
            key=self.row.key,
            retry_failed=self.context.retry_failed and self.way is Way.BUY,
            timeout=self.context.timeout,
            check=False,  # rows are checked when they are read
        )
        return await self._followed(task)

    async def _followed(self, task: VideoTask) -> Video:
        self._task = task
        await task.wait_accepted()
        async for state in task:
            self._tell_budget(state.credits_reserved)
            self._tell_watch(state.status_text, state.progress)
        return await task

    async def _left(self) -> dict[str, Any] | None:
        """Return where the row stands that is left now; None where nothing was sent."""
        if self._video is not None:
            return _told_of_video(self._video) | _LEFT_UNSAVED
        assert self._task is not None  # noqa: S101 - nothing is awaited before
        self._task.abandon()
        if self.way is not Way.BUY:
            uncertain = self.record is not None and self.record.status.submitted == "unknown"
            return _LEFT_UNCERTAIN if uncertain else _LEFT_UNFINISHED
        try:
            return _told_of_video(await self._task) | _LEFT_UNSAVED  # where it is being sent, the reply has its id
        except asyncio.CancelledError:
            return _LEFT_UNCERTAIN
        except FoxError as error:
            found = _told_of(error)
            return found | _LEFT_UNFINISHED if found and found["status"] is Ending.UNFINISHED else found

    # --- The money ---

    def _tell_budget(self, credits_reserved: float | None) -> None:
        if credits_reserved is not None:
            self.context.budget.tell(self._charge, credits_reserved)
            self.context.news.set()

    def _settle(self, found: Mapping[str, Any] | None) -> None:
        """Close the account of a row as far as this run goes."""
        made_nothing = found is None or found.get("status") is Ending.REFUSED
        if made_nothing and self.way is Way.BUY:
            self.context.budget.drop(self._charge)
        else:
            self.context.budget.leave(self._charge)

    # --- The file ---

    async def _saved(self, video: Video) -> dict[str, Any]:
        found = _told_of_video(video)
        if not video.urls:
            return found if not makes_video(self.row.request.model) else found | _without_link(video)
        self._tell_watch("saving")

        def told(size: int, whole: int | None) -> None:
            self._tell_watch("saving", 100 * size / whole if whole else None)

        try:
            context, digest = self.context, await self._digest(video.id)
            file = await save(video, self.row, context.folder, digest, told, name=context.name)
            found["saved"] = (await in_thread(file.path.stat)).st_mtime
        except FoxError as error:
            return found | {"status": Ending.UNSAVED, "error": _line(error.what)}
        except FileExistsError as error:  # somebody else's file has its name
            return found | {"status": Ending.UNSAVED, "error": _line(str(error))}
        except OSError as error:
            self.context.halt(f"videos cannot be saved: {error}")
            return found | {"status": Ending.UNSAVED, "error": _line(str(error))}
        name = file.path.relative_to(self.context.folder).as_posix()
        return found | {"file": name, "sha256": file.sha256, "bytes": file.size}

    async def _digest(self, task_id: str) -> str | None:
        """Return the SHA-256 of the video when it was saved; None where that is not known."""
        noted = (await self.context.journal.files(task_id)).get(0)
        if noted is not None:
            return noted.sha256
        return self.known.sha256 if self.known is not None and self.known.id == task_id else None

    # --- What is told ---

    def _tell_watch(self, stage: str, progress: float | None = None) -> None:
        self.context.watch(self.row, stage, progress)

    async def _outcome(self, found: Mapping[str, Any]) -> Outcome:
        """Put together what is known, the times as the journal has them."""
        place: dict[str, Any] = {"row": self.row.number, "line": self.row.line, "notes": dict(self.row.notes) or None}
        if self.known is not None and self.way in {Way.KEEP, Way.LEAVE}:
            return attrs.evolve(self.known, **place, **found)
        times: dict[str, Any] = {}
        if self.known is not None and self.way is Way.FOLLOW:
            times = {name: getattr(self.known, name) for name in ("id", "credits_reserved", "planned", "accepted")}
        elif (record := await self._recorded(found)) is not None:
            times = {name: getattr(record, name) for name in ("planned", "accepted", "ended")}
            times |= {"id": record.task_id, "credits_reserved": record.credits_reserved}
        if times.get("accepted") and times.get("ended"):
            times["seconds"] = round(times["ended"] - times["accepted"], 3)
        told = {name: value for name, value in found.items() if value is not None}
        return Outcome(key=self.row.key, **place, **_asked(self.row.request), **(times | told))

    async def _recorded(self, found: Mapping[str, Any]) -> TaskRecord | None:
        """Return what the journal knows of the row's submission; None for nothing."""
        try:
            record = await self.context.journal.look(self.row.key)
        except JournalError as error:
            self.context.halt(str(error))
            return None
        except asyncio.CancelledError:
            return None  # the run is left, and this is the last that it does
        # Where a new attempt was refused, the journal shows the earlier one, which was not.
        earlier = record is not None and found.get("status") is Ending.REFUSED and record.status.submitted != "no"
        return None if earlier else record


def _told_of(error: FoxError) -> dict[str, Any] | None:
    """Return what an error tells of a row; None where nothing was sent."""
    if isinstance(error, TaskAbandoned) and error.submitted == "no":
        return None
    found = {"status": _ending(error), "error": _reason(error)}
    return found | {"id": error.task_id, "credits_reserved": error.credits_reserved}


def _ending(error: FoxError) -> Ending:
    end = end_of(error)
    # Where nobody can say that a task goes on, none is promised to go on.
    return Ending.UNCERTAIN if end is End.GOING_ON and error.submitted == "unknown" else _ENDINGS[end]


def _told_of_video(video: Video) -> dict[str, Any]:
    return {"status": Ending.COMPLETED, "id": video.id, "credits_reserved": video.credits_reserved}


def _without_link(video: Video) -> dict[str, Any]:
    names = ", ".join(sorted({name for result in video.results for name in result.fields}))
    return {
        "status": Ending.UNSAVED,
        "error": _line(f"completed, but its results have no known link: they have {names}"),
    }


def _reason(error: FoxError) -> str:
    told = (error.code or "", error.message) if isinstance(error, TaskFailed) else ()
    return _line(": ".join(filter(None, told)) or error.what)


def _line(text: str) -> str:
    return " ".join(text.split())


def _asked(request: VideoRequest) -> dict[str, Any]:
    fields = fields_of(request)
    prompt, duration = fields.get("prompt"), fields.get("duration")
    return {
        "model": request.model,
        "prompt": prompt if isinstance(prompt, str) else None,
        "duration": duration if isinstance(duration, int | float) else None,
    }


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except (OSError, ValueError):  # not there, or no name of a file at all
        return None


def quiet(_row: Row, _stage: str, _progress: float | None) -> None:
    """Tell nobody."""
