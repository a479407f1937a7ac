# SPDX-License-Identifier: EUPL-1.2
"""Quarters: the only periods of which figures are published, so that none overlap and nothing is found by subtracting
one from another (R32)."""

from dataclasses import dataclass
from datetime import date, datetime, time

from verwijsindex.signals.dates import AMSTERDAM

MONTHS = 3


@dataclass(frozen=True, slots=True, order=True)
class Quarter:
    """A quarter of a year. `number`: 1 to 4."""

    year: int
    number: int

    @classmethod
    def of(cls, day: date) -> "Quarter":
        """The one in which this day lies."""
        return cls(day.year, (day.month - 1) // MONTHS + 1)

    @classmethod
    def parse(cls, text: str) -> "Quarter":
        """The one written as 2026-Q3. Raises ValueError for anything else."""
        year, _, number = text.partition("-Q")
        return cls.of(date(int(year), int(number) * MONTHS, 1))

    def __str__(self) -> str:
        return f"{self.year}-Q{self.number}"

    @property
    def first_day(self) -> date:
        """Its first day."""
        return date(self.year, (self.number - 1) * MONTHS + 1, 1)

    @property
    def next(self) -> "Quarter":
        """The one after it."""
        return Quarter(self.year, self.number + 1) if self.number < 4 else Quarter(self.year + 1, 1)

    @property
    def began_at(self) -> datetime:
        """Its first moment, in Amsterdam."""
        return datetime.combine(self.first_day, time(), AMSTERDAM)

    @property
    def published_from(self) -> date:
        """The first day on which its figures are published: a month after its end, when the default deadlines of its
        rounds are over."""
        after = self.next.first_day
        return after.replace(month=after.month + 1)
