"""The part that touches aiohttp: one request in, one reply out.

What belongs here: sessions, connectors, timeouts, headers, and the table from aiohttp's exceptions to ``NoReply``.
What must not: what a reply means (``_wire/decode.py``) and whether to repeat (``_wire/verdict.py``).

Three rules keep the verdict on a submit sound; each answers to behaviour of aiohttp:

- no redirect is followed: aiohttp repeats a POST on a 307 and turns it into a GET on a 301;
- submits have a connector of their own that keeps no connection alive: a POST on a connection which the server
  has just dropped looks like a lost reply;
- submits wait for no place in a pool and have no total timeout while they connect: both would end in the same bare
  ``TimeoutError`` as a request that was sent.
"""

import asyncio
import contextlib
import logging
import re
import time
import weakref
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Any, NoReturn
from urllib.parse import quote
from urllib.request import getproxies, proxy_bypass

import aiohttp
import attrs
import yarl
from multidict import CIMultiDict

from foxvideo._version import __version__
from foxvideo._wire.decode import Answer, NoReply, Reply
from foxvideo.errors import AuthenticationError, ClientClosed

_log = logging.getLogger("foxvideo")

USER_AGENT = f"foxvideo/{__version__}"
_MOST_BYTES = 1 << 20  # a task's reply is 1 KB; what is longer than 1 MB is not read on
_CONNECT_SECONDS = 15.0
_STALL_SECONDS = 60.0
_UPLOAD_REPLY_SECONDS = 300.0  # once the file was sent; its sending is watched piece by piece
_DOWNLOADS = 8  # each holds a connection, for long; bounded apart from requests, so that a film holds up no query
_HIDDEN = "[key]"
_SHORTEST_SECRET = 16  # characters
_WEB = frozenset({"http", "https"})

# Errors that prove that no byte of the request reached the service.
_NOT_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.ClientHttpProxyError,  # the proxy refused the tunnel
    aiohttp.InvalidURL,
)
# Everything else that a request can end with; OSError covers timeouts and TLS.
_LOST = (aiohttp.ClientError, OSError, ValueError)

ConnectorFactory = Callable[..., aiohttp.BaseConnector]


def _origin(base_url: str) -> str:
    """Return the base without a trailing slash; refused where it is no http(s) URL, or holds more than that."""
    url = yarl.URL(base_url)
    more = url.user or url.password or url.query_string or url.fragment
    if url.scheme not in _WEB or not url.host or more:
        raise ValueError("base_url must be an http(s) URL without user, password, query and fragment")
    return str(url).rstrip("/")


def _key(api_key: str) -> str:
    """Return the key; refused where a header cannot carry it, or where JSON would spell it in another way."""
    key = api_key.strip()
    if not re.fullmatch(r"[!#-\[\]-~]+", key):
        raise AuthenticationError("the API key is empty, or has characters that no key has", submitted="no")
    return key


def _check_proxy(_: object, __: object, proxy: str | None) -> None:
    if proxy is not None and yarl.URL(proxy).scheme not in _WEB:
        raise ValueError("proxy must be an http(s) URL")


@attrs.define(eq=False)
class Transport:
    """The connections to FoxAPI, and to the hosts of its results.

    Attributes:
        base_url: Where FoxAPI answers, without a trailing slash.
        request_timeout: Seconds to wait for a reply to a submit, once it was sent.
        poll_timeout: Seconds that a read may take in all.
        connector: Makes the connectors; called with keyword arguments of ``aiohttp.TCPConnector``.
        proxy: URL of a proxy for all requests; None for none.
        trust_env: Whether the proxies of the environment are used, where ``proxy`` is None.
        user_agent: What every request calls itself.

    Raises:
        AuthenticationError: A header cannot carry the key.
        ValueError: ``base_url``, ``proxy`` or ``user_agent`` cannot be used.
    """

    base_url: str = attrs.field(converter=_origin)
    _api_key: str = attrs.field(converter=_key, repr=False)
    request_timeout: float
    poll_timeout: float
    connector: ConnectorFactory = attrs.field(
        default=aiohttp.TCPConnector, repr=False, validator=attrs.validators.is_callable()
    )
    proxy: str | None = attrs.field(default=None, repr=False, validator=_check_proxy)
    trust_env: bool = False
    user_agent: str = attrs.field(default=USER_AGENT, validator=attrs.validators.matches_re("[ -~]+"))
    _submits: aiohttp.ClientSession | None = attrs.field(default=None, init=False, repr=False)
    _reads: aiohttp.ClientSession | None = attrs.field(default=None, init=False, repr=False)
    _closed: bool = attrs.field(default=False, init=False, repr=False)
    _downloads: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]" = attrs.field(
        factory=weakref.WeakKeyDictionary, init=False, repr=False
    )
    _headers: Mapping[str, str] = attrs.field(init=False, repr=False)
    _patience: aiohttp.ClientTimeout = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._headers = {
            "Authorization": f"Bearer {self._api_key}",
            "User-Agent": self.user_agent,
            "Accept-Encoding": "identity",
        }
        self._patience = aiohttp.ClientTimeout(total=self.poll_timeout)

    @property
    def opened(self) -> bool:
        """Whether there are sessions to close."""
        return self._submits is not None or self._reads is not None

    def __reduce__(self) -> NoReturn:
        raise TypeError("what holds an API key and its connections cannot be pickled or copied")

    async def submit(self, body: bytes, idempotency_key: str) -> Answer:
        """POST one task; sent at most once. Cancelling it leaves open whether the service took it."""
        if self._closed:
            raise ClientClosed("the client is closed", submitted="no")
        if self._submits is None:
            self._submits = self._session(force_close=True)
        timeout = aiohttp.ClientTimeout(
            connect=_CONNECT_SECONDS, sock_connect=_CONNECT_SECONDS, sock_read=self.request_timeout
        )
        headers = {"Content-Type": "application/json", "Idempotency-Key": idempotency_key}
        try:
            # Bounds a reply that comes in drops; far longer than connecting may take, so that it fires only after the
            # POST left.
            async with asyncio.timeout(2 * (_CONNECT_SECONDS + self.request_timeout)):
                return await self._ask(
                    self._submits,
                    "POST",
                    "/v1/videos/generations",
                    timeout=timeout,
                    data=body,
                    headers=headers,
                )
        except TimeoutError as error:
            return NoReply(sent=True, reason="the reply came too slowly", cause=error)

    async def task(self, task_id: str, *, sync_upstream: bool) -> Answer:
        """GET the state of one task."""
        query = "?sync_upstream=true" if sync_upstream else ""
        return await self.get(f"/v1/tasks/{quote(task_id, safe='')}{query}")

    async def get(self, target: str) -> Answer:
        """GET something of the API, by its quoted path and query."""
        async with self._reading() as session:
            return await self._ask(session, "GET", target, timeout=self._patience)

    async def upload(self, form: aiohttp.MultipartWriter) -> Answer:
        """POST one file."""
        timeout = aiohttp.ClientTimeout(sock_connect=_CONNECT_SECONDS, sock_read=_UPLOAD_REPLY_SECONDS)
        async with self._reading() as session:
            return await self._ask(session, "POST", "/v1/files/upload/stream", timeout=timeout, data=form)

    @property
    def download_slots(self) -> asyncio.Semaphore:
        """The bound on downloads; one for each event loop, since a video may outlive the loop of its client."""
        loop = asyncio.get_running_loop()
        return self._downloads.setdefault(loop, asyncio.Semaphore(_DOWNLOADS))

    @contextlib.asynccontextmanager
    async def download(
        self, url: yarl.URL, headers: Mapping[str, str] = MappingProxyType({})
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """GET a result from whichever host it lies on; that host never sees the key."""
        timeout = aiohttp.ClientTimeout(sock_connect=_CONNECT_SECONDS, sock_read=_STALL_SECONDS)
        headers = {"User-Agent": self.user_agent, "Accept-Encoding": "identity", **headers}
        async with (
            self._reading() as session,
            session.get(url, headers=headers, timeout=timeout, proxy=self._proxy_to(url)) as response,
        ):
            yield response

    async def close(self) -> None:
        """Close all connections; closing twice is fine. What is read later opens, and closes, its own."""
        self._closed = True
        sessions = [session for session in (self._submits, self._reads) if session is not None]
        self._submits = self._reads = None
        async with contextlib.AsyncExitStack() as stack:  # each is closed, even if waiting for another is cut
            for session in sessions:
                stack.push_async_callback(session.close)

    def _reading(self) -> AbstractAsyncContextManager[aiohttp.ClientSession]:
        """Return the session for reads: the client's own, or once that is closed one for a single request."""
        if self._closed:
            return self._session(force_close=True)
        if self._reads is None:
            self._reads = self._session(force_close=False)
        return contextlib.nullcontext(self._reads)

    def _session(self, *, force_close: bool) -> aiohttp.ClientSession:
        # No limit: the dispatcher's semaphore bounds the requests, and a wait inside the pool could not be told
        # from a request that was sent.
        connector = self.connector(limit=0, force_close=force_close)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    def _proxy_to(self, url: yarl.URL) -> str | None:
        # aiohttp's own trust_env would also send passwords of ~/.netrc, or stumble over one beside our key.
        if self.proxy is not None or not self.trust_env or proxy_bypass(url.host or ""):
            return self.proxy
        return getproxies().get(url.scheme)

    async def _ask(
        self, session: aiohttp.ClientSession, method: str, target: str, *, headers: dict[str, str] | None = None,
        **options: Any,  # noqa: ANN401 - passed on to aiohttp
    ) -> Answer:  # fmt: skip
        started = time.perf_counter()
        url = yarl.URL(self.base_url + target, encoded=True)
        try:
            async with session.request(
                method,
                url,
                headers={**self._headers, **headers} if headers else self._headers,
                allow_redirects=False,
                proxy=self._proxy_to(url),
                **options,
            ) as response:
                answer: Answer = await self._read(response)
        except _LOST as error:
            answer = self._no_reply(error)
        _log.debug(
            "%s %s: %s in %.0f ms", method, target,
            answer.status if isinstance(answer, Reply) else answer.reason,
            (time.perf_counter() - started) * 1000,
        )  # fmt: skip
        return answer

    async def _read(self, response: aiohttp.ClientResponse) -> Reply:
        """Read the body, as far as it comes and no further than a reply can be long."""
        body, complete = b"", True
        try:
            while not response.content.at_eof():
                body += await response.content.readany()
                if len(body) > _MOST_BYTES:
                    complete = False
                    break
        except _LOST:
            complete = False
        # A server that echoes the key must not bring it into an error.
        headers: Mapping[str, str] = response.headers
        if self._api_key in "\n".join(headers.values()):
            headers = CIMultiDict((name, self._redact(value)) for name, value in headers.items())
        if self._api_key.encode() in body:
            body = self._redact(body.decode("latin-1")).encode("latin-1")
        return Reply(response.status, headers, body, complete, time.time())

    def _no_reply(self, error: Exception) -> NoReply:
        # aiohttp's exceptions hold the headers of their request, and so the key: they are told, not chained.
        cause = None if isinstance(error, aiohttp.ClientError) else error
        return NoReply(sent=not isinstance(error, _NOT_SENT), reason=self._redact(_reason(error)), cause=cause)

    def _redact(self, text: str) -> str:
        # A key as short as an emulator's is no secret; it may occur in an id, and an id is worth money.
        return text.replace(self._api_key, _HIDDEN) if len(self._api_key) >= _SHORTEST_SECRET else text


def _reason(error: BaseException) -> str:
    """Say in words what happened."""
    name = type(error).__name__
    if isinstance(error, aiohttp.ClientResponseError):  # its own words name the proxy with its password
        return f"{name}: {error.status} {error.message}"
    return f"{name}: {error}" if str(error) else f"no reply in time ({name})"
