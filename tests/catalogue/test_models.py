"""Every documented model, from the check to the result, and two checkers that were written apart."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from foxvideo import Client, Every, InvalidRequest, Request, ResultsMissing, Video, catalogue
from foxvideo._wire.encode import encode
from foxvideo.catalogue import Model, Parameter
from foxvideo.emulator import Emulator, rules
from foxvideo.requests import generic as requests, rules as relations

MODELS = catalogue.models()
IDS = [model.id for model in MODELS]
FAMILIES = sorted({model.family for model in MODELS})
LINK = "https://example.com/a"
NEEDED: dict[str, dict[str, Any]] = {  # what a page demands in words
    **{model.id: {"prompt": "A kite"} for model in MODELS if "multi_prompt" in model.parameters},
    **{id_: {"image_urls": [LINK]} for id_ in IDS if id_.startswith("seedance-2") and "reference" in id_},
}
PROFILES = {
    "kling-video-create-voice": "voice_id",
    "sora-2-character": "character_id",
    "kling-custom-element": "element_id",
}


def minimal(model: Model) -> dict[str, Any]:
    """Return the fields without which a model makes nothing."""
    plain = {"text": "A kite", "media": LINK, "media list": [LINK], "object list": [{"url": LINK}]}
    required = {name: known for name, known in model.parameters.items() if known.required}
    options = {name: known.options[0] if known.options else plain[known.type] for name, known in required.items()}
    return options | NEEDED.get(model.id, {})


def value(rng: random.Random, known: Parameter) -> Any:  # noqa: ANN401, PLR0911 - whatever JSON can hold
    """Draw a value within the documented range."""
    low, high = known.low, known.high
    match known.type:
        case _ if known.options:
            return rng.choice(known.options)
        case "text":
            return "k" * rng.randint(max(1, int(low or 1)), min(int(high or 40), 60))
        case "integer":
            least, most = int(low if low is not None else -9), int(high if high is not None else 99)
            return rng.choice([least, most, rng.randint(least, most), *known.also])
        case "number":
            return rng.choice([low, high, rng.uniform(low or 0, high or 0)])
        case "boolean":
            return rng.random() < 0.5
        case "object":
            return {"a": [1]}
        case "media":
            return rng.choice([LINK, "http://example.com:8080/a?b=c#d", *(["aGk="] if known.base64 else [])])
        case _:
            least, most = max(1, int(low or 1)), min(int(high or 5), 12)
            return [item(rng, known) for _ in range(rng.choice([least, most, rng.randint(least, most)]))]


def item(rng: random.Random, known: Parameter) -> Any:  # noqa: ANN401
    """Draw an item of a list."""
    if known.type == "object list":
        return {name: value(rng, inner) for name, inner in known.items.items() if inner.required or rng.random() < 0.8}
    return LINK if known.type == "media list" else "word"


def drawn(rng: random.Random, model: Model) -> dict[str, Any]:
    """Draw some fields of a model, each within its range."""
    return {name: value(rng, known) for name, known in model.parameters.items() if known.required or rng.random() < 0.5}


def fitted(model: Model, fields: dict[str, Any]) -> dict[str, Any]:  # noqa: C901, PLR0912 - one page after another
    """Make drawn fields agree with each other, as the pages say in words."""
    id_, fields = model.id, dict(fields)
    if ("-lite" in id_ or id_.startswith("seedance-2.5")) and fields.get("resolution", "1080p") == "1080p":
        fields.pop("duration", None)
    if model.family == "veo-3.1" and "generation_type" in model.parameters:
        mode = fields.setdefault("generation_type", "text-to-video")
        pictures = {"text-to-video": 0, "image-to-video": 1, "first-last-frame": 2, "reference-to-video": 3}[mode]
        fields["image_urls"] = [LINK] * pictures
        if mode == "reference-to-video":
            fields.pop("duration", None)
        else:
            fields.pop("reference_type", None)
        if not pictures:
            del fields["image_urls"]
    if id_.startswith("vidu-q3") and "generation_type" in fields:
        count = {"text-to-video": 0, "image-to-video": 1, "first-last-frame": 2, "reference-to-video": 4}
        fields["image_urls"] = [LINK] * count[fields["generation_type"]]
    if id_ == "wan-2.7-image-to-video":
        mode = fields.setdefault("generation_type", "image-to-video")
        fields["image_urls"], video = [LINK] * (2 if mode == "first-last-frame" else 1), mode == "video-continuation"
        fields.pop("image_urls" if video else "video_url", None)
        if video:
            fields["video_url"] = LINK
    if model.family in {"kling-v3", "kling-o3"} and fields.pop("multi_prompt", None):
        fields["multi_prompt"] = [{"prompt": "a", "duration": 2}, {"prompt": "b", "duration": 3}]
        fields["duration"] = 5
    if "multi_prompt" in fields and model.family == "kling-o3":
        fields.pop("prompt", None)
    elif "multi_prompt" in model.parameters:
        fields.setdefault("prompt", "A kite")
    if model.family == "kling-o3" and model.kind in {"video-edit", "video-reference"}:
        fields |= {name: fields[name][:2] for name in ("image_urls", "elements") if name in fields}
    if "voice_ids" in fields:
        fields["generate_audio"] = True
    if id_ in NEEDED and "seedance" in id_:
        fields["image_urls"] = [LINK] * 6
    if "frames_per_clip" in fields:
        fields["frames_per_clip"] -= fields["frames_per_clip"] % 4
    if "callback_url" in fields:
        fields["callback_url"] = "https://example.com/hook"
    return fields


async def made(bodies: dict[str, dict[str, Any]]) -> dict[str, Video]:
    """Submit a request of each model to a strict service, wait for all, and return what came of them."""
    async with (
        Emulator(seconds=10.0, render=False) as fox,
        Client(fox.api_key, fox.base_url, schedule=Every(2)) as client,
    ):
        tasks = {id_: client.submit(Request(id_, **fields)) for id_, fields in bodies.items()}
        videos = await asyncio.gather(*tasks.values())
        assert fox.ledger.charged == len(bodies)
        assert sorted(task.model for task in fox.ledger.tasks.values()) == sorted(bodies)
    return dict(zip(tasks, videos, strict=True))


# --- To the result ---


async def test_the_least_request_of_every_model_goes_through_to_its_result() -> None:
    """All of them, in one client: a video has a link, a profile has its id."""
    videos = await made({model.id: minimal(model) for model in MODELS})

    assert len(videos) == 101
    for id_, video in videos.items():
        assert video.model == id_
        assert (len(video.urls), len(video.results)) == ((0 if id_ in PROFILES else 1), 1)


@pytest.mark.parametrize("family", FAMILIES)
async def test_what_is_drawn_within_the_documented_ranges_goes_through_to_its_result(family: str) -> None:
    """Every model of a family, with fields and values that nobody chose."""

    @settings(max_examples=4, deadline=None)
    @given(rng=st.randoms(use_true_random=False))
    def bodies(rng: random.Random) -> None:
        found.append({model.id: fitted(model, drawn(rng, model)) for model in MODELS if model.family == family})

    found: list[dict[str, dict[str, Any]]] = []
    bodies()
    for each in found:
        videos = await made(each)
        assert all(video.results for video in videos.values())


@pytest.mark.parametrize(("model", "field"), PROFILES.items())
async def test_a_profile_has_its_id_in_the_results_and_says_so_when_asked_for_a_link(model: str, field: str) -> None:
    """Whatever field of the reply it came in."""
    known = catalogue.find(model)
    assert known is not None
    video = (await made({model: minimal(known)}))[model]

    assert str(video.results[0].fields[field]).startswith(field.removesuffix("_id")[:4])
    with pytest.raises(ResultsMissing, match=rf"no link, but {field}") as caught:
        _ = video.url
    assert caught.value.hint == "read video.results"


async def test_results_keep_what_a_model_adds_to_its_link() -> None:
    """A seed, and the id that a remix needs."""
    videos = await made(
        {
            "seedance-2.0-text-to-video": {"prompt": "A kite", "seed": 7},
            "sora-2": {"prompt": "A kite", "delete_video": False},
        }
    )

    assert videos["seedance-2.0-text-to-video"].results[0].fields["seed"] == 7
    assert str(videos["sora-2"].results[0].fields["video_id"]).startswith("video-")


SENT: list[dict[str, Any]] = [
    {
        "model": "creatify-aurora",
        "image_url": LINK,
        "audio_url": LINK,
        "resolution": "480p",
        "prompt": "He nods",
        "guidance_scale": 3.5,
        "audio_guidance_scale": 0,
    },
    {"model": "fabric-1.0-fast", "image_url": LINK, "audio_url": LINK, "resolution": "720p"},
    {
        "model": "kling-v3-text-to-video",
        "multi_prompt": [{"prompt": "a", "duration": 5}, {"prompt": "b", "duration": 5}],
        "duration": 10,
        "aspect_ratio": "9:16",
        "resolution": "4k",
        "generate_audio": True,
        "voice_ids": ["v1", "v2"],
    },
    {
        "model": "kling-v3-image-to-video",
        "prompt": "A kite",
        "image_url": LINK,
        "image_tail_url": LINK,
        "negative_prompt": "blur",
    },
    {
        "model": "kling-v3-motion-control",
        "image_url": LINK,
        "video_url": LINK,
        "mode": "pro",
        "keep_original_sound": "no",
        "character_orientation": "video",
    },
    {"model": "seedance-2.0-fast-image-to-video", "prompt": "A kite", "image_url": LINK, "end_image_url": LINK},
    {"model": "seedance-2.0-reference-to-video", "prompt": "A kite", "video_urls": [LINK], "audio_urls": [LINK] * 3},
    {"model": "sync-3", "video_url": LINK, "audio_url": LINK, "sync_mode": "cut_off"},
]


@pytest.mark.parametrize("body", SENT, ids=lambda body: body["model"])
def test_what_live_clients_of_the_service_send_passes_both_checkers(body: dict[str, Any]) -> None:
    """The shapes that they are known to build."""
    requests.check(Request.from_mapping(body))

    assert rules.refusal(body, strict=True) is None


# --- One wrong field ---


def wrong(model: Model) -> Iterator[tuple[str, Any]]:
    """Give one field after another a value that its page does not have."""
    yield "wrong_field", 1
    for name, known in model.parameters.items():
        match known.type:
            case "text" if known.options:
                yield name, "no such option"
            case "text" if known.high is not None:
                yield name, "x" * int(known.high + 1)
            case "text" | "media" | "boolean" | "object":
                yield name, 7
            case "integer" | "number":
                yield name, "many" if known.high is None else known.high + 1
            case _:
                yield name, [LINK] * int(known.high + 1) if known.high is not None else [7]


@pytest.mark.parametrize("id_", IDS)
def test_a_wrong_field_is_refused_by_name_on_both_sides(id_: str) -> None:
    """Each field of each model, one at a time; the error names that field and no other."""
    model = catalogue.find(id_)
    assert model is not None
    for name, bad in wrong(model):
        request = Request(id_, **(minimal(model) | {name: bad}))
        with pytest.raises(InvalidRequest) as caught:
            requests.check(request)
        fields = {fault.field.partition("[")[0] for fault in caught.value.faults}
        assert name in fields
        assert fields <= {name, "duration", "image_urls", "generate_audio"}, "a rule between fields may follow from it"
        requests.check(request, documented=False)
        refusal = rules.refusal({"model": id_, **request.fields}, strict=True)
        assert refusal is not None
        assert f"{name}: " in refusal.message


async def test_unchecked_a_wrong_field_is_refused_by_the_service() -> None:
    """One of each model, with 422 and its name; nothing is made."""
    async with (
        Emulator(render=False) as fox,
        Client(fox.api_key, fox.base_url) as client,
    ):
        rng = random.Random(7)  # noqa: S311 - repeatable, not secret
        bad = {model.id: rng.choice(list(wrong(model))) for model in MODELS}
        tasks = [
            client.submit(Request(model.id, **(minimal(model) | dict([bad[model.id]]))), check=False)
            for model in MODELS
        ]
        errors = await asyncio.gather(*tasks, return_exceptions=True)
        assert fox.ledger.charged == 0
        assert fox.ledger.submitted == 101

    for (name, _), error in zip(bad.values(), errors, strict=True):
        assert isinstance(error, InvalidRequest)
        assert error.http_status == 422
        assert f"{name}: " in error.what


# --- The two checkers ---

ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 3, 4, 5, 8, 10, 30, 4.0, 0.5, 2**40),
    *("", " ", "\u2003", "x", "16:9", "1080p", "yes", LINK, "cat.png", "aGk=", "aGk", "data:image/png;base64,aGk="),
    *("http://", "http://:80/", "http://[::1", "ftp://a/b", "HTTPS://Example.com", "https://127.0.0.1/x"),
    *("https://localhost/", "https://10.0.0.1:443/hook", "https://hooks.example.com/", "http://hooks.example.com/"),
    *([], [LINK], [LINK] * 2, [LINK] * 3, [LINK] * 5, [LINK] * 9, ["x"], [None], [7], [LINK, "cat.png"], {}, {"a": 1}),
    *([{"url": LINK}], [{"url": "x"}], [{}], [{"frontal_image_url": LINK}], [{"reference_image_urls": [7]}]),
    *([{"prompt": "a", "duration": 5}], [{"prompt": "a", "duration": 2}, {"prompt": "b", "duration": 3}]),
    *([{"prompt": "a", "duration": "5"}], [{"prompt": 7}], [{"prompt": "a", "duration": True}, {}]),
]
RELATED = list(relations.RULES)  # the models that have rules between fields
VARIANTS = ["veo-3.1[4k]", "fabric-1.0[480p]", "veo-3.1-lite[720p|audio]", "sora-2[1080p]"]


def edges(known: Parameter) -> list[Any]:
    """Return values at both sides of the ends of a range."""
    ends = [end + step for end in (known.low, known.high) if end is not None for step in (-1, 0, 1)]
    if known.type == "text":
        return ["x" * int(end) for end in ends if end >= 0]
    if known.type == "media list":
        return [[LINK] * int(end) for end in ends if end >= 0]
    return ends


def bent(rng: random.Random, model: Model) -> dict[str, Any]:
    """Draw a request that may be wrong in a few places, or in none."""
    fields = drawn(rng, model)
    if rng.random() < 0.5:
        fields = fitted(model, fields)
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        name = rng.choice([*model.parameters, rng.choice(["image_tail_url", "duraton", "ratio", "extra"])])
        known = model.parameters.get(name)
        match rng.choice(["odd", "odd", "edge", "good", "drop"]):
            case "drop":
                fields.pop(name, None)
            case "edge" if known and (values := edges(known)):
                fields[name] = rng.choice(values)
            case "good" if known:
                fields[name] = value(rng, known)
            case _:
                fields[name] = rng.choice(ODD)
    return fields


def disagreement(model_id: str, fields: dict[str, Any]) -> tuple[bool, str | None]:
    """Return whether the client takes a request, and how the emulator's verdict differs; None where it does not."""
    request = Request(model_id, **fields)
    try:
        requests.check(request)
        said = None
    except InvalidRequest as error:
        said = error.what
    refusal = rules.refusal(json.loads(encode(request, {})), strict=True)
    if (said is None) == (refusal is None):
        return said is None, None
    return said is None, f"{model_id} {fields!r}: client: {said}; emulator: {refusal}"


@pytest.mark.parametrize("seed", range(4))
def test_both_checkers_give_the_same_verdict_on_thousands_of_requests(seed: int) -> None:
    """They share the data of the catalogue and no code."""
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    verdicts, differences = Counter[bool](), list[str]()
    for _ in range(2500):
        id_ = rng.choice(rng.choice([IDS, RELATED, RELATED, VARIANTS]))
        model = catalogue.find(id_)
        assert model is not None
        taken, difference = disagreement(id_, bent(rng, model))
        verdicts[taken] += 1
        differences += [difference] if difference else []

    assert differences == []
    assert min(verdicts.values()) > 500, "both verdicts are put to the test"
