# SPDX-License-Identifier: EUPL-1.2
"""What the three HTTP services share: problems, headers, health, the OpenAPI document (NL API Design Rules 2.2)."""

from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, json, request
from flask_openapi3.models.contact import Contact
from flask_openapi3.models.info import Info
from flask_openapi3.models.license import License
from flask_openapi3.models.server import Server
from flask_openapi3.openapi import OpenAPI
from pydantic import BaseModel
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from verwijsindex import __version__
from verwijsindex.logs import DATABASE_AWAY, NOT_READY, log
from verwijsindex.observing import observe
from verwijsindex.problems import (
    MEDIA_TYPE,
    NOT_ACCEPTABLE,
    UNAVAILABLE,
    Problem,
    ProblemModel,
    register_problem_handlers,
)
from verwijsindex.settings import API_PREFIX, Clock

API_VERSION = "1.0.0"
MAX_BODY_BYTES = 16 * 1024
PROBLEM = "#/components/schemas/Problem"

_HEADERS = {
    "API-Version": API_VERSION,
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

Readiness = Callable[[], Mapping[str, bool]]


def create_api(
    import_name: str,
    *,
    title: str,
    description: str,
    base_url: str,
    clock: Clock,
    ready: Readiness,
    other_media: Mapping[str, str] | None = None,
) -> OpenAPI:
    """An app without routes of its own but health and its OpenAPI document.

    Args:
        base_url: the public address, without a path; the document's server is this address with `/api/v1`.
        clock: gives the present moment, in UTC.
        ready: names what the service leans on and whether that answers now.
        other_media: for a path the media type that it answers with besides JSON.
    """
    app = OpenAPI(
        import_name,
        info=Info(
            title=title,
            description=description,
            version=API_VERSION,
            contact=Contact(
                name="Verwijsindex",
                url="https://verwijsindex.example/contact",
                email="api@verwijsindex.example",
            ),
            license=License(name="EUPL-1.2", identifier="EUPL-1.2"),
        ),
        servers=[Server(url=base_url.rstrip("/") + API_PREFIX)],
        doc_ui=False,
        validation_error_status="400",
        validation_error_model=ProblemModel,
        static_folder=None,
    )
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.extensions["clock"] = clock
    register_problem_handlers(app)
    observe(app)
    app.register_blueprint(_open_to_all(app, ready))

    @app.errorhandler(OperationalError)
    @app.errorhandler(InterfaceError)
    @app.errorhandler(PoolTimeout)
    def on_database_away(error: Exception) -> Response:
        log(DATABASE_AWAY, error=error)
        return Problem(UNAVAILABLE, headers={"Retry-After": "2"}).response()

    @app.before_request
    def accept_json() -> None:
        offered = ["application/json", MEDIA_TYPE, *filter(None, [(other_media or {}).get(request.path)])]
        if not request.accept_mimetypes.best_match(offered) and request.accept_mimetypes:
            raise Problem(NOT_ACCEPTABLE)

    @app.after_request
    def add_headers(response: Response) -> Response:
        present = {name.lower() for name, _ in response.headers}
        for name, value in _HEADERS.items():
            if name.lower() not in present:  # `setdefault` makes an exception for each, which takes longer than it all
                response.headers.add(name, value)
        response.headers.pop("Server", None)
        return response

    return app


def oauth2(issuer: str, scopes: Mapping[str, str]) -> dict[str, Any]:
    """For the document of a service: whose tokens it takes, and what each scope is for."""
    return {
        "oauth2": {
            "type": "oauth2",
            "description": "Client credentials with private_key_jwt (RFC 7523); `resource` is this server's address.",
            "flows": {"clientCredentials": {"tokenUrl": f"{issuer.rstrip('/')}/token", "scopes": dict(scopes)}},
        }
    }


def _open_to_all(app: OpenAPI, ready: Readiness) -> Blueprint:
    """Routes without a token, said aloud: health of the process, and the document of the API."""
    open_routes = Blueprint("open", __name__)

    @open_routes.get("/health/live")
    def live() -> Response:
        return answer({"status": "ok", "version": __version__})

    @open_routes.get("/health/ready")
    def readiness() -> Response:
        parts = dict(ready())
        for part, well in parts.items():
            if not well:
                log(NOT_READY, part=part)
        status = 200 if all(parts.values()) else 503
        return answer({"status": "ok" if status == 200 else "unavailable", "parts": parts}, status)

    @cache  # open to all, and to write it takes twenty times as long as any other answer
    def document() -> str:
        return json.dumps(openapi(app))

    @open_routes.get(f"{API_PREFIX}/openapi.json")
    def openapi_document() -> Response:
        headers = {"Access-Control-Allow-Origin": "*"}
        return Response(document(), headers=headers, content_type="application/json")

    return open_routes


def answer(
    body: BaseModel | Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON answer; models are written in lowerCamelCase and without what is unset."""
    text = body.model_dump_json(by_alias=True, exclude_none=True) if isinstance(body, BaseModel) else json.dumps(body)
    return Response(text, status=status, headers=dict(headers or {}), content_type="application/json")


def needs(*scopes: str) -> list[dict[str, list[Any]]]:
    """For the document of an operation: it needs a token with one of these scopes."""
    return [{"oauth2": [scope]} for scope in scopes]


def problem_responses(*statuses: int) -> dict[str | int | HTTPStatus, type[BaseModel] | dict[Any, Any] | None]:
    """For the document of an operation: the refusals it may answer with.

    By reference: the library writes out the schema of a model again for each answer of each operation, and for some
    three hundred refusals that was a third of the start of the index.
    """
    return {status: {"content": {MEDIA_TYPE: {"schema": {"$ref": PROBLEM}}}} for status in statuses}


def openapi(app: OpenAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document of `app`: paths below the server's address, the version header on each answer,
    problem+json for each refusal."""
    written = json.dumps(app.api_doc).replace("#/components/schemas/ProblemModel", PROBLEM)
    document: dict[str, Any] = json.loads(written)
    document["paths"] = {path.removeprefix(API_PREFIX): item for path, item in sorted(document["paths"].items())}
    schemas = document["components"]["schemas"]
    if document["components"].get("securitySchemes", ...) is None:  # of the issuer, which has none
        del document["components"]["securitySchemes"]
    problem = schemas.pop("ProblemModel", None) or ProblemModel.model_json_schema(
        by_alias=True, ref_template="#/components/schemas/{model}"
    )
    for name, definition in problem.pop("$defs", {}).items():
        schemas.setdefault(name, definition)
    schemas["Problem"] = problem
    for item in document["paths"].values():
        for operation in item.values():
            for response in operation["responses"].values():
                response.setdefault("headers", {})["API-Version"] = {
                    "description": "Full version of this API.",
                    "schema": {"type": "string", "examples": [API_VERSION]},
                }
                if "/schemas/Problem" in json.dumps(response.get("content")):
                    response["content"] = {MEDIA_TYPE: {"schema": {"$ref": PROBLEM}}}
    return document
