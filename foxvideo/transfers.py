"""Files on their way: local media up to FoxAPI, results down to the disk.

What belongs here: hashing, uploading once, streaming into a file that appears whole or not at all. What must not:
which result of a video is meant (``video.py``), and HTTP itself (``transport.py``).
"""

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import re
import secrets
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import IO

import aiohttp
import attrs
import yarl

from foxvideo.checks import LocalMedia
from foxvideo.errors import (
    BadReply,
    ClientClosed,
    DownloadError,
    RateLimited,
    ResultExpired,
    ServiceUnavailable,
    UploadError,
)
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
    _closed: bool = attrs.field(default=False, init=False)
    _slots: asyncio.Semaphore = attrs.field(factory=lambda: asyncio.Semaphore(_AT_ONCE), init=False)

    async def link(self, media: LocalMedia) -> str:
        """Return a URL under which the service can read a local file; uploaded unless its content already was.

        Cancelling one who waits leaves the upload to the others that need it.

        Raises:
            UploadError: The file cannot be read, or the service did not take it.
            ClientClosed: The client was closed meanwhile.
            FoxError: The service refuses the key, or cannot be reached.
        """
        async with self._slots:  # held while the content is in memory
            if self._closed:
                raise ClientClosed("the client was closed before a file was uploaded")
            name, content, digest = await asyncio.to_thread(_content, media)
            now = asyncio.get_running_loop().time()
            since, upload = self._known.get(digest, (now, None))
            if upload is None or now - since > _REMEMBERED or (upload.done() and not _succeeded(upload)):
                upload = asyncio.create_task(self._upload(name, content))
                upload.add_done_callback(_succeeded)  # looks at an error that nobody may be left to wait for
                self._known[digest] = (now, upload)
            await asyncio.wait({upload})
        if upload.cancelled():
            raise ClientClosed("the client was closed while a file was uploaded")
        return upload.result()

    def forget(self, body: bytes) -> None:
        """Upload anew next time what a body links to, because the service calls a link invalid."""
        self._known = {
            digest: (since, upload)
            for digest, (since, upload) in self._known.items()
            if not (_succeeded(upload) and json.dumps(upload.result()).encode() in body)
        }

    async def close(self) -> None:
        """Cut uploads that are under way; those that wait for a place are not begun."""
        self._closed = True
        running = [upload for _, upload in self._known.values() if not upload.done()]
        for upload in running:
            upload.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _upload(self, name: str, content: bytes) -> str:
        attempt = 1
        while True:
            form = aiohttp.FormData()
            form.add_field("file", content, filename=name, content_type="application/octet-stream")
            try:
                url = read_upload(await self._transport.upload(form))
            except (ServiceUnavailable, RateLimited, BadReply) as error:
                if attempt == _ATTEMPTS:
                    raise
                waits = error.retry_after if isinstance(error, RateLimited) else None
            else:
                _log.debug("uploaded %d bytes: %s", len(content), url)
                return url
            await asyncio.sleep(delay(attempt) if waits is None else waits)
            attempt += 1


def _succeeded(upload: asyncio.Task[str]) -> bool:
    return upload.done() and not upload.cancelled() and upload.exception() is None


def digest(media: LocalMedia) -> str:
    """Return the sha256 of a local file.

    Raises:
        UploadError: It cannot be read.
    """
    return _content(media)[2]


def _content(media: LocalMedia) -> tuple[str, bytes, str]:
    """Read a file; its public name is random, since whoever knows the URL can fetch it."""
    suffix, content = (".bin", media) if isinstance(media, bytes) else _read(Path(media))
    return f"{secrets.token_hex(16)}{suffix}", content, hashlib.sha256(content).hexdigest()


def _read(path: Path) -> tuple[str, bytes]:
    try:
        return path.suffix.lower(), path.read_bytes()
    except (OSError, ValueError) as error:  # a path with a null byte is a ValueError
        raise UploadError(f"could not read {str(path)!r}: {getattr(error, 'strerror', None) or error}") from error


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
    link = _link(url)
    if not overwrite:
        await asyncio.to_thread(_refuse_existing, path)
    attempt = 1
    while True:
        try:
            await _save_once(transport, link, path, overwrite=overwrite)
        except _Interrupted as error:
            if attempt == _ATTEMPTS:
                raise DownloadError(f"{link}: {error}") from None
        else:
            return path
        await asyncio.sleep(delay(attempt))
        attempt += 1


class _Interrupted(Exception):
    """A transfer broke in a way that may not happen again."""


def _link(url: str) -> yarl.URL:
    try:
        # A link may be signed as it stands, so that quoting it anew would break it.
        link = yarl.URL(url, encoded=re.fullmatch("[!-~]+", url) is not None)
        usable = link.scheme in {"http", "https"} and link.host and link.port
    except ValueError:
        usable = False
    if not usable:
        raise DownloadError(f"{url[:200]!r} is no http(s) link")
    return link


async def _save_once(transport: Transport, link: yarl.URL, path: Path, *, overwrite: bool) -> None:
    try:
        async with transport.download(link) as response:
            _check(response, link)
            async with _part(path, overwrite=overwrite) as file:
                # A body that is shorter than Content-Length says ends in an error of aiohttp.
                async for chunk in response.content.iter_chunked(_CHUNK):
                    await asyncio.to_thread(file.write, chunk)
    except aiohttp.RedirectClientError as error:
        raise DownloadError(f"{link} leads to no http(s) link: {error}") from None
    except (aiohttp.ClientError, TimeoutError) as error:
        raise _Interrupted(f"{type(error).__name__}: {error}") from None


def _check(response: aiohttp.ClientResponse, link: yarl.URL) -> None:
    """Refuse what is no film before anything is written."""
    status = response.status
    if status in _GONE:
        raise ResultExpired(f"{link} is gone", http_status=status)
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _Interrupted(f"HTTP {status}")
    if status != HTTPStatus.OK:
        raise DownloadError(f"{link} cannot be fetched", http_status=status)
    if response.content_type in {"text/html", "application/xhtml+xml"}:
        raise DownloadError(f"{link} answers with a web page, not with a film", http_status=status)


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
    if not overwrite:
        _refuse_existing(path)  # it may have appeared meanwhile
    part.replace(path)
    if os.name == "posix":  # pragma: no branch - elsewhere a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise FileExistsError(f"{path} exists; pass overwrite=True to replace it")
