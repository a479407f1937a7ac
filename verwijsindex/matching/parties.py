# SPDX-License-Identifier: EUPL-1.2
"""Matches, parties and supervision as they should be of what is live now (R8, R9, R10, R19, I2).

What should be is computed once, and every table is brought to it; a match is open exactly while its live signals make
it one. A party is a standing: who ended and signals again leaves, and joins as another.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from verwijsindex.database import as_json
from verwijsindex.ledger import events
from verwijsindex.matching.families import WHO_STANDS

# A match of kind youngster has every reporter who stands there, if they are two or more; one of kind family has those
# who have somebody else on a sibling.
_SHOULD = text(
    f"""
    WITH {WHO_STANDS}
    SELECT youngster_id, 'youngster' AS kind, reporter_id, standing_id, shielded FROM own o
    WHERE EXISTS (SELECT FROM own x WHERE x.youngster_id = o.youngster_id AND x.reporter_id <> o.reporter_id)
    UNION ALL
    SELECT youngster_id, 'family', reporter_id, standing_id, shielded FROM own o
    WHERE EXISTS (SELECT FROM contact c WHERE c.youngster_id = o.youngster_id AND c.reporter_id <> o.reporter_id)
    """  # noqa: S608 (constants)
)
_INPUT = (
    "WITH should AS MATERIALIZED (SELECT * FROM json_to_recordset(CAST(:should AS json))"
    " AS i (youngster_id uuid, kind text, reporter_id uuid, standing_id uuid, shielded boolean))"
)
# Over is a match of which fewer than two parties still stand (of a family, none of the youngster's own): who comes
# after that comes into another.
_END_MATCHES = text(
    f"{_INPUT}, remaining AS ("  # noqa: S608
    " SELECT m.id, m.kind, count(s.standing_id) AS parties FROM match m"
    " LEFT JOIN party p ON p.match_id = m.id AND p.left_at IS NULL"
    " LEFT JOIN should s ON s.youngster_id = m.youngster_id AND s.kind = m.kind AND s.standing_id = p.standing_id"
    " WHERE m.youngster_id = ANY(:concerned) AND m.ended_at IS NULL GROUP BY m.id"
    ") UPDATE match m SET ended_at = :now FROM remaining r"
    " WHERE m.id = r.id AND r.parties < CASE r.kind WHEN 'family' THEN 1 ELSE 2 END RETURNING m.id"
)
_OPEN_MATCHES = text(
    f"{_INPUT} INSERT INTO match (id, kind, youngster_id, opened_at, change)"  # noqa: S608
    " SELECT uuidv7(), kind, youngster_id, :now, 0 FROM (SELECT DISTINCT kind, youngster_id FROM should) s"
    " ORDER BY youngster_id, kind"
    " ON CONFLICT (youngster_id, kind) WHERE ended_at IS NULL DO NOTHING RETURNING id"
)
# The parties and the supervisions that nothing live supports, found from the youngsters and not from the whole table.
_LEAVE = text(
    f"{_INPUT}, gone AS ("  # noqa: S608
    " SELECT p.id FROM match m JOIN party p ON p.match_id = m.id AND p.left_at IS NULL"
    " LEFT JOIN should s ON s.youngster_id = m.youngster_id AND s.kind = m.kind AND s.standing_id = p.standing_id"
    " WHERE m.youngster_id = ANY(:concerned) AND (m.ended_at IS NOT NULL OR s.standing_id IS NULL)"
    ") DELETE FROM party p USING gone WHERE p.id = gone.id RETURNING p.match_id, p.reporter_id"
)
_JOIN = text(
    f"{_INPUT} INSERT INTO party (id, match_id, reporter_id, standing_id, joined_at)"  # noqa: S608
    " SELECT DISTINCT ON (m.id, s.reporter_id) uuidv7(), m.id, s.reporter_id, s.standing_id, :now"
    " FROM should s JOIN match m ON m.youngster_id = s.youngster_id AND m.kind = s.kind AND m.ended_at IS NULL"
    " WHERE m.youngster_id = ANY(:concerned)"
    " ORDER BY m.id, s.reporter_id, s.standing_id"
    " ON CONFLICT (match_id, reporter_id) WHERE left_at IS NULL DO NOTHING RETURNING match_id, reporter_id"
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
    f"{_INPUT} UPDATE signal s SET first_matched_at = :now FROM should i"  # noqa: S608
    " WHERE s.youngster_id = i.youngster_id AND s.standing_id = i.standing_id AND NOT i.shielded"
    " AND s.first_matched_at IS NULL AND s.ended_at IS NULL"
)
_RESIDENCE = (
    "residence AS MATERIALIZED (SELECT DISTINCT m.id AS match_id, l.residence_municipality AS municipality_code"
    " FROM match m JOIN live_signals(:today) l ON l.youngster_id = m.youngster_id"
    " WHERE m.youngster_id = ANY(:concerned) AND m.ended_at IS NULL)"
)
# Where nobody lives any more it is forgotten who was told: a supervisor who gets a youngster back is told anew. That a
# match ended takes nothing away of what was told: it may come back as another.
_STOP_SUPERVISING = text(
    f"WITH {_RESIDENCE}, lived AS MATERIALIZED ("  # noqa: S608
    " SELECT DISTINCT youngster_id, residence_municipality FROM live_signals(:today)"
    " WHERE youngster_id = ANY(:concerned)"
    "), gone AS ("
    " SELECT v.id FROM match m JOIN supervision v ON v.match_id = m.id AND v.left_at IS NULL"
    " LEFT JOIN residence r ON r.match_id = v.match_id AND r.municipality_code = v.municipality_code"
    " WHERE m.youngster_id = ANY(:concerned) AND r.match_id IS NULL"
    "), stopped AS (UPDATE supervision v SET left_at = :now FROM gone WHERE v.id = gone.id"
    ") DELETE FROM told_supervision t USING match m WHERE m.youngster_id = ANY(:concerned) AND t.match_id = m.id"
    " AND (m.youngster_id, t.municipality_code) NOT IN (SELECT * FROM lived)"
)
_SUPERVISE = text(
    f"WITH {_RESIDENCE} INSERT INTO supervision (id, match_id, municipality_code, joined_at)"  # noqa: S608
    " SELECT uuidv7(), match_id, municipality_code, :now FROM residence ORDER BY match_id, municipality_code"
    " ON CONFLICT (match_id, municipality_code) WHERE left_at IS NULL DO NOTHING"
)


def bring_up_to_date(connection: Connection, youngsters: Sequence[UUID], now: datetime, today: date) -> list[UUID]:
    """Open and end the matches of these youngsters, let parties join and leave, and supervisors begin and stop.

    Returns:
        Which of them have a match now.
    """
    asked: dict[str, Any] = {"concerned": list(youngsters), "now": now, "today": today}
    should = connection.execute(_SHOULD, asked).mappings().all()
    asked["should"] = as_json([dict(row) for row in should])
    ended = connection.execute(_END_MATCHES, asked).scalars().all()
    left = connection.execute(_LEAVE, asked).all()
    opened: Sequence[UUID] = ()
    joined: Sequence[Row[Any]] = ()
    if should:
        opened = connection.execute(_OPEN_MATCHES, asked).scalars().all()
        connection.execute(_TOLD_GOES_ALONG, {"opened": list(opened)})
        joined = connection.execute(_JOIN, asked).all()
        connection.execute(_FIRST_MATCHED, asked)
    connection.execute(_STOP_SUPERVISING, asked)
    if should:
        connection.execute(_SUPERVISE, asked)
    events.append(
        connection,
        [
            *(_of_match(events.MATCH_ENDED, now, match) for match in ended),
            *(_of_match(events.PARTY_LEFT, now, *row) for row in left),
            *(_of_match(events.MATCH_OPENED, now, match) for match in opened),
            *(_of_match(events.PARTY_JOINED, now, *row) for row in joined),
        ],
    )
    return sorted({row["youngster_id"] for row in should})


def _of_match(kind: events.EventKind, now: datetime, match: UUID, reporter: UUID | None = None) -> events.Event:
    return events.Event(kind, now, events.MATCHER, says={"matchId": str(match)}, recipient_reporter=reporter)
