# SPDX-License-Identifier: EUPL-1.2
"""What the issuer tells all, and that it does not start without its key."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from joserfc.jwk import OKPKey

from verwijsindex.issuer.app import create_app
from verwijsindex.keyfiles import read_signing_key, write_public_key
from verwijsindex.settings import IssuerSettings
from verwijsindex.web import openapi


def test_the_key_set_is_the_public_part_and_no_more(http: FlaskClient, settings: IssuerSettings) -> None:
    key = read_signing_key(settings.signing_key)
    response = http.get("/jwks.json")
    x = key.as_dict(private=False)["x"]
    assert response.get_json() == {
        "keys": [{"kty": "OKP", "crv": "Ed25519", "x": x, "kid": key.thumbprint(), "use": "sig", "alg": "Ed25519"}]
    }
    assert response.headers["Cache-Control"] == "public, max-age=300"


def test_the_metadata_says_where_and_how(http: FlaskClient) -> None:
    metadata = http.get("/.well-known/oauth-authorization-server").get_json()
    assert metadata["issuer"] == "https://issuer.example"
    assert metadata["token_endpoint"] == "https://issuer.example/token"
    assert metadata["jwks_uri"] == "https://issuer.example/jwks.json"
    assert metadata["response_types_supported"] == []
    assert metadata["grant_types_supported"] == ["client_credentials"]
    assert metadata["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert metadata["token_endpoint_auth_signing_alg_values_supported"] == ["Ed25519"]


def test_it_is_ready_when_its_database_answers(http: FlaskClient) -> None:
    assert http.get("/health/live").status_code == 200
    assert http.get("/health/ready").get_json() == {"status": "ok", "parts": {"database": True}}


def test_its_document_describes_the_token_endpoint(settings: IssuerSettings, clock: Any) -> None:
    document = openapi(create_app(settings, clock))
    token = document["paths"]["/token"]["post"]
    assert token["servers"] == [{"url": "https://issuer.example"}]
    form = token["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    assert form["required"] == ["grant_type", "client_assertion_type", "client_assertion", "resource"]
    assert settings.issuer_database_url.get_secret_value() not in json.dumps(document)


@pytest.mark.parametrize("fault", ["is missing", "can be used by others", "holds the public part only"])
def test_without_a_good_key_it_does_not_start_and_says_which(
    settings: IssuerSettings, tmp_path: Path, fault: str
) -> None:
    path = tmp_path / "bad.jwk"
    if fault == "can be used by others":
        path.write_bytes(settings.signing_key.read_bytes())
        path.chmod(0o644)
    elif fault == "holds the public part only":
        write_public_key(path, OKPKey.generate_key("Ed25519", private=False))
        path.chmod(0o600)
    with pytest.raises(SystemExit) as caught:
        create_app(settings.model_copy(update={"signing_key": path}))
    message = str(caught.value)
    assert message.startswith(f"the issuer does not start: key file {path} ")
    assert fault in message
    assert "\n" not in message
