"""``foxvideo forget``: delete from the journal what ended long ago."""

import time
from pathlib import Path

import click

from foxvideo._journal import SqliteStore
from foxvideo.cli import command, spans
from foxvideo.cli.journal import journal_option, place


@click.command(cls=command.Command)
@click.option("--older-than", "span", type=spans.seconds, required=True, metavar="SPAN", help="Such as 12h, 30d or 8w.")
@journal_option
@command.json_option
def forget(*, span: float, journal: Path | None, as_json: bool) -> None:
    """Delete from the journal what ended long ago. Needs no key and no network.

    What is not ended, or uncertain, stays. Videos stay where they are. A key that is forgotten is a new one: what is
    submitted under it is made, and paid for, anew.
    """
    path = place(journal)
    count = command.run(_forget(path, time.time() - span)) if path.exists() else 0
    if as_json:
        command.print_json({"forgotten": count})
    else:
        click.echo(f"{count} forgotten")


async def _forget(path: Path, before: float) -> int:
    async with SqliteStore(path) as journal:
        return await journal.forget(before)
