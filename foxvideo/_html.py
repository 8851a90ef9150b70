"""How a notebook shows a video: a player for its file or its link."""

from html import escape
from pathlib import Path, PurePosixPath
from urllib.parse import quote, urlsplit

from foxvideo.media import SavedFile

_WIDTH = 480  # pixels
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp"})
_SOUNDS = frozenset({".mp3", ".wav", ".m4a", ".ogg", ".flac", ".aac"})


def player(file: SavedFile | None, url: str | None, facts: tuple[str, ...]) -> str:
    """Return the HTML of a player, with a line below it.

    Args:
        file: Where the video was saved; None where it was not.
        url: Its link; None where it has none.
        facts: What the line says.
    """
    # A notebook can play what lies beside it or below, and no other file of the disk.
    path = None if file is None or not file.path.exists() else file.path
    local = None if path is None else _beside(path)
    source = local or (url if url is not None and urlsplit(url).scheme in {"http", "https"} else None)
    below = [*facts, *([f"saved as {path}"] if path is not None else [])]
    line = f"<figcaption>{escape(' · '.join(below))}</figcaption>"
    return f'<figure style="margin: 0">{"" if source is None else _element(source)}{line}</figure>'


def _beside(path: Path) -> str | None:
    try:
        return quote(path.absolute().relative_to(Path.cwd()).as_posix())
    except ValueError:
        return None


def _element(source: str) -> str:
    suffix, link = PurePosixPath(urlsplit(source).path).suffix.lower(), escape(source, quote=True)
    if suffix in _PICTURES:
        return f'<img src="{link}" width="{_WIDTH}">'
    if suffix in _SOUNDS:
        return f'<audio src="{link}" controls preload="metadata"></audio>'
    return f'<video src="{link}" controls preload="metadata" width="{_WIDTH}"></video>'
