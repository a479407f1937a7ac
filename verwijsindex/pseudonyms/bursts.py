# SPDX-License-Identifier: EUPL-1.2
"""Bursts of pseudonyms (R37): who had far more evaluated on a day than in the own past.

The service alone sees evaluations, and it sees no ledger. So it keeps its own tally, by reporter and day, and offers
what is a burst to the index's operator: reporter, institution, day and how many; nothing else is known here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from verwijsindex.database import as_json

PAST = timedelta(weeks=8)
"""The days before a day that it is compared with."""
OFFERED = timedelta(weeks=4)
"""How long a burst is offered: an index that was away for less misses none."""
KEPT = PAST + OFFERED
FLOOR = 40
"""Elements of a day: over those of thirteen signals, each with two parents. A newcomer has this alone."""
FACTOR = 2
"""Times the highest day of the own past; and squared, that of the past until a week before, whatever came since: else
who doubles every day is never seen."""
SETTLED = timedelta(weeks=1)
MOST = 1000

# Right when two run at once: ON CONFLICT locks the row. Both lock rows in the one order.
_COUNT = text(
    "INSERT INTO evaluated (day, oin, reporter_id, elements)"
    " SELECT :day, :oin, reporter_id, elements FROM json_to_recordset(CAST(:counted AS json))"
    " c (reporter_id uuid, elements integer) ORDER BY reporter_id"
    " ON CONFLICT (day, oin, reporter_id) DO UPDATE SET elements = evaluated.elements + excluded.elements"
)
_FORGET = text("DELETE FROM evaluated WHERE day < :before")
_BURSTS = text(
    "SELECT d.day, d.oin, d.reporter_id, d.elements, p.highest_before FROM evaluated d CROSS JOIN LATERAL ("
    " SELECT max(p.elements) AS highest_before,"
    " max(p.elements) FILTER (WHERE p.day <= d.day - CAST(:week AS integer)) AS settled"
    " FROM evaluated p WHERE p.oin = d.oin AND p.reporter_id = d.reporter_id"
    " AND p.day < d.day AND p.day >= d.day - CAST(:past AS integer)) p"
    " WHERE d.day >= :since AND d.elements >= :floor AND (d.elements > :factor * coalesce(p.highest_before, 0)"
    " OR d.elements > :factor * :factor * greatest(p.settled, :floor - 1))"
    " ORDER BY d.day DESC, d.elements DESC, d.oin, d.reporter_id LIMIT :most"
)


@dataclass(frozen=True, slots=True)
class Burst:
    """A day on which far more was evaluated for a reporter than in the own past."""

    oin: str
    reporter_id: UUID
    day: date
    elements: int
    highest_before: int | None


class Tally:
    """The tally of one process. May be used by many threads at once."""

    def __init__(self) -> None:
        self._tidied: date | None = None

    def count(self, connection: Connection, oin: str, evaluated: Mapping[UUID, int], day: date) -> None:
        """Add what was evaluated for each of these reporters; once a day what is too old goes.

        Args:
            connection: in autocommit: the statement is the transaction.
        """
        counted = [{"reporter_id": reporter, "elements": elements} for reporter, elements in evaluated.items()]
        connection.execute(_COUNT, {"day": day, "oin": oin, "counted": as_json(counted)})
        if self._tidied != day:
            connection.execute(_FORGET, {"before": day - KEPT})
            self._tidied = day


def bursts(connection: Connection, today: date) -> list[Burst]:
    """The bursts of the last four weeks, at most a thousand, the newest first."""
    values = {"since": today - OFFERED, "past": PAST.days, "floor": FLOOR, "factor": FACTOR, "most": MOST}
    values["week"] = SETTLED.days
    return [Burst(**row._mapping) for row in connection.execute(_BURSTS, values)]
