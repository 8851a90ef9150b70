"""Where the videos of rows are saved: each under a name that is its task's alone."""

import itertools
import shutil
from pathlib import Path

from foxvideo._aio import in_thread
from foxvideo._transfer.content import saved_file
from foxvideo._transfer.target import suffix_of
from foxvideo.batch.naming import stem
from foxvideo.batch.rows import Row
from foxvideo.media import Progress, SavedFile
from foxvideo.video import Video

_SUFFIX = ".mp4"  # of most videos, where a link has none


async def save(video: Video, row: Row, folder: Path, sha256: str | None, progress: Progress, *, name: str) -> SavedFile:
    """Save a row's video, unless it lies there whole; further results of its task are saved beside it.

    A file that is damaged, or that somebody changed, is replaced; where it has a byte in it, a copy of it stays.

    Args:
        video: The completed task.
        row: Names the file.
        folder: Where it goes.
        sha256: Of the file when it was saved; None where that is not known.
        progress: Told the bytes so far, and those of the whole video.
        name: What it is called, as a template.

    Raises:
        FoxError: It cannot be fetched.
        OSError: The disk said no.
    """
    if len(video.urls) > 1:  # named after the task
        return (await video.save_all(folder, progress=progress))[0]
    path = folder / f"{stem(name, row, video.id)}{suffix_of(video.url) or _SUFFIX}"
    there = await in_thread(_there, path)
    if there is None:
        return await video.save(path, progress=progress)
    if there.size and there.sha256 == (sha256 or there.sha256):
        return there  # a file takes its name when it is whole, and this name has the digest of the id
    copy = await in_thread(_copied, path) if there.size else None
    try:
        return await video.save(path, overwrite=True, progress=progress)
    except BaseException:
        if copy is not None:
            copy.unlink(missing_ok=True)
        raise


def _there(path: Path) -> SavedFile | None:
    try:
        return saved_file(path)
    except FileNotFoundError:
        return None


def _copied(path: Path) -> Path:
    """Copy a file that is about to be replaced, and return the copy."""
    names = (path.with_name(f"{path.stem}-changed-{number}{path.suffix}") for number in itertools.count(1))
    copy = next(name for name in names if not name.exists())
    shutil.copy2(path, copy)
    return copy
