"""What can be saved of a reply that HTTP or JSON calls broken: its status, and above all the id of a paid task.

Rules of HTTP/1.1: https://www.rfc-editor.org/rfc/rfc9112. They are followed as far as the bytes go and no further: a
wrong length, a header that is too long, a coding in name only, a body that breaks off anywhere. Every step takes time
in proportion to the bytes, of which there are few (``_http/exchange.py``).
"""

import contextlib
import json
import re
import zlib
from collections.abc import Iterator

from multidict import CIMultiDict

from foxvideo._wire.reply import Reply
from foxvideo._wire.structure import is_task_id
from foxvideo.state import decoded

_MOST_COMPRESSED = 1 << 16
_MOST_BYTES = 1 << 20  # that come out of it: a small body may hide gigabytes
_STATUS_LINE = re.compile(rb"\s*HTTP/\d(?:\.\d)? (\d{3})(?=[ \r\n])[^\r\n]*(?:\r?\n)?")
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_CHUNK = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
_INTERIM = range(100, 200)  # such as 103 Early Hints; the reply follows
_WITHOUT_BODY = frozenset({204, 304})
_UNREADABLE = "\ufffd"  # what stands for a byte that is no letter
_ZLIB_OR_GZIP, _RAW_DEFLATE = 47, -15  # window sizes of zlib
# A brace, or an id with its value. Bounded, so that no text makes the search slow: a letter takes 6 at most.
_TOKEN = re.compile(
    r"""[{}\[\]]
    | "(?:task_)?id" \s* : \s* (?: "(?P<text>(?:[^"\\]|\\.){1,1200})" | (?P<number>\d{1,200})(?=[\s,}\]]) )""",
    re.VERBOSE,
)


def salvaged(raw: bytes) -> Reply | None:
    """Return the reply that the bytes of a connection make, as far as they go.

    Args:
        raw: What arrived, from the first byte of the reply on.

    Returns:
        None where the bytes do not begin with the status line of a reply. Otherwise ``complete`` says whether the
        body arrived as it was announced, whatever else was wrong.
    """
    while line := _STATUS_LINE.match(raw):
        end = _END_OF_HEAD.search(raw, line.end() - 2)
        status, after = int(line[1]), end.end() if end else len(raw)
        if status in _INTERIM and end:
            raw = raw[after:]
            continue
        headers = _headers(raw[line.end() : end.start() if end else raw.rfind(b"\n") + 1])
        body, whole = (b"", True) if status in _WITHOUT_BODY else _unframed(raw[after:], headers)
        body, ended = _decompressed(body, headers.get("Content-Encoding", ""))
        return Reply(status, headers, body, complete=bool(end) and whole and ended)
    return None


def task_id_in(body: bytes, *, any_id: bool) -> str | None:
    """Return the id of a task that a body shows, however broken it is; None if it shows none.

    Args:
        body: What arrived, decompressed or not.
        any_id: Whether any id counts. If not, only one that begins as those of tasks do, ``task-``.
    """
    found = (id_ for text in _texts(body) for id_ in _ids(text))
    # Those that begin so go first, then the outermost, and of these the one that comes first.
    ranked = sorted((not id_.startswith("task-"), depth, number, id_) for number, (depth, id_) in enumerate(found))
    foreign, _, _, best = next(iter(ranked), (True, 0, 0, None))
    return best if any_id or not foreign else None


def _ids(text: str) -> Iterator[tuple[int, str]]:
    """Yield the ids in a text of JSON that may break off anywhere, each with its depth."""
    depth = 0
    for token in _TOKEN.finditer(text):
        if token[0] in "{[":
            depth += 1
        elif token[0] in "}]":
            depth -= 1
        elif is_task_id(id_ := token["number"] or _unquoted(token["text"])) and _UNREADABLE not in id_:
            yield depth, id_


def _unquoted(text: str) -> str | None:
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return None


def _texts(body: bytes) -> Iterator[str]:
    """Yield what a body may say: as it stands, without chunks and decompressed, whatever its headers claimed."""
    unchunked, _ = _unchunked(body)
    for plain in dict.fromkeys((body, unchunked)):
        yield plain.decode(json.detect_encoding(plain), "replace")
        inflated, _ = _inflated(plain)
        yield inflated.decode(json.detect_encoding(inflated), "replace")


# --- HTTP ------------------------------------------------------------------------------------------------------------


def _headers(lines: bytes) -> CIMultiDict[str]:
    pairs = (line.partition(":") for line in lines.decode("latin-1").splitlines())
    return CIMultiDict((name.strip(), value.strip()) for name, colon, value in pairs if colon)


def _unframed(body: bytes, headers: CIMultiDict[str]) -> tuple[bytes, bool]:
    """Return a body without its framing, and whether all of it is there: RFC 9112, section 6.3."""
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        return _unchunked(body)
    length = headers.get("Content-Length", "")
    if not re.fullmatch(r"[0-9]{1,18}", length):
        return body, False  # it ends where the connection does, which may have been too early
    announced = body[: int(length)]
    if len(body) > len(announced) and not _is_json(announced):
        return body, False  # the length is too small
    return announced, len(announced) == int(length)


def _is_json(body: bytes) -> bool:
    try:
        decoded(body)
    except (ValueError, RecursionError):
        return False
    return True


def _unchunked(body: bytes) -> tuple[bytes, bool]:
    """Return the content of chunks, and whether the last one is there: RFC 9112, section 7.1.

    What follows a broken chunk is returned as it stands: an id may be in it.
    """
    content, place = bytearray(), 0
    while size := _CHUNK.match(body, place):
        begin, length = size.end(), int(size[1], 16)
        if length == 0:
            return bytes(content), True
        content += body[begin : begin + length]
        place = begin + length
        while body[place : place + 1] in {b"\r", b"\n"}:
            place += 1
    return bytes(content + body[place:]), False


def _decompressed(body: bytes, codings: str) -> tuple[bytes, bool]:
    """Return a body without its codings, and whether it came to its end."""
    whole = True
    for coding in reversed(codings.lower().split(",")):
        # JSON may be compressed in name only: a proxy has undone that, and left the header.
        if coding.strip() in {"gzip", "x-gzip", "deflate"} and not body.lstrip().startswith(b"{"):
            plain, ended = _inflated(body)
            body, whole = plain or body, whole and ended
    return body, whole


def _inflated(body: bytes) -> tuple[bytes, bool]:
    """Return what comes out of zlib, gzip or deflate, as far as it goes, and whether it came to its end."""
    for window in (_ZLIB_OR_GZIP, _RAW_DEFLATE):
        inflater, content = zlib.decompressobj(window), bytearray()
        with contextlib.suppress(zlib.error):
            for place in range(
                min(len(body), _MOST_COMPRESSED)
            ):  # by bytes, to keep all that stands before a broken one
                if len(content) >= _MOST_BYTES:
                    break
                content += inflater.decompress(body[place : place + 1], _MOST_BYTES - len(content))
        if content:
            return bytes(content), inflater.eof
    return b"", False
