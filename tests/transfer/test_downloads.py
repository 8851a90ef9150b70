"""Videos on their way down: whole or not at all, in the end, and never anything else than a video."""

import asyncio
import gzip
import hashlib
from pathlib import Path

import pytest
from aiohttp import web
from hosting import VIDEO, Host, Reply, Store, begins, gives_video, mp4, names, names_of, save, says

from foxvideo import Client, DownloadError, FoxError, GrokTextToVideo, ResultExpired
from foxvideo._http import Transport
from foxvideo._transfer.download import save as download
from foxvideo._transfer.part import Part
from foxvideo.emulator import Emulator, Fault
from foxvideo.media import SavedFile
from foxvideo.testing.clock import run

SHOT = GrokTextToVideo(prompt="A fox trots through snow")
HOUR = 3600.0


# --- A video that comes --------------------------------------------------------------------------------------------


async def test_a_video_is_saved_byte_by_byte(host: Host, transport: Transport, tmp_path: Path) -> None:
    """Asked for as it is: no key, no compression."""
    path = tmp_path / "fox.mp4"

    saved = await save(transport, host.link, path)

    assert saved == SavedFile(path, len(VIDEO), hashlib.sha256(VIDEO).hexdigest())
    assert path.read_bytes() == VIDEO
    assert names(tmp_path) == [path.name]
    assert "Authorization" not in host.heard[0].headers
    assert host.heard[0].headers["Accept-Encoding"] == "identity"


async def test_a_signed_link_is_asked_for_as_it_stands(host: Host, transport: Transport, tmp_path: Path) -> None:
    """Its signature is over these very characters."""
    target = "/a%2fb%7Ec/video.mp4?X-Sig=%2F%3a%20+%2B&b=~"

    await save(transport, host.url + target, tmp_path / "a")

    assert host.heard[0].raw_path == target


async def test_a_link_that_is_not_quoted_is_quoted(host: Host, transport: Transport, tmp_path: Path) -> None:
    """A space cannot stand in a request."""
    await save(transport, f"{host.url}/ein süßer fuchs.mp4", tmp_path / "a")

    assert host.heard[0].raw_path == "/ein%20s%C3%BC%C3%9Fer%20fuchs.mp4"


@pytest.mark.parametrize("headers", [{"Content-Type": "video/mp4"}, {}], ids=["typed", "untyped"])
async def test_a_video_that_is_compressed_all_the_same_is_saved_plain(
    headers: dict[str, str], host: Host, transport: Transport, tmp_path: Path
) -> None:
    """Its length is that of what was sent."""
    host.answers = [says(200, gzip.compress(VIDEO), Content_Encoding="gzip", **headers)]

    await save(transport, host.link, tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == VIDEO


# --- Redirects -----------------------------------------------------------------------------------------------------

SIGNED = "/signed/b%2Fc/..%2f/%27kite%27.mp4?Credential=AK%2F2025%2Feu&acl=%2f*&name=%7ekite%21&sig=a%2Bb%2Fc%3D"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("spelled", ["absolute", "of the same scheme", "of the same host"])
async def test_the_target_of_a_redirect_is_asked_for_as_it_stands(
    spelled: str, status: int, host: Host, transport: Transport, tmp_path: Path
) -> None:
    """Spelled anew, a signature would break."""
    async with Host().running() as other:
        location = {
            "absolute": other.url + SIGNED,
            "of the same scheme": other.url.removeprefix("http:") + SIGNED,
            "of the same host": SIGNED,
        }[spelled]
        host.answers = [says(status, Location=location), gives_video]

        await save(transport, host.link, tmp_path / "a")

    asked = host.heard[1] if spelled == "of the same host" else other.heard[0]
    assert asked.raw_path == SIGNED
    assert "Authorization" not in asked.headers
    assert (tmp_path / "a").read_bytes() == VIDEO


async def test_a_redirect_may_be_relative(host: Host, transport: Transport, tmp_path: Path) -> None:
    """To what was asked for last."""
    host.answers = [says(302, Location="moved/a.mp4"), says(302, Location="b%27.mp4?x=~"), gives_video]

    await save(transport, f"{host.url}/videos/kite.mp4", tmp_path / "a")

    assert [request.raw_path for request in host.heard[1:]] == ["/videos/moved/a.mp4", "/videos/moved/b%27.mp4?x=~"]


async def test_the_rest_is_asked_for_behind_a_redirect_too(host: Host, transport: Transport, tmp_path: Path) -> None:
    """The headers that ask for it go along."""
    store, path = Store(cuts=[100_000]), tmp_path / "a"
    host.answers = [says(302, Location="/there"), store, says(302, Location="/there"), store]

    await save(transport, host.link, path)

    assert path.read_bytes() == VIDEO
    assert store.asked == [(None, None), ("bytes=100000-", '"v1"')]


async def test_redirects_in_a_circle_come_to_an_end(host: Host, transport: Transport, tmp_path: Path) -> None:
    """Ten are followed at a time."""
    host.answers = [says(302, Location="/again")]

    with pytest.raises(DownloadError, match="redirects more than 10 times"):
        await save(transport, host.link, tmp_path / "a")

    assert len(host.heard) == 8 * 11


async def test_each_hop_has_the_proxy_of_its_own_host(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that ``no_proxy`` names is asked directly, also where another led to it, and the other way round."""
    async with Host().running() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        proxy.answers = [says(302, Location=host.link)]
        transport = Transport("http://fox.invalid", "sk-1", 60.0, 15.0, trust_env=True)

        await save(transport, "http://videos.invalid/kite.mp4", tmp_path / "a")
        await transport.close()

    assert (len(proxy.heard), len(host.heard)) == (1, 1)
    assert (tmp_path / "a").read_bytes() == VIDEO


# --- What breaks off -----------------------------------------------------------------------------------------------


async def _reset(request: web.Request) -> web.StreamResponse:
    if request.transport:
        request.transport.abort()
    return web.Response()


LENGTH = str(len(VIDEO))
INTERRUPTED = {
    "short": begins(VIDEO[:300_000], then="cuts", Content_Length=LENGTH),
    "chunk": begins(VIDEO[:300_000], then="cuts"),
    "closed": begins(VIDEO[:300_000], then="closes"),
    "stalled": begins(VIDEO[:1000], Content_Length=LENGTH),
    "reset": _reset,
    "408": says(408),
    "425": says(425),
    "429": says(429),
    "503": says(503),
    "no gzip": says(200, b"no gzip", Content_Encoding="gzip"),
    "cut gzip": says(200, gzip.compress(VIDEO)[:-500], Content_Encoding="gzip", Content_Type="video/mp4"),
    "one byte less": says(200, VIDEO[:-1], Content_Type="video/mp4"),
    "no box after the index": says(200, VIDEO[:32], Content_Type="video/mp4"),
}


@pytest.mark.parametrize("answer", INTERRUPTED.values(), ids=INTERRUPTED)
async def test_a_video_that_breaks_off_is_fetched_again(
    answer: Reply, host: Host, transport: Transport, tmp_path: Path
) -> None:
    """Seven times at least."""
    host.answers = [*[answer] * 7, gives_video]

    await save(transport, host.link, tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == VIDEO
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("answer", INTERRUPTED.values(), ids=INTERRUPTED)
async def test_a_video_that_never_comes_whole_leaves_nothing_behind(
    answer: Reply, host: Host, transport: Transport, tmp_path: Path
) -> None:
    """A half of it would look like a video."""
    host.answers = [answer]

    with pytest.raises(DownloadError) as caught:
        await save(transport, f"{host.link}?secret=1", tmp_path / "a")

    assert type(caught.value) is DownloadError
    assert host.link in caught.value.what
    assert "secret" not in str(caught.value)
    assert 8 <= len(host.heard) <= 16  # aiohttp itself asks again after a disconnect; the first attempt may bring bytes
    assert names(tmp_path) == []


REFUSED = {
    "no byte": says(200, Content_Type="video/mp4"),
    "JSON": says(200, b'{"error": {"message": "link not ready"}}', Content_Type="application/json"),
    "JSON as a video": says(200, b'\n [{"error": 1}]', Content_Type="video/mp4"),
    "words": says(200, b"Too many connections", Content_Type="text/plain"),
    "words as bytes": says(200, "请求过多请稍后再试".encode("gbk"), Content_Type="application/octet-stream"),
    "words as a video": says(200, "Слишком много".encode(), Content_Type="video/mp4"),
    "UTF-16": says(200, "Zu viele Verbindungen".encode("utf-16"), Content_Type="video/mp4"),
    "XML": says(200, b"<?xml version='1.0'?><Error/>", Content_Type="application/xml"),
    "XML as a video": says(200, b"\xef\xbb\xbf<Error><Code>SlowDown</Code></Error>", Content_Type="video/mp4"),
    "a page": says(200, b"<html>", Content_Type="text/html; charset=utf-8"),
    "XHTML": says(200, b"<html>", Content_Type="application/xhtml+xml"),
    "a page without a type": says(200, b"<!DOCTYPE html><title>Sign in</title>"),
    "a page with a stray byte": says(200, b"<html>\x0f</html>", Content_Type="video/mp4"),
    "a gzipped page": says(200, gzip.compress(b"<html>"), Content_Type="video/mp4"),
    "an archive": says(200, b"PK\x03\x04" + bytes(100), Content_Type="video/mp4"),
    "a document": says(200, b"%PDF-1.7\n\0\1\2", Content_Type="application/pdf"),
    "zeros": says(200, bytes(5000), Content_Type="video/mp4"),
    "bytes of no type": says(200, b"\1\2\3" * 500, Content_Type="application/octet-stream"),
    "bytes of another type": says(200, b"\1\2\3" * 500, Content_Type="application/wasm"),
}


@pytest.mark.parametrize("answer", REFUSED.values(), ids=REFUSED)
async def test_what_is_no_video_is_never_a_file(
    answer: Reply, host: Host, transport: Transport, tmp_path: Path
) -> None:
    """A host may be better next time; in the end it is an error."""
    host.answers = [answer, gives_video]
    await save(transport, host.link, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == VIDEO

    host.answers = [answer]
    with pytest.raises(DownloadError) as caught:
        await save(transport, host.link, tmp_path / "b")
    assert type(caught.value) is DownloadError
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("answer", [REFUSED["JSON"], REFUSED["words as a video"], REFUSED["no byte"]])
async def test_a_refusal_does_not_undo_what_has_come(
    answer: Reply, host: Host, transport: Transport, tmp_path: Path
) -> None:
    """The rest is fetched when the host is itself again."""
    store = Store(cuts=[300_000])
    host.answers = [store, answer, answer, store]

    await save(transport, host.link, tmp_path / "a")

    assert store.sent == len(VIDEO)


@pytest.mark.parametrize(
    "kind", ["application/octet-stream", "text/plain", "text/html", "application/json", "image/png", ""]
)
async def test_a_video_is_one_whatever_its_host_calls_it(
    kind: str, host: Host, transport: Transport, tmp_path: Path
) -> None:
    """Its bytes tell."""
    host.answers = [says(200, VIDEO, Content_Type=kind)]

    await save(transport, host.link, tmp_path / "a")

    assert len(host.heard) == 1


async def test_a_video_of_a_format_that_nobody_knows_is_one_where_its_host_says_so(
    host: Host, transport: Transport, tmp_path: Path
) -> None:
    """Not every format is known here."""
    host.answers = [says(200, b"\1\2\3" * 500, Content_Type="Video/Unheard-Of; a=b")]

    await save(transport, host.link, tmp_path / "a")

    assert len(host.heard) == 1


@pytest.mark.parametrize(
    ("answer", "kind", "tells"),
    [
        (says(400), DownloadError, "cannot be fetched"),
        (says(206, b"part"), DownloadError, "cannot be fetched"),
        (says(302), DownloadError, "cannot be fetched"),
        (says(304, Location="/there"), DownloadError, "cannot be fetched"),
        (
            says(302, Location="ftp://example.com/a?secret"),
            DownloadError,
            r"'ftp://example.com/a' is no http\(s\) link",
        ),
        (says(302, Location="http://[broken"), DownloadError, r"is no http\(s\) link"),
        (says(302, Location="file:///etc/passwd"), DownloadError, r"is no http\(s\) link"),
        (says(403), ResultExpired, "is gone"),
        (says(404), ResultExpired, "is gone"),
        (says(410), ResultExpired, "is gone"),
    ],
)
async def test_what_would_be_the_same_the_next_time_is_refused_at_once(
    answer: Reply, kind: type[DownloadError], tells: str, *, host: Host, transport: Transport, tmp_path: Path
) -> None:
    """And leaves nothing behind."""
    host.answers = [answer]

    with pytest.raises(DownloadError, match=tells) as caught:
        await save(transport, host.link, tmp_path / "a")

    assert type(caught.value) is kind
    assert len(host.heard) == 1
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "link",
    [
        *("", "video.mp4", "ftp://example.com/a.mp4", "file:///etc/passwd", "http://", "http://[a", "http://a:99999/b"),
        *("http://a..b/", "http://a b/", "http://\ud800/"),
    ],
)
async def test_what_is_no_web_link_is_refused(link: str, transport: Transport, tmp_path: Path) -> None:
    """A server must not make us read a local file."""
    with pytest.raises(DownloadError):
        await save(transport, link, tmp_path / "a")

    assert names(tmp_path) == []


# --- Progress ------------------------------------------------------------------------------------------------------


async def test_progress_never_goes_back_and_ends_with_all(host: Host, transport: Transport, tmp_path: Path) -> None:
    """It counts what is on the disk, from what an earlier save left."""
    path, store = tmp_path / "a", Store(cuts=[1000])
    host.answers = [store, says(400), store]
    with pytest.raises(DownloadError):
        await save(transport, host.link, path)
    seen: list[tuple[int, int | None]] = []

    part = Part(path=path, source="task-1#0")
    await download(transport, host.link, part, progress=lambda done, total: seen.append((done, total)))

    assert seen[0] == (1000, len(VIDEO))
    assert seen[-1] == (len(VIDEO), len(VIDEO))
    assert seen == sorted(seen)


@pytest.mark.parametrize("error", [AssertionError("the bar broke"), ValueError("the bar broke"), KeyError("bar")])
async def test_a_progress_that_breaks_ends_the_save_and_keeps_what_has_come(
    error: Exception, host: Host, transport: Transport, tmp_path: Path
) -> None:
    """It is the caller's own error."""
    host.answers = [Store()]
    part = Part(path=tmp_path / "a", source="task-1#0")

    def breaks(done: int, _: int | None) -> None:
        if done:
            raise error

    with pytest.raises(type(error)) as caught:
        await download(transport, host.link, part, progress=breaks)

    assert caught.value is error
    assert names(tmp_path) == names_of(tmp_path / "a")


# --- Bounds --------------------------------------------------------------------------------------------------------


async def test_no_more_than_eight_videos_come_down_at_once(fox: Emulator, client: Client, tmp_path: Path) -> None:
    """However many are saved, and whatever polls are under way."""
    videos = await asyncio.gather(*(client.generate(SHOT) for _ in range(20)))
    fox.fail_next("result", Fault("slow"), times=20)

    await asyncio.gather(*(video.save_all(tmp_path) for video in videos))

    assert fox.ledger.max_transfers == 8
    assert len(names(tmp_path)) == 20


def test_the_bound_holds_in_each_loop_anew(transport_kept: Transport, tmp_path: Path) -> None:
    """A video may be saved in another loop than that of its client."""

    async def save_many(folder: Path) -> None:
        async with Host().running() as host:
            await asyncio.gather(*(save(transport_kept, host.link, folder / str(n)) for n in range(20)))

    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        run(save_many(tmp_path / folder))
        assert len(names(tmp_path / folder)) == 20


@pytest.fixture
def transport_kept() -> Transport:
    """Connections of a client that is closed already."""
    kept = Transport("http://fox.invalid", "sk-1", 60.0, 15.0)
    run(kept.close())
    return kept


async def test_the_error_says_nothing_of_a_proxy(tmp_path: Path) -> None:
    """Its URL may have a password."""
    async with Host().running() as proxy:
        proxy.answers = [says(502)]
        url = proxy.url.replace("http://", "http://user:hunter2@")
        transport = Transport("http://fox.invalid", "sk-1", 60.0, 15.0, proxy=url)
        with pytest.raises(FoxError) as caught:
            await download(transport, "https://videos.invalid/a.mp4", Part(path=tmp_path / "a", source="t#0"))
        await transport.close()

    assert "hunter2" not in repr(caught.value) + caught.value.what


async def test_a_length_that_the_task_tells_is_required(host: Host, transport: Transport, tmp_path: Path) -> None:
    """Whether or not the host tells one, and however it is sent."""
    short = mp4(b"not the whole of it")
    for wrong in (
        says(200, short, Content_Type="video/mp4"),
        begins(short, then="closes"),
        says(200, gzip.compress(short), Content_Encoding="gzip", Content_Type="video/mp4"),
    ):
        host.heard.clear()
        host.answers = [wrong, gives_video]
        part = Part(path=tmp_path / "a", source="t#0", overwrite=True, wanted=len(VIDEO))

        saved = await download(transport, host.link, part)

        assert (saved.size, len(host.heard)) == (len(VIDEO), 2)
