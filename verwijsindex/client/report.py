# SPDX-License-Identifier: EUPL-1.2
"""The report of refused rows: where each stands and what to do. It holds no BSN, no name and no date (I5)."""

import csv
import errno
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from pathlib import Path
from types import TracebackType
from uuid import UUID

from rich.table import Table
from rich.text import Text

from verwijsindex.client.draft import showable
from verwijsindex.client.faults import WHOLE_ROW
from verwijsindex.client.outcome import Limited, Refused
from verwijsindex.client.ownfiles import open_own
from verwijsindex.client.rows import RefusedRow

_COLUMNS = {
    "#/caseReference": "case_reference",
    "#/informing/on": "informed_on",
    "#/informing/reviewDate": "review_date",
    "#/madeAt": "made_at",
    "#/reporter": "reporter",
    "#/residenceMunicipality": "residence_municipality",
}
"""Where in the export stands what the index finds fault with."""

SHOWN = 20
"""Faults in the table on the screen; the file has all."""


@dataclass(frozen=True, slots=True)
class ReportLine:
    """One fault of one row, or one reason why the index does not take it."""

    line: int
    case_reference: str
    column: str
    """A column of the export; of a fault in what we made of several, a JSON pointer into what was posted."""
    code: str
    advice: str


HEADER = ",".join(field.name for field in fields(ReportLine))


class Report:
    """Counts what became of a file's rows, and writes down the refused ones as they come.

    Use it as a context manager. With a path it writes a CSV file of mode 0600, in the place of an older report and
    of nothing else.
    """

    def __init__(self, path: Path | None) -> None:
        """Raises OSError when the file cannot be made, or is there and is no report."""
        self.accepted = 0
        self.refused = 0
        self.waiting: Counter[UUID] = Counter()
        """Rows that wait, of each reporter at a limit of a day."""
        self.again_at: datetime | None = None
        """When the last of them can be sent."""
        self._codes: Counter[str] = Counter()
        self._first: list[ReportLine] = []
        self._file = None
        if path:
            descriptor = open_own(path)
            self._file = os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace", newline="")
            if self._file.readline(len(HEADER) + 2).rstrip() not in {HEADER, ""}:
                self._file.close()
                raise FileExistsError(errno.EEXIST, "is there and is no report: choose another name", str(path))
            os.fchmod(descriptor, 0o600)
            self._file.seek(0)
            self._file.truncate()
            self._writer = csv.writer(self._file)
            self._writer.writerow(HEADER.split(","))

    def __enter__(self) -> "Report":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()

    def refuse_row(self, row: RefusedRow) -> None:
        """A row that was not sent."""
        self._refuse(
            ReportLine(row.line, row.case_reference or "", fault.column, fault.code, fault.advice)
            for fault in row.faults
        )

    def refuse_signal(self, line: int, refused: Refused) -> None:
        """A row that was sent and that the index did not take."""
        problem, reference = refused.problem, showable(refused.draft.case_reference) or ""
        if problem.errors:
            self._refuse(
                ReportLine(line, reference, _COLUMNS.get(e.place, e.place), e.code, e.detail) for e in problem.errors
            )
        else:
            self._refuse([ReportLine(line, reference, WHOLE_ROW, problem.slug, problem.detail)])

    def wait(self, limited: Limited) -> None:
        """A row that is to be sent another time."""
        self.waiting[limited.draft.reporter] += 1
        self.again_at = max(self.again_at or limited.until, limited.until)

    def counts(self) -> str:
        """How many rows there are of each fate."""
        waiting = f", waiting {self.waiting.total()}" if self.waiting else ""
        return f"accepted {self.accepted}, refused {self.refused}{waiting}"

    def limited(self) -> str:
        """The reporters at their limit, those with most rows first, and how many rows of each wait."""
        most = self.waiting.most_common(SHOWN)
        more = f" and {len(self.waiting) - SHOWN} reporters more" if len(self.waiting) > SHOWN else ""
        return ", ".join(f"{reporter} {rows}" for reporter, rows in most) + more

    def _refuse(self, lines: Iterable[ReportLine]) -> None:
        self.refused += 1
        for line in lines:
            self._codes[line.code] += 1
            if len(self._first) < SHOWN:
                self._first.append(line)
            if self._file:
                self._writer.writerow(astuple(line))

    def table(self) -> Table:
        """The first SHOWN faults, and how many there are of each code."""
        table = Table(title="Refused rows", title_justify="default")
        table.add_column("line", justify="right")
        table.add_column(
            "case reference", no_wrap=True, min_width=max((len(o.case_reference) for o in self._first), default=0)
        )
        for name in ("column", "code", "what to do"):
            table.add_column(name, overflow="fold")
        for line in self._first:
            table.add_row(*(Text(str(value)) for value in astuple(line)))
        more = sum(self._codes.values()) - len(self._first)
        if more:
            counts = ", ".join(f"{code} {count}" for code, count in self._codes.most_common())
            table.caption = f"and {more} faults more; in all: {counts}"
        return table
