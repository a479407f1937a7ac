# SPDX-License-Identifier: EUPL-1.2
"""What a run under fire found, as JSON in dist/fire/; `python -m` of this file makes the tables of docs/reliability.md.

python tests/system/fire/results.py        writes the tables of all runs in dist/fire/ into the document
"""

import json
import os
import platform
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from system.fire.chaos import Kill
    from system.fire.judging import Counts

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "dist" / "fire"
DOCUMENT = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- results: begin -->\n", "<!-- results: end -->\n"


def keep(
    name: str, seed: int, began: float, kills: "Sequence[Kill]", counts: "Counts", statuses: Mapping[str, int]
) -> None:
    """Write down one run; `began` by the monotonic clock."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    found = {
        "seed": seed,
        "seconds": round(time.monotonic() - began),
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}",
        "day": time.strftime("%Y-%m-%d", time.gmtime()),
        "kills": [{"victim": kill.victim, "backAfter": round(kill.back_after, 1)} for kill in kills],
        "counts": asdict(counts),
        "statuses": dict(statuses),
    }
    (FOLDER / f"{name}-{seed}.json").write_text(json.dumps(found, indent=1))


def tables(runs: Sequence[dict[str, Any]]) -> str:
    """Markdown of all runs together: what was killed and how soon it was back, and how much there was of everything."""
    back: dict[str, list[float]] = defaultdict(list)
    total: dict[str, int] = defaultdict(int)
    for run in runs:
        for kill in run["kills"]:
            back[kill["victim"]].append(kill["backAfter"])
        for what, number in (*run["counts"].items(), *run["statuses"].items()):
            total[what] += number
    kills = sum(map(len, back.values()))
    days = sorted({run["day"] for run in runs})
    lines = [
        f"{kills} kills in {len(runs)} runs (seeds {', '.join(str(run['seed']) for run in runs)}), {days[0]}"
        + (f" to {days[-1]}" if days[1:] else "")
        + f", {sum(run['seconds'] for run in runs)} s in all; {runs[0]['machine']}.",
        "",
        "| Killed | Times | Back after, median | 95 % | Longest |",
        "|---|--:|--:|--:|--:|",
        *(_row(victim, seconds) for victim, seconds in sorted(back.items())),
        _row("all", [second for seconds in back.values() for second in seconds]),
        "",
        "| Under that load | |",
        "|---|--:|",
        f"| signals that got their 201, each there once in the end | {total.pop('signals')} |",
        f"| matches | {total.pop('matches')} |",
        f"| lines in inboxes | {total.pop('notices')} |",
        f"| webhooks due | {total.pop('webhooks')} |",
        f"| webhooks received, repeats among them | {total.pop('webhooks_received')} |",
        *(f"| answers {what} | {number} |" for what, number in sorted(total.items())),
    ]
    return "\n".join(lines) + "\n"


def _row(victim: str, seconds: list[float]) -> str:
    seconds = sorted(seconds)
    middle, late = statistics.median(seconds), seconds[max(0, -(-95 * len(seconds) // 100) - 1)]
    return f"| {victim} | {len(seconds)} | {middle:.1f} s | {late:.1f} s | {seconds[-1]:.1f} s |"


def main() -> None:
    """Put the tables of dist/fire/ into the document."""
    runs = [json.loads(file.read_text()) for file in sorted(FOLDER.glob("kills-*.json"))]
    if not runs:
        sys.exit(f"no results in {FOLDER}: run make test-long first")
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(before + BEGIN + tables(runs) + END + after)


if __name__ == "__main__":
    main()
