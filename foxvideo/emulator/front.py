"""What every request passes first: Cloudflare, the key, and the count of what is in flight.

One middleware. It knows paths by their first part and no route in particular.
"""

import asyncio
import itertools
import re
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

import attrs
from aiohttp import hdrs, web

from foxvideo.emulator.ledger import Ledger
from foxvideo.emulator.replies import banned, page, refused

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LIBRARY: Final = re.compile(r"python|aiohttp|go-http-client|java/|okhttp|libwww|wget|curl", re.IGNORECASE)
"""Beginnings of the User-Agents that HTTP libraries send by default."""
_API: Final = ("/v1/", "/api/")
_FILES: Final = ("/output/", "/uploads/")
_UPLOAD: Final = "/v1/files/"


@attrs.define(eq=False)
class Front:
    """Cloudflare and the gateway's door."""

    _ledger: Ledger
    _api_key: str = attrs.field(repr=False)
    _latency: float
    _numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1))

    @web.middleware
    async def door(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through, or refuse it, and count it meanwhile."""
        path = request.path
        if path.startswith(_FILES):
            if hdrs.AUTHORIZATION in request.headers:
                self._ledger.leaks.append(path)
            with self._transfer():
                return await self._answered(request, handler)
        if not path.startswith(_API):
            return await self._answered(request, handler)
        with self._transfer() if path.startswith(_UPLOAD) else self._call():
            if self._latency:
                await asyncio.sleep(self._latency)
            reply = self._stopped(request) or await self._answered(request, handler)
        if not reply.prepared:
            reply.headers["x-request-id"] = f"req-{next(self._numbers):08d}"
        return reply

    def _stopped(self, request: web.Request) -> web.Response | None:
        agent = request.headers.get(hdrs.USER_AGENT, "")
        if not agent or _LIBRARY.match(agent):
            return banned()
        scheme, _, key = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() != "bearer" or not secrets.compare_digest(key.encode(), self._api_key.encode()):
            return refused(401, "The API key is missing, wrong or expired.")
        return None

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPRequestEntityTooLarge:
            return page(413)
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
            self._ledger.strays.append(request.path)
            return refused(404, f"There is no {request.method} {request.path} here.")

    @contextmanager
    def _call(self) -> Iterator[None]:
        ledger = self._ledger
        ledger.in_flight += 1
        ledger.max_in_flight = max(ledger.max_in_flight, ledger.in_flight)
        try:
            yield
        finally:
            ledger.in_flight -= 1

    @contextmanager
    def _transfer(self) -> Iterator[None]:
        ledger = self._ledger
        ledger.transfers += 1
        ledger.max_transfers = max(ledger.max_transfers, ledger.transfers)
        try:
            yield
        finally:
            ledger.transfers -= 1
