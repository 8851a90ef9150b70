"""Any model by its id, and the check that refuses a request with all its faults at once.

Out of scope: how a fault is found (``validation.py``, ``rules.py``), documented models (``catalogue/``), JSON, files.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Self, get_args

import attrs

from foxvideo import catalogue
from foxvideo.catalogue.model import Parameter
from foxvideo.errors import FieldFault
from foxvideo.media import LocalMedia
from foxvideo.requests.grok import (
    GrokEditVideo,
    GrokImageToVideo,
    GrokReferenceToVideo,
    GrokRequest,
    GrokTextToVideo,
    GrokVideoExtension,
    own,
)
from foxvideo.requests.rules import related
from foxvideo.requests.validation import (
    brief,
    clashes,
    invalid,
    is_local,
    misnamed,
    misnamed_model,
    show,
    undocumented,
    unsendable,
)

__all__ = [
    "GrokEditVideo",
    "GrokImageToVideo",
    "GrokReferenceToVideo",
    "GrokTextToVideo",
    "GrokVideoExtension",
    "Request",
    "VideoRequest",
    "check",
    "duration_of",
    "fields_of",
    "media_of",
]


@attrs.frozen(init=False)
class Request:
    """Any model by its id, with fields named as on the wire.

    A field that is None is not sent. Local files and bytes, at any depth, are uploaded first. The models of the
    documentation are checked (``foxvideo models ID`` shows their fields); every other id goes out unchecked.

    >>> Request("veo-3.1-fast-text-to-video", prompt="A fox", duration=4)
    Request(model='veo-3.1-fast-text-to-video', fields={'prompt': 'A fox', 'duration': 4})

    Attributes:
        model: The id of the model.
        fields: The fields, as they are sent; local files stand as paths or bytes.
    """

    model: str
    fields: Mapping[str, object] = attrs.field(hash=False, repr=brief)

    def __init__(self, model: str, /, **fields: object) -> None:
        self.__attrs_init__(model, own(fields))

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


VideoRequest = GrokRequest | Request
"""Everything that `client.submit` takes, beside a mapping of the API's own JSON."""

_GROK: Mapping[str, Mapping[str, Parameter]] = {
    kind.model: {field.name: field.metadata["parameter"] for field in attrs.fields(kind) if field.metadata}
    for kind in get_args(GrokRequest)
}


def fields_of(request: VideoRequest) -> dict[str, object]:
    """Return the fields to send, without the model and without what was not given."""
    if isinstance(request, Request):
        given = dict(request.fields)
    else:
        given = {name: getattr(request, name) for name in _GROK[request.model]} | dict(request.extra)
    return {name: value for name, value in given.items() if value is not None}


def duration_of(request: VideoRequest) -> float | None:
    """Return the seconds of video that a request asks for; None where it has none."""
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
