# SPDX-License-Identifier: EUPL-1.2
"""The path: register, signals, matching, notices, ledger; roles and row-level security of I8.

Privileges: `intake` inserts and can read nothing of what is known (I7); `index` reads within the scope that its
transaction set; `worker` matches and delivers, without case references; `registrar` keeps the register;
`auditor` reads the ledger within its scope. Tables and functions belong to the owner, whom row-level security
does not bind: the SECURITY DEFINER functions below are the one place where a scope is turned into rows.
"""

from alembic import op

revision = "index_0001"
down_revision = None
branch_labels = ("index",)
depends_on = None

TABLES = """
CREATE TABLE municipality (
    code char(4) PRIMARY KEY CONSTRAINT municipality_code_is_cbs CHECK (code ~ '^[0-9]{4}$'),
    name varchar NOT NULL,
    legal_ground varchar NOT NULL
        CONSTRAINT municipality_legal_ground CHECK (legal_ground IN ('duty', 'agreement', 'consent', 'off'))
);
CREATE TABLE contact_point (
    municipality_code char(4) NOT NULL REFERENCES municipality (code),
    kind varchar NOT NULL
        CONSTRAINT contact_point_kind CHECK (kind IN ('access_team', 'crisis_line', 'veilig_thuis')),
    name varchar NOT NULL,
    telephone varchar NOT NULL,
    email varchar,
    PRIMARY KEY (municipality_code, kind)
);
CREATE TABLE category (
    code varchar PRIMARY KEY,
    domain varchar NOT NULL CONSTRAINT category_domain CHECK (domain IN (
        'youth_care', 'youth_health_care', 'health_care', 'education', 'social_support',
        'work_and_income', 'police_and_justice')),
    name varchar NOT NULL,
    dutch_name varchar NOT NULL,
    designated boolean NOT NULL
);
CREATE TABLE institution (
    oin char(20) PRIMARY KEY CONSTRAINT institution_oin_is_twenty_digits CHECK (oin ~ '^[0-9]{20}$'),
    name varchar NOT NULL,
    category_code varchar NOT NULL REFERENCES category (code)
);
CREATE TABLE agreement (
    id uuid PRIMARY KEY,
    oin char(20) NOT NULL REFERENCES institution (oin),
    municipality_code char(4) NOT NULL REFERENCES municipality (code),
    valid_from date NOT NULL,
    valid_until date NOT NULL,
    CONSTRAINT agreement_ends_after_it_begins CHECK (valid_until >= valid_from),
    CONSTRAINT agreement_of_an_institution UNIQUE (id, oin)
);
CREATE INDEX ix_agreement_oin ON agreement (oin);
CREATE TABLE reporter (
    id uuid PRIMARY KEY,
    oin char(20) NOT NULL REFERENCES institution (oin),
    name varchar NOT NULL,
    position varchar NOT NULL,
    telephone varchar NOT NULL,
    email varchar NOT NULL,
    designated_from date NOT NULL,
    designated_until date,
    CONSTRAINT reporter_of_an_institution UNIQUE (id, oin)
);
CREATE INDEX ix_reporter_oin ON reporter (oin);
CREATE TABLE coordinator (
    id uuid PRIMARY KEY,
    oin char(20) NOT NULL REFERENCES institution (oin),
    name varchar NOT NULL,
    telephone varchar NOT NULL,
    email varchar NOT NULL
);
CREATE INDEX ix_coordinator_oin ON coordinator (oin);
CREATE TABLE case_supervisor (
    id uuid PRIMARY KEY,
    municipality_code char(4) NOT NULL REFERENCES municipality (code),
    name varchar NOT NULL,
    telephone varchar NOT NULL,
    email varchar NOT NULL
);
CREATE INDEX ix_case_supervisor_municipality_code ON case_supervisor (municipality_code);

CREATE TABLE youngster (
    id uuid PRIMARY KEY,
    key bytea NOT NULL UNIQUE,
    key_version integer NOT NULL
);
CREATE TABLE signal (
    id uuid PRIMARY KEY,
    reporter_id uuid NOT NULL,
    oin char(20) NOT NULL,
    agreement_id uuid NOT NULL,
    legal_ground varchar NOT NULL
        CONSTRAINT signal_legal_ground CHECK (legal_ground IN ('duty', 'agreement', 'consent')),
    client_id varchar NOT NULL,
    made_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    removal_date date NOT NULL,
    key_version integer NOT NULL,
    sealed_pseudonym bytea,
    youngster_id uuid REFERENCES youngster (id),
    residence_municipality char(4) NOT NULL REFERENCES municipality (code),
    informing_status varchar NOT NULL,
    informed_on date,
    informed_to varchar CONSTRAINT signal_informed_to CHECK (informed_to IN ('youngster', 'representative', 'both')),
    postponed_ground varchar CONSTRAINT signal_postponed_ground
        CHECK (postponed_ground IN ('safety', 'investigation', 'unreachable')),
    review_date date,
    turns23_on_sealed bytea,
    case_reference_sealed bytea,
    CONSTRAINT signal_is_of_the_reporters_institution FOREIGN KEY (reporter_id, oin) REFERENCES reporter (id, oin),
    CONSTRAINT signal_is_under_its_institutions_agreement
        FOREIGN KEY (agreement_id, oin) REFERENCES agreement (id, oin),
    CONSTRAINT signal_ends_in_two_years
        CHECK (removal_date <= (made_at AT TIME ZONE 'Europe/Amsterdam')::date + interval '2 years'),
    CONSTRAINT signal_pseudonym_is_sealed CHECK (octet_length(sealed_pseudonym) = 48),
    CONSTRAINT signal_is_attached_or_sealed CHECK ((sealed_pseudonym IS NULL) <> (youngster_id IS NULL)),
    CONSTRAINT signal_informing_is_whole CHECK (CASE informing_status
        WHEN 'informed' THEN informed_on IS NOT NULL AND informed_to IS NOT NULL
            AND postponed_ground IS NULL AND review_date IS NULL
        WHEN 'postponed' THEN informed_on IS NULL AND informed_to IS NULL
            AND postponed_ground IS NOT NULL AND review_date IS NOT NULL
        ELSE false END)
);
CREATE INDEX ix_signal_youngster ON signal (youngster_id, removal_date, reporter_id);
CREATE INDEX ix_signal_reporter ON signal (reporter_id, received_at, id);
COMMENT ON TABLE signal IS
    'By law (Jeugdwet 7.1.4.3): reporter, times, removal date, sealed pseudonym. '
    'Ours besides (R6, P): residence_municipality, informing_*, informed_*, postponed_ground, review_date, '
    'turns23_on_sealed, case_reference_sealed.';
CREATE TABLE idempotency_record (
    client_id varchar NOT NULL,
    key varchar NOT NULL,
    key_version integer NOT NULL,
    body_fingerprint bytea NOT NULL,
    pseudonym_fingerprint bytea NOT NULL,
    pseudonym_version integer NOT NULL,
    signal_id uuid NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (client_id, key)
);
CREATE INDEX ix_idempotency_record_received_at ON idempotency_record (received_at);
CREATE TABLE work (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    signal_id uuid NOT NULL REFERENCES signal (id),
    parked_at timestamptz
);
CREATE INDEX ix_work_waiting ON work (id) WHERE parked_at IS NULL;

CREATE TABLE match (
    id uuid PRIMARY KEY,
    kind varchar NOT NULL CONSTRAINT match_kind CHECK (kind IN ('youngster')),
    youngster_id uuid NOT NULL REFERENCES youngster (id),
    opened_at timestamptz NOT NULL,
    ended_at timestamptz,
    change integer NOT NULL
);
CREATE INDEX ix_match_youngster_id ON match (youngster_id);
CREATE UNIQUE INDEX match_one_open_for_a_youngster ON match (youngster_id) WHERE ended_at IS NULL;
CREATE TABLE party (
    id uuid PRIMARY KEY,
    match_id uuid NOT NULL REFERENCES match (id),
    reporter_id uuid NOT NULL REFERENCES reporter (id),
    joined_at timestamptz NOT NULL,
    left_at timestamptz
);
CREATE UNIQUE INDEX party_once_in_a_match ON party (match_id, reporter_id) WHERE left_at IS NULL;
CREATE INDEX ix_party_reporter ON party (reporter_id) WHERE left_at IS NULL;
CREATE TABLE supervision (
    id uuid PRIMARY KEY,
    match_id uuid NOT NULL REFERENCES match (id),
    municipality_code char(4) NOT NULL REFERENCES municipality (code),
    joined_at timestamptz NOT NULL,
    left_at timestamptz
);
CREATE UNIQUE INDEX supervision_once_in_a_match ON supervision (match_id, municipality_code) WHERE left_at IS NULL;
CREATE INDEX ix_supervision_municipality ON supervision (municipality_code) WHERE left_at IS NULL;

CREATE TABLE notice (
    id uuid PRIMARY KEY,
    kind varchar NOT NULL CONSTRAINT notice_kind CHECK (kind IN ('match')),
    match_id uuid NOT NULL REFERENCES match (id),
    change integer NOT NULL,
    reporter_id uuid REFERENCES reporter (id),
    municipality_code char(4) REFERENCES municipality (code),
    placed_at timestamptz NOT NULL,
    CONSTRAINT notice_has_one_recipient CHECK ((reporter_id IS NULL) <> (municipality_code IS NULL)),
    CONSTRAINT notice_once_for_a_reporter UNIQUE (match_id, change, reporter_id),
    CONSTRAINT notice_once_for_a_supervision UNIQUE (match_id, change, municipality_code)
);
CREATE INDEX ix_notice_reporter ON notice (reporter_id, placed_at, id);
CREATE INDEX ix_notice_municipality ON notice (municipality_code, placed_at, id);
CREATE TABLE subscription (
    client_id varchar PRIMARY KEY,
    oin char(20) NOT NULL REFERENCES institution (oin),
    address varchar NOT NULL,
    key_version integer NOT NULL,
    secret_sealed bytea NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX ix_subscription_oin ON subscription (oin);
CREATE TABLE delivery (
    id uuid PRIMARY KEY,
    notice_id uuid NOT NULL REFERENCES notice (id),
    client_id varchar NOT NULL REFERENCES subscription (client_id),
    due_at timestamptz NOT NULL,
    leased_until timestamptz,
    attempts integer NOT NULL,
    last_outcome varchar,
    delivered_at timestamptz,
    CONSTRAINT delivery_once_for_a_notice UNIQUE (notice_id, client_id)
);
CREATE INDEX ix_delivery_due ON delivery (due_at) WHERE delivered_at IS NULL;

CREATE TABLE event (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    kind varchar NOT NULL,
    outcome varchar NOT NULL CONSTRAINT event_outcome CHECK (outcome IN ('success', 'refused')),
    signal_id uuid,
    match_id uuid,
    reporter_id uuid,
    oin char(20),
    municipality_code char(4),
    client_id varchar,
    body bytea NOT NULL,
    nonce bytea NOT NULL CONSTRAINT event_nonce_is_sixteen_bytes CHECK (octet_length(nonce) = 16)
);
CREATE INDEX ix_event_signal ON event (signal_id);
CREATE INDEX ix_event_match ON event (match_id);
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER event_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

CATEGORIES = """
INSERT INTO category (code, domain, name, dutch_name, designated) VALUES
('municipal_access', 'youth_care', 'Municipality (access to youth care)', 'Gemeente (toegang tot jeugdhulp)', true),
('veilig_thuis', 'youth_care', 'Veilig Thuis', 'Veilig Thuis', true),
('youth_care_provider', 'youth_care', 'Youth care provider', 'Jeugdhulpaanbieder', true),
('certified_institution', 'youth_care', 'Certified institution', 'Gecertificeerde instelling', true),
('youth_health_care', 'youth_health_care', 'Youth health care', 'Jeugdgezondheidszorg', true),
('addiction_care', 'health_care', 'Addiction care', 'Verslavingszorg', true),
('disability_care', 'health_care', 'Disability care', 'Gehandicaptenzorg', true),
('mental_health_care', 'health_care', 'Mental health care', 'Geestelijke gezondheidszorg', true),
('integrated_primary_care', 'health_care', 'Integrated primary care', 'Geïntegreerde eerstelijnszorg', true),
('emergency_department', 'health_care', 'Emergency department of a hospital',
 'Spoedeisende hulp van een ziekenhuis', true),
('primary_education', 'education', 'Primary education', 'Primair onderwijs', true),
('special_education', 'education', 'Special education', 'Speciaal onderwijs', true),
('secondary_education', 'education', 'Secondary education', 'Voortgezet onderwijs', true),
('vocational_education', 'education', 'Vocational education', 'Middelbaar beroepsonderwijs', true),
('higher_education', 'education', 'Higher education', 'Hoger onderwijs', true),
('early_school_leavers', 'education', 'Municipal registration of early school leavers',
 'Regionale meld- en coördinatiefunctie', true),
('social_support_provider', 'social_support', 'Provider under the Wmo 2015 (not of aids or home adaptations)',
 'Aanbieder Wmo 2015 (niet van hulpmiddelen of woningaanpassingen)', true),
('municipal_credit_bank', 'work_and_income', 'Municipal credit bank', 'Gemeentelijke kredietbank', true),
('police', 'police_and_justice', 'Regional police unit', 'Regionale politie-eenheid', true),
('halt', 'police_and_justice', 'Halt', 'Halt', true),
('child_protection_board', 'police_and_justice', 'Child Care and Protection Board',
 'Raad voor de Kinderbescherming', true);
"""

# The scope of a transaction, as the frame set it (database.transaction). `(SELECT f())` is called once for a statement,
# where `f()` alone would be called for each row.
SCOPE = """
CREATE FUNCTION scope_today() RETURNS date LANGUAGE sql STABLE
    RETURN nullif(current_setting('verwijsindex.today', true), '')::date;
CREATE FUNCTION scope_oin() RETURNS char(20) LANGUAGE sql STABLE
    RETURN nullif(current_setting('verwijsindex.oin', true), '')::char(20);
CREATE FUNCTION scope_reporter() RETURNS uuid LANGUAGE sql STABLE
    RETURN nullif(current_setting('verwijsindex.reporter', true), '')::uuid;
CREATE FUNCTION scope_municipality() RETURNS char(4) LANGUAGE sql STABLE
    RETURN nullif(current_setting('verwijsindex.municipality', true), '')::char(4);

-- A read of one match narrows the scope to it, so that it costs the same however many there are.
CREATE FUNCTION scope_match() RETURNS uuid LANGUAGE sql STABLE
    RETURN nullif(current_setting('verwijsindex.match', true), '')::uuid;

-- The reporter of the scope, if it is the scope's institution that asks.
CREATE FUNCTION scope_own_reporter() RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
    SELECT id FROM reporter WHERE id = (SELECT scope_reporter()) AND oin = (SELECT scope_oin())
      AND designated_from <= (SELECT scope_today())
      AND (designated_until IS NULL OR designated_until >= (SELECT scope_today()))
$$;

-- Matches the scope may see, with their live parties: those of the own reporter with a live signal, or those of
-- which the own municipality was told and in which a live signal has its residence. A match shows only while two
-- reporters are live today (I6), whatever the matcher has or has not yet done.
-- In PL/pgSQL with a plan for each call: the scope is constant in it, so that one match is found by its key.
CREATE FUNCTION visible_parties() RETURNS TABLE (match_id uuid, reporter_id uuid)
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
        WHERE p.reporter_id = own_reporter AND p.left_at IS NULL AND m.ended_at IS NULL
          AND (one_match IS NULL OR m.id = one_match)
          AND EXISTS (SELECT FROM signal s WHERE s.youngster_id = m.youngster_id
                      AND s.reporter_id = p.reporter_id AND s.removal_date > today)
        UNION
        SELECT m.id, m.youngster_id FROM supervision v JOIN match m ON m.id = v.match_id
        WHERE v.municipality_code = own_municipality AND v.left_at IS NULL AND m.ended_at IS NULL
          AND (one_match IS NULL OR m.id = one_match)
          AND EXISTS (SELECT FROM signal s WHERE s.youngster_id = m.youngster_id
                      AND s.residence_municipality = v.municipality_code AND s.removal_date > today)
    ), live AS (
        SELECT mine.id AS match_id, p.reporter_id, count(*) OVER (PARTITION BY mine.id) AS parties
        FROM mine JOIN party p ON p.match_id = mine.id AND p.left_at IS NULL
        WHERE EXISTS (SELECT FROM signal s WHERE s.youngster_id = mine.youngster_id
                      AND s.reporter_id = p.reporter_id AND s.removal_date > today)
    )
    SELECT match_id, reporter_id FROM live WHERE parties > 1;
END $$;
CREATE FUNCTION visible_institutions() RETURNS SETOF char(20)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT scope_oin() UNION SELECT r.oin FROM reporter r JOIN visible_parties() v ON v.reporter_id = r.id
$$;
-- The own live signals on the youngster of a match: their case references go back to their sender (R6, R12).
CREATE FUNCTION own_signals_in(asked uuid) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.id FROM match m JOIN signal s ON s.youngster_id = m.youngster_id
    WHERE m.id = asked AND s.reporter_id = (SELECT scope_own_reporter()) AND s.removal_date > (SELECT scope_today())
      AND m.id IN (SELECT v.match_id FROM visible_parties() v)
$$;
-- A match shows the contact points of the residences among the live signals on the own youngster (R12).
CREATE FUNCTION match_residences(asked uuid) RETURNS SETOF char(4)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT DISTINCT s.residence_municipality FROM match m JOIN signal s ON s.youngster_id = m.youngster_id
    WHERE m.id = asked AND s.removal_date > (SELECT scope_today())
      AND m.id IN (SELECT v.match_id FROM visible_parties() v)
$$;
"""

SECURITY = """
REVOKE ALL ON FUNCTION scope_own_reporter(), visible_parties(), visible_institutions(), own_signals_in(uuid),
    match_residences(uuid)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION scope_own_reporter(), visible_parties(), visible_institutions(), own_signals_in(uuid),
    match_residences(uuid)
    TO verwijsindex_index;
REVOKE ALL ON FUNCTION refuse_change() FROM PUBLIC;

ALTER TABLE institution ENABLE ROW LEVEL SECURITY;
ALTER TABLE agreement ENABLE ROW LEVEL SECURITY;
ALTER TABLE reporter ENABLE ROW LEVEL SECURITY;
ALTER TABLE coordinator ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_supervisor ENABLE ROW LEVEL SECURITY;
ALTER TABLE youngster ENABLE ROW LEVEL SECURITY;
ALTER TABLE signal ENABLE ROW LEVEL SECURITY;
ALTER TABLE match ENABLE ROW LEVEL SECURITY;
ALTER TABLE party ENABLE ROW LEVEL SECURITY;
ALTER TABLE supervision ENABLE ROW LEVEL SECURITY;
ALTER TABLE notice ENABLE ROW LEVEL SECURITY;
ALTER TABLE subscription ENABLE ROW LEVEL SECURITY;
ALTER TABLE delivery ENABLE ROW LEVEL SECURITY;
ALTER TABLE event ENABLE ROW LEVEL SECURITY;

-- intake: inserts; reads only who may signal, and its own idempotency records (I7).
GRANT SELECT (code, legal_ground) ON municipality TO verwijsindex_intake;
GRANT SELECT (code, designated) ON category TO verwijsindex_intake;
GRANT SELECT (oin, category_code) ON institution TO verwijsindex_intake;
GRANT SELECT ON agreement TO verwijsindex_intake;
GRANT SELECT (id, oin, designated_from, designated_until) ON reporter TO verwijsindex_intake;
GRANT SELECT, INSERT ON idempotency_record TO verwijsindex_intake;
GRANT INSERT ON signal, work, event TO verwijsindex_intake;
CREATE POLICY intake ON institution FOR SELECT TO verwijsindex_intake USING (true);
CREATE POLICY intake ON agreement FOR SELECT TO verwijsindex_intake USING (true);
CREATE POLICY intake ON reporter FOR SELECT TO verwijsindex_intake USING (true);
CREATE POLICY intake ON signal FOR INSERT TO verwijsindex_intake WITH CHECK (youngster_id IS NULL);
CREATE POLICY intake ON event FOR INSERT TO verwijsindex_intake WITH CHECK (true);

-- index: reads within the scope of its transaction (I8).
GRANT SELECT ON municipality, contact_point, category, institution, reporter, coordinator, match, party, notice
    TO verwijsindex_index;
GRANT SELECT (id, reporter_id, oin, made_at, received_at, removal_date, key_version, residence_municipality,
              informing_status, informed_on, informed_to, postponed_ground, review_date, case_reference_sealed)
    ON signal TO verwijsindex_index;
GRANT SELECT (id, municipality_code) ON case_supervisor TO verwijsindex_index;
GRANT INSERT ON event TO verwijsindex_index;
CREATE POLICY index_read ON institution FOR SELECT TO verwijsindex_index
    USING (oin IN (SELECT * FROM visible_institutions()));
CREATE POLICY index_read ON reporter FOR SELECT TO verwijsindex_index
    USING (oin = (SELECT scope_oin()) OR id IN (SELECT v.reporter_id FROM visible_parties() v));
CREATE POLICY index_read ON coordinator FOR SELECT TO verwijsindex_index
    USING (oin IN (SELECT * FROM visible_institutions()));
CREATE POLICY index_read ON case_supervisor FOR SELECT TO verwijsindex_index
    USING (municipality_code = (SELECT scope_municipality()));
CREATE POLICY index_read ON signal FOR SELECT TO verwijsindex_index
    USING (reporter_id = (SELECT scope_own_reporter()) AND removal_date > (SELECT scope_today()));
CREATE POLICY index_read ON match FOR SELECT TO verwijsindex_index
    USING (id IN (SELECT v.match_id FROM visible_parties() v));
CREATE POLICY index_read ON party FOR SELECT TO verwijsindex_index
    USING (left_at IS NULL AND (match_id, reporter_id) IN (SELECT v.match_id, v.reporter_id FROM visible_parties() v));
CREATE POLICY index_read ON notice FOR SELECT TO verwijsindex_index
    USING (reporter_id = (SELECT scope_own_reporter()) OR municipality_code = (SELECT scope_municipality()));
CREATE POLICY index_insert ON event FOR INSERT TO verwijsindex_index WITH CHECK (true);

-- worker: matches and delivers; sees no case reference and no contact data.
GRANT SELECT (id, reporter_id, oin, made_at, received_at, removal_date, key_version, sealed_pseudonym, youngster_id,
              residence_municipality) ON signal TO verwijsindex_worker;
GRANT UPDATE (sealed_pseudonym, youngster_id) ON signal TO verwijsindex_worker;
GRANT SELECT, INSERT ON youngster, match, party, supervision, notice, delivery TO verwijsindex_worker;
GRANT UPDATE (ended_at, change) ON match TO verwijsindex_worker;
GRANT UPDATE (left_at) ON party, supervision TO verwijsindex_worker;
GRANT SELECT, DELETE ON work TO verwijsindex_worker;
GRANT UPDATE (parked_at) ON work TO verwijsindex_worker;
GRANT SELECT (id, oin) ON reporter TO verwijsindex_worker;
GRANT SELECT ON subscription TO verwijsindex_worker;
GRANT UPDATE (due_at, leased_until, attempts, last_outcome, delivered_at) ON delivery TO verwijsindex_worker;
GRANT INSERT ON event TO verwijsindex_worker;
GRANT SELECT, DELETE ON idempotency_record TO verwijsindex_worker;
CREATE POLICY worker ON reporter FOR SELECT TO verwijsindex_worker USING (true);
CREATE POLICY worker ON youngster TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker_read ON signal FOR SELECT TO verwijsindex_worker USING (true);
CREATE POLICY worker_attach ON signal FOR UPDATE TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON match TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON party TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON supervision TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON notice TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON subscription FOR SELECT TO verwijsindex_worker USING (true);
CREATE POLICY worker ON delivery TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON event FOR INSERT TO verwijsindex_worker WITH CHECK (true);

-- registrar: keeps the register and subscriptions; sees no signal and no match.
GRANT SELECT, INSERT, UPDATE ON municipality, contact_point, category, institution, agreement, reporter,
    coordinator, case_supervisor, subscription TO verwijsindex_registrar;
GRANT INSERT ON event TO verwijsindex_registrar;
CREATE POLICY registrar ON institution TO verwijsindex_registrar USING (true) WITH CHECK (true);
CREATE POLICY registrar ON agreement TO verwijsindex_registrar USING (true) WITH CHECK (true);
CREATE POLICY registrar ON reporter TO verwijsindex_registrar USING (true) WITH CHECK (true);
CREATE POLICY registrar ON coordinator TO verwijsindex_registrar USING (true) WITH CHECK (true);
CREATE POLICY registrar ON case_supervisor TO verwijsindex_registrar USING (true) WITH CHECK (true);
CREATE POLICY registrar ON subscription TO verwijsindex_registrar USING (true) WITH CHECK (true);
CREATE POLICY registrar ON event FOR INSERT TO verwijsindex_registrar WITH CHECK (true);

-- auditor: reads the ledger of an institution or a municipality.
GRANT SELECT ON event TO verwijsindex_auditor;
CREATE POLICY auditor ON event FOR SELECT TO verwijsindex_auditor
    USING (oin = (SELECT scope_oin()) OR municipality_code = (SELECT scope_municipality()));
"""


def upgrade() -> None:
    """Make the path's tables and say who may do what with them."""
    for part in (TABLES, CATEGORIES, SCOPE, SECURITY):
        op.execute(part)
