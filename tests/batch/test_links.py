"""Completed tasks whose results have no link that is known: a model that makes videos is not complete without one."""

from pathlib import Path

import pytest
from shop import Shop

from foxvideo import Client, Every, Request
from foxvideo.batch import Ending, Outcome, run as run_batch


async def ran(shop: Shop, folder: Path, request: Request) -> Outcome:
    """Run a batch of one row with a client of its own."""
    async with Client("sk-1", shop.base_url, schedule=Every(2), journal=folder / "journal.db") as client:
        (outcome,) = [outcome async for outcome in run_batch(client, [request], folder / "clips", check=False)]
    return outcome


@pytest.mark.parametrize(
    "model", ["grok-imagine-text-to-video", "veo-3.1[4k]", "omnihuman-1.5", "veed-subtitles", "a-model-of-tomorrow"]
)
@pytest.mark.parametrize(
    ("result", "names"),
    [
        ({"download_url": "https://example.com/a.mp4", "content_type": "video/mp4"}, "content_type, download_url"),
        ({"file": {"href": "https://example.com/a.mp4"}}, "file"),
        ({"voice_id": "v1"}, "voice_id"),
        ({"b\n\u001b[35m": 1}, "b [35m"),
    ],
)
async def test_a_video_without_a_known_link_is_unsaved(
    tmp_path: Path, model: str, result: dict[str, object], names: str
) -> None:
    """The sentence has the names that its results have; every run says so again, and none buys it again."""
    async with Shop(results=lambda _: [result]) as shop:
        first, again = [await ran(shop, tmp_path, Request(model, prompt="A fox")) for _ in range(2)]

    assert (first.status, first.file) == (Ending.UNSAVED, None)
    assert first.error is not None
    assert first.error.replace("\x1b", "").endswith(f"no known link: they have {names}")
    assert again == first
    assert len(shop.sales) == 1


@pytest.mark.parametrize(
    ("model", "result"),
    [
        ("kling-video-create-voice", {"voice_id": "v1"}),
        ("sora-2-character", {"character_id": "c1", "name": "Fox"}),
        ("kling-custom-element", {"element_id": "e1"}),
    ],
)
async def test_a_voice_a_character_and_an_element_are_complete_without_a_file(
    tmp_path: Path, model: str, result: dict[str, object]
) -> None:
    """Their page says that they make no video; the next run asks nobody."""
    async with Shop(results=lambda _: [result]) as shop:
        first = await ran(shop, tmp_path, Request(model, prompt="A fox"))
        queries = next(iter(shop.sales.values())).queries
        again = await ran(shop, tmp_path, Request(model, prompt="A fox"))

        assert next(iter(shop.sales.values())).queries == queries
    assert (first.status, first.file, first.error) == (Ending.COMPLETED, None, None)
    assert again == first


async def test_a_voice_that_can_be_heard_is_saved(tmp_path: Path) -> None:
    """A link is a link."""
    async with Shop(results=lambda link: [{"voice_id": "v1", "url": link}]) as shop:
        outcome = await ran(shop, tmp_path, Request("kling-video-create-voice", voice_url="https://example.com/a.mp3"))

    assert outcome.status is Ending.COMPLETED
    assert (tmp_path / "clips" / (outcome.file or "")).stat().st_size


async def test_one_known_link_is_enough(tmp_path: Path) -> None:
    """Further results may be of another kind."""
    async with Shop(results=lambda link: [{"seed": 7}, {"url": link}]) as shop:
        outcome = await ran(shop, tmp_path, Request("grok-imagine-text-to-video", prompt="A fox"))

    assert outcome.status is Ending.COMPLETED
    assert outcome.file
