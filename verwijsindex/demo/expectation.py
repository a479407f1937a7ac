# SPDX-License-Identifier: EUPL-1.2
"""What R8 and R9 say of signals, in plain Python and without any of the index's own code: what the demo must find."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Sent:
    """A signal that is accepted. `youngster` is only compared, never shown."""

    reporter: UUID
    youngster: str = field(repr=False)
    residence: str
    case_reference: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """The live signals on one youngster: who signals, where it lives, and each reporter's own references."""

    reporters: frozenset[UUID]
    residences: frozenset[str]
    references: dict[UUID, frozenset[str]]

    @property
    def is_match(self) -> bool:
        """R8: two or more reporters; one reporter with two signals is none (R9)."""
        return len(self.reporters) > 1


class Expectation:
    """What must be found after these signals, and nothing else."""

    def __init__(self, signals: Iterable[Sent]) -> None:
        by_youngster: defaultdict[str, list[Sent]] = defaultdict(list)
        self.references: defaultdict[UUID, list[str]] = defaultdict(list)
        self.signals = 0
        for signal in signals:
            self.signals += 1
            by_youngster[signal.youngster].append(signal)
            self.references[signal.reporter].append(signal.case_reference or "")
        self.matches = [group for group in map(_group, by_youngster.values()) if group.is_match]

    @property
    def parties(self) -> int:
        """How many parties all matches have together."""
        return sum(len(match.reporters) for match in self.matches)


def _group(signals: list[Sent]) -> Group:
    references: defaultdict[UUID, set[str]] = defaultdict(set)
    for signal in signals:
        if signal.case_reference:
            references[signal.reporter].add(signal.case_reference)
    reporters = frozenset(signal.reporter for signal in signals)
    return Group(
        reporters=reporters,
        residences=frozenset(signal.residence for signal in signals),
        references={reporter: frozenset(references[reporter]) for reporter in reporters},
    )
