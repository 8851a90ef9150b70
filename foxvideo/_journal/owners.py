"""Who works on a row: a client that holds a lock file as long as it lives.

The system frees the lock when a process dies, however it dies, and never while it is only stopped. So there is no lease
and no clock that could be wrong: an owner whose lock is free is dead, every other lives. Local disks only.

What belongs here: the lock files. What must not: rows (``sql.py``).
"""

import contextlib
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # pragma: no cover - a system whose file locks are of another kind
    fcntl = None  # type: ignore[assignment]


def path_of(journal: Path, owner: str) -> Path:
    """Return where an owner's lock lies: beside the journal."""
    return journal.with_name(f"{journal.name}.{owner}.lock")


def hold(path: Path) -> int:
    """Make and lock a file for as long as this process lives.

    Returns:
        The descriptor; closing it frees the lock.

    Raises:
        OSError: The folder cannot be written, or the system has no locks that die with their process.
    """
    if fcntl is None:  # pragma: no cover - see above
        raise OSError("this system has no file locks that die with their process")
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _lies_at(descriptor, path):  # else somebody took the new file for a dead owner's, and removed it
                undo.pop_all()
                return descriptor


def lives(path: Path) -> bool:
    """Whether the owner of a lock lives; the file of one who does not is removed."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _lies_at(descriptor, path):
                path.unlink()
                return False
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)  # if another file lies there by now, that one tells


def sweep(journal: Path) -> None:
    """Remove the lock files that dead owners left."""
    for path in journal.parent.glob(f"{_literal(journal.name)}.*.lock"):
        lives(path)


def _literal(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _lies_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
