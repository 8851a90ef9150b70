"""The command ``foxvideo``: its door, which opens without the extra ``cli``, too.

What belongs here: the entry point. What must not: click, rich, platformdirs, or anything that imports them at the top.
"""

import sys

from foxvideo.cli.streams import prepare

_EXTRA = {"click", "platformdirs", "rich"}


def main() -> int:
    """Run the command line with the arguments of this process.

    Returns:
        2 where one of the extra's packages is missing; else it ends with ``SystemExit``, see ``foxvideo.cli.outcome``.
    """
    prepare()
    try:
        from foxvideo.cli.app import app  # noqa: PLC0415 - the extra may be missing
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA:
            raise
        print(  # noqa: T201 - click, which would print it, may be what is missing
            f"the command foxvideo needs {missing}: python -m pip install 'foxvideo[cli]'", file=sys.stderr
        )
        return 2
    app(prog_name="foxvideo")
    return 0  # pragma: no cover - click ends with SystemExit
