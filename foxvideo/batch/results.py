"""What each row came to: ``results.jsonl``, one line as each row ends.

The newest line of a key counts. The file is for readers; to a later run it tells which videos are there already, and
which tasks exist even where the journal is lost.
"""

import contextlib
import enum
import errno
import io
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

import attrs
import cattrs

from foxvideo import _locks
from foxvideo._journal import TaskRecord
from foxvideo._transfer.content import open_regular, reading

RESULTS = "results.jsonl"
_converter = cattrs.Converter()


class Ending(enum.StrEnum):
    """How a row ends, as far as this run goes.

    ``COMPLETED``, ``FAILED`` and ``CANCELLED`` are final, ``INVALID`` until the manifest changes. The others are taken
    up again by the next run, which never pays again for what may have been paid: an ``UNCERTAIN`` row waits for a
    decision of yours.

    Attributes:
        COMPLETED: The video was made, and is saved.
        FAILED: The task failed.
        CANCELLED: The service says that the task was cancelled.
        UNSAVED: The video was made, but is not saved.
        UNFINISHED: The task goes on.
        UNCERTAIN: A task may exist, and may have cost money.
        REFUSED: Nothing was made.
        INVALID: The row is no request; nothing was sent.
    """

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNSAVED = "unsaved"
    UNFINISHED = "unfinished"
    UNCERTAIN = "uncertain"
    REFUSED = "refused"
    INVALID = "invalid"


MAYBE_PAID = frozenset(Ending) - {Ending.REFUSED, Ending.INVALID}


@attrs.frozen(kw_only=True)
class Outcome:
    """One row at its end; a line of ``results.jsonl``, in this order.

    Attributes:
        row: Its place in the manifest, from 1.
        key: The key of its task, made from its content; None for an invalid row.
        id: The task's id; None where there is none.
        status: How it ended.
        file: Its video, relative to the folder; None without one. Further results of the task lie beside it.
        sha256: Of the video.
        bytes: Of the video.
        seconds: From the acceptance of the task to its end.
        credits_reserved: Credits that the service reserved for the task; None if it did not say.
        error: Why there is no video.
        line: Where it begins in the manifest.
        model: What it asked for, as are ``prompt`` and ``duration``, where it says so.
        prompt: A text.
        duration: Seconds of video.
        planned: When it was taken up. Unix seconds, as are the times below; None where that moment did not come.
        accepted: When its task was made.
        ended: When the task had ended.
        saved: When the video was on the disk.
        notes: What the columns of its row say that begin with ``#``; None where it has none.
    """

    row: int
    key: str | None
    id: str | None = None
    status: Ending
    file: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    seconds: float | None = None
    credits_reserved: float | None = None
    error: str | None = None
    line: int | None = None
    model: str | None = None
    prompt: str | None = None
    duration: float | None = None
    planned: float | None = None
    accepted: float | None = None
    ended: float | None = None
    saved: float | None = None
    notes: dict[str, str] | None = None


def in_journal(outcome: Outcome, attempts: Iterable[TaskRecord]) -> bool:
    """Whether one of the records of a key is of the submission that an outcome tells of.

    It is not where the journal was lost since, or an older copy of it was put in its place.
    """
    return any(
        record.planned == outcome.planned or (outcome.id is not None and record.task_id == outcome.id)
        for record in attempts
    )


def _decoded(line: bytes) -> Outcome | None:
    """Return what a line says; None where it was cut, or is another program's."""
    try:
        return _converter.structure(json.loads(line), Outcome)
    except Exception:  # noqa: BLE001 - whatever stands there; cattrs raises groups of anything
        return None


def read_results(folder: Path) -> list[Outcome]:
    """Return the newest outcome of each row, in the order of the manifest.

    Rows without a key are told apart by their place.

    Raises:
        OSError: There is no ``results.jsonl`` in the folder.
    """
    newest: dict[str, Outcome] = {}
    with io.BufferedReader(reading(folder / RESULTS)) as file:
        for line in file:
            if (outcome := _decoded(line)) is not None:
                newest.pop(_place(outcome), None)  # the row was invalid, and has been put right
                newest[outcome.key or _place(outcome)] = outcome
    return sorted(newest.values(), key=lambda outcome: outcome.row)


@attrs.define(eq=False)
class Results:
    """The file while a batch writes it; no other batch may at the same time."""

    _path: Path
    _descriptor: int
    _newest: dict[str, Outcome] = attrs.field(factory=dict, init=False)
    _by_id: dict[str, Outcome] = attrs.field(factory=dict, init=False)

    @classmethod
    @contextlib.contextmanager
    def opened(cls, folder: Path) -> Iterator[Self]:
        """Open the file of a folder, which is made where there is none; a last line that was cut is dropped.

        Raises:
            BlockingIOError: Another batch writes it.
            OSError: The disk said no.
        """
        path = folder / RESULTS
        os.close(open_regular(path, os.O_RDWR | os.O_CREAT))
        descriptor = _locks.take(path, wait=False)
        if descriptor is None:
            raise BlockingIOError(f"another batch is at work in {folder}")
        try:
            results = cls(path, descriptor)
            results._read()
            yield results
        finally:
            _locks.release(descriptor)

    def _read(self) -> None:
        place = 0
        with io.BufferedReader(reading(self._path)) as file:
            for line in file:
                if not line.endswith(b"\n"):
                    os.ftruncate(self._descriptor, place)
                    break
                if (outcome := _decoded(line)) is not None:
                    self._note(outcome)
                place += len(line)

    def _note(self, outcome: Outcome) -> None:
        self._newest[outcome.key or _place(outcome)] = outcome
        if outcome.id is not None:
            self._by_id[outcome.id] = outcome

    def find(self, key: str) -> Outcome | None:
        """Return the newest outcome of a key; None if there is none."""
        return self._newest.get(key)

    def tasks(self) -> list[Outcome]:
        """Return an outcome of every task that the file knows, earlier attempts and uncertain submissions included."""
        nameless = (outcome for outcome in self._newest.values() if outcome.id is None and outcome.status in MAYBE_PAID)
        return [*self._by_id.values(), *nameless]

    def add(self, outcome: Outcome) -> None:
        """Write an outcome down, unless that is what the file says already.

        The system has it when this returns, so that the death of this process does no harm.

        Raises:
            OSError: The disk said no, or the file is not the folder's any more; nothing was written then.
        """
        if _said(self.find(outcome.key or _place(outcome))) == _said(outcome):
            return
        if not _locks.lies_at(self._descriptor, self._path):
            raise FileNotFoundError(f"{self._path} was replaced while a batch wrote it")
        line, written = json.dumps(attrs.asdict(outcome)).encode() + b"\n", 0
        place = os.lseek(self._descriptor, 0, os.SEEK_END)
        try:
            written = os.write(self._descriptor, line)
        finally:
            if written != len(line):  # half a line would spoil the next one
                os.ftruncate(self._descriptor, place)
        if written != len(line):
            raise OSError(errno.ENOSPC, f"{self._path} took a part of a line")
        self._note(outcome)


def _place(outcome: Outcome) -> str:
    """Return what a row without a key is told apart by."""
    return f"row {outcome.row}"


def _said(outcome: Outcome | None) -> tuple[object, ...] | None:
    """Return what makes one outcome another than that of a former run."""
    return (
        None
        if outcome is None
        else (outcome.row, outcome.status, outcome.id, outcome.file, outcome.sha256, outcome.error)
    )
