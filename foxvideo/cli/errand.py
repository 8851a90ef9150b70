"""One task on its way to the disk: follow it, save it, and never lose its id.

What belongs here: what ``generate``, ``fetch``, ``resubmit``, ``resume`` and ``demo`` do alike. What must not: which
task that is.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from pathlib import Path

import attrs
import click
from rich.filesize import decimal

from foxvideo._engine.silence import LONG
from foxvideo.cli import command, outcome
from foxvideo.cli.command import bad_input, print_json, run
from foxvideo.cli.journal import journal_option
from foxvideo.cli.progress import SILENT, Bar, Display
from foxvideo.cli.tally import clock
from foxvideo.cli.target import Target
from foxvideo.client import Client
from foxvideo.errors import FoxError
from foxvideo.state import Status
from foxvideo.task import VideoTask
from foxvideo.video import Video

Begin = Callable[[Client], Awaitable[VideoTask]]

# How a task is followed and saved; where to, each command says for itself.
errand_options: command.Option = command.options(
    command.overwrite_option,
    command.timeout_option(3600),
    command.base_url_option,
    journal_option,
    command.json_option,
    command.poll_every_option,
)


@attrs.define(eq=False)
class Errand:
    """One task and where its video goes.

    Attributes:
        client: A fresh client; closed at the end.
        target: Where the video goes.
        task: The task; None until it is begun.
    """

    client: Client
    target: Target
    task: VideoTask | None = None

    def run(self, name: str, begin: Begin) -> tuple[Video, list[Path]]:
        """Begin a task, wait for it and save its video.

        The first Ctrl-C waits for the reply to a submission under way, since that has the id; the second cuts it.

        Args:
            name: What the bar is called.
            begin: Submits the task, or finds it by its id or key.

        Raises:
            Interrupted: With the id, where there is one.
            click.UsageError: The client refuses an option.
            FoxError: What the task ended with.
            OSError: The disk said no.
        """
        try:
            return run(self._go(name, begin))
        except KeyboardInterrupt:
            raise self._interrupted() from None

    async def _go(self, name: str, begin: Begin) -> tuple[Video, list[Path]]:
        async with self.client as client:
            with Display() as display:
                with bad_input():
                    self.task = await begin(client)
                return await bring(self.task, self.target, display.bar(name), say=display.say)

    def _interrupted(self) -> outcome.Interrupted:
        task = self.task
        if task is None:
            return outcome.Interrupted("interrupted, nothing was sent", submitted="no")
        error = task.exception() if task.done() else None
        if task.id is not None:
            goes_on = "its video was not saved" if task.status is Status.COMPLETED else "the task goes on"
            return outcome.Interrupted(f"interrupted, {goes_on}", submitted="yes", task_id=task.id, key=task.key)
        if error is not None and error.submitted != "no":
            told = f"interrupted: {outcome.message(error)}"
            return outcome.Interrupted(
                told, submitted="unknown", hint=outcome.shell_hint(error), task_id=error.task_id, key=error.key
            )
        return outcome.Interrupted("interrupted, nothing was made", submitted="no")


async def bring(
    task: VideoTask, target: Target, bar: Bar, *, say: Callable[[str], None] = lambda _: None
) -> tuple[Video, list[Path]]:
    """Follow a task to its end and save its video.

    Args:
        task: Submitted, or known by its id.
        target: Where the video goes.
        bar: Shows where the task stands.
        say: Told the id as soon as there is one, and what is waited for when this is cancelled without one.

    Raises:
        FoxError: What the task ended with.
        OSError: The disk said no.
    """
    submits, began = task.id is None and task.request is not None, time.monotonic()
    try:
        if task.id is None:
            bar.show("starting" if submits else "looking up")
            say(f"{'accepted' if submits else 'found'} {await task.wait_accepted()}")
        async with _telling_silence(task, bar):
            async for state in task:
                bar.show(state.status_text, state.progress)
            video = await task
        bar.show("saving")
        files = await target.save(video)
    except (FoxError, OSError):
        bar.show("failed")
        raise
    except asyncio.CancelledError:
        if submits and task.id is None:
            say("waiting for the reply to the submission, which has the id; Ctrl-C again cuts it")
        raise
    bar.show("done")
    if files:
        say(_summary(_bytes(files), time.monotonic() - began, video.credits_reserved))
    return video, files


def _bytes(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def _summary(size: int, seconds: float, credits_reserved: float | None) -> str:
    """Say what a task came to: its files, how long this took, and what was reserved, as far as told."""
    told = "" if credits_reserved is None else f", {credits_reserved:g} credits"
    return f"{decimal(size)} in {clock(seconds)}{told}"


@contextlib.asynccontextmanager
async def _telling_silence(task: VideoTask, bar: Bar) -> AsyncIterator[None]:
    """Show in a bar when the service has not answered for long, and when it answers again."""

    async def look() -> None:
        silent = False
        while True:
            await asyncio.sleep(1.0)
            if silent != (silent := (task.silent_for or 0.0) >= LONG):
                bar.show(SILENT if silent else task.state.status_text if task.state else "looking up")

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()


def print_video(video: Video, files: Sequence[Path], *, as_json: bool) -> None:
    """Print what was made on stdout: the files, or what there is instead of one."""
    if as_json:
        print_json(outcome.video_as_json(video, files))
        return
    print_files(files)
    if not files:
        for result in video.results:
            click.echo("  ".join(f"{name}: {value}" for name, value in result.fields.items()))
    elif left := len(video.urls) - len(files):
        click.echo(f"{left} more results are left: -o FOLDER saves all of them", err=True)


def print_files(files: Iterable[Path]) -> None:
    """Print paths on stdout, one a line."""
    for file in files:
        click.echo(file)
