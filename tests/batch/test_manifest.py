"""A manifest is read once, whatever it is and whatever becomes of it."""

import json
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from foxvideo import Client, Every, InvalidRequest
from foxvideo.batch import BadRow, Ending, Manifest, Row, read_results, run as run_batch, survey
from foxvideo.emulator import Emulator
from foxvideo.requests.generic import fields_of

ROWS = "prompt,duration\n" + "".join(f'"Shot {number}, slowly",4\n' for number in range(20))


def prompts(rows: Iterable[Row | BadRow]) -> list[object]:
    """Return what rows ask for."""
    return [row.request.fields["prompt"] for row in rows if isinstance(row, Row)]  # type: ignore[union-attr]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Write a manifest of 20 rows."""
    (tmp_path / "shots.csv").write_text(ROWS)
    return tmp_path / "shots.csv"


def rewrite(path: Path) -> None:
    """Write another text into the same file, as editors and scripts do."""
    path.write_text("prompt\nAn opening\n")


def truncate(path: Path) -> None:
    """Cut the file in the midst of a row."""
    os.truncate(path, 100)


def replace(path: Path) -> None:
    """Put another file in its place."""
    other = path.with_name("other.csv")
    rewrite(other)
    other.replace(path)


@pytest.mark.parametrize("change", [rewrite, truncate, replace, Path.unlink, Path.touch])
@pytest.mark.parametrize("read", [1, 5, 20])
def test_a_manifest_that_is_changed_yields_what_it_was(path: Path, change: Callable[[Path], object], read: int) -> None:
    """However far it was read, and every time that it is read."""
    manifest = Manifest(path)
    rows = iter(manifest)
    first = [next(rows) for _ in range(read)]

    change(path)

    whole = [*first, *rows]
    assert prompts(whole) == [f"Shot {number}, slowly" for number in range(20)]
    assert list(manifest) == whole


async def test_the_survey_and_the_run_see_the_same_rows(fox: Emulator, path: Path) -> None:
    """Between them there is a question, which may wait for hours."""
    manifest, folder = Manifest(path), path.with_name("clips")
    counted = await survey(manifest, None, folder)
    rewrite(path)

    async with Client(fox.api_key, fox.base_url, schedule=Every(2), journal=path.with_name("journal.db")) as client:
        outcomes = [outcome async for outcome in run_batch(client, manifest, folder)]

    assert counted.rows == len(outcomes) == fox.ledger.charged == 20
    assert {outcome.status for outcome in outcomes} == {Ending.COMPLETED}
    assert {task.body["prompt"] for task in fox.ledger.tasks.values()} == {f"Shot {n}, slowly" for n in range(20)}


async def test_a_manifest_that_is_changed_during_the_run_changes_nothing(fox: Emulator, path: Path) -> None:
    """No row is torn, none is left out, and none is put in."""
    folder, changed = path.with_name("clips"), False
    async with Client(fox.api_key, fox.base_url, schedule=Every(2), journal=path.with_name("journal.db")) as client:
        async for _ in run_batch(client, Manifest(path), folder, max_active=3):
            if not changed:
                rewrite(path)
                changed = True

    assert {task.body["prompt"] for task in fox.ledger.tasks.values()} == {f"Shot {n}, slowly" for n in range(20)}


def test_two_threads_that_read_it_see_the_same_rows(path: Path) -> None:
    """Each row is made once."""
    manifest = Manifest(path)
    seen: list[list[Row | BadRow]] = []
    threads = [threading.Thread(target=lambda: seen.append(list(manifest))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [len(rows) for rows in seen] == [20] * 4
    assert all(one is other for rows in seen for one, other in zip(rows, seen[0], strict=True))


# --- Pipes -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second look at it would wait for ever; its pictures are where one stands."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cat.png").write_bytes(b"a cat")
    (tmp_path / "elsewhere").mkdir()
    pipe = tmp_path / "elsewhere" / "pipe"
    os.mkfifo(pipe)
    text = "prompt,image_url\nA fox,\nA cat,cat.png\n"
    writer = threading.Thread(target=pipe.write_text, args=[text])
    writer.start()

    manifest = Manifest(pipe)

    assert prompts(manifest) == prompts(manifest) == ["A fox", "A cat"]
    writer.join()


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="this system has no /dev/fd")
@pytest.mark.parametrize("how", ["pipe", "file"])
def test_a_descriptor_is_read_as_a_shell_gives_it(path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Process substitution gives a pipe, a redirection a file; pictures are where one stands."""
    monkeypatch.chdir(path.parent)
    (path.parent / "cat.png").write_bytes(b"a cat")
    text = "prompt,image_url\nA cat,cat.png\n"
    path.write_text(text)
    if how == "file":
        reader = os.open(path, os.O_RDONLY)
    else:
        reader, writer = os.pipe()
        os.write(writer, text.encode())
        os.close(writer)
    try:
        manifest = Manifest(f"/dev/fd/{reader}")
        assert prompts(manifest) == prompts(manifest) == ["A cat"]
    finally:
        os.close(reader)


def test_what_was_read_already_is_a_manifest_too(tmp_path: Path) -> None:
    """Such as the body of a request to a server of yours."""
    (tmp_path / "cat.png").write_bytes(b"a cat")
    content = b'{"prompt": "A cat", "image_url": "cat.png"}\n'

    (row,) = Manifest.of(content, folder=tmp_path, defaults={"duration": "3"})
    (bad,) = Manifest.of(content, folder=tmp_path / "nowhere")

    assert isinstance(row, Row)
    assert row.request.fields["duration"] == 3  # type: ignore[union-attr]
    assert isinstance(bad, BadRow)


# --- What cannot be read -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_what_spreadsheets_write_is_read(tmp_path: Path, encoding: str) -> None:
    """Excel calls UTF-16 with tabs "Unicode text", and says in a first line what it separates columns by."""
    mark = "\ufeff" if encoding.startswith("utf-16-") else ""
    for text in ("prompt,duration\r\n狐狸,6.0\r\n", "prompt\tduration\n狐狸\t6\n", "sep=;\nprompt;duration\n狐狸;6\n"):
        (tmp_path / "shots.csv").write_bytes(f"{mark}{text}".encode(encoding))
        (row,) = Manifest(tmp_path / "shots.csv")
        assert isinstance(row, Row)
        assert fields_of(row.request) == {"prompt": "狐狸", "duration": 6}


NO_MANIFESTS = {
    "a workbook": (b"PK\x03\x04\x14\0\6\0", "workbook"),
    "a workbook of old": (b"\xd0\xcf\x11\xe0\xa1\xb1", "workbook of old"),
    "Parquet": (b"PAR1\x15\4", "Parquet"),
    "a PDF": (b"%PDF-1.7\n", "PDF"),
    "gzip": (b"\x1f\x8b\x08\0", "compressed"),
    "a database": (b"SQLite format 3\0", "database"),
    "a page": (b"<!DOCTYPE html><html>", "web page"),
    "XML": (b"<?xml version='1.0'?>", "XML"),
    "UTF-16 without a mark": ("prompt\nA fox\n".encode("utf-16-le"), "UTF-16"),
    "UTF-32": ("prompt\nA fox\n".encode("utf-32"), "UTF-32"),
    "another separator": (b"prompt|duration\nA fox|6\n", "separate columns by a comma"),
    "a column that no model has": (b"prompt,image\nA fox,a.png\n", "did you mean image_url"),
    "a note that would be sent": (b"prompt,note\nA fox,for Ann\n", "no model has a field 'note'"),
    "a list of JSON": (b'[{"prompt": "A fox"}]', "one object a line"),
}


@pytest.mark.parametrize("name", NO_MANIFESTS)
def test_one_cause_is_said_once_with_its_cure(name: str, tmp_path: Path) -> None:
    """Thirty rows would else say thirty times what is wrong with the file."""
    content, said = NO_MANIFESTS[name]
    (tmp_path / "shots.csv").write_bytes(content)
    with pytest.raises(InvalidRequest) as caught:
        list(Manifest(tmp_path / "shots.csv"))
    assert said in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    "cell",
    ["nan", "NaN", "NULL", "null", "None", "N/A", "<NA>", "#REF!", "#N/A", "#VALUE!", "#DIV/0!", "#NAME?", " nan "],
)
def test_what_a_program_writes_for_nothing_is_not_bought(cell: str, tmp_path: Path) -> None:
    """A paid video of "nan" is what nobody wants, and a picture called NULL is not there."""
    for text in (f"prompt,duration\n{cell},6\n", f'prompt,duration\n"A fox",{cell}\n'):
        (tmp_path / "shots.csv").write_text(text)
        (row,) = Manifest(tmp_path / "shots.csv")
        assert isinstance(row, BadRow)
        assert "leave the cell empty" in row.faults[0]


async def test_a_column_with_a_hash_is_kept_and_not_sent(fox: Emulator, tmp_path: Path) -> None:
    """Who wants the shot, or which scene it is of, is nobody's business but the user's."""
    (tmp_path / "shots.csv").write_text("#scene,prompt\n4b nan,A fox\n,An owl\n")
    rows = list(Manifest(tmp_path / "shots.csv"))
    assert [row.notes for row in rows if isinstance(row, Row)] == [{"#scene": "4b nan"}, {}]
    async with Client(fox.api_key, fox.base_url, journal=tmp_path / "v.db") as client:
        outcomes = [outcome async for outcome in run_batch(client, rows, tmp_path / "clips")]
    assert {outcome.row: outcome.notes for outcome in outcomes} == {1: {"#scene": "4b nan"}, 2: None}
    assert {outcome.notes is None for outcome in read_results(tmp_path / "clips")} == {True, False}
    assert "scene" not in json.dumps([charge.body for charge in fox.ledger.tasks.values()], default=str)


def test_what_could_not_be_read_once_is_not_empty_the_next_time(tmp_path: Path) -> None:
    """A second look says the same as the first."""
    manifest = Manifest(tmp_path / "shots.csv")

    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            list(manifest)


def test_a_manifest_that_is_being_written_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody meant the half of it."""
    fstat, looks = os.fstat, 0

    def grown(descriptor: int) -> os.stat_result:
        nonlocal looks
        looks += 1
        if looks == 2:
            path.write_text(f"{ROWS}An owl,4\n")
        return fstat(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fstat", grown)
        with pytest.raises(InvalidRequest, match="changed while it was read"):
            Manifest(path).load()


async def test_a_manifest_that_cannot_be_read_ends_the_run(fox: Emulator, tmp_path: Path) -> None:
    """Before anything is bought."""
    async with Client(fox.api_key, fox.base_url, journal=tmp_path / "journal.db") as client:
        rows = aiter(run_batch(client, Manifest(tmp_path / "shots.csv"), tmp_path / "clips"))
        with pytest.raises(FileNotFoundError):
            await anext(rows)
    assert fox.ledger.submitted == 0
