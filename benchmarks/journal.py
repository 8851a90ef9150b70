"""What the memory on disk costs: submits that are written down against the same without.

Measured: CPU (user and system, the writing thread's included) and wall time of the client's process for N submits, all
begun at once, until each has its id; the journal is a new file on the disk that ``--folder`` names. A submit that has a
key of its own is written down once more, when its key is claimed. Also how many times the disk was synced, and how long
it takes to answer a key that is complete already. Each run is a new interpreter that warms up first; the runs of all
sides alternate, and a ratio is the median of the ratios within the rounds.

The server (``server.py``) answers at once, from another process. That is the dearest case for the wall time: with a
service that takes 50 ms to answer, syncing a disk hides behind that.

With ``--postgres URL``, an empty database in which ``foxvideo journal init`` was run, the same with the journal there.

Not measured: polls, which write nothing, and several processes that share a journal. A disk that is slow to sync shows
in the wall time, hardly in the CPU; a folder in memory shows what the disk has no part in.
"""

import argparse
import asyncio
import contextlib
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from benchmarks import server
from benchmarks.plan import API_KEY, REQUEST
from benchmarks.process import Usage, fresh, use
from benchmarks.table import table
from foxvideo._journal import PostgresStore, SqliteStore, is_postgres

_SIDES = ("journal", "journal, keys", "without")
_DATABASE_SIDES = ("postgres", "postgres, keys")
_WARM_UP = 20
_EMPTY = "TRUNCATE foxvideo.tasks, foxvideo.files, foxvideo.uploads, foxvideo.durations"
_KNOWN = 200  # keys that are asked for again


@attrs.frozen
class Run:
    """One side, once.

    Attributes:
        usage: What the submits took.
        submits: How many the server got.
        commits: How often the disk was synced for them.
        known: Median seconds to answer a key that is complete; 0 without a journal.
    """

    usage: Usage
    submits: int
    commits: int
    known: float


@attrs.frozen
class _Plan:
    journal: str | None
    port: int
    jobs: int
    max_requests: int
    keys: bool = attrs.field(kw_only=True)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--jobs", type=int, default=1000, help="submits of each run (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=9, help="runs of each side (default: %(default)s)")
    parser.add_argument("--max-requests", type=int, default=32, help="requests in flight (default: %(default)s)")
    parser.add_argument("--postgres", metavar="URL", default=None, help="an empty journal in PostgreSQL, too")
    parser.add_argument("--folder", type=Path, default=None, help="where the journals lie (default: the system's)")


def run(options: argparse.Namespace) -> Mapping[str, object]:
    """Measure both sides in turn.

    Raises:
        RuntimeError: The server got other submits than were planned, or the journal has not all of them.
    """
    if options.postgres is not None and _in_database(options.postgres, "SELECT count(*) FROM foxvideo.tasks"):
        raise RuntimeError("the journal in the database is not empty, and would be emptied")
    sides = _SIDES if options.postgres is None else (*_DATABASE_SIDES, *_SIDES)
    runs: dict[str, list[Run]] = {side: [] for side in sides}
    with server.running(1) as port, tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for number in range(options.pairs):
            for side, done in runs.items():
                file = None if side == "without" else str(Path(folder) / f"{number} {side}.db")
                journal = options.postgres if side in _DATABASE_SIDES else file
                plan = _Plan(journal, port, options.jobs, options.max_requests, keys=side.endswith(", keys"))
                done.append(fresh(measure, plan))
                if done[-1].submits != options.jobs:
                    raise RuntimeError(f"{side} sent {done[-1].submits} submits, not {options.jobs}")
    return {
        "benchmark": "journal",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "jobs": options.jobs,
        "max_requests": options.max_requests,
        "pairs": options.pairs,
        "sides": {side: _summary(done, runs["without"], options.jobs) for side, done in runs.items()},
        "known_key_ms": _median([run.known * 1000 for run in runs["journal"]]),
    }


def _summary(runs: list[Run], without: list[Run], jobs: int) -> dict[str, object]:
    pairs = list(zip(runs, without, strict=True))
    return {
        "cpu_ms_per_submit": _median([run.usage.cpu * 1000 / jobs for run in runs]),
        "wall_s": _median([run.usage.wall for run in runs]),
        "commits_per_submit": _median([run.commits / jobs for run in runs]),
        "cpu_ratios": [round(ours.usage.cpu / theirs.usage.cpu, 3) for ours, theirs in pairs],
        "wall_ratios": [round(ours.usage.wall / theirs.usage.wall, 3) for ours, theirs in pairs],
    }


def measure(plan: _Plan) -> Run:
    """Run one side in this process, warm-up first."""
    database = plan.journal is not None and is_postgres(plan.journal)
    warm_up = plan.journal if plan.journal is None or database else f"{plan.journal}.warm-up"
    use(_submit(attrs.evolve(plan, journal=warm_up, jobs=_WARM_UP)))
    if database and plan.journal is not None:
        _in_database(plan.journal, _EMPTY)
    server.ledger(plan.port, clear=True)
    commits: list[int] = []
    usage = use(_submit(plan, commits))
    submits = server.ledger(plan.port).submits
    if plan.journal is None:
        return Run(usage, submits, 0, 0.0)
    _check(plan.journal, plan.jobs)
    known = asyncio.run(_ask_again(plan.journal, plan.port))
    if database:
        _in_database(plan.journal, _EMPTY)
    return Run(usage, submits, sum(commits), known)


async def _submit(plan: _Plan, commits: list[int] | None = None) -> None:
    from foxvideo import Client  # noqa: PLC0415 - not in the process that only counts

    host = f"http://127.0.0.1:{plan.port}"
    async with Client(API_KEY, host, max_requests=plan.max_requests, journal=plan.journal) as client:
        keys = [f"shot-{number}" if plan.keys else None for number in range(plan.jobs)]
        tasks = [client.submit(REQUEST, key=key) for key in keys]
        await asyncio.gather(*(task.wait_accepted() for task in tasks))
        for task in tasks:
            task.abandon()
        if commits is not None and isinstance(client._store, SqliteStore | PostgresStore):  # noqa: SLF001 - ours
            commits.append(client._store.commits)  # noqa: SLF001 - as above


def _check(journal: str, jobs: int) -> None:
    """Make sure that every submit is in the journal with an id of its own."""
    count = "SELECT count(DISTINCT task_id) FROM {}tasks WHERE task_id IS NOT NULL"
    if is_postgres(journal):
        found = _in_database(journal, count.format("foxvideo."))
    else:
        with contextlib.closing(sqlite3.connect(journal)) as db:
            (found,) = db.execute(count.format("")).fetchone()
    if found != jobs:
        raise RuntimeError(f"the journal knows {found} of {jobs} submits")


def _in_database(url: str, statement: str) -> int:
    import psycopg  # noqa: PLC0415 - an extra

    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        found = cursor.fetchone() if cursor.description else None
    return int(found[0]) if found else 0


async def _ask_again(journal: str, port: int) -> float:
    """Return the median seconds that it takes to answer a key that is complete."""
    from foxvideo import Client, Every  # noqa: PLC0415 - as above

    seconds = []
    async with Client(API_KEY, f"http://127.0.0.1:{port}", schedule=Every(0.01), journal=journal) as client:
        await client.generate(REQUEST, key="complete")
        submits = server.ledger(port).submits
        for _ in range(_KNOWN):
            started = time.perf_counter()
            await client.generate(REQUEST, key="complete")
            seconds.append(time.perf_counter() - started)
    if server.ledger(port).submits != submits:
        raise RuntimeError("a key that is complete was submitted again")
    return statistics.median(seconds)


def show(figures: Mapping[str, object]) -> str:
    """Return the table."""
    found: Any = figures
    rows = [
        (
            side,
            f"{row['cpu_ms_per_submit']:.2f}",
            f"{row['wall_s']:.2f}",
            f"{row['commits_per_submit']:.3f}",
            *("" if side == "without" else _ratio(row[name]) for name in ("cpu_ratios", "wall_ratios")),
        )
        for side, row in found["sides"].items()
    ]
    head = ("side", "CPU ms/submit", "wall s", "commits/submit", "CPU vs. without", "wall vs. without")
    return (
        f"{found['jobs']} submits at once, at most {found['max_requests']} in flight; medians of {found['pairs']}; "
        f"Python {found['python']}, SQLite {found['sqlite']}\n\n{table(head, rows)}\n\n"
        f"a key that is complete is answered in {found['known_key_ms']:.2f} ms"
    )


def _ratio(ratios: list[float]) -> str:
    return f"{_median(ratios):.2f}x ({min(ratios):.2f}-{max(ratios):.2f})"


def _median(figures: list[float]) -> float:
    return round(statistics.median(figures), 3)
