"""A contact sheet: one page that shows the videos of a folder.

What belongs here: the page. What must not: how the videos came there (``foxvideo/batch``), and the command line.

The page asks no other host for anything and runs no script but its own, by a policy in its head. Prompts are texts of
whoever wrote the manifest: whatever they hold, the template escapes it.
"""

from foxvideo.sheet.page import render, write_sheet

__all__ = ["render", "write_sheet"]
