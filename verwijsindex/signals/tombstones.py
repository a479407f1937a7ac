# SPDX-License-Identifier: EUPL-1.2
"""Tombstones outside the database: the ids of destroyed signals, which a restore of an older backup replays (R16).

A file that is only ever appended to, one id a line, and on disk before the transaction that destroys commits. An id may
stand there though that transaction failed: it is tried again, and what was decided on stays decided. Only who holds the
matcher's lock writes. It is opened anew each time, so that it may be moved away while workers run.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from verwijsindex.logs import TOMBSTONES_NOT_WRITTEN, log


@dataclass(frozen=True, slots=True)
class Tombstones:
    """The file that one host appends to; each host has its own."""

    file: Path

    def bury(self, signals: Sequence[UUID]) -> bool:
        """Write these ids down for good. False, with an alarm, where that fails: destroy nothing then."""
        try:
            self._append("".join(f"{signal}\n" for signal in signals))
        except OSError as error:
            log(TOMBSTONES_NOT_WRITTEN, error=error)
            return False
        return True

    def _append(self, lines: str) -> None:
        descriptor = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            is_new = os.fstat(descriptor).st_size == 0
            # A line that a full disk or a crash cut off ends here, and takes no other with it.
            wanted = f"\n{lines}".encode()
            if os.write(descriptor, wanted) != len(wanted):
                raise OSError(f"{self.file}: written in part; is the disk full?")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            _sync_folder(self.file.parent)


def read(files: Iterable[Path]) -> tuple[set[UUID], int]:
    """The ids in these files, and how many lines were cut off and hold none. Raises OSError."""
    found: set[UUID] = set()
    cut = 0
    for file in files:
        for line in file.read_text("ascii", "replace").splitlines():
            try:
                found |= {UUID(line)} if line else set()
            except ValueError:
                cut += 1
    return found, cut


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
