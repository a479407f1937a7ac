# SPDX-License-Identifier: EUPL-1.2
"""Ends that come by themselves: what is due though no work looks at it (R14 to R16).

At a removal date nobody acts; the signal has ended for every view at that moment (I6), and this brings matches up to
date and lets it leave, in batches of whole youngsters. Each is a transaction under the matcher's lock that does what
the matcher does: safe to run twice, at once or late. Who fails is given to the matcher as work, which finds the one row
that fails, parks it and says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, TextClause, text

from verwijsindex.database import transaction
from verwijsindex.matching import looking
from verwijsindex.matching.arriving import UNDER_WAY
from verwijsindex.matching.looking import Looked, is_of_a_row
from verwijsindex.matching.service import LOCK_TRIED, took_too_long
from verwijsindex.pseudonyms.sealing import IndexKey
from verwijsindex.signals.dates import amsterdam_date
from verwijsindex.signals.ending import Bury, end_archive

BATCH = 2000  # signals, and as many archived ones, in one transaction

# A day was over a minute ago: by now every signal that was received before it is committed. Where an act, or a death,
# ended a signal, the matcher had the work of it: whoever still stands here without any is what it could not destroy, or
# whose work got lost. Whoever has work is the matcher's: what is waiting comes there soon, and what is parked failed
# before. (NOT IN, for a hash of all work: whatever PostgreSQL guesses of a table that is empty one moment and full the
# next, it looks through it once.)
_DUE = """
    SELECT s.id, s.youngster_id FROM signal s
    WHERE s.removal_date <= :day AND s.youngster_id IS NOT NULL AND s.id NOT IN (SELECT signal_id FROM work)
    UNION ALL
    SELECT s.id, s.youngster_id FROM signal s
    WHERE s.ended_at IS NOT NULL AND s.removal_date > :day AND s.youngster_id IS NOT NULL
      AND s.id NOT IN (SELECT signal_id FROM work)
"""
_DUE_NOW = text(f"{_DUE} LIMIT :size")
_ARCHIVE_DUE = "FROM archived_signal WHERE destroy_on <= :today"
_IS_DUE = text(f"SELECT EXISTS ({_DUE}) OR EXISTS (SELECT {_ARCHIVE_DUE})")
# What waits for the matcher is under way, and not left. The archive of who died is the matcher's to destroy.
_COUNT = text(
    "SELECT (SELECT count(*) FROM signal WHERE (removal_date <= :day OR ended_at IS NOT NULL)"  # noqa: S608 (constants)
    " AND id NOT IN (SELECT signal_id FROM work WHERE parked_at IS NULL))"
    f" + (SELECT count(*) {_ARCHIVE_DUE})"
    " + (SELECT count(DISTINCT a.id) FROM death d JOIN youngster y ON y.key = d.key"
    " JOIN archived_signal a ON a.youngster_id = y.id AND a.received_at <= d.told_at WHERE a.destroy_on > :today)"
)
# A signal that came before another of its reporter ended goes on with its standing: it has to be attached first.
_BEFORE_THAT = text(
    "SELECT EXISTS (SELECT FROM work w JOIN signal s ON s.id = w.signal_id"
    " WHERE w.parked_at IS NULL AND s.sealed_pseudonym IS NOT NULL AND s.received_at <= :before)"
)
_ASK_THE_MATCHER = text("INSERT INTO work (signal_id) SELECT unnest(CAST(:signals AS uuid[]))")


@dataclass(frozen=True, slots=True)
class Swept:
    """What one batch did. `more`: there is more to do, once the matcher has done what is waiting."""

    looked: Looked
    more: bool


def due(connection: Connection, now: datetime) -> int:
    """How many signals and archived signals have to leave, those that are parked too; what waits for the matcher is
    not among them."""
    return int(connection.execute(_COUNT, _asked(now)).scalar_one())


def sweep_ends(
    pool: Engine,
    now: datetime,
    push_due_at: datetime,
    *,
    keys: Mapping[int, IndexKey],
    bury: Bury,
    size: int = BATCH,
    lock: TextClause = LOCK_TRIED,
) -> Swept:
    """Bring one batch of what is due to its end, in a transaction of its own. After it, look for work: whoever rang
    meanwhile found the lock taken.

    Args:
        pool: of the worker role.
        push_due_at: when webhooks for what is told now may leave.
        keys: the versions of the index key that this process holds.
        bury: writes tombstones outside the database.

    Raises:
        KeyMissingError: this process lacks the key of a sealed birthday.
    """
    asked, looked = _asked(now), Looked()
    rows: Sequence[Row[Any]] = ()
    try:
        with transaction(pool) as connection:
            if not connection.execute(lock).scalar_one():
                return Swept(looked, more=False)
            if connection.execute(_BEFORE_THAT, asked).scalar_one():
                return Swept(looked, more=True)
            rows = connection.execute(_DUE_NOW, asked | {"size": size}).all()
            if rows:
                youngsters = sorted({row.youngster_id for row in rows})
                looked = looking.at_youngsters(connection, keys, youngsters, now, push_due_at, bury)
            looked += Looked(destroyed=end_archive(connection, now, bury, size))
    except Exception as error:
        if not rows or not (is_of_a_row(error) or took_too_long(error)):
            raise
        with transaction(pool) as connection:
            connection.execute(_ASK_THE_MATCHER, {"signals": [row.id for row in rows]})
        return Swept(looked, more=True)
    with transaction(pool) as connection:
        left = looked != Looked() and connection.execute(_IS_DUE, asked).scalar_one()
    return Swept(looked, more=left)


def _asked(now: datetime) -> dict[str, object]:
    before = now - UNDER_WAY
    return {"day": amsterdam_date(before), "before": before, "today": amsterdam_date(now)}
