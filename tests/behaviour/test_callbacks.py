"""A callback of the service is a good moment to poll, and nothing more: whoever sent it, and however often."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given, strategies as st
from waiting import ended, now

from foxvideo import Client, EventKind, Every, Request, TaskFailed, Video, catalogue
from foxvideo._wire.decode import named_tasks
from foxvideo.emulator import Emulator, Fault

MODEL = next(model.id for model in catalogue.models() if model.legacy)
SHOT = Request(MODEL, prompt="A kite", callback_url="https://studio.example/callback")


@pytest.fixture
async def fox() -> AsyncIterator[Emulator]:
    """Run an emulator whose tasks take ten minutes."""
    async with Emulator(seconds=600, render=False) as running:
        yield running


@pytest.fixture
async def client(fox: Emulator) -> AsyncIterator[Client]:
    """Open a client that polls every five minutes."""
    async with Client(fox.api_key, fox.base_url, schedule=Every(300)) as opened:
        yield opened


SHAPES: dict[str, Callable[[str], object]] = {
    "decoded": lambda task_id: {"id": task_id, "status": "completed"},
    "bytes": lambda task_id: json.dumps({"id": task_id}).encode(),
    "text": lambda task_id: json.dumps({"task_id": task_id}),
    "wrapped": lambda task_id: {"code": 200, "data": {"id": task_id}},
    "two ids": lambda task_id: {"id": "another", "task_id": task_id},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
async def test_a_callback_ends_the_wait_at_once(shape: Callable[[str], object], client: Client, fox: Emulator) -> None:
    """By one poll, whatever it says of the result."""
    task = client.submit(SHOT)
    task_id = await task.wait_accepted()
    await asyncio.sleep(100)
    polled, began = fox.ledger.polled, now()
    fox.finish(task_id)

    assert client.receive(shape(task_id)) == task
    assert isinstance(await task, Video)
    assert now() - began < 1
    assert fox.ledger.polled == polled + 1


async def test_a_failure_is_told_at_once_too(client: Client, fox: Emulator) -> None:
    """As the service says it, not the callback."""
    task = client.submit(SHOT)
    task_id = await task.wait_accepted()
    fox.fail(task_id)
    began = now()
    client.receive({"id": task_id, "status": "completed", "results": [{"url": "https://evil.example/1.mp4"}]})
    assert isinstance(await ended(task), TaskFailed)
    assert now() - began < 1


async def test_a_forged_callback_ends_nothing_and_costs_a_poll_every_ten_seconds(client: Client, fox: Emulator) -> None:
    """A thousand of them, and the polls of the schedule go on as they were."""
    task = client.submit(SHOT)
    task_id = await task.wait_accepted()
    forged = {"id": task_id, "status": "completed", "results": [{"url": "https://evil.example/1.mp4"}]}
    polled, began = fox.ledger.polled, now()
    for _ in range(1000):
        client.receive(forged)
        await asyncio.sleep(0.05)
    assert fox.ledger.polled - polled <= 6
    assert not task.done()
    video = await task
    assert "evil" not in video.url
    assert 590 < now() - began < 901
    assert fox.ledger.polled - polled <= 6 + 3


async def test_foreign_callbacks_and_those_of_the_past_ask_the_service_for_nothing(
    client: Client, fox: Emulator
) -> None:
    """Nobody here waits for such a task."""
    task = client.submit(SHOT)
    task_id = await task.wait_accepted()
    fox.finish(task_id)
    assert client.receive({"id": task_id}) == task
    await task
    polled = fox.ledger.polled
    bodies: list[object] = [{"id": task_id}, {"id": "task-unified-1-abc"}, {}, [], None, b"\xff", "{", 5, {"id": ["x"]}]
    for body in bodies:
        client.receive(body)
    client.receive("[" * 100_000)
    await asyncio.sleep(60)
    assert fox.ledger.polled == polled


@pytest.mark.parametrize("fault", [Fault("html", status=502), Fault("error", status=404), Fault("rate_limit")])
async def test_a_poll_that_fails_after_a_callback_ends_nothing(fault: Fault, client: Client, fox: Emulator) -> None:
    """The schedule goes on."""
    task = client.submit(SHOT)
    task_id = await task.wait_accepted()
    fox.fail_next("poll", fault)
    client.receive({"id": task_id})
    await asyncio.sleep(1)
    assert not task.done()
    assert isinstance(await task, Video)


async def test_a_callback_is_an_event(fox: Emulator) -> None:
    """Of those that bring about a poll."""
    kinds: list[EventKind] = []
    async with Client(fox.api_key, fox.base_url, on_event=lambda event: kinds.append(event.kind)) as client:
        task = client.submit(SHOT)
        task_id = await task.wait_accepted()
        fox.finish(task_id)
        for _ in range(3):
            client.receive({"id": task_id})
        await task
    assert kinds.count(EventKind.RECEIVED) == 1


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["id", "task_id", "data", "x"]) | st.text(), inner),
)


@given(ANYTHING)
def test_whatever_comes_names_tasks_or_none(body: object) -> None:
    """And never raises; what it names could be ids."""
    for found in (named_tasks(body), named_tasks(json.dumps(body, default=str))):
        assert all(name.isprintable() and " " not in name for name in found)
