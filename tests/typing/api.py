"""Never run, only type-checked: pins the public signatures."""

import asyncio
import datetime as dt
import functools
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import assert_type

import aiohttp

from foxvideo import (
    Client,
    Every,
    FoxError,
    GrokEditVideo,
    GrokImageToVideo,
    GrokReferenceToVideo,
    GrokTextToVideo,
    GrokVideoExtension,
    InvalidRequest,
    Learned,
    Request,
    Result,
    SavedFile,
    Schedule,
    Status,
    TaskFailed,
    TaskState,
    TaskTimeout,
    Video,
    VideoRequest,
    VideoTask,
    catalogue,
)
from foxvideo.account import Balance, Prices
from foxvideo.batch import Manifest, Outcome, run as run_batch

client = Client()
Client("sk-1", "https://api.foxapi.cc")
Client(
    max_requests=8,
    max_active=None,
    task_timeout=None,
    request_timeout=60,
    poll_timeout=1.5,
    submit_attempts=1,
    trust_refusals=False,
    schedule=Every(5),
    sync_upstream=False,
    connector=functools.partial(aiohttp.TCPConnector, ssl=ssl.create_default_context()),
    proxy="http://127.0.0.1:3128",
    trust_env=True,
    user_agent="example/1.0",
)
Client(max_requests="8")  # type: ignore[arg-type]

requests: Sequence[VideoRequest] = [
    GrokTextToVideo(prompt="A fox", duration=6, aspect_ratio="16:9", resolution="720p"),
    GrokImageToVideo(prompt="A fox", image_url=Path("fox.png"), aspect_ratio="auto"),
    GrokReferenceToVideo(prompt="@Image1", reference_image_urls=["https://example.com/fox.png", b"", Path("fox.png")]),
    GrokEditVideo(prompt="Make it night", video_url=b"", resolution="auto"),
    GrokVideoExtension(prompt="It goes on", video_url="https://example.com/fox.mp4", extra={"new": 1}),
    Request("veo-3.1-fast-image-to-video", prompt="A fox", image_url="https://example.com/fox.png"),
]
GrokTextToVideo()  # type: ignore[call-arg]
GrokTextToVideo(prompt="A fox", aspect_ratio="5:1")  # type: ignore[arg-type]
GrokTextToVideo(prompt="A fox", image_url="https://example.com/fox.png")  # type: ignore[call-arg]

schedules: Sequence[Schedule] = [Every(5), Learned(lateness=5)]


async def verbs(shot: VideoRequest, body: Mapping[str, object]) -> None:
    """Use every public verb."""
    async with Client() as entered:
        assert_type(entered, Client)
    assert_type(client.submit(shot), VideoTask)
    assert_type(client.submit(body, timeout=None, check=False), VideoTask)
    assert_type(await client.generate(shot, timeout=600), Video)
    assert_type(await asyncio.gather(client.generate(shot), client.generate(shot)), tuple[Video, Video])
    assert_type(client.unfinished(), tuple[VideoTask, ...])
    assert_type(client.base_url, str)
    assert_type(await client.upload(Path("fox.png")), str)
    assert_type(await client.upload(b""), str)
    assert_type(await client.models(), tuple[str, ...])
    balance, prices = await client.balance(), await client.prices()
    assert_type(balance, Balance)
    assert_type(balance.dollars, float | None)
    assert_type(balance.credits, Mapping[str, object] | None)
    assert_type(prices, Prices)
    assert_type(prices.estimate(shot), float | None)
    assert_type(prices.estimate(Request("veo-3.1"), group="default"), float | None)
    assert_type(catalogue.find("veo-3.1"), catalogue.Model | None)
    await client.close()
    async for task in client.as_completed([client.submit(shot)]):
        assert_type(task, VideoTask)

    async for outcome in run_batch(client, Manifest("shots.csv"), into="videos", max_active=8, max_credits=None):
        assert_type(outcome, Outcome)
    run_batch(client, [shot, body], Path("videos"), retry_failed=True, check=False, timeout=None)
    run_batch(client, [7], "videos")  # type: ignore[list-item]


async def handles(task: VideoTask) -> None:
    """Read and await a handle."""
    assert_type(await task, Video)
    assert_type(await asyncio.wait_for(task, 1), Video)
    assert_type(await task.wait_accepted(), str)
    assert_type(task.id, str | None)
    assert_type(task.state, TaskState | None)
    assert_type(task.status, Status | None)
    assert_type(task.done(), bool)
    assert_type(task.exception(), FoxError | None)
    assert_type(task.request, VideoRequest | None)
    task.abandon()
    async for state in task:
        assert_type(state, TaskState)
        assert_type(state.progress, float | None)


async def outcomes(video: Video) -> None:
    """Read and save an outcome."""
    assert_type(video.url, str)
    assert_type(video.urls, tuple[str, ...])
    assert_type(video.results, tuple[Result, ...])
    assert_type(video.credits_reserved, float | None)
    assert_type(video.expires_at, dt.datetime | None)
    assert_type(await video.save("fox.mp4", overwrite=True), SavedFile)
    assert_type(await video.save_all(Path("videos")), list[SavedFile])


def errors(error: FoxError) -> None:
    """Read an error."""
    assert_type(error.task_id, str | None)
    match error:
        case InvalidRequest():
            assert_type([fault.field for fault in error.faults], list[str])
        case TaskFailed():
            assert_type(error.state, TaskState | None)
        case TaskTimeout():
            assert_type(error.errno, int | None)
