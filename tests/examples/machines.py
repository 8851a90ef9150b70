"""Two workers and one queue, as it were on two machines; one is killed, and all videos are there all the same.

Run it with ``FOXVIDEO_JOURNAL`` set to an empty PostgreSQL database, and with ``FOXAPI_API_KEY``::

    python machines.py storyboard.csv clips/
"""

import subprocess
import sys
import time
from pathlib import Path


def foxvideo(*words: str) -> None:
    """Run a command, and stop here if it fails."""
    subprocess.run([sys.executable, "-m", "foxvideo", *words], check=True)  # noqa: S603 - our own command


def worker(folder: Path) -> "subprocess.Popen[bytes]":
    """Start a worker; on another machine this is the same command."""
    command = [sys.executable, "-m", "foxvideo", "worker", "--save-to", str(folder)]
    return subprocess.Popen(command)  # noqa: S603 - our own command


def main(manifest: Path, folder: Path) -> int:
    """Make the videos of a manifest, and return how many there are."""
    rows = len(manifest.read_text().splitlines()) - 1
    foxvideo("journal", "init", "--queue")
    foxvideo("enqueue", str(manifest))
    first, second = worker(folder), worker(folder)
    time.sleep(3)  # by now both have submitted what they took
    first.kill()
    foxvideo("workers")
    while len(list(folder.glob("*.mp4"))) < rows:
        time.sleep(1)
    second.terminate()
    second.wait()
    foxvideo("tasks")
    return len(list(folder.glob("*.mp4")))


if __name__ == "__main__":
    print(main(Path(sys.argv[1]), Path(sys.argv[2])), "videos")
