"""What can be wrong with the fields of a request, found without asking anybody.

What belongs here: pure functions that find the faults of fields, each naming the field, the value and what is allowed.
What must not: which fields a model has (``catalogue/``), what they must be to each other (``rules.py``), files and
uploads (``_transfer/upload.py``).
"""

import base64
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeGuard

from foxvideo.catalogue.model import Parameter
from foxvideo.errors import FieldFault, InvalidRequest
from foxvideo.media import LocalMedia
from foxvideo.requests import links

_SHOWN = 60  # characters of a value that an error shows
_LONG = 300  # characters of a text that the repr of a request shows
_MOST_BITS = 64  # of a whole number; many JSON readers take no more
_ESCAPE = "(pass check=False to send it all the same)"
_NOUNS = {
    "text": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "media": "an http(s) URL, a pathlib.Path or bytes",
}
_SAME = (  # what models call by different names; each has its own, so the nearest spelling would mislead
    ("image_tail_url", "end_image_url", "last_image_url"),
    ("image_url", "first_image_url", "start_image_url"),
    ("image_urls", "reference_image_urls"),
    ("video_urls", "reference_video_urls"),
    ("aspect_ratio", "ratio", "size"),
    ("generate_audio", "keep_audio", "keep_original_sound"),
)


def is_local(value: object) -> TypeGuard[LocalMedia]:
    """Whether a value is a local file or its bytes, which must be uploaded before it can be sent."""
    return isinstance(value, bytes | os.PathLike)


def is_open(value: object) -> bool:
    """Whether a value is an open file, or something that is read like one."""
    return callable(getattr(value, "read", None)) and not isinstance(value, os.PathLike | type)


def invalid(model: str, faults: tuple[FieldFault, ...]) -> InvalidRequest:
    """Return the one error that holds all faults of a request."""
    return InvalidRequest(f"{model}: {'; '.join(map(str, faults))}", faults=faults, submitted="no")


def show(value: object) -> str:
    """Return a value as an error shows it: short, and never failing."""
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    try:
        text = repr(links.shown(value) if isinstance(value, str) else value)
    except Exception:  # noqa: BLE001 - anything may be given: a number of 5000 digits has no repr
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def brief(value: object) -> str:
    """Return the repr of what a request has, without the bytes of files and the ends of long texts."""
    match value:
        case bytes():
            return f"<{len(value)} bytes>"
        case str() if len(value) > _LONG:
            return f"{value[:_LONG]!r}..."
        case Mapping():
            return f"{{{', '.join(f'{name!r}: {brief(item)}' for name, item in value.items())}}}"
        case list() | tuple():
            inside = ", ".join(map(brief, value))
            return f"[{inside}]" if isinstance(value, list) else f"({inside}{',' if len(value) == 1 else ''})"
    return repr(value)


def is_unicode(value: object) -> TypeGuard[str]:
    """Whether a value is text that is valid Unicode, so that UTF-8 can carry it.

    A Python string may hold half of a surrogate pair: of an emoji that was cut, or of a byte that is no UTF-8. JSON
    would escape it, and a strict server answers that with an error after which nobody knows what was made.
    """
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def misnamed_model(model: object) -> Iterator[FieldFault]:
    """Find that the id of the model is none."""
    if not is_unicode(model) or not model.strip():
        yield FieldFault("model", None if model is None else show(model), "the id of a model")


def misnamed(fields: Mapping[str, object], within: str = "") -> Iterator[FieldFault]:
    """Find names that are no texts, whatever the types promise."""
    for name in fields:
        if not is_unicode(name):
            yield FieldFault(f"{within}[{show(name)}]", show(fields[name]), "its name is not a text")


def unsendable(path: str, value: object) -> Iterator[FieldFault]:
    """Find what JSON cannot carry."""
    match value:
        case Mapping():
            yield from misnamed(value, path)
            for name, item in value.items():
                yield from unsendable(f"{path}.{name}", item)
        case list() | tuple():
            for index, item in enumerate(value):
                yield from unsendable(f"{path}[{index}]", item)
        case _:
            if allowed := _sendable_instead_of(value):
                yield FieldFault(path, show(value), allowed)


def _sendable_instead_of(value: object) -> str | None:
    """Return what could be sent in place of a value that holds no others; None if it can be sent itself."""
    match value:
        case None | bytes() | os.PathLike():
            return None
        case str():
            return None if is_unicode(value) else "Unicode text, without half of a surrogate pair"
        case int():
            return None if value.bit_length() <= _MOST_BITS else f"a whole number of at most {_MOST_BITS} bits"
        case float():
            return None if math.isfinite(value) else "a finite number"
        case _ if is_open(value):
            return "a file that is open for reading as bytes: open(path, 'rb'), or the .file of an upload"
        case _:
            return "a text, number, boolean, list, object, pathlib.Path or bytes"


def clashes(extra: set[str], parameters: Mapping[str, Parameter]) -> Iterator[FieldFault]:
    """Find extra fields that the request has a field for."""
    for name in sorted(extra & parameters.keys()):
        yield FieldFault(f"extra[{name!r}]", "...", f"set {name} as a field of the request, not in extra")


def undocumented(
    fields: Mapping[str, object], parameters: Mapping[str, Parameter], extra: set[str]
) -> Iterator[FieldFault]:
    """Compare with the documentation, field by field."""
    for name, parameter in parameters.items():
        if name in fields:
            yield from _violations(name, fields[name], parameter)
        elif parameter.required:
            yield FieldFault(name, None, f"{_noun(parameter)} is required")
    for name in sorted(fields.keys() - parameters.keys() - extra - {"model"}):
        meant = _meant(name, [known for known in parameters if known not in fields])
        hint = f"did you mean {meant}?" if meant else f"its fields are {', '.join(parameters)}"
        yield FieldFault(name, show(fields[name]), f"not a field of this model, {hint} {_ESCAPE}")


def documented(what: str) -> str:
    """Say what the documentation allows."""
    return f"documented: {what} {_ESCAPE}"


def _meant(name: str, free: Sequence[str]) -> str | None:
    """Return the field that may have been meant by a name, of those that were not given."""
    import difflib  # noqa: PLC0415 - importing foxvideo is to be quick

    same = (known for names in _SAME if name in names for known in names if known in free)
    return next(same, None) or next(iter(difflib.get_close_matches(name, free, n=1)), None)


def _noun(parameter: Parameter) -> str:
    return _NOUNS.get(parameter.type, "a list")


def _violations(name: str, value: object, parameter: Parameter) -> Iterator[FieldFault]:
    match parameter.type:
        case "text":
            yield from _text_violations(name, value, parameter)
        case "integer" | "number":
            yield from _number_violations(name, value, parameter)
        case "boolean" | "object":
            if not isinstance(value, bool if parameter.type == "boolean" else Mapping):
                yield FieldFault(name, show(value), _noun(parameter))
        case "media":
            yield from _media_violations(name, value, parameter)
        case _:
            yield from _list_violations(name, value, parameter)


def _text_violations(name: str, value: object, parameter: Parameter) -> Iterator[FieldFault]:
    if not isinstance(value, str):
        yield FieldFault(name, show(value), _noun(parameter))
    elif parameter.options and value not in parameter.options:
        yield FieldFault(name, show(value), documented(_options(parameter)))
    elif parameter.required and not value.strip():
        yield FieldFault(name, show(value), "a text that is not empty")
    elif _outside(len(value), parameter):
        yield FieldFault(name, f"<{len(value)} characters>", documented(f"{_range(parameter)} characters"))


def _number_violations(name: str, value: object, parameter: Parameter) -> Iterator[FieldFault]:
    kinds = int if parameter.type == "integer" else int | float
    if not isinstance(value, kinds) or isinstance(value, bool):
        yield FieldFault(name, show(value), _noun(parameter))
    elif parameter.options and value not in parameter.options:
        yield FieldFault(name, show(value), documented(_options(parameter)))
    elif _outside(value, parameter):
        yield FieldFault(name, show(value), documented(_range(parameter)))


def _options(parameter: Parameter) -> str:
    return ", ".join(map(str, parameter.options))


def _outside(size: float, parameter: Parameter) -> bool:
    low, high = parameter.low, parameter.high
    return size not in parameter.also and ((low is not None and size < low) or (high is not None and size > high))


def _range(parameter: Parameter) -> str:
    low, high = parameter.low, parameter.high
    if low is None or high is None:
        words = f"at least {low}" if low is not None else f"at most {high}"
    else:
        words = f"{low}-{high}"
    return " or ".join((words, *map(str, parameter.also)))


def _media_violations(name: str, value: object, parameter: Parameter) -> Iterator[FieldFault]:
    if is_local(value):
        return
    if not isinstance(value, str):
        yield FieldFault(name, show(value), _NOUNS["media"])
    elif not (parameter.base64 and _is_base64(value)) and (allowed := links.wrong(value)) is not None:
        base64_too, escape = "base64, or " if parameter.base64 else "", f" {_ESCAPE}" if links.is_web_url(value) else ""
        yield FieldFault(name, show(value), f"{base64_too}{allowed}{escape}")


def _is_base64(text: str) -> bool:
    """Whether a text is base64, alone or in a data URL: https://www.rfc-editor.org/rfc/rfc2397."""
    head, comma, content = text.rpartition(",")
    if comma and not (head.startswith("data:") and head.endswith(";base64")):
        return False
    try:
        return bool(base64.b64decode(content, validate=True))
    except ValueError:
        return False


def _list_violations(name: str, value: object, parameter: Parameter) -> Iterator[FieldFault]:
    if not isinstance(value, list | tuple):
        yield FieldFault(name, show(value), "a list")
        return
    if _outside(len(value), parameter):
        yield FieldFault(name, f"<{len(value)} items>", documented(f"{_range(parameter)} items"))
    for index, item in enumerate(value):
        yield from _item_violations(f"{name}[{index}]", item, parameter)


def _item_violations(path: str, item: object, parameter: Parameter) -> Iterator[FieldFault]:
    match parameter.type:
        case "media list":
            yield from _media_violations(path, item, parameter)
        case "text list":
            if not isinstance(item, str):
                yield FieldFault(path, show(item), "a text")
        case _ if not isinstance(item, Mapping):
            yield FieldFault(path, show(item), "an object")
        case _:
            for name, known in parameter.items.items():
                if item.get(name) is not None:
                    yield from _violations(f"{path}.{name}", item[name], known)
                elif known.required:
                    yield FieldFault(f"{path}.{name}", None, f"{_noun(known)} is required")
