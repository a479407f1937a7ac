# SPDX-License-Identifier: EUPL-1.2
"""Limits of R37: never more over any number of processes and threads, and the last one is given out."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import repeat

import pytest
import sqlalchemy as sa
from support import NOW, Database, MovableClock

from verwijsindex.database import engine
from verwijsindex.limits.service import HOUR, Demand, Limit, Limiter

ROLE = "verwijsindex_pseudonyms"


class Process:
    """A process with its own leases, which counts its round trips."""

    def __init__(self, database: Database, clock: MovableClock, only: str = "true") -> None:
        self.pool = engine(database.urls[ROLE], pool_size=8, autocommit=True)
        self.limiter = Limiter(only)
        self.clock = clock
        self.leased = 0

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        self.leased += 1
        with self.pool.connect() as connection:
            yield connection

    def take(self, *demands: Demand) -> int | None:
        """None when all of it was taken, else the seconds to wait."""
        return self.take_each([demands])[0]

    def take_each(self, asked: Sequence[Sequence[Demand]]) -> list[int | None]:
        found = self.limiter.take(self.connect, asked, self.clock())
        return [reached.retry_after if reached else None for reached in found]


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def processes(pseudonyms_database: Database, clock: MovableClock) -> Iterator[list[Process]]:
    made = [Process(pseudonyms_database, clock) for _ in range(4)]
    yield made
    for process in made:
        process.pool.dispose()


def taken(database: Database) -> dict[str, int]:
    rows = database.rows("SELECT name || ' ' || subject AS what, taken FROM limit_counter ORDER BY window_start")
    return {str(row.what): int(row.taken) for row in rows}


@pytest.mark.parametrize("most", [1, 7, 40, 100])
def test_of_128_at_once_in_four_processes_exactly_the_limit_gets_through(
    pseudonyms_database: Database, processes: list[Process], most: int
) -> None:
    """32 threads over the leases of four. Seen failing when the statement added a block whatever was taken before."""
    limit = Limit("test", most)
    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(lambda i: processes[i % 4].take(Demand(limit, "x")), range(128)))
    assert answers.count(None) == most
    assert taken(pseudonyms_database) == {"test x": most}


def test_a_large_limit_is_leased_by_the_hundredth_and_at_its_end_exactly(
    pseudonyms_database: Database, processes: list[Process]
) -> None:
    """So that no row is a bottleneck; what other processes hold then is all that is not given out."""
    limit, (one, two, *_) = Limit("test", 1000), processes
    assert one.take(Demand(limit, "x")) is None
    assert taken(pseudonyms_database) == {"test x": 10}
    answers = [two.take(*demand) for demand in repeat([Demand(limit, "x")], 1000)]
    assert answers.count(None) == 990
    assert two.leased == 99 + 1
    assert [one.take(Demand(limit, "x")) for _ in range(10)].count(None) == 9
    assert taken(pseudonyms_database) == {"test x": 1000}


def test_what_was_leased_and_lost_in_a_crash_counts_as_used(
    pseudonyms_database: Database, processes: list[Process], clock: MovableClock
) -> None:
    limit = Limit("test", 1000)
    assert processes[0].take(Demand(limit, "x")) is None
    after = Process(pseudonyms_database, clock)
    assert [after.take(Demand(limit, "x")) for _ in range(1000)].count(None) == 990
    after.pool.dispose()


def test_several_subjects_are_one_round_trip_and_all_or_nothing(
    pseudonyms_database: Database, processes: list[Process]
) -> None:
    """Seen failing, with the reporter's share spent by what the country refused, when each was paid by itself."""
    reporter, country, process = Limit("a/reporter", 300), Limit("a/country", 100), processes[0]
    assert process.take(Demand(reporter, "r", 60), Demand(country, "all", 60)) is None
    assert process.leased == 1
    assert process.take(Demand(reporter, "r", 60), Demand(country, "all", 60)) is not None
    assert process.take(Demand(reporter, "r", 40), Demand(country, "all", 40)) is None
    assert process.take(Demand(reporter, "r", 200)) is None
    assert process.take(Demand(reporter, "r", 1)) is not None
    assert taken(pseudonyms_database) == {"a/country all": 100, "a/reporter r": 300}


def test_who_is_over_the_limit_costs_no_round_trip(processes: list[Process]) -> None:
    limit, process = Limit("test", 1), processes[0]
    assert process.take(Demand(limit, "x")) is None
    assert process.take(Demand(limit, "x")) is not None
    leased = process.leased
    assert None not in [process.take(Demand(limit, "x")) for _ in range(50)]
    assert process.leased == leased


def test_of_a_batch_each_is_decided_by_itself_in_order(processes: list[Process]) -> None:
    small, large, process = Limit("small", 2), Limit("large", 4), processes[0]
    batch = [[Demand(small, name), Demand(large, "all")] for name in "aaabbbbcc"]
    answers = process.take_each(batch)
    assert [answer is None for answer in answers] == [True, True, False, True, True, False, False, False, False]
    assert process.leased <= 2


def test_two_batches_that_name_the_same_in_another_order_do_not_deadlock(processes: list[Process]) -> None:
    """Seen failing with a deadlock when the statement did not order its rows."""
    limit = Limit("test", 10**9)
    forward = [[Demand(limit, str(n), 10**7)] for n in range(300)]
    with ThreadPoolExecutor(8) as threads:
        asked = (forward if i % 2 else forward[::-1] for i in range(32))
        done = list(threads.map(lambda batch: processes[len(batch[0]) % 4].take_each(batch), asked))
    assert all(answer is None for answers in done for answer in answers)


def test_the_next_window_begins_anew_and_retry_after_says_when(processes: list[Process], clock: MovableClock) -> None:
    day, hour, process = Limit("day", 1), Limit("hour", 1, HOUR), processes[0]
    clock.now = datetime.fromisoformat("2026-11-22T10:20:30.5Z")
    assert process.take(Demand(day, "x"), Demand(hour, "x")) is None
    assert process.take(Demand(hour, "x")) == 39 * 60 + 30
    wait = process.take(Demand(day, "x"))
    assert wait == (13 * 60 + 39) * 60 + 30
    clock.move(seconds=39 * 60 + 30)
    assert process.take(Demand(hour, "x")) is None
    assert process.take(Demand(day, "x")) is not None
    clock.now = datetime.fromisoformat("2026-11-22T23:59:59.5Z")
    assert process.take(Demand(day, "x")) == 1
    clock.move(seconds=1)
    assert process.take(Demand(day, "x")) is None


def test_what_cost_nothing_is_given_back(processes: list[Process]) -> None:
    limit, process = Limit("test", 1), processes[0]
    assert process.take(Demand(limit, "x")) is None
    assert process.take(Demand(limit, "x")) is not None
    process.limiter.give_back([Demand(limit, "x")], NOW)
    assert process.take(Demand(limit, "x")) is None
    assert process.take(Demand(limit, "x")) is not None


def test_a_lowered_limit_holds_and_takes_nothing_away(pseudonyms_database: Database, processes: list[Process]) -> None:
    assert processes[0].take(Demand(Limit("test", 100), "x", 50)) is None
    assert processes[1].take(Demand(Limit("test", 10), "x")) is not None
    assert taken(pseudonyms_database) == {"test x": 50}


def test_subjects_that_the_database_does_not_know_make_no_row_and_stop_nobody(
    pseudonyms_database: Database, clock: MovableClock
) -> None:
    process = Process(pseudonyms_database, clock, only="a.subject <> 'unknown'")
    limit = Limit("test", 1)
    assert process.take(Demand(limit, "unknown"), Demand(limit, "all")) is None
    assert process.take(Demand(limit, "unknown"), Demand(limit, "all")) is not None
    assert taken(pseudonyms_database) == {"test all": 1}
    process.pool.dispose()


def test_old_counters_are_deleted(pseudonyms_database: Database, processes: list[Process], clock: MovableClock) -> None:
    """A day after their window is over, from the database and from memory. Seen failing without the deletion."""
    limit, process = Limit("test", 10), processes[0]
    for _ in range(5):
        assert process.take(Demand(limit, "x")) is None
        clock.move(days=1)
    days = pseudonyms_database.rows("SELECT window_start FROM limit_counter ORDER BY window_start")
    assert [row.window_start.date() for row in days] == [(NOW + timedelta(days=n)).date() for n in (3, 4)]
    assert len(process.limiter._leases) == 1
