"""What to ask of a host of videos, and what its answer means: pure decisions about Range, If-Range and validators.

Header fields and statuses of https://www.rfc-editor.org/rfc/rfc9110 in, a decision out.
Out of scope: sockets and files (``download.py``, ``part.py``), and what bytes are (``format.py``).
"""

import enum
import re
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urljoin

import attrs
from attrs.validators import ge, matches_re, optional

from foxvideo._transfer.format import no_media, types
from foxvideo._wire.reply import retry_after
from foxvideo.errors import DownloadError, ResultExpired

_GONE = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_EARLY = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
_BUSY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
_MOVED = (301, 302, 303, 307, 308)
_PAGE = re.compile(r"text/.*|application/(json|xml|xhtml\+xml|problem\+json)")
_PLAIN = {"", "identity", "aws-chunked"}  # codings that change no byte
_TAG = r'(W/)?"[!#-~]{0,200}"'
_DATE = r"[ -~]{1,100}"
_SUFFIXES = {"video/quicktime": ".mov", "video/x-matroska": ".mkv", "image/jpeg": ".jpg", "audio/mp4": ".m4a"}

ENOUGH = 1 << 16
"""Bytes that an attempt must bring, and that must come within a minute, to count as more than a drip."""
_MOST_IDLE = 8
_MOST_POOR = 64


class Interrupted(Exception):
    """A transfer broke in a way that may not happen again.

    Attributes:
        after: Seconds that the host asked to wait; None if it did not say.
        slow: Whether it was given up because too little came in too much time.
    """

    def __init__(self, what: str, after: float | None = None, *, slow: bool = False) -> None:
        super().__init__(what)
        self.after, self.slow = after, slow


class NotYet(Interrupted):
    """A fresh link that does not work yet."""


@attrs.frozen
class Patience:
    """How long a transfer that breaks off is begun again: as long as the attempts bring something.

    An attempt that breaks off with a byte more than all before it did bring something; one that took its time and
    brought less than ``ENOUGH`` did not. And ``ENOUGH`` must have come within 64 attempts in any case, so that a host
    which sends a byte at a time comes to an end, too.

    Attributes:
        most: The most bytes that were on the disk.
        mark: Those at which the last ``ENOUGH`` was complete.
        idle: Attempts in a row that brought nothing.
        poor: Attempts since the mark.
    """

    most: int = 0
    mark: int = 0
    idle: int = 0
    poor: int = 0

    def after(self, size: int, *, slow: bool) -> "Patience":
        """Return what is left of it after an attempt at whose end there were ``size`` bytes."""
        brought = size - self.most >= (ENOUGH if slow else 1)
        enough = size - self.mark >= ENOUGH
        return Patience(
            most=max(self.most, size),
            mark=size if enough else self.mark,
            idle=0 if brought else self.idle + 1,
            poor=0 if enough else self.poor + 1,
        )

    @property
    def over(self) -> bool:
        """Whether another attempt is in vain."""
        return self.idle >= _MOST_IDLE or self.poor >= _MOST_POOR


@attrs.frozen
class Facts:
    """What a host said of a video, which tells whether what it sends later is the same video.

    Attributes:
        source: Which video it is, whatever its link of the day: the task's id and the number of the result.
        etag: Its entity tag, strong or weak; None without one.
        modified: Its Last-Modified; None without one.
        total: Its bytes; None if not told.
        kind: Its media type; empty if not told.
    """

    source: str
    etag: str | None = attrs.field(default=None, validator=optional(matches_re(_TAG)))
    modified: str | None = attrs.field(default=None, validator=optional(matches_re(_DATE)))
    total: int | None = attrs.field(default=None, validator=optional(ge(0)))
    kind: str = ""

    @classmethod
    def of(cls, source: str, headers: Mapping[str, str]) -> "Facts":
        """Return what the headers of a video, sent from its first byte on, tell."""
        if _coded(headers):  # its bytes are not those that lengths and tags speak of
            return cls(source, kind=_kind(headers))
        etag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
        return cls(
            source,
            etag if re.fullmatch(_TAG, etag) else None,
            modified if re.fullmatch(_DATE, modified) else None,
            _number(headers.get("Content-Length", "")),
            _kind(headers),
        )

    @property
    def validator(self) -> str | None:
        """What If-Range can name; None for a video that cannot be gone on with later."""
        weak = self.etag is None or self.etag.startswith("W/")  # such a tag does not promise the same bytes
        return self.modified if weak else self.etag

    @property
    def suffix(self) -> str:
        """The suffix for a file of this type; that of a video where the type says nothing."""
        media = self.kind.startswith(("video/", "audio/", "image/"))
        known = _SUFFIXES.get(self.kind) or (types().guess_extension(self.kind, strict=False) if media else None)
        return known or ".mp4"

    def agrees(self, headers: Mapping[str, str]) -> bool:
        """Whether headers tell nothing that differs: every validator that both have is equal."""
        other = Facts.of(self.source, headers)
        tags = (self.etag or "").removeprefix("W/"), (other.etag or "").removeprefix("W/")
        same_tag = tags[0] == tags[1] or not all(tags)
        return same_tag and (self.modified == other.modified or not (self.modified and other.modified))


def begin(source: str, headers: Mapping[str, str], head: bytes, wanted: int | None) -> Facts:
    """Return the facts of a video that is sent from its first byte on.

    Args:
        source: Which video it should be.
        headers: What its host says of it.
        head: Its first bytes.
        wanted: How many bytes the task says that it has; None if it does not.

    Raises:
        Interrupted: It is no media, or has not that length.
    """
    facts = Facts.of(source, headers)
    if (why := no_media(head, facts.kind)) is not None:
        raise Interrupted(f"it is {why}, not a video")
    if wanted is not None and facts.total not in (None, wanted):
        raise Interrupted(f"the host has {facts.total} bytes, and the task tells {wanted}")
    return attrs.evolve(facts, total=wanted) if facts.total is None else facts


def asking(facts: Facts | None, have: int) -> dict[str, str]:
    """Return the headers that ask for what is missing: all, or the rest if the video is still the same."""
    if not have or facts is None or facts.validator is None:
        return {}
    return {"Range": f"bytes={have}-", "If-Range": facts.validator}


def redirect(status: int, headers: Mapping[str, str], link: str) -> str | None:
    """Return where an answer leads to, spelled as it stands there, since it may be signed; None where it leads nowhere.

    Args:
        status: Its HTTP status.
        headers: Its headers.
        link: What was asked for.
    """
    location = headers.get("Location", "")
    if status not in _MOVED or not location:
        return None
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", location):
        return location
    scheme, _, rest = link.partition("://")
    if location.startswith("//"):
        return f"{scheme}:{location}"
    if location.startswith("/"):
        return f"{scheme}://{re.split('[/?#]', rest)[0]}{location}"
    return urljoin(link, location)


class Brings(enum.Enum):
    """What an answer brings."""

    ALL = "the video from its first byte on"
    THE_REST = "the bytes that follow those on the disk"
    NOTHING_MORE = "word that those on the disk are the whole video"
    ANOTHER = "bytes that do not fit those on the disk"


def may_be_early(status: int, said: bytes) -> bool:
    """Whether a refusal may mean that a link does not work yet; not if it says that the link has expired."""
    return status in _EARLY and b"expired" not in said.lower()


def judge(
    status: int, headers: Mapping[str, str], facts: Facts | None, have: int, now: float, *, early: bool = False
) -> Brings:
    """Decide what an answer brings.

    Args:
        status: Its HTTP status.
        headers: Its headers; case does not matter.
        facts: What is known of the video that was begun; None if none was.
        have: Bytes of it that are on the disk.
        now: Unix seconds at which the answer came.
        early: Whether the task ended so lately that a refusal means that its link does not work yet.

    Raises:
        NotYet: The link may work soon.
        Interrupted: The host may answer better next time.
        ResultExpired: The link is dead.
        DownloadError: There is no video.
    """
    pause = retry_after(headers.get("Retry-After"), now)
    if early:
        raise NotYet(f"HTTP {status}", pause)
    if status in _GONE:
        raise ResultExpired("it is gone", http_status=status, submitted="yes")
    if status in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Interrupted(f"HTTP {status}", pause)
    if have and facts is not None:
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            whole = total_of(headers) == have and facts.agrees(headers)
            return Brings.NOTHING_MORE if whole else Brings.ANOTHER
        if status == HTTPStatus.PARTIAL_CONTENT:
            if _PAGE.fullmatch(kind := _kind(headers)) and kind != facts.kind:
                raise Interrupted(f"it answers with {kind}, not with the rest of a video")
            return Brings.THE_REST if _continues(headers, facts, have) else Brings.ANOTHER
    if status != HTTPStatus.OK:
        raise DownloadError("it cannot be fetched", http_status=status, submitted="yes")
    return Brings.ALL


def total_of(headers: Mapping[str, str]) -> int | None:
    """Return how long the video is of which an answer with a Content-Range is a part; None if not told."""
    return _number(headers.get("Content-Range", "").rpartition("/")[2])


def _continues(headers: Mapping[str, str], facts: Facts, have: int) -> bool:
    """Whether a part of a video is the one that was asked for; not every host heeds If-Range."""
    start = re.match(r"bytes (\d+)-", headers.get("Content-Range", "").strip())
    total = total_of(headers)
    return (
        start is not None
        and _number(start[1]) == have
        and not _coded(headers)
        and (facts.total is None or total in (None, facts.total))
        and facts.agrees(headers)
    )


def _coded(headers: Mapping[str, str]) -> bool:
    """Whether a body is not sent byte by byte as it is; object stores name codings that change nothing."""
    names = headers.get("Content-Encoding", "").split(",")
    return any(name.strip().lower() not in _PLAIN for name in names)


def _kind(headers: Mapping[str, str]) -> str:
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _number(text: str) -> int | None:
    return int(text.strip()) if re.fullmatch(r"[0-9]{1,18}", text.strip()) else None
