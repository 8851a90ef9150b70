"""Proxies: what goes through them, who learns their password, and what their failures mean."""

import asyncio
import base64
import contextlib
import functools
import logging
import re
import traceback
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import attrs
import pytest
import trustme
import yarl
from certificates import serving, trusting
from sockets import KEY, OK, Server, Speak, drop, fetch, hang, now, opened, replied, reset, unanswered, whole

from foxvideo import Client, DownloadError
from foxvideo._http import Transport
from foxvideo._http.proxy import of_environment
from foxvideo._wire.reply import Answer

PASSWORD = "hush-hush"  # noqa: S105 - of nothing


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Clear the environment of proxies."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def with_password(url: str, user: str = "me", password: str = PASSWORD) -> str:
    """Return the URL of a proxy with a password."""
    return str(yarl.URL(url).with_user(user).with_password(password))


# --- What goes through -----------------------------------------------------------------------------------------------


async def test_everything_goes_through_a_given_proxy(server: Server) -> None:
    """The host of the service need not even be known here."""
    async with opened("http://fox.invalid", proxy=server.url) as transport:
        await transport.submit(b"{}", "idem")
        await fetch(transport, "http://videos.invalid/a.mp4")

    submit, download = server.heard
    assert submit.startswith("POST http://fox.invalid/v1/videos/generations ")
    assert download.startswith("GET http://videos.invalid/a.mp4 ")


@pytest.mark.parametrize(
    ("trusted", "exempt", "through"), [(True, "", True), (False, "", False), (True, "127.0.0.1", False)]
)
async def test_a_proxy_of_the_environment_is_used_only_if_trusted(
    trusted: bool, exempt: str, through: bool, server: Server, environment: pytest.MonkeyPatch
) -> None:
    """And not for the hosts that the environment exempts."""
    async with Server().running() as proxy, opened(server.url, trust_env=trusted) as transport:
        environment.setenv("http_proxy", proxy.url)
        environment.setenv("no_proxy", exempt)
        await transport.submit(b"{}", "idem")
        await fetch(transport, f"{server.url}/video.mp4")

    assert (len(proxy.heard), len(server.heard)) == ((2, 0) if through else (0, 2))


NAMES = {
    "*": True,
    "other.example, *": True,
    "fox.example": True,
    ".fox.example": True,
    "*.fox.example": True,
    "example": True,
    "API.FOX.EXAMPLE": True,
    "other.example api.fox.example": True,
    "api.fox.example:8443": True,
    "fox.example:8443": True,
    "api.fox.example:443": False,
    "pi.fox.example": False,
    "other.example,": False,
    "10.0.0.0/8": False,
    "": False,
}
ADDRESSES = {
    "10.1.0.0/16": True,
    "10.1.2.3/8": True,
    "10.1.2.3": True,
    "10.1.2.3:8443": True,
    "10.1.2.3:80": False,
    "10.2.0.0/16": False,
    "fd00::/8": False,
    "10.1.0.0/99": False,
}
SIXES = {"fd00::/8": True, "[fd00::1]": True, "fd00::1": True, "[fd00::1]:8443": True, "[fd00::1]:80": False}
HOSTS = {"api.fox.example": NAMES, "10.1.2.3": ADDRESSES, "[fd00::1]": SIXES}


@pytest.mark.parametrize(
    ("host", "exempt", "expected"), [(host, *pair) for host, names in HOSTS.items() for pair in names.items()]
)
def test_no_proxy_knows_domains_ports_addresses_and_networks(
    host: str, exempt: str, expected: bool, environment: pytest.MonkeyPatch
) -> None:
    """As curl, Go and requests read it, each a little differently."""
    environment.setenv("https_proxy", "http://proxy.example:3128")
    environment.setenv("no_proxy", exempt)
    assert (of_environment(yarl.URL(f"https://{host}:8443/v1")) is None) is expected


def test_one_proxy_may_be_named_for_all(environment: pytest.MonkeyPatch) -> None:
    """One for the scheme comes first."""
    environment.setenv("all_proxy", "http://all.example:1")
    first = of_environment(yarl.URL("https://fox.example"))
    environment.setenv("https_proxy", "http://proxy.example:3128")
    second = of_environment(yarl.URL("https://fox.example"))
    assert [found and found.url.host for found in (first, second)] == ["all.example", "proxy.example"]


async def test_passwords_of_netrc_are_not_used(server: Server, tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    """They would go to the hosts of results, and clash with the key."""
    netrc = tmp_path / "netrc"
    netrc.write_text(f"default login me password {PASSWORD}")
    environment.setenv("NETRC", str(netrc))

    async with opened(server.url, trust_env=True) as transport:
        reply = replied(await transport.submit(b"{}", "idem"))
        await fetch(transport, f"{server.url}/video.mp4")

    assert reply.status == 200
    assert "Basic" not in "".join(server.heard)


@pytest.mark.parametrize(("user", "password"), [("me", PASSWORD), ("ü", "p@ss:wörd/#?"), ("", "x"), ("me", "")])
async def test_a_proxy_learns_its_user_and_password_in_every_request(user: str, password: str, server: Server) -> None:
    """In requests that it reads, in those behind a redirect too, and in CONNECT; in its own header."""
    login = base64.b64encode(f"{user}:{password}".encode()).decode()

    async def redirect(writer: asyncio.StreamWriter) -> None:
        first = "a.mp4" in server.heard[-1]
        writer.write(whole(b"", "Location: http://videos.invalid/b.mp4", status="302 Found") if first else OK)

    server.answer = redirect
    async with opened("http://fox.invalid", proxy=with_password(server.url, user, password)) as transport:
        await transport.submit(b"{}", "idem")
        await transport.get("/v1/models")
        await fetch(transport, "http://videos.invalid/a.mp4")
        with contextlib.suppress(aiohttp.ClientError):
            await fetch(transport, "https://videos.invalid/c.mp4")

    assert [request.split()[0] for request in server.heard] == ["POST", "GET", "GET", "GET", "CONNECT"]
    assert [re.findall("Proxy-Authorization: (.*)\r\n", request) for request in server.heard] == [
        [f"Basic {login}"]
    ] * 5


@pytest.mark.parametrize("target", ["submission", "result"])
async def test_nobody_behind_a_tunnel_learns_the_password_of_the_proxy(target: str) -> None:
    """Only the proxy reads it."""
    authority = trustme.CA()
    connector = functools.partial(aiohttp.TCPConnector, ssl=trusting(authority))
    async with (
        Server(tls=serving(authority)).running() as behind,
        Server(functools.partial(_tunnel, behind)).running() as proxy,
        opened(behind.url, proxy=with_password(proxy.url), connector=connector) as transport,
    ):
        if target == "submission":
            assert replied(await transport.submit(b"{}", "idem")).body == b'{"status": "pending"}'
        else:
            assert await fetch(transport, f"{behind.url}/a.mp4") == b'{"status": "pending"}'

    assert "Proxy-Authorization" in proxy.heard[0]
    assert len(behind.heard) == 1
    assert "Proxy-Authorization" not in behind.heard[0]


async def _tunnel(behind: Server, writer: asyncio.StreamWriter) -> None:
    """Answer CONNECT, and hand on what comes from either side."""
    port = yarl.URL(behind.url).port
    inner, outer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    reader: asyncio.StreamReader = writer.transport.get_protocol()._stream_reader  # type: ignore[attr-defined]

    async def hand_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                target.write(data)
        target.close()

    try:
        await asyncio.gather(hand_on(reader, outer), hand_on(inner, writer))
    finally:
        outer.transport.abort()
        with contextlib.suppress(OSError):
            await outer.wait_closed()


# --- What is no proxy ------------------------------------------------------------------------------------------------

NONE = {
    "no scheme": f"me:{PASSWORD}@127.0.0.1:9",
    "no scheme, a host that looks like one": f"proxy:{PASSWORD}",
    "a # in the password": f"http://me:{PASSWORD}#1@127.0.0.1:9",
    "digits before a #": f"http://me:12#{PASSWORD}@127.0.0.1:9",
    "a / in the password": f"http://me:12/{PASSWORD}@127.0.0.1:9",
    "a ? in the password": f"http://me:12?{PASSWORD}@127.0.0.1:9",
    "no such port": f"http://me:{PASSWORD}@127.0.0.1:99999",
    "a port that is none": f"http://me:{PASSWORD}@127.0.0.1:many",
    "no host": f"http://me:{PASSWORD}@",
    "a bracket": f"http://me:{PASSWORD}@[::1",
    "SOCKS": f"socks5://me:{PASSWORD}@127.0.0.1:9",
    "FTP": f"ftp://me:{PASSWORD}@127.0.0.1:9",
    "empty": "",
}


def faces(error: BaseException | None) -> Iterator[str]:
    """Return all that an error shows of itself and of those behind it."""
    while error is not None:
        yield "".join(traceback.format_exception(error)) + repr(error) + repr(error.args) + repr(vars(error))
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("proxy", NONE.values(), ids=NONE)
def test_a_proxy_that_is_none_is_refused_and_not_shown(proxy: str) -> None:
    """Only http(s) proxies are known, and foreign words about a URL would quote it."""
    with pytest.raises(ValueError, match=r"proxy must be an http\(s\) URL") as caught:
        Transport("https://example.com", KEY, 60.0, 15.0, proxy=proxy)

    assert PASSWORD not in "".join(faces(caught.value))


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("proxy", {name: url for name, url in NONE.items() if url}.values())
async def test_a_proxy_of_the_environment_that_is_none_sends_nothing_and_is_not_shown(
    proxy: str, scheme: str, environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The words say that it is about the proxy."""
    caplog.set_level(logging.DEBUG)
    environment.setenv(f"{scheme}_proxy", proxy)

    async with opened(f"{scheme}://fox.invalid", trust_env=True) as transport:
        answer, read = unanswered(await transport.submit(b"{}", "idem")), unanswered(await transport.get("/v1/models"))
        with pytest.raises(DownloadError, match="proxy") as caught:
            await fetch(transport, f"{scheme}://videos.invalid/a.mp4")

    assert not answer.sent
    assert all(f"the {scheme} proxy of the environment" in reason for reason in (answer.reason, read.reason))
    assert PASSWORD not in "".join(faces(caught.value)) + answer.reason + read.reason + caplog.text


def test_the_password_of_a_proxy_is_in_no_repr() -> None:
    """Nor is the header that has it."""
    transport = Transport("https://example.com", KEY, 60.0, 15.0, proxy=f"http://me:{PASSWORD}@proxy:3128")
    login = base64.b64encode(f"me:{PASSWORD}".encode()).decode()

    assert "http://proxy:3128" in repr(transport)
    assert not any(secret in repr(transport) for secret in (PASSWORD, login))
    assert PASSWORD not in repr(vars(Client(KEY, proxy=f"http://me:{PASSWORD}@proxy:3128")))


# --- What breaks on the way ------------------------------------------------------------------------------------------

NO_TUNNEL: dict[str, bytes | Speak] = {
    "asks for a password": whole(b"", status="407 Proxy Authentication Required"),
    "forbids": whole(b"<html>", status="403 Forbidden"),
    "cannot connect": whole(b"<html>", status="502 Bad Gateway"),
    "answers a page": whole(b"<html>", status="500 Oops"),
    "hangs up": drop,
    "breaks": reset,
    "is silent": hang,
    "is no proxy": b"220 smtp.example.com ESMTP\r\n\r\n",
    "goes on in the clear": OK + b"HTTP/1.1 200 OK\r\n\r\n",
}


@attrs.define
class Seen:
    """What became of requests through a proxy."""

    submission: Answer
    read: Answer
    download: BaseException
    text: str


async def _seen(proxy: str, base: str, log: pytest.LogCaptureFixture) -> Seen:
    log.set_level(logging.DEBUG)
    async with opened(base, proxy=proxy) as transport:
        submission, read = await transport.submit(b"{}", "idem"), await transport.get("/v1/models")
        with pytest.raises((DownloadError, aiohttp.ClientError, TimeoutError)) as caught:
            await fetch(transport, f"{base}/a.mp4")
    records = " ".join(f"{record.getMessage()} {record.__dict__!r}" for record in log.records)
    text = f"{unanswered(submission)!r} {unanswered(read)!r} {' '.join(faces(caught.value))} {records}"
    return Seen(submission, read, caught.value, text)


@pytest.mark.parametrize("answer", NO_TUNNEL.values(), ids=NO_TUNNEL)
async def test_a_proxy_that_makes_no_tunnel_sends_nothing_and_is_named_without_its_password(
    answer: bytes | Speak, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in errors and those behind them, nor in a line of the log; and the words say that a proxy is there."""
    server.answer = answer

    seen = await _seen(with_password(server.url), "https://fox.invalid", caplog)

    assert all(request.startswith("CONNECT ") for request in server.heard)
    assert not unanswered(seen.submission).sent
    login = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    assert not any(secret in seen.text for secret in (PASSWORD, login))
    words = (unanswered(seen.submission).reason, unanswered(seen.read).reason, str(seen.download))
    assert all("proxy" in each for each in words)


async def test_a_proxy_that_cannot_be_reached_is_named_without_its_password(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing was sent."""
    async with Server().running() as gone:
        url = gone.url

    for base in ("http://fox.invalid", "https://fox.invalid"):
        seen = await _seen(with_password(url), base, caplog)

        assert not unanswered(seen.submission).sent
        assert PASSWORD not in seen.text
        assert "proxy" in unanswered(seen.submission).reason
        assert "proxy" in str(seen.download)


@pytest.mark.parametrize("how", ["asks for a password", "forbids"])
async def test_a_download_that_a_proxy_refuses_ends_at_once_and_is_tried_again_where_it_could_not(
    how: str, server: Server
) -> None:
    """The first will not change by itself."""
    async with opened("https://fox.invalid", proxy=server.url) as transport:
        server.answer = NO_TUNNEL[how]
        with pytest.raises(DownloadError, match="proxy") as caught:
            await fetch(transport, "https://videos.invalid/a.mp4")
        assert caught.value.submitted == "yes"
        server.answer = NO_TUNNEL["cannot connect"]
        with pytest.raises(aiohttp.ClientConnectionError, match="proxy"):
            await fetch(transport, "https://videos.invalid/a.mp4")


async def test_a_tunnel_to_a_server_that_is_not_trusted_carries_nothing() -> None:
    """The handshake is with the server behind."""
    authority = trustme.CA()
    async with (
        Server(tls=serving(authority)).running() as behind,
        Server(functools.partial(_tunnel, behind)).running() as proxy,
        opened(behind.url, proxy=proxy.url) as transport,
    ):
        answer = unanswered(await transport.submit(b"{}", "idem"))

    assert not answer.sent
    assert "through the proxy" in answer.reason
    assert behind.heard == []


async def test_a_proxy_that_read_the_request_may_have_passed_it_on(server: Server) -> None:
    """Without TLS it gets the request itself."""
    server.answer = drop
    async with opened("http://fox.invalid", proxy=server.url) as transport:
        answer = unanswered(await transport.submit(b"{}", "idem"))

    assert answer.sent
    assert "through the proxy" in answer.reason


async def test_a_silent_proxy_is_left_after_the_time_for_connecting(server: Server) -> None:
    """However long a reply may take."""
    server.answer = hang
    began = now()
    async with opened("https://fox.invalid", request_timeout=600.0, proxy=server.url) as transport:
        assert not unanswered(await transport.submit(b"{}", "idem")).sent

    assert now() - began <= 17
