# SPDX-License-Identifier: EUPL-1.2
"""TLS of every connection: what may go without it, and whose certificates are believed (docs/operations.md, TLS).

Without TLS go only connections that do not leave this machine, and those on a network that the operator says to be
the own one (`VERWIJSINDEX_PLAIN_NETWORK`). Whatever else a setting asks for is refused before anything starts.
Each check raises ValueError with a sentence that says what to do, without the address, which may hold a password.
"""

import ipaddress
import ssl
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

_OR_PLAIN = "or set VERWIJSINDEX_PLAIN_NETWORK=true if only your own machines are on the network in between"


def is_loopback(host: str) -> bool:
    """Whether a connection to this host stays on this machine; also for the path of a socket."""
    if host in {"localhost", ""} or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_http(address: str, *, plain: bool = False) -> None:
    """An address of a service: https, or http on this machine; with `plain` http anywhere."""
    url = _split(address)
    if url.scheme == "https" and url.hostname:
        return
    if url.scheme != "http" or not url.hostname:
        raise ValueError("is no address: write https://host")
    if not plain and not is_loopback(url.hostname):
        raise ValueError("is not encrypted: write https://; http:// only on this machine itself")


def check_database(address: str, *, plain: bool = False) -> None:
    """An address of PostgreSQL: with `sslmode=verify-full`, or on this machine."""
    url = _split(address)
    query = {name: values[-1] for name, values in parse_qs(url.query).items()}
    hosts = [_host(one) for one in url.netloc.rpartition("@")[2].split(",")] + query.get("host", "").split(",")
    if query.get("sslmode") == "verify-full" or plain or all(map(is_loopback, hosts)):
        return
    raise ValueError(
        "leads to another machine without proof of which: add ?sslmode=verify-full&sslrootcert=FILE, with the CA"
        f" certificates of PostgreSQL (or sslrootcert=system), {_OR_PLAIN}"
    )


def check_broker(address: str, *, plain: bool = False) -> None:
    """An address of Redis: `rediss://` that verifies, or on this machine."""
    url = _split(address)
    query = {name: values[-1].lower() for name, values in parse_qs(url.query).items()}
    if url.scheme == "rediss":
        if query.get("ssl_cert_reqs", "required").removeprefix("cert_") != "required":
            raise ValueError("does not verify who answers: leave ssl_cert_reqs out")
        if query.get("ssl_check_hostname", "true") not in {"true", "1"}:
            raise ValueError("does not verify who answers: leave ssl_check_hostname out")
        return
    if plain or is_loopback(_host(url.netloc.rpartition("@")[2])):
        return
    raise ValueError(
        "leads to another machine without TLS: write rediss://, and ?ssl_ca_certs=FILE with the CA certificates of"
        f" Redis, {_OR_PLAIN}"
    )


def check_listening(address: str, *, certificate: bool, plain: bool = False) -> None:
    """Where a service listens: with a certificate, or for this machine alone."""
    if not (certificate or plain or is_loopback(address or "0.0.0.0")):  # noqa: S104 (that is what is refused)
        raise ValueError(
            "other machines can connect here, without TLS: set VERWIJSINDEX_TLS_CERTIFICATE and VERWIJSINDEX_TLS_KEY,"
            f" {_OR_PLAIN} (a proxy that ends TLS, for instance)"
        )


def trust(ca_file: Path | None) -> ssl.SSLContext | None:
    """For connections that we make: with these CA certificates in place of the public ones, None for the usual.

    Raises:
        ValueError: the file cannot be read, or is none of certificates in PEM.
    """
    if ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError:
        raise ValueError(f"{ca_file} cannot be read as CA certificates in PEM") from None


def check_own_certificate(certificate: Path, key: Path) -> None:
    """A service's own certificate and key: readable, of each other, and the key for nobody else."""
    try:
        if key.stat().st_mode & 0o007:
            raise ValueError(f"{key} can be used by others: chmod 600")
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except OSError:
        raise ValueError(f"{certificate} and {key} cannot be read as a certificate and its key in PEM") from None


def _split(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError:
        raise ValueError("is no address") from None


def _host(netloc: str) -> str:
    return unquote(urlsplit(f"//{netloc}").hostname or "")
