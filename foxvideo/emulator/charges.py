"""The ledger on disk: one line of JSON for every task that was charged, so that it outlives client and emulator.

What belongs here: writing a line, and reading them back. What must not: anything that a reply depends on.

Compare it with what a client remembers: ``idempotency_key`` is the ``token`` of a row in foxvideo's journal.
"""

import json
import os
from pathlib import Path

import attrs


@attrs.frozen(kw_only=True)
class Charge:
    """One task that was made and is paid for.

    Attributes:
        id: The task's.
        time: When it was made, in Unix seconds.
        model: The model that was asked for.
        prompt: The prompt; None where there was none.
        credits: What was reserved for it, whether or not a reply has told; None for a task without a price.
        fingerprint: sha256 of the body, as it came.
        idempotency_key: The header ``Idempotency-Key``; None where there was none.
    """

    id: str
    time: float
    model: str
    prompt: str | None
    credits: float | None
    fingerprint: str
    idempotency_key: str | None


def write_charge(path: Path, charge: Charge) -> None:
    """Append a charge in one write, so that no death of a process leaves half a line."""
    line = json.dumps(attrs.asdict(charge)).encode() + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def read_charges(path: str | os.PathLike[str]) -> tuple[Charge, ...]:
    """Return what was charged, in the order of the submissions; nothing where there is no file yet.

    Raises:
        ValueError: The file is no ledger.
    """
    try:
        lines = Path(path).read_bytes().splitlines()
    except FileNotFoundError:
        return ()
    try:
        return tuple(Charge(**json.loads(line)) for line in lines)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is no ledger of the emulator: {error}") from error
