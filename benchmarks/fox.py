"""foxvideo, used as its README says.

What belongs here: the plain way to make many videos with foxvideo. What must not: tuning that no user would do.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

from benchmarks.plan import API_KEY, REQUEST, Plan
from foxvideo import Client, Event
from foxvideo.schedule.base import Every, Schedule

Watched = Literal["by nobody", "by a hook", "by OpenTelemetry"]


async def run(plan: Plan, schedule: Schedule | None = None, *, watched: Watched = "by nobody") -> None:
    """Make all videos of a plan; asks at its interval unless there is another schedule.

    Raises:
        RuntimeError: Whoever watched has not seen every job.
    """
    options, jobs_seen = _watching(watched)
    async with _client(plan, schedule, **options) as client:
        videos = await asyncio.gather(*(client.generate(REQUEST) for _ in range(plan.jobs)))
    plan.check([video.url for video in videos])
    if jobs_seen is not None and (seen := jobs_seen()) != plan.jobs:
        raise RuntimeError(f"{plan.jobs} jobs, and {watched} {seen} were seen")


def _watching(watched: Watched) -> tuple[dict[str, Any], Callable[[], int] | None]:
    """Return the options of a client that is watched, and what counts the jobs that were seen to end."""
    if watched == "by a hook":
        kinds: Counter[str] = Counter()

        def count(event: Event) -> None:
            kinds[event.kind] += 1

        return {"on_event": count}, lambda: kinds["ended"]
    if watched == "by OpenTelemetry":
        from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - of one side alone
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: PLC0415

        from foxvideo.otel import OpenTelemetry  # noqa: PLC0415

        exporter, tracers = InMemorySpanExporter(), TracerProvider()
        tracers.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=1 << 16))

        def ended() -> int:
            tracers.shutdown()
            return sum(span.name.startswith("generate_content") for span in exporter.get_finished_spans())

        return {"telemetry": OpenTelemetry(tracers, MeterProvider([InMemoryMetricReader()]))}, ended
    return {}, None


async def submit(plan: Plan) -> None:
    """Submit all jobs of a plan, and wait until each is accepted."""
    async with _client(plan) as client:
        await asyncio.gather(*(client.submit(REQUEST).wait_accepted() for _ in range(plan.jobs)))


def _client(plan: Plan, schedule: Schedule | None = None, **options: Any) -> Client:  # noqa: ANN401 - of a client
    schedule = schedule or Every(plan.interval)
    return Client(API_KEY, plan.base_url, max_requests=plan.max_requests, schedule=schedule, **options)
