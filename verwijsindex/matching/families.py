# SPDX-License-Identifier: EUPL-1.2
"""Siblings: youngsters who share a legal parent through live signals on both sides (R10). Pairs do not chain.

A parent of more youngsters than anybody has (`CROWD`, P) is somebody's mistake, or somebody who wants the one matcher
to work for nothing: all pairs of a thousand siblings are half a million. It links nobody, with an alarm, as long as so
many youngsters have it by what is live.

The pairs stand in `family_match`, once however many parents are shared; nobody reads them by the API.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from verwijsindex.followup.leads_known import Shown
from verwijsindex.ledger import events
from verwijsindex.logs import PARENT_CROWDED, log

CROWD = 24
"""Youngsters of one parent at most, by their live signals."""

# Whose matches may change with these youngsters: they themselves, who is a sibling now, and who was one until now.
_CONCERNED = text(
    """
    SELECT unnest(CAST(:youngsters AS uuid[]))
    UNION SELECT s.youngster_id FROM signal o JOIN signal_parent op ON op.signal_id = o.id
        JOIN parent p ON p.id = op.parent_id AND NOT p.crowded
        JOIN signal_parent sp ON sp.parent_id = op.parent_id JOIN signal s ON s.id = sp.signal_id
        WHERE o.youngster_id = ANY(:youngsters)
    UNION SELECT sibling_id FROM family_match WHERE youngster_id = ANY(:youngsters) AND ended_at IS NULL
    UNION SELECT youngster_id FROM family_match WHERE sibling_id = ANY(:youngsters) AND ended_at IS NULL
    """
)

# For a statement about the youngsters :concerned on the day :today. `own`: who stands there, live. `contact`: who
# stands, live, on a sibling.
WHO_STANDS = """
own AS MATERIALIZED (
    SELECT youngster_id, reporter_id, standing_id, oin,
           bool_or(bool_or(shielded)) OVER (PARTITION BY youngster_id, reporter_id) AS shielded
    FROM live_signals(:today) WHERE youngster_id = ANY(:concerned)
    GROUP BY youngster_id, reporter_id, standing_id, oin
), sibling AS MATERIALIZED (
    SELECT DISTINCT o.youngster_id, s.youngster_id AS sibling_id
    FROM live_signals(:today) o JOIN signal_parent op ON op.signal_id = o.id
    JOIN parent p ON p.id = op.parent_id AND NOT p.crowded
    JOIN signal_parent sp ON sp.parent_id = op.parent_id JOIN live_signals(:today) s ON s.id = sp.signal_id
    WHERE o.youngster_id = ANY(:concerned) AND s.youngster_id <> o.youngster_id
), contact AS MATERIALIZED (
    SELECT DISTINCT s.youngster_id, s.sibling_id, l.reporter_id, l.standing_id
    FROM sibling s JOIN live_signals(:today) l ON l.youngster_id = s.sibling_id
)
"""
# Whom each open match shows, with what proposes a lead (R22).
_SHOWN = text(
    f"""
    WITH {WHO_STANDS}, stands AS (
        SELECT youngster_id, 'youngster' AS kind, reporter_id, standing_id, CAST(NULL AS uuid) AS sibling_id FROM own
        UNION ALL SELECT youngster_id, 'family', reporter_id, standing_id, NULL FROM own
        UNION ALL SELECT youngster_id, 'family', reporter_id, standing_id, sibling_id FROM contact
    )
    SELECT m.id AS match_id, s.youngster_id, s.kind, s.reporter_id, s.sibling_id, c.domain, f.since, f.shielded, r.oin,
           CASE WHEN r.designated_until < :today THEN r.designated_until END AS left_on
    FROM stands s JOIN match m ON m.youngster_id = s.youngster_id AND m.kind = s.kind AND m.ended_at IS NULL
         AND m.youngster_id = ANY(:concerned)
    JOIN reporter r ON r.id = s.reporter_id
    JOIN institution i ON i.oin = r.oin JOIN category c ON c.code = i.category_code
    CROSS JOIN LATERAL (
        SELECT min(received_at) AS since, bool_or(shielded) AS shielded FROM live_signals(:today)
        WHERE standing_id = s.standing_id
    ) f
    """  # noqa: S608 (constants)
)
_PAIRS = f"""
WITH {WHO_STANDS}, should AS (
    SELECT DISTINCT least(o.youngster_id, c.sibling_id) AS youngster_id,
           greatest(o.youngster_id, c.sibling_id) AS sibling_id
    FROM own o JOIN contact c ON c.youngster_id = o.youngster_id AND c.reporter_id <> o.reporter_id
)
"""  # noqa: S608 (constants)
# Who was whose sibling ends with it, as the parents do that said so (R10): the archive must not tell it for years.
_END = text(
    _PAIRS  # noqa: S608
    + "UPDATE family_match f SET ended_at = :now, youngster_id = NULL, sibling_id = NULL WHERE f.ended_at IS NULL"
    + " AND (f.youngster_id = ANY(:concerned) OR f.sibling_id = ANY(:concerned))"
    + " AND (f.youngster_id, f.sibling_id) NOT IN (SELECT youngster_id, sibling_id FROM should) RETURNING f.id"
)
_OPEN = text(
    _PAIRS  # noqa: S608
    + "INSERT INTO family_match (id, youngster_id, sibling_id, opened_at)"
    + " SELECT uuidv7(), youngster_id, sibling_id, :now FROM should ORDER BY youngster_id, sibling_id"
    + " ON CONFLICT (youngster_id, sibling_id) WHERE ended_at IS NULL DO NOTHING RETURNING id"
)


# Of the parents that signals of these youngsters name: those that begin or cease to be a crowd, by what is live now.
_JUDGE = text(
    """
    WITH named AS MATERIALIZED (
        SELECT DISTINCT l.parent_id FROM signal s JOIN signal_parent l ON l.signal_id = s.id
        WHERE s.youngster_id = ANY(:youngsters)
    ), judged AS MATERIALIZED (
        SELECT parent_id, :most < (
            SELECT count(DISTINCT s.youngster_id) FROM signal_parent l JOIN live_signals(:today) s ON s.id = l.signal_id
            WHERE l.parent_id = named.parent_id) AS crowded
        FROM named
    )
    UPDATE parent p SET crowded = j.crowded FROM judged j WHERE p.id = j.parent_id AND p.crowded <> j.crowded
    RETURNING p.id, p.crowded
    """
)
_OF_PARENTS = text(
    "SELECT DISTINCT s.youngster_id FROM signal_parent l JOIN signal s ON s.id = l.signal_id"
    " WHERE l.parent_id = ANY(:parents)"
)


def judge_crowds(connection: Connection, youngsters: Sequence[UUID], today: date) -> list[UUID]:
    """A parent of these youngsters links nobody while more than `CROWD` youngsters have it, and links them again when
    it is fewer. The youngsters who are siblings no more, or again. That a parent is crowded is logged."""
    asked = {"youngsters": list(youngsters), "most": CROWD, "today": today}
    changed = connection.execute(_JUDGE, asked).all()
    crowded = sum(row.crowded for row in changed)
    if crowded:
        log(PARENT_CROWDED, parents=crowded)
    parents = [row.id for row in changed]
    return list(connection.execute(_OF_PARENTS, {"parents": parents}).scalars()) if parents else []


def concerned(connection: Connection, youngsters: Sequence[UUID]) -> list[UUID]:
    """These youngsters, and their siblings of now and until now."""
    return list(connection.execute(_CONCERNED, {"youngsters": list(youngsters)}).scalars())


def shown(connection: Connection, youngsters: Sequence[UUID], today: date) -> list[Shown]:
    """Whom the open matches of these youngsters show."""
    return [Shown(*row) for row in connection.execute(_SHOWN, {"concerned": list(youngsters), "today": today})]


def bring_up_to_date(connection: Connection, youngsters: Sequence[UUID], now: datetime, today: date) -> None:
    """Open and end the family matches of the youngsters that `concerned` gave."""
    asked: dict[str, Any] = {"concerned": list(youngsters), "now": now, "today": today}
    ended = connection.execute(_END, asked).scalars().all()
    opened = connection.execute(_OPEN, asked).scalars().all()
    events.append(
        connection,
        [
            events.Event(kind, now, events.MATCHER, says={"matchId": str(match)})
            for kind, matches in ((events.FAMILY_MATCH_ENDED, ended), (events.FAMILY_MATCH_OPENED, opened))
            for match in matches
        ],
    )
