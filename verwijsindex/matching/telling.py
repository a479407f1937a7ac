# SPDX-License-Identifier: EUPL-1.2
"""Who has to be told of what changed (R8, R10, R17, R24, R30, R34, R36, R37; docs/rules.md, Telling).

What was told is remembered of each two who stand and for each supervision (`told_supervision`), so that nobody is told
of the same one twice, whatever comes and goes in between. For one who stands the reporter was told, or the named
officer: when a party becomes shielded, or is so no more, the other takes over, who knows nothing yet. Those on one
youngster who were all told of each other are one row (`told_circle`); each two of whom it is not so, or who stand on
siblings, are one in `told` (docs/decisions/0027). Read under the matcher's lock.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from verwijsindex.matching.circles import CIRCLE, SPILL
from verwijsindex.matching.families import WHO_STANDS
from verwijsindex.notices.service import Wanted

# Whether who stands (the reporter, or the named officer in its place) said of a contact "we already work together"
# (R23). One who is shielded is told of at once, whatever was said before: mail that waits would tell who it is (R36).
# An aggregate, unlike EXISTS, is never answered by a look at all that is shielded.
_MUTED = """EXISTS (
    SELECT FROM mute u JOIN standing c ON c.id = p.contact_id
    WHERE u.youngster_id = p.youngster_id AND u.reporter_id = p.reporter_id AND u.other_id = p.contact_reporter
      AND u.standing_id = p.standing_id AND u.by_officer = p.shielded
      AND NOT (SELECT bool_or(l.shielded) FROM live_signals(:today) l WHERE l.youngster_id = c.youngster_id
               AND l.reporter_id = c.reporter_id) OFFSET 0)"""
# Nearly all on a youngster are in its circle, and only of a pair that is not it is asked further. The statement sees
# what was told before it, and remembers what is new: who stands there now has then been told of all who do, which is a
# circle.
# A contact is a reporter, however many siblings that reporter stands on: who was told of one of its standings that
# runs still (`twin`) was told of it. Who is told is one who stands by the reporter, or by the named officer.
_OF_PARTIES = text(
    f"""
    WITH {WHO_STANDS}, {CIRCLE.format(youngsters=":concerned")}, seated AS MATERIALIZED (
        SELECT o.*, h.id IS NOT NULL AND h.to_officer = o.shielded AS hears, h.id IS NOT NULL AS heard
        FROM own o LEFT JOIN circle h ON h.id = o.standing_id
    ), twin AS MATERIALIZED (
        SELECT st.youngster_id, st.reporter_id, st.id FROM standing st
        WHERE st.youngster_id = ANY(:concerned) AND NOT EXISTS (SELECT FROM own o WHERE o.standing_id = st.id)
          AND EXISTS (SELECT FROM own o WHERE o.youngster_id = st.youngster_id AND o.reporter_id = st.reporter_id)
          AND EXISTS (SELECT FROM placed_signals(:today) s WHERE s.standing_id = st.id)
    ), knows AS MATERIALIZED (
        SELECT o.*, ARRAY(SELECT contact_id FROM told t WHERE t.standing_id = o.standing_id AND t.kind = 'family'
                          AND t.to_officer = o.shielded) AS contacts
        FROM own o WHERE o.youngster_id IN (SELECT youngster_id FROM sibling)
    ), apart AS MATERIALIZED (
        SELECT o.*, x.reporter_id AS contact_reporter, x.standing_id AS contact_id
        FROM seated o JOIN seated x ON x.youngster_id = o.youngster_id WHERE NOT o.hears
        UNION ALL
        SELECT o.*, x.reporter_id, x.standing_id
        FROM seated x JOIN seated o ON o.youngster_id = x.youngster_id WHERE o.hears AND NOT x.heard
    ), fresh AS MATERIALIZED (
        SELECT p.youngster_id, 'youngster' AS kind, p.reporter_id, p.standing_id, p.oin, p.shielded, p.contact_reporter,
               p.contact_id, CAST(NULL AS uuid[]) AS contacts
        FROM apart p WHERE p.contact_reporter <> p.reporter_id AND NOT EXISTS (
            SELECT FROM told t WHERE t.standing_id = p.standing_id AND t.contact_id = p.contact_id
              AND t.kind = 'youngster' AND t.to_officer = p.shielded OFFSET 0)
        UNION ALL
        SELECT DISTINCT o.youngster_id, 'family', o.reporter_id, o.standing_id, o.oin, o.shielded, c.reporter_id,
               c.standing_id, o.contacts
        FROM knows o JOIN contact c ON c.youngster_id = o.youngster_id AND c.reporter_id <> o.reporter_id
        WHERE c.standing_id <> ALL(o.contacts)
    ), stay AS MATERIALIZED (
        SELECT youngster_id, standing_id AS id, shielded AS to_officer FROM own
        WHERE youngster_id IN (SELECT youngster_id FROM fresh WHERE kind = 'youngster')
    ), spilled AS (
        {SPILL} AND l.youngster_id IN (SELECT youngster_id FROM stay)
        ON CONFLICT DO NOTHING
    ), circled AS (
        INSERT INTO told_circle (youngster_id, reporters, officers)
        SELECT youngster_id, coalesce(array_agg(id) FILTER (WHERE NOT to_officer), '{{}}'),
               coalesce(array_agg(id) FILTER (WHERE to_officer), '{{}}')
        FROM stay GROUP BY youngster_id ORDER BY youngster_id
        ON CONFLICT (youngster_id) DO UPDATE SET reporters = EXCLUDED.reporters, officers = EXCLUDED.officers
    ), remembered AS (
        INSERT INTO told (standing_id, contact_id, kind, to_officer)
        SELECT DISTINCT standing_id, contact_id, kind, shielded FROM fresh WHERE kind = 'family'
        ORDER BY standing_id, contact_id, kind ON CONFLICT DO NOTHING
    )
    SELECT m.id AS match_id, CASE WHEN p.shielded THEN NULL ELSE p.reporter_id END AS reporter_id,
           NULL AS municipality_code, CASE WHEN p.shielded THEN p.oin END AS officer_oin,
           bool_and({_MUTED}) AS quiet
    FROM fresh p JOIN match m ON m.youngster_id = p.youngster_id AND m.kind = p.kind AND m.ended_at IS NULL
    WHERE m.youngster_id = ANY(:concerned) AND NOT EXISTS (
        SELECT FROM twin st WHERE p.kind = 'youngster' AND st.youngster_id = p.youngster_id
          AND st.reporter_id = p.contact_reporter
          AND ((EXISTS (SELECT FROM circle c WHERE c.id = p.standing_id AND c.to_officer = p.shielded)
                AND st.id IN (SELECT id FROM circle))
               OR EXISTS (SELECT FROM told t WHERE t.standing_id = p.standing_id AND t.contact_id = st.id
                          AND t.kind = 'youngster' AND t.to_officer = p.shielded)))
      AND NOT EXISTS (
        SELECT FROM standing st WHERE st.id = ANY(p.contacts) AND st.reporter_id = p.contact_reporter
          AND EXISTS (SELECT FROM placed_signals(:today) s WHERE s.standing_id = st.id) OFFSET 0)
    GROUP BY 1, 2, 4
    """  # noqa: S608 (constants)
)

# OFFSET 0 has PostgreSQL look each row up, whatever it guesses: its guess of what a CTE holds is far too high.
# Whom a match shows its supervisors: all who stand there, and of a family match the contacts too.
_SHOWN = f"""
WITH {WHO_STANDS}, shown AS MATERIALIZED (
    SELECT m.id AS match_id, p.reporter_id, p.standing_id FROM match m JOIN party p ON p.match_id = m.id
    WHERE m.youngster_id = ANY(:concerned) AND m.ended_at IS NULL AND p.left_at IS NULL
    UNION
    SELECT m.id, c.reporter_id, c.standing_id FROM match m JOIN contact c ON c.youngster_id = m.youngster_id
    WHERE m.kind = 'family' AND m.ended_at IS NULL
      AND EXISTS (SELECT FROM own o WHERE o.youngster_id = c.youngster_id AND o.reporter_id <> c.reporter_id)
), supervised AS (
    SELECT s.*, v.municipality_code FROM shown s JOIN (
        SELECT m.match_id, v.municipality_code FROM (SELECT DISTINCT match_id FROM shown) m CROSS JOIN LATERAL (
            SELECT municipality_code FROM supervision WHERE match_id = m.match_id AND left_at IS NULL OFFSET 0
        ) v
    ) v ON v.match_id = s.match_id
)
"""  # noqa: S608 (constants)
# A handover is not told to supervisors (R34): a standing that began with one does not make them be told.
_OF_SUPERVISION = text(
    _SHOWN  # noqa: S608
    + """
    , known AS MATERIALIZED (
        SELECT t.match_id, t.municipality_code, t.contact_id, st.reporter_id
        FROM (SELECT DISTINCT match_id FROM supervised) u CROSS JOIN LATERAL (
            SELECT * FROM told_supervision WHERE match_id = u.match_id OFFSET 0
        ) t CROSS JOIN LATERAL (SELECT reporter_id FROM standing WHERE id = t.contact_id OFFSET 0) st
    ), fresh AS MATERIALIZED (
        SELECT DISTINCT u.* FROM supervised u WHERE NOT EXISTS (
            SELECT FROM known t WHERE t.match_id = u.match_id AND t.municipality_code = u.municipality_code
              AND t.contact_id = u.standing_id)
    ), remembered AS (
        INSERT INTO told_supervision (match_id, municipality_code, contact_id)
        SELECT DISTINCT match_id, municipality_code, standing_id FROM fresh
        ORDER BY match_id, municipality_code, standing_id ON CONFLICT DO NOTHING
    )
    SELECT DISTINCT u.match_id, CAST(NULL AS uuid) AS reporter_id, u.municipality_code,
           CAST(NULL AS char(20)) AS officer_oin, false AS quiet
    FROM fresh u
    WHERE (EXISTS (SELECT FROM signal s WHERE s.standing_id = u.standing_id AND s.held_since IS NULL OFFSET 0)
           OR NOT EXISTS (SELECT FROM known t WHERE t.match_id = u.match_id
                          AND t.municipality_code = u.municipality_code))
      AND NOT EXISTS (
        SELECT FROM known t WHERE t.match_id = u.match_id AND t.municipality_code = u.municipality_code
          AND t.reporter_id = u.reporter_id
          AND EXISTS (SELECT FROM placed_signals(:today) s WHERE s.standing_id = t.contact_id))
    """
)

# Who is alone on a youngster has only the match of its family, and is told of what its supervisor tells.
_OF_MOVES = text(
    """
    SELECT DISTINCT m.id AS match_id, CASE WHEN l.shielded THEN NULL ELSE l.reporter_id END AS reporter_id,
           NULL AS municipality_code, CASE WHEN l.shielded THEN l.oin END AS officer_oin
    FROM unnest(CAST(:movers AS uuid[]), CAST(:tellers AS uuid[])) i (youngster_id, teller)
    CROSS JOIN LATERAL (
        SELECT id FROM match WHERE youngster_id = i.youngster_id AND ended_at IS NULL
        AND (kind = 'youngster' OR i.teller IS NULL) ORDER BY kind = 'youngster' DESC LIMIT 1
    ) m
    CROSS JOIN LATERAL (
        SELECT reporter_id, oin, bool_or(shielded) AS shielded FROM live_signals(:today)
        WHERE youngster_id = i.youngster_id GROUP BY reporter_id, oin
    ) l
    WHERE l.reporter_id IS DISTINCT FROM i.teller
    """
)
# Judged at receipt, and told if both are still there now (R17), and nothing of what is restricted (R30).
_OF_ARCHIVE = text(
    """
    SELECT DISTINCT a.id AS archived_signal_id, CASE WHEN l.shielded THEN NULL ELSE l.reporter_id END AS reporter_id,
           NULL AS municipality_code, CASE WHEN l.shielded THEN l.oin END AS officer_oin
    FROM live_signals(:today) s JOIN archived_signal a ON a.youngster_id = s.youngster_id
    CROSS JOIN LATERAL (
        SELECT reporter_id, oin, bool_or(shielded) AS shielded FROM live_signals(:today)
        WHERE youngster_id = s.youngster_id AND reporter_id = s.reporter_id GROUP BY reporter_id, oin
    ) l
    WHERE s.id = ANY(:signals) AND a.reporter_id <> s.reporter_id AND a.ended_at <= s.received_at
      AND a.destroy_on > :today AND NOT a.restricted
    """
)


def of_matches(connection: Connection, matched: Sequence[UUID], today: date) -> list[Wanted]:
    """Who is told of a party or contact never told before, and which supervisors; from now on they were told.

    Quiet is what tells a reporter of nobody but those with whom it said to work together already (R23); supervisors
    said nothing of the kind.

    Args:
        matched: youngsters who have a match.
    """
    if not matched:
        return []
    asked: dict[str, Any] = {"concerned": list(matched), "today": today}
    rows = [*connection.execute(_OF_PARTIES, asked), *connection.execute(_OF_SUPERVISION, asked)]
    return [
        Wanted("match", reporter, municipality, officer, match, quiet=quiet)
        for match, reporter, municipality, officer, quiet in rows
    ]


def of_moves(
    connection: Connection, movers: Sequence[UUID], tellers: Sequence[UUID | None], today: date
) -> list[Wanted]:
    """The other live reporters of who moved (R24). `tellers`: of each, the reporter who told it; None a supervisor."""
    asked = {"movers": list(movers), "tellers": list(tellers), "today": today}
    return [Wanted("move", **row._mapping) for row in connection.execute(_OF_MOVES, asked)] if movers else []


def of_archive(connection: Connection, signals: Sequence[UUID], today: date) -> list[Wanted]:
    """The reporters of these signals, new or restricted until now, for each archived signal of another on the same
    youngster (R17)."""
    asked = {"signals": list(signals), "today": today}
    return [Wanted("archive", **row._mapping) for row in connection.execute(_OF_ARCHIVE, asked)] if signals else []
