"""Who hears of events: the log, one hook of the caller, and what foxvideo itself makes of them.

An event is made only if somebody listens. The hook is the caller's: it may raise, be slow or hang, so it is called
where nothing waits for it. It is given what gathers in a moment, so that an event costs the loop next to nothing.
"""

import asyncio
import contextlib
import functools
import inspect
import logging
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import attrs

from foxvideo._aio import in_thread
from foxvideo._options import call
from foxvideo.errors import (
    DownloadError,
    FoxError,
    JournalError,
    ServiceUnavailable,
    SubmitUncertain,
    UploadError,
)
from foxvideo.events import Event, EventKind, Hook, highest, level, line
from foxvideo.state import Stats

if TYPE_CHECKING:
    from foxvideo.otel import OpenTelemetry

_log = logging.getLogger("foxvideo")

_MOST_WAITING = 10_000
_MOMENT = 0.05  # seconds in which events gather; a thread that is woken for each one costs ten times as much
_CLOSING_SECONDS = 5.0
_WORD = re.compile(r"(?=.*[^\W_])[\w.-]{1,64}")  # what a code of the service looks like
_OUR_WORDS = (SubmitUncertain, ServiceUnavailable, DownloadError, UploadError, JournalError)


@attrs.define(eq=False)
class Listeners:
    """Who hears of the events of one client.

    Attributes:
        hook: The caller's; None for none.
        telemetry: Called at once, in the loop, in the context in which the event happened; None for none. It is
            foxvideo's own, so it is quick.
    """

    hook: "Calls | None" = None
    telemetry: "OpenTelemetry | None" = None

    @classmethod
    def of(cls, on_event: Hook | None, telemetry: "OpenTelemetry | None", stats: Callable[[], Stats]) -> Self:
        """Return those that a client was given.

        Raises:
            TypeError: The one is no function, or the other no telemetry.
            ValueError: ``FOXVIDEO_LOG`` names no level.
        """
        heed_environment()
        if telemetry is not None:
            if not hasattr(telemetry, "observe"):
                raise TypeError(f"telemetry must be foxvideo.otel.OpenTelemetry(), not {telemetry!r:.80}")
            telemetry.observe(stats)
        return cls(None if on_event is None else Calls(call("on_event", on_event)), telemetry)

    def heard(self, kind: EventKind) -> bool:
        """Whether anybody hears of events of a kind, so that it is worth making one."""
        return self.hook is not None or self.telemetry is not None or _log.isEnabledFor(highest(kind))

    def emit(self, kind: EventKind, *, cause: BaseException | None = None, **told: Any) -> None:  # noqa: ANN401 - the fields of Event
        """Tell an event to all who listen; the log shows where an error of the caller's function came from."""
        if not self.heard(kind):
            return
        event = Event(kind=kind, at=time.time(), **told)
        if _log.isEnabledFor(highest(event.kind)) and _log.isEnabledFor(at := level(event)):
            _log.log(at, "%s", line(event), exc_info=cause, extra={"event": event})
        if self.telemetry is not None:
            try:
                self.telemetry(event)
            except Exception:  # noqa: BLE001 - no event is worth a task
                _log.exception("telemetry failed with an event: %s", event.kind)
        if self.hook is not None:
            # The system may give no thread, or there is no loop any more. The event waits, and the work goes on.
            with contextlib.suppress(RuntimeError):
                self.hook.put(event)


@attrs.define(eq=False)
class Calls:
    """Events on their way to a hook of the caller.

    Attributes:
        function: The hook.
        dropped: Events that came while too many waited.
        errors: How often it raised.
    """

    function: Hook
    dropped: int = attrs.field(default=0, init=False)
    errors: int = attrs.field(default=0, init=False)
    _waiting: deque[Event] = attrs.field(factory=deque, init=False, repr=False)
    _awaited: bool = attrs.field(init=False)
    _task: asyncio.Task[None] | None = attrs.field(default=None, init=False, repr=False)
    _mutex: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)
    _calling: bool = attrs.field(default=False, init=False)
    _idle: threading.Event = attrs.field(factory=threading.Event, init=False, repr=False)
    _hurry: threading.Event = attrs.field(factory=threading.Event, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._awaited = is_async(self.function)

    def put(self, event: Event) -> None:
        """Have the hook called with an event; on the event loop, or in a thread of it."""
        if len(self._waiting) >= _MOST_WAITING:
            if not self.dropped:
                _log.warning("on_event is too slow: events are dropped, and counted in client.stats()")
            self.dropped += 1
            return
        self._waiting.append(event)
        if self._awaited:
            if self._task is None:
                loop = asyncio.get_running_loop()
                self._task = loop.create_task(self._await_all(), name="foxvideo on_event")
        elif not self._calling:
            self._begin()

    def _begin(self) -> None:
        with self._mutex:
            if self._calling:
                return
            self._calling = True
        self._idle.clear()
        # A thread of its own, and one that no interpreter waits for: who knows when the hook returns.
        thread = threading.Thread(target=self._call_all, name="foxvideo on_event", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._calling = False
            self._idle.set()
            raise

    def _call_all(self) -> None:
        """Call the hook until there was nothing to do for a moment."""
        while True:
            self._hurry.wait(_MOMENT)
            if not self._waiting:
                with self._mutex:
                    self._calling = False  # before the last look: whoever puts one in after it begins anew
                    if not self._waiting:
                        self._idle.set()
                        return
                    self._calling = True
            while self._waiting:
                try:
                    self.function(self._waiting.popleft())
                except BaseException as error:  # noqa: BLE001 - it must not end the thread, whatever it is
                    self._failed(error)

    async def _await_all(self) -> None:
        try:
            while self._waiting:
                try:
                    await self.function(self._waiting.popleft())  # type: ignore[misc]
                except Exception as error:  # noqa: BLE001 - the caller's, whatever it is
                    self._failed(error)
        finally:
            self._task = None

    def _failed(self, error: BaseException) -> None:
        if not self.errors:
            _log.error("on_event raised, and goes on: %s", type(error).__name__, exc_info=error)
        self.errors += 1

    async def close(self) -> None:
        """Give the hook a few seconds for what waits, and drop the rest."""
        self._hurry.set()
        try:
            if self._task is not None:
                await asyncio.wait({self._task}, timeout=_CLOSING_SECONDS)
            elif self._calling:
                # In a thread, since a loop may have a clock of its own.
                await in_thread(self._idle.wait, _CLOSING_SECONDS)
        finally:
            if self._task is not None:
                self._task.cancel()
            self.dropped += len(self._waiting)
            self._waiting.clear()
        if self.dropped or self.errors:
            _log.warning("on_event: %d events were dropped, and it raised %d times", self.dropped, self.errors)


def heed_environment() -> None:
    """Show the log as ``FOXVIDEO_LOG`` says, on stderr where nobody has configured logging.

    Raises:
        ValueError: It names no level.
    """
    if wanted := os.environ.get("FOXVIDEO_LOG"):
        wanted_level = logging.getLevelNamesMapping().get(wanted.upper())
        if wanted_level is None:
            raise ValueError(f"FOXVIDEO_LOG must be debug, info, warning, error or critical, not {wanted!r:.80}")
        _log.setLevel(wanted_level)
        if not _log.hasHandlers():
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
            _log.addHandler(handler)


def is_async(function: Callable[..., object]) -> bool:
    """Whether a callable is a coroutine function, also behind ``functools.partial`` and as an object."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004 - its type is asked for, not whether it is there


def kind_of(error: BaseException) -> str:
    """Name an error by its class, the service's code and the HTTP status: a message may quote a prompt."""
    code, status = getattr(error, "code", None), getattr(error, "http_status", None)
    word = code if isinstance(code, str) and _WORD.fullmatch(code) else None
    return " ".join(filter(None, (type(error).__name__, word, f"HTTP {status}" if status else None)))


def why(error: BaseException) -> str:
    """Say why something failed, in the words of an error where those are foxvideo's own and have no link."""
    match error:
        case FoxError(http_status=None, body=None) if isinstance(error, _OUR_WORDS) and "://" not in error.what:
            return error.what
        case OSError(strerror=str(words)):
            return words
    return kind_of(error)
