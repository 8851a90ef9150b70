"""FoxAPI on 127.0.0.1: a server to develop and test against, which costs nothing and breaks on demand.

## From a shell

``foxvideo emulator`` runs it until Ctrl-C, and prints the two lines that point ``Client()`` at it. ``foxvideo demo``
makes some videos with it.

## From Python

```python
from foxvideo.emulator import Emulator, Fault

async with Emulator(seconds=0.2, render=False) as fox:
    async with Client(fox.api_key, fox.base_url) as here:
        fox.fail_next("poll", Fault("error", status=503))
        video = await here.generate(shots[0])
    print(fox.ledger.charged, video.url)
```

``seconds`` is how long a task takes, and ``render=False`` serves one small stored video instead of drawing each.
Prices, failures, slow replies and short-lived links are options; ``Fault`` breaks one answer, or one in a hundred.

It speaks the wire as the public documentation has it, and knows nothing of the rest of the package but the catalogue.
So a misreading in the client cannot hide in its emulator. It is for development, not for a network: its key is no
secret.
"""

from foxvideo.emulator.charges import Charge, read_charges
from foxvideo.emulator.faults import Fault, Faults
from foxvideo.emulator.ledger import Ledger
from foxvideo.emulator.prices import Tariff
from foxvideo.emulator.server import Emulator
from foxvideo.emulator.siblings import BENT, BLIPS, FALSE_REFUSALS

__all__ = [
    "BENT",
    "BLIPS",
    "FALSE_REFUSALS",
    "Charge",
    "Emulator",
    "Fault",
    "Faults",
    "Ledger",
    "Tariff",
    "read_charges",
]
