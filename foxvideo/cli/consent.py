"""Before a batch spends anything: what it will buy, and whether that is meant.

What belongs here: the question, and what was agreed. What must not: counting (``foxvideo/batch/survey.py``).

New rows beside those of a former run may be a longer manifest, or the old one with a column changed, in which case
every film would be bought again. So they want a yes. What was agreed to is written down, and the same rows after a
crash want none.
"""

import json
import sys
from pathlib import Path

import attrs
import click

from foxvideo.batch import Survey

AGREED = "batch.json"


@attrs.frozen
class Consent:
    """What a folder has seen and what the options say.

    Attributes:
        folder: Of the batch; made where there is none.
        retry_failed: Whether failed rows are bought anew.
        yes: Whether all is agreed to.
    """

    folder: Path
    retry_failed: bool
    yes: bool

    def ask(self, counted: Survey) -> None:
        """Say what will be bought, and ask if there is doubt.

        Raises:
            click.UsageError: It is not agreed to, or nobody is there to ask.
            OSError: The folder cannot be written.
        """
        again = f", {counted.failed} that failed will be bought anew" if self.retry_failed and counted.failed else ""
        bad = f", {counted.bad} bad" if counted.bad else ""
        click.echo(f"{sum(counted.known.values())} known, {counted.new} new{bad}{again}", err=True)
        agreed = self._agreed()
        if agreed == counted.digest or not counted.new:
            return
        if agreed is not None and not self.yes:
            self._confirm(counted)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / AGREED).write_text(json.dumps({"rows": counted.digest}) + "\n")

    def _agreed(self) -> str | None:
        """Return the rows that were agreed to last; None if there were none, empty if that cannot be read."""
        try:
            return str(json.loads((self.folder / AGREED).read_text())["rows"])
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, TypeError):
            return ""

    def _confirm(self, counted: Survey) -> None:
        if not _somebody_is_there():
            raise click.UsageError(
                f"{counted.new} new beside the rows of another run in {self.folder}: --yes buys them"
            )
        if not click.confirm(f"Buy the {counted.new} new ones?", err=True):
            raise click.UsageError("nothing was sent")


def _somebody_is_there() -> bool:
    return sys.stdin.isatty()
