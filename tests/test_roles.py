# SPDX-License-Identifier: EUPL-1.2
"""What each role of the index's database may do: the whole list, and what row-level security leaves (I7, I8)."""

from collections import defaultdict
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, ProgrammingError
from support import CLINIC, DORDRECHT, POLICE, SCHOOL, STEIN, WESTERVELD, Database, Index

from verwijsindex.database import RUNTIME_ROLES, Scope, engine, transaction

REGISTER = ("municipality", "contact_point", "category", "institution", "agreement", "reporter", "coordinator")
# Role -> table -> verbs on the whole table, or on the columns named. A new grant has to be written here as well.
READ, WRITE = {"SELECT": "*"}, {"SELECT": "*", "INSERT": "*"}
APPEND, KEEP = {"INSERT": "*"}, {"SELECT": "*", "INSERT": "*", "UPDATE": "*"}
MAY: dict[str, dict[str, dict[str, str]]] = {
    "intake": {
        "municipality": {"SELECT": "code legal_ground oin"},
        "category": {"SELECT": "code designated"},
        "institution": {"SELECT": "oin category_code"},
        "agreement": READ,
        "reporter": {"SELECT": "id oin designated_from designated_until"},
        "named_officer": {"SELECT": "oin last_day"},
        "idempotency_record": WRITE,
        "index_key_version": READ,
        "limit_counter": WRITE | {"UPDATE": "taken", "DELETE": "*"},
        "signal": APPEND,
        "death": APPEND,
        "work": APPEND,
        "event": APPEND,
    },
    "index": {
        **{table: READ for table in REGISTER if table != "agreement"},
        "match": READ,
        "party": READ,
        "notice": READ,
        "signal": {
            "SELECT": "id reporter_id oin made_at received_at removal_date key_version residence_municipality"
            " informing_status informed_on informed_to postponed_ground review_date case_reference_sealed"
            " informing_due_on"
        },
        "acting_signal": {
            "SELECT": "id reporter_id informing_status",
            "UPDATE": "residence_municipality",
        },
        "informing_signal": {
            "SELECT": "id reporter_id",
            "UPDATE": "informing_status informed_on informed_to postponed_ground review_date",
        },
        "work": {"INSERT": "signal_id"},
        "move": {"INSERT": "id signal_id municipality_code reporter_id told_at"},
        "act_request": WRITE | {"UPDATE": "status answer"},
        "case_supervisor": {"SELECT": "id municipality_code"},
        "institution_signal": READ,
        "subscription": {
            "SELECT": "*",
            "DELETE": "*",
            "INSERT": "id client_id oin address key_version secret_sealed created_at state challenge_id"
            " challenge_due_at challenge_until",
            "UPDATE": "address key_version secret_sealed state secret_number previous_key_version"
            " previous_secret_sealed previous_until challenge_id challenge_attempts challenge_due_at challenge_until"
            " failures rests_until",
        },
        "delivery": {
            "SELECT": "id client_id due_at leased_until attempts delivered_at",
            "UPDATE": "due_at attempts delivered_at",
            "DELETE": "*",
        },
        "attempt": READ | {"DELETE": "*"},
        "index_key_version": READ,
        "subscription_request": WRITE | {"UPDATE": "status answer secret_number"},
        "mail_preference": WRITE | {"UPDATE": "digest digest_at chosen_at"},
        "event": APPEND,
        "leaf": {"SELECT": "hash place"},
        "tree_node": READ,
        "checkpoint": READ,
    },
    "worker": {
        "signal": {
            "SELECT": "id reporter_id oin made_at received_at removal_date key_version sealed_pseudonym youngster_id"
            " residence_municipality agreement_id standing_id held_since ended_at end_reason restricted_at shielded"
            " parents_sealed first_matched_at turns23_on_sealed archive_due",
            "UPDATE": "sealed_pseudonym youngster_id standing_id ended_at end_reason parents_sealed first_matched_at"
            " residence_municipality archive_due",
            "DELETE": "*",
        },
        **dict.fromkeys(
            ("youngster", "signal_parent", "archived_signal", "told", "told_supervision"), WRITE | {"DELETE": "*"}
        ),
        "told_circle": WRITE | {"UPDATE": "reporters officers", "DELETE": "*"},
        "parent": WRITE | {"UPDATE": "crowded", "DELETE": "*"},
        "standing": WRITE | {"UPDATE": "handed_over_at", "DELETE": "*"},
        "tombstone": WRITE,
        "family_match": WRITE | {"UPDATE": "ended_at youngster_id sibling_id"},
        "move": {"SELECT": "*", "DELETE": "*"},
        "death": {"SELECT": "*", "DELETE": "*"},
        "act_request": {"SELECT": "caller key received_at", "DELETE": "*"},
        "index_key_version": READ,
        "match": WRITE | {"UPDATE": "ended_at change"},
        "party": WRITE | {"UPDATE": "left_at", "DELETE": "*"},
        "supervision": WRITE | {"UPDATE": "left_at round_state due_on"},
        "former_parent": {"SELECT": "*", "DELETE": "*"},
        "notice": WRITE | {"DELETE": "*"},
        "notice_withdrawal": {"INSERT": "*"},
        "mail_preference": READ,
        "mail_wanted": WRITE | {"UPDATE": "due_at"},
        "mail": READ | {"UPDATE": "due_at leased_until attempts last_outcome sent_at refused_at", "DELETE": "*"},
        "delivery": WRITE | {"UPDATE": "due_at leased_until attempts last_outcome delivered_at dead_at", "DELETE": "*"},
        "work": {"SELECT": "*", "INSERT": "signal_id", "DELETE": "*", "UPDATE": "parked_at"},
        "round": KEEP,
        "figure_quarter": WRITE,
        "follow_up_figure": APPEND,
        "lead": KEEP | {"DELETE": "*"},
        "mute": READ | {"DELETE": "*"},
        "municipality": {"SELECT": "code contact_within_days coordination_within_days lead_order"},
        "category": {"SELECT": "code domain in_person"},
        "institution": {"SELECT": "oin category_code"},
        "reporter": {"SELECT": "id oin designated_until"},
        "subscription": READ
        | {
            "UPDATE": "state confirmed_address previous_key_version previous_secret_sealed previous_until challenge_id"
            " challenge_attempts challenge_due_at challenge_until failures rests_until gone_at"
        },
        "attempt": WRITE | {"DELETE": "*"},
        "subscription_request": {"SELECT": "*", "DELETE": "*"},
        "event": APPEND,
        "leaf": {"SELECT": "hash place"},
        "tree_node": READ,
        "checkpoint": WRITE,
        "idempotency_record": {"SELECT": "*", "DELETE": "*"},
        "watched_place": WRITE | {"UPDATE": "place"},
        "activity": WRITE | {"DELETE": "*"},
        "activity_day": WRITE | {"UPDATE": "count", "DELETE": "*"},
        "unjustified_withdrawal": {"SELECT": "*", "DELETE": "*"},
        "alert": WRITE | {"UPDATE": "counted", "DELETE": "*"},
        "alert_event": WRITE,
        "sample": {"SELECT": "id month", "DELETE": "*"},
        "event_hour": {"SELECT": "hour", "DELETE": "*"},
    },
    "registrar": {
        **dict.fromkeys((*REGISTER, "case_supervisor", "named_officer", "rights_desk_officer"), KEEP),
        "privacy_officer": KEEP,
        "subscription": READ | {"DELETE": "*"},
        "event": APPEND,
    },
    "auditor": {
        "event": WRITE,
        "alert": READ,
        "alert_event": READ,
        "leaf": {"SELECT": "place event_id hash"},
        **dict.fromkeys(("checkpoint", "dropped_events", "event_hour", "tallied_place"), READ),
        "sample": WRITE,
        "sign_off": WRITE,
        "act_request": WRITE | {"UPDATE": "status answer"},
    },
}
TABLES = (
    *REGISTER,
    "case_supervisor",
    "named_officer",
    "rights_desk_officer",
    "privacy_officer",
    "standing",
    "parent",
    "signal_parent",
    "former_parent",
    "archived_signal",
    "tombstone",
    "move",
    "death",
    "act_request",
    "family_match",
    "told",
    "told_circle",
    "told_supervision",
    "youngster",
    "signal",
    "idempotency_record",
    "limit_counter",
    "work",
    "match",
    "party",
    "supervision",
    "round",
    "figure_quarter",
    "follow_up_figure",
    "lead",
    "mute",
    "notice",
    "notice_withdrawal",
    "mail_preference",
    "mail_wanted",
    "mail",
    "subscription",
    "delivery",
    "attempt",
    "subscription_request",
    "event",
    "unsealed_event",
    "leaf",
    "tree_node",
    "checkpoint",
    "dropped_events",
    "watched_place",
    "activity",
    "activity_day",
    "unjustified_withdrawal",
    "alert",
    "alert_event",
    "sample",
    "sign_off",
    "tallied_place",
    "event_hour",
    "index_key_version",
)
VIEWS = ("acting_signal", "informing_signal", "institution_signal", "placed_signal")
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")
NOT_PERSONAL = {
    *("municipality", "contact_point", "category", "idempotency_record", "limit_counter", "work", "alembic_version"),
    *("index_key_version", "unsealed_event", "leaf", "tree_node", "checkpoint"),
    *("dropped_events", "watched_place", "tallied_place"),
}
"""Tables without row-level security: public data, and queues that a role can or cannot use as a whole."""
READ_BY_INDEX = sorted(
    table for table, verbs in MAY["index"].items() if "SELECT" in verbs and table not in NOT_PERSONAL
)


@pytest.fixture(scope="module")
def catalogue(_migrated_index: Database) -> Database:
    """The index's database for who looks at its catalogue only, whatever rows are in it."""
    return _migrated_index


def test_the_list_names_every_role_and_table(catalogue: Database) -> None:
    assert {f"verwijsindex_{role}" for role in MAY} == set(RUNTIME_ROLES["index"])
    found = catalogue.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert {str(row[0]) for row in found} == {*TABLES, "alembic_version"}
    found = catalogue.rows("SELECT viewname FROM pg_views WHERE schemaname = 'public'")
    assert {str(row[0]) for row in found} == set(VIEWS)


@pytest.mark.parametrize("table", [*TABLES, *VIEWS, "alembic_version"])
@pytest.mark.parametrize("role", MAY)
def test_a_role_may_do_with_a_table_what_the_list_says_and_no_more(catalogue: Database, role: str, table: str) -> None:
    """As PostgreSQL itself answers, so through PUBLIC and memberships as well. Seen failing when the intake role was
    granted SELECT on `signal`, and when a column was added to a grant."""
    found: dict[str, str] = {}
    for verb in VERBS:
        asked = {"role": f"verwijsindex_{role}", "table": f'"{table}"', "verb": verb}
        if catalogue.scalar("SELECT has_table_privilege(:role, :table, :verb)", **asked):
            found[verb] = "*"
        elif verb in {"SELECT", "INSERT", "UPDATE", "REFERENCES"}:
            columns = catalogue.rows(
                "SELECT attname FROM pg_attribute WHERE attrelid = CAST(:table AS regclass) AND attnum > 0"
                " AND NOT attisdropped AND has_column_privilege(:role, attrelid, attnum, :verb) ORDER BY attnum",
                **asked,
            )
            if columns:
                found[verb] = " ".join(sorted(str(row[0]) for row in columns))
    expected = MAY[role].get(table, {})
    assert found == {verb: " ".join(sorted(columns.split())) for verb, columns in expected.items()}


def test_no_role_has_a_way_round(catalogue: Database) -> None:
    """No superuser, no bypass, no membership, no ownership, nothing to create anywhere."""
    for role in RUNTIME_ROLES["index"]:
        attributes = "SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication FROM pg_roles"
        assert catalogue.scalar(f"{attributes} WHERE rolname = :role", role=role) is False
        membership = "SELECT count(*) FROM pg_auth_members WHERE member = CAST(:role AS regrole)"
        assert catalogue.scalar(membership, role=role) == 0
        owned = "SELECT count(*) FROM pg_class WHERE relowner = CAST(:role AS regrole)"
        assert catalogue.scalar(owned, role=role) == 0
        assert not catalogue.scalar("SELECT has_schema_privilege(:role, 'public', 'CREATE')", role=role)
        for privilege in ("CREATE", "TEMP"):
            database = "SELECT has_database_privilege(:role, current_database(), :privilege)"
            assert not catalogue.scalar(database, role=role, privilege=privilege)
        assert not catalogue.scalar("SELECT has_database_privilege(:role, 'verwijsindex_issuer', 'CONNECT')", role=role)


def test_each_function_of_the_owner_may_be_called_by_one_role(
    catalogue: Database,
) -> None:
    """The functions that run with the owner's rights."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in catalogue.rows(
        "SELECT p.proname, r.rolname FROM pg_proc p, pg_roles r WHERE p.pronamespace = CAST('public' AS regnamespace)"
        " AND p.prosecdef AND r.rolname LIKE 'verwijsindex%' AND r.rolname NOT LIKE '%owner'"
        " AND has_function_privilege(r.oid, p.oid, 'EXECUTE')"
    ):
        name, role = map(str, row)
        found[name].add(role)
    names = {"scope_own_reporter", "visible_parties", "visible_institutions", "own_signals_in", "match_residences"}
    names |= {"scope_own_coordinator", "scope_own_officer", "scope_own_desk"}
    names |= {"visible_matches", "visible_match", "inbox", "inbox_notice", "archived_contact", "own_placed_signals"}
    names |= {"withdraw", "hand_over", "tell_move", "decide_on_signal", "dead_letters", "replay_dead_letters"}
    names |= {"turn_mail", "refused_mail_of_institution", "coordinated_signals"}
    names |= {"act_on_lead", "move_rounds", "see_round", "supervised_follow_ups", "visible_follow_up"}
    names |= {"visible_follow_up_figures"}
    names |= {"mute_shown", "own_mutes", "undo_mute", "crisis_lines", "own_sealed_events"}
    workers = {"remove_contact_data", "spread_mail", "mail_address", "seal_events", "drop_old_events"}
    workers |= {"events_to_watch", "unjustified_events", "tally_events"}
    others = {name: {"verwijsindex_worker"} for name in workers}
    others |= {name: {"verwijsindex_registrar"} for name in ("orphans_without_coordinator", "refused_mail_of_offices")}
    auditors = ("scope_own_privacy_officer", "audited_oin", "audited_reporters", "audited_signal", "assess_alert")
    others |= {name: {"verwijsindex_auditor"} for name in (*auditors, "confirm_alert")}
    assert found == {name: {"verwijsindex_index"} for name in names} | others


def test_every_table_with_personal_data_has_row_level_security(catalogue: Database) -> None:
    bare = catalogue.rows(
        "SELECT relname FROM pg_class WHERE relnamespace = CAST('public' AS regnamespace) AND relkind = 'r'"
        " AND NOT relrowsecurity"
    )
    assert {str(row[0]) for row in bare} == NOT_PERSONAL


@pytest.mark.parametrize("table", ["signal", "youngster", "match", "party", "supervision", "notice", "event", "work"])
def test_intake_cannot_read_what_is_known(index: Index, table: str) -> None:
    """I7: the answer to a sender cannot depend on it. Seen failing when SELECT on `signal` was granted."""
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    for verb in (f'SELECT 1 FROM "{table}"', f'DELETE FROM "{table}"', f'TABLE "{table}"'):
        with index.database.engine("intake").connect() as connection, pytest.raises(ProgrammingError, match="denied"):
            connection.exec_driver_sql(verb)


def test_intake_cannot_place_a_signal_on_a_youngster_that_is_there(index: Index) -> None:
    """It could learn from the foreign key whether a youngster's id exists."""
    signal = index.place()
    index.match()
    columns = [
        str(row[0])
        for row in index.database.rows(
            "SELECT attname FROM pg_attribute WHERE attrelid = CAST('signal' AS regclass) AND attnum > 0"
            " AND attgenerated = ''"
        )
    ]
    [row] = index.database.rows(f"SELECT {', '.join(columns)} FROM signal WHERE id = :id", id=signal)
    values = dict(zip(columns, row, strict=True)) | {"id": uuid4()}
    insert = sa.text(f"INSERT INTO signal ({', '.join(columns)}) VALUES ({', '.join(':' + c for c in columns)})")
    with index.database.engine("intake").begin() as connection, pytest.raises(ProgrammingError, match="row-level"):
        connection.execute(insert, values)


def _seen(index: Index, scope: Scope | None) -> dict[str, int]:
    found = {}
    with transaction(index.database.engine("index"), scope) as connection:
        for table in READ_BY_INDEX:
            column = {"institution": "oin", "subscription_request": "key", "act_request": "key"}.get(table, "id")
            found[table] = connection.exec_driver_sql(f'SELECT count({column}) FROM "{table}"').scalar_one()
    return {table: count for table, count in found.items() if count}


@pytest.fixture
def matched(index: Index) -> Index:
    """A match of the school's and the clinic's first reporters, in Westerveld."""
    index.place(0, SCHOOL)
    index.place(0, CLINIC)
    index.match()
    return index


def _scope(
    index: Index,
    oin: str | None = None,
    reporter: UUID | None = None,
    municipality: str | None = None,
    coordinator: UUID | None = None,
) -> Scope:
    return Scope(index.clock().date(), oin, reporter, municipality, coordinator)


def test_without_a_scope_the_index_role_sees_no_row(matched: Index) -> None:
    """I8. Seen failing when a policy was `USING (true)`."""
    bounded = {"case_supervisor", "coordinator", "institution", "match", "notice", "party", "reporter", "signal"}
    bounded |= {"subscription", "delivery", "attempt", "subscription_request", "act_request", "mail_preference"}
    assert set(READ_BY_INDEX) == {*bounded, "acting_signal", "informing_signal", "institution_signal"}
    assert _seen(matched, None) == {}
    assert _seen(matched, _scope(matched)) == {}


def test_each_scope_sees_its_own_rows_and_no_others(matched: Index) -> None:
    """I8: another institution, another's reporter, another municipality."""
    school, clinic = matched.reporters[SCHOOL], matched.reporters[CLINIC]
    party = {"institution": 2, "coordinator": 2, "reporter": 4, "match": 1, "party": 2, "notice": 1, "signal": 1}
    party |= {"acting_signal": 1}
    outsider = {"institution": 1, "coordinator": 1, "reporter": 3}
    assert _seen(matched, _scope(matched, SCHOOL, school[0])) == party
    assert _seen(matched, _scope(matched, SCHOOL, school[1])) == outsider
    assert _seen(matched, _scope(matched, POLICE, matched.reporters[POLICE][0])) == outsider
    assert _seen(matched, _scope(matched, SCHOOL, clinic[0])) == outsider  # says to act for another's reporter
    assert _seen(matched, _scope(matched, None, school[0])) == {}
    assert _seen(matched, _scope(matched, None, uuid4())) == {}
    supervisor = {"institution": 2, "coordinator": 2, "reporter": 2, "match": 1, "party": 2, "notice": 1}
    assert _seen(matched, _scope(matched, municipality=WESTERVELD)) == supervisor | {"case_supervisor": 1}
    for elsewhere in (DORDRECHT, STEIN):
        assert _seen(matched, _scope(matched, municipality=elsewhere)) == {"case_supervisor": 1}
    coordinator = {"institution_signal": 1, "acting_signal": 1}
    assert _seen(matched, _scope(matched, SCHOOL, coordinator=matched.coordinators[SCHOOL])) == outsider | coordinator
    assert _seen(matched, _scope(matched, SCHOOL, coordinator=matched.coordinators[CLINIC])) == outsider
    assert _seen(matched, _scope(matched, None, coordinator=matched.coordinators[SCHOOL])) == {}
    later = Scope(matched.clock().date() + timedelta(days=731), SCHOOL, school[0])
    assert _seen(matched, later) == outsider | {"notice": 1}


def test_a_scope_does_not_outlive_its_transaction(matched: Index) -> None:
    """The connection goes back to the pool: the next request must not find the last one's rights."""
    pool = engine(matched.database.urls["verwijsindex_index"], pool_size=1)
    look = "SELECT pg_backend_pid(), (SELECT count(*) FROM signal)"
    with transaction(pool, _scope(matched, SCHOOL, matched.reporters[SCHOOL][0])) as connection:
        mine = tuple(connection.exec_driver_sql(look).one())
    with transaction(pool) as connection:
        after = tuple(connection.exec_driver_sql(look).one())
    pool.dispose()
    assert (mine[1], after) == (1, (mine[0], 0))


@pytest.mark.parametrize("verb", ["UPDATE event SET kind = 'x'", "DELETE FROM event", "TRUNCATE event"])
@pytest.mark.parametrize("role", ["owner", "intake", "index", "worker", "registrar", "auditor"])
def test_nobody_changes_the_ledger(index: Index, role: str, verb: str) -> None:
    """R25; the owner is stopped by the trigger: seen failing without it."""
    before = index.database.scalar("SELECT count(*) FROM event")
    why = "append-only" if role == "owner" else "permission denied"
    with index.database.engine(role).begin() as connection, pytest.raises(ProgrammingError, match=why):
        connection.exec_driver_sql(verb)
    assert index.database.scalar("SELECT count(*) FROM event WHERE kind <> 'x'") == before != 0


@pytest.mark.parametrize(
    "change",
    [
        f"oin = '{CLINIC}'",
        "removal_date = '2999-01-01'",
        "sealed_pseudonym = 'short'",
        "sealed_pseudonym = NULL",
        "informed_to = NULL",
        "residence_municipality = '9999'",
    ],
)
def test_the_database_refuses_a_signal_that_contradicts_itself(index: Index, change: str) -> None:
    """I8: also from its owner. Seen taken, all but the last three, before the constraints were there."""
    index.place(0, SCHOOL)
    with pytest.raises(IntegrityError), index.database.engine("owner").begin() as connection:
        connection.exec_driver_sql(f"UPDATE signal SET {change}")
