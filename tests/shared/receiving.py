"""What the tests of uploads share: a service that takes files in, and a memory as a journal is one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection

import attrs
from aiohttp import web

from foxvideo._http import Transport


@attrs.define(eq=False)
class Service:
    """Takes uploads in, with a pause where told so, and keeps their bodies."""

    transport: Transport = attrs.field(init=False)
    taken: list[bytes] = attrs.field(factory=list)
    lengths: list[int | None] = attrs.field(factory=list)
    pause: Callable[[int], Awaitable[None]] | None = None
    reply: Callable[[int], web.Response] = lambda number: web.json_response({"url": f"https://files.example/{number}"})

    async def take(self, request: web.BaseRequest) -> web.Response:
        """Read an upload and answer."""
        self.lengths.append(request.content_length)
        body = b""
        while chunk := await request.content.readany():
            body += chunk
            if self.pause:
                await self.pause(len(body))
        self.taken.append(body)
        return self.reply(len(self.taken))


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[Service]:
    """Run a service of one route."""
    made = Service()
    runner = web.ServerRunner(web.Server(made.take, handler_cancellation=True), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.transport = Transport(f"http://127.0.0.1:{runner.addresses[0][1]}", "sk-1", 60.0, 15.0)
    try:
        yield made
    finally:
        await made.transport.close()
        await runner.cleanup()


@attrs.define(eq=False)
class Notebook:
    """A memory as a journal is one."""

    pages: dict[str, str] = attrs.field(factory=dict)

    async def upload(self, digest: str) -> str | None:
        """Look it up, which takes a moment."""
        await asyncio.sleep(0.01)
        return self.pages.get(digest)

    def uploaded(self, digest: str, url: str) -> None:
        """Write it down."""
        self.pages[digest] = url

    def forget_uploads(self, names: Collection[str]) -> None:
        """Cross it out."""
        self.pages = {digest: url for digest, url in self.pages.items() if not {digest, url} & set(names)}
