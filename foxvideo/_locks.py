"""A lock on a file, which says "I live" for as long as somebody holds it.

The system frees it when its process dies, however it dies, and never while the process is only stopped. So there is no
lease, and no clock that could be wrong. Local disks only.

A lock belongs to the process that took it: a child that is forked closes the descriptors that it inherited, else its
parent would seem to live as long as the child does.
"""

import contextlib
import os
import sys
import threading
import time
from pathlib import Path

_MOMENT = 0.01  # seconds

if sys.platform == "win32":  # pragma: no cover - another system's half
    import msvcrt

    def lock(descriptor: int, *, wait: bool) -> bool:
        # Others cannot read what is locked, so it is a byte far behind the content.
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)
        while True:
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            except PermissionError:
                if not wait:
                    return False
                time.sleep(_MOMENT)
            else:
                return True

else:
    try:
        import fcntl
    except ImportError:  # pragma: no cover - a system without them, such as a browser
        fcntl = None  # type: ignore[assignment]

    def lock(descriptor: int, *, wait: bool) -> bool:
        if fcntl is None:  # pragma: no cover - see above
            raise OSError("this system has no file locks that die with their process")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


_held: dict[int, os.stat_result] = {}  # what each was when it was opened
# Whoever forks holds this one meanwhile: no child is born with an open file that is not among the held.
_opening = threading.RLock()


def _close(descriptor: int) -> None:
    """Close what is held, unless somebody else closed it and the number is another file's by now."""
    known = _held.pop(descriptor)
    with contextlib.suppress(OSError):
        if os.path.samestat(os.fstat(descriptor), known):
            os.close(descriptor)


def _in_child() -> None:
    try:
        for descriptor in list(_held):
            _close(descriptor)
    finally:
        _opening.release()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(before=_opening.acquire, after_in_parent=_opening.release, after_in_child=_in_child)


def take(path: Path, *, wait: bool = True, make: bool = True) -> int | None:
    """Lock a file.

    Args:
        path: The file.
        wait: Whether to wait until nobody else holds it.
        make: Whether to make the file where there is none, for its owner alone.

    Returns:
        The descriptor, which ``release`` frees; None where somebody else holds the lock and this does not wait.

    Raises:
        FileNotFoundError: There is no such file, and it was not to be made.
        OSError: The file cannot be opened, or its file system has no locks.
    """
    flags = os.O_RDWR | (os.O_CREAT if make else 0) | getattr(os, "O_CLOEXEC", 0)
    while True:
        with _opening:
            descriptor = os.open(path, flags, 0o600)
            _held[descriptor] = os.fstat(descriptor)
        try:
            locked = lock(descriptor, wait=wait)
        except BaseException:
            release(descriptor)
            raise
        if locked and lies_at(descriptor, path):
            return descriptor
        release(descriptor)
        if not locked:
            return None
        # Else another removed or replaced the file while this one opened it: what lies there now counts.


def release(descriptor: int) -> None:
    """Free a lock; one that a forked child has inherited is none of its own, and was freed there before."""
    with _opening:
        if descriptor in _held:
            _close(descriptor)


def lies_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is the one that has this name now."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
