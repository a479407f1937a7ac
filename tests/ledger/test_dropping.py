# SPDX-License-Identifier: EUPL-1.2
"""After five years events go and their leaves stay; the tree is valid, and the verifier says what was dropped (R25)."""

import json
from datetime import datetime, timedelta

import pytest
from ledger.ledgers import SIGNER, export_of, fill, verified
from sqlalchemy.exc import ProgrammingError
from support import NOW, Database

from verwijsindex.ledger import sealing
from verwijsindex.ledger.dropping import drop_old

LONG_AGO = NOW.replace(year=2020)


def drop(database: Database, now: datetime = NOW, most: int = 10_000) -> int:
    with database.engine("worker").begin() as connection:
        return drop_old(connection, now, most=most)


def test_what_a_checkpoint_of_five_years_ago_covers_goes_in_batches_and_no_more(index_database: Database) -> None:
    kept = fill(index_database, 10, 20, at=LONG_AGO) + fill(index_database, 7, 5)
    assert [drop(index_database, most=12) for _ in range(5)] == [12, 12, 6, 0, 0]
    assert index_database.scalar("SELECT count(*) FROM event WHERE kind <> 'events.dropped'") == 12
    assert index_database.scalar("SELECT count(*) FROM leaf") == 42
    told = index_database.rows("SELECT body FROM event WHERE kind = 'events.dropped' ORDER BY id")
    assert [json.loads(row.body)["count"] for row in told] == [12, 12, 6]
    sealing.seal(index_database.engine("worker"), NOW + timedelta(minutes=9), SIGNER)
    for public in (False, True):
        verdict = verified(export_of(index_database, public=public), kept)
        assert (verdict.findings, verdict.size, verdict.dropped) == ([], 45, 0 if public else 30)
        assert set(kept) <= set(verdict.agrees)


def test_nothing_goes_a_day_too_early(index_database: Database) -> None:
    [checkpoint] = fill(index_database, 3, at=LONG_AGO)
    five_years_later = checkpoint.at.replace(year=checkpoint.at.year + 5)
    assert drop(index_database, five_years_later - timedelta(seconds=1)) == 0
    assert drop(index_database, five_years_later) == 3
    assert index_database.scalar("SELECT count(*) FROM leaf") == 3


def test_the_events_of_a_checkpoint_that_is_too_young_count_as_missing(index_database: Database) -> None:
    """A worker whose clock somebody set forward. Seen failing without the comparison of the times."""
    kept = fill(index_database, 10, 5)
    assert drop(index_database, NOW + timedelta(days=6 * 365), most=10) == 10
    verdict = verified(export_of(index_database), kept)
    assert verdict.findings[0].what == "what was dropped is less than 5 years old"
    assert [finding.place for finding in verdict.findings[1:]] == list(range(10))
    assert verdict.dropped == 0


@pytest.mark.parametrize("lie", ["old", "new"])
def test_who_holds_the_key_cannot_make_what_is_young_look_old(index_database: Database, lie: str) -> None:
    """The operator takes events out, and signs that their checkpoint is of long ago, or the newest of years ahead. What
    was kept outside has fewer events and is younger; and no checkpoint is of tomorrow. Seen failing: all ten counted as
    dropped."""
    kept = fill(index_database, 3, 7, 5)
    content = export_of(index_database)
    header, *lines = content.splitlines()
    says = json.loads(header)
    of_ten, newest = kept[1], kept[2]
    old = SIGNER.sign(of_ten.size, of_ten.root, LONG_AGO if lie == "old" else of_ten.at)
    says["dropped"] = {"before": 10, "checkpoint": old}
    if lie == "new":
        says["checkpoint"] = SIGNER.sign(newest.size, newest.root, NOW.replace(year=NOW.year + 6))
    lines[:10] = [b"\t".join(line.split(b"\t")[:2]) for line in lines[:10]]
    verdict = verified(b"\n".join([json.dumps(says).encode(), *lines, b""]), kept[:1])
    assert (verdict.dropped, verdict.findings[0].what) == (0, "what was dropped is less than 5 years old")


def test_more_than_was_dropped_counts_as_missing(index_database: Database) -> None:
    kept = fill(index_database, 4, at=LONG_AGO) + fill(index_database, 4)
    drop(index_database)
    with index_database.superuser.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql("DELETE FROM event WHERE id = (SELECT event_id FROM leaf WHERE place = 4)")
        connection.exec_driver_sql("UPDATE dropped_events SET before = 5")
    verdict = verified(export_of(index_database), kept)
    assert [(finding.place, verdict.dropped) for finding in verdict.findings] == [(4, 4)]


def test_the_owner_deletes_no_other_event_and_no_worker_any(index_database: Database) -> None:
    """Once events were dropped in that session, too. Seen failing when the function left its mark on."""
    fill(index_database, 3, at=LONG_AGO)
    fill(index_database, 3)
    with index_database.engine("owner").begin() as connection:
        assert drop_old(connection, NOW) == 3
        with pytest.raises(ProgrammingError, match="append-only"):
            connection.exec_driver_sql("DELETE FROM event")
    by_itself = "SELECT set_config('verwijsindex.dropping', 'on', true); DELETE FROM event"
    with index_database.engine("worker").begin() as connection, pytest.raises(ProgrammingError, match="denied"):
        connection.exec_driver_sql(by_itself)
    assert index_database.scalar("SELECT count(*) FROM event") == 6  # what failed was undone, with what it dropped
