"""What asyncio leaves to be written by hand: waiting without cancelling, and errors that nobody waits for any more."""

import asyncio
from typing import TypeVar

T = TypeVar("T")


async def ended(doing: "asyncio.Future[T]") -> T:
    """Wait for something that goes on if the waiting is cancelled, and return or raise what it came to."""
    await asyncio.wait({doing})
    return doing.result()


def heed(doing: "asyncio.Future[T]") -> None:
    """Retrieve an error that nobody may be left to wait for, so that asyncio does not complain: a done-callback."""
    _ = doing.cancelled() or doing.exception()
