"""``foxvideo sheet``: a page that shows the videos of a batch.

What belongs here: its options. What must not: the page (``foxvideo/sheet``).
"""

from pathlib import Path

import click

from foxvideo.batch.results import RESULTS
from foxvideo.cli import command


@click.command(cls=command.Command)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@command.json_option
def sheet(*, folder: Path, as_json: bool) -> None:
    """Write FOLDER/index.html, a contact sheet of a batch.

    It shows every row of results.jsonl: videos that play under the pointer, prompts, and why a row has none. It may
    be written while the batch runs, needs nothing but the videos beside it, and asks no other host for anything.
    """
    from foxvideo.sheet import write_sheet  # noqa: PLC0415 - Jinja2 is not needed for anything else

    if not (folder / RESULTS).is_file():
        raise click.UsageError(f"{folder} has no {RESULTS}: it is no folder of foxvideo batch")
    page = write_sheet(folder)
    if as_json:
        command.print_json({"page": str(page)})
    else:
        click.echo(page)
