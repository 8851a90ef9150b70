"""The lines of a manifest: CSV or JSON Lines, read as a stream.

What belongs here: both formats, and what is wrong with a line as such. What must not: what a field means
(``rows.py``).
"""

import csv
import json
from collections.abc import Iterable, Iterator
from itertools import chain

import attrs

from foxvideo.errors import InvalidRequest

_DELIMITERS = ",;\t"  # spreadsheets of many countries write a semicolon


@attrs.frozen
class Line:
    """One entry of a manifest.

    Attributes:
        number: The line on which it begins, from 1.
        fields: What it says; None where it cannot be read.
        fault: Why it cannot be read; empty where it can.
        cells: Whether all values are texts that stand for others.
    """

    number: int
    fields: dict[str, object] | None
    fault: str = ""
    cells: bool = False


def read(stream: Iterable[str]) -> Iterator[Line]:
    """Yield the entries of a manifest; empty lines are skipped.

    It is JSON Lines if its first character is a brace, else CSV, whose first line names the fields. All cells of a
    CSV are texts; an empty one is not there.

    Args:
        stream: The lines with their ends, as ``open(newline="")`` gives them.

    Raises:
        InvalidRequest: The manifest cannot be read at all.
    """
    lines = iter(stream)
    blank = 0
    for first in lines:
        if first.strip():
            break
        blank += 1
    else:
        raise InvalidRequest("the manifest is empty", submitted="no")
    match first.lstrip()[0]:
        case "{":
            yield from _read_json(chain([first], lines), blank)
        case "[":
            raise InvalidRequest(
                "the manifest is one JSON list: write one object a line (jq -c '.[]' does)", submitted="no"
            )
        case _:
            yield from _read_csv(first, lines, blank)


def _read_json(lines: Iterable[str], before: int) -> Iterator[Line]:
    for number, text in enumerate(lines, before + 1):
        if text.strip():
            yield _json(number, text)


def _json(number: int, text: str) -> Line:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Line(number, None, f"not JSON: {error}")
    if not isinstance(fields, dict):
        return Line(number, None, "not a JSON object")
    return _spelled(number, fields, text)


def _read_csv(header: str, lines: Iterator[str], before: int) -> Iterator[Line]:
    delimiter = max(_DELIMITERS, key=header.count)
    table = csv.reader(chain([header], lines), delimiter=delimiter, strict=True)
    try:
        names = [name.strip() for name in next(table)]
    except csv.Error as error:
        raise InvalidRequest(
            f"the first line of the manifest, which names the fields, is broken: {error}", submitted="no"
        ) from error
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise InvalidRequest(f"the manifest has two columns {', '.join(twice)}", submitted="no")
    while True:
        number = before + table.line_num + 1
        try:
            cells = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            yield Line(number, None, f"not CSV: {error}")
            continue
        if any(cell.strip() for cell in cells):
            yield _cells(number, names, cells)


def _cells(number: int, names: list[str], cells: list[str]) -> Line:
    if any(cell.strip() for cell in cells[len(names) :]):
        return Line(number, None, f"{len(cells)} cells, but {len(names)} columns: a text with a comma needs quotes")
    named = dict(zip(names, cells, strict=False))
    if named.get("", "").strip():
        return Line(number, None, "a cell in a column without a name")
    given: dict[str, object] = {name: cell for name, cell in named.items() if name and cell.strip()}
    return _spelled(number, given, "".join(cells), cells=True)


def _spelled(number: int, fields: dict[str, object], text: str, *, cells: bool = False) -> Line:
    """Return a line, unless its bytes were no UTF-8, which the stream has as lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return Line(number, None, "not UTF-8")
    return Line(number, fields, cells=cells)
