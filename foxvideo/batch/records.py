"""What is written down of each row: ``results.jsonl``, one line as each row ends.

What belongs here: the outcome as a value, and the file. What must not: how a row comes to its end (``running.py``).

The newest line of a key counts. The journal is what a later run goes by; this file is for readers, and spares that run
the films that are there already.
"""

import contextlib
import enum
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

import attrs
import cattrs

from foxvideo.batch.scratch import scratch

try:
    import fcntl
except ImportError:  # pragma: no cover - a system whose file locks are of another kind
    fcntl = None  # type: ignore[assignment]

RESULTS = "results.jsonl"
_INDEX = "CREATE TABLE lines (key TEXT PRIMARY KEY, place INTEGER NOT NULL) WITHOUT ROWID"
_converter = cattrs.Converter()


class Ending(enum.StrEnum):
    """How a row ends, as far as this run goes.

    ``COMPLETED``, ``FAILED`` and ``CANCELLED`` are final, ``INVALID`` until the manifest changes. The others are taken
    up again by the next run, which never pays again for what may have been paid: an ``UNCERTAIN`` row waits for a
    decision of yours.
    """

    COMPLETED = "completed"  # and its film is saved
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNSAVED = "unsaved"  # completed, but its film is not here
    UNFINISHED = "unfinished"  # its task goes on
    UNCERTAIN = "uncertain"
    REFUSED = "refused"  # nothing was made
    INVALID = "invalid"


@attrs.frozen(kw_only=True)
class Outcome:
    """One row at its end; a line of ``results.jsonl``, in this order.

    Attributes:
        row: Its place in the manifest, from 1.
        key: What its content is called; None for an invalid row.
        id: The task's id; None where there is none.
        status: How it ended.
        file: Its film, relative to the folder; None without one. Further results of the task lie beside it.
        sha256: Of the film.
        bytes: Of the film.
        seconds: From the acceptance of the task to its end.
        credits: Reserved for it; None if not told.
        error: Why there is no film.
        line: Where it begins in the manifest.
        model: What it asked for, as are ``prompt`` and ``duration``, where it says so.
        prompt: A text.
        duration: Seconds of film.
        planned: When it was taken up. Unix seconds, as are the times below; None where that moment did not come.
        accepted: When its task was made.
        ended: When the task had ended.
        saved: When the film was on the disk.
    """

    row: int
    key: str | None
    id: str | None = None
    status: Ending
    file: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    seconds: float | None = None
    credits: float | None = None
    error: str | None = None
    line: int | None = None
    model: str | None = None
    prompt: str | None = None
    duration: float | None = None
    planned: float | None = None
    accepted: float | None = None
    ended: float | None = None
    saved: float | None = None


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
    with (folder / RESULTS).open("rb") as file:
        for line in file:
            if (outcome := _decoded(line)) is not None:
                newest.pop(_place(outcome), None)  # the row was invalid, and has been put right
                newest[outcome.key or _place(outcome)] = outcome
    return sorted(newest.values(), key=lambda outcome: outcome.row)


@attrs.define(eq=False)
class Results:
    """The file while a batch writes it; no other batch may at the same time."""

    _file: IO[bytes]
    _index: sqlite3.Connection

    @classmethod
    @contextlib.contextmanager
    def opened(cls, folder: Path) -> Iterator[Self]:
        """Open the file of a folder, which is made where there is none; a last line that was cut is dropped.

        Raises:
            BlockingIOError: Another batch writes it.
            OSError: The disk said no.
        """
        with (folder / RESULTS).open("a+b") as file, scratch(_INDEX) as index:
            if fcntl is not None:  # pragma: no branch - see above
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise BlockingIOError(f"another batch is at work in {folder}") from error
            results = cls(file, index)
            results._read()
            yield results

    def _read(self) -> None:
        self._file.seek(0)
        place = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                self._file.truncate(place)
                break
            if (outcome := _decoded(line)) is not None:
                self._note(outcome.key or _place(outcome), place)
            place += len(line)

    def _note(self, key: str, place: int) -> None:
        self._index.execute("INSERT OR REPLACE INTO lines VALUES (?, ?)", (key, place))

    def find(self, key: str) -> Outcome | None:
        """Return the newest outcome of a key; None if there is none."""
        found = self._index.execute("SELECT place FROM lines WHERE key = ?", (key,)).fetchone()
        if found is None:
            return None
        self._file.seek(found[0])
        return _decoded(self._file.readline())

    def add(self, outcome: Outcome) -> None:
        """Write an outcome down, unless that is what the file says already.

        The system has it when this returns, so that the death of this process does no harm.
        """
        key = outcome.key or _place(outcome)
        if _said(self.find(key)) == _said(outcome):
            return
        place = self._file.seek(0, os.SEEK_END)
        self._file.write(json.dumps(attrs.asdict(outcome)).encode() + b"\n")
        self._file.flush()
        self._note(key, place)


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
