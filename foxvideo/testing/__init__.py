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

## Tests without an event loop, or with another one

A sync test, the test client of a web framework, unittest and anyio have no loop that the fixture could live in: it says
so. ``service`` runs the same service in a thread, on the real clock; a task takes a tenth of a second unless you say
more:

```python
import asyncio
from foxvideo import Client, grok
from foxvideo.testing import service


async def make(prompt: str) -> str:  # the code under test
    async with Client() as client:
        return (await client.generate(grok(prompt=prompt))).url


def test_a_program_without_a_loop() -> None:
    with service() as foxapi:
        assert asyncio.run(make("A fox trots through snow")).startswith(foxapi.base_url)
        foxapi.assert_charged(1)
```

## Without pytest

``run`` runs a coroutine on the virtual clock, as ``asyncio.run`` does on the real one. Client and emulator must live
in the same process, since no other process knows of that clock.
"""

import asyncio
import contextlib
import inspect
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, TypeVar

import attrs
import pytest
import pytest_asyncio

from foxvideo.emulator import Emulator, Fault, Faults, Ledger
from foxvideo.schedule import adaptive
from foxvideo.testing.clock import VirtualClockLoop, run

__all__ = [
    "Emulator",
    "Fault",
    "Faults",
    "FoxAPI",
    "Ledger",
    "VirtualClockLoop",
    "foxapi",
    "in_thread",
    "run",
    "service",
]

E = TypeVar("E", bound=Emulator)

_MINUTES = (60.0, 600.0)  # what a task takes, in seconds
_MOMENT = 0.1  # the same, on the real clock


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


def _options(given: Mapping[str, Any], seconds: object) -> dict[str, Any]:
    """Return the options of a service; unless they say more, it estimates what its tasks really take."""
    options = {"seconds": seconds, "render": False, **given}
    return {"estimated_time": max(round(_mean(options["seconds"])), 1), **options}


def _quicken(patch: pytest.MonkeyPatch, service: FoxAPI) -> None:
    """Let the default schedule be as exact as a test needs it: at most a fiftieth of what a task takes too late.

    For a task of a moment that is at once, and half an hour takes ten polls instead of two hundred.
    """
    mean = _mean(service.seconds)
    patch.setattr(adaptive, "FLOOR", min(1.0, max(mean / 10, 0.05)))
    patch.setattr(adaptive, "LATENESS", max(mean / 50, 0.01))
    patch.setattr(adaptive, "CEILING", 45.0)  # so that a minute by hand is enough for what was ended by hand


def _mean(seconds: object) -> float:
    return sum(seconds) / len(seconds) if isinstance(seconds, tuple) else float(seconds)  # type: ignore[arg-type]


@contextlib.contextmanager
def in_thread(emulator: E) -> Iterator[E]:
    """Run an emulator in a thread with a loop of its own, on the real clock, until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="foxvideo emulator", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(emulator.__aenter__(), loop).result()
        try:
            yield emulator
        finally:
            asyncio.run_coroutine_threadsafe(emulator.__aexit__(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextlib.contextmanager
def service(**options: Any) -> Iterator[FoxAPI]:  # noqa: ANN401 - the options of Emulator
    """Run a service in a thread, for code without an event loop or with another one; ``Client()`` finds it.

    A client that is made meanwhile, and is given no schedule, polls as often as a test can wait for.

    Args:
        options: Of ``foxvideo.emulator.Emulator``. A task takes 0.1 s unless ``seconds`` says otherwise.
    """
    with (
        in_thread(FoxAPI(**_options(options, _MOMENT))) as made,
        pytest.MonkeyPatch.context() as patch,
    ):
        _quicken(patch, made)
        patch.setenv("FOXAPI_API_KEY", made.api_key)
        patch.setenv("FOXAPI_BASE_URL", made.base_url)
        yield made


def _unfit(item: pytest.Item) -> str:
    """Say why ``foxapi`` cannot live in the event loop of a test; empty where it can."""
    asyncio_mark, function = item.get_closest_marker("asyncio"), getattr(item, "function", None)
    scope = asyncio_mark.kwargs.get("loop_scope") if asyncio_mark else None
    scope = scope or item.config.getini("asyncio_default_test_loop_scope") or "function"
    if not inspect.iscoroutinefunction(inspect.unwrap(function) if function else None):
        return "foxapi lives in the event loop of an async test: write 'async def'"
    if item.get_closest_marker("anyio"):
        return "foxapi lives in the event loop of pytest-asyncio: mark the test with pytest.mark.asyncio, not anyio"
    if scope != "function":
        return (
            f"foxapi lives in the event loop of its own test, and this one has that of the {scope}: set its loop_scope"
        )
    return ""


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, obj: object) -> None:
    """Let pytest-asyncio run each async test that takes ``foxapi``, in its strict mode, too."""
    function = getattr(obj, "__func__", obj)
    if not inspect.isfunction(function) or not inspect.iscoroutinefunction(function):
        return
    if "foxapi" not in inspect.signature(function).parameters:
        return
    marked = (*getattr(function, "pytestmark", ()), *collector.iter_markers())
    if not {mark.name for mark in marked} & {"asyncio", "anyio"}:
        pytest.mark.asyncio(function)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse ``foxapi`` where it would hang, and say what to do instead."""
    if "foxapi" in getattr(item, "fixturenames", ()) and (why := _unfit(item)):
        pytest.fail(f"{why}; or run the service in a thread: with foxvideo.testing.service() as foxapi", pytrace=False)


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


@pytest_asyncio.fixture(loop_scope="function")
async def foxapi(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FoxAPI]:
    """Run a service that ``Client()`` finds through the environment.

    Its tasks take one to ten minutes of the virtual clock and yield a small stored video. Other options of
    ``foxvideo.emulator.Emulator`` come from the marker: ``@pytest.mark.foxapi(seconds=3600, fail=0.1)``.
    """
    marker = request.node.get_closest_marker("foxapi")
    async with FoxAPI(**_options(marker.kwargs if marker else {}, _MINUTES)) as service:
        monkeypatch.setenv("FOXAPI_API_KEY", service.api_key)
        monkeypatch.setenv("FOXAPI_BASE_URL", service.base_url)
        _quicken(monkeypatch, service)
        yield service
