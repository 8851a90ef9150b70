"""What comes due when: times in, entries out, no clock."""

import math

import attrs
import pytest
from hypothesis import given, strategies as st

from foxvideo._engine.timers import Agenda


@attrs.define(eq=False)
class Job:
    """Something that comes due."""

    name: str = ""
    ended: bool = False

    def done(self) -> bool:
        """Whether its entries are stale."""
        return self.ended


def names(agenda: Agenda[int, Job], now: float) -> list[str]:
    """Return what is due."""
    return [job.name for _, job in agenda.due(now)]


@given(st.lists(st.floats(0, 1e4), max_size=30), st.lists(st.floats(0, 1e4), max_size=10))
def test_entries_come_out_in_the_order_of_their_times(whens: list[float], looks: list[float]) -> None:
    """All of them, none before its time, whenever one looks."""
    agenda: Agenda[int, Job] = Agenda()
    for when in whens:
        agenda.add(when, 0, Job(str(when)))
    out: list[float] = []
    for now in [*sorted(looks), math.inf]:
        due = [float(name) for name in names(agenda, now)]
        assert all(when <= now for when in due)
        out += due
        assert (agenda.soonest() or math.inf) > now or now == math.inf

    assert out == sorted(whens)
    assert (len(agenda), agenda.soonest()) == (0, None)


def test_of_equal_times_the_first_comes_first() -> None:
    """Also where one is put in when its second has come."""
    agenda: Agenda[int, Job] = Agenda()
    agenda.add(5.5, 0, Job("a"))
    agenda.add(5.5, 0, Job("b"))
    assert names(agenda, 5.0) == []
    agenda.add(5.5, 0, Job("c"))

    assert names(agenda, 5.5) == ["a", "b", "c"]


def test_the_kind_comes_out_with_the_entry() -> None:
    """Whatever else is due in that second."""
    agenda: Agenda[int, Job] = Agenda()
    for kind in (2, 0, 1):
        agenda.add(7.5 - kind / 10, kind, Job(str(kind)))

    assert [(kind, job.name) for kind, job in agenda.due(8)] == [(2, "2"), (1, "1"), (0, "0")]


def test_nothing_is_due_before_the_soonest() -> None:
    """Which is the second of the next entry, or the entry itself when that has come."""
    agenda: Agenda[int, Job] = Agenda()
    agenda.add(9.75, 0, Job("a"))
    assert agenda.soonest() == 9
    assert names(agenda, 9.1) == []
    assert agenda.soonest() == 9.75


def test_what_is_put_in_while_one_looks_comes_out_if_it_is_due() -> None:
    """As a deadline that has passed meanwhile."""
    agenda: Agenda[int, Job] = Agenda()
    agenda.add(1.0, 0, Job("a"))
    out = []
    for _, job in agenda.due(3.0):
        out.append(job.name)
        if job.name == "a":
            agenda.add(2.0, 0, Job("b"))
            agenda.add(4.0, 0, Job("c"))

    assert out == ["a", "b"]


def test_a_time_that_never_comes_waits_for_ever() -> None:
    """As the deadline of a task with an infinite timeout."""
    agenda: Agenda[int, Job] = Agenda()
    agenda.add(math.inf, 0, Job("never"))

    assert names(agenda, 1e9) == []
    assert len(agenda) == 1


@pytest.mark.parametrize("opened", [False, True])
def test_stale_entries_are_cleaned_up_wherever_they_lie(opened: bool) -> None:
    """What has not ended stays, in its order."""
    agenda: Agenda[int, Job] = Agenda()
    jobs = [Job(str(number)) for number in range(500)]
    for number, job in enumerate(jobs):
        agenda.add(10.5 + number // 250, 0, job)
    if opened:
        assert names(agenda, 10.0) == []
    for job in jobs[:240] + jobs[250:]:
        job.ended = True
        agenda.ended()

    assert len(agenda) < 100
    assert names(agenda, 20.0) == [str(number) for number in range(240, 250)]
