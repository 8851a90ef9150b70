"""What the fields of one request must be to each other, model by model.

What belongs here: rules of the documentation about more than one field, or about more than a range, each with its
page. What must not: the range of a field (``catalogue/models.json``).

Page names are below https://docs.foxapi.cc/pages/en/api-manual/video-series/. A rule takes what was given, completed
by the defaults that the page prints, and never fails: what is of a wrong type is said elsewhere.
"""

import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from foxvideo.catalogue.model import Model
from foxvideo.errors import FieldFault
from foxvideo.requests.validation import documented, show

Fields = Mapping[str, object]
Rule = Callable[[Fields], Iterator[FieldFault]]

_MODES = {
    "text-to-video": (0, 0),
    "image-to-video": (1, 1),
    "first-last-frame": (2, 2),
}
_VEO_MODES = _MODES | {"reference-to-video": (1, 3)}
_VIDU_MODES = _MODES | {"reference-to-video": (1, 4)}
_WAN_MODES = {"image-to-video": (1, 1), "first-last-frame": (2, 2), "video-continuation": (0, 0)}
_MOST_SUBJECTS = 4
_MOST_REFERENCES = 12
_FRAMES = 4


def related(model: Model, fields: Fields) -> Iterator[FieldFault]:
    """Find what is wrong between the fields of a request.

    Args:
        model: What is documented about its model.
        fields: What was given, without None.
    """
    defaults = {name: parameter.default for name, parameter in model.parameters.items()}
    complete = {name: value for name, value in defaults.items() if value is not None} | dict(fields)
    for rule in RULES.get(model.id, _LEGACY if model.legacy else ()):
        yield from rule(complete)


def _count(fields: Fields, *names: str) -> int:
    lists = (fields.get(name) for name in names)
    return sum(len(items) for items in lists if isinstance(items, list | tuple))


def _seconds_of_1080p(*seconds: int) -> Rule:
    """Return the rule that 1080p has only these lengths."""
    allowed = ", ".join(map(str, seconds))

    def rule(fields: Fields) -> Iterator[FieldFault]:
        duration = fields.get("duration")
        if fields.get("resolution") == "1080p" and duration is not None and duration not in seconds:
            yield FieldFault("duration", show(duration), documented(f"{allowed} at resolution 1080p"))

    return rule


def _pictures(modes: Mapping[str, tuple[int, int]]) -> Rule:
    """Return the rule that each ``generation_type`` has its number of ``image_urls``."""

    def rule(fields: Fields) -> Iterator[FieldFault]:
        mode = fields.get("generation_type")
        low, high = modes.get(mode, (0, 99)) if isinstance(mode, str) else (0, 99)
        if not low <= (count := _count(fields, "image_urls")) <= high:
            number = str(low) if low == high else f"{low}-{high}"
            yield FieldFault(
                "image_urls", f"<{count} items>", documented(f"{number} items with generation_type {mode}")
            )

    return rule


def _references_last_8_s(fields: Fields) -> Iterator[FieldFault]:
    if fields.get("generation_type") == "reference-to-video" and fields.get("duration", 8) != 8:  # noqa: PLR2004
        yield FieldFault("duration", show(fields["duration"]), documented("8 with generation_type reference-to-video"))


def _reference_type_with_references(fields: Fields) -> Iterator[FieldFault]:
    if "reference_type" in fields and fields.get("generation_type") != "reference-to-video":
        yield FieldFault(
            "reference_type",
            show(fields["reference_type"]),
            documented("only with generation_type reference-to-video"),
        )


def _voices_need_audio(fields: Fields) -> Iterator[FieldFault]:
    if _count(fields, "voice_ids") and fields.get("generate_audio") is not True:
        yield FieldFault(
            "generate_audio", show(fields.get("generate_audio")), documented("true where there are voice_ids")
        )


def _shots_add_up(fields: Fields) -> Iterator[FieldFault]:
    shots, total = fields.get("multi_prompt"), fields.get("duration")
    if not isinstance(shots, Sequence) or not shots or total is None:
        return
    lengths: list[Any] = [shot.get("duration") if isinstance(shot, Mapping) else None for shot in shots]
    if all(isinstance(length, int) for length in lengths) and (added := sum(lengths)) != total:
        yield FieldFault("duration", show(total), documented(f"{added}, the sum of the durations in multi_prompt"))


def _has_prompt(fields: Fields) -> bool:
    prompt = fields.get("prompt")
    return bool(prompt.strip() if isinstance(prompt, str) else prompt)


def _prompt_or_shots(fields: Fields) -> Iterator[FieldFault]:
    if not _has_prompt(fields) and not fields.get("multi_prompt"):
        yield FieldFault("prompt", None, documented("prompt or multi_prompt"))


def _not_both_prompts(fields: Fields) -> Iterator[FieldFault]:
    if _has_prompt(fields) and fields.get("multi_prompt"):
        yield FieldFault("multi_prompt", "...", documented("either prompt or multi_prompt"))


def _few_subjects(fields: Fields) -> Iterator[FieldFault]:
    if (count := _count(fields, "image_urls", "elements")) > _MOST_SUBJECTS:
        allowed = f"at most {_MOST_SUBJECTS} items of image_urls and elements together"
        yield FieldFault("image_urls", f"<{count} items>", documented(allowed))


def _some_reference(fields: Fields) -> Iterator[FieldFault]:
    if not _count(fields, "image_urls", "video_urls", "audio_urls"):
        yield FieldFault("image_urls", None, documented("at least one of image_urls, video_urls and audio_urls"))


def _few_references(fields: Fields) -> Iterator[FieldFault]:
    if (count := _count(fields, "image_urls", "video_urls", "audio_urls")) > _MOST_REFERENCES:
        allowed = f"at most {_MOST_REFERENCES} items of image_urls, video_urls and audio_urls together"
        yield FieldFault("image_urls", f"<{count} items>", documented(allowed))


def _sound_beside_a_picture(fields: Fields) -> Iterator[FieldFault]:
    if _count(fields, "audio_urls") and not _count(fields, "image_urls", "video_urls"):
        yield FieldFault("audio_urls", "...", documented("only beside image_urls or video_urls"))


def _pictures_or_video(fields: Fields) -> Iterator[FieldFault]:
    video = "video_url" in fields
    if video and _count(fields, "image_urls"):
        yield FieldFault("video_url", show(fields["video_url"]), documented("not together with image_urls"))
    if not video and fields.get("generation_type") == "video-continuation":
        yield FieldFault("video_url", None, documented("needed with generation_type video-continuation"))


def _whole_blocks(fields: Fields) -> Iterator[FieldFault]:
    frames = fields.get("frames_per_clip")
    if isinstance(frames, int) and frames % _FRAMES:
        yield FieldFault("frames_per_clip", show(frames), documented(f"a multiple of {_FRAMES}"))


def _public_callback(fields: Fields) -> Iterator[FieldFault]:
    url = fields.get("callback_url")
    if isinstance(url, str) and not _is_public_https(url):
        yield FieldFault("callback_url", show(url), documented("an https URL, not of a private address"))


def _is_public_https(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    host = parts.hostname
    if parts.scheme != "https" or not host or host == "localhost":
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:  # a name
        return True


_KLING_V3: tuple[Rule, ...] = (_prompt_or_shots, _voices_need_audio, _shots_add_up)
_KLING_O3: tuple[Rule, ...] = (_prompt_or_shots, _not_both_prompts, _shots_add_up)
_SEEDANCE_2: tuple[Rule, ...] = (_some_reference, _few_references, _sound_beside_a_picture)
_LEGACY: tuple[Rule, ...] = (_public_callback,)  # veo3.1/veo-3.1-fast-generate-preview-generate

RULES: Mapping[str, tuple[Rule, ...]] = {
    "veo-3.1-lite-text-to-video": (_seconds_of_1080p(8),),  # veo3.1/veo-3.1-text-to-video
    "veo-3.1-lite-image-to-video": (_seconds_of_1080p(8),),  # veo3.1/veo-3.1-image-to-video
    "veo-3.1-lite-first-last-frame-to-video": (_seconds_of_1080p(8),),  # veo3.1/veo-3.1-first-last-frame-to-video
    # veo3.1/veo-3.1-fast
    "veo-3.1": (_pictures(_VEO_MODES), _references_last_8_s, _reference_type_with_references),
    "veo-3.1-fast": (_pictures(_VEO_MODES), _references_last_8_s),
    "veo-3.1-lite": (_pictures(_MODES), _seconds_of_1080p(8)),
    "kling-v3-text-to-video": _KLING_V3,  # kling/kling-v3-text-to-video
    "kling-v3-image-to-video": _KLING_V3,  # kling/kling-v3-image-to-video
    "kling-o3-text-to-video": _KLING_O3,  # kling/kling-o3-image-to-video
    "kling-o3-image-to-video": _KLING_O3,
    "kling-o3-reference-to-video": _KLING_O3,  # kling/kling-o3-reference-to-video
    "kling-o3-video-to-video-edit": (_few_subjects,),  # as the newer documentation, see their source
    "kling-o3-video-to-video-reference": (_few_subjects,),
    "seedance-2.0-reference-to-video": _SEEDANCE_2,  # seedance/seedance-2.0-reference-to-video
    "seedance-2.0-fast-reference-to-video": _SEEDANCE_2,
    "seedance-2.5-text-to-video": (_seconds_of_1080p(5, 10, 30),),  # as a live client has it, see their source
    "seedance-2.5-image-to-video": (_seconds_of_1080p(5, 10, 30),),
    "seedance-2.5-reference-to-video": (_seconds_of_1080p(5, 10, 30), _some_reference),
    "wan-2.7-image-to-video": (_pictures(_WAN_MODES), _pictures_or_video),  # wan2.7/wan-2.7-image-to-video
    "vidu-q3-pro": (_pictures(_VIDU_MODES),),  # vidu/vidu-q3
    "vidu-q3-turbo": (_pictures(_MODES),),
    "live-avatar": (_whole_blocks,),  # see its source
}
"""The rules of each model that has any; the older models have one in common."""
