"""The commands, gathered under one name.

What belongs here: the group. What must not: any command; each has a room of its own.
"""

import logging

import click

from foxvideo._version import __version__
from foxvideo.cli.commands.adopt import adopt
from foxvideo.cli.commands.balance import balance
from foxvideo.cli.commands.batch import batch
from foxvideo.cli.commands.demo import demo
from foxvideo.cli.commands.doctor import doctor
from foxvideo.cli.commands.emulator import emulator
from foxvideo.cli.commands.fetch import fetch
from foxvideo.cli.commands.forget import forget
from foxvideo.cli.commands.generate import generate
from foxvideo.cli.commands.models import models
from foxvideo.cli.commands.resubmit import resubmit
from foxvideo.cli.commands.resume import resume
from foxvideo.cli.commands.sheet import sheet
from foxvideo.cli.commands.status import status
from foxvideo.cli.commands.tasks import tasks


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="foxvideo")
def app() -> None:
    """Make videos with FoxAPI.

    What is submitted is written down first, in a journal: `foxvideo tasks` shows it, `foxvideo resume` finishes it.

    The key comes from the environment variable FOXAPI_API_KEY; keys are made at
    https://api.foxapi.cc/console/token. `foxvideo demo` needs none.

    \b
    Exit codes:
      0    ok
      1    the task failed, or another error
      2    bad input
      3    the key was refused, or credits are missing
      4    uncertain: a task may have been made, look before you repeat
      5    waiting ended, the task goes on
      130  interrupted; what goes on is named, with the command to fetch it
    """  # noqa: D301 - click wants the control character itself
    # Each command says in its own words what became of its tasks; what it cannot know of is printed all the same.
    logging.getLogger("foxvideo").setLevel(logging.ERROR)


for _command in (
    demo,
    generate,
    batch,
    sheet,
    status,
    fetch,
    tasks,
    resume,
    adopt,
    resubmit,
    forget,
    models,
    balance,
    doctor,
    emulator,
):
    app.add_command(_command)
