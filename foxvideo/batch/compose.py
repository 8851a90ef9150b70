"""From the fields of a line to a request: models, values and local files.

Out of scope: formats (``lines.py``), and what a model accepts (``requests/``).
"""

import difflib
import functools
import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foxvideo import catalogue
from foxvideo.errors import FieldFault, InvalidRequest
from foxvideo.requests.generic import (
    GrokEditVideo,
    GrokImageToVideo,
    GrokReferenceToVideo,
    GrokTextToVideo,
    Request,
    check,
)
from foxvideo.requests.links import is_web_url, tidied
from foxvideo.requests.validation import invalid, show

_MODELS = 256  # whose fields are kept at hand
_TEXTS = {"model", "prompt", "negative_prompt", "text", "name"}  # stay texts where nothing is known of the model
_BOOLEANS = {"true": True, "false": False}  # Excel writes TRUE, Python True
_NO_DEFAULTS: Mapping[str, str] = {}
_BY_SOURCE = {
    "reference_image_urls": GrokReferenceToVideo.model,
    "image_url": GrokImageToVideo.model,
    "video_url": GrokEditVideo.model,
}


def compose(
    given: Mapping[str, object],
    *,
    cells: bool,
    folder: Path,
    defaults: Mapping[str, str] = _NO_DEFAULTS,
    documented: bool = True,
) -> Request:
    """Return the request of a line, checked.

    Args:
        given: The fields; None, empty texts and empty lists are as if they were not there.
        cells: Whether all values are texts that stand for others, as in a CSV.
        folder: What local files are relative to.
        defaults: Fields for lines that lack them, as cells of a CSV.
        documented: Whether fields are checked against the documentation.

    Raises:
        InvalidRequest: With all its faults.
    """
    fields = {name: value for name, value in given.items() if value not in (None, "", [])}
    lacking = {name: value for name, value in defaults.items() if name not in fields}
    model = fields.get("model") or lacking.get("model") or _model(fields | lacking)
    kinds = _kinds(model) if isinstance(model, str) else {}
    texts = (fields | lacking) if cells else lacking
    values = {name: _whole(value, kinds.get(name)) for name, value in fields.items()}
    values |= {name: _value(name, str(text), kinds) for name, text in texts.items()}
    faults: list[FieldFault] = []
    named = {
        name: _media(name, name, value, kinds=kinds, folder=folder, faults=faults) for name, value in values.items()
    }
    request = Request.from_mapping(named | {"model": model})
    try:
        check(request, documented=documented)
    except InvalidRequest as error:
        faults += error.faults
    if faults:
        raise invalid(request.model, tuple(faults))
    return request


@functools.lru_cache(_MODELS)
def _fields() -> frozenset[str]:
    return frozenset(name for model in catalogue.models() for name in model.parameters)


@functools.lru_cache(_MODELS)
def check_columns(names: tuple[str, ...]) -> None:
    """Refuse a table with a column that no documented model has, once and not in each row.

    Raises:
        InvalidRequest: There is one, and no column ``model`` that may name another model.
    """
    unknown = [name for name in names if name and not name.startswith("#") and name not in _fields()]
    if not unknown or "model" in names:
        return
    like = difflib.get_close_matches(unknown[0], sorted(_fields()), n=2)
    raise InvalidRequest(
        f"no model has a field {unknown[0]!r}" + (f", did you mean {' or '.join(like)}?" if like else ""),
        submitted="no",
        hint="rename the column; one that begins with # is kept with the results and not sent",
    )


def _model(fields: Mapping[str, object]) -> str:
    """Choose one of the Grok models by what is given."""
    return next((model for name, model in _BY_SOURCE.items() if name in fields), GrokTextToVideo.model)


@functools.lru_cache(_MODELS)
def _kinds(model: str) -> Mapping[str, str]:
    """Return what the fields of a model are, as far as that is documented: ``text``, ``media list``, ..."""
    known = catalogue.find(model)
    return {name: parameter.type for name, parameter in known.parameters.items()} if known else {}


# --- Values ------------------------------------------------------------------------------------------------------


def _value(name: str, text: str, kinds: Mapping[str, str]) -> object:
    """Return what a text stands for: what its field takes, else JSON if it is any."""
    kind = kinds.get(name, "text" if name in _TEXTS else "")
    if kind in {"text", "media"}:
        return text
    if kind in {"text list", "media list"} and not text.lstrip().startswith("["):
        return [item.strip() for item in text.split(";") if item.strip()]
    if kind == "boolean" and text.strip().lower() in _BOOLEANS:
        return _BOOLEANS[text.strip().lower()]
    try:
        return _whole(json.loads(text), kind)
    except (ValueError, RecursionError):
        return text


def _whole(value: object, kind: str | None) -> object:
    """Return 6.0 as 6 where a whole number is wanted: pandas writes a column of numbers with gaps that way."""
    return int(value) if kind == "integer" and isinstance(value, float) and value.is_integer() else value


# --- Local files -------------------------------------------------------------------------------------------------


def _media(
    path: str, name: str, value: object, *, kinds: Mapping[str, str], folder: Path, faults: list[FieldFault]
) -> Any:  # noqa: ANN401 - the value's own type
    """Replace what names a local file by its path, at any depth."""

    def inner(path: str, name: str, value: object, kinds: Mapping[str, str]) -> object:
        return _media(path, name, value, kinds=kinds, folder=folder, faults=faults)

    match value:
        case str() if _is_media(name, kinds) and not value.startswith("data:"):
            if is_web_url(link := tidied(value)):
                return link
            file = folder / value
            if not _is_file(file):
                allowed = "an http(s) URL, or a file that is not empty, relative to the manifest"
                faults.append(FieldFault(path, show(value), allowed))
            return file
        case list():
            return [inner(f"{path}[{place}]", name, item, kinds) for place, item in enumerate(value)]
        case dict():
            return {key: inner(f"{path}.{key}", key, item, {}) for key, item in value.items()}
        case _:
            return value


def _is_media(name: str, kinds: Mapping[str, str]) -> bool:
    if name in kinds:
        return kinds[name] in {"media", "media list"}
    return name in {"url", "urls"} or name.endswith(("_url", "_urls"))


def _is_file(path: Path) -> bool:
    try:
        found = path.stat()
    except (OSError, ValueError):  # not there, not ours to see, or a null byte
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size > 0
