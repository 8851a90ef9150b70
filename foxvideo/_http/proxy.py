"""Proxies: where they are, and their passwords, which no error shows."""

import base64
import contextlib
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar
from urllib.request import getproxies, proxy_bypass

import aiohttp
import attrs
import yarl

P = ParamSpec("P")
T = TypeVar("T")

_WEB = frozenset({"http", "https"})


def web_url(text: str) -> yarl.URL | None:
    """Return an http(s) URL; None for any other text, since yarl's own words would quote a password."""
    with contextlib.suppress(ValueError):
        url = yarl.URL(text)
        if url.scheme in _WEB and url.host and url.port:
            return url
    return None


class ProxyUnusable(ValueError):
    """A setting names a proxy that cannot be used."""


@attrs.frozen
class Proxy:
    """A proxy, whose password goes into a header alone: aiohttp and its errors see a URL that has none."""

    url: yarl.URL
    headers: Mapping[str, str] = attrs.field(repr=False)

    @classmethod
    def of(cls, text: str, whose: str = "proxy") -> "Proxy":
        """Return the proxy that a setting names.

        Raises:
            ProxyUnusable: It is not an http(s) URL.
        """
        url = web_url(text)
        if url is None or "@" in url.raw_path_qs + url.raw_fragment:  # a password with / ? or # that was not quoted
            raise ProxyUnusable(f"{whose} must be an http(s) URL, its user and password percent-encoded")
        if url.user is None and url.password is None:
            return cls(url, {})
        login = base64.b64encode(f"{url.user or ''}:{url.password or ''}".encode()).decode()
        return cls(url.with_user(None), {"Proxy-Authorization": f"Basic {login}"})


def of_environment(url: yarl.URL) -> Proxy | None:
    """Return the proxy through which the environment leads to a URL; None where it leads there directly.

    aiohttp's own way would also send passwords of ~/.netrc, and knows neither ports nor networks in ``no_proxy``.

    Raises:
        ProxyUnusable: What it names is no proxy that can be used.
    """
    named = getproxies()
    found = named.get(url.scheme) or named.get("all")
    host, port = (url.host or "").lower(), url.port
    exempt = any(_covers(name, host, port) for name in re.split(r"[,\s]+", named.get("no", "").lower()) if name)
    if not found or exempt or proxy_bypass(host):  # the last is for systems that keep such names elsewhere
        return None
    return Proxy.of(found, f"the {url.scheme} proxy of the environment")


def _covers(name: str, host: str, port: int | None) -> bool:
    """Whether a name of ``no_proxy`` covers a host: all, a domain, an address or a network, with or without a port."""
    own, _, wanted = name.rpartition(":") if re.fullmatch(r"(\[.*\]|[^:]*):[0-9]+", name) else (name, "", "")
    if wanted and int(wanted) != port:
        return False
    if own == "*":
        return True
    own = own.removeprefix("*").lstrip(".").strip("[]")
    if (address := _parsed(ipaddress.ip_address, host)) is not None:
        network = _parsed(ipaddress.ip_network, own, strict=False)
        return network is not None and address in network
    return bool(own) and f".{host}".endswith(f".{own}")


def _parsed(parse: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    with contextlib.suppress(ValueError):
        return parse(*args, **kwargs)
    return None


def through(proxy: Proxy | None, *watching: aiohttp.ClientMiddlewareType) -> dict[str, Any]:
    """Return the options of aiohttp for a request that goes through a proxy, and is watched."""
    if proxy is None:
        return {"middlewares": watching} if watching else {}
    middlewares = (*watching, _authorized) if proxy.headers else watching
    return {"proxy": proxy.url, "proxy_headers": proxy.headers or None, "middlewares": middlewares}


async def _authorized(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Tell a proxy who we are in each request that it reads; aiohttp does so in CONNECT alone."""
    if request.proxy_headers and not request.is_ssl():
        request.headers["Proxy-Authorization"] = request.proxy_headers["Proxy-Authorization"]
    return await send(request)
