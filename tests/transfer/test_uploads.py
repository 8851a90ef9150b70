"""Local media on their way up: once, in constant memory, and as they are."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from receiving import Service, serving

from foxvideo import (
    AuthenticationError,
    Client,
    ClientClosed,
    FoxError,
    GrokImageToVideo,
    GrokReferenceToVideo,
    GrokTextToVideo,
    Request,
    ServiceUnavailable,
    UploadError,
)
from foxvideo._transfer.content import Content, digest
from foxvideo._transfer.upload import Uploads, _Sent
from foxvideo.emulator import Emulator, Fault

DAY = 24 * 3600.0
PICTURE = b"\x89PNG\r\n\x1a\n a fox"
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
    "fault",
    [Fault("reset"), Fault("error", status=503), Fault("rate_limit"), Fault("html", status=403), Fault("empty")],
    ids=lambda fault: fault.how,
)
async def test_an_upload_that_stays_broken_ends_the_task_before_its_submit(
    fault: Fault, client: Client, fox: Emulator
) -> None:
    """As a wait for a video does: after five minutes."""
    fox.fail_next("upload", fault, times=1000)
    began = _now()

    with pytest.raises(ServiceUnavailable, match=r"\d+ uploads in a row failed within \d+ s") as caught:
        await client.generate(_from(PICTURE))

    assert 300 <= _now() - began < 900
    assert caught.value.submitted == "no"
    assert fox.ledger.submitted == 0


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
    assert says in f"{caught.value}; {caught.value.hint}"
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
    assert caught.value.submitted == "no"
    assert (fox.ledger.uploaded, fox.ledger.submitted) == (0, 0)


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


async def test_a_full_storage_is_told_as_such(client: Client, fox: Emulator) -> None:
    """Where the service may not drop the oldest."""
    fox.fail_next("upload", Fault("error", status=403))

    with pytest.raises(UploadError, match="HTTP 403") as caught:
        await client.upload(PICTURE)

    assert caught.value.submitted == "no"


@pytest.mark.parametrize("limit", ["body_limit", "file_limit"], ids=["Cloudflare", "gateway"])
@pytest.mark.parametrize("size", [1001, 5_000_000])
async def test_a_file_that_the_service_finds_too_large_is_not_sent_again(limit: str, size: int) -> None:
    """Whoever says so, and also where it says so before it has all of it."""
    fox = Emulator(render=False)
    setattr(fox, limit, 1000)
    async with fox, Client(fox.api_key, fox.base_url) as client:
        with pytest.raises(UploadError, match="too large"):
            await client.upload(bytes(size))

        assert fox.ledger.uploaded == 0


# --- Uploads: as they are ------------------------------------------------------------------------------------------


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """Run a service of one route."""
    async with serving() as made:
        yield made


BIG = bytes(range(256)) * 4000 * 16  # 16 MB: more than sockets hold


@pytest.mark.parametrize("content", [b"", b"a", BIG[: (1 << 18) - 1], BIG[: 1 << 18], BIG[: (1 << 18) + 1], BIG])
@pytest.mark.parametrize("as_path", [False, True], ids=["bytes", "path"])
async def test_an_upload_announces_its_length_and_sends_what_is_there(
    as_path: bool, content: bytes, service: Service, tmp_path: Path
) -> None:
    """Piece by piece, and no more than that."""
    path = tmp_path / "cat.png"
    path.write_bytes(content)

    await Uploads(service.transport).link(path if as_path else content)

    head, _, rest = service.taken[0].partition(b"\r\n\r\n")
    assert rest.startswith(content)
    assert rest[len(content) :].startswith(b"\r\n--")
    assert b'name="file"; filename="' in head
    assert service.lengths == [len(service.taken[0])]


@pytest.mark.parametrize("change", ["shorter", "longer", "other", "gone"])
async def test_a_file_that_changes_while_it_is_sent_is_noticed(change: str, service: Service, tmp_path: Path) -> None:
    """What the service has then is neither the old file nor the new one, so it is not used."""
    path, uploads = tmp_path / "cat.png", Uploads(service.transport)
    path.write_bytes(BIG)

    async def changes(size: int) -> None:
        if size > 1000 and service.pause:
            service.pause = None
            match change:
                case "shorter":
                    path.write_bytes(BIG[:-1])
                case "longer":
                    path.write_bytes(BIG + b"x")
                case "other":
                    path.write_bytes(BIG[:-1] + b"x")
                case "gone":
                    path.unlink()
            await asyncio.sleep(0.1)

    service.pause = changes
    with pytest.raises(UploadError, match="could not read" if change == "gone" else "changed while it was uploaded"):
        await uploads.link(path)

    path.write_bytes(b"whole")
    sent = len(service.taken)
    await uploads.link(path)
    assert len(service.taken) == sent + 1


async def test_an_upload_that_stands_still_is_sent_again(service: Service) -> None:
    """After a minute in which nothing of it could be sent."""
    began = _now()

    async def stands(size: int) -> None:
        if size > 1000 and service.pause:
            service.pause = None
            await asyncio.sleep(3600)

    service.pause = stands

    await Uploads(service.transport).link(BIG)

    assert 60 <= _now() - began < 70
    assert len(service.taken) == 1


# --- Uploads: every wait ends --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("retry_after", "least"), [("0", 0.5), ("0.01", 0.5), ("40", 40.0)])
async def test_an_upload_is_never_repeated_at_once(
    retry_after: str, least: float, client: Client, fox: Emulator
) -> None:
    """Whatever the service says; it may ask for more than that."""
    fox.fail_next("upload", Fault("rate_limit", retry_after=retry_after), times=5)
    began = _now()

    await client.upload(PICTURE)

    assert _now() - began >= 5 * least


async def test_a_reply_that_drips_is_a_lost_one(client: Client, fox: Emulator) -> None:
    """Though each byte of it comes in time."""
    fox.fail_next("upload", Fault("drip", seconds=10.0))
    began = _now()

    await client.upload(PICTURE)

    assert 300 < _now() - began < 400
    assert fox.ledger.uploaded == 2


async def test_replies_that_only_drip_come_to_an_end(client: Client, fox: Emulator) -> None:
    """Within two hours."""
    fox.fail_next("upload", Fault("drip", seconds=50.0), times=1000)
    began = _now()

    with pytest.raises(ServiceUnavailable):
        await client.upload(PICTURE)

    assert _now() - began < 2 * 3600


@pytest.mark.parametrize(
    "url",
    ["", None, 7, "kite.png", "ftp://a/b.png", "file:///etc/passwd", "javascript:alert(1)", "http://", ["http://a/"]],
)
async def test_a_reply_is_believed_only_if_it_is_a_link(url: object, service: Service) -> None:
    """Else the file is sent again."""
    service.reply = lambda number: web.json_response({"url": url if number == 1 else "https://files.example/2"})

    assert await Uploads(service.transport).link(PICTURE) == "https://files.example/2"


# --- Uploads: who shares one ---------------------------------------------------------------------------------------


async def test_a_file_does_not_fail_because_another_of_the_same_content_changed(
    service: Service, tmp_path: Path
) -> None:
    """The one that did is told."""
    first, second, uploads = tmp_path / "a.png", tmp_path / "b.png", Uploads(service.transport)
    for path in (first, second):
        path.write_bytes(BIG)
    waits: list[asyncio.Task[str]] = []

    async def changes(size: int) -> None:
        if size > 1000 and service.pause:
            service.pause = None
            waits.append(asyncio.create_task(uploads.link(second)))
            await asyncio.sleep(5)
            first.write_bytes(b"another")

    service.pause = changes
    with pytest.raises(UploadError):
        await uploads.link(first)

    assert await waits[0] == f"https://files.example/{len(service.taken)}"


async def test_each_who_waits_for_an_upload_gets_an_error_of_its_own(client: Client, fox: Emulator) -> None:
    """It will name its own task."""
    fox.fail_next("upload", Fault("error", status=413), times=2)

    ends = await asyncio.gather(*(client.upload(PICTURE) for _ in range(2)), return_exceptions=True)

    assert [type(end) for end in ends] == [UploadError] * 2
    assert ends[0] is not ends[1]
    assert str(ends[0]) == str(ends[1])


async def test_a_file_that_is_not_the_expected_one_is_not_sent(service: Service) -> None:
    """The digest that named it is the one that goes up."""
    uploads = Uploads(service.transport)
    assert await uploads.link(PICTURE, digest(PICTURE))

    with pytest.raises(UploadError, match="changed"):
        await uploads.link(PICTURE, digest(b"another"))


async def test_nothing_is_uploaded_for_a_client_that_is_closed(service: Service) -> None:
    """However late the file was read."""
    uploads = Uploads(service.transport)
    await uploads.close()

    with pytest.raises(ClientClosed, match="before a file was uploaded"):
        await uploads.link(PICTURE)

    assert service.taken == []


def test_media_are_no_text(tmp_path: Path) -> None:
    """Whoever wants to show a body has to do without."""
    with pytest.raises(TypeError):
        _Sent(Content.of(PICTURE)).decode()
