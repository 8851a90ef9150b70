"""A service of weeks in one process: what has ended leaves nothing, and busy threads of the program hold up nobody."""

import asyncio
import concurrent.futures
import gc
import os
import time
from collections import Counter
from pathlib import Path

import pytest
from forking import forked

from foxvideo import Client, Every, GrokImageToVideo, GrokTextToVideo, Video
from foxvideo._aio import in_thread
from foxvideo.emulator import Emulator

KEY = "sk-emulator"


def _alive() -> Counter[str]:
    """Count the objects of foxvideo by their types, those of the emulator left out."""
    gc.collect()
    types = (type(value) for value in gc.get_objects())
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in types)
    names = (name for name in names if name != "foxvideo.events.Event")  # those of the log, which pytest keeps
    return Counter(name for name in names if name.startswith("foxvideo.") and ".emulator." not in name)


@pytest.mark.parametrize("fail", [0.0, 1.0], ids=["completed", "failed"])
@pytest.mark.parametrize("keys", [True, False], ids=["journal", "no journal"])
async def test_nothing_is_left_of_a_task_that_nobody_holds(keys: bool, fail: float, tmp_path: Path) -> None:
    """However many there were, and whatever became of them."""
    journal = tmp_path / "videos.db" if keys else None
    async with Emulator(render=False, fail=fail) as fox, Client(KEY, fox.base_url, journal=journal) as client:

        async def ended(number: int) -> None:
            key = f"shot-{number}" if keys else None
            shot = GrokTextToVideo(prompt=f"A kite {number}")
            await asyncio.gather(client.generate(shot, key=key), return_exceptions=True)

        async def some(first: int, last: int) -> Counter[str]:
            await asyncio.gather(*(ended(number) for number in range(first, last)))
            await asyncio.sleep(60)  # timers run out
            return _alive()

        before = await some(0, 60)
        after = await some(60, 260)

    assert fox.ledger.charged == 260
    assert {name: (before[name], count) for name, count in after.items() if count > before[name] + 20} == {}


@pytest.mark.real_clock
def test_a_program_may_fill_its_threads_with_work_that_waits_for_videos(tmp_path: Path) -> None:
    """They would wait for a picture to be read in one of themselves."""
    picture = tmp_path / "cat.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))

    async def main() -> list[Video]:
        loop = asyncio.get_running_loop()
        threads = concurrent.futures.ThreadPoolExecutor(2)
        loop.set_default_executor(threads)
        async with (
            Emulator(render=False, seconds=(0.1, 0.2)) as fox,
            Client(KEY, fox.base_url, journal=tmp_path / "videos.db", schedule=Every(0.1)) as client,
        ):

            def blocking(number: int) -> Video:
                shot = GrokImageToVideo(prompt="A cat", image_url=picture)
                made = client.generate(shot, key=f"cat-{number}", save_to=tmp_path / f"{number}.mp4")
                return asyncio.run_coroutine_threadsafe(made, loop).result(30)

            return list(await asyncio.gather(*(asyncio.to_thread(blocking, number) for number in range(2))))

    videos = asyncio.run(main())
    assert [video.file is not None for video in videos] == [True, True]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.real_clock
def test_a_forked_process_has_threads_of_its_own() -> None:
    """Those of its parent are not there."""
    assert asyncio.run(in_thread(time.time)) > 0
    assert isinstance(forked(lambda: asyncio.run(in_thread(time.time))), float)
