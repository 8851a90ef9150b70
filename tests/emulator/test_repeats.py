"""Ids of the emulator that come twice, and refusals that made a task after all: what it costs to believe replies."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from foxvideo.emulator import FALSE_REFUSALS, Emulator, Fault, Faults, read_charges

SUBMIT = "/v1/videos/generations"
TEXT = {"model": "grok-imagine-text-to-video", "prompt": "A kite"}
OTHER = TEXT | {"prompt": "A fox"}
KEY = "shot-17.attempt_1"


def session(fox: Emulator) -> aiohttp.ClientSession:
    """Return a session that holds the key."""
    return aiohttp.ClientSession(
        fox.base_url, headers={"Authorization": f"Bearer {fox.api_key}", "User-Agent": "foxvideo/1.0"}
    )


@pytest.fixture
async def fox() -> AsyncIterator[Emulator]:
    """An emulator whose videos are not drawn."""
    async with Emulator(render=False) as emulator:
        yield emulator


@pytest.fixture
async def web(fox: Emulator) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with it."""
    async with session(fox) as made:
        yield made


@pytest.fixture
async def twin() -> AsyncIterator[Emulator]:
    """An emulator that heeds the header Idempotency-Key."""
    async with Emulator(render=False, idempotent=True) as emulator:
        yield emulator


@pytest.fixture
async def twin_web(twin: Emulator) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with it."""
    async with session(twin) as made:
        yield made


async def submit(
    web: aiohttp.ClientSession, body: Mapping[str, Any] = TEXT, key: str | None = None
) -> tuple[int, dict[str, Any], bool]:
    """Submit, and return status, reply, and whether it calls itself a replay."""
    headers = {} if key is None else {"Idempotency-Key": key}
    async with web.post(SUBMIT, json=body, headers=headers) as reply:
        return reply.status, await reply.json(), reply.headers.get("idempotency-replayed") == "true"


async def test_an_idempotency_key_is_not_heeded_by_default(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """As FoxAPI has none: two submissions, two tasks."""
    (_, first, _), (_, second, replayed) = [await submit(web, key=KEY) for _ in range(2)]

    assert first["id"] != second["id"]
    assert (fox.ledger.charged, fox.ledger.replayed, replayed) == (2, 0, False)


async def test_a_repeated_key_is_answered_with_the_first_task(twin: Emulator, twin_web: aiohttp.ClientSession) -> None:
    """Its reply again, with a header that says so, and nothing charged."""
    first, second = [await submit(twin_web, key=KEY) for _ in range(2)]

    assert first == (200, first[1], False)
    assert second == (200, first[1], True)
    assert (twin.ledger.submitted, twin.ledger.charged, twin.ledger.reserved, twin.ledger.replayed) == (2, 1, 12.5, 1)


async def test_other_keys_and_none_make_tasks_of_their_own(twin: Emulator, twin_web: aiohttp.ClientSession) -> None:
    """A key belongs to one task."""
    ids = [(await submit(twin_web, key=key))[1]["id"] for key in (KEY, KEY + "b", None, None)]

    assert len(set(ids)) == twin.ledger.charged == 4


async def test_a_key_with_another_body_is_a_conflict(twin: Emulator, twin_web: aiohttp.ClientSession) -> None:
    """Nothing is made of it."""
    await submit(twin_web, key=KEY)

    status, told, _ = await submit(twin_web, OTHER, key=KEY)

    assert (status, told["error"]["code"], twin.ledger.charged) == (409, "idempotency_conflict", 1)


@pytest.mark.parametrize("key", ["short", "x" * 97, "sixteen letters!"])
async def test_a_key_of_another_form_is_refused(twin: Emulator, twin_web: aiohttp.ClientSession, key: str) -> None:
    """It is 16 to 96 letters, digits, dots, underscores and hyphens."""
    status, told, _ = await submit(twin_web, key=key)

    assert (status, told["error"]["type"], twin.ledger.charged) == (400, "invalid_request_error", 0)


async def test_a_key_finds_the_task_whose_reply_was_lost(twin: Emulator, twin_web: aiohttp.ClientSession) -> None:
    """That is what keys are for; a submission that was refused has used none up."""
    twin.fail_next("submit", Fault("rate_limit"))
    twin.fail_next("submit", Fault("empty", after=True))
    async with twin_web.post(SUBMIT, json=TEXT, headers={"Idempotency-Key": KEY}) as refused:
        assert refused.status == 429
    async with twin_web.post(SUBMIT, json=TEXT, headers={"Idempotency-Key": KEY}) as lost:
        assert await lost.read() == b""

    _, told, replayed = await submit(twin_web, key=KEY)

    assert (list(twin.ledger.tasks), replayed) == ([told["id"]], True)


@pytest.mark.parametrize("made", [False, True])
async def test_the_outcome_of_a_key_may_be_unknown(twin: Emulator, twin_web: aiohttp.ClientSession, made: bool) -> None:
    """409 paid_outcome_unknown is scripted like any error, with a task behind it or without."""
    twin.fail_next("submit", Fault("error", status=409, code="paid_outcome_unknown", after=made))

    status, told, _ = await submit(twin_web, key=KEY)

    assert (status, told["error"]["code"], twin.ledger.charged) == (409, "paid_outcome_unknown", made)


async def test_the_next_submissions_get_the_last_id(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """Whatever they ask for, and no task is made."""
    _, first, _ = await submit(web)
    fox.fail_next("submit", Fault("same_id"), times=2)

    told = [(await submit(web, body))[1] for body in (TEXT, OTHER, OTHER)]

    assert told[:2] == [first, first]
    assert told[2]["id"] != first["id"]
    assert (fox.ledger.submitted, fox.ledger.charged, fox.ledger.replayed) == (4, 2, 2)


async def test_an_id_that_repeats_may_hide_a_task(web: aiohttp.ClientSession, fox: Emulator) -> None:
    """It is charged all the same, under an id that nobody is told."""
    _, first, _ = await submit(web)
    fox.fail_next("submit", Fault("same_id", after=True))

    _, told, _ = await submit(web, OTHER)

    assert told == first
    assert [record.body for record in fox.ledger.tasks.values()] == [TEXT, OTHER]
    assert (fox.ledger.charged, fox.ledger.reserved, fox.ledger.replayed) == (2, 25.0, 1)


async def test_a_refusal_is_not_answered_with_the_last_id(web: aiohttp.ClientSession, fox: Emulator) -> None:
    """Where the work is done first, it decides."""
    await submit(web)
    fox.fail_next("submit", Fault("same_id", after=True))

    status, _, _ = await submit(web, {"model": "veo-3.1"})

    assert (status, fox.ledger.charged, fox.ledger.replayed) == (422, 1, 0)


@pytest.mark.parametrize("after", [False, True])
async def test_the_first_submission_has_no_id_to_repeat(fox: Emulator, web: aiohttp.ClientSession, after: bool) -> None:
    """It makes its task as ever."""
    fox.fail_next("submit", Fault("same_id", after=after))

    _, told, _ = await submit(web)

    assert (list(fox.ledger.tasks), fox.ledger.replayed) == ([told["id"]], 0)


def test_only_submissions_can_repeat_an_id() -> None:
    """A plan or a script that says otherwise is refused."""
    with pytest.raises(ValueError, match="poll: same_id is for submissions alone"):
        Faults(poll={Fault("same_id"): 0.1})
    with pytest.raises(ValueError, match="upload: same_id is for submissions alone"):
        Emulator().fail_next("upload", Fault("same_id"))


@pytest.mark.parametrize("name", FALSE_REFUSALS)
async def test_a_false_refusal_has_made_and_charged_a_task(name: str, tmp_path: Path) -> None:
    """Its words are those of an honest one."""
    fault = FALSE_REFUSALS[name]
    path = tmp_path / "ledger"
    async with Emulator(render=False, ledger=path) as fox, session(fox) as web:
        fox.fail_next("submit", fault)
        fox.fail_next("submit", Fault(fault.how, status=fault.status, code=fault.code, retry_after=fault.retry_after))
        false, honest = [await submit(web) for _ in range(2)]

        assert false == honest
        assert (false[0], false[1]["error"]["type"]) in (
            (429, "rate_limit_error"),
            (422, "service_unavailable_error"),
        )
        assert (fox.ledger.submitted, fox.ledger.charged) == (2, 1)
        assert [charge.id for charge in read_charges(path)] == list(fox.ledger.tasks)


async def test_false_refusals_may_come_by_chance() -> None:
    """A plan has them like all faults, so that it shows what it costs to trust refusals."""
    plan = Faults(submit=dict.fromkeys(FALSE_REFUSALS.values(), 0.2))
    async with Emulator(render=False, faults=plan) as fox, session(fox) as web:
        statuses = [(await submit(web))[0] for _ in range(40)]

    assert {200, 422, 429} == set(statuses)
    assert fox.ledger.charged == 40


async def test_a_429_may_ask_for_no_pause_at_all(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """Retry-After: 0."""
    fox.fail_next("submit", Fault("rate_limit", retry_after="0"))

    async with web.post(SUBMIT, json=TEXT) as reply:
        assert (reply.status, reply.headers["Retry-After"]) == (429, "0")
