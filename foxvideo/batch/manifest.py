"""A manifest: a file of rows that is read once."""

import io
import itertools
import os
import stat
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from foxvideo.batch.compose import check_columns, compose
from foxvideo.batch.encoding import text_of
from foxvideo.batch.lines import NOTE, Line, read_lines
from foxvideo.batch.rows import BadRow, Row, name_row
from foxvideo.errors import InvalidRequest
from foxvideo.requests.generic import Request

_SYSTEM = ("/dev/stdin", "/dev/fd/", "/proc/")  # where a shell puts what can be read once


@attrs.define(eq=False)
class Manifest:
    """Rows of requests in a file of CSV or JSON Lines, which may be a pipe.

    A CSV's first line names the fields, as on the wire; a JSON Lines file has one object a line. Without ``model`` a
    row is one of the Grok models, chosen by what it gives. What takes a picture or a video takes a URL or a local file;
    a cell with several of them has ``;`` between them. A column that begins with ``#`` is a note: it is kept with the
    results and never sent.

    The first iteration reads the whole file. Every later one yields the same rows, whatever has become of the file
    since, so that what was looked at is what is bought. A ``Row`` or, where something is wrong with it, a ``BadRow`` is
    yielded for each entry. Raises ``InvalidRequest`` where the file cannot be read at all, and ``OSError``.

    Attributes:
        path: The file.
        folder: What local files are relative to; None for the folder of the manifest, or for the current one where the
            manifest is no regular file.
        defaults: Fields for all rows that lack them, written as in a CSV.
        check: Whether fields are checked against the documentation.
    """

    path: Path = attrs.field(converter=Path)
    folder: Path | None = attrs.field(default=None, kw_only=True)
    defaults: Mapping[str, str] = attrs.field(factory=dict, kw_only=True)
    check: bool = attrs.field(default=True, kw_only=True)
    _content: tuple[bytes, Path] | None = attrs.field(default=None, init=False, repr=False)
    _read: list[Row | BadRow] = attrs.field(factory=list, init=False, repr=False)
    _unread: Iterator[Row | BadRow] | None = attrs.field(default=None, init=False, repr=False)
    _error: Exception | None = attrs.field(default=None, init=False, repr=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    @classmethod
    def of(
        cls, content: bytes, *, folder: Path, defaults: Mapping[str, str] | None = None, check: bool = True
    ) -> "Manifest":
        """Return a manifest of what has been read already, from a pipe or a network."""
        manifest = cls(folder, folder=folder, defaults=defaults or {}, check=check)
        manifest._content = content, folder
        return manifest

    def load(self) -> None:
        """Read the file now, unless that has been done; blocks, as long as it is a pipe and nobody writes.

        Raises:
            InvalidRequest: It was changed while it was read.
            OSError: It cannot be read.
        """
        if self._content is None:
            self._content = _content(self.path)

    def __iter__(self) -> Iterator[Row | BadRow]:
        place = 0
        while (row := self._row(place)) is not None:
            yield row
            place += 1

    def _row(self, place: int) -> Row | BadRow | None:
        with self._lock:  # batches read in threads
            if place == len(self._read):
                self._read_on()
            return self._read[place] if place < len(self._read) else None

    def _read_on(self) -> None:
        """Read one more row, if there is one; what broke once is broken for every iteration."""
        if self._error is not None:
            raise self._error.with_traceback(None)
        self._unread = self._unread or self._rows()
        try:
            self._read.extend(itertools.islice(self._unread, 1))
        except Exception as error:
            self._error = error
            raise

    def _rows(self) -> Iterator[Row | BadRow]:
        self.load()
        assert self._content is not None  # noqa: S101 - it is loaded
        content, folder = self._content
        times: Counter[str] = Counter()
        for number, line in enumerate(read_lines(io.StringIO(text_of(content), newline="")), 1):
            if self.check and "model" not in self.defaults:
                check_columns(line.columns)
            row = name_row(number, line.number, self._request(line, folder), times, check=self.check)
            notes = _notes(line)
            yield attrs.evolve(row, notes=notes) if notes and isinstance(row, Row) else row

    def _request(self, line: Line, folder: Path) -> Request | InvalidRequest:
        if line.fields is None:
            return InvalidRequest(line.fault, submitted="no")
        folder = folder if self.folder is None else self.folder
        try:
            fields = {name: value for name, value in line.fields.items() if not name.startswith(NOTE)}
            return compose(fields, cells=line.cells, folder=folder, defaults=self.defaults, documented=self.check)
        except InvalidRequest as error:
            return error


def _notes(line: Line) -> Mapping[str, str]:
    return {name: str(value) for name, value in (line.fields or {}).items() if name.startswith(NOTE)}


def _content(path: Path) -> tuple[bytes, Path]:
    """Read a file to its end, and return its content and what local files are relative to.

    Raises:
        InvalidRequest: It was changed while it was read.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        content = file.read()
        after = os.fstat(file.fileno())
    regular = stat.S_ISREG(before.st_mode)
    if regular and (before.st_mtime_ns, len(content)) != (after.st_mtime_ns, after.st_size):
        raise InvalidRequest("the manifest was changed while it was read", submitted="no")
    return content, path.parent if regular and not str(path).startswith(_SYSTEM) else Path()
