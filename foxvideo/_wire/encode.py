"""A request as the JSON body of a submission.

The modules that decode do not import this one: it needs the requests and, behind them, the whole catalogue.
"""

import json
from collections.abc import Mapping

from foxvideo.requests.generic import VideoRequest, fields_of
from foxvideo.requests.validation import is_local


def encode(request: VideoRequest, links: Mapping[int, object]) -> bytes:
    """Return the JSON body of a submission.

    Args:
        request: A request that passed ``requests.check``.
        links: What stands for each local file, by the ``id()`` that ``requests.media_of`` gave it: its URL.
    """

    def sendable(value: object) -> object:
        if is_local(value):
            return links[id(value)]
        if isinstance(value, Mapping):
            return {name: sendable(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [sendable(item) for item in value]
        return value

    body = {name: sendable(value) for name, value in fields_of(request).items()} | {"model": request.model}
    return json.dumps(body, allow_nan=False, sort_keys=True).encode()
