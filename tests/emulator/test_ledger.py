"""The ledger on disk: what was charged, whoever has died since."""

import hashlib
import json
from pathlib import Path

import pytest

from foxvideo import Client, Every, GrokTextToVideo, InsufficientCredits, Request, SubmitUncertain
from foxvideo._wire.encode import encode
from foxvideo.emulator import Emulator, Fault, read_charges

SHOT = GrokTextToVideo(prompt="A fox trots through snow")


async def test_every_charge_is_a_line_that_tells_which_submit_it_was(tmp_path: Path) -> None:
    """Its idempotency key is the token of the journal's row, its fingerprint that of the body."""
    async with (
        Emulator(seconds=5.0, render=False, ledger=tmp_path / "ledger") as fox,
        Client(fox.api_key, fox.base_url, schedule=Every(2), journal=tmp_path / "videos.db") as client,
    ):
        video = await client.generate(SHOT, key="shot-1")
        (row,) = await client.history()

    (charge,) = read_charges(tmp_path / "ledger")

    assert (charge.id, charge.model, charge.prompt) == (video.id, SHOT.model, SHOT.prompt)
    assert charge.idempotency_key == row.token
    assert charge.fingerprint == row.fingerprint == hashlib.sha256(encode(SHOT, {})).hexdigest()
    assert charge.time == pytest.approx(row.accepted, abs=60)
    assert fox.api_key not in (tmp_path / "ledger").read_text()


async def test_a_charge_is_on_disk_before_its_reply(tmp_path: Path) -> None:
    """Whether the reply arrives or not; what made nothing is not there."""
    async with (
        Emulator(seconds=5.0, render=False, ledger=tmp_path / "ledger") as fox,
        Client(fox.api_key, fox.base_url) as client,
    ):
        fox.fail_next("submit", Fault("reset", after=True))
        with pytest.raises(SubmitUncertain):
            await client.generate(SHOT)
        assert len(read_charges(tmp_path / "ledger")) == 1
        fox.fail_next("submit", Fault("error", status=402))
        with pytest.raises(InsufficientCredits):
            await client.generate(SHOT)
    assert [charge.prompt for charge in read_charges(tmp_path / "ledger")] == [SHOT.prompt]


async def test_another_emulator_goes_on_with_a_ledger(tmp_path: Path) -> None:
    """It is only added to, and no id is given twice, even within a second and with the same seed."""
    for _ in range(2):
        async with (
            Emulator(seconds=5.0, render=False, ledger=tmp_path / "ledger") as fox,
            Client(fox.api_key, fox.base_url, schedule=Every(2)) as client,
        ):
            await client.generate(SHOT)
        assert fox.ledger.charged == 1
    first, second = read_charges(tmp_path / "ledger")
    assert first.id.rpartition("-")[2] != second.id.rpartition("-")[2]


async def test_a_task_without_a_prompt_is_charged_too(tmp_path: Path) -> None:
    """Its prompt is null."""
    async with (
        Emulator(seconds=5.0, render=False, strict=False, ledger=tmp_path / "ledger") as fox,
        Client(fox.api_key, fox.base_url, schedule=Every(2)) as client,
    ):
        await client.generate(Request("a-model"), check=False)
    assert json.loads((tmp_path / "ledger").read_text())["prompt"] is None


def test_a_ledger_that_does_not_exist_has_no_charges(tmp_path: Path) -> None:
    """Nothing was charged yet."""
    assert read_charges(tmp_path / "ledger") == ()


@pytest.mark.parametrize("text", ["no JSON\n", '{"id": "task-1"}\n', "[1]\n"])
def test_what_is_no_ledger_is_refused(text: str, tmp_path: Path) -> None:
    """Its path is named."""
    (tmp_path / "ledger").write_text(text)
    with pytest.raises(ValueError, match="ledger is no ledger of the emulator"):
        read_charges(tmp_path / "ledger")
