"""What the videos of a batch are called: by a template, one name for each task."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from foxvideo import GrokImageToVideo, GrokTextToVideo
from foxvideo.batch.naming import DEFAULT, stem, template
from foxvideo.batch.rows import Row

DIGEST = hashlib.sha256(b"task-1").hexdigest()[:8]
ROW = Row(
    7, None, "ab12", GrokTextToVideo(prompt="A fox, trotting over fresh snow"), notes={"#scene": "3/b", "#take": ""}
)
NAMES = {
    DEFAULT: "A-fox-trotting-over-fresh-snow-ab12",
    "{row:03}": "007",
    "{row:>5}_{key}": "7_ab12",
    "{model}": "grok-imagine-text-to-video",
    "{#scene}-{words}": "3-b-A-fox-trotting-over-fresh-snow",
    "{#take}": "video",
    "{#nowhere}x": "x",
    "../{row}/..": "7",
    "{{{row}}}": "7",
    ".{row}": "7",
    "süß {row}": "süß-7",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_template_makes_a_name_with_the_digest_of_the_task(name: str) -> None:
    """Whatever is in it, it is one name in the folder, and no other task's."""
    assert stem(template(name), ROW, "task-1") == f"{NAMES[name]}-{DIGEST}"


def test_a_picture_gives_its_name_to_a_row() -> None:
    """It says more than the prompt, which may be the same for all."""
    row = Row(1, None, "ab12#2", GrokImageToVideo(prompt="Push in", image_url=Path("in/My cat.png")))
    assert stem(DEFAULT, row, "task-1") == f"My-cat-ab12-2-{DIGEST}"


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("clip", "no field at all"),
        ("", "no field at all"),
        ("{prompt}", "no field 'prompt'"),
        ("{}", "no field ''"),
        ("{0}", "no field '0'"),
        ("{row.__class__}", "no field"),
        ("{#a[0]}", "no field"),
        ("{#a.b}", "no field"),
        ("{row", "template such as"),
        ("{row}}", "template such as"),
        ("{row:{key}}", "the format"),
        ("{row:0999999999}", "the format"),
        ("{key:d}", "template such as"),
        ("{row!x}", "template such as"),
    ],
)
def test_what_is_no_template_is_refused_before_anything_is_bought(name: str, what: str) -> None:
    """By what is wrong with it."""
    with pytest.raises(ValueError, match="name ") as caught:
        template(name)
    assert what in str(caught.value)


@given(note=st.text(), key=st.text(min_size=1))
def test_any_text_makes_a_name_that_every_file_system_takes(note: str, key: str) -> None:
    """Half a letter, a null, a slash, and a thousand of them."""
    row = Row(1, None, key, GrokTextToVideo(prompt=note or "x"), notes={"#scene": note * 100})
    name = stem("{#scene}{key}", row, "task-1")
    assert len(f".{name}.mp4.part.json".encode()) <= 255
    assert not set(name) & set("/\\\0\n")
    assert name.isprintable()
