"""The limits of an account, kept by several clients at once against one service, with both stores."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from journals import sql
from ledgers import most_at_once

from foxvideo import (
    AuthenticationError,
    Client,
    Every,
    GrokTextToVideo,
    InsufficientCredits,
    LimitReached,
    Limits,
    RecordStatus,
    TaskAbandoned,
    TaskTimeout,
    Video,
    batch,
)
from foxvideo._journal import Place
from foxvideo.emulator import Emulator, Fault

KEY = "sk-emulator"


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """Run each test that uses a journal with every store."""
    return str(request.param)


@pytest.fixture
async def fox() -> AsyncIterator[Emulator]:
    """Run an emulator."""
    async with Emulator(seconds=10, render=False, latency=0.05) as running:
        yield running


@pytest.fixture
async def clients(path: Place, fox: Emulator) -> AsyncIterator[list[Client]]:
    """Three clients, as it were on three machines."""
    options: dict[str, Any] = {"journal": path, "schedule": Every(1.0)}
    async with (
        Client(KEY, fox.base_url, **options) as one,
        Client(KEY, fox.base_url, **options) as two,
        Client(KEY, fox.base_url, **options) as three,
    ):
        yield [one, two, three]


def shots(clients: list[Client], number: int, **options: Any) -> list[Any]:  # noqa: ANN401 - those of submit
    """Submit as many from all of them, every second one with a key."""
    return [
        clients[n % len(clients)].submit(
            GrokTextToVideo(prompt=f"A kite {n}"), key=None if n % 2 else f"shot-{n}", **options
        )
        for n in range(number)
    ]


async def test_clients_together_have_no_more_tasks_than_their_account_may(clients: list[Client], fox: Emulator) -> None:
    """And all are made in the end; each client for itself would have had more."""
    await clients[0].set_limits(Limits(max_active=4))
    videos = await asyncio.gather(*shots(clients, 24))
    assert all(isinstance(video, Video) for video in videos)
    assert (fox.ledger.charged, most_at_once(fox)) == (24, 4)
    assert [(await client.limits()).active for client in clients][-1] == 0  # each has written what it had to write


async def test_the_time_of_a_task_does_not_run_while_it_waits_for_a_place(clients: list[Client], fox: Emulator) -> None:
    """It is for the task alone."""
    await clients[0].set_limits(Limits(max_active=1))
    await asyncio.gather(*shots(clients, 6, timeout=20.0))
    assert (fox.ledger.charged, most_at_once(fox)) == (6, 1)


async def test_the_time_of_a_task_runs_once_it_has_a_place(path: Place) -> None:
    """Though it stood still before."""
    async with Emulator(seconds=1000, render=False) as slow, Client(KEY, slow.base_url, journal=path) as client:
        await client.set_limits(Limits(max_active=1))
        await client.submit(GrokTextToVideo(prompt="A kite"), key="first").wait_accepted()
        second = client.submit(GrokTextToVideo(prompt="A kite"), key="second", timeout=15.0)
        await asyncio.sleep(60)
        assert second.id is None
        sql(path, "UPDATE tasks SET status = 'completed' WHERE key = 'first'")
        await second.wait_accepted()
        began = asyncio.get_running_loop().time()
        with pytest.raises(TaskTimeout):
            await second
        assert asyncio.get_running_loop().time() - began <= 15.5


@pytest.mark.real_clock
async def test_submissions_of_all_clients_are_as_far_apart_as_the_rate_says(clients: list[Client], path: Place) -> None:
    """In any window of time."""
    await clients[0].set_limits(Limits(per_second=20.0))
    for task in shots(clients, 15):
        await task.wait_accepted()
    sent = sorted(when for (when,) in sql(path, "SELECT sent FROM tasks"))
    assert min(two - one for one, two in itertools.pairwise(sent)) > 0.04
    assert sent[-1] - sent[0] < 20  # 0.7 where nothing else runs


async def test_a_429_to_one_client_slows_all(clients: list[Client], fox: Emulator, path: Place) -> None:
    """Since the rate is the account's."""
    await clients[0].set_limits(Limits())
    fox.fail_next("submit", Fault("rate_limit"))
    await shots(clients[:1], 1)[0].wait_accepted()
    assert (await clients[2].limits()).gap > 0
    ((not_before,),) = sql(path, "SELECT not_before FROM limits")
    assert not_before > 0


@pytest.mark.parametrize(
    ("status", "error"),
    [(402, InsufficientCredits), (401, AuthenticationError)],
)
async def test_an_account_that_is_refused_halts_all_until_somebody_says_go_on(
    status: int, error: type[Exception], clients: list[Client], fox: Emulator
) -> None:
    """Nothing is sent meanwhile, and a key that was turned away is free."""
    await clients[0].set_limits(Limits(max_active=100))
    fox.fail_next("submit", Fault("error", status=status))
    refused = shots(clients[:1], 1)[0]
    with pytest.raises(error):
        await refused
    (task,) = shots(clients[1:2], 1)
    with pytest.raises(LimitReached, match="halted") as caught:
        await task
    assert (caught.value.submitted, caught.value.key, fox.ledger.charged) == ("no", "shot-0", 0)
    assert (await clients[2].limits()).halted is not None
    await clients[2].go_on()
    await asyncio.gather(*shots(clients, 3))
    assert fox.ledger.charged == 3


async def test_a_budget_is_exact_with_three_clients(clients: list[Client], fox: Emulator) -> None:
    """What goes beyond it ends as what was not sent."""
    await clients[0].set_limits(Limits(max_credits=100.0))
    fox.credits = 12.5
    ends = await asyncio.gather(*shots(clients, 24), return_exceptions=True)
    assert (fox.ledger.charged, fox.ledger.reserved) == (8, 100.0)
    refused = [end for end in ends if not isinstance(end, Video)]
    assert {(type(end), end.submitted) for end in refused} == {(LimitReached, "no")}  # type: ignore[union-attr]
    records = [await client.history() for client in clients][-1]  # each has written what it had to write then
    assert {record.status for record in records} == {RecordStatus.COMPLETED, RecordStatus.WITHDRAWN}
    use = await clients[1].limits()
    assert (use.credits_reserved, use.limits.max_credits) == (100.0, 100.0)


async def test_a_batch_stops_buying_once_the_limits_of_its_account_are_reached(
    path: Place,
    fox: Emulator,
    tmp_path: Any,  # noqa: ANN401 - a path
) -> None:
    """What is left is told as not sent, and made by a later run."""
    rows = [GrokTextToVideo(prompt=f"A kite {n}") for n in range(6)]
    async with Client(KEY, fox.base_url, journal=path, schedule=Every(1.0)) as client:
        await client.set_limits(Limits(max_credits=25.0))
        first = [str(one.status) async for one in batch.run(client, rows, tmp_path / "clips", max_active=1)]
        assert (first.count("completed"), fox.ledger.charged) == (2, 2)
        await client.set_limits(Limits())
        second = [str(one.status) async for one in batch.run(client, rows, tmp_path / "clips")]
        assert (second.count("completed"), fox.ledger.charged) == (6, 6)


async def test_what_waits_for_a_place_can_be_withdrawn(clients: list[Client], fox: Emulator) -> None:
    """Nothing was sent, and its key is free."""
    await clients[0].set_limits(Limits(max_active=1))
    first = clients[0].submit(GrokTextToVideo(prompt="A kite"))
    await first.wait_accepted()
    waiting = shots(clients, 3)
    await asyncio.sleep(3)
    for task in waiting:
        assert task.withdraw()
        with pytest.raises(TaskAbandoned) as caught:
            await task
        assert caught.value.submitted == "no"
    await first
    assert fox.ledger.charged == 1
    await asyncio.gather(*shots(clients, 3))
    assert fox.ledger.charged == 4


async def test_a_client_that_is_closed_leaves_nothing_that_takes_a_place(path: Place, fox: Emulator) -> None:
    """Others go on."""
    options: dict[str, Any] = {"journal": path, "schedule": Every(1.0)}
    async with Client(KEY, fox.base_url, **options) as other:
        await other.set_limits(Limits(max_active=1))
        async with Client(KEY, fox.base_url, **options) as gone:
            for number in range(5):
                gone.submit(GrokTextToVideo(prompt="A kite"), key=f"shot-{number}")
            await asyncio.sleep(2)
        again = [other.submit(GrokTextToVideo(prompt="A kite"), key=f"shot-{number}") for number in range(5)]
        await asyncio.gather(*again)
    assert fox.ledger.charged == 5


async def test_an_account_is_known_by_its_name_alone(
    path: Place, fox: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the client's, or the environment's; no key of the service is in the journal."""
    monkeypatch.setenv("FOXVIDEO_ACCOUNT", "studio")
    async with (
        Client(KEY, fox.base_url, journal=path) as one,
        Client(KEY, fox.base_url, journal=path, account="b") as b,
    ):
        await one.submit(GrokTextToVideo(prompt="A kite"), key="shot-1").wait_accepted()
        (record,) = await b.history()
        assert (record.account, record.as_dict()["account"]) == ("studio", "studio")
        assert await b.resume() == ()
        (found,) = await one.resume()
        await found
    assert KEY not in str(sql(path, "SELECT * FROM tasks"))
