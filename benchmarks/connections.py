"""New connections or kept ones for submissions: what a kept one saves, and how many outcomes it makes uncertain.

A POST on a connection that the server has just dropped cannot be told from one that was taken, and paid for: nobody
knows whether it was read. So foxvideo opens a connection for each submission. It would be cheaper to keep one within a
burst, if one that answered less than a second ago were as good as a new one. Whether it is is measured here, with plain
aiohttp and servers that come and go as real ones do:

- *nginx*, with ``keepalive_requests 100``, in front of another server, told to reload again and again;
- *uvicorn* with ``--limit-max-requests``, started anew whenever it has ended;
- *aiohttp*, ended by SIGTERM and started anew again and again.

Each listens on a socket that outlives it, so that new connections wait instead of being refused. Between client and
server lies a line that takes its time, as every network does: what the server closes, the client hears of later.
Uncertain is a submission that had left when its connection broke.

It is not as good: nginx never loses a submission that came on a new connection, and hundreds of 10,000 on kept ones.

Then, against a server with TLS behind the same line, what a kept connection saves: CPU of a submission on the client's
side, and time from the call to the id, the median.

Needs nginx, uvicorn and trustme. Not measured: proxies, and HTTP/2, whose GOAWAY says what was not taken; aiohttp does
not speak it.
"""

import argparse
import asyncio
import contextlib
import json
import shutil
import ssl
import statistics
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import aiohttp
import attrs

from benchmarks.plan import HEADERS, REQUEST
from benchmarks.process import serving
from benchmarks.restless import SERVERS, Restless, folder_of_all, line_to, listening, serve_tls
from benchmarks.table import table

_RECENT = 1.0  # seconds since its last reply, within which a connection is kept
_AT_ONCE = 32
_LONGEST = aiohttp.ClientTimeout(total=30.0)  # a server that does not begin anew is no result


@attrs.define
class Submitted:
    """What became of some submissions.

    Attributes:
        accepted: How many brought an id.
        unsent: How many certainly did not leave, and were tried again.
        uncertain: How many had left when their connection broke.
        seconds: How long each took that brought an id.
        cpu: Seconds of CPU that all took.
    """

    accepted: int = 0
    unsent: int = 0
    uncertain: int = 0
    seconds: list[float] = attrs.field(factory=list)
    cpu: float = 0.0


async def _submitted(url: str, count: int, *, kept: bool, context: ssl.SSLContext | None = None) -> Submitted:
    """Submit, some at once; a connection that is kept is used for a second after its last reply."""
    found, left = Submitted(), iter(range(count))

    async def sent(_session: object, context: SimpleNamespace, _: object) -> None:
        context.trace_request_ctx.sent = True

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(sent)
    kept_for: dict[str, Any] = {"keepalive_timeout": _RECENT} if kept else {"force_close": True}
    connector = aiohttp.TCPConnector(limit=0, ssl=context or True, **kept_for)
    body = json.dumps(REQUEST).encode()
    headers = {**HEADERS, "Content-Type": "application/json"}

    async def submit(session: aiohttp.ClientSession) -> None:
        for _ in left:
            began, asked = time.perf_counter(), SimpleNamespace(sent=False)
            try:
                async with session.post(url, data=body, headers=headers, trace_request_ctx=asked) as response:
                    await response.json()
            except (aiohttp.ClientError, ConnectionError):
                if asked.sent:
                    found.uncertain += 1
                else:
                    found.unsent += 1
                    await asyncio.sleep(0.01)
                continue
            found.accepted += 1
            found.seconds.append(time.perf_counter() - began)

    cpu = time.process_time()
    async with aiohttp.ClientSession(connector=connector, trace_configs=[trace], timeout=_LONGEST) as session:
        await asyncio.gather(*(submit(session) for _ in range(_AT_ONCE)))
    found.cpu = time.process_time() - cpu
    return found


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--count", type=int, default=10_000, help="submissions of each kind (default: %(default)s)")
    parser.add_argument(
        "--way",
        type=float,
        default=0.02,
        metavar="SECONDS",
        help="that the line takes, each way (default: %(default)s)",
    )
    parser.add_argument("--pairs", type=int, default=5, help="runs of each side with TLS (default: %(default)s)")


def run(options: argparse.Namespace) -> Mapping[str, object]:
    """Measure all of it."""
    if shutil.which("nginx") is None:
        raise RuntimeError("nginx is not installed: apt install nginx-light")
    lost = {}
    for name, server in SERVERS.items():
        for way in (0.0, options.way):
            for kept in (False, True):
                found = asyncio.run(_restless(server, way, options.count, kept=kept))
                told = {"accepted": found.accepted, "unsent": found.unsent, "uncertain": found.uncertain}
                lost[f"{name}, {way * 1000:g} ms, {'kept' if kept else 'new'}"] = told
    with serving(serve_tls) as (port, authority):
        runs = [asyncio.run(_saved(port, authority, options.way, options.count // 10)) for _ in range(options.pairs)]
    ratios = {
        name: round(statistics.median(run["kept"][name] / run["new"][name] for run in runs), 3)
        for name in ("cpu_ms", "id_ms")
    }
    sides = {
        side: {name: round(statistics.median(run[side][name] for run in runs), 3) for name in ("cpu_ms", "id_ms")}
        for side in ("new", "kept")
    }
    return {"benchmark": "connections", "count": options.count, "lost": lost, "tls": sides, "ratios": ratios}


async def _restless(server: Restless, way: float, count: int, *, kept: bool) -> Submitted:
    with folder_of_all() as folder, contextlib.closing(listening()) as sock:
        port = sock.getsockname()[1]
        async with server(sock, folder), line_to(port, way) as near:
            await asyncio.sleep(0.5)
            return await _submitted(f"http://127.0.0.1:{near}/v1/videos/generations", count, kept=kept)


async def _saved(port: int, authority: str, way: float, count: int) -> dict[str, dict[str, float]]:
    context = ssl.create_default_context(cadata=authority)
    found = {}
    for side in ("new", "kept"):  # CPU without the line, which would be counted; times with it
        url, kept = f"https://127.0.0.1:{port}/v1/videos/generations", side == "kept"
        cpu = (await _submitted(url, count, kept=kept, context=context)).cpu
        async with line_to(port, way) as near:
            slow = await _submitted(url.replace(str(port), str(near)), count, kept=kept, context=context)
        found[side] = {"cpu_ms": cpu * 1000 / count, "id_ms": statistics.median(slow.seconds) * 1000}
    return found


def show(figures: Mapping[str, object]) -> str:
    """Return the tables."""
    found: Any = figures
    rows = [(name, *map(str, row.values())) for name, row in found["lost"].items()]
    sides = [(side, f"{row['cpu_ms']:.2f}", f"{row['id_ms']:.0f}") for side, row in found["tls"].items()]
    ratio = found["ratios"]
    sides.append(("kept : new", f"{ratio['cpu_ms']:.2f}x", f"{ratio['id_ms']:.2f}x"))
    lost = table(("server, way, connections", "accepted", "unsent", "uncertain"), rows)
    return f"{found['count']} submissions each\n\n{lost}\n\n{table(('with TLS', 'CPU ms', 'ms to the id'), sides)}"
