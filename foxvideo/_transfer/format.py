"""What the bytes of a file say that it is: media or something else, and whether an MP4 is whole. Pure functions.

A host may answer 200 with a refusal, a sign-in page or nothing at all, under any media type, so its word is not enough;
and where it tells no length, only the structure of the file shows that its end is missing.
"""

import codecs
import functools
import mimetypes
import re
from collections.abc import Callable

HEAD = 512  # bytes that are enough to tell

_CONTROL = frozenset(range(32)) - frozenset(b"\t\n\v\f\r\x1b") | {127}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")  # how such a text begins
_BLANK, _MARKUP = b"\0\t\r\n \xef\xbb\xbf", b"<{["
_MEDIA = (
    b"\x1aE\xdf\xa3",  # WebM, Matroska
    b"OggS",
    b"fLaC",
    b"ID3",
    b"FLV\x01",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # Windows Media
    b"\0\0\x01\xba",  # MPEG program stream
    b"\0\0\x01\xb3",  # MPEG video
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",  # JPEG
    b"GIF87a",
    b"GIF89a",
    b"BM",
    b"II*\0",  # TIFF
    b"MM\0*",
    b"\0\0\0\x0cJXL ",
    b"\xff\x0a",  # JPEG XL
    b"MThd",
)
_RIFF = (b"AVI ", b"WAVE", b"WEBP")
# Boxes that a file of https://developer.apple.com/documentation/quicktime-file-format may begin with.
_BOXES = (b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"pnot")
_OTHER = (
    b"\x1f\x8b",  # gzip
    b"PK\x03\x04",  # ZIP
    b"PK\x05\x06",
    b"%PDF",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!",
    b"BZh",
    b"\xfd7zXZ",
    b"\x28\xb5\x2f\xfd",  # Zstandard
    b"\x7fELF",
)
_KINDS = ("video/", "audio/", "image/")
_TEXT = "text or a page"
_FEW_WORDS = re.compile(rb"\w{1,20}( \w{1,20}){0,2}")
_REFUSALS = re.compile(
    rb"error|denied|forbidden|found|expired|unauthori|invalid|null|none|undefined|many|limit|unavailable|gateway|bad",
    re.IGNORECASE,
)
_TS_PACKET = 188
_MPEG_SYNC = 0xE0
_SHORTEST_BOX, _LONGEST_HEADER = 8, 16
_MOST_BOXES = 100_000  # more would only be looked at for nothing


@functools.cache
def types() -> mimetypes.MimeTypes:
    """Return Python's own table of media types: with what a system adds, machines would name a video differently."""
    return mimetypes.MimeTypes()


def no_media(head: bytes, kind: str) -> str | None:
    """Say what a file is that is no video, sound or picture; None where it may be one.

    Args:
        head: Its first ``HEAD`` bytes, fewer where it has no more.
        kind: The media type that its host tells, in lower case; empty for none. Bytes that are media are, whatever the
            host calls them; bytes that nobody knows are where the host says so.
    """
    if not head:
        return "empty"
    if not any(head):
        return "nothing but zeros"
    if _is_text(head):
        return _TEXT
    if _is_media(head):
        return None
    if head.startswith(_OTHER) or head.lstrip(_BLANK)[:1] in _MARKUP:
        return "an archive, a document or a program"
    return None if kind.startswith(_KINDS) else kind or "something without a type"


def no_upload(head: bytes, suffix: str) -> str | None:
    """Say what a local file is that is certainly no media, so that a task which is given it would be paid for in vain.

    Args:
        head: Its first ``HEAD`` bytes, fewer where it has no more.
        suffix: Of its name, with the dot; empty where there is none.
    """
    what = no_media(head, "image/")
    if what != _TEXT:
        return what
    named = (types().guess_type(f"x{suffix}")[0] or "image/").startswith(_KINDS)
    # Three words on one line are no picture either, but they say too little to be called something else.
    unclear = named and _FEW_WORDS.fullmatch(head) is not None and not _REFUSALS.search(head)
    return None if unclear else what


def _is_text(head: bytes) -> bool:
    """Whether bytes are words of any language and encoding: no media has hundreds without a control character."""
    if not head.startswith(_UTF16):
        return not _CONTROL.intersection(head)
    try:
        words = codecs.getincrementaldecoder("utf-16")().decode(head)
    except UnicodeDecodeError:
        return False
    return not _CONTROL.intersection(map(ord, words))


def _is_media(head: bytes) -> bool:
    return (
        head.startswith(_MEDIA)
        or head[4:8] in _BOXES
        or (head.startswith(b"RIFF") and head[8:12] in _RIFF)
        or (head.startswith(b"FORM") and head[8:12] in {b"AIFF", b"AIFC"})
        or (head[:1] == b"G" and head[_TS_PACKET : _TS_PACKET + 1] == b"G")  # MPEG transport stream
        or (head[:1] == b"\xff" and _MPEG_SYNC <= ord(head[1:2] or b"\0") < ord("\xff"))  # MP3, AAC
    )


def incomplete(read: Callable[[int, int], bytes], size: int) -> str | None:
    """Say what is missing of an MP4; None for nothing, and for any other file.

    Its boxes follow one another to the last byte (ISO/IEC 14496-12, section 4.2); the last one may say 0: up to the
    end. Only their headers are read.

    Args:
        read: Returns as many bytes from a place as there are, at most as many as asked for.
        size: The bytes of the file.
    """
    if read(4, 4) != b"ftyp":
        return None
    place, seen = 0, set[bytes]()
    for _ in range(_MOST_BOXES):
        if place == size:
            break
        header = read(place, _LONGEST_HEADER)
        length = int.from_bytes(header[:4], "big")
        if length == 1:  # it stands behind the name; where that is cut off, it is beyond the end in any case
            length = int.from_bytes(header[8:].ljust(8, b"\xff"), "big") or 1
        end = place + length if length else size
        cut = len(header) < _SHORTEST_BOX and any(header)  # some pad a file with zeros
        if cut or 0 < length < _SHORTEST_BOX or end > size:
            return f"the MP4 breaks off in its box at byte {place}"
        seen.add(header[4:8])
        place = end
    # The end may be missing right between two boxes. The index of a picture is ``meta``.
    return None if b"mdat" in seen and seen & {b"moov", b"meta"} else "the MP4 lacks its data or its index"
