# SPDX-License-Identifier: EUPL-1.2
"""Webhooks by real workers to a real receiver (I3); what delivery does in detail is in tests/notices."""

import json
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
        system.stack.process("worker").kill()
        receiver.behaviour = answering(204)
        [row] = system.rows("SELECT id, attempts, leased_until, delivered_at FROM delivery")
        assert (str(row.id), row.attempts, row.delivered_at) == (receiver.ids[0], 1, None)
        assert row.leased_until > datetime.now(UTC)
        system.change("UPDATE delivery SET leased_until = now()")  # rather than wait two minutes
        system.stack.restart("worker")
        until(lambda: len(receiver.received) == 2, 30)
        until(lambda: system.rows("SELECT FROM delivery WHERE delivered_at IS NOT NULL") != [], 10)
        first, second = receiver.received
        assert receiver.ids[0] == receiver.ids[1]
        assert first.body == second.body
        Webhook(secret).verify(second.body, second.headers)
        assert json.loads(second.body)["subject"] == str(mine.id)
    system.change("DELETE FROM delivery")
    system.change("DELETE FROM subscription")
