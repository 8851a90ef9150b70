"""What the tests of commands share: an emulator that answers while a command has a loop of its own."""

from contextlib import AbstractContextManager
from typing import Any

from foxvideo.emulator import Emulator
from foxvideo.testing import in_thread


def served(**options: Any) -> AbstractContextManager[Emulator]:  # noqa: ANN401 - the options of Emulator
    """Run an emulator in a thread, so that a command can have a loop of its own."""
    return in_thread(Emulator(**{"render": False} | options))
