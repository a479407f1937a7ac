# SPDX-License-Identifier: EUPL-1.2
"""The matcher: signals and row writes a second at the national mix, with few and with many live signals present.

The question is whether it keeps up with intake, and whether a row written costs the same however many there are. The
index is filled by `bench.national`; the matcher is `matching.service`, in one process, as a worker runs it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import sqlalchemy as sa
import typer
from pydantic import SecretStr
from rich.console import Console

from bench import national
from bench.figures import Figure, show
from verwijsindex import database
from verwijsindex.embedded.postgres import EmbeddedPostgres
from verwijsindex.matching.service import match_waiting
from verwijsindex.operating import ENVIRONMENT, addresses

SIZES = (100_005, 999_990)
FULL_SIZES = (*SIZES, 4_999_995)
_WRITES = sa.text("SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables")


@dataclass(frozen=True, slots=True)
class Run:
    """What one size gave."""

    live: int
    signals: float  # a second
    rows: float  # a second
    notices: float  # a signal


def measure(console: Console, *, full: bool, intake: float | None = None) -> list[Figure]:
    """Figures for each size; `intake`: the top rate of single requests of the same run, to keep up with."""
    runs = list(_runs(console, FULL_SIZES if full else SIZES, signals=15_000 if full else 5_000))
    figures = []
    for one in runs:
        name = f"signals matched, {one.live:,} live ({one.notices:.1f} notices each)"
        beside = "top intake, one a request" if intake else ""
        figures.append(Figure(name, one.signals, "a second", beside, intake, goal=1 if intake else None))
        figures.append(Figure(f"rows written by it, {one.live:,} live", one.rows, "a second"))
    first, last = runs[0], runs[-1]
    name = f"time of a row written, {last.live:,} live"
    beside = f"with {first.live:,} live"
    figures.append(Figure(name, 1e6 / last.rows, "µs", beside, 1e6 / first.rows, goal=1.25, at_most=True))
    return figures


def _runs(console: Console, sizes: tuple[int, ...], signals: int) -> Iterator[Run]:
    now = datetime.now(UTC)
    with an_index() as (superuser, pool):
        national.register(superuser)
        there = arrived = 0
        for live in sizes:
            console.print(f"filling an index with {live:,} live signals")
            national.fill(superuser, there, live, now)
            there = live
            for count in (signals // 5, signals):  # the first warms up
                national.arrive(superuser, arrived, count, live, now)
                arrived += count
                run = _match(superuser, pool, live, now)
            yield run


def _match(superuser: sa.Engine, pool: sa.Engine, live: int, now: datetime) -> Run:
    before = _writes(superuser)
    taken = notices = 0
    more = True
    began = time.perf_counter()
    while more:
        done = match_waiting(pool, now, now, keys={})
        taken, notices, more = taken + done.taken, notices + done.looked.notices, done.more
    seconds = time.perf_counter() - began
    return Run(live, taken / seconds, (_writes(superuser) - before) / seconds, notices / taken)


def _writes(superuser: sa.Engine) -> int:
    time.sleep(1.5)  # until every session has reported its counts
    with superuser.connect() as connection:
        return int(connection.execute(_WRITES).scalar_one())


@contextmanager
def an_index() -> Iterator[tuple[sa.Engine, sa.Engine]]:
    """An index's database of its own: engines of the superuser and of the worker."""
    passwords = dict.fromkeys(database.ROLES, "only-in-a-bench")
    with EmbeddedPostgres() as server:
        database.init_cluster(server.url().replace("+psycopg", ""), passwords)
        urls = addresses(server.url(), passwords)
        database.upgrade(SecretStr(urls[ENVIRONMENT["verwijsindex_owner"]]), "index")
        superuser = sa.create_engine(server.url(database.DATABASES["index"]))
        pool = database.engine(SecretStr(urls[ENVIRONMENT["verwijsindex_worker"]]), pool_size=2)
        yield superuser, pool
        pool.dispose()
        superuser.dispose()


def main(full: Annotated[bool, typer.Option(help="With five million live signals as well.")] = False) -> None:
    """Measure the matcher."""
    console = Console(width=140)
    show(console, "Matcher", measure(console, full=full))
    console.print(f"python -m bench.matcher{' --full' if full else ''}")


if __name__ == "__main__":
    typer.run(main)
