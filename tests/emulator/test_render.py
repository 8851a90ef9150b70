"""Videos: drawn by PyAV, shaped as asked, and served by the emulator."""

import asyncio
import io
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from fractions import Fraction

import aiohttp
import attrs
import av
import pytest

from foxvideo.emulator import Emulator, videos
from foxvideo.emulator.render import Stopped, video
from foxvideo.emulator.scenes import Scene

SUBMIT = "/v1/videos/generations"
TEXT = {
    "model": "grok-imagine-text-to-video",
    "prompt": "A kite",
    "duration": 1,
    "aspect_ratio": "1:1",
    "resolution": "480p",
}


@attrs.frozen
class Seen:
    """What a video turned out to be."""

    width: int
    height: int
    frames: int
    seconds: float
    first: bytes = attrs.field(repr=False, eq=False)
    """Its first frame, 8x8 pixels of grey."""
    last: bytes = attrs.field(repr=False, eq=False)


def seen(content: bytes) -> Seen:
    """Decode a video."""
    with av.open(io.BytesIO(content), mode="r") as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == Fraction(24)
        frames = list(container.decode(video=0))
        assert container.duration is not None
        small = [frame.reformat(width=8, height=8, format="gray") for frame in (frames[0], frames[-1])]
        return Seen(
            frames[0].width,
            frames[0].height,
            len(frames),
            container.duration / av.time_base,
            *(bytes(frame.planes[0])[:8] for frame in small),
        )


def brightness(row: bytes) -> float:
    """Return the mean grey of a row, from 0 to 255."""
    return sum(row) / len(row)


def picture(width: int, height: int, colour: str = "white") -> bytes:
    """Return a PNG of one colour."""
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add("color", f"c={colour}:s={width}x{height}:d=1:r=1"),
        graph.add("format", "rgb24"),
        graph.add("buffersink"),
    ).configure()
    frame = graph.pull()
    assert isinstance(frame, av.VideoFrame)
    file = io.BytesIO()
    with av.open(file, mode="w", format="image2pipe") as container:
        stream = container.add_stream("png", 1)
        stream.width, stream.height, stream.pix_fmt = width, height, "rgb24"
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def drawn(scene: Scene, source: bytes | None = None) -> bytes:
    """Draw a video to its end."""
    return video(scene, source, lambda: False)


def fade(seconds: float = 1.0) -> bytes:
    """Return a video of 64x48 pixels that goes from black to white."""
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add("color", f"c=white:s=64x48:d={seconds}:r=24"),
        graph.add("fade", f"t=in:st=0:d={seconds}"),
        graph.add("format", "yuv420p"),
        graph.add("buffersink"),
    ).configure()
    file = io.BytesIO()
    with av.open(file, mode="w", format="mp4") as container:
        stream = container.add_stream("libx264", 24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(round(seconds * 24)):
            frame = graph.pull()
            assert isinstance(frame, av.VideoFrame)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


@pytest.mark.parametrize(
    ("scene", "expected"),
    [
        (Scene(prompt="kite", aspect="16:9", resolution="480p", seconds=1.0), (854, 480, 24, 1.0)),
        (Scene(prompt="kite", aspect="9:16", resolution="480p", seconds=0.5), (480, 854, 12, 0.5)),
        (Scene(prompt="", aspect="1:1", resolution="480p", seconds=0.25), (480, 480, 6, 0.25)),
        (Scene(prompt="'\n,;%[", aspect="1:1", resolution="720p", seconds=0.25), (720, 720, 6, 0.25)),
    ],
)
def test_a_video_is_exactly_as_large_and_long_as_asked(scene: Scene, expected: tuple[int, int, int, float]) -> None:
    """Whatever the prompt says."""
    got = seen(drawn(scene))

    assert attrs.astuple(got)[:4] == expected


def test_a_video_starts_playing_before_it_is_whole() -> None:
    """The index is in front of the frames."""
    content = drawn(Scene(prompt="kite", resolution="480p", seconds=0.25))

    assert 0 < content.find(b"moov") < content.find(b"mdat")


def test_a_video_is_repeatable_and_follows_its_prompt() -> None:
    """The same scene gives the same bytes; another prompt gives others."""
    scene = Scene(prompt="kite", aspect="1:1", resolution="480p", seconds=0.05)

    first, again, other = (drawn(attrs.evolve(scene, prompt=prompt)) for prompt in ("kite", "kite", "sea"))

    assert first == again
    assert first != other


@pytest.mark.parametrize(("colour", "expected"), [("white", 255), ("black", 0)])
def test_a_video_starts_from_its_picture(colour: str, expected: int) -> None:
    """In the picture's own shape."""
    scene = Scene(prompt="kite", resolution="480p", seconds=0.25)

    got = seen(drawn(scene, picture(30, 40, colour)))

    assert (got.width, got.height) == (360, 480)
    assert brightness(got.first) == pytest.approx(expected, abs=3)
    assert brightness(got.last) == pytest.approx(expected, abs=3)


def test_bytes_that_hold_no_picture_are_painted_over() -> None:
    """As if there were none: nothing at all, a text, a torn PNG."""
    scene = Scene(prompt="kite", aspect="1:1", resolution="480p", seconds=0.05)
    junk = [None, b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40]

    assert len({drawn(scene, source) for source in junk}) == 1


def test_an_edit_begins_with_the_first_frame_and_is_as_long_as_its_source() -> None:
    """In the source's own size."""
    got = seen(drawn(Scene(resolution="auto"), fade()))

    assert (got.width, got.height, got.frames) == (64, 48, 24)
    assert brightness(got.first) == pytest.approx(0, abs=20)


def test_an_extension_begins_with_the_last_frame() -> None:
    """And is as long as asked."""
    got = seen(drawn(Scene(resolution="source", from_end=True, seconds=2.0), fade()))

    assert (got.width, got.height, got.frames) == (64, 48, 48)
    assert brightness(got.first) == pytest.approx(245, abs=12)


def test_drawing_can_be_called_off() -> None:
    """At the next frame."""
    answers = iter([False, True])

    with pytest.raises(Stopped):
        video(Scene(resolution="480p", seconds=15.0), picture(64, 48), lambda: next(answers))


def test_the_stored_video_is_small_and_plays() -> None:
    """For those without PyAV."""
    content = videos.stored_video()

    assert len(content) < 50_000
    assert attrs.astuple(seen(content))[:4] == (854, 480, 36, 1.5)


@pytest.fixture
async def fox() -> AsyncIterator[Emulator]:
    """An emulator whose tasks are done at once."""
    async with Emulator(seconds=0.0) as emulator:
        yield emulator


@pytest.fixture
async def web(fox: Emulator) -> AsyncIterator[aiohttp.ClientSession]:
    """A session that holds the key."""
    async with session(fox) as made:
        yield made


def session(fox: Emulator) -> aiohttp.ClientSession:
    """Return a session that holds the key."""
    headers = {"Authorization": f"Bearer {fox.api_key}", "User-Agent": "foxvideo/1.0"}
    return aiohttp.ClientSession(fox.base_url, headers=headers)


async def url(web: aiohttp.ClientSession, **fields: object) -> str:
    """Submit and return the result link."""
    async with web.post(SUBMIT, json=fields) as reply:
        assert reply.status == 200, await reply.text()
        task_id = (await reply.json())["id"]
    async with web.get(f"/v1/tasks/{task_id}?sync_upstream=true") as reply:
        got = (await reply.json())["results"][0]["url"]
    assert isinstance(got, str)
    return got


async def fetched(link: str) -> bytes:
    """Download a result as anybody."""
    async with aiohttp.ClientSession() as anybody, anybody.get(link) as reply:
        assert reply.status == 200
        return await reply.read()


async def test_a_result_link_serves_the_video_that_was_asked_for(web: aiohttp.ClientSession) -> None:
    """From the uploaded picture, in its shape."""
    form = aiohttp.FormData()
    form.add_field("file", picture(100, 50), filename="white.png")
    async with web.post("/v1/files/upload/stream", data=form) as reply:
        image = (await reply.json())["url"]
    model = "grok-imagine-image-to-video"

    got = seen(await fetched(await url(web, model=model, prompt="x", image_url=image, duration=1, resolution="480p")))

    assert attrs.astuple(got)[:4] == (960, 480, 24, 1.0)
    assert brightness(got.first) == pytest.approx(255, abs=3)


async def test_an_earlier_result_can_be_gone_on_with(web: aiohttp.ClientSession) -> None:
    """An extension of a result link has its shape."""
    first = await url(web, **TEXT)

    second = await url(web, model="grok-imagine-video-extension", prompt="on", video_url=first, duration=2)

    assert attrs.astuple(seen(await fetched(second)))[:4] == (480, 480, 48, 2.0)


async def test_a_foreign_picture_is_painted(web: aiohttp.ClientSession) -> None:
    """The emulator fetches nothing from outside for a video."""
    fields = TEXT | {"model": "grok-imagine-image-to-video", "image_url": "https://example.com/cat.jpg"}

    assert seen(await fetched(await url(web, **fields))).frames == 24


async def until(condition: Callable[[], bool]) -> None:
    """Wait for another thread or the other side, whatever the loop's clock does meanwhile."""
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0)


async def test_many_viewers_of_one_video_have_it_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the one who leaves does not stop it for the others."""
    drawings: list[Scene] = []
    going_on = threading.Event()

    def held(scene: Scene, _: bytes | None, stopped: object) -> bytes:
        drawings.append(scene)
        return b"video" if going_on.wait(5) else b""

    monkeypatch.setattr("foxvideo.emulator.render.video", held)
    async with Emulator(seconds=0.0) as fox, session(fox) as web:
        link = await url(web, **TEXT)
        leaving = asyncio.create_task(fetched(link))
        await until(lambda: len(drawings) == 1)
        staying = [asyncio.create_task(fetched(link)) for _ in range(5)]
        await until(lambda: fox.ledger.transfers == 6)
        leaving.cancel()
        await until(lambda: fox.ledger.transfers == 5)
        going_on.set()

        assert await asyncio.gather(*staying) == [b"video"] * 5
    assert len(drawings) == 1


async def test_no_more_than_two_videos_are_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine is not the emulator's alone."""
    going, most = [0], [0]

    def counted(scene: Scene, _: bytes | None, stopped: object) -> bytes:
        going[0] += 1
        most[0] = max(most[0], going[0])
        time.sleep(0.01)
        going[0] -= 1
        return b"video"

    monkeypatch.setattr("foxvideo.emulator.render.video", counted)
    async with Emulator(seconds=0.0) as fox, session(fox) as web:
        links = [await url(web, **TEXT | {"prompt": str(number)}) for number in range(6)]
        await asyncio.gather(*map(fetched, links))

    assert most == [2]


async def test_old_videos_are_forgotten_and_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded."""
    monkeypatch.setattr(videos, "KEPT", 2)
    drawings: list[str] = []

    def noted(scene: Scene, _: bytes | None, stopped: object) -> bytes:
        drawings.append(scene.prompt)
        return b"video"

    monkeypatch.setattr("foxvideo.emulator.render.video", noted)
    async with Emulator(seconds=0.0) as fox, session(fox) as web:
        links = [await url(web, **TEXT | {"prompt": prompt}) for prompt in "abcd"]
        for link in [*links, links[3], links[0]]:
            await fetched(link)

    assert drawings == ["a", "b", "c", "d", "a"]


async def test_closing_does_not_wait_for_a_video(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The viewer is cut off."""
    begun, called_off = threading.Event(), threading.Event()

    def announced(scene: Scene, source: bytes | None, stopped: Callable[[], bool]) -> bytes:
        begun.set()
        try:
            return video(scene, source, stopped)
        except Stopped:
            called_off.set()
            raise

    monkeypatch.setattr("foxvideo.emulator.render.video", announced)
    async with Emulator(seconds=0.0) as fox, session(fox) as web:
        viewer = asyncio.create_task(fetched(await url(web, **TEXT | {"duration": 15})))
        await until(begun.is_set)

        await fox.__aexit__(None, None, None)

        assert await asyncio.to_thread(called_off.wait, 5)
        with pytest.raises(aiohttp.ClientError):
            await viewer
    assert not caplog.records


@pytest.mark.parametrize("render", [True, False])
async def test_without_pyav_the_stored_video_is_served(monkeypatch: pytest.MonkeyPatch, render: bool) -> None:
    """As with render=False."""
    if render:
        monkeypatch.setitem(sys.modules, "foxvideo.emulator.render", None)
        monkeypatch.delattr("foxvideo.emulator.render")
    async with Emulator(seconds=0.0, render=render) as fox, session(fox) as web:
        assert await fetched(await url(web, **TEXT)) == videos.stored_video()
