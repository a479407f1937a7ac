# SPDX-License-Identifier: EUPL-1.2
"""Turning a key: rows sealed again a second, with the index key alone and with the pseudonym key.

The steps are those of `turning.service` in one process, without the pauses in which the command lets the matcher go
first (as long as the work: it takes twice the time). Beside each stands one plain UPDATE that writes the same columns
of the same rows with what PostgreSQL has at hand.
"""

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
import typer
from rich.console import Console

from bench import national
from bench.figures import Figure, show
from bench.matcher import an_index
from verwijsindex.database import transaction
from verwijsindex.ledger.events import Actor
from verwijsindex.pseudonyms.factors import Factor, Factors
from verwijsindex.pseudonyms.pseudonym import Pseudonym
from verwijsindex.pseudonyms.ristretto import invert, multiply_base, multiply_scalars, random_scalar
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.turning import service

LIVE, FULL_LIVE = 100_005, 999_990
_PLAIN: dict[service.Table, str] = {
    "youngster": "UPDATE youngster SET key = sha384(key), key_version = key_version",
    "signal": "UPDATE signal SET case_reference_sealed = sha384(case_reference_sealed), key_version = key_version",
}


def measure(console: Console, *, full: bool) -> list[Figure]:
    """Figures for youngsters and for signals, each with a case reference."""
    live, now, keys = FULL_LIVE if full else LIVE, datetime.now(UTC), _keys()
    with an_index() as (superuser, _):
        console.print(f"filling an index with {live:,} live signals")
        national.register(superuser)
        national.fill(superuser, 0, live, now)
        _seal_for_real(superuser, keys)
        found: dict[tuple[int, service.Table], float] = {}
        for target in (2, 3):
            with transaction(superuser) as connection:
                service.activate(connection, keys, target, Actor(role="administrator"), now)
                service.end_older(connection)
            for table in _PLAIN:
                found[target, table] = _timed(superuser, table, partial(_turn, superuser, keys, table, target))
            with transaction(superuser) as connection:
                service.drop_ended(connection, Actor(role="administrator"), now)
        plain = {table: _timed(superuser, table, partial(_update, superuser, table)) for table in _PLAIN}
    names = {2: "the index key alone", 3: "the pseudonym key too"}
    return [
        Figure(f"{table}s turned, {names[target]}", rate, "a second", "one plain UPDATE", plain[table])
        for (target, table), rate in found.items()
    ]


def _keys() -> IndexKeys:
    k1, k2 = random_scalar(), random_scalar()
    factor = Factor(1, 2, multiply_scalars(k2, invert(k1)), multiply_base(k1), multiply_base(k2))
    secrets = {1: os.urandom(32), 2: os.urandom(32), 3: os.urandom(32) + (2).to_bytes(4)}
    return IndexKeys(secrets, factors=Factors([factor]))


def _seal_for_real(superuser: sa.Engine, keys: IndexKeys) -> None:
    """In the place of the hashes of `national`: what opens."""
    for table, column in (("youngster", "key"), ("signal", "case_reference_sealed")):
        with superuser.begin() as connection:
            ids: list[UUID] = list(connection.execute(sa.text(f"SELECT id FROM {table}")).scalars())
            connection.execute(sa.text("CREATE TEMPORARY TABLE made (id uuid, sealed bytea)"))
            cursor = connection.connection.cursor()
            with cursor.copy("COPY made FROM STDIN") as copy:
                for row, sealed in zip(ids, _sealed(keys, table, ids), strict=True):
                    copy.write_row((row, sealed))
            connection.execute(sa.text(f"UPDATE {table} t SET {column} = made.sealed FROM made WHERE made.id = t.id"))
            connection.execute(sa.text("DROP TABLE made"))


def _sealed(keys: IndexKeys, table: str, ids: list[UUID]) -> Iterator[bytes]:
    for row in ids:
        if table == "youngster":
            yield keys[1].seal_pseudonym("youngster", Pseudonym(multiply_base(random_scalar()), 1))
        else:
            yield keys[1].seal("case-reference", row.bytes, b"REF-2026-000001")


def _timed(superuser: sa.Engine, table: service.Table, work: Callable[[], int]) -> float:
    """Rows a second, of a table that was just tidied."""
    with superuser.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(f"VACUUM (ANALYZE) {table}"))
    began = time.perf_counter()
    rows = work()
    return rows / (time.perf_counter() - began)


def _turn(superuser: sa.Engine, keys: IndexKeys, table: service.Table, target: int) -> int:
    rows, after = 0, service.FIRST
    while True:
        with transaction(superuser) as connection:
            done = service.reseal(connection, keys, table, target, after)
        rows += done.sealed
        if done.after is None:
            return rows
        after = done.after


def _update(superuser: sa.Engine, table: service.Table) -> int:
    with superuser.begin() as connection:
        return connection.execute(sa.text(_PLAIN[table])).rowcount


def main(full: Annotated[bool, typer.Option(help="With a million live signals.")] = False) -> None:
    """Measure the turning of keys."""
    console = Console(width=140)
    show(console, "Turning a key", measure(console, full=full))
    console.print(f"python -m bench.turn{' --full' if full else ''}")


if __name__ == "__main__":
    typer.run(main)
