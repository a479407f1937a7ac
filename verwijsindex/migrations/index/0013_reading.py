# SPDX-License-Identifier: EUPL-1.2
"""What each reader sees of matches, notices and the archive (R8, R10, R12, R17, R30, R34, R36; I6, I8).

The index role reads them by the functions below and no table: they turn the scope of its transaction into rows, and
give no id of a youngster and none of a reporter in whose place another stands. The policies on `match`, `party` and
`notice` are for the version before, which knows neither family matches nor other kinds of notices; they go with it.
"""

from alembic import op

revision = "index_0013"
down_revision = "index_0012"
branch_labels = None
depends_on = None

# What the functions below are made of; for the owner alone. Each is one SELECT in SQL, which the planner takes into the
# statement that calls it, as long as no argument holds a SELECT of its own. Elsewhere `(SELECT f())` is called once for
# a statement.
PARTS = """
-- Whom the scope may stand for: the own reporter; for a coordinator the institution's reporters who left (R34); for a
-- named officer those of the institution with a shielded signal (R36).
CREATE FUNCTION stands_for() RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT scope_own_reporter()
    UNION ALL
    SELECT r.id FROM reporter r WHERE r.oin = (SELECT scope_oin()) AND r.designated_until < (SELECT scope_today())
      AND (SELECT scope_own_coordinator()) IS NOT NULL
    UNION ALL
    SELECT DISTINCT s.reporter_id FROM live_signals(scope_today()) s
    WHERE s.shielded AND s.oin = (SELECT scope_oin()) AND (SELECT scope_own_officer()) IS NOT NULL
$$;

-- The live signals on a youngster and, `elsewhere`, on its siblings: those who share a parent with it through live
-- signals of both (R10). `shielded` is said of all that a reporter has on one youngster together (R36). It is found by
-- steps from the youngster, whatever the planner knows of the tables: OFFSET 0 keeps one step before the next, and an
-- aggregate, unlike EXISTS, is never answered by a look at all that is shielded.
CREATE FUNCTION concerned(youngster uuid, today date)
RETURNS TABLE (signal_id uuid, reporter_id uuid, oin char(20), shielded boolean, elsewhere boolean)
LANGUAGE sql STABLE AS $$
    SELECT s.id, s.reporter_id, s.oin,
           (SELECT bool_or(o.shielded) FROM live_signals($2) o
            WHERE o.youngster_id = s.youngster_id AND o.reporter_id = s.reporter_id),
           s.elsewhere
    FROM (
        SELECT l.*, false AS elsewhere FROM live_signals($2) l WHERE l.youngster_id = $1
        UNION ALL
        SELECT l.*, true
        FROM (SELECT DISTINCT link.youngster_id
              FROM (SELECT DISTINCT p.parent_id FROM live_signals($2) own JOIN signal_parent p ON p.signal_id = own.id
                    JOIN parent k ON k.id = p.parent_id AND NOT k.crowded
                    WHERE own.youngster_id = $1 OFFSET 0) shared
              JOIN signal_parent q ON q.parent_id = shared.parent_id JOIN live_signals($2) link ON link.id = q.signal_id
              WHERE link.youngster_id <> $1 OFFSET 0) sibling
        JOIN live_signals($2) l ON l.youngster_id = sibling.youngster_id
    ) s
$$;

-- For which live signals on a youngster the scope reads: of reporters that it stands for, and for whom not the named
-- officer does, or just the officer.
CREATE FUNCTION seats(youngster uuid, today date) RETURNS TABLE (signal_id uuid, reporter_id uuid)
LANGUAGE sql STABLE AS $$
    SELECT c.signal_id, c.reporter_id FROM concerned($1, $2) c
    WHERE NOT c.elsewhere AND c.reporter_id = ANY(ARRAY(SELECT * FROM stands_for()))
      AND c.shielded = ((SELECT scope_own_officer()) IS NOT NULL)
$$;

-- Who is shown for a reporter: of a person with an own agreement there is no coordinator (R2, R34, R36).
CREATE FUNCTION shown_as(shielded boolean, designated_until date, in_person boolean, today date) RETURNS varchar
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN $1 THEN 'named_officer' WHEN $2 IS NULL OR $2 >= $4 THEN 'reporter'
        WHEN $3 THEN 'access_team' ELSE 'coordinator' END
$$;

-- A contact as it can be reached today: the reporter, unless another is shown, and who stands in. Of a person with an
-- own agreement that is the access team of the contracting municipalities (R2).
CREATE FUNCTION contact_card(reporter uuid, institution char(20), shown varchar, agreements uuid[], today date)
RETURNS TABLE (shown_as varchar, institution varchar, name varchar, "position" varchar, telephone varchar,
               email varchar, coordinators jsonb, stand_ins jsonb)
LANGUAGE sql STABLE AS $$
    SELECT $3, CASE WHEN NOT g.in_person THEN i.name END, r.name, r.position, r.telephone, r.email,
        CASE WHEN $3 = 'reporter' THEN k.people END,
        CASE WHEN g.in_person THEN t.teams WHEN $3 = 'coordinator' THEN k.people
            WHEN $3 = 'named_officer' THEN o.people END
    FROM institution i JOIN category g ON g.code = i.category_code
    LEFT JOIN reporter r ON r.id = $1 AND $3 = 'reporter'
    CROSS JOIN LATERAL (
        SELECT jsonb_agg(jsonb_build_object('name', k.name, 'telephone', k.telephone, 'email', k.email)
                         ORDER BY k.name, k.id) AS people
        FROM coordinator k WHERE k.oin = i.oin AND coalesce(k.last_day >= $5, true)) k
    CROSS JOIN LATERAL (
        SELECT jsonb_agg(jsonb_build_object('name', o.name, 'telephone', o.telephone, 'email', o.email)
                         ORDER BY o.name, o.id) AS people
        FROM named_officer o WHERE o.oin = i.oin AND coalesce(o.last_day >= $5, true)) o
    CROSS JOIN LATERAL (
        SELECT jsonb_agg(jsonb_build_object('name', t.name, 'telephone', t.telephone, 'email', t.email)
                         ORDER BY t.municipality_code) AS teams
        FROM contact_point t WHERE t.kind = 'access_team' AND t.municipality_code IN (
            SELECT a.municipality_code FROM agreement a WHERE a.id = ANY($4))) t
    WHERE i.oin = $2
$$;
"""

# `today` and the scope are constant in a plan made for each call, so that one match is found by its key.
MATCHES = """
-- The open matches that the scope may see, oldest first; the one asked for, or so many after a place in that order. A
-- match shows while who reads it has a live signal and another reporter too; to a supervisor who was told, while a live
-- signal has its residence there and two reporters are concerned. Found in order first and looked at one by one after
-- that, so that a page of them costs the same in a large municipality.
CREATE FUNCTION visible_matches(asked uuid, after_at timestamptz, after_id uuid, size integer)
RETURNS TABLE (id uuid, kind varchar, opened_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    today CONSTANT date := scope_today();
    municipality CONSTANT char(4) := scope_municipality();
    reporters CONSTANT uuid[] := ARRAY(SELECT * FROM stands_for());
BEGIN
    RETURN QUERY
    SELECT m.id, m.kind, m.opened_at FROM (
        SELECT * FROM match
        WHERE ended_at IS NULL AND (asked IS NULL OR id = asked)
          AND (after_at IS NULL OR (opened_at, id) > (after_at, after_id))
          AND id IN (SELECT p.match_id FROM party p WHERE p.reporter_id = ANY(reporters) AND p.left_at IS NULL
                     UNION ALL
                     SELECT v.match_id FROM supervision v
                     WHERE v.municipality_code = municipality AND v.left_at IS NULL)
        ORDER BY opened_at, id OFFSET 0) m
    WHERE CASE WHEN municipality IS NULL THEN
        EXISTS (SELECT FROM seats(m.youngster_id, today) seat
                JOIN concerned(m.youngster_id, today) c ON c.reporter_id <> seat.reporter_id
                WHERE c.elsewhere = (m.kind = 'family'))
    ELSE
        EXISTS (SELECT FROM live_signals(today) s
                WHERE s.youngster_id = m.youngster_id AND s.residence_municipality = municipality)
        AND (SELECT count(DISTINCT c.reporter_id) > 1 AND bool_or(c.elsewhere = (m.kind = 'family'))
             FROM concerned(m.youngster_id, today) c WHERE m.kind = 'family' OR NOT c.elsewhere)
    END
    LIMIT size;
END $$;

-- One match as the scope may see it; no row if it may not. `contacts`, whom to call (R12): of a match of kind youngster
-- who else is concerned about that youngster, of a family match who is about a sibling; once, marked with both where
-- both are true. A supervisor sees all, of a family match without which side they are on. Who stands in for several
-- reporters of an institution is one contact. `own_signals`: for which live signals it is read; a case reference, in
-- hexadecimal, only for the reporter who sent it (R6).
CREATE FUNCTION visible_match(asked uuid)
RETURNS TABLE (id uuid, kind varchar, opened_at timestamptz, contacts jsonb, own_signals jsonb, residences char(4)[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    today CONSTANT date := scope_today();
    own_reporter CONSTANT uuid := scope_own_reporter();
    supervises CONSTANT boolean := scope_municipality() IS NOT NULL;
    family boolean;
    youngster uuid;
    seated uuid[];
BEGIN
    SELECT m.id, m.kind, m.opened_at, m.kind = 'family', m.youngster_id INTO id, kind, opened_at, family, youngster
    FROM match m WHERE m.id = asked AND EXISTS (SELECT FROM visible_matches(asked, NULL, NULL, 1));
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT array_agg(DISTINCT s.reporter_id),
           coalesce(jsonb_agg(jsonb_build_object(
               'id', s.id, 'reporter', r.id, 'reporter_name', r.name, 'key_version', s.key_version,
               'case_reference_sealed', CASE WHEN r.id = own_reporter THEN encode(s.case_reference_sealed, 'hex') END
           ) ORDER BY s.received_at, s.id), '[]')
    INTO seated, own_signals
    FROM seats(youngster, today) seat JOIN signal s ON s.id = seat.signal_id
    JOIN reporter r ON r.id = s.reporter_id;
    residences := ARRAY(SELECT DISTINCT s.residence_municipality FROM live_signals(today) s
                        WHERE s.youngster_id = youngster);
    WITH other AS (
        SELECT c.reporter_id, c.oin, c.elsewhere, s.agreement_id,
               shown_as(c.shielded, r.designated_until, g.in_person, today) AS shown
        FROM concerned(youngster, today) c JOIN signal s ON s.id = c.signal_id JOIN reporter r ON r.id = c.reporter_id
        JOIN institution i ON i.oin = c.oin JOIN category g ON g.code = i.category_code
        WHERE supervises OR c.reporter_id <> ANY(seated)
    ), contact AS (
        SELECT shown, oin, CASE WHEN shown = 'reporter' THEN reporter_id END AS reporter_id,
               array_agg(DISTINCT agreement_id) AS agreements,
               bool_or(elsewhere) AS away, bool_and(elsewhere) AS only_away
        FROM other GROUP BY 1, 2, 3
    )
    SELECT jsonb_agg(to_jsonb(card) || jsonb_build_object('concerns',
               CASE WHEN supervises THEN CASE WHEN NOT family THEN 'same_youngster' END
                   WHEN only_away THEN 'different_youngster' WHEN away THEN 'both' ELSE 'same_youngster' END)
           ORDER BY card.institution, card.name, c.oin)
    INTO contacts
    FROM contact c CROSS JOIN LATERAL contact_card(c.reporter_id, c.oin, c.shown, c.agreements, today) card
    WHERE CASE WHEN NOT family THEN NOT only_away ELSE away OR supervises END;
    RETURN NEXT;
END $$;
"""

NOTICES = """
-- The inboxes that the scope reads, newest first, so many before a place in that order (R34, R36).
CREATE FUNCTION inbox(before_at timestamptz, before_id uuid, size integer)
RETURNS TABLE (id uuid, kind varchar, match_id uuid, archived_signal_id uuid, reporter_id uuid, placed_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    municipality CONSTANT char(4) := scope_municipality();
    officer CONSTANT char(20) := CASE WHEN scope_own_officer() IS NOT NULL THEN scope_oin() END;
    reporters CONSTANT uuid[] := CASE WHEN officer IS NULL THEN ARRAY(SELECT * FROM stands_for()) END;
BEGIN
    RETURN QUERY
    SELECT n.id, n.kind, n.match_id, n.archived_signal_id, n.reporter_id, n.placed_at FROM (
        SELECT own.* FROM unnest(reporters) one CROSS JOIN LATERAL (
            SELECT * FROM notice WHERE reporter_id = one
              AND (before_at IS NULL OR (placed_at, id) < (before_at, before_id))
            ORDER BY placed_at DESC, id DESC LIMIT size) own
        UNION ALL
        (SELECT * FROM notice WHERE municipality_code = municipality
           AND (before_at IS NULL OR (placed_at, id) < (before_at, before_id))
         ORDER BY placed_at DESC, id DESC LIMIT size)
        UNION ALL
        (SELECT * FROM notice WHERE officer_oin = officer
           AND (before_at IS NULL OR (placed_at, id) < (before_at, before_id))
         ORDER BY placed_at DESC, id DESC LIMIT size)
    ) n ORDER BY n.placed_at DESC, n.id DESC LIMIT size;
END $$;

-- Who had signalled before (R17): for who was told of it and has a live signal on that youngster still, or stands for
-- such a reporter, as long as the archived one exists. Whoever has a shielded signal there now is not named by what is
-- left of an open one (R36).
CREATE FUNCTION archived_contact(asked uuid)
RETURNS TABLE (shown_as varchar, institution varchar, name varchar, "position" varchar, telephone varchar,
               email varchar, coordinators jsonb, stand_ins jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT card.*
    FROM archived_signal a JOIN youngster y ON y.id = a.youngster_id JOIN reporter r ON r.id = a.reporter_id
    JOIN institution i ON i.oin = a.oin JOIN category g ON g.code = i.category_code
    CROSS JOIN LATERAL contact_card(
        a.reporter_id, a.oin, shown_as(a.shielded OR coalesce((
            SELECT bool_or(o.shielded) FROM placed_signals(scope_today()) o
            WHERE o.youngster_id = a.youngster_id AND o.reporter_id = a.reporter_id
        ), false), r.designated_until, g.in_person, scope_today()),
        ARRAY[a.agreement_id], scope_today()) card
    WHERE a.id = asked AND a.destroy_on > (SELECT scope_today())
      AND NOT EXISTS (SELECT FROM death d WHERE d.key = y.key AND d.told_at >= a.received_at)
      AND EXISTS (
        SELECT FROM seats(a.youngster_id, scope_today()) seat
        JOIN notice n ON n.archived_signal_id = a.id
            AND (n.reporter_id = seat.reporter_id
                 OR n.officer_oin = (SELECT scope_oin()) AND (SELECT scope_own_officer()) IS NOT NULL))
$$;
"""

# Own lists show what is placed: also what is restricted, and unmarked (R30). Ended, and dead, is gone at that moment.
PLACED = """
CREATE FUNCTION own_placed_signals() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT id FROM placed_signals(scope_today()) WHERE reporter_id = (SELECT scope_own_reporter())
$$;
ALTER POLICY index_read ON signal
    USING (reporter_id = (SELECT scope_own_reporter()) AND id IN (SELECT * FROM own_placed_signals()));
"""

# As it was in 0001, by what is live, and without what is shielded: that version would show the reporter.
VERSION_BEFORE = """
CREATE OR REPLACE FUNCTION visible_parties() RETURNS TABLE (match_id uuid, reporter_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    today CONSTANT date := scope_today();
    own_reporter CONSTANT uuid := scope_own_reporter();
    own_municipality CONSTANT char(4) := scope_municipality();
    one_match CONSTANT uuid := scope_match();
BEGIN
    RETURN QUERY
    WITH mine AS (
        SELECT m.id, m.youngster_id FROM party p JOIN match m ON m.id = p.match_id
        WHERE p.reporter_id = own_reporter AND p.left_at IS NULL
          AND m.kind = 'youngster' AND m.ended_at IS NULL AND (one_match IS NULL OR m.id = one_match)
          AND (SELECT NOT bool_or(s.shielded) FROM live_signals(today) s
               WHERE s.youngster_id = m.youngster_id AND s.reporter_id = own_reporter)
        UNION
        SELECT m.id, m.youngster_id FROM supervision v JOIN match m ON m.id = v.match_id
        WHERE v.municipality_code = own_municipality AND v.left_at IS NULL
          AND m.kind = 'youngster' AND m.ended_at IS NULL AND (one_match IS NULL OR m.id = one_match)
          AND EXISTS (SELECT FROM live_signals(today) s WHERE s.youngster_id = m.youngster_id
                      AND s.residence_municipality = v.municipality_code)
    ), live AS (
        SELECT mine.id AS match_id, s.reporter_id, bool_or(s.shielded) AS shielded,
               count(*) OVER (PARTITION BY mine.id) AS parties
        FROM mine JOIN live_signals(today) s USING (youngster_id)
        WHERE EXISTS (SELECT FROM party p WHERE p.match_id = mine.id AND p.reporter_id = s.reporter_id
                      AND p.left_at IS NULL)
        GROUP BY mine.id, s.reporter_id
    )
    SELECT match_id, reporter_id FROM live WHERE parties > 1 AND NOT shielded;
END $$;
CREATE OR REPLACE FUNCTION own_signals_in(asked uuid) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.id FROM match m JOIN live_signals(scope_today()) s ON s.youngster_id = m.youngster_id
    WHERE m.id = asked AND s.reporter_id = (SELECT scope_own_reporter())
      AND m.id IN (SELECT v.match_id FROM visible_parties() v)
$$;
CREATE OR REPLACE FUNCTION match_residences(asked uuid) RETURNS SETOF char(4)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT DISTINCT s.residence_municipality
    FROM match m JOIN live_signals(scope_today()) s ON s.youngster_id = m.youngster_id
    WHERE m.id = asked AND m.id IN (SELECT v.match_id FROM visible_parties() v)
$$;
ALTER POLICY index_read ON notice
    USING (kind = 'match'
           AND (reporter_id = (SELECT scope_own_reporter()) OR municipality_code = (SELECT scope_municipality())));
"""

PRIVILEGES = """
REVOKE ALL ON FUNCTION stands_for(), concerned(uuid, date), seats(uuid, date),
    shown_as(boolean, date, boolean, date), contact_card(uuid, char, varchar, uuid[], date),
    visible_matches(uuid, timestamptz, uuid, integer), visible_match(uuid),
    inbox(timestamptz, uuid, integer), archived_contact(uuid), own_placed_signals()
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION visible_matches(uuid, timestamptz, uuid, integer), visible_match(uuid),
    inbox(timestamptz, uuid, integer), archived_contact(uuid), own_placed_signals()
    TO verwijsindex_index;
"""


def upgrade() -> None:
    """Say what each scope sees, beside what the version before reads."""
    for part in (PARTS, MATCHES, NOTICES, PLACED, VERSION_BEFORE, PRIVILEGES):
        op.execute(part)
