"""For the tests of your own application: a pytest plugin that brings a service and a clock that jumps.

## Set it up

Install the extra ``testing``, and put one line into the topmost ``conftest.py``:
``pytest_plugins = ["foxvideo.testing"]``. A test that takes ``foxapi`` then has the service on 127.0.0.1, and
``Client()`` finds it through the environment. It runs on a virtual clock: half an hour of waiting takes no time.

```python
import pytest
from foxvideo import Client, grok
from foxvideo.testing import Fault, FoxAPI


async def make(prompt: str) -> str:  # the code under test
    async with Client() as client:
        return (await client.generate(grok(prompt=prompt))).url


@pytest.mark.foxapi(seconds=1800)  # a task takes half an hour
async def test_a_bad_gateway_loses_no_video(foxapi: FoxAPI) -> None:
    foxapi.fail_next("poll", Fault("html", status=502), times=10)
    assert (await make("A fox trots through snow")).startswith("http")
    foxapi.assert_charged(1)
    foxapi.assert_nothing_left_behind()
```

## What you can pull

| you write | what happens |
|---|---|
| ``foxapi.fail_next("submit", Fault("reset", after=True))`` | the next submission is paid for, and its reply is lost |
| ``foxapi.blip("poll", Fault("error", status=503), seconds=60)`` | every poll fails for a minute |
| ``foxapi.finish(id)``, ``foxapi.fail(id)``, ``foxapi.cancel(id)`` | a task ends now |
| ``await foxapi.advance(600)`` | ten minutes pass |
| ``foxapi.ledger`` | what was submitted, charged and polled |

The marker takes the options of ``foxvideo.emulator.Emulator``; ``foxvideo.emulator.Fault`` lists all ways in which an
answer can break.

## Without pytest

``run`` runs a coroutine on the virtual clock, as ``asyncio.run`` does on the real one. Client and emulator must live
in the same process, since no other process knows of that clock.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping

import attrs
import pytest
import pytest_asyncio

from foxvideo.emulator import Emulator, Fault, Faults, Ledger
from foxvideo.testing.clock import VirtualClockLoop, run

__all__ = ["Emulator", "Fault", "Faults", "FoxAPI", "Ledger", "VirtualClockLoop", "foxapi", "run"]

_MINUTES = (60.0, 600.0)  # what a task takes, in seconds


@attrs.define(eq=False, kw_only=True)
class FoxAPI(Emulator):
    """The emulator in a test, with assertions about its ledger.

    ``fail_next`` and ``blip`` break answers to requests of a kind: ``"submit"``, ``"poll"``, ``"upload"``,
    ``"result"``, ``"models"`` or ``"account"``. ``finish``, ``fail`` and ``cancel`` end a task by its id,
    ``drop_uploads`` ends uploads, and ``advance`` lets time pass. ``ledger`` counts what was submitted, charged and
    polled, has the credits that were reserved, and a record of every task.
    """

    async def advance(self, seconds: float) -> None:
        """Let time pass: everything that is due in these seconds happens."""
        await asyncio.sleep(seconds)

    def assert_charged(self, tasks: int) -> None:
        """Assert how many tasks were made, each of which costs money."""
        assert self.ledger.charged == tasks, f"{self.ledger.charged} tasks were charged, not {tasks}"

    def assert_nothing_bought_twice(self) -> None:
        """Assert that no submission made two tasks: foxvideo sends one idempotency key with all attempts."""
        keys = Counter(record.headers.get("Idempotency-Key") for record in self.ledger.tasks.values())
        twice = {key: times for key, times in keys.items() if key and times > 1}
        assert not twice, f"submissions that made more than one task: {twice}"

    def assert_nothing_left_behind(self) -> None:
        """Assert that every task has ended, and that a poll was answered with its end."""
        left = [record.id for record in self.ledger.tasks.values() if not record.told]
        assert not left, f"paid for and not followed to the end: {', '.join(left)}"


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker."""
    config.addinivalue_line("markers", "foxapi(**options): options of foxvideo.emulator.Emulator")


@pytest.hookimpl(tryfirst=True)
def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]] | None:
    """Run the tests that take ``foxapi`` on a virtual clock, and leave all others alone."""
    if "foxapi" in getattr(item, "fixturenames", ()):
        return {"virtual": VirtualClockLoop}
    others = len(item.ihook.pytest_asyncio_loop_factories.get_hookimpls()) > 1
    return None if others else {"asyncio": asyncio.new_event_loop}


@pytest_asyncio.fixture
async def foxapi(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FoxAPI]:
    """Run a service that ``Client()`` finds through the environment.

    Its tasks take one to ten minutes of the virtual clock and yield a small stored video. Other options of
    ``foxvideo.emulator.Emulator`` come from the marker: ``@pytest.mark.foxapi(seconds=3600, fail=0.1)``.
    """
    options: dict[str, object] = {"seconds": _MINUTES, "render": False}
    if marker := request.node.get_closest_marker("foxapi"):
        options |= marker.kwargs
    async with FoxAPI(**options) as service:  # type: ignore[arg-type]
        monkeypatch.setenv("FOXAPI_API_KEY", service.api_key)
        monkeypatch.setenv("FOXAPI_BASE_URL", service.base_url)
        yield service
