"""Where the journal of the command line lies, and what is in it.

What belongs here: its place, and reading it with neither a key nor a network. What must not: commands
(``commands/``), and what is written down when (``_journal/recorder.py``).
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import platformdirs

from foxvideo._aio import in_thread
from foxvideo._journal import Place, RecordStatus, TaskRecord, is_postgres, store_at
from foxvideo.cli.command import Option

PLACE = "FOXVIDEO_JOURNAL"


class _Place(click.Path):
    """A file, or the URL of a database."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - click's
        """Leave a URL as it is."""
        return value if is_postgres(value) else super().convert(value, param, ctx)


journal_option: Option = click.option(
    "--journal",
    type=_Place(path_type=Path, dir_okay=False),
    metavar="PATH|URL",
    help=f"What remembers submissions: a file, or a PostgreSQL database. [default: {PLACE}, else a file of yours]",
)


def place(given: Place | None) -> Place:
    """Return where the journal lies: where it was asked for, or the environment says, or the user's data lie.

    Raises:
        click.UsageError: Nothing names a place, and the user has no home: then every folder would have a journal of
            its own, and the same key would be bought in each.
    """
    named = given or os.environ.get(PLACE)
    if named:
        return str(named) if is_postgres(named) else Path(named)
    path = None
    with contextlib.suppress(RuntimeError):  # as newer versions of platformdirs say it; older ones leave a ``~``
        path = platformdirs.user_data_path("foxvideo", appauthor=False) / "journal.db"
    if path is None or not path.is_absolute():
        raise click.UsageError(f"there is no home folder for the journal: name a file by --journal or {PLACE}")
    return path


def ready(given: Place | None) -> Place:
    """Return where the journal lies, and make the folder of the default one.

    A folder that cannot be made is no error here: the journal itself says so before anything is sent.
    """
    path = place(given)
    if not given and not os.environ.get(PLACE) and isinstance(path, Path):
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
    return path


def database(given: Place | None) -> str:
    """Return the URL of the journal, which has to be in PostgreSQL here.

    Raises:
        click.UsageError: It is not.
    """
    where = place(given)
    if not is_postgres(where):
        raise click.UsageError(f"name a database by --journal or {PLACE}: postgresql://user@host/name")
    return str(where)


async def saved_at(path: Place, *, key: str | None = None, task_id: str | None = None) -> str | None:
    """Return where the journal says that the video of a task was saved; None where it knows of none, or is not there.

    Raises:
        JournalError: It cannot be read.
    """
    if (key is None and task_id is None) or not await in_thread(there, path):
        return None
    async with store_at(path) as journal:
        if key is not None:
            record = await journal.look(key)
            return None if record is None else record.file
        files = await journal.files(task_id or "")
        return str(files[0].path) if 0 in files else None


def there(path: Place) -> bool:
    """Whether there is a journal already; blocks. A database counts as one."""
    return isinstance(path, str) or path.exists()


async def read(path: Place) -> tuple[TaskRecord, ...]:
    """Return all rows in the order of planning; makes a journal where none is.

    Raises:
        JournalError: It cannot be read.
    """
    async with store_at(path) as journal:
        return await journal.records()


def undecided(rows: Iterable[TaskRecord]) -> list[TaskRecord]:
    """Return the rows that are uncertain and wait for a decision: nothing was made since under their keys."""
    newest = {row.key: row for row in rows if not row.status.nothing_made}
    return [row for row in newest.values() if row.status is RecordStatus.UNCERTAIN]


def running(rows: Iterable[TaskRecord]) -> list[TaskRecord]:
    """Return the rows of tasks that were accepted and are not known to have ended."""
    return [row for row in rows if row.status is RecordStatus.ACCEPTED]
