# SPDX-License-Identifier: EUPL-1.2
"""Sending a whole export: its rows in, a report out."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import BinaryIO

from verwijsindex.client.client import Accepted, VerwijsindexClient
from verwijsindex.client.draft import SignalDraft
from verwijsindex.client.report import Report
from verwijsindex.client.rows import SignalRow, read_rows


def submit_file(
    client: VerwijsindexClient, file: BinaryIO, report: Report, progress: Callable[[], None] = lambda: None
) -> None:
    """Sends what can be sent of an export (`rows.read_rows`) and enters every row's fate in the report.

    Args:
        progress: called after each row whose fate is known.

    Raises:
        FileRefused: before anything is sent. ClientError: `VerwijsindexClient.submit`.
    """
    lines: deque[int] = deque()

    def drafts() -> Iterator[SignalDraft]:
        for row in read_rows(file):
            if isinstance(row, SignalRow):
                lines.append(row.line)
                yield row.draft
            else:
                report.refuse_row(row)
                progress()

    for outcome in client.submit(drafts()):
        line = lines.popleft()
        if isinstance(outcome, Accepted):
            report.accepted += 1
        else:
            report.refuse_signal(line, outcome)
        progress()
