"""Tasks as a service might have them: how long they take, and what progress they show meanwhile.

What belongs here: distributions and shapes, as plain numbers. What must not: schedules.
"""

import math
import random
from collections.abc import Mapping
from statistics import NormalDist
from typing import Literal, get_args

import attrs

Shape = Literal["absent", "linear", "fast-slow", "slow-fast", "stuck"]
SHAPES: tuple[Shape, ...] = get_args(Shape)

_NORMAL = NormalDist()
_SOON = 5.0  # seconds


@attrs.frozen
class Lane:
    """A lognormal: tasks of one speed.

    Attributes:
        share: Of all tasks.
        median: Seconds.
        sigma: Spread of the logarithm.
    """

    share: float
    median: float
    sigma: float


@attrs.frozen
class Durations:
    """How long tasks take."""

    lanes: tuple[Lane, ...]

    def draw(self, rng: random.Random) -> float:
        """Return the seconds that one task takes."""
        (lane,) = rng.choices(self.lanes, [lane.share for lane in self.lanes])
        return lane.median * math.exp(lane.sigma * rng.gauss())

    def ended(self, age: float) -> float:
        """Return the chance to have ended by an age."""
        return sum(lane.share * _NORMAL.cdf(math.log(age / lane.median) / lane.sigma) for lane in self.lanes)

    def longest(self) -> float:
        """Return the seconds that one task in some ten thousand takes longer than."""
        return max(lane.median * math.exp(4 * lane.sigma) for lane in self.lanes)


DURATIONS: Mapping[str, Durations] = {
    "narrow": Durations((Lane(1.0, 45.0, 0.12),)),
    "wide": Durations((Lane(1.0, 45.0, 0.4),)),
    "heavy": Durations((Lane(1.0, 45.0, 0.8),)),
    "two lanes": Durations((Lane(0.5, 30.0, 0.12), Lane(0.5, 90.0, 0.12))),
    "three lanes": Durations((Lane(1 / 3, 15.0, 0.1), Lane(1 / 3, 50.0, 0.1), Lane(1 / 3, 150.0, 0.1))),
    "some refused": Durations((Lane(0.15, 2.0, 0.3), Lane(0.85, 45.0, 0.15))),
}


# Nobody has such a service, but many tasks alike that begin at once come near to it.
EQUAL = Durations((Lane(1.0, 20.0, 1e-6),))
BY_NAME: Mapping[str, Durations] = {**DURATIONS, "equal": EQUAL}


def progress(shape: Shape, age: float, seconds: float) -> float | None:
    """Return the per cent that a running task shows; a whole number, as the service has it.

    Args:
        shape: How progress goes: not at all, as it should, quick at first, quick at last, or to 99 in five seconds,
            where it stands.
        age: Seconds since it began.
        seconds: What it takes.
    """
    match shape:
        case "absent":
            return None
        case "linear":
            done = age / seconds
        case "fast-slow":
            done = math.sqrt(age / seconds)
        case "slow-fast":
            done = (age / seconds) ** 2
        case "stuck":
            done = age / _SOON
    return min(math.floor(100 * done), 99)
