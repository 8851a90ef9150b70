"""What to ask of a host of films, and what its answer means: pure decisions about Range, If-Range and validators.

What belongs here: header fields and statuses of https://www.rfc-editor.org/rfc/rfc9110 in, a decision out. What must
not: sockets and files.
"""

import enum
import mimetypes
import re
from collections.abc import Mapping
from http import HTTPStatus

import attrs
from attrs.validators import ge, matches_re, optional

from foxvideo._wire.decode import Reply, retry_after
from foxvideo.errors import DownloadError, ResultExpired

_GONE = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_SENDING = (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT)
_PAGES = ("text/html", "application/xhtml+xml")
_STRONG = r'"[!#-~]{0,200}"'  # a weak tag does not promise the same bytes
_DATE = r"[ -~]{1,100}"
# Built-in types alone: what the system adds would name the same film differently from machine to machine.
_TYPES = mimetypes.MimeTypes()
_SUFFIXES = {"video/quicktime": ".mov", "video/x-matroska": ".mkv", "image/jpeg": ".jpg", "audio/mp4": ".m4a"}


class Interrupted(Exception):
    """A transfer broke in a way that may not happen again.

    Attributes:
        after: Seconds that the host asked to wait; None if it did not say.
    """

    def __init__(self, what: str, after: float | None = None) -> None:
        super().__init__(what)
        self.after = after


@attrs.frozen
class Facts:
    """What a host said of a film, which tells whether what it sends later is the same film.

    Attributes:
        source: Which film it is, whatever its link of the day: the task's id and the number of the result.
        etag: Its strong entity tag; None without one.
        modified: Its Last-Modified; None without one.
        total: Its bytes; None if not told.
        kind: Its media type; empty if not told.
    """

    source: str
    etag: str | None = attrs.field(default=None, validator=optional(matches_re(_STRONG)))
    modified: str | None = attrs.field(default=None, validator=optional(matches_re(_DATE)))
    total: int | None = attrs.field(default=None, validator=optional(ge(0)))
    kind: str = ""

    @classmethod
    def of(cls, source: str, headers: Mapping[str, str]) -> "Facts":
        """Return what the headers of a film, sent from its first byte on, tell."""
        if "Content-Encoding" in headers:  # its bytes are not those that lengths and tags speak of
            return cls(source, kind=_kind(headers))
        etag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
        return cls(
            source,
            etag if re.fullmatch(_STRONG, etag) else None,
            modified if re.fullmatch(_DATE, modified) else None,
            _number(headers.get("Content-Length", "")),
            _kind(headers),
        )

    @property
    def validator(self) -> str | None:
        """What If-Range can name; None for a film that cannot be gone on with later."""
        return self.etag or self.modified

    @property
    def suffix(self) -> str:
        """The suffix for a file of this type; that of a film where the type says nothing."""
        media = self.kind.startswith(("video/", "audio/", "image/"))
        known = _SUFFIXES.get(self.kind) or (_TYPES.guess_extension(self.kind, strict=False) if media else None)
        return known or ".mp4"


def asking(facts: Facts | None, have: int) -> dict[str, str]:
    """Return the headers that ask for what is missing: all, or the rest if the film is still the same."""
    if not have or facts is None or facts.validator is None:
        return {}
    return {"Range": f"bytes={have}-", "If-Range": facts.validator}


class Brings(enum.Enum):
    """What an answer brings."""

    ALL = "the film from its first byte on"
    THE_REST = "the bytes that follow those on the disk"
    NOTHING_MORE = "word that those on the disk are the whole film"
    ANOTHER = "bytes that do not fit those on the disk"


def judge(status: int, headers: Mapping[str, str], facts: Facts | None, have: int, now: float) -> Brings:
    """Decide what an answer brings.

    Args:
        status: Its HTTP status.
        headers: Its headers; case does not matter.
        facts: What is known of the film that was begun; None if none was.
        have: Bytes of it that are on the disk.
        now: Unix seconds at which the answer came.

    Raises:
        Interrupted: The host may answer better next time.
        ResultExpired: The link is dead.
        DownloadError: What lies there is no film.
    """
    if status in _GONE:
        raise ResultExpired("it is gone", http_status=status, submitted="yes")
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Interrupted(f"HTTP {status}", retry_after(Reply(status, headers, b"", True, now)))  # noqa: FBT003
    if status in _SENDING and _kind(headers) in _PAGES:
        raise DownloadError("it answers with a web page, not with a film", http_status=status, submitted="yes")
    if have and facts is not None:
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return Brings.NOTHING_MORE if total_of(headers) == have else Brings.ANOTHER
        if status == HTTPStatus.PARTIAL_CONTENT:
            return Brings.THE_REST if _continues(headers, facts, have) else Brings.ANOTHER
    if status != HTTPStatus.OK:
        raise DownloadError("it cannot be fetched", http_status=status, submitted="yes")
    return Brings.ALL


def total_of(headers: Mapping[str, str]) -> int | None:
    """Return how long the film is of which an answer with a Content-Range is a part; None if not told."""
    return _number(headers.get("Content-Range", "").rpartition("/")[2])


def _continues(headers: Mapping[str, str], facts: Facts, have: int) -> bool:
    """Whether a part of a film is the one that was asked for; not every host heeds If-Range."""
    begin = re.match(r"bytes (\d+)-", headers.get("Content-Range", "").strip())
    same, total = Facts.of(facts.source, headers), total_of(headers)
    return (
        begin is not None
        and _number(begin[1]) == have
        and "Content-Encoding" not in headers
        and (facts.total is None or total in (None, facts.total))
        and (facts.etag is None or same.etag in (None, facts.etag))
        and (facts.etag is not None or same.modified in (None, facts.modified))
    )


def _kind(headers: Mapping[str, str]) -> str:
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text.strip()) else None
