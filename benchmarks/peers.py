"""The same jobs through other clients of video services: CPU, queries, lateness, memory, connections, lost jobs.

Measured, each side in a new interpreter that warms up first: N jobs, all begun at once, through foxvideo, a bare
aiohttp loop, and openai, xai-sdk, runwayml, lumaai, replicate and fal-client from PyPI, used as their documentation
shows. A local server (``peer_server.py``) speaks the protocol of each; its tasks end a fixed time after their submit.
Once all sides ask at the same interval, once each as it does by default (a bare loop: every 5 s). A job that raised, or
had not ended when it was given up, is lost. Last, a server that makes each task and cuts the connection instead of
replying: how many submits, each of them paid, one job becomes.

The sides differ in what they send: other services have other requests and replies, xai-sdk speaks gRPC over HTTP/2. The
ratios say what a job costs its program, not how good a library is at its own service. Not measured: TLS, faults of
queries, and durations that vary (``schedule``): here all tasks take the same, which is the easiest thing to learn.

The peers are installed by ``nox -s peers``, which runs this.
"""

import argparse
import asyncio
import importlib.util
import platform
import statistics
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import attrs

from benchmarks import peer_server
from benchmarks.peer_sides import SIDES, Where
from benchmarks.process import Usage, fresh, use
from benchmarks.table import table

_WARM_UP_JOBS = 3
_LOST_JOBS = 20
_PACKAGES = ("aiohttp", "openai", "xai-sdk", "runwayml", "lumaai", "replicate", "fal-client")


@attrs.frozen
class Run:
    """One side, once: what it took, what was asked, and how many jobs brought no video."""

    usage: Usage
    ledger: peer_server.Ledger
    lost: int


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--jobs", type=int, default=1000, help="jobs of each run (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side (default: %(default)s)")
    parser.add_argument(
        "--interval", type=float, default=5.0, help="seconds between two queries (default: %(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="that a task takes (default: %(default)s)")
    parser.add_argument("--patience", type=float, default=180.0, help="seconds for a run (default: %(default)s)")
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=SIDES, metavar="SIDE", help="which")


def run(options: argparse.Namespace) -> Mapping[str, object]:
    """Measure all sides in turn.

    Raises:
        RuntimeError: The peers are not installed.
    """
    if importlib.util.find_spec("xai_sdk") is None:
        raise RuntimeError("the other clients are not installed here: run 'nox -s peers -- --jobs 1000'")
    figures: dict[str, object] = {}
    for name, interval in (("same interval", options.interval), ("defaults", None)):
        with peer_server.running(options.seconds) as ports:
            figures[name] = _compare(options, ports, interval)
    with peer_server.running(options.seconds, lose=True) as ports:
        lost = {
            side: fresh(measure, side, ports, 0.5, _LOST_JOBS, options.patience).ledger.posts / _LOST_JOBS
            for side in options.sides
        }
    return {
        "benchmark": "peers",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
        "jobs": options.jobs,
        "rounds": options.rounds,
        "interval_s": options.interval,
        "seconds": options.seconds,
        "figures": figures,
        "posts_per_lost_reply": lost,
    }


def _compare(options: argparse.Namespace, ports: tuple[int, int], interval: float | None) -> dict[str, object]:
    runs: dict[str, list[Run]] = {side: [] for side in options.sides}
    for _ in range(options.rounds):
        for side, done in runs.items():
            done.append(fresh(measure, side, ports, interval, options.jobs, options.patience))
    ours = runs.get("foxvideo")
    return {side: _summary(done, options.jobs, ours or done) for side, done in runs.items()}


def measure(side: str, ports: tuple[int, int], interval: float | None, jobs: int, patience: float) -> Run:
    """Run one side in this process, warm-up first."""
    where = Where(f"http://127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}", interval)
    lost: list[int] = []
    asyncio.run(_jobs(side, where, _WARM_UP_JOBS, patience))
    peer_server.ledger(ports[0], clear=True)

    async def work() -> None:
        lost.append(await _jobs(side, where, jobs, patience))

    usage = use(work())
    return Run(usage, peer_server.ledger(ports[0]), lost[0])


async def _jobs(side: str, where: Where, jobs: int, patience: float) -> int:
    """Do some jobs at once; return how many brought no video."""
    async with SIDES[side](where) as job:
        tasks = [asyncio.ensure_future(_attempt(job())) for _ in range(jobs)]
        _, pending = await asyncio.wait(tasks, timeout=patience)
        for task in pending:
            task.cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
    return sum(video is not True for video in found)


async def _attempt(job: Any) -> bool:  # noqa: ANN401 - an awaitable of some client
    try:
        return bool(await job)
    except Exception:  # noqa: BLE001 - whatever it is, the job is lost
        return False


def _summary(runs: list[Run], jobs: int, ours: list[Run]) -> dict[str, object]:
    def median(figures: list[float], digits: int = 3) -> float:
        return round(statistics.median(figures), digits)

    ratios = [mine.usage.cpu / theirs.usage.cpu for mine, theirs in zip(ours, runs, strict=True)]
    return {
        "cpu_ms_per_job": median([run.usage.cpu * 1000 / jobs for run in runs]),
        "foxvideo_ratio": median(ratios),
        "polls_per_job": median([run.ledger.polls / jobs for run in runs], 2),
        "late_s": median([run.ledger.late_s for run in runs]),
        "late_p95_s": median([run.ledger.late_p95_s for run in runs]),
        "grown_kb_per_job": median([run.usage.grown / 1e3 / jobs for run in runs], 1),
        "connections": max(run.ledger.connections for run in runs),
        "lost": max(run.lost for run in runs),
        "wall_s": median([run.usage.wall for run in runs], 1),
    }


def show(figures: Mapping[str, object]) -> str:
    """Return the tables."""
    found: Any = figures
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    jobs = f"{found['jobs']} jobs of {found['seconds']:g} s at once, medians of {found['rounds']}"
    parts = [f"{jobs}; Python {found['python']}, {versions}"]
    head = (
        "client",
        "CPU ms/job",
        "foxvideo vs.",
        "polls/job",
        "late s",
        "p95 s",
        "kB/job",
        "connections",
        "lost",
        "wall s",
    )
    for name, sides in found["figures"].items():
        rows = [
            (
                side,
                f"{row['cpu_ms_per_job']:.2f}",
                f"{row['foxvideo_ratio']:.3f}x",
                f"{row['polls_per_job']:.1f}",
                f"{row['late_s']:.2f}",
                f"{row['late_p95_s']:.2f}",
                f"{row['grown_kb_per_job']:.1f}",
                "" if side == "xai-sdk" else f"{row['connections']}",
                f"{row['lost']}",
                f"{row['wall_s']:.1f}",
            )
            for side, row in sides.items()
        ]
        what = f"{name}, every {found['interval_s']:g} s" if name == "same interval" else name
        parts.append(f"{what}\n\n{table(head, rows)}")
    lost = [(side, f"{posts:.1f}") for side, posts in found["posts_per_lost_reply"].items()]
    parts.append(table(("every reply to a submit is lost", "submits per job"), lost))
    return "\n\n".join(parts)
