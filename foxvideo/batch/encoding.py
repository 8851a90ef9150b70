"""From the bytes of a manifest to its text: encodings, and files that are no manifest at all, each with its cure.

One cause is said once, and not by every row.
"""

import codecs

from foxvideo.errors import InvalidRequest

_CSV = "save it as CSV in UTF-8"
_NONE = {
    b"PK\x03\x04": f"a workbook (xlsx, ods, numbers) or another archive: {_CSV}",
    b"\xd0\xcf\x11\xe0": f"a workbook of old (xls): {_CSV}",
    b"PAR1": f"Parquet: {_CSV}",
    b"%PDF": f"a PDF: {_CSV}",
    b"\x1f\x8b": "compressed: unpack it first",
    b"SQLite format 3": "a database; name the table of rows, as CSV or JSON Lines",
    b"{\\rtf": f"a document (RTF): {_CSV}",
    b"\x89PNG": "a picture; name the table of rows, as CSV or JSON Lines",
    b"\xff\xd8\xff": "a picture; name the table of rows, as CSV or JSON Lines",
}
_PAGES = (b"<!doctype", b"<html", b"<?xml")
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_UTF32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_HEAD = 512


def text_of(content: bytes) -> str:
    """Return the text of a manifest; what is no text in it becomes lone surrogates, so that only its row is bad.

    UTF-8 is expected; UTF-16 is read where a mark says so, as Excel's "Unicode text" has one.

    Raises:
        InvalidRequest: It is no text at all.
    """
    head = content[:_HEAD]
    what = next((what for begins, what in _NONE.items() if head.startswith(begins)), None)
    if what is None and head.lstrip().lower().startswith(_PAGES):
        what = f"a web page or XML: {_CSV}"
    if what is None and content.startswith(_UTF32):
        what = f"UTF-32: {_CSV}"
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    if what is None and encoding != "utf-16" and b"\0" in head:
        what = f"UTF-16 without a mark, or no text at all: {_CSV}"
    if what is not None:
        raise InvalidRequest(f"the manifest is {what}", submitted="no")
    if encoding == "utf-16":
        return content.decode(encoding, errors="replace").replace("\ufffd", "\udcff")
    return content.decode(encoding, errors="surrogateescape")
