# SPDX-License-Identifier: EUPL-1.2
"""Client authentication with a signed assertion: `private_key_jwt` (RFC 7523), Ed25519 and single use.

Authlib's class leaves the algorithm open, takes several audiences, tells an unknown client from a wrong key,
and knows neither our clock nor a longest lifetime; that is closed here. Every refusal is one and the same
and takes the same work: two signatures are checked, of a key that nobody holds where a client has fewer.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc6749.errors import InvalidClientError
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from joserfc import jwt
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry

from verwijsindex.access.tokens import ALGORITHM
from verwijsindex.issuer.service import Client
from verwijsindex.settings import Clock

METHOD = "private_key_jwt"
GRANT = "client_credentials"
_LONGEST = 4096  # characters
_LONGEST_SECONDS = 300
_LEEWAY_SECONDS = 30
_REGISTRY = JWSRegistry(algorithms=[ALGORITHM])
_NOBODYS_KEY = OKPKey.import_key(OKPKey.generate_key("Ed25519").as_dict(private=False))
_MOST_KEYS = 2


class AuthlibClient(ClientMixin):  # type: ignore[misc]
    """A registered client as Authlib wants to ask it; None is nobody, who fails at the signature."""

    def __init__(self, client: Client | None) -> None:
        self.client = client or Client("", "", frozenset(), ())

    def get_client_id(self) -> str:
        """RFC 6749, section 2.2."""
        return self.client.client_id

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """The one method, at the one endpoint."""
        return method == METHOD and endpoint == "token"

    def check_grant_type(self, grant_type: str) -> bool:
        """The one grant."""
        return grant_type == GRANT


class ClientAssertion(JWTBearerClientAssertion):  # type: ignore[misc]
    """Authenticates the client of a token request.

    Args:
        audiences: what `aud` may be: the issuer, or its token endpoint.
        use: (client id, jti, when it expires) to whether this is its first use.
        failed: is called for each assertion that was checked and is not accepted.
    """

    CLIENT_AUTH_METHOD = METHOD

    def __init__(
        self,
        audiences: frozenset[str],
        clock: Clock,
        use: Callable[[str, str, datetime], bool],
        failed: Callable[[], None],
    ) -> None:
        super().__init__()
        self._audiences = audiences
        self._clock = clock
        self._use = use
        self._failed = failed

    def extract_assertion(self, assertion: str) -> Any:
        """Header and claims, not believed yet. Raises InvalidClientError."""
        if len(assertion) > _LONGEST:
            raise InvalidClientError
        try:
            return super().extract_assertion(assertion)
        except Exception:  # a stranger's bytes: whatever goes wrong in reading them, they are no assertion
            raise InvalidClientError from None

    def resolve_client_public_key(self, client: AuthlibClient) -> tuple[OKPKey, ...]:
        """The keys that the client is registered with, and nobody's in the place of those it has not."""
        keys = client.client.public_keys
        return keys + (_NOBODYS_KEY,) * (_MOST_KEYS - len(keys))

    def process_assertion_claims(self, assertion: str, resolve_key: tuple[OKPKey, ...]) -> dict[str, Any]:
        """The claims, after all checks, and used up. Raises InvalidClientError.

        The keys are tried in turn: a `kid` in the header, which the sender may leave out, decides nothing.
        """
        for key in resolve_key:
            try:
                claims = jwt.decode(assertion, key, registry=_REGISTRY).claims
            except Exception:  # noqa: S112 likewise: what cannot be verified is not verified
                continue
            try:
                self.verify_claims(claims)
            except InvalidClientError:  # one that expired, or was used: who caught it can send it for ever
                self._failed()
                raise
            return claims
        self._failed()
        raise InvalidClientError

    def verify_claims(self, claims: dict[str, Any]) -> None:
        """RFC 7523, section 3, and narrower: one audience, at most five minutes, `jti` demanded."""
        now = self._clock().timestamp()
        times = [claims.get("exp"), claims.get("iat", 0), claims.get("nbf", 0)]
        texts = [claims.get("iss"), claims.get("sub"), claims.get("aud"), claims.get("jti")]
        if not all(type(time) is int for time in times) or not all(type(text) is str for text in texts):
            raise InvalidClientError
        expires, *begins = times
        if (
            claims["iss"] != claims["sub"]
            or claims["aud"] not in self._audiences
            or not now - _LEEWAY_SECONDS < expires <= now + _LONGEST_SECONDS + _LEEWAY_SECONDS
            or max(begins) > now + _LEEWAY_SECONDS
        ):
            raise InvalidClientError
        until = datetime.fromtimestamp(expires + _LEEWAY_SECONDS, UTC)
        if not self._use(claims["sub"], claims["jti"], until):
            raise InvalidClientError
