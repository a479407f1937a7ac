# SPDX-License-Identifier: EUPL-1.2
"""Sends the exports, each institution through its own client with its own key, all at the same time."""

import csv
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from verwijsindex.client import ClientConfig, Report, VerwijsindexClient
from verwijsindex.client.faults import ADVICE, WHOLE_ROW
from verwijsindex.client.sending import submit_file
from verwijsindex.demo.registering import Institution


class Interrupted(Exception):  # noqa: N818 (it is no error)
    """The demo is being stopped: send no more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one institution's export: how many rows were accepted, and each fault of a refused one as
    `line, case_reference, column, code, advice` (no BSN)."""

    accepted: int
    refused: int
    faults: list[dict[str, str]]

    @property
    def refused_by_index(self) -> int:
        """How many rows the index refused because of who sent them (403): each is an event in the ledger."""
        return sum(fault["column"] == WHOLE_ROW and fault["code"] not in ADVICE for fault in self.faults)

    def codes_by_line(self) -> dict[int, set[str]]:
        """The faults of each refused row."""
        found: defaultdict[int, set[str]] = defaultdict(set)
        for fault in self.faults:
            found[int(fault["line"])].add(fault["code"])
        return found


def send_all(
    exports: Iterable[tuple[Institution, Path]], progress: Callable[[], None], stop: threading.Event
) -> dict[str, Outcome]:
    """Send every export; the outcomes by the client's id.

    Args:
        progress: called after each row, by the thread that sent it.
        stop: ends the sending at the next row of each institution.
    """

    def step() -> None:
        if stop.is_set():
            raise Interrupted
        progress()

    chosen = list(exports)
    with ThreadPoolExecutor(len(chosen), thread_name_prefix="institution") as threads:
        try:
            outcomes = threads.map(lambda pair: _send(pair[0], pair[1], step), chosen)
            return {one.role.client_id: outcome for (one, _), outcome in zip(chosen, outcomes, strict=True)}
        except BaseException:
            stop.set()
            raise


def _send(one: Institution, export: Path, progress: Callable[[], None]) -> Outcome:
    """The same as `verwijsindex client send EXPORT --refused REPORT`."""
    path = one.config.parent / "refused.csv"
    with (
        VerwijsindexClient(ClientConfig.load(one.config)) as client,
        export.open("rb") as rows,
        Report(path) as report,
    ):
        submit_file(client, rows, report, progress=progress)
    with path.open(encoding="utf-8", newline="") as file:
        return Outcome(report.accepted, report.refused, list(csv.DictReader(file)))
