"""What a key may call, what that costs and what is left: the routes that make no task.

The shapes are those that public clients of the service read; no decision about a task is taken here.
"""

from typing import Any, Final

import attrs
from aiohttp import web

from foxvideo import catalogue
from foxvideo.emulator import prices, replies
from foxvideo.emulator.faults import Kind
from foxvideo.emulator.host import Host
from foxvideo.emulator.prices import Credits

_QUOTA_PER_DOLLAR: Final = 500_000
_GRANTED_DOLLARS: Final = 1000
_CREDITS_PER_DOLLAR: Final = 100


@attrs.define(eq=False, kw_only=True)
class Account:
    """The routes about the key."""

    host: Host
    credits: Credits
    """What a task costs; a credit counts as a US cent."""
    models: tuple[str, ...]
    """What the key may call."""

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of this room."""
        return [
            web.get("/v1/models", self.listed),
            web.get("/api/usage/token/", self.allowance),
            web.get("/v1/account/credits", self.balance),
            web.get("/api/pricing", self.prices),
        ]

    async def listed(self, request: web.Request) -> web.StreamResponse:
        """List the models in the shape of OpenAI's list."""
        data = [
            {"id": model, "object": "model", "owned_by": "foxapi", "supported_endpoint_types": ["video"]}
            for model in self.models
        ]
        return await self._answer(request, "models", {"object": "list", "data": data})

    @property
    def _spent(self) -> float:
        return self.host.ledger.reserved / _CREDITS_PER_DOLLAR

    def _fixed(self, model: str) -> float | None:
        """Return the dollars that every task of a model costs; None where that depends on the request."""
        documented = catalogue.find(model)
        price = None if documented and documented.billed_by else prices.fixed(self.credits, model)
        return None if price is None else price / _CREDITS_PER_DOLLAR

    async def _answer(self, request: web.Request, kind: Kind, told: dict[str, Any]) -> web.StreamResponse:
        reply = replies.json_reply(told)
        fault = self.host.fault(kind)
        return await self.host.broken(fault, request, reply) if fault else reply

    async def allowance(self, request: web.Request) -> web.StreamResponse:
        """Show what the key may spend and has spent, in units of quota."""
        used = round(self._spent * _QUOTA_PER_DOLLAR)
        granted = _GRANTED_DOLLARS * _QUOTA_PER_DOLLAR
        data = {
            "name": "emulator",
            "total_granted": granted,
            "total_used": used,
            "total_available": granted - used,
            "unlimited_quota": False,
            "expires_at": 0,
        }
        return await self._answer(request, "account", {"data": data})

    async def balance(self, request: web.Request) -> web.StreamResponse:
        """Show the same in credits; the service's own body is not documented."""
        used = self._spent * _CREDITS_PER_DOLLAR
        left = _GRANTED_DOLLARS * _CREDITS_PER_DOLLAR - used
        told = {"data": {"token": {"remaining_credits": left, "used_credits": used}}}
        return await self._answer(request, "account", told)

    async def prices(self, request: web.Request) -> web.StreamResponse:
        """List a fixed price for each model, but none for those whose price depends on the request."""
        data = []
        for model in self.models:
            price = self._fixed(model)
            data.append(
                {
                    "model_name": model,
                    "quota_type": 0 if price is None else 1,
                    "model_price": price or 0,
                    "model_ratio": 1 if price is None else 0,
                    "enable_groups": ["default"],
                }
            )
        return await self._answer(request, "account", {"data": data, "group_ratio": {"default": 1}})
