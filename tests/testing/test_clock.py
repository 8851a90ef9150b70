"""The virtual clock: time that jumps, and what it waits for."""

import asyncio
import threading
import time

import pytest

from foxvideo.testing import clock as virtual_clock


def test_an_hour_of_sleep_takes_no_time() -> None:
    """The clock of the loop shows the hour, the one on the wall does not."""

    async def main() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    began = time.monotonic()

    assert virtual_clock.run(main()) == 3600
    assert time.monotonic() - began < 5


def test_timers_fire_in_the_order_of_their_times() -> None:
    """However far apart they are."""
    order: list[float] = []

    async def sleeper(seconds: float) -> None:
        await asyncio.sleep(seconds)
        order.append(seconds)

    async def main() -> None:
        await asyncio.gather(*map(sleeper, (86400 * 3, 0.001, 20, 0.4)))

    virtual_clock.run(main())

    assert order == [0.001, 0.4, 20, 86400 * 3]


def test_the_time_stands_still_while_there_is_work() -> None:
    """A loop that is never idle stays in its first moment."""

    async def main() -> float:
        for _ in range(100):
            await asyncio.sleep(0)
        return asyncio.get_running_loop().time()

    assert virtual_clock.run(main()) == 0


def test_the_time_stands_still_while_a_thread_works() -> None:
    """No timeout overtakes a file that is being read."""

    async def main() -> float:
        await asyncio.wait_for(asyncio.to_thread(time.sleep, 0.02), timeout=0.001)
        return asyncio.get_running_loop().time()

    assert virtual_clock.run(main()) == 0


def test_bytes_that_are_late_arrive_before_a_long_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    """A jump that could be a timeout gives the other side a moment."""
    monkeypatch.setattr(virtual_clock, "_MOMENT", 5.0)

    async def main() -> float:
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()
        threading.Timer(0.02, loop.call_soon_threadsafe, [arrived.set]).start()
        await asyncio.wait_for(arrived.wait(), timeout=60)
        return loop.time()

    assert virtual_clock.run(main()) == 0


def test_a_loop_without_timers_waits_for_what_arrives() -> None:
    """There is no time to jump to."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()
        threading.Timer(0.02, loop.call_soon_threadsafe, [arrived.set]).start()
        await arrived.wait()
        return loop.time()

    assert virtual_clock.run(main()) == 0


def test_a_loop_that_would_wait_for_ever_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that hangs is worse than a test that fails."""
    monkeypatch.setattr(virtual_clock, "_STUCK", 0.01)

    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="wait for ever"):
        virtual_clock.run(main())


def test_an_error_of_the_coroutine_comes_out() -> None:
    """As from asyncio.run."""

    async def main() -> None:
        await asyncio.sleep(1)
        raise LookupError

    with pytest.raises(LookupError):
        virtual_clock.run(main())


async def test_tests_run_on_the_virtual_clock() -> None:
    """The fixture of this suite chooses the loop."""
    assert isinstance(asyncio.get_running_loop(), virtual_clock.VirtualClockLoop)
