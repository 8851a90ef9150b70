"""The outcome of a task as a value: links, moments, and its way through a pickle."""

import copy
import datetime as dt
import math
import pickle
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from hosting import nothing_saved

from foxvideo import GrokTextToVideo, Request, Result, ResultsMissing, SavedFile, Status, TaskState, Usage, Video
from foxvideo._http import Transport
from foxvideo.state import moment
from foxvideo.video import Source

KEY = "sk-0123456789abcdefghij"
SHOT = GrokTextToVideo(prompt="A fox trots through snow")
VIDEO = Result("https://videos.example/a.mp4", {"url": "https://videos.example/a.mp4", "seed": 7})
STATE = TaskState(
    id="task-1",
    status=Status.COMPLETED,
    status_text="completed",
    results=(VIDEO,),
    usage=Usage(credits_reserved=12.5),
    model="grok-imagine-text-to-video",
    created=dt.datetime.fromtimestamp(1_790_000_001, dt.UTC),
)


async def _nothing_fresh(_: str) -> TaskState:
    return STATE


def _video(request: GrokTextToVideo | Request | None = SHOT, **told: object) -> Video:
    source = Source(Transport("https://fox.example", KEY, 60.0, 15.0), _nothing_fresh, lambda *_: None, nothing_saved)
    return Video.of(attrs.evolve(STATE, **told), request, source, settling_until=1.0)  # type: ignore[arg-type]


# --- What it tells -------------------------------------------------------------------------------------------------


def test_a_video_tells_what_the_last_state_told() -> None:
    """Together with what was asked for."""
    video = _video()

    assert (video.id, video.model, video.request) == ("task-1", "grok-imagine-text-to-video", SHOT)
    assert (video.results, video.credits_reserved) == ((VIDEO,), 12.5)
    assert video.results[0].fields["seed"] == 7


@pytest.mark.parametrize(
    ("told", "request_", "model"),
    [
        ("veo-3.1[4k]", Request("veo-3.1"), "veo-3.1[4k]"),
        (None, Request("veo-3.1"), "veo-3.1"),
        (None, None, None),
    ],
)
def test_the_model_is_the_one_really_used(told: str | None, request_: Request | None, model: str | None) -> None:
    """Else the one asked for; nobody knows it for a task that is followed by its id."""
    assert _video(request_, model=told).model == model


@pytest.mark.parametrize(
    ("links", "urls"),
    [
        (["https://a/1", "https://a/2"], ("https://a/1", "https://a/2")),
        (["https://a/2", "https://a/1", "https://a/2"], ("https://a/2", "https://a/1")),
        ([None, "https://a/1", ""], ("https://a/1",)),
    ],
)
def test_links_are_told_once_each_and_in_their_order(links: list[str | None], urls: tuple[str, ...]) -> None:
    """The first of them is the link."""
    video = _video(results=tuple(map(Result, links)))

    assert video.urls == urls
    assert video.url == urls[0]


@pytest.mark.parametrize(
    ("results", "says"),
    [
        ([{"voice_id": "v-1"}], "voice_id"),
        ([{"name": "Reynard", "character_id": "c-1"}, {"name": "Tod"}], "character_id, name"),
        ([{}], "nothing"),
        ([], "nothing"),
    ],
)
async def test_a_video_without_a_link_says_what_it_has_instead(
    results: list[dict[str, object]], says: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Some models make a voice or a character."""
    video = _video(results=tuple(Result(None, fields) for fields in results))

    with pytest.raises(ResultsMissing, match=rf"have no link, but {says} ") as caught:
        _ = video.url
    with pytest.raises(ResultsMissing):
        await video.save(tmp_path_factory.getbasetemp() / "fox.mp4")

    assert caught.value.hint == "read video.results"
    assert (caught.value.submitted, caught.value.task_id) == ("yes", "task-1")
    assert video.urls == ()


@pytest.mark.parametrize("created", [None, math.nan, math.inf, 1e300, -1e20, 1_790_000_001_000.0])
def test_a_moment_that_makes_no_sense_is_not_known(created: float | None) -> None:
    """Milliseconds are none."""
    video = _video(created=moment(created))

    assert (video.created, video.expires_at) == (None, None)


@pytest.mark.parametrize(
    ("created", "made"),
    [
        (0.0, dt.datetime(1970, 1, 1, tzinfo=dt.UTC)),
        (1_790_000_001.5, dt.datetime(2026, 9, 21, 14, 13, 21, 500_000, tzinfo=dt.UTC)),
    ],
)
def test_links_die_a_day_after_the_task_was_made(created: float, made: dt.datetime) -> None:
    """At the earliest; in UTC."""
    video = _video(created=moment(created))

    assert video.created == made
    assert video.expires_at == made + dt.timedelta(days=1)


def test_a_day_after_the_last_day_is_not_known() -> None:
    """The calendar ends with the year 9999."""
    video = _video(created=moment(253_402_300_799.0))

    assert video.created is not None
    assert video.expires_at is None


# --- As a value ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copied", [lambda video: pickle.loads(pickle.dumps(video)), copy.copy, copy.deepcopy])  # noqa: S301 - our own
def test_a_copy_is_equal_and_knows_no_connection(copied: Callable[[Video], Video]) -> None:
    """Through a pickle it may come to another process, and the key must not."""
    video = _video()

    again = copied(video)

    assert again == video
    assert (again._source, again._settling_until) == (None, None)
    assert KEY.encode() not in pickle.dumps(video)


def test_a_video_cannot_be_changed() -> None:
    """It is what the service said."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        _video().id = "task-2"  # type: ignore[misc]


def test_the_repr_of_a_video_shows_neither_key_nor_connection() -> None:
    """But what it is."""
    shown = repr(_video())

    assert shown.startswith("<Video task-1 grok-imagine-text-to-video ")
    assert "Source" not in shown
    assert KEY not in shown


# --- In a notebook ---


def test_a_notebook_plays_the_file_that_lies_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the link: a page of a notebook can open no other file of the disk."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a & b.mp4").touch()
    (tmp_path.parent / "elsewhere.mp4").touch()
    beside = attrs.evolve(_video(), files={0: SavedFile(tmp_path / "a & b.mp4", 1, "")})
    elsewhere = attrs.evolve(_video(), files={0: SavedFile(tmp_path.parent / "elsewhere.mp4", 1, "")})
    gone = attrs.evolve(_video(), files={0: SavedFile(tmp_path / "gone.mp4", 1, "")})

    assert '<video src="a%20%26%20b.mp4" controls' in beside._repr_html_()
    for video in (elsewhere, gone, _video()):
        assert f'<video src="{video.url}" controls' in video._repr_html_()
    assert "saved as" in elsewhere._repr_html_()
    assert "saved as" not in gone._repr_html_()


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,<script>1</script>", 'https://x/"><script>alert(1)</script>.mp4']
)
def test_no_link_brings_a_script_into_a_notebook(url: str) -> None:
    """Whatever the service says; its other words neither."""
    video = attrs.evolve(_video(), results=(Result(url),), model="<script>2</script>", id="task-<b>")
    html = video._repr_html_()
    assert "<script>" not in html
    assert "<b>" not in html
    assert 'src="javascript' not in html
    assert 'src="data' not in html


@pytest.mark.parametrize(("url", "tag"), [("https://x/a.png?s=1", "<img"), ("https://x/a.MP3", "<audio"), (None, None)])
def test_what_is_no_video_has_an_element_of_its_own(url: str | None, tag: str | None) -> None:
    """A voice has none."""
    video = attrs.evolve(_video(), results=(Result(url, {"voice_id": "v"}),))
    assert "<video" not in video._repr_html_()
    assert tag is None or tag in video._repr_html_()
    assert "task-1" in video._repr_html_()
