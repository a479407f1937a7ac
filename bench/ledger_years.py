# SPDX-License-Identifier: EUPL-1.2
"""A ledger of a busy year: ten million events sealed, proved, exported, verified, tallied, watched and audited.

Each figure stands beside the same with a million events: what may not grow with the ledger is seen not to. Export and
verification are the commands themselves, in processes of their own whose most memory is read from the kernel. The
events are made in PostgreSQL, with their canonical bytes, without their indexes, which are made at the end. One
institution and one municipality have a tenth of them each.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
import typer
from pydantic import SecretStr
from rich.console import Console

from bench import desk, national
from bench.figures import Figure, show
from bench.ledger import SIGNER
from verwijsindex import database
from verwijsindex.auditing.schemas import LedgerSearch
from verwijsindex.auditing.searching import search
from verwijsindex.database import Scope, transaction
from verwijsindex.embedded.postgres import EmbeddedPostgres
from verwijsindex.ledger import reading, sealing
from verwijsindex.ledger.checkpoint import Checkpoint
from verwijsindex.ledger.tree import consistency_ranges, extends, inclusion_ranges
from verwijsindex.operating import ENVIRONMENT, addresses

SMALL, LARGE = 1_000_000, 10_000_000
_BATCH = 500_000
_BEGAN, _EVERY = desk.MONTH.begins, timedelta(seconds=3)
# Of four events one is a signal, two are notices, one is a read of a match; the bytes are RFC 8785's. Of a fifth the
# signal and the read are the large institution's, of another the last notice and the read the large municipality's.
_FILL = sa.text(
    """
    INSERT INTO event (id, at, kind, outcome, signal_id, match_id, reporter_id, oin, municipality_code, client_id,
                       person, body, nonce)
    SELECT id, at, kind, 'success', CASE WHEN n % 4 = 0 THEN signal END, CASE WHEN n % 4 > 0 THEN match END,
           CASE WHEN NOT municipal THEN reporter END, CASE WHEN by_machine THEN oin END,
           CASE WHEN municipal THEN :municipality END,
           CASE WHEN by_machine THEN 'bench' WHEN n % 4 = 3 THEN 'console' END,
           CASE WHEN municipal AND n % 4 = 3 THEN person END,
           convert_to('{"actor":{' || CASE WHEN by_machine
               THEN '"clientId":"bench","institution":"' || oin || '","onBehalfOf":"' || reporter
                    || '","role":"machine"'
               WHEN n % 4 = 3 THEN '"clientId":"console","municipality":"' || :municipality || '","person":"' || person
                    || '","role":"case_supervisor"'
               ELSE '"role":"matcher"' END
               || '},"at":"' || to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '","id":"' || id
               || '","kind":"' || kind || '"' || CASE WHEN n % 4 > 0 THEN ',"matchId":"' || match || '"' ELSE '' END
               || CASE WHEN municipal AND n % 4 = 2 THEN ',"municipality":"' || :municipality || '"' ELSE '' END
               || ',"outcome":"success"'
               || CASE WHEN NOT by_machine AND NOT municipal THEN ',"reporter":"' || reporter || '"' ELSE '' END
               || CASE WHEN n % 4 = 0 THEN ',"signalId":"' || signal || '"' ELSE '' END || '}', 'UTF8'),
           substring(sha256(CAST(CAST(n AS text) AS bytea)) FOR 16)
    FROM (SELECT n, uuidv7() AS id, CAST(:began AS timestamptz) + n * CAST(:every AS interval) AS at,
                 (ARRAY['signal.registered', 'notice.placed', 'notice.placed', 'match.read'])[n % 4 + 1] AS kind,
                 n % 4 IN (0, 3) AND NOT municipal AS by_machine, municipal,
                 CAST(md5('signal' || n / 4) AS uuid) AS signal, CAST(md5('match' || n / 40) AS uuid) AS match,
                 CAST(md5('reporter' || of) AS uuid) AS reporter,
                 to_char(1 + of % :institutions, 'FM00000000000000000000') AS oin,
                 CAST(CAST(md5('person' || n / 20 % 20) AS uuid) AS varchar) AS person
          FROM (SELECT n, n / 4 % 5 = 1 AND n % 4 >= 2 AS municipal,
                       CASE n / 4 % 5 WHEN 0 THEN n / 20 % 10 * :institutions + 6
                       ELSE (n + n / :reporters) * 7 % :reporters END AS of
                FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) n) n) e
    """
)
_WAIT = (
    "INSERT INTO unsealed_event SELECT id FROM event e WHERE NOT EXISTS (SELECT FROM leaf WHERE event_id = e.id)"
    " ON CONFLICT DO NOTHING"  # the event of an export waits already
)
# Each as if it was signed when its last event was, and the newest now: it fixes the sample of a month that is not full.
_SIGNED = sa.text(
    "UPDATE checkpoint SET at = CASE WHEN size = (SELECT max(size) FROM checkpoint) THEN CAST(:now AS timestamptz)"
    " ELSE CAST(:began AS timestamptz) + size * CAST(:every AS interval) END"
)
_LEAVE_INDEXES = "UPDATE pg_index SET indisready = false, indisvalid = false WHERE indrelid = 'event'::regclass"


class _Ledger:
    """A database with the ledger in it, and what was measured at one size."""

    def __init__(self, server: EmbeddedPostgres, console: Console) -> None:
        passwords = dict.fromkeys(database.ROLES, "bench")
        database.init_cluster(server.url().replace("+psycopg", ""), passwords)
        by_variable = addresses(server.url(), passwords)
        self._urls = {role: SecretStr(by_variable[variable]) for role, variable in ENVIRONMENT.items()}
        database.upgrade(self._urls[database.OWNERS["index"]], "index")
        self._superuser = sa.create_engine(server.url(database.DATABASES["index"]), isolation_level="AUTOCOMMIT")
        self._console, self.size = console, 0
        national.register(sa.create_engine(server.url(database.DATABASES["index"])))
        with self._superuser.connect() as connection:
            connection.exec_driver_sql(
                "INSERT INTO privacy_officer (id, oin, name, telephone, email)"
                f" VALUES ('{desk.OFFICER}', NULL, '-', '-', '-')"
            )

    def grow(self, size: int) -> None:
        """Make events until there are so many; they wait for the sealer."""
        with self._superuser.connect() as connection:
            connection.exec_driver_sql("SET session_replication_role = replica")
            connection.exec_driver_sql("SET synchronous_commit = off")
            connection.exec_driver_sql(_LEAVE_INDEXES)
            of = {"began": _BEGAN, "every": _EVERY, "municipality": desk.MUNICIPALITY}
            of |= {"reporters": national.REPORTERS, "institutions": national.INSTITUTIONS}
            for first in range(self.size, size, _BATCH):
                connection.execute(_FILL, of | {"first": first, "last": min(first + _BATCH, size) - 1})
                self._console.print(f"  {min(first + _BATCH, size):,} events made")
            connection.exec_driver_sql("REINDEX TABLE event")
            connection.exec_driver_sql(_WAIT)
            connection.exec_driver_sql("VACUUM ANALYZE event, unsealed_event")
        self._console.print("  indexes made")

    def seal(self) -> float:
        """Events a second."""
        worker = database.engine(self._urls["verwijsindex_worker"], pool_size=1)
        began, sealed = time.perf_counter(), 0
        while got := sealing.seal(worker, _BEGAN, SIGNER):
            sealed += got
        took = time.perf_counter() - began
        self.size += sealed
        with self._superuser.connect() as connection:
            connection.exec_driver_sql("SET session_replication_role = replica")  # checkpoints are append-only
            connection.execute(_SIGNED, {"began": _BEGAN, "every": _EVERY, "now": datetime.now(UTC)})
        return sealed / took

    def watch(self) -> tuple[float, float]:
        """Events a second: counted by the hour, and looked at by the detector."""
        worker = database.engine(self._urls["verwijsindex_worker"], pool_size=1)
        return desk.tallied(worker), desk.detected(worker, lambda place: _BEGAN + place * _EVERY)

    def audit(self) -> dict[str, float]:
        """Milliseconds of samples and reports, by what is asked and whose officer asks."""
        return desk.asked(database.engine(self._urls["verwijsindex_auditor"], pool_size=1), self._superuser)

    def longest_proof(self) -> tuple[int, float]:
        """Hashes in the longest proof of any checkpoint and of places all over; and milliseconds to make and verify one
        of them, at the median."""
        index = database.engine(self._urls["verwijsindex_index"], pool_size=1)
        with index.connect() as connection:
            notes = connection.exec_driver_sql("SELECT note FROM checkpoint ORDER BY size").scalars().all()
            kept = [Checkpoint.open(note, [SIGNER.key]) for note in notes]
            newest, took, longest = kept[-1], [], 0
            for old in kept[:-1]:
                ranges = consistency_ranges(old.size, newest.size)
                longest = max(longest, len(ranges))
                began = time.perf_counter()
                proof = reading.hashes(connection, ranges)
                assert extends(old.size, old.root, newest.size, newest.root, proof)
                took.append(time.perf_counter() - began)
        places = range(0, newest.size, newest.size // 10_000)
        longest = max([longest, *(len(inclusion_ranges(place, newest.size)) for place in places)])
        return longest, 1000 * sorted(took)[len(took) // 2]

    def commands(self, folder: Path) -> dict[str, tuple[float, float]]:
        """Of `ledger export` and `ledger verify`: events a second, and most memory in MB."""
        (folder / "keys").write_text(f"{SIGNER.key}\n")
        with self._superuser.connect() as connection:
            newest = connection.exec_driver_sql("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1").scalar_one()
        (folder / "kept").write_text(newest)
        file = str(folder / "ledger")
        found = {
            "export": self._run("export", file),
            "verify": self._run("verify", file, f"--checkpoint={folder / 'kept'}", f"--public-key={folder / 'keys'}"),
        }
        Path(file).unlink()
        return found

    def _run(self, *arguments: str) -> tuple[float, float]:
        owner = self._urls["verwijsindex_owner"].get_secret_value()
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "verwijsindex", "ledger", *arguments],
            env=os.environ | {"VERWIJSINDEX_OWNER_DATABASE_URL": owner},
            stdout=subprocess.DEVNULL,
        )
        most = 0.0
        while process.poll() is None:
            most = _memory(process.pid) or most
            time.sleep(0.05)
        assert process.returncode == 0, arguments
        return self.size / (time.perf_counter() - began), most

    def searches(self) -> dict[str, float]:
        """Milliseconds of a page of 100, the 95th percentile of a hundred, by what is asked and whose officer asks."""
        auditor = database.engine(self._urls["verwijsindex_auditor"], pool_size=1)
        with self._superuser.connect() as connection:
            signals = list(connection.execute(_SOME_SIGNALS, {"of": self.size // 4}).scalars())
            reporters = list(connection.execute(_SOME_REPORTERS, {"of": national.REPORTERS}).scalars())
        assert len(signals) == len(reporters) == 100

        def timed(ask: Callable[[int], LedgerSearch], oin: str | None) -> float:
            took = []
            desk.as_officer(self._superuser, oin)
            for n in range(100):
                scope = Scope(datetime.now(UTC).date(), oin=oin, privacy_officer_id=desk.OFFICER)
                with transaction(auditor, scope) as connection:
                    began = time.perf_counter()
                    found = search(connection, ask(n))
                    took.append(time.perf_counter() - began)
                assert found or oin
            return 1000 * sorted(took)[94]

        def asking(**criteria: object) -> LedgerSearch:
            return LedgerSearch.model_validate_json(json.dumps({"purpose": "incident", "limit": 100, **criteria}))

        institution = desk.INSTITUTION
        month = [_BEGAN + timedelta(days=30 * (1 + n % 5)) for n in range(100)]
        return {
            "by signal": timed(lambda n: asking(signalId=str(signals[n])), None),
            "by person": timed(lambda n: asking(person=str(reporters[n])), None),
            "by person, of an institution": timed(lambda n: asking(person=str(reporters[n])), institution),
            "everything of an institution": timed(lambda _: asking(), institution),
            "a month of an institution": timed(
                lambda n: asking(until=month[n].isoformat().replace("+00:00", "Z")), institution
            ),
        }


def _memory(process: int) -> float | None:
    """The most memory that a process ever had, in MB; None when it is gone."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) / 1024 if found else None


_SOME = "SELECT CAST(md5('{}' || n * 9973 % CAST(:of AS integer)) AS uuid) FROM generate_series(1, 100) n"
_SOME_SIGNALS, _SOME_REPORTERS = sa.text(_SOME.format("signal")), sa.text(_SOME.format("reporter"))


def measure(console: Console, *, small: int = SMALL, large: int = LARGE) -> list[Figure]:
    """Everything at both sizes."""
    figures: list[Figure] = []
    with EmbeddedPostgres(durable=False) as server, tempfile.TemporaryDirectory() as folder:
        ledger = _Ledger(server, console)
        found = []
        for size in (small, large):
            console.print(f"{size:,} events")
            ledger.grow(size)
            sealed = ledger.seal()
            console.print(f"  sealed at {sealed:,.0f} a second")
            watched = ledger.watch()
            console.print("  tallied at {:,.0f}, looked at by the detector at {:,.0f} a second".format(*watched))
            audited = ledger.audit()
            console.print(f"  {audited}")
            commands = ledger.commands(Path(folder))
            console.print(f"  exported and verified: {commands}")
            found.append((sealed, commands, ledger.longest_proof(), ledger.searches(), watched, audited))
            console.print(f"  {found[-1]}")
    (sealed_1, commands_1, proof_1, searches_1, _, audited_1) = found[0]
    (sealed_2, commands_2, proof_2, searches_2, (tallied, detected), audited_2) = found[1]
    at = f"at {large:,}"
    with_fewer = f"with {small:,}"
    figures.append(Figure(f"sealed, up to {large:,}", sealed_2, "a second", with_fewer, sealed_1, goal=0.5))
    for name, ceiling in (("export", None), ("verify", LARGE / 300)):
        (speed_1, memory_1), (speed_2, memory_2) = commands_1[name], commands_2[name]
        beside = "10 million in five minutes" if ceiling else with_fewer
        figures.append(
            Figure(f"ledger {name}, {at}", speed_2, "a second", beside, ceiling or speed_1, goal=1 if ceiling else 0.5)
        )
        figures.append(
            Figure(f"ledger {name}, most memory, {at}", memory_2, "MB", with_fewer, memory_1, goal=1.2, at_most=True)
        )
    figures.append(Figure(f"hashes in the longest proof, {at}", proof_2[0], "", "the goal", 25, goal=1, at_most=True))
    figures.append(Figure(f"a consistency proof made and verified, {at}", proof_2[1], "ms", with_fewer, proof_1[1]))
    for name, took in searches_2.items():
        figures.append(Figure(f"search {name}, p95, {at}", took, "ms", with_fewer, searches_1[name], 3, at_most=True))
    enough = "four for each signal of the top intake"
    figures.append(Figure(f"tallied by the hour, up to {large:,}", tallied, "a second", enough, desk.COMES, goal=5))
    figures.append(Figure(f"looked at by the detector, {at}", detected, "a second", enough, desk.COMES, goal=2))
    return figures + desk.figures(audited_2, audited_1, at=f", {at}", with_fewer=with_fewer)


def main(
    small: Annotated[int, typer.Option(help="The ledger that it is compared with.")] = SMALL,
    large: Annotated[int, typer.Option(help="Ten million events take some 20 GB and half an hour.")] = LARGE,
) -> None:
    """A busy year of events: python -m bench.ledger_years"""
    console = Console(width=170)
    show(console, "The ledger after a busy year", measure(console, small=small, large=large))
    console.print("python -m bench.ledger_years")


if __name__ == "__main__":
    typer.run(main)
