# SPDX-License-Identifier: EUPL-1.2
"""Ends that come by themselves: signals a second that expire at once, and what intake feels of it.

Of a country of signals, in matches of ten, four fifths expired yesterday and go into the archive; the others turned 23
and are destroyed. The ceiling of the same run is a plain DELETE of as many rows of such a table, in batches as large.
The second half ends by `verwijsindex upkeep ends`, which also matches what comes in, beside intake at half its top and
at its top; both are measured without it before.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

import sqlalchemy as sa
import typer
from pydantic import SecretStr
from rich.console import Console
from rich.progress import Progress

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

SMALL, FULL = (60_000, 4_000), (999_990, 20_000)
"""How many signals are due, and how many come in while intake is measured."""
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
    ended, signals = FULL if full else SMALL
    with intake.index(console, 15_000) as (stack, reporters):
        superuser = sa.create_engine(stack.postgres.url("verwijsindex"))
        _expire(console, superuser, ended)
        sender = intake.Sender(stack, reporters)
        run(stack.index, sender.signals(500), connections=intake.CONNECTIONS)
        console.print("measuring intake alone, the ends alone, and both")
        alone = run(stack.index, sender.signals(signals), connections=intake.CONNECTIONS)
        rate = alone.per_second / 2
        half = run(stack.index, sender.signals(signals // 2), connections=intake.CONNECTIONS, per_second=rate)
        ends = _sweep(console, stack, superuser, ended // 2)
        ceiling = _delete(superuser, ended // 2)
        with _command(stack) as command:
            left = _left(superuser)
            while _left(superuser) == left:
                time.sleep(0.1)
            half_beside, ends_at_half = _beside(stack, superuser, sender.signals(signals // 2), rate)
            beside, ends_at_top = _beside(stack, superuser, sender.signals(signals), None)
            note = "" if command.poll() is None else " (they were done before)"
        superuser.dispose()
    p99, p99_alone = half_beside.percentile(99) * 1000, half.percentile(99) * 1000
    name = f"p99 of intake at {rate:.0f} a second beside the ends{note}"
    return [
        Figure("signals ended", ends, "a second", "plain DELETE of as many rows", ceiling),
        Figure(f"signals ended beside intake at {rate:.0f} a second{note}", ends_at_half, "a second", "alone", ends),
        Figure(f"signals ended beside all the intake there can be{note}", ends_at_top, "a second", "alone", ends),
        Figure(f"intake beside the ends{note}", beside.per_second, "a second", "alone", alone.per_second, goal=0.8),
        Figure(name, p99, "ms", "alone", p99_alone, at_most=True),
    ]


def _expire(console: Console, superuser: sa.Engine, count: int) -> None:
    """The first 15,000 signals are live; what comes after them ended at midnight."""
    console.print(f"filling it with {count:,} signals that are due")
    today = datetime.now(AMSTERDAM).date()
    made = datetime(today.year - 2, today.month, min(today.day, 28), 12, tzinfo=UTC)
    of_age = 15_000 + count * 4 // 5 // national.GROUP * national.GROUP
    national.fill(superuser, 15_000, of_age, made, two_years_after(made.date()))
    national.fill(superuser, of_age, 15_000 + count, made + timedelta(days=99), today)


def _beside(stack: Stack, superuser: sa.Engine, requests: Sequence[bytes], rate: float | None) -> tuple[Load, float]:
    """Intake at this rate, or as fast as it goes; and how many signals a second ended meanwhile."""
    left, began = _left(superuser), time.perf_counter()
    load = run(stack.index, requests, connections=intake.CONNECTIONS, per_second=rate)
    return load, (left - _left(superuser)) / (time.perf_counter() - began)


def _sweep(console: Console, stack: Stack, superuser: sa.Engine, count: int) -> float:
    pool = engine(SecretStr(stack.environment["VERWIJSINDEX_WORKER_DATABASE_URL"]), pool_size=1)
    keys, bury = IndexKeys.load(stack.keys), Tombstones(stack.folder / "bench-tombstones.txt").bury
    with superuser.begin() as connection:
        connection.exec_driver_sql("DELETE FROM work")  # what intake left: it is not what is measured
        connection.exec_driver_sql("DELETE FROM signal WHERE sealed_pseudonym IS NOT NULL")
    done, began = 0, time.perf_counter()
    with Progress(console=console) as progress:
        bar = progress.add_task("ended, alone", total=count)
        while done < count:
            now = datetime.now(UTC)
            looked = sweep_ends(pool, now, now, keys=keys, bury=bury, lock=LOCK_WAITED_FOR).looked
            done += looked.archived + looked.destroyed
            progress.update(bar, completed=done)
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
    """`verwijsindex upkeep ends`, until it is done; it shows by itself how far it is."""
    environment = stack.environment | {"VERWIJSINDEX_BASE_URL": stack.index}
    command = [sys.executable, "-m", "verwijsindex", "upkeep", "ends"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
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
