"""The scripts of the examples, run as their users run them: again and again."""

from pathlib import Path

import fanout
import pytest
import storyboard

from foxvideo import GrokTextToVideo
from foxvideo.testing import Fault, FoxAPI

EXAMPLES = Path(__file__).parent


async def test_the_fan_out_saves_each_video_and_buys_none_twice(
    foxapi: FoxAPI, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second run finds all of it done."""
    assert await fanout.main(tmp_path / "clips") == 0
    assert await fanout.main(tmp_path / "clips") == 0

    assert {path.stem for path in (tmp_path / "clips").glob("*.mp4")} == fanout.SHOTS.keys()
    assert capsys.readouterr().out.count("saved, 12.5 credits reserved") == 2 * len(fanout.SHOTS)
    foxapi.assert_charged(len(fanout.SHOTS))


async def test_the_fan_out_says_of_each_failure_what_to_do(
    foxapi: FoxAPI, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One shot is uncertain and one has no place to go; the third is made all the same."""
    shots = {name: GrokTextToVideo(prompt=name) for name in ("lost", "taken", "well")}
    (tmp_path / "taken.mp4").touch()
    foxapi.fail_next("submit", Fault("reset", after=True))

    assert await fanout.main(tmp_path, shots) == 2

    told = capsys.readouterr().out
    assert "what to do: do not repeat it blindly" in told
    assert "taken.mp4 exists" in told
    assert "well: saved" in told or "lost: saved" in told
    foxapi.assert_charged(2)


async def test_the_storyboard_makes_each_row_once(
    foxapi: FoxAPI, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second run over the same rows finds them done, and a new row alone is bought."""
    manifest = tmp_path / "storyboard.csv"
    manifest.write_bytes((EXAMPLES / "storyboard.csv").read_bytes())
    rows = len(manifest.read_text().splitlines()) - 1

    assert await storyboard.main(manifest, tmp_path / "clips") == 0
    with manifest.open("a") as file:
        file.write("A fox sleeps,4,1:1\n")
    assert await storyboard.main(manifest, tmp_path / "clips") == 0

    assert len(list((tmp_path / "clips").glob("*.mp4"))) == rows + 1
    assert capsys.readouterr().out.count("completed") == 2 * rows + 1
    foxapi.assert_charged(rows + 1)


async def test_the_storyboard_tells_why_a_row_has_no_video(
    foxapi: FoxAPI, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row that cannot be sent, and all rows after the balance has run out."""
    manifest = tmp_path / "storyboard.csv"
    manifest.write_text("prompt,duration\nA fox,99\nA cat,6\n")
    foxapi.fail_next("submit", Fault("error", status=402))

    assert await storyboard.main(manifest, tmp_path / "clips") == 2

    told = capsys.readouterr().out
    assert "row 1: invalid: duration=99" in told
    assert "stopped early:" in told
    foxapi.assert_charged(0)
