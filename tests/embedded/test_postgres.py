# SPDX-License-Identifier: EUPL-1.2
"""The embedded PostgreSQL (embedded/postgres.py), as whoever runs the tests and as another user than root."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy.engine import make_url

from verwijsindex.embedded.postgres import EmbeddedPostgres

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(durable=False, log_path=tmp_path_factory.mktemp("postgres") / "log") as server:
        yield server


def connect(server: EmbeddedPostgres) -> psycopg.Connection:
    return psycopg.connect(server.url().replace("+psycopg", ""), autocommit=True)


def test_version_encoding_and_user(server: EmbeddedPostgres) -> None:
    with connect(server) as connection:
        row = connection.execute("SELECT current_setting('server_version_num')::int / 10000").fetchone()
        assert row == (18,)
        row = connection.execute("SELECT getdatabaseencoding(), current_setting('fsync')").fetchone()
        assert row == ("UTF8", "off")
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row
        if os.geteuid() == 0:
            assert psutil.Process(row[0]).username() == "nobody"


def test_wrong_password_is_refused(server: EmbeddedPostgres) -> None:
    url = make_url(server.url(password="wrong"))
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(host=url.host, port=url.port, user=url.username, password=url.password, dbname=url.database)


def test_log_holds_no_stored_value(server: EmbeddedPostgres) -> None:
    """I5: with log_error_verbosity at its default the log held "Key (value)=(...) already exists" and the
    failing row; with log_min_error_statement at its default the statement with its literals."""
    with connect(server) as connection:
        connection.execute("CREATE TABLE canary (value text UNIQUE, number int CHECK (number > 0))")
        connection.execute("INSERT INTO canary VALUES (%s, 1)", ["canary-in-the-mine"])
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO canary VALUES (%s, 1)", ["canary-in-the-mine"])
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("INSERT INTO canary VALUES ('canary-in-the-mine-2', -1)")
    assert server._log_path is not None
    log = server._log_path.read_text()
    assert "duplicate key" in log
    assert "canary-in-the-mine" not in log


def test_committed_rows_survive_a_kill(server: EmbeddedPostgres) -> None:
    with connect(server) as connection:
        connection.execute("CREATE TABLE kept (number int)")
        connection.execute("INSERT INTO kept VALUES (1)")
        server.kill()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    server.restart()
    with connect(server) as connection:
        assert connection.execute("SELECT number FROM kept").fetchall() == [(1,)]


PARENT = """
import sys, time
from verwijsindex.embedded.postgres import EmbeddedPostgres
with EmbeddedPostgres(durable=False) as server:
    print(server._folder, server.url(), flush=True)
    time.sleep(600)
"""


def test_killed_parent_leaves_neither_process_nor_folder() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        folder, url = parent.stdout.readline().split()
        started = psutil.Process(parent.pid).children(recursive=True)
        assert len(started) > 5
        with psycopg.connect(url.replace("+psycopg", "")):
            parent.kill()
            parent.wait()
            assert psutil.wait_procs(started, timeout=20)[1] == []
    give_up_at = time.monotonic() + 5
    while Path(folder).exists() and time.monotonic() < give_up_at:
        time.sleep(0.02)
    assert not Path(folder).exists()
