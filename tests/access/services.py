# SPDX-License-Identifier: EUPL-1.2
"""The pseudonym service and the issuer in this process, beside the tests' index, which has keys and register."""

import json

from flask_openapi3.openapi import OpenAPI
from joserfc.jwk import OKPKey
from pydantic import SecretStr
from support import INDEX, ISSUER, PSEUDONYM_SECRET, Index

from verwijsindex.access.tokens import TokenVerifier
from verwijsindex.issuer.app import create_app as issuer_app
from verwijsindex.keyfiles import write_secret, write_signing_key
from verwijsindex.pseudonyms.app import create_app as pseudonyms_app
from verwijsindex.settings import IssuerSettings, PseudonymSettings, TrustedIssuer

PSEUDONYMS = "https://pseudonyms.test"
MANY = 1_000_000_000
"""A limit that no test reaches."""


REVOKED = "revoked-client"
"""A client that the issuer's list of revoked ones names."""


def verifier(index: Index, audience: str) -> TokenVerifier:
    """Believes the tests' issuer for one service, and its list of revoked clients."""
    published = {
        "keys": json.dumps(index.signer.key_set()),
        "revoked": json.dumps({"revocations": index.signer.revocations([REVOKED], index.clock())}),
    }
    trusted = TrustedIssuer(issuer=ISSUER, jwks_url="keys", revocations_url="revoked")
    return TokenVerifier([trusted], audience, index.clock, fetch=lambda url: published[url].encode())


def pseudonyms(index: Index, database_url: SecretStr) -> OpenAPI:
    """The pseudonym service, which believes the same issuer as the index."""
    keys = index.folder / "pseudonym-keys"
    keys.mkdir()
    write_secret(keys / "pseudonym-1.key", PSEUDONYM_SECRET)
    trusted = [TrustedIssuer(issuer=ISSUER, jwks_url=f"{ISSUER}/jwks.json")]
    settings = PseudonymSettings(
        base_url=PSEUDONYMS,
        pseudonyms_database_url=database_url,
        keys=keys,
        key_list=index.folder / "key-list.jws",
        key_list_signer=index.folder / "list-signer.pub.json",
        issuers=trusted,
        elements_per_reporter=MANY,
        elements_per_institution=MANY,
        elements_per_country=MANY,
    )
    app = pseudonyms_app(settings, index.clock)
    app.extensions["token_verifier"] = verifier(index, PSEUDONYMS)
    return app


def issuer(index: Index, database_url: SecretStr) -> OpenAPI:
    """The issuer, with a key of its own."""
    write_signing_key(index.folder / "issuer.jwk", OKPKey.generate_key("Ed25519"))
    settings = IssuerSettings(
        base_url=ISSUER,
        issuer_database_url=database_url,
        signing_key=index.folder / "issuer.jwk",
        resources=[INDEX, PSEUDONYMS],
    )
    return issuer_app(settings, index.clock)
