# SPDX-License-Identifier: EUPL-1.2
"""The issuer as a WSGI application."""

from datetime import datetime, timedelta
from threading import Lock

from flask_openapi3.openapi import OpenAPI
from sqlalchemy import Engine

from verwijsindex import database
from verwijsindex.issuer import service
from verwijsindex.issuer.api import issuer_routes
from verwijsindex.issuer.assertions import ClientAssertion
from verwijsindex.issuer.limiting import FailedTries, TokenLimits
from verwijsindex.issuer.oauth import TokenEndpoint
from verwijsindex.issuer.revoking import RevocationList
from verwijsindex.issuer.signing import TokenSigner
from verwijsindex.keyfiles import KeyFileError, read_public_key, read_signing_key
from verwijsindex.settings import Clock, IssuerSettings, utc_now
from verwijsindex.web import create_api


def create_app(settings: IssuerSettings | None = None, clock: Clock = utc_now) -> OpenAPI:
    """The issuer, with its settings from the environment unless given.

    Raises SystemExit with one line that names the signing key when that cannot be used.
    """
    settings = settings or IssuerSettings()
    try:
        others = [read_public_key(file) for file in settings.other_signing_keys]
        signer = TokenSigner(read_signing_key(settings.signing_key), settings.base_url, others)
    except KeyFileError as error:
        raise SystemExit(f"the issuer does not start: {error}") from None
    pool = database.engine(settings.issuer_database_url, autocommit=True)
    limits = TokenLimits(
        pool,
        clock,
        client=settings.tokens_per_client,
        institution=settings.tokens_per_institution,
        issuer=settings.tokens_per_issuer,
    )
    failed = FailedTries(settings.failed_tries_per_second, clock)
    store = _Store(pool, clock, limits, failed)
    token_url = settings.base_url.rstrip("/") + "/token"
    endpoint = TokenEndpoint(
        find=store.find,
        assertion=ClientAssertion(frozenset({settings.base_url, token_url}), clock, store.use, failed.add),
        take=limits.take,
        signer=signer,
        resources=frozenset(settings.resources),
        lifetime=timedelta(seconds=settings.token_seconds),
        clock=clock,
    )
    app = create_api(
        __name__,
        title="Verwijsindex: issuer of tokens",
        description="Gives registered machines access tokens for the index and the pseudonym service.",
        base_url=settings.base_url,
        clock=clock,
        ready=lambda: {"database": database.answers(pool)},
    )
    routes = issuer_routes(endpoint, signer, RevocationList(pool, signer, clock), settings.base_url)
    app.register_api(routes)  # open to all; see there

    return app


class _Store:
    """The issuer's database as the token endpoint uses it; each statement is a transaction of its own."""

    def __init__(self, pool: Engine, clock: Clock, limits: TokenLimits, failed: FailedTries) -> None:
        self._pool = pool
        self._limits = limits
        self._failed = failed
        self._clock = clock
        self._lock = Lock()
        self._tidy_at = clock()

    def find(self, client_id: str) -> service.Client | None:
        """A client that is neither unknown nor revoked. Raises LimitReachedError while too many fail to prove who
        they are."""
        self._failed.check()
        with self._pool.connect() as connection:
            return service.find_client(connection, client_id)

    def use(self, client_id: str, jti: str, expires_at: datetime) -> bool:
        """Whether this is the first use of an assertion, which has verified. Once a minute it deletes the old ones.

        Raises LimitReachedError for a client that is over its limit."""
        self._limits.check(client_id)
        with self._pool.connect() as connection:
            first = service.use_assertion(connection, client_id, jti, expires_at)
            if self._is_tidying_due():
                service.forget_old_assertions(connection, self._clock())
        return first

    def _is_tidying_due(self) -> bool:
        with self._lock:
            due = self._clock() >= self._tidy_at
            if due:
                self._tidy_at = self._clock() + timedelta(minutes=1)
            return due
