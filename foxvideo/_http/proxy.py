"""Proxies: where they are, and their passwords, which no error shows."""

import base64
import contextlib
from collections.abc import Mapping
from typing import Any

import aiohttp
import attrs
import yarl

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
