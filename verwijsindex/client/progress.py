# SPDX-License-Identifier: EUPL-1.2
"""How far a long command is, on standard error: a bar on a terminal, else a plain line now and then."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from verwijsindex.client.report import Report

LINE_EVERY = 10.0  # seconds


class Sending:
    """The progress of one file. `step` after each row; `tell` prints a line beside it, from any thread."""

    def __init__(self, console: Console, bar: Progress | None, size: int, position: Callable[[], int], report: Report):
        self._console = console
        self._bar = bar
        self._task = bar.add_task("", total=size, told="") if bar else None
        self._size = size
        self._position = position
        self._report = report
        self._began = self._shown = time.monotonic()

    def step(self) -> None:
        """A row's fate is known."""
        now = time.monotonic()
        if now - self._shown < (0.2 if self._bar else LINE_EVERY):
            return
        self._shown = now
        self._show(now)

    def _show(self, now: float) -> None:
        rate = (self._report.accepted + self._report.refused) / max(now - self._began, 0.001)
        told = f"{self._report.counts()}, {rate:.0f} a second"
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=self._position(), told=told)
        else:
            self.tell(f"{100 * self._position() // max(self._size, 1)} % read: {told}")

    def tell(self, line: str) -> None:
        """A line for who looks on."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def sending(size: int, position: Callable[[], int], report: Report, console: Console) -> Iterator[Sending]:
    """Shows how much of a file of `size` bytes is read, what became of its rows, how fast, and the time left."""
    if not console.is_terminal:
        yield Sending(console, None, size, position, report)
        return
    columns = TextColumn("{task.fields[told]}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as bar:
        shown = Sending(console, bar, size, position, report)
        yield shown
        shown._show(time.monotonic())
