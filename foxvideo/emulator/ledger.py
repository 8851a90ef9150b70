"""What happened to the emulator: counts of requests and every task that was made.

It records and decides nothing. Tests and benchmarks read it, in process or as JSON.
"""

from collections.abc import Mapping
from typing import Any

import attrs

from foxvideo.emulator.clock import Clock
from foxvideo.emulator.scenes import Scene
from foxvideo.emulator.tasks import Life


@attrs.define(eq=False, kw_only=True)
class TaskRecord:
    """One task that was made and charged."""

    id: str
    model: str
    body: Mapping[str, Any] = attrs.field(repr=False)
    """The decoded body of its submit."""
    created: int
    """Unix seconds, as in the replies."""
    headers: Mapping[str, str] = attrs.field(repr=False)
    """The headers of its submit; case does not matter. They hold the key, so they are never shown."""
    life: Life = attrs.field(repr=False)
    scene: Scene = attrs.field(repr=False)
    clock: Clock = attrs.field(repr=False)
    credits: float | None = None
    """What was reserved for it, whether or not a reply has told; None for a task without a price."""
    polls: int = 0
    told: bool = False
    """Whether a poll was answered with its end, results included: nothing is left to fetch by id."""
    link: str | None = None
    """The token of the newest result link."""

    @property
    def status(self) -> str:
        """What is true now, whether or not a poll has seen it."""
        return self.life.status(self.clock.now())

    def as_json(self) -> dict[str, Any]:
        """Return the record for another process: unix seconds, no headers, since they hold the key."""
        return {
            "id": self.id,
            "model": self.model,
            "body": self.body,
            "created": self.created,
            "credits": self.credits,
            "polls": self.polls,
            "status": self.status,
            "told": self.told,
            "began": self.clock.unix(self.life.began),
            "ends": self.clock.unix(self.life.ends),
        }


@attrs.define(eq=False)
class Ledger:
    """Counts since the emulator started, or since its last reset."""

    submitted: int = 0
    """POSTs that reached the submit handler, past Cloudflare and the key, whatever became of them."""
    charged: int = 0
    """Tasks made."""
    reserved: float = 0
    """The credits of all of them."""
    replayed: int = 0
    """Submissions answered with the id of an earlier task."""
    polled: int = 0
    """Polls that were answered, of whatever task."""
    uploaded: int = 0
    """Files stored."""
    downloaded: int = 0
    """Result files whose whole body was offered."""
    in_flight: int = 0
    """API requests being answered now. Uploads and result links are transfers and are not among them."""
    max_in_flight: int = 0
    """The most of them at one time."""
    transfers: int = 0
    """Uploads and result files being transferred now."""
    max_transfers: int = 0
    """The most of them at one time."""
    strays: list[str] = attrs.field(factory=list)
    """Requested paths that do not exist, such as the target of a redirect that must not be followed."""
    leaks: list[str] = attrs.field(factory=list)
    """Paths of result links and uploaded files that were requested with an Authorization header."""
    tasks: dict[str, TaskRecord] = attrs.field(factory=dict)
    """Every task by its id, in the order in which they were made."""

    def reset(self) -> None:
        """Forget tasks and counts; what is in flight stays in flight."""
        fresh = Ledger(in_flight=self.in_flight, transfers=self.transfers)
        for field in attrs.fields(Ledger):
            setattr(self, field.name, getattr(fresh, field.name))
        self.max_in_flight, self.max_transfers = self.in_flight, self.transfers

    def as_json(self) -> dict[str, Any]:
        """Return all of it for another process; `tasks` is a list in the order of their submissions."""
        counts = {field.name: getattr(self, field.name) for field in attrs.fields(Ledger)}
        return counts | {"tasks": [record.as_json() for record in self.tasks.values()]}
