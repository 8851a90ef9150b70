"""Faults that belong together, by name, for tests that try all of a kind.

`parametrize("fault", BLIPS.values(), ids=BLIPS)` is what they are for. Values alone.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from foxvideo.emulator.faults import Fault

BLIPS: Final[Mapping[str, Fault]] = MappingProxyType(
    {
        "404 in JSON": Fault("error", status=404),
        "404 of a bare FastAPI": Fault("detail", status=404),
        "404 as a page": Fault("html", status=404),
        "403 in JSON": Fault("error", status=403),
        "403 of Cloudflare": Fault("cloudflare"),
        "403 as a page": Fault("html", status=403),
        "401 in JSON": Fault("error", status=401),
    }
)
"""Answers to reads that say that a task or the key is gone, and that a restart of the service gives for a while."""

FALSE_REFUSALS: Final[Mapping[str, Fault]] = MappingProxyType(
    {
        "429": Fault("rate_limit", after=True),
        "429 that may be repeated at once": Fault("rate_limit", retry_after="0", after=True),
        "422 no_compatible_channel": Fault("error", status=422, code="no_compatible_channel", after=True),
    }
)
"""Refusals of a submission that made a task, and charged for it, after all."""

BENT: Final[Mapping[str, Fault]] = MappingProxyType(
    {
        "length one too small": Fault("short_length"),
        "text behind the body": Fault("trailing"),
        "a header of 9 KB": Fault("long_header"),
        "a header of 64 KB": Fault("long_header", size=64 * 1024),
        "gzip in name only": Fault("false_gzip"),
        "gzip that is cut": Fault("cut_gzip"),
        "a chunk that is cut": Fault("cut_chunk"),
        "cut behind the id": Fault("half_body", after=True),
        "no status": Fault("fields", without=("status",)),
        "status is null": Fault("fields", fields={"status": None}),
        "status in another place": Fault("fields", fields={"data": {"status": "pending"}}, without=("status",)),
        "credits of 400 digits": Fault("fields", fields={"usage": {"credits_reserved": 10**400}}),
        "credits of 5,000 digits": Fault("fields", fields='{"usage": {"credits_reserved": %s}}' % ("9" * 5000)),
        "infinite credits": Fault("fields", fields={"usage": {"credits_reserved": 1e999}}),
        "created after the end of time": Fault("fields", fields={"created": 10**30}),
        "infinite progress": Fault("fields", fields={"progress": 1e999}),
    }
)
"""Replies in whose bytes the id stands, whole, and around which HTTP or JSON is broken: the task exists and is paid
for."""
