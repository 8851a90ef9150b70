"""The way of one row: submitted under its key, followed, saved, written down.

What belongs here: what becomes of one row, whatever happens to it. What must not: which row is next (``running.py``).
"""

import asyncio
import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from urllib.parse import urlsplit

import attrs

from foxvideo._journal import Journal, RecordStatus
from foxvideo._transfer.part import SavedFile
from foxvideo.batch.budget import Budget, Verdict
from foxvideo.batch.records import Ending, Outcome, Results
from foxvideo.batch.rows import BadRow, Row
from foxvideo.errors import (
    AuthenticationError,
    ClientClosed,
    FoxError,
    InsufficientCredits,
    JournalError,
    SubmitUncertain,
    TaskAbandoned,
    TaskCancelled,
    TaskFailed,
)
from foxvideo.requests.generic import VideoRequest, fields_of, media_of
from foxvideo.task import Stage, VideoTask
from foxvideo.video import Video

Watch = Callable[[Row, str, float | None], None]
"""Is told where a row stands: the row, a word, and per cent or None."""

_FREE = frozenset(
    {RecordStatus.ACCEPTED, RecordStatus.COMPLETED, RecordStatus.UNCERTAIN}
)  # nothing is bought for these
_LOST = frozenset({RecordStatus.FAILED, RecordStatus.CANCELLED})
_HOPELESS = (AuthenticationError, InsufficientCredits, JournalError, ClientClosed)  # no other row would fare better
WITHDRAWN = "withdrawn"
_NAME_LENGTH = 40


class Submitter(Protocol):
    """What a batch has to know of a client."""

    def submit(
        self, request: VideoRequest, *, key: str | None, retry_failed: bool, timeout: float | None, check: bool
    ) -> VideoTask:
        """Begin the task of a key, or return the one that has it."""


@attrs.define(eq=False)
class Journey:
    """What all rows of a run share.

    Attributes:
        client: Submits and follows.
        journal: The client's.
        folder: Where films go.
        results: What is written down.
        budget: What may be spent.
        retry_failed: Whether a task that failed in a former run is bought again.
        timeout: Seconds that a task may take; None for no limit.
        watch: Is told where a row stands.
        news: Set whenever something may let another row begin, or has ended.
        halted: Why nothing more is begun; empty while all is well.
    """

    client: Submitter
    journal: Journal
    folder: Path
    results: Results
    budget: Budget
    retry_failed: bool
    timeout: float | None
    watch: Watch
    news: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    halted: str = attrs.field(default="", init=False)
    _spending: set[str] = attrs.field(factory=set, init=False)
    _unsent: dict[str, VideoTask] = attrs.field(factory=dict, init=False)

    async def verdict(self, row: Row) -> Verdict:
        """Say whether a row may begin now; where it may and costs something, the budget has it from here on."""
        if self.budget.limit is None or self._standing(row) is not None:
            return Verdict.GO
        known = await self.journal.look(row.key)
        if known is not None and (known.status in _FREE or (known.status in _LOST and not self.retry_failed)):
            return Verdict.GO
        verdict = self.budget.verdict(row.request.model)
        if verdict is Verdict.GO:
            self.budget.begin(row.request.model)
            self._spending.add(row.key)
        elif verdict is Verdict.STOP:
            self.halt(self.budget.reason, withdraw=False)
        return verdict

    def halt(self, reason: str, *, withdraw: bool = True) -> None:
        """Begin nothing more.

        Args:
            reason: Why; the first one stays.
            withdraw: Whether rows that have begun, but are not sent yet, are left to another run.
        """
        self.halted = self.halted or reason
        for task in list(self._unsent.values()) if withdraw else ():
            if task._stage is Stage.PLANNED:  # what is being sent brings an id, and goes on
                task.abandon()
        self.news.set()

    def refused(self, row: BadRow) -> Outcome:
        """Write down a row that cannot be sent."""
        outcome = Outcome(row=row.number, line=row.line, key=None, status=Ending.INVALID, error="; ".join(row.faults))
        self.results.add(outcome)
        return outcome

    async def go(self, row: Row) -> Outcome | None:
        """Take a row to its end.

        Returns:
            How it ended; None where it was withdrawn before it was sent, because the run stops.
        """
        outcome = self._standing(row) or await self._make(row)
        if outcome is not None:
            self.results.add(outcome)
        return outcome

    def _standing(self, row: Row) -> Outcome | None:
        """Return what a former run came to, where that still holds."""
        known = self.results.find(row.key)
        if known is None:
            return None
        holds = known.status in {Ending.FAILED, Ending.CANCELLED} and not self.retry_failed
        if known.status is Ending.COMPLETED:
            holds = known.file is None or _size(self.folder / known.file) == known.bytes
        return attrs.evolve(known, row=row.number, line=row.line) if holds else None

    async def _make(self, row: Row) -> Outcome | None:
        found: dict[str, Any] = {}
        try:
            video = await self._video(row)
            found = await self._saved(row, video)
        except FoxError as error:
            if isinstance(error, TaskAbandoned) and error.submitted == "no":
                self.watch(row, WITHDRAWN, None)
                return None
            found = {"status": _ending(error), "error": _reason(error), "id": error.task_id}
            found["credits"] = error.credits_reserved
            if isinstance(error, _HOPELESS):
                self.halt(str(error))
        return await self._outcome(row, found)

    async def _video(self, row: Row) -> Video:
        self.watch(row, "submitting", None)
        submitted = "no"
        try:
            # Rows are checked when they are read.
            task = self.client.submit(
                row.request, key=row.key, retry_failed=self.retry_failed, timeout=self.timeout, check=False
            )
            video = await self._followed(row, task)
        except FoxError as error:
            submitted = error.submitted
            raise
        else:
            submitted = "yes"
            return video
        finally:
            self._settle(row, submitted)

    async def _followed(self, row: Row, task: VideoTask) -> Video:
        self._unsent[row.key] = task
        try:
            await task.wait_accepted()
            del self._unsent[row.key]
            async for state in task:
                self._reported(row, state.credits_reserved)
                self.watch(row, state.status_text, state.progress)
            return await task
        except asyncio.CancelledError:
            task.abandon()  # the journal has it
            raise
        finally:
            self._unsent.pop(row.key, None)

    def _reported(self, row: Row, reserved: float | None) -> None:
        if reserved is not None and row.key in self._spending:
            self._spending.remove(row.key)
            self.budget.report(row.request.model, reserved)
            self.news.set()

    def _settle(self, row: Row, submitted: str) -> None:
        """Close the account of a row whose cost was not told."""
        if row.key not in self._spending:
            return
        self._spending.remove(row.key)
        if submitted == "no":
            self.budget.nothing_made(row.request.model)
        else:
            self.budget.silence(row.request.model)

    async def _saved(self, row: Row, video: Video) -> dict[str, Any]:
        found: dict[str, Any] = {"status": Ending.COMPLETED, "id": video.task_id, "credits": video.credits_reserved}
        if not video.urls:  # a voice, a character
            return found
        self.watch(row, "saving", None)
        try:
            film = await self._save(row, video)
            found["saved"] = (await asyncio.to_thread(film.path.stat)).st_mtime
        except FoxError as error:
            return found | {"status": Ending.UNSAVED, "error": _line(error.what)}
        except OSError as error:
            self.halt(f"films cannot be saved: {error}")
            return found | {"status": Ending.UNSAVED, "error": _line(str(error))}
        file = film.path.relative_to(self.folder).as_posix()
        return found | {"file": file, "sha256": film.sha256, "bytes": film.size}

    async def _save(self, row: Row, video: Video) -> SavedFile:
        """Save the film, unless a run that was cut has done so; it takes its name only when it is whole."""

        def told(size: int, whole: int | None) -> None:
            self.watch(row, "saving", 100 * size / whole if whole else None)

        if len(video.urls) > 1:
            return (await video.save_all(self.folder, overwrite=True, progress=told))[0]
        path = self.folder / f"{_name(row)}{_suffix(video.url)}"
        if _size(path) is not None:
            return await asyncio.to_thread(_measured, path)
        return await video.save(path, progress=told)

    async def _outcome(self, row: Row, found: Mapping[str, Any]) -> Outcome:
        """Put together what is known, the times as the journal has them."""
        known: dict[str, Any] = {}
        try:
            if (noted := await self.journal.look(row.key)) is not None:
                known = {name: getattr(noted, name) for name in ("planned", "accepted", "ended")}
                known |= {"id": noted.task_id, "credits": noted.credits}
        except JournalError as error:
            self.halt(str(error))
        if known.get("accepted") and known.get("ended"):
            known["seconds"] = round(known["ended"] - known["accepted"], 3)
        told = {name: value for name, value in found.items() if value is not None}
        return Outcome(row=row.number, line=row.line, key=row.key, **_asked(row.request), **(known | told))


def _ending(error: FoxError) -> Ending:
    match error:
        case TaskCancelled():
            return Ending.CANCELLED
        case TaskFailed():
            return Ending.FAILED
        case SubmitUncertain():
            return Ending.UNCERTAIN
        case _:
            return Ending.REFUSED if error.submitted == "no" else Ending.UNFINISHED


def _asked(request: VideoRequest) -> dict[str, Any]:
    fields = fields_of(request)
    prompt, duration = fields.get("prompt"), fields.get("duration")
    return {
        "model": request.model,
        "prompt": prompt if isinstance(prompt, str) else None,
        "duration": duration if isinstance(duration, int | float) else None,
    }


def _name(row: Row) -> str:
    """Return the name of a row's film: its picture's or the first words of its prompt, and its key."""
    files = (Path(media) for media in media_of(row.request).values() if not isinstance(media, bytes))
    words = re.findall(r"\w+", next((file.stem for file in files), None) or str(_asked(row.request)["prompt"] or ""))
    name = "-".join(words)[:_NAME_LENGTH].strip("-_") or "film"
    return f"{name}-{row.key.replace('#', '-')}"


def _suffix(url: str) -> str:
    suffix = PurePosixPath(urlsplit(url).path).suffix
    return suffix.lower() if re.fullmatch(r"\.[A-Za-z0-9]{1,8}", suffix) else ".mp4"


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _measured(path: Path) -> SavedFile:
    with path.open("rb") as file:
        return SavedFile(path, path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _reason(error: FoxError) -> str:
    told = (error.code or "", error.message) if isinstance(error, TaskFailed) else ()
    return _line(": ".join(filter(None, told)) or error.what)


def _line(text: str) -> str:
    return " ".join(text.split())


def quiet(_row: Row, _stage: str, _progress: float | None) -> None:
    """Tell nobody."""
