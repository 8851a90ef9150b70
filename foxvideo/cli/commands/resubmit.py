"""``foxvideo resubmit``: send an uncertain submission again."""

import sys
from typing import Any

import click

from foxvideo._journal import Place, TaskRecord, store_at
from foxvideo._journal.recorder import recalled_request
from foxvideo.cli import command
from foxvideo.cli.commands.generate import request_options
from foxvideo.cli.completion import complete_keys
from foxvideo.cli.compose import Asked
from foxvideo.cli.errand import Errand, errand_options, print_video
from foxvideo.cli.journal import ready
from foxvideo.cli.outcome import Interrupted
from foxvideo.cli.streams import somebody_can_answer
from foxvideo.cli.target import Target
from foxvideo.client import Client
from foxvideo.task import VideoTask


@click.command(cls=command.Command)
@click.argument("key", shell_complete=complete_keys)
@request_options
@click.option("--yes", is_flag=True, help="Do not ask whether I am sure.")
@command.output_option
@errand_options
def resubmit(
    *,
    key: str,
    yes: bool,
    output: str | None,
    overwrite: bool,
    timeout: float,
    base_url: str | None,
    journal: Place | None,
    poll_every: float | None,
    as_json: bool,
    **asked: Any,  # noqa: ANN401 - the fields of Asked, which click has checked
) -> None:
    """Submit again what is uncertain: IF IT WAS MADE AFTER ALL, YOU PAY TWICE.

    Look at the console of your account first. What was asked for is in the journal, but for local files: where there
    were some, give the prompt and the files once more, as to `foxvideo generate`.
    """
    target = Target(output, overwrite)
    target.check()
    options = Asked(**asked)
    request = options.request() if options != Asked() else None
    path = ready(journal)
    client = command.make_client(base_url, path, poll_every=poll_every, timeout=timeout)
    row = command.run(_uncertain(path, key, client.base_url))
    if request is None and recalled_request(row) is None:
        raise click.UsageError("the journal keeps no local files: give the prompt and the files, as to generate")
    if not yes:
        _ask(row)

    async def begin(client: Client) -> VideoTask:
        return await client.resubmit(key, request)

    video, files = Errand(client, target).run(row.model, begin)
    print_video(video, files, as_json=as_json)


async def _uncertain(path: Place, key: str, origin: str) -> TaskRecord:
    async with store_at(path) as journal:
        return await journal.uncertain(key, origin)


def _ask(row: TaskRecord) -> None:
    """Ask on a terminal whether it is meant.

    Raises:
        Interrupted: It is not.
        click.UsageError: There is no terminal.
    """
    if not somebody_can_answer():
        raise click.UsageError("this may cost twice; --yes says that you know")
    click.echo(f"{row.key}: {row.model}, {row.error or 'no reply'}", err=True)
    click.echo("If it was made after all, you pay twice. Submit it again? [y/N] ", err=True, nl=False)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise Interrupted("nothing was sent", submitted="no")
