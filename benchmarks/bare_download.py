"""The reference: the loop over aiohttp that one would write without foxvideo to save a video.

What belongs here: that loop, written well and briefly. What must not: foxvideo, whose imports would count.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import aiohttp

_CHUNK = 1 << 18


async def download(url: str, targets: Sequence[Path]) -> None:
    """Save a video in several files at once."""
    async with aiohttp.ClientSession(raise_for_status=True) as session:

        async def save(target: Path) -> None:
            with target.open("wb") as file:
                async with session.get(url) as response:
                    async for chunk in response.content.iter_chunked(_CHUNK):
                        file.write(chunk)

        await asyncio.gather(*map(save, targets))
