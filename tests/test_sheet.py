"""The contact sheet as text; what a browser makes of it is seen in ``browser/``."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from foxvideo.batch import Ending, Outcome
from foxvideo.batch.results import Results
from foxvideo.sheet import render, write_sheet
from foxvideo.sheet.timeline import WIDTH, Bar, clock, timeline

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> \"'&{{ 7 * 7 }}</style>"


class Elements(HTMLParser):
    """Collects what a page holds."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.text += f"{data} "

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of all elements of one kind."""
        return [attributes for name, attributes in self.tags if name == tag]


def outcome(folder: Path, row: int = 1, **values: Any) -> Outcome:  # noqa: ANN401 - the values of Outcome
    """Return the outcome of a row whose video is there."""
    (folder / f"video {row}#.mp4").write_bytes(b"video")
    base = {"status": Ending.COMPLETED, "file": f"video {row}#.mp4", "prompt": f"Shot {row}", "model": "fox-1"}
    return Outcome(row=row, key=f"k{row}", **base | values)


def test_every_row_is_a_card_with_its_video_and_its_facts(tmp_path: Path) -> None:
    """A name that means something in a URL is quoted."""
    videos = [
        outcome(tmp_path, 1, duration=6, credits_reserved=12.5, seconds=75.0, id="task-1", line=2),
        outcome(tmp_path, 2),
    ]

    page = Elements(render(videos, tmp_path))

    assert [video["data-src"] for video in page.of("video") if "data-src" in video] == [
        "./video%201%23.mp4",
        "./video%202%23.mp4",
    ]
    for text in ("Shot 1", "Shot 2", "fox-1", "6 s", "12.5 credits", "took 1:15", "task-1", "row 1, line 2"):
        assert text in page.text


def test_a_row_without_a_video_says_why(tmp_path: Path) -> None:
    """Also where its video was there once."""
    gone = outcome(tmp_path, 3)
    (tmp_path / "video 3#.mp4").unlink()
    rows = [
        Outcome(row=1, key="k1", status=Ending.FAILED, error="the prompt was refused"),
        Outcome(row=2, key="k2", status=Ending.COMPLETED),
        gone,
    ]

    page = Elements(render(rows, tmp_path))

    assert "the prompt was refused" in page.text
    assert "no video: completed" in page.text
    assert "video 3#.mp4 is not in the folder any more" in page.text
    assert [video for video in page.of("video") if "data-src" in video] == []


@pytest.mark.parametrize("field", ["prompt", "model", "error", "id"])
def test_markup_in_a_row_stays_text(tmp_path: Path, field: str) -> None:
    """Prompts are untrusted: no element and no attribute may come of them."""
    base: dict[str, Any] = {"row": 1, "key": "k", "status": Ending.FAILED}
    plain = Elements(render([Outcome(**base | {field: "x"})], tmp_path))
    page = Elements(render([Outcome(**base | {field: HOSTILE})], tmp_path))

    assert HOSTILE in page.text
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert [sorted(attributes) for _, attributes in page.tags] == [sorted(attributes) for _, attributes in plain.tags]


def test_the_page_runs_nothing_but_its_own_script_and_asks_no_other_host(tmp_path: Path) -> None:
    """Its policy names its script and its style by their hashes."""
    text = render([outcome(tmp_path)], tmp_path)
    page = Elements(text)

    (policy,) = [meta["content"] for meta in page.of("meta") if meta.get("http-equiv")]
    for tag in ("script", "style"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in (policy or "")
    assert (policy or "").startswith("default-src 'none';")
    assert not re.search(r"https?://|//[a-z]", re.sub(r"(?m)//.*$", "", text))
    assert not [attributes for _, attributes in page.tags if "style" in attributes or "onclick" in attributes]


def test_the_sums_count_what_is_there(tmp_path: Path) -> None:
    """What nobody told is left out."""
    rows = [
        outcome(tmp_path, 1, duration=6, credits_reserved=10, bytes=2_000_000, ended=100.0),
        outcome(tmp_path, 2, duration=60, credits_reserved=2.5, bytes=500_000, saved=200.0, model="owl-1"),
        Outcome(row=3, key=None, status=Ending.INVALID, error="no prompt"),
    ]

    full, empty = Elements(render(rows, tmp_path)).text, Elements(render([], tmp_path)).text

    said = " ".join(full.split())
    for text in ("rows 3", "of video 1:06", "credits reserved 12.5", "MB 2.5", "last saved 1970-01-01 00:03 UTC"):
        assert text in said
    assert "all fox-1 owl-1 " in full
    assert "credits reserved" not in empty


def test_the_page_is_written_whole_beside_the_videos(tmp_path: Path) -> None:
    """Whatever a prompt holds, it can be encoded; nothing else is left behind."""
    with Results.opened(tmp_path) as results:
        results.add(outcome(tmp_path, 1, prompt="a lone surrogate \ud800"))
        results.add(outcome(tmp_path, 2, prompt="snow ❄"))

    page = write_sheet(tmp_path)
    write_sheet(tmp_path)

    assert page == tmp_path / "index.html"
    assert "snow ❄" in page.read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "index.html",
        "results.jsonl",
        "video 1#.mp4",
        "video 2#.mp4",
    ]


def test_a_folder_without_results_has_no_sheet(tmp_path: Path) -> None:
    """It is no folder of a batch."""
    with pytest.raises(FileNotFoundError):
        write_sheet(tmp_path)


# --- The timeline ------------------------------------------------------------------------------------------------


def timed(row: int, *moments: float | None) -> Outcome:
    """Return an outcome with its times."""
    planned, accepted, ended, saved = moments
    return Outcome(
        row=row,
        key=f"k{row}",
        status=Ending.COMPLETED,
        planned=planned,
        accepted=accepted,
        ended=ended,
        saved=saved,
    )


def test_the_timeline_shows_what_each_row_waited_for() -> None:
    """Places are shares of the width; rows come in the order in which they were taken up."""
    found = timeline([timed(2, 20.0, 40.0, None, None), timed(1, 0.0, 10.0, 50.0, 100.0)])

    assert found is not None
    assert [lane.outcome.row for lane in found.lanes] == [1, 2]
    assert found.lanes[0].bars == (
        Bar("waiting", 0.0, 100.0, 10.0),
        Bar("running", 100.0, 400.0, 40.0),
        Bar("saving", 500.0, 500.0, 50.0),
    )
    assert found.lanes[1].bars == (Bar("waiting", 200.0, 200.0, 20.0),)
    assert found.ticks == [0.0, 25.0, 50.0, 75.0, 100.0]


def test_a_short_bar_is_seen_and_a_clock_that_stepped_back_is_not() -> None:
    """Times come from the wall clock."""
    found = timeline([timed(1, 0.0, 0.001, 100.0, 90.0)])

    assert found is not None
    waiting, running = found.lanes[0].bars
    assert 1 <= waiting.width < WIDTH / 100
    assert running.kind == "running"


def test_hours_in_which_nothing_happened_are_drawn_short(tmp_path: Path) -> None:
    """As between a crash and the run that goes on; the ticks still tell the time."""
    rows = [timed(1, 0.0, 10.0, 50.0, 100.0), timed(2, 0.0, 10.0, 36_100.0, 36_200.0)]
    found = timeline(rows)

    assert found is not None
    assert [pause.seconds for pause in found.pauses] == [36_000.0]
    assert found.pauses[0].place == pytest.approx(WIDTH / 2)
    running = found.lanes[1].bars[1]
    assert running.seconds == 36_090.0
    assert running.width == pytest.approx(WIDTH * 96 / 206)
    assert found.ticks[0] == 0.0
    assert found.ticks[1] == pytest.approx(51.5)
    assert found.ticks[4] == pytest.approx(36_200.0)
    assert len(Elements(render(rows, tmp_path)).of("line")) == 1


@pytest.mark.parametrize("rows", [[], [timed(1, None, None, None, None)], [timed(1, 5.0, None, None, None)]])
def test_without_times_there_is_no_timeline(rows: list[Outcome], tmp_path: Path) -> None:
    """The page then has none."""
    assert timeline(rows) is None
    assert Elements(render(rows, tmp_path)).of("svg") == []


def test_the_page_shows_the_timeline(tmp_path: Path) -> None:
    """A bar for each stretch."""
    page = Elements(render([timed(1, 0.0, 10.0, 50.0, 100.0)], tmp_path))

    assert [bar["class"] for bar in page.of("rect")] == ["waiting", "running", "saving"]


def test_a_clock_reads_as_clocks_do() -> None:
    """Minutes, and hours where there are any."""
    assert [clock(seconds) for seconds in (0, 7, 59.6, 750, 3900)] == ["0:00", "0:07", "1:00", "12:30", "1:05:00"]
