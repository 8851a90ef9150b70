"""What the documented models accept: the emulator's own checker of submissions.

The fields come from the catalogue, which is data; all that judges a body is written down here, and in `between.py`, a
second time on purpose: nothing else of the client is consulted, so that the two checkers can disagree. No HTTP, no
task, no video.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from foxvideo import catalogue
from foxvideo.catalogue import Model, Parameter
from foxvideo.emulator import between

Judge = Callable[[Any, Parameter], str | None]

_BASE64: Final = re.compile(
    r"(?:data:[^,]*;base64,)?(?=.)(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
)


@attrs.frozen
class Refusal:
    """Why a body is refused with 422: a line for people, a code for programs where one is documented."""

    message: str
    code: str | None = None


def refusal(body: object, *, strict: bool, allowed: Collection[str] | None = None) -> Refusal | None:
    """Check the decoded body of a submission against the documentation.

    Args:
        body: What the JSON decoder gave.
        strict: True checks models, fields and values; False needs only an object with a `model`.
        allowed: The models that the key may call; None for all that are documented, and their variants.

    Returns:
        What is wrong with it, all faults in one line, or None when the body may become a task.
    """
    if not isinstance(body, dict):
        return Refusal("the body must be a JSON object")
    model_id = body.get("model")
    if not isinstance(model_id, str) or not model_id:
        return Refusal("model: is required and must be a string")
    if not strict:
        return None
    model = catalogue.find(model_id)
    if model is None or not (allowed is None or model_id in allowed):
        return Refusal(f"model {model_id!r} was not found or is not open to this key", "model_not_found")
    faults = "; ".join(_faults(model, body))
    return Refusal(faults) if faults else None


def default(model_id: str, field: str) -> Any:  # noqa: ANN401 - a default is a string, a number or nothing
    """Return the documented default of a model's field, or None where there is none."""
    model = catalogue.find(model_id)
    parameter = model.parameters.get(field) if model else None
    return parameter.default if parameter else None


def _faults(model: Model, body: Mapping[str, Any]) -> Iterator[str]:
    given = {name: value for name, value in body.items() if name != "model"}
    for name, value in given.items():
        parameter = model.parameters.get(name)
        if parameter is None:
            yield f"{name}: extra fields are not permitted"
        elif fault := _fault(value, parameter):
            yield f"{name}: {fault}"
    yield from _missing(given, model.parameters)
    yield from between.faults(model, given)


def _missing(given: Mapping[str, Any], parameters: Mapping[str, Parameter], within: str = "") -> Iterator[str]:
    for name, parameter in parameters.items():
        if parameter.required and name not in given:
            yield f"{within}{name}: field required"


def _fault(value: Any, parameter: Parameter) -> str | None:  # noqa: ANN401 - whatever JSON can hold
    """Return what is wrong with a value, or None."""
    return _JUDGES[parameter.type](value, parameter)


def _text(value: Any, parameter: Parameter) -> str | None:  # noqa: ANN401
    if parameter.options:
        return _choice(value, parameter)
    if not isinstance(value, str):
        return "must be a string"
    if parameter.required and (not value or value.isspace()):
        return "must not be empty"
    if parameter.high is not None and len(value) > parameter.high:
        return f"must have at most {parameter.high} characters, has {len(value)}"
    if parameter.low is not None and len(value) < parameter.low:
        return f"must have at least {parameter.low} characters, has {len(value)}"
    return None


def _choice(value: Any, parameter: Parameter) -> str | None:  # noqa: ANN401
    if type(value) in {str, int} and value in parameter.options:
        return None
    return f"must be one of {', '.join(str(option) for option in parameter.options)}"


def _integer(value: Any, parameter: Parameter) -> str | None:  # noqa: ANN401
    if type(value) is not int:
        return "must be an integer"
    return _choice(value, parameter) if parameter.options else _bounded(value, parameter)


def _number(value: Any, parameter: Parameter) -> str | None:  # noqa: ANN401
    if type(value) not in {int, float}:
        return "must be a number"
    return _bounded(value, parameter)


def _bounded(value: float, parameter: Parameter) -> str | None:
    low, high = parameter.low, parameter.high
    if value in parameter.also or ((low is None or low <= value) and (high is None or value <= high)):
        return None
    if low is not None and high is not None:
        return f"must be from {low} to {high}, is {value}"
    return f"must be at {f'most {high}' if low is None else f'least {low}'}, is {value}"


def _boolean(value: Any, _: Parameter) -> str | None:  # noqa: ANN401
    return None if value is True or value is False else "must be a boolean"


def _object(value: Any, _: Parameter) -> str | None:  # noqa: ANN401
    return None if isinstance(value, dict) else "must be an object"


def _media(value: Any, parameter: Parameter) -> str | None:  # noqa: ANN401
    if isinstance(value, str) and (_is_web_url(value) or (parameter.base64 and _BASE64.fullmatch(value))):
        return None
    return "must be a public http(s) URL" + (" or base64" if parameter.base64 else "")


def _string(value: Any, _: Parameter) -> str | None:  # noqa: ANN401
    return None if isinstance(value, str) else "must be an array of strings"


def _listed(what: str, judge: Judge) -> Judge:
    """Return the judge of a list: how many items it has, and then each of them."""

    def judged(value: Any, parameter: Parameter) -> str | None:  # noqa: ANN401
        if not isinstance(value, list):
            return f"must be an array of {what}"
        low, high = parameter.low or 0, parameter.high
        if len(value) < low or (high is not None and len(value) > high):
            return f"must hold from {low} to {high} {what}, holds {len(value)}"
        return next(filter(None, (judge(item, parameter) for item in value)), None)

    return judged


def _known(item: Any, parameter: Parameter) -> str | None:  # noqa: ANN401
    """Judge one object of a list by the fields that are known of it."""
    if not isinstance(item, dict):
        return "must be an array of objects"
    given = {name: value for name, value in item.items() if value is not None}
    for name, known in parameter.items.items():
        if name in given and (fault := _fault(given[name], known)):
            return f"{name} {fault}"
    return next(_missing(given, parameter.items), None)


_JUDGES: Final[Mapping[str, Judge]] = {
    "text": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "object": _object,
    "media": _media,
    "text list": _listed("strings", _string),
    "media list": _listed("URLs", _media),
    "object list": _listed("objects", _known),
}


def _is_web_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)
