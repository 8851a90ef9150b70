"""Which tasks are expected to cost the same."""

from collections.abc import Mapping

import pytest

from foxvideo import catalogue
from foxvideo.requests.price import PriceClass, price_class

GROK, VEO, KLING = "grok-imagine-text-to-video", "veo-3.1-text-to-video", "kling-v3-text-to-video"
PICTURE, OTHER = {"sha256": "aa"}, {"sha256": "bb"}


def same(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Whether two requests are expected to cost the same."""
    return price_class(one) == price_class(other)


@pytest.mark.parametrize(
    ("model", "field", "one", "other"),
    [
        (GROK, "model", GROK, VEO),
        (GROK, "duration", 1, 15),
        (GROK, "duration", 6, None),
        (GROK, "resolution", "480p", "720p"),
        (GROK, "aspect_ratio", "16:9", "1:1"),
        (VEO, "generate_audio", True, False),
        (VEO, "enhance_prompt", True, None),
        (KLING, "voice_ids", ["v1"], ["v1", "v2"]),
        (KLING, "multi_prompt", [{"prompt": "A fox", "duration": 3}], [{"prompt": "A fox", "duration": 2}]),
        ("sora-2", "character_ids", ["c1"], None),
        ("veo3.1-fast", "model_params", {"quality": "high"}, {"quality": "low"}),
        ("topaz-upscale-video", "upscale_factor", 2, 4),
        ("veed-subtitles", "preset", "plain", "karaoke"),
        ("any-model", "n", 1, 4),
        ("any-model", "image_style", "anime", "video"),
        ("any-model", "image", {"sha256": "aa", "strength": 1}, {"sha256": "aa", "strength": 2}),
        ("any-model", "parameters", {"mode": "std"}, {"mode": "pro"}),
    ],
)
def test_every_field_that_may_set_the_price_makes_another_class(
    model: str, field: str, one: object, other: object
) -> None:
    """Documented or not, at any depth; what is not given differs from what is."""
    base = {"model": model, "duration": 6, "prompt": "A fox"}

    bodies = [
        {name: value for name, value in (base | {field: given}).items() if value is not None} for given in (one, other)
    ]

    assert not same(*bodies)
    assert same(bodies[0], dict(reversed(bodies[0].items())))


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        ("prompt", "A fox", "An owl that turns its head, slowly"),
        ("negative_prompt", "rain", None),
        ("seed", 1, 2),
        ("image_url", "https://example.com/a.png", "data:image/png;base64,AAAA"),
        ("image_url", PICTURE, "https://example.com/a"),
        ("reference_image_urls", [PICTURE, OTHER], [OTHER, "https://example.com/a.png"]),
        ("first_image_url", PICTURE, OTHER),
        ("multi_prompt", [{"prompt": "A fox", "duration": 3}], [{"prompt": "An owl", "duration": 3}]),
        ("elements", [{"frontal_image_url": PICTURE}], [{"frontal_image_url": OTHER}]),
    ],
)
def test_what_sets_no_price_leaves_the_class_alone(field: str, one: object, other: object) -> None:
    """Words, chance, and which images are given."""
    base = {"model": "any-model", "duration": 6}

    bodies = [base if given is None else base | {field: given} for given in (one, other)]

    assert same(*bodies)


def test_the_number_of_images_counts() -> None:
    """Models may charge for each."""
    base = {"model": "grok-imagine-reference-to-video", "prompt": "A fox"}

    assert not same(base | {"reference_image_urls": [PICTURE]}, base | {"reference_image_urls": [PICTURE, OTHER]})
    assert not same(base | {"image_url": PICTURE}, base)


def test_an_image_in_base64_is_an_image_where_the_page_says_that_it_is_one() -> None:
    """Elsewhere it is a text like any other."""
    vidu = {"model": "vidu-q3-image-to-video", "duration": 4}

    assert same(vidu | {"image_url": "iVBORw0KAAAA"}, vidu | {"image_url": "iVBORw0KBBBB"})


@pytest.mark.parametrize("name", ["image_url", "file_url", "video_urls"])
def test_a_video_counts_by_its_content_whatever_its_field_is_called(name: str) -> None:
    """Its length may set the price, also beside a duration."""
    base = {"model": "any-model", "duration": 6}

    assert not same(base | {name: "https://example.com/a.mp4?x=1"}, base | {name: "https://example.com/b.mp4"})


@pytest.mark.parametrize(
    ("model", "field"),
    [
        ("grok-imagine-edit-video", "video_url"),
        ("veo-3.1-extend", "video_url"),
        ("grok-imagine-video-extension", "video_url"),
        ("kling-v3-motion-control", "video_url"),
        ("omnihuman-1.5", "audio_url"),
        ("lipsync-2", "audio_url"),
        ("creatify-aurora", "audio_url"),
        ("sora-2-pro-remix", "video_id"),
    ],
)
def test_what_a_result_is_as_long_as_sets_its_price_and_the_prompt_does_not(model: str, field: str) -> None:
    """Videos and sounds, local or by URL."""
    given: object = "v1" if field == "video_id" else {"sha256": "aa"}
    other: object = "v2" if field == "video_id" else {"sha256": "bb"}

    assert not same({"model": model, field: given}, {"model": model, field: other})
    assert same({"model": model, field: given, "prompt": "A fox"}, {"model": model, field: given, "prompt": "An owl"})


@pytest.mark.parametrize(
    ("model", "field"),
    [
        ("fabric-1.0-text", "text"),
        ("heygen-video-agent", "prompt"),
        ("kling-o3-text-to-video", "prompt"),  # its page prints no default of the duration
        ("any-model", "prompt"),
    ],
)
def test_where_a_text_may_set_the_length_it_sets_the_price(model: str, field: str) -> None:
    """Nothing else fixes how long the video becomes."""
    assert not same({"model": model, field: "Short."}, {"model": model, field: "Long. " * 99})


def test_a_file_for_an_agent_does_not_fix_the_length() -> None:
    """It may be a document."""
    base = {"model": "heygen-video-agent", "file_urls": ["https://example.com/a.pdf"]}

    assert not same(base | {"prompt": "Short."}, base | {"prompt": "Long. " * 99})


def test_what_a_variant_in_brackets_is_asked_for_counts_like_its_base() -> None:
    """It has the same fields, and a price of its own."""
    assert same({"model": "veo-3.1[4k]", "prompt": "A fox"}, {"model": "veo-3.1[4k]", "prompt": "An owl"})
    assert not same({"model": "veo-3.1[4k]"}, {"model": "veo-3.1"})


@pytest.mark.parametrize("duration", [-1, 0, "auto", True, None, [6]])
def test_where_the_model_decides_the_length_no_price_is_foretold(duration: object) -> None:
    """What one such task cost tells nothing about the next."""
    body = {"model": "seedance-2.0-text-to-video", "prompt": "A fox", "duration": duration}

    assert price_class(body).predictable is (duration is None)
    assert price_class(body | {"duration": 5}).predictable
    assert price_class(body | {"duration": "5"}).predictable


def test_a_default_that_leaves_the_length_to_the_model_counts_as_given() -> None:
    """Of all models of the documentation, wan-2.7-video-edit alone follows its input unless told otherwise."""
    undecided = {
        model.id for model in catalogue.models() if not price_class({"model": model.id, "prompt": "A fox"}).predictable
    }

    assert undecided == {"wan-2.7-video-edit"}


@pytest.mark.parametrize(
    "body", [{}, {"model": None}, {"model": 7, "duration": {}}, {"model": "\ud800", "x": "\ud800"}]
)
def test_no_body_is_too_strange(body: Mapping[str, object]) -> None:
    """The journal may have been written by anybody."""
    assert isinstance(price_class(body), PriceClass)
