"""What the tests of files on their way down share: a host of results, and connections to whatever it is."""

from collections.abc import AsyncIterator

import pytest
from hosting import Host

from foxvideo._http import Transport


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    """Run a host of results that gives a video until a test says otherwise."""
    async with Host().running() as running:
        yield running


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    """Open connections of a client to nowhere."""
    opened = Transport("http://fox.invalid", "sk-1", 60.0, 15.0)
    yield opened
    await opened.close()
