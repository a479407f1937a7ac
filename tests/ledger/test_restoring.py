# SPDX-License-Identifier: EUPL-1.2
"""A restored ledger is compared with what is known outside, before anything serves it (R25)."""

from datetime import timedelta

import pytest
from ledger.ledgers import SIGNER, fill
from support import NOW, Database

from verwijsindex.ledger.checkpoint import Checkpoint, LedgerError
from verwijsindex.ledger.restoring import Outside, compare


def compared(database: Database, *kept: Checkpoint) -> tuple[int, int, int]:
    """Size, size of the newest checkpoint that agrees, and how many events are lost."""
    with database.engine("owner").begin() as connection:
        found = compare(connection, Outside(sorted(kept, key=lambda one: one.size), [SIGNER.key]), NOW)
    return found.size, found.agrees.size, found.lost


def later(size: int) -> Checkpoint:
    """Of a ledger that went on after the backup."""
    return Checkpoint.open(SIGNER.sign(size, bytes(32), NOW + timedelta(days=1)), [SIGNER.key])


def test_a_backup_from_before_the_newest_checkpoint_agrees_with_older_ones(index_database: Database) -> None:
    kept = fill(index_database, 5_100, 20, 30)
    assert compared(index_database, *kept) == (5_150, 5_150, 0)
    assert compared(index_database, kept[1], later(5_157)) == (5_150, 5_120, 7)


def test_nothing_vouches_for_a_ledger_that_is_older_than_all_that_was_kept(index_database: Database) -> None:
    fill(index_database, 5)
    with pytest.raises(LedgerError, match="5 events, and every checkpoint that you brought has more"):
        compared(index_database, later(6))


def test_a_backup_that_somebody_changed_does_not_serve(index_database: Database) -> None:
    kept = fill(index_database, 5, 5)
    with index_database.superuser.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql("DELETE FROM event WHERE id = (SELECT event_id FROM leaf WHERE place = 3)")
    with pytest.raises(LedgerError, match=r"let nothing use it \(1 findings\):\n  event 3: is missing"):
        compared(index_database, *kept)
