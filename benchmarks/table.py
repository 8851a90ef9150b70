"""Figures in columns, for people.

What belongs here: layout. What must not: what the figures mean.
"""

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return lines with aligned columns: the first to the left, figures to the right."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]

    def aligned(line: Sequence[str]) -> str:
        name, *figures = (
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        return "  ".join((name, *figures)).rstrip()

    return "\n".join(map(aligned, (head, ["-" * width for width in widths], *rows)))
