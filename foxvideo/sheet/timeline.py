"""When each row waited, ran and was saved, as bars.

What belongs here: places on an axis. What must not: SVG (``sheet.html``).
"""

import bisect
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import attrs

from foxvideo.batch.results import Outcome

WIDTH = 1000.0
_LEAST = 1.5  # a bar that is shorter would not be seen
_TICKS = 4
_LONGEST = 3600.0  # seconds without any news: nobody was at work, as between a crash and the next run
_PAUSE = 0.03  # what is drawn of such a stretch, as a share of the rest


@attrs.frozen
class Bar:
    """One stretch of one row.

    Attributes:
        kind: ``waiting``, ``running`` or ``saving``.
        start: Where it begins, of ``WIDTH``.
        width: How long it is.
        seconds: The same in seconds.
    """

    kind: str
    start: float
    width: float
    seconds: float


@attrs.frozen
class Lane:
    """The bars of one row."""

    outcome: Outcome
    bars: Sequence[Bar]


@attrs.frozen
class Pause:
    """A stretch in which nothing happened, drawn shorter than it was.

    Attributes:
        place: Where its middle is.
        seconds: How long it was.
    """

    place: float
    seconds: float


@attrs.frozen
class Timeline:
    """All rows whose times are known, in the order in which they were taken up.

    Attributes:
        lanes: One for each row.
        pauses: What was shortened.
        ticks: Seconds since the beginning, at places evenly spread over the width.
        seconds: The whole width.
    """

    lanes: Sequence[Lane]
    pauses: Sequence[Pause]
    ticks: Sequence[float]
    seconds: float


@attrs.frozen
class _Axis:
    """Moments and their places, both rising."""

    moments: Sequence[float]
    places: Sequence[float]

    @classmethod
    def of(cls, moments: Sequence[float]) -> "_Axis":
        steps = [later - earlier for earlier, later in pairwise(moments)]
        pause = max(_PAUSE * sum(step for step in steps if step <= _LONGEST), 1.0)
        drawn = list(accumulate((step if step <= _LONGEST else pause for step in steps), initial=0.0))
        return cls(moments, [place * WIDTH / drawn[-1] for place in drawn])

    def place(self, moment: float) -> float:
        """Return where one of the moments is."""
        return self.places[bisect.bisect_left(self.moments, moment)]

    def seconds(self, place: float) -> float:
        """Return the seconds since the beginning at some place."""
        after = min(max(bisect.bisect_left(self.places, place), 1), len(self.places) - 1)
        (left, right), (start, end) = self.places[after - 1 : after + 1], self.moments[after - 1 : after + 1]
        return start + (end - start) * (place - left) / (right - left) - self.moments[0]

    def pauses(self) -> Iterator[Pause]:
        """Yield the stretches that are drawn shorter."""
        for (start, end), (left, right) in zip(pairwise(self.moments), pairwise(self.places), strict=True):
            if end - start > _LONGEST:
                yield Pause((left + right) / 2, end - start)


def timeline(outcomes: Sequence[Outcome]) -> Timeline | None:
    """Return the bars of some outcomes; None where no times are known."""
    timed = sorted((outcome for outcome in outcomes if outcome.planned is not None), key=lambda it: it.planned or 0.0)
    moments = sorted({moment for outcome in timed for moment in _moments(outcome) if moment is not None})
    if len(moments) < 2:  # noqa: PLR2004 - a stretch has two ends
        return None
    axis = _Axis.of(moments)
    return Timeline(
        lanes=[Lane(outcome, tuple(_bars(outcome, axis))) for outcome in timed],
        pauses=list(axis.pauses()),
        ticks=[axis.seconds(WIDTH * tick / _TICKS) for tick in range(_TICKS + 1)],
        seconds=moments[-1] - moments[0],
    )


def _moments(outcome: Outcome) -> tuple[float | None, ...]:
    return outcome.planned, outcome.accepted, outcome.ended, outcome.saved


def _bars(outcome: Outcome, axis: _Axis) -> Iterator[Bar]:
    for kind, (start, end) in zip(("waiting", "running", "saving"), pairwise(_moments(outcome)), strict=True):
        if start is None or end is None or end < start:
            continue
        left, right = axis.place(start), axis.place(end)
        yield Bar(kind, left, max(right - left, _LEAST), end - start)


def clock(seconds: float) -> str:
    """Return seconds as minutes, or hours: 0:07, 12:30, 1:05:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
