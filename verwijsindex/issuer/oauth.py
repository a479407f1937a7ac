# SPDX-License-Identifier: EUPL-1.2
"""The OAuth 2.0 token endpoint: client credentials (RFC 6749, section 4.4) for one resource (RFC 8707).

Errors have the form of RFC 6749, section 5.2. Their texts are constants: none repeats what was sent (I5).
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749 import ClientCredentialsGrant
from authlib.oauth2.rfc6749.errors import (
    InvalidClientError,
    InvalidRequestError,
    InvalidScopeError,
)
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from flask import Request, Response, request

from verwijsindex import metrics
from verwijsindex.issuer.assertions import METHOD, AuthlibClient, ClientAssertion
from verwijsindex.issuer.limiting import LimitReachedError
from verwijsindex.issuer.service import Client
from verwijsindex.issuer.signing import Terms, TokenSigner
from verwijsindex.settings import Clock
from verwijsindex.web import answer

FORM = "application/x-www-form-urlencoded"


class InvalidTargetError(OAuth2Error):  # type: ignore[misc]
    """RFC 8707, section 2."""

    error = "invalid_target"


ERRORS: Mapping[str, tuple[int, str]] = {
    "invalid_request": (400, "Send a form in the body, with a grant_type, and each parameter at most once."),
    "unsupported_grant_type": (400, "The one grant type is client_credentials."),
    "invalid_target": (400, "Name one service that tokens are issued for in resource."),
    "invalid_client": (401, "The client assertion is not accepted."),
    "limit_reached": (429, "A limit was reached; try again after the seconds in Retry-After."),
    "invalid_scope": (400, "Ask only for scopes that the client is registered with."),
}


class TokenRequest(OAuth2Request):  # type: ignore[misc]
    """A token request whose parameters are those of the body; ones in the URL would end up in logs.

    Raises InvalidRequestError for another form, no grant_type, or a parameter that comes twice.
    """

    def __init__(self, http: Request) -> None:
        # Authlib wants to see https. TLS ends before this process; the request's own URL proves nothing.
        super().__init__("POST", "https://issuer.invalid/token", headers=http.headers)
        self.parameters: dict[str, str] = http.form.to_dict()
        once = all(len(values) == 1 for _, values in http.form.lists())
        if http.mimetype != FORM or not once or "grant_type" not in self.parameters:
            raise InvalidRequestError
        self.payload = BasicOAuth2Payload(self.parameters)

    @property
    def form(self) -> dict[str, str]:
        """The parameters, where Authlib's client authentication looks for them."""
        return self.parameters


class MachineGrant(ClientCredentialsGrant):  # type: ignore[misc]
    """Client credentials, with the one resource that becomes the token's audience."""

    TOKEN_ENDPOINT_AUTH_METHODS = (METHOD,)

    def validate_token_request(self) -> None:
        """Raises an OAuth2Error that says what is wrong."""
        parameters: dict[str, str] = self.request.parameters
        if parameters.get("resource") not in self.server.resources:
            raise InvalidTargetError
        found: AuthlibClient = self.authenticate_token_endpoint_client()
        client = found.client
        if parameters.get("client_id", client.client_id) != client.client_id:
            raise InvalidClientError
        self.server.take(client)  # before what may still be wrong: the assertion is written down as used already
        asked = frozenset(parameters.get("scope", "").split())
        if not asked <= client.scopes:
            raise InvalidScopeError
        self.terms = Terms(parameters["resource"], asked or client.scopes, self.server.lifetime)
        self.request.client = found

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """RFC 6749, section 5.1. Unlike Authlib's own it writes the token to no log."""
        client: Client = self.request.client.client
        token = self.server.signer.machine_token(client.client_id, client.oin, self.terms, self.server.clock())
        body = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": int(self.terms.lifetime.total_seconds()),
            "scope": " ".join(sorted(self.terms.scopes)),
        }
        metrics.TOKEN_REQUESTS.labels("issued").inc()
        return 200, body, self.TOKEN_RESPONSE_HEADER


class TokenEndpoint(AuthorizationServer):  # type: ignore[misc]
    """Authlib's authorization server with one grant, one way to authenticate, and answers of our own."""

    def __init__(
        self,
        *,
        find: Callable[[str], Client | None],
        assertion: ClientAssertion,
        take: Callable[[Client], None],
        signer: TokenSigner,
        resources: frozenset[str],
        lifetime: timedelta,
        clock: Clock,
    ) -> None:
        super().__init__(query_client=lambda client_id: AuthlibClient(find(client_id)))
        self.take = take
        self.signer = signer
        self.resources = resources
        self.lifetime = lifetime
        self.clock = clock
        self.register_client_auth_method(METHOD, assertion)
        self.register_grant(MachineGrant)

    def respond(self) -> Response:
        """The answer to the Flask request of this moment."""
        try:
            response: Response = self.create_token_response()
        except OAuth2Error as error:  # of a request in which Authlib never gets to a grant
            return self.handle_error_response(None, error)
        return response

    def create_oauth2_request(self, _: object) -> TokenRequest:
        """The request of this moment, for Authlib. Raises InvalidRequestError."""
        return TokenRequest(request)

    def handle_error_response(self, _: object, error: OAuth2Error) -> Response:
        """Constant texts in place of Authlib's, some of which repeat the input or tell which check failed."""
        code = error.error if error.error in ERRORS else InvalidRequestError.error
        status, description = ERRORS[code]
        metrics.TOKEN_REQUESTS.labels(code).inc()
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
        if isinstance(error, LimitReachedError):
            headers["Retry-After"] = str(error.retry_after)
        return answer({"error": code, "error_description": description}, status, headers)
