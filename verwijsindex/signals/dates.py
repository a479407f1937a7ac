# SPDX-License-Identifier: EUPL-1.2
"""When a signal ends, counted in days of Amsterdam (R3, R14).

Pure, and without any import from the house: the sender computes with it what the index checks with it.
"""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

AMSTERDAM = ZoneInfo("Europe/Amsterdam")

ADULT_AT = 23
"""The age at which a youngster is one no more (Jeugdwet 7.1.1.1)."""
LIVES_YEARS = 2
"""How long a signal lives at most (Jeugdwet 7.1.4.5)."""
TOLD_YEARS = 7
"""The 23rd birthday is told only when it can bound the two years of a signal and the five of its archive."""


class NotUnder23(ValueError):  # noqa: N818 (it says what holds)
    """Who is 23 or older on the day of the signal is no youngster (R3). The text holds no date."""


class NotBornYet(ValueError):  # noqa: N818
    """The birth date is after the day of the signal. The text holds no date."""


@dataclass(frozen=True, slots=True, repr=False)
class Ends:
    """What the sender tells of a signal's end, in the place of a birth date. Shows no date to a log."""

    removal_date: date
    """The first day on which the signal lives no more."""
    turns23_on: date | None
    """The 23rd birthday, only where it is within seven years of the signal."""

    def __repr__(self) -> str:
        return "Ends(hidden)"


@dataclass(frozen=True, slots=True)
class Misfit:
    """Which of two dates cannot be, and why, in words that hold neither."""

    field: str
    """`removal_date` or `turns23_on`."""
    detail: str


def amsterdam_date(moment: datetime) -> date:
    """The calendar day of a moment where the law counts days. Raises ValueError where it has no time zone."""
    if moment.tzinfo is None:
        raise ValueError("a moment has a time zone")
    return moment.astimezone(AMSTERDAM).date()


def years_after(day: date, years: int) -> date:
    """The same day `years` later; of 29 February, 28 February in a year that has no 29th (R14)."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)


def two_years_after(made_on: date) -> date:
    """The removal date of a signal of that day, where no birthday comes first (R14)."""
    return years_after(made_on, LIVES_YEARS)


def birthday(born: date, age: int) -> date:
    """The day somebody reaches an age; born on 29 February, that is the 28th in years without a 29th."""
    return years_after(born, age)


def turns_23_on(born: date) -> date:
    """The 23rd birthday: from this day on somebody is no youngster."""
    return birthday(born, ADULT_AT)


def ends(made_at: datetime, born: date) -> Ends:
    """What the sender of a signal tells of its end (R3).

    Args:
        made_at: the moment of the signal, with a time zone.
        born: the birth date, which goes no further than here.

    Raises:
        NotUnder23: 23 or older on the Amsterdam day of the signal.
        NotBornYet: born after that day.
    """
    made_on = amsterdam_date(made_at)
    if born > made_on:
        raise NotBornYet("the birth date is after the day of the signal")
    adult_on = turns_23_on(born)
    if adult_on <= made_on:
        raise NotUnder23("23 or older on the day of the signal")
    told = adult_on if adult_on <= years_after(made_on, TOLD_YEARS) else None
    return Ends(removal_date=min(two_years_after(made_on), adult_on), turns23_on=told)


def misfit(made_at: datetime, removal_date: date, turns23_on: date | None) -> Misfit | None:
    """What is wrong with the dates that came with a signal, or None when they are as `ends` makes them (R3).

    The index has no birth date: it cannot see that a `turns23_on` was left out, or belongs to somebody else.
    Whether somebody is 23 by the time of receipt is not looked at here.
    """
    made_on = amsterdam_date(made_at)
    if turns23_on is not None:
        if turns23_on <= made_on:
            return Misfit("turns23_on", "Who is 23 or older on the day of the signal cannot be signalled.")
        if turns23_on > years_after(made_on, TOLD_YEARS):
            return Misfit("turns23_on", "Leave out a 23rd birthday more than seven years after madeAt.")
    two_years = two_years_after(made_on)
    if removal_date != (two_years if turns23_on is None else min(two_years, turns23_on)):
        return Misfit("removal_date", "It must be two years after madeAt's day in Amsterdam, or an earlier turns23On.")
    return None
