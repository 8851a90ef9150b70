"""The asyncio-native client for FoxAPI video generation.

foxvideo submits a video, waits for it, saves it, and never loses a paid task. Each page of this documentation is a
module: it begins with a guide, and the reference follows. ``help("foxvideo.errors")`` shows the same text.

## Install

```console
git clone https://github.com/foxvideo/foxvideo && cd foxvideo
python -m pip install '.[cli,emulator]'
```

The package itself needs aiohttp, attrs, cattrs and backoff. The extras add to it:

| extra | what it adds |
|---|---|
| ``cli`` | the command ``foxvideo``: batches, contact sheets, the journal |
| ``emulator`` | videos that the emulator draws; without it, every video is one small stored file |
| ``testing`` | the pytest plugin ``foxvideo.testing`` |
| ``postgres``, ``farm`` | a journal for many machines, and a queue in front of it |
| ``otel`` | spans and metrics of OpenTelemetry |

## The first video

You need no key to begin: ``foxvideo emulator`` runs the service on your own machine, and costs nothing. It prints two
lines that set ``FOXAPI_API_KEY`` and ``FOXAPI_BASE_URL``. Paste them into the shell in which you run this program:

```python
import asyncio
from foxvideo import Client, grok


async def main():
    shot = grok(prompt="A fox trots through snow")
    async with Client(journal="videos.db") as client:
        video = await client.generate(shot, save_to="fox.mp4")
        print(video.url)


asyncio.run(main())
```

``client.generate`` checks the request, submits it once, polls the task until it ends, and saves the video. If
``fox.mp4`` exists already, or cannot be written, it says so before anything is paid for. The journal is a file that
remembers each submission: should the program die, the task is not lost (``foxvideo.client``).

With a key of your own in ``FOXAPI_API_KEY``, and without ``FOXAPI_BASE_URL``, the same program uses the real service.

## Three ways to wait

| you write | you get |
|---|---|
| ``await client.generate(shot)`` | the ``Video``, when it is done |
| ``task = client.submit(shot)`` | a ``VideoTask`` at once: await it, follow it, or leave it |
| ``await client.look(task_id)`` | one ``TaskState``: one poll, no waiting |

```python
task = client.submit(shots[0])
async for state in task:
    print(state.status, state.progress)
video = await task
```

## Many at once

Submit as many as you like; the client sends at most ``max_requests`` requests at a time, and follows 100,000 tasks in
one process. One failure does not end the others:

```python
tasks = [client.submit(shot, key=f"shot-{number}") for number, shot in enumerate(shots)]
async for task in client.as_completed(tasks):
    print(task.key, task.exception() or task.result().url)
```

For a folder of videos from a list of requests, with a budget, see ``foxvideo.batch``.

## Where to read on

- What you can ask for: ``foxvideo.requests``
- What a key is, and how a crash loses nothing: ``foxvideo.client``
- What each error means for your money: ``foxvideo.errors``
- Files, links and how long they live: ``foxvideo.video``
- Metrics, traces and hooks: ``foxvideo.events``
- Many machines, and a queue in front of them: ``foxvideo.farm``
- Your own tests, without a key and without waiting: ``foxvideo.testing``
"""

from foxvideo._journal.record import RecordStatus, TaskRecord
from foxvideo._version import __version__
from foxvideo.account import AccountUse, Balance, Limits, Prices
from foxvideo.client import Client
from foxvideo.errors import (
    AuthenticationError,
    BadReply,
    ClientClosed,
    DownloadError,
    FieldFault,
    FoxError,
    InsufficientCredits,
    InvalidRequest,
    JournalError,
    KeyConflict,
    KeyStateError,
    LimitReached,
    ModelUnavailable,
    RateLimited,
    ResultExpired,
    ResultsMissing,
    ServiceUnavailable,
    SubmitUncertain,
    TaskAbandoned,
    TaskCancelled,
    TaskFailed,
    TaskNotFound,
    TaskTimeout,
    UploadError,
)
from foxvideo.events import Event, EventKind
from foxvideo.media import Media, Progress, SavedFile
from foxvideo.requests.generic import Request, VideoRequest
from foxvideo.requests.grok import (
    GrokEditVideo,
    GrokImageToVideo,
    GrokReferenceToVideo,
    GrokTextToVideo,
    GrokVideoExtension,
    grok,
)
from foxvideo.schedule.adaptive import Learned
from foxvideo.schedule.base import Every, Schedule
from foxvideo.state import Result, Stats, Status, TaskProblem, TaskState, Usage
from foxvideo.task import VideoTask
from foxvideo.video import Video

__all__ = [
    "AccountUse",
    "AuthenticationError",
    "BadReply",
    "Balance",
    "Client",
    "ClientClosed",
    "DownloadError",
    "Event",
    "EventKind",
    "Every",
    "FieldFault",
    "FoxError",
    "GrokEditVideo",
    "GrokImageToVideo",
    "GrokReferenceToVideo",
    "GrokTextToVideo",
    "GrokVideoExtension",
    "InsufficientCredits",
    "InvalidRequest",
    "JournalError",
    "KeyConflict",
    "KeyStateError",
    "Learned",
    "LimitReached",
    "Limits",
    "Media",
    "ModelUnavailable",
    "Prices",
    "Progress",
    "RateLimited",
    "RecordStatus",
    "Request",
    "Result",
    "ResultExpired",
    "ResultsMissing",
    "SavedFile",
    "Schedule",
    "ServiceUnavailable",
    "Stats",
    "Status",
    "SubmitUncertain",
    "TaskAbandoned",
    "TaskCancelled",
    "TaskFailed",
    "TaskNotFound",
    "TaskProblem",
    "TaskRecord",
    "TaskState",
    "TaskTimeout",
    "UploadError",
    "Usage",
    "Video",
    "VideoRequest",
    "VideoTask",
    "__version__",
    "grok",
]
