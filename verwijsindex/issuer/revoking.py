# SPDX-License-Identifier: EUPL-1.2
"""The signed list of revoked clients that services fetch: a token lives up to an hour, a revoked client must not."""

from datetime import datetime, timedelta
from threading import Lock

from sqlalchemy import Engine

from verwijsindex.access.tokens import LONGEST_SECONDS
from verwijsindex.issuer import service
from verwijsindex.issuer.signing import TokenSigner
from verwijsindex.settings import Clock

LISTED = timedelta(seconds=2 * LONGEST_SECONDS)
"""How long a revoked client stays on the list: twice the life of a token, since clocks differ."""
_KEPT = timedelta(seconds=5)


class RevocationList:
    """The list as it is now; made anew at most every five seconds, since anyone may ask for it."""

    def __init__(self, pool: Engine, signer: TokenSigner, clock: Clock) -> None:
        self._pool = pool
        self._signer = signer
        self._clock = clock
        self._lock = Lock()
        self._made: tuple[str, datetime] | None = None

    def signed(self) -> str:
        """A compact JWS."""
        with self._lock:
            now = self._clock()
            if self._made is None or not timedelta() <= now - self._made[1] < _KEPT:
                with self._pool.connect() as connection:
                    revoked = service.revoked_since(connection, now - LISTED)
                self._made = self._signer.revocations(revoked, now), now
            return self._made[0]
