# SPDX-License-Identifier: EUPL-1.2
"""What `db init` makes sure of, on a server with PostgreSQL's most talkative configuration; and lists as parameters."""

from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa
from support import PASSWORDS, Database

from verwijsindex import database
from verwijsindex.embedded import postgres
from verwijsindex.embedded.postgres import EmbeddedPostgres

TALKATIVE = {
    "log_statement": "all",
    "log_min_duration_statement": "0",
    "log_min_error_statement": "info",
    "log_error_verbosity": "verbose",
    "log_parameter_max_length": "-1",
    "log_parameter_max_length_on_error": "-1",
}


def test_no_value_of_a_statement_is_logged_whatever_the_servers_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """I5. Seen failing, with every value in the log, when `init_cluster` set nothing for the roles."""
    monkeypatch.setattr(postgres, "SETTINGS", postgres.SETTINGS | TALKATIVE)
    log = tmp_path / "log"
    with EmbeddedPostgres(durable=False, log_path=log) as server:
        database.init_cluster(server.url().replace("+psycopg", ""), PASSWORDS)
        url = server.url("verwijsindex", "verwijsindex_owner", PASSWORDS["verwijsindex_owner"])
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("CREATE TABLE row (secret text PRIMARY KEY)")
            for _ in range(2):
                with pytest.raises(psycopg.Error):
                    connection.execute("INSERT INTO row VALUES (%s), (%s)", ["canary-a", "canary-a"])
    said = log.read_text()
    assert "duplicate key" in said
    assert "canary" not in said


def test_nobody_holds_a_transaction_for_ever(cluster: EmbeddedPostgres) -> None:
    """Seen: a matcher that hung kept its lock, and nothing was matched, for as long as it hung."""
    for branch, role in ((branch, role) for branch, roles in database.RUNTIME_ROLES.items() for role in roles):
        url = cluster.url(database.DATABASES[branch], role, PASSWORDS[role])
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            for setting in ("idle_in_transaction_session_timeout", "statement_timeout", "transaction_timeout"):
                [value] = connection.execute(f"SHOW {setting}").fetchone() or [""]
                assert value not in {"0", ""}, (role, setting)


def test_lists_come_into_the_database_as_they_are(index_database: Database) -> None:
    """UUIDs by a way of their own, all others by psycopg's."""
    ids, pool = [uuid4(), uuid4()], index_database.engine("worker")
    lists: dict[str, list[list[object]]] = {
        "uuid": [[], [*ids], [ids[0], None]],
        "text": [['a,"b}'], ["a", None]],
        "bytea": [[b"\x00,"]],
        "integer": [[1, 2]],
    }
    with pool.connect() as connection:
        for kind, values in lists.items():
            for value in values:
                found = connection.execute(sa.text(f"SELECT CAST(:value AS {kind}[])"), {"value": value})
                assert found.scalar_one() == value
