# SPDX-License-Identifier: EUPL-1.2
"""Nobody waits for who changes a subscription, or for another worker: matching and delivery go on."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from uuid import UUID

import pytest
from notices.posting import Post, now
from sqlalchemy import Connection
from support import CLINIC, SCHOOL

from verwijsindex.database import Scope, transaction
from verwijsindex.notices import outcomes, subscriptions
from verwijsindex.notices.outcomes import Result
from verwijsindex.notices.subscription_schemas import ReplayIn

Change = Callable[[Connection, UUID], object]
NOWHERE = "http://127.0.0.1:9/"


def replay(connection: Connection, subscription: UUID) -> object:
    everything = ReplayIn.model_validate({"since": "2026-11-22T00:00:00Z"})
    return subscriptions.replay(connection, subscription, everything, now())


def discard(connection: Connection, subscription: UUID) -> object:
    """The long part of a deletion."""
    row = subscriptions._lock(connection, subscription)
    return connection.execute(subscriptions._DISCARD_DELIVERIES, {"client_id": row.client_id})


@pytest.mark.parametrize("change", [replay, discard])
def test_a_long_change_of_a_subscription_holds_up_neither_matcher_nor_deliverer(post: Post, change: Change) -> None:
    """A client with very many deliveries sent all of them again, over and over, and nobody in the country was matched.
    Seen failing, with a matcher that waited, when an act locked its row FOR UPDATE; and with a deliverer that waited
    when a failure was written back without SKIP LOCKED."""
    post.subscribe(SCHOOL, NOWHERE, confirmed=False)
    post.change("UPDATE subscription SET state = 'active', confirmed_address = address")
    post.tell()
    subscription = post.subscription(SCHOOL).id
    scope = Scope(now().date(), oin=SCHOOL, client_id=f"client-{SCHOOL}")
    changing, over = Event(), Event()

    def slowly() -> None:
        with transaction(post.index.database.engine("index"), scope) as connection:
            change(connection, subscription)
            changing.set()
            over.wait(20)

    with transaction(post.index.database.engine("worker")) as connection:
        [row] = outcomes.claim(connection, {f"client-{SCHOOL}": 1}, now())
    with ThreadPoolExecutor(3) as threads:
        act = threads.submit(slowly)
        try:
            assert changing.wait(10)
            post.index.place(1, SCHOOL)
            post.index.place(1, CLINIC)
            threads.submit(post.index.match).result(timeout=10)
            threads.submit(_write_back, post, _failed(row)).result(timeout=10)
        finally:
            over.set()
        act.result(timeout=10)


def test_two_workers_with_the_same_receivers_do_not_wait_for_each_other(post: Post) -> None:
    """Each with one that failed, which the other finds well again. Seen failing (DeadlockDetected, and what receivers
    had taken was sent to them again) without SKIP LOCKED."""
    for oin in (SCHOOL, CLINIC):
        post.subscribe(oin, NOWHERE, confirmed=False)
    post.change("UPDATE subscription SET state = 'active', confirmed_address = address")
    post.tell(matches=20)
    with transaction(post.index.database.engine("worker")) as connection:
        rows = outcomes.claim(connection, {f"client-{SCHOOL}": 20, f"client-{CLINIC}": 20}, now())
    schools = [row for row in rows if row.client_id == f"client-{SCHOOL}"]
    clinics = [row for row in rows if row.client_id == f"client-{CLINIC}"]
    together = Barrier(2)

    def write_back(failed: Result, taken: Result) -> None:
        together.wait(20)
        _write_back(post, failed, taken)

    with ThreadPoolExecutor(2) as workers:
        for n in range(0, 20, 2):
            post.change("UPDATE subscription SET failures = 3, rests_until = NULL")
            one = workers.submit(write_back, _failed(schools[n]), _taken(clinics[n]))
            other = workers.submit(write_back, _failed(clinics[n + 1]), _taken(schools[n + 1]))
            one.result(timeout=20)
            other.result(timeout=20)
    assert post.tries() == 40


def _write_back(post: Post, *results: Result) -> None:
    with transaction(post.index.database.engine("worker")) as connection:
        outcomes.write_back(connection, results, now())


def _failed(row: object) -> Result:
    return Result(row, now(), "status 500", 1)  # type: ignore[arg-type]


def _taken(row: object) -> Result:
    return Result(row, now(), "ok", 1)  # type: ignore[arg-type]
