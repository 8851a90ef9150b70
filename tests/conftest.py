"""What all tests share: a virtual clock, an emulator, and a client that talks to it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

from foxvideo import Client, Every
from foxvideo.emulator import Emulator
from foxvideo.virtual_clock import VirtualClockLoop

# For the benchmarks; last, so that a foxvideo that is installed comes first.
sys.path.append(str(Path(__file__).parent.parent))
pytest_plugins = ["foxvideo.testing", "pytester"]


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker of the tests that wait for another process."""
    config.addinivalue_line("markers", "real_clock: runs on the real clock, since it talks to another process")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Let the time of a test jump, so that a task of an hour takes milliseconds."""
    if item.get_closest_marker("real_clock"):
        return {"real": asyncio.new_event_loop}
    return {"virtual": VirtualClockLoop}


@pytest.fixture
async def fox() -> AsyncIterator[Emulator]:
    """Run an emulator whose tasks take ten seconds and yield a stored film."""
    async with Emulator(seconds=10.0, render=False) as emulator:
        yield emulator


@pytest.fixture
async def client(fox: Emulator) -> AsyncIterator[Client]:
    """Open a client of that emulator, which asks every two seconds."""
    async with Client(fox.api_key, fox.base_url, schedule=Every(2)) as opened:
        yield opened
