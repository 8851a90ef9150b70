"""What is learned from tasks that ended, and what asking by it costs: no clock, no service."""

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist

import attrs
import pytest
from hypothesis import given, strategies as st

from benchmarks.durations import DURATIONS, EQUAL, Shape
from benchmarks.schedule import wave
from foxvideo import Client, GrokTextToVideo
from foxvideo.emulator import Emulator
from foxvideo.emulator.tasks import QUEUED_SHARE
from foxvideo.schedule.adaptive import Learned
from foxvideo.schedule.base import Asked
from foxvideo.schedule.hazard import Ends
from foxvideo.schedule.progress import Foretold
from foxvideo.state import Status, TaskState

ASKED = Asked("grok-imagine-text-to-video", 6)
PENDING = TaskState(id="task-1", status=Status.PENDING, status_text="pending", estimated_time=45)

Progress = Callable[[float], float | None]


def absent(_: float) -> None:
    """Show no progress."""


def linear(share: float) -> float:
    """Show the progress that is true, in whole per cent."""
    return math.floor(100 * share)


def stuck(_: float) -> float:
    """Stand at 99 from the first."""
    return 99


@attrs.define
class Followed:
    """What following some tasks took."""

    polls: list[int] = attrs.field(factory=list)
    late: list[float] = attrs.field(factory=list)
    texts: list[str] = attrs.field(factory=list)

    @property
    def mean_polls(self) -> float:
        """Queries for each task."""
        return sum(self.polls) / len(self.polls)

    @property
    def mean_late(self) -> float:
        """Seconds from an end to the query that found it."""
        return sum(self.late) / len(self.late)


def follow(
    schedule: Learned,
    count: int,
    *,
    sigma: float = 0.12,
    progress: Progress = absent,
    asked: Asked = ASKED,
    seed: int = 1,
) -> Followed:
    """Follow tasks of some 45 s, one after the other, as the schedule says."""
    rng, followed = random.Random(seed), Followed()  # noqa: S311 - repeatable, not secret
    for _ in range(count):
        seconds = 45 * math.exp(sigma * rng.gauss(0, 1))
        age, memo = schedule.step(asked, 0.0, PENDING, b"")
        polls = 1
        while age < seconds:
            running = attrs.evolve(PENDING, progress=progress(age / seconds), estimated_time=None)
            age, memo = schedule.step(asked, age, running, memo)
            polls += 1
        followed.texts.append(schedule.ended(asked, age, memo) or "")
        followed.polls.append(polls)
        followed.late.append(age - seconds)
    return followed


def learned(lateness: float = 1.0) -> Learned:
    """Return a schedule that jitters the same in each run."""
    return Learned(lateness=lateness, random=random.Random(7))  # noqa: S311 - as above


# --- By age ---


def test_equal_tasks_take_few_queries_and_those_come_in_time() -> None:
    """A fixed interval of two seconds is as late and takes 23."""
    schedule = learned()
    follow(schedule, 100)
    followed = follow(schedule, 300, seed=2)

    assert followed.mean_polls < 7
    assert followed.mean_late < 1.15


@pytest.mark.parametrize("lateness", [0.5, 1.0, 3.0])
def test_ends_are_noticed_as_late_as_was_wanted(lateness: float) -> None:
    """In the mean, for durations that spread."""
    schedule = Learned(lateness=lateness, floor=0.01, random=random.Random(7))  # noqa: S311 - repeatable
    follow(schedule, 200, sigma=0.4)

    assert follow(schedule, 500, sigma=0.4, seed=2).mean_late == pytest.approx(lateness, rel=0.2)


def test_tasks_asked_for_otherwise_are_learned_apart() -> None:
    """What takes 45 s says nothing of another model or duration."""
    schedule = learned()
    fresh = follow(learned(), 5, asked=Asked("another")).mean_polls
    follow(schedule, 100)

    assert follow(schedule, 5, asked=Asked("another")).mean_polls == pytest.approx(fresh, rel=0.3)
    assert follow(schedule, 5).mean_polls < fresh


def test_what_is_learned_scales_with_the_estimate() -> None:
    """Where tasks of a model are estimated differently, it is the share of the estimate that counts."""
    schedule = Learned(lateness=1.0, ceiling=1e6, random=random.Random(7))  # noqa: S311 - repeatable
    follow(schedule, 100)

    longer = attrs.evolve(PENDING, estimated_time=450)
    ages = sorted(schedule.step(ASKED, 0.0, longer, b"")[0] for _ in range(100))

    assert 250 < ages[50] < 450


@pytest.mark.parametrize("told", [None, 0.0, 1e-3, 1e12])
def test_an_estimate_that_makes_no_sense_is_not_believed(told: float | None) -> None:
    """Then 45 s are assumed."""
    expected = learned().step(ASKED, 0.0, PENDING, b"")

    assert learned().step(ASKED, 0.0, attrs.evolve(PENDING, estimated_time=told), b"") == expected
    assert learned().step(ASKED, 0.0, None, b"") == expected


@given(st.floats(0, 1e5), st.integers(), st.floats(0.01, 100))
def test_a_task_is_asked_after_neither_too_often_nor_too_rarely(age: float, seed: int, lateness: float) -> None:
    """Between a second and a minute, whatever was learned."""
    schedule = Learned(lateness=lateness, random=random.Random(seed))  # noqa: S311 - repeatable
    _, memo = schedule.step(ASKED, 0.0, PENDING, b"")
    due, memo = schedule.step(ASKED, age, PENDING, memo)

    assert age + 1 <= due <= age + 60
    schedule.ended(ASKED, due, memo)


def test_a_floor_above_the_ceiling_is_refused() -> None:
    """Nor may anything be 0."""
    with pytest.raises(ValueError, match="ceiling"):
        Learned(floor=61)
    with pytest.raises(ValueError, match="lateness"):
        Learned(lateness=0)


def test_a_wave_of_equal_tasks_does_not_come_due_at_once() -> None:
    """Each is jittered, from the first query on."""
    schedule = Learned()
    due = sorted(schedule.step(ASKED, 0.0, PENDING, b"")[0] for _ in range(1000))

    assert max(sum(begin <= age < begin + 0.1 for age in due) for begin in due) < 50


def test_while_nothing_is_known_all_look_at_other_times() -> None:
    """Some find early what the others would miss."""
    schedule = Learned(random=random.Random(7))  # noqa: S311 - repeatable
    due = sorted(schedule.step(ASKED, 0.0, PENDING, b"")[0] for _ in range(1000))

    assert due[200] < 0.3 * due[-1]
    assert due[500] < 0.6 * due[-1]


def test_later_one_of_sixteen_looks_early() -> None:
    """Since what nobody looks for is not learned."""
    schedule = learned()
    follow(schedule, 100)
    due = sorted(schedule.step(ASKED, 0.0, PENDING, b"")[0] for _ in range(1000))

    early = sum(age < 0.9 * due[500] for age in due)
    assert 30 < early < 90


# --- By progress ---


def test_true_progress_saves_most_queries() -> None:
    """And ends are noticed no later."""
    blind, seeing = learned(), learned()
    follow(blind, 200, sigma=0.4)
    follow(seeing, 200, sigma=0.4, progress=linear)
    by_age = follow(blind, 200, sigma=0.4, seed=2)
    by_progress = follow(seeing, 200, sigma=0.4, progress=linear, seed=2)

    assert by_progress.mean_polls < 0.22 * by_age.mean_polls
    assert by_progress.mean_late < by_age.mean_late


def test_two_queries_are_nearly_enough_where_progress_is_true() -> None:
    """One sees where the end is, one finds it."""
    schedule = learned()
    follow(schedule, 400, progress=linear)
    followed = follow(schedule, 400, progress=linear, seed=2)

    assert followed.mean_polls < 2.5
    assert followed.mean_late < 0.7


def due_at_half(schedule: Learned) -> float:
    """Return when a task is due, in the mean, that stood at 50 after 22.5 seconds."""
    halfway, (_, memo) = attrs.evolve(PENDING, progress=50), schedule.step(ASKED, 0.0, PENDING, b"")
    return sum(schedule.step(ASKED, 22.5, halfway, memo)[0] for _ in range(100)) / 100


def test_a_query_waits_for_an_end_that_it_could_just_miss() -> None:
    """Where the next may follow at once, that is no matter."""
    schedule = learned()
    follow(schedule, 400, sigma=0.4, progress=linear)
    due = due_at_half(schedule)
    schedule.floor = 0.01

    assert 44 < due < 45.5
    assert due_at_half(schedule) < due - 0.3


@pytest.mark.parametrize(
    ("shape", "most"), [("linear", 0.25), ("fast-slow", 0.5), ("slow-fast", 0.75), ("stuck", 0.95), ("absent", 0.95)]
)
def test_a_thousand_that_begin_at_once_are_seen_through_before_the_first_ends(shape: Shape, most: float) -> None:
    """They are alike, and take 20 s where the service says 45: linear progress is believed, with caution."""
    begun = wave(learned(2.0), EQUAL, shape, 45.0, seed=1)

    assert begun.ratio < most
    assert begun.late < 3.5


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("shape", ["linear", "fast-slow", "slow-fast", "stuck"])
@pytest.mark.parametrize("name", ["heavy", "three lanes"])
def test_ends_that_come_before_they_are_foretold_do_not_confirm_what_foretold_them(
    name: str, shape: Shape, seed: int
) -> None:
    """A look that comes late says only that the end was before, and not that it was late."""
    assert wave(learned(2.0), DURATIONS[name], shape, 45.0, seed=seed).late < 2.5


@pytest.mark.parametrize(("progress", "sooner"), [(linear, True), (stuck, False)])
def test_a_first_look_comes_sooner_where_it_will_tell_when_the_task_ends(progress: Progress, *, sooner: bool) -> None:
    """What ends before it is seen late, and the more is known the later it would come."""
    blind, seeing = learned(), learned()
    first = []
    for schedule, shown in ((blind, absent), (seeing, progress)):
        follow(schedule, 400, sigma=0.4, progress=shown)
        # The median: one in sixteen is looked at early in any case.
        first.append(sorted(schedule.step(ASKED, 0.0, PENDING, b"")[0] for _ in range(101))[50])

    assert (first[1] < 0.9 * first[0]) is sooner


def test_what_parked_before_the_first_end_is_not_taken_for_nearly_done() -> None:
    """Progress of 95 and more is what services show that do not know any better."""
    shown = attrs.evolve(PENDING, status=Status.PROCESSING, progress=97)
    schedule = learned()
    told, _ = schedule.step(ASKED, 10.0, shown, schedule.step(ASKED, 0.0, PENDING, b"")[1])
    schedule = learned()
    untold, _ = schedule.step(ASKED, 10.0, PENDING, schedule.step(ASKED, 0.0, PENDING, b"")[1])

    assert told == untold


def test_progress_that_stands_still_costs_nothing() -> None:
    """It foretells nothing, and is not listened to."""
    blind, fooled = learned(), learned()
    by_age = follow(blind, 400, sigma=0.4)
    by_progress = follow(fooled, 400, sigma=0.4, progress=stuck)

    assert by_progress.mean_polls < 1.1 * by_age.mean_polls
    assert by_progress.mean_late < 1.15 * by_age.mean_late


def test_a_task_that_outlasts_its_progress_is_asked_after_by_its_age() -> None:
    """Rather than all the time."""
    schedule = learned()
    follow(schedule, 100, sigma=0.4, progress=linear)
    halfway = attrs.evolve(PENDING, progress=50)
    age, memo = schedule.step(ASKED, 20.0, halfway, schedule.step(ASKED, 0.0, PENDING, b"")[1])
    polls = 0
    while age < 120:
        age, memo = schedule.step(ASKED, age, halfway, memo)
        polls += 1

    assert age > 30
    assert polls < 60


def test_progress_that_steps_back_or_is_no_news_is_passed_over() -> None:
    """Of each twentieth, the first is remembered."""
    schedule = learned()
    _, memo = schedule.step(ASKED, 0.0, PENDING, b"")
    for age, progress in ((10.0, 22.0), (12.0, 24.0), (14.0, 10.0), (16.0, 61.0)):
        _, memo = schedule.step(ASKED, age, attrs.evolve(PENDING, progress=progress), memo)

    assert schedule.ended(ASKED, 20.0, memo) == (
        '["grok-imagine-text-to-video", 6, 45.0, 16.0, 20.0, [[22, 10.0], [61, 16.0]]]'
    )


def test_a_memo_is_small() -> None:
    """A hundred thousand are kept."""
    schedule = learned()
    _, memo = schedule.step(ASKED, 0.0, PENDING, b"")
    for percent in range(101):
        _, memo = schedule.step(ASKED, percent + 0.3, attrs.evolve(PENDING, progress=percent), memo)

    assert len(memo) <= 8 + 21 * 5


# --- What survives ---


@pytest.mark.parametrize("by", [45.0, 1e9, 1e300])
@pytest.mark.parametrize("seen", [0.02, 22.5])
def test_an_end_that_lies_anywhere_leaves_a_schedule_that_can_be_followed(seen: float, by: float) -> None:
    """From the first such end to the twentieth."""
    schedule = learned()
    halfway = attrs.evolve(PENDING, progress=50)
    for _ in range(20):
        schedule.learn(json.dumps([ASKED.model, ASKED.duration, 45.0, by / 2, by, [[50, seen]]]))
        _, memo = schedule.step(ASKED, 0.0, PENDING, b"")
        due, _ = schedule.step(ASKED, 22.5, halfway, memo)
        assert 23.5 <= due <= 82.5


def test_what_was_learned_survives_as_texts() -> None:
    """One for each task that ended; who learns them asks as rarely."""
    old, new = learned(), learned()
    texts = follow(old, 200, sigma=0.4, progress=linear).texts
    for text in texts:
        new.learn(text)

    assert all(len(text) < 400 for text in texts)
    again = follow(new, 100, sigma=0.4, progress=linear, seed=2).mean_polls
    assert again == pytest.approx(follow(old, 100, sigma=0.4, progress=linear, seed=2).mean_polls, rel=0.1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "null",
        "[]",
        "{}",
        "[" * 10_000,
        '["m", 6]',
        '["m", 6, 45.0, 3.0, 4.0, 7]',
        '["m", 6, 45.0, 3.0, 4.0, [[0, 2.0]]]',
        '["m", 6, 45.0, 3.0, 4.0, [[5, 0.0]]]',
        '["m", 6, 45.0, 3.0, 4.0, [[5, 3.5]]]',
        '["m", 6, 45.0, 4.0, 3.0, []]',
        '["m", 6, 45.0, 3.0, Infinity, []]',
        '["m", 6, NaN, 3.0, 4.0, []]',
        '["m", 6, 0.0, 3.0, 4.0, []]',
        '["m", [6], 45.0, 3.0, 4.0, []]',
    ],
)
def test_a_text_that_is_no_record_is_passed_over(text: str) -> None:
    """Another version may have written it."""
    schedule = learned()
    schedule.learn(text)

    assert schedule == learned()
    assert schedule.step(ASKED, 0.0, PENDING, b"") == learned().step(ASKED, 0.0, PENDING, b"")


def test_an_end_without_a_beginning_teaches_nothing() -> None:
    """As of a task that was found ended."""
    assert learned().ended(ASKED, 20.0, b"") is None


async def test_a_client_with_a_journal_begins_with_what_an_earlier_one_learned(tmp_path: Path) -> None:
    """However long ago that was."""
    path = tmp_path / "videos.db"
    polls = []
    for _ in range(2):
        async with (
            Emulator(seconds=(40.0, 44.0), estimated_time=200, render=False) as fox,
            Client(fox.api_key, fox.base_url, journal=path) as client,
        ):
            for number in range(10):
                await client.generate(GrokTextToVideo(prompt=f"Kite {number}", duration=4))
            polls.append(fox.ledger.polled)

    assert polls[1] < 0.8 * polls[0]


async def test_a_client_asks_as_the_simulation_has_it() -> None:
    """Within a tenth, for tasks of the emulator, whose progress is true once they have left the queue."""
    rng, simulated, schedule = random.Random(3), Followed(), learned()  # noqa: S311 - repeatable, not secret
    for number in range(1000):
        schedule = schedule if number % 100 else learned()
        seconds = rng.uniform(30, 60)
        age, memo = schedule.step(ASKED, 0.0, PENDING, b"")
        polls = 1
        while age < seconds:
            shown = max(0, math.floor(100 * (age / seconds - QUEUED_SHARE) / (1 - QUEUED_SHARE)))
            age, memo = schedule.step(ASKED, age, attrs.evolve(PENDING, progress=shown), memo)
            polls += 1
        schedule.ended(ASKED, age, memo)
        simulated.polls.append(polls)

    async with (
        Emulator(seconds=(30.0, 60.0), render=False) as fox,
        Client(fox.api_key, fox.base_url, schedule=learned()) as client,
    ):
        for number in range(100):
            await client.generate(GrokTextToVideo(prompt=f"Kite {number}", duration=6))

    assert fox.ledger.polled / 100 == pytest.approx(simulated.mean_polls, rel=0.1)


# --- Ends ---


def test_things_that_still_run_count_against_a_haste() -> None:
    """Ten of a hundred ended early; the others are not expected to follow at once."""
    wave, few = Ends(), Ends()
    for _ in range(10):
        few.learn(0.1, 0.11)
        wave.learn(0.1, 0.11)
    for _ in range(90):
        wave.begin()
        wave.last(0.0, 0.12)
    assert wave.plan.at(0.11)[0] < 0.5 * few.plan.at(0.11)[0]


def test_an_end_is_spread_over_the_time_in_which_it_was_not_seen() -> None:
    """As likely here as there, where nothing else is known."""
    ends = Ends()
    for _ in range(1000):
        ends.learn(0.5, 2.0)

    plan = ends.plan
    assert plan.at(0.5)[0] < 0.2
    assert plan.at(1.0)[0] - plan.at(0.5)[0] > 0.3
    assert plan.at(2.0)[0] - plan.at(1.0)[0] > 1.0


def test_an_end_at_an_exact_moment_is_no_trouble() -> None:
    """Nor one at the very beginning, nor far beyond all bins."""
    ends = Ends()
    for moment in (0.0, 1.0, 1e6):
        ends.learn(moment, moment)

    assert ends.plan.due(ends.plan.at(1.0)[0] + 0.1) > 1.0


@given(st.floats(0, 1e4), st.floats(1e-3, 100))
def test_a_plan_goes_forward(now: float, step: float) -> None:
    """``due`` undoes ``at``, and what costs is above 0."""
    ends = Ends()
    ends.learn(0.9, 1.0)
    due = ends.plan.due(ends.plan.at(now)[0] + step)

    assert due > now or due == pytest.approx(now)
    assert ends.plan.at(due)[0] == pytest.approx(ends.plan.at(now)[0] + step)
    assert ends.plan.at(now)[1] > 0


def test_old_ends_fade() -> None:
    """After thousands that took long, some thousands that are quick are believed."""
    ends = Ends()
    for _ in range(3000):
        ends.learn(3.0, 3.1)
    slow = ends.plan.at(1.0)[0]
    for _ in range(4000):
        ends.learn(0.5, 0.51)

    assert slow < 0.3
    assert ends.plan.at(1.0)[0] > 0.5


# --- Foretold ---


def test_four_ends_foretell_nothing() -> None:
    """The fifth makes a plan."""
    foretold = Foretold()
    for share in (0.9, 1.0, 1.1, 1.0):
        foretold.learn(share, share)
        assert foretold.plan is None
    foretold.learn(1.0, 1.0)

    assert foretold.plan is not None


def test_ends_that_were_noticed_late_make_a_guess_vague() -> None:
    """They may have been long before."""
    foretold = Foretold()
    for _ in range(5):
        foretold.learn(0.8, 1.2)

    assert foretold.plan is not None
    assert foretold.plan.knots[1] < 0.75  # where each was noticed within a per cent, it is 0.96
    assert 1.2 < foretold.plan.knots[-1] < 2.5


def test_ends_that_lie_close_to_the_guess_are_awaited_there() -> None:
    """Not before, and the more of them the closer."""
    foretold = Foretold()
    for number in range(300):
        share = 1.0 + 0.01 * (number % 3 - 1)
        foretold.learn(share, share)

    plan = foretold.plan
    assert plan is not None
    assert 0.95 < plan.due(0.001) < 1.0
    assert plan.knots[-1] < 1.05
    assert plan.at(0.5)[0] == 0


@pytest.mark.parametrize("miss", [0.003, 0.01, 0.03])
def test_the_next_query_is_due_when_it_costs_least(miss: float) -> None:
    """In lateness of those that have ended, and of those that it misses."""
    foretold, around = Foretold(), NormalDist(1.0, 0.01)
    for share in around.samples(2000, seed=1):
        foretold.learn(share, share)
    ends = around.samples(2000, seed=2)

    def cost(due: float) -> float:
        return sum(max(due - end, 0.0) if end <= due else miss for end in ends)

    assert foretold.plan is not None
    soonest = foretold.plan.soonest(miss)
    assert cost(soonest) < 1.05 * min(cost(0.95 + number / 1000) for number in range(100))


def test_the_next_query_is_due_at_the_last_where_a_miss_costs_all() -> None:
    """But no later than the guess holds."""
    foretold = Foretold()
    for share in (0.9, 1.0, 1.1, 1.0, 1.0):
        foretold.learn(share, share)

    assert foretold.plan is not None
    assert foretold.plan.soonest(1e9) == foretold.plan.knots[-1]


def test_an_end_that_was_noticed_late_is_expected_where_others_were() -> None:
    """It says only that it was not later."""
    foretold = Foretold()
    for number in range(20):
        share = 1.0 + 0.01 * (number % 3 - 1)
        foretold.learn(share, share)
    for _ in range(60):
        foretold.learn(0.5, 1.02)

    assert foretold.plan is not None
    assert 0.95 < foretold.plan.due(0.001) < 1.0
    assert foretold.plan.knots[-1] < 1.05


def test_an_end_that_was_not_expected_is_believed_all_the_same() -> None:
    """Where it was seen."""
    foretold = Foretold()
    for share in [1.0] * 20 + [2.0] * 20:
        foretold.learn(share, 1.001 * share)

    assert foretold.plan is not None
    assert foretold.plan.knots[-1] > 2.0


def test_old_guesses_fade() -> None:
    """What progress means may change."""
    foretold = Foretold()
    for _ in range(1000):
        foretold.learn(2.0, 2.0)
    for _ in range(1000):
        foretold.learn(1.0, 1.0)

    assert foretold.plan is not None
    assert foretold.plan.due(0.001) < 1.1
