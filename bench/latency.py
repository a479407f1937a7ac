# SPDX-License-Identifier: EUPL-1.2
"""From a signal's 201 to the notice in the other's inbox and to the webhook at its receiver, idle and under load.

Pushes leave at once here (the tick is zero; by default they wait for the next minute). Beside them: two Celery tasks
that do nothing, one after the other, on the same Redis, since that is what the way through bell, matcher and deliverer
cannot be quicker than.
"""

import json
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated, Any
from uuid import uuid4

import httpx
import sqlalchemy as sa
import typer
from pydantic import SecretStr
from redis import Redis
from rich.console import Console

from bench import noop
from bench.figures import Figure, show
from bench.load import request, run
from verwijsindex.access.caller import SCOPES
from verwijsindex.bell import celery_app
from verwijsindex.embedded.process import Supervisor
from verwijsindex.embedded.stack import Stack
from verwijsindex.issuer.signing import Terms, TokenSigner
from verwijsindex.keyfiles import encode_base64url, read_signing_key
from verwijsindex.pseudonyms.ristretto import multiply_base, random_scalar
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.signals.dates import amsterdam_date, two_years_after

MUNICIPALITY = "1701"
FIRST, SECOND, OTHERS = (f"0000000{n}00000000{n}000" for n in (1, 2, 3))
MANY = 1_000_000_000
SETTINGS = {
    "VERWIJSINDEX_PUSH_TICK_SECONDS": "0",
    "VERWIJSINDEX_WORKERS": "2",
    **{f"VERWIJSINDEX_SIGNALS_PER_{who}": str(MANY) for who in ("REPORTER", "INSTITUTION", "COUNTRY")},
}


def measure(console: Console, *, full: bool) -> list[Figure]:
    """p50 and p99 of both ways, idle and at half of the top load."""
    samples = 300 if full else 60
    with Stack(say=lambda what: console.print(f"starting {what}"), settings=SETTINGS) as stack, _Receiver() as receiver:
        system = _System(stack, receiver)
        celery = _celery(stack, samples)
        system.latencies(10)  # warms up
        figures = _figures("idle", system.latencies(samples), celery)
        top = run(stack.index, system.requests(3000 if full else 1000), connections=16).per_second
        with system.load(top / 2):
            loaded = _figures(f"at {top / 2:.0f} signals a second, half of the top", system.latencies(samples), celery)
    return [*figures, *loaded]


def _figures(when: str, found: dict[str, list[float]], celery: list[float]) -> list[Figure]:
    figures = []
    for way, seconds in found.items():
        for name, percent in (("p50", 50), ("p99", 99)):
            value, beside = _percentile(seconds, percent), _percentile(celery, percent)
            figures.append(Figure(f"{way}, {name}, {when}", value, "ms", f"two Celery no-ops, idle, {name}", beside))
    return figures


def _percentile(seconds: list[float], percent: int) -> float:
    return 1000 * statistics.quantiles(seconds, n=100, method="inclusive")[percent - 1]


class _System:
    """The running index as two institutions and a receiver use it."""

    def __init__(self, stack: Stack, receiver: "_Receiver") -> None:
        self._stack, self._receiver = stack, receiver
        self._signer = TokenSigner(read_signing_key(stack.keys / "issuer.jwk"), stack.issuer)
        self._database = sa.create_engine(stack.postgres.url("verwijsindex"))
        self._http = httpx.Client(base_url=stack.index, trust_env=False)
        today = amsterdam_date(datetime.now(UTC)).isoformat()
        stack.run("admin", "municipality", "add", MUNICIPALITY, "Westerveld")
        self._reporters = {}
        for oin in (FIRST, SECOND, OTHERS):
            stack.run("admin", "institution", "add", oin, "Instelling", "primary_education")
            stack.run("admin", "agreement", "add", oin, MUNICIPALITY, today, "2099-12-31")
            person = ("R. Voorbeeld", "docent", "0612345678", "r@example.org")
            self._reporters[oin] = stack.run("admin", "reporter", "add", oin, *person).strip()
        self._subscribe(receiver)

    def latencies(self, samples: int) -> dict[str, list[float]]:
        """Seconds of each way, one quiet signal after the other: the other reporter has one on each youngster."""
        pseudonyms = [_pseudonym() for _ in range(samples)]
        for pseudonym in pseudonyms:
            self._post(FIRST, pseudonym)
        found: dict[str, list[float]] = {"201 to inbox": [], "201 to webhook": []}
        with self._database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for pseudonym in pseudonyms:
                told, pushed = self._told(connection), self._receiver.count
                self._post(SECOND, pseudonym)
                began = time.perf_counter()
                _until(lambda told=told: self._told(connection) > told)
                found["201 to inbox"].append(time.perf_counter() - began)
                _until(lambda pushed=pushed: self._receiver.count > pushed)
                found["201 to webhook"].append(time.perf_counter() - began)
        return found

    def requests(self, count: int) -> list[bytes]:
        """Signals on youngsters of their own, by a third institution."""
        url, headers = f"{self._stack.index}/api/v1/signals", self._headers(OTHERS)
        return [
            request(
                url,
                headers | {"Idempotency-Key": str(uuid4()), "Content-Type": "application/json"},
                json.dumps(self._signal(OTHERS, _pseudonym())).encode(),
            )
            for _ in range(count)
        ]

    @contextmanager
    def load(self, per_second: float) -> Iterator[None]:
        """So many signals a second, until the end of the block."""
        over = threading.Event()

        def send() -> None:
            while not over.is_set():
                began = time.perf_counter()
                run(self._stack.index, self.requests(round(per_second / 5)), connections=8)
                over.wait(max(0.0, 0.2 - (time.perf_counter() - began)))

        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _told(self, connection: sa.Connection) -> int:
        counted = sa.text("SELECT count(*) FROM notice WHERE reporter_id = :reporter")
        return int(connection.execute(counted, {"reporter": self._reporters[FIRST]}).scalar_one())

    def _post(self, oin: str, pseudonym: dict[str, object]) -> None:
        headers = self._headers(oin) | {"Idempotency-Key": str(uuid4())}
        self._http.post("/api/v1/signals", json=self._signal(oin, pseudonym), headers=headers).raise_for_status()

    def _headers(self, oin: str) -> dict[str, str]:
        terms = Terms(self._stack.index, SCOPES["machine"], timedelta(minutes=50))
        return {"Authorization": f"Bearer {self._signer.machine_token(f'client-{oin}', oin, terms, datetime.now(UTC))}"}

    def _signal(self, oin: str, pseudonym: dict[str, object]) -> dict[str, Any]:
        now = datetime.now(UTC).replace(microsecond=0)
        made_on = amsterdam_date(now)
        return {
            "reporter": self._reporters[oin],
            "pseudonym": pseudonym,
            "residenceMunicipality": MUNICIPALITY,
            "madeAt": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "removalDate": two_years_after(made_on).isoformat(),
            "reasonableSuspicion": True,
            "informing": {"status": "informed", "on": made_on.isoformat(), "to": "both"},
        }

    def _subscribe(self, receiver: "_Receiver") -> None:
        """Straight in the table: what is measured is not how a subscription is made."""
        key, client = IndexKeys.load(self._stack.keys).current, f"client-{FIRST}"
        with self._database.begin() as connection:
            connection.execute(
                sa.text(
                    "INSERT INTO subscription (client_id, oin, address, confirmed_address, key_version, secret_sealed,"
                    " created_at) VALUES (:client, :oin, :address, :address, :version, :secret, :now)"
                ),
                {
                    "client": client,
                    "oin": FIRST,
                    "address": receiver.address,
                    "version": key.version,
                    "secret": key.seal("webhook-secret", client.encode(), b"whsec_" + b"A" * 32),
                    "now": datetime.now(UTC),
                },
            )


class _Receiver:
    """Counts what it gets."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> "_Receiver":
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                receiver.count += 1
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/hooks"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _celery(stack: Stack, samples: int) -> list[float]:
    """Seconds from asking for the first of two no-ops until the second runs, on a database of Redis of their own."""
    url = stack.redis.url.rpartition("/")[0] + "/1"
    environment = stack.environment | {"VERWIJSINDEX_BROKER_URL": url}
    command = [sys.executable, "-m", "celery", "-A", "bench.noop", "worker", f"-Q{noop.QUEUE}", "--concurrency=1"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING"]
    sender = celery_app(SecretStr(url))
    seconds = []
    with Supervisor() as processes, Redis.from_url(url) as redis:
        processes.start([*command, *quiet], name="noop", log_path=stack.folder / "noop.log", env=environment)
        for n in range(samples + 10):
            began = time.time()
            sender.send_task("bench.first", retry=False)
            done = redis.blpop([noop.DONE], timeout=60)
            assert isinstance(done, tuple)
            if n >= 10:  # the others warm up
                seconds.append(float(done[1]) - began)
    return seconds


def _pseudonym() -> dict[str, object]:
    return {"keyVersion": 1, "value": encode_base64url(multiply_base(random_scalar()))}


def _until(true: Any, seconds: float = 60) -> None:
    give_up_at = time.perf_counter() + seconds
    while not true():
        if time.perf_counter() > give_up_at:
            raise RuntimeError("what was waited for did not come within a minute")
        time.sleep(0.001)


def main(full: Annotated[bool, typer.Option(help="More samples.")] = False) -> None:
    """Measure how long it takes until the others are told."""
    console = Console(width=160)
    show(console, "From a signal to who is told", measure(console, full=full))
    console.print(f"python -m bench.latency{' --full' if full else ''}")


if __name__ == "__main__":
    typer.run(main)
