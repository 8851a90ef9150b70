"""Which tasks cost the same: what may set the price of a request, as a value that can be compared.

Pure, over the JSON of a request as the journal keeps it, with local files as ``{"sha256": ...}``. The service publishes
no price for a single request, so a field counts unless it certainly sets no price: it is cheaper to learn one price
twice than to expect a wrong one.
"""

import hashlib
import json
import re
from collections.abc import Mapping

import attrs

from foxvideo import catalogue
from foxvideo.catalogue.model import Model, Parameter

_FREE = frozenset({"prompt", "negative_prompt", "seed", "name", "ref_name", "callback_url"})  # these set no price
_IMAGE = "an image"  # stands for any: only their number counts
_IMAGES = re.compile("image|picture|photo|frame", re.IGNORECASE)
_MOVING = re.compile("video|audio|voice", re.IGNORECASE)
_LINK = re.compile("https?://|data:", re.IGNORECASE)
_MOVING_FILE = re.compile(
    r"data:(?:video|audio)/|https?://[^?#]*\.(?:mp4|m4v|mov|webm|mkv|avi|mp3|m4a|wav|aac|ogg|flac)(?:[?#]|$)",
    re.IGNORECASE,
)


@attrs.frozen
class PriceClass:
    """Tasks that are expected to cost the same.

    Attributes:
        model: The model.
        fields: A digest of all that may set the price.
        predictable: Whether what one of them cost tells what the next one costs; False where the model itself decides
            how long its video becomes.
    """

    model: str
    fields: str = ""
    predictable: bool = True


def price_class(body: Mapping[str, object]) -> PriceClass:
    """Return the class of the tasks that cost what this one does.

    A number of images is a number; videos and sounds count by their content or URL, since their length may set the
    price. Where no ``duration`` fixes the length of the result, whatever does fix it counts too: the videos and sounds,
    or else the texts.

    Args:
        body: The JSON of a request; a local file stands as ``{"sha256": ...}``.
    """
    model = str(body.get("model"))
    documented = catalogue.find(model)
    parameters = documented.parameters if documented else {}
    default = parameters["duration"].default if "duration" in parameters else None
    seconds = body.get("duration", default)
    free = _FREE - {"prompt"} if seconds is None and not _follows_media(body, documented) else _FREE
    counted = {
        name: _counted(name, value, parameters.get(name), free) for name, value in body.items() if name not in free
    }
    text = json.dumps(counted, sort_keys=True)
    return PriceClass(
        model, hashlib.sha256(text.encode()).hexdigest(), predictable=seconds is None or _is_length(seconds)
    )


def _is_length(seconds: object) -> bool:
    """Whether a duration is a number of seconds: 0, -1 and words leave the length to the model."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float | str):
        return False
    try:
        return float(seconds) > 0
    except ValueError:
        return False


def _follows_media(body: Mapping[str, object], documented: Model | None) -> bool:
    """Whether the result is as long as a video or sound that is given, as documented."""
    if documented is None:
        return False
    parameters = documented.parameters
    media = {name for name, parameter in parameters.items() if parameter.type in {"media", "media list"}}
    return any(name == "video_id" or (name in media and _MOVING.search(name)) for name in body)


def _counted(name: str, value: object, parameter: Parameter | None, free: frozenset[str]) -> object:
    """Return what counts of a value, at any depth."""
    if _is_image(name, value, parameter):
        return _IMAGE
    match value:
        case Mapping():
            items = parameter.items if parameter else {}
            return {key: _counted(key, item, items.get(key), free) for key, item in value.items() if key not in free}
        case list() | tuple():
            return [_counted(name, item, parameter, free) for item in value]
        case _:
            return value


def _is_image(name: str, value: object, parameter: Parameter | None) -> bool:
    if not _IMAGES.search(name):
        return False
    match value:
        case str():  # some models take images as base64, which only their page can tell from any other text
            documented = parameter is not None and parameter.type in {"media", "media list"}
            return (documented or _LINK.match(value) is not None) and not _MOVING_FILE.match(value)
        case {"sha256": str(), **rest}:
            return not rest
        case _:
            return False
