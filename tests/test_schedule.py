"""When a task is asked after: ages in, ages out, no clock."""

import random

import attrs
import pytest
from hypothesis import example, given, strategies as st

from foxvideo.schedule import Every, Growing, Schedule, clip
from foxvideo.states import Status, TaskState

PENDING = TaskState(id="task-1", status=Status.PENDING, status_text="pending")
SECONDS = st.floats(min_value=0.001, max_value=1e6)


class Middle(random.Random):
    """Jitters nothing."""

    def uniform(self, a: float, b: float) -> float:
        """Return the middle."""
        return (a + b) / 2


STEADY = Growing(Middle())


def estimate(seconds: float | None) -> TaskState:
    """Return a state with an estimate."""
    return attrs.evolve(PENDING, estimated_time=seconds)


@pytest.mark.parametrize("schedule", [Every(5), Growing()])
def test_the_built_in_schedules_are_schedules(schedule: Schedule) -> None:
    """Each answers with a later age."""
    assert schedule.next_age("any-model", 100.0, None) > 100.0


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_an_interval_must_be_above_zero(seconds: float) -> None:
    """Else it would ask without end."""
    with pytest.raises(ValueError, match="seconds"):
        Every(seconds)


def test_every_asks_at_a_fixed_interval() -> None:
    """Whatever the age and the state."""
    assert Every(2.5).next_age("m", 10.0, PENDING) == 12.5


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (None, 15.0),
        (estimate(None), 15.0),
        (estimate(45.0), 15.0),
        (estimate(165.0), 15.0),
        (estimate(30.0), 10.0),
        (estimate(9.0), 3.0),
        (estimate(1.0), 3.0),
    ],
)
def test_growing_first_asks_after_a_third_of_the_estimate(state: TaskState | None, expected: float) -> None:
    """Between 3 and 15 s; 45 s are assumed where nothing was said."""
    assert STEADY.next_age("m", 0.0, state) == pytest.approx(expected)


@pytest.mark.parametrize(("age", "wait"), [(1.0, 5.0), (30.0, 5.0), (45.0, 7.5), (60.0, 10.0), (3600.0, 10.0)])
def test_growing_then_asks_every_five_to_ten_seconds(age: float, wait: float) -> None:
    """The older the task, the longer it waits; the estimate plays no part any more."""
    assert STEADY.next_age("m", age, estimate(600.0)) == pytest.approx(age + wait)


@given(st.floats(0, 1e5), st.integers())
def test_growing_jitters_by_a_tenth(age: float, seed: int) -> None:
    """So that a wave of equal tasks does not come due in one instant."""
    plain = STEADY.next_age("m", age, None) - age
    wait = Growing(random.Random(seed)).next_age("m", age, None) - age  # noqa: S311 - a schedule, not a secret
    assert 0.899 * plain <= wait <= 1.101 * plain


def test_two_schedules_do_not_jitter_alike() -> None:
    """Each has its own source of chance."""
    assert len({Growing().next_age("m", 0.0, None) for _ in range(8)}) > 1


@given(st.floats(0, 1e6), SECONDS, SECONDS)
def test_a_clipped_time_is_never_past_the_deadline(now: float, timeout: float, wait: float) -> None:
    """Nor later than the schedule asked for, unless that is the last look."""
    deadline = now + timeout
    when = clip(now + wait, now, deadline, timeout)
    assert when <= deadline
    assert when <= now + wait or when == deadline


def test_a_time_well_before_the_deadline_is_left_alone() -> None:
    """Up to the last look itself."""
    assert clip(50.0, 40.0, 100.0, 100.0) == 50.0
    assert clip(99.0, 40.0, 100.0, 100.0) == 99.0


def test_the_last_look_is_a_second_before_the_deadline() -> None:
    """A query that would come after it comes then."""
    assert clip(99.5, 90.0, 100.0, 100.0) == 99.0
    assert clip(1e9, 90.0, 100.0, 100.0) == 99.0


def test_after_the_last_look_there_is_only_the_deadline() -> None:
    """It is not taken twice."""
    assert clip(99.0 + 1e-6, 99.0, 100.0, 100.0) == 100.0
    assert clip(99.6, 99.5, 100.0, 100.0) == 100.0


def test_the_last_look_of_a_short_wait_is_in_its_middle() -> None:
    """Half a second has no room for a whole one."""
    assert clip(100.6, 100.0, 100.5, 0.5) == 100.25


@given(st.floats(0, 1e6), st.floats(0.01, 1e4), st.floats(0.5, 1e4))
@example(0.0, 1.0, 0.5)
@example(0.0, 1.0, 1.0)
def test_asking_again_and_again_reaches_the_deadline(start: float, timeout: float, interval: float) -> None:
    """Every step is forward, and the last look is taken once, whatever the interval."""
    deadline, now, steps = start + timeout, start, []
    while now < deadline:
        step = clip(now + interval, now, deadline, timeout)
        assert step > now
        steps.append(step)
        now = step
    assert now == deadline
    assert len(steps) <= timeout / interval + 3
    last_look = deadline - min(1.0, timeout / 2)
    assert steps.count(last_look) == 1
    assert not [step for step in steps if last_look < step < deadline]
