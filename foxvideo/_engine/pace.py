"""How fast requests of one kind may leave: half as fast after each 429, a fifth faster after each success."""

import attrs

_FIRST_GAP = 0.1
_MOST_GAP = 10.0
_LEAST_GAP = 0.01
_EASING = 0.8


@attrs.frozen
class Pace:
    """How fast requests of one kind may leave, after the service said *too fast*.

    Attributes:
        not_before: No request leaves earlier, in the seconds of the caller's clock.
        gap: Seconds between two requests; 0 for no limit of ours.
        limited_at: When the gap last grew: answers to requests that left earlier do not let it grow again.
    """

    not_before: float = 0.0
    gap: float = 0.0
    limited_at: float = float("-inf")

    def limited(self, started: float, now: float, wait: float) -> "Pace":
        """Return the pace after a 429 to a request that left at ``started``: wait, then go at half the speed."""
        not_before = max(self.not_before, now + wait)
        if started < self.limited_at:
            return attrs.evolve(self, not_before=not_before)
        return Pace(not_before, min(max(2 * self.gap, _FIRST_GAP), _MOST_GAP), now)

    def passed(self, started: float) -> "Pace":
        """Return the pace after a request that left at ``started`` and was let through: a degree faster.

        One that left before the last 429 says nothing about the pace since.
        """
        if started < self.limited_at:
            return self
        gap = self.gap * _EASING
        return attrs.evolve(self, gap=gap if gap >= _LEAST_GAP else 0.0)

    def held(self, now: float, wait: float) -> "Pace":
        """Return the pace after a request was held back: wait, then let few ask at once until one is let through."""
        return Pace(max(self.not_before, now + wait), max(self.gap, min(wait, _FIRST_GAP)), now)

    def started(self, now: float) -> "Pace":
        """Return the pace after a request left."""
        return attrs.evolve(self, not_before=max(self.not_before, now + self.gap)) if self.gap else self
