"""Closing: what is withdrawn, what is waited for, and what is told about the rest."""

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import CoroutineType

import pytest
from aiohttp.web_app import _cached_build_middleware
from waiting import ended, now, warned

import foxvideo
from foxvideo import (
    Client,
    ClientClosed,
    Every,
    FoxError,
    GrokImageToVideo,
    GrokTextToVideo,
    Request,
    SubmitUncertain,
    TaskAbandoned,
    TaskTimeout,
    Video,
    VideoTask,
)
from foxvideo.emulator import Emulator, Fault
from foxvideo.testing import clock as virtual_clock

SHOT = GrokTextToVideo(prompt="A kite")
REFUSED = Request("no-such-model", prompt="A kite")
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(64)


async def sending(client: Client) -> VideoTask:
    """Submit a task and return it as soon as its request is on its way."""
    task = client.submit(SHOT)
    while "being sent" not in repr(task):  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0)
    return task


def others() -> set["asyncio.Task[object]"]:
    """Return all tasks of the loop that run a coroutine of the client."""
    rooms = Path(foxvideo.__file__).parent
    return {
        task
        for task in asyncio.all_tasks()
        if isinstance(work := task.get_coro(), CoroutineType) and Path(work.cr_code.co_filename).parent == rooms
    }


def connected(client: Client) -> bool:
    """Whether a client has sessions open."""
    return client._transport._posts is not None or client._transport._reads is not None


@pytest.fixture
async def slow() -> AsyncIterator[Emulator]:
    """An emulator that takes two seconds for each answer."""
    async with Emulator(seconds=10.0, latency=2.0, render=False) as emulator:
        yield emulator


# --- What is planned, sent, and accepted ---


async def test_what_is_planned_is_withdrawn(fox: Emulator) -> None:
    """Nothing is sent any more, and nothing stays unfinished."""
    client = Client(fox.api_key, fox.base_url)
    tasks = [client.submit(SHOT) for _ in range(50)]
    uploading = client.submit(GrokImageToVideo(prompt="Go", image_url=PICTURE))

    await client.close()

    for task in (*tasks, uploading):
        error = await ended(task)
        assert isinstance(error, ClientClosed)
        assert (error.submitted, error.task_id) == ("no", None)
    assert fox.ledger.submitted == 0
    assert client.unfinished() == ()
    assert not others()


async def test_an_upload_under_way_is_cut(slow: Emulator) -> None:
    """Its task was not submitted, so nothing is lost."""
    client = Client(slow.api_key, slow.base_url)
    task = client.submit(GrokImageToVideo(prompt="Go", image_url=PICTURE))
    await asyncio.sleep(1)

    await client.close()

    assert now() == 1
    assert (await ended(task)).submitted == "no"
    assert not others()


async def test_a_post_in_flight_is_waited_for(slow: Emulator) -> None:
    """Its reply brings the id, which is told."""
    client = Client(slow.api_key, slow.base_url)
    task = await sending(client)

    await client.close()

    assert now() == 2
    error = await ended(task)
    assert isinstance(error, ClientClosed)
    assert ([error.task_id], error.submitted) == (list(slow.ledger.tasks), "yes")
    assert client.unfinished() == (task,)


async def test_a_post_in_flight_that_is_refused_is_not_sent_again(slow: Emulator) -> None:
    """Nothing was made."""
    slow.fail_next("submit", Fault("rate_limit"))
    client = Client(slow.api_key, slow.base_url)
    task = await sending(client)

    await client.close()

    error = await ended(task)
    assert isinstance(error, ClientClosed)
    assert error.submitted == "no"
    assert slow.ledger.submitted == 1
    assert client.unfinished() == ()


async def test_a_post_that_hangs_is_uncertain_after_the_request_timeout(fox: Emulator) -> None:
    """Closing waits no longer than that."""
    fox.fail_next("submit", Fault("hang", after=True))
    client = Client(fox.api_key, fox.base_url, request_timeout=20)
    task = await sending(client)
    await asyncio.sleep(5)

    await client.close()

    assert now() <= 25
    assert isinstance(await ended(task), SubmitUncertain)
    assert client.unfinished() == (task,)


async def test_a_post_that_drips_is_uncertain_after_the_request_timeout() -> None:
    """A reply that comes byte by byte never ends the waiting by itself."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await asyncio.sleep(1)

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    client = Client("sk-1", f"http://{host}:{port}", request_timeout=20)
    task = await sending(client)
    await asyncio.sleep(5)

    await client.close()

    assert now() == pytest.approx(21, abs=1)
    assert "it broke off" in str(await ended(task))
    assert client.unfinished() == (task,)
    await asyncio.sleep(2)
    server.close()
    await server.wait_closed()


async def test_who_waits_for_an_accepted_task_gets_its_id(fox: Emulator) -> None:
    """A client that is closed follows nothing, another one goes on."""
    async with Client(fox.api_key, fox.base_url, schedule=Every(2)) as client:
        task = client.submit(SHOT)
        waiting = asyncio.ensure_future(task)
        await asyncio.sleep(5)
    with pytest.raises(ClientClosed, match=f"the task goes on .{task.id}"):
        await waiting

    async with Client(fox.api_key, fox.base_url, schedule=Every(2)) as other:
        assert isinstance(await other.task(str(task.id)), Video)


async def test_a_query_in_flight_is_cut(slow: Emulator) -> None:
    """It costs nothing, so it is not waited for."""
    async with Client(slow.api_key, slow.base_url, schedule=Every(2)) as client:
        await client.submit(SHOT).wait_accepted()
        await asyncio.sleep(3)
        assert slow.ledger.in_flight == 1

    assert now() == 5
    assert not others()


async def test_unfinished_works_after_closing(slow: Emulator) -> None:
    """It has what may have been paid for."""
    slow.fail_next("submit", Fault("reset", after=True))
    async with Client(slow.api_key, slow.base_url) as client:
        uncertain = client.submit(SHOT)
        accepted = client.submit(SHOT)
        await accepted.wait_accepted()
        client.submit(SHOT)

    assert client.unfinished() == (uncertain, accepted)


# --- What is logged ---


async def test_one_warning_names_every_unfinished_id_and_model(fox: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """Those of uncertain submits, too, as far as they have one."""
    fox.fail_next("submit", Fault("reset", after=True))
    async with Client(fox.api_key, fox.base_url) as client:
        uncertain, *accepted = (client.submit(SHOT) for _ in range(3))
        await ended(uncertain)
        ids = [await task.wait_accepted() for task in accepted]
        caplog.clear()

    model = "(grok-imagine-text-to-video)"
    names = ", ".join([f"an uncertain submission {model}", *(f"{task_id} {model}" for task_id in ids)])
    assert warned(caplog) == [f"closed with 3 unfinished: {names}"]


async def test_the_warning_names_an_id_that_a_broken_reply_showed(
    fox: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """It is uncertain, and worth money."""
    fox.fail_next("submit", Fault("half_body", after=True))
    async with Client(fox.api_key, fox.base_url) as client:
        error = await ended(client.submit(SHOT))
        caplog.clear()

    assert [error.task_id] == list(fox.ledger.tasks)
    assert warned(caplog) == [f"closed with 1 unfinished: {error.task_id} (grok-imagine-text-to-video)"]


async def test_the_warning_names_a_task_that_was_followed_by_its_id(
    fox: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Whose model nobody told."""
    async with Client(fox.api_key, fox.base_url) as first:
        task_id = await first.submit(SHOT).wait_accepted()
    caplog.clear()
    async with Client(fox.api_key, fox.base_url) as client:
        waiting = asyncio.ensure_future(client.task(task_id))
        await asyncio.sleep(1)
    await asyncio.wait([waiting])

    assert isinstance(waiting.exception(), ClientClosed)
    assert warned(caplog) == [f"closed with 1 unfinished: {task_id} (model unknown)"]


async def test_a_timed_out_or_abandoned_task_is_named_as_unfinished(
    fox: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """It may still end, and was paid for."""
    async with Client(fox.api_key, fox.base_url) as client:
        timed_out, abandoned = client.submit(SHOT, timeout=2), client.submit(SHOT)
        assert isinstance(await ended(timed_out), TaskTimeout)
        abandoned.abandon()

    (line,) = warned(caplog)
    assert "closed with 2 unfinished" in line
    assert str(timed_out.id) in line
    assert str(abandoned.id) in line


async def test_failures_that_nobody_looked_at_are_one_warning(fox: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """With the reason of each; those that somebody awaited, read or followed are not among them."""
    async with Client(fox.api_key, fox.base_url, schedule=Every(2)) as client:
        ignored, awaited, read, iterated = (client.submit(SHOT) for _ in range(4))
        refused = client.submit(REFUSED)
        for task in (ignored, awaited, read, iterated):
            fox.fail(await task.wait_accepted(), "moderation", "No kites.")
        await ended(awaited)
        async for _ in iterated:
            pass
        assert read.exception() is not None

    (line,) = warned(caplog)
    assert line.startswith("2 failed and their errors were never retrieved: ")
    assert f"{ignored.id} (grok-imagine-text-to-video): TaskFailed moderation" in line
    assert "a submission (no-such-model): ModelUnavailable model_not_found" in line
    assert refused.done()


async def test_what_the_caller_brought_about_is_no_failure(fox: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """Neither giving up nor closing needs a warning that nobody looked."""
    async with Client(fox.api_key, fox.base_url) as client:
        task = client.submit(SHOT)
        task.abandon()
        client.submit(SHOT)

    assert not warned(caplog)
    assert isinstance(task.exception(), TaskAbandoned)


async def test_a_client_without_unfinished_tasks_closes_silently(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """There is nothing to tell."""
    await client.generate(SHOT)
    await client.close()

    assert not warned(caplog)


# --- Twice, at once, and cut ---


async def test_closing_twice_is_fine(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """The second time nothing happens."""
    await client.submit(SHOT).wait_accepted()
    await client.close()
    await client.close()

    assert len(warned(caplog)) == 1


async def test_closing_at_once_ends_at_once_for_all(slow: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody is told that it is closed before it is."""
    client = Client(slow.api_key, slow.base_url)
    await sending(client)

    async def close() -> float:
        await client.close()
        return now()

    assert await asyncio.gather(*(close() for _ in range(3))) == [2, 2, 2]
    assert len(warned(caplog)) == 1


async def test_a_client_that_nobody_used_can_be_closed() -> None:
    """Nothing was opened, and nothing is begun by it."""
    client = Client("sk-1", "http://127.0.0.1:1")
    await client.close()

    assert isinstance(await ended(client.task("task-unified-1-a")), ClientClosed)
    assert not others()


@pytest.mark.parametrize("again", [0, 2])
@pytest.mark.parametrize("posting", [True, False], ids=["posting", "idle"])
async def test_a_close_that_is_cut_at_any_step_closes_all_the_same(
    slow: Emulator, *, posting: bool, again: int
) -> None:
    """However often: nothing is left on the loop, no connection is open, and no paid task is forgotten."""
    for steps in range(1, 16):
        client = Client(slow.api_key, slow.base_url, schedule=Every(1))
        accepted = client.submit(SHOT)
        await accepted.wait_accepted()
        uploading = client.submit(GrokImageToVideo(prompt="Go", image_url=PICTURE))
        await asyncio.sleep(1.5)  # an upload and a query are on their way
        sent = [await sending(client)] if posting else []
        began = now()
        closing = asyncio.create_task(client.close())
        for pause in (steps, *[1] * again):
            for _ in range(pause):
                await asyncio.sleep(0)
            closing.cancel()
        await asyncio.wait([closing])

        assert now() == began
        assert not others(), steps
        assert not connected(client)
        assert (await ended(accepted)).task_id == accepted.id
        assert (await ended(uploading)).submitted == "no"
        assert all([isinstance(await ended(task), SubmitUncertain) for task in sent])
        assert client.unfinished() == (accepted, *sent)
    gc.collect()  # what was left open warns, and fails this test


async def test_a_close_that_is_cut_lets_the_others_go(slow: Emulator) -> None:
    """They wait for the closing, not for the one who began it."""
    client = Client(slow.api_key, slow.base_url)
    await sending(client)
    first, second = asyncio.create_task(client.close()), asyncio.create_task(client.close())
    await asyncio.sleep(0.5)

    first.cancel()
    await asyncio.wait([first, second])

    assert first.cancelled()
    assert not second.cancelled()
    assert now() == 0.5


async def test_after_closing_no_timer_is_left(fox: Emulator) -> None:
    """Neither deadlines nor queries that were planned, nor those of replies that came while it closed."""
    loop = asyncio.get_running_loop()
    client = Client(fox.api_key, fox.base_url)
    fox.fail_next("poll", Fault("rate_limit", retry_after="100"))
    await client.submit(SHOT).wait_accepted()
    await asyncio.sleep(20)
    await sending(client)

    await client.close()

    timers = [repr(timer) for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
    assert not [timer for timer in timers if "Dispatcher." in timer or "Event.set" in timer]


# --- Unclosed ---


async def test_an_unclosed_client_is_a_resource_warning(fox: Emulator) -> None:
    """With its address, and never its key."""
    client = Client(fox.api_key, fox.base_url)
    task = client.submit(SHOT)
    task.abandon()
    lifecycle = client._engine

    with pytest.warns(ResourceWarning, match="unclosed <Client http://127.0.0.1") as caught:
        del client

    assert fox.api_key not in str(caught[0].message)
    await lifecycle.close()


async def test_a_client_that_nobody_used_need_not_be_closed() -> None:
    """It holds nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client = Client("sk-1")
        del client
        gc.collect()


def test_a_client_that_could_not_be_made_warns_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to close."""
    monkeypatch.delenv("FOXAPI_API_KEY", raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FoxError):
            Client()
        gc.collect()


# --- The end of the loop ---


@pytest.fixture
def unclosed(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Let a test leave open what a loop that ends leaves open, and clear away what holds on to it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        caplog.get_records("call").clear()  # a loop in debug mode logs the error of a connection it was accepting
        _cached_build_middleware.cache_clear()  # aiohttp's, of the emulator's handlers
        gc.collect()


async def opened() -> Client:
    """Return a client of an emulator that lasts as long as the loop and takes two seconds for each answer."""
    fox = await Emulator(seconds=10.0, latency=2.0, render=False).__aenter__()
    return Client(fox.api_key, fox.base_url, schedule=Every(1))


def test_the_end_of_the_loop_while_a_post_is_in_flight_is_uncertain(
    unclosed: None, caplog: pytest.LogCaptureFixture
) -> None:
    """It is recorded and logged, though nobody is left to await it."""
    told: list[str] = []

    async def main() -> tuple[Client, VideoTask]:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(str(context["message"])))
        client = await opened()
        return client, await sending(client)

    client, task = virtual_clock.run(main())

    error = task.exception()
    assert isinstance(error, SubmitUncertain)
    assert "cut on this side" in str(error)
    assert client.unfinished() == (task,)
    assert warned(caplog) == [f"uncertain submission of grok-imagine-text-to-video: {error}"]
    assert not told


@pytest.mark.parametrize("steps", range(10))
def test_the_end_of_the_loop_at_any_step_makes_no_sent_task_certain(unclosed: None, steps: int) -> None:
    """What was cut before its first step was not sent, what was cut after that may have been."""

    async def main() -> tuple[Client, VideoTask]:
        client = await opened()
        task = client.submit(SHOT)
        for _ in range(steps):
            await asyncio.sleep(0)
        return client, task

    client, task = virtual_clock.run(main())

    if not task.done():
        assert "waiting to be sent" in repr(task)
        assert not connected(client)
    elif connected(client):
        assert isinstance(task.exception(), SubmitUncertain)
        assert client.unfinished() == (task,)
    else:
        error = task.exception()
        assert isinstance(error, ClientClosed)
        assert (error.submitted, client.unfinished()) == ("no", ())


def test_the_end_of_the_loop_while_a_query_is_in_flight_keeps_the_task(unclosed: None) -> None:
    """Its id is known."""

    async def main() -> tuple[Client, VideoTask]:
        client = await opened()
        task = client.submit(SHOT)
        await task.wait_accepted()
        await asyncio.sleep(2)
        return client, task

    client, task = virtual_clock.run(main())

    error = task.exception()
    assert isinstance(error, ClientClosed)
    assert (error.task_id, error.submitted) == (task.id, "yes")
    assert client.unfinished() == (task,)


def test_the_end_of_the_loop_while_files_are_uploaded_sends_nothing(unclosed: None) -> None:
    """A repeat is safe."""

    async def main() -> tuple[Client, VideoTask]:
        client = await opened()
        task = client.submit(GrokImageToVideo(prompt="Go", image_url=PICTURE))
        await asyncio.sleep(1)
        return client, task

    client, task = virtual_clock.run(main())

    error = task.exception()
    assert isinstance(error, ClientClosed)
    assert error.submitted == "no"
    assert client.unfinished() == ()


# --- Afterwards ---


async def test_after_closing_every_verb_says_so(fox: Emulator) -> None:
    """And sends nothing."""
    client = Client(fox.api_key, fox.base_url)
    await client.models()
    await client.close()

    with pytest.raises(ClientClosed):
        client.submit(SHOT)
    for verb in (client.generate(SHOT), client.upload(b"x"), client.models(), client.__aenter__()):
        with pytest.raises(ClientClosed):
            await verb
    task = client.task("task-unified-1-a")
    assert isinstance(await ended(task), ClientClosed)
    assert (fox.ledger.submitted, fox.ledger.polled, fox.ledger.uploaded) == (0, 0, 0)
    assert client.unfinished() == ()
    assert not others()


async def test_a_handle_keeps_its_answer_after_closing(fox: Emulator) -> None:
    """Awaited, iterated and by its id."""
    async with Client(fox.api_key, fox.base_url, schedule=Every(2)) as client:
        task = client.submit(SHOT)
        video = await task

    assert await task is video
    assert [state async for state in task] == [task.state]
    assert client.task(video.id) == task


async def test_an_error_in_the_block_closes_the_client(fox: Emulator) -> None:
    """And comes out."""

    async def block() -> None:
        async with Client(fox.api_key, fox.base_url) as client:
            client.submit(SHOT)
            raise LookupError

    with pytest.raises(LookupError):
        await block()
    assert not others()
