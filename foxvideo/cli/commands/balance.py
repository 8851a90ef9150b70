"""``foxvideo balance``: what this key has left."""

import json
from collections.abc import Callable, Iterator

import attrs
import click
from click.shell_completion import CompletionItem

from foxvideo.account import QUOTA_PER_DOLLAR, Balance
from foxvideo.cli import command
from foxvideo.client import Client

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


@click.command(cls=command.Command)
@command.base_url_option
@command.json_option
def balance(*, base_url: str | None, as_json: bool) -> None:
    """Show what this key has left. Costs nothing."""
    told = command.run(_balance(command.make_client(base_url, None)))
    if as_json:
        expires = told.expires_at.isoformat() if told.expires_at else None
        command.print_json(attrs.asdict(told) | {"expires_at": expires, "dollars": told.dollars})
        return
    for name, text in _left(told):
        click.echo(f"{name:<9} {text}")


async def _balance(client: Client) -> Balance:
    async with client:
        return await client.balance()


def _left(told: Balance) -> Iterator[tuple[str, str]]:
    if told.name:
        yield "key", told.name
    for name, units in (("left", told.total_available), ("used", told.total_used), ("granted", told.total_granted)):
        if units is not None:
            yield name, f"${units / QUOTA_PER_DOLLAR:,.2f}"
    if told.unlimited:
        yield "limit", "none of its own"
    yield "expires", f"{told.expires_at:%Y-%m-%d %H:%M} UTC" if told.expires_at else "never"
    if told.credits is not None:
        yield "credits", json.dumps(told.credits)
