"""What reads replies needs neither the requests nor the catalogue behind them, nor any I/O."""

import ast
from pathlib import Path

import pytest

import foxvideo._wire

HERE = Path(foxvideo._wire.__file__).parent
READING = sorted(path.stem for path in HERE.glob("*.py") if path.stem != "encode")


def imported(path: Path) -> set[str]:
    """Return the modules that a module names in its imports."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return names | {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}


@pytest.mark.parametrize("module", READING)
def test_what_reads_replies_imports_values_and_errors_alone(module: str) -> None:
    """Arrows go down: to the state, to the errors, and to each other."""
    ours = {name for name in imported(HERE / f"{module}.py") if name.startswith("foxvideo")}
    below = {"foxvideo.errors", "foxvideo.state"} | {f"foxvideo._wire.{name}" for name in READING}
    assert ours <= below


@pytest.mark.parametrize("module", [*READING, "encode"])
def test_the_wire_does_no_io_and_has_no_clock(module: str) -> None:
    """Time is passed in."""
    assert imported(HERE / f"{module}.py").isdisjoint({"aiohttp", "asyncio", "socket", "time", "logging"})
