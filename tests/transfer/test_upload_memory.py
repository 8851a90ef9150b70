"""Uploads that are remembered, and forgotten: by age, by number, and where the service may have dropped them."""

import asyncio
import gc
import json
import os
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from receiving import Notebook, Service, serving

from foxvideo import Client, Every, FoxError, GrokEditVideo, GrokImageToVideo, InvalidRequest, TaskFailed, UploadError
from foxvideo._transfer import upload
from foxvideo._transfer.content import digest
from foxvideo._transfer.upload import Uploads
from foxvideo.emulator import Emulator, Fault

DAY = 24 * 3600.0
PICTURE = b"\x89PNG\r\n\x1a\n a fox"


def _now() -> float:
    return asyncio.get_running_loop().time()


def _from(media: Any) -> GrokImageToVideo:  # noqa: ANN401 - also what is no media
    return GrokImageToVideo(prompt="It goes on", image_url=media)


def _sent(fox: Emulator) -> list[Any]:
    return [record.body["image_url"] for record in fox.ledger.tasks.values()]


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """Run a service of one route."""
    async with serving() as made:
        yield made


# --- By age and number ---------------------------------------------------------------------------------------------


async def test_an_upload_is_remembered_for_a_day(client: Client, fox: Emulator) -> None:
    """Then the service may have dropped it."""
    first = await client.upload(PICTURE)
    await asyncio.sleep(DAY - 60)
    assert await client.upload(PICTURE) == first

    await asyncio.sleep(120)
    assert await client.upload(PICTURE) != first
    assert fox.ledger.uploaded == 2


async def test_an_upload_that_the_service_calls_invalid_is_forgotten() -> None:
    """The next request that needs it brings it again; others are kept."""
    async with Emulator(render=False, upload_lifetime=3600.0) as fox, Client(fox.api_key, fox.base_url) as client:
        gone = await client.upload(PICTURE)
        await asyncio.sleep(1800)
        kept = await client.upload(b"another")
        await asyncio.sleep(1801)

        with pytest.raises(InvalidRequest, match="image_url"):
            await client.generate(_from(PICTURE))

        assert (await client.generate(_from(PICTURE))).request == _from(PICTURE)
        assert await client.upload(b"another") == kept
        assert gone not in _sent(fox)
        assert fox.ledger.uploaded == 3


async def test_what_is_remembered_is_bounded_in_age(service: Service) -> None:
    """A service of weeks uploads new pictures every day."""
    uploads = Uploads(service.transport)
    for number in range(30):
        await uploads.link(f"picture {number}".encode())
        await asyncio.sleep(DAY / 10)

    assert len(uploads._known) <= 11
    assert await uploads.link(b"picture 29") == "https://files.example/30"


async def test_what_is_remembered_is_bounded_in_number(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go first."""
    monkeypatch.setattr(upload, "_MOST_REMEMBERED", 10)
    uploads = Uploads(service.transport)
    for number in range(30):
        await uploads.link(f"picture {number}".encode())

    assert list(uploads._known) == [digest(f"picture {number}".encode()) for number in range(20, 30)]


class _Local(os.PathLike[str]):
    """A path of which it can be told whether anybody still holds it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


@pytest.mark.parametrize("fails", [True, False])
async def test_nothing_is_held_of_media_once_they_were_uploaded(fails: bool, service: Service, tmp_path: Path) -> None:
    """Nor where that failed: only digests and URLs are."""
    (tmp_path / "a").write_bytes(PICTURE)
    uploads, media = Uploads(service.transport), _Local(tmp_path / "a")
    held, ended = weakref.ref(media), None
    if fails:
        service.reply = lambda _: web.json_response({"error": {"message": "too large"}}, status=413)
    try:
        await uploads.link(media)
    except UploadError as error:
        ended = error.with_traceback(None)
    del media

    gc.collect()
    assert held() is None
    assert uploads._flights == {}
    assert (ended is not None) is fails


# --- A memory that lasts -------------------------------------------------------------------------------------------


async def test_a_memory_knows_what_another_client_uploaded(service: Service) -> None:
    """It is asked once for all who need a content at once."""
    notebook = Notebook()
    first = await Uploads(service.transport, memory=notebook).link(PICTURE)
    assert notebook.pages == {digest(PICTURE): first}

    other = Uploads(service.transport, memory=notebook)
    assert await asyncio.gather(*(other.link(PICTURE) for _ in range(5))) == [first] * 5
    assert len(service.taken) == 1


@pytest.mark.parametrize("name", ["a", "https://files.example/ä"], ids=["digest", "URL"])
async def test_a_memory_forgets_what_the_service_may_have_dropped(name: str, service: Service) -> None:
    """By either of its names."""
    notebook = Notebook({"a": "https://files.example/ä", "b": "https://files.example/b"})

    body = {"prompt": 'say "hi" \\', "pictures": [name], "image_url": "https://files.example/c"}
    Uploads(service.transport, notebook).forget(json.dumps(body).encode())

    assert notebook.pages == {"b": "https://files.example/b"}


async def test_a_request_without_files_has_nothing_to_be_forgotten(service: Service) -> None:
    """The memory is not even asked."""
    notebook = Notebook({"a": "https://files.example/a"})
    pages = notebook.pages

    Uploads(service.transport, notebook).forget(b"")

    assert notebook.pages is pages


# --- What the service has dropped ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("code", [None, "invalid_image_url", "invalid_file_type", "unheard_of"])
async def test_a_refused_request_uploads_its_files_anew(
    code: str | None, status: int, client: Client, fox: Emulator
) -> None:
    """Whatever words the refusal has, the dead link is not sent twice."""
    first = await client.upload(PICTURE)
    fox.fail_next("submit", Fault("error", status=status, code=code))

    with pytest.raises(InvalidRequest):
        await client.generate(_from(PICTURE))
    await client.generate(_from(PICTURE))

    assert first not in _sent(fox)
    assert fox.ledger.uploaded == 2


@pytest.mark.parametrize("code", ["image_processing_error", "generation_failed", "invalid_image_url", None])
async def test_a_failed_task_uploads_its_files_anew(code: str | None, client: Client, fox: Emulator) -> None:
    """No second task is paid for with a dead link; files of other tasks are kept."""
    kept = await client.upload(b"another")
    task = client.submit(_from(PICTURE))
    fox.fail(await task.wait_accepted(), *([code] if code else []))
    with pytest.raises(TaskFailed):
        await task

    await client.generate(_from(PICTURE))

    first, second = _sent(fox)
    assert first != second
    assert await client.upload(b"another") == kept


@pytest.mark.parametrize("dead_media", ["refuse", "fail"])
@pytest.mark.parametrize("name", ["image_url", "video_url"])
async def test_a_file_that_the_service_dropped_costs_one_attempt(name: str, dead_media: Any, tmp_path: Path) -> None:  # noqa: ANN401 - a word
    """With a journal too, which remembers uploads for other clients."""
    shot = _from(PICTURE) if name == "image_url" else GrokEditVideo(prompt="Night falls", video_url=PICTURE)
    async with Emulator(render=False, dead_media=dead_media) as fox:
        async with Client(fox.api_key, fox.base_url, journal=tmp_path / "j.db", schedule=Every(1)) as client:
            await client.upload(PICTURE)
            fox.drop_uploads()
            with pytest.raises(FoxError):
                await client.generate(shot, key="shot-1", retry_failed=True)

        async with Client(fox.api_key, fox.base_url, journal=tmp_path / "j.db", schedule=Every(1)) as client:
            await client.generate(shot, key="shot-1", retry_failed=True)

        assert fox.ledger.uploaded == 2
        assert fox.ledger.charged == (1 if dead_media == "refuse" else 2)


async def test_a_task_that_fails_in_a_later_run_uploads_its_files_anew(tmp_path: Path) -> None:
    """The journal knows which they were."""
    async with Emulator(render=False) as fox:
        async with Client(fox.api_key, fox.base_url, journal=tmp_path / "j.db", schedule=Every(1)) as client:
            task_id = await client.submit(_from(PICTURE), key="shot-1").wait_accepted()
        async with Client(fox.api_key, fox.base_url, journal=tmp_path / "j.db", schedule=Every(1)) as client:
            (task,) = await client.resume()
            fox.fail(task_id)
            with pytest.raises(TaskFailed):
                await task
            await client.generate(_from(PICTURE), key="shot-1", retry_failed=True)

        assert fox.ledger.uploaded == 2
