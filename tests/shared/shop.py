"""A service in one small server, whose tasks have prices, fates and videos of their own."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Self

import attrs
from aiohttp import web

SECONDS = 10.0


@attrs.define
class Sale:
    """A task that was made.

    Attributes:
        body: What was asked for.
        price: What it reserved.
        fate: See ``Shop.fates``.
        made: When, by the clock of the loop.
        queries: How often it was asked for.
    """

    body: Mapping[str, Any]
    price: float
    fate: str
    made: float
    queries: int = 0


@attrs.define(eq=False)
class Shop:
    """The service while an ``async with`` block runs.

    Attributes:
        price: What a task reserves, from the body of its submission.
        fates: What becomes of each submission in turn, ``told`` once they are used up. ``told``: the reply tells what
            was reserved; ``late``: only the third query does; ``never``: nobody does; ``lost``: the task is made, and
            the connection is cut; ``refused``: nothing is made, 400; ``failed``: told, and it fails.
        seconds: How long a task takes.
        gone: Whether its links are dead.
        results: What a completed task shows, from the link to its video.
        sales: The tasks that were made, by id.
    """

    price: Callable[[Mapping[str, Any]], float] = lambda _: 10.0
    fates: list[str] = attrs.field(factory=list)
    seconds: float = SECONDS
    gone: bool = False
    results: Callable[[str], object] = lambda link: [{"url": link}]
    sales: dict[str, Sale] = attrs.field(factory=dict, init=False)
    base_url: str = attrs.field(default="", init=False)
    _runner: web.AppRunner = attrs.field(init=False, repr=False)

    @property
    def reserved(self) -> float:
        """What all tasks reserved."""
        return sum(sale.price for sale in self.sales.values())

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/videos/generations", self._submit)
        app.router.add_get("/v1/tasks/{id}", self._query)
        app.router.add_get("/video/{id}.mp4", self._video)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _submit(self, request: web.Request) -> web.Response:
        body, fate = await request.json(), self.fates.pop(0) if self.fates else "told"
        if fate == "refused":
            return web.json_response({"error": {"message": "no", "type": "invalid_request_error"}}, status=400)
        id_ = f"task-unified-{len(self.sales) + 1:08d}"
        self.sales[id_] = Sale(body, self.price(body), fate, asyncio.get_running_loop().time())
        if fate == "lost" and request.transport is not None:
            request.transport.close()
        return web.json_response(self._told(id_, "pending"))

    async def _query(self, request: web.Request) -> web.Response:
        id_ = request.match_info["id"]
        if (sale := self.sales.get(id_)) is None:
            return web.json_response({"error": {"message": "no such task", "type": "not_found"}}, status=404)
        sale.queries += 1
        if asyncio.get_running_loop().time() < sale.made + self.seconds:
            return web.json_response(self._told(id_, "processing"))
        if sale.fate == "failed":
            return web.json_response(self._told(id_, "failed") | {"error": {"code": "oh", "message": "no"}})
        results = self.results(f"{self.base_url}/video/{id_}.mp4")
        return web.json_response(self._told(id_, "completed") | {"results": results})

    def _told(self, id_: str, status: str) -> dict[str, Any]:
        sale = self.sales[id_]
        told = {"id": id_, "object": "video.generation.task", "type": "video", "status": status, "progress": 0}
        if sale.fate in {"told", "lost", "failed"} or (sale.fate == "late" and sale.queries >= 3):
            told["usage"] = {"credits_reserved": sale.price}
        return told

    async def _video(self, request: web.Request) -> web.Response:
        if self.gone:
            return web.Response(status=404)
        return web.Response(body=video(request.match_info["id"]), content_type="video/mp4")


def video(id_: str) -> bytes:
    """Return the video of a task, which no other task has: the smallest MP4 that is well formed."""
    boxes = (b"ftyp", b"mp42\0\0\0\0mp42isom"), (b"moov", b""), (b"mdat", id_.encode() * 50)
    return b"".join((len(data) + 8).to_bytes(4, "big") + name + data for name, data in boxes)
