# SPDX-License-Identifier: EUPL-1.2
"""Looking at what comes into the ledger, and raising alerts about it (R37). Run by the clock, safe when two run.

Level-triggered and by place: each event that has a place in the tree is looked at once, in the transaction that moves
`watched_place` past it. Whoever dies in between has done nothing, and the next one goes on from there.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, text

from verwijsindex.auditing.bursts import TOLD, oldest_kept, raise_bursts, tell
from verwijsindex.database import as_json, transaction
from verwijsindex.ledger import events
from verwijsindex.problems import MATCH_NOT_FOUND, NOT_ALLOWED, NOT_FOUND, REPORTER_NOT_DESIGNATED, SIGNAL_NOT_FOUND
from verwijsindex.signals.dates import amsterdam_date

BATCH = 20_000
_BATCHES = 5
SUBJECTS_KEPT = timedelta(days=7)
"""How long it is kept with what somebody did something: an event can get its place after its day."""
ALERTS_KEPT_YEARS = 5
_READS = (events.MATCH_READ, events.FOLLOW_UP_READ, events.ARCHIVED_SIGNAL_READ)
_REFUSALS = (events.ACCESS_REFUSED, events.SIGNAL_REFUSED)
# What somebody meets who tries what is not theirs. An agreement that ended, say, refuses all of an institution for
# days, and a limit is met only after a burst.
_TRIED = (NOT_FOUND, SIGNAL_NOT_FOUND, MATCH_NOT_FOUND, NOT_ALLOWED, REPORTER_NOT_DESIGNATED)
# Of each kind of event: what it is, and with what. A coordinator may read every signal of the institution; a reporter's
# own are no news. A signal of whom nobody designated is its client's attempt.
_WATCHED: list[dict[str, Any]] = [
    *({"kind": kind.name, "activity": "read_burst"} for kind in _READS),
    {"kind": events.SIGNAL_READ.name, "activity": "read_burst", "official": True},
    {"kind": events.REPORTER_READ.name, "activity": "read_burst", "official": True},
    {"kind": events.SIGNAL_REGISTERED.name, "activity": "signal_burst"},
    {"kind": events.NOTICE_PLACED.name, "activity": TOLD},
    *({"kind": kind.name, "activity": "refusal_series"} for kind in _REFUSALS),
]

# The row is locked from the first statement on: a second one waits here, and then sees what the first has done.
_LOCK = text(
    "INSERT INTO watched_place VALUES (true, 0)"
    " ON CONFLICT (only_row) DO UPDATE SET place = watched_place.place RETURNING place"
)
_PLACES = text("SELECT coalesce(max(place) + 1, 0) FROM leaf")
_MOVE = text("UPDATE watched_place SET place = :upto")
_COUNT = text(
    """
    WITH watched AS (
        SELECT e.*, w.activity, e.says->>'problem' AS problem,
               CASE WHEN e.person IS NOT NULL THEN 'official' WHEN w.activity = :told THEN 'reporter'
                    WHEN e.reporter IS NULL OR e.says->>'problem' = :unknown_reporter THEN 'client'
                    ELSE 'reporter' END AS acting
        FROM json_to_recordset(CAST(:watched AS json)) w (kind text, activity text, official boolean)
        JOIN events_to_watch(:first, :upto, CAST(:kinds AS text[])) e USING (kind)
        WHERE w.official IS NULL OR e.person IS NOT NULL
    ), done AS (
        SELECT (at AT TIME ZONE 'Europe/Amsterdam')::date AS day, activity, acting, id AS event_id, place,
               CASE acting WHEN 'official' THEN person WHEN 'client' THEN client_id
                    ELSE coalesce(reporter, says->>'reporter') END AS who,
               oin, municipality_code,
               left(coalesce(says->>'matchId', says->>'signalId', says->>'archivedSignalId', says->>'noticeId',
                        says->>'reporterId', says->>'subscriptionId', says->>'muteId',
                        CASE WHEN acting = 'client' THEN reporter END, says->>'operation', ''), 128) AS subject
        FROM watched
        WHERE activity <> 'refusal_series' OR problem = ANY(CAST(:tried AS text[]))
    ), new AS (
        INSERT INTO activity (day, activity, who, subject, event_id)
        SELECT DISTINCT ON (day, activity, who, subject) day, activity, who, subject, event_id FROM done
        WHERE who IS NOT NULL AND (acting <> 'client' OR activity = 'refusal_series')
        ORDER BY day, activity, who, subject, place
        ON CONFLICT DO NOTHING RETURNING event_id
    )
    INSERT INTO activity_day (who, activity, day, acting, oin, municipality_code, count)
    SELECT who, activity, day, min(acting), min(oin), min(municipality_code), count(*)
    FROM done JOIN new USING (event_id) GROUP BY who, activity, day ORDER BY who, activity, day
    ON CONFLICT (who, activity, day) DO UPDATE SET count = activity_day.count + excluded.count
    RETURNING who, activity, day
    """
)
# What is behind an alert, also what came after it was raised.
_BEHIND = text(
    """
    INSERT INTO alert_event (alert_id, event_id)
    SELECT a.id, s.event_id FROM json_to_recordset(CAST(:touched AS json)) t (who text, activity text, day date)
    JOIN alert a ON a.who = t.who AND a.kind = t.activity AND a.day = t.day AND a.state <> 'closed'
    JOIN activity s ON s.day = t.day AND s.activity = t.activity AND s.who = t.who
    ORDER BY a.id, s.event_id ON CONFLICT DO NOTHING
    """
)
# A withdrawal is looked at once. It is an alert if the match was read before it.
_WITHDRAWN = text(
    """
    WITH looked AS (
        DELETE FROM unjustified_withdrawal RETURNING *
    ), behind AS MATERIALIZED (
        SELECT w.signal_id, e.id, e.match_id
        FROM looked w CROSS JOIN unjustified_events(w.signal_id, w.matches, w.reporter_id, w.oin, w.since, w.at) e
    ), raised AS (
        INSERT INTO alert (id, kind, who, acting, oin, day, raised_at, counted, signal_id, match_id, state)
        SELECT uuidv7(), 'unjustified_after_read', CAST(w.reporter_id AS text), 'reporter', w.oin,
               (w.at AT TIME ZONE 'Europe/Amsterdam')::date, :now, read.count, w.signal_id, read.match_id, 'open'
        FROM looked w JOIN (SELECT signal_id, count(match_id) AS count, (array_agg(match_id))[1] AS match_id
                            FROM behind WHERE match_id IS NOT NULL GROUP BY signal_id) read USING (signal_id)
        ORDER BY w.signal_id ON CONFLICT DO NOTHING
        RETURNING id, kind, who, acting, municipality_code, counted, signal_id
    ), told AS (
        INSERT INTO alert_event (alert_id, event_id)
        SELECT r.id, b.id FROM raised r JOIN behind b USING (signal_id) ORDER BY r.id, b.id
    )
    SELECT * FROM raised
    """
)
_FORGET = (
    text("DELETE FROM activity WHERE day < :subjects_before"),
    text("DELETE FROM activity_day WHERE day < :days_before"),
    text("DELETE FROM alert WHERE raised_at < CAST(:now AS timestamptz) - make_interval(years => :years)"),
)


@dataclass(frozen=True, slots=True)
class Looked:
    """How many places were looked at, and how many alerts were raised."""

    places: int
    raised: int


def detect(pool: Engine, now: datetime, *, most: int = BATCH) -> Looked:
    """Look at the next places of the ledger, at most `most`, and raise what is to be raised."""
    with transaction(pool) as connection:
        first = int(connection.execute(_LOCK).scalar_one())
        upto = min(int(connection.execute(_PLACES).scalar_one()), first + most)
        raised = tell(connection, connection.execute(_WITHDRAWN, {"now": now}).all(), now)
        if first < upto:
            raised += _count(connection, first, upto, now)
            forget(connection, now)
    return Looked(upto - first, raised)


def detect_waiting(pool: Engine, now: datetime) -> int:
    """Look at what has a place by now, a few batches: the next sweep goes on. How many alerts were raised."""
    raised = 0
    for _ in range(_BATCHES):
        looked = detect(pool, now)
        raised += looked.raised
        if looked.places < BATCH:
            break
    return raised


def _count(connection: Connection, first: int, upto: int, now: datetime) -> int:
    values = {
        "first": first,
        "upto": upto,
        "told": TOLD,
        "watched": as_json(_WATCHED),
        "kinds": [one["kind"] for one in _WATCHED],
        "tried": [problem.slug for problem in _TRIED],
        "unknown_reporter": REPORTER_NOT_DESIGNATED.slug,
    }
    touched: list[dict[str, Any]] = [row._asdict() for row in connection.execute(_COUNT, values)]
    raised = raise_bursts(connection, touched, now)
    connection.execute(_BEHIND, {"touched": as_json(touched)})
    connection.execute(_MOVE, {"upto": upto})
    return raised


def forget(connection: Connection, now: datetime) -> None:
    """Destroy what was kept long enough (docs/retention.md)."""
    today = amsterdam_date(now)
    values = {"subjects_before": today - SUBJECTS_KEPT, "days_before": oldest_kept(today)}
    for statement in _FORGET:
        connection.execute(statement, values | {"now": now, "years": ALERTS_KEPT_YEARS})
