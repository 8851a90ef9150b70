"""Whether a task is polled again, when a wait ends, and how other reads are repeated."""

import json
import re
from collections.abc import Sequence

import attrs
import pytest
from hypothesis import given, strategies as st
from replies import HTML, ID, LOST, UNSENT, cut, refusal, reply, state, whole

from foxvideo._wire.decode import read_models
from foxvideo._wire.reply import Answer, Reply
from foxvideo._wire.verdict import (
    NO_FAILURES,
    Failures,
    PollAgain,
    ReadAgain,
    poll_verdict,
    read_verdict,
    state_verdict,
    upload_verdict,
)
from foxvideo.errors import (
    AuthenticationError,
    BadReply,
    FoxError,
    RateLimited,
    ResultsMissing,
    ServiceUnavailable,
    TaskNotFound,
    UploadError,
)
from foxvideo.state import Result, Status, TaskState

RUNNING = state("processing", progress=40)
EMPTY = state("completed", results=None, usage={"credits_reserved": 12.5})
DONE = state("completed", results=[{"url": "https://cdn.example/a.mp4"}])
MISS = refusal(404)
PAGE_404 = reply(HTML, 404)
MISSES = {"FoxAPI": MISS, "FastAPI": reply("error-404-fastapi-detail", 404)}
DENIALS = {
    "401": refusal(401),
    "401 page": reply(HTML, 401),
    "403": refusal(403),
    "403 page": reply(HTML, 403),
    "1010": reply(b"error code: 1010", 403),
}
# All else that says nothing about the task.
FAILURES = {
    "lost": LOST,
    "unsent": UNSENT,
    "a page": reply(HTML),
    "empty": reply(b""),
    "half": reply(b'{"id": "task-un'),
    "another task": reply({"id": "task-other", "status": "completed"}),
    "nobody's failure": reply({"status": "error", "message": "internal"}),
    "cut": cut(DONE),
    "302": reply(HTML, 302),
    "404 page": PAGE_404,
    "404 empty": reply(b"", 404),
    "400": refusal(400),
    "407": reply(HTML, 407),
    "408": refusal(408),
    "429": refusal(429),
    "500": refusal(500),
    "502": reply(HTML, 502),
    "503": refusal(503),
}


def poll(answers: Sequence[Answer], *, step: float = 5.0, known: bool = True) -> list[PollAgain | TaskState | FoxError]:
    """Judge answers one after the other, some seconds apart, until the wait ends."""
    verdicts: list[PollAgain | TaskState | FoxError] = []
    failures = NO_FAILURES
    for number, answer in enumerate(answers):
        verdict = poll_verdict(answer, ID, failures, 1000.0 + number * step, known=known, jitter=whole)
        verdicts.append(verdict)
        if not isinstance(verdict, PollAgain):
            break
        failures = verdict.failures
    return verdicts


def last(answers: Sequence[Answer], *, step: float = 5.0, known: bool = True) -> PollAgain:
    """Return the last verdict of a wait that goes on."""
    verdicts = poll(answers, step=step, known=known)
    assert len(verdicts) == len(answers)
    assert isinstance(verdicts[-1], PollAgain)
    return verdicts[-1]


def lasted(answer: Answer, *, known: bool, step: float = 1.0) -> float:
    """Return how many seconds of the same answer end a wait."""
    verdicts = poll([answer] * 2000, step=step, known=known)
    assert isinstance(verdicts[-1], FoxError)
    return (len(verdicts) - 1) * step


# --- States ---


@pytest.mark.parametrize("word", ["pending", "processing", "queued", "running", "moderating"])
def test_a_task_that_runs_is_polled_when_the_schedule_says(word: str) -> None:
    """Also one with a status that nobody knows."""
    verdict = last([state(word)])
    assert verdict.state is not None
    assert verdict == PollAgain(NO_FAILURES, verdict.state, after=None, limited=False)
    assert verdict.state.status_text == word


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (DONE, Status.COMPLETED),
        (state("completed", results=[{"voice_id": "v"}]), Status.COMPLETED),
        (state("failed", error={"code": "generation_failed"}), Status.FAILED),
        (state("error"), Status.FAILED),
        (state("cancelled"), Status.CANCELLED),
        (state("canceled"), Status.CANCELLED),
    ],
)
def test_a_terminal_status_ends_the_wait(answer: Answer, status: Status) -> None:
    """Whatever went wrong before."""
    for before in ([], [LOST, MISS], [EMPTY]):
        verdict = poll([*before, answer])[-1]
        assert isinstance(verdict, TaskState)
        assert verdict.status is status


# --- Patience ---


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("answer", FAILURES.values(), ids=FAILURES)
def test_a_poll_that_fails_is_not_a_video_that_failed(answer: Answer, known: bool) -> None:
    """It is repeated after a doubling delay for 300 s, at any number; and nine times, at any length of time."""
    quick = poll([answer] * 40, step=5.0, known=known)
    assert [verdict.after for verdict in quick[:8] if isinstance(verdict, PollAgain)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert all(isinstance(verdict, PollAgain) for verdict in quick)
    assert all(isinstance(verdict, PollAgain) for verdict in poll([answer] * 9, step=1e6, known=known))
    assert lasted(answer, known=known) == 300


@pytest.mark.parametrize("answer", [LOST, reply(HTML), PAGE_404, refusal(429), refusal(500)])
def test_ten_failures_in_a_row_over_300_seconds_end_the_wait(answer: Answer) -> None:
    """Both are needed; the error carries the task, what was met last, and that the task exists."""
    assert isinstance(poll([answer] * 10, step=299.9 / 9)[-1], PollAgain)
    verdict = poll([answer] * 10, step=300 / 9 + 1e-9)[-1]
    assert type(verdict) is ServiceUnavailable
    assert (verdict.submitted, verdict.task_id) == ("yes", ID)
    assert verdict.what.startswith("10 polls in a row failed within 300 s, the last one: ")
    assert isinstance(verdict.__cause__, FoxError)
    assert verdict.http_status == (answer.status if isinstance(answer, Reply) else None)


def test_one_good_poll_starts_the_count_anew() -> None:
    """In a row means in a row."""
    verdict = last([*[LOST] * 9, RUNNING, *[LOST] * 9], step=100.0)
    assert (verdict.failures.count, verdict.failures.since) == (9, 1000.0 + 10 * 100.0)
    assert last([LOST, RUNNING]).failures == NO_FAILURES


def test_a_failure_is_remembered() -> None:
    """So that a timeout can say what went wrong last."""
    error = last([refusal(500), LOST]).failures.error
    assert isinstance(error, ServiceUnavailable)
    assert (error.what, error.submitted, error.task_id) == ("no reply in time", "yes", ID)


@pytest.mark.parametrize(("known", "seconds"), [(False, 60), (True, 300)])
@pytest.mark.parametrize("answer", MISSES.values(), ids=MISSES)
def test_a_404_has_to_stay_for_a_minute_and_for_five_where_the_task_is_known(
    answer: Answer, known: bool, seconds: float
) -> None:
    """A fresh task may lag, and a gateway that restarts knows no route; at any rate of polls."""
    for step in (0.5, 1, 5, 20, 30):
        assert lasted(answer, known=known, step=step) == seconds
    verdict = poll([answer] * 1000, step=1.0, known=known)[-1]
    assert type(verdict) is TaskNotFound
    assert (verdict.submitted, verdict.task_id, verdict.http_status) == ("yes", ID, 404)


@pytest.mark.parametrize(("known", "seconds"), [(False, 0), (True, 60)])
@pytest.mark.parametrize("answer", DENIALS.values(), ids=DENIALS)
def test_a_refused_key_or_client_ends_the_wait_for_a_task_that_nobody_knows_and_later_any(
    answer: Answer, known: bool, seconds: float
) -> None:
    """A firewall in a mood is over within a minute."""
    assert lasted(answer, known=known) == seconds
    verdict = poll([answer] * 1000, step=1.0, known=known)[-1]
    assert isinstance(verdict, AuthenticationError | BadReply)
    assert (verdict.submitted, verdict.task_id) == ("yes", ID)


@pytest.mark.parametrize("answer", [MISS, refusal(401)])
def test_time_alone_ends_no_wait(answer: Answer) -> None:
    """A machine that slept for a day between two polls has not seen a day of refusals."""
    assert isinstance(last([answer, answer], step=86400.0), PollAgain)
    assert isinstance(poll([answer] * 3, step=86400.0)[-1], FoxError)


@pytest.mark.parametrize("between", [LOST, refusal(500), RUNNING, EMPTY, PAGE_404])
def test_misses_with_something_else_between_are_not_in_a_row(between: Answer) -> None:
    """Any other answer starts their time anew."""
    failures = last([MISS, MISS, between, MISS, MISS], step=100.0).failures
    assert (failures.refusals, failures.refused_since) == (2, 1300.0)


def test_refusals_of_both_kinds_are_one_row() -> None:
    """Else a service that alternates would be polled for ever."""
    verdicts = poll([MISS, refusal(401)] * 200, step=1.0)
    assert isinstance(verdicts[-1], AuthenticationError)
    assert len(verdicts) == 62


def test_a_miss_is_a_failure_but_ends_no_wait_as_one() -> None:
    """After long trouble the first 404 is still only the first; the next failure of another kind ends it."""
    verdicts = poll([*[LOST] * 9, MISS, MISS, LOST], step=100.0)
    assert [type(verdict) for verdict in verdicts[9:]] == [PollAgain, PollAgain, ServiceUnavailable]


# --- Delays ---


@pytest.mark.parametrize(
    ("asked", "failures", "waited"), [("7", 1, 7.0), ("0", 1, 1.0), ("0", 3, 4.0), ("1", 3, 4.0), ("600", 1, 120.0)]
)
def test_a_429_slows_everybody_down_by_what_is_asked_and_never_by_less_than_our_own_delay(
    asked: str, failures: int, waited: float
) -> None:
    """Zero is no licence for a tight loop."""
    verdict = last([*[LOST] * (failures - 1), refusal(429, Retry_After=asked)])
    assert (verdict.state, verdict.after, verdict.limited) == (None, waited, True)
    assert not last([LOST]).limited


def test_the_delays_of_a_poll_are_jittered_and_never_nothing() -> None:
    """Unless the caller brings another jitter."""
    delays = set()
    for _ in range(50):
        verdict = poll_verdict(LOST, ID, Failures(count=5), 0.0, known=True)
        assert isinstance(verdict, PollAgain)
        assert verdict.after is not None
        assert 0.5 <= verdict.after <= 32
        delays.add(verdict.after)
    assert len(delays) > 1


# --- Completed without results ---

WITHOUT = {
    "no results": EMPTY,
    "an empty list": state("completed", results=[]),
    "a null link": state("completed", results=[{"url": None, "seed": 7}]),
    "an empty link": state("completed", results=[{"url": " ", "duration": 6}]),
    "another null link": state("completed", results=[{"video_url": None, "content_type": "video/mp4"}]),
    "one of two": state("completed", results=[{"url": "https://cdn.example/a.mp4"}, {"url": None}]),
    "no link of a voice": state("completed", results=[{"url": None, "voice_id": "v"}]),
    "an output": state("completed", output={"url": "", "width": 1280}),
}


@pytest.mark.parametrize("answer", WITHOUT.values(), ids=WITHOUT)
def test_completed_without_its_files_is_polled_again_at_once_and_without_sync(answer: Answer) -> None:
    """It shows as processing meanwhile; the next poll may have them."""
    verdict = last([answer])
    assert (verdict.after, verdict.limited) == (0.0, False)
    assert verdict.failures == Failures(empty_since=1000.0, sync=False)
    assert verdict.state is not None
    assert (verdict.state.status, verdict.state.status_text) == (Status.PROCESSING, "completed")
    assert poll([answer, DONE])[-1] == poll([DONE])[-1]


def test_then_it_is_polled_every_three_seconds_with_sync() -> None:
    """As long as the grace lasts."""
    verdicts = poll([EMPTY] * 12)
    assert [verdict.after for verdict in verdicts if isinstance(verdict, PollAgain)] == [0.0] + [3.0] * 11
    assert last([EMPTY] * 12).failures == Failures(empty_since=1000.0, sync=True)


@pytest.mark.parametrize("name", ["no results", "a null link", "an empty link", "another null link", "an output"])
def test_after_a_grace_of_60_seconds_the_results_are_missing(name: str) -> None:
    """Not a success with nothing to fetch; the error has the whole reply."""
    answer = WITHOUT[name]
    assert isinstance(answer, Reply)
    assert isinstance(poll([answer, answer], step=59.9)[-1], PollAgain)
    verdict = poll([answer, answer], step=60.0)[-1]
    assert type(verdict) is ResultsMissing
    assert (verdict.submitted, verdict.task_id) == ("yes", ID)
    assert verdict.body == json.loads(answer.body)
    assert "without results for 60 s" in str(verdict)
    assert name != "no results" or verdict.credits_reserved == 12.5


@pytest.mark.parametrize("name", ["one of two", "no link of a voice"])
def test_after_that_grace_what_is_there_is_the_result(name: str) -> None:
    """A voice needs no file, and one file is better than none."""
    verdict = poll([WITHOUT[name]] * 2, step=60.0)[-1]
    assert isinstance(verdict, TaskState)
    assert verdict.status is Status.COMPLETED


@pytest.mark.parametrize("back", [RUNNING, state("pending"), state("moderating")])
def test_a_step_back_starts_the_grace_anew(back: Answer) -> None:
    """A cache may answer first completed, then processing."""
    verdict = last([EMPTY, EMPTY, back, EMPTY], step=40.0)
    assert verdict.failures == Failures(empty_since=1000.0 + 3 * 40.0, sync=False)
    assert last([EMPTY, back]).failures == NO_FAILURES


def test_a_failed_poll_leaves_the_grace_as_it_was() -> None:
    """It goes on to ask without sync until that was answered, and the 60 s go on."""
    failures = last([EMPTY, LOST]).failures
    assert (failures.empty_since, failures.sync, failures.count) == (1000.0, False, 1)
    assert isinstance(poll([EMPTY, LOST, EMPTY], step=30.0)[-1], ResultsMissing)
    assert last([EMPTY, LOST, EMPTY]).failures == Failures(empty_since=1000.0, sync=True)


def test_the_first_state_of_a_submission_is_judged_alike() -> None:
    """It may be that of a task that has ended."""
    done = TaskState(id=ID, status=Status.COMPLETED, status_text="completed", results=(Result("u"),))
    assert state_verdict(done, NO_FAILURES, 0.0) is done
    verdict = state_verdict(attrs.evolve(done, results=()), NO_FAILURES, 5.0)
    assert isinstance(verdict, PollAgain)
    assert (verdict.after, verdict.failures.empty_since) == (0.0, 5.0)


ANSWERS = st.sampled_from(
    [RUNNING, *FAILURES.values(), *MISSES.values(), *DENIALS.values(), *WITHOUT.values(), refusal(429, Retry_After="0")]
)


@given(st.lists(ANSWERS, max_size=60), st.floats(0.0, 100.0), st.booleans())
def test_every_wait_goes_on_with_a_sound_delay_or_ends_with_the_id(
    answers: list[Answer], step: float, known: bool
) -> None:
    """Whatever comes in whichever order."""
    for verdict in poll(answers, step=step, known=known):
        if isinstance(verdict, PollAgain):
            assert (verdict.after is None) == (verdict.state is not None and verdict.failures == NO_FAILURES)
            assert verdict.after is None or verdict.state is not None or 0.5 <= verdict.after <= 120
        elif isinstance(verdict, FoxError):
            assert (verdict.submitted, verdict.task_id) == ("yes", ID)


# --- Other reads ---


def read(
    answers: Sequence[Answer], *, patience: float, step: float = 1.0
) -> list[ReadAgain | tuple[str, ...] | FoxError]:
    """Judge answers to a list of models, until there is one or an error."""
    verdicts: list[ReadAgain | tuple[str, ...] | FoxError] = []
    failures = NO_FAILURES
    for number, answer in enumerate(answers):
        verdict = read_verdict(answer, read_models, failures, number * step, patience=patience, jitter=whole)
        verdicts.append(verdict)
        if not isinstance(verdict, ReadAgain):
            break
        failures = verdict.failures
    return verdicts


PASSING = [LOST, UNSENT, reply(HTML), reply(b"{}"), reply(HTML, 404), refusal(429), refusal(500), reply(HTML, 502)]


@pytest.mark.parametrize("answer", PASSING)
def test_a_read_that_fails_is_repeated_while_patience_lasts(answer: Answer) -> None:
    """With the delays of a poll."""
    verdicts = read([answer] * 100, patience=30)
    assert [verdict.after for verdict in verdicts[:4] if isinstance(verdict, ReadAgain)] == [1, 2, 4, 8]
    assert len(verdicts) == 31
    assert isinstance(verdicts[-1], BadReply | RateLimited | ServiceUnavailable)
    assert read([answer, LOST, reply("models")], patience=30)[-1] == ("grok-imagine-text-to-video", "gpt-5")


@pytest.mark.parametrize("answer", [refusal(400), refusal(401), refusal(402), refusal(403), refusal(422)])
def test_a_read_that_repeating_would_not_change_ends_at_once(answer: Answer) -> None:
    """As it is."""
    (verdict,) = read([answer] * 3, patience=300)
    assert isinstance(verdict, FoxError)
    assert not isinstance(verdict, ServiceUnavailable)


def test_without_patience_a_read_ends_with_what_it_met() -> None:
    """The error itself."""
    (verdict,) = read([refusal(429, Retry_After="7")], patience=0)
    assert type(verdict) is RateLimited
    assert verdict.retry_after == 7


def test_a_read_waits_no_shorter_than_our_own_delay() -> None:
    """As polls do."""
    verdicts = read([refusal(429, Retry_After="0")] * 3, patience=300)
    assert [verdict.after for verdict in verdicts if isinstance(verdict, ReadAgain)] == [1, 2, 4]
    assert all(verdict.limited for verdict in verdicts if isinstance(verdict, ReadAgain))


def test_an_upload_is_repeated_as_a_read_is_for_five_minutes() -> None:
    """It costs nothing."""
    failures, now, waits = NO_FAILURES, 0.0, []
    while isinstance(verdict := upload_verdict(refusal(429, Retry_After="0"), failures, now, whole), ReadAgain):
        failures, now = verdict.failures, now + verdict.after
        waits.append(verdict.after)
    assert waits[:3] == [1, 2, 4]
    assert 300 <= now <= 360
    assert type(verdict) is ServiceUnavailable
    assert re.match(r"\d+ uploads in a row failed within 3\d\d s, the last one: no", verdict.what)
    assert upload_verdict(reply("upload"), failures, now) == "https://cdn.foxapi.cc/uploads/20260921/9f3c/kite.png"
    assert type(upload_verdict(refusal(413), NO_FAILURES, 0.0)) is UploadError
