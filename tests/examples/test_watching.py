"""The examples that hear callbacks, and that are measured, as their users see them."""

import asyncio
from pathlib import Path

import callbacks
import httpx
import metrics
import pytest
from test_workers import free_port

from foxvideo._aio import in_thread
from foxvideo.testing import FoxAPI


@pytest.mark.foxapi(seconds=3600)
async def test_a_callback_ends_the_wait(foxapi: FoxAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour before the task would have been polled next, perhaps."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(callbacks, "PORT", free_port())
    making = asyncio.create_task(callbacks.main("https://studio.example/foxapi"))
    await asyncio.sleep(5)
    (record,) = foxapi.ledger.tasks.values()
    assert record.body["callback_url"] == "https://studio.example/foxapi"
    foxapi.finish(record.id)
    async with httpx.AsyncClient() as service:
        answer = await service.post(f"http://127.0.0.1:{callbacks.PORT}/foxapi", json={"id": record.id})
    assert answer.status_code == 204
    assert (await asyncio.wait_for(making, 5)).startswith(foxapi.base_url)


async def test_prometheus_finds_what_there_is_to_measure(foxapi: FoxAPI) -> None:
    """Under the names that Prometheus makes of them."""
    port = free_port()
    making = asyncio.create_task(metrics.main(port))
    for _ in range(200):
        await asyncio.sleep(5)
        if foxapi.ledger.tasks and all(record.told for record in foxapi.ledger.tasks.values()):
            break
    page = (await in_thread(httpx.get, f"http://127.0.0.1:{port}/metrics")).text
    await making

    model = 'gen_ai_request_model="grok-imagine-text-to-video"'
    assert f'foxvideo_tasks_total{{foxvideo_end="completed",{model}' in page
    assert f"foxvideo_credits_reserved_total{{{model}" in page
    assert "gen_ai_client_operation_duration_seconds_bucket" in page
    assert "foxvideo_tasks_running" in page
