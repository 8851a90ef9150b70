"""What the body of an error says, in every shape that was seen."""

import json
from typing import Any

import pytest
from replies import CLOUDFLARE, HTML, SAMPLES, cut, reply, submit_error, task_error

from foxvideo.errors import AuthenticationError, BadReply, InvalidRequest


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
    assert (error.what, error.code, error.body) == (message, code, json.loads(SAMPLES[name]))


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
    assert submit_error(reply(body, 400)).what.startswith(message)
    assert len(submit_error(reply(body, 400)).what) <= 400


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        ("error-422-field", {"X_Request_Id": "req-7"}, "req-7"),
        ("error-request-id-in-message", {}, "202610-abc.7"),
        ("error-request-id-in-message", {"x_request_id": "req-7"}, "req-7"),
        ({"error": {"message": "No. (request id: 20261101-x)"}}, {}, "20261101-x"),
        ("error-422-field", {"x_oneapi_request_id": "one-7"}, "one-7"),
        ({"error": {"message": "No.", "request_id": "inner-7"}}, {}, "inner-7"),
        ("error-422-field", {}, None),
    ],
)
def test_the_request_id_is_found(body: object, headers: dict[str, str], expected: str | None) -> None:
    """In a header, in the error, else in the message; the service's support asks for it."""
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


def test_a_word_of_an_error_that_broke_off_is_read() -> None:
    """What it says of the reason is worth more than where it ended."""
    error = task_error(cut(reply(b'{"error": {"code": "model_not_found", "message": "The mod', 422)))
    assert getattr(error, "code", None) == "model_not_found"
    assert error.what.startswith('{"error"')
