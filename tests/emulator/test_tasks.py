"""The life of an emulated task, with plain moments."""

import attrs
import pytest
from hypothesis import given, strategies as st

from foxvideo.emulator.tasks import GATEWAY_LAG, RACE_SECONDS, Life, View, task_error, task_id

COMPLETED = View("completed", 100, has_results=True)


def drawn(number: int = 1, *, seed: int = 0, fail: float = 0.0, race: float = 0.0) -> Life:
    """Draw a life of 8 to 20 seconds that begins at moment 100."""
    return Life.drawn(number, 100.0, seed=seed, seconds=(8.0, 20.0), fail=fail, race=race)


def test_a_task_waits_then_runs_then_is_done() -> None:
    """Pending, processing with rising progress, completed."""
    life = Life(began=0.0, ends=100.0)

    views = [life.poll(now, sync=True) for now in (0.0, 14.9, 15.0, 58.0, 99.99, 100.0, 500.0)]

    assert views == [
        View("pending", 0),
        View("pending", 0),
        View("processing", 0),
        View("processing", 50),
        View("processing", 99),
        COMPLETED,
        COMPLETED,
    ]


@given(moments=st.lists(st.floats(0, 200), max_size=20))
def test_progress_never_falls_in_the_eyes_of_one_who_refreshes(moments: list[float]) -> None:
    """Refreshed views follow the truth, which only goes forward."""
    life = Life(began=0.0, ends=100.0)

    progress = [life.poll(now, sync=True).progress for now in sorted(moments)]

    assert progress == sorted(progress)


def test_a_poll_that_does_not_refresh_sees_the_last_refreshed_view() -> None:
    """Without sync_upstream the gateway shows what it knows."""
    life = Life(began=0.0, ends=100.0)

    assert life.poll(50.0, sync=False) == View("pending", 0)
    seen = life.poll(57.5, sync=True)
    assert life.poll(99.0, sync=False) == seen


def test_the_gateway_notices_the_end_by_itself_after_a_while() -> None:
    """Ten seconds after the true end a poll without sync_upstream sees it."""
    life = Life(began=0.0, ends=100.0)

    assert life.poll(100.0 + GATEWAY_LAG - 0.01, sync=False).status == "pending"
    assert life.poll(100.0 + GATEWAY_LAG, sync=False) == COMPLETED


def test_a_raced_task_shows_no_results_until_asked_without_refresh() -> None:
    """The race is over at once for those who ask the gateway's own copy."""
    life = Life(began=0.0, ends=10.0, raced=True)

    assert life.poll(5.0, sync=True).status == "processing"
    assert life.poll(10.0, sync=True) == View("completed", 50)
    assert life.poll(10.1, sync=False) == COMPLETED
    assert life.poll(10.2, sync=True) == COMPLETED


def test_a_raced_task_shows_its_results_after_three_seconds_anyhow() -> None:
    """Those who go on refreshing wait three seconds from the first empty view."""
    life = Life(began=0.0, ends=10.0, raced=True)

    assert not life.poll(20.0, sync=True).has_results
    assert not life.poll(20.0 + RACE_SECONDS - 0.01, sync=True).has_results
    assert life.poll(20.0 + RACE_SECONDS, sync=True) == COMPLETED


def test_a_raced_task_that_is_never_refreshed_shows_its_results_at_once() -> None:
    """The gateway's own refresh brings the results along."""
    life = Life(began=0.0, ends=10.0, raced=True)

    assert life.poll(10.0 + GATEWAY_LAG, sync=False) == COMPLETED


def test_a_task_can_be_ended_sooner() -> None:
    """It ends at that moment, with that error."""
    life, error = Life(began=0.0, ends=100.0), task_error("content_policy_violation", "No.")

    life.end(40.0, "failed", error)

    assert life.poll(40.0, sync=True) == View("failed", 0, error=error)
    assert (life.ends, life.status(39.9), life.status(40.0)) == (40.0, "processing", "failed")


def test_ending_a_task_again_in_the_same_way_changes_nothing() -> None:
    """Its end stays where it was."""
    life = Life(began=0.0, ends=10.0)

    life.end(20.0, "completed")

    assert life.ends == 10.0


def test_a_task_that_has_ended_cannot_end_in_another_way() -> None:
    """A test that tries has lost track, so it is told."""
    life = Life(began=0.0, ends=10.0)

    with pytest.raises(ValueError, match="already completed, it cannot become cancelled"):
        life.end(20.0, "cancelled")


def test_a_task_of_no_length_is_done_at_once() -> None:
    """Zero seconds divide nothing."""
    life = Life.drawn(1, 5.0, seed=0, seconds=0.0, fail=0.0, race=0.0)

    assert life.poll(5.0, sync=True) == COMPLETED


@given(number=st.integers(1, 10**6), seed=st.integers())
def test_a_life_is_drawn_from_seed_and_number_alone(number: int, seed: int) -> None:
    """The same two give the same life, within the range."""
    life = drawn(number, seed=seed)

    assert life == drawn(number, seed=seed)
    assert 108.0 <= life.ends <= 120.0


def test_an_exact_length_is_kept() -> None:
    """A number instead of a range draws nothing."""
    life = Life.drawn(3, 100.0, seed=1, seconds=2.5, fail=0.0, race=0.0)

    assert life.ends == 102.5


def test_chances_of_one_and_zero_are_certain() -> None:
    """Every task fails and races, or none does."""
    assert all(drawn(number, fail=1.0, race=1.0).ending == "failed" for number in range(50))
    assert all(drawn(number, race=1.0).raced for number in range(50))
    assert all(attrs.evolve(life, ends=0.0).ending == "completed" for life in map(drawn, range(50)))
    assert drawn(fail=1.0).error == task_error("generation_failed", "The video could not be made.")


@given(numbers=st.sets(st.integers(0, 36**8 - 1), min_size=2), seed=st.integers(0, 1000))
def test_no_two_tasks_share_an_id(numbers: set[int], seed: int) -> None:
    """Ids differ and have the documented form."""
    ids = {task_id(number, 1790000001, seed=seed) for number in numbers}

    assert len(ids) == len(numbers)
    assert all(len(one) == len("task-unified-1790000001-") + 8 for one in ids)
