"""Videos that are saved as soon as they are done, while others still run.

Out of scope: how a video gets to its place (``video.py``, ``_transfer/``).
"""

import asyncio
import contextvars
import functools
from collections.abc import Mapping
from pathlib import Path

import attrs

from foxvideo._aio import in_thread
from foxvideo._engine.job import Job
from foxvideo._journal.recorder import Recorder
from foxvideo._listeners import Listeners, why
from foxvideo._transfer.part import damaged
from foxvideo._transfer.target import Target
from foxvideo.errors import ClientClosed
from foxvideo.events import EventKind
from foxvideo.media import SavedFile
from foxvideo.video import Video


@attrs.define(eq=False)
class Autosave:
    """The videos of one client that are being saved."""

    _recorder: Recorder
    _listeners: Listeners = attrs.field(factory=Listeners)
    _running: dict[tuple[str, Target], asyncio.Future[None]] = attrs.field(factory=dict, init=False)
    _closed: bool = attrs.field(default=False, init=False)

    def noted(self, task_id: str, place: int, file: SavedFile, seconds: float | None) -> None:
        """Hear that a result was saved; in so many seconds, or None where it lay there already."""
        self._recorder.saved(task_id, place, file)
        if seconds is not None:
            self._listeners.emit(EventKind.SAVED, task_id=task_id, size=file.size, seconds=seconds)

    @property
    def running(self) -> int:
        """How many videos are being saved."""
        return len(self._running)

    def when_done(self, job: Job, target: Target) -> list[asyncio.Future[None]]:
        """Save the video of a job as soon as it has one.

        Returns:
            A list that the save is put into when it begins, for whoever wants to wait; if nobody does, a failure is
            one WARNING.
        """
        saves: list[asyncio.Future[None]] = []
        job.canonical.listen(functools.partial(self._begin, target, saves))
        return saves

    def _begin(self, target: Target, saves: list[asyncio.Future[None]], job: Job) -> None:
        video = job.outcome
        # A voice is no file; but whoever named one wants to hear that there is none.
        if not isinstance(video, Video) or not (video.urls or not target.folder):
            return
        place = (video.id, target)
        if place not in self._running:
            save = asyncio.create_task(self._save(video, target), context=contextvars.Context())
            save.add_done_callback(functools.partial(self._ended, place))
            self._running[place] = save
            if self._closed:
                save.cancel()
        saves.append(self._running[place])

    async def _save(self, video: Video, target: Target) -> None:
        await _save(video, target, await self._recorder.files(video.id))

    def _ended(self, place: tuple[str, Target], save: asyncio.Future[None]) -> None:
        del self._running[place]
        error = None if save.cancelled() else save.exception()
        if save.cancelled() or error is not None:
            reason = "the client was closed" if error is None else why(error)
            self._listeners.emit(EventKind.UNSAVED, task_id=place[0], why=reason)

    async def settled(self, task_id: str | None) -> None:
        """Wait until nothing of a task is being saved."""
        while mine := [save for (saved_id, _), save in self._running.items() if saved_id == task_id]:
            await asyncio.wait(mine)

    async def close(self) -> None:
        """Wait for what is being saved; cancelling cuts it, and the next save goes on there. Then save nothing more."""
        try:
            while self._running:
                await asyncio.wait(self._running.values())
        finally:
            self._closed = True
            running = list(self._running.values())
            for save in running:
                save.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def saved(saves: list[asyncio.Future[None]]) -> None:
    """Wait until a video is saved; cancelling leaves the save alone.

    Raises:
        ClientClosed: The client was closed meanwhile.
        FoxError: As for ``Video.save``.
        OSError: As for ``Video.save``.
    """
    for save in saves:
        await asyncio.wait({save})
        if save.cancelled():
            raise ClientClosed("the client was closed while a video was saved", submitted="yes")
        save.result()


async def _save(video: Video, target: Target, known: Mapping[int, SavedFile]) -> None:
    """Save what is not there yet, as far as it is known what is."""
    if target.folder:
        if not await in_thread(_all_there, range(len(video.urls)), known):
            await video.save_all(target.path)
    elif not (0 in known and await in_thread(_is_at, known[0], target.path)):
        await video.save(target.path)


def _all_there(places: range, known: Mapping[int, SavedFile]) -> bool:
    return all(place in known and _is_at(known[place], known[place].path) for place in places)


def _is_at(file: SavedFile, path: Path) -> bool:
    there = file.path == path.absolute() and path.exists() and path.stat().st_size == file.size
    return there and not damaged(path)
