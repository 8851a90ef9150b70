"""``foxvideo resume``: finish and save all that was paid for.

What belongs here: which tasks these are, and doing it for all of them at once. What must not: following one
(``cli/errand.py``).
"""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import click

from foxvideo._journal import Place, TaskRecord
from foxvideo._journal.recorder import expired
from foxvideo.cli import command, outcome
from foxvideo.cli.errand import bring, errand_options, print_files
from foxvideo.cli.journal import ready, running, undecided
from foxvideo.cli.notice import Notice, instead_of_the_log
from foxvideo.cli.progress import Display
from foxvideo.cli.target import Target
from foxvideo.client import Client
from foxvideo.errors import FoxError
from foxvideo.task import VideoTask
from foxvideo.video import Video


@attrs.frozen
class Found:
    """What became of one task.

    Attributes:
        row: What the journal knew of it.
        video: What it ended with; None where it did not end well, or was not saved.
        files: Where it was saved.
        error: Why it was not; None where it was.
    """

    row: TaskRecord
    video: Video | None = None
    files: Sequence[Path] = ()
    error: FoxError | OSError | None = None


@attrs.frozen
class Unfinished:
    """What a journal has for ``resume``.

    Attributes:
        here: To be finished and saved.
        elsewhere: How many were submitted to another host.
        expired: Completed and not saved before their links died.
        uncertain: How many are for their owner to decide.
    """

    here: Sequence[TaskRecord]
    elsewhere: int
    expired: Sequence[TaskRecord]
    uncertain: int

    @classmethod
    def among(cls, rows: Sequence[TaskRecord], base_url: str, now: float) -> "Unfinished":
        """Choose from all rows what is to be done at a host, at a time in Unix seconds."""
        # Whoever saved the first result alone, as a file, wanted no more.
        left = [row for row in rows if row.file is None and row.unsaved]
        wanted = [*running(rows), *(row for row in left if not expired(row, now))]
        here = [row for row in wanted if row.origin == base_url]
        gone = [row for row in left if expired(row, now) and row.origin == base_url]
        return cls(here, len(wanted) - len(here), gone, len(undecided(rows)))

    def told(self) -> Iterator[str]:
        """Say what is left to be done by hand."""
        if not self.here:
            yield "nothing to finish"
        if self.elsewhere:
            yield f"{self.elsewhere} more at another --base-url: foxvideo tasks"
        if self.expired:
            yield f"{len(self.expired)} completed more than 24 hours ago and never saved: foxvideo tasks"
        if self.uncertain:
            yield f"{self.uncertain} uncertain: foxvideo tasks --uncertain"


@click.command(cls=command.Command)
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="The folder for the videos, which is made. [default: this folder]",
)
@click.option(
    "--exec",
    "command_line",
    metavar="COMMAND",
    help="Run by the shell for each task that has ended, until it succeeds, also for those that had ended before.",
)
@errand_options
@click.pass_context
def resume(
    ctx: click.Context,
    *,
    folder: Path | None,
    command_line: str | None,
    overwrite: bool,
    timeout: float,
    base_url: str | None,
    journal: Place | None,
    poll_every: float | None,
    as_json: bool,
) -> None:
    """Finish all that was accepted, and save what was not saved yet. Costs nothing.

    Goes on after Ctrl-C, a crash or a restart of the machine; each video is named after its task. What the journal
    calls uncertain is not among it: see `foxvideo tasks --uncertain`. Ends with 0 if all was saved, else with the exit
    code that the failures share, or with 1.

    The command of --exec finds FOXVIDEO_KEY, FOXVIDEO_TASK_ID, FOXVIDEO_STATUS (completed, failed, cancelled, refused
    or uncertain), FOXVIDEO_FILE, FOXVIDEO_URL and FOXVIDEO_ERROR in its environment, and all as JSON on its stdin. The
    journal remembers for which ends it succeeded; after a crash it may run twice for one.
    """
    target = Target(None if folder is None else f"{folder}{os.sep}", overwrite)
    target.check()
    saved = Saved()
    notice = None if command_line is None else Notice(command_line, saved.file)
    client = command.make_client(base_url, ready(journal), poll_every=poll_every, timeout=timeout, on_end=notice)
    with instead_of_the_log():
        found, unfinished = Round(client, target, saved).run()
    if as_json:
        command.print_json([_as_json(each, ctx) for each in found])
    else:
        print_files(found_file for each in found for found_file in each.files)
    for line in unfinished.told():
        click.echo(line, err=True)
    codes = {outcome.exit_code(each.error) for each in found if each.error is not None}
    if notice is not None and notice.left:
        click.echo(f"the command failed for {len(notice.left)}; run this again to run it again for them", err=True)
        codes.add(outcome.Exit.FAILED)
    ctx.exit(outcome.Exit.OK if not codes else codes.pop() if len(codes) == 1 else outcome.Exit.FAILED)


def _as_json(found: Found, ctx: click.Context) -> dict[str, object]:
    named: dict[str, object] = {"key": found.row.key}
    if found.error is not None:
        return outcome.error_as_json(found.error, ctx.params) | named | {"task_id": found.row.task_id}
    assert found.video is not None  # noqa: S101 - for the type checker: else there is an error
    return outcome.video_as_json(found.video, found.files) | named


@attrs.define(eq=False)
class Saved:
    """Tasks that are being saved, for whoever waits for their files.

    Attributes:
        files: The first file of each by its id, once it is there; None where it has none.
    """

    files: dict[str | None, asyncio.Future[Path | None]] = attrs.field(factory=dict)

    async def file(self, task: VideoTask) -> Path | None:
        """Wait until a task is saved, if it is being saved here, and return its file."""
        if (saving := self.files.get(task.id)) is not None:
            return await asyncio.shield(saving)
        video = None if task.exception() else task.result()
        return video.file.path if video is not None and video.file is not None else None


@attrs.define(eq=False)
class Round:
    """All that is unfinished, on its way to the disk.

    Attributes:
        client: A fresh client; closed at the end.
        target: The folder.
        saved: Told the files.
        left: The ids of what is not saved yet.
    """

    client: Client
    target: Target
    saved: Saved
    left: set[str] = attrs.field(factory=set)

    def run(self) -> tuple[list[Found], Unfinished]:
        """Finish and save all at once.

        Raises:
            Interrupted: The tasks go on.
            FoxError: The journal cannot be read.
        """
        try:
            return command.run(self._go())
        except KeyboardInterrupt:
            left = len(self.left)
            told = f"interrupted, {left} not saved yet" if left else "interrupted"
            raise outcome.Interrupted(told, submitted="yes") from None

    async def _go(self) -> tuple[list[Found], Unfinished]:
        async with self.client as client:
            unfinished = Unfinished.among(await client.history(), client.base_url, time.time())
            loop = asyncio.get_running_loop()
            self.saved.files = {row.task_id: loop.create_future() for row in unfinished.here}
            handles = {task.id: task for task in await client.resume()}
            self.left = {row.task_id for row in unfinished.here if row.task_id}
            with Display() as display:
                tasks = [handles.get(row.task_id) or client.task(key=row.key) for row in unfinished.here]
                work = [self._one(row, task, display) for row, task in zip(unfinished.here, tasks, strict=True)]
                return await asyncio.gather(*work), unfinished

    async def _one(self, row: TaskRecord, task: VideoTask, display: Display) -> Found:
        name = row.task_id if row.key.startswith("auto-") else row.key
        try:
            video, files = await bring(task, self.target, display.bar(name or ""))
        except (FoxError, OSError) as error:
            display.say(f"{name}: {outcome.message(error)}")
            self.saved.files[row.task_id].set_result(None)
            return Found(row, error=error)
        except asyncio.CancelledError:
            self.saved.files[row.task_id].cancel()
            raise
        self.saved.files[row.task_id].set_result(files[0] if files else None)
        self.left.discard(row.task_id or "")
        return Found(row, video, files)
