"""Write the examples of the README as modules, so that type checkers see what a user would type.

``python tests/typing/snippets.py FOLDER``; ``nox -s typing`` does, and holds mypy and pyright against them.
"""

import re
import sys
import textwrap
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
INSIDE = """import asyncio

from foxvideo import Client, Every, GrokTextToVideo, grok


async def main(client: Client, shots: list[GrokTextToVideo]) -> None:
{}
"""


def modules() -> list[str]:
    """Return each example as a module: as it stands where it is whole, else inside a function that has a client."""
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [
        block if "def main(" in block or "def test_" in block else INSIDE.format(textwrap.indent(block, "    "))
        for block in blocks
    ]


if __name__ == "__main__":
    for number, module in enumerate(modules()):
        Path(sys.argv[1], f"snippet_{number}.py").write_text(module, encoding="utf-8")
