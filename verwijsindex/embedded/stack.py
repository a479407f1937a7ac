# SPDX-License-Identifier: EUPL-1.2
"""The whole system as processes on this machine: PostgreSQL, Redis, issuer, pseudonym service, index, workers, clock.

The same processes that production runs, with keys and databases made for the occasion; all of it is gone afterwards.
Used by the demo and by the tests of whole processes.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from joserfc.jwk import OKPKey
from pydantic import SecretStr

from verwijsindex import database, keyfiles
from verwijsindex.access.caller import BURSTS_READ
from verwijsindex.embedded.postgres import EmbeddedPostgres
from verwijsindex.embedded.process import Process, Supervisor, answering, free_port
from verwijsindex.embedded.redis import EmbeddedRedis
from verwijsindex.issuer.service import register_client
from verwijsindex.ledger.checkpoint import VerifierKey
from verwijsindex.operating import addresses
from verwijsindex.pseudonyms.key_list import sign_key_list
from verwijsindex.pseudonyms.listing import next_list
from verwijsindex.pseudonyms.sealing import write_next_key
from verwijsindex.pseudonyms.voprf import Evaluator, generate_secret
from verwijsindex.settings import utc_now

Say = Callable[[str], None]
Command = tuple[list[str], dict[str, str], Callable[[], bool] | None]  # what to run, its settings, when it is ready
OPERATOR_OIN = "00000000000000000000"
LEDGER_ORIGIN = "embedded.verwijsindex.example/ledger"
_SERVICES = ("issuer", "pseudonyms", "index")
_QUEUES = {"worker": ("verwijsindex.match", 2), "deliverer": ("verwijsindex.deliver", 1)}  # and how many at once


class Stack:
    """All processes of one index, started at the beginning of a `with` block and gone at its end.

    Args:
        say: is told, in a few words, what is being started.
        settings: more VERWIJSINDEX_ variables for every process.
        durable: False gives up durability on a crash of the machine, for tests.
        before_processes: is called when PostgreSQL and Redis run, keys and tables are there and nothing else runs.
    """

    def __init__(
        self,
        *,
        say: Say = lambda _: None,
        settings: Mapping[str, str] | None = None,
        durable: bool = True,
        before_processes: "Callable[[Stack], None] | None" = None,
    ) -> None:
        self._say = say
        self._before_processes = before_processes
        self._more = dict(settings or {})
        self._durable = durable
        self.issuer, self.pseudonyms, self.index = (f"http://127.0.0.1:{free_port()}" for _ in range(3))
        self.metrics = {name: f"http://127.0.0.1:{free_port()}/metrics" for name in (*_SERVICES, *_QUEUES, "clock")}

    def __enter__(self) -> "Stack":
        with ExitStack() as undo:
            self.folder = Path(tempfile.mkdtemp(prefix="verwijsindex-"))
            undo.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self._say("PostgreSQL")
            self.postgres = undo.enter_context(
                EmbeddedPostgres(durable=self._durable, log_path=self.folder / "postgres.log")
            )
            self._say("Redis")
            self.redis = undo.enter_context(EmbeddedRedis(log_path=self.folder / "redis.log"))
            self._say("keys and databases")
            self._prepare()
            if self._before_processes:
                self._before_processes(self)
            self._processes = undo.enter_context(Supervisor())
            self._start()
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._undo.__exit__(kind, error, traceback)

    @property
    def keys(self) -> Path:
        """The folder of all keys; in production each process has only its own."""
        return self.folder / "keys"

    @property
    def key_list_signer(self) -> Path:
        """The public key that senders pin."""
        return self.keys / "list-signer.jwk.pub.json"

    @property
    def ledger_key(self) -> Path:
        """The verifier key of the ledger, that those who keep checkpoints pin."""
        return self.keys / "ledger.jwk.vkey"

    def run(self, *arguments: str) -> str:
        """Run a `verwijsindex` command with this system's settings; its output. Raises RuntimeError with its errors."""
        done = subprocess.run(  # noqa: S603 (our own command)
            [sys.executable, "-m", "verwijsindex", *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"verwijsindex {' '.join(arguments[:3])} failed: {done.stderr.strip()}")
        return done.stdout

    def check(self) -> None:
        """Raises ProcessError if one of the processes died without being told to."""
        self._processes.check()

    def process(self, name: str) -> Process:
        """One of `issuer`, `pseudonyms`, `index`, `worker`, `deliverer`, `clock`, to be killed by a test."""
        return next(process for process in self._processes.processes if process.name == name)

    def restart(self, name: str) -> None:
        """Stop one of them, also after `kill`, and start it anew."""
        old = self.process(name)
        old.stop()
        self._processes.processes.remove(old)
        self._spawn(name)

    def _prepare(self) -> None:
        self.keys.mkdir()
        passwords = {role: secrets.token_urlsafe(24) for role in database.ROLES}
        database.init_cluster(self.postgres.url().replace("+psycopg", ""), passwords)
        at = self.issuer
        issuers = [{"issuer": at, "jwks_url": f"{at}/jwks.json", "revocations_url": f"{at}/revocations.json"}]
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("VERWIJSINDEX_")},
            **addresses(self.postgres.url(), passwords),
            "VERWIJSINDEX_BROKER_URL": self.redis.url,
            "VERWIJSINDEX_KEYS": str(self.keys),
            "VERWIJSINDEX_SIGNING_KEY": str(self.keys / "issuer.jwk"),
            "VERWIJSINDEX_KEY_LIST": str(self.keys / "key-list.jws"),
            "VERWIJSINDEX_KEY_LIST_SIGNER": str(self.key_list_signer),
            "VERWIJSINDEX_ISSUERS": json.dumps(issuers),
            "VERWIJSINDEX_RESOURCES": json.dumps([self.index, self.pseudonyms]),
            "VERWIJSINDEX_TOMBSTONES": str(self.folder / "tombstones.txt"),
            "VERWIJSINDEX_LEDGER_KEY": str(self.keys / "ledger.jwk"),
            "VERWIJSINDEX_LEDGER_ORIGIN": LEDGER_ORIGIN,
            "VERWIJSINDEX_SEAL_SECONDS": "1",
            "VERWIJSINDEX_BURSTS_CLIENT": str(self.folder / "watcher.toml"),
            "VERWIJSINDEX_ALLOW_PLAIN_HTTP": "true",
            "VERWIJSINDEX_WEBHOOK_PRIVATE_RANGES": json.dumps(["127.0.0.0/8"]),
            "PYTHONUNBUFFERED": "1",
            **self._more,
        }
        with ThreadPoolExecutor(1) as threads:
            upgraded = threads.submit(self.run, "db", "upgrade")
            self._make_keys()
            upgraded.result()
        self._register_watcher()

    def _make_keys(self) -> None:
        """What the `verwijsindex keys` commands make; to start five of them takes longer than all they do."""
        write_next_key(self.keys)
        secret, signer, now = generate_secret(), OKPKey.generate_key("Ed25519"), utc_now().replace(microsecond=0)
        keyfiles.write_secret(self.keys / "pseudonym-1.key", secret)
        for name, key in (("issuer", OKPKey.generate_key("Ed25519")), ("list-signer", signer)):
            keyfiles.write_signing_key(self.keys / f"{name}.jwk", key)
            keyfiles.write_public_key(self.keys / f"{name}.jwk.pub.json", key)
        ledger = OKPKey.generate_key("Ed25519")
        keyfiles.write_signing_key(self.keys / "ledger.jwk", ledger)
        self.ledger_key.write_text(f"{VerifierKey.of(LEDGER_ORIGIN, ledger)}\n")
        versions = next_list({}, {1: Evaluator(secret).public_key}, now)
        (self.keys / "key-list.jws").write_text(sign_key_list(versions, now, signer) + "\n")

    def _register_watcher(self) -> None:
        """The index operator's own client, that asks for bursts of pseudonyms (R37)."""
        key = OKPKey.generate_key("Ed25519")
        keyfiles.write_signing_key(self.keys / "watcher.jwk", key)
        config = {
            "index": self.index,
            "pseudonyms": self.pseudonyms,
            "issuer": self.issuer,
            "client_id": "watcher",
            "key_file": str(self.keys / "watcher.jwk"),
            "key_list_signer": str(self.key_list_signer),
        }
        # A JSON string is one of TOML as well.
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in config.items()]
        (self.folder / "watcher.toml").write_text("".join(lines))
        issuer = database.engine(SecretStr(self.environment["VERWIJSINDEX_ISSUER_OWNER_DATABASE_URL"]), pool_size=1)
        with database.transaction(issuer) as connection:
            register_client(
                connection,
                client_id="watcher",
                name="the index's own",
                oin=OPERATOR_OIN,
                public_key=key,
                scopes=[BURSTS_READ],
                now=utc_now(),
            )
        issuer.dispose()

    def _start(self) -> None:
        shown = {"pseudonyms": "pseudonym service", "worker": "Celery worker", "deliverer": "deliverer of webhooks"}
        names = (*_SERVICES, *_QUEUES, "clock")
        for name in names:
            self._say(shown.get(name, name))
        with ThreadPoolExecutor(len(names)) as threads:
            list(threads.map(self._spawn, names))

    def _spawn(self, name: str) -> None:
        command, settings, ready = self._service(name) if name in _SERVICES else self._celery(name)
        counted = self.folder / f"metrics of {name}"  # here, so that it goes with all else
        counted.mkdir(exist_ok=True)
        settings |= {
            "VERWIJSINDEX_METRICS_PORT": self.metrics[name].rpartition(":")[2].removesuffix("/metrics"),
            "PROMETHEUS_MULTIPROC_DIR": str(counted),
        }
        self._processes.start(
            command,
            name=name,
            log_path=self.folder / f"{name}.log",
            env=self.environment | settings,
            cwd=self.folder,
            remove=self.folder,  # it holds keys: it goes, also when we are killed
            ready=ready,
            timeout=60,
        )

    def _service(self, name: str) -> Command:
        url = {"issuer": self.issuer, "pseudonyms": self.pseudonyms, "index": self.index}[name]
        port = url.rpartition(":")[2]
        command = [sys.executable, "-m", "verwijsindex", "serve", name]
        settings = {"VERWIJSINDEX_BASE_URL": url, "VERWIJSINDEX_PORT": port}
        return command, settings, answering(int(port), "/health/ready")

    def _celery(self, name: str) -> Command:
        if name in _QUEUES:  # slow receivers of webhooks never hold up matching
            queue, at_once = _QUEUES[name]
            more = ["worker", f"-Q{queue}", f"--concurrency={at_once}", f"-n{name}@%h"]
            more += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        else:
            more = ["beat", f"--schedule={self.folder / 'beat-schedule'}", "--pidfile="]
        command = [sys.executable, "-m", "celery", "-q", "-A", "verwijsindex.workers.app", *more]
        return command, {"VERWIJSINDEX_BASE_URL": self.index}, None
