"""Reads of the emulator that say for a while that a task, a key or a file is gone, while all is well."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from foxvideo.emulator import BLIPS, Emulator, Fault

SUBMIT = "/v1/videos/generations"
TEXT = {"model": "grok-imagine-text-to-video", "prompt": "A kite"}
NOT_FOUND = Fault("error", status=404)


def session(fox: Emulator) -> aiohttp.ClientSession:
    """Return a session that holds the key."""
    return aiohttp.ClientSession(
        fox.base_url, headers={"Authorization": f"Bearer {fox.api_key}", "User-Agent": "foxvideo/1.0"}
    )


@pytest.fixture
async def fox() -> AsyncIterator[Emulator]:
    """An emulator whose tasks take ten seconds and whose videos are not drawn."""
    async with Emulator(seconds=10.0, render=False) as emulator:
        yield emulator


@pytest.fixture
async def web(fox: Emulator) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with it."""
    async with session(fox) as made:
        yield made


async def submit(web: aiohttp.ClientSession) -> str:
    """Submit and return the path of the task."""
    async with web.post(SUBMIT, json=TEXT) as reply:
        return f"/v1/tasks/{(await reply.json())['id']}?sync_upstream=true"


async def status(web: aiohttp.ClientSession, path: str) -> int:
    """Return the status of a read."""
    async with web.get(path) as reply:
        return reply.status


async def link(web: aiohttp.ClientSession, path: str) -> str:
    """Return the result link of a completed task."""
    async with web.get(path) as reply:
        return str((await reply.json())["results"][0]["url"])


async def seen(link: str) -> tuple[int, str]:
    """Return status and type of what anybody gets behind a link."""
    async with aiohttp.ClientSession() as anybody, anybody.get(link) as reply:
        return reply.status, reply.content_type


SHAPES: dict[str, tuple[int, str, Any]] = {
    "404 in JSON": (404, "application/json", "not_found"),
    "404 of a bare FastAPI": (404, "application/json", {"detail": "Not Found"}),
    "404 as a page": (404, "text/html", "Not Found <span>Error code 404"),
    "403 in JSON": (403, "application/json", "permission_error"),
    "403 of Cloudflare": (403, "text/plain", "error code: 1010"),
    "403 as a page": (403, "text/html", "Forbidden <span>Error code 403"),
    "401 in JSON": (401, "application/json", "authentication_error"),
}


@pytest.mark.parametrize("name", BLIPS)
async def test_a_poll_is_answered_in_the_shape_of_the_blip(
    fox: Emulator, web: aiohttp.ClientSession, name: str
) -> None:
    """For a number of polls; then the task is there as before."""
    path = await submit(web)
    fox.fail_next("poll", BLIPS[name], times=2)

    async with web.get(path) as reply:
        told = await reply.json() if reply.content_type == "application/json" else await reply.text()
    again, after = await status(web, path), await status(web, path)

    code, kind, part = SHAPES[name]
    assert (reply.status, reply.content_type, again, after) == (code, kind, code, 200)
    assert told == part or part in (told["error"]["type"] if isinstance(told, dict) else told)


async def test_a_blip_hides_every_task_for_its_time(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """All polls within it, none after it; nothing else breaks, and the tasks go on."""
    paths = [await submit(web), await submit(web)]
    fox.blip("poll", Fault("detail", status=404), seconds=60)

    within = []
    for _ in range(3):
        within += [await status(web, path) for path in paths]
        await asyncio.sleep(19.9)
    paths.append(await submit(web))
    await asyncio.sleep(0.4)

    assert within == [404] * 6
    assert [await status(web, path) for path in paths] == [200] * 3
    assert [record.status for record in fox.ledger.tasks.values()] == ["completed", "completed", "pending"]


async def test_what_is_scripted_comes_after_the_blip(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """A blip uses nothing up."""
    path = await submit(web)
    fox.fail_next("poll", Fault("error", status=503))
    fox.blip("poll", NOT_FOUND, seconds=5)

    first = await status(web, path), await status(web, path)
    await asyncio.sleep(5)

    assert (*first, await status(web, path), await status(web, path)) == (404, 404, 503, 200)


async def test_a_blip_is_replaced_by_the_next_and_ended_by_one_of_no_time(
    fox: Emulator, web: aiohttp.ClientSession
) -> None:
    """The newest counts; a reset ends it, too."""
    path = await submit(web)
    statuses = []
    for fault, seconds in ((NOT_FOUND, 600), (Fault("cloudflare"), 600), (NOT_FOUND, 0)):
        fox.blip("poll", fault, seconds=seconds)
        statuses.append(await status(web, path))
    fox.blip("models", NOT_FOUND, seconds=600)
    async with web.post("/_emulator/reset"):
        pass

    assert (statuses, await status(web, "/v1/models")) == ([404, 403, 200], 200)


async def test_result_links_blip_as_well(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """They are a kind of their own."""
    path = await submit(web)
    await asyncio.sleep(10)
    url = await link(web, path)
    fox.blip("result", Fault("html", status=403), seconds=30)

    first = await seen(url)
    await asyncio.sleep(30)

    assert (first, (await seen(url))[0], fox.ledger.downloaded) == ((403, "text/html"), 200, 1)


@pytest.mark.parametrize("early", [NOT_FOUND, Fault("error", status=403), Fault("html", status=404), Fault("empty")])
async def test_a_fresh_link_is_not_there_yet(early: Fault) -> None:
    """For some seconds after the true end of the task, not after the poll that showed the end."""
    async with Emulator(seconds=10.0, render=False, link_lag=20, link_early=early) as fox, session(fox) as web:
        path = await submit(web)
        await asyncio.sleep(15)
        url = await link(web, path)
        first, _ = await seen(url)
        await asyncio.sleep(14.5)
        second, _ = await seen(url)
        assert fox.ledger.downloaded == 0
        await asyncio.sleep(1)

        assert (first, second, await seen(url)) == (
            *[200 if early.how == "empty" else early.status] * 2,
            (200, "video/mp4"),
        )


async def test_a_lag_uses_up_no_fault() -> None:
    """What is scripted for links comes once the file is there; without further words the lag is a 404 in JSON."""
    async with Emulator(seconds=0.0, render=False, link_lag=20) as lagging, session(lagging) as other:
        url = await link(other, await submit(other))
        lagging.fail_next("result", Fault("html", status=503))
        first = await seen(url)
        await asyncio.sleep(20)

        assert (first, await seen(url)) == ((404, "application/json"), (503, "text/html"))


async def test_a_blip_needs_a_kind_that_exists_and_a_running_emulator(fox: Emulator) -> None:
    """Both are said plainly."""
    with pytest.raises(ValueError, match="kind: 'pol' is none of submit, poll, upload, result, models, account"):
        fox.blip("pol", NOT_FOUND, seconds=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="kind: 'pol' is none of"):
        fox.fail_next("pol", NOT_FOUND)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="not running"):
        Emulator().blip("poll", NOT_FOUND, seconds=1)
