"""The bodies that FoxAPI documents, and those of the Cloudflare before it, made from plain values.

https://docs.foxapi.cc/pages/en/api-manual/task-management/ has the samples. No decision is taken here.
"""

import json
from collections.abc import Mapping
from http.client import responses
from typing import Any, Final

from aiohttp import web

_TYPES: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "not_found",
    409: "idempotency_error",
    413: "file_too_large_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "service_unavailable",
}
_NO_CHANNEL: Final = "no_compatible_channel"
_PAGE: Final = """<!DOCTYPE html>
<html lang="en-US">
<head><title>127.0.0.1 | {status}: {phrase}</title></head>
<body><div id="cf-wrapper"><h1>{phrase} <span>Error code {status}</span></h1>
<p>Cloudflare Ray ID: 8f00000000000000</p></div></body>
</html>
"""


def json_reply(payload: object, *, status: int = 200) -> web.Response:
    """Return a JSON answer."""
    body = json.dumps(payload, separators=(",", ":")).encode()
    return web.Response(body=body, status=status, content_type="application/json")


def refused(status: int, message: str, *, code: str | None = None) -> web.Response:
    """Return the documented error body for this status.

    Args:
        status: 400 or above; it decides the `type`.
        message: For people.
        code: For programs; None leaves it out.
    """
    kind = "service_unavailable_error" if code == _NO_CHANNEL else _TYPES.get(status, "server_error")
    error = {"message": message, "type": kind} | ({} if code is None else {"code": code})
    return json_reply({"error": error}, status=status)


def page(status: int) -> web.Response:
    """Return a page as Cloudflare's are."""
    text = _PAGE.format(status=status, phrase=responses.get(status, "Unknown error"))
    return web.Response(status=status, text=text, content_type="text/html")


def banned() -> web.Response:
    """Return what Cloudflare says to a User-Agent that it does not like."""
    return web.Response(status=403, text="error code: 1010")


def task(task_id: str, model: str, status: str, progress: int, created: int) -> dict[str, Any]:
    """Return the part that the replies to a submission and to a poll have in common."""
    return {
        "id": task_id,
        "object": "video.generation.task",
        "type": "video",
        "model": model,
        "status": status,
        "progress": progress,
        "created": created,
    }


def usage(credits_reserved: float | None) -> dict[str, Any]:
    """Return the `usage` field, or nothing where it is to be left out."""
    if credits_reserved is None:
        return {}
    return {"usage": {"credits_reserved": credits_reserved, "user_group": "default"}}


def task_info(estimated_time: int | None) -> dict[str, Any]:
    """Return the `task_info` field, or nothing where it is to be left out."""
    if estimated_time is None:
        return {}
    return {"task_info": {"can_cancel": True, "estimated_time": estimated_time}}
