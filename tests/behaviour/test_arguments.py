"""Every public argument of a wrong type is refused at once and by name, before anything is sent."""

import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from foxvideo import Client, GrokTextToVideo, Video, batch
from foxvideo.emulator import Emulator

SHOT = GrokTextToVideo(prompt="A fox trots through snow")
WRONG: dict[str, tuple[object, ...]] = {
    "api_key": (5, b"sk-1"),
    "base_url": (5, b"http://127.0.0.1"),
    "max_requests": (0, True, 1.5, "3"),
    "max_active": (0, "3"),
    "task_timeout": (0, -1, "5", True, float("nan"), float("inf")),
    "request_timeout": (0, None, "5"),
    "poll_timeout": (0, None, "5"),
    "submit_attempts": (0, 2.0),
    "trust_refusals": ("no", 1, None),
    "idempotent": ("no", 1, None),
    "schedule": (5, "fast", object()),
    "sync_upstream": ("no", 0),
    "journal": (5, b"videos.db", "", "a\0b"),
    "account": (5, b"studio"),
    "save_to": (5, b"clips", ""),
    "on_event": (5, "print"),
    "on_end": (5, "print"),
    "telemetry": (5, print),
    "connector": (5, "tcp"),
    "proxy": (5, b"http://127.0.0.1"),
    "trust_env": ("yes", 1),
    "user_agent": (5, "a\n"),
}


def test_every_option_of_a_client_is_tried() -> None:
    """A new one cannot be forgotten here."""
    assert set(WRONG) == set(inspect.signature(Client).parameters)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_option_of_a_client_is_refused_by_name(name: str, value: object) -> None:
    """A text such as "no" would count as True, where money depends on it."""
    options: dict[str, Any] = {"api_key": "sk-1", name: value}
    with pytest.raises((TypeError, ValueError), match=name):
        Client(**options)


CALLS: dict[str, Callable[[Client, Video, Any], Awaitable[object] | object]] = {
    "submit": lambda client, _, wrong: client.submit(wrong),
    "generate": lambda client, _, wrong: client.generate(wrong),
    "a key": lambda client, _, wrong: client.submit(SHOT, key=wrong),
    "timeout": lambda client, _, wrong: client.submit(SHOT, timeout=wrong),
    "save_to": lambda client, _, wrong: client.generate(SHOT, save_to=wrong),
    "watch": lambda client, _, wrong: client.generate(SHOT, watch=wrong),
    "task": lambda client, _, wrong: client.task(wrong),
    "a key of task": lambda client, _, wrong: client.task(key=wrong),
    "look": lambda client, _, wrong: client.look(wrong),
    "a key of look": lambda client, _, wrong: client.look(key=wrong),
    "limit": lambda client, _, wrong: client.history(limit=wrong),
    "status": lambda client, _, wrong: client.history(status=wrong),
    "a key of history": lambda client, _, wrong: client.history(key=wrong),
    "adopt": lambda client, _, wrong: client.adopt(wrong, "task-1"),
    "resubmit": lambda client, _, wrong: client.resubmit(wrong),
    "as_completed": lambda client, _, wrong: client.as_completed(wrong),
    "set_limits": lambda client, _, wrong: client.set_limits(wrong),
    "upload": lambda client, _, wrong: client.upload(wrong),
    "save": lambda _, video, wrong: video.save(wrong),
    "save_all": lambda _, video, wrong: video.save_all(wrong),
    "rows of a batch": lambda client, _, wrong: batch.run(client, wrong, "clips"),
    "folder of a batch": lambda client, _, wrong: batch.run(client, [SHOT], wrong),
    "max_active of a batch": lambda client, _, wrong: batch.run(client, [SHOT], "clips", max_active=wrong),
    "name of a batch": lambda client, _, wrong: batch.run(client, [SHOT], "clips", name=wrong),
    "retry_failed of a batch": lambda client, _, wrong: batch.run(client, [SHOT], "clips", retry_failed=wrong),
}


async def _called(call: str, client: Client, video: Video, wrong: object) -> None:
    called = CALLS[call](client, video, wrong)
    if isinstance(called, Awaitable):
        await called


@pytest.mark.parametrize("call", CALLS)
async def test_a_wrong_argument_is_refused_at_once(call: str, tmp_path: Path) -> None:
    """No error of Python's own from the depths, and nothing sent."""
    async with Emulator(seconds=0.1, render=False) as fox:
        async with Client(fox.api_key, fox.base_url, journal=tmp_path / "videos.db") as client:
            video = await client.generate(SHOT)
            for wrong in (-5, object()):
                with pytest.raises((TypeError, ValueError)):
                    await _called(call, client, video, wrong)
        assert fox.ledger.submitted == 1
