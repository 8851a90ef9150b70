"""``foxvideo fetch``: wait for a task and save its video."""

import click

from foxvideo._journal import Place
from foxvideo.cli import command
from foxvideo.cli.completion import id_argument, key_option
from foxvideo.cli.errand import Errand, errand_options, print_video
from foxvideo.cli.journal import ready, saved_at
from foxvideo.cli.target import Target
from foxvideo.client import Client
from foxvideo.task import VideoTask


@click.command(cls=command.Command)
@id_argument
@key_option
@command.output_option
@errand_options
def fetch(
    *,
    task_id: str | None,
    key: str | None,
    output: str | None,
    overwrite: bool,
    timeout: float,
    base_url: str | None,
    journal: Place | None,
    poll_every: float | None,
    as_json: bool,
) -> None:
    """Wait for a task, named by its ID or its --key, and save its video. Costs nothing.

    Links live 24 hours.
    """
    command.check_name(task_id, key)
    target, path = Target(output, overwrite), ready(journal)
    target.check(task_id, known=command.run(saved_at(path, key=key, task_id=task_id)))
    client = command.make_client(base_url, path, poll_every=poll_every, timeout=timeout)

    async def begin(client: Client) -> VideoTask:
        return client.task(task_id, key=key)

    video, files = Errand(client, target).run(key or task_id or "", begin)
    print_video(video, files, as_json=as_json)
