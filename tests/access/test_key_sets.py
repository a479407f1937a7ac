# SPDX-License-Identifier: EUPL-1.2
"""The keys of an issuer: fetched over real HTTP, cached, fetched anew, and kept while the issuer is away."""

import gzip
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey

from verwijsindex.access import key_sets
from verwijsindex.access.key_sets import FetchError, KeySet, fetch_over_http
from verwijsindex.problems import Problem
from verwijsindex.settings import TrustedIssuer


class Issuer(ThreadingHTTPServer):
    """Serves what a test puts in `body`, and counts."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/jwks.json"
        self.status, self.headers, self.pause, self.fetches = 200, dict[str, str](), 0.0, 0
        self.body = b""

    def publish(self, *keys: OKPKey) -> None:
        self.body = json.dumps({"keys": [k.as_dict(private=False) | {"kid": k.thumbprint()} for k in keys]}).encode()


class _Handler(BaseHTTPRequestHandler):
    server: Issuer

    def do_GET(self) -> None:
        self.server.fetches += 1
        time.sleep(self.server.pause)
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    server = Issuer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def keys(issuer: Issuer, clock: Any, key: OKPKey) -> KeySet:
    issuer.publish(key)
    return KeySet(TrustedIssuer(issuer="https://issuer.example", jwks_url=issuer.url), clock, fetch_over_http)


def later(clock: Any, seconds: float) -> None:
    clock.now += timedelta(seconds=seconds)


def test_keys_are_fetched_once_in_five_minutes(keys: KeySet, issuer: Issuer, clock: Any, key: OKPKey) -> None:
    first = keys.get(key.thumbprint())
    assert first is not None
    for _ in range(50):
        assert keys.get(key.thumbprint()) is first
    later(clock, 300)
    keys.get(key.thumbprint())
    assert issuer.fetches == 1
    later(clock, 1)
    assert keys.get(key.thumbprint()) is first, "the same key stays the same object"
    assert issuer.fetches == 2


def test_a_new_key_is_found_at_once_and_an_old_one_forgotten(
    keys: KeySet, issuer: Issuer, clock: Any, key: OKPKey
) -> None:
    keys.get(key.thumbprint())
    new = OKPKey.generate_key("Ed25519")
    issuer.publish(new)
    later(clock, 10)
    assert keys.get(new.thumbprint()) is not None
    assert keys.get(key.thumbprint()) is None


def test_unknown_ids_make_one_fetch_in_ten_seconds(keys: KeySet, issuer: Issuer, clock: Any) -> None:
    """Else every invented token would be a request to the issuer."""
    for _ in range(100):
        assert keys.get("unknown") is None
    assert issuer.fetches == 1
    later(clock, 9.9)
    keys.get("unknown")
    assert issuer.fetches == 1
    later(clock, 0.1)
    keys.get("unknown")
    assert issuer.fetches == 2


def test_the_keys_that_were_had_serve_while_the_issuer_is_away(
    keys: KeySet, issuer: Issuer, clock: Any, key: OKPKey
) -> None:
    held = keys.get(key.thumbprint())
    good = issuer.body
    for status, body in ((500, good), (200, b""), (200, b"[]"), (200, b'{"keys":[]}'), (200, b"[" * 5000)):
        issuer.status, issuer.body = status, body
        later(clock, 3600)
        assert keys.get(key.thumbprint()) is held
    issuer.shutdown()
    issuer.server_close()
    later(clock, 3600)
    assert keys.get(key.thumbprint()) is held
    assert issuer.fetches == 6


def test_many_at_once_make_one_fetch(keys: KeySet, issuer: Issuer, key: OKPKey) -> None:
    issuer.pause = 0.2
    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(lambda _: keys.get(key.thumbprint()), range(32)))
    assert None not in found
    assert issuer.fetches == 1


def test_who_has_the_key_does_not_wait_for_a_slow_issuer(keys: KeySet, issuer: Issuer, clock: Any, key: OKPKey) -> None:
    keys.get(key.thumbprint())
    later(clock, 301)
    issuer.pause = 2.0
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(keys.get, key.thumbprint())
        while issuer.fetches < 2:
            time.sleep(0.005)
        assert keys.get(key.thumbprint()) is not None
        assert not slow.done()
        assert slow.result() is not None


def test_only_ed25519_keys_for_signing_count(keys: KeySet, issuer: Issuer, key: OKPKey) -> None:
    good = key.as_dict(private=False)
    others: list[Any] = [
        ECKey.generate_key("P-256").as_dict(private=False) | {"kid": "ec"},
        OKPKey.generate_key("Ed448").as_dict(private=False) | {"kid": "ed448"},
        OKPKey.generate_key("X25519").as_dict(private=False) | {"kid": "x25519"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "oct"},
        good | {"kid": "enc", "use": "enc"},
        good | {"kid": 7},
        {"kty": "OKP", "crv": "Ed25519", "x": "short", "kid": "short"},
        {"kty": "OKP", "crv": "Ed25519", "kid": "no x"},
        "text",
        None,
    ]
    issuer.body = json.dumps({"keys": [*others, good]}).encode()
    assert keys.get(key.thumbprint()) is not None, "a key without an id is known by its thumbprint"
    for kid in ("ec", "ed448", "x25519", "oct", "enc", "short", "no x"):
        assert keys.get(kid) is None


def test_a_private_key_that_is_published_by_mistake_is_read_as_public(
    keys: KeySet, issuer: Issuer, key: OKPKey
) -> None:
    issuer.body = json.dumps({"keys": [key.as_dict(private=True)]}).encode()
    found = keys.get(key.thumbprint())
    assert found is not None
    assert not found.jwk.is_private


def test_redirects_are_not_followed(keys: KeySet, issuer: Issuer, key: OKPKey) -> None:
    issuer.status, issuer.headers = 302, {"Location": issuer.url + "?again"}
    with pytest.raises(Problem):
        keys.get(key.thumbprint())
    assert issuer.fetches == 1


def test_an_answer_is_bounded_in_size_also_when_compressed(issuer: Issuer) -> None:
    issuer.body = b" " * (256 * 1024 + 1)
    with pytest.raises(FetchError, match="too large"):
        fetch_over_http(issuer.url)
    issuer.body, issuer.headers = gzip.compress(bytes(10_000_000)), {"Content-Encoding": "gzip"}
    assert len(fetch_over_http(issuer.url)) < 256 * 1024, "it is not unpacked"


def test_an_answer_is_bounded_in_time(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_sets, "_PATIENCE_SECONDS", 0.3)
    issuer.pause = 5
    with pytest.raises(FetchError, match="ReadTimeout"):
        fetch_over_http(issuer.url)


def test_too_many_keys_are_no_key_set(keys: KeySet, issuer: Issuer, key: OKPKey) -> None:
    issuer.publish(*[key] * 17)
    with pytest.raises(Problem):
        keys.get(key.thumbprint())
