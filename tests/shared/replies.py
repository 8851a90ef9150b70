"""What the tests of the wire share: replies by hand and as they were recorded."""

import json
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from multidict import CIMultiDict

from foxvideo import FoxError
from foxvideo._wire.decode import read_models, read_submit, read_task, read_upload
from foxvideo._wire.reply import Answer, NoReply, Reply
from foxvideo.state import TaskState

SAMPLES = {path.stem: path.read_bytes() for path in sorted((Path(__file__).parents[1] / "samples").glob("*.json"))}
ID = "task-unified-1790000001-k3v9q2ma"
LLM_ID = "task-llm-1790000001-k3v9q2ma"
CDN = "https://cdn.foxapi.cc/output"
HTML = b"<!doctype html><html><title>Welcome</title><body>Sign in to the\nportal</body></html>"
CLOUDFLARE = b"<html><head><title>502 Bad Gateway</title></head><body>Ray ID: 91010a1010</body></html>"
NOW = 1790000000.0
LOST = NoReply(sent=True, reason="no reply in time")
UNSENT = NoReply(sent=False, reason="connection refused")

Reader = Callable[[Answer], object]
READERS: dict[str, Reader] = {
    "submit": lambda answer: read_submit(answer, trust_refusals=True),
    "task": lambda answer: read_task(answer, ID),
    "upload": read_upload,
    "models": read_models,
}


def reply(body: object = b"", status: int = 200, **headers: str) -> Reply:
    """Make a reply of bytes, of a recorded sample by its name, or of a value as JSON."""
    match body:
        case bytes():
            content = body
        case str():
            content = SAMPLES[body]
        case _:
            content = json.dumps(body).encode()
    named = CIMultiDict((name.replace("_", "-"), value) for name, value in headers.items())
    return Reply(status, named, content, received=NOW)


def refusal(status: int, code: str | None = None, **headers: str) -> Reply:
    """Make a reply of FoxAPI that refuses."""
    return reply({"error": {"message": "no", "code": code}}, status, **headers)


def state(status: str, **fields: object) -> Reply:
    """Make the reply to a poll."""
    return reply({"id": ID, "status": status} | fields)


def cut(answer: Reply) -> Reply:
    """Break the connection in the middle of the body, as far as the transport knows."""
    return attrs.evolve(answer, complete=False)


def submitted(answer: Answer, *, trust_refusals: bool = True) -> TaskState:
    """Return the state that the answer to a submission gives."""
    return read_submit(answer, trust_refusals=trust_refusals)


def submit_error(answer: Answer, *, trust_refusals: bool = True) -> FoxError:
    """Return the error that a submission ends in."""
    with pytest.raises(FoxError) as caught:
        read_submit(answer, trust_refusals=trust_refusals)
    return caught.value


def task_error(answer: Answer) -> FoxError:
    """Return the error that a poll ends in."""
    with pytest.raises(FoxError) as caught:
        read_task(answer, ID)
    return caught.value


def upload_error(answer: Answer) -> FoxError:
    """Return the error that an upload ends in."""
    with pytest.raises(FoxError) as caught:
        read_upload(answer)
    return caught.value


def task(**fields: object) -> TaskState:
    """Return the state that the reply to a poll with these fields tells."""
    return read_task(reply({"id": ID, "status": "processing"} | fields), ID)


def whole(seconds: float) -> float:
    """Jitter nothing."""
    return seconds
