"""``foxvideo batch``: from a manifest to a folder of videos.

Out of scope: the run (``foxvideo/batch``), what is asked before it (``cli/consent.py``), and what is shown meanwhile
(``cli/board.py``).
"""

import asyncio
import contextlib
import functools
import shlex
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from foxvideo._journal import SqliteStore
from foxvideo.batch import Batch, Ending, Manifest, Survey, naming, run as run_batch, survey
from foxvideo.cli import command, consent, manifests, outcome
from foxvideo.cli.board import Board, printable
from foxvideo.client import Client

JOURNAL = "journal.db"


@click.command(cls=command.Command)
@manifests.manifest_argument
@click.option(
    "-o",
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The folder for the videos, the journal and results.jsonl; it is made.",
)
@click.option("--dry-run", is_flag=True, help="Check every row and count; send nothing.")
@manifests.defaults_option
@click.option(
    "--max-active",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    metavar="N",
    help="Most rows under way at once.",
)
@click.option(
    "--max-credits",
    type=click.FloatRange(min=0),
    metavar="N",
    help="Submit nothing that could make all runs in this folder reserve more than N.",
)
@click.option(
    "--name",
    default=naming.DEFAULT,
    show_default=True,
    metavar="TEMPLATE",
    help="What the videos are called: {row}, {key}, {words}, {model}, {#column}; {row:03} counts 001, 002.",
)
@click.option("--strict", is_flag=True, help="Send nothing if one row is bad, instead of leaving it out.")
@click.option("--retry-failed", is_flag=True, help="Buy rows anew whose task failed.")
@click.option("--no-check", is_flag=True, help="Do not hold the fields against the documentation.")
@click.option("--yes", is_flag=True, help="Do not ask before new rows are bought beside those of another run.")
@command.timeout_option(3600)
@command.base_url_option
@command.json_option
@command.poll_every_option
def batch(
    *,
    source: Path,
    folder: Path,
    dry_run: bool,
    defaults: tuple[str, ...],
    max_active: int,
    max_credits: float | None,
    name: str,
    strict: bool,
    retry_failed: bool,
    no_check: bool,
    yes: bool,
    timeout: float,
    base_url: str | None,
    as_json: bool,
    poll_every: float | None,
) -> None:
    """Make a video of each row of a manifest. This costs money.

    MANIFEST is a CSV, whose first line names the fields, or JSON Lines, one object a line; - reads stdin. A column that
    begins with # is kept with the results and not sent. Fields are named as on the wire, and local pictures are found
    relative to the manifest:

    \b
      prompt,image_url,duration
      The camera slowly pushes in,cat.png,6
      "Snow, softly falling",,4

    Rows without a model are Grok's: with image_url a picture that moves, with reference_image_urls (a.png;b.png) a
    video of them, with video_url a video that is changed, else a video from words.

    Whatever stopped it, the same command goes on and buys nothing twice. The first Ctrl-C submits nothing more and
    waits for what is under way, the second leaves at once. `foxvideo sheet` shows the videos.

    Ends with 0 where every row has its video, 1 where some have not, 2 for bad input, 130 after Ctrl-C.
    """  # noqa: D301 - click wants the control character itself
    with command.bad_input():
        naming.template(name)
    manifest = manifests.read(source, defaults, check=not no_check)
    counted, journal = command.run(_survey(manifest, source, folder))
    if dry_run:
        _report(counted, as_json=as_json)
        raise click.exceptions.Exit(outcome.Exit.BAD_INPUT if counted.bad else outcome.Exit.OK)
    if not counted.rows:
        raise click.UsageError("the manifest has no rows")
    if counted.bad == counted.rows or (strict and counted.bad):
        raise click.UsageError(f"{counted.bad} of {counted.rows} rows are bad, so nothing was sent")
    client = command.make_client(base_url, folder / JOURNAL, poll_every=poll_every)
    consent.say(counted, retry_failed=retry_failed)
    consent.agree(folder, counted, journal, retry_failed=retry_failed, yes=yes)
    if counted.new:
        folder.mkdir(parents=True, exist_ok=True)
        consent.Agreed(counted.digest, command.run(_identity(folder / JOURNAL))).write(folder)
    board = Board(counted.rows, max_active, set(counted.known), lambda: client.stats().silent_for)
    running = run_batch(
        client,
        list(manifest),
        folder,
        max_active=max_active,
        max_credits=max_credits,
        retry_failed=retry_failed,
        timeout=timeout,
        name=name,
        watch=board.watch,
    )
    interrupted = _run(client, running, board)
    board.finish(running.halted)
    if board.tally.count(Ending.UNCERTAIN):
        hint = shlex.join(["foxvideo", "tasks", "--uncertain", "--journal", str(folder / JOURNAL)])
        click.echo(f"uncertain rows are never sent again by themselves: {hint}", err=True)
    for line in _next_steps(board, folder, interrupted=interrupted):
        click.echo(line, err=True)
    if as_json:
        command.print_json(board.tally.as_json(counted.rows, len(board.paid), running.halted))
    if interrupted:
        raise outcome.Interrupted("interrupted; the same command goes on", submitted="no")
    done = board.tally.complete and board.tally.rows == counted.rows
    raise click.exceptions.Exit(outcome.Exit.OK if done else outcome.Exit.FAILED)


# --- Before ------------------------------------------------------------------------------------------------------


async def _survey(manifest: Manifest, source: Path, folder: Path) -> tuple[Survey, str | None]:
    """Count, and return the identity of the journal too; None where there is none."""
    async with contextlib.AsyncExitStack() as stack:
        path = folder / JOURNAL
        journal = await stack.enter_async_context(SqliteStore(path)) if path.exists() else None
        counted = await survey(manifest, journal, folder, functools.partial(manifests.show_bad, source))
        return counted, None if journal is None else await journal.identity()


async def _identity(path: Path) -> str:
    """Return the identity of a journal, which is made where there is none."""
    async with SqliteStore(path) as journal:
        return await journal.identity()


def _report(counted: Survey, *, as_json: bool) -> None:
    """Print what a dry run found."""
    if as_json:
        command.print_json(
            {
                "rows": counted.rows,
                "bad": counted.bad,
                "repeats": counted.repeats,
                "models": dict(counted.models.most_common()),
                "known": {status.value: count for status, count in Counter(counted.known.values()).items()},
                "new": counted.new,
            }
        )
        return
    known = len(counted.known)
    click.echo(f"{counted.rows} rows, {counted.bad} bad, {counted.repeats} repeats; {known} known, {counted.new} new")
    for model, rows in counted.models.most_common():
        click.echo(f"{rows:>9} {printable(model)}")


def _next_steps(board: Board, folder: Path, *, interrupted: bool) -> Iterator[str]:
    """Say what the rows cost as far as told, and what to do about those without a video."""
    tally = board.tally
    if tally.credits_reserved:
        yield f"{tally.credits_reserved:g} credits reserved by these rows, as far as the service told"
    if failed := tally.count(Ending.FAILED) + tally.count(Ending.CANCELLED):
        yield f"{failed} failed: the same command with --retry-failed makes them anew, which is paid anew"
    if left := tally.count(Ending.UNSAVED) + tally.count(Ending.UNFINISHED) + tally.count(Ending.REFUSED):
        yield f"{left} have no video yet: the same command goes on with them"
    if tally.count(Ending.COMPLETED) and not interrupted:
        yield f"a page of all videos: {shlex.join(['foxvideo', 'sheet', str(folder)])}"


# --- The run -----------------------------------------------------------------------------------------------------


def _run(client: Client, batch: Batch, board: Board) -> bool:
    """Run a batch, and return whether somebody interrupted it: the first Ctrl-C stops it, the second leaves it."""
    interrupted = False

    def interrupt(task: "asyncio.Task[None]") -> None:
        nonlocal interrupted
        if interrupted:
            board.say(
                "leaving; replies to submissions under way have ids, so they are waited for, Ctrl-C again cuts them"
            )
            task.cancel()
            return
        interrupted = True
        batch.stop()
        board.say("nothing more is submitted; waiting for what is under way, Ctrl-C again leaves it")

    async def go() -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            with contextlib.suppress(RuntimeError):  # on Windows, and in a thread: the first one leaves at once
                asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt, task)
        async with client:
            with board:
                try:
                    async for ended in batch:
                        board.end(ended)
                finally:
                    await batch.aclose()
                    for ended in batch.left:
                        board.end(ended)

    try:
        command.run(go())
    except KeyboardInterrupt:
        return True
    return interrupted
