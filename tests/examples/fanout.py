"""Make several videos at once and save each as soon as it is done: ``python fanout.py clips``.

Each shot has a name, which is its key in the journal. So run it again after whatever stopped it: what is there stays,
what runs is followed, what was never sent is sent, and nothing is paid for twice.
"""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

from foxvideo import Client, FoxError, GrokTextToVideo, Request, Video, VideoRequest

SHOTS: Mapping[str, VideoRequest] = {
    "snow": GrokTextToVideo(prompt="A fox trots through snow", duration=6),
    "tram": GrokTextToVideo(prompt="An old tram in the rain, handheld", duration=6, aspect_ratio="9:16"),
    "night": Request("veo-3.1-fast-text-to-video", prompt="The harbour at night, from a boat", duration=4),
}


async def main(folder: Path, shots: Mapping[str, VideoRequest] = SHOTS) -> int:
    """Make all shots; return how many have no video."""
    folder.mkdir(parents=True, exist_ok=True)
    async with Client(journal=folder / "videos.db") as client:
        videos = [client.generate(shot, key=name, save_to=folder / f"{name}.mp4") for name, shot in shots.items()]
        outcomes = await asyncio.gather(*videos, return_exceptions=True)
    for name, outcome in zip(shots, outcomes, strict=True):
        _tell(name, outcome)
    return sum(not isinstance(outcome, Video) for outcome in outcomes)


def _tell(name: str, outcome: Video | BaseException) -> None:
    match outcome:
        case Video():
            print(f"{name}: saved, {outcome.credits_reserved} credits reserved")
        case FoxError():
            print(f"{name}: {outcome}")
            print(f"    what to do: {outcome.hint}")
        case OSError():
            print(f"{name}: {outcome}")
        case _:
            raise outcome


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(main(Path(sys.argv[1]))) else 0)
