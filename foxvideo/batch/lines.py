"""The lines of a manifest: CSV or JSON Lines, read as a stream.

What can only be guessed is a fault: cells in columns without a name, the header again, pieces of a broken quote, and
text that is not Unicode. Out of scope: what a field means (``compose.py``).
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import attrs

from foxvideo.errors import InvalidRequest
from foxvideo.requests.validation import is_unicode

NOTE = "#"
"""How a column or field begins that is a note of the user's: it is kept with the results, and never sent."""

_DELIMITERS = ",;\t"  # spreadsheets of many countries write a semicolon
_EXCEL = re.compile(r'"?sep=([,;\t|])"?', re.IGNORECASE)
# What programs write into a cell that has nothing, or where they could not compute it.
_NOTHING = {"nan", "null", "none", "n/a", "<na>", "undefined", "-nan", "#n/a", "#na", "#null!", "#nan"}
_BROKEN = re.compile(r"#(REF|VALUE|NAME|DIV/0|NUM|N/A|SPILL|CALC|GETTING_DATA)[!?]?", re.IGNORECASE)
_MARK = "\ufeff"  # stands at the beginning of a file, and in the midst of one that was joined from several


@attrs.frozen
class Line:
    """One entry of a manifest.

    Attributes:
        number: The line on which it begins, from 1.
        fields: What it says; None where it cannot be read.
        fault: Why it cannot be read; empty where it can.
        cells: Whether all values are texts that stand for others.
        columns: What the header of a CSV names; empty for other manifests.
    """

    number: int
    fields: dict[str, object] | None
    fault: str = ""
    cells: bool = False
    columns: tuple[str, ...] = ()


def read_lines(stream: Iterable[str]) -> Iterator[Line]:
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


# --- JSON Lines --------------------------------------------------------------------------------------------------


def _read_json(lines: Iterable[str], before: int) -> Iterator[Line]:
    for number, text in enumerate(lines, before + 1):
        if text.strip():
            yield _json(number, text)


def _json(number: int, text: str) -> Line:
    try:
        fields = json.loads(text.strip(_MARK))
    except (ValueError, RecursionError) as error:
        return Line(number, None, f"not JSON: {error}")
    if not isinstance(fields, dict):
        return Line(number, None, "not a JSON object")
    if not is_unicode(text):
        return Line(number, None, "not UTF-8")
    if not is_unicode(json.dumps(fields, ensure_ascii=False)):
        return Line(number, None, "not Unicode: it has half of a surrogate pair")
    return Line(number, fields)


# --- CSV ---------------------------------------------------------------------------------------------------------


@attrs.define
class _Physical:
    """The lines of a file as csv.reader takes them, with the quotes of those that it took for one entry."""

    lines: Iterator[str]
    quotes: int = 0

    def __iter__(self) -> Iterator[str]:
        for line in self.lines:
            self.quotes += line.count('"')
            yield line


def _read_csv(header: str, lines: Iterator[str], before: int) -> Iterator[Line]:
    delimiter = ""
    if told := _EXCEL.fullmatch(header.strip().removeprefix(_MARK)):  # how Excel says what it wrote
        delimiter, before, header = told[1], before + 1, next(lines, "")
    physical = _Physical(chain([header], lines))
    table = csv.reader(physical, delimiter=delimiter or max(_DELIMITERS, key=header.count), strict=True)
    names = _names(table)
    broken = 0  # the line of a quote that is broken and not closed yet
    while True:
        number, physical.quotes = before + table.line_num + 1, 0
        try:
            cells = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            yield Line(number, None, f"not CSV: {error}")
            closed = physical.quotes % 2 == (1 if broken else 0)
            broken = 0 if closed else broken or number
            continue
        if broken:
            yield Line(number, None, f"a piece of the broken quote of line {broken}")
            broken = 0 if physical.quotes % 2 else broken
        elif any(cell.strip() for cell in cells):
            yield _cells(number, names, cells)


def _names(table: Iterator[list[str]]) -> list[str]:
    """Read the header.

    Raises:
        InvalidRequest: It names no fields.
    """
    what = "the first line of the manifest, which names the fields,"
    try:
        names = [name.strip() for name in next(table)]
    except csv.Error as error:
        raise InvalidRequest(f"{what} is broken: {error}", submitted="no") from error
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise InvalidRequest(f"the manifest has two columns {', '.join(twice)}", submitted="no")
    if not all(map(is_unicode, names)):
        raise InvalidRequest(f"{what} is not UTF-8", submitted="no")
    if len(names) == 1 and (other := next((sign for sign in "|:\t;" if sign in names[0]), None)):
        raise InvalidRequest(
            f"{what} is one column, {names[0]!r}: separate columns by a comma, not {other!r}", submitted="no"
        )
    return names


def _cells(number: int, names: list[str], cells: list[str]) -> Line:
    cells = [cell.removeprefix(_MARK) for cell in cells]
    if fault := next(_guessed(names, cells), ""):
        return Line(number, None, fault)
    named = dict(zip(names, cells, strict=False))
    fields: dict[str, object] = {name: cell for name, cell in named.items() if name and cell.strip()}
    return Line(number, fields, cells=True, columns=tuple(names))


def _guessed(names: Sequence[str], cells: Sequence[str]) -> Iterator[str]:
    """Yield what of a row could only be guessed."""
    given = [cell.strip() for cell in cells]
    named = list(zip(names, given, strict=False))
    if not all(map(is_unicode, cells)):
        yield "not UTF-8"
    if any(given[len(names) :]):
        yield f"{len(cells)} cells, but {len(names)} columns: a text with a comma needs quotes"
    if any(cell for name, cell in named if not name):
        yield "a cell in a column without a name: a text with a comma needs quotes"
    if {cell for cell in given if cell} <= set(names):
        yield "the header again"
    if not any(letter.isprintable() and not letter.isspace() for cell in given for letter in cell):
        yield "control characters alone"
    for name, cell in named:
        if not name.startswith(NOTE) and (cell.lower() in _NOTHING or _BROKEN.fullmatch(cell)):
            yield f"{name} is {cell!r}: leave the cell empty, or write what is meant"
