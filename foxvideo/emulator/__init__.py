"""FoxAPI on 127.0.0.1: a server to develop and test against, which costs nothing and breaks on demand.

It speaks the wire as documented and knows nothing of the rest of the package but the data of the catalogue, so that
one misreading of the documentation in code cannot hide in a client and in its emulator at once.
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
