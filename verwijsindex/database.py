# SPDX-License-Identifier: EUPL-1.2
"""Engines, transactions with the caller's scope for row-level security (I8), roles, databases and migrations."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import sqlalchemy as sa
from psycopg import sql
from psycopg.abc import Buffer
from psycopg.types.array import ListDumper
from pydantic import SecretStr
from pydantic_core import to_json

from verwijsindex import metrics

if TYPE_CHECKING:
    from alembic.config import Config

OWNERS = {
    "index": "verwijsindex_owner",
    "pseudonyms": "verwijsindex_pseudonyms_owner",
    "issuer": "verwijsindex_issuer_owner",
}
DATABASES = {"index": "verwijsindex", "pseudonyms": "verwijsindex_pseudonyms", "issuer": "verwijsindex_issuer"}
RUNTIME_ROLES = {
    "index": (
        "verwijsindex_intake",
        "verwijsindex_index",
        "verwijsindex_worker",
        "verwijsindex_registrar",
        "verwijsindex_auditor",
    ),
    "pseudonyms": ("verwijsindex_pseudonyms",),
    "issuer": ("verwijsindex_issuer",),
}
_MIGRATIONS = Path(__file__).parent / "migrations"
ROLES = tuple(role for branch in OWNERS for role in (OWNERS[branch], *RUNTIME_ROLES[branch]))


# Whatever the server's own configuration: nothing that a statement held gets into its log (I5).
_NOT_LOGGED = {
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


# Nobody holds a transaction, and with it perhaps the matcher's lock, for ever: not who hangs, and not who was lost.
_BOUNDED = {
    "idle_in_transaction_session_timeout": "30s",
    "tcp_keepalives_idle": "20",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
}
_WORKER_BOUNDED = {"statement_timeout": "60s", "transaction_timeout": "120s"}
_SERVER_BOUNDED = {"statement_timeout": "10s", "transaction_timeout": "30s"}


def _settings_of(role: str) -> dict[str, str]:
    """What PostgreSQL is told for every session of a role; an owner's migrations may take their time."""
    if role in OWNERS.values():
        return _NOT_LOGGED
    return _NOT_LOGGED | _BOUNDED | (_WORKER_BOUNDED if role == "verwijsindex_worker" else _SERVER_BOUNDED)


@dataclass(frozen=True, slots=True)
class Scope:
    """For whom a transaction reads: what row-level security looks at. What is None opens nothing.

    `today` is the Amsterdam date by which a signal is live (R14, I6); `caller` whose idempotency keys these are.
    """

    today: date
    oin: str | None = None
    reporter_id: UUID | None = None
    municipality: str | None = None
    coordinator_id: UUID | None = None
    officer_id: UUID | None = None
    desk_officer_id: UUID | None = None
    privacy_officer_id: UUID | None = None
    client_id: str | None = None
    caller: str | None = None


def engine(url: SecretStr, *, pool_size: int = 5, autocommit: bool = False) -> sa.Engine:
    """A pool of connections that shows no parameter of a statement in any error (I5).

    Its times are in UTC whatever the server's own setting is, so that an answer read back is the answer given.

    With `autocommit` each statement is its own transaction: one round trip (intake).
    """
    pool = sa.create_engine(
        url.get_secret_value(),
        hide_parameters=True,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        isolation_level="AUTOCOMMIT" if autocommit else "READ COMMITTED",
        skip_autocommit_rollback=True,  # each statement has ended by itself: there is nothing to roll back
        connect_args={
            "connect_timeout": 5,
            "application_name": "verwijsindex",
            # A page costs about the same wherever it lies, as on any SSD: with the default of spinning disks the
            # planner reads whole tables where a few hundred rows are wanted.
            "options": "-c timezone=UTC -c random_page_cost=1.1",
            **_NOT_FOR_EVER,
        },
    )
    sa.event.listen(pool, "connect", lambda opened, _: opened.adapters.register_dumper(list, _Lists))
    used = metrics.CONNECTIONS.labels((pool.url.username or "none").removeprefix("verwijsindex_"))
    sa.event.listen(pool, "checkout", lambda *_: used.inc())
    sa.event.listen(pool, "checkin", lambda *_: used.dec())
    return pool


class _Lists(ListDumper):
    """UUIDs need no quotes. Psycopg looks for what does in each: a batch of the matcher names twenty thousand."""

    def dump(self, obj: list[Any]) -> Buffer | None:
        """The array as PostgreSQL's text."""
        if obj and all(type(one) is UUID for one in obj):
            return f"{{{','.join([one.hex for one in obj])}}}".encode()
        return super().dump(obj)


# A server that was cut off from the network without a word holds a thread for half a minute, not for a quarter of an
# hour (libpq; milliseconds, seconds, seconds, probes).
_NOT_FOR_EVER = {"tcp_user_timeout": 30_000, "keepalives_idle": 20, "keepalives_interval": 5, "keepalives_count": 2}


_NOT_DURABLE = sa.text("SET LOCAL synchronous_commit TO off")
_SET_SCOPE = sa.text(
    "SELECT set_config('verwijsindex.today', :today, true), set_config('verwijsindex.oin', :oin, true),"
    " set_config('verwijsindex.reporter', :reporter, true),"
    " set_config('verwijsindex.municipality', :municipality, true),"
    " set_config('verwijsindex.coordinator', :coordinator, true),"
    " set_config('verwijsindex.officer', :officer, true),"
    " set_config('verwijsindex.desk_officer', :desk_officer, true),"
    " set_config('verwijsindex.privacy_officer', :privacy_officer, true),"
    " set_config('verwijsindex.client', :client, true),"
    " set_config('verwijsindex.caller', :caller, true)"
)


@contextmanager
def transaction(pool: sa.Engine, scope: Scope | None = None, *, durable: bool = True) -> Iterator[sa.Connection]:
    """One transaction, committed at the end or rolled back by an exception, bounded by `scope`.

    One that is not `durable` waits neither for the disk nor for a replica: if the server dies within a second after,
    it may be as if it had not been. Only for what may then be done again.
    """
    with pool.begin() as connection:
        if not durable:
            connection.execute(_NOT_DURABLE)
        if scope is not None:
            connection.execute(
                _SET_SCOPE,
                {
                    "today": scope.today.isoformat(),
                    "oin": scope.oin or "",
                    "reporter": str(scope.reporter_id or ""),
                    "municipality": scope.municipality or "",
                    "coordinator": str(scope.coordinator_id or ""),
                    "officer": str(scope.officer_id or ""),
                    "desk_officer": str(scope.desk_officer_id or ""),
                    "privacy_officer": str(scope.privacy_officer_id or ""),
                    "client": scope.client_id or "",
                    "caller": scope.caller or "",
                },
            )
        yield connection


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows for PostgreSQL's `json_to_recordset`: one parameter for many rows of many columns.

    Psycopg would look at each value of each array to find its type: that took longer than all the rest of intake.
    """
    return to_json(
        [
            {name: _as_text(value) if isinstance(value, (bytes, list)) else value for name, value in row.items()}
            for row in rows
        ]
    ).decode()


def _as_text(value: object) -> object:
    if isinstance(value, list):
        return [_as_text(one) for one in value]
    return "\\x" + value.hex() if isinstance(value, bytes) else value


LOCK_NOT_AVAILABLE = "55P03"
"""SQLSTATE of a lock that was not to be had in time."""

QUERY_CANCELED = "57014"
"""SQLSTATE of a statement that took longer than the pool lets it."""


def sqlstate(error: sa.exc.DBAPIError) -> str:
    """What PostgreSQL says was wrong, in its five characters; empty where it said nothing, as when it is away."""
    return getattr(error.orig, "sqlstate", None) or ""


def answers(pool: sa.Engine) -> bool:
    """Whether the database behind `pool` answers now."""
    try:
        with pool.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
    except sa.exc.SQLAlchemyError:
        return False
    return True


def roles_there(admin_url: str, roles: Iterable[str] = ROLES) -> bool:
    """Whether any of these roles is there already. `admin_url`: a libpq address of a superuser."""
    with psycopg.connect(admin_url) as connection:
        found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = ANY(%s) LIMIT 1", [list(roles)])
        return found.fetchone() is not None


def init_cluster(admin_url: str, passwords: Mapping[str, str]) -> None:
    """Make the roles (or set their passwords anew) and the databases, where they are not there yet.

    Args:
        admin_url: a libpq address of a superuser.
        passwords: of every role of one or more branches; only their SCRAM verifiers are sent. A branch whose owner
            has none is left alone: each operator may have a server of its own.
    """
    with psycopg.connect(admin_url, autocommit=True) as connection:
        existing = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
        for role in passwords:
            verb = sql.SQL("ALTER" if role in existing else "CREATE")
            verifier = connection.pgconn.encrypt_password(
                passwords[role].encode(), role.encode(), b"scram-sha-256"
            ).decode()
            connection.execute(
                sql.SQL("{} ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD {}").format(
                    verb, sql.Identifier(role), sql.Literal(verifier)
                )
            )
            for name, value in _settings_of(role).items():
                connection.execute(
                    sql.SQL("ALTER ROLE {} SET {} = {}").format(
                        sql.Identifier(role), sql.Identifier(name), sql.Literal(value)
                    )
                )
        databases = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        for branch, name in DATABASES.items():
            if OWNERS[branch] not in passwords:
                continue
            if name not in databases:
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(OWNERS[branch]))
                )
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
            for role in RUNTIME_ROLES[branch]:
                connection.execute(
                    sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(name), sql.Identifier(role))
                )


def upgrade(url: SecretStr, branch: str, revision: str = "head") -> None:
    """Bring the database of `branch` (one of DATABASES) to `revision`; needs the owner's address."""
    from alembic import command  # noqa: PLC0415 (with its templates a tenth of the start of each process)

    config, owner = _alembic(branch), engine(url, pool_size=1)
    try:
        with owner.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, f"{branch}@{revision}")
            connection.commit()
    finally:
        owner.dispose()  # and with it the lock of who migrates


def revisions(branch: str) -> set[str]:
    """The revisions of a branch's tables that this version knows."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 (as above)

    return {script.revision for script in ScriptDirectory.from_config(_alembic(branch)).walk_revisions()}


def _alembic(branch: str) -> "Config":
    from alembic.config import Config  # noqa: PLC0415 (as above)

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(_MIGRATIONS / branch))
    return config
