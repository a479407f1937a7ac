# SPDX-License-Identifier: EUPL-1.2
"""What the system leans on is away, slow or stopped, under load: what a sender sees meanwhile, and that all is right
afterwards (I1 to I4; docs/reliability.md). One system for all; each test leaves it whole."""

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa
from support import only_long
from system.fire.fire import BACK_WITHIN, Fire, fire
from system.fire.proxy import Proxy
from system.test_crashes import held_up, matcher_waits
from system.world import INSTITUTIONS, System, until

from verwijsindex.embedded.stack import Stack

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

LONG = bool(os.environ.get("TEST_LONG"))
SEED = 11


@pytest.fixture(scope="module")
def burning() -> Iterator[Fire]:
    """A system that reaches PostgreSQL through `proxy`."""
    with ExitStack() as undo:

        def through_a_proxy(stack: Stack) -> None:
            proxies.append(undo.enter_context(Proxy(stack.postgres.port)))
            for name, value in list(stack.environment.items()):
                if name.endswith("_DATABASE_URL"):
                    stack.environment[name] = value.replace(f":{stack.postgres.port}/", f":{proxies[0].port}/")

        proxies: list[Proxy] = []
        made = undo.enter_context(
            fire(SEED, youngsters=1500 if LONG else 400, probes=20, before_processes=through_a_proxy)
        )
        [made.proxy] = proxies
        yield made


def restart(system: System, *names: str) -> None:
    """Some processes anew, all at once."""
    with ThreadPoolExecutor(len(names)) as threads:
        list(threads.map(system.stack.restart, names))


@contextmanager
def answers(burning: Fire) -> Iterator[Counter[str]]:
    """What senders were answered within it."""
    before, seen = burning.load.statuses.copy(), Counter[str]()
    yield seen
    seen.update(burning.load.statuses - before)


def back(burning: Fire) -> None:
    """Everything works within 30 seconds from now, and no process died."""
    assert burning.probe(time.monotonic()) < BACK_WITHIN
    burning.system.stack.check()


def test_postgresql_away_for_ten_seconds(burning: Fire) -> None:
    """Nothing is accepted meanwhile, all that is said is 503, and what was being done is done once in the end."""
    with burning.load:
        time.sleep(2)
        burning.proxy.cut()
        with answers(burning) as seen:
            time.sleep(10)
        burning.proxy.mend()
        back(burning)
    assert seen["index 503"] > 0
    on_their_way = 2 * len(INSTITUTIONS)  # one answer to each sender
    assert seen["index 201"] <= on_their_way, "a signal was accepted without PostgreSQL"
    burning.judge()


@only_long
def test_postgresql_slow_by_a_second_a_statement(burning: Fire) -> None:
    """Signals are accepted, slowly."""
    with burning.load:
        burning.proxy.delay = 1.0
        with answers(burning) as seen:
            time.sleep(40 if LONG else 8)
        burning.proxy.delay = 0.0
        back(burning)
    assert seen["index 201"] > 0
    burning.judge()


def test_redis_gone_and_two_clocks_at_once(burning: Fire) -> None:
    """Redis is away for the whole run, and both clocks stand in for the workers at the same time: matched and told by
    webhook all the same, each once."""
    system = burning.system
    command, settings, _ = system.stack._celery("clock")
    command = [part.replace("beat-schedule", "other-schedule") for part in command]
    other = subprocess.Popen(
        command, env=system.stack.environment | settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    system.stack.redis.kill()
    try:
        with burning.load:
            for _ in range(4 if LONG else 1):
                time.sleep(3)
                back(burning)
        burning.judge()
    finally:
        system.stack.redis.restart()
        other.kill()
        other.wait()
    back(burning)


@only_long
def test_a_worker_stopped_in_the_middle_of_matching(burning: Fire) -> None:
    """It holds the matcher's lock, and is stopped (SIGSTOP: a machine that swaps, a paused container). PostgreSQL ends
    its transaction after a while, another one matches, and the first, when it goes on, does nothing twice.

    The while is 3 seconds here for 30 in truth.
    """
    system, seconds = burning.system, 30 if LONG else 3
    system.change(f"ALTER ROLE verwijsindex_worker SET idle_in_transaction_session_timeout = '{seconds}s'")
    restart(system, "worker", "clock")
    stopped: list[int] = []
    try:
        with burning.load:
            with held_up(system):
                until(lambda: matcher_waits(system), 20)
                worker = psutil.Process(system.stack.process("worker").pid)
                stopped = [process.pid for process in worker.children(recursive=True)]
                for pid in stopped:
                    os.kill(pid, signal.SIGSTOP)
            until(lambda: not _holds_the_lock(system), seconds + 20)
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
            back(burning)
        burning.judge()
    finally:
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        system.change("ALTER ROLE verwijsindex_worker SET idle_in_transaction_session_timeout = '30s'")


def _holds_the_lock(system: System) -> bool:
    [row] = system.rows("SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory'")
    return bool(row.n)


@only_long
def test_postgresql_killed_while_the_matcher_is_at_work(burning: Fire) -> None:
    """In the middle of its transaction, and at the moment of its commit: nothing of it is there, or all."""
    system = burning.system
    for moment in range(4 if LONG else 2):
        with burning.load:
            time.sleep(1)
            if moment % 2:
                with suppress(sa.exc.SQLAlchemyError), held_up(system):
                    until(lambda: matcher_waits(system), 20)
                    system.stack.postgres.kill()
            else:
                until(lambda: bool(system.rows(COMMITTING)), 20, every=0.0)
                system.stack.postgres.kill()
            system.stack.postgres.restart()
            system.disconnect()
            back(burning)
    burning.judge()


COMMITTING = (
    "SELECT FROM pg_stat_activity WHERE usename = 'verwijsindex_worker' AND query ~ 'INSERT INTO (event|notice)'"
)


SKEWED = """
import os
from datetime import UTC, datetime, timedelta
import verwijsindex.settings
skew = timedelta(seconds=float(os.environ["SKEW_SECONDS"]))
verwijsindex.settings.utc_now = lambda: datetime.now(UTC) + skew
"""


@only_long
def test_clocks_that_differ(burning: Fire, tmp_path: Path) -> None:
    """The worker is a minute and a half behind the index, the deliverer as much ahead of it."""
    (tmp_path / "sitecustomize.py").write_text(SKEWED)
    environment = burning.system.stack.environment
    path = environment.get("PYTHONPATH", "")
    try:
        environment["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{path}"
        for name, skew in (("worker", "-90"), ("deliverer", "90")):
            environment["SKEW_SECONDS"] = skew
            burning.system.stack.restart(name)
        with burning.load:
            time.sleep(4)
            back(burning)
        burning.judge()
    finally:
        del environment["SKEW_SECONDS"]
        environment["PYTHONPATH"] = path
        restart(burning.system, "worker", "deliverer")


def test_a_poison_row(burning: Fire) -> None:
    """A row of work that cannot be done is parked with an alarm: a line in the log, and a health that says so. All
    else goes on; an hour later it is tried again. Seen failing: two workers took the matcher's lock from each other
    while they looked for the row, and nothing was matched any more."""
    system = burning.system
    mine, other = burning.reporters[0], burning.reporters[1]
    [youngster] = system.youngsters(1)
    key = system.place(youngster, mine)
    system.until_no_work()
    system.change(
        "CREATE FUNCTION sabotage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'sabotage'; END $$;"
        "CREATE TRIGGER sabotage BEFORE UPDATE ON signal FOR EACH ROW"
        f" WHEN (NEW.youngster_id = '{_youngster_of(system, str(key.id))}') EXECUTE FUNCTION sabotage()"
    )
    try:
        with burning.load:
            poison = system.place(youngster, other)
            parked = "SELECT FROM work WHERE parked_at IS NOT NULL"
            until(lambda: len(system.rows(parked)) == 1, 30)
            assert "work.parked" in (system.stack.folder / "worker.log").read_text()
            back(burning)
            until(lambda: not _healthy(system), 60)
        [waiting] = system.rows("SELECT signal_id FROM work WHERE parked_at IS NOT NULL")
        assert waiting.signal_id == poison.id
    finally:
        system.change("DROP FUNCTION sabotage() CASCADE")
        system.change("UPDATE work SET parked_at = parked_at - interval '61 minutes' WHERE parked_at IS NOT NULL")
    until(lambda: not system.rows("SELECT FROM work"), 30)
    until(lambda: _healthy(system), 30)
    for number, one in enumerate((key, poison)):
        burning.load.placed[-10_000 - number] = one
    burning.judge()


def _youngster_of(system: System, signal_id: str) -> object:
    [row] = system.rows("SELECT youngster_id FROM signal WHERE id = CAST(:id AS uuid)", id=signal_id)
    return row.youngster_id


def _healthy(system: System) -> bool:
    with suppress(RuntimeError):
        return "do their work" in system.stack.run("health")
    return False
