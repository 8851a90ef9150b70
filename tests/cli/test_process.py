"""The command as a process of its own: signals, a missing extra, and the emulator that another shell uses."""

import contextlib
import functools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import commanding
import pytest

from foxvideo.emulator import Fault, read_charges

KEY = "sk-emulator-0123456789"
served = functools.partial(commanding.served, api_key=KEY)
GENERATE = ("generate", "A fox", "-o", "fox.mp4")
DEADLINE = 20.0


@pytest.fixture(autouse=True)
def signals_count() -> Iterator[None]:
    """Let children hear signals although a shell or nohup may have started these tests, deaf to some."""
    heard: dict[signal.Signals, Any] = {signal.SIGINT: signal.default_int_handler}
    if hasattr(signal, "SIGHUP"):
        heard[signal.SIGHUP] = signal.SIG_DFL
    before = {number: signal.signal(number, handler) for number, handler in heard.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@contextlib.contextmanager
def started(
    *words: str, folder: Path, base_url: str = "", key: str = KEY, stdin: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Start ``python -m foxvideo`` and make sure that it ends."""
    env = os.environ | {"FOXAPI_API_KEY": key, "FOXAPI_BASE_URL": base_url}
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "foxvideo", *words],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=env,
    ) as process:
        too_late = threading.Timer(DEADLINE, process.kill)  # so that reading a silent process ends
        too_late.start()
        try:
            yield process
        finally:
            too_late.cancel()
            process.kill()


def interrupt(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Press Ctrl-C and return what was printed since, on stdout and on stderr."""
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=DEADLINE)


def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def line(stream: Any, pattern: str) -> str:  # noqa: ANN401 - a pipe
    """Read on to a line that matches, and return its first group."""
    for text in stream:
        if found := re.search(pattern, text):
            return str(found[1])
    raise AssertionError(pattern)


needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")


@needs_signals
def test_ctrl_c_leaves_the_id_and_the_command_that_goes_on(tmp_path: Path) -> None:
    """The task runs on and is paid for."""
    with (
        served(seconds=60.0) as emulator,
        started(*GENERATE, folder=tmp_path, base_url=emulator.base_url) as process,
    ):
        task_id = line(process.stderr, r"accepted (\S+)")
        out, err = interrupt(process)
    assert process.returncode == 130
    assert out == ""
    assert f"foxvideo fetch {task_id} -o fox.mp4" in err
    assert "foxvideo resume" in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@needs_signals
@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_during_a_submit_waits_for_the_reply_that_has_the_id(tmp_path: Path, sent: str) -> None:
    """Ctrl-C, an end of the machine, a terminal that was closed: cut there, a paid task would be lost."""
    with (
        served(seconds=60.0, latency=1.0) as emulator,
        started(*GENERATE, "--json", folder=tmp_path, base_url=emulator.base_url) as process,
    ):
        until(lambda: emulator.ledger.in_flight)
        process.send_signal(signal.Signals[sent])
        out, err = process.communicate(timeout=DEADLINE)
        (task_id,) = emulator.ledger.tasks
    assert process.returncode == 130
    told = json.loads(out)
    assert (told["error"], told["task_id"], told["submitted"]) == ("Interrupted", task_id, "yes")
    assert "waiting for the reply" in err
    assert f"foxvideo fetch {task_id} -o fox.mp4" in err


@needs_signals
def test_a_second_ctrl_c_cuts_the_submit_and_says_that_it_is_uncertain(tmp_path: Path) -> None:
    """A server that never answers cannot hold the command up."""
    with (
        served(seconds=60.0, latency=60.0) as emulator,
        started(*GENERATE, "--json", folder=tmp_path, base_url=emulator.base_url) as process,
    ):
        until(lambda: emulator.ledger.in_flight)
        process.send_signal(signal.SIGINT)
        line(process.stderr, "(waiting) for the reply")
        out, err = interrupt(process)
    assert process.returncode == 130
    told = json.loads(out)
    assert told["submitted"] == "unknown"
    assert "do not repeat it blindly" in err
    assert f"foxvideo adopt {told['key']} ID" in err
    (row,) = rows("--uncertain", folder=tmp_path)
    assert row["key"] == told["key"]


def rows(*words: str, folder: Path) -> list[dict[str, Any]]:
    """Return what ``foxvideo tasks`` knows."""
    with started("tasks", "--json", *words, folder=folder, key="") as process:
        out, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, err
    return list(json.loads(out))


def test_after_a_kill_resume_finishes_and_saves(tmp_path: Path) -> None:
    """The id was on the disk before it was shown."""
    with served(seconds=60.0) as emulator:
        with started(*GENERATE, folder=tmp_path, base_url=emulator.base_url) as process:
            task_id = line(process.stderr, r"accepted (\S+)")
            process.kill()
        assert [row["task_id"] for row in rows(folder=tmp_path)] == [task_id]
        emulator.finish(task_id)
        with started("resume", folder=tmp_path, base_url=emulator.base_url) as process:
            out, err = process.communicate(timeout=DEADLINE)
        assert emulator.ledger.charged == 1
    assert (process.returncode, out) == (0, f"{task_id}.mp4\n"), err
    assert (tmp_path / f"{task_id}.mp4").stat().st_size > 0


def test_what_was_being_sent_at_a_kill_is_uncertain(tmp_path: Path) -> None:
    """And is neither resumed nor sent again by itself."""
    with served(seconds=60.0, latency=0.5) as emulator:
        with started(*GENERATE, "--key", "shot-1", folder=tmp_path, base_url=emulator.base_url) as process:
            until(lambda: emulator.ledger.in_flight)
            process.kill()
        with started("resume", folder=tmp_path, base_url=emulator.base_url) as process:
            out, err = process.communicate(timeout=DEADLINE)
        with started(*GENERATE, "--key", "shot-1", folder=tmp_path, base_url=emulator.base_url) as again:
            again.communicate(timeout=DEADLINE)
        assert emulator.ledger.submitted == 0, "it was killed before the emulator took it, and not sent again"
    assert (process.returncode, out) == (0, "")
    assert "1 uncertain: foxvideo tasks --uncertain" in err
    assert again.returncode == 4
    assert [row["key"] for row in rows("--uncertain", folder=tmp_path)] == ["shot-1"]


@needs_signals
def test_ctrl_c_during_resume_counts_what_is_left(tmp_path: Path) -> None:
    """The same command goes on; what is saved is not left."""
    with served(seconds=60.0) as emulator:
        for _ in range(3):
            with started(*GENERATE, folder=tmp_path, base_url=emulator.base_url) as process:
                line(process.stderr, r"accepted (\S+)")
                process.kill()
        first, *_ = emulator.ledger.tasks
        emulator.finish(first)
        with started("resume", folder=tmp_path, base_url=emulator.base_url) as process:
            line(process.stderr, f"({first}): done")
            _, err = interrupt(process)
    assert process.returncode == 130
    assert "interrupted, 2 not saved yet" in err
    assert "foxvideo resume" in err
    assert "Traceback" not in err


@needs_signals
@pytest.mark.parametrize(("answer", "code", "charged"), [("n", 130, 1), ("", 130, 1), (None, 130, 1), ("y", 0, 2)])
def test_on_a_terminal_submitting_again_is_asked_for(
    tmp_path: Path, answer: str | None, code: int, charged: int
) -> None:
    """Only a yes pays; a no, nothing and Ctrl-C do not."""
    import pty  # noqa: PLC0415 - not on every system

    with served(seconds=0.1) as emulator:
        emulator.fail_next("submit", Fault("reset", after=True))
        with started(*GENERATE, "--key", "shot-1", folder=tmp_path, base_url=emulator.base_url) as process:
            process.communicate(timeout=DEADLINE)
        ours, theirs = pty.openpty()
        words = ("resubmit", "shot-1", "-o", "fox.mp4", "--poll-every", "0.1")
        with started(*words, folder=tmp_path, base_url=emulator.base_url, stdin=theirs) as process:
            if answer is not None:
                os.write(ours, f"{answer}\n".encode())
            else:
                line(process.stderr, "(shot-1): ")  # the question comes next
                process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=DEADLINE)
        os.close(ours)
        os.close(theirs)
        assert emulator.ledger.charged == charged
    assert process.returncode == code, err
    assert out == ("fox.mp4\n" if answer == "y" else "")
    assert "you pay twice" in err or answer is None
    assert "Traceback" not in err


@needs_signals
def test_what_a_shell_runs_in_the_background_stays_deaf_to_ctrl_c(tmp_path: Path) -> None:
    """Ctrl-C is then meant for somebody else."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with (
        served(seconds=1.0) as emulator,
        started(*GENERATE, "--poll-every", "0.1", folder=tmp_path, base_url=emulator.base_url) as process,
    ):
        line(process.stderr, r"accepted (\S+)")
        out, err = interrupt(process)
    assert (process.returncode, out) == (0, "fox.mp4\n"), err


@needs_signals
def test_the_emulator_runs_until_ctrl_c_and_another_shell_can_use_it(tmp_path: Path) -> None:
    """Its two lines are all that the other shell needs."""
    options = ("--port", "0", "--no-render", "--seconds", "0.1", "0.2", "--race", "--ledger", "charged.jsonl")
    with started("emulator", *options, folder=tmp_path) as fox:
        url = line(fox.stdout, r"^export FOXAPI_BASE_URL=(http://127.0.0.1:\d+)$")
        key = line(fox.stdout, r"^export FOXAPI_API_KEY=(\S+)$")
        words = (*GENERATE, "--poll-every", "0.1")
        with started(*words, folder=tmp_path, base_url=url, key=key) as process:
            out, err = process.communicate(timeout=DEADLINE)
        assert (process.returncode, out) == (0, "fox.mp4\n"), err
        interrupt(fox)
    assert fox.returncode == 0
    assert (tmp_path / "fox.mp4").stat().st_size > 0
    assert len(read_charges(tmp_path / "charged.jsonl")) == 1


def test_an_emulator_does_not_write_into_what_is_no_ledger(tmp_path: Path) -> None:
    """It says so in one line, and leaves it alone."""
    (tmp_path / "notes.txt").write_text("mine\n")
    with started("emulator", "--port", "0", "--ledger", "notes.txt", folder=tmp_path) as process:
        _, err = process.communicate(timeout=DEADLINE)
    assert process.returncode != 0
    assert err.count("\n") == 1
    assert "notes.txt is no ledger" in err
    assert (tmp_path / "notes.txt").read_text() == "mine\n"


def test_a_port_that_is_taken_is_an_error_in_one_line(tmp_path: Path) -> None:
    """No traceback of asyncio."""
    with served() as emulator:
        port = emulator.base_url.rpartition(":")[2]
        with started("emulator", "--port", port, folder=tmp_path) as process:
            _, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1
    assert err.count("\n") == 1
    assert "address already in use" in err


@pytest.mark.parametrize("missing", ["click", "platformdirs", "rich"])
def test_without_the_extra_it_says_what_to_install(missing: str) -> None:
    """The library alone must not need a terminal."""
    code = f"import sys; sys.modules[{missing!r}] = None; from foxvideo.cli import main; sys.exit(main())"
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", code, "demo"], capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "python -m pip install 'foxvideo[cli]'" in done.stderr
    assert done.stderr.count("\n") == 1
