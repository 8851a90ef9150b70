"""What the reply to a poll says: states, numbers, results."""

import datetime as dt
import json
from collections.abc import Mapping

import pytest
from replies import CDN, CLOUDFLARE, HTML, ID, LLM_ID, SAMPLES, cut, reply, task, task_error

from foxvideo._wire.decode import read_task
from foxvideo._wire.reply import NoReply
from foxvideo.errors import (
    AuthenticationError,
    BadReply,
    FoxError,
    InsufficientCredits,
    InvalidRequest,
    RateLimited,
    ServiceUnavailable,
    TaskNotFound,
)
from foxvideo.state import Result, Status, TaskProblem, Usage


@pytest.mark.parametrize(
    ("name", "status", "text", "progress"),
    [
        ("task-pending", Status.PENDING, "pending", 0.0),
        ("task-processing", Status.PROCESSING, "processing", 40.0),
        ("task-completed", Status.COMPLETED, "completed", 100.0),
        ("task-completed-results-null", Status.COMPLETED, "completed", 50.0),
        ("task-completed-results-empty", Status.COMPLETED, "completed", 100.0),
        ("task-failed", Status.FAILED, "failed", 0.0),
        ("task-cancelled", Status.CANCELLED, "cancelled", 30.0),
        ("task-canceled-without-error", Status.CANCELLED, "canceled", 30.0),
        ("task-status-of-tomorrow", Status.UNKNOWN, "moderating", 99.0),
        ("callback-completed", Status.COMPLETED, "completed", 100.0),
        ("callback-cancelled", Status.CANCELLED, "cancelled", 0.0),
    ],
)
def test_a_recorded_state_is_read(name: str, status: Status, text: str, progress: float) -> None:
    """The status, the service's own word for it, the progress, and the whole reply."""
    state = read_task(reply(name), ID)
    assert (state.id, state.status, state.status_text, state.progress) == (ID, status, text, progress)
    assert state.model == "grok-imagine-text-to-video"
    assert state.created == dt.datetime(2026, 9, 21, 14, 13, 21, tzinfo=dt.UTC)
    assert state.raw == json.loads(SAMPLES[name])


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Completed", Status.COMPLETED),
        (" FAILED ", Status.FAILED),
        ("CANCELED", Status.CANCELLED),
        ("queued", Status.PENDING),
        ("pendding", Status.PENDING),
        ("running", Status.PROCESSING),
        ("error", Status.FAILED),
        ("unknown", Status.UNKNOWN),
        ("succeeded", Status.UNKNOWN),
        ("\ud83d", Status.UNKNOWN),
    ],
)
def test_a_status_is_read_whatever_its_case_and_kept_as_it_was(word: str, status: Status) -> None:
    """A word that nobody knows is a task that runs."""
    state = task(status=word)
    assert (state.status, state.status_text) == (status, word)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, None),
        ({}, None),
        ([], None),
        ("", None),
        ("It broke.", TaskProblem(None, "It broke.")),
        ({"code": "generation_failed", "message": "No video."}, TaskProblem("generation_failed", "No video.")),
        ({"code": 7, "message": None}, TaskProblem("7", "")),
        ({"code": None, "message": ["a"]}, TaskProblem(None, "")),
        ({"type": "task_error"}, TaskProblem(None, "")),
    ],
)
def test_the_reason_of_a_failure_is_read_in_every_shape(error: object, expected: TaskProblem | None) -> None:
    """An object, a text, or nothing; ``code`` is an open set."""
    assert task(status="failed", error=error).problem == expected


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (0, 0.0),
        (40, 40.0),
        (40.5, 40.5),
        ("40", 40.0),
        ("40%", 40.0),
        (" 40 % ", 40.0),
        (150, 100.0),
        (10**400, None),
        ("1e400", None),
        (-1, None),
        (True, None),
        (None, None),
        ("half", None),
        ("nan", None),
        ([40], None),
    ],
)
def test_progress_is_per_cent_or_not_told(progress: object, expected: float | None) -> None:
    """In every form that was seen, and never above a hundred."""
    assert task(progress=progress).progress == expected


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999", "-0.5"])
def test_numbers_that_are_none_are_not_told(literal: str) -> None:
    """Python's decoder lets them pass."""
    body = b'{"id": "%s", "status": "processing", "progress": %s, "created": %s}' % (
        ID.encode(),
        literal.encode(),
        literal.encode(),
    )
    state = read_task(reply(body), ID)
    assert (state.progress, state.created) == (None, None)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ({}, None),
        ([1], None),
        ("12", None),
        ({"credits_reserved": "12.5", "user_group": 7}, Usage(12.5, "7")),
        ({"credits_reserved": -1, "user_group": ""}, Usage(None, None)),
        ({"user_group": "vip"}, Usage(None, "vip")),
        ({"credits_reserved": 0, "billing_rule": "x"}, Usage(0.0, None)),
    ],
)
def test_usage_is_read_as_far_as_it_makes_sense(usage: object, expected: Usage | None) -> None:
    """The rest was not told."""
    assert task(usage=usage).usage == expected


@pytest.mark.parametrize(
    ("info", "expected"),
    [(None, None), ([], None), ({}, None), ({"estimated_time": "45"}, 45.0), ({"estimated_time": -1}, None)],
)
def test_the_estimate_is_read_as_far_as_it_makes_sense(info: object, expected: float | None) -> None:
    """Seconds."""
    assert task(task_info=info).estimated_time == expected


@pytest.mark.parametrize(
    "body",
    [
        {"status": "processing"},
        {"id": None, "status": "processing"},
        {"task_id": ID, "status": "processing"},
        {"id": 7, "task_id": ID, "status": "processing"},
        {"data": {"id": ID, "status": "processing"}},
        {"data": {"status": "processing"}},
        {"code": 200, "status": "success", "data": {"id": ID, "status": "processing"}},
        {"id": ID, "status": "processing", "data": {"status": "failed"}},
        {"status": "processing", "data": {"url": "https://example.com"}},
    ],
)
def test_a_state_is_found_where_it_was_seen(body: object) -> None:
    """Wrapped in ``data`` or not, with and without the id."""
    state = read_task(reply(body), ID)
    assert (state.id, state.status) == (ID, Status.PROCESSING)


def test_a_number_as_id_is_its_text() -> None:
    """As at submit."""
    assert read_task(reply({"id": 17, "status": "pending"}), "17").id == "17"


@pytest.mark.parametrize("word", ["failed", "error"])
def test_a_failure_that_does_not_name_the_task_is_not_its_own(word: str) -> None:
    """Many a gateway says so of a request, and the task goes on."""
    error = task_error(reply({"status": word, "message": "internal"}))
    assert type(error) is BadReply
    assert task(status=word).status is Status.FAILED


@pytest.mark.parametrize(
    "body", [{"id": "task-other", "status": "completed"}, {"task_id": "task-other", "status": "failed"}]
)
def test_a_reply_about_another_task_is_none(body: object) -> None:
    """A cache may mix them up."""
    error = task_error(reply(body))
    assert type(error) is BadReply
    assert "about task-other" in error.what


@pytest.mark.parametrize(
    "body", [b"", HTML, b"[]", b"{}", {"id": ID}, {"id": ID, "status": None}, {"status": 1}, {"id": ID, "status": " "}]
)
def test_a_success_without_a_status_did_not_come_from_foxapi(body: object) -> None:
    """A portal, or a wrong base_url."""
    assert type(task_error(reply(body))) is BadReply


def test_a_state_that_was_cut_is_not_believed() -> None:
    """The end may be missing."""
    error = task_error(cut(reply("task-completed")))
    assert type(error) is BadReply
    assert "the reply broke off" in error.what


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, "error-400-bad-json", InvalidRequest),
        (401, "error-401", AuthenticationError),
        (402, "error-402", InsufficientCredits),
        (404, "error-404", TaskNotFound),
        (404, "error-404-fastapi-detail", TaskNotFound),
        (404, HTML, BadReply),
        (404, b"", BadReply),
        (404, b"{}", BadReply),
        (408, HTML, BadReply),
        (429, "error-429", RateLimited),
        (500, "error-500", ServiceUnavailable),
        (502, CLOUDFLARE, ServiceUnavailable),
        (503, "error-503", ServiceUnavailable),
        (302, b"", BadReply),
        (304, b"", BadReply),
        (100, b"", BadReply),
    ],
)
def test_a_failed_query_is_told_by_its_kind(status: int, body: object, kind: type[FoxError]) -> None:
    """A 404 counts only where FoxAPI itself says it."""
    error = task_error(reply(body, status, x_request_id="req-7"))
    assert type(error) is kind
    assert (error.http_status, error.request_id) == (status, "req-7")


def test_a_query_without_a_reply_is_unavailable() -> None:
    """Sent or not makes no difference to a read."""
    error = task_error(NoReply(sent=True, reason="reset"))
    assert type(error) is ServiceUnavailable
    assert (error.what, error.__cause__) == ("reset", None)


# --- Results ---


@pytest.mark.parametrize(
    ("name", "urls"),
    [
        ("task-completed", ["kite.mp4"]),
        ("task-completed-results-null", []),
        ("task-completed-results-empty", []),
        ("task-results-seedance", ["kite.mp4"]),
        ("task-results-sora", ["kite.mp4"]),
        ("task-results-image", ["kite.png"]),
        ("task-results-audio", ["kite.mp3"]),
        ("task-results-voice-clone", ["demo.mp3"]),
        ("task-results-optional-keys", ["kite.mp4"]),
        ("task-results-audio-url", ["kite.mp3"]),
        ("task-results-image-url", ["kite.png"]),
        ("task-results-strings", ["kite.mp4", "kite-2.mp4"]),
        ("task-result-data", ["kite.mp4"]),
        ("task-results-beside-result-data", ["kite.mp4"]),
        ("task-output", ["kite.mp4", "kite-2.mp4"]),
        ("task-output-url-alone", ["kite.mp4"]),
    ],
)
def test_the_links_are_found_in_every_shape(name: str, urls: list[str]) -> None:
    """``results`` of objects or texts, ``result_data``, ``output``; each link once, in its order."""
    assert read_task(reply(name), ID).urls == tuple(f"{CDN}/{url}" for url in urls)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("task-results-seedance", {"url": f"{CDN}/kite.mp4", "seed": 71}),
        ("task-results-sora", {"url": f"{CDN}/kite.mp4", "video_id": "video-1"}),
        ("task-results-voice", {"voice_id": "voice-1"}),
        ("task-results-character", {"character_id": "ch-1", "name": "Mia"}),
        ("task-results-custom-element", {"element_id": "el-1"}),
        ("task-results-image-profile", {"result_type": "profile", "profile_id": "pr-1"}),
        (
            "task-results-transcript",
            {"text": "A kite", "language_code": "en", "words": [{"text": "A", "start": 0.0, "end": 0.2}]},
        ),
        ("task-output-url-alone", {"url": f"{CDN}/kite.mp4", "duration": 6, "width": 1280, "height": 720}),
    ],
)
def test_every_key_of_a_result_is_kept(name: str, fields: Mapping[str, object]) -> None:
    """Also where it has no link: some models make a voice or a character."""
    (result,) = read_task(reply(name), ID).results
    url = fields.get("url")
    assert result == Result(url if isinstance(url, str) else None, fields)


def test_the_result_of_a_language_model_is_kept_whole() -> None:
    """A chat completion."""
    (result,) = read_task(reply("task-results-llm"), LLM_ID).results
    assert result.url is None
    assert result.fields["object"] == "chat.completion"


@pytest.mark.parametrize(
    ("fields", "urls"),
    [
        ({"results": [{"url": "r"}], "result_data": [{"url": "d"}], "output": {"url": "o"}}, ["r"]),
        ({"results": [], "result_data": [{"url": "d"}], "output": {"url": "o"}}, ["d"]),
        ({"results": None, "result_data": None, "output": {"url": "o"}}, ["o"]),
        ({"results": [{}, None, "", {"url": ""}], "result_data": [{"url": "d"}]}, ["d"]),
        ({"results": [{}, {"url": "r"}, None, 7, [], ["x"]], "result_data": [{"url": "d"}]}, ["r"]),
        ({"results": {"url": "r"}}, ["r"]),
        ({"results": "r"}, ["r"]),
        ({"results": 7}, []),
        ({"results": [{"url": None, "video_url": "v", "audio_url": "a"}]}, ["v"]),
        ({"results": [{"url": " ", "audio_url": "a", "image_url": "i"}]}, ["a"]),
        ({"results": [{"url": {"href": "x"}, "image_url": "i"}]}, ["i"]),
        ({"results": [{"url": "r"}, {"url": "r", "seed": 1}, {"url": "s"}]}, ["r", "s"]),
        ({"output": {"urls": ["a", "b", "a"], "url": "b"}}, ["a", "b"]),
        ({"output": {"urls": [], "url": "o"}}, ["o"]),
        ({"output": {"urls": ["", None, 7], "url": "o"}}, ["o"]),
        ({"output": {"urls": "a"}}, ["a"]),
        ({"output": "o"}, []),
        ({"output": [{"url": "o"}]}, []),
    ],
)
def test_the_shapes_of_results_are_tried_in_the_order_of_trust(fields: Mapping[str, object], urls: list[str]) -> None:
    """The first that says anything is taken, without its empty items."""
    state = task(status="completed", **fields)
    assert state.urls == tuple(urls)
    assert all(result.fields for result in state.results)


def test_a_result_that_says_nothing_is_none() -> None:
    """So that a task without results is not taken for complete."""
    assert task(status="completed", results=[{"url": None, "seed": "", "words": []}]).results == ()


@pytest.mark.parametrize("nothing", [None, "", " ", [], {}])
@pytest.mark.parametrize("key", ["url", "video_url", "audio_url", "image_url"])
def test_a_link_that_is_named_and_empty_is_incomplete(key: str, nothing: object) -> None:
    """The file is not there yet, whatever else the result tells already."""
    (result,) = task(status="completed", results=[{key: nothing, "seed": 7}]).results
    assert result.incomplete
    assert result.fields["seed"] == 7


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "u"},
        {"url": None, "video_url": "v"},
        {"voice_id": "v"},
        {"download_url": None, "seed": 7},
        {"url": {"href": "x"}},
    ],
)
def test_a_result_with_a_link_or_without_a_name_for_one_is_not_awaited(fields: dict[str, object]) -> None:
    """Some models make no file; and nobody knows what a foreign key means."""
    (result,) = task(status="completed", results=[fields]).results
    assert not result.incomplete


def test_an_empty_link_beside_others_is_kept() -> None:
    """The second file is not there yet."""
    first, second = task(status="completed", results=[{"url": "u"}, {"url": None}, {}]).results
    assert (first.url, first.incomplete, second.url, second.incomplete) == ("u", False, None, True)


def test_empty_links_of_an_output_are_awaited() -> None:
    """In the older shape."""
    (result,) = task(status="completed", output={"urls": [], "url": None, "duration": 6}).results
    assert result.incomplete
