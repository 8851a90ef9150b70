"""``foxvideo models``: what there is, and what this key may call."""

import difflib
import json
from collections.abc import Iterable, Iterator, Sequence

import attrs
import click

from foxvideo import catalogue
from foxvideo.catalogue import Model, Parameter
from foxvideo.cli import command, examples
from foxvideo.cli.completion import complete_ids, completing, families, ids, kinds
from foxvideo.client import Client

_TYPES = {
    "integer": "whole number",
    "boolean": "true or false",
    "media": "URL or file",
    "text list": "list of texts",
    "media list": "list of URLs or files",
    "object list": "list of objects",
}


@click.command(cls=command.Command)
@click.argument("model_id", metavar="[ID]", required=False, shell_complete=complete_ids)
@click.option("--kind", metavar="KIND", shell_complete=completing(kinds), help="Only those that do this.")
@click.option("--family", metavar="FAMILY", shell_complete=completing(families), help="Only those of this family.")
@click.option("--mine", is_flag=True, help="Only those that this key may call, which the service is asked for.")
@command.base_url_option
@command.json_option
def models(
    *, model_id: str | None, kind: str | None, family: str | None, mine: bool, base_url: str | None, as_json: bool
) -> None:
    """List the documented models, or show the fields of one. Costs nothing.

    \b
      foxvideo models --kind image-to-video
      foxvideo models --mine
      foxvideo models kling-v3-image-to-video

    What is documented may still not be open to your key: --mine asks.
    """  # noqa: D301 - click wants the control character itself
    if model_id is not None:
        if kind or family or mine:
            raise click.UsageError("with an ID there is nothing to choose from")
        _show(model_id, as_json=as_json)
        return
    _refuse_other("--kind", kind, kinds())
    _refuse_other("--family", family, families())
    listed = command.run(_callable(command.make_client(base_url, None))) if mine else tuple(ids())
    found = [(id_, model) for id_ in listed if (model := catalogue.find(id_))]
    chosen = [(id_, model) for id_, model in found if kind in {None, model.kind} and family in {None, model.family}]
    if as_json:
        command.print_json([{"id": id_, "family": model.family, "kind": model.kind} for id_, model in chosen])
        return
    for line in _aligned([(id_, model.kind, model.family) for id_, model in chosen]):
        click.echo(line)
    if others := len(listed) - len(found):
        click.echo(f"{others} more ids of this key are those of no documented video model", err=True)


async def _callable(client: Client) -> tuple[str, ...]:
    async with client:
        return await client.models()


def _refuse_other(option: str, given: str | None, known: Iterable[str]) -> None:
    words = tuple(dict.fromkeys(known))
    if given is not None and given not in words:
        raise click.UsageError(f"{option} {given}: choose one of {', '.join(words)}")


def _show(model_id: str, *, as_json: bool) -> None:
    model = catalogue.find(model_id)
    if model is None:
        nearest = difflib.get_close_matches(model_id, ids(), n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else "foxvideo models lists them"
        raise click.UsageError(f"no page documents {model_id}; {hint}")
    if as_json:
        command.print_json(attrs.asdict(model) | {"id": model_id, "read": catalogue.read_date()})
        return
    for line in (*_head(model_id, model), "", *_fields(model)):
        click.echo(line)
    click.echo(f"\nIn Python, with example.com for links and files of your own:\n\n{examples.python(model_id, model)}")
    click.echo(f"In a shell:\n\n{examples.shell(model_id, model)}")


def _head(model_id: str, model: Model) -> Iterator[str]:
    rows = {
        "model": model_id,
        "family": model.family,
        "kind": model.kind,
        "note": model.note,
        "billed by": model.billed_by,
        "source": f"{model.source} (read {catalogue.read_date()})",
    }
    yield from (f"{name:<10} {text}" for name, text in rows.items() if text)


def _fields(model: Model) -> Iterator[str]:
    rows = [
        (f"{name}{' *' if parameter.required else ''}", _allowed(parameter), _told(parameter))
        for name, parameter in model.parameters.items()
    ]
    yield from _aligned([("field (* required)", "value", "remarks"), *rows])


def _allowed(parameter: Parameter) -> str:
    """Say in one line what a field may be."""
    words = ", ".join(map(str, parameter.options))
    low, high = parameter.low, parameter.high
    unit = {"text": " characters", "text list": " items", "media list": " items"}.get(parameter.type, "")
    if low is not None or high is not None:
        words = f"{low}-{high}" if None not in {low, high} else f"from {low}" if high is None else f"up to {high}"
        words = " or ".join((f"{words}{unit}", *map(str, parameter.also)))
    inner = f" {{{', '.join(parameter.items)}}}" if parameter.items else ""
    return f"{_TYPES.get(parameter.type, parameter.type)}{inner}{': ' if words else ''}{words}"


def _told(parameter: Parameter) -> str:
    default = "" if parameter.default is None else f"{json.dumps(parameter.default)} if not given"
    advanced = "leave out unless needed" if parameter.advanced else ""
    return "; ".join(filter(None, (default, parameter.note, advanced)))


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
