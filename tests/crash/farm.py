"""Three workers with one journal in PostgreSQL, killed and stopped at any moment: nothing is lost or bought twice.

Run by ``nox -s farm``; ``FOXVIDEO_ROUNDS`` changes how many rounds of 60 shots there are.
"""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import psycopg
import pytest
from databases import execute
from harness import MOST, Job, Nursery, begun, idle, nurseries
from ledgers import most_at_once
from lines import Line

from foxvideo import Client, Every, GrokTextToVideo, Limits
from foxvideo._journal import store_at
from foxvideo.emulator import Emulator, Fault, read_charges

ROUNDS = int(os.environ.get("FOXVIDEO_ROUNDS", "15"))
LEASE = 1.0
ACTIVE = 20  # tasks that the account may have at once

pytestmark = pytest.mark.real_clock


@pytest.fixture(scope="module")
def programs() -> Iterator[list[Nursery]]:
    """Three machines, as it were."""
    with nurseries(3) as made:
        yield made


@pytest.fixture
def workers(programs: list[Nursery]) -> Iterator[list[Nursery]]:
    """They, or others where a test has left one with a process."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(idle(programs, number)) for number in range(3)]


def up(database: str) -> None:
    """Wait until the database has recovered."""
    for _ in range(100):
        with contextlib.suppress(psycopg.OperationalError):
            execute(database, "SELECT 1")
            return
        time.sleep(0.1)


@attrs.frozen
class Farm:
    """One service, one database, and the keys that are asked for.

    Attributes:
        fox: The service.
        url: The database.
        folder: Where the videos go.
        keys: Each is the prompt as well.
    """

    fox: Emulator
    url: str
    folder: Path
    keys: list[str]

    def job(self, name: str, **options: Any) -> Job:  # noqa: ANN401 - those of Job
        """Return what a worker does, in a folder of its own."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        usual = {"base_url": self.fox.base_url, "folder": str(folder), "shown": str(folder / "shown")}
        usual["journal"] = f"{self.url}?lease={LEASE:g}"
        return Job(keys=self.keys, **(usual | options))

    def check(self) -> list[str]:
        """Compare what is remembered with what was charged, and return the keys that are uncertain."""
        charges = read_charges(self.folder / "ledger")
        times = Counter(charge.prompt for charge in charges)
        found = execute(self.url, "SELECT key, status, task_id FROM tasks")
        assert sorted(key for key, _, _ in found) == sorted(self.keys)
        assert all(count == 1 for count in times.values()), "bought twice"
        known = {task_id for _, _, task_id in found}
        uncertain = [key for key, status, _ in found if status == "uncertain"]
        assert {charge.prompt for charge in charges if charge.id not in known} <= set(uncertain), "paid and unknown"
        assert {status for _, status, _ in found} <= {"completed", "uncertain"}
        return uncertain

    async def decide(self, uncertain: list[str]) -> None:
        """Do what a person does who has the ledger; then all is complete, and nothing was bought twice."""
        made = {charge.prompt: charge.id for charge in read_charges(self.folder / "ledger")}
        async with Client("sk-emulator", self.fox.base_url, journal=self.url, schedule=Every(0.1)) as person:
            for key in uncertain:
                task = await (
                    person.adopt(key, made[key]) if key in made else person.resubmit(key, GrokTextToVideo(prompt=key))
                )
                await task
        assert Counter(charge.prompt for charge in read_charges(self.folder / "ledger")) == dict.fromkeys(self.keys, 1)


@contextlib.asynccontextmanager
async def farming(folder: Path, url: str, keys: int) -> Any:  # noqa: ANN401 - farms, in time
    """Run a service that is quick."""
    async with begun(folder, keys, seconds=(0.5, 2.0), latency=0.05) as made:
        yield Farm(made.fox, url, folder, made.keys)


async def reset(database: str, lines: list[Line], chance: random.Random) -> None:
    """Cut the connections of all, again and again."""
    while True:
        await asyncio.sleep(chance.uniform(0.2, 1.0))
        ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'foxvideo'"
        await asyncio.to_thread(execute, database, ours)


async def crash(database: str, lines: list[Line], chance: random.Random) -> None:
    """Let the database break down, again and again."""
    while True:
        await asyncio.sleep(chance.uniform(2.0, 4.0))
        ours = "SELECT pid FROM pg_stat_activity WHERE application_name = 'foxvideo' LIMIT 1"
        with contextlib.suppress(psycopg.OperationalError, ProcessLookupError):
            for (backend,) in await asyncio.to_thread(execute, database, ours):
                os.kill(backend, signal.SIGKILL)  # PostgreSQL then ends all others, and recovers from its log


async def silence(database: str, lines: list[Line], chance: random.Random) -> None:
    """Let one line after another fall silent for a while, and lose what was on it."""
    while True:
        await asyncio.sleep(chance.uniform(0.2, 1.0))
        line = chance.choice(lines)
        line.silent = True
        await asyncio.sleep(chance.uniform(0.3, 2.5) * LEASE)
        line.silent = False
        line.cut()  # what was lost of it does not come after all


TROUBLES = [reset, crash, silence]


@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_nothing_is_lost_and_nothing_bought_twice_by_three_workers(
    seed: int, workers: list[Nursery], database: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Each is killed, or stopped beyond its lease, until all get done, and the limit of their account holds.

    Beside that connections are cut, the database itself breaks down, or the line to it falls silent, by the seed.
    """
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    kills = stops = 0

    async def work(farm: Farm, nursery: Nursery, name: str) -> None:
        nonlocal kills, stops
        for turn in range(1000):
            how = chance.choice(("submit", "generate", "resume"))
            await nursery.start(farm.job(name, how=how, journal=f"{lines[nursery].url}?lease={LEASE:g}"))
            heard = asyncio.ensure_future(nursery.heard())
            await asyncio.wait({heard}, timeout=chance.uniform(0.1, 1.5) if turn < 4 else None)
            if not heard.done() and chance.random() < 0.5:
                nursery.send(signal.SIGSTOP)
                assert await heard == "stopped"
                stops += 1
                await asyncio.sleep(chance.uniform(1.2, 2.5) * LEASE)
                nursery.send(signal.SIGCONT)
                heard = asyncio.ensure_future(nursery.heard())
                await asyncio.wait({heard}, timeout=chance.uniform(0.0, 1.0))
            if not heard.done():
                nursery.send(signal.SIGKILL)
                kills += 1
            if await heard == "0":
                return

    async with farming(tmp_path, database, 60) as farm, contextlib.AsyncExitStack() as stack:
        lines = {nursery: await stack.enter_async_context(Line.to(database)) for nursery in workers}
        async with store_at(database) as store:
            await store.set_limits("default", Limits(max_active=ACTIVE))
        trouble = asyncio.create_task(TROUBLES[seed % 3](database, list(lines.values()), chance))
        await asyncio.gather(*(work(farm, nursery, f"worker-{n}") for n, nursery in enumerate(workers)))
        assert not trouble.done(), "it ended by itself"
        trouble.cancel()
        await asyncio.to_thread(up, database)
        uncertain = farm.check()
        active = most_at_once(farm.fox)
        assert active <= ACTIVE
        await farm.decide(uncertain)
    record_property("kills", kills)
    record_property("stops", stops)
    record_property("uncertain", len(uncertain))
    print(f"seed {seed}: {kills} kills, {stops} stops, {len(uncertain)} uncertain, {active} of {ACTIVE} active")  # noqa: T201 - figures
    assert kills + stops > 0


WRITES = ["claim", "sending", "planned", "accepted", "completed", "saved"]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("write", WRITES)
async def test_killed_at_a_statement(
    write: str, moment: str, workers: list[Nursery], database: str, tmp_path: Path
) -> None:
    """Before it is asked, and when it is done and nobody has heard of it; another worker gets all done."""
    async with farming(tmp_path, database, 20) as farm:
        farm.fox.fail_next("submit", Fault("rate_limit", retry_after="0"), times=1)
        nth = 1 if write in {"claim", "planned"} else 2
        assert await workers[0].run(farm.job("one", fault=f"{moment} {write}", nth=nth)) == -signal.SIGKILL
        assert await workers[1].run(farm.job("other")) == 0
        uncertain = farm.check()
        assert len(uncertain) <= MOST
        await farm.decide(uncertain)


@pytest.mark.parametrize("resubmitted", [True, False])
@pytest.mark.parametrize("moment", ["after claim", "after sending", "after reply"])
async def test_a_worker_that_was_stopped_for_longer_than_its_lease(
    moment: str, resubmitted: bool, workers: list[Nursery], database: str, tmp_path: Path
) -> None:
    """Whatever was done about its submission meanwhile, it is charged once for each time that somebody meant it."""
    async with farming(tmp_path, database, 1) as farm:
        await workers[0].start(farm.job("one", fault=moment, signal="SIGSTOP"))
        assert await workers[0].heard() == "stopped"
        if moment == "after claim":  # it was never sent: another sends it
            assert await workers[1].run(farm.job("other")) == 0
        elif resubmitted:
            async with Client(
                "sk-emulator", farm.fox.base_url, journal=f"{database}?lease={LEASE:g}", schedule=Every(0.1)
            ) as person:
                async with asyncio.timeout(20):
                    while not await person.uncertain():  # noqa: ASYNC110 - another process changes it
                        await asyncio.sleep(0.1)
                await (await person.resubmit("shot-000", GrokTextToVideo(prompt="shot-000")))
        workers[0].send(signal.SIGCONT)
        assert await workers[0].heard() == "0"
        # Where the reply was in its hands, a person who resubmits pays twice: that is what the word warns of.
        twice = moment == "after reply" and resubmitted
        assert farm.fox.ledger.charged == (2 if twice else 1)
        known = {task_id for (task_id,) in execute(database, "SELECT task_id FROM tasks WHERE task_id IS NOT NULL")}
        assert known == set(farm.fox.ledger.tasks)
