"""Every file and folder that the package's texts name is there."""

import re
from pathlib import Path

import pytest

import foxvideo

PACKAGE = Path(foxvideo.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
CONTRIBUTING = Path(__file__).parent.parent / ".github" / "CONTRIBUTING.md"
NOT_OURS = {"conftest.py", "grok/", "grok-imagine-video/"}  # a user's file, and folders of FoxAPI's documentation


def named(text: str) -> set[str]:
    """Return the modules and folders that stand in backticks."""
    return set(re.findall(r"`([\w./-]+(?:\.py|/))`", text)) - NOT_OURS


def missing(names: set[str], *folders: Path) -> set[str]:
    """Return the names of what lies in none of the folders."""
    return {name for name in names if not any((folder / name).exists() for folder in folders)}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_names_files_that_are_there(module: Path) -> None:
    """A name is relative to the module's folder, to the package, or to what holds the package."""
    names = named(module.read_text(encoding="utf-8"))

    assert missing(names, module.parent, PACKAGE, PACKAGE.parent) == set()


def test_the_guide_for_contributors_names_files_that_are_there() -> None:
    """Its tree of the package is the package's, and what it names elsewhere is in the repository."""
    text = CONTRIBUTING.read_text(encoding="utf-8")
    tree = set(re.findall(r"^ {4}([\w.]+/?) {2,}", text, re.MULTILINE))

    assert {"client.py", "_engine/"} <= tree
    assert missing(tree, PACKAGE) == set()
    assert missing(named(text), CONTRIBUTING.parent, CONTRIBUTING.parent.parent, PACKAGE.parent) == set()
