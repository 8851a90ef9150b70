"""The notebooks of the examples, each run in a kernel and type-checked: ``nox -s examples``."""

import subprocess
import sys
import textwrap
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from foxvideo.emulator import Emulator

EXAMPLES = Path(__file__).parent
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def read(notebook: Path) -> nbformat.NotebookNode:
    """Return a notebook as it is kept."""
    return nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call,no-any-return]


pytestmark = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)


def test_a_notebook_is_kept_without_what_a_run_left_in_it(notebook: Path) -> None:
    """Else each run would be a change."""
    cells = read(notebook).cells

    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


@pytest.mark.real_clock
async def test_a_notebook_shows_links_and_leaves_a_video(
    notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run twice, it pays once."""
    async with Emulator(seconds=1.0, render=False) as fox:
        monkeypatch.setenv("FOXAPI_API_KEY", fox.api_key)
        monkeypatch.setenv("FOXAPI_BASE_URL", fox.base_url)
        for _ in range(2):
            ran = read(notebook)
            await NotebookClient(
                ran, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
            ).async_execute()

    shown = "".join(str(cell.outputs) for cell in ran.cells if cell.cell_type == "code")
    assert "completed 100" in shown
    assert f"{fox.base_url}/" in shown
    assert [path.stat().st_size > 1000 for path in tmp_path.glob("*.mp4")] == [True]
    assert fox.ledger.charged == 1


def test_the_code_of_a_notebook_has_the_types_that_it_says(notebook: Path, tmp_path: Path) -> None:
    """Its cells are one coroutine to the type checker."""
    cells = read(notebook).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    program = tmp_path / "notebook.py"
    program.write_text(f"async def main() -> None:\n{textwrap.indent(code, '    ')}\n")

    checked = subprocess.run(  # noqa: S603 - our own text
        [sys.executable, "-m", "mypy", "--strict", "--allow-untyped-calls", program],  # those of IPython are untyped
        cwd=tmp_path,  # so that foxvideo is the installed one
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout
