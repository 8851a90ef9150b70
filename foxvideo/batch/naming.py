"""What the videos of a batch are called: by a template, and always with a digest of the task's id.

With the digest, a file belongs to one task for good: where a row is bought anew, its video gets another name, and two
rows that a template calls the same do not overwrite each other.
"""

import hashlib
import re
import string
from pathlib import Path

from foxvideo.batch.lines import NOTE
from foxvideo.batch.rows import Row
from foxvideo.requests.generic import fields_of, media_of

DEFAULT = "{words}-{key}"
FIELDS = ("row", "key", "words", "model")
_FORMAT = re.compile(r"[<>^]?\d{0,2}[sd]?")
_WORDS = 40  # characters
_LONGEST = 160  # bytes of what a template makes; a file system takes 255 in all


def template(text: object) -> str:
    """Return a template for names, checked.

    Its fields are ``row``, ``key``, ``words`` (of the picture's name, or else the first of the prompt), ``model``, and
    columns that begin with ``#``; with a format as Python has it, such as ``{row:03}``.

    Raises:
        ValueError: It is none, or has another field.
        TypeError: It is no text.
    """
    if not isinstance(text, str):
        raise TypeError(f"name must be a text, not of type {type(text).__name__}")
    try:
        fields = [(name, form or "") for _, name, form, _ in string.Formatter().parse(text) if name is not None]
    except ValueError as error:
        raise ValueError(f"name must be a template such as {DEFAULT!r}, not {text!r:.80}: {error}") from None
    names = [name for name, _ in fields]
    wrong = [name for name in names if name not in FIELDS and not re.fullmatch(rf"{NOTE}[^.\[]+", name)]
    if not names or wrong:
        what = f"has no field {wrong[0]!r}" if wrong else "has no field at all"
        known = ", ".join(f"{{{name}}}" for name in FIELDS)
        raise ValueError(f"name {what}; there are {known} and columns such as {{{NOTE}scene}}")
    if odd := [form for _, form in fields if not _FORMAT.fullmatch(form)]:
        raise ValueError(f"name must be a template such as {DEFAULT!r}: the format {odd[0]!r:.40} is none of a name")
    try:
        text.format_map(_values(1, "key", "words", "model", dict.fromkeys(names, "")))
    except ValueError as error:  # a format that no value has
        raise ValueError(f"name must be a template such as {DEFAULT!r}, not {text!r:.80}: {error}") from None
    return text


def stem(name: str, row: Row, task_id: str) -> str:
    """Return the name of a row's video without a suffix.

    Args:
        name: The template.
        row: The row.
        task_id: Of the task that made it.
    """
    files = (Path(media) for media in media_of(row.request).values() if not isinstance(media, bytes))
    text = next((file.stem for file in files), None) or str(fields_of(row.request).get("prompt") or "")
    words = "-".join(re.findall(r"\w+", text))[:_WORDS].strip("-_") or "video"
    missing = {field: "" for _, field, _, _ in string.Formatter().parse(name) if field and field.startswith(NOTE)}
    told = name.format_map(_values(row.number, row.key, words, row.request.model, missing | dict(row.notes)))
    safe = re.sub(r"[^\w.-]+", "-", told).encode(errors="replace")[:_LONGEST].decode(errors="ignore").strip("-._")
    return f"{safe or 'video'}-{hashlib.sha256(task_id.encode()).hexdigest()[:8]}"


def _values(row: int, key: str, words: str, model: str, notes: dict[str, str]) -> dict[str, object]:
    return {**notes, "row": row, "key": key, "words": words, "model": model}
