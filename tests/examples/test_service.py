"""The web service of the examples, as its callers see it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import service

from foxvideo.testing import Fault, FoxAPI

FOX = {"model": "grok-imagine-text-to-video", "prompt": "A fox trots through snow"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the service a folder of its own."""
    monkeypatch.setenv("VIDEOS", str(tmp_path / "videos"))
    return tmp_path / "videos"


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[httpx.AsyncClient]:
    """Run the service from its start to its end, and yield a caller."""
    app = service.app
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as caller,
    ):
        yield caller


async def submit(
    caller: httpx.AsyncClient, key: object, body: Mapping[str, object] = FOX
) -> tuple[int, dict[str, object]]:
    """Submit a video; return the status and the answer."""
    answer = await caller.post("/videos", json=body, headers={"Idempotency-Key": str(key)})
    return answer.status_code, answer.json()


async def ended(caller: httpx.AsyncClient, key: object) -> dict[str, object]:
    """Follow a video to its end, and wait a moment longer, in which it is saved; return where it stands."""
    await caller.get(f"/videos/{key}/events")
    await asyncio.sleep(1)
    return dict((await caller.get(f"/videos/{key}")).json())


async def test_the_same_key_is_the_same_video_however_often_and_wherever_it_is_sent(foxapi: FoxAPI) -> None:
    """Eight callers at once and one later make one task, which costs once."""
    key = uuid4()
    async with running() as caller:
        answers = await asyncio.gather(*(submit(caller, key) for _ in range(8)))
        answers.append(await submit(caller, key))

    assert [answers[0]] * 9 == answers
    assert answers[0] == (202, {"key": str(key), "id": next(iter(foxapi.ledger.tasks))})
    foxapi.assert_charged(1)


async def test_a_restart_loses_no_video(foxapi: FoxAPI, folder: Path) -> None:
    """What was submitted before is followed and saved by the next process, and sent to whoever asks for it."""
    key = uuid4()
    async with running() as caller:
        _, accepted = await submit(caller, key)
    async with running() as caller:
        video = await ended(caller, key)
        file = await caller.get(f"/videos/{key}/file")

    assert video == {"id": accepted["id"], "status": "completed", "progress": None}
    assert file.content == (folder / f"{accepted['id']}.mp4").read_bytes()
    foxapi.assert_charged(1)
    foxapi.assert_nothing_left_behind()


@pytest.mark.foxapi(seconds=600)
async def test_a_video_that_runs_is_polled_when_somebody_asks(foxapi: FoxAPI) -> None:
    """The answer is what the service says then; half of its time later it is half done."""
    key = uuid4()
    async with running() as caller:
        await submit(caller, key)
        await foxapi.advance(300)
        polled = foxapi.ledger.polled
        video = (await caller.get(f"/videos/{key}")).json()

    assert foxapi.ledger.polled == polled + 1
    assert video["status"] == "processing"
    assert 0 < video["progress"] < 100


async def test_the_events_of_a_video_end_with_its_last_state(foxapi: FoxAPI) -> None:
    """They are states as JSON, and the last one has the links."""
    key = uuid4()
    async with running() as caller:
        await submit(caller, key)
        answer = await caller.get(f"/videos/{key}/events")

    states = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line.startswith("data")]
    assert states[0]["status"] == "pending"
    assert states[-1]["status"] == "completed"
    assert states[-1]["urls"][0].startswith(foxapi.base_url)


async def test_a_video_that_failed_is_told_in_both_ways(foxapi: FoxAPI) -> None:
    """The events end with its failure, and so does the status; the same key again buys nothing."""
    key = uuid4()
    async with running() as caller:
        await submit(caller, key)
        foxapi.fail(next(iter(foxapi.ledger.tasks)))
        events = await caller.get(f"/videos/{key}/events")
        video = await ended(caller, key)
        file = await caller.get(f"/videos/{key}/file")

        assert '"status":"failed"' in events.text.replace(" ", "")
        assert video["status"] == "failed"
        assert file.status_code == 404
        assert (await submit(caller, key))[0] == 202
    foxapi.assert_charged(1)


@pytest.mark.foxapi(seconds=3600)
async def test_a_callback_ends_the_wait_of_its_video(foxapi: FoxAPI) -> None:
    """Whatever else it says; one that is about nothing is taken as well."""
    key = uuid4()
    async with running() as caller:
        _, accepted = await submit(caller, key)
        foxapi.finish(str(accepted["id"]))
        for content in (json.dumps({"id": accepted["id"], "status": "failed"}), "nonsense"):
            assert (await caller.post("/callback", content=content)).status_code == 204
        await asyncio.sleep(1)
        assert (await caller.get(f"/videos/{key}")).json()["status"] == "completed"


async def test_each_end_is_told(foxapi: FoxAPI, folder: Path) -> None:
    """A video, a failure, and one that is uncertain."""
    keys = [uuid4() for _ in range(3)]
    async with running() as caller:
        await submit(caller, keys[0])
        await ended(caller, keys[0])
        _, accepted = await submit(caller, keys[1])
        foxapi.fail(str(accepted["id"]))
        foxapi.fail_next("submit", Fault("reset", after=True))
        await submit(caller, keys[2])
        await ended(caller, keys[1])
    told = [json.loads(line) for line in (folder / "ends.jsonl").read_text().splitlines()]
    assert {end["key"]: end["error"] for end in told} == {
        str(keys[0]): None,
        str(keys[1]): "TaskFailed",
        str(keys[2]): "SubmitUncertain",
    }


async def test_an_uncertain_video_is_a_conflict_that_says_what_to_do(foxapi: FoxAPI) -> None:
    """Nothing is sent again under its key until a person decides; its events say the same."""
    key = uuid4()
    foxapi.fail_next("submit", Fault("reset", after=True))
    async with running() as caller:
        first, again = await submit(caller, key), await submit(caller, key)
        video, events = await ended(caller, key), await caller.get(f"/videos/{key}/events")

    for status, error in (first, again):
        assert status == 409
        assert error["error"] == "SubmitUncertain"
        assert error["submitted"] == "unknown"
        assert "adopt" in str(error["hint"])
    assert video["status"] == "uncertain"
    assert "event: problem" in events.text
    foxapi.assert_charged(1)


REFUSALS = {
    "a balance that is too low": (Fault("error", status=402), FOX, 402, "InsufficientCredits"),
    "a service that is broken": (Fault("html", status=503), FOX, 409, "SubmitUncertain"),
    "a key of the service that is wrong": (Fault("error", status=401), FOX, 502, "AuthenticationError"),
    "no prompt": (None, {"model": "grok-imagine-text-to-video"}, 422, "InvalidRequest"),
    "no model": (None, {"prompt": "A fox"}, 422, "InvalidRequest"),
    "a prompt that is a number": (None, {"model": "grok-imagine-text-to-video", "prompt": 5}, 422, "InvalidRequest"),
}


@pytest.mark.parametrize(("fault", "body", "status", "kind"), REFUSALS.values(), ids=REFUSALS)
async def test_an_error_is_json_with_its_own_status(
    fault: Fault | None, body: Mapping[str, object], status: int, kind: str, foxapi: FoxAPI
) -> None:
    """It has the same fields as everywhere in foxvideo, and never the API key."""
    if fault is not None:
        foxapi.fail_next("submit", fault)
    async with running() as caller:
        answer = await submit(caller, uuid4(), body)

    assert (answer[0], answer[1]["error"]) == (status, kind)
    assert foxapi.api_key not in json.dumps(answer)


async def test_another_body_under_a_key_is_a_conflict(foxapi: FoxAPI) -> None:
    """It is not sent, and the first one goes on."""
    key = uuid4()
    async with running() as caller:
        await submit(caller, key)
        status, error = await submit(caller, key, FOX | {"prompt": "A cat"})

    assert (status, error["error"]) == (409, "KeyConflict")
    foxapi.assert_charged(1)


@pytest.mark.parametrize(("end", "told"), [("", "no video"), ("/file", "no video"), ("/events", "TaskNotFound")])
async def test_there_is_nothing_under_a_key_that_nobody_sent(end: str, told: str, foxapi: FoxAPI) -> None:
    """Whoever asks for it is told so, in a stream of events too."""
    async with running() as caller:
        assert told in (await caller.get(f"/videos/{uuid4()}{end}")).text


async def test_a_key_is_a_uuid(foxapi: FoxAPI) -> None:
    """Any other is refused before anything is sent."""
    async with running() as caller:
        assert (await submit(caller, "auto-1"))[0] == 422
    foxapi.assert_charged(0)
