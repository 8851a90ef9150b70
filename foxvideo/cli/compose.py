"""From the words of a command line to a request.

What belongs here: which model is meant, and what a value is. What must not: what a model accepts, which
``requests/`` checks.
"""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs
import click

from foxvideo._transfer.content import reading
from foxvideo.cli.streams import somebody_can_answer
from foxvideo.requests.generic import (
    GrokEditVideo,
    GrokImageToVideo,
    GrokReferenceToVideo,
    GrokTextToVideo,
    GrokVideoExtension,
    Request,
)
from foxvideo.requests.links import is_web_url, tidied
from foxvideo.requests.validation import show

# A prompt may speak of ``@Image1``, and of anything else in more than one word.
_OTHER_AT = re.compile(r"@(@|image\d+\b|\S*\s)", re.IGNORECASE)


@attrs.frozen(kw_only=True)
class Asked:
    """What the options of ``foxvideo generate`` ask for; None and empty where they were not given."""

    prompt: str | None = None
    images: Sequence[str] = ()
    references: Sequence[str] = ()
    video: str | None = None
    extend: bool = False
    model: str | None = None
    settings: Sequence[str] = ()
    duration: int | None = None
    aspect_ratio: str | None = None
    resolution: str | None = None

    def request(self) -> Request:
        """Return the request, not checked yet.

        Raises:
            click.UsageError: The options contradict each other, or a file is not there.
        """
        model, sources = (self.model, {}) if self.model else self._grok()
        if self.model and (self.images or self.references or self.video or self.extend):
            raise click.UsageError("with --model, name the field yourself: --set image_url=@cat.png")
        if self.prompt is None and not self.model:
            raise click.UsageError("Missing argument 'PROMPT'.")
        fields = {
            "prompt": None if self.prompt is None else prompt(self.prompt),
            **sources,
            "duration": self.duration,
            "aspect_ratio": self.aspect_ratio,
            "resolution": self.resolution,
        }
        given = {name: value for name, value in fields.items() if value is not None}
        return Request.from_mapping({"model": model, **_joined(given, self.settings)})

    def _grok(self) -> tuple[str, dict[str, object]]:
        """Choose one of the five Grok models by what is given."""
        pictures = [*self.images, *self.references]
        if self.video and pictures:
            raise click.UsageError("--video goes with neither --image nor --reference")
        if self.extend and not self.video:
            raise click.UsageError("--extend needs --video")
        if self.video:
            kind = GrokVideoExtension if self.extend else GrokEditVideo
            return kind.model, {"video_url": media("--video", self.video)}
        if self.references or len(pictures) > 1:
            links = [media("--image or --reference", picture) for picture in pictures]
            return GrokReferenceToVideo.model, {"reference_image_urls": links}
        if pictures:
            return GrokImageToVideo.model, {"image_url": media("--image", pictures[0])}
        return GrokTextToVideo.model, {}


def prompt(text: str) -> str:
    """Return the words of a prompt: ``-`` reads stdin, and ``@notes.txt`` a file, as elsewhere.

    Raises:
        click.UsageError: There is no such file, or no words come on stdin.
    """
    if text == "-":
        words = "" if somebody_can_answer() else sys.stdin.read().strip()
        if not words:
            raise click.UsageError("a prompt - comes on stdin, where nothing came")
        return words
    if not text.startswith("@") or _OTHER_AT.match(text):
        return text.removeprefix("@") if text.startswith("@@") else text
    try:
        with reading(text[1:]) as file:  # which waits for no pipe and reads no endless device
            return (file.read() or b"").decode().strip()
    except (OSError, ValueError) as error:
        raise click.UsageError(f"the prompt {text} names a file, which cannot be read: {error}") from None


def media(option: str, text: str) -> str | Path:
    """Return a URL as it is, and a file as a path, which is uploaded.

    Raises:
        click.UsageError: It is neither.
    """
    if is_web_url(link := tidied(text)):
        return link
    if Path(text).is_file():
        return Path(text)
    raise click.UsageError(f"{option}: {show(text)} is neither a file nor an http(s) URL")


def _joined(given: dict[str, object], settings: Iterable[str]) -> dict[str, object]:
    fields = dict(given)
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not name or not equals:
            raise click.UsageError(f"--set {setting!r}: must read field=value")
        if name in fields or name == "model":
            raise click.UsageError(f"--set {name}: is given already")
        fields[name] = value(text)
    return fields


def value(text: str) -> object:
    """Return what the value of ``--set`` means: JSON if it is any, else text; ``@path`` is a file to upload.

    >>> value("5"), value("true"), value("a fox"), value('["16:9"]'), value("@@Image1 dances")
    (5, True, 'a fox', ['16:9'], '@Image1 dances')

    Raises:
        click.UsageError: There is no such file.
    """
    try:
        return _with_files(json.loads(text))
    except ValueError:
        return _with_files(text)


def _with_files(item: object) -> object:
    match item:
        case str() if item.startswith("@@"):
            return item[1:]
        case str() if item.startswith("@"):
            if not Path(item[1:]).is_file():
                raise click.UsageError(f"--set: there is no file {item[1:]!r} (a text that begins with @ is @@...)")
            return Path(item[1:])
        case list():
            return [_with_files(each) for each in item]
        case dict():
            return {name: _with_files(each) for name, each in item.items()}
        case _:
            return item
