"""``foxvideo tasks``: what the journal knows, with no key and no network."""

import datetime as dt
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import click
from rich.cells import cell_len, set_cell_size

from foxvideo._journal import Place, RecordStatus, TaskRecord
from foxvideo._journal.postgres import shown
from foxvideo.cli import command, spans
from foxvideo.cli.journal import journal_option, place, read, there, undecided

_NONE, _GAP = "-", "  "
_BY_WORTH = ("ID", "STATE", "KEY", "AGE", "PROMPT", "FILE", "CREDITS", "MODEL", "HOST")  # what is left out last first
_WIDEST_KEY = 24
_SHORTEST_PROMPT = 12


@click.command(cls=command.Command)
@click.option("--uncertain", is_flag=True, help="Only what may have been made and may be paid for: yours to decide.")
@click.option("--status", type=click.Choice([status.value for status in RecordStatus]), help="Only these.")
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the newest N.")
@journal_option
@command.json_option
def tasks(*, uncertain: bool, status: str | None, last: int | None, journal: Place | None, as_json: bool) -> None:
    """Show what was submitted from here. Needs no key and no network.

    What is `accepted` had not ended when it was last polled: `foxvideo resume` finishes and saves it. What is
    `uncertain` left, and its reply was lost, so nobody but you can find out whether it was made. Look at the console
    of your account, then say `foxvideo adopt KEY ID` or `foxvideo resubmit KEY`.

    A terminal shows as many columns as fit. --json has everything.

    \b
      foxvideo tasks --last 10
      foxvideo tasks --status failed
    """  # noqa: D301 - click wants the control character itself
    path = place(journal)
    records = command.run(read(path)) if there(path) else ()
    open_ones = undecided(records)
    wanted = [record for record in (open_ones if uncertain else records) if status in (None, record.status)]
    wanted = wanted[-last:] if last is not None else wanted
    if as_json:
        command.print_json([record.as_dict() for record in wanted])
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in table(wanted, {record.number for record in open_ones}, time.time(), width):
        click.echo(line)
    for line in _told_of(path, wanted, open_ones if uncertain else ()):
        click.echo(line, err=True)
    if open_ones and not uncertain:
        click.echo(f"{len(open_ones)} uncertain: foxvideo tasks --uncertain", err=True)


def _told_of(path: Place, records: Sequence[TaskRecord], open_ones: Sequence[TaskRecord]) -> Iterator[str]:
    if not records:
        yield f"nothing in {shown(path)}" if there(path) else f"there is no journal at {shown(path)} yet"
    for record in open_ones:
        why = _printable(record.error or "no reply")
        yield f"{record.key}: sent {_moment(record.sent or record.planned)}, {why}"
    if open_ones:
        yield "look at the console; then foxvideo adopt KEY ID, or foxvideo resubmit KEY if it was not made"


def table(
    records: Sequence[TaskRecord], undecided_numbers: set[int], now: float, width: int | None = None
) -> Iterator[str]:
    """Return a table; an id is whole in it, or it could not be copied.

    Args:
        records: What to show.
        undecided_numbers: Which of them are uncertain and wait for a decision.
        now: Unix seconds.
        width: Of the terminal, in characters: columns that do not fit are left out. None for none, which has all.
    """
    if not records:
        return
    columns = _columns(undecided_numbers, now, width)
    if len({record.origin for record in records}) > 1:
        columns["HOST"] = lambda record: record.origin
    lines = {name: [name, *(_printable(text(record)) for record in records)] for name, text in columns.items()}
    widths = {name: max(map(cell_len, cells)) for name, cells in lines.items()}
    if width is not None:
        widths = _fitting(widths, width)
    shown = [name for name in columns if name in widths]
    for number in range(len(records) + 1):
        yield _GAP.join(_fitted(lines[name][number], widths[name]) for name in shown).rstrip()


def _fitting(widths: Mapping[str, int], width: int) -> dict[str, int]:
    """Return the columns that fit a terminal, with their widths: those that are worth most, a long text cut."""
    shown: dict[str, int] = {}
    left = width + len(_GAP)  # the first column has no gap before it
    for name in _BY_WORTH:
        wanted = widths.get(name, width + 1)
        if name == "KEY":
            wanted = min(wanted, _WIDEST_KEY)
        elif name == "PROMPT" and left - len(_GAP) >= _SHORTEST_PROMPT:
            wanted = min(wanted, left - len(_GAP))
        if len(_GAP) + wanted <= left:
            shown[name] = wanted
            left -= len(_GAP) + wanted
    return shown


def _columns(undecided_numbers: set[int], now: float, width: int | None) -> "dict[str, Callable[[TaskRecord], str]]":
    """Return what each column says of a record, in their order from left to right."""
    return {
        "KEY": lambda record: _NONE if record.task_id and record.key.startswith("auto-") else record.key,
        "ID": lambda record: record.task_id or _NONE,
        "STATE": lambda record: _state(record, undecided_numbers),
        "AGE": lambda record: spans.shown(now - record.planned),
        "CREDITS": lambda record: _NONE if record.credits_reserved is None else f"{record.credits_reserved:g}",
        "MODEL": lambda record: record.model,
        "PROMPT": lambda record: " ".join(str(json.loads(record.request).get("prompt") or _NONE).split()),
        "FILE": lambda record: (record.file if width is None else Path(record.file).name) if record.file else _NONE,
    }


def _fitted(text: str, width: int) -> str:
    """Return a cell of a width; what does not fit loses its middle, since keys differ at both ends."""
    if (spare := width - cell_len(text)) >= 0:
        return text + " " * spare
    head = set_cell_size(text, max(width - width // 3 - 1, 0)).rstrip()
    tail = text[-(width // 3) :] if width >= _SHORTEST_PROMPT else ""
    return set_cell_size(f"{head}…{tail}", width)


def _state(record: TaskRecord, undecided_numbers: set[int]) -> str:
    decided = record.status is RecordStatus.UNCERTAIN and record.number not in undecided_numbers
    return "uncertain, submitted again" if decided else str(record.status)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _moment(seconds: float) -> str:
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC).astimezone():%Y-%m-%d %H:%M:%S}"
