# SPDX-License-Identifier: EUPL-1.2
"""Dutch working days (R21): Monday to Friday, but for the public holidays."""

from datetime import date, timedelta

from holidays import country_holidays

_HOLIDAYS = country_holidays("NL")


def is_working_day(day: date) -> bool:
    """Whether people are at work on this day in the Netherlands."""
    return day.weekday() < 5 and day not in _HOLIDAYS


def working_days_after(day: date, number: int) -> date:
    """The working day that is so many working days after `day`, which does not count itself: told on a Friday, five
    working days end on the Friday after."""
    while number:
        day += timedelta(days=1)
        number -= is_working_day(day)
    return day
