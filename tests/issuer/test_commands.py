# SPDX-License-Identifier: EUPL-1.2
"""The commands that keep clients, and the one that makes a person's token for the demo."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import pytest
from joserfc.jwk import OKPKey
from support import Database
from typer.testing import CliRunner

from verwijsindex.access.caller import PERSON_OF, SCOPES, PersonRole
from verwijsindex.access.tokens import TokenVerifier
from verwijsindex.issuer.commands import app
from verwijsindex.issuer.signing import TokenSigner
from verwijsindex.keyfiles import read_signing_key, write_public_key, write_signing_key
from verwijsindex.problems import Problem
from verwijsindex.settings import TrustedIssuer, utc_now

PERSON = "7d3f2f0e-6a52-4a0e-9f0e-0d7f6d1c2b3a"
MINT = ("mint", "--role", "case_supervisor", "--municipality", "1701", "--person", PERSON)
Run = Callable[..., Any]


@pytest.fixture
def run(issuer_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    write_signing_key(tmp_path / "issuer.jwk", OKPKey.generate_key("Ed25519"))
    owner = issuer_database.urls["verwijsindex_issuer_owner"].get_secret_value()
    monkeypatch.setenv("VERWIJSINDEX_ISSUER_OWNER_DATABASE_URL", owner)
    monkeypatch.setenv("VERWIJSINDEX_BASE_URL", "https://issuer.example")
    monkeypatch.setenv("VERWIJSINDEX_SIGNING_KEY", str(tmp_path / "issuer.jwk"))
    monkeypatch.setenv("VERWIJSINDEX_RESOURCES", '["https://index.example", "https://pseudonyms.example"]')
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, arguments)


def add(path: Path, client_id: str = "school-17") -> tuple[str, ...]:
    name = ("--name", "A school", "--oin", "00000001234567890000")
    return ("client", "add", "--id", client_id, *name, "--public-key", str(path))


def test_the_list_is_whole_on_a_narrow_terminal(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_public_key(tmp_path / "school.json", OKPKey.generate_key("Ed25519"))
    assert run(*add(tmp_path / "school.json")).exit_code == 0
    monkeypatch.setenv("COLUMNS", "80")
    assert "…" not in run("client", "list").stdout  # with rich's own way OIN and scopes were cut off


def test_a_name_is_shown_as_it_is(run: Run, tmp_path: Path) -> None:
    """Seen failing, with a traceback, when it was taken for markup."""
    write_public_key(tmp_path / "school.json", OKPKey.generate_key("Ed25519"))
    assert run(*add(tmp_path / "school.json"), "--name", "A school [/]").exit_code == 0
    assert "A school [/]" in run("client", "list").stdout


def test_a_client_is_added_listed_and_revoked(run: Run, tmp_path: Path) -> None:
    key = OKPKey.generate_key("Ed25519")
    write_public_key(tmp_path / "school.json", key)
    done = run(*add(tmp_path / "school.json"))
    assert (done.exit_code, done.stdout) == (0, f"registered school-17, key {key.thumbprint()}\n")
    assert run(*add(tmp_path / "school.json", "school-18"), "--scope", "signals:read").exit_code == 0
    assert run("client", "revoke", "school-17").exit_code == 0
    listed = run("client", "list").stdout
    first, second = (line for line in listed.splitlines() if "school-1" in line)
    assert "pseudonyms:evaluate signals:read signals:write" in first
    assert first.count(f"{datetime.now(UTC):%Y-%m}") == 2
    assert second.count(f"{datetime.now(UTC):%Y-%m}") == 1
    assert "signals:write" not in second


def test_a_client_of_before_is_given_a_new_scope(run: Run, tmp_path: Path) -> None:
    write_public_key(tmp_path / "school.json", OKPKey.generate_key("Ed25519"))
    run(*add(tmp_path / "school.json"), "--scope", "signals:read")
    done = run("client", "scopes", "school-17", "--scope", "signals:read", "--scope", "subscriptions:manage")
    assert (done.exit_code, done.stdout) == (0, "school-17 may signals:read subscriptions:manage\n")
    assert "signals:read subscriptions:manage" in run("client", "list").stdout
    assert run("client", "scopes", "school-17").stdout.count(":") == 4
    assert run("client", "scopes", "school-17", "--scope", "supervision:read").exit_code == 1
    assert run("client", "scopes", "school-18").stderr == "error: no client with this id\n"


def test_what_goes_wrong_is_said_in_one_line(run: Run, tmp_path: Path) -> None:
    write_public_key(tmp_path / "school.json", OKPKey.generate_key("Ed25519"))
    write_signing_key(tmp_path / "private.jwk", OKPKey.generate_key("Ed25519"))
    for arguments, says in (
        (add(tmp_path / "missing.json"), "is missing"),
        (add(tmp_path / "private.jwk"), "holds the private part too"),
        (add(tmp_path / "school.json", "a b"), "a client's id"),
        ((*add(tmp_path / "school.json"), "--scope", "supervision:read"), "the scopes of a machine"),
        (("client", "revoke", "nobody"), "no client with this id"),
        ((*MINT[:4], "17", *MINT[5:]), "four digits"),
        ((*MINT, "--institution", "00000001234567890000"), "one --municipality"),
        (("mint", "--role", "coordinator", *MINT[3:]), "one --institution"),
        (("mint", "--role", "named_officer", *MINT[3:]), "a named officer is of one --institution"),
        (("mint", "--role", "rights_desk", *MINT[3:], "--institution", "1" * 20), "one --municipality"),
    ):
        done = run(*arguments)
        assert done.exit_code == 1, arguments
        assert says in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.fixture
def verifier(run: Run, tmp_path: Path) -> TokenVerifier:
    """The index, as it verifies what this issuer signs."""
    key_set = json.dumps(TokenSigner(read_signing_key(tmp_path / "issuer.jwk"), "").key_set()).encode()
    trusted = TrustedIssuer(issuer="https://issuer.example", jwks_url="https://issuer.example/jwks.json")
    return TokenVerifier([trusted], "https://index.example", utc_now, fetch=lambda _: key_set)


def test_a_token_is_minted_for_an_hour_at_most_and_for_no_machine(run: Run) -> None:
    assert run(*MINT, "--minutes", "5").exit_code == 0
    assert run(*MINT, "--minutes", "61").exit_code == 2
    assert run("mint", "--role", "machine", *MINT[3:]).exit_code == 2


@pytest.mark.parametrize("role", get_args(PersonRole))
def test_a_minted_token_is_of_a_person_of_its_role(run: Run, verifier: TokenVerifier, role: PersonRole) -> None:
    oin = "00000001234567890000"
    option = ("--municipality", "1701") if PERSON_OF[role] == "municipality" else ("--institution", oin)
    done = run("mint", "--role", role, *option, "--person", PERSON)
    assert done.exit_code == 0, done.stderr
    token = done.stdout.strip()
    if role == "privacy_officer":
        with pytest.raises(Problem, match="second-factor-missing"):
            verifier.verify(f"Bearer {token}")
        token = run("mint", "--role", role, *option, "--person", PERSON, "--amr", "pwd", "--amr", "mfa").stdout.strip()
        of_operator = run("mint", "--role", role, "--person", PERSON, "--amr", "mfa").stdout.strip()
        assert verifier.verify(f"Bearer {of_operator}").oin is None
    caller = verifier.verify(f"Bearer {token}")
    assert (caller.role, caller.person_id, caller.scopes) == (role, UUID(PERSON), SCOPES[role])
    assert caller.client_id == "issuer-mint"
    assert (caller.oin, caller.municipality) == ((None, "1701") if option[1] == "1701" else (oin, None))


def test_a_machine_tells_deaths_only_where_that_was_said(run: Run, tmp_path: Path) -> None:
    """A municipality's case system, with the municipality's own OIN, does so by no accident (R14)."""
    write_public_key(tmp_path / "town.json", OKPKey.generate_key("Ed25519"))
    run(*add(tmp_path / "town.json"))
    assert "deaths:write" not in run("client", "list").stdout
    assert "deaths:write" not in run("client", "scopes", "school-17").stdout
    assert run("client", "scopes", "school-17", "--scope", "deaths:write").stdout == "school-17 may deaths:write\n"
