"""A file lock says "I live": it ends with its process, and no child keeps it alive."""

import concurrent.futures
import contextlib
import fcntl
import functools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from forking import forked

from foxvideo import _locks

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="there is no fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a lock lies."""
    return tmp_path / "new.lock"


@contextlib.contextmanager
def held(path: Path) -> Iterator[int]:
    """Hold a lock."""
    descriptor = _locks.take(path)
    assert descriptor is not None
    try:
        yield descriptor
    finally:
        _locks.release(descriptor)


def free(path: Path) -> bool:
    """Whether nobody holds a lock."""
    descriptor = _locks.take(path, wait=False)
    if descriptor is not None:
        _locks.release(descriptor)
    return descriptor is not None


def test_a_lock_is_held_once_at_a_time(path: Path) -> None:
    """Its file is its owner's alone, and stays when the lock is freed."""
    with held(path) as descriptor:
        assert not free(path)
        assert _locks.lies_at(descriptor, path)
        assert path.stat().st_mode & 0o777 == 0o600
    assert free(path)
    assert path.exists()
    path.unlink()
    with pytest.raises(FileNotFoundError):
        _locks.take(path, make=False)


def test_a_lock_is_freed_once(path: Path) -> None:
    """The number of its descriptor may be another file's by then."""
    descriptor = _locks.take(path)
    assert descriptor is not None
    _locks.release(descriptor)
    with path.open() as other:
        _locks.release(other.fileno())
        assert os.fstat(other.fileno())


def test_one_who_waits_gets_what_lies_there_in_the_end(path: Path) -> None:
    """Who held the lock may have removed the file meanwhile."""
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        with held(path):
            waiting = thread.submit(_locks.take, path)
            with pytest.raises(TimeoutError):
                waiting.result(0.02)
            path.unlink()
        descriptor = waiting.result(5)
    assert descriptor is not None
    assert _locks.lies_at(descriptor, path)
    _locks.release(descriptor)


def test_a_lock_whose_place_another_file_has_taken_is_taken_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is locked must be what lies there."""
    flock = fcntl.flock
    seen: list[int] = []

    def replaced(descriptor: int, operation: int) -> None:
        flock(descriptor, operation)
        if not seen:
            path.unlink()
            path.touch()
        seen.append(descriptor)

    monkeypatch.setattr(fcntl, "flock", replaced)
    with held(path) as descriptor:
        assert len(seen) == 2
        assert _locks.lies_at(descriptor, path)


def test_a_lock_that_the_system_refuses_leaves_nothing_open(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems have no locks."""

    def refuse(descriptor: int, _: int) -> None:
        opened.append(descriptor)
        raise OSError("no locks available")

    opened: list[int] = []
    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="no locks"):
        _locks.take(path)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])
    assert opened[0] not in _locks._held


# --- Processes ---


HOLD = """
import sys, time, pathlib
from foxvideo import _locks
_locks.take(pathlib.Path(sys.argv[1]))
print("held", flush=True)
{more}
time.sleep(60)
"""
FORKED = "import os\nif os.fork() == 0: print('forked', flush=True)"
FORKED_LATER = "import os, subprocess\nsubprocess.Popen(['sleep', '60'])\nprint('forked', flush=True)"


@contextlib.contextmanager
def holder(path: Path, more: str = "") -> Iterator["subprocess.Popen[str]"]:
    """Run a process that holds a lock."""
    command = [sys.executable, "-c", HOLD.format(more=more), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:  # noqa: S603
        assert process.stdout is not None
        for word in ("held", "forked")[: 2 if more else 1]:
            assert process.stdout.readline().strip() == word
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_a_lock_outlives_a_stop_and_ends_with_its_process(path: Path) -> None:
    """However it dies."""
    with holder(path) as process:
        process.send_signal(signal.SIGSTOP)
        assert not free(path)
        process.kill()
        process.wait()
        assert free(path)


@pytest.mark.parametrize("more", [FORKED, FORKED_LATER], ids=["fork", "another program"])
def test_a_lock_ends_with_its_process_whatever_children_that_has(path: Path, more: str) -> None:
    """A child that lives on is not who took it."""
    with holder(path, more) as process:
        assert not free(path)
        process.kill()
        process.wait()
        assert free(path)


def test_a_child_frees_nothing_of_its_parents(path: Path) -> None:
    """It has closed what it inherited, so the number may be another file's in it."""

    def release() -> bool:
        reused = os.open(os.devnull, os.O_RDONLY)
        _locks.release(descriptor)
        return reused == descriptor and os.fstat(reused) is not None

    with held(path) as descriptor:
        assert forked(release) is True
        assert not free(path)


def test_a_number_that_became_another_files_is_left_to_it(path: Path) -> None:
    """Some code closed the lock's file itself: neither a release nor a fork may close what has the number now."""
    descriptor = _locks.take(path)
    assert descriptor is not None
    os.close(descriptor)
    with path.with_name("other").open("wb") as other:
        assert other.fileno() == descriptor
        assert forked(lambda: other.write(b"child")) == 5
        _locks.release(descriptor)
        assert os.fstat(other.fileno()).st_size == 0
    assert free(path)


def test_a_child_can_take_locks_though_its_parent_was_just_taking_one(path: Path) -> None:
    """Nobody who does not exist any more holds what guards the taking."""
    stop = threading.Event()

    def take() -> None:
        while not stop.is_set():
            with held(path.with_name("other.lock")):
                pass

    thread = threading.Thread(target=take)
    thread.start()
    try:
        for number in range(30):
            assert forked(functools.partial(free, path.with_name(f"{number}.lock"))) is True
    finally:
        stop.set()
        thread.join()


WITHOUT = """
import sys, types
import asyncio, aiohttp, sqlite3, tempfile, uuid, concurrent.futures, logging, subprocess  # which need it themselves
sys.modules["fcntl"] = None
sys.modules["msvcrt"] = types.ModuleType("msvcrt")
sys.platform = "win32"
import foxvideo
from foxvideo._journal import SqliteStore
foxvideo.Client("sk-1", journal="videos.db")
"""


def test_the_package_can_be_imported_where_there_is_no_fcntl() -> None:
    """Windows has locks of another kind."""
    found = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)  # noqa: S603
    assert (found.returncode, found.stderr) == (0, "")
