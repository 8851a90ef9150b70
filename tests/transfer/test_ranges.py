"""What to ask of a host of videos, and what its answer means: tables over plain values."""

import pytest
from hypothesis import example, given, strategies as st
from multidict import CIMultiDict

from foxvideo import DownloadError, ResultExpired
from foxvideo._transfer.resume import (
    ENOUGH,
    Brings,
    Facts,
    Interrupted,
    NotYet,
    Patience,
    asking,
    begin,
    judge,
    may_be_early,
    redirect,
    total_of,
)

DATE = "Mon, 21 Sep 2026 14:13:21 GMT"
TAGGED = Facts("task-1#0", etag='"v1"', total=1000)
DATED = Facts("task-1#0", modified=DATE)
BOTH = Facts("task-1#0", etag='"v1"', modified=DATE)
WEAK = Facts("task-1#0", etag='W/"v1"', modified=DATE)
LATER = "Tue, 22 Sep 2026 14:13:21 GMT"


@pytest.mark.parametrize(
    ("headers", "facts"),
    [
        ({}, Facts("s")),
        ({"ETag": '"v1"', "Last-Modified": DATE, "Content-Length": "10", "Content-Type": "Video/MP4; a=b"},
         Facts("s", '"v1"', DATE, 10, "video/mp4")),
        ({"ETag": 'W/"v1"', "Last-Modified": DATE}, Facts("s", 'W/"v1"', DATE)),
        ({"ETag": "v1", "Last-Modified": "\xe4"}, Facts("s")),
        ({"ETag": '"v1"', "Content-Length": "10", "Content-Encoding": "gzip", "Content-Type": "video/mp4"},
         Facts("s", kind="video/mp4")),
        *(({"ETag": '"v1"', "Content-Length": "10", "Content-Encoding": coding}, Facts("s", '"v1"', None, 10))
          for coding in ("", "identity", "aws-chunked", "Identity", "aws-chunked,identity")),
        *(({"ETag": '"v1"', "Content-Length": "10", "Content-Encoding": coding}, Facts("s"))
          for coding in ("br", "aws-chunked, gzip", "unheard-of")),
        *(({"Content-Length": length}, Facts("s")) for length in ("", "-1", "1e3", "9" * 30, "\u0661")),
    ],
)  # fmt: skip
def test_facts_are_what_can_be_relied_on(headers: dict[str, str], facts: Facts) -> None:
    """Strong tags, plain dates, and lengths of what is written."""
    assert Facts.of("s", CIMultiDict(headers)) == facts


@pytest.mark.parametrize(
    ("facts", "have", "headers"),
    [
        (None, 0, {}),
        (TAGGED, 0, {}),
        (Facts("s", total=10), 5, {}),
        (TAGGED, 5, {"Range": "bytes=5-", "If-Range": '"v1"'}),
        (DATED, 5, {"Range": "bytes=5-", "If-Range": DATE}),
        (Facts("s", '"v1"', DATE), 5, {"Range": "bytes=5-", "If-Range": '"v1"'}),
        (Facts("s", 'W/"v1"', DATE), 5, {"Range": "bytes=5-", "If-Range": DATE}),
        (Facts("s", 'W/"v1"'), 5, {}),
    ],
)
def test_the_rest_is_asked_for_where_it_can_be_told_that_it_is_the_rest(
    facts: Facts | None, have: int, headers: dict[str, str]
) -> None:
    """Else the whole video."""
    assert asking(facts, have) == headers


REST = {"Content-Range": "bytes 5-999/1000"}


@pytest.mark.parametrize(
    ("facts", "headers", "brings"),
    [
        (TAGGED, REST, Brings.THE_REST),
        (TAGGED, {**REST, "ETag": '"v1"'}, Brings.THE_REST),
        (TAGGED, {**REST, "ETag": '"v1"', "Last-Modified": DATE}, Brings.THE_REST),
        (TAGGED, {"Content-Range": "bytes 5-999/*"}, Brings.THE_REST),
        (DATED, REST, Brings.THE_REST),
        (DATED, {**REST, "ETag": '"v2"', "Last-Modified": DATE}, Brings.THE_REST),
        (TAGGED, {}, Brings.ANOTHER),
        (TAGGED, {"Content-Range": "bytes 6-999/1000"}, Brings.ANOTHER),
        (TAGGED, {"Content-Range": "bytes 5-999/1001"}, Brings.ANOTHER),
        (TAGGED, {"Content-Range": "lines 5-999/1000"}, Brings.ANOTHER),
        (TAGGED, {**REST, "ETag": '"v2"'}, Brings.ANOTHER),
        (TAGGED, {**REST, "Content-Encoding": "gzip"}, Brings.ANOTHER),
        (DATED, {**REST, "Last-Modified": LATER}, Brings.ANOTHER),
        (BOTH, {**REST, "ETag": '"v1"'}, Brings.THE_REST),
        (BOTH, {**REST, "Last-Modified": DATE}, Brings.THE_REST),
        (BOTH, {**REST, "ETag": '"v1"', "Last-Modified": LATER}, Brings.ANOTHER),
        (BOTH, {**REST, "ETag": '"v2"', "Last-Modified": DATE}, Brings.ANOTHER),
        (WEAK, {**REST, "ETag": 'W/"v1"', "Last-Modified": DATE}, Brings.THE_REST),
        (WEAK, {**REST, "ETag": '"v1"', "Last-Modified": DATE}, Brings.THE_REST),
        (WEAK, {**REST, "ETag": 'W/"v2"', "Last-Modified": DATE}, Brings.ANOTHER),
        (TAGGED, {**REST, "Content-Encoding": "identity"}, Brings.THE_REST),
        (TAGGED, {**REST, "Content-Encoding": "aws-chunked"}, Brings.THE_REST),
    ],
)
def test_a_part_must_be_the_one_that_was_asked_for(facts: Facts, headers: dict[str, str], brings: Brings) -> None:
    """Of the same video by every validator that both have, from the right byte on."""
    assert judge(206, CIMultiDict(headers), facts, 5, 0.0) is brings


@pytest.mark.parametrize(
    ("headers", "brings"),
    [
        ({"Content-Range": "bytes */5"}, Brings.NOTHING_MORE),
        ({"Content-Range": "bytes */4"}, Brings.ANOTHER),
        ({"Content-Range": "bytes */*"}, Brings.ANOTHER),
        ({}, Brings.ANOTHER),
        ({"Content-Range": "bytes */5", "Last-Modified": LATER}, Brings.ANOTHER),
    ],
)
def test_a_range_beyond_the_end_tells_whether_all_is_there(headers: dict[str, str], brings: Brings) -> None:
    """Or whether too much is."""
    assert judge(416, CIMultiDict(headers), DATED, 5, 0.0) is brings


@pytest.mark.parametrize("have", [0, 5])
def test_a_plain_success_is_the_whole_video(have: int) -> None:
    """Whatever was asked for."""
    assert judge(200, CIMultiDict(REST), TAGGED, have, 0.0) is Brings.ALL


@pytest.mark.parametrize("status", [201, 204, 206, 300, 304, 400, 401, 416])
def test_any_other_answer_to_a_plain_question_is_no_video(status: int) -> None:
    """Asking again would not help."""
    with pytest.raises(DownloadError, match="cannot be fetched") as caught:
        judge(status, CIMultiDict(), None, 0, 0.0)

    assert caught.value.http_status == status


@pytest.mark.parametrize("kind", ["Text/HTML; charset=utf-8", "text/plain", "application/json", "application/xml"])
def test_a_page_is_no_part_of_a_video(kind: str) -> None:
    """The host may answer better next time."""
    with pytest.raises(Interrupted, match="not with the rest of a video"):
        judge(206, CIMultiDict({**REST, "Content-Type": kind}), TAGGED, 5, 0.0)

    called = Facts("task-1#0", etag='"v1"', kind=kind.partition(";")[0].lower())
    assert judge(206, CIMultiDict({**REST, "Content-Type": kind}), called, 5, 0.0) is Brings.THE_REST


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_dead_link_is_told(status: int) -> None:
    """A fresh one may live."""
    with pytest.raises(ResultExpired):
        judge(status, CIMultiDict(), TAGGED, 5, 0.0)


@pytest.mark.parametrize(
    ("headers", "after"),
    [({}, None), ({"Retry-After": "7"}, 7.0), ({"Retry-After": DATE}, 5.0), ({"Retry-After": "soon"}, None)],
)
@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_a_host_that_is_busy_says_how_long(status: int, headers: dict[str, str], after: float | None) -> None:
    """In either form of Retry-After."""
    with pytest.raises(Interrupted) as caught:
        judge(status, CIMultiDict(headers), TAGGED, 5, 1_790_000_001.0 - 5.0)

    assert caught.value.after == after


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("status", [403, 404])
def test_a_link_that_does_not_work_yet_is_told_from_a_dead_one(status: int, early: bool) -> None:
    """By the time since the task ended."""
    with pytest.raises(NotYet if early else ResultExpired) as caught:
        judge(status, CIMultiDict({"Retry-After": "7"}), None, 0, 0.0, early=early)

    assert getattr(caught.value, "after", 7.0) == 7.0


@pytest.mark.parametrize(
    ("status", "said", "may_be"),
    [
        (403, b"<Error><Code>AccessDenied</Code></Error>", True),
        (404, b"", True),
        (404, b'{"error": {"message": "There is no such file."}}', True),
        (403, b"<Error><Code>ExpiredToken</Code></Error>", False),
        (403, b"Request has expired", False),
        (410, b"", False),
        (503, b"", False),
        (200, b"", False),
    ],
)
def test_a_link_that_says_that_it_has_expired_will_not_work_any_more(status: int, said: bytes, may_be: bool) -> None:
    """However early that is."""
    assert may_be_early(status, said) is may_be


VIDEO = b"\0\0\0\x18ftypmp42"


@pytest.mark.parametrize(
    ("headers", "head", "wanted", "total"),
    [
        ({"Content-Length": "1000"}, VIDEO, None, 1000),
        ({"Content-Length": "1000"}, VIDEO, 1000, 1000),
        ({}, VIDEO, 1000, 1000),
        ({}, VIDEO, None, None),
        ({"Content-Length": "600", "Content-Encoding": "gzip"}, VIDEO, 1000, 1000),
        ({"Content-Length": "999"}, VIDEO, 1000, "the host has 999 bytes, and the task tells 1000"),
        ({"Content-Length": "1000"}, b"<html>", 1000, "page"),
        ({"Content-Length": "0"}, b"", None, "empty"),
    ],
)
def test_a_video_begins_if_it_is_one_and_has_the_length_that_its_task_tells(
    headers: dict[str, str], head: bytes, wanted: int | None, total: int | str | None
) -> None:
    """Else the host may be better next time."""
    if isinstance(total, str):
        with pytest.raises(Interrupted, match=total):
            begin("s", CIMultiDict(headers), head, wanted)
    else:
        assert begin("s", CIMultiDict(headers), head, wanted).total == total


@pytest.mark.parametrize(
    ("location", "leads"),
    [
        ("https://b/c%2fd/../e?x=%27#f", "https://b/c%2fd/../e?x=%27#f"),
        ("HTTPS://b/", "HTTPS://b/"),
        ("//b:81/c%2fd", "http://b:81/c%2fd"),
        ("/c%2fd/../e?x=~", "http://u:p@a:80/c%2fd/../e?x=~"),
        ("c%2fd?x=%27", "http://u:p@a:80/videos/c%2fd?x=%27"),
        ("?x=%27", "http://u:p@a:80/videos/kite?x=%27"),
        ("../e", "http://u:p@a:80/e"),
        ("", None),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_leads_where_it_says_letter_by_letter(status: int, location: str, leads: str | None) -> None:
    """What is relative begins where it was said."""
    assert redirect(status, CIMultiDict(Location=location), "http://u:p@a:80/videos/kite?sig=%2F") == leads


@pytest.mark.parametrize("status", [200, 201, 206, 300, 304, 305, 404])
def test_any_other_answer_leads_nowhere(status: int) -> None:
    """Whatever it has for a Location."""
    assert redirect(status, CIMultiDict(Location="/there"), "http://a/") is None


def _left(*attempts: tuple[int, bool], times: int = 1) -> Patience:
    patience = Patience()
    for size, slow in attempts * times:
        patience = patience.after(size, slow=slow)
    return patience


@pytest.mark.parametrize("slow", [True, False])
def test_eight_attempts_in_a_row_that_bring_nothing_are_all(slow: bool) -> None:
    """Whatever came before."""
    assert not _left((10**6, slow), *[(10**6, slow)] * 7).over
    assert _left((10**6, slow), *[(10**6, slow)] * 8).over
    assert not _left(*[(10**6, slow)] * 8, (2 * 10**6, slow), *[(10**6, slow)] * 7).over


def test_a_slow_attempt_must_bring_more_than_a_drip() -> None:
    """One that breaks off at once may bring a byte."""
    assert _left(*((1000 * n, True) for n in range(1, 9))).over
    assert not _left(*((1000 * n, False) for n in range(1, 9))).over
    assert not _left(*((ENOUGH * n, True) for n in range(1, 99))).over


def test_a_byte_in_each_attempt_is_not_enough_for_ever() -> None:
    """Enough has to come within 64 attempts."""
    assert not _left(*((n, False) for n in range(1, 64))).over
    assert _left(*((n, False) for n in range(1, 65))).over
    assert not _left(*((1100 * n, False) for n in range(1, 1000))).over


def test_bytes_that_came_before_do_not_count_again() -> None:
    """A host that knows no ranges sends them in each attempt."""
    assert _left((10**6, False), *[(n * 1000, False) for n in range(1, 9)]).over


@given(st.text(max_size=30))
@example("0\x1f")  # which Python strips from a text, but not from a number
def test_no_header_breaks_the_judgement(text: str) -> None:
    """A length is a length or nothing."""
    headers = CIMultiDict(
        dict.fromkeys(("Content-Range", "Content-Length", "ETag", "Last-Modified", "Retry-After"), text)
    )

    assert total_of(headers) is None or total_of(headers) == int(text.rpartition("/")[2].strip())
    assert judge(206, headers, TAGGED, 5, 0.0) in Brings
    assert Facts.of("s", headers).source == "s"
