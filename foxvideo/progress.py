"""A line that shows how far tasks are, in place: on a terminal and in a notebook.

```python
from foxvideo.progress import ProgressLine

video = await client.generate(shots[0], watch=ProgressLine())

line = ProgressLine()  # one for many
videos = await asyncio.gather(*(client.generate(shot, watch=line) for shot in shots))
```

With ``rich`` installed it has a bar. Where stderr is no terminal, each change of a status is a line of its own.
"""

import contextlib
import sys
import time
from typing import Any, Protocol

from foxvideo.state import Status, TaskState

__all__ = ["ProgressLine"]

_WIDTH = 40  # characters of the bar


class _Screen(Protocol):
    """Where the line is shown."""

    def show(self, text: str, percent: float, *, news: bool, last: bool) -> None:
        """Show a text in place of the one before.

        Args:
            text: The text.
            percent: How far all are.
            news: Whether a status has changed.
            last: Whether all have ended.
        """


class ProgressLine:
    """Shows the states that it is called with: ``client.generate(shot, watch=ProgressLine())``.

    One line may be given to as many calls as you like, and then shows all of them together.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._states: dict[str, TaskState] = {}
        self._screen: _Screen | None = None

    def __call__(self, state: TaskState) -> None:
        """Show a new state of a task."""
        before = self._states.get(state.id)
        self._states[state.id] = state
        if self._screen is None:
            self._screen = _screen()
        states = list(self._states.values())
        last = all(each.status.terminal for each in states)
        news = before is None or before.status is not state.status
        self._screen.show(self.text(time.monotonic() - self._began), _percent(states), news=news, last=last)

    def text(self, seconds: float) -> str:
        """Return what the line says after so many seconds."""
        states = list(self._states.values())
        ended = sum(each.status.terminal for each in states)
        failed = sum(each.status in {Status.FAILED, Status.CANCELLED} for each in states)
        if len(states) == 1:
            what = states[0].status_text
        else:
            what = f"{ended} of {len(states)} done{f', {failed} failed' if failed else ''}"
        minutes, rest = divmod(int(seconds), 60)
        return f"{_printable(what)}  {_percent(states):.0f} %  {minutes}:{rest:02}"


def _percent(states: list[TaskState]) -> float:
    """Return how far all are together; what has ended is done."""
    done = (100.0 if state.status.terminal else state.progress or 0.0 for state in states)
    return sum(done) / max(len(states), 1)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


class _Plain:
    """A terminal, or a file that gets a line for each change."""

    def show(self, text: str, percent: float, *, news: bool, last: bool) -> None:  # noqa: ARG002 - as others have it
        """Write it over the one before."""
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[2K{text}" + ("\n" if last else ""))
        elif news:
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


class _Rich:
    """A terminal, with rich."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - may not be there
        from rich.live import Live  # noqa: PLC0415

        self._live = Live(console=Console(stderr=True), auto_refresh=False)

    def show(self, text: str, percent: float, *, news: bool, last: bool) -> None:  # noqa: ARG002 - as above
        """Draw it anew."""
        self._live.start()  # again, where more came after all had ended
        self._live.update(_bar(text, percent), refresh=True)
        if last:
            self._live.stop()


class _Notebook:
    """The output of a cell; with rich if it is there."""

    def __init__(self) -> None:
        self._shown: Any = None

    def show(self, text: str, percent: float, *, news: bool, last: bool) -> None:  # noqa: ARG002 - as above
        """Put it in place of the one before."""
        from IPython.display import display  # noqa: PLC0415 - a notebook has it

        bundle: Any = {"text/plain": text}
        with contextlib.suppress(ImportError):
            bundle |= _bar(text, percent)._repr_mimebundle_([], [])
            bundle["text/plain"] = text
        if self._shown is None:
            self._shown = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._shown.update(bundle, raw=True)


def _bar(text: str, percent: float) -> Any:  # noqa: ANN401 - of rich, which may not be there
    from rich.progress_bar import ProgressBar  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    grid = Table.grid(padding=(0, 1))
    grid.add_row(ProgressBar(total=100.0, completed=percent, width=_WIDTH), Text(text))
    return grid


def _screen() -> _Screen:
    if "ipykernel" in sys.modules:
        return _Notebook()
    if sys.stderr.isatty():
        with contextlib.suppress(ImportError):
            return _Rich()
    return _Plain()
