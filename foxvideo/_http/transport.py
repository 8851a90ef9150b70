"""One request in, one answer out: the only sessions of aiohttp.

What keeps the verdict on a submission sound, each against a behaviour of aiohttp:

- whether the request left is observed, not guessed from an exception: a connector, a resolver or a proxy may raise
  anything, and before the headers are handed to a connection nothing has left;
- what arrives is recorded, to its end, before aiohttp reads it, which drops a whole reply where one byte is wrong: it
  may hold the id of a paid task;
- the reply has a deadline of its own, from when the request left; when it passes, the loop gets one more turn before
  the wait is cut, so that a process that was stopped finds the reply that arrived meanwhile;
- no redirect is followed: aiohttp repeats a POST on a 307 and turns it into a GET on a 301;
- no connection is kept: a POST on one that the server has just dropped looks like a lost reply.
"""

import asyncio
import contextlib
import logging
import re
import time
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NoReturn
from urllib.parse import quote

import aiohttp
import attrs
import yarl
from multidict import CIMultiDict

from foxvideo._http.exchange import Exchange, Overheard, tracing
from foxvideo._http.proxy import Proxy, ProxyUnusable, of_environment, through, web_url
from foxvideo._version import __version__
from foxvideo._wire.redact import Redaction, without_credentials
from foxvideo._wire.reply import Answer, NoReply, Reply
from foxvideo._wire.salvage import salvaged
from foxvideo.errors import AuthenticationError, ClientClosed, DownloadError

_log = logging.getLogger("foxvideo")

USER_AGENT = f"foxvideo/{__version__}"
_MOST_BYTES = 1 << 20  # a task's reply is 1 KB; what is longer than 1 MB is not read on
_CONNECT_SECONDS = 15.0
_STALL_SECONDS = 60.0
_UPLOAD_REPLY_SECONDS = 300.0  # after the last piece was handed over
_DOWNLOADS = 8  # each holds a connection, for long; bounded apart from requests, so that a video holds up no poll
_LONGEST_REASON = 500
# aiohttp refuses lines of 8 KB, which a Content-Security-Policy may have; the reply behind it may hold a paid id.
_MOST_HEADERS: Mapping[str, Any] = {"max_line_size": 1 << 16, "max_field_size": 1 << 16, "max_headers": 512}

ConnectorFactory = Callable[..., aiohttp.BaseConnector]


def _origin(base_url: str) -> str:
    """Return the base without a trailing slash; refused where it is not an http(s) URL, or holds more than that."""
    url = web_url(base_url)
    if url is None or url.user or url.password or url.query_string or url.fragment:
        raise ValueError("base_url must be an http(s) URL without user, password, query and fragment")
    return str(url).rstrip("/")


def _key(api_key: str) -> str:
    """Return the key; refused where a header cannot carry it, or where JSON would spell it in another way."""
    key = api_key.strip()
    if not re.fullmatch(r"[!#-\[\]-~]+", key):
        raise AuthenticationError("the API key is empty, or has characters that no key has", submitted="no")
    return key


def _proxy(url: str | None) -> Proxy | None:
    return None if url is None else Proxy.of(url)


@attrs.define(eq=False)
class Transport:
    """The connections to FoxAPI, and to the hosts of its results.

    Attributes:
        base_url: Where FoxAPI answers, without a trailing slash.
        request_timeout: Seconds that the reply to a submission may take in all, once the request was sent.
        poll_timeout: Seconds that a read may take in all.
        connector: Makes the connectors; called with keyword arguments of ``aiohttp.TCPConnector``.
        proxy: The proxy for all requests, given as its URL; None for none.
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
    proxy: Proxy | None = attrs.field(default=None, converter=_proxy)
    trust_env: bool = False
    user_agent: str = attrs.field(default=USER_AGENT, validator=attrs.validators.matches_re("[ -~]+"))
    _posts: aiohttp.ClientSession | None = attrs.field(default=None, init=False, repr=False)
    _reads: aiohttp.ClientSession | None = attrs.field(default=None, init=False, repr=False)
    _home: asyncio.AbstractEventLoop | None = attrs.field(default=None, init=False, repr=False)
    _closed: bool = attrs.field(default=False, init=False, repr=False)
    _downloads: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]" = attrs.field(
        factory=weakref.WeakKeyDictionary, init=False, repr=False
    )
    _redaction: Redaction = attrs.field(init=False, repr=False)
    _headers: Mapping[str, str] = attrs.field(init=False, repr=False)
    _read_timeout: aiohttp.ClientTimeout = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._redaction = Redaction.of(self._api_key)
        self._headers = {
            "Authorization": f"Bearer {self._api_key}",
            "User-Agent": self.user_agent,
            "Accept-Encoding": "identity",
        }
        self._read_timeout = aiohttp.ClientTimeout(total=self.poll_timeout)

    @property
    def opened(self) -> bool:
        """Whether there are sessions to close."""
        return self._posts is not None or self._reads is not None

    def __reduce__(self) -> NoReturn:
        raise TypeError("what holds an API key and its connections cannot be pickled or copied")

    # --- Requests ---

    async def submit(self, body: bytes, idempotency_key: str, may_leave: Callable[[], bool] = lambda: True) -> Answer:
        """POST one task; sent at most once. Cancelling it leaves open whether the service took it.

        Args:
            body: The JSON.
            idempotency_key: Goes out with it.
            may_leave: Asked right before the first byte leaves; where it says no, nothing does.
        """
        headers = {"Content-Type": "application/json", "Idempotency-Key": idempotency_key}
        return await self._post("/v1/videos/generations", body, Exchange(self.request_timeout, may_leave), headers)

    async def upload(self, form: aiohttp.MultipartWriter) -> Answer:
        """POST one file."""
        return await self._post("/v1/files/upload/stream", form, Exchange(_UPLOAD_REPLY_SECONDS), {})

    def task(self, task_id: str, *, sync_upstream: bool) -> Coroutine[Any, Any, Answer]:
        """GET the state of one task."""
        return self.get(f"{self.task_target(task_id)}{'?sync_upstream=true' if sync_upstream else ''}")

    def task_target(self, task_id: str) -> str:
        """Return the path of a task; its id is opaque, and must not lead to another path."""
        return f"/v1/tasks/{quote(task_id, safe='')}"

    async def get(self, target: str) -> Answer:
        """GET something of the API, by its quoted path and query."""
        began, url, proxy = time.perf_counter(), self._url(target), None
        try:
            proxy = self._proxy_to(url)
            if (session := self._own_reads()) is not None:  # no context manager around it: this is what polls do
                answer = await self._got(session, url, proxy)
            else:
                async with self._session(force_close=True) as apart:
                    answer = await self._got(apart, url, proxy)
        except Exception as error:  # noqa: BLE001 - a connector, a resolver and a proxy may raise anything
            answer = NoReply(sent=True, reason=self._reason(error, proxy))
        _log_answer("GET", target, answer, began)
        return answer

    async def _got(self, session: aiohttp.ClientSession, url: yarl.URL, proxy: Proxy | None) -> Answer:
        options = through(proxy) if proxy is not None else {}
        async with session.get(
            url, headers=self._headers, allow_redirects=False, timeout=self._read_timeout, **options
        ) as response:
            return await self._read(response)

    async def _post(
        self, target: str, body: bytes | aiohttp.MultipartWriter, exchange: Exchange, headers: Mapping[str, str]
    ) -> Answer:
        if self._closed:
            raise ClientClosed("the client is closed", submitted="no")
        began = time.perf_counter()
        try:
            answer = await self._exchanged(exchange, target, body, {**self._headers, **headers})
        finally:
            exchange.stop()
        if not isinstance(answer, Reply) or not isinstance(answer.json(), dict):
            answer = self._salvaged(answer, bytes(exchange.raw))
        _log_answer("POST", target, answer, began)
        return answer

    async def _exchanged(
        self, exchange: Exchange, target: str, body: bytes | aiohttp.MultipartWriter, headers: Mapping[str, str]
    ) -> Answer:
        url, proxy = self._url(target), None
        try:
            proxy = self._proxy_to(url)
            if self._posts is None:
                self._posts = self._session(force_close=True, request_class=Overheard, trace_configs=[tracing()])
            # aiohttp bounds each step of connecting; this bounds what a foreign connector may forget.
            async with (
                asyncio.timeout(2 * _CONNECT_SECONDS) as exchange.bound,
                self._posts.post(
                    url,
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(connect=_CONNECT_SECONDS, sock_connect=_CONNECT_SECONDS),
                    trace_request_ctx=exchange,
                    **through(proxy, exchange.watch),
                ) as response,
            ):
                return await self._read(response)
        except Exception as error:  # noqa: BLE001 - as above; what counts is whether the request had left
            return NoReply(sent=exchange.sent, reason=self._reason(error, proxy))

    @contextlib.asynccontextmanager
    async def download(
        self, url: yarl.URL, headers: Mapping[str, str] = MappingProxyType({})
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """GET a result from whichever host it lies on, which never sees the key; a redirect is not followed.

        Raises:
            DownloadError: The proxy cannot be used, or refuses the host.
            aiohttp.ClientError: The host cannot be reached.
        """
        timeout = aiohttp.ClientTimeout(
            connect=_CONNECT_SECONDS, sock_connect=_CONNECT_SECONDS, sock_read=_STALL_SECONDS
        )
        headers = {"User-Agent": self.user_agent, "Accept-Encoding": "identity", **headers}
        proxy, answered, problem = None, False, None
        try:
            proxy = self._proxy_to(url)
            async with (
                self._reading() as session,
                session.get(url, headers=headers, timeout=timeout, allow_redirects=False, **through(proxy)) as response,
            ):
                answered = True
                yield response
        except Exception as error:
            if answered:
                raise
            problem = self._unreachable(error, proxy)
        if problem is not None:  # raised here, so that no error is behind it that holds the headers of a request
            raise problem

    def _unreachable(self, error: Exception, proxy: Proxy | None) -> Exception:
        """Return the error that says why a host of results could not be reached."""
        reason = self._reason(error, proxy)
        refused = isinstance(error, aiohttp.ClientHttpProxyError) and error.status < HTTPStatus.INTERNAL_SERVER_ERROR
        if refused or isinstance(error, ProxyUnusable):
            return DownloadError(reason, submitted="yes", hint="check the proxy")
        return aiohttp.ClientConnectionError(reason)  # may be gone the next time

    # --- Sessions ---

    @property
    def download_slots(self) -> asyncio.Semaphore:
        """The bound on downloads; one for each event loop, since a video may outlive the loop of its client."""
        loop = asyncio.get_running_loop()
        return self._downloads.setdefault(loop, asyncio.Semaphore(_DOWNLOADS))

    async def close(self) -> None:
        """Close all connections; closing twice is fine. What is read later opens, and closes, its own."""
        self._closed = True
        sessions = [session for session in (self._posts, self._reads) if session is not None]
        self._posts = self._reads = None
        async with contextlib.AsyncExitStack() as stack:  # each is closed, even if waiting for another is cut
            for session in sessions:
                stack.push_async_callback(session.close)

    def bind(self) -> None:
        """Belong to the running loop, which is the one that will close the connections; the first one stays."""
        self._home = self._home or asyncio.get_running_loop()

    def _own_reads(self) -> aiohttp.ClientSession | None:
        """Return the client's own session for reads; None where a request needs one of its own.

        Such a one gets a video that is saved after its client was closed, or in a later event loop.
        """
        self.bind()
        if self._closed or self._home is not asyncio.get_running_loop():
            return None
        if self._reads is None:
            self._reads = self._session(force_close=False)
        return self._reads

    def _reading(self) -> AbstractAsyncContextManager[aiohttp.ClientSession]:
        """Return a session for one read."""
        own = self._own_reads()
        return self._session(force_close=True) if own is None else contextlib.nullcontext(own)

    def _session(self, *, force_close: bool, **options: Any) -> aiohttp.ClientSession:  # noqa: ANN401 - of aiohttp
        # No limit: the dispatcher's semaphore bounds the requests, and a place in the pool is not waited for in secret.
        connector = self.connector(limit=0, force_close=force_close)
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            requote_redirect_url=False,  # a link may be signed as it stands
            **_MOST_HEADERS,
            **options,
        )

    def _url(self, target: str) -> yarl.URL:
        return yarl.URL(self.base_url + target, encoded=True)

    def _proxy_to(self, url: yarl.URL) -> Proxy | None:
        return of_environment(url) if self.proxy is None and self.trust_env else self.proxy

    # --- Answers ---

    async def _read(self, response: aiohttp.ClientResponse) -> Reply:
        """Read the body, as far as it comes and no further than a reply can be long."""
        body, complete = bytearray(), True
        try:
            while not response.content.at_eof():
                body += await response.content.readany()
                if len(body) > _MOST_BYTES:
                    complete = False
                    break
        except Exception:  # noqa: BLE001 - a decompressor, a connection and a timeout raise different things
            complete = False
        return self._redacted(response.status, response.headers, bytes(body), complete=complete)

    def _salvaged(self, answer: Answer, raw: bytes) -> Answer:
        """Return what can be made of all that arrived, where aiohttp or JSON made nothing of it."""
        found = salvaged(raw)
        if found is None:
            return attrs.evolve(answer, body=self._redaction.body(raw)) if isinstance(answer, NoReply) else answer
        reply = self._redacted(found.status, found.headers, found.body, complete=found.complete)
        return answer if isinstance(answer, Reply) and answer.complete and answer.body == reply.body else reply

    def _redacted(self, status: int, headers: Mapping[str, str], body: bytes, *, complete: bool) -> Reply:
        """Return a reply without the key: a server that echoes it must not bring it into an error."""
        values = "\n".join(headers.values())
        if self._redaction.may_be_in(b"\n".join((body, values.encode(errors="replace")))):  # in nearly none
            body, shown = self._redaction.body(body), self._redaction.text(values)
            if shown != values:
                headers = CIMultiDict(zip(headers, shown.split("\n"), strict=True))
        return Reply(status, headers, body, complete, time.time())

    def _reason(self, error: Exception, proxy: Proxy | None) -> str:
        """Say in words what happened: foreign ones, so that whatever is secret in them goes."""
        if isinstance(error, ProxyUnusable):
            return str(error)
        name, words = type(error).__name__, str(error)
        if isinstance(error, aiohttp.ClientResponseError):  # its own words have a URL, and its bytes those of a reply
            words = f"{error.status} {error.message}"
        told = f"{name}: {words}" if words else f"no reply in time ({name})"
        through = f" (through the proxy {proxy.url})" if proxy else ""
        return self._redaction.text(without_credentials(told))[:_LONGEST_REASON] + through


def _log_answer(method: str, target: str, answer: Answer, began: float) -> None:
    how = answer.status if isinstance(answer, Reply) else answer.reason
    _log.debug("%s %s: %s in %.0f ms", method, target, how, (time.perf_counter() - began) * 1000)
