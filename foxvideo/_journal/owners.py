"""Who works on a record: a client that holds a lock file beside the journal for as long as it lives."""

import contextlib
import os
import re
import uuid
from pathlib import Path

from foxvideo import _locks


def new_name() -> str:
    """Return a name that no owner ever had."""
    return uuid.uuid4().hex


def path_of(journal: Path, owner: str) -> Path:
    """Return where the lock of an owner lies: beside the journal, whose real path this must be."""
    return journal.with_name(f"{journal.name}.{owner}.lock")


def hold(path: Path) -> int:
    """Make and lock a file until ``drop``, or the death of this process.

    Raises:
        OSError: The folder cannot be written, or its file system has no locks.
    """
    descriptor = _locks.take(path)
    assert descriptor is not None  # noqa: S101 - it waits
    return descriptor


def drop(descriptor: int, path: Path) -> None:
    """Remove and free a lock; where the file cannot be removed, whoever opens the journal next tries again."""
    with contextlib.suppress(OSError):
        if _locks.lies_at(descriptor, path):
            path.unlink()
    _locks.release(descriptor)
    if os.name == "nt":  # pragma: no cover - where no open file can be removed
        with contextlib.suppress(OSError):
            path.unlink()


def lives(path: Path) -> bool:
    """Whether the owner of a lock lives; the file of one who does not is removed."""
    try:
        descriptor = _locks.take(path, wait=False, make=False)
    except FileNotFoundError:
        return False
    except PermissionError:  # another user's: nobody here can tell, and taking the living for dead costs money
        return True
    if descriptor is None:
        return True
    drop(descriptor, path)
    return False


def sweep(journal: Path) -> None:
    """Remove the lock files that dead owners left."""
    name = re.compile(rf"{re.escape(journal.name)}\.[0-9a-f]{{32}}\.lock")
    for path in list(journal.parent.iterdir()):
        if name.fullmatch(path.name):
            with contextlib.suppress(OSError):  # something else of that name
                lives(path)
