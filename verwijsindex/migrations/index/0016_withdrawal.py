# SPDX-License-Identifier: EUPL-1.2
"""Whom to ask after a withdrawal (R37), and deaths found by their key.

The version before goes on working: it places no notice of a withdrawal and reads nothing that is changed here.
"""

from alembic import op

revision = "index_0016"
down_revision = "index_0014"
branch_labels = None
depends_on = None

# Of which institution the party was, and no reporter. Only the function below reads it.
WITHDREW = """
CREATE TABLE notice_withdrawal (
    notice_id uuid NOT NULL REFERENCES notice (id) ON DELETE CASCADE,
    oin char(20) NOT NULL REFERENCES institution (oin),
    shielded boolean NOT NULL,
    agreement_id uuid NOT NULL REFERENCES agreement (id),
    PRIMARY KEY (notice_id, oin, shielded, agreement_id)
);
ALTER TABLE notice_withdrawal ENABLE ROW LEVEL SECURITY;
GRANT INSERT ON notice_withdrawal TO verwijsindex_worker;
CREATE POLICY worker ON notice_withdrawal FOR INSERT TO verwijsindex_worker WITH CHECK (true);
"""

# So that deaths that the matcher has not dealt with yet do not slow what is read meanwhile.
DEATHS = """
CREATE INDEX ix_death_key ON death (key);
"""

NOTICE = """
-- One line of the inboxes that the scope reads, the same as `inbox` has. `ask`: of a withdrawal, who can be asked today
-- in the place of each institution's parties that withdrew, once: the named officer of who was shielded, else the
-- coordinators, or the access team for a person with an own agreement (R2, R36, R37).
CREATE FUNCTION inbox_notice(asked uuid)
RETURNS TABLE (id uuid, kind varchar, match_id uuid, archived_signal_id uuid, reporter_id uuid, placed_at timestamptz,
               ask jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    today CONSTANT date := scope_today();
    municipality CONSTANT char(4) := scope_municipality();
    officer CONSTANT char(20) := CASE WHEN scope_own_officer() IS NOT NULL THEN scope_oin() END;
    reporters CONSTANT uuid[] := CASE WHEN officer IS NULL THEN ARRAY(SELECT * FROM stands_for()) END;
BEGIN
    RETURN QUERY
    SELECT n.id, n.kind, n.match_id, n.archived_signal_id, n.reporter_id, n.placed_at, (
        SELECT jsonb_agg(to_jsonb(card) ORDER BY card.institution, card.shown_as, one.oin)
        FROM (SELECT w.oin, shown_as(w.shielded, '-infinity', g.in_person, today) AS shown,
                     array_agg(DISTINCT w.agreement_id) AS agreements
              FROM notice_withdrawal w JOIN institution i ON i.oin = w.oin JOIN category g ON g.code = i.category_code
              WHERE w.notice_id = n.id GROUP BY 1, 2) one
        CROSS JOIN LATERAL contact_card(NULL, one.oin, one.shown, one.agreements, today) card)
    FROM notice n
    WHERE n.id = asked
      AND (n.reporter_id = ANY(reporters) OR n.municipality_code = municipality OR n.officer_oin = officer);
END $$;
REVOKE ALL ON FUNCTION inbox_notice(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION inbox_notice(uuid) TO verwijsindex_index;
"""


def upgrade() -> None:
    """Let a notice of a withdrawal say whom to ask."""
    for part in (WITHDREW, DEATHS, NOTICE):
        op.execute(part)
