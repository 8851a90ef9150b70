"""What a manifest comes to before anything is spent.

What belongs here: counting. What must not: sending, and printing.
"""

import asyncio
import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterable

import attrs

from foxvideo._journal import Journal, RecordStatus
from foxvideo.batch.rows import BadRow, Row

_AT_ONCE = 1000  # rows; the journal answers for all of them in one transaction
_MODULUS = 1 << 128


@attrs.define
class Survey:
    """Counts of a manifest.

    Attributes:
        rows: All of them.
        bad: Those that cannot be sent.
        repeats: Those whose content a former row has.
        models: Good rows by model.
        known: Rows by what the journal knows of them.
        new: Good rows that it does not know, or of which it knows that nothing was made.
        sum: Tells one set of keys from another, in whatever order they come.
    """

    rows: int = 0
    bad: int = 0
    repeats: int = 0
    models: Counter[str] = attrs.field(factory=Counter)
    known: Counter[RecordStatus] = attrs.field(factory=Counter)
    new: int = 0
    sum: int = 0

    @property
    def failed(self) -> int:
        """Known rows whose task ended without a film."""
        return self.known[RecordStatus.FAILED] + self.known[RecordStatus.CANCELLED]

    @property
    def digest(self) -> str:
        """The name of this set of rows."""
        return f"{self.rows - self.bad}-{self.sum:032x}"

    def add(self, row: Row | BadRow, status: RecordStatus | None) -> None:
        """Count a row.

        Args:
            row: The row.
            status: What the journal knows of it; None for nothing.
        """
        self.rows += 1
        if isinstance(row, BadRow):
            self.bad += 1
            return
        self.repeats += "#" in row.key
        self.models[row.request.model] += 1
        digest = hashlib.blake2b(row.key.encode(), digest_size=16).digest()
        self.sum = (self.sum + int.from_bytes(digest)) % _MODULUS
        if status in {None, RecordStatus.PLANNED, RecordStatus.WITHDRAWN, RecordStatus.REFUSED}:
            self.new += 1
        else:
            self.known[status] += 1


async def survey(
    rows: Iterable[Row | BadRow], journal: Journal | None, on_bad: Callable[[BadRow], None] = lambda _: None
) -> Survey:
    """Read a manifest to its end and count.

    Args:
        rows: Of the manifest.
        journal: Where its rows may be known; None where there is none.
        on_bad: Is told every bad row.

    Raises:
        InvalidRequest: The manifest cannot be read at all.
        JournalError: The journal cannot be read.
        OSError: The manifest is not there.
    """
    counted, reading = Survey(), iter(rows)
    while some := await asyncio.to_thread(lambda: list(itertools.islice(reading, _AT_ONCE))):
        keys = [row.key for row in some if isinstance(row, Row)] if journal else []
        found = await asyncio.gather(*(journal.look(key) for key in keys)) if journal else []
        statuses = {row.key: row.status for row in found if row is not None}
        for row in some:
            if isinstance(row, BadRow):
                on_bad(row)
            counted.add(row, None if isinstance(row, BadRow) else statuses.get(row.key))
    return counted
