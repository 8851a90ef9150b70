"""The documented models, as data.

```python
from foxvideo import catalogue

model = catalogue.find("kling-v3-image-to-video")
print(catalogue.read_date(), len(catalogue.models()), sorted(model.parameters))
```

The data was read from the public documentation in the month that ``read_date`` returns. It is opened at its first use,
not when the package is imported. ``client.models`` returns what your key may call, which is another question.
"""

import functools
import json
import re
from collections.abc import Mapping

import attrs

from foxvideo.catalogue.model import Model, Parameter, Scalar, Type

__all__ = ["Model", "Parameter", "Scalar", "Type", "find", "models", "read_date"]

_VARIANT = re.compile(r"([^\[\]/]+)\[([^\[\]]+)\]")


@functools.cache
def _file() -> Mapping[str, object]:
    from importlib import resources  # noqa: PLC0415 - importing foxvideo is to be quick

    content: Mapping[str, object] = json.loads(resources.files(__package__).joinpath("models.json").read_bytes())
    return content


@functools.cache
def _by_id() -> Mapping[str, Model]:
    import cattrs  # noqa: PLC0415 - as above

    attrs.resolve_types(Parameter)  # it names itself
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=False)
    converter.register_structure_hook(float, lambda value, _: value)  # a whole limit stays whole
    converter.register_structure_hook(Scalar, lambda value, _: value)
    converter.register_structure_hook(str | int, lambda value, _: value)
    return {model.id: model for model in converter.structure(_file()["models"], list[Model])}


def models() -> tuple[Model, ...]:
    """Return all models of the documentation, each family together."""
    return tuple(_by_id().values())


def read_date() -> str:
    """Return the month in which the documentation was read: ``2026-11``."""
    return str(_file()["read"])


def find(model_id: str) -> Model | None:
    """Return what is documented about a model; None for an id that no page has.

    A variant in brackets has the fields of its base. What the brackets say need not be said again: ``fabric-1.0[480p]``
    demands no resolution.

    >>> find("veo-3.1[4k]").parameters["resolution"].default
    '4k'
    >>> find("a-model-of-tomorrow")
    """
    if known := _by_id().get(model_id):
        return known
    variant = _VARIANT.fullmatch(model_id)
    base = _by_id().get(variant[1]) if variant else None
    return _narrowed(base, variant[2].split("|")) if base and variant else None


def _narrowed(base: Model, words: list[str]) -> Model:
    """Return a model whose fields take by default what the words of a variant say."""
    said = {name: word for name, parameter in base.parameters.items() for word in words if word in parameter.options}
    parameters = {
        name: attrs.evolve(parameter, required=False, default=said[name]) if name in said else parameter
        for name, parameter in base.parameters.items()
    }
    return attrs.evolve(base, parameters=parameters)
