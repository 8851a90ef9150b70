"""The commands, gathered under one name.

What belongs here: the group. What must not: any command; each has a room of its own.
"""

import difflib
import logging

import click

from foxvideo._version import __version__
from foxvideo.cli.commands.adopt import adopt
from foxvideo.cli.commands.balance import balance
from foxvideo.cli.commands.batch import batch
from foxvideo.cli.commands.demo import demo
from foxvideo.cli.commands.doctor import doctor
from foxvideo.cli.commands.emulator import emulator
from foxvideo.cli.commands.enqueue import enqueue
from foxvideo.cli.commands.fetch import fetch
from foxvideo.cli.commands.forget import forget
from foxvideo.cli.commands.generate import generate
from foxvideo.cli.commands.journal import journal
from foxvideo.cli.commands.limits import limits
from foxvideo.cli.commands.models import models
from foxvideo.cli.commands.resubmit import resubmit
from foxvideo.cli.commands.resume import resume
from foxvideo.cli.commands.sheet import sheet
from foxvideo.cli.commands.status import status
from foxvideo.cli.commands.tasks import tasks
from foxvideo.cli.commands.worker import worker
from foxvideo.cli.commands.workers import workers
from foxvideo.cli.outcome import Exit

_WIDEST = 110  # characters; the eye loses the line beyond


class _Commands(click.Group):
    """The commands by what they are for, the everyday ones first; a mistyped one is told what it is like."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """Write the commands, each with its whole first sentence."""
        for title, commands in _ROOMS.items():
            with formatter.section(title):
                rows = [(str(command.name), command.get_short_help_str(_WIDEST)) for command in commands]
                formatter.write_dl(rows, col_max=max(map(len, self.commands)))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """Write what each exit code means."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code.value), meaning) for code, meaning in _EXIT_CODES.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that a word names."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            like = difflib.get_close_matches(args[0], self.commands) or [
                name for name in self.commands if name.startswith(args[0])
            ]
            if like:
                ctx.fail(f"no such command {args[0]!r}; did you mean {' or '.join(like)}?")
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": _WIDEST})
@click.version_option(__version__, prog_name="foxvideo")
def app() -> None:
    """Make videos with FoxAPI.

    \b
      foxvideo demo
      foxvideo generate "A fox in snow" -o fox.mp4
      foxvideo batch shots.csv --out clips/
      foxvideo resume

    What is submitted is written down first, in a journal: `foxvideo tasks` shows it, `foxvideo resume` finishes it.

    The key comes from the environment variable FOXAPI_API_KEY; keys are made at
    https://api.foxapi.cc/console/token.
    """  # noqa: D301 - click wants the control character itself
    # Each command says in its own words what became of its tasks; what it cannot know of is printed all the same.
    logging.getLogger("foxvideo").setLevel(logging.ERROR)


_ROOMS = {
    "Every day": (generate, batch, resume, tasks),
    "Look": (status, fetch, sheet, models, balance, doctor),
    "Decide what only you can": (adopt, resubmit, forget),
    "Many machines": (journal, enqueue, worker, workers, limits),
    "Try without a key": (demo, emulator),
}
_EXIT_CODES = {
    Exit.OK: "all is well",
    Exit.FAILED: "the task failed, or another error",
    Exit.BAD_INPUT: "bad input",
    Exit.REFUSED: "the key was refused, credits are missing, or the limits are reached",
    Exit.UNCERTAIN: "uncertain: a task may have been made, look before you repeat",
    Exit.STILL_RUNNING: "waiting ended, the task goes on",
    Exit.INTERRUPTED: "interrupted; what goes on is named, with the command that fetches it",
}
for _commands in _ROOMS.values():
    for _command in _commands:
        app.add_command(_command)
