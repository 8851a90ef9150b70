"""The five Grok requests, with the limits that FoxAPI's pages print, and ``grok``, which picks one by its fields.

The pages are those below https://docs.foxapi.cc/pages/en/api-manual/video-series/ (``grok/`` and
``grok-imagine-video/``). A limit stands here only where a page prints it; what a page leaves open is left to the
service.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import attrs

from foxvideo.catalogue.model import Parameter
from foxvideo.errors import FieldFault, InvalidRequest
from foxvideo.media import Media
from foxvideo.requests.validation import brief, invalid, is_open, show

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


def own(value: object, levels: int = _MOST_LEVELS) -> Any:  # noqa: ANN401 - the value's own type
    """Copy lists, mappings and what holds bytes, so that no later change to the caller's changes a request.

    Of an open file that is its whole content, wherever it stands. All else is kept.

    Raises:
        InvalidRequest: They lie too deep within each other.
    """
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if is_open(value):
        return _content(value)
    if not isinstance(value, Mapping | list | tuple):
        return value
    if not levels:
        raise InvalidRequest(f"lists or objects lie more than {_MOST_LEVELS} deep within each other", submitted="no")
    if isinstance(value, Mapping):
        return {name: own(item, levels - 1) for name, item in value.items()}
    items = [own(item, levels - 1) for item in value]
    return items if isinstance(value, list) else tuple(items)


def _content(file: Any) -> object:  # noqa: ANN401 - anything that can be read
    """Return what an open file holds; the file itself where that are no bytes, which its check refuses."""
    try:
        place = file.tell() if file.seekable() else None
        if place is not None:
            file.seek(0)
        content = file.read()
        if place is not None:
            file.seek(place)
    except Exception:  # noqa: BLE001 - whatever it is, it cannot be read
        return file
    if inspect.iscoroutine(content):
        content.close()
    return bytes(content) if isinstance(content, bytes | bytearray | memoryview) else file


@attrs.frozen(kw_only=True, repr=False)
class _GrokRequest:
    """What the five Grok requests share.

    Attributes:
        model: The id of the model.
    """

    model: ClassVar[str]

    extra: Mapping[str, object] = attrs.field(factory=dict, hash=False)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.extra, Mapping):
            raise invalid(self.model, (FieldFault("extra", show(self.extra), "a mapping of names to values"),))
        for field in attrs.fields(type(self)):
            value = own(getattr(self, field.name))
            # A tuple, so that the request can be hashed.
            object.__setattr__(self, field.name, tuple(value) if isinstance(value, list) else value)

    def __repr__(self) -> str:
        given = {field.name: getattr(self, field.name) for field in attrs.fields(type(self))}
        fields = (f"{name}={brief(value)}" for name, value in given.items() if value not in (None, {}))
        return f"{type(self).__name__}({', '.join(fields)})"


@attrs.frozen(kw_only=True, repr=False)
class GrokTextToVideo(_GrokRequest):
    """A video from words alone: ``grok-imagine-text-to-video``.

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


@attrs.frozen(kw_only=True, repr=False)
class GrokImageToVideo(_GrokRequest):
    """A video that begins with a picture: ``grok-imagine-image-to-video``.

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


@attrs.frozen(kw_only=True, repr=False)
class GrokReferenceToVideo(_GrokRequest):
    """A video with the people and things of some pictures: ``grok-imagine-reference-to-video``.

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


@attrs.frozen(kw_only=True, repr=False)
class GrokEditVideo(_GrokRequest):
    """A video changed by words: ``grok-imagine-edit-video``.

    Fields are named as on the wire; None is not sent, and the service takes its own default.

    Attributes:
        prompt: What to change, at most 4096 characters.
        video_url: The video; the service scales it to 854x480 at most and cuts it to 8 s.
        resolution: ``auto`` is what the service takes.
        extra: Fields that this class does not know, sent as they are.
    """

    model = "grok-imagine-edit-video"

    prompt: str = attrs.field(metadata=_LONG_PROMPT)
    video_url: Media = attrs.field(metadata=_MEDIA)
    resolution: Resolution | Literal["auto"] | None = attrs.field(default=None, metadata=_choice("auto", *_RESOLUTIONS))


@attrs.frozen(kw_only=True, repr=False)
class GrokVideoExtension(_GrokRequest):
    """A video that goes on: ``grok-imagine-video-extension``.

    Fields are named as on the wire; None is not sent, and the service takes its own default.

    Attributes:
        prompt: What happens next.
        video_url: The video to go on with, an MP4 of 2 to 15 s.
        duration: Whole seconds of the added part, 2 to 10; the service takes 6.
        extra: Fields that this class does not know, sent as they are.
    """

    model = "grok-imagine-video-extension"

    prompt: str = attrs.field(metadata=_PROMPT)
    video_url: Media = attrs.field(metadata=_MEDIA)
    duration: int | None = attrs.field(default=None, metadata=_seconds(2, 10))


GrokRequest = GrokTextToVideo | GrokImageToVideo | GrokReferenceToVideo | GrokEditVideo | GrokVideoExtension


def grok_model(fields: Mapping[str, object], *, extend: bool = False) -> str:
    """Return the id of the Grok model that takes these fields.

    Args:
        fields: The names, as on the wire, with what is given.
        extend: Whether a video is to go on, instead of being changed.
    """
    if "reference_image_urls" in fields:
        return GrokReferenceToVideo.model
    if "image_url" in fields:
        return GrokImageToVideo.model
    if "video_url" in fields:
        return GrokVideoExtension.model if extend else GrokEditVideo.model
    return GrokTextToVideo.model


def grok(*, extend: bool = False, **fields: Any) -> GrokRequest:  # noqa: ANN401 - each class has its own types
    """Return the Grok request that takes these fields: ``grok(prompt="It moves", image_url=Path("cat.png"))``.

    A prompt alone makes a video from words; with ``image_url`` a picture begins to move, with ``reference_image_urls``
    the people and things of some pictures appear, and with ``video_url`` a video is changed, or goes on where
    ``extend`` is set.

    Args:
        extend: Whether the video goes on, instead of being changed.
        fields: As the class that is picked has them.

    Raises:
        InvalidRequest: The class does not have a field, or lacks one that it needs.
    """
    kind = _KINDS[grok_model(fields, extend=extend)]
    known = {field.name: field for field in attrs.fields(kind)}
    faults = [
        FieldFault(name, show(value), f"{kind.__name__} has {', '.join(known)}")
        for name, value in fields.items()
        if name not in known
    ]
    faults += [
        FieldFault(name, None, f"{kind.__name__} needs it")
        for name, field in known.items()
        if field.default is attrs.NOTHING and name not in fields
    ]
    if faults:
        raise invalid(kind.model, tuple(faults))
    return kind(**fields)


_KINDS: Mapping[str, type[GrokRequest]] = {
    kind.model: kind
    for kind in (GrokTextToVideo, GrokImageToVideo, GrokReferenceToVideo, GrokEditVideo, GrokVideoExtension)
}
