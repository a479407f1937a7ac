# SPDX-License-Identifier: EUPL-1.2
"""Signing access tokens (RFC 9068) with the issuer's key, and the public key that others verify them with."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from joserfc import jwt
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry

from verwijsindex.access.caller import PERSON_OF, PersonRole, Role
from verwijsindex.access.revocations import LIST_TYPE, digest_of
from verwijsindex.access.tokens import ALGORITHM, TOKEN_TYPE

OIN_DIGITS = 20
_REGISTRY = JWSRegistry(algorithms=[ALGORITHM])


def public_jwk(key: OKPKey) -> dict[str, str]:
    """The public part of an Ed25519 key with its RFC 7638 thumbprint as `kid`, and nothing else."""
    public = key.as_dict(private=False)
    return {name: str(public[name]) for name in ("kty", "crv", "x")} | {"kid": key.thumbprint()}


@dataclass(frozen=True, slots=True)
class Terms:
    """What a token is good for: at which service, for what, how long."""

    audience: str
    scopes: frozenset[str]
    lifetime: timedelta


class TokenSigner:
    """Makes the access tokens of one issuer."""

    def __init__(self, key: OKPKey, issuer: str, others: Sequence[OKPKey] = ()) -> None:
        """`key`: the private Ed25519 key. `issuer`: the `iss` of the tokens. `others`: public keys that are published
        besides, so that the key can be turned without refusing anybody's token."""
        self._key = key
        self._published = {one.thumbprint(): public_jwk(one) for one in (key, *others)}
        self._kid = key.thumbprint()
        self._issuer = issuer

    def key_set(self) -> dict[str, Any]:
        """The JWK set that verifiers fetch (RFC 7517)."""
        return {"keys": [one | {"use": "sig", "alg": ALGORITHM} for one in self._published.values()]}

    def machine_token(self, client_id: str, oin: str, terms: Terms, now: datetime) -> str:
        """A token for a client of the institution `oin`."""
        return self._sign("machine", {"sub": client_id, "client_id": client_id, "oin": oin}, terms, now)

    def person_token(
        self,
        role: PersonRole,
        person: UUID,
        of: str | None,
        client_id: str,
        terms: Terms,
        now: datetime,
        signed_in: Mapping[str, object] | None = None,
    ) -> str:
        """A token of a person of the institution or municipality `of` (None: of the operator); `client_id` names the
        page or command it is made for; `signed_in`: how the person did, as `amr` and `acr` (RFC 9470, section 6)."""
        claim = PERSON_OF[role]
        if claim == "either or none":
            claim = "oin" if of and len(of) == OIN_DIGITS else "municipality"
        whose: dict[str, object] = {claim: of} if of else {}
        return self._sign(role, {"sub": str(person), "client_id": client_id, **whose, **(signed_in or {})}, terms, now)

    def revocations(self, client_ids: Iterable[str], now: datetime) -> str:
        """The list of revoked clients (`access.revocations`)."""
        revoked = sorted(digest_of(self._issuer, client_id) for client_id in client_ids)
        return jwt.encode(
            {"alg": ALGORITHM, "typ": LIST_TYPE, "kid": self._kid},
            {"iss": self._issuer, "iat": int(now.timestamp()), "revoked": revoked},
            self._key,
            registry=_REGISTRY,
        )

    def _sign(self, role: Role, claims: dict[str, object], terms: Terms, now: datetime) -> str:
        issued_at = int(now.timestamp())
        return jwt.encode(
            {"alg": ALGORITHM, "typ": TOKEN_TYPE, "kid": self._kid},
            claims
            | {
                "iss": self._issuer,
                "aud": terms.audience,
                "iat": issued_at,
                "exp": issued_at + int(terms.lifetime.total_seconds()),
                "jti": secrets.token_urlsafe(16),
                "scope": " ".join(sorted(terms.scopes)),
                "role": role,
            },
            self._key,
            registry=_REGISTRY,
        )
