"""The same key and request is the same task: now, after it ended, after a restart."""

import asyncio
from pathlib import Path

import pytest

from foxvideo import Client, Every, GrokImageToVideo, GrokTextToVideo, KeyConflict, RowStatus, TaskNotFound
from foxvideo.emulator import Emulator

SHOT = GrokTextToVideo(prompt="A fox trots through snow")
LOCAL = GrokImageToVideo(prompt="It goes on", image_url=b"a picture")


def opened(fox: Emulator, folder: Path) -> Client:
    """Return a client that remembers in a folder."""
    return Client(fox.api_key, fox.base_url, schedule=Every(2), journal=folder / "videos.db")


async def test_the_same_key_is_the_same_handle_while_it_runs(fox: Emulator, tmp_path: Path) -> None:
    """One payment, one poll loop."""
    async with opened(fox, tmp_path) as client:
        task = client.submit(SHOT, key="shot-1")
        assert client.submit(SHOT, key="shot-1") is task
        assert client.task(key="shot-1") is task
        await task
    assert fox.ledger.charged == 1


async def test_a_key_with_local_files_is_paid_for_once(fox: Emulator, tmp_path: Path) -> None:
    """Which of their contents is meant is compared on the disk, so these are two handles of one task."""
    async with opened(fox, tmp_path) as client:
        first, second = await asyncio.gather(*(client.generate(LOCAL, key="shot-1") for _ in range(2)))
        assert first == second
    assert fox.ledger.charged == 1


async def test_a_completed_key_is_answered_without_a_request(fox: Emulator, tmp_path: Path) -> None:
    """In the same client and in the next one."""
    async with opened(fox, tmp_path) as client:
        video = await client.generate(SHOT, key="shot-1")
        polled = fox.ledger.polled
        assert await client.generate(SHOT, key="shot-1") == video
    async with opened(fox, tmp_path) as client:
        assert await client.generate(SHOT, key="shot-1") == video
        assert (await client.task(key="shot-1")).url == video.url
        (row,) = await client.history()
    assert (row.status, row.task_id, row.attempt) == (RowStatus.COMPLETED, video.task_id, 1)
    assert (fox.ledger.charged, fox.ledger.polled) == (1, polled)


async def test_another_request_under_a_key_is_refused_with_nothing_sent(fox: Emulator, tmp_path: Path) -> None:
    """It names the task that has the key."""
    async with opened(fox, tmp_path) as client:
        video = await client.generate(SHOT, key="shot-1")
        with pytest.raises(KeyConflict) as caught:
            await client.generate(LOCAL, key="shot-1")
    assert (caught.value.task_id, caught.value.key, caught.value.submitted) == (video.task_id, "shot-1", "no")
    assert fox.ledger.charged == 1


async def test_an_unknown_key_is_not_found(fox: Emulator, tmp_path: Path) -> None:
    """Nothing is sent for it."""
    async with opened(fox, tmp_path) as client:
        with pytest.raises(TaskNotFound, match="no submit under this key"):
            await client.task(key="shot-1")
    assert (fox.ledger.submitted, fox.ledger.polled) == (0, 0)
