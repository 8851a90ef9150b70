"""One request in, one answer out: addresses, headers, bounds, and what is opened and closed."""

import asyncio
import contextlib
import copy
import gc
import gzip
import logging
import pickle
import re
from collections.abc import Callable
from typing import Any

import aiohttp
import attrs
import pytest
from sockets import KEY, Server, drop, fetch, hang, now, opened, replied, unanswered, whole

from foxvideo import AuthenticationError, Client, ClientClosed, __version__
from foxvideo._http import Transport

# --- Options ---


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


# --- What is sent ---


async def test_a_submit_is_one_post_of_json_with_key_and_idempotency_key(server: Server) -> None:
    """Below the path that base_url has."""
    async with opened(f"{server.url}/fox/") as transport:
        reply = replied(await transport.submit(b'{"model": "m"}', "idem-0123456789abcdef"))

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
    async with opened(server.url, **options) as transport:  # type: ignore[arg-type]
        await _all_kinds(transport, server)

    agents = [re.findall(r"User-Agent: (.*)\r\n", request) for request in server.heard]
    assert agents == [[given or f"foxvideo/{__version__}"]] * 4


async def _all_kinds(transport: Transport, server: Server) -> None:
    form = aiohttp.MultipartWriter("form-data")
    form.append(b"content")
    await transport.submit(b"{}", "idem")
    await transport.task("task-1", sync_upstream=True)
    await transport.upload(form)
    await fetch(transport, f"{server.url}/video.mp4")


async def test_the_key_goes_to_the_api_and_not_to_the_hosts_of_results(server: Server, transport: Transport) -> None:
    """Even where both are one machine."""
    await _all_kinds(transport, server)

    *api, download = ("Authorization" in request for request in server.heard)
    assert (api, download) == ([True] * 3, False)


async def test_nothing_asks_for_compression(server: Server, transport: Transport) -> None:
    """A video does not shrink, and a length can be checked."""
    await _all_kinds(transport, server)

    assert [re.findall(r"Accept-Encoding: (.*)\r\n", request) for request in server.heard] == [["identity"]] * 4


async def test_no_cookie_is_kept(server: Server, transport: Transport) -> None:
    """One request knows nothing of another."""
    server.answer = whole(b"{}", "Set-Cookie: a=b; Path=/")

    await transport.get("/v1/models")
    await transport.get("/v1/models")

    assert "Cookie" not in server.heard[1]


async def test_no_redirect_of_the_api_is_followed(server: Server, transport: Transport) -> None:
    """The key would go along."""
    server.answer = whole(b"", f"Location: {server.url}/elsewhere", status="302 Found")

    replies = [await transport.get("/v1/models"), await transport.submit(b"{}", "idem")]

    assert [replied(reply).status for reply in replies] == [302, 302]
    assert len(server.heard) == 2


async def test_the_target_of_a_redirect_is_asked_for_as_it_stands(server: Server, transport: Transport) -> None:
    """It may be signed, character by character."""
    target = "/signed/b%2Fc/%27kite%27.mp4?Credential=AK%2F2&acl=%2f*&name=%7ekite%21&sig=a%2Bb%2Fc%3D"

    async def redirect(writer: asyncio.StreamWriter) -> None:
        first = len(server.heard) == 1
        writer.write(whole(b"", f"Location: {target}", status="302 Found") if first else whole(b"video"))

    server.answer = redirect

    assert await fetch(transport, f"{server.url}/video.mp4") == b"video"
    assert server.heard[1].split()[1] == target


async def test_a_submit_has_a_connection_of_its_own_and_reads_share_one(server: Server, transport: Transport) -> None:
    """A connection on which nothing was asked cannot have been dropped in between."""
    for _ in range(3):
        await transport.get("/v1/models")
    assert server.connections == 1

    for _ in range(3):
        await transport.submit(b"{}", "idem")
    assert server.connections == 4


# --- What comes back ---


async def test_a_reply_is_timed_by_the_wall_clock(transport: Transport) -> None:
    """A date in Retry-After is compared with it."""
    reply = replied(await transport.get("/v1/models"))

    assert reply.received > 1_700_000_000


async def test_a_body_without_an_end_is_read_no_further_than_a_megabyte(server: Server, transport: Transport) -> None:
    """And counts as cut."""

    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    server.answer = endless

    reply = replied(await transport.get("/v1/models"))

    assert not reply.complete
    assert 1 << 20 < len(reply.body) < 1 << 21


async def test_long_headers_and_many_are_read(server: Server, transport: Transport) -> None:
    """A policy of 9 KB, or what proxies add."""
    server.answer = whole(b"{}", f"Content-Security-Policy: {'x' * 9000}", *(f"X-{number}: y" for number in range(300)))

    assert replied(await transport.get("/v1/models")).body == b"{}"


async def test_a_read_takes_no_longer_than_asked_in_all(server: Server, transport: Transport) -> None:
    """Drop by drop or not at all."""

    async def drip(writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 5000:
            writer.write(bytes([byte]))
            await asyncio.sleep(4)

    for server.answer in (hang, drip):
        began = now()
        assert unanswered(await transport.get("/v1/models")).sent
        assert now() - began == pytest.approx(15.0, abs=2)


async def test_a_compressed_reply_is_understood(server: Server, transport: Transport) -> None:
    """Some proxies do not care what was asked for."""
    server.answer = whole(gzip.compress(b'{"status": "pending"}'), "Content-Encoding: gzip")

    assert replied(await transport.get("/v1/models")).body == b'{"status": "pending"}'


async def test_a_server_that_echoes_the_key_brings_it_nowhere(server: Server, transport: Transport) -> None:
    """Neither by its body nor by a header."""
    server.answer = whole(f"you are {KEY}".encode(), f"Location: https://example.com/{KEY}", f"x-request-id: {KEY}")

    reply = replied(await transport.get("/v1/models"))

    assert reply.body == b"you are [key]"
    assert reply.headers["location"] == "https://example.com/[key]"
    assert KEY not in repr((reply, dict(reply.headers)))


async def test_each_request_is_one_line_of_the_log(
    server: Server, transport: Transport, caplog: pytest.LogCaptureFixture
) -> None:
    """At DEBUG, with status and milliseconds."""
    caplog.set_level(logging.DEBUG, "foxvideo")

    await transport.task("task-1", sync_upstream=False)
    server.answer = drop
    await transport.submit(b"{}", "idem")

    well, lost = caplog.messages
    assert re.fullmatch(r"GET /v1/tasks/task-1: 200 in \d+ ms", well)
    assert re.fullmatch(r"POST /v1/videos/generations: ServerDisconnectedError: .* in \d+ ms", lost)


# --- Opening and closing ---


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

    async with opened(server.url, connector=maker) as transport:
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
    async with opened(server.url, connector=maker) as transport:
        await transport.close()

        await transport.task("task-1", sync_upstream=False)
        content = await fetch(transport, f"{server.url}/video.mp4")

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
