"""What a client tells of its work: which events, in which order, and that a hook harms nothing."""

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest

from foxvideo import Client, Event, EventKind, Every, GrokImageToVideo, GrokTextToVideo, Request, _listeners
from foxvideo._listeners import Calls, Listeners, is_async, kind_of, why
from foxvideo.emulator import Emulator, Fault
from foxvideo.errors import DownloadError, InvalidRequest, ServiceUnavailable, SubmitUncertain
from foxvideo.events import highest, level, line

SHOT = GrokTextToVideo(prompt="A secret kite")
OF_A_TASK = frozenset(EventKind) - {
    EventKind.LIMITED,
    EventKind.SILENT,
    EventKind.ANSWERED,
    EventKind.UPLOADED,
    EventKind.UNWRITTEN,
    EventKind.WRITTEN,
    EventKind.CLOSED,
    EventKind.UNRETRIEVED,
    EventKind.BROKEN,
    EventKind.SAVED,
    EventKind.UNSAVED,
}


@pytest.fixture
async def fox() -> AsyncIterator[Emulator]:
    """Run an emulator whose tasks take ten seconds."""
    async with Emulator(seconds=10.0, render=False) as emulator:
        yield emulator


async def told(fox: Emulator, *shots: GrokTextToVideo | GrokImageToVideo | Request, **options: object) -> list[Event]:
    """Return the events of a client that makes some videos."""
    events: list[Event] = []
    async with Client(fox.api_key, fox.base_url, on_event=events.append, schedule=Every(2), **options) as client:  # type: ignore[arg-type]
        await asyncio.gather(*map(client.generate, shots), return_exceptions=True)
    return events


async def test_the_events_of_a_task_are_its_life(fox: Emulator, tmp_path: Path) -> None:
    """In this order, by one number, with the id as soon as there is one."""
    events = await told(fox, SHOT, journal=tmp_path / "videos.db", save_to=tmp_path / "clips")
    (record,) = fox.ledger.tasks.values()
    mine = [event for event in events if event.kind in OF_A_TASK]

    assert [event.kind for event in mine] == ["queued", "submitted", "accepted", *["polled"] * 5, "ended"]
    assert len({event.number for event in mine}) == 1
    assert {event.task_id for event in mine[2:]} == {record.id}
    assert {event.model for event in mine} == {SHOT.model}
    assert [event.status for event in mine[3:]] == ["processing"] * 4 + ["completed"] * 2
    assert (mine[1].attempt, mine[2].credits_reserved, mine[-1].seconds) == (1, 12.5, 10.0)
    assert (mine[-1].key or "").startswith("auto-")
    (saved,) = [event for event in events if event.kind is EventKind.SAVED]
    assert (saved.task_id, saved.size) == (record.id, next((tmp_path / "clips").iterdir()).stat().st_size)


async def test_each_line_of_the_log_is_an_event_and_has_it(fox: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """So whoever counts lines and whoever counts events count the same; requests on the wire have lines beside them."""
    caplog.set_level(logging.DEBUG, "foxvideo")
    fox.fail_next("submit", Fault("rate_limit", retry_after="3"))
    fox.fail_next("submit", Fault("reset", after=True))
    fox.fail_next("poll", Fault("html", status=502), times=3)
    events = await told(fox, *[SHOT] * 5)

    logged = [record.__dict__["event"] for record in caplog.records if "event" in record.__dict__]
    assert logged == events
    assert [record.getMessage() for record in caplog.records if "event" in record.__dict__] == list(map(line, events))
    others = [record.getMessage() for record in caplog.records if "event" not in record.__dict__]
    assert all(line.startswith(("GET ", "POST ")) for line in others if "emulator" not in line)
    kinds = Counter(event.kind for event in events)
    assert kinds[EventKind.ENDED] + kinds[EventKind.UNCERTAIN] == 5 == kinds[EventKind.QUEUED]
    assert (kinds[EventKind.LIMITED], kinds[EventKind.UNCERTAIN]) == (1, 1)
    assert kinds[EventKind.SUBMITTED] == fox.ledger.submitted
    assert kinds[EventKind.POLLED] == fox.ledger.polled


@pytest.mark.parametrize("kind", EventKind)
def test_every_kind_has_a_line_and_a_level(kind: EventKind) -> None:
    """Whatever it tells, and never above the level by which it is decided whether to make it."""
    bare = Event(kind=kind, at=0.0)
    full = Event(
        kind=kind,
        at=0.0,
        task_id="task-1",
        key="k",
        model="m",
        status="s",
        error="TaskFailed x",
        why="so",
        seconds=2.0,
        progress=5.0,
        count=3,
        size=7,
        request="poll",
    )

    for event in (bare, full):
        assert line(event)
        assert level(event) <= highest(kind)
        assert json.loads(json.dumps(event.as_dict()))["kind"] == kind
    assert level(full) == highest(kind)


FAULTS = [
    Fault("reset", after=True),
    Fault("html", status=500),
    Fault("error", status=400),
    Fault("error", status=402),
    Fault("error", status=422),
    Fault("half_body", after=True),
    Fault("rate_limit"),
]


async def test_no_event_shows_a_prompt_a_link_or_the_key(fox: Emulator, tmp_path: Path) -> None:
    """Whatever goes wrong, and if the service repeats the prompt in its words."""
    for fault in FAULTS:
        fox.fail_next("submit", fault)
    fox.fail_next("poll", Fault("html", status=502), times=5)
    fox.fail_next("result", Fault("error", status=403), times=50)
    picture = GrokImageToVideo(prompt="A secret kite", image_url=b"\x89PNG\r\n\x1a\n" + bytes(99))
    events = await told(fox, *[SHOT] * 10, picture, save_to=tmp_path / "clips")

    text = "\n".join(f"{line(event)} {event!r} {json.dumps(event.as_dict())}" for event in events)
    assert len({event.kind for event in events}) > 8
    assert "secret" not in text
    assert "://" not in text
    assert fox.api_key not in text


def test_the_words_of_a_server_are_in_no_reason() -> None:
    """Nor what it calls a code, where that is no word."""
    quoting = {"http_status": 500, "body": {"error": "A secret kite"}}
    assert why(ServiceUnavailable("A secret kite", submitted="no", **quoting)) == "ServiceUnavailable HTTP 500"  # type: ignore[arg-type]
    assert kind_of(InvalidRequest("no", submitted="no", code="A secret kite")) == "InvalidRequest"
    assert kind_of(InvalidRequest("no", submitted="no", code="bad_prompt")) == "InvalidRequest bad_prompt"
    assert why(SubmitUncertain("no reply in time", submitted="unknown")) == "no reply in time"
    assert why(DownloadError("'https://x/secret' is no link", submitted="yes")) == "DownloadError"
    assert why(OSError(28, "No space left on device", "/secret")) == "No space left on device"
    assert why(ValueError("A secret kite")) == "ValueError"


# --- The hook ---


async def test_a_hook_that_raises_harms_nothing_and_is_counted(fox: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it raises; the log has the first one, and a line at the end."""

    def hook(event: Event) -> None:
        raise SystemExit(event.kind)

    async with Client(fox.api_key, fox.base_url, on_event=hook) as client:
        await client.generate(SHOT)
    raised = [record.getMessage() for record in caplog.records if "on_event" in record.getMessage()]
    assert len(raised) == 2
    assert client.stats().hook_errors >= 5
    assert client.stats().events_dropped == 0


async def test_a_hook_that_hangs_holds_up_neither_a_video_nor_the_end(
    fox: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for it at the end is dropped, and counted."""
    monkeypatch.setattr(_listeners, "_CLOSING_SECONDS", 0.05)
    hanging = threading.Event()
    began = time.monotonic()
    async with Client(fox.api_key, fox.base_url, on_event=lambda _: hanging.wait()) as client:
        await client.generate(SHOT)
    hanging.set()

    assert time.monotonic() - began < 5
    assert client.stats().events_dropped > 3


async def test_what_waits_for_a_hook_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is counted, and told once."""
    monkeypatch.setattr(_listeners, "_MOST_WAITING", 10)
    monkeypatch.setattr(_listeners, "_CLOSING_SECONDS", 5.0)
    heard: list[Event] = []
    calls = Calls(heard.append)
    listeners = Listeners(calls)
    for number in range(25):
        listeners.emit(EventKind.POLLED, number=number)
    await calls.close()

    assert [event.number for event in heard] == list(range(10))
    assert calls.dropped == 15


async def test_events_that_come_while_a_thread_ends_are_heard() -> None:
    """In whichever moment: a thousand times, in their order."""
    heard: list[int | None] = []
    calls = Calls(lambda event: heard.append(event.number))
    listeners = Listeners(calls)
    calls._hurry.set()  # so that the thread ends as soon as there is nothing
    for number in range(1000):
        listeners.emit(EventKind.POLLED, number=number)
        if number % 7 == 0:
            time.sleep(0.0002)  # noqa: ASYNC251 - the thread is to end meanwhile
    await calls.close()

    assert heard == list(range(1000))


async def test_a_coroutine_function_is_awaited_in_the_loop_in_order(fox: Emulator) -> None:
    """One event at a time, so a slow one gets them later; also one that is an object."""

    @attrs.define
    class Hook:
        heard: list[Event] = attrs.field(factory=list)
        thread: int = 0

        async def __call__(self, event: Event) -> None:
            await asyncio.sleep(0.01)
            self.heard.append(event)
            self.thread = threading.get_ident()
            if event.kind is EventKind.ACCEPTED:
                raise ValueError("A secret kite")

    hook = Hook()
    async with Client(fox.api_key, fox.base_url, on_event=hook) as client:
        await client.generate(SHOT)

    assert hook.thread == threading.get_ident()
    assert [event.kind for event in hook.heard][:3] == ["queued", "submitted", "accepted"]
    assert hook.heard[-1].kind == "ended"
    assert client.stats().hook_errors == 1


async def test_an_event_that_nobody_hears_is_not_made(fox: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it costs nothing."""
    monkeypatch.setattr(logging.getLogger("foxvideo"), "level", logging.ERROR)
    logging.getLogger("foxvideo").setLevel(logging.ERROR)
    made: list[object] = []
    monkeypatch.setattr(_listeners, "Event", lambda **told: made.append(told))
    async with Client(fox.api_key, fox.base_url) as client:
        await client.generate(SHOT)

    assert made == []


async def test_a_system_without_threads_makes_videos_all_the_same(
    fox: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The events are counted as dropped."""

    class NoThread(threading.Thread):
        def start(self) -> None:
            if self.name == "foxvideo on_event":
                raise RuntimeError("can't start new thread")
            super().start()

    monkeypatch.setattr(threading, "Thread", NoThread)
    heard: list[Event] = []
    async with Client(fox.api_key, fox.base_url, on_event=heard.append) as client:
        await client.generate(SHOT)
    assert heard == []
    assert client.stats().events_dropped > 3


def test_what_is_awaited_is_told_by_its_kind() -> None:
    """Functions, partials, methods and objects."""

    async def hook(_: Event) -> None: ...

    assert is_async(hook)
    assert not is_async(print)


# --- The environment ---


def test_the_environment_turns_the_log_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A level by its name, in any spelling; a word that is none is refused by name."""
    monkeypatch.setenv("FOXVIDEO_LOG", "debug")
    Client("sk-1")
    assert logging.getLogger("foxvideo").level == logging.DEBUG
    monkeypatch.setenv("FOXVIDEO_LOG", "loud")
    with pytest.raises(ValueError, match="FOXVIDEO_LOG must be debug, info"):
        Client("sk-1")


@pytest.mark.parametrize("configured", ["", "logging.basicConfig(format='mine: %(message)s');"])
def test_the_log_goes_to_stderr_once(configured: str) -> None:
    """In the format of a program that has configured logging, else with time and level."""
    program = f"import logging; {configured} import foxvideo; [foxvideo.Client('sk-1') for _ in range(2)]"
    program += "; logging.getLogger('foxvideo').debug('a word')"
    ran = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program],
        env=os.environ | {"FOXVIDEO_LOG": "debug"},
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    told = [line for line in ran.stderr.splitlines() if line.endswith("a word")]
    assert len(told) == 1
    assert told[0].startswith("mine: ") if configured else " DEBUG foxvideo: " in told[0]


async def test_the_environment_names_the_journal(fox: Emulator, journal: Path, tmp_path: Path) -> None:
    """Where nothing else does; False is none in any case."""
    async with Client(fox.api_key, fox.base_url) as client:
        await client.generate(SHOT, key="shot-1")
    assert journal.exists()
    async with Client(fox.api_key, fox.base_url, journal=tmp_path / "own.db") as client:
        assert await client.history() == ()
    async with Client(fox.api_key, fox.base_url, journal=False) as client:
        assert client.journal is None
