# SPDX-License-Identifier: EUPL-1.2
"""A restored ledger, compared with checkpoints that were kept outside, before anything serves it (R25, R16)."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from verwijsindex.ledger.checkpoint import Checkpoint, LedgerError, VerifierKey, read_notes, read_verifier_keys
from verwijsindex.ledger.exporting import export
from verwijsindex.ledger.reading import size_of_newest
from verwijsindex.ledger.verification import Verdict, verify


@dataclass(frozen=True, slots=True)
class Outside:
    """What is known outside of the database: checkpoints, and the keys that signed them."""

    kept: Sequence[Checkpoint]
    keys: Sequence[VerifierKey]

    @classmethod
    def read(cls, checkpoints: Sequence[Path], key: Path) -> "Outside":
        """From files. Raises LedgerError, OSError."""
        keys = read_verifier_keys(key.read_text("utf-8"))
        kept = [Checkpoint.open(note, keys) for one in checkpoints for note in read_notes(one.read_text("utf-8"))]
        return cls(sorted(kept, key=lambda one: one.size), keys)


@dataclass(frozen=True, slots=True)
class Compared:
    """A restored ledger that is what was sealed, as far as it goes."""

    size: int
    agrees: Checkpoint
    lost: int
    """Events that a checkpoint outside knows of and that came after the backup."""


def compare(connection: Connection, outside: Outside, now: datetime) -> Compared:
    """Verify the whole ledger of a database, and compare it with the checkpoints that are not newer than it.

    Args:
        connection: of the owner, in a database that nothing else uses.

    Raises:
        LedgerError: it is not what was sealed; or no checkpoint is as old as it, so that nothing vouches for it.
    """
    size = size_of_newest(connection)
    comparable = [one for one in outside.kept if one.size <= size]
    if not comparable:
        raise LedgerError(
            f"the ledger has {size} events, and every checkpoint that you brought has more: bring one that was kept"
            " before the backup was made"
        )
    verdict = _verify(connection, comparable, outside.keys, now)
    if verdict.count:
        shown = "\n  ".join(map(str, verdict.findings[:20]))
        raise LedgerError(
            f"the ledger is not what was sealed; let nothing use it ({verdict.count} findings):\n  {shown}"
        )
    return Compared(size, comparable[-1], max(0, outside.kept[-1].size - size))


def _verify(connection: Connection, kept: Sequence[Checkpoint], keys: Sequence[VerifierKey], now: datetime) -> Verdict:
    """The export of one thread goes through a pipe to the verifier in another: on no disk, in constant memory."""
    read, write = os.pipe()
    with ThreadPoolExecutor(1) as other, os.fdopen(read, "rb") as reading:
        verdict = other.submit(verify, reading, kept, keys, now=now)
        with os.fdopen(write, "wb") as writing:
            export(connection, writing, public=False)
        return verdict.result()
