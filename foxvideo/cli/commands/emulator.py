"""``foxvideo emulator``: FoxAPI on this machine.

What belongs here: its options. What must not: what the emulator does (``foxvideo/emulator``).
"""

import asyncio
import importlib.util
import shlex
from pathlib import Path

import click

from foxvideo.cli.command import Command, run
from foxvideo.emulator import Emulator

NO_VIDEOS = "PyAV is missing, so every link serves one small stored video: python -m pip install 'foxvideo[emulator]'"

_CHANCE = click.FloatRange(0, 1)


def draws() -> bool:
    """Whether videos can be drawn here."""
    return importlib.util.find_spec("av") is not None


@click.command(cls=Command)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8787,
    show_default=True,
    help="0 takes a free port.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    nargs=2,
    default=(8.0, 20.0),
    show_default=True,
    metavar="A B",
    help="How long a task takes.",
)
@click.option("--no-render", is_flag=True, help="Serve one small stored video instead of drawing each.")
@click.option(
    "--race",
    type=_CHANCE,
    is_flag=False,
    flag_value=1.0,
    default=0.0,
    metavar="[CHANCE]",
    help="Show tasks as completed before their results are there.",
)
@click.option(
    "--fail",
    type=_CHANCE,
    is_flag=False,
    flag_value=1.0,
    default=0.0,
    metavar="[CHANCE]",
    help="Let tasks fail.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another number, other lives of tasks.")
@click.option(
    "--ledger",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PATH",
    help="Append every charge to this file, one line of JSON each.",
)
@click.option("--no-strict", is_flag=True, help="Take any model and any fields.")
def emulator(
    *,
    host: str,
    port: int,
    seconds: tuple[float, float],
    no_render: bool,
    race: float,
    fail: float,
    seed: int,
    ledger: Path | None,
    no_strict: bool,
) -> None:
    """Run FoxAPI on this machine until Ctrl-C; it costs nothing.

    Prints the two lines that make another shell use it.
    """
    served = Emulator(
        host=host,
        port=port,
        seconds=(min(seconds), max(seconds)),
        render=not no_render,
        race=race,
        fail=fail,
        seed=seed,
        ledger=ledger,
        strict=not no_strict,
    )
    if not (no_render or draws()):
        click.echo(NO_VIDEOS, err=True)
    try:
        run(_serve(served))
    except KeyboardInterrupt:  # the way in which it is meant to end
        click.echo("stopped", err=True)
    except ValueError as error:  # the file is no ledger
        raise click.ClickException(str(error)) from None


async def _serve(served: Emulator) -> None:
    async with served:
        click.echo(f"export FOXAPI_BASE_URL={shlex.quote(served.base_url)}")
        click.echo(f"export FOXAPI_API_KEY={shlex.quote(served.api_key)}")
        click.echo("listening; paste these lines into another shell. Ctrl-C ends it, and its tasks.", err=True)
        await asyncio.Event().wait()
