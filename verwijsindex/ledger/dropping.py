# SPDX-License-Identifier: EUPL-1.2
"""Events that were kept long enough: the event goes, its leaf stays, and the tree is valid as before (R25)."""

from datetime import datetime

from sqlalchemy import Connection, text

from verwijsindex.ledger.events import EVENTS_DROPPED, UPKEEP, Event, append

BATCH = 10_000
_DROP = text("SELECT drop_old_events(:now, :most)")


def drop_old(connection: Connection, now: datetime, *, most: int = BATCH) -> int:
    """Destroy at most `most` events that a checkpoint of more than five years ago covers; how many there were."""
    dropped = int(connection.execute(_DROP, {"now": now, "most": most}).scalar_one())
    if dropped:
        append(connection, [Event(EVENTS_DROPPED, now, UPKEEP, says={"count": dropped})])
    return dropped
