# SPDX-License-Identifier: EUPL-1.2
"""What is far from somebody's own past (R37): the thresholds, with their reasons, and the statement that raises.

A day is compared with the highest day of the eight weeks before it, of the same person: above that by a factor, and
above a floor. A newcomer has the floor alone. What came within a week excuses only so much: above that factor squared
of the highest day until a week before, it is a burst whatever the days between (else who doubles every day is never
seen: 9, 18, 36, 72). Counted are different subjects, so that a program that reads the same match every minute is none.

What waited is no burst either: a reporter is expected to read what notices told of since the last day of reading, also
all at once after holidays, or when a colleague's signals were handed over. An official is told with all of the
municipality or institution, so there it is the mean of a day before times the days away.

The floors: somebody who looks up a neighbour's ten children is seen, since a lookup is a signal (R18). An official
reads for a whole municipality or institution. A client is refused for many reporters when a team was not registered.
tests/auditing/test_year.py counts the false alerts of a year with these. Bursts of pseudonyms are found where they are
evaluated (`pseudonyms.bursts`), and raised here.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, text

from verwijsindex.database import as_json
from verwijsindex.ledger import events

PAST = timedelta(weeks=8)
LEAST_PAST = timedelta(weeks=4)
"""Over no fewer days the mean of a past is taken: one busy day long ago is no habit."""
FACTOR = 2
SETTLED = timedelta(weeks=1)
"""From then on a busy day is a habit."""
WAITS = frozenset({"read_burst", "refusal_series"})
"""Of what waits for somebody who is away, and is done on the first day back."""
TOLD = "told"
"""The activity of a reporter who was told of something to read."""
FLOORS: dict[tuple[str, str], int] = {
    ("signal_burst", "reporter"): 10,
    ("read_burst", "reporter"): 10,
    ("read_burst", "official"): 30,
    ("refusal_series", "reporter"): 10,
    ("refusal_series", "official"): 10,
    ("refusal_series", "client"): 20,
}
"""For each kind of alert, and as what somebody acts: from how many in a day on it can be one."""
WATCHER = events.Actor(role="watcher")
"""Who raises alerts."""

# Who looks holds the lock of `watched_place`, so that no other raises meanwhile; the unique index says so as well. An
# alert that is not closed grows with its day. When one was closed, what came after it is another only if it is as much
# again: else nothing could be closed before the day is over, or all that follows would hide behind it.
_RAISE = text(
    """
    WITH days AS (
        SELECT d.*, f.kind, f.floor, p.highest_before, p.settled, CASE WHEN f.waits AND d.acting = 'reporter' THEN (
                SELECT sum(t.count) FROM activity_day t
                WHERE t.who = d.who AND t.activity = :told AND t.day <= d.day
                  AND t.day >= coalesce(p.last_day, d.day - CAST(:past AS integer)))
            WHEN f.waits THEN p.sum_before * (d.day - p.last_day)
                / greatest(p.last_day - d.day + CAST(:past AS integer), :least) END AS waiting
        FROM json_to_recordset(CAST(:touched AS json)) t (who text, activity text, day date)
        JOIN activity_day d USING (who, activity, day)
        JOIN json_to_recordset(CAST(:floors AS json)) f (kind text, acting text, floor integer, waits boolean)
            ON f.kind = d.activity AND f.acting = d.acting AND d.count >= f.floor
        CROSS JOIN LATERAL (
            SELECT max(p.count) AS highest_before,
                   max(p.count) FILTER (WHERE p.day <= d.day - CAST(:week AS integer)) AS settled,
                   sum(p.count) AS sum_before, max(p.day) AS last_day
            FROM activity_day p WHERE p.who = d.who AND p.activity = d.activity AND p.day < d.day
              AND p.day >= d.day - CAST(:past AS integer)) p
    ), grown AS (
        UPDATE alert a SET counted = d.count FROM days d
        WHERE a.kind = d.kind AND a.who = d.who AND a.day = d.day AND a.state <> 'closed' AND a.counted < d.count
    )
    INSERT INTO alert (id, kind, who, acting, oin, municipality_code, day, raised_at, counted, highest_before, state)
    SELECT uuidv7(), d.kind, d.who, d.acting, d.oin, d.municipality_code, d.day, :now, d.count, d.highest_before, 'open'
    FROM days d
    WHERE d.count > :factor * coalesce(d.waiting, 0)
      AND (d.count > :factor * coalesce(d.highest_before, 0)
           OR d.count > :factor * :factor * greatest(d.settled, d.floor - 1))
      AND NOT EXISTS (SELECT FROM alert a WHERE a.kind = d.kind AND a.who = d.who AND a.day = d.day
                      AND (a.state <> 'closed' OR d.count < 2 * a.counted))
    ORDER BY d.kind, d.who, d.day ON CONFLICT DO NOTHING
    RETURNING id, kind, who, acting, municipality_code, counted
    """
)


# Whom a client names the pseudonym service cannot check: what is told of another's reporter is the client's.
# Which client is not known, so its institution stands there.
_RAISE_TOLD = text(
    """
    WITH told AS (
        SELECT DISTINCT ON (who, day) oin, who, acting, day, elements, "highestBefore"
        FROM json_to_recordset(CAST(:bursts AS json))
            b (oin text, "reporterId" uuid, day date, elements integer, "highestBefore" integer)
        CROSS JOIN LATERAL (
            SELECT EXISTS (SELECT FROM reporter r WHERE r.id = "reporterId" AND r.oin <> b.oin)) o (other)
        CROSS JOIN LATERAL (SELECT CASE WHEN other THEN oin ELSE CAST("reporterId" AS text) END,
                                   CASE WHEN other THEN 'client' ELSE 'reporter' END) w (who, acting)
        ORDER BY who, day, elements DESC
    ), grown AS (
        UPDATE alert a SET counted = t.elements FROM told t
        WHERE a.kind = 'pseudonym_burst' AND a.who = t.who AND a.day = t.day AND a.state <> 'closed'
          AND a.counted < t.elements
    )
    INSERT INTO alert (id, kind, who, acting, oin, day, raised_at, counted, highest_before, state)
    SELECT uuidv7(), 'pseudonym_burst', t.who, t.acting, t.oin, t.day, :now, t.elements, t."highestBefore", 'open'
    FROM told t
    WHERE NOT EXISTS (SELECT FROM alert a WHERE a.kind = 'pseudonym_burst' AND a.who = t.who AND a.day = t.day
                      AND (a.state <> 'closed' OR t.elements < 2 * a.counted))
    ORDER BY t.who, t.day ON CONFLICT DO NOTHING
    RETURNING id, kind, who, acting, municipality_code, counted
    """
)


def raise_bursts(connection: Connection, touched: Sequence[Mapping[str, Any]], now: datetime) -> int:
    """Raise an alert for each of these days that is far from the own past, with its event; how many.

    Args:
        connection: of the worker role, in a transaction that holds the lock of `watched_place`.
        touched: `who`, `activity` and `day` of rows of `activity_day` that have changed. An activity has the name of
            the alert that too much of it is.
    """
    if not touched:
        return 0
    floors = [
        {"kind": kind, "acting": acting, "floor": floor, "waits": kind in WAITS}
        for (kind, acting), floor in FLOORS.items()
    ]
    values = {"touched": as_json(touched), "floors": as_json(floors), "factor": FACTOR, "now": now}
    values |= {"past": PAST.days, "least": LEAST_PAST.days, "told": TOLD, "week": SETTLED.days}
    return tell(connection, connection.execute(_RAISE, values).all(), now)


def raise_pseudonym_bursts(connection: Connection, bursts: Sequence[Mapping[str, Any]], now: datetime) -> int:
    """Raise an alert for each burst that the pseudonym service tells of, once; how many.

    Args:
        connection: of the worker role. Two at once: the unique index lets one raise.
        bursts: `oin`, `reporterId`, `day`, `elements` and perhaps `highestBefore`, however often they were told before.
    """
    return tell(connection, connection.execute(_RAISE_TOLD, {"bursts": as_json(bursts), "now": now}).all(), now)


def tell(connection: Connection, raised: Sequence[Row[Any]], now: datetime) -> int:
    """Write the event of each alert that was raised; how many."""
    events.append(connection, [_told(alert, now) for alert in raised])
    return len(raised)


def _told(alert: Row[Any], now: datetime) -> events.Event:
    return events.Event(
        events.ALERT_RAISED,
        now,
        WATCHER,
        says={"alertId": str(alert.id), "alertKind": alert.kind, "count": alert.counted},
        recipient_reporter=alert.who if alert.acting == "reporter" else None,
        recipient_municipality=alert.municipality_code,
    )


def oldest_kept(today: date) -> date:
    """Days before this one are compared with none any more."""
    return today - PAST - timedelta(days=1)
