"""What a shell may complete."""

from collections.abc import Callable, Iterable, Iterator

import click
from click.shell_completion import CompletionItem

from foxvideo import catalogue

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def completing(words: Callable[[], Iterable[str]]) -> Complete:
    """Return what a shell asks for the words that a half-typed one may become."""

    def complete(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
        return [CompletionItem(word) for word in dict.fromkeys(words()) if word.startswith(begun)]

    return complete


def ids() -> Iterator[str]:
    """Return the ids of the documented models."""
    return (model.id for model in catalogue.models())


def kinds() -> Iterator[str]:
    """Return what each of them does."""
    return (model.kind for model in catalogue.models())


def families() -> Iterator[str]:
    """Return the family of each of them."""
    return (model.family for model in catalogue.models())


complete_ids: Complete = completing(ids)
