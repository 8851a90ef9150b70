"""What an error of SQLite means: https://www.sqlite.org/rescode.html."""

from foxvideo.errors import JournalError

_ERROR, _BUSY, _CORRUPT, _FULL, _TOO_BIG, _CONSTRAINT, _MISMATCH, _NOT_A_DATABASE = 1, 5, 11, 13, 18, 19, 20, 26
_OF_THE_OPERATION = {0, _ERROR, _TOO_BIG, _CONSTRAINT, _MISMATCH}
_HINTS = {
    _BUSY: "another process writes to it: end that, a backup or a shell perhaps, and try again",
    _FULL: "make room on its disk, and try again",
    _CORRUPT: "name another file, or restore this one from a backup",
    _NOT_A_DATABASE: "name another file, or restore this one from a backup",
}


def code(error: Exception) -> int:
    """Return the primary result code; 0 for what did not come from SQLite's library."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def busy(error: Exception) -> bool:
    """Whether another connection holds a lock."""
    return code(error) == _BUSY


def of_the_disk(error: Exception) -> bool:
    """Whether an operation failed for a reason that is not its own, so that others would fail as well."""
    return code(error) not in _OF_THE_OPERATION


def may_break(error: Exception) -> bool:
    """Whether the connection may be of no use after an error, so that another one is better."""
    return not isinstance(error, JournalError | OSError) and code(error) not in {_BUSY, _FULL}


def told(error: Exception) -> tuple[str, str]:
    """Return what happened, and what to do next."""
    if isinstance(error, JournalError):
        return error.what, error.hint
    what = error.strerror if isinstance(error, OSError) else None
    return what or str(error), _HINTS.get(code(error), JournalError.advice)
