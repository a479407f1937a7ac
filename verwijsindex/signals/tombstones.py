# SPDX-License-Identifier: EUPL-1.2
"""Tombstones outside the database: the ids of destroyed signals, and of those that were withdrawn and archived, which a
restore of an older backup replays (R13, R16, I6).

A file that is only ever appended to, one id a line, and on disk before the transaction that destroys commits. An id may
stand there though that transaction failed: it is tried again, and what was decided on stays decided. Of one that was
withdrawn since the risk is gone the moment and that reason follow the id. Only who holds the matcher's lock writes. It
is opened anew each time, so that it may be moved away while workers run.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from verwijsindex.logs import TOMBSTONES_NOT_WRITTEN, log

_REASON = "risk_gone"
"""The last of its line, so that one that was cut off is seen to be so."""


@dataclass(frozen=True, slots=True)
class Tombstones:
    """The file that one host appends to; each host has its own."""

    file: Path

    def bury(self, destroyed: Sequence[UUID], withdrawn: Mapping[UUID, datetime] = MappingProxyType({})) -> bool:
        """Write these down for good. False, with an alarm, where that fails: destroy nothing then."""
        lines = [f"{signal}\n" for signal in destroyed]
        lines += [f"{signal} {ended_at.isoformat()} {_REASON}\n" for signal, ended_at in withdrawn.items()]
        try:
            self._append("".join(lines))
        except OSError as error:
            log(TOMBSTONES_NOT_WRITTEN, error=error)
            return False
        return True

    def _append(self, lines: str) -> None:
        descriptor = os.open(self.file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            is_new = size == 0
            # A line that a full disk or a crash cut off ends here, and takes no other with it.
            was_cut = not is_new and os.pread(descriptor, 1, size - 1) != b"\n"
            wanted = f"\n{lines}".encode() if lines and was_cut else lines.encode()
            if os.write(descriptor, wanted) != len(wanted):
                raise OSError(f"{self.file}: written in part; is the disk full?")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            _sync_folder(self.file.parent)


class Buried(NamedTuple):
    """What stands in files: signals destroyed, others withdrawn and when, and how many lines were cut off."""

    destroyed: set[UUID]
    withdrawn: dict[UUID, datetime]
    cut: int


def read(files: Iterable[Path]) -> Buried:
    """What stands in these files. Raises OSError."""
    destroyed: set[UUID] = set()
    withdrawn: dict[UUID, datetime] = {}
    cut = 0
    for file in files:
        for line in filter(None, file.read_text("ascii", "replace").splitlines()):
            signal, *ended = line.split(" ")
            try:
                if not ended:
                    destroyed.add(UUID(signal))
                elif ended[1:] == [_REASON]:
                    withdrawn[UUID(signal)] = datetime.fromisoformat(ended[0])
                else:
                    cut += 1
            except ValueError:
                cut += 1
    return Buried(destroyed, {one: at for one, at in withdrawn.items() if one not in destroyed}, cut)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
