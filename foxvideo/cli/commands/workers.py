"""``foxvideo workers``: who lives, and what each has."""

import attrs
import click

from foxvideo._journal import Place
from foxvideo._journal.inspection import Worker, workers as living
from foxvideo.cli import command, spans
from foxvideo.cli.journal import database, journal_option


@click.command(cls=command.Command)
@journal_option
@command.json_option
def workers(*, journal: Place | None, as_json: bool) -> None:
    """Show the programs that share a journal in PostgreSQL. Needs no key.

    One that fell silent is shown until another takes over what it had.
    """
    found = living(database(journal))
    if as_json:
        command.print_json([attrs.asdict(worker) | {"lives": worker.lives} for worker in found])
        return
    if not found:
        click.echo("nobody works with this journal now", err=True)
    for line in map(_line, found):
        click.echo(line)


def _line(worker: Worker) -> str:
    state = "lives" if worker.lives else f"silent for {spans.shown(worker.silent)}"
    has = f"{worker.planned} waiting, {worker.sending} being sent, {worker.following} followed"
    return f"{worker.place or worker.id}: {state}; {has}"
