"""What bytes are, and whether an MP4 is whole: tables over plain values."""

import gzip

import pytest
from hosting import VIDEO
from hypothesis import given, strategies as st

from foxvideo._transfer import format as format_
from foxvideo._transfer.format import HEAD, incomplete, no_media, no_upload
from foxvideo.emulator.videos import stored_video

MEDIA = {
    "MP4": VIDEO,
    "a real MP4": stored_video(),
    "QuickTime": b"\0\0\0\x14ftypqt  \0\0\2\0qt  \0\0\0\x08wide",
    "QuickTime of old": b"\0\0\x10\0moov\0\0\0\x6cmvhd",
    "WebM": b"\x1aE\xdf\xa3\x9fB\x86\x81\x01",
    "AVI": b"RIFF\x24\0\0\0AVI LIST",
    "FLV": b"FLV\x01\x05\0\0\0\x09",
    "WMV": b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa",
    "MPEG": b"\0\0\x01\xba\x44\0",
    "TS": (b"G@\0\x10\0" + bytes(183)) * 3,
    "Ogg": b"OggS\0\2\0\0",
    "WAV": b"RIFF\x24\0\0\0WAVEfmt ",
    "FLAC": b"fLaC\0\0\0\x22",
    "MP3": b"\xff\xfb\x90\x64\0\0",
    "MP3 with tags": b"ID3\x03\0\0\0\0\0\x21",
    "AAC": b"\xff\xf1\x50\x80\0\0",
    "PNG": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "JPEG": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "GIF": b"GIF89a\x40\x01\xf0\0\x80\0\0",
    "WebP": b"RIFF\x24\0\0\0WEBPVP8 ",
    "AVIF": b"\0\0\0\x1cftypavif\0\0\0\0",
}
OTHER = {
    "nothing": b"",
    "zeros": bytes(HEAD),
    "JSON": b'{"error": "no"}',
    "a list": b" \n[1]",
    "XML": b"<?xml version='1.0'?>",
    "a page": b"<!DOCTYPE html>",
    "a page of UTF-16": "<html>Füchse</html>".encode("utf-16-be"),
    "words of UTF-16": "Zu viele Füchse 🦊".encode("utf-16"),
    "words": b"Too many connections",
    "words that begin like a GIF": b"GIF89a is not allowed here",
    "words of Russia": "Слишком много".encode("koi8-r"),
    "words of China": "请求过多".encode("gb18030"),
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "gzip": gzip.compress(b"<html>"),
    "ZIP": b"PK\x03\x04\x14\0",
    "PDF": b"%PDF-1.7\n%\xe2\xe3\n\0",
    "7-Zip": b"7z\xbc\xaf\x27\x1c\0\4",
    "a program": b"\x7fELF\2\1\1\0",
}


@pytest.mark.parametrize("kind", ["video/mp4", "image/png", "application/octet-stream", "text/plain", ""])
@pytest.mark.parametrize("media", MEDIA)
def test_media_are_known_whatever_they_are_called(media: str, kind: str) -> None:
    """By their first bytes."""
    assert no_media(MEDIA[media][:HEAD], kind) is None


@pytest.mark.parametrize("kind", ["video/mp4", "image/png", "application/octet-stream", "text/plain", ""])
@pytest.mark.parametrize("other", OTHER)
def test_nothing_else_is_media_whatever_it_is_called(other: str, kind: str) -> None:
    """It is never saved as one."""
    assert no_media(OTHER[other][:HEAD], kind) is not None


NO_UPLOADS = {
    **{name: (content, ".png") for name, content in OTHER.items() if name not in {"words of Russia", "words of China"}},
    "a page that is cut": (b"<html>", ".jpg"),
    "a program of Python": (b"import sys\n\nprint('not a picture')\n", ".py"),
    "notes": (b"buy milk", ".txt"),
    "notes without a suffix that says so": (b"buy milk\nand eggs\n", ""),
    "a table": (b"prompt", ".csv"),
    "a drawing in words": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', ".svg"),
    "a refusal of a proxy": (b"error code: 1010", ".png"),
    "what an API wrote into a file": (b"null", ".jpg"),
    "a link": (b"https://example.com/pictures/of/cats/that/nobody/has/downloaded/yet.png", ".png"),
    "base64 of a picture": (b"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ", ".png"),
    "a document of Word": (b"PK\x03\x04\x14\0\6\0", ".docx"),
    "a picture in a program's archive": (gzip.compress(b"\x89PNG"), ".png"),
}


@pytest.mark.parametrize("name", NO_UPLOADS)
def test_what_is_certainly_no_media_is_not_uploaded(name: str) -> None:
    """The service takes any bytes, and the task that cannot read them is paid for."""
    content, suffix = NO_UPLOADS[name]
    assert no_upload(content[:HEAD], suffix) is not None


@pytest.mark.parametrize("media", MEDIA)
@pytest.mark.parametrize("suffix", ["", ".png", ".bin", ".txt"])
def test_media_are_uploaded_whatever_their_names(media: str, suffix: str) -> None:
    """A picture of a camera may have any name; bytes that nobody knows may be of a format of tomorrow."""
    assert no_upload(MEDIA[media][:HEAD], suffix) is None
    assert no_upload(b"\1\2\3\4" * 100, suffix) is None


@pytest.mark.parametrize(
    ("kind", "media"),
    [
        *(("video/x-new", True), ("audio/x-new", True), ("image/x-new", True)),
        *(("application/octet-stream", False), ("application/wasm", False), ("text/plain", False), ("", False)),
    ],
)
def test_bytes_that_nobody_knows_are_media_where_their_host_says_so(kind: str, media: bool) -> None:
    """Not every format is known here."""
    assert (no_media(b"\1\2\3\4" * 100, kind) is None) is media


def test_bytes_that_only_begin_like_utf_16_are_no_text() -> None:
    """Their host may know what they are."""
    assert no_media(b"\xff\xfe\0\xdc" * 10, "video/x-new") is None


def _read(content: bytes, place: int, most: int) -> bytes:
    return content[place : place + most]


def _incomplete(content: bytes) -> str | None:
    return incomplete(lambda place, most: _read(content, place, most), len(content))


def _box(name: bytes, content: bytes = b"", *, length: int | None = None, large: bool = False) -> bytes:
    length = len(content) + (16 if large else 8) if length is None else length
    head = (1 if large else length).to_bytes(4, "big") + name
    return head + (length.to_bytes(8, "big") if large else b"") + content


START = _box(b"ftyp", b"mp42\0\0\0\0")
WHOLE = {
    "index first": START + _box(b"moov") + _box(b"mdat", b"video"),
    "index last": START + _box(b"mdat", b"video") + _box(b"moov"),
    "in fragments": START + _box(b"moov") + 3 * (_box(b"moof") + _box(b"mdat", b"video")) + _box(b"mfra"),
    "a large box": START + _box(b"mdat", b"video", large=True) + _box(b"moov"),
    "a box up to the end": START + _box(b"moov") + _box(b"mdat", b"video", length=0),
    "padded with zeros": START + _box(b"moov") + _box(b"mdat", b"video") + bytes(1000),
    "padded with few zeros": START + _box(b"moov") + _box(b"mdat", b"video") + bytes(3),
    "a picture": _box(b"ftyp", b"avif") + _box(b"meta") + _box(b"mdat", b"picture"),
    "a real one": stored_video(),
    "no MP4 at all": b"\x1aE\xdf\xa3" + bytes(100),
    "nothing": b"",
}


@pytest.mark.parametrize("name", WHOLE)
def test_an_mp4_that_is_whole_is_known(name: str) -> None:
    """Its boxes end with the file."""
    assert _incomplete(WHOLE[name]) is None


@pytest.mark.parametrize("name", ["index first", "index last", "a large box", "a picture", "a real one"])
def test_an_mp4_whose_end_is_missing_is_known(name: str) -> None:
    """Wherever it was cut, also right between two boxes."""
    whole = WHOLE[name]
    cuts = range(8, len(whole)) if len(whole) < 1000 else [9, 100, len(whole) // 2, len(whole) - 1]

    assert [cut for cut in cuts if _incomplete(whole[:cut]) is None] == []


@pytest.mark.parametrize(
    "bad",
    [
        START + _box(b"moov") + _box(b"mdat", b"video") + b"x",
        START + _box(b"moov") + _box(b"mdat", b"video") + b"\0\0\0\5mdat",
        START + _box(b"moov") + _box(b"mdat", b"video", length=1 << 40, large=True),
        START + _box(b"moov") + b"\0\0\0\1mdat\0\0",
        START + _box(b"moov") + b"\0\0\0\1mdat" + bytes(8),
        START,
    ],
)
def test_an_mp4_whose_boxes_do_not_fit_is_not_whole(bad: bytes) -> None:
    """Whatever is wrong with them."""
    assert _incomplete(bad) is not None


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading(content: bytes) -> None:
    """However wild they are."""
    assert _incomplete(START + content) != ""
    assert no_media(content, "video/mp4") != ""


def test_there_is_an_end_to_looking_at_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file that has them by the million."""
    monkeypatch.setattr(format_, "_MOST_BOXES", 5)
    assert _incomplete(START + _box(b"moov") + _box(b"mdat", b"video") * 10 + b"cut") is None


def test_ten_thousand_boxes_are_looked_at_in_a_moment() -> None:
    """And there is an end to it."""
    assert _incomplete(START + _box(b"moov") + _box(b"mdat", b"video") * 10_000) is None
