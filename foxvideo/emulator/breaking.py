"""Breaking one answer on the wire, as its fault says.

Which answers break is decided in `faults.py`, and what a request would have meant by the routes.
"""

import asyncio
import contextlib
import gzip
import json
import socket
import struct
from collections.abc import Mapping
from http import HTTPStatus
from http.client import responses
from typing import Any, Final

from aiohttp import hdrs, web

from foxvideo.emulator.faults import Fault
from foxvideo.emulator.replies import banned, json_reply, page, refused

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_TRAILING: Final = b"\r\n<!-- served by 127.0.0.1 -->\r\n"
_GZIP_TRAILER: Final = 12
"""Bytes that `cut_gzip` leaves out: checksum and length are eight of them, the others are of the body."""
_BEFORE_ID: Final = b"task-"


async def play(
    fault: Fault, request: web.Request, reply: web.Response | None, *, elsewhere: str, closing: asyncio.Event
) -> web.StreamResponse:
    """Break one answer.

    Args:
        fault: How.
        request: What is to be answered.
        reply: The good answer, where there is one; faults that bend or cut an answer send of it.
        elsewhere: Where `redirect` points.
        closing: Set when the emulator closes; `hang`, `stall` and `drip` end then.
    """
    if not fault.needs_reply:
        if fault.how == "hang":
            await closing.wait()
        return _reset(request) if fault.how in {"hang", "reset"} else _said(fault, elsewhere)
    good = reply or _task()
    match fault.how:
        case "half_body" | "stall":
            return await _half(fault, request, good, closing)
        case "slow":
            await asyncio.sleep(fault.seconds)
            return good
        case "drip":
            return await _drip(fault, request, good, closing)
        case "short_length" | "trailing" | "cut_chunk":
            return _raw(request, _misframed(fault, good))
        case _:
            return _bent(fault, good)


def _said(fault: Fault, elsewhere: str) -> web.Response:
    """Return another answer than the good one, in words."""
    match fault.how:
        case "garbage":
            reply = web.Response(body=b'{"id": "task-unified-\xff\x00', content_type="application/json")
        case "empty":
            reply = web.Response()
        case "cloudflare":
            reply = banned()
        case "html":
            reply = page(fault.status)
        case "detail":
            reply = json_reply({"detail": responses.get(fault.status, "Unknown error")}, status=fault.status)
        case "rate_limit":
            reply = refused(429, "Too many requests, slow down.")
        case "redirect":
            status = fault.status if 300 <= fault.status < 400 else HTTPStatus.TEMPORARY_REDIRECT  # noqa: PLR2004
            reply = web.Response(status=status, headers={hdrs.LOCATION: elsewhere})
        case _:
            reply = refused(fault.status, f"Scripted failure {fault.status}.", code=fault.code)
    if fault.retry_after is not None:
        reply.headers[hdrs.RETRY_AFTER] = fault.retry_after
    return reply


def _bent(fault: Fault, reply: web.Response) -> web.Response:
    """Bend an answer in ways that HTTP itself permits."""
    body = _body(reply)
    match fault.how:
        case "long_header":
            reply.headers["Content-Security-Policy"] = "x" * fault.size
        case "false_gzip":
            reply.headers[hdrs.CONTENT_ENCODING] = "gzip"
        case "cut_gzip":
            reply.headers[hdrs.CONTENT_ENCODING] = "gzip"
            reply.body = gzip.compress(body, mtime=0)[: -_GZIP_TRAILER if fault.at is None else fault.at]
        case _:
            reply.body = _edited(body, _loads(fault.fields), fault.without)
    return reply


class _Number(str):
    """A number of a JSON text as it stands there: Python reads not every one, and writes some otherwise."""

    __slots__ = ()


def _loads(text: str | bytes) -> Any:  # noqa: ANN401 - whatever JSON can hold
    return json.loads(text, parse_int=_Number, parse_float=_Number, parse_constant=_Number)


def _dumps(value: object) -> str:
    match value:
        case _Number():
            # JSON knows no infinity, but numbers that every reader of floats takes for it.
            return value.replace("Infinity", "1e999")
        case dict():
            return "{" + ",".join(f"{json.dumps(name)}:{_dumps(held)}" for name, held in value.items()) + "}"
        case list():
            return "[" + ",".join(map(_dumps, value)) + "]"
        case _:
            return json.dumps(value)


def _edited(body: bytes, fields: Mapping[str, Any], without: tuple[str, ...]) -> bytes:
    try:
        told = _loads(body)
    except ValueError:
        return body
    if not isinstance(told, dict):
        return body
    kept = {name: value for name, value in told.items() if name not in without}
    return _dumps(_laid(kept, fields)).encode()


def _laid(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for name, value in over.items():
        below = merged.get(name)
        merged[name] = _laid(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _misframed(fault: Fault, reply: web.Response) -> bytes:
    """Return the bytes of an answer whose end is not where HTTP says."""
    body = _body(reply)
    match fault.how:
        case "short_length":
            return _head(reply, f"Content-Length: {len(body) - 1}") + body
        case "trailing":
            return _head(reply, f"Content-Length: {len(body)}") + body + _TRAILING
        case _:
            place = body.find(_BEFORE_ID)
            first = len(body) // 4 if place < 0 else place + len(_BEFORE_ID)
            sent = max(first, len(body) // 2 if fault.at is None else fault.at)
            chunks = b"%x\r\n%b\r\n%x\r\n%b" % (first, body[:first], len(body) - first, body[first:sent])
            return _head(reply, "Transfer-Encoding: chunked") + chunks


def _head(reply: web.Response, framing: str) -> bytes:
    headers = (f"{name}: {value}" for name, value in reply.headers.items())
    return "\r\n".join((f"HTTP/1.1 {reply.status} {reply.reason}", *headers, framing, "", "")).encode()


def _raw(request: web.Request, answer: bytes) -> web.Response:
    """Send bytes past aiohttp, which would put them right, and close the connection."""
    transport = request.transport
    if transport is not None:  # pragma: no branch - the other side may have left this very moment
        transport.write(answer)
        transport.close()
    return web.Response()


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


def _body(reply: web.Response) -> bytes:
    return reply.body if isinstance(reply.body, bytes) else b""


def _announced(reply: web.Response) -> web.StreamResponse:
    """Return an answer that announces the whole body of another one."""
    announced = web.StreamResponse(status=reply.status, headers=reply.headers)
    announced.content_length = len(_body(reply))
    return announced


async def _half(fault: Fault, request: web.Request, reply: web.Response, closing: asyncio.Event) -> web.StreamResponse:
    """Announce a whole answer, and send the beginning of it."""
    whole = _body(reply)
    half = _announced(reply)
    half.force_close()
    await half.prepare(request)
    await half.write(whole[: len(whole) // 2 if fault.at is None else fault.at])
    if fault.how == "stall":
        await closing.wait()
    request.protocol.force_close()
    return half


async def _drip(fault: Fault, request: web.Request, reply: web.Response, closing: asyncio.Event) -> web.StreamResponse:
    """Send an answer one byte at a time, until it is whole or the emulator closes."""
    whole, at = _body(reply), fault.at or 0
    dripping = _announced(reply)
    with contextlib.suppress(ConnectionResetError):  # the other side has had enough
        await dripping.prepare(request)
        await dripping.write(whole[:at])
        for byte in whole[at:]:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(closing.wait(), fault.seconds)
            if closing.is_set():
                request.protocol.force_close()
                break
            await dripping.write(bytes([byte]))
    return dripping
