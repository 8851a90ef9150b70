"""Before a batch spends anything: what it will buy, and whether that is meant.

New rows beside those of an earlier run may be a longer manifest, or the old one with a column changed, in which case
every video would be bought again. So may rows that only a lost journal knew. Both want a yes. What was agreed to is
written down together with the identity of the journal, and the same rows after a crash want none.
"""

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import attrs
import click

from foxvideo._transfer.content import open_regular, reading
from foxvideo.batch import Survey
from foxvideo.cli.outcome import Exit
from foxvideo.cli.streams import somebody_can_answer

AGREED = "batch.json"


@attrs.frozen
class Agreed:
    """What was agreed to in a folder.

    Attributes:
        rows: The digest of the rows; None where that cannot be read.
        journal: The identity of the journal that was to remember them; None where that cannot be read.
    """

    rows: str | None
    journal: str | None

    @classmethod
    def read(cls, folder: Path) -> "Agreed | None":
        """Return what was agreed to last; None where there was nothing."""
        try:
            with reading(folder / AGREED) as file:
                told = json.loads(file.read() or b"")
            return cls(str(told["rows"]), str(told["journal"]))
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, TypeError):
            return cls(None, None)

    def write(self, folder: Path) -> None:
        """Write down that this was agreed to."""
        with io.FileIO(open_regular(folder / AGREED, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "w") as file:
            file.write(json.dumps(attrs.asdict(self)).encode() + b"\n")


def say(counted: Survey, *, retry_failed: bool) -> None:
    """Say what will be bought."""
    again = f", {counted.failed} that failed will be bought anew" if retry_failed and counted.failed else ""
    bad = f", {counted.bad} bad" if counted.bad else ""
    click.echo(f"{len(counted.known)} known, {counted.new} new{bad}{again}", err=True)
    if counted.unknown_ids:
        click.echo(f"{counted.unknown_ids} of the known ones are known from results.jsonl alone", err=True)


def doubts(counted: Survey, agreed: Agreed | None, journal: str | None) -> Iterator[str]:
    """Yield why rows should not be bought without a yes.

    Args:
        counted: What the manifest comes to.
        agreed: What was agreed to in the folder; None for nothing.
        journal: The identity of its journal now; None where there is none.
    """
    if agreed is not None and agreed.journal is not None and agreed.journal != journal:
        ids = f"; results.jsonl knows {counted.ids} task ids" if counted.ids else ""
        yield f"the journal of the last run is gone{ids}"
    elif counted.unknown_ids:
        yield f"results.jsonl knows {counted.ids} task ids, {counted.unknown_ids} of which this journal does not know"
    if counted.videos:
        yield f"{counted.videos} of them have videos there already"
    if agreed is not None and agreed.rows != counted.digest and counted.new:
        yield "the rows of another run are there"


def agree(folder: Path, counted: Survey, journal: str | None, *, retry_failed: bool, yes: bool) -> None:
    """Ask whether what is to be bought is meant, if there is doubt.

    Args:
        folder: Of the batch.
        counted: What the manifest comes to.
        journal: The identity of the journal; None where there is none yet.
        retry_failed: Whether rows that failed are bought anew.
        yes: Whether all is agreed to.

    Raises:
        click.UsageError: Nobody is there to ask.
        click.exceptions.Exit: It is not agreed to.
    """
    bought = counted.new + (counted.failed if retry_failed else 0)
    found = list(doubts(counted, Agreed.read(folder), journal)) if bought and not yes else []
    if not found:
        return
    why = f"{bought} rows would be bought in {folder}, but {', and '.join(found)}"
    if not somebody_can_answer():
        raise click.UsageError(f"{why}: --yes buys them")
    click.echo(why, err=True)
    if not click.confirm(f"Buy {bought} rows?", err=True):
        click.echo("nothing was sent", err=True)
        raise click.exceptions.Exit(Exit.BAD_INPUT)
