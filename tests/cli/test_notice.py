"""``foxvideo resume --exec``: a command of the user's for each end, until it succeeds."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from commanding import served

from foxvideo import Client, Every, GrokTextToVideo
from foxvideo.cli.app import app
from foxvideo.emulator import Emulator

SHOT = GrokTextToVideo(prompt="A kite")
NOTE = 'echo "$FOXVIDEO_KEY $FOXVIDEO_STATUS ${FOXVIDEO_FILE##*/}" >> ends.txt; cat >> ends.jsonl'


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FOXAPI_API_KEY", "sk-emulator")


def submitted(fox: Emulator, journal: Path, *keys: str) -> None:
    """Submit a task under each key, and leave it."""

    async def main() -> None:
        async with Client("sk-emulator", fox.base_url, journal=journal, schedule=Every(0.1)) as client:
            for key in keys:
                await client.submit(SHOT, key=key).wait_accepted()

    asyncio.run(main())


def resumed(fox: Emulator, command: str, *words: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(
        app, ["resume", "--poll-every", "0.1", "--exec", command, *words], env={"FOXAPI_BASE_URL": fox.base_url}
    )


def ends() -> list[str]:
    """Return what the command noted, in the order of the keys."""
    return sorted(Path("ends.txt").read_text().splitlines()) if Path("ends.txt").exists() else []


def test_a_command_is_run_once_for_each_end_with_its_file(journal: Path) -> None:
    """It finds everything in its environment and on its stdin, and stdout stays for the paths."""
    with served(seconds=0.5) as fox:
        submitted(fox, journal, "one", "two", "three")
        fox.fail(list(fox.ledger.tasks)[1])
        first, second = resumed(fox, f"{NOTE}; echo hello"), resumed(fox, NOTE)
        files = {record.id: f"{record.id}.mp4" for record in fox.ledger.tasks.values()}
    ids = list(files)

    assert ends() == sorted([f"one completed {files[ids[0]]}", "two failed ", f"three completed {files[ids[2]]}"])
    assert sorted(first.stdout.split()) == sorted([files[ids[0]], files[ids[2]]])
    assert (first.exit_code, second.exit_code) == (1, 0)  # one task failed
    told = {end["key"]: end for end in map(json.loads, filter(None, Path("ends.jsonl").read_text().splitlines()))}
    assert told["one"]["files"] == [files[ids[0]]]
    assert told["two"]["error"] == "TaskFailed"


def test_a_command_that_fails_is_run_again_by_the_next_resume(journal: Path) -> None:
    """Which is said, with how it ended; the video is saved all the same."""
    with served(seconds=0.2) as fox:
        submitted(fox, journal, "one")
        failed, again, over = resumed(fox, "exit 7"), resumed(fox, NOTE), resumed(fox, NOTE)

    assert failed.exit_code == 1
    assert "one: the command ended with 7" in failed.stderr
    assert "the command failed for 1; run this again" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert (again.exit_code, over.exit_code) == (0, 0)
    assert len(ends()) == 1
    assert ends()[0].startswith("one completed task-")
