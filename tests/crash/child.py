"""The client that is killed: a program that forks a fresh process for each job it reads.

A job is a line of JSON on stdin, see ``harness.Job``. What becomes of its process is told on stdout: its id, then
``stopped`` whenever it was stopped, then its exit code (negative for the signal that killed it). Forking spares each
process the imports; nothing of foxvideo is used before.

Where a process kills or stops itself, foxvideo is patched here, so that the package knows nothing of it.
"""

import asyncio
import functools
import hashlib
import json
import os
import signal
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs

from foxvideo import Client, Every, GrokTextToVideo, RecordStatus, SubmitUncertain, Video, VideoTask
from foxvideo._http import Transport
from foxvideo._journal.session import Session
from foxvideo._journal.work import Work
from foxvideo._journal.writer import Writer
from foxvideo._wire.reply import Answer
from foxvideo.media import SavedFile


def main() -> None:
    """Do one job after the other, each in a process of its own."""
    for line in sys.stdin:
        process = os.fork()
        if not process:
            os._exit(_run(json.loads(line)))
        _say(process)
        status = 0x7F
        while os.WIFSTOPPED(status):
            _, status = os.waitpid(process, os.WUNTRACED)
            _say("stopped" if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status))


def _say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def _run(job: dict[str, Any]) -> int:
    try:
        _arm(job["fault"], job["nth"], getattr(signal, job["signal"]))
        if not job["synced"]:
            _forget_to_sync()
        asyncio.run(_work(job))
    except BaseException:  # noqa: BLE001 - what forked it must not go on in its place
        traceback.print_exc()
        return 1
    return 0


# --- The work ---


async def _work(job: dict[str, Any]) -> None:
    client = Client(
        job["api_key"],
        job["base_url"],
        journal=job["journal"],
        schedule=Every(job["every"]),
        max_requests=job["max_requests"],
    )
    at_once = asyncio.Semaphore(job["at_once"])
    async with client:
        if job["how"] == "resume":
            await asyncio.gather(*(_finish(job, client, task) for task in await client.resume()))
        await asyncio.gather(*(_make(job, client, key, at_once) for key in job["keys"]))


async def _make(job: dict[str, Any], client: Client, key: str, at_once: asyncio.Semaphore) -> None:
    shot = GrokTextToVideo(prompt=key)
    async with at_once:
        if job["how"] == "submit":
            await _finish(job, client, client.submit(shot, key=key))
            return
        try:
            video = await client.generate(shot, key=key)
        except SubmitUncertain:
            _tell(job, key, None)
            return
        _tell(job, key, video.id)
        await _save(job, client, key, video)


async def _finish(job: dict[str, Any], client: Client, task: VideoTask) -> None:
    key = task.key or ""
    try:
        _tell(job, key, await task.wait_accepted())
        video = await task
    except SubmitUncertain:
        _tell(job, key, None)
        return
    await _save(job, client, key, video)


async def _save(job: dict[str, Any], client: Client, key: str, video: Video) -> None:
    path = Path(job["folder"]) / f"{key}.mp4"
    if not path.exists():
        await video.save(path)
    content = path.read_bytes()
    saved = SavedFile(path, len(content), hashlib.sha256(content).hexdigest())
    assert client._store is not None
    await client._store.saved(video.id, 0, saved)


def _tell(job: dict[str, Any], key: str, task_id: str | None) -> None:
    """Show an id to the world, in one write; None says that a submit is uncertain."""
    line = json.dumps([key, task_id]).encode() + b"\n"
    descriptor = os.open(job["shown"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, line)
    os.close(descriptor)


# --- Faults ---


def _arm(fault: str | None, nth: int, number: int) -> None:
    """Let this process get a signal the ``nth`` time that it comes to a point.

    The points are ``before``, ``inside`` and ``after`` the transaction of a write (``before claim``), where there is
    an inside, and ``after reply``, ``before publish`` and ``after publish``.
    """
    if fault is None:
        return
    came = 0

    def at(point: str) -> None:
        nonlocal came
        came += point == fault
        if point == fault and came == nth:
            os.kill(os.getpid(), number)
            time.sleep(0.05)  # the signal may hit another thread first

    _patch_journal(at)
    _patch_reply(at)
    _patch_save(at)


def _patch_journal(at: Callable[[str], None]) -> None:
    transact = Writer._transact

    def patched(writer: Writer, batch: Sequence[Work]) -> Sequence[object]:
        names = list(dict.fromkeys(_name(work) for work in batch))
        for name in names:
            at(f"before {name}")
        watched = [
            attrs.evolve(work, operation=functools.partial(inside, _name(work), work.operation)) for work in batch
        ]
        outcomes = transact(writer, watched)
        for name in names:
            at(f"after {name}")
        return outcomes

    def inside(name: str, operation: Callable[..., object], *args: object, **kwargs: object) -> object:
        outcome = operation(*args, **kwargs)
        at(f"inside {name}")
        return outcome

    Writer._transact = patched  # type: ignore[method-assign,assignment]
    outcomes = Session._outcomes

    def asked(session: Session, batch: Sequence[Work]) -> Sequence[object]:
        names = list(dict.fromkeys(map(_name, batch)))
        for name in names:
            at(f"before {name}")
        answers = outcomes(session, batch)
        for name in names:
            at(f"after {name}")
        return answers

    Session._outcomes = asked  # type: ignore[method-assign,assignment]


def _name(work: Work) -> str:
    """Name a write by the status that it leads to, or by its verb."""
    return next((str(given) for given in work.args if isinstance(given, RecordStatus)), work.operation.__name__)


def _patch_reply(at: Callable[[str], None]) -> None:
    submit = Transport.submit

    async def patched(transport: Transport, body: bytes, key: str, may_leave: Callable[[], bool]) -> Answer:
        answer = await submit(transport, body, key, may_leave)
        at("after reply")
        return answer

    Transport.submit = patched  # type: ignore[method-assign,assignment]


def _patch_save(at: Callable[[str], None]) -> None:
    link = os.link

    def patched(path: Path, target: Path) -> None:
        at("before publish")
        link(path, target)
        at("after publish")

    os.link = patched  # type: ignore[assignment]


def _forget_to_sync() -> None:
    """Let the disk write when it pleases, to see a test of durability fail."""
    opened = Writer._open

    def patched(writer: Writer) -> sqlite3.Connection:
        db = opened(writer)
        db.execute("PRAGMA synchronous = OFF")
        return db

    Writer._open = patched  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    main()
