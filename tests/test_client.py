"""The client: options, checks, and the public verbs."""

import asyncio
import contextvars
import logging
import socket
import subprocess
import sys
import threading
from typing import Any

import aiohttp
import pytest
from waiting import now

from foxvideo import (
    AuthenticationError,
    Client,
    Every,
    FoxError,
    GrokImageToVideo,
    GrokTextToVideo,
    InvalidRequest,
    SubmitUncertain,
    TaskAbandoned,
    TaskNotFound,
    TaskTimeout,
    Video,
    VideoTask,
)
from foxvideo.emulator import Emulator, Fault

SHOT = GrokTextToVideo(prompt="A kite")
KEY = "sk-very-secret"

caller: contextvars.ContextVar[str] = contextvars.ContextVar("caller", default="nobody")


async def sending(client: Client) -> VideoTask:
    """Return the one task of a client as soon as its request is on its way."""
    while True:
        for task in client.unfinished():
            if "being sent" in repr(task):
                return task
        await asyncio.sleep(0)


# --- Options ---


def test_a_client_is_made_without_a_loop_and_without_io(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module may make it while it is imported."""

    def forbidden(*_: object, **__: object) -> socket.socket:
        raise AssertionError

    monkeypatch.setattr(socket, "socket", forbidden)

    assert not Client(KEY).unfinished()


def test_a_missing_key_raises_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says where to put it."""
    monkeypatch.delenv("FOXAPI_API_KEY", raising=False)

    with pytest.raises(AuthenticationError, match="FOXAPI_API_KEY"):
        Client()
    with pytest.raises(AuthenticationError):
        Client("")
    with pytest.raises(AuthenticationError):
        Client("two words")


async def test_key_and_host_come_from_the_environment(fox: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the command line of the service has them."""
    monkeypatch.setenv("FOXAPI_API_KEY", fox.api_key)
    monkeypatch.setenv("FOXAPI_BASE_URL", fox.base_url)

    async with Client(schedule=Every(2)) as client:
        assert isinstance(await client.generate(SHOT), Video)


def test_arguments_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """And without either there is the service's own address."""
    monkeypatch.delenv("FOXAPI_BASE_URL", raising=False)
    assert repr(Client(KEY)) == "<Client https://api.foxapi.cc 0 unfinished>"
    monkeypatch.setenv("FOXAPI_BASE_URL", "https://env.test")
    assert "https://env.test" in repr(Client(KEY))
    assert "https://argument.test" in repr(Client(KEY, "https://argument.test/"))


@pytest.mark.parametrize(
    "option", ["max_requests", "max_active", "task_timeout", "request_timeout", "poll_timeout", "submit_attempts"]
)
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, "5"])
def test_an_option_out_of_its_range_is_refused(option: str, value: object) -> None:
    """By its name."""
    options: dict[str, Any] = {option: value}

    with pytest.raises(ValueError, match=f"{option} must be a (whole|finite) number .*above 0"):
        Client(KEY, **options)


@pytest.mark.parametrize("option", ["max_requests", "request_timeout", "poll_timeout", "submit_attempts"])
def test_none_is_no_limit_where_that_is_documented_alone(option: str) -> None:
    """Else it would break in the middle of a submit."""
    options: dict[str, Any] = {option: None}

    with pytest.raises(ValueError, match=option):
        Client(KEY, **options)
    Client(KEY, max_active=None, task_timeout=None)


@pytest.mark.parametrize("url", ["ftp://x.test", "https://user:pass@x.test", "https://x.test?a=1", "x.test"])
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    """Before the key could go there."""
    with pytest.raises(ValueError, match="base_url"):
        Client(KEY, url)


async def test_the_repr_counts_what_is_unfinished_and_has_no_key(fox: Emulator) -> None:
    """Until it is closed."""
    client = Client(fox.api_key, fox.base_url)
    client.submit(SHOT)
    assert repr(client) == f"<Client {fox.base_url} 1 unfinished>"
    await client.close()
    assert repr(client) == f"<Client {fox.base_url} closed>"
    assert KEY not in f"{Client(KEY)!r} {vars(Client(KEY))} {Client(KEY)._engine!r}"


# --- Loops ---


def test_verbs_need_a_running_loop() -> None:
    """And say so, instead of starting one."""
    client = Client(KEY)

    with pytest.raises(RuntimeError, match="no running event loop"):
        client.submit(SHOT)
    assert client.unfinished() == ()


async def test_another_loop_is_refused_by_every_verb(client: Client, fox: Emulator) -> None:
    """A client belongs to the loop that used it first."""
    fox.fail_next("submit", Fault("rate_limit", retry_after="60"))
    task = client.submit(SHOT)
    coroutines = [
        client.generate(SHOT),
        client.upload(b"x"),
        client.models(),
        client.close(),
        client.__aenter__(),
        task.wait_accepted(),
    ]

    async def elsewhere() -> list[BaseException | object]:
        said = await asyncio.gather(*coroutines, return_exceptions=True)
        for verb in (lambda: client.submit(SHOT), task.abandon, task.__aiter__):
            with pytest.raises(RuntimeError) as caught:
                verb()
            said.append(caught.value)
        return said

    said = await asyncio.to_thread(asyncio.run, elsewhere())

    assert len(said) == 9
    assert all("this client belongs to another event loop" in str(error) for error in said)
    assert isinstance(await task, Video)
    assert (fox.ledger.charged, fox.ledger.uploaded) == (1, 0)


async def test_a_handle_that_was_refused_in_another_loop_works_in_its_own(client: Client, fox: Emulator) -> None:
    """The refusal leaves no trace."""
    task_id = await client.submit(SHOT).wait_accepted()

    async def wait(task: VideoTask) -> Video:
        return await task

    async with Client(fox.api_key, fox.base_url, schedule=Every(2)) as other:
        task = other.task(task_id)
        with pytest.raises(RuntimeError, match="another event loop"):
            await asyncio.to_thread(asyncio.run, wait(task))

        assert isinstance(await task, Video)


# --- Submit ---


async def test_submit_checks_at_once_and_sends_nothing(client: Client, fox: Emulator) -> None:
    """All faults in one error, raised by the call itself."""
    with pytest.raises(InvalidRequest) as caught:
        client.submit(GrokTextToVideo(prompt="", duration=99))

    assert [fault.field for fault in caught.value.faults] == ["prompt", "duration"]
    assert client.unfinished() == ()
    await asyncio.sleep(1)
    assert fox.ledger.submitted == 0


async def test_submit_takes_the_json_of_the_api(client: Client, fox: Emulator) -> None:
    """A mapping, checked like a request."""
    body = {"model": "grok-imagine-text-to-video", "prompt": "A kite", "duration": 4}
    video = await client.submit(body)

    assert fox.ledger.tasks[video.id].body == body
    with pytest.raises(InvalidRequest, match="duration=99"):
        client.submit(body | {"duration": 99})
    with pytest.raises(InvalidRequest, match="model"):
        client.submit({"prompt": "A kite"})


async def test_unchecked_requests_go_out_as_they_are() -> None:
    """The documentation may be old."""
    async with (
        Emulator(seconds=10.0, strict=False, render=False) as fox,
        Client(fox.api_key, fox.base_url, schedule=Every(2)) as client,
    ):
        video = await client.generate(GrokTextToVideo(prompt="A kite", duration=99), check=False)

        assert fox.ledger.tasks[video.id].body["duration"] == 99


async def test_a_timeout_out_of_range_is_refused(client: Client) -> None:
    """By submit, generate and task alike."""
    with pytest.raises(ValueError, match="timeout must be a finite number of seconds above 0, not 0"):
        client.submit(SHOT, timeout=0)
    with pytest.raises(ValueError, match=r"timeout must be .* above 0, not -1"):
        await client.generate(SHOT, timeout=-1)
    with pytest.raises(ValueError, match=r"timeout must be .* above 0, not nan"):
        client.task("task-unified-1-a", timeout=float("nan"))
    assert client.unfinished() == ()


async def test_the_client_keeps_a_task_whose_handle_is_dropped(client: Client, fox: Emulator) -> None:
    """It is submitted, followed and ends."""
    client.submit(SHOT)
    await asyncio.sleep(5)
    (task,) = client.unfinished()
    await asyncio.sleep(10)

    assert task.done()
    assert client.unfinished() == ()
    assert fox.ledger.charged == 1


async def test_each_submit_carries_an_idempotency_key_of_its_own(client: Client, fox: Emulator) -> None:
    """The same for every attempt at it."""
    fox.fail_next("submit", Fault("rate_limit"))
    await asyncio.gather(client.generate(SHOT), client.generate(SHOT))
    seen = [record.headers["Idempotency-Key"] for record in fox.ledger.tasks.values()]

    assert len(set(seen)) == 2
    assert all(len(key) == 32 for key in seen)


# --- Generate ---


async def test_nothing_happens_until_generate_runs(client: Client, fox: Emulator) -> None:
    """It is a plain coroutine."""
    coroutine = client.generate(SHOT)
    await asyncio.sleep(1)
    assert client.unfinished() == ()
    coroutine.close()
    assert fox.ledger.submitted == 0


async def test_generate_cancelled_before_sending_withdraws() -> None:
    """Nothing reaches the service."""
    async with (
        Emulator(seconds=10.0, render=False) as fox,
        Client(fox.api_key, fox.base_url, schedule=Every(2), max_active=1) as client,
    ):
        first = client.submit(SHOT)
        waiting = asyncio.create_task(client.generate(SHOT))
        await asyncio.sleep(5)
        (planned,) = [task for task in client.unfinished() if task != first]

        waiting.cancel()
        await asyncio.wait([waiting])

        assert waiting.cancelled()
        assert isinstance(planned.exception(), TaskAbandoned)
        assert client.unfinished() == (first,)
        await asyncio.sleep(60)
        assert fox.ledger.submitted == 1


async def test_generate_cancelled_after_sending_goes_on(client: Client, fox: Emulator) -> None:
    """The client remembers the task until it ends."""
    waiting = asyncio.create_task(client.generate(SHOT))
    task = await sending(client)

    waiting.cancel()
    await asyncio.wait([waiting])

    assert waiting.cancelled()
    assert await task.wait_accepted() in fox.ledger.tasks
    assert client.unfinished() == (task,)
    assert isinstance(await task, Video)
    assert client.unfinished() == ()


async def test_generate_cancelled_while_sending_is_not_sent_again(client: Client, fox: Emulator) -> None:
    """A refusal made nothing, and nobody wants it any more."""
    fox.fail_next("submit", Fault("rate_limit", retry_after="5"))
    waiting = asyncio.create_task(client.generate(SHOT))
    task = await sending(client)
    waiting.cancel()
    with pytest.raises(TaskAbandoned, match="nothing was made"):
        await task

    await asyncio.sleep(60)

    assert fox.ledger.submitted == 1
    assert client.unfinished() == ()


async def test_generate_cancelled_between_two_attempts_withdraws(client: Client, fox: Emulator) -> None:
    """What was refused is not sent again."""
    fox.fail_next("submit", Fault("rate_limit", retry_after="30"))
    waiting = asyncio.create_task(client.generate(SHOT))
    await asyncio.sleep(5)

    waiting.cancel()
    await asyncio.sleep(60)

    assert waiting.cancelled()
    assert (fox.ledger.submitted, fox.ledger.charged) == (1, 0)


async def test_generate_cancelled_at_any_step_loses_no_paid_task(client: Client, fox: Emulator) -> None:
    """What was made is known by its id, what was not made is not known."""
    for steps in range(16):
        made = set(fox.ledger.tasks)
        waiting = asyncio.create_task(client.generate(SHOT))
        for _ in range(steps):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(5)
        assert {task.id for task in client.unfinished()} == fox.ledger.tasks.keys() - made, steps
        await asyncio.sleep(20)


async def test_wait_for_around_generate_leaves_the_task_to_be_resumed(client: Client, fox: Emulator) -> None:
    """It was paid for, so it goes on."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.generate(SHOT), 5)

    (task,) = client.unfinished()
    assert isinstance(await client.task(str(task.id)), Video)
    assert fox.ledger.submitted == 1


# --- Task by id ---


async def test_a_task_by_id_asks_nothing_until_it_is_awaited(client: Client, fox: Emulator) -> None:
    """Then it gives the video; it costs nothing."""
    task_id = await client.submit(SHOT).wait_accepted()
    async with Client(fox.api_key, fox.base_url, schedule=Every(2)) as other:
        task = other.task(task_id)
        await asyncio.sleep(60)
        polled = fox.ledger.tasks[task_id].polls
        assert (task.id, task.state, task.request, task.done()) == (task_id, None, None, False)
        assert other.unfinished() == ()
        video = await task

        assert fox.ledger.tasks[task_id].polls == polled + 1
        assert (video.id, video.model, video.request) == (task_id, "grok-imagine-text-to-video", None)
        assert fox.ledger.submitted == 1


def test_a_task_by_id_needs_no_loop() -> None:
    """Until somebody waits for it."""
    assert Client(KEY).task("task-unified-1-a").id == "task-unified-1-a"


async def test_the_same_id_gives_the_same_living_handle(client: Client) -> None:
    """Whether it was submitted here or not."""
    submitted = client.submit(SHOT)
    task_id = await submitted.wait_accepted()
    by_id = client.task("task-unified-1-a")

    assert client.task(task_id) == submitted
    assert client.task("task-unified-1-a") == by_id
    by_id.abandon()


async def test_the_same_id_gives_the_same_ended_handle_while_somebody_holds_it(client: Client, fox: Emulator) -> None:
    """A completed or failed task has one answer."""
    good, bad = client.submit(SHOT, timeout=None), client.submit(SHOT)
    fox.fail(await bad.wait_accepted())
    video = await good
    with pytest.raises(FoxError):
        await bad

    assert client.task(str(good.id)) == good
    assert client.task(str(bad.id)) == bad
    task_id = str(good.id)
    del good
    await asyncio.sleep(0)  # the request that brought it returns
    again = client.task(task_id)
    assert not again.done()
    assert (await again).url == video.url


async def test_after_a_timeout_the_id_gives_a_new_handle(client: Client, fox: Emulator) -> None:
    """One for all who ask, and it goes on."""
    first = client.submit(SHOT, timeout=4)
    with pytest.raises(TaskTimeout) as caught:
        await first
    task_id = str(caught.value.task_id)

    again = client.task(task_id)

    assert again != first
    assert client.task(task_id) == again
    assert client.unfinished() == (first,)
    polled = fox.ledger.polled
    videos = await asyncio.gather(again, client.task(task_id))
    assert videos[0] is videos[1]
    assert fox.ledger.polled - polled <= 4
    assert client.unfinished() == ()


async def test_after_giving_up_the_id_gives_a_new_handle(client: Client) -> None:
    """The old one keeps its end."""
    first = client.submit(SHOT)
    task_id = await first.wait_accepted()
    first.abandon()

    assert isinstance(await client.task(task_id), Video)
    assert isinstance(first.exception(), TaskAbandoned)


async def test_a_new_handle_that_times_out_too_leaves_the_task_unfinished(client: Client) -> None:
    """As often as one asks."""
    first = client.submit(SHOT, timeout=2.5)
    task_id = await first.wait_accepted()
    for _ in range(2):
        with pytest.raises(TaskTimeout):
            await client.task(task_id, timeout=2.5)

    assert [task.id for task in client.unfinished()] == [task_id]


async def test_an_unknown_id_is_not_found_after_a_minute_of_misses(client: Client, fox: Emulator) -> None:
    """One may be a lag; a new handle polls anew, and nothing of it is left: nobody here ever saw such a task."""
    for _ in range(2):
        began, polled = now(), fox.ledger.polled
        with pytest.raises(TaskNotFound, match="task-unified-1-nobody"):
            await client.task("task-unified-1-nobody")
        assert 60 <= now() - began < 180
        assert 3 <= fox.ledger.polled - polled < 20
        assert client.unfinished() == ()


@pytest.mark.parametrize("bad", ["", ".", "..", "a b", "a\nb", "\x00", None, 17])
def test_what_cannot_be_an_id_is_refused(bad: Any) -> None:  # noqa: ANN401 - anything
    """Such as the id of an error that has none."""
    with pytest.raises(ValueError, match="cannot be a task id"):
        Client(KEY).task(bad)


async def test_an_id_cannot_lead_to_another_path(client: Client, fox: Emulator) -> None:
    """It is quoted."""
    with pytest.raises(TaskNotFound):
        await client.task("../models?x=1#y")

    assert not fox.ledger.strays


# --- The other verbs ---


async def test_models_are_listed(client: Client) -> None:
    """Those that this key may call."""
    assert "grok-imagine-text-to-video" in await client.models()


async def test_an_upload_gives_a_link(client: Client, fox: Emulator) -> None:
    """The same bytes are uploaded once."""
    link = await client.upload(b"picture")

    assert link.startswith(fox.base_url)
    assert await client.upload(b"picture") == link
    assert fox.ledger.uploaded == 1


async def test_a_failed_submit_does_not_touch_others(client: Client, fox: Emulator) -> None:
    """Each has its own fate."""
    fox.fail_next("submit", Fault("reset", after=True))
    results = await asyncio.gather(*(client.generate(SHOT) for _ in range(3)), return_exceptions=True)

    assert sorted(type(result).__name__ for result in results) == ["SubmitUncertain", "Video", "Video"]
    (uncertain,) = client.unfinished()
    assert isinstance(uncertain.exception(), SubmitUncertain)


# --- Contexts ---


async def test_a_submit_runs_in_its_callers_context_and_queries_in_none(fox: Emulator) -> None:
    """So traces belong to whoever paid, and no caller is kept alive by a poll."""
    seen: dict[str, list[str]] = {"submit": [], "read": []}

    class Watching(aiohttp.TCPConnector):
        async def connect(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as in aiohttp
            seen["submit" if self.force_close else "read"].append(caller.get())
            return await super().connect(*arguments, **options)

    async def one(client: Client, name: str) -> None:
        caller.set(name)
        await client.generate(SHOT)

    caller.set("opener")
    async with Client(fox.api_key, fox.base_url, schedule=Every(5), connector=Watching) as client:
        await asyncio.gather(*(asyncio.create_task(one(client, name)) for name in "ab"))

    assert sorted(seen["submit"]) == ["a", "b"]
    assert set(seen["read"]) == {"nobody"}


async def test_a_repeated_submit_runs_in_its_callers_context_too(fox: Emulator) -> None:
    """Whoever is about when its time comes."""
    seen: list[str] = []

    class Watching(aiohttp.TCPConnector):
        async def connect(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as in aiohttp
            seen.append(caller.get())
            return await super().connect(*arguments, **options)

    fox.fail_next("submit", Fault("rate_limit", retry_after="5"))
    async with Client(fox.api_key, fox.base_url, connector=Watching) as client:
        caller.set("first")
        task = client.submit(SHOT)
        caller.set("second")
        await task.wait_accepted()

    assert seen == ["first", "first"]


async def test_an_upload_runs_in_its_callers_context(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """As the submit that needs it."""
    seen: list[str] = []

    class Asking(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            if record.getMessage().startswith("uploaded"):
                seen.append(caller.get())
            return True

    caplog.set_level(logging.DEBUG, "foxvideo")
    asking = Asking()
    logging.getLogger("foxvideo").addFilter(asking)
    caller.set("painter")
    await client.submit(GrokImageToVideo(prompt="Go", image_url=b"\x89PNG\r\n\x1a\n")).wait_accepted()
    logging.getLogger("foxvideo").removeFilter(asking)

    assert seen == ["painter"]


def test_a_warning_is_heard_where_nobody_configured_logging() -> None:
    """Python shows warnings of a logger that has no handler on stderr; a handler that does nothing would hide them."""
    program = "import foxvideo, logging; logging.getLogger('foxvideo').warning('paid: task-1')"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 - ours
    assert "paid: task-1" in told.stderr


def test_a_client_can_be_made_in_any_thread() -> None:
    """And used on the loop of that thread."""
    made: list[str] = []

    async def main() -> None:
        async with Emulator(seconds=0.0, render=False) as fox, Client(fox.api_key, fox.base_url) as client:
            made.append(await client.submit(SHOT).wait_accepted())

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    thread.join()

    assert len(made) == 1


@pytest.mark.parametrize("request_", ["A fox", 5, None, GrokTextToVideo])
async def test_what_is_no_request_is_refused_at_once(client: Client, fox: Emulator, request_: Any) -> None:  # noqa: ANN401 - as users pass it
    """By name; not from within, nor later."""
    for verb in (client.submit, client.generate):
        with pytest.raises(TypeError, match="pass a request"):
            await verb(request_)
    assert fox.ledger.charged == 0


@pytest.mark.parametrize("schedule", [5, "fast", Every, object()])
def test_what_is_no_schedule_is_refused_at_once(schedule: Any) -> None:  # noqa: ANN401 - as users pass it
    """A number of seconds is meant by ``Every(5)``."""
    with pytest.raises(ValueError, match=r"such as foxvideo\.Every"):
        Client("sk-1", schedule=schedule)
