"""Batches against the emulator: what is made, what is known again, and what stops a run."""

import asyncio
import contextlib
import hashlib
import json
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from foxvideo import Client, Every, GrokTextToVideo, Request, Video, VideoRequest
from foxvideo.batch import Ending, Manifest, Outcome, Row, read_results, run as run_batch
from foxvideo.batch.batch import Items
from foxvideo.emulator import Emulator, Fault
from foxvideo.media import SavedFile

TEXT = "prompt,duration\nA fox,6\nAn owl,4\nA fox,6\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where videos go; it is not there yet."""
    return tmp_path / "clips"


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Write a manifest of three rows, of which two are equal."""
    (tmp_path / "shots.csv").write_text(TEXT)
    return Manifest(tmp_path / "shots.csv")


@contextlib.asynccontextmanager
async def opened(fox: Emulator, folder: Path, **options: Any) -> AsyncIterator[Client]:  # noqa: ANN401 - of Client
    """Open a client whose journal lies beside the folder."""
    journal = folder.with_name("journal.db")
    async with Client(fox.api_key, fox.base_url, schedule=Every(2), journal=journal, **options) as client:
        yield client


async def ran(fox: Emulator, items: Items, folder: Path, **options: Any) -> list[Outcome]:  # noqa: ANN401 - of batch
    """Run a batch with a client of its own, and return its outcomes in the order of rows."""
    async with opened(fox, folder) as client:
        outcomes = [outcome async for outcome in run_batch(client, items, folder, **options)]
    return sorted(outcomes, key=lambda outcome: outcome.row)


def digest(task_id: str | None) -> str:
    """Return what the name of a video has of the id of its task."""
    return hashlib.sha256((task_id or "").encode()).hexdigest()[:8]


def shots(number: int) -> list[GrokTextToVideo]:
    """Return that many requests."""
    return [GrokTextToVideo(prompt=f"Shot {place}") for place in range(number)]


async def test_a_batch_makes_a_video_of_each_row(fox: Emulator, manifest: Manifest, folder: Path) -> None:
    """Each has its file, its checksum, and a line that says the same."""
    outcomes = await ran(fox, manifest, folder)

    assert [outcome.status for outcome in outcomes] == [Ending.COMPLETED] * 3
    assert [(outcome.row, outcome.line, outcome.prompt, outcome.duration) for outcome in outcomes] == [
        (1, 2, "A fox", 6),
        (2, 3, "An owl", 4),
        (3, 4, "A fox", 6),
    ]
    assert outcomes[2].key == f"{outcomes[0].key}#2"
    assert outcomes[0].file == f"A-fox-{outcomes[0].key}-{digest(outcomes[0].id)}.mp4"
    assert outcomes[2].file == f"A-fox-{outcomes[0].key}-2-{digest(outcomes[2].id)}.mp4"
    for outcome in outcomes:
        video = (folder / (outcome.file or "")).read_bytes()
        assert (outcome.bytes, outcome.sha256) == (len(video), hashlib.sha256(video).hexdigest())
        assert outcome.id in fox.ledger.tasks
        assert outcome.credits_reserved == 12.5
        assert outcome.planned is not None
        assert outcome.accepted is not None
        assert outcome.ended is not None
        assert outcome.saved is not None
        assert outcome.planned <= outcome.accepted <= outcome.ended
    assert read_results(folder) == outcomes
    assert fox.ledger.charged == 3


async def test_the_same_rows_again_ask_the_service_for_nothing(fox: Emulator, manifest: Manifest, folder: Path) -> None:
    """They are known, their videos are there, and nothing is written."""
    first = await ran(fox, manifest, folder)
    lines, seen = (folder / "results.jsonl").read_bytes(), fox.ledger.as_json()

    assert await ran(fox, manifest, folder) == first
    assert (folder / "results.jsonl").read_bytes() == lines
    assert fox.ledger.as_json() == seen


async def test_known_rows_pass_through_few_places(fox: Emulator, folder: Path) -> None:
    """All places come free at the same moment, again and again."""
    first = await ran(fox, shots(9), folder)

    assert await ran(fox, shots(9), folder, max_active=2) == first


async def test_rows_that_moved_keep_their_videos(fox: Emulator, manifest: Manifest, folder: Path) -> None:
    """The key is the content, so only what is new is bought; the lines tell the new places."""
    await ran(fox, manifest, folder)
    manifest.path.write_text("prompt,duration\nA bear,3\nAn owl,4\n")

    outcomes = await ran(fox, Manifest(manifest.path), folder)

    assert [outcome.prompt for outcome in outcomes] == ["A bear", "An owl"]
    assert fox.ledger.charged == 4
    places = {outcome.prompt: outcome.row for outcome in read_results(folder)}
    assert (places["A bear"], places["An owl"]) == (1, 2)


async def test_requests_of_every_kind_are_rows_too(fox: Emulator, folder: Path, tmp_path: Path) -> None:
    """Also the API's own JSON; a video is named after its picture."""
    (tmp_path / "my cat.png").write_bytes(b"a cat")
    items: list[VideoRequest | Mapping[str, object]] = [
        GrokTextToVideo(prompt="A fox"),
        Request("grok-imagine-image-to-video", prompt="A cat", image_url=tmp_path / "my cat.png"),
        Request("grok-imagine-image-to-video", prompt="A cat", image_url=b"another cat"),
        {"model": "grok-imagine-text-to-video", "prompt": "..."},
        {"prompt": "no model"},
        GrokTextToVideo(prompt="A fox", duration=99),
        GrokTextToVideo(prompt="A fox"),
        Request("grok-imagine-image-to-video", prompt="A cat", image_url=tmp_path / "nope.png"),
    ]

    outcomes = await ran(fox, items, folder)

    assert [outcome.status.value for outcome in outcomes] == [
        *["completed"] * 4,
        "invalid",
        "invalid",
        "completed",
        "invalid",
    ]
    assert [(outcome.file or "").partition(f"-{outcome.key}")[0] for outcome in outcomes[:4]] == [
        "A-fox",
        "my-cat",
        "A-cat",
        "video",
    ]
    assert outcomes[6].key == f"{outcomes[0].key}#2"
    assert outcomes[4].error == "model is missing: the id of a model"


async def test_unchecked_requests_are_sent_as_they_are(fox: Emulator, folder: Path) -> None:
    """The service says what it thinks of them."""
    (outcome,) = await ran(fox, [GrokTextToVideo(prompt="A fox", duration=99)], folder, check=False)

    assert outcome.status is Ending.REFUSED
    assert fox.ledger.submitted == 1


async def test_rows_may_come_from_an_asynchronous_source(fox: Emulator, folder: Path) -> None:
    """One that takes its time holds nobody up: a row is on its way before the next is there."""
    begun: list[float] = []

    async def slowly() -> AsyncIterator[GrokTextToVideo]:
        for shot in shots(3):
            yield shot
            await asyncio.sleep(60)

    def watch(_row: Row, stage: str, _progress: float | None) -> None:
        if stage == "submitting":
            begun.append(asyncio.get_running_loop().time())

    outcomes = await ran(fox, slowly(), folder, watch=watch)

    assert [outcome.status for outcome in outcomes] == [Ending.COMPLETED] * 3
    assert [round(begin - begun[0]) for begin in begun] == [0, 60, 120]


async def test_a_batch_reads_no_more_rows_than_it_works_on(fox: Emulator, folder: Path) -> None:
    """So a manifest may be as long as it likes."""
    taken, alive, most = 0, 0, 0

    def rows() -> Iterator[GrokTextToVideo]:
        nonlocal taken
        for shot in shots(12):
            taken += 1
            yield shot

    def watch(_row: Row, stage: str, _progress: float | None) -> None:
        nonlocal alive, most
        alive += stage == "submitting"
        most = max(most, alive)

    ahead = []
    async with opened(fox, folder) as client:
        async for _ in run_batch(client, rows(), folder, max_active=3, watch=watch):
            alive -= 1
            ahead.append(taken)

    assert most == 3
    assert [min(place + 4, 12) for place in range(12)] >= ahead


# --- What ends badly ---------------------------------------------------------------------------------------------


async def test_a_failed_row_is_bought_again_only_on_demand(folder: Path) -> None:
    """Its reason is written down; the new attempt is a new task under the same key."""
    async with Emulator(seconds=10.0, render=False, fail=1.0) as fox:
        (failed,) = await ran(fox, shots(1), folder)
        (known,) = await ran(fox, shots(1), folder)
        assert fox.ledger.charged == 1
        (again,) = await ran(fox, shots(1), folder, retry_failed=True)

    assert failed.status is Ending.FAILED
    assert failed.error == "generation_failed: The video could not be made."
    assert failed.credits_reserved == 12.5
    assert known == failed
    assert again.status is Ending.FAILED
    assert again.id != failed.id
    assert fox.ledger.charged == 2
    assert len((folder / "results.jsonl").read_text().splitlines()) == 2


async def test_a_picture_that_goes_before_it_is_sent_costs_nothing(fox: Emulator, folder: Path) -> None:
    """Its row was good when it was read."""
    picture = folder.with_name("cat.png")
    await asyncio.to_thread(picture.write_bytes, b"a cat")
    items = [Request("grok-imagine-image-to-video", prompt="A cat", image_url=picture)]

    (outcome,) = await ran(fox, items, folder, watch=lambda *_: picture.unlink())

    assert outcome.status is Ending.REFUSED
    assert "could not read" in (outcome.error or "")
    assert outcome.planned is None
    assert fox.ledger.submitted == 0


async def test_a_cancelled_task_is_told_apart(fox: Emulator, folder: Path) -> None:
    """The service says so, nobody here did it."""

    def watch(_row: Row, stage: str, _progress: float | None) -> None:
        if stage == "processing":
            fox.cancel(next(iter(fox.ledger.tasks)))

    (outcome,) = await ran(fox, shots(1), folder, watch=watch)

    assert outcome.status is Ending.CANCELLED


async def test_an_uncertain_row_is_never_sent_again(fox: Emulator, folder: Path) -> None:
    """It may have been paid for; another run says so, too, whatever it is told to retry."""
    fox.fail_next("submit", Fault("reset", after=True))

    first = await ran(fox, shots(1), folder)
    second = await ran(fox, shots(1), folder, retry_failed=True)

    assert [outcome.status for outcome in first + second] == [Ending.UNCERTAIN] * 2
    assert fox.ledger.submitted == 1


async def test_a_row_that_takes_too_long_goes_on_in_the_next_run(fox: Emulator, folder: Path) -> None:
    """It is paid for, and its id is known."""
    (late,) = await ran(fox, shots(1), folder, timeout=3.0)
    (done,) = await ran(fox, shots(1), folder)

    assert (late.status, done.status) == (Ending.UNFINISHED, Ending.COMPLETED)
    assert late.id == done.id
    assert fox.ledger.charged == 1
    assert read_results(folder) == [done]


async def test_a_video_that_does_not_come_is_fetched_by_the_next_run(fox: Emulator, folder: Path) -> None:
    """Its task is complete."""
    fox.fail_next("result", Fault("error", status=400), times=1)

    (without,) = await ran(fox, shots(1), folder)
    (saved,) = await ran(fox, shots(1), folder)

    assert (without.status, without.file) == (Ending.UNSAVED, None)
    assert without.error
    assert saved.status is Ending.COMPLETED
    assert fox.ledger.charged == 1


async def test_a_row_tells_how_much_of_its_video_is_there(fox: Emulator, folder: Path) -> None:
    """Videos may be large."""
    told: list[tuple[str, float | None]] = []

    await ran(fox, shots(1), folder, watch=lambda _, stage, progress: told.append((stage, progress)))

    saving = [progress for stage, progress in told if stage == "saving"]
    assert saving[0] is None
    assert saving[-1] == 100.0


async def test_a_video_that_was_deleted_is_fetched_again(fox: Emulator, folder: Path) -> None:
    """The journal knows its task."""
    (before,) = await ran(fox, shots(1), folder)
    (folder / (before.file or "")).unlink()

    (after,) = await ran(fox, shots(1), folder)

    assert (folder / (after.file or "")).stat().st_size == before.bytes
    assert fox.ledger.charged == 1


async def test_a_video_that_a_cut_run_saved_is_not_fetched_again(fox: Emulator, folder: Path) -> None:
    """It was killed between the video and the line."""
    (before,) = await ran(fox, shots(1), folder)
    (folder / "results.jsonl").unlink()

    (after,) = await ran(fox, shots(1), folder)

    assert after == before
    assert fox.ledger.downloaded == 1


@pytest.mark.parametrize("fault", [Fault("error", status=402), Fault("error", status=401)], ids=["credits", "key"])
async def test_nothing_more_is_begun_where_no_other_row_would_fare_better(
    fox: Emulator, folder: Path, fault: Fault
) -> None:
    """The batch says why, and another run begins with the same row."""
    fox.fail_next("submit", fault)
    async with opened(fox, folder) as client:
        batch = run_batch(client, shots(5), folder, max_active=1)
        outcomes = [outcome async for outcome in batch]

    assert [outcome.status for outcome in outcomes] == [Ending.REFUSED]
    assert batch.halted
    assert len(await ran(fox, shots(5), folder)) == 5
    assert fox.ledger.charged == 5


async def test_a_disk_that_takes_no_video_stops_the_spending(
    fox: Emulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is paid for stays where it is."""

    async def full(*_: object, **__: object) -> SavedFile:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Video, "save", full)
        async with opened(fox, folder) as client:
            batch = run_batch(client, shots(5), folder, max_active=2)
            outcomes = [outcome async for outcome in batch]

    assert {outcome.status for outcome in outcomes} == {Ending.UNSAVED}
    assert "No space left" in batch.halted
    assert fox.ledger.charged == len(outcomes) == 2
    assert [outcome.status for outcome in await ran(fox, shots(5), folder)] == [Ending.COMPLETED] * 5
    assert fox.ledger.charged == 5


async def test_a_journal_that_breaks_stops_the_spending(
    fox: Emulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row that is under way ends with what is known of it."""
    async with opened(fox, folder) as client:

        async def closed(video: Video, path: Path, **_: object) -> SavedFile:
            await client._recorder.close()
            return await saved_elsewhere(video, path)

        monkeypatch.setattr(Video, "save", closed)
        batch = run_batch(client, shots(2), folder, max_active=1)
        outcomes = [outcome async for outcome in batch]

    assert [outcome.status for outcome in outcomes] == [Ending.COMPLETED]
    assert "journal is closed" in batch.halted


async def test_all_videos_of_a_task_are_saved(fox: Emulator, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names the first; they are named after the task."""
    links = Video.urls.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(Video, "urls", property(lambda video: (*links(video), f"{links(video)[0]}?again")))

    (outcome,) = await ran(fox, shots(1), folder)

    assert outcome.file == f"{outcome.id}-1.mp4"
    assert (folder / f"{outcome.id}-2.mp4").exists()


async def test_a_link_without_a_suffix_gives_an_mp4(
    fox: Emulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most videos are that."""
    links = Video.urls.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(Video, "urls", property(lambda video: (links(video)[0].removesuffix(".mp4"),)))
    monkeypatch.setattr(Video, "save", saved_elsewhere)

    (outcome,) = await ran(fox, shots(1), folder)

    assert (outcome.file or "").endswith(".mp4")


async def saved_elsewhere(_video: Video, path: Path, **_: object) -> SavedFile:
    """Stand in for a download."""
    await asyncio.to_thread(path.write_bytes, b"video")
    return SavedFile(path, 5, hashlib.sha256(b"video").hexdigest())


# --- What stops a run --------------------------------------------------------------------------------------------


async def test_a_run_that_is_stopped_waits_for_what_is_under_way(fox: Emulator, folder: Path) -> None:
    """Nothing new is begun; the next run makes the rest."""
    async with opened(fox, folder) as client:
        batch = run_batch(client, shots(6), folder, max_active=2)
        outcomes = []
        async for outcome in batch:
            outcomes.append(outcome)
            batch.stop()

    assert [outcome.status for outcome in outcomes] == [Ending.COMPLETED] * len(outcomes)
    assert len(outcomes) == fox.ledger.charged < 6
    assert batch.halted == "stopped"
    assert len(await ran(fox, shots(6), folder)) == 6
    assert fox.ledger.charged == 6


async def test_a_run_that_is_stopped_before_it_begins_does_nothing(fox: Emulator, folder: Path) -> None:
    """Ctrl-C may come at any time."""
    async with opened(fox, folder) as client:
        batch = run_batch(client, shots(3), folder)
        batch.stop()
        assert [outcome async for outcome in batch] == []
        assert batch.halted == "stopped"
    assert fox.ledger.submitted == 0


async def test_rows_that_wait_to_be_sent_are_withdrawn_when_a_run_is_stopped(fox: Emulator, folder: Path) -> None:
    """They have no outcome, since nothing happened to them; one that is being sent goes on."""
    told: list[tuple[int, str]] = []
    async with opened(fox, folder, max_active=1) as client:
        batch = run_batch(
            client, shots(4), folder, max_active=4, watch=lambda row, stage, _: told.append((row.number, stage))
        )
        outcomes = []
        async for outcome in batch:
            outcomes.append(outcome)
            batch.stop()

    assert len(outcomes) == fox.ledger.charged <= 2
    assert [stage for _, stage in told].count("withdrawn") == 4 - len(outcomes)
    assert len(await ran(fox, shots(4), folder)) == 4
    assert fox.ledger.charged == 4


async def test_a_row_that_is_being_sent_is_waited_for_when_a_run_is_stopped(folder: Path) -> None:
    """Its answer brings an id, and it may be paid for already."""
    async with Emulator(seconds=10.0, latency=1.0, render=False) as fox, opened(fox, folder) as client:
        batch = run_batch(client, shots(3), folder, max_active=1)
        asyncio.get_running_loop().call_later(0.5, batch.stop)
        outcomes = [outcome async for outcome in batch]

    assert [outcome.status for outcome in outcomes] == [Ending.COMPLETED]
    assert fox.ledger.charged == 1


async def test_leaving_the_loop_leaves_everything_for_the_next_run(fox: Emulator, folder: Path) -> None:
    """Nothing is bought twice, and nothing of it is lost."""
    async with opened(fox, folder) as client:
        async with contextlib.aclosing(run_batch(client, shots(6), folder, max_active=3)) as batch:
            async for _ in batch:
                break
        again = run_batch(client, shots(6), folder)
        assert (await anext(aiter(again))).status is Ending.COMPLETED
        await again.aclose()
    outcomes_after = await ran(fox, shots(6), folder)

    assert [outcome.status for outcome in outcomes_after] == [Ending.COMPLETED] * 6
    assert fox.ledger.charged == 6


async def test_rows_of_an_earlier_run_are_not_withdrawn_when_a_run_is_stopped(fox: Emulator, folder: Path) -> None:
    """They are paid for, though they are not found in the journal yet."""
    await ran(fox, shots(3), folder, timeout=3.0)
    (folder / "results.jsonl").unlink()
    told: list[str] = []
    async with opened(fox, folder) as client:

        def watch(_row: Row, stage: str, _progress: float | None) -> None:
            told.append(stage)
            batch.stop()

        batch = run_batch(client, shots(3), folder, max_active=3, watch=watch)
        outcomes = [outcome async for outcome in batch]

    assert {outcome.status for outcome in outcomes} == {Ending.COMPLETED}
    assert "withdrawn" not in told
    assert told[0] == "looking up"


async def test_a_run_that_is_left_says_how_every_row_stands(fox: Emulator, folder: Path) -> None:
    """Those that had just ended, those under way, and none that was not sent; each has its line with its id."""
    async with opened(fox, folder, max_active=3) as client:
        batch = run_batch(client, shots(6), folder, max_active=5)
        async for first in batch:  # noqa: B007 - it is looked at below
            break
        await batch.aclose()

    left = {outcome.row: outcome.status for outcome in [first, *batch.left]}
    assert len(left) == fox.ledger.charged
    assert set(left.values()) <= {Ending.COMPLETED, Ending.UNSAVED, Ending.UNFINISHED}
    assert {outcome.id for outcome in [first, *batch.left]} == set(fox.ledger.tasks)
    assert {outcome.row: outcome.status for outcome in read_results(folder)} == left


async def test_a_row_that_is_being_sent_when_the_run_is_left_is_told_with_its_id(folder: Path) -> None:
    """Leaving waits for the reply; leaving at once calls it uncertain, and the journal learns the id all the same."""
    async with Emulator(seconds=10.0, latency=1.0, render=False) as fox:
        for cuts, status in ((1, Ending.UNFINISHED), (2, Ending.UNCERTAIN)):
            async with opened(fox, folder) as client:
                batch = run_batch(client, [GrokTextToVideo(prompt=f"Shot {cuts}")], folder)
                running = asyncio.ensure_future(anext(aiter(batch)))
                await asyncio.sleep(0.5)
                for _ in range(cuts):
                    running.cancel()
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                with pytest.raises(asyncio.CancelledError):
                    await running
            (left,) = batch.left
            assert left.status is status
            assert (left.id is not None) is (cuts == 1)
        assert fox.ledger.charged == 2
        again = await ran(fox, [GrokTextToVideo(prompt=f"Shot {cuts}") for cuts in (1, 2)], folder)

    assert {outcome.status for outcome in again} == {Ending.COMPLETED}
    assert fox.ledger.charged == 2


async def test_a_row_whose_video_is_being_saved_when_the_run_is_left_is_unsaved(fox: Emulator, folder: Path) -> None:
    """Its task is complete; the next run saves it."""
    fox.fail_next("result", Fault("stall"))
    saving = asyncio.Event()
    async with opened(fox, folder) as client:
        batch = run_batch(
            client, shots(1), folder, watch=lambda _, stage, __: saving.set() if stage == "saving" else None
        )
        running = asyncio.ensure_future(anext(aiter(batch), None))
        await saving.wait()
        await batch.aclose()
        assert await running is None

    assert [(outcome.status, outcome.error) for outcome in batch.left] == [
        (Ending.UNSAVED, "left before its video was saved")
    ]
    assert [outcome.status for outcome in await ran(fox, shots(1), folder)] == [Ending.COMPLETED]
    assert fox.ledger.charged == 1


@pytest.mark.parametrize(
    ("fault", "status"), [(None, Ending.UNFINISHED), (Fault("reset", after=True), Ending.UNCERTAIN)]
)
async def test_a_row_of_an_earlier_run_that_is_left_is_what_it_was(
    fox: Emulator, folder: Path, fault: Fault | None, status: Ending
) -> None:
    """Though its task had not been found in the journal yet."""
    if fault is not None:
        fox.fail_next("submit", fault)
    await ran(fox, shots(1), folder, timeout=3.0)
    (folder / "results.jsonl").unlink()
    leaving: list[asyncio.Task[None]] = []
    async with opened(fox, folder) as client:
        batch = run_batch(
            client, shots(1), folder, watch=lambda *_: leaving.append(asyncio.create_task(batch.aclose()))
        )
        assert [outcome async for outcome in batch] == []
        await asyncio.gather(*leaving)

    assert [outcome.status for outcome in batch.left] == [status]
    assert batch.left[0].id == (None if fault else next(iter(fox.ledger.tasks)))


@pytest.mark.parametrize("seconds", [0.0, 0.001, 5.0])
async def test_another_task_may_leave_the_run(fox: Emulator, folder: Path, seconds: float) -> None:
    """The loop over it ends; a second call changes nothing."""
    async with opened(fox, folder) as client:
        batch = run_batch(client, shots(3), folder)

        async def loop() -> list[Outcome]:
            return [outcome async for outcome in batch]

        looping = asyncio.create_task(loop())
        await asyncio.sleep(seconds)
        await asyncio.gather(batch.aclose(), batch.aclose())
        assert await looping == []
    assert len(await ran(fox, shots(3), folder)) == 3
    assert fox.ledger.charged == 3


async def test_leaving_the_loop_withdraws_what_was_not_sent(fox: Emulator, folder: Path) -> None:
    """The client lives on, and buys nothing more for it."""
    async with opened(fox, folder, max_active=1) as client:
        async for _ in run_batch(client, shots(6), folder, max_active=4):
            break
        await asyncio.sleep(100)
        assert fox.ledger.charged <= 2


@pytest.mark.parametrize("seconds", [0.0, 0.001, 5.0, 11.0])
async def test_a_run_may_be_cancelled_at_any_time(fox: Emulator, folder: Path, seconds: float) -> None:
    """Its clean-up ends, and the next run makes all rows."""

    async def work() -> None:
        async with opened(fox, folder) as client:
            async for _ in run_batch(client, shots(4), folder, max_active=2):
                pass

    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(work(), seconds)

    assert len(await ran(fox, shots(4), folder)) == 4
    assert fox.ledger.charged == 4


async def test_a_source_that_breaks_breaks_the_run(fox: Emulator, folder: Path) -> None:
    """The error is the caller's, who knows what it means."""

    def rows() -> Iterator[GrokTextToVideo]:
        yield from shots(1)
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        await ran(fox, rows(), folder)
    assert len(await ran(fox, shots(1), folder)) == 1
    assert fox.ledger.charged <= 1


async def test_a_list_is_a_source_as_any(fox: Emulator, folder: Path) -> None:
    """It has nothing that could be closed."""
    assert len(await ran(fox, iter(shots(2)), folder)) == 2


@pytest.mark.parametrize("what", ["a file", "read-only", "a pipe"])
async def test_a_folder_that_cannot_be_written_costs_nothing(fox: Emulator, folder: Path, what: str) -> None:
    """It is looked at before anything is sent."""
    if what == "a file":
        folder.write_text("mine")
    elif what == "a pipe":
        os.mkfifo(folder)
    elif os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    else:
        folder.mkdir(mode=0o500)

    with pytest.raises(OSError, match="nothing was submitted"):
        await ran(fox, shots(1), folder)
    assert fox.ledger.submitted == 0


async def test_a_file_of_somebody_that_has_the_name_of_a_result_costs_one_row_alone(
    fox: Emulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept, and the other rows go on."""
    links = Video.urls.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(Video, "urls", property(lambda video: (*links(video), f"{links(video)[0]}?again")))
    written: list[Path] = []

    def watch(_row: Row, stage: str, _progress: float | None) -> None:
        if stage == "saving" and not written:
            written.append(folder / f"{next(iter(fox.ledger.tasks))}-1.mp4")
            written[0].write_bytes(b"mine")

    outcomes = await ran(fox, shots(3), folder, max_active=1, watch=watch)

    assert sorted(outcome.status.value for outcome in outcomes) == ["completed", "completed", "unsaved"]
    assert written[0].read_bytes() == b"mine"


# --- Options -----------------------------------------------------------------------------------------------------


async def test_a_batch_needs_a_journal_and_room_for_one_row(fox: Emulator, folder: Path) -> None:
    """Without a memory the same rows again would be bought again."""
    async with Client(fox.api_key, fox.base_url) as client:
        with pytest.raises(ValueError, match="journal"):
            run_batch(client, shots(1), folder)
    async with opened(fox, folder) as client:
        with pytest.raises(ValueError, match="max_active"):
            run_batch(client, shots(1), folder, max_active=0)
        for limit in (-1.0, float("nan")):
            with pytest.raises(ValueError, match="max_credits"):
                run_batch(client, shots(1), folder, max_credits=limit)


@pytest.mark.parametrize("rows", ["A fox", b"A fox", {"prompt": "A fox"}, 7, None, GrokTextToVideo(prompt="A fox")])
async def test_what_is_not_several_requests_is_refused_at_once(fox: Emulator, folder: Path, rows: Any) -> None:  # noqa: ANN401 - that is the point
    """A text or a mapping would be taken apart."""
    async with opened(fox, folder) as client:
        with pytest.raises(TypeError, match="rows must be a Manifest or an iterable of requests"):
            run_batch(client, rows, folder)


async def test_an_item_that_is_no_request_is_a_bad_row(fox: Emulator, folder: Path) -> None:
    """The others are made."""
    items: Any = [7, shots(1)[0], "A fox", None]

    outcomes = await ran(fox, items, folder)

    assert [outcome.status.value for outcome in outcomes] == ["invalid", "completed", "invalid", "invalid"]
    assert outcomes[2].error == "'A fox' is neither a request nor a mapping"


async def test_a_batch_runs_once(fox: Emulator, folder: Path) -> None:
    """A second loop over it would find nothing left to do, and look like one without rows."""
    async with opened(fox, folder) as client:
        batch = run_batch(client, shots(1), folder)
        await batch.aclose()
        assert [outcome.status async for outcome in batch] == [Ending.COMPLETED]
        with pytest.raises(RuntimeError, match="once"):
            aiter(batch)
        await batch.aclose()


async def test_bad_rows_are_told_once(fox: Emulator, manifest: Manifest, folder: Path) -> None:
    """A later run finds the same, and adds no line."""
    manifest.path.write_text("prompt,duration\nA fox,99\n")

    for _ in range(2):
        (outcome,) = await ran(fox, Manifest(manifest.path), folder)
        assert (outcome.status, outcome.row, outcome.line, outcome.key) == (Ending.INVALID, 1, 2, None)
        assert "duration=99" in (outcome.error or "")
    assert [json.loads(line)["row"] for line in (folder / "results.jsonl").read_text().splitlines()] == [1]
