"""A host of videos, in a process of its own: one video of any length, of which any part can be had.

What belongs here: a server that costs the measured side as little noise as can be, with the cuts that a test asks for.
What must not: what is measured.

    GET  /video.mp4              the video, by the system's sendfile: a real host takes no CPU of this machine
    GET  /video.mp4?cut=BYTES    as much of what was asked for, as a line of 1 Gbit/s brings it, then the connection
                                breaks; Range and If-Range are heeded
    POST anything               an upload of any length, taken in and forgotten
    GET  /sent                  how many bytes of videos that are cut were handed out
"""

import asyncio
import contextlib
import hashlib
import json
import tempfile
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import attrs
from aiohttp import web

from benchmarks.process import serving, terminated

SHARED = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - the system's own folder in memory
_LINE = 125e6  # bytes per second; faster, what a killed process had not read yet would say nothing about it
_BLOCK = b"".join(hashlib.sha256(bytes([high, low])).digest() for high in range(128) for low in range(256))  # 1 MB


@attrs.define
class _Host:
    size: int
    sent: int = 0
    file: Path | None = None
    folder: object = None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "POST":
            async for _ in request.content.iter_any():
                pass
            return web.Response(text=json.dumps({"url": "https://files.example/1"}), content_type="application/json")
        if request.path == "/sent":
            return web.Response(text=str(self.sent))
        if "cut" not in request.query:
            return web.FileResponse(self._file())
        return await self._give(request)

    def _file(self) -> Path:
        """Return the video as a file, in memory where there is a folder for that."""
        if self.file is None:
            folder = tempfile.TemporaryDirectory(dir=SHARED)
            self.file = Path(folder.name) / "video.mp4"
            with self.file.open("wb") as file:
                file.writelines(pieces(0, self.size))
            self.folder = folder
        return self.file

    async def _give(self, request: web.BaseRequest) -> web.StreamResponse:
        first = (request.http_range.start or 0) if request.headers.get("If-Range") == '"video"' else 0
        response = web.StreamResponse(status=206 if first else 200, headers={"ETag": '"video"'})
        response.content_length = self.size - first
        response.content_type = "video/mp4"
        if first:
            response.headers["Content-Range"] = f"bytes {first}-{self.size - 1}/{self.size}"
        await response.prepare(request)
        last = min(self.size, first + int(request.query["cut"]))
        for piece in pieces(first, last):
            self.sent += len(piece)
            await asyncio.gather(response.write(piece), asyncio.sleep(len(piece) / _LINE))
        if last < self.size:
            request.protocol.force_close()
        return response


def pieces(first: int, last: int) -> Iterator[bytes]:
    """Yield the bytes of the video from one place to another, at most 1 MB at once."""
    while first < last:
        start = first % len(_BLOCK)
        piece = _BLOCK[start : start + last - first]
        yield piece
        first += len(piece)


async def _serve(size: int, started: Connection) -> None:
    server = await asyncio.get_running_loop().create_server(web.Server(_Host(size).handle), "127.0.0.1", 0)
    started.send(server.sockets[0].getsockname()[1])
    await terminated()


def _main(size: int, started: Connection) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(size, started))


@contextlib.contextmanager
def running(size: int) -> Iterator[str]:
    """Run the host in another process, and yield its address.

    Args:
        size: Bytes of its video.
    """
    with serving(_main, size) as port:
        yield f"http://127.0.0.1:{port}"
