"""What a batch spends: its budget, over runs, against a service whose tasks have prices and fates of their own."""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from shop import Shop

from foxvideo import Client, Every, GrokTextToVideo, Request, VideoRequest
from foxvideo.batch import Batch, Ending, Outcome, run as run_batch
from foxvideo.emulator import Emulator, Fault, Tariff
from foxvideo.testing.clock import run


def shots(number: int, seconds: int = 6) -> list[VideoRequest]:
    """Return that many requests for videos of some length."""
    return [GrokTextToVideo(prompt=f"Shot {seconds} {place}", duration=seconds) for place in range(number)]


def by_second(body: Mapping[str, Any]) -> float:
    """Return a price of two credits a second."""
    return 2.0 * float(body["duration"])


async def spent(
    base_url: str,
    folder: Path,
    limit: float | None,
    rows: Iterable[VideoRequest | Mapping[str, object]],
    **options: Any,  # noqa: ANN401 - of a batch
) -> tuple[list[Outcome], Batch]:
    """Run a batch with a budget, and a client of its own."""
    async with Client("sk-emulator", base_url, schedule=Every(2), journal=folder / "journal.db") as client:
        batch = run_batch(client, rows, folder / "clips", max_credits=limit, **options)
        return [outcome async for outcome in batch], batch


# --- A limit that holds ------------------------------------------------------------------------------------------


async def test_a_limit_holds_for_all_runs_of_a_folder(tmp_path: Path) -> None:
    """Known rows cost nothing, so they go on; a larger limit buys more."""
    async with Shop() as shop:
        first, batch = await spent(shop.base_url, tmp_path, 25, shots(5))
        assert len(first) == len(shop.sales) == 2
        assert (
            batch.halted
            == "20 of 25 credits are reserved or may be, and one more grok-imagine-text-to-video of 10 would pass it"
        )

        again, _ = await spent(shop.base_url, tmp_path, 25, shots(5))
        assert len(again) == len(shop.sales) == 2

        more, batch = await spent(shop.base_url, tmp_path, 100, shots(5))
        assert len(more) == len(shop.sales) == 5
        assert batch.halted == ""


@pytest.mark.parametrize(
    ("runs", "passed"),
    [
        ([shots(1, 1) + shots(12, 15)], 0),
        ([shots(3, 1), shots(12, 15)], 0),
        ([shots(12, 15), shots(12, 1)], 0),
        ([shots(2, 1) + shots(2, 15) + shots(30, 1)], 0),
        ([shots(3, seconds) for seconds in range(1, 16)], 12),  # one of 12 credits went out alone when 10 were left
    ],
    ids=["in one run", "over runs", "falling", "mixed", "a class in each run"],
)
async def test_longer_videos_pass_no_limit_that_shorter_ones_set(
    tmp_path: Path, runs: list[list[VideoRequest]], passed: float
) -> None:
    """But for one whose price nobody knew; and the limit can be used."""
    async with Shop(price=by_second) as shop:
        for rows in runs:
            await spent(shop.base_url, tmp_path, 100, rows)

        assert 70 <= shop.reserved <= 100 + passed


@pytest.mark.parametrize(
    ("tariff", "cheap", "dear"),
    [
        (
            Tariff(per_second=1, by={"resolution": {"480p": 1, "720p": 4}}),
            {"model": "grok-imagine-text-to-video", "duration": 5, "resolution": "480p"},
            {"model": "grok-imagine-text-to-video", "duration": 5, "resolution": "720p"},
        ),
        (
            Tariff(per_second=1, by={"generate_audio": {True: 3, False: 1}}),
            {"model": "veo-3.1-text-to-video", "duration": 4, "generate_audio": False},
            {"model": "veo-3.1-text-to-video", "duration": 4, "generate_audio": True},
        ),
        (
            Tariff(per_task=1, models={"veo-3.1-text-to-video": 20.0}),
            {"model": "grok-imagine-text-to-video"},
            {"model": "veo-3.1-text-to-video"},
        ),
    ],
    ids=["resolution", "sound", "model"],
)
async def test_whatever_sets_the_price_the_limit_holds(
    tmp_path: Path, tariff: Tariff, cheap: dict[str, object], dear: dict[str, object]
) -> None:
    """The cheap ones come first."""
    rows = [{**cheap, "prompt": f"Shot {n}"} for n in range(2)] + [{**dear, "prompt": f"Dear {n}"} for n in range(12)]
    async with Emulator(seconds=10.0, render=False, credits=tariff) as fox:
        outcomes, batch = await spent(fox.base_url, tmp_path, 70, rows)

    assert fox.ledger.reserved <= 70
    assert len(outcomes) > 4
    assert batch.halted


async def test_tasks_whose_length_the_model_decides_go_out_one_by_one(tmp_path: Path) -> None:
    """The price of one tells nothing of the next."""
    prices = iter([5.0, 50.0, 5.0, 50.0])
    rows = [Request("seedance-2.0-text-to-video", prompt=f"Shot {number}", duration=-1) for number in range(4)]
    async with Shop(price=lambda _: next(prices), fates=["late"] * 4) as shop:
        outcomes, _ = await spent(shop.base_url, tmp_path, 60, rows)

    assert [sale.made for sale in shop.sales.values()] == sorted({sale.made for sale in shop.sales.values()})
    assert len(outcomes) == 3
    assert shop.reserved == 60


async def test_what_does_not_fit_is_left_out_and_the_rest_goes_on(tmp_path: Path) -> None:
    """A long video in the first row does not keep short ones from being made."""
    async with Shop(price=by_second) as shop:
        await spent(shop.base_url, tmp_path, 40, shots(1, 15) + shots(1, 1))
        outcomes, batch = await spent(shop.base_url, tmp_path, 40, [*shots(2, 15), *shots(4, 1)])

    assert [outcome.duration for outcome in outcomes] == [15, 1, 1, 1, 1]
    assert shop.reserved == 38
    assert "one more grok-imagine-text-to-video of 30 would pass it" in batch.halted


async def test_rows_that_are_paid_for_go_on_behind_rows_that_may_not_be_bought(tmp_path: Path) -> None:
    """Their links die within a day."""
    async with Shop() as shop:
        await spent(shop.base_url, tmp_path, None, shots(2), timeout=3.0)
        outcomes, _ = await spent(shop.base_url, tmp_path, 20, [*shots(2, 15), *shots(2)])

    assert [outcome.status for outcome in outcomes] == [Ending.COMPLETED] * 2
    assert len(shop.sales) == 2


async def test_rows_that_are_paid_for_go_on_where_the_account_is_empty(tmp_path: Path) -> None:
    """It costs nothing to save what was made."""
    async with Emulator(seconds=10.0, render=False) as fox:
        await spent(fox.base_url, tmp_path, None, shots(2), timeout=3.0)
        fox.fail_next("submit", Fault("error", status=402), times=9)
        outcomes, batch = await spent(fox.base_url, tmp_path, None, [*shots(3, 15), *shots(2)], max_active=1)

    assert [outcome.status.value for outcome in outcomes] == ["refused", "completed", "completed"]
    assert batch.halted


# --- What may be paid for ----------------------------------------------------------------------------------------


async def test_a_task_that_goes_on_is_no_new_spending(tmp_path: Path) -> None:
    """Its credits were reserved by the run before."""
    async with Shop() as shop:
        await spent(shop.base_url, tmp_path, None, shots(2), timeout=3.0)
        outcomes, _ = await spent(shop.base_url, tmp_path, 25, shots(3))

    assert [outcome.status for outcome in outcomes] == [Ending.COMPLETED] * 2
    assert len(shop.sales) == 2


@pytest.mark.parametrize(
    ("fates", "bought"), [(["lost"], 1), (["told", "lost"], 3), (["told", "lost", "told", "lost", "lost"], 3)]
)
async def test_what_may_have_been_bought_counts_in_later_runs(tmp_path: Path, fates: list[str], bought: int) -> None:
    """As much as its like; where no price is known, nothing more is bought."""
    async with Shop(fates=list(fates)) as shop:
        for _ in range(3):
            await spent(shop.base_url, tmp_path, 30, shots(12))

        assert len(shop.sales) == bought


async def test_where_credits_are_never_told_one_task_is_bought_in_all_runs(tmp_path: Path) -> None:
    """Also of rows and models that come later."""
    veo = Request("veo-3.1-text-to-video", prompt="A fox")
    async with Shop(fates=["never"] * 99) as shop:
        for rows in (shots(12), shots(12), [veo, *shots(12, 15)]):
            _, batch = await spent(shop.base_url, tmp_path, 1000, rows)
            assert "nobody has told what a task reserved" in batch.halted

        assert len(shop.sales) == 1


async def test_credits_that_are_told_late_let_the_next_task_go(tmp_path: Path) -> None:
    """The first goes out alone until then."""
    async with Shop(fates=["late"] * 9) as shop:
        outcomes, _ = await spent(shop.base_url, tmp_path, 40, shots(9))

    assert len(outcomes) == len(shop.sales) == 4


async def test_credits_that_a_later_run_is_told_let_the_next_task_go(tmp_path: Path) -> None:
    """The first run left before they were."""
    async with Shop(fates=["late"]) as shop:
        await spent(shop.base_url, tmp_path, 30, shots(1), timeout=1.0)
        assert "usage" not in str(shop.sales)
        outcomes, _ = await spent(shop.base_url, tmp_path, 30, shots(9))

    assert len(outcomes) == len(shop.sales) == 3


async def test_a_submission_that_is_refused_takes_nothing_from_the_limit(tmp_path: Path) -> None:
    """Nothing was made."""
    async with Shop(fates=["refused", "told", "refused"]) as shop:
        outcomes, _ = await spent(shop.base_url, tmp_path, 20, shots(5))

    assert sorted(outcome.status.value for outcome in outcomes) == ["completed", "completed", "refused", "refused"]
    assert len(shop.sales) == 2


async def test_a_failed_row_that_is_bought_anew_is_spending(tmp_path: Path) -> None:
    """It is a new, paid task, and the service promises no refund of the old one."""
    async with Shop(fates=["failed"] * 9) as shop:
        await spent(shop.base_url, tmp_path, None, shots(1))
        outcomes, batch = await spent(shop.base_url, tmp_path, 15, shots(1), retry_failed=True)

    assert outcomes == []
    assert len(shop.sales) == 1
    assert "would pass it" in batch.halted


async def test_what_the_results_alone_know_is_spent_too(tmp_path: Path) -> None:
    """The journal was lost."""
    async with Shop() as shop:
        await spent(shop.base_url, tmp_path, None, shots(2))
        for path in tmp_path.glob("journal.db*"):
            path.unlink()
        await spent(shop.base_url, tmp_path, 30, shots(9))

    assert len(shop.sales) == 3


# --- Whatever happens --------------------------------------------------------------------------------------------

PRICES = st.sampled_from([0.0, 0.1, 1.0, 7.0, 30.0, 99.9])
FATES = st.sampled_from(["told", "told", "told", "late", "never", "lost", "refused", "failed"])
ROWS = st.lists(st.tuples(st.sampled_from([1, 2, 15]), st.integers(0, 9)), max_size=10)


@settings(max_examples=25, deadline=None)
@given(
    limit=st.sampled_from([0.0, 5.0, 30.0, 100.0]),
    prices=st.fixed_dictionaries({1: PRICES, 2: PRICES, 15: PRICES}),
    fates=st.lists(FATES, max_size=20),
    runs=st.lists(st.tuples(ROWS, st.sampled_from([3.0, 100.0])), min_size=1, max_size=3),
)
def test_all_runs_together_pass_the_limit_by_one_task_of_unknown_price_at_most(
    limit: float, prices: dict[int, float], fates: list[str], runs: list[tuple[list[tuple[int, int]], float]]
) -> None:
    """Whatever tasks cost, and whatever is told of them when, or never; and no row is bought twice."""

    async def bought(folder: Path) -> Shop:
        async with Shop(price=lambda body: prices[body["duration"]], fates=list(fates)) as shop:
            for rows, timeout in runs:
                requests = [GrokTextToVideo(prompt=f"Shot {number}", duration=seconds) for seconds, number in rows]
                unique = list(dict.fromkeys(requests))
                await asyncio.wait_for(spent(shop.base_url, folder, limit, unique, timeout=timeout, max_active=4), 9999)
        return shop

    with TemporaryDirectory() as folder:
        shop = run(bought(Path(folder)))

    assert shop.reserved <= limit + max((sale.price for sale in shop.sales.values()), default=0.0) + 1e-6
    bodies = [str(sorted(sale.body.items())) for sale in shop.sales.values()]
    assert len(bodies) == len(set(bodies))
