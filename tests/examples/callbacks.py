"""A web server of aiohttp that hears the callbacks of FoxAPI, so that a wait ends as soon as its task does.

Run it where the service can reach it by https, and say where that is::

    python callbacks.py https://studio.example/foxapi

Only models of the older schema call back: ``foxvideo models ID`` shows whether one takes a ``callback_url``.
"""

import asyncio
import sys
from collections.abc import AsyncIterator

from aiohttp import web

from foxvideo import Client, Request

CLIENT = web.AppKey("client", Client)
PORT = 8000


async def hear(request: web.Request) -> web.Response:
    """Poll the task that a callback names, once; whoever sent it, it is believed in nothing."""
    request.app[CLIENT].receive(await request.read())
    return web.Response(status=204)


async def opened(app: web.Application) -> AsyncIterator[None]:
    """Hold one client."""
    async with Client(journal="videos.db") as app[CLIENT]:
        yield


def application() -> web.Application:
    """Return the server."""
    app = web.Application()
    app.cleanup_ctx.append(opened)
    app.router.add_post("/foxapi", hear)
    return app


async def main(public_url: str) -> str:
    """Make a video, and wait for the callback rather than for the next poll."""
    app = application()
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, port=PORT).start()
    try:
        shot = Request("wan2.6-t2v", prompt="A fox trots through snow", callback_url=public_url)
        video = await app[CLIENT].generate(shot, key="fox-in-snow")
    finally:
        await runner.cleanup()
    return video.url


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1])))
