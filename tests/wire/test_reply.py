"""How a reply reads: its JSON, its Retry-After."""

import json
import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest
from replies import NOW, cut, reply, submit_error

from foxvideo._wire.reply import Reply, retry_after
from foxvideo.errors import RateLimited


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", 7.0),
        (" 7.5 ", 7.5),
        ("0", 0.0),
        ("119", 119.0),
        ("121", 120.0),
        ("inf", 120.0),
        ("1e400", 120.0),
        ("-1", None),
        ("-inf", None),
        ("nan", None),
        ("", None),
        ("soon", None),
        (formatdate(NOW + 30, usegmt=True), 30.0),
        (formatdate(NOW + 3000, usegmt=True), 120.0),
        (formatdate(NOW - 30, usegmt=True), None),
        (time.asctime(time.gmtime(NOW + 5)), 5.0),
        ("Mon, 21 Sep 2026 25:00:00 GMT", None),
        ("Mon, 21 Sep 99999 25:00:00 GMT", None),
        ("99999999999999 Sep 21 07:28", None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str, expected: float | None) -> None:
    """Seconds or a date; 120 s at most, and what makes no sense is not told."""
    assert retry_after(value, NOW) == expected
    error = submit_error(reply("error-429", 429, Retry_After=value))
    assert isinstance(error, RateLimited)
    assert error.retry_after == expected


def test_retry_after_may_be_absent() -> None:
    """Then our own delays apply."""
    assert retry_after(None, NOW) is None
    error = submit_error(reply("error-429", 429))
    assert isinstance(error, RateLimited)
    assert error.retry_after is None


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put this process twelve hours from Greenwich."""
    monkeypatch.setenv("TZ", "FAR-12")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_date_without_a_zone_is_in_greenwich(far_away: None) -> None:
    """As HTTP has it; the zone of this machine does not matter."""
    assert retry_after(time.asctime(time.gmtime(NOW + 5)), NOW) == 5.0


# --- JSON ---


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_every_encoding_of_json_is_decoded(encoding: str) -> None:
    """With and without a byte order mark."""
    body = json.dumps({"model": "ü"}, ensure_ascii=False).encode(encoding)
    assert Reply(200, {}, body).json() == {"model": "ü"}


def test_a_number_of_any_length_hides_nothing_of_the_rest() -> None:
    """Python reads no more than 4,300 digits at once, and what they stand for may be nothing that is needed."""
    assert reply(b'{"id": 7, "credits": %s}' % (b"9" * 5000)).json() == {"id": 7, "credits": float("inf")}


@pytest.mark.parametrize("body", [b"", b"<p>", b"{", b"\xff\xfe", b"[" * 100_000, b"[" * 300 + b"]" * 300])
def test_what_is_not_json_or_too_deep_is_none(body: bytes) -> None:
    """Nothing is raised."""
    assert reply(body).json() is None


def test_a_body_that_broke_off_is_none_even_where_it_looks_whole() -> None:
    """Its end may be missing."""
    assert cut(reply(b"{}")).json() is None
