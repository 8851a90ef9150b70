"""Between values and bytes: recorded replies in, values or errors out."""

import json
import pickle
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import formatdate
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import example, given, settings, strategies as st
from multidict import CIMultiDict

from foxvideo._wire.decode import (
    NoReply,
    Reply,
    encode,
    is_task_id,
    read_models,
    read_submit,
    read_task,
    read_upload,
    retry_after,
)
from foxvideo.errors import (
    AuthenticationError,
    BadReply,
    FoxError,
    InsufficientCredits,
    InvalidRequest,
    ModelUnavailable,
    RateLimited,
    ServiceUnavailable,
    SubmitUncertain,
    TaskNotFound,
    UploadError,
)
from foxvideo.requests.generic import GrokTextToVideo, Request
from foxvideo.state import Result, Status, TaskProblem, TaskState, Usage

SAMPLES = {path.stem: path.read_bytes() for path in (Path(__file__).parent / "samples").glob("*.json")}
ID = "task-unified-1790000001-k3v9q2ma"
LLM_ID = "task-llm-1790000001-k3v9q2ma"
CDN = "https://cdn.foxapi.cc/output"
HTML = b"<!doctype html><html><title>Welcome</title><body>Sign in to the\nportal</body></html>"
CLOUDFLARE = b"<html><head><title>502 Bad Gateway</title></head><body>Ray ID: 91010a1010</body></html>"
NOW = 1790000000.0

Reader = Callable[[Reply | NoReply], object]
READERS: dict[str, Reader] = {
    "submit": read_submit,
    "task": lambda answer: read_task(answer, ID),
    "upload": read_upload,
    "models": read_models,
}


def reply(body: object = b"", status: int = 200, **headers: str) -> Reply:
    """Make a reply of bytes, of a recorded sample by its name, or of a value as JSON."""
    match body:
        case bytes():
            content = body
        case str():
            content = SAMPLES[body]
        case _:
            content = json.dumps(body).encode()
    named = CIMultiDict((name.replace("_", "-"), value) for name, value in headers.items())
    return Reply(status, named, content, received=NOW)


def cut(answer: Reply) -> Reply:
    """Break the connection in the middle of the body, as far as the transport knows."""
    return attrs.evolve(answer, complete=False)


def submit_error(answer: Reply | NoReply) -> FoxError:
    """Return the error that a submit ends in."""
    with pytest.raises(FoxError) as caught:
        read_submit(answer)
    return caught.value


def task_error(answer: Reply | NoReply) -> FoxError:
    """Return the error that a task query ends in."""
    with pytest.raises(FoxError) as caught:
        read_task(answer, ID)
    return caught.value


def upload_error(answer: Reply | NoReply) -> FoxError:
    """Return the error that an upload ends in."""
    with pytest.raises(FoxError) as caught:
        read_upload(answer)
    return caught.value


def task(**fields: object) -> TaskState:
    """Return the state that a query's reply with these fields tells."""
    return read_task(reply({"id": ID, "status": "processing"} | fields), ID)


# --- Requests ---


def test_a_body_has_what_was_given_and_the_model() -> None:
    """None is left out; the rest is JSON."""
    body = encode(Request("m", a=1, b=None, c=[True, {"d": None}], e="ü"), {})
    assert json.loads(body) == {"a": 1, "c": [True, {"d": None}], "e": "ü", "model": "m"}


def test_a_grok_body_is_named_as_on_the_wire() -> None:
    """With the class's model."""
    body = encode(GrokTextToVideo(prompt="A kite", duration=6, extra={"new": 1}), {})
    assert json.loads(body) == {"model": "grok-imagine-text-to-video", "prompt": "A kite", "duration": 6, "new": 1}


@pytest.mark.parametrize("request_", [Request("m", model="n"), GrokTextToVideo(prompt="A", extra={"model": "n"})])
def test_no_field_overrides_the_model(request_: Request | GrokTextToVideo) -> None:
    """Even where the check was passed by."""
    assert json.loads(encode(request_, {}))["model"] == request_.model


def test_links_take_the_place_of_files_at_any_depth() -> None:
    """By identity."""
    first, second = Path("a.png"), b"film"
    request = Request("m", a=first, b={"c": [(second,)]})
    body = encode(request, {id(first): "https://a", id(second): "https://b"})
    assert json.loads(body) == {"model": "m", "a": "https://a", "b": {"c": [["https://b"]]}}


# --- A submit that was accepted ---


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("submit-pending", {"estimated_time": 45.0, "progress": 0.0, "model": "grok-imagine-text-to-video"}),
        ("submit-usage-without-task-info", {"usage": Usage(12.5, "default"), "estimated_time": None}),
        ("submit-evolink-extras", {"usage": Usage(50.0, "default"), "estimated_time": 165.0}),
        ("submit-id-and-status-alone", {"progress": None, "usage": None, "model": None, "created": None}),
        ("submit-task-id-instead-of-id", {"status": Status.PENDING}),
        ("submit-llm", {"id": LLM_ID, "results": (), "problem": None}),
        ("submit-completed-at-once", {"status": Status.COMPLETED, "urls": (f"{CDN}/kite.mp4",)}),
        (
            "submit-failed-at-once",
            {
                "status": Status.FAILED,
                "problem": TaskProblem("content_policy_violation", "The prompt was refused."),
            },
        ),
    ],
)
def test_an_accepted_submit_gives_the_first_state(name: str, expected: Mapping[str, object]) -> None:
    """Only id and status are counted on."""
    state = read_submit(reply(name))
    known = {"id": ID, **expected}
    assert {field: getattr(state, field) for field in known} == known
    assert state.raw == json.loads(SAMPLES[name])


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_any_status_of_success_with_an_id_is_an_acceptance(status: int) -> None:
    """A proxy may say 201."""
    assert read_submit(reply("submit-pending", status)).id == ID


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"id": 17, "status": "pending"}, "17"),
        ({"data": {"id": ID, "status": "pending"}}, ID),
        ({"data": {"task_id": ID}}, ID),
        ({"code": 200, "status": "success", "data": {"id": ID, "status": "pending"}}, ID),
        ({"id": None, "data": {"id": ID}}, ID),
        ({"id": None, "task_id": ID}, ID),
        ({"id": "no id", "task_id": ID}, ID),
        ({"id": "", "task_id": ID, "data": None}, ID),
        ({"id": "a/b?c=d&é", "data": {"id": "x"}}, "a/b?c=d&é"),
    ],
)
def test_the_id_is_found_where_it_was_seen(body: object, expected: str) -> None:
    """Under ``id`` or ``task_id``, wrapped in ``data`` or not, as a text or a number."""
    assert read_submit(reply(body)).id == expected


@pytest.mark.parametrize("body", [{"id": ID}, {"id": ID, "status": None}, {"id": ID, "status": {"a": 1}}])
def test_an_id_without_a_status_is_an_acceptance(body: object) -> None:
    """The id is what was paid for."""
    state = read_submit(reply(body))
    assert (state.id, state.status, state.status_text) == (ID, Status.UNKNOWN, "unknown")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_every_encoding_of_json_is_read(encoding: str) -> None:
    """With and without a byte order mark."""
    body = json.dumps({"id": ID, "status": "pending", "model": "ü"}, ensure_ascii=False).encode(encoding)
    state = read_submit(reply(body))
    assert (state.id, state.model, state.raw["model"]) == (ID, "ü", "ü")


# --- A submit that was not ---


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, "error-400-bad-json", InvalidRequest, None),
        (401, "error-401", AuthenticationError, None),
        (402, "error-402", InsufficientCredits, None),
        (403, "error-403-right-missing", AuthenticationError, None),
        (403, b"error code: 1010", AuthenticationError, None),
        (403, HTML, BadReply, None),
        (404, "error-404", BadReply, None),
        (404, HTML, BadReply, None),
        (405, {"detail": "Method Not Allowed"}, BadReply, None),
        (407, HTML, BadReply, None),
        (411, HTML, BadReply, None),
        (413, "error-413", InvalidRequest, None),
        (413, CLOUDFLARE, InvalidRequest, None),
        (414, HTML, BadReply, None),
        (415, HTML, BadReply, None),
        (422, "error-422-field", InvalidRequest, None),
        (422, "error-422-validation", InvalidRequest, None),
        (422, "error-422-fastapi-detail", InvalidRequest, None),
        (422, "error-422-unsupported-advanced-options", InvalidRequest, "unsupported_advanced_options"),
        (422, "error-422-invalid-file-type", InvalidRequest, "invalid_file_type"),
        (422, "error-422-invalid-image-url", InvalidRequest, "invalid_image_url"),
        (422, "error-422-llm-capability", InvalidRequest, "model_not_support_capability"),
        (422, "error-422-llm-rule", InvalidRequest, "model_rule_violation"),
        (422, "error-422-llm-param", InvalidRequest, "invalid_param"),
        (422, "error-422-no-channel", ModelUnavailable, "no_compatible_channel"),
        (422, "error-422-service-unavailable-without-code", ModelUnavailable, None),
        (422, "error-422-model-not-found", ModelUnavailable, "model_not_found"),
        (422, "error-422-llm-no-available-model", ModelUnavailable, "no_available_model"),
        (422, b"", InvalidRequest, None),
        (429, "error-429", RateLimited, None),
        (429, CLOUDFLARE, RateLimited, None),
        (431, HTML, BadReply, None),
        (301, b"", BadReply, None),
        (307, HTML, BadReply, None),
        (308, b"", BadReply, None),
    ],
)
def test_a_refused_submit_made_nothing(status: int, body: object, kind: type[FoxError], code: str | None) -> None:
    """Each row of the documented table: the kind of the error, its code, and what the service said."""
    answer = reply(body, status)
    error = submit_error(answer)
    assert type(error) is kind
    assert (error.submitted, error.task_id, error.http_status) == ("no", None, status)
    assert getattr(error, "code", None) == code
    assert error.body == (" ".join(body.decode().split())[:200] if isinstance(body, bytes) else json.loads(answer.body))
    assert str(error).startswith("submit: ")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, "error-500"),
        (500, "error-500-all-platforms-exhausted"),
        (502, CLOUDFLARE),
        (503, "error-503"),
        (503, "error-422-no-channel"),
        (504, HTML),
        (520, b""),
        (599, b"?"),
        (408, "error-400-bad-json"),
        (409, "error-400-bad-json"),
        (425, b""),
        (302, b""),
        (303, HTML),
        (304, b""),
        (100, b""),
        (500, "submit-pending"),
    ],
)
def test_any_other_status_leaves_open_whether_a_task_was_made(status: int, body: object) -> None:
    """After a 302 the service may well have acted; after a 5xx anyway."""
    error = submit_error(reply(body, status))
    assert type(error) is SubmitUncertain
    assert (error.submitted, error.http_status) == ("unknown", status)


@pytest.mark.parametrize(
    "body",
    [
        HTML,
        b"",
        b"null",
        b"17",
        b'"task-1"',
        b"[]",
        b"{}",
        b"{",
        b"\xff\xfe",
        b'{"id": "caf\xe9", "status": "pending"}',
        b'{"status": "pending"}',
        b'{"id": null}',
        b'{"id": true}',
        b'{"id": 1.5}',
        b'{"id": ["task-1"]}',
        b'{"id": " "}',
        b'{"id": ".."}',
        b'{"id": "a b"}',
        b'{"id": "a\\nb"}',
        b'{"id": "a\\ud83d"}',
        b'{"id": "%s"}' % (b"x" * 201),
        b'{"id": %s}' % (b"9" * 5000),
        b'{"error": {"message": "no"}}',
        b'{"data": [{"id": "7"}]}',
        b'{"success": false, "message": "no"}',
    ],
)
def test_a_success_without_a_usable_id_is_uncertain(body: bytes) -> None:
    """A portal, half an answer, or an id that no URL can carry."""
    error = submit_error(reply(body))
    assert type(error) is SubmitUncertain
    assert (error.submitted, error.task_id, error.http_status) == ("unknown", None, 200)


@pytest.mark.parametrize(
    ("body", "complete", "status"),
    [
        (b'{"id": "%s", "status": "pen' % ID.encode(), False, 200),
        (b'{"status":"pending","task_id" :\n"%s"' % ID.encode(), True, 200),
        (b'{"id": "%s", "status": "pending"}' % ID.encode(), False, 200),
        (b'{"id": "%s"}' % ID.encode(), True, 500),
        (b'{"id": "%s", "x": %s}' % (ID.encode(), b"[" * 100_000 + b"]" * 100_000), True, 200),
        (b'{"id": "%s", "x": %s}' % (ID.encode(), b"[" * 300 + b"]" * 300), True, 200),
    ],
    ids=["cut", "cut unnoticed", "whole but said to be cut", "500", "nested without end", "nested deeply"],
)
def test_an_id_that_a_broken_reply_still_shows_is_kept(body: bytes, complete: bool, status: int) -> None:
    """It is worth money."""
    answer = reply(body, status)
    error = submit_error(answer if complete else cut(answer))
    assert type(error) is SubmitUncertain
    assert error.task_id == ID
    assert ("the reply was cut" in error.what) is not complete


def test_half_an_id_is_none() -> None:
    """Its closing quote did not come."""
    assert submit_error(cut(reply(b'{"id": "task-unified-17900'))).task_id is None


def test_a_request_that_was_sent_and_got_no_reply_is_uncertain() -> None:
    """Whatever cut it."""
    cause = TimeoutError()
    error = submit_error(NoReply(sent=True, reason="no reply in time", cause=cause))
    assert type(error) is SubmitUncertain
    assert (error.submitted, error.what, error.__cause__) == ("unknown", "submit: no reply in time", cause)


def test_a_request_that_could_not_be_sent_made_nothing() -> None:
    """The service cannot be reached."""
    error = submit_error(NoReply(sent=False, reason="refused"))
    assert type(error) is ServiceUnavailable
    assert (error.submitted, error.what) == ("no", "submit: could not connect: refused")


@pytest.mark.parametrize("location", ["https://elsewhere.example/v1", None])
def test_a_redirect_names_its_target_and_base_url(location: str | None) -> None:
    """It is not followed: a POST might be repeated, or become a GET."""
    error = submit_error(reply(b"", 308, **({"Location": location} if location else {})))
    assert f"redirected to {location or 'nowhere'}, which is not followed: is base_url right?" in str(error)


def test_an_endless_redirect_target_is_cut() -> None:
    """The question after it is still seen."""
    assert "base_url right?" in str(submit_error(reply(b"", 308, Location="https://a/" + "x" * 5000)))


# --- What an error body says ---


@pytest.mark.parametrize(
    ("name", "message", "code"),
    [
        ("error-string", "The prompt is empty.", None),
        ("error-null", "The prompt is empty.", None),
        ("error-code-number", "The prompt is empty.", "1034"),
        ("error-code-null", "The prompt is empty.", None),
        ("error-evolink-extras", "The prompt is empty.", "invalid_parameters"),
        ("error-new-api-message", "The prompt is empty.", None),
        ("error-new-api-success-false", "The prompt is empty.", None),
        ("error-new-api-code-message-data", "The prompt is empty.", "invalid_request"),
        ("error-404-fastapi-detail", "Not Found", None),
        (
            "error-422-fastapi-detail",
            '[{"type": "missing", "loc": ["body", "prompt"], "msg": "Field required"}]',
            None,
        ),
    ],
)
def test_the_message_is_found_in_every_shape(name: str, message: str, code: str | None) -> None:
    """And the code beside it; the whole body stays on the error."""
    error = submit_error(reply(name, 422))
    assert isinstance(error, InvalidRequest)
    assert (error.what, error.code, error.body) == (f"submit: {message}", code, json.loads(SAMPLES[name]))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "an empty body"),
        (b"just\n text", "just text"),
        ({"error": []}, '{"error": []}'),
        ({"error": {"message": " "}, "message": "", "detail": []}, '{"error": {"message": " "}, "message": "", "det'),
        ({"error": {"message": {"a": 1}}}, '{"error": {"message": {"a": 1}}}'),
        ({"error": {"message": 7}}, "7"),
        ({"error": {"message": "a" * 1000}}, "a" * 400),
        (b"<p>" + b"a" * 1000, "<p>" + "a" * 197),
        (b"caf\xe9", "caf\ufffd"),
    ],
)
def test_a_body_without_a_message_is_shown_by_its_beginning(body: object, message: str) -> None:
    """In one line, and never all of a page."""
    assert submit_error(reply(body, 400)).what.startswith(f"submit: {message}")
    assert len(submit_error(reply(body, 400)).what) <= 408


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        ("error-422-field", {"X_Request_Id": "req-7"}, "req-7"),
        ("error-request-id-in-message", {}, "202610-abc.7"),
        ("error-request-id-in-message", {"x_request_id": "req-7"}, "req-7"),
        ({"error": {"message": "No. (request id: 20261101-x)"}}, {}, "20261101-x"),
        ("error-422-field", {}, None),
    ],
)
def test_the_request_id_is_found(body: object, headers: dict[str, str], expected: str | None) -> None:
    """In the header, else in the message; the service's support asks for it."""
    error = submit_error(reply(body, 422, **headers))
    assert error.request_id == expected
    assert (f"request {expected}" in str(error)) is (expected is not None)


def test_the_list_of_unsupported_options_stays_on_the_error() -> None:
    """With everything else of the body."""
    body: Any = submit_error(reply("error-422-unsupported-advanced-options", 422)).body
    assert body["error"]["unsupported_advanced_options"] == ["seed", "auto_fix"]


@pytest.mark.parametrize("body", [b"error code: 1010", b'<span class="cf-error-code">1010</span>', b"Error code 1010"])
def test_cloudflares_1010_says_what_to_change(body: bytes) -> None:
    """Nothing is wrong with the key."""
    error = task_error(reply(body, 403))
    assert type(error) is AuthenticationError
    assert "Client(user_agent=...)" in str(error)


@pytest.mark.parametrize("body", [HTML, b"error code: 1020", CLOUDFLARE, b"error code: 10101", b'["1010"]', b""])
def test_any_other_403_without_json_did_not_come_from_foxapi(body: bytes) -> None:
    """It says nothing about the key; digits in a page are no code."""
    assert type(task_error(reply(body, 403))) is BadReply


def test_a_403_in_json_is_about_the_key() -> None:
    """A right is missing."""
    assert type(task_error(reply("error-403-right-missing", 403))) is AuthenticationError


# --- Retry-After ---


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
    answer = reply("error-429", 429, Retry_After=value)
    assert retry_after(answer) == expected
    error = submit_error(answer)
    assert isinstance(error, RateLimited)
    assert error.retry_after == expected


def test_retry_after_may_be_absent() -> None:
    """Then our own delays apply."""
    assert retry_after(reply("error-429", 429)) is None


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
    assert retry_after(reply(b"", 429, Retry_After=time.asctime(time.gmtime(NOW + 5)))) == 5.0


# --- A task query ---


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
    assert state.created == 1790000001.0
    assert state.raw == json.loads(SAMPLES[name])


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Completed", Status.COMPLETED),
        (" FAILED ", Status.FAILED),
        ("CANCELED", Status.CANCELLED),
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
        ({"code": "generation_failed", "message": "No film."}, TaskProblem("generation_failed", "No film.")),
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
    assert "the reply was cut" in error.what


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
    cause = ConnectionResetError()
    error = task_error(NoReply(sent=True, reason="reset", cause=cause))
    assert type(error) is ServiceUnavailable
    assert (error.what, error.__cause__) == ("task query: reset", cause)


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


# --- Uploads and models ---


@pytest.mark.parametrize("body", ["upload", {"data": {"url": "https://cdn.foxapi.cc/uploads/20260921/9f3c/kite.png"}}])
def test_an_upload_gives_its_url(body: object) -> None:
    """Nothing else of the reply is counted on."""
    assert read_upload(reply(body)) == "https://cdn.foxapi.cc/uploads/20260921/9f3c/kite.png"


@pytest.mark.parametrize("body", [b"", HTML, {}, {"url": None}, {"url": 7}, {"url": "kite.png"}, {"url": "ftp://a/b"}])
def test_an_upload_without_a_url_did_not_reach_foxapi(body: object) -> None:
    """It cannot be used."""
    assert type(upload_error(reply(body))) is BadReply


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, "error-400-bad-json", UploadError),
        (403, "error-403-storage-full", UploadError),
        (413, "error-413", UploadError),
        (413, CLOUDFLARE, UploadError),
        (422, "error-422-invalid-file-type", UploadError),
        (401, "error-401", AuthenticationError),
        (403, b"error code: 1010", AuthenticationError),
        (403, HTML, BadReply),
        (429, "error-429", RateLimited),
        (500, "error-500", ServiceUnavailable),
        (200, HTML, BadReply),
    ],
)
def test_a_failed_upload_is_told_by_its_kind(status: int, body: object, kind: type[FoxError]) -> None:
    """What the service will not take is no fault of the request or the key."""
    error = upload_error(reply(body, status, x_request_id="req-7"))
    assert type(error) is kind
    assert (error.submitted, error.http_status, error.request_id) == ("no", status, "req-7")
    assert error.body is not None


def test_the_models_of_a_key_are_their_ids() -> None:
    """In the order of the service."""
    assert read_models(reply("models")) == ("grok-imagine-text-to-video", "gpt-5")


def test_a_row_without_an_id_is_no_model() -> None:
    """The others are."""
    assert read_models(reply({"data": [{"id": "m"}, {}, None, 7, {"id": ""}, {"id": 5}]})) == ("m", "5")


@pytest.mark.parametrize("body", [b"", HTML, [], {}, {"data": None}, {"data": {"id": "m"}}, "account-usage-wrapped"])
def test_a_reply_without_a_list_has_no_models(body: object) -> None:
    """Not an empty list: the service did not say that."""
    with pytest.raises(BadReply, match="no list"):
        read_models(reply(body))


# --- No reply, however broken ---


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
@example(reply(b"[" * 100_000), read_submit)
@example(reply(b"[" * 100_000 + b"]" * 100_000, 422), read_submit)
@example(reply(b'{"detail": ' + b"[" * 900 + b"]" * 900 + b"}", 422), read_submit)
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
    end = outcome(read_submit, reply(body, status))
    if isinstance(end, FoxError):
        refused = status in {301, 307, 308, 400, 401, 402, 403, 404, 405, 407, 411, 413, 414, 415, 422, 429, 431}
        assert end.submitted == ("no" if refused else "unknown")
    else:
        assert isinstance(end, TaskState)
        assert is_task_id(end.id)
        assert 200 <= status < 300
