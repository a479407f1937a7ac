# SPDX-License-Identifier: EUPL-1.2
"""The processes of docker-compose.yml, started by its own commands with no more than it gives each of them.

In the place of an engine: PostgreSQL and Redis are the embedded ones, an address of a container becomes one of
loopback, and a path inside becomes a folder that holds only this service's secrets and keys.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from composition import ROOT, Composition, Service
from joserfc.jwk import OKPKey
from pydantic import SecretStr
from support import ADMINISTRATOR, WESTERVELD, bsn
from system.world import until

from verwijsindex import database
from verwijsindex.client import Accepted, ClientConfig, Informed, SignalDraft, VerwijsindexClient
from verwijsindex.embedded.postgres import EmbeddedPostgres
from verwijsindex.embedded.process import Process, answering, free_port, listening
from verwijsindex.embedded.redis import program
from verwijsindex.keyfiles import write_public_key, write_signing_key
from verwijsindex.preparing import prepare
from verwijsindex.registry import service as registry
from verwijsindex.registry.schemas import AgreementEntry, Entry, InstitutionEntry, ReporterEntry
from verwijsindex.signals.dates import amsterdam_date

pytestmark = pytest.mark.system

SERVED = ("issuer", "pseudonyms", "index")
BRANCHES = ("index", "pseudonyms", "issuer")
OIN = "00000001111111111000"


@dataclass
class Engine:
    """What an engine would do with the file: start a service's command with its environment and nothing else."""

    folder: Path
    composition: Composition
    replaced: dict[str, str]

    def command(self, service: Service, *more: str) -> list[str]:
        words = [*(self._here(service, word) for word in service.command), *more]
        return {"verwijsindex": [sys.executable, "-m", "verwijsindex"], "celery": [sys.executable, "-m", "celery"]}.get(
            words[0], [words[0]]
        ) + words[1:]

    def environment(self, service: Service) -> dict[str, str]:
        """The service's own variables, and of this machine only where Python and its modules are."""
        told = {name: self._here(service, value) for name, value in service.environment.items()}
        ours = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        if "VERWIJSINDEX_PORT" in told:
            told |= {
                "VERWIJSINDEX_BIND_ADDRESS": "127.0.0.1",
                "VERWIJSINDEX_PORT": self.replaced[f"port {service.name}"],
            }
        ours |= {"VERWIJSINDEX_ALLOW_PLAIN_HTTP": "true", "VERWIJSINDEX_WEBHOOK_PRIVATE_RANGES": '["127.0.0.0/8"]'}
        return ours | told

    def inside(self, service: Service) -> Path:
        """The folder that stands for the service's file system."""
        made = self.folder / "inside" / service.name
        if not made.exists():
            (made / "run" / "secrets").mkdir(parents=True)
            (made / "tmp").mkdir()
            (made / "var" / "lib" / "verwijsindex").mkdir(parents=True)
            for target, secret in service.secrets.items():
                text = (self.folder / self.composition.file_of(secret)).read_text()
                for outside, here in self.replaced.items():
                    text = text.replace(outside, here)
                (made / "run" / "secrets" / target).write_text(text)
                (made / "run" / "secrets" / target).chmod(0o600)  # as `prepare` made it: a file is bound as it is
            for target, source in service.bound.items():
                shutil.copytree(self.folder / source, made / target.lstrip("/"))
        return made

    def run(self, name: str, *more: str) -> str:
        """`docker compose run --rm NAME MORE`; what it says."""
        service = self.composition.services[name]
        done = subprocess.run(
            self.command(service, *more),
            env=self.environment(service),
            cwd=self.inside(service),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stderr}"
        return done.stdout.strip()

    def initialise(self, branch: str) -> None:
        """What comes before a branch's processes."""
        self.run(f"{branch}-init")
        self.run(f"{branch}-upgrade")

    def start(self, name: str) -> Process:
        service = self.composition.services[name]
        return Process(
            self.command(service),
            name=name,
            log_path=self.folder / f"{name}.log",
            env=self.environment(service),
            cwd=self.inside(service),
        )

    def _here(self, service: Service, text: str) -> str:
        for outside, here in self.replaced.items():
            text = text.replace(outside, here)
        return re.sub(r"(?<![\w/])/(run|tmp|var/lib)/", rf"{self.inside(service)}/\1/", text)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """`prepare` was run, and all that keeps running runs."""
    ports = {name: free_port() for name in SERVED}
    redis_port = free_port()
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    composition = Composition(
        {f"{name.upper()}_URL": url for name, url in urls.items()}
        | {"OPERATOR_OIN": "00000009999999999000", "LEDGER_ORIGIN": "index.test/ledger", "USER": "anna"}
    )
    made = Engine(tmp_path, composition, {})
    assert composition.services["prepare"].command == ["verwijsindex", "prepare", "/secrets"]
    prepare(tmp_path / "secrets")
    with ExitStack() as undo:
        postgres = undo.enter_context(EmbeddedPostgres(durable=False, log_path=tmp_path / "postgres.log"))
        superuser = postgres.url().rpartition("@")[0]
        made.replaced = {f"port {name}": str(port) for name, port in ports.items()}
        made.replaced["http://issuer:8080"] = urls["issuer"]
        made.replaced["@redis:6379"] = f"@127.0.0.1:{redis_port}"
        for branch in BRANCHES:
            password = (tmp_path / "secrets" / branch / "postgres_password").read_text()
            there = f"@{branch}-postgres:5432"
            made.replaced[f"postgresql+psycopg://postgres:{password}{there}"] = f"{superuser}@127.0.0.1:{postgres.port}"
            made.replaced[there] = f"@127.0.0.1:{postgres.port}"
        redis = composition.services["redis"]
        command = [program(), *made.command(redis)[1:], "--port", str(redis_port), "--bind", "127.0.0.1"]
        started = Process(command, name="redis", log_path=tmp_path / "redis.log", env={})
        undo.callback(started.stop)
        started.wait_until(listening(redis_port))
        made.run("index-init")  # twice changes nothing: an `up` of every day runs them again
        at_once = undo.enter_context(ThreadPoolExecutor(6))
        list(at_once.map(made.initialise, BRANCHES))
        running = {name: made.start(name) for name in (*SERVED, "worker", "deliverer", "clock")}
        undo.callback(lambda: list(at_once.map(Process.stop, running.values())))
        for name in SERVED:
            running[name].wait_until(answering(ports[name], "/health/ready"), timeout=120)
        yield made


def _register(engine: Engine, today: date) -> list[UUID]:
    """A municipality, an institution with an agreement, and its two reporters; the first by the command."""
    engine.run("admin", "municipality", "add", WESTERVELD, "Westerveld")
    url = engine.inside(engine.composition.services["admin"]) / "run/secrets/verwijsindex_registrar_database_url"
    pool = database.engine(SecretStr(url.read_text()), pool_size=1)
    person = {"position": "medewerker", "telephone": "0521000002", "email": "someone@example.org"}
    until = today + timedelta(days=30)
    entries: list[Entry] = [
        InstitutionEntry(oin=OIN, name="Het Kompas", category_code="primary_education"),
        AgreementEntry(oin=OIN, municipality_code=WESTERVELD, valid_from=today, valid_until=until),
        *(ReporterEntry(oin=OIN, name=name, designated_from=today, **person) for name in ("A. Een", "B. Twee")),
    ]
    with database.transaction(pool) as connection:
        added = [registry.add(connection, ADMINISTRATOR, datetime.now(UTC), entry) for entry in entries]
    pool.dispose()
    return [row.id for row in added[2:]]


def _client(engine: Engine) -> VerwijsindexClient:
    """The institution's client; the issuer's operator registers its key by the command."""
    key = OKPKey.generate_key("Ed25519")
    write_signing_key(engine.folder / "own.jwk", key)
    write_public_key(engine.folder / "own.pub.json", key)
    public = ("--public-key", str(engine.folder / "own.pub.json"))
    engine.run("issuer-admin", "client", "add", "--id", "kompas", "--name", "Het Kompas", "--oin", OIN, *public)
    issuer = engine.environment(engine.composition.services["issuer"])
    index, pseudonyms = json.loads(issuer["VERWIJSINDEX_RESOURCES"])
    return VerwijsindexClient(
        ClientConfig(
            index=index,
            pseudonyms=pseudonyms,
            issuer=issuer["VERWIJSINDEX_BASE_URL"],
            client_id="kompas",
            key_file=engine.folder / "own.jwk",
            key_list_signer=(engine.folder / "secrets" / "offline" / "list-signer.jwk.pub.json",),
        )
    )


def test_the_composed_processes_match_two_signals(engine: Engine) -> None:
    """From an empty machine to a match by the commands of the file. Seen failing when the worker was given no keys, and
    when `index-init` lacked a role's address."""
    today = amsterdam_date(datetime.now(UTC))
    one, other = _register(engine, today)
    with _client(engine) as client:
        outcomes = list(client.submit([_draft(reporter, today) for reporter in (one, other)]))
        assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
        until(lambda: bool(list(client.notices(one))), 30)
        [match] = client.matches(one)
        assert "B. Twee" in json.dumps(client.match(one, UUID(match["id"])))
    deadline = time.monotonic() + 30
    while "do their work" not in _health(engine):  # the compose file's own check of worker and clock
        assert time.monotonic() < deadline
        time.sleep(0.5)


def _draft(reporter: UUID, today: date) -> SignalDraft:
    return SignalDraft(
        reporter=reporter,
        bsn=bsn(1),
        birth_date=date(today.year - 12, 5, 5),
        residence_municipality=WESTERVELD,
        made_at=datetime.now(UTC),
        reasonable_suspicion=True,
        informing=Informed(on=today, to="both"),
    )


def _health(engine: Engine) -> str:
    worker = engine.composition.services["worker"]
    check = worker.raw["healthcheck"]["test"]
    assert check == ["CMD", "verwijsindex", "health"]
    command = [sys.executable, "-m", *check[1:]]
    done = subprocess.run(
        command, env=engine.environment(worker), cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout
