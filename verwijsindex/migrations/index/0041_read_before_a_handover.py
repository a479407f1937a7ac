# SPDX-License-Identifier: EUPL-1.2
"""A withdrawal as `unjustified` is an alert as well where who read the match had handed the signal over (R37, R34).

The version before goes on working: it calls the function as it did, and raises that much more.
"""

from alembic import op

revision = "index_0041"
down_revision = "index_0039"
branch_labels = None
depends_on = None

# As 0038 has it; whoever held the signal counts as its reporter: the one who registered it, and each to whom it was
# handed over. Both events name them, and are found by the signal. That it was handed over is behind the alert too.
EVENTS = """
CREATE OR REPLACE FUNCTION unjustified_events(signal uuid, matches uuid[], reporter uuid, institution char(20),
                                              since timestamptz, upto timestamptz)
RETURNS TABLE (id uuid, match_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.id, NULL::uuid FROM event e
    WHERE e.signal_id = signal AND e.kind IN ('signal.withdrawn', 'signal.handed_over')
    UNION ALL
    (SELECT e.id, e.match_id FROM event e
     WHERE e.match_id = ANY(matches) AND e.kind IN ('match.read', 'follow_up.read') AND e.at >= since AND e.at <= upto
       AND (e.reporter_id = reporter OR e.reporter_id IN (
                SELECT h.reporter_id FROM event h
                WHERE h.signal_id = signal AND h.kind IN ('signal.registered', 'signal.handed_over'))
            OR (e.oin = institution AND said_by_event(e.body)->'actor'->>'role' IN ('coordinator', 'named_officer')))
     ORDER BY e.at DESC LIMIT 100)
$$;
"""


def upgrade() -> None:
    """Look at who held the signal before."""
    op.execute(EVENTS)
