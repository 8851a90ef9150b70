"""An event loop whose time jumps, so that an hour of waiting takes milliseconds.

What belongs here: the loop. What must not: pytest (``testing/``), and anything that a running application needs.

Time stands still while there is work, and jumps to the next timer when there is none. Sockets work as ever, so a client
and ``foxvideo.emulator.Emulator`` talk over real HTTP in one loop, and a video that takes minutes is there at once.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Executor


T = TypeVar("T")

_LONG = 0.5  # a jump that many seconds far could be a timeout, so late bytes get a moment to arrive
_MOMENT = 0.001
_STUCK = 10.0


class _IdleSelector(selectors.DefaultSelector):
    """A selector that tells when there is nothing to wait for but time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.threads = 0

    def select(self, timeout: float | None = None) -> "list[tuple[selectors.SelectorKey, int]]":
        """Return what is ready; if nothing is, let the time pass instead of waiting."""
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.threads:
            return super().select(_STUCK)
        if timeout is None:
            if not (ready := super().select(_STUCK)):
                raise RuntimeError("nothing is due and nothing arrives: the event loop would wait for ever")
            return ready
        if timeout >= _LONG and (ready := super().select(_MOMENT)):
            return ready
        self.now += timeout
        return ready


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer as soon as nothing else is to be done.

    For a client and a server in one process: an answer of another process would come too late. Time stands still while
    a thread works.
    """

    def __init__(self) -> None:
        self._idle = _IdleSelector()
        super().__init__(self._idle)

    def time(self) -> float:
        """Return the seconds since the loop was made, which pass only while it idles."""
        return self._idle.now

    def run_in_executor(
        self, executor: "Executor | None", func: Callable[..., T], *args: object
    ) -> "asyncio.Future[T]":
        """Run a function in a thread; the time stands still meanwhile."""
        future = super().run_in_executor(executor, func, *args)
        self._idle.threads += 1
        future.add_done_callback(self._thread_ended)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109 - asyncio's
        """Wait for the threads of the default executor; the time stands still meanwhile, so no timeout can pass."""
        self._idle.threads += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._idle.threads -= 1

    def _thread_ended(self, _: object) -> None:
        self._idle.threads -= 1


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a virtual clock, as ``asyncio.run`` does on the real one."""
    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        return runner.run(main)
