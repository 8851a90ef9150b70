"""How far ends lie from a guess of them, learned from those that ended.

What belongs here: the spread around a guess, as a plan of asking. What must not: where the guess comes from
(``adaptive.py``).

``Foretold`` is learned for each model and stretch of progress. Until a stretch has seen enough ends, ``Linear`` stands
in for it: what is known of all progress of the model, and before there was any end that progress is as a rule linear.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, pairwise
from statistics import NormalDist

import attrs

from foxvideo.schedule.hazard import Plan

_NORMAL = NormalDist()
_STEP = 1 / 8
_GRID = [step * _STEP for step in range(-32, 25)]  # spreads from the middle; three above it, the guess was wrong
_ENOUGH = 5  # ends before a guess is trusted
_MOST = 200.0  # ends that count in full; then all that were count for half
_LEAST_SPREAD, _MOST_SPREAD = 0.001, 5.0
_FARTHEST = 20.0  # of a mean from 0: what lies beyond is no share of any guess
_TESTED = 50  # ends, after which what all progress of a model has shown is trusted
_ROUNDED = 0.3  # per cent by which a whole number of them is off, in the root mean square
_TINY = 1e-9

Belief = tuple[float, float]
"""Mean and spread of a logarithm."""

_LINEAR: Belief = (0.0, 0.05)  # of what linear progress foretells, before there was any end; one observation


def _standard() -> tuple[list[float], list[float]]:
    """Return ``sqrt(hazard)`` of the normal at each point of the grid, and the costs that are ahead there."""
    lasting = [_NORMAL.cdf(-z) for z in _GRID]
    roots = [math.sqrt(_NORMAL.pdf(z) / some) for z, some in zip(_GRID, lasting, strict=True)]
    parts = [root * some * _STEP for root, some in zip(roots, lasting, strict=True)]
    ahead = [*accumulate(reversed(parts))][::-1]
    return roots, [(more / some) ** 2 for more, some in zip(ahead, lasting, strict=True)]


_ROOTS, _COSTS = _standard()
# Of a normal: what ends in an instant, to what ended before; its negative, since that ascends.
_LATER = [-_NORMAL.pdf(z) / _NORMAL.cdf(z) for z in _GRID]


@attrs.frozen
class Foresight(Plan):
    """A plan that ends where the guess has turned out wrong.

    Attributes:
        spread: Of the ends, as a share of the guess.
    """

    spread: float

    def soonest(self, miss: float) -> float:
        """Return the moment from which on it is worth while to ask.

        The rate takes polls to be as fine as sand, but a miss cannot be mended at once. Where ends lie close
        together, it is cheaper to wait a little longer: what has ended is noticed that much later, what ends meanwhile
        in time.

        Args:
            miss: How late, as a share of the guess, an end is noticed that a poll has just missed.
        """
        return self.knots[1 + bisect_left(_LATER, -self.spread / miss, hi=len(_GRID) - 1)]


def _foresight(mean: float, spread: float) -> Foresight:
    """Return the plan for ends that are lognormal: mean and spread of the logarithm of their share of the guess."""
    mean, spread = min(max(mean, -_FARTHEST), _FARTHEST), min(spread, _MOST_SPREAD)
    knots = [math.exp(mean + spread * z) for z in _GRID]
    slopes = [root / math.sqrt(spread * knot) for root, knot in zip(_ROOTS, knots, strict=True)]
    widths = (right - left for left, right in pairwise(knots))
    rates = accumulate((slope * width for slope, width in zip(slopes, widths, strict=False)), initial=0.0)
    costs = [spread * math.exp(mean) * cost for cost in _COSTS]
    return Foresight([0.0, *knots], [0.0, *rates], [costs[0], *costs], [0.0, *slopes], spread * math.exp(mean))


def _expected(left: float, right: float, mean: float, spread: float) -> tuple[float, float]:
    """Return mean and variance of a logarithm between two, as the belief in a mean and a spread has it."""
    low, high = (left - mean) / spread, (right - mean) / spread
    if (share := _NORMAL.cdf(high) - _NORMAL.cdf(low)) > _TINY:
        start, stop = _NORMAL.pdf(low) / share, _NORMAL.pdf(high) / share
        off = start - stop
        return mean + spread * off, spread**2 * (1 + low * start - high * stop - off * off)
    return (left + right) / 2, (right - left) ** 2 / 12


@attrs.define
class _Logarithms:
    """How many there were, and the sums of them and of their squares; what is old fades."""

    count: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float:
        return self.total / self.count

    @property
    def variance(self) -> float:
        return max(self.squares / self.count - self.mean * self.mean, 0.0)

    def add(self, logarithm: float, square: float) -> None:
        self.count += 1
        self.total += logarithm
        self.squares += square
        if self.count > _MOST:
            self.count, self.total, self.squares = self.count / 2, self.total / 2, self.squares / 2


@attrs.define
class Foretold:
    """Ends as shares of their guess: a lognormal, as soon as there were some."""

    _seen: _Logarithms = attrs.field(factory=_Logarithms, init=False)
    _news: float = attrs.field(default=0.0, init=False)
    _believed: Belief | None = attrs.field(default=None, init=False)
    _plan: Foresight | None = attrs.field(default=None, init=False)

    @property
    def plan(self) -> Foresight | None:
        """How often to ask, by moments as shares of the guess; None while too little is known."""
        self._heed()
        return self._plan

    def learn(self, after: float, by: float, believed: Belief = _LINEAR) -> None:
        """Take note of an end between two shares of what was guessed, above 0; where, the present belief has it.

        Args:
            after: It had not ended then.
            by: It had.
            believed: Of all progress of the model; that counts until this stretch has seen enough, with caution. Were
                it too sure, what is looked for late would seem to have ended late, and so be looked for late again.
        """
        self._heed()
        mean, spread = self._believed or (believed[0], max(believed[1], _LINEAR[1]))
        middle, variance = _expected(math.log(after), math.log(by), mean, spread)
        self._news += 1
        self._seen.add(middle, middle * middle + variance)

    def _heed(self) -> None:
        """Believe the news, once there are enough to matter."""
        if self._seen.count >= _ENOUGH and self._news > self._seen.count / 16:
            self._renew()

    def _renew(self) -> None:
        count, mean, variance = self._seen.count, self._seen.mean, self._seen.variance
        # Few ends tell little of their spread, and of their middle: the next one is spread wider (Student).
        spread = max(math.sqrt(variance * (count + 1) / (count - 3)), _LEAST_SPREAD)
        self._believed, self._news = (mean, spread), 0.0
        self._plan = _foresight(mean, spread)


@attrs.define
class Linear:
    """How far from linear all progress of a model is; before the first end, a little."""

    _seen: _Logarithms = attrs.field(factory=lambda: _Logarithms(1.0, _LINEAR[0], _LINEAR[1] ** 2), init=False)
    _news: float = attrs.field(default=0.0, init=False)
    _plans: dict[int, Foresight] = attrs.field(factory=dict, init=False)

    @property
    def tested(self) -> bool:
        """Whether there were enough ends to trust it: in a wave, the first are those of the quick alone."""
        return self._seen.count > _TESTED

    def plan(self, least: int) -> Foresight:
        """Return how often to ask, by moments as shares of the guess.

        Args:
            least: The least per cent of progress that the guess may be made from: the fewer, the coarser it is.
        """
        if (known := self._plans.get(least)) is not None:
            return known
        mean, spread = self.believed()
        plan = self._plans[least] = _foresight(mean, math.hypot(spread, _ROUNDED / max(least, 1.5)))
        return plan

    def believed(self) -> Belief:
        """Return mean and spread of the logarithm of ends as shares of their guess."""
        count, variance = self._seen.count, max(self._seen.variance, _LEAST_SPREAD**2)
        return self._seen.mean, math.sqrt(variance * (count + 1) / max(count - 1, 1.0))  # few tell little of it

    def learn(self, ends: Sequence[tuple[float, float]]) -> None:
        """Take note of one end: between which shares, above 0, of each guess that there was of it."""
        mean, spread = self.believed()
        found = [_expected(math.log(after), math.log(by), mean, spread) for after, by in ends]
        middle = sum(middle for middle, _ in found) / len(found)
        self._news += 1
        self._seen.add(middle, sum(middle * middle + variance for middle, variance in found) / len(found))
        if self._news > self._seen.count / 16:
            self._news, self._plans = 0.0, {}
