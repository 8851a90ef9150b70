"""What a key has left and what things cost, in whatever shape the service tells it."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from foxvideo import AuthenticationError, BadReply, Client, GrokTextToVideo, Request, ServiceUnavailable
from foxvideo._wire.reply import Answer, NoReply, Reply
from foxvideo.account import Balance, Price, Prices
from foxvideo.emulator import Emulator, Fault

SAMPLES = Path(__file__).parent / "samples"
NONE = NoReply(sent=True, reason="reset")


def sample(name: str) -> Reply:
    """Return a recorded body as a reply."""
    return Reply(200, {}, (SAMPLES / f"{name}.json").read_bytes())


def reply(told: object, status: int = 200) -> Reply:
    """Return a reply with this JSON."""
    return Reply(status, {}, json.dumps(told).encode())


def prices(price: dict[str, Any], **ratios: object) -> Prices:
    """Return a price list of one model."""
    row = {"model_name": "m", "quota_type": 1, "model_price": 0.3, "enable_groups": ["default"]}
    return Prices.read(reply({"data": [row | price], "group_ratio": ratios}))


def _read(usage: Answer, credits_: Answer) -> Balance:
    """Return the balance that the answers to both queries tell."""
    return Balance.of(Balance.read_usage(usage), Balance.read_credits(credits_))


# --- The balance ---


@pytest.mark.parametrize("name", ["account-usage-bare", "account-usage-wrapped"])
def test_a_balance_is_read_bare_or_wrapped(name: str) -> None:
    """In units of quota, and in dollars."""
    balance = _read(sample(name), NONE)

    assert balance == Balance(
        name="kite",
        total_granted=5_000_000,
        total_used=250_000,
        total_available=4_750_000,
        unlimited=False,
        expires_at=None,
    )
    assert balance.dollars == 9.5


def test_the_credits_are_kept_as_they_came() -> None:
    """Their fields are documented nowhere."""
    balance = _read(sample("account-usage-bare"), sample("account-credits-evolink"))

    assert balance.credits == json.loads((SAMPLES / "account-credits-evolink.json").read_bytes())
    assert "70.5" not in repr(balance)


@pytest.mark.parametrize("answer", [NONE, reply({"error": "none"}, 404), reply([]), Reply(200, {}, b"<html>")])
def test_without_credits_the_balance_is_told_all_the_same(answer: Answer) -> None:
    """The route that has them may not be there."""
    balance = _read(sample("account-usage-bare"), answer)

    assert balance.credits is None
    assert balance.dollars == 9.5


def test_a_key_may_have_no_limit_and_an_end() -> None:
    """Then nothing is left to count."""
    balance = _read(reply({"unlimited_quota": True, "expires_at": 1_800_000_000}), NONE)

    assert (balance.unlimited, balance.dollars, balance.name) == (True, None, None)
    assert balance.expires_at == dt.datetime(2027, 1, 15, 8, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize("expires", [0, -1, None, "never", 1e30])
def test_a_key_that_never_dies_says_so_in_many_ways(expires: object) -> None:
    """Zero or below, by what public clients read."""
    assert _read(reply({"total_available": 1, "expires_at": expires}), NONE).expires_at is None


@pytest.mark.parametrize("told", [{}, [], {"success": False, "message": "no such token"}, {"data": {"name": "kite"}}])
def test_a_reply_without_an_allowance_is_no_balance(told: object) -> None:
    """And no zero."""
    with pytest.raises(BadReply, match="none of total_available, unlimited_quota in the reply"):
        _read(reply(told), NONE)


# --- Prices ---


def test_a_price_list_is_read() -> None:
    """A fixed price, times the ratio of the group."""
    read = Prices.read(sample("pricing"))

    assert read.models == {"grok-imagine-text-to-video": Price(per_call=0.3, groups=("default",))}
    assert read.estimate(GrokTextToVideo(prompt="A kite")) == 0.3
    assert read.estimate(Request("grok-imagine-text-to-video", prompt="A kite")) == 0.3


@pytest.mark.parametrize(
    ("price", "ratios", "group", "expected"),
    [
        ({}, {"default": 2}, None, 0.6),
        ({}, {"default": 2, "vip": 1}, None, 0.6),
        ({}, {"default": 2, "vip": 1}, "vip", 0.3),
        ({"enable_groups": ["default", "vip"]}, {"default": 2, "vip": 2}, None, 0.6),
        ({"enable_groups": []}, {"default": 2}, None, 0.6),
        ({"enable_groups": None}, {}, None, None),
        ({"model_price": 0}, {"default": 2}, None, 0.0),
        ({"enable_groups": ["default", "vip"]}, {"default": 2, "vip": 1}, None, None),
        ({"enable_groups": ["other"]}, {"default": 2}, None, None),
        ({}, {"default": 2}, "other", None),
        ({}, {"default": "twice"}, "default", None),
        ({"quota_type": 0, "model_ratio": 7}, {"default": 1}, None, None),
        ({"quota_type": None}, {"default": 1}, None, None),
        ({"model_price": None}, {"default": 1}, None, None),
        ({"model_name": "another"}, {"default": 1}, None, None),
    ],
)
def test_an_estimate_is_what_the_list_says_or_none(
    price: dict[str, Any], ratios: dict[str, object], group: str | None, expected: float | None
) -> None:
    """Never a guess: not where groups differ and the key's is not known."""
    assert prices(price, **ratios).estimate(Request("m"), group=group) == expected


@pytest.mark.parametrize("model", ["sora-2-pro", "veed-subtitles", "lipsync-2", "sora-2-pro[1080p]"])
def test_there_is_no_estimate_where_the_page_says_that_the_price_depends_on_more(model: str) -> None:
    """Whatever the list says of the model."""
    assert prices({"model_name": model}, default=1).estimate(Request(model)) is None


def test_there_is_no_estimate_where_the_list_has_tiers_of_the_model() -> None:
    """The request may be any of them; a tier that is asked for by its own id has its price."""
    rows = [
        {"model_name": name, "quota_type": 1, "model_price": 1, "enable_groups": ["default"]} for name in ("m", "m[4k]")
    ]
    read = Prices.read(reply({"data": rows, "group_ratio": {"default": 1}}))

    assert read.estimate(Request("m")) is None
    assert read.estimate(Request("m[4k]")) == 1


def test_rows_that_make_no_sense_are_left_out() -> None:
    """The others are read."""
    rows: list[object] = [None, 7, [], {}, {"model_name": ""}, {"model_name": "m", "quota_type": 1, "model_price": 1}]

    assert Prices.read(reply({"data": rows})).models == {"m": Price(per_call=1)}


@pytest.mark.parametrize("told", [{}, [], {"data": None}, {"data": {"m": 1}}])
def test_a_reply_without_a_list_is_no_price_list(told: object) -> None:
    """And no empty one."""
    with pytest.raises(BadReply, match="no list in the reply"):
        Prices.read(reply(told))


# --- By a client ---


async def test_a_client_asks_for_the_balance(client: Client, fox: Emulator) -> None:
    """It shrinks with each task."""
    assert (await client.balance()).dollars == 1000
    await client.generate(GrokTextToVideo(prompt="A kite"))
    balance = await client.balance()

    assert balance.dollars == 1000 - 0.125
    assert balance.credits == {"data": {"token": {"remaining_credits": 99_987.5, "used_credits": 12.5}}}
    assert fox.ledger.strays == []


async def test_a_client_asks_for_the_prices(client: Client) -> None:
    """A request says what it costs, where it can be said."""
    read = await client.prices()

    assert read.estimate(GrokTextToVideo(prompt="A kite")) == 0.125
    assert read.estimate(Request("veo-3.1", prompt="A kite")) == 0.125
    assert read.estimate(Request("sora-2-pro", prompt="A kite")) is None
    assert read.estimate(Request("a-model-of-tomorrow")) is None


async def test_what_goes_wrong_is_raised(client: Client, fox: Emulator) -> None:
    """Once it has lasted: a read that fails is repeated for some seconds."""
    fox.fail_next("account", Fault("error", status=500))
    assert (await client.balance()).dollars is not None
    fox.fail_next("account", Fault("error", status=500), times=99)
    with pytest.raises(ServiceUnavailable):
        await client.balance()
    with pytest.raises(ServiceUnavailable):
        await client.prices()
    async with Client("sk-another", fox.base_url) as stranger:
        with pytest.raises(AuthenticationError):
            await stranger.balance()
