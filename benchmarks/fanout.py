"""Many jobs at once: how fast they are submitted, what more of them cost each, and what a bare loop takes instead.

Three comparisons, each run in a new interpreter that warms up first; sides alternate, and a ratio is the median of the
ratios within the rounds.

- *Submits*: wall time until N submits, begun at once, are accepted, against a bare aiohttp loop with as many requests
  in flight. Each is answered after some time, as a service does that looks at a picture and at an account; ``--answer
  0`` shows what is left where it answers at once. The loop keeps its connections alive; foxvideo opens one for each
  submit.
- *Growth*: few jobs at once against many, through ``client.generate`` with the default schedule: CPU of a job, and
  lateness, the seconds from the end of a task to the query that finds it. A server that cannot keep up would be all
  that is seen of 100,000, so there may be several, each with a client of its own in the one process.
- *Equal lateness*: the default schedule, which has learned nothing before, against a bare loop that asks at twice the
  interval by which foxvideo was late in the mean, so that it is late by as much.

The server (``server.py``) is another process; its tasks take as long as the "wide" ones of ``schedule``, or others of
it, and show linear progress. ``--scale`` below 1 shortens all seconds, the schedule's too, for an impatient run; but
then the requests of the bare loop come so close that they find all caches warm, which those of real time do not. A job
that fails ends the benchmark. Not measured: TLS, and queries whose answers take their time.
"""

import argparse
import asyncio
import contextlib
import functools
import platform
import statistics
from collections.abc import Callable, Coroutine, Mapping, Sequence
from importlib.metadata import version
from operator import attrgetter
from typing import Any, Literal
from urllib.parse import urlsplit

import attrs

from benchmarks import bare, server
from benchmarks.durations import BY_NAME
from benchmarks.plan import Plan
from benchmarks.process import Usage, fresh, use
from benchmarks.table import table

_WARM_UP_JOBS = 20
_NEVER = 3600.0

Side = Literal["foxvideo", "bare"]
Doing = Literal["videos", "submits"]


@attrs.frozen
class Run:
    """What some jobs took, and what the server saw of them."""

    jobs: int
    usage: Usage
    ledger: server.Ledger

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of CPU of a job."""
        return self.usage.cpu * 1000 / self.jobs

    @property
    def polls(self) -> float:
        """Queries of a job."""
        return self.ledger.polls / self.jobs


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--jobs", type=int, default=1000, help="submits, and jobs of equal lateness")
    parser.add_argument("--few", type=int, default=100, help="jobs at once (default: %(default)s)")
    parser.add_argument("--many", type=int, default=5000, help="jobs at once; 0 for no growth (default: %(default)s)")
    parser.add_argument("--durations", choices=BY_NAME, default="wide", help="of the tasks (default: %(default)s)")
    parser.add_argument("--servers", type=int, default=1, help="for few and many (default: %(default)s)")
    parser.add_argument("--max-requests", type=int, default=32, help="in flight, in all (default: %(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="of all seconds (default: %(default)s)")
    parser.add_argument(
        "--answer",
        type=float,
        default=0.05,
        metavar="SECONDS",
        help="until a submit is answered (default: %(default)s)",
    )
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side (default: %(default)s)")


def run(options: argparse.Namespace) -> Mapping[str, object]:
    """Measure all of it."""
    runs: dict[str, list[Run]] = {
        name: [] for name in ("submits", "bare submits", "few", "many", "default schedule", "bare")
    }
    lasting = server.Lasting(options.durations, options.scale, options.answer)
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(server.running(lasting=lasting)) for _ in range(options.servers)]

        def go(side: Side, doing: Doing, jobs: int, interval: float = _NEVER, *, at: Sequence[int] = ports[:1]) -> Run:
            most = options.max_requests // len(at)
            plans = [
                Plan(base_url=f"http://127.0.0.1:{port}", jobs=jobs // len(at), interval=interval, max_requests=most)
                for port in at
            ]
            return fresh(measure, plans, options.scale, side, doing)

        for _ in range(options.rounds):
            runs["submits"].append(go("foxvideo", "submits", options.jobs))
            runs["bare submits"].append(go("bare", "submits", options.jobs))
            if options.many:
                runs["few"].append(go("foxvideo", "videos", options.few, at=ports))
                runs["many"].append(go("foxvideo", "videos", options.many, at=ports))
            runs["default schedule"].append(go("foxvideo", "videos", options.jobs))
            late = runs["default schedule"][-1].ledger.late_s
            runs["bare"].append(go("bare", "videos", options.jobs, interval=2 * late))
    return {
        "benchmark": "fanout",
        "python": platform.python_version(),
        "aiohttp": version("aiohttp"),
        "scale": options.scale,
        "answer_s": options.answer,
        "rounds": options.rounds,
        "runs": {name: _summary(done) for name, done in runs.items() if done},
        "ratios": {
            what: _ratio(runs[ours], runs[theirs], figure)
            for what, ours, theirs, figure in (
                ("wall of the submits, foxvideo to bare", "submits", "bare submits", "usage.wall"),
                ("CPU of a job, many to few", "many", "few", "cpu_ms"),
                ("lateness (p95), many to few", "many", "few", "ledger.late_p95_s"),
                ("CPU of a job at equal lateness, foxvideo to bare", "default schedule", "bare", "cpu_ms"),
                ("queries then, foxvideo to bare", "default schedule", "bare", "polls"),
                ("mean lateness then, foxvideo to bare", "default schedule", "bare", "ledger.late_s"),
            )
            if runs[ours]
        },
    }


def measure(plans: Sequence[Plan], scale: float, side: Side, doing: Doing) -> Run:
    """Run one side in this process, all plans at once, warm-up first."""
    work, ports = _work(side, doing, scale), [urlsplit(plan.base_url).port or 0 for plan in plans]

    async def all_of(doing_it: Callable[[Plan], Coroutine[Any, Any, None]], each: Sequence[Plan]) -> None:
        await asyncio.gather(*map(doing_it, each))

    use(all_of(_work(side, "submits", scale), [attrs.evolve(plan, jobs=_WARM_UP_JOBS) for plan in plans]))
    for port in ports:
        server.ledger(port, clear=True)
    usage = use(all_of(work, plans))
    return Run(sum(plan.jobs for plan in plans), usage, _together([server.ledger(port) for port in ports]))


def _together(ledgers: Sequence[server.Ledger]) -> server.Ledger:
    """Return what several servers saw of equal shares: lateness in the mean, and of the worst."""
    return server.Ledger(
        submits=sum(ledger.submits for ledger in ledgers),
        polls=sum(ledger.polls for ledger in ledgers),
        closing=sum(ledger.closing for ledger in ledgers),
        most_open=sum(ledger.most_open for ledger in ledgers),
        late_s=statistics.fmean(ledger.late_s for ledger in ledgers),
        late_p95_s=max(ledger.late_p95_s for ledger in ledgers),
    )


def _work(side: Side, doing: Doing, scale: float) -> Callable[[Plan], Coroutine[Any, Any, None]]:
    if side == "bare":
        return bare.submit if doing == "submits" else bare.run
    from benchmarks import fox  # noqa: PLC0415 - the other side's memory would count it
    from foxvideo.schedule.adaptive import Learned  # noqa: PLC0415 - as above

    if doing == "submits":
        return fox.submit
    default = Learned()
    scaled = Learned(lateness=default.lateness * scale, floor=default.floor * scale, ceiling=default.ceiling * scale)
    return functools.partial(fox.run, schedule=scaled)


def _ratio(ours: list[Run], theirs: list[Run], name: str) -> list[float]:
    """Return the median of the ratios of a figure within the rounds, the least and the greatest."""
    figure = attrgetter(name)
    ratios: list[float] = [figure(one) / figure(other) for one, other in zip(ours, theirs, strict=True)]
    return [round(number, 3) for number in (statistics.median(ratios), min(ratios), max(ratios))]


def _summary(runs: list[Run]) -> dict[str, object]:
    def median(name: str) -> float:
        middle: float = statistics.median(map(attrgetter(name), runs))
        return round(middle, 3)

    return {
        "jobs": runs[0].jobs,
        "cpu_ms_per_job": median("cpu_ms"),
        "polls_per_job": median("polls"),
        "late_s": median("ledger.late_s"),
        "late_p95_s": median("ledger.late_p95_s"),
        "wall_s": median("usage.wall"),
        "grown_mb": round(max(run.usage.grown for run in runs) / 1e6, 1),
        "most_open": max(run.ledger.most_open for run in runs),
    }


def show(figures: Mapping[str, object]) -> str:
    """Return the tables."""
    found: Any = figures
    rows = [(name, *(f"{number:g}" for number in row.values())) for name, row in found["runs"].items()]
    head = ("run", "jobs", "CPU ms/job", "polls/job", "late s", "p95 s", "wall s", "grown MB", "most connections")
    ratios = [
        (what, f"{middle:.2f}x", f"{least:.2f}-{most:.2f}") for what, (middle, least, most) in found["ratios"].items()
    ]
    return (
        f"all seconds times {found['scale']:g}, submits answered after {found['answer_s']:g} s; "
        f"medians of {found['rounds']}; "
        f"Python {found['python']}, aiohttp {found['aiohttp']}\n\n{table(head, rows)}\n\n"
        f"{table(('ratio', 'median', 'range'), ratios)}"
    )
