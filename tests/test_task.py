"""The handle: waiting, following, and reading where a task stands."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator

import pytest
from waiting import now

from foxvideo import (
    Client,
    ClientClosed,
    Every,
    GrokTextToVideo,
    InvalidRequest,
    ModelUnavailable,
    Request,
    Status,
    SubmitUncertain,
    TaskAbandoned,
    TaskCancelled,
    TaskFailed,
    TaskState,
    TaskTimeout,
    Video,
    VideoTask,
)
from foxvideo.emulator import Emulator, Fault

SHOT = GrokTextToVideo(prompt="A kite")
REFUSED = Request("no-such-model", prompt="A kite")


async def outcome(task: VideoTask) -> BaseException | Video:
    """Return what a task ends in."""
    try:
        return await task
    except Exception as error:  # noqa: BLE001 - it is looked at
        return error


async def follow(task: VideoTask, seen: list[TaskState]) -> None:
    """Write down the states of a task, also if it is cut."""
    async for state in task:
        seen.append(state)  # noqa: PERF401 - so that it is there when this is cut


# --- Waiting ---


async def test_awaiting_a_handle_gives_its_video(client: Client, fox: Emulator) -> None:
    """With the id that the service gave."""
    task = client.submit(SHOT)

    video = await task

    assert video.id == task.id
    assert video.url.startswith(fox.base_url)
    assert video.request is SHOT


async def test_awaiting_twice_gives_the_same_video(client: Client, fox: Emulator) -> None:
    """And asks no second time."""
    task = client.submit(SHOT)
    first = await task
    polled = fox.ledger.polled

    assert await task is first
    assert fox.ledger.polled == polled


async def test_awaiting_twice_raises_the_same_error(client: Client, fox: Emulator) -> None:
    """The outcome is a value."""
    task = client.submit(SHOT)
    fox.fail(await task.wait_accepted())

    first, second = await outcome(task), await outcome(task)

    assert isinstance(first, TaskFailed)
    assert first is second


async def test_an_error_that_is_raised_again_does_not_pile_up_tracebacks(client: Client) -> None:
    """A hundred who wait see a short traceback each."""
    task = client.submit(REFUSED)

    def depth(error: BaseException) -> int:
        frames, trace = 0, error.__traceback__
        while trace is not None:
            frames, trace = frames + 1, trace.tb_next
        return frames

    depths = []
    for _ in range(5):
        with pytest.raises(ModelUnavailable) as caught:
            await task
        depths.append(depth(caught.value))

    assert len(set(depths)) == 1


async def test_gather_takes_many_handles(client: Client, fox: Emulator) -> None:
    """Each gets the video of its own prompt."""
    shots = [GrokTextToVideo(prompt=f"Kite {number}") for number in range(5)]

    videos = await asyncio.gather(*map(client.submit, shots))

    assert [fox.ledger.tasks[video.id].body["prompt"] for video in videos] == [shot.prompt for shot in shots]


async def test_gather_hands_errors_back_beside_videos(client: Client) -> None:
    """With return_exceptions, one refusal spoils nothing."""
    good, bad = await asyncio.gather(client.generate(SHOT), client.generate(REFUSED), return_exceptions=True)

    assert isinstance(good, Video)
    assert isinstance(bad, Exception)


async def test_create_task_takes_generate(client: Client) -> None:
    """Which is a plain coroutine."""
    assert isinstance(await asyncio.create_task(client.generate(SHOT)), Video)


async def test_a_task_group_takes_generate(client: Client) -> None:
    """Structured fan-out."""
    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(client.generate(SHOT)) for _ in range(3)]

    assert len({run.result().id for run in runs}) == 3


async def test_wait_for_that_times_out_leaves_the_task_alone(client: Client, fox: Emulator) -> None:
    """It is awaited again, and submitted once."""
    task = client.submit(SHOT)
    with pytest.raises(TimeoutError) as caught:
        await asyncio.wait_for(task, 3)

    assert not isinstance(caught.value, TaskTimeout)
    assert not task.done()
    assert (await task).id == task.id
    assert fox.ledger.submitted == 1


async def test_asyncio_wait_takes_handles(client: Client) -> None:
    """Bare, or wrapped in a future."""
    tasks = [client.submit(SHOT), client.submit(SHOT)]

    done, pending = await asyncio.wait([asyncio.ensure_future(task) for task in tasks])

    assert (len(done), len(pending)) == (2, 0)
    assert [task.result() for task in tasks] == [await task for task in tasks]


async def test_a_callback_hears_of_the_end_with_the_handle(client: Client) -> None:
    """Each once, as a future has it; one that was taken back hears nothing, and one that is late hears at once."""
    task, heard, silent = client.submit(SHOT), list[VideoTask](), list[VideoTask]()
    task.add_done_callback(heard.append)
    task.add_done_callback(silent.append)
    task.remove_done_callback(silent.append)

    await task
    task.add_done_callback(heard.append)

    assert (heard, silent) == ([task, task], [])


async def test_result_is_the_video_or_raises_what_it_ended_with(client: Client, fox: Emulator) -> None:
    """And nothing before the end, like that of a future."""
    good, bad = client.submit(SHOT), client.submit(SHOT)
    with pytest.raises(asyncio.InvalidStateError):
        good.result()
    fox.fail(await bad.wait_accepted())

    assert good.result() is await good if good.done() else await good
    with pytest.raises(TaskFailed):
        await bad
    with pytest.raises(TaskFailed):
        bad.result()


async def test_cancelling_one_who_waits_leaves_the_other_waiting(client: Client) -> None:
    """Each waits for himself."""
    task = client.submit(SHOT)
    first, second = asyncio.ensure_future(task), asyncio.ensure_future(task)
    await asyncio.sleep(3)

    first.cancel()

    assert isinstance(await second, Video)
    assert first.cancelled()


async def test_one_who_is_cancelled_in_the_moment_of_the_end_changes_nothing(client: Client, fox: Emulator) -> None:
    """Those who wait are woken although one of them has gone."""
    task = client.submit(SHOT)
    waiters = [asyncio.ensure_future(task) for _ in range(3)]
    await task
    waiters[1].cancel()

    await asyncio.wait(waiters)

    assert [waiter.cancelled() for waiter in waiters] == [False, True, False]


async def test_a_failure_that_nobody_awaits_is_no_unretrieved_exception(client: Client) -> None:
    """The outcome is a value, so nothing is logged when the handle is collected."""
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    task = client.submit(REFUSED)
    await asyncio.sleep(1)
    task.exception()

    del task
    gc.collect()
    await asyncio.sleep(0)

    assert not told


# --- As completed ---


async def test_as_completed_yields_in_the_order_of_ending(client: Client, fox: Emulator) -> None:
    """Not in that of submitting, and failed ones too."""
    tasks = [client.submit(SHOT) for _ in range(3)]
    ids = [await task.wait_accepted() for task in tasks]
    fox.fail(ids[2])

    order = [(task, now()) async for task in client.as_completed(tasks)]

    assert order[0][0] is tasks[2]
    assert {task for task, _ in order} == set(tasks)
    assert [moment for _, moment in order] == sorted(moment for _, moment in order)
    assert isinstance(tasks[2].exception(), TaskFailed)


async def test_as_completed_yields_duplicates_once(client: Client) -> None:
    """Ended ones among them."""
    ended, other = client.submit(SHOT), client.submit(SHOT)
    await ended

    assert [task async for task in client.as_completed([ended, other, ended, other])] == [ended, other]


async def test_as_completed_of_nothing_ends_at_once(client: Client) -> None:
    """Like any loop over nothing."""
    assert [task async for task in client.as_completed([])] == []


async def test_as_completed_follows_tasks_by_id(client: Client, fox: Emulator) -> None:
    """Nobody else needs to wait for them."""
    task_id = await client.submit(SHOT).wait_accepted()
    async with Client(fox.api_key, fox.base_url, schedule=Every(2)) as other:
        assert [task.id async for task in other.as_completed([other.task(task_id)])] == [task_id]


async def test_breaking_off_as_completed_stops_no_task(client: Client) -> None:
    """And leaves nothing behind in those that go on."""
    tasks = [client.submit(SHOT), client.submit(SHOT, timeout=4)]
    ended = client.as_completed(tasks)
    assert isinstance(ended, AsyncIterator)
    assert await anext(ended) is tasks[1]

    await ended.aclose()  # type: ignore[attr-defined]

    assert tasks[0]._job._listeners is None
    assert isinstance(await tasks[0], Video)
    assert isinstance(tasks[1].exception(), TaskTimeout)


async def test_two_loops_of_as_completed_over_the_same_tasks_both_end(client: Client) -> None:
    """One that breaks off does not deafen the other."""
    tasks = [client.submit(SHOT), client.submit(SHOT, timeout=4)]

    async def all_of_them() -> list[VideoTask]:
        return [task async for task in client.as_completed(tasks)]

    other = asyncio.create_task(all_of_them())
    ended = client.as_completed(tasks)
    assert await anext(ended) is tasks[1]
    await ended.aclose()  # type: ignore[attr-defined]

    assert await other == [tasks[1], tasks[0]]


# --- Following ---


async def test_iterating_shows_the_current_state_first_then_changes_then_the_last(client: Client) -> None:
    """Pending, some progress, completed; each once."""
    states = [state async for state in client.submit(SHOT)]

    assert states[0].status is Status.PENDING
    assert states[-1].status is Status.COMPLETED
    assert [state.progress for state in states] == sorted({state.progress or 0 for state in states})
    assert len(states) > 3


async def test_iterating_in_the_middle_begins_with_where_it_stands(client: Client) -> None:
    """Without waiting for a change."""
    task = client.submit(SHOT)
    await asyncio.wait([asyncio.ensure_future(task)], timeout=5)
    began = now()

    async for state in task:
        assert state is task.state
        assert now() == began
        break


async def test_a_slow_reader_gets_the_newest_and_always_the_last(client: Client) -> None:
    """What it missed is gone; what matters is not."""
    seen = []
    async for state in client.submit(SHOT):
        seen.append(state)
        await asyncio.sleep(7)

    assert len(seen) == 3
    assert seen[-1].status is Status.COMPLETED


async def test_a_state_that_is_no_news_is_not_shown_again() -> None:
    """Twenty queries of a task that stands still are one state."""
    async with (
        Emulator(seconds=1000.0, render=False) as slow,
        Client(slow.api_key, slow.base_url, schedule=Every(1)) as client,
    ):
        task = client.submit(SHOT)
        seen: list[TaskState] = []

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(follow(task, seen), 20)

        assert slow.ledger.polled >= 19
        assert [state.status for state in seen] == [Status.PENDING]


async def test_a_failed_task_ends_the_loop_quietly(client: Client, fox: Emulator) -> None:
    """Its last state says why."""
    task = client.submit(SHOT)
    fox.fail(await task.wait_accepted(), "moderation", "No kites.")

    last = [state async for state in task][-1]

    assert last.status is Status.FAILED
    assert last.problem is not None
    assert (last.problem.code, last.problem.message) == ("moderation", "No kites.")


async def test_a_cancelled_task_ends_the_loop_quietly(client: Client, fox: Emulator) -> None:
    """Awaiting it then raises."""
    task = client.submit(SHOT)
    fox.cancel(await task.wait_accepted())

    assert [state.status async for state in task][-1] is Status.CANCELLED
    assert isinstance(task.exception(), TaskCancelled)


async def test_an_end_without_a_terminal_status_raises_in_the_loop(client: Client) -> None:
    """A timeout is not the task's end, so the loop must not end as if it were."""
    task = client.submit(SHOT, timeout=5)
    seen: list[TaskState] = []

    with pytest.raises(TaskTimeout) as caught:
        await follow(task, seen)

    assert seen[0].status is Status.PENDING
    assert seen[-1].status is Status.PROCESSING
    assert caught.value.task_id == task.id


async def test_a_refusal_raises_in_the_loop(client: Client) -> None:
    """There is no state to show."""
    seen: list[TaskState] = []
    with pytest.raises(ModelUnavailable):
        await follow(client.submit(REFUSED), seen)

    assert not seen


async def test_two_who_follow_see_the_same(client: Client, fox: Emulator) -> None:
    """With one row of queries."""
    task = client.submit(SHOT)

    one: list[TaskState] = []
    other: list[TaskState] = []
    await asyncio.gather(follow(task, one), follow(task, other))

    assert one == other
    assert fox.ledger.polled == 5


async def test_iterating_an_ended_task_gives_its_last_state_once(client: Client) -> None:
    """Every time anew."""
    task = client.submit(SHOT)
    await task

    for _ in range(2):
        assert [state.status async for state in task] == [Status.COMPLETED]


async def test_iterating_by_id_asks_by_itself(client: Client, fox: Emulator) -> None:
    """Following is waiting, too."""
    task_id = await client.submit(SHOT).wait_accepted()
    async with Client(fox.api_key, fox.base_url, schedule=Every(2)) as other:
        assert [state.status async for state in other.task(task_id)][-1] is Status.COMPLETED


# --- Reading ---


async def test_a_handle_tells_where_it_stands_at_every_stage(client: Client, fox: Emulator) -> None:
    """From nothing known to the end."""
    task = client.submit(SHOT)
    assert (task.id, task.state, task.status, task.done()) == (None, None, None, False)

    task_id = await task.wait_accepted()
    assert (task.id, task.status, task.done()) == (task_id, Status.PENDING, False)
    assert task.state is not None
    assert task.state.id == task_id

    await task
    assert (task.id, task.status, task.done(), task.exception()) == (task_id, Status.COMPLETED, True, None)


async def test_the_error_of_a_task_that_has_not_ended_cannot_be_read(client: Client) -> None:
    """As of a future."""
    task = client.submit(SHOT)

    with pytest.raises(asyncio.InvalidStateError, match="has not ended"):
        task.exception()


async def test_the_error_can_be_read_without_raising(client: Client) -> None:
    """It is the one that awaiting raises."""
    task = client.submit(REFUSED)
    error = await outcome(task)

    assert task.exception() is error


async def test_waiting_for_acceptance_returns_the_id(client: Client, fox: Emulator) -> None:
    """At the moment of the reply, long before the end, and again at once."""
    task = client.submit(SHOT)

    task_id = await task.wait_accepted()

    assert now() == 0
    assert list(fox.ledger.tasks) == [task_id]
    assert await task.wait_accepted() == task_id


async def test_waiting_for_acceptance_raises_the_error_of_the_submit(client: Client, fox: Emulator) -> None:
    """A refusal, or worse."""
    fox.fail_next("submit", Fault("reset", after=True))
    lost, refused = client.submit(SHOT), client.submit(REFUSED)

    with pytest.raises(SubmitUncertain):
        await lost.wait_accepted()
    with pytest.raises(ModelUnavailable):
        await refused.wait_accepted()


async def test_cancelling_one_who_waits_for_acceptance_leaves_the_task_alone(client: Client, fox: Emulator) -> None:
    """It is accepted and ends."""
    task = client.submit(SHOT)
    waiting = asyncio.ensure_future(task.wait_accepted())
    await asyncio.sleep(0)

    waiting.cancel()

    assert isinstance(await task, Video)
    assert waiting.cancelled()
    assert fox.ledger.submitted == 1


async def test_waiting_for_the_acceptance_of_an_id_asks_nothing(client: Client, fox: Emulator) -> None:
    """It was accepted, as far as one can know."""
    assert await client.task("task-unified-1-a").wait_accepted() == "task-unified-1-a"
    assert fox.ledger.polled == 0


async def test_the_repr_says_where_a_task_stands(client: Client, fox: Emulator) -> None:
    """Model and stage, then id and status, then how it ended."""
    task = client.submit(SHOT)
    assert repr(task) == "<VideoTask grok-imagine-text-to-video waiting to be sent>"
    while "waiting" in repr(task):  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0)
    assert repr(task) == "<VideoTask grok-imagine-text-to-video being sent>"
    task_id = await task.wait_accepted()
    assert repr(task) == f"<VideoTask {task_id} pending 0 %>"
    await asyncio.wait([asyncio.ensure_future(task)], timeout=5)
    assert repr(task) == f"<VideoTask {task_id} processing 29 %>"
    await task
    assert repr(task) == f"<VideoTask {task_id} completed>"


async def test_the_repr_of_a_task_that_failed_names_the_error(client: Client) -> None:
    """And never the prompt."""
    task = client.submit(REFUSED)
    await outcome(task)

    assert repr(task) == "<VideoTask no-such-model ModelUnavailable>"


async def test_the_repr_of_a_state_without_progress_has_none(client: Client) -> None:
    """Nothing is made up."""
    assert repr(client.task("task-unified-1-a")) == "<VideoTask task-unified-1-a accepted>"


async def test_a_handle_is_hashable_weakly_referable_and_equal_to_itself_alone(client: Client) -> None:
    """So it can be a key, and the client need not keep it alive."""
    one, other = client.submit(SHOT), client.submit(SHOT)

    assert len({one, other, one}) == 2
    assert one != other
    assert weakref.ref(one)() is one


# --- Giving up ---


async def test_a_planned_task_that_is_given_up_is_not_sent(client: Client, fox: Emulator) -> None:
    """And says so."""
    task = client.submit(SHOT)

    task.abandon()

    with pytest.raises(TaskAbandoned, match="nothing was sent") as caught:
        await task
    assert caught.value.submitted == "no"
    await asyncio.sleep(60)
    assert fox.ledger.submitted == 0
    assert client.unfinished() == ()


async def test_an_accepted_task_that_is_given_up_is_named(client: Client, fox: Emulator) -> None:
    """It runs on, and client.task(id) finds it."""
    task = client.submit(SHOT)
    task_id = await task.wait_accepted()

    task.abandon()

    with pytest.raises(TaskAbandoned, match=f"still running as {task_id}") as caught:
        await task
    assert (caught.value.submitted, caught.value.task_id) == ("yes", task_id)
    assert client.unfinished() == (task,)
    again = client.task(task_id)
    assert again != task
    assert isinstance(await again, Video)
    assert client.unfinished() == ()


async def test_a_task_that_has_ended_cannot_be_given_up(client: Client) -> None:
    """It keeps its video."""
    task = client.submit(SHOT)
    video = await task

    task.abandon()

    assert await task is video


async def test_giving_up_twice_is_giving_up_once(client: Client) -> None:
    """The first end stays."""
    task = client.submit(SHOT)
    task.abandon()
    first = task.exception()

    task.abandon()

    assert task.exception() is first


async def test_awaiting_a_handle_in_another_loop_raises() -> None:
    """Instead of waiting for ever; what has ended is told in any loop."""

    def elsewhere(task: VideoTask) -> BaseException | Video:
        return asyncio.run(outcome(task))

    async with (
        Emulator(seconds=10.0, render=False) as fox,
        Client(fox.api_key, fox.base_url, schedule=Every(2)) as client,
    ):
        planned, ended = client.submit(SHOT), client.submit(SHOT)
        await ended
        by_id = client.task("task-unified-1-a")
        waiting = client.submit(SHOT)

        assert isinstance(await asyncio.to_thread(elsewhere, ended), Video)
        for task in (by_id, waiting):
            assert "another event loop" in str(await asyncio.to_thread(elsewhere, task))
        assert isinstance(await planned, Video)
        assert isinstance(await waiting, Video)


async def test_errors_of_a_handle_are_foxerrors_alone(client: Client) -> None:
    """InvalidRequest never reaches a handle, it is raised by submit."""
    with pytest.raises(InvalidRequest):
        client.submit(GrokTextToVideo(prompt=""))


async def test_a_task_by_id_ends_with_the_client(fox: Emulator) -> None:
    """Whoever waits for it is told, and so is who asks later."""
    async with Client(fox.api_key, fox.base_url, schedule=Every(2)) as client:
        task_id = await client.submit(SHOT).wait_accepted()
        untouched = client.task("task-unified-1-a")
    with pytest.raises(ClientClosed) as caught:
        await client.task(task_id)
    assert caught.value.task_id == task_id
    with pytest.raises(ClientClosed, match="task-unified-1-a"):
        await untouched
