"""Ways in which an answer can break, which answers break, and the breaking itself.

`Fault` and `Faults` are plain values that a test writes down; `Script` decides request by request; `play`
breaks one answer on the wire. What a request would have meant is the routes' business.
"""

import asyncio
import random
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from http.client import responses
from typing import Any, Final, Literal, get_args

import attrs
from aiohttp import web

from foxvideo.emulator.replies import refused

How = Literal[
    "reset",
    "hang",
    "error",
    "html",
    "half_body",
    "stall",
    "slow",
    "garbage",
    "empty",
    "rate_limit",
    "redirect",
    "cloudflare",
]
Kind = Literal["submit", "poll", "upload", "result", "models", "account"]

_PAGE: Final = """<!DOCTYPE html>
<html lang="en-US">
<head><title>127.0.0.1 | {status}: {phrase}</title></head>
<body><div id="cf-wrapper"><h1>{phrase} <span>Error code {status}</span></h1>
<p>Cloudflare Ray ID: 8f00000000000000</p></div></body>
</html>
"""
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


def one_of(words: Iterable[str]) -> Callable[[object, "attrs.Attribute[Any]", object], None]:
    """Return a validator of options that takes these words alone, and names them in its ValueError."""
    allowed = tuple(words)

    def check(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if value not in allowed:
            raise ValueError(f"{attribute.name}: {value!r} is none of {', '.join(allowed)}")

    return check


@attrs.frozen
class Fault:
    """One way in which an answer breaks.

    Args:
        how: `reset` (the connection is reset), `hang` (no answer until the emulator closes), `error` (the
            documented JSON body for `status`), `html` (a page like Cloudflare's with `status`), `half_body`
            (the connection closes before the announced length), `stall` (the answer stops in its middle, and the
            connection stays), `slow` (the answer is good and begins late; for submits and uploads with `after`
            alone), `garbage` (200 with bytes that are no JSON),
            `empty` (200 without a body), `rate_limit` (429), `redirect` (`status`, or 307 if that is no
            redirection), `cloudflare` (403 with the text `error code: 1010`).
        after: For submits and uploads: True lets the request do its work first, so that a task was made and
            charged and only the reply broke; False means that nothing was made.
        status: HTTP status of `error`, `html` and `redirect`.
        retry_after: The Retry-After header of `rate_limit` and `error`, as it stands; None leaves it out.
        code: The `code` of `error`, such as `no_compatible_channel` with 422; None leaves it out.
        at: Bytes of the body that `half_body` and `stall` still send; None for half of it.
        seconds: How late `slow` begins.
    """

    how: How = attrs.field(validator=one_of(get_args(How)))
    after: bool = False
    status: int = 500
    retry_after: str | None = None
    code: str | None = None
    at: int | None = None
    seconds: float = 30.0

    @property
    def needs_reply(self) -> bool:
        """Whether it breaks, or delays, an answer that is good otherwise."""
        return self.how in {"half_body", "stall", "slow"}


def _check_rates(_: object, attribute: "attrs.Attribute[Rates]", rates: "Rates") -> None:
    if any(rate < 0 for rate in rates.values()) or sum(rates.values()) > 1:
        raise ValueError(f"{attribute.name}: rates must not be negative and add up to at most 1: {rates}")


Rates = Mapping[Fault, float]


@attrs.frozen(kw_only=True)
class Faults:
    """A repeatable plan: for each kind of request, the chance of each fault.

    Args:
        seed: Chooses between repeatable sequences.
        submit: Chance of each fault of a submit; the chances of one kind add up to at most 1.
        poll: The same for task queries.
        upload: The same for uploads.
        result: The same for result links.
    """

    seed: int = 0
    submit: Rates = attrs.field(factory=dict, validator=_check_rates)
    poll: Rates = attrs.field(factory=dict, validator=_check_rates)
    upload: Rates = attrs.field(factory=dict, validator=_check_rates)
    result: Rates = attrs.field(factory=dict, validator=_check_rates)


@attrs.define(eq=False)
class Script:
    """Says which request breaks: first what was scripted, in order, then what the plan draws."""

    _plan: Faults
    _scripted: dict[Kind, deque[Fault]] = attrs.field(factory=lambda: {kind: deque() for kind in get_args(Kind)})
    _draws: dict[Kind, random.Random] = attrs.field(factory=dict)

    def add(self, kind: Kind, fault: Fault, times: int) -> None:
        """Let the next `times` requests of this kind break."""
        self._scripted[kind].extend([fault] * times)

    def clear(self) -> None:
        """Forget what was scripted; the plan stays."""
        for scripted in self._scripted.values():
            scripted.clear()

    def take(self, kind: Kind) -> Fault | None:
        """Return how the request of this kind that has just arrived breaks, or None."""
        if self._scripted[kind]:
            return self._scripted[kind].popleft()
        rates: Rates = getattr(self._plan, kind, {})
        if not rates:
            return None
        if kind not in self._draws:
            self._draws[kind] = random.Random(f"{self._plan.seed}:{kind}")  # noqa: S311 - repeatable, not secret
        drawn = self._draws[kind].random()
        for fault, rate in rates.items():
            if drawn < rate:
                return fault
            drawn -= rate
        return None


async def play(
    fault: Fault, request: web.Request, reply: web.Response | None, *, elsewhere: str, closing: asyncio.Event
) -> web.StreamResponse:
    """Break one answer.

    Args:
        fault: How.
        request: What is to be answered.
        reply: The good answer, where there is one; `half_body`, `stall` and `slow` send of it.
        elsewhere: Where `redirect` points.
        closing: Set when the emulator closes; `hang` waits for it.
    """
    match fault.how:
        case "reset":
            return _reset(request)
        case "hang":
            await closing.wait()
            return _reset(request)
        case "half_body" | "stall":
            half = await _half(request, reply or _task(), fault.at)
            if fault.how == "stall":
                await closing.wait()
            request.protocol.force_close()
            return half
        case "slow":
            await asyncio.sleep(fault.seconds)
            return reply or _task()
        case "redirect":
            status = fault.status if 300 <= fault.status < 400 else HTTPStatus.TEMPORARY_REDIRECT  # noqa: PLR2004
            return web.Response(status=status, headers={"Location": elsewhere})
        case _:
            return _said(fault)


def _said(fault: Fault) -> web.Response:
    match fault.how:
        case "garbage":
            return web.Response(body=b'{"id": "task-unified-\xff\x00', content_type="application/json")
        case "empty":
            return web.Response()
        case "cloudflare":
            return banned()
        case "html":
            return page(fault.status)
        case "rate_limit":
            reply = refused(429, "Too many requests, slow down.")
        case _:
            reply = refused(fault.status, f"Scripted failure {fault.status}.", code=fault.code)
    if fault.retry_after is not None:
        reply.headers["Retry-After"] = fault.retry_after
    return reply


def page(status: int) -> web.Response:
    """Return a page as Cloudflare's are."""
    text = _PAGE.format(status=status, phrase=responses.get(status, "Unknown error"))
    return web.Response(status=status, text=text, content_type="text/html")


def banned() -> web.Response:
    """Return what Cloudflare says to a User-Agent that it does not like."""
    return web.Response(status=403, text="error code: 1010")


def _reset(request: web.Request) -> web.Response:
    transport = request.transport
    if transport is not None:  # pragma: no branch - the other side may have left this very moment
        connection = transport.get_extra_info("socket")
        # Without lingering a close sends RST, not FIN.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    return web.Response()


def _task() -> web.Response:
    return web.json_response({"id": "task-unified-", "status": "pending"})


async def _half(request: web.Request, reply: web.Response, at: int | None) -> web.StreamResponse:
    """Announce a whole answer, and send the beginning of it."""
    body = reply.body
    whole = body if isinstance(body, bytes) else b""
    half = web.StreamResponse(status=reply.status, headers=reply.headers)
    half.content_length = len(whole)
    half.force_close()
    await half.prepare(request)
    await half.write(whole[: len(whole) // 2 if at is None else at])
    return half
