"""A web service that makes videos: each key is one paid task, however often it is sent, and a restart loses none.

Run it with ``FOXAPI_API_KEY`` set; open streams of events would hold up a stop, so give them a bound::

    uvicorn service:app --workers 2 --timeout-graceful-shutdown 5

The workers share a journal. If one is killed, another one follows its tasks, and tells their ends.
"""

import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import FastAPI, Header, HTTPException, Request
from fastapi.responses import FileResponse, JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from foxvideo import Client, FoxError, RecordStatus, TaskRecord, VideoTask
from foxvideo.errors import InsufficientCredits, InvalidRequest, KeyConflict, SubmitUncertain

# SubmitUncertain waits for a person: its hint says how to decide, and meanwhile the same key will not pay twice.
STATUS = {InvalidRequest: 422, KeyConflict: 409, SubmitUncertain: 409, InsufficientCredits: 402, FoxError: 502}


def tell(task: VideoTask) -> None:
    """Tell the end of a task: by a line of a file here, by a mail or a call of yours there.

    It comes at least once, also after a restart; should it come twice, key and id are the same.
    """
    error = task.exception()
    end = {"key": task.key, "id": task.id, "error": type(error).__name__ if error else None}
    with (folder() / "ends.jsonl").open("a") as file:
        file.write(json.dumps(end) + "\n")


def folder() -> Path:
    """Return where videos go."""
    return Path(os.environ.get("VIDEOS", "videos"))


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Hold one client for all requests; it follows and tells what was accepted before a restart, too."""
    folder().mkdir(parents=True, exist_ok=True)
    async with Client(journal=folder() / "videos.db", save_to=folder(), on_end=tell) as app.state.client:
        yield


app = FastAPI(lifespan=lifespan)


def client() -> Client:
    """Return the client of this service."""
    opened: Client = app.state.client
    return opened


async def newest(key: UUID) -> TaskRecord:
    """Return the newest record under a key."""
    for record in await client().history(key=str(key), limit=1):
        return record
    raise HTTPException(404, "no video was submitted under this key")


@app.exception_handler(FoxError)
async def problem(_: Request, error: FoxError) -> JSONResponse:
    """Answer with the error as JSON: what happened, what to do, and whether a task may exist."""
    return JSONResponse(error.as_dict(), next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS))


@app.post("/videos", status_code=202)
async def submit(body: dict[str, object], idempotency_key: Annotated[UUID, Header()]) -> dict[str, str]:
    """Submit what FoxAPI takes as JSON; the same key and body again is the same task."""
    task = client().submit(body, key=str(idempotency_key))
    return {"key": str(idempotency_key), "id": await task.wait_accepted()}


@app.post("/callback", status_code=204)
async def callback(request: Request) -> None:
    """Take what the service sends to the ``callback_url`` of older models: the task is polled, and nothing believed."""
    client().receive(await request.body())


@app.get("/videos/{key}")
async def status(key: UUID) -> dict[str, object]:
    """Tell where a video stands: one poll while its task runs, none once the journal knows its end."""
    record = await newest(key)
    state = await client().look(key=str(key)) if record.status is RecordStatus.ACCEPTED else None
    progress = state.progress if state else None
    return {"id": record.task_id, "status": state.status if state else record.status, "progress": progress}


@app.get("/videos/{key}/events", response_class=EventSourceResponse)
async def events(key: UUID) -> AsyncIterator[ServerSentEvent]:
    """Send each state of a video, the last one included."""
    try:
        async for state in client().task(key=str(key)):
            yield ServerSentEvent(data={"status": state.status, "progress": state.progress, "urls": state.urls})
    except FoxError as error:
        yield ServerSentEvent(event="problem", data=error.as_dict())


@app.get("/videos/{key}/file")
async def file(key: UUID) -> FileResponse:
    """Send the video, as long as its file is there; the link at the service lives only 24 hours."""
    if (path := (await newest(key)).file) is None:
        raise HTTPException(404, "the video is not here yet")
    return FileResponse(path)
