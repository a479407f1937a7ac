# SPDX-License-Identifier: EUPL-1.2
"""Bursts of pseudonyms against the own past (R37), as the service counts them and offers them to the index."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from support import CLINIC, SCHOOL, Database

from verwijsindex.pseudonyms.bursts import FLOOR, KEPT, OFFERED, PAST, Burst, Tally, bursts

TODAY = date(2026, 11, 22)
DAY = timedelta(days=1)


@pytest.fixture
def tally(pseudonyms_database: Database) -> "Counting":
    return Counting(pseudonyms_database)


class Counting:
    """The tally of one process, and what it offers."""

    def __init__(self, database: Database) -> None:
        self.tally, self.database = Tally(), database

    @contextmanager
    def connection(self) -> Iterator[sa.Connection]:
        with self.database.engine("pseudonyms", autocommit=True).connect() as connection:
            yield connection

    def count(self, reporter: UUID, elements: int, day: date = TODAY, oin: str = SCHOOL) -> None:
        with self.connection() as connection:
            self.tally.count(connection, oin, {reporter: elements}, day)

    def offered(self, today: date = TODAY) -> list[Burst]:
        with self.connection() as connection:
            return bursts(connection, today)


def test_a_newcomer_has_the_floor(tally: Counting) -> None:
    """Thirteen signals with two parents each are none. Seen failing with the floor one higher."""
    one, other = uuid4(), uuid4()
    tally.count(one, 13 * 3)
    tally.count(other, 13 * 3)
    tally.count(other, 1)
    assert tally.offered() == [Burst(SCHOOL, other, TODAY, 40, None)]


def test_the_own_past_says_what_is_much(tally: Counting) -> None:
    """Its highest day in eight weeks, of the same reporter and institution. Seen failing without the comparison."""
    who = uuid4()
    tally.count(who, 60, TODAY - PAST)
    tally.count(who, 500, TODAY - PAST - DAY)
    tally.count(who, 500, TODAY - DAY, CLINIC)
    tally.count(who, 120)
    assert [burst.oin for burst in tally.offered()] == [CLINIC]
    tally.count(who, 1)
    assert tally.offered()[0] == Burst(SCHOOL, who, TODAY, 121, 60)


def test_a_burst_is_offered_for_four_weeks_and_a_day_kept_for_twelve(tally: Counting) -> None:
    """docs/retention.md. Seen failing without the deletion."""
    who = uuid4()
    tally.count(who, FLOOR)
    assert len(tally.offered(TODAY + OFFERED)) == 1
    assert tally.offered(TODAY + OFFERED + DAY) == []
    tally.count(uuid4(), 1, TODAY + KEPT)
    assert tally.database.scalar("SELECT count(*) FROM evaluated") == 2
    tally.count(uuid4(), 1, TODAY + KEPT + DAY)
    assert tally.database.scalar("SELECT count(*) FROM evaluated") == 2


def test_who_doubles_every_day_is_seen(tally: Counting) -> None:
    """Seen failing when the own past was its highest day alone."""
    who = uuid4()
    for day, elements in enumerate((39, 78, 156)):
        tally.count(who, elements, TODAY - (2 - day) * DAY)
    assert tally.offered() == []
    tally.count(who, 1)
    assert [burst.elements for burst in tally.offered()] == [157]
