# SPDX-License-Identifier: EUPL-1.2
"""Ends on real processes: killed in the middle of a sweep, and with all that works away for a week (R14 to R16, I6)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from system.world import Reporter, System, until

from verwijsindex.signals.dates import amsterdam_date, two_years_after
from verwijsindex.signals.tombstones import read

pytestmark = pytest.mark.system
WORKING = ("clock", "worker", "deliverer")


@pytest.fixture
def system_again(system: System) -> Iterator[System]:
    """Whoever was stopped works again in the end."""
    yield system
    for name in WORKING:
        system.stack.restart(name)


def _go_on(system: System, *, days: int, signals: list[UUID], of_age: bool = False) -> None:
    """As if it were so many days after these signals ended: by two years, or by the 23rd birthday."""
    ended_on = amsterdam_date(datetime.now(UTC)) - timedelta(days=days)
    made = datetime(ended_on.year - 2, ended_on.month, min(ended_on.day, 28), 12, tzinfo=UTC)
    removal = two_years_after(made.date()) - timedelta(days=of_age)
    system.change(
        "UPDATE signal SET made_at = :made, received_at = :made, removal_date = :removal WHERE id = ANY(:signals)",
        made=made,
        removal=removal,
        signals=signals,
    )


def test_a_worker_killed_in_the_middle_of_a_sweep(system: System) -> None:
    """It is held up after it wrote to the file, before its commit, and killed: all is as it was but for the file, and
    the next sweep does it once. Nothing is lost and nothing comes twice. Seen failing (all had left, without a
    tombstone) when leaving and tombstone were two transactions."""
    reporters = system.reporters(2)
    numbers = system.youngsters(12)
    placed = [system.place(one, reporter) for one in numbers for reporter in reporters]
    system.until_no_work()
    gone = {one.id for one in placed if one.youngster in numbers[:6]}
    kept = {one.id for one in placed} - gone
    ids = sorted(gone | kept)
    file = Path(system.stack.environment["VERWIJSINDEX_TOMBSTONES"])
    with system.superuser.begin() as connection:
        connection.execute(sa.text("LOCK TABLE tombstone IN SHARE MODE"))
        _go_on(system, days=3, signals=sorted(gone), of_age=True)
        _go_on(system, days=3, signals=sorted(kept))
        until(lambda: _waits_for(system, "tombstone"), 30)
        assert gone <= read([file])[0]
        system.stack.process("worker").kill()
    assert len(system.rows("SELECT FROM signal WHERE id = ANY(:ids)", ids=ids)) == len(ids)
    assert not system.rows("SELECT FROM tombstone WHERE signal_id = ANY(:ids)", ids=ids)
    assert all(system.listed("/signals", reporter) == [] for reporter in reporters)
    system.stack.restart("worker")
    until(lambda: not system.rows("SELECT FROM signal WHERE id = ANY(:ids)", ids=ids), 60)
    assert {row[0] for row in system.rows("SELECT id FROM archived_signal WHERE id = ANY(:ids)", ids=ids)} == kept
    assert {
        row[0] for row in system.rows("SELECT signal_id FROM tombstone WHERE signal_id = ANY(:ids)", ids=ids)
    } == gone
    events = system.rows("SELECT kind, signal_id FROM event WHERE signal_id = ANY(:ids)", ids=ids)
    ends = [tuple(row) for row in events if row.kind in {"signal.destroyed", "signal.archived"}]
    assert sorted(ends) == sorted(
        [("signal.destroyed", one) for one in gone] + [("signal.archived", one) for one in kept]
    )
    parties = "SELECT FROM party WHERE reporter_id = ANY(:reporters) AND left_at IS NULL"
    assert not system.rows(parties, reporters=[reporter.id for reporter in reporters])


def _waits_for(system: System, table: str) -> bool:
    waiting = "SELECT FROM pg_locks WHERE relation = CAST(:table AS regclass) AND NOT granted"
    return bool(system.rows(waiting, table=table))


def test_with_all_that_works_away_for_a_week_no_view_shows_what_ended_and_none_of_it_matches(
    system_again: System,
) -> None:
    """I6: by the index's API alone, while worker, deliverer and clock are stopped; then who signalled meanwhile is
    told of the archive (R17), and matches nobody. Seen failing (the own list still had it) when
    `placed_signals` did not look at the removal date."""
    alone = system_again
    first, second, third = alone.reporters(3)
    [youngster] = alone.youngsters(1)
    before = [alone.place(youngster, first), alone.place(youngster, second)]
    alone.until_no_work()
    [match] = [item["id"] for item in alone.listed("/matches", first)]
    for name in WORKING:
        alone.stack.process(name).stop()
    _go_on(alone, days=7, signals=[one.id for one in before])
    for reporter in (first, second):
        _sees_nothing(alone, reporter, match)
    late = alone.place(youngster, third)
    for reporter in (first, second, third):
        assert alone.listed("/matches", reporter) == []
    for name in WORKING:
        alone.stack.restart(name)
    alone.until_no_work()
    until(lambda: not alone.rows("SELECT FROM signal WHERE id = ANY(:ids)", ids=[one.id for one in before]), 30)
    assert [item["id"] for item in alone.listed("/signals", third)] == [str(late.id)]
    for reporter in (first, second, third):
        assert alone.listed("/matches", reporter) == []
    assert [item["kind"] for item in alone.listed("/notices", third)] == ["archive", "archive"]
    assert [item["kind"] for item in alone.listed("/notices", first)] == ["match"]


def _sees_nothing(system: System, reporter: Reporter, match: str) -> None:
    assert system.listed("/signals", reporter) == []
    assert system.listed("/matches", reporter) == []
    assert system.get(f"/matches/{match}", reporter).status_code == 404
