"""A small FoxAPI of two routes, in a process of its own, that counts what it is asked.

What belongs here: the server that costs the measured side as little noise as can be. What must not: faults, films,
or rules of the service; the emulator has those, and looks after them for longer than a request of a client takes.

    POST   /v1/videos/generations   a new task, which is completed at its ``polls``-th query
    GET    /v1/tasks/{id}           its state
    GET    /ledger                  how many of each were asked, as ``Ledger``
    DELETE /ledger                  begin to count anew
"""

import asyncio
import contextlib
import http.client
import itertools
import json
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

import attrs
from aiohttp import web

from benchmarks.process import START_SECONDS, serving

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
    """

    submits: int
    polls: int
    closing: int


@attrs.define
class _Service:
    polls: int
    ledger: Ledger = Ledger(0, 0, 0)
    _seen: dict[str, int] = attrs.field(factory=dict)
    _ids: "itertools.count[int]" = attrs.field(factory=itertools.count)

    async def handle(self, request: web.BaseRequest) -> web.Response:
        match request.method, request.path.split("/"):
            case "POST", ["", "v1", "videos", "generations"]:
                return await self._submit(request)
            case "GET", ["", "v1", "tasks", task_id] if task_id in self._seen:
                return self._poll(request, task_id)
            case "GET" | "DELETE", ["", "ledger"]:
                answer = json.dumps(attrs.asdict(self.ledger))
                if request.method == "DELETE":
                    self.ledger = Ledger(0, 0, 0)
                return web.Response(text=answer)
        return web.Response(status=404)

    async def _submit(self, request: web.BaseRequest) -> web.Response:
        if json.loads(await request.read())["model"] != _MODEL:
            return web.Response(status=422)
        self._count(request, submits=1)
        task_id = f"task-unified-1790000001-{next(self._ids):08d}"
        self._seen[task_id] = 0
        info = {"can_cancel": True, "estimated_time": 45}
        return _reply(task_id, status="pending", progress=0, task_info=info)

    def _poll(self, request: web.BaseRequest, task_id: str) -> web.Response:
        self._count(request, polls=1)
        self._seen[task_id] += 1
        usage = {"credits_reserved": 12.5, "user_group": "default"}
        if self._seen[task_id] >= self.polls:
            results = [{"url": f"https://cdn.example.com/output/{task_id}.mp4"}]
            return _reply(task_id, status="completed", progress=100, results=results, error=None, usage=usage)
        progress = 100 * self._seen[task_id] // self.polls
        return _reply(task_id, status="processing", progress=progress, results=None, error=None, usage=usage)

    def _count(self, request: web.BaseRequest, *, submits: int = 0, polls: int = 0) -> None:
        old = self.ledger
        self.ledger = Ledger(old.submits + submits, old.polls + polls, old.closing + (not request.keep_alive))


def _reply(task_id: str, **fields: object) -> web.Response:
    body = {
        "id": task_id,
        "object": "video.generation.task",
        "type": "video",
        "model": _MODEL,
        "created": int(time.time()),
    }
    return web.Response(text=json.dumps(body | fields), content_type="application/json", headers=_HEADERS)


async def _serve(polls: int, started: Connection) -> None:
    server = await asyncio.get_running_loop().create_server(
        web.Server(_Service(polls).handle), "127.0.0.1", 0, backlog=1024
    )
    started.send(server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()


def _main(polls: int, started: Connection) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(polls, started))


@contextlib.contextmanager
def running(polls: int) -> Iterator[int]:
    """Run the server in another process, and yield its port on 127.0.0.1.

    Args:
        polls: The query at which a task is completed, 1 for the first.
    """
    with serving(_main, polls) as port:
        yield port


def ledger(port: int, *, clear: bool = False) -> Ledger:
    """Return what the server at a port was asked, and let it count anew if ``clear``."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    try:
        connection.request("DELETE" if clear else "GET", "/ledger")
        return Ledger(**json.loads(connection.getresponse().read()))
    finally:
        connection.close()
