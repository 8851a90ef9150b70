"""Time to import foxvideo against the time to import the four packages it stands on.

Measured: the CPU time (user and system) and the wall time that ``import foxvideo`` takes in a fresh interpreter, the
start of the interpreter left out; the reference imports aiohttp, attrs, cattrs and backoff, which every program that
uses foxvideo pays for anyway. Both sides run in turn, from bytecode that a first run has written into a folder of its
own, as an installed package has it. The ratio is the median of the ratios within the rounds, by CPU, since wall time
also shows what else the machine does.

Also checked, since it is why the ratio is small: the import reads neither sqlite3 nor the catalogue of models.

Not measured: the first import after a boot, when the disk has to be read.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any, Literal, get_args

from benchmarks.table import table

Side = Literal["foxvideo", "its dependencies"]

_IMPORTS: Mapping[Side, str] = {
    "foxvideo": "import foxvideo",
    "its dependencies": "import aiohttp, attrs, cattrs, backoff",
}
_PROGRAM = """
import json, sys, time
sys.path.append(".")
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
wall, cpu = time.perf_counter(), time.process_time()
{imports}
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
read = [name for name in ("sqlite3", "_sqlite3") if name in sys.modules]
read += [path for path in opened if path.endswith("models.json")]
print(json.dumps({{"wall": wall, "cpu": cpu, "read": read}}))
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--pairs", type=int, default=20, help="runs of each side (default: %(default)s)")


def run(options: argparse.Namespace) -> Mapping[str, object]:
    """Import both sides in turn.

    Raises:
        RuntimeError: The import read what it must not.
    """
    runs: dict[Side, list[dict[str, Any]]] = {side: [] for side in get_args(Side)}
    with tempfile.TemporaryDirectory() as bytecode:
        for side in runs:
            _measure(side, bytecode)
        for _ in range(options.pairs):
            for side, done in runs.items():
                done.append(_measure(side, bytecode))
                refuse(done[-1]["read"])
    ratios = [
        ours["cpu"] / theirs["cpu"] for ours, theirs in zip(runs["foxvideo"], runs["its dependencies"], strict=True)
    ]
    return {
        "benchmark": "imports",
        "python": platform.python_version(),
        "pairs": options.pairs,
        "sides": {
            side: {
                "cpu_ms": round(statistics.median(run["cpu"] for run in done) * 1000, 1),
                "wall_ms": round(statistics.median(run["wall"] for run in done) * 1000, 1),
            }
            for side, done in runs.items()
        },
        "foxvideo_ratio": round(statistics.median(ratios), 3),
        "foxvideo_ratios": [round(ratio, 3) for ratio in ratios],
    }


def _measure(side: Side, bytecode: str) -> dict[str, Any]:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = bytecode
    command = [sys.executable, "-P", "-c", _PROGRAM.format(imports=_IMPORTS[side])]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)  # noqa: S603 - our own text
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def refuse(read: list[str]) -> None:
    """Make sure that an import left alone what is read when first needed.

    Raises:
        RuntimeError: It did not.
    """
    if read:
        raise RuntimeError(f"the import read {', '.join(read)}")


def show(figures: Mapping[str, object]) -> str:
    """Return the table."""
    found: Any = figures
    ratios = found["foxvideo_ratios"]
    rows = [
        (
            side,
            f"{row['cpu_ms']:.0f}",
            f"{row['wall_ms']:.0f}",
            "" if side == "foxvideo" else f"{found['foxvideo_ratio']:.2f}x",
            "" if side == "foxvideo" else f"{min(ratios):.2f}-{max(ratios):.2f}",
        )
        for side, row in found["sides"].items()
    ]
    head = ("import", "CPU ms", "wall ms", "foxvideo vs.", "range")
    return f"medians of {found['pairs']}; Python {found['python']}\n\n{table(head, rows)}"
