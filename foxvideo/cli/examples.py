"""A request of a model as a person would begin it: as a program and as a command.

What belongs here: example values, and how they are written down. What must not: running them.
"""

import json
import shlex
import textwrap
from collections.abc import Iterator, Mapping

from foxvideo.catalogue import Model, Parameter

_TEXTS = {
    "prompt": "A fox trots over fresh snow",
    "text": "Good morning from the forest",
    "name": "Fox",
    "video_id": "video-of-an-earlier-result",
}
_FILES = {"video": "video.mp4", "audio": "speech.mp3", "voice": "speech.mp3"}


def fields(model: Model) -> dict[str, object]:
    """Return the fields that a request of a model usually has, with example values."""
    return {
        name: _value(name, parameter)
        for name, parameter in model.parameters.items()
        if parameter.required or parameter.usual
    }


def _value(name: str, parameter: Parameter) -> object:
    if parameter.options:
        return parameter.options[0]
    link = f"https://example.com/{_FILES.get(name.partition('_')[0], 'fox.jpg')}"
    examples: Mapping[str, object] = {"media": link, "media list": [link], "object list": [{"url": link}]}
    return examples.get(parameter.type) or _TEXTS[name]


def python(model_id: str, model: Model) -> str:
    """Return a program that makes one and saves it, or shows what there is instead of a video.

    Args:
        model_id: The id to ask for, which may be a variant.
        model: What is documented about it.
    """
    given = "\n".join(_assigned({"": model_id} | fields(model)))
    end = "print(video.results)" if model.kind == "profile" else 'await video.save("video.mp4")'
    return f"""\
import asyncio

from foxvideo import Client, Request


async def main() -> None:
    async with Client() as client:
        video = await client.generate(
            Request(
{textwrap.indent(given, " " * 16)}
            )
        )
        {end}


asyncio.run(main())
"""


def _assigned(given: Mapping[str, object]) -> Iterator[str]:
    """Write keyword arguments; of texts, lists and objects JSON is Python, too."""
    for name, value in given.items():
        yield f"{f'{name}=' if name else ''}{json.dumps(value)},"


def shell(model_id: str, model: Model) -> str:
    """Return the command that does the same. Arguments as ``python``."""
    given = fields(model)
    prompt = given.pop("prompt", None)
    words = ["foxvideo", "generate", *([str(prompt)] if prompt else []), "--model", model_id]
    for name, value in given.items():
        words += ["--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    return shlex.join(words if model.kind == "profile" else [*words, "-o", "video.mp4"])
