"""The video that the body of a submission describes: its first picture, shape and length, as a plain value.

Pure: a body in, a `Scene` out, and from a scene and the size of its picture the size of the video. How it is
drawn is `render.py`'s business.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, Final, Self

import attrs

from foxvideo import catalogue
from foxvideo.emulator import rules

FRAMES_PER_SECOND: Final = 24

_OWN_SIZE: Final = {"auto": (854, 480), "source": (1280, 1280)}
"""The resolutions that keep the source's own size, each with the pixels that it is scaled to fit.

`auto` is that of `grok-imagine-edit-video`, whose page gives the limit; `source` stands for the absent
resolution of the extension.
"""
_EDIT_SECONDS: Final = 8.0
"""An edited video is cut to this, says the same page."""
_DEFAULT_SECONDS: Final = 6.0
_LONGEST_SECONDS: Final = 30.0
_FLATTEST: Final = Fraction(4)
"""No video is wider or higher than this many times its other side, whatever the picture."""


@attrs.frozen(kw_only=True)
class Scene:
    """All that decides one video. Equal scenes have equal videos."""

    prompt: str = ""
    source: "bytes | Scene | None" = attrs.field(default=None, repr=False)
    """The picture or video to start from: the bytes of an upload, or the scene of an earlier result."""
    from_end: bool = False
    """Whether to start from the last frame of the source, not its first."""
    aspect: str = "auto"
    resolution: str = "720p"
    seconds: float | None = None
    """None means as long as the source, up to 8 seconds."""

    @classmethod
    def of(cls, body: Mapping[str, Any], source: "bytes | Scene | None") -> Self:
        """Return the scene that the body of a submission describes.

        Args:
            body: The decoded body; values that make no sense (`strict=False`) fall back to the usual ones.
            source: What its first media URL stands for, where the emulator has it.
        """
        model = body["model"]
        extension = model.endswith(("-extension", "-extend", "-extend-fast"))
        edit = model.endswith("-edit-video")
        return cls(
            prompt=str(body.get("prompt", "")),
            source=source,
            from_end=extension,
            aspect=str(body.get("size") or _given(body, "aspect_ratio", "auto" if edit or _follows(model) else "16:9")),
            resolution=str(_given(body, "resolution", "source" if extension else "720p")),
            seconds=None if edit else _seconds(_given(body, "duration", _DEFAULT_SECONDS)),
        )

    def length(self, source_seconds: float | None) -> int:
        """Return the number of frames of the video.

        Args:
            source_seconds: How long the source runs; None for a still picture or none at all.
        """
        seconds = self.seconds
        if seconds is None:
            seconds = min(source_seconds or _DEFAULT_SECONDS, _EDIT_SECONDS)
        return max(1, round(seconds * FRAMES_PER_SECOND))

    def size(self, picture: tuple[int, int] | None) -> tuple[int, int]:
        """Return width and height of the video in pixels, both even.

        Args:
            picture: Width and height of the source; None where there is none.
        """
        if self.resolution in _OWN_SIZE and picture is not None:
            return _fitted(picture, _OWN_SIZE[self.resolution])
        height = 480 if self.resolution in {"480p", "auto"} else 720
        if self.aspect == "auto" and picture is not None:
            return _even(height * _bounded(Fraction(*picture))), height
        ratio = _ratio(self.aspect)
        if ratio >= 1:
            return _even(height * ratio), height
        return height, _even(height / ratio)


def media_urls(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give the names and values of the fields that hold media URLs, nested ones too, in the order of the body."""
    for name, value in body.items():
        if name.endswith("_url") and name != "callback_url" and isinstance(value, str):
            yield name, value
        elif name.endswith("_urls") and isinstance(value, list):
            yield from ((name, item) for item in value if isinstance(item, str))
        elif isinstance(value, list):
            for item in value:
                yield from _nested(name, item)


def _nested(name: str, item: object) -> Iterator[tuple[str, str]]:
    if isinstance(item, dict):
        yield from media_urls({f"{name}.{inner}" if inner != "url" else f"{name}_url": item[inner] for inner in item})


def _follows(model_id: str) -> bool:
    """Whether a video of this model has the shape of its picture, since no field sets another."""
    model = catalogue.find(model_id)
    return model is not None and not {"aspect_ratio", "size"} & model.parameters.keys()


def _given(body: Mapping[str, Any], field: str, otherwise: object) -> object:
    fallback = rules.default(body["model"], field)
    return body.get(field, otherwise if fallback is None else fallback)


def _seconds(wanted: object) -> float:
    if isinstance(wanted, int | float) and 0 < wanted <= _LONGEST_SECONDS:
        return float(wanted)
    return _DEFAULT_SECONDS


def _ratio(aspect: str) -> Fraction:
    width, _, height = aspect.partition(":")
    if width.isdecimal() and height.isdecimal() and int(width) and int(height):
        return _bounded(Fraction(int(width), int(height)))
    return Fraction(16, 9)


def _bounded(ratio: Fraction) -> Fraction:
    return min(max(ratio, 1 / _FLATTEST), _FLATTEST)


def _fitted(picture: tuple[int, int], limit: tuple[int, int]) -> tuple[int, int]:
    shrink = min(Fraction(1), *(Fraction(most, side) for most, side in zip(limit, picture, strict=True)))
    return _even(picture[0] * shrink), _even(picture[1] * shrink)


def _even(pixels: Fraction) -> int:
    return max(2, 2 * round(pixels / 2))
