"""Manifests on the command line: how one is named, read once, and what is wrong with its rows."""

import sys
from pathlib import Path

import click

from foxvideo.batch import BadRow, Manifest
from foxvideo.cli import command, outcome
from foxvideo.cli.board import printable

manifest_argument: command.Option = click.argument(
    "source", metavar="MANIFEST", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)
defaults_option: command.Option = click.option(
    "--defaults",
    multiple=True,
    metavar="FIELD=VALUE",
    help="A field of all rows that lack it, as it would stand in a CSV.",
)


def _fields(defaults: tuple[str, ...]) -> dict[str, str]:
    fields = {}
    for default in defaults:
        name, equals, text = default.partition("=")
        if not name or not equals:
            raise click.UsageError(f"--defaults {default!r}: must read field=value")
        fields[name] = text
    return fields


def read(source: Path, defaults: tuple[str, ...], *, check: bool) -> Manifest:
    """Read the manifest, once and for all; outside of any event loop, so that Ctrl-C ends it."""
    if str(source) == "-":
        if sys.stdin is None:
            raise click.UsageError("the manifest is to come on stdin, which is closed")
        return Manifest.of(sys.stdin.buffer.read(), folder=Path(), defaults=_fields(defaults), check=check)
    manifest = Manifest(source, defaults=_fields(defaults), check=check)
    manifest.load()
    return manifest


def show_bad(source: Path, row: BadRow) -> None:
    """Say what is wrong with a row."""
    name = "stdin" if str(source) == "-" else str(source)
    for fault in row.faults:
        click.echo(printable(f"{name}:{row.line}: {outcome.in_shell_words(fault)}"), err=True)
