"""What can be wrong with the fields of a request, found without asking anybody.

What belongs here: pure functions that find the faults of fields, each naming the field, the value and what is allowed.
What must not: which fields a model has (``requests.py``), files and uploads (``transfers.py``).
"""

import difflib
import math
import os
from collections.abc import Iterator, Mapping
from typing import Literal, TypeGuard
from urllib.parse import urlsplit

import attrs

from foxvideo.errors import FieldFault, InvalidRequest

LocalMedia = os.PathLike[str] | bytes
Media = str | LocalMedia
"""A picture or film: a public http(s) URL, or a local file or its bytes, which are uploaded first."""

_SHOWN = 60  # characters of a value that an error shows
_MOST_BITS = 64  # of a whole number; many JSON readers take no more
_ESCAPE = "(pass check=False to send it all the same)"


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


def is_local(value: object) -> TypeGuard[LocalMedia]:
    """Whether a value is a local file or its bytes, which must be uploaded before it can be sent."""
    return isinstance(value, bytes | os.PathLike)


def invalid(model: str, faults: tuple[FieldFault, ...]) -> InvalidRequest:
    """Return the one error that holds all faults of a request."""
    return InvalidRequest(f"{model}: {'; '.join(map(str, faults))}", faults=faults)


def show(value: object) -> str:
    """Return a value as an error shows it: short, and never failing."""
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - anything may be given: a number of 5000 digits has no repr
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def misnamed_model(model: object) -> Iterator[FieldFault]:
    """Find that the id of the model is none."""
    if not isinstance(model, str) or not model.strip():
        yield FieldFault("model", None if model is None else show(model), "the id of a model")


def misnamed(fields: Mapping[str, object], within: str = "") -> Iterator[FieldFault]:
    """Find names that are no texts, whatever the types promise."""
    for name in fields:
        if not isinstance(name, str):
            yield FieldFault(f"{within}[{show(name)}]", show(fields[name]), "its name is not a text")


def unsendable(path: str, value: object) -> Iterator[FieldFault]:
    """Find what JSON cannot carry."""
    match value:
        case None | str() | bytes() | os.PathLike():
            return
        case int():
            if value.bit_length() > _MOST_BITS:
                yield FieldFault(path, show(value), f"a whole number of at most {_MOST_BITS} bits")
        case float():
            if not math.isfinite(value):
                yield FieldFault(path, show(value), "a finite number")
        case Mapping():
            yield from misnamed(value, path)
            for name, item in value.items():
                yield from unsendable(f"{path}.{name}", item)
        case list() | tuple():
            for index, item in enumerate(value):
                yield from unsendable(f"{path}[{index}]", item)
        case _:
            yield FieldFault(path, show(value), "a text, number, boolean, list, object, pathlib.Path or bytes")


def clashes(extra: set[str], rules: Mapping[str, FieldRule]) -> Iterator[FieldFault]:
    """Find extra fields that the request has a field for."""
    for name in sorted(extra & rules.keys()):
        yield FieldFault(f"extra[{name!r}]", "...", f"set {name} as a field of the request, not in extra")


def undocumented(fields: Mapping[str, object], rules: Mapping[str, FieldRule], extra: set[str]) -> Iterator[FieldFault]:
    """Compare with the documentation, field by field."""
    for name, rule in rules.items():
        if name in fields:
            yield from _violations(name, fields[name], rule)
        elif rule.required:
            yield FieldFault(name, None, f"a {rule.kind} is required")
    for name in sorted(fields.keys() - rules.keys() - extra - {"model"}):
        nearest = difflib.get_close_matches(name, rules, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"its fields are {', '.join(rules)}"
        yield FieldFault(name, show(fields[name]), f"not a field of this model, {hint} {_ESCAPE}")


def _violations(name: str, value: object, rule: FieldRule) -> Iterator[FieldFault]:
    match rule.kind:
        case "text":
            yield from _text_violations(name, value, rule)
        case "integer":
            if not isinstance(value, int) or isinstance(value, bool):
                yield FieldFault(name, show(value), "a whole number")
            elif not rule.low <= value <= (rule.high or value):
                yield FieldFault(name, show(value), f"documented: {rule.low}-{rule.high} {_ESCAPE}")
        case "media":
            yield from _media_violations(name, value)
        case _:
            yield from _list_violations(name, value, rule)


def _text_violations(name: str, value: object, rule: FieldRule) -> Iterator[FieldFault]:
    if not isinstance(value, str):
        yield FieldFault(name, show(value), "a text")
    elif rule.options and value not in rule.options:
        yield FieldFault(name, show(value), f"documented: {', '.join(rule.options)} {_ESCAPE}")
    elif rule.required and not value.strip():
        yield FieldFault(name, show(value), "a text that is not empty")
    elif rule.high is not None and len(value) > rule.high:
        yield FieldFault(name, f"<{len(value)} characters>", f"documented: at most {rule.high} characters {_ESCAPE}")


def _media_violations(name: str, value: object) -> Iterator[FieldFault]:
    if is_local(value):
        return
    if not isinstance(value, str):
        yield FieldFault(name, show(value), "an http(s) URL, a pathlib.Path or bytes")
    elif not is_web_url(value):
        yield FieldFault(name, show(value), "an http(s) URL; for a local file pass a pathlib.Path")


def is_web_url(text: str) -> bool:
    """Whether a text is an http(s) URL with a host."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def _list_violations(name: str, value: object, rule: FieldRule) -> Iterator[FieldFault]:
    if not isinstance(value, list | tuple):
        yield FieldFault(name, show(value), "a list")
        return
    if not rule.low <= len(value) <= (rule.high or len(value)):
        yield FieldFault(name, f"<{len(value)} items>", f"documented: {rule.low}-{rule.high} items {_ESCAPE}")
    for index, item in enumerate(value):
        yield from _media_violations(f"{name}[{index}]", item)
