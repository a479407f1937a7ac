# SPDX-License-Identifier: EUPL-1.2
"""Who is told of whom, in plain Python: R8 and R9 with the settled readings "Telling", and when a signal ends (R14).

Nothing here knows of tables or SQL. A reporter stands on a youngster from the first of its signals until the day on
which none is left: that stretch is one party. A match lasts while two or more reporters stand; who comes after it
is over comes into another.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from datetime import date

Stretch = int
"""The number of the signal that began it."""
Inboxes = dict[str, list[tuple[int, Hashable]]]
"""By recipient: the youngster and the match of each notice."""


@dataclass(frozen=True)
class Signal:
    """What a matcher may know of a signal. `number` counts all signals in the order in which they came."""

    number: int
    youngster: int
    reporter: str
    municipality: str
    came: date
    removal: date


@dataclass(frozen=True)
class Known:
    """What was told last of one youngster."""

    name: int
    period: Stretch
    parties: dict[str, Stretch]
    municipalities: dict[str, Stretch]


@dataclass
class Model:
    """Signals come in with `place`, `run` looks at the oldest that wait; `inboxes` holds who was told of what."""

    waiting: list[Signal] = field(default_factory=list)
    seen: dict[int, list[Signal]] = field(default_factory=lambda: defaultdict(list))
    known: dict[int, Known] = field(default_factory=dict)
    inboxes: Inboxes = field(default_factory=lambda: defaultdict(list))
    _names: int = 0

    def place(self, signal: Signal) -> None:
        self.waiting.append(signal)

    def run(self, today: date, size: int) -> None:
        batch, self.waiting = self.waiting[:size], self.waiting[size:]
        for signal in batch:
            self.seen[signal.youngster].append(signal)
        for youngster in sorted({signal.youngster for signal in batch}):
            self._tell(youngster, today)

    def live(self, youngster: int, today: date) -> dict[str, Stretch]:
        """The parties that there should be on a day: none unless two or more reporters stand."""
        standing = _stretches(((s.reporter, s) for s in self.seen[youngster]), today)
        return standing if len(standing) > 1 else {}

    def supervising(self, youngster: int, today: date) -> dict[str, Stretch]:
        """The residence municipalities among the live signals of a match."""
        if not self.live(youngster, today):
            return {}
        return _stretches(((s.municipality, s) for s in self.seen[youngster]), today)

    def _tell(self, youngster: int, today: date) -> None:
        parties, municipalities = self.live(youngster, today), self.supervising(youngster, today)
        before = self.known.pop(youngster, None)
        if not parties:
            return
        period = self._period(youngster)
        if before is None or before.period != period:
            self._names += 1
            before = Known(self._names, period, {}, {})
        self.known[youngster] = Known(before.name, period, parties, municipalities)
        if parties.items() - before.parties.items():
            told = [*parties, *municipalities]
        else:
            told = [code for code, began in municipalities.items() if before.municipalities.get(code) != began]
        for recipient in told:
            self.inboxes[recipient].append((youngster, before.name))

    def _period(self, youngster: int) -> Stretch:
        """The signal with which the present stretch of two or more reporters began."""
        began = 0
        signals = self.seen[youngster]
        for i, signal in enumerate(signals):
            before = len({s.reporter for s in signals[:i] if s.removal > signal.came})
            after = len({s.reporter for s in signals[: i + 1] if s.removal > signal.came})
            if before < 2 <= after:
                began = signal.number
        return began


def _stretches(signals: Iterable[tuple[str, Signal]], today: date) -> dict[str, Stretch]:
    began: dict[str, Stretch] = {}
    until: dict[str, date] = {}
    for holder, signal in signals:
        if holder not in until or signal.came >= until[holder]:
            began[holder], until[holder] = signal.number, signal.removal
        until[holder] = max(until[holder], signal.removal)
    return {holder: began[holder] for holder in began if until[holder] > today}


def alike(one: Inboxes, other: Inboxes) -> bool:
    """Whether two sets of inboxes say the same, when each may name its matches in its own way."""

    def lines(inboxes: Inboxes) -> list[tuple[int, list[str]]]:
        by_match: dict[tuple[int, Hashable], list[str]] = defaultdict(list)
        for recipient, told in inboxes.items():
            for line in told:
                by_match[line].append(recipient)
        return sorted((youngster, sorted(recipients)) for (youngster, _), recipients in by_match.items())

    return lines(one) == lines(other)
