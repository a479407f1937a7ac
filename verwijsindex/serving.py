# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex serve` and `openapi`, and what each process of a server makes of itself before its first request.

What is there by then stays as long as the process does, so the garbage collector need not look through it: each time it
did, everyone who waited for that process waited a tenth of a second more.
"""

import gc
import json
import os
import socket
import sys
from typing import Annotated, Literal

import typer
from flask import Flask
from granian.constants import Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server
from pydantic import ValidationError
from pydantic_settings import SettingsError

from verwijsindex import __version__, logs, metrics
from verwijsindex.keyfiles import KeyFileError
from verwijsindex.pseudonyms.key_list import KeyListError
from verwijsindex.settings import IndexSettings, IssuerSettings, PseudonymSettings, Settings, settings_faults

Service = Literal["index", "pseudonyms", "issuer"]


_SERVICES: dict[Service, tuple[str, type[Settings]]] = {
    "index": ("verwijsindex.app", IndexSettings),
    "pseudonyms": ("verwijsindex.pseudonyms.app", PseudonymSettings),
    "issuer": ("verwijsindex.issuer.app", IssuerSettings),
}


def serve(service: Annotated[Service, typer.Argument(help="Which process to run.")]) -> None:
    """Serve the index, the pseudonym service or the issuer under granian, until stopped.

    Everything it must know comes from VERWIJSINDEX_... variables; a missing setting or an unusable key is named
    and the process does not start. Listens on loopback unless VERWIJSINDEX_BIND_ADDRESS says otherwise.
    """
    module, kind = _SERVICES[service]
    settings = _settings(kind)
    logs.configure(service)
    try:
        __import__(module, fromlist=["create_app"]).create_app(settings)
    except (KeyFileError, KeyListError, OSError) as error:
        sys.exit(f"the {service} does not start: {error}")
    port: int = settings.port  # type: ignore[attr-defined]
    _check_free(settings.bind_address, port)
    server = Server(
        f"verwijsindex.serving:{service}",
        factory=True,
        address=settings.bind_address,
        port=port,
        interface=Interfaces.WSGI,
        workers=settings.workers,
        blocking_threads=settings.threads,
        respawn_failed_workers=True,
        log_access=False,
        http1_settings=HTTP1Settings(header_read_timeout=10_000, max_buffer_size=64 * 1024),
        ssl_cert=settings.tls_certificate,
        ssl_key=settings.tls_key,
        ssl_protocol_min=SSLProtocols.tls12 if settings.tls_minimum == "1.2" else SSLProtocols.tls13,
        ssl_ca=settings.tls_client_ca,
        ssl_client_verify=settings.tls_client_ca is not None,
        log_level=LogLevels.warning,
        log_dictconfig=logs.GRANIAN,
    )
    metrics.serve(settings.metrics_address, settings.metrics_port)
    logs.log(logs.PROCESS_STARTED, version=__version__)
    server.serve()
    logs.log(logs.PROCESS_STOPPED)


def _check_free(address: str, port: int) -> None:
    """Granian would share a port with another process in silence."""
    family, kind, protocol, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(place)
        except OSError as error:
            sys.exit(f"cannot listen on {address} port {port}: {os.strerror(error.errno or 0)}")


def _settings(kind: type[Settings]) -> Settings:
    try:
        return kind()
    except (ValidationError, SettingsError) as error:
        sys.exit(settings_faults(error))


def openapi() -> None:
    """Print the index's OpenAPI document; needs neither keys nor a database."""
    from verwijsindex.app import document_app  # noqa: PLC0415 (slow to import, and only needed here)
    from verwijsindex.web import openapi as document_of  # noqa: PLC0415

    typer.echo(json.dumps(document_of(document_app()), indent=2))


def index() -> Flask:
    """The index (docs/operations.md)."""
    from verwijsindex.app import create_app  # noqa: PLC0415 (of the three, a process needs one)

    return _settled(create_app())


def pseudonyms() -> Flask:
    """The pseudonym service."""
    from verwijsindex.pseudonyms.app import create_app  # noqa: PLC0415

    return _settled(create_app())


def issuer() -> Flask:
    """The issuer."""
    from verwijsindex.issuer.app import create_app  # noqa: PLC0415

    return _settled(create_app())


def _settled(app: Flask) -> Flask:
    gc.collect()
    gc.freeze()
    return app
