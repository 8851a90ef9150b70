"""Spans of time in words: ``90s``, ``12h``, ``30d``, ``8w``.

What belongs here: reading and writing them. What must not: clocks.
"""

import re

import click

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SHOWN = ("d", "h", "m")


def seconds(text: str) -> float:
    """Return the seconds of a number and a unit.

    >>> seconds("12h"), seconds("1.5m")
    (43200.0, 90.0)

    Raises:
        click.BadParameter: It is neither.
    """
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)([smhdw])", text.strip())
    if not found:
        raise click.BadParameter(f"{text!r} is no span of time such as 90s, 12h, 30d or 8w")
    return float(found[1]) * _UNITS[found[2]]


def wait(text: str) -> float:
    """Return the seconds of a wait: a number above 0, or a span as for ``seconds``.

    >>> wait("90"), wait("1.5m")
    (90.0, 90.0)

    Raises:
        click.BadParameter: It is neither.
    """
    plain = re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text.strip())
    span = float(text) if plain else seconds(text)
    if span <= 0:
        raise click.BadParameter(f"{text!r} is not above 0")
    return span


def shown(span: float) -> str:
    """Return a span of seconds in its largest unit, rounded down.

    >>> shown(59), shown(3599), shown(3600), shown(200000)
    ('59s', '59m', '1h', '2d')
    """
    unit = next((unit for unit in _SHOWN if span >= _UNITS[unit]), "s")
    return f"{int(max(span, 0) // _UNITS[unit])}{unit}"
