"""Two hundred times as many kills as the suite has room for; run by ``nox -s crash``.

``FOXVIDEO_ROUNDS`` changes how many.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import Nursery, idle, killed_at_random, nurseries

ROUNDS = int(os.environ.get("FOXVIDEO_ROUNDS", "200"))

pytestmark = pytest.mark.real_clock


@pytest.fixture(scope="module")
def programs() -> Iterator[list[Nursery]]:
    """A program that forks."""
    with nurseries(1) as made:
        yield made


@pytest.fixture
def nursery(programs: list[Nursery]) -> Iterator[Nursery]:
    """It, or another where a test has left it with a process."""
    with idle(programs, 0) as made:
        yield made


@pytest.mark.parametrize("seed", range(1000, 1000 + ROUNDS))
async def test_nothing_is_lost_and_nothing_bought_twice_when_killed_at_random(
    seed: int, nursery: Nursery, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Sixty keyed requests, and clients that are killed until one gets all done."""
    made = await killed_at_random(nursery, tmp_path, seed)
    record_property("kills", made.kills)
    record_property("uncertain", len(made.doubtful))
