"""What one can ask for, and what is refused before anything is sent."""

import copy
import doctest
import enum
import json
import pickle
from collections import UserDict
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
import pytest
from hypothesis import given, settings, strategies as st

from foxvideo import grok
from foxvideo._wire.encode import encode
from foxvideo.errors import FieldFault, InvalidRequest
from foxvideo.requests import generic as requests
from foxvideo.requests.generic import (
    GrokEditVideo,
    GrokImageToVideo,
    GrokReferenceToVideo,
    GrokTextToVideo,
    GrokVideoExtension,
    Request,
    VideoRequest,
    check,
    fields_of,
    media_of,
)
from foxvideo.requests.validation import is_local

LINK = "https://example.com/cat.jpg"
ESCAPE = "(pass check=False to send it all the same)"
ASPECTS = ("16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16")
LEAST: dict[type[Any], dict[str, Any]] = {
    GrokTextToVideo: {"prompt": "A kite"},
    GrokImageToVideo: {"prompt": "A kite", "image_url": LINK},
    GrokReferenceToVideo: {"prompt": "@Image1", "reference_image_urls": [LINK]},
    GrokEditVideo: {"prompt": "Make it night", "video_url": LINK},
    GrokVideoExtension: {"prompt": "It flies on", "video_url": LINK},
}
WAYS: list[Callable[[type[Any], dict[str, Any]], VideoRequest]] = [
    lambda kind, fields: kind(**fields),
    lambda kind, fields: Request(kind.model, **fields),
    lambda kind, fields: Request.from_mapping({"model": kind.model} | fields),
]
WAY_IDS = ["class", "Request", "mapping"]


def faults(request: VideoRequest, *, documented: bool = True) -> tuple[FieldFault, ...]:
    """Return what is wrong with a request; nothing if it passes."""
    try:
        check(request, documented=documented)
    except InvalidRequest as error:
        return error.faults
    return ()


def sent(request: VideoRequest) -> dict[str, Any]:
    """Return the body as the service would read it."""
    body: dict[str, Any] = json.loads(encode(request, {}))
    return body


def test_the_examples_in_the_docstrings_are_true() -> None:
    """They are run."""
    assert doctest.testmod(requests).failed == 0


# --- The five Grok models ---


@pytest.mark.parametrize("way", WAYS, ids=WAY_IDS)
@pytest.mark.parametrize("kind", LEAST)
def test_the_least_request_passes_and_sends_only_what_was_given(kind: type[Any], way: Callable[..., Any]) -> None:
    """No default of ours goes out: the service's own applies."""
    request = way(kind, LEAST[kind])
    assert faults(request) == ()
    assert sent(request) == {"model": kind.model} | LEAST[kind]


@pytest.mark.parametrize("way", WAYS, ids=WAY_IDS)
@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        *((GrokTextToVideo, {"duration": seconds}) for seconds in (1, 6, 15)),
        *((GrokImageToVideo, {"duration": seconds}) for seconds in (1, 15)),
        *((GrokReferenceToVideo, {"duration": seconds}) for seconds in (1, 10)),
        *((GrokVideoExtension, {"duration": seconds}) for seconds in (2, 10)),
        *((GrokTextToVideo, {"aspect_ratio": aspect}) for aspect in ASPECTS),
        *((GrokImageToVideo, {"aspect_ratio": aspect}) for aspect in ("auto", *ASPECTS)),
        *((GrokReferenceToVideo, {"aspect_ratio": aspect}) for aspect in ASPECTS),
        *((kind, {"resolution": "480p"}) for kind in LEAST if kind is not GrokVideoExtension),
        *((kind, {"resolution": "720p"}) for kind in LEAST if kind is not GrokVideoExtension),
        (GrokEditVideo, {"resolution": "auto"}),
        (GrokReferenceToVideo, {"reference_image_urls": [LINK] * 7}),
        (GrokReferenceToVideo, {"reference_image_urls": (LINK, Path("a.png"), b"\x89PNG")}),
        (GrokReferenceToVideo, {"prompt": "x" * 4096}),
        (GrokEditVideo, {"prompt": "x" * 4096}),
        (GrokTextToVideo, {"prompt": "x" * 10_000}),
        (GrokImageToVideo, {"prompt": "x" * 10_000}),
        (GrokVideoExtension, {"prompt": "x" * 10_000}),
        (GrokImageToVideo, {"image_url": Path("cat.png")}),
        (GrokImageToVideo, {"image_url": b"\x89PNG"}),
        (GrokImageToVideo, {"image_url": "http://[2001:db8::1]:8080/cat.png?x=1"}),
        (GrokEditVideo, {"video_url": Path("cat.mp4")}),
        (GrokVideoExtension, {"video_url": b"video"}),
    ],
)
def test_every_documented_value_passes(kind: type[Any], fields: dict[str, Any], way: Callable[..., Any]) -> None:
    """The ends of the ranges belong to them; lengths are checked only where a page prints them."""
    assert faults(way(kind, LEAST[kind] | fields)) == ()


@pytest.mark.parametrize("way", WAYS, ids=WAY_IDS)
@pytest.mark.parametrize(
    ("kind", "field", "value", "expected"),
    [
        (GrokTextToVideo, "duration", 0, f"duration=0: documented: 1-15 {ESCAPE}"),
        (GrokTextToVideo, "duration", 16, f"duration=16: documented: 1-15 {ESCAPE}"),
        (GrokImageToVideo, "duration", 16, f"duration=16: documented: 1-15 {ESCAPE}"),
        (GrokReferenceToVideo, "duration", 11, f"duration=11: documented: 1-10 {ESCAPE}"),
        (GrokVideoExtension, "duration", 1, f"duration=1: documented: 2-10 {ESCAPE}"),
        (GrokVideoExtension, "duration", 11, f"duration=11: documented: 2-10 {ESCAPE}"),
        (GrokTextToVideo, "duration", True, "duration=True: a whole number"),
        (GrokTextToVideo, "duration", 6.0, "duration=6.0: a whole number"),
        (GrokTextToVideo, "duration", "6", "duration='6': a whole number"),
        (GrokTextToVideo, "aspect_ratio", "auto", f"aspect_ratio='auto': documented: {', '.join(ASPECTS)} {ESCAPE}"),
        (GrokTextToVideo, "aspect_ratio", 1.5, "aspect_ratio=1.5: a text"),
        (GrokTextToVideo, "resolution", "1080p", f"resolution='1080p': documented: 480p, 720p {ESCAPE}"),
        (GrokImageToVideo, "resolution", "auto", f"resolution='auto': documented: 480p, 720p {ESCAPE}"),
        (GrokEditVideo, "resolution", "1080p", f"resolution='1080p': documented: auto, 480p, 720p {ESCAPE}"),
        (GrokTextToVideo, "prompt", "", "prompt='': a text that is not empty"),
        (GrokTextToVideo, "prompt", " \n", r"prompt=' \n': a text that is not empty"),
        (GrokTextToVideo, "prompt", 7, "prompt=7: a text"),
        (
            GrokEditVideo,
            "prompt",
            "x" * 4097,
            f"prompt=<4097 characters>: documented: at most 4096 characters {ESCAPE}",
        ),
        (
            GrokReferenceToVideo,
            "prompt",
            "x" * 4097,
            f"prompt=<4097 characters>: documented: at most 4096 characters {ESCAPE}",
        ),
        (
            GrokReferenceToVideo,
            "reference_image_urls",
            [],
            f"reference_image_urls=<0 items>: documented: 1-7 items {ESCAPE}",
        ),
        (
            GrokReferenceToVideo,
            "reference_image_urls",
            [LINK] * 8,
            f"reference_image_urls=<8 items>: documented: 1-7 items {ESCAPE}",
        ),
        (GrokReferenceToVideo, "reference_image_urls", LINK, f"reference_image_urls='{LINK}': a list"),
        (
            GrokReferenceToVideo,
            "reference_image_urls",
            [LINK, "cat.png"],
            "reference_image_urls[1]='cat.png': an http(s) URL; for a local file pass a pathlib.Path",
        ),
        (
            GrokImageToVideo,
            "image_url",
            "cat.png",
            "image_url='cat.png': an http(s) URL; for a local file pass a pathlib.Path",
        ),
        (
            GrokImageToVideo,
            "image_url",
            "data:image/png;base64,iVBORw0KGgo=",
            "image_url='data:image/png;base64,iVBORw0KGgo=': an http(s) URL; for a local file pass a pathlib.Path",
        ),
        (GrokEditVideo, "video_url", 7, "video_url=7: an http(s) URL, a pathlib.Path or bytes"),
    ],
)
def test_an_undocumented_value_is_refused_in_words(
    kind: type[Any], field: str, value: object, expected: str, way: Callable[..., Any]
) -> None:
    """Each fault names the field, the value and what would be right."""
    assert [str(fault) for fault in faults(way(kind, LEAST[kind] | {field: value}))] == [expected]


@pytest.mark.parametrize("kind", LEAST)
@pytest.mark.parametrize("way", WAYS[1:], ids=WAY_IDS[1:])
def test_what_a_page_demands_is_demanded(kind: type[Any], way: Callable[..., Any]) -> None:
    """All of it at once, in the order of the fields; None counts as not given."""
    missing = [(fault.field, fault.value) for fault in faults(way(kind, dict.fromkeys(LEAST[kind])))]
    assert missing == [(name, None) for name in LEAST[kind]]


def test_all_faults_are_told_at_once() -> None:
    """In the error's text, too."""
    request = GrokTextToVideo(prompt="", duration=99, aspect_ratio="2:1", extra={"seed": float("nan")})  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match=r"seed=nan.*prompt=''.*duration=99.*aspect_ratio='2:1'") as caught:
        check(request)
    assert [fault.field for fault in caught.value.faults] == ["seed", "prompt", "duration", "aspect_ratio"]
    assert str(caught.value).startswith("grok-imagine-text-to-video: ")
    assert caught.value.submitted == "no"


def test_an_unknown_field_is_refused_with_the_nearest_name() -> None:
    """The service refuses unknown fields, after a round trip."""
    (fault,) = faults(Request(GrokTextToVideo.model, prompt="A kite", duraton=6))
    assert str(fault) == f"duraton=6: not a field of this model, did you mean duration? {ESCAPE}"


def test_an_unknown_field_like_no_other_is_refused_with_the_list_of_all() -> None:
    """A field of another model, say."""
    (fault,) = faults(Request(GrokEditVideo.model, prompt="A kite", video_url=LINK, seed=1))
    assert str(fault) == f"seed=1: not a field of this model, its fields are prompt, video_url, resolution {ESCAPE}"


@pytest.mark.parametrize("way", WAYS, ids=WAY_IDS)
def test_without_the_check_undocumented_values_pass(way: Callable[..., Any]) -> None:
    """The service knows best; nothing is changed on the way."""
    fields = {"prompt": "", "duration": 99, "aspect_ratio": "2:1", "resolution": 1080}
    request = way(GrokTextToVideo, fields)
    assert faults(request, documented=False) == ()
    assert sent(request) == {"model": GrokTextToVideo.model} | fields


def test_a_fault_shows_no_more_than_the_beginning_of_a_value() -> None:
    """A prompt may be long, and bytes say nothing."""
    (text,) = faults(GrokTextToVideo(prompt="A kite", resolution="x" * 500))  # type: ignore[arg-type]
    assert text.value == "'" + "x" * 56 + "..."
    (data,) = faults(GrokTextToVideo(prompt=b"\x00" * 500))  # type: ignore[arg-type]
    assert data.value == "<500 bytes>"


# --- Other models and extra fields ---


def test_an_unknown_model_goes_out_unchecked() -> None:
    """Its page may be younger than this package; ids have many shapes."""
    request = Request("google/veo-3.1[fast|audio]", prompt="", duration=99, nested={"a": [1, 2.5, True, None]})
    assert faults(request) == ()
    assert sent(request)["nested"] == {"a": [1, 2.5, True, None]}


@pytest.mark.parametrize("request_", [Request("m", a=None, b=0, c="", d=[]), Request("m", b=0, c="", d=[])])
def test_none_at_the_top_is_not_sent_and_all_else_is(request_: Request) -> None:
    """Zero, an empty text and an empty list were given."""
    assert sent(request_) == {"model": "m", "b": 0, "c": "", "d": []}


def test_extra_fields_are_sent_as_they_are() -> None:
    """Schemas change faster than we can follow; None is left out there, too."""
    request = GrokTextToVideo(prompt="A kite", extra={"callback_url": "https://example.com/hook", "seed": None})
    assert faults(request) == ()
    expected = {"model": GrokTextToVideo.model, "prompt": "A kite", "callback_url": "https://example.com/hook"}
    assert sent(request) == expected


def test_extra_must_not_say_again_what_is_a_field() -> None:
    """Which of the two should win?"""
    (fault,) = faults(GrokTextToVideo(prompt="A kite", extra={"duration": 5}))
    assert str(fault) == "extra['duration']=...: set duration as a field of the request, not in extra"
    unchecked = GrokTextToVideo(prompt="A kite", duration=6, extra={"duration": 99})
    assert faults(unchecked, documented=False) == ()
    assert sent(unchecked)["duration"] == 99


@pytest.mark.parametrize("request_", [Request("m", model="n"), GrokTextToVideo(prompt="A", extra={"model": "n"})])
@pytest.mark.parametrize("documented", [True, False])
def test_the_model_cannot_be_said_twice(request_: VideoRequest, documented: bool) -> None:
    """Neither as a field nor as an extra one, checked or not."""
    (fault,) = faults(request_, documented=documented)
    assert str(fault) == "model='n': is given by the request already"


@pytest.mark.parametrize("extra", [None, [("seed", 1)], "seed"])
def test_extra_must_be_a_mapping(extra: Any) -> None:  # noqa: ANN401 - anything
    """Said by the constructor."""
    with pytest.raises(InvalidRequest, match=r"extra=.*a mapping"):
        GrokTextToVideo(prompt="A kite", extra=extra)


@pytest.mark.parametrize(("model", "shown"), [("", "''"), (" ", "' '"), (None, None), (7, "7"), (["m"], "['m']")])
@pytest.mark.parametrize("documented", [True, False])
def test_a_request_needs_the_id_of_a_model(model: Any, shown: str | None, documented: bool) -> None:  # noqa: ANN401 - anything
    """Any text that is not blank."""
    assert faults(Request(model), documented=documented) == (FieldFault("model", shown, "the id of a model"),)


def test_a_pasted_mapping_becomes_a_request() -> None:
    """The API's own JSON, as its pages print it; it stays as it was."""
    body = {"model": "m", "prompt": "A kite", "self": 1, "fields": 2}
    request = Request.from_mapping(body)
    assert request == Request("m", prompt="A kite", self=1, fields=2)
    assert body["model"] == "m"
    assert Request.from_mapping(MappingProxyType(body)) == request


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ["model is missing: the id of a model"]),
        ({"model": None}, ["model is missing: the id of a model"]),
        ({"model": " "}, ["model=' ': the id of a model"]),
        ({"model": 7}, ["model=7: the id of a model"]),
        ({"model": "m", 1: "a"}, ["[1]='a': its name is not a text"]),
        ({"model": "", None: 2}, ["model='': the id of a model", "[None]=2: its name is not a text"]),
    ],
)
def test_a_mapping_that_is_no_request_is_refused(body: Mapping[str, object], expected: list[str]) -> None:
    """All faults at once here, too."""
    with pytest.raises(InvalidRequest) as caught:
        Request.from_mapping(body)
    assert [str(fault) for fault in caught.value.faults] == expected


# --- What JSON cannot carry ---


class Colour(enum.StrEnum):
    """A text that is also something else."""

    RED = "red"


class Unshowable:
    """A value whose repr fails."""

    def __repr__(self) -> str:
        raise RuntimeError


ALLOWED = "a text, number, boolean, list, object, pathlib.Path or bytes"
HALF = "Unicode text, without half of a surrogate pair"


@pytest.mark.parametrize("documented", [True, False])
@pytest.mark.parametrize(
    ("value", "field", "shown", "allowed"),
    [
        (float("nan"), "x", "nan", "a finite number"),
        (float("-inf"), "x", "-inf", "a finite number"),
        ({"a": [0, float("inf")]}, "x.a[1]", "inf", "a finite number"),
        ({1, 2}, "x", "{1, 2}", ALLOWED),
        (Decimal("1.5"), "x", "Decimal('1.5')", ALLOWED),
        ([1, [Unshowable()]], "x[1][0]", "<Unshowable>", ALLOWED),
        ({"a": {2: "b"}}, "x.a[2]", "'b'", "its name is not a text"),
        (2**64, "x", "18446744073709551616", "a whole number of at most 64 bits"),
        (-(10**5000), "x", "<int>", "a whole number of at most 64 bits"),
        ("a fox \ud83d", "x", "'a fox \\ud83d'", HALF),
        ({"a": ["caf\udce9"]}, "x.a[0]", "'caf\\udce9'", HALF),
        ({"\ud83d": 1}, "x['\\ud83d']", "1", "its name is not a text"),
    ],
    ids=lambda value: "" if isinstance(value, int) else None,
)
def test_what_json_cannot_carry_is_refused(
    value: object, field: str, shown: str, allowed: str, documented: bool
) -> None:
    """Checked or not, at any depth, with the way to it."""
    assert faults(Request("m", x=value), documented=documented) == (FieldFault(field, shown, allowed),)


@pytest.mark.parametrize("documented", [True, False])
def test_a_name_in_extra_must_be_a_text(documented: bool) -> None:
    """JSON would make it one in silence."""
    request = GrokTextToVideo(prompt="A kite", extra={1: "a"})  # type: ignore[dict-item]
    assert [str(fault) for fault in faults(request, documented=documented)] == ["[1]='a': its name is not a text"]


@pytest.mark.parametrize(
    "value", [{"a": UserDict({"b": (1, 2)})}, Colour.RED, 2**64 - 1, -(2**64) + 1, "\U0001f98a", [[]] * 20, {"": 0}]
)
def test_what_json_can_carry_is_sent(value: object) -> None:
    """Every mapping is an object, every tuple a list, a member of an enumeration its text."""
    request = Request("m", x=value)
    assert faults(request) == ()
    expected = {"a": {"b": [1, 2]}} if isinstance(value, dict) and value.get("a") else value
    assert sent(request)["x"] == expected


def cyclic() -> list[object]:
    """Return a list that holds itself, twice."""
    items: list[object] = []
    items += [items, items]
    return items


def deep(levels: int) -> object:
    """Return lists within lists."""
    value: object = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize("value", [cyclic(), deep(33), deep(100_000)], ids=["cyclic", "33", "100000"])
@pytest.mark.parametrize(
    "make",
    [
        lambda value: Request("m", x=value),
        lambda value: Request.from_mapping({"model": "m", "x": value}),
        lambda value: GrokTextToVideo(prompt=value),
        lambda value: GrokTextToVideo(prompt="A kite", duration=value),
        lambda value: GrokReferenceToVideo(prompt="A kite", reference_image_urls=value),
        lambda value: GrokTextToVideo(prompt="A kite", extra={"x": value}),
    ],
)
def test_what_is_nested_without_end_is_an_invalid_request(make: Callable[[object], object], value: object) -> None:
    """Not a RecursionError."""
    with pytest.raises(InvalidRequest, match="more than 32 deep"):
        make(value)


def test_thirty_one_levels_below_a_request_are_fine() -> None:
    """The request's own object is the first."""
    assert faults(Request("m", x=deep(31))) == ()


# --- Media ---


def test_paths_and_bytes_are_media_and_texts_are_not() -> None:
    """A text is a URL, or a mistake."""
    assert is_local(Path("cat.png"))
    assert is_local(b"")
    assert not is_local("cat.png")


def test_media_are_found_at_any_depth_and_can_be_replaced() -> None:
    """By the identity of the value, so that equal paths need not be equal files."""
    first, second, third, fourth = Path("a.png"), b"\x89PNG", Path("c.png"), b"video"
    request = Request("m", image_url=first, more=[second, {"deep": (third,)}], text="a.png", video=fourth, again=first)
    assert faults(request) == ()
    media = media_of(request)
    assert list(media.values()) == [first, second, third, fourth]
    links = {key: f"https://cdn.example/{number}" for number, key in enumerate(media)}
    assert json.loads(encode(request, links)) == {
        "model": "m",
        "image_url": "https://cdn.example/0",
        "more": ["https://cdn.example/1", {"deep": ["https://cdn.example/2"]}],
        "text": "a.png",
        "video": "https://cdn.example/3",
        "again": "https://cdn.example/0",
    }


@pytest.mark.parametrize(
    "request_",
    [
        GrokImageToVideo(prompt="A kite", image_url=Path("cat.png")),
        GrokReferenceToVideo(prompt="A kite", reference_image_urls=[LINK, Path("cat.png")]),
        GrokTextToVideo(prompt="A kite", extra={"frames": [{"first": Path("cat.png")}]}),
    ],
)
def test_the_media_of_a_grok_request_are_found(request_: VideoRequest) -> None:
    """In its own fields and in the extra ones."""
    assert list(media_of(request_).values()) == [Path("cat.png")]


def test_a_request_without_files_has_no_media() -> None:
    """So it needs no upload."""
    assert media_of(GrokImageToVideo(prompt="A kite", image_url=LINK)) == {}


# --- Values ---


def test_the_callers_later_changes_change_nothing() -> None:
    """A request owns its lists and mappings, at any depth."""
    urls, nested, extra = [LINK], {"a": [{"b": [1]}]}, {"c": [1]}
    reference = GrokReferenceToVideo(prompt="A kite", reference_image_urls=urls, extra=extra)
    plain = Request("m", nested=nested)
    before = sent(reference), sent(plain)
    urls.append("cat.png")
    extra["c"].append(2)
    nested["a"][0]["b"].append(2)
    nested["new"] = []
    assert (sent(reference), sent(plain)) == before


def test_what_fields_of_returns_is_the_callers() -> None:
    """Adding to it adds nothing to the request."""
    request = Request("m", a=1)
    fields_of(request)["b"] = 2
    assert fields_of(request) == {"a": 1}


@pytest.mark.parametrize("kind", LEAST)
def test_a_grok_request_is_a_frozen_hashable_value(kind: type[Any]) -> None:
    """Equal by its fields; a list among them does not matter."""
    request, again = kind(**LEAST[kind]), kind(**LEAST[kind])
    assert request == again
    assert len({request, again}) == 1
    assert request != kind(**LEAST[kind], extra={"seed": 1})
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        request.prompt = "Another"
    assert attrs.evolve(request, prompt="Another").prompt == "Another"


def test_a_request_is_a_frozen_hashable_value() -> None:
    """Equal by the model and the fields, hashed by the model."""
    request, again = Request("m", a=[1]), Request("m", a=[1])
    assert request == again
    assert len({request, again}) == 1
    assert request != Request("m", a=[2])
    assert request != Request("n", a=[1])
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        request.model = "n"  # type: ignore[misc]


@pytest.mark.parametrize("request_", [Request("m", a=[Path("cat.png")]), GrokTextToVideo(prompt="A", extra={"b": [1]})])
def test_a_request_survives_pickle_and_copy(request_: VideoRequest) -> None:
    """It may come from another process."""
    assert pickle.loads(pickle.dumps(request_)) == request_  # noqa: S301 - our own bytes
    assert copy.deepcopy(request_) == request_


def test_a_repr_can_be_pasted() -> None:
    """It names what was given, but what is large: of a notebook's page it takes a few lines."""
    expected = "GrokTextToVideo(prompt='A kite', duration=6)"
    assert repr(GrokTextToVideo(prompt="A kite", duration=6)) == expected
    large = Request("m", files=[b"x" * 3000, ("a" * 3000,)], at=Path("cat.png"), n=None, inside={"b": bytes(10**6)})
    assert len(repr(large)) < 600
    assert "<3000 bytes>" in repr(large)
    assert "image_url=<1000000 bytes>" in repr(GrokImageToVideo(prompt="A kite", image_url=bytes(10**6)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3),
    lambda items: st.lists(items, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), items, max_size=3),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["prompt", "duration", "image_url", "x"]), JSON), st.booleans())
def test_what_passes_the_check_can_be_encoded(fields: dict[str, Any], documented: bool) -> None:
    """And what cannot is an InvalidRequest, for known models and others."""
    for model in (GrokImageToVideo.model, "m"):
        request = Request(model, **fields)
        if not faults(request, documented=documented):
            body = json.loads(encode(request, dict.fromkeys(media_of(request), LINK)))
            assert body.keys() == {"model"} | {name for name, value in fields.items() if value is not None}


# --- One name for the five of Grok ---


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"prompt": "A kite"}, "GrokTextToVideo"),
        ({"prompt": "It flies", "image_url": b"a picture"}, "GrokImageToVideo"),
        ({"prompt": "They meet", "reference_image_urls": [b"a", b"b"]}, "GrokReferenceToVideo"),
        ({"prompt": "At night", "video_url": "https://example.com/a.mp4"}, "GrokEditVideo"),
        ({"prompt": "On", "video_url": "https://example.com/a.mp4", "extend": True}, "GrokVideoExtension"),
    ],
    ids=str,
)
def test_grok_is_the_request_that_takes_the_fields(fields: dict[str, Any], kind: str) -> None:
    """A beginner needs no name of a class."""
    request = grok(**fields)
    assert type(request).__name__ == kind
    assert request.prompt == fields["prompt"]


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"prompt": "A kite", "length": 6}, ("length", "6")),
        ({}, ("prompt", None)),
        ({"prompt": "A kite", "image_url": b"a picture", "size": 2}, ("size", "2")),
    ],
    ids=str,
)
def test_grok_refuses_what_its_request_does_not_take(fields: dict[str, Any], fault: tuple[str, str | None]) -> None:
    """By name, as every check does, and not as a TypeError of Python."""
    with pytest.raises(InvalidRequest) as refused:
        grok(**fields)
    assert [(found.field, found.value) for found in refused.value.faults] == [fault]
