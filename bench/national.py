# SPDX-License-Identifier: EUPL-1.2
"""An index as full as the country's, made straight in PostgreSQL: register, live signals, matches and last notices.

The mix is the national one (docs/performance.md). Of fifteen signals five stand alone and ten stand together on one
youngster; of new signals a third brings a new youngster (nobody is told) and two thirds come to such a ten (eleven
parties and a case supervisor are told): eight notices a signal on average. Pseudonyms are hashes of a number: nobody's.
"""

from datetime import date, datetime, timedelta

from sqlalchemy import Engine, text

from verwijsindex.signals.dates import amsterdam_date

MUNICIPALITIES, INSTITUTIONS, REPORTERS = 300, 500, 5000
GROUP = 15

_REGISTER = (
    "INSERT INTO municipality (code, name, legal_ground)"
    f" SELECT to_char(n, 'FM0000'), 'G' || n, 'duty' FROM generate_series(1, {MUNICIPALITIES}) n",
    "INSERT INTO institution (oin, name, category_code)"
    f" SELECT to_char(n, 'FM00000000000000000000'), 'I' || n, 'police' FROM generate_series(1, {INSTITUTIONS}) n",
    "INSERT INTO agreement (id, oin, municipality_code, valid_from, valid_until)"
    " SELECT gen_random_uuid(), oin, '0001', '2000-01-01', '2099-12-31' FROM institution",
    "INSERT INTO reporter (id, oin, name, position, telephone, email, designated_from)"
    f" SELECT md5('reporter' || n)::uuid, to_char(1 + n % {INSTITUTIONS}, 'FM00000000000000000000'),"
    f" 'R' || n, '-', '-', '-', '2000-01-01' FROM generate_series(0, {REPORTERS - 1}) n",
)
_SIGNAL = (
    "INSERT INTO signal (id, reporter_id, oin, agreement_id, legal_ground, client_id, made_at, received_at,"
    " removal_date, key_version, sealed_pseudonym, youngster_id, residence_municipality, informing_status, informed_on,"
    " informed_to)"
)
_TIMES = "CAST(:now AS timestamptz), CAST(:now AS timestamptz), CAST(:removal AS date)"
_REST = f"r.id, r.oin, a.id, 'duty', 'bench', {_TIMES}, 1"
_INFORMED = f"to_char(1 + n.grp % {MUNICIPALITIES}, 'FM0000'), 'informed', CAST(:today AS date), 'both'"
_OF_REPORTER = (
    " JOIN reporter r ON r.id = md5('reporter' || n.reporter)::uuid JOIN agreement a ON a.oin = r.oin ORDER BY n.n"
)
# The signals number :first to :last, fifteen to a group.
_NUMBERS = (
    "(SELECT n, n / 15 AS grp, CASE WHEN n % 15 < 5 THEN 'alone' || n ELSE 'shared' || n / 15 END AS youngster,"
    f" (n / 15 * 10 + n % 15) % {REPORTERS} AS reporter"
    " FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) n) n"
)
_GROUPS = "generate_series(CAST(:first AS bigint) / 15, CAST(:last AS bigint) / 15) g"
_FILL = (
    "INSERT INTO youngster (id, key, key_version) SELECT DISTINCT md5(n.youngster)::uuid, sha384(n.youngster::bytea), 1"
    f" FROM {_NUMBERS}",
    "INSERT INTO standing (id, youngster_id, reporter_id) SELECT md5('standing' || n.n)::uuid,"
    f" md5(n.youngster)::uuid, md5('reporter' || n.reporter)::uuid FROM {_NUMBERS}",
    f"{_SIGNAL[:-1]}, standing_id, first_matched_at) SELECT md5('signal' || n.n)::uuid, {_REST}, NULL,"
    f" md5(n.youngster)::uuid, {_INFORMED}, md5('standing' || n.n)::uuid,"
    f" CASE WHEN n.n % 15 >= 5 THEN CAST(:now AS timestamptz) END FROM {_NUMBERS}{_OF_REPORTER}",
    "INSERT INTO match (id, kind, youngster_id, opened_at, change)"
    f" SELECT md5('match' || g)::uuid, 'youngster', md5('shared' || g)::uuid, :now, 1 FROM {_GROUPS}",
    "INSERT INTO party (id, match_id, reporter_id, joined_at, standing_id)"
    f" SELECT gen_random_uuid(), md5('match' || g)::uuid, md5('reporter' || (g * 10 + p) % {REPORTERS})::uuid, :now,"
    f" md5('standing' || g * 15 + p)::uuid FROM {_GROUPS}, generate_series(5, 14) p",
    "INSERT INTO told_circle (youngster_id, reporters, officers) SELECT md5('shared' || g)::uuid,"
    " ARRAY(SELECT md5('standing' || g * 15 + p)::uuid FROM generate_series(5, 14) p), CAST('{}' AS uuid[])"
    f" FROM {_GROUPS}",
    "INSERT INTO told_supervision (match_id, municipality_code, contact_id) SELECT md5('match' || g)::uuid,"
    f" to_char(1 + g % {MUNICIPALITIES}, 'FM0000'), md5('standing' || g * 15 + p)::uuid"
    f" FROM {_GROUPS}, generate_series(5, 14) p",
    "INSERT INTO supervision (id, match_id, municipality_code, joined_at, opened_at) SELECT gen_random_uuid(),"
    f" md5('match' || g)::uuid, to_char(1 + g % {MUNICIPALITIES}, 'FM0000'), :now, :now FROM {_GROUPS}",
    "INSERT INTO round (id, match_id, number, state, began_at, contact_due_on, contact_steps, coordination_due_on,"
    " coordination_steps, next_step_on) SELECT md5('round' || g)::uuid, md5('match' || g)::uuid, 1, 'notified', :now,"
    f" CAST(:today AS date) + 7, 0, CAST(:today AS date) + 14, 0, CAST(:today AS date) + 8 FROM {_GROUPS}",
    "INSERT INTO lead (id, match_id, state, reason, proposed_at) SELECT md5('lead' || g)::uuid,"
    f" md5('match' || g)::uuid, 'proposed', 'nobody_to_propose', :now FROM {_GROUPS}",
    "INSERT INTO notice (id, kind, match_id, change, reporter_id, placed_at) SELECT gen_random_uuid(), 'match',"
    f" md5('match' || g)::uuid, 1, md5('reporter' || (g * 10 + p) % {REPORTERS})::uuid, :now"
    f" FROM {_GROUPS}, generate_series(5, 14) p",
)
_ARRIVE = (
    f"{_SIGNAL} SELECT md5('new' || n.n)::uuid, {_REST}, sha384(n.youngster::bytea), NULL, {_INFORMED} FROM"
    " (SELECT n, g AS grp, CASE WHEN n % 3 = 0 THEN 'new' || n ELSE 'shared' || g END AS youngster,"
    f" (g * 10 + 15 + n % 4000) % {REPORTERS} AS reporter"
    "  FROM (SELECT n, n * 104729 % CAST(:groups AS bigint) AS g"
    f"        FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) n) n) n{_OF_REPORTER}",
    "INSERT INTO work (signal_id) SELECT md5('new' || n)::uuid"
    " FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) n ORDER BY n",
)


def register(superuser: Engine) -> None:
    """Municipalities, institutions, agreements and reporters."""
    with superuser.begin() as connection:
        for statement in _REGISTER:
            connection.execute(text(statement))


# The tables that are filled. PostgreSQL leaves an index that is not ready alone, and REINDEX makes it anew.
_FILLED = (
    *("youngster", "standing", "signal", "match", "party", "told_circle", "told_supervision", "supervision"),
    *("round", "lead", "notice"),
)
_LEAVE_INDEXES = (
    "UPDATE pg_index SET indisready = false, indisvalid = false"
    f" WHERE indrelid = ANY(CAST('{{{','.join(_FILLED)}}}' AS regclass[]))"
)
_BULK = 100_000


def fill(superuser: Engine, there: int, live: int, now: datetime, removal: date | None = None) -> None:
    """Bring the index from `there` live signals to `live`, matched and told; both in whole groups of 15.

    Many are put there without their indexes, which are made at the end: five million in minutes.

    Args:
        removal: the date on which they end, 700 days after `now` unless given.
    """
    bulk = live - there >= _BULK
    with superuser.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET session_replication_role = replica"))  # what is made here is whole in itself
        connection.execute(text("SET synchronous_commit = off"))
        if bulk:
            connection.execute(text(_LEAVE_INDEXES))
        for statement in _FILL:
            connection.execute(text(statement), _values(there, live, now, removal))
        if bulk:
            connection.execute(text("SET maintenance_work_mem = '512MB'"))
            for table in _FILLED:
                connection.execute(text(f"REINDEX TABLE {table}"))
        connection.execute(text("VACUUM (ANALYZE)"))
        connection.execute(text("CHECKPOINT"))
        connection.invalidate()


def arrive(superuser: Engine, first: int, count: int, live: int, now: datetime) -> None:
    """New signals number `first` and on, as intake leaves them, with their work."""
    with superuser.begin() as connection:
        connection.execute(text("SET session_replication_role = replica"))
        for statement in _ARRIVE:
            connection.execute(text(statement), _values(first, first + count, now) | {"groups": live // GROUP})


def _values(first: int, end: int, now: datetime, removal: date | None = None) -> dict[str, object]:
    today = amsterdam_date(now)
    ends = removal or today + timedelta(days=700)
    return {"first": first, "last": end - 1, "now": now, "today": today, "removal": ends}
