"""Where a journal lies: what is at its path before it is opened, and whether that is still there while it is open.

A journal is its content and its inode, not its name. It goes by its real path, so that whatever leads to it finds the
same lock files and the same log of SQLite; and what a client has open must be what the next one will find there.
"""

import contextlib
import os
import stat
import tempfile
import time
from pathlib import Path

import attrs

from foxvideo.errors import JournalError

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_BIRTH_SECONDS = 0.2  # that a new file may have two names, see _make
_MOMENT = 0.005
_OTHER_FILE = "name another file"
ANEW = "close this client and make a new one"


@attrs.define(eq=False)
class Place:
    """Where one journal lies.

    Attributes:
        named: Where it was said to be.
        real: The same without symbolic links.
    """

    named: Path
    real: Path
    _seen: dict[Path, os.stat_result] = attrs.field(factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, named: Path) -> "Place":
        """Return where a path leads to.

        Raises:
            JournalError: Nowhere.
        """
        try:
            return cls(named, named.resolve())
        except (OSError, RuntimeError):  # a circle of symbolic links; which of the two depends on Python
            raise _error("the path is a circle of symbolic links", _OTHER_FILE) from None

    def prepare(self) -> None:
        """Make sure that what lies there may be opened, and make an empty file where there is nothing.

        Raises:
            JournalError: It can be no journal, or it is not the one that was opened before.
            OSError: The folder is missing, or cannot be written.
        """
        if self._seen:
            self._compare(self.real)
        else:
            _make(self.real)
        found = _settled(self.real)
        if not stat.S_ISREG(found.st_mode):
            kind = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
            raise _error(f"this is {kind}, not a file", _OTHER_FILE)
        if found.st_nlink > 1:  # SQLite names its log after the file: each name would get a log of its own
            what = f"the file has {found.st_nlink} names (hard links), and a journal must have one"
            raise _error(what, "remove the other names, or copy it to a file of its own")
        for path, mode in ((self.real, os.R_OK | os.W_OK), (self.real.parent, os.W_OK | os.X_OK)):
            if not os.access(path, mode, effective_ids=os.access in os.supports_effective_ids):
                # SQLite would open it all the same, and leave a log that nobody can write, ever.
                raise _error(f"{path} cannot be written by this user", "check its permissions and its disk")
        self._seen = {self.real: found}

    def opened(self) -> None:
        """Note the files that belong to the journal now that it is open.

        Raises:
            JournalError: It is not the one any more that ``prepare`` saw.
        """
        for suffix in ("-wal", "-shm"):
            log = self.real.with_name(self.real.name + suffix)
            if (found := _found(log)) is None:
                raise _error(f"{log.name} was removed while it was opened", "try again")
            self._seen[log] = found
        self._seen[self.named] = self._seen[self.real]
        self.check()

    def check(self) -> None:
        """Make sure that the files of the open journal are where the next client will look for them.

        Raises:
            JournalError: One of them was removed, moved or replaced since it was opened.
        """
        for path in self._seen:
            self._compare(path)

    def _compare(self, path: Path) -> None:
        found = _found(path)
        if found is not None and os.path.samestat(found, self._seen[path]):
            return
        if path == self.named != self.real:
            raise _error("the path leads elsewhere by now", f"put its links back, or {ANEW}")
        if found is None:
            raise _error(f"{path.name} was removed or moved while it was open", f"put it back, or {ANEW}")
        raise _error(f"{path.name} was replaced by another file while it was open", ANEW)


def _error(what: str, hint: str) -> JournalError:
    return JournalError(what, submitted="no", hint=hint)


def _found(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _settled(path: Path) -> os.stat_result:
    """Return what lies at a path, once whoever has just made it is done."""
    end = time.monotonic() + _BIRTH_SECONDS
    while (found := path.stat()).st_nlink > 1 and stat.S_ISREG(found.st_mode) and time.monotonic() < end:
        time.sleep(_MOMENT)
    return found


def _make(path: Path) -> None:
    """Make an empty file for its owner alone, where there is nothing.

    It is never open under its name. To close it would free the locks that SQLite holds on it for other clients of this
    process, and another process would take their log away: https://www.sqlite.org/howtocorrupt.html, 2.2.
    """
    with contextlib.suppress(FileExistsError):
        try:
            os.mknod(path, 0o600 | stat.S_IFREG)
        except (AttributeError, PermissionError):  # Windows has no such call, macOS keeps it for its administrator
            _make_elsewhere(path)


def _make_elsewhere(path: Path) -> None:
    descriptor, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    try:
        os.link(made, path)
    finally:
        Path(made).unlink()
