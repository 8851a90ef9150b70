"""How fast requests of one kind may leave, with the time passed in."""

import pytest
from hypothesis import given, strategies as st

from foxvideo._engine.pace import Pace


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
