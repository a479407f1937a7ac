# SPDX-License-Identifier: EUPL-1.2
"""Processes that are killed: what got a 201 is there, nothing happens twice, and all goes on by itself (I1 to I3).

A few rounds each. Every process that a test ends it starts again.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from threading import Event

import httpx
import pytest
import sqlalchemy as sa
from system.world import Placed, System, until

pytestmark = pytest.mark.system


@contextmanager
def held_up(system: System) -> Iterator[None]:
    """Keeps the matcher from placing a notice: it waits in the middle of its transaction, after its matching."""
    with system.superuser.begin() as connection:
        connection.execute(sa.text("LOCK TABLE notice IN SHARE MODE"))
        yield


def matcher_waits(system: System) -> bool:
    """Whether a matcher is in the middle of its transaction, held up."""
    [row] = system.rows("SELECT count(*) AS n FROM pg_locks WHERE relation = 'notice'::regclass AND NOT granted")
    return bool(row.n)


def test_redis_gone(system: System) -> None:
    """A signal is accepted without Redis (nor waits for it: tests/test_bell.py), and matched all the same: the clock
    stands in for the workers.

    Seen failing (nothing matched for as long as Redis was away) before the clock did.
    """
    reporters = system.reporters(3)
    placed = []
    for youngster in system.youngsters(2):
        system.stack.redis.kill()
        try:
            placed += [system.place(youngster, reporter) for reporter in reporters]
            system.until_no_work(60)
        finally:
            system.stack.redis.restart()
    placed += [system.place(youngster, reporters[0]) for youngster in system.youngsters(1)]
    system.until_no_work(60)
    system.check_truth(placed)
    system.stack.check()


def test_worker_killed_in_the_middle_of_matching(system: System) -> None:
    """Nothing of what it had half done stays, and the next worker does it once."""
    reporters = system.reporters(4)
    placed: list[Placed] = []
    for youngsters in (system.youngsters(10) for _ in range(3)):
        with held_up(system):
            placed += [system.place(one, reporter) for one in youngsters for reporter in reporters]
            until(lambda: matcher_waits(system), 20)
            system.stack.process("worker").kill()
        system.stack.restart("worker")
        system.until_no_work(60)
    system.check_truth(placed)


def test_index_killed_right_after_its_201(system: System) -> None:
    """I1: whatever got its 201 before the kill is there, and matched; whatever did not may be sent again."""
    reporters = system.reporters(4)
    for _ in range(3):
        youngsters = system.youngsters(300)
        placed: list[Placed] = []
        enough, gone = Event(), Event()

        def send(
            thread: int,
            youngsters: list[int] = youngsters,
            placed: list[Placed] = placed,
            enough: Event = enough,
            gone: Event = gone,
        ) -> None:
            with suppress(httpx.HTTPError):  # the connection broke: no answer, no promise
                for youngster in youngsters:
                    if gone.is_set():
                        return
                    placed.append(system.place(youngster, reporters[thread]))
                    if len(placed) > 40:
                        enough.set()

        with ThreadPoolExecutor(4) as threads:
            done = [threads.submit(send, thread) for thread in range(4)]
            assert enough.wait(30)
            system.stack.process("index").kill()
            gone.set()
            for one in done:
                one.result()
        system.stack.restart("index")
        ids = {str(one.id) for one in placed}
        there = {signal["id"] for reporter in reporters for signal in system.listed("/signals", reporter)}
        assert ids <= there
        system.until_no_work()
        stored = system.rows("SELECT id FROM signal WHERE reporter_id = ANY(:r)", r=[one.id for one in reporters])
        assert {str(row.id) for row in stored} == there


def test_postgresql_killed_and_started_again(system: System) -> None:
    """I1. The index says 503 meanwhile, and serves again within 30 seconds without anyone's help; so do the workers.

    Seen failing ("a signal that got its 201 is gone") when intake did not wait for the disk (`synchronous_commit` off).
    """
    reporters = system.reporters(2)
    placed = []
    for youngster in system.youngsters(2):
        placed.append(system.place(youngster, reporters[0]))
        system.stack.postgres.kill()
        try:
            answer = system.post(youngster, reporters[1])
            assert answer.status_code == 503
            assert answer.headers["content-type"] == "application/problem+json"
            assert system.http.get("/health/live").status_code == 200
            assert system.http.get("/health/ready").status_code == 503
            assert httpx.get(f"{system.stack.issuer}/health/ready").status_code == 503
        finally:
            system.stack.postgres.restart()
            system.disconnect()
        began = time.monotonic()
        until(lambda: system.http.get("/health/ready").status_code == 200, 30)
        placed.append(system.place(youngster, reporters[1]))
        system.until_no_work(30 - (time.monotonic() - began))
        until(lambda: httpx.get(f"{system.stack.issuer}/health/ready").status_code == 200, 30)
    system.check_truth(placed)
    system.stack.check()


def test_workers_health(system: System) -> None:
    """`verwijsindex health` says whether worker and clock do their work."""

    def well() -> bool:
        with suppress(RuntimeError):
            return "do their work" in system.stack.run("health")
        return False

    until(well, 30)
    system.stack.redis.restart()  # the mark is gone, and comes back with the next sweep
    until(well, 30)
    system.stack.process("worker").kill()
    try:
        system.stack.redis.restart()
        with pytest.raises(RuntimeError, match="no sweep went well lately"):
            system.stack.run("health")
        system.stack.redis.kill()
        with pytest.raises(RuntimeError, match="Redis does not answer"):
            system.stack.run("health")
    finally:
        system.stack.redis.restart()
        system.stack.restart("worker")
    until(well, 60)
