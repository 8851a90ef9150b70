"""Batches whose journal was lost, or replaced by an older copy: nothing is bought twice, and no video is another's."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from shop import Shop, video

from foxvideo import Client, Every, GrokTextToVideo
from foxvideo.batch import Ending, Outcome, read_results, run as run_batch


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    """Run a service whose tasks take ten seconds, and whose videos differ."""
    async with Shop() as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where the videos and the journal lie; it is not there yet."""
    return tmp_path / "clips"


def shots(number: int) -> list[GrokTextToVideo]:
    """Return that many requests."""
    return [GrokTextToVideo(prompt=f"Shot {place}") for place in range(number)]


async def ran(shop: Shop, folder: Path, rows: int, **options: Any) -> list[Outcome]:  # noqa: ANN401 - of a batch
    """Run a batch with a client of its own, and return its outcomes in the order of rows."""
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    async with Client("sk-1", shop.base_url, schedule=Every(2), journal=folder / "journal.db") as client:
        outcomes = [outcome async for outcome in run_batch(client, shots(rows), folder, **options)]
    return sorted(outcomes, key=lambda outcome: outcome.row)


def lose(folder: Path, *patterns: str) -> None:
    """Delete the journal, and what else is named."""
    for pattern in ("journal.db*", *patterns):
        for path in folder.glob(pattern):
            path.unlink()


def own(folder: Path, outcome: Outcome) -> bool:
    """Whether the file of an outcome is the video of its task."""
    return (folder / (outcome.file or "")).read_bytes() == video(outcome.id or "")


# --- The journal alone -------------------------------------------------------------------------------------------


async def test_completed_rows_stay_done(shop: Shop, folder: Path) -> None:
    """The results know them, and their videos are there: nobody is asked for anything."""
    first = await ran(shop, folder, 3)
    queries = [sale.queries for sale in shop.sales.values()]
    lose(folder)

    assert await ran(shop, folder, 3) == first
    assert [sale.queries for sale in shop.sales.values()] == queries


async def test_unfinished_rows_are_followed_by_their_ids(shop: Shop, folder: Path) -> None:
    """Their tasks are paid for."""
    late = await ran(shop, folder, 3, timeout=3.0)
    lose(folder)

    done = await ran(shop, folder, 3)

    assert [outcome.status for outcome in late] == [Ending.UNFINISHED] * 3
    assert [(outcome.status, outcome.id) for outcome in done] == [(Ending.COMPLETED, outcome.id) for outcome in late]
    assert all(own(folder, outcome) for outcome in done)
    assert len(shop.sales) == 3


async def test_a_row_that_is_not_saved_is_fetched_by_its_id(shop: Shop, folder: Path) -> None:
    """Its task is complete."""
    (done,) = await ran(shop, folder, 1)
    (folder / (done.file or "")).unlink()
    lose(folder)

    (again,) = await ran(shop, folder, 1)

    assert (again.status, again.id, again.file) == (Ending.COMPLETED, done.id, done.file)
    assert own(folder, again)
    assert len(shop.sales) == 1


async def test_a_task_that_is_not_found_any_more_is_not_bought_again(shop: Shop, folder: Path) -> None:
    """Nobody knows why the service has forgotten it."""
    (late,) = await ran(shop, folder, 1, timeout=3.0)
    lose(folder)
    shop.sales.clear()

    for _ in range(2):
        (gone,) = await ran(shop, folder, 1)
        assert (gone.status, gone.id) == (Ending.UNFINISHED, late.id)
    assert shop.sales == {}


@pytest.mark.parametrize("retry_failed", [False, True])
async def test_an_uncertain_row_without_an_id_is_left_alone(shop: Shop, folder: Path, retry_failed: bool) -> None:
    """It may be paid for; the way out is in its sentence."""
    shop.fates = ["lost"]
    (lost,) = await ran(shop, folder, 1)
    lose(folder)

    left = [await ran(shop, folder, 1, retry_failed=retry_failed) for _ in range(2)]

    assert [outcome.status for (outcome,) in left] == [Ending.UNCERTAIN] * 2
    assert "remove its line from results.jsonl" in (left[0][0].error or "")
    assert left[1] == left[0]
    assert (left[0][0].prompt, left[0][0].planned) == (lost.prompt, lost.planned)
    assert len(shop.sales) == 1
    lose(folder, "results.jsonl")
    ((bought,),) = [await ran(shop, folder, 1)]
    assert bought.status is Ending.COMPLETED


async def test_a_row_that_was_refused_is_bought(shop: Shop, folder: Path) -> None:
    """Nothing was made of it."""
    shop.fates = ["refused"]
    (refused,) = await ran(shop, folder, 1)
    lose(folder)

    (done,) = await ran(shop, folder, 1)

    assert (refused.status, done.status) == (Ending.REFUSED, Ending.COMPLETED)


async def test_a_failed_row_is_bought_anew_on_demand_alone(shop: Shop, folder: Path) -> None:
    """As with its journal."""
    shop.fates = ["failed"]
    (failed,) = await ran(shop, folder, 1)
    lose(folder)

    assert await ran(shop, folder, 1) == [failed]
    assert len(shop.sales) == 1
    (anew,) = await ran(shop, folder, 1, retry_failed=True)
    assert anew.status is Ending.COMPLETED
    assert len(shop.sales) == 2


# --- An older copy of it -----------------------------------------------------------------------------------------


async def restored(shop: Shop, folder: Path, before: int, after: int, **options: Any) -> None:  # noqa: ANN401 - of a batch
    """Run some rows, keep a copy of the journal, run some more, and put the copy in its place."""
    await ran(shop, folder, before, **options)
    backup = folder.with_name("backup")
    await asyncio.to_thread(shutil.copytree, folder, backup)
    await ran(shop, folder, after, **options)
    lose(folder)
    for path in backup.glob("journal.db*"):
        await asyncio.to_thread(shutil.copy, path, folder)


async def test_rows_that_an_older_journal_lacks_are_followed_by_their_ids(shop: Shop, folder: Path) -> None:
    """It knows the others."""
    await restored(shop, folder, 1, 3, timeout=3.0)

    done = await ran(shop, folder, 3)

    assert [outcome.status for outcome in done] == [Ending.COMPLETED] * 3
    assert all(own(folder, outcome) for outcome in done)
    assert len(shop.sales) == 3


async def test_a_row_that_was_only_refused_when_the_copy_was_made_is_followed(shop: Shop, folder: Path) -> None:
    """The journal says that nothing was made; the results know better."""
    shop.fates = ["refused"]
    await restored(shop, folder, 1, 1, timeout=3.0)

    (done,) = await ran(shop, folder, 1)

    assert done.status is Ending.COMPLETED
    assert len(shop.sales) == 1


async def test_a_new_attempt_that_an_older_journal_lacks_is_followed(shop: Shop, folder: Path) -> None:
    """The journal says that the row failed, and it was bought anew since."""
    shop.fates = ["failed"]
    await ran(shop, folder, 1)
    backup = folder.with_name("backup")
    await asyncio.to_thread(shutil.copytree, folder, backup)
    await ran(shop, folder, 1, retry_failed=True, timeout=3.0)
    lose(folder)
    for path in backup.glob("journal.db*"):
        await asyncio.to_thread(shutil.copy, path, folder)

    (done,) = await ran(shop, folder, 1, retry_failed=True)

    assert done.status is Ending.COMPLETED
    assert own(folder, done)
    assert len(shop.sales) == 2


async def test_an_uncertain_row_that_an_older_journal_lacks_is_left_alone(shop: Shop, folder: Path) -> None:
    """Though the copy says that it was refused."""
    shop.fates = ["refused", "lost"]
    await restored(shop, folder, 1, 1)

    (left,) = await ran(shop, folder, 1)

    assert left.status is Ending.UNCERTAIN
    assert len(shop.sales) == 1


async def test_a_decision_about_an_uncertain_row_is_heard(shop: Shop, folder: Path) -> None:
    """The journal knows it, so what it says counts."""
    shop.fates = ["lost"]
    (lost,) = await ran(shop, folder, 1)
    (task_id,) = shop.sales
    async with Client("sk-1", shop.base_url, schedule=Every(2), journal=folder / "journal.db") as client:
        await client.adopt(lost.key or "", task_id)

    (done,) = await ran(shop, folder, 1)

    assert (done.status, done.id) == (Ending.COMPLETED, task_id)


# --- Videos ------------------------------------------------------------------------------------------------------


async def test_a_video_that_lies_there_is_not_taken_for_another_task_s(shop: Shop, folder: Path) -> None:
    """Where all is bought anew, the old videos stay, and the new ones lie beside them."""
    first = await ran(shop, folder, 3)
    lose(folder, "results.jsonl")

    second = await ran(shop, folder, 3)

    assert len(shop.sales) == 6
    assert all(own(folder, outcome) for outcome in [*first, *second])
    assert len({outcome.file for outcome in [*first, *second]}) == 6


async def test_a_file_of_somebody_else_is_never_written_over(shop: Shop, folder: Path) -> None:
    """Whatever it is called."""
    (done,) = await ran(shop, folder, 1)
    lose(folder, "results.jsonl")
    (folder / (done.file or "")).write_bytes(b"mine")

    (again,) = await ran(shop, folder, 1)

    assert (folder / (done.file or "")).read_bytes() == b"mine"
    assert own(folder, again)


@pytest.mark.parametrize("content", [b"", b"half of it"])
async def test_a_video_that_is_damaged_is_fetched_again(shop: Shop, folder: Path, content: bytes) -> None:
    """Under its name; what had a byte in it stays beside it, since somebody may have cut it on purpose."""
    (done,) = await ran(shop, folder, 1)
    path = folder / (done.file or "")
    path.write_bytes(content)

    (again,) = await ran(shop, folder, 1)

    assert (again.file, again.bytes, again.sha256) == (done.file, done.bytes, done.sha256)
    assert own(folder, again)
    copies = list(folder.glob("*-changed-*.mp4"))
    assert [copy.read_bytes() for copy in copies] == ([content] if content else [])
    assert len(shop.sales) == 1


async def test_a_damaged_video_that_cannot_be_fetched_stays(shop: Shop, folder: Path) -> None:
    """And no copy of it is left behind."""
    (done,) = await ran(shop, folder, 1)
    path = folder / (done.file or "")
    path.write_bytes(b"half of it")
    shop.gone = True

    (unsaved,) = await ran(shop, folder, 1)

    assert (unsaved.status, unsaved.id, unsaved.file) == (Ending.UNSAVED, done.id, None)
    assert [file.read_bytes() for file in folder.glob("*.mp4")] == [b"half of it"]


@pytest.mark.parametrize("file", ["../elsewhere.mp4", "/nowhere/a.mp4", "a\0b.mp4", "x" * 300])
async def test_a_line_with_a_strange_file_is_no_video(shop: Shop, folder: Path, file: str) -> None:
    """Its task is followed, and the video saved where it belongs."""
    (done,) = await ran(shop, folder, 1)
    results = folder / "results.jsonl"
    line = json.loads(results.read_text())
    results.write_text(json.dumps(line | {"file": file}) + "\n")
    (folder / (done.file or "")).unlink()

    (again,) = await ran(shop, folder, 1)

    assert (again.status, again.id, again.file) == (Ending.COMPLETED, done.id, done.file)
    assert len(shop.sales) == 1


async def test_a_new_attempt_that_is_refused_is_not_called_by_the_id_of_the_last_one(shop: Shop, folder: Path) -> None:
    """Nothing was made of it."""
    shop.fates = ["failed", "refused"]
    (failed,) = await ran(shop, folder, 1)

    (refused,) = await ran(shop, folder, 1, retry_failed=True)

    assert (refused.status, refused.id, refused.credits_reserved) == (Ending.REFUSED, None, None)
    assert failed.id is not None
    assert [outcome.status for outcome in await ran(shop, folder, 1)] == [Ending.FAILED]


# --- What the results file is ------------------------------------------------------------------------------------


async def test_earlier_lines_of_a_key_do_not_count(shop: Shop, folder: Path) -> None:
    """The newest does: the row was refused first."""
    shop.fates = ["refused"]
    await ran(shop, folder, 1)
    (done,) = await ran(shop, folder, 1)
    lose(folder)

    assert await ran(shop, folder, 1) == [done]
    lines = [json.loads(line)["status"] for line in (folder / "results.jsonl").read_text().splitlines()]
    assert lines == ["refused", "completed"]
    assert read_results(folder) == [done]
