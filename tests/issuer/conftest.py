# SPDX-License-Identifier: EUPL-1.2
"""An issuer on the real database, with a registered client and whatever that client may send."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from joserfc.jwk import OKPKey
from support import Database
from werkzeug.test import TestResponse

from verwijsindex.access.caller import SCOPES
from verwijsindex.access.tokens import TokenVerifier
from verwijsindex.issuer import service
from verwijsindex.issuer.app import create_app
from verwijsindex.keyfiles import encode_base64url, write_signing_key
from verwijsindex.settings import IssuerSettings, TrustedIssuer

ISSUER = "https://issuer.example"
INDEX = "https://index.example"
PSEUDONYMS = "https://pseudonyms.example"
OIN = "00000001234567890000"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class MovableClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 10, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Sender:
    """A client of the issuer, honest or not."""

    http: FlaskClient
    clock: MovableClock
    client_id: str = "school-17"
    key: OKPKey = field(default_factory=lambda: OKPKey.generate_key("Ed25519"))

    def assertion(
        self, claims: dict[str, Any] | None = None, header: dict[str, Any] | None = None, by: OKPKey | None = None
    ) -> str:
        """A client assertion, made by hand; None in `claims` takes one away."""
        now = int(self.clock.now.timestamp())
        good = {"iss": self.client_id, "sub": self.client_id, "aud": ISSUER, "jti": str(uuid4())}
        said = good | {"iat": now, "exp": now + 60} | (claims or {})
        parts = [{"alg": "Ed25519"} | (header or {}), {n: v for n, v in said.items() if v is not None}]
        text = ".".join(encode_base64url(json.dumps(part).encode()) for part in parts)
        signature = (by or self.key).private_key.sign(text.encode())  # type: ignore[union-attr]
        return f"{text}.{encode_base64url(signature)}"

    def ask(self, assertion: str | None = None, **form: str | None) -> TestResponse:
        """A token request for the index; None in `form` takes a parameter away."""
        good = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion or self.assertion(),
            "resource": INDEX,
        }
        return self.http.post("/token", data={n: v for n, v in (good | form).items() if v is not None})


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def settings(issuer_database: Database, tmp_path: Path) -> IssuerSettings:
    write_signing_key(tmp_path / "issuer.jwk", OKPKey.generate_key("Ed25519"))
    return IssuerSettings(
        base_url=ISSUER,
        issuer_database_url=issuer_database.urls["verwijsindex_issuer"],
        signing_key=tmp_path / "issuer.jwk",
        resources=[INDEX, PSEUDONYMS],
    )


@pytest.fixture
def http(settings: IssuerSettings, clock: MovableClock) -> FlaskClient:
    """The issuer's application."""
    return create_app(settings, clock).test_client()


@pytest.fixture
def sender(issuer_database: Database, http: FlaskClient, clock: MovableClock) -> Sender:
    """A registered client with all scopes of a machine."""
    sender = Sender(http, clock)
    with issuer_database.engine("issuer_owner").begin() as connection:
        service.register_client(
            connection,
            client_id=sender.client_id,
            name="Case system of a school",
            oin=OIN,
            public_key=sender.key,
            scopes=SCOPES["machine"],
            now=clock(),
        )
    return sender


@pytest.fixture
def verifier(http: FlaskClient, clock: MovableClock) -> TokenVerifier:
    """The index, as it verifies this issuer's tokens."""
    trusted = TrustedIssuer(issuer=ISSUER, jwks_url="/jwks.json")
    return TokenVerifier([trusted], INDEX, clock, fetch=lambda url: http.get(url).data)
