"""How the fields of one submission must fit together: the second half of the emulator's own checker.

Written from the pages a second time; https://docs.foxapi.cc/pages/en/api-manual/video-series/ has them. A body in,
lines out; what is of a wrong type has been said by `rules.py` and only must not hurt here.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from foxvideo.catalogue import Model

_WANTED_PICTURES: Final = {"text-to-video": [0], "image-to-video": [1], "first-last-frame": [2]}
_REFERENCES: Final = {"veo-3.1": [1, 2, 3], "veo-3.1-fast": [1, 2, 3], "vidu-q3-pro": [1, 2, 3, 4]}
_PRIVATE: Final = re.compile(
    r"(127|10)(\.\d+){3}|192\.168(\.\d+){2}|172\.(1[6-9]|2\d|3[01])(\.\d+){2}|169\.254(\.\d+){2}|0\.0\.0\.0"
    r"|localhost|\[(::1?|f[cd].*|fe[89ab].*)\]",
    re.IGNORECASE,
)


def faults(model: Model, body: Mapping[str, Any]) -> Iterator[str]:
    """Say what is wrong between the fields of a body."""
    # An absent field has its documented default.
    full: dict[str, Any] = {name: parameter.default for name, parameter in model.parameters.items()}
    full |= body
    family = model.family
    if model.legacy:
        yield from _callback(body)
    elif family == "veo-3.1":
        yield from _veo(model.id, full)
    elif family == "vidu-q3" and "generation_type" in model.parameters:
        yield from _pictures(model.id, full)
    elif family == "wan-2.7" and "generation_type" in model.parameters:
        yield from _wan(full)
    elif family.startswith("kling-"):
        yield from _kling(model, full)
    elif family.startswith("seedance-2"):
        yield from _seedance(model, full)
    elif model.id == "live-avatar" and isinstance(full["frames_per_clip"], int) and full["frames_per_clip"] % 4 != 0:
        yield "frames_per_clip: must be a multiple of 4"


def _size(value: object) -> int:
    return len(value) if isinstance(value, list) else 0


def _callback(body: Mapping[str, Any]) -> Iterator[str]:
    url = body.get("callback_url")
    if not isinstance(url, str):
        return
    parts = re.fullmatch(r"https://([^/?#@]*@)?(\[[^\]]*\]|[^/?#:@]+)(:\d*)?([/?#].*)?", url, re.IGNORECASE | re.DOTALL)
    if parts is None or _PRIVATE.fullmatch(parts[2]):
        yield "callback_url: must be https and public"


def _veo(model_id: str, full: Mapping[str, Any]) -> Iterator[str]:
    if "-lite" in model_id and full["resolution"] == "1080p" and full["duration"] != 8:  # noqa: PLR2004
        yield "duration: must be 8 at 1080p"
    if "generation_type" not in full:
        return
    yield from _pictures(model_id, full)
    if full["generation_type"] == "reference-to-video":
        if full["duration"] != 8:  # noqa: PLR2004
            yield "duration: must be 8 for reference-to-video"
    elif full.get("reference_type") is not None:
        yield "reference_type: is for reference-to-video only"


def _pictures(model_id: str, full: Mapping[str, Any]) -> Iterator[str]:
    wanted = _WANTED_PICTURES | {"reference-to-video": _REFERENCES.get(model_id, [])}
    mode = full["generation_type"]
    if isinstance(mode, str) and mode in wanted and _size(full["image_urls"]) not in wanted[mode]:
        yield f"image_urls: wrong number for {mode}"


def _wan(full: Mapping[str, Any]) -> Iterator[str]:
    pictures, video = _size(full["image_urls"]), full["video_url"] is not None
    if pictures and video:
        yield "video_url: cannot be combined with image_urls"
    match full["generation_type"]:
        case "image-to-video" if pictures != 1:
            yield "image_urls: image-to-video needs one"
        case "first-last-frame" if pictures != 2:  # noqa: PLR2004
            yield "image_urls: first-last-frame needs two"
        case "video-continuation" if pictures or not video:
            yield "video_url: video-continuation needs it, and no image_urls"


def _kling(model: Model, full: Mapping[str, Any]) -> Iterator[str]:
    if model.kind in {"video-edit", "video-reference"} and _size(full["image_urls"]) + _size(full["elements"]) > 4:  # noqa: PLR2004
        yield "image_urls: at most 4 together with elements"
    if _size(full.get("voice_ids")) > 0 and full["generate_audio"] is not True:
        yield "voice_ids: need generate_audio=true"
    if "multi_prompt" not in full:
        return
    shots = full["multi_prompt"]
    words = full["prompt"] not in (None, "") and not str(full["prompt"]).isspace()
    if not words and _size(shots) == 0:
        yield "prompt: is needed where there is no multi_prompt"
    if model.family == "kling-o3" and words and _size(shots) > 0:
        yield "multi_prompt: cannot be combined with prompt"
    lengths: list[Any] = (
        [shot.get("duration") for shot in shots if isinstance(shot, dict)] if isinstance(shots, list) else []
    )
    complete = lengths and len(lengths) == len(shots) and all(type(length) is int for length in lengths)
    if complete and full["duration"] is not None and sum(lengths) != full["duration"]:
        yield "multi_prompt: durations must add up to duration"


def _seedance(model: Model, full: Mapping[str, Any]) -> Iterator[str]:
    newer = model.family == "seedance-2.5"
    if newer and full["resolution"] == "1080p" and full["duration"] not in (None, 5, 10, 30):
        yield "duration: must be 5, 10 or 30 at 1080p"
    if model.kind != "reference-to-video":
        return
    pictures, videos, sounds = (_size(full[name]) for name in ("image_urls", "video_urls", "audio_urls"))
    if pictures + videos + sounds == 0:
        yield "image_urls: at least one reference is required"
    elif not newer and pictures + videos + sounds > 12:  # noqa: PLR2004
        yield "image_urls: at most 12 references in all"
    elif not newer and pictures + videos == 0:
        yield "audio_urls: cannot be used alone"
