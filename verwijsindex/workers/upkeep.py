# SPDX-License-Identifier: EUPL-1.2
"""Beside the work that matters: contact data of who left, and events that were kept long enough, are destroyed
(docs/retention.md), figures are published, and matches that nobody follows up are found (R21)."""

from datetime import datetime, timedelta

from sqlalchemy import Engine

from verwijsindex.auditing.samples import forget_old
from verwijsindex.database import transaction
from verwijsindex.figures.publishing import publish
from verwijsindex.followup import clock
from verwijsindex.followup.clock import ask_for_lacking
from verwijsindex.ledger.dropping import BATCH, drop_old
from verwijsindex.registry.upkeep import remove_contact_data
from verwijsindex.signals.dates import amsterdam_date

EVERY = timedelta(minutes=10)
PERSONS = 1000


class Upkeep:
    """One process's upkeep. Safe to run twice, at once and late: it looks at the clock, and not at what it did before.

    `contact_data_days`: how long after their last day the contact data of who left is kept.
    """

    def __init__(self, contact_data_days: int) -> None:
        self._contact_data_days = contact_data_days
        self._due_at: datetime | None = None

    def run(self, pool: Engine, now: datetime) -> None:
        """At most every ten minutes; when there is more than fits in one run, again at the next call."""
        if self._due_at and self._due_at - EVERY <= now < self._due_at:  # before that, the clock was set back
            return
        with transaction(pool) as connection:
            removed = remove_contact_data(connection, now, amsterdam_date(now), self._contact_data_days, PERSONS)
        publish(pool, now)
        with transaction(pool) as connection:
            dropped = drop_old(connection, now)
            forget_old(connection, now)
        with transaction(pool) as connection:
            lacking = ask_for_lacking(connection, now)
        more = removed >= PERSONS or dropped >= BATCH or lacking >= clock.BATCH
        self._due_at = now if more else now + EVERY
