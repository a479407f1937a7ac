# SPDX-License-Identifier: EUPL-1.2
"""What the clock looks at for the metrics, every few seconds: how much waits, for how long, and who answers."""

from datetime import datetime

from pydantic import SecretStr
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from verwijsindex import metrics
from verwijsindex.database import transaction
from verwijsindex.signals.dates import amsterdam_date
from verwijsindex.workers.health import redis_answers

_CROWDED = text("SELECT count(*) FROM parent WHERE crowded")
_WORK = text(
    "SELECT count(*) FILTER (WHERE parked_at IS NULL) AS waiting, count(parked_at) AS parked,"
    " min(id) FILTER (WHERE parked_at IS NULL) AS first FROM work"
)
# Of receivers that are to be tried now: one that rests, or was paused, keeps its deliveries waiting by itself.
_DELIVERIES = text(
    "SELECT count(*) AS waiting, coalesce(extract(epoch FROM :now - min(d.due_at)), 0) AS oldest FROM delivery d"
    " JOIN subscription s ON s.client_id = d.client_id AND s.state = 'active'"
    " AND (s.rests_until IS NULL OR s.rests_until <= :now)"
    " WHERE d.delivered_at IS NULL AND d.due_at <= :now"
)
_ALERTS = text(
    "SELECT count(*) FILTER (WHERE state = 'open') AS open, count(*) FILTER (WHERE state = 'assessed') AS assessed"
    " FROM alert WHERE state <> 'closed'"
)
_DEAD = text("SELECT count(*) FROM delivery WHERE due_at = 'infinity'")
# What ended and has not left: since its end, or since its time in the archive is over.
_ENDED = text(
    "SELECT coalesce(extract(epoch FROM :now - least("
    "(SELECT min(removal_date) FROM signal WHERE removal_date <= :today)::timestamp AT TIME ZONE 'Europe/Amsterdam',"
    " (SELECT min(ended_at) FROM signal WHERE ended_at IS NOT NULL),"
    " (SELECT min(destroy_on) FROM archived_signal WHERE destroy_on <= :today)::timestamp"
    " AT TIME ZONE 'Europe/Amsterdam')), 0)"
)


class Measuring:
    """The clock's looks, one after another: work has no time of its own, so the age of the oldest is how long the
    clock has seen it."""

    def __init__(self) -> None:
        self._first: int | None = None
        self._since: datetime | None = None

    def look(self, pool: Engine, broker_url: SecretStr, now: datetime) -> None:
        """Set the gauges; where PostgreSQL does not answer, what it told before stays.

        Args:
            pool: of the worker role.
        """
        metrics.UP.labels("redis").set(redis_answers(broker_url))
        try:
            with transaction(pool) as connection:
                work = connection.execute(_WORK).one()
                deliveries = connection.execute(_DELIVERIES, {"now": now}).one()
                crowded = connection.execute(_CROWDED).scalar_one()
                alerts = connection.execute(_ALERTS).one()
                dead = connection.execute(_DEAD).scalar_one()
                ended = connection.execute(_ENDED, {"now": now, "today": amsterdam_date(now)}).scalar_one()
        except SQLAlchemyError:
            metrics.UP.labels("postgresql").set(0)
            return
        metrics.UP.labels("postgresql").set(1)
        if work.first != self._first or self._since is None:
            self._first, self._since = work.first, now
        metrics.WAITING.labels("match").set(work.waiting)
        metrics.PARKED.labels("match").set(work.parked)
        metrics.CROWDED.set(crowded)
        metrics.OLDEST_SECONDS.labels("match").set((now - self._since).total_seconds() if work.waiting else 0)
        metrics.OLDEST_SECONDS.labels("end").set(ended)
        metrics.WAITING.labels("deliver").set(deliveries.waiting)
        metrics.OLDEST_SECONDS.labels("deliver").set(deliveries.oldest)
        metrics.DEAD_LETTERS.set(dead)
        for state, count in alerts._asdict().items():
            metrics.ALERTS_OPEN.labels(state).set(count)
