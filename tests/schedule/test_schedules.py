"""When a task is asked after: ages in, ages out, no clock."""

import pytest
from hypothesis import example, given, strategies as st

from foxvideo.schedule.adaptive import Learned
from foxvideo.schedule.base import Asked, Every, Schedule, check, clip, learning
from foxvideo.state import Status, TaskState

ASKED = Asked("grok-imagine-text-to-video", 6)
PENDING = TaskState(id="task-1", status=Status.PENDING, status_text="pending")
SECONDS = st.floats(min_value=0.001, max_value=1e6)


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_an_interval_must_be_above_zero(seconds: float) -> None:
    """Else it would ask without end."""
    with pytest.raises(ValueError, match="seconds"):
        Every(seconds)


def test_every_asks_at_a_fixed_interval() -> None:
    """Whatever the age and the state."""
    assert Every(2.5).next_age(ASKED, 10.0, PENDING) == 12.5


def test_a_schedule_of_ones_own_needs_one_method() -> None:
    """It need not learn."""

    class Doubling(Schedule):
        def next_age(self, asked: Asked, age: float, state: TaskState | None) -> float:
            return 2 * age + 5

    check(Doubling())
    schedule = learning(Doubling())
    schedule.learn("what another schedule wrote down")

    assert schedule.step(ASKED, 10.0, PENDING, b"") == (25.0, b"")
    assert schedule.ended(ASKED, 30.0, b"") is None


def test_a_method_of_ones_own_is_not_taken_for_a_part_of_learning() -> None:
    """A schedule may have a ``step`` that means something else."""

    class Stepping(Schedule):
        def next_age(self, asked: Asked, age: float, state: TaskState | None) -> float:
            return self.step(age)

        def step(self, age: float) -> float:
            return age + 5.0

    assert learning(Stepping()).step(ASKED, 10.0, PENDING, b"") == (15.0, b"")


def test_the_schedule_that_learns_is_used_as_it_is() -> None:
    """It keeps something of each task, so nothing may stand between it and the engine."""
    schedule = Learned()
    assert learning(schedule) is schedule
    assert schedule.next_age(ASKED, 10.0, PENDING) > 10.0


class _OfOld:
    def next_age(self, asked: Asked, age: float, state: TaskState | None, memo: bytes) -> tuple[float, bytes]:
        return age, memo


@pytest.mark.parametrize("wrong", [Every, None, 5, object(), _OfOld(), lambda asked, age, state: age])
def test_what_is_no_schedule_is_refused(wrong: object) -> None:
    """At once and by what it needs, not when the first task is accepted and paid for."""
    with pytest.raises(ValueError, match=r"next_age\(asked, age, state\)"):
        check(wrong)


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
