"""``foxvideo worker``: makes what the queue holds, beside as many others as there are."""

import logging
from pathlib import Path

import click

from foxvideo._journal import Place
from foxvideo.cli import command
from foxvideo.cli.journal import database, journal_option
from foxvideo.client import Client


@click.command(cls=command.Command)
@click.option(
    "--save-to",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="FOLDER",
    help="Where the videos go, under the ids of their tasks: a folder that all workers share, or one of its own.",
)
@click.option("--concurrency", type=click.IntRange(min=1), default=100, show_default=True, help="Most jobs at once.")
@click.option(
    "--drain",
    type=click.FloatRange(min=0),
    default=20.0,
    show_default=True,
    metavar="SECONDS",
    help="How long jobs under way may go on after SIGTERM, before another worker has them.",
)
@click.option(
    "--alive",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A file that is touched every few seconds while all is well, for whoever restarts what hangs.",
)
@click.option("--once", is_flag=True, help="End as soon as the queue is empty.")
@command.base_url_option
@journal_option
@command.poll_every_option
def worker(
    *,
    save_to: Path,
    concurrency: int,
    drain: float,
    alive: Path | None,
    once: bool,
    base_url: str | None,
    journal: Place | None,
    poll_every: float | None,
) -> None:
    """Make what the queue of a journal in PostgreSQL holds, and save it. This costs money.

    Start it on as many machines as you like. SIGTERM, or Ctrl-C, takes nothing more from the queue, lets jobs under
    way end for a while and puts the rest back; a second one leaves at once. What a dead worker had is done by another.

    \b
      foxvideo worker --save-to /mnt/videos
      foxvideo worker --save-to clips/ --once
    """  # noqa: D301 - click wants the control character itself
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING)
    logging.getLogger("foxvideo").setLevel(logging.INFO)  # nobody looks at it: what it does is told line by line
    client = command.make_client(base_url, database(journal), poll_every=poll_every, timeout=3600, save_to=save_to)
    try:
        command.run(_work(client, concurrency=concurrency, drain=drain, alive=alive, once=once))
    except KeyboardInterrupt:
        click.echo("stopped; what was under way is in the journal and in the queue", err=True)


async def _work(client: Client, *, concurrency: int, drain: float, alive: Path | None, once: bool) -> None:
    farm = command.farm()
    async with client:
        await farm.work(client, concurrency=concurrency, drain=drain, alive=alive, wait=not once)
