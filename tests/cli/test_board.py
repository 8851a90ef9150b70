"""The live display of a batch, drawn at a time of one's own."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from foxvideo import GrokTextToVideo
from foxvideo.batch import Ending, Outcome, Row
from foxvideo.cli.board import Board
from foxvideo.cli.tally import Tally, clock


class Screen:
    """A terminal of some size, and a clock."""

    def __init__(self, width: int, height: int, *, rows: int = 300, lanes: int = 64, terminal: bool = True) -> None:
        self.file, self.now = io.StringIO(), 0.0
        self.console = Console(width=width, height=height, force_terminal=terminal, file=self.file, color_system=None)
        self.board = Board(rows, lanes, console=self.console, now=lambda: self.now)

    def shown(self) -> list[str]:
        """Return the lines of the board as it is now."""
        with self.console.capture() as capture:
            self.console.print(self.board.render())
        return capture.get().splitlines()

    def printed(self) -> str:
        """Return what was printed beside it."""
        return self.file.getvalue()


def row(number: int, prompt: str = "A fox") -> Row:
    """Return a row."""
    return Row(number, number + 1, f"k{number}", GrokTextToVideo(prompt=prompt))


def ended(number: int, status: Ending = Ending.COMPLETED, **values: object) -> Outcome:
    """Return the outcome of a row."""
    return Outcome(row=number, key=f"k{number}", status=status, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Whatever a prompt holds, it takes one line; markup in it stays text."""
    screen = Screen(width, 24)
    for number in range(1, 41):
        screen.board.watch(row(number, "[bold]Snow[/bold]\nfalls 雪が静かに降る " * 9), "processing", 40.0)
    for number in range(1, 11):
        screen.board.end(ended(number, Ending.FAILED, credits_reserved=1000.0, seconds=30.0))

    lines = screen.shown()

    assert max(map(cell_len, lines)) <= width
    assert len(lines) <= 23
    assert lines[-1].strip() == "and 10 more"
    assert lines[2].startswith("11 ")


def test_the_board_counts_by_state() -> None:
    """Overall first, then what is under way, the oldest first."""
    screen = Screen(80, 24, rows=4)
    for number, stage, progress in ((2, "processing", 40.0), (1, "saving", None), (3, "pending", None)):
        screen.now += 10
        screen.board.watch(row(number), stage, progress)
    assert screen.shown()[0].endswith("0/4    0 % 0:30")
    screen.board.end(ended(3, seconds=30.0, credits_reserved=12.5))

    overall, counts, *rows = screen.shown()

    assert overall.endswith("1/4   25 % 0:30, about 0:20 left")
    assert "1 completed  2 under way  1 waiting  12.5 credits" in counts
    assert [line.split()[0] for line in rows] == ["2", "1"]
    assert "40 %" in rows[0]
    assert "99 %" in rows[1]


def test_a_row_that_was_withdrawn_is_shown_no_more() -> None:
    """It waits again."""
    screen = Screen(80, 24, rows=2)
    screen.board.watch(row(1), "submitting", None)
    screen.board.watch(row(1), "withdrawn", None)

    assert "0 under way  2 waiting" in screen.shown()[1]


def test_failures_are_printed_as_they_come_and_successes_are_not() -> None:
    """On a terminal the board shows those."""
    screen = Screen(80, 24)
    for number in (1, 2):
        screen.board.watch(row(number), "processing", None)
    with screen.board:
        screen.board.end(ended(1))
        screen.board.end(ended(2, Ending.FAILED, error="refused", id="task-2"))

    assert "row 2 failed refused task-2" in screen.printed()
    assert "row 1" not in screen.printed()


def test_without_a_terminal_every_end_is_a_line() -> None:
    """Nothing is drawn; what a former run told is not told again."""
    screen = Screen(80, 24, rows=3, terminal=False)
    with screen.board:
        screen.board.watch(row(1), "processing", None)
        screen.board.end(ended(1, file="a.mp4"))
        screen.board.end(ended(2, file="b.mp4"))

    assert screen.printed() == "1/3 row 1 completed a.mp4\n"


def test_the_end_is_a_table_of_outcomes_and_reasons() -> None:
    """Equal ones are counted; what was not begun says why."""
    screen = Screen(80, 24, rows=6)
    for number in (1, 2):
        screen.board.end(ended(number, Ending.FAILED, error="refused"))
    screen.board.end(ended(3))
    screen.board.finish("the budget")

    words = [line.replace("│", " ").split() for line in screen.printed().splitlines()]
    assert ["1", "completed"] in words
    assert ["2", "failed", "refused"] in words
    assert ["3", "not", "begun", "the", "budget"] in words


def test_rows_that_are_paid_for_are_never_called_not_begun() -> None:
    """Those of an earlier run that this one did not come to stand apart."""
    screen = Screen(80, 24, rows=6)
    screen.board.paid |= {"k1", "k2", "k3"}
    screen.board.end(ended(1))
    screen.board.end(ended(5, Ending.UNFINISHED, error="left"))
    screen.board.finish("stopped")

    words = [line.replace("│", " ").split() for line in screen.printed().splitlines()]
    assert ["1", "unfinished", "left"] in words
    assert ["2", "not", "resumed", "of", "an", "earlier", "run;", "the", "same", "command", "goes", "on"] in words
    assert ["2", "not", "begun", "stopped"] in words
    told = screen.board.tally.as_json(6, len(screen.board.paid), "stopped")
    assert (told["not_resumed"], told["not_begun"], told["unfinished"]) == (2, 2, 1)


@pytest.mark.parametrize("interactive", [True, False])
def test_no_text_from_outside_commands_the_terminal(interactive: bool) -> None:
    """A prompt, a status, an error and a reason are shown as what they are."""
    wild = "a \x1b]0;title\x07 and \x1b[35m and \x9b35m"
    screen = Screen(400, 24, rows=3, terminal=interactive)
    screen.board.watch(row(1, wild), wild, None)
    shown = "".join(screen.shown())
    screen.board.watch(row(2, wild), wild, None)
    screen.board.end(ended(2, Ending.FAILED, error=wild))
    screen.board.finish(wild)

    assert not {"\x1b", "\x07", "\x9b"} & set(shown + screen.printed())
    assert "\\x1b]0;title" in shown
    assert screen.printed().count("\\x1b]0;title") == 3


# --- Numbers -----------------------------------------------------------------------------------------------------


def test_the_time_left_is_learned_from_what_has_ended() -> None:
    """The rest at an even rate, and at least what the last one takes."""
    tally = Tally()
    tally.add(ended(1, seconds=30.0))

    assert tally.seconds_left(5, 4, [0.0, 10.0, 20.0, 30.0]) == pytest.approx(30.0)
    assert tally.seconds_left(2, 4, [10.0]) == pytest.approx(20.0)
    assert tally.seconds_left(2, 4, [99.0]) == 0.0
    tally.add(ended(2, seconds=30.0))
    assert tally.seconds_left(10, 4, [0.0, 10.0, 20.0, 30.0]) == pytest.approx((60 + 4 * 30) / 4)


@pytest.mark.parametrize(("rows", "needed"), [(0, 1), (1, 1), (5, 1), (6, 2), (20, 4), (25, 5), (26, 5), (10_000, 5)])
def test_no_time_is_told_before_enough_has_ended(rows: int, needed: int) -> None:
    """The first to end are the quickest, so a time that is learned from them would only grow."""
    tally = Tally()
    for number in range(needed):
        assert tally.seconds_left(rows, 4, [0.0]) is None
        tally.add(ended(number, seconds=30.0))
    assert tally.seconds_left(rows, 4, [0.0]) is not None


def test_reasons_without_end_take_no_memory_without_end() -> None:
    """A service may put an id into each."""
    tally = Tally()
    for number in range(1000):
        tally.add(ended(number, Ending.FAILED, error=f"task {number} failed"))

    found = list(tally.reasons())
    assert len(found) == 51
    assert found[0] == (Ending.FAILED, "other reasons", 950)


def test_a_clock_counts_whole_seconds_up() -> None:
    """What is not over yet is not over."""
    assert [clock(seconds) for seconds in (0, 0.2, 59.2, 3900)] == ["0:00", "0:01", "1:00", "1:05:00"]
