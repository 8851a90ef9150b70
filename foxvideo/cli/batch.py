"""``foxvideo batch``: from a manifest to a folder of films.

What belongs here: its options, and the order in which things happen. What must not: the run (``foxvideo/batch``),
what is asked before it (``consent.py``), and what is shown meanwhile (``board.py``).
"""

import asyncio
import contextlib
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs
import click

from foxvideo._journal import Journal
from foxvideo.batch import BadRow, Batch, Ending, Manifest, Survey, survey
from foxvideo.cli import command, outcome
from foxvideo.cli.board import Board
from foxvideo.cli.consent import Consent
from foxvideo.client import Client

JOURNAL = "journal.db"


@click.command(cls=command.Command)
@click.argument(
    "source", metavar="MANIFEST", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The folder for the films, the journal and results.jsonl; it is made.",
)
@click.option("--dry-run", is_flag=True, help="Check every row and count; send nothing.")
@click.option(
    "--defaults",
    multiple=True,
    metavar="FIELD=VALUE",
    help="A field of all rows that lack it, as it would stand in a CSV.",
)
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
    strict: bool,
    retry_failed: bool,
    no_check: bool,
    yes: bool,
    timeout: float,
    base_url: str | None,
    as_json: bool,
    poll_every: float | None,
) -> None:
    """Make a film of each row of a manifest. This costs money.

    MANIFEST is a CSV, whose first line names the fields, or JSON Lines, one object a line; - reads stdin. Fields are
    named as on the wire, and local pictures are found relative to the manifest:

    \b
      prompt,image_url,duration
      The camera slowly pushes in,cat.png,6
      "Snow, softly falling",,4

    Rows without a model are Grok's: with image_url a picture that moves, with reference_image_urls (a.png;b.png) a
    film of them, with video_url a film that is changed, else a film from words.

    Whatever stopped it, the same command goes on and buys nothing twice. The first Ctrl-C submits nothing more and
    waits for what is under way, the second leaves at once. `foxvideo sheet` shows the films.

    Ends with 0 where every row has its film, 1 where some have not, 2 for bad input, 130 after Ctrl-C.
    """  # noqa: D301 - click wants the control character itself
    with _manifest(source, _fields(defaults), check=not no_check) as manifest:
        counted = command.run(_survey(manifest, source, folder))
        if dry_run:
            _report(counted, as_json=as_json)
            raise click.exceptions.Exit(outcome.Exit.BAD_INPUT if counted.bad else outcome.Exit.OK)
        if not counted.rows:
            raise click.UsageError("the manifest has no rows")
        if counted.bad == counted.rows or (strict and counted.bad):
            raise click.UsageError(f"{counted.bad} of {counted.rows} rows are bad, so nothing was sent")
        client = command.make_client(base_url, folder / JOURNAL, poll_every=poll_every)
        Consent(folder, retry_failed=retry_failed, yes=yes).ask(counted)
        board = Board(counted.rows, max_active)
        running = client.batch(
            manifest,
            folder,
            max_active=max_active,
            max_credits=max_credits,
            retry_failed=retry_failed,
            timeout=timeout,
            watch=board.watch,
        )
        interrupted = _Work(client, running, board).run()
    board.finish(running.halted)
    if board.tally.count(Ending.UNCERTAIN):
        hint = shlex.join(["foxvideo", "tasks", "--uncertain", "--journal", str(folder / JOURNAL)])
        click.echo(f"uncertain rows are never sent again by themselves: {hint}", err=True)
    if as_json:
        command.print_json(board.tally.as_json(counted.rows, running.halted))
    if interrupted:
        raise outcome.Interrupted("interrupted; the same command goes on", submitted="no")
    done = board.tally.complete and board.tally.rows == counted.rows
    raise click.exceptions.Exit(outcome.Exit.OK if done else outcome.Exit.FAILED)


# --- Before ------------------------------------------------------------------------------------------------------


def _fields(defaults: tuple[str, ...]) -> dict[str, str]:
    fields = {}
    for default in defaults:
        name, equals, text = default.partition("=")
        if not name or not equals:
            raise click.UsageError(f"--defaults {default!r}: must read field=value")
        fields[name] = text
    return fields


@contextlib.contextmanager
def _manifest(source: Path, defaults: dict[str, str], *, check: bool) -> Iterator[Manifest]:
    """Open the manifest; what comes on stdin is kept in a file meanwhile, since it is read twice."""
    if str(source) != "-":
        yield Manifest(source, defaults=defaults, check=check)
        return
    with tempfile.NamedTemporaryFile() as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        yield Manifest(Path(copy.name), folder=Path(), defaults=defaults, check=check)


async def _survey(manifest: Manifest, source: Path, folder: Path) -> Survey:
    name = "stdin" if str(source) == "-" else str(source)

    def show(row: BadRow) -> None:
        for fault in row.faults:
            click.echo(f"{name}:{row.line}: {fault.replace('pass check=False', 'give --no-check')}", err=True)

    async with contextlib.AsyncExitStack() as stack:
        path = folder / JOURNAL
        journal = await stack.enter_async_context(Journal(path)) if path.exists() else None
        return await survey(manifest, journal, show)


def _report(counted: Survey, *, as_json: bool) -> None:
    """Print what a dry run found."""
    known = sum(counted.known.values())
    if as_json:
        command.print_json(
            {
                "rows": counted.rows,
                "bad": counted.bad,
                "repeats": counted.repeats,
                "models": dict(counted.models.most_common()),
                "known": {status.value: count for status, count in counted.known.items()},
                "new": counted.new,
            }
        )
        return
    click.echo(f"{counted.rows} rows, {counted.bad} bad, {counted.repeats} repeats; {known} known, {counted.new} new")
    for model, rows in counted.models.most_common():
        click.echo(f"{rows:>9} {model}")


# --- The run -----------------------------------------------------------------------------------------------------


@attrs.define(eq=False)
class _Work:
    """The run, and what Ctrl-C does to it."""

    client: Client
    batch: Batch
    board: Board
    interrupted: bool = False

    def run(self) -> bool:
        """Run the batch, and return whether somebody interrupted it."""
        try:
            command.run(self._go())
        except KeyboardInterrupt:
            self.interrupted = True
        return self.interrupted

    async def _go(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            with contextlib.suppress(RuntimeError):  # on Windows, and in a thread: the first one leaves at once
                asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._interrupt, task)
        async with self.client:
            with self.board:
                async for ended in self.batch:
                    self.board.end(ended)

    def _interrupt(self, task: "asyncio.Task[None]") -> None:
        if self.interrupted:
            self.board.say(
                "leaving; replies to submits under way have ids, so they are waited for, Ctrl-C again cuts them"
            )
            task.cancel()
            return
        self.interrupted = True
        self.batch.stop()
        self.board.say("nothing more is submitted; waiting for what is under way, Ctrl-C again leaves it")
