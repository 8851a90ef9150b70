"""foxvideo, saving videos as ``Video.save`` does, and uploading a file.

What belongs here: that, with the hash or without, also as a program that a test can kill. What must not: tuning.

    python -m benchmarks.fox_download save|upload URL PATH      prints what came of it, as JSON
"""

import asyncio
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.plan import API_KEY
from benchmarks.process import use
from foxvideo import Result, ResultExpired, SavedFile, TaskState, Video
from foxvideo._http import Transport
from foxvideo._transfer.download import save
from foxvideo._transfer.part import Part
from foxvideo._transfer.upload import Uploads
from foxvideo.video import Source


def _transport(base_url: str = "http://127.0.0.1") -> Transport:
    return Transport(base_url, API_KEY, 60.0, 15.0)


class _NoHash:
    def update(self, data: bytes, /) -> None:
        pass

    def hexdigest(self) -> str:
        return ""


async def download(url: str, targets: Sequence[Path], *, hashed: bool) -> None:
    """Save a video in several files at once."""
    transport = _transport()
    new_hash = hashlib.sha256 if hashed else _NoHash
    parts = [Part(path=target, source=target.name, overwrite=False, new_hash=new_hash) for target in targets]
    await asyncio.gather(*(save(transport, url, part) for part in parts))
    await transport.close()


async def _no_other_link(task_id: str) -> TaskState:
    raise ResultExpired("no link is dead here", task_id=task_id, submitted="yes")


async def _no_files(_: str) -> dict[int, SavedFile]:
    return {}


def _note(task_id: str, number: int, file: SavedFile, seconds: float | None) -> None:
    pass


async def _save(url: str, path: str, saved: list[SavedFile]) -> None:
    transport = _transport()
    video = Video(
        id="task-1",
        model=None,
        request=None,
        results=(Result(url),),
        credits_reserved=None,
        created=None,
        source=Source(transport, _no_other_link, _note, _no_files),
    )
    saved.append(await video.save(path))
    await transport.close()


async def _upload(url: str, path: str) -> None:
    transport = _transport(url)
    await Uploads(transport).link(Path(path))
    await transport.close()


def main(doing: str, url: str, path: str) -> None:
    """Save a video, or upload a file, and print by how much the memory grew."""
    saved: list[SavedFile] = []
    usage = use(_save(url, path, saved) if doing == "save" else _upload(url, path))
    print(json.dumps({"grown": usage.grown, "sha256": saved[0].sha256 if saved else None}))


if __name__ == "__main__":
    main(*sys.argv[1:])
