# SPDX-License-Identifier: EUPL-1.2
"""What a benchmark found: figures, each beside a ceiling measured in the same run, and the table that shows them."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured.

    `value` and `ceiling` are in `unit`; `ratio` of the two is what can be compared between machines. `goal` is the
    ratio that was asked for, at least or (`at_most`) at most; None where none was.
    """

    name: str
    value: float
    unit: str
    beside: str = ""
    ceiling: float | None = None
    goal: float | None = None
    at_most: bool = False

    @property
    def ratio(self) -> float | None:
        """Value to ceiling."""
        return self.value / self.ceiling if self.ceiling else None

    @property
    def reached(self) -> bool | None:
        """Whether the goal is; None without one."""
        if self.goal is None or self.ratio is None:
            return None
        return self.ratio <= self.goal if self.at_most else self.ratio >= self.goal

    def cells(self) -> tuple[str, ...]:
        """As it stands in a table."""
        goal = "" if self.goal is None else f"{'at most' if self.at_most else 'at least'} {self.goal:g}"
        verdict = {None: "", True: " ✓", False: " ✗"}[self.reached]
        return (
            self.name,
            _number(self.value, self.unit),
            f"{self.beside}: {_number(self.ceiling, self.unit)}" if self.ceiling is not None else "",
            "" if self.ratio is None else f"{self.ratio:.2f}",
            goal + verdict,
        )


_HEADS = ("what", "measured", "beside, in the same run", "ratio", "goal")


def _number(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def show(console: Console, title: str, figures: Sequence[Figure]) -> None:
    """The figures as a table on a terminal."""
    table = Table(*_HEADS, title=title)
    for figure in figures:
        table.add_row(*figure.cells())
    console.print(table)


def machine() -> str:
    """The machine in a few words."""
    with open("/proc/cpuinfo") as file:
        model = next((line.partition(": ")[2].strip() for line in file if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores ({model or platform.machine()}), {memory:.0f} GiB, Python {platform.python_version()}"


def keep(path: Path, groups: Mapping[str, Sequence[Figure]], *, command: str, at: str, load: str) -> None:
    """Write them as JSON, from which docs/performance.md is made."""
    path.parent.mkdir(exist_ok=True)
    found = {"machine": machine(), "command": command, "at": at, "load": load}
    figures = {title: [asdict(figure) for figure in group] for title, group in groups.items()}
    path.write_text(json.dumps(found | {"figures": figures}, indent=2))


def markdown(kept: str) -> str:
    """The tables of docs/performance.md, from what `keep` wrote."""
    found = json.loads(kept)
    lines = [f"Measured {found['at']} by `{found['command']}` on {found['machine']}; {found['load']}.", ""]
    for title, group in found["figures"].items():
        lines += [f"### {title}", "", f"| {' | '.join(_HEADS)} |", "|---" * len(_HEADS) + "|"]
        lines += [f"| {' | '.join(Figure(**figure).cells())} |" for figure in group]
        lines += [""]
    return "\n".join(lines)
