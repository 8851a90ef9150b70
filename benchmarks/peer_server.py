"""A local service that speaks the protocols of other clients of video services, in a process of its own.

What belongs here: routes, the shapes of replies, and the count of what was asked. What must not: clients.

A task ends a fixed time after its submit, whoever asks. The reply to a submit can be withheld: the task is made, and
the connection is cut. The routes are those of FoxAPI, OpenAI, Runway, Luma, Replicate and fal; xAI's gRPC has its own
port.
"""

import asyncio
import contextlib
import importlib
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from typing import Any

import attrs
from aiohttp import web

from benchmarks.process import ledger_of, serving, terminated

_MADE = "2026-01-01T00:00:00Z"
_VIDEO = "https://cdn.example.com/output/video.mp4"


@attrs.frozen
class Ledger:
    """What was asked, since the ledger was last cleared.

    Attributes:
        posts: Submits that arrived; each made a task.
        polls: Queries.
        connections: TCP connections that were opened, xAI's not counted.
        late_s: Seconds from the end of a task to the first query that saw it, in the mean; 0 without any.
        late_p95_s: The 95th percentile.
    """

    posts: int
    polls: int
    connections: int
    late_s: float
    late_p95_s: float


Shape = Callable[[str, bool, str], Mapping[str, object]]


def _fox(task: str, done: bool, _: str) -> Mapping[str, object]:
    results = [{"url": _VIDEO}] if done else None
    return {"id": task, "status": "completed" if done else "processing", "progress": 40, "results": results}


def _openai(task: str, done: bool, _: str) -> Mapping[str, object]:
    status = "completed" if done else "in_progress"
    more = {"model": "sora-2", "seconds": "4", "size": "1280x720", "created_at": 1790000001, "progress": 40}
    return {"id": task, "object": "video", "status": status, **more}


def _runway(task: str, done: bool, _: str) -> Mapping[str, object]:
    more = {"status": "SUCCEEDED", "output": [_VIDEO]} if done else {"status": "RUNNING", "progress": 0.4}
    return {"id": task, "createdAt": _MADE, "estimatedCost": {"credits": 25}, "cost": {"credits": 25}, **more}


def _luma(task: str, done: bool, _: str) -> Mapping[str, object]:
    more = {"state": "completed", "assets": {"video": _VIDEO}} if done else {"state": "dreaming"}
    return {"id": task, "generation_type": "video", "model": "ray-2", "created_at": _MADE, **more}


def _replicate(task: str, done: bool, base: str) -> Mapping[str, object]:
    more = {"status": "succeeded", "output": _VIDEO} if done else {"status": "processing", "output": None}
    urls = {"get": f"{base}/v1/predictions/{task}", "cancel": f"{base}/v1/predictions/{task}/cancel"}
    return {"id": task, "model": "some/model", "version": "1", "input": {}, "created_at": _MADE, "urls": urls, **more}


def _fal(task: str, done: bool, base: str) -> Mapping[str, object]:
    url = f"{base}/fal-ai/video/requests/{task}"
    status = "COMPLETED" if done else "IN_PROGRESS"
    urls = {"response_url": url, "status_url": f"{url}/status", "cancel_url": f"{url}/cancel"}
    return {"request_id": task, "status": status, "logs": None, "metrics": {}, "video": {"url": _VIDEO}, **urls}


_SHAPES: Mapping[str, Shape] = {
    "/v1/videos/generations": _fox,
    "/v1/tasks/": _fox,
    "/v1/videos": _openai,
    "/runway/": _runway,
    "/luma/": _luma,
    "/v1/models/": _replicate,
    "/v1/predictions/": _replicate,
    "/fal-ai/": _fal,
}


@attrs.define
class _Service:
    seconds: float
    lose: bool
    ends: dict[str, float] = attrs.field(factory=dict)
    seen: dict[str, float] = attrs.field(factory=dict)
    posts: int = 0
    polls: int = 0
    connections: int = 0
    numbers: "itertools.count[int]" = attrs.field(factory=itertools.count)

    def begin(self) -> str:
        """Make a task."""
        self.posts += 1
        task = f"00000000-0000-4000-8000-{next(self.numbers):012d}"
        self.ends[task] = time.monotonic() + self.seconds
        return task

    def ask(self, task: str) -> bool:
        """Count a query; whether the task has ended."""
        self.polls += 1
        late = time.monotonic() - self.ends[task]
        if late >= 0:
            self.seen.setdefault(task, late)
        return late >= 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer as the service would whose path it is."""
        if request.path == "/ledger":
            return self._ledger(clear=request.method == "DELETE")
        shape = next(shape for prefix, shape in _SHAPES.items() if request.path.startswith(prefix))
        base = f"http://{request.host}"
        if request.method == "POST":
            await request.read()
            task = self.begin()
            if self.lose:
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            return web.json_response(shape(task, False, base))  # noqa: FBT003 - the shape's own argument
        task = next(part for part in reversed(request.path.split("/")) if part in self.ends)
        if shape is _fal and not request.path.endswith("/status"):
            return web.json_response(shape(task, True, base))  # noqa: FBT003 - the result, which is asked for once
        return web.json_response(shape(task, self.ask(task), base))

    def _ledger(self, *, clear: bool) -> web.Response:
        lates = [*self.seen.values()] or [0.0]
        p95 = statistics.quantiles(lates, n=20)[-1] if len(lates) > 1 else lates[0]
        ledger = Ledger(self.posts, self.polls, self.connections, statistics.fmean(lates), p95)
        if clear:
            self.posts = self.polls = self.connections = 0
            self.seen.clear()
        return web.json_response(attrs.asdict(ledger))


async def _serve_grpc(service: _Service) -> tuple[Any, int]:
    """Serve xAI's protocol; its messages are those of the SDK."""
    grpc: Any = importlib.import_module("grpc")
    proto = "xai_sdk.proto.v6" if importlib.import_module("google.protobuf").__version__ >= "6" else "xai_sdk.proto.v5"
    video, deferred, stubs = (
        importlib.import_module(f"{proto}.{name}") for name in ("video_pb2", "deferred_pb2", "video_pb2_grpc")
    )

    class Video(stubs.VideoServicer):  # type: ignore[misc,name-defined]
        async def GenerateVideo(self, _: object, context: Any) -> object:  # noqa: ANN401, N802 - gRPC's
            task = service.begin()
            if service.lose:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "connection reset")
            return deferred.StartDeferredResponse(request_id=task)

        async def GetDeferredVideo(self, request: Any, _: object) -> object:  # noqa: ANN401, N802 - gRPC's
            if not service.ask(request.request_id):
                return video.GetDeferredVideoResponse(status=deferred.DeferredStatus.PENDING)
            made = video.GeneratedVideo(url=_VIDEO, duration=6, respect_moderation=True)
            response = video.VideoResponse(video=made, model="grok-imagine-video")
            return video.GetDeferredVideoResponse(status=deferred.DeferredStatus.DONE, response=response)

    server = importlib.import_module("grpc.aio").server()
    stubs.add_VideoServicer_to_server(Video(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, port


async def _serve(seconds: float, lose: bool, started: Connection) -> None:
    service = _Service(seconds, lose)
    http_server = web.Server(service.handle)

    def connected() -> asyncio.BaseProtocol:
        service.connections += 1
        return http_server()

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0, backlog=4096)
    _grpc, grpc_port = await _serve_grpc(service)
    started.send((server.sockets[0].getsockname()[1], grpc_port))
    await terminated()


def _main(seconds: float, lose: bool, started: Connection) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(seconds, lose, started))


@contextlib.contextmanager
def running(seconds: float, *, lose: bool = False) -> Iterator[tuple[int, int]]:
    """Run the service in another process, and yield its ports on 127.0.0.1: HTTP and gRPC.

    Args:
        seconds: What each task takes.
        lose: Whether no submit gets its reply.
    """
    with serving(_main, seconds, lose) as ports:
        yield ports


def ledger(port: int, *, clear: bool = False) -> Ledger:
    """Return what the server at a port was asked, and let it count anew if ``clear``."""
    return Ledger(**ledger_of(port, clear=clear))
