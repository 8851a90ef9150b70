"""``results.jsonl``: what is written down, and what is read again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from foxvideo.batch import Ending, Outcome, read_results
from foxvideo.batch.results import RESULTS, Results


def outcome(row: int = 1, key: str | None = "k1", **values: Any) -> Outcome:  # noqa: ANN401 - the values of Outcome
    """Return the outcome of a row."""
    return Outcome(row=row, key=key, **{"status": Ending.COMPLETED} | values)


def test_a_line_has_the_promised_names_first(tmp_path: Path) -> None:
    """Other programs read them."""
    with Results.opened(tmp_path) as results:
        results.add(outcome(id="task-1", file="a.mp4", sha256="00", bytes=7, seconds=2.5, credits_reserved=12.5))

    line = json.loads((tmp_path / RESULTS).read_text())
    names = ["row", "key", "id", "status", "file", "sha256", "bytes", "seconds", "credits_reserved", "error"]
    assert list(line)[: len(names)] == names
    assert [line[name] for name in names] == [1, "k1", "task-1", "completed", "a.mp4", "00", 7, 2.5, 12.5, None]


def test_what_was_written_is_found_also_by_a_later_run(tmp_path: Path) -> None:
    """The newest line of a key counts."""
    older, newer, other = outcome(status=Ending.FAILED), outcome(id="task-2"), outcome(2, "k2")
    with Results.opened(tmp_path) as results:
        for one in (older, other, newer):
            results.add(one)
        assert results.find("k1") == newer
        assert results.find("k3") is None
    with Results.opened(tmp_path) as results:
        assert (results.find("k1"), results.find("k2")) == (newer, other)
    assert read_results(tmp_path) == [newer, other]


def test_what_the_file_says_already_is_not_written_again(tmp_path: Path) -> None:
    """Another run that comes to the same adds no line."""
    with Results.opened(tmp_path) as results:
        results.add(outcome(planned=1.0))
        results.add(outcome(planned=2.0))
        results.add(outcome(3, None, status=Ending.INVALID, error="no prompt"))
        results.add(outcome(3, None, status=Ending.INVALID, error="no prompt"))

    assert len((tmp_path / RESULTS).read_text().splitlines()) == 2


def test_a_line_that_was_cut_is_dropped(tmp_path: Path) -> None:
    """A process may die in the midst of it; the next line begins at its place."""
    with Results.opened(tmp_path) as results:
        results.add(outcome(1, "k1"))
    with (tmp_path / RESULTS).open("ab") as file:
        file.write(b'{"row": 2, "key": "k2", "sta')

    assert read_results(tmp_path) == [outcome(1, "k1")]
    with Results.opened(tmp_path) as results:
        results.add(outcome(3, "k3"))
    assert read_results(tmp_path) == [outcome(1, "k1"), outcome(3, "k3")]


@pytest.mark.parametrize("line", ["", "7", "{}", '{"row": "one"}', "\xff", '{"row": 1, "key": "k", "status": "odd"}'])
def test_lines_of_something_else_are_passed_over(tmp_path: Path, line: str) -> None:
    """Whatever stands there, the others are read."""
    with Results.opened(tmp_path) as results:
        results.add(outcome(1, "k1"))
    with (tmp_path / RESULTS).open("a", encoding="latin-1") as file:
        file.write(f"{line}\n")

    assert read_results(tmp_path) == [outcome(1, "k1")]
    with Results.opened(tmp_path) as results:
        assert results.find("k1") == outcome(1, "k1")


def test_a_row_that_was_put_right_is_invalid_no_more(tmp_path: Path) -> None:
    """Rows without a key are told apart by their place."""
    with Results.opened(tmp_path) as results:
        results.add(outcome(1, None, status=Ending.INVALID))
        results.add(outcome(2, None, status=Ending.INVALID))
        results.add(outcome(1, "k1"))

    assert read_results(tmp_path) == [outcome(1, "k1"), outcome(2, None, status=Ending.INVALID)]


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    """What it did not take is not known, and the next line begins where that one began."""
    resource = pytest.importorskip("resource")
    with Results.opened(tmp_path) as results:
        results.add(outcome(1, "k1"))
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / RESULTS).stat().st_size + 10, before[1]))
        try:
            with pytest.raises(OSError, match="took a part of a line"):
                results.add(outcome(2, "k2"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert results.find("k2") is None
        results.add(outcome(3, "k3"))

    assert read_results(tmp_path) == [outcome(1, "k1"), outcome(3, "k3")]


def removed(path: Path) -> None:
    """Remove a file."""
    path.unlink()


def replaced(path: Path) -> None:
    """Put a copy in the place of a file."""
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)


@pytest.mark.parametrize("change", [removed, replaced])
def test_a_file_that_is_not_the_folder_s_any_more_takes_no_line(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """Nobody would ever read it, and another batch may hold the new one."""
    with Results.opened(tmp_path) as results:
        results.add(outcome(1, "k1"))
        change(tmp_path / RESULTS)
        with pytest.raises(FileNotFoundError):
            results.add(outcome(2, "k2"))


def test_every_task_is_known_by_its_id(tmp_path: Path) -> None:
    """Earlier attempts too, and what is uncertain without one; what made nothing is none."""
    lines = [
        outcome(1, "k1", status=Ending.FAILED, id="task-1"),
        outcome(1, "k1", id="task-2"),
        outcome(2, "k2", status=Ending.UNCERTAIN),
        outcome(3, "k3", status=Ending.REFUSED),
        outcome(4, None, status=Ending.INVALID),
        outcome(5, "k5", status=Ending.UNCERTAIN),
        outcome(5, "k5", id="task-5"),
    ]
    with Results.opened(tmp_path) as results:
        for line in lines:
            results.add(line)
    with Results.opened(tmp_path) as results:
        assert {(task.key, task.id) for task in results.tasks()} == {
            ("k1", "task-1"),
            ("k1", "task-2"),
            ("k2", None),
            ("k5", "task-5"),
        }


def test_two_batches_never_write_one_file(tmp_path: Path) -> None:
    """The second is told so; the first one's end frees the file."""
    with Results.opened(tmp_path), pytest.raises(BlockingIOError, match="another batch"), Results.opened(tmp_path):
        pass
    with Results.opened(tmp_path):
        pass
