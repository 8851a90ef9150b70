"""``foxvideo journal``: make the tables of a journal that many machines share."""

import click

from foxvideo._journal import Place, is_postgres
from foxvideo._journal.pgsql import SCHEMA
from foxvideo._journal.postgres import init as make, shown
from foxvideo.cli import command
from foxvideo.cli.journal import PLACE, journal_option, place


@click.group()
def journal() -> None:
    """Prepare a journal in PostgreSQL, which many machines share.

    A journal in a file needs no preparation.
    """


@journal.command(cls=command.Command)
@journal_option
@click.option("--print", "only_print", is_flag=True, help="Print the SQL, for somebody who may create a schema.")
def init(*, journal: Place | None, only_print: bool) -> None:
    """Make the tables of the journal in its database. Needs no key.

    \b
      foxvideo journal init --journal postgresql://fox@db.internal/studio
      foxvideo journal init --print | psql studio
    """  # noqa: D301 - click wants the control character itself
    if only_print:
        click.echo(SCHEMA.read_text(encoding="utf-8"), nl=False)
        return
    where = place(journal)
    if not is_postgres(where):
        raise click.UsageError(f"name a database by --journal or {PLACE}: postgresql://user@host/name")
    make(where)
    click.echo(f"made a journal in {shown(where)}")
