"""The models of the documentation: the data, how requests are held against it, and what is uploaded for them."""
# ruff: noqa: E501 - a table has a case a line

import doctest
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

from foxvideo import (
    Client,
    GrokEditVideo,
    GrokImageToVideo,
    GrokReferenceToVideo,
    GrokTextToVideo,
    GrokVideoExtension,
    InvalidRequest,
    Request,
    catalogue,
)
from foxvideo._wire.decode import read_task
from foxvideo._wire.reply import Reply
from foxvideo.catalogue import Parameter
from foxvideo.emulator import Emulator
from foxvideo.requests.generic import check
from foxvideo.requests.validation import undocumented

LINK = "https://example.com/a"
ESCAPE = "(pass check=False to send it all the same)"
SAMPLES = Path(__file__).parents[1] / "samples"


def faults(model: str, **fields: Any) -> list[str]:  # noqa: ANN401 - anything may be given
    """Return in words what is wrong with a request."""
    try:
        check(Request(model, **fields))
    except InvalidRequest as error:
        return [str(fault).removesuffix(f" {ESCAPE}") for fault in error.faults]
    return []


# --- The data ---


def test_there_are_a_hundred_and_one_models_each_with_its_page() -> None:
    """And the month in which they were read."""
    models = catalogue.models()

    assert len({model.id for model in models}) == len(models) == 101
    assert all(model.source and model.family and model.kind and model.parameters for model in models)
    assert catalogue.read_date() == "2026-11"


def test_every_default_is_within_its_own_range() -> None:
    """A default that its page would refuse was read wrongly; so was one of a field that is demanded."""
    for model in catalogue.models():
        for name, known in model.parameters.items():
            lone = attrs.evolve(known, required=False)
            if known.default is not None:
                assert not known.required, f"{model.id}.{name}"
                assert not list(_violations(name, known.default, lone)), f"{model.id}.{name}"


def _violations(name: str, value: object, known: Parameter) -> list[str]:
    return [str(fault) for fault in undocumented({name: value}, {name: known}, set())]


@pytest.mark.parametrize(
    "kind", [GrokTextToVideo, GrokImageToVideo, GrokReferenceToVideo, GrokEditVideo, GrokVideoExtension]
)
def test_a_grok_class_says_what_the_catalogue_says(kind: type[Any]) -> None:
    """Both were written from the page; what only the catalogue has, notes and defaults, is left aside."""
    model = catalogue.find(kind.model)
    assert model is not None

    def bare(known: Parameter) -> Parameter:
        return attrs.evolve(known, note="", default=None, usual=False, advanced=False)

    written = {field.name: field.metadata["parameter"] for field in attrs.fields(kind) if field.metadata}

    assert written == {name: bare(known) for name, known in model.parameters.items()}
    for name, known in model.parameters.items():  # the docstring tells the default
        if known.default is not None:
            assert str(known.default) in str(kind.__doc__).partition(f"{name}: ")[2].splitlines()[0]


def test_a_variant_has_the_fields_of_its_base() -> None:
    """What the brackets say is the default, and need not be said again."""
    base, variant = catalogue.find("fabric-1.0"), catalogue.find("fabric-1.0[480p]")

    assert base is not None
    assert variant is not None
    assert base.parameters["resolution"].required
    assert not variant.parameters["resolution"].required
    assert variant.parameters["resolution"].default == "480p"
    assert variant.parameters["image_url"] == base.parameters["image_url"]


@pytest.mark.parametrize("id_", ["", "veo", "veo-3.1[", "veo-3.1[]", "veo[4k]", "google/veo-3.1", "a/veo-3.1[4k]"])
def test_an_id_that_no_page_has_is_not_found(id_: str) -> None:
    """A prefix is not guessed away."""
    assert catalogue.find(id_) is None


def test_the_examples_in_the_docstrings_are_true() -> None:
    """They are run."""
    assert doctest.testmod(catalogue).failed == 0


def test_importing_foxvideo_and_making_a_grok_request_read_no_catalogue() -> None:
    """Nor sqlite3; the first request of another model does."""
    code = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
import foxvideo
foxvideo.requests.generic.check(foxvideo.GrokTextToVideo(prompt="A kite"))
assert not any("models.json" in path for path in opened)
assert not {"sqlite3", "_sqlite3"} & sys.modules.keys()
foxvideo.requests.generic.check(foxvideo.Request("veo-3.1", prompt="A kite"))
assert any("models.json" in path for path in opened)
"""
    unwatched = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    subprocess.run([sys.executable, "-c", code], check=True, env=unwatched)  # noqa: S603 - our own text


# --- Names ---


@pytest.mark.parametrize(
    ("model", "name", "meant"),
    [
        ("kling-v3-image-to-video", "last_image_url", "image_tail_url"),
        ("pixverse-c1-transition", "end_image_url", "image_tail_url"),
        ("kling-o3-image-to-video", "image_tail_url", "end_image_url"),
        ("seedance-2.0-image-to-video", "last_image_url", "end_image_url"),
        ("vidu-q3-image-to-video", "image_tail_url", "end_image_url"),
        ("veo-3.1-first-last-frame-to-video", "image_tail_url", "last_image_url"),
        ("veo-3.1-first-last-frame-to-video", "end_image_url", "last_image_url"),
        ("veo-3.1-first-last-frame-to-video", "image_url", "first_image_url"),
        ("seedance-2.0-text-to-video", "ratio", "aspect_ratio"),
        ("veo3.1-fast", "aspect_ratio", "size"),
        ("seedance-2.0-reference-to-video", "reference_image_urls", "image_urls"),
        ("vidu-q3-reference-to-video", "image_urls", "reference_image_urls"),
        ("wan-2.7-text-to-video", "negativ_prompt", "negative_prompt"),
    ],
)
def test_an_unknown_field_is_refused_with_the_name_that_was_meant(model: str, name: str, meant: str) -> None:
    """What other models call the same thing comes before what is spelt alike."""
    (said,) = [said for said in faults(model, **{name: LINK}) if said.startswith(f"{name}=")]

    assert said == f"{name}='{LINK}': not a field of this model, did you mean {meant}?"


def test_a_field_that_was_given_is_not_suggested() -> None:
    """Its place is taken."""
    (said,) = faults("veo-3.1-image-to-video", prompt="A kite", image_url=LINK, image_tail_url=LINK)

    assert said.startswith(f"image_tail_url='{LINK}': not a field of this model, its fields are prompt, image_url, ")


# --- Ranges ---


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        ("veo-3.1-text-to-video", {"duration": 5}, "duration=5: documented: 4, 6, 8"),
        ("veo-3.1-text-to-video", {"duration": True}, "duration=True: a whole number"),
        ("veo-3.1-text-to-video", {"generate_audio": "yes"}, "generate_audio='yes': true or false"),
        ("seedance-2.0-text-to-video", {"duration": 0}, "duration=0: documented: 4-15 or -1"),
        ("seedance-2.0-text-to-video", {"duration": -1}, None),
        ("seedance-2.0-text-to-video", {"prompt": "x" * 5001}, "prompt=<5001 characters>: documented: at most 5000 characters"),
        ("vidu-q3-text-to-video", {"duration": 0}, "duration=0: documented: at least 1"),
        ("happyhorse-1.0-text-to-video", {"seed": 2**31}, f"seed={2**31}: documented: 0-2147483647"),
        ("veo-3.1-text-to-video", {"seed": -(2**40)}, None),
        ("veo3.1-fast", {"model_params": [1]}, "model_params=[1]: an object"),
        ("veo3.1-fast", {"model_params": {"any": {"thing": None}}}, None),
        ("vidu-q3-pro", {"image_urls": [LINK] * 5}, "image_urls=<5 items>: documented: at most 4 items"),
        ("sora-2", {"character_ids": ["a", 7]}, "character_ids[1]=7: a text"),
        ("sora-2", {"character_ids": "a"}, "character_ids='a': a list"),
        ("live-avatar", {"guidance_scale": 0.5, "image_url": LINK, "audio_url": LINK}, None),
        ("live-avatar", {"guidance_scale": 10.5, "image_url": LINK, "audio_url": LINK}, "guidance_scale=10.5: documented: 0-10"),
        ("live-avatar", {"guidance_scale": "1", "image_url": LINK, "audio_url": LINK}, "guidance_scale='1': a number"),
        ("vidu-q3-image-to-video", {"image_url": "aGk="}, None),
        ("vidu-q3-image-to-video", {"image_url": "data:image/png;base64,aGk="}, None),
        ("vidu-q3-image-to-video", {"image_url": "text,aGk="}, "image_url='text,aGk=': base64, or an http(s) URL; for a local file pass a pathlib.Path"),
        ("vidu-q3-image-to-video", {"image_url": "fox.png"}, "image_url='fox.png': base64, or an http(s) URL; for a local file pass a pathlib.Path"),
        ("kling-o3-image-to-video", {"image_url": "aGk="}, "image_url='aGk=': an http(s) URL; for a local file pass a pathlib.Path"),
        ("pixverse-c1-reference-to-video", {"references": [{"url": LINK, "new": 1}]}, None),
        ("pixverse-c1-reference-to-video", {"references": [{"url": "fox.png"}]}, "references[0].url='fox.png': an http(s) URL; for a local file pass a pathlib.Path"),
        ("pixverse-c1-reference-to-video", {"references": [{"ref_name": "fox"}]}, "references[0].url is missing: an http(s) URL, a pathlib.Path or bytes is required"),
        ("pixverse-c1-reference-to-video", {"references": [LINK]}, f"references[0]='{LINK}': an object"),
    ],
)  # fmt: skip
def test_a_value_is_held_against_the_range_of_its_page(
    model: str, fields: dict[str, Any], expected: str | None
) -> None:
    """The error names the place, nested ones too, the value and what is documented."""
    assert faults(model, **({"prompt": "A kite"} | fields)) == ([] if expected is None else [expected])


# --- Between fields ---

VIDEO = {"prompt": "A kite", "video_url": LINK}
SHOTS = [{"prompt": "a", "duration": 2}, {"prompt": "b", "duration": 3}]


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        ("veo-3.1-lite-text-to-video", {"duration": 4, "resolution": "1080p"}, "duration=4: documented: 8 at resolution 1080p"),
        ("veo-3.1-lite-text-to-video", {"duration": 4}, "duration=4: documented: 8 at resolution 1080p"),
        ("veo-3.1-lite-text-to-video", {"duration": 4, "resolution": "720p"}, None),
        ("veo-3.1-lite[720p]", {"duration": 4}, None),
        ("veo-3.1-text-to-video", {"duration": 4, "resolution": "1080p"}, None),
        ("veo-3.1", {"image_urls": [LINK]}, "image_urls=<1 items>: documented: 0 items with generation_type text-to-video"),
        ("veo-3.1", {"generation_type": "first-last-frame", "image_urls": [LINK]}, "image_urls=<1 items>: documented: 2 items with generation_type first-last-frame"),
        ("veo-3.1", {"generation_type": "reference-to-video"}, "image_urls=<0 items>: documented: 1-3 items with generation_type reference-to-video"),
        ("veo-3.1", {"generation_type": "reference-to-video", "image_urls": [LINK], "duration": 4}, "duration=4: documented: 8 with generation_type reference-to-video"),
        ("veo-3.1", {"generation_type": "reference-to-video", "image_urls": [LINK], "reference_type": "STYLE"}, None),
        ("veo-3.1", {"reference_type": "STYLE"}, "reference_type='STYLE': documented: only with generation_type reference-to-video"),
        ("vidu-q3-pro", {"image_urls": [LINK]}, None),
        ("vidu-q3-pro", {"generation_type": "image-to-video"}, "image_urls=<0 items>: documented: 1 items with generation_type image-to-video"),
        ("kling-v3-text-to-video", {"voice_ids": ["v"]}, "generate_audio=False: documented: true where there are voice_ids"),
        ("kling-v3-text-to-video", {"voice_ids": ["v"], "generate_audio": True}, None),
        ("kling-v3-text-to-video", {"multi_prompt": SHOTS}, None),
        ("kling-v3-text-to-video", {"prompt": None, "multi_prompt": SHOTS}, None),
        ("kling-v3-text-to-video", {"prompt": " "}, "prompt is missing: documented: prompt or multi_prompt"),
        ("kling-v3-text-to-video", {"multi_prompt": SHOTS, "duration": 10}, "duration=10: documented: 5, the sum of the durations in multi_prompt"),
        ("kling-v3-text-to-video", {"multi_prompt": [*SHOTS, {"prompt": "c"}], "duration": 10}, None),
        ("kling-o3-text-to-video", {"multi_prompt": SHOTS}, "multi_prompt=...: documented: either prompt or multi_prompt"),
        ("kling-o3-text-to-video", {"prompt": None}, "prompt is missing: documented: prompt or multi_prompt"),
        ("kling-o3-text-to-video", {"prompt": None, "multi_prompt": SHOTS}, None),
        ("kling-o3-video-to-video-edit", VIDEO | {"image_urls": [LINK] * 3, "elements": [{}] * 2}, "image_urls=<5 items>: documented: at most 4 items of image_urls and elements together"),
        ("seedance-2.0-reference-to-video", {}, "image_urls is missing: documented: at least one of image_urls, video_urls and audio_urls"),
        ("seedance-2.0-reference-to-video", {"image_urls": [LINK] * 9, "video_urls": [LINK] * 3, "audio_urls": [LINK]}, "image_urls=<13 items>: documented: at most 12 items of image_urls, video_urls and audio_urls together"),
        ("seedance-2.0-reference-to-video", {"audio_urls": [LINK]}, "audio_urls=...: documented: only beside image_urls or video_urls"),
        ("seedance-2.5-reference-to-video", {"audio_urls": [LINK]}, None),
        ("seedance-2.5-text-to-video", {"resolution": "1080p", "duration": 7}, "duration=7: documented: 5, 10, 30 at resolution 1080p"),
        ("seedance-2.5-text-to-video", {"resolution": "1080p"}, None),
        ("wan-2.7-image-to-video", VIDEO | {"image_urls": [LINK]}, f"video_url='{LINK}': documented: not together with image_urls"),
        ("wan-2.7-image-to-video", {"generation_type": "video-continuation"}, "video_url is missing: documented: needed with generation_type video-continuation"),
        ("wan-2.7-image-to-video", {"generation_type": 7}, "generation_type=7: a text"),
        ("live-avatar", {"image_url": LINK, "audio_url": LINK, "frames_per_clip": 18}, "frames_per_clip=18: documented: a multiple of 4"),
        ("veo3.1-fast", {"callback_url": "http://example.com/"}, "callback_url='http://example.com/': documented: an https URL, not of a private address"),
        ("veo3.1-fast", {"callback_url": "https://[::1]/"}, "callback_url='https://[::1]/': documented: an https URL, not of a private address"),
        ("veo3.1-fast", {"callback_url": "https://[/"}, "callback_url='https://[/': documented: an https URL, not of a private address"),
        ("veo3.1-fast", {"callback_url": "https://192.168.0.7/"}, "callback_url='https://192.168.0.7/': documented: an https URL, not of a private address"),
        ("veo3.1-fast", {"callback_url": "https://example.com/hook"}, None),
    ],
)  # fmt: skip
def test_fields_are_held_against_each_other(model: str, fields: dict[str, Any], expected: str | None) -> None:
    """As the pages say in words; a default counts as given."""
    assert faults(model, **({"prompt": "A kite"} | fields)) == ([] if expected is None else [expected])


def test_a_pasted_body_is_checked_like_a_request() -> None:
    """With all faults at once, those between fields among them."""
    body = {"model": "veo-3.1-lite", "duration": 4, "image_urls": ["fox.png"], "seeds": 1}
    with pytest.raises(InvalidRequest) as caught:
        check(Request.from_mapping(body))

    assert [fault.field for fault in caught.value.faults] == [
        "prompt",
        "image_urls[0]",
        "seeds",
        "image_urls",
        "duration",
    ]


# --- Files ---


async def test_files_are_uploaded_wherever_they_stand(client: Client, fox: Emulator, tmp_path: Path) -> None:
    """In a field, in a list, in an object of a list, and in a list of that; the same content once."""
    picture = tmp_path / "fox.png"
    picture.write_bytes(b"a picture")
    shots = [
        Request("pixverse-c1-reference-to-video", prompt="A kite", references=[{"url": picture, "ref_name": "fox"}]),
        Request(
            "kling-o3-reference-to-video",
            prompt="@Element1",
            start_image_url=picture,
            image_urls=[b"another", LINK],
            elements=[{"frontal_image_url": b"a face", "reference_image_urls": [picture, b"another"]}],
        ),
        Request("omnihuman-1.5", image_url=picture, audio_url=b"a sound"),
    ]

    for shot in shots:
        await client.generate(shot)

    references, kling, _ = (task.body for task in fox.ledger.tasks.values())
    link = references["references"][0]["url"]
    assert link.startswith(f"{fox.base_url}/uploads/")
    assert kling["start_image_url"] == link
    assert kling["elements"][0]["reference_image_urls"] == [link, kling["image_urls"][0]]
    assert kling["image_urls"][1] == LINK
    assert fox.ledger.uploaded == 4


async def test_a_dead_upload_is_refused_wherever_it_stands(fox: Emulator, client: Client) -> None:
    """The emulator looks at nested links, too."""
    dead = f"{fox.base_url}/uploads/1/2/3.png"
    with pytest.raises(InvalidRequest, match="the file cannot be fetched"):
        await client.generate(Request("pixverse-c1-reference-to-video", prompt="A kite", references=[{"url": dead}]))


# --- Results ---


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("task-results-voice", "voice_id", "voice-1"),
        ("task-results-character", "character_id", "ch-1"),
        ("task-results-custom-element", "element_id", "el-1"),
    ],
)
def test_the_documented_results_of_profiles_are_read(name: str, field: str, value: str) -> None:
    """Each in its own shape; there is no link."""
    state = read_task(Reply(200, {}, (SAMPLES / f"{name}.json").read_bytes()), "task-unified-1790000001-k3v9q2ma")

    (result,) = state.results
    assert (result.url, result.fields[field]) == (None, value)
