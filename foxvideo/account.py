"""What a key has left, what things cost, and what all clients together may do with an account.

```python
balance, prices = await client.balance(), await client.prices()
print(balance.dollars, prices.estimate(shots[0]))  # US dollars; None where the service does not say
```

No page of FoxAPI shows these replies. Their names are those that public clients of the service read, so anything may be
missing, and is None then.

## Limits that clients share

An account has one purse and one rate, however many programs use it. Clients that share a journal share its limits:

```python
await client.set_limits(Limits(max_active=40, per_second=2.0, max_credits=5000))
```

Each client of each machine then waits until there is a place, and none takes one that another has taken. A submission
that waits costs nothing, and its ``task_timeout`` does not run. When a submission of one client gets a 429, all of them
slow down. Where the service refuses the account itself (401, 402), nothing more leaves until somebody says
``await client.go_on()``; and neither does what could pass ``max_credits``. These two end in ``LimitReached``.
``await client.limits()`` says where the account stands, and so does ``foxvideo limits`` in a shell.

The limits belong to a *name* of the account, ``Client(account="studio")``, which is ``FOXVIDEO_ACCOUNT`` or ``default``
where none is given. An API key is never written down.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Self

import attrs

from foxvideo import catalogue
from foxvideo._journal.limits import AccountUse, Limits
from foxvideo._wire.decode import read_object, read_rows
from foxvideo._wire.reply import Answer
from foxvideo._wire.structure import mapping, number, text
from foxvideo.errors import FoxError
from foxvideo.requests.generic import VideoRequest

__all__ = ["AccountUse", "Balance", "Limits", "Price", "Prices"]

QUOTA_PER_DOLLAR = 500_000
"""Units of quota that one US dollar buys."""

_FIXED = 1  # the quota_type of a price per call; 0 is metered


@attrs.frozen(kw_only=True)
class Balance:
    """What a key may still spend: GET /api/usage/token/.

    Attributes:
        name: The name that the key was given; None if not told.
        total_granted: Units of quota, 500,000 to the US dollar; None if not told.
        total_used: Likewise.
        total_available: Likewise.
        unlimited: Whether the key has no limit of its own; the account behind it may have one.
        expires_at: When the key dies; None for never, or if not told.
        credits: The reply to GET /v1/account/credits as it came, whose fields are not documented; None where the
            service has none.
    """

    name: str | None
    total_granted: float | None
    total_used: float | None
    total_available: float | None
    unlimited: bool
    expires_at: dt.datetime | None
    credits: Mapping[str, object] | None = attrs.field(default=None, repr=False, hash=False)

    @staticmethod
    def read_usage(answer: Answer) -> dict[str, object]:
        """Return what the answer to GET /api/usage/token/ tells.

        Raises:
            FoxError: The query failed.
        """
        return read_object(answer, names=("total_available", "unlimited_quota"))

    @staticmethod
    def read_credits(answer: Answer) -> dict[str, object] | None:
        """Return what the answer to GET /v1/account/credits tells; None where the service does not have it."""
        try:
            return read_object(answer)
        except FoxError:
            return None

    @classmethod
    def of(cls, usage: Mapping[str, object], credits_told: Mapping[str, object] | None) -> Self:
        """Return the balance that both replies tell."""
        expires = number(usage.get("expires_at"))
        return cls(
            name=text(usage.get("name")),
            total_granted=number(usage.get("total_granted")),
            total_used=number(usage.get("total_used")),
            total_available=number(usage.get("total_available")),
            unlimited=usage.get("unlimited_quota") is True,
            expires_at=_moment(expires) if expires else None,
            credits=credits_told,
        )

    @property
    def dollars(self) -> float | None:
        """What is left, in US dollars; None if not told."""
        return None if self.total_available is None else self.total_available / QUOTA_PER_DOLLAR


@attrs.frozen(kw_only=True)
class Price:
    """What the price list says about one model.

    Attributes:
        per_call: US dollars for each task, before the ratio of the key's group; None where the use is metered.
        groups: The groups of keys that may call it; empty if not told.
    """

    per_call: float | None
    groups: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Prices:
    """The price list: GET /api/pricing.

    Attributes:
        models: The price of each model by its id.
        group_ratio: What each group of keys pays, as a factor.
    """

    models: Mapping[str, Price] = attrs.field(hash=False, repr=lambda found: f"<{len(found)}>")
    group_ratio: Mapping[str, float] = attrs.field(hash=False)

    @classmethod
    def read(cls, answer: Answer) -> Self:
        """Return what the answer to the query tells; rows that make no sense are left out.

        Raises:
            FoxError: The query failed.
        """
        rows, beside = read_rows(answer)
        ratios = mapping(beside.get("group_ratio"))
        named = ((text(row.get("model_name")), row) for row in map(mapping, rows))
        return cls(
            models={name: _price(row) for name, row in named if name},
            group_ratio={group: ratio for group, told in ratios.items() if (ratio := number(told)) is not None},
        )

    def estimate(self, request: VideoRequest, *, group: str | None = None) -> float | None:
        """Return what a request costs in US dollars, as ``of_model``; never a guess.

        Args:
            request: What would be submitted.
            group: The group of the key, as ``TaskState.usage.user_group`` tells it; None if it is not known.

        Returns:
            None where the list does not say, or where the page of the model says that the price depends on more than
            the model.
        """
        if not isinstance(request, VideoRequest):  # whatever the types promise
            raise TypeError(f"pass a request, not {request!r:.80}")
        known = catalogue.find(request.model)
        return None if known and known.billed_by else self.of_model(request.model, group)

    def of_model(self, model: str, group: str | None = None) -> float | None:
        """Return what one task of a model costs in US dollars.

        Args:
            model: Its id, as on the wire.
            group: The group of the key, as ``TaskState.usage.user_group`` tells it; None if it is not known.

        Returns:
            None where the list does not say: a model that is not in it, is metered, or has tiers such as
            ``fabric-1.0[480p]``, of which the request may be any; a group that is not in it, or no group given while
            those that may call the model pay differently.
        """
        price = self.models.get(model)
        tiers = any(name.startswith(f"{model}[") for name in self.models)
        if price is None or price.per_call is None or tiers:
            return None
        groups = (group,) if group else price.groups or tuple(self.group_ratio)
        ratios = {self.group_ratio.get(name) for name in groups}
        ratio = ratios.pop() if len(ratios) == 1 else None
        return None if ratio is None else price.per_call * ratio


def _price(row: Mapping[str, object]) -> Price:
    groups = row.get("enable_groups")
    names = tuple(name for group in (groups if isinstance(groups, list) else ()) if (name := text(group)))
    fixed = number(row.get("quota_type")) == _FIXED
    return Price(per_call=number(row.get("model_price")) if fixed else None, groups=names)


def _moment(seconds: float) -> dt.datetime | None:
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None
