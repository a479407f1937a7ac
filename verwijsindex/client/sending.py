# SPDX-License-Identifier: EUPL-1.2
"""Sending a whole export: its rows in, a report out, and a journal to go on with after whatever cut it off."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import BinaryIO

from verwijsindex.client.client import VerwijsindexClient
from verwijsindex.client.draft import SignalDraft
from verwijsindex.client.errors import ClientError, ConfigError
from verwijsindex.client.journal import Journal
from verwijsindex.client.outcome import Accepted, Limited, Outcome
from verwijsindex.client.posting import BATCH
from verwijsindex.client.report import Report
from verwijsindex.client.rows import FileRefused, RefusedRow, SignalRow, read_rows

Row = SignalRow | RefusedRow


def journal_of(client: VerwijsindexClient, file: BinaryIO, path: Path, *, again: bool = False) -> Journal:
    """The journal for an export that is sent by this client. Raises JournalError, OSError (`Journal`)."""
    belongs_to = {"index": client.index, "client": client.client_id, "file": client.fingerprint(file)}
    file.seek(0)
    return Journal(path, belongs_to, again=again)


def submit_file(
    client: VerwijsindexClient,
    file: BinaryIO,
    report: Report,
    journal: Journal | None = None,
    progress: Callable[[], None] = lambda: None,
) -> None:
    """Sends what can be sent of an export (`rows.read_rows`) and enters every row's fate in the report, in order.
    Rows that wait for their reporter's limit are in the report as such; the next run with the same journal sends them.

    Args:
        journal: `journal_of` this file; without one every row is sent, whatever an earlier run did.
        progress: called after each row whose fate is known.

    Raises:
        FileRefused: before anything is sent; or, at the end, when the file was changed meanwhile.
        ClientError: `VerwijsindexClient.submit`. JournalError: `Journal`.
    """
    for row, outcome in submit_rows(client, read_rows(file), journal):
        if isinstance(row, RefusedRow):
            report.refuse_row(row)
        elif isinstance(outcome, Accepted):
            report.accepted += 1
        elif isinstance(outcome, Limited):
            report.wait(outcome)
        elif outcome:
            report.refuse_signal(row.line, outcome)
        progress()
    if journal:
        file.seek(0)
        if client.fingerprint(file) != journal.belongs_to["file"]:
            raise FileRefused(
                "The file was changed while it was sent. Move its journal away and send the file as it is now: what"
                " was accepted is not sent twice."
            )
        journal.finish(client.clock())


def submit_rows(
    client: VerwijsindexClient, rows: Iterable[Row], journal: Journal | None = None
) -> Iterator[tuple[Row, Outcome | None]]:
    """Each row and what became of it, in order, None for one that was not sent. For who has another source of rows
    than a file: the same rows, with the same ascending numbers in `line`, must come again in every run.

    What the journal knows is told from it and not sent, also when something stands in the way of all that it does not
    know. At most some batches of BATCH rows are in memory. Call `Journal.finish` at the end. Raises ClientError,
    JournalError.
    """
    remaining = iter(rows)
    under_way: deque[list[tuple[Row, Outcome | None]]] = deque()

    def known(row: Row) -> Outcome | None:
        if journal and isinstance(row, SignalRow):
            return journal.recall(row.line, row.draft, client.key_of(row.draft))
        return None

    def batches() -> Iterator[list[SignalDraft]]:
        while batch := [(row, known(row)) for row in islice(remaining, BATCH)]:
            under_way.append(batch)
            yield [row.draft for row, outcome in batch if isinstance(row, SignalRow) and not outcome]

    try:
        for outcomes in client.submit_batches(batches()):
            told, batch = iter(outcomes), deque(under_way.popleft())
            while batch:
                row, outcome = batch[0]
                if isinstance(row, SignalRow) and not outcome:
                    outcome = next(told, None)
                    if not outcome:  # what stands in the way is raised by the next step
                        under_way.appendleft(list(batch))
                        break
                    if journal:
                        journal.keep(row.line, client.key_of(row.draft), outcome)
                batch.popleft()
                yield row, outcome
            if journal:
                journal.sync()
    except ConfigError:  # of the journal
        raise
    except ClientError:
        rest = chain(chain.from_iterable(under_way), ((row, known(row)) for row in remaining))
        for row, outcome in takewhile(lambda each: journal and each[0].line <= journal.known_to, rest):
            if outcome or not isinstance(row, SignalRow):
                yield row, outcome
        raise
