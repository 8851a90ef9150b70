"""``foxvideo enqueue``: the rows of a manifest, for workers on any machine."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from foxvideo._journal import Place
from foxvideo.batch import BadRow, Row
from foxvideo.cli import command, manifests, outcome
from foxvideo.cli.journal import database, journal_option

if TYPE_CHECKING:
    from foxvideo.farm import Enqueued


@click.command(cls=command.Command)
@manifests.manifest_argument
@manifests.defaults_option
@click.option("--strict", is_flag=True, help="Put nothing in if one row is bad, instead of leaving it out.")
@click.option("--no-check", is_flag=True, help="Do not hold the fields against the documentation.")
@command.base_url_option
@journal_option
@command.json_option
def enqueue(
    *,
    source: Path,
    defaults: tuple[str, ...],
    strict: bool,
    no_check: bool,
    base_url: str | None,
    journal: Place | None,
    as_json: bool,
) -> None:
    """Put the rows of a manifest into the queue of a journal in PostgreSQL. Workers make them, which costs money.

    MANIFEST is read as by `foxvideo batch`, and the rows have the same keys: however often it is put in, each row is
    made once. Local files are uploaded at once.

    \b
      foxvideo enqueue shots.csv
      foxvideo worker --save-to /mnt/videos
    """  # noqa: D301 - click wants the control character itself
    where = database(journal)
    manifest = manifests.read(source, defaults, check=not no_check)
    rows, bad = [], 0
    for row in manifest:
        if isinstance(row, BadRow):
            manifests.show_bad(source, row)
            bad += 1
        else:
            rows.append(row)
    if bad and (strict or not rows):
        raise click.UsageError(f"{bad} of {bad + len(rows)} rows are bad, so nothing was put in")
    if not rows:
        raise click.UsageError("the manifest has no rows")
    done = command.run(_enqueued(where, base_url, rows))
    if as_json:
        command.print_json({"new": done.new, "waiting": done.waiting, "known": done.known, "bad": bad})
    else:
        click.echo(f"{done.new} rows put in, {done.waiting} were in the queue, {done.known} in the journal, {bad} bad")
    raise click.exceptions.Exit(outcome.Exit.BAD_INPUT if bad else outcome.Exit.OK)


async def _enqueued(where: str, base_url: str | None, rows: list[Row]) -> "Enqueued":
    farm = command.farm()
    async with command.make_client(base_url, where) as client:
        done: Enqueued = await farm.enqueue(client, rows)
    return done
