"""What the reply to a submission says: a task, a refusal, or that nobody knows."""

import json
from collections.abc import Mapping

import pytest
from replies import CDN, CLOUDFLARE, HTML, ID, LLM_ID, SAMPLES, cut, refusal, reply, submit_error, submitted

from foxvideo._wire.reply import NoReply, Reply
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
)
from foxvideo.state import Status, TaskProblem, Usage


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
    state = submitted(reply(name))
    known = {"id": ID, **expected}
    assert {field: getattr(state, field) for field in known} == known
    assert state.raw == json.loads(SAMPLES[name])


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_any_status_of_success_with_an_id_is_an_acceptance(status: int) -> None:
    """A proxy may say 201."""
    assert submitted(reply("submit-pending", status)).id == ID


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"id": 17, "status": "pending"}, "17"),
        ({"data": {"id": ID, "status": "pending"}}, ID),
        ({"data": {"task_id": ID, "status": "pending"}}, ID),
        ({"code": 200, "status": "success", "data": {"id": ID, "status": "pending"}}, ID),
        ({"id": None, "data": {"id": ID, "status": "queued"}}, ID),
        ({"id": None, "task_id": ID, "status": "pending"}, ID),
        ({"id": "no id", "task_id": ID, "status": "pending"}, ID),
        ({"id": "", "task_id": ID, "data": None, "status": "running"}, ID),
        ({"id": "a/b?c=d&é", "status": "pending", "data": {"id": "x"}}, "a/b?c=d&é"),
    ],
)
def test_the_id_is_found_where_it_was_seen(body: object, expected: str) -> None:
    """Under ``id`` or ``task_id``, wrapped in ``data`` or not, as a text or a number."""
    assert submitted(reply(body)).id == expected


WORDS = {
    "pending": Status.PENDING,
    "processing": Status.PROCESSING,
    "completed": Status.COMPLETED,
    "failed": Status.FAILED,
    "cancelled": Status.CANCELLED,
    "canceled": Status.CANCELLED,
    "queued": Status.PENDING,
    "pendding": Status.PENDING,
    "running": Status.PROCESSING,
    "error": Status.FAILED,
}


@pytest.mark.parametrize("word", WORDS)
def test_every_status_that_the_service_is_known_to_use_is_an_acceptance(word: str) -> None:
    """Those of the current page, of an older one, and of the gateway before that; in any case of letters."""
    for spelled in (word, word.upper(), f" {word}"):
        assert submitted(reply({"id": ID, "status": spelled})).status is WORDS[word]


NONSENSE = ["1%s" % ("0" * 400), "1%s" % ("0" * 5000), "1%s" % ("0" * 30), "9223372036854775808", "-1", "1e999", "NaN"]
NONSENSE += [
    '"NaN"',
    '"1e999"',
    '"\\ud83d"',
    "true",
    "null",
    "[]",
    "{}",
    "[[]]",
    '{"a": [null]}',
    '"%s"' % ("x" * 9000),
]


@pytest.mark.parametrize("value", NONSENSE, ids=lambda value: value[:20])
@pytest.mark.parametrize(
    "field", ["credits_reserved", "created", "progress", "estimated_time", "model", "error", "results", "object", "x"]
)
def test_all_but_id_and_status_may_be_nonsense(field: str, value: str) -> None:
    """The id is what was paid for."""
    pair = f'"{field}": {value}'
    body = f'{{"id": "{ID}", "status": "pending", {pair}, "usage": {{{pair}}}, "task_info": {{{pair}}}}}'
    state = submitted(reply(body.encode()))
    assert (state.id, state.status) == (ID, Status.PENDING)
    for number in (state.credits_reserved, state.progress, state.estimated_time):
        assert number is None or -(2**63) <= number < 2**63 or isinstance(number, float)
        assert number is None or float("-inf") < number < float("inf")
    assert state.created is None or json.dumps(state.as_dict())
    assert isinstance(state.raw, dict)


# --- Not accepted ---


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
        b'{"success": false, "message": "no"}',
    ],
)
def test_a_success_without_a_usable_id_is_uncertain(body: bytes) -> None:
    """A portal, half an answer, or an id that no URL can carry."""
    error = submit_error(reply(body))
    assert type(error) is SubmitUncertain
    assert (error.submitted, error.task_id, error.http_status) == ("unknown", None, 200)


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"status": None},
        {"status": ""},
        {"status": 200},
        {"status": {"a": 1}},
        {"status": ["pending"]},
        {"status": "success"},
        {"status": "moderating"},
        {"status": "unknown"},
        {"error": {"message": "The balance is too low."}},
        {"error": {"message": "No."}, "status": None},
    ],
    ids=str,
)
@pytest.mark.parametrize("id_", [ID, "17", 17, "a/b"])
def test_a_success_without_a_documented_status_is_uncertain_and_keeps_its_id(
    told: dict[str, object], id_: object
) -> None:
    """What the service made of the request is anybody's guess; whoever looks it up needs the id."""
    error = submit_error(reply({"id": id_} | told))
    assert type(error) is SubmitUncertain
    assert (error.submitted, error.task_id, error.http_status) == ("unknown", str(id_), 200)


@pytest.mark.parametrize(
    ("body", "complete", "status"),
    [
        (b'{"id": "%s", "status": "pen' % ID.encode(), False, 200),
        (b'{"status":"pending","task_id" :\n"%s"' % ID.encode(), True, 200),
        (b'{"id": "%s", "status": "pending"}' % ID.encode(), False, 200),
        (b'{"id": "%s"}' % ID.encode(), True, 500),
        (b'{"data": [{"id": "%s", "status": "pending"}]}' % ID.encode(), True, 200),
        (b'[{"task_id": "%s"}]' % ID.encode(), True, 200),
        (b'{"id": "%s", "x": %s}' % (ID.encode(), b"[" * 100_000 + b"]" * 100_000), True, 200),
        (b'{"id": "%s", "x": %s}' % (ID.encode(), b"[" * 300 + b"]" * 300), True, 200),
    ],
    ids=[
        "cut",
        "cut unnoticed",
        "whole but said to be cut",
        "500",
        "in a list",
        "a list",
        "nested without end",
        "nested deeply",
    ],
)
def test_an_id_that_a_broken_reply_still_shows_is_kept(body: bytes, complete: bool, status: int) -> None:
    """It is worth money."""
    answer = reply(body, status)
    error = submit_error(answer if complete else cut(answer))
    assert type(error) is SubmitUncertain
    assert error.task_id == ID
    assert ("it broke off" in error.what) is not complete


def test_half_an_id_is_none() -> None:
    """Its closing quote did not come."""
    assert submit_error(cut(reply(b'{"id": "task-unified-17900'))).task_id is None


def test_a_request_that_was_sent_and_got_no_reply_is_uncertain() -> None:
    """Whatever cut it."""
    error = submit_error(NoReply(sent=True, reason="no reply in time"))
    assert type(error) is SubmitUncertain
    assert (error.submitted, error.what) == ("unknown", "sent, and no reply came: no reply in time")


def test_what_is_not_even_http_may_still_show_an_id() -> None:
    """One of ours alone: any other text may have an "id" in it."""
    seen = b'garbage {"id": "%s", "status": ' % ID.encode()
    assert submit_error(NoReply(sent=True, reason="not HTTP", body=seen)).task_id == ID
    assert submit_error(NoReply(sent=True, reason="not HTTP", body=b'{"id": "17"}')).task_id is None


def test_a_request_that_could_not_be_sent_made_nothing() -> None:
    """The service cannot be reached."""
    error = submit_error(NoReply(sent=False, reason="refused"))
    assert type(error) is ServiceUnavailable
    assert (error.submitted, error.what) == ("no", "could not connect: refused")


@pytest.mark.parametrize("location", ["https://elsewhere.example/v1", None])
def test_a_redirect_names_its_target_and_base_url(location: str | None) -> None:
    """It is not followed: a POST might be repeated, or become a GET."""
    error = submit_error(reply(b"", 308, **({"Location": location} if location else {})))
    assert f"redirected to {location or 'nowhere'}, which is not followed: is base_url right?" in str(error)


def test_an_endless_redirect_target_is_cut() -> None:
    """The question after it is still seen."""
    assert "base_url right?" in str(submit_error(reply(b"", 308, Location="https://a/" + "x" * 5000)))


def test_a_redirect_target_is_named_without_credentials() -> None:
    """Its query may be a signature."""
    error = submit_error(
        reply(b"", 307, Location="https://me:hush-hush@storage.example/a?X-Signature=hush-hush#hush-hush")
    )
    assert "redirected to https://storage.example/a, which" in str(error)
    assert "hush-hush" not in str(error)


# --- Refusals that nobody promises to make nothing ---

BUSY = {
    "429": reply("error-429", 429),
    "429 page": reply(CLOUDFLARE, 429),
    "429 empty": reply(b"", 429),
    "no channel": refusal(422, "no_compatible_channel"),
    "no channel, shouted": refusal(422, "NO_COMPATIBLE_CHANNEL"),
    "no channel, 400": refusal(400, "no_compatible_channel"),
    "no model of a kind": refusal(422, "no_available_model"),
    "unavailable without a code": reply("error-422-service-unavailable-without-code", 422),
    "unavailable with another code": reply(
        {"error": {"type": "service_unavailable_error", "code": "upstream_full", "message": "no"}}, 422
    ),
    "no channel, cut behind it": cut(reply(b'{"error": {"code": "no_compatible_channel", "message": "Nob', 422)),
    "unavailable, cut behind it": cut(reply(b'{"error": {"type": "service_unavailable_error", "mess', 422)),
}


@pytest.mark.parametrize("answer", BUSY.values(), ids=BUSY)
def test_a_refusal_that_says_not_now_made_nothing_only_if_it_is_trusted(answer: Reply) -> None:
    """Live clients believe it, and no page says so."""
    trusted, untrusted = submit_error(answer), submit_error(answer, trust_refusals=False)
    assert isinstance(trusted, RateLimited | ModelUnavailable)
    assert trusted.submitted == "no"
    assert type(untrusted) is SubmitUncertain
    assert (untrusted.submitted, untrusted.http_status) == ("unknown", answer.status)
    assert type(untrusted.__cause__) is type(trusted)


def test_a_422_that_broke_off_before_its_code_is_trusted_no_further() -> None:
    """It may have been *no channel*; the status of a refusal that is trusted is enough."""
    half = cut(reply(b'{"error": {"mess', 422))
    assert type(submit_error(half)) is InvalidRequest
    assert type(submit_error(half, trust_refusals=False)) is SubmitUncertain


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 407, 411, 413, 414, 415, 431, 301, 307, 308])
@pytest.mark.parametrize("complete", [True, False])
def test_any_other_refusal_is_one_also_where_its_body_broke_off(status: int, complete: bool) -> None:
    """Nobody doubts these, whatever ``trust_refusals`` says."""
    answer = reply("error-422-field", status)
    for trust in (True, False):
        error = submit_error(answer if complete else cut(answer), trust_refusals=trust)
        assert (error.submitted, error.http_status) == ("no", status)
        assert not isinstance(error, SubmitUncertain)


def test_a_model_that_the_key_may_not_call_is_refused_for_good() -> None:
    """Whatever type the service gives that: it is about the request."""
    for trust in (True, False):
        error = submit_error(reply("error-422-model-not-found", 422), trust_refusals=trust)
        assert type(error) is ModelUnavailable
        assert error.submitted == "no"
