# SPDX-License-Identifier: EUPL-1.2
"""The public keys of a trusted issuer (RFC 7517), fetched when needed and kept while the issuer is away."""

import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from verwijsindex.logs import KEYS_NOT_FETCHED, log
from verwijsindex.problems import UNAVAILABLE, Problem
from verwijsindex.settings import Clock, TrustedIssuer

Fetch = Callable[[str], bytes]

_FRESH_SECONDS = 300
_RETRY_SECONDS = 10
_PATIENCE_SECONDS = 3
_LARGEST = 256 * 1024  # bytes; a list of as many revoked clients as there are institutions
_MOST_KEYS = 16


@dataclass(frozen=True, slots=True, eq=False)
class PublicKey:
    """An Ed25519 key of an issuer: one object as long as the issuer publishes it, and equal to no other."""

    kid: str
    jwk: OKPKey


class FetchError(Exception):
    """A key set that could not be had; its text says why and holds nothing of the answer."""


def fetch_over_http(url: str, trust: ssl.SSLContext | None = None) -> bytes:
    """The body at `url`: at most 256 KiB, within three seconds, from that address only. Raises FetchError.

    Args:
        trust: by which CA certificates an https address is verified; the public ones when left out.
    """
    ends = time.monotonic() + _PATIENCE_SECONDS
    body = bytearray()
    try:
        with httpx.stream(
            "GET",
            url,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            timeout=_PATIENCE_SECONDS,
            follow_redirects=False,
            verify=trust or True,
        ) as response:
            if response.status_code != 200:
                raise FetchError(f"status {response.status_code}")
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > _LARGEST:
                    raise FetchError("too large")
                if time.monotonic() > ends:
                    raise FetchError("too slow")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise FetchError(type(error).__name__) from None
    return bytes(body)


class KeySet:
    """The keys of one issuer by their id. May be asked by many threads at once."""

    def __init__(self, trusted: TrustedIssuer, clock: Clock, fetch: Fetch) -> None:
        self.issuer = trusted.issuer
        self._url = trusted.jwks_url
        self._clock = clock
        self._fetch = fetch
        self._keys: Mapping[str, PublicKey] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._lock = Lock()

    def get(self, kid: str) -> PublicKey | None:
        """The Ed25519 key with this id, or None.

        Keys older than five minutes are fetched anew, an unknown id makes a fetch too; at most one every ten
        seconds. While the issuer does not answer, the keys that were had go on serving.

        Raises:
            Problem: 503 as long as no key was ever had, since then nothing can be said of any token.
        """
        if kid not in self._keys or not self._fresh():
            self._refresh(kid)
        if not self._keys:
            raise Problem(UNAVAILABLE, headers={"Retry-After": str(_RETRY_SECONDS)})
        return self._keys.get(kid)

    def ready(self) -> bool:
        """Whether there are keys now; tries to have them."""
        if not self._keys:
            self._refresh("")
        return bool(self._keys)

    def _fresh(self) -> bool:
        return 0 <= self._clock().timestamp() - self._fetched_at <= _FRESH_SECONDS

    def _refresh(self, kid: str) -> None:
        # Who has the key does not wait for the thread that is fetching; who lacks it does, for a while.
        if not self._lock.acquire(timeout=0 if kid in self._keys else _PATIENCE_SECONDS):
            return
        try:
            now = self._clock().timestamp()
            if 0 <= now - self._tried_at < _RETRY_SECONDS:
                return
            self._tried_at = now
            self._keys = _read(self._fetch(self._url), self._keys)
            self._fetched_at = now
        except FetchError as error:
            log(KEYS_NOT_FETCHED, issuer=self.issuer, reason=str(error))
        finally:
            self._lock.release()


def _read(body: bytes, known: Mapping[str, PublicKey]) -> Mapping[str, PublicKey]:
    """The Ed25519 signing keys in a JWK set; a key that is known already stays the same object."""
    try:
        entries = json.loads(body)["keys"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise FetchError("not a key set") from None
    if not isinstance(entries, list) or len(entries) > _MOST_KEYS:
        raise FetchError("not a key set of a reasonable size")
    keys = {}
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("crv") != "Ed25519" or entry.get("use", "sig") != "sig":
            continue
        try:
            jwk = OKPKey.import_key({"kty": entry["kty"], "crv": "Ed25519", "x": entry["x"]})
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        kid = entry.get("kid", jwk.thumbprint())
        if isinstance(kid, str):
            old = known.get(kid)
            keys[kid] = old if old and old.jwk.thumbprint() == jwk.thumbprint() else PublicKey(kid, jwk)
    if not keys:
        raise FetchError("no Ed25519 key in the key set")
    return keys
