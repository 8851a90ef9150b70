"""The queue in front of many machines: what is put in is made once, whoever makes it and whatever dies."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import procrastinate
import pytest
from click.testing import CliRunner, Result
from commanding import served
from databases import execute

from foxvideo import (
    AuthenticationError,
    BadReply,
    Client,
    ClientClosed,
    Every,
    FoxError,
    InsufficientCredits,
    InvalidRequest,
    JournalError,
    KeyConflict,
    LimitReached,
    RateLimited,
    Request,
    ServiceUnavailable,
    SubmitUncertain,
    TaskFailed,
    TaskTimeout,
    Video,
    batch,
    farm,
)
from foxvideo._journal.inspection import workers
from foxvideo.cli.app import app
from foxvideo.emulator import Emulator, Fault

KEY = "sk-emulator"
Run = Callable[..., Result]

pytestmark = pytest.mark.real_clock


def error(kind: type[FoxError]) -> FoxError:
    """Make an error of a kind."""
    return kind("it is so", submitted="no")


@pytest.mark.parametrize(
    ("kinds", "again"),
    [
        ((SubmitUncertain, TaskFailed, InvalidRequest, KeyConflict), "never"),
        ((ClientClosed, TaskTimeout), "at once"),
        ((ServiceUnavailable, RateLimited, BadReply, JournalError), "later"),
        ((AuthenticationError, InsufficientCredits, LimitReached), "later"),
    ],
)
def test_a_job_comes_again_where_that_can_help_and_costs_nothing(kinds: tuple[type[FoxError], ...], again: str) -> None:
    """For as long as it takes, and less and less often."""
    for kind in kinds:
        for attempts in (0, 5, 10_000):
            wait = farm.wait_before(error(kind), attempts)
            if again == "never":
                assert wait is None
            elif again == "at once":
                assert wait == 0
            else:
                assert wait is not None
                assert 0 < wait <= 300


def test_a_job_that_breaks_in_an_unknown_way_is_given_up_some_time() -> None:
    """Else it would come for ever; the disk is another matter."""
    assert farm.wait_before(KeyError("a"), 0) is not None
    assert farm.wait_before(KeyError("a"), 10) is None
    assert farm.wait_before(OSError("full"), 10_000) is not None
    assert farm.wait_before(asyncio.CancelledError(), 10_000) == 0


# --- With a database ---


@pytest.fixture
def queue(database: str) -> str:
    """Make a queue beside a journal, and return the URL of both."""
    farm.init(database)
    return f"{database}?lease=1"


@pytest.fixture
def fox() -> Iterator[Emulator]:
    """Run an emulator for programs."""
    with served(seconds=0.5) as running:
        yield running


@pytest.fixture
def run(fox: Emulator, queue: str) -> Run:
    """Return what runs a command with the queue."""

    def command(*words: str) -> Result:
        env = {"FOXAPI_API_KEY": KEY, "FOXAPI_BASE_URL": fox.base_url, "FOXVIDEO_JOURNAL": queue}
        return CliRunner().invoke(app, list(words), env=env)

    return command


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Write a manifest of six rows, one of which has a local picture."""
    (tmp_path / "cat.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    rows = ["prompt,image_url", *(f"A kite {n}," for n in range(5)), "It moves,cat.png"]
    (tmp_path / "shots.csv").write_text("\n".join(rows))
    return tmp_path / "shots.csv"


@contextlib.contextmanager
def working(fox: Emulator, queue: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a worker in a process of its own."""
    env = os.environ | {"FOXAPI_API_KEY": KEY, "FOXAPI_BASE_URL": fox.base_url, "FOXVIDEO_JOURNAL": queue}
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "foxvideo", "worker", "--poll-every", "0.1", *words],
        env=env,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never became true"
        time.sleep(0.05)


def jobs(queue: str) -> list[str]:
    """Return where the jobs stand that make videos."""
    query = "SELECT status::text FROM public.procrastinate_jobs WHERE task_name = 'foxvideo:generate'"
    return [status for (status,) in execute(queue.partition("?")[0], query)]


def statuses(queue: str) -> list[str]:
    """Return where the records of the journal stand."""
    return [status for (status,) in execute(queue.partition("?")[0], "SELECT status FROM tasks")]


def test_what_is_put_in_is_made_and_saved_once(run: Run, fox: Emulator, manifest: Path, tmp_path: Path) -> None:
    """However often it is put in, while it waits and after it was made."""
    assert "6 rows put in" in run("enqueue", str(manifest)).output
    assert json.loads(run("enqueue", str(manifest), "--json").stdout) == {"new": 0, "waiting": 6, "known": 0, "bad": 0}
    done = run("worker", "--save-to", str(tmp_path / "clips"), "--once", "--poll-every", "0.1")
    assert done.exit_code == 0, done.output
    assert (fox.ledger.charged, len(list((tmp_path / "clips").glob("*.mp4")))) == (6, 6)
    assert json.loads(run("enqueue", str(manifest), "--json").stdout) == {"new": 0, "waiting": 0, "known": 6, "bad": 0}


def test_a_row_has_the_key_that_a_batch_gives_it(run: Run, manifest: Path, queue: str) -> None:
    """So that the journal knows it from either."""
    run("enqueue", str(manifest))
    rows = [row.key for row in batch.Manifest(manifest) if isinstance(row, batch.Row)]
    found = execute(queue.partition("?")[0], "SELECT args->>'key' FROM public.procrastinate_jobs")
    assert sorted(key for (key,) in found) == sorted(rows)


def test_bad_rows_are_told_and_left_out(run: Run, tmp_path: Path) -> None:
    """Or nothing is put in."""
    (tmp_path / "bad.csv").write_text("prompt,duration\nA kite,6\nA fox,minus one\n")
    strict = run("enqueue", str(tmp_path / "bad.csv"), "--strict")
    assert (strict.exit_code, "duration" in strict.output) == (2, True)
    loose = run("enqueue", str(tmp_path / "bad.csv"))
    assert (loose.exit_code, "1 rows put in" in loose.output) == (2, True)


@pytest.mark.slow
def test_a_worker_that_is_told_to_stop_puts_back_what_it_has_not_made(
    run: Run, queue: str, manifest: Path, tmp_path: Path
) -> None:
    """What it had submitted runs on, and the next worker carries on; nothing is bought twice."""
    with served(seconds=6.0) as slow:
        run("enqueue", str(manifest))
        alive = tmp_path / "alive"
        words = ("--save-to", str(tmp_path / "clips"), "--drain", "0.2", "--alive", str(alive))
        with working(slow, queue, *words) as first:
            until(lambda: slow.ledger.charged == 6)
            until(alive.exists)
            (it,) = [one for one in workers(queue) if one.following]
            assert it.lives
            assert f"process {first.pid}" in (it.place or "")
            first.send_signal(signal.SIGTERM)
            assert first.wait(10) == 0
            assert "stopped" in (first.stderr.read() if first.stderr else "")
        assert set(jobs(queue)) == {"todo"}
        assert set(statuses(queue)) == {"accepted"}
        with working(slow, queue, "--save-to", str(tmp_path / "clips"), "--once") as second:
            assert second.wait(30) == 0
        assert slow.ledger.charged == 6
        assert set(statuses(queue)) == {"completed"}
        assert len(list((tmp_path / "clips").glob("*.mp4"))) == 6


@pytest.mark.slow
def test_what_a_killed_worker_had_is_made_by_another(run: Run, queue: str, manifest: Path, tmp_path: Path) -> None:
    """Its tasks are followed within seconds, and its jobs are put back."""
    with served(seconds=4.0) as slow:
        run("enqueue", str(manifest))
        clips = tmp_path / "clips"
        with working(slow, queue, "--save-to", str(clips)) as gone:
            until(lambda: statuses(queue) == ["accepted"] * 6)
            gone.send_signal(signal.SIGKILL)
        with working(slow, queue, "--save-to", str(clips)):
            until(lambda: len(list(clips.glob("*.mp4"))) == 6)
        assert slow.ledger.charged == 6
        assert set(jobs(queue)) == {"doing"}
        execute(
            queue.partition("?")[0], "UPDATE public.procrastinate_workers SET last_heartbeat = now() - interval '1 h'"
        )

        async def retry() -> None:
            async with Client(KEY, slow.base_url, journal=queue) as client:
                queued = farm.queue_at(queue)
                queued.add_tasks_from(farm.blueprint(client), namespace="foxvideo")
                async with queued.open_async():
                    await queued.configure_task("foxvideo:retry_stalled").defer_async(timestamp=1)
                    await queued.run_worker_async(queues=["foxvideo"], wait=False, install_signal_handlers=False)
                    await queued.run_worker_async(queues=["foxvideo"], wait=False, install_signal_handlers=False)

        asyncio.run(retry())
        assert set(jobs(queue)) == {"succeeded"}
        assert slow.ledger.charged == 6


async def test_a_job_whose_outcome_is_uncertain_waits_for_a_person(queue: str) -> None:
    """It is not sent again, and one that was turned away for a while is."""
    async with (
        Emulator(seconds=0.2, render=False) as fox,
        Client(KEY, fox.base_url, journal=queue, schedule=Every(0.1)) as client,
    ):
        app_ = farm.queue_at(queue)
        app_.add_tasks_from(farm.blueprint(client), namespace="foxvideo")
        fox.fail_next("submit", Fault("reset", after=True))
        async with app_.open_async():
            await app_.configure_task("foxvideo:generate").defer_async(
                request={"model": "grok-imagine-text-to-video", "prompt": "A kite"}, key="one"
            )
            await app_.run_worker_async(queues=["foxvideo"], wait=False, install_signal_handlers=False)
            assert (jobs(queue), statuses(queue), fox.ledger.charged) == (["failed"], ["uncertain"], 1)
            for _ in range(4):
                fox.fail_next("submit", Fault("error", status=402))
            await app_.configure_task("foxvideo:generate").defer_async(
                request={"model": "grok-imagine-text-to-video", "prompt": "A fox"}, key="two"
            )
            await app_.run_worker_async(queues=["foxvideo"], wait=False, install_signal_handlers=False)
            assert sorted(jobs(queue)) == ["failed", "todo"]
            assert fox.ledger.charged == 1


async def test_what_saves_a_video_elsewhere_is_called_until_it_works(
    queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least once, and the video is bought once."""
    monkeypatch.setattr(farm, "delay", lambda *_, **__: 0.0)
    seen: list[Video] = []

    async def put(video: Video) -> None:
        seen.append(video)
        if len(seen) == 1:
            raise RuntimeError("the bucket is not there")

    async with (
        Emulator(seconds=0.2, render=False) as fox,
        Client(KEY, fox.base_url, journal=queue, schedule=Every(0.1)) as client,
    ):
        app_ = farm.queue_at(queue)
        app_.add_tasks_from(farm.blueprint(client, save_with=put), namespace="foxvideo")
        async with app_.open_async():
            await app_.configure_task("foxvideo:generate").defer_async(
                request={"model": "grok-imagine-text-to-video", "prompt": "A kite"}, key="one"
            )
            end = time.monotonic() + 20
            while jobs(queue) != ["succeeded"] and time.monotonic() < end:
                await app_.run_worker_async(queues=["foxvideo"], wait=False, install_signal_handlers=False)
                await asyncio.sleep(0.1)
        assert (len(seen), len({video.id for video in seen}), fox.ledger.charged) == (2, 1, 1)


def test_a_queue_needs_a_journal_that_all_can_reach(run: Run, tmp_path: Path, fox: Emulator, manifest: Path) -> None:
    """A file is not one."""
    client = Client(KEY, fox.base_url, journal=tmp_path / "videos.db")
    with pytest.raises(ValueError, match="PostgreSQL"):
        farm.blueprint(client)
    with pytest.raises(ValueError, match="PostgreSQL"):
        asyncio.run(farm.enqueue(client, []))
    for words in (("enqueue", str(manifest)), ("worker", "--save-to", "clips"), ("workers",)):
        done = run(*words, "--journal", str(tmp_path / "videos.db"))
        assert (done.exit_code, "postgresql://" in done.output) == (2, True)


def test_a_database_without_a_queue_is_told_with_the_command_that_makes_one(
    database: str, fox: Emulator, manifest: Path
) -> None:
    """Nothing is lost by trying."""
    env = {"FOXAPI_API_KEY": KEY, "FOXAPI_BASE_URL": fox.base_url, "FOXVIDEO_JOURNAL": database}
    done = CliRunner().invoke(app, ["enqueue", str(manifest)], env=env)
    assert (done.exit_code, "foxvideo journal init --queue" in done.output) == (1, True)
    made = CliRunner().invoke(app, ["journal", "init", "--queue"], env=env)
    assert (made.exit_code, made.output.count("made a")) == (0, 1), made.output
    assert "put in" in CliRunner().invoke(app, ["enqueue", str(manifest)], env=env).output


def test_a_worker_that_is_told_to_stop_at_once_says_where_its_work_is(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the exit code of one that did what it was told."""

    async def stopped(*_: object, **__: object) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr("foxvideo.farm.work", stopped)
    done = run("worker", "--save-to", str(tmp_path / "clips"))
    assert (done.exit_code, "in the queue" in done.output) == (0, True)


def test_a_file_says_that_a_worker_lives(run: Run, manifest: Path, tmp_path: Path) -> None:
    """For a supervisor, which looks at its age."""
    run("enqueue", str(manifest))
    run("worker", "--save-to", str(tmp_path / "clips"), "--once", "--poll-every", "0.1", "--alive", str(tmp_path / "a"))
    assert (tmp_path / "a").exists()


def test_an_empty_manifest_puts_nothing_in(run: Run, tmp_path: Path) -> None:
    """And says so."""
    (tmp_path / "none.csv").write_text("prompt\n")
    done = run("enqueue", str(tmp_path / "none.csv"))
    assert (done.exit_code, "no rows" in done.output) == (2, True)


def test_without_the_extra_a_command_says_what_to_install(
    run: Run, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line."""
    monkeypatch.delattr("foxvideo.farm")
    monkeypatch.setitem(sys.modules, "foxvideo.farm", None)
    done = run("enqueue", str(manifest))
    assert (done.exit_code, "pip install 'foxvideo[farm]'" in done.output) == (1, True)


def test_a_worker_needs_the_journal_beside_the_queue(tmp_path: Path, fox: Emulator) -> None:
    """Before it takes anything."""
    client = Client(KEY, fox.base_url, journal=tmp_path / "videos.db")
    with pytest.raises(ValueError, match="PostgreSQL"):
        asyncio.run(farm.work(client, concurrency=1, drain=1.0))


def test_the_tables_of_the_queue_are_printed_with_those_of_the_journal() -> None:
    """For somebody who may make them."""
    done = CliRunner().invoke(app, ["journal", "init", "--print", "--queue"])
    assert "CREATE TABLE foxvideo.tasks" in done.stdout
    assert "procrastinate_jobs" in done.stdout


async def test_those_who_work_are_shown_and_those_who_fell_silent(queue: str, fox: Emulator) -> None:
    """With what each has."""
    env = {"FOXVIDEO_JOURNAL": queue}
    async with Client(KEY, fox.base_url, journal=queue) as client:
        await client.submit(Request("grok-imagine-text-to-video", prompt="A kite"), key="one").wait_accepted()
        shown = await asyncio.to_thread(CliRunner().invoke, app, ["workers"], env=env)
        assert f"process {os.getpid()}: lives; 0 waiting, 0 being sent, 1 followed" in shown.output
        execute(queue.partition("?")[0], "UPDATE owners SET until = now() - interval '90 s'")
        told: list[dict[str, Any]] = json.loads(
            (await asyncio.to_thread(CliRunner().invoke, app, ["workers", "--json"], env=env)).stdout
        )
        assert told[0]["following"] == 1
    nobody = await asyncio.to_thread(CliRunner().invoke, app, ["workers"], env=env)
    assert "nobody" in nobody.output


def test_the_tasks_of_the_queue_fit_into_an_app_of_its_user(queue: str, fox: Emulator) -> None:
    """Beside others, under a name of their own; a second app has tasks of its own."""
    for _ in range(2):
        theirs = procrastinate.App(connector=procrastinate.PsycopgConnector())
        theirs.add_tasks_from(farm.blueprint(Client(KEY, fox.base_url, journal=queue)), namespace="foxvideo")
        assert {"foxvideo:generate", "foxvideo:retry_stalled"} <= set(theirs.tasks)
