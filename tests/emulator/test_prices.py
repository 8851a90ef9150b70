"""What a task of the emulator costs, who is told when, and what ledger, charges and account say of it."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from foxvideo.emulator import Emulator, Fault, Tariff, read_charges
from foxvideo.emulator.prices import Credits, fixed, price

SUBMIT = "/v1/videos/generations"
TEXT = {"model": "grok-imagine-text-to-video", "prompt": "A kite"}
KLING = {"model": "kling-v3-text-to-video", "prompt": "A kite"}
TARIFF = Tariff(
    per_task=1,
    per_second=2,
    by={"resolution": {"1080p": 2, "4k": 4}, "generate_audio": {True: 1.5}, "mode": {"pro": 3}},
    models={"grok-imagine-text-to-video": 7, "sora-2-character": 0, "a-model-of-tomorrow": None},
)


def session(fox: Emulator) -> aiohttp.ClientSession:
    """Return a session that holds the key."""
    return aiohttp.ClientSession(
        fox.base_url, headers={"Authorization": f"Bearer {fox.api_key}", "User-Agent": "foxvideo/1.0"}
    )


@pytest.fixture
async def fox() -> AsyncIterator[Emulator]:
    """An emulator with a price list."""
    async with Emulator(render=False, strict=False, credits=TARIFF) as emulator:
        yield emulator


async def submit(web: aiohttp.ClientSession, body: Mapping[str, Any]) -> dict[str, Any]:
    """Submit and return the reply."""
    async with web.post(SUBMIT, json=body) as reply:
        assert reply.status == 200
        told = await reply.json()
        assert isinstance(told, dict)
        return told


async def poll(web: aiohttp.ClientSession, task_id: str) -> dict[str, Any]:
    """Poll a task and return the reply."""
    async with web.get(f"/v1/tasks/{task_id}?sync_upstream=true") as reply:
        told = await reply.json()
        assert isinstance(told, dict)
        return told


@pytest.mark.parametrize(
    ("body", "credits_"),
    [
        (KLING, 11),  # 5 s, which is the documented default
        (KLING | {"duration": 10}, 21),
        (KLING | {"duration": 10, "resolution": "1080p"}, 42),
        (KLING | {"resolution": "4k", "generate_audio": True}, 66),
        (KLING | {"generate_audio": False, "mode": "pro"}, 33),
        (KLING | {"duration": -1, "resolution": ["4k"], "mode": {}}, 13),
        ({"model": "unknown"}, 13),
        (TEXT | {"duration": 15}, 7),
        ({"model": "sora-2-character"}, 0),
        ({"model": "a-model-of-tomorrow"}, None),
    ],
)
def test_a_tariff_prices_a_task_by_what_is_asked_for(body: dict[str, Any], credits_: float | None) -> None:
    """Model, clip length, and every field that it names; fields left out count with their defaults."""
    assert price(TARIFF, body) == credits_


def test_a_tariff_is_a_value() -> None:
    """Equal lists are equal, and have nothing in common that can change."""
    assert Tariff(per_second=2) == Tariff(per_second=2) != Tariff(per_second=3)
    assert Tariff().by is not Tariff().by


@pytest.mark.parametrize(
    ("credits_", "dollars"),
    [
        (12.5, 12.5),
        (None, 0),
        (Tariff(per_task=3), 3),
        (Tariff(per_second=3), None),
        (Tariff(per_task=3, by={"mode": {"pro": 2}}), None),
        (TARIFF, 7),
        (lambda body: 4.0, None),
    ],
)
def test_a_price_is_fixed_where_no_request_can_change_it(credits_: Credits, dollars: float | None) -> None:
    """So that the list of prices does not promise what the rule does not keep."""
    assert fixed(credits_, TEXT["model"]) == dollars


async def test_two_tasks_of_one_model_have_different_prices(fox: Emulator) -> None:
    """Each reply tells its own; the ledger has both, and their sum."""
    async with session(fox) as web:
        cheap, dear = [await submit(web, KLING | {"duration": seconds}) for seconds in (5, 10)]
        seen = await poll(web, dear["id"])

    assert [told["usage"]["credits_reserved"] for told in (cheap, dear, seen)] == [11, 21, 21]
    assert [record.credits for record in fox.ledger.tasks.values()] == [11, 21]
    assert fox.ledger.reserved == 32
    assert [task["credits"] for task in fox.ledger.as_json()["tasks"]] == [11, 21]


async def test_a_function_may_set_the_price() -> None:
    """From the decoded body; None is no price."""
    prices = {"a": 1.5, "b": 2.25}
    async with Emulator(render=False, strict=False, credits=lambda body: prices.get(body["model"])) as fox:
        async with session(fox) as web:
            told = [await submit(web, {"model": model}) for model in "abc"]

        assert [reply.get("usage", {}).get("credits_reserved") for reply in told] == [1.5, 2.25, None]
        assert "usage" not in told[2]
        assert fox.ledger.reserved == 3.75


@pytest.mark.parametrize(
    ("from_when", "told"),
    [
        ("submit", [12.5, 12.5, 12.5]),
        ("poll", [None, 12.5, 12.5]),
        ("end", [None, None, 12.5]),
        ("never", [None, None, None]),
    ],
)
async def test_credits_are_told_from_a_moment_on(from_when: Any, told: list[float | None]) -> None:  # noqa: ANN401
    """In the reply to the submission, in a query, or at the end alone; what is reserved is the same."""
    async with Emulator(render=False, credits_told=from_when) as fox:
        async with session(fox) as web:
            submitted = await submit(web, TEXT)
            running = await poll(web, submitted["id"])
            fox.finish(submitted["id"])
            ended = await poll(web, submitted["id"])

        replies = (submitted, running, ended)
        assert [reply.get("usage", {}).get("credits_reserved") for reply in replies] == told
        assert (running["status"], ended["status"]) == ("pending", "completed")
        assert fox.ledger.reserved == 12.5


def test_a_moment_that_does_not_exist_is_refused() -> None:
    """With those that do."""
    with pytest.raises(ValueError, match="credits_told: 'later' is none of submit, poll, end, never"):
        Emulator(credits_told="later")  # type: ignore[arg-type]


async def test_every_charge_has_its_credits(tmp_path: Path) -> None:
    """Told or not, lost reply or not; a refusal is no charge."""
    path = tmp_path / "ledger"
    async with (
        Emulator(render=False, strict=False, credits=TARIFF, credits_told="never", ledger=path) as fox,
        session(fox) as web,
    ):
        assert "usage" not in await submit(web, KLING)
        fox.fail_next("submit", Fault("empty", after=True))
        fox.fail_next("submit", Fault("rate_limit"))
        for body in (KLING | {"duration": 10}, KLING):
            async with web.post(SUBMIT, json=body):
                pass
        await submit(web, {"model": "a-model-of-tomorrow"})

        assert [charge.credits for charge in read_charges(path)] == [11, 21, None]
        assert fox.ledger.reserved == 32


async def test_the_account_shows_what_was_really_reserved(fox: Emulator) -> None:
    """The sum of all tasks, until the ledger is reset."""
    async with session(fox) as web:
        for body in (KLING, TEXT, KLING | {"duration": 10}, {"model": "a-model-of-tomorrow"}):
            await submit(web, body)
        async with web.get("/v1/account/credits") as reply:
            credits_ = (await reply.json())["data"]["token"]
        async with web.get("/api/usage/token/") as reply:
            quota = (await reply.json())["data"]["total_used"]
        async with web.post("/_emulator/reset") as reply:
            assert (await reply.json())["reserved"] == 0

    assert credits_ == {"remaining_credits": 99_961, "used_credits": 39}
    assert quota == 39 * 5_000


async def test_the_list_of_prices_has_none_for_a_model_that_is_metered(fox: Emulator) -> None:
    """Those with a price of their own have it, in dollars."""
    async with session(fox) as web, web.get("/api/pricing") as reply:
        listed = {price["model_name"]: price for price in (await reply.json())["data"]}

    assert (listed[TEXT["model"]]["quota_type"], listed[TEXT["model"]]["model_price"]) == (1, 0.07)
    assert (listed["veo-3.1"]["quota_type"], listed["veo-3.1"]["model_price"]) == (0, 0)
