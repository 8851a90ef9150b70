"""foxvideo, used as its README says.

What belongs here: the plain way to make many videos with foxvideo. What must not: tuning that no user would do.
"""

import asyncio

from benchmarks.plan import API_KEY, REQUEST, Plan
from foxvideo import Client
from foxvideo.schedule.base import Every, Schedule


async def run(plan: Plan, schedule: Schedule | None = None) -> None:
    """Make all videos of a plan; asks at its interval unless there is another schedule."""
    async with _client(plan, schedule) as client:
        videos = await asyncio.gather(*(client.generate(REQUEST) for _ in range(plan.jobs)))
    plan.check([video.url for video in videos])


async def submit(plan: Plan) -> None:
    """Submit all jobs of a plan, and wait until each is accepted."""
    async with _client(plan) as client:
        await asyncio.gather(*(client.submit(REQUEST).wait_accepted() for _ in range(plan.jobs)))


def _client(plan: Plan, schedule: Schedule | None = None) -> Client:
    schedule = schedule or Every(plan.interval)
    return Client(API_KEY, plan.base_url, max_requests=plan.max_requests, schedule=schedule)
