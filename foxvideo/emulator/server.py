"""The emulator: its options, its opening and closing, and the methods with which a test makes things go wrong.

Routes and rules live in the other rooms; here they are put together.
"""

import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Self, get_args

import attrs
from aiohttp import web

from foxvideo import catalogue
from foxvideo.emulator import replies
from foxvideo.emulator.account import Account
from foxvideo.emulator.charges import read_charges
from foxvideo.emulator.clock import Clock
from foxvideo.emulator.faults import Fault, Faults, Kind, Script, one_of
from foxvideo.emulator.front import Front
from foxvideo.emulator.generations import DeadMedia, Generations
from foxvideo.emulator.host import Host
from foxvideo.emulator.ledger import Ledger
from foxvideo.emulator.prices import Credits, Told
from foxvideo.emulator.tasks import Ending, task_error
from foxvideo.emulator.uploads import SIZE_LIMIT, Uploads
from foxvideo.emulator.videos import Videos, drawing

_SHUTDOWN_SECONDS: Final = 0.5


@attrs.define(eq=False, kw_only=True)
class Emulator:
    """FoxAPI on a port of this machine, while an `async with` block runs.

    All times follow the clock of the running event loop, so a virtual clock makes them short.

    Args:
        api_key: The one key that is accepted.
        host: Where to listen.
        port: Where to listen; 0 takes a free port.
        seed: Chooses one of many repeatable sequences of task lives, ids and links.
        seconds: Seconds that a task takes from its submission to its end: a range to draw from, or one number.
        estimated_time: Seconds that replies announce in `task_info`; None leaves `task_info` out.
        credits: What a task costs: one number for all, a `Tariff`, or a function from the decoded body to credits.
            None, here or as the result of the function, means no price: `usage` is left out, nothing is reserved.
        credits_told: The first reply that tells the credits in `usage`: the reply to the submission (`"submit"`), to
            the first poll (`"poll"`), to the first poll that shows the end (`"end"`), or no reply (`"never"`). The
            ledger and the account know them in any case.
        latency: Seconds that each API request takes.
        race: Chance, from 0 to 1, that a completed task shows no results at first: until a poll without
            `sync_upstream`, and for 3 s at most.
        fail: Chance, from 0 to 1, that a task ends as failed.
        link_lifetime: Seconds that a result link lives; the next poll after that gives a fresh one.
        link_lag: Seconds after the true end of a task during which its links are answered with `link_early`.
        link_early: The answer of a link before that, such as `Fault("html", status=403)`; by default 404 in JSON.
        upload_lifetime: Seconds that an uploaded file lives; `drop_uploads` drops it sooner.
        dead_media: What becomes of a submission that names an upload which is gone: it is refused (`"refuse"`: 422,
            for pictures with the code `invalid_image_url`), or makes a task that is charged and fails (`"fail"`, for
            pictures with the code `image_processing_error`).
        file_limit: Most bytes of an uploaded file; a larger one gets 413 in JSON. None for `body_limit` alone.
        body_limit: Most bytes of a request; a larger one gets 413 as a page of Cloudflare.
        storage: Most bytes of all uploaded files; the oldest are dropped for a new one. None for no limit.
        video: The bytes that every result link serves; None for a video of the request.
        ranges: Whether the host of the results answers `Range` and sends tags.
        render: Whether videos are drawn, which needs PyAV (the extra `emulator`). False, or without PyAV, every link
            serves one small stored video.
        strict: Whether submissions are checked against the documentation, and other models are unknown; False accepts
            any object with a `model`.
        models: The models that the key may call; None for all that are documented.
        idempotent: Whether the header Idempotency-Key works, which FoxAPI does not promise. A key that has made a task
            is answered with that task and `idempotency-replayed: true`; with another body, by 409
            `idempotency_conflict`. A key that is not 16 to 96 of `A-Za-z0-9._-` gets 400.
        faults: What breaks by chance; `fail_next` breaks single answers.
        ledger: A file to which each charge is appended before its reply is sent; read it with `read_charges`. None for
            no file. A file that exists is continued: its tasks are unknown, but no id is given twice.
    """

    api_key: str = attrs.field(default="sk-emulator", repr=False)
    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 0
    seconds: tuple[float, float] | float = (8.0, 20.0)
    estimated_time: int | None = 45
    credits: Credits = 12.5
    credits_told: Told = attrs.field(default="submit", validator=one_of(get_args(Told)))
    latency: float = 0.0
    race: float = 0.0
    fail_rate: float = attrs.field(default=0.0, alias="fail")
    """The option ``fail``."""
    link_lifetime: float = 86400.0
    link_lag: float = 0.0
    link_early: Fault = attrs.field(default=Fault("error", status=404))
    upload_lifetime: float = 72 * 3600.0
    dead_media: DeadMedia = attrs.field(default="refuse", validator=one_of(get_args(DeadMedia)))
    file_limit: int | None = None
    body_limit: int = SIZE_LIMIT
    storage: int | None = None
    video: bytes | None = attrs.field(default=None, repr=False)
    ranges: bool = True
    render: bool = True
    strict: bool = True
    models: tuple[str, ...] | None = None
    idempotent: bool = False
    faults: Faults = attrs.field(factory=Faults)
    ledger_path: str | os.PathLike[str] | None = attrs.field(default=None, alias="ledger")
    """The option ``ledger``."""
    ledger: Ledger = attrs.field(init=False, factory=Ledger, repr=False)
    """What has happened so far."""
    _script: Script = attrs.field(init=False, repr=False)
    _uploads: Uploads = attrs.field(init=False, repr=False)
    _running: Host | None = attrs.field(init=False, default=None, repr=False)
    _closing: AsyncExitStack = attrs.field(init=False, factory=AsyncExitStack, repr=False)

    @_script.default
    def _make_script(self) -> Script:
        return Script(self.faults)

    @property
    def base_url(self) -> str:
        """The address, without a slash at the end.

        Raises:
            RuntimeError: The emulator is not running.
        """
        return self._here.base_url

    def fail_next(self, kind: Kind, fault: Fault, *, times: int = 1) -> None:
        """Break the answers to the next `times` requests of a kind, after those that are to break already.

        Raises:
            ValueError: There is no such kind, or no such fault of it.
        """
        self._script.add(kind, fault, times)

    def blip(self, kind: Kind, fault: Fault, *, seconds: float) -> None:
        """Break the answer to every request of a kind for `seconds` from now; faults of `fail_next` come after that.

        `"poll"` is every poll of a task, `"result"` every request to a result link. A second blip of a kind
        replaces the first; one of 0 seconds ends it.

        Raises:
            ValueError: There is no such kind, or no such fault of it.
            RuntimeError: The emulator is not running.
        """
        self._script.blip(kind, fault, self._here.clock.now() + seconds)

    def drop_uploads(self, *urls: str) -> None:
        """Drop these uploads before their time, or all that are stored: their URLs are dead, as `dead_media` says.

        Raises:
            KeyError: There is no such upload.
            RuntimeError: The emulator is not running.
        """
        _ = self._here
        self._uploads.drop(*urls)

    def finish(self, task_id: str) -> None:
        """End a task now, completed.

        Raises:
            KeyError: There is no such task.
            ValueError: It had already ended in another way.
        """
        self._end(task_id, "completed")

    def fail(
        self, task_id: str, code: str = "generation_failed", message: str = "The video could not be made."
    ) -> None:
        """End a task now, failed with this error. Raises as `finish`."""
        self._end(task_id, "failed", code, message)

    def cancel(self, task_id: str) -> None:
        """End a task now, cancelled. Raises as `finish`."""
        self._end(task_id, "cancelled")

    def _end(self, task_id: str, ending: Ending, *error: str) -> None:
        life = self.ledger.tasks[task_id].life
        life.end(self._here.clock.now(), ending, task_error(*error) if error else None)

    @property
    def _here(self) -> Host:
        if self._running is None:
            raise RuntimeError("the emulator is not running: use it with 'async with'")
        return self._running

    async def __aenter__(self) -> Self:
        path = None if self.ledger_path is None else Path(self.ledger_path)
        host = Host(
            clock=Clock.started(),
            ledger=self.ledger,
            script=self._script,
            seed=self.seed,
            ledger_path=path,
            earlier=0 if path is None else len(read_charges(path)),
        )
        videos = Videos(
            host=host,
            lifetime=self.link_lifetime,
            lag=self.link_lag,
            early=self.link_early,
            draw=drawing() if self.render else None,
            video=self.video,
            ranges=self.ranges,
        )
        runner = web.AppRunner(
            self._application(host, videos),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=_SHUTDOWN_SECONDS,
        )
        async with AsyncExitStack() as stack:
            stack.push_async_callback(runner.cleanup)
            await runner.setup()
            await web.TCPSite(runner, self.host, self.port, backlog=1024).start()
            host.base_url = f"http://{self.host}:{runner.addresses[0][1]}"
            # Last in, first out: requests that hang are let go before anything waits for them.
            stack.push_async_callback(videos.close)
            stack.callback(host.closing.set)
            self._closing = stack.pop_all()
        self._running = host
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._closing.aclose()

    def _application(self, host: Host, videos: Videos) -> web.Application:
        self._uploads = uploads = Uploads(
            host=host, lifetime=self.upload_lifetime, file_limit=self.file_limit, storage=self.storage
        )
        generations = Generations(
            host=host,
            videos=videos,
            uploads=uploads,
            seconds=self.seconds,
            estimated_time=self.estimated_time,
            credits=self.credits,
            credits_told=self.credits_told,
            race=self.race,
            fail=self.fail_rate,
            strict=self.strict,
            dead_media=self.dead_media,
            idempotent=self.idempotent,
            allowed=self.models,
        )
        listed = tuple(model.id for model in catalogue.models()) if self.models is None else self.models
        account = Account(host=host, credits=self.credits, models=listed)
        front = Front(self.ledger, self.api_key, self.latency)
        app = web.Application(middlewares=[front.door], client_max_size=self.body_limit)
        app.add_routes([*generations.routes(), *account.routes(), *uploads.routes(), *videos.routes()])
        app.add_routes([web.get("/_emulator/ledger", self._show), web.post("/_emulator/reset", self._reset)])
        return app

    async def _show(self, _: web.Request) -> web.Response:
        return replies.json_reply(self.ledger.as_json())

    async def _reset(self, _: web.Request) -> web.Response:
        self.ledger.reset()
        self._script.clear()
        return replies.json_reply(self.ledger.as_json())
