"""What both sides of a comparison do: how many jobs, how often they ask, and what they send.

What belongs here: values. What must not: anything whose import would count for one side alone.
"""

from collections.abc import Collection, Mapping

import attrs

API_KEY = (
    "sk-benchmark0benchmark0benchmark0benchmark0benchmark0"  # as long as a real one, which is looked for in replies
)
REQUEST: Mapping[str, object] = {
    "model": "grok-imagine-image-to-video",
    "prompt": "The camera slowly pushes in while the cat turns its head towards the window",
    "image_url": "https://example.com/cat.jpg",
    "duration": 6,
}
HEADERS = {
    "Authorization": f"Bearer {API_KEY}",
    "User-Agent": "foxvideo/benchmark",
    "Accept-Encoding": "identity",
}


@attrs.frozen(kw_only=True)
class Plan:
    """A fan-out of equal jobs.

    Attributes:
        base_url: Where the server answers.
        jobs: How many videos to make, all asked for at once.
        interval: Seconds between two queries of a task.
        max_requests: Most requests in flight.
    """

    base_url: str
    jobs: int
    interval: float
    max_requests: int

    def check(self, urls: Collection[str]) -> None:
        """Make sure that each job brought a video of its own.

        Raises:
            RuntimeError: Some did not.
        """
        if len(set(urls)) != self.jobs:
            raise RuntimeError(f"{self.jobs} jobs brought {len(set(urls))} videos")
