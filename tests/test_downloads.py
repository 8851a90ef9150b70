"""Films on their way down: whole or not at all, and never twice what has come already."""

import asyncio
import contextlib
import errno
import gzip
import hashlib
import os
import pickle
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import attrs
import pytest
from aiohttp import web

from foxvideo import (
    Client,
    DownloadError,
    FoxError,
    GrokTextToVideo,
    ResultExpired,
    ServiceUnavailable,
    TaskNotFound,
    Video,
)
from foxvideo._http import Transport
from foxvideo._transfer.download import save as download
from foxvideo._transfer.part import Part, SavedFile
from foxvideo.emulator import Emulator, Fault
from foxvideo.emulator.films import stored_film
from foxvideo.state import Result
from foxvideo.testing.clock import run

DAY = 24 * 3600.0
SHOT = GrokTextToVideo(prompt="A fox trots through snow")


def _now() -> float:
    return asyncio.get_running_loop().time()


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- Downloads: a film that comes ----------------------------------------------------------------------------------

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

FILM = bytes(range(256)) * 4000  # some chunks


async def save(transport: Transport, url: str, path: Path, *, overwrite: bool = False) -> SavedFile:
    """Save a film as a video of one result does."""
    return await download(transport, url, Part(path=path, source="task-1#0", overwrite=overwrite))


def _says(status: int, body: bytes = b"", **headers: str) -> Answer:
    """Return what answers in fixed words."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers=named)

    return answer


_film = _says(200, FILM, Content_Type="video/mp4")


@attrs.define(eq=False)
class Host:
    """A host of results: gives its answers one after another, the last one for ever."""

    url: str = ""
    answers: list[Answer] = attrs.field(factory=lambda: [_film])
    heard: list[web.Request] = attrs.field(factory=list)

    @property
    def link(self) -> str:
        """A link to a film."""
        return f"{self.url}/film.mp4"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Host"]:
        """Listen on a free port of this machine."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._give)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _give(self, request: web.Request) -> web.StreamResponse:
        self.heard.append(request)
        return await self.answers[min(len(self.heard), len(self.answers)) - 1](request)


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    """Run a host of results that gives a film until a test says otherwise."""
    async with Host().running() as running:
        yield running


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    """Open connections of a client to nowhere."""
    opened = Transport("http://fox.invalid", "sk-1", 60.0, 15.0)
    yield opened
    await opened.close()


async def test_a_film_is_saved_byte_by_byte(host: Host, transport: Transport, tmp_path: Path) -> None:
    """Asked for as it is: no key, no compression."""
    path = tmp_path / "fox.mp4"

    saved = await save(transport, host.link, path)

    assert saved == SavedFile(path, len(FILM), hashlib.sha256(FILM).hexdigest())
    assert path.read_bytes() == FILM
    assert Path(saved) == path
    assert str(saved) == str(path)
    assert _names(tmp_path) == [path.name]
    assert "Authorization" not in host.heard[0].headers
    assert host.heard[0].headers["Accept-Encoding"] == "identity"


async def test_a_signed_link_is_asked_for_as_it_stands(host: Host, transport: Transport, tmp_path: Path) -> None:
    """Its signature is over these very characters."""
    target = "/a%2fb%7Ec/film.mp4?X-Sig=%2F%3a%20+%2B&b=~"

    await save(transport, host.url + target, tmp_path / "a")

    assert host.heard[0].raw_path == target


async def test_a_link_that_is_not_quoted_is_quoted(host: Host, transport: Transport, tmp_path: Path) -> None:
    """A space cannot stand in a request."""
    await save(transport, f"{host.url}/ein süßer fuchs.mp4", tmp_path / "a")

    assert host.heard[0].raw_path == "/ein%20s%C3%BC%C3%9Fer%20fuchs.mp4"


async def test_a_redirect_to_another_host_is_followed(host: Host, transport: Transport, tmp_path: Path) -> None:
    """Real links may lie anywhere."""
    async with Host().running() as other:
        host.answers = [_says(302, Location=other.link)]
        await save(transport, host.link, tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == FILM
    assert "Authorization" not in other.heard[0].headers


async def test_a_film_that_is_compressed_all_the_same_is_saved_plain(
    host: Host, transport: Transport, tmp_path: Path
) -> None:
    """Its length is that of what was sent."""
    host.answers = [_says(200, gzip.compress(FILM), Content_Encoding="gzip")]

    await save(transport, host.link, tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == FILM


# --- Downloads: what breaks ----------------------------------------------------------------------------------------


async def _short(request: web.Request) -> web.StreamResponse:
    """Break off in the middle of a length that was announced."""
    response = web.StreamResponse(headers={"Content-Length": str(len(FILM))})
    await response.prepare(request)
    await response.write(FILM[:300_000])
    request.protocol.force_close()
    return response


async def _cut_chunk(request: web.Request) -> web.StreamResponse:
    """Break off without the last chunk."""
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(FILM[:300_000])
    if request.transport:
        request.transport.abort()
    return response


async def _stalled(request: web.Request) -> web.StreamResponse:
    """Begin, and go on never."""
    response = web.StreamResponse(headers={"Content-Length": str(len(FILM))})
    await response.prepare(request)
    await response.write(FILM[:1000])
    await asyncio.Event().wait()
    return response


async def _reset(request: web.Request) -> web.StreamResponse:
    if request.transport:
        request.transport.abort()
    return web.Response()


INTERRUPTED = {
    "short": _short,
    "chunk": _cut_chunk,
    "stalled": _stalled,
    "reset": _reset,
    "429": _says(429),
    "503": _says(503),
    "no gzip": _says(200, b"no gzip", Content_Encoding="gzip"),
}


@pytest.mark.parametrize("answer", INTERRUPTED.values(), ids=INTERRUPTED)
async def test_a_film_that_breaks_off_is_fetched_again(
    answer: Answer, host: Host, transport: Transport, tmp_path: Path
) -> None:
    """Seven times at most."""
    host.answers = [*[answer] * 7, _film]

    await save(transport, host.link, tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == FILM
    assert len(_names(tmp_path)) == 1


@pytest.mark.parametrize("answer", INTERRUPTED.values(), ids=INTERRUPTED)
async def test_a_film_that_never_comes_whole_leaves_nothing_behind(
    answer: Answer, host: Host, transport: Transport, tmp_path: Path
) -> None:
    """A half of it would look like a film."""
    host.answers = [answer]

    with pytest.raises(DownloadError) as caught:
        await save(transport, host.link, tmp_path / "a")

    assert type(caught.value) is DownloadError
    assert host.link in caught.value.what
    assert len(host.heard) == (16 if answer is _reset else 8)  # aiohttp itself asks again after a disconnect
    assert _names(tmp_path) == []


async def test_a_stall_is_noticed_after_a_minute(host: Host, transport: Transport, tmp_path: Path) -> None:
    """A film that comes slowly may take its time, one that stands still may not."""
    host.answers = [_stalled, _film]
    began = _now()

    await save(transport, host.link, tmp_path / "a")

    assert 60.0 <= _now() - began < 63.0


async def test_a_film_may_come_slowly(host: Host, transport: Transport, tmp_path: Path) -> None:
    """Each part within a minute, all of it in an hour."""

    async def slowly(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(60):
            await response.write(b"film")
            await asyncio.sleep(55)
        return response

    host.answers = [slowly]

    await save(transport, host.link, tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == b"film" * 60
    assert len(host.heard) == 1


@pytest.mark.parametrize(
    ("answer", "kind", "tells"),
    [
        (_says(400), DownloadError, "cannot be fetched"),
        (_says(206, b"part"), DownloadError, "cannot be fetched"),
        (_says(200, b"<html>", Content_Type="text/html; charset=utf-8"), DownloadError, "web page"),
        (_says(200, b"<html>", Content_Type="application/xhtml+xml"), DownloadError, "web page"),
        (_says(302, Location="ftp://example.com/a"), DownloadError, "leads to no http"),
        (_says(302, Location="http://[broken"), DownloadError, "leads to no http"),
        (_says(403), ResultExpired, "is gone"),
        (_says(404), ResultExpired, "is gone"),
        (_says(410), ResultExpired, "is gone"),
    ],
)
async def test_what_is_no_film_is_refused_at_once(
    answer: Answer, kind: type[DownloadError], tells: str, *, host: Host, transport: Transport, tmp_path: Path
) -> None:
    """It would be the same the next time."""
    host.answers = [answer]

    with pytest.raises(DownloadError, match=tells) as caught:
        await save(transport, host.link, tmp_path / "a")

    assert type(caught.value) is kind
    assert len(host.heard) == 1
    assert _names(tmp_path) == []


@pytest.mark.parametrize(
    "link",
    ["", "film.mp4", "ftp://example.com/a.mp4", "file:///etc/passwd", "http://", "http://[a", "http://a:99999/b"],
)
async def test_what_is_no_web_link_is_refused(link: str, transport: Transport, tmp_path: Path) -> None:
    """A server must not make us read a local file."""
    with pytest.raises(DownloadError, match=r"is no http\(s\) link"):
        await save(transport, link, tmp_path / "a")

    assert _names(tmp_path) == []


# --- Downloads: the disk -------------------------------------------------------------------------------------------


async def test_a_film_appears_when_it_is_whole(host: Host, transport: Transport, tmp_path: Path) -> None:
    """Until then there is a hidden part, in the same folder."""
    goes_on = asyncio.Event()

    async def waits(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(FILM)
        await goes_on.wait()
        return response

    host.answers = [waits]
    saving = asyncio.create_task(save(transport, host.link, tmp_path / "fox.mp4"))
    await asyncio.sleep(1)

    assert _names(tmp_path) == [".fox.mp4.part", ".fox.mp4.part.json"]

    goes_on.set()
    await saving
    assert _names(tmp_path) == ["fox.mp4"]


async def test_a_cancelled_download_that_could_not_go_on_leaves_nothing_behind(
    host: Host, transport: Transport, tmp_path: Path
) -> None:
    """Neither the film nor its part: the host has no tag for it."""
    host.answers = [_stalled]
    saving = asyncio.create_task(save(transport, host.link, tmp_path / "a"))
    await asyncio.sleep(1)
    assert len(_names(tmp_path)) == 2

    saving.cancel()
    await asyncio.wait({saving})

    assert saving.cancelled()
    assert _names(tmp_path) == []


async def test_an_existing_file_is_not_touched_and_nothing_is_fetched(
    host: Host, transport: Transport, tmp_path: Path
) -> None:
    """Unless told to."""
    path = tmp_path / "a"
    path.write_bytes(b"mine")

    with pytest.raises(FileExistsError, match="overwrite=True"):
        await save(transport, host.link, path)

    assert host.heard == []
    assert path.read_bytes() == b"mine"


async def test_an_existing_file_is_replaced_if_told(host: Host, transport: Transport, tmp_path: Path) -> None:
    """By the whole film in one step."""
    path = tmp_path / "a"
    path.write_bytes(b"mine")

    await save(transport, host.link, path, overwrite=True)

    assert path.read_bytes() == FILM


async def test_a_file_that_appears_meanwhile_is_not_touched(host: Host, transport: Transport, tmp_path: Path) -> None:
    """It is looked for again at the end."""
    path = tmp_path / "a"

    async def meanwhile(request: web.Request) -> web.StreamResponse:
        path.write_bytes(b"mine")
        return await _film(request)

    host.answers = [meanwhile]

    with pytest.raises(FileExistsError):
        await save(transport, host.link, path)

    assert path.read_bytes() == b"mine"
    assert _names(tmp_path) == [path.name]


@pytest.mark.parametrize(
    ("name", "kind"), [("no/such/folder", FileNotFoundError), ("x" * 300, OSError), ("folder", IsADirectoryError)]
)
async def test_what_the_disk_says_passes_as_it_is(
    name: str, kind: type[OSError], host: Host, transport: Transport, tmp_path: Path
) -> None:
    """It is nothing that the service did."""
    (tmp_path / "folder").mkdir()

    with pytest.raises(kind) as caught:
        await save(transport, host.link, tmp_path / name, overwrite=True)

    assert not isinstance(caught.value, FoxError)
    assert _names(tmp_path) == ["folder"]


# --- Videos --------------------------------------------------------------------------------------------------------


async def test_a_video_is_saved(client: Client, fox: Emulator, tmp_path: Path) -> None:
    """What the service made is what lies on the disk."""
    video = await client.generate(SHOT)

    assert (await video.save(tmp_path / "fox.mp4")).path == tmp_path / "fox.mp4"
    assert (await video.save(str(tmp_path / "again.mp4"))).path == tmp_path / "again.mp4"

    assert (tmp_path / "fox.mp4").read_bytes() == (tmp_path / "again.mp4").read_bytes() == stored_film()
    assert fox.ledger.leaks == []


async def test_a_video_is_not_overwritten_unless_told(client: Client, tmp_path: Path) -> None:
    """Neither one by one nor all at once."""
    video = await client.generate(SHOT)
    path = (await video.save(tmp_path / f"{video.task_id}.mp4")).path
    path.write_bytes(b"mine")

    with pytest.raises(FileExistsError):
        await video.save(path)
    with pytest.raises(FileExistsError):
        await video.save_all(tmp_path)
    assert path.read_bytes() == b"mine"

    await video.save_all(tmp_path, overwrite=True)
    assert path.read_bytes() == stored_film()


async def test_a_video_can_be_saved_after_the_client_has_closed(fox: Emulator, tmp_path: Path) -> None:
    """Also where its link has died, which takes a query."""
    async with Client(fox.api_key, fox.base_url) as client:
        video = await client.generate(SHOT)

    await video.save(tmp_path / "soon.mp4")
    await asyncio.sleep(DAY)
    await video.save(tmp_path / "late.mp4")

    assert fox.ledger.downloaded == 2


async def test_a_dead_link_is_replaced_by_a_fresh_one(client: Client, fox: Emulator, tmp_path: Path) -> None:
    """As long as the task has one."""
    video = await client.generate(SHOT)
    polled = fox.ledger.polled
    await asyncio.sleep(DAY + 60)

    await video.save(tmp_path / "fox.mp4")

    assert (tmp_path / "fox.mp4").read_bytes() == stored_film()
    assert fox.ledger.polled == polled + 1


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_a_fresh_link_that_is_dead_too_is_told(
    status: int, client: Client, fox: Emulator, host: Host, tmp_path: Path
) -> None:
    """It is asked for once."""
    host.answers = [_says(status)]
    video = attrs.evolve(await client.generate(SHOT), results=(Result(host.link),))
    fox.fail_next("result", Fault("error", status=status))
    polled = fox.ledger.polled

    with pytest.raises(ResultExpired) as caught:
        await video.save(tmp_path / "fox.mp4")

    error = caught.value
    assert (error.task_id, error.submitted, error.http_status) == (video.task_id, "yes", status)
    assert "links live 24 hours" in error.hint
    assert (fox.ledger.polled, len(host.heard)) == (polled + 1, 1)
    assert _names(tmp_path) == []


async def test_a_task_that_has_no_other_link_is_not_asked_twice(client: Client, fox: Emulator, tmp_path: Path) -> None:
    """The same link would be dead again; a link that the task has no more has no fresh one."""
    video = await client.generate(SHOT)
    fox.fail_next("result", Fault("error", status=404), times=2)
    two = attrs.evolve(video, results=(*video.results, Result(f"{video.url}?second")))

    with pytest.raises(ResultExpired):
        await video.save(tmp_path / "fox.mp4")
    with pytest.raises(ResultExpired):
        await two._save(two.urls[1], 1, two._part(1, tmp_path / "fox.mp4", overwrite=False), None)

    assert fox.ledger.downloaded == 0


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(Fault("reset"), ServiceUnavailable), (Fault("error", status=404), TaskNotFound)],
    ids=["reset", "not found"],
)
async def test_a_fresh_link_that_cannot_be_asked_for_is_told_with_the_id(
    fault: Fault, kind: type[FoxError], client: Client, fox: Emulator, tmp_path: Path
) -> None:
    """The task exists, and can be saved later."""
    video = await client.generate(SHOT)
    await asyncio.sleep(DAY + 60)
    fox.fail_next("poll", fault, times=2)

    with pytest.raises(kind) as caught:
        await video.save(tmp_path / "fox.mp4")

    assert (caught.value.submitted, caught.value.task_id) == ("yes", video.task_id)


async def test_a_video_without_its_client_says_how_to_save_it(client: Client, tmp_path: Path) -> None:
    """A pickled one, say."""
    video = attrs.evolve(await client.generate(SHOT), transport=None)

    with pytest.raises(DownloadError, match=r"client\.task\(video\.task_id\)") as caught:
        await video.save(tmp_path / "fox.mp4")

    assert caught.value.task_id == video.task_id


def _video(transport: Transport, task_id: str, *links: str) -> Video:
    return Video(
        task_id=task_id,
        model="m",
        request=None,
        results=tuple(map(Result, links)),
        credits_reserved=None,
        created=None,
        transport=transport,
    )


@pytest.mark.parametrize(
    ("task_id", "paths", "names"),
    [
        ("task-1", ["/a.mp4"], ["task-1.mp4"]),
        ("task-1", ["/a.webm?x=.gif#.png"], ["task-1.webm"]),
        ("task-1", ["/a", "/b.MOV"], ["task-1-1.mp4", "task-1-2.MOV"]),
        ("task-1", ["/a.mp4", "/a.mp4", "/b.mp4"], ["task-1-1.mp4", "task-1-2.mp4"]),
        (
            "task-1",
            ["/a.mp4/", "/.hidden/b", "/a.waytoolong", "/a.%2e", "?a.gif"],
            [f"task-1-{i}.mp4" for i in range(1, 6)],
        ),
        ("../../etc/passwd", ["/a.mp4"], ["______etc_passwd.mp4"]),
        ("a\\b:c*d\0e\n", ["/a.mp4"], ["a_b_c_d_e_.mp4"]),
        ("füchse 🦊", ["/a.mp4"], ["f_chse__.mp4"]),
        ("x" * 300, ["/a.mp4"], ["x" * 100 + ".mp4"]),
        ("task-1", [], []),
    ],
)
async def test_all_results_are_saved_under_the_name_of_their_task(
    task_id: str, paths: list[str], names: list[str], *, host: Host, transport: Transport, tmp_path: Path
) -> None:
    """Numbered if there are several, each with the suffix of its link, in a folder that is made."""
    folder = tmp_path / "new" / "folder"
    video = _video(transport, task_id, *(host.url + path for path in paths))

    saved = await video.save_all(folder)

    assert [file.path for file in saved] == [folder / name for name in names]
    assert _names(folder) == sorted(names)


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        ("video/mp4", ".mp4"),
        ("video/webm; codecs=vp9", ".webm"),
        ("video/quicktime", ".mov"),
        ("image/png", ".png"),
        ("application/octet-stream", ".mp4"),
        ("video/unheard-of", ".mp4"),
    ],
)
async def test_a_film_without_a_suffix_is_named_after_its_type(
    kind: str, suffix: str, host: Host, transport: Transport, tmp_path: Path
) -> None:
    """The end of a host's name is no suffix either."""
    host.answers = [_says(200, FILM, Content_Type=kind)]

    (saved,) = await _video(transport, "task-1", f"{host.url}/film").save_all(tmp_path)

    assert saved.path == tmp_path / f"task-1{suffix}"
    assert _names(tmp_path) == [saved.path.name]


async def test_a_film_whose_name_turns_out_to_be_taken_is_not_fetched(
    host: Host, transport: Transport, tmp_path: Path
) -> None:
    """Its type tells the name, before its first byte."""
    (tmp_path / "task-1.mp4").write_bytes(b"mine")

    with pytest.raises(FileExistsError):
        await _video(transport, "task-1", f"{host.url}/film").save_all(tmp_path)

    assert (tmp_path / "task-1.mp4").read_bytes() == b"mine"
    assert _names(tmp_path) == ["task-1.mp4"]


async def test_whoever_keeps_a_list_is_told_each_file_once(host: Host, transport: Transport, tmp_path: Path) -> None:
    """When it is on the disk, and not if that failed."""
    told: list[tuple[str, int, SavedFile]] = []
    video = attrs.evolve(
        _video(transport, "task-1", f"{host.url}/a.mp4", f"{host.url}/b.mp4"), noted=lambda *file: told.append(file)
    )

    saved = await video.save_all(tmp_path)
    with pytest.raises(FileExistsError):
        await video.save_all(tmp_path)

    assert told == [("task-1", 0, saved[0]), ("task-1", 1, saved[1])]
    assert pickle.loads(pickle.dumps(video))._noted is None  # noqa: S301 - our own


# --- Going on with what has come -----------------------------------------------------------------------------------


def _names_of(path: Path) -> list[str]:
    return [f".{path.name}.part", f".{path.name}.part.json"]


@attrs.define(eq=False)
class Store:
    """A storage host as it should be: one film, with a tag, of which any part can be had."""

    film: bytes = FILM
    tag: str | None = '"v1"'
    date: str | None = None
    cuts: list[int] = attrs.field(factory=list)
    """How many bytes the next answers still send."""
    sent: int = 0
    asked: list[tuple[str | None, str | None]] = attrs.field(factory=list)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Give what is asked for."""
        wanted, condition = request.headers.get("Range"), request.headers.get("If-Range")
        self.asked.append((wanted, condition))
        first = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if first and condition not in {self.tag, self.date}:
            first = 0
        if first >= len(self.film):
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(self.film)}"})
        headers = {"Content-Length": str(len(self.film) - first), "Content-Type": "video/mp4"}
        headers |= {"ETag": self.tag} if self.tag else {}
        headers |= {"Last-Modified": self.date} if self.date else {}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(self.film) - 1}/{len(self.film)}"
        response = web.StreamResponse(status=206 if first else 200, headers=headers)
        await response.prepare(request)
        body = self.film[first:][: self.cuts.pop(0) if self.cuts else None]
        self.sent += len(body)
        await response.write(body)
        if first + len(body) < len(self.film):
            request.protocol.force_close()
        return response


async def test_a_film_that_is_cut_goes_on_where_it_was(host: Host, transport: Transport, tmp_path: Path) -> None:
    """However often, as long as something new comes; no byte is fetched twice."""
    store = Store(cuts=[10_000] * 50)
    host.answers = [store]

    saved = await save(transport, host.link, tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == FILM
    assert saved.sha256 == hashlib.sha256(FILM).hexdigest()
    assert store.sent == len(FILM)
    assert store.asked[:3] == [(None, None), ("bytes=10000-", '"v1"'), ("bytes=20000-", '"v1"')]


async def test_a_film_that_brings_nothing_new_eight_times_in_a_row_is_given_up_and_kept(
    host: Host, transport: Transport, tmp_path: Path
) -> None:
    """What has come waits for the next save."""
    path, store = tmp_path / "a", Store(cuts=[1000, *[0] * 8])
    host.answers = [store]

    with pytest.raises(DownloadError):
        await save(transport, host.link, path)

    assert _names(tmp_path) == _names_of(path)
    assert len(store.asked) == 8
    await save(transport, host.link, path)
    assert path.read_bytes() == FILM
    assert store.asked[8:] == [("bytes=1000-", '"v1"'), ("bytes=1000-", '"v1"')]
    assert store.sent == len(FILM)


async def test_a_cancelled_save_is_gone_on_with_by_the_next(host: Host, transport: Transport, tmp_path: Path) -> None:
    """Also through another link: what counts is the task."""
    path, store = tmp_path / "fox.mp4", Store()

    async def stalls(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(FILM)), "ETag": '"v1"'})
        await response.prepare(request)
        await response.write(FILM[:300_000])
        await asyncio.Event().wait()
        return response

    host.answers = [stalls, store]
    saving = asyncio.create_task(save(transport, host.link, path))
    await asyncio.sleep(30)
    saving.cancel()
    await asyncio.wait({saving})
    assert saving.cancelled()
    assert _names(tmp_path) == _names_of(path)

    saved = await save(transport, f"{host.url}/another/link", path)

    assert store.asked == [("bytes=300000-", '"v1"')]
    assert saved.sha256 == hashlib.sha256(FILM).hexdigest()
    assert _names(tmp_path) == [path.name]


async def _cut_save(transport: Transport, host: Host, path: Path, store: Store) -> None:
    """Leave the first thousand bytes of a film."""
    host.answers = [store, _says(400)]
    store.cuts = [1000]
    with pytest.raises(DownloadError):
        await save(transport, host.link, path)
    assert path.with_name(f".{path.name}.part").stat().st_size == 1000
    host.answers = [store]
    host.heard.clear()
    store.asked.clear()


@pytest.mark.parametrize("change", ["tag", "date", "length", "task", "notes"])
async def test_another_film_starts_over(change: str, host: Host, transport: Transport, tmp_path: Path) -> None:
    """No film is put together from two."""
    path, store = tmp_path / "a", Store(tag=None, date=DATE) if change == "date" else Store()
    await _cut_save(transport, host, path, store)
    store.film = bytes(reversed(FILM))
    match change:
        case "tag":
            store.tag = '"v2"'
        case "date":
            store.date = "Tue, 22 Sep 2026 00:00:00 GMT"
        case "length":
            store.film += b"longer"
        case "notes":
            (tmp_path / ".a.part.json").write_text('{"source": "task-1#0", "etag": "x\\r\\ny"}')
    task = "task-2#0" if change == "task" else "task-1#0"

    saved = await download(transport, host.link, Part(path=path, source=task, overwrite=False))

    assert path.read_bytes() == store.film
    assert saved.sha256 == hashlib.sha256(store.film).hexdigest()
    assert _names(tmp_path) == ["a"]


DATE = "Mon, 21 Sep 2026 14:13:21 GMT"


async def test_a_date_serves_where_there_is_no_strong_tag(host: Host, transport: Transport, tmp_path: Path) -> None:
    """A weak tag promises no equal bytes."""
    path, store = tmp_path / "a", Store(tag='W/"v1"', date=DATE)
    await _cut_save(transport, host, path, store)

    await save(transport, host.link, path)

    assert store.asked == [("bytes=1000-", DATE)]
    assert store.sent == len(FILM)


async def test_a_host_that_ignores_if_range_is_found_out(host: Host, transport: Transport, tmp_path: Path) -> None:
    """Its tag tells that the part is one of another film."""
    path, store = tmp_path / "a", Store()
    await _cut_save(transport, host, path, store)
    other = _says(206, b"x" * (len(FILM) - 1000), ETag='"v2"', Content_Range=f"bytes 1000-{len(FILM) - 1}/{len(FILM)}")
    host.answers = [other, store]

    await save(transport, host.link, path)

    assert path.read_bytes() == FILM
    assert store.asked == [(None, None)]


async def test_a_host_that_knows_no_ranges_sends_all_of_it_again(
    host: Host, transport: Transport, tmp_path: Path
) -> None:
    """A 200 begins with the first byte."""
    path, store = tmp_path / "a", Store()
    await _cut_save(transport, host, path, store)
    host.answers = [_film]

    await save(transport, host.link, path)

    assert path.read_bytes() == FILM
    assert host.heard[0].headers["Range"] == "bytes=1000-"


async def test_a_host_may_send_the_rest_in_pieces(host: Host, transport: Transport, tmp_path: Path) -> None:
    """Each is asked for anew; a piece of nothing is none."""
    path, store = tmp_path / "a", Store()
    await _cut_save(transport, host, path, store)
    piece = _says(206, FILM[1000:3000], ETag='"v1"', Content_Range=f"bytes 1000-2999/{len(FILM)}")
    nothing = _says(206, b"", ETag='"v1"', Content_Range=f"bytes 3000-2999/{len(FILM)}")
    host.answers = [piece, nothing, store]

    await save(transport, host.link, path)

    assert path.read_bytes() == FILM
    assert store.asked == [("bytes=3000-", '"v1"')]


async def test_a_host_that_sends_too_much_is_not_believed(host: Host, transport: Transport, tmp_path: Path) -> None:
    """The film is begun anew."""
    path, store = tmp_path / "a", Store()
    await _cut_save(transport, host, path, store)
    host.answers = [_says(206, FILM, ETag='"v1"', Content_Range=f"bytes 1000-{len(FILM) - 1}/{len(FILM)}"), store]

    await save(transport, host.link, path)

    assert path.read_bytes() == FILM
    assert store.asked == [(None, None)]


async def test_a_film_of_unknown_length_goes_on_too(host: Host, transport: Transport, tmp_path: Path) -> None:
    """The rest tells how long it is, or that nothing is missing."""
    path = tmp_path / "a"
    store = Store()

    def begins(upto: int) -> Answer:
        async def answer(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"ETag": '"v1"'})
            response.enable_chunked_encoding()
            await response.prepare(request)
            await response.write(FILM[:upto])
            await asyncio.sleep(1)
            if request.transport:
                request.transport.abort()
            return response

        return answer

    for upto in (5000, len(FILM)):
        host.heard.clear()
        host.answers = [begins(upto), store]
        progress: list[tuple[int, int | None]] = []

        part = Part(path=path, source="task-1#0", overwrite=True)
        await download(transport, host.link, part, progress=lambda done, total: progress.append((done, total)))  # noqa: B023

        assert path.read_bytes() == FILM
        assert progress[0] == (0, None)
        assert progress[-1] == (len(FILM), len(FILM))
    assert store.asked == [("bytes=5000-", '"v1"'), (f"bytes={len(FILM)}-", '"v1"')]


async def test_a_part_that_is_whole_already_is_not_asked_for(host: Host, transport: Transport, tmp_path: Path) -> None:
    """It only lacks its name."""
    path, store = tmp_path / "a", Store()

    async def meanwhile(request: web.Request) -> web.StreamResponse:
        path.write_bytes(b"mine")
        return await store(request)

    store.cuts = [len(FILM) - 1]
    host.answers = [store, meanwhile]
    with pytest.raises(FileExistsError):
        await save(transport, host.link, path)
    assert _names(tmp_path) == [*_names_of(path), "a"]

    saved = await save(transport, host.link, path, overwrite=True)

    assert path.read_bytes() == FILM
    assert saved.sha256 == hashlib.sha256(FILM).hexdigest()
    assert len(host.heard) == 2
    assert _names(tmp_path) == ["a"]


async def test_progress_never_goes_back_and_ends_with_all(host: Host, transport: Transport, tmp_path: Path) -> None:
    """It counts what is on the disk, from what an earlier save left."""
    path, store = tmp_path / "a", Store()
    await _cut_save(transport, host, path, store)
    seen: list[tuple[int, int | None]] = []

    part = Part(path=path, source="task-1#0", overwrite=False)
    await download(transport, host.link, part, progress=lambda done, total: seen.append((done, total)))

    assert seen[0] == (1000, len(FILM))
    assert seen[-1] == (len(FILM), len(FILM))
    assert seen == sorted(seen)


async def test_a_progress_that_breaks_ends_the_save_and_keeps_what_has_come(
    host: Host, transport: Transport, tmp_path: Path
) -> None:
    """It is the caller's own error."""
    host.answers = [Store()]
    part = Part(path=tmp_path / "a", source="task-1#0", overwrite=False)

    def breaks(done: int, _: int | None) -> None:
        assert not done, "the bar broke"

    with pytest.raises(AssertionError, match="the bar broke"):
        await download(transport, host.link, part, progress=breaks)

    assert _names(tmp_path) == _names_of(tmp_path / "a")


async def test_a_host_says_how_long_to_wait(host: Host, transport: Transport, tmp_path: Path) -> None:
    """Before it is asked again."""
    host.answers = [_says(503, Retry_After="40"), _film]
    began = _now()

    await save(transport, host.link, tmp_path / "a")

    assert 40.0 <= _now() - began < 41.0


async def test_two_who_save_one_target_do_not_mix(host: Host, transport: Transport, tmp_path: Path) -> None:
    """The second waits for the first, and finds the file there."""
    path = tmp_path / "a"

    async def slowly(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(10)
        return await _film(request)

    host.answers = [slowly]
    saves = [save(transport, host.link, path), save(transport, host.link, path)]

    ends = await asyncio.gather(*saves, return_exceptions=True)

    assert sorted(type(end).__name__ for end in ends) == ["FileExistsError", "SavedFile"]
    assert len(host.heard) == 1
    assert _names(tmp_path) == ["a"]


async def test_no_more_than_eight_films_come_down_at_once(fox: Emulator, client: Client, tmp_path: Path) -> None:
    """However many are saved, and whatever queries are under way."""
    videos = await asyncio.gather(*(client.generate(SHOT) for _ in range(20)))
    fox.fail_next("result", Fault("slow"), times=20)

    await asyncio.gather(*(video.save_all(tmp_path) for video in videos))

    assert fox.ledger.max_transfers == 8
    assert len(_names(tmp_path)) == 20


def test_the_bound_holds_in_each_loop_anew(transport_kept: Transport, tmp_path: Path) -> None:
    """A video may be saved in another loop than that of its client."""

    async def save_many(folder: Path) -> None:
        async with Host().running() as host:
            await asyncio.gather(*(save(transport_kept, host.link, folder / str(n)) for n in range(20)))

    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        run(save_many(tmp_path / folder))
        assert len(_names(tmp_path / folder)) == 20


@pytest.fixture
def transport_kept() -> Transport:
    """Connections of a client that is closed already."""
    kept = Transport("http://fox.invalid", "sk-1", 60.0, 15.0)
    run(kept.close())
    return kept


async def test_a_full_disk_keeps_what_it_took(
    host: Host, transport: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When there is space again, the rest is fetched."""
    path, store, room, write = tmp_path / "a", Store(), [500_000], os.write

    def limited(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "no space")
        written = write(descriptor, data[: room[0]])
        room[0] -= written
        return written

    host.answers = [store]
    with monkeypatch.context() as patch:
        patch.setattr("foxvideo._transfer.part.os.write", limited)
        with pytest.raises(OSError, match="no space"):
            await save(transport, host.link, path)

    saved = await save(transport, host.link, path)

    assert saved.sha256 == hashlib.sha256(FILM).hexdigest()
    assert 0 < int(str(store.asked[1][0]).removeprefix("bytes=").removesuffix("-")) <= 500_000


@pytest.mark.parametrize("fault", [Fault("half_body", at=10_000), Fault("stall", at=10_000), Fault("slow")])
@pytest.mark.parametrize("ranges", [True, False])
async def test_a_video_comes_whole_from_a_host_that_breaks(ranges: bool, fault: Fault, tmp_path: Path) -> None:
    """Whether or not that host knows ranges."""
    async with Emulator(film=FILM, seconds=1.0, ranges=ranges) as fox, Client(fox.api_key, fox.base_url) as client:
        video = await client.generate(SHOT)
        fox.fail_next("result", fault, times=3)

        saved = await video.save(tmp_path / "fox.mp4")

    assert saved.sha256 == hashlib.sha256(FILM).hexdigest()


async def test_a_link_that_dies_on_the_way_is_replaced_and_the_rest_is_fetched(
    fox: Emulator, client: Client, tmp_path: Path
) -> None:
    """The fresh link leads to the same film."""
    video = await client.generate(SHOT)
    for fault in (Fault("half_body", at=1000), Fault("error", status=410)):
        fox.fail_next("result", fault)
    fox.ledger.tasks[video.task_id].link = None  # the next query gives another link
    seen: list[int] = []

    saved = await video.save(tmp_path / "fox.mp4", progress=lambda done, _: seen.append(done))

    assert saved.path.read_bytes() == stored_film()
    assert (seen[0], seen.count(0), seen.count(1000)) == (0, 1, 1)
