"""A small FoxAPI of two routes, in a process of its own, that counts what it is asked.

What belongs here: the server that costs the measured side as little noise as can be. What must not: faults, videos,
or rules of the service; the emulator has those, and looks after them for longer than a request of a client takes.

    POST   /v1/videos/generations   a new task, which is completed at its ``polls``-th query, or by time
    GET    /v1/tasks/{id}           its state
    GET    /ledger                  how many of each were asked, as ``Ledger``
    DELETE /ledger                  begin to count anew
"""

import asyncio
import contextlib
import itertools
import json
import random
import statistics
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

import attrs
from aiohttp import web

from benchmarks.durations import BY_NAME, progress
from benchmarks.process import ledger_of, serving, terminated

_MODEL = "grok-imagine-image-to-video"
# A reply of the service comes through a proxy that adds headers; a client has to parse them.
_HEADERS = {
    "Cache-Control": "no-store",
    "CF-Cache-Status": "DYNAMIC",
    "CF-Ray": "8f3c1d2e4a5b6c7d-FRA",
    "Vary": "Origin",
    "X-Request-Id": "0192f3c4-5d6e-7f80-9123-456789abcdef",
}


@attrs.frozen
class Ledger:
    """What a server was asked since its ledger was last cleared.

    Attributes:
        submits: Tasks that were made.
        polls: Queries of tasks.
        closing: Requests of both kinds that asked to close their connection.
        most_open: Most connections that were open at once.
        late_s: Seconds from the end of a task to the first query that saw it, in the mean; 0 where tasks end by
            queries.
        late_p95_s: The 95th percentile.
    """

    submits: int
    polls: int
    closing: int
    most_open: int = attrs.field(default=0, eq=False)
    late_s: float = attrs.field(default=0.0, eq=False)
    late_p95_s: float = attrs.field(default=0.0, eq=False)


@attrs.frozen
class Lasting:
    """Tasks that end some time after their submit, and show linear progress until then.

    Attributes:
        durations: How long they take, as ``durations.py`` names it.
        scale: What its seconds are multiplied with, and the estimate of 45 s, too.
        submit_seconds: That a submit takes to be answered, unscaled.
        seed: Of the draws; the same one gives the same tasks.
    """

    durations: str
    scale: float = 1.0
    submit_seconds: float = 0.0
    seed: int = 0


@attrs.define
class _Service:
    polls: int
    lasting: Lasting | None
    ledger: Ledger = Ledger(0, 0, 0)
    most_open: int = 0
    _seen: dict[str, int] = attrs.field(factory=dict)
    _spans: dict[str, tuple[float, float]] = attrs.field(factory=dict)  # begin and end of those that end by time
    _lates: dict[str, float] = attrs.field(factory=dict)
    _ids: "itertools.count[int]" = attrs.field(factory=itertools.count)
    _rng: random.Random = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.ledger, self.most_open, self._lates = Ledger(0, 0, 0), 0, {}
        self._rng = random.Random(self.lasting.seed if self.lasting else 0)

    async def handle(self, request: web.BaseRequest) -> web.Response:
        match request.method, request.path.split("/"):
            case "POST", ["", "v1", "videos", "generations"]:
                return await self._submit(request)
            case "GET", ["", "v1", "tasks", task_id] if task_id in self._seen:
                return self._poll(request, task_id)
            case "GET" | "DELETE", ["", "ledger"]:
                answer = json.dumps(attrs.asdict(self._told()))
                if request.method == "DELETE":
                    self._begin_anew()
                return web.Response(text=answer)
        return web.Response(status=404)

    async def _submit(self, request: web.BaseRequest) -> web.Response:
        if json.loads(await request.read())["model"] != _MODEL:
            return web.Response(status=422)
        self._count(request, submits=1)
        task_id = f"task-unified-1790000001-{next(self._ids):08d}"
        self._seen[task_id] = 0
        info: dict[str, object] = {"can_cancel": True, "estimated_time": 45}
        if self.lasting:
            await asyncio.sleep(self.lasting.submit_seconds)
            seconds = BY_NAME[self.lasting.durations].draw(self._rng) * self.lasting.scale
            self._spans[task_id] = time.monotonic(), time.monotonic() + seconds
            info["estimated_time"] = 45 * self.lasting.scale
        return _reply(task_id, status="pending", progress=0, task_info=info)

    def _poll(self, request: web.BaseRequest, task_id: str) -> web.Response:
        self._count(request, polls=1)
        self._seen[task_id] += 1
        usage = {"credits_reserved": 12.5, "user_group": "default"}
        done, shown = self._stands(task_id)
        if done:
            results = [{"url": f"https://cdn.example.com/output/{task_id}.mp4"}]
            return _reply(task_id, status="completed", progress=100, results=results, error=None, usage=usage)
        return _reply(task_id, status="processing", progress=shown, results=None, error=None, usage=usage)

    def _stands(self, task_id: str) -> tuple[bool, int]:
        """Whether a task has ended, and the per cent that it shows."""
        if self.lasting is None:
            return self._seen[task_id] >= self.polls, 100 * self._seen[task_id] // self.polls
        (begin, end), now = self._spans[task_id], time.monotonic()
        if now < end:
            return False, int(progress("linear", now - begin, end - begin) or 0)
        self._lates.setdefault(task_id, now - end)
        return True, 100

    def _count(self, request: web.BaseRequest, *, submits: int = 0, polls: int = 0) -> None:
        old = self.ledger
        self.ledger = Ledger(old.submits + submits, old.polls + polls, old.closing + (not request.keep_alive))

    def _told(self) -> Ledger:
        lates = sorted(self._lates.values()) or [0.0]
        late, p95 = statistics.fmean(lates), lates[len(lates) * 95 // 100]
        return attrs.evolve(self.ledger, most_open=self.most_open, late_s=late, late_p95_s=p95)


def _reply(task_id: str, **fields: object) -> web.Response:
    body = {
        "id": task_id,
        "object": "video.generation.task",
        "type": "video",
        "model": _MODEL,
        "created": 1790000001,
    }
    return web.Response(text=json.dumps(body | fields), content_type="application/json", headers=_HEADERS)


async def _serve(service: _Service, started: Connection) -> None:
    http_server = web.Server(service.handle)

    def connected() -> asyncio.BaseProtocol:
        service.most_open = max(service.most_open, len(http_server.connections) + 1)
        return http_server()

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0, backlog=1024)
    started.send(server.sockets[0].getsockname()[1])
    await terminated()


def _main(polls: int, lasting: Lasting | None, started: Connection) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(_Service(polls, lasting), started))


@contextlib.contextmanager
def running(polls: int = 0, lasting: Lasting | None = None) -> Iterator[int]:
    """Run the server in another process, and yield its port on 127.0.0.1.

    Args:
        polls: The query at which a task is completed, 1 for the first.
        lasting: How long tasks last instead; None where queries end them.
    """
    with serving(_main, polls, lasting) as port:
        yield port


def ledger(port: int, *, clear: bool = False) -> Ledger:
    """Return what the server at a port was asked, and let it count anew if ``clear``."""
    return Ledger(**ledger_of(port, clear=clear))
