# SPDX-License-Identifier: EUPL-1.2
"""The token endpoint: who gets a token, and that all others get one and the same answer (RFC 6749, 7523, 8707)."""

import hmac
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from joserfc.jwk import OKPKey
from support import Database, Logged, headers
from werkzeug.test import TestResponse

from verwijsindex.access.tokens import TokenVerifier
from verwijsindex.issuer import service
from verwijsindex.issuer.app import create_app
from verwijsindex.keyfiles import encode_base64url
from verwijsindex.problems import Problem
from verwijsindex.settings import IssuerSettings, TrustedIssuer

ISSUER = "https://issuer.example"
INDEX = "https://index.example"
PSEUDONYMS = "https://pseudonyms.example"
REFUSAL = {"error": "invalid_client", "error_description": "The client assertion is not accepted."}


def refused(response: TestResponse) -> None:
    """Asserts the one answer of a failed authentication."""
    assert response.status_code == 401
    assert response.json == REFUSAL
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_a_client_gets_a_token_that_the_service_believes(sender: Any, verifier: TokenVerifier) -> None:
    response = sender.ask()
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["API-Version"] == "1.0.0"
    body = response.get_json()
    assert body.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 600)
    scopes = "bursts:read deaths:write pseudonyms:evaluate signals:read signals:write subscriptions:manage"
    assert body["scope"] == scopes
    caller = verifier.verify("Bearer " + body["access_token"])
    assert (caller.client_id, caller.oin, caller.role) == ("school-17", "00000001234567890000", "machine")
    assert caller.scopes == set(body["scope"].split())


def test_two_tokens_are_two(sender: Any, verifier: TokenVerifier) -> None:
    ids = {verifier.verify("Bearer " + sender.ask().get_json()["access_token"]).token_id for _ in range(3)}
    assert len(ids) == 3


def test_a_token_is_good_at_the_service_it_was_asked_for_only(
    sender: Any, verifier: TokenVerifier, clock: Any, http: FlaskClient
) -> None:
    pseudonyms = TokenVerifier(
        [TrustedIssuer(issuer=ISSUER, jwks_url="/jwks.json")], PSEUDONYMS, clock, fetch=lambda url: http.get(url).data
    )
    for_index = "Bearer " + sender.ask().get_json()["access_token"]
    for_pseudonyms = "Bearer " + sender.ask(resource=PSEUDONYMS).get_json()["access_token"]
    verifier.verify(for_index)
    pseudonyms.verify(for_pseudonyms)
    for service_, token in ((pseudonyms, for_index), (verifier, for_pseudonyms)):
        with pytest.raises(Problem, match="not-authenticated"):
            service_.verify(token)


def test_a_client_may_ask_for_fewer_scopes_and_not_for_others(
    sender: Any, verifier: TokenVerifier, issuer_database: Database
) -> None:
    body = sender.ask(scope="signals:read").get_json()
    assert body["scope"] == "signals:read"
    assert verifier.verify("Bearer " + body["access_token"]).scopes == {"signals:read"}
    with issuer_database.superuser.begin() as connection:
        connection.exec_driver_sql("UPDATE oauth_client SET scopes = '{signals:read}'")
    assert sender.ask().get_json()["scope"] == "signals:read"
    for scope in ("signals:write", "signals:read supervision:read", "signals:read,signals:write", "*"):
        response = sender.ask(scope=scope)
        assert response.status_code == 400
        assert response.get_json()["error"] == "invalid_scope"
        assert scope not in response.text


BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "wrong audience": {"aud": INDEX},
    "audience as list": {"aud": [ISSUER]},
    "no audience": {"aud": None},
    "no iss": {"iss": None},
    "iss of another": {"iss": "someone-else"},
    "no sub": {"sub": None},
    "sub as list": {"sub": ["school-17"], "iss": ["school-17"]},
    "unknown client": {"iss": "nobody", "sub": "nobody"},
    "client with NUL": {"iss": "a\x00", "sub": "a\x00"},
    "client with a lone surrogate": {"iss": "\ud800", "sub": "\ud800"},
    "empty client": {"iss": "", "sub": ""},
    "SQL as client": {"iss": "' OR 1=1 --", "sub": "' OR 1=1 --"},
    "no exp": {"exp": None},
    "exp as text": {"exp": "1795341660"},
    "exp as float": {"exp": 1795341660.5},
    "exp enormous": {"exp": 10**300},
    "expired": {"exp": 1795341600 - 30},
    "more than five minutes": {"exp": 1795341600 + 331},
    "issued in the future": {"iat": 1795341600 + 31},
    "not valid yet": {"nbf": 1795341600 + 31},
    "iat as true": {"iat": True},
    "no jti": {"jti": None},
    "jti as number": {"jti": 7},
    "empty jti": {"jti": ""},
    "jti of 129 characters": {"jti": "x" * 129},
    "jti with NUL": {"jti": "a\x00b"},
}


@pytest.mark.parametrize("claims", BAD_CLAIMS.values(), ids=BAD_CLAIMS.keys())
def test_wrong_assertions_get_the_one_refusal(sender: Any, issuer_database: Database, claims: dict[str, Any]) -> None:
    """Seen to fail for audience, times, sub and jti when each of those checks was taken out."""
    refused(sender.ask(sender.assertion(claims)))
    assert issuer_database.scalar("SELECT count(*) FROM assertion_jti") == 0
    assert sender.ask().status_code == 200


def test_the_token_address_is_an_audience_too_and_clocks_may_differ_a_little(sender: Any) -> None:
    now = 1795341600
    for claims in (
        {"aud": ISSUER + "/token"},
        {"exp": now - 29},
        {"exp": now + 330},
        {"iat": now + 30, "nbf": now + 30},
        {"iat": None},
    ):
        assert sender.ask(sender.assertion(claims)).status_code == 200, claims


def test_unknown_revoked_and_wrongly_signed_are_one_answer(sender: Any, issuer_database: Database, clock: Any) -> None:
    unknown = sender.ask(sender.assertion({"iss": "nobody", "sub": "nobody"}))
    wrong = sender.ask(sender.assertion(by=OKPKey.generate_key("Ed25519")))
    with issuer_database.engine("issuer_owner").begin() as connection:
        assert service.revoke_client(connection, "school-17", clock())
    revoked = sender.ask()
    missing = sender.ask(client_assertion=None)
    for response in (unknown, wrong, revoked, missing):
        refused(response)
        assert response.data == unknown.data
        assert headers(response) == headers(unknown)


@pytest.mark.parametrize("alg", ["none", "None", "", "HS256", "HS512", "RS256", "ES256", "EdDSA", "Ed448", None, [], 0])
def test_other_algorithms_are_refused(sender: Any, alg: object) -> None:
    """Also without a signature, rightly signed, and HMAC with the public key, in each form, as the secret."""
    public = sender.key.as_dict(private=False)
    signed, _ = sender.assertion(header={"alg": alg}).rsplit(".", 1)
    secrets = (sender.key.public_key.public_bytes_raw(), public["x"].encode(), json.dumps(public).encode())
    signatures = [hmac.digest(secret, signed.encode(), name) for secret in secrets for name in ("sha256", "sha512")]
    for signature in (b"", sender.key.private_key.sign(signed.encode()), *signatures):
        refused(sender.ask(f"{signed}.{encode_base64url(signature)}"))


def test_a_key_in_the_header_is_not_used(sender: Any) -> None:
    stranger = OKPKey.generate_key("Ed25519")
    header = {"jwk": stranger.as_dict(private=False), "kid": "x"}
    refused(sender.ask(sender.assertion(header=header, by=stranger)))


@pytest.mark.parametrize(
    "assertion", ["x", "x.y.z", "..", "e30.e30.", "W10.W10.AA", "é.é.é", "\x00.a.b", "a" * 5000, "[" * 3000]
)
def test_garbage_is_refused(sender: Any, assertion: str) -> None:
    refused(sender.ask(assertion))
    deep = encode_base64url(b"[" * 2000)
    refused(sender.ask(f"{deep}.{deep}.AA"))


def test_an_assertion_is_good_once(sender: Any, clock: Any) -> None:
    """Seen to fail when the id was not kept."""
    assertion = sender.assertion()
    assert sender.ask(assertion).status_code == 200
    for seconds in (0, 1, 59, 30):
        clock.now += timedelta(seconds=seconds)
        refused(sender.ask(assertion))


def test_an_id_is_one_clients_own(sender: Any, issuer_database: Database, clock: Any) -> None:
    other = type(sender)(sender.http, clock, client_id="hospital-3")
    with issuer_database.engine("issuer_owner").begin() as connection:
        service.register_client(
            connection,
            client_id=other.client_id,
            name="",
            oin="0" * 20,
            public_key=other.key,
            scopes=["signals:read"],
            now=clock(),
        )
    assert sender.ask(sender.assertion({"jti": "1"})).status_code == 200
    assert other.ask(other.assertion({"jti": "1"})).status_code == 200


def test_of_32_at_once_with_one_assertion_one_gets_a_token(sender: Any, settings: IssuerSettings) -> None:
    """Of two issuers on one database. Seen to fail with a SELECT before the INSERT: several got one."""
    apps = [create_app(settings, sender.clock) for _ in range(2)]
    senders = [type(sender)(app.test_client(), sender.clock, key=sender.key) for app in apps]
    for _ in range(5):
        assertion = sender.assertion()
        with ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(lambda i, a=assertion: senders[i % 2].ask(a).status_code, range(32)))
        assert sorted(answers) == [200] + [401] * 31


def test_old_ids_are_deleted_but_never_while_the_assertion_is_good(
    sender: Any, issuer_database: Database, clock: Any
) -> None:
    long = sender.assertion({"jti": "long", "exp": int(clock.now.timestamp()) + 330})
    assert sender.ask(long).status_code == 200
    assert sender.ask(sender.assertion({"jti": "short"})).status_code == 200
    for minutes in range(1, 12):
        clock.now += timedelta(minutes=1)
        assert sender.ask(sender.assertion({"jti": f"at-{minutes}"})).status_code == 200
        refused(sender.ask(long))
        kept = {str(row[0]) for row in issuer_database.rows("SELECT jti FROM assertion_jti")}
        assert ("short" in kept) == (minutes <= 6)
        assert ("long" in kept) == (minutes <= 11)


MALFORMED: dict[str, tuple[dict[str, str | None], str]] = {
    "no grant type": ({"grant_type": None}, "invalid_request"),
    "another grant type": ({"grant_type": "password<script>"}, "unsupported_grant_type"),
    "no resource": ({"resource": None}, "invalid_target"),
    "an unknown resource": ({"resource": "https://elsewhere.example"}, "invalid_target"),
    "a resource with a slash more": ({"resource": INDEX + "/"}, "invalid_target"),
    "another assertion type": ({"client_assertion_type": "saml"}, "invalid_client"),
    "no assertion type": ({"client_assertion_type": None}, "invalid_client"),
    "the id of another client": ({"client_id": "hospital-3"}, "invalid_client"),
}


@pytest.mark.parametrize(("form", "error"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_requests_get_an_oauth_error_without_an_echo(
    sender: Any, form: dict[str, str | None], error: str
) -> None:
    response = sender.ask(**form)
    assert response.status_code == (401 if error == "invalid_client" else 400)
    assert response.content_type == "application/json"
    assert response.get_json().keys() == {"error", "error_description"}
    assert response.get_json()["error"] == error
    for value in form.values():
        assert not value or value not in response.text


def test_parameters_count_in_the_body_only_and_once(sender: Any) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": sender.assertion(),
    }
    good: Any = form | {"resource": INDEX}
    for response in (
        sender.http.post("/token", query_string=good),
        sender.http.post("/token", json=good),
        sender.http.post("/token", data=good, content_type="multipart/form-data"),
        sender.http.post("/token", data=form | {"resource": [INDEX, PSEUDONYMS]}),
        sender.http.post("/token", data=form | {"resource": [INDEX, INDEX]}),
        sender.http.post("/token"),
    ):
        assert response.status_code == 400
        assert response.get_json()["error"] == "invalid_request"
    assert sender.http.post("/token", query_string={"resource": INDEX}, data=form).status_code == 400
    assert sender.http.post("/token", data=good).status_code == 200


def test_a_secret_does_not_authenticate(sender: Any) -> None:
    """Authlib's other methods are not there."""
    refused(sender.ask(client_assertion=None, client_id="school-17", client_secret="x"))
    basic = sender.http.post(
        "/token", data={"grant_type": "client_credentials", "resource": INDEX}, auth=("school-17", "x")
    )
    refused(basic)


def test_what_is_no_token_request_is_a_problem(sender: Any) -> None:
    for response, status in (
        (sender.http.get("/token"), 405),
        (sender.http.post("/token/", data={}), 404),
        (sender.http.post("/token", data={"x": "y" * 20_000}), 413),
        (sender.http.post("/token", data={}, headers={"Accept": "text/html"}), 406),
    ):
        assert response.status_code == status
        assert response.content_type == "application/problem+json"


def test_no_token_and_no_assertion_is_logged(sender: Any, logged: Logged) -> None:
    """Authlib's own grant writes the token to its debug log."""
    assertion = sender.assertion()
    token = sender.ask(assertion).get_json()["access_token"]
    refused(sender.ask(assertion))
    for secret in (assertion, token):
        for part in secret.split("."):
            assert part not in logged.text


def test_when_the_database_is_away_the_answer_is_try_later(
    sender: Any, settings: IssuerSettings, issuer_database: Database
) -> None:
    url = settings.issuer_database_url.get_secret_value().replace("only-in-tests", "wrong")
    away = create_app(
        settings.model_copy(update={"issuer_database_url": type(settings.issuer_database_url)(url)}), sender.clock
    )
    sender.http = away.test_client()
    response = sender.ask()
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "2"
    assert response.get_json()["type"] == "urn:problem-type:verwijsindex:unavailable"
    assert away.test_client().get("/health/ready").status_code == 503
