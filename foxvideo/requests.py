"""What one can ask for, and the checks that run before anything is sent.

What belongs here: the request values, the documented limits of their fields, and the pure function that
finds all faults of a request at once. What must not: JSON (``wire.py``), files and uploads (``transfers.py``).

The limits are FoxAPI's, from the pages below
https://docs.foxapi.cc/pages/en/api-manual/video-series/ (``grok/`` and ``grok-imagine-video/``). A limit stands
here only where a page prints it; what a page leaves open is left to the service.
"""

import difflib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

import attrs

from foxvideo.errors import FieldFault, InvalidRequest

LocalMedia = os.PathLike[str] | bytes
Media = str | LocalMedia
"""A picture or film: a public http(s) URL, or a local file or its bytes, which are uploaded first."""

Resolution = Literal["480p", "720p"]
Aspect = Literal["16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16"]

_RESOLUTIONS = ("480p", "720p")
_ASPECTS = ("16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16")
_SHOWN = 60  # characters of a value that an error shows
_MOST_LEVELS = 32  # of lists and objects within each other; ends a list that holds itself, too
_MOST_BITS = 64  # of a whole number; many JSON readers take no more


@attrs.frozen(kw_only=True)
class FieldRule:
    """What a page documents about one field.

    Attributes:
        kind: ``text``, ``integer``, ``media`` or ``media list``.
        required: Whether the page demands it.
        options: The only values allowed; empty for any.
        low: Smallest number, or fewest items of a list.
        high: Largest number, most items of a list, or most characters of a text.
    """

    kind: Literal["text", "integer", "media", "media list"]
    required: bool = False
    options: tuple[str, ...] = ()
    low: int = 0
    high: int | None = None


def _rule(rule: FieldRule) -> dict[str, FieldRule]:
    return {"rule": rule}


_PROMPT = _rule(FieldRule(kind="text", required=True))
_LONG_PROMPT = _rule(FieldRule(kind="text", required=True, high=4096))
_MEDIA = _rule(FieldRule(kind="media", required=True))


def _seconds(low: int, high: int) -> dict[str, FieldRule]:
    return _rule(FieldRule(kind="integer", low=low, high=high))


def _choice(*options: str) -> dict[str, FieldRule]:
    return _rule(FieldRule(kind="text", options=options))


def _own(value: object, levels: int = _MOST_LEVELS) -> Any:  # noqa: ANN401 - the value's own type
    """Copy lists and mappings, so that no later change to the caller's changes a request; all else is kept.

    Raises:
        InvalidRequest: They lie too deep within each other.
    """
    if not isinstance(value, Mapping | list | tuple):
        return value
    if not levels:
        raise InvalidRequest(f"lists or objects lie more than {_MOST_LEVELS} deep within each other")
    if isinstance(value, Mapping):
        return {name: _own(item, levels - 1) for name, item in value.items()}
    items = [_own(item, levels - 1) for item in value]
    return items if isinstance(value, list) else tuple(items)


@attrs.frozen(kw_only=True)
class _GrokRequest:
    """What the five Grok requests share."""

    model: ClassVar[str]

    extra: Mapping[str, object] = attrs.field(factory=dict, hash=False)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.extra, Mapping):
            raise _invalid(self.model, (FieldFault("extra", _show(self.extra), "a mapping of names to values"),))
        for field in attrs.fields(type(self)):
            own = _own(getattr(self, field.name))
            # A tuple, so that the request can be hashed.
            object.__setattr__(self, field.name, tuple(own) if isinstance(own, list) else own)


@attrs.frozen(kw_only=True)
class GrokTextToVideo(_GrokRequest):
    """A film from words alone: ``grok-imagine-text-to-video``.

    Fields are named as on the wire; None is not sent, and the service takes its own default.

    Attributes:
        prompt: What to show.
        duration: Whole seconds, 1 to 15; the service takes 6.
        aspect_ratio: The service takes 16:9.
        resolution: The service takes 720p.
        extra: Fields that this class does not know, sent as they are.
    """

    model = "grok-imagine-text-to-video"

    prompt: str = attrs.field(metadata=_PROMPT)
    duration: int | None = attrs.field(default=None, metadata=_seconds(1, 15))
    aspect_ratio: Aspect | None = attrs.field(default=None, metadata=_choice(*_ASPECTS))
    resolution: Resolution | None = attrs.field(default=None, metadata=_choice(*_RESOLUTIONS))


@attrs.frozen(kw_only=True)
class GrokImageToVideo(_GrokRequest):
    """A film that begins with a picture: ``grok-imagine-image-to-video``.

    Fields are named as on the wire; None is not sent, and the service takes its own default.

    Attributes:
        prompt: What happens in the picture.
        image_url: The first frame.
        duration: Whole seconds, 1 to 15; the service takes 6.
        aspect_ratio: ``auto`` follows the picture and is what the service takes.
        resolution: The service takes 720p.
        extra: Fields that this class does not know, sent as they are.
    """

    model = "grok-imagine-image-to-video"

    prompt: str = attrs.field(metadata=_PROMPT)
    image_url: Media = attrs.field(metadata=_MEDIA)
    duration: int | None = attrs.field(default=None, metadata=_seconds(1, 15))
    aspect_ratio: Aspect | Literal["auto"] | None = attrs.field(default=None, metadata=_choice("auto", *_ASPECTS))
    resolution: Resolution | None = attrs.field(default=None, metadata=_choice(*_RESOLUTIONS))


@attrs.frozen(kw_only=True)
class GrokReferenceToVideo(_GrokRequest):
    """A film with the people and things of some pictures: ``grok-imagine-reference-to-video``.

    Fields are named as on the wire; None is not sent, and the service takes its own default.

    Attributes:
        prompt: What to show, at most 4096 characters; names the pictures @Image1 to @Image7.
        reference_image_urls: 1 to 7 pictures.
        duration: Whole seconds, 1 to 10; the service takes 8.
        aspect_ratio: The service takes 16:9.
        resolution: The service takes 480p.
        extra: Fields that this class does not know, sent as they are.
    """

    model = "grok-imagine-reference-to-video"

    prompt: str = attrs.field(metadata=_LONG_PROMPT)
    reference_image_urls: Sequence[Media] = attrs.field(
        metadata=_rule(FieldRule(kind="media list", required=True, low=1, high=7))
    )
    duration: int | None = attrs.field(default=None, metadata=_seconds(1, 10))
    aspect_ratio: Aspect | None = attrs.field(default=None, metadata=_choice(*_ASPECTS))
    resolution: Resolution | None = attrs.field(default=None, metadata=_choice(*_RESOLUTIONS))


@attrs.frozen(kw_only=True)
class GrokEditVideo(_GrokRequest):
    """A film changed by words: ``grok-imagine-edit-video``.

    Fields are named as on the wire; None is not sent, and the service takes its own default.

    Attributes:
        prompt: What to change, at most 4096 characters.
        video_url: The film; the service scales it to 854x480 at most and cuts it to 8 s.
        resolution: ``auto`` is what the service takes.
        extra: Fields that this class does not know, sent as they are.
    """

    model = "grok-imagine-edit-video"

    prompt: str = attrs.field(metadata=_LONG_PROMPT)
    video_url: Media = attrs.field(metadata=_MEDIA)
    resolution: Resolution | Literal["auto"] | None = attrs.field(default=None, metadata=_choice("auto", *_RESOLUTIONS))


@attrs.frozen(kw_only=True)
class GrokVideoExtension(_GrokRequest):
    """A film that goes on: ``grok-imagine-video-extension``.

    Fields are named as on the wire; None is not sent, and the service takes its own default.

    Attributes:
        prompt: What happens next.
        video_url: The film to go on with, an MP4 of 2 to 15 s.
        duration: Whole seconds of the added part, 2 to 10; the service takes 6.
        extra: Fields that this class does not know, sent as they are.
    """

    model = "grok-imagine-video-extension"

    prompt: str = attrs.field(metadata=_PROMPT)
    video_url: Media = attrs.field(metadata=_MEDIA)
    duration: int | None = attrs.field(default=None, metadata=_seconds(2, 10))


@attrs.frozen(init=False)
class Request:
    """Any model by its id, with fields named as on the wire.

    A field that is None is not sent. Local files and bytes, at any depth, are uploaded first. The five Grok
    models are checked as their classes are; every other id goes out unchecked.

    >>> Request("veo-3.1-fast-text-to-video", prompt="A fox", duration=4)
    Request(model='veo-3.1-fast-text-to-video', fields={'prompt': 'A fox', 'duration': 4})
    """

    model: str
    fields: Mapping[str, object] = attrs.field(hash=False)

    def __init__(self, model: str, /, **fields: object) -> None:
        self.__attrs_init__(model, _own(fields))

    @classmethod
    def from_mapping(cls, body: Mapping[str, object]) -> Self:
        """Return the request that FoxAPI's own JSON asks for.

        Raises:
            InvalidRequest: The mapping names no model, a key is not a text, or it is nested too deeply.
        """
        fields = dict(body)
        model: Any = fields.pop("model", None)
        if faults := (*_misnamed_model(model), *_misnamed(fields)):
            raise _invalid("the mapping", faults)
        return cls(model, **fields)


VideoRequest = GrokTextToVideo | GrokImageToVideo | GrokReferenceToVideo | GrokEditVideo | GrokVideoExtension | Request

_RULES: Mapping[str, Mapping[str, FieldRule]] = {
    kind.model: {field.name: field.metadata["rule"] for field in attrs.fields(kind) if field.metadata}
    for kind in (GrokTextToVideo, GrokImageToVideo, GrokReferenceToVideo, GrokEditVideo, GrokVideoExtension)
}


def fields_of(request: VideoRequest) -> dict[str, object]:
    """Return the fields to send, without the model and without what was not given."""
    if isinstance(request, Request):
        given = dict(request.fields)
    else:
        given = {name: getattr(request, name) for name in _RULES[request.model]} | dict(request.extra)
    return {name: value for name, value in given.items() if value is not None}


def is_media(value: object) -> bool:
    """Whether a value is a local file or its bytes, which must be uploaded before it can be sent."""
    return isinstance(value, bytes | os.PathLike)


def media_of(request: VideoRequest) -> dict[int, LocalMedia]:
    """Return the local files and bytes of a request, at any depth, by their ``id()``."""
    found: dict[int, LocalMedia] = {}

    def look(value: object) -> None:
        if isinstance(value, bytes | os.PathLike):
            found[id(value)] = value
        elif isinstance(value, Mapping):
            for item in value.values():
                look(item)
        elif isinstance(value, list | tuple):
            for item in value:
                look(item)

    look(fields_of(request))
    return found


def check(request: VideoRequest, *, documented: bool = True) -> None:
    """Refuse a request that cannot work, all its faults at once.

    Args:
        request: What was asked for.
        documented: Also check names, types and ranges against the documentation; False checks only that the
            request can be sent at all.

    Raises:
        InvalidRequest: With one ``FieldFault`` for each fault.
    """
    fields = fields_of(request)
    if faults := [*_misnamed_model(request.model), *_misnamed(fields)]:
        raise _invalid("the request", tuple(faults))
    faults = [fault for name, value in fields.items() for fault in _unsendable(name, value)]
    if "model" in fields:
        faults.append(FieldFault("model", _show(fields["model"]), "is given by the request already"))
    if documented and (rules := _RULES.get(request.model)) is not None:
        extra = set() if isinstance(request, Request) else set(request.extra)
        faults += _clashes(extra, rules)
        faults += _undocumented(fields, rules, extra)
    if faults:
        raise _invalid(request.model, tuple(dict.fromkeys(faults)))


def _invalid(model: str, faults: tuple[FieldFault, ...]) -> InvalidRequest:
    return InvalidRequest(f"{model}: {'; '.join(map(str, faults))}", faults=faults)


def _show(value: object) -> str:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - anything may be given: a number of 5000 digits has no repr
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _misnamed_model(model: object) -> Iterator[FieldFault]:
    if not isinstance(model, str) or not model.strip():
        yield FieldFault("model", None if model is None else _show(model), "the id of a model")


def _misnamed(fields: Mapping[str, object], within: str = "") -> Iterator[FieldFault]:
    """Find names that are no texts, whatever the types promise."""
    for name in fields:
        if not isinstance(name, str):
            yield FieldFault(f"{within}[{_show(name)}]", _show(fields[name]), "its name is not a text")


def _unsendable(path: str, value: object) -> Iterator[FieldFault]:
    """Find what JSON cannot carry."""
    match value:
        case None | str() | bytes() | os.PathLike():
            return
        case int():
            if value.bit_length() > _MOST_BITS:
                yield FieldFault(path, _show(value), f"a whole number of at most {_MOST_BITS} bits")
        case float():
            if not math.isfinite(value):
                yield FieldFault(path, _show(value), "a finite number")
        case Mapping():
            yield from _misnamed(value, path)
            for name, item in value.items():
                yield from _unsendable(f"{path}.{name}", item)
        case list() | tuple():
            for index, item in enumerate(value):
                yield from _unsendable(f"{path}[{index}]", item)
        case _:
            yield FieldFault(path, _show(value), "a text, number, boolean, list, object, pathlib.Path or bytes")


def _clashes(extra: set[str], rules: Mapping[str, FieldRule]) -> Iterator[FieldFault]:
    for name in sorted(extra & rules.keys()):
        yield FieldFault(f"extra[{name!r}]", "...", f"set {name} as a field of the request, not in extra")


def _undocumented(
    fields: Mapping[str, object], rules: Mapping[str, FieldRule], extra: set[str]
) -> Iterator[FieldFault]:
    """Compare with the documentation, field by field."""
    for name, rule in rules.items():
        if name in fields:
            yield from _violations(name, fields[name], rule)
        elif rule.required:
            yield FieldFault(name, None, f"a {rule.kind} is required")
    for name in sorted(fields.keys() - rules.keys() - extra - {"model"}):
        nearest = difflib.get_close_matches(name, rules, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"its fields are {', '.join(rules)}"
        yield FieldFault(name, _show(fields[name]), f"not a field of this model, {hint} {_ESCAPE}")


_ESCAPE = "(pass check=False to send it all the same)"


def _violations(name: str, value: object, rule: FieldRule) -> Iterator[FieldFault]:
    match rule.kind:
        case "text":
            yield from _text_violations(name, value, rule)
        case "integer":
            if not isinstance(value, int) or isinstance(value, bool):
                yield FieldFault(name, _show(value), "a whole number")
            elif not rule.low <= value <= (rule.high or value):
                yield FieldFault(name, _show(value), f"documented: {rule.low}-{rule.high} {_ESCAPE}")
        case "media":
            yield from _media_violations(name, value)
        case _:
            yield from _list_violations(name, value, rule)


def _text_violations(name: str, value: object, rule: FieldRule) -> Iterator[FieldFault]:
    if not isinstance(value, str):
        yield FieldFault(name, _show(value), "a text")
    elif rule.options and value not in rule.options:
        yield FieldFault(name, _show(value), f"documented: {', '.join(rule.options)} {_ESCAPE}")
    elif rule.required and not value.strip():
        yield FieldFault(name, _show(value), "a text that is not empty")
    elif rule.high is not None and len(value) > rule.high:
        yield FieldFault(name, f"<{len(value)} characters>", f"documented: at most {rule.high} characters {_ESCAPE}")


def _media_violations(name: str, value: object) -> Iterator[FieldFault]:
    if is_media(value):
        return
    if not isinstance(value, str):
        yield FieldFault(name, _show(value), "an http(s) URL, a pathlib.Path or bytes")
    elif not is_web_url(value):
        yield FieldFault(name, _show(value), "an http(s) URL; for a local file pass a pathlib.Path")


def is_web_url(text: str) -> bool:
    """Whether a text is an http(s) URL with a host."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def _list_violations(name: str, value: object, rule: FieldRule) -> Iterator[FieldFault]:
    if not isinstance(value, list | tuple):
        yield FieldFault(name, _show(value), "a list")
        return
    if not rule.low <= len(value) <= (rule.high or len(value)):
        yield FieldFault(name, f"<{len(value)} items>", f"documented: {rule.low}-{rule.high} items {_ESCAPE}")
    for index, item in enumerate(value):
        yield from _media_violations(f"{name}[{index}]", item)
