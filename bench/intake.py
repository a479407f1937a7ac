# SPDX-License-Identifier: EUPL-1.2
"""Intake: signals a second through the whole index, beside pgbench running the very same statement.

Ceilings of the same run, on the same server and with as many connections: pgbench with the statement of
`signals.service` (what PostgreSQL alone makes of it), and pgbench with a bare insert of one row.
"""

import json
import re
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from uuid import uuid4

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.load import Load, request, run
from verwijsindex.access.caller import SCOPES
from verwijsindex.embedded.postgres import programs_folder
from verwijsindex.embedded.stack import Stack
from verwijsindex.issuer.signing import Terms, TokenSigner
from verwijsindex.keyfiles import encode_base64url, read_signing_key
from verwijsindex.ledger import events
from verwijsindex.pseudonyms.ristretto import multiply_base, random_scalar
from verwijsindex.signals.dates import amsterdam_date, two_years_after
from verwijsindex.signals.service import _COLUMNS, _REGISTER  # the statement that is measured

OIN, MUNICIPALITY, CLIENT = "00000001111111111000", "1701", "bench"
BARE = "INSERT INTO bench_row (id, body) VALUES (gen_random_uuid(), 'one row');"


def main(
    signals: Annotated[int, typer.Option(help="How many signals to send.")] = 10_000,
    connections: Annotated[int, typer.Option(help="At once; also of pgbench.")] = 16,
    workers: Annotated[int, typer.Option(help="Processes of the index.")] = 2,
) -> None:
    """Measure intake, one signal a request, token checked, durable."""
    console = Console(width=110)
    settings = {"VERWIJSINDEX_WORKERS": str(workers)}
    with Stack(say=lambda what: console.print(f"starting {what}"), settings=settings) as stack:
        reporter = _register(stack)
        warm_up, bodies = _requests(stack, reporter, 500), _requests(stack, reporter, signals)
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("measuring", total=4)
            run(stack.index, warm_up, connections=connections)
            progress.advance(task)
            load = run(stack.index, bodies, connections=connections)
            progress.advance(task)
            same = _pgbench(stack, _same_statement(reporter), connections)
            progress.advance(task)
            bare = _pgbench(stack, BARE, connections)
    command = f"python -m bench.intake --signals {signals} --connections {connections} --workers {workers}"
    _show(console, load, same, bare, command)


def _register(stack: Stack) -> str:
    today = amsterdam_date(datetime.now(UTC)).isoformat()
    stack.run("admin", "municipality", "add", MUNICIPALITY, "Westerveld")
    stack.run("admin", "institution", "add", OIN, "Het Kompas", "primary_education")
    stack.run("admin", "agreement", "add", OIN, MUNICIPALITY, today, "2099-12-31")
    person = ("R. Voorbeeld", "docent", "0612345678", "r@example.org")
    return stack.run("admin", "reporter", "add", OIN, *person).strip()


def _requests(stack: Stack, reporter: str, count: int) -> list[bytes]:
    signer = TokenSigner(read_signing_key(stack.keys / "issuer.jwk"), stack.issuer)
    now = datetime.now(UTC).replace(microsecond=0)
    terms = Terms(stack.index, SCOPES["machine"], timedelta(minutes=50))
    headers = {
        "Authorization": f"Bearer {signer.machine_token(CLIENT, OIN, terms, now)}",
        "Content-Type": "application/json",
    }
    made_on = amsterdam_date(now)
    signal = {
        "reporter": reporter,
        "residenceMunicipality": MUNICIPALITY,
        "madeAt": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "removalDate": two_years_after(made_on).isoformat(),
        "reasonableSuspicion": True,
        "informing": {"status": "informed", "on": made_on.isoformat(), "to": "both"},
        "caseReference": "bench-1",
    }
    url = f"{stack.index}/api/v1/signals"
    return [
        request(
            url, headers | {"Idempotency-Key": str(uuid4())}, json.dumps(signal | {"pseudonym": _pseudonym()}).encode()
        )
        for _ in range(count)
    ]


def _pseudonym() -> dict[str, object]:
    return {"keyVersion": 1, "value": encode_base64url(multiply_base(random_scalar()))}


def _same_statement(reporter: str) -> str:
    """The statement of intake with values made by PostgreSQL itself, for pgbench."""
    made: dict[str, str] = {
        "signal_id": "gen_random_uuid()",
        "idempotency_key": "gen_random_uuid()::text",
        "in_time": "true",
        "body_fingerprint": "sha256(gen_random_uuid()::text::bytea)",
        "pseudonym_fingerprint": "sha256(gen_random_uuid()::text::bytea)",
        "pseudonym_version": "1",
        "reporter_id": f"'{reporter}'::uuid",
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
        "event_id": "gen_random_uuid()",
        "event_at": "now()",
        "event_kind": "'signal.registered'",
        "event_outcome": "'success'",
        "event_signal_id": "gen_random_uuid()",
        "event_match_id": "NULL",
        "event_reporter_id": f"'{reporter}'::uuid",
        "event_oin": f"'{OIN}'",
        "event_municipality_code": "NULL",
        "event_client_id": f"'{CLIENT}'",
        "event_body": "convert_to(repeat('x', 330), 'UTF8')",
        "event_nonce": "substr(sha256(gen_random_uuid()::text::bytea), 1, 16)",
    }
    assert made.keys() == _COLUMNS.keys()
    assert len(events.COLUMNS) == 12
    statement = str(_REGISTER)
    for name, value in made.items():
        statement = re.sub(rf":{name}\b", f"ARRAY[{value}]", statement)
    single = {
        "oin": f"'{OIN}'",
        "client_id": f"'{CLIENT}'",
        "now": "now()",
        "today": "current_date",
        "key_version": "1",
    }
    for name, value in single.items():
        statement = re.sub(rf"(?<!:):{name}\b", value, statement)
    return " ".join(statement.split()) + ";"


def _pgbench(stack: Stack, statement: str, connections: int, seconds: int = 8) -> float:
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
                *(tools / "pgbench", "--no-vacuum", "--protocol=prepared", f"--client={connections}"),
                *(f"--jobs={min(connections, 4)}", f"--time={seconds}", f"--file={script}"),
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


def _show(console: Console, load: Load, same: float, bare: float, command: str) -> None:
    table = Table("figure", "a second", "ratio", title="Intake, one signal a request, token checked, durable")
    table.add_row("signals through the index", f"{load.per_second:,.0f}", "1")
    table.add_row("ceiling: pgbench, the very same statement", f"{same:,.0f}", f"{load.per_second / same:.0%}")
    table.add_row("ceiling: pgbench, a bare insert of one row", f"{bare:,.0f}", f"{load.per_second / bare:.0%}")
    console.print(table)
    console.print(
        f"latency p50 {load.percentile(50) * 1000:.1f} ms, p99 {load.percentile(99) * 1000:.1f} ms\n{command}"
    )


if __name__ == "__main__":
    typer.run(main)
