"""The memory on disk, which knows every submission before it is sent.

``record.py`` has the values and rules, ``store.py`` the interface of a store, and ``recorder.py`` what is written down
when.
The store in SQLite is ``sqlite.py``: its verbs are functions of a transaction (``sql.py``, ``schema.py``), which one
thread carries out (``writer.py``) in a file whose place it watches (``place.py``), under the names of living owners
(``owners.py``).
"""

from foxvideo._journal.record import Claim, Mine, RecordStatus, TaskRecord
from foxvideo._journal.sqlite import SqliteStore
from foxvideo._journal.store import Store

__all__ = ["Claim", "Mine", "RecordStatus", "SqliteStore", "Store", "TaskRecord"]
