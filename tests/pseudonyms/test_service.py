# SPDX-License-Identifier: EUPL-1.2
"""The pseudonym service: what it evaluates, for whom, and what it refuses, storing and telling nothing (R7, I5)."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from joserfc.jwk import OKPKey
from support import Database, Logged
from werkzeug.test import TestResponse

from verwijsindex.access.caller import PSEUDONYMS_EVALUATE, SIGNALS_WRITE, SUPERVISION_READ
from verwijsindex.issuer.signing import Terms, TokenSigner
from verwijsindex.keyfiles import decode_base64url, encode_base64url, write_public_key, write_secret
from verwijsindex.pseudonyms.app import create_app
from verwijsindex.pseudonyms.bsn import Bsn
from verwijsindex.pseudonyms.key_list import KeyVersion, read_key_list, sign_key_list
from verwijsindex.pseudonyms.proof import verify
from verwijsindex.pseudonyms.voprf import Evaluator, blind, generate_secret, unblind, voprf_input
from verwijsindex.settings import PseudonymSettings, TrustedIssuer
from verwijsindex.web import openapi

ISSUER = "https://issuer.example"
HERE = "https://pseudonyms.example"
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
BSNS = ("999900006", "999900018", "999900031")


@pytest.fixture(scope="module")
def signer() -> TokenSigner:
    return TokenSigner(OKPKey.generate_key("Ed25519"), ISSUER)


@pytest.fixture(scope="module")
def jwks_url(signer: TokenSigner) -> Iterator[str]:
    """The issuer's keys, on real HTTP."""
    body = json.dumps(signer.key_set()).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/jwks.json"
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class Keys:
    """Of three versions of the key the first is no longer accepted, the second accepted but not held."""

    folder: Path
    list_signer: OKPKey
    secrets: dict[int, bytes]

    def publish(self, **public_keys: bytes) -> None:
        """Signs the list; `v1=...` tells another public key for version 1."""
        versions = [
            KeyVersion(
                version=version,
                public_key=public_keys.get(f"v{version}", Evaluator(secret).public_key),
                accepted_from=NOW - timedelta(days=100),
                accepted_until=NOW - timedelta(days=1) if version == 1 else None,
            )
            for version, secret in self.secrets.items()
        ]
        (self.folder / "list").write_text(sign_key_list(versions, NOW, self.list_signer))


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    keys = Keys(tmp_path, OKPKey.generate_key("Ed25519"), {n: generate_secret() for n in (1, 2, 3)})
    (tmp_path / "keys").mkdir()
    for version in (1, 3):
        write_secret(tmp_path / "keys" / f"pseudonym-{version}.key", keys.secrets[version])
    write_public_key(tmp_path / "signer.json", keys.list_signer)
    keys.publish()
    return keys


@pytest.fixture
def settings(keys: Keys, jwks_url: str, pseudonyms_database: Database) -> PseudonymSettings:
    return PseudonymSettings(
        base_url=HERE,
        pseudonyms_database_url=pseudonyms_database.urls["verwijsindex_pseudonyms"],
        keys=keys.folder / "keys",
        key_list=keys.folder / "list",
        key_list_signer=keys.folder / "signer.json",
        issuers=[TrustedIssuer(issuer=ISSUER, jwks_url=jwks_url)],
    )


@pytest.fixture
def http(settings: PseudonymSettings) -> FlaskClient:
    return create_app(settings, lambda: NOW).test_client()


Ask = Callable[..., TestResponse]


def asker(http: FlaskClient, signer: TokenSigner) -> Ask:
    """Sends a body with a token; `audience` and `scopes` make it another one."""

    def ask(body: object, audience: str = HERE, scopes: tuple[str, ...] = (PSEUDONYMS_EVALUATE,)) -> TestResponse:
        terms = Terms(audience, frozenset(scopes), timedelta(minutes=10))
        token = signer.machine_token("school-17", "00000001234567890000", terms, NOW)
        headers = {"Authorization": f"Bearer {token}"}
        text = body if isinstance(body, str) else json.dumps(body)
        return http.post("/api/v1/evaluations", data=text, headers=headers, content_type="application/json")

    return ask


@pytest.fixture
def ask(http: FlaskClient, signer: TokenSigner) -> Ask:
    return asker(http, signer)


def blinded(count: int = 1) -> list[str]:
    inputs = [voprf_input("youngster", Bsn.parse(BSNS[i % len(BSNS)])) for i in range(count)]
    return [encode_base64url(element) for element in blind(inputs).elements]


REPORTER = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"


def evaluation(elements: list[Any], version: object = 3, **more: object) -> dict[str, object]:
    """The body of a request, all of it for one reporter unless told otherwise."""
    reporters = [REPORTER] * len(elements)
    return {"keyVersion": version, "blindedElements": elements, "reporters": reporters} | more


def faults(response: TestResponse) -> list[tuple[str, str]]:
    assert response.status_code == 400
    assert response.content_type == "application/problem+json"
    return [(fault["location"]["pointer"], fault["code"]) for fault in response.get_json()["errors"]]


def test_what_it_evaluates_is_proved_and_unblinds_to_the_pseudonym(ask: Ask, keys: Keys) -> None:
    inputs = [voprf_input("youngster", Bsn.parse(BSNS[0])), voprf_input("parent", Bsn.parse(BSNS[1]))]
    sent = blind(inputs)
    response = ask(evaluation([encode_base64url(e) for e in sent.elements]))
    assert response.status_code == 200
    body = response.get_json()
    assert body.keys() == {"keyVersion", "evaluatedElements", "proof"}
    assert body["keyVersion"] == 3
    evaluated = [decode_base64url(text) for text in body["evaluatedElements"]]
    evaluator = Evaluator(keys.secrets[3])
    verify(evaluator.public_key, sent.elements, evaluated, decode_base64url(body["proof"]))
    again = blind(inputs)
    directly = unblind(evaluator.evaluate(again.elements).elements, again.blinds)
    assert unblind(evaluated, sent.blinds) == directly


def test_a_hundred_elements_are_one_request(ask: Ask) -> None:
    response = ask(evaluation(blinded(100)))
    assert len(response.get_json()["evaluatedElements"]) == 100
    too_many = evaluation(blinded() * 101, reporters=[REPORTER] * 100)
    assert faults(ask(too_many)) == [("#/blindedElements", "too_long")]


@pytest.mark.parametrize("version", [1, 2, 4, 999_999_999], ids=["no longer accepted", "not held", "unknown", "large"])
def test_other_versions_are_refused(ask: Ask, version: int) -> None:
    """Seen to fail for version 1 when the list was not asked."""
    response = ask(evaluation(blinded(), version))
    assert faults(response) == [("#/keyVersion", "not_accepted")]


def test_while_the_key_turns_it_evaluates_by_both_versions(
    keys: Keys, settings: PseudonymSettings, signer: TokenSigner
) -> None:
    """Each proved for its own public key; and it starts with a key that the list does not name yet."""
    keys.secrets[4] = generate_secret()
    write_secret(settings.keys / "pseudonym-4.key", keys.secrets[4])
    accepted = {}
    for listed in ("before", "after"):
        if listed == "after":
            keys.publish()
        ask = asker(create_app(settings, lambda: NOW).test_client(), signer)
        for version in (3, 4):
            sent = blind([b"x"])
            answer = ask(evaluation([encode_base64url(e) for e in sent.elements], version))
            accepted[listed, version] = answer.status_code
            if answer.status_code == 200:
                told = answer.get_json()
                evaluated = [decode_base64url(text) for text in told["evaluatedElements"]]
                public_key = Evaluator(keys.secrets[version]).public_key
                verify(public_key, sent.elements, evaluated, decode_base64url(told["proof"]))
    assert accepted == {("before", 3): 200, ("before", 4): 400, ("after", 3): 200, ("after", 4): 200}


NOT_ELEMENTS = {
    "identity": encode_base64url(bytes(32)),
    "not on the group": encode_base64url(b"\xff" * 32),
    "not canonical": encode_base64url((2**255 - 18).to_bytes(32, "little")),
    "31 bytes": encode_base64url(bytes(31)),
    "a BSN": "999900006",
    "padded": blinded()[0] + "=",
    "empty": "",
    "NUL": "\x00" * 43,
    "lone surrogate": "\ud800" * 43,
}


@pytest.mark.parametrize("element", NOT_ELEMENTS.values(), ids=NOT_ELEMENTS.keys())
def test_what_is_no_element_is_refused_at_its_place_and_not_repeated(ask: Ask, element: str) -> None:
    response = ask(evaluation([blinded()[0], element]))
    if element.startswith("\ud800"):
        assert response.status_code == 400
        return
    assert faults(response) == [("#/blindedElements/1", "not_an_element")]
    assert not element or element not in response.text


def test_all_faults_come_at_once_and_are_bounded(ask: Ask) -> None:
    response = ask(evaluation([*blinded(2), "x", *blinded(1), "y"], 1))
    assert faults(response) == [
        ("#/keyVersion", "not_accepted"),
        ("#/blindedElements/2", "not_an_element"),
        ("#/blindedElements/4", "not_an_element"),
    ]
    assert len(faults(ask(evaluation(["x"] * 100)))) == 20
    for many in (100, 5000):
        assert len(faults(ask(evaluation([7] * many, reporters=[REPORTER])))) == 1


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "null",
        "[]",
        "[" * 5000,
        '{"keyVersion": 3}',
        evaluation(["x"], "3"),
        evaluation(["x"], True),
        evaluation(["x"], 0),
        evaluation(["x"], 2.0),
        evaluation([]),
        evaluation([None]),
        evaluation(blinded(), blindedElements="x"),
        evaluation(blinded(), bsn="999900006"),
        evaluation(blinded(), reporters=[]),
        evaluation(blinded(), reporters=[REPORTER] * 2),
        evaluation(blinded(), reporters=["999900006"]),
        evaluation(blinded(), reporters=REPORTER),
        {"keyVersion": 3, "blindedElements": blinded()},
        {"key_version": 2, "blinded_elements": blinded(), "reporters": [REPORTER]},
    ],
)
def test_other_bodies_are_refused_without_an_echo(ask: Ask, body: object) -> None:
    response = ask(body)
    assert faults(response)
    assert "999900006" not in response.text
    assert "bsn" not in response.text


def test_too_large_and_not_json_are_problems(ask: Ask, http: FlaskClient) -> None:
    assert ask(evaluation(["x" * 20_000])).status_code == 413
    token = ask({}).request.headers["Authorization"]
    form = http.post("/api/v1/evaluations", data={"keyVersion": "3"}, headers={"Authorization": token})
    assert form.status_code == 415
    for response in (http.get("/api/v1/evaluations"), http.get("/api/v1/elsewhere")):
        assert response.status_code in {401, 404, 405}
        assert response.content_type == "application/problem+json"


def test_only_machines_with_the_scope_and_a_token_for_here(ask: Ask, http: FlaskClient, signer: TokenSigner) -> None:
    body = evaluation(blinded())
    assert ask(body).status_code == 200
    assert ask(body, audience="https://index.example").status_code == 401
    assert ask(body, scopes=(SIGNALS_WRITE,)).status_code == 403
    assert http.post("/api/v1/evaluations", json=body).status_code == 401
    terms = Terms(HERE, frozenset({PSEUDONYMS_EVALUATE, SUPERVISION_READ}), timedelta(minutes=10))
    person = signer.person_token("case_supervisor", uuid4(), "1701", "page", terms, NOW)
    refused = http.post("/api/v1/evaluations", json=body, headers={"Authorization": f"Bearer {person}"})
    assert refused.status_code == 403


def test_who_has_a_key_meets_the_limits_on_reporter_institution_and_country(
    settings: PseudonymSettings, signer: TokenSigner, pseudonyms_database: Database
) -> None:
    """R37, with 30, 40 and 50 a day. Seen failing, with everything evaluated, when the route took nothing."""
    limits = {"elements_per_reporter": 30, "elements_per_institution": 40, "elements_per_country": 50}
    at = [NOW]
    http = create_app(settings.model_copy(update=limits), lambda: at[0]).test_client()

    def ask(count: int, oin: str = "00000001234567890000", reporter: object = REPORTER) -> TestResponse:
        terms = Terms(HERE, frozenset({PSEUDONYMS_EVALUATE}), timedelta(minutes=10))
        token = signer.machine_token("school-17", oin, terms, at[0])
        body = evaluation(blinded(count), reporters=[str(reporter)] * count)
        return http.post("/api/v1/evaluations", json=body, headers={"Authorization": f"Bearer {token}"})

    assert ask(30).status_code == 200
    own = ask(1)
    assert (own.status_code, own.content_type) == (429, "application/problem+json")
    assert own.headers["Retry-After"] == "50400"  # ten in the morning: fourteen hours to midnight in UTC
    assert own.get_json()["type"] == "urn:problem-type:verwijsindex:limit-reached"
    assert own.get_json()["retryAfter"] == 50400
    assert own.get_json()["detail"].startswith("This reporter has reached the limit of a day")
    # Invented reporters, eleven at once: the institution's ten are left, and none of the eleven is evaluated.
    invented = ask(11, reporter=uuid4())
    assert (invented.status_code, "Your institution" in invented.get_json()["detail"]) == (429, True)
    assert ask(10, reporter=uuid4()).status_code == 200
    # Another institution finds the country's ten, and is not told whose limit stands in its way.
    assert ask(10, oin="00000009999999999000").status_code == 200
    country = ask(1, oin="00000009999999999000")
    assert (country.status_code, country.get_json()["detail"][:19]) == (429, "A limit was reached")
    at[0] += timedelta(hours=14)
    assert ask(30).status_code == 200
    kept = pseudonyms_database.rows("SELECT name, sum(taken) AS taken FROM limit_counter GROUP BY name ORDER BY name")
    assert [(str(row.name), int(row.taken)) for row in kept][:2] == [
        ("pseudonyms/country", 80),
        ("pseudonyms/institution", 80),
    ]


def test_what_is_refused_as_invalid_costs_nothing(ask: Ask, pseudonyms_database: Database) -> None:
    assert ask(evaluation(["x"])).status_code == 400
    assert ask(evaluation(blinded(), 1)).status_code == 400
    assert pseudonyms_database.scalar("SELECT count(*) FROM limit_counter") == 0


def test_the_signed_list_is_open_to_all(http: FlaskClient, keys: Keys) -> None:
    text = http.get("/api/v1/key-versions").get_json()["keyList"]
    assert read_key_list(text, keys.list_signer).current(NOW).version == 3


def test_it_is_ready_with_an_accepted_key_and_the_issuers_keys(http: FlaskClient, settings: PseudonymSettings) -> None:
    assert http.get("/health/ready").get_json()["parts"] == {"database": True, "issuers": True, "keys": True}
    early = create_app(settings, lambda: NOW - timedelta(days=101)).test_client().get("/health/ready")
    assert early.status_code == 503
    assert early.get_json()["parts"] == {"database": True, "issuers": True, "keys": False}
    (settings.keys / "pseudonym-3.key").unlink()
    not_held = create_app(settings, lambda: NOW).test_client().get("/health/ready")
    assert not_held.get_json()["parts"] == {"database": True, "issuers": True, "keys": False}


def test_it_logs_no_element_and_no_token(ask: Ask, logged: Logged) -> None:
    element = blinded()[0]
    answered = ask(evaluation([element]))
    ask(evaluation([element, "x"]))
    token = answered.request.headers["Authorization"].split(" ")[1]
    for secret in (element, answered.get_json()["evaluatedElements"][0], token, token.split(".")[2]):
        assert secret not in logged.text


def test_its_document_is_made_without_a_secret(settings: PseudonymSettings) -> None:
    document = openapi(create_app(settings, lambda: NOW))
    assert document["paths"].keys() >= {"/evaluations", "/key-versions"}
    assert document["paths"]["/evaluations"]["post"]["security"] == [{"oauth2": [PSEUDONYMS_EVALUATE]}]
    assert "oauth2" in document["components"]["securitySchemes"]


def test_without_good_keys_it_does_not_start_and_says_which(settings: PseudonymSettings, keys: Keys) -> None:
    first = settings.keys / "pseudonym-1.key"
    good_list = (keys.folder / "list").read_text()

    def stops_with(says: str) -> None:
        with pytest.raises(SystemExit) as caught:
            create_app(settings, lambda: NOW)
        message = str(caught.value)
        assert message.startswith("the pseudonym service does not start: ")
        assert says in message
        assert "\n" not in message

    first.chmod(0o644)
    stops_with(f"key file {first} can be used by others")
    first.chmod(0o600)
    keys.publish(v1=Evaluator(generate_secret()).public_key)
    stops_with(f"key file {first} is not the key of version 1 in {settings.key_list}")
    del keys.secrets[1]
    keys.publish()
    stops_with(f"key file {first} is not the key of version 1")
    settings.key_list.write_text(good_list[:-4] + "AAAA")
    stops_with("the list of key versions has no valid signature")
    settings.key_list.unlink()
    stops_with(f"the list of key versions {settings.key_list} cannot be read")
    settings.key_list.write_text(good_list)
    create_app(settings, lambda: NOW)
    first.write_text("\n")
    stops_with(f"key file {first} is too short")
    settings.key_list_signer.unlink()
    first.unlink()
    stops_with(f"key file {settings.key_list_signer} is missing")
