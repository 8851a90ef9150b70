"""foxvideo, used as its README says.

What belongs here: the plain way to make many videos with foxvideo. What must not: tuning that no user would do.
"""

import asyncio

from benchmarks.plan import API_KEY, REQUEST, Plan
from foxvideo import Client
from foxvideo.schedule import Every


async def run(plan: Plan) -> None:
    """Make all videos of a plan."""
    async with Client(API_KEY, plan.base_url, max_requests=plan.max_requests, schedule=Every(plan.interval)) as client:
        videos = await asyncio.gather(*(client.generate(REQUEST) for _ in range(plan.jobs)))
    plan.check([video.url for video in videos])
