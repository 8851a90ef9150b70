"""Videos on their way to the disk: ask for what is missing until nothing is.

The event loop only hands bytes on: each video has a thread of its own that hashes and writes them, so that a slow disk
holds up neither other requests nor the next bytes, of which no more than two batches are in memory.
Out of scope: what an answer means (``resume.py``), and which result of a video is meant (``video.py``).
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import ParamSpec, TypeVar

import aiohttp
import attrs
import yarl

from foxvideo._aio import ended, heed
from foxvideo._http import Transport
from foxvideo._transfer.answer import Answer, link_of, shown
from foxvideo._transfer.part import Part
from foxvideo._transfer.resume import (
    Brings,
    Interrupted,
    NotYet,
    Patience,
    asking,
    begin,
    judge,
    may_be_early,
    total_of,
)
from foxvideo._wire.verdict import delay
from foxvideo.errors import DownloadError, FoxError
from foxvideo.media import Progress, SavedFile

P = ParamSpec("P")
T = TypeVar("T")

_BATCH = 1 << 20
_BATCH_SECONDS = 0.5  # what comes slowly is written all the same, so that a crash loses little
_TAKEN_SECONDS = 0.2  # until somebody else's download of the same target is looked at again
_LEAST_PAUSE = 0.5  # whatever a host says
_LONGEST_EARLY = 15.0  # between two attempts at a link that does not work yet


async def save(
    transport: Transport, url: str, part: Part, *, progress: Progress | None = None, early: float = 0.0
) -> SavedFile:
    """Bring a video to the disk, where it appears when it is whole; go on with what an earlier try left.

    Where another saves the same target, in this process or in another, it is waited for. Cancelling keeps what has
    come, if the host can go on with it.

    Args:
        transport: Its connections are used; the key is not sent.
        url: Where the result lies; http(s) only.
        part: What there is of it, not open yet.
        progress: Called on the event loop as bytes reach the disk.
        early: For how many seconds from now the link may not work yet.

    Raises:
        ResultExpired: The link is dead.
        DownloadError: It is no video, or does not come.
        OSError: The disk: no space, no such folder, another file is there.
    """
    link, loop, attempts = link_of(url), asyncio.get_running_loop(), 0
    opens = loop.time() + early
    while True:
        pause = _TAKEN_SECONDS
        async with transport.download_slots, _held(part) as thread:
            try:
                if thread is not None:
                    return await _Download(transport, link, part, thread, progress or _nobody, opens).run()
            except NotYet as error:  # which holds up no other download
                attempts += 1
                pause = _pause(error, delay(attempts, most=_LONGEST_EARLY))
            except FoxError as error:
                error.what = f"{shown(link)}: {error.what}"
                raise
        await asyncio.sleep(pause)


def _nobody(_: int, __: int | None) -> None:
    """Show nothing."""


def _pause(error: Interrupted, backoff: float) -> float:
    """Return the seconds to wait: the host may ask for more than our own backoff, never for less."""
    return max(backoff, error.after or 0.0, _LEAST_PAUSE)


@attrs.define(eq=False)
class _Thread:
    """One thread, which does one thing after another, whoever stops waiting for it."""

    _executor: ThreadPoolExecutor = attrs.field(
        factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="foxvideo-save"), init=False
    )

    def begin(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[T]":
        """Have something done after all that was begun before."""
        doing = asyncio.get_running_loop().run_in_executor(self._executor, lambda: work(*args, **kwargs))
        doing.add_done_callback(heed)
        return doing

    async def do(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Have something done, and wait for it. Cancelling ends the waiting alone."""
        return await ended(self.begin(work, *args, **kwargs))

    def leave(self) -> None:
        """End the thread when it has done all that was begun."""
        self._executor.shutdown(wait=False)


@contextlib.asynccontextmanager
async def _held(part: Part) -> AsyncIterator[_Thread | None]:
    """Open a part in a thread of its own, and close it at the end; None where another holds it."""
    thread = _Thread()
    try:
        yield thread if await thread.do(part.open) else None
    finally:
        part.stopped = True
        try:
            await thread.do(part.close)
        finally:
            part.stopped = False
            thread.leave()


@attrs.define(eq=False)
class _Download:
    """One download of a part that is held.

    Attributes:
        opens: The loop's time until which the link may not work yet.
    """

    transport: Transport
    link: yarl.URL
    part: Part
    thread: _Thread
    progress: Progress
    opens: float

    async def run(self) -> SavedFile:
        """Ask again and again until the video is whole, and give it its name."""
        part, patience = self.part, Patience(self.part.size, self.part.size)
        while True:
            try:
                if not part.whole:
                    await self._attempt()
                await self.thread.do(part.check)
                break
            except NotYet:
                raise
            except Interrupted as error:
                patience = patience.after(part.size, slow=error.slow)
                if patience.over:
                    raise DownloadError(str(error), submitted="yes") from None
                await asyncio.sleep(_pause(error, delay(patience.idle)))
        self.progress(part.size, part.size)
        return await self.thread.do(part.publish)

    async def _attempt(self) -> None:
        """Ask once for what is missing, and take it in to the end."""
        part = self.part
        async with Answer.to(self.transport, self.link, asking(part.facts, part.size)) as answer:
            status, headers = answer.response.status, answer.response.headers
            early = asyncio.get_running_loop().time() < self.opens and status >= HTTPStatus.BAD_REQUEST
            early = early and may_be_early(status, await answer.head())
            match judge(status, headers, part.facts, part.size, time.time(), early=early):
                case Brings.NOTHING_MORE:
                    part.learn(part.size)
                case Brings.ANOTHER:
                    await self.thread.do(part.drop)
                    raise Interrupted("the video there is not the one that was begun")
                case Brings.ALL:
                    head = await answer.head()
                    # Looked at before what is on the disk is dropped for it: a refusal is no video.
                    await answer.hold(self.thread.begin(part.begin, begin(part.source, headers, head, part.wanted)))
                    await self._pour(head, answer)
                case _:  # the rest
                    part.learn(total_of(headers))
                    await self._pour(b"", answer)
        # A body shorter than its own length ends in an error of aiohttp; but a host may send a piece of the rest.
        if part.total not in {None, part.size}:
            if part.size > (part.total or 0):
                await self.thread.do(part.drop)
            raise Interrupted(f"{part.size} bytes came of {part.total}")

    async def _pour(self, head: bytes, answer: Answer) -> None:
        """Write a body as it comes; what has come is written also if it breaks off."""
        loop, part = asyncio.get_running_loop(), self.part
        batch, size, since, writing = [head], len(head), loop.time(), self.thread.begin(part.write, [])
        self.progress(part.size, part.total)
        try:
            while chunk := await answer.next():
                batch.append(chunk)
                size += len(chunk)
                if size >= _BATCH or loop.time() - since >= _BATCH_SECONDS:
                    await answer.hold(writing)
                    self.progress(part.size, part.total)
                    writing = self.thread.begin(part.write, batch)
                    batch, size, since = [], 0, loop.time()
        except (aiohttp.ClientError, ConnectionError, TimeoutError, asyncio.CancelledError):
            batch.append(answer.rest())
            raise
        finally:
            await ended(writing)
            await self.thread.do(part.write, batch)
