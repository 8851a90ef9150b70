"""Links: what one is, what is made of what people paste, and which lead to a page that shows a file."""

from pathlib import Path

import pytest

from foxvideo import GrokImageToVideo, InvalidRequest
from foxvideo.batch import Manifest, Row
from foxvideo.cli.compose import media
from foxvideo.requests.generic import check
from foxvideo.requests.links import is_web_url, shown, tidied, wrong

FILE = "https://example.com/cat.jpg"
AROUND = ["{}", " {}", "{} ", "{}\n", "\t{}\r\n", "\ufeff{}", "\u200b{}", "\xa0{}\xa0"]
PAGES = [
    "https://drive.google.com/file/d/1AbC/view?usp=sharing",
    "https://drive.google.com/open?id=1AbC",
    "https://docs.google.com/presentation/d/1AbC/edit",
    "https://photos.google.com/share/AF1Q",
    "https://photos.app.goo.gl/abc",
    "https://www.dropbox.com/s/abc/cat.png?dl=0",
    "https://www.dropbox.com/scl/fi/abc/cat.png?rlkey=1&dl=0",
    "https://dropbox.com/s/abc/cat.png",
    "https://1drv.ms/i/s!abc",
    "https://onedrive.live.com/?id=1",
    "https://studio.sharepoint.com/:i:/g/abc",
    "https://www.icloud.com/photos/#abc",
    "https://we.tl/t-abc",
    "https://github.com/me/cats/blob/main/cat.png",
    "https://imgur.com/a/abc",
    "https://imgur.com/abc",
    "HTTPS://WWW.YouTube.com/watch?v=abc",
    "https://youtu.be/abc",
    "https://vimeo.com/123",
]
FILES = [
    FILE,
    "HTTP://EXAMPLE.com/a.png",
    "https://drive.google.com/uc?export=download&id=1AbC",
    "https://drive.google.com/thumbnail?id=1AbC",
    "https://www.dropbox.com/s/abc/cat.png?raw=1",
    "https://www.dropbox.com/scl/fi/abc/cat.png?rlkey=1&dl=1",
    "https://dl.dropboxusercontent.com/s/abc/cat.png",
    "https://onedrive.live.com/download?id=1",
    "https://studio.sharepoint.com/:i:/g/abc?download=1",
    "https://github.com/me/cats/blob/main/cat.png?raw=true",
    "https://raw.githubusercontent.com/me/cats/main/cat.png",
    "https://i.imgur.com/abc.png",
    "https://imgur.com/abc.png",
    "https://notyoutube.com/watch",
    "https://example.com/drive.google.com/file/d/1",
    "https://example.com/ü.png?a=b#c",
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, True) for text in FILES),
        ("https:///a.png", False),
        ("https://", False),
        ("//example.com/a.png", False),
        ("www.example.com/a.png", False),
        ("ftp://example.com/a.png", False),
        ("s3://bucket/a.png", False),
        ("file:///a.png", False),
        ("C:\\cat.png", False),
        ("http://[bad", False),
        ("https://example.com:99999/a.png", False),
        ("https://example.com/my cat.png", False),
        ("https://example.com/a.png\n", False),
        ("", False),
    ],
)
def test_a_web_url_has_a_scheme_and_a_host_and_no_blank(text: str, expected: bool) -> None:
    """Whatever cannot be parsed is none."""
    assert is_web_url(text) is expected


@pytest.mark.parametrize("pattern", AROUND)
def test_what_was_pasted_along_with_a_link_is_left_out(pattern: str, tmp_path: Path) -> None:
    """In a manifest and on the command line, where nobody sees it; Python is told."""
    pasted = pattern.format("HTTPS://Example.com/cat.jpg")
    assert tidied(pasted) == media("--image", pasted) == "https://Example.com/cat.jpg"

    (tmp_path / "shots.csv").write_text(f'prompt,image_url\nA cat,"{pasted}"\n', encoding="utf-8")
    (row,) = Manifest(tmp_path / "shots.csv")
    assert isinstance(row, Row)
    assert row.request.fields["image_url"] == "https://Example.com/cat.jpg"  # type: ignore[union-attr]

    if pattern != "{}":
        with pytest.raises(InvalidRequest, match="without the blanks around it"):
            check(GrokImageToVideo(prompt="A cat", image_url=pasted))


@pytest.mark.parametrize("link", PAGES)
def test_the_link_of_a_page_is_refused_before_it_is_paid_for(link: str) -> None:
    """The service would fetch HTML; who knows better says so."""
    request = GrokImageToVideo(prompt="A cat", image_url=link)
    with pytest.raises(InvalidRequest, match="not of a page"):
        check(request)
    check(request, documented=False)


@pytest.mark.parametrize("link", FILES)
def test_the_link_of_a_file_is_sent_as_it_is(link: str) -> None:
    """Also of a host whose other links are pages."""
    assert wrong(link) is None
    check(GrokImageToVideo(prompt="A cat", image_url=link))


@pytest.mark.parametrize(
    "link",
    [
        "https://me:hush@example.com/my cat.png",
        "https://example.com/my cat.png?X-Amz-Signature=hush",
        "ftp://example.com/cat.png?sig=hush hush",
        "https://www.dropbox.com/s/a/cat.png?rlkey=hush",
        " https://example.com/cat.png?token=hush",
    ],
)
def test_a_link_that_is_refused_shows_neither_password_nor_signature(link: str) -> None:
    """An error may be mailed, or logged."""
    with pytest.raises(InvalidRequest) as caught:
        check(GrokImageToVideo(prompt="A cat", image_url=link))
    assert "hush" not in str(caught.value) + repr(caught.value) + repr(caught.value.faults)
    assert "cat.png" in str(caught.value)


def test_any_other_text_is_shown_as_it_is() -> None:
    """A question is no query."""
    assert shown("Who is there? me@example.com") == "Who is there? me@example.com"
