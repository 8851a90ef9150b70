"""Progress on stderr: live bars on a terminal, a line for each change elsewhere.

What belongs here: rich. What must not: what is followed (``errand.py``).
"""

from types import TracebackType
from typing import Self

import attrs
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from foxvideo._engine.silence import LONG

_STYLES = {"done": "green", "failed": "red", "cancelled": "red", "saving": "cyan"}
SILENT = f"no answer for {LONG:.0f} s, still trying"
_UNSAVED = 99.0  # a bar is full when the video is on the disk


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TextColumn("[{task.fields[style]}]{task.fields[stage]:<10}"),
        TimeElapsedColumn(),
        console=console,
        expand=True,
    )


@attrs.define(eq=False)
class Display:
    """What a command shows while it works: ``with Display() as display``."""

    console: Console = attrs.field(factory=lambda: Console(stderr=True))
    progress: Progress = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        if self.console.is_interactive:
            self.console.width -= len("^C") + 1  # which a terminal echoes, and which would break a full line
        self.progress = _bars(self.console)

    def bar(self, name: str) -> "Bar":
        """Return a new bar."""
        return Bar(self, name, self.progress.add_task(name, total=None, stage="", style="none"))

    def say(self, text: str) -> None:
        """Print a line above the bars, whole however narrow the terminal is."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        if self.console.is_interactive:
            self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_interactive:
            self.progress.stop()


@attrs.define(eq=False)
class Bar:
    """The progress of one task."""

    _display: Display
    _name: str
    _id: TaskID
    _stage: str = ""

    def show(self, stage: str, progress: float | None = None) -> None:
        """Show where the task stands.

        Args:
            stage: A word; ``done`` fills the bar.
            progress: Per cent; None leaves the bar as it is.
        """
        display = self._display
        if stage != self._stage and not display.console.is_interactive:
            display.say(f"{self._name}: {stage}")
        self._stage = stage
        percent = 100.0 if stage == "done" else progress and min(progress, _UNSAVED)
        display.progress.update(
            self._id,
            stage=stage,
            style=_STYLES.get(stage, "none"),
            total=100.0 if percent else None,
            completed=percent or None,
        )
