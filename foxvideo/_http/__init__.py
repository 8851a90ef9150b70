"""The part that touches aiohttp: the only sessions, and what is observed of them."""

from foxvideo._http.transport import USER_AGENT, ConnectorFactory, Transport

__all__ = ["USER_AGENT", "ConnectorFactory", "Transport"]
