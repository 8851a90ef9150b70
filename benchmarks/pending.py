"""What a pending video costs: memory and CPU of handles, by how many there are, and how free the event loop stays.

Measured, each size in a new interpreter: resident memory by which N accepted handles raise the process (their request
objects are made before and do not count), then that with a task awaiting each of them; CPU of a submit, HTTP included;
and, while all are pending and asked after at a low rate, how late the event loop runs a timer. All submits are begun at
once, as a batch would.

CPU of a wake is that of the dispatcher alone: an entry is put into the agenda, comes due, gets its turn and its place,
and is started, less what starting an empty asyncio task costs. As many entries wait meanwhile as there are handles.
They come due faster than they can be started: a loop that idles in between would cost more, with or without foxvideo.

The server is the benchmark's own, in another process; no task ends. Not measured: decoding and aiohttp (``profile``),
and the schedule, which takes some microseconds more for each query.
"""

import argparse
import asyncio
import gc
import logging
import platform
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from benchmarks import server
from benchmarks.plan import API_KEY, REQUEST
from benchmarks.process import fresh
from benchmarks.table import table
from foxvideo import Client, Every, Request
from foxvideo._engine.dispatcher import Dispatcher, Kind

_NEVER = 1_000_000_000  # the query at which a task ends
_PAGE = 4096
_WAKES = 50_000
_TICK = 0.01  # seconds, between two looks at the lag


@attrs.frozen
class Cost:
    """What handles cost, by the handle.

    Attributes:
        count: How many there were.
        memory: Bytes of resident memory.
        awaited: The same, with a task awaiting each.
        submit_us: CPU of a submit, in microseconds.
        wake_us: CPU of a wake beyond an empty task, in microseconds.
        lag_p99_ms: Lateness of a timer while all are pending, 99th percentile, in milliseconds.
        lag_max_ms: The longest.
        queries: How many queries were sent meanwhile.
    """

    count: int
    memory: float
    awaited: float
    submit_us: float
    wake_us: float
    lag_p99_ms: float
    lag_max_ms: float
    queries: int


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=[1000, 10_000, 100_000],
        metavar="N",
        help="handles (default: %(default)s)",
    )
    parser.add_argument(
        "--interval", type=float, default=300.0, metavar="SECONDS", help="between two queries (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="to watch the event loop for (default: %(default)s)"
    )


def run(options: argparse.Namespace) -> Mapping[str, object]:
    """Measure each size."""
    costs = []
    for size in options.sizes:
        with server.running(_NEVER) as port:
            wake = fresh(measure_wake, size)
            costs.append(fresh(measure, size, port, options.interval, options.seconds, wake))
    return {
        "benchmark": "pending",
        "python": platform.python_version(),
        "interval_s": options.interval,
        "sizes": [attrs.asdict(cost) for cost in costs],
    }


def measure_wake(count: int) -> float:
    """Return the seconds of CPU of a wake, measured in this process."""
    return asyncio.run(_wake(count))


def measure(count: int, port: int, interval: float, seconds: float, wake: float) -> Cost:
    """Measure the rest of one size in this process."""
    return asyncio.run(_pending(count, port, interval, seconds, wake))


async def _pending(count: int, port: int, interval: float, seconds: float, wake: float) -> Cost:
    # The client is closed with all of them unfinished, and would name each.
    logging.getLogger("foxvideo").setLevel(logging.CRITICAL)
    requests = [Request.from_mapping(REQUEST) for _ in range(count)]
    async with Client(API_KEY, f"http://127.0.0.1:{port}", schedule=Every(interval), task_timeout=36_000) as client:
        await asyncio.gather(*(client.submit(REQUEST).wait_accepted() for _ in range(100)))
        server.ledger(port, clear=True)
        before, cpu = _resident(), time.process_time()
        tasks = [client.submit(request) for request in requests]
        await tasks[-1].wait_accepted()  # submits leave in their order, but answers may overtake each other
        await asyncio.gather(*(task.wait_accepted() for task in tasks[-200:]))
        cpu = time.process_time() - cpu
        assert all(task.id for task in tasks)
        memory = _resident() - before
        lags = await _lags(seconds)
        queries = server.ledger(port).polls
        waiters = [asyncio.ensure_future(task) for task in tasks]
        await asyncio.sleep(0)
        awaited = _resident() - before
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
    return Cost(
        count=count,
        memory=round(memory / count),
        awaited=round(awaited / count),
        submit_us=round(cpu / count * 1e6, 1),
        wake_us=round(wake * 1e6, 2),
        lag_p99_ms=round(1000 * statistics.quantiles(lags, n=100)[-1], 2),
        lag_max_ms=round(1000 * max(lags), 2),
        queries=queries,
    )


def _resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


async def _lags(seconds: float) -> list[float]:
    loop, lags = asyncio.get_running_loop(), list[float]()
    end = loop.time() + seconds
    while (began := loop.time()) < end:
        await asyncio.sleep(_TICK)
        lags.append(loop.time() - began - _TICK)
    return lags


@attrs.frozen(eq=False)
class _Entry:
    """Something that is asked after."""

    def done(self) -> bool:
        return False


async def _nothing() -> None:
    """Do what an empty task does."""


async def _wake(count: int) -> float:
    """Return the seconds of CPU of a wake, with that many entries pending."""
    loop, left, over = asyncio.get_running_loop(), _WAKES, asyncio.Event()

    def begin(_: Kind, __: _Entry) -> asyncio.Task[None]:
        nonlocal left
        left -= 1
        if not left:
            over.set()
        return asyncio.create_task(_nothing())

    dispatcher: Dispatcher[_Entry] = Dispatcher(32, None)
    for number in range(count):
        dispatcher.at(loop.time() + 3600 + number % 3600, Kind.DEADLINE, _Entry())
    entries = [_Entry() for _ in range(_WAKES)]
    dispatcher.start(begin, lambda _: None, lambda _: None)
    cpu, start = time.process_time(), loop.time() + 1
    for number, entry in enumerate(entries):
        dispatcher.at(start + number * 2e-5, Kind.POLL, entry)
    await over.wait()
    cpu = time.process_time() - cpu
    await dispatcher.stop()
    return (cpu - await _empty_tasks()) / _WAKES


async def _empty_tasks() -> float:
    cpu = time.process_time()
    for _ in range(_WAKES // 32):
        for task in [asyncio.create_task(_nothing()) for _ in range(32)]:
            task.add_done_callback(lambda _: None)
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    return time.process_time() - cpu


def show(figures: Mapping[str, object]) -> str:
    """Return the table."""
    found: Any = figures
    first = found["sizes"][0]
    rows = [
        (
            f"{row['count']:,}",
            f"{row['memory']}",
            f"{row['memory'] / first['memory']:.2f}x" if first["memory"] else "",  # few fit into what is there
            f"{row['awaited']}",
            f"{row['submit_us']:.0f}",
            f"{row['submit_us'] / first['submit_us']:.2f}x",
            f"{row['wake_us']:.1f}",
            f"{row['lag_p99_ms']:.1f}",
            f"{row['lag_max_ms']:.1f}",
            f"{row['queries']}",
        )
        for row in found["sizes"]
    ]
    head = (
        "handles",
        "B each",
        "vs. first",
        "B awaited",
        "submit us",
        "vs. first",
        "wake us",
        "lag p99 ms",
        "max ms",
        "queries",
    )
    return (
        f"Handles that are pending, asked after every {found['interval_s']:g} s; Python {found['python']}\n\n"
        f"{table(head, rows)}"
    )
