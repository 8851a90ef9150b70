"""Draws videos with PyAV: a picture, a slow camera move over it, H.264 in MP4.

The one room that needs the extra `emulator`. Everything is synchronous and belongs in a thread; nothing here
knows of HTTP or tasks. The pictures of text prompts are painted by FFmpeg's own filters.
"""

import colorsys
import io
import random
import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import attrs
import av
import av.error
import av.filter

from foxvideo.emulator.scenes import FRAMES_PER_SECOND, Scene

_OVERSAMPLING: Final = 2
"""zoompan moves by whole pixels of its input; a larger input hides the steps."""
_MOVES: Final = (
    ("1+0.16*{t}", "0.5", "0.5"),
    ("1.16-0.16*{t}", "0.5", "0.4"),
    ("1.14", "{t}", "0.5"),
    ("1.14", "1-{t}", "0.4"),
    ("1.05+0.1*{t}", "0.3+0.4*{t}", "0.6-0.2*{t}"),
)
"""Zoom, and the window's place from left to right and top to bottom (0-1), over the video's time t (0-1)."""


class Stopped(Exception):
    """The drawing was called off."""


@attrs.frozen
class _Picture:
    frame: av.VideoFrame
    seconds: float | None = None
    """How long the source of the picture runs; None for a still."""


def video(scene: Scene, source: bytes | None, stopped: Callable[[], bool]) -> bytes:
    """Draw one video.

    Args:
        scene: What to draw.
        source: The bytes of its picture or video; None, and bytes that hold no picture, mean a painted one.
        stopped: Asked before each frame; True calls the drawing off.

    Returns:
        An MP4 file, its index at the front.

    Raises:
        Stopped: `stopped` said so.
    """
    picture = None if source is None else _decoded(source, from_end=scene.from_end)
    size = scene.size(None if picture is None else (picture.frame.width, picture.frame.height))
    length = scene.length(None if picture is None else picture.seconds)
    frame = _painted(scene.prompt, size) if picture is None else picture.frame
    return _encoded(_moved(frame, size, length, random.Random(scene.prompt)), size, stopped)  # noqa: S311


def _decoded(source: bytes, *, from_end: bool) -> _Picture | None:
    try:
        with av.open(io.BytesIO(source), mode="r") as container:
            frames = container.decode(video=0)
            frame, moving = next(frames), False
            for later in frames:
                moving = True
                if not from_end:
                    break
                frame = later
            seconds = container.duration / av.time_base if moving and container.duration else None
            return _Picture(frame, seconds)
    except (av.error.FFmpegError, StopIteration, IndexError):
        return None


def _painted(prompt: str, size: tuple[int, int]) -> av.VideoFrame:
    """Paint a landscape that the prompt decides: a sky, a sun, three ranges of hills."""
    rng = random.Random(prompt)  # noqa: S311 - repeatable, not secret
    width, height = size
    hue, turn = rng.random(), rng.choice((-1, 1))
    sky, glow = _colour(hue, 0.4, 0.6), _colour(hue + 0.17 * turn, 0.8, 0.9)
    across, down = rng.uniform(0.25, 0.75), rng.uniform(0.3, 0.5)
    sun = f"exp(-pow(hypot(X-{across:.3f}*W,Y-{down:.3f}*H)/(0.09*min(W,H)),4))"
    hills = [
        (_hill(0.58 + 0.13 * depth, rng), _colour(hue - 0.06 * depth * turn, 0.42 - 0.13 * depth, 0.5))
        for depth in range(3)
    ]
    channels = []
    for channel in range(3):
        value = f"lerp({sky[channel]},{glow[channel]},min(1,Y/H*1.5))"
        value = f"lerp({value},255,{sun})"
        for mask, colour in hills:
            value = f"lerp({value},{colour[channel]},{mask})"
        channels.append(value)
    red, green, blue = channels
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add("color", f"size={width}x{height}:rate=1:duration=1"),
        graph.add("format", "gbrp"),
        graph.add("geq", f"r='{red}':g='{green}':b='{blue}'"),
        graph.add("vignette", "angle=PI/6"),
        graph.add("buffersink"),
    ).configure()
    return _pulled(graph)


def _hill(top: float, rng: random.Random) -> str:
    """Return a formula that is 1 inside a range of hills, 0 above it, and in between on its edge."""
    slow, fast = rng.uniform(3, 6), rng.uniform(11, 17)
    waves = f"0.05*sin(X/W*{slow:.2f}+{rng.uniform(0, 6):.2f})+0.015*sin(X/W*{fast:.2f}+{rng.uniform(0, 6):.2f})"
    return f"clip(Y-H*({top:.2f}+{waves}),0,1)"


def _colour(hue: float, lightness: float, saturation: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hls_to_rgb(hue % 1, lightness, saturation)
    return round(255 * red), round(255 * green), round(255 * blue)


def _moved(frame: av.VideoFrame, size: tuple[int, int], length: int, rng: random.Random) -> Iterator[av.VideoFrame]:
    """Let the camera move over a picture, `length` frames long."""
    width, height = size
    wide, high = _OVERSAMPLING * width, _OVERSAMPLING * height
    zoom, right, down = (part.format(t=f"(on/{max(1, length - 1)})") for part in rng.choice(_MOVES))
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=Fraction(1, FRAMES_PER_SECOND),
        ),
        graph.add("scale", f"{wide}:{high}:force_original_aspect_ratio=increase:flags=bicubic"),
        graph.add("crop", f"{wide}:{high}"),
        graph.add("setsar", "1"),
        graph.add("format", "yuv420p"),
        graph.add(
            "zoompan",
            f"z='{zoom}':x='(iw-iw/zoom)*({right})':y='(ih-ih/zoom)*({down})'"
            f":d={length}:s={width}x{height}:fps={FRAMES_PER_SECOND}",
        ),
        graph.add("buffersink"),
    ).configure()
    frame.pts = 0
    graph.push(frame)
    graph.push(None)
    for number in range(length):
        drawn = _pulled(graph)
        drawn.pts, drawn.time_base = number, Fraction(1, FRAMES_PER_SECOND)
        yield drawn


def _pulled(graph: av.filter.Graph) -> av.VideoFrame:
    frame = graph.pull()
    assert isinstance(frame, av.VideoFrame)  # noqa: S101 - the graph has no sound
    return frame


def _encoded(frames: Iterator[av.VideoFrame], size: tuple[int, int], stopped: Callable[[], bool]) -> bytes:
    # The index can only be moved to the front in a file that can be read again.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        with av.open(str(path), mode="w", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", FRAMES_PER_SECOND)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            stream.options = {"preset": "veryfast", "crf": "23", "bf": "0"}
            for frame in frames:
                if stopped():
                    raise Stopped
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path.read_bytes()
