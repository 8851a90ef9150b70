"""The standard streams of the process: always open, fit for any text, and allowed to go away.

Services start commands with closed streams, old locales have encodings that hold few letters, and a reader such as
``head`` leaves when it has seen enough. None of that is a reason to lose sight of a paid task.
"""

import codecs
import contextlib
import io
import os
import sys
from typing import TextIO

_ESCAPING = "foxvideo.escaping"


def prepare() -> None:
    """Make the streams of this process usable, whatever it was started with; to be called before anything is opened."""
    _open_closed_ones()
    if not os.environ.get("COLUMNS", "1").isdecimal() or os.environ.get("COLUMNS") == "0":
        del os.environ["COLUMNS"]  # no width, at which nothing would be shown
    codecs.register_error(_ESCAPING, _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPING)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = _Leavable(
            sys.stderr.buffer, encoding=sys.stderr.encoding, errors=_ESCAPING, line_buffering=True, write_through=True
        )


def somebody_can_answer() -> bool:
    """Whether a question would be seen and answered."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def _open_closed_ones() -> None:
    """Open what is closed on the null device. Else the next file that is opened, a journal even, is the stream."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which takes the lowest free number: this one
    sys.stdin = sys.stdin or _on(0, "r")
    sys.stdout = sys.stdout or _on(1, "w")
    sys.stderr = sys.stderr or _on(2, "w")


def _on(number: int, mode: str) -> TextIO:
    stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - a stream of the process
    assert isinstance(stream, io.TextIOWrapper)  # noqa: S101 - for the type checker
    return stream


def _escaped(error: UnicodeError) -> tuple[str | bytes, int]:
    """Keep the bytes of a file's name as they are, and write other letters that an encoding lacks as their escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    if all("\udc80" <= letter <= "\udcff" for letter in letters):  # what Python makes of bytes that are no text
        return os.fsencode(letters), error.end
    return letters.encode("ascii", "backslashreplace").decode(), error.end


class _Leavable(io.TextIOWrapper):
    """A stream for words about the work, which goes on when nobody can read them any more."""

    def write(self, text: str, /) -> int:
        with contextlib.suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()
