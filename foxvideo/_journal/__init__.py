"""The memory on disk: one SQLite file that knows every submit before it is sent.

What belongs here: the rows, the tables, who owns a row, and the one thread that reads and writes. What must not:
requests and handles (``_engine/engine.py``), and when something is written down (``recorder.py``).

A row is *planned* until its request is about to leave, *sending* from right before that until the answer is there, and
then *accepted*, *refused* or *uncertain*. *Sending* is on the disk, synced, before the first byte leaves, and an id
before anybody sees it. So whatever is killed, and when: a row that was not *sending* is known exactly.

``sqlite3`` is imported when a journal is opened, not before.
"""

from foxvideo._journal.record import Ask, Mine, RecordStatus, TaskRecord
from foxvideo._journal.sqlite import Journal

__all__ = ["Ask", "Journal", "Mine", "RecordStatus", "TaskRecord"]
