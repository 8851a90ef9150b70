"""Make a video of each row of a CSV: ``python storyboard.py storyboard.csv clips``.

The first line of the CSV names the fields. A row is known by its content, so the same command goes on where the last
one stopped and buys nothing twice; a row that was changed is a new one.
"""

import asyncio
import contextlib
import sys
from pathlib import Path

from foxvideo import Client
from foxvideo.batch import Ending, Manifest, run as run_batch


async def main(manifest: Path, folder: Path) -> int:
    """Make the videos of all rows; return how many rows have none."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = 0
    async with Client(journal=folder / "journal.db") as client:
        async with contextlib.aclosing(run_batch(client, Manifest(manifest), into=folder, max_active=16)) as batch:
            async for outcome in batch:  # in the order in which the rows end
                print(f"row {outcome.row}: {outcome.status}: {outcome.file or outcome.error}")
                missing += outcome.status is not Ending.COMPLETED
        if batch.halted:  # the balance, the API key, the disk: what is left over goes on with the next run
            print(f"stopped early: {batch.halted}")
    return missing


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]))) else 0)
