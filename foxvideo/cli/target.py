"""Where a video goes, checked before it costs anything.

What belongs here: paths on this machine. What must not: how a video is fetched (``_transfer/download.py``).
"""

import asyncio
import os
from pathlib import Path

import attrs
import click

from foxvideo._transfer import target as places
from foxvideo.video import Video


@attrs.frozen
class Target:
    """What ``-o`` and ``--overwrite`` ask for.

    Attributes:
        path: A file to make, or a folder that exists; None for this folder. In a folder a video is named after its
            task.
        overwrite: Whether an existing file is replaced.
    """

    path: Path | None
    overwrite: bool

    def check(self, task_id: str | None = None, *, known: str | None = None) -> None:
        """Refuse a target that could not be written.

        Args:
            task_id: The task, where it is known already: then the name of its video in a folder is, too.
            known: The path under which the journal says that its video was saved: that file may be there. None for
                none.

        Raises:
            click.UsageError: The file exists, or its folder does not, or nothing can be written there.
        """
        folder, file = self._folder, self.path
        if folder is not None:
            file = folder / f"{task_id}.mp4" if task_id else None
        parent = folder or (file.parent if file else Path())
        if not parent.is_dir():
            raise click.UsageError(f"there is no folder {parent}")
        if not os.access(parent, os.W_OK | os.X_OK):
            raise click.UsageError(f"nothing can be written in {parent}")
        if file and file.exists() and not self.overwrite and str(file.absolute()) != known:
            raise click.UsageError(f"{file} exists; --overwrite replaces it")
        try:
            place = places.Target(parent if file is None else file, folder=file is None)
            place.check(known, may_exist=self.overwrite)
        except (OSError, ValueError) as error:
            raise click.UsageError(str(error)) from None

    async def save(self, video: Video) -> list[Path]:
        """Save a video: the first result in a file, all of them in a folder; nothing where there is no link.

        A video whose saving in that folder was cut goes on under the name that it was given then.

        Raises:
            DownloadError: What lies there is no video, or did not come whole.
            OSError: The disk said no.
        """
        if not video.urls:
            return []
        if self._folder is not None:
            begun = await asyncio.to_thread(video.begun, self._folder)
            if begun is not None:  # the name that it was given then
                return [(await video.save(begun, overwrite=self.overwrite)).path]
            return [saved.path for saved in await video.save_all(self._folder, overwrite=self.overwrite)]
        assert self.path is not None  # noqa: S101 - for the type checker: else there is a folder
        return [(await video.save(self.path, overwrite=self.overwrite)).path]

    @property
    def _folder(self) -> Path | None:
        if self.path is None:
            return Path()
        return self.path if self.path.is_dir() else None
