# SPDX-License-Identifier: EUPL-1.2
"""Webhooks a second from one deliverer, with write-back, to receivers that take 50 ms, a tenth of which hang.

Ceiling of the same run: the same HTTP client posting to the same receivers from as many threads, with no database. How
late a webhook is is counted from when it was due to when its receiver had answered, at half of the rate just found. The
bell is rung all the time, as the matcher does while it tells: with the clock's ring alone, once a second, a deliverer
with nothing to do slept on what was due, while one that waited for a receiver that hangs did not.
"""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from typing import Annotated
from uuid import uuid4

import sqlalchemy as sa
import typer
from pydantic import SecretStr
from rich.console import Console

from bench.figures import Figure, show
from verwijsindex.bell import DELIVER_TASK, Bell, celery_app
from verwijsindex.embedded.stack import Stack
from verwijsindex.notices.delivery import AT_ONCE
from verwijsindex.notices.destinations import Destinations
from verwijsindex.notices.posting import Poster
from verwijsindex.notices.signing import Sender, event_body
from verwijsindex.pseudonyms.sealing import IndexKeys
from verwijsindex.signals.dates import amsterdam_date

OIN, MUNICIPALITY = "00000001111111111000", "1701"
HEALTHY, HANGING = 45, 5
TAKES = 0.05  # seconds, a healthy receiver
TIMEOUT = 5  # seconds; 15 by default
GOAL = 500  # a second
RECEIVERS = f"""
import asyncio

async def serve(takes):
    async def answer(reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\\r\\n\\r\\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\\r\\n")[0])
                await reader.readexactly(length)
                await asyncio.sleep(takes)
                writer.write(b"HTTP/1.1 204 No Content\\r\\ncontent-length: 0\\r\\n\\r\\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=512)
    return server.sockets[0].getsockname()[1], server

async def main():
    servers = [await serve({TAKES}) for _ in range({HEALTHY})] + [await serve(3600) for _ in range({HANGING})]
    print(*(port for port, _ in servers), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def measure(console: Console, *, full: bool) -> list[Figure]:
    """Rate and lateness of healthy receivers, alone and beside hanging ones."""
    count = 30_000 if full else 3_000
    settings = {"VERWIJSINDEX_WEBHOOK_TIMEOUT_SECONDS": str(TIMEOUT)}
    with Stack(say=lambda what: console.print(f"starting {what}"), settings=settings) as stack, _receivers() as ports:
        post = _Post(stack, ports)
        post.flood(min(count, 2_000), hanging=False)  # warms up
        ceiling = _ceiling(ports[:HEALTHY], count)
        alone = post.flood(count, hanging=False)
        beside = post.flood(count, hanging=True)
        late = {hanging: post.paced(count, beside / 2, hanging=hanging) for hanging in (False, True)}
    client = "the same client without a database"
    figures = [
        Figure(f"webhooks delivered to {HEALTHY} receivers", alone, "a second", client, ceiling),
        Figure(f"the same while {HANGING} more hang", beside, "a second", client, ceiling),
        Figure(f"the same while {HANGING} more hang", beside, "a second", "what was asked for", GOAL, goal=1),
    ]
    for name, without, with_hanging in zip(("p50", "p99"), late[False], late[True], strict=True):
        what = f"late, {name}, at {beside / 2:.0f} a second while {HANGING} hang"
        figures.append(Figure(what, with_hanging, "ms", "without them", without))
    return figures


@contextmanager
def _receivers() -> Iterator[list[int]]:
    with subprocess.Popen([sys.executable, "-c", RECEIVERS], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield [int(port) for port in process.stdout.readline().split()]
        finally:
            process.kill()


def _ceiling(ports: list[int], count: int) -> float:
    poster = Poster(seconds=TIMEOUT, allow_plain_http=True, destinations=Destinations([IPv4Network("127.0.0.0/8")]))
    sender = Sender(IndexKeys({1: bytes(32)}), "http://127.0.0.1", OIN, TIMEOUT, allow_plain_http=True)
    body = event_body(sender, uuid4(), uuid4(), datetime.now(UTC)).encode()
    headers = {"content-type": "application/cloudevents+json", "webhook-signature": "v1," + "a" * 44}

    def post(n: int) -> None:
        reply = poster.post(f"http://127.0.0.1:{ports[n % len(ports)]}/", body, headers)
        assert reply.outcome == "ok"

    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(post, range(500)))
        began = time.perf_counter()
        list(threads.map(post, range(count)))
        return count / (time.perf_counter() - began)


class _Post:
    """The running system as its operator could fill it: notices and deliveries straight in their tables."""

    def __init__(self, stack: Stack, ports: list[int]) -> None:
        self._database = sa.create_engine(stack.postgres.url("verwijsindex"))
        self._bell = Bell(celery_app(SecretStr(stack.redis.url)), DELIVER_TASK)
        today = amsterdam_date(datetime.now(UTC)).isoformat()
        stack.run("admin", "municipality", "add", MUNICIPALITY, "Westerveld")
        stack.run("admin", "institution", "add", OIN, "Het Kompas", "primary_education")
        stack.run("admin", "agreement", "add", OIN, MUNICIPALITY, today, "2099-12-31")
        person = ("R. Voorbeeld", "docent", "0612345678", "r@example.org")
        reporter = stack.run("admin", "reporter", "add", OIN, *person).strip()
        key = IndexKeys.load(stack.keys).current
        clients = [f"{'healthy' if n < HEALTHY else 'hanging'}-{n}" for n in range(len(ports))]
        values = {"oin": OIN, "version": key.version, "now": datetime.now(UTC), "reporter": reporter}
        with self._database.begin() as connection:
            for client, port in zip(clients, ports, strict=True):
                secret = key.seal("webhook-secret", client.encode(), secrets.token_bytes(32))
                connection.execute(
                    sa.text(
                        "INSERT INTO subscription (client_id, oin, address, confirmed_address, key_version,"
                        " secret_sealed, created_at)"
                        " VALUES (:client, :oin, :address, :address, :version, :secret, :now)"
                    ),
                    values | {"client": client, "address": f"http://127.0.0.1:{port}/", "secret": secret},
                )
            connection.exec_driver_sql("SET LOCAL verwijsindex.matcher = 'life'")
            connection.execute(sa.text("INSERT INTO youngster VALUES (gen_random_uuid(), 'bench', 1)"))
            connection.execute(
                sa.text(
                    "INSERT INTO match (id, kind, youngster_id, opened_at, change)"
                    " SELECT gen_random_uuid(), 'youngster', id, :now, 0 FROM youngster"
                ),
                values,
            )
        self._values = values

    def flood(self, count: int, *, hanging: bool) -> float:
        """So many due at one moment to healthy receivers, and to hanging ones their share: taken a second."""
        due = self._place(count, 0.0, hanging=hanging)
        return count / (self._until_taken(count) - due).total_seconds()

    def paced(self, count: int, rate: float, *, hanging: bool) -> tuple[float, float]:
        """The same, so many due each second: p50 and p99 of how late the healthy had them, in milliseconds."""
        self._place(count, 1 / rate, hanging=hanging)
        self._until_taken(count)
        late = "extract(epoch FROM a.at + a.duration_ms * interval '1 millisecond' - n.placed_at) * 1000"
        with self._database.connect() as connection:
            found = connection.execute(
                sa.text(
                    f"SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY {late}) FROM attempt a"
                    " JOIN delivery d ON d.id = a.delivery_id JOIN notice n ON n.id = d.notice_id"
                    " WHERE a.client_id LIKE 'healthy%'"
                )
            ).scalar_one()
        return float(found[0]), float(found[1])

    def _place(self, count: int, apart: float, *, hanging: bool) -> datetime:
        """Anew: deliveries due in five seconds and then so many seconds apart. When the first is due."""
        due = datetime.now(UTC) + timedelta(seconds=5)
        values = self._values | {"count": count, "due": due, "apart": timedelta(seconds=apart)}
        share = {"healthy": count, "hanging": count // 10 if hanging else 0}
        with self._database.begin() as connection:
            connection.execute(sa.text("TRUNCATE attempt, delivery, notice, notice_withdrawal"))
            connection.execute(sa.text("UPDATE subscription SET failures = 0, rests_until = NULL"))
            for kind, size in share.items():
                connection.execute(
                    sa.text(
                        "WITH numbered AS (SELECT client_id, row_number() OVER (ORDER BY client_id) - 1 AS place,"
                        "  count(*) OVER () AS clients FROM subscription WHERE client_id LIKE :kind),"
                        " placed AS (INSERT INTO notice (id, kind, match_id, change, reporter_id, placed_at)"
                        "  SELECT gen_random_uuid(), 'match', m.id, n + :offset, CAST(:reporter AS uuid),"
                        "  :due + (n * :count / :size) * :apart FROM generate_series(0, :size - 1) n, match m"
                        "  RETURNING id, placed_at, change - :offset AS n)"
                        " INSERT INTO delivery (id, notice_id, client_id, due_at, attempts)"
                        " SELECT gen_random_uuid(), p.id, s.client_id, p.placed_at, 0 FROM placed p"
                        " JOIN numbered s ON s.place = p.n % s.clients"
                    ),
                    values | {"kind": f"{kind}%", "size": size, "offset": 0 if kind == "healthy" else count},
                )
            connection.execute(sa.text("ANALYZE delivery, notice, subscription"))
        return due

    def _until_taken(self, count: int) -> datetime:
        """When the last healthy receiver had answered its last."""
        give_up_at = time.monotonic() + 60 + count / 20
        ended = "max(at + duration_ms * interval '1 millisecond')"
        while time.monotonic() < give_up_at:
            self._bell.ring()
            time.sleep(0.05)
            with self._database.connect() as connection:
                taken, last = connection.execute(
                    sa.text(f"SELECT count(*), {ended} FROM attempt WHERE client_id LIKE 'healthy%' AND outcome = 'ok'")
                ).one()
            if taken >= count:
                assert isinstance(last, datetime)
                return last
        raise RuntimeError(f"not all of {count} webhooks were taken in time")


def main(
    full: Annotated[bool, typer.Option(help="Ten times as many.")] = os.environ.get("FULL") == "1",
) -> None:
    """Measure webhooks."""
    console = Console(width=150)
    figures = measure(console, full=full)
    show(console, "Webhooks from one deliverer", figures)
    console.print(f"{sys.executable} -m bench.webhooks{' --full' if full else ''}", highlight=False)


if __name__ == "__main__":
    typer.run(main)
