# SPDX-License-Identifier: EUPL-1.2
"""The ledger: what an event costs an intake, and how many events a second are sealed, exported and verified.

The share of an intake is measured by pgbench: the very statement of `signals.service`, with its event and the queue of
the sealer, beside the same statement without them. Verification is one process and one core.
"""

import re
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from joserfc.jwk import OKPKey
from pydantic import SecretStr
from rich.console import Console

from bench import intake
from bench.figures import Figure, show
from bench.intake import _pgbench, _same_statement
from verwijsindex import database
from verwijsindex.embedded.stack import Stack
from verwijsindex.ledger import events, sealing
from verwijsindex.ledger.checkpoint import Checkpoint, Signer
from verwijsindex.ledger.events import Actor, Event
from verwijsindex.ledger.exporting import export
from verwijsindex.ledger.verification import verify

SIGNER = Signer("bench.example/ledger", OKPKey.generate_key("Ed25519"))
TOP = 1_100
"""Signals a second of one index's top intake, one a request, where none was measured in this run."""
_ACTOR = Actor("machine", "bench", intake.OIN, on_behalf_of=uuid4())
_WRITTEN = 5_000  # events at once


def measure(console: Console, *, full: bool, intake_rate: float | None = None) -> list[Figure]:
    """The share of an intake; sealing, export and verification of a hundred thousand events, of a million if `full`."""
    count = 1_000_000 if full else 100_000
    with intake.index(console, 15_000) as (stack, reporters):
        with_event, without = _share(stack, _same_statement(reporters[0]))
        console.print(f"writing, sealing, exporting and verifying {count:,} events")
        sealed, exported, verified, bare = _through(stack, count)
    top = intake_rate or TOP
    share = 1e6 / with_event - 1e6 / without
    return [
        Figure(
            "of an intake's statement: event and queue", share, "µs", "all of it", 1e6 / with_event, 0.15, at_most=True
        ),
        Figure("events sealed, one sealer", sealed, "a second", "top intake, one a request", top, goal=5),
        Figure("events exported, whole", exported, "a second", "reading the rows alone", bare),
        Figure(
            "events verified, one core", verified, "a second", "10 million in five minutes", 10_000_000 / 300, goal=1
        ),
    ]


def _share(stack: Stack, statement: str) -> tuple[float, float]:
    """Statements a second with the event and its place in the queue, and without: by turns, so that a busy moment hits
    both."""
    without = re.sub(r"INSERT INTO event ?\([^)]*\)", "", statement)  # what is left is a SELECT that nobody asks for
    assert without != statement
    found = [(_pgbench(stack, statement), _pgbench(stack, without)) for _ in range(2)]
    return max(one for one, _ in found), max(one for _, one in found)


def _through(stack: Stack, count: int) -> tuple[float, float, float, float]:
    """Events a second: sealed, exported, verified; and read by one plain SELECT."""
    now = datetime.now(UTC)
    owner = database.engine(SecretStr(stack.environment["VERWIJSINDEX_OWNER_DATABASE_URL"]), pool_size=1)
    worker = database.engine(SecretStr(stack.environment["VERWIJSINDEX_WORKER_DATABASE_URL"]), pool_size=1)
    while sealing.seal(worker, now, SIGNER):
        pass
    for _ in range(0, count, _WRITTEN):
        with owner.begin() as connection:
            registered = (
                Event(events.SIGNAL_REGISTERED, now, _ACTOR, says={"signalId": str(uuid4())}) for _ in range(_WRITTEN)
            )
            events.append(connection, list(registered))
    began = time.perf_counter()
    while sealing.seal(worker, now, SIGNER):
        pass
    sealed = count / (time.perf_counter() - began)
    with tempfile.TemporaryDirectory() as folder, owner.begin() as connection:
        path = Path(folder) / "ledger"
        began = time.perf_counter()
        with path.open("wb") as file:
            total = export(connection, file, public=False)
        exported = total / (time.perf_counter() - began)
        began = time.perf_counter()
        rows = connection.exec_driver_sql("SELECT body, nonce FROM event").yield_per(5_000)
        bare = sum(1 for _ in rows) / (time.perf_counter() - began)
        note = connection.exec_driver_sql("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1").scalar_one()
        began = time.perf_counter()
        with path.open("rb") as file:
            verdict = verify(file, [Checkpoint.open(note, [SIGNER.key])], [SIGNER.key], now=now)
        verified = total / (time.perf_counter() - began)
    assert (verdict.count, verdict.size) == (0, total), verdict.findings[:3]
    for pool in (owner, worker):
        pool.dispose()
    return sealed, exported, verified, bare


def main(full: Annotated[bool, typer.Option(help="A million events.")] = False) -> None:
    """What the ledger costs and how quick it is: python -m bench.ledger"""
    console = Console(width=170)
    show(console, "Ledger", measure(console, full=full))
    console.print(f"python -m bench.ledger{' --full' if full else ''}")


if __name__ == "__main__":
    typer.run(main)
