# SPDX-License-Identifier: EUPL-1.2
"""A blueprint that is passed through `authenticated` lets nobody in without a token, and knows who called."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Response
from flask.testing import FlaskClient
from joserfc.jwk import OKPKey

from verwijsindex.access.http import authenticated, caller
from verwijsindex.access.tokens import TokenVerifier
from verwijsindex.settings import TrustedIssuer
from verwijsindex.web import answer, create_api

ISSUER = "https://issuer.example"


@pytest.fixture
def client(key: OKPKey, clock: Any) -> FlaskClient:
    app = create_api("test", title="t", description="d", base_url="http://x", clock=clock, ready=dict)
    routes = authenticated(Blueprint("own", "test"))

    @routes.get("/me")
    def me() -> Response:
        return answer({"client": caller().client_id})

    @routes.post("/me")
    def never() -> Response:
        raise AssertionError

    app.register_blueprint(routes)
    body = json.dumps({"keys": [key.as_dict(private=False)]}).encode()
    trusted = [TrustedIssuer(issuer=ISSUER, jwks_url=ISSUER)]
    app.extensions["token_verifier"] = TokenVerifier(trusted, "https://index.example", clock, lambda _: body)
    return app.test_client()


def test_with_a_token_the_view_knows_who_called(client: FlaskClient, sign: Callable[..., str]) -> None:
    answered = client.get("/me", headers={"Authorization": sign()})
    assert answered.json == {"client": "school-17"}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x"}, {"Authorization": ""}])
def test_without_one_the_answer_is_a_problem_and_the_view_is_not_called(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    for answered in (client.get("/me", headers=headers), client.post("/me", headers=headers)):
        assert answered.status_code == 401
        assert answered.content_type == "application/problem+json"
        assert answered.headers["WWW-Authenticate"] == "Bearer"
        assert answered.json is not None
        assert answered.json["type"] == "urn:problem-type:verwijsindex:not-authenticated"
