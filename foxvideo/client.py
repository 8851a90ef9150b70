"""The client: submits tasks, follows them, and remembers each one that it paid for.

## Why a journal

A submission costs money. The service has no list of tasks, and no way to say "this is the same request again". So if a
program dies, or a reply is lost, only its own memory can tell what was bought. ``Client(journal="videos.db")`` keeps
that memory in an SQLite file. Each submission is on the disk before its first byte leaves, and each task id is on the
disk before your program sees it. Without a journal, everything is forgotten when the process ends.

## A key is your name for a task

```python
video = await client.generate(shots[0], key="shot-17")
again = await client.generate(shots[0], key="shot-17")
assert again.id == video.id
```

The same key with the same request is the same task. It is paid for once: at the same time in two coroutines, a second
time after it has ended, after a crash, and in another process that has the same journal. So you may kill this program
and start it again; what is complete is answered from the journal, what runs is followed, what was never sent is sent:

```python
tasks = [client.submit(shot, key=f"shot-{number}") for number, shot in enumerate(shots)]
videos = await asyncio.gather(*tasks, return_exceptions=True)
```

| the key's last attempt | what the same key does |
|---|---|
| runs | joins it |
| completed | returns its video; nothing is sent |
| failed, or was cancelled | raises the same error; ``retry_failed=True`` buys a new attempt |
| refused, or withdrawn | sends it: nothing was made |
| uncertain | raises ``SubmitUncertain``: a person decides |

The same key with *another* request raises ``KeyConflict``. Take a key from your own data: an order number, a row's id.

## After a crash

``client.resume`` returns a handle for each accepted task that is not known to have ended. It submits nothing.

```python
task = client.submit(shots[0], key="shot-17")
await task.wait_accepted()
async with Client(journal="videos.db") as later:
    for found in await later.resume():
        print(found.key, (await found).url)
```

``client.history`` returns every record of the journal, as ``TaskRecord``.

## What only you can decide

A submission is *uncertain* when it left and no answer came back: a timeout, a reset, a 5xx, a crash at that moment. A
task may exist and may cost money. foxvideo never sends it again by itself. Look at the console of your account, then
say what you found:

```python
for record in await client.uncertain():
    print(record.key, record.model, record.error)
await client.adopt("shot-17", "task-unified-1757165031-uyujaw3d")  # the console shows it, under this id
await client.resubmit("shot-18")  # the console does not show it; if it was made after all, you pay twice
```

``client.adopt`` polls the id before it writes it down, so a typing error changes nothing.

## When a task ends, whatever happened meanwhile

A service that answers its own users wants to know of each end, also of those that came while it was down:

```python
from foxvideo import VideoTask


async def tell_the_customer(task: VideoTask) -> None:
    error = task.exception()
    print(task.key, task.result().url if error is None else error.hint)


async with Client(journal="videos.db", on_end=tell_the_customer) as telling:
    telling.submit(shots[0], key="shot-17")
```

- **At least once.** It is called with the handle of each task that has ended, again and again until it returned, ever
  more slowly, at most every five minutes; each time that it raises is an ERROR in the log. With a journal this goes on
  after a crash: what was submitted by a client with ``on_end`` is handed over by it or by any later one, and tasks that
  nobody follows any more are followed by itself. Without a journal it ends with the process.
- **What is an end?** A video, ``TaskFailed``, ``TaskCancelled``, a refusal, and ``SubmitUncertain``, which is handed
  over once more when a person has decided and its task has ended. A wait that timed out, was abandoned or withdrawn is
  none. After a restart a refusal is a ``TaskNotFound`` that says why.
- **Twice?** If the process dies after your function returned and before the journal had it. So let it do nothing new
  for a ``task.key`` and ``task.id`` that it has seen.
- **In which order?** About as they end; 16 calls run at once, and those that raised come later.
- **In several processes** that share a journal, the one hands an end over that had submitted the task, and another one
  once that is gone.
- **With ``save_to``**, the file is there when it is called, or saving it has failed: ``task.result().file`` says so.
- **Closing**: ``close()`` calls it once more for each end that waits and gives it half a minute; what is not handed
  over by then is, at the next start. Your function may use the client until then.

In a shell: ``foxvideo resume --exec 'notify.sh'``.

## One machine, and beyond

- **One process** follows 100,000 tasks. Each is polled when its end is likely (``foxvideo.schedule``).
- **Many processes of one machine** may share one journal file. A key is bought once among them. The file must lie on a
  local disk: a network file system does not keep its locks.
- **Many machines** share a journal in PostgreSQL: ``Client(journal="postgresql://user@host/name")``, after
  ``pip install 'foxvideo[postgres]'``. Whoever may create a schema there runs ``foxvideo journal init`` once, or what
  ``foxvideo journal init --print`` prints. Then a key is bought once among all of them, whatever hands the work out: a
  queue that delivers twice does no harm where its job's name is the key.
- A client is known to live by its **lease** in the database, ten seconds unless the URL says ``?lease=5``. What a
  silent client had planned is sent by the next one who submits its key; what it was sending is uncertain. A process
  that was stopped for longer looks at its own clock before it sends, and holds itself back. While the database is away,
  submissions wait for half a minute and then fail, following goes on, and ids that arrive are written later.
- **A standby that follows asynchronously, and a restore to an earlier moment, forget commits**, and what was forgotten
  can be bought again. Set ``synchronous_standby_names = '*'``, or look at the console of your account after a failover.
- What a dead client had accepted is followed by another: ``async with client.working():`` takes up by itself what no
  living client follows, on this machine or another; ``await client.resume()`` does so once, and returns the handles.
- What all of them together may do with an account is ``client.set_limits(...)``: ``foxvideo.account``.
- A queue with workers on any number of machines: ``foxvideo.farm``.
- Behind a PgBouncer before 1.21 say ``?prepare=no``.
- A journal that is copied, restored from a backup, or deleted forgets what came since. What it forgot can be bought
  again.
- It is made and tested on Linux and macOS.

## Options

Everything below has a default that is right for one program on one machine. Times are seconds, as floats.
"""

import asyncio
import contextlib
import functools
import logging
import os
import sys
import warnings
from collections.abc import AsyncIterator, Iterable, Mapping
from types import EllipsisType, TracebackType
from typing import IO, TYPE_CHECKING, Literal, Self

import aiohttp
import attrs

from foxvideo import _options, task as tasks
from foxvideo._aio import in_thread
from foxvideo._engine.autosave import Autosave, saved
from foxvideo._engine.dispatcher import Dispatcher
from foxvideo._engine.engine import Engine
from foxvideo._engine.gate import Gate
from foxvideo._engine.handover import HandOver
from foxvideo._engine.job import Job
from foxvideo._engine.jobs import Jobs
from foxvideo._engine.lookup import Lookup
from foxvideo._engine.polling import Polling
from foxvideo._engine.submission import Submissions
from foxvideo._engine.takeup import MOST, TakeUp
from foxvideo._http import USER_AGENT, ConnectorFactory, Transport
from foxvideo._journal import is_postgres, store_at
from foxvideo._journal.limits import AccountUse, Limits
from foxvideo._journal.record import RecordStatus, TaskRecord, account_name, undecided
from foxvideo._journal.recorder import JournalRecorder, NullRecorder, Recorder, recalled_request
from foxvideo._journal.store import Store
from foxvideo._listeners import Listeners
from foxvideo._options import call, count, flag, path, seconds, text
from foxvideo._transfer.target import Target
from foxvideo._transfer.upload import Uploads
from foxvideo._wire.decode import named_tasks, read_models
from foxvideo._wire.structure import is_task_id
from foxvideo.account import Balance, Prices
from foxvideo.errors import (
    AuthenticationError,
    FoxError,
    KeyStateError,
    Submitted,
    SubmitUncertain,
    TaskNotFound,
)
from foxvideo.events import Hook
from foxvideo.media import LocalMedia
from foxvideo.requests import generic
from foxvideo.requests.generic import Request, VideoRequest
from foxvideo.requests.grok import own
from foxvideo.schedule.adaptive import Learned
from foxvideo.schedule.base import Schedule, check as check_schedule, learning
from foxvideo.state import Stats, TaskState
from foxvideo.task import Callback, VideoTask, Watch, watched
from foxvideo.video import Source, Video

if TYPE_CHECKING:
    from foxvideo._engine.timers import Work
    from foxvideo.otel import OpenTelemetry

__all__ = ["Client"]

_log = logging.getLogger("foxvideo")

DEFAULT_BASE_URL = "https://api.foxapi.cc"
"""Where the service answers, unless the client or the environment says otherwise."""


class Client:
    """One asynchronous session with FoxAPI: submits tasks, follows them, and remembers each one it paid for.

    Use it as ``async with Client() as client``, or call ``close()``. The constructor does no I/O and needs no event
    loop; the first use binds the client to the loop that runs then. Seconds are floats.

    Args:
        api_key: The key; None takes it from the environment variable ``FOXAPI_API_KEY``.
        base_url: Where the service answers; None takes ``FOXAPI_BASE_URL``, else ``https://api.foxapi.cc``. The
            service's newer name is ``https://api.aihubmax.com``.
        max_requests: Most requests in flight at once, submissions and polls together. Transfers of files have a bound
            of their own: at most 4 up and 8 down.
        max_active: Most submitted tasks that have not ended; None for no limit.
        task_timeout: Seconds that one task may take, from the moment its submit is first sent (waiting for its turn
            does not count); None for no limit.
        request_timeout: Seconds to wait for the reply to a submission.
        poll_timeout: Seconds that one poll may take.
        submit_attempts: How often a submission may be sent in all; it is sent again only if it certainly did not
            arrive or was refused with nothing made.
        trust_refusals: Whether a 429, and a 422 that says that no channel serves the model now, count as such
            refusals. No page of the service promises that they make nothing: False makes them uncertain.
        idempotent: Whether the service honours ``Idempotency-Key``, so that a submission whose reply was lost is sent
            again with the same key. FoxAPI does not; do not set it for FoxAPI.
        schedule: When to poll a task; None for ``Learned()``.
        sync_upstream: Whether polls ask the service to look upstream before it answers.
        journal: The memory on disk. With it every submission is written down before it is sent, and survives a crash.
            A file, which several clients and processes of one machine may share; or the URL of a PostgreSQL database,
            ``postgresql://user@host/name``, which many machines may (``pip install 'foxvideo[postgres]'``;
            ``foxvideo journal init`` makes its tables). None takes ``FOXVIDEO_JOURNAL``, else there is none; False is
            none in any case.
        account: A name for the account behind the key, of your choice. A key in the journal is one account's alone, and
            all clients that name the same account share its limits. None takes ``FOXVIDEO_ACCOUNT``, else ``default``.
        save_to: A folder, which is made, into which each video is saved as soon as it is done, under its task's id;
            None for none. ``generate`` then waits for its file, ``close`` for all that are on their way; a failure
            that nobody waits for is one WARNING.
        on_event: Called with each ``Event`` (``foxvideo.events``): a function in a thread of its own, a coroutine
            function in the event loop; None for nothing. It harms nothing, whatever it does.
        on_end: Called with the handle of each task that has ended, until it returned; with a journal also for those
            that ended while nobody ran. A function in a thread, a coroutine function in the event loop. None for
            nothing.
        telemetry: Where spans and metrics go, ``foxvideo.otel.OpenTelemetry()``; None for nowhere.
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
        trust_refusals: bool = True,
        idempotent: bool = False,
        schedule: Schedule | None = None,
        sync_upstream: bool = True,
        journal: str | os.PathLike[str] | Literal[False] | None = None,
        account: str | None = None,
        save_to: str | os.PathLike[str] | None = None,
        on_event: Hook | None = None,
        on_end: Callback | None = None,
        telemetry: "OpenTelemetry | None" = None,
        connector: ConnectorFactory = aiohttp.TCPConnector,
        proxy: str | None = None,
        trust_env: bool = False,
        user_agent: str | None = None,
    ) -> None:
        key = text("api_key", api_key or os.environ.get("FOXAPI_API_KEY") or "")
        if not key:
            raise AuthenticationError("no API key: pass api_key or set FOXAPI_API_KEY", submitted="no", hint="")
        self._task_timeout = None if task_timeout is None else seconds("task_timeout", task_timeout)
        self._save_to = None if save_to is None else Target(path("save_to", save_to), folder=True)
        self._save_to_checked = False
        self._transport = Transport(
            base_url=text("base_url", base_url or os.environ.get("FOXAPI_BASE_URL") or DEFAULT_BASE_URL),
            api_key=key,
            request_timeout=seconds("request_timeout", request_timeout),
            poll_timeout=seconds("poll_timeout", poll_timeout),
            connector=connector,
            proxy=None if proxy is None else text("proxy", proxy),
            trust_env=flag("trust_env", trust_env),
            user_agent=text("user_agent", user_agent or USER_AGENT),
        )
        self._listeners = Listeners.of(on_event, telemetry, self.stats)
        self._store: Store | None = None
        if journal is None:
            journal = os.environ.get("FOXVIDEO_JOURNAL") or None
        if journal is not None and journal is not False:
            self._store = store_at(str(journal) if is_postgres(journal) else _options.file("journal", journal))
        self._account = text("account", account_name(account))
        self._recorder: Recorder = NullRecorder()
        if self._store is not None:
            self._recorder = JournalRecorder(
                self._store, self.base_url, self._account, self._listeners, hand_over=on_end is not None
            )
        if schedule is None:
            schedule = Learned()
        check_schedule(schedule)
        learned = learning(schedule)
        dispatcher: Dispatcher[Work] = Dispatcher(
            count("max_requests", max_requests), None if max_active is None else count("max_active", max_active)
        )
        sync_upstream = flag("sync_upstream", sync_upstream)
        self._gate = Gate(self._transport, dispatcher, sync_upstream, self._listeners)
        self._uploads = Uploads(self._transport, self._recorder, listeners=self._listeners)
        self._autosave = Autosave(self._recorder, self._listeners)
        source = Source(self._transport, self._gate.fresh, self._autosave.noted, self._recorder.files)
        jobs = Jobs(
            recorder=self._recorder,
            dispatcher=dispatcher,
            schedule=learned,
            source=source,
            uploads=self._uploads,
            listeners=self._listeners,
        )
        polling = Polling(
            jobs=jobs,
            dispatcher=dispatcher,
            transport=self._transport,
            schedule=learned,
            sync_upstream=sync_upstream,
        )
        self._lookup = Lookup(jobs=jobs, polling=polling, recorder=self._recorder)
        submissions = Submissions(
            jobs=jobs,
            lookup=self._lookup,
            polling=polling,
            dispatcher=dispatcher,
            transport=self._transport,
            uploads=self._uploads,
            recorder=self._recorder,
            attempts=count("submit_attempts", submit_attempts),
            trust_refusals=flag("trust_refusals", trust_refusals),
            idempotent=flag("idempotent", idempotent),
        )
        self._engine = Engine(
            jobs=jobs,
            submissions=submissions,
            polling=polling,
            gate=self._gate,
            dispatcher=dispatcher,
            uploads=self._uploads,
            recorder=self._recorder,
            schedule=learned,
            transport=self._transport,
        )
        self._hand_over: HandOver | None = None
        if on_end is not None:
            handle = functools.partial(VideoTask, engine=self._engine)
            self._hand_over = HandOver(
                jobs=jobs, autosave=self._autosave, function=call("on_end", on_end), handle=handle
            )
            jobs.hand_over, self._engine.ended = self._hand_over.put, self._hand_over.close
        self._take_up: TakeUp | None = None
        if self._store is not None:
            self._take_up = TakeUp(
                store=self._store,
                account=self._account,
                engine=self._engine,
                lookup=self._lookup,
                autosave=self._autosave,
                hand_over=self._hand_over,
                timeout=self._task_timeout,
                save_to=self._save_to,
            )
            if self._hand_over is not None:
                self._engine.began = self._take_up.begin

    @property
    def base_url(self) -> str:
        """Where the service answers, without a trailing slash; the ``origin`` of this client's rows in the journal."""
        return self._transport.base_url

    @property
    def journal(self) -> Store | None:
        """The journal, with verbs of its own that batches use; None without one. ``history()`` is for everybody."""
        return self._store

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
            check: Whether fields are checked against the documentation, and local files are refused that are
                certainly no media. False sends them as they are.

        Raises:
            InvalidRequest: All faults of the request, before anything is sent.
            OSError: Nothing can be written in the folder of ``save_to``; before anything is sent.
            ClientClosed: The client is closed.
            ValueError: A key without a journal, or one that is no name.
        """
        if key is not None:
            self._check_key(key)
        if self._save_to is not None and not self._save_to_checked:
            self._save_to.check()
            self._save_to_checked = True  # once is enough for a hundred thousand of them
        job = self._submit(request, self._timeout(timeout), key=key, retry_failed=retry_failed, check=check)
        if self._save_to is not None:
            self._autosave.when_done(job, self._save_to)
        return VideoTask(job, self._engine)

    def _submit(
        self,
        request: VideoRequest | Mapping[str, object],
        timeout: float | None,
        *,
        key: str | None,
        check: bool,
        retry_failed: bool = False,
        risk: bool = False,
    ) -> Job:
        if isinstance(request, Mapping):
            request = Request.from_mapping(request)
        if not isinstance(request, VideoRequest):  # whatever the types promise
            raise TypeError(f"pass a request, or a mapping of the API's own fields, not {request!r:.80}")
        generic.check(request, documented=check)
        return self._engine.submit(request, timeout, key=key, retry_failed=retry_failed, risk=risk, check=check)

    def _check_key(self, key: object) -> None:
        self._journal()
        if _options.key(key).startswith("auto-"):
            raise ValueError(f"keys that begin with 'auto-' are foxvideo's own: {key!r:.80}")

    def _journal(self) -> Store:
        """Return the memory on disk; raise ``ValueError`` without one."""
        if self._store is None:
            raise ValueError("this needs a journal: Client(journal='videos.db')")
        return self._store

    async def generate(
        self,
        request: VideoRequest | Mapping[str, object],
        *,
        key: str | None = None,
        retry_failed: bool = False,
        timeout: float | EllipsisType | None = ...,  # noqa: ASYNC109 - the task's, not this coroutine's
        check: bool = True,
        save_to: str | os.PathLike[str] | None = None,
        watch: Watch | None = None,
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
            check: Whether fields are checked against the documentation, and local files are refused that are
                certainly no media. False sends them as they are.
            save_to: The file to save the video in, also if nobody waits for it any more; must not exist, unless it is
                the video of this key. A folder for all results, which is made, where it ends with a slash. None for
                ``save_to`` of the client, if that is set.
            watch: Called in the event loop with each new ``TaskState``, so with its ``status`` and ``progress``; a
                coroutine function is awaited. It ends nothing if it raises. None for nothing.

        Raises:
            InvalidRequest: All faults of the request, before anything is sent.
            OSError: The file cannot be made, or exists: before anything is sent.
            DownloadError: The video was made and not saved: ``video.save`` or the same key does it later.
            SubmitUncertain: A task may have been made; look before you repeat.
            TaskFailed: The task ended without a video.
            TaskTimeout: It did not end in time; it goes on.
            FoxError: See the tree in ``foxvideo.errors``.
        """
        target = self._save_to
        if key is not None:
            self._check_key(key)
        if watch is not None:
            call("watch", watch)
        if save_to is not None:
            path("save_to", save_to)
            target = Target.of(save_to)
        if target is not None:
            await self._check_target(target, key, retry_failed=retry_failed)
        job = self._submit(request, self._timeout(timeout), key=key, retry_failed=retry_failed, check=check)
        saves = [] if target is None else self._autosave.when_done(job, target)
        task = VideoTask(job, self._engine)
        try:
            video = await (task if watch is None else watched(task, watch))
        except asyncio.CancelledError:
            self._engine.submissions.give_up(job.canonical)
            raise
        await saved(saves)
        return video

    async def _check_target(self, target: Target, key: str | None, *, retry_failed: bool) -> None:
        """Refuse a place that cannot be written before it is paid for, unless the video of a key lies there."""
        self._engine.bind()
        record = None if key is None else await self._recorder.look(key)
        if record is None:
            await in_thread(target.check)
        else:
            made = record.status in {RecordStatus.ACCEPTED, RecordStatus.COMPLETED} or not retry_failed
            await in_thread(target.check, record.file, may_exist=made and record.task_id is not None)

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
        _check_name(task_id, key)
        if key is not None:
            self._journal()
            job = self._engine.submissions.look_up(key, self._timeout(timeout))
        else:
            job = self._engine.jobs.named(str(task_id), self._timeout(timeout))
        return VideoTask(job, self._engine)

    async def look(self, task_id: str | None = None, *, key: str | None = None) -> TaskState:
        """Ask once where a task stands: one question, one answer, no waiting.

        Args:
            task_id: As ``VideoTask.id`` or an error told it.
            key: Instead of an id: looked up in the journal.

        Raises:
            TaskNotFound: The service knows no such task, or no task was made under the key.
            SubmitUncertain: It is not known whether a task was made under the key.
            FoxError: The service refuses the API key, or cannot be reached.
            ValueError: It cannot be an id; both or neither are given; there is a key and no journal.
        """
        _check_name(task_id, key)
        if key is None:
            self._engine.bind()
            return await self._gate.look(str(task_id))
        self._journal()
        self._engine.bind()
        record = await self._recorder.look(key)
        if record is None:
            raise TaskNotFound("the journal has no submission under this key", submitted="no", key=key)
        if record.task_id is not None and record.status is not RecordStatus.UNCERTAIN:
            return await self._gate.look(record.task_id)
        why = record.error or "no reply yet"
        kind = TaskNotFound if record.status.submitted == "no" else SubmitUncertain
        raise kind(why, submitted=record.status.submitted, key=key, task_id=record.task_id)

    async def history(
        self, *, key: str | None = None, status: RecordStatus | None = None, limit: int | None = None
    ) -> tuple[TaskRecord, ...]:
        """Return what the journal knows, in the order of planning; a key that was tried anew has several records.

        Args:
            key: Of this key alone; None for all.
            status: In this state alone; None for any.
            limit: Most records, the latest; None for all.

        Raises:
            JournalError: It cannot be read.
            ValueError: There is no journal.
        """
        store = self._journal()
        if limit is not None:
            count("limit", limit)
        if status is not None:
            status = RecordStatus(status)
        self._engine.bind()
        return await store.records(key=None if key is None else _options.key(key), status=status, limit=limit)

    async def uncertain(self) -> tuple[TaskRecord, ...]:
        """Return the records that only a person can decide: a task may have been made, and may have cost money.

        Say ``adopt(key, id)`` if the console of your account shows the task, ``resubmit(key)`` if it does not.

        Raises:
            JournalError: The journal cannot be read.
            ValueError: There is no journal.
        """
        store = self._journal()
        self._engine.bind()
        return undecided(await store.records())

    async def resume(self) -> tuple[VideoTask, ...]:
        """Return handles of all tasks at this host that are accepted and not known to have ended; submits nothing.

        What another living client follows is left out: it is that one's. Where the client has ``save_to``, they are
        followed at once, and with them those of the last 24 hours that were completed and not saved; a download that
        was cut goes on where it was.

        Where it has ``on_end``, ends that were not handed over are on their way to it.

        An *uncertain* submission is not among them, since it has no id: see ``uncertain()``.

        Raises:
            JournalError: The journal cannot be read.
            ValueError: There is no journal.
        """
        taking = self._taking()
        self._engine.bind()
        if self._hand_over is not None:
            await taking.look(MOST)
        return tuple(VideoTask(job, self._engine) for job in await taking.once(None, mine=True))

    def _taking(self) -> TakeUp:
        self._journal()
        assert self._take_up is not None  # noqa: S101 - there is a journal
        return self._take_up

    @contextlib.asynccontextmanager
    async def working(self, *, most: int = MOST) -> AsyncIterator[None]:
        """While this is entered, follow by itself every task of the journal that no living client follows.

        A service of several processes or machines enters it in each of them: then what a dead one had accepted is
        followed by another, within seconds after its death is certain, and with ``save_to`` saved. Nothing is
        submitted. The ends are in the journal, so ``task(key=...)`` in any client has them. A client with ``on_end``
        does this from its first use on, so it need not be entered.

        Args:
            most: Tasks that this client follows at most before it takes up another one, at least 1.

        Raises:
            ValueError: There is no journal.
        """
        count("most", most)
        taking = self._taking()
        self._engine.bind()
        taking.begin(most)
        try:
            yield
        finally:
            if self._hand_over is None:
                await taking.stop()

    async def adopt(self, key: str, task_id: str) -> VideoTask:
        """Say that an uncertain submission made this task, as you found it in the console, and return its handle.

        The service is asked first whether there is such a task. An adoption can be corrected by another one, as long as
        nothing was heard of the task.

        Raises:
            KeyStateError: There is no uncertain submission under the key, its client may still hear the answer, the id
                is another submission's, or cannot be one.
            TaskNotFound: The service knows no such task; the key stays as it was.
            FoxError: The service could not be asked; the key stays as it was.
            JournalError: The journal cannot be written.
            ValueError: There is no journal.
        """
        store = self._journal()
        self._engine.bind()
        known = await store.look(_options.key(key))
        if not is_task_id(task_id):
            submitted: Submitted = "no" if known is None else known.status.submitted
            raise KeyStateError(f"{task_id!r} cannot be a task id", submitted=submitted, key=key)
        if known is not None and (known.status is RecordStatus.UNCERTAIN or known.unconfirmed):
            try:  # an id may be mistyped, so the service is asked before anything is written down
                await self._gate.look(task_id)
            except FoxError as error:
                error.submitted = "unknown"  # it names an id that nobody believes yet, and a key that is uncertain
                raise error.name(key=key) from error.__cause__
        record = await store.adopt(key, task_id, self.base_url)
        self._engine.jobs.settle(key)
        return VideoTask(self._lookup.remembered(record, self._task_timeout), self._engine)

    async def resubmit(self, key: str, request: VideoRequest | Mapping[str, object] | None = None) -> VideoTask:
        """Send an uncertain submission again: **if it was accepted after all, you pay twice**.

        Args:
            key: Of the uncertain submission.
            request: The same request as then; None takes it from the journal, which has no local files.

        Raises:
            KeyStateError: There is no uncertain submission under the key, its client may still hear the answer, or the
                request has local files and was not given.
            JournalError: The journal cannot be read.
            ValueError: There is no journal.
        """
        store = self._journal()
        self._engine.bind()
        record = await store.uncertain(_options.key(key), self.base_url)
        request = recalled_request(record) if request is None else request
        if request is None:
            raise KeyStateError(
                "the request had local files, which the journal does not keep",
                submitted=record.status.submitted,
                key=key,
                hint="pass the same request again: client.resubmit(key, request)",
            )
        self._engine.jobs.settle(key)
        job = self._submit(request, self._task_timeout, key=key, risk=True, check=False)
        return VideoTask(job, self._engine)

    def receive(self, body: object) -> VideoTask | None:
        """Take what the service sent to your ``callback_url``, and poll its task once, at once.

        Models of the older schema take a ``callback_url``: https, public, at most 2048 characters. The service signs
        nothing, so nothing of a body is believed but that this is a good moment to poll: forged, repeated and foreign
        ones do no more than that, every ten seconds for each task, and only for tasks that this client follows.

        Args:
            body: What your web framework got: bytes, text, or decoded JSON. It may be anything.

        Returns:
            The handle of its task, if this client follows it or followed it to its end; None for any other. Answer the
            service with a 2xx in either case: it would only send it again.

        Raises:
            ClientClosed: The client is closed.
        """
        for task_id in named_tasks(body):
            if (job := self._engine.hint(task_id)) is not None:
                return VideoTask(job, self._engine)
        return None

    def as_completed(self, tasks_: Iterable[VideoTask]) -> AsyncIterator[VideoTask]:
        """Yield handles in the order in which they end, well or not; each once. Stopping early stops no task."""
        return tasks.as_completed(list(tasks_))

    def unfinished(self) -> tuple[VideoTask, ...]:
        """Return every task that may exist and is not known to have ended; works after ``close()``, too.

        Uncertain submissions are among them, and before ``close()`` those that wait to be sent: their ``id`` is None.
        """
        return tuple(VideoTask(job, self._engine) for job in self._engine.jobs.unfinished.values())

    def stats(self) -> Stats:
        """Return what this client is doing now, in numbers; reads memory alone."""
        hook = self._listeners.hook
        return attrs.evolve(
            self._engine.stats(),
            saving=self._autosave.running,
            handing_over=0 if self._hand_over is None else self._hand_over.running,
            events_dropped=0 if hook is None else hook.dropped,
            hook_errors=0 if hook is None else hook.errors,
        )

    async def upload(self, media: LocalMedia | bytearray | memoryview | IO[bytes]) -> str:
        """Upload a local file, bytes or an open file, and return its public URL, which lives 72 hours.

        The same content is uploaded once in 24 hours. Requests do this by themselves.

        Raises:
            UploadError: The file cannot be read, or the service did not take it.
            FoxError: The service refuses the key, or cannot be reached.
        """
        local = own(media)
        if not isinstance(local, bytes):
            path("media", local)
        self._engine.bind()
        return await self._uploads.link(local)

    async def models(self) -> tuple[str, ...]:
        """Return the ids of the models that this key may call; asks once.

        Raises:
            FoxError: The service refuses the key, or cannot be reached.
        """
        self._engine.bind()
        return await self._gate.read("/v1/models", read_models)

    async def balance(self) -> Balance:
        """Return what this key has left; asks two routes once each.

        Raises:
            FoxError: The service refuses the key, or cannot be reached.
        """
        self._engine.bind()
        usage = await self._gate.read("/api/usage/token/", Balance.read_usage)
        return Balance.of(usage, await self._gate.read("/v1/account/credits", Balance.read_credits))

    async def prices(self) -> Prices:
        """Return the price list, for ``prices.estimate(request)``; asks once.

        Raises:
            FoxError: The service cannot be reached, or shows none.
        """
        self._engine.bind()
        return await self._gate.read("/api/pricing", Prices.read)

    async def set_limits(self, limits: Limits) -> None:
        """Set what all clients that share the journal may do with the account together; it lives in the journal.

        It holds for submissions from now on; a halt stays one (``go_on``).

        Raises:
            JournalError: The journal cannot be written.
            ValueError: There is no journal.
        """
        if not isinstance(limits, Limits):
            raise TypeError(f"limits must be Limits, not {limits!r:.80}")
        store = self._journal()
        self._engine.bind()
        await store.set_limits(self._account, limits)

    async def limits(self) -> AccountUse:
        """Return the limits that clients of the account share, and how far they are used.

        Raises:
            JournalError: The journal cannot be read.
            ValueError: There is no journal.
        """
        store = self._journal()
        self._engine.bind()
        return await store.limits(self._account)

    async def go_on(self) -> None:
        """End the halt of an account with limits: the service takes its submissions again.

        Raises:
            JournalError: The journal cannot be written.
            ValueError: There is no journal.
        """
        store = self._journal()
        self._engine.bind()
        await store.halt(self._account, None)

    async def close(self) -> None:
        """Close the client: may be called twice.

        Waits for what is being saved into ``save_to``. Withdraws what was not sent, waits for replies that are under
        way (``request_timeout`` at most), ends those who wait with ``ClientClosed``, and logs one warning with the id
        of every unfinished task. Cancelling it cuts the waiting; what is open is closed all the same.
        """
        async with contextlib.AsyncExitStack() as stack:
            if self._listeners.hook is not None:
                stack.push_async_callback(self._listeners.hook.close)
            stack.push_async_callback(self._autosave.close)  # cuts what begins while the rest is being closed
            stack.push_async_callback(self._engine.close)
            if self._take_up is not None:
                await self._take_up.stop()
            await self._autosave.close()
            if self._hand_over is not None:  # while the client still does what the hook may ask of it
                await self._hand_over.drain()

    async def __aenter__(self) -> Self:
        self._engine.bind()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        state = "closed" if self._engine.closed else f"{len(self._engine.jobs.unfinished)} unfinished"
        return f"<Client {self._transport.base_url} {state}>"

    def __del__(self) -> None:
        engine = getattr(self, "_engine", None)
        if engine is None or not engine.bound:
            return
        if "ipykernel" in sys.modules:  # a notebook shows no ResourceWarning
            _log.warning(
                "unclosed %r: write 'async with Client() as client', or 'await client.close()' at the end", self
            )
        else:
            warnings.warn(f"unclosed {self!r}: use 'async with' or close()", ResourceWarning, source=self, stacklevel=2)
        engine.let_go()

    def _timeout(self, given: float | EllipsisType | None) -> float | None:
        if given is ...:
            return self._task_timeout
        return None if given is None else seconds("timeout", given)


def _check_name(task_id: object, key: str | None) -> None:
    if key is not None and task_id is not None:
        raise ValueError("give a task id or a key, not both")
    if key is not None:
        _options.key(key)
    elif not is_task_id(task_id):
        raise ValueError(f"{task_id!r:.80} cannot be a task id")
