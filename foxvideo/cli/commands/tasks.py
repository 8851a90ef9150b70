"""``foxvideo tasks``: what the journal knows, with no key and no network."""

import datetime as dt
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
from rich.cells import cell_len

from foxvideo._journal import RecordStatus, TaskRecord
from foxvideo.cli import command, spans
from foxvideo.cli.journal import journal_option, place, read, undecided

_NONE = "-"


@click.command(cls=command.Command)
@click.option("--uncertain", is_flag=True, help="Only what may have been made and may be paid for: yours to decide.")
@journal_option
@command.json_option
def tasks(*, uncertain: bool, journal: Path | None, as_json: bool) -> None:
    """Show what was submitted from here. Needs no key and no network.

    What is `accepted` had not ended when it was last asked for: `foxvideo resume` finishes and saves it. What is
    `uncertain` left, and its reply was lost, so nobody but you can find out whether it was made. Look at the console
    of your account, then say `foxvideo adopt KEY ID` or `foxvideo resubmit KEY`.
    """
    path = place(journal)
    rows = command.run(read(path)) if path.exists() else ()
    open_ones = undecided(rows)
    wanted = open_ones if uncertain else rows
    if as_json:
        command.print_json([row.as_dict() for row in wanted])
        return
    for line in table(wanted, {row.number for row in open_ones}, time.time()):
        click.echo(line)
    for line in _told_of(path, wanted, open_ones if uncertain else ()):
        click.echo(line, err=True)
    if open_ones and not uncertain:
        click.echo(f"{len(open_ones)} uncertain: foxvideo tasks --uncertain", err=True)


def _told_of(path: Path, rows: Sequence[TaskRecord], open_ones: Sequence[TaskRecord]) -> Iterator[str]:
    if not rows:
        yield f"nothing in {path}" if path.exists() else f"there is no journal at {path} yet"
    for row in open_ones:
        yield f"{row.key}: sent {_moment(row.sent or row.planned)}, {_printable(row.error or 'no reply')}"
    if open_ones:
        yield "look at the console; then foxvideo adopt KEY ID, or foxvideo resubmit KEY if it was not made"


def table(rows: Sequence[TaskRecord], undecided_numbers: set[int], now: float) -> Iterator[str]:
    """Return a table, whose lines are as long as they must be: an id that is cut short cannot be copied.

    Args:
        rows: What to show.
        undecided_numbers: Which of them are uncertain and wait for a decision.
        now: Unix seconds.
    """
    columns: dict[str, Callable[[TaskRecord], str]] = {
        "KEY": lambda row: _NONE if row.task_id and row.key.startswith("auto-") else row.key,
        "ID": lambda row: row.task_id or _NONE,
        "MODEL": lambda row: row.model,
        "STATE": lambda row: _state(row, undecided_numbers),
        "AGE": lambda row: spans.shown(now - row.planned),
        "CREDITS": lambda row: _NONE if row.credits_reserved is None else f"{row.credits_reserved:g}",
        "FILE": lambda row: row.file or _NONE,
    }
    if len({row.origin for row in rows}) > 1:
        columns["HOST"] = lambda row: row.origin
    if not rows:
        return
    lines = [list(columns), *([_printable(text(row)) for text in columns.values()] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (text + " " * (width - cell_len(text)) for text, width in zip(line, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _state(row: TaskRecord, undecided_numbers: set[int]) -> str:
    decided = row.status is RecordStatus.UNCERTAIN and row.number not in undecided_numbers
    return "uncertain, submitted again" if decided else str(row.status)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _moment(seconds: float) -> str:
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC).astimezone():%Y-%m-%d %H:%M:%S}"
