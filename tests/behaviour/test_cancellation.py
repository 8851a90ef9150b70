"""Cut at every step: cancelled, interrupted, torn down, and nothing is lost.

A driver runs a scenario once for each cycle of the event loop that it takes, and cuts it in that cycle: by cancelling
the scenario, as ``wait_for`` and ``TaskGroup`` do, or by an interrupt that ends the whole loop, as the second Ctrl-C
does. After each cut the same invariants must hold.
"""

import asyncio
import contextlib
import gc
import hashlib
import json
import logging
import re
import shutil
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from foxvideo import Client, Every, GrokImageToVideo, GrokTextToVideo, RecordStatus, SubmitUncertain, TaskRecord
from foxvideo._journal import SqliteStore
from foxvideo._journal.writer import Writer
from foxvideo.emulator import Emulator, Fault
from foxvideo.testing import clock as virtual_clock
from foxvideo.testing.clock import VirtualClockLoop

if TYPE_CHECKING:
    from foxvideo.requests.generic import VideoRequest

Scenario = Callable[[Client, Emulator, Path], Coroutine[Any, Any, object]]

SHOT = GrokTextToVideo(prompt="A fox trots through snow")
LOCAL = GrokImageToVideo(prompt="It goes on", image_url=b"a picture")
MOST = 4  # requests in flight
VIDEO = bytes(range(256)) * 3000  # some pieces


class SteppedLoop(VirtualClockLoop):
    """A loop that counts its cycles, and can be cut in one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.cycles = 0
        self.cut_at = 0
        self.cut: Callable[[], object] = _interrupt
        self.problems: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.problems.append(context))
        self._select = self._idle.select
        self._idle.select = self._count  # type: ignore[method-assign]

    def begin(self, cut_at: int) -> None:
        """Count from here."""
        self.cycles, self.cut_at = 0, cut_at

    def _count(self, timeout: float | None = None) -> list[Any]:
        self.cycles += 1
        if self.cycles == self.cut_at:
            self.cut()
            timeout = 0
        return self._select(timeout)


def _interrupt() -> None:
    raise KeyboardInterrupt


async def _generate(client: Client, fox: Emulator, folder: Path) -> None:
    await client.generate(SHOT)


async def _upload_and_generate(client: Client, fox: Emulator, folder: Path) -> None:
    await client.generate(LOCAL)


async def _several_with_retries(client: Client, fox: Emulator, folder: Path) -> None:
    fox.fail_next("submit", Fault("rate_limit"))
    fox.fail_next("submit", Fault("reset", after=True))
    fox.fail_next("poll", Fault("html", status=502))
    await asyncio.gather(*(client.generate(SHOT) for _ in range(3)), return_exceptions=True)


async def _submit_and_await(client: Client, fox: Emulator, folder: Path) -> None:
    task = client.submit(SHOT)
    await task.wait_accepted()
    await task


async def _iterate(client: Client, fox: Emulator, folder: Path) -> None:
    async for _ in client.submit(SHOT):
        pass


async def _upload_file(client: Client, fox: Emulator, folder: Path) -> None:
    (folder / "picture.png").write_bytes(VIDEO)
    fox.fail_next("upload", Fault("reset"))
    await client.upload(folder / "picture.png")


async def _save(client: Client, fox: Emulator, folder: Path) -> None:
    video = await client.generate(SHOT)
    fox.fail_next("result", Fault("half_body"))
    await video.save(folder / "video.mp4", overwrite=True)


async def _save_when_done(client: Client, fox: Emulator, folder: Path) -> None:
    (folder / "video.mp4").unlink(missing_ok=True)
    await client.generate(SHOT, save_to=folder / "video.mp4")


async def _close_under_way(client: Client, fox: Emulator, folder: Path) -> None:
    tasks = [client.submit(request) for request in (SHOT, LOCAL, SHOT, SHOT, SHOT, SHOT)]
    await tasks[0].wait_accepted()
    await client.close()


SCENARIOS: dict[Scenario, int] = {  # and how many cycles each takes at least
    _generate: 15,
    _upload_and_generate: 25,
    _several_with_retries: 30,
    _submit_and_await: 15,
    _iterate: 15,
    _upload_file: 15,
    _save: 40,
    _save_when_done: 30,
    _close_under_way: 8,
}


async def _keys_that_are_asked_for_twice(client: Client, fox: Emulator, folder: Path) -> None:
    fox.fail_next("submit", Fault("rate_limit"))
    fox.fail_next("submit", Fault("reset", after=True))
    requests: dict[str, VideoRequest] = {"shot-1": SHOT, "shot-2": LOCAL, "shot-3": SHOT}
    keyed = [client.generate(request, key=key) for key, request in requests.items() for _ in range(2)]
    await asyncio.gather(*keyed, return_exceptions=True)


async def _look_up_and_resume(client: Client, fox: Emulator, folder: Path) -> None:
    await client.submit(SHOT, key="shot-1").wait_accepted()
    (resumed,) = await client.resume()
    await client.task(key="shot-1")
    await resumed
    await client.history()


async def _adopt_and_resubmit(client: Client, fox: Emulator, folder: Path) -> None:
    for key in ("shot-1", "shot-2"):
        fox.fail_next("submit", Fault("reset", after=True))
        with contextlib.suppress(SubmitUncertain):
            await client.generate(SHOT, key=key)
    await client.adopt("shot-1", next(iter(fox.ledger.tasks)))
    await (await client.resubmit("shot-2"))


JOURNALED: dict[Scenario, int] = {  # the same with a journal, and what there is only with one
    _upload_and_generate: 40,
    _close_under_way: 15,
    _keys_that_are_asked_for_twice: 50,
    _look_up_and_resume: 30,
    _adopt_and_resubmit: 50,
}


def _emulator() -> Emulator:
    return Emulator(seconds=5.0, latency=0.01, render=False, video=VIDEO)


async def _go_on(path: Path, task_id: str, has: int) -> None:
    """Save a video of which a part is there, and see that not a byte of that is fetched again."""
    seen: list[int] = []
    async with _emulator() as fox, Client(fox.api_key, fox.base_url) as client, asyncio.timeout(60):
        video = attrs.evolve(await client.generate(SHOT), id=task_id)
        saved = await video.save(path, overwrite=True, progress=lambda done, _: seen.append(done))
    assert seen[0] == has
    assert saved.path.read_bytes() == VIDEO
    assert saved.sha256 == hashlib.sha256(VIDEO).hexdigest()


class Cut:
    """One run of a scenario that is cut in one cycle, and what can be said afterwards."""

    def __init__(
        self, scenario: Scenario, cut_at: int, folder: Path, log: pytest.LogCaptureFixture, *, journal: Path | None
    ) -> None:
        self.scenario, self.cut_at, self.folder, self.log = scenario, cut_at, folder, log
        self.journal = journal
        self.fox = _emulator()
        self.finished = False
        self.pending: set[asyncio.Task[Any]] = set()
        self.cycles = 0

    async def _main(self, *, cancel: bool) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SteppedLoop)
        async with self.fox:
            # A loop that is torn down forgets a connection that its server is just accepting; that side is not ours.
            servers = rf"unclosed <socket.* laddr=\('127.0.0.1', {self.fox.base_url.rpartition(':')[2]}\)"
            warnings.filterwarnings("ignore", servers, ResourceWarning)
            options: dict[str, Any] = {"schedule": Every(2), "max_requests": MOST, "journal": self.journal}
            client = Client(self.fox.api_key, self.fox.base_url, **options)
            async with client:
                body = loop.create_task(self.scenario(client, self.fox, self.folder))
                if cancel:
                    loop.cut = body.cancel
                loop.begin(self.cut_at)
                await asyncio.wait({body})
            self.cycles = loop.cycles
            self.finished = loop.cycles < self.cut_at
            loop.begin(0)
            if self.finished:
                body.result()
        self.pending = asyncio.all_tasks() - {asyncio.current_task()}

    def run(self, *, cancel: bool) -> None:
        """Run it, and check what must hold whatever was cut."""
        self.log.clear()
        problems = self._run_loop(cancel=cancel)
        gc.collect()  # the loop itself is garbage by now, and what it forgot with it
        for thread in threading.enumerate():  # an interpreter waits for them too before it ends
            if thread.name.startswith("foxvideo-save"):
                thread.join()
        assert problems == [], "an exception that nobody retrieved, or a task that was destroyed"
        assert self.pending == set(), "something is left on the loop"
        assert self.fox.ledger.max_in_flight <= MOST
        self._assert_every_charge_is_known()
        if self.journal is not None:
            self._assert_the_journal_is_right(self.journal)
        for notes in self.folder.glob(".*.part.json"):
            noted = json.loads(notes.read_text())
            task_id, _, _ = noted["facts"]["source"].partition("#")
            noted["facts"]["modified"] = None  # which the video of another emulator does not have
            notes.write_text(json.dumps(noted))
            virtual_clock.run(_go_on(self.folder / noted["name"], task_id, notes.with_suffix("").stat().st_size))
        assert not list(self.folder.glob(".*.part*")), "half a video is left behind"

    def _run_loop(self, *, cancel: bool) -> list[str]:
        with asyncio.Runner(loop_factory=SteppedLoop) as runner:
            loop = runner.get_loop()
            assert isinstance(loop, SteppedLoop)
            try:
                runner.run(self._main(cancel=cancel))
            except KeyboardInterrupt:
                assert not cancel
        # The server's side again, which a loop in debug mode reports.
        accepting = "Error on transport creation for incoming connection"
        return [str(context) for context in loop.problems if context["message"] != accepting]

    def _assert_every_charge_is_known(self) -> None:
        text = "\n".join(record.getMessage() for record in self.log.records if record.levelno >= logging.INFO)
        known = set(re.findall(r"task-unified-[\w-]+", text))
        lost = self.fox.ledger.tasks.keys() - known
        uncertain = len(re.findall("^uncertain submission", text, re.MULTILINE))
        assert len(lost) <= uncertain, f"cycle {self.cut_at}: {lost} charged and forgotten"

    def _assert_the_journal_is_right(self, path: Path) -> None:
        for _ in range(100):  # a thread of the client that was cut may still be letting go of its lock
            rows = asyncio.run(_remembered(path))
            if not (locks := list(path.parent.glob("*.lock"))):
                break
            time.sleep(0.01)
        assert not locks, "the next who opened it left a lock of the last"
        assert {row.owner for row in rows} <= {None}, f"cycle {self.cut_at}: there is a row that nobody can send"
        charges: dict[str, set[str]] = {row.token: set() for row in rows}
        for record in self.fox.ledger.tasks.values():
            charges[record.headers["Idempotency-Key"]].add(record.id)  # a KeyError is a submit that is not written down
        for token, charged in charges.items():
            attempts = [row for row in rows if row.token == token]  # several where an uncertain one was sent again
            known = {row.task_id for row in attempts if row.task_id is not None}
            uncertain = [row for row in attempts if row.status is RecordStatus.UNCERTAIN]
            assert known <= charged
            assert len(charged - known) <= len(uncertain), f"cycle {self.cut_at}: {charged} were charged for {attempts}"


async def _remembered(path: Path) -> tuple[TaskRecord, ...]:
    async with SqliteStore(path) as journal:
        return await journal.records()


def cut_everywhere(
    scenario: Scenario, cancel: bool, folder: Path, log: pytest.LogCaptureFixture, *, journal: bool
) -> int:
    """Cut each cycle of a scenario once, check what must hold, and return how many cycles it has."""
    log.set_level(logging.INFO, "foxvideo")
    gc.collect()
    gc.freeze()  # each cut collects its own garbage, and only that
    with warnings.catch_warnings():
        for cycle in range(1, 1000):
            path = Path(shutil.copy(folder / "empty", folder / f"{cycle}.db")) if journal else None
            cut = Cut(scenario, cycle, folder, log, journal=path)
            cut.run(cancel=cancel)
            if cut.finished:
                break
        finished, cycles = cut.finished, cut.cycles
        del cut
        log.clear()  # its records hold errors, and these the frames of the loop
        gc.unfreeze()
        gc.collect()
    assert finished
    return cycles


@pytest.mark.slow
@pytest.mark.parametrize("cancel", [True, False], ids=["cancelled", "interrupted"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__.strip("_"))
def test_no_paid_task_is_lost_however_it_is_cut(
    scenario: Scenario, cancel: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each cycle of the loop is cut once; all that was charged is named in the log, and nothing is left behind."""
    assert cut_everywhere(scenario, cancel, tmp_path, caplog, journal=False) >= SCENARIOS[scenario]


@pytest.mark.parametrize("cancel", [True, False], ids=["cancelled", "interrupted"])
@pytest.mark.parametrize("scenario", JOURNALED, ids=lambda scenario: scenario.__name__.strip("_"))
def test_the_journal_knows_every_paid_task_however_it_is_cut(
    scenario: Scenario,
    cancel: bool,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By its id, or as uncertain; what it says made nothing was not charged; and nobody owns a row any more."""
    opened = Writer._open

    def open_unsynced(writer: Writer) -> sqlite3.Connection:
        db = opened(writer)
        db.execute("PRAGMA synchronous = OFF")  # hundreds of journals, and nothing crashes
        return db

    monkeypatch.setattr(Writer, "_open", open_unsynced)
    asyncio.run(_remembered(tmp_path / "empty"))
    assert cut_everywhere(scenario, cancel, tmp_path, caplog, journal=True) >= JOURNALED[scenario]
