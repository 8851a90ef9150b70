"""How far ends lie from a guess of them, learned from those that ended.

What belongs here: the spread around a guess, as a plan of asking. What must not: where the guess comes from
(``learned.py``).
"""

import math
from itertools import accumulate, pairwise
from statistics import NormalDist

import attrs

from foxvideo.hazard import Plan

_NORMAL = NormalDist()
_STEP = 1 / 8
_GRID = [step * _STEP for step in range(-32, 25)]  # spreads from the middle; three above it, the guess was wrong
_ENOUGH = 5  # ends before a guess is trusted
_MOST = 200.0  # ends that count in full; then all that were count for half
_LEAST_SPREAD = 0.005


def _standard() -> tuple[list[float], list[float]]:
    """Return ``sqrt(hazard)`` of the normal at each point of the grid, and the costs that are ahead there."""
    lasting = [_NORMAL.cdf(-z) for z in _GRID]
    roots = [math.sqrt(_NORMAL.pdf(z) / some) for z, some in zip(_GRID, lasting, strict=True)]
    parts = [root * some * _STEP for root, some in zip(roots, lasting, strict=True)]
    ahead = [*accumulate(reversed(parts))][::-1]
    return roots, [(more / some) ** 2 for more, some in zip(ahead, lasting, strict=True)]


_ROOTS, _COSTS = _standard()


@attrs.define
class Foretold:
    """Ends as shares of their guess: a lognormal, as soon as there were some."""

    _count: float = attrs.field(default=0.0, init=False)
    _sum: float = attrs.field(default=0.0, init=False)
    _squares: float = attrs.field(default=0.0, init=False)
    _news: float = attrs.field(default=0.0, init=False)
    _plan: Plan | None = attrs.field(default=None, init=False)

    @property
    def plan(self) -> Plan | None:
        """How often to ask, by moments as shares of the guess; None while too little is known.

        It ends where the guess has turned out wrong.
        """
        if self._count >= _ENOUGH and self._news > self._count / 16:
            self._plan, self._news = self._renewed(), 0.0
        return self._plan

    def learn(self, share: float) -> None:
        """Take note of an end at a share of what was guessed, above 0."""
        log = math.log(share)
        self._count += 1
        self._news += 1
        self._sum += log
        self._squares += log * log
        if self._count > _MOST:
            self._count, self._sum, self._squares = self._count / 2, self._sum / 2, self._squares / 2

    def _renewed(self) -> Plan:
        count, mean = self._count, self._sum / self._count
        variance = max(self._squares / count - mean * mean, 0.0)
        # Few ends tell little of their spread, and of their middle: the next one is spread wider (Student).
        spread = max(math.sqrt(variance * (count + 1) / (count - 3)), _LEAST_SPREAD)
        knots = [math.exp(mean + spread * z) for z in _GRID]
        slopes = [root / math.sqrt(spread * knot) for root, knot in zip(_ROOTS, knots, strict=True)]
        widths = (right - left for left, right in pairwise(knots))
        rates = accumulate((slope * width for slope, width in zip(slopes, widths, strict=False)), initial=0.0)
        costs = [spread * math.exp(mean) * cost for cost in _COSTS]
        return Plan([0.0, *knots], [0.0, *rates], [costs[0], *costs], [0.0, *slopes])
