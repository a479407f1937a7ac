# SPDX-License-Identifier: EUPL-1.2
"""Figures of follow-up: published once for each quarter, and nothing in them under ten (R32).

The version before goes on working: it knows neither rounds nor figures.
"""

from alembic import op

revision = "index_0030"
down_revision = "index_0029"
branch_labels = None
depends_on = None

# Of which institutions the parties are when a round begins: until its quarter is counted (`figures.publishing`).
ROUND = """
ALTER TABLE round ADD COLUMN institutions char(20)[];
CREATE INDEX ix_round_to_count ON round (began_at) WHERE institutions IS NOT NULL;
"""

FIGURES = """
CREATE TABLE figure_quarter (
    first_day date PRIMARY KEY,
    published_at timestamptz NOT NULL
);
CREATE TABLE follow_up_figure (
    id uuid PRIMARY KEY,
    municipality_code char(4) NOT NULL REFERENCES municipality (code),
    first_day date NOT NULL REFERENCES figure_quarter (first_day),
    oin char(20) REFERENCES institution (oin),
    begun integer NOT NULL CONSTRAINT follow_up_figure_begun CHECK (begun >= 10),
    contact integer[] CONSTRAINT follow_up_figure_contact CHECK (cardinality(contact) = 2 AND 10 <= ALL (contact)),
    coordination integer[]
        CONSTRAINT follow_up_figure_coordination CHECK (cardinality(coordination) = 2 AND 10 <= ALL (coordination)),
    outcome integer[] CONSTRAINT follow_up_figure_outcome CHECK (cardinality(outcome) = 5 AND 10 <= ALL (outcome)),
    CONSTRAINT follow_up_figure_once UNIQUE NULLS NOT DISTINCT (municipality_code, first_day, oin)
);
ALTER TABLE figure_quarter ENABLE ROW LEVEL SECURITY;
ALTER TABLE follow_up_figure ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT ON figure_quarter TO verwijsindex_worker;
GRANT INSERT ON follow_up_figure TO verwijsindex_worker;
CREATE POLICY worker ON figure_quarter TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON follow_up_figure FOR INSERT TO verwijsindex_worker WITH CHECK (true);

-- The figures of a quarter of the scope's municipality; one row of nothing where it has none, and no row of a quarter
-- that was not published.
CREATE FUNCTION visible_follow_up_figures(asked date)
RETURNS TABLE (published_at timestamptz, oin char(20), institution varchar, begun integer, contact integer[],
               coordination integer[], outcome integer[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT q.published_at, f.oin, i.name, f.begun, f.contact, f.coordination, f.outcome
    FROM figure_quarter q
    LEFT JOIN follow_up_figure f ON f.first_day = q.first_day AND f.municipality_code = (SELECT scope_municipality())
    LEFT JOIN institution i ON i.oin = f.oin
    WHERE q.first_day = $1 AND (SELECT scope_municipality()) IS NOT NULL ORDER BY i.name, f.oin
$$;
REVOKE ALL ON FUNCTION visible_follow_up_figures(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION visible_follow_up_figures(date) TO verwijsindex_index;
"""


def upgrade() -> None:
    """Make the tables of figures, and let rounds say what is to be counted."""
    for part in (ROUND, FIGURES):
        op.execute(part)
