"""What a farm asks of its database: each statement with a million tasks and a thousand clients there, against none.

The clients are rows: each has a lease, and follows its share of the tasks. Beside them one real client does what every
client does, again and again, and the median until its answer is there is the figure; the ratio is to the same in the
empty journal, measured first in the same run. From these figures and from how often a client does each thing follows
how many of the database's connections a thousand clients keep busy: more than it has cores, and it breaks there.

Needs ``--postgres URL``, an empty database in which ``foxvideo journal init`` was run; what is in it is lost.

Not measured: a thousand connections, networks, and polls, which do not come to the database.
"""

import argparse
import asyncio
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from benchmarks.table import table
from foxvideo._engine.takeup import pause_after
from foxvideo._journal import Claim, Mine, PostgresStore, RecordStatus
from foxvideo._journal.limits import Limits
from foxvideo._journal.postgres import Database, connected

_ORIGIN, _ACCOUNT = "https://api.foxapi.cc", "default"
_BEATS = 0.5  # of each client in a second, with a lease of ten seconds
_SUBMIT, _BOUNDED, _ACCEPT, _END, _LOOK = "submit", "submit, limited", "accept", "end", "look for orphans"
_EMPTY = "TRUNCATE foxvideo.tasks, foxvideo.owners, foxvideo.limits, foxvideo.files RESTART IDENTITY"
_CLIENTS = """
    INSERT INTO foxvideo.owners
    SELECT 'client-' || n, now() - interval '1 h', now() + interval '1 d' FROM generate_series(1, {clients}) n
"""
_TASKS = """
    INSERT INTO foxvideo.tasks
        (key, attempt, origin, account, fingerprint, model, request, token, status, follower, task_id, planned, sent,
        accepted)
    SELECT 'key-' || n, 1, '{origin}', '{account}', 'f', 'grok', '{{"prompt": "A fox"}}', 't' || n, 'accepted',
        'client-' || (n % {clients} + 1), 'task-' || n, extract(epoch FROM now()), extract(epoch FROM now()),
        extract(epoch FROM now())
    FROM generate_series(1, {tasks}) n
"""
_DEATH = "UPDATE foxvideo.owners SET until = now() - interval '1 s' WHERE id = 'client-1'"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--postgres", metavar="URL", required=True, help="an empty journal in PostgreSQL")
    parser.add_argument("--tasks", type=int, default=1_000_000, help="tasks that are pending (default: %(default)s)")
    parser.add_argument("--clients", type=int, default=1000, help="clients that follow them (default: %(default)s)")
    parser.add_argument("--times", type=int, default=20, help="how often each is measured (default: %(default)s)")


def run(options: argparse.Namespace) -> Mapping[str, object]:
    """Measure with nothing there and with everything, and return all figures."""
    plan = {"tasks": options.tasks, "clients": options.clients}
    _execute(options.postgres, _EMPTY)
    alone = asyncio.run(_measured(options.postgres, options.times))
    _execute(options.postgres, _EMPTY)
    _execute(options.postgres, _CLIENTS.format(**plan))
    _execute(options.postgres, _TASKS.format(origin=_ORIGIN, account=_ACCOUNT, **plan))
    _execute(options.postgres, "ANALYZE foxvideo.tasks")
    among = asyncio.run(_measured(options.postgres, options.times))
    _execute(options.postgres, _DEATH)
    taken, seconds = asyncio.run(_taken_up(options.postgres))
    if taken != options.tasks // options.clients:
        raise RuntimeError(f"{taken} tasks were taken up of a client that had {options.tasks // options.clients}")
    return {
        **plan,
        "alone_ms": alone,
        "among_ms": among,
        "ratio": {name: among[name] / alone[name] for name in among},
        "taken_up": taken,
        "taken_up_s": seconds,
        "busy_looking": options.clients * among[_LOOK] / 1000 / pause_after(among[_LOOK] / 1000),
    }


def show(figures: Mapping[str, Any]) -> str:
    """Return the figures as a person reads them."""
    rows = [
        (name, f"{figures['alone_ms'][name]:.2f}", f"{ms:.2f}", f"{figures['ratio'][name]:.1f}x")
        for name, ms in figures["among_ms"].items()
    ]
    beats, busy = figures["clients"] * _BEATS, figures["busy_looking"]
    told = [
        f"{figures['clients']} clients, {figures['tasks']} tasks",
        "",
        table(("statement", "alone ms", "among them ms", "ratio"), rows),
        "",
        f"{figures['taken_up']} tasks of one that died were taken up in {figures['taken_up_s']:.2f} s",
        f"all clients send {beats:.0f} heartbeats a second; looking for orphans keeps {busy:.1f} connections busy",
    ]
    return "\n".join(told)


def _execute(url: str, statement: str) -> None:
    with connected(Database.of(url)) as connection:
        connection.execute(statement)


async def _measured(url: str, times: int) -> dict[str, float]:
    """Return the median milliseconds of each thing that a client does."""
    numbers = itertools.count()
    store = PostgresStore(url)

    def claim() -> Claim:
        return Claim(
            key=f"auto-{next(numbers)}", origin=_ORIGIN, fingerprint="f", model="grok", request="{}", account=_ACCOUNT
        )

    async def submit() -> None:
        begun = await store.begin(claim(), f"token-{next(numbers)}")
        assert isinstance(begun, Mine)
        made.append(begun.number)

    async def accept() -> None:
        number = made.pop()
        await store.accepted(number, f"new-{number}", credits_reserved=1.0, reply=b"{}")
        accepted.append(f"new-{number}")

    async def end() -> None:
        await store.ended(
            accepted.pop(), RecordStatus.COMPLETED, reply=b"{}", links=1, credits_reserved=None, error=None
        )

    async def look() -> None:
        await store.follow(_ORIGIN, _ACCOUNT, most=10_000, unsaved_since=None, mine=False)

    made: list[int] = []
    accepted: list[str] = []
    try:
        found = {_SUBMIT: await _median(submit, times), _ACCEPT: await _median(accept, times)}
        found |= {_END: await _median(end, times), _LOOK: await _median(look, times)}
        await store.set_limits(_ACCOUNT, Limits(max_active=10**9))
        found |= {_BOUNDED: await _median(submit, times)}
    finally:
        await store.close()
    return found


async def _median(act: Callable[[], Awaitable[None]], times: int) -> float:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        await act()
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


async def _taken_up(url: str) -> tuple[int, float]:
    """Return how many tasks of a dead client were taken up, and in how many seconds."""
    store = PostgresStore(url)
    try:
        await store.identity()
        began = time.perf_counter()
        found = await store.follow(_ORIGIN, _ACCOUNT, most=10_000, unsaved_since=None, mine=False)
        return len(found), time.perf_counter() - began
    finally:
        await store.close()
