"""What the rooms of the running emulator share: address, clock, ledger, script of faults, closing time.

No route and no rule lives here.
"""

import asyncio
from pathlib import Path

import attrs
from aiohttp import web

from foxvideo.emulator import breaking, faults
from foxvideo.emulator.clock import Clock
from foxvideo.emulator.ledger import Ledger


@attrs.define(eq=False, kw_only=True)
class Host:
    """One running emulator, as its routes see it."""

    clock: Clock
    ledger: Ledger
    script: faults.Script
    seed: int
    ledger_path: Path | None = None
    """Where every charge is written down; None for nowhere."""
    earlier: int = 0
    """Tasks that an emulator before this one wrote down there."""
    base_url: str = ""
    """Known once the port is bound, so before the first request."""
    closing: asyncio.Event = attrs.field(factory=asyncio.Event)

    def fault(self, kind: faults.Kind) -> faults.Fault | None:
        """Return how the request of this kind that has just arrived breaks, or None."""
        return self.script.take(kind, self.clock.now())

    async def broken(
        self,
        fault: faults.Fault,
        request: web.Request,
        reply: web.Response | None = None,
        *,
        elsewhere: str = "",
    ) -> web.StreamResponse:
        """Break the answer to a request; `reply` is the good one, where there is one."""
        return await breaking.play(
            fault, request, reply, elsewhere=elsewhere or f"{self.base_url}/elsewhere", closing=self.closing
        )
