"""Who may send now: the bounded semaphore, the two queues, and the timer of what comes due.

Submissions and due polls wait as entries, not as coroutines: a hundred thousand pending tasks are a hundred thousand
entries of an agenda and one timer. One loop takes a place of the semaphore *first* and then picks: were the picking
first, a poll would wait behind every submit that stands in line for the semaphore. While both wait, several polls leave
for each submission. Most tasks take fewer, so where a process has all that it can do, ends are seen in time, and what
is not begun yet begins a little later.

What belongs here: order, bounds and pace. What must not: what is sent, and what an answer means (``engine.py``).
"""

import asyncio
import contextvars
import enum
from collections import deque
from collections.abc import Callable
from typing import Generic

import attrs

from foxvideo._aio import loop_time
from foxvideo._engine.pace import Pace
from foxvideo._engine.timers import Agenda, W


class Kind(enum.IntEnum):
    """What an entry waits for."""

    SUBMIT = 0
    POLL = 1
    DEADLINE = 2


# Seconds between two looks at the agenda. Requests that leave together cost less than half of what each costs alone,
# when it finds all caches cold; and an eighth of a second is nothing to a video that takes a minute.
_REST = 1 / 8
_POLLS_FIRST = 8  # polls that leave before a submission that waits, too


@attrs.define(eq=False)
class Dispatcher(Generic[W]):
    """Starts requests, never more than the bound at once.

    Attributes:
        max_requests: Most requests in flight.
        max_active: Most tasks that are submitted and have not ended; None for no limit.
    """

    max_requests: int
    max_active: int | None
    active: int = attrs.field(default=0, init=False)
    in_flight: set[asyncio.Task[None]] = attrs.field(factory=set, init=False, repr=False)
    _queues: tuple[deque[W], deque[W]] = attrs.field(factory=lambda: (deque(), deque()), init=False, repr=False)
    _paces: list[Pace] = attrs.field(factory=lambda: [Pace(), Pace()], init=False)
    _agenda: Agenda[Kind, W] = attrs.field(factory=Agenda, init=False, repr=False)
    _slots: asyncio.BoundedSemaphore = attrs.field(init=False, repr=False)
    _wake: asyncio.Event = attrs.field(factory=asyncio.Event, init=False, repr=False)
    _rested: float = attrs.field(default=0.0, init=False)
    _timer: asyncio.TimerHandle | None = attrs.field(default=None, init=False, repr=False)
    _alarms: list[asyncio.TimerHandle | None] = attrs.field(factory=lambda: [None, None], init=False, repr=False)
    _loop_task: asyncio.Task[None] | None = attrs.field(default=None, init=False, repr=False)
    _polls: int = attrs.field(default=0, init=False)  # that have left since the last submission
    _stopped: bool = attrs.field(default=False, init=False)
    _loop: asyncio.AbstractEventLoop | None = attrs.field(default=None, init=False, repr=False)
    _run: Callable[[Kind, W], asyncio.Task[None]] = attrs.field(init=False, repr=False)
    _expire: Callable[[W], None] = attrs.field(init=False, repr=False)
    _broke: Callable[[BaseException], None] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._slots = asyncio.BoundedSemaphore(self.max_requests)

    # --- What is to be done ---

    def queue(self, kind: Kind, work: W, *, first: bool = False) -> None:
        """Let an entry wait for its turn; ``first`` puts it at the head."""
        queue = self._queues[kind]
        (queue.appendleft if first else queue.append)(work)
        self._wake.set()

    def at(self, when: float, kind: Kind, work: W) -> None:
        """Let an entry come due at a time of the loop's clock; never, once this has stopped."""
        if self._stopped:
            return
        self._agenda.add(when, kind, work)
        if self._timer is None or when < self._timer.when():
            self._arm()

    def ended(self) -> None:
        """Take note that a task has ended, so that some entries may be stale."""
        self._agenda.ended()

    def release(self) -> None:
        """Take note that a submission that was started counts no more against ``max_active``."""
        self.active -= 1
        self._wake.set()

    def limited(self, kind: Kind, started: float, wait: float) -> float | None:
        """Slow down all requests of a kind after a 429 to one that left at ``started``.

        Returns:
            Seconds between two requests from now on; None where that is no slower than before.
        """
        before, now = self._paces[kind], loop_time()
        self._paces[kind] = after = before.limited(started, now, wait)
        return None if after.gap == before.gap else after.gap

    def hold(self, kind: Kind, wait: float) -> None:
        """Let no request of a kind leave for some seconds, and few at once then."""
        self._paces[kind] = self._paces[kind].held(loop_time(), wait)

    def passed(self, kind: Kind, started: float) -> None:
        """Take note that the service let a request of a kind through that left at ``started``."""
        if self._paces[kind].gap:
            self._paces[kind] = self._paces[kind].passed(started)

    # --- The loop ---

    @property
    def here(self) -> bool:
        """Whether it sends, on the running loop."""
        return self._loop is asyncio.get_running_loop() and not self._stopped

    def start(
        self,
        run: Callable[[Kind, W], asyncio.Task[None]],
        expire: Callable[[W], None],
        broke: Callable[[BaseException], None],
    ) -> None:
        """Begin to send; in an empty context, since it serves every caller.

        Args:
            run: Starts the request of an entry in a task of its own, which holds a place until it is done.
            expire: Called when a deadline has passed; needs no place.
            broke: Called if the dispatcher itself broke, so that nothing would be sent any more.
        """
        self._run, self._expire, self._broke = run, expire, broke
        self._loop = asyncio.get_running_loop()
        self._loop_task = self._loop.create_task(
            self._dispatch(), name="foxvideo dispatcher", context=contextvars.Context()
        )
        self._loop_task.add_done_callback(self._ended)

    def _ended(self, dispatching: asyncio.Task[None]) -> None:
        if not dispatching.cancelled() and (error := dispatching.exception()) is not None:
            self._broke(error)

    async def stop(self) -> None:
        """Stop sending, for good; requests in flight go on. May be called twice."""
        self._stopped = True
        for timer in (self._timer, *self._alarms):
            if timer is not None:
                timer.cancel()
        if self._loop_task is not None:
            self._loop_task.cancel()
            await asyncio.wait({self._loop_task})

    async def _dispatch(self) -> None:
        while True:
            await self._slots.acquire()
            try:
                while (entry := self._pick()) is None:
                    self._wake.clear()
                    await self._wake.wait()
                self._start(*entry)
                del entry  # else it would outlive its end
            except BaseException:
                self._slots.release()
                raise

    def _start(self, kind: Kind, work: W) -> None:
        if self._paces[kind].gap:
            self._paces[kind] = self._paces[kind].started(loop_time())
        if kind is Kind.SUBMIT:
            self.active += 1
        request = self._run(kind, work)
        self.in_flight.add(request)
        request.add_done_callback(self._returned)

    def _returned(self, request: asyncio.Task[None]) -> None:
        self.in_flight.discard(request)
        self._slots.release()

    def _pick(self) -> tuple[Kind, W] | None:
        """Take the next entry that may leave now."""
        for kind in (Kind.POLL, Kind.SUBMIT) if self._polls < _POLLS_FIRST else (Kind.SUBMIT, Kind.POLL):
            queue = self._queues[kind]
            while queue and queue[0].done():
                queue.popleft()
            if not queue or (kind is Kind.SUBMIT and self._full()):
                continue
            if self._must_wait(kind):
                continue
            self._polls = self._polls + 1 if kind is Kind.POLL else 0
            return kind, queue.popleft()
        return None

    def _must_wait(self, kind: Kind) -> bool:
        """Whether the pace lets no request of a kind leave now; if so, wake up when it does."""
        not_before = self._paces[kind].not_before
        if not_before and not_before > loop_time():
            self._wake_at(kind, not_before)
            return True
        return False

    def _full(self) -> bool:
        return self.max_active is not None and self.active >= self.max_active

    def _wake_at(self, kind: Kind, when: float) -> None:
        # Always set anew: a loop may call a moment too early, and then this is the only one who calls again.
        if (timer := self._alarms[kind]) is not None:
            timer.cancel()
        self._alarms[kind] = asyncio.get_running_loop().call_at(when, self._wake.set)

    # --- The clock ---

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (soonest := self._agenda.soonest()) is not None:
            self._timer = asyncio.get_running_loop().call_at(max(soonest, self._rested), self._tick)

    def _tick(self) -> None:
        """Move what is due into the queues, and end what is past its deadline, slot or no slot."""
        now = loop_time()
        self._rested = now + _REST
        try:
            for kind, work in self._agenda.due(now):
                if kind is Kind.DEADLINE:
                    self._expire(work)
                else:
                    self._queues[kind].append(work)
        finally:  # whatever one deadline does, the others come due
            self._wake.set()
            self._arm()
