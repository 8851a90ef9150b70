"""From a manifest to a folder of videos.

``manifest`` reads lines (``lines``), makes requests of them (``compose``) and rows with keys (``rows``); ``survey``
counts before anything is spent. ``run`` takes rows to their ends, each by its ``row``, within a ``budget`` over classes
of equal ``price``, and ``results`` keeps what they came to. Out of scope: the command line.
"""

from foxvideo.batch.manifest import Manifest
from foxvideo.batch.results import Ending, Outcome, read_results
from foxvideo.batch.rows import BadRow, Row
from foxvideo.batch.run import Batch
from foxvideo.batch.survey import Survey, survey

__all__ = ["BadRow", "Batch", "Ending", "Manifest", "Outcome", "Row", "Survey", "read_results", "survey"]
