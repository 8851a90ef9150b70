"""What a manifest comes to before anything is spent, and what a run begins when."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import attrs

from foxvideo import GrokTextToVideo
from foxvideo._journal import Ask, Journal
from foxvideo.batch import BadRow, Ending, Manifest, Outcome, Row, survey
from foxvideo.batch.budget import Verdict
from foxvideo.batch.running import _Running


def ask(row: Row) -> Ask:
    """Return what a client would ask the journal for."""
    return Ask(key=row.key, origin="", fingerprint="", model=row.request.model, request="{}")


async def test_a_survey_counts_what_is_known_and_what_is_new(tmp_path: Path) -> None:
    """A row that was planned and never sent is new; what was accepted is known, whatever became of it."""
    (tmp_path / "shots.csv").write_text("prompt,duration\nA fox,1\nA fox,1\nAn owl,1\nA bear,99\nA cat,1\n")
    manifest, bad = Manifest(tmp_path / "shots.csv"), list[BadRow]()
    rows = [row for row in manifest if isinstance(row, Row)]
    async with Journal(tmp_path / "journal.db") as journal:
        await journal.claim(ask(rows[0]))
        for place, status in ((1, "accepted"), (2, "failed")):
            claimed = await journal.claim(ask(rows[place]))
            await journal.change(claimed.number, {"status": status, "owner": None, "task_id": f"task-{place}"})
        counted = await survey(manifest, journal, bad.append)
    blank = await survey(manifest, None)

    assert (counted.rows, counted.bad, counted.repeats, counted.new) == (5, 1, 1, 2)
    assert counted.known == {"accepted": 1, "failed": 1}
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


@attrs.define
class Rows:
    """Stands in for the way of rows: all that is under way ends at one moment."""

    news: asyncio.Event = attrs.field(factory=asyncio.Event)
    gate: asyncio.Event = attrs.field(factory=asyncio.Event)
    halted: str = ""

    async def verdict(self, _: Row) -> Verdict:
        """Let any row begin."""
        return Verdict.GO

    async def go(self, row: Row) -> Outcome:
        """End when the gate opens."""
        await self.gate.wait()
        return Outcome(row=row.number, key=row.key, status=Ending.COMPLETED)


async def test_places_that_come_free_at_once_are_all_filled_again() -> None:
    """No end is overlooked because another came at the same moment."""

    async def rows() -> AsyncIterator[Row]:
        for number in range(1, 8):
            yield Row(number, None, f"k{number}", GrokTextToVideo(prompt="A fox"))

    journey = Rows()
    asyncio.get_running_loop().call_later(1.0, journey.gate.set)
    async with asyncio.timeout(10):
        found = [outcome.row async for outcome in _Running(journey, 3, rows()).outcomes()]  # type: ignore[arg-type]

    assert sorted(found) == list(range(1, 8))
