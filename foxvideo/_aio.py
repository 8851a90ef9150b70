"""What asyncio leaves to be written by hand: its clock by a name, waiting without cancelling, and unheard errors."""

import asyncio
from typing import TypeVar

T = TypeVar("T")


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
