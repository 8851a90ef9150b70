"""``foxvideo generate``: from a prompt to a file.

What belongs here: its options. What must not: which request they mean (``cli/compose.py``).
"""

import difflib
from typing import Any

import click

from foxvideo import catalogue
from foxvideo._journal import Place
from foxvideo._transfer import content
from foxvideo.cli import command
from foxvideo.cli.completion import complete_ids, complete_media, complete_settings, completing, ids, options_of
from foxvideo.cli.compose import Asked
from foxvideo.cli.errand import Errand, errand_options, print_video
from foxvideo.cli.journal import ready, saved_at
from foxvideo.cli.target import Target
from foxvideo.client import Client
from foxvideo.requests import generic
from foxvideo.requests.generic import VideoRequest, fields_of, media_of
from foxvideo.requests.validation import show
from foxvideo.task import VideoTask

# What to make, which becomes an ``Asked``.
request_options: command.Option = command.options(
    click.argument("prompt", required=False),
    click.option(
        "--image",
        "images",
        multiple=True,
        metavar="PATH|URL",
        shell_complete=complete_media,
        help="A picture to begin with; several: see --reference.",
    ),
    click.option(
        "--reference",
        "references",
        multiple=True,
        metavar="PATH|URL",
        shell_complete=complete_media,
        help="Someone or something to show; the prompt calls them @Image1, @Image2, ...",
    ),
    click.option("--video", metavar="PATH|URL", shell_complete=complete_media, help="A video to change."),
    click.option("--extend", is_flag=True, help="Go on with --video instead of changing it."),
    click.option("--duration", type=int, metavar="N", help="Whole seconds."),
    click.option(
        "--aspect-ratio",
        metavar="W:H",
        shell_complete=completing(options_of("aspect_ratio")),
        help="16:9, 4:3, 3:2, 1:1, 2:3, 3:4 or 9:16.",
    ),
    click.option(
        "--resolution", metavar="P", shell_complete=completing(options_of("resolution")), help="480p or 720p."
    ),
    click.option(
        "--model",
        metavar="ID",
        shell_complete=complete_ids,
        help="Any other model, its fields given by --set; see `foxvideo models ID`.",
    ),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="FIELD=VALUE",
        shell_complete=complete_settings,
        help="A field as on the wire; JSON, or text, or @file.",
    ),
)


@click.command(cls=command.Command)
@request_options
@click.option("--no-check", is_flag=True, help="Do not hold the request against the documentation.")
@click.option(
    "--dry-run", is_flag=True, help="Check all that can be checked, say what would be sent, and send nothing."
)
@click.option("--key", metavar="NAME", help="Your name for the task: the same key is never made twice.")
@click.option("--retry-failed", is_flag=True, help="Make what failed under --key anew, which is paid anew.")
@command.output_option
@errand_options
def generate(
    *,
    output: str | None,
    overwrite: bool,
    timeout: float,
    base_url: str | None,
    journal: Place | None,
    poll_every: float | None,
    no_check: bool,
    dry_run: bool,
    key: str | None,
    retry_failed: bool,
    as_json: bool,
    **asked: Any,  # noqa: ANN401 - the fields of Asked, which click has checked
) -> None:
    """Make a video, wait for it and save it. This costs money.

    What is given decides what is made: a prompt alone, a prompt and a picture (--image), people and things of
    several pictures (--reference, or more than one --image), or a video that is changed (--video) or goes on
    (--video and --extend). Local files are uploaded.

    \b
      foxvideo generate "A fox trots over fresh snow" -o fox.mp4
      foxvideo generate "The camera pushes in" --image cat.jpg --duration 6
      foxvideo generate "Make it night" --video fox.mp4 -o night.mp4
      foxvideo generate "Two foxes" --dry-run
      foxvideo generate "Two foxes" --model veo-3.1-fast-text-to-video --set duration=8

    The path of the file is printed on stdout, everything else on stderr. What is submitted is written down first:
    `foxvideo resume` goes on with it, whatever happens. With --key, the same command again gives the same video: it
    waits for the task that is there, or saves it once more, and submits nothing.
    """  # noqa: D301 - click wants the control character itself
    if retry_failed and key is None:
        raise click.UsageError("--retry-failed needs --key")
    target, path = Target(output, overwrite), ready(journal)
    target.check(known=command.run(saved_at(path, key=key)))
    request = Asked(**asked).request()
    _check_model(request.model, check=not no_check)
    if dry_run:
        _show(request, check=not no_check)
        return
    client = command.make_client(base_url, path, poll_every=poll_every)

    async def begin(client: Client) -> VideoTask:
        return client.submit(request, key=key, retry_failed=retry_failed, timeout=timeout, check=not no_check)

    video, files = Errand(client, target).run(key or request.model, begin)
    print_video(video, files, as_json=as_json)


def _check_model(model: str, *, check: bool) -> None:
    """Refuse a model that is like a documented one, since it is most likely that one, mistyped."""
    if check and catalogue.find(model) is None and (like := difflib.get_close_matches(model, ids(), n=3, cutoff=0.85)):
        raise click.UsageError(f"no documented model is called {model}; did you mean {' or '.join(like)}?")


def _show(request: VideoRequest, *, check: bool) -> None:
    """Say what would be sent, once it has passed every check that needs no service."""
    generic.check(request, documented=check)
    for media in media_of(request).values():
        content.digest(media, check=check)
    click.echo(f"{request.model}: " + ", ".join(f"{name}={show(value)}" for name, value in fields_of(request).items()))
    click.echo("nothing was sent", err=True)
