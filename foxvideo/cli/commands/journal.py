"""``foxvideo journal``: make the tables of a journal that many machines share."""

import click

from foxvideo._journal import Place
from foxvideo._journal.pgsql import SCHEMA
from foxvideo._journal.postgres import has_journal, init as make, shown
from foxvideo.cli import command
from foxvideo.cli.journal import database, journal_option


@click.group()
def journal() -> None:
    """Prepare a journal in PostgreSQL, which many machines share.

    A journal in a file needs no preparation.
    """


@journal.command(cls=command.Command)
@journal_option
@click.option("--print", "only_print", is_flag=True, help="Print the SQL, for somebody who may create a schema.")
@click.option("--queue", is_flag=True, help="Also, or later, the tables of the queue: foxvideo enqueue, worker.")
def init(*, journal: Place | None, only_print: bool, queue: bool) -> None:
    """Make the tables of the journal in its database. Needs no key.

    \b
      foxvideo journal init --journal postgresql://fox@db.internal/studio
      foxvideo journal init --print | psql studio
    """  # noqa: D301 - click wants the control character itself
    if only_print:
        click.echo(SCHEMA.read_text(encoding="utf-8"), nl=False)
        if queue:
            click.echo(command.farm().SCHEMA, nl=False)
        return
    where = database(journal)
    if not (queue and has_journal(where)):
        make(where)
        click.echo(f"made a journal in {shown(where)}")
    if queue:
        command.farm().init(where)
        click.echo(f"made a queue in {shown(where)}")
