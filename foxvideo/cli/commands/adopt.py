"""``foxvideo adopt``: say that an uncertain submission made a task."""

import click

from foxvideo._journal import Place, TaskRecord
from foxvideo.cli import command
from foxvideo.cli.commands.status import told
from foxvideo.cli.completion import complete_keys
from foxvideo.cli.journal import journal_option, ready
from foxvideo.cli.outcome import next_command
from foxvideo.client import Client
from foxvideo.state import TaskState


@click.command(cls=command.Command)
@click.argument("key", shell_complete=complete_keys)
@click.argument("task_id", metavar="ID")
@command.timeout_option(30)
@command.base_url_option
@journal_option
@command.json_option
@click.pass_context
def adopt(
    ctx: click.Context,
    *,
    key: str,
    task_id: str,
    timeout: float,
    base_url: str | None,
    journal: Place | None,
    as_json: bool,
) -> None:
    """Say that an uncertain submission made the task ID, as the console of your account shows it. Costs nothing.

    The service is asked whether there is such a task. `foxvideo tasks --uncertain` shows the keys.
    """
    client = command.make_client(base_url, ready(journal), timeout=timeout)
    row, state = command.run(_adopt(client, key, task_id))
    if as_json:
        command.print_json(state.as_dict())
    else:
        for name, text in told(state):
            click.echo(f"{name:<9} {text}")
    if state.model and state.model != row.model:
        click.echo(
            f"the task is of {state.model}, the submission asked for {row.model}: is it the right one?", err=True
        )
    click.echo(f"go on with: {next_command(ctx.params, 'fetch', task_id)}", err=True)


async def _adopt(client: Client, key: str, task_id: str) -> tuple[TaskRecord, TaskState]:
    async with client:
        await client.adopt(key, task_id)
        state = await client.look(task_id)
        (record,) = await client.history(key=key, limit=1)
    return record, state
