# SPDX-License-Identifier: EUPL-1.2
"""The bell: never in the way of who rings it, one ring for many, and each queue gets its own (I1, decision 0001)."""

import socket
import time

import pytest
from celery import Celery
from pydantic import SecretStr
from support import Logged

from verwijsindex.bell import DELIVER_TASK, MAIL_TASK, MATCH_TASK, SWEEP_TASK, Bell, celery_app


class Ear(Celery):
    """Hears what is rung; `fault` is raised instead of sending."""

    heard: list[float]
    fault: Exception | None = None

    def send_task(self, name: str, *args: object, **options: object) -> None:  # type: ignore[override]
        assert (name, args) == (MATCH_TASK, ())
        assert "args" not in options, "a bell carries nothing"
        assert "kwargs" not in options, "a bell carries nothing"
        self.heard.append(time.monotonic())
        if self.fault:
            raise self.fault


@pytest.fixture
def ear() -> Ear:
    made = Ear("ear", set_as_current=False)
    made.heard = []
    return made


def _heard(ear: Ear, count: int) -> None:
    give_up_at = time.monotonic() + 5
    while len(ear.heard) < count:
        assert time.monotonic() < give_up_at
        time.sleep(0.005)


def test_many_rings_within_fifty_milliseconds_are_few(ear: Ear) -> None:
    bell = Bell(ear, MATCH_TASK)
    began = time.monotonic()
    while time.monotonic() - began < 0.5:
        bell.ring()
    time.sleep(0.1)
    assert 2 <= len(ear.heard) <= 12
    gaps = [after - before for before, after in zip(ear.heard, ear.heard[1:], strict=False)]
    assert min(gaps) >= 0.05


def test_the_last_ring_is_heard_too(ear: Ear) -> None:
    """What was inserted just after a ring was heard is announced by the next one."""
    bell = Bell(ear, MATCH_TASK)
    bell.ring()
    _heard(ear, 1)
    bell.ring()
    _heard(ear, 2)


def test_a_failing_broker_is_no_ringers_concern(ear: Ear, logged: Logged) -> None:
    ear.fault = ConnectionRefusedError("redis://:secret@127.0.0.1/0")
    bell = Bell(ear, MATCH_TASK)
    bell.ring()
    _heard(ear, 1)
    ear.fault = None
    bell.ring()
    _heard(ear, 2)
    assert "ConnectionRefusedError" in logged.text
    assert "secret" not in logged.text


@pytest.mark.timeout(60)
def test_nobody_waits_for_a_broker_that_hangs() -> None:
    """It accepts connections and never says a word. A thousand who waited would take many minutes."""
    with socket.create_server(("127.0.0.1", 0)) as hung:
        broker = celery_app(SecretStr(f"redis://127.0.0.1:{hung.getsockname()[1]}/0"))
        bell = Bell(broker, MATCH_TASK)
        for _ in range(1000):
            bell.ring()


def test_each_queue_gets_its_own_messages() -> None:
    """With the route of deliveries taken out they stood in the matcher's queue."""
    app = celery_app(SecretStr("memory://"))
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        queues = {name: queue(channel) for name, queue in app.amqp.queues.items()}
        for queue in queues.values():
            queue.declare()
            queue.purge()
        for task in (MATCH_TASK, SWEEP_TASK, DELIVER_TASK, MAIL_TASK):
            app.send_task(task, connection=connection)
        found: dict[str, list[str]] = {}
        for name, queue in queues.items():
            found[name] = []
            while message := queue.get(no_ack=True):
                found[name].append(message.headers["task"])
    assert found == {"verwijsindex.match": [MATCH_TASK, SWEEP_TASK], "verwijsindex.deliver": [DELIVER_TASK, MAIL_TASK]}
