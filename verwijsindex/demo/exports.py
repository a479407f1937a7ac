# SPDX-License-Identifier: EUPL-1.2
"""Exports of case systems of invented institutions, and what a plain reader of them must find.

The same seed and moment make the same files. All BSNs are test BSNs (they start with 9999 and pass the
11-test); all youngsters are invented. Nothing of the client or the index is used: it is their expectation.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

from verwijsindex.client.rows import COLUMNS
from verwijsindex.demo.exports_day import Day, ExportPlan, known_test_bsns
from verwijsindex.demo.exports_faults import Cells, Spoiled

__all__ = ["AcceptedRow", "Expected", "Export", "ExportPlan", "known_test_bsns", "write_exports"]


@dataclass(frozen=True, slots=True)
class AcceptedRow:
    """A row that the index must take."""

    line: int
    reporter: UUID
    bsn: str = field(repr=False)
    residence: str
    case_reference: str | None


@dataclass(slots=True)
class Export:
    """One file, and what must become of its rows."""

    path: Path
    accepted: list[AcceptedRow] = field(default_factory=list)
    refused: dict[int, frozenset[str]] = field(default_factory=dict)
    """By line, the code of every fault: the client's, or those of the index."""

    @property
    def rows(self) -> int:
        """How many rows the file has below its first line."""
        return len(self.accepted) + len(self.refused)


@dataclass(slots=True)
class Expected:
    """All files, by client; and which BSNs they are about."""

    exports: dict[str, Export]
    spare: list[str] = field(repr=False)
    """Test BSNs that stand in no file."""
    used: frozenset[str] = field(repr=False)

    def all_bsns(self) -> frozenset[str]:
        """Every BSN that stands in a file, in a faulty row too."""
        return self.used

    def reporters_of(self) -> dict[str, set[UUID]]:
        """Of each BSN in an accepted row, who signals it: two or more reporters are a match (R8)."""
        found: dict[str, set[UUID]] = {}
        for export in self.exports.values():
            for row in export.accepted:
                found.setdefault(row.bsn, set()).add(row.reporter)
        return found


def write_exports(
    folder: Path, institutions: Sequence[ExportPlan], seed: int, now: datetime, rows: int = 3000
) -> Expected:
    """Writes `<client_id>.csv` for each institution into the folder, with `rows` rows in all.

    Args:
        now: every signal was made in the six days before it, in UTC.
        rows: at least 30 and at most 6000.
    """
    day = Day(institutions, seed, now)
    written: dict[str, list[tuple[Cells, Spoiled | None]]] = {plan.client_id: [] for plan in institutions}
    for plan, cells, spoil in day.rows(rows):
        written[plan.client_id].append((cells, spoil))
    exports = {}
    for number, plan in enumerate(institutions):
        day.random.shuffle(written[plan.client_id])
        exports[plan.client_id] = _write(folder / f"{plan.client_id}.csv", written[plan.client_id], number)
    spare = list(day.bsns)
    return Expected(exports, spare, frozenset(known_test_bsns()).difference(spare))


def _write(path: Path, rows: Sequence[tuple[Cells, Spoiled | None]], style: int) -> Export:
    """Writes a file with commas, or with semicolons and a byte order mark as a Dutch Excel does."""
    delimiter, mark = (",", b"") if style % 2 == 0 else (";", b"\xef\xbb\xbf")
    export = Export(path)
    with path.open("wb") as file:
        file.write(mark + _line(COLUMNS, delimiter))
        for line, (cells, spoiled) in enumerate(rows, 2):
            content = _line([cells.get(column, "") for column in COLUMNS], delimiter)
            file.write(spoiled.rewrite(content, delimiter.encode()) if spoiled else content)
            if spoiled:
                export.refused[line] = spoiled.codes
            else:
                export.accepted.append(
                    AcceptedRow(
                        line=line,
                        reporter=UUID(cells["reporter"]),
                        bsn=cells["bsn"],
                        residence=cells["residence_municipality"],
                        case_reference=cells["case_reference"] or None,
                    )
                )
    return export


def _line(values: Sequence[str], delimiter: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerow(values)
    return text.getvalue().encode()
