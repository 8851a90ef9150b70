"""What all commands share: options, the client they open, Ctrl-C, and how their errors are shown.

What belongs here: what would otherwise stand in two commands. What must not: what a single command does, and the
meaning of an error (``outcome.py``).
"""

import asyncio
import contextlib
import json
import signal
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeVar

import click

from foxvideo._journal import Place
from foxvideo.cli import outcome, spans
from foxvideo.client import Client
from foxvideo.errors import FoxError
from foxvideo.schedule.base import Every
from foxvideo.task import Callback

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_SECONDS = click.FloatRange(min=0, min_open=True)


class Option(Protocol):
    """Adds one option to a command, or several."""

    def __call__(self, function: F, /) -> F:
        """Return the command with it."""
        ...


base_url_option: Option = click.option(
    "--base-url",
    metavar="URL",
    help="Where the service answers. [default: FOXAPI_BASE_URL, else https://api.foxapi.cc]",
)
json_option: Option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON value on stdout and nothing else."
)
poll_every_option: Option = click.option("--poll-every", type=_SECONDS, hidden=True, help="Seconds between two polls.")
output_option: Option = click.option(
    "-o",
    "--output",
    type=click.Path(),
    metavar="PATH",
    help="The file to make, or the folder for it: one that exists, or ends with a slash. [default: this folder]",
)
overwrite_option: Option = click.option("--overwrite", is_flag=True, help="Replace an existing file.")


def options(*many: Option) -> Option:
    """Return what adds several options, in the order in which the help shows them."""

    def add(function: F) -> F:
        for option in reversed(many):
            function = option(function)
        return function

    return add


def timeout_option(default: float) -> Option:
    """Return the option ``--timeout``."""
    return click.option(
        "--timeout",
        type=spans.wait,
        default=f"{default:g}",
        show_default=True,
        metavar="SECONDS",
        help="How long to wait, such as 90, 30m or 2h; the task goes on without you.",
    )


class Command(click.Command):
    """A command whose errors become one line on stderr, or one object on stdout, and an exit code."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments."""
        as_json = "--json" in args
        with _reported(ctx, as_json=as_json):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click has it
        """Run the command."""
        with _reported(ctx, as_json=bool(ctx.params.get("as_json"))):
            return super().invoke(ctx)


@contextlib.contextmanager
def _reported(ctx: click.Context, *, as_json: bool) -> Iterator[None]:
    try:
        yield
    except click.UsageError as error:  # click shows it, and how the command is used
        if as_json:
            print_json(outcome.error_as_json(error, ctx.params))
        raise
    except BrokenPipeError:  # a reader that has seen enough is no error; click ends without a word
        raise
    except KeyboardInterrupt:
        _report(outcome.Interrupted("interrupted", submitted="no"), ctx, as_json=as_json)
    except (FoxError, OSError) as error:
        _report(error, ctx, as_json=as_json)
    except (click.ClickException, click.exceptions.Exit):
        raise
    except Exception:
        if "journal" in ctx.params:
            again = outcome.next_command(ctx.params, "resume")
            click.echo(f"foxvideo broke. What it had submitted is written down; go on with: {again}", err=True)
        raise


def _report(error: Exception, ctx: click.Context, *, as_json: bool) -> None:
    if as_json:
        print_json(outcome.error_as_json(error, ctx.params))
    label = "" if isinstance(error, outcome.Interrupted) else click.style("Error: ", fg="red")
    click.echo(f"{label}{outcome.message(error)}", err=True)
    for hint in outcome.hints(error, ctx.params):
        click.echo(hint, err=True)
    ctx.exit(outcome.exit_code(error))


def print_json(value: Mapping[str, object] | list[dict[str, object]]) -> None:
    """Print the one JSON value of a command on stdout."""
    click.echo(json.dumps(value, indent=2))


# The last is a terminal that was closed; Windows has none.
_ENDINGS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine, which every Ctrl-C, every SIGTERM, and a terminal that goes away, cancels once more.

    ``asyncio.run`` alone cancels only the first time; its second Ctrl-C is a KeyboardInterrupt at whatever line runs,
    and in the midst of a coroutine that merely starts its clean-up over.

    Raises:
        KeyboardInterrupt: It was cancelled.
    """
    try:
        return asyncio.run(_cancelled_by_signals(work))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _cancelled_by_signals(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - for the type checker
    for number in _ENDINGS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as a shell and nohup have it for what runs behind them
            with contextlib.suppress(RuntimeError):  # on Windows, and in a thread: asyncio.run's own way must do
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await work


@contextlib.contextmanager
def bad_input() -> Iterator[None]:
    """Turn an option that the client refuses into a fault of the command line."""
    try:
        yield
    except FoxError:  # some are a ValueError, too
        raise
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def make_client(
    base_url: str | None,
    journal: Place | None = None,
    *,
    poll_every: float | None = None,
    timeout: float | None = None,
    save_to: Path | None = None,
    on_end: Callback | None = None,
) -> Client:
    """Return a client with the key of the environment; nothing is connected or opened yet.

    Args:
        base_url: As ``--base-url`` has it.
        journal: Where its journal lies; None for none, which is for commands that neither submit nor follow.
        poll_every: Seconds between two polls; None as the client thinks best.
        timeout: Seconds for one task; None for no limit.
        save_to: A folder for all videos; None for none.
        on_end: Called for each task that has ended; None for nothing.

    Raises:
        AuthenticationError: There is no key.
        click.UsageError: The address is none.
    """
    schedule = Every(poll_every) if poll_every else None
    with bad_input():
        return Client(
            base_url=base_url,
            schedule=schedule,
            journal=journal or False,
            task_timeout=timeout,
            save_to=save_to,
            on_end=on_end,
            trust_env=True,
        )


def farm() -> ModuleType:
    """Return the room of the queue, which needs an extra.

    Raises:
        click.ClickException: It is not installed.
    """
    try:
        from foxvideo import farm  # noqa: PLC0415 - an extra
    except ImportError:
        raise click.ClickException("a queue needs procrastinate: pip install 'foxvideo[farm]'") from None
    return farm


def check_name(task_id: str | None, key: str | None) -> None:
    """Refuse a task that is named in no way, or in two."""
    if (task_id is None) == (key is None):
        raise click.UsageError("name the task by its ID or by --key")
