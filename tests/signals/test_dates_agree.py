# SPDX-License-Identifier: EUPL-1.2
"""Python, SQL and docs/protocol.md count the days of a signal alike, on 29 February, at midnight in Amsterdam and on
the days of 23 and 25 hours (R3, R14, I6)."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import Database, Index

from verwijsindex.signals.dates import AMSTERDAM, amsterdam_date, ends, years_after

_FIRST, _LAST = date(2020, 1, 1), date(2060, 12, 31)


def _summer_time(year: int, month: int) -> date:
    """The last Sunday of March or October."""
    last = date(year, month, 31)
    return last - timedelta(days=(last.weekday() + 1) % 7)


_YEARS = st.integers(2020, 2060)
days = st.one_of(
    st.dates(_FIRST, _LAST),
    st.builds(lambda year: date(year, 3, 1) - timedelta(days=1), _YEARS),
    st.builds(_summer_time, _YEARS, st.sampled_from([3, 10])),
)
# Around midnight in Amsterdam, and around the hour that is twice or never.
moments = st.builds(
    lambda day, at, by: (datetime.combine(day, at, AMSTERDAM) + timedelta(milliseconds=by)).astimezone(UTC),
    days,
    st.sampled_from([time(0), time(2), time(3), time(12)]),
    st.sampled_from([-1, 0, 1, 1800_000]),
)
_COUNTED = sa.text(
    "SELECT (i.moment AT TIME ZONE 'Europe/Amsterdam')::date AS day,"
    " ((i.moment AT TIME ZONE 'Europe/Amsterdam')::date + interval '2 years')::date AS two_years,"
    " (i.moment AT TIME ZONE 'Europe/Amsterdam')::date::timestamp AT TIME ZONE 'Europe/Amsterdam' AS midnight"
    " FROM unnest(CAST(:moments AS timestamptz[])) WITH ORDINALITY i (moment, n) ORDER BY i.n"
)


@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(st.lists(moments, min_size=1, max_size=40))
def test_postgresql_counts_days_as_python_does(index_database: Database, them: list[datetime]) -> None:
    """The day of a moment, two years later, and the moment at which a removal date begins: what constraints, views,
    standings, withdrawals and the sweep are made of."""
    for moment, found in zip(them, index_database.rows(str(_COUNTED), moments=them), strict=True):
        day = amsterdam_date(moment)
        assert found.day == day, moment
        assert found.two_years == years_after(day, 2), moment
        assert found.midnight == datetime.combine(day, time(), AMSTERDAM), moment


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(removal=days, moment=moments)
def test_a_signal_lives_while_today_is_before_its_removal_date(index: Index, removal: date, moment: datetime) -> None:
    """By the views' function, by the policy of the own list, and by the span of a standing, at any moment. Seen failing
    when `placed_signals` took the removal date itself for a day of life."""
    signal = _only_signal(index)
    with index.database.superuser.begin() as connection:
        change = "UPDATE signal SET removal_date = :removal, made_at = :made WHERE id = :id"
        made = datetime.combine(removal - timedelta(days=300), time(), AMSTERDAM)
        connection.execute(sa.text(change), {"removal": removal, "made": made, "id": signal})
    lives = amsterdam_date(moment) < removal
    today = amsterdam_date(moment)
    for function in ("placed_signals", "live_signals"):
        assert (index.database.rows(f"SELECT FROM {function}(:today)", today=today) != []) == lives
    ends_at = index.database.scalar("SELECT removal_date::timestamp AT TIME ZONE 'Europe/Amsterdam' FROM signal")
    assert (moment < ends_at) == lives
    index.clock.now = moment
    items = index.get("/signals", index.reader()).json["items"]
    assert [item["id"] for item in items] == ([str(signal)] if lives else [])


def _only_signal(index: Index) -> UUID:
    found = index.database.rows("SELECT id FROM signal")
    if found:
        return UUID(str(found[0][0]))
    with index.database.superuser.begin() as connection:
        connection.execute(sa.text("UPDATE reporter SET designated_from = '2000-01-01'"))
    return index.place(0)


@pytest.fixture(scope="module")
def told() -> Callable[[date, date], tuple[date | None, date] | None]:
    """The three lines of docs/protocol.md about the removal date, read and done as they stand there."""
    page = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
    for line in (
        "T = B, 23 years later          T on or before D: 23 or older, do not send",
        "turns23On   = T if T is on or before D, 7 years later; else left out",
        "removalDate = the earlier of T and D, 2 years later",
        "save that 29 February becomes 28 February in a year without one",
    ):
        assert line in page

    def later(day: date, years: int) -> date:
        is_29 = (day.month, day.day) == (2, 29)
        leap = (day.year + years) % 4 == 0  # within the years of this test
        return date(day.year + years, day.month, 28 if is_29 and not leap else day.day)

    def of(made: date, born: date) -> tuple[date | None, date] | None:
        of_age = later(born, 23)
        if of_age <= made:
            return None
        return (of_age if of_age <= later(made, 7) else None, min(of_age, later(made, 2)))

    return of


@given(made_at=moments, age=st.integers(0, 22 * 365))
def test_the_protocol_says_what_the_code_does(
    told: Callable[[date, date], tuple[date | None, date] | None], made_at: datetime, age: int
) -> None:
    made = amsterdam_date(made_at)
    born = made - timedelta(days=age)
    found = ends(made_at, born)
    assert (found.turns23_on, found.removal_date) == told(made, born)
