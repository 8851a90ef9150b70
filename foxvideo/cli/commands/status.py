"""``foxvideo status``: ask once where a task stands."""

from collections.abc import Iterator

import click

from foxvideo._journal import Place
from foxvideo.cli import command
from foxvideo.cli.completion import id_argument, key_option
from foxvideo.cli.journal import journal_option, ready
from foxvideo.client import Client
from foxvideo.state import TaskState


@click.command(cls=command.Command)
@id_argument
@key_option
@command.timeout_option(30)
@command.base_url_option
@journal_option
@command.json_option
def status(
    *,
    task_id: str | None,
    key: str | None,
    timeout: float,
    base_url: str | None,
    journal: Place | None,
    as_json: bool,
) -> None:
    """Ask once where a task stands, named by its ID or its --key.

    Ends with 0 whatever the status is, as long as the service told it.
    """
    command.check_name(task_id, key)
    state = command.run(_first_state(command.make_client(base_url, ready(journal), timeout=timeout), task_id, key))
    if as_json:
        command.print_json(state.as_dict())
        return
    for name, text in told(state):
        click.echo(f"{name:<9} {text}")


async def _first_state(client: Client, task_id: str | None, key: str | None) -> TaskState:
    async with client:
        return await client.look(task_id, key=key)


def told(state: TaskState) -> Iterator[tuple[str, str]]:
    """Tell a state in words, each with its name."""
    yield "task", state.id
    yield "status", state.status_text
    if state.progress is not None:
        yield "progress", f"{state.progress:g} %"
    if state.model:
        yield "model", state.model
    if state.created is not None:
        yield "created", f"{state.created:%Y-%m-%d %H:%M:%S} UTC"
    if state.credits_reserved is not None:
        yield "credits", f"{state.credits_reserved:g} reserved"
    if state.problem:
        yield "problem", ": ".join(filter(None, (state.problem.code, state.problem.message)))
    for result in state.results:
        yield "result", result.url or "  ".join(f"{name}: {value}" for name, value in result.fields.items())
