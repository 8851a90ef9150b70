"""Files on their way: local media up, once; films down, whole or not at all."""

import asyncio
import contextlib
import gzip
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest
from aiohttp import web

from foxvideo import (
    AuthenticationError,
    BadReply,
    Client,
    ClientClosed,
    DownloadError,
    FoxError,
    GrokImageToVideo,
    GrokReferenceToVideo,
    GrokTextToVideo,
    InvalidRequest,
    RateLimited,
    Request,
    ResultExpired,
    ServiceUnavailable,
    TaskNotFound,
    UploadError,
    Video,
)
from foxvideo.emulator import Emulator, Fault
from foxvideo.emulator.films import stored_film
from foxvideo.states import Result
from foxvideo.downloads import save as download
from foxvideo.parts import Part, SavedFile
from foxvideo.transport import Transport

DAY = 24 * 3600.0
PICTURE = b"\x89PNG a fox"
SHOT = GrokTextToVideo(prompt="A fox trots through snow")


def _now() -> float:
    return asyncio.get_running_loop().time()


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _from(media: Any) -> GrokImageToVideo:  # noqa: ANN401 - also what is no media
    return GrokImageToVideo(prompt="It goes on", image_url=media)


def _sent(fox: Emulator) -> list[Any]:
    return [record.body["image_url"] for record in fox.ledger.tasks.values()]


# --- Uploads: what goes up, and how often --------------------------------------------------------------------------


@pytest.mark.parametrize("as_path", [False, True], ids=["bytes", "path"])
async def test_local_media_is_uploaded_and_its_link_is_sent(
    as_path: bool, client: Client, fox: Emulator, tmp_path: Path
) -> None:
    """The service reads what the file holds."""
    path = tmp_path / "cat.png"
    path.write_bytes(PICTURE)

    await client.generate(_from(path if as_path else PICTURE))

    (link,) = _sent(fox)
    assert await _read(link) == PICTURE
    assert fox.ledger.uploaded == 1


async def _read(url: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
    writer.write(f"GET {urlsplit(url).path} HTTP/1.0\r\n\r\n".encode())
    reply = await reader.read()
    writer.close()
    return reply.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(("name", "suffix"), [("My Holiday.JPG", ".jpg"), ("secret plan", ""), (None, ".bin")])
async def test_the_public_name_of_an_upload_is_random_and_keeps_the_suffix(
    name: str | None, suffix: str, client: Client, tmp_path: Path
) -> None:
    """Whoever knows the link can read it, so it must not be guessed and says nothing."""
    media: Path | bytes = PICTURE
    if name:
        media = tmp_path / name
        media.write_bytes(PICTURE)

    link = PurePosixPath(urlsplit(await client.upload(media)).path)

    assert link.suffix == suffix
    assert len(link.stem) == 32
    assert int(link.stem, 16)


async def test_two_uploads_have_two_names(client: Client) -> None:
    """Nothing of the content can be read from the name."""
    first, second = await client.upload(b"one"), await client.upload(b"two")

    assert PurePosixPath(first).name != PurePosixPath(second).name
    assert hashlib.sha256(b"one").hexdigest()[:32] not in first


async def test_the_same_content_is_uploaded_once_however_many_need_it_at_once(
    client: Client, fox: Emulator, tmp_path: Path
) -> None:
    """From a file, from another file, and from memory."""
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(PICTURE)
    media = [tmp_path / "a.png", tmp_path / "b.png", PICTURE, bytes(bytearray(PICTURE))] * 5

    await asyncio.gather(*(client.generate(_from(item)) for item in media))

    assert fox.ledger.uploaded == 1
    assert len(set(_sent(fox))) == 1
    assert fox.ledger.charged == 20


async def test_no_more_than_four_files_go_up_at_once() -> None:
    """Each of them is in memory meanwhile."""
    async with Emulator(render=False, latency=1.0) as fox, Client(fox.api_key, fox.base_url) as client:
        await asyncio.gather(*(client.upload(bytes([number])) for number in range(20)))

    assert fox.ledger.uploaded == 20
    assert fox.ledger.max_transfers == 4


async def test_an_upload_that_waits_for_a_place_is_not_begun_once_the_client_is_closed() -> None:
    """Those under way are cut, and none of the others follows."""
    async with Emulator(render=False, latency=1.0) as fox:
        async with Client(fox.api_key, fox.base_url) as client:
            uploads = [asyncio.create_task(client.upload(bytes([number]))) for number in range(10)]
            await asyncio.sleep(0.5)
        ends = await asyncio.gather(*uploads, return_exceptions=True)
        await asyncio.sleep(10)

    assert [type(end) for end in ends] == [ClientClosed] * 10
    assert fox.ledger.uploaded == 0


async def test_media_in_lists_and_below_is_uploaded() -> None:
    """Wherever a request has a place for it."""
    pictures: list[str | bytes] = [b"one", "https://example.com/two.png", b"three"]
    nested = Request("any-model", elements=[{"frontal": b"one", "more": (b"four",)}], image_url=b"five")
    async with Emulator(render=False, strict=False) as lax, Client(lax.api_key, lax.base_url) as client:
        await client.generate(GrokReferenceToVideo(prompt="All of them", reference_image_urls=pictures))
        await client.generate(nested)

        first, second = (record.body for record in lax.ledger.tasks.values())
        one, two, three = first["reference_image_urls"]
        (element,) = second["elements"]
        assert two == "https://example.com/two.png"
        assert [await _read(link) for link in (one, three)] == [b"one", b"three"]
        assert element["frontal"] == one
        assert [await _read(link) for link in (element["more"][0], second["image_url"])] == [b"four", b"five"]
        assert lax.ledger.uploaded == 4


# --- Uploads: what breaks ------------------------------------------------------------------------------------------

AGAIN = [Fault("reset"), Fault("error"), Fault("html", status=502), Fault("half_body"), Fault("garbage")]


@pytest.mark.parametrize("fault", [*AGAIN, Fault("rate_limit")], ids=lambda fault: fault.how)
async def test_a_broken_upload_is_repeated(fault: Fault, client: Client, fox: Emulator) -> None:
    """It costs nothing."""
    fox.fail_next("upload", fault, times=3)

    await client.generate(_from(PICTURE))

    assert (fox.ledger.uploaded, fox.ledger.charged) == (1, 1)


async def test_an_upload_waits_as_long_as_retry_after_says(client: Client, fox: Emulator) -> None:
    """Before it is repeated."""
    fox.fail_next("upload", Fault("rate_limit", retry_after="40"))
    began = _now()

    await client.upload(PICTURE)

    assert 40.0 <= _now() - began < 41.0


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("reset"), ServiceUnavailable),
        (Fault("error", status=503), ServiceUnavailable),
        (Fault("rate_limit", retry_after="1"), RateLimited),
        (Fault("html", status=403), BadReply),
        (Fault("empty"), BadReply),
    ],
    ids=lambda value: getattr(value, "how", None),
)
async def test_an_upload_that_stays_broken_ends_the_task_before_its_submit(
    fault: Fault, kind: type[FoxError], client: Client, fox: Emulator
) -> None:
    """After four attempts."""
    fox.fail_next("upload", fault, times=4)

    with pytest.raises(kind) as caught:
        await client.generate(_from(PICTURE))

    assert caught.value.submitted == "no"
    assert fox.ledger.submitted == 0
    await client.upload(PICTURE)  # the fifth


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        (Fault("error", status=413), UploadError, "large"),
        (Fault("html", status=413), UploadError, "large"),
        (Fault("error", status=403), UploadError, "HTTP 403"),
        (Fault("error", status=400), UploadError, "HTTP 400"),
        (Fault("error", status=401), AuthenticationError, "FOXAPI_API_KEY"),
        (Fault("cloudflare"), AuthenticationError, "user_agent="),
    ],
    ids=lambda value: f"{value.how}-{value.status}" if isinstance(value, Fault) else None,
)
async def test_an_upload_that_is_refused_is_not_repeated(
    fault: Fault, kind: type[FoxError], says: str, client: Client, fox: Emulator
) -> None:
    """And the error says what to do."""
    fox.fail_next("upload", fault)

    with pytest.raises(FoxError) as caught:
        await client.generate(_from(PICTURE))

    assert type(caught.value) is kind
    assert says in str(caught.value)
    assert caught.value.submitted == "no"
    assert (fox.ledger.uploaded, fox.ledger.submitted) == (0, 0)


@pytest.mark.parametrize("name", ["missing.png", "", "null\0byte"])
async def test_a_file_that_cannot_be_read_is_named_and_nothing_is_submitted(
    name: str, client: Client, fox: Emulator, tmp_path: Path
) -> None:
    """A missing file, a folder, and what is no path at all."""
    with pytest.raises(UploadError, match="could not read") as caught:
        await client.generate(_from(tmp_path / name))

    assert repr(str(tmp_path / name)) in caught.value.what
    assert "nothing was submitted" in str(caught.value)
    assert (fox.ledger.uploaded, fox.ledger.submitted) == (0, 0)


# --- Uploads: how long they are remembered -------------------------------------------------------------------------


async def test_an_upload_is_remembered_for_a_day(client: Client, fox: Emulator) -> None:
    """Then the service may have dropped it."""
    first = await client.upload(PICTURE)
    await asyncio.sleep(DAY - 60)
    assert await client.upload(PICTURE) == first

    await asyncio.sleep(120)
    assert await client.upload(PICTURE) != first
    assert fox.ledger.uploaded == 2


async def test_an_upload_that_the_service_calls_invalid_is_forgotten() -> None:
    """The next request that needs it brings it again; others are kept."""
    async with Emulator(render=False, upload_lifetime=3600.0) as fox, Client(fox.api_key, fox.base_url) as client:
        gone = await client.upload(PICTURE)
        await asyncio.sleep(1800)
        kept = await client.upload(b"another")
        await asyncio.sleep(1801)

        with pytest.raises(InvalidRequest, match="image_url"):
            await client.generate(_from(PICTURE))

        assert (await client.generate(_from(PICTURE))).request == _from(PICTURE)
        assert await client.upload(b"another") == kept
        assert gone not in _sent(fox)
        assert fox.ledger.uploaded == 3


async def test_a_failed_upload_is_not_remembered(client: Client, fox: Emulator) -> None:
    """The next one begins anew."""
    fox.fail_next("upload", Fault("error", status=413))

    with pytest.raises(UploadError):
        await client.upload(PICTURE)

    assert await client.upload(PICTURE)


async def test_cancelling_one_who_waits_leaves_the_upload_to_the_other() -> None:
    """It is one upload for both."""
    async with Emulator(render=False, latency=1.0) as fox, Client(fox.api_key, fox.base_url) as client:
        leaves, stays = (asyncio.create_task(client.upload(PICTURE)) for _ in range(2))
        await asyncio.sleep(0.1)

        leaves.cancel()

        assert await stays
        assert leaves.cancelled()
    assert fox.ledger.uploaded == 1


async def test_closing_the_client_ends_those_who_wait_for_an_upload(fox: Emulator) -> None:
    """With an error that says so: only their own cancelling is a cancellation."""
    fox.fail_next("upload", Fault("hang"))
    async with Client(fox.api_key, fox.base_url) as client:
        waiting = asyncio.create_task(client.upload(PICTURE))
        await asyncio.sleep(0.1)

    with pytest.raises(ClientClosed):
        await waiting


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

    assert await save(transport, host.link, path, overwrite=False) == path

    assert path.read_bytes() == FILM
    assert _names(tmp_path) == [path.name]
    assert "Authorization" not in host.heard[0].headers
    assert host.heard[0].headers["Accept-Encoding"] == "identity"


async def test_a_signed_link_is_asked_for_as_it_stands(host: Host, transport: Transport, tmp_path: Path) -> None:
    """Its signature is over these very characters."""
    target = "/a%2fb%7Ec/film.mp4?X-Sig=%2F%3a%20+%2B&b=~"

    await save(transport, host.url + target, tmp_path / "a", overwrite=False)

    assert host.heard[0].raw_path == target


async def test_a_link_that_is_not_quoted_is_quoted(host: Host, transport: Transport, tmp_path: Path) -> None:
    """A space cannot stand in a request."""
    await save(transport, f"{host.url}/ein süßer fuchs.mp4", tmp_path / "a", overwrite=False)

    assert host.heard[0].raw_path == "/ein%20s%C3%BC%C3%9Fer%20fuchs.mp4"


async def test_a_redirect_to_another_host_is_followed(host: Host, transport: Transport, tmp_path: Path) -> None:
    """Real links may lie anywhere."""
    async with Host().running() as other:
        host.answers = [_says(302, Location=other.link)]
        await save(transport, host.link, tmp_path / "a", overwrite=False)

    assert (tmp_path / "a").read_bytes() == FILM
    assert "Authorization" not in other.heard[0].headers


async def test_a_film_that_is_compressed_all_the_same_is_saved_plain(
    host: Host, transport: Transport, tmp_path: Path
) -> None:
    """Its length is that of what was sent."""
    host.answers = [_says(200, gzip.compress(FILM), Content_Encoding="gzip")]

    await save(transport, host.link, tmp_path / "a", overwrite=False)

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
    """Three times at most."""
    host.answers = [answer, answer, answer, _film]

    await save(transport, host.link, tmp_path / "a", overwrite=False)

    assert (tmp_path / "a").read_bytes() == FILM
    assert len(_names(tmp_path)) == 1


@pytest.mark.parametrize("answer", INTERRUPTED.values(), ids=INTERRUPTED)
async def test_a_film_that_never_comes_whole_leaves_nothing_behind(
    answer: Answer, host: Host, transport: Transport, tmp_path: Path
) -> None:
    """A half of it would look like a film."""
    host.answers = [answer]

    with pytest.raises(DownloadError) as caught:
        await save(transport, host.link, tmp_path / "a", overwrite=False)

    assert type(caught.value) is DownloadError
    assert host.link in caught.value.what
    assert len(host.heard) == (8 if answer is _reset else 4)  # aiohttp itself asks again after a disconnect
    assert _names(tmp_path) == []


async def test_a_stall_is_noticed_after_a_minute(host: Host, transport: Transport, tmp_path: Path) -> None:
    """A film that comes slowly may take its time, one that stands still may not."""
    host.answers = [_stalled, _film]
    began = _now()

    await save(transport, host.link, tmp_path / "a", overwrite=False)

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

    await save(transport, host.link, tmp_path / "a", overwrite=False)

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
        await save(transport, host.link, tmp_path / "a", overwrite=False)

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
        await save(transport, link, tmp_path / "a", overwrite=False)

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
    saving = asyncio.create_task(save(transport, host.link, tmp_path / "fox.mp4", overwrite=False))
    await asyncio.sleep(1)

    (part,) = _names(tmp_path)
    assert re.fullmatch(r"\.fox\.mp4\..*\.part", part)

    goes_on.set()
    await saving
    assert _names(tmp_path) == ["fox.mp4"]


async def test_a_cancelled_download_leaves_nothing_behind(host: Host, transport: Transport, tmp_path: Path) -> None:
    """Neither the film nor its part."""
    host.answers = [_stalled]
    saving = asyncio.create_task(save(transport, host.link, tmp_path / "a", overwrite=False))
    await asyncio.sleep(1)
    assert len(_names(tmp_path)) == 1

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
        await save(transport, host.link, path, overwrite=False)

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
        await save(transport, host.link, path, overwrite=False)

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

    assert await video.save(tmp_path / "fox.mp4") == tmp_path / "fox.mp4"
    assert await video.save(str(tmp_path / "again.mp4")) == tmp_path / "again.mp4"

    assert (tmp_path / "fox.mp4").read_bytes() == (tmp_path / "again.mp4").read_bytes() == stored_film()
    assert fox.ledger.leaks == []


async def test_a_video_is_not_overwritten_unless_told(client: Client, tmp_path: Path) -> None:
    """Neither one by one nor all at once."""
    video = await client.generate(SHOT)
    path = await video.save(tmp_path / f"{video.task_id}.mp4")
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
    assert "links live 24 hours" in str(error)
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
        await two._save(two.urls[1], 1, tmp_path / "fox.mp4", overwrite=False)

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

    assert saved == [folder / name for name in names]
    assert _names(folder) == sorted(names)


async def test_the_host_alone_gives_a_film_no_suffix(transport: Transport) -> None:
    """The end of a host's name is none."""
    assert _video(transport, "task-1", "https://films.com")._name(0) == "task-1.mp4"
