# SPDX-License-Identifier: EUPL-1.2
"""Ends that come by themselves: signals a second that expire at once, and what intake feels of it.

Of a country of signals, in matches of ten, four fifths expired yesterday and go into the archive; the others turned 23
and are destroyed. The ceiling of the same run is a plain DELETE of as many rows of such a table, in batches as large.
The second half ends by `verwijsindex upkeep ends`, beside intake, which is measured without it before.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

import sqlalchemy as sa
import typer
from pydantic import SecretStr
from rich.console import Console

from bench import intake, national
from bench.figures import Figure, show
from bench.load import Load, run
from verwijsindex.database import engine
from verwijsindex.embedded.stack import Stack
from verwijsindex.matching.service import LOCK_WAITED_FOR
from verwijsindex.matching.sweeping import BATCH, sweep_ends
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.signals.dates import AMSTERDAM, two_years_after
from verwijsindex.signals.tombstones import Tombstones

_EXPIRED = sa.text("SELECT count(*) FROM signal WHERE removal_date <= :today")
_COPY = (
    "CREATE TABLE bench_signal (LIKE signal INCLUDING INDEXES)",
    "INSERT INTO bench_signal SELECT * FROM signal WHERE removal_date <= current_date LIMIT {count}",
    "ANALYZE bench_signal",
)
_DELETE = sa.text(
    "DELETE FROM bench_signal WHERE id = ANY(ARRAY(SELECT id FROM bench_signal ORDER BY removal_date LIMIT :size))"
)


def measure(console: Console, *, full: bool) -> list[Figure]:
    """Figures of ends with a million signals that are due, or a few."""
    ended, signals = (999_990, 20_000) if full else (60_000, 2_000)
    with intake.index(console, 15_000) as (stack, reporters):
        superuser = sa.create_engine(stack.postgres.url("verwijsindex"))
        _expire(console, superuser, ended)
        sender = intake.Sender(stack, reporters)
        run(stack.index, sender.signals(500), connections=intake.CONNECTIONS)
        console.print("measuring intake alone, the ends alone, and both")
        alone, rate = _intake(stack, sender, signals, None)
        ends = _sweep(stack, superuser, ended // 2)
        ceiling = _delete(superuser, ended // 2)
        with _command(stack) as command:
            left = _left(superuser)
            while _left(superuser) == left:
                time.sleep(0.1)
            began, left = time.perf_counter(), _left(superuser)
            beside, _ = _intake(stack, sender, signals, rate)
            still_running = command.poll() is None
            both = (left - _left(superuser)) / (time.perf_counter() - began)
        superuser.dispose()
    note = "" if still_running else " (it was done before)"
    return [
        Figure("signals ended", ends, "a second", "plain DELETE of as many rows", ceiling),
        Figure(f"signals ended beside intake{note}", both, "a second", "alone", ends),
        Figure(f"intake beside the ends{note}", beside[0].per_second, "a second", "alone", alone[0].per_second),
        Figure(
            f"p99 of intake at {rate:.0f} a second beside the ends{note}",
            beside[1].percentile(99) * 1000,
            "ms",
            "alone",
            alone[1].percentile(99) * 1000,
            at_most=True,
        ),
    ]


def _expire(console: Console, superuser: sa.Engine, count: int) -> None:
    """The first 15,000 signals are live; what comes after them ended at midnight."""
    console.print(f"filling it with {count:,} signals that are due")
    today = datetime.now(AMSTERDAM).date()
    made = datetime(today.year - 2, today.month, min(today.day, 28), 12, tzinfo=UTC)
    of_age = 15_000 + count * 4 // 5 // national.GROUP * national.GROUP
    national.fill(superuser, 15_000, of_age, made, two_years_after(made.date()))
    national.fill(superuser, of_age, 15_000 + count, made + timedelta(days=99), today)


def _intake(stack: Stack, sender: intake.Sender, signals: int, rate: float | None) -> tuple[tuple[Load, Load], float]:
    """As fast as it goes, and at this rate (half of that, unless given)."""
    top = run(stack.index, sender.signals(signals), connections=intake.CONNECTIONS)
    rate = rate or top.per_second / 2
    half = run(stack.index, sender.signals(signals // 2), connections=intake.CONNECTIONS, per_second=rate)
    return (top, half), rate


def _sweep(stack: Stack, superuser: sa.Engine, count: int) -> float:
    pool = engine(SecretStr(stack.environment["VERWIJSINDEX_WORKER_DATABASE_URL"]), pool_size=1)
    keys, bury = IndexKeys.load(stack.keys), Tombstones(stack.folder / "bench-tombstones.txt").bury
    with superuser.begin() as connection:
        connection.exec_driver_sql("DELETE FROM work")  # what intake left: it is not what is measured
        connection.exec_driver_sql("DELETE FROM signal WHERE sealed_pseudonym IS NOT NULL")
    done, began = 0, time.perf_counter()
    while done < count:
        now = datetime.now(UTC)
        looked = sweep_ends(pool, now, now, keys=keys, bury=bury, lock=LOCK_WAITED_FOR).looked
        done += looked.archived + looked.destroyed
    seconds = time.perf_counter() - began
    pool.dispose()
    return done / seconds


def _delete(superuser: sa.Engine, count: int) -> float:
    with superuser.begin() as connection:
        for statement in _COPY:
            connection.exec_driver_sql(statement.format(count=count))
        rows = connection.exec_driver_sql("SELECT count(*) FROM bench_signal").scalar_one()
    began, done = time.perf_counter(), 0
    while done < rows:
        with superuser.begin() as connection:
            done += connection.execute(_DELETE, {"size": BATCH}).rowcount
    return done / (time.perf_counter() - began)


def _left(superuser: sa.Engine) -> int:
    with superuser.connect() as connection:
        return int(connection.execute(_EXPIRED, {"today": datetime.now(AMSTERDAM).date()}).scalar_one())


@contextmanager
def _command(stack: Stack) -> Iterator["subprocess.Popen[bytes]"]:
    """`verwijsindex upkeep ends`, until it is done."""
    environment = stack.environment | {"VERWIJSINDEX_BASE_URL": stack.index}
    command = [sys.executable, "-m", "verwijsindex", "upkeep", "ends"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        yield process
        if process.wait():
            raise RuntimeError("verwijsindex upkeep ends failed")


def main(full: Annotated[bool, typer.Option(envvar="FULL", help="A million signals that are due.")] = False) -> None:
    """Measure how signals end, and what intake feels of it."""
    console = Console(width=150)
    show(console, "Ends", measure(console, full=full))
    console.print(f"python -m bench.ends{' --full' if full else ''}")


if __name__ == "__main__":
    typer.run(main)
