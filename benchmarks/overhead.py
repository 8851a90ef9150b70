"""CPU time per job of foxvideo against a bare aiohttp loop that sends the same requests.

Measured: the CPU (user and system) of the client's process for N jobs, all begun at once. A job is one submit and a
fixed number of queries at a fixed interval. foxvideo runs as ``asyncio.gather`` over ``client.generate(...)`` with
``schedule=Every(interval)``; the reference is ``bare.py``: a session, a semaphore, and a loop of sleep and GET.
Each run is a new interpreter that warms up with a few jobs first and measures itself, so neither imports nor the
start count. The runs of all sides alternate, and a ratio is the median of the ratios within the rounds.

The server is the benchmark's own (``server.py``), not the emulator: it runs in another process, so that its CPU is
not counted, and its two routes do the least a server can do. The emulator keeps a clock, faults and rules for each
request, competes with the client for the same cores, and ends tasks by time instead of by the number of queries, so
that both sides would not send the same requests. Here the server's ledger proves that they do.

One difference stays in the main ratio: foxvideo sends each submit on a connection of its own, because a POST on a
kept-alive connection that the server has just dropped could not be told from one that was paid for. The bare loop
keeps connections alive. The second reference closes them after each submit, too, and shows what that rule costs.

``--events`` and ``--otel`` measure foxvideo once more with a hook that counts every event, and with the SDK of
OpenTelemetry, whose spans are processed in batches and kept in memory: 3 spans and about 16 measurements a job. Their
ratio is the one to foxvideo without either.

Each reply differs from the one before it, which is the dearest case: the progress of a real task often stands still.

Not measured: latency, TLS (which makes that rule dearer), uploads, downloads, faults and a learned schedule. With fewer
than two free cores, wall time shows the server's share; where others work on the machine, the ratios spread, and more
and shorter runs (``--jobs 250 --interval 0.15 --pairs 20``) say more than few long ones.
"""

import argparse
import platform
import statistics
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

import attrs

from benchmarks import server
from benchmarks.plan import Plan
from benchmarks.process import Usage, fresh, use
from benchmarks.table import table

if TYPE_CHECKING:
    from benchmarks.fox import Watched

Side = Literal["foxvideo", "bare", "bare, submits close", "foxvideo, events", "foxvideo, OpenTelemetry"]
WATCHED: "Mapping[str, Watched]" = {
    "foxvideo": "by nobody",
    "foxvideo, events": "by a hook",
    "foxvideo, OpenTelemetry": "by OpenTelemetry",
}

_WARM_UP_JOBS = 20
_WARM_UP_INTERVAL = 0.01


@attrs.frozen
class Run:
    """One side, once: what it took and what the server was asked meanwhile."""

    usage: Usage
    ledger: server.Ledger


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--jobs", type=int, default=1000, help="jobs of each run (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=5, help="runs of each side (default: %(default)s)")
    parser.add_argument("--polls", type=int, default=10, help="queries of each job (default: %(default)s)")
    parser.add_argument(
        "--interval", type=float, default=0.5, metavar="SECONDS", help="between two queries (default: %(default)s)"
    )
    parser.add_argument("--events", action="store_true", help="also with a hook that hears all events")
    parser.add_argument("--otel", action="store_true", help="also with the SDK of OpenTelemetry")
    parser.add_argument("--uvloop", action="store_true", help="all sides on uvloop, which has to be installed")
    parser.add_argument("--max-requests", type=int, default=32, help="requests in flight (default: %(default)s)")


def run(options: argparse.Namespace) -> Mapping[str, object]:
    """Measure all sides in turn.

    Raises:
        RuntimeError: A side did not send the requests that were planned.
    """
    runs: dict[Side, list[Run]] = {"foxvideo": [], "bare": [], "bare, submits close": []}
    if options.events:
        runs["foxvideo, events"] = []
    if options.otel:
        runs["foxvideo, OpenTelemetry"] = []
    with server.running(options.polls) as port:
        plan = Plan(
            base_url=f"http://127.0.0.1:{port}",
            jobs=options.jobs,
            interval=options.interval,
            max_requests=options.max_requests,
        )
        for _ in range(options.pairs):
            for side, done in runs.items():
                done.append(fresh(measure, side, plan, port, uvloop=options.uvloop))
                compare(side, done[-1].ledger, expected(side, options.jobs, options.polls))
    ratios = {
        side: [ours.usage.cpu / theirs.usage.cpu for ours, theirs in zip(runs["foxvideo"], runs[side], strict=True)]
        for side in runs
    }
    return {
        "benchmark": "overhead",
        "python": platform.python_version(),
        "aiohttp": version("aiohttp"),
        "loop": "uvloop" if options.uvloop else "asyncio",
        "jobs": options.jobs,
        "polls": options.polls,
        "interval_s": options.interval,
        "max_requests": options.max_requests,
        "pairs": options.pairs,
        "sides": {side: _summary(runs[side], options.jobs, ratios[side]) for side in runs},
    }


def measure(side: Side, plan: Plan, port: int, *, uvloop: bool = False) -> Run:
    """Run one side in this process, warm-up first."""
    warm_up = attrs.evolve(plan, jobs=_WARM_UP_JOBS, interval=_WARM_UP_INTERVAL)
    if side in WATCHED:
        from benchmarks import fox  # noqa: PLC0415 - the other side's memory would count it

        use(fox.run(warm_up, watched=WATCHED[side]), uvloop=uvloop)
        server.ledger(port, clear=True)
        usage = use(fox.run(plan, watched=WATCHED[side]), uvloop=uvloop)
    else:
        from benchmarks import bare  # noqa: PLC0415 - as above

        force_close = side == "bare, submits close"
        use(bare.run(warm_up, force_close=force_close), uvloop=uvloop)
        server.ledger(port, clear=True)
        usage = use(bare.run(plan, force_close=force_close), uvloop=uvloop)
    return Run(usage, server.ledger(port))


def expected(side: Side, jobs: int, polls: int) -> server.Ledger:
    """Return what a side has to ask of the server, no more and no less."""
    return server.Ledger(submits=jobs, polls=jobs * polls, closing=0 if side == "bare" else jobs)


def compare(side: Side, ledger: server.Ledger, wanted: server.Ledger) -> None:
    """Make sure that a side did what the others do.

    Raises:
        RuntimeError: It sent other requests, so that its CPU means nothing.
    """
    if ledger != wanted:
        raise RuntimeError(f"{side} sent {ledger}, not {wanted}: the sides cannot be compared")


def _summary(runs: list[Run], jobs: int, ratios: list[float]) -> dict[str, object]:
    def median(figures: list[float]) -> float:
        return round(statistics.median(figures), 3)

    return {
        "cpu_ms_per_job": median([run.usage.cpu * 1000 / jobs for run in runs]),
        "wall_s": median([run.usage.wall for run in runs]),
        "peak_rss_mb": median([run.usage.peak / 1e6 for run in runs]),
        "grown_rss_mb": median([run.usage.grown / 1e6 for run in runs]),
        "submits": runs[-1].ledger.submits,
        "polls": runs[-1].ledger.polls,
        "to_foxvideo": median([1 / ratio for ratio in ratios]),
        "foxvideo_ratio": median(ratios),
        "foxvideo_ratios": [round(ratio, 3) for ratio in ratios],
    }


def show(figures: Mapping[str, object]) -> str:
    """Return the table."""
    found: Any = figures
    rows = [
        (
            side,
            f"{row['cpu_ms_per_job']:.2f}",
            f"{row['wall_s']:.2f}",
            f"{row['peak_rss_mb']:.1f}",
            f"{row['grown_rss_mb']:.1f}",
            f"{row['submits'] + row['polls']}",
            "" if side in WATCHED else f"{row['foxvideo_ratio']:.2f}x",
            "" if side == "foxvideo" else f"{min(row['foxvideo_ratios']):.2f}-{max(row['foxvideo_ratios']):.2f}",
            f"{row['to_foxvideo']:.3f}x" if side in WATCHED and side != "foxvideo" else "",
        )
        for side, row in found["sides"].items()
    ]
    head = ("side", "CPU ms/job", "wall s", "peak MB", "grown MB", "requests", "foxvideo vs.", "range", "vs. foxvideo")
    return (
        f"{found['jobs']} jobs of 1 submit and {found['polls']} polls every {found['interval_s']:g} s, "
        f"at most {found['max_requests']} in flight; medians of {found['pairs']}; "
        f"Python {found['python']}, aiohttp {found['aiohttp']}, {found['loop']}\n\n{table(head, rows)}"
    )
