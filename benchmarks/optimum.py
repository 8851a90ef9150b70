"""The best that any schedule can do that knows the distribution of durations.

Either it knows nothing of a single task, or it sees all of it at its first query.

What belongs here: dynamic programming. What must not: schedules.
"""

import math
from functools import lru_cache
from itertools import accumulate, pairwise

import attrs

from benchmarks.durations import Durations

_STEPS = 3000


@attrs.frozen
class Effort:
    """What following a task took in the mean.

    Attributes:
        polls: Queries for each task.
        late: Seconds from its end to the query that found it.
    """

    polls: float
    late: float


@lru_cache
def best(durations: Durations, price: float) -> Effort:
    """Return the effort of the schedule for which ``polls + price * late`` is least.

    For one who asks at the moments ``t1 < t2 < ...`` that is the sum over neighbours of the chance to last beyond the
    first of them, and the price of the lateness of an end between them. Later moments do not depend on how an earlier
    one was chosen, so the best is found from the last backwards; and the best next moment only grows with the present.
    """
    step = durations.longest() / _STEPS
    ended = [0.0, *(durations.ended(step * number) for number in range(1, _STEPS)), 1.0]
    # The integral of the chance to have ended: lateness of ends between a and b is what it grows by, less what had
    # ended at a times the time.
    area = [0.0]
    for left, right in pairwise(ended):
        area.append(area[-1] + step * (left + right) / 2)
    polls, late, costs = [0.0] * (_STEPS + 1), [0.0] * (_STEPS + 1), [0.0] * (_STEPS + 1)
    furthest = _STEPS
    for now in range(_STEPS - 1, -1, -1):
        gone, base = ended[now], area[now]
        options = [
            price * (area[then] - base - gone * step * (then - now)) + costs[then]
            for then in range(now + 1, furthest + 1)
        ]
        costs[now] = min(options)
        furthest = now + 1 + options.index(costs[now])
        costs[now] += 1 - gone
        polls[now] = 1 - gone + polls[furthest]
        late[now] = area[furthest] - base - gone * step * (furthest - now) + late[furthest]
    return Effort(polls[0], late[0])


@lru_cache
def at(durations: Durations, late: float) -> tuple[Effort, float]:
    """Return the least effort with which ends are noticed that late in the mean, in seconds, and its price."""
    low, high = -4.0, 9.0  # logarithms of the price; the more lateness costs, the less of it
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (middle, high) if best(durations, math.exp(middle)).late > late else (low, middle)
    left, right = best(durations, math.exp(low)), best(durations, math.exp(high))
    share = (left.late - late) / (left.late - right.late) if left.late > right.late else 0.0
    polls = left.polls + share * (right.polls - left.polls)
    return Effort(polls, left.late + share * (right.late - left.late)), math.exp(low)


@lru_cache
def seeing(durations: Durations, late: float) -> float:
    """Return what queries a task takes at least, whatever its progress tells, if ends are noticed that late.

    Who asks first at some moment finds those that have ended by then. All others take one query more at least, and with
    progress that tells all it comes in time. The bound is the dual of that choice: no price of lateness has a smaller
    cost than the least, so each price gives a bound, and the best is returned.
    """
    step = durations.longest() / _STEPS
    ended = [0.0, *(durations.ended(step * number) for number in range(1, _STEPS))]
    lates = accumulate((step * (left + right) / 2 for left, right in pairwise(ended)), initial=0.0)
    firsts = [*zip(ended, lates, strict=True)]
    prices = (math.exp(number / 10) for number in range(-50, 31))
    return max(min(2 - gone + price * (area - late) for gone, area in firsts) for price in prices)
