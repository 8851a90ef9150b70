"""What a page documents about a model, as frozen values.

What belongs here: models and their parameters. What must not: reading them (``__init__.py``), and what is wrong with
the fields of a request (``requests/validation.py``).
"""

from collections.abc import Mapping
from typing import Literal

import attrs

Type = Literal["text", "integer", "number", "boolean", "object", "media", "text list", "media list", "object list"]
"""What a field holds; ``media`` is a picture, video or sound by its URL."""

Scalar = str | int | float | bool | None
"""A default value as the documentation prints it."""


@attrs.frozen(kw_only=True)
class Parameter:
    """One field of a model. Lengths, ranges and options stand here only where a page prints them.

    Attributes:
        type: What its value is; ``null`` counts as not given.
        required: Whether the page demands it.
        usual: Whether a request usually has it though the page does not demand it.
        options: The only values allowed; empty for any.
        low: Smallest number, fewest items of a list, or fewest characters of a text; None for no limit.
        high: Largest number, most items of a list, or most characters of a text; None for no limit.
        also: Numbers allowed beside that range.
        base64: Whether a picture may also be given as base64 or as a data URL.
        items: The fields that are known of each object of a list; it may have others.
        default: What the service takes where it is not given; None if that is not told.
        note: What else the page says; may be empty.
        advanced: Whether the page asks to leave it out unless it is needed: it narrows the choice of channels.
    """

    type: Type
    required: bool = False
    usual: bool = False
    options: tuple[str | int, ...] = ()
    low: float | None = None
    high: float | None = None
    also: tuple[int, ...] = ()
    base64: bool = False
    items: Mapping[str, "Parameter"] = attrs.field(factory=dict, hash=False)
    default: Scalar = None
    note: str = ""
    advanced: bool = False


@attrs.frozen(kw_only=True)
class Model:
    """One model of the documentation; a key may call it or not, which ``Client.models`` tells.

    Attributes:
        id: As on the wire.
        family: What it belongs to: ``veo-3.1``.
        kind: What it does: ``image-to-video``, ``lip-sync``, ...; ``multi`` for several, ``profile`` for one that
            makes a voice, character or element and no video.
        source: The page, or the file, that its parameters were read from.
        parameters: Its fields besides ``model``, in the order of the page.
        legacy: Whether it has the older schema, with ``size`` for the aspect and ``callback_url``.
        billed_by: What the page says that the price depends on; empty where it says nothing.
        note: What else the page says; may be empty.
    """

    id: str
    family: str
    kind: str
    source: str
    parameters: Mapping[str, Parameter] = attrs.field(hash=False)
    legacy: bool = False
    billed_by: str = ""
    note: str = ""
