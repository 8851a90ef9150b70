"""Manifests as text: CSV and JSON Lines, good and broken."""

import csv
import io
import json

import pytest
from hypothesis import given, settings, strategies as st

from foxvideo import InvalidRequest
from foxvideo.batch.lines import Line, read_lines


def lines(text: str) -> list[Line]:
    """Read a manifest as a file would give it."""
    return list(read_lines(io.StringIO(text, newline="")))


def test_a_csv_names_its_fields_in_the_first_line() -> None:
    """Each entry knows the line on which it begins."""
    found = lines("prompt,duration\nA fox,6\nAn owl,4\n")

    assert found == [
        Line(2, {"prompt": "A fox", "duration": "6"}, cells=True, columns=("prompt", "duration")),
        Line(3, {"prompt": "An owl", "duration": "4"}, cells=True, columns=("prompt", "duration")),
    ]


def test_an_entry_of_several_lines_begins_on_its_first() -> None:
    """A quoted text may hold line ends; the entry after it is still found."""
    found = lines('prompt\n"A fox\nand\nan owl"\nA bear\n')

    assert [(line.number, line.fields) for line in found] == [
        (2, {"prompt": "A fox\nand\nan owl"}),
        (5, {"prompt": "A bear"}),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_will_do(end: str) -> None:
    """Spreadsheets write what their system does."""
    found = lines(end.join(["prompt,duration", "A fox,6", ""]))

    assert [line.fields for line in found] == [{"prompt": "A fox", "duration": "6"}]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_the_one_that_the_first_line_has(delimiter: str) -> None:
    """Spreadsheets of many countries write a semicolon."""
    found = lines(f"prompt{delimiter}duration\nA fox{delimiter}6\n")

    assert found[0].fields == {"prompt": "A fox", "duration": "6"}


def test_empty_cells_and_empty_lines_are_not_there() -> None:
    """A row that lacks its last cells is no fault."""
    found = lines("prompt,image_url,duration\n\nA fox,,6\n,,\nAn owl\n")

    assert [(line.number, line.fields) for line in found] == [
        (3, {"prompt": "A fox", "duration": "6"}),
        (5, {"prompt": "An owl"}),
    ]


def test_blank_lines_before_the_first_are_counted() -> None:
    """Line numbers are those that an editor shows."""
    assert [line.number for line in lines("\n \nprompt\nA fox\n")] == [4]
    assert [line.number for line in lines('\n\n{"prompt": "A fox"}\n')] == [3]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("A fox, running,6", "3 cells, but 2 columns"),
        ('"A fox" runs,6', "not CSV"),
        ('"A fox,6', "not CSV"),
        ("A fox \udcff,6", "not UTF-8"),
    ],
)
def test_a_broken_row_of_a_csv_says_what_is_wrong(row: str, fault: str) -> None:
    """It has the line and no fields."""
    (found,) = lines(f"prompt,duration\n{row}")

    assert (found.number, found.fields) == (2, None)
    assert fault in found.fault


def test_the_rows_after_a_broken_one_are_read() -> None:
    """One bad row costs no other."""
    found = lines('prompt,duration\n"A fox" runs,6\nAn owl,4\n')

    assert [line.fields for line in found] == [None, {"prompt": "An owl", "duration": "4"}]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("prompt,", "An owl,6"),
        ("prompt,,", "A fox, running,"),
        ("prompt,,", "A fox,, running"),
        ("prompt,,,", "An owl, turning its head,,"),
        (",prompt,", "a note,An owl,"),
        ("prompt, ,duration", "An owl,slowly,6"),
    ],
)
def test_a_cell_in_a_column_without_a_name_is_a_fault(header: str, row: str) -> None:
    """Its author meant something, wherever it stands; empty ones are what spreadsheets leave."""
    (found,) = lines(f"{header}\n{row}\n")

    assert found.fields is None
    assert found.fault == "a cell in a column without a name: a text with a comma needs quotes"


@pytest.mark.parametrize("header", ["prompt,", "prompt,,", ",prompt", "prompt, ,\t"])
def test_empty_cells_in_columns_without_a_name_are_no_fault(header: str) -> None:
    """Spreadsheets leave them behind."""
    row = header.replace("prompt", "A fox").replace("\t", " ")

    assert [line.fields for line in lines(f"{header}\n{row}\n")] == [{"prompt": "A fox"}]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("prompt", "prompt"),
        ("prompt", "\ufeffprompt"),
        ("prompt,duration", "prompt,duration"),
        ("prompt,duration", " duration , prompt "),
        ("prompt,duration,,", "prompt,duration,,"),
        ("prompt;duration", '"prompt";"duration"'),
    ],
)
def test_the_header_that_comes_again_is_a_fault(header: str, row: str) -> None:
    """Files were joined; the rows around it are what they were."""
    before, found, after = lines(f"{header}\nA fox\n{row}\nAn owl\n")

    assert (found.number, found.fields, found.fault) == (3, None, "the header again")
    assert before.fields == {"prompt": "A fox"}
    assert after.fields == {"prompt": "An owl"}


def test_a_byte_order_mark_in_the_midst_belongs_to_no_text() -> None:
    """A file without a header was joined."""
    assert lines("prompt\nA fox\n\ufeffAn owl\n")[1].fields == {"prompt": "An owl"}
    assert lines('{"prompt": "A fox"}\n\ufeff{"prompt": "An owl"}\n')[1].fields == {"prompt": "An owl"}


@pytest.mark.parametrize("row", ["\x1a", "\x00\x00", "\x1b,\x07"])
def test_control_characters_alone_are_a_fault(row: str) -> None:
    """Some systems end a file that is copied with Ctrl-Z."""
    assert lines(f"prompt,duration\nA fox,6\n{row}")[1].fault == "control characters alone"


@pytest.mark.parametrize(
    "text",
    [
        '"A fox "quoted" and\nthen an owl",4\n',
        '"A fox "quoted" and\n\nthen\nan owl",4\n',
        '"A fox "quoted" and\nan "owl" that\nsleeps",4\n',
    ],
)
def test_pieces_of_a_broken_quote_are_faults(text: str) -> None:
    """They read as rows that nobody wrote; behind the end of the quote the rows are good again."""
    found = lines(f"prompt,duration\n{text}A bear,6\n")

    assert [line.fields for line in found if line.fields is not None] == [{"prompt": "A bear", "duration": "6"}]
    assert "not CSV" in found[0].fault
    assert {line.fault for line in found[1:-1]} == {"a piece of the broken quote of line 2"}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "empty"),
        ("\n\n  \n", "empty"),
        ("prompt,prompt\nA fox,An owl\n", "two columns prompt"),
        ('"prompt" x,duration\nA fox,6\n', "first line"),
        ('[{"prompt": "A fox"}]', "one JSON list"),
        ("prompt,\udcb1\nA fox,x\n", "not UTF-8"),
    ],
)
def test_what_is_no_manifest_is_refused_as_a_whole(text: str, what: str) -> None:
    """There is no row that could be at fault."""
    with pytest.raises(InvalidRequest, match=what):
        lines(text)


def test_json_lines_keep_their_values() -> None:
    """Numbers are numbers there; blank lines are skipped."""
    found = lines('{"prompt": "A fox", "duration": 6}\n\n{"prompt": "An owl"}\n')

    assert found == [Line(1, {"prompt": "A fox", "duration": 6}), Line(3, {"prompt": "An owl"})]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("{", "not JSON"),
        ("[" * 200_000, "not JSON"),
        ("7", "not a JSON object"),
        ('{"prompt": "A fox \udcff"}', "not UTF-8"),
        ('{"prompt": "A fox \\ud83d"}', "half of a surrogate pair"),
        ('{"a": [{"\\udd89": 1}]}', "half of a surrogate pair"),
    ],
)
def test_a_broken_line_of_json_says_what_is_wrong(row: str, fault: str) -> None:
    """The lines around it are read."""
    first, found, last = lines(f'{{"prompt": "A fox"}}\n{row}\n{{"prompt": "An owl"}}\n')

    assert fault in found.fault
    assert found.number == 2
    assert first.fields
    assert last.fields


def test_an_emoji_in_two_halves_is_whole() -> None:
    """JSON may spell it so."""
    assert lines('{"prompt": "An owl \\ud83e\\udd89"}\n')[0].fields == {"prompt": "An owl \U0001f989"}


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(lambda text: f"A {text}")


@settings(max_examples=30)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1))
def test_what_a_csv_writer_writes_is_read(rows: list[tuple[str, str]]) -> None:
    """Whatever a prompt holds: quotes, line ends, delimiters."""
    file = io.StringIO(newline="")
    csv.writer(file).writerows([("prompt", "text"), *rows])

    found = lines(file.getvalue())

    assert [line.fields for line in found] == [{"prompt": prompt, "text": text} for prompt, text in rows]


@settings(max_examples=30)
@given(st.lists(st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.lists(st.text())), min_size=1))
def test_what_json_writes_is_read(rows: list[dict[str, object]]) -> None:
    """The line numbers count up."""
    found = lines("\n".join(map(json.dumps, rows)))

    assert [(line.number, line.fields) for line in found] == list(enumerate(rows, 1))
