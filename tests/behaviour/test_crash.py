"""A client that is killed, stopped or doubled: every paid task is known, and none is bought twice.

``nox -s crash`` kills at two hundred times as many moments, and proves under strace what is on the disk when.
"""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import MOST, Nursery, Round, begun, idle, killed_at_random, nurseries, rows, until

from foxvideo.emulator import Fault, read_charges

pytestmark = [
    pytest.mark.real_clock,
    pytest.mark.skipif(sys.platform == "win32", reason="there is no fork"),
]


@pytest.fixture(scope="module")
def nursery() -> Iterator[list[Nursery]]:
    """Two programs that fork, so that two clients can live at once."""
    with nurseries(2) as made:
        yield made


@pytest.fixture
def one(nursery: list[Nursery]) -> Iterator[Nursery]:
    """The first of them."""
    with idle(nursery, 0) as made:
        yield made


@pytest.fixture
def other(nursery: list[Nursery]) -> Iterator[Nursery]:
    """The second of them."""
    with idle(nursery, 1) as made:
        yield made


@pytest.mark.parametrize("seed", range(6))
async def test_nothing_is_lost_and_nothing_bought_twice_when_killed_at_random(
    seed: int, one: Nursery, tmp_path: Path
) -> None:
    """Sixty keyed requests, and clients that are killed until one gets all done."""
    made = await killed_at_random(one, tmp_path, seed)
    assert made.kills > 0


WRITES = ["claim", "sending", "planned", "accepted", "completed", "saved"]


@pytest.mark.parametrize("moment", ["before", "inside", "after"])
@pytest.mark.parametrize("write", WRITES)
async def test_killed_at_a_write_of_the_journal(write: str, moment: str, one: Nursery, tmp_path: Path) -> None:
    """Right before its transaction, in it, and right after it, before anybody has heard of it."""
    async with begun(tmp_path, 20) as made:
        made.fox.fail_next("submit", Fault("rate_limit", retry_after="0"), times=1)
        nth = 1 if write in {"claim", "planned"} else 2
        await made.finish(one, await one.run(made.job(fault=f"{moment} {write}", nth=nth)))
        assert made.kills == 1


@pytest.mark.parametrize("how", ["submit", "generate", "resume"])
@pytest.mark.parametrize("point", ["after reply", "before publish", "after publish"])
async def test_killed_between_two_writes(point: str, how: str, one: Nursery, tmp_path: Path) -> None:
    """With the reply in hand and nothing written down; with the video on the disk, half and whole."""
    async with begun(tmp_path, 20) as made:
        await made.finish(one, await one.run(made.job(fault=point, nth=3)), how=how)
        assert made.kills == 1
        assert made.doubtful or point != "after reply"  # another submit may be under way at any moment


@pytest.mark.parametrize("charged", [False, True])
async def test_killed_when_the_post_has_left(charged: bool, one: Nursery, tmp_path: Path) -> None:
    """Whether it made a task or not cannot be known: as many submits are uncertain as were in flight, no more."""
    async with begun(tmp_path, 20) as made:
        made.fox.fail_next("submit", Fault("hang", after=charged), times=MOST)
        await one.start(made.job())
        await until(lambda: made.fox.ledger.submitted == MOST)
        one.send(signal.SIGKILL)
        await made.finish(one, int(await one.heard()))
        assert len(made.doubtful) == MOST
        assert made.fox.ledger.charged == (20 if charged else 20 - MOST)


# --- Two clients at once ---


def bought(made: Round) -> Counter[str | None]:
    """Return how often each prompt was charged."""
    return Counter(charge.prompt for charge in read_charges(made.folder / "ledger"))


def places(made: Round, name: str) -> dict[str, str]:
    """Return a place of its own for the videos of a client, and for what it was told."""
    folder = made.folder / name
    folder.mkdir()
    return {"folder": str(folder), "shown": str(folder / "shown")}


def told(made: Round, name: str) -> list[str]:
    """Return what a client was told."""
    return sorted((made.folder / name / "shown").read_text().splitlines())


@pytest.mark.parametrize("at_once", [100, 10])
async def test_two_processes_with_the_same_keys_buy_each_once(
    at_once: int, one: Nursery, other: Nursery, tmp_path: Path
) -> None:
    """Both get all videos, and the same."""
    async with begun(tmp_path, 100) as made:
        jobs = [made.job(at_once=at_once, how="generate", **places(made, name)) for name in ("one", "other")]
        codes = await asyncio.gather(one.run(jobs[0]), other.run(jobs[1]))
    assert set(codes) == {0}
    assert made.fox.ledger.submitted == 100
    assert bought(made) == dict.fromkeys(made.keys, 1)
    assert told(made, "one") == told(made, "other")
    assert all(len(list((tmp_path / name).glob("*.mp4"))) == 100 for name in ("one", "other"))


@pytest.mark.parametrize("write", ["claim", "sending"])
async def test_one_who_is_stopped_keeps_what_it_was_about_to_send(
    write: str, one: Nursery, other: Nursery, tmp_path: Path
) -> None:
    """Another who asks for the same key waits, however long it takes, and gets the same video."""
    async with begun(tmp_path, 1) as made:
        await one.start(made.job(fault=f"after {write}", signal="SIGSTOP", **places(made, "one")))
        assert await one.heard() == "stopped"
        await other.start(made.job(**places(made, "other")))
        waiting = asyncio.ensure_future(other.heard())
        done, _ = await asyncio.wait({waiting}, timeout=0.3)
        assert (done, made.fox.ledger.submitted) == (set(), 0)
        one.send(signal.SIGCONT)
        assert (await one.heard(), await waiting) == ("0", "0")
    assert made.fox.ledger.submitted == 1
    assert told(made, "one") == told(made, "other")


def unlock(folder: Path) -> None:
    """Remove the lock of the only client that lives, as somebody may do by hand."""
    (lock,) = folder.glob("*.lock")
    lock.unlink()


async def test_one_who_wakes_up_and_has_lost_a_submit_does_not_send_it(
    one: Nursery, other: Nursery, tmp_path: Path
) -> None:
    """Its lock is gone, another has sent what it had planned; it gets the same video."""
    async with begun(tmp_path, 1) as made:
        await one.start(made.job(fault="after claim", signal="SIGSTOP", **places(made, "one")))
        assert await one.heard() == "stopped"
        unlock(tmp_path)
        assert await other.run(made.job(**places(made, "other"))) == 0
        one.send(signal.SIGCONT)
        assert await one.heard() == "0"
    assert made.fox.ledger.submitted == 1
    assert told(made, "one") == told(made, "other")


async def test_one_who_wakes_up_while_sending_is_the_only_one_who_sent(
    one: Nursery, other: Nursery, tmp_path: Path
) -> None:
    """Its lock is gone, another holds the submit for uncertain; the late answer settles it."""
    async with begun(tmp_path, 1) as made:
        await one.start(made.job(fault="after sending", signal="SIGSTOP", **places(made, "one")))
        assert await one.heard() == "stopped"
        unlock(tmp_path)
        assert await other.run(made.job(**places(made, "other"))) == 0
        assert told(made, "other") == ['["shot-000", null]']
        one.send(signal.SIGCONT)
        assert await one.heard() == "0"
        (row,) = rows(made.journal)
    (charge,) = read_charges(tmp_path / "ledger")
    assert (row["status"], row["task_id"]) == ("completed", charge.id)
    assert made.fox.ledger.submitted == 1
