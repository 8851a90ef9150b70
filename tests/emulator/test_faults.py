"""How the emulator breaks answers: values, the script, and each way on the wire."""

import asyncio
import errno
from collections import Counter
from collections.abc import AsyncIterator

import aiohttp
import attrs
import pytest

from foxvideo.emulator import Emulator, Fault, Faults
from foxvideo.emulator.faults import Kind, Script

TEXT = {"model": "grok-imagine-text-to-video", "prompt": "A kite"}
SUBMIT = "/v1/videos/generations"
RESET = Fault("reset")
ERROR = Fault("error")


@pytest.fixture
async def fox() -> AsyncIterator[Emulator]:
    """An emulator whose videos are not drawn."""
    async with Emulator(render=False) as emulator:
        yield emulator


@pytest.fixture
async def web(fox: Emulator) -> AsyncIterator[aiohttp.ClientSession]:
    """A session that holds the key."""
    headers = {"Authorization": f"Bearer {fox.api_key}", "User-Agent": "foxvideo/1.0"}
    async with aiohttp.ClientSession(fox.base_url, headers=headers) as made:
        yield made


async def models(web: aiohttp.ClientSession) -> tuple[int, bytes, str]:
    """Ask for the list of models and return status, body and Retry-After or Location."""
    async with web.get("/v1/models", allow_redirects=False) as reply:
        extra = reply.headers.get("Retry-After") or reply.headers.get("Location") or ""
        return reply.status, await reply.read(), extra


def test_a_fault_must_be_one_of_the_known_ways() -> None:
    """A slip of the pen is no plan."""
    with pytest.raises(ValueError, match="how"):
        Fault("explode")  # type: ignore[arg-type]


def test_a_fault_is_a_frozen_key() -> None:
    """It serves as a key of a plan."""
    assert {Fault("error", status=503): 1}[Fault("error", status=503)] == 1
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        RESET.how = "hang"  # type: ignore[misc]


@pytest.mark.parametrize("rates", [{RESET: 0.6, ERROR: 0.5}, {RESET: -0.1}])
@pytest.mark.parametrize("kind", ["submit", "poll", "upload", "result"])
def test_rates_must_be_chances(kind: str, rates: dict[Fault, float]) -> None:
    """None negative, one at most in all."""
    with pytest.raises(ValueError, match=f"{kind}: rates must not be negative and add up to at most 1"):
        Faults(**{kind: rates})  # type: ignore[arg-type]


def test_scripted_faults_are_used_up_first_and_in_order() -> None:
    """Then the plan draws."""
    script = Script(Faults(poll={RESET: 1.0}))
    script.add("poll", ERROR, 2)
    script.add("poll", Fault("hang"), 1)

    assert [script.take("poll") for _ in range(4)] == [ERROR, ERROR, Fault("hang"), RESET]


def test_a_kind_without_a_plan_never_breaks() -> None:
    """Nor does one that a plan cannot speak of."""
    script = Script(Faults(poll={RESET: 1.0}))
    kinds: list[Kind] = ["submit", "models"]

    assert [script.take(kind) for kind in kinds] == [None, None]


def test_the_plan_breaks_as_many_as_it_says_and_the_same_ones_again() -> None:
    """Seeded."""
    plan = Faults(seed=3, submit={RESET: 0.3, ERROR: 0.2})
    first, again = Script(plan), Script(plan)

    drawn = [first.take("submit") for _ in range(2000)]

    assert drawn == [again.take("submit") for _ in range(2000)]
    share = {fault: count / 2000 for fault, count in Counter(drawn).items()}
    assert share == pytest.approx({RESET: 0.3, ERROR: 0.2, None: 0.5}, abs=0.04)


def test_a_cleared_script_keeps_its_plan() -> None:
    """Only what was scripted goes."""
    script = Script(Faults(poll={RESET: 1.0}))
    script.add("poll", ERROR, 1)

    script.clear()

    assert script.take("poll") == RESET


@pytest.mark.parametrize(
    ("fault", "status", "part", "header"),
    [
        (Fault("error"), 500, b'"type":"server_error"', ""),
        (Fault("error", status=402), 402, b'"type":"insufficient_quota"', ""),
        (Fault("error", status=503, retry_after="7"), 503, b'"type":"service_unavailable"', "7"),
        (
            Fault("error", status=422, code="no_compatible_channel"),
            422,
            b'"type":"service_unavailable_error","code":"no_compatible_channel"',
            "",
        ),
        (Fault("html", status=502), 502, b"Bad Gateway <span>Error code 502", ""),
        (Fault("html", status=524), 524, b"Unknown error <span>Error code 524", ""),
        (Fault("garbage"), 200, b"\xff\x00", ""),
        (Fault("empty"), 200, b"", ""),
        (Fault("rate_limit"), 429, b'"type":"rate_limit_error"', ""),
        (
            Fault("rate_limit", retry_after="Wed, 21 Oct 2026 07:28:00 GMT"),
            429,
            b"rate_limit_error",
            "Wed, 21 Oct 2026 07:28:00 GMT",
        ),
        (Fault("redirect"), 307, b"", "{base_url}/elsewhere"),
        (Fault("redirect", status=301), 301, b"", "{base_url}/elsewhere"),
        (Fault("cloudflare"), 403, b"error code: 1010", ""),
    ],
)
async def test_an_answer_breaks_in_words(
    web: aiohttp.ClientSession, fox: Emulator, *, fault: Fault, status: int, part: bytes, header: str
) -> None:
    """A whole answer, but not the right one."""
    fox.fail_next("models", fault)

    got = await models(web)

    assert got == (status, got[1], header.format(base_url=fox.base_url))
    assert part in got[1]


async def test_a_reset_reaches_the_other_side_as_a_reset(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """Not as an orderly end. It is a POST, since aiohttp repeats a GET unseen."""
    fox.fail_next("submit", RESET)

    with pytest.raises(aiohttp.ClientOSError) as caught:
        await web.post(SUBMIT, json=TEXT)

    assert caught.value.errno == errno.ECONNRESET


async def test_half_a_body_ends_before_its_length(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """The headers are whole."""
    fox.fail_next("models", Fault("half_body"))

    with pytest.raises(aiohttp.ClientPayloadError):
        await models(web)


async def test_a_hanging_answer_never_comes(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """The other side has to give up."""
    fox.fail_next("models", Fault("hang"))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await models(web)


@pytest.mark.parametrize("how", ["reset", "error", "half_body", "garbage", "empty"])
@pytest.mark.parametrize("after", [False, True])
async def test_a_broken_submit_has_made_a_task_or_not(
    fox: Emulator, web: aiohttp.ClientSession, how: str, after: bool
) -> None:
    """The purse knows, the answer does not tell."""
    fox.fail_next("submit", Fault(how, after=after))  # type: ignore[arg-type]

    try:
        async with web.post(SUBMIT, json=TEXT) as reply:
            text = await reply.text(errors="replace")
    except aiohttp.ClientError:
        text = ""

    assert "created" not in text
    assert (fox.ledger.submitted, fox.ledger.charged, len(fox.ledger.tasks)) == (1, after, after)


async def test_a_submit_that_is_refused_is_refused_although_it_was_to_break_later(
    fox: Emulator, web: aiohttp.ClientSession
) -> None:
    """There is no reply to break."""
    fox.fail_next("submit", Fault("reset", after=True))

    async with web.post(SUBMIT, json={"model": "veo-3.1"}) as reply:
        assert reply.status == 422


async def test_a_broken_poll_counts_and_the_next_is_whole(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """A read that fails is not a video that failed."""
    async with web.post(SUBMIT, json=TEXT) as reply:
        path = f"/v1/tasks/{(await reply.json())['id']}"
    fox.fail_next("poll", Fault("html", status=503))

    async with web.get(path) as broken, web.get(path) as whole:
        assert (broken.status, whole.status) == (503, 200)
    assert fox.ledger.polled == 2


async def test_a_broken_video_ends_half_way(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """And is not counted as downloaded."""
    path = await video(fox, web)
    fox.fail_next("result", Fault("half_body"))

    async with web.get(path) as reply:
        assert reply.content_type == "video/mp4"
        with pytest.raises(aiohttp.ClientPayloadError):
            await reply.read()

    assert fox.ledger.downloaded == 0


async def test_a_redirected_video_arrives_in_the_end(fox: Emulator, web: aiohttp.ClientSession) -> None:
    """Result links may redirect, and downloads follow."""
    path = await video(fox, web)
    fox.fail_next("result", Fault("redirect", status=302))

    async with web.get(path) as reply:
        assert (reply.status, len(reply.history)) == (200, 1)

    assert (fox.ledger.downloaded, fox.ledger.strays) == (1, [])


async def video(fox: Emulator, web: aiohttp.ClientSession) -> str:
    """Return the path of a finished video."""
    async with web.post(SUBMIT, json=TEXT) as reply:
        task_id = (await reply.json())["id"]
    fox.finish(task_id)
    async with web.get(f"/v1/tasks/{task_id}?sync_upstream=true") as reply:
        url = (await reply.json())["results"][0]["url"]
    assert isinstance(url, str)
    return url.removeprefix(fox.base_url)
