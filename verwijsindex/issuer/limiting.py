# SPDX-License-Identifier: EUPL-1.2
"""Limits on tokens (R37), and a bound on what strangers can have checked.

Only an assertion that verified, and was used for the first time, counts towards a client: nobody else can use up its
limit. What does not verify counts towards nobody. Checking it costs a look-up and a signature; so many a second are
checked in each process, and over that all are asked to come back after a second, whoever they are: before the signature
is checked nobody knows.
"""

from datetime import UTC, datetime
from threading import Lock

from authlib.oauth2 import OAuth2Error
from sqlalchemy import Engine

from verwijsindex.issuer.service import Client
from verwijsindex.limits.service import HOUR, Demand, Limit, Limiter, Reached
from verwijsindex.settings import Clock


class LimitReachedError(OAuth2Error):  # type: ignore[misc]
    """A limit of ours; RFC 6749 has no code for one (section 8.5)."""

    error = "limit_reached"

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after


class TokenLimits:
    """The limits of one process on tokens in an hour, for each client, each institution and the whole issuer."""

    def __init__(self, pool: Engine, clock: Clock, *, client: int, institution: int, issuer: int) -> None:
        self._pool = pool
        self._clock = clock
        self._client = Limit("tokens/client", client, HOUR)
        self._institution = Limit("tokens/institution", institution, HOUR)
        self._issuer = Limit("tokens/issuer", issuer, HOUR)
        self._limiter = Limiter()

    def check(self, client_id: str) -> None:
        """Raises LimitReachedError where this process knows that the client, whose assertion has verified, is over its
        limit: before the assertion is written down as used."""
        _refuse(self._limiter.in_the_way([Demand(self._client, client_id)], self._clock()))

    def take(self, client: Client) -> None:
        """A token for this client. Raises LimitReachedError."""
        demands = [
            Demand(self._client, client.client_id),
            Demand(self._institution, client.oin),
            Demand(self._issuer, "all"),
        ]
        [reached] = self._limiter.take(self._pool.connect, [demands], self._clock())
        _refuse(reached)


def _refuse(reached: Reached | None) -> None:
    if reached:
        raise LimitReachedError(reached.retry_after)


class FailedTries:
    """How many assertions that do not verify this process checks in a second."""

    def __init__(self, most: int, clock: Clock) -> None:
        self._most = most
        self._clock = clock
        self._lock = Lock()
        self._began = datetime.min.replace(tzinfo=UTC)
        self._count = 0

    def check(self) -> None:
        """Raises LimitReachedError where so many failed in this second already."""
        with self._lock:
            self._turn()
            if self._count >= self._most:
                raise LimitReachedError(1)

    def add(self) -> None:
        """One more has failed."""
        with self._lock:
            self._turn()
            self._count += 1

    def _turn(self) -> None:
        second = self._clock().replace(microsecond=0)
        if second != self._began:
            self._began, self._count = second, 0
