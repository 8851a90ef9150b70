"""No reply, however broken, ends in anything but a value or an error of foxvideo."""

import json
import pickle

import pytest
from hypothesis import example, given, settings, strategies as st
from multidict import CIMultiDict
from replies import ID, NOW, READERS, SAMPLES, Reader, reply

from foxvideo._wire.reply import Reply
from foxvideo._wire.structure import is_task_id
from foxvideo.errors import FoxError
from foxvideo.state import TaskState


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ID, True),
        ("é/7?", True),
        ("", False),
        (".", False),
        ("..", False),
        ("a b", False),
        ("a\nb", False),
        ("x" * 200, True),
        ("x" * 201, False),
    ],
)
def test_an_id_fits_into_a_path_and_a_line(text: str, expected: bool) -> None:
    """Otherwise it is opaque."""
    assert is_task_id(text) is expected


def outcome(read: Reader, answer: Reply) -> object:
    """Return what a reader returns, or the FoxError that it raises."""
    try:
        return read(answer)
    except FoxError as error:
        return error


def assert_sound(end: object) -> None:
    """Assert that a value can be used, and that an error can be shown."""
    match end:
        case FoxError():
            assert str(end).isprintable()
            assert len(str(end)) < 1500
            assert pickle.dumps(end)
        case TaskState():
            assert is_task_id(end.id)
            assert isinstance(end.raw, dict)
            assert isinstance(hash(end), int)
        case _:
            assert isinstance(end, str | tuple)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("status", [200, 307, 404, 422, 503])
def test_every_recorded_reply_ends_well_in_every_reader(read: Reader, status: int) -> None:
    """Also those of other parts of the service: a wrong base_url may bring any of them."""
    for name in SAMPLES:
        assert_sound(outcome(read, reply(name, status)))


HEADERS = st.dictionaries(
    st.sampled_from(["Retry-After", "x-request-id", "Location", "Content-Type"]),
    st.text(max_size=300) | st.sampled_from(["-1", "nan", "Wed, 21 Oct 2015 07:28:00 -0000", "1" * 5000]),
)
STATUSES = st.sampled_from([200, 201, 301, 302, 400, 401, 402, 403, 404, 413, 422, 429, 500, 503]) | st.integers(0, 999)
READ = st.sampled_from(list(READERS.values()))
NAMES = [
    "id",
    "task_id",
    "status",
    "data",
    "results",
    "result_data",
    "output",
    "url",
    "urls",
    "error",
    "message",
    "code",
]
MORE_NAMES = ["type", "detail", "usage", "credits_reserved", "task_info", "estimated_time", "progress", "created"]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([ID, "completed", "failed", "https://example.com/a.mp4", "40%", 10**400, "\ud83d"]),
    lambda items: (
        st.lists(items, max_size=3) | st.dictionaries(st.sampled_from([*NAMES, *MORE_NAMES]), items, max_size=6)
    ),
    max_leaves=25,
)


def replies(bodies: st.SearchStrategy[bytes]) -> st.SearchStrategy[Reply]:
    """Make replies with these bodies, at any status, with any headers, whole or cut."""
    return st.builds(Reply, STATUSES, HEADERS.map(CIMultiDict), bodies, st.booleans(), st.just(NOW))


@settings(deadline=None)
@given(replies(st.binary(max_size=200)), READ)
@example(reply(b"[" * 100_000), READERS["submit"])
@example(reply(b"[" * 100_000 + b"]" * 100_000, 422), READERS["submit"])
@example(reply(b'{"detail": ' + b"[" * 900 + b"]" * 900 + b"}", 422), READERS["submit"])
@example(reply(b'{"x": ' + b"9" * 5000 + b"}"), READERS["task"])
def test_any_bytes_end_in_a_value_or_a_fox_error(answer: Reply, read: Reader) -> None:
    """Each can be used, shown and pickled."""
    assert_sound(outcome(read, answer))


@settings(deadline=None)
@given(replies(VALUES.map(lambda value: json.dumps(value).encode())), READ)
def test_any_json_ends_in_a_value_or_a_fox_error(answer: Reply, read: Reader) -> None:
    """Each can be used, shown and pickled."""
    assert_sound(outcome(read, answer))


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["id", "task_id", "status", "data", "error"]), VALUES), STATUSES)
def test_a_submit_gives_a_usable_id_or_says_whether_a_task_exists(body: object, status: int) -> None:
    """Never *yes* without an id, never *no* after a status that leaves it open."""
    end = outcome(READERS["submit"], reply(body, status))
    if isinstance(end, FoxError):
        refused = status in {301, 307, 308, 400, 401, 402, 403, 404, 405, 407, 411, 413, 414, 415, 422, 429, 431}
        assert end.submitted == ("no" if refused else "unknown")
    else:
        assert isinstance(end, TaskState)
        assert is_task_id(end.id)
        assert 200 <= status < 300
