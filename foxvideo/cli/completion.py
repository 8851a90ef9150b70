"""What a shell may complete: models, files, and what the journal knows."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator

import click
from click.shell_completion import CompletionItem

from foxvideo import catalogue
from foxvideo._journal import TaskRecord
from foxvideo.cli.command import Option
from foxvideo.cli.journal import place, read, there
from foxvideo.requests.grok import GrokTextToVideo

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def completing(words: Callable[[], Iterable[str]]) -> Complete:
    """Return what a shell asks for the words that a half-typed one may become."""

    def complete(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
        return [CompletionItem(word) for word in dict.fromkeys(words()) if word.startswith(begun)]

    return complete


def ids() -> Iterator[str]:
    """Return the ids of the documented models."""
    return (model.id for model in catalogue.models())


def options_of(field: str) -> Callable[[], Iterable[str]]:
    """Return what lists the documented values of a field of Grok's models."""

    def options() -> Iterator[str]:
        for model in catalogue.models():
            if model.id == GrokTextToVideo.model:
                yield from map(str, model.parameters[field].options)

    return options


def kinds() -> Iterator[str]:
    """Return what each of them does."""
    return (model.kind for model in catalogue.models())


def families() -> Iterator[str]:
    """Return the family of each of them."""
    return (model.family for model in catalogue.models())


complete_ids: Complete = completing(ids)


def _remembered(context: click.Context) -> tuple[TaskRecord, ...]:
    """Return the records of the journal that a half-typed command names, the newest first; none where it has none."""
    with contextlib.suppress(Exception):  # a shell has no place for errors
        path = place(context.params.get("journal"))
        if there(path):
            return asyncio.run(read(path))[::-1]
    return ()


def complete_keys(context: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete a key that the journal has."""
    records = (record for record in _remembered(context) if not record.key.startswith("auto-"))
    return _items(((record.key, f"{record.status} {record.model}") for record in records), begun)


def complete_task_ids(context: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete an id that the journal has."""
    records = _remembered(context)
    return _items(((record.task_id, f"{record.status} {record.model}") for record in records if record.task_id), begun)


def complete_media(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
    """Let the shell complete a file, unless a link is being typed."""
    return [] if "://" in begun else [CompletionItem(begun, type="file")]


def complete_settings(context: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete the fields of the model that was named, as ``--set`` takes them."""
    model = catalogue.find(str(context.params.get("model") or ""))
    return [] if model is None else _items(((f"{name}=", "") for name in model.parameters), begun)


def _items(words: Iterable[tuple[str, str]], begun: str) -> list[CompletionItem]:
    return [CompletionItem(word, help=about) for word, about in dict(words).items() if word.startswith(begun)]


key_option: Option = click.option(
    "--key", metavar="NAME", shell_complete=complete_keys, help="The name that the task was submitted with."
)
id_argument: Option = click.argument("task_id", metavar="[ID]", required=False, shell_complete=complete_task_ids)
