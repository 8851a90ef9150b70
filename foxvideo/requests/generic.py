"""What one can ask for.

What belongs here: the request values, the documented limits of the Grok ones, and the check that refuses a request
with all its faults at once. What must not: how a fault is found (``validation.py``, ``rules.py``), all other models
(``catalogue/``), JSON (``_wire/decode.py``), files and uploads (``_transfer/upload.py``).

The limits are FoxAPI's, from the pages below
https://docs.foxapi.cc/pages/en/api-manual/video-series/ (``grok/`` and ``grok-imagine-video/``). A limit stands
here only where a page prints it; what a page leaves open is left to the service.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol, Self

import attrs

from foxvideo import catalogue
from foxvideo.catalogue.model import Parameter
from foxvideo.errors import FieldFault, InvalidRequest
from foxvideo.requests.rules import related
from foxvideo.requests.validation import (
    LocalMedia,
    Media,
    clashes,
    invalid,
    is_local,
    misnamed,
    misnamed_model,
    show,
    undocumented,
    unsendable,
)


class PriceList(Protocol):
    """What a request has to know of ``foxvideo.account.Prices``."""

    def of_model(self, model: str, group: str | None = None) -> float | None:
        """Return what one task of a model costs in US dollars; None where that is not told."""


Resolution = Literal["480p", "720p"]
Aspect = Literal["16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16"]

_RESOLUTIONS = ("480p", "720p")
_ASPECTS = ("16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16")
_MOST_LEVELS = 32  # of lists and objects within each other; ends a list that holds itself, too


def _documented(parameter: Parameter) -> dict[str, Parameter]:
    return {"parameter": parameter}


_PROMPT = _documented(Parameter(type="text", required=True))
_LONG_PROMPT = _documented(Parameter(type="text", required=True, high=4096))
_MEDIA = _documented(Parameter(type="media", required=True))


def _seconds(low: int, high: int) -> dict[str, Parameter]:
    return _documented(Parameter(type="integer", low=low, high=high))


def _choice(*options: str) -> dict[str, Parameter]:
    return _documented(Parameter(type="text", options=options))


def _own(value: object, levels: int = _MOST_LEVELS) -> Any:  # noqa: ANN401 - the value's own type
    """Copy lists and mappings, so that no later change to the caller's changes a request; all else is kept.

    Raises:
        InvalidRequest: They lie too deep within each other.
    """
    if not isinstance(value, Mapping | list | tuple):
        return value
    if not levels:
        raise InvalidRequest(f"lists or objects lie more than {_MOST_LEVELS} deep within each other", submitted="no")
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
            raise invalid(self.model, (FieldFault("extra", show(self.extra), "a mapping of names to values"),))
        for field in attrs.fields(type(self)):
            own = _own(getattr(self, field.name))
            # A tuple, so that the request can be hashed.
            object.__setattr__(self, field.name, tuple(own) if isinstance(own, list) else own)

    def estimate(self, prices: PriceList, *, group: str | None = None) -> float | None:
        """Return what this request costs in US dollars, as ``Prices.of_model``; never a guess.

        Args:
            prices: As ``await client.prices()`` returned it.
            group: The group of the key, which ``TaskState.usage.user_group`` tells; None if it is not known.

        Returns:
            None where the price list does not say, or where the page of the model says that the price depends on
            more than the model.
        """
        return _estimate(self.model, prices, group)


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
        metadata=_documented(Parameter(type="media list", required=True, low=1, high=7))
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

    A field that is None is not sent. Local files and bytes, at any depth, are uploaded first. The models of the
    documentation are checked (``foxvideo models ID`` shows their fields); every other id goes out unchecked.

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
        if faults := (*misnamed_model(model), *misnamed(fields)):
            raise invalid("the mapping", faults)
        return cls(model, **fields)

    def estimate(self, prices: PriceList, *, group: str | None = None) -> float | None:
        """Return what this request costs in US dollars, as ``Prices.of_model``; never a guess.

        Args:
            prices: As ``await client.prices()`` returned it.
            group: The group of the key, which ``TaskState.usage.user_group`` tells; None if it is not known.

        Returns:
            None where the price list does not say, or where the page of the model says that the price depends on
            more than the model.
        """
        return _estimate(self.model, prices, group)


VideoRequest = GrokTextToVideo | GrokImageToVideo | GrokReferenceToVideo | GrokEditVideo | GrokVideoExtension | Request

_GROK: Mapping[str, Mapping[str, Parameter]] = {
    kind.model: {field.name: field.metadata["parameter"] for field in attrs.fields(kind) if field.metadata}
    for kind in (GrokTextToVideo, GrokImageToVideo, GrokReferenceToVideo, GrokEditVideo, GrokVideoExtension)
}


def _estimate(model: str, prices: PriceList, group: str | None) -> float | None:
    known = catalogue.find(model)
    return None if known and known.billed_by else prices.of_model(model, group)


def fields_of(request: VideoRequest) -> dict[str, object]:
    """Return the fields to send, without the model and without what was not given."""
    if isinstance(request, Request):
        given = dict(request.fields)
    else:
        given = {name: getattr(request, name) for name in _GROK[request.model]} | dict(request.extra)
    return {name: value for name, value in given.items() if value is not None}


def duration_of(request: VideoRequest) -> float | None:
    """Return the seconds of film that a request asks for; None where it has none."""
    value = request.fields.get("duration") if isinstance(request, Request) else getattr(request, "duration", None)
    return value if isinstance(value, int | float) else None


def media_of(request: VideoRequest) -> dict[int, LocalMedia]:
    """Return the local files and bytes of a request, at any depth, by their ``id()``."""
    found: dict[int, LocalMedia] = {}

    def look(value: object) -> None:
        if is_local(value):
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
    """Refuse a request that cannot work, all its faults at once. A model that no page has is not checked.

    Args:
        request: What was asked for.
        documented: Also check names, types and ranges against the documentation; False checks only that the
            request can be sent at all.

    Raises:
        InvalidRequest: With one ``FieldFault`` for each fault.
    """
    fields = fields_of(request)
    if faults := [*misnamed_model(request.model), *misnamed(fields)]:
        raise invalid("the request", tuple(faults))
    faults = [fault for name, value in fields.items() for fault in unsendable(name, value)]
    if "model" in fields:
        faults.append(FieldFault("model", show(fields["model"]), "is given by the request already"))
    if documented:
        faults += _undocumented(request, fields)
    if faults:
        raise invalid(request.model, tuple(dict.fromkeys(faults)))


def _undocumented(request: VideoRequest, fields: Mapping[str, object]) -> Iterator[FieldFault]:
    """Find what the documentation of the model does not have; nothing for a model that has none."""
    extra = set() if isinstance(request, Request) else set(request.extra)
    model = None if request.model in _GROK else catalogue.find(request.model)  # which is read here, the first time
    if parameters := model.parameters if model else _GROK.get(request.model):
        yield from clashes(extra, parameters)
        yield from undocumented(fields, parameters, extra)
    if model:
        yield from related(model, fields)
