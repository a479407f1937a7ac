# SPDX-License-Identifier: EUPL-1.2
"""Every benchmark, one after the other, and the table that docs/performance.md keeps: `python -m bench`."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import ends, figures, intake, latency, ledger, matcher, pseudonyms, turn, webhooks
from bench.figures import Figure

KEPT = Path("dist") / "bench.json"
DOCUMENT = Path("docs") / "performance.md"
MARK = "<!-- measured: what follows is written by `make bench KEEP=1` -->\n"


def main(
    full: Annotated[bool, typer.Option(help="Large: as many rows as the country has, ten times over.")] = False,
    keep: Annotated[bool, typer.Option(help=f"Write the tables into {DOCUMENT} as well.")] = False,
) -> None:
    """Measure everything, each figure beside a ceiling of the same run. Have the machine do nothing else."""
    console = Console(width=170)
    began, load = datetime.now(UTC), os.getloadavg()[0]
    groups: dict[str, Sequence[Figure]] = {}

    def measured(title: str, group: Sequence[Figure]) -> None:
        groups[title] = group
        figures.show(console, title, group)

    measured("Intake", intake.measure(console, full=full))
    measured("Matcher", matcher.measure(console, full=full, intake=groups["Intake"][0].value))
    measured("Ledger", ledger.measure(console, full=full, intake_rate=groups["Intake"][0].value))
    measured("Ends", ends.measure(console, full=full))
    measured("Pseudonym service", pseudonyms.measure(console, full=full))
    measured("Turning a key", turn.measure(console, full=full))
    measured("Webhooks", webhooks.measure(console, full=full))
    measured("From a signal to who is told", latency.measure(console, full=full))
    command = f"make bench{' FULL=1' if full else ''}"
    at, noise = began.strftime("%Y-%m-%d"), f"load of the machine before it began: {load:.1f}"
    figures.keep(KEPT, groups, command=command, at=at, load=noise)
    if keep:
        before, _, _ = DOCUMENT.read_text().partition(MARK)
        DOCUMENT.write_text(before + MARK + "\n" + figures.markdown(KEPT.read_text()))
    console.print(f"{command}: {_minutes(began):.0f} minutes, on {figures.machine()}; kept in {KEPT}")


def _minutes(began: datetime) -> float:
    return (datetime.now(UTC) - began).total_seconds() / 60


if __name__ == "__main__":
    typer.run(main)
