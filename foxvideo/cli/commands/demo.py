"""``foxvideo demo``: four videos from the emulator, with no key and no network.

What belongs here: what the demo shows. What must not: a way of making videos that ``generate`` does not have.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import attrs
import click

from foxvideo.cli import outcome
from foxvideo.cli.command import Command, json_option, print_json, run
from foxvideo.cli.commands.emulator import NO_VIDEOS, draws
from foxvideo.cli.errand import bring
from foxvideo.cli.progress import Display
from foxvideo.cli.target import Target
from foxvideo.client import Client
from foxvideo.emulator import Emulator
from foxvideo.requests.generic import GrokImageToVideo, GrokTextToVideo
from foxvideo.schedule.base import Every
from foxvideo.video import Video

_TASK_SECONDS = (2.5, 5.0)
_NEXT = f"""
An emulator on this machine drew them, for nothing and without any intelligence.
With a key ({outcome.KEYS_PAGE}) it is the real thing:

  export FOXAPI_API_KEY=sk-...
  foxvideo doctor
  foxvideo generate "The fox looks up at the moon" --image PICTURE -o fox.mp4
"""


@attrs.frozen
class Clip:
    """One video of the demo."""

    file: str
    request: GrokImageToVideo | GrokTextToVideo

    @property
    def title(self) -> str:
        """What its bar is called."""
        asked = self.request
        kind = asked.model.removeprefix("grok-imagine-")
        return f"{self.file:<10} {kind:<14} {asked.resolution} {asked.duration} s"


def picture() -> bytes:
    """Return the picture that comes with the package, a JPEG of 1280 x 720."""
    return resources.files("foxvideo.cli").joinpath("demo.jpg").read_bytes()


def clips() -> tuple[Clip, ...]:
    """Return what the demo makes: different kinds, shapes and lengths."""
    fox = GrokImageToVideo(
        prompt="The camera slowly moves over the fox and the sun", image_url=picture(), duration=4, resolution="480p"
    )
    hills = GrokTextToVideo(prompt="Hills in the first light", duration=2, aspect_ratio="16:9", resolution="720p")
    valley = GrokTextToVideo(prompt="A desert valley at sunset", duration=3, aspect_ratio="9:16", resolution="480p")
    moon = GrokTextToVideo(prompt="Moonrise over the hills", duration=2, aspect_ratio="1:1", resolution="480p")
    return (
        Clip("fox.mp4", fox),
        Clip("hills.mp4", hills),
        Clip("valley.mp4", valley),
        Clip("moon.mp4", moon),
    )


@click.command(cls=Command)
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("foxvideo-demo"),
    show_default=True,
    help="The folder for the videos; it is made.",
)
@json_option
def demo(*, folder: Path, as_json: bool) -> None:
    """Make four videos at once, with no key.

    An emulator in this process draws them; nothing leaves this machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not draws():
        click.echo(NO_VIDEOS, err=True)
    made = run(_make(clips(), folder))
    if as_json:
        print_json([outcome.video_as_json(video, files) for video, files in made])
        return
    click.echo(f"\n{len(made)} videos:", err=True)
    for _, files in made:
        for file in files:
            click.echo(file)
    click.echo(_NEXT, err=True, nl=False)


async def _make(wanted: Sequence[Clip], folder: Path) -> list[tuple[Video, list[Path]]]:
    with tempfile.TemporaryDirectory() as temporary:
        async with (
            Emulator(seconds=_TASK_SECONDS) as emulator,
            Client(
                emulator.api_key, emulator.base_url, schedule=Every(0.25), journal=Path(temporary, "journal.db")
            ) as client,
        ):
            with Display() as display:
                return await asyncio.gather(
                    *(
                        bring(
                            client.submit(clip.request),
                            Target(folder / clip.file, overwrite=True),
                            display.bar(clip.title),
                        )
                        for clip in wanted
                    )
                )
