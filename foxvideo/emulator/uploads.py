"""Uploaded files: the three ways to bring one, and the public URL under which it lives for a while.

https://docs.foxapi.cc/pages/en/api-manual/file-management/upload-stream and its siblings. Files stay in
memory.
"""

import base64
import binascii
import hashlib
import itertools
import json
import mimetypes
import time
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

import aiohttp
import attrs
from aiohttp import web

from foxvideo.emulator.files import given
from foxvideo.emulator.host import Host
from foxvideo.emulator.replies import json_reply, refused

SIZE_LIMIT: Final = 100 * 2**20
"""Bytes of a body; Cloudflare's usual limit. What is larger gets a page of Cloudflare's, not the gateway's JSON."""

_CHUNK: Final = 1 << 16

_Read = tuple[str, bytes, bool]
"""Name, content, and whether the oldest files may go for it."""


@attrs.frozen
class _Stored:
    name: str
    content: bytes = attrs.field(repr=False)
    expires: float
    created: int


class _BadUploadError(Exception):
    """The request does not bring a file that can be stored; the text says why."""

    status = 400


class _TooLargeError(_BadUploadError):
    status = 413


class _FullError(_BadUploadError):
    status = 403


@attrs.define(eq=False, kw_only=True)
class Uploads:
    """The routes that take files and give them back, and what they hold."""

    host: Host
    lifetime: float
    """Seconds."""
    file_limit: int | None = None
    """Most bytes of a file; None for those that Cloudflare lets through."""
    storage: int | None = None
    """Bytes in all, of which the oldest files go for a new one; None for no limit."""
    _files: dict[str, _Stored] = attrs.field(factory=dict)
    """By the path of the URL, unquoted."""
    _numbers: Iterator[int] = attrs.field(factory=itertools.count)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of this room."""
        return [
            web.post("/v1/files/upload/stream", self.take),
            web.post("/v1/files/upload/base64", self.take),
            web.post("/v1/files/upload/url", self.take),
            web.get("/uploads/{path:.+}", self.give),
        ]

    def owns(self, url: str) -> bool:
        """Whether a URL points at an upload of this emulator, living or gone."""
        return url.startswith(f"{self.host.base_url}/uploads/")

    def content(self, url: str) -> bytes | None:
        """Return the bytes of a living upload; None when it is gone or not of this emulator."""
        stored = self._living(unquote(urlsplit(url).path)) if self.owns(url) else None
        return None if stored is None else stored.content

    def drop(self, *urls: str) -> None:
        """Drop these uploads before their time; all of them where none is named.

        Raises:
            KeyError: There is no such upload.
        """
        for path in [unquote(urlsplit(url).path) for url in urls] or list(self._files):
            del self._files[path]

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Store a file."""
        read = {"stream": _read_form, "base64": _read_base64, "url": _read_url}[PurePosixPath(request.path).name]
        fault = self.host.fault("upload")
        try:
            name, content, cleanup = await read(request)
            if fault and not fault.works:
                return await self.host.broken(fault, request)
            self._make_room(len(content), cleanup=cleanup)
        except _BadUploadError as error:
            return refused(error.status, str(error))
        reply = json_reply(self._store(name, content))
        return await self.host.broken(fault, request, reply) if fault else reply

    async def give(self, request: web.Request) -> web.StreamResponse:
        """Serve a stored file; it needs no key."""
        stored = self._living(request.path)
        if stored is None:
            return refused(404, "There is no such file.")
        kind = mimetypes.guess_type(stored.name)[0] or "application/octet-stream"
        return given(request, stored.content, kind, stored.created)

    def _living(self, path: str) -> _Stored | None:
        stored = self._files.get(path)
        if stored is not None and stored.expires <= self.host.clock.now():
            del self._files[path]
            return None
        return stored

    def _make_room(self, size: int, *, cleanup: bool) -> None:
        """Drop the oldest files for a new one.

        Raises:
            _TooLargeError: It can never be stored.
            _FullError: There is no place, and nothing may be dropped.
        """
        if (self.file_limit is not None and size > self.file_limit) or (
            self.storage is not None and size > self.storage
        ):
            raise _TooLargeError("The file is too large.")
        if self.storage is None:
            return
        living = {path: stored for path in list(self._files) if (stored := self._living(path))}
        over = sum(len(stored.content) for stored in living.values()) + size - self.storage
        for path, stored in living.items():  # the oldest first
            if over <= 0:
                return
            if not cleanup:
                raise _FullError("The storage is full.")
            over -= len(stored.content)
            del self._files[path]

    def _store(self, name: str, content: bytes) -> dict[str, Any]:
        clock, ledger = self.host.clock, self.host.ledger
        ledger.uploaded += 1
        now = clock.now()
        created = int(clock.unix(now))
        mark = hashlib.sha256(f"{self.host.seed}:{next(self._numbers)}".encode()).hexdigest()[:12]
        path = f"/uploads/{time.strftime('%Y%m%d', time.gmtime(created))}/{mark}/{name}"
        self._files[path] = _Stored(name, content, now + self.lifetime, created)
        return {
            "id": f"file-{created}-{mark}",
            "filename": name,
            "url": self.host.base_url + quote(path),
            "size": len(content),
            "created": created,
        }


async def _read_form(request: web.Request) -> _Read:
    if request.content_type != "multipart/form-data":
        raise _BadUploadError("Content-Type must be multipart/form-data.")
    fields: dict[str | None, tuple[str | None, bytes]] = {}
    try:
        form = await request.multipart()
        while isinstance(part := await form.next(), aiohttp.BodyPartReader):
            fields[part.name] = (part.filename, await _read_part(part, request.client_max_size))
    except ValueError as error:
        raise _BadUploadError("The form cannot be read.") from error
    filename, content = fields.get("file", (None, b""))
    if filename is None:
        raise _BadUploadError("file: a part with a filename is required")
    _, renamed = fields.get("file_name", (None, b""))
    _, cleanup = fields.get("auto_cleanup", (None, b""))
    return _name(renamed.decode(errors="replace") or filename), content, cleanup != b"false"


async def _read_part(part: aiohttp.BodyPartReader, limit: int) -> bytes:
    content = bytearray()
    while chunk := await part.read_chunk(_CHUNK):
        content += chunk
        if len(content) > limit:
            raise web.HTTPRequestEntityTooLarge(limit, len(content))
    return bytes(content)


async def _read_base64(request: web.Request) -> _Read:
    body = await _read_json(request)
    data = body.get("file_data")
    if not isinstance(data, str):
        raise _BadUploadError("file_data: must be base64 text or a data URL")
    try:
        content = base64.b64decode(data.rpartition(",")[2], validate=True)
    except binascii.Error as error:
        raise _BadUploadError("file_data: is not base64") from error
    return _name(body.get("file_name")), content, body.get("auto_cleanup") is not False


async def _read_url(request: web.Request) -> _Read:
    body = await _read_json(request)
    url = body.get("url")
    if not isinstance(url, str):
        raise _BadUploadError("url: must be a public http(s) URL")
    try:
        async with aiohttp.ClientSession() as session, session.get(url, raise_for_status=True) as reply:
            content = await reply.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise _BadUploadError("url: cannot be fetched") from error
    return _name(body.get("file_name") or urlsplit(url).path), content, body.get("auto_cleanup") is not False


async def _read_json(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        raise _BadUploadError("The body is not valid JSON.") from error
    if not isinstance(body, dict):
        raise _BadUploadError("The body must be a JSON object.")
    return body


def _name(given: object) -> str:
    return PurePosixPath(given if isinstance(given, str) else "").name or "file"
