"""What to ask of a host of films, and what its answer means: tables over plain values."""

import pytest
from hypothesis import given, strategies as st
from multidict import CIMultiDict

from foxvideo import DownloadError, ResultExpired
from foxvideo._transfer.resume import Brings, Facts, Interrupted, asking, judge, total_of

DATE = "Mon, 21 Sep 2026 14:13:21 GMT"
TAGGED = Facts("task-1#0", etag='"v1"', total=1000)
DATED = Facts("task-1#0", modified=DATE)


@pytest.mark.parametrize(
    ("headers", "facts"),
    [
        ({}, Facts("s")),
        ({"ETag": '"v1"', "Last-Modified": DATE, "Content-Length": "10", "Content-Type": "Video/MP4; a=b"},
         Facts("s", '"v1"', DATE, 10, "video/mp4")),
        ({"ETag": 'W/"v1"', "Last-Modified": DATE}, Facts("s", None, DATE)),
        ({"ETag": "v1", "Last-Modified": "\xe4"}, Facts("s")),
        ({"ETag": '"v1"', "Content-Length": "10", "Content-Encoding": "gzip", "Content-Type": "video/mp4"},
         Facts("s", kind="video/mp4")),
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
    ],
)
def test_the_rest_is_asked_for_where_it_can_be_told_that_it_is_the_rest(
    facts: Facts | None, have: int, headers: dict[str, str]
) -> None:
    """Else the whole film."""
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
        (DATED, {**REST, "Last-Modified": "Tue, 22 Sep 2026 14:13:21 GMT"}, Brings.ANOTHER),
    ],
)
def test_a_part_must_be_the_one_that_was_asked_for(facts: Facts, headers: dict[str, str], brings: Brings) -> None:
    """Of the same film, from the right byte on."""
    assert judge(206, CIMultiDict(headers), facts, 5, 0.0) is brings


@pytest.mark.parametrize(
    ("headers", "brings"),
    [
        ({"Content-Range": "bytes */5"}, Brings.NOTHING_MORE),
        ({"Content-Range": "bytes */4"}, Brings.ANOTHER),
        ({"Content-Range": "bytes */*"}, Brings.ANOTHER),
        ({}, Brings.ANOTHER),
    ],
)
def test_a_range_beyond_the_end_tells_whether_all_is_there(headers: dict[str, str], brings: Brings) -> None:
    """Or whether too much is."""
    assert judge(416, CIMultiDict(headers), DATED, 5, 0.0) is brings


@pytest.mark.parametrize("have", [0, 5])
def test_a_plain_success_is_the_whole_film(have: int) -> None:
    """Whatever was asked for."""
    assert judge(200, CIMultiDict(REST), TAGGED, have, 0.0) is Brings.ALL


@pytest.mark.parametrize("status", [201, 204, 206, 300, 304, 400, 401, 416])
def test_any_other_answer_to_a_plain_question_is_no_film(status: int) -> None:
    """Asking again would not help."""
    with pytest.raises(DownloadError, match="cannot be fetched") as caught:
        judge(status, CIMultiDict(), None, 0, 0.0)

    assert caught.value.http_status == status


@pytest.mark.parametrize("status", [200, 206])
def test_a_web_page_is_no_film(status: int) -> None:
    """Nor a part of one."""
    with pytest.raises(DownloadError, match="web page"):
        judge(status, CIMultiDict({**REST, "Content-Type": "Text/HTML; charset=utf-8"}), TAGGED, 5, 0.0)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_dead_link_is_told(status: int) -> None:
    """A fresh one may live."""
    with pytest.raises(ResultExpired):
        judge(status, CIMultiDict(), TAGGED, 5, 0.0)


@pytest.mark.parametrize(
    ("headers", "after"),
    [({}, None), ({"Retry-After": "7"}, 7.0), ({"Retry-After": DATE}, 5.0), ({"Retry-After": "soon"}, None)],
)
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_host_that_is_busy_says_how_long(status: int, headers: dict[str, str], after: float | None) -> None:
    """In either form of Retry-After."""
    with pytest.raises(Interrupted) as caught:
        judge(status, CIMultiDict(headers), TAGGED, 5, 1_790_000_001.0 - 5.0)

    assert caught.value.after == after


@given(st.text(max_size=30))
def test_no_header_breaks_the_judgement(text: str) -> None:
    """A length is a length or nothing."""
    headers = CIMultiDict(
        dict.fromkeys(("Content-Range", "Content-Length", "ETag", "Last-Modified", "Retry-After"), text)
    )

    assert total_of(headers) is None or total_of(headers) == int(text.rpartition("/")[2])
    assert judge(206, headers, TAGGED, 5, 0.0) in Brings
    assert Facts.of("s", headers).source == "s"
