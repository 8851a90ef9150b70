"""The line that shows how far tasks are: what it says, and where it is drawn."""

import io
import sys

import pytest

from foxvideo import Status, TaskState, progress
from foxvideo.progress import ProgressLine


def state(status: Status, percent: float | None = None, task_id: str = "task-1") -> TaskState:
    """Return a state."""
    return TaskState(id=task_id, status=status, status_text=status.value, progress=percent)


class Terminal(io.StringIO):
    """A text file that says that it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_one_task_is_told_by_its_status_and_many_by_how_many_are_done() -> None:
    """With how far all are together; what failed is named."""
    line = ProgressLine()
    line(state(Status.PROCESSING, 45))
    assert line.text(72.4) == "processing  45 %  1:12"
    line(state(Status.FAILED, task_id="task-2"))
    line(state(Status.COMPLETED, 100, "task-3"))
    line(state(Status.PENDING, None, "task-4"))
    assert line.text(3.0) == "2 of 4 done, 1 failed  61 %  0:03"


def test_a_word_of_the_service_cannot_move_the_cursor() -> None:
    """It is shown without what a terminal obeys."""
    line = ProgressLine()
    line(TaskState(id="task-1", status=Status.UNKNOWN, status_text="\x1b[2Jgone\n", progress=None))
    assert line.text(0.0) == " [2Jgone   0 %  0:00"


def test_a_file_gets_a_line_for_each_new_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for each per cent."""
    monkeypatch.setattr(sys, "stderr", file := io.StringIO())
    line = ProgressLine()
    for percent in range(0, 100, 10):
        line(state(Status.PROCESSING, percent))
    line(state(Status.COMPLETED, 100))
    assert [text.partition("  ")[0] for text in file.getvalue().splitlines()] == ["processing", "completed"]


def test_a_terminal_without_rich_is_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the last one stays."""
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    line = ProgressLine()
    for percent in (10, 50):
        line(state(Status.PROCESSING, percent))
    line(state(Status.COMPLETED, 100))
    assert terminal.getvalue().count("\r\x1b[2K") == 3
    assert terminal.getvalue().endswith("completed  100 %  0:00\n")
    assert terminal.getvalue().count("\n") == 1


def test_a_terminal_with_rich_has_a_bar_and_may_go_on_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """When one more task comes after all had ended."""
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    line = ProgressLine()
    line(state(Status.PROCESSING, 50))
    line(state(Status.COMPLETED, 100))
    line(state(Status.COMPLETED, 100, "task-2"))
    drawn = terminal.getvalue()
    assert "\u2501" in drawn
    assert "processing  50 %" in drawn
    assert "2 of 2 done  100 %" in drawn


def test_a_notebook_shows_one_output_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """In HTML where rich is there, and as text in any case."""
    shown: list[dict[str, str]] = []

    class Handle:
        def update(self, bundle: dict[str, str], *, raw: bool) -> None:
            assert raw
            shown.append(bundle)

    def display(bundle: dict[str, str], *, raw: bool, display_id: bool) -> Handle:
        assert (raw, display_id) == (True, True)
        shown.append(bundle)
        return Handle()

    python = type(sys)("IPython.display")
    python.__dict__["display"] = display
    monkeypatch.setitem(sys.modules, "IPython", type(sys)("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", python)
    monkeypatch.setattr(progress, "_screen", progress._Notebook)
    line = ProgressLine()
    line(state(Status.PROCESSING, 50))
    monkeypatch.setitem(sys.modules, "rich.table", None)
    line(state(Status.COMPLETED, 100))
    assert [bundle["text/plain"].partition("  ")[0] for bundle in shown] == ["processing", "completed"]
    assert ["text/html" in bundle for bundle in shown] == [True, False]
