# SPDX-License-Identifier: EUPL-1.2
"""The index: its composition root."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

from flask import Response, current_app
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from flask_openapi3.openapi import OpenAPI
from pydantic import Field

from verwijsindex import metrics
from verwijsindex.access.caller import SCOPES
from verwijsindex.access.http import authenticated
from verwijsindex.access.key_sets import fetch_over_http
from verwijsindex.access.tokens import TokenVerifier
from verwijsindex.acting import log_refusals
from verwijsindex.auditing.alerts_api import api as alerts_api
from verwijsindex.auditing.api import api as audit_api
from verwijsindex.auditing.reports_api import OTHER_MEDIA
from verwijsindex.auditing.reports_api import api as reports_api
from verwijsindex.auditing.samples_api import api as samples_api
from verwijsindex.bell import MATCH_TASK, Bell, celery_app
from verwijsindex.database import answers, engine
from verwijsindex.figures.api import api as figures_api
from verwijsindex.followup.api import api as follow_up_api
from verwijsindex.followup.mutes_api import api as mutes_api
from verwijsindex.keyfiles import read_public_key
from verwijsindex.ledger.api import api as own_events_api
from verwijsindex.ledger.api import open_api as ledger_api
from verwijsindex.logs import INDEX_KEY_MISSING, log
from verwijsindex.matching.api import api as matches_api
from verwijsindex.notices.api import api as notices_api
from verwijsindex.notices.dead_letter_api import api as dead_letters_api
from verwijsindex.notices.destinations import Destinations
from verwijsindex.notices.mail_api import api as mail_api
from verwijsindex.notices.mail_api import links as mail_links
from verwijsindex.notices.subscription_api import api as subscriptions_api
from verwijsindex.parsing import Outgoing
from verwijsindex.problems import UNAVAILABLE, Problem
from verwijsindex.pseudonyms.factors import FactorMissingError, KeyMissingError
from verwijsindex.pseudonyms.key_list import KeyList, KeyListError, load_key_list
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.registry.api import api as registry_api
from verwijsindex.settings import API_PREFIX, Clock, IndexSettings, utc_now
from verwijsindex.signals.acts_api import api as acts_api
from verwijsindex.signals.api import api as signals_api
from verwijsindex.signals.api import batch_api as signal_batches_api
from verwijsindex.signals.archived_api import api as archived_api
from verwijsindex.signals.deaths_api import api as deaths_api
from verwijsindex.signals.desk_api import api as desk_api
from verwijsindex.signals.limiting import SignalLimits
from verwijsindex.tls import trust
from verwijsindex.turning.versions import SealingVersion
from verwijsindex.web import answer, create_api, oauth2, problem_responses

AUTHENTICATED = (
    signals_api,
    signal_batches_api,
    deaths_api,
    desk_api,
    archived_api,
    acts_api,
    notices_api,
    dead_letters_api,
    matches_api,
    follow_up_api,
    figures_api,
    mutes_api,
    subscriptions_api,
    mail_api,
    registry_api,
    own_events_api,
    audit_api,
    alerts_api,
    samples_api,
    reports_api,
)
AUDITS_AT_ONCE = 4
"""In each process: a search may take a second, and none is to hold up who signals."""
for _api in AUTHENTICATED:
    authenticated(_api)

open_api = APIBlueprint("key_versions", __name__, url_prefix=API_PREFIX, abp_tags=[Tag(name="keys")])


class KeyListOut(Outgoing):
    """The versions of the pseudonym key, signed: a compact JWS (docs/protocol.md)."""

    key_list: str = Field(description="Compact JWS; check it with the signing key that you pinned.")


@open_api.get(
    "/key-versions",
    operation_id="getKeyVersions",
    summary="The signed list of versions of the pseudonym key",
    security=[],
    responses={200: KeyListOut, **problem_responses(406, 500)},
)
def get_key_versions() -> Response:
    return answer(KeyListOut(key_list=current_app.extensions["key_list_text"]))


def document_app(
    base_url: str = "https://index.verwijsindex.example",
    issuer: str = "https://issuer.verwijsindex.example",
    clock: Clock = utc_now,
) -> OpenAPI:
    """The index with all its routes and without anything behind them: enough to write its OpenAPI document."""
    app = create_api(
        __name__,
        title="Verwijsindex",
        description="Signals of concern about youngsters, and who else is concerned. No names, no reasons, no BSN.",
        base_url=base_url,
        clock=clock,
        ready=_readiness,
        other_media=OTHER_MEDIA,
    )
    scopes = {scope: f"{role}: {scope}" for role, held in SCOPES.items() for scope in sorted(held)}
    app.security_schemes = oauth2(issuer, scopes)
    log_refusals(app)
    for api in (*AUTHENTICATED, open_api, ledger_api):
        app.register_api(api)
    app.register_blueprint(mail_links)  # open to all: for mail programs, and no part of the API

    @app.errorhandler(KeyMissingError)
    def on_key_missing(error: Exception) -> Response:
        log(INDEX_KEY_MISSING, error=error)
        return Problem(UNAVAILABLE, headers={"Retry-After": "30"}).response()

    return app


def create_app(settings: IndexSettings | None = None, clock: Clock = utc_now) -> OpenAPI:
    """The index, ready to serve.

    Raises:
        KeyFileError, KeyListError: a key or the list of key versions cannot be used; says which.
    """
    settings = settings or IndexSettings()
    app = document_app(settings.base_url, settings.issuers[0].issuer, clock)
    furnish(app, settings, clock)
    return app


def furnish(app: OpenAPI, settings: IndexSettings, clock: Clock) -> None:
    """Put behind the routes of a `document_app` what they work with: keys, pools, limits. Raises as `create_app`."""
    # Of its own: it is read within requests, which hold all connections of the other pools when there are many.
    sealing_pool = engine(settings.intake_database_url, pool_size=1, autocommit=True)
    index_keys = IndexKeys.load(settings.keys, SealingVersion(sealing_pool, clock))
    metrics.KEY_VERSION.labels("index").set(max(index_keys))
    key_list_text, key_list = load_key_list(settings.key_list, read_public_key(settings.key_list_signer))
    _check_turns(index_keys, key_list, clock())
    app.extensions |= {
        "index_keys": index_keys,
        "key_list": key_list,
        "key_list_text": key_list_text,
        "token_verifier": TokenVerifier(
            settings.issuers,
            settings.base_url,
            clock,
            partial(fetch_over_http, trust=trust(settings.ca_file)),
            settings.two_factor_acr,
        ),
        "intake_pool": engine(settings.intake_database_url, pool_size=settings.threads, autocommit=True),
        "sealing_pool": sealing_pool,
        "index_pool": engine(settings.index_database_url, pool_size=settings.threads),
        "auditor_pool": engine(settings.auditor_database_url, pool_size=AUDITS_AT_ONCE),
        "webhook_secret_overlap": timedelta(seconds=settings.webhook_secret_overlap_seconds),
        "webhook_changes": settings.webhook_changes_per_client,
        "allow_plain_http": settings.allow_plain_http,
        "webhook_destinations": Destinations(settings.webhook_private_ranges),
        "signal_limits": SignalLimits(
            reporter=settings.signals_per_reporter,
            institution=settings.signals_per_institution,
            country=settings.signals_per_country,
        ),
        "match_bell": Bell(celery_app(settings.broker_url), MATCH_TASK),
    }


def _check_turns(index_keys: IndexKeys, key_list: KeyList, now: datetime) -> None:
    """What senders may send, now or later, can be sealed here: else it would be answered 503 from that moment on."""
    newest = index_keys[max(index_keys)]
    for one in key_list.versions:
        if index_keys.factors.public_keys.get(one.version, one.public_key) != one.public_key:
            raise KeyListError(f"the list has another public key for version {one.version} than the files factor-*.key")
        if not one.ended(now):
            try:
                index_keys.factors.check(one.version, newest.pseudonym_version)
            except FactorMissingError as error:
                raise KeyListError(f"the list accepts version {one.version}, but {error.args[0]}") from None


def _readiness() -> Mapping[str, bool]:
    behind = current_app.extensions
    return {
        "intake database": answers(behind["intake_pool"]),
        "index database": answers(behind["index_pool"]),
        "issuers": behind["token_verifier"].ready(),
    }
