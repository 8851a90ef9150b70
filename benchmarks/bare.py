"""The reference: the loop over aiohttp that one would write without foxvideo.

What belongs here: that loop, written well and briefly. What must not: foxvideo, whose imports would count.
"""

import asyncio
import secrets
from typing import Any

import aiohttp

from benchmarks.plan import HEADERS, REQUEST, Plan

_ENDED = {"completed", "failed", "cancelled"}


async def run(plan: Plan, *, force_close: bool = False) -> None:
    """Make all videos of a plan.

    Args:
        plan: What to do.
        force_close: Whether each submit has a connection of its own, as it has in foxvideo.
    """
    slots = asyncio.Semaphore(plan.max_requests)
    async with _session(plan) as reads, _session(plan, force_close=force_close) as other:
        submits = other if force_close else reads

        async def generate() -> str:
            task = await _submitted(submits, slots)
            while task["status"] not in _ENDED:
                await asyncio.sleep(plan.interval)
                async with slots, reads.get(f"/v1/tasks/{task['id']}?sync_upstream=true") as response:
                    task = await response.json()
            return str(task["results"][0]["url"])

        plan.check(await asyncio.gather(*(generate() for _ in range(plan.jobs))))


async def submit(plan: Plan) -> None:
    """Submit all jobs of a plan, and wait until each is accepted."""
    slots = asyncio.Semaphore(plan.max_requests)
    async with _session(plan) as session:
        await asyncio.gather(*(_submitted(session, slots) for _ in range(plan.jobs)))


async def _submitted(session: aiohttp.ClientSession, slots: asyncio.Semaphore) -> dict[str, Any]:
    headers = {"Idempotency-Key": secrets.token_hex(16)}
    async with slots, session.post("/v1/videos/generations", json=REQUEST, headers=headers) as response:
        task: dict[str, Any] = await response.json()
    return task


def _session(plan: Plan, *, force_close: bool = False) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=plan.max_requests, force_close=force_close)
    return aiohttp.ClientSession(plan.base_url, connector=connector, headers=HEADERS, raise_for_status=True)
