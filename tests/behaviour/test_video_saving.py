"""Videos as they are saved: dead links, links that lag, copies, later loops, and whoever keeps a list of files."""

import asyncio
import pickle
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from hosting import OTHER_VIDEO, VIDEO, Host, Reply, begins, gives_video, names, nothing_saved, now, says

from foxvideo import (
    BadReply,
    Client,
    DownloadError,
    Every,
    FoxError,
    GrokTextToVideo,
    ResultExpired,
    ServiceUnavailable,
    Status,
    TaskNotFound,
    TaskState,
    Video,
)
from foxvideo._http import Transport
from foxvideo.emulator import Emulator, Fault
from foxvideo.emulator.videos import stored_video
from foxvideo.media import SavedFile
from foxvideo.state import Result
from foxvideo.testing.clock import run
from foxvideo.video import Source

DAY = 24 * 3600.0
SHOT = GrokTextToVideo(prompt="A fox trots through snow")


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    """Run a host of results that gives a video until a test says otherwise."""
    async with Host().running() as running:
        yield running


@attrs.define(eq=False)
class Service:
    """Polls of a task that give links one after another, and the list of its files."""

    links: list[str] = attrs.field(factory=list)
    error: FoxError | None = None
    polled: list[str] = attrs.field(factory=list)
    told: list[tuple[str, int, SavedFile]] = attrs.field(factory=list)
    transport: Transport = attrs.field(factory=lambda: Transport("http://fox.invalid", "sk-1", 60.0, 15.0))

    async def fresh(self, task_id: str) -> TaskState:
        """Give fresh links."""
        self.polled.append(task_id)
        if self.error is not None:
            raise self.error
        return _state(task_id, *self.links)

    def video(self, task_id: str, *links: str, early: float | None = None, **fields: object) -> Video:
        """Return the outcome of a task."""
        source = Source(self.transport, self.fresh, lambda *file: self.told.append(file[:3]), nothing_saved)
        until = None if early is None else time.monotonic() + early
        return Video.of(_state(task_id, *links, **fields), None, source, settling_until=until)


def _state(task_id: str, *links: str, **fields: object) -> TaskState:
    results = tuple(Result(link, {"url": link, **fields}) for link in links)
    return TaskState(id=task_id, status=Status.COMPLETED, status_text="completed", results=results)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """Open connections of a client to nowhere."""
    made = Service()
    yield made
    await made.transport.close()


# --- Through a client ----------------------------------------------------------------------------------------------


async def test_a_video_is_saved(client: Client, fox: Emulator, tmp_path: Path) -> None:
    """What the service made is what lies on the disk."""
    video = await client.generate(SHOT)

    assert (await video.save(tmp_path / "fox.mp4")).path == tmp_path / "fox.mp4"
    assert (await video.save(str(tmp_path / "again.mp4"))).path == tmp_path / "again.mp4"

    assert (tmp_path / "fox.mp4").read_bytes() == (tmp_path / "again.mp4").read_bytes() == stored_video()
    assert fox.ledger.leaks == []


async def test_another_file_is_not_overwritten_unless_told(client: Client, tmp_path: Path) -> None:
    """Neither one by one nor all at once."""
    video = await client.generate(SHOT)
    path = (await video.save(tmp_path / f"{video.id}.mp4")).path
    path.write_bytes(b"mine")

    with pytest.raises(FileExistsError) as caught:
        await video.save(path)
    with pytest.raises(FileExistsError):
        await video.save_all(tmp_path)
    assert path.read_bytes() == b"mine"
    assert video.id in " ".join(caught.value.__notes__)

    await video.save_all(tmp_path, overwrite=True)
    assert path.read_bytes() == stored_video()


async def test_saving_twice_is_saving_once(client: Client, tmp_path: Path) -> None:
    """The same video that is there already counts as saved."""
    video = await client.generate(SHOT)

    assert await video.save(tmp_path / "a") == await video.save(tmp_path / "a")
    assert await video.save_all(tmp_path) == await video.save_all(tmp_path)


async def test_a_file_that_was_saved_and_is_unchanged_is_not_fetched_again(
    service: Service, host: Host, tmp_path: Path
) -> None:
    """The same program is run again and again; a file that somebody changed is looked at anew."""
    video = service.video("task-1", host.link)
    saved = await video.save(tmp_path / "a.mp4")
    assert (await video.save(tmp_path / "a.mp4"), len(host.heard)) == (saved, 1)

    saved.path.write_bytes(OTHER_VIDEO)
    with pytest.raises(FileExistsError):
        await video.save(tmp_path / "a.mp4")
    assert len(host.heard) == 2


async def test_a_video_is_read_without_a_file(service: Service, host: Host, tmp_path: Path) -> None:
    """For whoever puts it into a store of their own; nothing is left behind, and nothing is said to be saved."""
    video = service.video("task-1", host.link)
    assert await video.read() == VIDEO
    assert [len(chunk) async for chunk in video.stream()] == [len(VIDEO)]
    assert (video.file, service.told, len(host.heard)) == (None, [], 2)

    saved = await video.save(tmp_path / "a.mp4")
    assert saved is video.file
    assert (await video.read(), len(host.heard)) == (VIDEO, 3)  # from where it lies
    saved.path.write_bytes(b"changed")
    assert (await video.read(), len(host.heard)) == (VIDEO, 4)


async def test_a_page_is_not_read_as_a_video(service: Service, host: Host) -> None:
    """The bytes are looked at as those of a file are, before the first one is handed out."""
    host.answers = [says(200, b"<html>sign in</html>", Content_Type="video/mp4")] * 9
    with pytest.raises(DownloadError, match="text or a page"):
        await anext(service.video("task-1", host.link).stream())


async def test_a_video_of_an_earlier_run_knows_its_file(fox: Emulator, tmp_path: Path) -> None:
    """The journal remembers it, so that nobody has to search the records for it."""
    for _ in range(2):
        async with Client(fox.api_key, fox.base_url, journal=tmp_path / "videos.db") as client:
            video = await client.generate(SHOT, key="shot-17", save_to=tmp_path / "fox.mp4")
            assert video.file is not None
            assert video.file.path == tmp_path / "fox.mp4"
            assert video.file.size == len(stored_video())


async def test_a_video_is_not_saved_as_a_folder(client: Client, tmp_path: Path) -> None:
    """A slash at the end means one, whether or not it is there."""
    video = await client.generate(SHOT)

    with pytest.raises(IsADirectoryError, match="save_all"):
        await video.save(f"{tmp_path}/clips/")
    with pytest.raises(IsADirectoryError):
        await video.save(tmp_path, overwrite=True)

    assert names(tmp_path) == []


async def test_a_video_can_be_saved_after_the_client_has_closed(fox: Emulator, tmp_path: Path) -> None:
    """Also where its link has died, which takes a poll."""
    async with Client(fox.api_key, fox.base_url) as client:
        video = await client.generate(SHOT)

    await video.save(tmp_path / "soon.mp4")
    await asyncio.sleep(DAY)
    await video.save(tmp_path / "late.mp4")

    assert fox.ledger.downloaded == 2


async def test_a_link_that_lags_is_waited_for(tmp_path: Path) -> None:
    """Whoever has just seen the end of a task knows that its link is a fresh one."""
    for early in (Fault("error", status=404), Fault("html", status=403)):
        async with Emulator(render=False, seconds=10.0, link_lag=200.0, link_early=early) as fox:
            async with Client(fox.api_key, fox.base_url, schedule=Every(2)) as client:
                video = await client.generate(SHOT)
                polled = fox.ledger.polled

                await video.save(tmp_path / "fox.mp4", overwrite=True)

            assert fox.ledger.polled == polled


@pytest.mark.parametrize("fault", [Fault("error", status=503), Fault("reset"), Fault("garbage"), Fault("rate_limit")])
async def test_a_poll_for_a_fresh_link_is_repeated(fault: Fault, client: Client, fox: Emulator, tmp_path: Path) -> None:
    """As one of a wait is; a poll that fails is not a video that is lost."""
    video = await client.generate(SHOT)
    await asyncio.sleep(DAY + 60)
    fox.fail_next("poll", fault, times=5)

    await video.save(tmp_path / "fox.mp4")

    assert (tmp_path / "fox.mp4").read_bytes() == stored_video()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(Fault("reset"), ServiceUnavailable), (Fault("error", status=404), TaskNotFound)],
    ids=["reset", "not found"],
)
async def test_a_fresh_link_that_cannot_be_had_is_told_with_the_id(
    fault: Fault, kind: type[FoxError], client: Client, fox: Emulator, tmp_path: Path
) -> None:
    """The task exists, and can be saved later."""
    video = await client.generate(SHOT)
    await asyncio.sleep(DAY + 60)
    fox.fail_next("poll", fault, times=1000)

    with pytest.raises(kind) as caught:
        await video.save(tmp_path / "fox.mp4")

    assert (caught.value.submitted, caught.value.task_id) == ("yes", video.id)


async def test_a_link_that_dies_on_the_way_is_replaced_and_the_rest_is_fetched(
    fox: Emulator, client: Client, tmp_path: Path
) -> None:
    """The fresh link leads to the same video."""
    video = await client.generate(SHOT)
    for fault in (Fault("half_body", at=1000), Fault("error", status=410)):
        fox.fail_next("result", fault)
    fox.ledger.tasks[video.id].link = None  # the next poll gives another link
    seen: list[int] = []

    saved = await video.save(tmp_path / "fox.mp4", progress=lambda done, _: seen.append(done))

    assert saved.path.read_bytes() == stored_video()
    assert (seen[0], seen.count(0), seen.count(1000)) == (0, 1, 1)


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("recalled", [True, False], ids=["from the journal", "polled"])
def test_a_video_is_saved_in_later_loops_too(recalled: bool, closed: bool, tmp_path: Path) -> None:
    """A notebook, or a script with several ``asyncio.run``: many at once, and one loop after another."""
    options: dict[str, Any] = {"schedule": Every(1), "journal": tmp_path / "j.db"}

    async def first(fox: Emulator) -> tuple[Client, Video]:
        if recalled:
            async with Client(fox.api_key, fox.base_url, **options) as before:
                await before.generate(SHOT, key="shot-1")
        client = Client(fox.api_key, fox.base_url, **options)
        video = await client.generate(SHOT, key="shot-1")
        if closed:
            await client.close()
        return client, video

    def other_loop(host: Host, video: Video, number: int) -> list[SavedFile]:
        async def saves() -> list[SavedFile]:
            async with host.running():
                moved = attrs.evolve(video, results=(Result(host.link),))
                paths = [tmp_path / f"{number}-{each}.mp4" for each in range(10)]
                return await asyncio.gather(*(moved.save(path) for path in paths))

        return run(saves())

    async def begins() -> tuple[Client, Video]:
        async with Emulator(render=False, seconds=1.0) as fox:
            return await first(fox)

    client, video = run(begins())
    session = client._transport._reads
    for number in range(3):
        assert {file.size for file in other_loop(Host(), video, number)} == {len(VIDEO)}
    assert client._transport._reads is session  # none of another loop, which nobody would close
    if not closed:  # which is for its own loop to do; that is gone
        client._engine.closed = True
        run(client._recorder.close())
        for session in filter(None, (client._transport._posts, client._transport._reads)):
            assert session.connector is not None
            session.connector._conns.clear()
            session.detach()


# --- Dead links ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_a_dead_link_is_replaced_by_a_fresh_one(
    status: int, host: Host, service: Service, tmp_path: Path
) -> None:
    """The task is polled for it once."""
    host.answers = [says(status), gives_video]
    service.links = [f"{host.url}/fresh.mp4"]

    await service.video("task-1", host.link).save(tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == VIDEO
    assert service.polled == ["task-1"]
    assert [request.path for request in host.heard] == ["/video.mp4", "/fresh.mp4"]


@pytest.mark.parametrize("links", [["fresh.mp4"], ["video.mp4"], []], ids=["dead, too", "the same", "none"])
async def test_a_link_that_cannot_be_replaced_is_told(
    links: list[str], host: Host, service: Service, tmp_path: Path
) -> None:
    """One poll, one more attempt at most."""
    host.answers = [says(403)]
    service.links = [f"{host.url}/{link}" for link in links]

    with pytest.raises(ResultExpired) as caught:
        await service.video("task-1", host.link).save(tmp_path / "a")

    error = caught.value
    assert (error.task_id, error.submitted, error.http_status) == ("task-1", "yes", 403)
    assert "links live 24 hours" in error.hint
    assert (len(service.polled), len(host.heard)) == (1, 2 if links == ["fresh.mp4"] else 1)
    assert names(tmp_path) == []


async def test_each_result_has_a_fresh_link_of_its_own(host: Host, service: Service, tmp_path: Path) -> None:
    """The one of the same place."""

    async def dead(request: Any) -> Any:  # noqa: ANN401 - aiohttp's
        return await (says(410) if request.path.startswith("/dead") else gives_video)(request)

    host.answers = [dead]
    service.links = [f"{host.url}/fresh-{number}.mp4" for number in range(2)]

    await service.video("task-1", f"{host.url}/dead-0.mp4", f"{host.url}/dead-1.mp4").save_all(tmp_path)

    assert [request.path for request in host.heard if "fresh" in request.path] == ["/fresh-0.mp4", "/fresh-1.mp4"]


async def test_a_poll_that_fails_is_told_with_the_id(host: Host, service: Service, tmp_path: Path) -> None:
    """Whatever it says of money: the task was made."""
    host.answers = [says(410)]
    service.error = BadReply("a portal", submitted="no")

    with pytest.raises(BadReply) as caught:
        await service.video("task-1", host.link).save(tmp_path / "a")

    assert (caught.value.task_id, caught.value.submitted) == ("task-1", "yes")


async def test_a_link_is_waited_for_as_long_as_it_may_not_work_yet(
    host: Host, service: Service, tmp_path: Path
) -> None:
    """Then it is dead, and a fresh one is asked for."""
    host.answers = [says(404)]
    service.links = [host.link]
    for early, least, most in ((None, 0, 1), (-5.0, 0, 1), (100.0, 99, 130)):
        began = now()
        with pytest.raises(ResultExpired):
            await service.video("task-1", host.link, early=early).save(tmp_path / "a")
        assert least <= now() - began < most


# --- Copies --------------------------------------------------------------------------------------------------------


async def test_a_copy_says_how_to_save_it(service: Service, tmp_path: Path) -> None:
    """A pickled one, say, which has no connections."""
    video = pickle.loads(pickle.dumps(service.video("task-1", "http://videos.invalid/a.mp4")))  # noqa: S301 - our own

    for saving in (video.save(tmp_path / "a"), video.save_all(tmp_path)):
        with pytest.raises(DownloadError, match="a copy of a video has no client") as caught:
            await saving
        assert (caught.value.task_id, caught.value.submitted) == ("task-1", "yes")
        assert "client.task(video.id)" in caught.value.hint


# --- Files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task_id", "paths", "files"),
    [
        ("task-a", ["/a.mp4"], ["task-a.mp4"]),
        ("task-a", ["/a.webm?x=.gif#.png"], ["task-a.webm"]),
        ("task-a", ["/a", "/b.MOV"], ["task-a-1.mp4", "task-a-2.MOV"]),
        ("task-a", ["/a.mp4", "/a.mp4", "/b.mp4"], ["task-a-1.mp4", "task-a-2.mp4"]),
        ("../../etc/passwd", ["/a.mp4"], ["______etc_passwd.3754d6cb3a38e118.mp4"]),
        ("Task-a", ["/a.mp4", "/b.mp4"], ["Task-a.fab2dbbc52666658-1.mp4", "Task-a.fab2dbbc52666658-2.mp4"]),
        ("task-a", [], []),
    ],
)
async def test_all_results_are_saved_under_the_name_of_their_task(
    task_id: str, paths: list[str], files: list[str], *, host: Host, service: Service, tmp_path: Path
) -> None:
    """Numbered if there are several, each with the suffix of its link, in a folder that is made."""
    folder = tmp_path / "new" / "folder"

    saved = await service.video(task_id, *(host.url + path for path in paths)).save_all(folder)

    assert [file.path for file in saved] == [folder / name for name in files]
    assert names(folder) == sorted(files)


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        *(("video/mp4", ".mp4"), ("video/webm; codecs=vp9", ".webm"), ("video/quicktime", ".mov")),
        *(("image/png", ".png"), ("application/octet-stream", ".mp4"), ("video/unheard-of", ".mp4")),
    ],
)
async def test_a_video_without_a_suffix_is_named_after_its_type(
    kind: str, suffix: str, host: Host, service: Service, tmp_path: Path
) -> None:
    """The end of a host's name is no suffix either."""
    host.answers = [says(200, VIDEO, Content_Type=kind)]

    (saved,) = await service.video("task-a", f"{host.url}/video").save_all(tmp_path)

    assert saved.path == tmp_path / f"task-a{suffix}"
    assert names(tmp_path) == [saved.path.name]


async def test_a_video_whose_name_turns_out_to_be_taken_is_not_fetched(
    host: Host, service: Service, tmp_path: Path
) -> None:
    """Its type tells the name, its length that another file has it."""
    (tmp_path / "task-a.mp4").write_bytes(b"mine, and longer than that".ljust(len(VIDEO) + 1))

    with pytest.raises(FileExistsError):
        await service.video("task-a", f"{host.url}/video").save_all(tmp_path)

    assert names(tmp_path) == ["task-a.mp4"]


async def test_whoever_keeps_a_list_is_told_each_file_once_it_is_there(
    host: Host, service: Service, tmp_path: Path
) -> None:
    """Also a video that was there already; not one that could not be saved."""
    video = service.video("task-a", f"{host.url}/a.mp4", f"{host.url}/b.mp4")

    saved = await video.save_all(tmp_path)
    assert service.told == [("task-a", 0, saved[0]), ("task-a", 1, saved[1])]

    await video.save_all(tmp_path)
    assert service.told == 2 * [("task-a", 0, saved[0]), ("task-a", 1, saved[1])]

    saved[1].path.write_bytes(OTHER_VIDEO)
    with pytest.raises(FileExistsError):
        await video.save_all(tmp_path)
    assert len(service.told) == 5


@pytest.mark.parametrize(
    "told", [len(VIDEO), str(len(VIDEO)), float(len(VIDEO)), None, True, 0, -1, "much", [], float("inf"), "1e6"]
)
async def test_a_size_that_the_task_tells_is_required(
    told: object, host: Host, service: Service, tmp_path: Path
) -> None:
    """If it is one, in whatever type it comes."""
    wrong: Reply = says(200, OTHER_VIDEO[:-8], Content_Type="video/webm")
    host.answers = [says(200, b"\1\2\3", Content_Type="video/webm"), wrong, gives_video]
    is_size = told in {len(VIDEO), str(len(VIDEO))} if isinstance(told, int | float | str) else False

    saved = await service.video("task-1", host.link, file_size=told).save(tmp_path / "a")

    assert saved.size == (len(VIDEO) if is_size else 3)


async def test_what_was_begun_under_another_name_is_found(host: Host, service: Service, tmp_path: Path) -> None:
    """The name of ``save_all`` needs no finding."""
    video = service.video("task-a", host.link)

    async def cut(path: Path) -> None:
        host.answers = [begins(VIDEO[:1000], then="cuts", ETag='"v1"'), says(400)]
        host.heard.clear()
        with pytest.raises(DownloadError):
            await video.save(path)

    assert video.begun(tmp_path) is None
    await cut(tmp_path / "task-a.mp4")
    assert video.begun(tmp_path) is None
    (tmp_path / ".task-a.mp4.part.json").unlink()
    await cut(tmp_path / "kite.mp4")
    assert video.begun(tmp_path) == tmp_path / "kite.mp4"
