"""Verdicts and delays, with the time passed in."""

import json
from collections.abc import Sequence

import attrs
import pytest
from hypothesis import given, strategies as st
from multidict import CIMultiDict

from foxvideo._wire.decode import Answer, NoReply, Reply
from foxvideo._wire.verdict import (
    WELL,
    AskAgain,
    Pace,
    SendAgain,
    Trouble,
    delay,
    judge_read,
    judge_state,
    judge_submit,
)
from foxvideo.errors import (
    AuthenticationError,
    BadReply,
    FoxError,
    InsufficientCredits,
    InvalidRequest,
    ModelUnavailable,
    RateLimited,
    ResultsMissing,
    ServiceUnavailable,
    SubmitUncertain,
    TaskNotFound,
)
from foxvideo.state import Result, Status, TaskState

ID = "task-unified-1790000001-k3v9q2ma"
HTML = b"<html>Bad gateway</html>"
LOST = NoReply(sent=True, reason="no reply in time")
REFUSED = NoReply(sent=False, reason="connection refused")


def whole(seconds: float) -> float:
    """Jitter nothing."""
    return seconds


def reply(status: int, body: object = HTML, **headers: str) -> Reply:
    """Make a reply."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, CIMultiDict((name.replace("_", "-"), value) for name, value in headers.items()), content)


def refusal(status: int, code: str | None = None, **headers: str) -> Reply:
    """Make a reply of FoxAPI that refuses."""
    return reply(status, {"error": {"message": "no", "code": code}}, **headers)


def state(status: str, **fields: object) -> Reply:
    """Make the reply of a task query."""
    return reply(200, {"id": ID, "status": status} | fields)


RUNNING = state("processing", progress=40)
EMPTY = state("completed", results=None, usage={"credits_reserved": 12.5})
DONE = state("completed", results=[{"url": "https://cdn.example/a.mp4"}])
MISS = refusal(404)


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
def test_a_delay_is_spread_from_zero_to_its_full_length(failures: int) -> None:
    """So that many clients do not come back in one instant."""
    assert 0 <= delay(failures) <= delay(failures, whole)


def test_delays_differ() -> None:
    """Chance is really asked."""
    assert len({delay(5) for _ in range(8)}) > 1


# --- Submits ---


def submit(answer: Answer, attempt: int = 1, *, retry_429: bool = True) -> TaskState | SendAgain | FoxError:
    """Judge an attempt of four, without jitter."""
    return judge_submit(answer, attempt=attempt, attempts=4, retry_429=retry_429, jitter=whole)


def test_an_accepted_submit_gives_its_state() -> None:
    """Nothing is to be repeated."""
    verdict = submit(state("pending"))
    assert isinstance(verdict, TaskState)
    assert (verdict.id, verdict.status) == (ID, Status.PENDING)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (LOST, SubmitUncertain),
        (reply(200), SubmitUncertain),
        (reply(302), SubmitUncertain),
        (refusal(408), SubmitUncertain),
        (refusal(409), SubmitUncertain),
        (refusal(500), SubmitUncertain),
        (reply(502), SubmitUncertain),
        (refusal(503, "no_compatible_channel"), SubmitUncertain),
        (refusal(400), InvalidRequest),
        (refusal(401), AuthenticationError),
        (refusal(402), InsufficientCredits),
        (refusal(403), AuthenticationError),
        (reply(403), BadReply),
        (refusal(404), BadReply),
        (refusal(413), InvalidRequest),
        (refusal(422, "invalid_param"), InvalidRequest),
        (refusal(422, "model_not_found"), ModelUnavailable),
        (reply(422, {"error": {"type": "service_unavailable_error"}}), ModelUnavailable),
        (reply(308), BadReply),
    ],
)
@pytest.mark.parametrize("attempt", [1, 4])
def test_a_submit_that_may_have_arrived_or_cannot_succeed_is_not_repeated(
    answer: Answer, kind: type[FoxError], attempt: int
) -> None:
    """Money: only what certainly made nothing, and may succeed later, goes out again."""
    verdict = submit(answer, attempt)
    assert type(verdict) is kind
    assert verdict.submitted == ("unknown" if kind is SubmitUncertain else "no")


def test_a_refused_connection_is_tried_again_after_a_doubling_delay() -> None:
    """No byte reached the service; nobody is asked to slow down."""
    verdicts = [submit(REFUSED, attempt) for attempt in (1, 2, 3)]
    assert all(isinstance(verdict, SendAgain) for verdict in verdicts)
    assert [verdict.after for verdict in verdicts if isinstance(verdict, SendAgain)] == [1, 2, 4]
    assert [verdict.limited for verdict in verdicts if isinstance(verdict, SendAgain)] == [False] * 3


def test_a_429_is_tried_again_after_what_the_service_asks() -> None:
    """Everybody slows down; a wait of zero is one."""
    for seconds, expected in (("7", 7.0), ("0", 0.0), ("600", 120.0)):
        verdict = submit(refusal(429, Retry_After=seconds), 3)
        assert isinstance(verdict, SendAgain)
        assert isinstance(verdict.error, RateLimited)
        assert (verdict.after, verdict.limited) == (expected, True)


@pytest.mark.parametrize("headers", [{}, {"Retry_After": "-1"}, {"Retry_After": "nan"}, {"Retry_After": "soon"}])
def test_a_429_that_asks_for_nothing_sensible_is_tried_again_after_a_doubling_delay(headers: dict[str, str]) -> None:
    """Our own."""
    verdict = submit(refusal(429, **headers), 3)
    assert isinstance(verdict, SendAgain)
    assert verdict.after == 4


def test_a_429_is_not_tried_again_where_the_caller_says_so() -> None:
    """No page promises that it made nothing."""
    verdict = submit(refusal(429, Retry_After="7"), retry_429=False)
    assert isinstance(verdict, RateLimited)
    assert (verdict.retry_after, verdict.submitted) == (7.0, "no")


def test_a_channel_that_is_missing_is_tried_again_slowly() -> None:
    """It is not back within a second."""
    verdicts = [submit(refusal(422, "no_compatible_channel"), attempt) for attempt in (1, 2, 3)]
    assert [verdict.after for verdict in verdicts if isinstance(verdict, SendAgain)] == [30, 45, 75]
    assert not any(verdict.limited for verdict in verdicts if isinstance(verdict, SendAgain))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (REFUSED, ServiceUnavailable),
        (refusal(429, Retry_After="7"), RateLimited),
        (refusal(422, "no_compatible_channel"), ModelUnavailable),
    ],
)
def test_the_last_attempt_ends_with_what_it_met(answer: Answer, kind: type[FoxError]) -> None:
    """Also where more were sent than allowed."""
    assert type(submit(answer, 4)) is kind
    assert type(submit(answer, 5)) is kind
    assert isinstance(submit(answer, 3), SendAgain)


def test_the_delays_of_a_submit_are_jittered() -> None:
    """Unless the caller brings another jitter; a missing channel is never asked for within 15 s."""
    answer = refusal(422, "no_compatible_channel")
    for _ in range(20):
        verdict = judge_submit(answer, attempt=1, attempts=4)
        assert isinstance(verdict, SendAgain)
        assert 15 <= verdict.after <= 30


# --- Reads ---


def read(
    answers: Sequence[Answer], *, start: float = 1000.0, step: float = 5.0, trouble: Trouble = WELL
) -> list[AskAgain | TaskState | FoxError]:
    """Judge answers one after the other, some seconds apart, until the wait ends."""
    verdicts: list[AskAgain | TaskState | FoxError] = []
    for number, answer in enumerate(answers):
        verdict = judge_read(answer, ID, trouble, start + number * step, whole)
        verdicts.append(verdict)
        if not isinstance(verdict, AskAgain):
            break
        trouble = verdict.trouble
    return verdicts


def last(answers: Sequence[Answer], *, step: float = 5.0) -> AskAgain:
    """Return the last verdict of a wait that goes on."""
    verdicts = read(answers, step=step)
    assert len(verdicts) == len(answers)
    assert isinstance(verdicts[-1], AskAgain)
    return verdicts[-1]


@pytest.mark.parametrize("word", ["pending", "processing", "moderating"])
def test_a_task_that_runs_is_asked_after_when_the_schedule_says(word: str) -> None:
    """Also one with a status that nobody knows."""
    verdict = last([state(word)])
    assert verdict.state is not None
    assert verdict == AskAgain(WELL, verdict.state, after=None, limited=False)
    assert verdict.state.status_text == word


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (DONE, Status.COMPLETED),
        (state("completed", results=[{"voice_id": "v"}]), Status.COMPLETED),
        (state("failed", error={"code": "generation_failed"}), Status.FAILED),
        (state("cancelled"), Status.CANCELLED),
        (state("canceled"), Status.CANCELLED),
    ],
)
def test_a_terminal_status_ends_the_wait(answer: Answer, status: Status) -> None:
    """Whatever went wrong before."""
    for before in ([], [LOST, MISS], [EMPTY]):
        verdict = read([*before, answer])[-1]
        assert isinstance(verdict, TaskState)
        assert verdict.status is status


@pytest.mark.parametrize(
    "answer",
    [
        LOST,
        REFUSED,
        reply(200),
        reply(200, b""),
        reply(200, b'{"id": "task-un'),
        reply(200, {"id": "task-other", "status": "completed"}),
        attrs.evolve(DONE, complete=False),
        reply(302),
        reply(403),
        reply(403, b"error code: 1020"),
        reply(404),
        refusal(400),
        refusal(408),
        refusal(429),
        refusal(500),
        reply(502),
        refusal(503),
    ],
)
def test_a_read_that_fails_is_not_a_video_that_failed(answer: Answer) -> None:
    """It is repeated after a doubling delay, nine times at any length of time, and for 300 s at any number."""
    quick = read([answer] * 40, step=5.0)
    assert [verdict.after for verdict in quick[:8] if isinstance(verdict, AskAgain)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert all(isinstance(verdict, AskAgain) for verdict in quick)
    assert all(isinstance(verdict, AskAgain) for verdict in read([answer] * 9, step=1e6))


@pytest.mark.parametrize("answer", [LOST, reply(200), reply(403), refusal(429), refusal(500)])
def test_ten_failures_in_a_row_over_300_seconds_end_the_wait(answer: Answer) -> None:
    """Both are needed; the error carries the task, what was met last, and that the task exists."""
    assert isinstance(read([answer] * 10, step=299.9 / 9)[-1], AskAgain)
    verdict = read([answer] * 10, step=300 / 9 + 1e-9)[-1]
    assert type(verdict) is ServiceUnavailable
    assert (verdict.submitted, verdict.task_id) == ("yes", ID)
    assert verdict.what.startswith("10 task queries in a row failed within 300 s, the last one: task query: ")
    assert isinstance(verdict.__cause__, FoxError)
    assert verdict.http_status == (answer.status if isinstance(answer, Reply) else None)


def test_one_good_read_starts_the_count_anew() -> None:
    """In a row means in a row."""
    verdict = last([*[LOST] * 9, RUNNING, *[LOST] * 9], step=100.0)
    assert (verdict.trouble.failures, verdict.trouble.since) == (9, 1000.0 + 10 * 100.0)
    assert last([LOST, RUNNING]).trouble == WELL


def test_a_failure_is_remembered_in_the_trouble() -> None:
    """So that a timeout can say what went wrong last."""
    trouble = last([refusal(500), LOST]).trouble
    assert isinstance(trouble.error, ServiceUnavailable)
    assert trouble.error.what == "task query: no reply in time"
    assert (trouble.error.submitted, trouble.error.task_id) == ("yes", ID)


@pytest.mark.parametrize(
    "answer",
    [refusal(401), reply(401), refusal(403), reply(403, b"error code: 1010")],
    ids=["401", "401", "403", "1010"],
)
def test_a_refused_key_or_client_ends_the_wait_at_once(answer: Answer) -> None:
    """Asking again would not change that."""
    (verdict,) = read([answer] * 3)
    assert type(verdict) is AuthenticationError
    assert (verdict.submitted, verdict.task_id) == ("yes", ID)


def test_three_misses_in_a_row_end_the_wait() -> None:
    """A fresh task may lag; one that stays away is not this key's."""
    verdicts = read([MISS] * 5)
    assert [type(verdict) for verdict in verdicts] == [AskAgain, AskAgain, TaskNotFound]
    assert isinstance(verdicts[-1], TaskNotFound)
    assert (verdicts[-1].submitted, verdicts[-1].task_id, verdicts[-1].http_status) == ("yes", ID, 404)


@pytest.mark.parametrize("between", [LOST, refusal(500), RUNNING, EMPTY, reply(404)])
def test_misses_with_something_else_between_are_not_in_a_row(between: Answer) -> None:
    """Any other answer starts their count anew."""
    assert last([MISS, MISS, between, MISS, MISS]).trouble.misses == 2


def test_a_miss_is_a_failure_but_ends_no_wait_as_one() -> None:
    """After long trouble the first 404 is still only the first; the next failure of another kind ends it."""
    verdicts = read([*[LOST] * 9, MISS, MISS, LOST], step=100.0)
    assert [type(verdict) for verdict in verdicts[9:]] == [AskAgain, AskAgain, ServiceUnavailable]
    assert [type(verdict) for verdict in read([*[LOST] * 9, MISS, MISS, MISS], step=100.0)[9:]] == [
        AskAgain,
        AskAgain,
        TaskNotFound,
    ]


def test_a_429_slows_everybody_down() -> None:
    """By what the service asks, else by our own delay."""
    assert attrs.asdict(last([refusal(429, Retry_After="7")]), recurse=False) | {"trouble": None} == {
        "trouble": None,
        "state": None,
        "after": 7.0,
        "limited": True,
    }
    assert last([LOST, LOST, refusal(429)]).after == 4
    assert not last([LOST]).limited


def test_the_delays_of_a_read_are_jittered() -> None:
    """Unless the caller brings another jitter."""
    delays = set()
    for _ in range(20):
        verdict = judge_read(LOST, ID, Trouble(failures=5), 0.0)
        assert isinstance(verdict, AskAgain)
        assert verdict.after is not None
        assert 0 <= verdict.after <= 32
        delays.add(verdict.after)
    assert len(delays) > 1


# --- Completed without results ---


def test_completed_without_results_is_asked_again_at_once_and_without_sync() -> None:
    """It shows as processing meanwhile; the next query may have them."""
    verdict = last([EMPTY])
    assert (verdict.after, verdict.limited) == (0.0, False)
    assert verdict.trouble == Trouble(empty_since=1000.0, sync=False)
    assert verdict.state is not None
    assert (verdict.state.status, verdict.state.status_text) == (Status.PROCESSING, "completed")
    assert read([EMPTY, DONE])[-1] == read([DONE])[-1]


def test_then_it_is_asked_every_three_seconds_with_sync() -> None:
    """As long as the grace lasts."""
    verdicts = read([EMPTY] * 12)
    assert [verdict.after for verdict in verdicts if isinstance(verdict, AskAgain)] == [0.0] + [3.0] * 11
    assert last([EMPTY] * 12).trouble == Trouble(empty_since=1000.0, sync=True)


def test_after_a_grace_of_60_seconds_the_results_are_missing() -> None:
    """Not a success with an empty list; the error has the whole reply."""
    assert isinstance(read([EMPTY, EMPTY], step=59.9)[-1], AskAgain)
    verdict = read([EMPTY, EMPTY], step=60.0)[-1]
    assert type(verdict) is ResultsMissing
    assert (verdict.submitted, verdict.task_id, verdict.credits_reserved) == ("yes", ID, 12.5)
    assert verdict.body == json.loads(EMPTY.body)
    assert "without results for 60 s" in str(verdict)


@pytest.mark.parametrize("back", [RUNNING, state("pending"), state("moderating")])
def test_a_step_back_starts_the_grace_anew(back: Answer) -> None:
    """A cache may answer first completed, then processing."""
    verdict = last([EMPTY, EMPTY, back, EMPTY], step=40.0)
    assert verdict.trouble == Trouble(empty_since=1000.0 + 3 * 40.0, sync=False)
    assert last([EMPTY, back]).trouble == WELL


def test_a_failed_read_leaves_the_grace_as_it_was() -> None:
    """It goes on to ask without sync until that was answered, and the 60 s go on."""
    trouble = last([EMPTY, LOST]).trouble
    assert (trouble.empty_since, trouble.sync, trouble.failures) == (1000.0, False, 1)
    assert isinstance(read([EMPTY, LOST, EMPTY], step=30.0)[-1], ResultsMissing)
    assert last([EMPTY, LOST, EMPTY]).trouble == Trouble(empty_since=1000.0, sync=True)


def test_the_first_state_of_a_submit_is_judged_alike() -> None:
    """A submit may be answered with a task that has ended."""
    done = TaskState(id=ID, status=Status.COMPLETED, status_text="completed", results=(Result("u"),))
    assert judge_state(done, WELL, 0.0) is done
    verdict = judge_state(attrs.evolve(done, results=()), WELL, 5.0)
    assert isinstance(verdict, AskAgain)
    assert (verdict.after, verdict.trouble.empty_since) == (0.0, 5.0)


ANSWERS = st.sampled_from([LOST, REFUSED, RUNNING, EMPTY, MISS, reply(200), reply(404), refusal(429), refusal(500)])


@given(st.lists(ANSWERS, max_size=60), st.floats(0.0, 100.0))
def test_every_wait_goes_on_with_a_sound_delay_or_ends_with_the_id(answers: list[Answer], step: float) -> None:
    """Whatever comes in whichever order."""
    for verdict in read(answers, step=step):
        if isinstance(verdict, AskAgain):
            assert (verdict.after is None) == (verdict.state is not None and verdict.trouble == WELL)
            assert verdict.after is None or 0 <= verdict.after <= 120
        else:
            assert isinstance(verdict, TaskNotFound | ResultsMissing | ServiceUnavailable)
            assert (verdict.submitted, verdict.task_id) == ("yes", ID)


# --- Pace ---


def test_without_a_429_requests_leave_when_they_like() -> None:
    """No bound of ours."""
    assert Pace().started(5.0) == Pace()
    assert Pace().passed(0.0) == Pace()


def test_a_429_holds_all_back_and_then_spaces_them() -> None:
    """First the wait that was asked for, then a gap."""
    pace = Pace().limited(started=9.0, now=10.0, wait=7.0)
    assert pace == Pace(not_before=17.0, gap=0.1, limited_at=10.0)
    assert pace.started(17.0).not_before == pytest.approx(17.1)


def test_every_429_halves_the_speed_down_to_one_in_ten_seconds() -> None:
    """Each to a request that left after the last slowdown."""
    pace, gaps = Pace(), []
    for now in range(10, 19):
        pace = pace.limited(started=float(now), now=float(now), wait=0.0)
        gaps.append(pace.gap)
    assert gaps == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0])


def test_429s_of_requests_that_left_before_the_slowdown_do_not_slow_down_again() -> None:
    """A burst of 32 is one event; only a longer wait counts."""
    pace = Pace().limited(started=9.0, now=10.0, wait=1.0)
    for number in range(31):
        pace = pace.limited(started=9.5, now=10.0 + number / 100, wait=1.0)
    assert (pace.gap, pace.limited_at) == (0.1, 10.0)
    assert pace.not_before == pytest.approx(11.3)


def test_the_speed_recovers_by_degrees_until_there_is_no_gap() -> None:
    """Each request that passes makes the next a fifth faster."""
    pace, gaps = Pace(gap=0.1), []
    while pace.gap:
        pace = pace.passed(0.0)
        gaps.append(pace.gap)
    assert gaps[0] == pytest.approx(0.08)
    assert gaps == sorted(gaps, reverse=True)
    assert (len(gaps), gaps[-1]) == (11, 0.0)


def test_requests_that_left_before_the_slowdown_do_not_undo_it() -> None:
    """A burst of 32 of which one was refused is as slow afterwards as after one alone."""
    pace = Pace().limited(started=9.0, now=10.0, wait=1.0)
    for _ in range(31):
        pace = pace.passed(started=9.5)
    assert pace.gap == 0.1
    assert pace.passed(started=11.0).gap < 0.1


MOVES = st.lists(
    st.tuples(st.sampled_from(["limited", "passed", "started"]), st.floats(0, 10), st.floats(0, 120)), max_size=40
)


@given(MOVES)
def test_the_next_departure_never_moves_back_and_the_gap_stays_bounded(moves: list[tuple[str, float, float]]) -> None:
    """In whichever order requests leave and answers come."""
    pace, now = Pace(), 0.0
    for move, elapsed, wait in moves:
        now += elapsed
        before = pace
        match move:
            case "limited":
                pace = pace.limited(started=max(0.0, now - wait), now=now, wait=wait)
                assert pace.not_before >= now + wait
                assert pace.gap >= before.gap
            case "passed":
                pace = pace.passed(now)
                assert pace.gap < before.gap or pace.gap == before.gap == 0
            case _:
                pace = pace.started(now)
                assert pace.gap == before.gap
        assert pace.not_before >= before.not_before
        assert 0 <= pace.gap <= 10
