# SPDX-License-Identifier: EUPL-1.2
"""Dutch working days (R21): Monday to Friday, but for the days of article 3 of the Algemene termijnenwet: the public
holidays, Good Friday, and the fifth of May in every year (which is a day off for many only in some)."""

from datetime import date, timedelta
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holidays import HolidayBase


@cache
def _holidays() -> "HolidayBase":
    from holidays import country_holidays  # noqa: PLC0415 (slow to import, and most processes ask for no day)

    return country_holidays("NL")


def is_working_day(day: date) -> bool:
    """Whether people are at work on this day in the Netherlands."""
    return day.weekday() < 5 and day not in _holidays() and (day.month, day.day) != (5, 5)


def working_days_after(day: date, number: int) -> date:
    """The working day that is so many working days after `day`, which does not count itself: told on a Friday, five
    working days end on the Friday after."""
    while number:
        day += timedelta(days=1)
        number -= is_working_day(day)
    return day
