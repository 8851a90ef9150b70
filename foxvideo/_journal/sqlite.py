"""A store in one SQLite file, which clients of many processes of one machine may share."""

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar

import attrs

from foxvideo._journal import sql
from foxvideo._journal.verbs import Verbs
from foxvideo._journal.writer import Writer

if TYPE_CHECKING:
    import os


def _absolute(path: "str | os.PathLike[str]") -> Path:
    return Path(path).absolute()


@attrs.define(eq=False)
class SqliteStore(Verbs[Writer]):
    """A ``Store`` in one file; each verb is described there.

    The file is made with mode 0600 where there is none; its folder must exist, on a local disk. It goes by its real
    path, so it does not matter by which name or link it is opened. What was opened belongs to the process that did it:
    a child that is forked later gets ``JournalError``. A store that has done nothing yet works in both.

    Beside what the file or its disk may say, ``JournalError`` is raised where it is no journal, of another version,
    locked for longer than ``patience``, or where the file, its log or its folder was removed, moved or replaced while
    this client had it open: then nothing of what is asked for is written, until the same file is back.

    Attributes:
        path: The file.
        patience: Seconds to wait for another process that writes.
    """

    operations: ClassVar[ModuleType] = sql
    path: Path = attrs.field(converter=_absolute)
    patience: float = attrs.field(default=30.0, kw_only=True)

    @property
    def place(self) -> str:
        """The path, as an error shows it."""
        return str(self.path)

    def still_mine(self, owner: str) -> bool:  # noqa: ARG002 - it has one name for life
        return True  # the lock of a process that is stopped stays its own

    def _open(self) -> Writer:
        return Writer(self.path, self.patience)
