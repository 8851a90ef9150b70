"""What the tests of the connections share: a server that does as it is told, and connections to it."""

from collections.abc import AsyncIterator

import pytest
import trustme
from sockets import Server, opened

from foxvideo._http import Transport


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Run a server that answers well until a test says otherwise."""
    async with Server().running() as running:
        yield running


@pytest.fixture
async def transport(server: Server) -> AsyncIterator[Transport]:
    """Open the connections to that server."""
    async with opened(server.url) as connections:
        yield connections


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Make a certificate authority."""
    return trustme.CA()
