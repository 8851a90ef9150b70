"""What video a body asks for, with plain bodies."""

import pytest

from foxvideo.emulator.scenes import Scene, media_urls

TEXT = "grok-imagine-text-to-video"
IMAGE = "grok-imagine-image-to-video"
EDIT = "grok-imagine-edit-video"
EXTENSION = "grok-imagine-video-extension"


def test_the_defaults_of_the_model_fill_what_is_absent() -> None:
    """Reference-to-video has defaults of its own."""
    scene = Scene.of({"model": "grok-imagine-reference-to-video", "prompt": "kite"}, None)

    assert scene == Scene(prompt="kite", aspect="16:9", resolution="480p", seconds=8.0)


def test_an_extension_starts_from_the_end_and_keeps_the_size() -> None:
    """Its length is that of the added part."""
    scene = Scene.of({"model": EXTENSION, "prompt": "on", "duration": 2}, b"video")

    assert (scene.from_end, scene.source, scene.length(15.0)) == (True, b"video", 48)
    assert scene.size((1280, 720)) == (1280, 720)
    assert scene.size((3840, 2160)) == (1280, 720)
    assert scene.size(None) == (1280, 720)


def test_an_edit_keeps_the_length_and_shrinks_to_its_limit() -> None:
    """At most 8 seconds and 854x480."""
    scene = Scene.of({"model": EDIT, "prompt": "night"}, b"video")

    assert (scene.length(3.0), scene.length(60.0), scene.length(None)) == (72, 192, 144)
    assert (scene.size((1280, 720)), scene.size((320, 240))) == ((854, 480), (320, 240))
    assert scene.size(None) == (854, 480)


@pytest.mark.parametrize(
    ("aspect", "resolution", "expected"),
    [
        ("16:9", "720p", (1280, 720)),
        ("16:9", "480p", (854, 480)),
        ("9:16", "720p", (720, 1280)),
        ("9:16", "480p", (480, 854)),
        ("1:1", "720p", (720, 720)),
        ("4:3", "480p", (640, 480)),
        ("3:4", "720p", (720, 960)),
        ("3:2", "480p", (720, 480)),
        ("2:3", "720p", (720, 1080)),
        ("auto", "720p", (1280, 720)),
        ("adaptive", "4k", (1280, 720)),
        ("16:0", "480p", (854, 480)),
    ],
)
def test_shape_and_resolution_give_the_size(aspect: str, resolution: str, expected: tuple[int, int]) -> None:
    """The short side is the resolution; both sides are even."""
    scene = Scene.of({"model": TEXT, "aspect_ratio": aspect, "resolution": resolution}, None)

    assert scene.size(None) == expected


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        ((100, 100), (480, 480)),
        ((300, 200), (720, 480)),
        ((9, 16), (270, 480)),
        ((5000, 10), (1920, 480)),
        ((10, 5000), (120, 480)),
    ],
)
def test_auto_follows_the_picture(picture: tuple[int, int], expected: tuple[int, int]) -> None:
    """At the asked height, within reason."""
    scene = Scene.of({"model": IMAGE, "resolution": "480p"}, b"picture")

    assert scene.size(picture) == expected


@pytest.mark.parametrize(("duration", "frames"), [(-1, 144), ("5", 144), (10**6, 144), (0.5, 12), (0.001, 1)])
def test_strange_durations_of_lenient_submits_still_make_a_video(duration: object, frames: int) -> None:
    """What makes no sense falls back to six seconds."""
    assert Scene.of({"model": "veo-3.1", "duration": duration}, None).length(None) == frames


def test_media_urls_come_from_both_kinds_of_fields() -> None:
    """Only strings, in the order of the body."""
    body = {"image_url": "a", "prompt": "p", "image_urls": ["b", 7, "c"], "video_url": None, "x_urls": "d"}

    assert list(media_urls(body)) == [("image_url", "a"), ("image_urls", "b"), ("image_urls", "c")]


def test_media_urls_come_from_objects_of_lists_too() -> None:
    """At any depth; a callback is no medium."""
    body = {
        "callback_url": "hook",
        "references": [{"url": "a", "ref_name": "fox"}, 7],
        "elements": [{"frontal_image_url": "b", "reference_image_urls": ["c", "d"]}],
        "multi_prompt": [{"prompt": "p", "duration": 5}],
    }

    assert [url for _, url in media_urls(body)] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("body", "aspect"),
    [
        ({"model": "kling-v3-image-to-video"}, "auto"),
        ({"model": "kling-v3-text-to-video"}, "16:9"),
        ({"model": "veo3.1-fast", "size": "9:16"}, "9:16"),
        ({"model": "a-model-of-tomorrow"}, "16:9"),
    ],
)
def test_a_video_has_the_shape_of_its_picture_where_nobody_can_ask_for_another(
    body: dict[str, object], aspect: str
) -> None:
    """Older models call the shape their size."""
    assert Scene.of(body, None).aspect == aspect
