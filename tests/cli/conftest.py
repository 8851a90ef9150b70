"""What the tests of the command line share: a journal of their own."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _journal(journal: Path) -> Path:
    """Set it in the environment."""
    return journal
