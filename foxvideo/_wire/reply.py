"""What came of one HTTP request, as plain values, and how its JSON and its Retry-After read."""

import datetime as dt
import email.utils
from collections.abc import Mapping

import attrs

from foxvideo.state import decoded

_MOST_SECONDS = 120.0  # no Retry-After holds us longer
_SUCCESS = range(200, 300)
_MOST_LEVELS = 64  # of a reply; the longest sample has 6, and Python itself gives up at some hundreds


@attrs.frozen
class Reply:
    """One HTTP reply, as it arrived.

    Attributes:
        status: The HTTP status.
        headers: A mapping that ignores upper and lower case.
        body: The bytes, decompressed.
        complete: False where the body broke off, or was longer than a reply of FoxAPI can be.
        received: Wall clock at arrival, Unix seconds; a date in Retry-After is measured against it.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes
    complete: bool = True
    received: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the status is one of success."""
        return self.status in _SUCCESS

    def json(self) -> object:
        """Return the decoded body; None if it broke off, is not JSON, or is nested too deeply to work with."""
        if not self.complete:
            return None
        try:
            value = decoded(self.body)
        except (ValueError, RecursionError):
            return None
        # A body with few brackets is not deep, and that is every ordinary reply.
        few = self.body.count(b"{") + self.body.count(b"[") <= _MOST_LEVELS
        return value if few or _is_shallow(value, _MOST_LEVELS) else None


@attrs.frozen
class NoReply:
    """A request without a usable reply.

    Attributes:
        sent: Whether the service may have received the request; False only where that is certain.
        reason: What happened, in words.
        body: What arrived though it is not HTTP; a submission's id may be in it.
    """

    sent: bool
    reason: str
    body: bytes = attrs.field(default=b"", repr=False)


Answer = Reply | NoReply


def retry_after(value: str | None, received: float) -> float | None:
    """Return the seconds that a Retry-After header asks for, 0 to 120; None if it is absent or makes no sense.

    Both forms of https://www.rfc-editor.org/rfc/rfc9110#field.retry-after are read.

    Args:
        value: The header; None where there is none.
        received: When the reply arrived, in Unix seconds; a date is measured against it.
    """
    try:
        seconds = float(value or "")
    except ValueError:
        try:
            seconds = _unix_time(value or "") - received
        except (ValueError, OverflowError):
            return None
    return min(seconds, _MOST_SECONDS) if seconds >= 0 else None  # NaN compares as False


def _unix_time(date: str) -> float:
    moment = email.utils.parsedate_to_datetime(date)
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()


def _is_shallow(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    items = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_shallow(item, levels - 1) for item in items)
