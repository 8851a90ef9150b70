"""What an error says of money is true: over all public verbs, all states of a record, and faults of service and disk.

An error about a key whose record is uncertain, or is being sent, is never "no". One that names a task is never "no".
One that says "no" stands for a key under which no charged task exists.
"""

import asyncio
import contextlib
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from foxvideo import (
    Client,
    Every,
    FoxError,
    GrokImageToVideo,
    GrokTextToVideo,
    RecordStatus,
)
from foxvideo.emulator import BENT, Emulator, Fault

SHOT = GrokTextToVideo(prompt="A fox trots through snow")
OTHER = GrokTextToVideo(prompt="A kite")
LOCAL = GrokImageToVideo(prompt="It goes on", image_url=Path("/nowhere/fox.png"))
KEY = "shot-1"

Verb = Callable[[Client, str], Awaitable[object]]


async def _abandoned(client: Client, _: str) -> object:
    task = client.submit(SHOT, key=KEY)
    task.abandon()
    return await task


async def _abandoned_a_little_later(client: Client, _: str) -> object:
    task = client.submit(SHOT, key=KEY)
    await asyncio.sleep(0.01)
    task.abandon()
    return await task


async def _closed(client: Client, _: str) -> object:
    task = client.submit(SHOT, key=KEY)
    await client.close()
    return await task


async def _adopted(client: Client, task_id: str) -> object:
    return await (await client.adopt(KEY, task_id))


async def _resubmitted(client: Client, *request: GrokTextToVideo | GrokImageToVideo) -> object:
    return await (await client.resubmit(KEY, *request))


VERBS: dict[str, Verb] = {
    "generate": lambda client, _: client.generate(SHOT, key=KEY),
    "generate, retry_failed": lambda client, _: client.generate(SHOT, key=KEY, retry_failed=True),
    "generate another request": lambda client, _: client.generate(OTHER, key=KEY),
    "generate from a file that is not there": lambda client, _: client.generate(LOCAL, key=KEY),
    "generate with a short timeout": lambda client, _: client.generate(SHOT, key=KEY, timeout=0.001),
    "generate into a file that cannot be": lambda client, _: client.generate(SHOT, key=KEY, save_to="/nowhere/fox.mp4"),
    "submit and abandon": _abandoned,
    "submit and abandon later": _abandoned_a_little_later,
    "submit and close": _closed,
    "task": lambda client, _: client.task(key=KEY),
    "look": lambda client, _: client.look(key=KEY),
    "adopt": _adopted,
    "adopt what is no id": lambda client, _: _adopted(client, "no id"),
    "adopt an id that nobody has": lambda client, _: _adopted(client, "task-unified-1-nowhere"),
    "resubmit": lambda client, _: _resubmitted(client),
    "resubmit another request": lambda client, _: _resubmitted(client, OTHER),
    "resubmit a file that is not there": lambda client, _: _resubmitted(client, LOCAL),
}
SUBMITS: dict[str, Fault] = {
    "none": Fault("slow", seconds=0.0),
    "reset": Fault("reset"),
    "reset, charged": Fault("reset", after=True),
    "429": Fault("rate_limit", retry_after="1"),
    "402": Fault("error", status=402),
    "422": Fault("error", status=422),
    "no channel": Fault("error", status=422, code="no_compatible_channel"),
    "503, charged": Fault("error", status=503, after=True),
    "no status": next(iter(BENT.values())),
}
POLLS: dict[str, Fault] = {"401": Fault("error", status=401), "404": Fault("error", status=404)}
DISKS = {"sending": "'sending'", "accepted": "'accepted'", "any": "NEW.status"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory, where there is one: every commit is synced, and these are many."""
    shared = Path("/dev/shm")  # noqa: S108 - the folder in it has a name of its own
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as made:
        yield Path(made)


def _sql(folder: Path, statement: str, *values: object) -> list[tuple[str, ...]]:
    with contextlib.closing(sqlite3.connect(folder / "videos.db", isolation_level=None)) as db:
        return db.execute(statement, values).fetchall()


def _opened(fox: Emulator, folder: Path, base_url: str | None = None) -> Client:
    return Client(
        fox.api_key,
        base_url or fox.base_url,
        schedule=Every(2),
        journal=folder / "videos.db",
        task_timeout=900.0,
        submit_attempts=2,
    )


async def _recorded(fox: Emulator, folder: Path, status: RecordStatus | None) -> str:
    """Leave a record of the key in a state, and return the id of a charged task that the service has for it."""
    async with _opened(fox, folder) as client:
        task_id = await client.submit(SHOT, key=KEY).wait_accepted()
    if status is None:
        _sql(folder, "DELETE FROM tasks")
    elif status in {RecordStatus.COMPLETED, RecordStatus.FAILED, RecordStatus.CANCELLED, RecordStatus.ACCEPTED}:
        _sql(folder, "UPDATE tasks SET status = ?, ended = 1", status)
    else:
        # Whoever planned it or was sending it is dead.
        owner = "dead" if status in {RecordStatus.PLANNED, RecordStatus.SENDING} else None
        blank = "task_id = NULL, accepted = NULL, reply = NULL"
        _sql(folder, f"UPDATE tasks SET status = ?, owner = ?, {blank}", status, owner)  # noqa: S608 - ours
    return task_id


async def _raised(work: Awaitable[object]) -> FoxError | None:
    try:
        async with asyncio.timeout(7200):
            await work
    except FoxError as error:
        return error
    except (OSError, ValueError):
        return None
    return None


def _judge(folder: Path, error: FoxError, what: str) -> None:
    """Hold what an error says against what the journal knows of the key afterwards."""
    if error.task_id is not None:
        assert error.submitted != "no", f"{what}: {error!r} names {error.task_id}"
    states = {status for (status,) in _sql(folder, "SELECT status FROM tasks WHERE key = ?", KEY)}
    decided = states & {"accepted", "completed", "failed", "cancelled"}
    if error.key == KEY and states & {"uncertain", "sending"} and not decided:
        assert error.submitted != "no", f"{what}: {error!r} of a key that is {states}"
    assert "nothing was made" not in str(error) or error.submitted == "no", f"{what}: {error}"


STATES = [None, *RecordStatus]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("status", STATES, ids=str)
async def test_an_error_never_denies_what_the_journal_does_not_exclude(
    folder: Path, status: RecordStatus | None, verb: str
) -> None:
    """Whatever the service answers to a submission, and at another address too."""
    for name, fault in SUBMITS.items():
        async with Emulator(seconds=5.0, render=False) as fox, Emulator(seconds=5.0, render=False) as elsewhere:
            for path in folder.iterdir():
                path.unlink()
            task_id = await _recorded(fox, folder, status)
            fox.fail_next("submit", fault, times=2)
            async with _opened(fox, folder) as client:
                error = await _raised(VERBS[verb](client, task_id))
                if error is not None:
                    await client.close()
                    _judge(folder, error, f"{name}: {verb}")
            if name == "none":
                async with _opened(elsewhere, folder) as client:
                    error = await _raised(VERBS[verb](client, task_id))
                    if error is not None:
                        await client.close()
                        _judge(folder, error, f"elsewhere: {verb}")
                assert elsewhere.ledger.charged == 0 or status is None, "another service was sent what is this one's"


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("disk", DISKS)
@pytest.mark.parametrize("status", [None, RecordStatus.UNCERTAIN, RecordStatus.ACCEPTED], ids=str)
async def test_an_error_of_the_disk_denies_nothing_that_the_disk_knows(
    folder: Path, status: RecordStatus | None, disk: str, verb: str
) -> None:
    """A record that cannot be written is not a task that was not made."""
    async with Emulator(seconds=5.0, render=False) as fox:
        task_id = await _recorded(fox, folder, status)
        refuse = f"WHEN NEW.status = {DISKS[disk]} BEGIN SELECT RAISE(ABORT, 'full'); END"
        for event in ("UPDATE", "INSERT"):
            _sql(folder, f"CREATE TRIGGER refuse_{event} BEFORE {event} ON tasks {refuse}")
        async with _opened(fox, folder) as client:
            error = await _raised(VERBS[verb](client, task_id))
            if error is not None:
                _judge(folder, error, verb)


@pytest.mark.parametrize("fault", POLLS)
async def test_an_error_of_a_poll_never_says_that_nothing_was_made(folder: Path, fault: str) -> None:
    """A read that fails is not a video that failed, and the wait that it ends is not settled."""
    async with Emulator(seconds=1e6, render=False) as fox, _opened(fox, folder) as client:
        task = client.submit(SHOT, key=KEY, timeout=None)
        task_id = await task.wait_accepted()
        fox.fail_next("poll", POLLS[fault], times=1000)

        error = await _raised(task)

        assert error is not None
        assert (error.submitted, error.task_id) == ("yes", task_id)
        assert client.unfinished() == (task,)
