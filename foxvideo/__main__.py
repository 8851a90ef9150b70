"""``python -m foxvideo`` is the command ``foxvideo``."""

import sys

from foxvideo.cli import main

if __name__ == "__main__":
    sys.exit(main())
