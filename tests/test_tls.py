# SPDX-License-Identifier: EUPL-1.2
"""TLS of every connection, with a CA made for the test: the right one is believed, another one and no TLS are not.

The wheel's PostgreSQL and the wheel's Redis are built without TLS, so that the tests put it in front of them: what is
tested is our side, which must not talk to anybody else than it was told.
"""

import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from certificates import Authority, tls_before
from joserfc.jwk import OKPKey
from kombu.exceptions import OperationalError as BrokerError
from notices.posting import LOOPBACK
from pydantic import SecretStr, ValidationError
from typer.testing import CliRunner

from verwijsindex.access.key_sets import FetchError, fetch_over_http
from verwijsindex.bell import celery_app
from verwijsindex.cli import command_line
from verwijsindex.client import ClientConfig
from verwijsindex.client.channel import Channel, utc_now
from verwijsindex.client.errors import ConfigError, UnreachableError
from verwijsindex.database import engine
from verwijsindex.embedded.postgres import EmbeddedPostgres
from verwijsindex.embedded.process import answering, free_port
from verwijsindex.embedded.redis import EmbeddedRedis
from verwijsindex.keyfiles import write_public_key, write_signing_key
from verwijsindex.notices.posting import Poster
from verwijsindex.settings import IndexSettings, IssuerSettings, Settings, WorkerSettings, settings_faults
from verwijsindex.tls import trust
from verwijsindex.workers.health import redis_answers

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom the operator trusts."""
    return Authority(tmp_path_factory.mktemp("ca"), "right")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Another CA, which somebody in between may have."""
    return Authority(tmp_path_factory.mktemp("ca"), "wrong")


# PostgreSQL and Redis.


def test_postgresql_is_verified(cluster: EmbeddedPostgres, authority: Authority, other: Authority) -> None:
    """With the address that docs/operations.md tells to write. Seen failing (connected) with sslmode=require."""

    def ask(port: int, ca: Authority) -> object:
        url = cluster.url().replace(f"@127.0.0.1:{cluster.port}", f"@localhost:{port}")
        pool = engine(SecretStr(f"{url}?sslmode=verify-full&sslrootcert={ca.file}"), pool_size=1)
        try:
            with pool.connect() as connection:
                return connection.execute(sa.text("SELECT 7")).scalar_one()
        finally:
            pool.dispose()

    with tls_before(cluster.port, authority.certificate(), postgres=True) as port:
        assert ask(port, authority) == 7
        with pytest.raises(sa.exc.OperationalError, match="certificate verify failed"):
            ask(port, other)
    with (
        tls_before(cluster.port, authority.certificate("elsewhere.example"), postgres=True) as port,
        pytest.raises(sa.exc.OperationalError, match='does not match host name "localhost"'),
    ):
        ask(port, authority)
    with pytest.raises(sa.exc.OperationalError, match="does not support SSL"):
        ask(cluster.port, authority)


def test_redis_is_verified(authority: Authority, other: Authority) -> None:
    """By the bell (kombu, which alone would verify nobody: seen ringing at another's Redis) and by `health`."""
    with EmbeddedRedis() as redis:
        behind = int(redis.url.rpartition(":")[2].partition("/")[0])

        def url(port: int, ca: Authority) -> SecretStr:
            address = redis.url.replace("redis://", "rediss://").replace(f"127.0.0.1:{behind}", f"localhost:{port}")
            return SecretStr(f"{address}?ssl_ca_certs={ca.file}")

        def ring(told: SecretStr) -> None:
            with celery_app(told).connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=5)

        with tls_before(behind, authority.certificate()) as port:
            ring(url(port, authority))
            assert redis_answers(url(port, authority))
            assert not redis_answers(url(port, other))
            with pytest.raises(BrokerError):
                ring(url(port, other))
            with pytest.raises(BrokerError):
                ring(SecretStr(url(port, authority).get_secret_value().partition("?")[0]))
        with tls_before(behind, authority.certificate("elsewhere.example")) as port:
            assert not redis_answers(url(port, authority))
            with pytest.raises(BrokerError):
                ring(url(port, authority))


# What we ask over https: issuers, receivers, and the client's three services.


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_GET  # noqa: N815 (the library's name)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _https(certificate: Path, client_ca: Path | None = None) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://localhost:{server.server_port}/"
        server.shutdown()


def test_an_issuers_keys_are_fetched_from_who_is_trusted(authority: Authority, other: Authority) -> None:
    with _https(authority.certificate()) as url:
        assert fetch_over_http(url, trust(authority.file)) == b"{}"
        for wrong in (trust(other.file), trust(None)):
            with pytest.raises(FetchError):
                fetch_over_http(url, wrong)


def test_webhooks_go_to_who_is_trusted(authority: Authority, other: Authority) -> None:
    with _https(authority.certificate()) as url:
        for ca, outcome in ((authority.file, "ok"), (other.file, "ConnectError"), (None, "ConnectError")):
            poster = Poster(seconds=5, allow_plain_http=False, destinations=LOOPBACK, trust=trust(ca))
            assert poster.post(url, b"{}", {}).outcome == outcome
            poster.close()


def _client(folder: Path, **more: Path) -> ClientConfig:
    key = OKPKey.generate_key("Ed25519")
    for name, write in (("own.jwk", write_signing_key), ("signer.pub.json", write_public_key)):
        (folder / name).unlink(missing_ok=True)
        write(folder / name, key)
    lines = [f'{name} = "https://{name}.example"' for name in ("index", "pseudonyms", "issuer")]
    lines += ['client_id = "c"', 'key_file = "own.jwk"', 'key_list_signer = "signer.pub.json"']
    (folder / "client.toml").write_text("\n".join([*lines, *(f'{name} = "{file}"' for name, file in more.items())]))
    return ClientConfig.load(folder / "client.toml")


def test_the_client_talks_to_who_is_trusted(authority: Authority, other: Authority, tmp_path: Path) -> None:
    """And shows its certificate to a service that asks for one."""
    own = authority.certificate("client.example")

    def get(url: str, config: ClientConfig) -> int:
        channel = Channel(transport=None, clock=utc_now, wait=lambda *_: None, trust=config.trust())
        return channel.send("GET", url).status_code

    with _https(authority.certificate()) as url:
        assert get(url, _client(tmp_path, ca_file=authority.file)) == 200
        for config in (_client(tmp_path), _client(tmp_path, ca_file=other.file)):
            with pytest.raises(UnreachableError):
                get(url, config)
    with _https(authority.certificate(), authority.file) as url:
        assert get(url, _client(tmp_path, ca_file=authority.file, certificate_file=own)) == 200
        with pytest.raises(UnreachableError):
            get(url, _client(tmp_path, ca_file=authority.file))
    for setting in ("ca_file", "certificate_file"):
        with pytest.raises(ConfigError, match="cannot be read as"):
            _client(tmp_path, **{setting: tmp_path / "none.pem"})


# What we serve.


@contextmanager
def _issuer(folder: Path, certificate: Path, **settings: str) -> Iterator[int]:
    """The issuer as an operator starts it; it needs its database only when asked for a token."""
    key = folder / "issuer.jwk"
    if not key.exists():
        assert CliRunner().invoke(command_line("keys"), ["keys", "issuer", str(key)]).exit_code == 0
    port = free_port()
    told = {
        "PORT": str(port),
        "BASE_URL": "https://issuer.example",
        "ISSUER_DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:1/none",
        "SIGNING_KEY": str(key),
        "RESOURCES": '["https://index.example"]',
        "TLS_CERTIFICATE": str(certificate),
        "TLS_KEY": str(certificate),
        **settings,
    }
    with subprocess.Popen(
        [sys.executable, "-m", "verwijsindex", "serve", "issuer"],
        env=os.environ
        | {f"VERWIJSINDEX_{name}": value for name, value in told.items()}
        | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            while socket.socket().connect_ex(("127.0.0.1", port)):
                assert server.poll() is None, "it does not start"
            yield port
        finally:
            server.terminate()
            server.wait(20)


def _live(port: int, ca: Path, change: Callable[[ssl.SSLContext], object] = id) -> int:
    context = ssl.create_default_context(cafile=ca)
    change(context)
    return httpx.get(f"https://localhost:{port}/health/live", verify=context, trust_env=False).status_code


def _oldest(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2


def test_a_service_serves_https(authority: Authority, other: Authority, tmp_path: Path) -> None:
    """TLS 1.3 unless told otherwise, and nothing without."""
    certificate = authority.certificate()
    with _issuer(tmp_path, certificate) as port:
        assert _live(port, authority.file) == 200
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            _live(port, other.file)
        with pytest.raises(httpx.TransportError):
            _live(port, authority.file, _oldest)
        assert not answering(port, "/health/live")()
    with _issuer(tmp_path, certificate, TLS_MINIMUM="1.2") as port:
        assert _live(port, authority.file, _oldest) == 200


def test_a_service_asks_for_a_certificate_when_told_to(authority: Authority, other: Authority, tmp_path: Path) -> None:
    with _issuer(tmp_path, authority.certificate(), TLS_CLIENT_CA=str(authority.file)) as port:
        shown = authority.certificate("client.example")
        assert _live(port, authority.file, lambda context: context.load_cert_chain(shown)) == 200
        with pytest.raises(httpx.TransportError):
            _live(port, authority.file)
        wrong = other.certificate("client.example")
        with pytest.raises(httpx.TransportError):
            _live(port, authority.file, lambda context: context.load_cert_chain(wrong))


def test_a_slow_or_endless_header_ends_the_connection(authority: Authority, tmp_path: Path) -> None:
    """Granian's bounds; seen open for longer than this test waits without `http1_settings`."""
    with _issuer(tmp_path, authority.certificate()) as port:
        context = ssl.create_default_context(cafile=authority.file)
        for sent in (b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 200_000):
            with (
                socket.create_connection(("localhost", port), timeout=25) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as connection,
                suppress(ConnectionError, ssl.SSLEOFError),  # it closes before all is sent
            ):
                connection.sendall(sent)
                answer = connection.recv(4096)
                assert not answer or answer.startswith((b"HTTP/1.1 408", b"HTTP/1.1 431", b"HTTP/1.1 400"))


# What is refused at the start.

ANYWHERE = "0.0.0.0"  # noqa: S104 (what is refused)
_PG, _PLAIN_PG = "postgresql+psycopg://u:hunter2@{}/x", "leads to another machine without proof of which"
_ISSUERS = '[{{"issuer": "{}", "jwks_url": "{}"}}]'
REVOKED = '[{"issuer": "https://i.example", "jwks_url": "https://i.example", "revocations_url": "http://i.example"}]'
GOOD: dict[type[Settings], dict[str, str]] = {
    IssuerSettings: {
        "BASE_URL": "https://issuer.example",
        "ISSUER_DATABASE_URL": _PG.format("localhost"),
        "SIGNING_KEY": "issuer.jwk",
        "RESOURCES": '["https://index.example"]',
    },
    IndexSettings: {
        "BASE_URL": "https://index.example",
        "INTAKE_DATABASE_URL": _PG.format("127.0.0.1:5432"),
        "INDEX_DATABASE_URL": "postgresql+psycopg:///x?host=/run/postgresql",
        "AUDITOR_DATABASE_URL": _PG.format("127.0.0.1:5432"),
        "BROKER_URL": "redis://:hunter2@localhost:6379/0",
        "KEYS": "keys",
        "TOMBSTONES": "tombstones",
        "KEY_LIST": "list",
        "KEY_LIST_SIGNER": "signer",
        "ISSUERS": _ISSUERS.format("https://issuer.example", "https://issuer.example/jwks.json"),
    },
    WorkerSettings: {
        "BASE_URL": "https://index.example",
        "WORKER_DATABASE_URL": _PG.format("[::1]:5432"),
        "BROKER_URL": "rediss://:hunter2@redis.example:6379/0?ssl_ca_certs=ca.pem",
        "KEYS": "keys",
        "TOMBSTONES": "tombstones",
        "LEDGER_KEY": "ledger.jwk",
        "LEDGER_ORIGIN": "index.example/ledger",
    },
}
REFUSED: list[tuple[type[Settings], str, str, str, bool]] = [
    # which process, variable, value, why, and whether PLAIN_NETWORK allows it
    (IssuerSettings, "BASE_URL", "http://issuer.example", "http:// only on this machine itself", False),
    (IssuerSettings, "BASE_URL", "issuer.example", "write https://host", False),
    (IssuerSettings, "BASE_URL", "https://[", "is no address", False),
    (IssuerSettings, "RESOURCES", '["https://a.example", "http://b.example"]', "write https://", False),
    (IssuerSettings, "BIND_ADDRESS", ANYWHERE, "VERWIJSINDEX_TLS_CERTIFICATE", True),
    (IssuerSettings, "BIND_ADDRESS", "::", "VERWIJSINDEX_TLS_CERTIFICATE", True),
    (IssuerSettings, "BIND_ADDRESS", "10.0.0.7", "VERWIJSINDEX_TLS_CERTIFICATE", True),
    (IssuerSettings, "TLS_CERTIFICATE", "none.pem", "needs its key", False),
    (IssuerSettings, "TLS_CLIENT_CA", "none.pem", "cannot be read", False),
    (IssuerSettings, "CA_FILE", "none.pem", "cannot be read as CA certificates", False),
    (IssuerSettings, "ISSUER_DATABASE_URL", _PG.format("db.example"), _PLAIN_PG, True),
    (IssuerSettings, "ISSUER_DATABASE_URL", _PG.format("db.example") + "?sslmode=require", _PLAIN_PG, True),
    (IssuerSettings, "ISSUER_DATABASE_URL", _PG.format("localhost,db.example"), _PLAIN_PG, True),
    (IssuerSettings, "ISSUER_DATABASE_URL", _PG.format("") + "?host=db.example", _PLAIN_PG, True),
    (IndexSettings, "ISSUERS", _ISSUERS.format("http://i.example", "https://i.example"), "write https://", False),
    (IndexSettings, "ISSUERS", _ISSUERS.format("https://i.example", "http://i.example"), "write https://", True),
    (IndexSettings, "ISSUERS", REVOKED, "write https://", True),
    (IndexSettings, "BROKER_URL", "redis://:hunter2@redis.example:6379/0", "write rediss://", True),
    (WorkerSettings, "BROKER_URL", "rediss://r.example?ssl_cert_reqs=none", "does not verify who answers", False),
    (WorkerSettings, "BROKER_URL", "rediss://r.example?ssl_check_hostname=false", "does not verify", False),
    (WorkerSettings, "WORKER_DATABASE_URL", _PG.format("10.1.2.3:5432"), _PLAIN_PG, True),
]


def _settings(monkeypatch: pytest.MonkeyPatch, kind: type[Settings], told: dict[str, str]) -> str:
    """What is wrong with them, or nothing."""
    with monkeypatch.context() as environment:
        for name, value in told.items():
            environment.setenv(f"VERWIJSINDEX_{name}", value)
        try:
            kind()
        except ValidationError as error:
            return settings_faults(error)
    return ""


@pytest.mark.parametrize(("kind", "variable", "value", "why", "may_be_plain"), REFUSED)
def test_what_would_go_without_tls_is_refused(
    monkeypatch: pytest.MonkeyPatch, kind: type[Settings], variable: str, value: str, why: str, may_be_plain: bool
) -> None:
    """In a sentence that says what to do, and without the password."""
    said = _settings(monkeypatch, kind, GOOD[kind] | {variable: value})
    assert said.splitlines()[1].startswith(f"  VERWIJSINDEX_{variable}: ")
    assert len(said.splitlines()) == 2
    assert why in said
    assert "hunter2" not in said
    plain = _settings(monkeypatch, kind, GOOD[kind] | {variable: value, "PLAIN_NETWORK": "true"})
    assert (plain == "") == may_be_plain


def test_what_is_right_is_accepted(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
    own = str(authority.certificate())
    more: dict[type[Settings], dict[str, str]] = {
        IssuerSettings: {
            "BIND_ADDRESS": ANYWHERE,
            "TLS_CERTIFICATE": own,
            "TLS_KEY": own,
            "TLS_CLIENT_CA": str(authority.file),
            "BASE_URL": "http://127.0.0.1:8103",
            "ISSUER_DATABASE_URL": _PG.format("a.example,b.example") + "?sslmode=verify-full&sslrootcert=system",
        },
        IndexSettings: {"CA_FILE": str(authority.file), "BIND_ADDRESS": "::1"},
        WorkerSettings: {},
    }
    for kind, good in GOOD.items():
        assert _settings(monkeypatch, kind, good) == ""
        assert _settings(monkeypatch, kind, good | more[kind]) == ""


def test_a_key_that_others_can_read_is_refused(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
    own = authority.certificate("open.example")
    own.chmod(0o644)
    told = GOOD[IssuerSettings] | {"TLS_CERTIFICATE": str(own), "TLS_KEY": str(own)}
    assert "can be used by others" in _settings(monkeypatch, IssuerSettings, told)
