"""What the tests of tasks share: the clock, the error that a task ends in, and what was logged."""

import asyncio
import logging

import pytest

from foxvideo import FoxError, VideoTask


def now() -> float:
    """Return the seconds of the virtual clock."""
    return asyncio.get_running_loop().time()


async def ended(task: VideoTask) -> FoxError:
    """Return the error that a task ends in."""
    with pytest.raises(FoxError) as caught:
        await task
    return caught.value


def warned(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    """Return the lines of a level and above."""
    return [record.getMessage() for record in caplog.records if record.levelno >= level]
