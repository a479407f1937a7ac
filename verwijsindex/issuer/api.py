# SPDX-License-Identifier: EUPL-1.2
"""The addresses of the issuer, all open: a token request authenticates itself, the rest all may know."""

from typing import Any, Literal

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.media_type import MediaType
from flask_openapi3.models.request_body import RequestBody
from flask_openapi3.models.schema import Schema
from flask_openapi3.models.server import Server
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ConfigDict, Field

from verwijsindex.access.caller import SCOPES
from verwijsindex.access.tokens import ALGORITHM
from verwijsindex.issuer.assertions import GRANT, METHOD
from verwijsindex.issuer.oauth import FORM, TokenEndpoint
from verwijsindex.issuer.revoking import RevocationList
from verwijsindex.issuer.signing import TokenSigner
from verwijsindex.web import answer

_PUBLIC = {"Cache-Control": "public, max-age=300"}
_TAG = Tag(name="tokens", description="Access tokens for machines.")


class TokenForm(BaseModel):
    """A token request (RFC 6749, RFC 7523, RFC 8707)."""

    grant_type: Literal["client_credentials"]
    client_assertion_type: Literal["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    client_assertion: str = Field(description="A JWT signed by the client; docs/protocol.md says what is in it.")
    resource: str = Field(description="Address of the one service that the token is for.")
    scope: str | None = Field(None, description="Separated by spaces; all of the client's when left out.")


class TokenAnswer(BaseModel):
    """An access token (RFC 6749, section 5.1)."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int = Field(description="Seconds.")
    scope: str


class OAuthError(BaseModel):
    """A refusal (RFC 6749, section 5.2)."""

    error: str
    error_description: str


class PublishedKeys(BaseModel):
    """A JWK set (RFC 7517)."""

    keys: list[dict[str, str]]


class RevokedClients(BaseModel):
    """The clients that were revoked while tokens of theirs may live on."""

    revocations: str = Field(description="A compact JWS (RFC 7515); docs/protocol.md says what is in it.")


class Metadata(BaseModel):
    """What an OAuth client can find out by itself (RFC 8414)."""

    model_config = ConfigDict(title="AuthorizationServerMetadata")

    issuer: str
    token_endpoint: str
    jwks_uri: str
    response_types_supported: list[str]
    grant_types_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]
    token_endpoint_auth_signing_alg_values_supported: list[str]
    scopes_supported: list[str]


def issuer_routes(
    endpoint: TokenEndpoint, signer: TokenSigner, revocations: RevocationList, base_url: str
) -> APIBlueprint:
    """The routes, which OAuth puts beside `/api/v1` and not below it."""
    routes = APIBlueprint("issuer", __name__, abp_tags=[_TAG])
    at = base_url.rstrip("/")
    beside: dict[str, Any] = {"servers": [Server(url=at)]}
    key_set = PublishedKeys(**signer.key_set())
    metadata = Metadata(
        issuer=base_url,
        token_endpoint=f"{at}/token",
        jwks_uri=f"{at}/jwks.json",
        response_types_supported=[],
        grant_types_supported=[GRANT],
        token_endpoint_auth_methods_supported=[METHOD],
        token_endpoint_auth_signing_alg_values_supported=[ALGORITHM],
        scopes_supported=sorted(SCOPES["machine"]),
    )

    @routes.post(
        "/token",
        operation_id="createToken",
        summary="Get an access token",
        responses={200: TokenAnswer, 400: OAuthError, 401: OAuthError, 429: OAuthError},
        **beside,
    )
    def create_token() -> Response:
        return endpoint.respond()

    @routes.get(
        "/jwks.json",
        operation_id="getKeys",
        summary="Get the public keys that tokens are verified with",
        responses={200: PublishedKeys},
        **beside,
    )
    def get_keys() -> Response:
        return answer(key_set, headers=_PUBLIC)

    @routes.get(
        "/revocations.json",
        operation_id="getRevocations",
        summary="Get the signed list of revoked clients",
        description="For the services that believe this issuer's tokens.",
        responses={200: RevokedClients},
        **beside,
    )
    def get_revocations() -> Response:
        return answer(RevokedClients(revocations=revocations.signed()))

    @routes.get(
        "/.well-known/oauth-authorization-server",
        operation_id="getMetadata",
        summary="Get the issuer's metadata",
        responses={200: Metadata},
        **beside,
    )
    def get_metadata() -> Response:
        return answer(metadata, headers=_PUBLIC)

    schema = Schema(**TokenForm.model_json_schema())
    routes.paths["/token"].post.requestBody = RequestBody(content={FORM: MediaType(schema=schema)}, required=True)
    return routes
