"""Whether the service answers: told once for each outage, not once for each task and poll."""

import attrs

from foxvideo._listeners import Listeners
from foxvideo.events import EventKind

LONG = 20.0
"""Seconds without an answer after which that is worth a word."""


@attrs.define
class Silence:
    """For how long no poll of a client was answered.

    Attributes:
        listeners: Who hears of it.
        since: When the first poll of the outage failed, in seconds of the loop's clock; None while polls are answered.
    """

    listeners: Listeners = attrs.field(factory=Listeners)
    since: float | None = None
    _told: bool = False

    def heard(self) -> None:
        """Take note of an answer."""
        if self._told:
            self.listeners.emit(EventKind.ANSWERED)
        self.since, self._told = None, False

    def unheard(self, now: float, why: str) -> None:
        """Take note of a poll that failed, and say so once it has lasted."""
        if self.since is None:
            self.since = now
        elif not self._told and now - self.since >= LONG:
            self._told = True
            self.listeners.emit(EventKind.SILENT, seconds=now - self.since, why=why)

    def seconds(self, now: float) -> float | None:
        """Return for how long there was no answer; None while there is one."""
        return None if self.since is None else max(now - self.since, 0.0)
