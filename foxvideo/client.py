"""The client: what a user holds, composed of the rooms below it.

What belongs here: options, their defaults and checks, and the public verbs. What must not: any rule of its own.
"""

import asyncio
import contextlib
import os
import time
import warnings
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from types import EllipsisType, TracebackType
from typing import TYPE_CHECKING, Self

import aiohttp

from foxvideo import task as tasks
from foxvideo._engine.autosave import Saving, Target, refuse, saved
from foxvideo._engine.engine import Lifecycle
from foxvideo._http import USER_AGENT, ConnectorFactory, Transport
from foxvideo._journal import Journal, RecordStatus, TaskRecord
from foxvideo._journal.recorder import Bookkeeper, Forgetful, expired, recalled_request, unsaved
from foxvideo._wire.decode import is_task_id, read_models
from foxvideo.errors import AuthenticationError, KeyStateError
from foxvideo.requests import generic as requests
from foxvideo.requests.generic import Request, VideoRequest
from foxvideo.requests.validation import LocalMedia
from foxvideo.schedule.base import Schedule
from foxvideo.task import VideoTask
from foxvideo.video import Video

if TYPE_CHECKING:
    from foxvideo.account import Balance, Prices
    from foxvideo.batch.journey import Watch
    from foxvideo.batch.running import Batch, Items

_LONGEST_KEY = 200
DEFAULT_BASE_URL = "https://api.foxapi.cc"
_UNLIMITED = {"max_active", "task_timeout", "upload_limit"}  # what None means for these alone


class Client:
    """One asynchronous session with FoxAPI: submits tasks, follows them, and remembers each one it paid for.

    Use it as ``async with Client() as client``, or call ``close()``. The constructor does no I/O and needs no event
    loop; the first use binds the client to the loop that runs then. Seconds are floats.

    Args:
        api_key: The key; None takes it from the environment variable ``FOXAPI_API_KEY``.
        base_url: Where the service answers; None takes ``FOXAPI_BASE_URL``, else ``https://api.foxapi.cc``. The
            service's newer name is ``https://api.aihubmax.com``.
        max_requests: Most requests in flight at once, submits and queries together. Transfers of files have a bound
            of their own: at most 4 up and 8 down.
        max_active: Most submitted tasks that have not ended; None for no limit.
        task_timeout: Seconds that one task may take, from the moment its submit is first sent (waiting for its turn
            does not count); None for no limit.
        request_timeout: Seconds to wait for the reply to a submit.
        poll_timeout: Seconds that one query may take.
        submit_attempts: How often a submit may be sent in all; it is sent again only if it certainly did not arrive
            or was refused with nothing made.
        retry_429: Whether a 429 counts as such a refusal.
        schedule: When to ask after a task; None for ``Learned()``.
        sync_upstream: Whether queries ask the service to look upstream before it answers.
        journal: The memory on disk: a file, which several clients and processes may share, or None for none. With it
            every submit is written down before it is sent, and survives a crash.
        save_to: A folder, which is made, into which each video is saved as soon as it is done, under its task's id;
            None for none. ``generate`` then waits for its file, ``close`` for all that are on their way; a failure
            that nobody waits for is one WARNING.
        upload_limit: Most bytes of a local file; None for no limit of ours.
        connector: Makes aiohttp's connectors, such as ``functools.partial(aiohttp.TCPConnector, ssl=context)``; is
            called with ``limit=`` and ``force_close=``, and the client closes what it made.
        proxy: URL of a proxy for all requests; None for none.
        trust_env: Whether the proxies of the environment are used.
        user_agent: What every request calls itself; None for ``foxvideo/<version>``.

    Raises:
        AuthenticationError: There is no key.
        ValueError: An option is out of its range.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        max_requests: int = 32,
        max_active: int | None = None,
        task_timeout: float | None = 3600.0,
        request_timeout: float = 60.0,
        poll_timeout: float = 15.0,
        submit_attempts: int = 4,
        retry_429: bool = True,
        schedule: Schedule | None = None,
        sync_upstream: bool = True,
        journal: str | os.PathLike[str] | None = None,
        save_to: str | os.PathLike[str] | None = None,
        upload_limit: int | None = None,
        connector: ConnectorFactory = aiohttp.TCPConnector,
        proxy: str | None = None,
        trust_env: bool = False,
        user_agent: str | None = None,
    ) -> None:
        key = api_key or os.environ.get("FOXAPI_API_KEY")
        if not key:
            raise AuthenticationError("no API key: pass api_key or set FOXAPI_API_KEY", submitted="no", hint="")
        positive: dict[str, float | None] = {
            "max_requests": max_requests,
            "max_active": max_active,
            "task_timeout": task_timeout,
            "request_timeout": request_timeout,
            "poll_timeout": poll_timeout,
            "submit_attempts": submit_attempts,
            "upload_limit": upload_limit,
        }
        for name, value in positive.items():
            if not (name in _UNLIMITED if value is None else value > 0):
                raise ValueError(f"{name} must be above 0, not {value!r}")
        self._task_timeout = task_timeout
        self._journal = None if journal is None else Journal(journal)
        self._transport = Transport(
            base_url=base_url or os.environ.get("FOXAPI_BASE_URL") or DEFAULT_BASE_URL,
            api_key=key,
            request_timeout=request_timeout,
            poll_timeout=poll_timeout,
            connector=connector,
            proxy=proxy,
            trust_env=trust_env,
            user_agent=user_agent or USER_AGENT,
        )
        self._lifecycle = Lifecycle(
            transport=self._transport,
            schedule=schedule or _default_schedule(),
            submit_attempts=submit_attempts,
            retry_429=retry_429,
            sync_upstream=sync_upstream,
            max_requests=max_requests,
            max_active=max_active,
            upload_limit=upload_limit,
            books=Bookkeeper(self._journal, self._transport.base_url) if self._journal else Forgetful(),
        )
        self._saving = Saving(self._lifecycle.books)
        self._save_to = None if save_to is None else Target(Path(save_to), folder=True)

    @property
    def base_url(self) -> str:
        """Where the service answers, without a trailing slash; the ``origin`` of this client's rows in the journal."""
        return self._transport.base_url

    def submit(
        self,
        request: VideoRequest | Mapping[str, object],
        *,
        key: str | None = None,
        retry_failed: bool = False,
        timeout: float | EllipsisType | None = ...,
        check: bool = True,
    ) -> VideoTask:
        """Begin a task and return its handle at once, like ``asyncio.create_task``.

        The handle is awaitable; dropping it or cancelling who waits for it does not stop the task, and the client
        remembers it (``unfinished``).

        Args:
            request: What to make: a request, or a mapping as the API's own JSON has it.
            key: Your name for the task, at most 200 characters; needs a journal. The same key and request is the same
                task: now, concurrently, in another process, and after a crash. None for a new task.
            retry_failed: Whether a task under this key that failed is tried anew, which is a new, paid task.
            timeout: Seconds for this task, None for no limit; the client's ``task_timeout`` if not given.
            check: Whether fields are checked against the documentation. False sends them as they are.

        Raises:
            InvalidRequest: All faults of the request, before anything is sent.
            ClientClosed: The client is closed.
            ValueError: A key without a journal, or one that is no name.
        """
        if key is not None:
            self._check_key(key)
        task = self._submit(request, self._timeout(timeout), key=key, retry_failed=retry_failed, check=check)
        if self._save_to is not None:
            self._saving.when_done(task, self._save_to)
        return task

    def _submit(
        self,
        request: VideoRequest | Mapping[str, object],
        timeout: float | None,
        *,
        key: str | None,
        check: bool,
        retry_failed: bool = False,
        risk: bool = False,
    ) -> VideoTask:
        if isinstance(request, Mapping):
            request = Request.from_mapping(request)
        requests.check(request, documented=check)
        return self._lifecycle.submit(request, timeout, key=key, retry_failed=retry_failed, risk=risk)

    def _check_key(self, key: str) -> None:
        self._memory()
        if not key.strip() or not key.isprintable() or len(key) > _LONGEST_KEY or key.startswith("auto-"):
            raise ValueError(f"a key is a printable text of 1 to {_LONGEST_KEY} characters, not {key[:80]!r}")

    def _memory(self) -> Journal:
        if self._journal is None:
            raise ValueError("this needs a journal: Client(journal='videos.db')")
        return self._journal

    async def generate(
        self,
        request: VideoRequest | Mapping[str, object],
        *,
        key: str | None = None,
        retry_failed: bool = False,
        timeout: float | EllipsisType | None = ...,  # noqa: ASYNC109 - the task's, not this coroutine's
        check: bool = True,
        save: str | os.PathLike[str] | None = None,
    ) -> Video:
        """Submit a request and wait for its video.

        Nothing happens until it runs. Cancelling it withdraws what was not sent; a task that was sent goes on, and
        stays in ``unfinished()``. Do not repeat it on a TimeoutError or an OSError: go on with
        ``client.task(error.task_id)``.

        Args:
            request: What to make: a request, or a mapping as the API's own JSON has it.
            key: Your name for the task, at most 200 characters; needs a journal. The same key and request is the same
                task: now, concurrently, in another process, and after a crash. None for a new task.
            retry_failed: Whether a task under this key that failed is tried anew, which is a new, paid task.
            timeout: Seconds for this task, None for no limit; the client's ``task_timeout`` if not given.
            check: Whether fields are checked against the documentation. False sends them as they are.
            save: The file to save the video in, also if nobody waits for it any more; must not exist, unless it is
                what the journal knows to be saved of this key. None for ``save_to`` of the client, if that is set.

        Raises:
            InvalidRequest: All faults of the request, before anything is sent.
            OSError: The file cannot be made: before anything is sent, as far as that can be told.
            DownloadError: The video was made and not saved: ``video.save`` or the same key does it later.
            SubmitUncertain: A task may have been made; look before you repeat.
            TaskFailed: The task ended without a video.
            TaskTimeout: It did not end in time; it goes on.
            FoxError: See the tree in ``foxvideo.errors``.
        """
        target = self._save_to
        if key is not None:
            self._check_key(key)
        if save is not None:
            target = Target(Path(save), folder=False)
            await self._refuse(target.path, key)
        task = self._submit(request, self._timeout(timeout), key=key, retry_failed=retry_failed, check=check)
        saves = [] if target is None else self._saving.when_done(task, target)
        try:
            video = await task
        except asyncio.CancelledError:
            self._lifecycle.submits.give_up(task)
            raise
        await saved(saves)
        return video

    async def _refuse(self, path: Path, key: str | None) -> None:
        """Refuse a file that could not be made, unless it is what was saved under a key."""
        self._lifecycle.bind()
        row = None if key is None else await self._lifecycle.books.look(key)
        await asyncio.to_thread(refuse, path, None if row is None else row.file)

    def task(
        self, task_id: str | None = None, *, key: str | None = None, timeout: float | EllipsisType | None = ...
    ) -> VideoTask:
        """Return the handle of a task by its id, or by the key that it was submitted with; submits nothing.

        Nothing is sent until somebody waits for it. The same id gives the same handle while that lives, so that however
        many wait, it is asked for once.

        Args:
            task_id: As ``VideoTask.id`` or an error told it.
            key: Instead of an id: looked up in the journal. The handle ends in ``TaskNotFound`` where no task was made
                under this key, and in ``SubmitUncertain`` where that is not known.
            timeout: Seconds from the moment somebody waits, None for no limit; the client's ``task_timeout`` if not
                given. A living handle keeps its own.

        Raises:
            ValueError: It cannot be an id, or both are given, or there is a key and no journal.
        """
        if key is not None:
            if task_id is not None:
                raise ValueError("give a task id or a key, not both")
            self._memory()
            return self._lifecycle.submits.look_up(key, self._timeout(timeout))
        if not is_task_id(task_id):
            raise ValueError(f"{task_id!r} cannot be a task id")
        return self._lifecycle.task(str(task_id), self._timeout(timeout))

    async def history(self) -> tuple[TaskRecord, ...]:
        """Return what the journal knows, in the order of planning; a key that was tried anew has several rows.

        Raises:
            JournalError: It cannot be read.
            ValueError: There is no journal.
        """
        self._lifecycle.bind()
        return await self._memory().rows()

    async def resume(self) -> tuple[VideoTask, ...]:
        """Return handles of all tasks at this host that are accepted and not known to have ended; submits nothing.

        Where the client has ``save_to``, they are followed at once, and with them those of the last 24 hours that were
        completed and not saved; a download that was cut goes on where it was.

        An *uncertain* submit is not among them, since it has no id: see ``history()``, ``adopt`` and ``resubmit``.

        Raises:
            JournalError: The journal cannot be read.
            ValueError: There is no journal.
        """
        self._lifecycle.bind()
        rows = await self._memory().rows(running=self._save_to is None)
        here, now = self._transport.base_url, time.time()
        tasks = [
            self._lifecycle.remembered(row, self._task_timeout)
            for row in rows
            if row.origin == here and (row.status is RecordStatus.ACCEPTED or (not expired(row, now) and unsaved(row)))
        ]
        if self._save_to is not None:
            for task in tasks:
                self._saving.when_done(task, self._save_to)
        return tuple(tasks)

    async def adopt(self, key: str, task_id: str) -> VideoTask:
        """Say that an uncertain submit made this task, as you found it in the console, and return its handle.

        Raises:
            KeyStateError: There is no uncertain submit under the key, its client may still hear the answer, the id is
                another submit's, or it can be no id.
            JournalError: The journal cannot be written.
            ValueError: There is no journal.
        """
        self._lifecycle.bind()
        row = await self._memory().uncertain(key, self._transport.base_url)
        if not is_task_id(task_id):
            raise KeyStateError(f"{task_id!r} cannot be a task id", key=key, submitted=row.status.submitted)
        row = await self._memory().adopt(key, task_id, self._transport.base_url)
        self._lifecycle.settle(key)
        return self._lifecycle.remembered(row, self._task_timeout)

    async def resubmit(self, key: str, request: VideoRequest | Mapping[str, object] | None = None) -> VideoTask:
        """Send an uncertain submit again: **if it was accepted after all, you pay twice**.

        Args:
            key: Of the uncertain submit.
            request: The same request as then; None takes it from the journal, which has no local files.

        Raises:
            KeyStateError: There is no uncertain submit under the key, its client may still hear the answer, or the
                request has local files and was not given.
            JournalError: The journal cannot be read.
            ValueError: There is no journal.
        """
        self._lifecycle.bind()
        row = await self._memory().uncertain(key, self._transport.base_url)
        request = recalled_request(row) if request is None else request
        if request is None:
            raise KeyStateError(
                "the request had local files, which the journal does not keep",
                key=key,
                submitted=row.status.submitted,
                hint="pass the same request again: client.resubmit(key, request)",
            )
        self._lifecycle.settle(key)
        return self._submit(request, self._task_timeout, key=key, risk=True, check=False)

    def as_completed(self, tasks_: Iterable[VideoTask]) -> AsyncIterator[VideoTask]:
        """Yield handles in the order in which they end, well or not; each once. Stopping early stops no task."""
        return tasks.as_completed(tasks_)

    def batch(
        self,
        rows: "Items",
        into: str | os.PathLike[str],
        *,
        max_active: int = 64,
        max_credits: float | None = None,
        retry_failed: bool = False,
        timeout: float | EllipsisType | None = ...,
        check: bool = True,
        watch: "Watch | None" = None,
    ) -> "Batch":
        """Make a film of each row and save it in a folder: ``async for outcome in client.batch(rows, into="clips/")``.

        A row is named by its content, and its name is the key of its task, so that the same rows again go on where the
        last run stopped, and buy nothing twice; of equal rows the second is ``#2``. Each outcome is also a line of
        ``results.jsonl`` in the folder. Rows are read as they are needed, so there may be any number of them.

        Args:
            rows: A ``foxvideo.batch.Manifest``, or requests, of an iterable or an asynchronous one. One that is not
                asynchronous is read in a thread.
            into: The folder; made if need be.
            max_active: Most rows that are submitted and not saved yet.
            max_credits: What all tasks in the journal together may reserve; None for no limit. Until the service has
                told what one task of a model reserves, tasks go out one at a time.
            retry_failed: Whether rows whose task failed in a former run are tried anew: new, paid tasks.
            timeout: Seconds for each task, None for no limit; the client's ``task_timeout`` if not given.
            check: Whether requests are checked against the documentation; a manifest has its own word on that.
            watch: Is told where a row stands: the row, a word such as ``saving``, and per cent or None.

        Raises:
            ValueError: There is no journal, or an option is out of its range.
        """
        from foxvideo.batch.journey import quiet  # noqa: PLC0415
        from foxvideo.batch.running import Batch, Order  # noqa: PLC0415 - most programs have no batch

        if max_active < 1:
            raise ValueError(f"max_active must be above 0, not {max_active!r}")
        order = Order(
            client=self,
            journal=self._memory(),
            items=rows,
            folder=Path(into),
            max_active=max_active,
            max_credits=max_credits,
            retry_failed=retry_failed,
            timeout=self._timeout(timeout),
            check=check,
            watch=watch or quiet,
        )
        return Batch(order)

    def unfinished(self) -> tuple[VideoTask, ...]:
        """Return every task that may exist and is not known to have ended; works after ``close()``, too.

        Uncertain submits are among them, and before ``close()`` those that wait to be sent: their ``id`` is None.
        """
        return tuple(self._lifecycle.unfinished.values())

    async def upload(self, media: LocalMedia) -> str:
        """Upload a local file, or bytes, and return its public URL, which lives 72 hours.

        The same content is uploaded once in 24 hours. Requests do this by themselves.

        Raises:
            UploadError: The file cannot be read, or the service did not take it.
            FoxError: The service refuses the key, or cannot be reached.
        """
        self._lifecycle.bind()
        return await self._lifecycle.uploads.link(media)

    async def models(self) -> tuple[str, ...]:
        """Return the ids of the models that this key may call; asks once.

        Raises:
            FoxError: The service refuses the key, or cannot be reached.
        """
        self._lifecycle.bind()
        return read_models(await self._transport.get("/v1/models"))

    async def balance(self) -> "Balance":
        """Return what this key has left; asks two routes once each.

        Raises:
            FoxError: The service refuses the key, or cannot be reached.
        """
        from foxvideo.account import Balance  # noqa: PLC0415 - few need it, and importing foxvideo is to be quick

        self._lifecycle.bind()
        usage = await self._transport.get("/api/usage/token/")
        return Balance.read(usage, await self._transport.get("/v1/account/credits"))

    async def prices(self) -> "Prices":
        """Return the price list, for ``request.estimate(prices)``; asks once.

        Raises:
            FoxError: The service cannot be reached, or shows none.
        """
        from foxvideo.account import Prices  # noqa: PLC0415 - as above

        self._lifecycle.bind()
        return Prices.read(await self._transport.get("/api/pricing"))

    async def close(self) -> None:
        """Close the client: may be called twice.

        Waits for what is being saved into ``save_to``. Withdraws what was not sent, waits for replies to submits under
        way (``request_timeout`` at most), ends those who wait with ``ClientClosed``, and logs one warning with the id
        of every unfinished task. Cancelling it cuts the waiting; what is open is closed all the same.
        """
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._saving.close)  # cuts what begins while the rest is being closed
            stack.push_async_callback(self._lifecycle.close)
            await self._saving.close()

    async def __aenter__(self) -> Self:
        self._lifecycle.bind()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        state = "closed" if self._lifecycle.closed else f"{len(self._lifecycle.unfinished)} unfinished"
        return f"<Client {self._transport.base_url} {state}>"

    def __del__(self) -> None:
        lifecycle = getattr(self, "_lifecycle", None)
        if lifecycle is not None and lifecycle.bound:
            warnings.warn(f"unclosed {self!r}: use 'async with' or close()", ResourceWarning, source=self, stacklevel=2)

    def _timeout(self, given: float | EllipsisType | None) -> float | None:
        if given is ...:
            return self._task_timeout
        if given is not None and not given > 0:
            raise ValueError(f"timeout must be above 0, not {given!r}")
        return given


def _default_schedule() -> Schedule:
    from foxvideo.schedule.adaptive import Learned  # noqa: PLC0415 - importing foxvideo need not wait for it

    return Learned()
