# SPDX-License-Identifier: EUPL-1.2
"""A year of ordinary behaviour raises hardly an alert (R37): the false ones are counted."""

from collections import Counter
from datetime import UTC, datetime, time, timedelta

import pytest
from auditing.watched import Watched
from auditing.year import ordinary
from support import Database, only_long

from verwijsindex.ledger.events import Event

BEARABLE = 3 / 1000
"""False alerts for each person and year. Nationally (50,000 reporters) that is three a week, of which an institution's
officer hears once in decades, and the operator's has three a week to look at."""


def _year(database: Database, reporters: int, officials: int, seed: int) -> float:
    """The false alerts of such a year, for each person."""
    watched = Watched(database)
    waiting: list[Event] = []
    written = 0
    for day, happened in ordinary(seed, reporters, officials):
        waiting += happened
        if day.day == 28 or (len(waiting) > 15_000):
            watched.now = datetime.combine(day, time(23), UTC)
            written += len(waiting)
            watched.happen(waiting)
            watched.look()
            waiting = []
    watched.now += timedelta(days=30)
    watched.happen(waiting)
    watched.look()
    alerts = watched.alerts()
    print(
        f"\n{reporters} reporters, {officials} officials, {written + len(waiting)} events in a year:"
        f" {len(alerts)} false alerts {dict(Counter(f'{alert.kind} of {alert.acting}' for alert in alerts))}",
        *(f"  {a.kind} {a.acting} {a.day} {a.counted}, before {a.highest_before}" for a in alerts[:20]),
        sep="\n",
    )
    return len(alerts) / (reporters + officials)


def test_a_year_of_ordinary_behaviour(index_database: Database) -> None:
    assert _year(index_database, 300, 20, seed=1) <= BEARABLE


@only_long
@pytest.mark.timeout(1800)
def test_a_year_of_ordinary_behaviour_of_many(index_database: Database) -> None:
    """Seen: eight, of which six signalled ten to sixteen at a busy desk."""
    assert _year(index_database, 3_000, 200, seed=2) <= BEARABLE
