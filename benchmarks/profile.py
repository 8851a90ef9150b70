"""Where the CPU time of one query goes: aiohttp, decoding, structure, verdict, schedule, dispatch.

Measured: each step alone, many times over, with a reply as the service sends it; and beside them the whole, in a new
interpreter each: CPU of a query of foxvideo, and of the bare loop of ``overhead``, which is what aiohttp and the loop
itself take. A job is one submit and ten queries, and counts as eleven. What no step explains is left as the rest:
tasks, futures, the request's headers and its log line. So the next person knows where to look.

Not measured: submits apart from queries, TLS, and the garbage collector, which runs in the whole but hardly in a step.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks import overhead, pending, server
from benchmarks.plan import Plan
from benchmarks.process import fresh
from benchmarks.table import table
from foxvideo._wire.reply import Reply
from foxvideo._wire.structure import task_state
from foxvideo._wire.verdict import NO_FAILURES, poll_verdict
from foxvideo.schedule.adaptive import Learned
from foxvideo.schedule.base import Asked
from foxvideo.state import TaskState

_POLLS = 10
_TIMES = 20_000
_ID = "task-unified-1790000001-00000000"
_BODY = json.dumps(
    {
        "id": _ID,
        "object": "video.generation.task",
        "type": "video",
        "model": "grok-imagine-image-to-video",
        "created": 1790000001,
        "status": "processing",
        "progress": 40,
        "results": None,
        "error": None,
        "usage": {"credits_reserved": 12.5, "user_group": "default"},
    }
).encode()


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--jobs", type=int, default=500, help="jobs of each run (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=5, help="runs of each side (default: %(default)s)")


def run(options: argparse.Namespace) -> Mapping[str, object]:
    """Measure the whole, then each step."""
    whole: dict[overhead.Side, list[float]] = {"foxvideo": [], "bare": []}
    with server.running(_POLLS) as port:
        plan = Plan(base_url=f"http://127.0.0.1:{port}", jobs=options.jobs, interval=0.3, max_requests=32)
        for _ in range(options.pairs):
            for side, runs in whole.items():
                usage = fresh(overhead.measure, side, plan, port).usage
                runs.append(usage.cpu / options.jobs / (_POLLS + 1) * 1e6)
    total, bare = (statistics.median(whole[side]) for side in ("foxvideo", "bare"))
    steps = {"aiohttp and the bare loop": bare, **_steps()}
    return {
        "benchmark": "profile",
        "python": platform.python_version(),
        "total_us": round(total, 1),
        "steps_us": {name: round(us, 2) for name, us in steps.items()},
        "rest_us": round(total - sum(steps.values()), 1),
    }


def _steps() -> dict[str, float]:
    """Return the microseconds of each step of a query that foxvideo adds to the bare loop, which decodes, too."""
    reply = Reply(200, {}, _BODY)
    decoded = json.loads(_BODY)
    decode = _timed(lambda: json.loads(_BODY))
    structure = _timed(lambda: task_state(decoded, _ID, _BODY))
    verdict = _timed(lambda: poll_verdict(reply, _ID, NO_FAILURES, 0.0, known=True))
    return {
        "structure": structure,
        "verdict": verdict - structure - decode,
        "schedule (learned)": _schedule(task_state(decoded, _ID, _BODY)),
        "dispatch": fresh(pending.measure_wake, 1000) * 1e6,
    }


def _timed(work: Callable[[], object]) -> float:
    rounds = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(_TIMES):
            work()
        rounds.append((time.process_time() - began) / _TIMES * 1e6)
    return min(rounds)


def _schedule(state: TaskState) -> float:
    """Return the microseconds of asking the schedule, what it does anew for its lessons included."""
    schedule, asked, ages = Learned(), Asked("grok-imagine-image-to-video", 6), [0.0] * 1000
    memos = [b""] * len(ages)
    began = time.process_time()
    for _ in range(_POLLS):
        for number, age in enumerate(ages):
            ages[number], memos[number] = schedule.step(asked, age, state, memos[number])
    for age, memo in zip(ages, memos, strict=True):
        schedule.ended(asked, age, memo)
    return (time.process_time() - began) / len(ages) / _POLLS * 1e6


def show(figures: Mapping[str, object]) -> str:
    """Return the table."""
    found: Any = figures
    steps = {**found["steps_us"], "the rest": found["rest_us"]}
    rows = [(name, f"{us:.1f}", f"{100 * us / found['total_us']:.1f} %") for name, us in steps.items()]
    rows.append(("a query in all", f"{found['total_us']:.1f}", "100 %"))
    return f"CPU of one query; Python {found['python']}\n\n{table(('step', 'us', 'share'), rows)}"
