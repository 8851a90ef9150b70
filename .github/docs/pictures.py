"""Draw the pictures of the README: the board of a batch while it runs, and the contact sheet of what it made.

The batch is real, against the emulator, with PyAV to draw its videos. The sheet is photographed in headless Chromium.
"""

import asyncio
import io
import re
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path

from rich.console import Console

from foxvideo import Client, Every, batch
from foxvideo.batch import Manifest, Outcome
from foxvideo.cli.board import Board
from foxvideo.emulator import Emulator
from foxvideo.sheet import write_sheet

MANIFEST = """\
prompt,image_url,duration,resolution,aspect_ratio
The camera slowly moves over the fox,fox.jpg,4,480p,
Hills in the first light,,3,480p,16:9
A desert valley at sunset,,2,480p,16:9
Moonrise over the hills,,2,480p,16:9
The fox looks up at the sun,fox.jpg,2,480p,
Fog in a mountain valley,,3,480p,16:9
A quiet sea before the storm,,2,480p,16:9
Dunes under a clear night sky,,2,480p,16:9
Northern lights over the ice,,2,480p,16:9
The fox walks out of the picture,fox.jpg,3,480p,
"""
COMMAND = "foxvideo batch shots.csv --out clips/ --max-credits 500"
SHOWN = 3  # ended rows when the board is drawn
SIZE = "1180,744"  # two rows of pictures


async def make(folder: Path, console: Console) -> None:
    """Run the batch, and draw its board on the console once some of it has ended."""
    manifest = Manifest(folder / "shots.csv")
    async with (
        Emulator(seconds=(4.0, 16.0), seed=7) as emulator,
        Client(emulator.api_key, emulator.base_url, schedule=Every(0.5), journal=folder / "journal.db") as client,
    ):
        board = Board(rows=MANIFEST.count("\n") - 1, lanes=8, console=console)
        outcomes: list[Outcome] = []
        async for outcome in batch.run(client, manifest, into=folder / "clips", max_active=8, watch=board.watch):
            board.end(outcome)
            outcomes.append(outcome)
            if len(outcomes) == SHOWN:
                await asyncio.sleep(1.5)
                console.print(f"[bold]$[/] {COMMAND}\n")
                console.print(board.render())


def photograph(page: Path, picture: Path) -> None:
    """Have Chromium draw a page; the suffix says in which format."""
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking")
    command = ("chromium", *options, f"--window-size={SIZE}", "--virtual-time-budget=8000", f"--screenshot={picture}")
    subprocess.run([*command, page.as_uri()], check=True, timeout=60, capture_output=True)  # noqa: S603 - our own words


def main(where: Path) -> None:
    """Write both pictures into a folder."""
    console = Console(record=True, force_terminal=True, width=96, height=16, highlight=False, file=io.StringIO())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "fox.jpg").write_bytes(resources.files("foxvideo.cli").joinpath("demo.jpg").read_bytes())
        (folder / "shots.csv").write_text(MANIFEST)
        asyncio.run(make(folder, console))
        page = write_sheet(folder / "clips")
        photograph(page, where / "sheet.webp")
    svg = console.export_svg(title="foxvideo", unique_id="board")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # fonts of another host
    (where / "board.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
