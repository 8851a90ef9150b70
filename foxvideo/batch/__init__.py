"""From a list of requests to a folder of videos, with a budget, and without buying a row twice.

## A manifest

A manifest is a CSV or JSON Lines file with one request in each line. The columns are the fields of the request; a file
name in ``image_url`` is a picture beside the manifest. A column that begins with ``#`` is a note of yours: it is kept
with the results and never sent.

```text
prompt,image_url,duration
The camera slowly pushes in,cat.png,6
"Snow, softly falling",,4
```

```console
foxvideo batch shots.csv --out clips/ --dry-run        # check every row; send nothing
foxvideo batch shots.csv --out clips/ --max-credits 500
foxvideo sheet clips/                                  # one HTML page of all videos
```

The same in Python, with a client that has a journal. Any iterable of requests will do instead of a manifest:

```python
from foxvideo import batch

async for outcome in batch.run(client, batch.Manifest("shots.csv"), into="clips/", max_credits=500):
    print(outcome.row, outcome.status, outcome.file or outcome.error)
```

## Run it again

Whatever stopped a batch, the same command finishes it. A row is named by its content: its fields, and the bytes of its
pictures. That name is its key in the journal, so a row that is done is not bought again, wherever it stands in the
manifest. A row that you change is a new row. ``retry_failed=True`` buys a new attempt for each row that failed.

## The budget

``max_credits`` bounds what all records of the folder can have reserved, in this run and earlier ones. The service tells
the price of a task only after it was accepted. So the first task of each kind goes out alone and shows its price; a
*kind* is a model with all fields that may set the price. What is uncertain, or was never told, counts as the largest of
its kind.

## What is in the folder

| file | what it is |
|---|---|
| ``NAME.mp4`` | a video, whole; its name begins with its prompt |
| ``results.jsonl`` | one line for each row, as it ended: ``read_results`` reads it |
| the journal | what was bought: keep it as long as you keep the folder |
"""

from foxvideo.batch.batch import Batch, run
from foxvideo.batch.manifest import Manifest
from foxvideo.batch.results import Ending, Outcome, read_results
from foxvideo.batch.rows import BadRow, Row
from foxvideo.batch.survey import Survey, survey

__all__ = ["BadRow", "Batch", "Ending", "Manifest", "Outcome", "Row", "Survey", "read_results", "run", "survey"]
