"""Result links and the videos behind them: made once, when a link is first requested, and kept.

Here a video is waited for and served. Drawing one is `render.py`'s business, and its absence is survived:
without PyAV, or with `render=False`, every link serves one small stored video.
"""

import asyncio
import hashlib
import threading
from collections.abc import Callable
from importlib import resources
from typing import Final

import attrs
from aiohttp import web

from foxvideo.emulator.faults import Fault
from foxvideo.emulator.files import given
from foxvideo.emulator.host import Host
from foxvideo.emulator.ledger import TaskRecord
from foxvideo.emulator.replies import refused
from foxvideo.emulator.scenes import Scene

Draw = Callable[[Scene, bytes | None, Callable[[], bool]], bytes]

RENDERS_AT_ONCE: Final = 2
KEPT: Final = 64
"""Videos in memory; older ones are drawn again, and come out the same."""


@attrs.frozen
class _Link:
    scene: Scene
    expires: float
    created: float
    """Unix seconds at which the task was made, so that all links to its video say the same."""
    opens: float
    """The moment before which it is answered as if its file were not there yet."""


@attrs.define(eq=False, kw_only=True)
class Videos:
    """The routes of result links, and the videos."""

    host: Host
    lifetime: float
    """Seconds that a link lives."""
    lag: float
    """Seconds from the end of a task until its links are good."""
    early: Fault
    """How links answer until then."""
    draw: Draw | None
    """Draws a video; None serves the stored one."""
    video: bytes | None = None
    """Served instead of every video; None for the videos themselves."""
    ranges: bool = True
    """Whether parts of a video can be requested."""
    _links: dict[str, _Link] = attrs.field(factory=dict)
    _videos: dict[Scene, asyncio.Task[bytes]] = attrs.field(factory=dict)
    _slots: asyncio.Semaphore = attrs.field(factory=lambda: asyncio.Semaphore(RENDERS_AT_ONCE))
    _stop: threading.Event = attrs.field(factory=threading.Event)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of this room."""
        return [web.get("/output/{token}.mp4", self.give)]

    def link(self, record: TaskRecord) -> str:
        """Return a living link to the video of a task: the last one while it lives, then a fresh one."""
        now = self.host.clock.now()
        if record.link is None or self._links[record.link].expires <= now:
            mark = f"{self.host.seed}:{record.id}:{len(self._links)}"
            record.link = hashlib.sha256(mark.encode()).hexdigest()[:24]
            opens = record.life.ends + self.lag
            self._links[record.link] = _Link(record.scene, now + self.lifetime, record.created, opens)
        return f"{self.host.base_url}/output/{record.link}.mp4"

    def scene(self, url: str) -> Scene | None:
        """Return what is behind a result link of this emulator; None for any other URL."""
        link = self._links.get(url.removeprefix(f"{self.host.base_url}/output/").removesuffix(".mp4"))
        return None if link is None else link.scene

    async def give(self, request: web.Request) -> web.StreamResponse:
        """Serve the video behind a link; it needs no key."""
        link = self._links.get(request.match_info["token"])
        if link is None:
            return refused(404, "There is no such file.")
        now = self.host.clock.now()
        if link.expires <= now:
            return web.Response(status=403, text="Request has expired")
        fault = self.early if now < link.opens else self.host.fault("result")
        if fault and not fault.needs_reply:
            return await self.host.broken(fault, request, elsewhere=f"{self.host.base_url}{request.path}?moved")
        video = self.video or await self._video(link.scene)
        reply = given(request, video, "video/mp4", link.created, ranges=self.ranges)
        if fault and not fault.whole:
            return await self.host.broken(fault, request, reply)
        self.host.ledger.downloaded += 1
        return await self.host.broken(fault, request, reply) if fault else reply

    async def close(self) -> None:
        """Stop drawing. A thread that is at it ends with its frame."""
        self._stop.set()
        for video in self._videos.values():
            video.cancel()
        await asyncio.gather(*self._videos.values(), return_exceptions=True)

    async def _video(self, scene: Scene) -> bytes:
        if self.draw is None:
            return stored_video()
        task = self._videos.get(scene)
        if task is None:
            task = self._videos[scene] = asyncio.create_task(self._drawn(self.draw, scene))
            for old in [old for old, video in self._videos.items() if video.done()][: -KEPT or None]:
                del self._videos[old]
        # One viewer who leaves must not stop the video for the others.
        return await asyncio.shield(task)

    async def _drawn(self, draw: Draw, scene: Scene) -> bytes:
        source = await self._video(scene.source) if isinstance(scene.source, Scene) else scene.source
        async with self._slots:
            return await asyncio.to_thread(draw, scene, source, self._stop.is_set)


def drawing() -> Draw | None:
    """Return what draws videos, or None where PyAV is missing."""
    try:
        from foxvideo.emulator import render  # noqa: PLC0415 - PyAV is an extra
    except ImportError:
        return None
    return render.video


def stored_video() -> bytes:
    """Return the small video that comes with the package."""
    return resources.files(__package__).joinpath("video.mp4").read_bytes()
