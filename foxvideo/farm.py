"""A queue in front of many machines: producers put requests in, workers on any machine make the videos.

The queue is procrastinate's, in the PostgreSQL that holds the journal (``pip install 'foxvideo[farm]'``). It hands out
work, at least once; the journal sees to it that a key is bought once.

## On the command line

```console
export FOXVIDEO_JOURNAL=postgresql://fox@db.internal/studio
foxvideo journal init --queue              # once, by somebody who may create a schema
foxvideo enqueue shots.csv                 # puts each row in; the same command again puts nothing in twice
foxvideo worker --save-to /mnt/videos      # on as many machines as you like
foxvideo workers                           # who lives, and what each has
foxvideo limits --max-active 40            # for all of them together
```

A worker that gets SIGTERM takes nothing more, gives those under way ``--drain`` seconds, and puts the rest back; a
second SIGTERM leaves at once. What a killed worker had submitted is followed and saved by another within seconds; what
it had not is tried again within two minutes.

## In an app of your own

```text
from foxvideo import farm

app.add_tasks_from(farm.blueprint(client), namespace="foxvideo")
await app.configure_task("foxvideo:generate").defer_async(request={"model": ..., "prompt": ...}, key="order-18")
await app.run_worker_async(queues=["foxvideo"], concurrency=100)
```

The ``client`` has a journal in PostgreSQL, and a ``save_to`` or the blueprint a ``save_with``. A job that is put in
within your own transaction is there if that is committed, and only then: procrastinate's own guide says how.

Any JSON of the API is a request. A local file has to be uploaded by whoever puts the job in, with ``client.upload``:
another machine would not find it.

## Other queues, and Kubernetes

Celery, Temporal, Airflow and others need nothing of this room. What they call is a coroutine whose key is the name of
their job, so that each repeat of theirs joins the task that is there:

```text
async def activity(order: Order) -> str:
    async with Client(journal=URL, save_to="/mnt/videos") as client:
        return (await client.generate(order.request, key=f"order-{order.id}")).id
```

Let them repeat it after any error but ``SubmitUncertain``, ``TaskFailed`` and ``InvalidRequest``: ``wait_before`` is
that rule. Among the examples of the repository are a Deployment of workers with its probes (worker.yaml), and two
workers of which one is killed (machines.py).

| how a job ends | what the queue does |
|---|---|
| its video is made, and saved | it is done |
| the task failed, or the request is wrong | it failed |
| it is uncertain | it failed: ``foxvideo tasks --uncertain`` shows it, and a person decides |
| the service, the database or the disk is away | it comes again later, for as long as it takes |
| the key is refused, credits or limits are used up | it comes again later, too: nothing queued is lost to that |
| the worker is stopped | another one goes on |
"""

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import attrs
import procrastinate
import procrastinate.schema
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.jobs import Job

from foxvideo._aio import in_thread
from foxvideo._journal.postgres import Database, PostgresStore, connected
from foxvideo._wire.encode import encode
from foxvideo._wire.verdict import delay
from foxvideo.batch.rows import Row
from foxvideo.client import Client
from foxvideo.errors import (
    ClientClosed,
    FoxError,
    InvalidRequest,
    JournalError,
    ResultExpired,
    ResultsMissing,
    SubmitUncertain,
    TaskAbandoned,
    TaskFailed,
    TaskNotFound,
    TaskTimeout,
)
from foxvideo.requests.generic import media_of
from foxvideo.video import Video

__all__ = ["QUEUE", "Enqueued", "blueprint", "enqueue", "init", "queue_at", "wait_before", "work"]

QUEUE = "foxvideo"
"""The name of the queue."""
SCHEMA: str = procrastinate.schema.SchemaManager.get_schema()
"""The tables of the queue, which are procrastinate's, as SQL."""
GENERATE = "generate"
_ALIVE_SECONDS, _MOMENT = 5.0, 0.1
_LATEST = 300.0  # seconds until a job comes again
_STRANGE_ERRORS = 10  # times that a job is tried which nobody foresaw to fail
_NO_JOURNAL = "the client of a queue needs a journal in PostgreSQL: a job that comes twice would be bought twice"
_SETTLED = (
    InvalidRequest,
    ResultExpired,
    ResultsMissing,
    SubmitUncertain,
    TaskAbandoned,
    TaskFailed,
    TaskNotFound,
)


def wait_before(error: BaseException, attempts: int) -> float | None:
    """Return the seconds after which a job that ended with an error is tried again; None for never.

    Args:
        error: What it ended with.
        attempts: How often it was tried before; 0 for the first time.
    """
    match error:
        case asyncio.CancelledError() | ClientClosed() | TaskTimeout():
            return 0.0  # its task goes on, or nothing was sent: any worker may carry on
        case FoxError():
            return None if isinstance(error, _SETTLED) else delay(attempts + 1, most=_LATEST)
        case OSError():
            return delay(attempts + 1, most=_LATEST)
        case _:
            return delay(attempts + 1, most=_LATEST) if attempts < _STRANGE_ERRORS else None


class _Again(procrastinate.BaseRetryStrategy):
    """Hands the rule on to procrastinate."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> procrastinate.RetryDecision | None:
        """Decide when a job comes again."""
        wait = wait_before(exception, job.attempts)
        return None if wait is None else procrastinate.RetryDecision(retry_in={"seconds": math.ceil(wait)})


def blueprint(
    client: Client, *, save_with: Callable[[Video], Awaitable[object]] | None = None
) -> procrastinate.Blueprint:
    """Return the tasks of a queue, to be added to an app under the namespace *foxvideo*; anew for each app.

    ``generate(request, key)`` makes one video. ``retry_stalled`` puts back what dead workers had; it runs each minute.

    Args:
        client: Makes the videos; its journal is the one that all workers share, and its ``save_to`` is where the videos
            go.
        save_with: Called with each video before its job is done, at least once: to put it where no folder reaches.

    Raises:
        ValueError: The client has no journal in PostgreSQL: a job that comes twice would be bought twice.
    """
    if not isinstance(client.journal, PostgresStore):
        raise ValueError(_NO_JOURNAL)  # noqa: TRY004 - it is a value: where the journal is
    tasks = procrastinate.Blueprint()

    @tasks.task(name=GENERATE, queue=QUEUE, retry=_Again())
    async def generate(*, request: dict[str, Any], key: str) -> str:
        video = await client.generate(request, key=key, check=False)
        if save_with is not None:
            await save_with(video)
        return video.id

    @tasks.periodic(cron="* * * * *")
    @tasks.task(name="retry_stalled", queue=QUEUE, pass_context=True)
    async def retry_stalled(context: procrastinate.JobContext, timestamp: int) -> None:  # noqa: ARG001 - procrastinate's
        jobs = context.app.job_manager
        for job in await jobs.get_stalled_jobs(queue=QUEUE):
            await jobs.retry_job(job)

    return tasks


def queue_at(journal: str) -> procrastinate.App:
    """Return the app of the queue beside a journal, which is still to be opened.

    Args:
        journal: The URL of the journal.
    """
    options = Database.of(journal).options()
    where = options.pop("conninfo")
    return procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=where, kwargs=options, min_size=1))


def init(journal: str) -> None:
    """Make the tables of the queue beside a journal; blocks.

    Raises:
        JournalError: There are some already, the role may not, or the database cannot be reached.
    """
    with connected(Database.of(journal)) as connection:
        connection.execute(SCHEMA.encode())


@contextlib.asynccontextmanager
async def _opened(app: procrastinate.App) -> AsyncIterator[None]:
    """Open a queue; what is wrong with its database is a ``JournalError``."""
    try:
        async with app.open_async():
            yield
    except procrastinate.exceptions.ConnectorException as error:
        cause = " ".join(str(error.__cause__ or error).split())
        what = f"the queue cannot be used: {cause}"
        raise JournalError(what, submitted="no", hint="foxvideo journal init --queue makes its tables") from None


@attrs.frozen
class Enqueued:
    """What became of rows.

    Attributes:
        new: They were put in.
        waiting: They were in the queue already.
        known: They are in the journal: made, being made, failed, or uncertain.
    """

    new: int
    waiting: int
    known: int


async def enqueue(client: Client, rows: Iterable[Row]) -> Enqueued:
    """Put rows in, each under its key, so that however often this is done, each is made once.

    A local file is uploaded first, and lives for three days: what waits longer fails. Rows that are in the journal are
    left out, unless nothing was made under their keys; those whose task failed, too.

    Args:
        client: Uploads, and has the journal, beside which the queue is.
        rows: As ``foxvideo.batch.Manifest`` yields them.

    Raises:
        FoxError: A file could not be uploaded, or the journal not be read. What came before it is in the queue.
        ValueError: The client has no journal in PostgreSQL.
    """
    store = client.journal
    if not isinstance(store, PostgresStore):
        raise ValueError(_NO_JOURNAL)  # noqa: TRY004 - as above
    app, new, waiting, known = queue_at(store.url), 0, 0, 0
    async with _opened(app):
        for row in rows:
            record = await store.look(row.key)
            if record is not None and record.status.submitted != "no":
                known += 1
                continue
            links = {place: await client.upload(media) for place, media in media_of(row.request).items()}
            request: dict[str, Any] = json.loads(encode(row.request, links))
            try:
                job = app.configure_task(f"{QUEUE}:{GENERATE}", queue=QUEUE, queueing_lock=row.key)
                await job.defer_async(request=request, key=row.key)
            except AlreadyEnqueued:
                waiting += 1
            else:
                new += 1
    return Enqueued(new, waiting, known)


async def work(client: Client, *, concurrency: int, drain: float, alive: Path | None = None, wait: bool = True) -> None:
    """Make what the queue holds, and follow what no living client follows.

    Cancelling it takes nothing more from the queue, and waits for what is under way; the second time, for nothing.

    Args:
        client: Makes the videos; open, with a journal in PostgreSQL, beside which the queue is.
        concurrency: Most jobs at once, at least 1.
        drain: Seconds that jobs under way have once it is cancelled, before they are put back.
        alive: A file that is touched every few seconds while the journal knows this client to live; None for none.
        wait: Whether to go on once the queue is empty.

    Raises:
        JournalError: The queue cannot be used.
        ValueError: The client has no journal in PostgreSQL.
    """
    if not isinstance(client.journal, PostgresStore):
        raise ValueError(_NO_JOURNAL)  # noqa: TRY004 - as above
    app = queue_at(client.journal.url)
    app.add_tasks_from(blueprint(client), namespace=QUEUE)
    async with _opened(app), client.working(), _touching(client, alive):
        await app.run_worker_async(
            queues=[QUEUE],
            concurrency=concurrency,
            wait=wait,
            shutdown_graceful_timeout=drain,
            install_signal_handlers=False,
            delete_jobs="successful",  # the journal has them
        )


@contextlib.asynccontextmanager
async def _touching(client: Client, file: Path | None) -> AsyncIterator[None]:
    async def touch(alive: Path) -> None:
        while True:
            lives = client.journal is not None and client.journal.still_mine(client.journal.owner)
            if lives:
                await in_thread(alive.touch)
            await asyncio.sleep(_ALIVE_SECONDS if lives else _MOMENT)

    touching = None if file is None else asyncio.create_task(touch(file))
    try:
        yield
    finally:
        if touching is not None:
            touching.cancel()
