"""One request in, one reply out: addresses, headers, bounds, and what every broken answer becomes."""

import asyncio
import contextlib
import copy
import functools
import gc
import gzip
import logging
import pickle
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest
import yarl

from foxvideo import AuthenticationError, Client, ClientClosed, __version__
from foxvideo._http import Transport
from foxvideo._wire.decode import Answer, NoReply, Reply

KEY = "sk-0123456789abcdefghij"

Speak = Callable[[asyncio.StreamWriter], Awaitable[None]]


def _whole(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


OK = _whole(b'{"status": "pending"}')


@attrs.define(eq=False)
class Server:
    """Answers every request with the same bytes, or as a function says, and remembers what it heard."""

    answer: bytes | Speak = OK
    tls: ssl.SSLContext | None = None
    heard: list[str] = attrs.field(factory=list)
    connections: int = 0
    url: str = ""
    _talks: dict["asyncio.Task[Any] | None", asyncio.StreamWriter] = attrs.field(factory=dict)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Server"]:
        """Listen on a free port of this machine."""
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0, ssl=self.tls)
        scheme = "https" if self.tls else "http"
        self.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for talk, writer in self._talks.items():
                if talk:
                    talk.cancel()
                writer.transport.abort()
            await asyncio.sleep(0.1)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._talks[asyncio.current_task()] = writer
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"(?i)content-length: (\d+)", head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                self.heard.append((head + body).decode())
                await self._answer(writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        if isinstance(self.answer, bytes):
            writer.write(self.answer)
            await writer.drain()
        else:
            await self.answer(writer)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Run a server that answers well until a test says otherwise."""
    async with Server().running() as running:
        yield running


@contextlib.asynccontextmanager
async def _open(
    url: str,
    request_timeout: float = 60.0,
    **options: Any,  # noqa: ANN401 - options of Transport
) -> AsyncIterator[Transport]:
    transport = Transport(url, KEY, request_timeout, 15.0, **options)
    try:
        yield transport
    finally:
        await transport.close()


@pytest.fixture
async def transport(server: Server) -> AsyncIterator[Transport]:
    """Open the connections to that server."""
    async with _open(server.url) as opened:
        yield opened


def _reply(answer: Answer) -> Reply:
    assert isinstance(answer, Reply)
    return answer


def _lost(answer: Answer) -> NoReply:
    assert isinstance(answer, NoReply)
    return answer


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _fetch(transport: Transport, url: str) -> bytes:
    async with transport.download(yarl.URL(url)) as response:
        return await response.read()


# --- Options -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://api.foxapi.cc", "https://api.foxapi.cc"),
        ("https://api.foxapi.cc/", "https://api.foxapi.cc"),
        ("http://127.0.0.1:8080//", "http://127.0.0.1:8080"),
        ("https://example.com/fox/v2/", "https://example.com/fox/v2"),
        ("https://example.com/a b", "https://example.com/a%20b"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_a_base_url_keeps_its_path_and_loses_its_last_slash(given: str, kept: str) -> None:
    """So that both spellings are one service."""
    assert Transport(given, KEY, 60.0, 15.0).base_url == kept


@pytest.mark.parametrize(
    "given",
    [
        "",
        "api.foxapi.cc",
        "ftp://api.foxapi.cc",
        "https://",
        "https://me@api.foxapi.cc",
        "https://:hush-hush@api.foxapi.cc",
        "https://me:hush-hush@api.foxapi.cc",
        "https://api.foxapi.cc?key=hush-hush",
        "https://api.foxapi.cc#hush-hush",
        "https://me:hush-hush@api.foxapi.cc:99999",
    ],
)
def test_a_base_url_with_anything_else_is_refused_and_not_shown(given: str) -> None:
    """A password in it would be overruled by the key, or leak."""
    with pytest.raises(ValueError, match=r".") as caught:
        Transport(given, KEY, 60.0, 15.0)

    assert "hush-hush" not in repr(caught.value)


@pytest.mark.parametrize("key", ["", "  ", "sk a", "sk-\n-b", "sk-ü", "sk-\x00", 'sk-"a"', "sk-\\"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(key: str) -> None:
    """Before anything is sent."""
    with pytest.raises(AuthenticationError) as caught:
        Transport("https://example.com", key, 60.0, 15.0)

    assert key.strip() == "" or key not in str(caught.value)


@pytest.mark.parametrize("agent", ["", "a\r\nX-Evil: 1", "füchse"])
def test_a_user_agent_that_no_header_can_carry_is_refused(agent: str) -> None:
    """Sending would fail, and look as if the submit had left."""
    with pytest.raises(ValueError, match="user_agent"):
        Transport("https://example.com", KEY, 60.0, 15.0, user_agent=agent)


@pytest.mark.parametrize("proxy", ["", "me:hush-hush@proxy:3128", "socks5://me:hush-hush@proxy"])
def test_a_proxy_that_is_none_is_refused_and_not_shown(proxy: str) -> None:
    """Only http(s) proxies are known."""
    with pytest.raises(ValueError, match=r"proxy must be an http\(s\) URL") as caught:
        Transport("https://example.com", KEY, 60.0, 15.0, proxy=proxy)

    assert "hush-hush" not in repr(caught.value)


async def test_a_connector_in_place_of_its_maker_is_refused() -> None:
    """It would fail at the first submit."""
    connector = aiohttp.TCPConnector()

    with pytest.raises(TypeError, match="connector"):
        Transport("https://example.com", KEY, 60.0, 15.0, connector=connector)  # type: ignore[arg-type]
    await connector.close()


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_what_holds_the_key_cannot_be_copied(duplicate: Callable[[object], object]) -> None:
    """A pickle is a file."""
    with pytest.raises(TypeError, match="API key"):
        duplicate(Transport("https://example.com", KEY, 60.0, 15.0))


# --- What is sent --------------------------------------------------------------------------------------------------


async def test_a_submit_is_one_post_of_json_with_key_and_idempotency_key(server: Server) -> None:
    """Below the path that base_url has."""
    async with _open(f"{server.url}/fox/") as transport:
        reply = _reply(await transport.submit(b'{"model": "m"}', "idem-0123456789abcdef"))

    (sent,) = server.heard
    assert sent.startswith("POST /fox/v1/videos/generations HTTP/1.1\r\n")
    assert sent.endswith('\r\n\r\n{"model": "m"}')
    assert f"Authorization: Bearer {KEY}\r\n" in sent
    assert "Idempotency-Key: idem-0123456789abcdef\r\n" in sent
    assert "Content-Type: application/json\r\n" in sent
    assert (reply.status, reply.body, reply.complete) == (200, b'{"status": "pending"}', True)


@pytest.mark.parametrize(
    ("task_id", "sync", "target"),
    [
        ("task-unified-1-a", True, "/v1/tasks/task-unified-1-a?sync_upstream=true"),
        ("task-unified-1-a", False, "/v1/tasks/task-unified-1-a"),
        ("a/../b ?#%ü", False, "/v1/tasks/a%2F..%2Fb%20%3F%23%25%C3%BC"),
    ],
)
async def test_a_task_is_asked_for_by_its_quoted_id(
    task_id: str, sync: bool, target: str, server: Server, transport: Transport
) -> None:
    """An id is opaque: it must not lead to another path."""
    await transport.task(task_id, sync_upstream=sync)

    assert server.heard[0].startswith(f"GET {target} HTTP/1.1\r\n")


@pytest.mark.parametrize("given", [None, "Mozilla/5.0"])
async def test_every_request_calls_itself_as_told(given: str | None, server: Server) -> None:
    """Cloudflare refuses the names of libraries."""
    options = {"user_agent": given} if given else {}
    async with _open(server.url, **options) as transport:  # type: ignore[arg-type]
        await _all_kinds(transport, server)

    agents = [re.findall(r"User-Agent: (.*)\r\n", request) for request in server.heard]
    assert agents == [[given or f"foxvideo/{__version__}"]] * 4


async def _all_kinds(transport: Transport, server: Server) -> None:
    form = aiohttp.MultipartWriter("form-data")
    form.append(b"content")
    await transport.submit(b"{}", "idem")
    await transport.task("task-1", sync_upstream=True)
    await transport.upload(form)
    await _fetch(transport, f"{server.url}/film.mp4")


async def test_the_key_goes_to_the_api_and_not_to_the_hosts_of_results(server: Server, transport: Transport) -> None:
    """Even where both are one machine."""
    await _all_kinds(transport, server)

    *api, download = ("Authorization" in request for request in server.heard)
    assert (api, download) == ([True] * 3, False)


async def test_nothing_asks_for_compression(server: Server, transport: Transport) -> None:
    """A film does not shrink, and a length can be checked."""
    await _all_kinds(transport, server)

    assert [re.findall(r"Accept-Encoding: (.*)\r\n", request) for request in server.heard] == [["identity"]] * 4


async def test_no_cookie_is_kept(server: Server, transport: Transport) -> None:
    """One request knows nothing of another."""
    server.answer = _whole(b"{}", "Set-Cookie: a=b; Path=/")

    await transport.get("/v1/models")
    await transport.get("/v1/models")

    assert "Cookie" not in server.heard[1]


async def test_no_redirect_of_the_api_is_followed(server: Server, transport: Transport) -> None:
    """The key would go along."""
    server.answer = _whole(b"", f"Location: {server.url}/elsewhere", status="302 Found")

    replies = [await transport.get("/v1/models"), await transport.submit(b"{}", "idem")]

    assert [_reply(reply).status for reply in replies] == [302, 302]
    assert len(server.heard) == 2


async def test_a_submit_has_a_connection_of_its_own_and_reads_share_one(server: Server, transport: Transport) -> None:
    """A connection on which nothing was asked cannot have been dropped in between."""
    for _ in range(3):
        await transport.get("/v1/models")
    assert server.connections == 1

    for _ in range(3):
        await transport.submit(b"{}", "idem")
    assert server.connections == 4


# --- What comes back -----------------------------------------------------------------------------------------------


async def test_a_reply_is_timed_by_the_wall_clock(transport: Transport) -> None:
    """A date in Retry-After is compared with it."""
    reply = _reply(await transport.get("/v1/models"))

    assert reply.received > 1_700_000_000


async def test_a_body_without_an_end_is_read_no_further_than_a_megabyte(server: Server, transport: Transport) -> None:
    """And counts as cut."""

    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    server.answer = endless

    reply = _reply(await transport.get("/v1/models"))

    assert not reply.complete
    assert 1 << 20 < len(reply.body) < 1 << 21


@pytest.mark.parametrize("beginning", [b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", b""], ids=["body", "head"])
async def test_a_reply_to_a_submit_that_comes_in_drops_is_given_up(
    beginning: bytes, server: Server, transport: Transport
) -> None:
    """Each drop comes in time, the whole never would."""

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        for drop in b"HTTP/1.1 200 OK " + b"x" * 5000:
            writer.write(bytes([drop]))
            await asyncio.sleep(10)

    server.answer = drip
    began = _now()

    answer = _lost(await transport.submit(b"{}", "idem"))

    assert answer.sent
    assert "too slowly" in answer.reason
    assert _now() - began == pytest.approx(150.0, abs=1)


async def test_a_submit_is_waited_for_as_long_as_asked(server: Server, transport: Transport) -> None:
    """Then nobody knows whether it was taken."""
    server.answer = _hang
    began = _now()

    answer = _lost(await transport.submit(b"{}", "idem"))

    assert answer.sent
    assert _now() - began == pytest.approx(60.0, abs=2)


async def _hang(_: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def test_a_read_takes_no_longer_than_asked_in_all(server: Server, transport: Transport) -> None:
    """Drop by drop or not at all."""

    async def drip(writer: asyncio.StreamWriter) -> None:
        for drop in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 5000:
            writer.write(bytes([drop]))
            await asyncio.sleep(4)

    for server.answer in (_hang, drip):
        began = _now()
        assert _lost(await transport.get("/v1/models")).sent
        assert _now() - began == pytest.approx(15.0, abs=2)


async def _drop(writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize("answer", [_drop, b"220 ftp.example.com ready\r\n\r\n"], ids=["dropped", "not HTTP"])
async def test_a_submit_without_a_reply_may_have_arrived(
    answer: bytes | Speak, server: Server, transport: Transport
) -> None:
    """So it counts as sent."""
    server.answer = answer

    lost = _lost(await transport.submit(b"{}", "idem"))

    assert lost.sent
    assert len(server.heard) == 1


async def test_a_refused_connection_proves_that_nothing_was_sent() -> None:
    """The one thing that leaves a submit free to be repeated."""
    async with Server().running() as gone:
        url = gone.url

    async with _open(url) as transport:
        lost = _lost(await transport.submit(b"{}", "idem"))

    assert not lost.sent
    assert "ClientConnectorError" in lost.reason


async def test_a_connection_that_is_never_made_proves_that_nothing_was_sent(server: Server) -> None:
    """Here the server listens, and answers no handshake; however short the wait for a reply is."""
    await asyncio.sleep(0.5)  # aiohttp rounds the end of a wait up to whole seconds
    began = _now()

    async with _open(server.url.replace("http:", "https:"), request_timeout=0.01) as transport:
        lost = _lost(await transport.submit(b"{}", "idem"))

    assert not lost.sent
    assert 15.0 <= _now() - began <= 17.0


async def test_a_body_that_breaks_off_keeps_what_came(server: Server, transport: Transport) -> None:
    """It may show an id."""

    async def half(writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"id": "task-1"')
        writer.close()

    server.answer = half

    reply = _reply(await transport.submit(b"{}", "idem"))

    assert (reply.body, reply.complete) == (b'{"id": "task-1"', False)


async def test_a_compressed_reply_is_understood(server: Server, transport: Transport) -> None:
    """Some proxies do not care what was asked for."""
    server.answer = _whole(gzip.compress(b'{"status": "pending"}'), "Content-Encoding: gzip")

    assert _reply(await transport.get("/v1/models")).body == b'{"status": "pending"}'


async def test_a_reply_that_is_compressed_badly_is_a_broken_one(server: Server, transport: Transport) -> None:
    """Not a traceback of a decoder."""
    server.answer = _whole(b"no gzip", "Content-Encoding: gzip")

    reply = _reply(await transport.submit(b"{}", "idem"))

    assert (reply.body, reply.complete) == (b"", False)


async def test_a_server_that_echoes_the_key_brings_it_nowhere(server: Server, transport: Transport) -> None:
    """Neither by its body nor by a header."""
    server.answer = _whole(f"you are {KEY}".encode(), f"Location: https://example.com/{KEY}", f"x-request-id: {KEY}")

    reply = _reply(await transport.get("/v1/models"))

    assert reply.body == b"you are [key]"
    assert reply.headers["location"] == "https://example.com/[key]"
    assert KEY not in repr((reply, dict(reply.headers)))


async def test_a_short_key_is_left_alone_where_it_occurs_by_chance(server: Server) -> None:
    """An emulator's key is no secret, and an id must arrive as it is."""
    server.answer = _whole(b'{"id": "task-sk-1"}')
    transport = Transport(server.url, "sk-1", 60.0, 15.0)

    reply = _reply(await transport.submit(b"{}", "idem"))
    await transport.close()

    assert reply.body == b'{"id": "task-sk-1"}'


async def test_each_request_is_one_line_of_the_log(
    server: Server, transport: Transport, caplog: pytest.LogCaptureFixture
) -> None:
    """At DEBUG, with status and milliseconds."""
    caplog.set_level(logging.DEBUG, "foxvideo")

    await transport.task("task-1", sync_upstream=False)
    server.answer = _drop
    await transport.submit(b"{}", "idem")

    well, lost = caplog.messages
    assert re.fullmatch(r"GET /v1/tasks/task-1: 200 in \d+ ms", well)
    assert re.fullmatch(r"POST /v1/videos/generations: ServerDisconnectedError: .* in \d+ ms", lost)


# --- TLS and proxies -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a key and a certificate that nobody trusts."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl makes the certificate")
    made = tmp_path_factory.mktemp("tls") / "both.pem"
    wish = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1"
    subprocess.run(  # noqa: S603 - our own words
        [openssl, *wish.split(), "-keyout", made, "-out", f"{made}.crt"], check=True, capture_output=True
    )
    with made.open("ab") as both:
        both.write(Path(f"{made}.crt").read_bytes())
    return made


@pytest.mark.parametrize("pinned", [False, True], ids=["untrusted", "another fingerprint"])
async def test_a_server_that_is_not_trusted_gets_no_request(pinned: bool, certificate: Path) -> None:
    """Nothing was sent, so nothing can have been made."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    connector = functools.partial(aiohttp.TCPConnector, ssl=aiohttp.Fingerprint(b"\0" * 32) if pinned else True)

    async with Server(tls=context).running() as server, _open(server.url, connector=connector) as transport:
        lost = _lost(await transport.submit(b"{}", "idem"))

    assert not lost.sent
    assert server.heard == []


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Clear the environment of proxies."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


async def test_everything_goes_through_a_given_proxy(server: Server) -> None:
    """The host of the service need not even be known here."""
    async with _open("http://fox.invalid", proxy=server.url) as transport:
        await transport.submit(b"{}", "idem")
        await _fetch(transport, "http://films.invalid/a.mp4")

    submit, download = server.heard
    assert submit.startswith("POST http://fox.invalid/v1/videos/generations ")
    assert download.startswith("GET http://films.invalid/a.mp4 ")


@pytest.mark.parametrize(
    ("trusted", "exempt", "through"), [(True, "", True), (False, "", False), (True, "127.0.0.1", False)]
)
async def test_a_proxy_of_the_environment_is_used_only_if_trusted(
    trusted: bool, exempt: str, through: bool, server: Server, no_proxies: pytest.MonkeyPatch
) -> None:
    """And not for the hosts that the environment exempts."""
    async with Server().running() as proxy, _open(server.url, trust_env=trusted) as transport:
        no_proxies.setenv("http_proxy", proxy.url)
        no_proxies.setenv("no_proxy", exempt)
        await transport.submit(b"{}", "idem")
        await _fetch(transport, f"{server.url}/film.mp4")

    assert (len(proxy.heard), len(server.heard)) == ((2, 0) if through else (0, 2))


async def test_passwords_of_the_environment_are_not_used(
    server: Server, tmp_path: Path, no_proxies: pytest.MonkeyPatch
) -> None:
    """They would go to the hosts of results, and clash with the key."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password hush-hush")
    no_proxies.setenv("NETRC", str(netrc))

    async with _open(server.url, trust_env=True) as transport:
        reply = _reply(await transport.submit(b"{}", "idem"))
        await _fetch(transport, f"{server.url}/film.mp4")

    assert reply.status == 200
    assert "Basic" not in "".join(server.heard)


async def test_a_proxy_that_refuses_the_tunnel_proves_that_nothing_was_sent(server: Server) -> None:
    """And its password is not told."""
    server.answer = _whole(b"", status="407 Proxy Authentication Required")
    proxy = str(yarl.URL(server.url).with_user("me").with_password("hush-hush"))

    async with _open("https://fox.invalid", proxy=proxy) as transport:
        lost = _lost(await transport.submit(b"{}", "idem"))

    assert server.heard[0].startswith("CONNECT fox.invalid:443 ")
    assert not lost.sent
    assert "hush-hush" not in repr(lost)
    assert lost.cause is None


# --- Opening and closing -------------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Maker:
    """Makes connectors, and remembers how."""

    asked: list[dict[str, Any]] = attrs.field(factory=list)
    made: list[aiohttp.TCPConnector] = attrs.field(factory=list)

    def __call__(self, **options: Any) -> aiohttp.TCPConnector:  # noqa: ANN401 - options of aiohttp
        """Make one."""
        self.asked.append(options)
        self.made.append(aiohttp.TCPConnector(**options))
        return self.made[-1]


async def test_the_connectors_are_made_when_needed_and_closed_at_the_end(server: Server) -> None:
    """One for submits that keeps nothing, one for all else, none with a limit."""
    maker = Maker()

    async with _open(server.url, connector=maker) as transport:
        assert (maker.asked, transport.opened) == ([], False)
        await _all_kinds(transport, server)
        assert transport.opened

    assert maker.asked == [{"limit": 0, "force_close": True}, {"limit": 0, "force_close": False}]
    assert [connector.closed for connector in maker.made] == [True, True]
    assert not transport.opened


async def test_closing_twice_is_fine(transport: Transport) -> None:
    """And closing what was never opened."""
    await transport.close()
    await transport.get("/v1/models")
    await transport.close()


async def test_after_closing_nothing_is_submitted(server: Server, transport: Transport) -> None:
    """Nobody would be there for its answer."""
    await transport.close()

    with pytest.raises(ClientClosed):
        await transport.submit(b"{}", "idem")
    assert server.heard == []


async def test_after_closing_a_read_opens_and_closes_a_connection_of_its_own(server: Server) -> None:
    """A video can be saved later, and leaves nothing open."""
    maker = Maker()
    async with _open(server.url, connector=maker) as transport:
        await transport.close()

        await transport.task("task-1", sync_upstream=False)
        content = await _fetch(transport, f"{server.url}/film.mp4")

        assert not transport.opened
    gc.collect()  # an unclosed session would warn
    assert content == b'{"status": "pending"}'
    assert [connector.closed for connector in maker.made] == [True, True]


async def test_the_options_of_the_client_reach_the_connections(server: Server) -> None:
    """All of them go one way."""
    async with Client(KEY, server.url, user_agent="Mozilla/5.0", proxy=server.url) as client:
        with contextlib.suppress(Exception):
            await client.models()

    assert server.heard[0].startswith(f"GET {server.url}/v1/models ")
    assert "User-Agent: Mozilla/5.0" in server.heard[0]
