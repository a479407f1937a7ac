# SPDX-License-Identifier: EUPL-1.2
"""Verifying JWT access tokens (RFC 9068) of trusted issuers: Ed25519 (RFC 9864) and nothing else.

A refusal is one and the same 401, whatever was wrong; which check failed is a word in the log. Only who signed in
with one factor where the role wants two is told so (RFC 9470).
"""

import json
import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from joserfc import jws
from joserfc.jws import JWSRegistry

from verwijsindex import metrics
from verwijsindex.access.caller import PERSON_OF, TWO_FACTORS, Caller
from verwijsindex.access.key_sets import Fetch, KeySet, PublicKey, fetch_over_http
from verwijsindex.access.revocations import Revocations
from verwijsindex.logs import TOKEN_REFUSED, log
from verwijsindex.problems import NOT_AUTHENTICATED, SECOND_FACTOR_MISSING, Problem
from verwijsindex.settings import Clock, TrustedIssuer

ALGORITHM = "Ed25519"
TOKEN_TYPE = "at+jwt"  # noqa: S105 (a media type)
_TOKEN_TYPES = (TOKEN_TYPE, f"application/{TOKEN_TYPE}")
LONGEST_SECONDS = 3600
_LEEWAY_SECONDS = 30
_LONGEST_TOKEN = 4096  # characters
_REGISTRY = JWSRegistry(algorithms=[ALGORITHM])
_BEARER = re.compile(r"bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+) *", re.IGNORECASE | re.ASCII)
_NAME = re.compile(r"[!-~]{1,128}")
_SCOPE = re.compile(r"[!#-\[\]-~]+( [!#-\[\]-~]+)*")
_OIN = re.compile(r"[0-9]{20}")
_FORM = {"oin": _OIN, "municipality": re.compile(r"[0-9]{4}")}


class _Refused(Exception):  # noqa: N818 (never leaves this module)
    """The token is not believed; its text is a constant word for the log."""


class _OneFactor(Exception):  # noqa: N818 (likewise)
    """The token is believed, and its person signed in with one factor where the role wants two."""


class TokenVerifier:
    """Verifies the access tokens of one service. May be used by many threads at once.

    Args:
        issuers: whose tokens are believed.
        audience: the service's own address: the one `aud` of its tokens.
        clock: gives the present moment.
        fetch: gets the body of an issuer's key set, or of its list of revoked clients, by its address, or raises
            `key_sets.FetchError`.
        two_factor_acr: values of `acr` that mean two factors, besides `mfa` in `amr` (RFC 8176).
    """

    def __init__(
        self,
        issuers: Sequence[TrustedIssuer],
        audience: str,
        clock: Clock,
        fetch: Fetch = fetch_over_http,
        two_factor_acr: Collection[str] = (),
    ) -> None:
        self._key_sets = {trusted.issuer: KeySet(trusted, clock, fetch) for trusted in issuers}
        self._revocations = {
            trusted.issuer: Revocations(
                trusted.issuer, trusted.revocations_url, self._key_sets[trusted.issuer], clock, fetch
            )
            for trusted in issuers
            if trusted.revocations_url
        }
        self._audience = audience
        self._clock = clock
        self._two_factor_acr = two_factor_acr
        # An Ed25519 check takes longer than all the rest, and a client sends its token many times. What is
        # remembered is only that this key signed these bytes, and what they say; every claim is checked each time.
        # Nothing of what a stranger made up is: what raises is not kept.
        self._signed = lru_cache(maxsize=2048)(self._read_signed)

    def verify(self, authorization: str | None) -> Caller:
        """The caller whom the request's Authorization header names.

        Raises:
            Problem: 401 for anything but a valid token; 503 while no key of its issuer was ever had, or its list of
                revoked clients is too old.
        """
        try:
            return self._verify(authorization or "")
        except _Refused as refused:
            metrics.TOKENS_REFUSED.labels(str(refused)).inc()
            log(TOKEN_REFUSED, reason=str(refused))
            raise Problem(NOT_AUTHENTICATED, headers={"WWW-Authenticate": "Bearer"}) from None
        except _OneFactor:
            metrics.TOKENS_REFUSED.labels("one factor").inc()
            log(TOKEN_REFUSED, reason="one factor")
            raise Problem(SECOND_FACTOR_MISSING, headers={"WWW-Authenticate": self._step_up()}) from None

    def _step_up(self) -> str:
        """RFC 9470, section 3; without `acr_values` where none are known to mean two factors."""
        wanted = f', acr_values="{" ".join(self._two_factor_acr)}"' if self._two_factor_acr else ""
        return f'Bearer error="insufficient_user_authentication"{wanted}'

    def ready(self) -> bool:
        """Whether the keys of every trusted issuer are there, and the lists of revoked clients."""
        keys, lists = self._key_sets.values(), self._revocations.values()
        return all(one.ready() for one in keys) and all(one.ready() for one in lists)

    def _verify(self, authorization: str) -> Caller:
        if not authorization:
            raise _Refused("missing")
        bearer = _BEARER.fullmatch(authorization) if len(authorization) <= _LONGEST_TOKEN else None
        if bearer is None:
            raise _Refused("malformed")
        token = bearer[1]
        header, claims, signed_by = self._signed(token)
        key = self._key(header, claims)
        if key != signed_by:  # its issuer publishes another by that name now
            _check_signature(token, key)
        if claims.get("aud") != self._audience:
            raise _Refused("audience")
        _check_times(claims, self._clock().timestamp())
        caller = _caller(claims)
        revocations = self._revocations.get(caller.issuer)
        if revocations and revocations.holds(caller.client_id):
            raise _Refused("revoked")
        if caller.role in TWO_FACTORS and not self._of_two_factors(claims):
            raise _OneFactor
        return caller

    def _of_two_factors(self, claims: dict[str, Any]) -> bool:
        methods = claims.get("amr")
        return (isinstance(methods, list) and "mfa" in methods) or claims.get("acr") in list(self._two_factor_acr)

    def _read_signed(self, token: str) -> tuple[dict[str, Any], dict[str, Any], PublicKey]:
        header, claims = _read(token)
        if header.get("alg") != ALGORITHM or header.get("typ") not in _TOKEN_TYPES:
            raise _Refused("header")
        key = self._key(header, claims)
        _check_signature(token, key)
        return header, claims, key

    def _key(self, header: dict[str, Any], claims: dict[str, Any]) -> PublicKey:
        """The key that the issuer publishes by the name in the header."""
        key_set = self._key_sets.get(_text(claims, "iss", _NAME))
        if key_set is None:
            raise _Refused("issuer")
        key = key_set.get(_text(header, "kid", _NAME))
        if key is None:
            raise _Refused("key")
        return key


def _read(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, neither believed yet."""
    try:
        jwt = jws.extract_compact(token.encode("ascii"), registry=_REGISTRY)
        header, claims = jwt.headers(), json.loads(jwt.payload)
    except Exception:  # bytes of a stranger: whatever goes wrong in reading them, they are no token
        raise _Refused("malformed") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise _Refused("malformed")
    return header, claims


def _check_signature(token: str, key: PublicKey) -> None:
    try:
        jws.deserialize_compact(token, key.jwk, registry=_REGISTRY)
    except Exception:  # likewise: what cannot be verified is not verified
        raise _Refused("signature") from None


def _check_times(claims: dict[str, Any], now: float) -> None:
    times = {name: claims[name] for name in ("iat", "exp", "nbf") if name in claims}
    if not {"iat", "exp"} <= times.keys() or not all(type(time) is int for time in times.values()):
        raise _Refused("times")
    if times["exp"] + _LEEWAY_SECONDS <= now:
        raise _Refused("expired")
    if max(times["iat"], times.get("nbf", 0)) - _LEEWAY_SECONDS > now:
        raise _Refused("not yet valid")
    if times["exp"] - times["iat"] > LONGEST_SECONDS:
        raise _Refused("too long-lived")


def _caller(claims: dict[str, Any]) -> Caller:
    client_id, subject = _text(claims, "client_id", _NAME), _text(claims, "sub", _NAME)
    issuer, token_id = _text(claims, "iss", _NAME), _text(claims, "jti", _NAME)
    scopes = frozenset(_text(claims, "scope", _SCOPE).split(" "))
    role = claims.get("role")
    if role == "machine" and subject == client_id:
        return Caller(client_id, issuer, token_id, "machine", scopes, oin=_text(claims, "oin", _OIN))
    for of_person, claim in PERSON_OF.items():
        if role == of_person:
            whose: list[str] = [name for name in _FORM if name in claims] if claim == "either or none" else [claim]
            if len(whose) > 1:
                raise _Refused("claim oin")
            of = {name: _text(claims, name, _FORM[name]) for name in whose}
            return Caller(client_id, issuer, token_id, of_person, scopes, person_id=_uuid(subject), **of)
    raise _Refused("role")


def _text(claims: dict[str, Any], name: str, form: re.Pattern[str]) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not form.fullmatch(value):
        raise _Refused(f"claim {name}")
    return value


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise _Refused("claim sub") from None
