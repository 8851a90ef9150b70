"""``foxvideo demo``: four real videos, with no key and no network."""

import json
import sys
from pathlib import Path

import av
import pytest
from click.testing import CliRunner

import foxvideo.emulator
from foxvideo.cli.app import app
from foxvideo.cli.commands import demo
from foxvideo.emulator.videos import stored_video

VIDEOS = {
    "fox.mp4": (854, 480, 4.0),
    "hills.mp4": (1280, 720, 2.0),
    "valley.mp4": (480, 854, 3.0),
    "moon.mp4": (480, 480, 2.0),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let tasks be short, in an empty folder, where no key is known."""
    monkeypatch.setattr(demo, "_TASK_SECONDS", (0.2, 0.4))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FOXAPI_API_KEY", raising=False)
    monkeypatch.setenv("FOXAPI_BASE_URL", "http://nowhere.invalid")


def measured(path: Path) -> tuple[int, int, float]:
    """Decode a video to its end and return width, height and seconds."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        rate = container.streams.video[0].average_rate
        assert rate
        return frames[-1].width, frames[-1].height, float(len(frames) / rate)


def test_the_demo_makes_four_videos_of_the_shapes_and_lengths_it_asked_for(journal: Path) -> None:
    """Each is decoded frame by frame; running it again replaces them."""
    Path("foxvideo-demo").mkdir()
    Path("foxvideo-demo/fox.mp4").write_bytes(b"the last demo")
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [str(Path("foxvideo-demo", name)) for name in VIDEOS]
    assert {path.name: measured(path) for path in Path("foxvideo-demo").iterdir()} == VIDEOS
    assert "foxvideo generate" in result.stderr
    assert not journal.exists(), "what the demo makes is nothing to remember"


def test_without_pyav_the_demo_serves_the_stored_video_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """And --json tells what was made."""
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setitem(sys.modules, "foxvideo.emulator.render", None)
    monkeypatch.delattr(foxvideo.emulator, "render", raising=False)
    result = CliRunner().invoke(app, ["demo", "--out", "a/b", "--json"])
    assert result.exit_code == 0, result.output
    assert "foxvideo[emulator]" in result.stderr
    files = [Path(file) for made in json.loads(result.stdout) for file in made["files"]]
    assert [file.read_bytes() for file in files] == [stored_video()] * len(VIDEOS)


def test_a_demo_that_fails_shows_an_error_and_no_traceback() -> None:
    """Here a file stands where its folder should be."""
    Path("file").touch()
    result = CliRunner().invoke(app, ["demo", "--out", "file/x"])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")


def test_the_picture_is_small() -> None:
    """It travels with every installation."""
    assert len(demo.picture()) < 120_000
