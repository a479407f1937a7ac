# SPDX-License-Identifier: EUPL-1.2
"""Webhooks by real workers to real receivers (I3); what delivery does in detail is in tests/notices."""

import json
import time
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook
from system.receiver import Receiver, answering, hanging
from system.world import INSTITUTIONS, System, until

pytestmark = pytest.mark.system

SUBSCRIBER = INSTITUTIONS[3]


def test_a_worker_killed_while_it_delivers(system: System) -> None:
    """The receiver had the webhook, the worker died before it wrote that down: it comes again after the lease, with
    the same id and content, and then no more. Meanwhile the inbox had it at once."""
    mine, other = system.reporters(2, (SUBSCRIBER, INSTITUTIONS[0]))
    with Receiver(hanging) as receiver:
        secret = system.subscribe(SUBSCRIBER, receiver.address)
        [youngster] = system.youngsters(1)
        system.place(youngster, mine)
        system.place(youngster, other)
        system.until_no_work()
        assert len(system.listed("/notices", mine)) == 1
        until(lambda: len(receiver.received) == 1, 15)
        system.stack.process("deliverer").kill()
        receiver.behaviour = answering(204)
        [row] = system.rows(
            "SELECT d.id, d.attempts, d.leased_until, d.delivered_at FROM delivery d"
            " JOIN subscription s USING (client_id) WHERE s.oin = :oin",
            oin=SUBSCRIBER,
        )
        assert (str(row.id), row.attempts, row.delivered_at) == (receiver.ids[0], 1, None)
        assert row.leased_until > datetime.now(UTC)
        system.change("UPDATE delivery SET leased_until = now()")  # rather than wait two minutes
        system.stack.restart("deliverer")
        until(lambda: len(receiver.received) == 2, 30)
        until(
            lambda: system.rows("SELECT FROM delivery WHERE id = :id AND delivered_at IS NOT NULL", id=row.id) != [], 10
        )
        first, second = receiver.received
        assert receiver.ids[0] == receiver.ids[1]
        assert first.body == second.body
        Webhook(secret).verify(second.body, second.headers)
        assert json.loads(second.body)["subject"] == str(mine.id)
    system.change("DELETE FROM delivery")
    system.change("DELETE FROM subscription")


def test_receivers_that_hang_hold_up_no_matching(system: System) -> None:
    """Four institutions whose receivers hang, some hundreds of deliveries due, and a deliverer that waits for them: a
    new pair of signals is matched before the first of those tries ends. Seen failing (matched after the first tries had
    ended, 60 seconds later) with one worker of two processes for both queues."""
    reporters = system.reporters(4)
    timeout = "VERWIJSINDEX_WEBHOOK_TIMEOUT_SECONDS"
    system.stack.environment[timeout] = "60"
    system.stack.restart("deliverer")
    with ExitStack() as stack:
        receivers = [stack.enter_context(Receiver(hanging)) for _ in INSTITUTIONS]
        try:
            for oin, receiver in zip(INSTITUTIONS, receivers, strict=True):
                system.subscribe(oin, receiver.address)
            placed = [system.place(one, each) for one in system.youngsters(60) for each in reporters]
            system.until_no_work()
            until(lambda: all(receiver.received for receiver in receivers), 30)
            time.sleep(3)  # the clock asks for more deliveries, each second
            [delivery] = system.rows("SELECT count(*) AS due FROM delivery WHERE leased_until IS NULL")
            assert delivery.due > 200
            placed += [system.place(one, each) for one in system.youngsters(1) for each in reporters[:2]]
            system.until_no_work()
            assert system.rows("SELECT FROM delivery WHERE last_outcome IS NOT NULL") == []
            system.check_truth(placed)
        finally:
            system.stack.process("deliverer").kill()
            del system.stack.environment[timeout]
            system.change("DELETE FROM delivery")
            system.change("DELETE FROM subscription")
            system.stack.restart("deliverer")


def test_a_client_manages_its_subscription_and_misses_nothing(system: System) -> None:
    """By API, with a real deliverer and a real receiver: challenged, paused, rotated, replayed."""
    mine, other = system.reporters(2, (SUBSCRIBER, INSTITUTIONS[0]))
    with Receiver() as receiver:
        try:
            old = system.subscribe(SUBSCRIBER, receiver.address)
            [one] = system.subscription(SUBSCRIBER, "GET")["items"]
            path = f"/{one['id']}"
            assert len(receiver.challenges) == 1
            system.subscription(SUBSCRIBER, "PATCH", path, {"state": "paused"})
            for youngster in system.youngsters(3):
                system.place(youngster, mine)
                system.place(youngster, other)
            system.until_no_work()
            until(lambda: system.subscription(SUBSCRIBER, "GET", path)["waiting"] == 3, 10)
            time.sleep(3)  # ticks pass
            assert receiver.received == []
            new = system.subscription(SUBSCRIBER, "POST", f"{path}/secrets")["secret"]
            system.subscription(SUBSCRIBER, "PATCH", path, {"state": "active"})
            until(lambda: len(receiver.received) == 3, 15)
            for got in receiver.received:
                for secret in (old, new):
                    Webhook(secret).verify(got.body, got.headers)
            until(lambda: system.subscription(SUBSCRIBER, "GET", path)["waiting"] == 0, 10)
            again = {"delivery": receiver.ids[0]}
            assert system.subscription(SUBSCRIBER, "POST", f"{path}/replays", again) == {"count": 1}
            until(lambda: len(receiver.received) == 4, 15)
            assert receiver.ids[3] == receiver.ids[0]
            until(lambda: len(system.subscription(SUBSCRIBER, "GET", f"{path}/attempts")["items"]) == 1 + 3 + 1, 10)
            assert system.subscription(SUBSCRIBER, "DELETE", path) == {"discarded": 0}
            assert len(system.listed("/notices", mine)) == 3
        finally:
            system.change("DELETE FROM subscription")
