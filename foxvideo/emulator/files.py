"""Serving a file as a storage host does: its tag and date, and the part of it that is requested.

Whose file it is, and whether it still lives, is decided elsewhere. https://www.rfc-editor.org/rfc/rfc9110#field.range
"""

import email.utils
import hashlib

from aiohttp import hdrs, web


def given(request: web.Request, content: bytes, kind: str, created: float, *, ranges: bool = True) -> web.Response:
    """Return the answer to a GET of a file.

    Args:
        request: Its Range and If-Range are heeded.
        content: The file.
        kind: Its media type.
        created: Unix seconds of its Last-Modified.
        ranges: Whether this host knows ranges; a host that does not sends all of it, untagged.
    """
    if not ranges:
        return web.Response(body=content, content_type=kind)
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    date = email.utils.formatdate(created, usegmt=True)
    headers = {hdrs.ETAG: tag, hdrs.LAST_MODIFIED: date, hdrs.ACCEPT_RANGES: "bytes"}
    part = _requested(request, len(content)) if request.headers.get(hdrs.IF_RANGE, tag) in {tag, date} else None
    if part is None:
        return web.Response(body=content, content_type=kind, headers=headers)
    if not part:
        return web.Response(status=416, headers={hdrs.CONTENT_RANGE: f"bytes */{len(content)}"})
    headers[hdrs.CONTENT_RANGE] = f"bytes {part.start}-{part.stop - 1}/{len(content)}"
    return web.Response(status=206, body=content[part.start : part.stop], content_type=kind, headers=headers)


def _requested(request: web.Request, size: int) -> range | None:
    """Return the bytes that are requested; None for all of them, also where Range makes no sense."""
    try:
        wanted = request.http_range
    except ValueError:
        return None
    if wanted.start is None and wanted.stop is None:
        return None
    return range(size)[wanted]
