"""The client: what a user holds, composed of the rooms below it.

What belongs here: options, their defaults and checks, and the public verbs. What must not: any rule of its own.
"""

import asyncio
import logging
import os
import warnings
from collections.abc import AsyncIterator, Iterable, Mapping
from types import EllipsisType, TracebackType
from typing import Self

import aiohttp

from foxvideo import requests, task as tasks
from foxvideo.checks import LocalMedia
from foxvideo.errors import AuthenticationError, InvalidRequest, TaskAbandoned
from foxvideo.lifecycle import Lifecycle
from foxvideo.requests import Request, VideoRequest
from foxvideo.schedule import Growing, Schedule
from foxvideo.task import VideoTask
from foxvideo.transport import USER_AGENT, ConnectorFactory, Transport
from foxvideo.video import Video
from foxvideo.wire import is_task_id, read_models

logging.getLogger("foxvideo").addHandler(logging.NullHandler())

DEFAULT_BASE_URL = "https://api.foxapi.cc"
_UNLIMITED = {"max_active", "task_timeout"}  # what None means for these alone


class Client:
    """One asynchronous session with FoxAPI: submits tasks, follows them, and remembers each one it paid for.

    Use it as ``async with Client() as client``, or call ``close()``. The constructor does no I/O and needs no event
    loop; the first use binds the client to the loop that runs then. Seconds are floats.

    Args:
        api_key: The key; None takes it from the environment variable ``FOXAPI_API_KEY``.
        base_url: Where the service answers; None takes ``FOXAPI_BASE_URL``, else ``https://api.foxapi.cc``. The
            service's newer name is ``https://api.aihubmax.com``.
        max_requests: Most requests in flight at once, submits and queries together. Transfers of files have a bound
            of their own.
        max_active: Most submitted tasks that have not ended; None for no limit.
        task_timeout: Seconds that one task may take, from the moment its submit is first sent (waiting for its turn
            does not count); None for no limit.
        request_timeout: Seconds to wait for the reply to a submit.
        poll_timeout: Seconds that one query may take.
        submit_attempts: How often a submit may be sent in all; it is sent again only if it certainly did not arrive
            or was refused with nothing made.
        retry_429: Whether a 429 counts as such a refusal.
        schedule: When to ask after a task; None for ``Growing()``.
        sync_upstream: Whether queries ask the service to look upstream before it answers.
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
        connector: ConnectorFactory = aiohttp.TCPConnector,
        proxy: str | None = None,
        trust_env: bool = False,
        user_agent: str | None = None,
    ) -> None:
        key = api_key or os.environ.get("FOXAPI_API_KEY")
        if not key:
            raise AuthenticationError("no API key: pass api_key or set FOXAPI_API_KEY")
        positive: dict[str, float | None] = {
            "max_requests": max_requests,
            "max_active": max_active,
            "task_timeout": task_timeout,
            "request_timeout": request_timeout,
            "poll_timeout": poll_timeout,
            "submit_attempts": submit_attempts,
        }
        for name, value in positive.items():
            if not (name in _UNLIMITED if value is None else value > 0):
                raise ValueError(f"{name} must be above 0, not {value!r}")
        self._task_timeout = task_timeout
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
            schedule=schedule or Growing(),
            submit_attempts=submit_attempts,
            retry_429=retry_429,
            sync_upstream=sync_upstream,
            max_requests=max_requests,
            max_active=max_active,
        )

    def submit(
        self,
        request: VideoRequest | Mapping[str, object],
        *,
        timeout: float | EllipsisType | None = ...,
        check: bool = True,
    ) -> VideoTask:
        """Begin a task and return its handle at once, like ``asyncio.create_task``.

        The handle is awaitable; dropping it or cancelling who waits for it does not stop the task, and the client
        remembers it (``unfinished``).

        Args:
            request: What to make: a request, or a mapping as the API's own JSON has it.
            timeout: Seconds for this task, None for no limit; the client's ``task_timeout`` if not given.
            check: Whether fields are checked against the documentation. False sends them as they are.

        Raises:
            InvalidRequest: All faults of the request, before anything is sent.
            ClientClosed: The client is closed.
        """
        if isinstance(request, Mapping):
            request = Request.from_mapping(request)
        requests.check(request, documented=check)
        return self._lifecycle.submit(request, self._timeout(timeout))

    async def generate(
        self,
        request: VideoRequest | Mapping[str, object],
        *,
        timeout: float | EllipsisType | None = ...,  # noqa: ASYNC109 - the task's, not this coroutine's
        check: bool = True,
    ) -> Video:
        """Submit a request and wait for its video.

        Nothing happens until it runs. Cancelling it withdraws what was not sent; a task that was sent goes on, and
        stays in ``unfinished()``. Do not repeat it on a TimeoutError or an OSError: go on with
        ``client.task(error.task_id)``.

        Args:
            request: What to make: a request, or a mapping as the API's own JSON has it.
            timeout: Seconds for this task, None for no limit; the client's ``task_timeout`` if not given.
            check: Whether fields are checked against the documentation. False sends them as they are.

        Raises:
            InvalidRequest: All faults of the request, before anything is sent.
            SubmitUncertain: A task may have been made; look before you repeat.
            TaskFailed: The task ended without a video.
            TaskTimeout: It did not end in time; it goes on.
            FoxError: See the tree in ``foxvideo.errors``.
        """
        task = self.submit(request, timeout=timeout, check=check)
        try:
            return await task
        except asyncio.CancelledError:
            self._lifecycle.withdraw(task, TaskAbandoned("withdrawn, nothing was sent"))
            raise

    def task(self, task_id: str, *, timeout: float | EllipsisType | None = ...) -> VideoTask:
        """Return the handle of a task by its id; sends nothing until somebody waits for it.

        The same id gives the same handle while that lives, so that however many wait, it is asked for once.

        Args:
            task_id: As ``VideoTask.id`` or an error told it.
            timeout: Seconds from the moment somebody waits, None for no limit; the client's ``task_timeout`` if not
                given. A living handle keeps its own.

        Raises:
            InvalidRequest: It cannot be an id.
        """
        if not is_task_id(task_id):
            raise InvalidRequest(f"{task_id!r} is no task id")
        return self._lifecycle.task(task_id, self._timeout(timeout))

    def as_completed(self, tasks_: Iterable[VideoTask]) -> AsyncIterator[VideoTask]:
        """Yield handles in the order in which they end, well or not; each once. Stopping early stops no task."""
        return tasks.as_completed(tasks_)

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

    async def close(self) -> None:
        """Close the client: may be called twice.

        Withdraws what was not sent, waits for replies to submits under way (``request_timeout`` at most), ends those
        who wait with ``ClientClosed``, and logs one warning with the id of every unfinished task. Cancelling it cuts
        the waiting; what is open is closed all the same.
        """
        await self._lifecycle.close()

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
