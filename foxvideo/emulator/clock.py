"""The emulator's one clock. Nothing else here reads a time."""

import asyncio
import time
from typing import Self

import attrs


@attrs.frozen
class Clock:
    """The running loop's time, shown as unix seconds: the wall clock at the start plus what has elapsed."""

    loop: asyncio.AbstractEventLoop
    epoch: float
    """Unix seconds at moment 0 of the loop."""

    @classmethod
    def started(cls) -> Self:
        """Return the clock of the running loop."""
        loop = asyncio.get_running_loop()
        return cls(loop, time.time() - loop.time())

    def now(self) -> float:
        """Return this moment, in seconds of the loop."""
        return self.loop.time()

    def unix(self, moment: float) -> float:
        """Return a moment of the loop in unix seconds."""
        return self.epoch + moment
