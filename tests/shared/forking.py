"""A forked child that does one thing and tells what came of it; it never goes on as the test that forked it."""

import json
import os
import select
import signal
from collections.abc import Callable

_LONGEST = 30.0  # seconds; a child of a process with threads may find a lock taken for ever


def forked(work: Callable[[], object]) -> object:
    """Do something in a forked child, and return what it says as JSON has it: an error as its text."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, json.dumps(_said(work)).encode())
        finally:
            os.kill(os.getpid(), signal.SIGKILL)  # whatever happened; no hook of a program that ends may get stuck
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as pipe:
            there, _, _ = select.select([pipe], [], [], _LONGEST)
            assert there, "the child got stuck"
            said = pipe.read()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert said, "the child died"
    return json.loads(said)


def _said(work: Callable[[], object]) -> object:
    try:
        return work()
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is told
        return f"{type(error).__name__}: {error}"
