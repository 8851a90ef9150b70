"""What is no part of Python everywhere is not needed to import foxvideo, nor to make a video."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commanding import served

# What others have imported may use what Windows lacks; from then on it is hidden.
HIDE = """
import asyncio, os, pkgutil, signal, sys
import aiohttp, attrs, av, backoff, cattrs.preconf.json, click, jinja2, platformdirs, pytest_asyncio, rich, sqlite3

for name in ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"):
    sys.modules[name] = None
for name in set(vars(signal)) - {"SIGINT", "SIGTERM", "SIGABRT", "SIGFPE", "SIGILL", "SIGSEGV", "SIG_DFL", "SIG_IGN"}:
    if name.startswith("SIG") or name in {"alarm", "pause", "pthread_kill", "pthread_sigmask", "setitimer", "sigwait"}:
        delattr(signal, name)
for name in ("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_SYNC", "fchown", "fork", "geteuid", "getpgid",
             "getuid", "killpg", "mkfifo", "register_at_fork", "setsid", "statvfs"):
    vars(os).pop(name, None)
for method in ("add_signal_handler", "remove_signal_handler"):
    if method in vars(asyncio.SelectorEventLoop):
        delattr(asyncio.SelectorEventLoop, method)  # what is left raises NotImplementedError, as on Windows

import foxvideo
"""

EVERY_MODULE = """
for module in pkgutil.walk_packages(foxvideo.__path__, "foxvideo."):
    __import__(module.name)
    print(module.name)
"""

A_VIDEO = """
from foxvideo.emulator import Emulator
from foxvideo.testing import run

async def main():
    async with Emulator(seconds=60.0, render=False) as fox, foxvideo.Client(fox.api_key, fox.base_url) as client:
        video = await client.generate(foxvideo.GrokTextToVideo(prompt="A fox trots through snow"))
        print(len(video.urls), fox.ledger.charged)

run(main())
"""

A_JOURNAL = """
from foxvideo.emulator import Emulator
from foxvideo.testing import run

async def main():
    async with Emulator(render=False) as fox, foxvideo.Client(fox.api_key, fox.base_url, journal="videos.db") as client:
        try:
            await client.generate(foxvideo.GrokTextToVideo(prompt="A fox trots through snow"))
        except foxvideo.JournalError as error:
            print(fox.ledger.charged, error.submitted, error)

run(main())
"""

A_COMMAND = """
from foxvideo.cli import main

sys.argv = ["foxvideo", "models", "--mine"]
sys.exit(main())
"""


def hidden(code: str, **env: str) -> str:
    """Run code where what Windows lacks is hidden; return what it prints."""
    ran = subprocess.run(  # noqa: S603 - our own text
        [sys.executable, "-c", HIDE + code], capture_output=True, text=True, check=False, env=os.environ | env
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_every_module_can_be_imported() -> None:
    """Those of the command line and of the extras, too."""
    imported = hidden(EVERY_MODULE).split()

    assert {"foxvideo.client", "foxvideo._transfer.part", "foxvideo.cli.app", "foxvideo.testing"} <= set(imported)


def test_a_video_can_be_made() -> None:
    """Without a journal, nothing has to be locked."""
    assert hidden(A_VIDEO).split() == ["1", "1"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has locks of its own")
def test_a_journal_without_locks_is_refused_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two clients could send one key."""
    monkeypatch.chdir(tmp_path)

    told = hidden(A_JOURNAL)

    assert told.startswith("0 no ")
    assert "lock" in told


def test_a_command_runs() -> None:
    """It cannot watch for signals, and does without."""
    with served() as fox:
        told = hidden(A_COMMAND, FOXAPI_API_KEY=fox.api_key, FOXAPI_BASE_URL=fox.base_url)

    assert "grok-imagine-text-to-video" in told
