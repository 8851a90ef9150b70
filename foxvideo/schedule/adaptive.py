"""The schedule that learns how long tasks take, and asks accordingly.

What belongs here: what model, age, estimate and progress of a task say about its end. What must not: the mathematics
(``hazard.py``, ``progress.py``), clocks and files.

The price of a poll is the same for all tasks that were asked for alike: so high that by age alone an end is noticed
the wanted time late in the mean. Where progress tells more, there are fewer polls *and* they come less late.
"""

import random
import struct
from math import inf, sqrt

import attrs
import cattrs
from cattrs.preconf.json import make_converter

from foxvideo.schedule.base import Asked, Learning
from foxvideo.schedule.hazard import Ends
from foxvideo.schedule.progress import Foresight, Foretold, Linear
from foxvideo.state import TaskState

_ESTIMATE = 45.0  # seconds; in every sample of the documentation, whatever the model
_SHORTEST, _LONGEST = 1.0, 36_000.0  # seconds; what is beyond is no estimate
_JITTER = 0.1
_SCOUTS = 16  # of so many tasks, one is looked at some time before it is due: ends that nobody looks for stay unknown
_BETTER = 0.8  # the share of the polls that age alone would take, from which on progress is listened to
_ALL, _HALF, _BUCKET = 100, 50, 5  # per cent of progress
_PARKED = 95  # per cent from which on progress often stands still: it foretells nothing until it was seen to
_CAUTION = 2.0  # times the wait by age alone, after which what no end has tested is looked at
_SOONER = 0.5  # of the wait by age alone, for the first look at a task whose progress will tell when it ends
_TICK = 64  # parts of a second, which a short float holds exactly

# What is remembered of a task that runs: the estimate, the age at which it was seen running last, and of each bucket of
# progress the first that was seen, with its age. Packed, since a hundred thousand are kept.
_HEAD = struct.Struct("<ff")
_SIGHT = struct.Struct("<Bf")


@attrs.frozen
class Record:
    """What one task that has ended teaches.

    Attributes:
        model: The model that was asked for.
        duration: Seconds of video that were asked for; None where none were.
        estimate: Seconds from submit to end as they were guessed at first.
        after: The age, in seconds, at which it was last seen running.
        by: The age, in seconds, at which it was seen to have ended.
        sights: Progress in per cent, with the age at which it was seen.
    """

    model: str
    duration: float | None
    estimate: float
    after: float
    by: float
    sights: tuple[tuple[int, float], ...] = ()

    def __attrs_post_init__(self) -> None:
        sighted = all(0 < progress <= _ALL and 0 < seen <= self.after for progress, seen in self.sights)
        if not (_SHORTEST <= self.estimate <= _LONGEST and 0 <= self.after <= self.by < inf and sighted):
            raise ValueError("no task can have gone like that")

    @property
    def asked(self) -> Asked:
        """What the task was asked for."""
        return Asked(self.model, self.duration)


LATENESS, FLOOR, CEILING = 2.0, 1.0, 60.0
"""What a schedule has that is given no other numbers."""


def _above_0(schedule: object, field: "attrs.Attribute[float]", value: float) -> None:
    attrs.validators.gt(0.0)(schedule, field, value)


def _lateness() -> float:
    return LATENESS


def _floor() -> float:
    return FLOOR


def _ceiling() -> float:
    return CEILING


_CONVERTER = make_converter(unstruct_strat=cattrs.UnstructureStrategy.AS_TUPLE)


@attrs.define(kw_only=True)
class Learned(Learning):
    """Ask where an end is likely, as the tasks so far have shown.

    Learns, for each model and asked duration, when tasks end, and for each model what its progress is worth; before
    there was any, tasks are assumed to end around the service's estimate, and progress below 95 to be linear, with
    caution. See ``hazard.py`` for the rule. One task in sixteen, and each as long as nothing is known, is looked at
    once before that, so that ends where none is expected come to be known.

    Attributes:
        lateness: Seconds that may pass, in the mean, between the end of a task and the poll that finds it; 2.
        floor: Least seconds between two polls of a task; 1.
        ceiling: Most seconds between two polls of a task; 60.
    """

    lateness: float = attrs.field(factory=_lateness, validator=_above_0)
    floor: float = attrs.field(factory=_floor, validator=_above_0)
    ceiling: float = attrs.field(factory=_ceiling)
    _random: random.Random = attrs.field(factory=random.Random, repr=False, eq=False)
    _ends: dict[Asked, Ends] = attrs.field(factory=dict, init=False, repr=False)
    _foretold: dict[tuple[str, int], Foretold] = attrs.field(factory=dict, init=False, repr=False)
    _linear: dict[str, Linear] = attrs.field(factory=dict, init=False, repr=False)

    @ceiling.validator
    def _check_ceiling(self, _: object, ceiling: float) -> None:
        if not self.floor <= ceiling < inf:
            raise ValueError(f"ceiling must be at least floor, and finite, not {ceiling!r}")

    def next_age(self, asked: Asked, age: float, state: TaskState | None) -> float:
        """Return the age at which to poll next, as for a task of which nothing is remembered."""
        return self.step(asked, age, state, b"")[0]

    def step(self, asked: Asked, age: float, state: TaskState | None, memo: bytes) -> tuple[float, bytes]:
        """Return the age at which to poll next, and what to remember of the task."""
        ends = self._ends_of(asked)
        scouts = not memo and self._random.random() * min(1 + ends.known, _SCOUTS) < 1
        if not memo:
            ends.begin()
            memo = _HEAD.pack(_estimate(state), 0.0)
        estimate, before = _HEAD.unpack_from(memo)
        looked = int(age * _TICK) / _TICK
        if looked > before:
            ends.last(before / estimate, looked / estimate)
            memo = _HEAD.pack(estimate, looked) + memo[_HEAD.size :] + _new_sight(memo, state, looked)
        due = self._due(asked, age, estimate, memo)
        if scouts:
            due = self._random.uniform(age + self.floor, due)
        return min(max(due, age + self.floor), age + self.ceiling), memo

    def ended(self, asked: Asked, age: float, memo: bytes) -> str | None:
        """Learn from a task that has ended, and return it as a text for ``learn``; None if nothing was to be seen."""
        if not memo:
            return None
        estimate, after = _HEAD.unpack_from(memo)
        sights = tuple((progress, round(seen, 2)) for progress, seen in _SIGHT.iter_unpack(memo[_HEAD.size :]))
        by = max(after, age)
        self._ends_of(asked).end(after / estimate, by / estimate)
        record = Record(asked.model, asked.duration, round(estimate, 2), round(after, 2), round(by, 2), sights)
        self._learn_progress(record)
        return _CONVERTER.dumps(record)

    def learn(self, text: str) -> None:
        """Learn from a text that ``ended`` returned, perhaps in another process; what is none is passed over."""
        try:
            record = _CONVERTER.loads(text, Record)
        except (ValueError, TypeError, RecursionError, cattrs.BaseValidationError):
            return
        self._ends_of(record.asked).learn(record.after / record.estimate, record.by / record.estimate)
        self._learn_progress(record)

    def _ends_of(self, asked: Asked) -> Ends:
        return self._ends.get(asked) or self._ends.setdefault(asked, Ends())

    def _foretold_of(self, model: str, progress: int) -> Foretold:
        key = model, progress // _BUCKET
        return self._foretold.get(key) or self._foretold.setdefault(key, Foretold())

    def _linear_of(self, model: str) -> Linear:
        return self._linear.get(model) or self._linear.setdefault(model, Linear())

    def _learn_progress(self, record: Record) -> None:
        linear, moving = self._linear_of(record.model), []
        believed = linear.believed()
        for progress, seen in record.sights:
            guess = _extrapolated(progress, seen)
            between = record.after / guess, record.by / guess
            self._foretold_of(record.model, progress).learn(*between, believed)
            if progress < _PARKED:
                moving.append(between)
        if moving:
            linear.learn(moving)

    def _due(self, asked: Asked, age: float, estimate: float, memo: bytes) -> float:
        """Return the age at which the integral of the rate of asking has grown by one, jittered; or a little later."""
        by_age = self._ends_of(asked).plan
        # In roots of seconds, as the integrals of the plans are once they are stretched from shares to seconds.
        step = 2 * self.lateness * self._random.uniform(1 - _JITTER, 1 + _JITTER) / sqrt(estimate * by_age.costs[0])
        so_far, ahead = by_age.at(age / estimate)
        latest = inf
        if (foreseen := self._foreseen(asked.model, memo)) is not None:
            guess, by_progress, tested = foreseen
            spent, less = by_progress.at(age / guess)
            if guess * less < _BETTER * estimate * ahead:
                if not tested:
                    latest = by_age.due(so_far + _CAUTION * step / sqrt(estimate)) * estimate
                spent += step / sqrt(guess)
                if (more := spent - by_progress.rates[-1]) <= 0:
                    return min(latest, max(by_progress.due(spent), by_progress.soonest(self.floor / guess)) * guess)
                # It lasts longer than progress can explain: the rest goes by age.
                age, step = max(age, by_progress.knots[-1] * guess), min(step, more * sqrt(guess))
                so_far, _ = by_age.at(age / estimate)
        elif age < self.floor and self._tells_much(asked.model, ahead):
            step *= _SOONER
        return min(latest, by_age.due(so_far + step / sqrt(estimate)) * estimate)

    def _tells_much(self, model: str, ahead: float) -> bool:
        """Whether the progress of a model is known to tell more than the cost that is ahead by age alone."""
        linear = self._linear.get(model)
        return linear is not None and linear.tested and linear.plan(_HALF).costs[0] < _BETTER * ahead

    def _foreseen(self, model: str, memo: bytes) -> tuple[float, Foresight, bool] | None:
        """Return the guess of the end that progress allows, a plan around it, and whether ends have tested that."""
        for place in range(len(memo) - _SIGHT.size, _HEAD.size - 1, -_SIGHT.size):
            progress, seen = _SIGHT.unpack_from(memo, place)
            if (known := self._foretold_of(model, progress).plan) is not None:
                return _extrapolated(progress, seen), known, True
            if progress < _PARKED:
                linear = self._linear_of(model)
                return _extrapolated(progress, seen), linear.plan(progress // _BUCKET * _BUCKET), linear.tested
        return None


def _estimate(state: TaskState | None) -> float:
    told = state.estimated_time if state else None
    return told if told and _SHORTEST <= told <= _LONGEST else _ESTIMATE


def _extrapolated(progress: int, seen: float) -> float:
    """Return the age at the end, were progress linear; how far that is from the truth is learned."""
    return _ALL * seen / progress


def _new_sight(memo: bytes, state: TaskState | None, age: float) -> bytes:
    """Return what to add to a memo: progress of a bucket that was not reached before."""
    progress = int(state.progress or 0) if state else 0
    seen = memo[-_SIGHT.size] if len(memo) > _HEAD.size else 0
    return _SIGHT.pack(progress, age) if progress and progress // _BUCKET > seen // _BUCKET else b""
