# SPDX-License-Identifier: EUPL-1.2
"""Limits and revocation in real processes (R37): over two processes of the index, with Redis gone, within a minute."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from joserfc.jwk import OKPKey
from pydantic import SecretStr
from system.world import INSTITUTIONS, System, until

from verwijsindex import database
from verwijsindex.access.caller import SCOPES
from verwijsindex.issuer import service
from verwijsindex.issuer.signing import Terms

pytestmark = pytest.mark.system

LONG = bool(os.environ.get("TEST_LONG"))
LIMIT = 20


@pytest.fixture
def limited(system: System) -> Iterator[System]:
    """The index as two processes that let a reporter place twenty signals a day, and no Redis."""
    before = dict(system.stack.environment)
    more = {"VERWIJSINDEX_WORKERS": "2", "VERWIJSINDEX_SIGNALS_PER_REPORTER": str(LIMIT)}
    system.stack.environment |= more
    system.stack.restart("index")
    system.stack.redis.kill()
    yield system
    system.stack.redis.restart()
    system.stack.environment.clear()
    system.stack.environment |= before
    system.stack.restart("index")


def test_over_two_processes_and_without_redis_exactly_the_limit_is_placed(limited: System) -> None:
    """Sixteen at once on connections of their own. In tests/limits it is seen failing without the guard."""
    [reporter] = limited.reporters(1)
    youngsters = limited.youngsters(3 * LIMIT)
    headers = limited.headers(reporter.oin)
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda y: limited.post(y, reporter, headers=headers), youngsters))
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(201), statuses.count(429)) == (LIMIT, 2 * LIMIT)
    assert {answer.json()["detail"][:13] for answer in answers if answer.status_code == 429} == {"This reporter"}
    [row] = limited.rows("SELECT count(*) AS placed FROM signal WHERE reporter_id = :id", id=reporter.id)
    assert row.placed == LIMIT


def test_a_revoked_client_is_out_of_both_services(system: System) -> None:
    """Within a minute while they run (TEST_LONG); in the short run the index is started anew, and has the list then."""
    owner = database.engine(SecretStr(system.stack.environment["VERWIJSINDEX_ISSUER_OWNER_DATABASE_URL"]))
    with owner.begin() as connection:
        service.register_client(
            connection,
            client_id="soon-revoked",
            name="",
            oin=INSTITUTIONS[0],
            public_key=OKPKey.generate_key("Ed25519"),
            scopes=SCOPES["machine"],
            now=datetime.now(UTC),
        )

    def status(at: str, path: str) -> int:
        terms = Terms(at, frozenset(SCOPES["machine"]), timedelta(minutes=55))
        token = system.signer.machine_token("soon-revoked", INSTITUTIONS[0], terms, datetime.now(UTC))
        return httpx.post(at + path, json={}, headers={"Authorization": f"Bearer {token}"}, trust_env=False).status_code

    index, pseudonyms = (system.stack.index, "/api/v1/signal-batches"), (system.stack.pseudonyms, "/api/v1/evaluations")
    assert (status(*index), status(*pseudonyms)) == (400, 400)  # believed, and told that the body is empty
    with owner.begin() as connection:
        assert service.revoke_client(connection, "soon-revoked", datetime.now(UTC))
    owner.dispose()
    if not LONG:
        time.sleep(5)  # so long the issuer hands out the list that it made
        system.stack.restart("index")
        assert status(*index) == 401
        return
    until(lambda: (status(*index), status(*pseudonyms)) == (401, 401), 60)
