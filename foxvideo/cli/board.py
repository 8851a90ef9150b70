"""What ``foxvideo batch`` shows while it works: a board on a terminal, a line for each end elsewhere.

Out of scope: counting (``tally.py``), and what is run.
"""

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

import attrs
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from foxvideo._engine.silence import LONG
from foxvideo.batch.results import Ending, Outcome
from foxvideo.batch.row import WITHDRAWN
from foxvideo.batch.rows import Row
from foxvideo.cli.tally import Tally, clock
from foxvideo.requests.generic import fields_of

_PER_SECOND = 4  # how often the board is drawn
_STYLES = {Ending.COMPLETED: "green", Ending.UNSAVED: "yellow", Ending.UNFINISHED: "yellow", Ending.UNCERTAIN: "yellow"}
_WIDEST = 120  # characters; the eye loses the row beyond
_BAR = (10, 24)  # narrowest and widest, in characters
_FRAME_LINES = 3  # beside those of rows, one of which stays free
_UNSAVED = 99.0  # a bar is full when the video is on the disk


@attrs.define
class _Active:
    """A row that is under way."""

    row: Row
    stage: str
    since: float
    progress: float | None = None


@attrs.define(eq=False)
class Board:
    """What is known of a run, and how it looks: ``with board:`` shows it.

    Attributes:
        rows: Of the manifest.
        lanes: How many are under way at once at most.
        paid: The keys of rows that may be paid for and have not been told yet: their tasks are of an earlier run.
        silent_for: Returns for how many seconds the service has not answered; None while it does.
    """

    rows: int
    lanes: int
    paid: set[str] = attrs.field(factory=set)
    silent_for: Callable[[], float | None] = attrs.field(default=lambda: None)
    tally: Tally = attrs.field(factory=Tally, init=False)
    _console: Console = attrs.field(factory=lambda: Console(stderr=True), kw_only=True)
    _now: Callable[[], float] = attrs.field(default=time.monotonic, kw_only=True)
    _active: dict[str, _Active] = attrs.field(factory=dict, init=False)
    _began: float = attrs.field(init=False)
    _live: Live | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._began = self._now()
        if self._console.is_interactive:
            self._console.width -= len("^C") + 1  # which a terminal echoes, and which would break a full line

    # --- What happens ---

    def watch(self, row: Row, stage: str, progress: float | None) -> None:
        """Show where a row stands."""
        if stage == WITHDRAWN:
            self._active.pop(row.key, None)
            return
        active = self._active.setdefault(row.key, _Active(row, stage, self._now()))
        active.stage, active.progress = stage, progress

    def end(self, outcome: Outcome) -> None:
        """Show how a row ended."""
        ours = self._active.pop(outcome.key or "", None)
        self.paid.discard(outcome.key or "")
        self.tally.add(outcome)
        if ours is None:
            return  # a former run told it, or it was named as bad before anything began
        if not self._console.is_interactive:
            self.say(f"{self.tally.rows}/{self.rows} row {outcome.row} {_told(outcome)}")
        elif outcome.status is not Ending.COMPLETED:
            self.say(f"row {outcome.row} {_told(outcome)}", style=_style(outcome.status))

    def say(self, text: str, *, style: str = "") -> None:
        """Print a line above the board, whole however narrow the terminal is."""
        self._console.print(Text(printable(text), style=style), soft_wrap=True)

    def __enter__(self) -> Self:
        if self._console.is_interactive:
            self._live = Live(
                console=self._console, get_renderable=self.render, refresh_per_second=_PER_SECOND, transient=True
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    # --- How it looks ---

    def render(self) -> RenderableType:
        """Return the board as it is now."""
        silent = self.silent_for() or 0.0
        most = max(1, self._console.height - _FRAME_LINES - (silent >= LONG))
        shown = sorted(self._active.values(), key=lambda active: active.since)
        if hidden := max(0, len(shown) - most):
            shown = shown[: most - 1]
            hidden = len(self._active) - len(shown)
        lines: list[RenderableType] = [self._overall(), self._counts(), self._rows(shown)]
        if silent >= LONG:
            lines.insert(2, Text(f"no answer for {silent:.0f} s, still trying", style="yellow"))
        if hidden:
            lines.append(Text(f"and {hidden} more", style="dim"))
        return Group(*lines)

    @property
    def _width(self) -> int:
        return min(self._console.width, _WIDEST)

    def _overall(self) -> Table:
        now = self._now()
        left = self.tally.seconds_left(self.rows, self.lanes, [now - active.since for active in self._active.values()])
        line = Table.grid(expand=True, padding=(0, 1))
        line.width = self._width
        line.add_column(ratio=1)
        for _ in range(2):
            line.add_column(no_wrap=True, justify="right")
        share = self.tally.rows / self.rows if self.rows else 1.0
        line.add_row(
            ProgressBar(total=max(1, self.rows), completed=self.tally.rows),
            Text(f"{self.tally.rows}/{self.rows}  {100 * share:3.0f} %", style="bold"),
            Text(f"{clock(now - self._began)}{'' if left is None else f', about {clock(left)} left'}"),
        )
        return line

    def _counts(self) -> Text:
        parts = [(f"{count} {ending}", _style(ending)) for ending, count in self.tally.endings()]
        waiting = self.rows - self.tally.rows - len(self._active)
        parts += [(f"{len(self._active)} under way", "cyan"), (f"{waiting} waiting", "dim")]
        if self.tally.credits_reserved:
            parts.append((f"{self.tally.credits_reserved:g} credits", ""))
        line = Text("  ").join(Text(text, style=style) for text, style in parts)
        line.no_wrap, line.overflow = True, "ellipsis"
        return line

    def _rows(self, shown: list[_Active]) -> Table:
        low, high = _BAR
        table = Table.grid(expand=True, padding=(0, 1))
        table.width = self._width
        table.add_column(no_wrap=True, justify="right", style="dim")
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column(width=max(low, min(high, self._width // 6)))
        table.add_column(no_wrap=True, justify="right", width=4)
        table.add_column(no_wrap=True, width=10, overflow="ellipsis")
        table.add_column(no_wrap=True, justify="right", min_width=4, style="dim")
        for active in shown:
            table.add_row(*self._row(active))
        return table

    def _row(self, active: _Active) -> Iterator[RenderableType]:
        known = _UNSAVED if active.stage == "saving" and active.progress is None else active.progress
        done = known and min(known, _UNSAVED)
        yield Text(f"{active.row.number}")
        yield Text(_title(active.row))
        yield ProgressBar(total=100, completed=done) if done else ProgressBar(total=100, completed=0)
        yield Text(f"{done:.0f} %" if done else "")
        yield Text(printable(active.stage), style="cyan" if active.stage == "saving" else "")
        yield Text(clock(self._now() - active.since))

    def finish(self, stopped: str = "") -> None:
        """Print how the rows ended, and why; ``stopped`` says why the rest was not begun."""
        table = Table(title=None, header_style="bold", show_edge=False, pad_edge=False)
        table.add_column("rows", justify="right")
        table.add_column("outcome", no_wrap=True)
        table.add_column("reason", overflow="fold")
        for ending, reason, count in self.tally.reasons():
            table.add_row(str(count), Text(ending, style=_style(ending)), Text(printable(reason)))
        if self.paid:
            table.add_row(str(len(self.paid)), "not resumed", Text("of an earlier run; the same command goes on"))
        if left := self.rows - self.tally.rows - len(self.paid):
            table.add_row(str(left), "not begun", Text(printable(stopped)))
        self._console.print(table)


def _told(outcome: Outcome) -> str:
    what = [outcome.status.value, outcome.file or "", outcome.error or "", outcome.id or ""]
    return " ".join(filter(None, what))


def _style(ending: Ending) -> str:
    return _STYLES.get(ending, "red")


def _title(row: Row) -> str:
    prompt = fields_of(row.request).get("prompt")
    return printable(" ".join(str(prompt).split()) if prompt else row.request.model)


def printable(text: str) -> str:
    """Return a text from outside as no terminal takes it for commands."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
