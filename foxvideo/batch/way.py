"""What is to be done with a row, so that nothing is bought twice: a decision over plain values."""

import enum
from collections.abc import Iterable

from foxvideo import catalogue
from foxvideo._journal import TaskRecord
from foxvideo._wire.structure import is_task_id
from foxvideo.batch.results import MAYBE_PAID, Ending, Outcome, in_journal


class Way(enum.Enum):
    """What is to be done with a row."""

    KEEP = "what a former run came to still holds"
    RESUME = "the journal knows its task"
    FOLLOW = "its task is known by its id from the results alone"
    LEAVE = "it may be paid for, and nothing else is known"
    BUY = "it is a new task"


def way(known: Outcome | None, attempts: Iterable[TaskRecord], *, size: int | None, retry_failed: bool) -> Way:
    """Decide what is to be done with a row, so that nothing is bought twice.

    Args:
        known: What ``results.jsonl`` says of its key; None for nothing.
        attempts: All that the journal says of its key, which may be less than the results know: it may have been lost.
        size: Bytes of the video that the results name; None where there is none.
        retry_failed: Whether a task that failed is bought again.
    """
    attempts = list(attempts)
    if known is not None and _holds(known, size, retry_failed=retry_failed):
        return Way.KEEP
    open_ = known is not None and known.status in MAYBE_PAID - {Ending.FAILED, Ending.CANCELLED}
    if known is not None and open_ and not in_journal(known, attempts):
        return Way.FOLLOW if is_task_id(known.id) else Way.LEAVE
    latest = latest_attempt(attempts)
    if latest is None or latest.status.submitted == "no" or (latest.status.lost and retry_failed):
        return Way.BUY
    return Way.RESUME


def _holds(known: Outcome, size: int | None, *, retry_failed: bool) -> bool:
    match known.status:
        case Ending.FAILED | Ending.CANCELLED:
            return not retry_failed
        case Ending.COMPLETED if known.file is None:
            return not makes_video(known.model)
        case Ending.COMPLETED:
            return size is not None and size == known.bytes
        case _:
            return False


def latest_attempt(attempts: Iterable[TaskRecord]) -> TaskRecord | None:
    """Return the last attempt under a key; one that made nothing does not hide an earlier one that may have."""
    return max(attempts, key=lambda it: (it.status.submitted != "no", it.attempt), default=None)


def makes_video(model: str | None) -> bool:
    """Whether a model makes a video, as all do that are not documented to make a voice, a character or an element."""
    documented = catalogue.find(model or "")
    return documented is None or documented.kind != "profile"
