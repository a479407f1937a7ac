# SPDX-License-Identifier: EUPL-1.2
"""Access tokens by client credentials, with an assertion signed by our own key (RFC 7523), one per resource."""

from datetime import datetime, timedelta
from threading import Event, Lock
from uuid import uuid4

import httpx
from joserfc import jwt
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from verwijsindex.client.channel import Channel
from verwijsindex.client.config import Address, ClientConfig
from verwijsindex.client.errors import TokenError

ALGORITHM = "Ed25519"  # RFC 9864
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIVES = timedelta(minutes=1)
RENEWED_BEFORE = timedelta(minutes=1)
LONGEST_KEPT = 24 * 3600  # seconds, whatever the issuer says

_ADVICE = {
    "invalid_client": "is the public key of this client registered with the issuer and the client not revoked, is"
    " client_id right, and does the clock of this machine run on time?",
    "invalid_target": "are the addresses of index and pseudonym service those that the issuer knows?",
    "invalid_scope": "ask the issuer's operator which scopes this client has",
}


class _Answer(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)


class _Metadata(_Answer):
    """Of RFC 8414, what we need."""

    issuer: str
    token_endpoint: Address


class _Token(_Answer):
    """Of RFC 6749, section 5.1."""

    access_token: str = Field(min_length=1, pattern=r"^[A-Za-z0-9._~+/=-]+$")
    expires_in: int = Field(ge=1)

    @property
    def lives(self) -> timedelta:
        """How long we use it."""
        return timedelta(seconds=min(self.expires_in, LONGEST_KEPT))


class AccessTokens:
    """The tokens of one client, each kept until a minute before it expires. May be used by many threads."""

    def __init__(self, config: ClientConfig, key: OKPKey, channel: Channel) -> None:
        self._config = config
        self._key = key
        self._channel = channel
        self._lock = Lock()
        self._endpoint: str | None = None
        self._tokens: dict[str, tuple[str, datetime]] = {}

    def bearer(self, resource: str, stop: Event | None = None) -> str:
        """The Authorization header for a resource (RFC 8707); `stop` ends the patience with the issuer at once, also
        that of threads which wait their turn. Raises TokenError, UnreachableError."""
        with self._lock:
            now = self._channel.clock()
            token, until = self._tokens.get(resource, ("", now))
            if now >= until:
                answer = self._ask(resource, stop)
                token = answer.access_token
                self._tokens[resource] = token, now + answer.lives - RENEWED_BEFORE
        return f"Bearer {token}"

    def forget(self, resource: str, bearer: str) -> None:
        """Ask for another the next time: the resource did not accept this one."""
        with self._lock:
            if self._tokens.get(resource, ("",))[0] == bearer.removeprefix("Bearer "):
                del self._tokens[resource]

    def _ask(self, resource: str, stop: Event | None) -> _Token:
        endpoint = self._endpoint = self._endpoint or self._token_endpoint(stop)
        response = self._channel.send(
            "POST",
            endpoint,
            form=lambda: {
                "grant_type": "client_credentials",
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": self._assertion(),
                "resource": resource,
            },
            stop=stop,
        )
        if response.status_code != 200:
            raise TokenError(self._refusal(response, resource))
        try:
            return _Token.model_validate_json(response.content)
        except ValidationError:
            raise TokenError(f"the answer of {endpoint} is no token: check the issuer's address") from None

    def _assertion(self) -> str:
        now = self._channel.clock()
        claims = {
            "iss": self._config.client_id,
            "sub": self._config.client_id,
            "aud": self._config.issuer,
            "jti": str(uuid4()),
            "iat": int(now.timestamp()),
            "exp": int((now + ASSERTION_LIVES).timestamp()),
        }
        header = {"alg": ALGORITHM, "kid": self._key.thumbprint()}
        return jwt.encode(header, claims, self._key, [ALGORITHM])

    def _token_endpoint(self, stop: Event | None) -> str:
        """As the issuer tells it (RFC 8414), so that an OAuth server with other paths does as well."""
        issuer = httpx.URL(self._config.issuer)
        url = issuer.copy_with(path="/.well-known/oauth-authorization-server" + issuer.path.rstrip("/"))
        response = self._channel.send("GET", str(url), stop=stop)
        try:
            metadata = _Metadata.model_validate_json(response.content)
        except ValidationError:
            raise TokenError(f"{url} does not describe an issuer: check its address") from None
        if metadata.issuer.rstrip("/") != self._config.issuer:
            raise TokenError(f"{url} is another issuer than the one configured: check its address")
        return metadata.token_endpoint

    def _refusal(self, response: httpx.Response, resource: str) -> str:
        try:
            told = response.json()["error"]
        except (ValueError, KeyError, TypeError):
            told = None
        code = told if told in _ADVICE else "another error"
        advice = _ADVICE.get(code, "check the issuer's address")
        return f"the issuer gave no token for {resource} (HTTP {response.status_code}, {code}): {advice}"
