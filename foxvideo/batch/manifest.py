"""A manifest as a file that can be read again and again.

What belongs here: the file. What must not: its formats (``reading.py``) and its rows (``rows.py``).
"""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from foxvideo.batch.reading import Line, read
from foxvideo.batch.rows import TALLY, BadRow, Composer, Keys, Row, rows_of
from foxvideo.batch.scratch import scratch
from foxvideo.errors import InvalidRequest
from foxvideo.requests.generic import Request


@attrs.frozen
class Manifest:
    """Rows of requests in a file of CSV or JSON Lines, read as a stream each time it is iterated.

    A CSV's first line names the fields, as on the wire; a JSON Lines file has one object a line. Without ``model`` a
    row is one of the Grok models, chosen by what it gives. What takes a picture or a film takes a URL or a local file;
    a cell with several of them has ``;`` between them.

    Iterating yields a ``Row``, or a ``BadRow`` that says what is wrong, for each entry; raises ``InvalidRequest`` where
    the file cannot be read at all, and ``OSError``.

    Attributes:
        path: The file.
        folder: What local files are relative to; None for the folder of the manifest.
        defaults: Fields for all rows that lack them, written as in a CSV.
        check: Whether fields are checked against the documentation.
    """

    path: Path = attrs.field(converter=Path)
    folder: Path | None = attrs.field(default=None, kw_only=True)
    defaults: Mapping[str, str] = attrs.field(factory=dict, kw_only=True)
    check: bool = attrs.field(default=True, kw_only=True)

    def __iter__(self) -> Iterator[Row | BadRow]:
        composer = Composer(self.path.parent if self.folder is None else self.folder, self.defaults, self.check)
        with self.path.open("rb") as file, scratch(TALLY) as tally:
            # What is no UTF-8 passes as lone surrogates, so that only its row is bad.
            text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
            yield from rows_of(_requests(read(text), composer), Keys(tally))


def _requests(lines: Iterator[Line], composer: Composer) -> Iterator[tuple[int, Request | InvalidRequest]]:
    for line in lines:
        yield line.number, _request(line, composer)


def _request(line: Line, composer: Composer) -> Request | InvalidRequest:
    if line.fields is None:
        return InvalidRequest(line.fault, submitted="no")
    try:
        return composer.request(line.fields, cells=line.cells)
    except InvalidRequest as error:
        return error
