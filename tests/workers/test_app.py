# SPDX-License-Identifier: EUPL-1.2
"""The tasks of worker and clock: thin, and each comes again while there is more (workers/app.py)."""

import importlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import ModuleType, SimpleNamespace

import pytest
from celery import Task
from joserfc.jwk import OKPKey

from verwijsindex import keyfiles
from verwijsindex.matching.looking import Looked
from verwijsindex.matching.service import Done


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The module as a worker imports it, with settings and a key; nobody is behind its addresses."""
    keys = tmp_path_factory.mktemp("keys")
    keyfiles.write_secret(keys / "index-1.key", bytes(range(32)))
    keyfiles.write_signing_key(keys / "ledger.jwk", OKPKey.generate_key("Ed25519"))
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {
            "BASE_URL": "https://index.example",
            "WORKER_DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:1/none",
            "BROKER_URL": "redis://127.0.0.1:1/0",
            "KEYS": str(keys),
            "PUSH_TICK_SECONDS": "60",
            "TOMBSTONES": str(keys / "tombstones.txt"),
            "MAIL_HOST": "127.0.0.1",
            "MAIL_SECURITY": "none",
            "MAIL_SENDER": "verwijsindex@index.example",
            "LEDGER_KEY": str(keys / "ledger.jwk"),
            "LEDGER_ORIGIN": "index.example/ledger",
        }.items():
            environment.setenv(f"VERWIJSINDEX_{name}", value)
        yield importlib.import_module("verwijsindex.workers.app")


def test_pushes_leave_at_whole_ticks(workers: ModuleType) -> None:
    """So that the time of a push tells an observer nothing (R33)."""
    tick = datetime(2026, 11, 22, 10, 1, tzinfo=UTC)
    for seconds in (0.001, 1, 30, 59.9):
        assert workers.next_tick(tick - timedelta(seconds=seconds)) == tick
    assert workers.next_tick(tick) == tick


def test_matching_goes_on_while_there_is_more(workers: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [Done(500, Looked(3), more=True), Done(500, Looked(3), more=True), Done(7)]
    monkeypatch.setattr(workers, "match_waiting", lambda *_, **__: runs.pop(0))
    workers.match()
    assert runs == []


def test_delivering_comes_again_after_its_turn(workers: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    more, again = [True, True, False], []
    monkeypatch.setattr(workers, "deliverer", lambda: SimpleNamespace(turn=lambda: more.pop(0)))
    monkeypatch.setattr(Task, "apply_async", lambda self, **_: again.append(self.name))
    for _ in range(3):
        workers.deliver()
    assert again == [workers.DELIVER_TASK] * 2


def test_the_clock_knows_all_rounds(workers: ModuleType) -> None:
    schedule = workers.app.conf.beat_schedule
    assert {name: entry["schedule"] for name, entry in schedule.items()} == {"sweep": 5, "deliver": 1, "mail": 1}
    assert all(entry["options"]["expires"] == entry["schedule"] for entry in schedule.values())
    assert {entry["task"] for entry in schedule.values()} <= set(workers.app.tasks)


def test_no_task_carries_data(workers: ModuleType) -> None:
    """A task is a bell: whoever reads Redis learns nothing."""
    for name in (workers.MATCH_TASK, workers.DELIVER_TASK, workers.MAIL_TASK, workers.SWEEP_TASK):
        assert workers.app.tasks[name].run.__code__.co_argcount == 0
    assert workers.app.conf.accept_content == ["json"]
    assert workers.app.conf.task_ignore_result
