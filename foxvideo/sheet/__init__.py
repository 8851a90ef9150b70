"""A contact sheet: one HTML page that shows the videos of a folder.

``foxvideo sheet clips/`` writes it. The page asks no other host for anything and runs no script but its own; a policy
in its head sees to that. Prompts are text of the author of a manifest: whatever they hold, the page shows it as text.
"""

from foxvideo.sheet.page import render, write_sheet

__all__ = ["render", "write_sheet"]
