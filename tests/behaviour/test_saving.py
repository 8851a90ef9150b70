"""Videos that are saved as soon as they are done: into a file that was named, or into the client's folder."""

import asyncio
import hashlib
import logging
import os
import time
from pathlib import Path

import pytest
from hosting import nothing_saved

from foxvideo import (
    Client,
    ClientClosed,
    DownloadError,
    Every,
    GrokTextToVideo,
    Result,
    ResultsMissing,
    SavedFile,
    Status,
    TaskFailed,
    TaskNotFound,
    TaskState,
    Video,
)
from foxvideo._engine.autosave import Autosave, saved
from foxvideo._engine.job import Job, Stage
from foxvideo._http import Transport
from foxvideo._journal.recorder import NullRecorder
from foxvideo._transfer.target import Target
from foxvideo.emulator import Emulator, Fault
from foxvideo.emulator.videos import stored_video
from foxvideo.video import Source

SHOT = GrokTextToVideo(prompt="A fox trots through snow")
VIDEO = bytes(range(256)) * 4000


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _client(fox: Emulator, **options: object) -> Client:
    return Client(fox.api_key, fox.base_url, schedule=Every(2), **options)  # type: ignore[arg-type]


async def test_a_video_is_saved_in_the_file_that_was_named(client: Client, fox: Emulator, tmp_path: Path) -> None:
    """It is there when the video is."""
    video = await client.generate(SHOT, save_to=tmp_path / "fox.mp4")

    assert (tmp_path / "fox.mp4").read_bytes() == stored_video()
    assert video.id in fox.ledger.tasks


@pytest.mark.parametrize(("name", "kind"), [("mine", FileExistsError), ("no/such", FileNotFoundError)])
async def test_a_file_that_cannot_be_made_costs_nothing(
    name: str, kind: type[OSError], client: Client, fox: Emulator, tmp_path: Path
) -> None:
    """It is looked at before anything is sent."""
    (tmp_path / "mine").write_bytes(b"mine")

    with pytest.raises(kind, match="nothing was submitted"):
        await client.generate(SHOT, save_to=tmp_path / name)

    assert fox.ledger.submitted == 0
    assert (tmp_path / "mine").read_bytes() == b"mine"


async def test_each_video_is_saved_while_others_still_run(tmp_path: Path) -> None:
    """Into the client's folder, which is made, under the name of its task; whoever waits gets it with the file."""
    folder = tmp_path / "clips"
    async with Emulator(render=False, seconds=(10.0, 1000.0)) as fox, _client(fox, save_to=folder) as client:
        there: list[int] = []

        async def shoot() -> None:
            video = await client.generate(SHOT)
            assert (folder / f"{video.id}.mp4").read_bytes() == stored_video()
            there.append(len(_names(folder)))

        await asyncio.gather(*(shoot() for _ in range(5)))

    assert there == [1, 2, 3, 4, 5]


async def test_a_handle_does_not_wait_for_its_file_but_closing_does(fox: Emulator, tmp_path: Path) -> None:
    """However slowly it comes."""
    fox.fail_next("result", Fault("slow"))
    async with _client(fox, save_to=tmp_path) as client:
        video = await client.submit(SHOT)
        assert _names(tmp_path) == []

    assert _names(tmp_path) == [f"{video.id}.mp4"]


async def test_a_file_that_was_named_goes_before_the_folder(fox: Emulator, tmp_path: Path) -> None:
    """A video is saved once."""
    async with _client(fox, save_to=tmp_path / "clips") as client:
        await client.generate(SHOT, save_to=tmp_path / "fox.mp4")

    assert _names(tmp_path) == ["fox.mp4"]


async def test_a_save_that_fails_is_told_with_the_id(
    client: Client, fox: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The video was made, and can be saved later."""
    fox.fail_next("result", Fault("error", status=400))

    with pytest.raises(DownloadError) as caught:
        await client.generate(SHOT, save_to=tmp_path / "fox.mp4")

    (task_id,) = fox.ledger.tasks
    assert (caught.value.task_id, caught.value.submitted) == (task_id, "yes")
    assert f"not saved: {task_id}: " in caplog.text
    await (await client.task(task_id)).save(tmp_path / "fox.mp4")


async def test_a_save_that_fails_unseen_is_one_warning(
    fox: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It ends neither the task nor the client."""
    fox.fail_next("result", Fault("error", status=400))
    async with _client(fox, save_to=tmp_path) as client:
        video = await client.submit(SHOT)

    (record,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert record.getMessage().startswith(f"not saved: {video.id}: ")


async def test_a_task_that_fails_saves_nothing(fox: Emulator, tmp_path: Path) -> None:
    """There is nothing."""
    async with _client(fox, save_to=tmp_path) as client:
        task = client.submit(SHOT)
        fox.fail(await task.wait_accepted())
        assert await asyncio.gather(task, return_exceptions=True)

    assert _names(tmp_path) == []


async def test_a_video_whose_caller_has_gone_is_saved_all_the_same(
    client: Client, fox: Emulator, tmp_path: Path
) -> None:
    """It was paid for."""
    caller = asyncio.create_task(client.generate(SHOT, save_to=tmp_path / "fox.mp4"))
    await asyncio.sleep(5)
    caller.cancel()
    await asyncio.sleep(10)

    assert caller.cancelled()
    assert _names(tmp_path) == ["fox.mp4"]


async def test_closing_that_is_cut_cuts_a_save_and_the_next_goes_on(tmp_path: Path) -> None:
    """Who waits for it hears of it."""
    async with Emulator(video=VIDEO, seconds=1.0) as fox:
        client = _client(fox, save_to=tmp_path)
        fox.fail_next("result", Fault("stall", at=1000))
        waiting = asyncio.create_task(client.generate(SHOT))
        await asyncio.sleep(10)
        closing = asyncio.create_task(client.close())
        await asyncio.sleep(1)
        closing.cancel()
        (end,) = await asyncio.gather(waiting, return_exceptions=True)
        assert isinstance(end, ClientClosed)
        (task_id,) = fox.ledger.tasks
        assert _names(tmp_path) == [f".{task_id}.mp4.part", f".{task_id}.mp4.part.json"]

        async with _client(fox) as another:
            seen: list[int] = []
            video = await another.task(task_id)
            await video.save(tmp_path / f"{task_id}.mp4", progress=lambda done, _: seen.append(done))

    assert seen[0] == 1000
    assert _names(tmp_path) == [f"{task_id}.mp4"]


# --- With a journal ------------------------------------------------------------------------------------------------


async def test_the_journal_knows_what_was_saved(fox: Emulator, tmp_path: Path) -> None:
    """Its path, its size and its hash."""
    async with _client(fox, journal=tmp_path / "videos.db") as client:
        video = await client.generate(SHOT, save_to=tmp_path / "fox.mp4")
        saved = await client._recorder.files(video.id)
        (row,) = await client.history()
    await video.save(tmp_path / "later.mp4")  # the journal is closed by then

    content = stored_video()
    assert (saved[0].path, saved[0].size) == (tmp_path / "fox.mp4", len(content))
    assert saved[0].sha256 == hashlib.sha256(content).hexdigest()
    assert row.file == str(tmp_path / "fox.mp4")


async def test_the_same_key_and_file_is_saved_once(fox: Emulator, tmp_path: Path) -> None:
    """Now, at the same time, and in another run; a file that was removed is fetched again."""
    path, journal = tmp_path / "fox.mp4", tmp_path / "videos.db"
    for _ in range(2):
        async with _client(fox, journal=journal) as client:
            await asyncio.gather(*(client.generate(SHOT, key="shot-17", save_to=path) for _ in range(3)))
        assert (fox.ledger.charged, fox.ledger.downloaded) == (1, 1)

    path.unlink()
    async with _client(fox, journal=journal) as client:
        await client.generate(SHOT, key="shot-17", save_to=path)
        with pytest.raises(FileExistsError, match="nothing was submitted"):
            await client.generate(SHOT, key="shot-18", save_to=path)

    assert (fox.ledger.charged, fox.ledger.downloaded) == (1, 2)


async def test_resuming_finishes_what_was_cut(tmp_path: Path) -> None:
    """Downloads go on where they were, and tasks that run are waited for and saved."""
    folder, journal = tmp_path / "clips", tmp_path / "videos.db"
    async with Emulator(video=VIDEO, seconds=20.0) as fox:
        fox.fail_next("result", Fault("stall", at=1000))
        client = _client(fox, journal=journal, save_to=folder)
        done = client.submit(SHOT)
        await asyncio.sleep(10)
        running = client.submit(SHOT)
        await done
        await asyncio.sleep(5)
        closing = asyncio.create_task(client.close())
        await asyncio.sleep(1)
        closing.cancel()
        await asyncio.wait({closing})
        assert f".{done.id}.mp4.part" in _names(folder)

        async with _client(fox, journal=journal, save_to=folder) as again:
            tasks = await again.resume()
            assert {task.id for task in tasks} == {done.id, running.id}
            await asyncio.gather(*tasks)
        async with _client(fox, journal=journal, save_to=folder) as third:
            assert await third.resume() == ()

    assert _names(folder) == sorted(f"{task.id}.mp4" for task in tasks)
    assert all(path.read_bytes() == VIDEO for path in folder.iterdir())
    assert fox.ledger.charged == 2


async def test_resuming_without_a_folder_saves_nothing(fox: Emulator, tmp_path: Path) -> None:
    """Only what runs is gone on with."""
    async with _client(fox, journal=tmp_path / "videos.db") as client:
        await client.generate(SHOT)
        assert await client.resume() == ()


@pytest.mark.parametrize("left", ["whole", "half", "nothing"])
async def test_a_video_that_was_saved_and_not_noted_is_recognised(
    left: str, fox: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A crash may fall between the two, or between the name and the bytes."""
    folder, journal, content = tmp_path / "clips", tmp_path / "videos.db", stored_video()
    async with _client(fox, journal=journal) as client:
        video = await client.generate(SHOT)
    folder.mkdir()
    path = folder / f"{video.id}.mp4"
    path.write_bytes({"whole": content, "half": content[: len(content) // 2], "nothing": b""}[left])
    before = path.stat()

    async with _client(fox, journal=journal, save_to=folder) as again:
        (task,) = await again.resume()
        await task
    async with _client(fox, journal=journal) as third:
        (row,) = await third.history()

    assert row.file == str(path)
    assert path.read_bytes() == content
    assert os.path.samestat(before, path.stat()) is (left == "whole")
    assert "not saved" not in caplog.text


@pytest.mark.parametrize("mine", [b"mine", stored_video()[::-1], stored_video() + b"mine"])
async def test_another_file_under_the_name_of_a_task_is_kept(
    mine: bytes, fox: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is never taken for the video, and the video can be saved elsewhere."""
    folder, journal = tmp_path / "clips", tmp_path / "videos.db"
    async with _client(fox, journal=journal) as client:
        video = await client.generate(SHOT)
    folder.mkdir()
    (folder / f"{video.id}.mp4").write_bytes(mine)

    async with _client(fox, journal=journal, save_to=folder) as again:
        (task,) = await again.resume()
        await task
    assert (folder / f"{video.id}.mp4").read_bytes() == mine
    assert f"not saved: {video.id}" in caplog.text

    async with _client(fox, journal=journal, save_to=tmp_path / "elsewhere") as third:
        (task,) = await third.resume()
        await task
    assert _names(tmp_path / "elsewhere") == [f"{video.id}.mp4"]


async def test_a_video_of_a_key_that_was_saved_and_not_noted_is_recognised(fox: Emulator, tmp_path: Path) -> None:
    """Killed between the two, the same call goes on: it is paid for already. Another key's file is refused."""
    path, journal = tmp_path / "fox.mp4", tmp_path / "videos.db"
    async with _client(fox, journal=journal) as client:
        await client.generate(SHOT, key="shot-17")
    path.write_bytes(stored_video())

    async with _client(fox, journal=journal) as again:
        await again.generate(SHOT, key="shot-17", save_to=path)
        (row,) = await again.history()
        assert row.file == str(path)
        with pytest.raises(FileExistsError, match="nothing was submitted"):
            await again.generate(SHOT, key="shot-18", save_to=path)

    path.write_bytes(b"mine")
    async with _client(fox, journal=journal) as third:
        with pytest.raises(FileExistsError):
            await third.generate(SHOT, key="shot-17", save_to=path)

    assert path.read_bytes() == b"mine"
    assert fox.ledger.charged == 1


@pytest.mark.parametrize(
    ("damage", "mends"),
    [
        (b"", True),
        (stored_video()[:-100], True),
        (bytes(len(stored_video())), True),
        (bytes(5000) + stored_video()[5000:], True),
        (b"words", False),
        (VIDEO, False),
    ],
)
@pytest.mark.parametrize("folder", [True, False], ids=["folder", "file"])
async def test_a_saved_video_that_is_damaged_is_fetched_again(
    folder: bool, damage: bytes, mends: bool, fox: Emulator, tmp_path: Path
) -> None:
    """What somebody made of it is kept."""
    save = f"{tmp_path}/clips/" if folder else str(tmp_path / "fox.mp4")
    async with _client(fox, journal=tmp_path / "videos.db") as client:
        video = await client.generate(SHOT, key="shot-17", save_to=save)
    path = tmp_path / "clips" / f"{video.id}.mp4" if folder else tmp_path / "fox.mp4"
    path.write_bytes(damage)

    async with _client(fox, journal=tmp_path / "videos.db") as client:
        (end,) = await asyncio.gather(client.generate(SHOT, key="shot-17", save_to=save), return_exceptions=True)

    assert isinstance(end, Video if mends else FileExistsError)
    assert path.read_bytes() == (stored_video() if mends else damage)
    assert fox.ledger.charged == 1


@pytest.mark.parametrize(
    ("damage", "mends"), [(b"", True), (stored_video()[:-100], True), (bytes(5000), True), (VIDEO, False)]
)
async def test_a_video_that_is_saved_by_hand_once_more_is_mended_too(
    damage: bytes, mends: bool, fox: Emulator, tmp_path: Path
) -> None:
    """Whichever way leads to the file that was saved there before."""
    path = tmp_path / "fox.mp4"
    async with _client(fox, journal=tmp_path / "videos.db") as client:
        await (await client.generate(SHOT, key="shot-17")).save(path)
    path.write_bytes(damage)
    async with _client(fox, journal=tmp_path / "videos.db") as client:
        video = await client.task(key="shot-17")
        (end,) = await asyncio.gather(video.save(path), return_exceptions=True)
    assert isinstance(end, SavedFile if mends else FileExistsError)
    assert path.read_bytes() == (stored_video() if mends else damage)


async def test_what_is_saved_elsewhere_is_not_saved_again(fox: Emulator, tmp_path: Path) -> None:
    """The same key in a client with a folder finds its file, wherever that is."""
    folder, journal = tmp_path / "clips", tmp_path / "videos.db"
    async with _client(fox, journal=journal) as client:
        await client.generate(SHOT, key="shot-17", save_to=tmp_path / "fox.mp4")
    async with _client(fox, journal=journal, save_to=folder) as again:
        await again.generate(SHOT, key="shot-17")

    assert fox.ledger.downloaded == 1
    assert _names(folder) == []


async def test_an_upload_is_remembered_by_the_journal(fox: Emulator, tmp_path: Path) -> None:
    """In another run it is not sent again."""
    for _ in range(2):
        async with _client(fox, journal=tmp_path / "videos.db") as client:
            await client.upload(b"a picture")

    assert fox.ledger.uploaded == 1


# --- Options -------------------------------------------------------------------------------------------------------


def _ended(state: TaskState, source: Source) -> Job:
    """Return a job that ended with the video that a state tells."""
    job = Job(None, None, id=state.id, stage=Stage.ACCEPTED)
    job.end(Video.of(state, None, source))
    return job


async def test_a_voice_is_no_file(source: Source) -> None:
    """Some models make something else than a video."""
    result = Result(None, {"voice_id": "v-1"})
    voice = TaskState(id="task-1", status=Status.COMPLETED, status_text="completed", results=(result,))

    saves = Autosave(NullRecorder()).when_done(_ended(voice, source), Target(Path("nowhere"), folder=True))

    assert saves == []


async def test_a_file_that_was_named_and_cannot_be_made_is_told(source: Source, tmp_path: Path) -> None:
    """Its results have no link, or one under a name that nobody knows."""
    result = Result(None, {"download_url": "https://videos.example/a.mp4"})
    done = TaskState(id="task-1", status=Status.COMPLETED, status_text="completed", results=(result,))
    target = Target(tmp_path / "fox.mp4", folder=False)

    with pytest.raises(ResultsMissing, match="no link, but download_url") as caught:
        await saved(Autosave(NullRecorder()).when_done(_ended(done, source), target))

    assert (caught.value.task_id, caught.value.submitted) == ("task-1", "yes")


async def test_what_ends_while_its_client_is_closed_is_not_saved_any_more(
    source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    """Who waits hears of it, and so does the log."""
    done = TaskState(
        id="task-1", status=Status.COMPLETED, status_text="completed", results=(Result("http://fox.invalid/a.mp4"),)
    )
    autosave = Autosave(NullRecorder())
    await autosave.close()

    saves = autosave.when_done(_ended(done, source), Target(Path("nowhere"), folder=False))

    with pytest.raises(ClientClosed):
        await saved(saves)
    assert "not saved: task-1: the client was closed" in caplog.text


@pytest.fixture
def source() -> Source:
    """Connections to nowhere."""

    async def fresh(task_id: str) -> TaskState:
        raise TaskNotFound("nobody knows it", task_id=task_id, submitted="yes")

    return Source(Transport("http://fox.invalid", "sk-1", 60.0, 15.0), fresh, lambda *_: None, nothing_saved)


async def test_what_is_too_old_to_be_fetched_is_left_alone(
    fox: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Links live 24 hours; a task that failed has none."""
    async with _client(fox, journal=tmp_path / "videos.db") as client:
        await client.generate(SHOT)
        failing = client.submit(SHOT)
        fox.fail(await failing.wait_accepted())
        with pytest.raises(TaskFailed):
            await failing

    now = time.time
    monkeypatch.setattr("foxvideo._engine.takeup.time.time", lambda: now() + 25 * 3600)
    async with _client(fox, journal=tmp_path / "videos.db", save_to=tmp_path / "clips") as again:
        assert await again.resume() == ()
