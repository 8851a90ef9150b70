"""What asyncio leaves to be written by hand: its clock by a name, waiting without cancelling, and unheard errors.

And threads: those of the loop's own pool are the program's, which may fill all of them with work that waits for us.
"""

import asyncio
import contextvars
import functools
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = 8


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="foxvideo")


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(after_in_child=_pool.cache_clear)  # its threads are the parent's


def begun(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """Begin work as a task, at once where Python can (3.12): then it costs the loop a turn less."""
    loop = asyncio.get_running_loop()
    if sys.version_info >= (3, 12) and loop.get_task_factory() is None:
        return asyncio.Task(work, loop=loop, eager_start=True)
    return loop.create_task(work)


async def in_thread(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Do what blocks in a thread, as ``asyncio.to_thread`` does, but in one of foxvideo's own."""
    call = functools.partial(contextvars.copy_context().run, work, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_pool(), call)


async def in_daemon(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Do what may never end in a thread that no interpreter waits for."""
    return await asyncio.get_running_loop().run_in_executor(_Daemons(), functools.partial(work, *args, **kwargs))


class _Daemons(Executor):
    """A thread for each call."""

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Begin it."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # nothing takes it back from here on

        def run() -> None:
            try:
                future.set_result(work(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - it goes to whoever waits
                # A coroutine could not raise the one, and would end the loop with the others.
                own = isinstance(error, Exception) and not isinstance(error, StopIteration)
                future.set_exception(error if own else RuntimeError(f"it raised {type(error).__name__}"))

        threading.Thread(target=run, name="foxvideo on_end", daemon=True).start()
        return future


def loop_time() -> float:
    """Return the seconds on the clock of the running loop."""
    return asyncio.get_running_loop().time()


async def ended(doing: "asyncio.Future[T]") -> T:
    """Wait for something that goes on if the waiting is cancelled, and return or raise what it came to."""
    await asyncio.wait({doing})
    return doing.result()


def heed(doing: "asyncio.Future[T]") -> None:
    """Retrieve an error that nobody may be left to wait for, so that asyncio does not complain: a done-callback."""
    _ = doing.cancelled() or doing.exception()
