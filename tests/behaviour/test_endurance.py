"""Large files over a bad line, in processes that are killed: whole in the end, and in constant memory.

The marker ``slow`` is for the sizes that count; the others show on every run that these tests work.
"""

import hashlib
import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from benchmarks import files

ROOT = Path(__file__).parents[2]
# As ``python -m benchmarks.fox_download``, except that the package which is installed comes before the one here.
PROGRAM = "import sys; sys.path.append('.'); from benchmarks.fox_download import main; main(*sys.argv[1:])"
MB = 1 << 20
LITTLE = 30_000_000  # bytes by which the memory may grow


def _start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-P", "-c", PROGRAM, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours


def _told(process: subprocess.Popen[str]) -> dict[str, object]:
    told, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    figures = json.loads(told)
    assert isinstance(figures, dict)
    return figures


def _kill_at(process: subprocess.Popen[str], part: Path, size: int) -> None:
    """Kill a process, in the way that it cannot notice, when a part has grown to that size."""
    while not (part.exists() and part.stat().st_size >= size):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.002)
    process.kill()
    process.communicate()


@pytest.mark.real_clock
@pytest.mark.parametrize(
    ("size", "cuts", "kills", "again"),
    [
        (64 * MB, 4, 2, 16 * MB),
        pytest.param(1024 * MB, 20, 2, 1024 * MB // 100, marks=pytest.mark.slow),
    ],
    ids=["quick", "1 GB"],
)
def test_a_large_video_survives_cuts_and_kills(size: int, cuts: int, kills: int, again: int, tmp_path: Path) -> None:
    """Right to the byte, in constant memory, and hardly any byte comes twice."""
    path = tmp_path / "video.mp4"
    with files.running(size) as host:
        piece = size // (cuts + 1) + 1
        url = f"{host}/video.mp4?cut={piece}"
        for number in range(1, kills + 1):
            within = number * size // (kills + 1) // piece * piece + piece // 2  # not while it waits after a cut
            _kill_at(_start("save", url, str(path)), tmp_path / ".video.mp4.part", within)
            assert not path.exists()
        figures = _told(_start("save", url, str(path)))
        with urllib.request.urlopen(f"{host}/sent") as reply:  # noqa: S310 - our own host
            sent = int(reply.read())

    wanted, found = hashlib.sha256(), hashlib.sha256()
    for block in files.pieces(0, size):
        wanted.update(block)
    with path.open("rb") as file:
        while block := file.read(MB):
            found.update(block)
    print(f"sent twice: {sent - size} bytes of {size}; memory grew by {figures['grown']} bytes")  # noqa: T201
    assert figures["sha256"] == wanted.hexdigest() == found.hexdigest()
    assert sent - size <= again
    assert int(str(figures["grown"])) < LITTLE
    assert [left.name for left in tmp_path.iterdir()] == ["video.mp4"]


@pytest.mark.real_clock
@pytest.mark.parametrize("size", [64 * MB, pytest.param(200 * MB, marks=pytest.mark.slow)], ids=["quick", "200 MB"])
def test_a_large_file_goes_up_in_constant_memory(size: int, tmp_path: Path) -> None:
    """However large it is."""
    path = tmp_path / "video.mp4"
    with path.open("wb") as file:
        file.writelines(files.pieces(0, size))

    with files.running(0) as host:
        figures = _told(_start("upload", host, str(path)))

    print(f"memory grew by {figures['grown']} bytes")  # noqa: T201
    assert int(str(figures["grown"])) < LITTLE
