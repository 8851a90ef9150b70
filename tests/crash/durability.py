"""What is on the disk when, as the kernel saw it; run by ``nox -s crash``, since it needs strace.

A row that is *sending* must be synced before the first byte of its POST leaves, and an id before anybody is told.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Nursery, begun

CALLS = "pwrite64,write,fdatasync,fsync,sendto,sendmsg"
# One line of strace -f -y: a whole call, one that another thread interrupts in the log, or the rest of such a one.
WHOLE = re.compile(r"(?P<thread>\d+) +(?P<call>\w+)\(\d+<(?P<file>[^>]*)>(?P<rest>.*)$")
RESUMED = re.compile(r"(?P<thread>\d+) +<\.\.\. (?P<call>\w+) resumed>.*\) += (?P<result>-?\d+)")

pytestmark = pytest.mark.real_clock


class Disk:
    """What the log of a client's system calls proves to be on the disk, and what left before it was.

    A write is not there before a sync that began after it has returned. What leaves is judged at its beginning.
    """

    def __init__(self) -> None:
        self._written: list[str] = []
        self._syncing: dict[str, int] = {}
        self._synced = 0
        self.left: list[str] = []
        self.too_early: list[str] = []

    def read(self, log: Path) -> None:
        """Go through a log of strace."""
        for line in log.read_text().splitlines():
            if found := WHOLE.match(line):
                self._begin(**found.groupdict())
                if "<unfinished ...>" not in line:
                    self._end(found["thread"], line.rpartition("= ")[2])
            elif found := RESUMED.match(line):
                self._end(found["thread"], found["result"])

    def _begin(self, *, thread: str, call: str, file: str, rest: str) -> None:
        if file.endswith("-wal"):
            if call.endswith("sync"):
                self._syncing[thread] = len(self._written)
            else:
                self._written.append(rest)
        elif found := re.search(r"POST /v1/videos.*Idempotency-Key: (\w+)", rest):
            self._leave(f"{found[1]}sending")  # as it stands in the page: token and status lie side by side
        elif found := re.search(r"(task-unified-[\w-]+)", rest if file.endswith("/shown") else ""):
            self._leave(f"accepted{found[1]}")

    def _end(self, thread: str, result: str) -> None:
        upto = self._syncing.pop(thread, 0)
        if result == "0":
            self._synced = max(self._synced, upto)

    def _leave(self, proof: str) -> None:
        self.left.append(proof)
        if not any(proof in page for page in self._written[: self._synced]):
            self.too_early.append(proof)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where strace writes."""
    return tmp_path / "log"


@pytest.fixture
def nursery(log: Path) -> Iterator[Nursery]:
    """A program that forks, and whose children are watched."""
    made = Nursery("strace", "-f", "-y", "-s", "8192", "-o", str(log), "-e", f"trace={CALLS}")
    yield made
    made.close()


async def watched(nursery: Nursery, folder: Path, log: Path, at_once: int, *, synced: bool) -> Disk:
    """Let twenty keyed requests be made, and return what the kernel saw."""
    async with begun(folder, 20) as made:
        assert await nursery.run(made.job(at_once=at_once, synced=synced)) == 0
    nursery.close()
    disk = Disk()
    disk.read(log)
    assert len(disk.left) == 40, "a POST and an id for each key"
    return disk


@pytest.mark.parametrize("at_once", [1, 20])
async def test_a_submit_is_on_the_disk_before_it_leaves_and_its_id_before_it_is_told(
    at_once: int, nursery: Nursery, tmp_path: Path, log: Path
) -> None:
    """One after the other, and all at once."""
    disk = await watched(nursery, tmp_path, log, at_once, synced=True)
    assert disk.too_early == []


@pytest.mark.parametrize("at_once", [1, 20])
async def test_without_syncing_all_of_that_would_be_too_early(
    at_once: int, nursery: Nursery, tmp_path: Path, log: Path
) -> None:
    """So the test above can fail."""
    disk = await watched(nursery, tmp_path, log, at_once, synced=False)
    assert disk.too_early == disk.left
