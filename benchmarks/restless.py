"""Servers that end or begin anew all the time, and a line to them that takes its time.

What belongs here: how real servers come and go. What must not: whoever submits to them (``connections.py``).
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from aiohttp import web

from benchmarks.process import terminated

_REPLY = {"id": "task-unified-1790000001-00000001", "status": "pending", "progress": 0}
_ROOT = Path(__file__).parent.parent
_BETWEEN = 0.3  # seconds between two reloads, or two ends

Restless = Callable[[socket.socket, Path], contextlib.AbstractAsyncContextManager[None]]


async def app(scope: Mapping[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
    """Take a submission, for uvicorn."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    body = json.dumps(_REPLY).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _taken(request: web.BaseRequest) -> web.Response:
    await request.read()
    return web.json_response(_REPLY)


async def _serve(sock: socket.socket, context: ssl.SSLContext | None, started: Callable[[], None]) -> None:
    runner = web.ServerRunner(web.Server(_taken), shutdown_timeout=5)
    await runner.setup()
    site = web.SockSite(runner, sock, ssl_context=context)
    await site.start()
    started()
    await terminated()
    await runner.cleanup()  # idle connections are closed, requests in flight are answered


def serve_by(descriptor: str) -> None:
    """Serve on an inherited socket until SIGTERM, with aiohttp."""
    sock = socket.socket(fileno=int(descriptor))
    sock.setblocking(False)  # noqa: FBT003 - it has no name
    asyncio.run(_serve(sock, None, lambda: None))


def serve_tls(started: Connection) -> None:
    """Serve with TLS; say the port, and the certificate of who vouches for it."""
    import trustme  # noqa: PLC0415 - of this process alone

    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    sock = listening()
    told = sock.getsockname()[1], authority.cert_pem.bytes().decode()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(sock, context, lambda: started.send(told)))


def listening() -> socket.socket:
    """Return a socket that waits for connections."""
    sock = socket.create_server(("127.0.0.1", 0), backlog=1024)
    sock.setblocking(False)  # noqa: FBT003 - it has no name
    return sock


@contextlib.asynccontextmanager
async def _again_and_again(sock: socket.socket, *command: str, by_signal: bool) -> AsyncIterator[None]:
    """Run a program on a socket; another follows when it has ended, by itself or by SIGTERM."""
    env = {**os.environ, "PYTHONPATH": str(_ROOT)}  # the working folder may not be on its path

    async def run() -> None:
        while True:
            program = await asyncio.create_subprocess_exec(*command, pass_fds=[sock.fileno()], env=env)
            try:
                if by_signal:
                    await asyncio.sleep(1 + _BETWEEN)  # it has to start
                    program.terminate()
                if (code := await program.wait()) > 0:
                    raise RuntimeError(f"a server ended with code {code}: {' '.join(command)}")
            finally:
                with contextlib.suppress(ProcessLookupError):
                    program.kill()

    running = asyncio.create_task(run())
    try:
        yield
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def _uvicorn(sock: socket.socket, folder: Path) -> contextlib.AbstractAsyncContextManager[None]:
    del folder
    words = ("benchmarks.restless:app", "--fd", str(sock.fileno()), "--limit-max-requests", "500")
    quiet = ("--log-level", "critical", "--no-access-log")
    return _again_and_again(sock, sys.executable, "-m", "uvicorn", *words, *quiet, by_signal=False)


def _aiohttp(sock: socket.socket, folder: Path) -> contextlib.AbstractAsyncContextManager[None]:
    del folder
    words = f"from benchmarks import restless; restless.serve_by('{sock.fileno()}')"
    return _again_and_again(sock, sys.executable, "-c", words, by_signal=True)


_CONFIGURATION = """
daemon off; worker_processes 2; pid {folder}/pid; error_log {folder}/log;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 100; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{behind}; }} }}
}}
"""


@contextlib.asynccontextmanager
async def _nginx(sock: socket.socket, folder: Path) -> AsyncIterator[None]:
    """Run nginx, which inherits its socket from itself at each reload, in front of another server."""
    port = sock.getsockname()[1]
    sock.close()
    behind = web.ServerRunner(web.Server(_taken))
    await behind.setup()
    inner = listening()
    await web.SockSite(behind, inner).start()
    file = folder / "nginx.conf"
    file.write_text(_CONFIGURATION.format(folder=folder, port=port, behind=inner.getsockname()[1]))
    program = await asyncio.create_subprocess_exec(
        "nginx", "-p", str(folder), "-c", str(file), stderr=subprocess.DEVNULL
    )

    async def reload() -> None:
        while True:
            await asyncio.sleep(_BETWEEN)
            program.send_signal(signal.SIGHUP)

    reloading = asyncio.create_task(reload())
    try:
        yield
    finally:
        reloading.cancel()
        program.terminate()
        await program.wait()
        await behind.cleanup()


# By what each does again and again; each is given a listening socket that outlives it, and a folder.
SERVERS: Mapping[str, Restless] = {
    "nginx, reloads": _nginx,
    "uvicorn, 500 requests": _uvicorn,
    "aiohttp, SIGTERM": _aiohttp,
}


@contextlib.contextmanager
def folder_of_all() -> Iterator[Path]:
    """Yield a folder for a while that every user may enter."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101, S103 - the workers of nginx are nobody
        yield Path(folder)


class _Way(asyncio.Protocol):
    """Carries what arrives to the other side, some seconds later."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.other: _Way | None = None
        self.transport: asyncio.Transport | None = None
        self._waiting: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        for data in self._waiting:
            transport.write(data)

    def data_received(self, data: bytes) -> None:
        self._later(lambda other: other.write(data))

    def connection_lost(self, exc: Exception | None) -> None:
        self._later(lambda other: other.abort() if exc else other.close())

    def write(self, data: bytes) -> None:
        self._waiting.append(data) if self.transport is None else self.transport.write(data)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def _later(self, act: "Callable[[_Way], object]") -> None:
        if self.other is not None:
            asyncio.get_running_loop().call_later(self._seconds, act, self.other)


@contextlib.asynccontextmanager
async def line_to(port: int, seconds: float) -> AsyncIterator[int]:
    """Yield a port from which it takes some seconds to another one, and as long back."""
    loop, connecting = asyncio.get_running_loop(), set[asyncio.Task[None]]()

    def connected() -> _Way:
        near, far = _Way(seconds), _Way(seconds)
        near.other, far.other = far, near

        async def connect() -> None:
            try:
                await loop.create_connection(lambda: far, "127.0.0.1", port)
            except OSError:
                near.abort()

        task = loop.create_task(connect())
        connecting.add(task)
        task.add_done_callback(connecting.discard)
        return near

    server = await loop.create_server(connected, "127.0.0.1", 0, backlog=1024)
    yield server.sockets[0].getsockname()[1]
    server.close()
