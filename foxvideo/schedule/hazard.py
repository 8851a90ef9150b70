"""When things end, learned from those that ended: hazards, and how often to ask by them.

What belongs here: the mathematics of ends, over plain numbers. What must not: models, tasks and texts
(``adaptive.py``).

The price of one poll is set against time of lateness. Then the cheapest rate of asking is
``sqrt(price * hazard / 2)``, and the next poll is due when the integral of that rate since the last has reached one
(J. B. Keller, Optimum checking schedules for systems subject to random failure, 1974, after Barlow, Hunter and
Proschan, 1963). A ``Plan`` holds the integral of ``sqrt(hazard)``; the price is a factor.

``Ends`` makes a plan by ages alone: deaths over exposure, in bins. Progress may allow a better one (``progress.py``).
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise

import attrs


@attrs.frozen
class Plan:
    """How often to ask, moment by moment, between knots.

    Attributes:
        knots: Moments, ascending from 0.
        rates: The integral of ``sqrt(hazard)`` up to each knot, ascending.
        costs: What is ahead of one who has lasted up to each knot: the square of the integral of
            ``sqrt(density * survival)`` from there on, both given that it has lasted so far. That is twice the mean
            number of polls to come, times the mean lateness.
        slopes: The ``sqrt(hazard)`` after each knot.
    """

    knots: Sequence[float]
    rates: Sequence[float]
    costs: Sequence[float]
    slopes: Sequence[float]

    def at(self, now: float) -> tuple[float, float]:
        """Return the integral of ``sqrt(hazard)`` up to a moment, and what is ahead then, as ``costs`` has it."""
        at = bisect_right(self.knots, now) - 1
        return self.rates[at] + (now - self.knots[at]) * self.slopes[at], self.costs[at]

    def due(self, spent: float) -> float:
        """Return the moment at which that integral has grown to ``spent``."""
        at = bisect_right(self.rates, spent) - 1
        return self.knots[at] + (spent - self.rates[at]) / self.slopes[at]


# Bins of equal ratio, since what matters of an end is by how many per cent it misses. Moments are shares of a guess:
# from 1/64 to 128 times as much.
_PER_OCTAVE = 6
_LOWS = (0.0, *(2.0 ** (step / _PER_OCTAVE) for step in range(-6 * _PER_OCTAVE, 7 * _PER_OCTAVE + 1)))
_WIDTHS = (*(high - low for low, high in pairwise(_LOWS)), _LOWS[-1])  # the last has no end, any width will do
_LOGS = tuple(map(math.log, _LOWS[1:]))
_MIDDLES = (_LOGS[0], *(log + math.log(2) / _PER_OCTAVE / 2 for log in _LOGS))

_GUESSED_SIGMA = 0.7
_GUESSED_WEIGHT = 2.0  # ends that lie around the guess, before there was any
_FITTED_WEIGHT = 4.0  # ends that lie as a lognormal like all there were has them: smooths where there are few
_LEAST_SIGMA = 0.05
_MOST = 2000.0  # ends that count in full; then all that were count for half
_TINY = 1e-9


def _bin(moment: float) -> int:
    return bisect_right(_LOWS, moment) - 1


def _lognormal(mean: float, sigma: float, weight: float) -> tuple[list[float], list[float]]:
    """Return the deaths and the exposure, in each bin, of ends that lie as a lognormal has them."""
    lasting = [1.0, *(math.erfc((log - mean) / sigma / math.sqrt(2)) / 2 for log in _LOGS), 0.0]
    deaths = [weight * (left - right) + _TINY for left, right in pairwise(lasting)]
    exposure = [
        (weight * (left + right) / 2 + _TINY) * width
        for width, (left, right) in zip(_WIDTHS, pairwise(lasting), strict=True)
    ]
    return deaths, exposure


_GUESSED = _lognormal(0.0, _GUESSED_SIGMA, _GUESSED_WEIGHT)


def _hazards(*told: tuple[Sequence[float], Sequence[float]]) -> list[float]:
    """Return the hazard in each bin: all deaths over all exposure."""
    deaths, exposures = zip(*told, strict=True)
    died = map(sum, zip(*deaths, strict=True))
    return [some / lived for some, lived in zip(died, map(sum, zip(*exposures, strict=True)), strict=True)]


def _survival(hazards: Sequence[float]) -> list[float]:
    """Return the chance to last up to each bin, and 0 for the end of the last."""
    lost = accumulate(hazard * width for hazard, width in zip(hazards[:-1], _WIDTHS, strict=False))
    return [1.0, *(math.exp(-hazard) for hazard in lost), 0.0]


def _fit(hazards: Sequence[float]) -> tuple[float, float]:
    """Return mean and spread of the logarithm of the moment at which things of these hazards end."""
    shares = [left - right for left, right in pairwise(_survival(hazards))]
    mean = sum(share * log for share, log in zip(shares, _MIDDLES, strict=True))
    squares = sum(share * (log - mean) ** 2 for share, log in zip(shares, _MIDDLES, strict=True))
    return mean, max(math.sqrt(squares), _LEAST_SIGMA)


def _plan(hazards: Sequence[float]) -> Plan:
    roots = [math.sqrt(hazard) for hazard in hazards]
    rates = [0.0, *accumulate(root * width for root, width in zip(roots[:-1], _WIDTHS, strict=False))]
    alive = _survival(hazards)
    # The integral of sqrt(hazard) * survival over a bin is what dies in it, over sqrt(hazard).
    parts = [(left - right) / root for (left, right), root in zip(pairwise(alive), roots, strict=True)]
    ahead = [*accumulate(reversed(parts))][::-1]
    costs = [(more / max(lasting, _TINY)) ** 2 for more, lasting in zip(ahead, alive, strict=False)]
    return Plan(_LOWS, rates, costs, roots)


@attrs.define
class _Exits:
    """How many things left the risk in each bin, and the sum of the moments at which they did."""

    counts: list[float] = attrs.field(factory=lambda: [0.0] * len(_LOWS))
    moments: list[float] = attrs.field(factory=lambda: [0.0] * len(_LOWS))

    def add(self, moment: float, weight: float = 1.0) -> None:
        at = _bin(moment)
        self.counts[at] += weight
        self.moments[at] += weight * moment

    def exposure(self) -> list[float]:
        """Return the time that was spent at risk in each bin."""
        beyond = [0.0, *accumulate(reversed(self.counts))][-2::-1]
        return [
            more * width + moments - count * low
            for more, width, moments, count, low in zip(beyond, _WIDTHS, self.moments, self.counts, _LOWS, strict=True)
        ]


@attrs.define
class Ends:
    """The ends of things of one kind, by their age as a share of a guess.

    Things that have not ended count, too: else a wave of equal things would look quick when its first have ended.

    Attributes:
        known: How many ends there were, those that have faded left out.
    """

    known: float = attrs.field(default=0.0, init=False)
    _deaths: list[float] = attrs.field(factory=lambda: [0.0] * len(_LOWS), init=False)
    _ended: _Exits = attrs.field(factory=_Exits, init=False)
    _lasting: _Exits = attrs.field(factory=_Exits, init=False)
    _seen: float = attrs.field(default=0.0, init=False)
    _news: float = attrs.field(default=0.0, init=False)
    _hazards: list[float] = attrs.field(init=False)
    _plan: Plan = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._renew()

    @property
    def plan(self) -> Plan:
        """How often to ask."""
        self._heed()
        return self._plan

    def begin(self) -> None:
        """Take note of a thing that begins."""
        self._lasting.add(0.0)
        self._seen += 1

    def last(self, before: float, now: float) -> None:
        """Take note that a thing which had lasted until ``before`` has lasted until now."""
        self._lasting.add(before, -1.0)
        self._lasting.add(now)
        self._news += 0.25

    def end(self, after: float, by: float) -> None:
        """Take note that a thing that was begun, and had lasted until ``after``, has ended by now."""
        self._lasting.add(after, -1.0)
        self._seen -= 1
        self.learn(after, by)

    def learn(self, after: float, by: float) -> None:
        """Take note of an end between two moments, spread over them as the present belief has it."""
        self._heed()
        for moment, weight in self._spread(after, by):
            self._ended.add(moment, weight)
            self._deaths[_bin(moment)] += weight
        self.known += 1
        self._seen += 1
        self._news += 1
        if self.known > _MOST:
            self._forget()

    def _spread(self, after: float, by: float) -> list[tuple[float, float]]:
        first, last = _bin(after), _bin(by)
        knots = [after, *_LOWS[first + 1 : last + 1], by]
        parts = zip(pairwise(knots), self._hazards[first : last + 1], strict=True)
        lost = accumulate((hazard * (right - left) for (left, right), hazard in parts), initial=0.0)
        lasting = [math.exp(-hazard) for hazard in lost]
        middles = [(left + right) / 2 for left, right in pairwise(knots)]
        if (ended := 1 - lasting[-1]) < _TINY:
            return [(middles[-1], 1.0)]
        shares = [(left - right) / ended for left, right in pairwise(lasting)]
        return [*zip(middles, shares, strict=True)]

    def _forget(self) -> None:
        self.known /= 2
        for figures in (self._deaths, self._ended.counts, self._ended.moments):
            figures[:] = [figure / 2 for figure in figures]

    def _heed(self) -> None:
        """Believe the news, once there are enough to matter."""
        if self._news > 1 + self._seen / 16:
            self._renew()

    def _renew(self) -> None:
        self._news = 0.0
        ended, lasting = (self._deaths, self._ended.exposure()), ([0.0] * len(_LOWS), self._lasting.exposure())
        fitted = _lognormal(*_fit(_hazards(ended, lasting, _GUESSED)), _FITTED_WEIGHT)
        self._hazards = _hazards(ended, lasting, fitted)
        self._plan = _plan(self._hazards)
