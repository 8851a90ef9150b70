"""Order, bounds and pace: who may send now."""

import asyncio
import gc
import itertools
from collections.abc import AsyncIterator, Callable

import attrs
import pytest
from waiting import now

from foxvideo import Client, Every, GrokTextToVideo, TaskTimeout
from foxvideo._engine.dispatcher import Dispatcher, Kind
from foxvideo.emulator import Emulator, Fault

SHOT = GrokTextToVideo(prompt="A kite")


@attrs.define(eq=False)
class Job:
    """Something to be sent."""

    name: str = ""
    ended: bool = False

    def done(self) -> bool:
        """Whether its entries are stale."""
        return self.ended


@attrs.define
class Desk:
    """A dispatcher whose requests take a second each, and what it did."""

    max_requests: int = 1
    max_active: int | None = None
    seconds: int = 1
    sent: list[tuple[float, str]] = attrs.field(factory=list, init=False)
    expired: list[tuple[float, str]] = attrs.field(factory=list, init=False)
    broken: list[BaseException] = attrs.field(factory=list, init=False)
    most: int = attrs.field(default=0, init=False)
    dispatcher: Dispatcher[Job] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.dispatcher = Dispatcher(self.max_requests, self.max_active)

    def start(self) -> None:
        """Begin to send."""
        self.dispatcher.start(self._run, self._expire, self.broken.append)

    def _run(self, kind: Kind, job: Job) -> asyncio.Task[None]:
        self.sent.append((now(), f"{kind.name.lower()} {job.name}"))
        self.most = max(self.most, len(self.dispatcher.in_flight) + 1)
        return asyncio.create_task(asyncio.sleep(self.seconds))

    def _expire(self, job: Job) -> None:
        self.expired.append((now(), job.name))

    @property
    def names(self) -> list[str]:
        """What was sent, in order."""
        return [name for _, name in self.sent]


@pytest.fixture
async def desks() -> AsyncIterator[Callable[..., Desk]]:
    """Make desks that are stopped in the end."""
    made: list[Desk] = []

    def make(**options: int) -> Desk:
        made.append(Desk(**options))
        made[-1].start()
        return made[-1]

    yield make
    for desk in made:
        await desk.dispatcher.stop()
        await asyncio.gather(*desk.dispatcher.in_flight)


# --- Order ---


async def test_a_poll_is_served_while_many_submits_wait(desks: Callable[..., Desk]) -> None:
    """It takes the next turn but one at the latest."""
    desk = desks()
    for number in range(5_000):
        desk.dispatcher.queue(Kind.SUBMIT, Job(str(number)))
    await asyncio.sleep(2.5)
    desk.dispatcher.queue(Kind.POLL, Job("now"))
    await asyncio.sleep(3)

    assert desk.names[2:5] == ["submit 2", "poll now", "submit 3"]


async def test_a_submit_is_served_while_many_polls_wait(desks: Callable[..., Desk]) -> None:
    """After eight of them at the latest."""
    desk = desks()
    for number in range(5_000):
        desk.dispatcher.queue(Kind.POLL, Job(str(number)))
    await asyncio.sleep(2.5)
    desk.dispatcher.queue(Kind.SUBMIT, Job("now"))
    await asyncio.sleep(8)

    assert desk.names[7:10] == ["poll 7", "submit now", "poll 8"]


async def test_several_polls_leave_for_each_submission_while_both_wait(desks: Callable[..., Desk]) -> None:
    """Neither starves, and within a kind the first comes first."""
    desk = desks()
    for number, kind in itertools.product(range(20), (Kind.SUBMIT, Kind.POLL)):
        desk.dispatcher.queue(kind, Job(str(number)))
    await asyncio.sleep(40)

    first, second, last = (list(map("poll {}".format, range(*some))) for some in ((8,), (8, 16), (16, 20)))
    assert desk.names[:24] == [*first, "submit 0", *second, "submit 1", *last, "submit 2", "submit 3"]
    assert desk.names[24:] == list(map("submit {}".format, range(4, 20)))


async def test_an_entry_can_be_put_first(desks: Callable[..., Desk]) -> None:
    """Such as a submit that got a 429 at its turn."""
    desk = desks()
    desk.dispatcher.queue(Kind.SUBMIT, Job("one"))
    desk.dispatcher.queue(Kind.SUBMIT, Job("other"), first=True)
    await asyncio.sleep(2)

    assert desk.names == ["submit other", "submit one"]


async def test_an_entry_whose_task_has_ended_is_passed_over(desks: Callable[..., Desk]) -> None:
    """In the queue as in the agenda."""
    desk = desks()
    for job in (Job("a", ended=True), Job("b", ended=True), Job("c")):
        desk.dispatcher.queue(Kind.SUBMIT, job)
        desk.dispatcher.at(5, Kind.POLL, job)
        desk.dispatcher.at(6, Kind.DEADLINE, job)
    await asyncio.sleep(10)

    assert desk.sent == [(0, "submit c"), (5, "poll c")]
    assert desk.expired == [(6, "c")]


async def test_what_comes_due_shortly_after_another_leaves_with_the_next(desks: Callable[..., Desk]) -> None:
    """Together they are cheaper; one that is alone never waits."""
    desk = desks(max_requests=9)
    for when in (3, 3.01, 3.1, 4, 9):
        desk.dispatcher.at(when, Kind.POLL, Job())
    await asyncio.sleep(10)

    assert [when for when, _ in desk.sent] == [3, 3.125, 3.125, 4, 9]


async def test_entries_come_due_in_the_order_of_their_times(desks: Callable[..., Desk]) -> None:
    """Also those that were put in later for sooner."""
    desk = desks(max_requests=5)
    for when in (3.0, 1.0, 2.0):
        desk.dispatcher.at(when, Kind.POLL, Job(f"{when}"))
    await asyncio.sleep(5)

    assert desk.sent == [(1, "poll 1.0"), (2, "poll 2.0"), (3, "poll 3.0")]


# --- Bounds ---


async def test_no_more_requests_are_in_flight_than_allowed(desks: Callable[..., Desk]) -> None:
    """And as many as allowed are."""
    desk = desks(max_requests=3)
    for number in range(10):
        desk.dispatcher.queue(Kind.SUBMIT, Job(str(number)))
    await asyncio.sleep(2.5)

    assert desk.most == 3
    assert [when for when, _ in desk.sent] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


async def test_a_deadline_needs_no_place(desks: Callable[..., Desk]) -> None:
    """It fires while all requests hang."""
    desk = desks(seconds=100)
    desk.dispatcher.queue(Kind.POLL, Job("hanging"))
    desk.dispatcher.at(7, Kind.DEADLINE, Job("late"))
    await asyncio.sleep(8)

    assert desk.expired == [(7, "late")]


async def test_no_more_tasks_are_active_than_allowed_and_polls_go_on(desks: Callable[..., Desk]) -> None:
    """A submit waits until one is released."""
    desk = desks(max_requests=5, max_active=2)
    for number in range(3):
        desk.dispatcher.queue(Kind.SUBMIT, Job(str(number)))
    desk.dispatcher.queue(Kind.POLL, Job("p"))
    await asyncio.sleep(10)
    assert desk.names == ["poll p", "submit 0", "submit 1"]

    desk.dispatcher.release()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert desk.sent[-1] == (10, "submit 2")


async def test_stopping_twice_is_fine(desks: Callable[..., Desk]) -> None:
    """And nothing starts or comes due afterwards."""
    desk = desks()
    desk.dispatcher.at(5, Kind.POLL, Job("due"))
    await desk.dispatcher.stop()
    await desk.dispatcher.stop()
    desk.dispatcher.queue(Kind.SUBMIT, Job("a"))
    desk.dispatcher.at(5, Kind.POLL, Job("b"))
    desk.dispatcher.at(5, Kind.DEADLINE, Job("c"))
    await asyncio.sleep(10)

    assert not desk.sent
    assert not desk.expired


async def test_stopping_while_a_request_is_in_flight_leaves_it_alone(desks: Callable[..., Desk]) -> None:
    """The dispatcher waits for a place at that time, and gives none back that it does not have."""
    desk = desks()
    desk.dispatcher.queue(Kind.SUBMIT, Job("a"))
    await asyncio.sleep(0.5)

    await desk.dispatcher.stop()
    (request,) = desk.dispatcher.in_flight
    await request

    assert not request.cancelled()


async def test_what_never_started_can_be_stopped() -> None:
    """A client that nobody used is closed, too."""
    await Desk().dispatcher.stop()


# --- Pace ---


async def test_after_a_429_all_requests_of_its_kind_wait(desks: Callable[..., Desk]) -> None:
    """Those of the other kind do not."""
    desk = desks(max_requests=10)
    desk.dispatcher.limited(Kind.SUBMIT, started=0, wait=20)
    for number in range(3):
        desk.dispatcher.queue(Kind.SUBMIT, Job(str(number)))
        desk.dispatcher.queue(Kind.POLL, Job(str(number)))
    await asyncio.sleep(30)

    assert [(when, name) for when, name in desk.sent if "poll" in name] == [(0, f"poll {n}") for n in range(3)]
    assert [when for when, name in desk.sent if "submit" in name] == pytest.approx([20, 20.1, 20.2])


async def test_a_second_429_makes_the_wait_longer(desks: Callable[..., Desk]) -> None:
    """The alarm of the first rings for nobody."""
    desk = desks()
    desk.dispatcher.limited(Kind.POLL, started=0, wait=5)
    desk.dispatcher.queue(Kind.POLL, Job("a"))
    await asyncio.sleep(1)
    desk.dispatcher.limited(Kind.POLL, started=1, wait=20)
    desk.dispatcher.queue(Kind.POLL, Job("b"))
    await asyncio.sleep(30)

    assert [when for when, _ in desk.sent] == pytest.approx([21, 22])


async def test_an_alarm_that_rings_a_moment_early_is_set_again(
    desks: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loops whose clock is coarse ring too early, and nobody else would ever wake the dispatcher."""
    monkeypatch.setattr(asyncio.get_running_loop(), "_clock_resolution", 0.015)
    desk = desks()
    desk.dispatcher.limited(Kind.POLL, started=0, wait=5)
    desk.dispatcher.queue(Kind.POLL, Job("a"))
    await asyncio.sleep(4.99)
    await asyncio.sleep(60)

    assert desk.sent == [(5, "poll a")]


async def test_the_pace_recovers_by_degrees(desks: Callable[..., Desk]) -> None:
    """With each request that is let through."""
    desk = desks()
    gaps = [desk.dispatcher.limited(Kind.POLL, started=now(), wait=0) for _ in range(3)]
    assert gaps == [0.1, 0.2, 0.4]

    passed = 0
    while desk.dispatcher._paces[Kind.POLL].gap:
        desk.dispatcher.passed(Kind.POLL, now())
        passed += 1
    desk.dispatcher.passed(Kind.POLL, now())

    assert 10 < passed < 30


# --- Memory ---


async def test_stale_entries_of_the_agenda_are_cleaned_up(desks: Callable[..., Desk]) -> None:
    """Thousands of tasks that ended long before their deadline leave next to nothing."""
    desk = desks()
    living = [Job() for _ in range(10)]
    for job in living:
        desk.dispatcher.at(3600, Kind.DEADLINE, job)
    for _ in range(10_000):
        job = Job()
        desk.dispatcher.at(3600, Kind.DEADLINE, job)
        job.ended = True
        desk.dispatcher.ended()

    assert len(desk.dispatcher._agenda) < 200
    await asyncio.sleep(4000)
    assert len(desk.expired) == 10


# --- Through the client ---


async def test_five_hundred_handles_keep_within_the_bound_and_all_arrive() -> None:
    """Each with the video of its own prompt, each submitted once."""
    async with (
        Emulator(seconds=(8.0, 20.0), latency=0.1, render=False) as fox,
        Client(fox.api_key, fox.base_url, max_requests=32) as client,
    ):
        shots = [GrokTextToVideo(prompt=f"Kite {number}") for number in range(500)]
        videos = await asyncio.gather(*map(client.submit, shots))

        assert [fox.ledger.tasks[video.id].body["prompt"] for video in videos] == [shot.prompt for shot in shots]
        assert (fox.ledger.submitted, fox.ledger.charged) == (500, 500)
        assert fox.ledger.max_in_flight == 32
        assert client.unfinished() == ()
        assert now() < 60


async def test_max_active_holds_from_the_submit_to_the_end() -> None:
    """Of twelve, no more than four are on the service at once."""
    async with (
        Emulator(seconds=10.0, render=False) as fox,
        Client(fox.api_key, fox.base_url, schedule=Every(1), max_active=4) as client,
    ):
        await asyncio.gather(*(client.submit(SHOT) for _ in range(12)))
        lives = [record.life for record in fox.ledger.tasks.values()]

        assert max(sum(a.began <= b.began < a.ends for a in lives) for b in lives) == 4
        assert now() == pytest.approx(30)


@pytest.mark.parametrize(
    "fault", [Fault("rate_limit"), Fault("reset", after=True), Fault("error", status=402), Fault("html", status=502)]
)
async def test_whatever_a_submit_ends_in_its_place_is_free_again(fault: Fault) -> None:
    """With one place for requests and one for active tasks."""
    async with (
        Emulator(seconds=10.0, render=False) as fox,
        Client(fox.api_key, fox.base_url, schedule=Every(2), max_active=1, max_requests=1) as client,
    ):
        fox.fail_next("submit", fault, times=2)
        await asyncio.gather(*(client.submit(SHOT) for _ in range(4)), return_exceptions=True)

        assert client._engine.dispatcher.active == 0
        assert fox.ledger.max_in_flight == 1


async def test_a_timed_out_or_abandoned_task_frees_its_place() -> None:
    """It is nobody's matter here any more."""
    async with (
        Emulator(seconds=1000.0, render=False) as fox,
        Client(fox.api_key, fox.base_url, schedule=Every(2), max_active=1) as client,
    ):
        first = client.submit(SHOT, timeout=5)
        second = client.submit(SHOT)
        third = client.submit(SHOT)
        with pytest.raises(TaskTimeout):
            await first
        await second.wait_accepted()
        second.abandon()
        await third.wait_accepted()

        assert now() == 5
        assert fox.ledger.charged == 3


async def test_polls_are_served_while_hundreds_of_submits_wait() -> None:
    """A task that was accepted early is finished long before the last submit left."""
    async with (
        Emulator(seconds=3.0, latency=1.0, render=False) as fox,
        Client(fox.api_key, fox.base_url, schedule=Every(1), max_requests=2) as client,
    ):
        tasks = [client.submit(SHOT) for _ in range(100)]
        await tasks[0]

        assert now() < 20
        assert fox.ledger.submitted < 20
        await asyncio.gather(*tasks)


async def test_a_429_with_retry_after_slows_all_submits_then_they_recover() -> None:
    """All are made in the end, once each; tasks that run are asked for meanwhile."""
    async with (
        Emulator(seconds=10.0, render=False) as fox,
        Client(fox.api_key, fox.base_url, schedule=Every(2), max_requests=4) as client,
    ):
        early = client.submit(SHOT)
        await early.wait_accepted()
        fox.fail_next("submit", Fault("rate_limit", retry_after="30"))
        tasks = [client.submit(SHOT) for _ in range(40)]
        await early
        assert now() == 10
        await asyncio.gather(*tasks)

        began = sorted(record.life.began for record in fox.ledger.tasks.values())[1:]
        late = [moment for moment in began if moment > 1]  # the others were on their way already
        gaps = [after - before for before, after in itertools.pairwise(late)]
        assert late[0] == 30
        assert 0.03 < gaps[0] <= 0.1
        assert gaps == sorted(gaps, reverse=True)
        assert gaps[-1] == 0
        assert fox.ledger.charged == 41
        assert fox.ledger.submitted == 42


async def test_a_429_to_a_query_slows_queries_and_no_submit(client: Client, fox: Emulator) -> None:
    """And ends no task."""
    fox.fail_next("poll", Fault("rate_limit", retry_after="20"))
    task = client.submit(SHOT)
    await asyncio.sleep(3)
    await client.submit(SHOT).wait_accepted()
    assert now() == 3

    await task

    assert now() == pytest.approx(22, abs=0.5)


async def test_a_thousand_tasks_that_ended_leave_no_entries_behind(fox: Emulator) -> None:
    """Well or not; although their deadlines lie an hour ahead, and nobody holds their handles."""
    fox.fail_next("submit", Fault("error", status=402), times=800)
    async with Client(fox.api_key, fox.base_url, schedule=Every(10)) as client:
        await asyncio.gather(*(client.generate(SHOT) for _ in range(1000)), return_exceptions=True)
        gc.collect()

        assert fox.ledger.charged == 200
        assert len(client._engine.dispatcher._agenda) < 200
        assert len(client._engine.jobs._by_id) < 200
        assert not client._engine.jobs._unretrieved
