"""Films that are saved as soon as they are done, while others still run.

What belongs here: which film goes where, once, and waiting for it. What must not: how it gets there (``video.py``).
"""

import asyncio
import contextvars
import functools
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import attrs

from foxvideo._transfer.part import SavedFile
from foxvideo.errors import ClientClosed
from foxvideo.task import VideoTask
from foxvideo.video import Video

_log = logging.getLogger("foxvideo")


class Files(Protocol):
    """Remembers what was saved."""

    async def files(self, task_id: str, /) -> Mapping[int, SavedFile]:
        """Return what was saved of a task, by the number of the result."""


@attrs.frozen
class Target:
    """Where the results of a task go.

    Attributes:
        path: A file for the first result, or a folder for all of them.
        folder: Whether it is a folder, which is made.
    """

    path: Path
    folder: bool

    async def save(self, video: Video, known: Mapping[int, SavedFile]) -> None:
        """Save what is not there yet, as far as it is known what is."""
        if self.folder:
            if not await asyncio.to_thread(_all_there, range(len(video.urls)), known):
                # What lies there under the name of a task is its film, saved and not noted.
                await video.save_all(self.path, overwrite=True)
        elif not (0 in known and await asyncio.to_thread(_is_at, known[0], self.path)):
            await video.save(self.path)


def _all_there(places: range, known: Mapping[int, SavedFile]) -> bool:
    return all(place in known and _is_at(known[place], known[place].path) for place in places)


def _is_at(file: SavedFile, path: Path) -> bool:
    return file.path == path.absolute() and path.exists() and path.stat().st_size == file.size


def refuse(path: Path, known: str | None) -> None:
    """Refuse a file that could not be made, before it costs anything; blocks.

    Args:
        path: The file.
        known: What was saved already; None for nothing.

    Raises:
        FileExistsError: It exists, and is not what was saved.
        FileNotFoundError: Its folder does not exist.
    """
    if path.exists() and str(path.absolute()) != known:
        raise FileExistsError(f"{path} exists; nothing was submitted")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent}; nothing was submitted")


@attrs.define(eq=False)
class Saving:
    """The films of one client that are being saved."""

    _files: Files
    _running: dict[tuple[str, Target], asyncio.Future[None]] = attrs.field(factory=dict, init=False)
    _closed: bool = attrs.field(default=False, init=False)

    def when_done(self, task: VideoTask, target: Target) -> list[asyncio.Future[None]]:
        """Save the video of a task as soon as it has one.

        Returns:
            A list that the save is put into when it begins, for whoever wants to wait; if nobody does, a failure is
            one WARNING.
        """
        saves: list[asyncio.Future[None]] = []
        task._listen(functools.partial(self._begin, target, saves))
        return saves

    def _begin(self, target: Target, saves: list[asyncio.Future[None]], task: VideoTask) -> None:
        video = task._outcome
        if not isinstance(video, Video) or not video.urls:
            return
        place = (video.task_id, target)
        if place not in self._running:
            save = asyncio.create_task(self._save(video, target), context=contextvars.Context())
            save.add_done_callback(functools.partial(self._ended, place))
            self._running[place] = save
            if self._closed:
                save.cancel()
        saves.append(self._running[place])

    async def _save(self, video: Video, target: Target) -> None:
        await target.save(video, await self._files.files(video.task_id))

    def _ended(self, place: tuple[str, Target], save: asyncio.Future[None]) -> None:
        del self._running[place]
        error = "the client was closed" if save.cancelled() else save.exception()
        if error is not None:
            _log.warning("not saved: %s: %s", place[0], str(error))

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
            raise ClientClosed("the client was closed while a film was saved", submitted="yes")
        save.result()
