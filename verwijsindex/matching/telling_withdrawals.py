# SPDX-License-Identifier: EUPL-1.2
"""Who has to be told that a party withdrew its last signal (R30, R36, R37; docs/rules.md, Telling).

Whoever was told of it and is still there, once; from then on it counts as told to nobody.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from verwijsindex.matching.circles import CIRCLE, SPILL
from verwijsindex.notices.service import Wanted

# The last of a standing's signals that ended: was it withdrawn, and nothing handed over or restricted since? Nothing is
# told of what is restricted. Who was told of that standing and is still there is told that it withdrew, and whom to
# ask: the named officer if any of its signals was shielded (R36).
_WITHDRAWN = text(
    "SELECT DISTINCT youngster_id FROM signal"
    " WHERE youngster_id = ANY(:youngsters) AND end_reason IN ('unjustified', 'risk_gone')"
)
_WITHDREW = """
WITH gone AS (
    SELECT st.id, st.handed_over_at FROM standing st
    WHERE st.youngster_id = ANY(:youngsters)
      AND NOT EXISTS (SELECT FROM live_signals(:today) l WHERE l.youngster_id = st.youngster_id
                      AND l.standing_id = st.id)
), withdrew AS MATERIALIZED (
    SELECT g.id, last.oin AS withdrew_oin, last.agreement_id AS withdrew_agreement, last.shielded AS withdrew_shielded
    FROM gone g CROSS JOIN LATERAL (
        SELECT s.oin, s.agreement_id, s.end_reason, bool_or(s.shielded) OVER () AS shielded,
               least(s.ended_at, s.removal_date::timestamp AT TIME ZONE 'Europe/Amsterdam') AS ends
        FROM signal s WHERE s.standing_id = g.id AND s.restricted_at IS NULL ORDER BY ends DESC, s.id LIMIT 1
    ) last
    WHERE last.end_reason IN ('unjustified', 'risk_gone')
      AND (g.handed_over_at IS NULL OR g.handed_over_at <= last.ends)
      AND NOT EXISTS (SELECT FROM signal r WHERE r.standing_id = g.id AND r.restricted_at > last.ends)
)
"""
# Of a family the same contact may be shown still, for another sibling that was told of: nothing is told then, since it
# would say that there are two.
_SHOWN_STILL = """
SELECT FROM {told} o JOIN standing os ON os.id = o.contact_id
WHERE {same} AND os.id <> gone.id AND os.reporter_id = gone.reporter_id
  AND EXISTS (SELECT FROM live_signals(:today) l WHERE l.youngster_id = os.youngster_id AND l.standing_id = os.id)
  AND (os.youngster_id = {own} OR EXISTS (
    SELECT FROM live_signals(:today) a JOIN signal_parent ap ON ap.signal_id = a.id
    JOIN parent p ON p.id = ap.parent_id AND NOT p.crowded
    JOIN signal_parent bp ON bp.parent_id = ap.parent_id JOIN live_signals(:today) b ON b.id = bp.signal_id
    WHERE a.youngster_id = {own} AND b.youngster_id = os.youngster_id))
"""
_TOLD_STILL = _SHOWN_STILL.format(
    told="told",
    same="o.standing_id = t.standing_id AND o.kind = t.kind AND o.to_officer = t.to_officer",
    own="st.youngster_id",
)
_SUPERVISED_STILL = _SHOWN_STILL.format(
    told="told_supervision",
    same="o.match_id = t.match_id AND o.municipality_code = t.municipality_code",
    own="m.youngster_id",
)
# Of each who withdrew, who was told of it.
_HEARD = """
, heard AS MATERIALIZED (
    SELECT t.standing_id, t.contact_id, t.kind, t.to_officer FROM told t JOIN withdrew w ON w.id = t.contact_id
    UNION
    SELECT st.id, w.id, 'youngster', m.to_officer FROM withdrew w JOIN standing gone ON gone.id = w.id
    JOIN told_circle c ON c.youngster_id = gone.youngster_id AND w.id = ANY(c.reporters || c.officers)
    CROSS JOIN LATERAL (SELECT unnest(c.reporters) AS id, false AS to_officer
                        UNION ALL SELECT unnest(c.officers), true) m
    JOIN standing st ON st.id = m.id AND st.reporter_id <> gone.reporter_id
)
"""
_OF_WITHDRAWALS = text(
    _WITHDREW  # noqa: S608
    + _HEARD
    + f"""
    SELECT DISTINCT m.id AS match_id, CASE WHEN l.shielded THEN NULL ELSE l.reporter_id END AS reporter_id,
           NULL AS municipality_code, CASE WHEN l.shielded THEN l.oin END AS officer_oin,
           w.withdrew_oin, w.withdrew_agreement, w.withdrew_shielded
    FROM heard t JOIN withdrew w ON w.id = t.contact_id JOIN standing gone ON gone.id = w.id
    JOIN standing st ON st.id = t.standing_id
    CROSS JOIN LATERAL (
        SELECT reporter_id, oin, bool_or(shielded) AS shielded FROM live_signals(:today)
        WHERE youngster_id = st.youngster_id AND reporter_id = st.reporter_id GROUP BY reporter_id, oin
        HAVING bool_or(shielded) = t.to_officer
    ) l
    CROSS JOIN LATERAL (
        SELECT id FROM match WHERE youngster_id = st.youngster_id AND kind = t.kind ORDER BY opened_at DESC, id LIMIT 1
    ) m
    WHERE t.kind = 'youngster' OR NOT EXISTS ({_TOLD_STILL})
    UNION ALL
    SELECT DISTINCT t.match_id, CAST(NULL AS uuid), t.municipality_code, CAST(NULL AS char(20)),
           w.withdrew_oin, w.withdrew_agreement, w.withdrew_shielded
    FROM told_supervision t JOIN withdrew w ON w.id = t.contact_id JOIN standing gone ON gone.id = w.id
    JOIN match m ON m.id = t.match_id
    WHERE EXISTS (SELECT FROM live_signals(:today) l WHERE l.youngster_id = m.youngster_id
                  AND l.residence_municipality = t.municipality_code)
      AND (m.kind = 'youngster' OR NOT EXISTS ({_SUPERVISED_STILL}))
    """  # noqa: S608
)
_FORGET_WITHDRAWN = text(
    _WITHDREW  # noqa: S608
    + f"""
    , {CIRCLE.format(youngsters=":youngsters")}, stay AS MATERIALIZED (
        SELECT * FROM circle WHERE id NOT IN (SELECT id FROM withdrew)
    ), spilled AS (
        {SPILL} AND x.id NOT IN (SELECT id FROM withdrew)
        ORDER BY r.id, x.id ON CONFLICT DO NOTHING
    ), parted AS (
        UPDATE told_circle c SET
            reporters = ARRAY(SELECT id FROM stay WHERE youngster_id = c.youngster_id AND NOT to_officer),
            officers = ARRAY(SELECT id FROM stay WHERE youngster_id = c.youngster_id AND to_officer)
        WHERE c.youngster_id IN (SELECT youngster_id FROM circle WHERE id IN (SELECT id FROM withdrew))
    ), reporters AS (DELETE FROM told t USING withdrew w WHERE t.contact_id = w.id)
    DELETE FROM told_supervision t USING withdrew w WHERE t.contact_id = w.id
    """  # noqa: S608 (constants)
)


def of_withdrawals(connection: Connection, youngsters: Sequence[UUID], today: date) -> list[Wanted]:
    """Who is told that a party withdrew from these youngsters (R37), once for each institution and agreement to ask
    about; from now on it counts as told to nobody. Before matches and supervision are brought up to date: it looks at
    who was told until now."""
    withdrawn = list(connection.execute(_WITHDRAWN, {"youngsters": list(youngsters)}).scalars())
    if not withdrawn:
        return []
    asked: dict[str, Any] = {"youngsters": withdrawn, "today": today}
    wanted = [Wanted("party_withdrew", **row._mapping) for row in connection.execute(_OF_WITHDRAWALS, asked)]
    connection.execute(_FORGET_WITHDRAWN, asked)
    return wanted
