"""What options may be: refused at once and by name, before anything is sent.

Each function returns the value, so that a check stands where the value is used.
"""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

LONGEST_KEY = 200


def count(name: str, value: object) -> int:
    """Return a whole number above 0, else raise ``ValueError``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number above 0, not {value!r:.80}")
    return value


def seconds(name: str, value: object) -> float:
    """Return a finite number of seconds above 0, else raise ``ValueError``."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
        raise ValueError(f"{name} must be a finite number of seconds above 0, not {value!r:.80}")
    return value


def flag(name: str, value: object) -> bool:
    """Return True or False, else raise ``TypeError``: ``"no"`` would count as True."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {value!r:.80}")
    return value


def text(name: str, value: object) -> str:
    """Return a text, else raise ``TypeError``; it may be a secret, so it is not shown."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text, not of type {type(value).__name__}")
    return value


def call(name: str, value: F) -> F:
    """Return a callable, else raise ``TypeError``."""
    if not callable(value):
        raise TypeError(f"{name} must be a function, not {value!r:.80}")
    return value


def key(value: object) -> str:
    """Return a key as the caller names tasks, else raise ``ValueError``."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > LONGEST_KEY:
        raise ValueError(f"a key is a printable text of 1 to {LONGEST_KEY} characters, not {value!r:.80}")
    return value


def file(name: str, value: object) -> Path:
    """Return the path of a file, as ``path``; one with a null character is refused, too."""
    if "\0" in str(found := path(name, value)):
        raise ValueError(f"{name} must be a path without a null character, not {str(found)!r:.80}")
    return found


def path(name: str, value: object) -> Path:
    """Return a path, else raise ``TypeError``, or ``ValueError`` where it is empty; whether it can be is seen later."""
    if not isinstance(value, str | os.PathLike) or not isinstance(found := os.fspath(value), str):
        raise TypeError(f"{name} must be a path, as a text or a pathlib.Path, not {value!r:.80}")
    if not found:
        raise ValueError(f"{name} must be a path, not an empty text")
    return Path(found)
