"""Everything in one page: the table of each benchmark, and four plots.

The plots: CPU and memory of a job by how many there are at once, foxvideo beside a bare loop; how many polls buy how
little lateness, by simulation, for the learned schedule, fixed intervals and the optimum that sees no progress; what a
submission and a poll cost, each by itself, beside a bare loop and whichever of the other clients are installed; and how
late ends are seen over a cold start of 1,000 tasks.

Each benchmark runs as it does by itself, with its default options; ``--quick`` makes each as small as can be, to see
that all of them run. What cannot run here, for want of a server or of other clients, is named with the reason. The page
asks no other host for anything. Needs matplotlib and Jinja2. Not measured: anything that the others do not measure.
"""

import argparse
import functools
import importlib
import importlib.util
import os
import platform
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs

from benchmarks import fanout, optimum, overhead, peers, plots, schedule, server
from benchmarks.durations import DURATIONS, Shape
from benchmarks.plan import Plan
from benchmarks.process import fresh
from foxvideo.schedule.adaptive import Learned
from foxvideo.schedule.base import Every, Schedule

# What makes each small: the words of its command line.
QUICK: Mapping[str, Sequence[str]] = {
    "connections": ("--count", "200", "--pairs", "1"),
    "fanout": ("--jobs", "20", "--few", "5", "--many", "30", "--scale", "0.005", "--rounds", "1"),
    "farm": (),
    "imports": ("--pairs", "3"),
    "journal": ("--jobs", "20", "--pairs", "1"),
    "overhead": ("--jobs", "20", "--polls", "2", "--interval", "0.05", "--pairs", "1"),
    "peers": ("--jobs", "20", "--rounds", "1", "--seconds", "2", "--interval", "0.5"),
    "pending": ("--sizes", "200", "--seconds", "0.3"),
    "profile": ("--jobs", "30", "--pairs", "1"),
    "schedule": ("--runs", "1"),
    "transfer": ("--megabytes", "4", "--pairs", "1"),
}
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>What foxvideo costs</title>
<meta name="viewport" content="width=device-width">
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
pre { font-size: 12px; line-height: 1.4; overflow-x: auto; background: #f6f6f4; padding: .8rem; }
svg { max-width: 100%; height: auto; } figure { margin: 1.5rem 0; } .left { color: #666; }
</style>
<h1>What foxvideo costs</h1>
<p>{{ machine }}. The same at home: <code>python -m benchmarks report</code>.</p>
{% for plot in plots %}<figure>{{ plot.svg | safe }}<figcaption>{{ plot.says }}</figcaption></figure>
{% endfor %}{% for table in tables %}<h2>{{ table.name }}</h2>
<p>{{ table.about }}</p>
{% if table.left_out %}<p class="left">Not measured here: {{ table.left_out }}</p>
{% else %}<pre>{{ table.figures }}</pre>
{% endif %}{% endfor %}</html>
"""


@attrs.frozen
class Plot:
    """One picture.

    Attributes:
        name: Of its file.
        says: What it shows.
        svg: It.
    """

    name: str
    says: str
    svg: str


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--out", type=Path, default=Path("report.html"), help="the page (default: %(default)s)")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="for each plot as a file of its own, too")
    parser.add_argument("--tables", nargs="*", default=list(QUICK), choices=QUICK, metavar="NAME", help="which")
    parser.add_argument("--quick", action="store_true", help="as small as can be")


def run(options: argparse.Namespace) -> Mapping[str, object]:
    """Measure all, and write the page."""
    if importlib.util.find_spec("matplotlib") is None:
        raise RuntimeError("matplotlib draws the plots: pip install --group report")
    import jinja2  # noqa: PLC0415 - only the report needs it

    drawn = [
        _growth(quick=options.quick),
        _lateness(quick=options.quick),
        _split(quick=options.quick),
        _cold_start(),
    ]
    tables = [_table(name, QUICK[name] if options.quick else ()) for name in options.tables]
    page = jinja2.Environment(autoescape=True).from_string(_PAGE)
    options.out.write_text(page.render(machine=_machine(), plots=drawn, tables=tables), encoding="utf-8")
    for plot in drawn if options.plots else ():
        (options.plots / f"{plot.name}.svg").write_text(plot.svg, encoding="utf-8")
    missing = {table["name"]: table["left_out"] for table in tables if table["left_out"]}
    return {"benchmark": "report", "page": str(options.out), "plots": [plot.name for plot in drawn], "missing": missing}


def _table(name: str, words: Sequence[str]) -> dict[str, str]:
    benchmark = importlib.import_module(f"benchmarks.{name}")
    parser = argparse.ArgumentParser(exit_on_error=False)
    benchmark.configure(parser)
    told = {"name": name, "about": (benchmark.__doc__ or "").partition("\n")[0], "left_out": "", "figures": ""}
    try:
        return told | {"figures": benchmark.show(benchmark.run(parser.parse_args(words)))}
    except (argparse.ArgumentError, SystemExit):
        return told | {"left_out": f"it needs options: python -m benchmarks {name} --help"}
    except RuntimeError as error:  # it says what it lacks
        return told | {"left_out": str(error)}


def _machine() -> str:
    cores = os.cpu_count()
    packages = f"Python {platform.python_version()}, aiohttp {version('aiohttp')}"
    return f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()} on {cores} cores ({platform.machine()}), {packages}"


# --- The plots -------------------------------------------------------------------------------------------------------


def _growth(*, quick: bool) -> Plot:
    sizes, scale = ((20, 40), 0.005) if quick else ((100, 300, 1000, 3000, 10_000), 1.0)
    cpu: dict[str, list[tuple[float, float]]] = {"foxvideo": [], "bare aiohttp, every 5 s": []}
    memory: dict[str, list[tuple[float, float]]] = {name: [] for name in cpu}
    sides: tuple[tuple[str, fanout.Side], ...] = (("foxvideo", "foxvideo"), ("bare aiohttp, every 5 s", "bare"))
    with server.running(lasting=server.Lasting("wide", scale, 0.05)) as port:
        for jobs in sizes:
            for name, side in sides:
                plan = Plan(base_url=f"http://127.0.0.1:{port}", jobs=jobs, interval=5 * scale, max_requests=32)
                found = fresh(fanout.measure, [plan], scale, side, "videos")
                cpu[name].append((jobs, found.cpu_ms))
                memory[name].append((jobs, found.usage.grown / 1e6))
    says = "CPU of a job, and memory of all of them, by how many are begun at once; tasks take some 45 s."
    return Plot("growth", says, plots.growth(cpu, memory))


def _lateness(*, quick: bool) -> Plot:
    tasks, wide = 50 if quick else 600, DURATIONS["wide"]

    def followed(made: Schedule, shape: Shape) -> tuple[float, float]:
        endless = schedule.follow(made, wide, shape, 45.0, seed=1)
        some = [next(endless) for _ in range(tasks)]
        return statistics.fmean(task.late for task in some), statistics.fmean(task.polls for task in some)

    wanted = (0.25, 0.5, 1.0, 2.0, 4.0)
    shapes: tuple[tuple[Shape, str], ...] = (("linear", "linear progress"), ("stuck", "progress stuck at 99"))
    lines = {
        f"foxvideo, {what}": [
            followed(Learned(lateness=late, floor=late / 2, random=random.Random(1)), shape) for late in wanted
        ]
        for shape, what in shapes
    }
    lines["a fixed interval"] = [followed(Every(seconds), "absent") for seconds in (0.5, 1.0, 2.0, 5.0, 10.0)]
    lines["the best that sees no progress"] = [(late, optimum.at(wide, late)[0].polls) for late in wanted]
    dots = {name: followed(made, "absent") for name, made in schedule.FIXED.items() if "(" in name}
    says = f"Polls of a task by how late its end is seen: the mean of {tasks} tasks of some 45 s, one after the other."
    return Plot("lateness", says, plots.lateness(lines, dots))


def _split(*, quick: bool) -> Plot:
    jobs, rounds, every = (20, 1, 0.05) if quick else (500, 3, 0.4)
    costs: dict[str, tuple[float, float]] = {}
    sides: tuple[overhead.Side, ...] = ("foxvideo", "bare", "bare, submits close")
    for side in sides:
        few, many = (functools.partial(_overhead, side, jobs, polls, every) for polls in (2, 12))
        costs[side] = _apart(few, many, 10, rounds)
    if importlib.util.find_spec("xai_sdk") is not None:
        for peer in ("xai-sdk", "openai", "runwayml, aiohttp", "replicate", "fal-client"):
            few, many = (functools.partial(_peer, peer, jobs, polls, every) for polls in (2, 12))
            costs[peer] = _apart(few, many, 10, rounds)
    return Plot("split", "CPU of one submission, and of one poll, each by itself.", plots.split(costs))


def _apart(few: Callable[[], float], many: Callable[[], float], more: int, rounds: int) -> tuple[float, float]:
    """Return what a submission and what a poll costs, from jobs of two polls and of some more."""
    pairs = [(few(), many()) for _ in range(rounds)]
    poll = max(statistics.median((much - little) / more for little, much in pairs), 0.0)
    return max(statistics.median(little for little, _ in pairs) - 2 * poll, 0.0), poll


def _overhead(side: overhead.Side, jobs: int, polls: int, every: float) -> float:
    with server.running(polls) as port:
        plan = Plan(base_url=f"http://127.0.0.1:{port}", jobs=jobs, interval=every, max_requests=32)
        return fresh(overhead.measure, side, plan, port).usage.cpu * 1000 / jobs


def _peer(side: str, jobs: int, polls: int, every: float) -> float:
    from benchmarks import peer_server  # noqa: PLC0415 - what it speaks is installed for the peers alone

    with peer_server.running((polls - 0.5) * every) as ports:
        return fresh(peers.measure, side, ports, every, jobs, 60.0).usage.cpu * 1000 / jobs


def _cold_start() -> Plot:
    wide = DURATIONS["wide"]
    sides: tuple[tuple[str, Schedule, Shape], ...] = (
        ("foxvideo, linear progress", Learned(random=random.Random(1)), "linear"),
        ("foxvideo, no progress", Learned(random=random.Random(1)), "absent"),
        ("every 5 s", Every(5.0), "absent"),
    )
    lines = {}
    for name, made, shape in sides:
        ended = schedule.wave(made, wide, shape, 45.0, seed=1).followed
        late = [task.late for task in ended]
        polls = statistics.fmean(task.polls for task in ended)
        lines[f"{name}: {polls:.1f} polls a task"] = [
            (float(count), statistics.fmean(late[count - 50 : count])) for count in range(50, len(late) + 1, 10)
        ]
    says = "A cold start: 1,000 tasks of some 45 s that begin in one instant, when nothing has been learned."
    return Plot("cold-start", says, plots.cold_start(lines))


def show(figures: Mapping[str, object]) -> str:
    """Return where the page is, and what is not in it."""
    found: Any = figures
    missing = [f"without {name}: {why}" for name, why in found["missing"].items()]
    return "\n".join([f"written: {found['page']}, with {len(found['plots'])} plots", *missing])
