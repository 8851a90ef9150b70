"""The emulated task service over HTTP: submits, task queries, links, models, the ledger, opening and closing."""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import aiohttp
import pytest

from foxvideo.emulator import Emulator, Fault

TEXT = {"model": "grok-imagine-text-to-video", "prompt": "A kite"}
SUBMIT = "/v1/videos/generations"
AGENT = "Mozilla/5.0 (X11; Linux x86_64)"


@pytest.fixture
async def fox() -> AsyncIterator[Emulator]:
    """An emulator whose tasks take ten seconds and whose videos are not drawn."""
    async with Emulator(seconds=10.0, render=False) as emulator:
        yield emulator


def session(fox: Emulator, **headers: str) -> aiohttp.ClientSession:
    """Return a session that holds the key."""
    usual = {"Authorization": f"Bearer {fox.api_key}", "User-Agent": AGENT}
    return aiohttp.ClientSession(fox.base_url, headers=usual | headers)


@pytest.fixture
async def web(fox: Emulator) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with the emulator that holds the key."""
    async with session(fox) as made:
        yield made


@pytest.fixture
async def skip(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let the loop's clock jump ahead by so many seconds."""
    loop = asyncio.get_running_loop()
    real, jumped = loop.time, [0.0]
    monkeypatch.setattr(loop, "time", lambda: real() + sum(jumped))
    return jumped.append


async def submit(web: aiohttp.ClientSession, **fields: object) -> str:
    """Submit a text prompt with these fields and return the task's id."""
    async with web.post(SUBMIT, json=TEXT | fields) as reply:
        assert reply.status == 200
        task_id = (await reply.json())["id"]
        assert isinstance(task_id, str)
        return task_id


async def poll(web: aiohttp.ClientSession, task_id: str, query: str = "?sync_upstream=true") -> dict[str, object]:
    """Ask for a task."""
    async with web.get(f"/v1/tasks/{task_id}{query}") as reply:
        assert reply.status == 200
        body = await reply.json()
        assert isinstance(body, dict)
        return body


async def link(web: aiohttp.ClientSession, task_id: str) -> str:
    """Return the path of the result link of a completed task."""
    results = (await poll(web, task_id))["results"]
    assert isinstance(results, list)
    return urlsplit(str(results[0]["url"])).path


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens on the other side of a connection."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.001)


async def refused(reply: aiohttp.ClientResponse) -> tuple[int, str]:
    """Return status and error type of a refusal."""
    error = (await reply.json())["error"]
    assert error["message"]
    return reply.status, error["type"]


async def test_a_submit_is_answered_as_documented(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """Pending, with task_info and usage."""
    async with web.post(SUBMIT, json=TEXT) as reply:
        body = await reply.json()

    assert reply.status == 200
    assert reply.headers["x-request-id"]
    assert re.fullmatch(r"task-unified-\d{10}-[0-9a-z]{8}", body.pop("id"))
    assert body.pop("created") == pytest.approx(time.time(), abs=5)
    assert body == {
        "object": "video.generation.task",
        "type": "video",
        "model": TEXT["model"],
        "status": "pending",
        "progress": 0,
        "task_info": {"can_cancel": True, "estimated_time": 45},
        "usage": {"credits_reserved": 12.5, "user_group": "default"},
    }


async def test_task_info_and_usage_can_be_missing() -> None:
    """Only id and status may be counted on."""
    async with Emulator(estimated_time=None, credits=None) as fox, session(fox) as web:
        async with web.post(SUBMIT, json=TEXT) as reply:
            body = await reply.json()
        seen = await poll(web, body["id"])

    assert not {"task_info", "usage"} & (body.keys() | seen.keys())


async def test_a_task_completes_in_its_time(
    fox: Emulator, web: aiohttp.ClientSession, skip: Callable[[float], None]
) -> None:
    """Processing half way, then completed with a link to the emulator."""
    task_id = await submit(web)

    skip(5.0)
    half = await poll(web, task_id)
    skip(5.0)
    done = await poll(web, task_id)

    assert (half["status"], half["results"], half["error"]) == ("processing", None, None)
    assert half["progress"] == pytest.approx(41, abs=2)
    assert (done["status"], done["progress"], done["error"]) == ("completed", 100, None)
    assert re.fullmatch(rf"\[{{'url': '{re.escape(fox.base_url)}/output/[0-9a-f]{{24}}\.mp4'}}\]", str(done["results"]))
    assert done["usage"] == {"credits_reserved": 12.5, "user_group": "default"}


async def test_without_sync_upstream_a_task_stands_still(
    web: aiohttp.ClientSession, skip: Callable[[float], None]
) -> None:
    """Until the gateway notices the end by itself, ten seconds late."""
    task_id = await submit(web)

    skip(15.0)
    assert (await poll(web, task_id, ""))["status"] == "pending"
    assert (await poll(web, task_id, "?sync_upstream=false"))["status"] == "pending"
    skip(5.0)
    assert (await poll(web, task_id, ""))["status"] == "completed"


async def test_completed_may_come_before_its_results() -> None:
    """The race: asking without sync_upstream brings them."""
    async with Emulator(seconds=0.0, race=1.0) as fox, session(fox) as web:
        task_id = await submit(web)
        early = await poll(web, task_id)
        late = await poll(web, task_id, "")

    assert (early["status"], early["results"]) == ("completed", None)
    assert late["results"]


async def test_a_task_may_fail_by_chance() -> None:
    """HTTP 200 with the task's error."""
    async with Emulator(seconds=0.0, fail=1.0) as fox, session(fox) as web:
        seen = await poll(web, await submit(web))

    assert (seen["status"], seen["results"]) == ("failed", None)
    assert seen["error"] == {
        "code": "generation_failed",
        "message": "The video could not be made.",
        "type": "task_error",
    }


async def test_a_test_ends_tasks_at_will(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """Completed, failed or cancelled, at once."""
    done, failed, cancelled = [await submit(web) for _ in range(3)]

    fox.finish(done)
    fox.fail(failed, "content_policy_violation", "No.")
    fox.cancel(cancelled)

    assert (await poll(web, done))["status"] == "completed"
    assert (await poll(web, failed))["error"] == {
        "code": "content_policy_violation",
        "message": "No.",
        "type": "task_error",
    }
    seen = await poll(web, cancelled)
    assert (seen["status"], seen["results"], seen["error"]) == ("cancelled", None, None)


async def test_ending_an_unknown_task_is_an_error(fox: Emulator) -> None:
    """A test that tries has lost track."""
    with pytest.raises(KeyError):
        fox.finish("task-unified-1-x")


async def test_an_unknown_task_is_not_found(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """And counts as a poll."""
    async with web.get("/v1/tasks/task-unified-1-x") as reply:
        assert await refused(reply) == (404, "not_found")
    assert fox.ledger.polled == 1


@pytest.mark.parametrize(
    "value", [None, "Bearer", "Bearer wrong", "Basic sk-emulator", "sk-emulator", "Bearer schlüssel"]
)
async def test_a_missing_or_wrong_key_is_refused(fox: Emulator, value: str | None) -> None:
    """Nothing is made and the submit handler is not reached."""
    headers = {"User-Agent": AGENT} | ({} if value is None else {"Authorization": value})
    async with (
        aiohttp.ClientSession(fox.base_url, headers=headers) as web,
        web.post(SUBMIT, json=TEXT) as reply,
    ):
        assert await refused(reply) == (401, "authentication_error")
    assert (fox.ledger.submitted, fox.ledger.charged) == (0, 0)


@pytest.mark.parametrize(
    "agent", ["", "Python-urllib/3.11", "Python/3.11 aiohttp/3.14.5", "python-requests/2.32", "python-httpx/0.28"]
)
async def test_cloudflare_bans_the_agents_of_libraries(fox: Emulator, agent: str) -> None:
    """403 with a plain text, whatever the key."""
    async with session(fox, **{"User-Agent": agent}) as web, web.get("/v1/models") as reply:
        assert (reply.status, await reply.text()) == (403, "error code: 1010")


async def test_cloudflare_bans_a_missing_agent(fox: Emulator) -> None:
    """No User-Agent is no better than a library's."""
    async with (
        aiohttp.ClientSession(fox.base_url, skip_auto_headers=["User-Agent"]) as web,
        web.get("/v1/models") as reply,
    ):
        assert (reply.status, await reply.text()) == (403, "error code: 1010")


@pytest.mark.parametrize("agent", ["foxvideo/1.0", AGENT])
async def test_cloudflare_lets_other_agents_pass(fox: Emulator, agent: str) -> None:
    """A product token will do, and so will a browser."""
    async with session(fox, **{"User-Agent": agent}) as web, web.get("/v1/models") as reply:
        assert reply.status == 200


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"{}", "text/plain", 400),
        (b"[]", "application/json", 422),
        (b"{}", "application/json", 422),
        (b'{"model": "grok-imagine-text-to-video", "prompt": null}', "application/json", 422),
    ],
)
async def test_a_bad_body_is_refused(
    fox: Emulator, web: aiohttp.ClientSession, content: bytes, kind: str, status: int
) -> None:
    """Nothing is made of it."""
    async with web.post(SUBMIT, data=content, headers={"Content-Type": kind}) as reply:
        assert await refused(reply) == (status, "invalid_request_error")
    assert (fox.ledger.submitted, fox.ledger.charged) == (1, 0)


async def test_a_model_that_the_key_lacks_is_refused(web: aiohttp.ClientSession) -> None:
    """With its code."""
    async with web.post(SUBMIT, json={"model": "a-model-of-tomorrow", "prompt": "A kite"}) as reply:
        error = (await reply.json())["error"]

    assert (reply.status, error["code"], error["type"]) == (422, "model_not_found", "invalid_request_error")


async def test_a_lenient_emulator_takes_any_model() -> None:
    """And links to uploads that never were."""
    async with Emulator(strict=False, seconds=0.0) as fox, session(fox) as web:
        task_id = await submit(web, model="veo-3.1", seed=None, image_url=f"{fox.base_url}/uploads/1/2/3.png")
        assert (await poll(web, task_id))["model"] == "veo-3.1"


async def test_a_result_link_serves_a_video_to_anybody(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """No key, no User-Agent rule."""
    task_id = await submit(web)
    fox.finish(task_id)
    path = await link(web, task_id)

    async with aiohttp.ClientSession(fox.base_url) as anybody, anybody.get(path) as reply:
        video = await reply.read()

    assert (reply.status, reply.content_type, reply.content_length) == (200, "video/mp4", len(video))
    assert video[4:8] == b"ftyp"
    assert (fox.ledger.downloaded, fox.ledger.leaks) == (1, [])


async def test_a_result_link_dies_and_a_poll_gives_a_fresh_one(
    fox: Emulator, web: aiohttp.ClientSession, skip: Callable[[float], None]
) -> None:
    """403 after its lifetime; until then polls give the same."""
    task_id = await submit(web)
    fox.finish(task_id)
    first = await link(web, task_id)
    assert await link(web, task_id) == first

    skip(86400.0)
    async with web.get(first) as reply:
        assert reply.status == 403
    fresh = await link(web, task_id)

    assert fresh != first
    async with web.get(fresh) as reply:
        assert reply.status == 200


async def test_an_unknown_result_link_is_not_found(web: aiohttp.ClientSession) -> None:
    """No token, no video."""
    async with web.get("/output/0.mp4") as reply:
        assert await refused(reply) == (404, "not_found")


async def test_a_key_sent_to_a_result_link_is_recorded(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """It may belong to somebody else."""
    task_id = await submit(web)
    fox.finish(task_id)
    path = await link(web, task_id)

    async with web.get(path) as reply:
        assert reply.status == 200

    assert fox.ledger.leaks == [path]


async def test_the_models_are_listed(web: aiohttp.ClientSession) -> None:
    """All that are documented, in OpenAI's shape."""
    async with web.get("/v1/models") as reply:
        body = await reply.json()

    assert body["object"] == "list"
    assert len(body["data"]) == 101


async def test_the_allowance_shrinks_with_each_task(web: aiohttp.ClientSession) -> None:
    """In quota units, 500000 to the dollar."""
    await submit(web)

    async with web.get("/api/usage/token/") as reply:
        data = (await reply.json())["data"]

    assert data["total_used"] == 62_500
    assert data["total_granted"] == data["total_used"] + data["total_available"]
    assert (data["name"], data["unlimited_quota"], data["expires_at"]) == ("emulator", False, 0)


async def test_the_ledger_remembers_each_task(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """Body, headers, polls and what is true of it now."""
    async with web.post(SUBMIT, json=TEXT, headers={"Idempotency-Key": "k-1"}) as reply:
        body = await reply.json()
    await poll(web, body["id"])
    fox.cancel(body["id"])

    record = fox.ledger.tasks[body["id"]]

    assert (record.id, record.model, record.body) == (body["id"], TEXT["model"], TEXT)
    assert (record.created, record.polls, record.status) == (body["created"], 1, "cancelled")
    assert record.headers["idempotency-key"] == "k-1"
    assert fox.api_key not in repr(fox.ledger)
    assert fox.api_key not in repr(fox)


async def test_the_ledger_can_be_read_and_reset_from_outside(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """As JSON, for a benchmark in another process; the key is not in it."""
    task_id = await submit(web)
    fox.fail_next("models", Fault("error"))

    async with web.get("/_emulator/ledger") as reply:
        text, before = await reply.text(), await reply.json()
    async with web.post("/_emulator/reset") as reply:
        after = await reply.json()

    assert fox.api_key not in text
    assert (before["submitted"], before["charged"], before["max_in_flight"]) == (1, 1, 1)
    task = before["tasks"][0]
    assert (task["id"], task["body"], task["status"]) == (task_id, TEXT, "pending")
    assert task["ends"] - task["began"] == pytest.approx(10.0)
    assert (after["submitted"], after["charged"], after["max_in_flight"], after["tasks"]) == (0, 0, 0, [])
    async with web.get("/v1/models") as reply:
        assert reply.status == 200


async def test_requests_in_flight_are_counted_apart_from_transfers(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """Three that hang and one upload."""
    fox.fail_next("models", Fault("hang"), times=3)
    fox.fail_next("upload", Fault("hang"))
    form = aiohttp.FormData()
    form.add_field("file", b"x", filename="x.png")
    hanging = [asyncio.create_task(web.get("/v1/models")) for _ in range(3)]
    hanging.append(asyncio.create_task(web.post("/v1/files/upload/stream", data=form)))
    await until(lambda: (fox.ledger.in_flight, fox.ledger.transfers) == (3, 1))

    for request in hanging:
        request.cancel()
    await asyncio.wait(hanging)

    await until(lambda: (fox.ledger.in_flight, fox.ledger.transfers) == (0, 0))
    assert (fox.ledger.max_in_flight, fox.ledger.max_transfers) == (3, 1)


@pytest.mark.parametrize(("method", "path"), [("GET", "/elsewhere"), ("DELETE", "/v1/models"), ("GET", "/v1/x")])
async def test_a_path_that_does_not_exist_is_recorded(
    fox: Emulator, web: aiohttp.ClientSession, method: str, path: str
) -> None:
    """404 as JSON."""
    async with web.request(method, path) as reply:
        assert await refused(reply) == (404, "not_found")
    assert fox.ledger.strays == [path]


async def test_the_same_seed_repeats_ids_and_lengths() -> None:
    """And another seed does not."""

    async def lives(seed: int) -> list[tuple[str, float]]:
        async with Emulator(seed=seed) as fox, session(fox) as web:
            for _ in range(3):
                await submit(web)
            tasks = fox.ledger.tasks.values()
            return [(task.id[-8:], round(task.life.ends - task.life.began, 3)) for task in tasks]

    first, again, other = [await lives(seed) for seed in (1, 1, 2)]

    assert first == again
    assert not set(first) & set(other)
    assert all(8.0 <= length <= 20.0 for _, length in first)


async def test_closing_is_quick_although_requests_hang(caplog: pytest.LogCaptureFixture) -> None:
    """They are reset, and keep-alive connections are closed."""
    async with Emulator() as fox, session(fox) as web:
        await submit(web)
        fox.fail_next("submit", Fault("hang"))
        hanging = asyncio.create_task(web.post(SUBMIT, json=TEXT))
        await until(lambda: fox.ledger.in_flight == 1)
        began = asyncio.get_running_loop().time()

        await fox.__aexit__(None, None, None)

        assert asyncio.get_running_loop().time() - began < 0.4
        with pytest.raises(aiohttp.ClientError):
            await hanging
    assert not caplog.records


async def test_an_emulator_that_cannot_open_leaves_nothing_behind() -> None:
    """Its port is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        fox = Emulator(port=taken.getsockname()[1])
        with pytest.raises(OSError, match="address already in use"):
            await fox.__aenter__()
    with pytest.raises(RuntimeError, match="not running"):
        _ = fox.base_url


async def test_an_answer_can_take_its_time() -> None:
    """So that requests overlap as they do over a long line."""
    loop = asyncio.get_running_loop()
    async with Emulator(latency=0.05) as fox, session(fox) as web:
        began = loop.time()
        await submit(web)

    assert loop.time() - began >= 0.05
