"""``foxvideo status`` and ``foxvideo fetch``: what to do with an id.

What belongs here: commands that cost nothing. What must not: anything that submits.
"""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import click

from foxvideo.cli import command, outcome
from foxvideo.cli.errand import Errand, print_video
from foxvideo.cli.target import Target
from foxvideo.client import Client
from foxvideo.states import TaskState


@click.command(cls=command.Command)
@click.argument("task_id", metavar="ID")
@command.timeout_option(30)
@command.base_url_option
@command.json_option
def status(*, task_id: str, timeout: float, base_url: str | None, as_json: bool) -> None:
    """Ask once where a task stands.

    Ends with 0 whatever the status is, as long as the service told it.
    """
    state = command.run(_first_state(command.make_client(base_url), task_id, timeout))
    if as_json:
        command.print_json(outcome.state_as_json(state))
        return
    for name, text in _told(state):
        click.echo(f"{name:<9} {text}")


async def _first_state(client: Client, task_id: str, limit: float) -> TaskState:
    async with client:
        return await anext(aiter(client.task(task_id, timeout=limit)))


def _told(state: TaskState) -> Iterator[tuple[str, str]]:
    yield "task", state.id
    yield "status", state.status_text
    if state.progress is not None:
        yield "progress", f"{state.progress:g} %"
    if state.model:
        yield "model", state.model
    if state.created is not None:
        yield "created", f"{dt.datetime.fromtimestamp(state.created, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
    if state.credits_reserved is not None:
        yield "credits", f"{state.credits_reserved:g} reserved"
    if state.problem:
        yield "problem", ": ".join(filter(None, (state.problem.code, state.problem.message)))
    for result in state.results:
        yield "result", result.url or "  ".join(f"{name}: {value}" for name, value in result.fields.items())


@click.command(cls=command.Command)
@click.argument("task_id", metavar="ID")
@command.output_option
@command.overwrite_option
@command.timeout_option(3600)
@command.base_url_option
@command.json_option
@command.poll_every_option
def fetch(
    *,
    task_id: str,
    output: Path | None,
    overwrite: bool,
    timeout: float,
    base_url: str | None,
    poll_every: float | None,
    as_json: bool,
) -> None:
    """Wait for a task and save its film. Costs nothing.

    Links live 24 hours.
    """
    target = Target(output, overwrite)
    target.check(task_id)
    errand = Errand(command.make_client(base_url, poll_every), target)
    video, files = errand.run(task_id, lambda client: client.task(task_id, timeout=timeout))
    print_video(video, files, as_json=as_json)
