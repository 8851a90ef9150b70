"""What kills a client and compares what it remembers with what was charged.

The emulator runs in the process of the tests, the client in one that is killed (``child.py``). Right after each kill
the journal is copied as it lies on the disk, so that looking at it changes nothing.
"""

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import attrs

from foxvideo.emulator import Emulator, read_charges

CHILD = Path(__file__).with_name("child.py")
MOST = 8  # requests in flight
PATIENCE = 30.0
How = Literal["submit", "generate", "resume"]


@attrs.frozen(kw_only=True)
class Job:
    """What one process does.

    Attributes:
        base_url: The emulator.
        folder: Where videos are saved.
        journal: The file that it remembers in, or the URL of a database.
        shown: The file that it tells what it was told, one JSON line each: key and id, or null where it is uncertain.
        keys: What it asks for; each is the prompt as well.
        how: Whether it waits for ids first, or calls ``generate``, or calls ``resume`` before that.
        fault: The point at which it gets a signal; None for none. See ``child.py``.
        nth: At which time it comes there.
        signal: Which.
        max_requests: Of the client.
        at_once: How many keys it asks for at once.
        every: Seconds between two queries for a task.
        synced: Whether the journal is synced to the disk.
        api_key: Of the emulator.
    """

    base_url: str
    folder: str
    journal: str
    shown: str
    keys: list[str]
    how: How = "submit"
    fault: str | None = None
    nth: int = 1
    signal: str = "SIGKILL"
    max_requests: int = MOST
    at_once: int = 1000
    every: float = 0.1
    synced: bool = True
    api_key: str = "sk-emulator"


class Nursery:
    """The program that forks a process for each job."""

    def __init__(self, *wrapper: str) -> None:
        self._program = subprocess.Popen(  # noqa: S603 - our own program
            [*wrapper, sys.executable, str(CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.process = 0
        self.running = False

    async def start(self, job: Job) -> None:
        """Start a process."""
        assert self._program.stdin
        self._program.stdin.write(json.dumps(attrs.asdict(job)) + "\n")
        self._program.stdin.flush()
        self.process, self.running = int(await self.heard()), True

    async def heard(self) -> str:
        """Wait for the next thing that happens to the process: ``stopped``, or its exit code."""
        heard = await asyncio.wait_for(asyncio.to_thread(self._line), PATIENCE)
        self.running = heard == "stopped"
        return heard

    def _line(self) -> str:
        assert self._program.stdout
        line = self._program.stdout.readline()
        assert line, "the program that forks has died"
        return line.strip()

    async def run(self, job: Job) -> int:
        """Do a job, and return its exit code: negative for the signal that killed it."""
        await self.start(job)
        return int(await self.heard())

    async def run_for(self, job: Job, seconds: float) -> int:
        """Do a job, and kill its process if it has not ended then."""
        await self.start(job)
        heard = asyncio.ensure_future(self.heard())
        await asyncio.wait({heard}, timeout=seconds)
        if not heard.done():
            self.send(signal.SIGKILL)
        return int(await heard)

    def send(self, number: int) -> None:
        """Send the process a signal."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process, number)

    def close(self) -> None:
        """End it, whatever it does."""
        if self.running:
            self.send(signal.SIGKILL)
        assert self._program.stdin
        assert self._program.stdout
        self._program.stdin.close()
        self._program.wait(PATIENCE)
        self._program.stdout.close()


def rows(journal: Path) -> list[Mapping[str, Any]]:
    """Return the rows that lie on the disk, leaving the journal as it is; none where it has no tables yet."""
    copy = journal.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for part in journal.parent.glob(f"{journal.name}*"):
        if not part.name.endswith((".lock", "-shm")):
            shutil.copy(part, copy)
    with contextlib.closing(sqlite3.connect(copy / journal.name)) as db:
        db.row_factory = sqlite3.Row
        if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return []
        return [dict(row) for row in db.execute("SELECT * FROM tasks ORDER BY number")]


@attrs.define(kw_only=True)
class Round:
    """One emulator, one journal, and one client after the other that is killed.

    Attributes:
        fox: The emulator.
        folder: Where everything lies.
        keys: What is asked for.
        doubtful: The keys that were *sending* on the disk when a client was killed.
        kills: How many were.
    """

    fox: Emulator
    folder: Path
    keys: list[str]
    doubtful: set[str] = attrs.field(factory=set, init=False)
    kills: int = attrs.field(default=0, init=False)

    @property
    def journal(self) -> Path:
        """The file that the clients remember in."""
        return self.folder / "videos.db"

    @property
    def shown(self) -> list[tuple[str, str | None]]:
        """What the clients were told, and by what key."""
        with contextlib.suppress(FileNotFoundError):
            return [tuple(json.loads(line)) for line in (self.folder / "shown").read_text().splitlines()]
        return []

    def job(self, **options: Any) -> Job:  # noqa: ANN401 - those of Job
        """Return what a client does."""
        usual = {
            "base_url": self.fox.base_url,
            "folder": str(self.folder),
            "journal": str(self.journal),
            "shown": str(self.folder / "shown"),
            "keys": self.keys,
        }
        return Job(**(usual | options))

    async def finish(self, nursery: Nursery, code: int, **options: Any) -> None:  # noqa: ANN401 - those of Job
        """Take note of how a client ended, let another one do what is left, and compare."""
        self.look(code)
        assert await nursery.run(self.job(**options)) == 0
        self.check()

    def look(self, code: int) -> None:
        """Take note of what lies on the disk after a client died; nothing where it ended by itself."""
        if code == 0:
            return
        assert code == -signal.SIGKILL
        self.kills += 1
        found = rows(self.journal) if self.journal.exists() else []
        sending = [row["key"] for row in found if row["status"] == "sending"]
        assert len(sending) <= MOST, "more is uncertain than was in flight"
        self.doubtful |= set(sending)
        known = {(row["key"], row["task_id"]) for row in found}
        assert {told for told in self.shown if told[1]} <= known, "an id was shown that is not on the disk"

    def check(self) -> None:
        """Compare what is remembered, once all is done, with what was charged."""
        charges = read_charges(self.folder / "ledger")
        assert [charge.id for charge in charges] == list(self.fox.ledger.tasks)
        charged = {charge.id: charge for charge in charges}
        times = Counter(charge.prompt for charge in charges)
        found = {row["key"]: row for row in rows(self.journal)}
        assert sorted(found) == sorted(self.keys)
        for key, row in found.items():
            if key in self.doubtful:
                assert (row["status"], row["task_id"]) == ("uncertain", None), f"{key} was being sent at a kill"
                assert times[key] <= 1, f"{key} was bought {times[key]} times"
                continue
            assert row["status"] == "completed", f"{key} is {row['status']}"
            assert times[key] == 1, f"{key} was bought {times[key]} times"
            charge = charged[row["task_id"]]
            assert (charge.prompt, charge.idempotency_key, charge.fingerprint) == (
                key,
                row["token"],
                row["fingerprint"],
            )
        assert all(row["attempt"] == 1 and row["owner"] is None for row in found.values())
        self._check_what_was_told()
        self._check_videos()

    def _check_what_was_told(self) -> None:
        found = {row["key"]: row["task_id"] for row in rows(self.journal)}
        told = set(self.shown)
        assert told == set(found.items()), "somebody was told another id, or nothing"

    def _check_videos(self) -> None:
        videos = {path.stem for path in self.folder.glob("*.mp4")}
        assert videos == set(self.keys) - self.doubtful
        assert len({path.read_bytes() for path in self.folder.glob("*.mp4")}) <= 1, "half a video"
        locks = list(self.folder.glob("*.lock"))
        assert not locks, "a lock of a dead client is left"


@contextlib.asynccontextmanager
async def begun(folder: Path, keys: int, **options: Any) -> AsyncIterator[Round]:  # noqa: ANN401 - of Emulator
    """Run an emulator that is quick."""
    usual = {"seconds": (0.1, 0.3), "latency": 0.015, "render": False, "ledger": folder / "ledger"}
    async with Emulator(**(usual | options)) as fox:  # type: ignore[arg-type]
        yield Round(fox=fox, folder=folder, keys=[f"shot-{number:03}" for number in range(keys)])


async def killed_at_random(nursery: Nursery, folder: Path, seed: int) -> Round:
    """Let 60 keyed requests be made by clients that are killed at random moments, until all is done, and compare."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    ways: tuple[How, ...] = ("submit", "generate", "resume")
    async with begun(folder, 60, seed=seed) as made:
        code = 1
        while code:
            job = made.job(how=chance.choice(ways))
            # Longer each time: on a slow machine nobody would ever get anything done.
            code = await nursery.run_for(job, chance.uniform(0.01, 0.2 * 1.02**made.kills))
            made.look(code)
        made.check()
    return made


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what changes tells nobody
            await asyncio.sleep(0.005)


@contextlib.contextmanager
def idle(nurseries: list[Nursery], number: int) -> Iterator[Nursery]:
    """Lend a program that forks; one that still has a process afterwards is ended, and replaced."""
    yield nurseries[number]
    if nurseries[number].running:
        nurseries[number].close()
        nurseries[number] = Nursery()


@contextlib.contextmanager
def nurseries(many: int) -> Iterator[list[Nursery]]:
    """Run programs that fork, for as long as somebody needs them."""
    made = [Nursery() for _ in range(many)]
    yield made
    for nursery in made:
        nursery.close()
