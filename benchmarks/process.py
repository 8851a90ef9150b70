"""Running something in a process of its own, and what that process used.

What belongs here: CPU time, wall time and memory of a piece of work, and a server beside it. What must not: the work.
"""

import asyncio
import concurrent.futures
import contextlib
import http.client
import importlib
import json
import multiprocessing
import resource
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import attrs

P = ParamSpec("P")
T = TypeVar("T")

_SECONDS = 30.0


@attrs.frozen
class Usage:
    """What some work took.

    Attributes:
        cpu: Seconds of CPU, user and system, of this process.
        wall: Seconds that passed.
        peak: Most bytes of memory that the process ever held, its interpreter and imports included.
        grown: Bytes by which the work raised that peak.
    """

    cpu: float
    wall: float
    peak: int
    grown: int


def fresh(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function of a module in a new interpreter, and return what it returns."""
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(work, *args, **kwargs).result()


@contextlib.contextmanager
def serving(main: Callable[..., None], *args: object) -> Iterator[Any]:
    """Run a server in a new interpreter, and yield what it says once it can be reached.

    Args:
        main: A function of a module; is called with the arguments, and with a connection to say it through.
        args: Its arguments.
    """
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=main, args=(*args, there), daemon=True)
    process.start()
    try:
        if not here.poll(_SECONDS):
            raise RuntimeError("the server did not start")
        yield here.recv()
    finally:
        process.terminate()
        process.join(_SECONDS)
        process.kill()  # what does not end by itself
        process.join()
        process.close()
        here.close()
        there.close()


async def terminated() -> None:
    """Wait until this process is told to end: what it serves is cut, and its files are cleared away."""
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    await end.wait()


def ledger_of(port: int, *, clear: bool) -> dict[str, Any]:
    """Return what the server at a port of this machine was asked, and let it count anew if ``clear``."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        connection.request("DELETE" if clear else "GET", "/ledger")
        told: dict[str, Any] = json.loads(connection.getresponse().read())
        return told
    finally:
        connection.close()


def use(work: Coroutine[Any, Any, object], *, uvloop: bool = False) -> Usage:
    """Run a coroutine in a loop of its own, and return what it took; imports that came before do not count."""
    factory = importlib.import_module("uvloop").new_event_loop if uvloop else None
    peak, started, cpu = _peak(), time.perf_counter(), time.process_time()
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(work)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - started
    return Usage(cpu, wall, _peak(), _peak() - peak)


def _peak() -> int:
    """Return the most bytes that this process held at once."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage counts the parent's memory too there, from before the exec
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
