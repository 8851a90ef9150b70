"""From the fields of a row to a request and its key."""

from pathlib import Path

import pytest

from foxvideo import InvalidRequest, Request
from foxvideo.batch import BadRow, Manifest, Row
from foxvideo.batch.rows import Composer


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
    return Composer(folder).request(cells, cells=True)


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

    asked = Composer(folder).request(given, cells=False)

    assert asked.fields["elements"] == [{"frontal_image_url": folder / "cat.png", "weight": 1}]
    assert asked.fields["image_urls"] == [folder / "dog.png", "data:image/png;base64,AAAA"]
    assert asked.fields["references"] == [{"url": "https://example.com/a.png"}]


def test_values_of_json_are_not_read_as_cells(folder: Path) -> None:
    """A text that looks like a number is a fault there, since its author could have written a number."""
    with pytest.raises(InvalidRequest, match="duration='6': a whole number"):
        Composer(folder).request({"prompt": "A fox", "duration": "6"}, cells=False)


def test_nothing_stands_for_what_is_not_given(folder: Path) -> None:
    """The service refuses null, empty texts and empty lists."""
    given = {"prompt": "A fox", "duration": None, "aspect_ratio": "", "image_url": None}

    assert Composer(folder).request(given, cells=False).fields == {"prompt": "A fox"}


def test_defaults_fill_what_a_row_lacks(folder: Path) -> None:
    """They are written as cells, also for JSON Lines, and may name the model."""
    defaults = {"duration": "4", "resolution": "480p"}
    composer = Composer(folder, {"model": "new-model", "seed": "7"})

    cells = {"prompt": "A fox", "duration": "9"}
    assert Composer(folder, defaults).request(cells, cells=True).fields == {
        **cells,
        "duration": 9,
        "resolution": "480p",
    }
    assert composer.request({"prompt": "7"}, cells=False) == Request("new-model", prompt="7", seed=7)


@pytest.mark.parametrize("picture", ["nope.png", "empty.png", ".", "null\0byte.png"])
def test_a_picture_that_is_not_there_is_a_fault_beside_all_others(folder: Path, picture: str) -> None:
    """All faults of a row are told at once."""
    with pytest.raises(InvalidRequest) as caught:
        request(folder, prompt="A fox", image_url=picture, duration="99")

    assert [fault.field for fault in caught.value.faults] == ["image_url", "duration"]


def test_fields_may_go_unchecked(folder: Path) -> None:
    """The service may know more than its documentation says."""
    unchecked = Composer(folder, documented=False)

    assert unchecked.request({"prompt": "A fox", "duration": "60"}, cells=True).fields["duration"] == 60


def test_a_model_that_is_no_text_is_a_fault(folder: Path) -> None:
    """JSON can hold anything."""
    with pytest.raises(InvalidRequest, match="model=7"):
        Composer(folder).request({"model": 7, "prompt": "A fox"}, cells=False)


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


def test_a_picture_that_cannot_be_read_makes_a_bad_row(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there, but it goes before it is read."""

    def gone(*_: object) -> str:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("foxvideo.batch.rows._file_sha256", gone)

    (bad,) = rows(folder, "prompt,image_url\nA cat,cat.png\n")

    assert isinstance(bad, BadRow)
    assert bad.faults == (f"could not read '{folder / 'cat.png'}': No such file or directory",)


def test_local_files_may_be_relative_to_another_folder(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """As for a manifest that comes from elsewhere."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    (elsewhere / "shots.csv").write_text("prompt,image_url\nA cat,cat.png\n")
    (row,) = Manifest(elsewhere / "shots.csv", folder=folder)

    assert isinstance(row, Row)
