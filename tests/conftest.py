"""What all tests share: a virtual clock, an emulator, and a client that talks to it."""

import asyncio
import base64
import importlib
import logging
import os
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from foxvideo import Client, Every, FoxError
from foxvideo.emulator import Emulator

# For the benchmarks; last, so that a foxvideo that is installed comes first.
sys.path.append(str(Path(__file__).parent.parent))
pytest_plugins = ["foxvideo.testing", "pytester", "databases", "journals"]


def pytest_configure(config: pytest.Config) -> None:
    """Name the markers of the tests that wait for another process, and of those that take long."""
    config.addinivalue_line("markers", "real_clock: runs on the real clock, since it talks to another process")
    config.addinivalue_line("markers", "slow: takes long; left out unless asked for by -m slow")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Let the time of a test jump, so that a task of an hour takes milliseconds."""
    from foxvideo.testing.clock import VirtualClockLoop  # noqa: PLC0415 - pytest is to import the plugin first

    if item.get_closest_marker("real_clock"):
        return {"real": _REAL_LOOP}
    return {"virtual": VirtualClockLoop}


# What runs on the real clock may run on uvloop; the virtual clock is one of asyncio's own loops.
_REAL_LOOP = (
    importlib.import_module("uvloop").new_event_loop
    if os.environ.get("FOXVIDEO_TEST_UVLOOP")
    else asyncio.new_event_loop
)
KEY = "sk-emulator"
# The key as it stands, and as base64 has it at each of the three places where it can begin.
SECRETS = (KEY, *(base64.b64encode(b" " * shift + KEY.encode()).decode()[4:-4] for shift in range(3)))


class _Watch(logging.Handler):
    """Hears every line of foxvideo, down to DEBUG, and notes those that show the key."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.leaks: list[str] = []

    def look(self, text: str) -> None:
        """Note a text that shows the key."""
        if any(secret in text for secret in SECRETS):
            self.leaks.append(text)

    def emit(self, record: logging.LogRecord) -> None:
        """Look at the line and at what it was made of."""
        self.look(f"{record.getMessage()} {record.args!r}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Search all that any test makes foxvideo log or raise for the key of the emulator."""
    if item.get_closest_marker("hypothesis"):  # it tries the constants of this code as input, the key too
        return (yield)
    watch, logger, init = _Watch(), logging.getLogger("foxvideo"), FoxError.__init__

    def watched(error: FoxError, what: str, **context: Any) -> None:  # noqa: ANN401 - whatever an error carries
        init(error, what, **context)
        watch.look(f"{what} {context!r}")

    level = logger.level
    logger.addHandler(watch)
    logger.setLevel(logging.DEBUG)
    FoxError.__init__ = watched  # type: ignore[method-assign,assignment]
    try:
        outcome = yield
    finally:
        FoxError.__init__ = init  # type: ignore[method-assign]
        logger.setLevel(level)
        logger.removeHandler(watch)
    assert watch.leaks == [], "the key was logged or raised"
    return outcome


@pytest.fixture(autouse=True)
def _nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what whoever runs the tests has set for programs of their own."""
    for name in ("FOXVIDEO_ACCOUNT", "FOXVIDEO_JOURNAL", "FOXVIDEO_LOG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def journal(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, _nothing_of_the_environment: None
) -> Path:
    """Give the command line a journal that no other test has."""
    place = tmp_path_factory.getbasetemp() / f"{uuid.uuid4().hex}.db"
    monkeypatch.setenv("FOXVIDEO_JOURNAL", str(place))
    return place


@pytest.fixture
async def fox() -> AsyncIterator[Emulator]:
    """Run an emulator whose tasks take ten seconds and yield a stored video."""
    async with Emulator(seconds=10.0, render=False) as emulator:
        yield emulator


@pytest.fixture
async def client(fox: Emulator) -> AsyncIterator[Client]:
    """Open a client of that emulator, which asks every two seconds."""
    async with Client(fox.api_key, fox.base_url, schedule=Every(2)) as opened:
        yield opened
