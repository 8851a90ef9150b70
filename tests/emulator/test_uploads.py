"""Uploads to the emulator over HTTP."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from foxvideo.emulator import Emulator, Fault

UPLOAD = "/v1/files/upload"
SUBMIT = "/v1/videos/generations"


@pytest.fixture
async def fox() -> AsyncIterator[Emulator]:
    """An emulator whose videos are not drawn."""
    async with Emulator(render=False) as emulator:
        yield emulator


@pytest.fixture
async def web(fox: Emulator) -> AsyncIterator[aiohttp.ClientSession]:
    """A session that holds the key."""
    async with _web(fox) as made:
        yield made


def _web(fox: Emulator) -> aiohttp.ClientSession:
    headers = {"Authorization": f"Bearer {fox.api_key}", "User-Agent": "foxvideo/1.0"}
    return aiohttp.ClientSession(fox.base_url, headers=headers)


@pytest.fixture
async def skip(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let the loop's clock jump ahead by so many seconds."""
    loop = asyncio.get_running_loop()
    real, jumped = loop.time, [0.0]
    monkeypatch.setattr(loop, "time", lambda: real() + sum(jumped))
    return jumped.append


def form(content: bytes = b"picture", filename: str | None = "cat.png", **fields: str) -> aiohttp.FormData:
    """Return an upload form."""
    made = aiohttp.FormData(fields, default_to_multipart=True)
    made.add_field("file", content, filename=filename)
    return made


async def uploaded(web: aiohttp.ClientSession, path: str, **body: Any) -> dict[str, Any]:  # noqa: ANN401
    """Upload and return the reply."""
    async with web.post(f"{UPLOAD}/{path}", **body) as reply:
        assert reply.status == 200, await reply.text()
        replied = await reply.json()
        assert isinstance(replied, dict)
        return replied


async def served(fox: Emulator, url: str) -> tuple[int, str, bytes]:
    """Fetch a URL as anybody: status, type and body."""
    async with aiohttp.ClientSession() as anybody, anybody.get(url) as reply:
        return reply.status, reply.content_type, await reply.read()


async def test_a_streamed_file_is_answered_as_documented_and_served(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """To anybody, under the URL of the reply."""
    body = await uploaded(web, "stream", data=form(auto_cleanup="true"))

    assert re.fullmatch(rf"{fox.base_url}/uploads/\d{{8}}/[0-9a-f]{{12}}/cat\.png", body["url"])
    assert re.fullmatch(r"file-\d{10}-[0-9a-f]{12}", body["id"])
    assert (body["filename"], body["size"], body["created"] > 0) == ("cat.png", 7, True)
    assert await served(fox, body["url"]) == (200, "image/png", b"picture")
    assert (fox.ledger.uploaded, fox.ledger.leaks) == (1, [])


async def test_a_file_can_be_stored_under_another_name(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """Quoted in the URL, without its folders."""
    body = await uploaded(web, "stream", data=form(file_name="a/b c?.bin"))

    assert body["filename"] == "b c?.bin"
    assert body["url"].endswith("/b%20c%3F.bin")
    assert await served(fox, body["url"]) == (200, "application/octet-stream", b"picture")


async def test_two_uploads_of_the_same_file_have_two_urls(web: aiohttp.ClientSession) -> None:
    """A repeat leaves two copies."""
    first, second = [await uploaded(web, "stream", data=form()) for _ in range(2)]

    assert first["url"] != second["url"]


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
async def test_a_file_can_come_as_base64(fox: Emulator, web: aiohttp.ClientSession, prefix: str) -> None:
    """Plain or as a data URL."""
    text = prefix + base64.b64encode(b"picture").decode()

    body = await uploaded(web, "base64", json={"file_data": text, "file_name": "cat.png"})

    assert (await served(fox, body["url"]))[2] == b"picture"


async def test_a_file_can_be_fetched_by_the_server(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """From any URL that answers."""
    first = await uploaded(web, "stream", data=form())

    body = await uploaded(web, "url", json={"url": first["url"]})

    assert body["filename"] == "cat.png"
    assert (await served(fox, body["url"]))[2] == b"picture"


async def test_a_file_without_a_name_is_called_file(web: aiohttp.ClientSession) -> None:
    """Base64 brings no name along."""
    body = await uploaded(web, "base64", json={"file_data": ""})

    assert (body["filename"], body["size"]) == ("file", 0)


BAD_FORMS: list[tuple[str, dict[str, Any]]] = [
    ("stream", {"data": b"picture"}),
    ("stream", {"data": b"picture", "headers": {"Content-Type": "multipart/form-data"}}),
    ("base64", {"data": b"{"}),
    ("base64", {"json": []}),
    ("base64", {"json": {}}),
    ("base64", {"json": {"file_data": "!"}}),
    ("base64", {"json": {"file_data": "abc"}}),
    ("url", {"json": {}}),
    ("url", {"json": {"url": "cat.png"}}),
    ("url", {"json": {"url": "http://127.0.0.1:1/cat.png"}}),
]


@pytest.mark.parametrize(("path", "body"), BAD_FORMS)
async def test_a_request_that_brings_no_file_is_refused(
    fox: Emulator, web: aiohttp.ClientSession, path: str, body: dict[str, Any]
) -> None:
    """400, and nothing is stored."""
    async with web.post(f"{UPLOAD}/{path}", **body) as reply:
        error = (await reply.json())["error"]

    assert (reply.status, error["type"]) == (400, "invalid_request_error")
    assert fox.ledger.uploaded == 0


async def test_a_part_without_a_filename_is_no_file(web: aiohttp.ClientSession) -> None:
    """As with FastAPI, where it would be a plain field."""
    plain = aiohttp.FormData({"file": "picture"}, default_to_multipart=True)

    async with web.post(f"{UPLOAD}/stream", data=plain) as reply:
        assert reply.status == 400


@pytest.mark.parametrize(("limit", "kind"), [("body_limit", "text/html"), ("file_limit", "application/json")])
async def test_what_is_too_large_is_refused_in_two_ways(limit: str, kind: str) -> None:
    """By Cloudflare with a page, by the gateway with its error."""
    fox = Emulator(render=False)
    setattr(fox, limit, 99)
    async with fox:
        async with _web(fox) as web, web.post(f"{UPLOAD}/stream", data=form(b"x" * 100)) as reply:
            assert (reply.status, reply.content_type) == (413, kind)
            assert kind == "text/html" or (await reply.json())["error"]["type"] == "file_too_large_error"
        assert fox.ledger.uploaded == 0


async def test_a_full_storage_drops_the_oldest_for_a_new_file() -> None:
    """As many as it takes, and no more."""
    async with Emulator(render=False, storage=10) as fox, _web(fox) as web:
        links = [(await uploaded(web, "stream", data=form(content)))["url"] for content in (b"aaa", b"bbb", b"ccc")]
        last = (await uploaded(web, "stream", data=form(b"ddddd")))["url"]

        assert [(await served(fox, link))[0] for link in (*links, last)] == [404, 404, 200, 200]


async def test_a_full_storage_drops_nothing_if_told_so() -> None:
    """It refuses the new file instead."""
    async with Emulator(render=False, storage=10) as fox, _web(fox) as web:
        first = (await uploaded(web, "stream", data=form(b"aaa", auto_cleanup="false")))["url"]
        async with web.post(f"{UPLOAD}/stream", data=form(b"x" * 8, auto_cleanup="false")) as reply:
            assert (reply.status, "full" in await reply.text()) == (403, True)

        assert (await served(fox, first))[0] == 200


async def test_a_file_larger_than_the_storage_is_never_stored() -> None:
    """Nothing is dropped for it."""
    async with Emulator(render=False, storage=10) as fox, _web(fox) as web:
        first = (await uploaded(web, "stream", data=form(b"aaa")))["url"]
        async with web.post(f"{UPLOAD}/stream", data=form(b"x" * 11)) as reply:
            assert reply.status == 413

        assert (await served(fox, first))[0] == 200


async def test_an_upload_dies_after_72_hours(
    fox: Emulator, web: aiohttp.ClientSession, skip: Callable[[float], None]
) -> None:
    """Its URL is not found any more, and submits that name it are refused."""
    url = (await uploaded(web, "stream", data=form()))["url"]
    image = {"model": "grok-imagine-image-to-video", "prompt": "x", "image_url": url}
    video = {"model": "grok-imagine-edit-video", "prompt": "x", "video_url": url}
    async with web.post(SUBMIT, json=image) as reply:
        assert reply.status == 200

    skip(72 * 3600.0)

    assert (await served(fox, url))[0] == 404
    async with web.post(SUBMIT, json=image) as reply:
        assert (reply.status, (await reply.json())["error"]["code"]) == (422, "invalid_image_url")
    async with web.post(SUBMIT, json=video) as reply:
        error = (await reply.json())["error"]
    assert (reply.status, error["message"]) == (422, "video_url: the file cannot be fetched")
    assert "code" not in error


@pytest.mark.parametrize("after", [False, True])
async def test_a_broken_upload_has_stored_the_file_or_not(
    fox: Emulator, web: aiohttp.ClientSession, after: bool
) -> None:
    """Harmless to the purse, but it may leave two copies."""
    fox.fail_next("upload", Fault("error", after=after, status=503))

    async with web.post(f"{UPLOAD}/stream", data=form()) as reply:
        assert reply.status == 503

    assert fox.ledger.uploaded == after


async def test_a_key_sent_to_an_uploaded_file_is_recorded(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """The URL is public."""
    url = (await uploaded(web, "stream", data=form()))["url"]

    async with web.get(url.removeprefix(fox.base_url)) as reply:
        assert reply.status == 200

    assert fox.ledger.leaks == [url.removeprefix(fox.base_url)]


IMAGE = {"model": "grok-imagine-image-to-video", "prompt": "x"}
VIDEO = {"model": "grok-imagine-edit-video", "prompt": "x"}


async def test_an_upload_can_be_dropped_before_its_time(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """One alone: its URL is dead, and submissions with it are refused, free of charge."""
    dropped, kept = [(await uploaded(web, "stream", data=form(file_name="a b?.png")))["url"] for _ in range(2)]

    fox.drop_uploads(dropped)

    assert [(await served(fox, url))[0] for url in (dropped, kept)] == [404, 200]
    async with web.post(SUBMIT, json=IMAGE | {"image_url": dropped}) as reply:
        assert (reply.status, (await reply.json())["error"]["code"]) == (422, "invalid_image_url")
    async with web.post(SUBMIT, json=IMAGE | {"image_url": kept}) as reply:
        assert reply.status == 200
    assert fox.ledger.charged == 1
    with pytest.raises(KeyError):
        fox.drop_uploads(dropped)


async def test_all_uploads_can_be_dropped(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """As if the service had lost its disk."""
    urls = [(await uploaded(web, "stream", data=form()))["url"] for _ in range(2)]

    fox.drop_uploads()

    assert [(await served(fox, url))[0] for url in urls] == [404, 404]


async def test_uploads_of_an_emulator_that_is_not_running_cannot_be_dropped() -> None:
    """It has none."""
    with pytest.raises(RuntimeError, match="not running"):
        Emulator().drop_uploads()


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [(IMAGE, "image_url", "image_processing_error"), (VIDEO, "video_url", "resource_not_found")],
)
async def test_a_dead_upload_may_fail_its_task_instead(body: dict[str, Any], field: str, code: str) -> None:
    """The submission is accepted and charged, and the task fails in its time."""
    async with Emulator(render=False, seconds=10.0, dead_media="fail") as fox, _web(fox) as web:
        url = (await uploaded(web, "stream", data=form()))["url"]
        fox.drop_uploads(url)
        async with web.post(SUBMIT, json=body | {field: url}) as reply:
            task_id = (await reply.json())["id"]
        states = []
        for _ in range(2):
            async with web.get(f"/v1/tasks/{task_id}?sync_upstream=true") as reply:
                states.append(await reply.json())
            await asyncio.sleep(10)

        assert [state["status"] for state in states] == ["pending", "failed"]
        assert states[1]["error"] == {
            "code": code,
            "message": f"{field}: the file cannot be fetched",
            "type": "task_error",
        }
        assert (fox.ledger.charged, fox.ledger.reserved) == (1, 12.5)


async def test_a_living_upload_fails_no_task() -> None:
    """And what is wrong with a body is refused before its uploads are looked at."""
    async with Emulator(render=False, seconds=0.0, dead_media="fail") as fox, _web(fox) as web:
        url = (await uploaded(web, "stream", data=form()))["url"]
        async with web.post(SUBMIT, json=IMAGE | {"image_url": url}) as reply:
            task_id = (await reply.json())["id"]
        async with web.get(f"/v1/tasks/{task_id}?sync_upstream=true") as reply:
            assert (await reply.json())["status"] == "completed"
        fox.drop_uploads()
        async with web.post(SUBMIT, json=IMAGE | {"image_url": url, "duration": 99}) as reply:
            assert reply.status == 422


def test_what_becomes_of_dead_media_is_one_of_two_words() -> None:
    """They are named."""
    with pytest.raises(ValueError, match="dead_media: 'ignore' is none of refuse, fail"):
        Emulator(dead_media="ignore")  # type: ignore[arg-type]
