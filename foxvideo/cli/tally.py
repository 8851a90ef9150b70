"""How a batch stands in numbers.

Out of scope: how it looks (``board.py``).
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import attrs

from foxvideo.batch.results import Ending, Outcome

_REASONS = 50  # kept apart; services put ids into their texts, and there may be a million rows
_ENOUGH = 5  # ends to learn the time from; of fewer rows, a fifth
_OTHER = "other reasons"


@attrs.define
class Tally:
    """What has ended.

    Attributes:
        rows: How many.
        credits_reserved: What their tasks reserved, as far as told.
    """

    rows: int = 0
    credits_reserved: float = 0.0
    _endings: Counter[Ending] = attrs.field(factory=Counter)
    _reasons: Counter[tuple[Ending, str]] = attrs.field(factory=Counter)
    _timed: int = 0
    _seconds: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count a row that has ended."""
        self.rows += 1
        self.credits_reserved += outcome.credits_reserved or 0.0
        self._endings[outcome.status] += 1
        if outcome.seconds is not None:
            self._timed += 1
            self._seconds += outcome.seconds
        place = (outcome.status, outcome.error or "")
        known = place in self._reasons or len(self._reasons) < _REASONS
        self._reasons[place if known else (outcome.status, _OTHER)] += 1

    @property
    def complete(self) -> bool:
        """Whether every row that has ended has what was asked for."""
        return self._endings[Ending.COMPLETED] == self.rows

    def count(self, ending: Ending) -> int:
        """Return how many rows ended so."""
        return self._endings[ending]

    def endings(self) -> list[tuple[Ending, int]]:
        """Return how many rows ended how, the good ones first."""
        return [(ending, self._endings[ending]) for ending in Ending if self._endings[ending]]

    def reasons(self) -> Iterator[tuple[Ending, str, int]]:
        """Yield endings, why, and how often; the good ones first, then the most frequent."""
        order = list(Ending)
        for (ending, reason), count in sorted(self._reasons.items(), key=lambda it: (order.index(it[0][0]), -it[1])):
            yield ending, reason, count

    def seconds_left(self, rows: int, lanes: int, ages: Sequence[float]) -> float | None:
        """Guess the seconds until all rows have ended, from how long tasks took so far.

        Args:
            rows: All of them.
            lanes: How many are under way at once.
            ages: Seconds since each that is under way began.

        Returns:
            None as long as too few tasks have ended: the first are the quickest.
        """
        if self._timed < min(_ENOUGH, max(1, math.ceil(rows / _ENOUGH))):
            return None
        mean = self._seconds / self._timed
        waiting = max(0, rows - self.rows - len(ages))
        # Lanes come free one by one, so the rest is worked off at an even rate; the last one takes its own time.
        under_way = sum(max(mean - age, 0.0) for age in ages)
        last = max((mean - age for age in ages), default=0.0)
        busy = max(1, min(lanes, waiting + len(ages)))
        return max((under_way + waiting * mean) / busy, last, 0.0)

    def as_json(self, rows: int, not_resumed: int, stopped: str) -> dict[str, object]:
        """Return the numbers as ``--json`` prints them.

        Args:
            rows: Of the manifest.
            not_resumed: How many of the rows that have not ended are of an earlier run, and may be paid for.
            stopped: Why the rest was not begun; empty where all was.
        """
        return {
            "rows": rows,
            **{ending.value: count for ending, count in self.endings()},
            "not_resumed": not_resumed,
            "not_begun": rows - self.rows - not_resumed,
            "stopped": stopped or None,
            "credits_reserved": self.credits_reserved,
        }


def clock(seconds: float) -> str:
    """Return seconds as minutes, or hours: 0:07, 12:30, 1:05:00."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
