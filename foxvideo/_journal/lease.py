"""Who lives, in PostgreSQL: statements by which a client is heard of, and takes from the dead what they had.

And what all statements have in common: they are written for the disk, by one that lives.
"""

from collections.abc import Generator, Mapping, Sequence
from typing import Any, TypeVar

from foxvideo._journal.record import DIED

T = TypeVar("T")
Row = Mapping[str, Any]
Statement = tuple[str, Mapping[str, object]]
Verb = Generator[Statement, Sequence[Row], T]


class Away(Exception):
    """The database could not be reached for as long as the store has patience.

    Attributes:
        sent: Whether the statement may have been carried out all the same.
    """

    def __init__(self, *, sent: bool) -> None:
        super().__init__()
        self.sent = sent


class GivenUp(Away):
    """The same, of a statement that may have been carried out and is not to have been.

    Attributes:
        undo: What undoes it, once the database is back and before anything else is asked.
    """

    def __init__(self, undo: Statement) -> None:
        super().__init__(sent=True)
        self.undo = undo


NOW = "extract(epoch FROM clock_timestamp())::float8"
# Whatever role, database or pooler say, what is about money is on the disk when it is said to be.
DURABLE = "durable AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true) AS it)"
# And it is written by one that lives; the lock keeps whoever would take it for dead until this is committed.
ALIVE = f"""me AS MATERIALIZED (
    SELECT id, {NOW} AS at FROM foxvideo.owners WHERE id = %(me)s AND until > clock_timestamp() FOR SHARE
)"""

BEAT = f"""
    WITH {DURABLE}
    UPDATE foxvideo.owners SET since = CASE WHEN until < clock_timestamp() THEN clock_timestamp() ELSE since END,
        until = clock_timestamp() + make_interval(secs => %(lease)s)
    FROM durable WHERE id = %(me)s AND durable.it = 'on' RETURNING id
"""
JOIN = """
    INSERT INTO foxvideo.owners VALUES
        (%(me)s, clock_timestamp(), clock_timestamp() + make_interval(secs => %(lease)s), %(place)s) RETURNING id
"""
_BURY = f"""
    UPDATE foxvideo.tasks t SET owner = NULL,
        status = CASE t.status WHEN 'sending' THEN 'uncertain' ELSE t.status END,
        error = CASE t.status WHEN 'sending' THEN '{DIED}' ELSE t.error END
    FROM gone, durable WHERE t.owner = gone.id AND durable.it = 'on' RETURNING t.number
"""
LEAVE = f"WITH {DURABLE}, gone AS (DELETE FROM foxvideo.owners WHERE id = %(me)s RETURNING id) {_BURY}"
# Who judges must itself have been heard without a gap for a whole lease: else the first one that comes back after the
# database was away would take everybody for dead.
_REAP = f"""
    WITH {DURABLE},
    judge AS MATERIALIZED (
        SELECT 1 FROM foxvideo.owners WHERE id = %(me)s AND until > clock_timestamp()
        AND since < clock_timestamp() - make_interval(secs => %(lease)s) FOR SHARE
    ),
    dead AS (
        DELETE FROM foxvideo.owners WHERE until < clock_timestamp() AND EXISTS (SELECT 1 FROM judge) RETURNING id
    ),
    gone AS (
        SELECT id FROM dead UNION
        SELECT owner FROM foxvideo.tasks WHERE owner IS NOT NULL AND EXISTS (SELECT 1 FROM judge)
        AND NOT EXISTS (SELECT 1 FROM foxvideo.owners WHERE id = owner)
    )
    {_BURY}
"""


def reap() -> Verb[int]:
    """Take their records from the dead: what was planned is free, what was being sent is uncertain."""
    return len((yield _REAP, {}))
