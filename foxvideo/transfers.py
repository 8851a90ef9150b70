"""Files on their way: local media up to FoxAPI, results down to the disk.

What belongs here: hashing, uploading once, streaming into a file that appears whole or not at all. What must not:
which result of a video is meant (``video.py``), and HTTP itself (``transport.py``).
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import secrets
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import aiohttp
import attrs

from foxvideo.errors import (
    BadReply,
    DownloadError,
    RateLimited,
    ResultExpired,
    ServiceUnavailable,
    UploadError,
)
from foxvideo.requests import LocalMedia
from foxvideo.retry import delay
from foxvideo.transport import Transport
from foxvideo.wire import read_upload

_log = logging.getLogger("foxvideo")

_AT_ONCE = 4  # transfers are bounded apart from requests, so that a large file holds up no poll
_ATTEMPTS = 4
_CHUNK = 1 << 18
_REMEMBERED = 24 * 3600.0  # an upload lives 72 hours, but the oldest are dropped when the storage is full
_GONE = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


@attrs.define(eq=False)
class Uploads:
    """Uploads of one client: the same bytes once, however many requests need them.

    An upload costs nothing, so it is repeated like a read.
    """

    _transport: Transport
    _known: dict[str, tuple[float, asyncio.Task[str]]] = attrs.field(factory=dict, init=False)
    _slots: asyncio.Semaphore = attrs.field(factory=lambda: asyncio.Semaphore(_AT_ONCE), init=False)

    async def link(self, media: LocalMedia) -> str:
        """Return a URL under which the service can read a local file; uploaded unless its content already was.

        Cancelling one who waits leaves the upload to the others that need it.

        Raises:
            UploadError: The file cannot be read, or the service did not take it.
            FoxError: The service refuses the key, or cannot be reached.
        """
        async with self._slots:  # held while the content is in memory
            name, content, digest = await asyncio.to_thread(_content, media)
            now = asyncio.get_running_loop().time()
            since, upload = self._known.get(digest, (now, None))
            if upload is None or now - since > _REMEMBERED or (upload.done() and not _succeeded(upload)):
                upload = asyncio.create_task(self._upload(name, content))
                upload.add_done_callback(_succeeded)  # looks at an error that nobody may be left to wait for
                self._known[digest] = (now, upload)
            return await asyncio.shield(upload)

    def forget(self, body: bytes) -> None:
        """Upload anew next time what a body links to, because the service calls a link invalid."""
        self._known = {
            digest: (since, upload)
            for digest, (since, upload) in self._known.items()
            if not (_succeeded(upload) and upload.result().encode() in body)
        }

    async def close(self) -> None:
        """Cut uploads that are under way."""
        running = [upload for _, upload in self._known.values() if not upload.done()]
        for upload in running:
            upload.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _upload(self, name: str, content: bytes) -> str:
        for attempt in range(1, _ATTEMPTS + 1):
            form = aiohttp.FormData()
            form.add_field("file", content, filename=name, content_type="application/octet-stream")
            try:
                url = read_upload(await self._transport.upload(form))
            except (ServiceUnavailable, RateLimited, BadReply) as error:
                if attempt == _ATTEMPTS:
                    raise
                waits = error.retry_after if isinstance(error, RateLimited) else None
                await asyncio.sleep(delay(attempt) if waits is None else waits)
            else:
                _log.debug("uploaded %d bytes: %s", len(content), url)
                return url
        raise AssertionError  # pragma: no cover - the last attempt returns or raises


def _succeeded(upload: asyncio.Task[str]) -> bool:
    return upload.done() and not upload.cancelled() and upload.exception() is None


def _content(media: LocalMedia) -> tuple[str, bytes, str]:
    """Read a file; its public name is random, since whoever knows the URL can fetch it."""
    suffix, content = (".bin", media) if isinstance(media, bytes) else _read(Path(media))
    return f"{secrets.token_hex(16)}{suffix}", content, hashlib.sha256(content).hexdigest()


def _read(path: Path) -> tuple[str, bytes]:
    try:
        return path.suffix.lower(), path.read_bytes()
    except OSError as error:
        raise UploadError(f"could not read {path}: {error.strerror or error}") from error


async def save(transport: Transport, url: str, path: Path, *, overwrite: bool) -> Path:
    """Stream a result into a file that appears when it is whole.

    Args:
        transport: Its connections are used; the key is not sent.
        url: Where the result lies; http(s) only.
        path: The file to make.
        overwrite: Whether an existing file is replaced.

    Returns:
        The path.

    Raises:
        ResultExpired: The link is dead.
        DownloadError: It is no film, or came neither whole nor again.
        OSError: The disk: no space, no such folder, exists already.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        raise DownloadError(f"{url[:200]} is no http(s) link")
    if not overwrite and await asyncio.to_thread(path.exists):
        raise FileExistsError(f"{path} exists; pass overwrite=True to replace it")
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            await _save_once(transport, url, path, overwrite=overwrite)
        except _Interrupted as error:
            if attempt == _ATTEMPTS:
                raise DownloadError(f"{url}: {error}") from error.__cause__
            await asyncio.sleep(delay(attempt))
        else:
            return path
    raise AssertionError  # pragma: no cover - the last attempt returns or raises


class _Interrupted(Exception):
    """A transfer broke in a way that may not happen again."""


async def _save_once(transport: Transport, url: str, path: Path, *, overwrite: bool) -> None:
    try:
        async with transport.download(url) as response:
            _check(response, url)
            async with _part(path, overwrite=overwrite) as file:
                received = 0
                async for chunk in response.content.iter_chunked(_CHUNK):
                    received += len(chunk)
                    await asyncio.to_thread(file.write, chunk)
                expected = response.content_length
                if expected is not None and "Content-Encoding" not in response.headers and received != expected:
                    raise _Interrupted(f"{received} of {expected} bytes came")
    except (aiohttp.ClientError, TimeoutError) as error:
        raise _Interrupted(f"{type(error).__name__}: {error}") from error


def _check(response: aiohttp.ClientResponse, url: str) -> None:
    """Refuse what is no film before anything is written."""
    status = response.status
    if status in _GONE:
        raise ResultExpired(f"{url} is gone", http_status=status)
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _Interrupted(f"HTTP {status}")
    if status != HTTPStatus.OK:
        raise DownloadError(f"{url} cannot be fetched", http_status=status)
    if response.content_type in {"text/html", "application/xhtml+xml"}:
        raise DownloadError(f"{url} answers with a web page, not with a film", http_status=status)


@contextlib.asynccontextmanager
async def _part(path: Path, *, overwrite: bool) -> AsyncIterator[IO[bytes]]:
    """Open a file beside the target, which takes the target's name if the block ends well, and goes if not."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    file = part.open("xb")
    try:
        yield file
        await asyncio.to_thread(_publish, file, part, path, overwrite)
    finally:
        file.close()
        part.unlink(missing_ok=True)


def _publish(file: IO[bytes], part: Path, path: Path, overwrite: bool) -> None:
    file.flush()
    os.fsync(file.fileno())
    if not overwrite and path.exists():  # it may have appeared meanwhile
        raise FileExistsError(f"{path} exists; pass overwrite=True to replace it")
    part.replace(path)
    if os.name == "posix":  # pragma: no branch - elsewhere a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
