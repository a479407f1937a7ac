# SPDX-License-Identifier: EUPL-1.2
"""After a restore: what was destroyed since the backup is destroyed again, before anything serves (R16)."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from verwijsindex.matching import looking
from verwijsindex.notices import service as notices
from verwijsindex.signals import ending

# For nobody to be told: why it was destroyed no tombstone says, and who had to be told was.
_END = text(
    "UPDATE signal SET ended_at = :now, end_reason = 'upheld_request' WHERE id = ANY(:signals)"
    " RETURNING id, youngster_id"
)
_ARCHIVED = text("SELECT id, youngster_id FROM archived_signal WHERE id = ANY(:signals)")


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
    ending.take_out(connection, [row.id for row in ended], youngsters)
    ending.destroy(connection, {row.id for row in there}, youngsters, now)
    notices.place(connection, wanted, now, now)
    return len(there)
