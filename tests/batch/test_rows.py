"""From the fields of a row to a request and its key."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from foxvideo import (
    GrokImageToVideo,
    GrokReferenceToVideo,
    GrokTextToVideo,
    InvalidRequest,
    Request,
    VideoRequest,
)
from foxvideo.batch import BadRow, Manifest, Row
from foxvideo.batch.compose import compose
from foxvideo.batch.rows import described, name_row
from foxvideo.media import Pinned
from foxvideo.requests.generic import media_of


def digest(content: bytes) -> str:
    """Return the SHA-256 of a content."""
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with pictures."""
    (tmp_path / "cat.png").write_bytes(b"a cat")
    (tmp_path / "dog.png").write_bytes(b"a dog")
    (tmp_path / "empty.png").touch()
    return tmp_path


def rows(folder: Path, text: str, name: str = "shots.csv") -> list[Row | BadRow]:
    """Read a manifest that lies beside the pictures."""
    (folder / name).write_text(text)
    return list(Manifest(folder / name))


def request(folder: Path, **cells: str) -> Request:
    """Return the request of a row of cells."""
    return compose(cells, cells=True, folder=folder)


@pytest.mark.parametrize(
    ("cells", "model"),
    [
        ({"prompt": "A fox"}, "grok-imagine-text-to-video"),
        ({"prompt": "A fox", "image_url": "cat.png"}, "grok-imagine-image-to-video"),
        ({"prompt": "A fox", "reference_image_urls": "cat.png"}, "grok-imagine-reference-to-video"),
        ({"prompt": "A fox", "video_url": "https://example.com/a.mp4"}, "grok-imagine-edit-video"),
        (
            {"prompt": "A fox", "video_url": "https://example.com/a.mp4", "model": "grok-imagine-video-extension"},
            "grok-imagine-video-extension",
        ),
    ],
)
def test_a_row_without_a_model_is_the_one_that_its_fields_mean(folder: Path, cells: dict[str, str], model: str) -> None:
    """A model that is given counts."""
    assert request(folder, **cells).model == model


def test_a_cell_stands_for_what_its_field_takes(folder: Path) -> None:
    """A prompt of digits stays a text, a duration becomes a number, a list has semicolons between its items."""
    text = request(folder, prompt="1917", duration="6", aspect_ratio="16:9")
    several = request(folder, prompt="Two", reference_image_urls="cat.png; https://example.com/b.png ;")
    listed = request(folder, prompt="Two", reference_image_urls='["cat.png", "dog.png"]')

    assert text.fields == {"prompt": "1917", "duration": 6, "aspect_ratio": "16:9"}
    assert several.fields["reference_image_urls"] == [folder / "cat.png", "https://example.com/b.png"]
    assert listed.fields["reference_image_urls"] == [folder / "cat.png", folder / "dog.png"]


def test_cells_follow_the_documentation_of_their_model(folder: Path) -> None:
    """Numbers, truths, lists and objects, also of a model in brackets; a prompt that reads as a number stays a text."""
    veo = request(
        folder,
        model="veo-3.1[4k]",
        prompt="1917",
        image_urls="cat.png;dog.png",
        generation_type="first-last-frame",
        generate_audio="true",
        duration="8",
    )
    kling = request(
        folder, model="kling-v3-text-to-video", prompt="A fox", multi_prompt='[{"prompt": "A fox", "duration": 5}]'
    )

    assert veo.fields == {
        "prompt": "1917",
        "image_urls": [folder / "cat.png", folder / "dog.png"],
        "generation_type": "first-last-frame",
        "generate_audio": True,
        "duration": 8,
    }
    assert kling.fields["multi_prompt"] == [{"prompt": "A fox", "duration": 5}]


def test_cells_of_a_model_that_nothing_is_known_of_are_json_if_they_are_any(folder: Path) -> None:
    """Prompts are texts all the same, and what is called a URL is a file where it is none."""
    asked = request(
        folder, model="new-model", prompt="true", seed="7", loud="true", style="anime", image_url="cat.png", note="{"
    )

    assert asked.fields == {
        "prompt": "true",
        "seed": 7,
        "loud": True,
        "style": "anime",
        "image_url": folder / "cat.png",
        "note": "{",
    }


def test_local_files_are_found_at_any_depth_and_data_urls_are_left_alone(folder: Path) -> None:
    """JSON Lines can nest what no CSV can."""
    given = {
        "model": "new-model",
        "elements": [{"frontal_image_url": "cat.png", "weight": 1}],
        "image_urls": ["dog.png", "data:image/png;base64,AAAA"],
        "references": [{"url": "https://example.com/a.png"}],
    }

    asked = compose(given, cells=False, folder=folder)

    assert asked.fields["elements"] == [{"frontal_image_url": folder / "cat.png", "weight": 1}]
    assert asked.fields["image_urls"] == [folder / "dog.png", "data:image/png;base64,AAAA"]
    assert asked.fields["references"] == [{"url": "https://example.com/a.png"}]


def test_values_of_json_are_not_read_as_cells(folder: Path) -> None:
    """A text that looks like a number is a fault there, since its author could have written a number."""
    with pytest.raises(InvalidRequest, match="duration='6': a whole number"):
        compose({"prompt": "A fox", "duration": "6"}, cells=False, folder=folder)


def test_nothing_stands_for_what_is_not_given(folder: Path) -> None:
    """The service refuses null, empty texts and empty lists."""
    given = {"prompt": "A fox", "duration": None, "aspect_ratio": "", "image_url": None}

    assert compose(given, cells=False, folder=folder).fields == {"prompt": "A fox"}


def test_defaults_fill_what_a_row_lacks(folder: Path) -> None:
    """They are written as cells, also for JSON Lines, and may name the model."""
    defaults = {"duration": "4", "resolution": "480p"}
    other = {"model": "new-model", "seed": "7"}
    cells = {"prompt": "A fox", "duration": "9"}

    filled = compose(cells, cells=True, folder=folder, defaults=defaults)
    named = compose({"prompt": "7"}, cells=False, folder=folder, defaults=other)

    assert filled.fields == {"prompt": "A fox", "duration": 9, "resolution": "480p"}
    assert named == Request("new-model", prompt="7", seed=7)


@pytest.mark.parametrize(
    ("cell", "value"), [("TRUE", True), ("True", True), ("true", True), ("FALSE", False), (" False ", False)]
)
def test_a_boolean_is_one_however_it_is_spelled(folder: Path, cell: str, value: bool) -> None:
    """Excel writes TRUE, Python True."""
    asked = request(folder, model="veo-3.1-fast-text-to-video", prompt="A fox", generate_audio=cell)

    assert asked.fields["generate_audio"] is value


@pytest.mark.parametrize("cells", [True, False])
def test_a_whole_number_may_be_written_with_a_point(folder: Path, cells: bool) -> None:
    """As pandas writes a column that has gaps; one that is not whole stays what it is."""
    given: dict[str, object] = {"prompt": "A fox", "duration": "6.0" if cells else 6.0}
    asked = compose(given, cells=cells, folder=folder)

    assert repr(asked.fields["duration"]) == "6"
    with pytest.raises(InvalidRequest, match=r"duration=6\.5"):
        compose(given | {"duration": "6.5" if cells else 6.5}, cells=cells, folder=folder)


def test_numbers_of_fields_that_nothing_is_known_of_stay_as_they_are(folder: Path) -> None:
    """A model may tell 6.0 from 6."""
    assert repr(request(folder, model="new-model", strength="6.0").fields["strength"]) == "6.0"


@pytest.mark.parametrize("picture", ["nope.png", "empty.png", ".", "null\0byte.png"])
def test_a_picture_that_is_not_there_is_a_fault_beside_all_others(folder: Path, picture: str) -> None:
    """All faults of a row are told at once."""
    with pytest.raises(InvalidRequest) as caught:
        request(folder, prompt="A fox", image_url=picture, duration="99")

    assert [fault.field for fault in caught.value.faults] == ["image_url", "duration"]


def test_fields_may_go_unchecked(folder: Path) -> None:
    """The service may know more than its documentation says."""
    asked = compose({"prompt": "A fox", "duration": "60"}, cells=True, folder=folder, documented=False)

    assert asked.fields["duration"] == 60


def test_a_model_that_is_no_text_is_a_fault(folder: Path) -> None:
    """JSON can hold anything."""
    with pytest.raises(InvalidRequest, match="model=7"):
        compose({"model": 7, "prompt": "A fox"}, cells=False, folder=folder)


# --- Manifests ---------------------------------------------------------------------------------------------------


def test_a_manifest_yields_rows_with_their_place_and_line(folder: Path) -> None:
    """A bad row names its faults and takes a place, too."""
    first, bad, last = rows(folder, 'prompt,duration\n"A fox\nruns",6\nAn owl,99\nA bear,4\n')

    assert isinstance(first, Row)
    assert (first.number, first.line) == (1, 2)
    assert isinstance(bad, BadRow)
    assert (bad.number, bad.line) == (2, 4)
    assert "duration=99" in bad.faults[0]
    assert isinstance(last, Row)
    assert (last.number, last.line) == (3, 5)


def test_a_line_that_cannot_be_read_is_a_bad_row(folder: Path) -> None:
    """A byte order mark, which spreadsheets write, is none of a field's name."""
    (folder / "shots.csv").write_bytes("\ufeffprompt\nA fox\n".encode() + b"\xff\n")

    good, bad = Manifest(folder / "shots.csv")

    assert isinstance(good, Row)
    assert bad == BadRow(2, 3, ("not UTF-8",))


def test_equal_rows_have_keys_that_count(folder: Path) -> None:
    """The key comes from the content, whatever the order of columns and of rows."""
    first, other, second, third = rows(folder, "prompt,duration\nA fox,6\nAn owl,6\nA fox,6\nA fox,6\n")
    (again,) = rows(folder, '{"duration": 6, "prompt": "A fox", "model": "grok-imagine-text-to-video"}', "shots.jsonl")

    assert isinstance(first, Row)
    assert isinstance(second, Row)
    assert isinstance(third, Row)
    assert isinstance(again, Row)
    assert isinstance(other, Row)
    assert (second.key, third.key) == (f"{first.key}#2", f"{first.key}#3")
    assert again.key == first.key != other.key


def test_a_picture_counts_by_its_content(folder: Path) -> None:
    """Another picture under the same name is another row, and the same under another name is not."""
    text = "prompt,image_url\nA cat,cat.png\n"
    (before,) = rows(folder, text)
    (folder / "copy.png").write_bytes(b"a cat")
    (copied,) = rows(folder, text.replace("cat.png", "copy.png"))
    (folder / "cat.png").write_bytes(b"another cat")
    (after,) = rows(folder, text)

    assert isinstance(before, Row)
    assert isinstance(copied, Row)
    assert isinstance(after, Row)
    assert before.key == copied.key != after.key


@pytest.mark.parametrize(
    "make",
    [
        lambda cat, dog: GrokImageToVideo(prompt="A cat", image_url=cat),
        lambda cat, dog: GrokReferenceToVideo(
            prompt="Two", reference_image_urls=[cat, "https://example.com/a.png", dog]
        ),
        lambda cat, dog: GrokTextToVideo(prompt="A cat", extra={"elements": [{"image": cat}]}),
        lambda cat, dog: Request("new-model", elements=[{"image_urls": (cat, [dog])}], note=b"bytes"),
        lambda cat, dog: Request("new-model", image_url=Pinned(cat, digest(b"a cat"))),
    ],
)
def test_the_files_of_a_row_are_held_to_what_they_were_when_it_was_named(
    folder: Path, make: Callable[[Path, Path], VideoRequest]
) -> None:
    """At any depth; all else stays as it was, and so does the request."""
    cat, dog = folder / "cat.png", folder / "dog.png"
    request = make(cat, dog)

    row = name_row(1, None, request, Counter())

    assert isinstance(row, Row)
    found = {media for media in media_of(row.request).values() if not isinstance(media, bytes)}
    expected = {Pinned(cat, digest(b"a cat")), Pinned(dog, digest(b"a dog"))}
    assert found
    assert found <= expected
    assert len(found) == len([media for media in media_of(request).values() if not isinstance(media, bytes)])
    assert described(row.request) == described(request)
    assert request == make(cat, dog)
    assert type(row.request) is type(request)


def test_a_request_without_files_stays_itself() -> None:
    """There is nothing to hold."""
    request = GrokImageToVideo(prompt="A cat", image_url=b"a cat")

    row = name_row(1, None, request, Counter())

    assert isinstance(row, Row)
    assert row.request is request


def removed(path: Path) -> None:
    """Remove a file."""
    path.unlink()


def piped(path: Path) -> None:
    """Put a pipe in the place of a file, to which nobody writes."""
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(("change", "why"), [(removed, "No such file"), (piped, "named pipe")])
def test_a_picture_that_cannot_be_read_makes_a_bad_row(folder: Path, change: Callable[[Path], None], why: str) -> None:
    """It was there when the line was checked, and is not any more when the row is named."""
    request = compose({"prompt": "A cat", "image_url": "cat.png"}, cells=True, folder=folder)
    change(folder / "cat.png")

    bad = name_row(1, None, request, Counter())

    assert isinstance(bad, BadRow)
    (fault,) = bad.faults
    assert fault.startswith(f"could not read '{folder / 'cat.png'}'")
    assert why in fault


def test_local_files_may_be_relative_to_another_folder(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """As for a manifest that comes from elsewhere."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    (elsewhere / "shots.csv").write_text("prompt,image_url\nA cat,cat.png\n")
    (row,) = Manifest(elsewhere / "shots.csv", folder=folder)

    assert isinstance(row, Row)
