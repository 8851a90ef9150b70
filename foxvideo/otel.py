"""OpenTelemetry: a span for each task, and metrics; an extra (``pip install 'foxvideo[otel]'``).

```text
from foxvideo import Client
from foxvideo.otel import OpenTelemetry

async with Client(journal="videos.db", telemetry=OpenTelemetry()) as client:
    ...
```

It takes the tracer and the meter provider that your program has set up, unless you pass others. Without a provider of
the SDK nothing is recorded. Prompts, links and keys are in none of it.

## Spans

| span | from | to |
|---|---|---|
| *generate_content MODEL* | the call of ``submit`` or ``generate``, whose span is its parent | the end |
| *submit* in it, one for each attempt | the request leaves | its reply |
| *wait* in it | the acceptance | the end |
| *download* in it, one for each result | it begins to be saved | it is on the disk |

A task that another process follows, after a crash or on another machine, gets a span of its own there, with a link to
the one under which it was submitted: the journal remembers that. Requests on the wire have spans and metrics by the
instrumentation of aiohttp (opentelemetry-instrumentation-aiohttp-client), which goes well with this one.

## Metrics

```text
foxvideo.tasks                    tasks that have ended, by model and foxvideo.end
gen_ai.client.operation.duration  seconds from the call to the end, by model and error.type
foxvideo.submissions              submissions that left, repeats among them, by model
foxvideo.polls                    polls, by model
foxvideo.limited                  replies with 429, by foxvideo.request: submit or poll
foxvideo.lateness                 seconds by which an end was heard of too late, at most, by model
foxvideo.credits_reserved         credits, by model
foxvideo.transferred              bytes, by foxvideo.direction: up or down
foxvideo.tasks.waiting            tasks now; also .sending, .running and .handing_over
foxvideo.requests.in_flight       requests now
foxvideo.silent                   seconds without an answer to any poll
```

Names that begin with *gen_ai* or *error* are those of https://opentelemetry.io/docs/specs/semconv/gen-ai/. An example
with Prometheus is among the examples of the repository (metrics.py).
"""

import contextlib
import functools
import weakref
from collections.abc import Callable, Iterable, Mapping

import attrs
from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanContext, SpanKind, Status, StatusCode

from foxvideo._version import __version__
from foxvideo.events import Event, EventKind
from foxvideo.state import Stats

__all__ = ["OpenTelemetry"]

_OPERATION = "generate_content"
_ALL = {"gen_ai.operation.name": _OPERATION, "gen_ai.provider.name": "foxapi"}
_BUCKETS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 3600.0)
_LATE = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_NOW = {
    "foxvideo.tasks.waiting": ("{task}", "Tasks that are not sent yet.", "waiting"),
    "foxvideo.tasks.sending": ("{task}", "Submissions without a reply yet.", "sending"),
    "foxvideo.tasks.running": ("{task}", "Tasks that are accepted and followed.", "running"),
    "foxvideo.tasks.handing_over": ("{task}", "Ends that on_end has not returned for yet.", "handing_over"),
    "foxvideo.requests.in_flight": ("{request}", "Requests in flight.", "requests"),
    "foxvideo.silent": ("s", "Seconds since the service last answered a poll.", "silent_for"),
}
_MOST_ENDED = 1000  # tasks whose downloads are put into their span
_UNTRACED = SpanContext(0, 0, is_remote=False)


@attrs.define(eq=False)
class _Task:
    """What is open of one task.

    Attributes:
        span: Its own.
        began: When, in Unix seconds.
        step: What it is doing: the span of an attempt, or of the wait; None in between.
        running: The age at which it was last seen to run, in seconds.
        reserved: Credits that were counted.
    """

    span: Span
    began: float
    step: Span | None = None
    running: float = 0.0
    reserved: float = 0.0


class OpenTelemetry:
    """Makes spans and metrics of what clients do; several clients may share one.

    Args:
        tracer_provider: Where spans go; None for the one of the program.
        meter_provider: Where metrics go; None for the one of the program.
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        self._tracer = trace.get_tracer("foxvideo", __version__, tracer_provider)
        meter = metrics.get_meter("foxvideo", __version__, meter_provider)
        self._ended = meter.create_counter("foxvideo.tasks", "{task}", "Tasks that have ended.")
        self._seconds = meter.create_histogram(
            "gen_ai.client.operation.duration",
            "s",
            "From the call to the end of its task.",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )
        self._late = meter.create_histogram(
            "foxvideo.lateness",
            "s",
            "By how much an end was heard of too late, at most.",
            explicit_bucket_boundaries_advisory=_LATE,
        )
        self._submissions = meter.create_counter("foxvideo.submissions", "{submission}", "Submissions that left.")
        self._polls = meter.create_counter("foxvideo.polls", "{poll}", "Polls of tasks.")
        self._limited = meter.create_counter("foxvideo.limited", "{reply}", "Replies with 429.")
        self._credits = meter.create_counter("foxvideo.credits_reserved", "{credit}", "Credits that were reserved.")
        self._bytes = meter.create_counter("foxvideo.transferred", "By", "Bytes of files, up and down.")
        self._stats: list[weakref.WeakMethod[Callable[[], Stats]]] = []
        for name, (unit, text, field) in _NOW.items():
            meter.create_observable_gauge(name, [self._observed(field)], unit, text)
        self._hear = {
            EventKind.QUEUED: self._begin,
            EventKind.FOLLOWED: self._begin,
            EventKind.SUBMITTED: self._submitted,
            EventKind.REPEATED: self._repeated,
            EventKind.ACCEPTED: self._accepted,
            EventKind.POLLED: self._polled,
            EventKind.LIMITED: self._slowed,
            EventKind.ENDED: self._end,
            EventKind.UNCERTAIN: self._end,
            EventKind.JOINED: self._end,
            EventKind.RECALLED: self._end,
            EventKind.UPLOADED: self._uploaded,
            EventKind.SAVED: self._download,
            EventKind.UNSAVED: self._download,
        }
        self._tasks: dict[int | None, _Task] = {}
        self._contexts: dict[str | None, SpanContext] = {}

    def observe(self, stats: Callable[[], Stats]) -> None:
        """Show what a client is doing now, as long as it lives; the client calls this."""
        self._stats = [*(known for known in self._stats if known() is not None), weakref.WeakMethod(stats)]

    def _observed(self, field: str) -> Callable[[metrics.CallbackOptions], Iterable[metrics.Observation]]:
        def now(_: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
            living = [stats() for known in self._stats if (stats := known()) is not None]
            yield metrics.Observation(sum(getattr(stats, field) or 0 for stats in living))

        return now

    def traceparent(self, number: int) -> str | None:
        """Return the trace of a task for the journal; None where it is not recorded."""
        task = self._tasks.get(number)
        if task is None or not task.span.is_recording():
            return None
        context = task.span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def __call__(self, event: Event) -> None:
        """Hear an event, in the context of whoever brought it about."""
        if (hear := self._hear.get(event.kind)) is not None:
            hear(event, _model(event.model))

    def _submitted(self, event: Event, model: Mapping[str, str]) -> None:
        self._submissions.add(1, model)
        self._step(event, "submit", SpanKind.CLIENT)

    def _repeated(self, event: Event, _: Mapping[str, str]) -> None:
        self._step(event, None)

    def _accepted(self, event: Event, model: Mapping[str, str]) -> None:
        self._step(event, "wait")
        self._reserve(event, model)

    def _polled(self, event: Event, model: Mapping[str, str]) -> None:
        self._polls.add(1, model)
        if event.status not in {None, "completed", "failed", "cancelled"} and event.number in self._tasks:
            self._tasks[event.number].running = event.seconds or 0.0

    def _slowed(self, event: Event, _: Mapping[str, str]) -> None:
        self._limited.add(1, {"foxvideo.request": event.request or ""})

    def _uploaded(self, event: Event, _: Mapping[str, str]) -> None:
        self._bytes.add(event.size or 0, {"foxvideo.direction": "up"})

    def _begin(self, event: Event, model: Mapping[str, str]) -> None:
        if event.number in self._tasks:  # it was submitted before, under the same key
            self._step(event, "wait")
            return
        span = self._tracer.start_span(
            f"{_OPERATION} {event.model or 'unknown'}",
            kind=SpanKind.CLIENT,
            attributes={**_ALL, **model},
            links=[trace.Link(linked)] if (linked := _linked(event.traceparent)) is not None else None,
            start_time=_nanoseconds(event.at),
        )
        task = self._tasks[event.number] = _Task(span, event.at)
        if event.kind is EventKind.FOLLOWED:
            self._name(task, event)
            self._step(event, "wait")

    def _name(self, task: _Task, event: Event) -> None:
        names = {"foxvideo.task.id": event.task_id, "foxvideo.task.key": event.key}
        task.span.set_attributes({name: value for name, value in names.items() if value})

    def _step(self, event: Event, name: str | None, kind: SpanKind = SpanKind.INTERNAL) -> None:
        """End what a task was doing, and begin something else."""
        task = self._tasks.get(event.number)
        if task is None:
            return
        at = _nanoseconds(event.at)
        if task.step is not None:
            task.step.end(at)
        within = trace.set_span_in_context(task.span)
        task.step = None if name is None else self._tracer.start_span(name, within, kind, start_time=at)

    def _reserve(self, event: Event, model: Mapping[str, str]) -> None:
        task, told = self._tasks.get(event.number), event.credits_reserved or 0.0
        if task is not None and told > task.reserved:  # it is told in each reply
            self._credits.add(told - task.reserved, model)
            task.reserved = told

    def _end(self, event: Event, model: Mapping[str, str]) -> None:
        told = event.kind not in {EventKind.JOINED, EventKind.RECALLED}
        if told:
            self._reserve(event, model)
        task = self._tasks.pop(event.number, None)
        failure = {"error.type": event.error.partition(" ")[0]} if event.error else {}
        if told:
            end = "uncertain" if event.kind is EventKind.UNCERTAIN else event.status or "unknown"
            self._ended.add(1, {**model, "foxvideo.end": end})
            if task is not None:
                self._seconds.record(max(event.at - task.began, 0.0), {**_ALL, **model, **failure})
                if end in {"completed", "failed", "cancelled"} and event.seconds is not None:
                    self._late.record(max(event.seconds - task.running, 0.0), model)
        if task is None:
            return
        self._name(task, event)
        task.span.set_attributes(failure)
        at = _nanoseconds(event.at)
        for span in filter(None, (task.step, task.span)):
            if event.error:
                span.set_status(Status(StatusCode.ERROR, event.error))
            span.end(at)
        self._contexts[event.task_id] = task.span.get_span_context()
        while len(self._contexts) > _MOST_ENDED:
            del self._contexts[next(iter(self._contexts))]

    def _download(self, event: Event, _: Mapping[str, str]) -> None:
        if event.size is not None:
            self._bytes.add(event.size, {"foxvideo.direction": "down"})
        within = trace.set_span_in_context(
            trace.NonRecordingSpan(self._contexts.get(event.task_id, _UNTRACED)), Context()
        )
        began = _nanoseconds(event.at - (event.seconds or 0.0))
        span = self._tracer.start_span("download", within, SpanKind.CLIENT, start_time=began)
        span.set_attributes({"foxvideo.task.id": event.task_id or "", "foxvideo.size": event.size or 0})
        if event.kind is EventKind.UNSAVED:
            span.set_status(Status(StatusCode.ERROR, event.why))
        span.end(_nanoseconds(event.at))


@functools.lru_cache(maxsize=256)
def _model(name: str | None) -> Mapping[str, str]:
    return {"gen_ai.request.model": name or "unknown"}


def _nanoseconds(at: float) -> int:
    return int(at * 1e9)


def _linked(traceparent: str | None) -> SpanContext | None:
    """Return the span that the journal remembers; None where it remembers none."""
    with contextlib.suppress(ValueError, AttributeError):
        _, trace_id, span_id, flags = (traceparent or "").split("-")
        context = SpanContext(int(trace_id, 16), int(span_id, 16), True, trace.TraceFlags(int(flags, 16)))  # noqa: FBT003 - OpenTelemetry's
        return context if context.is_valid else None
    return None
