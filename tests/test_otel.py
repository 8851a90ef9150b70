"""Spans and metrics, as the SDK of OpenTelemetry gets them; and that events, log and metrics count the same."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from foxvideo import Client, Event, EventKind, Every, GrokTextToVideo, Request
from foxvideo.emulator import Emulator, Fault
from foxvideo.otel import OpenTelemetry, _linked

SHOT = GrokTextToVideo(prompt="A secret kite")


class Sdk:
    """The SDK of one process, in memory."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.telemetry = OpenTelemetry(self.tracers, MeterProvider([self.reader]))

    def spans(self) -> dict[str, list[ReadableSpan]]:
        """Return what has ended, by its name."""
        found: dict[str, list[ReadableSpan]] = {}
        for span in self.exporter.get_finished_spans():
            found.setdefault(span.name.partition(" ")[0], []).append(span)
        return found

    def metrics(self) -> dict[str, dict[tuple[Any, ...], Any]]:
        """Return each metric by its name: its points by the values of their attributes."""
        data = self.reader.get_metrics_data()
        assert data is not None
        return {
            metric.name: {
                tuple((point.attributes or {}).values()): getattr(point, "value", None) or getattr(point, "count", 0)
                for point in metric.data.data_points
            }
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def sdk() -> Sdk:
    """Set up an SDK."""
    return Sdk()


@pytest.fixture
async def fox() -> AsyncIterator[Emulator]:
    """Run an emulator whose tasks take ten seconds."""
    async with Emulator(seconds=10.0, render=False) as emulator:
        yield emulator


async def test_a_task_is_a_span_with_its_steps_in_it(sdk: Sdk, fox: Emulator, tmp_path: Path) -> None:
    """Under the span of whoever submitted it; the video is fetched within it, too."""
    async with Client(
        fox.api_key, fox.base_url, journal=tmp_path / "videos.db", telemetry=sdk.telemetry, schedule=Every(2)
    ) as client:
        with sdk.tracers.get_tracer("program").start_as_current_span("order") as order:
            video = await client.generate(SHOT, key="shot-1", save_to=tmp_path / "kite.mp4")

    spans = sdk.spans()
    (task,), (submit,), (wait,), (download,) = (
        spans[name] for name in ("generate_content", "submit", "wait", "download")
    )
    assert task.parent == order.get_span_context()
    assert [step.parent for step in (submit, wait, download)] == [task.get_span_context()] * 3
    assert dict(task.attributes or {}) == {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.provider.name": "foxapi",
        "gen_ai.request.model": SHOT.model,
        "foxvideo.task.id": video.id,
        "foxvideo.task.key": "shot-1",
    }
    assert (download.attributes or {})["foxvideo.size"] == (tmp_path / "kite.mp4").stat().st_size
    for span in (task, submit, wait, download):
        assert (span.start_time or 0) <= (span.end_time or 0)
        assert span.status.is_ok
    assert "secret" not in str([span.to_json() for span in sdk.exporter.get_finished_spans()])


async def test_an_end_that_is_none_is_an_error_of_its_span(sdk: Sdk, fox: Emulator) -> None:
    """With its class; each attempt is a step of its own."""
    fox.fail_next("submit", Fault("rate_limit"))
    fox.fail_next("submit", Fault("reset", after=True))
    async with Client(fox.api_key, fox.base_url, telemetry=sdk.telemetry) as client:
        await asyncio.gather(client.generate(SHOT), return_exceptions=True)
    (task,) = sdk.spans()["generate_content"]
    assert len(sdk.spans()["submit"]) == 2
    assert (task.attributes or {})["error.type"] == "SubmitUncertain"
    assert task.status.status_code is trace.StatusCode.ERROR
    assert "foxvideo.task.id" not in (task.attributes or {})


@pytest.mark.parametrize("keyed", [True, False])
async def test_a_task_that_another_process_follows_is_linked_to_its_submission(
    keyed: bool, sdk: Sdk, fox: Emulator, tmp_path: Path
) -> None:
    """By the journal."""
    options: dict[str, Any] = {"journal": tmp_path / "videos.db", "schedule": Every(2)}
    async with Client(fox.api_key, fox.base_url, telemetry=sdk.telemetry, **options) as client:
        await client.submit(SHOT, key="shot-1" if keyed else None).wait_accepted()
    later = Sdk()
    async with Client(fox.api_key, fox.base_url, telemetry=later.telemetry, **options) as client:
        for task in await client.resume():
            await task

    (submitted,), (followed,) = sdk.spans()["generate_content"], later.spans()["generate_content"]
    assert [(link.context.trace_id, link.context.span_id) for link in followed.links] == [
        (submitted.context.trace_id, submitted.context.span_id)
    ]
    assert len(later.spans()["wait"]) == 1
    assert later.metrics()["foxvideo.tasks"] == {(SHOT.model, "completed"): 1}


@pytest.mark.parametrize("told", [None, "", "x", "00-zz-1-1", "00-0-0-0", "00-1-2"])
def test_a_trace_that_cannot_be_read_is_none(told: str | None) -> None:
    """Whoever wrote it."""
    assert _linked(told) is None


async def test_metrics_say_what_there_is_now(sdk: Sdk, fox: Emulator) -> None:
    """Of all clients that share it, and of none that is gone."""
    async with (
        Client(fox.api_key, fox.base_url, telemetry=sdk.telemetry, max_active=2) as one,
        Client(fox.api_key, fox.base_url, telemetry=sdk.telemetry) as two,
    ):
        tasks = [one.submit(SHOT) for _ in range(5)] + [two.submit(SHOT)]
        await asyncio.sleep(1)
        now = sdk.metrics()
        assert now["foxvideo.tasks.running"] == {(): 3}
        assert now["foxvideo.tasks.waiting"] == {(): 3}
        await asyncio.gather(*tasks)
    assert sdk.metrics()["foxvideo.tasks.running"] == {(): 0}


async def test_an_end_is_late_by_no_more_than_the_gap_between_two_polls(sdk: Sdk, fox: Emulator) -> None:
    """Which is all that a client can know."""
    async with Client(fox.api_key, fox.base_url, telemetry=sdk.telemetry, schedule=Every(4)) as client:
        await client.generate(SHOT)
    data = sdk.reader.get_metrics_data()
    assert data is not None
    (late,) = [
        point
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
        if metric.name == "foxvideo.lateness"
        for point in metric.data.data_points
    ]
    assert 3.5 < late.sum < 4.6  # type: ignore[union-attr]


async def test_events_log_and_metrics_of_a_batch_with_faults_count_the_same(
    sdk: Sdk, fox: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Three hundred rows of three models."""
    caplog.set_level(logging.DEBUG, "foxvideo")
    models = [SHOT.model, "veo-3.1-fast-text-to-video", "kling-v3-text-to-video"]
    rows = [Request(models[number % 3], prompt=f"A kite {number}") for number in range(300)]
    events: list[Event] = []
    for fault in (Fault("reset", after=True), Fault("error", status=400), Fault("rate_limit", retry_after="2")):
        fox.fail_next("submit", fault, times=7)
    fox.fail_next("poll", Fault("html", status=502), times=40)
    fox.fail_next("poll", Fault("rate_limit"), times=9)
    fox.fail_next("result", Fault("error", status=503), times=20)
    async with Client(
        fox.api_key,
        fox.base_url,
        journal=tmp_path / "videos.db",
        on_event=events.append,
        telemetry=sdk.telemetry,
        save_to=tmp_path / "clips",
    ) as client:
        tasks = [client.submit(row, key=f"row-{number}") for number, row in enumerate(rows)]
        await asyncio.gather(*tasks, return_exceptions=True)
        fox_failed = [record for record in fox.ledger.tasks.values() if record.status == "failed"]
        records = await client.history()

    kinds = Counter(event.kind for event in events)
    logged = Counter(record.__dict__["event"].kind for record in caplog.records if "event" in record.__dict__)
    assert logged == kinds
    metrics = sdk.metrics()
    tasks_by_end = Counter(dict.fromkeys(("completed", "uncertain", "nothing made", "failed"), 0))
    for (_, end), number in metrics["foxvideo.tasks"].items():
        tasks_by_end[end] += number
    assert sum(tasks_by_end.values()) == kinds[EventKind.ENDED] + kinds[EventKind.UNCERTAIN] == 300
    assert tasks_by_end["uncertain"] == kinds[EventKind.UNCERTAIN] == 7
    assert tasks_by_end["nothing made"] == 7
    assert tasks_by_end["failed"] == len(fox_failed)
    by_status = Counter(record.status.value for record in records)
    assert by_status["completed"] == tasks_by_end["completed"]
    assert by_status["refused"] == tasks_by_end["nothing made"]
    assert sum(metrics["foxvideo.polls"].values()) == kinds[EventKind.POLLED] == fox.ledger.polled
    assert sum(metrics["foxvideo.submissions"].values()) == kinds[EventKind.SUBMITTED] == fox.ledger.submitted
    assert sum(metrics["foxvideo.limited"].values()) == kinds[EventKind.LIMITED] == 7 + 9
    assert sum(metrics["gen_ai.client.operation.duration"].values()) == 300
    reserved = sum(event.credits_reserved or 0.0 for event in events if event.kind is EventKind.ACCEPTED)
    assert sum(metrics["foxvideo.credits_reserved"].values()) == pytest.approx(reserved)
    saved = sum(event.size or 0 for event in events if event.kind is EventKind.SAVED)
    assert metrics["foxvideo.transferred"] == {("down",): saved}
    assert saved == sum(path.stat().st_size for path in (tmp_path / "clips").glob("*.mp4"))
    assert len(sdk.spans()["generate_content"]) == 300
    assert len(sdk.spans()["download"]) == kinds[EventKind.SAVED] + kinds[EventKind.UNSAVED]


async def test_nothing_is_left_of_tasks_that_have_ended(sdk: Sdk, fox: Emulator) -> None:
    """But a bounded number of names for downloads."""
    async with Client(fox.api_key, fox.base_url, telemetry=sdk.telemetry) as client:
        fox.fail_next("submit", Fault("reset", after=True))
        await asyncio.gather(*(client.generate(SHOT) for _ in range(30)), return_exceptions=True)
    assert sdk.telemetry._tasks == {}
    assert len(sdk.telemetry._contexts) == 30


async def test_what_the_journal_knows_is_a_span_and_no_end(sdk: Sdk, fox: Emulator, tmp_path: Path) -> None:
    """It was counted when it happened; a key that is asked for twice at once is one task."""
    events: list[Event] = []
    async with Client(fox.api_key, fox.base_url, journal=tmp_path / "videos.db") as client:
        await asyncio.gather(*(client.generate(SHOT, key=f"shot-{number}") for number in range(3)))
    async with Client(
        fox.api_key,
        fox.base_url,
        journal=tmp_path / "videos.db",
        telemetry=sdk.telemetry,
        on_event=events.append,
    ) as client:
        await asyncio.gather(*(client.generate(SHOT, key=f"shot-{number % 3}") for number in range(5)))
        await client.generate(SHOT, key="shot-3")

    kinds = Counter(event.kind for event in events)
    assert (kinds[EventKind.RECALLED], kinds[EventKind.ENDED]) == (3, 1)
    assert kinds[EventKind.QUEUED] == len(sdk.spans()["generate_content"]) == 4
    assert sdk.metrics()["foxvideo.tasks"] == {(SHOT.model, "completed"): 1}
    assert sdk.telemetry._tasks == {}
