# SPDX-License-Identifier: EUPL-1.2
"""Bursts of pseudonyms are heard of from the pseudonym service, and each is raised once (R37)."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from joserfc.jwk import OKPKey
from support import NOW, SCHOOL, Database, Logged

from verwijsindex.auditing.bursts import raise_pseudonym_bursts
from verwijsindex.auditing.fetching import BurstSource
from verwijsindex.keyfiles import write_public_key, write_signing_key

SERVICE, ISSUER = "https://pseudonyms.test", "https://issuer.test"


def burst(elements: int = 60, **changes: Any) -> dict[str, Any]:
    return {"oin": SCHOOL, "reporterId": str(uuid4()), "day": "2026-11-22", "elements": elements} | changes


class Service:
    """Issuer and pseudonym service, as far as they are asked."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.status = 200
        self.asked = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/.well-known"):
            return httpx.Response(200, json={"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token"})
        if request.url.path == "/token":
            return httpx.Response(200, json={"access_token": "a.b.c", "expires_in": 600})
        assert (str(request.url), request.headers["Authorization"]) == (f"{SERVICE}/api/v1/bursts", "Bearer a.b.c")
        self.asked += 1
        return httpx.Response(self.status, json={"items": self.items})


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def source(service: Service, tmp_path: Path) -> BurstSource:
    write_signing_key(tmp_path / "own.jwk", OKPKey.generate_key("Ed25519"))
    write_public_key(tmp_path / "signer.json", OKPKey.generate_key("Ed25519"))
    (tmp_path / "client.toml").write_text(
        f'index = "https://index.test"\npseudonyms = "{SERVICE}"\nissuer = "{ISSUER}"\nclient_id = "watcher"\n'
        'key_file = "own.jwk"\nkey_list_signer = "signer.json"\n'
    )
    return BurstSource(tmp_path / "client.toml", httpx.MockTransport(service))


def test_each_burst_is_raised_once_and_grows(index_database: Database, service: Service, source: BurstSource) -> None:
    """However often it is told: the service tells four weeks each time. Seen failing without `grown`."""
    worker, now = index_database.engine("worker"), NOW
    service.items = [burst(), burst(highestBefore=12)]
    assert source.look(worker, now) == 2
    for elements in (60, 75, 60):
        now += timedelta(minutes=1)
        service.items[0]["elements"] = elements
        assert source.look(worker, now) == 0
    rows = index_database.rows("SELECT kind, who, oin, acting, counted, highest_before FROM alert ORDER BY counted")
    assert [tuple(row) for row in rows] == [
        ("pseudonym_burst", service.items[1]["reporterId"], SCHOOL, "reporter", 60, 12),
        ("pseudonym_burst", service.items[0]["reporterId"], SCHOOL, "reporter", 75, None),
    ]
    assert index_database.scalar("SELECT count(*) FROM event WHERE kind = 'alert.raised'") == 2


def test_it_is_asked_once_a_minute(index_database: Database, service: Service, source: BurstSource) -> None:
    for seconds in (0, 30, 59, 60, 100):
        source.look(index_database.engine("worker"), NOW + timedelta(seconds=seconds))
    assert service.asked == 2


@pytest.mark.parametrize("status", [403, 500])
def test_a_service_that_does_not_tell_is_logged_and_asked_again(
    index_database: Database, service: Service, source: BurstSource, logged: Logged, status: int
) -> None:
    service.status, service.items = status, [burst()]
    assert source.look(index_database.engine("worker"), NOW) == 0
    assert len(logged.lines("bursts.not_heard_of")) == 1
    assert service.items[0]["reporterId"] not in logged.text
    service.status = 200
    assert source.look(index_database.engine("worker"), NOW + timedelta(minutes=1)) == 1


def test_two_that_hear_at_once_raise_one(index_database: Database) -> None:
    """Seen failing without the unique index `alert_one_of_a_day`."""
    told, raised = [burst()], []
    barrier = threading.Barrier(4)

    def run() -> None:
        with index_database.engine("worker").begin() as connection:
            barrier.wait()
            raised.append(raise_pseudonym_bursts(connection, told, NOW))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sum(raised), index_database.scalar("SELECT count(*) FROM alert")) == (1, 1)
