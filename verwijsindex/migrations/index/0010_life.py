# SPDX-License-Identifier: EUPL-1.2
"""The whole life of a signal, and the family: tables and columns (R2, R10, R13 to R17, R24, R27, R30, R34, R36).

The version before goes on taking and showing signals; its matcher is refused, since it would match what was withdrawn.
"""

from alembic import op

revision = "index_0010"
down_revision = "index_0009"
branch_labels = None
depends_on = None

REGISTER = """
ALTER TABLE category ADD COLUMN in_person boolean NOT NULL DEFAULT false;
INSERT INTO category (code, domain, name, dutch_name, designated, in_person) VALUES
('general_practitioner', 'health_care', 'General practitioner with an own agreement', 'Huisarts', true, true),
('school_attendance_officer', 'education', 'School attendance officer with an own agreement', 'Leerplichtambtenaar',
 true, true);
ALTER TABLE agreement ADD COLUMN may_send_parents boolean NOT NULL DEFAULT false;
ALTER TABLE municipality ADD COLUMN oin char(20) UNIQUE
    CONSTRAINT municipality_oin_is_twenty_digits CHECK (oin ~ '^[0-9]{20}$');
CREATE TABLE named_officer (
    id uuid PRIMARY KEY,
    oin char(20) NOT NULL REFERENCES institution (oin),
    name varchar NOT NULL,
    telephone varchar NOT NULL,
    email varchar NOT NULL,
    last_day date,
    contact_removed_on date,
    CONSTRAINT named_officer_contact_data_is_there_or_gone CHECK (contact_removed_on IS NULL
        OR (name = '' AND telephone = '' AND email = '' AND coalesce(last_day < contact_removed_on, false)))
);
CREATE INDEX ix_named_officer_oin ON named_officer (oin);
CREATE TABLE rights_desk_officer (
    id uuid PRIMARY KEY,
    municipality_code char(4) NOT NULL REFERENCES municipality (code),
    name varchar NOT NULL,
    telephone varchar NOT NULL,
    email varchar NOT NULL,
    last_day date,
    contact_removed_on date,
    CONSTRAINT rights_desk_officer_contact_data_is_there_or_gone CHECK (contact_removed_on IS NULL
        OR (name = '' AND telephone = '' AND email = '' AND coalesce(last_day < contact_removed_on, false)))
);
CREATE INDEX ix_rights_desk_officer_municipality_code ON rights_desk_officer (municipality_code);
ALTER TABLE named_officer ENABLE ROW LEVEL SECURITY;
ALTER TABLE rights_desk_officer ENABLE ROW LEVEL SECURITY;
"""

SIGNALS = """
CREATE TABLE standing (
    id uuid PRIMARY KEY,
    youngster_id uuid NOT NULL REFERENCES youngster (id),
    reporter_id uuid NOT NULL REFERENCES reporter (id),
    handed_over_at timestamptz
);
CREATE INDEX ix_standing_youngster_id ON standing (youngster_id);
ALTER TABLE standing ENABLE ROW LEVEL SECURITY;

ALTER TABLE signal
    ADD COLUMN standing_id uuid REFERENCES standing (id),
    ADD COLUMN held_since timestamptz,
    ADD COLUMN ended_at timestamptz,
    ADD COLUMN end_reason varchar CONSTRAINT signal_end_reason
        CHECK (end_reason IN ('unjustified', 'risk_gone', 'upheld_request', 'death')),
    ADD COLUMN restricted_at timestamptz,
    ADD COLUMN shielded boolean NOT NULL DEFAULT false,
    ADD COLUMN parents_sealed bytea[],
    ADD COLUMN first_matched_at timestamptz,
    ADD CONSTRAINT signal_end_is_whole CHECK ((ended_at IS NULL) = (end_reason IS NULL));
CREATE INDEX ix_signal_standing_id ON signal (standing_id);
CREATE INDEX ix_signal_removal_date ON signal (removal_date);
CREATE INDEX ix_signal_ended ON signal (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE parent (
    id uuid PRIMARY KEY,
    key bytea NOT NULL UNIQUE,
    key_version integer NOT NULL,
    crowded boolean NOT NULL DEFAULT false
);
CREATE TABLE signal_parent (
    signal_id uuid NOT NULL REFERENCES signal (id) ON DELETE CASCADE,
    parent_id uuid NOT NULL REFERENCES parent (id),
    PRIMARY KEY (signal_id, parent_id)
);
CREATE INDEX ix_signal_parent_parent_id ON signal_parent (parent_id);
ALTER TABLE parent ENABLE ROW LEVEL SECURITY;
ALTER TABLE signal_parent ENABLE ROW LEVEL SECURITY;

CREATE TABLE archived_signal (
    id uuid PRIMARY KEY,
    youngster_id uuid NOT NULL REFERENCES youngster (id),
    reporter_id uuid NOT NULL,
    oin char(20) NOT NULL,
    agreement_id uuid NOT NULL,
    shielded boolean NOT NULL,
    received_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    end_reason varchar NOT NULL CONSTRAINT archived_signal_end_reason CHECK (end_reason IN ('risk_gone', 'expired')),
    destroy_on date NOT NULL
);
CREATE INDEX ix_archived_signal_youngster_id ON archived_signal (youngster_id);
CREATE INDEX ix_archived_signal_reporter_id ON archived_signal (reporter_id);
CREATE INDEX ix_archived_signal_destroy_on ON archived_signal (destroy_on);
ALTER TABLE archived_signal ENABLE ROW LEVEL SECURITY;
CREATE TABLE tombstone (
    signal_id uuid PRIMARY KEY,
    destroyed_at timestamptz NOT NULL
);
CREATE INDEX ix_tombstone_destroyed_at ON tombstone (destroyed_at);
ALTER TABLE tombstone ENABLE ROW LEVEL SECURITY;

CREATE TABLE move (
    id uuid PRIMARY KEY,
    signal_id uuid NOT NULL REFERENCES signal (id) ON DELETE CASCADE,
    municipality_code char(4) NOT NULL REFERENCES municipality (code),
    reporter_id uuid REFERENCES reporter (id),
    told_at timestamptz NOT NULL
);
CREATE INDEX ix_move_signal_id ON move (signal_id);
ALTER TABLE move ENABLE ROW LEVEL SECURITY;
CREATE TABLE death (
    id uuid NOT NULL,
    key bytea NOT NULL,
    key_version integer NOT NULL,
    told_at timestamptz NOT NULL,
    PRIMARY KEY (id, key_version)
);
ALTER TABLE death ENABLE ROW LEVEL SECURITY;
CREATE TABLE act_request (
    caller varchar NOT NULL,
    key varchar NOT NULL,
    key_version integer NOT NULL,
    fingerprint bytea NOT NULL,
    status integer,
    answer varchar,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (caller, key)
);
CREATE INDEX ix_act_request_received_at ON act_request (received_at);
ALTER TABLE act_request ENABLE ROW LEVEL SECURITY;
"""

MATCHING = """
ALTER TABLE match DROP CONSTRAINT match_kind,
    ADD CONSTRAINT match_kind CHECK (kind IN ('youngster', 'family')),
    ALTER COLUMN youngster_id DROP NOT NULL,
    DROP CONSTRAINT match_youngster_id_fkey,
    ADD CONSTRAINT match_youngster_id_fkey FOREIGN KEY (youngster_id) REFERENCES youngster (id) ON DELETE SET NULL;
CREATE UNIQUE INDEX match_one_open_of_a_kind ON match (youngster_id, kind) WHERE ended_at IS NULL;
DROP INDEX match_one_open_for_a_youngster;
CREATE TABLE family_match (
    id uuid PRIMARY KEY,
    youngster_id uuid REFERENCES youngster (id) ON DELETE SET NULL,
    sibling_id uuid REFERENCES youngster (id) ON DELETE SET NULL,
    opened_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT family_match_is_an_unordered_pair CHECK (youngster_id < sibling_id),
    CONSTRAINT family_match_open_has_both CHECK (ended_at IS NOT NULL OR num_nulls(youngster_id, sibling_id) = 0)
);
CREATE UNIQUE INDEX family_match_once ON family_match (youngster_id, sibling_id) WHERE ended_at IS NULL;
CREATE INDEX ix_family_match_youngster_id ON family_match (youngster_id);
CREATE INDEX ix_family_match_sibling_id ON family_match (sibling_id);
ALTER TABLE family_match ENABLE ROW LEVEL SECURITY;
ALTER TABLE party ADD COLUMN standing_id uuid REFERENCES standing (id) ON DELETE SET NULL;
CREATE INDEX ix_party_standing_id ON party (standing_id);

CREATE TABLE told (
    standing_id uuid NOT NULL REFERENCES standing (id) ON DELETE CASCADE,
    contact_id uuid NOT NULL REFERENCES standing (id) ON DELETE CASCADE,
    kind varchar NOT NULL CONSTRAINT told_kind CHECK (kind IN ('youngster', 'family')),
    PRIMARY KEY (standing_id, contact_id, kind)
);
CREATE INDEX ix_told_contact_id ON told (contact_id);
CREATE TABLE told_supervision (
    match_id uuid NOT NULL REFERENCES match (id),
    municipality_code char(4) NOT NULL REFERENCES municipality (code),
    contact_id uuid NOT NULL REFERENCES standing (id) ON DELETE CASCADE,
    PRIMARY KEY (match_id, municipality_code, contact_id)
);
CREATE INDEX ix_told_supervision_contact_id ON told_supervision (contact_id);
ALTER TABLE told ENABLE ROW LEVEL SECURITY;
ALTER TABLE told_supervision ENABLE ROW LEVEL SECURITY;

ALTER TABLE notice
    DROP CONSTRAINT notice_kind,
    ADD CONSTRAINT notice_kind CHECK (kind IN ('match', 'party_withdrew', 'move', 'archive')),
    ALTER COLUMN match_id DROP NOT NULL,
    ADD COLUMN officer_oin char(20) REFERENCES institution (oin),
    ADD COLUMN archived_signal_id uuid,
    ADD CONSTRAINT notice_is_of_a_match_or_an_archived_signal
        CHECK (num_nulls(match_id, archived_signal_id) = 1 AND (kind = 'archive') = (match_id IS NULL)),
    DROP CONSTRAINT notice_has_one_recipient,
    ADD CONSTRAINT notice_has_one_recipient CHECK (num_nonnulls(reporter_id, municipality_code, officer_oin) = 1);
CREATE UNIQUE INDEX notice_once_of_a_kind_to_reporter ON notice (match_id, kind, change, reporter_id)
    WHERE reporter_id IS NOT NULL AND match_id IS NOT NULL;
CREATE UNIQUE INDEX notice_once_of_a_kind_to_municipality ON notice (match_id, kind, change, municipality_code)
    WHERE municipality_code IS NOT NULL;
CREATE UNIQUE INDEX notice_once_of_a_kind_to_officer ON notice (match_id, kind, change, officer_oin)
    WHERE officer_oin IS NOT NULL AND match_id IS NOT NULL;
CREATE UNIQUE INDEX notice_of_archive_once_to_reporter ON notice (archived_signal_id, reporter_id)
    WHERE archived_signal_id IS NOT NULL AND reporter_id IS NOT NULL;
CREATE UNIQUE INDEX notice_of_archive_once_to_officer ON notice (archived_signal_id, officer_oin)
    WHERE archived_signal_id IS NOT NULL AND officer_oin IS NOT NULL;
DROP INDEX notice_once_to_reporter;
DROP INDEX notice_once_to_municipality;
CREATE INDEX ix_notice_officer_inbox ON notice (officer_oin, placed_at, id) WHERE officer_oin IS NOT NULL;
"""

# Placed is not ended and not dead, live is besides that not restricted (R14, R30, I6). A death is told by a row that
# only intake inserts, and counts from that moment, whatever the matcher has or has not yet done. The planner takes
# these functions into the statement that calls them.
LIVE = """
CREATE FUNCTION placed_signals(today date)
RETURNS TABLE (id uuid, youngster_id uuid, reporter_id uuid, oin char(20), standing_id uuid,
               residence_municipality char(4), received_at timestamptz, shielded boolean, restricted_at timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT s.id, s.youngster_id, s.reporter_id, s.oin, s.standing_id, s.residence_municipality, s.received_at,
           s.shielded, s.restricted_at
    FROM signal s
    WHERE s.removal_date > $1 AND s.ended_at IS NULL
      AND NOT EXISTS (
        SELECT FROM death d WHERE d.told_at >= s.received_at
        AND (d.key = s.sealed_pseudonym OR d.key = (SELECT y.key FROM youngster y WHERE y.id = s.youngster_id)))
$$;
CREATE FUNCTION live_signals(today date)
RETURNS TABLE (id uuid, youngster_id uuid, reporter_id uuid, oin char(20), standing_id uuid,
               residence_municipality char(4), received_at timestamptz, shielded boolean)
LANGUAGE sql STABLE AS $$
    SELECT s.id, s.youngster_id, s.reporter_id, s.oin, s.standing_id, s.residence_municipality, s.received_at,
           s.shielded
    FROM placed_signals($1) s WHERE s.restricted_at IS NULL
$$;
"""

MATCHER = """
GRANT SELECT, INSERT, UPDATE (handed_over_at), DELETE ON standing TO verwijsindex_worker;
GRANT SELECT, INSERT, DELETE ON parent, signal_parent, archived_signal, told, told_supervision
    TO verwijsindex_worker;
GRANT UPDATE (crowded) ON parent TO verwijsindex_worker;
GRANT SELECT, INSERT ON tombstone, family_match TO verwijsindex_worker;
GRANT UPDATE (ended_at, youngster_id, sibling_id) ON family_match TO verwijsindex_worker;
GRANT SELECT, DELETE ON move, death TO verwijsindex_worker;
GRANT SELECT (caller, key, received_at), DELETE ON act_request TO verwijsindex_worker;
GRANT DELETE ON youngster, signal TO verwijsindex_worker;
GRANT SELECT (agreement_id, standing_id, held_since, ended_at, end_reason, restricted_at, shielded, parents_sealed,
              first_matched_at, turns23_on_sealed) ON signal TO verwijsindex_worker;
GRANT UPDATE (standing_id, ended_at, end_reason, parents_sealed, first_matched_at, residence_municipality)
    ON signal TO verwijsindex_worker;
CREATE POLICY worker ON standing TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON parent TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON signal_parent TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON archived_signal TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON tombstone TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON told TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON told_supervision TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON family_match TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON move TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON death TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON act_request TO verwijsindex_worker USING (true);
CREATE POLICY worker_destroy ON signal FOR DELETE TO verwijsindex_worker USING (true);
"""

# The version before would match what was withdrawn or restricted, and end what it does not know (I2).
GUARD = """
CREATE FUNCTION refuse_matcher_of_before() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF current_setting('verwijsindex.matcher', true) IS DISTINCT FROM 'life' THEN
        RAISE EXCEPTION 'this matcher is older than the tables: update the workers'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION refuse_matcher_of_before() FROM PUBLIC;
CREATE TRIGGER youngster_is_made_by_who_knows_its_life BEFORE INSERT ON youngster
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_matcher_of_before();
"""


def upgrade() -> None:
    """Add what the life of a signal and the family need; nothing that the version before reads goes away."""
    for part in (REGISTER, SIGNALS, MATCHING, LIVE, MATCHER, GUARD):
        op.execute(part)
