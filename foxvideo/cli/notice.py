"""A command of the user's that is run for each end: ``foxvideo resume --exec``.

Out of scope: which ends these are, and when a command that failed is run again (``Client(on_end=...)``).
"""

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

import attrs
import click

from foxvideo._engine.ends import End, end_of
from foxvideo.cli import outcome
from foxvideo.events import EventKind
from foxvideo.task import VideoTask


@attrs.define(eq=False)
class Notice:
    """Runs a command for each end.

    Attributes:
        command: For the shell.
        saved: Waits until a task is saved, as far as it is to be, and returns its first file; None where there is none.
        say: Prints a line.
        left: The names of the tasks for which it has not ended well.
    """

    command: str
    saved: Callable[[VideoTask], Awaitable[Path | None]]
    say: Callable[[str], None] = lambda text: click.echo(text, err=True)
    left: set[str] = attrs.field(factory=set, init=False)

    async def __call__(self, task: VideoTask) -> None:
        """Run the command, which is told the end in its environment, and as JSON on its stdin.

        Raises:
            ChildProcessError: It did not end with 0.
        """
        name = task.key or task.id or ""
        self.left.add(name)
        file = await self.saved(task)
        process = await asyncio.create_subprocess_shell(
            self.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=2,  # that of this command has paths, or one JSON value
            env=os.environ | dict(told(task, file)),
        )
        # A line, written at once: the command may be ``cat >> ends.jsonl``, and run for several ends side by side.
        await process.communicate(f"{json.dumps(_as_json(task, file))}\n".encode())
        if process.returncode:
            self.say(f"{name}: the command ended with {process.returncode}")
            raise ChildProcessError(f"the command ended with {process.returncode}")
        self.left.discard(name)


def told(task: VideoTask, file: Path | None) -> Mapping[str, str]:
    """Return what the environment of a command tells of an end."""
    error = task.exception()
    end = end_of(error or task.result())
    video = task.result() if error is None else None
    return {
        "FOXVIDEO_KEY": task.key or "",
        "FOXVIDEO_TASK_ID": task.id or (error.task_id if error else None) or "",
        "FOXVIDEO_STATUS": "refused" if end is End.NOTHING_MADE else end.value,
        "FOXVIDEO_FILE": str(file.absolute()) if file else "",
        "FOXVIDEO_URL": video.urls[0] if video is not None and video.urls else "",
        "FOXVIDEO_ERROR": "" if error is None else outcome.message(error),
    }


def _as_json(task: VideoTask, file: Path | None) -> Mapping[str, object]:
    error = task.exception()
    if error is not None:
        return outcome.error_as_json(error, {}) | {"key": task.key}
    video = task.result()
    return outcome.video_as_json(video, [file] if file else []) | {"key": task.key}


@contextlib.contextmanager
def instead_of_the_log() -> Iterator[None]:
    """Leave what a command of the user's says of its failures to ``Notice``."""
    logger = logging.getLogger("foxvideo")
    logger.addFilter(_is_other)
    try:
        yield
    finally:
        logger.removeFilter(_is_other)


def _is_other(record: logging.LogRecord) -> bool:
    event = getattr(record, "event", None)
    return event is None or event.kind is not EventKind.NOT_HANDED_OVER
