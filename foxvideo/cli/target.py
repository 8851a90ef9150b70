"""Where a video goes, checked before it costs anything.

What belongs here: paths on this machine. What must not: how a video is fetched (``_transfer/download.py``).
"""

import os
from pathlib import Path

import attrs
import click

from foxvideo._aio import in_thread
from foxvideo._transfer import target as places
from foxvideo.video import Video


@attrs.frozen
class Target:
    """What ``-o`` and ``--overwrite`` ask for.

    Attributes:
        output: A file to make, or a folder, which exists or ends with a slash; None for this folder. In a folder a
            video is named after its task.
        overwrite: Whether an existing file is replaced.
    """

    output: "str | os.PathLike[str] | None"
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
        place = self._place
        try:
            place.check(known, may_exist=self.overwrite)
            if place.folder and task_id:
                file = place.path / f"{places.file_name(task_id)}.mp4"
                places.Target(file, folder=False).check(known, may_exist=self.overwrite)
        except FileExistsError as error:
            hint = "" if self.overwrite else "; --overwrite replaces a file"
            raise click.UsageError(f"{error}{hint}") from None
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
        place = self._place
        begun = await in_thread(video.begun, place.path) if place.folder else place.path
        if begun is not None:  # the name that was asked for, or that it was given then
            return [(await video.save(begun, overwrite=self.overwrite)).path]
        return [saved.path for saved in await video.save_all(place.path, overwrite=self.overwrite)]

    @property
    def _place(self) -> places.Target:
        place = places.Target.of(self.output or os.curdir)
        return attrs.evolve(place, folder=place.folder or place.path.is_dir())
