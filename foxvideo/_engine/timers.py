"""What comes due when: entries in the order of their times, as small as they can be.

What belongs here: the order of times. What must not: clocks and timers (``dispatcher.py``).

Most entries are far off, and most of those are never needed: a task ends long before its deadline. So what is not due
in the present second is put on the page of its second, as a float in an array and a pointer in a list; a page is sorted
when its second has come. A heap of tuples takes seven times the memory and moves every entry several times.
"""

import heapq
import itertools
from array import array
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

import attrs


class Work(Protocol):
    """What an agenda has to know of an entry."""

    def done(self) -> bool:
        """Whether it has ended, so that its entries are stale."""
        ...


K = TypeVar("K", bound=int)
W = TypeVar("W", bound=Work)

_NEVER = 1_000_000_000_000  # seconds; a time may be infinite
_FEW = 64  # stale entries that are not worth a clean-up
_Page = tuple["array[float]", list[W]]


@attrs.define(eq=False)
class Agenda(Generic[K, W]):
    """Entries of several kinds, each with the time at which it comes due; of equal times the first comes first."""

    _near: list[tuple[float, int, K, W]] = attrs.field(factory=list, init=False)
    _pages: dict[tuple[int, K], _Page[W]] = attrs.field(factory=dict, init=False)
    _marks: list[tuple[int, K]] = attrs.field(factory=list, init=False)  # a heap of the pages' keys
    _opened: int = attrs.field(default=-1, init=False)
    _order: "itertools.count[int]" = attrs.field(factory=itertools.count, init=False)
    _size: int = attrs.field(default=0, init=False)
    _stale: int = attrs.field(default=0, init=False)

    def __len__(self) -> int:
        return self._size

    def add(self, when: float, kind: K, work: W) -> None:
        """Put an entry in."""
        self._size += 1
        if (second := int(when) if when < _NEVER else _NEVER) <= self._opened:
            heapq.heappush(self._near, (when, next(self._order), kind, work))
            return
        if (page := self._pages.get((second, kind))) is None:
            page = self._pages[second, kind] = array("d"), []
            heapq.heappush(self._marks, (second, kind))
        page[0].append(when)
        page[1].append(work)

    def soonest(self) -> float | None:
        """Return when to look again: no entry is due before; None where there is none."""
        times = [heap[0][0] for heap in (self._near, self._marks) if heap]
        return min(times, default=None)

    def due(self, now: float) -> Iterator[tuple[K, W]]:
        """Take out what is due and has not ended, with its kind; more may be put in meanwhile."""
        while self._marks and self._marks[0][0] <= now:
            self._open(heapq.heappop(self._marks))
        self._opened = max(self._opened, int(min(now, _NEVER)))
        while self._near and self._near[0][0] <= now:
            _, _, kind, work = heapq.heappop(self._near)
            self._size -= 1
            if not work.done():
                yield kind, work

    def _open(self, mark: tuple[int, K]) -> None:
        page = zip(*self._pages.pop(mark), strict=True)
        self._near.extend((when, next(self._order), mark[1], work) for when, work in page)
        heapq.heapify(self._near)

    def ended(self) -> None:
        """Take note that one more has ended, whose entries are stale; cleans up once those are the most."""
        self._stale += 1
        if self._stale > _FEW and 2 * self._stale > self._size:
            self._sweep()

    def _sweep(self) -> None:
        self._near = [entry for entry in self._near if not entry[3].done()]
        heapq.heapify(self._near)
        for mark, (whens, works) in list(self._pages.items()):
            left = [(when, work) for when, work in zip(whens, works, strict=True) if not work.done()]
            if left:
                self._pages[mark] = array("d", [when for when, _ in left]), [work for _, work in left]
            else:
                del self._pages[mark]
        self._marks = list(self._pages)
        heapq.heapify(self._marks)
        self._size = len(self._near) + sum(len(works) for _, works in self._pages.values())
        self._stale = 0
