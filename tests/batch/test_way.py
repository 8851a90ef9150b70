"""What is to be done with a row, over plain values."""

from typing import Any

import pytest

from foxvideo import RecordStatus, TaskRecord
from foxvideo.batch import Ending, Outcome
from foxvideo.batch.way import Way, latest_attempt, makes_video, way

BUY, RESUME, KEEP, FOLLOW, LEAVE = Way.BUY, Way.RESUME, Way.KEEP, Way.FOLLOW, Way.LEAVE
MADE_NOTHING = ["planned", "withdrawn", "refused"]
MAYBE_MADE = ["sending", "accepted", "completed", "failed", "cancelled", "uncertain"]


def record(status: str, attempt: int = 1, **values: Any) -> TaskRecord:  # noqa: ANN401 - of a record
    """Return an attempt as the journal knows it."""
    base = {"number": attempt, "origin": "", "fingerprint": "", "model": "fox", "request": "{}", "token": ""}
    told = {"owner": None, "task_id": None, "credits_reserved": None, "reply": None, "error": None}
    times = {"planned": float(attempt), "sent": None, "accepted": None, "ended": None}
    made = base | told | times | values
    return TaskRecord(**made, key="k", attempt=attempt, status=RecordStatus(status))  # type: ignore[arg-type]


def told(status: str, **values: Any) -> Outcome:  # noqa: ANN401 - of an outcome
    """Return an outcome as the results know it."""
    return Outcome(row=1, key="k", status=Ending(status), **{"model": "fox"} | values)


def decided(known: Outcome | None, *attempts: TaskRecord, size: int | None = None, retry_failed: bool = False) -> Way:
    """Decide."""
    return way(known, attempts, size=size, retry_failed=retry_failed)


# --- What the journal says ---------------------------------------------------------------------------------------


def test_a_row_that_nobody_knows_is_bought() -> None:
    """It is new."""
    assert decided(None) is BUY


@pytest.mark.parametrize("status", MADE_NOTHING)
def test_a_row_of_which_nothing_was_made_is_bought(status: str) -> None:
    """Also where a former run says that it was refused."""
    assert decided(None, record(status)) is BUY
    assert decided(told("refused"), record(status)) is BUY


@pytest.mark.parametrize("status", MAYBE_MADE)
def test_a_row_that_may_be_paid_for_is_gone_on_with(status: str) -> None:
    """Where nothing was made of a later attempt, the earlier one stands."""
    assert decided(None, record(status)) is RESUME
    assert decided(None, record(status), record("refused", 2)) is RESUME
    assert decided(None, record("refused"), record(status, 2)) is RESUME


@pytest.mark.parametrize("status", MAYBE_MADE)
def test_only_what_failed_is_bought_anew(status: str) -> None:
    """And only on demand, and only once."""
    lost = status in {"failed", "cancelled"}

    assert decided(None, record(status), retry_failed=True) is (BUY if lost else RESUME)
    assert decided(None, record("failed"), record(status, 2), retry_failed=True) is (BUY if lost else RESUME)


def test_the_latest_attempt_that_may_have_made_something_counts() -> None:
    """Of those that made nothing the last."""
    first, second, third = record("failed"), record("accepted", 2), record("refused", 3)

    assert latest_attempt([first, second, third]) is second
    assert latest_attempt([third, record("withdrawn", 4)]) == record("withdrawn", 4)
    assert latest_attempt([]) is None


# --- What the results say ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempts", [(), (record("completed", task_id="t"),), (record("refused"),)])
def test_a_video_that_is_there_whole_is_kept(attempts: tuple[TaskRecord, ...]) -> None:
    """Whatever the journal knows."""
    done = told("completed", id="t", file="a.mp4", bytes=7)

    assert decided(done, *attempts, size=7) is KEEP
    assert decided(done, *attempts, size=7, retry_failed=True) is KEEP


@pytest.mark.parametrize("size", [None, 0, 6, 8])
def test_a_video_that_is_gone_or_damaged_is_fetched_again(size: int | None) -> None:
    """By the journal, or by its id."""
    done = told("completed", id="t", file="a.mp4", bytes=7)

    assert decided(done, record("completed", task_id="t"), size=size) is RESUME
    assert decided(done, size=size) is FOLLOW


def test_a_model_that_makes_no_video_needs_no_file() -> None:
    """Any other one does."""
    voice = told("completed", id="t", model="kling-video-create-voice")

    assert decided(voice) is KEEP
    assert decided(told("completed", id="t", model="fox"), record("completed", task_id="t")) is RESUME
    assert decided(told("completed", id="t", model=None)) is FOLLOW


@pytest.mark.parametrize(
    ("model", "makes"),
    [
        ("kling-video-create-voice", False),
        ("sora-2-character", False),
        ("kling-custom-element", False),
        ("grok-imagine-text-to-video", True),
        ("veo-3.1[4k]", True),
        ("a-model-of-tomorrow", True),
        (None, True),
    ],
)
def test_every_model_makes_videos_unless_its_page_says_otherwise(model: str | None, makes: bool) -> None:
    """A video that is missed is paid for."""
    assert makes_video(model) is makes


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_what_failed_stays_so_until_it_is_retried(status: str) -> None:
    """With its journal or without."""
    for attempts in ([], [record(status, task_id="t")]):
        assert decided(told(status, id="t"), *attempts) is KEEP
        assert decided(told(status, id="t"), *attempts, retry_failed=True) is BUY


@pytest.mark.parametrize("status", ["completed", "unsaved", "unfinished", "uncertain"])
@pytest.mark.parametrize("retry_failed", [False, True])
@pytest.mark.parametrize(
    "attempts", [(), (record("refused"),), (record("failed", task_id="other"),), (record("withdrawn"),)]
)
def test_what_the_results_alone_know_is_not_bought_again(
    status: str, retry_failed: bool, attempts: tuple[TaskRecord, ...]
) -> None:
    """The journal was lost, or is an older copy of itself, which knows less."""
    known, nameless = told(status, id="t", planned=9.0), told(status, planned=9.0)

    assert decided(known, *attempts, retry_failed=retry_failed) is FOLLOW
    assert decided(nameless, *attempts, retry_failed=retry_failed) is LEAVE


@pytest.mark.parametrize("task_id", [None, "", "a b", "a\nb", "..", "x" * 5000])
def test_what_can_be_no_id_is_not_followed(task_id: str | None) -> None:
    """Somebody may have written the line by hand."""
    assert decided(told("unfinished", id=task_id)) is LEAVE


@pytest.mark.parametrize("status", MAYBE_MADE)
def test_a_submission_that_the_journal_knows_is_the_journal_s(status: str) -> None:
    """By its id, or by the moment at which it was planned; a decision may have been taken since."""
    assert decided(told("uncertain", planned=1.0), record(status)) is RESUME
    assert decided(told("unfinished", id="t"), record(status, task_id="t")) is RESUME
    assert decided(told("uncertain", planned=1.0), record("refused")) is BUY
