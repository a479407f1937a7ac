# SPDX-License-Identifier: EUPL-1.2
"""`verwijsindex upkeep ends`: all that is due at once, and what the metrics say of it (R14 to R16)."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from support import CLINIC, NOW, SCHOOL, Index, pseudonym
from test_metrics import value
from typer.testing import CliRunner, Result

from verwijsindex.cli import command_line
from verwijsindex.signals.tombstones import read
from verwijsindex.workers import commands
from verwijsindex.workers.measuring import Measuring

Run = Callable[[], Result]


@pytest.fixture
def run(index: Index, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(commands, "utc_now", index.clock)
    environment = {
        "BASE_URL": "https://index.example",
        "WORKER_DATABASE_URL": index.database.urls["verwijsindex_worker"].get_secret_value(),
        "BROKER_URL": "redis://127.0.0.1:1/0",
        "KEYS": str(index.folder),
        "TOMBSTONES": str(index.folder / "tombstones.txt"),
        "LEDGER_KEY": str(index.folder / "ledger.jwk"),
        "LEDGER_ORIGIN": "index.example/ledger",
    }
    named = {f"VERWIJSINDEX_{name}": said for name, said in environment.items()}
    return lambda: CliRunner().invoke(command_line("upkeep"), ["upkeep", "ends"], env=named)


def _oldest(index: Index) -> float:
    Measuring().look(index.database.engine("worker"), SecretStr("redis://127.0.0.1:1/0"), index.clock())
    return value("oldest_seconds", queue="end")


def test_all_that_is_due_ends_at_once_and_what_waits_is_matched(index: Index, run: Run) -> None:
    soon = (NOW.date() + timedelta(days=3)).isoformat()
    gone = {index.place(n, SCHOOL, turns23On=soon, removalDate=soon) for n in range(3)}
    for n in range(3):
        index.place(n, CLINIC)
    done = run()
    assert (done.exit_code, done.stdout) == (0, "0 signals archived, 0 destroyed, 9 notices placed\n"), done.output
    assert _oldest(index) == 0
    index.clock.now = NOW + timedelta(days=3)
    assert _oldest(index) == 11 * 3600  # midnight in Amsterdam was eleven hours before ten o'clock UTC
    assert run().stdout == "0 signals archived, 3 destroyed, 0 notices placed\n"
    assert read([index.folder / "tombstones.txt"]) == (gone, {}, 0)
    assert _oldest(index) == 0
    index.clock.now = NOW + timedelta(days=731)
    assert run().stdout == "3 signals archived, 0 destroyed, 0 notices placed\n"
    index.clock.now = NOW + timedelta(days=731 + 5 * 366)
    assert _oldest(index) > 0
    assert run().stdout == "0 signals archived, 3 destroyed, 0 notices placed\n"
    assert run().stdout == "0 signals archived, 0 destroyed, 0 notices placed\n"


def test_what_could_not_be_destroyed_is_said(index: Index, run: Run) -> None:
    soon = (NOW.date() + timedelta(days=3)).isoformat()
    index.place(0, SCHOOL, turns23On=soon, removalDate=soon)
    index.match()
    index.clock.now = NOW + timedelta(days=4)
    (index.folder / "tombstones.txt").mkdir()
    done = run()
    assert done.exit_code == 1
    assert "error: 1 are left" in done.output
    assert index.database.scalar("SELECT count(*) FROM signal") == 1


def test_what_just_ended_and_could_not_be_destroyed_is_said_and_tried_again_at_once(index: Index, run: Run) -> None:
    """The matcher used up its work; also the archive of who died. Seen failing (status 0) when the sweep left what had
    ended within the last minute."""
    withdrawn, dead = index.place(0, SCHOOL), index.place(1, SCHOOL)
    index.match()
    with index.database.superuser.begin() as connection:
        ending = "UPDATE signal SET ended_at = :now, end_reason = :reason WHERE id = :signal"
        connection.execute(sa.text(ending), {"now": index.clock(), "reason": "risk_gone", "signal": dead})
        connection.execute(sa.text("INSERT INTO work (signal_id) VALUES (:signal)"), {"signal": dead})
    index.match()
    key = index.app.extensions["index_keys"].current.seal_pseudonym("youngster", pseudonym(1))
    with index.database.superuser.begin() as connection:
        connection.execute(sa.text(ending), {"now": index.clock(), "reason": "unjustified", "signal": withdrawn})
        connection.execute(sa.text("INSERT INTO work (signal_id) VALUES (:signal)"), {"signal": withdrawn})
        told = "INSERT INTO death VALUES (gen_random_uuid(), :key, 1, :now)"
        connection.execute(sa.text(told), {"key": key, "now": index.clock()})
    (index.folder / "tombstones.txt").mkdir()
    for _ in range(2):
        done = run()
        assert (done.exit_code, "error: 2 are left" in done.output) == (1, True), done.output
    (index.folder / "tombstones.txt").rmdir()
    done = run()
    assert (done.exit_code, done.stdout) == (0, "0 signals archived, 2 destroyed, 0 notices placed\n"), done.output
    assert read([index.folder / "tombstones.txt"]).destroyed == {withdrawn, dead}


def test_one_that_fails_is_parked_and_named_by_the_log(index: Index, run: Run) -> None:
    index.place(0, SCHOOL, turns23On=(NOW.date() + timedelta(days=1500)).isoformat())
    index.match()
    with index.database.superuser.begin() as connection:
        connection.execute(sa.text("UPDATE signal SET turns23_on_sealed = '\\x00'"))
    index.clock.now = NOW + timedelta(days=800)
    done = run()
    assert (done.exit_code, "work.parked" in done.output, "1 are left" in done.output) == (1, True, True)
    assert _oldest(index) > 3600, "it alarms"
