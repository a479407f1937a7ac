# SPDX-License-Identifier: EUPL-1.2
"""Intake: signals a second through the whole index, beside pgbench running the very same statement.

Ceilings of the same run, on the same server and with as many connections: pgbench with the statement of
`signals.service` (what PostgreSQL alone makes of it, one signal a commit), and pgbench with a bare insert of one row.
The matcher stands still meanwhile: what it costs is measured by `bench.matcher`. The load generator, the index and
PostgreSQL share the machine. The index runs as docs/operations.md advises: a process for each core, and no more threads
than are needed for as many requests at once as there are connections.
"""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import uuid4

import sqlalchemy as sa
import typer
from rich.console import Console

from bench import national
from bench.figures import Figure, show
from bench.load import Load, request, run
from verwijsindex.access.caller import SCOPES
from verwijsindex.embedded.postgres import programs_folder
from verwijsindex.embedded.stack import Stack
from verwijsindex.issuer.signing import Terms, TokenSigner
from verwijsindex.keyfiles import encode_base64url, read_signing_key
from verwijsindex.pseudonyms.ristretto import multiply_base, random_scalar
from verwijsindex.signals.dates import amsterdam_date, two_years_after
from verwijsindex.signals.service import _COLUMNS, _REGISTER  # the statement that is measured

OIN, MUNICIPALITY, CLIENT = f"{1:020}", "0001", "bench"  # of bench.national
CONNECTIONS, BATCH = 16, 500
WORKERS = len(os.sched_getaffinity(0))  # processes of the index: one a core, as docs/operations.md advises
THREADS = max(2, CONNECTIONS // WORKERS)  # and requests at once in each
BARE = "INSERT INTO bench_row (id, body) VALUES (gen_random_uuid(), 'one row');"
_UNBOUNDED = {f"VERWIJSINDEX_SIGNALS_PER_{whose}": "1000000000" for whose in ("REPORTER", "INSTITUTION", "COUNTRY")}
_REPORTERS = sa.text("SELECT id FROM reporter WHERE oin = :oin")
_REQUESTS = sa.text(
    "INSERT INTO idempotency_record SELECT :client, '1:' || encode(sha256(n::text::bytea), 'base64'), 1,"
    " sha256(n::text::bytea), sha256(n::text::bytea), 1, gen_random_uuid(), :now FROM generate_series(1, :count) n"
)


def measure(console: Console, *, full: bool, workers: int = WORKERS, threads: int = THREADS) -> list[Figure]:
    """Figures of intake, one signal a request and in batches of 500, with a million signals present or a few."""
    present, signals = (999_990, 20_000) if full else (15_000, 4_000)
    with index(console, present, workers, threads) as (stack, reporters):
        sender = Sender(stack, reporters)
        console.print("measuring")
        run(stack.index, sender.signals(500), connections=CONNECTIONS)
        top = run(stack.index, sender.signals(signals), connections=CONNECTIONS)
        same = _pgbench(stack, _same_statement(reporters[0]))
        bare = _pgbench(stack, BARE)
        run(stack.index, sender.batches(CONNECTIONS), connections=CONNECTIONS, expect=b"HTTP/1.1 200")
        batches = sender.batches(CONNECTIONS * (10 if full else 4))  # several for each connection
        many = run(stack.index, batches, connections=CONNECTIONS, expect=b"HTTP/1.1 200")
        rate = top.per_second / 2
        half = run(stack.index, sender.signals(signals // 2), connections=CONNECTIONS, per_second=rate)
    return _figures(top, many, half, same, bare)


def _figures(top: Load, many: Load, half: Load, same: float, bare: float) -> list[Figure]:
    one, ms = "signals, one a request", 1000
    statement = "pgbench, the very same statement"
    p50, p99 = half.percentile(50) * ms, half.percentile(99) * ms
    return [
        Figure(one, top.per_second, "a second", statement, same, goal=0.3),
        Figure(one, top.per_second, "a second", "pgbench, a bare insert of one row", bare),
        Figure(f"signals in batches of {BATCH}", many.per_second * BATCH, "a second", statement, same, goal=4),
        Figure(f"p99 at {half.per_second:.0f} a second, half of that", p99, "ms", "p50", p50, goal=10, at_most=True),
    ]


@contextmanager
def index(
    console: Console, present: int, workers: int = WORKERS, threads: int = THREADS
) -> Iterator[tuple[Stack, Sequence[str]]]:
    """The running index with so many live signals and as many requests remembered, and an institution's reporters."""
    settings = _UNBOUNDED | {"VERWIJSINDEX_WORKERS": str(workers), "VERWIJSINDEX_THREADS": str(threads)}
    with Stack(say=lambda what: console.print(f"starting {what}"), settings=settings) as stack:
        for name in ("clock", "worker", "deliverer"):
            stack.process(name).stop()
        console.print(f"filling it with {present:,} live signals")
        superuser, now = sa.create_engine(stack.postgres.url("verwijsindex")), datetime.now(UTC)
        national.register(superuser)
        with superuser.begin() as connection:
            connection.execute(_REQUESTS, {"client": "before", "count": present, "now": now})
            reporters = [str(row[0]) for row in connection.execute(_REPORTERS, {"oin": OIN})]
        national.fill(superuser, 0, present, now)
        superuser.dispose()
        yield stack, reporters


class Sender:
    """Makes requests as an institution's client would send them, each about a youngster of its own."""

    def __init__(self, stack: Stack, reporters: Sequence[str]) -> None:
        self._url, self._reporters, self._made = f"{stack.index}/api/v1", reporters, 0
        now = datetime.now(UTC).replace(microsecond=0)
        terms = Terms(stack.index, SCOPES["machine"], timedelta(minutes=50))
        token = TokenSigner(read_signing_key(stack.keys / "issuer.jwk"), stack.issuer)
        self._headers = {
            "Authorization": f"Bearer {token.machine_token(CLIENT, OIN, terms, now)}",
            "Content-Type": "application/json",
        }
        made_on = amsterdam_date(now)
        self._signal = {
            "residenceMunicipality": MUNICIPALITY,
            "madeAt": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "removalDate": two_years_after(made_on).isoformat(),
            "reasonableSuspicion": True,
            "informing": {"status": "informed", "on": made_on.isoformat(), "to": "both"},
            "caseReference": "bench-1",
        }

    def signals(self, count: int) -> list[bytes]:
        """So many requests with one signal each."""
        return [self._post("signals", self._new(), {"Idempotency-Key": str(uuid4())}) for _ in range(count)]

    def batches(self, count: int) -> list[bytes]:
        """So many requests with 500 signals each."""
        return [
            self._post(
                "signal-batches",
                {"signals": [{"idempotencyKey": str(uuid4()), "signal": self._new()} for _ in range(BATCH)]},
            )
            for _ in range(count)
        ]

    def _new(self) -> dict[str, Any]:
        self._made += 1
        reporter = self._reporters[self._made % len(self._reporters)]
        pseudonym = {"keyVersion": 1, "value": encode_base64url(multiply_base(random_scalar()))}
        return self._signal | {"reporter": reporter, "pseudonym": pseudonym}

    def _post(self, path: str, body: object, more: dict[str, str] | None = None) -> bytes:
        return request(f"{self._url}/{path}", self._headers | (more or {}), json.dumps(body).encode())


def _same_statement(reporter: str) -> str:
    """The statement of intake with values made by PostgreSQL itself, for pgbench."""
    made = {
        "ordinal": "0",
        "signal_id": "gen_random_uuid()",
        "keys": "json_build_array(gen_random_uuid(), '1:' || encode(sha256(gen_random_uuid()::text::bytea), 'base64'))",
        "in_time": "true",
        "body_fingerprint": "sha256(gen_random_uuid()::text::bytea)",
        "pseudonym_fingerprint": "sha256(gen_random_uuid()::text::bytea)",
        "pseudonym_version": "1",
        "reporter_id": f"'{reporter}'",
        "made_at": "now()",
        "removal_date": "current_date + 730",
        "sealed_pseudonym": "sha384(gen_random_uuid()::text::bytea)",
        "residence": f"'{MUNICIPALITY}'",
        "informing_status": "'informed'",
        "informed_on": "current_date",
        "informed_to": "'both'",
        "postponed_ground": "NULL",
        "review_date": "NULL",
        "turns23_on_sealed": "NULL",
        "case_reference_sealed": "sha256('x')",
        "parents_sealed": "NULL",
        "shielded": "false",
        "event_id": "gen_random_uuid()",
        "event_body": "convert_to(repeat('x', 330), 'UTF8')",
        "event_nonce": "substr(sha256(gen_random_uuid()::text::bytea), 1, 16)",
    }
    assert made.keys() == _COLUMNS.keys() | {"ordinal"}
    row = ", ".join(f"'{name}', {value}" for name, value in made.items())
    statement = str(_REGISTER).replace("CAST(:submissions AS json)", f"json_build_array(json_build_object({row}))")
    single = {
        "oin": f"'{OIN}'",
        "client_id": f"'{CLIENT}'",
        "now": "now()",
        "today": "current_date",
        "key_version": "1",
        "held": "ARRAY[0, 1]",
    }
    for name, value in single.items():
        statement = re.sub(rf"(?<!:):{name}\b", value, statement)
    return statement + ";"


def _pgbench(stack: Stack, statement: str, seconds: int = 8) -> float:
    """Transactions a second. The intake role runs the statement; the bare table is made by the owner."""
    role = "OWNER" if statement == BARE else "INTAKE"
    url = urlsplit(stack.environment[f"VERWIJSINDEX_{role}_DATABASE_URL"])
    environment = {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(url.port),
        "PGUSER": str(url.username),
        "PGPASSWORD": str(url.password),
        "PGDATABASE": url.path.lstrip("/"),
    }
    tools = programs_folder() / "bin"
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.sql"
        script.write_text(statement)
        if statement == BARE:
            table = "CREATE TABLE IF NOT EXISTS bench_row (id uuid PRIMARY KEY, body text NOT NULL)"
            subprocess.run([tools / "psql", "-qc", table], env=environment, check=True)
        done = subprocess.run(
            [
                *(tools / "pgbench", "--no-vacuum", "--protocol=prepared", f"--client={CONNECTIONS}"),
                *("--jobs=4", f"--time={seconds}", f"--file={script}"),
            ],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    if not found or "failed transactions: 0" not in done.stdout:
        raise RuntimeError(done.stdout + done.stderr)
    return float(found[1])


def main(
    full: Annotated[bool, typer.Option(envvar="FULL", help="With a million signals present, and longer.")] = False,
    workers: Annotated[int, typer.Option(help="Processes of the index.")] = WORKERS,
    threads: Annotated[int, typer.Option(help="Requests at once in each of them.")] = THREADS,
) -> None:
    """Measure intake, token checked, durable, 16 connections."""
    console = Console(width=140)
    show(console, "Intake", measure(console, full=full, workers=workers, threads=threads))
    console.print(f"python -m bench.intake{' --full' if full else ''} --workers {workers} --threads {threads}")


if __name__ == "__main__":
    typer.run(main)
