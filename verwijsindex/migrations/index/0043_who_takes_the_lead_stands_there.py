# SPDX-License-Identifier: EUPL-1.2
"""Who stands in a match no more, since a moment ago, takes no lead there (R22): 404 as a moment later, and no 500."""

from alembic import op

revision = "index_0043"
down_revision = "index_0040"
branch_labels = None
depends_on = None

# As in 0026; `take` also looks whether the scope still has a seat.
ACT = """
CREATE OR REPLACE FUNCTION act_on_lead(asked uuid, act varchar, handle uuid, due date, moves jsonb, at timestamptz)
RETURNS SETOF uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    today CONSTANT date := scope_today();
    around CONSTANT uuid[] := ARRAY(SELECT * FROM followed(asked));
    mine CONSTANT uuid[] := ARRAY(SELECT * FROM seated(asked));
    receiver uuid;
    changed uuid[];
BEGIN
    PERFORM FROM round WHERE match_id = ANY(around) AND ended_at IS NULL ORDER BY id FOR UPDATE;
    PERFORM FROM lead WHERE match_id = ANY(around) ORDER BY id FOR UPDATE;
    IF act = 'hand_over' THEN
        SELECT s.reporter_id INTO receiver
        FROM match m CROSS JOIN LATERAL shown_in(m.id, m.youngster_id, today) s
        WHERE m.id = asked AND (m.kind = 'family' OR NOT s.elsewhere) AND s.handle = act_on_lead.handle
          AND NOT s.reporter_id = ANY(mine)
        ORDER BY s.reporter_id LIMIT 1;
        IF NOT FOUND THEN
            RETURN;
        END IF;
    END IF;
    WITH done AS (
        UPDATE lead l SET
            state = CASE act WHEN 'decline' THEN 'declined' WHEN 'hand_over' THEN 'handed_over' ELSE 'accepted' END,
            answer_due_on = NULL
        WHERE l.match_id = ANY(around) AND l.reporter_id = ANY(mine)
          AND l.state = CASE act WHEN 'hand_over' THEN 'accepted' WHEN 'take' THEN NULL ELSE 'proposed' END
        RETURNING l.match_id
    ) SELECT array_agg(match_id ORDER BY match_id) INTO changed FROM done;
    IF act = 'take' THEN
        SELECT array_agg(match_id ORDER BY match_id) INTO changed
        FROM lead WHERE match_id = ANY(around) AND reporter_id IS NULL AND cardinality(mine) > 0;
        DELETE FROM lead WHERE match_id = ANY(changed) AND (reporter_id IS NULL OR reporter_id = mine[1]);
        INSERT INTO lead (id, match_id, reporter_id, state, reason, proposed_at)
        SELECT uuidv7(), one, mine[1], 'accepted', 'volunteered', at FROM unnest(changed) one;
    ELSIF act IN ('decline', 'hand_over') THEN
        INSERT INTO lead (id, match_id, reporter_id, state, reason, proposed_at, answer_due_on)
        SELECT uuidv7(), one, r.shown, 'proposed', CASE WHEN r.shown IS NULL THEN 'next_is_sought'
               ELSE 'handed_over' END, at, CASE WHEN r.shown IS NOT NULL THEN due END
        FROM unnest(changed) one CROSS JOIN LATERAL (
            SELECT CASE WHEN EXISTS (
                SELECT FROM match m JOIN concerned(m.youngster_id, today) c ON m.kind = 'family' OR NOT c.elsewhere
                WHERE m.id = one AND c.reporter_id = receiver) THEN receiver END AS shown) r
        ON CONFLICT (match_id, reporter_id) DO UPDATE SET
            state = 'proposed', reason = 'handed_over', proposed_at = at, answer_due_on = due;
        INSERT INTO work (signal_id)
        SELECT seat.signal_id FROM match m JOIN seats(m.youngster_id, today) seat ON true
        WHERE m.id = asked ORDER BY seat.signal_id LIMIT 1;
    END IF;
    UPDATE round r SET state = moves ->> r.state
    WHERE r.match_id = ANY(changed) AND r.ended_at IS NULL AND moves ? r.state;
    RETURN QUERY SELECT unnest(changed);
END $$;
"""


def upgrade() -> None:
    """See above."""
    op.execute(ACT)
