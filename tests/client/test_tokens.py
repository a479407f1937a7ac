# SPDX-License-Identifier: EUPL-1.2
"""Access tokens: one for each service, kept while they are good, and a reason where there is none."""

import re
from collections import Counter
from datetime import timedelta
from urllib.parse import parse_qs

import httpx
import pytest
from client.services import INDEX, ISSUER, PSEUDONYMS, Services, bsns, draft
from joserfc.jwk import OKPKey

from verwijsindex.client import Accepted, ClientError, ClientProblem, TokenError
from verwijsindex.keyfiles import write_signing_key


def asked(services: Services) -> list[httpx.Request]:
    return [r for r in services.requests if str(r.url) == f"{ISSUER}/token"]


def test_one_token_for_each_service_serves_many_signals(services: Services) -> None:
    [reporter] = services.register(["Anna de Vries"])
    with services.client() as client:
        assert all(isinstance(o, Accepted) for o in client.submit([draft(reporter, bsn) for bsn in bsns(120)]))
    resources = [parse_qs(r.content.decode())["resource"] for r in asked(services)]
    assert sorted(resources) == [[INDEX], [PSEUDONYMS]]
    tokens = Counter(
        (r.url.host, r.headers["Authorization"]) for r in services.requests if "Authorization" in r.headers
    )
    assert sorted(tokens.values()) == [1, 2]


def test_a_token_is_renewed_a_minute_before_it_ends(services: Services) -> None:
    [reporter] = services.register(["Anna de Vries"])
    with services.client() as client:
        list(client.signals(reporter))
        services.now += timedelta(minutes=8, seconds=59)
        list(client.signals(reporter))
        assert len(asked(services)) == 1
        services.now += timedelta(seconds=1)
        list(client.signals(reporter))
        assert len(asked(services)) == 2


def test_a_token_that_is_not_accepted_any_more_is_renewed_once(services: Services) -> None:
    [reporter] = services.register(["Anna de Vries"])
    refused: list[httpx.Request] = []

    def refuse(request: httpx.Request) -> httpx.Response | None:
        if request.url.host == "index.example" and "Authorization" in request.headers and len(refused) < refusals:
            refused.append(request)
            return httpx.Response(
                401, json={"type": "urn:problem-type:verwijsindex:not-authenticated", "detail": "No."}
            )
        return None

    services.intervene = refuse
    with services.client() as client:
        refusals = 1
        assert list(client.signals(reporter)) == []
        assert len(asked(services)) == 2
        refusals = 99
        with pytest.raises(ClientProblem, match="not-authenticated"):
            list(client.signals(reporter))
        assert len(asked(services)) == 3


def test_an_assertion_is_never_sent_twice(services: Services) -> None:
    [reporter] = services.register(["Anna de Vries"])
    answers = [httpx.Response(503), httpx.Response(503)]

    def away(request: httpx.Request) -> httpx.Response | None:
        return answers.pop() if str(request.url) == f"{ISSUER}/token" and answers else None

    services.intervene = away
    with services.client() as client:
        list(client.signals(reporter))
    assertions = [parse_qs(r.content.decode())["client_assertion"][0] for r in asked(services)]
    assert len(set(assertions)) == len(assertions) == 3


def test_another_key_than_the_registered_one_gets_no_token_and_a_reason(services: Services) -> None:
    [reporter] = services.register(["Anna de Vries"])
    write_signing_key(services.folder / "other.key.json", OKPKey.generate_key("Ed25519"))
    config = services.config().model_copy(update={"key_file": services.folder / "other.key.json"})
    with (
        services.client(config) as client,
        pytest.raises(TokenError, match=r"invalid_client.*public key.*registered.*clock"),
    ):
        list(client.submit([draft(reporter)]))
    assert services.posted() == []


@pytest.mark.parametrize(
    ("path", "answer", "says"),
    [
        ("/token", httpx.Response(400, json={"error": "invalid_target"}), "addresses of index and pseudonym"),
        ("/token", httpx.Response(400, json={"error": "<b>odd 999900006</b>"}), "another error"),
        ("/token", httpx.Response(400, text="<html>"), "another error"),
        ("/token", httpx.Response(200, text="<html>"), "is no token"),
        ("/token", httpx.Response(200, json={"access_token": "a\nb", "expires_in": 60}), "is no token"),
        ("/.well-known/oauth-authorization-server", httpx.Response(404), "does not describe an issuer"),
        (
            "/.well-known/oauth-authorization-server",
            httpx.Response(200, json={"issuer": "https://evil.example", "token_endpoint": f"{ISSUER}/token"}),
            "another issuer",
        ),
        (
            "/.well-known/oauth-authorization-server",
            httpx.Response(200, json={"issuer": ISSUER, "token_endpoint": "http://evil.example/token"}),
            "does not describe an issuer",
        ),
    ],
)
def test_no_token_says_why(services: Services, path: str, answer: httpx.Response, says: str) -> None:
    [reporter] = services.register(["Anna de Vries"])
    services.intervene = lambda request: answer if request.url == f"{ISSUER}{path}" else None
    with services.client() as client, pytest.raises(TokenError, match=says) as caught:
        list(client.signals(reporter))
    assert isinstance(caught.value, ClientError)
    assert not re.search("999900006|html", str(caught.value))
