"""From outcomes to a page.

What belongs here: what the template is given. What must not: HTML (``sheet.html``), and where a bar begins
(``timeline.py``).
"""

import base64
import datetime as dt
import hashlib
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from urllib.parse import quote

import attrs
import jinja2

from foxvideo._transfer.content import reading
from foxvideo._transfer.target import looked_at
from foxvideo.batch.results import Ending, Outcome, read_results
from foxvideo.sheet.timeline import Timeline, clock, timeline

PAGE = "index.html"
_MADE_BY = b'<meta name="generator" content="foxvideo">'
_HEAD = 1024  # bytes, among which it stands


@attrs.frozen
class Card:
    """One row as the page shows it.

    Attributes:
        outcome: What is known of it.
        href: Its video as a link; None where there is none.
        reason: Why there is no video; empty where there is one.
    """

    outcome: Outcome
    href: str | None
    reason: str

    @classmethod
    def of(cls, outcome: Outcome, folder: Path) -> "Card":
        """Return the card of an outcome."""
        if outcome.file is None:
            return cls(outcome, None, outcome.error or f"no video: {outcome.status}")
        if not (folder / outcome.file).is_file():
            return cls(outcome, None, f"{outcome.file} is not in the folder any more")
        return cls(outcome, quote(f"./{Path(outcome.file).as_posix()}", errors="surrogateescape"), "")


@attrs.frozen
class Summary:
    """The sums of a page."""

    counts: Sequence[tuple[str, int]]
    models: Sequence[str]
    credits: float | None
    megabytes: float
    video_seconds: float
    made: str

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> "Summary":
        """Add up."""
        found = Counter(outcome.status for outcome in outcomes)
        told = [outcome.credits_reserved for outcome in outcomes if outcome.credits_reserved is not None]
        ends = [outcome.saved or outcome.ended for outcome in outcomes if outcome.saved or outcome.ended]
        return cls(
            counts=[(ending.value, found[ending]) for ending in Ending if found[ending]],
            models=sorted({outcome.model for outcome in outcomes if outcome.model}),
            credits=sum(told) if told else None,
            megabytes=sum(outcome.bytes or 0 for outcome in outcomes) / 1e6,
            video_seconds=sum(outcome.duration or 0 for outcome in outcomes if outcome.file),
            made=_day(max(filter(None, ends), default=None)),
        )


def _day(seconds: float | None) -> str:
    return "" if seconds is None else f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%d %H:%M} UTC"


def render(outcomes: Iterable[Outcome], folder: Path) -> str:
    """Return the page of some outcomes.

    Args:
        outcomes: In the order in which they are shown at first.
        folder: Where their videos lie, and where the page will lie.
    """
    shown = tuple(outcomes)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("foxvideo.sheet", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clock"] = clock
    style, script = _text("sheet.css"), _text("sheet.js")
    times: Timeline | None = timeline(shown)
    return environment.get_template("sheet.html").render(
        title=folder.resolve().name,
        cards=[Card.of(outcome, folder) for outcome in shown],
        summary=Summary.of(shown),
        timeline=times,
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def write_sheet(folder: Path) -> Path:
    """Write ``index.html`` into the folder of a batch, which shows its ``results.jsonl``.

    Returns:
        The page.

    Raises:
        FileExistsError: What lies there is no sheet, and is kept.
        OSError: There is no ``results.jsonl``, or the disk said no.
    """
    text = render(read_results(folder), folder)
    page = folder / PAGE
    if looked_at(page) and not _is_sheet(page):
        raise FileExistsError(f"{page} exists, and is no sheet of foxvideo: move it away")
    part = folder / f".{PAGE}.{secrets.token_hex(4)}.part"
    try:
        # A lone surrogate, which JSON can hold, has no UTF-8.
        part.write_text(text, encoding="utf-8", errors="replace", newline="\n")
        part.replace(page)
    finally:
        part.unlink(missing_ok=True)
    return page


def _is_sheet(page: Path) -> bool:
    with reading(page) as file:
        return _MADE_BY in (file.read(_HEAD) or b"")


def _text(name: str) -> str:
    return resources.files("foxvideo.sheet").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return a text's name in a Content-Security-Policy: https://www.w3.org/TR/CSP3/#grammardef-hash-source."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
