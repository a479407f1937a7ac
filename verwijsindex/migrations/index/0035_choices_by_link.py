# SPDX-License-Identifier: EUPL-1.2
"""Whoever has the link of a mail turns it so many times a day, and no more: each time is an event (R37).

The version before goes on working: it asks the same function.
"""

from alembic import op

revision = "index_0035"
down_revision = "index_0032"
branch_labels = None
depends_on = None

# As 0027 has it, with the bound. Of two at once the second sees what the first counted.
TURN = """
ALTER TABLE mail_preference ADD COLUMN turned_on date, ADD COLUMN turned integer NOT NULL DEFAULT 0;
CREATE OR REPLACE FUNCTION turn_mail(reporter uuid, municipality char(4), officer char(20), coordinated char(20),
                                     to_digest boolean, at timestamptz)
RETURNS SETOF boolean LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO mail_preference AS p
        (id, reporter_id, municipality_code, officer_oin, coordinator_oin, digest, digest_at, chosen_at, turned_on,
         turned)
    VALUES (gen_random_uuid(), reporter, municipality, officer, coordinated, to_digest, '07:00', at,
            (at AT TIME ZONE 'Europe/Amsterdam')::date, 1)
    ON CONFLICT (reporter_id, municipality_code, officer_oin, coordinator_oin) DO UPDATE
        SET digest = excluded.digest, chosen_at = excluded.chosen_at, turned_on = excluded.turned_on,
            turned = CASE WHEN p.turned_on = excluded.turned_on THEN p.turned ELSE 0 END + 1
        WHERE p.digest <> excluded.digest AND (p.turned_on IS DISTINCT FROM excluded.turned_on OR p.turned < 10)
    RETURNING true
$$;
"""


def upgrade() -> None:
    """Count the turns of a day, and stop at the tenth."""
    op.execute(TURN)
