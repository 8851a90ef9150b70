"""What a manifest comes to before anything is spent."""

import asyncio
import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import attrs

from foxvideo._aio import in_thread
from foxvideo._journal import RecordStatus, Store, TaskRecord
from foxvideo.batch.results import Ending, Outcome, in_journal, read_results
from foxvideo.batch.rows import BadRow, Row
from foxvideo.batch.way import Way, latest_attempt, way

_AT_ONCE = 1000  # rows; the journal answers for all of them in one transaction
_KEY = re.compile(r"-([0-9a-f]{16})(?:-(\d+))?-[0-9a-f]{8}\.\w+")  # at the end of the name of a row's video
_STATUS: Mapping[Ending, RecordStatus] = {
    Ending.COMPLETED: RecordStatus.COMPLETED,
    Ending.UNSAVED: RecordStatus.COMPLETED,
    Ending.FAILED: RecordStatus.FAILED,
    Ending.CANCELLED: RecordStatus.CANCELLED,
    Ending.UNFINISHED: RecordStatus.ACCEPTED,
    Ending.UNCERTAIN: RecordStatus.UNCERTAIN,
}


@attrs.define
class Survey:
    """Counts of a manifest.

    Attributes:
        rows: All of them.
        bad: Those that cannot be sent.
        repeats: Those whose content a former row has.
        models: Good rows by model.
        known: The keys of rows that may be paid for, and what is known of them.
        new: Good rows of which nothing was made.
        videos: How many of the new ones have a video in the folder all the same, of a task that nobody remembers.
        ids: Tasks that ``results.jsonl`` knows.
        unknown_ids: Those of them, among the rows, that the journal does not know: it is another one, or an older copy.
        digest: Tells one set of rows from another, in whatever order they come.
    """

    rows: int = 0
    bad: int = 0
    repeats: int = 0
    models: Counter[str] = attrs.field(factory=Counter)
    known: dict[str, RecordStatus] = attrs.field(factory=dict)
    new: int = 0
    videos: int = 0
    ids: int = 0
    unknown_ids: int = 0
    digest: str = ""

    @property
    def failed(self) -> int:
        """Known rows whose task ended without a video."""
        return sum(status.lost for status in self.known.values())


async def survey(
    rows: Iterable[Row | BadRow],
    journal: Store | None,
    folder: Path | None = None,
    on_bad: Callable[[BadRow], None] = lambda _: None,
) -> Survey:
    """Read a manifest to its end and count.

    Args:
        rows: Of the manifest.
        journal: Where its rows may be known; None where there is none.
        folder: Where their results and videos may lie; None where there is none.
        on_bad: Is told every bad row.

    Raises:
        InvalidRequest: The manifest cannot be read at all.
        JournalError: The journal cannot be read.
        OSError: The manifest is not there.
    """
    counted, reading, keys = Survey(), iter(rows), list[str]()
    results = {} if folder is None else await in_thread(_results, folder)
    videos = set() if folder is None else await in_thread(_videos, folder)
    counted.ids = len({outcome.id for outcome in results.values() if outcome.id is not None})
    while some := await in_thread(lambda: list(itertools.islice(reading, _AT_ONCE))):
        good = [row for row in some if isinstance(row, Row)]
        keys += [row.key for row in good]
        attempts = (
            await asyncio.gather(*(journal.records(key=row.key) for row in good)) if journal else [()] * len(good)
        )
        for row, records in zip(good, attempts, strict=True):
            _count(counted, row, results.get(row.key), records, videos)
        counted.rows += len(some)
        for bad in some:
            if isinstance(bad, BadRow):
                counted.bad += 1
                on_bad(bad)
    counted.digest = hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()
    return counted


def _count(
    counted: Survey, row: Row, known: Outcome | None, attempts: tuple[TaskRecord, ...], videos: set[str]
) -> None:
    """Count a good row."""
    counted.repeats += "#" in row.key
    counted.models[row.request.model] += 1
    match way(known, attempts, size=None if known is None else known.bytes, retry_failed=False):
        case Way.BUY:
            counted.new += 1
            counted.videos += row.key in videos
        case Way.RESUME if (latest := latest_attempt(attempts)) is not None:
            counted.known[row.key] = latest.status
        case _ if known is not None:
            counted.known[row.key] = _STATUS[known.status]
            counted.unknown_ids += known.id is not None and not in_journal(known, attempts)


def _results(folder: Path) -> dict[str, Outcome]:
    try:
        return {outcome.key: outcome for outcome in read_results(folder) if outcome.key is not None}
    except FileNotFoundError:
        return {}


def _videos(folder: Path) -> set[str]:
    """Return the keys of the rows whose videos lie in a folder, whoever remembers them."""
    try:
        found = [_KEY.search(path.name) for path in folder.iterdir()]
    except FileNotFoundError:
        return set()
    return {f"{it[1]}#{it[2]}" if it[2] else it[1] for it in found if it is not None}
