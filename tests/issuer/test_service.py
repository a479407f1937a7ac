# SPDX-License-Identifier: EUPL-1.2
"""Clients in the database: what can be registered, and what the running issuer's role cannot do (I8)."""

import json
from typing import Any

import pytest
import sqlalchemy as sa
from joserfc.jwk import OKPKey
from sqlalchemy.exc import IntegrityError, ProgrammingError
from support import Database

from verwijsindex.issuer import service
from verwijsindex.issuer.signing import public_jwk

INSERT = sa.text(
    "INSERT INTO oauth_client (client_id, name, oin, public_key, scopes, created_at)"
    " VALUES (:client_id, 'x', :oin, CAST(:key AS jsonb), :scopes, now())"
)


def register(database: Database, clock: Any, **changes: Any) -> None:
    good: dict[str, Any] = {
        "client_id": "school-17",
        "name": "A school",
        "oin": "00000001234567890000",
        "public_key": OKPKey.generate_key("Ed25519"),
        "scopes": ["signals:write"],
    }
    with database.engine("issuer_owner").begin() as connection:
        service.register_client(connection, now=clock(), **(good | changes))


def test_a_registered_client_is_found_until_it_is_revoked(issuer_database: Database, clock: Any) -> None:
    key = OKPKey.generate_key("Ed25519")
    register(issuer_database, clock, public_key=key, scopes=["signals:write", "signals:read", "signals:write"])
    with issuer_database.engine("issuer", autocommit=True).connect() as connection:
        found = service.find_client(connection, "school-17")
        assert found is not None
        assert found.scopes == {"signals:read", "signals:write"}
        assert [one.thumbprint() for one in found.public_keys] == [key.thumbprint()]
        with issuer_database.engine("issuer_owner").begin() as owner:
            assert service.revoke_client(owner, "school-17", clock())
            assert not service.revoke_client(owner, "school-17", clock())
            assert not service.revoke_client(owner, "nobody", clock())
        assert service.find_client(connection, "school-17") is None


def test_only_the_public_part_of_a_key_is_kept(issuer_database: Database, clock: Any) -> None:
    key = OKPKey.generate_key("Ed25519")
    register(issuer_database, clock, public_key=key)
    kept = issuer_database.scalar("SELECT public_key FROM oauth_client")
    assert kept == public_jwk(key)
    assert "d" not in public_jwk(key)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"client_id": "a b"}, "client's id"),
        ({"client_id": ""}, "client's id"),
        ({"client_id": "x" * 65}, "client's id"),
        ({"client_id": "school-17\n"}, "client's id"),
        ({"oin": "123"}, "OIN"),
        ({"scopes": ["supervision:read"]}, "scopes"),
        ({"scopes": []}, "scopes"),
    ],
)
def test_what_cannot_be_registered(issuer_database: Database, clock: Any, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(service.RegistrationError, match=says):
        register(issuer_database, clock, **changes)
    assert issuer_database.scalar("SELECT count(*) FROM oauth_client") == 0


def test_an_id_never_comes_to_mean_another(issuer_database: Database, clock: Any) -> None:
    register(issuer_database, clock)
    with issuer_database.engine("issuer_owner").begin() as owner:
        service.revoke_client(owner, "school-17", clock())
    with pytest.raises(service.RegistrationError, match="choose another"):
        register(issuer_database, clock)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "a b"},
        {"oin": "1234567890123456789x"},
        {"scopes": []},
        {"scopes": ["signals:write admin"]},
        {"scopes": ["signals:write", None]},
        {"key": "{}"},
        {"key": json.dumps({"kty": "OKP", "crv": "Ed25519", "x": "a" * 43})},
        {"key": json.dumps({"kty": "OKP", "crv": "Ed448", "x": "a" * 43, "kid": "a" * 43})},
        {"key": json.dumps({"kty": "OKP", "crv": "Ed25519", "x": "a" * 43, "kid": "a" * 43, "d": "a" * 43})},
    ],
)
def test_the_database_says_no_too(issuer_database: Database, changes: dict[str, Any]) -> None:
    """With a key without its parts: seen to pass when the CHECK was not `IS TRUE`, since NULL is no refusal."""
    good = {"kty": "OKP", "crv": "Ed25519", "x": "a" * 43, "kid": "a" * 43}
    values = {"client_id": "a", "oin": "0" * 20, "key": json.dumps(good), "scopes": ["signals:write"]}
    with issuer_database.engine("issuer_owner").connect() as connection:
        connection.execute(INSERT, values)
        connection.rollback()
        with pytest.raises(IntegrityError, match="CheckViolation"):
            connection.execute(INSERT, values | changes)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO oauth_client SELECT * FROM oauth_client",
        "UPDATE oauth_client SET revoked_at = NULL",
        "DELETE FROM oauth_client",
        "UPDATE assertion_jti SET expires_at = now()",
        "TRUNCATE assertion_jti",
        "CREATE TABLE mine (id int)",
        "SELECT * FROM alembic_version",
    ],
)
def test_the_running_issuer_registers_and_changes_nobody(issuer_database: Database, statement: str) -> None:
    with (
        issuer_database.engine("issuer").connect() as connection,
        pytest.raises(ProgrammingError, match="InsufficientPrivilege"),
    ):
        connection.execute(sa.text(statement))
