# SPDX-License-Identifier: EUPL-1.2
"""Privacy officers read the alerts of their scope, and two of them close one (R28, R37).

The version before goes on working: it knows no alerts.
"""

from alembic import op

revision = "index_0036"
down_revision = "index_0035"
branch_labels = None
depends_on = None

# As with events: of an institution what is about its people and machines, of a municipality what is about its own, of
# the operator all.
READING = """
CREATE FUNCTION audited_alert(of_oin char(20), of_municipality char(4)) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT scope_own_privacy_officer() IS NOT NULL AND (num_nonnulls(scope_oin(), scope_municipality()) = 0
        OR of_oin = audited_oin() OR of_municipality = scope_municipality())
$$;
GRANT SELECT ON alert, alert_event TO verwijsindex_auditor;
CREATE POLICY auditor ON alert FOR SELECT TO verwijsindex_auditor USING (audited_alert(oin, municipality_code));
CREATE POLICY auditor ON alert_event FOR SELECT TO verwijsindex_auditor USING (alert_id IN (SELECT id FROM alert));
GRANT SELECT, INSERT, UPDATE (status, answer) ON act_request TO verwijsindex_auditor;
CREATE POLICY auditor ON act_request TO verwijsindex_auditor
    USING (caller = (SELECT scope_caller())) WITH CHECK (caller = (SELECT scope_caller()));
"""

# The only ways in which an alert changes for an officer. Of two at once the second waits for the row, and finds the
# state that the first has left. They give the state that was found, and no row of an alert outside the scope.
ACTING = """
CREATE FUNCTION assess_alert(asked uuid, found_code text, at timestamptz)
RETURNS TABLE (state varchar, assessed_by_caller boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT a.state, coalesce(a.assessed_by = scope_own_privacy_officer(), false) FROM alert a
        WHERE a.id = asked AND audited_alert(a.oin, a.municipality_code) FOR UPDATE;
    UPDATE alert SET state = 'assessed', code = found_code, assessed_by = scope_own_privacy_officer(), assessed_at = at
    WHERE id = asked AND state = 'open' AND audited_alert(oin, municipality_code);
END $$;
CREATE FUNCTION confirm_alert(asked uuid, agrees boolean, at timestamptz)
RETURNS TABLE (state varchar, assessed_by_caller boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT a.state, coalesce(a.assessed_by = scope_own_privacy_officer(), false) FROM alert a
        WHERE a.id = asked AND audited_alert(a.oin, a.municipality_code) FOR UPDATE;
    IF agrees THEN
        UPDATE alert SET state = 'closed', confirmed_by = scope_own_privacy_officer(), confirmed_at = at
        WHERE id = asked AND state = 'assessed' AND assessed_by <> scope_own_privacy_officer()
          AND audited_alert(oin, municipality_code);
    ELSE
        UPDATE alert SET state = 'open', code = NULL, assessed_by = NULL, assessed_at = NULL
        WHERE id = asked AND state = 'assessed' AND assessed_by <> scope_own_privacy_officer()
          AND audited_alert(oin, municipality_code);
    END IF;
END $$;
REVOKE ALL ON FUNCTION assess_alert(uuid, text, timestamptz), confirm_alert(uuid, boolean, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION assess_alert(uuid, text, timestamptz), confirm_alert(uuid, boolean, timestamptz)
    TO verwijsindex_auditor;
"""


def upgrade() -> None:
    """Let officers read, assess and confirm."""
    op.execute(READING)
    op.execute(ACTING)
