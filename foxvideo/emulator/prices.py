"""What a task costs, and when a reply tells: prices that depend on the request, as those of most models do.

Pure: a submission's body in, credits out.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs

from foxvideo.emulator import rules

Told = Literal["submit", "poll", "end", "never"]
Moment = Literal["submit", "poll", "end"]

_MOMENTS: Final = ("submit", "poll", "end")
_SECONDS: Final = 6.0
"""What a clip counts as where neither the body nor the model's page names its length, or the model decides (-1)."""


@attrs.frozen(kw_only=True)
class Tariff:
    """A price list: (`per_task` + `per_second` * length of the clip) * all factors.

    A field that a body leaves out counts with its documented default.

    Args:
        per_task: Credits of every task.
        per_second: Credits of each second of the clip, whose length is the field `duration`.
        by: For each field that sets the price, such as `resolution`, `mode` or `generate_audio`, the factor of its
            values; 1 for values that are not named.
        models: Models with a price of their own: a number, a tariff, or None for tasks without a price.
    """

    per_task: float = 0.0
    per_second: float = 0.0
    by: Mapping[str, Mapping[Any, float]] = attrs.field(factory=dict)
    models: "Mapping[str, float | Tariff | None]" = attrs.field(factory=dict)

    def __call__(self, body: Mapping[str, Any]) -> float | None:
        """Return the credits of a task with this body."""
        if body["model"] in self.models:
            return price(self.models[body["model"]], body)
        factors = (_factor(factors, _given(body, field)) for field, factors in self.by.items())
        return (self.per_task + self.per_second * _seconds(body)) * math.prod(factors)


Credits: TypeAlias = float | Tariff | Callable[[Mapping[str, Any]], float | None] | None
"""One price for all tasks, a rule that makes it from the body, or None for tasks without a price."""


def price(credits_: Credits, body: Mapping[str, Any]) -> float | None:
    """Return the credits of a task with this body; None where it has no price."""
    return credits_(body) if callable(credits_) else credits_


def fixed(credits_: Credits, model: str) -> float | None:
    """Return the credits that every task of a model costs, None where that depends on its body."""
    if isinstance(credits_, Tariff):
        if model in credits_.models:
            return fixed(credits_.models[model], model)
        return None if credits_.per_second or credits_.by else credits_.per_task
    return None if callable(credits_) else credits_ or 0


def tells(told: Told, moment: Moment) -> bool:
    """Whether replies of a moment tell credits that are told from another one on."""
    return told != "never" and _MOMENTS.index(told) <= _MOMENTS.index(moment)


def _given(body: Mapping[str, Any], field: str) -> object:
    return body.get(field, rules.default(body["model"], field))


def _seconds(body: Mapping[str, Any]) -> float:
    length = _given(body, "duration")
    return length if isinstance(length, int | float) and length > 0 else _SECONDS


def _factor(factors: Mapping[Any, float], value: object) -> float:
    # Compared one by one, since JSON has values that are no keys.
    return next((factor for named, factor in factors.items() if named == value), 1.0)
