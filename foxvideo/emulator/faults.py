"""Ways in which an answer can break, and which answers break.

`Fault` and `Faults` are plain values that a test writes down; `Script` decides request by request. How a fault looks
on the wire is the business of `breaking.py`, faults that belong together are in `siblings.py`.
"""

import json
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, get_args

import attrs

How = Literal[
    "reset",
    "hang",
    "error",
    "html",
    "detail",
    "half_body",
    "stall",
    "slow",
    "drip",
    "garbage",
    "empty",
    "rate_limit",
    "redirect",
    "cloudflare",
    "same_id",
    "short_length",
    "trailing",
    "long_header",
    "false_gzip",
    "cut_gzip",
    "cut_chunk",
    "fields",
]
Kind = Literal["submit", "poll", "upload", "result", "models", "account"]

_WHOLE: Final = {"slow", "drip", "long_header", "fields"}
_BENT: Final = _WHOLE | {"short_length", "trailing", "false_gzip", "cut_gzip", "cut_chunk"}


def one_of(words: Iterable[str]) -> Callable[[object, "attrs.Attribute[Any]", object], None]:
    """Return a validator of options that takes these words alone, and names them in its ValueError."""
    allowed = tuple(words)

    def check(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if value not in allowed:
            raise ValueError(f"{attribute.name}: {value!r} is none of {', '.join(allowed)}")

    return check


def _text(fields: str | Mapping[str, Any]) -> str:
    return fields if isinstance(fields, str) else json.dumps(fields)


def _check_fields(_: object, __: object, text: str) -> None:
    try:
        # Python refuses to read numbers of thousands of digits.
        good = isinstance(json.loads(text, parse_int=str), dict)
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"fields: must be a JSON object, not {text[:100]!r}")


@attrs.frozen
class Fault:
    """One way in which an answer breaks.

    No answer, or another one: for submissions and uploads, `after` says whether the request did its work first.

    - `reset`: the connection is reset
    - `hang`: no answer until the emulator closes
    - `error`: the documented JSON body for `status`
    - `html`: a page like Cloudflare's with `status`
    - `detail`: `{"detail": "Not Found"}` with `status`, as of a bare FastAPI without its gateway
    - `cloudflare`: 403 with the text `error code: 1010`
    - `rate_limit`: 429 in JSON
    - `redirect`: `status`, or 307 if that is no redirection
    - `garbage`: 200 with bytes that are no JSON
    - `empty`: 200 without a body
    - `half_body`: the connection closes before the announced length
    - `stall`: the answer stops in its middle, and the connection stays
    - `same_id`: for submissions alone: the reply to the last submission that made a task, with its id

    The good answer, bent: the request always does its work first, so that a submission made a task and was charged.

    - `slow`: it begins late
    - `drip`: its body comes one byte at a time
    - `short_length`: its Content-Length is one too small
    - `trailing`: a line of text follows its body
    - `long_header`: one of its headers is `size` bytes long
    - `false_gzip`: it says `Content-Encoding: gzip`, and is plain
    - `cut_gzip`: it is gzip, and the end of that is missing
    - `cut_chunk`: it comes in two chunks, the first of which ends within the id, and breaks off in the second
    - `fields`: its JSON has other fields: `fields` and `without`; what is no JSON object stays as it is

    Those that break off, or whose length is wrong, close the connection.

    Args:
        how: One of the words above.
        after: True lets the request do its work first, so that a task was made and charged and only the reply broke;
            False means that nothing was made. So `Fault("rate_limit", after=True)` is a refusal that made a task after
            all, and `Fault("same_id", after=True)` charges for a task whose id no reply tells.
        status: HTTP status of `error`, `html`, `detail` and `redirect`.
        retry_after: The Retry-After header of an answer in words, as it stands; None leaves it out.
        code: The `code` of `error`, such as `no_compatible_channel` with 422; None leaves it out.
        at: Bytes of the body that come before `half_body`, `stall`, `cut_chunk` and `cut_gzip` break off, or before
            `drip` begins; None for half of it, for all but twelve bytes of `cut_gzip`, and for none of `drip`.
        seconds: How late `slow` begins; the pause of `drip` before each byte.
        size: Bytes of the value of `long_header`.
        fields: What `fields` lays over the JSON, objects within objects too; a mapping, or the text of a JSON object.
            Infinity goes out as the number 1e999.
        without: The names that `fields` takes away first.

    Raises:
        ValueError: `how` is no word of the list, or `fields` no JSON object.
    """

    how: How = attrs.field(validator=one_of(get_args(How)))
    after: bool = False
    status: int = 500
    retry_after: str | None = None
    code: str | None = None
    at: int | None = None
    seconds: float = 30.0
    size: int = 9 * 1024
    # As text, since a fault is a key of `Faults`.
    fields: str = attrs.field(default="{}", converter=_text, validator=_check_fields)
    without: tuple[str, ...] = ()

    @property
    def works(self) -> bool:
        """Whether the request does its work before its answer breaks."""
        return self.after or self.how in _BENT

    @property
    def needs_reply(self) -> bool:
        """Whether it breaks, or delays, an answer that is good otherwise."""
        return self.how in _BENT or self.how in {"half_body", "stall"}

    @property
    def whole(self) -> bool:
        """Whether all of the good answer arrives in the end, and can be read."""
        return self.how in _WHOLE


def _check_rates(_: object, attribute: "attrs.Attribute[Rates]", rates: "Rates") -> None:
    if any(rate < 0 for rate in rates.values()) or sum(rates.values()) > 1:
        raise ValueError(f"{attribute.name}: rates must not be negative and add up to at most 1: {rates}")
    for fault in rates:
        check(attribute.name, fault)


def check(kind: str, fault: Fault) -> None:
    """Refuse a fault that requests of this kind cannot have.

    Raises:
        ValueError: It cannot, or there is no such kind.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"kind: {kind!r} is none of {', '.join(get_args(Kind))}")
    if fault.how == "same_id" and kind != "submit":
        raise ValueError(f"{kind}: same_id is for submissions alone")


Rates = Mapping[Fault, float]


@attrs.frozen(kw_only=True)
class Faults:
    """A repeatable plan: for each kind of request, the chance of each fault.

    Args:
        seed: Chooses between repeatable sequences.
        submit: Chance of each fault of a submission; the chances of one kind add up to at most 1.
        poll: The same for polls.
        upload: The same for uploads.
        result: The same for result links.
    """

    seed: int = 0
    submit: Rates = attrs.field(factory=dict, validator=_check_rates)
    poll: Rates = attrs.field(factory=dict, validator=_check_rates)
    upload: Rates = attrs.field(factory=dict, validator=_check_rates)
    result: Rates = attrs.field(factory=dict, validator=_check_rates)


@attrs.define(eq=False)
class Script:
    """Says which request breaks: during a blip all of them, then what was scripted, in order, then what is drawn."""

    _plan: Faults
    _scripted: dict[Kind, deque[Fault]] = attrs.field(factory=lambda: {kind: deque() for kind in get_args(Kind)})
    _blips: dict[Kind, tuple[Fault, float]] = attrs.field(factory=dict)
    _draws: dict[Kind, random.Random] = attrs.field(factory=dict)

    def add(self, kind: Kind, fault: Fault, times: int) -> None:
        """Let the next `times` requests of this kind break."""
        check(kind, fault)
        self._scripted[kind].extend([fault] * times)

    def blip(self, kind: Kind, fault: Fault, until: float) -> None:
        """Let every request of this kind break until a moment, instead of what an earlier call said."""
        check(kind, fault)
        self._blips[kind] = fault, until

    def clear(self) -> None:
        """Forget what was scripted, and the blips; the plan stays."""
        self._blips.clear()
        for scripted in self._scripted.values():
            scripted.clear()

    def take(self, kind: Kind, now: float = 0.0) -> Fault | None:
        """Return how the request of this kind that has arrived at this moment breaks, or None."""
        if kind in self._blips and now < self._blips[kind][1]:
            return self._blips[kind][0]
        if self._scripted[kind]:
            return self._scripted[kind].popleft()
        rates: Rates = getattr(self._plan, kind, {})
        if not rates:
            return None
        if kind not in self._draws:
            self._draws[kind] = random.Random(f"{self._plan.seed}:{kind}")  # noqa: S311 - repeatable, not secret
        drawn = self._draws[kind].random()
        for fault, rate in rates.items():
            if drawn < rate:
                return fault
            drawn -= rate
        return None
