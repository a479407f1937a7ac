# SPDX-License-Identifier: EUPL-1.2
"""The pseudonym service as a WSGI application: it holds the key, and sees no BSN, no pseudonym and no signal."""

from datetime import datetime
from functools import partial

from flask_openapi3.openapi import OpenAPI

from verwijsindex import database, metrics
from verwijsindex.access.caller import BURSTS_READ, PSEUDONYMS_EVALUATE
from verwijsindex.access.http import authenticated
from verwijsindex.access.key_sets import fetch_over_http
from verwijsindex.access.tokens import TokenVerifier
from verwijsindex.keyfiles import KeyFileError, read_public_key
from verwijsindex.limits.service import NationalLimits
from verwijsindex.pseudonyms.api import evaluation_routes, key_version_routes
from verwijsindex.pseudonyms.key_list import KeyList, KeyListError, load_key_list
from verwijsindex.pseudonyms.voprf import Evaluator, load_evaluators
from verwijsindex.settings import Clock, PseudonymSettings, utc_now
from verwijsindex.tls import trust
from verwijsindex.web import create_api, oauth2


def create_app(settings: PseudonymSettings | None = None, clock: Clock = utc_now) -> OpenAPI:
    """The service, with its settings from the environment unless given.

    Raises SystemExit with one line that names the file when a key or the list of versions cannot be used, or
    when a key is not the one whose public key the list tells the senders.
    """
    settings = settings or PseudonymSettings()
    try:
        evaluators = load_evaluators(settings.keys)
        signed_list, key_list = load_key_list(settings.key_list, read_public_key(settings.key_list_signer))
        _check_keys(settings, evaluators, key_list)
    except (KeyFileError, KeyListError) as error:
        raise SystemExit(f"the pseudonym service does not start: {error}") from None
    metrics.KEY_VERSION.labels("pseudonym").set(max(evaluators))
    verifier = TokenVerifier(
        settings.issuers, settings.base_url, clock, partial(fetch_over_http, trust=trust(settings.ca_file))
    )
    pool = database.engine(settings.pseudonyms_database_url, pool_size=settings.threads, autocommit=True)
    app = create_api(
        __name__,
        title="Verwijsindex: pseudonym service",
        description="Evaluates blinded elements with the pseudonym key, without learning what is in them.",
        base_url=settings.base_url,
        clock=clock,
        ready=lambda: {
            "database": database.answers(pool),
            "issuers": verifier.ready(),
            "keys": _holds_current(evaluators, key_list, clock()),
        },
    )
    scopes = {PSEUDONYMS_EVALUATE: "have blinded elements evaluated", BURSTS_READ: "hear of bursts"}
    app.security_schemes = oauth2(settings.issuers[0].issuer, scopes)
    app.extensions["token_verifier"] = verifier
    limits = NationalLimits.on(
        "pseudonyms",
        reporter=settings.elements_per_reporter,
        institution=settings.elements_per_institution,
        country=settings.elements_per_country,
    )
    app.register_api(authenticated(evaluation_routes(evaluators, key_list, limits, pool)))
    app.register_api(key_version_routes(signed_list))  # open to all
    return app


def _check_keys(settings: PseudonymSettings, evaluators: dict[int, Evaluator], key_list: KeyList) -> None:
    public_keys = {entry.version: entry.public_key for entry in key_list.versions}
    for version, evaluator in evaluators.items():
        # One that is newer than the list waits for the list that will name it.
        if version <= max(public_keys) and public_keys.get(version) != evaluator.public_key:
            path = settings.keys / f"pseudonym-{version}.key"
            raise KeyFileError(f"key file {path} is not the key of version {version} in {settings.key_list}")


def _holds_current(evaluators: dict[int, Evaluator], key_list: KeyList, now: datetime) -> bool:
    try:
        return key_list.current(now).version in evaluators
    except KeyListError:
        return False
