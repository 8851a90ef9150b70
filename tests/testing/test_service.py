"""The service in a thread, for tests that have no event loop of their own, or another one's."""

import asyncio
import os
import unittest
from pathlib import Path

import anyio
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from foxvideo import Client, GrokTextToVideo, TaskFailed, grok
from foxvideo.testing import Fault, service

SHOT = GrokTextToVideo(prompt="A kite")
pytestmark = pytest.mark.real_clock


async def make(prompt: str) -> str:
    """Be the code under test."""
    async with Client() as client:
        return (await client.generate(grok(prompt=prompt))).url


def test_a_sync_test_has_one() -> None:
    """And scripts faults as an async one does."""
    with service() as fox:
        fox.fail_next("poll", Fault("html", status=502))
        assert asyncio.run(make("A kite")).startswith(fox.base_url)
        fox.assert_charged(1)
        fox.assert_nothing_left_behind()


def test_the_test_client_of_a_web_framework_has_one(tmp_path: Path) -> None:
    """Whose app lives in a loop of its own, with a client from its start to its end."""
    app = FastAPI()

    @app.post("/videos")
    async def video(prompt: str) -> str:
        return await make(prompt)

    with service() as fox, TestClient(app) as caller:
        answers = [caller.post("/videos", params={"prompt": f"A kite {number}"}) for number in range(3)]
        assert all(answer.json().startswith(fox.base_url) for answer in answers)
        fox.assert_charged(3)
    assert list(tmp_path.iterdir()) == []


def test_the_example_service_is_tested_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By callers that wait, as they do in production."""
    import service as example  # noqa: PLC0415 - that is its name among the examples

    monkeypatch.setenv("VIDEOS", str(tmp_path))
    key = "0b9b4c9a-6c4e-4c5e-9d2b-0d7c6a1f3b11"
    body = {"model": SHOT.model, "prompt": "A kite"}
    with service() as fox, TestClient(example.app) as caller:
        accepted = caller.post("/videos", json=body, headers={"Idempotency-Key": key})
        assert accepted.status_code == 202
        events = caller.get(f"/videos/{key}/events").text
        assert '"status":"completed"' in events.replace(" ", "")
        fox.assert_charged(1)


def test_anyio_has_one() -> None:
    """On the backend that is asyncio."""
    with service() as fox:
        url = anyio.run(make, "A kite", backend="asyncio")
        assert url.startswith(fox.base_url)


class UnitTest(unittest.TestCase):
    """Without pytest's own ways, and with a task that fails."""

    def test_a_failure_is_raised(self) -> None:
        """As the service scripts it."""
        with service(fail=1.0) as fox:
            with self.assertRaises(TaskFailed):  # noqa: PT027 - as unittest has it
                asyncio.run(make("A kite"))
            fox.assert_charged(1)


class AsyncUnitTest(unittest.IsolatedAsyncioTestCase):
    """In the loop of unittest."""

    async def test_a_coroutine_waits_for_its_video(self) -> None:
        """Which is there in a moment."""
        with service() as fox:
            self.assertTrue((await make("A kite")).startswith(fox.base_url))  # noqa: PT009 - as above


def test_the_environment_is_as_before_when_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of whoever runs the tests is his again."""
    monkeypatch.setenv("FOXAPI_API_KEY", "sk-mine")
    with service(), pytest.raises(ZeroDivisionError):
        raise ZeroDivisionError
    assert os.environ["FOXAPI_API_KEY"] == "sk-mine"
