"""Films on their way to the disk: ask for what is missing until nothing is.

What belongs here: carrying out the decisions of ``resume.py`` on a part of ``part.py``. What must not: which result
of a video is meant (``video.py``), and HTTP itself (``_http.py``).

The event loop only hands bytes on: each film has a thread of its own that hashes and writes them, so that a slow disk
holds up neither other requests nor the next bytes, of which no more than two batches are in memory.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import aiohttp
import attrs
import yarl

from foxvideo._http import Transport
from foxvideo._transfer.part import Part, SavedFile
from foxvideo._transfer.resume import Brings, Facts, Interrupted, asking, judge, total_of
from foxvideo._wire.verdict import delay
from foxvideo.errors import DownloadError, FoxError

P = ParamSpec("P")
T = TypeVar("T")

Progress = Callable[[int, int | None], object]
"""Told the bytes on the disk so far, and those of the whole film, None where the host does not say."""

_ATTEMPTS = 8  # in a row that bring nothing new
_BATCH = 1 << 20
_BATCH_SECONDS = 0.5  # what comes slowly is written all the same, so that a crash loses little
_TAKEN_SECONDS = 0.2  # until somebody else's download of the same target is looked at again


async def save(transport: Transport, url: str, part: Part, *, progress: Progress | None = None) -> SavedFile:
    """Bring a film to the disk, where it appears when it is whole; go on with what an earlier try left.

    Where another saves the same target, in this process or in another, it is waited for. Cancelling keeps what has
    come, if the host can go on with it.

    Args:
        transport: Its connections are used; the key is not sent.
        url: Where the result lies; http(s) only.
        part: What there is of it, not open yet.
        progress: Called on the event loop as bytes reach the disk.

    Raises:
        ResultExpired: The link is dead.
        DownloadError: It is no film, or does not come.
        OSError: The disk: no space, no such folder, exists already.
    """
    link = _link(url)
    while True:
        async with transport.download_slots, _held(part) as thread:
            if thread is not None:
                try:
                    return await _fetch(transport, link, part, thread, progress or _nobody)
                except FoxError as error:
                    error.what = f"{link}: {error.what}"
                    raise
        await asyncio.sleep(_TAKEN_SECONDS)


def _nobody(_: int, __: int | None) -> None:
    """Show nothing."""


@attrs.define(eq=False)
class _Thread:
    """One thread, which does one thing after another, whoever stops waiting for it."""

    _executor: ThreadPoolExecutor = attrs.field(
        factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="foxvideo-save"), init=False
    )

    def begin(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[T]":
        """Have something done after all that was begun before."""
        doing = asyncio.get_running_loop().run_in_executor(self._executor, lambda: work(*args, **kwargs))
        doing.add_done_callback(_seen)
        return doing

    async def do(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Have something done, and wait for it. Cancelling ends the waiting alone."""
        return await ended(self.begin(work, *args, **kwargs))

    def leave(self) -> None:
        """End the thread when it has done all that was begun."""
        self._executor.shutdown(wait=False)


async def ended(doing: "asyncio.Future[T]") -> T:
    """Wait for something that goes on if the waiting is cancelled."""
    await asyncio.wait({doing})
    return doing.result()


def _seen(doing: "asyncio.Future[T]") -> None:
    """Look at an error that nobody may be left to wait for."""
    _ = doing.cancelled() or doing.exception()


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


async def _fetch(transport: Transport, link: yarl.URL, part: Part, thread: _Thread, progress: Progress) -> SavedFile:
    failures, most, whole = 0, part.size, part.whole
    while not whole:
        try:
            await _fetch_once(transport, link, part, thread, progress)
            whole = True
        except Interrupted as error:
            failures = 1 if part.size > most else failures + 1
            most = max(most, part.size)
            if failures >= _ATTEMPTS:
                raise DownloadError(str(error), submitted="yes") from None
            await asyncio.sleep(delay(failures) if error.after is None else error.after)
    progress(part.size, part.size)
    return await thread.do(part.publish)


async def _fetch_once(transport: Transport, link: yarl.URL, part: Part, thread: _Thread, progress: Progress) -> None:
    """Ask once for what is missing, and take it in to the end."""
    try:
        async with transport.download(link, asking(part.facts, part.size)) as response:
            match judge(response.status, response.headers, part.facts, part.size, time.time()):
                case Brings.NOTHING_MORE:
                    return
                case Brings.ANOTHER:
                    await thread.do(part.drop)
                    raise Interrupted("the film there is not the one that was begun")
                case Brings.ALL:
                    await thread.do(part.begin, Facts.of(part.source, response.headers))
                case _:  # the rest
                    part.learn(total_of(response.headers))
            await _pour(response.content, part, thread, progress)
    except aiohttp.RedirectClientError as error:
        raise DownloadError(f"it leads to no http(s) link: {error}", submitted="yes") from None
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Interrupted(f"{type(error).__name__}: {error}") from None
    # A body that is shorter than its own length ends in an error of aiohttp; but a host may send a piece of the rest.
    if part.total not in {None, part.size}:
        if part.size > (part.total or 0):
            await thread.do(part.drop)
        raise Interrupted(f"{part.size} bytes came of {part.total}")


async def _pour(content: aiohttp.StreamReader, part: Part, thread: _Thread, progress: Progress) -> None:
    """Write a body as it comes; what has come is written also if it breaks off."""
    loop = asyncio.get_running_loop()
    batch: list[bytes] = []
    size, since, writing = 0, loop.time(), thread.begin(part.write, [])
    progress(part.size, part.total)
    try:
        while chunk := await content.readany():
            batch.append(chunk)
            size += len(chunk)
            if size >= _BATCH or loop.time() - since >= _BATCH_SECONDS:
                await ended(writing)
                progress(part.size, part.total)
                writing = thread.begin(part.write, batch)
                batch, size, since = [], 0, loop.time()
    except (aiohttp.ClientError, TimeoutError):
        # aiohttp keeps back what it had read before the break.
        content.set_exception(None)  # type: ignore[arg-type]
        batch.append(content.read_nowait())
        raise
    finally:
        await ended(writing)
        await thread.do(part.write, batch)


def _link(url: str) -> yarl.URL:
    try:
        # A link may be signed as it stands, so that quoting it anew would break it.
        link = yarl.URL(url, encoded=re.fullmatch("[!-~]+", url) is not None)
        usable = link.scheme in {"http", "https"} and link.host and link.port
    except ValueError:
        usable = False
    if not usable:
        raise DownloadError(f"{url[:200]!r} is no http(s) link", submitted="yes")
    return link
