"""Whether a submission is sent again, and after which delay."""

import pytest
from hypothesis import given, strategies as st
from replies import HTML, ID, LOST, UNSENT, cut, refusal, reply, state, whole

from foxvideo._wire.reply import Answer, NoReply
from foxvideo._wire.verdict import Made, SubmitAgain, delay, submit_verdict
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
from foxvideo.state import Status, TaskState

NO_CHANNEL = refusal(422, "no_compatible_channel")
UNAVAILABLE = reply({"error": {"type": "service_unavailable_error"}}, 422)


def verdict(
    answer: Answer,
    attempt: int = 1,
    *,
    trust_refusals: bool = True,
    idempotent: bool = False,
    before: Made = "no",
) -> TaskState | SubmitAgain | FoxError:
    """Judge an attempt of four, without jitter."""
    return submit_verdict(
        answer,
        attempt=attempt,
        attempts=4,
        trust_refusals=trust_refusals,
        idempotent=idempotent,
        before=before,
        jitter=whole,
    )


def again(answer: Answer, attempt: int = 1, *, idempotent: bool = False, before: Made = "no") -> SubmitAgain:
    """Judge an attempt after which there is another."""
    judged = verdict(answer, attempt, idempotent=idempotent, before=before)
    assert isinstance(judged, SubmitAgain)
    return judged


# --- Delays ---


def test_delays_double_up_to_a_bound() -> None:
    """One second at first, a minute at most."""
    assert [delay(failures, whole) for failures in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert delay(100_000, whole) == 60


def test_the_first_delay_and_the_bound_can_be_chosen() -> None:
    """As for a channel that is missing."""
    assert [delay(failures, whole, first=15.0, most=40.0) for failures in (1, 2, 3)] == [15, 30, 40]


@pytest.mark.parametrize("failures", [0, -3])
def test_without_a_failure_the_delay_is_the_first(failures: int) -> None:
    """There is none shorter."""
    assert delay(failures, whole) == 1


@given(st.integers(1, 50))
def test_a_delay_is_spread_from_half_a_second_to_its_full_length(failures: int) -> None:
    """So that many clients do not come back in one instant, and none at once."""
    assert 0.5 <= delay(failures) <= delay(failures, whole)


def test_delays_differ() -> None:
    """Chance is really asked."""
    assert len({delay(5) for _ in range(8)}) > 1


@given(st.integers(1, 50), st.none() | st.floats(0, 120))
def test_what_the_server_asks_for_is_a_lower_bound_under_our_own_delay(failures: int, asked: float | None) -> None:
    """Zero is no licence, and a long wait is kept."""
    waited = delay(failures, whole, asked=asked)
    assert waited == max(delay(failures, whole), asked or 0.0)
    assert delay(failures, lambda _: 0.0, asked=asked) == max(asked or 0.0, 0.5)


# --- Accepted, refused, uncertain ---


def test_an_accepted_submission_gives_its_state() -> None:
    """Nothing is to be repeated."""
    judged = verdict(state("pending"))
    assert isinstance(judged, TaskState)
    assert (judged.id, judged.status) == (ID, Status.PENDING)


ENDS: list[tuple[Answer, type[FoxError]]] = [
    (LOST, SubmitUncertain),
    (reply(HTML), SubmitUncertain),
    (reply({"id": ID}), SubmitUncertain),
    (cut(state("pending")), SubmitUncertain),
    (reply(HTML, 302), SubmitUncertain),
    (refusal(408), SubmitUncertain),
    (refusal(409), SubmitUncertain),
    (refusal(409, "paid_outcome_unknown"), SubmitUncertain),
    (refusal(409, "idempotency_conflict"), SubmitUncertain),
    (refusal(425), SubmitUncertain),
    (refusal(500), SubmitUncertain),
    (reply(HTML, 502), SubmitUncertain),
    (refusal(503, "no_compatible_channel"), SubmitUncertain),
    (refusal(503, Retry_After="1"), SubmitUncertain),
    (refusal(400), InvalidRequest),
    (refusal(401), AuthenticationError),
    (refusal(402), InsufficientCredits),
    (refusal(403), AuthenticationError),
    (reply(HTML, 403), BadReply),
    (refusal(404), BadReply),
    (refusal(413), InvalidRequest),
    (refusal(422, "invalid_param"), InvalidRequest),
    (refusal(422, "model_not_found"), ModelUnavailable),
    (reply(HTML, 308), BadReply),
]


@pytest.mark.parametrize("trust", [True, False])
@pytest.mark.parametrize("attempt", [1, 4])
@pytest.mark.parametrize(("answer", "kind"), ENDS)
def test_a_submission_that_may_have_arrived_or_cannot_succeed_is_not_repeated(
    answer: Answer, kind: type[FoxError], attempt: int, trust: bool
) -> None:
    """Money: only what certainly made nothing, and may succeed later, goes out again."""
    judged = verdict(answer, attempt, trust_refusals=trust)
    assert type(judged) is kind
    assert judged.submitted == ("unknown" if kind is SubmitUncertain else "no")


# --- Sent again ---


@pytest.mark.parametrize("trust", [True, False])
def test_a_request_that_did_not_leave_is_sent_again_after_a_doubling_delay(trust: bool) -> None:
    """No byte reached the service, whatever it is trusted to say; nobody is asked to slow down."""
    judged = [verdict(UNSENT, attempt, trust_refusals=trust) for attempt in (1, 2, 3)]
    assert [each.after for each in judged if isinstance(each, SubmitAgain)] == [1, 2, 4]
    assert {(each.limited, each.made) for each in judged if isinstance(each, SubmitAgain)} == {(False, "no")}


@pytest.mark.parametrize(
    ("asked", "attempt", "waited"), [("7", 3, 7.0), ("0", 1, 1.0), ("0", 3, 4.0), ("600", 3, 120.0)]
)
def test_a_429_is_sent_again_after_what_the_service_asks_and_no_sooner_than_our_own_delay(
    asked: str, attempt: int, waited: float
) -> None:
    """Everybody slows down."""
    judged = again(refusal(429, Retry_After=asked), attempt)
    assert isinstance(judged.error, RateLimited)
    assert (judged.after, judged.limited, judged.made) == (waited, True, "no")


@pytest.mark.parametrize("headers", [{}, {"Retry_After": "-1"}, {"Retry_After": "nan"}, {"Retry_After": "soon"}])
def test_a_429_that_asks_for_nothing_sensible_is_sent_again_after_a_doubling_delay(headers: dict[str, str]) -> None:
    """Our own."""
    assert again(refusal(429, **headers), 3).after == 4


@pytest.mark.parametrize("answer", [NO_CHANNEL, UNAVAILABLE], ids=["no channel", "unavailable"])
def test_a_channel_that_is_missing_is_tried_again_slowly(answer: Answer) -> None:
    """It is not back within a second."""
    judged = [again(answer, attempt) for attempt in (1, 2, 3)]
    assert [each.after for each in judged] == [30, 45, 75]
    assert {(each.limited, each.made) for each in judged} == {(False, "no")}


def test_the_delays_of_a_submission_are_jittered() -> None:
    """Unless the caller brings another jitter; a missing channel is never asked for within 15 s."""
    for _ in range(20):
        judged = submit_verdict(NO_CHANNEL, attempt=1, attempts=4, trust_refusals=True)
        assert isinstance(judged, SubmitAgain)
        assert 15.5 <= judged.after <= 30


BUSY = [
    (refusal(429, Retry_After="7"), RateLimited),
    (NO_CHANNEL, ModelUnavailable),
    (UNAVAILABLE, ModelUnavailable),
]


@pytest.mark.parametrize(("answer", "kind"), [(UNSENT, ServiceUnavailable), *BUSY])
def test_the_last_attempt_ends_with_what_it_met(answer: Answer, kind: type[FoxError]) -> None:
    """Also where more were sent than allowed."""
    for attempt in (4, 5):
        judged = verdict(answer, attempt)
        assert type(judged) is kind
        assert judged.submitted == "no"
    assert isinstance(verdict(answer, 3), SubmitAgain)


@pytest.mark.parametrize("idempotent", [True, False])
@pytest.mark.parametrize("attempt", [1, 3, 4])
@pytest.mark.parametrize(("answer", "kind"), BUSY)
def test_a_refusal_that_is_not_trusted_is_uncertain_at_every_attempt(
    answer: Answer, kind: type[FoxError], attempt: int, idempotent: bool
) -> None:
    """Nobody promises that it made nothing; what it said is behind the error."""
    judged = verdict(answer, attempt, trust_refusals=False, idempotent=idempotent)
    assert type(judged) is SubmitUncertain
    assert judged.submitted == "unknown"
    assert type(judged.__cause__) is kind


# --- Where one idempotency key makes one task ---

REPEATABLE: dict[str, Answer] = {
    "no reply": LOST,
    "not HTTP": NoReply(sent=True, reason="not HTTP", body=b"220 smtp"),
    "500": refusal(500),
    "502 page": reply(HTML, 502),
    "503": refusal(503, "no_compatible_channel"),
    "599": reply(b"", 599),
    "408": refusal(408),
    "a page": reply(HTML),
    "an empty 200": reply(b""),
    "cut": cut(state("pending")),
    "cut 500": cut(refusal(500)),
    "no id": reply({"status": "pending"}),
}


@pytest.mark.parametrize("answer", REPEATABLE.values(), ids=REPEATABLE)
def test_a_lost_reply_is_asked_for_again_under_the_same_key(answer: Answer) -> None:
    """Until attempts are used up; a task may exist all the while."""
    for attempt, waited in ((1, 1.0), (2, 2.0), (3, 4.0)):
        judged = again(answer, attempt, idempotent=True)
        assert (judged.after, judged.limited, judged.made) == (waited, False, "unknown")
        assert isinstance(judged.error, SubmitUncertain)
    last = verdict(answer, 4, idempotent=True)
    assert type(last) is SubmitUncertain
    assert last.submitted == "unknown"


def test_an_id_that_a_lost_reply_showed_is_on_the_error_of_the_attempt() -> None:
    """It is not dropped by trying again."""
    assert again(cut(state("pending")), idempotent=True).error.task_id == ID


@pytest.mark.parametrize("code", ["paid_outcome_unknown", "idempotency_conflict", None])
@pytest.mark.parametrize("attempt", [1, 4])
def test_a_409_puts_the_key_itself_in_doubt(code: str | None, attempt: int) -> None:
    """It is never repeated."""
    judged = verdict(refusal(409, code), attempt, idempotent=True)
    assert type(judged) is SubmitUncertain
    assert judged.submitted == "unknown"


@pytest.mark.parametrize("status", [302, 303, 304])
def test_a_redirect_that_may_have_acted_is_not_repeated(status: int) -> None:
    """It was understood."""
    assert type(verdict(reply(b"", status), idempotent=True)) is SubmitUncertain


@pytest.mark.parametrize(("answer", "kind"), [*ENDS, (UNSENT, ServiceUnavailable), *BUSY])
def test_no_end_after_a_lost_reply_says_that_nothing_was_made(answer: Answer, kind: type[FoxError]) -> None:
    """An attempt that made nothing does not undo one that may have made a task."""
    judged = verdict(answer, 4, idempotent=True, before="unknown")
    assert type(judged) is SubmitUncertain
    assert judged.submitted == "unknown"
    if kind is not SubmitUncertain:
        assert type(judged.__cause__) is kind
        assert judged.http_status == judged.__cause__.http_status


@pytest.mark.parametrize("answer", [UNSENT, *(answer for answer, _ in BUSY)])
def test_leave_to_repeat_remembers_that_an_earlier_reply_was_lost(answer: Answer) -> None:
    """Until a reply says what became of the key."""
    assert again(answer, 2, idempotent=True, before="unknown").made == "unknown"
    assert isinstance(verdict(state("pending"), 2, idempotent=True, before="unknown"), TaskState)


ANY = st.sampled_from([*(answer for answer, _ in ENDS), UNSENT, *(answer for answer, _ in BUSY), *REPEATABLE.values()])


@given(st.lists(ANY, min_size=1, max_size=6), st.booleans(), st.booleans())
def test_no_run_of_attempts_forgets_that_one_may_have_made_a_task(
    answers: list[Answer], trust: bool, idempotent: bool
) -> None:
    """In whichever order answers come: after one that is unknown, nothing is a *no*, and without a promise it ends."""
    made: Made = "no"
    for attempt, answer in enumerate(answers, 1):
        judged = verdict(answer, attempt, trust_refusals=trust, idempotent=idempotent, before=made)
        if isinstance(judged, SubmitAgain):
            assert judged.made == "unknown" or (made, judged.error.submitted) == ("no", "no")
            assert idempotent or judged.made == "no"
            assert 0.5 <= judged.after <= 135
            made = judged.made
        else:
            assert isinstance(judged, FoxError)
            assert judged.submitted == "unknown" or made == "no"
            break
