"""Requests as the JSON of a submission."""

import json
from pathlib import Path

import pytest

from foxvideo._wire.encode import encode
from foxvideo.requests.generic import GrokTextToVideo, Request


def test_a_body_has_what_was_given_and_the_model() -> None:
    """None is left out; the rest is JSON."""
    body = encode(Request("m", a=1, b=None, c=[True, {"d": None}], e="ü"), {})
    assert json.loads(body) == {"a": 1, "c": [True, {"d": None}], "e": "ü", "model": "m"}


def test_a_grok_body_is_named_as_on_the_wire() -> None:
    """With the class's model."""
    body = encode(GrokTextToVideo(prompt="A kite", duration=6, extra={"new": 1}), {})
    assert json.loads(body) == {"model": "grok-imagine-text-to-video", "prompt": "A kite", "duration": 6, "new": 1}


@pytest.mark.parametrize("request_", [Request("m", model="n"), GrokTextToVideo(prompt="A", extra={"model": "n"})])
def test_no_field_overrides_the_model(request_: Request | GrokTextToVideo) -> None:
    """Even where the check was passed by."""
    assert json.loads(encode(request_, {}))["model"] == request_.model


def test_links_take_the_place_of_files_at_any_depth() -> None:
    """By identity."""
    first, second = Path("a.png"), b"video"
    request = Request("m", a=first, b={"c": [(second,)]})
    body = encode(request, {id(first): "https://a", id(second): "https://b"})
    assert json.loads(body) == {"model": "m", "a": "https://a", "b": {"c": [["https://b"]]}}
