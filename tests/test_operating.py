# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex db init`, `db upgrade`, `serve`: what an operator does wrong is said in one line and breaks nothing."""

import errno
import socket
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from verwijsindex import cli, database
from verwijsindex.cli import command_line, main
from verwijsindex.embedded.postgres import EmbeddedPostgres


def _init(url: str, out: Path, *more: str) -> tuple[int, str]:
    admin = {"VERWIJSINDEX_ADMIN_DATABASE_URL": url}
    done = CliRunner().invoke(command_line("db"), ["db", "init", "--out", str(out), *more], env=admin)
    return done.exit_code, " ".join(done.output.replace("│", " ").split())


def test_db_init_locks_nobody_out_and_overwrites_nothing(tmp_path: Path) -> None:
    out = tmp_path / "database.env"
    with EmbeddedPostgres(durable=False) as server:
        assert _init(server.url(), out)[0] == 0
        assert out.stat().st_mode & 0o777 == 0o600
        first = out.read_text()
        status, said = _init(server.url(), out)
        assert (status, "exists already" in said) == (2, True)
        status, said = _init(server.url(), tmp_path / "other.env")
        assert (status, "--new-passwords" in said) == (2, True)
        assert not (tmp_path / "other.env").exists()
        assert _init(server.url(), tmp_path / "other.env", "--new-passwords")[0] == 0
    assert first == out.read_text() != (tmp_path / "other.env").read_text()


def test_db_upgrade_takes_those_whose_address_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each operator has its own address only. Seen failing (status 2, after the first) when all were wanted."""
    done: list[str] = []
    monkeypatch.setattr(database, "upgrade", lambda _, branch: done.append(branch))
    asked, url = ["db", "upgrade"], "postgresql+psycopg://somebody@127.0.0.1:1/none"
    for name in ("", "PSEUDONYMS_", "ISSUER_"):
        monkeypatch.delenv(f"VERWIJSINDEX_{name}OWNER_DATABASE_URL", raising=False)
    none = CliRunner().invoke(command_line("db"), asked)
    assert (none.exit_code, "VERWIJSINDEX_OWNER_DATABASE_URL is not set" in none.output, done) == (2, True, [])
    env = {"VERWIJSINDEX_OWNER_DATABASE_URL": url}
    some = CliRunner().invoke(command_line("db"), asked, env=env)
    assert (some.exit_code, done) == (0, ["index"])
    assert some.stdout.splitlines() == [
        "index: up to date",
        "pseudonyms: left out, VERWIJSINDEX_PSEUDONYMS_OWNER_DATABASE_URL is not set",
        "issuer: left out, VERWIJSINDEX_ISSUER_OWNER_DATABASE_URL is not set",
    ]
    assert CliRunner().invoke(command_line("db"), [*asked, "issuer"], env=env).exit_code == 2


def _serve(monkeypatch: pytest.MonkeyPatch, *arguments: str, **settings: str) -> str:
    for name, value in settings.items():
        monkeypatch.setenv(f"VERWIJSINDEX_{name}", value)
    monkeypatch.setattr("sys.argv", ["verwijsindex", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return str(ended.value)


def test_a_setting_that_is_no_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert '"issuers"' in _serve(monkeypatch, "serve", "index", ISSUERS="http://issuer.example")


def test_a_secret_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The likeliest mistake with docker-compose.yml: seen failing with "write it as JSON"."""
    secret = tmp_path / "verwijsindex_broker_url"
    secret.write_bytes(b"\xff")
    assert "not UTF-8" in _serve(monkeypatch, "health", SECRETS=str(tmp_path))

    def refuse(path: Path, *_: object, **__: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", refuse)
    said = _serve(monkeypatch, "health", SECRETS=str(tmp_path))
    assert f"{secret}: Permission denied; does it belong to the account that this runs as?" in said


def test_a_port_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "VERWIJSINDEX_PORT" in _serve(monkeypatch, "serve", "issuer", PORT="99999")


def test_a_port_in_use_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Seen starting beside the other process, with half of its connections."""
    key = tmp_path / "issuer.jwk"
    assert CliRunner().invoke(command_line("keys"), ["keys", "issuer", str(key)]).exit_code == 0
    with socket.create_server(("127.0.0.1", 0)) as other:
        said = _serve(
            monkeypatch,
            *("serve", "issuer"),
            PORT=str(other.getsockname()[1]),
            BASE_URL="http://127.0.0.1:1",
            ISSUER_DATABASE_URL="postgresql+psycopg://nobody@127.0.0.1:1/none",
            SIGNING_KEY=str(key),
            RESOURCES='["http://127.0.0.1:2"]',
        )
    assert "cannot listen on 127.0.0.1" in said


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (psycopg.OperationalError(), "the database does not answer"),
        (psycopg.errors.LockNotAvailable(), "run it again, it goes on where it stopped"),
        (psycopg.errors.DeadlockDetected(), "run it again, it goes on where it stopped"),
        (psycopg.errors.DiskFull(), "the disk of the database is full"),
    ],
)
def test_why_the_database_does_not_do_it_is_said(
    monkeypatch: pytest.MonkeyPatch, refused: psycopg.Error, told: str
) -> None:
    """`db upgrade` beside a long transaction was told to look at its address: seen failing so."""

    def fail() -> None:
        raise sa.exc.OperationalError("", None, refused)

    monkeypatch.setattr(cli, "command_line", lambda _: fail)
    with pytest.raises(SystemExit, match=told):
        cli.main()
