"""From a manifest to a folder of films.

What belongs here: reading manifests (``reading``, ``rows``, ``manifest``), what is known before anything is spent
(``survey``), the rule of the budget (``budget``), the run itself (``running``, ``journey``), and what is written down
of each row (``records``). What must not: the command line (``cli/``), and anything that a single task needs.

Whatever holds one entry for each row lies in a temporary file (``scratch``), so that a manifest may be as long as it
likes.
"""

from foxvideo.batch.manifest import Manifest
from foxvideo.batch.records import Ending, Outcome, read_results
from foxvideo.batch.rows import BadRow, Row
from foxvideo.batch.running import Batch
from foxvideo.batch.survey import Survey, survey

__all__ = ["BadRow", "Batch", "Ending", "Manifest", "Outcome", "Row", "Survey", "read_results", "survey"]
