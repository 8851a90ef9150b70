"""Pictures that are replaced after their rows were named: what was named is what is sent, or nothing is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from foxvideo import Client, Every, GrokImageToVideo
from foxvideo.batch import Ending, Manifest, Outcome, run as run_batch
from foxvideo.batch.batch import Items
from foxvideo.emulator import Emulator


@pytest.fixture
async def slow() -> AsyncIterator[Emulator]:
    """Run an emulator that takes a second for each request."""
    async with Emulator(seconds=10.0, render=False, latency=1.0) as fox:
        yield fox


async def ran(fox: Emulator, items: Items, folder: Path, **options: object) -> list[Outcome]:
    """Run a batch with a client of its own, and return its outcomes in the order of rows."""
    async with Client(fox.api_key, fox.base_url, schedule=Every(2), journal=folder / "journal.db") as client:
        outcomes = [outcome async for outcome in run_batch(client, items, folder / "clips", **options)]  # type: ignore[arg-type]
    return sorted(outcomes, key=lambda outcome: outcome.row)


def write(folder: Path, number: int) -> Manifest:
    """Write a manifest of that many rows, each with a picture of its own."""
    for place in range(number):
        (folder / f"{place}.png").write_bytes(b"\x89PNG\r\n\x1a\nold %d" % place)
    (folder / "shots.csv").write_text("prompt,image_url\n" + "".join(f"Go,{place}.png\n" for place in range(number)))
    return Manifest(folder / "shots.csv")


def rewritten(path: Path) -> None:
    """Write another picture into the same file, of the same length."""
    path.write_bytes(path.read_bytes().replace(b"old", b"new"))


def replaced(path: Path) -> None:
    """Put another file in its place."""
    other = path.with_name("other.png")
    other.write_bytes(path.read_bytes().replace(b"old", b"newer"))
    other.replace(path)


def removed(path: Path) -> None:
    """Remove the file."""
    path.unlink()


async def bought(fox: Emulator) -> list[bytes]:
    """Return the pictures that videos were bought of."""
    async with aiohttp.ClientSession() as session:
        links = [str(task.body["image_url"]) for task in fox.ledger.tasks.values()]
        return [await (await session.get(link)).read() for link in links]


@pytest.mark.parametrize("change", [rewritten, replaced])
async def test_a_row_that_waits_is_not_bought_with_another_picture(
    slow: Emulator, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """It waits for what the first one costs; the next run buys the new picture, once."""
    manifest = write(tmp_path, 2)
    asyncio.get_running_loop().call_later(1.5, change, tmp_path / "1.png")

    first, second = await ran(slow, manifest, tmp_path, max_credits=1000)

    assert (first.status, second.status) == (Ending.COMPLETED, Ending.REFUSED)
    assert "changed" in (second.error or "")
    assert len(slow.ledger.tasks) == 1
    for _ in range(2):
        again = await ran(slow, Manifest(manifest.path), tmp_path)
        assert [outcome.status for outcome in again] == [Ending.COMPLETED] * 2
    old, new = await bought(slow)
    assert b"old 0" in old
    assert b"new" in new


@pytest.mark.parametrize("seconds", [0.0, 0.3, 0.9, 1.1, 1.6, 2.5])
@pytest.mark.parametrize("change", [rewritten, replaced, removed])
async def test_whenever_a_picture_changes_what_is_sent_is_what_was_named(
    slow: Emulator, tmp_path: Path, change: Callable[[Path], None], seconds: float
) -> None:
    """Before it is uploaded, meanwhile, and after that; over two runs no picture is bought twice."""
    manifest = write(tmp_path, 2)
    list(manifest)  # as the survey before the question does
    asyncio.get_running_loop().call_later(seconds, change, tmp_path / "1.png")

    await ran(slow, manifest, tmp_path)
    assert all(b"old" in picture for picture in await bought(slow))

    await ran(slow, Manifest(manifest.path), tmp_path)
    pictures = await bought(slow)
    assert len(pictures) == len(set(pictures))


async def test_requests_of_a_program_are_held_to_their_pictures_too(slow: Emulator, tmp_path: Path) -> None:
    """They get their keys in the same way."""
    write(tmp_path, 2)
    shots = [GrokImageToVideo(prompt="Go", image_url=tmp_path / f"{number}.png") for number in range(2)]
    asyncio.get_running_loop().call_later(1.5, rewritten, tmp_path / "1.png")

    first, second = await ran(slow, shots, tmp_path, max_credits=1000)

    assert (first.status, second.status) == (Ending.COMPLETED, Ending.REFUSED)
    assert len(slow.ledger.tasks) == 1


async def test_a_picture_that_is_written_anew_with_the_same_content_is_the_same(slow: Emulator, tmp_path: Path) -> None:
    """Nothing else is asked of it."""
    manifest = write(tmp_path, 2)
    asyncio.get_running_loop().call_later(1.5, write, tmp_path, 2)

    outcomes = await ran(slow, manifest, tmp_path, max_credits=1000)

    assert [outcome.status for outcome in outcomes] == [Ending.COMPLETED] * 2
