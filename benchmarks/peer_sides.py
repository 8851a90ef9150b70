"""The same jobs through each client, in the way its documentation shows.

What belongs here: one function a client, from a prompt to a link. What must not: tuning, and measuring.

Each is imported when it runs, so that none pays for another, and as a module without types: they are installed only in
the environment of this benchmark. A function makes one client for all jobs and returns how one job is done.
"""

import asyncio
import contextlib
import datetime as dt
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import attrs

from benchmarks.plan import API_KEY, HEADERS, REQUEST

_PROMPT = str(REQUEST["prompt"])
_PICTURE = str(REQUEST["image_url"])


@attrs.frozen
class Where:
    """Where a side finds its service.

    Attributes:
        base: URL of the HTTP service.
        grpc: Host and port of xAI's.
        interval: Seconds between two queries; None for the client's own default.
        max_requests: Requests in flight, where a client can be told so.
    """

    base: str
    grpc: str
    interval: float | None
    max_requests: int = 32


Job = Callable[[], Awaitable[object]]
Side = Callable[[Where], AbstractAsyncContextManager[Job]]


def _import(name: str) -> Any:  # noqa: ANN401 - as the docstring says
    return importlib.import_module(name)


@contextlib.asynccontextmanager
async def bare(where: Where) -> AsyncIterator[Job]:
    """Loop over aiohttp."""
    aiohttp = _import("aiohttp")
    connector = aiohttp.TCPConnector(limit=where.max_requests)
    slots = asyncio.Semaphore(where.max_requests)
    async with aiohttp.ClientSession(where.base, connector=connector, headers=HEADERS) as session:

        async def job() -> object:
            async with slots, session.post("/v1/videos/generations", json=REQUEST) as response:
                task = await response.json()
            while task["status"] != "completed":
                await asyncio.sleep(where.interval or 5.0)
                async with slots, session.get(f"/v1/tasks/{task['id']}?sync_upstream=true") as response:
                    task = await response.json()
            return task["results"][0]["url"]

        yield job


@contextlib.asynccontextmanager
async def foxvideo(where: Where) -> AsyncIterator[Job]:
    """Await ``client.generate``."""
    fox = _import("foxvideo")
    schedule = None if where.interval is None else fox.Every(where.interval)
    async with fox.Client(API_KEY, where.base, max_requests=where.max_requests, schedule=schedule) as client:

        async def job() -> object:
            return (await client.generate(REQUEST)).url

        yield job


@contextlib.asynccontextmanager
async def openai(where: Where) -> AsyncIterator[Job]:
    """Await ``videos.create_and_poll``."""
    options = {} if where.interval is None else {"poll_interval_ms": int(1000 * where.interval)}
    async with _import("openai").AsyncOpenAI(api_key=API_KEY, base_url=f"{where.base}/v1") as client:

        async def job() -> object:
            return (
                await client.videos.create_and_poll(model="sora-2", prompt=_PROMPT, **options)
            ).status == "completed"

        yield job


@contextlib.asynccontextmanager
async def xai(where: Where) -> AsyncIterator[Job]:
    """Await ``video.generate`` over gRPC."""
    interval = None if where.interval is None else dt.timedelta(seconds=where.interval)
    client = _import("xai_sdk").AsyncClient(api_key=API_KEY, api_host=where.grpc, use_insecure_channel=True)

    async def job() -> object:
        return (await client.video.generate(_PROMPT, "grok-imagine-video", image_url=_PICTURE, interval=interval)).url

    yield job
    await client.close()


@contextlib.asynccontextmanager
async def runwayml(where: Where, *, aiohttp: bool = False) -> AsyncIterator[Job]:
    """Await ``wait_for_task_output``; its interval is a constant of its module."""
    runway, polling = _import("runwayml"), _import("runwayml.lib.polling")
    if where.interval is not None:
        polling.POLL_TIME, polling.POLL_JITTER = where.interval, 0
    options = {"http_client": runway.DefaultAioHttpClient()} if aiohttp else {}
    async with runway.AsyncRunwayML(api_key=API_KEY, base_url=f"{where.base}/runway", **options) as client:

        async def job() -> object:
            task = await client.image_to_video.create(
                model="gen4_turbo", prompt_image=_PICTURE, prompt_text=_PROMPT, ratio="1280:720", duration=5
            )
            return (await task.wait_for_task_output()).output

        yield job


@contextlib.asynccontextmanager
async def runwayml_aiohttp(where: Where) -> AsyncIterator[Job]:
    """Do it on aiohttp, which is an extra of it."""
    async with runwayml(where, aiohttp=True) as job:
        yield job


@contextlib.asynccontextmanager
async def lumaai(where: Where) -> AsyncIterator[Job]:
    """Loop over ``generations.get`` every three seconds, as its README does: it has no helper."""
    async with _import("lumaai").AsyncLumaAI(auth_token=API_KEY, base_url=f"{where.base}/luma") as client:

        async def job() -> object:
            generation = await client.generations.create(prompt=_PROMPT, model="ray-2")
            while generation.state != "completed":
                await asyncio.sleep(where.interval or 3.0)
                generation = await client.generations.get(id=generation.id)
            return generation.assets.video

        yield job


@contextlib.asynccontextmanager
async def replicate(where: Where) -> AsyncIterator[Job]:
    """Await ``async_wait``."""
    client = _import("replicate").Client(api_token=API_KEY, base_url=where.base)
    if where.interval is not None:
        client.poll_interval = where.interval

    async def job() -> object:
        request = {"prompt": _PROMPT, "image": _PICTURE}
        prediction = await client.predictions.async_create(model="some/model", input=request, wait=False)
        await prediction.async_wait()
        return prediction.output

    yield job


@contextlib.asynccontextmanager
async def fal(where: Where) -> AsyncIterator[Job]:
    """Await ``handle.get``; its host is a constant of its module."""
    _import("fal_client.client").QUEUE_URL_FORMAT = f"{where.base}/"
    client = _import("fal_client").AsyncClient(key=API_KEY)
    options = {} if where.interval is None else {"interval": where.interval}

    async def job() -> object:
        handle = await client.submit("fal-ai/video", arguments={"prompt": _PROMPT, "image_url": _PICTURE})
        return (await handle.get(**options))["video"]["url"]

    yield job


SIDES: Mapping[str, Side] = {
    "bare": bare,
    "foxvideo": foxvideo,
    "xai-sdk": xai,
    "openai": openai,
    "runwayml, aiohttp": runwayml_aiohttp,
    "runwayml": runwayml,
    "lumaai": lumaai,
    "replicate": replicate,
    "fal-client": fal,
}
