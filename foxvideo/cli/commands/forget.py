"""``foxvideo forget``: delete from the journal what ended long ago."""

import time

import click

from foxvideo._journal import Place, store_at
from foxvideo.cli import command, spans
from foxvideo.cli.journal import journal_option, place, there


@click.command(cls=command.Command)
@click.option("--older-than", "span", type=spans.seconds, required=True, metavar="SPAN", help="Such as 12h, 30d or 8w.")
@journal_option
@command.json_option
def forget(*, span: float, journal: Place | None, as_json: bool) -> None:
    """Delete from the journal what ended long ago. Needs no key and no network.

    What is not ended, or uncertain, stays. Videos stay where they are. A key that is forgotten is a new one: what is
    submitted under it is made, and paid for, anew.
    """
    path = place(journal)
    count = command.run(_forget(path, time.time() - span)) if there(path) else 0
    if as_json:
        command.print_json({"forgotten": count})
    else:
        click.echo(f"{count} forgotten")


async def _forget(path: Place, before: float) -> int:
    async with store_at(path) as journal:
        return await journal.forget(before)
