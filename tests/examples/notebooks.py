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
async def test_a_notebook_plays_its_video_and_shows_progress_in_place(
    notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run twice, it pays once for each video."""
    async with Emulator(seconds=1.0, render=False) as fox:
        monkeypatch.setenv("FOXAPI_API_KEY", fox.api_key)
        monkeypatch.setenv("FOXAPI_BASE_URL", fox.base_url)
        for _ in range(2):
            ran = await run(read(notebook), tmp_path)

    first, second = (outputs(cell) for cell in ran.cells if "ProgressLine()" in cell.source)
    assert [kind for kind, _ in first] == ["display_data", "execute_result"]
    assert "completed  100 %" in first[0][1]["text/plain"]
    assert '<video src="fox.mp4" controls' in first[1][1]["text/html"]
    assert len(first[1][1]["text/plain"]) < 200
    assert "3 of 3 done  100 %" in second[0][1]["text/plain"]
    assert f"{fox.base_url}/" in str([outputs(cell) for cell in ran.cells])
    assert [path.stat().st_size > 1000 for path in tmp_path.glob("*.mp4")] == [True]
    assert fox.ledger.charged == 4


async def run(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """Run all cells of a notebook in a kernel of its own."""
    resources = {"metadata": {"path": str(folder)}}
    return await NotebookClient(notebook, kernel_name="python3", resources=resources).async_execute()


def outputs(cell: nbformat.NotebookNode) -> list[tuple[str, dict[str, str]]]:
    """Return what a cell shows: of which kind, and in which forms."""
    return [(output.output_type, output.get("data", output)) for output in cell.get("outputs", [])]


@pytest.mark.real_clock
async def test_a_client_that_a_cell_leaves_open_is_one_sentence(
    notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As soon as nobody holds it any more."""
    written = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
    cells = [
        "from foxvideo import Client, grok\nclient = Client()\nawait client.balance()",
        "import gc\nclient = None\n_ = gc.collect()",
    ]
    written.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]  # type: ignore[no-untyped-call]
    async with Emulator(seconds=1.0, render=False) as fox:
        monkeypatch.setenv("FOXAPI_API_KEY", fox.api_key)
        monkeypatch.setenv("FOXAPI_BASE_URL", fox.base_url)
        ran = await run(written, tmp_path)

    assert notebook.exists()
    told = "".join(output.get("text", "") for output in ran.cells[1].outputs)
    assert told.startswith(f"unclosed <Client {fox.base_url} 0 unfinished>: write 'async with Client() as client'")
    assert told.count("\n") == 1


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
