# SPDX-License-Identifier: EUPL-1.2
"""Reading a case system's export (CSV), row by row, whatever its size: each row a draft or all its faults.

A row is one line: a broken quote or a stray byte costs that row and no other. Nothing here repeats a value
(I5): a file without its first line has a BSN where a column's name should be.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from verwijsindex.client.cells import parse_cells
from verwijsindex.client.draft import SignalDraft, showable
from verwijsindex.client.faults import WHOLE_ROW, Fault

REQUIRED = (
    "case_reference",
    "bsn",
    "birth_date",
    "residence_municipality",
    "reporter",
    "made_at",
    "informed_on",
    "informed_to",
    "postponed_ground",
    "review_date",
    "reasonable_suspicion",
)
OPTIONAL = ("parent1_bsn", "parent2_bsn", "shielded", "age_group")
"""Columns that an export may leave out: those of before 0.3.0 did not know them."""
COLUMNS = REQUIRED + OPTIONAL
LONGEST_LINE = 4096  # bytes; a row of full columns has some 250


class FileRefused(ValueError):  # noqa: N818 (the report's word)
    """A file that is no export of the agreed form. The text says in which line and what to do."""


@dataclass(frozen=True, slots=True)
class SignalRow:
    """A row that can be sent."""

    line: int
    draft: SignalDraft


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that is not sent, and why."""

    line: int
    case_reference: str | None
    """Where it may be shown (`draft.showable`)."""
    faults: tuple[Fault, ...]


def read_rows(file: BinaryIO) -> Iterator[SignalRow | RefusedRow]:
    """The rows of an export, in order, one line in memory at a time.

    Args:
        file: CSV in UTF-8 with the columns REQUIRED, and any of OPTIONAL, named in its first line, in any order,
            separated by commas or by semicolons (as a Dutch Excel does). Empty lines are passed over.

    Raises:
        FileRefused: empty, not UTF-8, or with unknown, missing or double columns.
    """
    lines = _lines(file)
    _, first = next(lines, (1, b""))
    columns, delimiter = _header(first)
    for number, line in lines:
        row = _row(number, line, columns, delimiter)
        if row:
            yield row


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Each line without its end and with its number, or None for one that is too long to be a row."""
    number = 0
    while part := file.readline(LONGEST_LINE):
        number += 1
        whole = part.endswith(b"\n") or len(part) < LONGEST_LINE
        yield number, part.rstrip(b"\r\n") if whole else None
        while not whole:
            part = file.readline(LONGEST_LINE)
            whole = part.endswith(b"\n") or len(part) < LONGEST_LINE


def _header(line: bytes | None) -> tuple[list[str], str]:
    if line is None:
        raise FileRefused("Line 1 is longer than any list of columns: is this a CSV file?")
    line = line.removeprefix(b"\xef\xbb\xbf")
    if not line:
        raise FileRefused(f"Line 1 is empty: it must name the columns {', '.join(REQUIRED)}.")
    if line.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in line:
        raise FileRefused("The file is in UTF-16 or is no text: export it as 'CSV UTF-8'.")
    try:
        text = line.decode("utf-8")
        delimiter = ";" if ";" in text else ","
        names = [name.strip() for name in next(csv.reader([text], delimiter=delimiter, strict=True))]
    except UnicodeDecodeError:
        raise FileRefused("Line 1 is not UTF-8: export the file as 'CSV UTF-8'.") from None
    except csv.Error:
        raise FileRefused("Line 1 cannot be read: a quotation mark is not closed.") from None
    unknown = [str(place) for place, name in enumerate(names, 1) if name not in COLUMNS]
    missing = [name for name in REQUIRED if name not in names]
    double = [name for name in COLUMNS if names.count(name) > 1]
    faults = []
    if unknown:
        faults.append(f"not known are the columns in place {', '.join(unknown)}; leave them out")
    if missing:
        faults.append(f"missing are {', '.join(missing)}")
    if double:
        faults.append(f"named twice are {', '.join(double)}")
    if faults:
        wanted = f"the columns {', '.join(REQUIRED)}, and may name {', '.join(OPTIONAL)}"
        raise FileRefused(f"Line 1 must name {wanted}: {'; '.join(faults)}.")
    return names, delimiter


def _row(number: int, line: bytes | None, columns: list[str], delimiter: str) -> SignalRow | RefusedRow | None:
    values = _values(line, delimiter)
    if isinstance(values, list) and not any(values):
        return None
    if isinstance(values, list) and len(values) != len(columns):
        values = "width"
    if isinstance(values, str):
        return RefusedRow(number, None, (Fault(WHOLE_ROW, values),))
    cells = dict.fromkeys(OPTIONAL, "") | dict(zip(columns, values, strict=True))
    outcome = parse_cells(cells)
    if isinstance(outcome, SignalDraft):
        return SignalRow(number, outcome)
    return RefusedRow(number, showable(cells["case_reference"]), tuple(outcome))


def _values(line: bytes | None, delimiter: str) -> list[str] | str:
    """The texts in a line, or the code of what is wrong with the line as a whole."""
    if line is None:
        return "line-too-long"
    if b"\0" in line:
        return "nul-byte"
    try:
        values = next(csv.reader([line.decode("utf-8")], delimiter=delimiter, strict=True), [])
    except UnicodeDecodeError:
        return "not-utf-8"
    except csv.Error:
        return "quotes"
    return [value.strip() for value in values]
