"""From what a line says to a request, and to the key that its content gives it.

What belongs here: models, values, local files, keys. What must not: formats (``reading.py``), and what a model accepts
(``requests/``).
"""

import functools
import hashlib
import json
import sqlite3
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from foxvideo import catalogue
from foxvideo._wire.decode import encode
from foxvideo.errors import FieldFault, InvalidRequest, UploadError
from foxvideo.requests.generic import (
    GrokEditVideo,
    GrokImageToVideo,
    GrokReferenceToVideo,
    GrokTextToVideo,
    Request,
    VideoRequest,
    check,
    media_of,
)
from foxvideo.requests.validation import invalid, is_web_url, show

TALLY = "CREATE TABLE seen (digest INTEGER PRIMARY KEY, times INTEGER NOT NULL)"
_COUNT = "INSERT INTO seen VALUES (?, 1) ON CONFLICT DO UPDATE SET times = times + 1 RETURNING times"
_KEY_BYTES = 8  # among a million rows, two different ones share a key with a chance of 1 in 37 million
_DIGESTS = 4096  # of files, so that one picture in many rows is read once
_MODELS = 256  # whose fields are kept at hand
_TEXTS = {"model", "prompt", "negative_prompt", "text", "name"}  # stay texts where nothing is known of the model
_BY_SOURCE = {
    "reference_image_urls": GrokReferenceToVideo.model,
    "image_url": GrokImageToVideo.model,
    "video_url": GrokEditVideo.model,
}


@attrs.frozen
class Row:
    """One row of a manifest, checked.

    Attributes:
        number: Its place among the rows, from 1.
        line: The line on which it begins, from 1; None where there is no file.
        key: What its content is called; a second row of the same content has ``#2`` behind it.
        request: What it asks for.
    """

    number: int
    line: int | None
    key: str
    request: VideoRequest


@attrs.frozen
class BadRow:
    """One row that cannot be sent.

    Attributes:
        number: Its place among the rows, from 1.
        line: The line on which it begins, from 1; None where there is no file.
        faults: What is wrong with it.
    """

    number: int
    line: int | None
    faults: tuple[str, ...]

    @classmethod
    def of(cls, number: int, line: int | None, error: InvalidRequest | UploadError) -> "BadRow":
        """Return the row that an error is about."""
        faults = error.faults if isinstance(error, InvalidRequest) else ()
        return cls(number, line, tuple(map(str, faults)) or (error.what,))


@attrs.frozen
class Composer:
    """Makes requests of fields.

    Attributes:
        folder: What local files are relative to.
        defaults: Fields of rows that lack them, as cells of a CSV.
        documented: Whether fields are checked against the documentation.
    """

    folder: Path
    defaults: Mapping[str, str] = attrs.field(factory=dict)
    documented: bool = True

    def request(self, given: Mapping[str, object], *, cells: bool) -> Request:
        """Return the request of a line, checked.

        Args:
            given: The fields; None, empty texts and empty lists are as if they were not there.
            cells: Whether all values are texts that stand for others, as in a CSV.

        Raises:
            InvalidRequest: With all its faults.
        """
        fields = {name: value for name, value in given.items() if value not in (None, "", [])}
        lacking = {name: value for name, value in self.defaults.items() if name not in fields}
        model = fields.get("model") or lacking.get("model") or _model(fields | lacking)
        kinds = _kinds(model) if isinstance(model, str) else {}
        texts = (fields | lacking) if cells else lacking
        values: dict[str, Any] = fields | {name: _value(name, str(text), kinds) for name, text in texts.items()}
        faults: list[FieldFault] = []
        named = {name: self._media(name, name, value, kinds, faults) for name, value in values.items()}
        request = Request.from_mapping(named | {"model": model})
        try:
            check(request, documented=self.documented)
        except InvalidRequest as error:
            faults += error.faults
        if faults:
            raise invalid(request.model, tuple(faults))
        return request

    def _media(self, path: str, name: str, value: object, kinds: Mapping[str, str], faults: list[FieldFault]) -> object:
        """Replace what names a local file by its path, at any depth."""
        match value:
            case str() if _is_media(name, kinds) and not is_web_url(value) and not value.startswith("data:"):
                file = self.folder / value
                if not _is_file(file):
                    allowed = "an http(s) URL, or a file that is not empty, relative to the manifest"
                    faults.append(FieldFault(path, show(value), allowed))
                return file
            case list():
                return [self._media(f"{path}[{index}]", name, item, kinds, faults) for index, item in enumerate(value)]
            case dict():
                return {inner: self._media(f"{path}.{inner}", inner, item, {}, faults) for inner, item in value.items()}
            case _:
                return value


def _model(fields: Mapping[str, object]) -> str:
    """Choose one of the Grok models by what is given."""
    return next((model for name, model in _BY_SOURCE.items() if name in fields), GrokTextToVideo.model)


@functools.lru_cache(_MODELS)
def _kinds(model: str) -> Mapping[str, str]:
    """Return what the fields of a model are, as far as that is documented: ``text``, ``media list``, ..."""
    known = catalogue.find(model)
    return {name: parameter.type for name, parameter in known.parameters.items()} if known else {}


def _value(name: str, text: str, kinds: Mapping[str, str]) -> object:
    """Return what a text stands for: what its field takes, else JSON if it is any."""
    kind = kinds.get(name, "text" if name in _TEXTS else "")
    if kind in {"text", "media"}:
        return text
    if kind in {"text list", "media list"} and not text.lstrip().startswith("["):
        return [item.strip() for item in text.split(";") if item.strip()]
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _is_media(name: str, kinds: Mapping[str, str]) -> bool:
    if name in kinds:
        return kinds[name] in {"media", "media list"}
    return name in {"url", "urls"} or name.endswith(("_url", "_urls"))


def _is_file(path: Path) -> bool:
    try:
        found = path.stat()
    except (OSError, ValueError):  # not there, not ours to see, or a null byte
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size > 0


# --- Keys --------------------------------------------------------------------------------------------------------


@attrs.frozen
class Keys:
    """Names requests by their content, and counts those that are the same.

    Attributes:
        tally: A table of the schema ``TALLY``.
    """

    tally: sqlite3.Connection

    def key(self, request: VideoRequest) -> str:
        """Return the key of the next row that asks for this.

        Raises:
            UploadError: A local file cannot be read.
        """
        digest = _digest(request)
        number = int.from_bytes(digest, signed=True)
        ((times,),) = self.tally.execute(_COUNT, (number,)).fetchall()
        return digest.hex() if times == 1 else f"{digest.hex()}#{times}"


def _digest(request: VideoRequest) -> bytes:
    contents = {place: f"sha256:{_sha256(media)}" for place, media in media_of(request).items()}
    return hashlib.sha256(encode(request, contents)).digest()[:_KEY_BYTES]


def _sha256(media: Any) -> str:  # noqa: ANN401 - LocalMedia
    if isinstance(media, bytes):
        return hashlib.sha256(media).hexdigest()
    try:
        found = Path(media).stat()
        return _file_sha256(Path(media), found.st_mtime_ns, found.st_size)
    except (OSError, ValueError) as error:
        raise UploadError(
            f"could not read {str(media)!r}: {getattr(error, 'strerror', None) or error}", submitted="no"
        ) from error


@functools.lru_cache(_DIGESTS)
def _file_sha256(path: Path, changed: int, size: int) -> str:  # noqa: ARG001 - another time, another content
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def rows_of(items: Iterator[tuple[int | None, VideoRequest | InvalidRequest]], keys: Keys) -> Iterator[Row | BadRow]:
    """Number requests, and give them their keys."""
    for number, (line, request) in enumerate(items, 1):
        if isinstance(request, InvalidRequest):
            yield BadRow.of(number, line, request)
            continue
        try:
            yield Row(number, line, keys.key(request), request)
        except UploadError as error:
            yield BadRow.of(number, line, error)
