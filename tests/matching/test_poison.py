# SPDX-License-Identifier: EUPL-1.2
"""A row of work that cannot be done is parked with an alarm, and all else goes on (docs/reliability.md)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ledger.faults import failing
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import ProgrammingError
from support import CLINIC, POLICE, SCHOOL, Database, Index, Logged

from verwijsindex.matching import looking
from verwijsindex.matching.service import match_waiting, unpark


def test_a_poison_row_is_parked_and_all_else_goes_on(index: Index, logged: Logged) -> None:
    """Seen failing (more to do, for ever) when `_PARK` was left out."""
    for youngster in range(4):
        index.place(youngster, SCHOOL)
    poison = index.place(9, CLINIC)
    for youngster in range(4):
        index.place(youngster, POLICE)
    with failing(index.database, "signal", "UPDATE", f"NEW.id = '{poison}'"):
        done = match_waiting(index.database.engine("worker"), index.clock(), index.clock(), keys={})
    assert (done.taken, done.looked.notices, done.more) == (8, 12, False)
    assert index.database.rows("SELECT signal_id, parked_at FROM work") == [(poison, index.clock())]
    [alarm] = logged.lines("work.parked")
    assert (alarm["level"], alarm["error"]) == ("error", "ProgrammingError < RaiseException")
    assert "sabotage" not in logged.text
    assert index.database.scalar("SELECT count(*) FROM match") == 4
    index.place(9, SCHOOL)
    index.match()
    assert index.database.scalar("SELECT count(*) FROM work WHERE parked_at IS NULL") == 0


def test_who_looks_for_the_row_keeps_the_lock(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """All halves are tried in one transaction. Seen failing when each had its own; in tests/system/fire/test_outages.py
    two workers then took the lock from each other under load, and nothing was matched any more."""
    for youngster in range(4):
        index.place(youngster, SCHOOL)
    poison = index.place(9, CLINIC)
    transactions = []

    def watching(connection: Connection, *arguments: Any) -> looking.Looked:
        transactions.append(connection.execute(text("SELECT pg_current_xact_id()")).scalar_one())
        return at_signals(connection, *arguments)

    at_signals = looking.at_signals
    monkeypatch.setattr(looking, "at_signals", watching)
    with failing(index.database, "signal", "UPDATE", f"NEW.id = '{poison}'"):
        match_waiting(index.database.engine("worker"), index.clock(), index.clock(), keys={})
    _, *halves = transactions
    assert len(halves) > 3
    assert len(set(halves)) == 1
    assert index.database.rows("SELECT signal_id FROM work") == [(poison,)]


def test_a_failed_batch_leaves_no_half_match(index: Index) -> None:
    """What is told and its events stand or fall with the match (I4)."""
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    with failing(index.database, "event", "INSERT", "NEW.kind = 'notice.placed'"):
        match_waiting(index.database.engine("worker"), index.clock(), index.clock(), keys={})
    for table in ("party", "supervision", "notice", "delivery"):
        assert index.database.scalar(f"SELECT count(*) FROM {table}") == 0
    assert index.database.scalar("SELECT count(*) FROM event WHERE kind ~ '^(match|party|notice)'") == 0


def test_who_does_not_get_the_lock_does_nothing_and_says_that_there_is_no_more(index: Index) -> None:
    """Its bell is not lost: the holder looks again after it has let go (docs/decisions/0003)."""
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    worker = index.database.engine("worker")
    with index.database.superuser.begin() as other:
        other.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtextextended('verwijsindex.matcher', 0))")
        done = match_waiting(worker, index.clock(), index.clock(), keys={})
        assert (done.taken, done.more) == (0, False)
        assert index.database.scalar("SELECT count(*) FROM work") == 2
    assert match_waiting(worker, index.clock(), index.clock(), keys={}).taken == 2


def test_a_fault_that_is_no_rows_parks_nothing(index: Index) -> None:
    """A privilege that is missing, as during a hasty deployment. Seen parking the whole queue for good when every error
    but a lost connection was taken for a row's."""
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    owner = index.database.engine("owner")
    with owner.begin() as connection:
        connection.exec_driver_sql("REVOKE INSERT ON party FROM verwijsindex_worker")
    try:
        with pytest.raises(ProgrammingError):
            match_waiting(index.database.engine("worker"), index.clock(), index.clock(), keys={})
    finally:
        with owner.begin() as connection:
            connection.exec_driver_sql("GRANT INSERT ON party TO verwijsindex_worker")
    assert index.database.scalar("SELECT count(*) FROM work WHERE parked_at IS NULL") == 2
    index.match()
    assert index.database.scalar("SELECT count(*) FROM match") == 1


def test_what_was_parked_is_tried_again_after_an_hour(index: Index) -> None:
    """The one that fails, and not the work before it on the same youngster: seen failing (both were parked) when that
    attached what waits without a savepoint."""
    index.place(0, SCHOOL)
    poison = index.place(0, CLINIC)
    worker = index.database.engine("worker")
    with failing(index.database, "signal", "UPDATE", f"NEW.id = '{poison}'"):
        index.match()
    with worker.begin() as connection:
        assert unpark(connection, index.clock()) == 1
    index.clock.move(hours=1, seconds=1)
    with worker.begin() as connection:
        assert unpark(connection, index.clock()) == 0
    index.match()
    assert index.database.scalar("SELECT count(*) FROM match") == 1


def test_a_batch_that_takes_too_long_is_done_in_parts(index: Index) -> None:
    """Seen failing (QueryCanceled, again at each try, and nobody was matched any more) when it was raised."""
    for youngster in range(10):
        index.place(youngster, SCHOOL)
        index.place(youngster, CLINIC)
    url = index.database.urls["verwijsindex_worker"].get_secret_value()
    hasty = create_engine(url, connect_args={"options": "-c statement_timeout=600"})
    with _dawdling(index.database, 0.04):  # thirty notices take 1.2 seconds
        done = match_waiting(hasty, index.clock(), index.clock(), keys={}, size=20)
    hasty.dispose()
    assert (done.taken, done.looked.notices, done.more) == (20, 30, False)
    assert index.database.scalar("SELECT count(*) FROM match") == 10


@contextmanager
def _dawdling(database: Database, seconds: float) -> Iterator[None]:
    """Within it, each notice takes so long."""
    with database.superuser.begin() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NEW; END $$;"
            "CREATE TRIGGER dawdle BEFORE INSERT ON notice FOR EACH ROW EXECUTE FUNCTION dawdle()"
        )
    try:
        yield
    finally:
        with database.superuser.begin() as connection:
            connection.exec_driver_sql("DROP FUNCTION dawdle() CASCADE")
