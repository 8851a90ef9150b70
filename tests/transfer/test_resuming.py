"""Downloads that were cut, and what lies at their target: nothing is fetched twice, and nothing is lost."""

import asyncio
import errno
import hashlib
import os
from pathlib import Path

import attrs
import pytest
from aiohttp import web
from hosting import OTHER_VIDEO, VIDEO, Host, Store, begins, gives_video, mp4, names, names_of, save, says

from foxvideo import Client, DownloadError, FoxError, GrokTextToVideo
from foxvideo._http import Transport
from foxvideo._transfer.download import save as download
from foxvideo._transfer.part import Part
from foxvideo.emulator import Emulator, Fault
from foxvideo.emulator.videos import stored_video
from foxvideo.media import SavedFile

SHOT = GrokTextToVideo(prompt="A fox trots through snow")
DATE, LATER = "Mon, 21 Sep 2026 14:13:21 GMT", "Tue, 22 Sep 2026 00:00:00 GMT"


# --- Going on with what has come -----------------------------------------------------------------------------------


async def test_a_video_that_is_cut_goes_on_where_it_was(host: Host, transport: Transport, tmp_path: Path) -> None:
    """However often, as long as something new comes; no byte is fetched twice."""
    store = Store(cuts=[10_000] * 50)
    host.answers = [store]

    saved = await save(transport, host.link, tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == VIDEO
    assert saved.sha256 == hashlib.sha256(VIDEO).hexdigest()
    assert store.sent == len(VIDEO)
    assert store.asked[:3] == [(None, None), ("bytes=10000-", '"v1"'), ("bytes=20000-", '"v1"')]


@pytest.mark.parametrize("coding", ["", "identity", "aws-chunked", "Identity", "aws-chunked, identity"])
async def test_a_coding_that_changes_no_byte_is_none(
    coding: str, host: Host, transport: Transport, tmp_path: Path
) -> None:
    """Lengths, tags and ranges hold as without it."""
    store = Store(coding=coding, cuts=[100_000] * 3)
    host.answers = [store]

    await save(transport, host.link, tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == VIDEO
    assert store.sent == len(VIDEO)


async def test_a_video_that_brings_nothing_new_eight_times_in_a_row_is_given_up_and_kept(
    host: Host, transport: Transport, tmp_path: Path
) -> None:
    """What has come waits for the next save."""
    path, store = tmp_path / "a", Store(cuts=[1000, *[0] * 8])
    host.answers = [store]

    with pytest.raises(DownloadError):
        await save(transport, host.link, path)

    assert names(tmp_path) == names_of(path)
    assert len(store.asked) == 9
    await save(transport, host.link, path)
    assert path.read_bytes() == VIDEO
    assert store.asked[9:] == [("bytes=1000-", '"v1"')]
    assert store.sent == len(VIDEO)


async def test_a_cancelled_save_is_gone_on_with_by_the_next(host: Host, transport: Transport, tmp_path: Path) -> None:
    """Also through another link: what counts is the task."""
    path, store = tmp_path / "fox.mp4", Store()
    host.answers = [begins(VIDEO[:300_000], Content_Length=str(len(VIDEO)), ETag='"v1"'), store]
    saving = asyncio.create_task(save(transport, host.link, path))
    await asyncio.sleep(30)
    saving.cancel()
    await asyncio.wait({saving})
    assert saving.cancelled()
    assert names(tmp_path) == names_of(path)

    saved = await save(transport, f"{host.url}/another/link", path)

    assert store.asked == [("bytes=300000-", '"v1"')]
    assert saved.sha256 == hashlib.sha256(VIDEO).hexdigest()
    assert names(tmp_path) == [path.name]


async def test_a_cancelled_download_that_could_not_go_on_leaves_nothing_behind(
    host: Host, transport: Transport, tmp_path: Path
) -> None:
    """Neither the video nor its part: the host has no tag for it."""
    host.answers = [begins(VIDEO[:1000], Content_Length=str(len(VIDEO)))]
    saving = asyncio.create_task(save(transport, host.link, tmp_path / "a"))
    await asyncio.sleep(1)
    assert len(names(tmp_path)) == 2

    saving.cancel()
    await asyncio.wait({saving})

    assert saving.cancelled()
    assert names(tmp_path) == []


async def _cut_save(transport: Transport, host: Host, path: Path, store: Store) -> None:
    """Leave the first thousand bytes of a video."""
    host.answers = [store, says(400)]
    store.cuts = [1000]
    with pytest.raises(DownloadError):
        await save(transport, host.link, path)
    assert path.with_name(f".{path.name}.part").stat().st_size == 1000
    host.answers = [store]
    host.heard.clear()
    store.asked.clear()


CHANGES: dict[str, tuple[Store, dict[str, object]]] = {
    "tag": (Store(), {"tag": '"v2"'}),
    "weak tag": (Store(tag='W/"v1"', date=DATE), {"tag": 'W/"v2"'}),
    "date": (Store(tag=None, date=DATE), {"date": LATER}),
    "date beside an equal tag": (Store(date=DATE), {"date": LATER}),
    "length": (Store(), {"video": mp4(b"longer" + VIDEO)}),
    "task": (Store(), {}),
    "notes": (Store(), {}),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_another_video_starts_over(change: str, host: Host, transport: Transport, tmp_path: Path) -> None:
    """No video is put together from two."""
    path, (store, changes) = tmp_path / "a", CHANGES[change]
    store = attrs.evolve(store)
    await _cut_save(transport, host, path, store)
    for name, value in ({"video": OTHER_VIDEO} | changes).items():
        setattr(store, name, value)
    if change == "notes":
        (tmp_path / ".a.part.json").write_text('{"name": "a", "facts": {"source": "task-1#0", "etag": "x\\r\\ny"}}')
    task = "task-2#0" if change == "task" else "task-1#0"

    saved = await download(transport, host.link, Part(path=path, source=task))

    assert path.read_bytes() == store.video
    assert saved.sha256 == hashlib.sha256(store.video).hexdigest()
    assert names(tmp_path) == ["a"]


async def test_a_date_serves_where_there_is_no_strong_tag(host: Host, transport: Transport, tmp_path: Path) -> None:
    """A weak tag promises no equal bytes."""
    path, store = tmp_path / "a", Store(tag='W/"v1"', date=DATE)
    await _cut_save(transport, host, path, store)

    await save(transport, host.link, path)

    assert store.asked == [("bytes=1000-", DATE)]
    assert store.sent == len(VIDEO)


@pytest.mark.parametrize("changed", [{"ETag": '"v2"'}, {"ETag": '"v1"', "Last-Modified": LATER}])
async def test_a_host_that_ignores_if_range_is_found_out(
    changed: dict[str, str], host: Host, transport: Transport, tmp_path: Path
) -> None:
    """Its validators tell that the part is one of another video."""
    path, store = tmp_path / "a", Store(date=DATE)
    await _cut_save(transport, host, path, store)
    more = changed | {"Content-Range": f"bytes 1000-{len(VIDEO) - 1}/{len(VIDEO)}"}
    host.answers = [says(206, OTHER_VIDEO[1000:], **more), store]

    await save(transport, host.link, path)

    assert path.read_bytes() == VIDEO
    assert store.asked == [(None, None)]


async def test_a_host_that_knows_no_ranges_sends_all_of_it_again(
    host: Host, transport: Transport, tmp_path: Path
) -> None:
    """A 200 begins with the first byte."""
    path, store = tmp_path / "a", Store()
    await _cut_save(transport, host, path, store)
    host.answers = [gives_video]

    await save(transport, host.link, path)

    assert path.read_bytes() == VIDEO
    assert host.heard[0].headers["Range"] == "bytes=1000-"


async def test_a_host_may_send_the_rest_in_pieces(host: Host, transport: Transport, tmp_path: Path) -> None:
    """Each is asked for anew; a piece of nothing is none."""
    path, store = tmp_path / "a", Store()
    await _cut_save(transport, host, path, store)
    piece = says(206, VIDEO[1000:3000], ETag='"v1"', Content_Range=f"bytes 1000-2999/{len(VIDEO)}")
    nothing = says(206, b"", ETag='"v1"', Content_Range=f"bytes 3000-2999/{len(VIDEO)}")
    host.answers = [piece, nothing, store]

    await save(transport, host.link, path)

    assert path.read_bytes() == VIDEO
    assert store.asked == [("bytes=3000-", '"v1"')]


async def test_a_host_that_sends_too_much_is_not_believed(host: Host, transport: Transport, tmp_path: Path) -> None:
    """The video is begun anew."""
    path, store = tmp_path / "a", Store()
    await _cut_save(transport, host, path, store)
    host.answers = [says(206, VIDEO, ETag='"v1"', Content_Range=f"bytes 1000-{len(VIDEO) - 1}/{len(VIDEO)}"), store]

    await save(transport, host.link, path)

    assert path.read_bytes() == VIDEO
    assert store.asked == [(None, None)]


async def test_a_page_in_the_place_of_the_rest_is_none_of_it(host: Host, transport: Transport, tmp_path: Path) -> None:
    """What has come is kept."""
    path, store = tmp_path / "a", Store()
    await _cut_save(transport, host, path, store)
    page = b"<html>".ljust(len(VIDEO) - 1000)
    whole = {"Content_Type": "text/html", "Content_Range": f"bytes 1000-{len(VIDEO) - 1}/{len(VIDEO)}"}
    host.answers = [says(206, page, **whole), store]

    await save(transport, host.link, path)

    assert path.read_bytes() == VIDEO
    assert store.sent == len(VIDEO)


async def test_a_video_of_unknown_length_goes_on_too(host: Host, transport: Transport, tmp_path: Path) -> None:
    """The rest tells how long it is, or that nothing is missing."""
    path, store = tmp_path / "a", Store()
    for upto in (5000, len(VIDEO)):
        host.heard.clear()
        host.answers = [begins(VIDEO[:upto], then="cuts", ETag='"v1"'), store]
        progress: list[tuple[int, int | None]] = []

        part = Part(path=path, source="task-1#0", overwrite=True)
        await download(transport, host.link, part, progress=lambda done, total: progress.append((done, total)))  # noqa: B023

        assert path.read_bytes() == VIDEO
        assert progress[0] == (0, None)
        assert progress[-1] == (len(VIDEO), len(VIDEO))
    assert store.asked == [("bytes=5000-", '"v1"'), (f"bytes={len(VIDEO)}-", '"v1"')]


async def test_a_video_whose_end_is_missing_though_its_host_says_that_it_is_whole_goes_on(
    host: Host, transport: Transport, tmp_path: Path
) -> None:
    """The connection was closed as if that were the end, and no length was told: its structure tells."""
    path, store = tmp_path / "a", Store()
    host.answers = [begins(VIDEO[:5000], then="closes", ETag='"v1"'), store]

    await save(transport, host.link, path)

    assert path.read_bytes() == VIDEO
    assert store.asked == [("bytes=5000-", '"v1"')]


@pytest.mark.parametrize("fault", [Fault("half_body", at=10_000), Fault("stall", at=10_000), Fault("slow")])
@pytest.mark.parametrize("ranges", [True, False])
async def test_a_video_comes_whole_from_a_host_that_breaks(ranges: bool, fault: Fault, tmp_path: Path) -> None:
    """Whether or not that host knows ranges."""
    async with Emulator(video=VIDEO, seconds=1.0, ranges=ranges) as fox, Client(fox.api_key, fox.base_url) as client:
        video = await client.generate(SHOT)
        fox.fail_next("result", fault, times=3)

        saved = await video.save(tmp_path / "fox.mp4")

    assert saved.sha256 == hashlib.sha256(VIDEO).hexdigest()


BENT = ["trailing", "short_length", "false_gzip", "cut_gzip", "cut_chunk", "garbage", "empty", "html"]


@pytest.mark.parametrize("how", BENT)
async def test_a_video_comes_whole_from_a_host_that_bends_its_answers(
    how: str, client: Client, fox: Emulator, tmp_path: Path
) -> None:
    """A real one, whose structure is that of its format."""
    video = await client.generate(SHOT)
    fox.fail_next("result", Fault(how, status=200), times=3)  # type: ignore[arg-type]

    saved = await video.save(tmp_path / "fox.mp4")

    assert saved.path.read_bytes() == stored_video()


# --- What lies at the target ---------------------------------------------------------------------------------------


async def test_a_video_appears_when_it_is_whole(host: Host, transport: Transport, tmp_path: Path) -> None:
    """Until then there is a hidden part, in the same folder."""
    goes_on = asyncio.Event()

    async def waits(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(VIDEO)
        await goes_on.wait()
        return response

    host.answers = [waits]
    saving = asyncio.create_task(save(transport, host.link, tmp_path / "fox.mp4"))
    await asyncio.sleep(1)

    assert names(tmp_path) == [".fox.mp4.part", ".fox.mp4.part.json"]

    goes_on.set()
    await saving
    assert names(tmp_path) == ["fox.mp4"]


FOREIGN = {
    "short": b"mine",
    "empty": b"",
    "longer": VIDEO + b"mine",
    "of the same length": OTHER_VIDEO,
    "the beginning of it": VIDEO[:1000],
}


@pytest.mark.parametrize("mine", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("when", ["before", "meanwhile", "at the end"])
async def test_another_file_is_never_touched(
    when: str, mine: bytes, host: Host, transport: Transport, tmp_path: Path
) -> None:
    """Whenever it appears; the hidden part is kept for whoever wants to replace it."""
    path, store = tmp_path / "a", Store()

    async def meanwhile(request: web.Request) -> web.StreamResponse:
        path.write_bytes(mine)
        return await store(request)

    def last(done: int, total: int | None) -> None:
        if when == "at the end" and done == total:
            path.write_bytes(mine)

    if when == "before":
        path.write_bytes(mine)
    host.answers = [meanwhile if when == "meanwhile" else store]

    with pytest.raises(FileExistsError, match="overwrite=True"):
        await download(transport, host.link, Part(path=path, source="task-1#0"), progress=last)
    assert path.read_bytes() == mine

    await save(transport, host.link, path, overwrite=True)
    assert path.read_bytes() == VIDEO
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("mine", FOREIGN.values(), ids=FOREIGN)
async def test_another_file_is_not_touched_by_a_video_of_unknown_length(
    mine: bytes, host: Host, transport: Transport, tmp_path: Path
) -> None:
    """Which is only told from it when it is whole."""
    (tmp_path / "a").write_bytes(mine)
    host.answers = [begins(VIDEO, then="closes")]

    with pytest.raises(FileExistsError):
        await save(transport, host.link, tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == mine
    assert names(tmp_path) == ["a"]


async def test_the_same_video_counts_as_saved(host: Host, transport: Transport, tmp_path: Path) -> None:
    """It is compared with what its host has; the file itself stays, and nothing lies beside it."""
    path = tmp_path / "a"
    path.write_bytes(VIDEO)
    before = path.stat()

    saved = await save(transport, host.link, path)

    assert saved == SavedFile(path, len(VIDEO), hashlib.sha256(VIDEO).hexdigest())
    assert os.path.samestat(before, path.stat())
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("told", [True, False], ids=["of a length that is told", "of a length that is not told"])
async def test_a_file_of_another_length_is_not_compared(
    told: bool, host: Host, transport: Transport, tmp_path: Path
) -> None:
    """What the host says of the video is enough; what the task says needs no host."""
    path = tmp_path / "a"
    path.write_bytes(b"mine")
    host.answers = [begins(VIDEO[:1000], Content_Length=str(len(VIDEO)))]  # and hangs

    with pytest.raises(FileExistsError):
        await download(transport, host.link, Part(path=path, source="t#0", wanted=len(VIDEO) if told else None))

    assert len(host.heard) == (0 if told else 1)


async def test_what_was_left_of_this_very_video_is_replaced(host: Host, transport: Transport, tmp_path: Path) -> None:
    """Where the name is its own: a crash, or a full disk, left the beginning of it."""
    for left in (b"", VIDEO[:1000]):
        (tmp_path / "a").write_bytes(left)
        await download(transport, host.link, Part(path=tmp_path / "a", source="task-1#0", mends=True))
        assert (tmp_path / "a").read_bytes() == VIDEO

    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        await download(transport, host.link, Part(path=tmp_path / "a", source="task-1#0", mends=True))
    assert (tmp_path / "a").read_bytes() == b"mine"


async def test_two_who_save_one_target_do_not_mix(host: Host, transport: Transport, tmp_path: Path) -> None:
    """The second waits for the first, and finds the video there."""
    path = tmp_path / "a"

    async def slowly(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(10)
        return await gives_video(request)

    host.answers = [slowly]

    first, second = await asyncio.gather(*(save(transport, host.link, path) for _ in range(2)))

    assert first == second
    assert names(tmp_path) == ["a"]


async def test_a_part_that_is_whole_already_is_not_asked_for(host: Host, transport: Transport, tmp_path: Path) -> None:
    """It only lacks its name."""
    path = tmp_path / "a"

    def stops(done: int, total: int | None) -> None:
        if done == total:
            raise KeyboardInterrupt

    host.answers = [Store()]
    with pytest.raises(KeyboardInterrupt):
        await download(transport, host.link, Part(path=path, source="task-1#0"), progress=stops)
    assert names(tmp_path) == names_of(path)

    saved = await save(transport, host.link, path)

    assert path.read_bytes() == VIDEO
    assert saved.sha256 == hashlib.sha256(VIDEO).hexdigest()
    assert len(host.heard) == 1
    assert names(tmp_path) == ["a"]


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
    assert names(tmp_path) == ["folder"]


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

    assert saved.sha256 == hashlib.sha256(VIDEO).hexdigest()
    assert 0 < int(str(store.asked[1][0]).removeprefix("bytes=").removesuffix("-")) <= 500_000
