"""The pictures of the report: figures in, SVG out.

What belongs here: axes, lines and words. What must not: measuring.
"""

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Points = Sequence[tuple[float, float]]
_SIZE = (8.0, 4.2)  # inches


def growth(cpu: Mapping[str, Points], memory: Mapping[str, Points]) -> str:
    """Draw what a job costs by how many there are at once."""
    figure, (left, right) = _figure(2)
    for axes, lines, what in ((left, cpu, "CPU of a job, ms"), (right, memory, "memory of all jobs, MB")):
        _lines(axes, lines)
        axes.set(xscale="log", xlabel="jobs at once", ylabel=what, ylim=(0, None))
    return _svg(figure)


def lateness(lines: Mapping[str, Points], dots: Mapping[str, tuple[float, float]]) -> str:
    """Draw how many polls of a task buy how little lateness."""
    figure, (axes,) = _figure(1)
    _lines(axes, lines)
    for name, (late, polls) in dots.items():
        axes.plot([late], [polls], "o", color="0.45", markersize=4)
        axes.annotate(name, (late, polls), xytext=(5, 4), textcoords="offset points", fontsize=8, color="0.35")
    axes.set(xscale="log", yscale="log", xlabel="seconds from the end of a task until it is seen, in the mean")
    axes.set(ylabel="polls of a task")
    return _svg(figure)


def split(costs: Mapping[str, tuple[float, float]]) -> str:
    """Draw what a submission and a poll cost each side, in milliseconds of CPU."""
    figure, (left, right) = _figure(2)
    names = list(costs)[::-1]
    for axes, place, what in ((left, 0, "CPU of a submission, ms"), (right, 1, "CPU of a poll, ms")):
        bars = axes.barh(names, [costs[name][place] for name in names], color="tab:blue")
        axes.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
        axes.set(xlabel=what)
        axes.margins(x=0.15)
    return _svg(figure)


def cold_start(lines: Mapping[str, Points]) -> str:
    """Draw how late the ends of tasks that began at once are seen, one after the other."""
    figure, (axes,) = _figure(1)
    _lines(axes, lines)
    axes.set(xlabel="tasks that have ended", ylabel="seconds late, mean of the last 50", ylim=(0, None))
    return _svg(figure)


def _figure(columns: int) -> tuple[Any, "Sequence[Axes]"]:
    from matplotlib.figure import Figure  # noqa: PLC0415 - only the report needs it

    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = [figure.add_subplot(1, columns, place + 1) for place in range(columns)]
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.grid(visible=True, alpha=0.25)
    return figure, axes


def _lines(axes: "Axes", lines: Mapping[str, Points]) -> None:
    for name, points in lines.items():
        across, up = zip(*sorted(points), strict=True)
        axes.plot(across, up, marker="o" if len(points) < 20 else None, markersize=4, label=name)
    axes.legend(frameon=False, fontsize=8)


def _svg(figure: Any) -> str:  # noqa: ANN401 - of matplotlib
    import matplotlib as mpl  # noqa: PLC0415 - as above

    told = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "foxvideo", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(told, format="svg", metadata={"Date": None, "Creator": None})
    # What describes itself by names of other hosts is left out: a page that holds it asks nobody.
    drawn = re.sub(r"<metadata>.*?</metadata>", "", told.getvalue(), flags=re.DOTALL)
    return drawn[drawn.index("<svg") :]
