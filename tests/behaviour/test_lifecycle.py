"""From submit to the end: deadlines, giving up, failing, and what stays unfinished."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import NoReturn

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from waiting import ended, now

from foxvideo import (
    AuthenticationError,
    Client,
    Every,
    FoxError,
    GrokImageToVideo,
    GrokTextToVideo,
    InvalidRequest,
    ModelUnavailable,
    Request,
    ResultsMissing,
    Schedule,
    ServiceUnavailable,
    Status,
    SubmitUncertain,
    TaskAbandoned,
    TaskCancelled,
    TaskFailed,
    TaskNotFound,
    TaskState,
    TaskTimeout,
    UploadError,
    Video,
    VideoTask,
)
from foxvideo.emulator import Emulator, Fault
from foxvideo.schedule.base import Asked

SHOT = GrokTextToVideo(prompt="A kite")
REFUSED = Request("no-such-model", prompt="A kite")
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(64)


async def until_sending(task: VideoTask) -> None:
    """Wait until a request is on its way."""
    while "being sent" not in repr(task):  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def served(reply: Mapping[str, object]) -> AsyncIterator[str]:
    """Give every request the same reply, and the base URL of where it is given."""

    async def handler(_: web.Request) -> web.Response:
        return web.json_response(reply)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(app) as server:
        yield str(server.make_url(""))


class Lost(aiohttp.TCPConnector):
    """A connector that breaks in a way that nobody foresaw."""

    async def connect(self, *_: object, **__: object) -> NoReturn:
        """Break."""
        raise ZeroDivisionError("aiohttp lost its mind")


@pytest.fixture
async def slow() -> AsyncIterator[Emulator]:
    """An emulator that takes two seconds for each answer."""
    async with Emulator(seconds=10.0, latency=2.0, render=False) as emulator:
        yield emulator


@pytest.fixture
async def patient(slow: Emulator) -> AsyncIterator[Client]:
    """A client of that emulator."""
    async with Client(slow.api_key, slow.base_url, schedule=Every(2)) as client:
        yield client


# --- Asking ---


async def test_a_task_that_is_expected_to_take_long_is_asked_after_late() -> None:
    """As the estimate in the submit's reply has it, until others have ended."""
    polled = []
    for estimate in (30, 300):
        async with (
            Emulator(seconds=1000.0, estimated_time=estimate, render=False) as fox,
            Client(fox.api_key, fox.base_url) as client,
        ):
            await client.submit(SHOT).wait_accepted()
            await asyncio.sleep(30)
            polled.append(fox.ledger.polled)

    assert polled[0] > 3
    assert polled[1] <= 1  # while nothing is known, each task is looked at once before that


async def test_however_many_wait_a_task_is_asked_for_once(client: Client, fox: Emulator) -> None:
    """Who awaits, who iterates, and who comes by id."""
    task = client.submit(SHOT)
    task_id = await task.wait_accepted()

    async def follow() -> None:
        async for _ in client.task(task_id):
            pass

    await asyncio.gather(task, task, client.task(task_id), follow(), follow())

    assert fox.ledger.polled == 5


async def test_completed_without_results_is_asked_once_more_without_sync_upstream() -> None:
    """At once, and then they are there."""
    async with (
        Emulator(seconds=10.0, race=1.0, render=False) as fox,
        Client(fox.api_key, fox.base_url, schedule=Every(2)) as client,
    ):
        states = [state async for state in client.submit(SHOT)]

        assert now() == pytest.approx(10, abs=0.2)
        assert fox.ledger.polled == 6
        assert (states[-2].status, states[-2].status_text) == (Status.PROCESSING, "completed")
        assert states[-1].results


async def test_completed_without_results_for_a_minute_is_an_error_that_can_be_resumed() -> None:
    """The task stays unfinished, for its video was paid for."""
    empty = {"id": "task-1", "status": "completed", "results": []}
    async with served(empty) as base_url, Client("sk-1", base_url, schedule=Every(2)) as client:
        task = client.submit(SHOT)
        error = await ended(task)

        assert isinstance(error, ResultsMissing)
        assert now() == pytest.approx(60, abs=4)
        assert (error.task_id, error.submitted) == ("task-1", "yes")
        assert client.unfinished() == (task,)


async def test_a_submit_whose_reply_is_completed_already_asks_nothing() -> None:
    """The reply has the results."""
    at_once = {"id": "task-1", "status": "completed", "results": [{"url": "http://x.test/a.mp4"}]}
    async with served(at_once) as base_url, Client("sk-1", base_url) as client:
        task = client.submit(SHOT)

        assert (await task).url == "http://x.test/a.mp4"
        assert await task.wait_accepted() == "task-1"
        assert client.unfinished() == ()


async def test_a_submit_whose_reply_is_failed_already_is_a_failed_task() -> None:
    """Accepted, and of no use."""
    at_once = {"id": "task-1", "status": "failed", "usage": {"credits_reserved": 3}}
    async with served(at_once) as base_url, Client("sk-1", base_url) as client:
        task = client.submit(SHOT)
        error = await ended(task)

        assert isinstance(error, TaskFailed)
        assert error.what == "failed: the service gave no reason"
        assert (error.task_id, error.submitted, error.credits_reserved) == ("task-1", "yes", 3)
        assert client.unfinished() == ()


async def test_a_failed_task_says_why(client: Client, fox: Emulator) -> None:
    """Code, message and the last state; it is not bought again."""
    task = client.submit(SHOT)
    task_id = await task.wait_accepted()
    fox.fail(task_id, "moderation", "No kites.")
    error = await ended(task)

    assert isinstance(error, TaskFailed)
    assert (error.code, error.message, error.task_id) == ("moderation", "No kites.", task_id)
    assert error.state is task.state
    assert error.credits_reserved == 12.5
    assert str(error) == f"failed: moderation: No kites. ({task_id})"
    assert fox.ledger.submitted == 1
    assert client.unfinished() == ()


async def test_a_cancelled_task_is_a_failed_task_of_its_own_kind(client: Client, fox: Emulator) -> None:
    """And never a CancelledError."""
    task = client.submit(SHOT)
    fox.cancel(await task.wait_accepted())

    assert isinstance(await ended(task), TaskCancelled)
    assert client.unfinished() == ()


async def test_a_schedule_that_raises_ends_the_handle_with_an_error_that_names_it(fox: Emulator) -> None:
    """At the first look, and the paid id is kept."""

    class Broken(Schedule):
        def next_age(self, asked: Asked, age: float, state: TaskState | None) -> float:
            raise ZeroDivisionError("no idea when")

    async with Client(fox.api_key, fox.base_url, schedule=Broken()) as client:
        task = client.submit(SHOT)
        error = await ended(task)

        assert type(error) is FoxError
        assert "ZeroDivisionError('no idea when')" in str(error)
        assert isinstance(error.__cause__, ZeroDivisionError)
        assert (error.task_id, error.submitted) == (*fox.ledger.tasks, "yes")
        assert client.unfinished() == (task,)


async def test_a_schedule_that_raises_a_foxerror_loses_no_paid_id(fox: Emulator) -> None:
    """Whatever that error says about the submit."""

    class Broken(Schedule):
        def next_age(self, asked: Asked, age: float, state: TaskState | None) -> float:
            raise FoxError("mine", submitted="no")

    async with Client(fox.api_key, fox.base_url, schedule=Broken()) as client:
        task = client.submit(SHOT)
        error = await ended(task)

        assert (error.task_id, error.submitted) == (*fox.ledger.tasks, "yes")
        assert client.unfinished() == (task,)


@pytest.mark.parametrize("answer", [5.0, float("nan")])
async def test_a_schedule_that_stands_still_ends_the_handle(fox: Emulator, answer: float) -> None:
    """Rather than ask without a pause for ever."""

    class Still(Schedule):
        def next_age(self, asked: Asked, age: float, state: TaskState | None) -> float:
            return answer

    async with Client(fox.api_key, fox.base_url, schedule=Still()) as client:
        assert "is not above" in str(await ended(client.submit(SHOT)))
        assert fox.ledger.polled <= 1


# --- Deadlines ---


async def test_a_timeout_comes_at_exactly_the_deadline(client: Client) -> None:
    """With the id and the last status, as both kinds of error."""
    task = client.submit(SHOT, timeout=5.25)
    error = await ended(task)

    assert now() == 5.25
    assert isinstance(error, TaskTimeout)
    assert isinstance(error, TimeoutError)
    assert (error.task_id, error.submitted) == (task.id, "yes")
    assert error.what == "not ended within 5.25 s, last status processing"
    assert client.unfinished() == (task,)


async def test_the_last_look_falls_shortly_before_the_deadline() -> None:
    """However rarely the schedule asks."""
    async with (
        Emulator(seconds=98.0, render=False) as fox,
        Client(fox.api_key, fox.base_url, schedule=Every(95)) as client,
    ):
        assert isinstance(await client.submit(SHOT, timeout=100), Video)
        assert now() == 99
        assert fox.ledger.polled == 2


async def test_no_look_falls_between_the_last_one_and_the_deadline() -> None:
    """The wait ends there."""
    async with (
        Emulator(seconds=1000.0, render=False) as fox,
        Client(fox.api_key, fox.base_url, schedule=Every(0.25)) as client,
    ):
        assert isinstance(await ended(client.submit(SHOT, timeout=2)), TaskTimeout)
        assert fox.ledger.polled == 4


async def test_a_timeout_comes_while_all_places_hang(fox: Emulator) -> None:
    """It needs none."""
    fox.fail_next("poll", Fault("hang"), times=50)
    async with Client(fox.api_key, fox.base_url, schedule=Every(2), max_requests=1, poll_timeout=900) as client:
        tasks = [client.submit(SHOT, timeout=seconds) for seconds in (20, 30.5)]
        errors = [await ended(task) for task in tasks]

        assert now() == 30.5
        assert all(isinstance(error, TaskTimeout) for error in errors)


async def test_a_timeout_tells_what_broke_the_last_query(fox: Emulator) -> None:
    """So that one sees why nothing is known."""
    fox.fail_next("poll", Fault("error", status=503), times=50)
    async with Client(fox.api_key, fox.base_url, schedule=Every(2)) as client:
        error = await ended(client.submit(SHOT, timeout=20))

    assert "last status pending, last poll: Scripted failure 503." in str(error)


async def test_an_answer_that_comes_after_the_deadline_changes_nothing(slow: Emulator, patient: Client) -> None:
    """The query was on its way when the wait ended."""
    task = patient.submit(SHOT, timeout=5)
    error = await ended(task)
    assert (now(), slow.ledger.in_flight) == (5, 1)

    await asyncio.sleep(60)

    assert slow.ledger.polled == 1
    assert task.exception() is error
    assert patient.unfinished() == (task,)


async def test_a_deadline_during_the_post_waits_for_the_reply(slow: Emulator, patient: Client) -> None:
    """It brings the id, and then the wait is over."""
    task = patient.submit(SHOT, timeout=0.5)
    error = await ended(task)

    assert now() == 2
    assert isinstance(error, TaskTimeout)
    assert [error.task_id] == list(slow.ledger.tasks)
    assert patient.unfinished() == (task,)
    assert slow.ledger.polled == 0


async def test_a_deadline_during_a_post_that_is_refused_tells_that_nothing_was_made(
    slow: Emulator, patient: Client
) -> None:
    """It is not sent again, for the time is over."""
    slow.fail_next("submit", Fault("rate_limit"))
    error = await ended(patient.submit(SHOT, timeout=0.5))

    assert isinstance(error, TaskTimeout)
    assert "nothing was made" in str(error)
    assert (error.task_id, error.submitted, slow.ledger.submitted) == (None, "no", 1)
    assert patient.unfinished() == ()


async def test_a_burst_of_429s_is_one_warning(
    slow: Emulator, patient: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """They are one event; a log of a thousand lines would hide it."""
    slow.fail_next("submit", Fault("rate_limit", retry_after="5"), times=8)
    await asyncio.gather(*(patient.generate(SHOT) for _ in range(8)))

    assert slow.ledger.submitted == 16
    (line,) = (record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)
    assert line == "429: submit requests wait 5.0 s, then leave 0.1 s apart"


async def test_a_deadline_between_two_attempts_tells_that_nothing_was_made(client: Client, fox: Emulator) -> None:
    """At exactly the deadline, and nothing is sent afterwards."""
    fox.fail_next("submit", Fault("rate_limit", retry_after="60"))
    error = await ended(client.submit(SHOT, timeout=10))

    assert now() == pytest.approx(10, abs=0.01)
    assert isinstance(error, TaskTimeout)
    assert "nothing was made" in str(error)
    await asyncio.sleep(100)
    assert (fox.ledger.submitted, fox.ledger.charged) == (1, 0)
    assert client.unfinished() == ()


async def test_without_a_timeout_a_task_may_take_hours() -> None:
    """None is no limit."""
    async with (
        Emulator(seconds=7200.0, render=False) as fox,
        Client(fox.api_key, fox.base_url, schedule=Every(1000), task_timeout=None) as client,
    ):
        assert isinstance(await client.submit(SHOT), Video)
        assert isinstance(await ended(client.submit(SHOT, timeout=60)), TaskTimeout)


async def test_waiting_for_a_turn_does_not_count() -> None:
    """The clock of a task starts with its first attempt."""
    async with (
        Emulator(seconds=10.0, render=False) as fox,
        Client(fox.api_key, fox.base_url, schedule=Every(2), max_active=1, task_timeout=11) as client,
    ):
        videos = await asyncio.gather(*(client.generate(SHOT) for _ in range(5)))

        assert len(videos) == 5
        assert now() == pytest.approx(50)


async def test_a_deadline_counts_from_the_first_attempt(client: Client, fox: Emulator) -> None:
    """Not from the one that was accepted."""
    fox.fail_next("submit", Fault("rate_limit", retry_after="4"))
    error = await ended(client.submit(SHOT, timeout=10))

    assert isinstance(error, TaskTimeout)
    assert error.task_id is not None
    assert now() == pytest.approx(10, abs=0.01)


async def test_a_task_by_id_has_its_time_from_the_moment_somebody_waits(client: Client, fox: Emulator) -> None:
    """Not from the making of the handle."""
    task_id = await client.submit(SHOT).wait_accepted()
    async with Client(fox.api_key, fox.base_url, schedule=Every(2)) as other:
        task = other.task(task_id, timeout=3)
        await asyncio.sleep(5)
        assert isinstance(await ended(task), TaskTimeout)
        assert now() == 8


# --- Giving up ---


async def test_a_task_given_up_while_it_is_sent_ends_with_its_id(slow: Emulator, patient: Client) -> None:
    """The answer is waited for, since it may name a paid task."""
    task = patient.submit(SHOT)
    await until_sending(task)

    task.abandon()
    assert not task.done()
    error = await ended(task)

    assert isinstance(error, TaskAbandoned)
    assert [error.task_id] == list(slow.ledger.tasks)
    assert patient.unfinished() == (task,)


async def test_a_task_given_up_while_it_is_sent_is_not_sent_again(slow: Emulator, patient: Client) -> None:
    """A 429 made nothing."""
    slow.fail_next("submit", Fault("rate_limit"))
    task = patient.submit(SHOT)
    await until_sending(task)

    task.abandon()
    error = await ended(task)

    assert isinstance(error, TaskAbandoned)
    assert "nothing was made" in str(error)
    await asyncio.sleep(100)
    assert slow.ledger.submitted == 1


async def test_a_task_given_up_while_it_is_refused_was_never_made(slow: Emulator, patient: Client) -> None:
    """Whatever the reason of the refusal."""
    task = patient.submit(REFUSED)
    await until_sending(task)

    task.abandon()
    error = await ended(task)

    assert isinstance(error, TaskAbandoned)
    assert error.submitted == "no"
    assert patient.unfinished() == ()


async def test_a_task_given_up_whose_reply_is_lost_stays_uncertain(slow: Emulator, patient: Client) -> None:
    """Giving up does not make it certain."""
    slow.fail_next("submit", Fault("reset", after=True))
    task = patient.submit(SHOT)
    await until_sending(task)

    task.abandon()

    assert isinstance(await ended(task), SubmitUncertain)
    assert patient.unfinished() == (task,)


async def test_a_task_given_up_in_the_moment_of_its_turn_is_not_sent(client: Client, fox: Emulator) -> None:
    """Said to be withdrawn is withdrawn, at whichever step of the loop."""
    for steps in range(12):
        task, charged = client.submit(SHOT), fox.ledger.charged
        for _ in range(steps):
            await asyncio.sleep(0)
        task.abandon()
        error = await ended(task)
        await asyncio.sleep(1)
        made = fox.ledger.charged - charged
        assert made == (error.submitted == "yes"), steps
        assert (error.task_id is None) == (made == 0), steps


async def test_a_task_whose_deadline_passes_in_the_moment_of_its_turn_is_not_lost(fox: Emulator) -> None:
    """Told that nothing was made, nothing was made."""
    async with Client(fox.api_key, fox.base_url, schedule=Every(2), max_active=1) as client:
        first = client.submit(SHOT, timeout=5)
        second = client.submit(SHOT)
        await ended(first)
        second.abandon()
        error = await ended(second)
        await asyncio.sleep(50)

        assert fox.ledger.charged == 1 + (error.submitted == "yes")


async def test_a_planned_task_that_waits_for_its_upload_can_be_given_up(slow: Emulator, patient: Client) -> None:
    """Nothing is submitted afterwards."""
    task = patient.submit(GrokImageToVideo(prompt="Go", image_url=PICTURE))
    await asyncio.sleep(1)

    task.abandon()

    assert isinstance(await ended(task), TaskAbandoned)
    await asyncio.sleep(100)
    assert slow.ledger.submitted == 0
    assert patient.unfinished() == ()


# --- Uploads ---


async def test_a_local_file_is_uploaded_before_its_task_is_submitted(client: Client, fox: Emulator) -> None:
    """And the body names the upload."""
    video = await client.generate(GrokImageToVideo(prompt="Go", image_url=PICTURE))

    assert fox.ledger.uploaded == 1
    assert fox.ledger.tasks[video.id].body["image_url"].startswith(f"{fox.base_url}/uploads/")


async def test_a_file_that_cannot_be_read_ends_the_task_unsent(client: Client, fox: Emulator, tmp_path: Path) -> None:
    """With the error of the upload."""
    error = await ended(client.submit(GrokImageToVideo(prompt="Go", image_url=tmp_path / "none.png")))

    assert isinstance(error, UploadError)
    assert (error.submitted, fox.ledger.submitted) == ("no", 0)
    assert client.unfinished() == ()


async def test_what_breaks_an_upload_unforeseen_ends_the_task(client: Client, fox: Emulator) -> None:
    """A handle must end, whatever breaks."""

    class Odd:
        def __fspath__(self) -> str:
            raise ZeroDivisionError

    error = await ended(client.submit(Request("a-model-of-tomorrow", prompt="Go", image_url=Odd())))

    assert "ZeroDivisionError" in str(error)
    assert (error.submitted, fox.ledger.submitted) == ("no", 0)
    assert client.unfinished() == ()


async def test_an_upload_that_the_service_has_lost_is_made_anew_next_time(fox: Emulator) -> None:
    """The refusal says so."""
    async with (
        Emulator(seconds=10.0, upload_lifetime=50.0, render=False) as forgetful,
        Client(forgetful.api_key, forgetful.base_url, schedule=Every(2)) as client,
    ):
        shot = GrokImageToVideo(prompt="Go", image_url=PICTURE)
        await client.generate(shot)
        await asyncio.sleep(60)

        error = await ended(client.submit(shot))
        assert isinstance(error, InvalidRequest)
        assert error.code == "invalid_image_url"
        assert isinstance(await client.generate(shot), Video)
        assert forgetful.ledger.uploaded == 2


# --- What stays unfinished ---


async def test_unfinished_has_what_is_planned_sent_and_accepted(slow: Emulator, patient: Client) -> None:
    """Until it ends."""
    task = patient.submit(SHOT)
    assert patient.unfinished() == (task,)
    await until_sending(task)
    assert patient.unfinished() == (task,)
    await task.wait_accepted()
    assert patient.unfinished() == (task,)
    await task
    assert patient.unfinished() == ()


async def test_an_uncertain_submit_stays_unfinished_without_an_id(client: Client, fox: Emulator) -> None:
    """It may have been paid for."""
    fox.fail_next("submit", Fault("reset", after=True))
    task = client.submit(SHOT)
    error = await ended(task)

    assert isinstance(error, SubmitUncertain)
    assert (task.id, error.submitted, fox.ledger.charged) == (None, "unknown", 1)
    assert client.unfinished() == (task,)


async def test_a_task_of_another_key_is_not_found_and_not_unfinished(client: Client, fox: Emulator) -> None:
    """It stays unknown for a minute."""
    task = client.task("task-unified-1-nobody")
    error = await ended(task)

    assert isinstance(error, TaskNotFound)
    assert error.task_id == "task-unified-1-nobody"
    assert 60 <= now() < 180
    assert client.unfinished() == ()


async def test_a_key_that_dies_ends_the_wait_and_the_task_stays_unfinished(client: Client, fox: Emulator) -> None:
    """A 401 that stays for a minute says nothing about the task."""
    fox.fail_next("poll", Fault("error", status=401), times=100)
    task = client.submit(SHOT)
    error = await ended(task)

    assert isinstance(error, AuthenticationError)
    assert (error.task_id, error.submitted) == (task.id, "yes")
    assert client.unfinished() == (task,)


async def test_a_refused_submit_is_not_unfinished(client: Client) -> None:
    """Nothing was made."""
    assert isinstance(await ended(client.submit(REFUSED)), ModelUnavailable)
    assert client.unfinished() == ()


async def test_a_refusal_for_haste_at_the_last_attempt_ends_the_task(fox: Emulator) -> None:
    """And slows the others all the same."""
    fox.fail_next("submit", Fault("rate_limit", retry_after="7"))
    async with Client(fox.api_key, fox.base_url, schedule=Every(2), trust_refusals=False) as client:
        first = client.submit(SHOT)
        assert isinstance(await ended(first), SubmitUncertain)
        assert client.unfinished() == (first,)
        await client.submit(SHOT).wait_accepted()
        assert now() == 7


async def test_a_submit_that_cannot_connect_is_sent_again(fox: Emulator, unused_tcp_port: int) -> None:
    """Nothing arrived, so nothing was made; in the end that is what the error says."""
    async with Client(fox.api_key, f"http://127.0.0.1:{unused_tcp_port}", submit_attempts=3) as client:
        task = client.submit(SHOT)
        error = await ended(task)

        assert error.submitted == "no"
        assert now() > 0
        assert client.unfinished() == ()


async def test_a_submission_that_breaks_unforeseen_before_it_left_made_nothing(fox: Emulator) -> None:
    """Whatever nobody foresaw: no byte was handed to a connection."""
    async with Client(fox.api_key, fox.base_url, connector=Lost) as client:
        error = await ended(client.submit(SHOT))

        assert isinstance(error, ServiceUnavailable)
        assert error.submitted == "no"
        assert "ZeroDivisionError: aiohttp lost its mind" in str(error)
        assert client.unfinished() == ()


async def test_a_query_that_breaks_unforeseen_ends_the_wait_but_keeps_the_task(fox: Emulator) -> None:
    """A handle must end, whatever breaks."""

    def connector(*, limit: int, force_close: bool) -> aiohttp.BaseConnector:
        kind = aiohttp.TCPConnector if force_close else Lost
        return kind(limit=limit, force_close=force_close)

    async with Client(fox.api_key, fox.base_url, connector=connector) as client:
        task = client.submit(SHOT)
        error = await ended(task)

        assert (error.task_id, error.submitted) == (*fox.ledger.tasks, "yes")
        assert client.unfinished() == (task,)


# --- Logging ---


async def test_each_acceptance_and_each_end_is_one_line_with_the_id(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """So no paid id vanishes, even without a journal."""
    caplog.set_level(logging.INFO, "foxvideo")
    video = await client.generate(SHOT)

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", f"accepted {video.id} (grok-imagine-text-to-video)"),
        ("INFO", f"completed: {video.id} (grok-imagine-text-to-video) after 10.0 s"),
    ]


async def test_an_uncertain_submit_is_a_warning(
    client: Client, fox: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """With the model, what happened, and the id where one was seen."""
    fox.fail_next("submit", Fault("half_body", after=True))
    error = await ended(client.submit(SHOT))

    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    task = f"SubmitUncertain HTTP 200 ({error.task_id})"  # not in its words, which may quote a prompt
    assert warning.getMessage() == f"uncertain submission of grok-imagine-text-to-video: {task}"


async def test_slowing_down_is_a_warning(client: Client, fox: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """With the seconds."""
    fox.fail_next("submit", Fault("rate_limit", retry_after="7"))
    await client.submit(SHOT).wait_accepted()

    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning.getMessage() == "429: submit requests wait 7.0 s, then leave 0.1 s apart"


async def test_prompts_appear_at_debug_at_most_and_the_key_never(
    client: Client, fox: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    fox.fail_next("submit", Fault("rate_limit"))
    fox.fail_next("submit", Fault("reset", after=True))
    fox.fail_next("poll", Fault("html", status=502))
    secret = GrokTextToVideo(prompt="A secret kite")
    await asyncio.gather(*(client.generate(secret) for _ in range(3)), return_exceptions=True)
    failing = client.submit(secret)
    fox.fail(await failing.wait_accepted())
    await ended(failing)
    await client.close()

    mine = [record for record in caplog.records if record.name == "foxvideo"]
    assert len(mine) > 10
    assert not [record for record in mine if record.levelno > logging.DEBUG and "secret" in record.getMessage()]
    assert not [record for record in caplog.records if fox.api_key in record.getMessage()]
