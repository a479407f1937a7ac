# SPDX-License-Identifier: EUPL-1.2
"""Whether times tell of which class a post was: two tests without any assumption about how times are spread.

python tests/system/timing.py        writes the table of the last long run (dist/timing.json) into docs/reliability.md
"""

import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "dist" / "timing.json"
DOCUMENT = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- timing: begin -->\n", "<!-- timing: end -->\n"
CHANCE = 1e-9
"""A difference counts as found when chance alone would show one so large less often than this."""


@dataclass(frozen=True)
class Comparison:
    """Two classes of posts. Times in milliseconds."""

    one: str
    other: str
    median_one: float
    median_other: float
    spread: float
    """Between the quartiles of both together."""
    superiority: float
    """How often a post of `other` took longer than one of `one`; a half when the class makes no difference."""
    p_rank: float
    """Of Mann and Whitney's test."""
    p_form: float
    """Of Kolmogorov and Smirnov's: also finds what only a few posts show."""
    would_find: float
    """The smallest delay of every post of one class that these posts would have shown."""

    @property
    def tells(self) -> bool:
        """Whether the class shows in the times."""
        return min(self.p_rank, self.p_form) < CHANCE


def compare(times: Mapping[str, Sequence[float]]) -> list[Comparison]:
    """Each two classes. `times`: of each post in milliseconds, by class."""
    return [_compare(one, times[one], other, times[other]) for one, other in combinations(times, 2)]


def _compare(one: str, a: Sequence[float], other: str, b: Sequence[float]) -> Comparison:
    superiority, p_rank = mann_whitney(a, b)
    quartiles = statistics.quantiles([*a, *b])
    low, high = 0.0, max(*a, *b)
    for _ in range(20):
        middle = (low + high) / 2
        found = mann_whitney(a, [value + middle for value in b])[1] < CHANCE
        low, high = (low, middle) if found else (middle, high)
    return Comparison(
        one,
        other,
        statistics.median(a),
        statistics.median(b),
        quartiles[2] - quartiles[0],
        superiority,
        p_rank,
        kolmogorov_smirnov(a, b),
        high,
    )


def mann_whitney(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """How often a value of `b` is above one of `a` (a tie counts half), and how probable that is by chance.

    By the normal approximation without its correction for ties: fit for hundreds of times of microseconds' precision.
    """
    ranked = sorted([(value, 0) for value in a] + [(value, 1) for value in b])
    rank_sum, place = 0.0, 0
    while place < len(ranked):
        end = place
        while end < len(ranked) and ranked[end][0] == ranked[place][0]:
            end += 1
        rank_sum += (place + 1 + end) / 2 * sum(which for _, which in ranked[place:end])
        place = end
    pairs = len(a) * len(b)
    above = rank_sum - len(b) * (len(b) + 1) / 2
    z = (above - pairs / 2) / math.sqrt(pairs * (len(a) + len(b) + 1) / 12)
    return above / pairs, math.erfc(abs(z) / math.sqrt(2))


def kolmogorov_smirnov(a: Sequence[float], b: Sequence[float]) -> float:
    """How probable the largest distance between the two distributions is by chance (its bound for many values)."""
    a, b = sorted(a), sorted(b)
    i = j = 0
    distance = 0.0
    while i < len(a) and j < len(b):
        value = min(a[i], b[j])
        while i < len(a) and a[i] == value:
            i += 1
        while j < len(b) and b[j] == value:
            j += 1
        distance = max(distance, abs(i / len(a) - j / len(b)))
    return min(1.0, 2 * math.exp(-2 * distance**2 * len(a) * len(b) / (len(a) + len(b))))


def keep(times: Mapping[str, Sequence[float]], found: Sequence[Comparison]) -> None:
    """Write a run down."""
    FILE.parent.mkdir(exist_ok=True)
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    run = {
        "day": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": machine,
        "posts": {name: len(values) for name, values in times.items()},
        "comparisons": [asdict(one) for one in found],
    }
    FILE.write_text(json.dumps(run, indent=1))


def table(found: Sequence[Comparison]) -> str:
    """Markdown."""
    lines = [
        "| Classes | Medians | Difference, in spreads | Longer in | p (rank) | p (form) | Would have found |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for one in found:
        difference = (one.median_other - one.median_one) / one.spread
        lines.append(
            f"| {one.one}, {one.other} | {one.median_one:.2f}, {one.median_other:.2f} ms | {difference:+.3f} |"
            f" {one.superiority:.1%} | {one.p_rank:.2g} | {one.p_form:.2g} | {one.would_find:.2f} ms |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Put the table of the last long run into the document."""
    if not FILE.exists():
        sys.exit(f"there is no {FILE}: run make test-long first")
    run = json.loads(FILE.read_text())
    each = ", ".join(f"{count} {name}" for name, count in run["posts"].items())
    text = f"{sum(run['posts'].values())} posts ({each}), {run['day']}; {run['machine']}.\n\n"
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    found = [Comparison(**one) for one in run["comparisons"]]
    DOCUMENT.write_text(before + BEGIN + text + table(found) + END + after)


if __name__ == "__main__":
    main()
