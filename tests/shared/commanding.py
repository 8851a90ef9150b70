"""What the tests of commands share: an emulator that answers while a command has a loop of its own."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from foxvideo.emulator import Emulator


@contextlib.contextmanager
def served(**options: Any) -> Iterator[Emulator]:  # noqa: ANN401 - the options of Emulator
    """Run an emulator in a thread, so that a command can have a loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    emulator = Emulator(**{"render": False} | options)
    try:
        asyncio.run_coroutine_threadsafe(emulator.__aenter__(), loop).result(10)
        yield emulator
    finally:
        asyncio.run_coroutine_threadsafe(emulator.__aexit__(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
