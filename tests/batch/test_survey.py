"""What a manifest comes to before anything is spent."""

import asyncio
from pathlib import Path

import pytest

from foxvideo._journal import Claim, RecordStatus, SqliteStore
from foxvideo.batch import BadRow, Ending, Manifest, Outcome, Row, survey
from foxvideo.batch.results import Results


def ask(row: Row) -> Claim:
    """Return what a client would ask the journal for."""
    return Claim(key=row.key, origin="", fingerprint="", model=row.request.model, request="{}")


async def test_a_survey_counts_what_is_known_and_what_is_new(tmp_path: Path) -> None:
    """A row that was planned and never sent is new; what was accepted is known, whatever became of it."""
    (tmp_path / "shots.csv").write_text("prompt,duration\nA fox,1\nA fox,1\nAn owl,1\nA bear,99\nA cat,1\n")
    manifest, bad = Manifest(tmp_path / "shots.csv"), list[BadRow]()
    rows = [row for row in manifest if isinstance(row, Row)]
    async with SqliteStore(tmp_path / "journal.db") as journal:
        await journal.claim(ask(rows[0]))
        for place, status in ((1, "accepted"), (2, "failed")):
            claimed = await journal.claim(ask(rows[place]))
            await journal.sending(claimed.number)
            await journal.accepted(claimed.number, f"task-{place}", credits_reserved=None, reply=None)
            if status == "failed":
                to = RecordStatus.FAILED
                await journal.ended(f"task-{place}", to, reply=None, links=None, credits_reserved=None, error=None)
        counted = await survey(manifest, journal, on_bad=bad.append)
    blank = await survey(manifest, None)

    assert (counted.rows, counted.bad, counted.repeats, counted.new) == (5, 1, 1, 2)
    assert counted.known == {rows[1].key: "accepted", rows[2].key: "failed"}
    assert counted.failed == 1
    assert counted.models == {"grok-imagine-text-to-video": 4}
    assert [row.line for row in bad] == [5]
    assert (blank.new, blank.known) == (4, {})


async def test_the_name_of_a_set_of_rows_does_not_depend_on_their_order(tmp_path: Path) -> None:
    """It changes with every row that is added or changed."""

    async def digest(text: str) -> str:
        await asyncio.to_thread((tmp_path / "shots.csv").write_text, f"prompt\n{text}")
        return (await survey(Manifest(tmp_path / "shots.csv"), None)).digest

    one = await digest("A fox\nAn owl\nA fox\n")
    assert await digest("An owl\nA fox\nA fox\n") == one
    others = {await digest(text) for text in ("A fox\nAn owl\n", "A fox\nAn owl\nAn owl\n", "A fox\nAn owl\nA cat\n")}
    assert len(others | {one}) == 4


@pytest.mark.parametrize(
    ("status", "known"),
    [
        (Ending.COMPLETED, "completed"),
        (Ending.UNSAVED, "completed"),
        (Ending.FAILED, "failed"),
        (Ending.CANCELLED, "cancelled"),
        (Ending.UNFINISHED, "accepted"),
        (Ending.UNCERTAIN, "uncertain"),
        (Ending.REFUSED, None),
    ],
)
async def test_what_the_results_alone_know_is_known(tmp_path: Path, status: Ending, known: str | None) -> None:
    """The journal was lost; only where nothing was made the row is new."""
    (tmp_path / "shots.csv").write_text("prompt\nA fox\n")
    manifest = Manifest(tmp_path / "shots.csv")
    (row,) = manifest
    assert isinstance(row, Row)
    with Results.opened(tmp_path) as results:
        results.add(Outcome(row=1, key=row.key, status=status, id=None if known is None else "task-1"))

    counted = await survey(manifest, None, tmp_path)

    assert counted.known == ({} if known is None else {row.key: known})
    assert (counted.new, counted.ids, counted.unknown_ids) == ((1, 0, 0) if known is None else (0, 1, 1))


async def test_a_new_row_whose_video_lies_there_is_told(tmp_path: Path) -> None:
    """Neither journal nor results remember it, so that it may be bought again; of equal rows each has its own."""
    (tmp_path / "shots.csv").write_text("prompt\nA fox\nA fox\nAn owl\n")
    manifest = Manifest(tmp_path / "shots.csv")
    rows = [row for row in manifest if isinstance(row, Row)]
    for name in (f"A-fox-{rows[0].key}-0123abcd.mp4", f"A-fox-{rows[0].key}-2-0123abcd.mp4", "An-owl.mp4"):
        (tmp_path / name).write_bytes(b"video")

    counted = await survey(manifest, None, tmp_path)

    assert (counted.new, counted.videos) == (3, 2)
    assert (await survey(manifest, None, tmp_path / "nowhere")).videos == 0
