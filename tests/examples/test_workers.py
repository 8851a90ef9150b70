"""Two processes of the web service, of which one is killed: every end is told, and nothing bought twice."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid5

import httpx
import pytest

from foxvideo.testing import FoxAPI, service

EXAMPLES = Path(__file__).parent
TASKS = 20


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def worker(port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run one process of the service, and wait until it answers; kill it at the end, if it lives."""
    command = [sys.executable, "-m", "uvicorn", "service:app", "--port", str(port), "--log-level", "error"]
    env = os.environ | {"VIDEOS": str(folder), "PYTHONPATH": str(EXAMPLES)}
    with subprocess.Popen(command, env=env, cwd=EXAMPLES) as process:  # noqa: S603 - our own program
        try:
            for _ in range(200):
                with contextlib.suppress(httpx.HTTPError):
                    httpx.get(f"http://127.0.0.1:{port}/docs")
                    break
                time.sleep(0.05)
            yield process
        finally:
            process.kill()


def post(ports: list[int], number: int) -> int:
    """Submit a video as a caller does who repeats what was not answered, at whichever process answers."""
    key = str(uuid5(UUID(int=7), str(number)))
    body = {"model": "grok-imagine-text-to-video", "prompt": f"A kite {number}"}
    for attempt in range(100):
        with contextlib.suppress(httpx.HTTPError):
            url = f"http://127.0.0.1:{ports[(number + attempt) % 2]}/videos"
            return httpx.post(url, json=body, headers={"Idempotency-Key": key}, timeout=10).status_code
        time.sleep(0.05)
    raise AssertionError("nobody answered")


def told(folder: Path) -> list[tuple[str, str | None]]:
    """Return the ends that were told, with their keys."""
    lines = (folder / "ends.jsonl").read_text().splitlines() if (folder / "ends.jsonl").exists() else []
    return [(end["key"], end["error"]) for end in map(json.loads, lines)]


def run(fox: FoxAPI, folder: Path) -> Counter[tuple[str, str | None]]:
    """Submit to two processes, kill one in the midst, and wait until each end was told; return how often."""
    ports = [free_port(), free_port()]
    with worker(ports[0], folder) as first, worker(ports[1], folder):
        for number in range(TASKS):
            assert post(ports, number) in {202, 409}
            if number == TASKS // 2:
                time.sleep(fox.seconds[0] if isinstance(fox.seconds, tuple) else fox.seconds)  # some have ended
                first.kill()
        for _ in range(300):
            if len({key for key, _ in told(folder)}) == TASKS:
                break
            time.sleep(0.1)
    return Counter(told(folder))


@pytest.mark.slow
@pytest.mark.real_clock
def test_every_end_is_told_though_a_process_was_killed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At least once, and each video was paid for once."""
    with service(seconds=(1.0, 3.0)) as fox:
        ends = run(fox, tmp_path / "videos")
        charged = fox.ledger.charged
        fox.assert_nothing_bought_twice()

    uncertain = sum(error == "SubmitUncertain" for _, error in ends)
    assert len({key for key, _ in ends}) == TASKS
    assert TASKS - uncertain <= charged <= TASKS
    with capsys.disabled():
        print(f"  {TASKS} ends, {charged} charged, {uncertain} uncertain, told twice: {ends.total() - TASKS}")
