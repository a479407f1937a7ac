# SPDX-License-Identifier: EUPL-1.2
"""How many events of each kind there were in each hour, of the whole index: counted as they get their places, so that a
report of a year reads some thousands of rows and not ten million events."""

from sqlalchemy import Engine, text

from verwijsindex.database import transaction

BATCH = 50_000
_TALLY = text("SELECT tally_events(:most)")


def tally_waiting(pool: Engine, *, most: int = BATCH) -> int:
    """Count all events that have a place and were not counted; how many. Safe when two run (migration index_0034)."""
    total = 0
    while True:
        with transaction(pool) as connection:
            counted = int(connection.execute(_TALLY, {"most": most}).scalar_one())
        total += counted
        if counted < most:
            return total
