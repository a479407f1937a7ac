# SPDX-License-Identifier: EUPL-1.2
"""The end of a signal in days of Amsterdam (R3, R14)."""

from calendar import isleap
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verwijsindex.signals.dates import (
    AMSTERDAM,
    NotBornYet,
    NotUnder23,
    amsterdam_date,
    birthday,
    ends,
    misfit,
    turns_23_on,
    two_years_after,
    years_after,
)

days = st.dates(date(1990, 1, 1), date(2060, 12, 31))
moments = st.datetimes(datetime(2000, 1, 1), datetime(2060, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-12-31T22:59:59", date(2026, 12, 31)),
        ("2026-12-31T23:00:00", date(2027, 1, 1)),  # New Year comes an hour before UTC's
        ("2026-06-30T21:59:59", date(2026, 6, 30)),
        ("2026-06-30T22:00:00", date(2026, 7, 1)),  # and in summer two hours
        ("2028-02-28T23:00:00", date(2028, 2, 29)),
        ("2028-02-29T23:00:00", date(2028, 3, 1)),
        ("2026-03-28T22:59:59", date(2026, 3, 28)),  # the night in which summer time begins
        ("2026-03-28T23:00:00", date(2026, 3, 29)),
        ("2026-03-29T21:59:59", date(2026, 3, 29)),  # a day of 23 hours
        ("2026-03-29T22:00:00", date(2026, 3, 30)),
        ("2026-10-24T22:00:00", date(2026, 10, 25)),  # the night in which it ends
        ("2026-10-25T22:59:59", date(2026, 10, 25)),  # a day of 25 hours
        ("2026-10-25T23:00:00", date(2026, 10, 26)),
    ],
)
def test_a_moment_has_the_day_of_amsterdam(moment: str, day: date) -> None:
    assert amsterdam_date(utc(moment)) == day


@given(moments, st.integers(-14 * 60, 14 * 60))
def test_the_offset_a_moment_is_written_in_changes_nothing(moment: datetime, minutes: int) -> None:
    elsewhere = moment.astimezone(timezone(timedelta(minutes=minutes)))
    assert amsterdam_date(elsewhere) == amsterdam_date(moment)


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        amsterdam_date(datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("day", "later"),
    [
        (date(2026, 2, 28), date(2028, 2, 28)),
        (date(2026, 3, 1), date(2028, 3, 1)),
        (date(2028, 2, 29), date(2030, 2, 28)),
        (date(2028, 2, 28), date(2030, 2, 28)),
        (date(2025, 12, 31), date(2027, 12, 31)),
    ],
)
def test_two_years_after(day: date, later: date) -> None:
    assert two_years_after(day) == later


@pytest.mark.parametrize(
    ("born", "adult_on"),
    [
        (date(2004, 2, 29), date(2027, 2, 28)),
        (date(2005, 2, 28), date(2028, 2, 28)),  # not the 29th of that leap year
        (date(2005, 3, 1), date(2028, 3, 1)),
        (date(2003, 11, 22), date(2026, 11, 22)),
    ],
)
def test_the_23rd_birthday(born: date, adult_on: date) -> None:
    assert turns_23_on(born) == adult_on


def test_who_was_born_on_29_february_has_that_birthday_in_leap_years() -> None:
    assert birthday(date(2004, 2, 29), 20) == date(2024, 2, 29)


def test_every_leap_day_and_every_year() -> None:
    for year in range(1904, 2097, 4):
        for years in range(1, 24):
            later = years_after(date(year, 2, 29), years)
            assert (later.year, later.month) == (year + years, 2)
            assert later.day == (29 if isleap(year + years) else 28)


@given(days, st.integers(0, 30))
def test_years_after_keeps_month_and_day(day: date, years: int) -> None:
    later = years_after(day, years)
    assert later.year == day.year + years
    assert (later.month, later.day) == (day.month, day.day) or (day.month, day.day, later.day) == (2, 29, 28)


def test_a_child_is_told_without_a_birthday() -> None:
    told = ends(utc("2026-11-22T10:00:00"), date(2015, 5, 5))
    assert (told.removal_date, told.turns23_on) == (date(2028, 11, 22), None)


def test_a_birthday_before_the_two_years_are_over_ends_the_signal() -> None:
    told = ends(utc("2026-11-22T10:00:00"), date(2004, 5, 5))
    assert (told.removal_date, told.turns23_on) == (date(2027, 5, 5), date(2027, 5, 5))


def test_a_birthday_on_the_last_day_is_told_and_ends_it_too() -> None:
    told = ends(utc("2026-11-22T10:00:00"), date(2005, 11, 22))
    assert (told.removal_date, told.turns23_on) == (date(2028, 11, 22), date(2028, 11, 22))


def test_a_birthday_exactly_seven_years_on_is_told_and_the_day_after_is_not() -> None:
    made_at = utc("2026-11-22T10:00:00")
    assert ends(made_at, date(2010, 11, 22)).turns23_on == date(2033, 11, 22)
    assert ends(made_at, date(2010, 11, 23)).turns23_on is None


def test_the_last_moment_before_the_23rd_birthday_and_the_first_of_it() -> None:
    """Midnight of Amsterdam decides, not UTC's: with UTC's day the second of these was let through."""
    born = date(2003, 11, 22)
    assert ends(utc("2026-11-21T22:59:59"), born).removal_date == date(2026, 11, 22)
    with pytest.raises(NotUnder23):
        ends(utc("2026-11-21T23:00:00"), born)


def test_born_after_the_signal_is_refused_and_born_on_its_day_is_not() -> None:
    made_at = utc("2026-11-22T10:00:00")
    assert ends(made_at, date(2026, 11, 22)).removal_date == date(2028, 11, 22)
    with pytest.raises(NotBornYet):
        ends(made_at, date(2026, 11, 23))


@given(moments, days)
def test_what_the_sender_makes_fits_and_holds_r3(made_at: datetime, born: date) -> None:
    made_on = made_at.astimezone(AMSTERDAM).date()
    try:
        told = ends(made_at, born)
    except NotUnder23:
        assert turns_23_on(born) <= made_on
        return
    except NotBornYet:
        assert born > made_on
        return
    assert made_on < told.removal_date <= two_years_after(made_on)
    assert told.removal_date <= turns_23_on(born)
    assert (told.turns23_on is not None) == (turns_23_on(born) <= years_after(made_on, 7))
    assert misfit(made_at, told.removal_date, told.turns23_on) is None


@given(moments, days, st.none() | days)
def test_only_what_a_sender_could_have_made_fits(
    made_at: datetime, removal_date: date, turns23_on: date | None
) -> None:
    wrong = misfit(made_at, removal_date, turns23_on)
    made_on = amsterdam_date(made_at)
    if wrong is None:
        assert removal_date in {two_years_after(made_on), turns23_on}
        assert made_on < removal_date <= two_years_after(made_on)
    else:
        assert not any(character.isdigit() for character in wrong.detail.replace("23", ""))


@pytest.mark.parametrize(
    ("removal_date", "turns23_on", "field"),
    [
        (date(2028, 11, 21), None, "removal_date"),
        (date(2028, 11, 23), None, "removal_date"),
        (date(2027, 5, 5), None, "removal_date"),  # earlier without the birthday that makes it so
        (date(2028, 11, 22), date(2027, 5, 5), "removal_date"),  # later than the birthday
        (date(2028, 11, 23), date(2028, 11, 23), "removal_date"),  # the birthday comes after the two years
        (date(2026, 11, 22), date(2026, 11, 22), "turns23_on"),  # 23 on the day itself
        (date(2028, 11, 22), date(2033, 11, 23), "turns23_on"),  # a day too far
        (date(2028, 11, 22), date(2033, 11, 22), None),
        (date(2027, 5, 5), date(2027, 5, 5), None),
        (date(2026, 11, 23), date(2026, 11, 23), None),
        (date(2028, 11, 22), None, None),
    ],
)
def test_what_does_not_fit_is_named(removal_date: date, turns23_on: date | None, field: str | None) -> None:
    found = misfit(utc("2026-11-22T10:00:00"), removal_date, turns23_on)
    assert (found.field if found else None) == field


def test_dates_that_tell_a_birthday_are_shown_to_no_log() -> None:
    assert repr(ends(utc("2026-11-22T10:00:00"), date(2004, 5, 5))) == "Ends(hidden)"
