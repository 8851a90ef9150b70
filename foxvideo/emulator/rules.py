"""What the five Grok models accept: the emulator's own checker of submit bodies.

A table of fields per model and the functions that hold a decoded body against it. No HTTP, no task, no film.
The table follows https://docs.foxapi.cc/pages/en/api-manual/video-series/grok/ and is written down here a
second time on purpose: nothing of the client is consulted.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

_NARROW: Final = ("16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16")
_HEIGHTS: Final = ("480p", "720p")


@attrs.frozen
class Text:
    """A non-empty string of at most `longest` characters; None where no page prints a limit."""

    longest: int | None = None
    required: bool = True
    default: None = None

    def fault(self, value: object) -> str | None:
        """Return what is wrong with `value`, or None."""
        if not isinstance(value, str):
            return "must be a string"
        if not value:
            return "must not be empty"
        if self.longest is not None and len(value) > self.longest:
            return f"must have at most {self.longest} characters, has {len(value)}"
        return None


@attrs.frozen
class Whole:
    """A whole number from `least` to `most`. True and False are no numbers."""

    least: int
    most: int
    default: int
    required: bool = False

    def fault(self, value: object) -> str | None:
        """Return what is wrong with `value`, or None."""
        if not isinstance(value, int) or isinstance(value, bool):
            return "must be an integer"
        if not self.least <= value <= self.most:
            return f"must be from {self.least} to {self.most}, is {value}"
        return None


@attrs.frozen
class Choice:
    """One of the strings in `options`."""

    options: tuple[str, ...]
    default: str
    required: bool = False

    def fault(self, value: object) -> str | None:
        """Return what is wrong with `value`, or None."""
        if value not in self.options:
            return f"must be one of {', '.join(self.options)}"
        return None


@attrs.frozen
class MediaUrl:
    """An http or https URL with a host."""

    required: bool = True
    default: None = None

    def fault(self, value: object) -> str | None:
        """Return what is wrong with `value`, or None."""
        if not isinstance(value, str) or not _is_web_url(value):
            return "must be a public http(s) URL"
        return None


@attrs.frozen
class MediaUrls:
    """From one to `most` http or https URLs."""

    most: int
    required: bool = True
    default: None = None

    def fault(self, value: object) -> str | None:
        """Return what is wrong with `value`, or None."""
        if not isinstance(value, list):
            return "must be an array of URLs"
        if not 1 <= len(value) <= self.most:
            return f"must hold from 1 to {self.most} URLs, holds {len(value)}"
        return next(filter(None, map(MediaUrl().fault, value)), None)


Rule = Text | Whole | Choice | MediaUrl | MediaUrls

MODELS: Final[Mapping[str, Mapping[str, Rule]]] = {
    "grok-imagine-text-to-video": {
        "prompt": Text(),
        "duration": Whole(1, 15, default=6),
        "aspect_ratio": Choice(_NARROW, default="16:9"),
        "resolution": Choice(_HEIGHTS, default="720p"),
    },
    "grok-imagine-image-to-video": {
        "prompt": Text(),
        "image_url": MediaUrl(),
        "duration": Whole(1, 15, default=6),
        "aspect_ratio": Choice(("auto", *_NARROW), default="auto"),
        "resolution": Choice(_HEIGHTS, default="720p"),
    },
    "grok-imagine-reference-to-video": {
        "prompt": Text(4096),
        "reference_image_urls": MediaUrls(7),
        "duration": Whole(1, 10, default=8),
        "aspect_ratio": Choice(_NARROW, default="16:9"),
        "resolution": Choice(_HEIGHTS, default="480p"),
    },
    "grok-imagine-edit-video": {
        "prompt": Text(4096),
        "video_url": MediaUrl(),
        "resolution": Choice(("auto", *_HEIGHTS), default="auto"),
    },
    "grok-imagine-video-extension": {
        "prompt": Text(4096),
        "video_url": MediaUrl(),
        "duration": Whole(2, 10, default=6),
    },
}
"""The fields of each model besides `model` itself, with their defaults."""


@attrs.frozen
class Refusal:
    """Why a body is refused with 422: a line for people, a code for programs where one is documented."""

    message: str
    code: str | None = None


def refusal(body: object, *, strict: bool) -> Refusal | None:
    """Hold a decoded submit body against the documentation.

    Args:
        body: What the JSON decoder gave.
        strict: True checks models, fields and values; False only asks for an object with a `model`.

    Returns:
        What is wrong with it, all faults in one line, or None when the body may become a task.
    """
    if not isinstance(body, dict):
        return Refusal("the body must be a JSON object")
    model = body.get("model")
    if not isinstance(model, str) or not model:
        return Refusal("model: is required and must be a string")
    if not strict:
        return None
    fields = MODELS.get(model)
    if fields is None:
        return Refusal(f"model {model!r} was not found or is not open to this key", "model_not_found")
    faults = "; ".join(_faults(fields, body))
    return Refusal(faults) if faults else None


def default(model: str, field: str) -> Any:  # noqa: ANN401 - a default is a string, a number or nothing
    """Return the documented default of a model's field, or None where there is none."""
    rule = MODELS.get(model, {}).get(field)
    return None if rule is None else rule.default


def _faults(fields: Mapping[str, Rule], body: Mapping[str, object]) -> Iterator[str]:
    for name, value in body.items():
        if name == "model":
            continue
        if name not in fields:
            yield f"{name}: extra fields are not permitted"
        elif fault := fields[name].fault(value):
            yield f"{name}: {fault}"
    for name, rule in fields.items():
        if rule.required and name not in body:
            yield f"{name}: field required"


def _is_web_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)
