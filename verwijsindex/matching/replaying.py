# SPDX-License-Identifier: EUPL-1.2
"""After a restore: what was destroyed since the backup is destroyed again (R16), and what was withdrawn has ended
again (R13, I6), before anything serves."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from verwijsindex.ledger import events
from verwijsindex.matching import looking
from verwijsindex.notices import service as notices
from verwijsindex.signals import ending

# For nobody to be told: why it was destroyed no tombstone says, and who had to be told was.
_END = text(
    "UPDATE signal SET ended_at = :now, end_reason = 'upheld_request' WHERE id = ANY(:signals)"
    " RETURNING id, youngster_id"
)
_ARCHIVED = text("SELECT id, youngster_id FROM archived_signal WHERE id = ANY(:signals)")

# What is left to do is what it always is after a withdrawal: by the matcher, once workers have the keys. Who was told
# of the party by the time of the backup is told of the withdrawal; that notice was lost with what came after.
_WITHDRAW = text(
    "WITH withdrawn AS (UPDATE signal s SET ended_at = i.ended_at, end_reason = 'risk_gone'"
    " FROM unnest(CAST(:signals AS uuid[]), CAST(:moments AS timestamptz[])) i (id, ended_at)"
    " WHERE s.id = i.id AND s.ended_at IS NULL RETURNING s.id, s.reporter_id), works AS ("
    " INSERT INTO work (signal_id) SELECT id FROM withdrawn ORDER BY id)"
    " SELECT id, reporter_id FROM withdrawn ORDER BY id"
)


def end_again(connection: Connection, withdrawn: Mapping[UUID, datetime], now: datetime) -> int:
    """End those of these signals that are live, at their moments, each with its event; how many. Each has ended for
    every view at once.

    Args:
        connection: of the owner.
    """
    asked = {"signals": list(withdrawn), "moments": list(withdrawn.values())}
    ended = connection.execute(_WITHDRAW, asked).all()
    told: list[dict[str, str | int]] = [
        {"signalId": str(one.id), "reporterId": str(one.reporter_id), "reason": "risk_gone"} for one in ended
    ]
    events.append(connection, [events.Event(events.SIGNAL_ENDED, now, events.UPKEEP, says=says) for says in told])
    return len(ended)


def replay(connection: Connection, signals: Collection[UUID], now: datetime) -> int:
    """Destroy those of these signals that are there; how many were. Matches follow, and nobody is told.

    Nobody else may use the database. It needs no key: what it destroys it does not open.

    Args:
        connection: of the owner.
    """
    asked = {"signals": list(signals), "now": now}
    ended = connection.execute(_END, asked).all()
    there = [*ended, *connection.execute(_ARCHIVED, asked)]
    youngsters = sorted({row.youngster_id for row in there if row.youngster_id})
    wanted = looking.follow(connection, youngsters, now)
    _, left = ending.take_out(connection, [row.id for row in ended], youngsters)
    destroyed = {row.id for row in there}
    left |= ending.destroy(connection, destroyed, now)
    ending.forget(connection, destroyed, youngsters, left)
    notices.place(connection, wanted, now, now)
    return len(there)
