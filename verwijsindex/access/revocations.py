# SPDX-License-Identifier: EUPL-1.2
"""Which clients of a trusted issuer are revoked though their tokens live on: a signed list, fetched when needed.

The list is a JWS (RFC 7515) under the key of the issuer's tokens, with a type of its own, so that neither passes for
the other. It names no client: who is on it is found by a digest of issuer and client id. All tokens of who is on it are
refused, since no client comes back and no id is given out again; who was revoked so long ago that no token can be alive
is left out.
"""

import hashlib
import json
from threading import Lock

from joserfc import jws
from joserfc.jws import JWSRegistry

from verwijsindex.access.key_sets import Fetch, FetchError, KeySet
from verwijsindex.keyfiles import encode_base64url
from verwijsindex.logs import REVOCATIONS_NOT_FETCHED, log
from verwijsindex.problems import UNAVAILABLE, Problem
from verwijsindex.settings import Clock

LIST_TYPE = "verwijsindex-revocations+jwt"
_FRESH_SECONDS = 20
_OLDEST_SECONDS = 60
_OLDEST_ALONE_SECONDS = 300
_RETRY_SECONDS = 10
_PATIENCE_SECONDS = 3
_CLOCKS_SECONDS = 60
_REGISTRY = JWSRegistry(algorithms=["Ed25519"])


def digest_of(issuer: str, client_id: str) -> str:
    """By what a client is found on the list: 16 bytes of SHA-256 in base64url."""
    return encode_base64url(hashlib.sha256(f"{issuer}\0{client_id}".encode()).digest()[:16])


class Revocations:
    """The list of one issuer. May be asked by many threads at once.

    A list older than 20 seconds is fetched anew by the one who asks; others are answered from it meanwhile, up to a
    minute. While the issuer does not answer, the list goes on serving for five minutes: so long can a revoked client's
    token work when the issuer is away, and not longer.
    """

    def __init__(self, issuer: str, url: str, keys: KeySet, clock: Clock, fetch: Fetch) -> None:
        self._issuer = issuer
        self._url = url
        self._keys = keys
        self._clock = clock
        self._fetch = fetch
        self._revoked: frozenset[str] = frozenset()
        self._fetched_at = self._tried_at = float("-inf")
        self._lock = Lock()

    def holds(self, client_id: str) -> bool:
        """Whether the client is revoked. Raises Problem(UNAVAILABLE) when that cannot be known."""
        if not self.ready():
            raise Problem(UNAVAILABLE, headers={"Retry-After": str(_RETRY_SECONDS)})
        return digest_of(self._issuer, client_id) in self._revoked

    def ready(self) -> bool:
        """Whether there is a list that serves; fetches one where that is due."""
        if not self._younger_than(_FRESH_SECONDS):
            self._refresh()
        return self._younger_than(_OLDEST_ALONE_SECONDS)

    def _younger_than(self, seconds: float) -> bool:
        return 0 <= self._clock().timestamp() - self._fetched_at <= seconds

    def _refresh(self) -> None:
        # One fetches. The others do not wait for it as long as what is there is young enough.
        if not self._lock.acquire(timeout=0 if self._younger_than(_OLDEST_SECONDS) else _PATIENCE_SECONDS):
            return
        try:
            now = self._clock().timestamp()
            if self._younger_than(_FRESH_SECONDS) or 0 <= now - self._tried_at < _RETRY_SECONDS:
                return
            self._tried_at = now
            self._revoked = self._read(self._fetch(self._url), now)
            self._fetched_at = now
        except FetchError as error:
            log(REVOCATIONS_NOT_FETCHED, issuer=self._issuer, reason=str(error))
        finally:
            self._lock.release()

    def _read(self, body: bytes, now: float) -> frozenset[str]:
        try:
            text = json.loads(body)["revocations"].encode("ascii")
            header = jws.extract_compact(text, registry=_REGISTRY).headers()
            key = self._keys.get(header["kid"]) if header["typ"] == LIST_TYPE else None
            if key is None:
                raise FetchError("not signed by the issuer")
            claims = json.loads(jws.deserialize_compact(text, key.jwk, registry=_REGISTRY).payload)
            age, revoked = now - claims["iat"], frozenset(map(str, claims["revoked"]))
        except FetchError:
            raise
        except Problem:
            raise FetchError("no keys of the issuer") from None
        except Exception:  # whatever goes wrong in reading them, bytes that cannot be verified are no list
            raise FetchError("not a list") from None
        if claims["iss"] != self._issuer or abs(age) > _CLOCKS_SECONDS:
            raise FetchError("of another issuer or time")
        return revoked
