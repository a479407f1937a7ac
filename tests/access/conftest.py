# SPDX-License-Identifier: EUPL-1.2
"""An issuer's key, tokens with any claim, and a clock that tests can move."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc.jwk import OKPKey

from verwijsindex.keyfiles import encode_base64url

ISSUER = "https://issuer.example"
INDEX = "https://index.example"
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


class MovableClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(scope="session")
def key() -> OKPKey:
    """The issuer's private key."""
    return OKPKey.generate_key("Ed25519")


@pytest.fixture
def claims() -> dict[str, Any]:
    """The claims of a machine's good token."""
    now = int(NOW.timestamp())
    return {
        "iss": ISSUER,
        "aud": INDEX,
        "sub": "school-17",
        "client_id": "school-17",
        "oin": "00000001234567890000",
        "scope": "signals:read signals:write",
        "role": "machine",
        "iat": now,
        "exp": now + 600,
        "jti": "t-1",
    }


Sign = Callable[..., str]


@pytest.fixture
def sign(key: OKPKey, claims: dict[str, Any]) -> Sign:
    """Makes an Authorization header, by hand; None in `changes` or `header` takes a claim or a field away."""

    def sign(changes: dict[str, Any] | None = None, header: dict[str, Any] | None = None, by: OKPKey = key) -> str:
        full = {"alg": "Ed25519", "typ": "at+jwt", "kid": key.thumbprint()} | (header or {})
        said = [
            encode_base64url(json.dumps({n: v for n, v in part.items() if v is not None}).encode())
            for part in (full, claims | (changes or {}))
        ]
        signature = by.private_key.sign(".".join(said).encode())  # type: ignore[union-attr]
        return "Bearer " + ".".join([*said, encode_base64url(signature)])

    return sign
