# SPDX-License-Identifier: EUPL-1.2
"""Matches, parties and supervision as they should be of what is live now (R8, R9, R10, R19, I2).

What should be is computed once and held against what is, and only what differs is written; a match is open exactly
while its live signals make it one. A party is a standing: who ended and signals again leaves, and joins as another.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from verwijsindex.database import as_json
from verwijsindex.ledger import events
from verwijsindex.matching.families import WHO_STANDS

# What should be, held against what is; a row says one thing that is otherwise. A match of kind youngster has every
# reporter who stands there, if they are two or more; one of kind family has those who have somebody else on a sibling.
# Over (`ends`) is a match of which fewer than two parties still stand (of a family, none of the youngster's own): who
# comes after that comes into another. `matched`: a youngster who has a match.
_DIFFERENCES = text(
    f"""
    WITH {WHO_STANDS}, should AS MATERIALIZED (
        SELECT youngster_id, 'youngster' AS kind, reporter_id, standing_id, shielded FROM own o
        WHERE EXISTS (SELECT FROM own x WHERE x.youngster_id = o.youngster_id AND x.reporter_id <> o.reporter_id)
        UNION ALL
        SELECT youngster_id, 'family', reporter_id, standing_id, shielded FROM own o
        WHERE EXISTS (SELECT FROM contact c WHERE c.youngster_id = o.youngster_id AND c.reporter_id <> o.reporter_id)
    ), sits AS MATERIALIZED (
        SELECT m.id AS match_id, m.kind, p.id AS party_id, p.standing_id, s.standing_id IS NOT NULL AS stays
        FROM match m LEFT JOIN party p ON p.match_id = m.id AND p.left_at IS NULL
        LEFT JOIN should s ON s.standing_id = p.standing_id AND s.kind = m.kind
        WHERE m.youngster_id = ANY(:concerned) AND m.ended_at IS NULL
    ), over AS MATERIALIZED (
        SELECT match_id FROM sits GROUP BY match_id, kind
        HAVING count(*) FILTER (WHERE stays) < CASE kind WHEN 'family' THEN 1 ELSE 2 END
    ), unmatched AS MATERIALIZED (
        SELECT standing_id FROM signal
        WHERE youngster_id = ANY(:concerned) AND first_matched_at IS NULL AND ended_at IS NULL
    )
    SELECT 'ends' AS what, match_id AS id, NULL AS kind, NULL::uuid AS reporter_id, NULL::uuid AS standing_id FROM over
    UNION ALL
    SELECT 'leaves', party_id, NULL, NULL, NULL FROM sits
    WHERE party_id IS NOT NULL AND (NOT stays OR match_id IN (SELECT match_id FROM over))
    UNION ALL
    SELECT 'joins', youngster_id, kind, reporter_id, standing_id FROM should s
    WHERE NOT EXISTS (SELECT FROM sits i WHERE i.standing_id = s.standing_id AND i.kind = s.kind
                      AND i.match_id NOT IN (SELECT match_id FROM over))
    UNION ALL
    SELECT 'first matched', NULL, NULL, NULL, standing_id FROM unmatched
    WHERE standing_id IN (SELECT standing_id FROM should WHERE NOT shielded)
    UNION ALL
    SELECT 'matched', youngster_id, NULL, NULL, NULL FROM (SELECT DISTINCT youngster_id FROM should) s
    """  # noqa: S608 (constants)
)
_END_MATCHES = text("UPDATE match SET ended_at = :now WHERE id = ANY(:ends)")
_LEAVE = text("DELETE FROM party WHERE id = ANY(:leave) RETURNING match_id, reporter_id")
_INPUT = (
    "WITH joins AS MATERIALIZED (SELECT * FROM json_to_recordset(CAST(:joins AS json))"
    " AS i (id uuid, kind text, reporter_id uuid, standing_id uuid))"
)
_OPEN_MATCHES = text(
    f"{_INPUT} INSERT INTO match (id, kind, youngster_id, opened_at, change)"  # noqa: S608
    " SELECT uuidv7(), kind, id, :now, 0 FROM (SELECT DISTINCT kind, id FROM joins) s ORDER BY id, kind"
    " ON CONFLICT (youngster_id, kind) WHERE ended_at IS NULL DO NOTHING RETURNING id"
)
_JOIN = text(
    f"{_INPUT} INSERT INTO party (id, match_id, reporter_id, standing_id, joined_at)"  # noqa: S608
    " SELECT DISTINCT ON (m.id, s.reporter_id) uuidv7(), m.id, s.reporter_id, s.standing_id, :now"
    " FROM joins s CROSS JOIN LATERAL (SELECT id FROM match m WHERE m.youngster_id = s.id AND m.kind = s.kind"
    "  AND m.ended_at IS NULL OFFSET 0) m"
    " ORDER BY m.id, s.reporter_id, s.standing_id"
    " ON CONFLICT (match_id, reporter_id) WHERE left_at IS NULL DO NOTHING RETURNING match_id, reporter_id,"
    # Which signal made it a party: without it the ledger could not say who looked at what came of a signal (R31).
    " (SELECT g.id FROM signal g WHERE g.standing_id = party.standing_id AND g.ended_at IS NULL"
    "  ORDER BY g.received_at, g.id LIMIT 1)"
)
# What supervisors were told goes with them into the match that comes after: it ended because of a restriction, a
# handover or a link that went, and none of these is told to them (R30, R34).
_TOLD_GOES_ALONG = text(
    "WITH before AS (DELETE FROM told_supervision t USING match o, match n"
    " WHERE n.id = ANY(:opened) AND o.youngster_id = n.youngster_id AND o.kind = n.kind AND o.id <> n.id"
    " AND t.match_id = o.id RETURNING n.id, t.municipality_code, t.contact_id)"
    " INSERT INTO told_supervision (match_id, municipality_code, contact_id)"
    " SELECT DISTINCT id, municipality_code, contact_id FROM before ORDER BY id, municipality_code, contact_id"
)
# Not of who is shielded as a whole: the day on which informing is overdue would tell that there is a match (R36).
_FIRST_MATCHED = text(
    "UPDATE signal SET first_matched_at = :now"
    " WHERE standing_id = ANY(:standings) AND first_matched_at IS NULL AND ended_at IS NULL"
)
# Of supervision likewise. Where nobody lives any more it is forgotten who was told: a supervisor who gets a youngster
# back is told anew. That a match ended takes nothing away of what was told: it may come back as another.
_SUPERVISION_DIFFERENCES = text(
    """
    WITH lived AS MATERIALIZED (
        SELECT DISTINCT youngster_id, residence_municipality AS municipality_code FROM live_signals(:today)
        WHERE youngster_id = ANY(:concerned)
    ), of_match AS MATERIALIZED (
        SELECT id, youngster_id, ended_at IS NULL AS open FROM match WHERE youngster_id = ANY(:concerned)
    ), supervised AS MATERIALIZED (
        SELECT m.youngster_id, v.id, v.match_id, v.municipality_code FROM of_match m CROSS JOIN LATERAL (
            SELECT id, match_id, municipality_code FROM supervision WHERE match_id = m.id AND left_at IS NULL OFFSET 0
        ) v
    )
    SELECT 'stops' AS what, s.id, NULL AS municipality_code FROM supervised s JOIN of_match m ON m.id = s.match_id
    WHERE NOT m.open OR NOT EXISTS (SELECT FROM lived l WHERE l.youngster_id = s.youngster_id
                                    AND l.municipality_code = s.municipality_code)
    UNION ALL
    SELECT 'begins', m.id, l.municipality_code FROM of_match m JOIN lived l ON l.youngster_id = m.youngster_id
    WHERE m.open AND NOT EXISTS (SELECT FROM supervised s WHERE s.match_id = m.id
                                 AND s.municipality_code = l.municipality_code)
    UNION ALL
    SELECT DISTINCT 'forgets', m.id, t.municipality_code FROM of_match m CROSS JOIN LATERAL (
        SELECT DISTINCT municipality_code FROM told_supervision WHERE match_id = m.id OFFSET 0) t
    WHERE NOT EXISTS (SELECT FROM lived l WHERE l.youngster_id = m.youngster_id
                      AND l.municipality_code = t.municipality_code)
    """
)
_STOP_SUPERVISING = text("UPDATE supervision SET left_at = :now WHERE id = ANY(:stop)")
_FORGET_SUPERVISED = text(
    "DELETE FROM told_supervision t USING unnest(CAST(:matches AS uuid[]), CAST(:municipalities AS char(4)[]))"
    " i (match_id, municipality_code)"
    " WHERE t.match_id = i.match_id AND t.municipality_code = i.municipality_code"
)
_SUPERVISE = text(
    "INSERT INTO supervision (id, match_id, municipality_code, joined_at, opened_at)"
    " SELECT uuidv7(), match_id, municipality_code, :now, (SELECT opened_at FROM match m WHERE m.id = i.match_id)"
    " FROM unnest(CAST(:matches AS uuid[]), CAST(:municipalities AS char(4)[])) i (match_id, municipality_code)"
    " ORDER BY match_id, municipality_code ON CONFLICT (match_id, municipality_code) WHERE left_at IS NULL DO NOTHING"
)


def bring_up_to_date(connection: Connection, youngsters: Sequence[UUID], now: datetime, today: date) -> list[UUID]:
    """Open and end the matches of these youngsters, let parties join and leave, and supervisors begin and stop.

    Returns:
        Which of them have a match now.
    """
    asked: dict[str, Any] = {"concerned": list(youngsters), "now": now, "today": today}
    found = defaultdict(list)
    for row in connection.execute(_DIFFERENCES, asked):
        found[row.what].append(row)
    ended = [row.id for row in found["ends"]]
    left: Sequence[Row[Any]] = ()
    opened: Sequence[UUID] = ()
    joined: Sequence[Row[Any]] = ()
    if ended:
        connection.execute(_END_MATCHES, {"ends": ended, "now": now})
    if found["leaves"]:
        left = connection.execute(_LEAVE, {"leave": [row.id for row in found["leaves"]]}).all()
    if found["joins"]:
        joins = {"joins": as_json([dict(row._mapping) for row in found["joins"]]), "now": now}
        opened = connection.execute(_OPEN_MATCHES, joins).scalars().all()
        if opened:
            connection.execute(_TOLD_GOES_ALONG, {"opened": list(opened)})
        joined = connection.execute(_JOIN, joins).all()
    if found["first matched"]:
        standings = [row.standing_id for row in found["first matched"]]
        connection.execute(_FIRST_MATCHED, {"standings": standings, "now": now})
    _supervise(connection, asked)
    events.append(
        connection,
        [
            *(_of_match(events.MATCH_ENDED, now, match) for match in ended),
            *(_of_match(events.PARTY_LEFT, now, *row) for row in left),
            *(_of_match(events.MATCH_OPENED, now, match) for match in opened),
            *(_of_match(events.PARTY_JOINED, now, *row) for row in joined),
        ],
    )
    return sorted(row.id for row in found["matched"])


def _supervise(connection: Connection, asked: Mapping[str, Any]) -> None:
    """Supervisors begin and stop."""
    found = defaultdict(list)
    for row in connection.execute(_SUPERVISION_DIFFERENCES, asked):
        found[row.what].append(row)
    if found["stops"]:
        connection.execute(_STOP_SUPERVISING, {"stop": [row.id for row in found["stops"]], "now": asked["now"]})
    for what, statement in (("forgets", _FORGET_SUPERVISED), ("begins", _SUPERVISE)):
        if rows := found[what]:
            named = {"matches": [row.id for row in rows], "municipalities": [row.municipality_code for row in rows]}
            connection.execute(statement, named | {"now": asked["now"]})


def _of_match(
    kind: events.EventKind, now: datetime, match: UUID, reporter: UUID | None = None, signal: UUID | None = None
) -> events.Event:
    says: dict[str, str | int] = {"matchId": str(match)}
    if signal:
        says["signalId"] = str(signal)
    return events.Event(kind, now, events.MATCHER, says=says, recipient_reporter=reporter)
