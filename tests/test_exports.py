"""The public names, and what importing them costs."""

import subprocess
import sys

import foxvideo


def test_every_public_name_is_listed_once_in_order() -> None:
    """``__all__`` is sorted, and each name is there."""
    assert sorted(set(foxvideo.__all__)) == foxvideo.__all__
    assert all(hasattr(foxvideo, name) for name in foxvideo.__all__)


def test_every_name_that_is_imported_is_public() -> None:
    """Nothing but rooms of the package is visible beside ``__all__``."""
    visible = {name for name, value in vars(foxvideo).items() if not name.startswith("_") and not _is_room(value)}

    assert visible | {"__version__"} == set(foxvideo.__all__)


def test_importing_the_client_brings_in_no_extra() -> None:
    """Neither the emulator nor a package of an extra is imported with the client."""
    code = "import foxvideo, sys; print(sorted({'av', 'click', 'rich', 'foxvideo.emulator'} & sys.modules.keys()))"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"[]\n"  # noqa: S603


def _is_room(value: object) -> bool:
    return getattr(value, "__name__", "").startswith("foxvideo.") and type(value).__name__ == "module"
