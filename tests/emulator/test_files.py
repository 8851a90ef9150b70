"""The hosts of the emulator: ranges, tags, and answers that stop, break or come late."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import aiohttp
import pytest

from foxvideo import Client, GrokTextToVideo
from foxvideo.emulator import Emulator, Fault

VIDEO = bytes(range(256)) * 10
TAG = f'"{hashlib.sha256(VIDEO).hexdigest()[:32]}"'


@pytest.fixture
async def fox() -> AsyncIterator[Emulator]:
    """An emulator whose links all serve one small video."""
    async with Emulator(video=VIDEO, seconds=1.0) as emulator:
        yield emulator


async def _link(fox: Emulator) -> str:
    async with Client(fox.api_key, fox.base_url) as client:
        return (await client.generate(GrokTextToVideo(prompt="A kite"))).url


async def _get(link: str, **headers: str) -> tuple[int, bytes, str | None]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with aiohttp.ClientSession() as anybody, anybody.get(link, headers=named) as reply:
        return reply.status, await reply.read(), reply.headers.get("Content-Range")


@pytest.mark.parametrize(
    ("asked", "status", "body", "told"),
    [
        ("bytes=0-", 206, VIDEO, "bytes 0-2559/2560"),
        ("bytes=10-", 206, VIDEO[10:], "bytes 10-2559/2560"),
        ("bytes=10-19", 206, VIDEO[10:20], "bytes 10-19/2560"),
        ("bytes=-5", 206, VIDEO[-5:], "bytes 2555-2559/2560"),
        ("bytes=2560-", 416, b"", "bytes */2560"),
        ("lines=1-2", 200, VIDEO, None),
        ("bytes=5-2", 200, VIDEO, None),
    ],
)
async def test_any_part_of_a_video_can_be_had(
    asked: str, status: int, body: bytes, told: str | None, *, fox: Emulator
) -> None:
    """What makes no sense gets all of it."""
    assert await _get(await _link(fox), Range=asked) == (status, body, told)


@pytest.mark.parametrize(("condition", "status"), [(TAG, 206), ('"other"', 200), ("W/" + TAG, 200)])
async def test_a_part_is_given_on_condition(condition: str, status: int, fox: Emulator) -> None:
    """That the video is still the same."""
    assert (await _get(await _link(fox), Range="bytes=10-", If_Range=condition))[0] == status


async def test_a_date_is_a_condition_too(fox: Emulator) -> None:
    """That of the task."""
    link = await _link(fox)
    async with aiohttp.ClientSession() as anybody, anybody.get(link) as reply:
        date = reply.headers["Last-Modified"]

    assert (await _get(link, Range="bytes=10-", If_Range=date))[0] == 206


async def test_a_host_may_know_no_ranges() -> None:
    """It says nothing of them, and has no tags."""
    async with Emulator(video=VIDEO, seconds=1.0, ranges=False) as fox:
        link = await _link(fox)
        async with aiohttp.ClientSession() as anybody, anybody.get(link, headers={"Range": "bytes=10-"}) as reply:
            assert (reply.status, await reply.read()) == (200, VIDEO)
            assert not {"ETag", "Last-Modified", "Accept-Ranges"} & reply.headers.keys()


@pytest.mark.parametrize("at", [0, 100, None])
async def test_a_video_can_break_off_anywhere(at: int | None, fox: Emulator) -> None:
    """In its middle if no place is named."""
    link = await _link(fox)
    fox.fail_next("result", Fault("half_body", at=at))

    async with aiohttp.ClientSession() as anybody, anybody.get(link) as reply:
        assert reply.content_length == len(VIDEO)
        assert reply.headers["ETag"] == TAG
        with pytest.raises(aiohttp.ClientPayloadError, match=f"received {1280 if at is None else at} of 2560"):
            await reply.read()
    assert fox.ledger.downloaded == 0


async def test_a_video_can_stand_still(fox: Emulator) -> None:
    """The connection stays, and nothing comes."""
    link = await _link(fox)
    fox.fail_next("result", Fault("stall", at=100))

    async with aiohttp.ClientSession() as anybody, anybody.get(link) as reply:
        assert await reply.content.readexactly(100) == VIDEO[:100]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reply.content.read(), 3600)


async def test_a_video_can_begin_late(fox: Emulator) -> None:
    """And is whole."""
    link = await _link(fox)
    fox.fail_next("result", Fault("slow", seconds=50))
    began = asyncio.get_running_loop().time()

    assert (await _get(link))[1] == VIDEO

    assert asyncio.get_running_loop().time() - began == pytest.approx(50, abs=1)
    assert fox.ledger.downloaded == 1


async def test_an_upload_or_a_query_can_be_answered_late(fox: Emulator) -> None:
    """The answer is the good one."""
    fox.fail_next("upload", Fault("slow", after=True, seconds=5))
    fox.fail_next("poll", Fault("slow", seconds=5), times=2)
    async with Client(fox.api_key, fox.base_url) as client:
        assert await client.upload(b"picture")
        await client.generate(GrokTextToVideo(prompt="A kite"))

    assert fox.ledger.uploaded == 1
    assert all(record.told for record in fox.ledger.tasks.values())
