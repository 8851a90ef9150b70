"""What the emulated models accept, with plain bodies."""

import json

import pytest

from foxvideo.emulator import rules

LINK = "https://example.com/cat.jpg"
GOOD: dict[str, dict[str, object]] = {
    "grok-imagine-text-to-video": {"prompt": "A kite"},
    "grok-imagine-image-to-video": {"prompt": "A kite", "image_url": LINK},
    "grok-imagine-reference-to-video": {"prompt": "@Image1", "reference_image_urls": [LINK]},
    "grok-imagine-edit-video": {"prompt": "Make it night", "video_url": LINK},
    "grok-imagine-video-extension": {"prompt": "Go on", "video_url": LINK},
}
TEXT, IMAGE, REFERENCE, EDIT, EXTENSION = GOOD


def message(model: str, **fields: object) -> str | None:
    """Return why a good body with these fields besides is refused; a field that is ... is left out."""
    body = {"model": model} | GOOD[model] | fields
    refusal = rules.refusal({name: value for name, value in body.items() if value is not ...}, strict=True)
    return None if refusal is None else refusal.message


@pytest.mark.parametrize("model", GOOD)
def test_the_least_body_is_accepted(model: str) -> None:
    """Only the required fields."""
    assert message(model) is None


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (TEXT, {"duration": 1, "aspect_ratio": "9:16", "resolution": "480p"}),
        (TEXT, {"duration": 15, "prompt": "x" * 10_000}),
        (IMAGE, {"duration": 15, "aspect_ratio": "auto", "resolution": "720p"}),
        (REFERENCE, {"duration": 10, "reference_image_urls": [LINK] * 7, "prompt": "x" * 4096}),
        (EDIT, {"resolution": "auto"}),
        (EXTENSION, {"duration": 2}),
        (EXTENSION, {"duration": 10, "video_url": "http://127.0.0.1:80/uploads/a.mp4"}),
    ],
)
def test_every_documented_value_is_accepted(model: str, fields: dict[str, object]) -> None:
    """The ends of the ranges belong to them."""
    assert message(model, **fields) is None


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        (TEXT, {"prompt": ...}, "prompt: field required"),
        (TEXT, {"prompt": ""}, "prompt: must not be empty"),
        (TEXT, {"prompt": 7}, "prompt: must be a string"),
        (TEXT, {"prompt": None}, "prompt: must be a string"),
        (TEXT, {"seed": 1}, "seed: extra fields are not permitted"),
        (TEXT, {"image_url": LINK}, "image_url: extra fields are not permitted"),
        (TEXT, {"duration": None}, "duration: must be an integer"),
        (TEXT, {"duration": True}, "duration: must be an integer"),
        (TEXT, {"duration": "6"}, "duration: must be an integer"),
        (TEXT, {"duration": 6.0}, "duration: must be an integer"),
        (TEXT, {"duration": 0}, "duration: must be from 1 to 15, is 0"),
        (TEXT, {"duration": 16}, "duration: must be from 1 to 15, is 16"),
        (TEXT, {"aspect_ratio": "auto"}, "aspect_ratio: must be one of 16:9, 4:3, 3:2, 1:1, 2:3, 3:4, 9:16"),
        (TEXT, {"aspect_ratio": ["16:9"]}, "aspect_ratio: must be one of 16:9, 4:3, 3:2, 1:1, 2:3, 3:4, 9:16"),
        (TEXT, {"resolution": "1080p"}, "resolution: must be one of 480p, 720p"),
        (IMAGE, {"image_url": "cat.jpg"}, "image_url: must be a public http(s) URL"),
        (IMAGE, {"image_url": "file:///cat.jpg"}, "image_url: must be a public http(s) URL"),
        (IMAGE, {"image_url": "http://[::1/cat.jpg"}, "image_url: must be a public http(s) URL"),
        (IMAGE, {"image_url": "https:///cat.jpg"}, "image_url: must be a public http(s) URL"),
        (IMAGE, {"image_url": [LINK]}, "image_url: must be a public http(s) URL"),
        (REFERENCE, {"duration": 11}, "duration: must be from 1 to 10, is 11"),
        (REFERENCE, {"prompt": "x" * 4097}, "prompt: must have at most 4096 characters, has 4097"),
        (REFERENCE, {"reference_image_urls": LINK}, "reference_image_urls: must be an array of URLs"),
        (REFERENCE, {"reference_image_urls": []}, "reference_image_urls: must hold from 1 to 7 URLs, holds 0"),
        (
            REFERENCE,
            {"reference_image_urls": [LINK] * 8},
            "reference_image_urls: must hold from 1 to 7 URLs, holds 8",
        ),
        (
            REFERENCE,
            {"reference_image_urls": [LINK, "cat"]},
            "reference_image_urls: must be a public http(s) URL",
        ),
        (EDIT, {"duration": 5}, "duration: extra fields are not permitted"),
        (EDIT, {"video_url": ...}, "video_url: field required"),
        (EXTENSION, {"duration": 1}, "duration: must be from 2 to 10, is 1"),
        (EXTENSION, {"resolution": "720p"}, "resolution: extra fields are not permitted"),
        (TEXT, {"prompt": ..., "duration": 99}, "duration: must be from 1 to 15, is 99; prompt: field required"),
    ],
)
def test_whatever_is_not_documented_is_refused(model: str, fields: dict[str, object], expected: str) -> None:
    """The message names each field and what is allowed."""
    assert message(model, **fields) == expected


@pytest.mark.parametrize("text", ["[]", "null", '"text"', "7"])
def test_a_body_must_be_an_object(text: str) -> None:
    """Even for a lenient emulator."""
    refusal = rules.refusal(json.loads(text), strict=False)

    assert refusal == rules.Refusal("the body must be a JSON object")


@pytest.mark.parametrize("body", [{}, {"model": None}, {"model": ""}, {"model": ["x"]}])
def test_a_body_must_name_its_model(body: dict[str, object]) -> None:
    """Even for a lenient emulator."""
    refusal = rules.refusal(body, strict=False)

    assert refusal == rules.Refusal("model: is required and must be a string")


def test_a_model_that_the_key_lacks_is_refused_with_its_code() -> None:
    """As when the key's group lacks it."""
    refusal = rules.refusal({"model": "veo-3.1", "prompt": "A kite"}, strict=True, allowed=(TEXT,))

    assert refusal is not None
    assert refusal.code == "model_not_found"


def test_a_model_that_no_page_has_is_refused_with_the_same_code() -> None:
    """The service does not tell the two apart."""
    refusal = rules.refusal({"model": "a-model-of-tomorrow"}, strict=True)

    assert refusal is not None
    assert refusal.code == "model_not_found"


def test_a_lenient_emulator_takes_any_model_and_field() -> None:
    """Nothing but the model is looked at."""
    assert rules.refusal({"model": "veo-3.1", "seed": None}, strict=False) is None


def test_documented_defaults_are_known() -> None:
    """And there is none where the documentation has none."""
    assert rules.default(REFERENCE, "resolution") == "480p"
    assert rules.default(REFERENCE, "prompt") is None
    assert rules.default("a-model-of-tomorrow", "duration") is None
