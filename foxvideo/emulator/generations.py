"""The task service: submissions and polls.

https://docs.foxapi.cc/pages/en/api-manual/task-management/get-task-detail and the pages of the models.
What is accepted is said by `rules.py`, how a task lives by `tasks.py`; here the two meet HTTP.
"""

import hashlib
import json
import re
from http import HTTPStatus
from typing import Any, Final, Literal

import attrs
from aiohttp import web

from foxvideo.emulator import prices, replies, results, rules, tasks
from foxvideo.emulator.charges import Charge, write_charge
from foxvideo.emulator.host import Host
from foxvideo.emulator.ledger import TaskRecord
from foxvideo.emulator.prices import Credits, Told
from foxvideo.emulator.scenes import Scene, media_urls
from foxvideo.emulator.uploads import Uploads
from foxvideo.emulator.videos import Videos

DeadMedia = Literal["refuse", "fail"]

# Of a sister of the service, https://docs.evolink.ai: FoxAPI's own pages have no such header.
_KEY: Final = "Idempotency-Key"
_KEY_FORM: Final = re.compile(r"[A-Za-z0-9._-]{16,96}")


@attrs.define(eq=False, kw_only=True)
class Generations:
    """The routes that make tasks and show them."""

    host: Host
    videos: Videos
    uploads: Uploads
    seconds: tuple[float, float] | float
    estimated_time: int | None
    credits: Credits
    credits_told: Told
    race: float
    fail: float
    strict: bool
    dead_media: DeadMedia
    idempotent: bool
    allowed: tuple[str, ...] | None
    """The models that the key may call; None for all that are documented, and their variants."""

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of this room."""
        return [
            web.post("/v1/videos/generations", self.submit),
            web.get("/v1/tasks/{task_id}", self.poll),
        ]

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """Make a task, or refuse."""
        ledger = self.host.ledger
        ledger.submitted += 1
        fault = self.host.fault("submit")
        content = await request.read()
        last = next(reversed(ledger.tasks.values()), None)
        if fault is None or (fault.how == "same_id" and last is None):
            return self._submitted(request, content)
        reply = self._submitted(request, content) if fault.works else None
        if reply is not None and reply.status != HTTPStatus.OK:
            return reply
        if fault.how == "same_id" and last is not None:
            ledger.replayed += 1
            return self._accepted(last)
        return await self.host.broken(fault, request, reply)

    def _submitted(self, request: web.Request, content: bytes) -> web.Response:
        if request.content_type != "application/json":
            return replies.refused(400, "Content-Type must be application/json.")
        try:
            body = json.loads(content)
        except ValueError:
            return replies.refused(400, "The body is not valid JSON.")
        if self.idempotent and (repeated := self._repeated(request, body)) is not None:
            return repeated
        refusal = rules.refusal(body, strict=self.strict, allowed=self.allowed)
        dead = None if refusal else self._dead(body)
        if dead and self.dead_media == "refuse":
            refusal = rules.Refusal(_cannot_fetch(dead), "invalid_image_url" if "image" in dead else None)
        if refusal is not None:
            return replies.refused(422, refusal.message, code=refusal.code)
        record = self._made(request, body)
        if dead:
            code = "image_processing_error" if "image" in dead else "resource_not_found"
            record.life.ending, record.life.error = "failed", tasks.task_error(code, _cannot_fetch(dead))
        self._write_down(record, content)
        return self._accepted(record)

    def _accepted(self, record: TaskRecord) -> web.Response:
        reply = replies.task(record.id, record.model, "pending", 0, record.created)
        reply |= replies.task_info(self.estimated_time) | self._usage(record, "submit")
        return replies.json_reply(reply)

    def _repeated(self, request: web.Request, body: object) -> web.Response | None:
        """Answer a submission whose key has made a task, or is none; None where it has no key or is the first of it."""
        key = request.headers.get(_KEY)
        if key is None:
            return None
        if not _KEY_FORM.fullmatch(key):
            return replies.refused(400, f"{_KEY}: must be 16 to 96 of A-Za-z0-9._-")
        made = self.host.ledger.tasks.values()
        earlier = next((record for record in made if record.headers.get(_KEY) == key), None)
        if earlier is None:
            return None
        if earlier.body != body:
            return replies.refused(409, f"{_KEY}: belongs to another body", code="idempotency_conflict")
        self.host.ledger.replayed += 1
        reply = self._accepted(earlier)
        reply.headers["idempotency-replayed"] = "true"
        return reply

    def _usage(self, record: TaskRecord, moment: prices.Moment) -> dict[str, Any]:
        return replies.usage(record.credits if prices.tells(self.credits_told, moment) else None)

    def _dead(self, body: dict[str, Any]) -> str | None:
        """Return the field that names an upload of this emulator that is no longer there."""
        for name, url in media_urls(body) if self.strict else ():
            if self.uploads.owns(url) and self.uploads.content(url) is None:
                return name
        return None

    def _made(self, request: web.Request, body: dict[str, Any]) -> TaskRecord:
        clock, ledger = self.host.clock, self.host.ledger
        now = clock.now()
        ledger.charged += 1
        created = int(clock.unix(now))
        number = self.host.earlier + ledger.charged
        life = tasks.Life.drawn(number, now, seed=self.host.seed, seconds=self.seconds, fail=self.fail, race=self.race)
        record = TaskRecord(
            id=tasks.task_id(number, created, seed=self.host.seed),
            model=body["model"],
            body=body,
            created=created,
            headers=request.headers,
            life=life,
            scene=Scene.of(body, self._source(body)),
            clock=clock,
            credits=prices.price(self.credits, body),
        )
        ledger.reserved += record.credits or 0
        ledger.tasks[record.id] = record
        return record

    def _write_down(self, record: TaskRecord, content: bytes) -> None:
        if self.host.ledger_path is None:
            return
        prompt = record.body.get("prompt")
        charge = Charge(
            id=record.id,
            time=self.host.clock.unix(record.life.began),
            model=record.model,
            prompt=None if prompt is None else str(prompt),
            credits=record.credits,
            fingerprint=hashlib.sha256(content).hexdigest(),
            idempotency_key=record.headers.get(_KEY),
        )
        write_charge(self.host.ledger_path, charge)

    def _source(self, body: dict[str, Any]) -> bytes | Scene | None:
        for _, url in media_urls(body):
            return self.uploads.content(url) or self.videos.scene(url)
        return None

    async def poll(self, request: web.Request) -> web.StreamResponse:
        """Show one task."""
        self.host.ledger.polled += 1
        record = self.host.ledger.tasks.get(request.match_info["task_id"])
        fault = self.host.fault("poll")
        if record is None:
            reply = replies.refused(404, "There is no such task.")
        else:
            record.polls += 1
            view = record.life.poll(self.host.clock.now(), sync=request.query.get("sync_upstream") == "true")
            reply = self._shown(record, view)
            whole = fault is None or fault.whole
            record.told |= whole and view.ended and (view.has_results or view.status != "completed")
        return await self.host.broken(fault, request, reply) if fault else reply

    def _shown(self, record: TaskRecord, view: tasks.View) -> web.Response:
        reply = replies.task(record.id, record.model, view.status, view.progress, record.created)
        reply |= results.shown(record, self.videos.link) if view.has_results else {"results": None}
        reply["error"] = view.error
        return replies.json_reply(reply | self._usage(record, "end" if view.ended else "poll"))


def _cannot_fetch(field: str) -> str:
    return f"{field}: the file cannot be fetched"
