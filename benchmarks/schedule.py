"""Queries and lateness of schedules, by simulation: learned, fixed, and the best that is possible.

Measured: how many queries a task takes, and how many seconds pass from its end to the query that finds it, in the mean
and at the 95th percentile. Tasks are followed one after the other, so the schedule knows nothing at first; the columns
are the first 10, 30, 100 and 1,000 tasks of each run, over several runs. Durations are narrow (a lognormal of sigma
0.12), wide (0.4), heavy-tailed (0.8), or in two lanes (30 and 90 s), around 45 s; by these the constants of the
schedule were chosen. None was chosen by three lanes (15, 50 and 150 s), and by tasks of which some are refused after
2 s only the share that is looked at early. Progress is absent, linear, quick at first, quick at last, or stuck at 99.
The service's estimate is right, or three times too long.

Fewer queries are easy, if they may come late. So the ratio is to the queries of the optimum *at the same mean
lateness*: dynamic programming that knows the distribution and is blind to progress (``optimum.py``). Below 1 means that
progress told more than any schedule could know without it. But the query that first sees progress remains: what one who
sees must ask at least is shown, too. The second ratio is of the whole cost, at the price at which the optimum is a
second late: queries plus price times lateness. The fixed intervals are what other clients of video services do by
default; they learn nothing, so 1,000 tasks say all.

Then 1,000 tasks that begin in one instant, of which the first tell nothing of each other: what share of all queries
falls into the busiest second, and for each kind of progress what a cold start takes. That is compared to a fixed
interval that is as late in the mean, whatever its phase; there are equal tasks of 20 s, too, which the service takes
for 45 s like all others.

Not measured: a service that answers slowly, 429s, and tasks whose durations change with the hour.
"""

import argparse
import heapq
import itertools
import math
import random
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from benchmarks import optimum
from benchmarks.durations import DURATIONS, EQUAL, SHAPES, Durations, Shape, progress
from benchmarks.table import table
from foxvideo.schedule.adaptive import Learned
from foxvideo.schedule.base import Asked, Every, Learning, Schedule, learning
from foxvideo.state import Status, TaskState

_ASKED = Asked("grok-imagine-image-to-video", 6)
_FIRST = (10, 30, 100, 1000)
_WAVE = 1000
_ESTIMATES = {"right": 45.0, "3x too long": 135.0}


@attrs.frozen
class Backoff(Schedule):
    """Wait half as long again each time, up to a limit."""

    factor: float
    limit: float

    def next_age(self, asked: Asked, age: float, state: TaskState | None) -> float:  # noqa: ARG002 - the interface
        """Return the first of the ages at which it polls that is above this one."""
        waits = (min(self.factor**count, self.limit) for count in itertools.count())
        return next(due for due in itertools.accumulate(waits) if due > age)


# What the pollers of other clients do unless told otherwise, and what anyone would write.
FIXED: Mapping[str, Schedule] = {
    "every 2 s": Every(2.0),
    "every 5 s": Every(5.0),
    "every 1 s (openai)": Every(1.0),
    "every 0.1 s (xai-sdk, fal-client)": Every(0.1),
    "every 0.5 s (replicate)": Every(0.5),
    "every 6 s (runwayml)": Every(6.0),
    "1.5x backoff, at most 10 s": Backoff(1.5, 10.0),
}


@attrs.frozen
class Followed:
    """One task as it was followed: its queries, and seconds from its end to the last of them."""

    polls: int
    late: float


@attrs.define
class Task:
    """A task of the simulation."""

    schedule: Learning
    seconds: float
    shape: Shape
    due: float
    memo: bytes
    polls: int = 0

    @classmethod
    def begun(cls, schedule: Schedule, seconds: float, shape: Shape, estimate: float) -> "Task":
        """Begin a task, as its submit was accepted."""
        pending = TaskState(id="task", status=Status.PENDING, status_text="pending", estimated_time=estimate)
        learned = learning(schedule)
        return cls(learned, seconds, shape, *learned.step(_ASKED, 0.0, pending, b""))

    def ask(self) -> Followed | None:
        """Ask when it is due; None where the task still runs."""
        self.polls += 1
        if self.due >= self.seconds:
            self.schedule.ended(_ASKED, self.due, self.memo)
            return Followed(self.polls, self.due - self.seconds)
        shown = progress(self.shape, self.due, self.seconds)
        state = TaskState(id="task", status=Status.PROCESSING, status_text="processing", progress=shown)
        self.due, self.memo = self.schedule.step(_ASKED, self.due, state, self.memo)
        return None


def follow(schedule: Schedule, durations: Durations, shape: Shape, estimate: float, *, seed: int) -> Iterator[Followed]:
    """Follow tasks, one after the other, without end."""
    rng = random.Random(seed)
    while True:
        task = Task.begun(schedule, durations.draw(rng), shape, estimate)
        while (followed := task.ask()) is None:
            pass
        yield followed


@attrs.frozen
class Wave:
    """Tasks that began in one instant.

    Attributes:
        followed: Each of them.
        busiest: The share of the queries in the busiest second.
        seconds: What a task took in the mean.
    """

    followed: Sequence[Followed]
    busiest: float
    seconds: float

    @property
    def polls(self) -> float:
        """Queries of a task."""
        return statistics.fmean(task.polls for task in self.followed)

    @property
    def late(self) -> float:
        """Seconds from an end to the query that found it, in the mean."""
        return statistics.fmean(task.late for task in self.followed)

    @property
    def ratio(self) -> float:
        """Queries to those of a fixed interval that is as late in the mean, whatever its phase."""
        return self.polls / (self.seconds / (2 * self.late) + 0.5)


def wave(schedule: Schedule, durations: Durations, shape: Shape, estimate: float, *, seed: int) -> Wave:
    """Follow tasks that begin in one instant."""
    rng = random.Random(seed)
    tasks = [Task.begun(schedule, durations.draw(rng), shape, estimate) for _ in range(_WAVE)]
    heap = [(task.due, number) for number, task in enumerate(tasks)]
    heapq.heapify(heap)
    ended, seconds = [], dict[int, int]()
    while heap:
        now, number = heapq.heappop(heap)
        seconds[int(now)] = seconds.get(int(now), 0) + 1
        if (followed := tasks[number].ask()) is None:
            heapq.heappush(heap, (tasks[number].due, number))
        else:
            ended.append(followed)
    busiest = max(seconds.values()) / sum(seconds.values())
    return Wave(ended, busiest, statistics.fmean(task.seconds for task in tasks))


def _figures(durations: Durations, followed: Sequence[Followed]) -> dict[str, Any]:
    polls = statistics.fmean(task.polls for task in followed)
    lates = [task.late for task in followed]
    late = statistics.fmean(lates)
    best, price = optimum.at(durations, 1.0)
    equal, _ = optimum.at(durations, late)
    return {
        "polls": round(polls, 2),
        "late_s": round(late, 3),
        "late_p95_s": round(statistics.quantiles(lates, n=20)[-1], 3),
        # What comes less late than the steps of the dynamic programming has nothing to be compared to.
        "ratio": round(polls / equal.polls, 3) if math.isclose(equal.late, late, rel_tol=0.05) else None,
        "cost_ratio": round((polls + price * late) / (best.polls + price * best.late), 3),
    }


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--runs", type=int, default=8, help="runs of 1,000 tasks each (default: %(default)s)")
    parser.add_argument(
        "--lateness",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="that is wanted in the mean (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> Mapping[str, object]:
    """Simulate all of it."""

    def learned(seed: int) -> Learned:
        return Learned(lateness=options.lateness, random=random.Random(seed))

    figures = {name: _distribution(durations, learned, options.runs) for name, durations in DURATIONS.items()}
    cold = {name: _cold_starts(durations) for name, durations in {"equal, 20 s": EQUAL, **DURATIONS}.items()}
    told = {"lateness_s": options.lateness, "runs": options.runs}
    return {"benchmark": "schedule", **told, "durations": figures, "cold": cold}


def _cold_starts(durations: Durations) -> dict[str, object]:
    rows: dict[str, object] = {}
    for shape in SHAPES:
        begun = [wave(Learned(random=random.Random(seed)), durations, shape, 45.0, seed=seed) for seed in range(3)]
        rows[shape] = {
            figure: round(statistics.fmean(getattr(one, figure) for one in begun), 3)
            for figure in ("polls", "late", "ratio")
        }
    return rows


def _distribution(durations: Durations, learned: Callable[[int], Schedule], runs: int) -> dict[str, object]:
    rows = {}
    for shape in SHAPES:
        for estimate, seconds in _ESTIMATES.items():
            done = []
            for seed in range(runs):
                endless = follow(learned(seed), durations, shape, seconds, seed=seed)
                done.append([next(endless) for _ in range(_FIRST[-1])])
            rows[f"{shape}, estimate {estimate}"] = {
                str(first): _figures(durations, [task for tasks in done for task in tasks[:first]]) for first in _FIRST
            }
    fixed = {}
    for name, schedule in FIXED.items():
        endless = follow(schedule, durations, "absent", 45.0, seed=0)
        fixed[name] = _figures(durations, [next(endless) for _ in range(_FIRST[-1])])
    waves = {}
    sides: dict[str, Schedule] = {"learned": learned(0), "every 2 s": Every(2.0)}
    for name, schedule in sides.items():
        begun = wave(schedule, durations, "absent", 45.0, seed=0)
        waves[name] = {**_figures(durations, begun.followed), "busiest_second": round(begun.busiest, 4)}
    best = {str(late): round(optimum.at(durations, late)[0].polls, 2) for late in (0.5, 1.0, 2.0)}
    least = round(optimum.seeing(durations, 1.0), 2)
    return {
        "optimum_polls_by_late_s": best,
        "seeing_polls_at_1_s": least,
        "learned": rows,
        "fixed": fixed,
        "wave": waves,
    }


def show(figures: Mapping[str, object]) -> str:
    """Return the tables."""
    found: Any = figures
    intro = (
        f"Learned(lateness={found['lateness_s']:g}), {found['runs']} runs; each cell: queries a task, seconds late in"
    )
    parts = [f"{intro} the mean, and queries to those of the optimum at that lateness (blind to progress)"]
    for name, row in found["durations"].items():
        best = ", ".join(f"{polls:g} at {late} s late" for late, polls in row["optimum_polls_by_late_s"].items())
        head = ("learned", *(f"first {first}" for first in _FIRST), "p95 s", "cost, first 10", "cost")
        lines = [
            (
                what,
                *(f"{cell['polls']:.1f} {cell['late_s']:.2f}s {cell['ratio']:.2f}x" for cell in cells.values()),
                f"{cells['1000']['late_p95_s']:.1f}",
                f"{cells['10']['cost_ratio']:.2f}x",
                f"{cells['1000']['cost_ratio']:.2f}x",
            )
            for what, cells in row["learned"].items()
        ]
        least = f"and who sees progress no less than {row['seeing_polls_at_1_s']:g} at 1.0 s late"
        parts.append(f"{name}: the optimum asks {best}; {least}\n\n{table(head, lines)}")
        others = {
            **row["fixed"],
            **{f"wave of {_WAVE}: {what}": cell for what, cell in row["wave"].items()},
        }
        lines = [
            (
                what,
                f"{cell['polls']:.1f}",
                f"{cell['late_s']:.2f}",
                f"{cell['late_p95_s']:.2f}",
                "" if cell["ratio"] is None else f"{cell['ratio']:.2f}x",
                f"{cell['cost_ratio']:.2f}x",
                f"{100 * cell['busiest_second']:.1f} %" if "busiest_second" in cell else "",
            )
            for what, cell in others.items()
        ]
        parts.append(table(("others", "polls", "late s", "p95 s", "optimum", "cost", "busiest second"), lines))
    lines = [
        (name, *(f"{cell['polls']:.1f} {cell['late']:.2f}s {cell['ratio']:.2f}x" for cell in row.values()))
        for name, row in found["cold"].items()
    ]
    what = "Learned(), a cold start of 1,000 tasks: queries a task, seconds late in the mean, and queries to those of a"
    parts.append(f"{what} fixed interval\nthat is as late\n\n{table(('cold start', *SHAPES), lines)}")
    return "\n\n".join(parts)
