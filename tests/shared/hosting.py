"""What the tests of downloads share: a host of results that answers as it is told, and videos that are small ones."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import attrs
from aiohttp import web

from foxvideo._http import Transport
from foxvideo._transfer.download import save as download
from foxvideo._transfer.part import Part
from foxvideo.media import SavedFile

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]


def mp4(content: bytes) -> bytes:
    """Return a small video that is well formed, with this content in it."""
    boxes = ((b"ftyp", b"mp42\0\0\0\0mp42isom"), (b"moov", b""), (b"mdat", content))
    return b"".join((len(data) + 8).to_bytes(4, "big") + name + data for name, data in boxes)


VIDEO = mp4(bytes(range(256)) * 4000)  # some chunks
OTHER_VIDEO = mp4(bytes(reversed(range(256))) * 4000)  # of the same length


def names(folder: Path) -> list[str]:
    """Return the names of what lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def names_of(path: Path) -> list[str]:
    """Return the names of the hidden files beside a target."""
    return [f".{path.name}.part", f".{path.name}.part.json"]


def now() -> float:
    """Return the seconds of the virtual clock."""
    return asyncio.get_running_loop().time()


async def save(transport: Transport, url: str, path: Path, *, overwrite: bool = False, early: float = 0.0) -> SavedFile:
    """Save a video as a task of one result does."""
    return await download(transport, url, Part(path=path, source="task-1#0", overwrite=overwrite), early=early)


def says(status: int, body: bytes = b"", **headers: str) -> Reply:
    """Return what answers in fixed words; header fields are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers=named)

    return answer


gives_video = says(200, VIDEO, Content_Type="video/mp4")


def begins(body: bytes, *, then: str = "hangs", **headers: str) -> Reply:
    """Return what sends the beginning of a video whose length it may have announced, and then hangs, cuts or closes.

    ``closes`` ends the body as if it were whole, where no length was announced.
    """
    named = {"Content-Type": "video/mp4"} | {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=named)
        if "Content-Length" not in named and then == "cuts":
            response.enable_chunked_encoding()
        response.force_close()
        await response.prepare(request)
        await response.write(body)
        if then == "hangs":
            await asyncio.Event().wait()
        if then == "cuts" and request.transport:
            await asyncio.sleep(0.1)
            request.transport.abort()
        return response

    return answer


@attrs.define(eq=False)
class Host:
    """A host of results: gives its answers one after another, the last one for ever."""

    url: str = ""
    answers: list[Reply] = attrs.field(factory=lambda: [gives_video])
    heard: list[web.Request] = attrs.field(factory=list)

    @property
    def link(self) -> str:
        """A link to a video."""
        return f"{self.url}/video.mp4"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Host"]:
        """Listen on a free port of this machine."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._give)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _give(self, request: web.Request) -> web.StreamResponse:
        self.heard.append(request)
        return await self.answers[min(len(self.heard), len(self.answers)) - 1](request)


@attrs.define(eq=False)
class Store:
    """A storage host as it should be: one video, with a tag, of which any part can be had."""

    video: bytes = VIDEO
    tag: str | None = '"v1"'
    date: str | None = None
    coding: str | None = None
    cuts: list[int] = attrs.field(factory=list)
    """How many bytes the next answers still send."""
    sent: int = 0
    asked: list[tuple[str | None, str | None]] = attrs.field(factory=list)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Give what is asked for."""
        wanted, condition = request.headers.get("Range"), request.headers.get("If-Range")
        self.asked.append((wanted, condition))
        first = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if first and condition not in {self.tag, self.date}:
            first = 0
        if first >= len(self.video):
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(self.video)}"})
        headers = {"Content-Length": str(len(self.video) - first), "Content-Type": "video/mp4"}
        headers |= {"ETag": self.tag} if self.tag else {}
        headers |= {"Last-Modified": self.date} if self.date else {}
        headers |= {"Content-Encoding": self.coding} if self.coding is not None else {}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(self.video) - 1}/{len(self.video)}"
        response = web.StreamResponse(status=206 if first else 200, headers=headers)
        await response.prepare(request)
        body = self.video[first:][: self.cuts.pop(0) if self.cuts else None]
        self.sent += len(body)
        await response.write(body)
        if first + len(body) < len(self.video):
            request.protocol.force_close()
        return response


async def nothing_saved(_: str) -> dict[int, SavedFile]:
    """Know of no file that was saved of a task."""
    return {}
